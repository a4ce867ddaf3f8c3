/** The state of a manager run: what its events add up to. */
import type { EventData, RunEvent } from "../events/event.ts";
import type { RunPhase, RunStatus, WorkerRole, WorkerStatus } from "../events/manager_events.ts";
import type { ReproducerMinimized } from "../events/minimize_events.ts";

export interface RunState {
  start: EventData<"run.started"> | null;
  startedAt: string;
  /** Of the process that runs it now, or did last. */
  pid: number;
  supervisors: number;
  gatewayUrl: string | null;
  /** Null: nobody has been asked yet. */
  routing: ModelRouting | null;
  status: RunStatus;
  /** The one that is under way; null: none. */
  phase: RunPhase | null;
  readonly phases: Map<RunPhase, PhaseState>;
  preflight: EventData<"preflight.checked"> | null;
  issue: EventData<"issue.read"> | null;
  environment: EventData<"environment.prepared"> | null;
  /** In the order of their first mention. */
  readonly workers: Map<string, RunWorker>;
  /** By id. */
  readonly candidates: Map<string, CandidateState>;
  /** Of candidates and of what became of them, in their order. */
  runs: EventData<"candidate.run">[];
  minimized: ReproducerMinimized | null;
  ranked: EventData<"hypotheses.ranked"> | null;
  comment: EventData<"comment.posted"> | null;
  /** Warnings and errors, at most the last of them. */
  readonly diagnostics: string[];
  finish: EventData<"run.finished"> | null;
  finishedAt: string | null;
  /** Model calls under way, by id. */
  readonly calls: Map<string, { readonly worker: string; readonly sinceMs: number }>;
  /** Controls that were carried out. */
  readonly controls: Set<string>;
  /** The next event's number. */
  seq: number;
  lastEventAt: string;
}

/** Who asks which model. */
export interface ModelRouting {
  /** One model, or `codex=…, mini=…` where workers differ; null: their own default. */
  readonly worker_model: string | null;
  /** Null: no model is asked. */
  readonly manager_model: string | null;
}

export interface PhaseState {
  status: EventData<"run.phase">["status"];
  detail: string;
  /** Milliseconds, of all the times that it was under way. */
  spentMs: number;
  /** Null: it is not under way. */
  sinceMs: number | null;
}

export interface RunWorker {
  readonly name: string;
  role: WorkerRole | null;
  /** Null: it was launched, and its status is not told yet. */
  status: WorkerStatus | null;
  reason: string;
  /** Of the last attempt. */
  launch: EventData<"worker.launched"> | null;
  /** Of this attempt; null: it has not started yet. */
  process: EventData<"worker.started"> | null;
  /** Of the last attempt; null while it runs. */
  exit: EventData<"worker.exited"> | null;
  attemptStartedAt: string | null;
  lastEventAt: string | null;
  lastText: string;
  /** End of the last line of its raw stream that was told. */
  toldUntil: number;
  cliSession: string | null;
  readonly nudges: EventData<"worker.nudged">[];
}

export interface CandidateState {
  /** Null: what becomes of a candidate has runs without having been read. */
  read: EventData<"candidate.read"> | null;
  validation: EventData<"candidate.judged"> | null;
  /** The proof at the end. */
  proof: EventData<"candidate.judged"> | null;
}

const MAX_DIAGNOSTICS = 100;

export function emptyRun(): RunState {
  return {
    start: null,
    startedAt: "",
    pid: 0,
    supervisors: 0,
    gatewayUrl: null,
    routing: null,
    status: "running",
    phase: null,
    phases: new Map(),
    preflight: null,
    issue: null,
    environment: null,
    workers: new Map(),
    candidates: new Map(),
    runs: [],
    minimized: null,
    ranked: null,
    comment: null,
    diagnostics: [],
    finish: null,
    finishedAt: null,
    calls: new Map(),
    controls: new Set(),
    seq: 0,
    lastEventAt: "",
  };
}

