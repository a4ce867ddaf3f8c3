/** Lines on their way to a reader that may be slow, stuck or gone, where whoever has them never waits. */
import type { Failure } from "../failure.ts";
import type { OutputPipe } from "./io.ts";

/** What waits for the reader, in characters; as much again may be on its way to the pipe. */
const MAX_WAITING = 4 * 1024 * 1024;

export interface LineOutputOptions {
  /** The line that stands for so many lines that are left out there, with its line break. */
  leftOut(count: number): string;
  /** Told once, when nothing can be written any more; lines are dropped from then on. */
  onFailure?(failure: Failure): void;
  /** What is written instead of the lines that have come, when the pipe is free. Default is these lines. */
  compose?(lines: string): string;
  /** The least time between two writes; what comes meanwhile is written together. Default 0. */
  intervalMs?: number;
}

/**
 * Writes lines in order. When too much waits for the reader, lines are left out until it has caught up, and a line in
 * their place tells how many.
 */
export class LineOutput {
  readonly #pipe: OutputPipe;
  readonly #options: LineOutputOptions;
  #waiting = "";
  #leftOut = 0;
  /** Something has to be written. */
  #isWanted = false;
  #isWriting = false;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #failureTold = false;

  constructor(pipe: OutputPipe, options: LineOutputOptions) {
    this.#pipe = pipe;
    this.#options = options;
  }

  /** @param lines with their line breaks */
  push(lines: string): void {
    if (this.#isClosed || this.#pipe.failure !== undefined) return;
    if (this.#leftOut > 0 || this.#waiting.length + lines.length > MAX_WAITING) this.#leftOut += 1;
    else this.#waiting += lines;
    this.wake();
  }

  /** Writes soon, also without new lines: `compose` may have something. */
  wake(): void {
    this.#isWanted = true;
    if (!this.#isWriting && this.#pause === undefined && !this.#isClosed) this.#writeAll();
  }

  /** Hands the rest to the pipe, which whoever owns it flushes. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#send();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    // Whatever comes in the same turn goes together.
    await Promise.resolve();
    while (this.#isWanted && !this.#isClosed && this.#pause === undefined) {
      this.#isWanted = false;
      await this.#send();
      const { intervalMs = 0 } = this.#options;
      if (intervalMs > 0 && !this.#isClosed) this.#pause = setTimeout(() => this.#endPause(), intervalMs);
    }
    this.#isWriting = false;
  }

  #endPause(): void {
    this.#pause = undefined;
    if (this.#isWanted) this.wake();
  }

  async #send(): Promise<void> {
    const lines = this.#waiting + (this.#leftOut === 0 ? "" : this.#options.leftOut(this.#leftOut));
    this.#waiting = "";
    this.#leftOut = 0;
    const text = this.#options.compose?.(lines) ?? lines;
    if (text === "" || this.#pipe.failure !== undefined) return;
    try {
      await this.#pipe.write(text);
    } catch (failure) {
      this.#waiting = "";
      this.#leftOut = 0;
      if (!this.#failureTold) this.#options.onFailure?.(failure as Failure);
      this.#failureTold = true;
    }
  }
}
