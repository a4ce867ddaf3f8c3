/** The JSON of a session's endpoints, in the words of the seed. */
import * as z from "zod/mini";
import {
  actions,
  sessionEventData,
  sessionStatuses,
  taskBreakdown,
  taskStatuses,
  verdicts,
} from "../events/session_events.ts";

const count = z.int().check(z.nonnegative());
const text = z.string();
const maybeText = z.nullable(z.string());
/** USD; null: nobody knows. */
const usd = z.nullable(z.number());
const { shape: launched } = sessionEventData["worker.launched"];
const { shape: started } = sessionEventData["worker.started"];
const { shape: liveness } = sessionEventData["worker.liveness"];
const { shape: signalled } = sessionEventData["worker.signalled"];
const { shape: requested } = sessionEventData["review.requested"];
const { shape: decided } = sessionEventData["decision.made"];
const { shape: attempted } = sessionEventData["recovery.attempted"];

export const sessionInfo = z.object({
  session_id: maybeText,
  task: maybeText,
  target: maybeText,
  folder: maybeText,
  version: maybeText,
  shared: z.nullable(z.boolean()),
  base_commit: maybeText,
  status: z.enum(sessionStatuses),
  status_reason: text,
  status_since: maybeText,
  started_at: maybeText,
  finished_at: maybeText,
  elapsed_seconds: z.number(),
  pid: z.int(),
  supervisors: count,
  gateway_url: maybeText,
  dashboard_url: maybeText,
  tier: z.nullable(z.int()),
  tier_name: maybeText,
  tier_reason: maybeText,
  agents: sessionEventData["preflight.checked"].shape.agents,
  budget_usd: usd,
  cost_usd: usd,
  known_cost_usd: z.number(),
  cost_cap_usd: usd,
  cost_estimate_usd: usd,
  calls: count,
  open_questions: count,
  merges: z.array(sessionEventData["merge.ended"]),
  saved: z.array(sessionEventData["work.saved"]),
  verify: z.nullable(sessionEventData["verify.ended"]),
  result: z.nullable(sessionEventData["session.finished"]),
  last_event_at: maybeText,
  /** The number of the last event that this takes account of; -1: none. */
  seq: z.int(),
});

const worker = z.object({
  name: text,
  agent: text,
  task: maybeText,
  review: maybeText,
  role: maybeText,
  status: z.enum(["running", "paused", "completed", "failed", "stopped"]),
  progress: z.number(),
  last_text: text,
  started_at: text,
  attempt_started_at: text,
  ended_at: maybeText,
  last_event_at: maybeText,
  liveness: z.nullable(
    z.object({ verdict: liveness.verdict, proof: liveness.proof, idle_seconds: liveness.idle_seconds }),
  ),
  attempt: count,
  pid: z.nullable(z.int()),
  backend: launched.backend,
  workdir: text,
  branch: maybeText,
  stream: text,
  sandbox: z.nullable(started.sandbox),
  limits: z.nullable(started.limits),
  attach: maybeText,
  cli_session: maybeText,
  events: count,
  commands: count,
  errors: count,
  nudges: count,
  last_signal: z.nullable(z.object({ action: signalled.action, reason: signalled.reason })),
  exit: z.nullable(sessionEventData["worker.exited"]),
  cost_usd: usd,
  known_cost_usd: z.number(),
  calls: count,
  unpriced_calls: count,
  calls_in_flight: z.int(),
  input_tokens: count,
  output_tokens: count,
  waits_for_turn: z.boolean(),
  reported_cost_usd: usd,
});
export const workerList = z.object({ workers: z.array(worker) });

const review = z.object({
  id: text,
  trigger: requested.trigger,
  worker: text,
  task: maybeText,
  reason: text,
  reviewers: z.array(text),
  commit: maybeText,
  revision: count,
  requested_at: text,
  answers: z.array(sessionEventData["review.answered"]),
  action: z.nullable(z.enum(actions)),
});
export const reviewList = z.object({
  reviews: z.array(review),
  verdicts: z.object({ approved: count, concerns: count, blocker: count, none: count }),
});

export const decisionList = z.object({
  decisions: z.array(z.object({
    id: text,
    review: text,
    action: decided.action,
    rule: text,
    reason: text,
    worker: text,
    task: maybeText,
    verdicts: z.array(z.object({ reviewer: text, verdict: z.nullable(z.enum(verdicts)) })),
    timestamp: text,
  })),
});

export const recoveryList = z.object({
  recovery: z.array(z.object({
    worker: text,
    cause: attempted.cause,
    attempt: count,
    change: text,
    outcome: attempted.outcome,
    suggestions: z.array(text),
    timestamp: text,
    wait_seconds: z.number(),
  })),
});

export const questionList = z.object({
  questions: z.array(z.object({
    id: text,
    text,
    worker: maybeText,
    task: maybeText,
    decision: maybeText,
    answer: maybeText,
    by: maybeText,
    asked_at: text,
  })),
});

export const plan = z.extend(taskBreakdown, { note: text, cost_cap_usd: usd, cost_estimate_usd: usd });

const task = z.object({
  id: text,
  title: text,
  role: text,
  agent: maybeText,
  depends_on: z.array(text),
  writes: z.boolean(),
  load: z.number(),
  status: z.enum(taskStatuses),
  worker: maybeText,
  reason: text,
  commit: maybeText,
  files: z.array(text),
  tried_by: z.array(text),
});

export const summary = z.object({
  /** Whether somebody carries the session out now. */
  supervised: z.boolean(),
  session: sessionInfo,
  tasks: z.array(task),
  ...workerList.shape,
  ...reviewList.shape,
  ...decisionList.shape,
  ...recoveryList.shape,
  ...questionList.shape,
});

/** What became of a control: it is on its way, under this id. */
export const takenControl = z.object({
  control: text,
  command: z.enum(["pause", "resume", "stop", "review", "answer"]),
});

const maybe = z.nullish(z.string({ error: "has to be text" }));
const needed = "has to be text that is not empty";
/** Who does it, for the log. */
const by = z.nullish(
  z.string({ error: "has to be text" }).check(
    z.regex(/^[^\x00-\x1f\x7f]{1,100}$/, "has to be a name of 1 to 100 characters"),
  ),
);
const hold = z.strictObject({ text: maybe, by });
export const controlBodies = {
  pause: hold,
  resume: hold,
  stop: hold,
  review: z.strictObject({ worker: maybe, text: maybe, by }),
  answer: z.strictObject({
    text: z.string({ error: needed }).check(z.regex(/\S/, needed)),
    question: maybe,
    by,
  }),
};
