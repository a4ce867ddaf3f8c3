/** The list of runs as a stream: what goes on or needs somebody, then what changes. */
import { STREAM_HEAD } from "./event_answer.ts";
import { serverSentEvent } from "./event_file.ts";
import { HEARTBEAT, HEARTBEAT_MS } from "./event_streams.ts";
import type { AppOptions, Library } from "./ports.ts";
import type { Entry, RunKind } from "./schemas.ts";

/** Changes that go out at once: what a slow reader holds in memory. */
const MAX_GATHERED = 64;
/** Runs that go on and are told of at the start. */
const MAX_RUNNING = 500;

/**
 * Of a run that changes more often than the reader reads, only the last state is sent: what is kept for a reader is which
 * runs have changed. Numbers count the messages; a client that comes again gets a new snapshot.
 */
export function openHistory(
  library: Pick<Library, "history" | "attention" | "entry" | "subscribe">,
  { ending, onError, heartbeatMs = HEARTBEAT_MS }: Pick<AppOptions, "ending" | "onError"> & {
    readonly heartbeatMs?: number;
  },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const changed = new Set<string>();
  let wake = (_reason: "more" | "heartbeat") => {};
  let leave: (() => void) | undefined;
  let isGone = false;
  let nextId = 0;
  const message = (name: string, value: unknown) =>
    serverSentEvent(name, { json: JSON.stringify(value), id: nextId++ });

  const enter = () => {
    const onEnding = () => wake("more");
    const unsubscribe = library.subscribe((change) => {
      changed.add("entry" in change ? keyOf(change.entry) : keyOf(change.removed));
      wake("more");
    });
    const heartbeat = setInterval(() => wake("heartbeat"), heartbeatMs);
    ending.addEventListener("abort", onEnding);
    leave = () => {
      unsubscribe();
      clearInterval(heartbeat);
      ending.removeEventListener("abort", onEnding);
    };
    const entries = new Map<string, Entry>();
    for (const entry of library.attention()) entries.set(keyOf(entry), entry);
    for (const entry of library.history({ status: "running", limit: MAX_RUNNING }).entries) {
      entries.set(keyOf(entry), entry);
    }
    return encoder.encode(STREAM_HEAD + message("snapshot", { entries: [...entries.values()] }));
  };

  /** Empty: there will be no more. */
  const next = async (): Promise<Uint8Array> => {
    if (leave === undefined) return enter();
    if (changed.size === 0 && !ending.aborted) {
      const { promise, resolve } = Promise.withResolvers<"more" | "heartbeat">();
      wake = resolve;
      if (await promise === "heartbeat") return HEARTBEAT;
    }
    let messages = "";
    for (const key of [...changed.values().take(MAX_GATHERED)]) {
      changed.delete(key);
      const [kind, id] = parseKey(key);
      const entry = library.entry(kind, id);
      messages += entry === undefined ? message("removed", { kind, id }) : message("entry", entry);
    }
    return encoder.encode(messages);
  };

  return new ReadableStream<Uint8Array>({
    // Not sooner: an answer to HEAD is never read.
    async pull(controller) {
      try {
        const messages = await next();
        if (isGone) return;
        if (messages.length > 0) return controller.enqueue(messages);
        leave?.();
        controller.close();
      } catch (error) {
        leave?.();
        onError(error);
        controller.error(error);
      }
    },
    cancel() {
      isGone = true;
      leave?.();
      wake("more");
    },
  }, { highWaterMark: 0 });
}

function keyOf({ kind, id }: { readonly kind: RunKind; readonly id: string }): string {
  return `${kind} ${id}`;
}

function parseKey(key: string): [kind: RunKind, id: string] {
  const space = key.indexOf(" ");
  return [key.slice(0, space) as RunKind, key.slice(space + 1)];
}
