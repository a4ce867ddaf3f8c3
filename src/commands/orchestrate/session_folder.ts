/** A session on disk: its folder, its lock, its log, and the controls that other processes put there. */
import { join } from "node:path";
import { type EventFact, type RunEvent, runEvent } from "../../events/event.ts";
import { EventBus } from "../../events/bus.ts";
import { encodeJsonLine, JsonLinesDecoder } from "../../events/json_lines.ts";
import { Failure, messageOf } from "../../failure.ts";
import { emptySession, foldSession, type SessionState } from "../../orchestrate/session.ts";
import type { Redactor } from "../../safety/secrets.ts";
import { AppendLog, readPieces } from "../../store/append_log.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { claimLock, lockOwner } from "../../store/owner_lock.ts";

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

/** What the log adds up to so far. Lines that are no event, such as a torn last one, are passed over. */
export async function readSession(folder: string): Promise<{ state: SessionState; lastMs: number; isTorn: boolean }> {
  const state = emptySession();
  let lastMs = -Infinity;
  const isTorn = await readEvents(join(folder, LOG_NAME), (event) => {
    foldSession(state, event);
    lastMs = Date.parse(event.time);
  });
  return { state, lastMs, isTorn };
}

/** In order. Returns whether the file ends within a line. */
async function readEvents(path: string, take: (event: RunEvent) => void): Promise<boolean> {
  const decoder = new JsonLinesDecoder();
  let last = 0x0a;
  using file = await Deno.open(path).catch((error) => {
    throw new Failure("environment", `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  });
  for await (const piece of readPieces(file, path)) {
    last = piece.at(-1) ?? last;
    for (const line of decoder.push(piece)) {
      const parsed = line.kind === "value" ? runEvent.safeParse(line.value) : undefined;
      if (parsed?.success) take(parsed.data as RunEvent);
    }
  }
  return last !== 0x0a;
}

/** The log of a session that this process supervises, as a bus: what is published is on disk and in the state. */
export class SessionLog implements Disposable {
  readonly state: SessionState;
  readonly bus: EventBus;
  readonly #log: AppendLog;
  readonly #redactor: Redactor;
  readonly #release: () => void;

  private constructor(parts: {
    state: SessionState;
    bus: EventBus;
    log: AppendLog;
    redactor: Redactor;
    release: () => void;
  }) {
    this.state = parts.state;
    this.bus = parts.bus;
    this.#log = parts.log;
    this.#redactor = parts.redactor;
    this.#release = parts.release;
  }

  /** On disk and in the state when it returns; without the secrets that agents have seen. */
  readonly publish = ({ type, data }: EventFact): Promise<void> =>
    this.bus.publish({ type, data: this.#redactor.redactDeep(data) } as EventFact);

  /**
   * Throws a `Failure` when another process supervises the session, or its files cannot be written.
   *
   * @param options.onFailure told once, when an event could not be written
   */
  static async open(folder: string, options: {
    readonly redactor: Redactor;
    now(): number;
    onFailure(error: unknown): void;
  }): Promise<SessionLog> {
    const claim = claimLock(join(folder, LOCK_NAME));
    if (claim.kind === "taken") {
      throw new Failure("environment", `Cannot supervise "${folder}": process ${claim.owner.pid} does`, {
        hints: ["Wait for its end, or stop it: `gocore orchestrate stop`"],
      });
    }
    try {
      const path = join(folder, LOG_NAME);
      const isOld = await Deno.lstat(path).then(() => true, () => false);
      const { state, lastMs, isTorn } = isOld
        ? await readSession(folder)
        : { state: emptySession(), lastMs: -Infinity, isTorn: false };
      const log = AppendLog.open(path);
      if (isTorn) log.append("\n");
      let hasFailed = false;
      const bus = new EventBus({
        now: options.now,
        after: { firstSeq: state.seq, lastMs },
        record: (event) => {
          foldSession(state, event);
          try {
            log.append(encodeJsonLine(event));
          } catch (error) {
            if (!hasFailed) options.onFailure(error);
            hasFailed = true;
          }
        },
      });
      return new SessionLog({ state, bus, log, redactor: options.redactor, release: claim.release });
    } catch (error) {
      claim.release();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#log.close();
    this.#release();
  }
}

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
  const id = `${nowMs}-${crypto.randomUUID().slice(0, 8)}`;
  await writeFileAtomic(join(folder, CONTROL_FOLDER, `${id}.json`), JSON.stringify({ ...control, id }) + "\n");
  return id;
}
