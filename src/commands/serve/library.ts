/** Everything on disk, for the server: the index of all runs, and the views of those that somebody looks at. */
import { join } from "node:path";
import { VERSION } from "../../config/version.ts";
import { messageOf } from "../../failure.ts";
import { type EntryChange, type Library, Refused } from "../../http/ports.ts";
import type { About, Costs, CostsQuery, Entry, HistoryPage, HistoryQuery, RunKind } from "../../http/schemas.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { type FoundRun, openRunIndex, removeIndex, type RunIndex, type RunPosition } from "../../store/run_index.ts";
import { CostReader } from "./costs.ts";
import { secondsBetween } from "./entries/indexed_run.ts";
import { type IndexedValue, RunIndexer, type RunName } from "./index_runs.ts";
import { OpenViews } from "./open_views.ts";
import type { RunPlace, RunRoots } from "./run_places.ts";
import { openMiniView } from "./views/mini_view.ts";
import { openRunView } from "./views/run_view.ts";
import { openSessionView } from "./views/session_view.ts";

export interface LibraryOptions {
  readonly roots: RunRoots;
  readonly canStart: readonly RunKind[];
  /** Finds git; its secrets are in nothing that is kept or shown. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  now(): number;
  /** What is in the index's file is not used. */
  readonly rebuilds?: boolean;
  /** Told in a sentence, once for each problem. */
  onProblem(problem: string): void;
  /** How far the first reading is; null: it is done. */
  onProgress?(progress: HistoryPage["indexing"]): void;
}

export const INDEX_NAME = ".gocore-index.db";
const LEDGER_NAME = "ledger.db";
const LONGEST_QUERY = 2000;
/** What is over by the time alone is told about this often. */
const CLOCK_MS = 30_000;
/** What changes within this time is looked at together. */
const GATHER_MS = 200;

/** The library follows the disk from now on. Never fails for what is there, nor for what is not. */
export async function openLibrary(options: LibraryOptions): Promise<DiskLibrary> {
  const { roots: { runsRoot }, rebuilds = false, onProblem } = options;
  const hasRoot = runsRoot !== undefined &&
    await Deno.stat(runsRoot).then(({ isDirectory }) => isDirectory, () => false);
  const path = hasRoot ? join(runsRoot, INDEX_NAME) : undefined;
  if (path !== undefined && rebuilds) {
    try {
      removeIndex(path);
    } catch (error) {
      onProblem(`The index "${path}" cannot be removed: ${messageOf(error)}`);
    }
  }
  return new DiskLibrary(await openRunIndex(path, { version: VERSION, onProblem }), options);
}

export class DiskLibrary implements Library, AsyncDisposable {
  readonly about: About;
  readonly #options: LibraryOptions;
  readonly #redactor: Redactor;
  readonly #views: OpenViews;
  readonly #costs: CostReader;
  readonly #listeners = new Set<(change: EntryChange) => void>();
  readonly #clock: ReturnType<typeof setInterval>;
  #index: RunIndex<IndexedValue>;
  #indexer: RunIndexer;
  /** Those that somebody should look at, as they were told last. */
  #flagged: ReadonlyMap<string, RunName>;
  #flagTimer: ReturnType<typeof setTimeout> | undefined;
  #replacing: Promise<void> | undefined;

