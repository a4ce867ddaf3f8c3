/** How a run of the agent can end, and the words for each end. */
import { EXIT_SUCCESS, exitCodeOf, Failure, Interrupt, messageOf, typeOf } from "../failure.ts";
import type { EventData } from "../events/event.ts";

export type LimitName = "cost" | "steps" | "time";

export type Outcome =
  | { readonly kind: "submitted"; readonly submission: string }
  | { readonly kind: "limit"; readonly which: LimitName; readonly limit: number }
  | { readonly kind: "format_errors"; readonly count: number }
  | { readonly kind: "interrupted"; readonly error: Interrupt }
  | { readonly kind: "failed"; readonly error: unknown };

/** What aborts the run when its wall time is over. */
export class WallTimeExceeded extends Error {
  constructor(readonly limitSeconds: number) {
    super(`The wall time limit of ${limitSeconds} s is reached`);
    this.name = "WallTimeExceeded";
  }
}

/** The end that an error thrown inside a run stands for. */
export function outcomeOfError(error: unknown): Outcome {
  if (error instanceof Interrupt) return { kind: "interrupted", error };
  if (error instanceof WallTimeExceeded) return { kind: "limit", which: "time", limit: error.limitSeconds };
  return { kind: "failed", error };
}

export interface OutcomeWords {
  readonly status: EventData<"finish">["status"];
  /** mini-swe-agent's word, or the type of the error. */
  readonly exitStatus: string;
  /** The submission, or one sentence on why there is none. */
  readonly result: string;
  readonly exitCode: number;
}

const LIMITS = {
  cost: { status: "cost_limit", exitStatus: "LimitsExceeded", sentence: (n: number) => `cost limit of ${n} USD` },
  steps: { status: "step_limit", exitStatus: "LimitsExceeded", sentence: (n: number) => `limit of ${n} steps` },
  time: { status: "time_limit", exitStatus: "TimeExceeded", sentence: (n: number) => `wall time limit of ${n} s` },
} as const;

export function wordsOf(outcome: Outcome): OutcomeWords {
  switch (outcome.kind) {
    case "submitted":
      return { status: "success", exitStatus: "Submitted", result: outcome.submission, exitCode: EXIT_SUCCESS };
    case "limit": {
      const { status, exitStatus, sentence } = LIMITS[outcome.which];
      return { status, exitStatus, result: `The ${sentence(outcome.limit)} is reached`, exitCode: 1 };
    }
    case "format_errors":
      return {
        status: "format_error",
        exitStatus: "RepeatedFormatError",
        result: `The model gave no usable command ${outcome.count} times in a row`,
        exitCode: 1,
      };
    case "interrupted":
      return {
        status: "interrupted",
        exitStatus: "Interrupted",
        result: outcome.error.message,
        exitCode: exitCodeOf(outcome.error),
      };
    case "failed":
      return {
        status: "error",
        exitStatus: typeOf(outcome.error),
        result: messageOf(outcome.error),
        exitCode: exitCodeOf(outcome.error),
      };
  }
}

/** The data of the `error` event for a failed run; undefined for every other end. */
export function errorData(outcome: Outcome): EventData<"error"> | undefined {
  if (outcome.kind !== "failed") return undefined;
  const { error } = outcome;
  return {
    error: messageOf(error),
    type: typeOf(error),
    traceback: tracebackOf(error),
    hints: error instanceof Failure ? [...error.hints] : [],
  };
}

/** The stack of an error and of its causes. A cause may hold a whole HTTP exchange, so only stacks are taken. */
function tracebackOf(error: unknown): string {
  const parts: string[] = [];
  for (let current: unknown = error; current !== undefined && parts.length < 5;) {
    parts.push(current instanceof Error ? current.stack ?? `${current.name}: ${current.message}` : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join("\nCaused by: ");
}
