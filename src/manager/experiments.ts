/** Cheap experiments that speak for or against hypotheses: a traced run, a bisection, the checks that workers named. */
import type { EventData, EventFact } from "../events/event.ts";
import type { FailureSignature, RunJudgement } from "../oracle/expected.ts";
import { ownerOf, packagePath } from "../oracle/frame_owner.ts";
import { bisect, type Bisection, type BisectTest, type Culprit } from "./bisect.ts";
import type { CitedFiles } from "./cited_files.ts";
import type {
  Candidate,
  CleanPlaces,
  Evidence,
  Experiment,
  Hypothesis,
  PreparedPlace,
  RunRepository,
  ScriptRun,
} from "./ports.ts";
import { extensionOf, type LineRange } from "./source_lines.ts";

export interface ExperimentRequest {
  readonly repository: RunRepository;
  /** What the reproducer was validated on. */
  readonly commit: string;
  readonly candidate: Pick<Candidate, "candidate_id" | "setup_commands" | "oracle_command" | "file_extension">;
  /** The minimal reproducer. */
  readonly script: string;
  /** How it fails there, every time. */
  readonly signature: FailureSignature;
  judge(run: ScriptRun): { readonly judgement: RunJudgement; readonly signature: FailureSignature | null };
  /** At `commit`. */
  readonly place: PreparedPlace;
  readonly places: Pick<CleanPlaces, "prepare">;
  /** Whether to look for the commit that brought the failure; no use for one that does not come every time. */
  readonly bisect: boolean;
  /** Refs that the issue calls good, the most likely first. */
  readonly goodRefs: readonly string[];
  /** Runs of stage `bisect` that the log has: they are not repeated. */
  readonly earlierRuns: readonly EventData<"candidate.run">[];
  publish(fact: EventFact): Promise<void>;
  readonly signal: AbortSignal;
  now(): number;
}

/** What came of one hypothesis; `score` is the sum of what its experiments add and take. */
export interface Trials {
  readonly experiments: readonly Experiment[];
  readonly score: number;
}

/** Experiments move a score by at most as much. */
export const MAX_EXPERIMENTS_SCORE = 0.3;
/**
 * What a result adds. That a line is executed says little, because most lines are; that a disconfirming check fails says
 * nothing, because a check that cannot succeed is easily written.
 */
const WEIGHT = {
  /** A cited line is where the failure was raised, or in that function: what is wrong is often some lines above. */
  raised: 0.15,
  raisedInFunction: 0.12,
  /** The same for the callers. */
  passed: 0.1,
  passedInFunction: 0.08,
  executed: 0.05,
  notExecuted: -0.15,
  culpritLine: 0.15,
  culpritFile: 0.06,
  notCulprit: -0.05,
  disconfirmed: -0.2,
} as const;
/** Whoever cites more than these places hits something by chance: what speaks for it counts for less. */
const MANY_PLACES = 5;
/** A failure that comes most of the time is traced in one of as many runs. */
const MAX_TRACED_RUNS = 3;
/** A hypothesis beyond these has no check of its own run. */
const MAX_CHECKED_HYPOTHESES = 5;
const MAX_CHECKS_EACH = 3;
const CHECKS_BUDGET_MS = 5 * 60_000;
const MAX_DETAIL_CHARACTERS = 300;
/** What a shell says of itself, not of the check. */
const NOT_RUN = new Set([126, 127]);

/** @param hypotheses with evidence that is there, the best first */
export async function runExperiments(
  hypotheses: readonly Hypothesis[],
  files: CitedFiles,
  request: ExperimentRequest,
): Promise<
  { readonly trials: ReadonlyMap<string, Trials>; readonly culprit: Culprit | null; readonly bisection: string }
> {
  const trials = new Map<string, { experiments: Experiment[]; score: number }>();
  const record: RecordTrial = async (hypothesis, experiment, weight) => {
    const known = trials.get(hypothesis.hypothesis_id) ?? { experiments: [], score: 0 };
    trials.set(hypothesis.hypothesis_id, known);
    known.experiments.push(experiment);
    known.score += weight;
    await request.publish({
      type: "hypothesis.checked",
      data: { hypothesis: hypothesis.hypothesis_id, ...experiment },
    });
  };
  if (hypotheses.length > 0) await traceLines(hypotheses, { files, request, record });
  await tryChecks(hypotheses.slice(0, MAX_CHECKED_HYPOTHESES), request, record);
  const bisection = await bisectFailure(request);
  if (bisection.kind === "none") return { trials, culprit: null, bisection: bisection.reason };
  await compareWithCulprit(hypotheses, bisection.culprit, { request, record });
  const detail = `The first of the commits that fail, found in ${bisection.tested} tries`;
  return { trials, culprit: bisection.culprit, bisection: detail };
}

