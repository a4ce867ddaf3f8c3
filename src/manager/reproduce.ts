/** Has workers write reproducers, round by round, and tries each of them in a clean place. */
import { describeSignature } from "../oracle/signature.ts";
import type { FailureSignature } from "../oracle/expected.ts";
import { jsonText, outputPath } from "./artifacts.ts";
import { readCandidate } from "./candidate.ts";
import type { Candidate, Validation, WorkerAnswer, WorkerOrder } from "./ports.ts";
import { builderPrompt, type FormerCandidate, ISSUE_FILE, issueFile } from "./prompts.ts";
import { counted, inPhase, type IssueRun, readJson } from "./run_phase.ts";
import type { TriedCandidate } from "./run_result.ts";
import type { RunState } from "./run_state.ts";
import { validate } from "./validate.ts";

/**
 * Of all rounds, in the order of their workers. Ends after the first round with one that is reproduced.
 *
 * @param onTried told what there is after each round
 */
export async function reproduce(
  run: IssueRun,
  onTried: (tried: readonly TriedCandidate[]) => void,
): Promise<readonly TriedCandidate[]> {
  const { workers, rounds } = run.ports.settings;
  let tried: readonly TriedCandidate[] = [];
  for (let round = 0; round < rounds; round++) {
    const names = Array.from({ length: workers }, (_, index) => `w${round * workers + index + 1}`);
    await readCandidates(run, { names, round, former: tried });
    await tryCandidates(run, await triedBy(run, names));
    tried = [...tried, ...await triedBy(run, names)];
    onTried(tried);
    if (tried.some(({ validation }) => validation?.verdict === "reproduced")) break;
  }
  return tried;
}

/** Of the runs that were told, `reproduced`, `flaky` and so on; undefined: it was not judged. */
export function validationIn(
  state: RunState,
  id: string,
  { stage, commit }: { readonly stage: "validate" | "final"; readonly commit: string },
): Validation | undefined {
  const candidate = state.candidates.get(id);
  const judged = stage === "final" ? candidate?.proof : candidate?.validation;
  if (judged === null || judged === undefined) return undefined;
  const signature = judged.signature as FailureSignature | null;
  const runs = state.runs.filter((one) => one.candidate === id && one.stage === stage);
  return {
    total_runs: judged.runs,
    matches: judged.matches,
    matched_signature: signature === null ? "" : describeSignature(signature),
    passed: judged.verdict === "reproduced",
    verdict: judged.verdict,
    reason: judged.reason,
    interval: [judged.interval[0] ?? 0, judged.interval[1] ?? 1],
    commit,
    signature,
    outcomes: runs.map(({ outcome, reason, duration_ms }) => ({ outcome, reason, duration_ms })),
  };
}

interface Round {
  readonly names: readonly string[];
  /** From 0. */
  readonly round: number;
  /** What earlier rounds brought. */
  readonly former: readonly TriedCandidate[];
}

/** Each worker's candidate is in its file then, and told. */
async function readCandidates(run: IssueRun, { names, round, former }: Round): Promise<void> {
  const { ports } = run;
  const open = names.filter((name) => readOf(run.state, name) === undefined);
  if (open.length === 0) return;
  const detail = `round ${round + 1} of at most ${ports.settings.rounds}, ${counted(names.length, "worker")}`;
  await inPhase(run, "reproduce", {
    detail,
    async work() {
      const orders = open.map((name) => orderOf(run, { name, index: names.indexOf(name), former }));
      const answers = await ports.workers.run(orders);
      let found = 0;
      for (const answer of answers) if (await keepCandidate(run, answer)) found++;
      return { value: undefined, detail: `${counted(found, "candidate")} of ${counted(names.length, "worker")}` };
    },
  });
}

function orderOf(
  { ports, state, spec, commit }: IssueRun,
  { name, index, former }: {
    readonly name: string;
    readonly index: number;
    readonly former: readonly TriedCandidate[];
  },
): WorkerOrder {
  const { settings } = ports;
  const attempts = former.map(({ candidate, problem, validation }): FormerCandidate => ({
    candidate,
    reason: validation?.reason ?? problem ?? "",
  }));
  return {
    worker: name,
    role: "REPRO_BUILDER",
    prompt: builderPrompt({
      spec,
      commit,
      tools: state.environment?.tools ?? [],
      pythonVersion: settings.pythonVersion,
      network: settings.allowNetwork,
      oracleTimeoutMs: settings.oracleTimeoutMs,
      runs: settings.validationRuns,
      former: attempts,
      index,
    }),
    outputPath: outputPath("REPRO_BUILDER", name),
    files: { [ISSUE_FILE]: issueFile(spec) },
    commit,
    problemWith(objects) {
      const read = readCandidate(objects, name);
      return read.kind === "candidate" ? undefined : read.problem;
    },
  };
}

