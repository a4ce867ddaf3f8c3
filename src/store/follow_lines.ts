/** Reads a text file that another process appends to, line by line, as it grows. */
import { readFailure } from "./append_log.ts";

export interface FollowedLine {
  /** Without its line feed; bytes that are not UTF-8 are U+FFFD. Its beginning alone, when it is too long. */
  readonly text: string;
  /** Offset in the file, in bytes, of what comes after the line. */
  readonly end: number;
  /** How many bytes the line has, when that is more than `maxLineBytes`. */
  readonly cutFrom?: number;
}

export interface FollowOptions {
  /** Offset of the first byte to read. */
  readonly from: number;
  /** Settles when nothing will be appended any more: what is there then is read to its end. */
  readonly complete: Promise<unknown>;
  /** Ends the reading at once. */
  readonly signal: AbortSignal;
  /** Default 16 MiB. */
  readonly maxLineBytes?: number;
}

const CHUNK_BYTES = 64 * 1024;
const LF = 0x0a;
/** Where the system tells nothing of changes (network file systems), or forgets to. */
const LOOK_AGAIN_MS = 1000;
/** Of a line that is too long. */
const KEPT_BYTES = 1024;

/**
 * Lines in order, each when its line feed has come; the last one also without it. The file need not exist yet.
 * Memory is bounded by the longest line. Throws a `Failure` of kind `environment` when the file cannot be read.
 */
export async function* followLines(path: string, options: FollowOptions): AsyncGenerator<FollowedLine> {
  const { signal } = options;
  const growth = new Growth(signal);
  let isComplete = false;
  options.complete.then(() => {}, () => {}).then(() => {
    isComplete = true;
    growth.notice();
  });
  let file: Deno.FsFile | undefined;
  const lines = new LineBuffer(options.from, options.maxLineBytes ?? 16 * 1024 * 1024);
  const chunk = new Uint8Array(CHUNK_BYTES);
  try {
    while (!signal.aborted) {
      growth.forget();
      // Asked before the reading: what was appended until then is found.
      const isLast = isComplete;
      if (file === undefined) {
        file = await openAt(path, options.from);
        // Before the reading, so that nothing is missed in between.
        if (file !== undefined) growth.watch(path);
      }
      for (let size = await read(file, chunk, path); size > 0; size = await read(file, chunk, path)) {
        yield* lines.push(chunk.subarray(0, size));
        if (signal.aborted) return;
      }
      if (isLast) return yield* lines.end();
      await growth.wait();
    }
  } finally {
    file?.close();
    growth.close();
  }
}

async function openAt(path: string, offset: number): Promise<Deno.FsFile | undefined> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    return file;
  } catch (error) {
    file?.close();
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw readFailure(path, error);
  }
}

async function read(file: Deno.FsFile | undefined, chunk: Uint8Array, path: string): Promise<number> {
  try {
    return await file?.read(chunk) ?? 0;
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** Tells when a file may have grown. */
class Growth {
  readonly #signal: AbortSignal;
  #watcher: Deno.FsWatcher | undefined;
  #hasGrown = false;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.notice);
  }

  watch(path: string): void {
    try {
      this.#watcher = Deno.watchFs(path, { recursive: false });
      this.#listen(this.#watcher);
    } catch {
      // No more watches can be had: the clock is enough.
    }
  }

  readonly notice = (): void => {
    this.#hasGrown = true;
    this.#wake();
  };

  forget(): void {
    this.#hasGrown = false;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_AGAIN_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#hasGrown || this.#signal.aborted) this.#wake();
    });
  }

  close(): void {
    this.#signal.removeEventListener("abort", this.notice);
    try {
      this.#watcher?.close();
    } catch {
      // Closed already.
    }
  }

  async #listen(watcher: Deno.FsWatcher): Promise<void> {
    try {
      for await (const { kind } of watcher) if (kind !== "access") this.notice();
    } catch {
      // As when there is no watcher.
    }
  }
}

/** A buffer up to this size is kept for the next line. */
const KEPT_BUFFER_BYTES = 64 * 1024;

/** Bytes in any pieces to lines; linear in the bytes, however small the pieces are. */
class LineBuffer {
  readonly #maxBytes: number;
  readonly #utf8 = new TextDecoder();
  /** The beginning of a line whose end has not come yet is `#buffer[0 .. #kept]`. */
  #buffer = new Uint8Array(0);
  #kept = 0;
  /** Counts on, without keeping, when the line is too long. */
  #length = 0;
  #offset: number;

  constructor(offset: number, maxBytes: number) {
    this.#offset = offset;
    this.#maxBytes = maxBytes;
  }

  *push(chunk: Uint8Array): Generator<FollowedLine> {
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      this.#keep(chunk.subarray(from, at));
      from = at + 1;
      yield this.#take(1);
    }
    this.#keep(chunk.subarray(from));
  }

  *end(): Generator<FollowedLine> {
    if (this.#length > 0) yield this.#take(0);
  }

  #keep(bytes: Uint8Array): void {
    this.#length += bytes.length;
    const kept = this.#length > this.#maxBytes ? bytes.subarray(0, Math.max(KEPT_BYTES - this.#kept, 0)) : bytes;
    const needed = this.#kept + kept.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#kept));
      this.#buffer = larger;
    }
    this.#buffer.set(kept, this.#kept);
    this.#kept = needed;
  }

  #take(separatorBytes: number): FollowedLine {
    const length = this.#length;
    this.#offset += length + separatorBytes;
    const isCut = length > this.#maxBytes;
    const text = this.#utf8.decode(this.#buffer.subarray(0, isCut ? Math.min(this.#kept, KEPT_BYTES) : this.#kept));
    this.#length = 0;
    this.#kept = 0;
    if (this.#buffer.length > KEPT_BUFFER_BYTES) this.#buffer = new Uint8Array(0);
    return { text, end: this.#offset, ...(isCut && { cutFrom: length }) };
  }
}
