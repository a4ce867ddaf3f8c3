/** Carries out one task: step after step, each following from the state. */
import type { EventData } from "../events/event.ts";
import type { FailureCause } from "../events/session_events.ts";
import { type AttemptReason, nextStep, STALLED } from "./next_step.ts";
import type { LaunchOrder, Worktree } from "./ports.ts";
import { feedbackPrompt, limitPrompt, nudgePrompt, taskPrompt } from "./prompts.ts";
import { type Adjustment, adjustmentFor, keepsSession, remedyFor } from "./recovery.ts";
import { issueText } from "./review.ts";
import type { Runtime } from "./runtime.ts";
import type { ReviewState, SessionState, TaskState, WorkerState } from "./session.ts";

export interface TaskServices {
  /** Looks at the work of an attempt, and decides; ends when the decision is made. */
  reviewCompletion(task: TaskState, worker: WorkerState, review: ReviewState | undefined): Promise<void>;
  /** Told of everything that the worker says. */
  onWorkerEvent(event: EventData<"worker.event">): void;
}

/** To the end of the task. Throws `SessionEnds` when the session ends before. */
export async function carryOut(runtime: Runtime, id: string, services: TaskServices): Promise<void> {
  const { state, settings } = runtime;
  for (;;) {
    runtime.signal.throwIfAborted();
    const task = state.tasks.get(id)!;
    if (task.status !== "running") return;
    const step = nextStep(state, task, settings);
    switch (step.kind) {
      case "attempt":
        await pauseUntil(runtime, step.notBeforeMs);
        await attempt(runtime, task, step.attempt, step.because, services);
        break;
      case "adopt":
        await runtime.adopt(task.worker!, services.onWorkerEvent);
        break;
      case "commit":
        await commit(runtime, task, step.attempt);
        break;
      case "review":
        await services.reviewCompletion(task, state.workers.get(task.worker!)!, step.review);
        break;
      case "recover":
        recover(runtime, {
          worker: state.workers.get(step.exit.worker)!,
          cause: step.exit.cause ?? "crashed",
          text: step.exit.text,
        });
        break;
      case "ask":
        runtime.tell({
          type: "question.asked",
          data: {
            question: `q${state.questions.size + 1}`,
            text: step.text,
            worker: task.worker,
            task: id,
            decision: step.about,
          },
        });
        break;
      case "wait":
        await waitForAnswer(runtime, step.question, { stops: step.stops });
        break;
      case "reassign":
        reassign(runtime, task, step.reason);
        break;
      case "done":
        change(runtime, task, { status: "done", reason: step.reason });
        break;
    }
  }
}

/** The folder and branch of a task; made when it is not there yet. Undefined where workers share the target. */
export async function worktreeOf(runtime: Runtime, task: TaskState): Promise<Worktree | undefined> {
  const { repository } = runtime.ports;
  const { settings, state } = runtime;
  if (repository === undefined || settings.shared) return undefined;
  const path = `${settings.folder}/worktrees/${task.assignment.id}`;
  const found = await repository.findWorktree(path);
  if (found !== undefined) return found;
  const commits = needed(runtime, task).flatMap(({ commit }) => commit === null ? [] : [commit]);
  const base = commits[0] ?? state.start!.base_commit!;
  const branch = `gocore/${settings.sessionId}/${task.assignment.id}`;
  const worktree = await repository.addWorktree({ path, branch, base });
  for (const other of commits.slice(1)) {
    const merged = await repository.merge(worktree, other, `Merge what "${task.assignment.id}" builds on`);
    if (merged.kind !== "conflict") continue;
    const content = `${task.assignment.id} begins without ${other}: conflicts in ${merged.files.join(", ")}`;
    runtime.tell({ type: "log", data: { level: "warning", content } });
  }
  return worktree;
}

/** The target as a worktree to look at, where workers share it. */
export function targetOf(runtime: Runtime): Worktree {
  const { base_commit } = runtime.state.start!;
  return { path: runtime.ports.repository!.root, branch: "", base: base_commit! };
}

/** What a task's work is compared with. */
export function baseOf(runtime: Runtime, task: TaskState): string {
  const commits = needed(runtime, task).flatMap(({ commit }) => commit === null ? [] : [commit]);
  return commits[0] ?? runtime.state.start!.base_commit!;
}

function needed(runtime: Runtime, task: TaskState): TaskState[] {
  return task.assignment.depends_on.map((id) => runtime.state.tasks.get(id)!);
}

