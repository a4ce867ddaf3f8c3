/** A manager run from an issue to its report, phase by phase; what was told before a kill is not done again. */
import type { EventData } from "../events/event.ts";
import type { RunStatus } from "../events/manager_events.ts";
import { exitCodeOf, Failure, Interrupt, messageOf } from "../failure.ts";
import { findFailures } from "../oracle/find_failures.ts";
import { describeSignature } from "../oracle/signature.ts";
import {
  DECISION_JSON,
  decisionOf,
  FINAL_MD,
  ISSUE_JSON,
  jsonText,
  reproPath,
  RUN_DONE_JSON,
  runDoneJson,
} from "./artifacts.ts";
import { finalReport } from "./final_report.ts";
import { issueSpec } from "./issue_spec.ts";
import { explain } from "./explain.ts";
import { type Elsewhere, firstFixed, otherCommits, tryElsewhere } from "./other_commits.ts";
import type { Candidate, IssueSpec, RunPorts } from "./ports.ts";
import {
  PROOF_JSON,
  PROOF_README,
  proofJson,
  type ProofParts,
  proofReadme,
  VERIFY_SH,
  verifyScript,
} from "./proof_card.ts";
import { ChosenPlace, prove, type ProvenCandidate } from "./prove.ts";
import { reproduce } from "./reproduce.ts";
import { counted, inPhase, type IssueRun, readJson, type Run, skipPhase, warn } from "./run_phase.ts";
import type { ChosenCandidate, ElsewhereTrial, PreflightCheck, RunResult, TriedCandidate } from "./run_result.ts";
import type { RunState } from "./run_state.ts";

export interface RunParts {
  /** What has been published adds up to it, at once. */
  readonly state: RunState;
  /** Sees to it that everybody is ready; rejects with what is missing. */
  preflight(): Promise<readonly PreflightCheck[]>;
  readonly version: string;
}

/** A person has asked for the end; the reason of the signal then. */
export class StopRequested extends Error {
  constructor(reason = "It was stopped") {
    super(reason);
    this.name = "StopRequested";
  }
}

const MAX_LISTED_FILES = 100_000;
const MAX_OLDER_TRIED = 2;
const SELECTED_JSON = "repro/selected_candidate.json";

/** What has been found so far: whatever ends the run, the report has it. */
type Findings = { -readonly [K in keyof RunResult]: RunResult[K] };

/** Always ends with `run.finished` and `run_done.json`, unless these cannot be written. */
export async function runIssue(ports: RunPorts, parts: RunParts): Promise<EventData<"run.finished">> {
  const { state } = parts;
  // Killed between its last word and its last file.
  if (state.finish !== null) return await closeRun(ports, state);
  const findings: Findings = {
    status: "failed",
    rationale: "",
    verdict: null,
    spec: null,
    commit: state.start!.commit,
    chosen: null,
    tried: [],
    elsewhere: [],
    firstFixed: null,
    hypotheses: [],
    culprit: null,
    missing: [],
  };
  const run: Run = { ports, state, commit: findings.commit };
  let checks: readonly PreflightCheck[] = [];
  try {
    checks = await inPhase(run, "preflight", {
      detail: "",
      async work() {
        const value = await parts.preflight();
        return { value, detail: value.map(({ name, detail }) => `${name}: ${detail}`).join("; ") };
      },
    });
    await carryOut(run, findings);
  } catch (error) {
    await endEarly(ports, findings, error);
  } finally {
    await ports.places.close();
  }
  await report(run, findings, { checks, version: parts.version });
  return await closeRun(ports, state);
}

async function endEarly({ publish, signal }: RunPorts, findings: Findings, error: unknown): Promise<void> {
  if (signal.aborted && (signal.reason instanceof StopRequested || signal.reason instanceof Interrupt)) {
    findings.status = "stopped";
    findings.rationale = messageOf(signal.reason);
    return;
  }
  findings.status = "failed";
  findings.rationale = messageOf(error);
  const hints = error instanceof Failure ? error.hints : [];
  await publish({ type: "log", data: { level: "error", content: [messageOf(error), ...hints].join(". ") } });
}

