/** Hypotheses about a bug's cause: read from workers, checked against the repository, scored, put in order. */
import type { ObservedFailure } from "../oracle/failure.ts";
import type { Culprit } from "./bisect.ts";
import { CitedFiles, linesWithoutBlanks } from "./cited_files.ts";
import { type ExperimentRequest, MAX_EXPERIMENTS_SCORE, runExperiments } from "./experiments.ts";
import type { Evidence, Experiment, Hypothesis, RankedHypothesis, WorkerAnswer } from "./ports.ts";
import type { LineRange } from "./source_lines.ts";

export interface RankRequest extends ExperimentRequest {
  readonly answers: readonly Pick<WorkerAnswer, "worker" | "objects">[];
  /** How the reproducer fails. */
  readonly failure: ObservedFailure | null;
  /** Folders that absolute paths of evidence may begin with: the workers' checkouts. */
  readonly roots: readonly string[];
}

export interface Ranking {
  /** The best first. */
  readonly ranked: readonly RankedHypothesis[];
  /** Hypotheses that no evidence in the repository speaks for. */
  readonly rejected: readonly { readonly hypothesis: Hypothesis; readonly reason: string }[];
  /** What was wrong with the answers. */
  readonly problems: readonly string[];
  /** The commit that brought the failure; null: not looked for, or not found, as `bisection` says. */
  readonly culprit: Culprit | null;
  readonly bisection: string;
}

const MAX_HYPOTHESES = 20;
const MAX_EVIDENCE = 20;
const MAX_CHECKS = 10;
const MAX_MECHANISM_CHARACTERS = 4000;
const MAX_SNIPPET_CHARACTERS = 2000;
const MAX_CHECK_CHARACTERS = 1000;
const MAX_PATH_CHARACTERS = 1000;
/** More is not compared. */
const MAX_SNIPPET_LINES = 20;
/** To tell where a snippet is that is not where it should be. */
const MAX_SEARCHED_LINES = 50_000;
/** Shorter snippets are in any line. */
const MIN_SNIPPET_CHARACTERS = 3;
const NEARBY_LINES = 10;
const FULL_EVIDENCE = 3;
const SAME_MECHANISM = 0.6;
const MIN_SHARED_WORDS = 4;
/** Of four letters and more, in every explanation. */
const COMMON_WORDS = new Set(
  ("about after also although always because been before being both cannot could does doing done each either even " +
    "every from have having here however instead into itself just like more most must never only other over same " +
    "should since some such than that their them then there therefore these they this those though thus under until " +
    "very were what when where whether which while will with within without would your").split(" "),
);

/** Reads, checks, tries out and sorts what the TRIAGERs answered. Publishes `hypothesis.checked` and bisect's runs. */
export async function rankHypotheses(request: RankRequest): Promise<Ranking> {
  const { repository, commit, publish } = request;
  const read = request.answers.map(({ worker, objects }) => readHypotheses(objects, worker));
  const problems = read.flatMap((one) => one.problems);
  const files = new CitedFiles(repository, commit);
  const checked: CheckedHypothesis[] = [];
  const rejected: { hypothesis: Hypothesis; reason: string }[] = [];
  for (const hypothesis of read.flatMap((one) => one.hypotheses)) {
    request.signal.throwIfAborted();
    const found = await checkEvidence(hypothesis, { files, roots: [repository.root, ...request.roots] });
    await publish({ type: "hypothesis.checked", data: { hypothesis: hypothesis.hypothesis_id, ...found.experiment } });
    if (found.evidence.length > 0) checked.push(found);
    else rejected.push({ hypothesis, reason: found.experiment.detail });
  }

  const parts = await scoreHypotheses(checked.map(({ hypothesis, evidence }) => ({ ...hypothesis, evidence })), {
    files,
    reproduction: reproductionWords(request.script, request.failure),
  });
  const seeded = checked
    .map((one, i) => ({ ...one, hypothesis: { ...one.hypothesis, evidence: one.evidence }, parts: parts[i]! }))
    .sort((a, b) => total(b.parts) - total(a.parts));
  const tried = await runExperiments(seeded.map(({ hypothesis }) => hypothesis), files, request);

  const ranked = seeded.map(({ hypothesis, parts, rejected, experiment }): RankedHypothesis => {
    const trials = tried.trials.get(hypothesis.hypothesis_id);
    const experiments = clamp(trials?.score ?? 0, -MAX_EXPERIMENTS_SCORE, MAX_EXPERIMENTS_SCORE);
    return {
      ...hypothesis,
      score: rounded(clamp(total({ ...parts, experiments }), 0, 1)),
      score_parts: { ...parts, experiments: rounded(experiments) },
      rejected_evidence: rejected,
      experiments: [experiment, ...(trials?.experiments ?? [])],
    };
  }).sort(byRank);
  return { ranked, rejected, problems, culprit: tried.culprit, bisection: tried.bisection };
}

