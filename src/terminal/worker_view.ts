/** What a run says of one of its workers, as lines for a person who watches it. */
import type { EventData, RunEvent } from "../events/event.ts";
import type { AgentEvent } from "../events/session_events.ts";
import { duration, oneLine, words } from "./session_notes.ts";

export interface WorkerLines {
  readonly worker: string;
  /** Harmless for a terminal; the first begins with the time, the others, which belong to it, are indented. */
  readonly lines: readonly [string, ...string[]];
}

/** Of what a command has written, its end. */
const MAX_OUTPUT_LINES = 10;
const KIND_COLUMNS = 8;

/** @returns undefined for an event that is about no worker, or says nothing by itself */
export function workerLines({ type, data, time }: RunEvent): WorkerLines | undefined {
  const entry = (worker: string, kind: string, text: string): WorkerLines => {
    const [first = "", ...more] = text.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
    const head = `${time.slice(0, 19)}Z ${oneLine(kind, 40).padEnd(KIND_COLUMNS)} `;
    return { worker, lines: [(head + oneLine(first)).trimEnd(), ...more.map((line) => `  ${indented(line)}`)] };
  };
  switch (type) {
    case "worker.launched": {
      const { worker, agent, attempt, resumes } = data;
      const how = resumes === null ? "" : ", with its former conversation";
      return entry(worker, "starts", `${agent}, attempt ${attempt}${how}`);
    }
    case "worker.event":
      return entry(data.worker, ...saidBy(data.event));
    case "worker.nudged":
      return entry(data.worker, data.action, reasoned(data.reason, data.text));
    case "worker.status":
      return data.status === "running" ? undefined : entry(data.worker, data.status, data.reason);
    case "worker.exited":
      return entry(data.worker, "ends", ended(data));
    case "control.received": {
      const { worker, by, text } = data;
      return typeof worker === "string" && typeof text === "string"
        ? entry(worker, "told", `by ${by}: ${text}`)
        : undefined;
    }
    default:
      return undefined;
  }
}

/** The kind, and what is said. */
function saidBy({ type, payload: { text, file, data = {} } }: AgentEvent): [kind: string, text: string] {
  switch (type) {
    case "message":
      return ["says", text];
    case "thought":
      return ["thinks", text];
    case "command": {
      if (data.phase !== "ended") return ["runs", `$ ${text}`];
      const exit = typeof data.exit_code === "number" ? `exit code ${data.exit_code}` : "no exit code";
      const output = typeof data.output === "string" ? data.output.trimEnd().split("\n") : [];
      return ["ran", [`${exit}: $ ${text}`, ...output.slice(-MAX_OUTPUT_LINES)].join("\n")];
    }
    default:
      return [words(type), text === "" && file !== undefined ? file : text];
  }
}

function ended({ outcome, cause, exit_code, signal, duration_seconds, text }: EventData<"worker.exited">): string {
  const how = [
    `${outcome}${cause === null ? "" : ` (${words(cause)})`} after ${duration(duration_seconds)}`,
    ...(exit_code === null ? [] : [`exit code ${exit_code}`]),
    ...(signal === null ? [] : [signal]),
  ];
  // What completed it, it has said.
  return outcome === "completed" ? how.join(", ") : reasoned(how.join(", "), text);
}

/** Spaces at the beginning of a line of code or of a list mean something. */
function indented(line: string): string {
  const [space = ""] = /^[ \t]{0,40}/.exec(line) ?? [];
  return space.replaceAll("\t", "  ") + oneLine(line);
}

function reasoned(finding: string, reason: string): string {
  return reason === "" ? finding : `${finding}: ${reason}`;
}
