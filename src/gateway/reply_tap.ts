/** Shows a reader what a reply says while its bytes go past to the client. */
import { isObject } from "../models/json.ts";
import type { ReplyReader } from "./dialect.ts";
import { textBytes } from "./dialects/reply_fields.ts";

/** Holds back nothing, changes nothing, never throws. */
export interface ReplyTap {
  push(chunk: Uint8Array): void;
  /** The reply is over, whole or not; what came of it is read. */
  end(): void;
  /** The stream said that it is over: `[DONE]`, which ends a chat reply as well as a finish reason does. */
  readonly sawDone: boolean;
}

/** What one line of a stream, or the data of one event, may have; longer ones are not read. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024;
/** What a reply that is no stream may have; a longer one is not read. */
const MAX_DOCUMENT_LENGTH = 64 * 1024 * 1024;

/** Whether the value of a `content-type` header is that of server-sent events. */
export function isEventStream(contentType: string | null): boolean {
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(contentType ?? "");
}

/**
 * Reads server-sent events, or otherwise a JSON document when the reply has ended. `contentType` is the header's value. A
 * reply that does not call itself an event stream and does not begin like a document either is read as one all the same:
 * some proxies lose the header.
 */
export function createReplyTap(reader: ReplyReader, contentType: string | null): ReplyTap {
  return new Tap(reader, isEventStream(contentType));
}

class Tap implements ReplyTap {
  readonly #decoder = new TextDecoder();
  readonly #reader: ReplyReader;
  readonly #events: EventReader;
  readonly #saysEvents: boolean;
  #format: "events" | "document" | "unclear";
  #bytes = 0;
  #document: LongText | undefined = new LongText(MAX_DOCUMENT_LENGTH);
  #hasEnded = false;

  constructor(reader: ReplyReader, isEventStream: boolean) {
    this.#reader = reader;
    this.#events = new EventReader(reader);
    this.#saysEvents = isEventStream;
    this.#format = isEventStream ? "events" : "unclear";
  }

  get sawDone(): boolean {
    return this.#events.sawDone;
  }

  push(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#bytes += chunk.byteLength;
    this.#take(this.#decoder.decode(chunk, { stream: true }));
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#take(this.#decoder.decode());
    this.#hasEnded = true;
    this.#events.end();
    const document = this.#document?.take();
    this.#document = undefined;
    const isRead = this.#format === "document"
      ? document !== undefined && takeDocument(document, this.#reader)
      : this.#saysEvents || this.#events.sawEvent;
    if (!isRead) this.#reader.skip(this.#bytes);
  }

  #take(text: string): void {
    if (this.#format === "unclear") {
      text = text.trimStart();
      if (text === "") return;
      this.#format = text.startsWith("{") || text.startsWith("[") ? "document" : "events";
    }
    if (this.#format === "events") this.#events.take(text);
    else this.#document?.add(text);
  }
}

/** A text that comes in pieces of any size, and is dropped when it gets too long. */
class LongText {
  readonly #maxLength: number;
  #blocks: string[] = [];
  /** Joined in groups, so that a text that comes byte by byte does not cost a list entry for each. */
  #pieces: string[] = [];
  #length = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(piece: string): void {
    this.#length += piece.length;
    if (this.#length > this.#maxLength) {
      this.#blocks = [];
      this.#pieces = [];
      return;
    }
    this.#pieces.push(piece);
    if (this.#pieces.length < 1_024) return;
    this.#blocks.push(this.#pieces.join(""));
    this.#pieces = [];
  }

