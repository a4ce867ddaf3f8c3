import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { ReplyReader } from "../../src/gateway/dialect.ts";
import { createReplyTap } from "../../src/gateway/reply_tap.ts";
import type { Json } from "../../src/models/json.ts";
import { NOTHING_READ } from "./dialects/reply_fixtures.ts";

/** The documents that a tap shows for a body, and whether it saw the end. */
function taken(body: string | readonly Uint8Array[], contentType: string | null = "text/event-stream") {
  const { documents, sawDone } = shown(body, contentType);
  return { documents, sawDone };
}

/** The same, and how many bytes could not be read. */
function shown(body: string | readonly Uint8Array[], contentType: string | null) {
  const documents: Json[] = [];
  let unreadBytes = 0;
  const reader: ReplyReader = {
    reading: NOTHING_READ,
    take: (document) => void documents.push(document),
    skip: (bytes) => void (unreadBytes += bytes),
  };
  const tap = createReplyTap(reader, contentType);
  for (const chunk of typeof body === "string" ? [new TextEncoder().encode(body)] : body) tap.push(chunk);
  tap.end();
  return { documents, sawDone: tap.sawDone, unreadBytes };
}

Deno.test("a tap tells how much it could not read", () => {
  const STREAM = "text/event-stream";
  const MiB = 1024 * 1024;
  const cases: [string, string, string | null, number][] = [
    ["a document", '{"a":1}', null, 0],
    ["a document with garbage behind it", '{"a":"é"} nonsense', "application/json", 19],
    ["garbage before a document", ')]}\'\n{"a":1}', "application/json", 12],
    ["a page", "<html>\n<p>Busy</p>", "text/html", 18],
    ["a list without a document", "[[],7]", "application/json", 6],
    ["a list that broke off in its first entry", '[{"a":', "application/json", 6],
    ["a list that broke off in its second entry", '[{"a":1},{"b":', "application/json", 0],
    ["a list whose entries are none", "[{a},{b}", "application/json", 8],
    ["an event", 'data: {"a":1}\n\ndata: [DONE]\n\n', STREAM, 0],
    ["an event that is none", 'data: {"a":é}\n\ndata: {"a":1}\n\n', STREAM, 8],
    ["an event that broke off", 'data: {"a":1}\n\ndata: {"text":"x', STREAM, 0],
    ["a stream of comments", ": waiting\n\n: waiting\n\n", STREAM, 0],
    ["an event that is too long", `data: ${"x".repeat(17 * MiB)}\n\ndata: {"a":1}\n\n`, STREAM, 16 * MiB],
  ];
  for (const [name, body, contentType, unreadBytes] of cases) {
    equal(shown(body, contentType).unreadBytes, unreadBytes, name);
  }
});

const STREAMS: Record<string, readonly [body: string, documents: Json[]]> = {
  "lines may end with LF": ['data: {"a":1}\n\ndata: {"a":2}\n\n', [{ a: 1 }, { a: 2 }]],
  "lines may end with CRLF": ['data: {"a":1}\r\n\r\ndata: {"a":2}\r\n\r\n', [{ a: 1 }, { a: 2 }]],
  "lines may end with CR": ['data: {"a":1}\r\rdata: {"a":2}\r\r', [{ a: 1 }, { a: 2 }]],
  "the kinds of line ends may mix": ['data: {"a":1}\r\n\ndata: {"a":2}\n\r\n', [{ a: 1 }, { a: 2 }]],
  "several data lines are one document": ['data: {"a":\ndata: 1}\n\n', [{ a: 1 }]],
  "CRLF is one line end": ['data: {"a":\r\ndata: 1}\r\n\r\n', [{ a: 1 }]],
  "comments and other fields are passed over": [': ping\nid: 7\nevent: x\nretry: 3\ndata:{"a":1}\n\n', [{ a: 1 }]],
  "an event without data is none": ["event: ping\n\n:\n\n", []],
  "a byte order mark is passed over": ['\uFEFFdata: {"a":1}\n\n', [{ a: 1 }]],
  "the last event needs no blank line": ['data: {"a":1}\n\ndata: {"a":2}', [{ a: 1 }, { a: 2 }]],
  "what is no JSON is passed over": ['data: {"a":\n\ndata: nonsense\n\ndata\n\ndata: {"a":2}\n\n', [{ a: 2 }]],
  "what is no object is passed over": ['data: 7\n\ndata: null\n\ndata: "x"\n\ndata: [[1],{"a":1}]\n\n', [{ a: 1 }]],
  "a field must be named whole": ['database: {"a":1}\n\n data: {"a":2}\n\n', []],
};