/** The best score first, then what its worker is surer of, then by name. */
function byRank(a: RankedHypothesis, b: RankedHypothesis): number {
  return b.score - a.score || b.confidence - a.confidence || (a.hypothesis_id < b.hypothesis_id ? -1 : 1);
}

// --- answers

/**
 * The hypotheses in the last object that has some, with names of their own (`w3-h1`). What is wrong is told, and left out
 * as far as it cannot be used: a hypothesis without a mechanism, evidence without file, line or snippet.
 */
export function readHypotheses(
  objects: readonly Record<string, unknown>[],
  worker: string,
): { readonly hypotheses: readonly Hypothesis[]; readonly problems: readonly string[] } {
  const answer = objects.findLast((object) => Array.isArray(own(object, "hypotheses")));
  if (answer === undefined) return { hypotheses: [], problems: [`${worker}: no answer has a list "hypotheses"`] };
  const list = own(answer, "hypotheses") as readonly unknown[];
  const problems: string[] = [];
  const hypotheses: Hypothesis[] = [];
  if (list.length > MAX_HYPOTHESES) {
    problems.push(`${worker}: only ${MAX_HYPOTHESES} of ${list.length} hypotheses are read`);
  }
  for (const [i, value] of list.slice(0, MAX_HYPOTHESES).entries()) {
    const hypothesis_id = `${worker}-h${i + 1}`;
    const tell = (problem: string) => void problems.push(`${hypothesis_id}: ${problem}`);
    const mechanism = textOf(own(value, "mechanism"), MAX_MECHANISM_CHARACTERS);
    if (mechanism === undefined) {
      tell('"mechanism" is no text');
      continue;
    }
    hypotheses.push({
      hypothesis_id,
      worker_id: worker,
      mechanism,
      evidence: readEvidence(own(value, "evidence"), tell),
      confidence: readConfidence(own(value, "confidence"), tell),
      disconfirming_checks: readChecks(own(value, "disconfirming_checks"), tell),
    });
  }
  return { hypotheses, problems };
}

type Tell = (problem: string) => void;

function readEvidence(value: unknown, tell: Tell): Evidence[] {
  if (!Array.isArray(value)) {
    tell('"evidence" is no list');
    return [];
  }
  if (value.length > MAX_EVIDENCE) tell(`only ${MAX_EVIDENCE} of ${value.length} pieces of evidence are read`);
  return value.slice(0, MAX_EVIDENCE).flatMap((one, i): Evidence[] => {
    const file = textOf(own(one, "file"), MAX_PATH_CHARACTERS);
    const snippet = textOf(own(one, "snippet"), MAX_SNIPPET_CHARACTERS);
    const line = lineNumber(own(one, "line"));
    const missing = Object.entries({ file, line, snippet }).filter(([, found]) => found === undefined);
    if (file !== undefined && line !== undefined && snippet !== undefined) return [{ file, line, snippet }];
    tell(`evidence ${i + 1} has no ${missing.map(([name]) => `"${name}"`).join(" and no ")}`);
    return [];
  });
}

function readConfidence(value: unknown, tell: Tell): number {
  if (typeof value === "number" && !Number.isNaN(value)) return clamp(value, 0, 1);
  tell('"confidence" is no number, and counts as 0');
  return 0;
}

