/** The facts of an orchestration session, for `event.ts`. Its state is a fold over them. */
import * as z from "zod/mini";

const usd = z.nullable(z.number());
const count = z.int().check(z.nonnegative());

/** What an agent says, in the shape of the seed's "Event Format". */
export const agentEvent = z.looseObject({
  type: z.enum([
    // The seed's, which agents may also write themselves, as JSON lines in their messages.
    "status",
    "progress",
    "finding",
    "task",
    "blocker",
    "milestone",
    "review",
    "request_review",
    "error",
    // What the adapters read off the streams.
    "message",
    "thought",
    "command",
    "tool",
    "file",
    "denial",
    "retry",
    "warning",
    "unreadable",
  ]),
  agent: z.string(),
  timestamp: z.string(),
  payload: z.looseObject({
    text: z.string(),
    /** 0 to 100. */
    progress: z.optional(z.number()),
    file: z.optional(z.string()),
    data: z.optional(z.record(z.string(), z.unknown())),
  }),
});
export type AgentEvent = z.infer<typeof agentEvent>;

export const failureCauses = [
  "auth",
  "rate_limit",
  "network",
  "overloaded",
  "context",
  "budget",
  "model",
  "trusted_directory",
  "include_directories",
  "root",
  "sandbox",
  "permission",
  "arguments",
  "no_answer",
  "output",
  "start",
  "crashed",
] as const;
/** Why an agent failed, as its stream, its stderr and its exit tell. */
export type FailureCause = typeof failureCauses[number];

export const tokens = z.object({
  input: count,
  cache_read: count,
  cache_write: count,
  output: count,
  reasoning: count,
});

export const taskAssignment = z.object({
  /** Unique in the plan: letters, digits, `-` and `_`. */
  id: z.string(),
  title: z.string(),
  role: z.string(),
  /** The agent that should do it; null: whichever is free. */
  agent: z.nullable(z.string()),
  prompt: z.string(),
  depends_on: z.array(z.string()),
  /** Whether it changes files, and so gets a worktree of its own. */
  writes: z.boolean(),
  /** Share of the whole work, 0 to 1. */
  load: z.number(),
});
export type TaskAssignment = z.infer<typeof taskAssignment>;

export const taskBreakdown = z.object({
  task: z.string(),
  source: z.enum(["default", "auto", "file"]),
  assignments: z.array(taskAssignment),
});
export type TaskBreakdown = z.infer<typeof taskBreakdown>;

export const reviewIssue = z.looseObject({
  text: z.string(),
  file: z.nullable(z.string()),
  line: z.nullable(z.int()),
  /** Why the place cannot be what is meant; left out when it is there, or none is named. */
  unsupported: z.optional(z.string()),
});
export type ReviewIssue = z.infer<typeof reviewIssue>;

export const verdicts = ["approved", "concerns", "blocker"] as const;
export type Verdict = typeof verdicts[number];
export const actions = ["STOP_AND_ESCALATE", "PAUSE_AND_CLARIFY", "LOG_WARNING", "CONTINUE"] as const;
export type Action = typeof actions[number];

export const sessionStatuses = [
  "starting",
  "planning",
  "running",
  "paused",
  "needs_input",
  "merging",
  "verifying",
  "done",
  "failed",
  "stopped",
  "escalated",
  "budget",
  "interrupted",
] as const;
export type SessionStatus = typeof sessionStatuses[number];

export const taskStatuses = ["pending", "running", "done", "failed", "skipped"] as const;
export type TaskStatus = typeof taskStatuses[number];

export const livenessVerdicts = [
  "working",
  "waiting_model",
  "waiting_tool",
  "backoff",
  "paused",
  "stalled",
  "spinning",
  "dead",
] as const;
export type LivenessVerdict = typeof livenessVerdicts[number];

