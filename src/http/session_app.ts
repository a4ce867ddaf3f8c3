/** The HTTP interface of one session: its page, its state as JSON, its events as a stream, and its controls. */
import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import * as z from "zod/mini";
import { eventData } from "../events/event.ts";
import type { Control } from "../orchestrate/ports.ts";
import type { SessionState } from "../orchestrate/session.ts";
import { joinBytes, serverSentEvent } from "./event_file.ts";
import type { EventStreams } from "./event_streams.ts";
import { guard, secureHeaders } from "./guard.ts";
import { sessionPage } from "./session_page.ts";
import {
  decisionRecords,
  planRecord,
  questionRecords,
  recoveryRecords,
  reviewRecords,
  sessionRecord,
  summaryRecord,
  workerRecords,
} from "./session_records.ts";

export interface SessionAppOptions {
  readonly state: SessionState;
  readonly streams: EventStreams;
  /** Carries a control out at once: then it is among `state.controls`, unless the session is ending. */
  take(control: Control): void;
  /** Undefined: everybody on this machine may, but for its agents. */
  readonly token: string | undefined;
  /** Why the program at the other end of this connection may not control the session; undefined: it may. */
  refusalOf(client: Deno.NetAddr, command: Control["command"]): string | undefined;
  /** Milliseconds since 1970. */
  now(): number;
  /** Told of what should not have happened; the client is not. */
  onError(error: unknown): void;
}

/** What comes with a request besides itself. */
export interface Connection {
  readonly client: Deno.NetAddr;
}

type SessionContext = Context<{ Bindings: Connection }>;

const MAX_BODY_BYTES = 64 * 1024;
/** How soon a browser asks again for a stream that has ended. */
const RETRY_MS = 2000;
const DEFAULT_NAME = "dashboard";

const text = z.nullish(z.string({ error: "has to be text" }));
const by = z.nullish(
  z.string({ error: "has to be text" }).check(
    z.regex(/^[^\x00-\x1f\x7f]{1,100}$/, "has to be a name of 1 to 100 characters"),
  ),
);
const hold = z.strictObject({ text, by });
const needed = "has to be text that is not empty";
const bodies = {
  pause: hold,
  resume: hold,
  stop: hold,
  review: z.strictObject({ worker: text, text, by }),
  answer: z.strictObject({ text: z.string({ error: needed }).check(z.regex(/\S/, needed)), question: text, by }),
} satisfies Record<Control["command"], unknown>;
const commands = Object.keys(bodies) as Control["command"][];

export function createSessionApp(options: SessionAppOptions): Hono<{ Bindings: Connection }> {
  const { state, now } = options;
  const app = new Hono<{ Bindings: Connection }>();
  app.use(secureHeaders);
  app.use(guard(options.token));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
    options.onError(error);
    return c.json({ error: "Something went wrong here; the session's log tells what" }, 500);
  });
  app.notFound((c) => c.json({ error: "There is no such path" }, 404));

  const reads: Record<string, (c: Context) => Response> = {
    "/health": (c) => c.json({ ok: true }),
    "/api/session": (c) => c.json(sessionRecord(state, now())),
    "/api/workers": (c) => c.json(workerRecords(state)),
    "/api/reviews": (c) => c.json(reviewRecords(state)),
    "/api/decisions": (c) => c.json(decisionRecords(state)),
    "/api/recovery": (c) => c.json(recoveryRecords(state)),
    "/api/questions": (c) => c.json(questionRecords(state)),
    "/api/summary": (c) => c.json(summaryRecord(state, now())),
    "/api/plan": (c) => c.json(planRecord(state) ?? notYet("There is no plan yet")),
    "/api/events/stream": (c) => streamEvents(c, options),
  };
  for (const [path, { type, content }] of sessionPage) {
    reads[path] = (c) => c.body(content, 200, { "content-type": type });
  }
  for (const [path, read] of Object.entries(reads)) {
    app.get(path, read);
    app.all(path, (c) => refuseMethod(c, "GET, HEAD"));
  }
  for (const command of commands) {
    const path = `/api/control/${command}`;
    app.post(path, (c) => control(c, command, options));
    app.all(path, (c) => refuseMethod(c, "POST"));
  }
  return app;
}

function notYet(message: string): never {
  throw new HTTPException(404, { message });
}

function refuseMethod(c: Context, allow: string): Response {
  c.header("allow", allow);
  return c.json({ error: `${c.req.method} is not possible here; use ${allow}` }, 405);
}

/**
 * First a `snapshot`, which is the summary, then each event after it. A client that names the last event it has (with
 * `Last-Event-ID`, which browsers send by themselves, or else `?since=`) gets all events after that one.
 */
