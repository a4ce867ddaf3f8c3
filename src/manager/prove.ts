/** Makes a reproducer smaller and proves what is left: its last runs, each in a copy that nothing has run in. */
import { VERSION } from "../config/version.ts";
import { NotInteresting } from "../reduce/contract.ts";
import type { Part, Reduction } from "../reduce/contract.ts";
import { describeSignature, sameSignature } from "../oracle/signature.ts";
import type { FailureSignature, RunPlace } from "../oracle/expected.ts";
import type { Frame, ObservedFailure } from "../oracle/failure.ts";
import { jsonText } from "./artifacts.ts";
import { judgeScript, showsAgain, withoutPlace } from "./judge_script.ts";
import type { Candidate, EnvironmentRecord, IssueSpec, PreparedPlace, Validation } from "./ports.ts";
import { sha256 } from "./proof_card.ts";
import { environmentPath, validationIn } from "./reproduce.ts";
import { inPhase, type IssueRun, type PhaseOutcome, readJson, skipPhase, warn } from "./run_phase.ts";
import type { ChosenCandidate, Observation, TriedCandidate } from "./run_result.ts";
import { keepsAnswer, showsWrongResult, withoutLines } from "./stated_values.ts";
import { validate } from "./validate.ts";

/** A candidate whose runs have matched. */
export interface ProvenCandidate extends TriedCandidate {
  readonly candidate: Candidate;
  readonly validation: Validation & { readonly signature: FailureSignature };
}

const MINIMIZED_JSON = "repro/minimized.json";
const PROPOSALS_JSON = "repro/proposals.json";
const OBSERVED_JSON = "repro/observed.json";
const JOURNAL = "repro/minimize.jsonl";
const PROGRESS_MS = 2000;
const MAX_OUTPUT_CHARACTERS = 16_000;
/** A flaky failure is looked for until it would have shown with this likelihood. */
const SURENESS = 0.99;
const MAX_TRIES = 20;

/** The place in which the chosen candidate is at home, made when it is needed first. */
export class ChosenPlace {
  #place: Promise<PreparedPlace | undefined> | undefined;

  constructor(private readonly run: IssueRun, private readonly candidate: Candidate) {}

  /** Undefined: it cannot be made any more; that was told. */
  get(): Promise<PreparedPlace | undefined> {
    this.#place ??= this.#prepare();
    return this.#place;
  }

  async close(): Promise<void> {
    const place = await this.#place?.catch(() => undefined);
    await place?.close();
  }

  async #prepare(): Promise<PreparedPlace | undefined> {
    const { run, candidate } = this;
    const { ports: { places, signal }, commit } = run;
    const preparation = await places.prepare(candidate, { commit, signal });
    if (preparation.kind === "ready") return preparation.place;
    signal.throwIfAborted();
    await warn(run, `The place of ${candidate.candidate_id} cannot be made again: ${preparation.reason}`);
    return undefined;
  }
}

/** What is kept of it in the end: the smaller one when it fails as often, else the one that was validated. */
export async function prove(run: IssueRun, proven: ProvenCandidate, place: ChosenPlace): Promise<ChosenCandidate> {
  const { candidate, validation } = proven;
  const minimized = await minimize(run, proven, place);
  const whole: ChosenCandidate = {
    id: proven.id,
    candidate,
    script: candidate.script,
    minimalBy: null,
    startCharacters: candidate.script.length,
    validation,
    proof: validation,
    environment: await readJson<EnvironmentRecord>(run, environmentPath(proven.worker)) ?? null,
    observed: null,
  };
  let chosen = whole;
  if (minimized !== undefined && minimized.script !== candidate.script) {
    const { script, minimalBy } = minimized;
    const proof = await finalProof(run, { ...candidate, candidate_id: `${proven.id}.min`, script }, { proven, place });
    if (proof !== undefined && isAsGood(proof, validation)) chosen = { ...whole, script, minimalBy, proof };
    else {
      await warn(run, `The smaller reproducer is not kept: ${proof?.reason ?? "it could not be proved"}`);
      // Whatever made that one fail may be in the other one, too.
      const again = await finalProof(run, { ...candidate, candidate_id: `${proven.id}.whole` }, { proven, place });
      chosen = { ...whole, proof: again ?? validation };
    }
  } else if (minimized !== undefined) chosen = { ...whole, minimalBy: minimized.minimalBy };
  return { ...chosen, observed: await observe(run, chosen, place) };
}

