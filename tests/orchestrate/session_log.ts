/** Builds the log of a session event by event, and folds it. */
import type { EventData, EventFact, RunEvent } from "../../src/events/event.ts";
import type { Action, FailureCause, TaskAssignment, Verdict } from "../../src/events/session_events.ts";
import { DEFAULT_POLICY } from "../../src/orchestrate/decide.ts";
import { DEFAULT_LIVENESS } from "../../src/orchestrate/liveness.ts";
import { emptySession, foldSession, type SessionState } from "../../src/orchestrate/session.ts";
import { DEFAULT_REVIEWS, type SessionSettings } from "../../src/orchestrate/settings.ts";

export const START_MS = Date.parse("2026-11-21T20:00:00.000Z");
/** Of the event with this number: one each second. */
export const timeOf = (seq: number) => new Date(START_MS + seq * 1000).toISOString();

export const stamp = (fact: EventFact, seq: number) => ({ seq, time: timeOf(seq), ...fact }) as RunEvent;

export function fold(facts: readonly EventFact[], state: SessionState = emptySession()): SessionState {
  for (const fact of facts) foldSession(state, stamp(fact, state.seq));
  return state;
}

export const settings: SessionSettings = {
  sessionId: "orch_1",
  task: "Mend the parser",
  target: "/project",
  folder: "/workspace/orch_1",
  shared: false,
  plan: { kind: "default" },
  agents: ["claude", "codex"],
  weights: {},
  policy: DEFAULT_POLICY,
  reviews: DEFAULT_REVIEWS,
  liveness: DEFAULT_LIVENESS,
  budgetUsd: undefined,
  agentBudgetsUsd: {},
  verify: undefined,
  verifyTimeoutMs: 1000,
  apply: false,
  answerTimeoutMs: 1000,
  graceMs: 1000,
  maxAttempts: 4,
  concurrency: 4,
};

type Of<T extends EventFact["type"]> = Partial<EventData<T>>;

export const sessionStarted = (more: Of<"session.started"> = {}): EventFact => ({
  type: "session.started",
  data: {
    session_id: "orch_1",
    task: "Mend the parser",
    target: "/project",
    folder: "/workspace/orch_1",
    version: "0.1.0",
    pid: 7,
    base_commit: "base",
    branch: "main",
    shared: false,
    budget_usd: null,
    ...more,
  },
});

export const sessionResumed = (pid = 8): EventFact => ({
  type: "session.resumed",
  data: { pid, version: "0.1.0", reason: "its supervisor is gone" },
});

export const assignment = (more: Partial<TaskAssignment> = {}): TaskAssignment => ({
  id: "api",
  title: "Build the API",
  role: "implementer",
  agent: null,
  prompt: "Build it",
  depends_on: [],
  writes: true,
  load: 1,
  ...more,
});

export const planMade = (...assignments: TaskAssignment[]): EventFact => ({
  type: "plan.made",
  data: {
    breakdown: { task: "Mend the parser", source: "file", assignments },
    cost_cap_usd: null,
    cost_estimate_usd: null,
    note: "",
  },
});

export const taskChanged = (more: Of<"task.changed"> = {}): EventFact => ({
  type: "task.changed",
  data: {
    task: "api",
    status: "running",
    worker: "claude",
    agent: more.worker?.replace(/-\d+$/, "") ?? "claude",
    reason: "",
    commit: null,
    attempt: 0,
    files: [],
    ...more,
  },
});

export const committed = (attempt: number, more: Of<"task.changed"> = {}): EventFact =>
  taskChanged({ attempt, commit: `c${attempt}`, files: ["src/api.ts"], ...more });

export const launched = (attempt = 1, more: Of<"worker.launched"> = {}): EventFact => ({
  type: "worker.launched",
  data: {
    worker: "claude",
    agent: more.worker ?? "claude",
    task: "api",
    review: null,
    attempt,
    backend: "process",
    argv: ["claude"],
    workdir: "/workspace/orch_1/worktrees/api",
    cwd: "/workspace/orch_1/worktrees/api",
    branch: "gocore/orch_1/api",
    stream: "/workspace/orch_1/claude.jsonl",
    stream_offset: 0,
    key_id: null,
    resumes: null,
    mark: `m${attempt}`,
    ...more,
  },
});

export const started = (attempt = 1, more: Of<"worker.started"> = {}): EventFact => ({
  type: "worker.started",
  data: {
    worker: "claude",
    attempt,
    pid: 100,
    start_ticks: 1,
    started_ms: START_MS,
    sandbox: { enforced: true, detail: "" },
    limits: { enforced_by: "cgroup", detail: "" },
    adopted: false,
    attach: null,
    ...more,
  },
});

export const exited = (outcome: EventData<"worker.exited">["outcome"], more: Of<"worker.exited"> = {}): EventFact => ({
  type: "worker.exited",
  data: { ...exitOf(outcome), ...more },
});

export const exitOf = (
  outcome: EventData<"worker.exited">["outcome"],
  more: Of<"worker.exited"> = {},
): EventData<"worker.exited"> => ({
  worker: "claude",
  attempt: 1,
  outcome,
  cause: null,
  text: "Its last words",
  exit_code: outcome === "completed" ? 0 : 1,
  signal: null,
  cli_session: null,
  tokens: null,
  reported_cost_usd: null,
  duration_seconds: 1,
  left_behind: 0,
  ...more,
});

export const signalled = (
  action: EventData<"worker.signalled">["action"],
  reason: string,
  worker = "claude",
): EventFact => ({
  type: "worker.signalled",
  data: { worker, action, reason },
});

/** A review of this attempt with the answers of codex and others, and what was decided, unless that is undefined. */
export function reviewed(
  review: string,
  { revision = 1, trigger = "completion", worker = "claude", verdicts = ["approved"], action }: {
    revision?: number;
    trigger?: EventData<"review.requested">["trigger"];
    worker?: string;
    verdicts?: (Verdict | null)[];
    action?: Action;
  } = {},
): EventFact[] {
  const facts: EventFact[] = [{
    type: "review.requested",
    data: { review, trigger, worker, task: "api", reason: "", reviewers: ["codex"], commit: "c", revision },
  }];
  for (const [index, verdict] of verdicts.entries()) {
    facts.push({
      type: "review.answered",
      data: {
        review,
        reviewer: `codex-${review}`,
        agent: "codex",
        verdict,
        summary: `Opinion ${index + 1}`,
        issues: verdict === "concerns" ? [{ text: "odd", file: "src/api.ts", line: 3 }] : [],
        recommendations: [],
        problem: null,
        asked: 1,
      },
    });
  }
  if (action === undefined) return facts;
  const data = { decision: `d-${review}`, review, action, rule: "1", reason: `decided ${action}`, worker, task: "api" };
  return [...facts, { type: "decision.made", data }];
}

export const asked = (decision: string, question = "q1"): EventFact => ({
  type: "question.asked",
  data: { question, text: "How shall it go on?", worker: "claude", task: "api", decision },
});

export const answered = (answer = "Take the other way", question = "q1"): EventFact => ({
  type: "question.answered",
  data: { question, answer, by: "ada" },
});

export const recovery = (
  cause: FailureCause,
  outcome: EventData<"recovery.attempted">["outcome"],
  more: Of<"recovery.attempted"> = {},
): EventFact => ({
  type: "recovery.attempted",
  data: {
    worker: "claude",
    cause,
    attempt: 1,
    change: "",
    outcome,
    suggestions: ["Do this"],
    wait_seconds: 0,
    ...more,
  },
});
