import { deepStrictEqual as deepEqual, notStrictEqual as notEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { Action, Verdict } from "../../src/events/session_events.ts";
import { decide, type ReviewerVerdict } from "../../src/orchestrate/decide.ts";

const agents = ["gemini", "claude", "codex", "mini"];
const [A, C, B, N] = ["approved", "concerns", "blocker", null] as const;

/** A reviewer by agent, `claude-r1`. */
function given(...verdicts: (Verdict | null)[]): ReviewerVerdict[] {
  return verdicts.map((verdict, index) => ({ reviewer: `${agents[index]}-r1`, agent: agents[index]!, verdict }));
}

const reviewerVerdict = fc.record({
  agent: fc.constantFrom(...agents, "__proto__", "constructor"),
  verdict: fc.constantFrom<Verdict | null>(A, C, B, N),
}).map((one): ReviewerVerdict => ({ ...one, reviewer: `${one.agent}-r1` }));
const someVerdicts = fc.array(reviewerVerdict, { maxLength: 8 });

Deno.test("the four rules hold in their order for every combination of verdicts", () => {
  fc.assert(fc.property(someVerdicts, (verdicts) => {
    const count = (verdict: Verdict | null) => verdicts.filter((one) => one.verdict === verdict).length;
    const expected: [Action, string] = count(B) > 0
      ? ["STOP_AND_ESCALATE", "1"]
      : count(C) >= 2
      ? ["PAUSE_AND_CLARIFY", "2"]
      : count(C) === 1
      ? ["LOG_WARNING", "3"]
      : count(A) > 0
      ? ["CONTINUE", "4"]
      : ["LOG_WARNING", "none"];
    const { action, rule } = decide(verdicts);
    deepEqual([action, rule], expected);
  }));
});

Deno.test("the reason names who counted", () => {
  const table: [(Verdict | null)[], Action, string, string][] = [
    [[B, A, B], "STOP_AND_ESCALATE", "1", "a blocker, found by gemini-r1, codex-r1"],
    [[C, A, C], "PAUSE_AND_CLARIFY", "2", "concerns of gemini-r1, codex-r1"],
    [[A, C, N], "LOG_WARNING", "3", "a concern of claude-r1"],
    [[A, A], "CONTINUE", "4", "approved by gemini-r1, claude-r1"],
    [[A, N, N], "CONTINUE", "4", "approved by gemini-r1; 2 gave no verdict"],
    [[N, N], "LOG_WARNING", "none", "nobody gave a verdict that could be read"],
    [[], "LOG_WARNING", "none", "nobody gave a verdict that could be read"],
  ];
  for (const [verdicts, action, rule, reason] of table) {
    deepEqual(decide(given(...verdicts)), { action, rule, reason });
  }
});

Deno.test("no verdict is no approval: it never lets work pass, and never stops any", () => {
  equal(decide(given(N)).action, "LOG_WARNING");
  fc.assert(fc.property(someVerdicts, fc.nat({ max: 3 }), (verdicts, silent) => {
    const some = verdicts.some(({ verdict }) => verdict !== N);
    fc.pre(some);
    deepEqual(decide([...verdicts, ...given(...Array(silent).fill(N))]).action, decide(verdicts).action);
  }));
  fc.assert(fc.property(fc.array(fc.constant(N), { maxLength: 4 }), (silent) => {
    notEqual(decide(given(...silent)).action, "CONTINUE");
  }));
});

Deno.test("the order of verdicts decides nothing, whatever they weigh", () => {
  const weights = fc.dictionary(fc.constantFrom(...agents), fc.nat({ max: 20 }).map((tenths) => tenths / 10));
  fc.assert(fc.property(someVerdicts, weights, (verdicts, weights) => {
    const policy = { weights, custom: [] };
    equal(decide(verdicts.toReversed(), policy).action, decide(verdicts, policy).action);
  }));
  // 0.7 + 0.6 + 0.7 is 1.9999999999999998.
  const policy = { weights: { gemini: 0.7, claude: 0.6, codex: 0.7 }, custom: [] };
  equal(decide(given(C, C, C), policy).action, "PAUSE_AND_CLARIFY");
});

Deno.test("weights make one concern a majority, and two of them none", () => {
  const weighed = (weights: Record<string, number>, ...verdicts: (Verdict | null)[]) =>
    decide(given(...verdicts), { weights, custom: [] }).action;
  equal(weighed({ gemini: 2 }, C, A), "PAUSE_AND_CLARIFY");
  equal(weighed({ gemini: 0.5 }, C, C), "LOG_WARNING");
  equal(weighed({ gemini: 0.5 }, B, A), "STOP_AND_ESCALATE");
  equal(weighed({ gemini: 0 }, B, A), "CONTINUE");
  equal(weighed({ gemini: 0, claude: 0 }, A, A), "LOG_WARNING");
  deepEqual(decide(given(A, N), { weights: { claude: 0 }, custom: [] }).reason, "approved by gemini-r1");
});

Deno.test("rules of a person come first, in their order", () => {
  const custom = [
    { name: "trust codex", verdict: A, atLeast: 1, agents: ["codex"], action: "CONTINUE" },
    { name: "two blockers", verdict: B, atLeast: 2, action: "STOP_AND_ESCALATE" },
    { name: "a blocker", verdict: B, atLeast: 0, action: "PAUSE_AND_CLARIFY" },
    { name: "silence", verdict: "none", atLeast: 2, action: "STOP_AND_ESCALATE" },
  ] as const;
  const table: [(Verdict | null)[], Action, string, string][] = [
    [[B, B, A], "CONTINUE", "trust codex", "approved by codex-r1"],
    [[B, B, C], "STOP_AND_ESCALATE", "two blockers", "blocker by gemini-r1, claude-r1"],
    [[A, B], "PAUSE_AND_CLARIFY", "a blocker", "blocker by claude-r1"],
    [[N, N, C], "STOP_AND_ESCALATE", "silence", "no verdict by gemini-r1, claude-r1"],
    [[N, C], "LOG_WARNING", "3", "a concern of claude-r1"],
    [[A], "CONTINUE", "4", "approved by gemini-r1"],
    [[], "LOG_WARNING", "none", "nobody gave a verdict that could be read"],
  ];
  for (const [verdicts, action, rule, reason] of table) {
    deepEqual(decide(given(...verdicts), { weights: {}, custom }), { action, rule, reason });
  }
});

Deno.test("what a rule of a person needs is compared with weights", () => {
  const custom = [{ name: "heavy", verdict: A, atLeast: 2, action: "CONTINUE" }] as const;
  equal(decide(given(A, C), { weights: { gemini: 2 }, custom }).rule, "heavy");
  equal(decide(given(A, C), { weights: { gemini: 1.9 }, custom }).rule, "3");
});
