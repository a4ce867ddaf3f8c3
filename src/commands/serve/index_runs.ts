/** Keeps the index of runs as the disk is: reads what is new or has changed, in small steps, while others are served. */
import { basename, dirname } from "node:path";
import { messageOf } from "../../failure.ts";
import type { HistoryPage, RunKind } from "../../http/schemas.ts";
import type { Redactor } from "../../safety/secrets.ts";
import type { RunIndex, RunRow } from "../../store/run_index.ts";
import { type IndexedRun, type RunReader, unreadableRun } from "./entries/indexed_run.ts";
import {
  dataFolders,
  findPlace,
  folderTimeOf,
  listPlaces,
  placeAt,
  readerOf,
  type RunPlace,
  type RunRoots,
  stampOf,
  workdirPlaces,
} from "./run_places.ts";

/** What the index has of a run, but for the text. */
export type IndexedValue = Omit<IndexedRun, "text" | "alias" | "ledger">;

export interface IndexRunsOptions {
  readonly roots: RunRoots;
  readonly index: RunIndex<IndexedValue>;
  readonly redactor: Redactor;
  now(): number;
  /** Told of runs that were added, changed or removed, after the index has them. */
  onChanged(changed: readonly RunName[]): void;
  /** How far the first reading is; null: it is done. */
  onProgress?(progress: HistoryPage["indexing"]): void;
  /** The index cannot be written any more. */
  onFailure(error: unknown): void;
}

export interface RunName {
  readonly kind: RunKind;
  readonly id: string;
}

interface KnownRun {
  readonly place: RunPlace;
  stamp: string;
  /** When its folder was changed last, once that is long enough ago to be told from the next change; else undefined. */
  settledMs: number | undefined;
  running: boolean;
  readonly alias: string | null;
}

interface Order {
  readonly place: RunPlace;
  readonly done: (() => void)[];
}

/** At one stretch, before others have their turn. */
const STRETCH_MS = 8;
/** Runs that go on are looked at this often. */
const TICK_MS = 500;
const LEAST_ROUND_MS = 1000;
/** Looking at everything takes at most this share of the time. */
const ROUND_SHARE = 0.01;
/** Times of files are this coarse on some file systems. */
const SETTLED_MS = 2100;
/** For a folder to become a run. */
const YOUNG_MS = 120_000;
/** What the system tells of within this time is looked at together. */
const GATHER_MS = 50;
/** Of so many runs that go on the state is kept, so that only what is new is read of their logs. */
const MOST_STATES = 64;
/** Written in one transaction. */
const BATCH_RUNS = 32;
const BATCH_CHARACTERS = 256 * 1024;
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
const WELL: ReadonlySet<string> = new Set(["done", "ok", "already-fixed", "success"]);

export class RunIndexer implements AsyncDisposable {
  readonly #options: IndexRunsOptions;
  readonly #known = new Map<string, KnownRun>();
  /** Of runs that go on. */
  readonly #readers = new Map<string, { readonly files: string; readonly reader: RunReader }>();
  /** Folders that are no runs yet, and until when they are waited for. */
  readonly #young = new Map<string, { readonly root: string; readonly name: string; readonly untilMs: number }>();
  readonly #urgent = new Map<string, Order>();
  readonly #pending = new Map<string, Order>();
  readonly #noticed = new Set<string>();
  /** The runs' own ids of those that the server has started. */
  readonly #started = new Set<string>();
  readonly #firstRound = Promise.withResolvers<void>();
  #isFirstRound = true;
  #done = 0;
  #working: Promise<void> | undefined;
  #rounding: Promise<void> | undefined;
  #roundTimer: ReturnType<typeof setTimeout> | undefined;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #tick: ReturnType<typeof setInterval> | undefined;
  #watcher: Deno.FsWatcher | undefined;
  #watched = "";
  #isClosed = false;

  constructor(options: IndexRunsOptions) {
    this.#options = options;
    for (const { kind, id, alias, stamp, running } of options.index.stamps()) {
      const name = { kind: kind as RunKind, id };
      // Where it lies is found out by the first round.
      const place = { ...name, folder: "" } as RunPlace;
      this.#known.set(keyOf(name), { place, stamp, settledMs: undefined, running, alias });
      if (alias !== null) this.#started.add(alias);
    }
  }

  /** From now on the index follows the disk. */
  start(): void {
    this.#tick = setInterval(() => this.#lookAtRunning(), TICK_MS);
    // Whoever wants to be told can say so before.
    this.#roundTimer = setTimeout(() => this.#rounding = this.#round(), 0);
  }

  /** Settles when everything that was there at the start has been read. */
  get firstRound(): Promise<void> {
    return this.#firstRound.promise;
  }

