/** Reads what clients send by its schema, and says which part of it is wrong. */
import { HTTPException } from "hono/http-exception";
import type * as z from "zod/mini";
import { joinBytes } from "./event_file.ts";
import { Refused } from "./ports.ts";

const MAX_BODY_BYTES = 64 * 1024;
/** Of zod, where a schema has no words of its own. */
const NO_WORDS = "Invalid input";

/** Throws `Refused`. */
export function readQuery<T>(schema: z.ZodMiniType<T>, url: string): T {
  const at = url.indexOf("?");
  const values = new Map<string, string>();
  for (const [name, value] of at === -1 ? [] : new URLSearchParams(url.slice(at))) {
    if (values.has(name)) throw new Refused(400, `${JSON.stringify(name)} is given more than once`);
    values.set(name, value);
  }
  return check(schema, Object.fromEntries(values), "parameter of this address");
}

/** Throws `Refused` or an `HTTPException`. Nothing at all counts as an object without fields. */
export async function readBody<T>(schema: z.ZodMiniType<T>, request: Request): Promise<T> {
  const content = await readText(request);
  const type = request.headers.get("content-type");
  // A page of another site can send text and forms without being asked for its origin first, but no JSON.
  if (type === null ? content !== "" : !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new HTTPException(415, { message: "The body has to be JSON, with `Content-Type: application/json`" });
  }
  return check(schema, content.trim() === "" ? {} : parseJson(content), "field of this request");
}

function check<T>(schema: z.ZodMiniType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") throw new Refused(400, `${JSON.stringify(issue.keys[0])} is no ${what}`);
  const field = issue.path.join(".");
  throw new Refused(400, field === "" ? "The body has to be a JSON object" : `${field}: ${demand(issue)}`);
}

function demand(issue: z.core.$ZodIssue): string {
  if (issue.message !== NO_WORDS) return issue.message;
  switch (issue.code) {
    case "invalid_value":
      return `has to be one of ${issue.values.join(", ")}`;
    case "too_small":
      return `has to be at least ${issue.minimum}`;
    case "too_big":
      return `has to be at most ${issue.maximum}`;
    case "invalid_type":
      return `has to be ${NEEDED[issue.expected] ?? "something else"}`;
    default:
      return "cannot be used";
  }
}

const NEEDED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
};

async function readText({ headers, body }: Request): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  requireSmall(Number(headers.get("content-length") ?? 0));
  for await (const piece of body ?? []) {
    pieces.push(piece);
    length += piece.length;
    requireSmall(length);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(joinBytes(pieces, length));
  } catch {
    throw new Refused(400, "The body is no UTF-8 text");
  }
}

function requireSmall(bytes: number): void {
  if (bytes > MAX_BODY_BYTES) throw new Refused(413, `The body is larger than ${MAX_BODY_BYTES} bytes`);
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new Refused(400, "The body is no JSON");
  }
}
