/** `gocore send` and `gocore stop`: tells a run something, and says what came of it. */
import { basename, join } from "node:path";
import type { RunEvent } from "../../events/event.ts";
import { closestName, Failure } from "../../failure.ts";
import { given } from "../../config/setting_types.ts";
import { MANAGER } from "../../manager/artifacts.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { lockOwner } from "../../store/owner_lock.ts";
import { ownIdentity } from "../../store/process_identity.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { followEvents } from "../follow_events.ts";
import { MAX_TEXT, putControl } from "./controls.ts";
import { checkedRunId, type ManagerFlags, readRunsRoot } from "./read_settings.ts";
import { CONTROL_FOLDER, findRunFolder, LOCK_NAME, LOG_NAME, readRun, supervisorOf } from "./run_folder.ts";

/** Which run, and where runs are. */
export interface RunFlags extends Pick<ManagerFlags, "runsRoot" | "config"> {
  readonly runId: string;
}

const DEADLINE_MS = 10_000;
/** A run that ends waits for its workers, and takes its places away. */
const END_DEADLINE_MS = 60_000;
/** Between two signals. */
const SIGNAL_GRACE_MS = 15_000;
const LOOK_MS = 50;

/** Throws a usage `Failure` that names the runs that are there. */
export async function findRun(flags: RunFlags, { env, cwd }: Pick<Io, "env" | "cwd">): Promise<string> {
  return await findRunFolder(await readRunsRoot({ env, cwd, flags }), checkedRunId(flags.runId));
}

/** 0 when the run has taken it; 1 otherwise. */
export async function sendToRun(
  flags: RunFlags & { readonly worker: string; readonly text: string },
  io: Io,
): Promise<number> {
  const { worker, text } = flags;
  if (text.trim() === "") {
    throw new Failure("usage", "Cannot use --text: need something to tell, found an empty text", {
      hints: [`Say it, for example \`${commandLine(`send --run-id ${flags.runId} --worker w1 --text "…"`, flags)}\``],
    });
  }
  if (text.length > MAX_TEXT) {
    throw new Failure("usage", `Cannot use --text: need at most ${MAX_TEXT} characters, found ${text.length}`, {
      hints: ["Put the rest into a file that the worker can read, and name it"],
    });
  }
  const folder = await findRun(flags, io);
  const runId = basename(folder);
  const from = await sizeOf(join(folder, LOG_NAME));
  const pid = supervisorOf(folder);
  const { state } = await readRun(folder);
  const known = [MANAGER, ...state.workers.keys()];
  if (!known.includes(worker)) {
    const near = closestName(worker, known);
    throw new Failure("usage", `Cannot find the worker "${worker}"`, {
      hints: [near === undefined ? `There are ${known.slice(0, 20).join(", ")}` : `Did you mean ${near}?`],
    });
  }
  const tell = (text: string) => io.stderr.write(escapeTerminal(`${text}\n`));
  if (pid === undefined) {
    await tell(
      state.finish === null ? `Nobody carries out ${runId} now: it was cut off` : endedText(runId, state.status),
    );
    return 1;
  }
  const control = await putControl(folder, { command: "send", worker, text, by: nameOf(io) }, io.now());
  const outcome = await outcomeOf(folder, control, { from, signal: io.signal });
  await tell(outcome ?? `Process ${pid} has not taken it in ${DEADLINE_MS / 1000} s; it will when it can`);
  return outcome === undefined ? 1 : 0;
}

/** 0 when nothing of the run works any more. It may be stopped again. */
export async function stopRun(flags: RunFlags & { readonly reason?: string }, io: Io): Promise<number> {
  const folder = await findRun(flags, io);
  const runId = basename(folder);
  const tell = (text: string) => io.stderr.write(escapeTerminal(`${text}\n`));
  const by = nameOf(io);
  const isRunning = supervisorOf(folder) !== undefined;
  if (isRunning) {
    const from = await sizeOf(join(folder, LOG_NAME));
    const text = (flags.reason ?? "").slice(0, MAX_TEXT);
    const control = await putControl(folder, { command: "stop", worker: MANAGER, text, by }, io.now());
    const isTaken = await outcomeOf(folder, control, { from, signal: io.signal }) !== undefined;
    if (!isTaken || !await hasEnded(folder, END_DEADLINE_MS, io.signal)) await endBySignals(folder, io.signal);
    if (supervisorOf(folder) !== undefined) {
      await tell(`${runId} does not end: process ${supervisorOf(folder)} does not react`);
      return 1;
    }
    // Whoever goes on with the run is not to be stopped by it.
    await Deno.remove(join(folder, CONTROL_FOLDER, `${control}.json`)).catch(() => {});
  }
  const { state } = await readRun(folder);
  const { endCutOff } = await import("./end_cut_off.ts");
  await endCutOff({ runId, folder, reason: `stopped by ${by}` }, io);
  const isStopped = state.finish === null || isRunning && state.status === "stopped";
  await tell(isStopped ? `${runId} is stopped` : endedText(runId, state.status));
  return 0;
}

/** What came of a control, in a sentence; undefined: it was not taken in time. */
async function outcomeOf(folder: string, control: string, { from, signal }: {
  readonly from: number;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  let outcome: string | undefined;
  await followEvents(join(folder, LOG_NAME), {
    from,
    timeoutMs: DEADLINE_MS,
    signal,
    take({ type, data }: RunEvent) {
      if (type !== "control.received" || data.control !== control) return false;
      outcome = oneLine(String(data.outcome ?? ""), 1000);
      return true;
    },
  });
  return outcome;
}

async function hasEnded(folder: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (supervisorOf(folder) !== undefined) {
    signal.throwIfAborted();
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}

/** INT, TERM, KILL. The first one lets it save what it has. */
async function endBySignals(folder: string, signal: AbortSignal): Promise<void> {
  for (const name of ["SIGINT", "SIGTERM", "SIGKILL"] satisfies Deno.Signal[]) {
    const owner = lockOwner(join(folder, LOCK_NAME));
    // In another container the number is somebody else's here.
    if (owner === undefined || owner.pid_namespace !== ownIdentity().pid_namespace) return;
    try {
      Deno.kill(owner.pid, name);
    } catch {
      // It has ended just now, or belongs to another user.
    }
    if (await hasEnded(folder, SIGNAL_GRACE_MS, signal)) return;
  }
}

function endedText(runId: string, status: string): string {
  return `${runId} has ended already: ${status}`;
}

function nameOf({ env }: Pick<Io, "env">): string {
  return (given(env.USER) ?? given(env.LOGNAME) ?? "somebody").slice(0, 100);
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path)).size;
}

/** A command line about a run that can be pasted. */
export function commandLine(words: string, { runsRoot, config }: Omit<RunFlags, "runId">): string {
  const place = [
    ...(runsRoot === undefined ? [] : [`--runs-root ${shellWord(runsRoot)}`]),
    ...(config === undefined ? [] : [`--config ${shellWord(config)}`]),
  ];
  return ["gocore", words, ...place].join(" ");
}
