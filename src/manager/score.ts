/** How good a reproducer is, as the seed weighs it. */
import type { FailureSignature } from "../oracle/expected.ts";
import { messageTemplate } from "../oracle/message_template.ts";
import { describeSignature } from "../oracle/signature.ts";
import type { Candidate, IssueSpec } from "./ports.ts";

/** Lines from which on a script is as long as it can be. */
const LONG_LINES = 200;

/**
 * 0.6 · share of matching runs + 0.25 · fidelity + 0.15 · brevity, 0 to 1, rounded to 5 places. Fidelity is 1 when what was
 * observed has a type, a message or a status that the issue expects; without a match, what the worker claims is asked.
 */
export function scoreCandidate(
  { script, claimed_failure_signature: claim }: Pick<Candidate, "script" | "claimed_failure_signature">,
  { matches, runs, signature }: {
    readonly matches: number;
    readonly runs: number;
    readonly signature: FailureSignature | null;
  },
  { expected_failure_signals: signals }: Pick<IssueSpec, "expected_failure_signals">,
): number {
  const said = signature === null ? claim : describeSignature(signature);
  const isFaithful = signals.some(({ expected: { type, message, signal, exitCode } }) =>
    has(said, type) || has(said, message) || has(said, message && messageTemplate(message)) ||
    signature !== null && (signal !== null && signature.signal === signal ||
        exitCode !== null && signature.exitCode === exitCode)
  );
  const brevity = 1 - Math.min(lineCount(script), LONG_LINES) / LONG_LINES;
  const score = 0.6 * (runs === 0 ? 0 : matches / runs) + 0.25 * (isFaithful ? 1 : 0) + 0.15 * brevity;
  return Math.round(score * 1e5) / 1e5;
}

const has = (text: string, part: string | null) => part !== null && part !== "" && text.includes(part);

function lineCount(script: string): number {
  const text = script.trimEnd();
  return text === "" ? 0 : text.split("\n").length;
}
