import { strictEqual as equal } from "node:assert/strict";
import { BoundedOutput } from "../../src/process/bounded_output.ts";
import { bytesInPipe, pipeNameOf } from "../../src/process/pipe_level.ts";
import { PipeReader } from "../../src/process/pipe_reader.ts";

const ignore = Deno.build.os !== "linux";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Gives `work` a pipe that holds so many bytes, and whose other end somebody keeps open. */
async function withPipe(bytes: number, work: (stream: ReadableStream<Uint8Array>, name: string) => Promise<void>) {
  const args = ["-c", `head -c ${bytes} /dev/zero; exec cat`];
  const child = new Deno.Command("/bin/sh", { args, stdin: "piped", stdout: "piped" }).spawn();
  const name = pipeNameOf(child.pid, 1)!;
  try {
    while (bytesInPipe(name) !== bytes) await pause(5);
    await work(child.stdout, name);
  } finally {
    await child.stdin.close();
    await child.status;
  }
}

/** The stream, of which nothing is read before `open`: a busy runtime is as late. */
function delayed(stream: ReadableStream<Uint8Array>) {
  const gate = Promise.withResolvers<void>();
  const reader = stream.getReader();
  const late = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await gate.promise;
      const { value, done } = await reader.read();
      if (!done) return controller.enqueue(value);
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return { late, open: gate.resolve };
}

const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore, fn });

test("settle() waits for what is in the pipe, however late it is read, and not for the end of the pipe", () =>
  withPipe(60_000, async (stream, name) => {
    const { late, open } = delayed(stream);
    const output = new BoundedOutput(100_000);
    const pipe = new PipeReader(late, output, name);
    const settled = pipe.settle();
    // Whoever takes silence for emptiness gives up long before.
    setTimeout(open, 400);
    await settled;
    equal(output.text().totalBytes, 60_000);
    await pipe.cancel();
  }));

test("settle() does not wait for the end of a pipe that is empty", () =>
  withPipe(0, async (stream, name) => {
    const output = new BoundedOutput(100);
    const pipe = new PipeReader(stream, output, name);
    await pipe.settle();
    equal(output.text().totalBytes, 0);
    await pipe.cancel();
  }));

test("settle() comes to an end also where nothing tells how full the pipe is", () =>
  withPipe(60_000, async (stream) => {
    const output = new BoundedOutput(100_000);
    const pipe = new PipeReader(stream, output);
    await pipe.settle();
    equal(output.text().totalBytes, 60_000);
    await pipe.cancel();
  }));

test("bytesInPipe() tells what nobody has read, and nothing of a pipe that is gone", () =>
  withPipe(1234, async (stream, name) => {
    const reader = stream.getReader({ mode: "byob" });
    equal((await reader.read(new Uint8Array(1000))).value?.length, 1000);
    equal(bytesInPipe(name), 234);
    await reader.cancel();
    equal(bytesInPipe(name), 0);
  }));
