/** The answers of an oracle on disk, so that a minimization that was killed repeats none of its calls. */
import * as z from "zod/mini";
import { encodeJsonLine, JsonLinesDecoder } from "../events/json_lines.ts";
import { AppendLog } from "./append_log.ts";
import { writeFailure } from "./write_failure.ts";

const line = z.union([
  z.object({ journal: z.literal("gocore-oracle"), version: z.literal(1), identity: z.string() }),
  z.object({ key: z.string(), yes: z.boolean() }),
  z.object({ note: z.string(), value: z.unknown() }),
]);

/**
 * A JSON Lines file: what the answers are about, then one line for each answer and each note, appended in one write when
 * it is given. A line that a death or a full disk has torn is as if it were not there. One process at a time: the caller
 * has a lock.
 */
export class OracleJournal {
  /** Answers that were there when it was opened. */
  readonly known: number;
  /** Where another journal of that name was put, which was about something else; undefined: there was none. */
  readonly putAside: string | undefined;
  readonly #log: AppendLog;
  readonly #answers: Map<string, boolean>;
  readonly #notes: Map<string, unknown>;

  private constructor(log: AppendLog, found: Found, putAside: string | undefined) {
    this.#log = log;
    this.#answers = found.answers;
    this.#notes = found.notes;
    this.known = found.answers.size;
    this.putAside = putAside;
  }

  /**
   * Goes on with the file that is there, when it has the same identity; another is renamed to `{path}.old`.
   *
   * @param identity a digest of all that the answers depend on
   * @throws Failure of kind `environment` when the file cannot be read or written
   */
  static async open(path: string, identity: string): Promise<OracleJournal> {
    const found = await read(path);
    const isOurs = found?.identity === identity;
    const putAside = found === undefined || isOurs ? undefined : `${path}.old`;
    try {
      if (putAside !== undefined) await Deno.rename(path, putAside);
      // Or else the next line would continue the torn one.
      if (isOurs) await Deno.truncate(path, found.wholeBytes);
    } catch (error) {
      throw writeFailure(path, error);
    }
    const log = AppendLog.open(path, { mustBeNew: !isOurs });
    if (!isOurs) log.append(encodeJsonLine({ journal: "gocore-oracle", version: 1, identity }));
    const kept = isOurs ? found : { answers: new Map<string, boolean>(), notes: new Map<string, unknown>() };
    return new OracleJournal(log, { identity, wholeBytes: 0, ...kept }, putAside);
  }

  get(key: string): boolean | undefined {
    return this.#answers.get(key);
  }

  /** On disk when it returns, as far as the death of this process goes. The first answer to a key counts. */
  put(key: string, isInteresting: boolean): void {
    if (this.#answers.has(key)) return;
    this.#log.append(encodeJsonLine({ key, yes: isInteresting }));
    this.#answers.set(key, isInteresting);
  }

  /** What was noted under this name last: whatever JSON has made of it. */
  noted(name: string): unknown {
    return this.#notes.get(name);
  }

  note(name: string, value: unknown): void {
    this.#log.append(encodeJsonLine({ note: name, value }));
    this.#notes.set(name, value);
  }

  async close(): Promise<void> {
    this.#log.close();
  }
}

interface Found {
  readonly identity: string | undefined;
  readonly answers: Map<string, boolean>;
  readonly notes: Map<string, unknown>;
  /** Up to the end of the last line that has one. */
  readonly wholeBytes: number;
}

/** Undefined: there is no such file. */
async function read(path: string): Promise<Found | undefined> {
  try {
    // A link or a pipe of that name is not ours to write to.
    if (!(await Deno.lstat(path)).isFile) throw new Error("File exists, and is no regular file");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw writeFailure(path, error);
  }
  using log = AppendLog.open(path);
  const decoder = new JsonLinesDecoder();
  const answers = new Map<string, boolean>();
  const notes = new Map<string, unknown>();
  let identity: string | undefined;
  let [bytes, wholeBytes, isFirst] = [0, 0, true];
  for await (const piece of log.read()) {
    const lastFeed = piece.lastIndexOf(0x0a);
    if (lastFeed !== -1) wholeBytes = bytes + lastFeed + 1;
    bytes += piece.length;
    for (const decoded of decoder.push(piece)) {
      const parsed = decoded.kind === "value" ? z.safeParse(line, decoded.value) : undefined;
      if (parsed?.success) {
        const { data } = parsed;
        if ("identity" in data) identity = isFirst ? data.identity : identity;
        else if ("key" in data) answers.set(data.key, data.yes);
        else notes.set(data.note, data.value);
      }
      isFirst = false;
    }
  }
  return { identity, answers, notes, wholeBytes };
}