export const sessionEventData = {
  /** A session began. Always first in `events.jsonl`. */
  "session.started": z.looseObject({
    session_id: z.string(),
    task: z.string(),
    target: z.string(),
    /** The session's own folder. */
    folder: z.string(),
    version: z.string(),
    pid: z.int(),
    /** What workers start from; null without git. */
    base_commit: z.nullable(z.string()),
    /** The target's branch, which the result is for; null without git or on none. */
    branch: z.nullable(z.string()),
    /** All workers work in the target itself. */
    shared: z.boolean(),
    budget_usd: usd,
  }),
  /** Another process goes on with the session, after the former one ended or was killed. */
  "session.resumed": z.looseObject({ pid: z.int(), version: z.string(), reason: z.string() }),
  /** Where the session can be watched and where its models are asked; told again after a resume. */
  "session.serving": z.looseObject({ gateway_url: z.string(), dashboard_url: z.nullable(z.string()) }),
  "session.status": z.looseObject({ status: z.enum(sessionStatuses), reason: z.string() }),
  "session.finished": z.looseObject({
    status: z.enum(sessionStatuses),
    exit_code: z.int(),
    summary: z.string(),
    result_branch: z.nullable(z.string()),
    result_commit: z.nullable(z.string()),
    /** Whether the target's checkout has the result. */
    applied: z.boolean(),
    report: z.nullable(z.string()),
    cost_usd: usd,
    duration_seconds: z.number(),
    open: z.array(z.string()),
  }),
  "preflight.checked": z.looseObject({
    agents: z.array(z.looseObject({
      agent: z.string(),
      status: z.enum(["ready", "missing", "no_key", "broken", "not_chosen"]),
      program: z.nullable(z.string()),
      version: z.nullable(z.string()),
      reason: z.string(),
      hint: z.nullable(z.string()),
    })),
    /** 1 to 5, as the seed's "Fallback Strategy". */
    tier: z.int(),
    tier_name: z.string(),
    reason: z.string(),
  }),
  "plan.made": z.looseObject({
    breakdown: taskBreakdown,
    /** What it may cost at most and about, USD; null: nobody knows. */
    cost_cap_usd: usd,
    cost_estimate_usd: usd,
    note: z.string(),
  }),
  "task.changed": z.looseObject({
    task: z.string(),
    status: z.enum(taskStatuses),
    worker: z.nullable(z.string()),
    /** What the worker is. */
    agent: z.nullable(z.string()),
    reason: z.string(),
    /** The work so far as a commit: of this attempt, which has ended. */
    commit: z.nullable(z.string()),
    attempt: count,
    /** Files that differ from what the task started from. */
    files: z.array(z.string()),
  }),
  /** A worker is about to be started: recorded before it is, so that none is forgotten. */
  "worker.launched": z.looseObject({
    worker: z.string(),
    agent: z.string(),
    /** Null: a reviewer, or somebody who resolves a conflict. */
    task: z.nullable(z.string()),
    review: z.nullable(z.string()),
    /** From 1, for each worker. */
    attempt: count,
    backend: z.enum(["process", "tmux"]),
    argv: z.array(z.string()),
    /** What it may change, and where in it it begins: elsewhere than at its top when the target is a part of a repository. */
    workdir: z.string(),
    cwd: z.string(),
    branch: z.nullable(z.string()),
    /** The raw stream, and from which byte of it on this attempt writes. */
    stream: z.string(),
    stream_offset: count,
    key_id: z.nullable(z.string()),
    /** The agent's own session that goes on. */
    resumes: z.nullable(z.string()),
    /** By which the process is found again. */
    mark: z.string(),
  }),
  /** Its process is there, or was found again by a new supervisor. */
  "worker.started": z.looseObject({
    worker: z.string(),
    attempt: count,
    pid: z.int(),
    start_ticks: z.nullable(z.int()),
    started_ms: z.number(),
    /** What bubblewrap enforces. */
    sandbox: z.looseObject({ enforced: z.boolean(), detail: z.string() }),
    /** How the resource limits are enforced. */
    limits: z.looseObject({ enforced_by: z.string(), detail: z.string() }),
    /** It was running already. */
    adopted: z.boolean(),
    /** The command by which a person sees it, with the tmux backend. */
    attach: z.nullable(z.string()),
  }),
  /** What a worker said; `offset` is the end of its line in the raw stream. */
  "worker.event": z.looseObject({ worker: z.string(), offset: count, event: agentEvent }),
  "worker.liveness": z.looseObject({
    worker: z.string(),
    verdict: z.enum(livenessVerdicts),
    /** What was seen, in words. */
    proof: z.string(),
    idle_seconds: z.number(),
  }),
  "worker.signalled": z.looseObject({
    worker: z.string(),
    action: z.enum(["nudge", "pause", "resume", "stop"]),
    reason: z.string(),
  }),
  "worker.exited": z.looseObject({
    worker: z.string(),
    attempt: count,
    outcome: z.enum(["completed", "failed", "stopped", "limit", "lost"]),
    cause: z.nullable(z.enum(failureCauses)),
    /** The final message, or why there is none. */
    text: z.string(),
    exit_code: z.nullable(z.int()),
    signal: z.nullable(z.string()),
    cli_session: z.nullable(z.string()),
    tokens: z.nullable(tokens),
    /** What the agent itself says that it has cost; the gateway's figure is in `model.answered`. */
    reported_cost_usd: usd,
    duration_seconds: z.number(),
    /** How many processes that it left behind were ended. */
    left_behind: count,
  }),
  "command.judged": z.looseObject({
    worker: z.string(),
    command: z.string(),
    verdict: z.enum(["allow", "confirm", "block"]),
    rule: z.string(),
    reason: z.string(),
    /** Whether it was not run at all, where gocore runs it itself. */
    refused: z.optional(z.boolean()),
  }),
  "limit.exceeded": z.looseObject({
    worker: z.string(),
    limit: z.enum(["cpu", "memory", "time"]),
    allowed: z.number(),
    found: z.number(),
    unit: z.string(),
  }),
  "review.requested": z.looseObject({
    review: z.string(),
    trigger: z.enum(["milestone", "blocker", "request", "manual", "silence", "completion", "recheck"]),
    worker: z.string(),
    task: z.nullable(z.string()),
    reason: z.string(),
    reviewers: z.array(z.string()),
    commit: z.nullable(z.string()),
    /** How often the task had been revised. */
    revision: count,
  }),
  "review.answered": z.looseObject({
    review: z.string(),
    reviewer: z.string(),
    agent: z.string(),
    /** Null: no verdict, and `problem` says why. */
    verdict: z.nullable(z.enum(verdicts)),
    summary: z.string(),
    issues: z.array(reviewIssue),
    recommendations: z.array(z.string()),
    problem: z.nullable(z.string()),
    asked: count,
  }),
  "decision.made": z.looseObject({
    decision: z.string(),
    review: z.string(),
    action: z.enum(actions),
    /** `1` to `4` for the seed's rules, or the name of a custom policy. */
    rule: z.string(),
    reason: z.string(),
    worker: z.string(),
    task: z.nullable(z.string()),
  }),
  "question.asked": z.looseObject({
    question: z.string(),
    text: z.string(),
    worker: z.nullable(z.string()),
    task: z.nullable(z.string()),
    decision: z.nullable(z.string()),
  }),
  "question.answered": z.looseObject({ question: z.string(), answer: z.string(), by: z.string() }),
  "recovery.attempted": z.looseObject({
    worker: z.string(),
    cause: z.enum(failureCauses),
    /** Of the worker: the one that failed. */
    attempt: count,
    /** What is changed for the next attempt, or why nothing is. */
    change: z.string(),
    outcome: z.enum(["relaunched", "escalated", "given_up"]),
    suggestions: z.array(z.string()),
    wait_seconds: z.number(),
  }),
  "control.received": z.looseObject({
    control: z.string(),
    /** `send` and `stop` for a manager run, all but `send` for a session. */
    command: z.enum(["pause", "resume", "stop", "review", "answer", "send"]),
    worker: z.nullable(z.string()),
    text: z.string(),
    by: z.string(),
  }),
  /** Work that would otherwise be lost is kept under a ref. */
  "work.saved": z.looseObject({
    worker: z.string(),
    ref: z.string(),
    commit: z.string(),
    files: count,
    reason: z.string(),
  }),
  /** Finished work that cannot be merged with other finished work, seen before the merge. */
  "conflict.foreseen": z.looseObject({ task: z.string(), other: z.string(), files: z.array(z.string()) }),
  "merge.ended": z.looseObject({
    task: z.string(),
    branch: z.string(),
    outcome: z.enum(["merged", "nothing", "conflict", "resolved"]),
    files: z.array(z.string()),
    commit: z.nullable(z.string()),
  }),
  /** What the ledger has of a worker: after a resume, and at the end. */
  "spending.counted": z.looseObject({
    worker: z.string(),
    known_usd: z.number(),
    unknown_calls: count,
    calls: count,
    input_tokens: count,
    output_tokens: count,
  }),
  "verify.ended": z.looseObject({
    command: z.string(),
    exit_code: z.nullable(z.int()),
    output: z.string(),
    duration_seconds: z.number(),
  }),
} as const;
