/** Reads the pipe of a command: into its output first, then to nowhere for what it left running in the background. */
import type { BoundedOutput } from "./bounded_output.ts";

const BUFFER_BYTES = 64 * 1024;
/** The most that a pipe can hold unless a privileged process has enlarged it. */
const PIPE_CAPACITY_BYTES = 1024 * 1024;
const LINGER_MS = 100;
const TICK_MS = 20;
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

export class PipeReader {
  /** Resolves when nobody holds the other end any more, or after `cancel`. */
  readonly closed: Promise<void>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #ended = new AbortController();
  #output: BoundedOutput | undefined;
  #bytesRead = 0;

  constructor(stream: ReadableStream<Uint8Array>, output: BoundedOutput) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#output = output;
    this.closed = this.#read();
  }

  /**
   * To be called when the shell has ended: resolves once `output` has all that was written until then. A background
   * process may hold the pipe for hours, so this does not wait for the end of the stream: only until the pipe was
   * quiet for a moment, or a pipe's content was read, or 100 ms have passed. What comes later is read and dropped,
   * because a server whose log pipe is closed or full would die or stop.
   */
  async settle(): Promise<void> {
    const start = performance.now();
    const atStart = this.#bytesRead;
    let quietTicks = 0;
    // The runtime polls the pipe between two ticks, so a tick without bytes says "empty", also on a slow machine.
    for (let tick = 0; quietTicks < 2 && !this.#ended.signal.aborted; tick++) {
      const before = this.#bytesRead;
      await pause(TICK_MS, this.#ended.signal);
      quietTicks = this.#bytesRead === before ? quietTicks + 1 : 0;
      if (this.#bytesRead - atStart >= PIPE_CAPACITY_BYTES) break;
      if (tick >= 4 && performance.now() - start >= LINGER_MS) break;
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