function streamEvents(c: Context, { state, streams, now }: SessionAppOptions): Response {
  const types = chosenTypes(c.req.query("types"));
  const latest = state.seq - 1;
  const known = lastKnown(c.req.header("last-event-id"), c.req.query("since"));
  // A number that is still to come is that of another session, which was served here before.
  const after = known === undefined || known > latest ? latest : known;
  const json = JSON.stringify(summaryRecord(state, now()));
  // The id is where a client goes on that is cut off before its first event; one that resumes has its own.
  const snapshot = serverSentEvent("snapshot", { json, ...(after === latest && latest >= 0 && { id: latest }) });
  return c.body(streams.open({ head: `retry: ${RETRY_MS}\n${snapshot}`, after, types }), 200, {
    "content-type": "text/event-stream; charset=utf-8",
    // Proxies that gather answers would hold the events back.
    "x-accel-buffering": "no",
  });
}

function chosenTypes(list: string | undefined): Set<string> | undefined {
  if (list === undefined) return undefined;
  const types = list.split(",").map((type) => type.trim()).filter((type) => type !== "");
  const unknown = types.find((type) => !Object.hasOwn(eventData, type));
  if (unknown !== undefined) {
    throw new HTTPException(400, { message: `types: there are no events of type ${JSON.stringify(unknown)}` });
  }
  return new Set(types);
}

function lastKnown(header: string | undefined, since: string | undefined): number | undefined {
  // A browser that reconnects sends the address of its first request, too, with the `since` of then.
  if (header !== undefined && /^\d{1,15}$/.test(header)) return Number(header);
  if (since === undefined) return undefined;
  if (!/^(?:-1|\d{1,15})$/.test(since)) {
    throw new HTTPException(400, { message: "since: has to be the number of an event, or -1 for all of them" });
  }
  return Number(since);
}

async function control(c: SessionContext, command: Control["command"], options: SessionAppOptions): Promise<Response> {
  const { state, take, now } = options;
  const refusal = options.refusalOf(c.env.client, command);
  if (refusal !== undefined) throw new HTTPException(403, { message: refusal });
  const body: { worker?: string | null; text?: string | null; question?: string | null; by?: string | null } =
    await readBody(c, command);
  const { worker = null, question = null } = body;
  if (state.finish !== null) {
    throw new HTTPException(409, { message: `The session has ended already: ${state.status}` });
  }
  if (worker !== null && !state.workers.has(worker)) {
    throw new HTTPException(404, { message: `There is no worker ${JSON.stringify(worker)}` });
  }
  if (command === "answer") requireOpenQuestion(state, question);
  const id = `${now()}-${crypto.randomUUID().slice(0, 8)}`;
  take({ id, command, worker, question, text: body.text ?? "", by: body.by ?? DEFAULT_NAME });
  if (!state.controls.has(id)) throw new HTTPException(409, { message: "The session is just ending" });
  return c.json({ control: id, command }, 202);
}

async function readBody(c: Context, command: Control["command"]) {
  const content = await readText(c.req.raw);
  const type = c.req.header("content-type");
  // A page of another site can send text and forms without being asked for its origin first, but no JSON.
  if (type === undefined ? content !== "" : !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new HTTPException(415, { message: "The body has to be JSON, with `Content-Type: application/json`" });
  }
  const parsed = z.safeParse(bodies[command], content.trim() === "" ? {} : parseJson(content));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    throw new HTTPException(400, { message: `${JSON.stringify(issue.keys[0])} is no field of ${command}` });
  }
  const field = issue.path.join(".");
  throw new HTTPException(400, {
    message: field === "" ? "The body has to be a JSON object" : `${field}: ${issue.message}`,
  });
}

async function readText({ headers, body }: Request): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  requireSmall(Number(headers.get("content-length") ?? 0));
  for await (const piece of body ?? []) {
    pieces.push(piece);
    length += piece.length;
    requireSmall(length);
  }
  return new TextDecoder().decode(joinBytes(pieces, length));
}

function requireSmall(bytes: number): void {
  if (bytes <= MAX_BODY_BYTES) return;
  throw new HTTPException(413, { message: `The body is larger than ${MAX_BODY_BYTES} bytes` });
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new HTTPException(400, { message: "The body is no JSON" });
  }
}

function requireOpenQuestion(state: SessionState, question: string | null): void {
  if (question !== null && !state.questions.has(question)) {
    throw new HTTPException(404, { message: `There is no question ${JSON.stringify(question)}` });
  }
  const open = [...state.questions.values()].filter(({ answer }) => answer === null);
  if (!open.some(({ id }) => question === null || id === question)) {
    const message = question === null ? "There is no open question" : "The question has been answered already";
    throw new HTTPException(409, { message });
  }
}
