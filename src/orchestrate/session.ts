/** The state of a session: what its events add up to. */
import type { EventData, RunEvent } from "../events/event.ts";
import type {
  Action,
  AgentEvent,
  FailureCause,
  LivenessVerdict,
  SessionStatus,
  TaskAssignment,
  TaskBreakdown,
  TaskStatus,
  Verdict,
} from "../events/session_events.ts";
import type { Usage } from "../models/usage.ts";

export interface TaskState {
  readonly assignment: TaskAssignment;
  status: TaskStatus;
  worker: string | null;
  /** What the worker is. */
  agent: string | null;
  reason: string;
  commit: string | null;
  files: readonly string[];
  /** The attempt of `worker` whose work `commit` has; 0: none. */
  committedAttempt: number;
  /** Agents that had it, also those that could not be started. */
  readonly triedBy: Set<string>;
}

export type WorkerStatus = "running" | "paused" | "completed" | "failed" | "stopped";

export interface WorkerState {
  readonly name: string;
  readonly agent: string;
  readonly task: string | null;
  readonly review: string | null;
  status: WorkerStatus;
  launch: EventData<"worker.launched">;
  /** Of this attempt; null: it has not started yet. */
  process: EventData<"worker.started"> | null;
  /** Of the last attempt; null while it runs. */
  exit: EventData<"worker.exited"> | null;
  readonly startedAt: string;
  attemptStartedAt: string;
  endedAt: string | null;
  /** Of this attempt. */
  lastEventAt: string | null;
  /** 0 to 100, as the agent itself says. */
  progress: number;
  lastText: string;
  events: number;
  /** End of the last line of its raw stream that was told. */
  toldUntil: number;
  liveness: { verdict: LivenessVerdict; proof: string; idleSeconds: number } | null;
  cliSession: string | null;
  /** What the agent's own session has used so far; undefined: unknown. */
  sessionUsage: Usage | undefined;
  spending: Spending;
  reportedCostUsd: number | null;
  /** Of all kinds, of all attempts; null: the agent did not tell them of each. */
  reportedTokens: number | null;
  commands: number;
  errors: number;
  /** The last thing that was done to it. */
  lastSignal: EventData<"worker.signalled"> | null;
  nudges: number;
  /** Attempts that a limit ended. */
  limitEnds: number;
}

/** As the gateway has measured it. */
export interface Spending {
  /** USD of the calls whose price is known. */
  knownUsd: number;
  unknownCalls: number;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  /** Calls under way. */
  inFlight: number;
}

export interface ReviewState {
  readonly id: string;
  readonly trigger: EventData<"review.requested">["trigger"];
  readonly worker: string;
  readonly task: string | null;
  readonly reason: string;
  readonly reviewers: readonly string[];
  readonly commit: string | null;
  readonly revision: number;
  readonly requestedAt: string;
  readonly answers: EventData<"review.answered">[];
  decision: DecisionState | null;
}

export interface DecisionState {
  readonly id: string;
  readonly review: string;
  readonly action: Action;
  readonly rule: string;
  readonly reason: string;
  readonly worker: string;
  readonly task: string | null;
  readonly verdicts: readonly { readonly reviewer: string; readonly verdict: Verdict | null }[];
  readonly timestamp: string;
}

export interface QuestionState {
  readonly id: string;
  readonly text: string;
  readonly worker: string | null;
  readonly task: string | null;
  readonly decision: string | null;
  readonly askedAt: string;
  answer: string | null;
  by: string | null;
}

export interface RecoveryState {
  readonly worker: string;
  readonly cause: FailureCause;
  readonly attempt: number;
  readonly change: string;
  readonly outcome: "relaunched" | "escalated" | "given_up";
  readonly suggestions: readonly string[];
  readonly waitSeconds: number;
  readonly timestamp: string;
}

