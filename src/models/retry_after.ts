/** Reads how long a server asks its clients to wait. */

const HTTP_DATE = /^(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}, [\w: -]{1,40} gmt$/i;

/**
 * `retry-after-ms`, or `retry-after` in seconds or as an HTTP date; milliseconds, undefined when there is none or it is not
 * clear. `now` gives milliseconds since 1970.
 */
export function retryAfterMs(headers: Headers, now: () => number): number | undefined {
  const milliseconds = decimalIn(headers.get("retry-after-ms"));
  if (milliseconds !== undefined) return milliseconds;
  const text = headers.get("retry-after")?.trim() ?? "";
  const seconds = decimalIn(text);
  if (seconds !== undefined) return seconds * 1000;
  const date = HTTP_DATE.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now());
}

/** A plain decimal number, without a sign and without an exponent. */
export function decimalIn(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}(\.\d{1,15})?$/.test(text.trim()) ? Number(text) : undefined;
}
