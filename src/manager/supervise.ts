/** Runs the workers of a manager run: starts them, sees that they get on, asks again, and ends them. */
import type { EventData, EventFact } from "../events/event.ts";
import { jsonObjects } from "../events/json_objects.ts";
import type { WorkerStatus } from "../events/manager_events.ts";
import { type FailureCause, failureCauses } from "../events/session_events.ts";
import { exitOf, lostExit } from "../events/worker_exit.ts";
import { Failure, messageOf } from "../failure.ts";
import type { Usage } from "../models/usage.ts";
import type { WorkerAnswer, WorkerOrder, WorkerPool } from "./ports.ts";
import type { RunState, RunWorker } from "./run_state.ts";
import type { ManagerSettings } from "./settings.ts";
import type { RunningWorker, WorkerHooks, WorkerLauncher } from "./worker_launcher.ts";

export interface SupervisorParts {
  readonly settings: Pick<ManagerSettings, "workerTimeoutMs" | "stallMs" | "pollIntervalMs">;
  /** What has been published adds up to it, at once. */
  readonly state: Pick<RunState, "workers" | "calls">;
  publish(fact: EventFact): Promise<void>;
  readonly launcher: WorkerLauncher;
  /** Ends all workers. */
  readonly signal: AbortSignal;
  now(): number;
}

/** What a person tells a worker. */
export interface Message {
  /** Its id. */
  readonly control: string;
  readonly worker: string;
  readonly text: string;
  readonly by: string;
}

export interface Supervisor extends WorkerPool {
  /** Returns what becomes of it, in a sentence for the sender. */
  send(message: Message): string;
  /** Names of those that work now. */
  running(): readonly string[];
}

/** What a stalled worker is told, as the seed has it. */
export const NUDGE = "status update: report progress or current blocker";
const CUT_OFF = "You were cut off. Go on with your task, and end with your answer.";
const RESTARTS = 1;
/** A program that only waits uses some: less than this share of the time is no sign of life. */
const IDLE_CPU_SHARE = 0.05;
/** The kernel counts in steps of 10 ms: in a shorter time one of them would look like work. */
const CPU_SPAN_MS = 1000;
const MAX_REASON = 500;
/** An attempt after these may end otherwise; after others (a key, a budget, a limit of rates) it would not. */
const MAY_PASS: readonly (FailureCause | null)[] = [null, "crashed", "no_answer", "output", "context", "network"];
/** Answered by another command line, each once: the worker itself has done nothing wrong. */
const ADJUSTED: readonly (FailureCause | null)[] = ["trusted_directory", "include_directories", "root", "sandbox"];

export function createSupervisor(parts: SupervisorParts): Supervisor {
  const { state, signal } = parts;
  const working = new Map<string, Working>();
  return {
    async run(orders) {
      const ends = await Promise.allSettled(orders.map((order) => supervise(parts, order, working)));
      // All have ended: nobody writes there any more.
      for (const order of orders) await release(parts, order);
      signal.throwIfAborted();
      return ends.map((end) => {
        if (end.status === "rejected") throw end.reason;
        return end.value;
      });
    },
    send(message) {
      const { worker } = message;
      const worked = working.get(worker);
      if (worked !== undefined) return tell(parts, worked, message);
      const status = state.workers.get(worker)?.status;
      return status === undefined ? `There is no ${worker}` : `${worker} does not run any more: ${status}`;
    },
    running: () => [...working.keys()],
  };
}

/** One that is being supervised. */
interface Working {
  readonly order: WorkerOrder;
  /** Undefined between two attempts. */
  running: RunningWorker | undefined;
  /** Why there will be no further attempt. */
  verdict: { readonly status: "failed" | "timeout"; readonly reason: string } | undefined;
}

