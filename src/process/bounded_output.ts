/** Keeps the beginning and the end of an output of any size in a fixed amount of memory. */

const FIRST_ALLOCATION = 16 * 1024;

export interface OutputText {
  /** The kept bytes as UTF-8, U+FFFD for what is not; a line between beginning and end says how much is missing. */
  readonly text: string;
  /** Bytes that `text` leaves out. */
  readonly elidedBytes: number;
  /** Bytes that were pushed. */
  readonly totalBytes: number;
}

/**
 * One buffer of at most `maxBytes`: its first half is the beginning of the output, its second half a ring with the end.
 * A push costs one copy, however much came before.
 */
export class BoundedOutput {
  readonly #maxBytes: number;
  readonly #headBytes: number;
  #buffer = new Uint8Array(0);
  #totalBytes = 0;

  constructor(maxBytes: number) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 2) {
      throw new RangeError(`maxBytes must be an integer of at least 2, found ${maxBytes}`);
    }
    this.#maxBytes = maxBytes;
    this.#headBytes = Math.ceil(maxBytes / 2);
  }

  /** Copies what it keeps: the caller may reuse `chunk`. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#reserve(Math.min(this.#totalBytes + chunk.length, this.#maxBytes));

    const room = Math.max(0, this.#headBytes - this.#totalBytes);
    if (room > 0) this.#buffer.set(chunk.subarray(0, room), this.#totalBytes);
    const rest = chunk.subarray(room);
    if (rest.length > 0) this.#pushToRing(rest, Math.max(this.#totalBytes, this.#headBytes) - this.#headBytes);
    this.#totalBytes += chunk.length;
  }

  text(): OutputText {
    const totalBytes = this.#totalBytes;
    if (totalBytes <= this.#maxBytes) {
      return { text: decode(this.#buffer.subarray(0, totalBytes)), elidedBytes: 0, totalBytes };
    }
    const head = withoutCutCharacter(this.#buffer.subarray(0, this.#headBytes));
    const tail = withoutCutStart(this.#tail());
    const elidedBytes = totalBytes - head.length - tail.length;
    const before = decode(head);
    const gap = `${before === "" || before.endsWith("\n") ? "" : "\n"}[… ${elidedBytes} bytes left out …]\n`;
    return { text: before + gap + decode(tail), elidedBytes, totalBytes };
  }

  /** Grows by doubling, so that a short output costs little. */
  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(bytes, 2 * this.#buffer.length, FIRST_ALLOCATION)));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }

  /** `position`: how many bytes went into the ring before. Until it wraps, the ring is a plain growing array. */
  #pushToRing(bytes: Uint8Array, position: number): void {
    const size = this.#maxBytes - this.#headBytes;
    const kept = bytes.subarray(Math.max(0, bytes.length - size));
    const start = (position + bytes.length - kept.length) % size;
    const untilEnd = kept.subarray(0, size - start);
    this.#buffer.set(untilEnd, this.#headBytes + start);
    this.#buffer.set(kept.subarray(untilEnd.length), this.#headBytes);
  }

  /** The ring in order. Only called once it is full. */
  #tail(): Uint8Array {
    const ring = this.#buffer.subarray(this.#headBytes);
    const start = (this.#totalBytes - this.#headBytes) % ring.length;
    const tail = new Uint8Array(ring.length);
    tail.set(ring.subarray(start));
    tail.set(ring.subarray(0, start), ring.length - start);
    return tail;
  }
}

function decode(bytes: Uint8Array): string {
  // A byte order mark is part of what the command printed.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Drops a character at the end whose last bytes are missing. Bytes that are no UTF-8 at all stay. */
function withoutCutCharacter(bytes: Uint8Array): Uint8Array {
  let lead = bytes.length - 1;
  while (lead > 0 && lead > bytes.length - 4 && isContinuation(bytes[lead])) lead--;
  const first = bytes[lead] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return lead >= 0 && lead + length > bytes.length ? bytes.subarray(0, lead) : bytes;
}

/** Drops the last bytes of a character whose first bytes are missing. */
function withoutCutStart(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < 3 && isContinuation(bytes[start])) start++;
  return bytes.subarray(start);
}
