/** A session in the words of the seed: what its endpoints answer. */
import type { ReviewState, SessionState, Spending, TaskState, WorkerState } from "../orchestrate/session.ts";
import { breakdownOf, costOf } from "../orchestrate/session.ts";

/** Times are UTC ISO 8601 or null, costs USD or null for unknown, all names in snake_case. */
export function sessionRecord(state: SessionState, nowMs: number) {
  const { start, preflight, plan } = state;
  const endMs = state.finishedAt === null ? nowMs : Date.parse(state.finishedAt);
  const spendings = [...state.spending.values()];
  return {
    session_id: start?.session_id ?? null,
    task: start?.task ?? null,
    target: start?.target ?? null,
    folder: start?.folder ?? null,
    version: start?.version ?? null,
    shared: start?.shared ?? null,
    base_commit: start?.base_commit ?? null,
    status: state.status,
    status_reason: state.statusReason,
    status_since: stamp(state.statusSince),
    started_at: stamp(state.startedAt),
    finished_at: state.finishedAt,
    elapsed_seconds: state.startedAt === "" ? 0 : Math.max(0, (endMs - Date.parse(state.startedAt)) / 1000),
    pid: state.pid,
    supervisors: state.supervisors,
    gateway_url: state.gatewayUrl,
    dashboard_url: state.dashboardUrl,
    tier: preflight?.tier ?? null,
    tier_name: preflight?.tier_name ?? null,
    tier_reason: preflight?.reason ?? null,
    agents: preflight?.agents ?? [],
    budget_usd: start?.budget_usd ?? null,
    cost_usd: costOf(state),
    known_cost_usd: spendings.reduce((sum, { knownUsd }) => sum + knownUsd, 0),
    cost_cap_usd: plan?.cost_cap_usd ?? null,
    cost_estimate_usd: plan?.cost_estimate_usd ?? null,
    calls: spendings.reduce((sum, { calls }) => sum + calls, 0),
    open_questions: [...state.questions.values()].filter(({ answer }) => answer === null).length,
    merges: state.merges,
    saved: state.saved,
    verify: state.verify,
    result: state.finish,
    last_event_at: stamp(state.lastEventAt),
    /** The number of the last event that this takes account of; -1: none. */
    seq: state.seq - 1,
  };
}

export function workerRecords(state: SessionState) {
  return { workers: [...state.workers.values()].map((worker) => workerRecord(worker, state)) };
}

function workerRecord(worker: WorkerState, state: SessionState) {
  const { launch, process, lastSignal, spending } = worker;
  return {
    name: worker.name,
    agent: worker.agent,
    task: worker.task,
    review: worker.review,
    role: worker.task === null ? null : state.tasks.get(worker.task)?.assignment.role ?? null,
    status: worker.status,
    progress: worker.progress,
    last_text: worker.lastText,
    started_at: worker.startedAt,
    attempt_started_at: worker.attemptStartedAt,
    ended_at: worker.endedAt,
    last_event_at: worker.lastEventAt,
    liveness: worker.liveness === null ? null : {
      verdict: worker.liveness.verdict,
      proof: worker.liveness.proof,
      idle_seconds: worker.liveness.idleSeconds,
    },
    attempt: launch.attempt,
    pid: process?.pid ?? null,
    backend: launch.backend,
    workdir: launch.workdir,
    branch: launch.branch,
    stream: launch.stream,
    sandbox: process?.sandbox ?? null,
    limits: process?.limits ?? null,
    attach: process?.attach ?? null,
    cli_session: worker.cliSession,
    events: worker.events,
    commands: worker.commands,
    errors: worker.errors,
    nudges: worker.nudges,
    last_signal: lastSignal === null ? null : { action: lastSignal.action, reason: lastSignal.reason },
    exit: worker.exit,
    ...spendingRecord(spending),
    waits_for_turn: state.heldBack.has(worker.name),
    reported_cost_usd: worker.reportedCostUsd,
  };
}

function spendingRecord({ knownUsd, unknownCalls, calls, inputTokens, outputTokens, inFlight }: Spending) {
  return {
    cost_usd: unknownCalls > 0 ? null : knownUsd,
    known_cost_usd: knownUsd,
    calls,
    unpriced_calls: unknownCalls,
    calls_in_flight: inFlight,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
  };
}

function taskRecords(state: SessionState) {
  return { tasks: [...state.tasks.values()].map(taskRecord) };
}

function taskRecord({ assignment, status, worker, reason, commit, files, triedBy }: TaskState) {
  const { id, title, role, agent, depends_on, writes, load } = assignment;
  return {
    id,
    title,
    role,
    agent,
    depends_on,
    writes,
    load,
    status,
    worker,
    reason,
    commit,
    files,
    tried_by: [...triedBy],
  };
}

export function reviewRecords(state: SessionState) {
  const reviews = [...state.reviews.values()].map(reviewRecord);
  const verdicts = { approved: 0, concerns: 0, blocker: 0, none: 0 };
  for (const { answers } of reviews) for (const { verdict } of answers) verdicts[verdict ?? "none"]++;
  return { reviews, verdicts };
}

function reviewRecord(review: ReviewState) {
  return {
    id: review.id,
    trigger: review.trigger,
    worker: review.worker,
    task: review.task,
    reason: review.reason,
    reviewers: review.reviewers,
    commit: review.commit,
    revision: review.revision,
    requested_at: review.requestedAt,
    answers: review.answers,
    action: review.decision?.action ?? null,
  };
}

export function decisionRecords(state: SessionState) {
  return { decisions: state.decisions };
}

export function recoveryRecords(state: SessionState) {
  const recovery = state.recoveries.map(({ waitSeconds, ...rest }) => ({ ...rest, wait_seconds: waitSeconds }));
  return { recovery };
}

export function questionRecords(state: SessionState) {
  const questions = [...state.questions.values()].map(({ askedAt, ...rest }) => ({ ...rest, asked_at: askedAt }));
  return { questions };
}

/** Null before the plan is made. */
export function planRecord(state: SessionState) {
  const breakdown = breakdownOf(state);
  if (breakdown === null) return null;
  const { note, cost_cap_usd, cost_estimate_usd } = state.plan!;
  return { ...breakdown, note, cost_cap_usd, cost_estimate_usd };
}

/** Everything but the plan's prompts, which are long. */
export function summaryRecord(state: SessionState, nowMs: number) {
  return {
    session: sessionRecord(state, nowMs),
    ...taskRecords(state),
    ...workerRecords(state),
    ...reviewRecords(state),
    ...decisionRecords(state),
    ...recoveryRecords(state),
    ...questionRecords(state),
  };
}

function stamp(time: string): string | null {
  return time === "" ? null : time;
}
