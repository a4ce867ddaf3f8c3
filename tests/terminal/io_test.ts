import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { OutputPipe } from "../../src/terminal/io.ts";

Deno.test("OutputPipe writes everything in order through a sink that takes few bytes at a time", async () => {
  const taken: number[] = [];
  const pipe = new OutputPipe("stdout", {
    async write(bytes) {
      const count = Math.min(3, bytes.length);
      taken.push(...bytes.subarray(0, count));
      await Promise.resolve();
      return count;
    },
  });
  await Promise.all([pipe.write("first é\n"), pipe.write("second\n"), pipe.write("")]);
  equal(new TextDecoder().decode(new Uint8Array(taken)), "first é\nsecond\n");
});

Deno.test("OutputPipe says `closed` when the reader has gone, and stays closed", async () => {
  let calls = 0;
  const pipe = new OutputPipe("stdout", {
    write() {
      calls += 1;
      return Promise.reject(new Deno.errors.BrokenPipe("gone"));
    },
  });
  const closed = (error: unknown) => error instanceof Failure && error.kind === "closed";
  await rejects(pipe.write("a"), closed);
  await rejects(pipe.write("b"), closed);
  equal(calls, 1);
});

Deno.test("OutputPipe names any other failure and the pipe", async () => {
  const pipe = new OutputPipe("stdout", { write: () => Promise.reject(new Error("No space left")) });
  await rejects(pipe.write("a"), (error: unknown) => {
    ok(error instanceof Failure);
    deepEqual([error.kind, error.message], ["environment", "Cannot write to stdout: No space left"]);
    return true;
  });
});

Deno.test("OutputPipe.flush() does not wait for a reader that never reads", async () => {
  let release = () => {};
  const pipe = new OutputPipe("stdout", {
    write: (bytes) => new Promise((resolve) => release = () => resolve(bytes.length)),
  });
  const written = pipe.write("stuck");
  equal(await pipe.flush(10), false);
  release();
  await written;
  equal(await pipe.flush(10_000), true);
});

Deno.test("OutputPipe onto another OutputPipe fails as that one did", async () => {
  const inner = new OutputPipe("stdout", { write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")) });
  const outer = new OutputPipe("stdout", {
    async write(bytes) {
      await inner.write("text");
      return bytes.length;
    },
  });
  await rejects(outer.write("a"), (error: unknown) => error instanceof Failure && error.kind === "closed");
});

Deno.test("OutputPipe.flush() waits for a slow reader as long as it takes something", async () => {
  const pipe = new OutputPipe("stdout", {
    async write(bytes) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      return Math.min(bytes.length, 1);
    },
  });
  pipe.write("slowly".repeat(20)); // More than a second.
  equal(await pipe.flush(1000), true);
});