export interface SessionState {
  start: EventData<"session.started"> | null;
  startedAt: string;
  /** Of the process that supervises it now, or did last. */
  pid: number;
  supervisors: number;
  gatewayUrl: string | null;
  dashboardUrl: string | null;
  status: SessionStatus;
  statusReason: string;
  statusSince: string;
  preflight: EventData<"preflight.checked"> | null;
  plan: EventData<"plan.made"> | null;
  readonly tasks: Map<string, TaskState>;
  readonly workers: Map<string, WorkerState>;
  readonly reviews: Map<string, ReviewState>;
  readonly decisions: DecisionState[];
  readonly questions: Map<string, QuestionState>;
  readonly recoveries: RecoveryState[];
  readonly merges: EventData<"merge.ended">[];
  readonly saved: EventData<"work.saved">[];
  readonly judged: EventData<"command.judged">[];
  verify: EventData<"verify.ended"> | null;
  finish: EventData<"session.finished"> | null;
  finishedAt: string | null;
  /** Also of who is no worker: the planner. */
  readonly spending: Map<string, Spending>;
  /** Calls under way. */
  readonly calls: Map<string, { readonly worker: string; readonly sinceMs: number }>;
  /** A call was refused because of the session's own cap, since the last supervisor began. */
  budgetIsSpent: boolean;
  /** Workers whose last call waits at the gateway for its turn. */
  readonly heldBack: Set<string>;
  /** Controls that were carried out. */
  readonly controls: Set<string>;
  /** The next event's number. */
  seq: number;
  lastEventAt: string;
}

export function emptySession(): SessionState {
  return {
    start: null,
    startedAt: "",
    pid: 0,
    supervisors: 0,
    gatewayUrl: null,
    dashboardUrl: null,
    status: "starting",
    statusReason: "",
    statusSince: "",
    preflight: null,
    plan: null,
    tasks: new Map(),
    workers: new Map(),
    reviews: new Map(),
    decisions: [],
    questions: new Map(),
    recoveries: [],
    merges: [],
    saved: [],
    judged: [],
    verify: null,
    finish: null,
    finishedAt: null,
    spending: new Map(),
    calls: new Map(),
    budgetIsSpent: false,
    heldBack: new Set(),
    controls: new Set(),
    seq: 0,
    lastEventAt: "",
  };
}

/** What is kept of commands that were judged; all of them are in the log. */
const MAX_JUDGED = 1000;

