/** The JSON documents of a manager run, as its folder has them (seed mminions-readme.md, "Artifacts"). */
import type { EventData } from "../events/event.ts";
import type { RunPhase, WorkerRole } from "../events/manager_events.ts";
import type { CostSource } from "../models/usage.ts";
import { type EvidencePlace, fixTargets } from "./fix_targets.ts";
import type { Hypothesis, RunPorts, Validation } from "./ports.ts";
import type { PreflightCheck, RunResult, TriedCandidate } from "./run_result.ts";
import { type ModelRouting, type RunState, spentIn } from "./run_state.ts";
import type { ManagerSettings } from "./settings.ts";

export const ISSUE_JSON = "issue.json";
export const SESSIONS_JSON = "sessions.json";
export const DECISION_JSON = "decision.json";
export const HYPOTHESES_JSON = "triage/hypotheses.json";
export const FINAL_MD = "final.md";
export const RUN_DONE_JSON = "run_done.json";

/** The model calls of the run itself go by this name. */
export const MANAGER = "manager";
const MAX_TOP = 3;

/** What stands in the folder before anything is known. `run_done.json` is not among it: that it is there says something. */
export const SKELETON: Readonly<Record<string, string>> = {
  [ISSUE_JSON]: "{}\n",
  [SESSIONS_JSON]: "{}\n",
  [HYPOTHESES_JSON]: "{}\n",
  [DECISION_JSON]: jsonText({ status: "running" }),
  [FINAL_MD]: "",
};

export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}

/** The tmux session of a worker, or of the run itself. */
export function sessionName(runId: string, worker: string): string {
  // tmux takes neither dots nor colons in a name.
  return `codorch-${runId.replaceAll(/[.:]/g, "_")}-${worker}`;
}

/** Where a worker's answer is kept, relative to the run's folder. */
export function outputPath(role: WorkerRole, worker: string): string {
  return role === "REPRO_BUILDER" ? `repro/candidates/${worker}.json` : `triage/${worker}.json`;
}

/** The script that starts it again, relative to the run's folder. */
export function scriptPath(role: WorkerRole, worker: string): string {
  return `scripts/${role === "REPRO_BUILDER" ? "repro" : "triage"}-${worker}.sh`;
}

/** `sessions.json`. */
export function sessionsJson(state: RunState, { runId, folder, issue }: ManagerSettings): string {
  const workers = [...state.workers.values()].map(({ name, role, launch, status }) => [name, {
    session_name: sessionName(runId, name),
    role: role ?? "REPRO_BUILDER",
    worktree_path: launch?.workdir ?? "",
    output_path: `${folder}/${outputPath(role ?? "REPRO_BUILDER", name)}`,
    script_path: `${folder}/${scriptPath(role ?? "REPRO_BUILDER", name)}`,
    telemetry_path: launch?.stream ?? "",
    status: status ?? "running",
  }]);
  return jsonText({
    manager: {
      session_name: sessionName(runId, MANAGER),
      run_id: runId,
      issue_url: issue.kind === "url" ? issue.url : issue.path,
    },
    workers: Object.fromEntries(workers),
  });
}

export interface Tokens {
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly output_tokens: number;
  /** Model calls. */
  readonly turns: number;
}

/** `decision.json`: the seed's fields, and ours behind them. */
export interface Decision {
  readonly status: RunResult["status"];
  readonly selected_repro_candidate_id: string | null;
  readonly rationale: string;
  /** Mechanisms. */
  readonly top_hypotheses: readonly string[];
  /** `file:line`. */
  readonly next_fix_targets: readonly string[];
  readonly diagnostics: readonly string[];
  readonly created_at: string;
  readonly preflight: readonly PreflightCheck[];
  readonly repro: {
    readonly path: string;
    readonly oracle_command: string;
    readonly claimed_failure_signature: string;
    readonly validation: Validation;
  } | null;
  readonly metrics: {
    readonly timing_sec: Readonly<Record<string, number>>;
    readonly tokens: {
      readonly workers: Tokens;
      readonly manager: Tokens;
      readonly total: Tokens;
      readonly by_source: Readonly<Record<string, Tokens>>;
    };
    readonly model_routing: ModelRouting;
  };
  readonly run_id: string;
  readonly verdict: RunResult["verdict"];
  readonly commit: string;
  /** USD; null: a call's price is unknown. */
  readonly cost_usd: number | null;
  readonly cost_source: CostSource | null;
  readonly signature: Validation["signature"];
  readonly candidates: readonly CandidateRow[];
  readonly elsewhere: RunResult["elsewhere"];
  readonly first_fixed: RunResult["firstFixed"];
  readonly culprit: RunResult["culprit"];
  readonly missing: readonly string[];
}

interface CandidateRow {
  readonly candidate_id: string;
  readonly worker_id: string;
  readonly verdict: Validation["verdict"];
  readonly matches: number;
  readonly total_runs: number;
  readonly score: number | null;
  readonly reason: string;
}

