/** A round of peer review: who looks, what they answer, what is decided. */
import type { EventData } from "../events/event.ts";
import type { ReviewIssue } from "../events/session_events.ts";
import { oneLine } from "../templates/fenced.ts";
import { decide } from "./decide.ts";
import type { Worktree } from "./ports.ts";
import {
  placeText,
  readReviewAnswer,
  repairPrompt,
  type ReviewAnswer,
  reviewPrompt,
  type ReviewQuestion,
} from "./review.ts";
import type { Runtime } from "./runtime.ts";
import type { DecisionState, ReviewState, TaskState, WorkerState } from "./session.ts";
import { baseOf, runMended, targetOf, worktreeOf } from "./task_work.ts";

export type Trigger = EventData<"review.requested">["trigger"];

/** In the prompt: an argument of a program has at most 128 KiB. */
const PROMPT_DIFF_BYTES = 40_000;
const WHOLE_DIFF_BYTES = 8 * 1024 * 1024;
const ATTEMPTS = 2;
const MAX_PLACE = 200;

/** Asks for a review of what a worker has done so far, and decides. Goes on with `review`, when a former one did not end. */
export async function reviewWork(runtime: Runtime, { worker, trigger, reason, review: former }: {
  readonly worker: WorkerState;
  readonly trigger: Trigger;
  readonly reason: string;
  readonly review?: ReviewState;
}): Promise<DecisionState> {
  const { state } = runtime;
  const review = former ?? await request(runtime, { worker, trigger, reason });
  const tree = await checkOut(runtime, review);
  try {
    const question = await questionOf(runtime, review, worker);
    const asked = review.reviewers.filter((agent) => !review.answers.some((answer) => answer.agent === agent));
    const rounds = asked.map((agent) => askReviewer(runtime, { review, agent, question, tree }));
    // All of them, also when the session ends: each has a process to be waited for.
    const ended = await Promise.allSettled(rounds);
    runtime.signal.throwIfAborted();
    for (const end of ended) if (end.status === "rejected") throw end.reason;
  } finally {
    if (tree !== undefined) await runtime.ports.repository!.discardWorktree(tree).catch(() => {});
  }
  const verdicts = review.answers.map(({ reviewer, agent, verdict }) => ({ reviewer, agent, verdict }));
  const { action, rule, reason: why } = decide(verdicts, runtime.settings.policy);
  runtime.tell({
    type: "decision.made",
    data: {
      decision: `d${state.decisions.length + 1}`,
      review: review.id,
      action,
      rule,
      reason: why + doubtsOf(review),
      worker: review.worker,
      task: review.task,
    },
  });
  await keepReview(runtime, review);
  return review.decision!;
}

/** What speaks against those who object: places that they cite, and that are not there. */
function doubtsOf({ answers }: ReviewState): string {
  const doubts = answers.filter(({ verdict }) => verdict === "concerns" || verdict === "blocker")
    .flatMap(({ reviewer, issues }) =>
      issues.filter(({ unsupported }) => unsupported !== undefined)
        .map((issue) => `${reviewer} cites ${oneLine(placeText(issue)).slice(0, MAX_PLACE)}, and ${issue.unsupported}`)
    );
  const [first, ...more] = doubts;
  if (first === undefined) return "";
  return `; ${first}${more.length === 0 ? "" : ` (and ${more.length} more such)`}`;
}

/** Others than the author, first who is best at it; the author's own kind only when there is nobody else. */
export function chooseReviewers(author: string, ready: readonly string[], count: number): string[] {
  const order = ["codex", "claude", "gemini"];
  const rank = (agent: string) => order.includes(agent) ? order.indexOf(agent) : order.length;
  const others = ready.filter((agent) => agent !== author).sort((a, b) => rank(a) - rank(b));
  return others.length > 0 ? others.slice(0, count) : ready.includes(author) ? [author] : [];
}

