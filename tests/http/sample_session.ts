/** A session in the middle of its work, for what shows sessions. */
import type { EventFact } from "../../src/events/event.ts";

/** A worker's name and words that would do harm as HTML or on a terminal. */
export const HOSTILE = '<img src=x onerror="document.title=1">\u001b[31m\u202e';

const launched = {
  worker: "codex",
  agent: "codex",
  task: "design",
  review: null,
  attempt: 1,
  backend: "process" as const,
  argv: ["codex", "exec", "the whole prompt"],
  workdir: "/work/trees/a",
  cwd: "/work/trees/a",
  branch: "gocore/a",
  stream: "codex.jsonl",
  stream_offset: 0,
  key_id: "k1",
  resumes: null,
  mark: "m1",
};

const started = {
  worker: "codex",
  attempt: 1,
  pid: 4242,
  start_ticks: 1,
  started_ms: 1,
  sandbox: { enforced: true, detail: "bubblewrap" },
  limits: { enforced_by: "cgroup", detail: "2 GB" },
  adopted: false,
  attach: null,
};

const assignment = { agent: null, prompt: "Do it", depends_on: [], writes: true, load: 0.5 };

export const sampleFacts: readonly EventFact[] = [
  {
    type: "session.started",
    data: {
      session_id: "orch_1",
      task: "Mend the login",
      target: "/work/project",
      folder: "/work/sessions/orch_1",
      version: "0.1.0",
      pid: 77,
      base_commit: "abc",
      branch: "main",
      shared: false,
      budget_usd: 5,
    },
  },
  {
    type: "preflight.checked",
    data: { agents: [], tier: 5, tier_name: "solo", reason: "gemini and claude are missing" },
  },
  {
    type: "plan.made",
    data: {
      breakdown: {
        task: "Mend the login",
        source: "default",
        assignments: [
          { ...assignment, id: "design", title: "Design it", role: "architect" },
          { ...assignment, id: "code", title: "Write it", role: "implementer", depends_on: ["design"] },
        ],
      },
      cost_cap_usd: 5,
      cost_estimate_usd: 1.5,
      note: "the default roles",
    },
  },
  { type: "session.status", data: { status: "running", reason: "" } },
  {
    type: "task.changed",
    data: {
      task: "design",
      status: "running",
      worker: "codex",
      agent: "codex",
      reason: "given",
      commit: null,
      attempt: 0,
      files: [],
    },
  },
  { type: "worker.launched", data: launched },
  { type: "worker.started", data: started },
  {
    type: "worker.event",
    data: {
      worker: "codex",
      offset: 100,
      event: {
        type: "progress",
        agent: "codex",
        timestamp: "2026-01-01T00:00:00Z",
        payload: { text: HOSTILE, progress: 45, file: "login.ts" },
      },
    },
  },
  {
    type: "spending.counted",
    data: { worker: "codex", known_usd: 0.25, unknown_calls: 1, calls: 3, input_tokens: 1000, output_tokens: 50 },
  },
  {
    type: "worker.liveness",
    data: { worker: "codex", verdict: "stalled", proof: "no output for 300 s", idle_seconds: 300 },
  },
  {
    type: "review.requested",
    data: {
      review: "r1",
      trigger: "milestone",
      worker: "codex",
      task: "design",
      reason: "a milestone",
      reviewers: ["mini-r1", "mini-r2"],
      commit: "def",
      revision: 0,
    },
  },
  {
    type: "review.answered",
    data: {
      review: "r1",
      reviewer: "mini-r1",
      agent: "mini",
      verdict: "concerns",
      summary: "It forgets the empty password",
      issues: [{ text: "No check for an empty password", file: "login.ts", line: 12 }],
      recommendations: ["Add one"],
      problem: null,
      asked: 1,
    },
  },
  {
    type: "decision.made",
    data: {
      decision: "d1",
      review: "r1",
      action: "PAUSE_AND_CLARIFY",
      rule: "2",
      reason: "concerns",
      worker: "codex",
      task: "design",
    },
  },
  {
    type: "question.asked",
    data: { question: "q1", text: "May a password be empty?", worker: "codex", task: "design", decision: "d1" },
  },
  {
    type: "recovery.attempted",
    data: {
      worker: "codex",
      cause: "permission",
      attempt: 1,
      change: "nothing can be changed",
      outcome: "escalated",
      suggestions: ["chmod u+w login.ts"],
      wait_seconds: 0,
    },
  },
];
