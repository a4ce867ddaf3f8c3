/** What a failed attempt means: its kind in litellm's words, whether another attempt can help, and what to tell. */
import { Failure } from "../failure.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { isObject, type Json } from "./json.ts";
import type { Exchange } from "./wire.ts";
import { decimalIn, retryAfterMs } from "./retry_after.ts";

export interface AttemptFailure {
  /** litellm's word: RateLimitError, AuthenticationError, … */
  readonly type: string;
  readonly retryable: boolean;
  readonly status: number | undefined;
  /** "the provider answered 429 (rate limit)": what was found, without the attempts. */
  readonly finding: string;
  /** The provider's own words: one line, escaped, bounded; empty when it gave none. */
  readonly detail: string;
  /** What the provider asks for; undefined when it does not say. */
  readonly waitMs: number | undefined;
  /** No reply within the time of an attempt. */
  readonly timedOut: boolean;
  /** The model may have worked, and the provider may charge for it. */
  readonly mayHaveCost: boolean;
  readonly hints: readonly string[];
  readonly cause?: unknown;
}

export interface FailureContext {
  /** Texts that must not be told: keys. */
  readonly secrets: readonly string[];
  /** The variable that holds the key. */
  readonly keyVariable: string;
  readonly timeoutMs: number;
  /** For dates in `retry-after`; milliseconds since 1970. */
  readonly now: () => number;
}

const DETAIL_CHARACTERS = 500;
const GARBAGE_CHARACTERS = 200;

