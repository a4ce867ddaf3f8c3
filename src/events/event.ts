/** Every fact that a run of gocore can state, declared once: types, decoder and documentation come from these schemas. */
import * as z from "zod/mini";

const usd = z.nullable(z.number());
const count = z.int().check(z.nonnegative());

/** The seven event types of `gocore mini --headless` (seed `gocore-relationship.md`, "JSON Event Types"). */
export const eventData = {
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
]);

export type RunEvent = z.infer<typeof runEvent>;

/** An event as its origin states it; the bus adds `seq` and `time`. */
export type EventFact = { [T in EventType]: { type: T; data: EventData<T> } }[EventType];
