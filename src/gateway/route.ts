/** Which of the gateway's doors a request knocks at, by its method, path and headers. */
import type { DialectId } from "./dialect.ts";
import { readGeminiPath } from "./dialects/gemini_path.ts";
import { isWorkerName } from "./names.ts";

export type Route =
  /** A model call: metered, budgeted, recorded. `path` begins at the version, without the worker's prefix. */
  | { readonly kind: "call"; readonly worker?: string; readonly dialect: DialectId; readonly path: string }
  /** Passed through: it costs nothing. */
  | { readonly kind: "free"; readonly worker?: string; readonly dialect: DialectId; readonly path: string }
  /** A client that looks whether somebody is there. */
  | { readonly kind: "hello" }
  | { readonly kind: "health" }
  | { readonly kind: "metrics" }
  /** A WebSocket is asked for. */
  | { readonly kind: "upgrade"; readonly dialect: DialectId }
  /** `allow`: the value of that header. */
  | { readonly kind: "wrong_method"; readonly dialect: DialectId; readonly allow: string }
  /** Nothing that is known to be free or can be metered. */
  | { readonly kind: "unknown"; readonly dialect: DialectId };

const MAX_PATH_LENGTH = 2_048;
const VERSION = /^v\d+(?:alpha|beta)?\d*$/;

/** `pathname` as `new URL()` gives it. Never throws; the dialect of what is no call is the best guess for its error. */
export function matchRoute(method: string, pathname: string, headers: Headers): Route {
  if (headers.get("upgrade")?.toLowerCase().includes("websocket")) {
    return { kind: "upgrade", dialect: guessDialect(pathname, headers) };
  }
  const unknown: Route = { kind: "unknown", dialect: guessDialect(pathname, headers) };
  if (pathname.length > MAX_PATH_LENGTH) return unknown;
  const probe = matchProbe(method, pathname);
  if (probe !== undefined) return probe;
  const place = takeWorker(pathname);
  if (place === undefined) return unknown;
  const { worker, rest } = place;
  if (rest === "" || rest === "/" || rest === "/api/hello") return reads(method, { kind: "hello" }, unknown.dialect);
  const path = fromVersion(rest);
  const found = path === undefined ? undefined : matchEndpoint(path, headers);
  if (path === undefined || found === undefined) return unknown;
  const { kind, dialect, allow } = found;
  if (method !== allow) return { kind: "wrong_method", dialect, allow };
  return { kind, ...(worker !== undefined && { worker }), dialect, path };
}

/** What monitors ask, which has nothing to do with workers. */
function matchProbe(method: string, pathname: string): Route | undefined {
  if (pathname === "/health") return reads(method, { kind: "health" }, "openai_chat");
  if (pathname !== "/metrics") return undefined;
  return method === "GET" ? { kind: "metrics" } : { kind: "wrong_method", dialect: "openai_chat", allow: "GET" };
}

function reads(method: string, route: Route, dialect: DialectId): Route {
  return method === "GET" || method === "HEAD" ? route : { kind: "wrong_method", dialect, allow: "GET, HEAD" };
}

/** Takes `/w/<worker>` off the path; undefined when a prefix names no worker. */
function takeWorker(pathname: string): { worker?: string; rest: string } | undefined {
  if (!pathname.startsWith("/w/")) return pathname === "/w" ? undefined : { rest: pathname };
  const end = pathname.indexOf("/", 3);
  const encoded = end < 0 ? pathname.slice(3) : pathname.slice(3, end);
  let worker: string;
  try {
    worker = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  if (!isWorkerName(worker)) return undefined;
  return { worker, rest: end < 0 ? "" : pathname.slice(end) };
}

/** The path from its version on, which it gets when it has none; undefined when it does not look like a path of an API. */
function fromVersion(rest: string): string | undefined {
  // Some put OpenRouter's path behind another host.
  const path = /^\/api\/v\d/.test(rest) ? rest.slice("/api".length) : rest;
  const segments = path.split("/").slice(1);
  if (segments.some((segment) => segment === "" || segment === "." || segment === "..")) return undefined;
  if (VERSION.test(segments[0]!)) return path;
  return path.includes(":") ? `/v1beta${path}` : `/v1${path}`;
}

interface Endpoint {
  readonly kind: "call" | "free";
  readonly dialect: DialectId;
  readonly allow: "GET" | "POST";
}

const FIXED: ReadonlyMap<string, Endpoint> = new Map([
  ["/v1/messages", { kind: "call", dialect: "anthropic", allow: "POST" }],
  ["/v1/messages/count_tokens", { kind: "free", dialect: "anthropic", allow: "POST" }],
  ["/v1/chat/completions", { kind: "call", dialect: "openai_chat", allow: "POST" }],
  ["/v1/responses", { kind: "call", dialect: "openai_responses", allow: "POST" }],
]);
const GEMINI_METHODS: ReadonlyMap<string, "call" | "free"> = new Map([
  ["generateContent", "call"],
  ["streamGenerateContent", "call"],
  ["countTokens", "free"],
]);

function matchEndpoint(path: string, headers: Headers): Endpoint | undefined {
  const fixed = FIXED.get(path);
  if (fixed !== undefined) return fixed;
  const place = readGeminiPath(path);
  const kind = place && GEMINI_METHODS.get(place.method);
  if (kind !== undefined) return { kind, dialect: "gemini", allow: "POST" };
  // Ids may hold slashes (`openai/gpt-5`), but a `:` belongs to a method.
  if (!/^\/v1(?:alpha|beta)?\d*\/models(?:\/(?:[A-Za-z0-9._~@/-]|%2F)+)?$/i.test(path) || path.includes("..")) {
    return undefined;
  }
  return { kind: "free", dialect: path.startsWith("/v1/") ? dialectOf(headers) : "gemini", allow: "GET" };
}

function guessDialect(pathname: string, headers: Headers): DialectId {
  if (/\/messages(?:\/|$)/.test(pathname)) return "anthropic";
  if (/\/responses(?:\/|$)/.test(pathname)) return "openai_responses";
  if (/\/chat\/completions(?:\/|$)/.test(pathname)) return "openai_chat";
  if (/\/v1(?:alpha|beta)/.test(pathname) || /:[A-Za-z]+$/.test(pathname)) return "gemini";
  return dialectOf(headers);
}

function dialectOf(headers: Headers): DialectId {
  if (headers.has("x-goog-api-key")) return "gemini";
  return headers.has("anthropic-version") || headers.has("x-api-key") ? "anthropic" : "openai_chat";
}