type RecordTrial = (hypothesis: Hypothesis, experiment: Experiment, weight: number) => Promise<void>;

// --- which lines run

interface Trace {
  readonly executed: ReadonlyMap<string, ReadonlySet<number>>;
  /** Extensions of project files that were traced: nothing is known of other languages. */
  readonly languages: ReadonlySet<string>;
  /** Of the failure and its causes, innermost first, those of the project only. */
  readonly frames: readonly TracedFrame[];
}

interface TracedFrame {
  readonly path: string;
  readonly line: number;
  /** The path is relative to the project's top; else it is only the end of one. */
  readonly isWhole: boolean;
}

/** One run for all of them, which shows nothing unless it fails as it should. */
async function traceLines(
  hypotheses: readonly Hypothesis[],
  { files, request, record }: { files: CitedFiles; request: ExperimentRequest; record: RecordTrial },
): Promise<void> {
  const { run, judgement, isSame } = await tracedRun(request);
  const trace = traceOf(run, judgement);
  for (const hypothesis of hypotheses) {
    const { weight, ...experiment } = isSame
      ? await judgeLines(hypothesis, trace, files)
      : unknown(`The traced run ended in another way: ${judgement.reason}`);
    const places = Math.max(1, hypothesis.evidence.length / MANY_PLACES);
    await record(hypothesis, { check: "executed", ...experiment }, weight > 0 ? weight / places : weight);
  }
}

async function tracedRun(
  { place, script, judge, signature: wanted, signal }: ExperimentRequest,
): Promise<{ readonly run: ScriptRun; readonly judgement: RunJudgement; readonly isSame: boolean }> {
  for (let tries = 1;; tries++) {
    const run = await place.run(script, { fresh: true, trace: true, signal });
    signal.throwIfAborted();
    const { judgement, signature } = judge(run);
    const isSame = judgement.outcome === "match" && showsTheSame(signature, wanted);
    if (isSame || judgement.outcome === "timeout" || tries === MAX_TRACED_RUNS) return { run, judgement, isSame };
  }
}

function traceOf({ executed, place }: ScriptRun, { failure }: RunJudgement): Trace {
  const own = relativeTo(place.project, place.reproFile);
  const lines = new Map([...executed ?? []].filter(([path]) => path !== own));
  const runtime = failure?.runtime ?? "generic";
  const frames = [...failure?.frames ?? [], ...failure?.causes.flatMap((cause) => cause.frames) ?? []];
  return {
    executed: lines,
    languages: new Set(Array.from(lines.keys(), extensionOf)),
    frames: frames.flatMap((frame): TracedFrame[] => {
      const { file, line } = frame;
      if (file === null || line === null) return [];
      const inside = relativeTo(place.project, file);
      const installed = packagePath(file);
      if (installed !== null) return [{ path: installed, line, isWhole: false }];
      return inside === undefined || ownerOf(frame, runtime, place) !== "project"
        ? []
        : [{ path: inside, line, isWhole: file.startsWith("/") }];
    }),
  };
}

