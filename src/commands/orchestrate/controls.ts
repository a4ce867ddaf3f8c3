/** Hands what other processes tell a session, as files in its folder, to whoever supervises it. */
import { join } from "node:path";
import * as z from "zod/mini";
import type { Control } from "../../orchestrate/ports.ts";
import type { SessionState } from "../../orchestrate/session.ts";
import { watchSpool } from "../../store/spool.ts";
import { parseOrThrow } from "../parse_or_throw.ts";
import { CONTROL_FOLDER } from "./session_folder.ts";

const name = z.nullable(z.string().check(z.maxLength(200)));

/** What `putControl` writes. */
const control = z.object({
  id: z.string(),
  command: z.enum(["pause", "resume", "stop", "review", "answer"]),
  worker: name,
  text: z.string(),
  by: z.string().check(z.maxLength(200)),
  question: name,
});

export interface ControlsOptions {
  /** Has been carried out when `state.controls` has its id; may leave it to the next supervisor. */
  take(control: Control): void;
  readonly state: Pick<SessionState, "controls">;
  /** A sentence about a file that is no control; it is kept as `.bad`. */
  onProblem?(problem: string): void;
}

export function watchControls(folder: string, { take, state, onProblem }: ControlsOptions): Disposable {
  return watchSpool<Control>(join(folder, CONTROL_FOLDER), {
    read: (value) => parseOrThrow(control, value),
    take,
    isTaken: (id) => state.controls.has(id),
    onProblem,
  });
}
