/** Sends messages to one place, one after the other, again when it does not take them. */
import type { Timers } from "../../../gateway/rate_gate.ts";
import { messageOf, type Notice } from "./messages.ts";
import type { NotifyFormat } from "./read_places.ts";

export interface PlaceFigures {
  sent: number;
  /** Given up. */
  failed: number;
  /** There was no room to wait. */
  dropped: number;
}

export interface PlaceOptions {
  readonly timers: Timers;
  /** Told why a message could not be sent; never with the address. Not escaped for a terminal. */
  tell(text: string): void;
}

const ATTEMPTS = 3;
const DEADLINE_MS = 10_000;
const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 60_000;
const MOST_WAITING = 100;

interface Job {
  readonly notice: Notice;
  /** It was sent, or given up. */
  readonly settle: () => void;
}

/** What one attempt came to: `waitMs` undefined says that another one is of no use. */
type Attempt = { readonly problem: undefined } | { readonly problem: string; readonly waitMs: number | undefined };

export class Place {
  readonly figures: PlaceFigures = { sent: 0, failed: 0, dropped: 0 };
  readonly format: NotifyFormat;
  readonly #address: string;
  readonly #options: PlaceOptions;
  readonly #waiting: Job[] = [];
  readonly #ending = new AbortController();
  readonly #cutting = new AbortController();
  #sending: Promise<void> | undefined;
  /** That was told. */
  #isFull = false;

  constructor({ format, address }: { readonly format: NotifyFormat; readonly address: string }, options: PlaceOptions) {
    this.format = format;
    this.#address = address;
    this.#options = options;
  }

  /** Never waits. Resolves when the message was sent or given up; not at all when the server ends before. */
  send(notice: Notice): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#waiting.length >= MOST_WAITING) {
      if (!this.#isFull) {
        this.#options.tell(`${this.format} is not told of more: ${MOST_WAITING} messages wait already`);
      }
      this.#isFull = true;
      this.figures.dropped++;
      resolve();
      return promise;
    }
    this.#isFull = false;
    this.#waiting.push({ notice, settle: resolve });
    this.#sending ??= this.#sendAll();
    return promise;
  }

  /** No message is begun any more; the one that is under way has `graceMs`. */
  async end(graceMs: number): Promise<void> {
    this.#ending.abort();
    const { timers } = this.#options;
    const timer = timers.setTimeout(() => this.#cutting.abort(), graceMs);
    await this.#sending;
    timers.clearTimeout(timer);
  }

  async #sendAll(): Promise<void> {
    // Whoever sends does not wait for the first one either.
    await Promise.resolve();
    for (let job = this.#waiting[0]; job !== undefined && !this.#ending.signal.aborted; job = this.#waiting[0]) {
      if (!await this.#sendOne(job.notice)) break;
      this.#waiting.shift();
      job.settle();
    }
    this.#sending = undefined;
  }

  /** False: the server ends, and nobody knows. */
  async #sendOne(notice: Notice): Promise<boolean> {
    const body = JSON.stringify(messageOf(notice, this.format));
    for (let attempt = 1;; attempt++) {
      const result = await this.#attempt(body);
      if (result.problem === undefined) {
        this.figures.sent++;
        return true;
      }
      if (this.#cutting.signal.aborted) return false;
      if (result.waitMs === undefined || attempt === ATTEMPTS) {
        this.figures.failed++;
        const times = attempt === 1 ? "" : `, ${attempt} times`;
        this.#options.tell(`${this.format} is not told of ${notice.entry.id}: found ${result.problem}${times}`);
        return true;
      }
      const waitMs = Math.min(Math.max(result.waitMs, FIRST_WAIT_MS * 4 ** (attempt - 1)), LONGEST_WAIT_MS);
      if (!await this.#pause(waitMs)) return false;
    }
  }

  async #attempt(body: string): Promise<Attempt> {
    const { timers } = this.#options;
    const late = new AbortController();
    const timer = timers.setTimeout(() => late.abort(), DEADLINE_MS);
    try {
      const response = await fetch(this.#address, {
        method: "POST",
        headers: { "content-type": "application/json", "user-agent": "gocore" },
        body,
        // Nobody but who was named is told.
        redirect: "manual",
        signal: AbortSignal.any([late.signal, this.#cutting.signal]),
      });
      await response.body?.cancel();
      const { status, headers } = response;
      if (status >= 200 && status < 300) return { problem: undefined };
      const isBusy = status === 429 || status >= 500;
      const seconds = /^\d{1,6}(?:\.\d{1,9})?$/.exec(headers.get("retry-after") ?? "")?.[0];
      return { problem: `the answer ${status}`, waitMs: isBusy ? 1000 * Number(seconds ?? 0) : undefined };
    } catch {
      // What is thrown may quote the address.
      const problem = late.signal.aborted ? `no answer within ${DEADLINE_MS / 1000} s` : "no connection";
      return { problem, waitMs: 0 };
    } finally {
      timers.clearTimeout(timer);
    }
  }

  /** False: the server ends. */
  #pause(ms: number): Promise<boolean> {
    const { timers } = this.#options;
    const { signal } = this.#ending;
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const onEnd = () => {
        timers.clearTimeout(timer);
        resolve(false);
      };
      const timer = timers.setTimeout(() => {
        signal.removeEventListener("abort", onEnd);
        resolve(true);
      }, ms);
      signal.addEventListener("abort", onEnd, { once: true });
    });
  }

  get waiting(): number {
    return this.#waiting.length;
  }
}
