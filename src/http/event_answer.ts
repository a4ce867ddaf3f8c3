/** Answers with the events of a run: how it stands, then each event after that. */
import * as z from "zod/mini";
import { eventData } from "../events/event.ts";
import { serverSentEvent } from "./event_file.ts";
import type { EventStreams } from "./event_streams.ts";
import { Refused } from "./ports.ts";
import type { AppContext } from "./route.ts";

/** How soon a browser asks again for a stream that has ended. */
const RETRY_MS = 2000;

export const eventsQuery = z.strictObject({
  /** Names with commas between; left out: all. */
  types: z.optional(z.string()),
  since: z.optional(
    z.string().check(z.regex(/^(?:-1|\d{1,15})$/, "has to be the number of an event, or -1 for all of them")),
  ),
});

/**
 * First a `snapshot`, which takes account of all events up to `latest`, then each event after it. A client that names the
 * last event it has (with `Last-Event-ID`, which browsers send by themselves, or else `?since=`) gets all after that one.
 */
export function answerEvents(c: AppContext, { streams, snapshot, latest, query }: {
  readonly streams: EventStreams;
  readonly snapshot: unknown;
  readonly latest: number;
  readonly query: z.output<typeof eventsQuery>;
}): Response {
  const types = chosenTypes(query.types);
  const known = lastKnown(c.req.header("last-event-id"), query.since);
  // A number that is nowhere in the log is that of another run, which was served under this address before.
  const after = known !== undefined && (known <= latest || streams.has(known)) ? known : latest;
  const json = JSON.stringify(snapshot);
  // The id is where a client goes on that is cut off before its first event; one that resumes has its own.
  const first = serverSentEvent("snapshot", { json, ...(after === latest && latest >= 0 && { id: latest }) });
  return sendEvents(c, streams.open({ head: STREAM_HEAD + first, after, types }));
}

export const STREAM_HEAD = `retry: ${RETRY_MS}\n`;

export function sendEvents(c: AppContext, events: ReadableStream<Uint8Array>): Response {
  return c.body(events, 200, {
    "content-type": "text/event-stream; charset=utf-8",
    // Proxies that gather answers would hold the events back.
    "x-accel-buffering": "no",
  });
}

function chosenTypes(list: string | undefined): Set<string> | undefined {
  if (list === undefined) return undefined;
  const types = list.split(",").map((type) => type.trim()).filter((type) => type !== "");
  const unknown = types.find((type) => !Object.hasOwn(eventData, type));
  if (unknown !== undefined) throw new Refused(400, `types: there are no events of type ${JSON.stringify(unknown)}`);
  return new Set(types);
}

function lastKnown(header: string | undefined, since: string | undefined): number | undefined {
  // A browser that reconnects sends the address of its first request, too, with the `since` of then.
  if (header !== undefined && /^\d{1,15}$/.test(header)) return Number(header);
  return since === undefined ? undefined : Number(since);
}
