import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { Redactor } from "../../src/safety/secrets.ts";
import { EventFile, type LogFile, serverSentEvent } from "../../src/http/event_file.ts";

function memoryFile(content: string): LogFile {
  const bytes = new TextEncoder().encode(content);
  return {
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    size: () => bytes.length,
  };
}

const lineOf = (seq: number, text: string) => JSON.stringify({ seq, time: "t", type: "log", data: { text } });

/** The numbers of all events from an offset on. */
function numbersFrom(events: EventFile, start: number): number[] {
  const numbers: number[] = [];
  for (let block = events.blockAt(start); block !== undefined; block = events.blockAt(block.end)) {
    for (const { seq, start, end, type } of block.events) {
      numbers.push(seq);
      const text = new TextDecoder().decode(block.bytes.subarray(start, end));
      ok(
        text.startsWith(`id: ${seq}\nevent: ${type}\ndata: {`) && text.endsWith("}\n\n") &&
          text.split("\n").length === 5,
      );
    }
  }
  return numbers;
}

const junk = fc.constantFrom(
  "",
  "{",
  '{"seq":1,"time":"t","type":"log","da',
  "null",
  "[]",
  '{"seq":"1","type":"log"}',
  "\u2028",
);
const size = fc.oneof(fc.nat(200), fc.nat(100_000), fc.constant(300_000));

Deno.test("the events after any number are found, whatever the log looks like", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size, before: fc.array(junk, { maxLength: 2 }) }), { maxLength: 30 }),
      fc.integer({ min: -1, max: 31 }),
      fc.constantFrom("", '{"seq":99,"type":"log"'),
      (lines, seq, tail) => {
        const content = lines.map(({ size, before }, i) =>
          [...before, lineOf(i, "ü".repeat(size / 2))].map((line) => line + "\n").join("")
        );
        const file = memoryFile(content.join("") + tail);
        const events = new EventFile(file);
        const offset = events.offsetAfter(seq);
        const expected = lines.map((_, i) => i).filter((i) => i > seq);
        deepEqual(numbersFrom(events, offset).filter((number) => number > seq), expected);
        deepEqual(numbersFrom(events, 0), lines.map((_, i) => i));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("an event late in a long log is found without reading the log", () => {
  const file = memoryFile(Array.from({ length: 40_000 }, (_, i) => lineOf(i, "x".repeat(200)) + "\n").join(""));
  let readBytes = 0;
  const events = new EventFile({
    ...file,
    read(offset, into) {
      const length = file.read(offset, into);
      readBytes += length;
      return length;
    },
  });
  const offset = events.offsetAfter(30_000);
  ok(numbersFrom(events, offset)[0]! <= 30_001);
  ok(offset > 0.7 * file.size());
  ok(readBytes - (file.size() - offset) < file.size() / 2, `${readBytes} of ${file.size()} bytes were read`);
});

Deno.test("a line that is too long is passed over", () => {
  const file = memoryFile(`${lineOf(0, "a")}\n${"x".repeat(17 * 1024 * 1024)}\n${lineOf(1, "b")}\n`);
  deepEqual(numbersFrom(new EventFile(file), 0), [0, 1]);
});

Deno.test("a very long way without events is not gone at one stretch", () => {
  const first = new TextEncoder().encode(`${lineOf(0, "a")}\n`);
  const size = 1024 ** 3;
  let readBytes = 0;
  const events = new EventFile({
    read(offset, into) {
      const length = Math.min(into.length, size - offset);
      into.fill(0);
      if (offset < first.length) into.set(first.subarray(offset));
      readBytes += length;
      return length;
    },
    size: () => size,
  });
  equal(events.offsetAfter(5), 0);
  equal(events.has(5), false);
  const { end } = events.blockAt(0)!;
  ok(events.blockAt(end)!.end < size);
  ok(readBytes < size / 2, `${readBytes}`);
});

Deno.test("what is left of a line that is too long is no event, whatever stands in it", () => {
  const forged = lineOf(7, "x").repeat(300_000);
  const file = memoryFile(`${lineOf(0, "a")}\n${forged}\n${forged.slice(0, 17 * 1024 * 1024)}\n${lineOf(1, "b")}\n`);
  deepEqual(numbersFrom(new EventFile(file), 0), [0, 1]);
});

Deno.test("secrets are masked in what is sent, and nothing else is changed", () => {
  const lines = [lineOf(0, "as it is"), lineOf(1, 'a "quoted" s3cret-s3cret')];
  const redactor = new Redactor(['"quoted" s3cret-s3cret']);
  const { bytes } = new EventFile(memoryFile(lines.join("\n") + "\n"), { redactor }).blockAt(0)!;
  const data = new TextDecoder().decode(bytes).split("\n").filter((line) => line.startsWith("data: "));
  deepEqual(data, [lines[0], lineOf(1, "a [redacted]")].map((line) => `data: ${line}`));
});

Deno.test("a line without its end is no event yet", () => {
  const file = memoryFile(lineOf(0, "a"));
  equal(new EventFile(file).blockAt(0), undefined);
});

Deno.test("white space in the JSON of a line cannot end a line of the stream", () => {
  equal(
    serverSentEvent("log", { json: '{"a":\r1,\n"b":2}', id: 7 }),
    'id: 7\nevent: log\ndata: {"a": 1, "b":2}\n\n',
  );
});

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

Deno.test("events without a number have the place of their line, whatever the log looks like", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size, before: fc.array(junk, { maxLength: 2 }) }), { maxLength: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (lines, share) => {
        let content = "";
        const places: number[] = [];
        for (const { size, before } of lines) {
          for (const line of before) content += line + "\n";
          places.push(bytesOf(content));
          content += JSON.stringify({ type: "step", data: { text: "ü".repeat(size / 2) }, timestamp: "t" }) + "\n";
        }
        const events = new EventFile(memoryFile(content), { numbering: "offset" });
        const own = (numbers: number[]) => numbers.filter((number) => places.includes(number));
        deepEqual(own(numbersFrom(events, 0)), places);
        const after = Math.floor(share * bytesOf(content)) - 1;
        const found = own(numbersFrom(events, events.offsetAfter(after))).filter((number) => number > after);
        deepEqual(found, places.filter((place) => place > after));
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a place is counted in bytes, also behind what is no UTF-8", () => {
  const bytes = Uint8Array.from([0xff, 0xfe, 0x0a, ...new TextEncoder().encode('{"type":"log","seq":7}\n')]);
  const file: LogFile = {
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    size: () => bytes.length,
  };
  deepEqual(new EventFile(file, { numbering: "offset" }).blockAt(0)?.events.map(({ seq }) => seq), [3]);
  deepEqual(new EventFile(file).blockAt(0)?.events.map(({ seq }) => seq), [7]);
});
