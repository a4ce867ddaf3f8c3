/** A clock that stands still until it is told to go on, and the timers that belong to it. */
import type { Timers } from "../../../src/gateway/rate_gate.ts";

export class VirtualTime implements Timers {
  nowMs: number;
  readonly #timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>();
  #ids = 0;

  constructor(start: string) {
    this.nowMs = Date.parse(start);
  }

  readonly now = () => this.nowMs;

  setTimeout(callback: () => void, ms: number): unknown {
    this.#timers.set(++this.#ids, { atMs: this.nowMs + ms, callback });
    return this.#ids;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  get waiting(): number {
    return this.#timers.size;
  }

  /** Whether a timer is to come in so many milliseconds. */
  hasIn(ms: number): boolean {
    return [...this.#timers.values()].some(({ atMs }) => atMs === this.nowMs + ms);
  }

  /** The clock is set, and timers know nothing of it, as while a machine sleeps. */
  set(time: string): void {
    const shiftMs = Date.parse(time) - this.nowMs;
    this.nowMs += shiftMs;
    for (const [id, timer] of this.#timers) this.#timers.set(id, { ...timer, atMs: timer.atMs + shiftMs });
  }

  /**
   * Lets the timers come that are due until then, each at its time. Of what always has a timer while it rests,
   * `alwaysHasOne`, each is waited for.
   */
  async goTo(time: string, { alwaysHasOne = false } = {}): Promise<void> {
    const endMs = Date.parse(time);
    for (;;) {
      if (alwaysHasOne) await until(() => this.waiting > 0);
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.atMs - b.atMs);
      if (next === undefined || next[1].atMs > endMs) break;
      const [id, timer] = next;
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      this.#timers.delete(id);
      timer.callback();
    }
    this.nowMs = endMs;
  }
}

/** Looks until it is so. */
export async function until(fact: () => boolean | Promise<boolean>): Promise<void> {
  while (!await fact()) await new Promise((resolve) => setTimeout(resolve, 1));
}
