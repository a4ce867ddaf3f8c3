/** A whole session as events: two workers, a review, a question, a conflict, hostile texts. */
import type { EventData, EventFact, RunEvent } from "../../src/events/event.ts";
import type { AgentEvent } from "../../src/events/session_events.ts";
import { emptySession, foldSession, type SessionState } from "../../src/orchestrate/session.ts";

export const STORY_START_MS = Date.parse("2026-11-21T20:00:00.000Z");

const assignment = {
  role: "implementer",
  agent: null,
  prompt: "p",
  depends_on: [] as string[],
  writes: true,
  load: 0.4,
};

export const started: EventFact = {
  type: "session.started",
  data: {
    session_id: "orch_1",
    task: "Mend the\ndate parser \x1b[2J",
    target: "/home/ada/project",
    folder: "/home/ada/my work/orch_1",
    version: "0.1.0",
    pid: 1,
    base_commit: "b",
    branch: "main".repeat(40),
    shared: false,
    budget_usd: 5,
  },
};

export const planned: EventFact = {
  type: "plan.made",
  data: {
    breakdown: {
      task: "t",
      source: "default",
      assignments: [
        { ...assignment, id: "architect", title: "Design it", agent: "gemini", writes: false },
        { ...assignment, id: "implement", title: "Build it", depends_on: ["architect"] },
      ],
    },
    cost_cap_usd: 5,
    cost_estimate_usd: null,
    note: "",
  },
};

export function launched(
  worker: string,
  more: Partial<EventData<"worker.launched">> = {},
): Extract<EventFact, { type: "worker.launched" }> {
  return {
    type: "worker.launched",
    data: {
      worker,
      agent: worker,
      task: null,
      review: null,
      attempt: 1,
      backend: "process",
      argv: [worker],
      workdir: "/w",
      cwd: "/w",
      branch: null,
      stream: "s",
      stream_offset: 0,
      key_id: null,
      resumes: null,
      mark: "m",
      ...more,
    },
  };
}

export function startedWork(
  worker: string,
  more: Partial<EventData<"worker.started">> = {},
): Extract<EventFact, { type: "worker.started" }> {
  return {
    type: "worker.started",
    data: {
      worker,
      attempt: 1,
      pid: 2,
      start_ticks: 3,
      started_ms: STORY_START_MS,
      sandbox: { enforced: true, detail: "bubblewrap" },
      limits: { enforced_by: "none", detail: "" },
      adopted: false,
      attach: null,
      ...more,
    },
  };
}

export function said(
  worker: string,
  type: AgentEvent["type"],
  payload: AgentEvent["payload"],
): Extract<EventFact, { type: "worker.event" }> {
  return {
    type: "worker.event",
    data: { worker, offset: 1, event: { type, agent: worker, timestamp: "2026-11-21T20:00:00.000Z", payload } },
  };
}

export function exited(
  worker: string,
  more: Partial<EventData<"worker.exited">> = {},
): Extract<EventFact, { type: "worker.exited" }> {
  return {
    type: "worker.exited",
    data: {
      worker,
      attempt: 1,
      outcome: "completed",
      cause: null,
      text: "",
      exit_code: 0,
      signal: null,
      cli_session: null,
      tokens: null,
      reported_cost_usd: null,
      duration_seconds: 12.34,
      left_behind: 0,
      ...more,
    },
  };
}

export const finished: EventFact = {
  type: "session.finished",
  data: {
    status: "done",
    exit_code: 0,
    summary: "done, and the check passes",
    result_branch: "gocore/orch_1/result",
    result_commit: "c".repeat(40),
    applied: true,
    report: "/home/ada/my work/orch_1/final.md",
    cost_usd: 0.1234,
    duration_seconds: 754,
    open: ["Build it: finished with a warning"],
  },
};

const spent = (worker: string, known_usd: number, unknown_calls = 0): EventFact => ({
  type: "spending.counted",
  data: { worker, known_usd, unknown_calls, calls: 3, input_tokens: 1, output_tokens: 1 },
});

/** Until both workers run. */
export const beginning: readonly EventFact[] = [
  started,
  {
    type: "preflight.checked",
    data: {
      agents: [
        { agent: "gemini", status: "ready", program: "/g", version: "0.9.0", reason: "", hint: null },
        { agent: "claude", status: "ready", program: "/c", version: "2.0.1", reason: "", hint: null },
        { agent: "codex", status: "missing", program: null, version: null, reason: "no program", hint: "install it" },
        { agent: "mini", status: "not_chosen", program: null, version: null, reason: "not among --agents", hint: null },
      ],
      tier: 2,
      tier_name: "acceptable",
      reason: "gemini and claude; codex: no program",
    },
  },
  { type: "session.serving", data: { gateway_url: "http://127.0.0.1:1", dashboard_url: "http://127.0.0.1:8000" } },
  { type: "session.status", data: { status: "planning", reason: "" } },
  planned,
  { type: "session.status", data: { status: "running", reason: "" } },
  launched("gemini", { task: "architect" }),
  launched("claude", { task: "implement" }),
  startedWork("claude", { sandbox: { enforced: false, detail: "there is no bubblewrap" } }),
];