async function request(runtime: Runtime, { worker, trigger, reason }: {
  readonly worker: WorkerState;
  readonly trigger: Trigger;
  readonly reason: string;
}): Promise<ReviewState> {
  const { state, settings, ports: { repository, launcher } } = runtime;
  const id = runtime.newReviewId();
  const task = worker.task === null ? undefined : state.tasks.get(worker.task);
  let commit = task?.commit ?? null;
  if (trigger !== "completion" && repository !== undefined) {
    const worktree = task && await worktreeOf(runtime, task);
    const ref = `refs/gocore/saved/${settings.sessionId}/${id}`;
    const saved = await repository.save(worktree ?? targetOf(runtime), ref);
    commit = saved?.commit ?? (worktree ? await repository.headOf(worktree) : state.start!.base_commit);
  }
  runtime.signal.throwIfAborted();
  runtime.tell({
    type: "review.requested",
    data: {
      review: id,
      trigger,
      worker: worker.name,
      task: worker.task,
      reason,
      reviewers: chooseReviewers(worker.agent, launcher.ready(), settings.reviews.reviewers),
      commit,
      revision: worker.launch.attempt,
    },
  });
  return state.reviews.get(id)!;
}

/** The reviewed state in a folder of its own, where nobody's changes matter. */
async function checkOut(runtime: Runtime, { id, commit }: ReviewState): Promise<Worktree | undefined> {
  const { repository } = runtime.ports;
  if (repository === undefined || commit === null) return undefined;
  return await repository.addDetached({ path: `${runtime.settings.folder}/reviews/${id}/tree`, commit });
}

async function questionOf(runtime: Runtime, review: ReviewState, worker: WorkerState): Promise<ReviewQuestion> {
  const { state, settings, ports: { repository, writeFile } } = runtime;
  const task: TaskState | undefined = review.task === null ? undefined : state.tasks.get(review.task);
  let diff = "";
  let isDiffCut = false;
  let diffPath: string | null = null;
  let files: readonly string[] = [];
  if (repository !== undefined && state.start!.base_commit !== null) {
    const since = task === undefined ? state.start!.base_commit : baseOf(runtime, task);
    const changes = review.commit === null
      ? await repository.changes(targetOf(runtime), { since, maxBytes: WHOLE_DIFF_BYTES })
      : await repository.changesBetween(since, review.commit, { maxBytes: WHOLE_DIFF_BYTES });
    files = changes.files.map(({ path }) => path);
    await writeFile(`reviews/${review.id}/diff.patch`, changes.diff);
    isDiffCut = changes.isCut || changes.diff.length > PROMPT_DIFF_BYTES;
    diff = changes.diff.slice(0, PROMPT_DIFF_BYTES);
    diffPath = isDiffCut ? `${settings.folder}/reviews/${review.id}/diff.patch` : null;
  }
  return {
    task: settings.task,
    assignment: task?.assignment.prompt ?? "",
    author: worker.name,
    trigger: review.trigger,
    reason: review.reason,
    summary: worker.exit?.text ?? worker.lastText,
    diff,
    isDiffCut,
    diffPath,
    files,
  };
}

/** Until it has answered, or will not. Throws `SessionEnds` alone. */
async function askReviewer(runtime: Runtime, { review, agent, question, tree }: {
  readonly review: ReviewState;
  readonly agent: string;
  readonly question: ReviewQuestion;
  readonly tree: Worktree | undefined;
}): Promise<void> {
  const { state, settings, ports: { launcher } } = runtime;
  const name = `${agent}-${review.id}`;
  let problem = "";
  let hasFailed = false;
  const former = state.workers.get(name);
  let exit: EventData<"worker.exited"> | undefined = former?.exit ?? undefined;
  if (former !== undefined && former.exit === null) exit = await runtime.adopt(name, () => {});
  const mended = state.recoveries.filter(({ worker, outcome }) => worker === name && outcome === "relaunched").length;
  let asked = former === undefined ? 0 : former.launch.attempt - mended;
  // What cut it off was the former supervisor's end, which is no answer.
  if (former !== undefined && exit?.outcome !== "completed") asked--;
  for (;;) {
    if (exit?.outcome === "completed") {
      const read = readReviewAnswer(exit.text);
      if (read.kind === "answer") {
        const issues = await withDoubts(runtime, { review, tree, changed: question.files }, read.answer.issues);
        return answer(runtime, { review, name, agent, asked }, { ...read.answer, issues, problem: null });
      }
      problem = read.problem;
    } else if (exit !== undefined) problem = exit.text === "" ? "it ended without an answer" : exit.text;
    if (hasFailed || asked >= ATTEMPTS) break;
    const isRepair = exit?.outcome === "completed";
    const resume = isRepair && launcher.canResume(agent) ? exit!.cli_session : null;
    asked++;
    exit = await runMended(runtime, {
      worker: name,
      agent,
      task: null,
      review: review.id,
      prompt: resume !== null
        ? repairPrompt(problem)
        : reviewPrompt(question) + (isRepair ? `\n\n${repairPrompt(problem)}` : ""),
      workdir: tree?.path ?? settings.target,
      branch: null,
      readOnly: true,
      resume,
      usedBefore: resume === null ? undefined : state.workers.get(name)?.sessionUsage,
      timeoutMs: settings.reviews.timeoutMs,
    }, () => {});
    hasFailed = exit.outcome === "failed";
  }
  answer(runtime, { review, name, agent, asked }, {
    verdict: null,
    summary: "",
    issues: [],
    recommendations: [],
    problem,
  });
}

