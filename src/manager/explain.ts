/** Asks workers for the cause of a proven failure, and tries what they say. */
import { messageOf } from "../failure.ts";
import { HYPOTHESES_JSON, jsonText, outputPath, placeText, topOf } from "./artifacts.ts";
import { fixTargets } from "./fix_targets.ts";
import { judgeScript } from "./judge_script.ts";
import type { RunPorts, WorkerAnswer, WorkerOrder } from "./ports.ts";
import { ISSUE_FILE, issueFile, triagerPrompt } from "./prompts.ts";
import type { ChosenPlace } from "./prove.ts";
import { counted, inPhase, type IssueRun, readJson, warn } from "./run_phase.ts";
import type { ChosenCandidate } from "./run_result.ts";
import { rankHypotheses, type Ranking, readHypotheses } from "./triage.ts";

const ANSWERS_JSON = "triage/answers.json";

export type Explanation = Pick<Ranking, "ranked" | "culprit">;

/** Nothing when there is nobody to ask or no place to try it in: what is reproduced stays so. */
export async function explain(
  run: IssueRun,
  { chosen, place }: { readonly chosen: ChosenCandidate; readonly place: ChosenPlace },
): Promise<Explanation> {
  try {
    const answers = await triage(run, chosen);
    return await experiments(run, { chosen, place, answers });
  } catch (error) {
    run.ports.signal.throwIfAborted();
    await warn(run, `The cause was not looked for to the end: ${messageOf(error)}`);
    return NOTHING;
  }
}

const NOTHING: Explanation = { ranked: [], culprit: null };

type Answer = Pick<WorkerAnswer, "worker" | "objects">;

async function triage(run: IssueRun, chosen: ChosenCandidate): Promise<readonly Answer[]> {
  const { ports, state } = run;
  const kept = await readJson<{ answers: Answer[] }>(run, ANSWERS_JSON);
  if (kept !== undefined) return kept.answers;
  const builders = [...state.candidates.values()].filter(({ read }) => read !== null).length;
  const names = Array.from({ length: ports.settings.workers }, (_, index) => `w${builders + index + 1}`);
  return await inPhase(run, "triage", {
    detail: counted(names.length, "worker"),
    async work() {
      const orders = names.map((name, index) => triageOrder(run, { name, index, chosen }));
      const answers = await ports.workers.run(orders);
      for (const { worker, objects } of answers) {
        await ports.writeFile(outputPath("TRIAGER", worker), jsonText(objects.at(-1) ?? {}));
      }
      const value = answers.map(({ worker, objects }) => ({ worker, objects }));
      await ports.writeFile(ANSWERS_JSON, jsonText({ answers: value }));
      const finished = answers.filter(({ status }) => status === "finished").length;
      return { value, detail: `${finished} of ${counted(names.length, "worker")} answered` };
    },
  });
}

function triageOrder(
  { spec, commit }: IssueRun,
  { name, index, chosen }: { readonly name: string; readonly index: number; readonly chosen: ChosenCandidate },
): WorkerOrder {
  const { candidate, script, proof, observed } = chosen;
  const { failure = null, stderr = "" } = observed ?? {};
  const frames = failure?.frames.map(({ file, line, function: name }) =>
    `  at ${name ?? "?"} (${file ?? "?"}:${line ?? "?"})`
  );
  return {
    worker: name,
    role: "TRIAGER",
    prompt: triagerPrompt({
      spec,
      commit,
      script,
      fileExtension: candidate.file_extension,
      oracleCommand: candidate.oracle_command,
      failure: [proof.matched_signature, ...frames ?? [], "", "What it writes to stderr:", stderr].join("\n"),
      isFlaky: !proof.passed,
      index,
    }),
    outputPath: outputPath("TRIAGER", name),
    files: { [ISSUE_FILE]: issueFile(spec), [`repro_candidate.${candidate.file_extension}`]: script },
    commit,
    problemWith(objects) {
      const { hypotheses, problems } = readHypotheses(objects, name);
      return hypotheses.length > 0 ? undefined : problems.join("; ") || "there is no hypothesis in it";
    },
  };
}

async function experiments(
  run: IssueRun,
  { chosen, place: chosenPlace, answers }: {
    readonly chosen: ChosenCandidate;
    readonly place: ChosenPlace;
    readonly answers: readonly Answer[];
  },
): Promise<Explanation> {
  const { ports, state, spec, commit } = run;
  const kept = state.ranked === null
    ? undefined
    : await readJson<{ hypotheses: Ranking["ranked"]; culprit: Ranking["culprit"] }>(run, HYPOTHESES_JSON);
  if (kept !== undefined) return { ranked: kept.hypotheses, culprit: kept.culprit };
  const { candidate, script, proof, observed } = chosen;
  return await inPhase(run, "experiments", {
    detail: counted(answers.length, "answer"),
    async work() {
      const place = await chosenPlace.get();
      if (place === undefined) return { value: NOTHING, detail: "there is no place for them", status: "skipped" };
      const ranking = await rankHypotheses({
        answers,
        failure: observed?.failure ?? null,
        roots: [...state.workers.values()].flatMap(({ launch }) => launch?.workdir ?? []),
        repository: ports.repository,
        commit,
        candidate,
        script,
        signature: proof.signature!,
        judge: (scriptRun) => judgeScript(scriptRun, spec),
        place,
        places: ports.places,
        bisect: ports.settings.bisect && proof.passed,
        goodRefs: spec.refs,
        earlierRuns: state.runs.filter(({ stage, candidate: id }) =>
          stage === "bisect" && id === candidate.candidate_id
        ),
        publish: ports.publish,
        signal: ports.signal,
        now: ports.now,
      });
      for (const problem of ranking.problems) await warn(run, problem);
      await writeHypotheses(ports, ranking);
      return {
        value: ranking,
        detail: `${counted(ranking.ranked.length, "hypothesis", "hypotheses")}; ${ranking.bisection}`,
      };
    },
  });
}

async function writeHypotheses({ writeFile, publish }: RunPorts, ranking: Ranking): Promise<void> {
  const { ranked, rejected, culprit, bisection } = ranking;
  await writeFile(HYPOTHESES_JSON, jsonText({ hypotheses: ranked, top: topOf(ranked), rejected, culprit, bisection }));
  await publish({
    type: "hypotheses.ranked",
    data: {
      count: ranked.length,
      top: ranked.slice(0, 3).map((hypothesis) => {
        const [place] = fixTargets([hypothesis]);
        return {
          hypothesis: hypothesis.hypothesis_id,
          score: hypothesis.score,
          place: place === undefined ? null : placeText(place),
        };
      }),
    },
  });
}
