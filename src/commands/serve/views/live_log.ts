/** Follows a log that another process writes: what it adds up to, and its events as streams. */
import { JsonLinesDecoder } from "../../../events/json_lines.ts";
import { type RunEvent, runEvent } from "../../../events/event.ts";
import type { EventFileOptions, LogFile } from "../../../http/event_file.ts";
import { EventStreams } from "../../../http/event_streams.ts";

export interface LiveLogOptions<S> extends EventFileOptions {
  empty(): S;
  /** Adds what a line says, in place. */
  fold(state: S, value: unknown): void;
}

const PIECE_BYTES = 64 * 1024;
/** Read at one stretch; others have their turn then. */
const STRETCH_BYTES = 512 * 1024;
/** Where the system tells nothing of changes, or forgets to; also how a log that was replaced is noticed. */
const LOOK_AGAIN_MS = 1000;
/** Between two looks that the system's word leads to: many lines that come together are read together. */
const GATHER_MS = 5;
/** For those who read slowly, or nothing at all. */
const LAST_WORDS_MS = 1000;
const LF = 0x0a;

/**
 * The file need not exist yet. What is new is read once, also when `state` is asked for; lines that are torn or no JSON
 * are passed over. When the log is replaced, or has become shorter, everything begins anew: a reader's stream ends then,
 * and the next one is of the new log.
 */
export class LiveLog<S> implements AsyncDisposable {
  readonly #path: string;
  readonly #options: LiveLogOptions<S>;
  readonly #clock: ReturnType<typeof setInterval>;
  #watcher: Deno.FsWatcher | undefined;
  #reading: Reading<S>;
  /** Readings of logs that were replaced, until their streams have ended. */
  readonly #former = new Set<Reading<S>>();
  #soon: ReturnType<typeof setTimeout> | undefined;
  #lastLookMs = -Infinity;
  #isClosed = false;

  private constructor(path: string, options: LiveLogOptions<S>) {
    this.#path = path;
    this.#options = options;
    this.#reading = new Reading(options);
    this.#clock = setInterval(() => this.#look(), LOOK_AGAIN_MS);
  }

