/** A file that only grows, at its end, in one write per text. */
import { dirname, resolve } from "node:path";
import { Failure, messageOf } from "../failure.ts";
import { writeFailure } from "./write_failure.ts";

/**
 * Synchronous, so that a text is with the operating system before whatever comes next can go wrong: it survives the
 * death of the process, not that of the machine. Everything throws a `Failure` of kind `environment` when it cannot be
 * done.
 */
export class AppendLog implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #closed = false;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Makes missing parent folders, and the file.
   *
   * @param options.mustBeNew fails when something of that name exists, be it a broken link
   */
  static open(path: string, options: { mustBeNew?: boolean } = {}): AppendLog {
    try {
      Deno.mkdirSync(dirname(resolve(path)), { recursive: true });
      const create = options.mustBeNew ? { createNew: true } : { create: true };
      return new AppendLog(path, Deno.openSync(path, { append: true, read: true, ...create }));
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** Appends the whole text. After a failure a part of it may be there. */
  append(text: string): void {
    const bytes = new TextEncoder().encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw writeFailure(this.#path, error);
    }
  }

  /** The content from its start in pieces, also when the file has lost its name. A piece is valid until the next. */
  async *read(): AsyncGenerator<Uint8Array> {
    // Appending is always at the end, wherever the position is.
    await this.#file.seek(0, Deno.SeekMode.Start);
    yield* readPieces(this.#file, this.#path);
  }

  /** What the open file is, also when something else has its name by now. */
  stat(): Deno.FileInfo {
    return this.#file.statSync();
  }

  /** May be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The rest of an open file in pieces, each valid until the next. Throws a `Failure` of kind `environment`. */
export async function* readPieces(file: Deno.FsFile, path: string): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(64 * 1024);
  for (;;) {
    const length = await file.read(piece).catch((error) => {
      throw readFailure(path, error);
    });
    if (length === null) return;
    yield piece.subarray(0, length);
  }
}

export function readFailure(path: string, cause: unknown): Failure {
  const finding = messageOf(cause).split(" (os error", 1)[0]!;
  return new Failure("environment", `Cannot read "${path}": ${finding}`, { cause });
}
