/** Every fact that a run of gocore can state, declared once: types, decoder and documentation come from these schemas. */
import * as z from "zod/mini";
import { managerEventData } from "./manager_events.ts";
import { minimizeEventData } from "./minimize_events.ts";
import { sessionEventData } from "./session_events.ts";

const usd = z.nullable(z.number());
const count = z.int().check(z.nonnegative());

/** What identifies a call in the gateway's events. */
const modelCall = {
  call: z.string(),
  run: z.string(),
  worker: z.string(),
  /** The virtual key's id; null for a call without one. */
  key: z.nullable(z.string()),
  upstream: z.string(),
  dialect: z.enum(["anthropic", "openai_chat", "openai_responses", "gemini"]),
  streamed: z.boolean(),
  "gen_ai.operation.name": z.literal("chat"),
  "gen_ai.provider.name": z.string(),
  "gen_ai.request.model": z.string(),
  "gen_ai.request.max_tokens": z.optional(count),
  "server.address": z.optional(z.string()),
  "server.port": z.optional(z.int()),
} as const;

export const eventData = {
  // The seven of `gocore mini --headless` (seed `gocore-relationship.md`, "JSON Event Types").

  /** The agent started working. Always first. */
  start: z.looseObject({
    task: z.string(),
    model: z.string(),
    workdir: z.string(),
    version: z.string(),
    pid: z.int(),
    run_id: z.string(),
    /** `toolcall` or `text`: how the model gives commands. */
    protocol: z.nullable(z.enum(["toolcall", "text"])),
    /** Where the settings came from, in the order they were merged. */
    config: z.array(z.string()),
    /** 0 stands for "no limit". */
    limits: z.object({ steps: count, cost_usd: z.number(), wall_time_seconds: z.number() }),
    trajectory_path: z.nullable(z.string()),
  }),
  /** One command was run. Commands of one model reply share `step`. */
  step: z.looseObject({
    /** The number of model replies so far. */
    step: count,
    action: z.string(),
    action_index: count,
    action_count: count,
    output: z.string(),
    /** -1 when the command was killed or could not be started. */
    exit_code: z.int(),
    timed_out: z.boolean(),
    /** Why the command did not run to its own end, such as a timeout; empty when it did. */
    exception_info: z.string(),
    /** Bytes of the output that nobody kept, because it was too long for memory. */
    elided_bytes: count,
    /** Characters of the kept output that this event leaves out. */
    elided_chars: count,
    duration_seconds: z.number(),
    /** USD; null when a call so far had no known price. */
    cost_so_far: usd,
  }),
  thought: z.looseObject({
    step: count,
    content: z.string(),
    /** `reply`: a `<thought>` or `<thinking>` block or the text around the command; `reasoning`: the provider's own. */
    source: z.enum(["reply", "reasoning"]),
  }),
  log: z.looseObject({
    level: z.enum(["debug", "info", "warning", "error"]),
    content: z.string(),
    hints: z.optional(z.array(z.string())),
    /** The number of model replies so far, where the line is about one. */
    step: z.optional(count),
    /** These four for a model call that failed and will be repeated; `status` is the HTTP status, null without a reply. */
    attempt: z.optional(count),
    max_attempts: z.optional(count),
    wait_seconds: z.optional(z.number()),
    status: z.optional(z.nullable(z.int())),
  }),
  finish: z.looseObject({
    status: z.enum([
      "success",
      "cost_limit",
      "step_limit",
      "time_limit",
      "format_error",
      "interrupted",
      "error",
    ]),
    /** What the agent submitted, or one sentence on why there is nothing. */
    result: z.string(),
    /** mini-swe-agent's word: Submitted, LimitsExceeded, TimeExceeded, RepeatedFormatError, or an error's type. */
    exit_status: z.string(),
    steps: count,
    total_cost: usd,
    duration_seconds: z.number(),
    trajectory_path: z.nullable(z.string()),
  }),
  error: z.looseObject({
    error: z.string(),
    type: z.string(),
    traceback: z.string(),
    hints: z.array(z.string()),
  }),
  cost: z.looseObject({
    /** USD; null when a call had no known price. */
    total: usd,
    /** USD of the calls with a known price: what the cost limit is compared with. */
    known_total: z.number(),
    calls: count,
    /** Where the prices came from; the least certain source of all calls. */
    source: z.enum(["provider", "user", "list", "estimated", "unknown"]),
    unpriced_calls: count,
    input_tokens: count,
    cache_read_tokens: count,
    cache_write_tokens: count,
    output_tokens: count,
    reasoning_tokens: count,
  }),

  // What `gocore gateway` states. Names with dots in them are OpenTelemetry's (semantic conventions for generative AI).

  /** The gateway takes calls from now on. */
  "gateway.listening": z.looseObject({
    url: z.string(),
    pid: z.int(),
    version: z.string(),
    ledger: z.string(),
    /** Who answers. */
    source: z.enum(["upstreams", "replay", "script"]),
    /** USD per run, worker, key and day; null: no cap. */
    caps: z.object({ run: usd, worker: usd, key: usd, day: usd }),
  }),
  /** A call was admitted and is on its way upstream. */
  "model.called": z.looseObject({
    ...modelCall,
    attempt: count,
    /** What is held back for it, USD; null: its price is unknown. */
    reserved_usd: usd,
  }),
  /** An admitted call has ended, one way or another; exactly one for each `call` that was admitted. */
  "model.answered": z.looseObject({
    ...modelCall,
    outcome: z.enum(["answered", "refused", "cut", "client_gone", "timeout", "unreachable"]),
    /** The upstream's HTTP status; null when none came. */
    status: z.nullable(z.int()),
    attempts: count,
    /** USD; null: unknown. */
    cost_usd: usd,
    cost_source: z.enum(["provider", "user", "list", "estimated", "unknown"]),
    usage_source: z.enum(["provider", "estimated", "absent"]),
    duration_ms: z.number(),
    /** Until the first byte of the reply's body; null when none came. */
    first_byte_ms: z.nullable(z.number()),
    /** What the gateway itself added before the reply's head, queues not included. */
    overhead_ms: z.number(),
    "gen_ai.response.model": z.optional(z.string()),
    "gen_ai.response.id": z.optional(z.string()),
    "gen_ai.response.finish_reasons": z.array(z.string()),
    /** All input, what the cache served or stored included. */
    "gen_ai.usage.input_tokens": count,
    "gen_ai.usage.output_tokens": count,
    "gen_ai.usage.cache_read.input_tokens": count,
    "gen_ai.usage.cache_creation.input_tokens": count,
    "gen_ai.usage.reasoning.output_tokens": count,
    "error.type": z.optional(z.string()),
  }),
  /** A call was not admitted, because a cap stands against it. */
  "budget.refused": z.looseObject({
    call: z.string(),
    run: z.string(),
    worker: z.string(),
    "gen_ai.request.model": z.string(),
    scope: z.enum(["run", "worker", "key", "day"]),
    scope_id: z.string(),
    cap_usd: z.number(),
    spent_usd: z.number(),
    reserved_usd: z.number(),
    /** What the call could have cost at most; null: its price is unknown. */
    needed_usd: usd,
  }),
  /** A call waits for its turn; told once for each reason. */
  "rate.waiting": z.looseObject({
    call: z.string(),
    run: z.string(),
    worker: z.string(),
    upstream: z.string(),
    "gen_ai.request.model": z.string(),
    reason: z.enum(["concurrency", "requests", "tokens", "retry_after", "budget"]),
    /** Null: it depends on other calls. */
    wait_ms: z.nullable(z.number()),
    /** Calls before it in the same queue. */
    ahead: count,
  }),

  ...sessionEventData,
  ...managerEventData,
  ...minimizeEventData,
} as const;

