/** The facts of a manager run (an issue → a reproducer → hypotheses), for `event.ts`. Its state is a fold over them. */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());

export const runPhases = [
  "preflight",
  "issue",
  "environment",
  "reproduce",
  "validate",
  "minimize",
  "triage",
  "experiments",
  "report",
] as const;
export type RunPhase = typeof runPhases[number];

/** How a run ends; `running` until then. Only `ok` is exit code 0. */
export const runStatuses = ["running", "ok", "already-fixed", "needs-human", "failed", "stopped"] as const;
export type RunStatus = typeof runStatuses[number];

export const workerRoles = ["REPRO_BUILDER", "TRIAGER"] as const;
export type WorkerRole = typeof workerRoles[number];
/** The seed's; `stopped` by a person. */
export const workerStatuses = ["running", "finished", "failed", "timeout", "stopped"] as const;
export type WorkerStatus = typeof workerStatuses[number];

/** About a candidate, after its runs. */
export const candidateVerdicts = [
  "reproduced",
  "flaky",
  "not_reproduced",
  "already_fixed",
  "environment_error",
  "unusable",
] as const;
export type CandidateVerdict = typeof candidateVerdicts[number];

export const runOutcomes = [
  "match",
  "other_failure",
  "no_failure",
  "own_failure",
  "broken",
  "environment",
  "timeout",
] as const;

/** What identifies a failure, as `oracle/` has it. */
const signature = z.looseObject({
  runtime: z.string(),
  kind: z.string(),
  type: z.nullable(z.string()),
  template: z.nullable(z.string()),
  frame: z.nullable(z.object({ file: z.string(), function: z.nullable(z.string()) })),
  exitCode: z.nullable(z.int()),
  signal: z.nullable(z.string()),
});

export const managerEventData = {
  "run.started": z.looseObject({
    run_id: z.string(),
    /** The issue's address, or the path of its file. */
    issue: z.string(),
    repo_path: z.string(),
    /** `{runs_root}/{run_id}`. */
    folder: z.string(),
    version: z.string(),
    pid: z.int(),
    /** What candidates are tried on. */
    commit: z.string(),
    agent: z.string(),
    workers: count,
  }),
  "run.resumed": z.looseObject({ pid: z.int(), version: z.string(), reason: z.string() }),
  "run.phase": z.looseObject({
    phase: z.enum(runPhases),
    status: z.enum(["started", "finished", "skipped", "failed"]),
    detail: z.string(),
  }),
  "run.serving": z.looseObject({
    gateway_url: z.string(),
    /** Who asks which model, by agent; null: the agent's own default. Left out by older versions. */
    worker_models: z.optional(z.record(z.string(), z.nullable(z.string()))),
    /** Of the manager itself; null: it asks none. */
    manager_model: z.optional(z.nullable(z.string())),
  }),
  "run.finished": z.looseObject({
    status: z.enum(runStatuses),
    exit_code: z.int(),
    rationale: z.string(),
    /** The candidate that was chosen; null: none. */
    candidate: z.nullable(z.string()),
    verdict: z.nullable(z.enum(candidateVerdicts)),
    duration_seconds: z.number(),
  }),
  "issue.read": z.looseObject({
    title: z.string(),
    repo_slug: z.nullable(z.string()),
    issue_number: z.nullable(z.int()),
    /** Changes when title, body or comments do. */
    fingerprint: z.string(),
    signals: count,
    status: z.enum(["ok", "needs-human"]),
    needs_human_reason: z.nullable(z.string()),
  }),
  "environment.prepared": z.looseObject({
    commit: z.string(),
    /** `python 3.12.4 (uv)`, `node 22.1.0`, and what could not be had. */
    tools: z.array(z.string()),
    sandbox: z.string(),
    notes: z.array(z.string()),
  }),
  "worker.status": z.looseObject({
    worker: z.string(),
    role: z.enum(workerRoles),
    status: z.enum(workerStatuses),
    reason: z.string(),
  }),
  /** A stalled worker was told to go on, by going on with its session, or by a new start where it has none. */
  "worker.nudged": z.looseObject({
    worker: z.string(),
    action: z.enum(["nudged", "restarted"]),
    reason: z.string(),
    text: z.string(),
  }),
  "candidate.read": z.looseObject({
    candidate: z.string(),
    worker: z.string(),
    /** Null: it can be tried. */
    problem: z.nullable(z.string()),
    script_bytes: count,
    oracle_command: z.nullable(z.string()),
  }),
  /** One run of a candidate, or of what became of it. */
  "candidate.run": z.looseObject({
    candidate: z.string(),
    stage: z.enum(["validate", "final", "default_branch", "issue_version", "bisect"]),
    commit: z.string(),
    run: count,
    outcome: z.enum(runOutcomes),
    reason: z.string(),
    signature: z.nullable(signature),
    duration_ms: z.number(),
  }),
  "candidate.judged": z.looseObject({
    candidate: z.string(),
    worker: z.string(),
    stage: z.enum(["validate", "final"]),
    verdict: z.enum(candidateVerdicts),
    matches: count,
    runs: count,
    /** Of the share of matches, 95 %: lower and upper end. */
    interval: z.array(z.number()),
    reason: z.string(),
    score: z.nullable(z.number()),
    signature: z.nullable(signature),
  }),
  /** One experiment on a hypothesis. */
  "hypothesis.checked": z.looseObject({
    hypothesis: z.string(),
    check: z.enum(["evidence", "executed", "bisect", "disconfirming"]),
    /** Null: it could not be found out. */
    speaks: z.nullable(z.enum(["for", "against"])),
    detail: z.string(),
  }),
  "hypotheses.ranked": z.looseObject({
    count: count,
    top: z.array(z.looseObject({ hypothesis: z.string(), score: z.number(), place: z.nullable(z.string()) })),
  }),
  "comment.posted": z.looseObject({ url: z.string(), edited: z.boolean() }),
} as const;