async function carryOut(run: Run, findings: Findings): Promise<void> {
  const spec = await readIssue(run);
  findings.spec = spec;
  if (spec.status === "needs-human") {
    end(findings, "needs-human", spec.needs_human_reason ?? "The issue has nothing that can be tested");
    findings.missing = spec.missing;
    return;
  }
  const issueRun: IssueRun = { ...run, spec };
  await survey(run);
  const tried = await reproduce(issueRun, (tried) => findings.tried = tried);
  const proven = bestOf(tried, run.ports.settings.minMatches);
  if (proven === undefined) return await endUnproven(issueRun, findings);
  const place = new ChosenPlace(issueRun, proven.candidate);
  try {
    await compareWithDefaultBranch(issueRun, findings, proven);
    const chosen = await prove(issueRun, proven, place);
    findings.chosen = chosen;
    findings.verdict = chosen.proof.verdict;
    await run.ports.writeFile(SELECTED_JSON, jsonText(selectedJson(chosen, proven)));
    if (findings.status === "already-fixed") {
      await skipPhase(run, "triage", "it is mended already");
      await skipPhase(run, "experiments", "it is mended already");
      return;
    }
    const { ranked, culprit } = await explain(issueRun, { chosen, place });
    findings.hypotheses = ranked;
    findings.culprit = culprit;
    run.ports.signal.throwIfAborted();
    endProven(findings, chosen);
  } finally {
    await place.close();
  }
}

function end(findings: Findings, status: RunResult["status"], rationale: string): void {
  findings.status = status;
  findings.rationale = rationale;
}

function endProven(findings: Findings, { id, proof, minimalBy, startCharacters, script }: ChosenCandidate): void {
  const how =
    `${proof.matches} of ${proof.total_runs} runs of "${id}" failed as the issue says: ${proof.matched_signature}`;
  const size = minimalBy === null ? "" : `; ${script.length} of its ${startCharacters} characters are left`;
  if (proof.passed && proof.verdict === "reproduced" && findings.verdict === "reproduced") {
    return end(findings, "ok", `${how}${size}`);
  }
  const [lower, upper] = proof.interval.map((share) => `${Math.round(share * 100)} %`);
  end(findings, "needs-human", `It fails in some runs only (between ${lower} and ${upper}): ${how}${size}`);
  findings.missing = ["What makes it fail each time: an input, a seed, a load, an order of steps"];
}

/** The highest score among those that are reproduced; else the flaky one with the most matches that are enough. */
function bestOf(tried: readonly TriedCandidate[], minMatches: number): ProvenCandidate | undefined {
  const usable = tried.filter((one): one is ProvenCandidate =>
    one.candidate !== null && one.validation !== null && one.validation.signature !== null &&
    (one.validation.verdict === "reproduced" ||
      one.validation.verdict === "flaky" && one.validation.matches >= minMatches)
  );
  const lines = ({ candidate }: ProvenCandidate) => candidate.script.split("\n").length;
  const share = ({ validation }: ProvenCandidate) => validation.matches / Math.max(validation.total_runs, 1);
  return usable.toSorted((a, b) =>
    Number(b.validation.passed) - Number(a.validation.passed) ||
    (b.score ?? share(b)) - (a.score ?? share(a)) || lines(a) - lines(b) || (a.id < b.id ? -1 : 1)
  )[0];
}

async function readIssue(run: Run): Promise<IssueSpec> {
  const { ports, state, commit } = run;
  const { repository, signal } = ports;
  const kept = state.issue === null ? undefined : await readJson<IssueSpec>(run, ISSUE_JSON);
  if (kept !== undefined) return kept;
  return await inPhase(run, "issue", {
    detail: "",
    async work() {
      const document = await ports.readIssue(signal);
      const files = await repository.listFiles(commit, { limit: MAX_LISTED_FILES });
      const hasRef = async (ref: string) => await repository.resolve(ref) !== undefined;
      const spec = await issueSpec(document, { files, hasRef, findFailures });
      await ports.writeFile(ISSUE_JSON, jsonText(spec));
      for (const note of spec.notes) await warn(run, note);
      await ports.publish({
        type: "issue.read",
        data: {
          title: spec.title,
          repo_slug: spec.repo_slug,
          issue_number: spec.issue_number,
          fingerprint: spec.fingerprint,
          signals: spec.expected_failure_signals.length,
          status: spec.status,
          needs_human_reason: spec.needs_human_reason,
        },
      });
      return { value: spec, detail: counted(spec.expected_failure_signals.length, "failure signal") };
    },
  });
}

async function survey(run: Run): Promise<void> {
  const { ports, state, commit } = run;
  if (state.environment !== null) return;
  await inPhase(run, "environment", {
    detail: "",
    async work() {
      const { tools, sandbox, notes } = await ports.places.survey(commit);
      await ports.publish({
        type: "environment.prepared",
        data: { commit, tools: [...tools], sandbox, notes: [...notes] },
      });
      return { value: undefined, detail: [...tools, sandbox].join(", ") };
    },
  });
}