/** Adds one event, in place. Events have to come in the order of their numbers. */
export function foldRun(state: RunState, event: RunEvent): void {
  const { type, data, time } = event;
  const nowMs = Date.parse(time);
  switch (type) {
    case "run.started":
      state.start = data;
      state.startedAt = time;
      state.pid = data.pid;
      state.supervisors = 1;
      break;
    case "run.resumed":
      resume(state, data);
      break;
    case "run.serving":
      state.gatewayUrl = data.gateway_url;
      state.routing = routingOf(data);
      break;
    case "run.phase":
      changePhase(state, data, nowMs);
      break;
    case "run.finished":
      state.finish = data;
      state.finishedAt = time;
      state.status = data.status;
      state.phase = null;
      break;
    case "preflight.checked":
      state.preflight = data;
      break;
    case "issue.read":
      state.issue = data;
      break;
    case "environment.prepared":
      state.environment = data;
      break;
    case "worker.status": {
      const worker = workerIn(state, data.worker);
      worker.role = data.role;
      worker.status = data.status;
      worker.reason = data.reason;
      break;
    }
    case "worker.nudged":
      workerIn(state, data.worker).nudges.push(data);
      break;
    case "worker.launched": {
      const worker = workerIn(state, data.worker);
      worker.launch = data;
      worker.process = null;
      worker.exit = null;
      worker.attemptStartedAt = time;
      worker.lastEventAt = null;
      worker.toldUntil = data.stream_offset;
      break;
    }
    case "worker.started":
      workerIn(state, data.worker).process = data;
      break;
    case "worker.event": {
      const worker = workerIn(state, data.worker);
      worker.toldUntil = data.offset;
      worker.lastEventAt = time;
      if (data.event.payload.text !== "") worker.lastText = data.event.payload.text;
      break;
    }
    case "worker.exited": {
      const worker = workerIn(state, data.worker);
      worker.exit = data;
      worker.cliSession = data.cli_session ?? worker.cliSession;
      if (data.text !== "") worker.lastText = data.text;
      break;
    }
    case "candidate.read":
      candidateIn(state, data.candidate).read = data;
      break;
    case "candidate.run":
      state.runs.push(data);
      break;
    case "candidate.judged": {
      const candidate = candidateIn(state, data.candidate);
      if (data.stage === "final") candidate.proof = data;
      else candidate.validation = data;
      break;
    }
    case "minimize.ended":
      if ("candidate" in data) state.minimized = data;
      break;
    case "hypotheses.ranked":
      state.ranked = data;
      break;
    case "comment.posted":
      state.comment = data;
      break;
    case "control.received":
      state.controls.add(data.control);
      break;
    case "model.called":
      state.calls.set(data.call, { worker: data.worker, sinceMs: nowMs });
      break;
    case "model.answered":
      state.calls.delete(data.call);
      break;
    case "log":
      if (data.level === "warning" || data.level === "error") diagnose(state, data.content);
      break;
    case "error":
      diagnose(state, data.error);
      break;
    default:
  }
  state.seq = event.seq + 1;
  state.lastEventAt = time;
}

function routingOf({ worker_models = {}, manager_model = null }: EventData<"run.serving">): ModelRouting {
  const models = Object.entries(worker_models);
  const [first = null, ...others] = new Set(models.map(([, model]) => model));
  return {
    worker_model: others.length === 0
      ? first
      : models.map(([agent, model]) => `${agent}=${model ?? "its default"}`).join(", "),
    manager_model,
  };
}

/** Milliseconds that the phase was under way until now. */
export function spentIn({ spentMs, sinceMs }: PhaseState, nowMs: number): number {
  return spentMs + (sinceMs === null ? 0 : Math.max(nowMs - sinceMs, 0));
}

/** What a process that died has begun counts until its last word. */
function resume(state: RunState, data: EventData<"run.resumed">): void {
  const lastMs = Date.parse(state.lastEventAt);
  for (const phase of state.phases.values()) {
    phase.spentMs = spentIn(phase, lastMs);
    phase.sinceMs = null;
  }
  state.pid = data.pid;
  state.supervisors++;
  state.phase = null;
  state.calls.clear();
  if (state.finish?.status === "failed") forgetFailures(state);
  state.finish = null;
  state.finishedAt = null;
  state.status = "running";
  state.diagnostics.length = 0;
  // Somebody may have added what was missing.
  if (state.issue?.status === "needs-human") state.issue = null;
}

/** Whoever goes on with a run that has failed wants what has failed to be tried again. */
function forgetFailures(state: RunState): void {
  for (const worker of state.workers.values()) {
    if (worker.status !== "failed" && worker.status !== "timeout") continue;
    worker.status = "stopped";
    for (const [id, { read }] of state.candidates) {
      if (read?.worker === worker.name && read.problem !== null) state.candidates.delete(id);
    }
  }
  for (const [id, candidate] of state.candidates) {
    if (candidate.validation?.verdict !== "environment_error") continue;
    candidate.validation = null;
    state.runs = state.runs.filter((run) => run.candidate !== id);
  }
}

function changePhase(state: RunState, { phase: name, status, detail }: EventData<"run.phase">, nowMs: number): void {
  const phase = state.phases.get(name) ?? { status, detail, spentMs: 0, sinceMs: null };
  state.phases.set(name, phase);
  phase.status = status;
  phase.detail = detail;
  phase.spentMs = spentIn(phase, nowMs);
  phase.sinceMs = status === "started" ? nowMs : null;
  if (status === "started") state.phase = name;
  else if (state.phase === name) state.phase = null;
}

function workerIn(state: RunState, name: string): RunWorker {
  let worker = state.workers.get(name);
  if (worker === undefined) {
    worker = {
      name,
      role: null,
      status: null,
      reason: "",
      launch: null,
      process: null,
      exit: null,
      attemptStartedAt: null,
      lastEventAt: null,
      lastText: "",
      toldUntil: 0,
      cliSession: null,
      nudges: [],
    };
    state.workers.set(name, worker);
  }
  return worker;
}

function candidateIn(state: RunState, id: string): CandidateState {
  const candidate = state.candidates.get(id) ?? { read: null, validation: null, proof: null };
  state.candidates.set(id, candidate);
  return candidate;
}

function diagnose({ diagnostics }: RunState, text: string): void {
  diagnostics.push(text);
  if (diagnostics.length > MAX_DIAGNOSTICS) diagnostics.shift();
}
