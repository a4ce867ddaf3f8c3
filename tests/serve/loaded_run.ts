/** A run that another process writes as fast as it is told to, read by many, some of whom take nothing. */
import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { RunKind } from "../../src/http/schemas.ts";
import { exists, until } from "../support/gocore.ts";
import { connectSilently, EventReader } from "./event_reader.ts";
import type { Served } from "./served.ts";
import { logOf } from "./write_events.ts";

const WRITER = fileURLToPath(new URL("./write_events.ts", import.meta.url));

export interface Load {
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

/** Of a server, with its readers and its writer. */
export class LoadedRun implements AsyncDisposable {
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
