import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import { type FollowedLine, followLines } from "../../src/store/follow_lines.ts";
import { inTempDir } from "../support/temp_dir.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const never = new AbortController().signal;

/** What a reader of the whole file would see. */
function linesIn(bytes: Uint8Array, { from, maxLineBytes }: { from: number; maxLineBytes: number }): FollowedLine[] {
  const lines: FollowedLine[] = [];
  for (let start = from; start < bytes.length;) {
    const feed = bytes.indexOf(10, start);
    const stop = feed === -1 ? bytes.length : feed;
    const isCut = stop - start > maxLineBytes;
    const shown = bytes.subarray(start, isCut ? Math.min(start + 1024, stop) : stop);
    const end = feed === -1 ? stop : stop + 1;
    lines.push({ text: new TextDecoder().decode(shown), end, ...(isCut && { cutFrom: stop - start }) });
    start = end;
  }
  return lines;
}

async function collect(lines: AsyncIterable<FollowedLine>): Promise<FollowedLine[]> {
  const all: FollowedLine[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).map(bytesOf),
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom("\n", "\n\n", "\r\n", "ä\n€\n𝄞\n", "\ufeff", "\u2028", "", "x".repeat(3000)).map(bytesOf),
);

Deno.test("lines and their offsets are the same, however the bytes arrive", () =>
  inTempDir(async (dir) => {
    let number = 0;
    const places = fc.record({
      pieces: fc.array(piece, { maxLength: 12 }),
      from: fc.nat({ max: 100 }),
      maxLineBytes: fc.constantFrom(10, 1500, 2000, 1 << 20),
    });
    await fc.assert(
      fc.asyncProperty(places, async ({ pieces, from, maxLineBytes }) => {
        const path = `${dir}/${number++}`;
        const whole = Uint8Array.from(pieces.flatMap((one) => [...one]));
        from = Math.min(from, whole.length);
        // Offsets begin at the end of a line, or at the start.
        from = whole.lastIndexOf(10, Math.max(from - 1, 0)) + 1;
        using file = await Deno.open(path, { create: true, append: true });
        const complete = Promise.withResolvers<void>();
        const reading = collect(followLines(path, { from, complete: complete.promise, signal: never, maxLineBytes }));
        for (const one of pieces) await file.write(one);
        complete.resolve();
        deepEqual(await reading, linesIn(whole, { from, maxLineBytes }));
      }),
      { numRuns: 150 },
    );
  }));

Deno.test("each line is told while another process still writes, and the torn last one at the end", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    await Deno.writeTextFile(path, "");
    // Writes only when it is told to go on: nobody waits for the end.
    const writer = new Deno.Command("sh", {
      args: ["-c", 'while read -r line; do printf "%b" "$line" >> "$1"; done', "writer", path],
      stdin: "piped",
    }).spawn();
    const input = writer.stdin.getWriter();
    const say = (text: string) => input.write(bytesOf(text + "\n"));
    const lines = followLines(path, { from: 0, complete: writer.status, signal: never });
    const next = async () => (await lines.next()).value;

    await say("one\\n");
    deepEqual(await next(), { text: "one", end: 4 });
    await say("tw");
    await say("o\\nthr");
    deepEqual(await next(), { text: "two", end: 8 });
    await say("\\0303");
    await say("\\0244\\n\\ntorn");
    deepEqual(await next(), { text: "thrä", end: 14 });
    deepEqual(await next(), { text: "", end: 15 });
    await input.close();
    deepEqual(await next(), { text: "torn", end: 19 });
    deepEqual(await lines.next(), { value: undefined, done: true });
    equal((await writer.status).code, 0);
  }));

Deno.test("what is there when nothing will come any more is read to its end, also when that was before the start", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    const follow = (complete: Promise<unknown>) => collect(followLines(path, { from: 2, complete, signal: never }));
    deepEqual(await follow(Promise.resolve()), [], "there is no file");
    await Deno.writeTextFile(path, "a\nb\nc");
    const expected = [{ text: "b", end: 4 }, { text: "c", end: 5 }];
    deepEqual(await follow(Promise.resolve()), expected);
    deepEqual(await follow(Promise.reject(new Error("its process is gone"))), expected);
  }));