/** Undefined for what lies elsewhere; a path that is not absolute is relative to the project already. */
function relativeTo(project: string, path: string): string | undefined {
  if (path.startsWith(`${project}/`)) return path.slice(project.length + 1);
  return path.startsWith("/") ? undefined : path.replace(/^\.\//, "");
}

type Finding = Pick<Experiment, "speaks" | "detail"> & { readonly weight: number };

const unknown = (detail: string): Finding => ({ speaks: null, detail, weight: 0 });

async function judgeLines(hypothesis: Hypothesis, trace: Trace, files: CitedFiles): Promise<Finding> {
  const placed = await Promise.all(hypothesis.evidence.map(async (evidence) => {
    const structure = await files.structure(evidence.file);
    const own = { first: evidence.line, last: evidence.line };
    return {
      file: evidence.file,
      place: placeOf(evidence),
      statement: structure?.statementAt(evidence.line),
      lines: structure?.statementAt(evidence.line) ?? own,
      around: structure?.functionAt(evidence.line) ?? own,
    };
  }));
  const found: Finding[] = trace.frames.flatMap((frame, depth) => {
    const near = placed.filter(({ file, around }) => isFileOf(frame, file) && isWithin(frame.line, around));
    const exact = near.find(({ lines }) => isWithin(frame.line, lines));
    const [cited = exact] = near;
    if (cited === undefined) return [];
    const { place } = exact ?? cited;
    const of = exact === undefined ? `in the function of ${place}` : `at ${place}`;
    return depth === 0
      ? { detail: `The failure is raised ${of}`, weight: exact ? WEIGHT.raised : WEIGHT.raisedInFunction }
      : { detail: `The failure passes ${of}`, weight: exact ? WEIGHT.passed : WEIGHT.passedInFunction };
  }).map((finding) => ({ speaks: "for", ...finding }));
  const best = found.sort((a, b) => b.weight - a.weight)[0];
  if (best !== undefined) return best;

  const ran = placed.find(({ file, lines }) => hasAny(trace.executed.get(file), lines));
  if (ran !== undefined) {
    return { speaks: "for", detail: `The reproducer executes ${ran.place}`, weight: WEIGHT.executed };
  }
  const missed = placed.filter(({ file, statement }) =>
    statement !== undefined && trace.languages.has(extensionOf(file))
  );
  // Only a line that would run could have been missed.
  if (missed.length === 0) return unknown("Nobody can tell whether the cited lines are executed");
  const detail = `The reproducer does not execute ${missed.map(({ place }) => place).join(", ")}`;
  return missed.length === placed.length
    ? { speaks: "against", detail: cut(detail), weight: WEIGHT.notExecuted }
    : unknown(cut(detail));
}

function isFileOf({ path, isWhole }: TracedFrame, file: string): boolean {
  return file === path || !isWhole && file.endsWith(`/${path}`);
}

const isWithin = (line: number, { first, last }: LineRange) => first <= line && line <= last;

function hasAny(executed: ReadonlySet<number> | undefined, { first, last }: LineRange): boolean {
  for (let line = first; executed !== undefined && line <= last; line++) if (executed.has(line)) return true;
  return false;
}

// --- what workers said would refute them

/**
 * Runs the checks that are commands: `$ command`, or all of it in backticks. One that ends with 0 holds, and refutes;
 * anything else is for people to read, as are the checks in words.
 */
async function tryChecks(
  hypotheses: readonly Hypothesis[],
  { place, signal, now }: ExperimentRequest,
  record: RecordTrial,
): Promise<void> {
  const startedMs = now();
  for (const hypothesis of hypotheses) {
    const commands = hypothesis.disconfirming_checks.flatMap((check) => commandIn(check) ?? []);
    for (const command of commands.slice(0, MAX_CHECKS_EACH)) {
      if (now() - startedMs > CHECKS_BUDGET_MS) return;
      const { exitCode, signal: killedBy, timedOut } = await place.check(command, { signal });
      signal.throwIfAborted();
      const shown = `\`${cut(command)}\``;
      const { weight, ...experiment }: Finding = exitCode === 0
        ? { speaks: "against", detail: `Its own check holds: ${shown}`, weight: WEIGHT.disconfirmed }
        : timedOut
        ? unknown(`Its check took too long: ${shown}`)
        : exitCode === null || NOT_RUN.has(exitCode)
        ? unknown(`Its check could not be run (${killedBy ?? exitCode}): ${shown}`)
        : unknown(`Its own check does not refute it (exit ${exitCode}): ${shown}`);
      await record(hypothesis, { check: "disconfirming", ...experiment }, weight);
      // One that holds is enough.
      if (exitCode === 0) break;
    }
  }
}

function commandIn(check: string): string | undefined {
  const text = check.trim();
  const command = /^\$\s+(.+)$/s.exec(text)?.[1] ?? /^`([^`]+)`$/.exec(text)?.[1] ?? fenced(text);
  return command?.trim() || undefined;
}

function fenced(text: string): string | undefined {
  return text.startsWith("```") && text.endsWith("```") && text.length > 6
    ? text.slice(3, -3).replace(/^(?:sh|bash|shell|console)?\n/, "")
    : undefined;
}

// --- since which commit

async function bisectFailure(request: ExperimentRequest): Promise<Bisection> {
  const { repository, commit, goodRefs, signal } = request;
  if (!request.bisect) return { kind: "none", reason: "The commit that brought it was not looked for" };
  const earlier = new Map(
    request.earlierRuns.filter(({ stage }) => stage === "bisect").map((run) => [run.commit, run]),
  );
  let count = request.earlierRuns.length;
  return await bisect({
    repository,
    bad: commit,
    goodRefs,
    signal,
    now: request.now,
    test: async (tested, { again }) => {
      const known = again ? undefined : earlier.get(tested);
      if (known !== undefined) return testOf(known.outcome);
      const told = await runAt(request, tested);
      await request.publish({
        type: "candidate.run",
        data: { candidate: request.candidate.candidate_id, stage: "bisect", commit: tested, run: ++count, ...told },
      });
      return testOf(told.outcome);
    },
  });
}

type ToldRun = Pick<EventData<"candidate.run">, "outcome" | "reason" | "signature" | "duration_ms">;

/** With the setup done again, because it belongs to the commit. */
async function runAt(request: ExperimentRequest, commit: string): Promise<ToldRun> {
  const { signal } = request;
  const preparation = await request.places.prepare(request.candidate, { commit, signal });
  signal.throwIfAborted();
  if (preparation.kind !== "ready") {
    return { outcome: "environment", reason: preparation.reason, signature: null, duration_ms: 0 };
  }
  const { place } = preparation;
  try {
    const run = await place.run(request.script, { fresh: true, signal });
    signal.throwIfAborted();
    const { judgement: { outcome, reason }, signature } = request.judge(run);
    const told = { signature: signature && { ...signature }, duration_ms: Math.round(run.durationMs) };
    return outcome === "match" && !showsTheSame(signature, request.signature)
      ? { outcome: "other_failure", reason: "It fails as expected, but not in the same way", ...told }
      : { outcome, reason, ...told };
  } finally {
    await place.close();
  }
}

function testOf(outcome: EventData<"candidate.run">["outcome"]): BisectTest {
  if (outcome === "match") return "bad";
  return outcome === "no_failure" ? "good" : "skip";
}

/** Frames are left out of it: functions are renamed and moved from commit to commit. */
function showsTheSame(found: FailureSignature | null, wanted: FailureSignature): boolean {
  return found !== null && found.kind === wanted.kind && found.type === wanted.type &&
    found.template === wanted.template && found.exitCode === wanted.exitCode && found.signal === wanted.signal;
}

async function compareWithCulprit(
  hypotheses: readonly Hypothesis[],
  culprit: Culprit,
  { request, record }: { request: ExperimentRequest; record: RecordTrial },
): Promise<void> {
  const changed = new ChangedLines(request.repository, culprit);
  const name = `${culprit.commit.slice(0, 10)} ("${cut(culprit.subject)}")`;
  for (const hypothesis of hypotheses) {
    const touched = hypothesis.evidence.filter(({ file }) => culprit.files.includes(file));
    const lines: Evidence[] = [];
    for (const evidence of touched) if (await changed.has(evidence)) lines.push(evidence);
    const { weight, ...experiment }: Finding = lines.length > 0
      ? { speaks: "for", detail: `${name} brought the failure and ${placeOf(lines[0]!)}`, weight: WEIGHT.culpritLine }
      : touched.length > 0
      ? {
        speaks: "for",
        detail: `${name} brought the failure and changed ${touched[0]!.file}`,
        weight: WEIGHT.culpritFile,
      }
      : {
        speaks: "against",
        detail: `${name} brought the failure and changed no cited file`,
        weight: WEIGHT.notCulprit,
      };
    await record(hypothesis, { check: "bisect", ...experiment }, weight);
  }
}

/** Whether a commit wrote a line: it has more of that text than its first parent. */
class ChangedLines {
  readonly #counts = new Map<string, Promise<{ now: Map<string, number>; before: Map<string, number> }>>();

  constructor(private readonly repository: RunRepository, private readonly culprit: Culprit) {}

  async has({ file, snippet }: Evidence): Promise<boolean> {
    const counts = this.#counts.get(file) ?? this.#read(file);
    this.#counts.set(file, counts);
    const { now, before } = await counts;
    const part = snippet.split("\n").map((line) => line.trim()).find((line) => line !== "") ?? "";
    return [...now].some(([line, count]) => line.includes(part) && count > (before.get(line) ?? 0));
  }

  async #read(file: string) {
    const { commit } = this.culprit;
    const [now, before] = await Promise.all(
      [commit, `${commit}^`].map((at) => this.repository.readFileAt(at, file)),
    );
    return { now: countLines(now ?? ""), before: countLines(before ?? "") };
  }
}

function countLines(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split(/\r?\n/)) counts.set(line.trim(), (counts.get(line.trim()) ?? 0) + 1);
  return counts;
}

const placeOf = ({ file, line }: Evidence) => `${file}:${line}`;

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > MAX_DETAIL_CHARACTERS ? line.slice(0, MAX_DETAIL_CHARACTERS) + "…" : line;
}
