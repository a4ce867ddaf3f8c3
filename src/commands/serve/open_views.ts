/** Views of runs that somebody looks at: opened once, shared, and closed when nobody uses them any more. */
import type { EventStreams } from "../../http/event_streams.ts";
import { Refused } from "../../http/ports.ts";

export type OpenView = AsyncDisposable & { readonly streams: EventStreams | undefined };

interface Held {
  readonly view: Promise<OpenView>;
  /** Undefined: it is being opened. */
  opened: OpenView | undefined;
  usedMs: number;
}

const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;
const MOST_VIEWS = 64;
/** While each of them is read, which needs a connection each. */
const MOST_READ_VIEWS = 512;

export class OpenViews implements AsyncDisposable {
  /** The least recently used first. */
  readonly #held = new Map<string, Held>();
  readonly #closing = new Set<Promise<void>>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS);
  }

  /** Throws what `open` does, and `Refused` (503) when too many views are read at the same time. */
  async get<V extends OpenView>(key: string, open: () => Promise<V>): Promise<V> {
    const known = this.#held.get(key);
    if (known !== undefined) {
      this.#held.delete(key);
      this.#held.set(key, known);
      known.usedMs = this.#now();
      return await known.view as V;
    }
    this.#makeRoom();
    const held: Held = { view: open(), opened: undefined, usedMs: this.#now() };
    this.#held.set(key, held);
    try {
      held.opened = await held.view;
      return held.opened as V;
    } catch (error) {
      if (this.#held.get(key) === held) this.#held.delete(key);
      throw error;
    }
  }

  /** Closes those that nobody has used for a minute. */
  sweep(): void {
    const nowMs = this.#now();
    for (const [key, held] of this.#held) {
      if (held.opened?.streams?.isRead) held.usedMs = nowMs;
      else if (nowMs - held.usedMs >= IDLE_MS) this.#close(key, held);
    }
  }

  /** Closes what begins with this. */
  close(start: string): void {
    for (const [key, held] of this.#held) if (key.startsWith(start)) this.#close(key, held);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    this.close("");
    await Promise.all(this.#closing);
  }

  #makeRoom(): void {
    if (this.#held.size < MOST_VIEWS) return;
    for (const [key, held] of this.#held) {
      if (held.opened !== undefined && !held.opened.streams?.isRead) return this.#close(key, held);
    }
    if (this.#held.size >= MOST_READ_VIEWS) throw new Refused(503, "Too many runs are watched at the same time");
  }

  #close(key: string, held: Held): void {
    this.#held.delete(key);
    const closing = held.view.then((view) => view[Symbol.asyncDispose](), () => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
