/** Asks GitHub's REST API: token, redirects, pages, limits, retries. */
import { Failure } from "../failure.ts";
import type { IssueAddress } from "./parse_issue_url.ts";

export type Env = Readonly<Record<string, string | undefined>>;

export interface GithubOptions {
  readonly env: Env;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  now(): number;
  /** For one request with its answer; 30 s. */
  readonly timeoutMs?: number;
  /** Resolves after `ms`, rejects when the signal aborts. */
  sleep?(ms: number, signal: AbortSignal): Promise<void>;
}

export interface GithubAnswer {
  readonly json: unknown;
  /** Where it was found, after redirects. */
  readonly url: URL;
  /** The next page, on the same host; undefined: this is the last one. */
  readonly next: URL | undefined;
}

export interface GithubRequest {
  /** What it is for, as a failure begins: `Cannot read the issue "numpy/numpy#1"`. */
  readonly action: string;
  readonly method?: "GET" | "POST" | "PATCH";
  readonly body?: Readonly<Record<string, unknown>>;
}

export interface GithubApi {
  readonly hasToken: boolean;
  /** A path below the API's address, or an address that it gave itself. */
  ask(place: string | URL, request: GithubRequest): Promise<GithubAnswer>;
}

/** An answer that is an error: for callers to whom one of them means something. */
export class GithubRefusal extends Failure {
  constructor(readonly status: number, message: string, hints: readonly string[]) {
    super("environment", message, { hints, type: "GithubError" });
  }
}

const TIMEOUT_MS = 30_000;
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const MAX_REDIRECTS = 5;
const MAX_ATTEMPTS = 4;
const FIRST_WAIT_MS = 1000;
/** A limit that ends later is told instead. */
const LONGEST_WAIT_MS = 60_000;

/** Throws a usage `Failure` when the environment leads somewhere that a token must not be sent to. */
export function githubApi(address: IssueAddress, options: GithubOptions): GithubApi {
  const access = accessOf(address, options.env);
  return {
    hasToken: access.token !== undefined,
    ask: (place, request) => ask(place instanceof URL ? place : new URL(access.base + place), request, access, options),
  };
}

interface Access {
  /** Without a slash at its end. */
  readonly base: string;
  readonly token: string | undefined;
  /** The variable that a token for this host is set in. */
  readonly variable: string;
}

/**
 * A token goes to github.com, to tenants of it, and to where GITHUB_API_URL leads; to any other host that an address names
 * only one that is meant for it, as `gh` does.
 */
function accessOf({ host }: IssueAddress, env: Env): Access {
  const isPublic = host === "github.com" || host.endsWith(".ghe.com");
  const named = apiUrlFor(host, env);
  const usual = host === "github.com"
    ? "https://api.github.com"
    : host.endsWith(".ghe.com")
    ? `https://api.${host}`
    : `https://${host}/api/v3`;
  // In GitHub Actions GITHUB_TOKEN is for the server that they run on.
  const server = serverHost(env);
  const ordinary = [server === undefined || server === host ? env.GITHUB_TOKEN : undefined, env.GH_TOKEN];
  const enterprise = [env.GH_ENTERPRISE_TOKEN, env.GITHUB_ENTERPRISE_TOKEN];
  const candidates = isPublic ? ordinary : named === undefined ? enterprise : [...enterprise, ...ordinary];
  const token = candidates.map((value) => value?.trim()).find((value) => value !== undefined && value !== "");
  const variable = isPublic || named !== undefined ? "GITHUB_TOKEN" : "GH_ENTERPRISE_TOKEN";
  if (token !== undefined && !/^[\x21-\x7e]{1,1000}$/.test(token)) {
    throw new Failure("usage", "Cannot use the GitHub token: need one word, found white space or other letters in it", {
      hints: [`Set it again, for example \`export ${variable}=$(gh auth token)\``],
    });
  }
  return { base: named ?? usual, token, variable };
}

/** GitHub Actions always sets GITHUB_API_URL, for the server that it runs on: an issue of another one is not there. */
function apiUrlFor(host: string, env: Env): string | undefined {
  const text = env.GITHUB_API_URL?.trim() ?? "";
  if (text === "") return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === "https:" || url?.protocol === "http:" && isLoopback(url.hostname);
  if (url === undefined || !isSafe || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Failure("usage", "Cannot use GITHUB_API_URL: need an address with https, found another text", {
      hints: ["Unset it for github.com; an Enterprise server has `https://HOST/api/v3`"],
    });
  }
  const server = serverHost(env);
  const isOthers = server !== undefined ? server !== host : url.host === "api.github.com" && host !== "github.com";
  return isOthers ? undefined : url.href.replace(/\/+$/, "");
}

