/** The events that agents write themselves, as JSON in their messages: the seed's "Event Format". */
import { isObject, type Json } from "../models/json.ts";
import type { AgentEvent } from "../events/session_events.ts";
import { clip, MAX_NAME, MAX_OUTPUT, MAX_TEXT, textOf } from "./stream_text.ts";

const TYPES = [
  "status",
  "progress",
  "finding",
  "task",
  "blocker",
  "milestone",
  "review",
  "request_review",
  "error",
] as const satisfies readonly AgentEvent["type"][];

export interface AgentLine {
  readonly type: typeof TYPES[number];
  /** ISO 8601 in UTC; null: the agent gave none that is a time. */
  readonly timestamp: string | null;
  /** Members that the format does not know are in `data`. */
  readonly payload: AgentEvent["payload"];
}

/** Beyond it a message is not looked through, in UTF-16 code units. */
const MAX_MESSAGE = 256 * 1024;
const MAX_OBJECT = 16 * 1024;
/** Each costs at most `MAX_OBJECT`. */
const MAX_TRIED = 200;
/** What may stand before an object on its line: space, quote and list marks, a code span. */
const OPENING = /^[\t >*-]{0,40}`?(?=\{)/;
const FENCE = /^[\t >]{0,40}(?:```|~~~)[^`]{0,100}$/;

/**
 * Takes the events out of a whole message. An object counts when it begins a line (alone, in a list, in a fenced block;
 * it may go on over several lines) and its `type` is one of the seed's; `payload` may be missing when `text` is beside
 * `type`, or may be a text. `rest` is the message without them, and without the fences that had nothing else.
 */
export function splitAgentLines(text: string): { events: AgentLine[]; rest: string } {
  const events: AgentLine[] = [];
  if (!text.includes("{")) return { events, rest: text };
  const rest: (string | null)[] = [];
  let tried = 0;
  for (let from = 0; from < text.length;) {
    const end = endOfLine(text, from);
    const line = text.slice(from, end);
    const opening = from < MAX_MESSAGE && tried < MAX_TRIED ? OPENING.exec(line) : null;
    const start = from + (opening?.[0].length ?? 0);
    const objectEnd = opening === null ? -1 : (tried++, endOfObject(text, start));
    const event = objectEnd === -1 ? null : agentLine(text.slice(start, objectEnd));
    if (event === null) {
      rest.push(line);
      from = end + 1;
      continue;
    }
    events.push(event);
    rest.push(null);
    const after = endOfLine(text, objectEnd);
    const left = text.slice(objectEnd, after).replace(/^[`,;.\t \r]+/, "");
    // Further objects may follow on the same line.
    from = left === "" ? after + 1 : after - left.length;
  }
  if (events.length === 0) return { events, rest: text };
  return { events, rest: withoutEmptiedFences(rest).join("\n").trim() };
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

/** The index after the bracket that closes the object; -1: it is not closed, or too far away. */
function endOfObject(text: string, start: number): number {
  const limit = Math.min(text.length, start + MAX_OBJECT);
  let depth = 0;
  let quoted = false;
  for (let at = start; at < limit; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === "{") depth++;
    else if (character === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

function agentLine(json: string): AgentLine | null {
  let value: unknown;
  try {
    // Whoever copies such a member would give the copy another prototype.
    value = JSON.parse(json, (key, member) => key === "__proto__" ? undefined : member);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const name = textOf(value.type).toLowerCase();
  const type = TYPES.find((known) => known === name);
  const payload = type === undefined ? null : payloadOf(value);
  if (type === undefined || payload === null) return null;
  return { type, timestamp: timestampOf(value.timestamp), payload };
}

/** Null: this object is something else that has a `type`. */
function payloadOf(event: Json): AgentLine["payload"] | null {
  const { type: _type, agent: _agent, timestamp: _timestamp, ...beside } = event;
  if (isObject(beside.payload)) return boundedPayload(beside.payload);
  if (typeof beside.payload === "string") return boundedPayload({ text: beside.payload });
  const known = ["text", "progress", "file", "data"];
  const isPayload = typeof beside.text === "string" || Object.keys(beside).every((key) => known.includes(key));
  return isPayload ? boundedPayload(beside) : null;
}

function boundedPayload(payload: Json): AgentLine["payload"] {
  const { text, message, progress: told, file, data: inner, ...others } = payload;
  const progress = typeof told === "number" ? told : Number.parseFloat(textOf(told));
  const data = { ...others, ...(isObject(inner) ? inner : inner === undefined ? {} : { data: inner }) };
  return {
    text: clip(textOf(text) || textOf(message), MAX_TEXT),
    ...(Number.isFinite(progress) ? { progress: Math.min(Math.max(progress, 0), 100) } : {}),
    ...(typeof file === "string" && file !== "" ? { file: clip(file, MAX_NAME) } : {}),
    ...(Object.keys(data).length > 0 && JSON.stringify(data).length <= MAX_OUTPUT ? { data } : {}),
  };
}

function timestampOf(value: unknown): string | null {
  const text = textOf(value);
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) || text.length > 40) return null;
  // Without a zone it would be taken for the time of this machine.
  const milliseconds = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds).toISOString();
}

/** `lines` with null where an event was. */
function withoutEmptiedFences(lines: readonly (string | null)[]): string[] {
  const kept: string[] = [];
  let opened = -1;
  let hadEvent = false;
  for (const line of lines) {
    if (line === null) {
      hadEvent = true;
    } else if (!FENCE.test(line)) {
      kept.push(line);
    } else if (opened === -1) {
      opened = kept.push(line) - 1;
      hadEvent = false;
    } else {
      const isEmptied = hadEvent && kept.slice(opened + 1).every((inside) => inside.trim() === "");
      if (isEmptied) kept.length = opened;
      else kept.push(line);
      opened = -1;
    }
  }
  return kept;
}
