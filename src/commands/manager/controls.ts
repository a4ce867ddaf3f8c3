/** Hands what people tell a run, as files in its folder, to whoever carries it out. */
import { join } from "node:path";
import * as z from "zod/mini";
import type { EventFact } from "../../events/event.ts";
import { MANAGER } from "../../manager/artifacts.ts";
import type { RunState } from "../../manager/run_state.ts";
import type { Supervisor } from "../../manager/supervise.ts";
import { putInSpool, watchSpool } from "../../store/spool.ts";
import { parseOrThrow } from "../parse_or_throw.ts";
import { CONTROL_FOLDER } from "./run_folder.ts";

export const MAX_TEXT = 16_384;

const control = z.object({
  id: z.string(),
  command: z.enum(["send", "stop"]),
  /** `manager`: the run itself. */
  worker: z.string().check(z.maxLength(200)),
  text: z.string().check(z.maxLength(MAX_TEXT)),
  by: z.string().check(z.maxLength(200)),
});
export type RunControl = z.infer<typeof control>;

export interface RunControlsOptions {
  readonly state: Pick<RunState, "controls" | "workers" | "phase" | "status">;
  publish(fact: EventFact): Promise<void>;
  readonly supervisor: Pick<Supervisor, "send" | "running">;
  /** Ends the run, because a person wants it. */
  stop(reason: string): void;
}

/** For whoever carries out the run, now or later. Returns the control's id. */
export function putControl(folder: string, control: Omit<RunControl, "id">, nowMs: number): Promise<string> {
  return putInSpool(join(folder, CONTROL_FOLDER), control, nowMs);
}

/** Each is told as `control.received`, with `outcome`: what became of it, in a sentence for its sender. */
export function watchRunControls(folder: string, options: RunControlsOptions): Disposable {
  const { state, publish, supervisor, stop } = options;
  const tell = (fact: EventFact) => void publish(fact).catch(() => {});
  const carryOut = (control: RunControl): string => {
    const { id, command, worker, text, by } = control;
    if (command === "stop") return "The run ends now";
    // Its supervisor was killed before it could tell.
    const isTold = [...state.workers.values()].some(({ nudges }) => nudges.some((one) => one.control === id));
    if (isTold) return `${worker} is told`;
    if (worker !== MANAGER) return supervisor.send({ control: id, worker, text, by });
    if (text.trim() === "status") {
      const content = standing(state);
      tell({ type: "log", data: { level: "info", content } });
      return content;
    }
    const outcomes = supervisor.running().map((name) => supervisor.send({ control: id, worker: name, text, by }));
    return outcomes.length === 0 ? "No worker runs now: nobody is told" : outcomes.join("; ");
  };
  return watchSpool<RunControl>(join(folder, CONTROL_FOLDER), {
    read: (value) => parseOrThrow(control, value),
    take(control) {
      const outcome = carryOut(control);
      const { id, command, worker, text, by } = control;
      tell({ type: "control.received", data: { control: id, command, worker, text, by, outcome } });
      if (command === "stop") stop(`stopped by ${by}${text === "" ? "" : `: ${text}`}`);
    },
    isTaken: (id) => state.controls.has(id),
    onProblem: (content) => tell({ type: "log", data: { level: "warning", content } }),
  });
}

/** In a sentence. */
function standing({ status, phase, workers }: RunControlsOptions["state"]): string {
  const each = [...workers.values()].map(({ name, status }) => `${name} ${status ?? "starting"}`);
  return [phase === null ? status : `${status}, ${phase}`, ...each].join("; ");
}
