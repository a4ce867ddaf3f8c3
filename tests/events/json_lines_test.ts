import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { encodeJsonLine, type JsonLine, JsonLinesDecoder } from "../../src/events/json_lines.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const value = (value: unknown): JsonLine => ({ kind: "value", value });

function decode(bytes: Uint8Array, options: { chunk?: number; maxLineBytes?: number } = {}): JsonLine[] {
  const decoder = new JsonLinesDecoder(options);
  const lines: JsonLine[] = [];
  const size = options.chunk ?? Math.max(1, bytes.length);
  for (let at = 0; at < bytes.length; at += size) lines.push(...decoder.push(bytes.subarray(at, at + size)));
  return [...lines, ...decoder.end()];
}

Deno.test("encodeJsonLine() makes one line that is plain ASCII where programs tend to split", () => {
  equal(encodeJsonLine({ a: "x\ny\u2028z\x85\u2029" }), '{"a":"x\\ny\\u2028z\\u0085\\u2029"}\n');
});

Deno.test("encodeJsonLine() replaces lone surrogates and leaves what only looks like their escape", () => {
  const line = encodeJsonLine({ "k\udc00": "\ud83d and \\ud83d and \\\\ud83d and 😀 and C:\\udir" });
  deepEqual(JSON.parse(line), { "k\ufffd": "\ufffd and \\ud83d and \\\\ud83d and 😀 and C:\\udir" });
  ok(!/(?<!\\)(?:\\\\)*\\ud8/.test(line));
});

Deno.test("encodeJsonLine() refuses what JSON cannot express", () => {
  for (const bad of [undefined, () => 1, Symbol("s"), 1n]) throws(() => encodeJsonLine(bad), TypeError);
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  throws(() => encodeJsonLine(cycle), TypeError);
});

Deno.test("values survive the way through lines in chunks of any size", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(fc.array(fc.oneof(fc.jsonValue(), text)), fc.integer({ min: 1, max: 40 }), (values, chunk) => {
    const bytes = bytesOf(values.map(encodeJsonLine).join(""));
    const expected = values.map((value) => JSON.parse(JSON.stringify(value)));
    deepEqual(decode(bytes, { chunk }), expected.map(value));
  }));
});

Deno.test("arbitrary bytes decode to the same lines however they are cut", () => {
  const piece = fc.constantFrom("\n", "\r\n", "{", '"a"', "1", " ", "\xff", "é", "\u2028", '{"b":[1,2]}', "null");
  fc.assert(fc.property(fc.array(piece), fc.integer({ min: 1, max: 7 }), (pieces, chunk) => {
    const bytes = Uint8Array.from(pieces.flatMap((text) => text === "\xff" ? [0xff] : [...bytesOf(text)]));
    deepEqual(decode(bytes, { chunk, maxLineBytes: 12 }), decode(bytes, { maxLineBytes: 12 }));
  }));
});

Deno.test("lines end at LF only; a CR before it, blank lines and a byte order mark do not count", () => {
  const bytes = bytesOf('\ufeff{"a":1}\r\n\n \r\n"x\u2028\x85y"\n[1,\r2]\n3');
  deepEqual(decode(bytes), [value({ a: 1 }), value("x\u2028\x85y"), value([1, 2]), value(3)]);
});

Deno.test("a line with invalid UTF-8 survives with U+FFFD, also when the chunk ends inside a character", () => {
  const bytes = Uint8Array.of(...bytesOf('"a'), 0xff, 0xc3, ...bytesOf('"\n"€"\n'));
  for (const chunk of [1, 2, 3, 100]) deepEqual(decode(bytes, { chunk }), [value("a\ufffd\ufffd"), value("€")]);
});

Deno.test("what is no JSON is reported with its first 200 characters, and the next line is read", () => {
  const lines = decode(bytesOf("Warning: " + "😀".repeat(300) + "\n{}\n{torn"));
  deepEqual(lines, [
    { kind: "invalid", text: "Warning: " + "😀".repeat(191) },
    value({}),
    { kind: "invalid", text: "{torn" },
  ]);
});

Deno.test("a line may have exactly the allowed length; one byte more is passed over, counted, and the next line is read", () => {
  for (const chunk of [1, 3, 4, 100]) {
    deepEqual(decode(bytesOf('"23"\n"234"\n"23"\n'), { chunk, maxLineBytes: 4 }), [
      value("23"),
      { kind: "too_long", bytes: 5 },
      value("23"),
    ]);
    deepEqual(decode(bytesOf('"234567"'), { chunk, maxLineBytes: 4 }), [{ kind: "too_long", bytes: 8 }]);
  }
});

Deno.test("a line without end costs no more memory than the cap", () => {
  const decoder = new JsonLinesDecoder({ maxLineBytes: 1024 * 1024 });
  const chunk = new Uint8Array(1024 * 1024).fill(0x61);
  const before = Deno.memoryUsage();
  for (let i = 0; i < 512; i++) deepEqual(decoder.push(chunk), []);
  const after = Deno.memoryUsage();
  ok(after.external + after.heapUsed - before.external - before.heapUsed < 64 * 1024 * 1024);
  deepEqual(decoder.push(bytesOf('\n"next"\n')), [{ kind: "too_long", bytes: 512 * 1024 * 1024 }, value("next")]);
});

Deno.test("a chunk may be overwritten after push()", () => {
  const decoder = new JsonLinesDecoder();
  const chunk = bytesOf('{"a":"12');
  decoder.push(chunk);
  chunk.fill(0x20);
  deepEqual(decoder.push(bytesOf('3"}\n')), [value({ a: "123" })]);
});

Deno.test("a long line in very many chunks is read without being copied for each", () => {
  // Quadratic work would be 2 * 10^12 copied bytes here and not end within the time of any runner.
  const decoder = new JsonLinesDecoder();
  const letters = bytesOf("abcd");
  decoder.push(bytesOf('"'));
  for (let i = 0; i < 1_000_000; i++) decoder.push(letters);
  const [line] = decoder.push(bytesOf('"\n'));
  ok(line?.kind === "value" && (line.value as string).length === 4_000_000);
});

Deno.test("after end() the decoder starts anew", () => {
  const decoder = new JsonLinesDecoder({ maxLineBytes: 8 });
  decoder.push(bytesOf("1234567890"));
  deepEqual(decoder.end(), [{ kind: "too_long", bytes: 10 }]);
  deepEqual(decoder.end(), []);
  deepEqual(decoder.push(bytesOf("1\n")), [value(1)]);
});
