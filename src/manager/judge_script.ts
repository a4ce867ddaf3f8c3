/** What one run of a reproducer shows of what an issue expects. */
import type { ExpectedFailure, FailureSignature, RunJudgement, RunPlace } from "../oracle/expected.ts";
import type { ProgramEnd } from "../oracle/failure.ts";
import { judgeRun } from "../oracle/judge_run.ts";
import { sameSignature, signatureOf } from "../oracle/signature.ts";
import type { IssueSpec, ScriptRun } from "./ports.ts";
import { valuesIn } from "./stated_values.ts";

export interface JudgedRun {
  readonly judgement: RunJudgement;
  /** Null: it has not failed as expected. */
  readonly signature: FailureSignature | null;
}

export function judgeScript({ end, place }: ScriptRun, spec: IssueSpec): JudgedRun {
  const expected = spec.expected_failure_signals.map(({ expected }) => expected);
  const found = judgeRun(end, expected, place);
  const judgement = unstated(found, expected, end) ?? found;
  const { outcome, failure, reason } = judgement;
  return {
    judgement: { ...judgement, reason: withoutPlace(reason, place) },
    signature: outcome === "match" && failure !== null ? signatureOf(failure, place) : null,
  };
}

/** An assertion about other values than those of the issue is about something else. Null: it is about these. */
function unstated(
  { matched, failure }: RunJudgement,
  expected: readonly ExpectedFailure[],
  { script }: ProgramEnd,
): RunJudgement | null {
  const wanted = matched === null ? undefined : expected[matched];
  if (wanted?.shows !== "wrong_result" || wanted.message === null || script === undefined) return null;
  const stated = [...valuesIn(wanted.message).keys()];
  const own = valuesIn(script);
  if (stated.length === 0 || stated.some((value) => own.has(value))) return null;
  const reason = `Nothing of what the issue says of the result is in the reproducer: ${stated.slice(0, 10).join(", ")}`;
  return { outcome: "own_failure", matched: null, reason, failure };
}

/** Paths of the project relative to its top: where a clean place is on this machine is nobody's business. */
export function withoutPlace(text: string, { project }: RunPlace): string {
  return text.replaceAll(`${project}/`, "");
}

/** Whether it has failed as expected, and in the same way as before. */
export function showsAgain(run: ScriptRun, spec: IssueSpec, wanted: FailureSignature): boolean {
  const { signature } = judgeScript(run, spec);
  return signature !== null && sameSignature(signature, wanted);
}