function readChecks(value: unknown, tell: Tell): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    tell('"disconfirming_checks" is no list');
    return [];
  }
  return value.slice(0, MAX_CHECKS).flatMap((one) => textOf(one, MAX_CHECK_CHARACTERS) ?? []);
}

/** A member of an object of somebody else's, which may have anything for a prototype's name. */
function own(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** Undefined when there is none, or nothing but blanks. */
function textOf(value: unknown, maxCharacters: number): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.slice(0, maxCharacters).toWellFormed() : undefined;
}

function lineNumber(value: unknown): number | undefined {
  const line = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(line) && line as number >= 1 ? line as number : undefined;
}

// --- evidence

interface CheckedHypothesis {
  readonly hypothesis: Hypothesis;
  /** What is there, with the line where it is, each line once. */
  readonly evidence: readonly Evidence[];
  readonly rejected: RankedHypothesis["rejected_evidence"];
  readonly experiment: Experiment;
}

/** Whether what a hypothesis cites is in the repository: a file of that commit, the line, the snippet in it or near it. */
async function checkEvidence(
  hypothesis: Hypothesis,
  options: { readonly files: CitedFiles; readonly roots: readonly string[] },
): Promise<CheckedHypothesis> {
  const evidence: Evidence[] = [];
  const rejected: (Evidence & { problem: string })[] = [];
  const notes: string[] = [];
  for (const cited of hypothesis.evidence) {
    const found = await findEvidence(cited, options);
    if (typeof found === "string") {
      rejected.push({ ...cited, problem: found });
      notes.push(`${cited.file}:${cited.line}: ${found}`);
    } else if (!evidence.some(({ file, line }) => file === found.file && line === found.line)) {
      evidence.push(found);
      if (found.line !== cited.line) notes.push(`${found.file}:${found.line}: cited as line ${cited.line}`);
    }
  }
  const count = hypothesis.evidence.length;
  const detail = [
    count === 0 ? "No evidence is cited" : `${count - rejected.length} of ${count} pieces of evidence are there`,
    ...notes,
  ].join("; ");
  const speaks = evidence.length === 0 ? "against" : rejected.length === 0 ? "for" : null;
  return { hypothesis, evidence, rejected, experiment: { check: "evidence", speaks, detail } };
}

/** With its path as git has it and the line where it is, or what is wrong with it. */
async function findEvidence(
  { file, line, snippet }: Evidence,
  { files, roots }: { readonly files: CitedFiles; readonly roots: readonly string[] },
): Promise<Evidence | string> {
  const path = pathInRepository(file, roots);
  if (path === undefined) return "the path is not in the repository";
  const lines = await files.lines(path);
  if (lines === undefined) return "no such text file at this commit";
  const wanted = linesWithoutBlanks(snippet).filter((one) => one !== "").slice(0, MAX_SNIPPET_LINES);
  if (wanted.join("").length < MIN_SNIPPET_CHARACTERS && lines[line - 1] !== wanted.join("")) {
    return "the snippet is too short to tell anything";
  }
  if (line > lines.length) return `the file has ${lines.length} lines`;
  for (const distance of [0, -1, 1, -2, 2]) {
    if (isAt(wanted, lines, line - 1 + distance)) return { file: path, line: line + distance, snippet };
  }
  const elsewhere = lines.slice(0, MAX_SEARCHED_LINES).findIndex((_, at) => isAt(wanted, lines, at));
  return elsewhere === -1 ? "the snippet is not there" : `the snippet is in line ${elsewhere + 1}`;
}

/** Whether the parts of a snippet are in the lines from there on, one in each that is not blank. */
function isAt(wanted: readonly string[], lines: readonly string[], start: number): boolean {
  let at = start;
  for (const part of wanted) {
    if (at !== start) { while (lines[at] === "") at++; }
    if (!lines[at++]?.includes(part)) return false;
  }
  return true;
}

