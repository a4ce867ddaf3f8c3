import { strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parseDurationMs, parseMomentMs } from "../../../src/commands/gateway/time_text.ts";

Deno.test("parseDurationMs() takes seconds, minutes, hours and days, and nothing else", () => {
  const cases: [text: string, durationMs: number | undefined][] = [
    ["30s", 30_000],
    ["15m", 900_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1.5h", 5_400_000],
    [" 90m ", 5_400_000],
    ["0s", undefined],
    ["0.0001s", undefined],
    ["90", undefined],
    ["m", undefined],
    ["-1h", undefined],
    ["1h30m", undefined],
    ["1w", undefined],
    ["1e3s", undefined],
    ["9".repeat(10) + "s", undefined],
    ["", undefined],
  ];
  for (const [text, durationMs] of cases) equal(parseDurationMs(text), durationMs, JSON.stringify(text));
});

Deno.test("parseMomentMs() takes days in UTC, times with a zone, and durations before now", () => {
  const nowMs = Date.UTC(2026, 10, 21, 9, 30);
  const day = Date.UTC(2026, 10, 20);
  const cases: [text: string, since: number | undefined, until: number | undefined][] = [
    ["2026-11-20", day, day + 86_400_000],
    ["2026-11-20T00:00Z", day, day],
    ["2026-11-20T01:00:00.000+01:00", day, day],
    ["7d", nowMs - 7 * 86_400_000, nowMs - 7 * 86_400_000],
    ["2024-02-29", Date.UTC(2024, 1, 29), Date.UTC(2024, 2, 1)],
    ["2026-02-29", undefined, undefined],
    ["2026-02-31T10:00Z", undefined, undefined],
    ["2026-13-01", undefined, undefined],
    ["2026-11-20T09:30", undefined, undefined],
    ["2026-11-20T25:30Z", undefined, undefined],
    ["20.11.2026", undefined, undefined],
    ["yesterday", undefined, undefined],
    ["", undefined, undefined],
  ];
  for (const [text, since, until] of cases) {
    equal(parseMomentMs(text, { nowMs, endOfDay: false }), since, text);
    equal(parseMomentMs(text, { nowMs, endOfDay: true }), until, text);
  }
});

Deno.test("parseMomentMs() reads every time that it is likely to be given as JSON has it", () => {
  fc.assert(fc.property(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") }), (date) => {
    equal(parseMomentMs(date.toISOString(), { nowMs: 0, endOfDay: true }), date.getTime());
  }));
});
