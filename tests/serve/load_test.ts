/** Streams of `gocore serve` under load: many readers, some of which take nothing, a fast writer, and a server that dies. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { RunKind } from "../../src/http/schemas.ts";
import { exists, until } from "../support/gocore.ts";
import { connectSilently, EventReader } from "./event_reader.ts";
import { Served } from "./served.ts";
import { logOf } from "./write_events.ts";

const WRITER = fileURLToPath(new URL("./write_events.ts", import.meta.url));

interface Load {
  readonly kind: RunKind;
  readonly readers: number;
  readonly silent: number;
  readonly events: number;
  /** Per second. */
  readonly rate: number;
  /** Of each event's text. */
  readonly bytes: number;
}

/** Of a log: what its events are to be named by, and the events themselves. */
async function eventsOf(kind: RunKind, path: string): Promise<{ ids: number[]; lines: string[] }> {
  const lines = (await Deno.readTextFile(path)).trimEnd().split("\n");
  let offset = 0;
  const ids = lines.map((line, index) => {
    const start = offset;
    offset += line.length + 1;
    return kind === "mini" ? start : index;
  });
  return { ids, lines };
}

class LoadedRun implements AsyncDisposable {
  readonly readers: EventReader[];
  readonly #silent: Deno.TcpConn[] = [];

  private constructor(
    readonly served: Served,
    private readonly load: Load,
    readonly folder: string,
    private readonly writer: Deno.ChildProcess,
  ) {
    this.readers = Array.from(
      { length: load.readers },
      (_, index) => new EventReader(() => this.#url, { keepsData: index === 0 }),
    );
  }

  static async start(served: Served, load: Load): Promise<LoadedRun> {
    const { kind, events, rate, bytes } = load;
    const folder = `${kind === "session" ? served.workspace : served.runsRoot}/${kind}-1`;
    const writer = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "-A", WRITER, kind, folder, ...[events, rate, bytes].map(String)],
      stdin: "piped",
    }).spawn();
    await until("there is a run", () => exists(logOf(kind, folder)));
    const run = new LoadedRun(served, load, folder, writer);
    for (let i = 0; i < load.silent; i++) run.#silent.push(await connectSilently(run.#url));
    return run;
  }

  get #url(): string {
    const { kind } = this.load;
    const place = { session: "sessions", manager: "runs", mini: "mini" }[kind];
    return `${this.served.url}/api/${place}/${kind}-1/events/stream`;
  }

  /** Waits until every reader has so many events. */
  async read(count: number): Promise<void> {
    await until(`${count} events are read`, () => this.readers.every(({ ids }) => ids.length >= count));
  }

  async isWhole(): Promise<void> {
    const { kind, events } = this.load;
    // Before the last ones: those that begin a run.
    await this.read(events + (kind === "mini" ? 0 : 2));
    const { ids, lines } = await eventsOf(kind, logOf(kind, this.folder));
    for (const reader of this.readers) deepEqual(reader.ids, ids);
    deepEqual(this.readers[0]!.data, lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.leave()));
    for (const connection of this.#silent) connection.close();
    await this.writer.stdin.close();
    await this.writer.status;
  }
}

Deno.test("readers have each event once and in order, while others take nothing and cost no memory", async () => {
  await using served = await Served.start();
  const load = { kind: "session", readers: 16, silent: 8, events: 20_000, rate: 10_000, bytes: 1500 } as const;
  await using run = await LoadedRun.start(served, load);
  await run.read(2000);
  const before = await served.memoryMb();
  const sizes: number[] = [];
  const watch = setInterval(async () => sizes.push(await served.memoryMb()), 100);
  try {
    await run.read(load.events);
  } finally {
    clearInterval(watch);
  }
  await run.isWhole();
  equal(Math.max(...run.readers.map(({ connections }) => connections)), 1);
  const most = Math.max(...sizes);
  // The log times those that take nothing would be 250 MB.
  ok(most - before < 100, `${before} MB have become ${most} MB`);
});

for (const kind of ["session", "manager", "mini"] as const) {
  Deno.test(`readers of a ${kind} go on without a gap or a double when the server is killed and started again`, async () => {
    await using served = await Served.start();
    const load: Load = { kind, readers: 5, silent: 2, events: 12_000, rate: 4000, bytes: 200 };
    await using run = await LoadedRun.start(served, load);
    for (const share of [0.25, 0.6]) {
      await run.read(share * load.events);
      await served.killAndStartAgain();
    }
    await run.isWhole();
    ok(run.readers.every(({ connections }) => connections >= 3));
  });
}