  /** The text, undefined when it was too long; then begins anew. */
  take(): string | undefined {
    const text = this.#length > this.#maxLength ? undefined : [...this.#blocks, ...this.#pieces].join("");
    this.#blocks = [];
    this.#pieces = [];
    this.#length = 0;
    return text;
  }
}

/** The event stream format of the HTML standard, as far as `data` goes. */
class EventReader {
  readonly #reader: ReplyReader;
  /** The beginning of a line whose end has not come. */
  readonly #line = new LongText(MAX_EVENT_LENGTH);
  #data: string | undefined;
  #isTooLong = false;
  /** The last character was a CR: an LF that follows belongs to it. */
  #endedWithCr = false;
  sawDone = false;
  sawEvent = false;

  constructor(reader: ReplyReader) {
    this.#reader = reader;
  }

  take(text: string): void {
    if (text === "") return;
    let at = this.#endedWithCr && text.startsWith("\n") ? 1 : 0;
    this.#endedWithCr = text.endsWith("\r");
    let lf = text.indexOf("\n", at);
    let cr = text.indexOf("\r", at);
    while (lf >= 0 || cr >= 0) {
      const end = cr < 0 || (lf >= 0 && lf < cr) ? lf : cr;
      this.#takeLine(this.#line.isEmpty ? text.slice(at, end) : this.#completeLine(text.slice(at, end)));
      at = end === cr && lf === cr + 1 ? end + 2 : end + 1;
      if (lf >= 0 && lf < at) lf = text.indexOf("\n", at);
      if (cr >= 0 && cr < at) cr = text.indexOf("\r", at);
    }
    if (at < text.length) this.#line.add(text.slice(at));
  }

  end(): void {
    if (!this.#line.isEmpty) this.#takeLine(this.#completeLine(""));
    this.#dispatch({ isBroken: true });
  }

  #completeLine(rest: string): string | undefined {
    this.#line.add(rest);
    return this.#line.take();
  }

  /** `line`: undefined when it was too long to keep. */
  #takeLine(line: string | undefined): void {
    if (line === undefined) {
      this.#isTooLong = true;
    } else if (line === "") {
      this.#dispatch();
    } else if (line.startsWith("data:") || line === "data") {
      const value = line.slice(line.charCodeAt(5) === 0x20 ? 6 : 5);
      if ((this.#data?.length ?? 0) + value.length > MAX_EVENT_LENGTH) this.#isTooLong = true;
      else this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    }
  }

  /** `isBroken`: its end never came. Most of what there is of it is its frame, and no output. */
  #dispatch({ isBroken = false } = {}): void {
    const data = this.#data;
    const isTooLong = this.#isTooLong;
    this.#data = undefined;
    this.#isTooLong = false;
    this.sawEvent ||= isTooLong || data !== undefined;
    if (isTooLong) this.#reader.skip(MAX_EVENT_LENGTH);
    else if (data?.trim() === "[DONE]") this.sawDone = true;
    else if (data !== undefined && !takeJson(parse(data), this.#reader) && !isBroken) {
      this.#reader.skip(textBytes(data));
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A document, or a list of them, which is how Gemini streams without `alt=sse`. Returns whether there was one. */
function takeJson(value: unknown, reader: ReplyReader): boolean {
  const documents = (Array.isArray(value) ? value : [value]).filter(isObject);
  for (const document of documents) reader.take(document);
  return documents.length > 0;
}

/** Returns whether anything of it could be read. */
function takeDocument(text: string, reader: ReplyReader): boolean {
  const value = parse(text);
  if (value !== undefined) return takeJson(value, reader);
  return text.startsWith("[") && takeWholeEntries(text, reader);
}

/** Of a list that broke off, the entries that are whole. Returns whether there was one. */
function takeWholeEntries(text: string, reader: ReplyReader): boolean {
  let isRead = false;
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at);
        break;
      case "[":
      case "{":
        if (++depth === 2) start = at;
        break;
      case "]":
      case "}":
        if (--depth === 1 && takeJson(parse(text.slice(start, at + 1)), reader)) isRead = true;
    }
  }
  return isRead;
}

/** Where the string that begins at `start` has its closing quote; the text's end when it has none. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === '"') return at;
  }
  return text.length;
}