  constructor(index: RunIndex<IndexedValue>, options: LibraryOptions) {
    const { roots, canStart, env, now } = options;
    this.#options = options;
    this.#redactor = new Redactor(secretsIn(env));
    this.#views = new OpenViews(now);
    this.#index = index;
    this.#flagged = this.#flaggedNow();
    this.#indexer = this.#follow();
    this.#clock = setInterval(() => this.#changed([]), CLOCK_MS);
    const ledgers = () => {
      const own = roots.runsRoot === undefined ? [] : [join(roots.runsRoot, LEDGER_NAME)];
      return [...new Set([...own, ...this.#index.ledgers()])].filter((path) => path !== ":memory:");
    };
    this.#costs = new CostReader({
      ledgers,
      minis: () => this.#index.values("mini"),
      agentOf: (run, worker) => this.#agentOf(run, worker),
    });
    this.about = {
      version: VERSION,
      mode: "all",
      session_id: null,
      runs_root: roots.runsRoot ?? null,
      workspace: roots.workspace ?? null,
      mini_workdirs: [...roots.miniWorkdirs],
      can_start: [...canStart],
    };
  }

  /** Settles when everything that was there at the start has been read. */
  get firstRound(): Promise<void> {
    return this.#indexer.firstRound;
  }

  history({ kind, status, q, cursor, limit }: HistoryQuery): HistoryPage {
    const after = cursor === undefined ? undefined : positionOf(cursor);
    const words = q?.slice(0, LONGEST_QUERY);
    // One more tells whether there is a next page.
    const query = { kind, status, words, after, limit: limit + 1, nowMs: this.#options.now() };
    const { found, total } = this.#ask((index) => index.page(query));
    const entries = found.slice(0, limit).map((run) => this.#entryOf(run));
    const last = entries.at(-1);
    return {
      entries,
      next: found.length > limit && last !== undefined ? cursorOf(last) : null,
      total,
      indexing: this.#indexer.progress,
    };
  }

  attention(): Entry[] {
    return this.#ask((index) => index.flagged(this.#options.now())).map((run) => this.#entryOf(run));
  }

  entry(kind: RunKind, id: string): Entry | undefined {
    const found = this.#ask((index) => index.get(kind, id, { nowMs: this.#options.now() }));
    return found === undefined ? undefined : this.#entryOf(found);
  }

  ids(kind: RunKind): string[] {
    return this.#ask((index) => index.ids(kind));
  }

  subscribe(listener: (change: EntryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  costs(query: CostsQuery): Costs {
    return this.#ask(() => this.#costs.read(query));
  }

  async session(id: string | undefined) {
    const name = id ?? this.#ask((index) => index.newest("session"));
    const place = name === undefined ? undefined : await this.#placeOf("session", name);
    return place && await this.#views.get(keyOf(place), () => openSessionView(place.folder, this.#options));
  }

  async run(id: string) {
    const place = await this.#placeOf("manager", id);
    return place && await this.#views.get(keyOf(place), () => openRunView(place.folder, this.#options));
  }

  async mini(id: string) {
    const place = await this.#placeOf("mini", id) ?? await this.#placeOf("mini", this.#aliased(id));
    if (place?.kind !== "mini") return undefined;
    const files = place.form === "workdir" ? `${place.run.trajectory} ${place.run.log}` : "";
    return await this.#views.get(`${keyOf(place)}${files}`, () => openMiniView(place, this.#options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#clock);
    await this.#replacing;
    await this.#indexer[Symbol.asyncDispose]();
    clearTimeout(this.#flagTimer);
    await this.#views[Symbol.asyncDispose]();
    this.#index[Symbol.dispose]();
  }

  #follow(): RunIndexer {
    const { roots, now, onProgress } = this.#options;
    const indexer = new RunIndexer({
      roots,
      index: this.#index,
      redactor: this.#redactor,
      now,
      onChanged: (changed) => this.#changed(changed),
      onProgress,
      onFailure: (error) => this.#startAnew(error),
    });
    indexer.start();
    return indexer;
  }

  /** Where the run lies: also one that is so new that the index does not have it. */
  async #placeOf(kind: RunKind, id: string | undefined): Promise<RunPlace | undefined> {
    if (id === undefined) return undefined;
    const name = { kind, id };
    if (this.entry(kind, id) === undefined) await this.#indexer.look(name);
    return this.entry(kind, id) === undefined ? undefined : this.#indexer.placeOf(name);
  }

  #aliased(alias: string): string | undefined {
    return this.#ask((index) => index.idOfAlias("mini", alias));
  }

  #agentOf(run: string, worker: string): string | undefined {
    for (const kind of ["session", "manager"]) {
      const found = this.#index.get(kind, run, { nowMs: 0 })?.value.workers.find(([name]) => name === worker);
      if (found !== undefined) return found[1];
    }
    return undefined;
  }

  #entryOf({ value: { entry }, isOver }: FoundRun<IndexedValue>): Entry {
    const now = new Date(this.#options.now()).toISOString();
    const elapsed = entry.running ? secondsBetween(entry.started_at, now) : entry.elapsed_seconds;
    return { ...entry, elapsed_seconds: elapsed, attention: isOver ? [] : entry.attention };
  }

  #ask<R>(question: (index: RunIndex<IndexedValue>) => R): R {
    try {
      return question(this.#index);
    } catch (error) {
      if (error instanceof Refused) throw error;
      this.#startAnew(error);
      throw new Refused(503, "The index of the runs is being made anew: try again in a moment");
    }
  }

  /** The file is broken, or the disk full: the index goes on in memory, with what the disk has of the runs. */
  #startAnew(error: unknown): void {
    if (this.#replacing !== undefined) return;
    this.#options.onProblem(`The index of the runs failed, and is made anew in memory: ${messageOf(error)}`);
    this.#replacing = (async () => {
      await this.#indexer[Symbol.asyncDispose]();
      const former = this.#index;
      this.#index = await openRunIndex(undefined, { version: VERSION, onProblem: this.#options.onProblem });
      former[Symbol.dispose]();
      this.#indexer = this.#follow();
    })().finally(() => this.#replacing = undefined);
  }

  #changed(changed: readonly RunName[]): void {
    for (const name of changed) this.#tell(name);
    this.#flagTimer ??= setTimeout(() => {
      this.#flagTimer = undefined;
      this.#tellFlags();
    }, GATHER_MS);
  }

  /** Of those that need nobody any more, or again, because of other runs or of the time. */
  #tellFlags(): void {
    const flagged = this.#flaggedNow();
    const before = this.#flagged;
    this.#flagged = flagged;
    for (const [key, name] of flagged) if (!before.has(key)) this.#tell(name);
    for (const [key, name] of before) if (!flagged.has(key)) this.#tell(name);
  }

  #tell({ kind, id }: RunName): void {
    const entry = this.entry(kind, id);
    if (entry === undefined) this.#views.close(keyOf({ kind, id }));
    const change: EntryChange = entry === undefined ? { removed: { kind, id } } : { entry };
    for (const listener of this.#listeners) listener(change);
  }

  #flaggedNow(): ReadonlyMap<string, RunName> {
    const names = this.#index.flaggedNames(this.#options.now()) as RunName[];
    return new Map(names.map((name) => [keyOf(name), name]));
  }
}

/** No id has a blank. */
function keyOf({ kind, id }: RunName): string {
  return `${kind} ${id} `;
}

function cursorOf({ started_at, kind, id }: Entry): string {
  return btoa(JSON.stringify([started_at ?? "", kind, id])).replaceAll("+", "-").replaceAll("/", "_");
}

function positionOf(cursor: string): RunPosition {
  try {
    const value: unknown = JSON.parse(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")));
    if (Array.isArray(value) && value.length === 3 && value.every((part) => typeof part === "string")) {
      return value as unknown as RunPosition;
    }
  } catch {
    // As for any other text that is none.
  }
  throw new Refused(400, "cursor: has to be the `next` of a page");
}
