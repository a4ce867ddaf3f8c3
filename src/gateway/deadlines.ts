/** One clock for the deadlines of all calls under way: a stream of thousands of pieces sets no timer for each. */

/** Why a call ended before its reply did; the reason of its abort signal. */
export class CallEnded extends Error {
  /** `closing`: the gateway itself ends. */
  constructor(readonly kind: "client_gone" | "timeout" | "closing", message: string) {
    super(message);
    this.name = "CallEnded";
  }
}

export class Deadlines {
  readonly #watches = new Set<Watch>();
  readonly #monotonicMs: () => number;
  readonly #periodMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param periodMs how late a deadline may be noticed */
  constructor(options: { monotonicMs: () => number; periodMs: number }) {
    this.#monotonicMs = options.monotonicMs;
    this.#periodMs = options.periodMs;
  }

  /** `expire` is called once, when the whole time or the time of a stage is over; never after `stop`. */
  watch(totalMs: number, expire: (reason: CallEnded) => void): Watch {
    const watch = new Watch({ monotonicMs: this.#monotonicMs, totalMs, expire, forget: () => this.#forget(watch) });
    this.#watches.add(watch);
    this.#timer ??= setInterval(() => this.#look(), this.#periodMs);
    return watch;
  }

  #look(): void {
    const now = this.#monotonicMs();
    for (const watch of this.#watches) watch.look(now);
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

interface Stage {
  readonly what: string;
  readonly limitMs: number;
  readonly dueMs: number;
}

interface WatchOptions {
  readonly monotonicMs: () => number;
  readonly totalMs: number;
  readonly expire: (reason: CallEnded) => void;
  readonly forget: () => void;
}

const NO_STAGE: Stage = { what: "", limitMs: Infinity, dueMs: Infinity };

export class Watch {
  readonly #options: WatchOptions;
  readonly #endMs: number;
  #stage: Stage = NO_STAGE;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#endMs = options.monotonicMs() + options.totalMs;
  }

  /** From now on something has to happen every `limitMs`; `what` completes the sentence "… for 3 s". */
  expect(what: string, limitMs: number): void {
    this.#stage = { what, limitMs, dueMs: this.#options.monotonicMs() + limitMs };
  }

  /** Nothing has to happen for now. */
  rest(): void {
    this.#stage = NO_STAGE;
  }

  /** It happened. */
  touch(): void {
    this.#stage = { ...this.#stage, dueMs: this.#options.monotonicMs() + this.#stage.limitMs };
  }

  stop(): void {
    this.#options.forget();
  }

  look(nowMs: number): void {
    const { what, limitMs, dueMs } = this.#stage;
    if (nowMs < dueMs && nowMs < this.#endMs) return;
    const { forget, expire, totalMs } = this.#options;
    forget();
    const message = nowMs >= dueMs
      ? `${what} for ${limitMs / 1000} s`
      : `The call took longer than ${totalMs / 1000} s`;
    expire(new CallEnded("timeout", message));
  }
}