const CONTEXT_WINDOW = [
  /context_length_exceeded|exceed_context_size|model_context_window/i,
  /prompt is too long|input is too long|input length and .?max_tokens.? exceed/i,
  /maximum context length|exceeds? the (available )?(model'?s )?(maximum )?context|context (window|length|size) (is |was )?exceeded/i,
  /exceeds? the maximum number of tokens|exceeds? the (model'?s )?context (window|limit)/i,
];
/** Money, not speed: another attempt costs time and cannot help. Gemini's "quota" message is about speed. */
const OUT_OF_MONEY =
  /insufficient_quota|billing_hard_limit|billing_not_active|credit balance is too low|insufficient (balance|credits?|funds)/i;
const BAD_KEY = /api[ _-]?key (is )?(not valid|invalid)|(invalid|incorrect) (x-)?api[ _-]?key|API_KEY_INVALID/i;

/** From a reply with a status other than 2xx. */
export function statusFailure(
  exchange: Pick<Exchange, "url" | "status" | "headers" | "text" | "json">,
  context: FailureContext,
): AttemptFailure {
  const status = exchange.status ?? 0;
  const detail = tell(providerMessage(exchange), context.secrets);
  const evidence = `${codeOf(exchange.json)} ${exchange.text?.slice(0, 20_000) ?? ""}`;
  const outOfMoney = status === 402 ||
    ((status === 429 || status === 400 || status === 403) && OUT_OF_MONEY.test(evidence));
  const tooLong = (status === 400 || status === 413 || status === 422 || status >= 500) &&
    CONTEXT_WINDOW.some((pattern) => pattern.test(evidence));
  const badKey = status === 401 || (status === 400 && BAD_KEY.test(evidence));
  const type = tooLong
    ? "ContextWindowExceededError"
    : badKey
    ? "AuthenticationError"
    : status === 402
    ? "BudgetExceededError"
    : status === 400 && /content_filter|content_policy/i.test(codeOf(exchange.json))
    ? "ContentPolicyViolationError"
    : typeOfStatus(status);
  const told = exchange.headers?.get("x-should-retry");
  const usual = status === 408 || status === 409 || status === 425 || status === 429 || status >= 500;
  const retryable = !tooLong && !badKey && !outOfMoney && status !== 501 && usual && told !== "false";
  return {
    type,
    retryable,
    status,
    finding: `the provider answered ${status} (${
      outOfMoney ? "out of credit" : tooLong ? "context window" : wordOf(status)
    })`,
    detail,
    waitMs: retryable ? askedWait(exchange, context.now) : undefined,
    timedOut: false,
    mayHaveCost: false,
    hints: hintsOf({ status, badKey, tooLong, outOfMoney }, exchange, context),
  };
}

/** No reply, or one that broke off: refused, reset, unknown host, TLS. */
export function connectionFailure(
  exchange: Pick<Exchange, "url" | "status">,
  error: unknown,
  context: FailureContext,
): AttemptFailure {
  const reason = connectionReason(error, context.secrets);
  // Whether the head had come before a reset is chance.
  const started = exchange.status !== undefined || reason === CLOSED;
  const address = safeUrl(exchange.url);
  return {
    type: "APIConnectionError",
    retryable: !/certificate|blocked|invalid url/i.test(reason),
    status: undefined,
    finding: started ? "the connection broke before the reply was complete" : `no connection to ${address}`,
    detail: reason,
    waitMs: undefined,
    timedOut: false,
    mayHaveCost: started,
    hints: started
      ? []
      : ["Check that the server runs and that MINI_API_BASE (or the provider's own variable) is its address"],
    cause: error,
  };
}

/** A reply with a good status that is not a reply of this wire format. */
export function garbageFailure(
  exchange: Pick<Exchange, "url" | "text" | "json">,
  error: unknown,
  context: FailureContext,
): AttemptFailure {
  // Cut at its end only when the keys are out of it: half a key is no key that could be found.
  const shown = tell(exchange.text ?? "", context.secrets).slice(0, GARBAGE_CHARACTERS);
  const what = shown === ""
    ? "it is empty"
    : exchange.json === undefined
    ? `it is not JSON: ${shown}`
    : `its JSON has another shape: ${shown}`;
  return {
    type: "APIError",
    retryable: true,
    status: undefined,
    finding: "the reply could not be read",
    detail: tell(what, context.secrets),
    waitMs: undefined,
    timedOut: false,
    mayHaveCost: true,
    hints: [`Check that ${safeUrl(exchange.url)} is an API of this provider's kind`],
    cause: error,
  };
}

export function timeoutFailure(context: FailureContext): AttemptFailure {
  return {
    type: "Timeout",
    retryable: true,
    status: undefined,
    finding: `no complete reply within ${context.timeoutMs / 1000} s`,
    detail: "",
    waitMs: undefined,
    timedOut: true,
    mayHaveCost: true,
    hints: ["Allow more time, for example `export MINI_API_TIMEOUT=1200`"],
  };
}

/** The request could not even be made. */
export function localFailure(error: unknown, context: FailureContext): AttemptFailure {
  const message = error instanceof Error ? error.message : String(error);
  const login = /credential|authenticat|login|metadata/i.test(message);
  return {
    type: login ? "AuthenticationError" : "APIError",
    retryable: false,
    status: undefined,
    finding: "the request could not be made",
    detail: tell(message, context.secrets),
    waitMs: undefined,
    timedOut: false,
    mayHaveCost: false,
    hints: [],
    cause: error,
  };
}

/** What the user reads in the end. `sameEachTime`: every attempt failed like this one. */
export function finalFailure(
  name: string,
  failure: AttemptFailure,
  { attempts, sameEachTime, reason }: { attempts: number; sameEachTime: boolean; reason?: string },
): Failure {
  const often = attempts === 1 ? "" : sameEachTime ? ` ${attempts} times` : `, at the last of ${attempts} attempts`;
  const parts = [failure.finding + often, reason, failure.detail].filter((part) => part !== undefined && part !== "");
  return new Failure("model", `Cannot get a reply from ${name}: ${parts.join(": ")}`, {
    type: failure.type,
    hints: failure.hints,
    cause: failure.cause,
  });
}

function typeOfStatus(status: number): string {
  switch (status) {
    case 400:
    case 413:
      return "BadRequestError";
    case 401:
      return "AuthenticationError";
    case 403:
      return "PermissionDeniedError";
    case 404:
      return "NotFoundError";
    case 408:
    case 504:
      return "Timeout";
    case 422:
      return "UnprocessableEntityError";
    case 429:
      return "RateLimitError";
    case 502:
    case 503:
    case 529:
      return "ServiceUnavailableError";
    default:
      return status >= 500 ? "InternalServerError" : "APIError";
  }
}

function wordOf(status: number): string {
  const words: Readonly<Record<number, string>> = {
    400: "bad request",
    401: "not authenticated",
    402: "out of credit",
    403: "not allowed",
    404: "not found",
    408: "timeout",
    413: "too large",
    422: "not processable",
    429: "rate limit",
    502: "bad gateway",
    503: "not available",
    504: "gateway timeout",
    529: "overloaded",
  };
  return words[status] ?? (status >= 500 ? "server error" : status >= 300 && status < 400 ? "redirect" : "refused");
}

function hintsOf(
  found: { status: number; badKey: boolean; tooLong: boolean; outOfMoney: boolean },
  exchange: Pick<Exchange, "url" | "headers">,
  { keyVariable }: FailureContext,
): readonly string[] {
  if (found.badKey || found.status === 403) {
    return [`Check the key in ${keyVariable} (MINI_API_KEY comes before it), and that it may use this model`];
  }
  if (found.outOfMoney) return ["Add credit to the provider's account, or use another key"];
  if (found.tooLong) return ["Give the task in smaller parts, or use a model with a larger context window"];
  if (found.status === 404) {
    return [`Check the name of the model and the address: ${safeUrl(exchange.url)} was asked`];
  }
  if (found.status >= 300 && found.status < 400) {
    const target = exchange.headers?.get("location");
    return target ? [`Set MINI_API_BASE to where the server points to: ${tell(safeUrl(target), [])}`] : [];
  }
  return [];
}

/** `retry-after-ms`, `retry-after` (seconds or an HTTP date), or Gemini's RetryInfo; milliseconds. */
function askedWait({ headers, json }: Pick<Exchange, "headers" | "json">, now: () => number): number | undefined {
  const stated = headers && retryAfterMs(headers, now);
  if (stated !== undefined) return stated;
  const details = errorOf(json)?.details;
  if (!Array.isArray(details)) return undefined;
  for (const detail of details) {
    const delay = isObject(detail) && typeof detail.retryDelay === "string" ? detail.retryDelay : "";
    const seconds = delay.endsWith("s") ? decimalIn(delay.slice(0, -1)) : undefined;
    if (seconds !== undefined) return seconds * 1000;
  }
  return undefined;
}

function errorOf(json: unknown): Json | undefined {
  const first = Array.isArray(json) ? json[0] : json;
  return isObject(first) && isObject(first.error) ? first.error : undefined;
}

function codeOf(json: unknown): string {
  const error = errorOf(json);
  return [error?.code, error?.type, error?.status].filter((part) => typeof part === "string").join(" ");
}

function providerMessage({ json, text }: Pick<Exchange, "json" | "text">): string {
  const error = errorOf(json);
  const body = Array.isArray(json) ? json[0] : json;
  const candidates: unknown[] = [error?.message];
  // OpenRouter says "Provider returned error" and puts the upstream's words here.
  if (isObject(error?.metadata)) candidates.unshift(error.metadata.raw);
  if (isObject(body)) candidates.push(body.message, body.error, body.detail);
  const found = candidates.find((candidate) => typeof candidate === "string" && candidate.trim() !== "");
  if (typeof found === "string") return found;
  const title = /<title>([^<]*)<\/title>/i.exec(text?.slice(0, 20_000) ?? "")?.[1];
  return title ?? text?.slice(0, 4 * DETAIL_CHARACTERS) ?? "";
}

const CLOSED = "it was closed";

function connectionReason(error: unknown, secrets: readonly string[]): string {
  const texts: string[] = [];
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    texts.push(cause.message);
  }
  const all = texts.join(": ");
  if (/refused/i.test(all)) return "connection refused";
  if (/reset|broken pipe|unexpected end|incomplete|closed before/i.test(all)) return CLOSED;
  if (/dns|resolve|lookup|name or service/i.test(all)) return "the host is not known";
  return tell(all, secrets);
}

/** One line, without secrets, at most 500 characters; control characters as `\x1b`. */
export function tell(text: string, secrets: readonly string[]): string {
  let told = text.slice(0, 20 * DETAIL_CHARACTERS);
  for (const secret of secrets) {
    if (secret.length >= 4) told = told.replaceAll(secret, "***");
  }
  told = told.replace(/([?&](?:key|api[_-]?key|token|access_token|sig)=)[^&\s"']+/gi, "$1***")
    .replace(/\b(Bearer\s+|sk-(?:ant-|or-|proj-)?)[\w.-]{12,}/g, "$1***")
    .replace(/\s+/g, " ").trim()
    .toWellFormed();
  told = escapeTerminal(told);
  const characters = Array.from(told.slice(0, 2 * DETAIL_CHARACTERS));
  return characters.length > DETAIL_CHARACTERS ? `${characters.slice(0, DETAIL_CHARACTERS - 1).join("")}…` : told;
}

/** Without a user, a password, a query and a fragment. */
function safeUrl(text: string): string {
  if (!URL.canParse(text)) return "the address";
  const { origin, pathname } = new URL(text);
  return origin + pathname;
}
