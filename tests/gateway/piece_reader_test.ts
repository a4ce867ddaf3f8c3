import { deepStrictEqual as deepEqual, rejects } from "node:assert/strict";
import { createPieceReader } from "../../src/gateway/piece_reader.ts";

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);

/** A piece of a buffer that is much larger, as runtimes hand it over. */
const inLargeBuffer = (from: number, to: number) => bytes.subarray(from, to);

const plain = () =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(inLargeBuffer(0, 3));
      controller.enqueue(inLargeBuffer(3, 100_000));
      controller.close();
    },
  });

const ofBytes = () => new Blob([bytes]).stream();

for (const [name, open] of [["plain", plain], ["of bytes", ofBytes]] as const) {
  Deno.test(`pieces of a stream ${name} are all of it, hold no more memory than they need, and stay as they are`, async () => {
    const reader = createPieceReader(open());
    const pieces: Uint8Array[] = [];
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) pieces.push(piece);
    deepEqual(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).bytes(), bytes);
    deepEqual(pieces.map(({ buffer }) => buffer.byteLength), pieces.map(({ byteLength }) => byteLength));
  });
}

for (const type of [undefined, "bytes"] as const) {
  Deno.test(`cancel() ends a read of a stream ${type === undefined ? "plain" : "of bytes"} that waits`, async () => {
    let reason: unknown;
    const source = { type: type as undefined, cancel: (given: unknown) => void (reason = given) };
    const reader = createPieceReader(new ReadableStream<Uint8Array>(source));
    const waiting = reader.read();
    await reader.cancel("enough");
    deepEqual([await waiting, reason], [undefined, "enough"]);
  });

  Deno.test(`a stream ${type === undefined ? "plain" : "of bytes"} that breaks off fails the read`, async () => {
    const source = {
      type: type as undefined,
      start: (it: ReadableStreamDefaultController) => it.error(new Error("cut")),
    };
    const reader = createPieceReader(new ReadableStream<Uint8Array>(source));
    await rejects(reader.read(), /^Error: cut$/);
    await reader.cancel("ends, all the same");
  });
}