/** Gives a task to an agent: the one that is planned, or who else is free and has not tried. Undefined: nobody is left. */
export function chooseAgent(runtime: Runtime, task: TaskState, tried: ReadonlySet<string>): string | undefined {
  const ready = runtime.ports.launcher.ready().filter((agent) => !tried.has(agent));
  const planned = task.assignment.agent;
  if (planned !== null && ready.includes(planned)) return planned;
  const busy = new Set<string>();
  for (const other of runtime.state.tasks.values()) {
    if (other.status === "running" && other.agent !== null) busy.add(other.agent);
  }
  return ready.find((agent) => !busy.has(agent)) ?? ready[0];
}

/** `claude`, or `claude-2` when another task has had that name. */
export function workerName(runtime: Runtime, agent: string): string {
  const taken = new Set([...runtime.state.workers.keys()]);
  for (const { worker } of runtime.state.tasks.values()) if (worker !== null) taken.add(worker);
  for (let number = 1;; number++) {
    const name = number === 1 ? agent : `${agent}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/**
 * Runs somebody who has no task: a reviewer, a planner, who mends the result. Once more, and changed, after a failure
 * that can be mended; the last end counts. Throws `SessionEnds`.
 */
export async function runMended(
  runtime: Runtime,
  order: Omit<LaunchOrder, "attempt" | "adjustment">,
  onEvent: (event: EventData<"worker.event">) => void,
): Promise<EventData<"worker.exited">> {
  const { state } = runtime;
  for (;;) {
    const attempt = (state.workers.get(order.worker)?.launch.attempt ?? 0) + 1;
    const exit = await runtime.run({ ...order, attempt, adjustment: adjustmentOf(state, order.worker) }, onEvent);
    runtime.signal.throwIfAborted();
    if (exit.outcome !== "failed") return exit;
    recover(runtime, { worker: state.workers.get(order.worker)!, cause: exit.cause ?? "crashed", text: exit.text });
    runtime.signal.throwIfAborted();
    const { outcome, timestamp, waitSeconds } = state.recoveries.at(-1)!;
    if (outcome !== "relaunched") return exit;
    await sleepUntil(runtime, Date.parse(timestamp) + waitSeconds * 1000);
  }
}

/** What the failures of a worker have changed about its next launch. */
function adjustmentOf({ recoveries }: SessionState, worker: string): Adjustment {
  const remedies = recoveries.filter((one) => one.worker === worker && one.outcome === "relaunched");
  return Object.assign({}, ...remedies.map(({ cause }) => adjustmentFor(cause)));
}

async function sleepUntil(runtime: Runtime, timeMs: number): Promise<void> {
  const timeoutMs = timeMs - runtime.ports.now();
  if (timeoutMs > 0) await runtime.until(() => undefined, { timeoutMs });
}

async function pauseUntil(runtime: Runtime, notBeforeMs: number): Promise<void> {
  await sleepUntil(runtime, notBeforeMs);
  await runtime.until(() => runtime.isHeld ? undefined : true);
}

async function attempt(
  runtime: Runtime,
  task: TaskState,
  number: number,
  because: AttemptReason,
  services: TaskServices,
): Promise<void> {
  const { state, settings, ports: { launcher } } = runtime;
  const name = task.worker!;
  const worker = state.workers.get(name);
  const agent = task.agent!;
  const worktree = await worktreeOf(runtime, task);
  const session = worker?.cliSession ?? null;
  const wantsResume = because.kind === "recovered" ? keepsSession(because.cause) : because.kind !== "first";
  const resume = wantsResume && launcher.canResume(agent) ? session : null;
  await runtime.run({
    worker: name,
    agent,
    task: task.assignment.id,
    review: null,
    attempt: number,
    prompt: await promptFor(runtime, task, because, { worktree, worker, isResumed: resume !== null }),
    workdir: worktree?.path ?? settings.target,
    branch: worktree?.branch ?? null,
    // Who shares the target may not write where nobody would find out.
    readOnly: !task.assignment.writes && worktree === undefined,
    resume,
    usedBefore: resume === null ? undefined : worker?.sessionUsage,
    adjustment: adjustmentOf(state, name),
  }, services.onWorkerEvent);
}

async function promptFor(
  runtime: Runtime,
  task: TaskState,
  because: AttemptReason,
  { worktree, worker, isResumed }: {
    worktree: Worktree | undefined;
    worker: WorkerState | undefined;
    isResumed: boolean;
  },
): Promise<string> {
  const { state, settings, ports: { repository } } = runtime;
  const whole = async (reason: string | undefined): Promise<string> => {
    const changes = worktree && reason !== undefined
      ? await repository!.changes(worktree, { since: baseOf(runtime, task), maxBytes: 0 })
      : undefined;
    return taskPrompt({
      task: settings.task,
      assignment: task.assignment,
      results: needed(runtime, task).map((one) => {
        const author = one.worker === null ? undefined : state.workers.get(one.worker);
        return {
          title: one.assignment.title,
          agent: author?.agent ?? "nobody",
          text: one.status === "done" ? author?.exit?.text ?? "" : one.reason,
          missing: one.status !== "done",
        };
      }),
      former: reason === undefined ? undefined : {
        reason,
        files: changes?.files.map(({ path }) => path) ?? [],
        said: worker?.exit?.text ?? worker?.lastText ?? "",
      },
      isShared: worktree === undefined,
    });
  };
  const own = `${task.assignment.prompt}\n\n${settings.task}`;
  switch (because.kind) {
    case "first": {
      // A task that was given to another agent before has its work in the folder already.
      const former = [...state.workers.values()].findLast((one) => one.task === task.assignment.id);
      return await whole(former === undefined ? undefined : `${former.agent} did not get further`);
    }
    case "cut_off":
      return isResumed ? `You were cut off (${because.reason}). Go on with your task.` : await whole(because.reason);
    case "recovered":
      if (because.cause === "no_answer" && isResumed) {
        return "End with your final message: what you did, and what is open.";
      }
      return isResumed
        ? "You were cut off by a failure that is over now. Go on with your task."
        : await whole(because.cause);
    case "nudge":
      return isResumed
        ? nudgePrompt(because.reason)
        : `${await whole(because.reason)}\n\n${nudgePrompt(because.reason)}`;
    case "limit": {
      const found = /more (cpu|memory|time) .*?: ([\d.]+) (.+), at most ([\d.]+)/.exec(because.exit.text);
      const note = found === null ? because.exit.text : limitPrompt(found[1] as "cpu" | "memory" | "time", {
        found: Number(found[2]),
        unit: found[3]!,
        allowed: Number(found[4]),
      });
      return isResumed ? note : `${await whole("a resource limit")}\n\n${note}`;
    }
    case "feedback": {
      const review = because.review?.answers.filter(({ verdict }) => verdict !== null && verdict !== "approved")
        .map((answer) => ({ reviewer: answer.reviewer, text: answerText(answer) })) ?? [];
      return feedbackPrompt({ review, answer: because.answer, isResumed, task: own });
    }
  }
}

export function answerText({ verdict, summary, issues, recommendations }: EventData<"review.answered">): string {
  return [
    `${verdict ?? "no verdict"}: ${summary}`,
    ...issues.map((issue) => `- ${issueText(issue)}`),
    ...recommendations.map((text) => `* ${text}`),
  ].join("\n");
}

async function commit(runtime: Runtime, task: TaskState, attempt: number): Promise<void> {
  const worktree = await worktreeOf(runtime, task);
  const { repository } = runtime.ports;
  if (worktree === undefined) {
    const since = runtime.state.start!.base_commit;
    const changes = repository && since !== null
      ? await repository.changes(targetOf(runtime), { since, maxBytes: 0 })
      : { files: [] };
    return change(runtime, task, { attempt, commit: null, files: changes.files.map(({ path }) => path) });
  }
  const base = baseOf(runtime, task);
  const { id, title, writes } = task.assignment;
  if (writes) await repository!.commitAll(worktree, `${title}\n\nBy ${task.worker} for ${runtime.settings.sessionId}`);
  else {
    const { sessionId } = runtime.settings;
    const saved = await repository!.save(worktree, `refs/gocore/saved/${sessionId}/${id}`);
    if (saved !== undefined) {
      const reason = "it was to change no file, and did";
      runtime.tell({ type: "work.saved", data: { worker: task.worker!, ...saved, reason } });
    }
    return change(runtime, task, { attempt, commit: null, files: [] });
  }
  const { files } = await repository!.changes(worktree, { since: base, maxBytes: 0 });
  const paths = files.map(({ path }) => path);
  const head = await repository!.headOf(worktree);
  change(runtime, task, { attempt, commit: paths.length === 0 ? null : head, files: paths });
  if (paths.length > 0) await foreseeConflicts(runtime, task, head);
}

/** Told as soon as both sides are there, not when everybody has gone home. */
async function foreseeConflicts(runtime: Runtime, task: TaskState, commit: string): Promise<void> {
  const { repository } = runtime.ports;
  for (const other of runtime.state.tasks.values()) {
    if (other === task || other.commit === null || !other.files.some((file) => task.files.includes(file))) continue;
    const files = await repository!.wouldConflict(other.commit, commit);
    if (files.length === 0) continue;
    const data = { task: task.assignment.id, other: other.assignment.id, files: [...files] };
    runtime.tell({ type: "conflict.foreseen", data });
  }
}

/** Decides what is done about a failure, and tells it: the next attempt follows from that. */
export function recover(runtime: Runtime, { worker, cause, text }: {
  readonly worker: WorkerState;
  readonly cause: FailureCause;
  readonly text: string;
}): void {
  const { state, settings, ports: { launcher } } = runtime;
  const { name, agent, launch: { attempt } } = worker;
  if (cause === "budget" && settings.budgetUsd !== undefined && state.budgetIsSpent) {
    // Whoever resumes the session with a larger budget has this agent go on.
    const change = "goes on when the session's budget allows it";
    runtime.tell({
      type: "recovery.attempted",
      data: { worker: name, cause, attempt, change, outcome: "relaunched", suggestions: [], wait_seconds: 0 },
    });
    return runtime.end("budget", `the session's budget of ${settings.budgetUsd} USD does not allow another call`);
  }
  const before = state.recoveries.filter((one) => one.worker === name);
  const remedy = remedyFor({
    agent,
    cause,
    text,
    before: before.filter((one) => one.cause === cause).length,
    beforeAll: before.length,
    isSandboxed: worker.process?.sandbox.enforced ?? false,
    canResume: launcher.canResume(agent),
    resumed: worker.launch.resumes !== null,
  });
  // Who has no task is not waited for.
  const escalated = worker.task === null ? "given_up" : "escalated";
  const outcomes = { relaunch: "relaunched", escalate: escalated, give_up: "given_up" } as const;
  runtime.tell({
    type: "recovery.attempted",
    data: {
      worker: name,
      cause,
      attempt,
      change: remedy.kind === "relaunch" ? remedy.change : remedy.reason,
      outcome: outcomes[remedy.kind],
      suggestions: remedy.kind === "relaunch" ? [] : [...remedy.suggestions],
      wait_seconds: remedy.kind === "relaunch" ? remedy.waitMs / 1000 : 0,
    },
  });
}