export const middle: readonly EventFact[] = [
  said("gemini", "message", { text: "I look at 日本語.txt\nfirst" }),
  said("gemini", "command", { text: "ls -la", data: { phase: "ended", exit_code: 2 } }),
  said("claude", "milestone", { text: "Half of it \x1b]0;title\x07works", progress: 50 }),
  said("claude", "blocker", { text: "no\u202e network" }),
  spent("gemini", 0.02),
  spent("claude", 0.1, 1),
  {
    type: "worker.liveness",
    data: { worker: "gemini", verdict: "stalled", proof: "silent for 90 s", idle_seconds: 90 },
  },
  { type: "worker.liveness", data: { worker: "claude", verdict: "waiting_tool", proof: "sh runs", idle_seconds: 1 } },
  {
    type: "command.judged",
    data: { worker: "claude", command: "rm -rf /\n", verdict: "block", rule: "rm", reason: "it removes all" },
  },
  {
    type: "command.judged",
    data: { worker: "claude", command: "ls", verdict: "allow", rule: "default", reason: "harmless" },
  },
  {
    type: "limit.exceeded",
    data: { worker: "gemini", limit: "memory", allowed: 2048, found: 3000.04, unit: "MB" },
  },
  exited("gemini", {
    outcome: "failed",
    cause: "rate_limit",
    text: "429",
    exit_code: 1,
    signal: "SIGTERM",
    left_behind: 1,
  }),
  {
    type: "recovery.attempted",
    data: {
      worker: "gemini",
      cause: "rate_limit",
      attempt: 1,
      change: "the same again",
      outcome: "relaunched",
      suggestions: [],
      wait_seconds: 30,
    },
  },
  launched("gemini", { task: "architect", attempt: 2, resumes: "s1" }),
  exited("gemini", { attempt: 2, text: "A plan\nin two lines" }),
  {
    type: "task.changed",
    data: {
      task: "architect",
      status: "done",
      worker: "gemini",
      agent: "gemini",
      reason: "finished",
      commit: null,
      attempt: 2,
      files: ["a", "b"],
    },
  },
  {
    type: "review.requested",
    data: {
      review: "r1",
      trigger: "completion",
      worker: "claude",
      task: "implement",
      reason: "it says it is done",
      reviewers: ["gemini"],
      commit: null,
      revision: 0,
    },
  },
  launched("r1-gemini", { agent: "gemini", review: "r1" }),
  {
    type: "review.answered",
    data: {
      review: "r1",
      reviewer: "r1-gemini",
      agent: "gemini",
      verdict: "blocker",
      summary: "It forgets leap years",
      issues: [{ text: "29 February", file: "src/date.ts", line: 7 }, { text: "no test", file: null, line: null }],
      recommendations: ["Add a test"],
      problem: null,
      asked: 1,
    },
  },
  exited("r1-gemini", { text: "{}" }),
  {
    type: "decision.made",
    data: {
      decision: "d1",
      review: "r1",
      action: "PAUSE_AND_CLARIFY",
      rule: "2",
      reason: "one blocker",
      worker: "claude",
      task: "implement",
    },
  },
  {
    type: "question.asked",
    data: {
      question: "q1",
      text: "How shall it go on?\n- src/date.ts:7 29 February",
      worker: "claude",
      task: "implement",
      decision: "d1",
    },
  },
  { type: "session.status", data: { status: "needs_input", reason: "q1" } },
  { type: "worker.signalled", data: { worker: "claude", action: "pause", reason: "q1" } },
];

export const ending: readonly EventFact[] = [
  { type: "control.received", data: { control: "k", command: "answer", worker: null, text: "Mend it", by: "ada" } },
  { type: "question.answered", data: { question: "q1", answer: "Mend it", by: "ada" } },
  { type: "worker.signalled", data: { worker: "claude", action: "resume", reason: "the session goes on" } },
  exited("claude", { text: "Done", outcome: "stopped", signal: "SIGINT", exit_code: null }),
  {
    type: "merge.ended",
    data: {
      task: "implement",
      branch: "gocore/orch_1/implement",
      outcome: "conflict",
      files: ["a", "b"],
      commit: null,
    },
  },
  {
    type: "verify.ended",
    data: { command: "npm test", exit_code: 1, output: "1 of 2 fails\n  not ok 2\n", duration_seconds: 1.5 },
  },
  { type: "work.saved", data: { worker: "claude", ref: "refs/gocore/x", commit: "c", files: 1, reason: "the end" } },
  { type: "log", data: { level: "warning", content: "Something is odd", hints: ["Look at it"] } },
  finished,
];

export const story: readonly EventFact[] = [...beginning, ...middle, ...ending];

/** The events as a bus stamps them, a second apart, and their sum. */
export function stamped(facts: readonly EventFact[]): { events: RunEvent[]; state: SessionState } {
  const state = emptySession();
  const events = facts.map((fact, seq) =>
    ({ seq, time: new Date(STORY_START_MS + seq * 1000).toISOString(), ...fact }) as RunEvent
  );
  for (const event of events) foldSession(state, event);
  return { events, state };
}
