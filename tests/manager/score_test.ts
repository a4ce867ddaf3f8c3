import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { FailureSignal } from "../../src/manager/ports.ts";
import { scoreCandidate } from "../../src/manager/score.ts";
import type { ExpectedFailure, FailureSignature } from "../../src/oracle/expected.ts";

const expected: ExpectedFailure = {
  type: "ValueError",
  message: "item 7 is empty",
  pattern: null,
  exitCode: null,
  signal: null,
  frames: [],
  runtime: "python",
  shows: "failure",
};
const signal = (parts: Partial<ExpectedFailure>): FailureSignal => ({
  exception_type: null,
  message_substring: null,
  exit_code: null,
  raw_pattern: null,
  strength: "traceback",
  expected: { ...expected, type: null, message: null, runtime: null, ...parts },
});
const signature: FailureSignature = {
  runtime: "python",
  kind: "exception",
  type: "ValueError",
  template: "item <n> is empty",
  frame: null,
  exitCode: 1,
  signal: null,
};
const lines = (count: number) => ({ script: "x\n".repeat(count), claimed_failure_signature: "ValueError" });
const spec = { expected_failure_signals: [signal({ type: "ValueError" })] };

Deno.test("a score is 0.6 of the matches, 0.25 of the fidelity and 0.15 of the brevity, rounded to 5 places", () => {
  const score = (count: number, matches: number, runs: number, observed: FailureSignature | null) =>
    scoreCandidate(lines(count), { matches, runs, signature: observed }, spec);
  equal(score(0, 5, 5, signature), 1);
  equal(score(200, 5, 5, signature), 0.85);
  equal(score(5000, 5, 5, signature), 0.85);
  equal(score(10, 1, 3, signature), 0.5925);
  equal(score(7, 2, 7, signature), 0.56618);
  equal(score(100, 0, 9, null), 0.325);
  equal(score(100, 0, 0, null), 0.325);
});

Deno.test("what was observed decides about fidelity, and the claim only without it", () => {
  const score = (parts: Partial<ExpectedFailure>, observed: FailureSignature | null, claim = "") =>
    scoreCandidate({ script: "x\n".repeat(200), claimed_failure_signature: claim }, {
      matches: 0,
      runs: 1,
      signature: observed,
    }, { expected_failure_signals: [signal(parts)] });
  deepEqual([
    score({ type: "KeyError" }, signature, "KeyError"),
    score({ type: "KeyError" }, null, "KeyError: x"),
    score({ message: "is empty" }, signature),
    score({ signal: "SIGSEGV" }, { ...signature, signal: "SIGSEGV" }),
    score({ exitCode: 1 }, signature),
    score({ exitCode: 1 }, null, "exit 1"),
  ], [0, 0.25, 0.25, 0.25, 0.25, 0]);
});
