/** Lets calls go to an upstream as fast as its limits allow, in the order in which they came. */
import { Refusal } from "./refusal.ts";
import { matchesPattern, type RateRule } from "./settings.ts";

/** What a call is counted as. `tokens`: an estimate of what it will use, input and output together. */
export interface RatedCall {
  readonly upstream: string;
  readonly model: string;
  readonly tokens: number;
}

export type WaitReason = "concurrency" | "requests" | "tokens" | "retry_after";

export interface WaitNotice {
  /** What lasts the longest, when several things stand in the way. */
  readonly reason: WaitReason;
  /** Null: it depends on other calls. */
  readonly waitMs: number | null;
  /** Calls that wait for the same thing and came before. */
  readonly ahead: number;
}

export interface AcquireOptions {
  readonly signal: AbortSignal;
  /** The longest wait; 0: none. */
  readonly timeoutMs: number;
  /** Told once for each reason, and only when the call really waits. Must not throw. */
  onWait(notice: WaitNotice): void;
}

/** The right to have one call under way. */
export interface Permit {
  /**
   * The call has ended. `actualTokens` replaces the estimate; without it the estimate stands. Only the first end counts.
   */
  release(actualTokens?: number): void;
  /** The call was not made after all, and counts for nothing. */
  cancel(): void;
}

export interface Timers {
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface RateGateOptions {
  /** Figures above 0; throws a `RangeError` otherwise. */
  readonly rules: readonly RateRule[];
  monotonicMs(): number;
  readonly timers?: Timers;
}

const MINUTE_MS = 60_000;
/** What an upstream asks for, and what it says that a call has used, can hold others up for no longer than this. */
const LONGEST_PAUSE_MS = 3_600_000;
const MOST_CLOSURES = 1000;
/** setTimeout takes a larger number for 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A call goes when all the rules that match it let it. Requests and tokens per minute are buckets that hold a minute's
 * worth and fill up continuously; a call that is larger than its bucket goes when the bucket is full, and the debt is
 * waited off afterwards.
 *
 * Order: what a waiting call lacks is kept for it, so no later call can take it. What it does not lack is not kept: calls
 * that need only that go ahead, whatever the first one waits for. The one exception prevents starvation: when everything
 * that a call needs has been free for it, though not at the same time, all of it is kept.
 */
export class RateGate {
  readonly #rules: readonly { readonly rule: RateRule; readonly limiters: Map<string, Limiter> }[];
  readonly #monotonicMs: () => number;
  readonly #timers: Timers;
  /** Upstreams that asked for a pause, by upstream and model. */
  readonly #closures = new Map<string, Closure>();
  /** In the order in which they came. */
  readonly #waiters = new Set<Waiter>();
  #round = 0;
  #timer: unknown;

