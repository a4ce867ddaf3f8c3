/** Tries reproducers on other commits than the run's: the default branch, the versions that an issue names. */
import type { RunJudgement } from "../oracle/expected.ts";
import { bisect } from "./bisect.ts";
import { judgeScript } from "./judge_script.ts";
import type { Candidate, PreparedPlace } from "./ports.ts";
import { type IssueRun, warn } from "./run_phase.ts";
import type { CommitInfo, ElsewhereTrial } from "./run_result.ts";

export interface Elsewhere {
  readonly stage: ElsewhereTrial["stage"];
  readonly name: string;
  readonly commit: string;
}

const MAX_PLACES = 4;

/** The default branch and what the issue names, as far as they are other commits than the run's. */
export async function otherCommits({ ports, spec, commit }: IssueRun): Promise<Elsewhere[]> {
  const { repository } = ports;
  const found = new Map<string, Elsewhere>();
  for (const name of spec.refs) {
    const resolved = await repository.resolve(name);
    if (resolved !== undefined) found.set(resolved, { stage: "issue_version", name, commit: resolved });
  }
  const branch = await repository.defaultBranch();
  if (branch !== undefined) found.set(branch.commit, { stage: "default_branch", ...branch });
  found.delete(commit);
  return [...found.values()].slice(-MAX_PLACES);
}

/** As many runs as a validation has, unless one of them says that nothing can be told. None that was told is repeated. */
export async function tryElsewhere(
  run: IssueRun,
  candidate: Candidate,
  { stage, name, commit }: Elsewhere,
): Promise<ElsewhereTrial> {
  const { ports, state } = run;
  const { signal, settings } = ports;
  const id = candidate.candidate_id;
  const told = () => state.runs.filter((one) => one.candidate === id && one.stage === stage && one.commit === commit);
  const trial = (shows: ElsewhereTrial["shows"], reason: string): ElsewhereTrial => ({
    stage,
    name,
    commit,
    candidate: id,
    shows,
    reason,
  });
  const verdict = (): ElsewhereTrial | undefined => {
    const runs = told();
    const odd = runs.find(({ outcome }) => outcome !== "match" && outcome !== "no_failure");
    if (odd !== undefined) return trial("unknown", odd.reason);
    const matches = runs.filter(({ outcome }) => outcome === "match").length;
    if (matches > 0 && matches < runs.length) return trial("bug", `in ${matches} of ${runs.length} runs`);
    if (runs.length < settings.validationRuns) return undefined;
    return matches > 0
      ? trial("bug", `in all of ${runs.length} runs`)
      : trial("no_bug", `in ${runs.length} of ${runs.length} runs nothing failed`);
  };
  const known = verdict();
  if (known !== undefined) return known;
  const preparation = await ports.places.prepare(candidate, { commit, signal });
  if (preparation.kind !== "ready") {
    signal.throwIfAborted();
    return trial("unknown", preparation.reason);
  }
  const { place } = preparation;
  try {
    for (;;) {
      const now = verdict();
      if (now !== undefined) return now;
      await runOnce(run, candidate, { place, stage, commit });
    }
  } finally {
    await place.close();
  }
}

/** Between a commit with the bug and a later one without; null: it cannot be told. */
export async function firstFixed(
  run: IssueRun,
  candidate: Candidate,
  { broken, fixed }: { readonly broken: string; readonly fixed: string },
): Promise<CommitInfo | null> {
  const { ports, state } = run;
  const { repository, signal } = ports;
  if (!ports.settings.bisect || !await repository.isAncestor(broken, fixed)) return null;
  const earlier = state.runs.filter((one) => one.candidate === candidate.candidate_id && one.stage === "bisect");
  const outcomeAt = async (commit: string): Promise<Outcome> => {
    const told = earlier.findIndex((one) => one.commit === commit);
    if (told !== -1) return earlier.splice(told, 1)[0]!.outcome;
    const preparation = await ports.places.prepare(candidate, { commit, signal });
    if (preparation.kind !== "ready") {
      signal.throwIfAborted();
      return "environment";
    }
    const { place } = preparation;
    try {
      return await runOnce(run, candidate, { place, stage: "bisect", commit });
    } finally {
      await place.close();
    }
  };
  // Looked at from the other end, the fix is what breaks it.
  const found = await bisect({
    repository,
    bad: fixed,
    goodRefs: [broken],
    signal,
    now: ports.now,
    async test(commit) {
      const outcome = await outcomeAt(commit);
      return outcome === "match" ? "good" : outcome === "no_failure" ? "bad" : "skip";
    },
  });
  if (found.kind === "none") {
    await warn(run, `The commit that mended it was not found: ${found.reason}`);
    return null;
  }
  const { commit, subject, author, date } = found.culprit;
  return { commit, subject, author, date };
}

type Outcome = RunJudgement["outcome"];

/** In a copy that nothing has run in; told. */
async function runOnce(
  { ports, state, spec }: IssueRun,
  { candidate_id: id, script }: Candidate,
  { place, stage, commit }: {
    readonly place: PreparedPlace;
    readonly stage: ElsewhereTrial["stage"] | "bisect";
    readonly commit: string;
  },
): Promise<Outcome> {
  const { signal } = ports;
  const scriptRun = await place.run(script, { fresh: true, signal });
  signal.throwIfAborted();
  const { judgement: { outcome, reason }, signature } = judgeScript(scriptRun, spec);
  const run = state.runs.filter((one) => one.candidate === id && one.stage === stage && one.commit === commit).length +
    1;
  const told = { outcome, reason, signature: signature && { ...signature } };
  await ports.publish({
    type: "candidate.run",
    data: { candidate: id, stage, commit, run, ...told, duration_ms: Math.round(scriptRun.durationMs) },
  });
  return outcome;
}