type Step =
  | { readonly kind: "adopt" }
  | {
    readonly kind: "launch";
    readonly prompt: string;
    readonly resume: string | null;
    /** How many of the nudges it takes into account. */
    readonly nudgesTold: number;
  }
  | {
    readonly kind: "end";
    readonly status: Exclude<WorkerStatus, "running" | "stopped">;
    readonly reason: string;
    readonly answer: string | undefined;
  };

async function supervise(
  parts: SupervisorParts,
  order: WorkerOrder,
  all: Map<string, Working>,
): Promise<WorkerAnswer> {
  const { state, launcher, signal } = parts;
  const { worker } = order;
  const former = state.workers.get(worker);
  if (former?.status === "finished" || former?.status === "failed" || former?.status === "timeout") {
    return answerOf(order, former.status, former.reason, await launcher.keptAnswer(worker));
  }
  const working: Working = { order, running: undefined, verdict: undefined };
  all.set(worker, working);
  try {
    for (;;) {
      if (signal.aborted) {
        await tellStatus(parts, order, "stopped", messageOf(signal.reason));
        throw signal.reason;
      }
      const step = await nextStep(parts, working);
      if (step.kind === "end") {
        if (step.answer !== undefined) await launcher.keepAnswer(worker, step.answer);
        await tellStatus(parts, order, step.status, step.reason);
        return answerOf(order, step.status, step.reason, step.answer);
      }
      const running = step.kind === "adopt" ? await adopt(parts, order) : await launch(parts, order, step);
      if (running !== undefined) await watch(parts, working, running);
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const reason = describe(error);
    await tellStatus(parts, order, "failed", reason);
    return answerOf(order, "failed", reason, undefined);
  } finally {
    all.delete(worker);
  }
}

/** What is next for a worker follows from what was told of it: a supervisor that comes after a kill decides the same. */
async function nextStep(parts: SupervisorParts, { order, verdict }: Working): Promise<Step> {
  const record = parts.state.workers.get(order.worker);
  // After a stop its worktree is a new one, and a session would know nothing of that.
  if (record === undefined || record.launch === null || record.status === "stopped") {
    return { kind: "launch", prompt: order.prompt, resume: null, nudgesTold: record?.nudges.length ?? 0 };
  }
  const { exit } = record;
  if (exit === null) return { kind: "adopt" };
  const file = await parts.launcher.readAnswer(order.worker);
  const said = exit.outcome === "completed" ? exit.text : undefined;
  // A file may be one of an earlier attempt.
  const answer = [file, said].find((text) => problemWith(order, text) === undefined) ?? said ?? file;
  const problem = problemWith(order, answer);
  const wanted = untold(record).find(({ kept }) => kept !== true);

  if (problem === undefined && wanted?.control === undefined) {
    const reason = exit.outcome === "completed" ? "" : `it had answered before its end: ${clip(exit.text)}`;
    return { kind: "end", status: "finished", reason, answer };
  }
  if (verdict !== undefined) return { kind: "end", ...verdict, answer };
  if (usedMs(record, parts.now()) >= parts.settings.workerTimeoutMs) {
    return { kind: "end", status: "timeout", reason: timeoutReason(parts), answer };
  }
  if (wanted !== undefined) return goOn(parts, order, { text: wanted.text, isNew: wanted.action === "restarted" });
  if (exit.outcome === "stopped") return goOn(parts, order, { text: CUT_OFF, isNew: false });

  const isAnswered = exit.outcome === "completed";
  const reason = isAnswered
    ? `its answer cannot be used: ${problem}`
    : clip(`${exit.cause ?? exit.outcome}: ${exit.text}`);
  const isLost = exit.cause === "arguments" && record.launch.resumes !== null;
  if (!isLost && !mayRestart(record, exit.cause)) return { kind: "end", status: "failed", reason, answer };
  const text = isLost
    // What it was to be told in the session that is not there.
    ? String(record.launch.prompt)
    : isAnswered
    ? `Your answer cannot be used: ${problem}. Give all of it again, in the way that was asked for.`
    : CUT_OFF;
  await parts.publish({
    type: "worker.nudged",
    data: { worker: order.worker, action: "restarted", reason, text, ...(exit.cause && { cause: exit.cause }) },
  });
  return goOn(parts, order, { text, isNew: !isAnswered && exit.cause !== "network" });
}

function mayRestart(record: RunWorker, cause: FailureCause | null): boolean {
  if (ADJUSTED.includes(cause)) return !record.nudges.some((one) => one.cause === cause);
  return MAY_PASS.includes(cause) && restarts(record) < RESTARTS;
}

/** In the agent's own session, where there is one; else from the beginning, and told it behind the task. */
function goOn(
  { state, launcher }: SupervisorParts,
  { worker, prompt }: WorkerOrder,
  { text, isNew }: { readonly text: string; readonly isNew: boolean },
): Step {
  const record = state.workers.get(worker)!;
  // What it could not be told while it ran.
  const kept = untold(record).flatMap((one) => one.kept === true ? [one.text] : []);
  const resume = !isNew && launcher.canResume(record.launch!.agent) ? record.cliSession : null;
  const notes = [text, ...kept].filter((note) => resume !== null || note !== CUT_OFF);
  const parts = resume === null ? [prompt, ...notes] : notes;
  return { kind: "launch", prompt: parts.join("\n\n"), resume, nudgesTold: record.nudges.length };
}

async function launch(
  parts: SupervisorParts,
  order: WorkerOrder,
  { prompt, resume, nudgesTold }: Extract<Step, { kind: "launch" }>,
): Promise<RunningWorker | undefined> {
  const { state, launcher, publish } = parts;
  const { worker } = order;
  const record = state.workers.get(worker);
  const isAgain = record !== undefined && record.launch !== null && record.status !== "stopped";
  const attempt = (record?.launch?.attempt ?? 0) + 1;
  const launchOrder = {
    order,
    agent: record?.launch?.agent,
    attempt,
    prompt,
    resume,
    usedBefore: resume === null ? undefined : sessionUsage(record!),
    causes: record?.nudges.flatMap(({ cause }) => failureCauses.find((one) => one === cause) ?? []) ?? [],
    // What was before a stop is over.
    spentBeforeMs: isAgain ? usedMs(record, parts.now()) : 0,
    nudgesTold,
  };
  if (record?.status !== "running") await tellStatus(parts, order, "running", "");
  try {
    return await launcher.launch(launchOrder, hooksOf(parts, worker));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // What failed before it was told as a launch would be tried for ever.
    if (state.workers.get(worker)?.launch?.attempt !== attempt) throw error;
    const text = describe(error);
    await publish({
      type: "worker.exited",
      data: { ...lostExit({ worker, attempt }, text), outcome: "failed", cause: "start" },
    });
    return undefined;
  }
}

async function adopt(parts: SupervisorParts, order: WorkerOrder): Promise<RunningWorker | undefined> {
  const { worker } = order;
  const { launch, process, toldUntil } = parts.state.workers.get(worker)!;
  const former = { order, launch: launch!, process, toldUntil };
  const running = await parts.launcher.adopt(former, hooksOf(parts, worker));
  if (running !== undefined) return running;
  const text = "its process was gone when a new supervisor looked for it";
  await parts.publish({ type: "worker.exited", data: lostExit({ worker, attempt: launch!.attempt }, text) });
  return undefined;
}

/** To the end of the attempt, which is told. */
async function watch(parts: SupervisorParts, working: Working, running: RunningWorker): Promise<void> {
  const { state, settings, signal, publish, now } = parts;
  const { worker } = working.order;
  const { attempt } = state.workers.get(worker)!.launch!;
  const startMs = now();
  let last = { cpuAtMs: startMs, cpuMs: running.cpuMs(), signMs: startMs };
  const stop = () => {
    // Its end tells.
    running.stop().catch(() => {});
  };
  const look = () => {
    const nowMs = now();
    if (usedMs(state.workers.get(worker)!, nowMs) >= settings.workerTimeoutMs) {
      working.verdict ??= { status: "timeout", reason: timeoutReason(parts) };
      return stop();
    }
    const cpuMs = running.cpuMs();
    const spanMs = nowMs - last.cpuAtMs;
    if (spanMs >= CPU_SPAN_MS) {
      const isComputing = cpuMs - last.cpuMs > IDLE_CPU_SHARE * spanMs;
      last = { cpuAtMs: nowMs, cpuMs, signMs: isComputing ? nowMs : last.signMs };
    }
    if ([...state.calls.values()].some((call) => call.worker === worker)) last.signMs = nowMs;
    const silentMs = nowMs - Math.max(last.signMs, running.lastOutputMs());
    if (silentMs < settings.stallMs || isEnding(parts, working)) return;
    escalate(parts, working, `no output, no model call and no work for ${Math.round(silentMs / 1000)} s`);
    stop();
  };
  const clock = setInterval(look, settings.pollIntervalMs);
  signal.addEventListener("abort", stop);
  working.running = running;
  // A former supervisor may have wanted that.
  if (signal.aborted || isEnding(parts, working)) stop();
  try {
    const { process, result } = await running.ended;
    const durationMs = process.durationMs || now() - startMs;
    await publish({
      type: "worker.exited",
      data: exitOf({ worker, attempt }, { process: { ...process, durationMs }, result }),
    });
  } finally {
    working.running = undefined;
    clearInterval(clock);
    signal.removeEventListener("abort", stop);
  }
}

/** Whether it was told to end already. */
function isEnding({ state }: SupervisorParts, { order, verdict }: Working): boolean {
  return verdict !== undefined || untold(state.workers.get(order.worker)!).some(({ kept }) => kept !== true);
}

/** First it is nudged, where its session can go on; then started again; then it has failed. */
function escalate({ state, launcher, publish }: SupervisorParts, working: Working, reason: string): void {
  const { worker } = working.order;
  const record = state.workers.get(worker)!;
  const isNudged = record.nudges.some(({ action, control }) => action === "nudged" && control === undefined);
  const action = launcher.canResume(record.launch!.agent) && !isNudged
    ? "nudged"
    : restarts(record) < RESTARTS
    ? "restarted"
    : undefined;
  if (action === undefined) working.verdict = { status: "failed", reason: `it stalled again: ${reason}` };
  else publish({ type: "worker.nudged", data: { worker, action, reason, text: NUDGE } }).catch(() => {});
}

function tell({ state, launcher, publish }: SupervisorParts, working: Working, { control, text, by }: Message): string {
  const { order: { worker }, running } = working;
  const agent = state.workers.get(worker)?.launch?.agent;
  const canGoOn = running !== undefined && agent !== undefined && launcher.canResume(agent);
  const data = { worker, action: "nudged", reason: `told by ${by}`, text, control, kept: !canGoOn } as const;
  publish({ type: "worker.nudged", data }).catch(() => {});
  if (!canGoOn) {
    return running === undefined
      ? `${worker} is between two attempts, and is told when it starts`
      : `${worker} (${agent}) cannot be told anything while it works: it is told when it is started again`;
  }
  running.stop().catch(() => {});
  return `${worker} (${agent}) is told, and goes on with it`;
}

/** Those that the attempt under way knows nothing of. */
function untold({ launch, nudges }: RunWorker): RunWorker["nudges"] {
  return nudges.slice(Number(launch?.nudges_told ?? 0));
}

/** Those for which the worker itself is to blame. */
function restarts({ nudges }: RunWorker): number {
  const isOwn = (cause: unknown) => cause !== "arguments" && !ADJUSTED.some((one) => one === cause);
  return nudges.filter(({ action, cause }) => action === "restarted" && isOwn(cause)).length;
}

/** Milliseconds that its attempts have worked. Time in which nobody supervised it counts as long as it ran. */
function usedMs({ launch, process, exit }: RunWorker, nowMs: number): number {
  const before = Number(launch?.spent_before_ms ?? 0);
  if (exit !== null) return before + exit.duration_seconds * 1000;
  return before + (process === null ? 0 : Math.max(nowMs - process.started_ms, 0));
}

const timeoutReason = ({ settings }: SupervisorParts) =>
  `it took more than ${Math.round(settings.workerTimeoutMs / 1000)} s`;

/** What the session that the last attempt was in has used; undefined: not known. */
function sessionUsage({ launch, exit }: RunWorker): Usage | undefined {
  const own = exit?.tokens;
  if (own == null) return undefined;
  const usage = { input: own.input, cacheRead: own.cache_read, cacheWrite: own.cache_write, output: own.output };
  const before = launch?.used_before as Usage | undefined;
  if (before === undefined) return launch?.resumes === null ? { ...usage, reasoning: own.reasoning } : undefined;
  return {
    input: before.input + usage.input,
    cacheRead: before.cacheRead + usage.cacheRead,
    cacheWrite: before.cacheWrite + usage.cacheWrite,
    output: before.output + usage.output,
    reasoning: before.reasoning + own.reasoning,
  };
}

/** Undefined: the answer can be used. */
function problemWith(order: WorkerOrder, answer: string | undefined): string | undefined {
  if (answer === undefined) return "there is none";
  const objects = objectsIn(answer);
  return objects.length === 0 ? "there is no JSON object in it" : order.problemWith?.(objects);
}

function answerOf(
  { worker, role }: WorkerOrder,
  status: WorkerAnswer["status"],
  reason: string,
  answer: string | undefined,
): WorkerAnswer {
  return { worker, role, status, reason, objects: answer === undefined ? [] : objectsIn(answer) };
}

function objectsIn(answer: string): Record<string, unknown>[] {
  try {
    const whole: unknown = JSON.parse(answer);
    // Some put the one object into a list.
    const values = Array.isArray(whole) ? whole : [whole];
    return values.filter((value) => typeof value === "object" && value !== null && !Array.isArray(value));
  } catch {
    return jsonObjects(answer);
  }
}

/** What cannot be taken away is told, and stays. */
async function release({ launcher, publish }: SupervisorParts, order: WorkerOrder): Promise<void> {
  const { worker } = order;
  try {
    const saved = await launcher.release(order);
    if (saved === undefined) return;
    const { ref, commit, files } = saved;
    await publish({ type: "work.saved", data: { worker, ref, commit, files, reason: "its worktree is taken away" } });
  } catch (error) {
    await publish({ type: "log", data: { level: "warning", content: messageOf(error) } });
  }
}

async function tellStatus(
  { state, publish }: SupervisorParts,
  { worker, role }: WorkerOrder,
  status: WorkerStatus,
  reason: string,
): Promise<void> {
  if (state.workers.get(worker)?.status === status) return;
  await publish({ type: "worker.status", data: { worker, role, status, reason } });
}

function hooksOf({ publish }: SupervisorParts, worker: string): WorkerHooks {
  // Recorded when this returns.
  const state = (fact: EventFact) => void publish(fact).catch(() => {});
  return {
    onLaunched: (data: EventData<"worker.launched">) => state({ type: "worker.launched", data }),
    onStarted: (data: EventData<"worker.started">) => state({ type: "worker.started", data }),
    // Waited for: a flood of events goes no faster than those who listen.
    onEvent: (event, offset) => publish({ type: "worker.event", data: { worker, offset, event } }),
  };
}

const describe = ({ message, hints }: Failure) => [message, ...hints].join("; ");

function clip(text: string): string {
  return text.length <= MAX_REASON ? text : `${text.slice(0, MAX_REASON - 1)}…`;
}
