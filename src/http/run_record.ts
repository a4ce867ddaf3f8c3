/** A manager run as JSON: what its events and its files say. */
import * as z from "zod/mini";
import { candidateVerdicts } from "../events/manager_events.ts";
import { MANAGER } from "../manager/artifacts.ts";
import type { CandidateState, RunState, RunWorker } from "../manager/run_state.ts";
import { type RunHistory, spendingRecord } from "./run_history.ts";
import type { RunRecord } from "./schemas.ts";

/** Of the run's folder; what is not there yet is empty or undefined. */
export interface RunArtifacts {
  readonly decision: Readonly<Record<string, unknown>>;
  readonly runDone: Readonly<Record<string, unknown>>;
  /** `triage/hypotheses.json`. */
  readonly hypotheses: Readonly<Record<string, unknown>>;
  /** `final.md`. */
  readonly final: string | undefined;
  /** The minimal reproducer, by its path below the folder. */
  readonly reproducer: { readonly path: string; readonly text: string } | undefined;
  /** Whether the proof card's script is there, by its path below the folder. */
  readonly verify: string | undefined;
}

export interface RunRecordParts {
  readonly runId: string;
  readonly folder: string;
  readonly state: RunState;
  readonly history: RunHistory;
  readonly artifacts: RunArtifacts;
  /** Whether somebody carries it out now. */
  readonly isSupervised: boolean;
  /** Whether the process of a worker that has not told its end still runs. */
  isAlive(worker: RunWorker): boolean;
  readonly nowMs: number;
}

type CandidateRecord = RunRecord["candidates"][number];
type HypothesisRecord = RunRecord["hypotheses"][number];

const MAX_RUNS = 500;
const MAX_HYPOTHESES = 200;
const NO_SPENDING = spendingRecord([]);

export function runRecord(parts: RunRecordParts): RunRecord {
  const { runId, folder, state, history, artifacts, isSupervised, nowMs } = parts;
  const { start, issue, finish, environment } = state;
  const { decision, runDone, final } = artifacts;
  const lastMs = isSupervised ? nowMs : Date.parse(state.lastEventAt);
  const endMs = state.finishedAt === null ? lastMs : Date.parse(state.finishedAt);
  const source = start?.issue ?? "";
  return {
    run_id: runId,
    status: finish === null && !isSupervised ? "cut_off" : state.status,
    running: finish === null && isSupervised,
    folder,
    repo_path: start?.repo_path ?? null,
    commit: start?.commit ?? null,
    agent: start?.agent ?? null,
    issue: {
      title: issue?.title ?? "",
      url: webAddress(source),
      source,
      number: issue?.issue_number ?? null,
    },
    started_at: stamp(state.startedAt),
    ended_at: state.finishedAt,
    elapsed_seconds: start === null ? 0 : Math.max(endMs - Date.parse(state.startedAt), 0) / 1000,
    ...spendingRecord(history.spending.values()),
    rationale: finish?.rationale ?? null,
    verdict: finish?.verdict ?? null,
    phases: [...history.phases.values()],
    workers: workerRecords(parts),
    environment: environment === null
      ? null
      : { tools: environment.tools, sandbox: environment.sandbox, notes: environment.notes },
    candidates: candidateRecords(parts),
    minimization: history.minimization(),
    hypotheses: hypothesisRecords(parts),
    proof: proofRecord(parts),
    final: final === undefined || final.trim() === "" ? null : final,
    decision,
    run_done: runDone,
    seq: state.seq - 1,
  };
}

/** With the run itself, when it has asked a model. */
function workerRecords({ state, history, isSupervised, isAlive }: RunRecordParts): RunRecord["workers"] {
  const workers = [...state.workers.values()].map((worker) => {
    const { name, role, launch, status, reason, lastText } = worker;
    const told = status ?? "running";
    // Of a run that nobody carries out, a worker may go on; if it does not, nobody knows yet how it ended.
    const isKnown = told !== "running" || isSupervised || worker.exit === null && isAlive(worker);
    const times = history.times.get(name);
    return {
      worker: name,
      role: role ?? "REPRO_BUILDER",
      agent: launch?.agent ?? null,
      status: isKnown ? told : "unknown",
      reason,
      started_at: times?.startedAt ?? null,
      ended_at: times?.endedAt ?? null,
      ...spendingOf(history, name),
      last_text: lastText,
    };
  });
  if (!history.spending.has(MANAGER)) return workers;
  return [...workers, {
    worker: MANAGER,
    role: "MANAGER",
    agent: null,
    status: managerStatus(state, isSupervised),
    reason: "",
    started_at: stamp(state.startedAt),
    ended_at: state.finishedAt,
    ...spendingOf(history, MANAGER),
    last_text: "",
  }];
}

function managerStatus({ finish, status }: RunState, isSupervised: boolean): string {
  if (finish === null) return isSupervised ? "running" : "unknown";
  return status === "failed" || status === "stopped" ? status : "finished";
}