/** Whether it is there as well where others begin; where it is gone, nobody has to look for its cause. */
async function compareWithDefaultBranch(run: IssueRun, findings: Findings, proven: ProvenCandidate): Promise<void> {
  const { ports, commit } = run;
  const [other] = (await otherCommits(run)).filter(({ stage }) => stage === "default_branch");
  if (other === undefined) return;
  await inPhase(run, "validate", {
    detail: `on ${other.name}`,
    async work() {
      const trial = await tryElsewhere(run, proven.candidate, other);
      findings.elsewhere = [trial];
      const told = { value: undefined, detail: `${other.name}: ${trial.reason}` };
      if (trial.shows !== "no_bug" || !proven.validation.passed) return told;
      // An older commit without it says that it came later, not that it is mended.
      if (await ports.repository.isAncestor(trial.commit, commit)) return told;
      findings.firstFixed = await firstFixed(run, proven.candidate, { broken: commit, fixed: trial.commit });
      end(
        findings,
        "already-fixed",
        `It fails at ${short(commit)}, and not any more at ${short(trial.commit)} (${trial.name})${fixedBy(findings)}`,
      );
      return told;
    },
  });
}

/** Nothing fails as it should here: perhaps it does at what the issue names. */
async function endUnproven(run: IssueRun, findings: Findings): Promise<void> {
  const silent = findings.tried.flatMap(({ candidate, validation }) =>
    candidate !== null && validation !== null && validation.outcomes.length > 0 &&
      validation.outcomes.every(({ outcome }) => outcome === "no_failure")
      ? [candidate]
      : []
  );
  const others = silent.length === 0 ? [] : await otherCommits(run);
  if (others.length > 0) {
    const isFound = await inPhase(run, "validate", {
      detail: `on ${others.map(({ name }) => name).join(", ")}`,
      async work() {
        const value = await findElsewhere(run, findings, { others, silent: silent.slice(0, MAX_OLDER_TRIED) });
        return { value, detail: findings.elsewhere.map(({ name, reason }) => `${name}: ${reason}`).join("; ") };
      },
    });
    if (isFound) return;
  }
  endWithoutMatch(findings);
}

/** Whether one of them fails somewhere; that ends the run. */
async function findElsewhere(
  run: IssueRun,
  findings: Findings,
  { others, silent }: { readonly others: readonly Elsewhere[]; readonly silent: readonly Candidate[] },
): Promise<boolean> {
  const { commit, ports } = run;
  for (const other of others) {
    for (const candidate of silent) {
      const trial = await tryElsewhere(run, candidate, other);
      findings.elsewhere = [...findings.elsewhere, trial];
      if (trial.shows !== "bug") continue;
      if (await ports.repository.isAncestor(commit, other.commit)) {
        endNewer(findings, { trial, commit });
        return true;
      }
      findings.verdict = "already_fixed";
      findings.firstFixed = await firstFixed(run, candidate, { broken: trial.commit, fixed: commit });
      const where = `${short(trial.commit)} (${trial.name}), ${trial.reason}`;
      end(findings, "already-fixed", `It fails at ${where}, and not any more at ${short(commit)}${fixedBy(findings)}`);
      return true;
    }
  }
  return false;
}

function fixedBy({ firstFixed: fixed }: Findings): string {
  return fixed === null ? "" : `, first by ${short(fixed.commit)}`;
}

function short(commit: string): string {
  return commit.slice(0, 12);
}

function endNewer(
  findings: Findings,
  { trial, commit }: { readonly trial: ElsewhereTrial; readonly commit: string },
): void {
  findings.verdict = "not_reproduced";
  end(
    findings,
    "needs-human",
    `It fails at ${trial.commit.slice(0, 12)} (${trial.name}) and not at the older ${
      commit.slice(0, 12)
    } that was asked for`,
  );
  findings.missing = [`A run at that commit: --ref ${trial.name}`];
}

