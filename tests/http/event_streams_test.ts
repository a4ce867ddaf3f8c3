import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { EventStreams } from "../../src/http/event_streams.ts";

/** A log that grows in memory, and counts what is read of it. */
class GrowingLog {
  #bytes = new Uint8Array(64 * 1024 * 1024);
  #length = 0;
  seq = 0;
  readBytes = 0;

  append(type: string, text: string): void {
    const line = JSON.stringify({ seq: this.seq++, time: "t", type, data: { text } }) + "\n";
    this.#length += new TextEncoder().encodeInto(line, this.#bytes.subarray(this.#length)).written;
  }

  size(): number {
    return this.#length;
  }

  read(offset: number, into: Uint8Array): number {
    const part = this.#bytes.subarray(offset, Math.min(offset + into.length, this.#length));
    into.set(part);
    this.readBytes += part.length;
    return part.length;
  }
}

/** Reads on until the text that has come satisfies `isEnough`, or the stream ends. */
async function readText(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  isEnough: (text: string) => boolean = () => false,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!isEnough(text)) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

const idsIn = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const all = { head: "head\n\n", after: -1, types: undefined };

Deno.test("a reader gets its head, what was there, and what comes", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log);
  log.append("log", "a");
  const reader = streams.open(all).getReader();
  equal(
    await readText(reader, (text) => text.includes("id: 0")),
    'head\n\nid: 0\nevent: log\ndata: {"seq":0,"time":"t","type":"log","data":{"text":"a"}}\n\n',
  );
  log.append("log", "b");
  streams.notice();
  deepEqual(idsIn(await readText(reader, (text) => text !== "")), [1]);
  log.append("log", "c");
  const ended = streams.end();
  deepEqual(idsIn(await readText(reader)), [2]);
  await ended;
});

Deno.test("a reader that takes nothing costs nothing, and gets everything later", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log);
  const slow = streams.open(all).getReader();
  equal(await readText(slow, (text) => text !== ""), "head\n\n");
  const before = log.readBytes;
  for (let i = 0; i < 10_000; i++) {
    log.append("log", "x".repeat(1000));
    streams.notice();
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  equal(log.readBytes, before);
  deepEqual(idsIn(await readText(slow, (text) => text.slice(-2000).includes("id: 9999\n"))), range(0, 10_000));
  const ended = streams.end();
  equal(await readText(slow), "");
  await ended;
});

Deno.test("readers that keep up share what is read", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log);
  const readers = Array.from({ length: 100 }, () => streams.open(all).getReader());
  const texts = readers.map((reader) => readText(reader));
  for (let i = 0; i < 200; i++) {
    log.append("log", "x".repeat(1000));
    streams.notice();
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const [ended, ...received] = await Promise.all([streams.end(), ...texts]);
  equal(ended, undefined);
  for (const text of received) deepEqual(idsIn(text), range(0, 200));
  // Each alone would have read 100 times as much.
  ok(log.readBytes < 10 * log.size(), `${log.readBytes} bytes were read of ${log.size()}`);
});

Deno.test("a reader gets only the types that it asked for, from its place on", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log);
  for (let i = 0; i < 1000; i++) log.append(i % 10 === 0 ? "log" : "cost", "x".repeat(500));
  const reader = streams.open({ head: "head\n\n", after: 499, types: new Set(["log"]) }).getReader();
  await Promise.all([
    streams.end(),
    readText(reader).then((text) => deepEqual(idsIn(text), range(50, 100).map((i) => 10 * i))),
  ]);
});

Deno.test("a reader that goes on from any event gets all that come after it, once", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log);
  for (let i = 0; i < 60; i++) log.append("log", "x".repeat(i % 2 === 0 ? 20_000 : 45_000));
  const texts = range(-1, 60).map((after) => readText(streams.open({ ...all, after }).getReader()));
  const [, ...received] = await Promise.all([streams.end(), ...texts]);
  deepEqual(received.map(idsIn), range(-1, 60).map((after) => range(after + 1, 60)));
});

Deno.test("a silent stream shows that it is alive", async () => {
  const streams = new EventStreams(new GrowingLog(), { heartbeatMs: 1 });
  const reader = streams.open(all).getReader();
  equal(
    await readText(reader, (text) => text.split(": still here\n\n").length > 3),
    "head\n\n: still here\n\n: still here\n\n: still here\n\n",
  );
  await reader.cancel();
  await streams.end();
});

Deno.test("a reader that leaves, and one that never reads, do not delay the end", async () => {
  const streams = new EventStreams(new GrowingLog());
  const reader = streams.open(all).getReader();
  await readText(reader, (text) => text !== "");
  const waiting = reader.read();
  await reader.cancel();
  equal((await waiting).done, true);
  streams.open(all);
  await streams.end();
});

Deno.test("a reader of events without numbers goes on from any of them", async () => {
  const log = new GrowingLog();
  const streams = new EventStreams(log, { numbering: "offset" });
  const places = Array.from({ length: 40 }, () => {
    const place = log.size();
    log.append("log", "x".repeat(9000));
    return place;
  });
  const texts = [-1, ...places].map((after) => readText(streams.open({ ...all, after }).getReader()));
  const [, ...received] = await Promise.all([streams.end(), ...texts]);
  deepEqual(received.map(idsIn), range(0, 41).map((from) => places.slice(from)));
});
