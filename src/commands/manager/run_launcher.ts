/** `gocore run`: starts `gocore manager` as a process that outlives us, and watches it. */
import { dirname, join } from "node:path";
import { exitCodeOf, Failure, Interrupt } from "../../failure.ts";
import { MANAGER, RUN_DONE_JSON, sessionName } from "../../manager/artifacts.ts";
import { endAllWorkers, killAllWorkersNow, startWorkerProcess } from "../../process/worker_process.ts";
import { followLines } from "../../store/follow_lines.ts";
import type { Io, OutputPipe } from "../../terminal/io.ts";
import { selfProgram } from "../orchestrate/self_program.ts";
import { commandLine } from "./control_commands.ts";
import { makeRunFolder, setRunAside, supervisorOf } from "./run_folder.ts";
import { MANAGER_LOG } from "./run_status.ts";
import { createTmuxSessions, tmuxProblem } from "./tmux_sessions.ts";

export const ERRORS_LOG = "manager.err";
export const EXIT_FILE = "manager.exit";
/** For the manager to end its workers and to save what there is. */
const STOP_GRACE_MS = 60_000;
const LOOK_MS = 50;

export interface RunRequest {
  readonly runId: string;
  readonly folder: string;
  /** A run of the same name that has ended makes way. */
  readonly replaces: boolean;
  /** Of `gocore manager`. No secrets: others can see them. */
  readonly args: readonly string[];
  readonly hasTmux: boolean;
  /** stdout is the manager's events alone. */
  readonly json: boolean;
  readonly detach: boolean;
}

/** Throws a `Failure` when the manager cannot be started; else its exit code, or 0 when it was left alone. */
export async function launchRun(request: RunRequest, io: Io): Promise<number> {
  const { env, cwd, stdout, stderr } = io;
  const { runId, folder, args, hasTmux, json, detach } = request;
  if (supervisorOf(folder) !== undefined) {
    throw new Failure("usage", `Cannot start "${runId}": process ${supervisorOf(folder)} carries it out`, {
      hints: [`Watch it: \`gocore status --run-id ${runId}\``, "Leave --run-id out for a new run"],
    });
  }
  if (request.replaces) await setRunAside(folder);
  await makeRunFolder(folder);
  io.onHardExit(killAllWorkersNow);
  const paths = { log: join(folder, MANAGER_LOG), errors: join(folder, ERRORS_LOG) };
  const offsets = { log: await sizeOf(paths.log), errors: await sizeOf(paths.errors) };
  const { program } = selfProgram();
  const manager = await startWorkerProcess({
    argv: [...program, "manager", ...args],
    cwd,
    env,
    stdoutPath: paths.log,
    stderrPath: paths.errors,
    exitPath: join(folder, EXIT_FILE),
    sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
    limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
    backend: "process",
  });
  const problem = hasTmux ? tmuxProblem(env) : "--backend is process";
  const tmux = createTmuxSessions(runId, { env, onProblem: (text) => void stderr.write(`${text}\n`) });
  if (problem === undefined) await tmux.open(MANAGER, { pid: manager.handle.pid, files: [paths.log, paths.errors] });
  else await stderr.write(`No tmux session shows the run: ${problem}\n`);
  await (json ? stderr : stdout).write(
    `run_id=${runId}\n` +
      `manager_session=${problem === undefined ? sessionName(runId, MANAGER) : ""}\n` +
      `run_done=${join(folder, RUN_DONE_JSON)}\n`,
  );
  const hasEnded = manager.ended.then(() => true);
  if (detach) {
    while (supervisorOf(folder) === undefined) {
      if (await Promise.race([hasEnded, pause(LOOK_MS)])) break;
    }
    if (supervisorOf(folder) !== undefined) return 0;
  }
  const onAbort = () => void manager.stop({ graceMs: STOP_GRACE_MS, signal: "SIGINT" });
  io.signal.addEventListener("abort", onAbort);
  if (io.signal.aborted) onAbort();
  try {
    await Promise.all([
      copy(paths.log, stdout, { from: offsets.log, complete: manager.ended }),
      copy(paths.errors, stderr, { from: offsets.errors, complete: manager.ended }),
    ]);
    const { exitCode } = await manager.ended;
    await tmux.close(MANAGER);
    if (io.signal.reason instanceof Interrupt) return exitCodeOf(io.signal.reason);
    if (exitCode !== null && exitCode < 128) return exitCode;
    const going = commandLine(`manager --resume ${runId}`, { runsRoot: dirname(folder) });
    throw new Failure("environment", `The manager of "${runId}" was killed`, {
      hints: [`Go on with it: \`${going}\``],
    });
  } finally {
    io.signal.removeEventListener("abort", onAbort);
    await endAllWorkers();
  }
}

/** Lines as they come, for as long as somebody reads them. */
async function copy(path: string, pipe: OutputPipe, { from, complete }: {
  readonly from: number;
  readonly complete: Promise<unknown>;
}): Promise<void> {
  const { signal } = new AbortController();
  for await (const { text } of followLines(path, { from, complete, signal })) {
    // The run does not end because nobody reads any more.
    await pipe.write(`${text}\n`).catch(() => {});
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(() => undefined))?.size ?? 0;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