function isAsGood(proof: Validation, { passed, signature }: ProvenCandidate["validation"]): boolean {
  if (proof.signature === null || !sameSignature(proof.signature, signature)) return false;
  return passed ? proof.passed : proof.matches > 0;
}

interface Minimized {
  readonly script: string;
  readonly minimalBy: Reduction["minimalBy"] | "line";
}

/** Undefined: it was not made smaller. */
async function minimize(
  run: IssueRun,
  proven: ProvenCandidate,
  place: ChosenPlace,
): Promise<Minimized | undefined> {
  const { ports, state } = run;
  if (!ports.settings.minimize) {
    await skipPhase(run, "minimize", "--no-minimize");
    return undefined;
  }
  if (state.minimized?.candidate === proven.id) {
    const kept = await readJson<Minimized>(run, MINIMIZED_JSON);
    if (kept !== undefined) return kept;
  }
  // A former process has said that it cannot be.
  if (state.phases.get("minimize")?.status === "skipped") return undefined;
  return await inPhase(run, "minimize", {
    detail: `${proven.id}, ${proven.candidate.script.length} characters`,
    work: () => reduceScript(run, proven, place),
  });
}

async function reduceScript(
  run: IssueRun,
  proven: ProvenCandidate,
  chosenPlace: ChosenPlace,
): Promise<PhaseOutcome<Minimized | undefined>> {
  const { ports, spec, commit } = run;
  const { candidate, validation } = proven;
  const { signature } = validation;
  const place = await chosenPlace.get();
  if (place === undefined) return { value: undefined, detail: "there is no place for it", status: "skipped" };
  const start: Part = { kind: "text", name: `repro_candidate.${candidate.file_extension}`, text: candidate.script };
  const proposals = await proposalsFor(run, proven);
  const startedMs = ports.now();
  const keeps = showsWrongResult(spec) ? keepsAnswer(candidate.script, statedIn(spec)) : undefined;
  const tries = triesFor(validation);
  const identity = sha256(JSON.stringify([
    VERSION,
    commit,
    candidate.setup_commands,
    candidate.oracle_command,
    candidate.script,
    signature,
    tries,
  ]));
  const journal = await ports.openJournal(JOURNAL, identity);
  let told = { pass: "", atMs: -Infinity };
  try {
    const { reduce } = await import("../reduce/reduce.ts");
    const isInteresting = async (text: string, signal: AbortSignal) => {
      if (keeps?.(text) === false) return false;
      const key = sha256(text);
      const known = journal.get(key);
      if (known !== undefined) return known;
      let shows = false;
      for (let attempt = 0; attempt < tries && !shows; attempt++) {
        const scriptRun = await place.run(text, { fresh: false, signal });
        signal.throwIfAborted();
        shows = showsAgain(scriptRun, spec, signature);
      }
      journal.put(key, shows);
      return shows;
    };
    const reduction = await reduce([start], {
      parallel: ports.settings.parallel,
      keep: [],
      proposals: proposals.map((text) => [{ ...start, text }]),
      signal: ports.signal,
      isInteresting: ([part], { signal }) => isInteresting((part as typeof start).text, signal),
      onProgress({ pass, size, calls }) {
        const nowMs = ports.now();
        if (pass === told.pass && nowMs - told.atMs < PROGRESS_MS) return;
        told = { pass, atMs: nowMs };
        ports.publish({ type: "minimize.progress", data: { candidate: proven.id, pass, size, calls } });
      },
    });
    const { text } = reduction.parts[0] as typeof start;
    const { startSize, calls, passes } = reduction;
    const script = keeps === undefined ? text : await withoutLines(text, (fewer) => isInteresting(fewer, ports.signal));
    const minimalBy = keeps === undefined ? reduction.minimalBy : "line";
    const size = script.length;
    await ports.writeFile(MINIMIZED_JSON, jsonText({ script, minimalBy }));
    await ports.publish({
      type: "minimize.ended",
      data: {
        candidate: proven.id,
        start_size: startSize,
        size,
        calls,
        minimal_by: minimalBy,
        removed_by_model: passes.find(({ pass }) => pass === "proposals")?.removed ?? 0,
        duration_ms: ports.now() - startedMs,
      },
    });
    return { value: { script, minimalBy }, detail: `${startSize} to ${size} characters, ${calls} calls` };
  } catch (error) {
    if (!(error instanceof NotInteresting)) throw error;
    const detail = "it does not fail in this way in a place that was used before";
    await warn(run, `${proven.id} is not made smaller: ${detail}`);
    return { value: undefined, detail, status: "skipped" };
  } finally {
    await journal.close();
  }
}

