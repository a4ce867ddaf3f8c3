/** Times as people write them on the command line: durations and days. */

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30s`, `15m`, `1.5h`, `7d` in milliseconds; undefined for anything else, zero included. */
export function parseDurationMs(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)([smhd])$/.exec(text.trim()) ?? [];
  const durationMs = Math.round(Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS]);
  return durationMs > 0 ? durationMs : undefined;
}

/**
 * A moment in milliseconds since 1970: a day (`2026-11-21`, in UTC), a time with its zone (`2026-11-21T09:30Z`), or a
 * duration before now (`7d`). A day stands for its beginning, or for the moment after its end when `endOfDay` is set.
 */
export function parseMomentMs(text: string, options: { nowMs: number; endOfDay: boolean }): number | undefined {
  const wanted = text.trim();
  const agoMs = parseDurationMs(wanted);
  if (agoMs !== undefined) return options.nowMs - agoMs;
  const [, day, time] =
    /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(wanted) ?? [];
  if (day === undefined || !isDayOfCalendar(day)) return undefined;
  const timeMs = Date.parse(wanted);
  if (Number.isNaN(timeMs)) return undefined;
  return time === undefined && options.endOfDay ? timeMs + UNIT_MS.d : timeMs;
}

/** Some days exist in form alone: the 31st of February would be taken for one of March. */
function isDayOfCalendar(day: string): boolean {
  const timeMs = Date.parse(day);
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString().startsWith(day);
}
