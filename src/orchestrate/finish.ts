/** The end of a session: branches are merged, the result is checked, and what was done is told. */
import type { EventData } from "../events/event.ts";
import type { SessionStatus, TaskStatus } from "../events/session_events.ts";
import { exitCodeOf, Interrupt, messageOf } from "../failure.ts";
import type { Worktree } from "./ports.ts";
import { conflictPrompt, verifyPrompt } from "./prompts.ts";
import { keepReview } from "./review_round.ts";
import { type Runtime, SessionEnds } from "./runtime.ts";
import { costOf, leavesResultAlone, type TaskState } from "./session.ts";
import { finalReport } from "./synthesis.ts";
import { runMended, targetOf } from "./task_work.ts";

const EXIT_NEEDS_INPUT = 75;
const MAX_OUTPUT = 8000;

interface Result {
  readonly status: SessionStatus;
  readonly reason: string;
  readonly branch: string | null;
  readonly commit: string | null;
  readonly applied: boolean;
  readonly open: string[];
}

/** Never rejects. */
export async function finishSession(
  runtime: Runtime,
  { onWorkerEvent }: { onWorkerEvent(event: EventData<"worker.event">): void },
): Promise<EventData<"session.finished">> {
  const { state, settings, ports } = runtime;
  let result: Result;
  try {
    result = runtime.ending === undefined ? await bringTogether(runtime, onWorkerEvent) : endedEarly(runtime);
  } catch (error) {
    const failed = { status: "failed" as const, reason: messageOf(error) };
    if (!(error instanceof SessionEnds) && runtime.ending === undefined) runtime.end(failed.status, failed.reason);
    result = endedEarly(runtime);
  }
  const problems = await keepWork(runtime, { isDone: result.status === "done" });
  for (const data of ports.spending()) runtime.tell({ type: "spending.counted", data });
  const { status, reason, branch, commit, applied, open } = result;
  const data: EventData<"session.finished"> = {
    status,
    exit_code: exitCode(status, ports.signal),
    summary: reason,
    result_branch: branch,
    result_commit: commit,
    applied,
    report: `${settings.folder}/final.md`,
    cost_usd: costOf(state),
    duration_seconds: Math.round((ports.now() - Date.parse(state.startedAt)) / 100) / 10,
    open: [...open, ...problems],
  };
  try {
    // Those of a supervisor that was killed when it had decided may be missing.
    for (const review of state.reviews.values()) if (review.decision !== null) await keepReview(runtime, review);
    await ports.writeFile("decisions.json", JSON.stringify(state.decisions, null, 2) + "\n");
    await ports.writeFile("final.md", finalReport(state, data));
  } catch (error) {
    data.report = null;
    data.open.push(messageOf(error));
  }
  runtime.tell({ type: "session.finished", data });
  return data;
}

function exitCode(status: SessionStatus, signal: AbortSignal): number {
  if (status === "done") return 0;
  if (status === "needs_input") return EXIT_NEEDS_INPUT;
  return status === "interrupted" && signal.reason instanceof Interrupt ? exitCodeOf(signal.reason) : 1;
}

function endedEarly(runtime: Runtime): Result {
  const { status, reason } = runtime.ending!;
  const open = [...runtime.state.tasks.values()].filter((task) => task.status !== "done").map((task) =>
    `${task.assignment.title} (${task.assignment.id}): ${OPEN_WORDS[task.status]}`
  );
  return { status, reason, branch: null, commit: null, applied: false, open };
}

const OPEN_WORDS: Readonly<Record<TaskStatus, string>> = {
  pending: "not begun",
  running: "cut off",
  done: "done",
  failed: "failed",
  skipped: "left out",
};

