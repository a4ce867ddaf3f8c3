/** The application over runs that are in memory; every answer is compared with what the application says of itself. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { EventBus } from "../../src/events/bus.ts";
import type { EventFact, RunEvent } from "../../src/events/event.ts";
import { createApp } from "../../src/http/app.ts";
import { EventStreams } from "../../src/http/event_streams.ts";
import {
  type AppOptions,
  type EntryChange,
  type Library,
  type MiniView,
  Refused,
  type RunView,
  type SessionView,
  type Starter,
} from "../../src/http/ports.ts";
import type { Entry, MiniRecord, RunRecord, RunStatus } from "../../src/http/schemas.ts";
import { emptyRun } from "../../src/manager/run_state.ts";
import type { Control } from "../../src/orchestrate/ports.ts";
import { emptySession, foldSession } from "../../src/orchestrate/session.ts";
import { differences } from "./json_schema.ts";
import { SampleLog } from "./sample_log.ts";
import { HOSTILE, sampleFacts } from "./sample_session.ts";

export const START_MS = Date.UTC(2026, 0, 1);
export const START = "2026-01-01T00:00:00.000Z";
export const CLIENT: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 40_000 };

const spending = { cost_usd: null, known_cost_usd: 0.25, calls: 3 };

export function sampleEntry(id: string, changes: Partial<Entry> = {}): Entry {
  return {
    kind: "manager",
    id,
    title: HOSTILE,
    status: "running",
    running: true,
    attention: [{ kind: "stalled", text: "no output for 300 s", worker: "w1", since: START }],
    agents: ["codex"],
    models: ["m"],
    source: "https://github.com/a/b/issues/1",
    folder: `/work/runs/${id}`,
    started_at: START,
    ended_at: null,
    last_event_at: START,
    elapsed_seconds: 90,
    ...spending,
    progress: null,
    summary: null,
    ...changes,
  };
}

export const sampleRun: RunRecord = {
  run_id: "run-1",
  status: "running",
  running: true,
  folder: "/work/runs/run-1",
  repo_path: "/work/project",
  commit: "abc",
  agent: "codex",
  issue: { title: HOSTILE, url: "https://github.com/a/b/issues/1", source: "a/b#1", number: 1 },
  started_at: START,
  ended_at: null,
  elapsed_seconds: 90,
  ...spending,
  rationale: null,
  verdict: null,
  phases: [{ phase: "reproduce", status: "running", detail: "", started_at: START, ended_at: null }],
  workers: [{
    worker: "w1",
    role: "REPRO_BUILDER",
    agent: "codex",
    status: "running",
    reason: "",
    started_at: START,
    ended_at: null,
    ...spending,
    last_text: HOSTILE,
  }],
  environment: { tools: ["python"], sandbox: "bubblewrap", notes: [] },
  candidates: [{
    candidate: "w1-1",
    worker: "w1",
    problem: null,
    oracle_command: "sh repro.sh",
    script_bytes: 10,
    chosen: true,
    runs: [{
      stage: "validation",
      commit: "abc",
      run: 0,
      outcome: "match",
      reason: "",
      signature: { exit_code: 1 },
      duration_ms: 5,
    }],
    verdicts: [{
      stage: "validation",
      verdict: "deterministic",
      matches: 1,
      runs: 1,
      interval: [0.1, 1],
      reason: "",
      score: null,
    }],
  }],
  minimization: { candidate: "w1-1", points: [{ calls: 1, size: 10, pass: "lines" }], ended: null },
  hypotheses: [{
    hypothesis_id: "h1",
    rank: 1,
    score: 0.5,
    confidence: null,
    mechanism: HOSTILE,
    evidence: [{ file: "a.py", line: 3, snippet: "x" }],
    disconfirming_checks: ["y"],
    checks: [{ check: "z", speaks: "for", detail: "" }],
  }],
  proof: null,
  final: null,
  decision: { status: "running" },
  run_done: {},
  seq: 1,
};

export const sampleStatus: RunStatus = {
  run_id: "run-1",
  run_state: "running",
  manager: {
    session_name: "codorch-run-1-manager",
    session_exists: true,
    pane_tail: HOSTILE,
    issue_url: "https://github.com/a/b/issues/1",
    pid: 77,
    phase: "reproduce",
  },
  workers: [{
    worker_id: "w1",
    role: "REPRO_BUILDER",
    status: "finished",
    session_name: "codorch-run-1-w1",
    session_exists: false,
    worktree_path: "/tmp/w1",
    output_path: "/work/runs/run-1/repro/candidates/w1.json",
    script_path: "/work/runs/run-1/scripts/repro-w1.sh",
    pane_tail: "",
    reason: "",
    agent: "codex",
  }],
  summary: { total: 1, active: 0, finished: 1, failed: 0, timeout: 0, unknown: 0, stopped: 0 },
  decision: { status: "running" },
  run_done: {},
};

export const sampleMini: MiniRecord = {
  run_id: "mini-1",
  status: "running",
  running: true,
  task: HOSTILE,
  model: "m",
  workdir: "/work/project",
  started_at: START,
  ended_at: null,
  elapsed_seconds: 90,
  ...spending,
  steps: 1,
  result: null,
  exit_status: null,
  messages: [{
    role: "assistant",
    content: HOSTILE,
    commands: ["ls"],
    exit_code: null,
    time: START,
    cost_usd: null,
  }],
  trajectory_path: null,
  has_events: true,
  seq: 0,
};

export const runEvents = [
  { seq: 0, time: START, type: "log", data: { level: "info", content: "one" } },
  { seq: 1, time: START, type: "worker.exited", data: {} },
  { seq: 2, time: START, type: "log", data: { level: "info", content: HOSTILE } },
];

export interface SampleOptions {
  readonly facts?: readonly EventFact[];
  readonly token?: string;
  /** Nobody may control anything, for this reason. */
  readonly refusal?: string;
  readonly library?: Partial<Library>;
  readonly app?: Partial<AppOptions>;
}