  get progress(): HistoryPage["indexing"] {
    return this.#isFirstRound ? { done: this.#done, total: this.#done + this.#pending.size } : null;
  }

  /** Where a run of the index lies. */
  placeOf(name: RunName): RunPlace | undefined {
    const known = this.#known.get(keyOf(name));
    // Not yet seen by the first round.
    return known?.place.folder === "" ? findPlace(this.#options.roots, name.kind, name.id) : known?.place;
  }

  /** Looks at one run now, which may be new; resolves when the index has it as it is. */
  async look(name: RunName): Promise<void> {
    const place = findPlace(this.#options.roots, name.kind, name.id);
    if (place === undefined || !this.#isRun(place)) return this.#forget([name]);
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => this.#order(place, { isUrgent: true, done: resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#tick);
    clearTimeout(this.#roundTimer);
    clearTimeout(this.#noticeTimer);
    this.#unwatch();
    for (const { done } of [...this.#urgent.values(), ...this.#pending.values()]) for (const tell of done) tell();
    this.#urgent.clear();
    this.#pending.clear();
    await this.#rounding;
    await this.#working;
    this.#firstRound.resolve();
  }

  /** Everything once, and then again: also where the system tells nothing of changes. */
  async #round(): Promise<void> {
    const stretch = new Stretch();
    const seen = new Set<string>();
    this.#watch();
    for (const place of listPlaces(this.#options.roots)) {
      if (stretch.isOver) await stretch.rest();
      if (this.#isClosed) return;
      const key = keyOf(place);
      // The same run in another workdir.
      if (seen.has(key)) continue;
      if (this.#lookAt(place)) seen.add(key);
    }
    const { spentMs } = stretch;
    const gone = [...this.#known].filter(([key]) => !seen.has(key) && !this.#urgent.has(key));
    this.#forget(gone.map(([, { place }]) => place).filter((name) => !this.#isThere(name)));
    if (this.#isFirstRound) {
      this.#work();
      await this.#working;
      this.#isFirstRound = false;
      this.#firstRound.resolve();
      this.#options.onProgress?.(null);
    }
    if (this.#isClosed) return;
    const waitMs = Math.max(LEAST_ROUND_MS, spentMs / ROUND_SHARE);
    this.#roundTimer = setTimeout(() => this.#rounding = this.#round(), waitMs);
  }

  /** Whether the place has a run. It is read when it has changed. */
  #lookAt(place: RunPlace): boolean {
    if (this.#isDouble(place)) return false;
    const known = this.#known.get(keyOf(place));
    if (known !== undefined && known.settledMs !== undefined && !known.running) {
      if (folderTimeOf(place) === known.settledMs) return true;
    }
    const stamp = stampOf(place);
    if (stamp === undefined) return false;
    // Of an earlier server: whoever carried it out may have died since.
    const isUnsure = known?.running === true && !this.#readers.has(keyOf(place));
    if (known?.stamp !== stamp || isUnsure) this.#order(place, { isUrgent: false });
    else this.#known.set(keyOf(place), { ...known, place, settledMs: this.#settledMsOf(place) });
    return true;
  }

  #lookAtRunning(): void {
    const { roots } = this.#options;
    for (const [key, { place, stamp, running }] of this.#known) {
      if (!running || place.folder === "") continue;
      if (stampOf(place) === stamp && this.#readers.get(key)?.reader.isCarriedOut() === true) continue;
      // A run of a workdir gets other files when it ends.
      const now = isInWorkdir(place) ? findPlace(roots, place.kind, place.id) : place;
      if (now === undefined || !this.#isRun(now)) this.#forget([place]);
      else this.#order(now, { isUrgent: true });
    }
    const nowMs = this.#options.now();
    for (const [path, { root, name, untilMs }] of this.#young) {
      const place = placeAt(roots, root, name);
      if (place !== undefined && stampOf(place) !== undefined) this.#order(place, { isUrgent: true });
      else if (nowMs < untilMs) continue;
      this.#young.delete(path);
    }
  }

  #isThere({ kind, id }: RunName): boolean {
    const place = findPlace(this.#options.roots, kind, id);
    return place !== undefined && this.#isRun(place);
  }

  #isRun(place: RunPlace): boolean {
    return !this.#isDouble(place) && stampOf(place) !== undefined;
  }

  /** A run that the server has started leaves files in its workdir, too. */
  #isDouble(place: RunPlace): boolean {
    return isInWorkdir(place) && this.#started.has(place.id);
  }

  #settledMsOf(place: RunPlace): number | undefined {
    const timeMs = folderTimeOf(place);
    return timeMs !== undefined && this.#options.now() - timeMs > SETTLED_MS ? timeMs : undefined;
  }

  #order(place: RunPlace, { isUrgent, done }: { readonly isUrgent: boolean; readonly done?: () => void }): void {
    const key = keyOf(place);
    const former = this.#urgent.get(key) ?? this.#pending.get(key);
    const order = { place, done: [...former?.done ?? [], ...done === undefined ? [] : [done]] };
    if (isUrgent || this.#urgent.has(key)) {
      this.#pending.delete(key);
      this.#urgent.set(key, order);
    } else this.#pending.set(key, order);
    if (isUrgent || !this.#isFirstRound) this.#work();
  }

  #work(): void {
    this.#working ??= this.#carryOut().finally(() => this.#working = undefined);
  }

  /** Reads what was ordered, one run after the other, until there is no more. */
  async #carryOut(): Promise<void> {
    const stretch = new Stretch();
    let batch: { place: RunPlace; row: RunRow<IndexedValue> }[] = [];
    let told: (() => void)[] = [];
    let characters = 0;
    const flush = () => {
      this.#write(batch);
      for (const tell of told) tell();
      [batch, told, characters] = [[], [], 0];
    };
    while (!this.#isClosed) {
      const queue = this.#urgent.size > 0 ? this.#urgent : this.#pending;
      const [next] = queue;
      if (next === undefined) break;
      const [key, { place, done }] = next;
      queue.delete(key);
      const row = await this.#read(place);
      if (row === undefined) this.#forget([place]);
      else {
        batch.push({ place, row });
        characters += row.text.length;
      }
      told.push(...done);
      if (this.#isFirstRound && queue === this.#pending) {
        this.#done++;
        this.#options.onProgress?.(this.progress);
      }
      const isFull = batch.length >= BATCH_RUNS || characters >= BATCH_CHARACTERS;
      if (isFull || queue === this.#urgent || this.#urgent.size + this.#pending.size === 0) flush();
      if (stretch.isOver) await stretch.rest();
    }
    flush();
  }

  async #read(place: RunPlace): Promise<RunRow<IndexedValue> | undefined> {
    const key = keyOf(place);
    // Before the reading: what changes meanwhile is read again.
    const stamp = stampOf(place);
    if (stamp === undefined || this.#isDouble(place)) return undefined;
    const nowMs = this.#options.now();
    const files = isInWorkdir(place) ? `${place.run.trajectory} ${place.run.log}` : "";
    const known = this.#readers.get(key);
    const reader = known?.files === files ? known.reader : readerOf(place);
    this.#readers.delete(key);
    let run: IndexedRun | undefined;
    try {
      run = await reader.read(nowMs);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      run = unreadableRun(place, messageOf(error), nowMs);
    }
    if (run === undefined) return undefined;
    if (run.entry.running) {
      this.#readers.set(key, { files, reader });
      [...this.#readers.values()].at(-MOST_STATES - 1)?.reader.letGo();
    }
    return this.#rowOf(run, { stamp, nowMs });
  }

  #rowOf(run: IndexedRun, { stamp, nowMs }: { readonly stamp: string; readonly nowMs: number }): RunRow<IndexedValue> {
    const { text, alias, ledger, ...value } = run;
    const { kind, id, folder } = value.entry;
    const redacted = this.#options.redactor.redactDeep(value);
    const { started_at, ended_at, last_event_at, status, running, source, attention } = redacted.entry;
    const endedMs = Date.parse(ended_at ?? last_event_at ?? started_at ?? "");
    return {
      kind,
      id,
      alias,
      stamp,
      started: started_at ?? "",
      status,
      running,
      source,
      ledger,
      well: running || WELL.has(status),
      flag: attention.length === 0 ? "none" : running ? "lasting" : "passing",
      flagUntilMs: (Number.isFinite(endedMs) ? endedMs : nowMs) + WEEK_MS,
      text: this.#options.redactor.redact(text),
      // By which it is found again.
      value: { ...redacted, entry: { ...redacted.entry, id, folder } },
    };
  }

  #write(batch: readonly { readonly place: RunPlace; readonly row: RunRow<IndexedValue> }[]): void {
    if (batch.length === 0 || this.#isClosed) return;
    const { index } = this.#options;
    const doubles: RunName[] = [];
    try {
      index.transaction(() => {
        for (const { row } of batch) index.put(row);
      });
    } catch (error) {
      this.#options.onFailure(error);
      return;
    }
    for (const { place, row } of batch) {
      const { stamp, running, alias } = row;
      this.#known.set(keyOf(place), { place, stamp, running, alias, settledMs: this.#settledMsOf(place) });
      if (alias === null) continue;
      this.#started.add(alias);
      doubles.push({ kind: "mini", id: alias });
    }
    this.#options.onChanged(batch.map(({ row }) => ({ kind: row.kind as RunKind, id: row.id })));
    this.#forget(doubles);
  }

  #forget(names: readonly RunName[]): void {
    const { index } = this.#options;
    const known = names.filter((name) => this.#known.has(keyOf(name)));
    if (known.length === 0 || this.#isClosed) return;
    try {
      index.transaction(() => {
        for (const { kind, id } of known) index.remove(kind, id);
      });
    } catch (error) {
      this.#options.onFailure(error);
      return;
    }
    for (const name of known) {
      const alias = this.#known.get(keyOf(name))!.alias;
      if (alias !== null) this.#started.delete(alias);
      this.#known.delete(keyOf(name));
      this.#readers.delete(keyOf(name));
    }
    this.#options.onChanged(known.map(({ kind, id }) => ({ kind, id })));
  }

  /** The roots alone, where runs come and go: there may be more folders below them than can be watched. */
  #watch(): void {
    const { runsRoot, workspace, miniWorkdirs } = this.#options.roots;
    const wanted = [runsRoot, workspace, ...miniWorkdirs.flatMap(dataFolders)];
    const there = [...new Set(wanted)].flatMap((path) => {
      const found = path === undefined ? undefined : folderId(path);
      return found === undefined ? [] : [{ path: path!, found }];
    });
    const identity = there.map(({ path, found }) => `${path} ${found}`).join("\n");
    if (identity === this.#watched) return;
    this.#unwatch();
    this.#watched = identity;
    try {
      this.#watcher = Deno.watchFs(there.map(({ path }) => path), { recursive: false });
      this.#listen(this.#watcher);
    } catch {
      // No more watches can be had: the rounds are enough.
    }
  }

  #unwatch(): void {
    try {
      this.#watcher?.close();
    } catch {
      // Closed already.
    }
    this.#watcher = undefined;
  }

  async #listen(watcher: Deno.FsWatcher): Promise<void> {
    try {
      for await (const { kind, paths } of watcher) {
        if (kind === "access" || this.#isClosed) continue;
        for (const path of paths) this.#notice(path, { isNew: kind !== "modify" });
      }
    } catch {
      // As when there is no watcher.
    }
  }

  #notice(path: string, { isNew }: { readonly isNew: boolean }): void {
    const name = basename(path);
    // The index and the ledger are written all the time, and logs of runs that go on are looked at anyway.
    if (name.startsWith(".") || name.startsWith("ledger.db") || name.endsWith(".jsonl") && !isNew) return;
    this.#noticed.add(path);
    this.#noticeTimer ??= setTimeout(() => {
      this.#noticeTimer = undefined;
      const noticed = [...this.#noticed];
      this.#noticed.clear();
      for (const path of noticed) this.#lookAtPath(path);
    }, GATHER_MS);
  }

  #lookAtPath(path: string): void {
    const { roots } = this.#options;
    const [root, name] = [dirname(path), basename(path)];
    if (root === roots.runsRoot || root === roots.workspace) {
      const place = placeAt(roots, root, name);
      if (place === undefined) return;
      if (this.#known.has(keyOf(place))) {
        if (stampOf(place) === undefined) this.#forget([place]);
      } else if (folderTimeOf(place) !== undefined) {
        this.#young.set(path, { root, name, untilMs: this.#options.now() + YOUNG_MS });
      }
      return;
    }
    const workdir = roots.miniWorkdirs.find((workdir) => dataFolders(workdir).includes(root));
    if (workdir === undefined) return;
    const there = [...workdirPlaces(workdir)];
    for (const place of there) if (this.#known.get(keyOf(place))?.running !== true) this.#lookAt(place);
    const gone = [...this.#known.values()].map(({ place }) => place)
      .filter((place) => isInWorkdir(place) && place.folder === workdir && !there.some(({ id }) => id === place.id));
    this.#forget(gone);
  }
}

/** Counts the time that is spent, and gives others their turn. */
class Stretch {
  #spentMs = 0;
  #sinceMs = performance.now();

  get spentMs(): number {
    return this.#spentMs + performance.now() - this.#sinceMs;
  }

  get isOver(): boolean {
    return performance.now() - this.#sinceMs > STRETCH_MS;
  }

  async rest(): Promise<void> {
    this.#spentMs = this.spentMs;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#sinceMs = performance.now();
  }
}

function isInWorkdir(place: RunPlace): place is Extract<RunPlace, { readonly form: "workdir" }> {
  return place.kind === "mini" && place.form === "workdir";
}

function keyOf({ kind, id }: RunName): string {
  return `${kind}/${id}`;
}

function folderId(path: string): string | undefined {
  try {
    const { isDirectory, dev, ino, birthtime } = Deno.statSync(path);
    // Numbers of files are given again.
    return isDirectory ? `${dev}/${ino}/${birthtime?.getTime()}` : undefined;
  } catch {
    return undefined;
  }
}