Deno.test("a file that appears later is read from its start", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/later`;
    const complete = Promise.withResolvers<void>();
    const lines = followLines(path, { from: 0, complete: complete.promise, signal: never });
    const first = lines.next();
    await Deno.writeTextFile(path, "first\nsecond\n");
    deepEqual(await first, { value: { text: "first", end: 6 }, done: false });
    complete.resolve();
    deepEqual(await collect(lines), [{ text: "second", end: 13 }]);
  }));

Deno.test("a signal ends the reading while it waits, between two lines and before it began", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    await Deno.writeTextFile(path, "a\nb\nc\n");
    const forever = new Promise(() => {});

    const waiting = new AbortController();
    const lines = followLines(path, { from: 6, complete: forever, signal: waiting.signal });
    const next = lines.next();
    waiting.abort();
    deepEqual(await next, { value: undefined, done: true });

    const between = new AbortController();
    const seen: string[] = [];
    for await (const { text } of followLines(path, { from: 0, complete: forever, signal: between.signal })) {
      seen.push(text);
      if (text === "b") between.abort();
    }
    // What is in memory already may still be given.
    deepEqual(seen.slice(0, 2), ["a", "b"]);

    deepEqual(await collect(followLines(path, { from: 0, complete: forever, signal: AbortSignal.abort() })), []);
  }));

Deno.test("who stops listening leaves nothing open", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    await Deno.writeTextFile(path, "a\nb\n");
    // The sanitizers of the test runner tell of files, watchers and timers.
    for await (const { text } of followLines(path, { from: 0, complete: new Promise(() => {}), signal: never })) {
      equal(text, "a");
      break;
    }
  }));

Deno.test("of a line that is too long the beginning and the length are told, and the next line is whole", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    const long = 200_000;
    await Deno.writeTextFile(path, `short\n${"€".repeat(long)}\n${"y".repeat(100)}\n${"z".repeat(101)}`);
    const follow = followLines(path, { from: 0, complete: Promise.resolve(), signal: never, maxLineBytes: 100 });
    const end = 6 + 3 * long + 1;
    deepEqual(await collect(follow), [
      { text: "short", end: 6 },
      // 1024 bytes are 341 of them, and a third of the next.
      { text: "€".repeat(341) + "\ufffd", end, cutFrom: 3 * long },
      { text: "y".repeat(100), end: end + 101 },
      { text: "z".repeat(101), end: end + 202, cutFrom: 101 },
    ]);
  }));

Deno.test("a line that grows byte by byte is read whole", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    using file = await Deno.open(path, { create: true, append: true });
    const controller = new AbortController();
    const lines = followLines(path, { from: 0, complete: new Promise(() => {}), signal: controller.signal });
    const next = lines.next();
    for (let count = 0; count < 5000; count++) await file.write(bytesOf("x"));
    await file.write(bytesOf("\n"));
    deepEqual(await next, { value: { text: "x".repeat(5000), end: 5001 }, done: false });
    controller.abort();
    deepEqual(await lines.next(), { value: undefined, done: true });
  }));

Deno.test("a hundred thousand lines come in their order", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/stream`;
    const count = 100_000;
    const texts = Array.from({ length: count }, (_, index) => `{"type":"message","number":${index},"text":"ä"}`);
    await Deno.writeTextFile(path, texts.join("\n") + "\n");
    let index = 0;
    let end = 0;
    for await (const line of followLines(path, { from: 0, complete: Promise.resolve(), signal: never })) {
      end += bytesOf(texts[index]!).length + 1;
      if (line.text !== texts[index] || line.end !== end) deepEqual(line, { text: texts[index], end });
      index++;
    }
    equal(index, count);
  }));

Deno.test("what cannot be read is a Failure", () =>
  inTempDir(async (dir) => {
    await rejects(
      collect(followLines(dir, { from: 0, complete: new Promise(() => {}), signal: never })),
      (error) => {
        ok(error instanceof Failure);
        equal(error.kind, "environment");
        equal(error.message, `Cannot read "${dir}": Is a directory`);
        return true;
      },
    );
  }));
