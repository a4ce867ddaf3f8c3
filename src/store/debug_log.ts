/** The log for people who look into a problem: readable lines, shared by processes, bounded in size. */
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { AppendLog } from "./append_log.ts";

export type DebugLevel = "debug" | "info" | "warning" | "error";

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const MAX_ENTRY_BYTES = 64 * 1024;
const CUT = " […]";

/**
 * Writes `2026-11-21T12:00:00.000Z [pid] LEVEL text`, with the further lines of a text indented and its control
 * characters escaped. When the file would pass half of `maxBytes`, it becomes `<path>.1` in place of an older one, so
 * both together stay below `maxBytes`; processes that write at the same moment may pass it by an entry each.
 *
 * Never throws: a log that cannot be written is silent from then on, and so is one whose path is a link or no file,
 * because that was not made by us.
 */
export class DebugLog implements Disposable {
  readonly #path: string;
  readonly #now: () => number;
  readonly #maxFileBytes: number;
  #log: AppendLog | undefined;
  #silent = false;

  private constructor(path: string, options: { now: () => number; maxBytes?: number }) {
    this.#path = path;
    this.#now = options.now;
    this.#maxFileBytes = Math.floor((options.maxBytes ?? DEFAULT_MAX_BYTES) / 2);
  }

  /** @param options.now milliseconds since 1970; @param options.maxBytes default 4 MiB */
  static open(path: string, options: { now: () => number; maxBytes?: number }): DebugLog {
    const log = new DebugLog(path, options);
    log.#quietly(() => log.#fileFor(0));
    return log;
  }

  write(level: DebugLevel, text: string): void {
    this.#quietly(() => {
      const time = new Date(this.#now()).toISOString();
      const entry = this.#cut(`${time} [${Deno.pid}] ${level.toUpperCase()} ${shown(text)}`);
      this.#fileFor(new TextEncoder().encode(entry).length).append(entry);
    });
  }

  close(): void {
    this.#silent = true;
    this.#log?.close();
    this.#log = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #quietly(work: () => void): void {
    if (this.#silent) return;
    try {
      work();
    } catch {
      this.close();
    }
  }

  /** The entry with its line feed, of at most 64 KiB. */
  #cut(entry: string): string {
    const bytes = new TextEncoder().encode(entry);
    const max = Math.min(MAX_ENTRY_BYTES, this.#maxFileBytes) - 1;
    if (bytes.length <= max) return entry + "\n";
    const room = Math.max(0, max - new TextEncoder().encode(CUT).length);
    // As a stream, the decoder keeps back a character that was cut in two.
    return new TextDecoder().decode(bytes.subarray(0, room), { stream: true }) + CUT + "\n";
  }

  /** The open file, with room for `bytes` more. */
  #fileFor(bytes: number): AppendLog {
    let found = this.#found();
    if (found !== undefined && found.size + bytes > this.#maxFileBytes && found.size > 0) {
      // A file much longer than this was not made with this limit, and would spoil it under its new name too.
      if (found.size > 2 * this.#maxFileBytes) Deno.removeSync(this.#path);
      else Deno.renameSync(this.#path, this.#path + ".1");
      found = undefined;
    }
    const open = this.#log?.stat();
    // Another process may have renamed the file that we hold.
    if (this.#log === undefined || found === undefined || found.ino !== open?.ino || found.dev !== open.dev) {
      this.#log?.close();
      this.#log = AppendLog.open(this.#path);
    }
    return this.#log;
  }

  #found(): Deno.FileInfo | undefined {
    try {
      const found = Deno.lstatSync(this.#path);
      if (!found.isFile) throw new TypeError(`Cannot append to "${this.#path}": it is no regular file`);
      return found;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
}

function shown(text: string): string {
  // More than this is cut in any case.
  const beginning = text.slice(0, MAX_ENTRY_BYTES).replaceAll("\r\n", "\n");
  return escapeTerminal(beginning).replace(/\n+$/, "").replaceAll("\n", "\n    ");
}
