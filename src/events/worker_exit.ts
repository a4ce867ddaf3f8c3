/** Makes `worker.exited` of how a worker's process ended and of what its stream said. */
import type { EventData } from "./event.ts";
import type { FailureCause } from "./session_events.ts";

type Exited = EventData<"worker.exited">;
type Attempt = Pick<Exited, "worker" | "attempt">;

/** What of a process's end counts. */
export interface EndedProcess {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly endedBy: "itself" | "stop" | "cpu" | "memory" | "time" | "lost";
  readonly exceeded: { readonly allowed: number; readonly found: number } | undefined;
  readonly leftBehind: number;
  readonly durationMs: number;
}

/** What of a stream's result counts. */
export interface SaidResult {
  readonly outcome: "completed" | "failed";
  readonly cause: FailureCause | null;
  readonly text: string;
  readonly session: string | null;
  readonly usage: {
    readonly input: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
    readonly output: number;
    readonly reasoning: number;
  } | null;
  readonly reportedCostUsd: number | null;
}

export const LIMIT_UNITS = { cpu: "% of the machine", memory: "MB", time: "s" } as const;

export function exitOf({ worker, attempt }: Attempt, ended: {
  readonly process: EndedProcess;
  readonly result: SaidResult;
}): Exited {
  const { process, result } = ended;
  const { usage } = result;
  return {
    worker,
    attempt,
    ...outcomeOf(process, result),
    exit_code: process.exitCode,
    signal: process.signal,
    cli_session: result.session,
    tokens: usage && {
      input: usage.input,
      cache_read: usage.cacheRead,
      cache_write: usage.cacheWrite,
      output: usage.output,
      reasoning: usage.reasoning,
    },
    reported_cost_usd: result.reportedCostUsd,
    duration_seconds: Math.round(process.durationMs) / 1000,
    left_behind: process.leftBehind,
  };
}

/** Of a worker whose end nobody has seen. */
export function lostExit({ worker, attempt }: Attempt, text: string): Exited {
  return {
    worker,
    attempt,
    outcome: "lost",
    cause: null,
    text,
    exit_code: null,
    signal: null,
    cli_session: null,
    tokens: null,
    reported_cost_usd: null,
    duration_seconds: 0,
    left_behind: 0,
  };
}

function outcomeOf(process: EndedProcess, result: SaidResult): Pick<Exited, "outcome" | "cause" | "text"> {
  switch (process.endedBy) {
    case "lost":
      return { outcome: "lost", cause: null, text: "its process was gone, and nobody knows how it ended" };
    case "cpu":
    case "memory":
    case "time": {
      const { allowed = 0, found = 0 } = process.exceeded ?? {};
      const unit = LIMIT_UNITS[process.endedBy];
      return {
        outcome: "limit",
        cause: null,
        text: `it used more ${process.endedBy} than is allowed: ${found} ${unit}, at most ${allowed} ${unit}`,
      };
    }
    case "stop":
      // It may have come to its end by itself just then.
      return result.outcome === "completed" && process.exitCode === 0
        ? { outcome: "completed", cause: null, text: result.text }
        : { outcome: "stopped", cause: null, text: result.text || "it was stopped" };
    case "itself":
      return { outcome: result.outcome, cause: result.cause, text: result.text };
  }
}