function statedIn({ title, body, code_blocks: blocks }: IssueSpec): string {
  return [title, body, ...blocks.map(({ text }) => text)].join("\n");
}

/** How often a script is run before it is said not to fail. */
function triesFor({ passed, matches, total_runs: runs }: Validation): number {
  if (passed) return 1;
  const share = matches / Math.max(runs, 1);
  return share >= 1 ? 1 : Math.min(MAX_TRIES, Math.ceil(Math.log(1 - SURENESS) / Math.log(1 - share)));
}

/** Asked for once: another answer would lead elsewhere after a kill, and cost again. */
async function proposalsFor(run: IssueRun, { id, candidate, validation }: ProvenCandidate): Promise<readonly string[]> {
  const { ports, spec } = run;
  if (!ports.settings.semanticCut) return [];
  const kept = await readJson<{ id: string; texts: string[] }>(run, PROPOSALS_JSON);
  if (kept?.id === id) return kept.texts;
  let texts: readonly string[] = [];
  try {
    texts = await ports.proposeCuts({
      script: candidate.script,
      language: candidate.file_extension,
      title: spec.title,
      signature: describeSignature(validation.signature),
    }, ports.signal);
  } catch (error) {
    ports.signal.throwIfAborted();
    await warn(run, `No model shortens it first: ${error instanceof Error ? error.message : String(error)}`);
  }
  await ports.writeFile(PROPOSALS_JSON, jsonText({ id, texts }));
  return texts;
}

/** Undefined: there is no place for it. */
async function finalProof(
  run: IssueRun,
  candidate: Candidate,
  { proven, place: chosenPlace }: { readonly proven: ProvenCandidate; readonly place: ChosenPlace },
): Promise<Validation | undefined> {
  const { ports, state, spec, commit } = run;
  const known = validationIn(state, candidate.candidate_id, { stage: "final", commit });
  if (known !== undefined) return known;
  const place = await chosenPlace.get();
  if (place === undefined) return undefined;
  await validate(candidate, place, {
    spec,
    settings: ports.settings,
    stage: "final",
    former: state.runs.filter((one) => one.candidate === candidate.candidate_id && one.stage === "final"),
    expected: proven.validation.signature,
    publish: ports.publish,
    signal: ports.signal,
  });
  return validationIn(state, candidate.candidate_id, { stage: "final", commit });
}

function withoutPlaces(failure: ObservedFailure, place: RunPlace): ObservedFailure {
  const relative = (frames: readonly Frame[]) =>
    frames.map((frame) => ({ ...frame, file: frame.file && withoutPlace(frame.file, place) }));
  return {
    ...failure,
    message: failure.message && withoutPlace(failure.message, place),
    frames: relative(failure.frames),
    causes: failure.causes.map((cause) => ({ ...cause, frames: relative(cause.frames) })),
  };
}

/** One more run, for its text and its frames; null: there is no place for it. */
async function observe(
  run: IssueRun,
  { script, proof }: ChosenCandidate,
  chosenPlace: ChosenPlace,
): Promise<Observation | null> {
  const { ports, spec } = run;
  const key = sha256(script);
  const kept = await readJson<Observation & { key: string }>(run, OBSERVED_JSON);
  if (kept?.key === key) return { failure: kept.failure, stdout: kept.stdout, stderr: kept.stderr };
  const place = await chosenPlace.get();
  if (place === undefined) return null;
  let observation: Observation | null = null;
  const tries = triesFor(proof);
  for (let attempt = 0; attempt < tries; attempt++) {
    const scriptRun = await place.run(script, { fresh: true, signal: ports.signal });
    ports.signal.throwIfAborted();
    const { end } = scriptRun;
    const { judgement, signature } = judgeScript(scriptRun, spec);
    const shown = (text: string) => withoutPlace(text.slice(-MAX_OUTPUT_CHARACTERS), scriptRun.place);
    observation = {
      failure: judgement.failure && withoutPlaces(judgement.failure, scriptRun.place),
      stdout: shown(end.stdout),
      stderr: shown(end.stderr),
    };
    if (signature !== null) break;
  }
  await ports.writeFile(OBSERVED_JSON, jsonText({ key, ...observation }));
  return observation;
}
