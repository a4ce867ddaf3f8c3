/** `gocore stop` and `gocore send` for who has no terminal: what they would say is the refusal. */
import { basename, dirname } from "node:path";
import { Failure } from "../../../failure.ts";
import { Refused } from "../../../http/ports.ts";
import { MANAGER } from "../../../manager/artifacts.ts";
import type { RunState } from "../../../manager/run_state.ts";
import { type Io, OutputPipe } from "../../../terminal/io.ts";
import { type RunFlags, sendToRun, stopRun } from "../../manager/control_commands.ts";
import { MAX_TEXT } from "../../manager/controls.ts";
import { supervisorOf } from "../../manager/run_folder.ts";
import type { ViewOptions } from "./session_view.ts";

export interface RunControlParts extends ViewOptions {
  readonly folder: string;
  readonly state: RunState;
  /** Who wants it. */
  readonly by: string;
}

/** Resolves when nothing of the run works any more; a run that was cut off is brought to its end. */
export async function stopFollowedRun(reason: string, parts: RunControlParts): Promise<void> {
  const { folder, state } = parts;
  if (state.finish !== null && supervisorOf(folder) === undefined) throw hasEnded(parts);
  await carryOut((flags, io) => stopRun({ ...flags, ...(reason.trim() !== "" && { reason }) }, io), parts);
}

/** Resolves when whoever carries out the run has taken it. */
export async function sendToFollowedRun(worker: string, text: string, parts: RunControlParts): Promise<void> {
  const { folder, state } = parts;
  const status = state.workers.get(worker)?.status;
  if (worker !== MANAGER && status === undefined) {
    throw new Refused(404, `There is no worker ${JSON.stringify(worker)}`);
  }
  if (text.trim() === "") throw new Refused(400, "text: has to be text that is not empty");
  if (text.length > MAX_TEXT) throw new Refused(413, `text: has to be at most ${MAX_TEXT} characters`);
  if (supervisorOf(folder) === undefined) {
    if (state.finish !== null) throw hasEnded(parts);
    throw new Refused(409, `Nobody carries out ${basename(folder)} now: it was cut off`);
  }
  if (status !== undefined && status !== null && status !== "running") {
    throw new Refused(409, `${worker} does not run any more: ${status}`);
  }
  await carryOut((flags, io) => sendToRun({ ...flags, worker, text }, io), parts);
}

async function carryOut(
  command: (flags: RunFlags, io: Io) => Promise<number>,
  { folder, env, now, by }: RunControlParts,
): Promise<void> {
  // Where the run is, is known: what settings say of it has no say.
  const { MMINIONS_CONFIG: _, ...own } = env;
  const decoder = new TextDecoder();
  let said = "";
  const pipe = new OutputPipe("stderr", {
    async write(bytes) {
      said += decoder.decode(bytes, { stream: true });
      return bytes.length;
    },
  });
  const io: Io = {
    env: { ...own, USER: by },
    cwd: folder,
    stdout: pipe,
    stderr: pipe,
    // Who has begun to end a run goes on, whoever looks at it.
    signal: new AbortController().signal,
    abort() {},
    onHardExit() {},
    now,
    monotonicMs: () => performance.now(),
  };
  const flags: RunFlags = { runId: basename(folder), runsRoot: dirname(folder) };
  try {
    if (await command(flags, io) === 0) return;
  } catch (error) {
    if (error instanceof Failure) throw new Refused(409, error.message);
    throw error;
  }
  throw new Refused(409, said.trim());
}

function hasEnded({ folder, state }: RunControlParts): Refused {
  return new Refused(409, `${basename(folder)} has ended already: ${state.status}`);
}
