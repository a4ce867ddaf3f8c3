/** What a request must be before anything else is done with it: addressed to us, small enough, and complete in time. */
import { isObject, type Json } from "../models/json.ts";
import { isLoopback } from "./loopback.ts";
import { createPieceReader, type PieceReader } from "./piece_reader.ts";
import { Refusal } from "./refusal.ts";
import type { GatewaySettings } from "./settings.ts";

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/**
 * Refuses requests that a page in a browser can be made to send: under a host name that is not ours (DNS rebinding), or
 * from another origin. Agents send neither. Refuses headers that are too large.
 */
export function checkHead(
  headers: Headers,
  settings: Pick<GatewaySettings, "host" | "allowedHosts" | "maxHeaderBytes">,
): void {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length + ": \r\n".length;
  if (bytes > settings.maxHeaderBytes) {
    throw new Refusal("headers_too_large", `The headers have ${bytes} bytes, more than ${settings.maxHeaderBytes}`);
  }
  const host = hostOf(headers.get("host") ?? "");
  if (host === undefined || !isOurs(host, settings)) {
    throw new Refusal("misdirected", "The Host header names no address of this gateway; use http://127.0.0.1:PORT");
  }
  const origin = headers.get("origin");
  if (origin === null) return;
  const from = URL.canParse(origin) ? new URL(origin).host : undefined;
  if (from === undefined || from !== headers.get("host")?.toLowerCase()) {
    throw new Refusal("forbidden", "Web pages may not use this gateway: the request has an Origin header");
  }
}

/** The name or address in a Host header, without the port. */
function hostOf(header: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
}

function isOurs(host: string, { host: bound, allowedHosts }: Pick<GatewaySettings, "host" | "allowedHosts">): boolean {
  if (isLoopback(host) || host === bound.toLowerCase()) return true;
  if (allowedHosts.some((allowed) => allowed.toLowerCase() === host)) return true;
  // Beyond the loopback a token is asked for, and an address, unlike a name, cannot be pointed elsewhere.
  return !isLoopback(bound) && (IPV4.test(host) || host.startsWith("["));
}

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** How long the rest of a body that is too large is read and thrown away: a client that is still sending hears nothing. */
const DRAIN_MS = 3000;

/** The whole body, decompressed. Throws a `Refusal` when it is too large, compressed in an unknown way, or late. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  if (request.body === null) return new Uint8Array();
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  const plain = decoded(request.body, encoding);
  const announced = Number(request.headers.get("content-length") ?? 0);
  const reader = createPieceReader(plain);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), limits.timeoutMs));
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    while (announced <= limits.maxBytes && bytes <= limits.maxBytes) {
      const next = await Promise.race([reader.read(), late]);
      if (next === "late") {
        throw new Refusal("request_timeout", `The request was not complete after ${limits.timeoutMs / 1000} s`);
      }
      if (next === undefined) return joined(pieces, bytes);
      pieces.push(next);
      bytes += next.byteLength;
    }
    await drain(reader);
    throw new Refusal("too_large", `The body is larger than ${limits.maxBytes} bytes`);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The client left, or what it sent is not compressed in the way that it says.
    throw new Refusal("bad_request", `The body cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
    reader.cancel("no more of it is needed");
  }
}

function decoded(body: ReadableStream<Uint8Array<ArrayBuffer>>, encoding: string): ReadableStream<Uint8Array> {
  if (encoding === "identity" || encoding === "") return body;
  if (encoding === "gzip" || encoding === "deflate") return body.pipeThrough(new DecompressionStream(encoding));
  throw new Refusal("unsupported_encoding", `The body is compressed as "${encoding}"; send it plain, or as gzip`);
}

async function drain(reader: PieceReader): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const enough = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), DRAIN_MS));
  try {
    while (true) {
      if (await Promise.race([reader.read(), enough]) === undefined) return;
    }
  } finally {
    clearTimeout(timer);
  }
}

export function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** The body as a JSON object. Throws a `Refusal`. */
export function parseBody(body: Uint8Array): Json {
  let json: unknown;
  try {
    json = JSON.parse(strictUtf8.decode(body));
  } catch (cause) {
    throw new Refusal("bad_request", "The body is not JSON in UTF-8", { cause });
  }
  if (!isObject(json)) throw new Refusal("bad_request", "The body is not a JSON object");
  return json;
}