/** Whether there is one that can be tried. */
async function keepCandidate({ ports, state }: IssueRun, answer: WorkerAnswer): Promise<boolean> {
  const { worker, status, reason, objects } = answer;
  const read = readCandidate(objects, worker);
  const isThere = read.kind === "candidate";
  const gone = status === "finished" ? "" : `the worker ended as ${status}${reason === "" ? "" : ` (${reason})`}; `;
  // Two workers may have the same name for theirs.
  const named = isThere ? read.candidate.candidate_id : worker;
  let id = named;
  while (state.candidates.has(id)) id = `${id}-${worker}`;
  const problem = isThere ? null : `${gone}${read.problem}`;
  const content = isThere ? { ...read.candidate, candidate_id: id } : { candidate_id: id, worker_id: worker, problem };
  await ports.writeFile(outputPath("REPRO_BUILDER", worker), jsonText(content));
  await ports.publish({
    type: "candidate.read",
    data: {
      candidate: id,
      worker,
      problem,
      script_bytes: isThere ? new TextEncoder().encode(read.candidate.script).length : 0,
      oracle_command: isThere ? read.candidate.oracle_command : null,
    },
  });
  return isThere;
}

/** As the state and the files have them. */
async function triedBy(run: IssueRun, names: readonly string[]): Promise<TriedCandidate[]> {
  const { state, commit } = run;
  return await Promise.all(names.map(async (worker): Promise<TriedCandidate> => {
    const read = readOf(state, worker);
    const id = read?.candidate ?? worker;
    const problem = read === undefined ? "it gave no answer" : read.problem;
    const candidate = problem === null
      ? await readJson<Candidate>(run, outputPath("REPRO_BUILDER", worker)) ?? null
      : null;
    return {
      worker,
      id,
      candidate,
      problem: problem ?? (candidate === null ? "its file is gone" : null),
      validation: validationIn(state, id, { stage: "validate", commit }) ?? null,
      score: state.candidates.get(id)?.validation?.score ?? null,
    };
  }));
}

async function tryCandidates(run: IssueRun, tried: readonly TriedCandidate[]): Promise<void> {
  const open = tried.flatMap(({ candidate, validation, worker }) =>
    candidate === null || validation !== null ? [] : [{ candidate, worker }]
  );
  if (open.length === 0) return;
  await inPhase(run, "validate", {
    detail: counted(open.length, "candidate"),
    async work() {
      for (const { candidate, worker } of open) await tryCandidate(run, { candidate, worker });
      const verdicts = open.map(({ candidate: { candidate_id: id } }) =>
        `${id} ${run.state.candidates.get(id)?.validation?.verdict.replaceAll("_", " ") ?? "was not judged"}`
      );
      return { value: undefined, detail: verdicts.join(", ") };
    },
  });
}

async function tryCandidate(
  run: IssueRun,
  { candidate, worker }: { readonly candidate: Candidate; readonly worker: string },
): Promise<void> {
  const { ports, spec, state, commit } = run;
  const { signal } = ports;
  const preparation = await ports.places.prepare(candidate, { commit, signal });
  if (preparation.kind !== "ready") {
    signal.throwIfAborted();
    await ports.publish({
      type: "candidate.judged",
      data: {
        candidate: candidate.candidate_id,
        worker,
        stage: "validate",
        verdict: preparation.kind === "environment" ? "environment_error" : "unusable",
        matches: 0,
        runs: 0,
        interval: [0, 1],
        reason: preparation.reason,
        score: null,
        signature: null,
      },
    });
    return;
  }
  const { place } = preparation;
  try {
    await ports.writeFile(environmentPath(worker), jsonText(place.environment));
    await validate(candidate, place, {
      spec,
      settings: ports.settings,
      stage: "validate",
      former: state.runs.filter((one) => one.candidate === candidate.candidate_id && one.stage === "validate"),
      publish: ports.publish,
      signal,
    });
  } finally {
    await place.close();
  }
}

/** Where what a worker's candidate ran in is recorded, relative to the run's folder. */
export function environmentPath(worker: string): string {
  return `repro/environments/${worker}.json`;
}

function readOf(state: RunState, worker: string) {
  return [...state.candidates.values()].find(({ read }) => read?.worker === worker)?.read ?? undefined;
}