function serverHost({ GITHUB_SERVER_URL: text = "" }: Env): string | undefined {
  return URL.canParse(text) ? new URL(text).host : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What could be done twice (a new comment) is asked again only when it was refused before it began. */
async function ask(place: URL, request: GithubRequest, access: Access, options: GithubOptions): Promise<GithubAnswer> {
  const { signal, sleep = sleepFor } = options;
  const isReading = (request.method ?? "GET") === "GET";
  const isRepeatable = request.method !== "POST";
  let url = place;
  let redirects = 0;
  for (let attempt = 1;;) {
    signal.throwIfAborted();
    let reply: Reply;
    try {
      reply = await send(url, request, access, options);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Failure) throw error;
      const finding = findingOf(error, options.timeoutMs ?? TIMEOUT_MS);
      if (!isRepeatable || attempt >= MAX_ATTEMPTS) throw unreachable(url, finding, request);
      await sleep(FIRST_WAIT_MS * 2 ** (attempt++ - 1), signal);
      continue;
    }
    const { status, headers } = reply;
    if (status >= 200 && status < 300) return answerOf(reply, url, request);
    if ([301, 302, 307, 308].includes(status) && isReading) {
      url = redirected(url, headers, request);
      if (++redirects > MAX_REDIRECTS) throw refusal(reply, "leads in a circle", { request, access, options });
      continue;
    }
    const waitMs = waitOf(reply, attempt, { isRepeatable, now: options.now });
    if (waitMs === undefined || waitMs > LONGEST_WAIT_MS || attempt >= MAX_ATTEMPTS) {
      throw refusal(reply, undefined, { request, access, options });
    }
    attempt++;
    await sleep(waitMs, signal);
  }
}

async function send(url: URL, request: GithubRequest, access: Access, options: GithubOptions): Promise<Reply> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new TimedOut()), options.timeoutMs ?? TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method: request.method ?? "GET",
      headers: {
        accept: "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
        "user-agent": "gocore",
        ...(access.token !== undefined && { authorization: `Bearer ${access.token}` }),
        ...(request.body !== undefined && { "content-type": "application/json" }),
      },
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
      redirect: "manual",
      signal: AbortSignal.any([options.signal, timeout.signal]),
    });
    const { status, headers } = response;
    return { status, headers, text: await boundedText(response, request) };
  } finally {
    clearTimeout(timer);
  }
}

class TimedOut extends Error {}

async function boundedText(response: Response, { action }: GithubRequest): Promise<string> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new Failure("environment", `${action}: GitHub's answer has more than ${MAX_BODY_BYTES} bytes`);
    }
    pieces.push(piece);
  }
  return await new Blob(pieces).text();
}

function answerOf({ headers, text }: Reply, url: URL, { action }: GithubRequest): GithubAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Failure("environment", `${action}: need JSON from ${url.host}, found another text`, {
      hints: ["Check GITHUB_API_URL, and whether a proxy answers in GitHub's place"],
    });
  }
  return { json, url, next: nextPage(headers, url) };
}

/** Of the header `link`; one that leads to another host is not followed: it would carry the token there. */
function nextPage(headers: Headers, url: URL): URL | undefined {
  for (const link of (headers.get("link") ?? "").slice(0, 10_000).split(",")) {
    const [address = "", ...parameters] = link.split(";").map((part) => part.trim());
    if (!parameters.includes('rel="next"') || !address.startsWith("<") || !address.endsWith(">")) continue;
    const next = address.slice(1, -1);
    if (URL.canParse(next, url) && new URL(next, url).origin === url.origin) return new URL(next, url);
  }
  return undefined;
}

function redirected(url: URL, headers: Headers, { action }: GithubRequest): URL {
  const location = headers.get("location") ?? "";
  const target = URL.canParse(location, url) ? new URL(location, url) : undefined;
  if (target?.origin === url.origin) return target;
  throw new Failure("environment", `${action}: GitHub leads to ${target === undefined ? "nowhere" : "another host"}`, {
    hints: ["Give the address to which the issue has moved"],
  });
}