/** Undefined for what leads out of it; a path below one of the roots is taken as relative to that. */
function pathInRepository(path: string, roots: readonly string[]): string | undefined {
  const root = roots.find((one) => path.startsWith(`${one}/`));
  const relative = root === undefined ? path : path.slice(root.length + 1);
  if (relative.startsWith("/") || relative.includes("\0")) return undefined;
  const parts = relative.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || parts.includes("..") ? undefined : parts.join("/");
}

// --- scores

type SeedParts = Omit<RankedHypothesis["score_parts"], "experiments">;

/**
 * The seed's parts of a score, each with its weight:
 * - evidence: 0.4 · min(1, distinct lines that are there / 3)
 * - agreement: 0.25 · the share of the other workers that have a hypothesis which agrees (none, when there are no others):
 *   it cites the same file within 10 lines or in the same function, or its mechanism is told in the same words
 * - replay: 0.2 · the share of the mechanism's words that the reproducer or its failure has
 * - confidence: 0.15 · the worker's own
 */
async function scoreHypotheses(
  hypotheses: readonly Hypothesis[],
  { files, reproduction }: { readonly files: CitedFiles; readonly reproduction: ReadonlySet<string> },
): Promise<SeedParts[]> {
  const workers = new Set(hypotheses.map(({ worker_id }) => worker_id));
  const claims = await Promise.all(hypotheses.map(async ({ worker_id, mechanism, evidence }) => ({
    worker: worker_id,
    words: wordsOf(mechanism),
    places: await Promise.all(evidence.map(async ({ file, line }): Promise<CitedPlace> => {
      const around = (await files.structure(file))?.functionAt(line) ?? { first: line, last: line };
      return { file, line, around };
    })),
  })));
  return hypotheses.map(({ evidence, confidence }, i) => {
    const own = claims[i]!;
    const agreeing = claims.filter((other) =>
      other.worker !== own.worker &&
      (tellTheSame(own.words, other.words) || own.places.some((one) => other.places.some((two) => isNear(one, two))))
    );
    const others = new Set(agreeing.map(({ worker }) => worker)).size;
    return {
      evidence: rounded(0.4 * Math.min(1, evidence.length / FULL_EVIDENCE)),
      agreement: rounded(0.25 * others / Math.max(1, workers.size - 1)),
      replay: rounded(0.2 * own.words.intersection(reproduction).size / Math.max(1, own.words.size)),
      confidence: rounded(0.15 * confidence),
    };
  });
}

interface CitedPlace {
  readonly file: string;
  readonly line: number;
  /** The function that it is in; else the line itself. */
  readonly around: LineRange;
}

function isNear(a: CitedPlace, b: CitedPlace): boolean {
  if (a.file !== b.file) return false;
  return Math.abs(a.line - b.line) <= NEARBY_LINES || a.around.first <= b.line && b.line <= a.around.last;
}

/** What there is to be found of a mechanism: the reproducer's words, and those of its failure. */
function reproductionWords(script: string, failure: ObservedFailure | null): ReadonlySet<string> {
  const frames = failure?.frames.flatMap(({ function: name, file }) => [name ?? "", file ?? ""]) ?? [];
  return wordsOf([script, failure?.type ?? "", failure?.message ?? "", ...frames].join("\n"));
}

function tellTheSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const shared = a.intersection(b).size;
  return shared >= MIN_SHARED_WORDS && shared >= SAME_MECHANISM * Math.min(a.size, b.size);
}

/** Of four letters and more, without case; the parts of a name count as well as the whole. */
function wordsOf(text: string): Set<string> {
  const names = text.match(/[\p{L}_][\p{L}\p{N}_]*/gu) ?? [];
  const words = names.flatMap((name) => [name, ...name.split(/_+|(?<=\p{Ll})(?=\p{Lu})/u)])
    .filter((word) => (word.match(/\p{L}/gu)?.length ?? 0) >= 4).map((word) => word.toLowerCase());
  return new Set(words.filter((word) => !COMMON_WORDS.has(word)));
}

function total(parts: SeedParts & { readonly experiments?: number }): number {
  return parts.evidence + parts.agreement + parts.replay + parts.confidence + (parts.experiments ?? 0);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** To five places, as the seed has it. */
function rounded(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
