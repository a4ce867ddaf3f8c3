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
 * Lines that are no event, such as one that was torn by the death of its writer, are passed over. Memory is bounded by
 * the longest line, however many readers there are. Numbers have to rise through the file.
 */
export class EventFile {
  readonly #file: LogFile;
  readonly #kept = new Map<number, EventBlock>();
  readonly #scratch = new Uint8Array(BLOCK_BYTES);

  constructor(file: LogFile) {
    this.#file = file;
  }

  /** The whole lines at an offset, which has to be the start of one; undefined: there is none yet. */
  blockAt(offset: number): EventBlock | undefined {
    const kept = this.#kept.get(offset);
    if (kept !== undefined) return kept;
    const block = this.#readBlock(offset);
    if (block === undefined || block.bytes.length > KEPT_BLOCK_BYTES) return block;
    this.#kept.set(offset, block);
    if (this.#kept.size > KEPT_BLOCKS) this.#kept.delete(this.#kept.keys().next().value!);
    return block;
  }

  /** The start of a line that is at most a block before the first event with a greater number, and never behind it. */
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

  #firstEventBehind(offset: number): { seq: number; offset: number } | undefined {
    let start = this.#nextLine(offset);
    while (start !== undefined) {
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
      if (length > 0) return toBlock(read.subarray(0, length), offset + length);
      if (read.length < buffer.length) return undefined;
      if (buffer.length >= MAX_LINE_BYTES) {
        const end = this.#nextLine(offset + read.length);
        return end === undefined ? undefined : toBlock(new Uint8Array(), end);
      }
      buffer = new Uint8Array(4 * buffer.length);
    }
  }

  /** The first start of a line behind an offset. */
  #nextLine(offset: number): number | undefined {
    for (let from = offset;;) {
      const read = this.#scratch.subarray(0, this.#file.read(from, this.#scratch));
      const at = read.indexOf(LF);
      if (at !== -1) return from + at + 1;
      if (read.length === 0) return undefined;
      from += read.length;
    }
  }
}

/** A message of the stream. The text may not be empty. */
export function serverSentEvent(name: string, { json, id }: { readonly json: string; readonly id?: number }): string {
  // A line feed cannot stand inside JSON text, a carriage return can where space may, and would end the line here.
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${json.replaceAll(/[\r\n]/g, " ")}\n\n`;
}

function toBlock(lines: Uint8Array, end: number): EventBlock {
  const encoder = new TextEncoder();
  const pieces: Uint8Array[] = [];
  const events: SentEvent[] = [];
  let length = 0;
  for (const line of new TextDecoder().decode(lines).split("\n")) {
    const event = parseEvent(line);
    if (event === undefined) continue;
    const { seq, type } = event;
    const piece = encoder.encode(serverSentEvent(type, { json: line, id: seq }));
    events.push({ seq, type, start: length, end: length + piece.length });
    pieces.push(piece);
    length += piece.length;
  }
  return { end, bytes: joinBytes(pieces, length), events };
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

function parseEvent(line: string): { seq: number; type: string } | undefined {
  if (line === "") return undefined;
  try {
    const { seq, type } = JSON.parse(line) ?? {};
    return Number.isSafeInteger(seq) && typeof type === "string" && EVENT_NAME.test(type) ? { seq, type } : undefined;
  } catch {
    return undefined;
  }
}
