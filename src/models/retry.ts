/** Repeats what is worth repeating, waiting as long as the provider asks for. */
import type { RetryNotice } from "./chat_model.ts";
import { type AttemptFailure, finalFailure } from "./model_failure.ts";

export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export interface RetryOptions {
  /** The model's name, for the failure. */
  readonly name: string;
  readonly signal: AbortSignal;
  readonly maxAttempts?: number;
  readonly sleep?: Sleep;
  onRetry(notice: RetryNotice): void;
  /** Each attempt that failed and may have been charged for. */
  onUnpricedAttempt(): void;
}

/** An attempt either succeeds or says how it failed; what it throws is not repeated. */
export type AttemptResult<T> = { readonly ok: true; readonly value: T } | {
  readonly ok: false;
  readonly failure: AttemptFailure;
};

const MAX_ATTEMPTS = 6;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 16_000;
const LONGEST_ASKED_WAIT_MS = 300_000;
/** A model that needs longer than the limit twice will need it a third time. */
const MAX_TIMEOUTS = 2;

/**
 * Waits 1, 2, 4, 8, 16 s between attempts, or what the provider asks for up to 300 s. Throws a `Failure` of kind
 * `model` when it gives up, and the signal's reason as soon as the signal aborts.
 */
export async function withRetries<T>(
  attempt: () => Promise<AttemptResult<T>>,
  { name, signal, maxAttempts = MAX_ATTEMPTS, sleep = sleepFor, onRetry, onUnpricedAttempt }: RetryOptions,
): Promise<T> {
  const findings = new Set<string>();
  let timeouts = 0;
  for (let attempts = 1;; attempts++) {
    signal.throwIfAborted();
    const result = await attempt();
    if (result.ok) return result.value;
    signal.throwIfAborted();
    const { failure } = result;
    findings.add(failure.finding);
    if (failure.timedOut) timeouts++;
    if (failure.mayHaveCost) onUnpricedAttempt();
    const story = { attempts, sameEachTime: findings.size === 1 };
    const { waitMs: asked } = failure;
    if (!failure.retryable || attempts >= maxAttempts || timeouts >= MAX_TIMEOUTS) {
      throw finalFailure(name, failure, story);
    }
    if (asked !== undefined && asked > LONGEST_ASKED_WAIT_MS) {
      const reason = `it asks to wait ${Math.ceil(asked / 1000)} s, longer than ${LONGEST_ASKED_WAIT_MS / 1000} s`;
      throw finalFailure(name, failure, { ...story, reason });
    }
    // "Wait 0" is what some proxies always say; our own wait is kinder to them.
    const waitMs = asked !== undefined && asked > 0
      ? asked
      : Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS);
    const message = failure.detail === "" ? failure.finding : `${failure.finding}: ${failure.detail}`;
    onRetry({ attempt: attempts, maxAttempts, waitMs, status: failure.status, message });
    await sleep(waitMs, signal);
  }
}

/** Resolves after `ms`; throws the signal's reason as soon as it aborts. */
export function sleepFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
