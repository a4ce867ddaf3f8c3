/** JSON Lines: values to lines, and bytes that arrive in any pieces back to values. */

/**
 * The value as one line with its line feed. Lone surrogates become U+FFFD, because strict parsers refuse the whole line
 * for one; the line separators of Unicode are escaped, because many programs split at them although they may stand in
 * JSON strings. Throws a `TypeError` for what JSON cannot express: undefined, functions, big integers, cycles.
 */
export function encodeJsonLine(value: unknown): string {
  let json: string | undefined = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`Cannot encode a JSON line: found ${typeof value}`);
  // Each match is a whole escape, so that a backslash that is itself escaped cannot be taken for the start of one.
  if (json.includes("\\ud")) {
    json = json.replaceAll(/\\(?:u[0-9a-f]{4}|.)/g, (escape) => escape.startsWith("\\ud") ? "\ufffd" : escape);
  }
  return json.replaceAll(/[\x85\u2028\u2029]/g, (separator) => LINE_SEPARATORS[separator]!) + "\n";
}

const LINE_SEPARATORS: Readonly<Record<string, string>> = {
  "\x85": "\\u0085",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

export type JsonLine =
  | { readonly kind: "value"; readonly value: unknown }
  /** The line is no JSON; `text` is its first 200 characters. */
  | { readonly kind: "invalid"; readonly text: string }
  /** The line, of this length, was passed over. */
  | { readonly kind: "too_long"; readonly bytes: number };

const DEFAULT_MAX_LINE_BYTES = 16 * 1024 * 1024;
const SHOWN_CHARACTERS = 200;
const LF = 0x0a;
const CR = 0x0d;
/** A buffer up to this size is kept for the next line. */
const KEPT_BUFFER_BYTES = 64 * 1024;

/**
 * Splits on LF only: U+2028 and a lone CR are legal inside JSON text. A CR before the LF is dropped, blank lines are
 * passed over, bytes that are not UTF-8 become U+FFFD. Time is linear in the bytes, however small the chunks are, and
 * memory between two calls is bounded by `maxLineBytes`. Chunks may be reused by the caller.
 */
export class JsonLinesDecoder {
  readonly #maxLineBytes: number;
  readonly #utf8 = new TextDecoder();
  /** The beginning of a line whose end has not come yet is `#buffer[0 .. #length]`. */
  #buffer = new Uint8Array(0);
  /** Counts on, without keeping, when the line is too long. */
  #length = 0;

  /** @param options.maxLineBytes without the LF; default 16 MiB */
  constructor(options: { maxLineBytes?: number } = {}) {
    this.#maxLineBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  }

  /** The lines that this chunk completes. */
  push(chunk: Uint8Array): JsonLine[] {
    const lines: JsonLine[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      this.#endLine(chunk.subarray(from, at), lines);
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  /** The last line, when it has no LF. The decoder is then as new. */
  end(): JsonLine[] {
    const lines: JsonLine[] = [];
    this.#endLine(new Uint8Array(0), lines);
    this.#buffer = new Uint8Array(0);
    return lines;
  }

  #endLine(rest: Uint8Array, lines: JsonLine[]): void {
    let line = rest;
    if (this.#length > 0) {
      this.#keep(rest);
      line = this.#buffer.subarray(0, this.#length);
    }
    const bytes = Math.max(this.#length, rest.length);
    this.#length = 0;
    if (bytes > this.#maxLineBytes) lines.push({ kind: "too_long", bytes });
    else if (bytes > 0) this.#decode(line, lines);
    if (this.#buffer.length > KEPT_BUFFER_BYTES) this.#buffer = new Uint8Array(0);
  }

  #decode(line: Uint8Array, lines: JsonLine[]): void {
    const text = this.#utf8.decode(line.at(-1) === CR ? line.subarray(0, -1) : line);
    try {
      lines.push({ kind: "value", value: JSON.parse(text) });
    } catch {
      if (text.trim() === "") return;
      // Joined from pieces: a slice would keep the whole line in memory.
      const shown = Array.from(text.slice(0, 2 * SHOWN_CHARACTERS)).slice(0, SHOWN_CHARACTERS);
      lines.push({ kind: "invalid", text: shown.join("") });
    }
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#maxLineBytes) {
      this.#buffer = new Uint8Array(0);
    } else if (bytes.length > 0) {
      if (length > this.#buffer.length) this.#grow(length);
      this.#buffer.set(bytes, this.#length);
    }
    this.#length = length;
  }

  /** Doubles, so that a line in many chunks is copied a bounded number of times. */
  #grow(length: number): void {
    const grown = new Uint8Array(Math.min(Math.max(length, 2 * this.#buffer.length, 1024), this.#maxLineBytes));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