function endWithoutMatch(findings: Findings): void {
  const { tried, spec } = findings;
  const judged = tried.flatMap(({ validation }) => validation ?? []);
  const verdictIs = (verdict: string) => judged.filter((one) => one.verdict === verdict);
  const [flaky] = verdictIs("flaky");
  if (judged.length === 0) {
    const reasons = tried.map(({ worker, problem }) => `${worker}: ${problem ?? "no candidate"}`);
    return end(findings, "failed", `No worker gave a candidate that could be tried; ${reasons.join("; ")}`);
  }
  if (flaky !== undefined) {
    findings.verdict = "flaky";
    end(findings, "needs-human", `It fails in ${flaky.matches} of ${flaky.total_runs} runs only: ${flaky.reason}`);
  } else if (verdictIs("environment_error").length === judged.length) {
    findings.verdict = "environment_error";
    end(findings, "failed", `No candidate could be tried on this machine: ${judged[0]!.reason}`);
  } else {
    const isUnusable = verdictIs("unusable").length === judged.length;
    findings.verdict = isUnusable ? "unusable" : "not_reproduced";
    const reasons = judged.map(({ reason }) => reason);
    end(
      findings,
      "needs-human",
      `None of ${counted(judged.length, "candidate")} failed as the issue says: ${[...new Set(reasons)].join("; ")}`,
    );
  }
  findings.missing = spec?.missing ?? [];
}

function selectedJson({ id, candidate, proof, minimalBy }: ChosenCandidate, { worker, score }: ProvenCandidate) {
  return {
    candidate_id: id,
    worker_id: worker,
    score,
    minimal_by: minimalBy,
    signature: proof.matched_signature,
    candidate,
    validation: proof,
  };
}

/** Writes the artifacts; what goes wrong here ends the run as failed. */
async function report(
  { ports, state }: Run,
  findings: Findings,
  { checks, version }: { readonly checks: readonly PreflightCheck[]; readonly version: string },
): Promise<void> {
  const { settings, publish, signal } = ports;
  const write = async () => {
    if (findings.chosen !== null) await writeProofCard(ports, findings.chosen, version);
    const shown = ports.withoutSecrets(findings);
    const signature = shown.chosen?.proof.signature ?? null;
    const reportText = finalReport(shown, {
      runId: settings.runId,
      version,
      signature: signature === null ? null : describeSignature(signature),
      diagnostics: state.diagnostics,
    });
    await ports.writeFile(FINAL_MD, reportText);
    if (settings.comment && findings.spec !== null && findings.status !== "stopped" && state.comment === null) {
      await postReport(ports, reportText);
    }
    return { value: undefined, detail: `${settings.folder}/${FINAL_MD}` };
  };
  try {
    await inPhase({ ports }, "report", { detail: "", work: write });
  } catch (error) {
    if (findings.status === "ok") end(findings, "failed", messageOf(error));
    await publish({ type: "log", data: { level: "error", content: messageOf(error) } });
  }
  const { status, rationale, chosen, verdict } = findings;
  const nowMs = ports.now();
  const decision = decisionOf(ports.withoutSecrets(findings), {
    settings,
    state,
    preflight: checks,
    spending: ports.spending(),
    nowMs,
  });
  await ports.writeFile(DECISION_JSON, jsonText(decision));
  await publish({
    type: "run.finished",
    data: {
      status,
      exit_code: exitCode(status, signal),
      rationale,
      candidate: chosen?.id ?? null,
      verdict,
      duration_seconds: decision.metrics.timing_sec.total ?? 0,
    },
  });
}

/** A run whose report nobody could be shown is as good as before. */
async function postReport(ports: RunPorts, markdown: string): Promise<void> {
  try {
    const { url, edited } = await ports.postComment(markdown, ports.signal);
    await ports.publish({ type: "comment.posted", data: { url, edited } });
  } catch (error) {
    await warn({ ports }, messageOf(error));
  }
}

async function writeProofCard(ports: RunPorts, chosen: ChosenCandidate, version: string): Promise<void> {
  const { candidate, script, proof, environment } = chosen;
  const parts: ProofParts = {
    runId: ports.settings.runId,
    version,
    script,
    fileExtension: candidate.file_extension,
    setupCommands: candidate.setup_commands,
    oracleCommand: candidate.oracle_command,
    proof,
    signature: proof.signature === null ? null : describeSignature(proof.signature),
    environment,
    oracleTimeoutMs: ports.settings.oracleTimeoutMs,
  };
  await ports.writeFile(reproPath(candidate.file_extension), script);
  await ports.writeFile(PROOF_JSON, jsonText(proofJson(parts)));
  await ports.writeFile(VERIFY_SH, verifyScript(parts), { executable: true });
  await ports.writeFile(PROOF_README, proofReadme(parts));
}

function exitCode(status: RunStatus, signal: AbortSignal): number {
  if (status === "ok") return 0;
  return signal.aborted ? exitCodeOf(signal.reason) : 1;
}

/** The last file says that all others are there. */
async function closeRun(ports: RunPorts, { finish, finishedAt }: RunState): Promise<EventData<"run.finished">> {
  await ports.writeFile(RUN_DONE_JSON, runDoneJson(finish!, ports.settings, finishedAt!));
  return finish!;
}
