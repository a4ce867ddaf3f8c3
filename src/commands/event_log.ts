/** The log of events in a folder: read into a state, and gone on with by one process at a time. */
import { EventBus } from "../events/bus.ts";
import { type EventFact, type RunEvent, runEvent } from "../events/event.ts";
import { encodeJsonLine, JsonLinesDecoder } from "../events/json_lines.ts";
import { Failure, messageOf } from "../failure.ts";
import type { Redactor } from "../safety/secrets.ts";
import { AppendLog, readPieces } from "../store/append_log.ts";
import { exists } from "../store/exists.ts";
import { claimLock } from "../store/owner_lock.ts";
import type { ProcessIdentity } from "../store/process_identity.ts";

/** What events add up to. */
export interface Folding<S> {
  empty(): S;
  /** Adds one event, in place. */
  fold(state: S, event: RunEvent): void;
}

export interface EventLogOptions<S> extends Folding<S> {
  readonly path: string;
  readonly lockPath: string;
  /** What to throw when another process has the lock. */
  taken(owner: ProcessIdentity): Failure;
  readonly redactor: Redactor;
  now(): number;
  /** Told once, when an event could not be written. */
  onFailure(error: unknown): void;
}

/** What is published is on disk and in the state when `publish` returns, without secrets. */
export interface EventLog<S> extends Disposable {
  readonly state: S;
  readonly bus: EventBus;
  readonly publish: (fact: EventFact) => Promise<void>;
}

/** Throws a `Failure` when another process has the log, or its files cannot be read or written. */
export async function openEventLog<S>(options: EventLogOptions<S>): Promise<EventLog<S>> {
  const { path, redactor, fold } = options;
  const claim = claimLock(options.lockPath);
  if (claim.kind === "taken") throw options.taken(claim.owner);
  try {
    const isOld = await exists(path);
    const { state, after, isTorn } = isOld
      ? await readEventLog(path, options)
      : { state: options.empty(), after: undefined, isTorn: false };
    const log = AppendLog.open(path);
    if (isTorn) log.append("\n");
    let hasFailed = false;
    const bus = new EventBus({
      now: options.now,
      after,
      record: (event) => {
        fold(state, event);
        try {
          log.append(encodeJsonLine(event));
        } catch (error) {
          if (!hasFailed) options.onFailure(error);
          hasFailed = true;
        }
      },
    });
    return {
      state,
      bus,
      publish: ({ type, data }) => bus.publish({ type, data: redactor.redactDeep(data) } as EventFact),
      [Symbol.dispose]() {
        log.close();
        claim.release();
      },
    };
  } catch (error) {
    claim.release();
    throw error;
  }
}

export interface ReadEvents<S> {
  readonly state: S;
  /** Where a bus goes on; undefined: there is no event. */
  readonly after: { readonly firstSeq: number; readonly lastMs: number } | undefined;
  /** The file ends within a line. */
  readonly isTorn: boolean;
}

/** What the log adds up to so far. Lines that are no event, such as a torn last one, are passed over. */
export async function readEventLog<S>(path: string, { empty, fold }: Folding<S>): Promise<ReadEvents<S>> {
  const state = empty();
  let after: ReadEvents<S>["after"];
  let last = 0x0a;
  const decoder = new JsonLinesDecoder();
  using file = await Deno.open(path).catch((error) => {
    throw new Failure("environment", `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  });
  for await (const piece of readPieces(file, path)) {
    last = piece.at(-1) ?? last;
    for (const line of decoder.push(piece)) {
      const parsed = line.kind === "value" ? runEvent.safeParse(line.value) : undefined;
      if (!parsed?.success) continue;
      const event = parsed.data as RunEvent;
      fold(state, event);
      after = { firstSeq: event.seq + 1, lastMs: Date.parse(event.time) };
    }
  }
  return { state, after, isTorn: last !== 0x0a };
}
