/** Reads the pipe of a command: into its output first, then to nowhere for what it left running in the background. */
import type { BoundedOutput } from "./bounded_output.ts";
import { bytesInPipe } from "./pipe_level.ts";

const BUFFER_BYTES = 64 * 1024;
/** The most that a pipe can hold unless a privileged process has enlarged it. */
const PIPE_CAPACITY_BYTES = 1024 * 1024;
const TICK_MS = 20;
/** Where nothing tells whether a pipe is empty: how many ticks without a byte say so. */
const QUIET_TICKS = 5;
/** Between two large reads of what nobody will see: slows a flood down without stopping the one who writes it. */
const DISCARD_PAUSE_MS = 5;

/** A wait that a signal, if given, ends early. Never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

/**
 * Resolves after what the runtime has read until now was given to who waits for it. Timers do not tell: at a busy time
 * one after the other is due, and the runtime calls them before it hands out what was read.
 */
async function resultsDelivered(): Promise<void> {
  // The first result comes with the bytes or after them, but a stream hands these on some microtasks later.
  for (let call = 0; call < 2; call++) await Deno.lstat("/");
}

export class PipeReader {
  /** Resolves when nobody holds the other end any more, or after `cancel`. */
  readonly closed: Promise<void>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #pipeName: string | undefined;
  readonly #ended = new AbortController();
  #output: BoundedOutput | undefined;
  #bytesRead = 0;

  /** `pipeName`: from `pipeNameOf`, if known. */
  constructor(stream: ReadableStream<Uint8Array>, output: BoundedOutput, pipeName?: string) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#output = output;
    this.#pipeName = pipeName;
    this.closed = this.#read();
  }

  /**
   * To be called when the shell has ended: resolves once `output` has all that was written until then. A background
   * process may hold the pipe for hours, so this does not wait for the end of the stream: only until as much was read
   * as was in the pipe. What comes later is read and dropped, because a server whose log pipe is closed or full would
   * die or stop.
   */
  async settle(): Promise<void> {
    let enough = this.#bytesRead + PIPE_CAPACITY_BYTES;
    for (let quietTicks = 0; quietTicks < QUIET_TICKS && this.#bytesRead < enough;) {
      const before = this.#bytesRead;
      // Nearly always the end of the stream is there before the tick is over.
      await pause(TICK_MS, this.#ended.signal);
      if (this.#ended.signal.aborted) break;
      const waitingBytes = this.#pipeName === undefined ? undefined : bytesInPipe(this.#pipeName);
      await resultsDelivered();
      if (waitingBytes !== undefined) enough = Math.min(enough, this.#bytesRead + waitingBytes);
      else quietTicks = this.#bytesRead === before ? quietTicks + 1 : 0;
    }
    this.#output = undefined;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
    await this.closed;
  }

  async #read(): Promise<void> {
    let buffer = new Uint8Array(BUFFER_BYTES);
    try {
      while (true) {
        const { done, value } = await this.#reader.read(buffer);
        if (done || value === undefined) break;
        this.#bytesRead += value.length;
        this.#output?.push(value);
        if (this.#output === undefined && value.length > BUFFER_BYTES / 8) await pause(DISCARD_PAUSE_MS);
        buffer = new Uint8Array(value.buffer);
      }
    } catch {
      // A pipe that cannot be read has ended.
    } finally {
      this.#ended.abort();
    }
  }
}
