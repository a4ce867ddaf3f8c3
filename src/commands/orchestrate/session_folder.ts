/** A session on disk: its folder, its lock, its log, and the controls that other processes put there. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { emptySession, foldSession, type SessionState } from "../../orchestrate/session.ts";
import { lockOwner } from "../../store/owner_lock.ts";
import { putInSpool } from "../../store/spool.ts";
import {
  type EventLog,
  type EventLogOptions,
  type Folding,
  openEventLog,
  readEventLog,
  type ReadEvents,
} from "../event_log.ts";

export const LOG_NAME = "events.jsonl";
const LOCK_NAME = "session.lock";
export const CONTROL_FOLDER = "control";
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The seed's `orch_20251121_175811`, in UTC; with a number behind it when that one is there. */
export async function newSessionFolder(workspace: string, nowMs: number): Promise<{ id: string; folder: string }> {
  await makeWorkspace(workspace);
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+Z/g, "").replace("T", "_");
  for (let number = 1;; number++) {
    const id = `orch_${stamp}${number === 1 ? "" : `_${number}`}`;
    const folder = join(workspace, id);
    try {
      await Deno.mkdir(folder, { mode: 0o700 });
      // The workspace may lie in the target, whose files are committed as they are when a session begins.
      await Deno.writeTextFile(join(folder, ".gitignore"), "*\n");
      return { id, folder };
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw new Failure("environment", `Cannot make "${folder}": ${messageOf(error)}`, {
        hints: ["Name another folder with --workspace"],
        cause: error,
      });
    }
  }
}

async function makeWorkspace(workspace: string): Promise<void> {
  try {
    await Deno.mkdir(workspace, { recursive: true });
    // What stands below `.gocore` is no part of the project.
    const hidden = /^(.*\/\.gocore)(?:\/|$)/.exec(workspace)?.[1];
    if (hidden === undefined) return;
    await Deno.writeTextFile(join(hidden, ".gitignore"), "*\n", { createNew: true }).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  } catch (error) {
    throw new Failure("environment", `Cannot make the workspace "${workspace}": ${messageOf(error)}`, {
      hints: ["Name another folder with --workspace"],
      cause: error,
    });
  }
}

/** The folder of a session; `last` is the newest. Throws a usage `Failure` that names those that are there. */
export async function findSessionFolder(workspace: string, id: string): Promise<string> {
  const known = await listSessions(workspace);
  const found = id === "last" ? known.at(-1) : known.find((one) => one === id);
  if (found !== undefined) return join(workspace, found);
  const list = known.slice(-5).reverse();
  throw new Failure("usage", `Cannot find the session "${id}" in "${workspace}"`, {
    hints: list.length === 0
      ? ["Name its workspace with --workspace"]
      : [`There are ${list.join(", ")}; see \`gocore orchestrate list\``],
  });
}

/** By name, which begins with the time. */
export async function listSessions(workspace: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(workspace)) {
      if (!isDirectory || !SESSION_ID.test(name)) continue;
      const log = await Deno.lstat(join(workspace, name, LOG_NAME)).catch(() => undefined);
      if (log?.isFile) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

const FOLDING: Folding<SessionState> = { empty: emptySession, fold: foldSession };

/** What the log adds up to so far. */
export async function readSession(folder: string): Promise<ReadEvents<SessionState>> {
  return await readEventLog(join(folder, LOG_NAME), FOLDING);
}

/** The log of a session that this process supervises, as a bus: what is published is on disk and in the state. */
export type SessionLog = EventLog<SessionState>;

export const SessionLog = {
  /**
   * Throws a `Failure` when another process supervises the session, or its files cannot be written.
   *
   * @param options.onFailure told once, when an event could not be written
   */
  open: (
    folder: string,
    options: Pick<EventLogOptions<SessionState>, "redactor" | "now" | "onFailure">,
  ): Promise<SessionLog> =>
    openEventLog({
      ...FOLDING,
      ...options,
      path: join(folder, LOG_NAME),
      lockPath: join(folder, LOCK_NAME),
      taken: ({ pid }) =>
        new Failure("environment", `Cannot supervise "${folder}": process ${pid} does`, {
          hints: ["Wait for its end, or stop it: `gocore orchestrate stop`"],
        }),
    }),
};

/** Who supervises the session now; undefined: nobody. */
export function supervisorOf(folder: string): number | undefined {
  return lockOwner(join(folder, LOCK_NAME))?.pid;
}

/** A file for whoever supervises the session, now or later. Returns the control's id. */
export async function putControl(
  folder: string,
  control: Readonly<Record<string, unknown>>,
  nowMs: number,
): Promise<string> {
  return await putInSpool(join(folder, CONTROL_FOLDER), control, nowMs);
}