/** Adds one event, in place. Events have to come in the order of their numbers. */
export function foldSession(state: SessionState, event: RunEvent): void {
  const { type, data, time } = event;
  state.seq = event.seq + 1;
  state.lastEventAt = time;
  switch (type) {
    case "session.started":
      state.start = data;
      state.startedAt = time;
      state.statusSince = time;
      state.pid = data.pid;
      state.supervisors = 1;
      break;
    case "session.resumed":
      state.pid = data.pid;
      state.supervisors++;
      // Whoever asked then will not be answered any more.
      state.calls.clear();
      state.heldBack.clear();
      state.budgetIsSpent = false;
      for (const spending of state.spending.values()) spending.inFlight = 0;
      state.finish = null;
      state.finishedAt = null;
      break;
    case "session.serving":
      state.gatewayUrl = data.gateway_url;
      state.dashboardUrl = data.dashboard_url;
      break;
    case "session.status":
      state.status = data.status;
      state.statusReason = data.reason;
      state.statusSince = time;
      break;
    case "session.finished":
      state.status = data.status;
      state.statusReason = data.summary;
      state.statusSince = time;
      state.finish = data;
      state.finishedAt = time;
      break;
    case "preflight.checked":
      state.preflight = data;
      break;
    case "plan.made":
      state.plan = data;
      for (const assignment of data.breakdown.assignments) {
        state.tasks.set(assignment.id, {
          assignment,
          status: "pending",
          worker: null,
          reason: "",
          commit: null,
          files: [],
          committedAttempt: 0,
          agent: null,
          triedBy: new Set(),
        });
      }
      break;
    case "task.changed": {
      const task = state.tasks.get(data.task);
      if (task === undefined) break;
      task.status = data.status;
      // Attempts are counted for each worker.
      if (data.worker !== task.worker) task.committedAttempt = 0;
      task.worker = data.worker;
      task.agent = data.agent;
      if (data.agent !== null) task.triedBy.add(data.agent);
      task.reason = data.reason;
      if (data.attempt > 0) {
        task.committedAttempt = data.attempt;
        task.commit = data.commit;
        task.files = data.files;
      }
      break;
    }
    case "worker.launched":
      launch(state, data, time);
      break;
    case "worker.started": {
      const worker = state.workers.get(data.worker);
      if (worker === undefined) break;
      worker.process = data;
      // One that was held goes on when it is found again, and what it was told before may not have reached it.
      worker.status = "running";
      worker.lastSignal = null;
      break;
    }
    case "worker.event": {
      const worker = state.workers.get(data.worker);
      if (worker !== undefined) hear(worker, data.event, { offset: data.offset, time });
      break;
    }
    case "worker.liveness": {
      const worker = state.workers.get(data.worker);
      if (worker === undefined) break;
      worker.liveness = { verdict: data.verdict, proof: data.proof, idleSeconds: data.idle_seconds };
      break;
    }
    case "worker.signalled": {
      const worker = state.workers.get(data.worker);
      if (worker === undefined) break;
      worker.lastSignal = data;
      if (data.action === "nudge") worker.nudges++;
      if (worker.exit !== null) break;
      if (data.action === "pause") worker.status = "paused";
      if (data.action === "resume") worker.status = "running";
      break;
    }
    case "worker.exited": {
      const worker = state.workers.get(data.worker);
      if (worker === undefined) break;
      worker.exit = data;
      worker.endedAt = time;
      worker.status = data.outcome === "completed" ? "completed" : data.outcome === "stopped" ? "stopped" : "failed";
      worker.sessionUsage = addUsage(worker.launch.resumes === null ? NO_USAGE : worker.sessionUsage, data.tokens);
      worker.cliSession = data.cli_session ?? worker.cliSession;
      worker.liveness = null;
      if (data.outcome === "limit") worker.limitEnds++;
      if (data.outcome === "completed") worker.progress = 100;
      // What was never started has used none.
      if (data.cause !== "start") worker.reportedTokens = addTokens(worker.reportedTokens, data.tokens);
      if (data.reported_cost_usd !== null) {
        worker.reportedCostUsd = (worker.reportedCostUsd ?? 0) + data.reported_cost_usd;
      }
      break;
    }
    case "command.judged":
      if (state.judged.length < MAX_JUDGED) state.judged.push(data);
      break;
    case "review.requested":
      state.reviews.set(data.review, {
        id: data.review,
        trigger: data.trigger,
        worker: data.worker,
        task: data.task,
        reason: data.reason,
        reviewers: data.reviewers,
        commit: data.commit,
        revision: data.revision,
        requestedAt: time,
        answers: [],
        decision: null,
      });
      break;
    case "review.answered":
      state.reviews.get(data.review)?.answers.push(data);
      break;
    case "decision.made": {
      const review = state.reviews.get(data.review);
      const decision: DecisionState = {
        id: data.decision,
        review: data.review,
        action: data.action,
        rule: data.rule,
        reason: data.reason,
        worker: data.worker,
        task: data.task,
        verdicts: review?.answers.map(({ reviewer, verdict }) => ({ reviewer, verdict })) ?? [],
        timestamp: time,
      };
      state.decisions.push(decision);
      if (review !== undefined) review.decision = decision;
      break;
    }
    case "question.asked":
      state.questions.set(data.question, {
        id: data.question,
        text: data.text,
        worker: data.worker,
        task: data.task,
        decision: data.decision,
        askedAt: time,
        answer: null,
        by: null,
      });
      break;
    case "question.answered": {
      const question = state.questions.get(data.question);
      if (question !== undefined) [question.answer, question.by] = [data.answer, data.by];
      break;
    }
    case "recovery.attempted":
      state.recoveries.push({
        worker: data.worker,
        cause: data.cause,
        attempt: data.attempt,
        change: data.change,
        outcome: data.outcome,
        suggestions: data.suggestions,
        waitSeconds: data.wait_seconds,
        timestamp: time,
      });
      break;
    case "control.received":
      state.controls.add(data.control);
      break;
    case "merge.ended":
      state.merges.push(data);
      break;
    case "work.saved":
      state.saved.push(data);
      break;
    case "spending.counted": {
      const spending = spendingOf(state, data.worker);
      spending.knownUsd = data.known_usd;
      spending.unknownCalls = data.unknown_calls;
      spending.calls = data.calls;
      spending.inputTokens = data.input_tokens;
      spending.outputTokens = data.output_tokens;
      break;
    }
    case "verify.ended":
      state.verify = data;
      break;
    case "rate.waiting":
      state.heldBack.add(data.worker);
      break;
    case "budget.refused":
      state.heldBack.delete(data.worker);
      // A call of unknown price is refused however much is left.
      if (data.scope === "run" && data.needed_usd !== null) state.budgetIsSpent = true;
      break;
    case "model.called": {
      const spending = spendingOf(state, data.worker);
      // A repeated attempt is the same call.
      if (!state.calls.has(data.call)) {
        spending.inFlight++;
        state.calls.set(data.call, { worker: data.worker, sinceMs: Date.parse(time) });
      }
      state.heldBack.delete(data.worker);
      break;
    }
    case "model.answered": {
      const spending = spendingOf(state, data.worker);
      if (state.calls.delete(data.call)) spending.inFlight--;
      state.heldBack.delete(data.worker);
      spending.calls++;
      spending.inputTokens += data["gen_ai.usage.input_tokens"];
      spending.outputTokens += data["gen_ai.usage.output_tokens"];
      if (data.cost_usd === null) spending.unknownCalls++;
      else spending.knownUsd += data.cost_usd;
      break;
    }
  }
}

