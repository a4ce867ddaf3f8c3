/** Writes the calls of a run into a folder, so that they can be answered again without a provider. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import type { Redactor } from "../../safety/secrets.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { writeFailure } from "../../store/write_failure.ts";
import type { Asked } from "../answerer.ts";
import { isWorkerName } from "../names.ts";
import { rewriteEvents } from "./event_texts.ts";
import {
  type Exchange,
  exchangeFileName,
  exchangeNumber,
  type RecordedBody,
  requestHeaders,
  responseHeaders,
  toBase64,
  toLatin1,
} from "./exchange.ts";

const MAX_REPLY_BYTES = 64 * 1024 * 1024;
/** What a piece costs besides its bytes; otherwise a reply in pieces of one byte would pass the limit many times over. */
const PIECE_BYTES = 128;

export interface RecorderOptions {
  /** Knows the keys of the run; what it cannot know it takes out by its look. */
  readonly redactor: Redactor;
  /** Milliseconds since 1970. */
  now(): number;
  /** A call could not be recorded, and goes on all the same. Told once for each problem. */
  onProblem(message: string): void;
}

export interface Recorder {
  /** Takes the call's number, so calls have to be started in their order. */
  start(asked: Asked): Recording;
  /** Resolves when everything that has ended is stored. */
  settled(): Promise<void>;
}

/** One call. Nothing of it throws. */
export interface Recording {
  /** The reply has begun. A call that never gets here is not stored. */
  head(status: number, headers: Headers): void;
  chunk(bytes: Uint8Array): void;
  /** Stores the call; `complete` is false when the reply broke off. Only the first `end` counts. */
  end(how: { readonly complete: boolean }): void;
}

/**
 * Opens a folder for recordings and makes it when it is missing; in one that has recordings the numbers go on. Throws a
 * usage `Failure` when the path is something else, a `Failure` of kind `environment` when it cannot be made or read.
 */
export async function openRecorder(dir: string, options: RecorderOptions): Promise<Recorder> {
  const found = await Deno.stat(dir).catch(() => undefined);
  if (found !== undefined && !found.isDirectory) {
    throw new Failure("usage", `Cannot record into "${dir}": need a folder, found a file`, {
      hints: ["Name a folder; it is made when it is missing"],
    });
  }
  const last = new Map<string, number>();
  try {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    for await (const { name, isDirectory } of Deno.readDir(dir)) {
      if (isDirectory && isWorkerName(name)) last.set(name, await highestNumber(join(dir, name)));
    }
  } catch (error) {
    throw writeFailure(dir, error);
  }
  return new FolderRecorder(dir, last, options);
}

async function highestNumber(folder: string): Promise<number> {
  let highest = 0;
  for await (const { name } of Deno.readDir(folder)) highest = Math.max(highest, exchangeNumber(name) ?? 0);
  return highest;
}

class FolderRecorder implements Recorder {
  readonly #dir: string;
  /** The highest number of each worker. */
  readonly #last: Map<string, number>;
  readonly #options: RecorderOptions;
  readonly #storing = new Set<Promise<void>>();
  readonly #told = new Set<string>();

  constructor(dir: string, last: Map<string, number>, options: RecorderOptions) {
    this.#dir = dir;
    this.#last = last;
    this.#options = options;
  }

