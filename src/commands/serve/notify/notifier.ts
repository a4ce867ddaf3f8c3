/** Tells people and machines elsewhere of what happens to runs, each thing once. */
import { join } from "node:path";
import { messageOf } from "../../../failure.ts";
import type { Timers } from "../../../gateway/rate_gate.ts";
import type { EntryChange, Library } from "../../../http/ports.ts";
import type { Entry, RunKind } from "../../../http/schemas.ts";
import { Redactor, secretsIn } from "../../../safety/secrets.ts";
import { claimLock } from "../../../store/owner_lock.ts";
import { makeRunsRoot } from "../../manager/run_folder.ts";
import { everyEntry } from "../every_entry.ts";
import { readNotified, writeNotified } from "./notified_state.ts";
import { Place, type PlaceFigures } from "./place.ts";
import type { NotifyEvent, NotifySettings } from "./read_places.ts";
import { lastMsOf, transitionsOf } from "./transitions.ts";

export interface NotifierOptions {
  readonly settings: NotifySettings;
  readonly library: Pick<Library, "subscribe" | "history" | "entry">;
  /** Of manager runs, absolute: where it is kept what was told. */
  readonly runsRoot: string;
  /** Of the server, with a slash at its end and without a token; undefined: messages have no link. */
  readonly dashboardUrl: string | undefined;
  /** Its secrets are in no message. */
  readonly env: Readonly<Record<string, string>>;
  /** Told, in a line, of what goes wrong. Not escaped for a terminal. */
  tell(text: string): void;
  /** Milliseconds since 1970. */
  now(): number;
  readonly timers?: Timers;
}

export interface NotifierFigures {
  /** By format. Since the server began. */
  readonly places: ReadonlyMap<string, Readonly<PlaceFigures>>;
  /** Messages now. */
  readonly waiting: number;
}

export interface Notifier extends AsyncDisposable {
  readonly figures: NotifierFigures;
}

export const NOTIFIED_FILE = ".gocore-notified.json";
const LOCK_FILE = ".gocore-notified.lock";
/** What is over sooner is not told: a run that begins or ends may be between two of its files. */
const SETTLE_MS = 3000;
/** While another server tells. */
const LOOK_MS = 10_000;
const END_GRACE_MS = 2000;
/** What happened longer ago, while no server ran, is no news any more. */
const LONGEST_NEWS_MS = 24 * 60 * 60 * 1000;
const MOST_RECORDS = 1000;
const MOST_KEYS = 100;
/** The most urgent first: a run's news of one moment are one message. */
const URGENCY: readonly NotifyEvent[] = ["failure", "attention", "finish"];
const FOLDERS: Readonly<Record<RunKind, string>> = { mini: "mini", session: "sessions", manager: "runs" };

/**
 * Begins at once. What was before the first server is no news; what happens between two servers is. Two servers over
 * the same runs take turns: the second one waits for the end of the first. Nothing ever waits for a message.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  return new RunNotifier(options);
}

interface NotifiedRun {
  atMs: number;
  /** What was told, is being told, or nobody wants to be told. */
  readonly keys: Set<string>;
}

class RunNotifier implements Notifier {
  readonly figures: NotifierFigures;
  readonly #options: NotifierOptions;
  readonly #timers: Timers;
  readonly #redactor: Redactor;
  readonly #places: readonly Place[];
  readonly #runs = new Map<string, NotifiedRun>();
  /** Messages that are under way, as `{run} {key}`: the next server has to send them. */
  readonly #unsent = new Set<string>();
  /** Runs that are to be looked at. */
  readonly #changed = new Map<string, { readonly kind: RunKind; readonly id: string }>();
  #sinceMs = 0;
  #release: (() => void) | undefined;
  #unsubscribe: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #settling: unknown;
  #lookTimer: unknown;
  #saving: Promise<void> = Promise.resolve();
  #isUnsaved = false;
  #isEnding = false;
  #obstacle: string | undefined;

  constructor(options: NotifierOptions) {
    const { settings, env, tell } = options;
    this.#options = options;
    this.#timers = options.timers ?? {
      setTimeout: (callback, ms) => setTimeout(callback, ms),
      clearTimeout: (timer) => clearTimeout(timer as number),
    };
    this.#redactor = new Redactor([...secretsIn(env), ...settings.places.map(({ address }) => address)]);
    this.#places = settings.places.map((place) => new Place(place, { timers: this.#timers, tell }));
    const places = this.#places;
    this.figures = {
      places: new Map(places.map(({ format, figures }) => [format, figures])),
      get waiting() {
        return places.reduce((sum, { waiting }) => sum + waiting, 0);
      },
    };
    if (places.length > 0) this.#begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#unsubscribe?.();
    this.#timers.clearTimeout(this.#lookTimer);
    this.#timers.clearTimeout(this.#settling);
    await this.#reading;
    if (this.#release === undefined) return;
    await Promise.all(this.#places.map((place) => place.end(END_GRACE_MS)));
    // Those that have just been sent say so in a moment.
    await new Promise((resolve) => setTimeout(resolve, 0));
    await this.#saving;
    this.#release();
  }

  readonly #begin = () => {
    this.#reading = this.#read().catch((error) => this.#wait(messageOf(error)));
  };

