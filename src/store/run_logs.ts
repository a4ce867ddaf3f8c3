/** The append-only log of each run, which outlives the run when its process is killed, and the finding of such logs. */
import { join } from "node:path";
import { encodeJsonLine, type JsonLine, JsonLinesDecoder } from "../events/json_lines.ts";
import { Failure } from "../failure.ts";
import { AppendLog, readFailure, readPieces } from "./append_log.ts";
import { hasEndedSince, isCertainlyDead, ownIdentity, type ProcessIdentity } from "./process_identity.ts";
import { writeFailure } from "./write_failure.ts";

/**
 * `<directory>/<runId>.jsonl`: the first line is the header with `owner`, who writes it; each further line is an entry.
 * An entry is with the operating system when `append` returns, so it survives a kill -9 of the process.
 */
export class RunLog implements Disposable {
  readonly path: string;
  readonly #log: AppendLog;
  #torn = false;

  private constructor(path: string) {
    this.path = path;
    this.#log = AppendLog.open(path, { mustBeNew: true });
  }

  /**
   * Makes the folder, too. Throws a `Failure` of kind `environment` when the log cannot be made or the run has one
   * already, a `RangeError` when the id cannot be a file name.
   *
   * @param runId letters, digits, `_` and `-`
   */
  static create(directory: string, runId: string, header: Record<string, unknown>): RunLog {
    if (!/^[\w-]{1,100}$/.test(runId)) throw new RangeError(`Cannot name a log after the run "${runId}"`);
    const path = join(directory, `${runId}.jsonl`);
    if (isLink(directory)) throw writeFailure(path, new Error("The folder is a symbolic link"));
    const log = new RunLog(path);
    try {
      log.append({ ...header, owner: ownIdentity() });
    } catch (error) {
      log.remove();
      throw error;
    }
    return log;
  }

  /** One write. Throws a `Failure` of kind `environment`; the entries before and after a failed one stay readable. */
  append(entry: Record<string, unknown>): void {
    const line = encodeJsonLine(entry);
    try {
      this.#log.append(this.#torn ? "\n" + line : line);
      this.#torn = false;
    } catch (error) {
      this.#torn = true;
      throw error;
    }
  }

  /** As `readRunLog`, from the open file: a command of the run may have deleted the log, `git clean` for one. */
  entries(): AsyncGenerator<Record<string, unknown>> {
    return entriesIn(this.#log.read());
  }

  close(): void {
    this.#log.close();
  }

  /** Closes and deletes the log. It may be gone already. */
  remove(): void {
    this.close();
    try {
      Deno.removeSync(this.path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw writeFailure(this.path, error);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Far above any entry of ours; a longer line is not ours. */
const MAX_ENTRY_BYTES = 128 * 1024 * 1024;

/**
 * The header and the entries in order, read in pieces. Lines that are no JSON object are passed over: the last one may be
 * torn. Throws a `Failure` of kind `environment` when the log cannot be read.
 */
export async function* readRunLog(path: string): AsyncGenerator<Record<string, unknown>> {
  using file = await Deno.open(path).catch((error) => {
    throw readFailure(path, error);
  });
  yield* entriesIn(readPieces(file, path));
}

async function* entriesIn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Record<string, unknown>> {
  const decoder = new JsonLinesDecoder({ maxLineBytes: MAX_ENTRY_BYTES });
  for await (const piece of pieces) yield* objectsAmong(decoder.push(piece));
  yield* objectsAmong(decoder.end());
}

function* objectsAmong(lines: readonly JsonLine[]): Generator<Record<string, unknown>> {
  for (const line of lines) if (line.kind === "value" && isObject(line.value)) yield line.value;
}

const CLAIMED = /\.claimed-(\d+)\.jsonl$/;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Takes over the logs whose process is certainly dead (not running, or its number belongs to a later process or boot),
 * and those that were taken over by a process that died since. Each is renamed to `<runId>.claimed-<pid>.jsonl`, with our
 * pid; of several callers, in any processes, one gets it. A log whose header cannot be read may be just in the making and
 * is taken after a day. The logs of living processes are not touched.
 *
 * @returns the new paths, sorted; empty without the folder
 */
export async function claimAbandonedRunLogs(directory: string): Promise<string[]> {
  if (isLink(directory)) return [];
  const claimed: string[] = [];
  for (const name of await logNames(directory)) {
    const path = join(directory, name);
    try {
      if (!await isAbandoned(path)) continue;
      const mine = join(directory, name.replace(CLAIMED, ".jsonl").replace(/\.jsonl$/, `.claimed-${Deno.pid}.jsonl`));
      // Before the rename: who looks at the claimed log compares this with the start of the process in its name.
      const now = new Date();
      await Deno.utime(path, now, now);
      await Deno.rename(path, mine);
      claimed.push(mine);
    } catch (error) {
      // Someone else was faster, or the log is not ours to take; neither is a reason to leave the others.
      if (!(error instanceof Failure) && !isOfFileSystem(error)) throw error;
    }
  }
  return claimed;
}

async function logNames(directory: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(directory));
    return entries.filter(({ name, isFile }) => isFile && name.endsWith(".jsonl")).map(({ name }) => name).sort();
  } catch (error) {
    if (isOfFileSystem(error)) return [];
    throw error;
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const touchedMs = (await Deno.lstat(path)).mtime?.getTime() ?? Date.now();
  const claimer = CLAIMED.exec(path)?.[1];
  if (claimer !== undefined) return hasEndedSince(Number(claimer), touchedMs);
  const owner = await ownerOf(path);
  return owner === undefined ? Date.now() - touchedMs > DAY_MS : isCertainlyDead(owner);
}

async function ownerOf(path: string): Promise<ProcessIdentity | undefined> {
  for await (const { owner } of readRunLog(path)) {
    if (!isObject(owner)) return undefined;
    const { pid, start_ticks, boot_id, pid_namespace } = owner;
    if (!Number.isSafeInteger(pid) || (pid as number) <= 0) return undefined;
    return {
      pid: pid as number,
      start_ticks: typeof start_ticks === "number" ? start_ticks : undefined,
      boot_id: typeof boot_id === "string" ? boot_id : undefined,
      pid_namespace: typeof pid_namespace === "string" ? pid_namespace : undefined,
    };
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

function isOfFileSystem(error: unknown): boolean {
  // Not every such error has a class or a code of its own.
  return error instanceof Error && /\(os error \d+\)/.test(error.message);
}
