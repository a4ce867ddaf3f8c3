/** Waits for what a log says next, while another process writes it. */
import { type RunEvent, runEvent } from "../events/event.ts";
import { followLines } from "../store/follow_lines.ts";
import { readObject } from "../workers/stream_text.ts";

/**
 * Gives `take` each event that begins at `from` or later, until it returns true. False when that has not come in time.
 * Throws the reason of `signal`.
 */
export async function followEvents(path: string, options: {
  /** Offset in bytes, at the beginning of a line. */
  readonly from: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  take(event: RunEvent): boolean;
}): Promise<boolean> {
  const { from, timeoutMs, signal, take } = options;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  try {
    const complete = new Promise<never>(() => {});
    const lines = followLines(path, { from, complete, signal: AbortSignal.any([signal, deadline.signal]) });
    for await (const { text } of lines) {
      const parsed = runEvent.safeParse(readObject(text));
      if (parsed.success && take(parsed.data as RunEvent)) return true;
    }
  } finally {
    clearTimeout(timer);
  }
  signal.throwIfAborted();
  return false;
}