async function bringTogether(
  runtime: Runtime,
  onWorkerEvent: (event: EventData<"worker.event">) => void,
): Promise<Result> {
  const { state, settings, ports: { repository } } = runtime;
  const open: string[] = [];
  const tasks = [...state.tasks.values()];
  const failed = tasks.filter(({ status }) => status !== "done");
  for (const task of failed) open.push(`${task.assignment.title} (${task.assignment.id}) failed: ${task.reason}`);
  for (const task of tasks) {
    if (task.status === "done" && task.reason.startsWith("finished with a warning")) {
      open.push(`${task.assignment.title}: ${task.reason}`);
    }
  }
  let worktree: Worktree | undefined;
  let conflicts = 0;
  if (repository !== undefined && !settings.shared) {
    runtime.setStatus("merging", "");
    worktree = await resultWorktree(runtime);
    for (const task of tasks) {
      if (task.status !== "done" || task.commit === null || !task.assignment.writes) continue;
      const outcome = await mergeTask(runtime, worktree, task, onWorkerEvent);
      if (outcome.outcome !== "conflict") continue;
      conflicts++;
      open.push(
        `Conflict: ${outcome.branch} is not in the result; both sides are kept (${outcome.files.join(", ")})`,
      );
    }
  }
  const cwd = worktree?.path ?? settings.target;
  const verified = settings.verify === undefined
    ? undefined
    : await verify(runtime, settings.verify, { cwd, worktree, onWorkerEvent });
  if (verified === false) open.push(`The check fails: ${settings.verify}`);
  const unapproved = verified === true ? [] : tasks.filter((task) => !isApproved(runtime, task));
  for (const task of unapproved) open.push(`Nobody has approved "${task.assignment.title}"`);
  const lost = failed.filter((task) => task.assignment.writes && verified !== true);
  const status: SessionStatus = conflicts > 0 || verified === false || lost.length > 0 || unapproved.length > 0 ||
      tasks.every((task) => task.status !== "done")
    ? "failed"
    : "done";
  const commit = worktree && await repository!.headOf(worktree);
  const isNew = commit !== undefined && commit !== state.start!.base_commit;
  const wants = status === "done" && isNew && settings.apply;
  const { branch } = state.start!;
  // Somebody may have gone to another branch meanwhile, which the result is not for.
  const isElsewhere = wants && (await repository!.head()).branch !== branch;
  const applied = wants && !isElsewhere && await repository!.fastForward(commit);
  if (isElsewhere) {
    open.push(
      `The target is not on ${branch ?? "its former commit"} any more, and was left alone; take the result there ` +
        `with: git merge ${worktree!.branch}`,
    );
  } else if (wants && !applied) {
    open.push(
      "The target has changes of its own, and was left alone; the result begins with them as they were: " +
        `commit them, and take it with: git merge ${worktree!.branch}`,
    );
  }
  const reason = status === "done"
    ? verified === true
      ? "done, and the check passes"
      : isNew || worktree === undefined
      ? "done, and approved by review"
      : "done without a change, and approved by review"
    : open[0] ?? "nothing was done";
  return { status, reason, branch: isNew ? worktree!.branch : null, commit: isNew ? commit : null, applied, open };
}

/** Without a check, what changes files needs a review that approves, and none that was worse than a warning. */
function isApproved({ state }: Runtime, task: TaskState): boolean {
  if (task.status !== "done" || !task.assignment.writes) return true;
  if (leavesResultAlone(state, task)) return true;
  const review = [...state.reviews.values()].findLast((one) =>
    one.task === task.assignment.id && one.trigger === "completion"
  );
  const action = review?.decision?.action;
  return action === "CONTINUE" ||
    action === "LOG_WARNING" && review!.answers.some(({ verdict }) => verdict === "approved");
}

async function resultWorktree(runtime: Runtime): Promise<Worktree> {
  const { state, settings, ports } = runtime;
  const path = `${settings.folder}/worktrees/_result`;
  const branch = `gocore/${settings.sessionId}/result`;
  return await ports.repository!.findWorktree(path) ??
    await ports.repository!.addWorktree({ path, branch, base: state.start!.base_commit! });
}

async function mergeTask(
  runtime: Runtime,
  worktree: Worktree,
  task: TaskState,
  onWorkerEvent: (event: EventData<"worker.event">) => void,
): Promise<EventData<"merge.ended">> {
  const { ports: { repository, launcher }, settings } = runtime;
  const { id, title } = task.assignment;
  const branch = `gocore/${settings.sessionId}/${id}`;
  const tell = (data: Omit<EventData<"merge.ended">, "task" | "branch">): EventData<"merge.ended"> => {
    const fact = { task: id, branch, ...data } as EventData<"merge.ended">;
    runtime.tell({ type: "merge.ended", data: fact });
    return fact;
  };
  const message = `Merge "${title}"`;
  // What a conflict that was being resolved has left, when a former supervisor died.
  await repository!.abortMerge(worktree);
  const merged = await repository!.merge(worktree, task.commit!, message);
  if (merged.kind === "nothing") return tell({ outcome: "nothing", files: [], commit: null });
  if (merged.kind === "merged") return tell({ outcome: "merged", files: [...merged.files], commit: merged.commit });
  const agent = [runtime.state.workers.get(task.worker!)?.agent, ...launcher.ready()].find((one) =>
    one !== undefined && launcher.ready().includes(one)
  );
  const files = [...merged.files];
  if (agent === undefined) return tell({ outcome: "conflict", files, commit: null });
  await repository!.beginMerge(worktree, task.commit!);
  const prompt = conflictPrompt({ task: settings.task, files, branch });
  const isDone = await helperRun(runtime, { worker: `merge-${id}`, agent, prompt, worktree, onWorkerEvent });
  const finished = isDone ? await repository!.finishMerge(worktree, message) : undefined;
  if (finished?.kind === "merged") {
    return tell({ outcome: "resolved", files: [...finished.files], commit: finished.commit });
  }
  await repository!.abortMerge(worktree);
  return tell({ outcome: "conflict", files, commit: null });
}