  start(asked: Asked): Recording {
    const number = (this.#last.get(asked.worker) ?? 0) + 1;
    this.#last.set(asked.worker, number);
    const recordedAt = new Date(this.#options.now()).toISOString();
    return new ReplyRecording((reply) => {
      const storing = this.#store(asked, reply, { number, recordedAt }).catch((error) =>
        this.#tell(asked.worker, error)
      );
      this.#storing.add(storing);
      storing.finally(() => this.#storing.delete(storing));
    });
  }

  async settled(): Promise<void> {
    while (this.#storing.size > 0) await Promise.all(this.#storing);
  }

  async #store(
    asked: Asked,
    reply: Reply,
    { number, recordedAt }: { number: number; recordedAt: string },
  ): Promise<void> {
    if (!isWorkerName(asked.worker)) throw new Error("its name cannot be the name of a folder");
    const folder = join(this.#dir, asked.worker);
    const text = `${JSON.stringify(toExchange(asked, reply, this.#options.redactor, recordedAt), undefined, 2)}\n`;
    const path = join(folder, exchangeFileName(number));
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(path, text, { mode: 0o600 });
    } catch (error) {
      // Without the number, or each call would be a problem of its own.
      throw new Error(messageOf(writeFailure(folder, error)).replace(path, folder), { cause: error });
    }
  }

  #tell(worker: string, error: unknown): void {
    const message = `Calls of the worker ${JSON.stringify(worker)} are not recorded: ${messageOf(error)}`;
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#options.onProblem(message);
  }
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined: there was too much. */
  readonly chunks: readonly Uint8Array[] | undefined;
  readonly complete: boolean;
}

class ReplyRecording implements Recording {
  #head: { readonly status: number; readonly headers: Headers } | undefined;
  #chunks: Uint8Array[] | undefined = [];
  #bytes = 0;
  #hasEnded = false;

  constructor(readonly store: (reply: Reply) => void) {}

  head(status: number, headers: Headers): void {
    this.#head = { status, headers: new Headers(headers) };
  }

  chunk(bytes: Uint8Array): void {
    if (this.#chunks === undefined || this.#hasEnded || bytes.length === 0) return;
    this.#bytes += bytes.length + PIECE_BYTES;
    if (this.#bytes > MAX_REPLY_BYTES) this.#chunks = undefined;
    else this.#chunks.push(bytes.slice());
  }

  end({ complete }: { readonly complete: boolean }): void {
    if (this.#hasEnded || this.#head === undefined) return;
    this.#hasEnded = true;
    this.store({ ...this.#head, chunks: this.#chunks, complete });
    this.#chunks = undefined;
  }
}

function toExchange(asked: Asked, reply: Reply, redactor: Redactor, recordedAt: string): Exchange {
  const redacted = (entries: [string, string][]) =>
    Object.fromEntries(entries.map(([name, value]) => [name, redactor.redact(value)]));
  return {
    version: 1,
    run: redactor.redact(asked.run),
    worker: asked.worker,
    dialect: asked.dialect.id,
    request: {
      method: asked.method,
      path: redactor.redact(asked.path),
      search: redactor.redact(asked.search),
      headers: redacted(requestHeaders(asked.headers)),
      body: redactor.redactDeep(asked.json),
    },
    response: {
      status: reply.status,
      headers: redacted(responseHeaders(reply.headers)),
      body: toRecordedBody(reply.chunks ?? [], redactor),
      complete: reply.complete,
      ...(reply.chunks === undefined && { truncated: true }),
    },
    recorded_at: recordedAt,
  };
}

/** A secret may begin in one piece or event and end in another; what holds one is stored as a single piece. */
function toRecordedBody(chunks: readonly Uint8Array[], redactor: Redactor): RecordedBody {
  const pieces = decodePieces(chunks);
  if (pieces === undefined) {
    const whole = chunks.map(toLatin1).join("");
    const redacted = redactor.redact(whole);
    return { kind: "base64", chunks: redacted === whole ? chunks.map(toBase64) : [btoa(redacted)] };
  }
  const whole = pieces.join("");
  const redacted = redactor.redact(rewriteEvents(whole, (text) => redactor.redact(text)));
  return { kind: "text", chunks: redacted === whole ? pieces : [redacted] };
}

/** The pieces as text, where one ends inside a character together with the next; undefined when they are not UTF-8. */
function decodePieces(chunks: readonly Uint8Array[]): string[] | undefined {
  const pieces: string[] = [];
  for (let at = 0; at < chunks.length;) {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    let piece = "";
    try {
      // A byte 10xxxxxx goes on with the character of the byte before it.
      do piece += decoder.decode(chunks[at++], { stream: true }); while ((chunks[at]?.[0] ?? 0) >> 6 === 0b10);
      pieces.push(piece + decoder.decode());
    } catch {
      return undefined;
    }
  }
  return pieces;
}