/** USD of the whole session; null: a call had no known price. */
export function costOf(state: SessionState): number | null {
  let sum = 0;
  for (const { knownUsd, unknownCalls } of state.spending.values()) {
    if (unknownCalls > 0) return null;
    sum += knownUsd;
  }
  return sum;
}

/** Whether there is nothing of it to be judged: it has changed no file, and others have. Without git nobody knows. */
export function leavesResultAlone(state: SessionState, task: TaskState): boolean {
  if (task.files.length > 0 || state.start!.base_commit === null) return false;
  return [...state.tasks.values()].some((other) => other.files.length > 0);
}

export function breakdownOf(state: SessionState): TaskBreakdown | null {
  return state.plan?.breakdown ?? null;
}

function spendingOf(state: SessionState, worker: string): Spending {
  let spending = state.spending.get(worker);
  if (spending === undefined) {
    spending = { knownUsd: 0, unknownCalls: 0, calls: 0, inputTokens: 0, outputTokens: 0, inFlight: 0 };
    state.spending.set(worker, spending);
  }
  return spending;
}

function launch(state: SessionState, data: EventData<"worker.launched">, time: string): void {
  const known = state.workers.get(data.worker);
  if (known !== undefined) {
    known.launch = data;
    known.process = null;
    known.status = "running";
    known.exit = null;
    known.endedAt = null;
    known.liveness = null;
    known.lastSignal = null;
    known.attemptStartedAt = time;
    known.lastEventAt = null;
    known.progress = 0;
    known.toldUntil = data.stream_offset;
    return;
  }
  state.workers.set(data.worker, {
    name: data.worker,
    agent: data.agent,
    task: data.task,
    review: data.review,
    status: "running",
    launch: data,
    process: null,
    exit: null,
    startedAt: time,
    attemptStartedAt: time,
    endedAt: null,
    lastEventAt: null,
    progress: 0,
    lastText: "",
    events: 0,
    toldUntil: data.stream_offset,
    liveness: null,
    cliSession: null,
    sessionUsage: undefined,
    spending: spendingOf(state, data.worker),
    reportedCostUsd: null,
    reportedTokens: 0,
    commands: 0,
    errors: 0,
    lastSignal: null,
    nudges: 0,
    limitEnds: 0,
  });
}

const NO_USAGE: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

function addUsage(before: Usage | undefined, used: EventData<"worker.exited">["tokens"]): Usage | undefined {
  if (before === undefined || used === null) return undefined;
  return {
    input: before.input + used.input,
    cacheRead: before.cacheRead + used.cache_read,
    cacheWrite: before.cacheWrite + used.cache_write,
    output: before.output + used.output,
    reasoning: before.reasoning + used.reasoning,
  };
}

function addTokens(before: number | null, used: EventData<"worker.exited">["tokens"]): number | null {
  if (before === null || used === null) return null;
  return before + used.input + used.cache_read + used.cache_write + used.output;
}

function hear(worker: WorkerState, event: AgentEvent, { offset, time }: { offset: number; time: string }): void {
  worker.events++;
  worker.lastEventAt = time;
  worker.toldUntil = Math.max(worker.toldUntil, offset);
  const { text, progress, data } = event.payload;
  if (text !== "") worker.lastText = text;
  if (progress !== undefined) worker.progress = Math.min(Math.max(progress, 0), 100);
  if (event.type === "command" && data?.phase !== "started") worker.commands++;
  if (event.type === "error") worker.errors++;
  if (event.type === "status" && typeof data?.session === "string") worker.cliSession = data.session;
}
