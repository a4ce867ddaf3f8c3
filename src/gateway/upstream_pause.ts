/** Reads how long an upstream asks all its callers to wait. */
import { decimalIn, retryAfterMs } from "../models/retry_after.ts";

const RFC_3339 = /^\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d{1,9})?(z|[+-]\d\d:\d\d)$/i;
const DURATION = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[dhms])){1,5}$/;
const UNIT_MS = new Map([["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]]);

/**
 * How long an upstream asks all callers to wait, in milliseconds: `retry-after-ms`, `retry-after` in seconds or as an
 * HTTP date, and for 429 without those the ends of the limits that it names (`anthropic-ratelimit-…-reset`,
 * `x-ratelimit-reset-…`): the last one of those that are used up, otherwise the first. Undefined when it does not ask, or
 * when the status (below 500, other than 429) says that the request is at fault and not its time.
 */
export function pauseMs(
  { headers, status }: Pick<Response, "headers" | "status">,
  now: () => number,
): number | undefined {
  if (status !== 429 && status < 500) return undefined;
  const stated = retryAfterMs(headers, now);
  if (stated !== undefined) return stated;
  return status === 429 ? resetMs(headers, now) : undefined;
}

function resetMs(headers: Headers, now: () => number): number | undefined {
  const all: number[] = [];
  const usedUp: number[] = [];
  for (const [name, value] of headers) {
    const [, family, window] = /^(anthropic-ratelimit-)(.+)-reset$/.exec(name) ??
      /^(x-ratelimit-)reset-(.+)$/.exec(name) ?? [];
    if (family === undefined) continue;
    const ms = RFC_3339.test(value) ? Date.parse(value) - now() : durationIn(value);
    if (ms === undefined || Number.isNaN(ms)) continue;
    all.push(Math.max(0, ms));
    const rest = family === "x-ratelimit-" ? `x-ratelimit-remaining-${window}` : `${family}${window}-remaining`;
    if (decimalIn(headers.get(rest)) === 0) usedUp.push(Math.max(0, ms));
  }
  if (usedUp.length > 0) return Math.max(...usedUp);
  return all.length > 0 ? Math.min(...all) : undefined;
}

/** `1h2m3.5s`, `250ms`; milliseconds. */
function durationIn(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  const parts = text.matchAll(/([\d.]+)(ms|[dhms])/g);
  return Array.from(parts, ([, amount, unit]) => Number(amount) * UNIT_MS.get(unit!)!).reduce((sum, ms) => sum + ms, 0);
}
