/** What comes next for a task: follows from the session's state alone, so that a new supervisor goes on where one died. */
import type { EventData } from "../events/event.ts";
import type { FailureCause } from "../events/session_events.ts";
import { issueText } from "./review.ts";
import {
  type DecisionState,
  leavesResultAlone,
  type QuestionState,
  type ReviewState,
  type SessionState,
  type TaskState,
  type WorkerState,
} from "./session.ts";
import type { SessionSettings } from "./settings.ts";

/** What the next attempt is told. */
export type AttemptReason =
  | { readonly kind: "first" }
  /** Something that the agent did not cause cut it off. */
  | { readonly kind: "cut_off"; readonly reason: string }
  | { readonly kind: "recovered"; readonly cause: FailureCause }
  | { readonly kind: "nudge"; readonly reason: string }
  | { readonly kind: "limit"; readonly exit: EventData<"worker.exited"> }
  | { readonly kind: "feedback"; readonly review: ReviewState | undefined; readonly answer: string | undefined };

export type NextStep =
  | {
    readonly kind: "attempt";
    readonly attempt: number;
    readonly because: AttemptReason;
    readonly notBeforeMs: number;
  }
  /** A former supervisor has started it. */
  | { readonly kind: "adopt" }
  | { readonly kind: "commit"; readonly attempt: number }
  | { readonly kind: "review"; readonly attempt: number; readonly review: ReviewState | undefined }
  | { readonly kind: "recover"; readonly exit: EventData<"worker.exited"> }
  | { readonly kind: "ask"; readonly about: string; readonly text: string; readonly stops: boolean }
  | { readonly kind: "wait"; readonly question: QuestionState; readonly stops: boolean }
  /** Another agent, or nobody. */
  | { readonly kind: "reassign"; readonly reason: string }
  | { readonly kind: "done"; readonly reason: string };

/** For a task that is `running`. */
export function nextStep(state: SessionState, task: TaskState, settings: SessionSettings): NextStep {
  const worker = task.worker === null ? undefined : state.workers.get(task.worker);
  if (worker === undefined) return attemptStep(state, 0, { kind: "first" }, settings);
  const { exit, launch: { attempt } } = worker;
  if (exit === null) return { kind: "adopt" };
  switch (exit.outcome) {
    case "completed":
      return afterCompletion(state, task, worker, settings);
    case "stopped":
      return afterStop(state, worker, settings);
    case "lost":
      return attemptStep(state, attempt, { kind: "cut_off", reason: "its process was gone" }, settings);
    case "limit":
      return worker.limitEnds > 1
        ? { kind: "reassign", reason: exit.text }
        : attemptStep(state, attempt, { kind: "limit", exit }, settings);
    case "failed":
      return afterFailure(state, worker, exit, settings);
  }
}

/** The words for a person, and the key under which the answer is found again. */
export function reviewQuestion(review: ReviewState): string {
  const issues = review.answers.flatMap(({ reviewer, issues, summary }) => [
    ...(summary === "" ? [] : [`${reviewer}: ${summary}`]),
    ...issues.map((issue) => `- ${issueText(issue)}`),
  ]);
  return [`${review.decision?.reason ?? "A review"}, on the work of ${review.worker}. How shall it go on?`, ...issues]
    .join("\n").slice(0, 8000);
}

function afterCompletion(
  state: SessionState,
  task: TaskState,
  worker: WorkerState,
  settings: SessionSettings,
): NextStep {
  const { attempt } = worker.launch;
  if (task.committedAttempt !== attempt) return { kind: "commit", attempt };
  const objection = objectionTo(state, worker);
  if (objection !== undefined) return afterHardDecision(state, objection, attempt);
  if (!task.assignment.writes) return { kind: "done", reason: "finished" };
  if (leavesResultAlone(state, task)) return { kind: "done", reason: "finished without a change" };
  if (!settings.reviews.enabled) return { kind: "done", reason: "finished; reviews are switched off" };
  const reviews = [...state.reviews.values()].filter((review) =>
    review.task === task.assignment.id && review.trigger === "completion"
  );
  const review = reviews.findLast(({ worker: author, revision }) => author === worker.name && revision === attempt);
  if (review?.decision == null) return { kind: "review", attempt, review };
  const { action, reason } = review.decision;
  if (action === "CONTINUE") return { kind: "done", reason };
  if (action === "LOG_WARNING") {
    const warnings = reviews.filter(({ decision }) => decision?.action === "LOG_WARNING").length;
    const hasIssues = review.answers.some(({ verdict }) => verdict === "concerns");
    const next = attemptStep(state, attempt, { kind: "feedback", review, answer: undefined }, settings);
    // Finished work is not taken from its author for want of another attempt.
    return warnings <= settings.reviews.revisions && hasIssues && next.kind === "attempt"
      ? next
      : { kind: "done", reason: `finished with a warning: ${reason}` };
  }
  return afterHardDecision(state, review, attempt);
}