  /** Resolves when everything that is there has been read. Throws what the system says when it cannot be read. */
  static async open<S>(path: string, options: LiveLogOptions<S>): Promise<LiveLog<S>> {
    const log = new LiveLog(path, options);
    try {
      while (log.#read()) await new Promise((resolve) => setTimeout(resolve, 0));
      return log;
    } catch (error) {
      await log[Symbol.asyncDispose]();
      throw error;
    }
  }

  get state(): S {
    this.#look();
    return this.#reading.state;
  }

  get streams(): EventStreams {
    this.#look();
    return this.#reading.streams;
  }

  /** Between what `state` takes account of and what comes after, as an offset; -1: there is nothing yet. */
  get position(): number {
    return this.#reading.position;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#clock);
    clearTimeout(this.#soon);
    this.#unwatch();
    this.#retire(this.#reading);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => timer = setTimeout(resolve, LAST_WORDS_MS));
    await Promise.race([Promise.all([...this.#former].map(({ ended }) => ended)), late]);
    clearTimeout(timer);
    for (const reading of this.#former) reading.close();
  }

  readonly #look = (): void => {
    if (this.#isClosed) return;
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#lastLookMs = performance.now();
    let isMore = false;
    try {
      isMore = this.#read();
    } catch {
      // It may be readable again at the next look.
    }
    if (isMore) this.#soon = setTimeout(this.#look, 0);
  };

  /** Whether there is more to be read. */
  #read(): boolean {
    if (this.#reading.isReplacedAt(this.#path)) {
      this.#retire(this.#reading);
      this.#unwatch();
      this.#reading = new Reading(this.#options);
    }
    if (!this.#reading.isOpen && this.#reading.open(this.#path)) this.#watch();
    return this.#reading.read(STRETCH_BYTES);
  }

  #retire(reading: Reading<S>): void {
    this.#former.add(reading);
    reading.ended.then(() => {
      reading.close();
      this.#former.delete(reading);
    });
    reading.end();
  }

  #watch(): void {
    try {
      this.#watcher = Deno.watchFs(this.#path, { recursive: false });
      this.#listen(this.#watcher);
    } catch {
      // No more watches can be had: the clock is enough.
    }
  }

  #unwatch(): void {
    try {
      this.#watcher?.close();
    } catch {
      // Closed already.
    }
    this.#watcher = undefined;
  }

  async #listen(watcher: Deno.FsWatcher): Promise<void> {
    try {
      for await (const { kind } of watcher) {
        if (kind === "access" || this.#isClosed) continue;
        const waitMs = this.#lastLookMs + GATHER_MS - performance.now();
        if (waitMs <= 0) this.#look();
        else this.#soon ??= setTimeout(this.#look, waitMs);
      }
    } catch {
      // As when there is no watcher.
    }
  }
}

/** A `fold` for logs of events: what is none is passed over. */
export function eachEvent<S>(fold: (state: S, event: RunEvent) => void): LiveLogOptions<S>["fold"] {
  return (state, value) => {
    const parsed = runEvent.safeParse(value);
    if (parsed.success) fold(state, parsed.data as RunEvent);
  };
}

/** One log, from its first line on. Synchronous: whoever asks has what is there. */
class Reading<S> {
  readonly state: S;
  readonly streams: EventStreams;
  readonly #fold: LiveLogOptions<S>["fold"];
  readonly #decoder = new JsonLinesDecoder();
  readonly #ended = Promise.withResolvers<void>();
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #file: Deno.FsFile | undefined;
  #identity = "";
  #offset = 0;
  /** Behind the last whole line. */
  #lineEnd = 0;

  constructor({ empty, fold, ...options }: LiveLogOptions<S>) {
    this.state = empty();
    this.#fold = fold;
    const file: LogFile = { read: (offset, into) => this.#readAt(offset, into), size: () => this.#size() };
    this.streams = new EventStreams(file, options);
  }

  get position(): number {
    return this.#lineEnd - 1;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** Settles when all streams have ended, after `end`. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** False: there is no such file yet. */
  open(path: string): boolean {
    // Opening something else, such as a pipe, could wait for ever.
    const found = statOf(path);
    if (found === undefined || !found.isFile) return false;
    this.#file = Deno.openSync(path);
    this.#identity = identityOf(this.#file.statSync());
    return true;
  }

  /** Whether another file has the name now, or this one was cut. */
  isReplacedAt(path: string): boolean {
    if (this.#file === undefined) return false;
    const found = statOf(path);
    if (found === undefined) return false;
    return identityOf(found) !== this.#identity || this.#size() < this.#offset;
  }

  /** At most about `maxBytes`; whether there is more. */
  read(maxBytes: number): boolean {
    let read = 0;
    while (read < maxBytes) {
      const length = this.#readAt(this.#offset, this.#piece);
      if (length === 0) break;
      const lineEnd = this.#piece.lastIndexOf(LF, length - 1) + 1;
      if (lineEnd > 0) this.#lineEnd = this.#offset + lineEnd;
      read += length;
      this.#offset += length;
      for (const line of this.#decoder.push(this.#piece.subarray(0, length))) {
        if (line.kind === "value") this.#fold(this.state, line.value);
      }
    }
    if (read > 0) this.streams.notice();
    return read >= maxBytes;
  }

  end(): void {
    this.streams.end().then(this.#ended.resolve);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #readAt(offset: number, into: Uint8Array): number {
    this.#file?.seekSync(offset, Deno.SeekMode.Start);
    let length = 0;
    while (length < into.length) {
      const more = this.#file?.readSync(into.subarray(length)) ?? null;
      if (more === null) break;
      length += more;
    }
    return length;
  }

  #size(): number {
    return this.#file?.statSync().size ?? 0;
  }
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

function identityOf({ dev, ino }: Deno.FileInfo): string {
  return `${dev}/${ino}`;
}