/** How long to wait before it is asked again; undefined: it is of no use. */
function waitOf(
  { status, headers }: Reply,
  attempt: number,
  { isRepeatable, now }: { readonly isRepeatable: boolean; now(): number },
): number | undefined {
  if (status === 403 || status === 429) {
    const seconds = decimal(headers.get("retry-after"));
    if (seconds !== undefined) return seconds * 1000;
    const reset = resetMs(headers);
    // The clocks of two machines differ by a little.
    return reset === undefined ? undefined : Math.max(0, reset - now()) + 1000;
  }
  return status >= 500 && isRepeatable ? FIRST_WAIT_MS * 2 ** (attempt - 1) : undefined;
}

/** When the limit of requests ends; undefined: it is not the limit. */
function resetMs(headers: Headers): number | undefined {
  const seconds = decimal(headers.get("x-ratelimit-reset"));
  return headers.get("x-ratelimit-remaining") === "0" && seconds !== undefined ? seconds * 1000 : undefined;
}

function decimal(text: string | null): number | undefined {
  return text !== null && /^\d{1,12}$/.test(text.trim()) ? Number(text) : undefined;
}

function refusal(
  reply: Reply,
  cause: string | undefined,
  { request, access, options }: {
    readonly request: GithubRequest;
    readonly access: Access;
    readonly options: GithubOptions;
  },
): GithubRefusal {
  const { status, headers } = reply;
  const { token, variable } = access;
  const use = `export ${variable}=$(gh auth token)`;
  const hints: string[] = [];
  let because = cause;
  const isLimited = status === 429 || status === 403 && (resetMs(headers) !== undefined || headers.has("retry-after"));
  if (isLimited) {
    because = `rate limit${endOfLimit(headers, options.now)}`;
    hints.push(
      token === undefined ? `Set ${variable}, for example \`${use}\`` : "Start again when the limit has ended",
    );
  } else if (status === 401) {
    because = "the token is not valid";
    hints.push(`Set ${variable} again, for example \`${use}\`, or unset it for public repositories`);
  } else if (status === 403) {
    because = headers.has("x-github-sso")
      ? "the token is not authorised for the organisation"
      : messageIn(reply, token);
    hints.push(
      token === undefined
        ? `Set ${variable}, for example \`${use}\``
        : "Give the token access to the repository's issues (fine-grained: Issues, read and write for comments)",
    );
  } else if (status === 404) {
    because = token === undefined
      ? "no such issue, or a private repository"
      : "no such issue, or the token cannot see it";
    hints.push(token === undefined ? `For a private repository set ${variable}: \`${use}\`` : "Check the address");
  } else if (status === 410) because = "the issue was deleted, or the repository has none";
  else because ??= messageIn(reply, token);
  const text = `${request.action}: GitHub answered ${status}${because === "" ? "" : ` (${because})`}`;
  if (status >= 500) hints.push("Try again later; see https://www.githubstatus.com");
  return new GithubRefusal(status, text, hints);
}

/** `, resets 14:05 UTC`, with the day when it is another one. */
function endOfLimit(headers: Headers, now: () => number): string {
  const seconds = decimal(headers.get("retry-after"));
  const end = seconds === undefined ? resetMs(headers) : now() + seconds * 1000;
  if (end === undefined || end > 8.64e15) return "";
  const [day, time] = new Date(end).toISOString().split("T");
  const today = new Date(now()).toISOString().slice(0, 10);
  return `, resets ${day === today ? "" : `${day} `}${time!.slice(0, 5)} UTC`;
}

/** What GitHub itself says, on one line. */
function messageIn({ text }: Reply, token: string | undefined): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    const line = typeof message === "string" ? message.slice(0, 200).replaceAll(/[\s\0-\x1f\x7f-\x9f]+/g, " ") : "";
    return token === undefined ? line : line.replaceAll(token, "[redacted]");
  } catch {
    return "";
  }
}

function findingOf(error: unknown, timeoutMs: number): string {
  return error instanceof TimedOut ? `no answer within ${timeoutMs / 1000} s` : "no connection";
}

// Without the cause: it may quote the request, with its headers.
function unreachable(url: URL, finding: string, { action }: GithubRequest): Failure {
  return new Failure("environment", `${action}: need an answer from ${url.host}, found ${finding}`, {
    hints: ["Check the network, HTTPS_PROXY and GITHUB_API_URL; or give a saved issue with `--issue-file`"],
  });
}

function sleepFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