export type EventType = keyof typeof eventData;
export type EventData<T extends EventType> = z.infer<typeof eventData[T]>;

const stamp = { seq: count, time: z.string() };
const member = <T extends EventType>(type: T) => z.object({ ...stamp, type: z.literal(type), data: eventData[type] });

/** A stamped event: `seq` counts from 0 without gaps per bus, `time` is UTC ISO 8601 with milliseconds. */
export const runEvent = z.discriminatedUnion("type", [
  member("start"),
  member("step"),
  member("thought"),
  member("log"),
  member("finish"),
  member("error"),
  member("cost"),
  member("gateway.listening"),
  member("model.called"),
  member("model.answered"),
  member("budget.refused"),
  member("rate.waiting"),
  member("session.started"),
  member("session.resumed"),
  member("session.serving"),
  member("session.status"),
  member("session.finished"),
  member("preflight.checked"),
  member("plan.made"),
  member("task.changed"),
  member("worker.launched"),
  member("worker.started"),
  member("worker.event"),
  member("worker.liveness"),
  member("worker.signalled"),
  member("worker.exited"),
  member("command.judged"),
  member("limit.exceeded"),
  member("review.requested"),
  member("review.answered"),
  member("decision.made"),
  member("question.asked"),
  member("question.answered"),
  member("recovery.attempted"),
  member("control.received"),
  member("work.saved"),
  member("conflict.foreseen"),
  member("merge.ended"),
  member("spending.counted"),
  member("verify.ended"),
  member("run.started"),
  member("run.resumed"),
  member("run.phase"),
  member("run.serving"),
  member("run.finished"),
  member("issue.read"),
  member("environment.prepared"),
  member("worker.status"),
  member("worker.nudged"),
  member("candidate.read"),
  member("candidate.run"),
  member("candidate.judged"),
  member("minimize.started"),
  member("minimize.start_proved"),
  member("minimize.model"),
  member("minimize.note"),
  member("minimize.progress"),
  member("minimize.ended"),
  member("hypothesis.checked"),
  member("hypotheses.ranked"),
  member("comment.posted"),
]);

export type RunEvent = z.infer<typeof runEvent>;

/** An event as its origin states it; the bus adds `seq` and `time`. */
export type EventFact = { [T in EventType]: { type: T; data: EventData<T> } }[EventType];
