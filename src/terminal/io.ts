/** What a command may use of the process it runs in. */
import { Failure } from "../failure.ts";

export interface Io {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdout: OutputPipe;
  readonly stderr: OutputPipe;
  /** Aborts with an `Interrupt` at the first signal, or with whatever else must end the run. */
  readonly signal: AbortSignal;
  /** Ends the run as if from outside; the first reason counts. */
  abort(reason: unknown): void;
  /** Called without waiting when a second signal ends the process at once. */
  onHardExit(callback: () => void): void;
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number;
}

/**
 * Writes text in order. `write` resolves when the text is with the operating system, so whoever awaits it goes no faster
 * than the reader; it rejects with a `Failure` of kind `closed` when the reader has gone, of kind `environment` for any
 * other failure, and from then on at once.
 */
export class OutputPipe {
  readonly #sink: { write(bytes: Uint8Array): Promise<number> };
  readonly #name: string;
  #tail: Promise<void> = Promise.resolve();
  #writtenBytes = 0;
  #failure: Failure | undefined;

  constructor(name: string, sink: { write(bytes: Uint8Array): Promise<number> }) {
    this.#name = name;
    this.#sink = sink;
  }

  /** Why nothing can be written any more. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  write(text: string): Promise<void> {
    const written = this.#tail.then(() => this.#writeAll(new TextEncoder().encode(text)));
    this.#tail = written.catch(() => {});
    return written;
  }

  /**
   * True when everything is written; false when nothing more was for `stallMs`: a slow reader is waited for, one that
   * stopped reading is not.
   */
  async flush(stallMs: number): Promise<boolean> {
    const all = this.#tail.then(() => true);
    while (true) {
      const before = this.#writtenBytes;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stalled = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), stallMs));
      const done = await Promise.race([all, stalled]).finally(() => clearTimeout(timer));
      if (done || this.#writtenBytes === before) return done;
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      for (let at = 0; at < bytes.length;) {
        const written = await this.#writeSome(bytes.subarray(at, at + PIPE_BUF_BYTES));
        at += written;
        this.#writtenBytes += written;
      }
    } catch (cause) {
      this.#failure = cause instanceof Failure
        ? cause
        : cause instanceof Deno.errors.BrokenPipe
        ? new Failure("closed", `Nobody reads ${this.#name} any more`, { cause })
        : new Failure("environment", `Cannot write to ${this.#name}: ${(cause as Error).message}`, { cause });
      throw this.#failure;
    }
  }

  /** Whoever shares the pipe may have made it non-blocking: then a full pipe is an error instead of a wait. */
  async #writeSome(bytes: Uint8Array): Promise<number> {
    while (true) {
      try {
        return await this.#sink.write(bytes);
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        await new Promise((resolve) => setTimeout(resolve, FULL_PIPE_PAUSE_MS));
      }
    }
  }
}

const FULL_PIPE_PAUSE_MS = 5;
/** A pipe takes this much whole or not at all (POSIX); of more, an error would not tell how much was taken. */
const PIPE_BUF_BYTES = 4096;
