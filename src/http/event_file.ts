/** The log of a run as server-sent events: read from the file in blocks, and found by number. */

/** Where the bytes of a log come from. Everything throws when it cannot be read. */
export interface LogFile {
  /** Fills `into` with what stands at this offset; returns the number of bytes, which is less at the end of the file. */
  read(offset: number, into: Uint8Array): number;
  /** In bytes. */
  size(): number;
}

export interface EventBlock {
  /** Offset in the file of what comes after the block. */
  readonly end: number;
  /** One server-sent event for each event of the log, in order. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each of them is in `bytes`. */
  readonly events: readonly SentEvent[];
}

interface SentEvent {
  readonly seq: number;
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

const BLOCK_BYTES = 64 * 1024;
/** A longer line is passed over: no event of ours is. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
/** Readers that keep up ask for the same block one after another. */
const KEPT_BLOCKS = 8;
const KEPT_BLOCK_BYTES = 4 * BLOCK_BYTES;
const LF = 0x0a;
/** What may stand in a line of its own, as `event:` does. */
const EVENT_NAME = /^[\w.]{1,64}$/;

/**
 * What gives an event its number: its own `seq`, or the place of its line in the file, in bytes, for logs whose events
 * have none.
 */
export type Numbering = "seq" | "offset";

export interface EventFileOptions {
  /** Default: `seq`. */
  readonly numbering?: Numbering;
  /** Takes secrets out of what is sent; left out: the log has none. */
  readonly redactor?: Masking;
}

/** What a `Redactor` can do. */
interface Masking {
  redact(text: string): string;
  redactDeep<T>(value: T): T;
}

/**
 * Lines that are no event, such as one that was torn by the death of its writer, are passed over. Memory is bounded by
 * the longest line, however many readers there are. Numbers have to rise through the file.
 */
export class EventFile {
  readonly #file: LogFile;
  readonly #options: EventFileOptions;
  readonly #kept = new Map<number, EventBlock>();
  readonly #scratch = new Uint8Array(BLOCK_BYTES);

  constructor(file: LogFile, options: EventFileOptions = {}) {
    this.#file = file;
    this.#options = options;
  }

  /** The whole lines from an offset on, which has to be 0 or the end of another block; undefined: there is none yet. */
  blockAt(offset: number): EventBlock | undefined {
    const kept = this.#kept.get(offset);
    if (kept !== undefined) return kept;
    const block = this.#readBlock(offset);
    if (block === undefined || block.bytes.length > KEPT_BLOCK_BYTES) return block;
    this.#kept.set(offset, block);
    if (this.#kept.size > KEPT_BLOCKS) this.#kept.delete(this.#kept.keys().next().value!);
    return block;
  }

  /**
   * The start of a line that is never behind the first event with a greater number, and at most a block before it, but
   * for a log that has a long way without events.
   */
  offsetAfter(seq: number): number {
    let low = 0;
    let high = this.#file.size();
    while (high - low > BLOCK_BYTES) {
      const middle = low + Math.floor((high - low) / 2);
      const next = this.#firstEventBehind(middle);
      if (next === undefined || next.offset >= high || next.seq > seq) high = middle;
      else low = next.offset;
    }
    return low;
  }

  /** Whether there is an event with this number or a greater one; a long way without events is not gone for it. */
  has(seq: number): boolean {
    const start = this.offsetAfter(seq - 1);
    let block = this.blockAt(start);
    while (block !== undefined && (block.events.at(-1)?.seq ?? -1) < seq) {
      block = block.end < start + MAX_LINE_BYTES ? this.blockAt(block.end) : undefined;
    }
    return block !== undefined;
  }

  #firstEventBehind(offset: number): { seq: number; offset: number } | undefined {
    let start = this.#nextLine(offset);
    while (start !== undefined && start < offset + MAX_LINE_BYTES) {
      const block = this.#readBlock(start);
      const event = block?.events[0];
      if (event !== undefined) return { seq: event.seq, offset: start };
      start = block?.end;
    }
    return undefined;
  }

  #readBlock(offset: number): EventBlock | undefined {
    let buffer = this.#scratch;
    for (;;) {
      const read = buffer.subarray(0, this.#file.read(offset, buffer));
      const length = read.lastIndexOf(LF) + 1;
      if (length > 0) {
        const start = this.#isLineStart(offset) ? 0 : read.indexOf(LF) + 1;
        return toBlock(read.subarray(start, length), offset + start, this.#options);
      }
      if (read.length < buffer.length) return undefined;
      // Not to its end, which may be far away: others have their turn before that.
      if (buffer.length >= MAX_LINE_BYTES) return { end: offset + read.length, bytes: new Uint8Array(), events: [] };
      buffer = new Uint8Array(4 * buffer.length);
    }
  }

  /** False: what was before it was passed over, in the midst of a line. */
  #isLineStart(offset: number): boolean {
    const before = new Uint8Array(1);
    return offset === 0 || this.#file.read(offset - 1, before) === 0 || before[0] === LF;
  }

  /** The first start of a line behind an offset; undefined: there is none for as long as a line may be. */
  #nextLine(offset: number): number | undefined {
    for (let from = offset; from < offset + MAX_LINE_BYTES;) {
      const read = this.#scratch.subarray(0, this.#file.read(from, this.#scratch));
      const at = read.indexOf(LF);
      if (at !== -1) return from + at + 1;
      if (read.length === 0) return undefined;
      from += read.length;
    }
    return undefined;
  }
}

/** A message of the stream. The text may not be empty. */
export function serverSentEvent(name: string, { json, id }: { readonly json: string; readonly id?: number }): string {
  // A line feed cannot stand inside JSON text, a carriage return can where space may, and would end the line here.
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${json.replaceAll(/[\r\n]/g, " ")}\n\n`;
}

/** Of whole lines, which begin at `offset`. */
function toBlock(
  lines: Uint8Array,
  offset: number,
  { numbering = "seq", redactor }: EventFileOptions,
): EventBlock {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const pieces: Uint8Array[] = [];
  const events: SentEvent[] = [];
  let length = 0;
  for (let from = 0, to = lines.indexOf(LF); to !== -1; from = to + 1, to = lines.indexOf(LF, from)) {
    const line = decoder.decode(lines.subarray(from, to));
    const event = parseEvent(line);
    const seq = numbering === "offset" ? offset + from : event?.seq;
    if (event === undefined || seq === undefined) continue;
    const { type } = event;
    const piece = encoder.encode(serverSentEvent(type, { json: maskedJson(line, redactor), id: seq }));
    events.push({ seq, type, start: length, end: length + piece.length });
    pieces.push(piece);
    length += piece.length;
  }
  return { end: offset + lines.length, bytes: joinBytes(pieces, length), events };
}

export function joinBytes(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function maskedJson(line: string, redactor: Masking | undefined): string {
  // Nearly always, and far sooner than value by value.
  if (redactor === undefined || redactor.redact(line) === line) return line;
  return JSON.stringify(redactor.redactDeep(JSON.parse(line)));
}

function parseEvent(line: string): { seq: number | undefined; type: string } | undefined {
  if (line === "") return undefined;
  try {
    const { seq, type } = JSON.parse(line) ?? {};
    if (typeof type !== "string" || !EVENT_NAME.test(type)) return undefined;
    return { seq: Number.isSafeInteger(seq) ? seq : undefined, type };
  } catch {
    return undefined;
  }
}
