/** Runs a reproducer in clean places until it is known whether it shows the failure, every time and in the same way. */
import type { EventData, EventFact } from "../events/event.ts";
import type { FailureSignature } from "../oracle/expected.ts";
import { describeSignature } from "../oracle/signature.ts";
import { type Control, tryToRefute } from "./control_runs.ts";
import { judgeScript } from "./judge_script.ts";
import type { Candidate, IssueSpec, PreparedPlace, Validation } from "./ports.ts";
import { scoreCandidate } from "./score.ts";
import { type Standing, standingOf, type ToldRun, wilson } from "./sequential_test.ts";
import type { ManagerSettings } from "./settings.ts";

export interface ValidateOptions {
  readonly spec: IssueSpec;
  readonly settings: Pick<ManagerSettings, "validationRuns">;
  readonly stage: "validate" | "final";
  /** Runs that were told before: none of them is repeated. */
  readonly former?: readonly EventData<"candidate.run">[];
  /** The way in which it has to fail; undefined: any that is expected, the same in all runs. */
  readonly expected?: FailureSignature | null;
  publish(fact: EventFact): Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Each run is in a copy that nothing has run in, and told as it ends; then the verdict is. Rejects when `signal` aborts, or
 * the place does not work.
 */
export async function validate(
  candidate: Candidate,
  place: PreparedPlace,
  options: ValidateOptions,
): Promise<Validation> {
  const { spec, stage, signal, publish } = options;
  const { candidate_id: id, worker_id: worker, script } = candidate;
  const { commit } = place;
  const told = (options.former ?? []).filter((run) => run.commit === commit).sort((a, b) => a.run - b.run).map(toldRun);
  const standing = () =>
    standingOf(told, { needed: options.settings.validationRuns, wanted: options.expected ?? undefined });
  while (standing().verdict === null) {
    const run = await place.run(script, { fresh: true, signal });
    signal.throwIfAborted();
    const { judgement: { outcome, reason }, signature } = judgeScript(run, spec);
    const duration_ms = Math.round(run.durationMs);
    told.push({ outcome, reason, signature, durationMs: duration_ms });
    await publish({
      type: "candidate.run",
      data: {
        candidate: id,
        stage,
        commit,
        run: told.length,
        outcome,
        reason,
        signature: signature && { ...signature },
        duration_ms,
      },
    });
  }
  const found = standing();
  const control = found.verdict === "reproduced" && found.signature !== null
    ? await tryToRefute(candidate, place, { spec, signature: found.signature, signal })
    : { kind: "untried" as const };
  const { runs, matches, signature, interval, verdict, reason } = afterControl(found, control);
  await publish({
    type: "candidate.judged",
    data: {
      candidate: id,
      worker,
      stage,
      verdict: verdict!,
      matches,
      runs,
      interval: [...interval],
      reason,
      score: scoreCandidate(candidate, { matches, runs, signature }, spec),
      signature: signature && { ...signature },
    },
  });
  return {
    total_runs: runs,
    matches,
    matched_signature: signature === null ? "" : describeSignature(signature),
    passed: verdict === "reproduced",
    verdict: verdict!,
    reason,
    interval,
    commit,
    signature,
    outcomes: told.map(({ outcome, reason, durationMs }) => ({ outcome, reason, duration_ms: durationMs })),
  };
}

function afterControl(standing: Standing, control: Control): Standing {
  switch (control.kind) {
    case "untried":
      return standing;
    case "held":
      return { ...standing, reason: `${standing.reason}. ${control.reason}` };
    case "refuted": {
      const { reason } = control;
      const interval = wilson(0, standing.runs);
      return { ...standing, verdict: "not_reproduced", matches: 0, signature: null, interval, reason };
    }
  }
}

function toldRun({ outcome, reason, signature, duration_ms: durationMs }: EventData<"candidate.run">): ToldRun {
  // Of our own log, where `oracle/` has written it.
  return { outcome, reason, signature: signature as FailureSignature | null, durationMs };
}
