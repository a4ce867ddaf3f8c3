/** A log of JSON lines that another process may append to, read and added up once, and then only what is new of it. */
import { JsonLinesDecoder } from "../../../events/json_lines.ts";
import { readPieces } from "../../../store/append_log.ts";

export interface Adding<S> {
  empty(): S;
  /** Adds what a line says, in place. */
  add(state: S, value: unknown): void;
}

/** An empty log that nobody has begun to write may be about to be. */
const FRESH_MS = 120_000;

/** Lines that are no JSON, such as a torn last one, are passed over. */
export class GrowingLog<S> {
  readonly #path: string;
  readonly #adding: Adding<S>;
  #state: S;
  #decoder = new JsonLinesDecoder();
  #identity = "";
  #offset = 0;
  #changedMs = 0;

  constructor(path: string, adding: Adding<S>) {
    this.#path = path;
    this.#adding = adding;
    this.#state = adding.empty();
  }

  /** Whether it had changed a short time before it was read. */
  isFresh(nowMs: number): boolean {
    return nowMs - this.#changedMs < FRESH_MS;
  }

  /**
   * What it adds up to now. Everything begins anew when another file has the name, or this one was cut. Throws a
   * `Failure` or what the system says when it cannot be read.
   */
  async read(): Promise<S> {
    // Opening a pipe would wait for ever.
    if (!(await Deno.lstat(this.#path)).isFile) throw new Deno.errors.NotFound(`"${this.#path}" is no file`);
    using file = await Deno.open(this.#path);
    const { dev, ino, size, mtime } = await file.stat();
    this.#changedMs = mtime?.getTime() ?? 0;
    const identity = `${dev}/${ino}`;
    if (identity !== this.#identity || size < this.#offset) this.letGo();
    this.#identity = identity;
    if (size === this.#offset) return this.#state;
    await file.seek(this.#offset, Deno.SeekMode.Start);
    for await (const piece of readPieces(file, this.#path)) {
      this.#offset += piece.length;
      for (const line of this.#decoder.push(piece)) {
        if (line.kind === "value") this.#adding.add(this.#state, line.value);
      }
    }
    return this.#state;
  }
  /** The next reading begins anew. */
  letGo(): void {
    this.#identity = "";
    this.#offset = 0;
    this.#state = this.#adding.empty();
    this.#decoder = new JsonLinesDecoder();
  }
}