/** The places that issues name are looked up in the reviewed state; what nobody can look up is left as it is. */
async function withDoubts(
  runtime: Runtime,
  { review: { commit }, tree, changed }: {
    readonly review: ReviewState;
    readonly tree: Worktree | undefined;
    readonly changed: readonly string[];
  },
  issues: ReviewAnswer["issues"],
): Promise<ReviewIssue[]> {
  const { settings: { target }, ports: { repository } } = runtime;
  const asTheyAre = issues.map((issue) => ({ ...issue }));
  if (repository === undefined || commit === null) return asTheyAre;
  const folders = [tree?.path, target, repository.root].filter((folder) => folder !== undefined);
  try {
    return await Promise.all(asTheyAre.map(async (issue) => {
      if (issue.file === null) return issue;
      let lines: number | undefined;
      for (const path of pathsMeant(issue.file, folders)) {
        // What was deleted is there no more, and may be what the issue is about.
        lines ??= await repository.lineCount(commit, path) ?? (changed.includes(path) ? Infinity : undefined);
      }
      if (lines === undefined) return { ...issue, unsupported: "there is no such file" };
      if (issue.line === null || issue.line <= lines) return issue;
      return { ...issue, unsupported: lines === 0 ? "it has no lines" : `it ends at line ${lines}` };
    }));
  } catch {
    return asTheyAre;
  }
}

/** Relative to the repository, as reviewers write them: absolute, with the line, or as in a diff. */
function pathsMeant(file: string, folders: readonly string[]): string[] {
  const path = file.replace(/(?::\d+){1,2}$/, "");
  const folder = folders.find((folder) => path.startsWith(`${folder}/`));
  const relative = (folder === undefined ? path : path.slice(folder.length + 1)).replace(/^(?:\.\/)+/, "");
  return /^[ab]\//.test(relative) ? [relative, relative.slice(2)] : [relative];
}

function answer(
  runtime: Runtime,
  { review, name, agent, asked }: { review: ReviewState; name: string; agent: string; asked: number },
  found:
    & Pick<EventData<"review.answered">, "verdict" | "summary" | "problem">
    & {
      readonly issues: readonly ReviewIssue[];
      readonly recommendations: readonly string[];
    },
): void {
  runtime.tell({
    type: "review.answered",
    data: {
      review: review.id,
      reviewer: name,
      agent,
      ...found,
      issues: [...found.issues],
      recommendations: [...found.recommendations],
      asked,
    },
  });
}

/** Writes what was asked, answered and decided to `reviews/{id}.json`. */
export async function keepReview({ ports }: Runtime, review: ReviewState): Promise<void> {
  const { id, trigger, worker, task, reason, commit, requestedAt, answers, decision } = review;
  const artifact = { review: id, trigger, worker, task, reason, commit, requested_at: requestedAt, answers, decision };
  await ports.writeFile(`reviews/${id}.json`, JSON.stringify(artifact, null, 2) + "\n");
}