export type SampleApp = Awaited<ReturnType<typeof sampleApp>>;

/** Ends when the test does. Everything that views and hands are asked for is in `asked`. */
export async function sampleApp(
  { facts = sampleFacts, token, refusal, library = {}, app: changes = {} }: SampleOptions = {},
) {
  const state = emptySession();
  const events: RunEvent[] = [];
  const bus = new EventBus({
    now: () => START_MS,
    record(event) {
      events.push(event);
      foldSession(state, event);
    },
  });
  for (const fact of facts) bus.publish(fact);
  const controls: Control[] = [];
  const errors: unknown[] = [];
  const judged: unknown[] = [];
  const asked: unknown[][] = [];
  const ending = new AbortController();
  const streamsOf = (log: SampleLog, numbering?: "offset") => {
    const streams = new EventStreams(log, { numbering });
    ending.signal.addEventListener("abort", () => streams.end());
    return streams;
  };
  const logs = { session: new SampleLog(events), run: new SampleLog(runEvents), mini: new SampleLog(runEvents) };
  const ask = <T>(result: T, ...what: unknown[]) => {
    asked.push(what);
    return Promise.resolve(result);
  };
  const session: SessionView = {
    folder: "/work/sessions/orch_1",
    state,
    streams: streamsOf(logs.session),
    isSupervised: () => true,
    async control(control) {
      controls.push(control);
      const { id, command, worker, text, by } = control;
      bus.publish({ type: "control.received", data: { control: id, command, worker, text, by } });
    },
    diff: (worker) =>
      ask(
        {
          base: "abc",
          workers: [{
            worker: "codex",
            task: "design",
            files: [{ path: "login.ts", added: 1, removed: null }],
            patch: HOSTILE,
            truncated: false,
            problem: null,
          }],
        },
        "diff",
        worker,
      ),
    usage: () =>
      ask({
        points: [{
          time: START,
          worker: "codex",
          model: null,
          cost_usd: 0.25,
          unpriced_calls: 1,
          input_tokens: 1,
          output_tokens: 1,
        }],
      }, "usage"),
    timeline: () =>
      ask({ spans: [{ worker: "codex", state: "working", from: START, to: null, detail: HOSTILE }] }, "timeline"),
  };
  const run: RunView = {
    folder: "/work/runs/run-1",
    state: emptyRun(),
    streams: streamsOf(logs.run),
    record: () => ask(sampleRun, "record"),
    status: (lines) => ask(sampleStatus, "status", lines),
    files: () => ask({ files: [{ path: "issue.json", size: 2, modified_at: START }] }, "files"),
    file(path) {
      if (path === "gone") throw new Refused(404, "There is no such file");
      return ask({ bytes: new TextEncoder().encode(HOSTILE), isText: !path.endsWith(".bin") }, "file", path);
    },
    source: (file, options) =>
      ask({ file, commit: "abc", first_line: 1, lines: ["a", HOSTILE] }, "source", file, options),
    stop: (...all) => ask(undefined, "stop", ...all),
    send(worker, ...all) {
      if (worker !== "w1") throw new Refused(404, `There is no worker ${JSON.stringify(worker)}`);
      return ask(undefined, "send", worker, ...all);
    },
  };
  const mini: MiniView = {
    folder: "/work/runs/mini-1",
    streams: streamsOf(logs.mini, "offset"),
    record: () => ask(sampleMini, "record"),
    trajectory: () => ask(new TextEncoder().encode('{"messages": []}'), "trajectory"),
    stop: (...all) => ask(undefined, "stop", ...all),
  };
  const listeners = new Set<(change: EntryChange) => void>();
  const shown: Library = {
    about: {
      version: "0.1.0",
      mode: "all",
      session_id: null,
      runs_root: "/work/runs",
      workspace: "/work/sessions",
      mini_workdirs: ["/work/project"],
      can_start: ["mini", "session", "manager"],
    },
    history: (
      query,
    ) => (asked.push(["history", query]), { entries: [sampleEntry("run-1")], next: "c", total: 2, indexing: null }),
    attention: () => [sampleEntry("run-1")],
    entry: (kind, id) => kind === "manager" && id.startsWith("run-") ? sampleEntry(id) : undefined,
    ids: (kind) => ({ manager: ["run-1", "run-2"], session: ["orch_1"], mini: ["mini-1"] })[kind],
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    costs: (query) => (asked.push(["costs", query]), {
      by: query.by,
      rows: [{ key: "2026-01-01", ...spending, input_tokens: 1, output_tokens: 1 }],
      sources: ["/work/runs/ledger.db"],
      problems: [],
    }),
    session: (id) => Promise.resolve(id === undefined || id === "orch_1" ? session : undefined),
    run: (id) => Promise.resolve(id === "run-1" ? run : undefined),
    mini: (id) => Promise.resolve(id === "mini-1" ? mini : undefined),
    ...library,
  };
  const starter: Starter = {
    run: (request) =>
      ask({ run_id: "run-3", run_done: "/work/run_done.json", manager_session: "codorch" }, "run", request),
    orchestration: (request) =>
      ask({ session_id: "orch_2", folder: "/work/sessions/orch_2" }, "orchestration", request),
    mini: (request) => ask({ run_id: "mini-2", folder: "/work/runs/mini-2" }, "mini", request),
  };
  const app = createApp({
    library: shown,
    starter,
    schedule: {
      list: () => ({
        entries: [{
          name: "nightly",
          cron: "0 3 * * *",
          timezone: null,
          target: "a/b#1",
          next_at: START,
          last_at: null,
          last_result: null,
          running: false,
          problem: null,
        }],
      }),
    },
    metrics: () => Promise.resolve("gocore_runs 1\n"),
    token,
    refusalOf(client, what) {
      judged.push([client, what]);
      return refusal;
    },
    now: () => START_MS + 90_000,
    ending: ending.signal,
    onError: (error) => errors.push(error),
    ...changes,
  });
  const fetch = async (path: string, init: RequestInit = {}) => {
    const headers = { host: "127.0.0.1:8088", ...init.headers as Record<string, string> };
    return await app.request(path, { ...init, headers }, { client: CLIENT });
  };
  const bearer: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const description = await (await fetch("/api/openapi.json", { headers: bearer })).json();
  /** Of answers that are JSON; throws when it is not what the description promises. */
  const json = async (response: Promise<Response>, method: string, path: string) => {
    const { status, headers, body: _ } = await response;
    const body = await (await response).json();
    ok(headers.get("content-type")?.startsWith("application/json"));
    deepEqual(describedAs(description, { method, path, status, body }), []);
    return { status, body };
  };
  const get = (path: string, headers: Record<string, string> = {}) => json(fetch(path, { headers }), "get", path);
  const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    json(
      fetch(path, {
        method: "POST",
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
        headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      }),
      "post",
      path,
    );
  return {
    fetch,
    get,
    post,
    app,
    bus,
    state,
    logs,
    session,
    run,
    mini,
    controls,
    errors,
    judged,
    asked,
    listeners,
    description,
    /** Streams end with what they have. */
    [Symbol.dispose]: () => ending.abort(),
  };
}

// deno-lint-ignore no-explicit-any
function describedAs(description: any, { method, path, status, body }: {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}): string[] {
  if (status >= 400) return differences(body, { $ref: "#/components/schemas/failure" }, description);
  const [address = ""] = path.split("?");
  const name = Object.keys(description.paths).find((known) =>
    new RegExp(`^${known.replaceAll(".", "\\.").replace("{path}", ".+").replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(
      address,
    )
  );
  const { schema } = description.paths[name!][method].responses[status].content["application/json"];
  return differences(body, schema, description);
}
