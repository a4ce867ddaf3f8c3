/** The record of a run in mini-swe-agent's format `mini-swe-agent-1.1`: built as the run goes, put together at its end. */
import type { Redactor } from "../safety/secrets.ts";
import type { RunLog } from "../store/run_logs.ts";

/** A message as mini-swe-agent stores it; `extra` is what the model does not see. */
export interface TrajectoryMessage {
  readonly role: "system" | "user" | "assistant" | "tool" | "exit";
  readonly content: string;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** How a run ended, for `info`. */
export interface TrajectoryEnd {
  readonly exitStatus: string;
  /** The submission, or one sentence on why there is none. */
  readonly result: string;
  readonly submission: string;
  /** USD, null when unknown. */
  readonly cost: number | null;
  readonly calls: number;
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** Appends each message to the run's log, so that a step costs the same however many came before it. */
export class TrajectoryRecorder {
  readonly #log: Pick<RunLog, "append">;
  readonly #redactor: Redactor;
  readonly #now: () => number;

  constructor(options: { log: Pick<RunLog, "append">; redactor: Redactor; now: () => number }) {
    this.#log = options.log;
    this.#redactor = options.redactor;
    this.#now = options.now;
  }

  record(message: TrajectoryMessage): void {
    const { extra, ...rest } = message;
    const stamped = { ...rest, extra: { ...extra, timestamp: this.#now() / 1000 } };
    this.#log.append({ kind: "message", message: this.#redactor.redactDeep(stamped) });
  }

  end({ exitStatus, result, submission, cost, calls, extra }: TrajectoryEnd): void {
    this.record({ role: "exit", content: result, extra: { exit_status: exitStatus, submission, ...extra } });
    this.#log.append({ kind: "end", end: this.#redactor.redactDeep({ exitStatus, submission, cost, calls }) });
  }
}

/** The end of a run whose process was killed before it could say how it ended. */
const ABANDONED = { exitStatus: "Killed", submission: "", cost: null, calls: 0 };

/**
 * The document in pieces, read from the log twice so that it never stands in memory: first for how the run ended, then
 * for its messages. A log without an end is that of a killed run; what it cost is summed from its messages.
 *
 * @param entries opens the log from its start: the header `{kind:"run", info}`, then messages, then the end
 */
export async function* trajectoryDocument(
  entries: () => AsyncIterable<Record<string, unknown>>,
): AsyncGenerator<string> {
  let info: Record<string, unknown> = {};
  let end: Omit<TrajectoryEnd, "result"> | undefined;
  const seen = { calls: 0, cost: 0 as number | null };
  for await (const entry of entries()) {
    if (entry.kind === "run") info = entry.info as Record<string, unknown>;
    if (entry.kind === "end") end = entry.end as typeof end;
    const message = entry.kind === "message" ? entry.message as TrajectoryMessage : undefined;
    if (message?.role !== "assistant") continue;
    seen.calls += 1;
    const cost = message.extra?.cost;
    seen.cost = seen.cost === null || typeof cost !== "number" ? null : seen.cost + cost;
  }
  const { exitStatus, submission, cost, calls } = end ?? { ...ABANDONED, ...seen };
  const head = {
    ...info,
    model_stats: { instance_cost: cost, api_calls: calls },
    exit_status: exitStatus,
    submission,
  };
  yield `{\n  "info": ${indented(head, 2)},\n  "messages": [`;
  let separator = "\n";
  for await (const entry of entries()) {
    if (entry.kind !== "message" || entry.message === undefined) continue;
    yield `${separator}    ${indented(entry.message, 4)}`;
    separator = ",\n";
  }
  yield `\n  ],\n  "trajectory_format": "mini-swe-agent-1.1"\n}\n`;
}

/** JSON text has no raw line break inside its strings, so lines can be indented as text. */
function indented(value: unknown, spaces: number): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", "\n" + " ".repeat(spaces));
}