/** A check that fails is given to an agent once. */
async function verify(runtime: Runtime, command: string, { cwd, worktree, onWorkerEvent }: {
  readonly cwd: string;
  readonly worktree: Worktree | undefined;
  readonly onWorkerEvent: (event: EventData<"worker.event">) => void;
}): Promise<boolean> {
  const { ports, settings } = runtime;
  runtime.setStatus("verifying", command);
  const check = async () => {
    const { exitCode, output, durationMs } = await ports.verify(command, cwd, runtime.signal);
    runtime.signal.throwIfAborted();
    const data = {
      command,
      exit_code: exitCode,
      output: output.slice(-MAX_OUTPUT),
      duration_seconds: Math.round(durationMs) / 1000,
    };
    runtime.tell({ type: "verify.ended", data });
    return data;
  };
  const first = await check();
  if (first.exit_code === 0) return true;
  const [agent] = ports.launcher.ready();
  if (agent === undefined || runtime.state.workers.has("repair")) return false;
  const prompt = verifyPrompt({ task: settings.task, command, output: first.output });
  const target = worktree ?? (ports.repository && targetOf(runtime));
  const isDone = await helperRun(runtime, { worker: "repair", agent, prompt, worktree: target, onWorkerEvent });
  if (!isDone) return false;
  if (worktree !== undefined) await ports.repository!.commitAll(worktree, "Mend what the check of the result found");
  return (await check()).exit_code === 0;
}

/** Somebody who helps with the result; whether it says that it did. */
async function helperRun(runtime: Runtime, { worker, agent, prompt, worktree, onWorkerEvent }: {
  readonly worker: string;
  readonly agent: string;
  readonly prompt: string;
  readonly worktree: Worktree | undefined;
  readonly onWorkerEvent: (event: EventData<"worker.event">) => void;
}): Promise<boolean> {
  const exit = await runMended(runtime, {
    worker,
    agent,
    task: null,
    review: null,
    prompt,
    workdir: worktree?.path ?? runtime.settings.target,
    branch: worktree?.branch ?? null,
    readOnly: false,
    resume: null,
    usedBefore: undefined,
  }, onWorkerEvent);
  return exit.outcome === "completed";
}

/**
 * Nothing that was done is lost: what is in no branch is kept under a ref; folders go only when the session is done.
 * Returns what could not be kept so, and stays in its folder.
 */
async function keepWork(runtime: Runtime, { isDone }: { isDone: boolean }): Promise<string[]> {
  const { settings, ports: { repository } } = runtime;
  if (repository === undefined || settings.shared) return [];
  const folders = [...runtime.state.tasks.values()].filter(({ status }) => status !== "pending")
    .map((task) => ({ id: task.assignment.id, worker: task.worker ?? task.assignment.id }));
  const problems: string[] = [];
  for (const { id, worker } of [...folders, { id: "_result", worker: "result" }]) {
    try {
      const worktree = await repository.findWorktree(`${settings.folder}/worktrees/${id}`);
      if (worktree === undefined) continue;
      const ref = `refs/gocore/saved/${settings.sessionId}/${id}`;
      // What is committed has its branch; whose agent has left it without a commit has more to be kept.
      const state = { ...worktree, base: await repository.headOf(worktree).catch(() => worktree.base) };
      const saved = isDone ? await repository.removeWorktree(state, ref) : await repository.save(state, ref);
      if (saved === undefined) continue;
      const { commit, files } = saved;
      const reason = isDone ? "its folder was removed" : "the session has ended";
      runtime.tell({ type: "work.saved", data: { worker, ref: saved.ref, commit, files, reason } });
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  return problems;
}
