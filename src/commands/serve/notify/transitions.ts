/** What there is to tell of a run as it stands. */
import type { Entry } from "../../../http/schemas.ts";
import type { NotifyEvent } from "./read_places.ts";

export interface Transition {
  readonly event: NotifyEvent;
  /** The same for as long as it is the same one. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

const FAILED: ReadonlySet<string> = new Set(["failed", "cut_off", "error"]);
/** Of a worker's name. */
const MOST_NAME = 100;

/** A run that has failed does not need attention as well: that is the same news. */
export function transitionsOf(
  { running, status, attention, started_at, ended_at, last_event_at }: Entry,
): Transition[] {
  // Nobody knows what has happened to it.
  if (status === "unreadable") return [];
  const lastMs = millisecondsOf(ended_at ?? last_event_at ?? started_at);
  const isFailure = FAILED.has(status) || attention.some(({ kind }) => FAILED.has(kind));
  const end = isFailure ? "failure" : "finish";
  return [
    ...running ? [] : [{ event: end, key: `${end}@${lastMs}`, atMs: lastMs } as const],
    ...attention.filter(({ kind }) => !FAILED.has(kind)).map(({ kind, worker, since }) => {
      const atMs = since === null ? lastMs : millisecondsOf(since);
      const key = `${kind}@${since === null ? "" : atMs}@${(worker ?? "").slice(0, MOST_NAME)}`;
      return { event: "attention", key, atMs } as const;
    }),
  ];
}

/** When it was heard of last. */
export function lastMsOf({ started_at, ended_at, last_event_at }: Entry): number {
  return millisecondsOf(ended_at ?? last_event_at ?? started_at);
}

function millisecondsOf(time: string | null): number {
  return Date.parse(time ?? "") || 0;
}
