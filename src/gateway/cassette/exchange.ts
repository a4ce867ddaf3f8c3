/** The file format of a recorded call: one JSON file, `DIR/<worker>/<number>.json`. */
import * as z from "zod/mini";
import { Failure, messageOf } from "../../failure.ts";

const headers = z.record(z.string(), z.string());

/** What a call asked and what was answered, without secrets. */
const exchangeSchema = z.strictObject({
  version: z.literal(1),
  run: z.string(),
  worker: z.string(),
  dialect: z.enum(["anthropic", "openai_chat", "openai_responses", "gemini"]),
  request: z.strictObject({
    method: z.string(),
    path: z.string(),
    search: z.string(),
    headers,
    body: z.unknown(),
  }),
  response: z.strictObject({
    status: z.int().check(z.minimum(200), z.maximum(599)),
    headers,
    /** In the pieces in which it came, except that no piece of a text ends inside a character. */
    body: z.strictObject({ kind: z.enum(["text", "base64"]), chunks: z.array(z.string()) }),
    /** False: the connection broke after the last piece. */
    complete: z.boolean(),
    /** It was too long to be kept: `chunks` is empty. */
    truncated: z.optional(z.literal(true)),
  }),
  /** UTC, ISO 8601. */
  recorded_at: z.string(),
});

export type Exchange = z.infer<typeof exchangeSchema>;
export type RecordedBody = Exchange["response"]["body"];

/** Six digits at least, so that folders list in the order of the calls. */
export const exchangeFileName = (number: number): string => `${String(number).padStart(6, "0")}.json`;

/** The number in `000012.json`; undefined for what is no recording. */
export function exchangeNumber(fileName: string): number | undefined {
  const digits = /^(\d{1,9})\.json$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const REQUEST_HEADERS = /^(?:accept|content-type|anthropic-(?:beta|version)|openai-beta)$/;
/** What clients act upon, and what the cost is read from. Cookies and the names of accounts stay out. */
const RESPONSE_HEADERS =
  /^(?:content-type|request-id|x-request-id|retry-after|retry-after-ms|x-should-retry|openai-model|x-(?:gocore-cost-usd|litellm-response-cost)|(?:anthropic|x)-ratelimit-[a-z0-9-]{1,64})$/;

export const requestHeaders = (all: Iterable<[string, string]>): [string, string][] =>
  [...all].filter(([name]) => REQUEST_HEADERS.test(name));
export const responseHeaders = (all: Iterable<[string, string]>): [string, string][] =>
  [...all].filter(([name]) => RESPONSE_HEADERS.test(name));

/** A reply is kept up to 64 MiB, a request up to 32: escaped, neither comes near this. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** Throws a usage `Failure` that names the file, and the field that is wrong. */
export async function readExchange(path: string): Promise<Exchange> {
  let json: unknown;
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new Error("it is not a regular file");
    if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, more than ${MAX_FILE_BYTES}`);
    json = JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    throw unreadable(path, cause instanceof SyntaxError ? "it is not JSON" : messageOf(cause), cause);
  }
  const read = exchangeSchema.safeParse(json);
  if (!read.success) {
    const { path: field, message } = read.error.issues[0]!;
    throw unreadable(path, `${field.length === 0 ? "the file" : `"${field.join(".")}"`}: ${message}`);
  }
  const { headers, body } = read.data.response;
  try {
    new Headers(headers);
    if (body.kind === "base64") body.chunks.forEach(fromBase64);
  } catch (cause) {
    throw unreadable(path, `"response": ${messageOf(cause)}`, cause);
  }
  return read.data;
}

function unreadable(path: string, finding: string, cause?: unknown): Failure {
  return new Failure("usage", `Cannot read the recording "${path}": ${finding}`, {
    hints: ["Record the call again, or take the file out of the folder"],
    cause,
  });
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(toLatin1(bytes));
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Each byte as the character of the same number. */
export function toLatin1(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return pieces.join("");
}
