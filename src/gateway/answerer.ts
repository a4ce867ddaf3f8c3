/** Whoever answers the calls that the gateway admits: a provider, recordings, or a script. */
import type { Json } from "../models/json.ts";
import type { Dialect } from "./dialect.ts";

/** A call on its way to whoever answers it, without anything of the gateway's own: no prefix, no virtual key. */
export interface Asked {
  readonly dialect: Dialect;
  readonly method: string;
  /** From the version on: `/v1/messages`, `/v1beta/models/gemini-2.5-pro:generateContent`. */
  readonly path: string;
  /** With its question mark, without a key; empty when there is none. */
  readonly search: string;
  /** The client's, lower case, without credentials and without what belongs to one connection only. */
  readonly headers: Iterable<[name: string, value: string]>;
  /** As it came. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The same, read anew each time: held for as long as a call takes, it could be fifty times as large as the body. */
  readonly json: Json;
  readonly model: string;
  readonly streamed: boolean;
  readonly run: string;
  readonly worker: string;
}

/**
 * Like `fetch`: resolves when the head of the reply has come, whatever its status; rejects when no reply comes, with the
 * signal's reason when it aborts. A reply's body is plain: not compressed. May throw a `Refusal` of its own.
 */
export type Answerer = (asked: Asked, signal: AbortSignal) => Promise<Response>;
