import { deepStrictEqual as deepEqual } from "node:assert/strict";
import fc from "fast-check";
import type { LivenessVerdict } from "../../src/events/session_events.ts";
import { DEFAULT_LIVENESS, type Evidence, judgeLiveness } from "../../src/orchestrate/liveness.ts";

const minute = 60_000;
/** An hour after the start, and nothing has been seen of it since. */
const silent: Evidence = {
  nowMs: 60 * minute,
  isRunning: true,
  isPaused: false,
  lastOutputMs: 0,
  callSinceMs: undefined,
  isHeldBack: false,
  hasCommand: false,
  lastChangeMs: 0,
  usesCpu: false,
  repeats: 0,
};

Deno.test("each verdict has its proof", () => {
  const table: [Partial<Evidence>, LivenessVerdict, string, number][] = [
    [{}, "stalled", "no output and no change of files for 3600 s, no call", 3600],
    [{ isRunning: false, isPaused: true, isHeldBack: true, repeats: 9 }, "dead", "its process is gone", 3600],
    [{ isPaused: true, isHeldBack: true, repeats: 9 }, "paused", "it is held", 3600],
    [{ isHeldBack: true, repeats: 9 }, "backoff", "its call waits for its turn at the gateway", 3600],
    [
      { repeats: 8, lastOutputMs: 60 * minute, callSinceMs: 60 * minute },
      "spinning",
      "the same command with the same output, 8 times",
      0,
    ],
    [{ repeats: 7, lastOutputMs: 59 * minute }, "working", "a sign of it 60 s ago", 60],
    [{ callSinceMs: 31 * minute }, "waiting_model", "a call is under way for 1740 s", 3600],
    [
      { callSinceMs: 30 * minute },
      "stalled",
      "no output and no change of files for 3600 s, a call without an end for 1800 s",
      3600,
    ],
    [{ lastOutputMs: 55 * minute + 1 }, "working", "a sign of it 300 s ago", 300],
    [{ lastChangeMs: 55 * minute + 1 }, "working", "a sign of it 300 s ago", 300],
    [{ lastOutputMs: 55 * minute }, "stalled", "no output and no change of files for 300 s, no call", 300],
    [
      { lastOutputMs: 40 * minute, hasCommand: true, usesCpu: true },
      "waiting_tool",
      "a command is working, for 1200 s without output",
      1200,
    ],
    [
      { lastOutputMs: 40 * minute, hasCommand: true },
      "stalled",
      "no output and no change of files for 1200 s, no call",
      1200,
    ],
    [
      { lastOutputMs: 40 * minute, usesCpu: true },
      "stalled",
      "no output and no change of files for 1200 s, no call",
      1200,
    ],
    [
      { lastOutputMs: 30 * minute, hasCommand: true, usesCpu: true },
      "stalled",
      "no output and no change of files for 1800 s, no call",
      1800,
    ],
    // A clock that was set back.
    [{ lastOutputMs: 70 * minute }, "working", "a sign of it 0 s ago", 0],
    [{ callSinceMs: 70 * minute }, "waiting_model", "a call is under way for 0 s", 3600],
  ];
  for (const [evidence, verdict, proof, idleSeconds] of table) {
    deepEqual(judgeLiveness({ ...silent, ...evidence }), { verdict, proof, idleSeconds });
  }
});

Deno.test("who has shown a sign of life within the limit is never stalled", () => {
  const evidence = fc.record({
    nowMs: fc.constant(60 * minute),
    isRunning: fc.boolean(),
    isPaused: fc.boolean(),
    isHeldBack: fc.boolean(),
    hasCommand: fc.boolean(),
    usesCpu: fc.boolean(),
    lastOutputMs: fc.nat({ max: 60 * minute }),
    lastChangeMs: fc.nat({ max: 60 * minute }),
    callSinceMs: fc.option(fc.nat({ max: 60 * minute }), { nil: undefined }),
    repeats: fc.nat({ max: 10 }),
  });
  fc.assert(fc.property(evidence, (one) => {
    const { verdict, idleSeconds } = judgeLiveness(one);
    const isQuiet = idleSeconds >= DEFAULT_LIVENESS.stallMs / 1000;
    const isWaiting = one.isPaused || one.isHeldBack || !one.isRunning;
    if (verdict === "stalled") deepEqual([isQuiet, isWaiting], [true, false]);
    if (verdict === "spinning") deepEqual([one.repeats >= DEFAULT_LIVENESS.spinRepeats, isWaiting], [true, false]);
  }));
});
