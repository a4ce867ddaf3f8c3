/** Asks a provider over HTTP, with the real key in place of whatever the client sent. */
import { providerTable } from "../models/provider_table.ts";
import type { Answerer, Asked } from "./answerer.ts";
import type { DialectId } from "./dialect.ts";
import { VIRTUAL_KEY_PREFIX } from "./ledger/keys.ts";
import type { UpstreamSettings } from "./settings.ts";

/** They belong to one connection, name us, or are the client's credentials. */
const NOT_PASSED_ON = new Set([
  "accept-encoding",
  "api-key",
  "authorization",
  "connection",
  "content-encoding",
  "content-length",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "origin",
  "proxy-authorization",
  "proxy-connection",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
  "x-api-key",
  "x-goog-api-key",
  // These would have the reply without its usage, or the request read as another one.
  "x-goog-fieldmask",
  "x-http-method-override",
]);
const NOT_PASSED_ON_PREFIX = /^(?:x-gocore-|x-forwarded-|x-real-ip$)/;

/** The client's headers without credentials, without those of the connection, and without those that it declares to be. */
export function passedOnHeaders(headers: Headers): [string, string][] {
  const dropped = (headers.get("connection") ?? "").toLowerCase().split(",").map((name) => name.trim());
  return [...headers].filter(([name, value]) =>
    !NOT_PASSED_ON.has(name) && !NOT_PASSED_ON_PREFIX.test(name) && !dropped.includes(name) &&
    // Under whatever name: it is a secret between us and the client.
    !value.includes(VIRTUAL_KEY_PREFIX)
  );
}

/**
 * Google's servers take parameters for any call, all of them with a `$` before the name too: they leave the usage out of a
 * reply (`fields`), write it in another format (`callback`, `alt`), change the request (`$httpHeaders`) or pay from another
 * account.
 */
const SYSTEM_PARAMETER = /^(?:\$.*|access_token|callback|fields|key|oauth_token|prettyPrint)$/s;
const METERED_FORMATS: ReadonlySet<string> = new Set(["json", "sse"]);

/** The query without keys and, in Gemini's format, without what could hide the usage of a reply; otherwise as it came. */
export function passedOnSearch(search: string, dialect: DialectId): string {
  const kept = search.slice(1).split("&").filter((part) => {
    const [name, ...value] = part.split("=").map(decoded);
    if (value.some((piece) => piece.includes(VIRTUAL_KEY_PREFIX))) return false;
    if (dialect !== "gemini") return name !== "key";
    return name === "alt" ? METERED_FORMATS.has(value.join("=")) : !SYSTEM_PARAMETER.test(name!);
  }).join("&");
  return kept === "" ? "" : `?${kept}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function askUpstream(upstream: UpstreamSettings): Answerer {
  const { baseUrl } = upstream;
  const hasVersion = knowsVersion(upstream);
  return async (asked, signal) => {
    const path = hasVersion ? asked.path.replace(VERSION_AT_START, "") : asked.path;
    // Not `Headers`, which some runtimes sort anew for each entry that is read; without a prototype every name is a name.
    const headers: Record<string, string> = Object.create(null);
    for (const [name, value] of asked.headers) headers[name] = value;
    // The reply is metered and recorded as text; between two programs on one machine compression wins nothing either.
    headers["accept-encoding"] = "identity";
    for (const [name, value] of keyHeaders(upstream, asked)) headers[name] = value;
    const response = await fetch(baseUrl + path + asked.search, {
      method: asked.method,
      headers,
      // Not the bytes themselves: some runtimes send those twice when a connection that they use again breaks, and the
      // model works twice.
      body: asked.method === "POST" ? new Blob([asked.body]) : undefined,
      signal,
      // It would carry the key to another host.
      redirect: "manual",
    });
    return decompressed(response);
  };
}

const VERSION_AT_START = /^\/v\d+(?:alpha|beta)?\d*(?=\/)/;
const VERSION = /\/v\d+(?:alpha|beta)?\d*(?:\/|$)/;

/** A base URL with a version in it has the say in that: proxies know one only. Some providers have none at all. */
function knowsVersion({ baseUrl, provider }: UpstreamSettings): boolean {
  return VERSION.test(new URL(baseUrl).pathname) || providerTable[provider].usualPath === "";
}

function keyHeaders({ provider, apiKey }: UpstreamSettings, { dialect }: Asked): [string, string][] {
  if (apiKey === undefined) return [];
  const bearer: [string, string] = ["authorization", `Bearer ${apiKey}`];
  switch (providerTable[provider].client) {
    case "anthropic":
      // Tokens of a subscription's login, unlike keys, go where all tokens go.
      return apiKey.startsWith("sk-ant-oat") ? [bearer] : [["x-api-key", apiKey]];
    case "gemini":
      return [["x-goog-api-key", apiKey]];
    case "azure":
      return [["api-key", apiKey]];
    default:
      // A proxy that speaks the format of another: it looks where that one's clients put the key, or where all do.
      if (dialect.id === "anthropic") return [["x-api-key", apiKey], bearer];
      return dialect.id === "gemini" ? [["x-goog-api-key", apiKey]] : [bearer];
  }
}

/** Some servers compress whatever was asked for, and some runtimes of ours hand that on as it is. */
function decompressed(response: Response): Response {
  const encoding = response.headers.get("content-encoding")?.trim().toLowerCase();
  if (encoding !== "gzip" && encoding !== "deflate" || response.body === null) return response;
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  const { status, statusText } = response;
  return new Response(response.body.pipeThrough(new DecompressionStream(encoding)), { status, statusText, headers });
}

/** Whether the failure says that nothing was sent: the model cannot have worked. */
export function neverConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Newer runtimes tell it in the cause. The message also has the address, which the client has a say in; spaces it has none.
  return [error, error.cause].some((told) =>
    told instanceof Error && /: client error \(Connect\)|^Requests to port \d+ are blocked/.test(told.message)
  );
}