export interface DecisionParts {
  readonly settings: ManagerSettings;
  readonly state: RunState;
  readonly preflight: readonly PreflightCheck[];
  readonly spending: ReturnType<RunPorts["spending"]>;
  readonly nowMs: number;
}

export function decisionOf(
  result: RunResult,
  { settings, state, preflight, spending, nowMs }: DecisionParts,
): Decision {
  const { chosen, hypotheses } = result;
  const bySource = new Map(spending.map((row) => [row.worker, tokensOf(row)]));
  const manager = bySource.get(MANAGER) ?? NO_TOKENS;
  const workers = sum([...bySource].filter(([name]) => name !== MANAGER).map(([, tokens]) => tokens));
  const isUnknown = spending.some(({ unknown_calls }) => unknown_calls > 0);
  return {
    status: result.status,
    selected_repro_candidate_id: chosen?.id ?? null,
    rationale: result.rationale,
    top_hypotheses: hypotheses.slice(0, MAX_TOP).map(({ mechanism }) => mechanism),
    next_fix_targets: fixTargets(hypotheses).map(placeText),
    diagnostics: [...state.diagnostics],
    created_at: new Date(nowMs).toISOString(),
    preflight,
    repro: chosen === null ? null : {
      path: reproPath(chosen.candidate.file_extension),
      oracle_command: chosen.candidate.oracle_command,
      claimed_failure_signature: chosen.candidate.claimed_failure_signature,
      validation: chosen.proof,
    },
    metrics: {
      timing_sec: timing(state, nowMs),
      tokens: { workers, manager, total: sum([workers, manager]), by_source: Object.fromEntries(bySource) },
      model_routing: state.routing ??
        { worker_model: settings.workerModel ?? null, manager_model: settings.managerModel ?? null },
    },
    run_id: settings.runId,
    verdict: result.verdict,
    commit: result.commit,
    cost_usd: isUnknown ? null : rounded(spending.reduce((usd, { known_usd }) => usd + known_usd, 0), 8),
    cost_source: isUnknown ? "unknown" : leastCertain(spending),
    signature: chosen?.proof.signature ?? null,
    candidates: result.tried.map(candidateRow),
    elsewhere: result.elsewhere,
    first_fixed: result.firstFixed,
    culprit: result.culprit,
    missing: result.missing,
  };
}

/** Where the reproducer stands, relative to the run's folder. */
export function reproPath(extension: string): string {
  return `repro/minimal_repro.${extension}`;
}

export function placeText({ file, line }: EvidencePlace): string {
  return `${file}:${line}`;
}

/** `run_done.json`. */
export function runDoneJson(
  { status }: EventData<"run.finished">,
  { runId, folder }: ManagerSettings,
  completedAt: string,
): string {
  return jsonText({
    run_id: runId,
    status,
    decision_json: `${folder}/${DECISION_JSON}`,
    final_md: `${folder}/${FINAL_MD}`,
    completed_at: completedAt,
  });
}

/** `triage/hypotheses.json`: all of them, and the mechanisms of the best. */
export function topOf(hypotheses: readonly Hypothesis[]): string[] {
  return hypotheses.slice(0, MAX_TOP).map(({ hypothesis_id }) => hypothesis_id);
}

function candidateRow({ worker, id, problem, validation, score }: TriedCandidate): CandidateRow {
  return {
    candidate_id: id,
    worker_id: worker,
    verdict: validation?.verdict ?? "unusable",
    matches: validation?.matches ?? 0,
    total_runs: validation?.total_runs ?? 0,
    score,
    reason: validation?.reason ?? problem ?? "it was not tried",
  };
}

function timing(state: RunState, nowMs: number): Record<string, number> {
  const phases = [...state.phases].map((
    [phase, spent],
  ): [RunPhase | "total", number] => [phase, spentIn(spent, nowMs)]);
  const total = Math.max(nowMs - Date.parse(state.startedAt), 0);
  return Object.fromEntries([...phases, ["total", total] as const].map(([name, ms]) => [name, rounded(ms / 1000, 3)]));
}

const NO_TOKENS: Tokens = { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0, turns: 0 };

function tokensOf(row: ReturnType<RunPorts["spending"]>[number]): Tokens {
  const { input_tokens, cached_input_tokens, output_tokens, calls } = row;
  return { input_tokens, cached_input_tokens, output_tokens, turns: calls };
}

function sum(all: readonly Tokens[]): Tokens {
  return all.reduce((a, b) => ({
    input_tokens: a.input_tokens + b.input_tokens,
    cached_input_tokens: a.cached_input_tokens + b.cached_input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    turns: a.turns + b.turns,
  }), NO_TOKENS);
}

/** The most certain first. */
const SOURCES: readonly CostSource[] = ["provider", "user", "list", "estimated", "unknown"];

function leastCertain(spending: ReturnType<RunPorts["spending"]>): CostSource | null {
  const ranks = spending.flatMap(({ cost_source }) => cost_source === null ? [] : [SOURCES.indexOf(cost_source)]);
  return ranks.length === 0 ? null : SOURCES[Math.max(...ranks)]!;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