function spendingOf({ spending }: RunHistory, worker: string) {
  const own = spending.get(worker);
  return own === undefined ? NO_SPENDING : spendingRecord([own]);
}

function candidateRecords({ state, artifacts }: RunRecordParts): CandidateRecord[] {
  const { candidates, runs, finish, minimized } = state;
  const chosen = finish?.candidate ?? artifacts.decision.selected_repro_candidate_id;
  const ids = new Set([...candidates.keys(), ...runs.map(({ candidate }) => candidate)]);
  return [...ids].map((id) => {
    const own = candidates.get(id) ?? { read: null, validation: null, proof: null };
    // What became of a candidate has the worker and the command of that one, and a size of its own.
    const parent = id.replace(/\.(?:min|whole)$/, "");
    const read = own.read ?? candidates.get(parent)?.read ?? null;
    const isMinimized = own.read === null && id === `${minimized?.candidate}.min`;
    return {
      candidate: id,
      worker: own.proof?.worker ?? own.validation?.worker ?? read?.worker ?? "",
      problem: own.read?.problem ?? null,
      oracle_command: read?.oracle_command ?? null,
      script_bytes: isMinimized ? minimized!.size : read?.script_bytes ?? 0,
      chosen: id === chosen,
      runs: runs.filter(({ candidate }) => candidate === id).slice(-MAX_RUNS).map((run) => ({
        stage: run.stage,
        commit: run.commit,
        run: run.run,
        outcome: run.outcome,
        reason: run.reason,
        signature: run.signature,
        duration_ms: run.duration_ms,
      })),
      verdicts: verdictRecords(own),
    };
  });
}

function verdictRecords({ validation, proof }: CandidateState): CandidateRecord["verdicts"] {
  return [validation, proof].flatMap((judged) =>
    judged === null ? [] : [{
      stage: judged.stage,
      verdict: judged.verdict,
      matches: judged.matches,
      runs: judged.runs,
      interval: judged.interval,
      reason: judged.reason,
      score: judged.score,
    }]
  );
}

const maybeNumber = z.catch(z.nullable(z.number()), null);
const hypothesis = z.object({
  hypothesis_id: z.string(),
  mechanism: z.string(),
  score: maybeNumber,
  confidence: maybeNumber,
  evidence: z.catch(
    z.array(z.object({ file: z.string(), line: z.catch(z.nullable(z.int()), null), snippet: z.string() })),
    [],
  ),
  disconfirming_checks: z.catch(z.array(z.string()), []),
  experiments: z.catch(
    z.array(z.object({ check: z.string(), speaks: z.nullable(z.enum(["for", "against"])), detail: z.string() })),
    [],
  ),
});

/** Of the file, in which they are ranked; before there is one, those that experiments were told of. */
function hypothesisRecords({ state, history, artifacts }: RunRecordParts): HypothesisRecord[] {
  const { hypotheses } = artifacts.hypotheses;
  const rows = (Array.isArray(hypotheses) ? hypotheses : []).slice(0, MAX_HYPOTHESES).flatMap((row) => {
    const parsed = hypothesis.safeParse(row);
    return parsed.success ? [parsed.data] : [];
  });
  if (rows.length > 0) {
    return rows.map(({ experiments, ...row }, index) => ({ ...row, rank: index + 1, checks: experiments }));
  }
  const top = state.ranked?.top ?? [];
  const ids = new Set([...top.map(({ hypothesis }) => hypothesis), ...history.checks.keys()]);
  return [...ids].map((id, index) => ({
    hypothesis_id: id,
    rank: index + 1,
    score: top.find(({ hypothesis }) => hypothesis === id)?.score ?? null,
    confidence: null,
    mechanism: "",
    evidence: [],
    disconfirming_checks: [],
    checks: history.checks.get(id) ?? [],
  }));
}

const validation = z.object({
  verdict: z.enum(candidateVerdicts),
  matches: z.int(),
  total_runs: z.int(),
  signature: z.nullable(z.record(z.string(), z.unknown())),
});
const decidedProof = z.object({ repro: z.object({ validation }) });

/** Of the decision; before there is one, of the last candidate whose proof was told. */
function proofRecord({ state, artifacts }: RunRecordParts): RunRecord["proof"] {
  const { decision, reproducer, verify } = artifacts;
  const files = { reproducer: reproducer?.path ?? null, verify: verify ?? null, text: reproducer?.text ?? null };
  const decided = decidedProof.safeParse(decision);
  if (decided.success) {
    const { verdict, matches, total_runs: runs, signature } = decided.data.repro.validation;
    return { verdict, matches, runs, signature, ...files };
  }
  const told = [...state.candidates.values()].findLast(({ proof }) => proof !== null)?.proof ?? null;
  if (told === null) return null;
  const { verdict, matches, runs, signature } = told;
  return { verdict, matches, runs, signature, ...files };
}

/** Null for a file's path, and for addresses that a browser should not follow. */
function webAddress(source: string): string | null {
  return /^https?:\/\//i.test(source) && URL.canParse(source) ? source : null;
}

function stamp(time: string): string | null {
  return time === "" ? null : time;
}
