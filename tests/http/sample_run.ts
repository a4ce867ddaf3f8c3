/** A manager run from its start to its end, for what shows runs. */
import type { EventFact, RunEvent } from "../../src/events/event.ts";

export const SIGNATURE = {
  runtime: "python",
  kind: "exception",
  type: "ZeroDivisionError",
  template: "division by zero",
  frame: { file: "pkg/core.py", function: "mean" },
  exitCode: 1,
  signal: null,
};

export const timeOf = (second: number): string => new Date(Date.UTC(2026, 1, 5, 12) + second * 1000).toISOString();

/** A second between events. */
export const eventsOf = (facts: readonly EventFact[], from = 0): RunEvent[] =>
  facts.map((fact, index) => ({ seq: from + index, time: timeOf(from + index), ...fact }) as RunEvent);

export const phase = (
  name: "issue" | "reproduce" | "minimize",
  status: "started" | "finished" | "skipped",
  detail = "",
): EventFact => ({ type: "run.phase", data: { phase: name, status, detail } });

export const launched = (worker: string): EventFact => ({
  type: "worker.launched",
  data: {
    worker,
    agent: "codex",
    task: null,
    review: null,
    attempt: 1,
    backend: "process",
    argv: ["codex"],
    workdir: "/w",
    cwd: "/w",
    branch: null,
    stream: "/s",
    stream_offset: 0,
    key_id: null,
    resumes: null,
    mark: "m",
  },
});

export const status = (
  worker: string,
  status: "running" | "finished" | "failed",
  reason = "",
): EventFact => ({ type: "worker.status", data: { worker, role: "REPRO_BUILDER", status, reason } });

export const exited = (worker: string, text: string): EventFact => ({
  type: "worker.exited",
  data: {
    worker,
    attempt: 1,
    outcome: "completed",
    cause: null,
    text,
    exit_code: 0,
    signal: null,
    cli_session: null,
    tokens: null,
    reported_cost_usd: null,
    duration_seconds: 1,
    left_behind: 0,
  },
});

export const answered = (worker: string, cost_usd: number | null): EventFact => ({
  type: "model.answered",
  data: {
    call: "c",
    run: "r1",
    worker,
    key: null,
    upstream: "u",
    dialect: "anthropic",
    streamed: false,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "p",
    "gen_ai.request.model": "m",
    outcome: "answered",
    status: 200,
    attempts: 1,
    cost_usd,
    cost_source: "list",
    usage_source: "provider",
    duration_ms: 1,
    first_byte_ms: 1,
    overhead_ms: 1,
    "gen_ai.response.finish_reasons": [],
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cache_creation.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
  },
});

export const candidateRun = (candidate: string, stage: "validate" | "final", run: number): EventFact => ({
  type: "candidate.run",
  data: {
    candidate,
    stage,
    commit: "c0ffee",
    run,
    outcome: "match",
    reason: "as expected",
    signature: SIGNATURE,
    duration_ms: 5,
  },
});

export const judged = (candidate: string, stage: "validate" | "final"): EventFact => ({
  type: "candidate.judged",
  data: {
    candidate,
    worker: "w1",
    stage,
    verdict: "reproduced",
    matches: 1,
    runs: 1,
    interval: [0.2, 1],
    reason: "it failed",
    score: stage === "final" ? null : 0.9,
    signature: SIGNATURE,
  },
});

export const progress = (calls: number, size: number, pass = "nodes", candidate = "repro"): EventFact => ({
  type: "minimize.progress",
  data: { candidate, pass, size, calls },
});

export const minimized: EventFact = {
  type: "minimize.ended",
  data: {
    candidate: "repro",
    start_size: 90,
    size: 20,
    calls: 7,
    minimal_by: "character",
    removed_by_model: 30,
    duration_ms: 50,
  },
};

export const checked = (hypothesis: string, detail: string): EventFact => ({
  type: "hypothesis.checked",
  data: { hypothesis, check: "evidence", speaks: "for", detail },
});

export const beginning: readonly EventFact[] = [
  {
    type: "run.started",
    data: {
      run_id: "r1",
      issue: "https://github.com/o/r/issues/7",
      repo_path: "/repo",
      folder: "/runs/r1",
      version: "0.1.0",
      pid: 1,
      commit: "c0ffee",
      agent: "codex",
      workers: 1,
    },
  },
  phase("issue", "started"),
  {
    type: "issue.read",
    data: {
      title: "mean() crashes",
      repo_slug: "o/r",
      issue_number: 7,
      fingerprint: "f",
      signals: 1,
      status: "ok",
      needs_human_reason: null,
    },
  },
  phase("issue", "finished", "1 failure signal"),
  {
    type: "environment.prepared",
    data: { commit: "c0ffee", tools: ["python 3.12"], sandbox: "bubblewrap", notes: ["no network"] },
  },
  phase("reproduce", "started"),
  launched("w1"),
  status("w1", "running"),
  answered("w1", 0.5),
];

export const rest: readonly EventFact[] = [
  exited("w1", "Here it is"),
  status("w1", "finished"),
  {
    type: "candidate.read",
    data: { candidate: "repro", worker: "w1", problem: null, script_bytes: 90, oracle_command: "python {repro_file}" },
  },
  phase("reproduce", "finished", "1 candidate"),
  candidateRun("repro", "validate", 1),
  judged("repro", "validate"),
  progress(0, 90, "start"),
  progress(7, 20),
  minimized,
  answered("manager", 0.25),
  candidateRun("repro.min", "final", 1),
  judged("repro.min", "final"),
  checked("h1", "it is there"),
  {
    type: "hypotheses.ranked",
    data: { count: 1, top: [{ hypothesis: "h1", score: 0.7, place: "pkg/core.py:9" }] },
  },
  {
    type: "run.finished",
    data: {
      status: "ok",
      exit_code: 0,
      rationale: "5 of 5",
      candidate: "repro",
      verdict: "reproduced",
      duration_seconds: 9,
    },
  },
];