for (const [claim, [body, documents]] of Object.entries(STREAMS)) {
  Deno.test(`a tap reads an event stream: ${claim}`, () => {
    deepEqual(taken(body), { documents, sawDone: false });
    deepEqual(taken(Array.from(new TextEncoder().encode(body), (byte) => Uint8Array.of(byte))).documents, documents);
  });
}

Deno.test("a tap sees [DONE]", () => {
  deepEqual(taken('data: {"a":1}\n\ndata: [DONE]\n\n'), { documents: [{ a: 1 }], sawDone: true });
});

Deno.test("a tap reads a stream that lost its content type, and a document that has any", () => {
  for (const contentType of [null, "text/plain", "application/json", "text/event-stream-not"]) {
    deepEqual(taken('\n\nevent: x\ndata: {"a":1}\n\n', contentType).documents, [{ a: 1 }], `${contentType}`);
    deepEqual(taken(' {"a":1}\n', contentType).documents, [{ a: 1 }], `${contentType}`);
  }
});

Deno.test("a tap reads nothing of an empty reply, and nothing twice", () => {
  const documents: Json[] = [];
  const take = (document: Json) => void documents.push(document);
  const tap = createReplyTap({ reading: NOTHING_READ, take, skip() {} }, null);
  tap.push(new Uint8Array());
  tap.push(new TextEncoder().encode('{"a":1}'));
  tap.end();
  tap.push(new TextEncoder().encode('{"a":2}'));
  tap.end();
  deepEqual(documents, [{ a: 1 }]);
  deepEqual(taken("", null), { documents: [], sawDone: false });
});

Deno.test("a line that is too long is dropped with its event, and the next event is read", () => {
  const mebibyte = new TextEncoder().encode("x".repeat(1024 * 1024));
  const start = new TextEncoder().encode('data: {"a":1}\ndata: "');
  const end = new TextEncoder().encode('"\ndata: {"a":2}\n\ndata: {"a":3}\n\n');
  deepEqual(taken([start, ...Array(17).fill(mebibyte), end]).documents, [{ a: 3 }]);
});

Deno.test("an event of too many lines is dropped, and the next one is read", () => {
  const lines = new TextEncoder().encode(`data: "${"x".repeat(1024 * 1024)}"\n`);
  const end = new TextEncoder().encode('\ndata: {"a":3}\n\n');
  deepEqual(taken([...Array(17).fill(lines), end]).documents, [{ a: 3 }]);
});

Deno.test("a document that is too long is dropped", () => {
  const mebibyte = new TextEncoder().encode(" ".repeat(1024 * 1024));
  const [open, close] = ["{", "}"].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  equal(taken([open, ...Array(63).fill(mebibyte), close], null).documents.length, 1);
  equal(taken([open, ...Array(64).fill(mebibyte), close], null).documents.length, 0);
});

Deno.test("of a list that breaks off anywhere, the whole entries before the break are read", () => {
  const anyEntries = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { noNullPrototype: true }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(fc.property(anyEntries, fc.nat(), (generated, cut) => {
    const entries = JSON.parse(JSON.stringify(generated)) as Json[];
    const text = JSON.stringify(entries);
    const end = cut % (text.length + 1);
    const whole = entries.filter((_, index) => JSON.stringify(entries.slice(0, index + 1)).length - 1 <= end);
    // Cut inside a character, as connections break.
    const bytes = new TextEncoder().encode(text.slice(0, end));
    deepEqual(taken([bytes, Uint8Array.of(0xe2, 0x82)], "application/json").documents, whole);
  }));
});

Deno.test("no bytes make a tap throw", () => {
  const anyLine = fc.constantFrom(
    "data: ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "\\",
    "\n",
    "\r",
    "data",
    ":",
    "[DONE]",
    " ",
    "é",
    "1,",
  );
  const anyChunk = fc.oneof(
    fc.uint8Array({ maxLength: 8 }),
    fc.array(anyLine, { maxLength: 12 }).map((parts) => new TextEncoder().encode(parts.join(""))),
  );
  fc.assert(fc.property(fc.array(anyChunk), fc.constantFrom(null, "text/event-stream"), (chunks, contentType) => {
    taken(chunks, contentType);
  }));
});

Deno.test("a deeply nested document does not make a tap throw", () => {
  const depth = 200_000;
  deepEqual(taken("[".repeat(depth), null).documents, []);
  equal(taken(`{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`, null).documents.length <= 1, true);
});
