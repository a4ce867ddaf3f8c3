import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { OutputPipe } from "../../src/terminal/io.ts";
import { LineOutput } from "../../src/terminal/line_output.ts";

/** A pipe whose reader takes nothing until it is told to; what it takes, by write. */
function heldPipe() {
  const writes: string[] = [];
  const asked = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  let text = "";
  const pipe = new OutputPipe("stderr", {
    async write(bytes) {
      asked.resolve();
      await open.promise;
      text += new TextDecoder().decode(bytes);
      writes.push(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  });
  const release = () => open.resolve();
  return { pipe, asked: asked.promise, release, writes, read: async () => (await pipe.flush(10_000), text) };
}

const leftOut = (count: number) => `${count} left out\n`;

Deno.test("LineOutput writes together what comes while the reader is busy, in order", async () => {
  const { pipe, asked, release, writes, read } = heldPipe();
  const output = new LineOutput(pipe, { leftOut });
  output.push("a\n");
  output.push("b\n");
  await asked;
  output.push("c\n");
  output.push("d\n");
  release();
  while (writes.length < 2) await new Promise((resolve) => setTimeout(resolve));
  output.close();
  output.push("too late\n");
  equal(await read(), "a\nb\nc\nd\n");
  deepEqual(writes, ["a\nb\n", "c\nd\n"]);
});

Deno.test("LineOutput keeps a bounded amount for a stuck reader, and tells how many lines are missing where", async () => {
  const { pipe, asked, release, read } = heldPipe();
  const output = new LineOutput(pipe, { leftOut });
  output.push("first\n");
  await asked;
  const line = "x".repeat(1024 * 1024 - 1) + "\n";
  for (let i = 0; i < 100; i++) output.push(line);
  output.push("short\n");
  release();
  while (!(await read()).endsWith("left out\n")) await new Promise((resolve) => setTimeout(resolve));
  output.push("after\n");
  output.close();
  const lines = (await read()).split("\n").map((text) => text.startsWith("xx") ? "x" : text);
  deepEqual(lines, ["first", "x", "x", "x", "x", "97 left out", "after", ""]);
});

Deno.test("LineOutput.close() ends a pause, and hands over what waits", async () => {
  const { pipe, release, read } = heldPipe();
  release();
  const output = new LineOutput(pipe, { leftOut, intervalMs: 3_600_000, compose: (lines) => `<${lines}>` });
  output.wake();
  while (await read() === "") await new Promise((resolve) => setTimeout(resolve));
  output.push("a\n");
  output.close();
  output.close();
  equal(await read(), "<><a\n>");
});

Deno.test("LineOutput tells once that nothing can be written any more, and drops what comes", async () => {
  let writes = 0;
  const pipe = new OutputPipe("stdout", {
    write() {
      writes++;
      return Promise.reject(new Deno.errors.BrokenPipe("gone"));
    },
  });
  const told: string[] = [];
  const output = new LineOutput(pipe, { leftOut, onFailure: ({ message }) => told.push(message) });
  output.push("a\n");
  while (told.length === 0) await new Promise((resolve) => setTimeout(resolve));
  output.push("b\n");
  output.close();
  await pipe.flush(10_000);
  deepEqual([writes, told], [1, ["Nobody reads stdout any more"]]);
});
