import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { standingOf, type ToldRun, wilson } from "../../src/manager/sequential_test.ts";
import type { FailureSignature } from "../../src/oracle/expected.ts";

const signature = (type: string): FailureSignature => ({
  runtime: "python",
  kind: "exception",
  type,
  template: "v cannot be empty",
  frame: { file: "pkg/core.py", function: "convolve" },
  exitCode: 1,
  signal: null,
});
const hit = (type = "ValueError", durationMs = 10): ToldRun => ({
  outcome: "match",
  reason: "As expected",
  signature: signature(type),
  durationMs,
});
const miss = (outcome: ToldRun["outcome"], reason = "It ended well"): ToldRun => ({
  outcome,
  reason,
  signature: null,
  durationMs: 10,
});

/** Runs until there is a verdict, as `validate` does. */
function judge(next: (run: number) => ToldRun, needed = 5, wanted?: FailureSignature) {
  const runs: ToldRun[] = [];
  for (;;) {
    const standing = standingOf(runs, { needed, wanted });
    if (standing.verdict !== null) return standing;
    ok(runs.length < 1000);
    runs.push(next(runs.length));
  }
}

Deno.test("k of k in the same way is reproduced, with no run more", () => {
  const { reason, interval, ...rest } = judge(() => hit());
  deepEqual(rest, { runs: 5, matches: 5, signature: signature("ValueError"), verdict: "reproduced" });
  equal(reason, "It failed in the same way in all of 5 runs: ValueError: v cannot be empty in pkg/core.py (convolve)");
  deepEqual(interval.map((end) => Math.round(end * 1000)), [566, 1000]);
  equal(judge(() => hit(), 1).runs, 1);
  equal(judge(() => hit(), 12).runs, 12);
});

Deno.test("what never fails as expected is not reproduced after nine runs, and sooner when no run can change it", () => {
  const verdict = (run: ToldRun) => {
    const { verdict, runs, matches, signature } = judge(() => run);
    return { verdict, runs, matches, signature };
  };
  const none = { matches: 0, signature: null };
  deepEqual(verdict(miss("no_failure")), { verdict: "not_reproduced", runs: 9, ...none });
  deepEqual(verdict(miss("other_failure")), { verdict: "not_reproduced", runs: 9, ...none });
  deepEqual(verdict(miss("own_failure")), { verdict: "not_reproduced", runs: 2, ...none });
  deepEqual(verdict(miss("timeout")), { verdict: "not_reproduced", runs: 2, ...none });
  deepEqual(verdict(miss("broken")), { verdict: "unusable", runs: 2, ...none });
  deepEqual(verdict(miss("environment")), { verdict: "environment_error", runs: 2, ...none });
});

Deno.test("one miss among matches is flaky, with its share and interval", () => {
  const often = judge((run) => run === 3 ? miss("no_failure") : hit());
  deepEqual([often.verdict, often.matches, often.runs], ["flaky", 9, 10]);
  equal(
    often.reason,
    "It failed as expected in 9 of 10 runs (95 % interval 60 % to 98 %); otherwise it ended well",
  );
  const rare = judge((run) => run % 3 === 2 ? hit() : miss("no_failure"));
  deepEqual([rare.verdict, rare.matches, rare.runs], ["flaky", 5, 17]);
  const slow = judge((run) => run === 0 ? miss("no_failure") : hit("ValueError", 200_000));
  deepEqual([slow.verdict, slow.runs], ["flaky", 5]);
});

Deno.test("failing as expected in different ways is no reproduction", () => {
  const { verdict, matches, runs, reason, signature: kept } = judge((run) =>
    hit(run % 3 === 0 ? "KeyError" : "ValueError")
  );
  deepEqual([verdict, matches, runs, kept], ["flaky", 12, 18, signature("ValueError")]);
  ok(reason.endsWith("otherwise it fails in different ways"), reason);
});

Deno.test("another way than the wanted one is a miss", () => {
  const wanted = signature("TypeError");
  deepEqual(judge(() => hit(), 5, wanted).verdict, "not_reproduced");
  deepEqual(judge(() => hit("TypeError"), 5, wanted).verdict, "reproduced");
});

Deno.test("whatever happens, there is a verdict, and it is `reproduced` only when every run matched in the same way", () => {
  const run = fc.oneof(
    fc.constantFrom("ValueError", "KeyError").map((type) => hit(type)),
    fc.constantFrom<ToldRun["outcome"][]>(
      "no_failure",
      "other_failure",
      "own_failure",
      "broken",
      "environment",
      "timeout",
    )
      .map((outcome) => miss(outcome)),
  );
  fc.assert(
    fc.property(fc.array(run, { minLength: 20, maxLength: 20 }), fc.integer({ min: 1, max: 9 }), (all, needed) => {
      const { verdict, runs, matches, interval } = judge((index) => all[index]!, needed);
      const seen = all.slice(0, runs);
      ok(runs <= 20 && matches <= runs && interval[0] <= matches / runs && matches / runs <= interval[1]);
      const types = new Set(seen.map(({ signature }) => signature?.type ?? "none"));
      equal(verdict === "reproduced", runs === needed && types.size === 1 && !types.has("none"));
      equal(verdict === "flaky", matches > 0 && verdict !== "reproduced");
    }),
  );
});

Deno.test("wilson() has the ends of the textbook, and stays within 0 and 1", () => {
  const rounded = (hits: number, tries: number) => wilson(hits, tries).map((end) => Math.round(end * 1e4) / 1e4);
  deepEqual(rounded(0, 0), [0, 1]);
  deepEqual(rounded(0, 10), [0, 0.2775]);
  deepEqual(rounded(1, 10), [0.0179, 0.4042]);
  deepEqual(rounded(5, 10), [0.2366, 0.7634]);
  deepEqual(rounded(10, 10), [0.7225, 1]);
  deepEqual(rounded(81, 263), [0.2553, 0.3662]);
});
