/** The library of `gocore orchestrate`'s own server: the one session that this process carries out. */
import { basename } from "node:path";
import { VERSION } from "../../config/version.ts";
import type { EventStreams } from "../../http/event_streams.ts";
import { type EntryChange, type Library, Refused, type SessionView } from "../../http/ports.ts";
import type { About, Costs, CostsQuery, Entry, HistoryPage, HistoryQuery, RunKind } from "../../http/schemas.ts";
import type { Control } from "../../orchestrate/ports.ts";
import type { SessionLog } from "../orchestrate/session_folder.ts";
import { CostReader } from "./costs.ts";
import type { IndexedRun } from "./entries/indexed_run.ts";
import { SessionReader } from "./entries/session_entry.ts";
import { openSessionView } from "./views/session_view.ts";

export interface OneSessionOptions {
  readonly folder: string;
  readonly log: Pick<SessionLog, "state" | "bus">;
  readonly streams: EventStreams;
  /** Carries a control out at once: then it is among `state.controls`, unless the session is ending. */
  take(control: Control): void;
  /** Finds git; its secrets are masked. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  now(): number;
}

/** What changes within this time is told of together. */
const GATHER_MS = 500;

/** Reads what the session's log has so far. Throws what the system says when it cannot be read. */
export async function openOneSession(options: OneSessionOptions): Promise<OneSession> {
  const session = new OneSession(options);
  await session.refresh();
  return session;
}

export class OneSession implements Library, AsyncDisposable {
  readonly about: About;
  readonly #options: OneSessionOptions;
  readonly #id: string;
  readonly #reader: SessionReader;
  readonly #view: SessionView;
  readonly #costs: CostReader;
  readonly #listeners = new Set<(change: EntryChange) => void>();
  readonly #unsubscribe: () => void;
  /** As others see it, for what its log alone tells; opened when somebody asks for that. */
  #followed: ReturnType<typeof openSessionView> | undefined;
  #run: IndexedRun | undefined;
  #refreshing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OneSessionOptions) {
    const { folder, log: { state, bus } } = options;
    this.#options = options;
    this.#id = basename(folder);
    this.about = {
      version: VERSION,
      mode: "session",
      session_id: this.#id,
      runs_root: null,
      workspace: null,
      mini_workdirs: [],
      can_start: [],
    };
    this.#reader = new SessionReader(folder);
    this.#view = this.#viewOf(options);
    this.#costs = new CostReader({
      ledgers: () => this.#run?.ledger == null ? [] : [this.#run.ledger],
      minis: () => [],
      agentOf: (run, worker) => run === this.#id ? state.workers.get(worker)?.agent : undefined,
    });
    this.#unsubscribe = bus.subscribe(() => {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        // What cannot be read now is read with a later event.
        this.refresh().catch(() => {});
      }, GATHER_MS);
    });
  }

  /** Reads what is new in the log. */
  refresh(): Promise<void> {
    return this.#refreshing ??= this.#read().finally(() => this.#refreshing = undefined);
  }

  history({ kind, status, q = "" }: HistoryQuery): HistoryPage {
    const words = q.toLowerCase().split(/\s+/);
    const text = (this.#run?.text ?? "").toLowerCase();
    const entries = this.#entries().filter((entry) =>
      (kind === undefined || kind === entry.kind) && words.every((word) => text.includes(word)) &&
      (status === undefined || status === entry.status || status === "running" && entry.running)
    );
    return { entries, next: null, total: entries.length, indexing: null };
  }

  attention(): Entry[] {
    return this.#entries().filter(({ attention }) => attention.length > 0);
  }

  entry(kind: RunKind, id: string): Entry | undefined {
    return this.#entries().find((entry) => entry.kind === kind && entry.id === id);
  }

  ids(kind: RunKind): string[] {
    return kind === "session" ? [this.#id] : [];
  }

  subscribe(listener: (change: EntryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  costs(query: CostsQuery): Costs {
    return this.#costs.read(query);
  }

  async session(id: string | undefined): Promise<SessionView | undefined> {
    return id === undefined || id === this.#id ? this.#view : undefined;
  }

  async run(): Promise<undefined> {}

  async mini(): Promise<undefined> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#refreshing?.catch(() => {});
    await (await this.#followed?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  #entries(): Entry[] {
    const { state, now } = { ...this.#options.log, ...this.#options };
    if (this.#run === undefined) return [];
    const { entry } = this.#run;
    const elapsed = state.finish === null ? Math.max(0, now() - Date.parse(state.startedAt)) / 1000 : undefined;
    return [{ ...entry, ...(elapsed !== undefined && { elapsed_seconds: elapsed }) }];
  }

  async #read(): Promise<void> {
    const run = await this.#reader.read(this.#options.now());
    this.#run = run;
    if (run === undefined) return;
    for (const listener of this.#listeners) listener({ entry: run.entry });
  }

  #viewOf({ folder, log: { state }, streams, take }: OneSessionOptions): SessionView {
    const followed = () => {
      this.#followed ??= openSessionView(folder, this.#options).catch((error) => {
        this.#followed = undefined;
        throw error;
      });
      return this.#followed;
    };
    return {
      folder,
      state,
      streams,
      isSupervised: () => true,
      async control(control) {
        take(control);
        if (!state.controls.has(control.id)) throw new Refused(409, "The session is just ending");
      },
      diff: async (worker) => (await followed()).diff(worker),
      usage: async () => (await followed()).usage(),
      timeline: async () => (await followed()).timeline(),
    };
  }
}