  constructor({ rules, monotonicMs, timers = globalThis }: RateGateOptions) {
    for (const { concurrency, requestsPerMinute, tokensPerMinute } of rules) {
      for (const figure of [concurrency, requestsPerMinute, tokensPerMinute]) {
        if (figure !== undefined && !(figure > 0)) throw new RangeError(`A rate must be above 0, found ${figure}`);
      }
    }
    this.#rules = rules.map((rule) => ({ rule, limiters: new Map() }));
    this.#monotonicMs = monotonicMs;
    this.#timers = timers;
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves when it is the call's turn: without delay when nothing stands in its way. Rejects with the signal's reason
   * when that aborts, and with a `Refusal` (503) when the turn does not come in time: at once when it cannot come in time,
   * because the upstream has asked for a longer pause.
   */
  async acquire(call: RatedCall, { signal, timeoutMs, onWait }: AcquireOptions): Promise<Permit> {
    signal.throwIfAborted();
    const limiters = this.#limitersOf(call);
    if (limiters.length === 0 && this.#closures.size === 0) return UNLIMITED;
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const sinceMs = this.#monotonicMs();
    const waiter: Waiter = {
      call,
      limiters,
      tokens: countOf(call.tokens) ?? 0,
      sinceMs,
      deadlineMs: sinceMs + timeoutMs,
      lacking: [],
      wasFree: new Set(),
      told: new Set(),
      resolve,
      reject,
      onWait,
    };
    this.#waiters.add(waiter);
    this.#admit();
    if (!this.#waiters.has(waiter)) return promise;
    const onAbort = () => {
      if (!this.#waiters.delete(waiter)) return;
      reject(signal.reason);
      this.#admit();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // It may have aborted while the call was told that it waits.
    if (signal.aborted) onAbort();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** No call of this model goes to this upstream for so long, an hour at most. The longest of several counts. */
  closeUntil(call: Pick<RatedCall, "upstream" | "model">, retryAfterMs: number): void {
    if (!(retryAfterMs > 0)) return;
    const nowMs = this.#monotonicMs();
    const untilMs = nowMs + Math.min(retryAfterMs, LONGEST_PAUSE_MS);
    for (const [key, closure] of this.#closures) if (closure.untilMs <= nowMs) this.#closures.delete(key);
    const key = closureKeyOf(call);
    const closure = this.#closures.get(key);
    if (closure !== undefined) {
      closure.untilMs = Math.max(closure.untilMs, untilMs);
    } else {
      // The oldest is the one that is likely to end first.
      if (this.#closures.size >= MOST_CLOSURES) this.#closures.delete(this.#closures.keys().next().value!);
      this.#closures.set(key, { untilMs, round: 0, ahead: 0 });
    }
    this.#admit();
  }

  #limitersOf({ upstream, model }: RatedCall): Limiter[] {
    const found: Limiter[] = [];
    for (const { rule, limiters } of this.#rules) {
      if (rule.upstream !== undefined && !matchesPattern(rule.upstream, upstream)) continue;
      if (rule.model !== undefined && !matchesPattern(rule.model, model)) continue;
      let limiter = limiters.get(upstream);
      if (limiter === undefined) limiters.set(upstream, limiter = new Limiter(rule, this.#monotonicMs()));
      found.push(limiter);
    }
    return found;
  }

  /** Lets everyone go who can, and sets the timer for the next one. */
  #admit(): void {
    this.#timers.clearTimeout(this.#timer);
    if (this.#waiters.size === 0) return;
    const nowMs = this.#monotonicMs();
    const look = { nowMs, round: ++this.#round };
    let wakeAtMs = Infinity;
    const untold: { waiter: Waiter; notice: WaitNotice }[] = [];
    for (const waiter of this.#waiters) {
      const closure = this.#closureOf(waiter.call, look);
      const obstacle: Obstacle | undefined = closure === undefined
        ? obstacleFor(waiter, look)
        : { reason: "retry_after", waitMs: closure.untilMs - nowMs, ahead: closure.ahead };
      if (obstacle === undefined) {
        this.#waiters.delete(waiter);
        waiter.resolve(this.#grant(waiter, nowMs));
        continue;
      }
      const isHopeless = closure !== undefined && closure.untilMs > waiter.deadlineMs;
      if (isHopeless || nowMs >= waiter.deadlineMs) {
        this.#waiters.delete(waiter);
        waiter.reject(refusalOf(waiter, { obstacle, nowMs }));
        continue;
      }
      // What a call lacks during a pause is of no use to it, and is not kept.
      if (closure === undefined) keepFor(waiter);
      else closure.ahead++;
      const { reason, waitMs, ahead } = obstacle;
      wakeAtMs = Math.min(wakeAtMs, waiter.deadlineMs, nowMs + waitMs);
      if (!waiter.told.has(reason)) {
        waiter.told.add(reason);
        untold.push({ waiter, notice: { reason, waitMs: Number.isFinite(waitMs) ? waitMs : null, ahead } });
      }
    }
    if (wakeAtMs < Infinity) {
      const ms = Math.min(Math.max(Math.ceil(wakeAtMs - nowMs), 1), MAX_TIMER_MS);
      this.#timer = this.#timers.setTimeout(() => this.#admit(), ms);
    }
    // Last, because whoever is told may release or abort, which leads back to here.
    for (const { waiter, notice } of untold) if (this.#waiters.has(waiter)) waiter.onWait(notice);
  }

  #closureOf(call: RatedCall, { nowMs, round }: Look): Closure | undefined {
    if (this.#closures.size === 0) return undefined;
    const key = closureKeyOf(call);
    const closure = this.#closures.get(key);
    if (closure === undefined) return undefined;
    if (closure.untilMs <= nowMs) {
      this.#closures.delete(key);
      return undefined;
    }
    if (closure.round !== round) Object.assign(closure, { round, ahead: 0 });
    return closure;
  }

  #grant({ limiters, tokens }: Waiter, nowMs: number): Permit {
    for (const limiter of limiters) limiter.take(tokens, nowMs);
    let isOpen = true;
    const end = (unused: { requests: number; tokens: number }) => {
      if (!isOpen) return;
      isOpen = false;
      const endMs = this.#monotonicMs();
      for (const limiter of limiters) limiter.release(unused, endMs);
      this.#admit();
    };
    const release = (actualTokens?: number) => end({ requests: 0, tokens: tokens - (countOf(actualTokens) ?? tokens) });
    return { release, cancel: () => end({ requests: 1, tokens }) };
  }
}

const UNLIMITED: Permit = { release() {}, cancel() {} };

interface Waiter {
  readonly call: RatedCall;
  readonly limiters: readonly Limiter[];
  readonly tokens: number;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  /** Those that do not let it pass now. */
  lacking: readonly Limiter[];
  /** Those that would have let it pass at some time. */
  readonly wasFree: Set<Limiter>;
  readonly told: Set<WaitReason>;
  resolve(permit: Permit): void;
  reject(reason: unknown): void;
  onWait(notice: WaitNotice): void;
}

interface Closure {
  untilMs: number;
  /** The look at the queue that `ahead` belongs to. */
  round: number;
  ahead: number;
}

/** One look at the whole queue. */
interface Look {
  readonly nowMs: number;
  readonly round: number;
}

interface Obstacle {
  readonly reason: WaitReason;
  /** Infinity: it depends on other calls. */
  readonly waitMs: number;
  readonly ahead: number;
}

/** A matching rule's counters for one upstream. */
class Limiter {
  readonly #concurrency: number;
  readonly #requests: Bucket | undefined;
  readonly #tokens: Bucket | undefined;
  #open = 0;
  #round = 0;
  /** What is kept in this round for calls that came before the one that is looked at. */
  #keptCalls = 0;
  #keptTokens = 0;

  constructor({ concurrency, requestsPerMinute, tokensPerMinute }: RateRule, nowMs: number) {
    this.#concurrency = concurrency ?? Infinity;
    this.#requests = requestsPerMinute === undefined ? undefined : new Bucket(requestsPerMinute, nowMs);
    this.#tokens = tokensPerMinute === undefined ? undefined : new Bucket(tokensPerMinute, nowMs);
  }

  /** What keeps a call from passing; undefined: nothing. */
  obstacle(tokens: number, { nowMs, round }: Look): Obstacle | undefined {
    if (this.#round !== round) {
      this.#round = round;
      this.#keptCalls = 0;
      this.#keptTokens = 0;
    }
    const ahead = this.#keptCalls;
    if (this.#open + ahead >= this.#concurrency) return { reason: "concurrency", waitMs: Infinity, ahead };
    const requestsMs = this.#requests?.waitMs(1, { kept: ahead, nowMs }) ?? 0;
    const tokensMs = this.#tokens?.waitMs(tokens, { kept: this.#keptTokens, nowMs }) ?? 0;
    if (requestsMs <= 0 && tokensMs <= 0) return undefined;
    return requestsMs >= tokensMs
      ? { reason: "requests", waitMs: requestsMs, ahead }
      : { reason: "tokens", waitMs: tokensMs, ahead };
  }

  keep(tokens: number): void {
    this.#keptCalls++;
    this.#keptTokens += tokens;
  }

  take(tokens: number, nowMs: number): void {
    this.#open++;
    this.#requests?.add(-1, nowMs);
    this.#tokens?.add(-tokens, nowMs);
  }

  /** `unused.tokens`: how many fewer than estimated; negative: how many more. */
  release(unused: { requests: number; tokens: number }, nowMs: number): void {
    this.#open--;
    this.#requests?.add(unused.requests, nowMs);
    this.#tokens?.add(unused.tokens, nowMs);
  }
}

/** Holds a minute's worth at most, and fills up continuously. */
class Bucket {
  readonly #capacity: number;
  readonly #perMs: number;
  #level: number;
  #levelAtMs: number;

  constructor(perMinute: number, nowMs: number) {
    this.#capacity = perMinute;
    this.#perMs = perMinute / MINUTE_MS;
    this.#level = perMinute;
    this.#levelAtMs = nowMs;
  }

  /** Until `amount` can be taken in addition to what is kept; Infinity: not before others have taken what is kept. */
  waitMs(amount: number, { kept, nowMs }: { kept: number; nowMs: number }): number {
    // A call that is larger than the bucket goes when the bucket is full.
    const needed = kept + Math.min(amount, this.#capacity);
    if (needed > this.#capacity) return Infinity;
    return Math.max(0, needed - this.#levelAt(nowMs)) / this.#perMs;
  }

  add(amount: number, nowMs: number): void {
    const deepest = -this.#perMs * LONGEST_PAUSE_MS;
    this.#level = Math.min(Math.max(this.#levelAt(nowMs) + amount, deepest), this.#capacity);
    this.#levelAtMs = nowMs;
  }

  #levelAt(nowMs: number): number {
    return Math.min(this.#capacity, this.#level + (nowMs - this.#levelAtMs) * this.#perMs);
  }
}

/** What lasts the longest of all that the limiters have against a call. */
function obstacleFor(waiter: Waiter, look: Look): Obstacle | undefined {
  const lacking: Limiter[] = [];
  let longest: Obstacle | undefined;
  for (const limiter of waiter.limiters) {
    const obstacle = limiter.obstacle(waiter.tokens, look);
    if (obstacle === undefined) {
      waiter.wasFree.add(limiter);
      continue;
    }
    lacking.push(limiter);
    if (longest === undefined || obstacle.waitMs > longest.waitMs) longest = obstacle;
  }
  waiter.lacking = lacking;
  return longest;
}

function keepFor({ limiters, lacking, wasFree, tokens }: Waiter): void {
  const isStarving = wasFree.size === limiters.length;
  for (const limiter of isStarving ? limiters : lacking) limiter.keep(tokens);
}

function refusalOf({ call, sinceMs, deadlineMs }: Waiter, { obstacle, nowMs }: { obstacle: Obstacle; nowMs: number }) {
  const { reason, waitMs, ahead } = obstacle;
  const model = JSON.stringify(call.model.slice(0, 100));
  const limit = seconds(deadlineMs - sinceMs);
  const message = `No call of ${model} can go to "${call.upstream}" within ${limit} (found: ${findingOf(obstacle)}). ` +
    "Ask again later";
  const wait = Number.isFinite(waitMs) ? Math.ceil(waitMs) : null;
  return new Refusal("unavailable", message, {
    details: { reason, waited_ms: Math.round(nowMs - sinceMs), wait_ms: wait, ahead },
  });
}

function findingOf({ reason, waitMs, ahead }: Obstacle): string {
  const after = ahead === 0 ? "" : `, after ${ahead} other${ahead === 1 ? "" : "s"}`;
  const time = Number.isFinite(waitMs) ? `, ${seconds(waitMs)} to wait${after}` : after;
  switch (reason) {
    case "concurrency":
      return `as many calls as its limit allows are under way${time}`;
    case "requests":
      return `its limit of requests per minute${time}`;
    case "tokens":
      return `its limit of tokens per minute${time}`;
    case "retry_after":
      return `the upstream asked for a pause${time}`;
  }
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 100) / 10} s`;
}

/** Names are long only when somebody means harm; JSON.stringify also makes a copy that does not hold the whole name. */
function closureKeyOf({ upstream, model }: Pick<RatedCall, "upstream" | "model">): string {
  return JSON.stringify([upstream, model.slice(0, 256)]);
}

function countOf(tokens: number | undefined): number | undefined {
  return tokens !== undefined && Number.isFinite(tokens) && tokens >= 0 ? tokens : undefined;
}