/**
 * The last review of this attempt that nobody goes on after without an answer. One that was asked for later, when the
 * work was complete, has seen more.
 */
export function objectionTo({ reviews }: SessionState, { name, launch }: WorkerState): ReviewState | undefined {
  const last = [...reviews.values()].findLast(({ worker, revision, trigger, decision }) =>
    worker === name && revision === launch.attempt &&
    (trigger === "completion" || decision !== null && isHard(decision))
  );
  return last?.trigger === "completion" ? undefined : last;
}

/** Nobody goes on before a person has answered. */
export function isHard({ action }: Pick<DecisionState, "action">): boolean {
  return action === "STOP_AND_ESCALATE" || action === "PAUSE_AND_CLARIFY";
}

function afterStop(state: SessionState, worker: WorkerState, settings: SessionSettings): NextStep {
  const { attempt } = worker.launch;
  if (state.recoveries.some((one) => one.worker === worker.name && one.attempt === attempt)) {
    return afterFailure(state, worker, worker.exit!, settings);
  }
  const review = [...state.reviews.values()].findLast(({ worker: name, revision, decision }) =>
    name === worker.name && revision === attempt && decision !== null && isHard(decision)
  );
  if (review !== undefined) return afterHardDecision(state, review, attempt);
  const signal = worker.lastSignal;
  if (signal?.action === "nudge") {
    return attemptStep(state, attempt, { kind: "nudge", reason: signal.reason }, settings);
  }
  return signal?.action === "stop" && signal.reason.startsWith(STALLED)
    ? { kind: "reassign", reason: signal.reason }
    : attemptStep(state, attempt, { kind: "cut_off", reason: "the session was interrupted" }, settings);
}

/** Begins the reason of a stop that is the agent's own fault. */
export const STALLED = "it did not get further";

function afterHardDecision(state: SessionState, review: ReviewState, attempt: number): NextStep {
  const decision = review.decision!;
  const stops = decision.action === "STOP_AND_ESCALATE";
  const question = questionAbout(state, decision.id);
  if (question === undefined) return { kind: "ask", about: decision.id, text: reviewQuestion(review), stops };
  if (question.answer === null) return { kind: "wait", question, stops };
  return answeredStep(attempt, { review, answer: question.answer });
}

function afterFailure(
  state: SessionState,
  worker: WorkerState,
  exit: EventData<"worker.exited">,
  settings: SessionSettings,
): NextStep {
  const { attempt } = worker.launch;
  const recovery = state.recoveries.findLast((one) => one.worker === worker.name && one.attempt === attempt);
  if (recovery === undefined) return { kind: "recover", exit };
  const { outcome, cause, waitSeconds, timestamp, suggestions } = recovery;
  // Who was stopped does not say why.
  const reason = exit.outcome === "stopped" ? recovery.change : exit.text;
  if (outcome === "given_up") return { kind: "reassign", reason };
  if (outcome === "relaunched") {
    const notBeforeMs = Date.parse(timestamp) + waitSeconds * 1000;
    return attemptStep(state, attempt, { kind: "recovered", cause }, settings, notBeforeMs);
  }
  const about = `${worker.name}/${attempt}`;
  const question = questionAbout(state, about);
  if (question === undefined) {
    const text = [`${worker.name} cannot go on: ${reason}`, ...suggestions.map((one) => `- ${one}`)].join("\n");
    return { kind: "ask", about, text, stops: false };
  }
  if (question.answer === null) return { kind: "wait", question, stops: false };
  return answeredStep(attempt, { review: undefined, answer: question.answer });
}

/** A person wants it, however many attempts there were. */
function answeredStep(attempt: number, told: { review: ReviewState | undefined; answer: string }): NextStep {
  return { kind: "attempt", attempt: attempt + 1, because: { kind: "feedback", ...told }, notBeforeMs: 0 };
}

function attemptStep(
  state: SessionState,
  attempt: number,
  because: AttemptReason,
  { maxAttempts }: SessionSettings,
  notBeforeMs = 0,
): NextStep {
  // Each change of supervisors may have cut an attempt off, and that is not the agent's fault.
  return attempt >= maxAttempts + Math.max(state.supervisors - 1, 0)
    ? { kind: "reassign", reason: `it has had ${attempt} attempts` }
    : { kind: "attempt", attempt: attempt + 1, because, notBeforeMs };
}

function questionAbout(state: SessionState, about: string): QuestionState | undefined {
  return [...state.questions.values()].findLast(({ decision }) => decision === about);
}
