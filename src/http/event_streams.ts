/** Streams of server-sent events to any number of readers, each of which is fed from the log at its own pace. */
import { type EventBlock, EventFile, type EventFileOptions, joinBytes, type LogFile } from "./event_file.ts";

/** Proxies and browsers give a silent connection up after about a minute. */
export const HEARTBEAT_MS = 15_000;
export const HEARTBEAT = new TextEncoder().encode(": still here\n\n");
/** Between two sendings: what is published meanwhile goes out together. A browser shows nothing faster than this. */
const GATHER_MS = 5;

export interface StreamRequest {
  /** Sent first, as it is. */
  readonly head: string;
  /** Only events with a greater number are sent. */
  readonly after: number;
  /** Undefined: all types. */
  readonly types: ReadonlySet<string> | undefined;
}

/** How far a reader has come. */
interface Place {
  offset: number;
  /** The number of the last event that it has passed. */
  seq: number;
  readonly types: ReadonlySet<string> | undefined;
}

/**
 * Nothing is queued for a reader: it has its place in the file, and is told that there is more. So a slow one costs what
 * a fast one does.
 */
export class EventStreams {
  readonly #events: EventFile;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  /** Streams that are being read; aborted when the reader has gone. */
  readonly #readers = new Set<AbortController>();
  /** Of readers that have had everything. */
  readonly #waiting = new Set<(reason: "more" | "heartbeat") => void>();
  readonly #ended = Promise.withResolvers<void>();
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #lastMs = -Infinity;
  #isEnding = false;

  constructor(
    file: LogFile,
    { heartbeatMs = HEARTBEAT_MS, ...options }: EventFileOptions & { readonly heartbeatMs?: number } = {},
  ) {
    this.#events = new EventFile(file, options);
    this.#heartbeat = setInterval(() => this.#wake("heartbeat"), heartbeatMs);
  }

  /** Whether somebody reads a stream now. */
  get isRead(): boolean {
    return this.#readers.size > 0;
  }

  /** The log has grown. */
  notice(): void {
    if (this.#isEnding || this.#waiting.size === 0) return;
    const waitMs = Math.max(this.#lastMs + GATHER_MS - performance.now(), 0);
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#lastMs = performance.now();
      this.#wake("more");
    }, waitMs);
  }

  /** Every stream ends when it has sent what is in the log; resolves then. A reader that takes nothing delays it for ever. */
  end(): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#gathering);
    this.#wake("more");
    if (this.#readers.size === 0) this.#ended.resolve();
    return this.#ended.promise;
  }

  /** Whether the log has an event with this number or a greater one. */
  has(seq: number): boolean {
    return this.#events.has(seq);
  }

  open({ head, after, types }: StreamRequest): ReadableStream<Uint8Array> {
    const place: Place = { offset: this.#events.offsetAfter(after), seq: after, types };
    const gone = new AbortController();
    const leave = () => {
      gone.abort();
      this.#readers.delete(gone);
      if (this.#isEnding && this.#readers.size === 0) this.#ended.resolve();
    };
    return new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(head)),
      pull: async (controller) => {
        // Not sooner: an answer to HEAD is never read.
        this.#readers.add(gone);
        try {
          const bytes = await this.#next(place, gone.signal);
          if (gone.signal.aborted) return;
          if (bytes !== undefined) return controller.enqueue(bytes);
          controller.close();
          leave();
        } catch (error) {
          leave();
          throw error;
        }
      },
      cancel: leave,
    }, { highWaterMark: 0 });
  }

  /** Undefined: there will be no more. */
  async #next(place: Place, gone: AbortSignal): Promise<Uint8Array | undefined> {
    while (!gone.aborted) {
      const block = this.#events.blockAt(place.offset);
      if (block === undefined) {
        if (this.#isEnding) return undefined;
        if (await this.#wait(gone) === "heartbeat") return HEARTBEAT;
        continue;
      }
      const bytes = choose(block, place);
      place.offset = block.end;
      place.seq = Math.max(place.seq, block.events.at(-1)?.seq ?? place.seq);
      if (bytes.length > 0) return bytes;
      // A long way through what this reader does not want is not gone at one stretch.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return undefined;
  }

  #wait(gone: AbortSignal): Promise<"more" | "heartbeat"> {
    return new Promise((resolve) => {
      const wake = (reason: "more" | "heartbeat") => {
        this.#waiting.delete(wake);
        gone.removeEventListener("abort", onGone);
        resolve(reason);
      };
      const onGone = () => wake("more");
      this.#waiting.add(wake);
      gone.addEventListener("abort", onGone);
    });
  }

  #wake(reason: "more" | "heartbeat"): void {
    for (const wake of [...this.#waiting]) wake(reason);
  }
}

/** The same bytes for all readers that want the whole block. */
function choose({ bytes, events }: EventBlock, { seq: passed, types }: Place): Uint8Array {
  const chosen = events.filter(({ seq, type }) => seq > passed && (types === undefined || types.has(type)));
  if (chosen.length === events.length) return bytes;
  const pieces = chosen.map(({ start, end }) => bytes.subarray(start, end));
  return joinBytes(pieces, pieces.reduce((sum, { length }) => sum + length, 0));
}
