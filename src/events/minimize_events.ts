/** The facts of a minimization, of a run's reproducer or of `gocore minimize`, for `event.ts`. Sizes are characters. */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());

/** Of a manager run. */
const reproducer = {
  "minimize.progress": z.looseObject({ candidate: z.string(), pass: z.string(), size: count, calls: count }),
  "minimize.ended": z.looseObject({
    candidate: z.string(),
    start_size: count,
    size: count,
    calls: count,
    minimal_by: z.enum(["character", "token", "line"]),
    /** What a model's proposals took away. */
    removed_by_model: count,
    duration_ms: z.number(),
  }),
} as const;

/** Of `gocore minimize`. */
const file = {
  "minimize.started": z.object({
    file: z.string(),
    output: z.string(),
    oracle: z.string(),
    /** Of all that is reduced, as in what follows. */
    size: count,
    jobs: count,
    /** Answers of a former run, which are not asked for again. */
    known_answers: count,
    version: z.string(),
    pid: z.int(),
  }),
  "minimize.start_proved": z.object({
    runs: count,
    /** What the start shows, and every result will. */
    shows: z.string(),
    /** `own`: each candidate's folder. */
    cwd: z.string(),
    timeout_sec: z.number(),
    /** By a former run. */
    before: z.boolean(),
  }),
  "minimize.model": z.object({
    model: z.string(),
    proposals: count,
    /** Null: unknown. */
    cost_usd: z.nullable(z.number()),
    cost_source: z.string(),
  }),
  "minimize.note": z.object({ text: z.string() }),
  "minimize.progress": z.object({
    pass: z.string(),
    part: z.string(),
    size: count,
    start_size: count,
    /** Runs of the oracle, those of a former run left out. */
    calls: count,
    calls_per_second: z.number(),
    elapsed_seconds: z.number(),
  }),
  "minimize.ended": z.object({
    /** Only `minimal` is exit code 0. With `limit` and `interrupted` the best so far is there. */
    status: z.enum(["minimal", "limit", "interrupted", "failed"]),
    reason: z.string(),
    start_size: count,
    size: count,
    /** The unit of which no single one can be left out; null: nobody has proved that. */
    minimal_by: z.nullable(z.enum(["character", "token"])),
    calls: count,
    /** Questions that the journal answered. */
    answered_before: count,
    duration_seconds: z.number(),
    /** Absolute; empty: nothing was written. */
    output: z.array(z.string()),
    /** Null: no model was asked. `usd` null: nobody knows. */
    cost: z.nullable(z.object({ usd: z.nullable(z.number()), source: z.string() })),
    passes: z.array(z.object({ pass: z.string(), calls: count, removed: z.int() })),
  }),
} as const;

export const minimizeEventData = {
  ...file,
  "minimize.progress": z.union([reproducer["minimize.progress"], file["minimize.progress"]]),
  "minimize.ended": z.union([reproducer["minimize.ended"], file["minimize.ended"]]),
} as const;

export type ReproducerMinimized = z.infer<typeof reproducer["minimize.ended"]>;

/** A record of `gocore minimize --json`. */
export type MinimizeEvent = {
  [T in keyof typeof file]: { readonly type: T; readonly data: z.infer<typeof file[T]> };
}[keyof typeof file];
export type MinimizeProgress = z.infer<typeof file["minimize.progress"]>;
export type MinimizeEnd = z.infer<typeof file["minimize.ended"]>;
