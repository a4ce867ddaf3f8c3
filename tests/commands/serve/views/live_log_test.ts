import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { eachEvent, LiveLog, type LiveLogOptions } from "../../../../src/commands/serve/views/live_log.ts";
import { until } from "../../../support/gocore.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const lineOf = (seq: number, content = "x") =>
  JSON.stringify({ seq, time: "t", type: "log", data: { level: "info", content } }) + "\n";

/** The numbers of the events, in order. */
const NUMBERS: LiveLogOptions<number[]> = { empty: () => [], fold: eachEvent((seen, { seq }) => void seen.push(seq)) };

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const append = (path: string, text: string) => Deno.writeTextFileSync(path, text, { append: true });
const idsIn = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));

class Reader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  text = "";
  hasEnded = false;

  constructor(log: LiveLog<unknown>, after = -1) {
    this.#reader = log.streams.open({ head: "head\n\n", after, types: undefined }).getReader();
    this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.text += decoder.decode(value, { stream: true });
    }
    this.hasEnded = true;
  }

  async untilHas(...ids: number[]): Promise<void> {
    await until(`the events ${ids}`, () => idsIn(this.text).length >= ids.length);
    deepEqual(idsIn(this.text), ids);
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

Deno.test("what is there has been read when it is open, and what comes is there when it is asked for", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(path, lineOf(0) + lineOf(1));
    await using log = await LiveLog.open(path, NUMBERS);
    deepEqual(log.state, [0, 1]);
    equal(log.position, (lineOf(0) + lineOf(1)).length - 1);
    append(path, lineOf(2));
    deepEqual(log.state, [0, 1, 2]);
    // Not before its line is whole.
    append(path, lineOf(3).slice(0, 20));
    deepEqual(log.state, [0, 1, 2]);
    append(path, lineOf(3).slice(20));
    deepEqual(log.state, [0, 1, 2, 3]);
    equal(log.position, Deno.statSync(path).size - 1);
  });
});

Deno.test("a reader gets what comes without anybody asking for it", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(path, lineOf(0));
    await using log = await LiveLog.open(path, NUMBERS);
    const reader = new Reader(log);
    await reader.untilHas(0);
    append(path, lineOf(1));
    await reader.untilHas(0, 1);
    await reader.cancel();
  });
});

Deno.test("the log need not be there yet", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "later/events.jsonl");
    await using log = await LiveLog.open(path, NUMBERS);
    deepEqual([log.state, log.position], [[], -1]);
    const reader = new Reader(log);
    await Deno.mkdir(join(dir, "later"));
    Deno.writeTextFileSync(path, lineOf(0));
    await reader.untilHas(0);
    deepEqual(log.state, [0]);
    await reader.cancel();
  });
});

Deno.test("lines that are torn, no JSON, no event, or far too long are passed over", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    const odd = `{"seq":1,"time":"t","ty\n\nnull\n{"seq":7,"time":"t","type":"unheard.of","data":{}}\n\xff\n`;
    Deno.writeTextFileSync(path, `${lineOf(0)}${odd}${"x".repeat(17 * 1024 * 1024)}\n${lineOf(2)}{"seq":`);
    await using log = await LiveLog.open(path, NUMBERS);
    deepEqual(log.state, [0, 2]);
  });
});

for (
  const [how, replace] of [
    ["another file has its name", (path: string) => {
      Deno.renameSync(path, `${path}.1`);
      Deno.writeTextFileSync(path, lineOf(0, "new"));
    }],
    ["it has become shorter", (path: string) => Deno.writeTextFileSync(path, lineOf(0, "new"))],
  ] as const
) {
  Deno.test(`when ${how}, everything begins anew, and readers are told by the end of their stream`, async () => {
    await inTempDir(async (dir) => {
      const path = join(dir, "events.jsonl");
      Deno.writeTextFileSync(path, range(0, 5).map((seq) => lineOf(seq)).join(""));
      await using log = await LiveLog.open(path, NUMBERS);
      const reader = new Reader(log);
      await reader.untilHas(0, 1, 2, 3, 4);
      replace(path);
      await until("the old stream has ended", () => reader.hasEnded);
      deepEqual(idsIn(reader.text), range(0, 5));
      deepEqual(log.state, [0]);
      const next = new Reader(log);
      await next.untilHas(0);
      ok(next.text.includes('"new"'));
      append(path, lineOf(1));
      await next.untilHas(0, 1);
      await next.cancel();
    });
  });
}

