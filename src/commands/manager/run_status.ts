/** How a run stands: what its log, its lock and its files say (seed mminions-readme.md, "API formats"). */
import { basename, join } from "node:path";
import type { EventData } from "../../events/event.ts";
import type { RunStatus, WorkerStatus } from "../../events/manager_events.ts";
import { DECISION_JSON, MANAGER, outputPath, RUN_DONE_JSON, scriptPath, sessionName } from "../../manager/artifacts.ts";
import type { RunState, RunWorker } from "../../manager/run_state.ts";
import { isObject, type Json } from "../../models/json.ts";
import { isRunning } from "../../process/worker_family.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { readTail } from "../../store/read_tail.ts";
import { LOG_NAME, readRun, supervisorOf } from "./run_folder.ts";
import { findSessions } from "./tmux_sessions.ts";

/** What a run that was started by `gocore run` writes. */
export const MANAGER_LOG = "manager.log";
const MAX_TAIL_BYTES = 256 * 1024;
const MAX_JSON_BYTES = 4 * 1024 * 1024;

export interface RunStatusReport {
  readonly run_id: string;
  /** `cut_off`: its log has no end, and the process that wrote it is dead. */
  readonly run_state: RunStatus | "cut_off";
  readonly manager: {
    readonly session_name: string;
    readonly session_exists: boolean;
    readonly pane_tail: string;
    readonly issue_url: string;
    /** Of the process that carries out the run; null: none. */
    readonly pid: number | null;
    readonly phase: string | null;
  };
  readonly workers: readonly {
    readonly worker_id: string;
    readonly role: string;
    readonly status: WorkerStatus | "unknown";
    readonly session_name: string;
    readonly session_exists: boolean;
    readonly worktree_path: string;
    readonly output_path: string;
    readonly script_path: string;
    readonly pane_tail: string;
    readonly reason: string;
    readonly agent: string | null;
  }[];
  readonly summary: {
    readonly total: number;
    readonly active: number;
    readonly finished: number;
    readonly failed: number;
    readonly timeout: number;
    readonly unknown: number;
    readonly stopped: number;
  };
  /** `decision.json`; `{}` when there is none. */
  readonly decision: Json;
  /** `run_done.json`; `{}` when there is none. */
  readonly run_done: Json;
}

/**
 * @param options.lines of each stream's end; what writes there is not trusted, so control characters are escaped
 * @throws Failure when the log cannot be read
 */
export async function runStatus(folder: string, options: {
  readonly lines: number;
  readonly env: Readonly<Record<string, string>>;
}): Promise<RunStatusReport> {
  const { lines, env } = options;
  // Before the log: who ends in between has told it there.
  const pid = supervisorOf(folder);
  const [{ state }, hasSession, decision, run_done] = await Promise.all([
    readRun(folder),
    findSessions(env),
    readObjectFile(join(folder, DECISION_JSON)),
    readObjectFile(join(folder, RUN_DONE_JSON)),
  ]);
  const runId = basename(folder);
  const tail = async (path: string) => escapeTerminal(await readTail(path, { lines, maxBytes: MAX_TAIL_BYTES }));
  const session = (name: string) => {
    const session_name = sessionName(runId, name);
    return { session_name, session_exists: hasSession(session_name) };
  };
  const workers = await Promise.all([...state.workers.values()].map(async (worker) => {
    const { name, role, launch, reason } = worker;
    const known = role ?? "REPRO_BUILDER";
    return {
      worker_id: name,
      role: known,
      status: workerStatus(worker, pid !== undefined),
      ...session(name),
      worktree_path: launch?.workdir ?? "",
      output_path: join(folder, outputPath(known, name)),
      script_path: join(folder, scriptPath(known, name)),
      pane_tail: launch === null ? "" : await tail(launch.stream),
      reason,
      agent: launch?.agent ?? null,
    };
  }));
  const count = (status: WorkerStatus | "unknown") => workers.filter((worker) => worker.status === status).length;
  return {
    run_id: runId,
    run_state: standingOf(state, pid),
    manager: {
      ...session(MANAGER),
      pane_tail: await tail(join(folder, MANAGER_LOG)) || await tail(join(folder, LOG_NAME)),
      issue_url: state.start?.issue ?? "",
      pid: pid ?? null,
      phase: state.phase,
    },
    workers,
    summary: {
      total: workers.length,
      active: count("running"),
      finished: count("finished"),
      failed: count("failed"),
      timeout: count("timeout"),
      unknown: count("unknown"),
      stopped: count("stopped"),
    },
    decision,
    run_done,
  };
}

export function standingOf(state: Pick<RunState, "finish" | "status">, pid: number | undefined): RunStatus | "cut_off" {
  return state.finish === null && pid === undefined ? "cut_off" : state.status;
}

/** Of a run that nobody carries out, a worker may go on; if it does not, nobody knows yet how it ended. */
function workerStatus({ status, process, exit }: RunWorker, isSupervised: boolean): WorkerStatus | "unknown" {
  const told = status ?? "running";
  if (told !== "running" || isSupervised) return told;
  return exit === null && process !== null && isAlive(process) ? "running" : "unknown";
}

export function isAlive({ pid, start_ticks }: EventData<"worker.started">): boolean {
  return start_ticks !== null && isRunning({ pid, startTicks: start_ticks, mark: "" });
}

export async function readObjectFile(path: string): Promise<Json> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    if (!isFile || size > MAX_JSON_BYTES) return {};
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