  async #read(): Promise<void> {
    const { runsRoot, library, now } = this.#options;
    await makeRunsRoot(runsRoot);
    const claim = claimLock(join(runsRoot, LOCK_FILE));
    if (claim.kind === "taken") return this.#wait(`process ${claim.owner.pid} tells of the runs in "${runsRoot}"`);
    try {
      const state = await readNotified(join(runsRoot, NOTIFIED_FILE));
      this.#sinceMs = Math.max(state?.since_ms ?? now(), now() - LONGEST_NEWS_MS);
      for (const { run, at_ms, keys } of state?.runs ?? []) this.#runs.set(run, { atMs: at_ms, keys: new Set(keys) });
    } catch (error) {
      claim.release();
      throw error;
    }
    this.#release = claim.release;
    this.#unsubscribe = library.subscribe((change) => this.#take(change));
    this.#save();
    for await (const entry of everyEntry(library)) {
      if (this.#isEnding) return;
      this.#take({ entry });
    }
  }

  #wait(obstacle: string): void {
    if (obstacle !== this.#obstacle) this.#options.tell(`Nobody is notified: ${obstacle}`);
    this.#obstacle = obstacle;
    if (!this.#isEnding) this.#lookTimer = this.#timers.setTimeout(this.#begin, LOOK_MS);
  }

  #take(change: EntryChange): void {
    if ("removed" in change) {
      if (this.#runs.delete(keyOf(change.removed))) this.#save();
      this.#changed.delete(keyOf(change.removed));
      return;
    }
    const { entry, entry: { kind, id, running } } = change;
    // From now on what happens to it is news, whatever its log says of the time.
    if (running) this.#recordOf(entry);
    else if (!this.#runs.has(keyOf(entry)) && lastMsOf(entry) < this.#sinceMs) return;
    this.#changed.set(keyOf(entry), { kind, id });
    this.#settling ??= this.#timers.setTimeout(() => this.#lookAtChanged(), SETTLE_MS);
  }

  #lookAtChanged(): void {
    this.#settling = undefined;
    for (const { kind, id } of this.#changed.values()) {
      const entry = this.#options.library.entry(kind, id);
      if (entry !== undefined) this.#look(entry);
    }
    this.#changed.clear();
  }

  #look(entry: Entry): void {
    const record = this.#runs.get(keyOf(entry));
    const news = transitionsOf(entry).filter(({ key, atMs }) =>
      record === undefined ? atMs >= this.#sinceMs : !record.keys.has(key)
    );
    if (news.length === 0) return;
    const { on, kinds } = this.#options.settings;
    const event = kinds.has(entry.kind)
      ? URGENCY.find((event) => on.has(event) && news.some((transition) => transition.event === event))
      : undefined;
    const { keys } = this.#recordOf(entry);
    for (const { key } of news) keys.add(key);
    for (const key of [...keys].slice(0, -MOST_KEYS)) keys.delete(key);
    this.#save();
    if (event !== undefined) this.#send(event, entry, news.map(({ key }) => `${keyOf(entry)} ${key}`));
  }

  #send(event: NotifyEvent, entry: Entry, names: readonly string[]): void {
    const { dashboardUrl, now } = this.#options;
    const page = `#/${FOLDERS[entry.kind]}/${encodeURIComponent(entry.id)}`;
    const notice = {
      event,
      entry: this.#redactor.redactDeep(entry),
      url: dashboardUrl === undefined ? null : `${dashboardUrl}${page}`,
      time: new Date(now()).toISOString(),
    };
    for (const name of names) this.#unsent.add(name);
    void Promise.all(this.#places.map((place) => place.send(notice))).then(() => {
      for (const name of names) this.#unsent.delete(name);
      this.#save();
    });
  }

  #recordOf(entry: Entry): NotifiedRun {
    const known = this.#runs.get(keyOf(entry));
    const atMs = Math.max(lastMsOf(entry), known?.atMs ?? 0);
    if (known !== undefined) return Object.assign(known, { atMs });
    const old = transitionsOf(entry).filter(({ atMs }) => atMs < this.#sinceMs);
    const record = { atMs, keys: new Set(old.map(({ key }) => key)) };
    this.#runs.set(keyOf(entry), record);
    if (this.#runs.size > MOST_RECORDS) this.#prune();
    this.#save();
    return record;
  }

  /** The oldest ones; what is as old as they are is no news any more. */
  #prune(): void {
    const oldest = [...this.#runs].sort(([, a], [, b]) => a.atMs - b.atMs).slice(0, MOST_RECORDS / 4);
    for (const [run, { atMs }] of oldest) {
      this.#runs.delete(run);
      this.#sinceMs = Math.max(this.#sinceMs, atMs + 1);
    }
  }

  #save(): void {
    if (this.#isUnsaved) return;
    this.#isUnsaved = true;
    this.#saving = this.#saving.then(async () => {
      this.#isUnsaved = false;
      const runs = [...this.#runs].map(([run, { atMs, keys }]) => ({
        run,
        at_ms: atMs,
        keys: [...keys].filter((key) => !this.#unsent.has(`${run} ${key}`)),
      }));
      const path = join(this.#options.runsRoot, NOTIFIED_FILE);
      await writeNotified(path, { version: 1, since_ms: this.#sinceMs, runs });
    }).catch((error) => this.#options.tell(`Notifications may be repeated: ${messageOf(error)}`));
  }
}

function keyOf({ kind, id }: { readonly kind: RunKind; readonly id: string }): string {
  return `${kind}/${id}`;
}