Deno.test("a log that is taken away is remembered as it was", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(path, lineOf(0));
    await using log = await LiveLog.open(path, NUMBERS);
    Deno.removeSync(path);
    deepEqual(log.state, [0]);
  });
});

Deno.test("when it is closed, readers get the rest, and one who takes nothing delays it a moment only", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(path, lineOf(0));
    const log = await LiveLog.open(path, NUMBERS);
    const reader = new Reader(log);
    const stuck = log.streams.open({ head: "head\n\n", after: -1, types: undefined }).getReader();
    // The head, and an event: it is being read, and then no more.
    for (let i = 0; i < 2; i++) await stuck.read();
    await reader.untilHas(0);
    append(path, lineOf(1));
    await log[Symbol.asyncDispose]();
    await until("the stream has ended", () => reader.hasEnded);
    deepEqual(idsIn(reader.text), [0, 1]);
    deepEqual(log.state, [0]);
    await stuck.cancel();
    await log[Symbol.asyncDispose]();
  });
});

Deno.test("what is no plain file is not opened: a pipe would never answer", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(join(dir, "secret"), lineOf(0));
    Deno.symlinkSync(join(dir, "secret"), path);
    await using linked = await LiveLog.open(path, NUMBERS);
    deepEqual(linked.state, []);
    await new Deno.Command("mkfifo", { args: [join(dir, "pipe")] }).output();
    await using piped = await LiveLog.open(join(dir, "pipe"), NUMBERS);
    deepEqual(piped.state, []);
  });
});

Deno.test("what cannot be looked at is told", async () => {
  await inTempDir(async (dir) => {
    await rejects(LiveLog.open(join(dir, "x".repeat(300)), NUMBERS), /too long/i);
  });
});

Deno.test("another process writes, and every reader has every event once and in order, wherever it begins", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    const count = 20_000;
    const program = `
      const file = Deno.openSync(${JSON.stringify(path)}, { append: true, create: true });
      const encoder = new TextEncoder();
      for (let seq = 0; seq < ${count}; seq++) {
        const data = { level: "info", content: "x".repeat(seq % 300) };
        file.writeSync(encoder.encode(JSON.stringify({ seq, time: "t", type: "log", data }) + "\\n"));
        if (seq % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }`;
    await using log = await LiveLog.open(path, NUMBERS);
    const early = new Reader(log);
    const writer = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-lock", program] }).spawn();
    await until("half of it", () => log.state.length > count / 2);
    const after = log.state.at(-1)!;
    const late = new Reader(log, after);
    equal((await writer.status).success, true);
    await until("all of it", () => log.state.length === count);
    await until("the readers have it", () => [early, late].every(({ text }) => text.includes(`id: ${count - 1}\n`)));
    deepEqual(log.state, range(0, count));
    deepEqual(idsIn(early.text), range(0, count));
    deepEqual(idsIn(late.text), range(after + 1, count));
    await early.cancel();
    await late.cancel();
  });
});

Deno.test("a long log is read in pieces: others have their turn, and nobody waits for all of it", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    Deno.writeTextFileSync(path, range(0, 30_000).map((seq) => lineOf(seq, "x".repeat(100))).join(""));
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await using log = await LiveLog.open(path, NUMBERS);
    clearInterval(timer);
    equal(log.state.length, 30_000);
    ok(turns >= 3, `${turns} turns`);
  });
});