/** Holds everybody until the answer is there. Without one in time the session ends, and can be resumed. */
export async function waitForAnswer(
  runtime: Runtime,
  question: { readonly id: string; readonly text: string; readonly askedAt: string },
  { stops }: { stops: boolean },
): Promise<void> {
  const { settings, state } = runtime;
  const firstLine = question.text.split("\n", 1)[0]!;
  if (stops) {
    runtime.end("escalated", firstLine);
    runtime.signal.throwIfAborted();
  }
  runtime.hold(question.id, { status: "needs_input", reason: firstLine });
  // Whoever resumes a session means to answer.
  const sinceMs = Math.max(Date.parse(question.askedAt), runtime.startedMs);
  const timeoutMs = sinceMs + settings.answerTimeoutMs - runtime.ports.now();
  const answer = await runtime.until(() => state.questions.get(question.id)?.answer ?? undefined, { timeoutMs });
  if (answer === undefined) runtime.end("needs_input", `nobody answered in time: ${firstLine}`);
  runtime.signal.throwIfAborted();
  runtime.release(question.id);
}

function reassign(runtime: Runtime, task: TaskState, reason: string): void {
  const agent = chooseAgent(runtime, task, task.triedBy);
  const what = reason.startsWith(STALLED) ? reason : `${task.worker}: ${reason}`;
  if (agent === undefined) return change(runtime, task, { status: "failed", reason: what });
  change(runtime, task, { worker: workerName(runtime, agent), agent, reason: `given to ${agent}, because of ${what}` });
}

/** Tells what is new about a task; the rest stays. */
export function change(
  runtime: Runtime,
  task: TaskState,
  news:
    & { status?: TaskState["status"]; worker?: string; agent?: string; reason?: string }
    & (
      | { attempt: number; commit: string | null; files: readonly string[] }
      | { attempt?: undefined }
    ),
): void {
  const { assignment: { id }, status, worker, agent, reason } = task;
  const work = news.attempt === undefined
    ? { attempt: 0, commit: null, files: [] }
    : { attempt: news.attempt, commit: news.commit, files: [...news.files] };
  runtime.tell({
    type: "task.changed",
    data: {
      task: id,
      status: news.status ?? status,
      worker: news.worker ?? worker,
      agent: news.agent ?? agent,
      reason: news.reason ?? reason,
      ...work,
    },
  });
}
