/** Why an agent failed, told from an HTTP status and from the words of its messages. */
import type { FailureCause } from "../events/session_events.ts";

/** More than any message needs; the rest of a whole page is not looked at. */
const MAX_MESSAGE = 20_000;

/** How CLIs write the status into a message: `status 401`, `last status: 429`, `API Error: 500`, `(429)`, `"code":429`. */
const STATUS = /(?:\bstatus(?: code)?:? |\bAPI Error: |\brejected \(|\bHTTP |"code": ?)([45]\d\d)\b/;

type Rule = readonly [cause: FailureCause, words: RegExp];

/** Say more than the status that they come with. */
const BEFORE_STATUS: readonly Rule[] = [
  // Gemini says "You exceeded your current quota, please check your plan" of speed: only codex's own sentence is money.
  [
    "budget",
    /insufficient_quota|billing_(?:hard_limit|not_active)|credit balance is too low|insufficient (?:balance|credits?|funds)|^Quota exceeded\. Check your plan|maximum budget|error_max_budget|budget_exceeded|budget (?:is |was )?(?:exhausted|exceeded|spent)/im,
  ],
  [
    "context",
    /context_length_exceeded|model_context_window|(?:prompt|input|conversation) is too long|(?:prompt|conversation) too long|maximum context length|context (?:window|length|limit)|exceeds? the maximum number of tokens|input token count/i,
  ],
  [
    "auth",
    /api[ _-]?key (?:is )?(?:not valid|invalid)|(?:invalid|incorrect|missing) (?:x-)?api[ _-]?key|API_KEY_INVALID|authentication_(?:failed|error)|failed to authenticate/i,
  ],
];

const WITHOUT_STATUS: readonly Rule[] = [
  [
    "auth",
    /not logged in|please run \/login|missing environment variable|please set an auth method|invalid auth method|must specify the [A-Z_]{1,60}_API_KEY|unauthorized|could not resolve authentication|invalid bearer token|oauth token/i,
  ],
  [
    "trusted_directory",
    /not (?:inside|running in) a trusted (?:directory|folder)|(?:directory|folder|workspace) is not trusted|inside a git repo/i,
  ],
  ["root", /cannot be (?:used|run) (?:with|as) root/i],
  [
    "include_directories",
    /path (?:not in workspace|must be within one of the workspace)|outside (?:the |of the )?(?:allowed (?:working |workspace )?directories|project)|allowed working directories/i,
  ],
  [
    "sandbox",
    /\bbwrap: |creating new namespace|read-only (?:sandbox|file system)|\bEROFS\b|sandbox (?:denied|error|failed)/i,
  ],
  [
    "permission",
    /permission denied|\bE(?:ACCES|PERM)\b|operation not permitted|requires user confirmation|haven't granted|has been denied because|rejected by user|approval policy is never|needs approval/i,
  ],
  ["rate_limit", /rate[ _-]?limit|too many requests|RESOURCE_EXHAUSTED|usage limit|quota/i],
  ["overloaded", /high demand|overloaded|at capacity|service unavailable|internal server error|\bUNAVAILABLE\b/i],
  [
    "network",
    /stream (?:disconnected|closed)|error sending request|connection (?:dropped|refused|failed|reset|error|closed|timed out)|\b(?:ECONN[A-Z]{1,20}|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|UND_ERR_[A-Z_]{1,30})\b|fetch failed|socket hang up|failed to lookup address|waiting for network|request timed out|network error/i,
  ],
  [
    "arguments",
    /unexpected argument|unknown (?:option|argument)s?|invalid value .{1,100} for|error loading config|model provider .{1,100} not found|input must be provided|no input provided|CODEX_HOME points to|directory does not exist|no such file or directory \(os error 2\)|session id .{1,60} is already in use|no conversation found|no rollout found|invalid session identifier/i,
  ],
  [
    "model",
    /model .{0,100}(?:not found|does not exist|not supported|unknown|may not exist)|(?:unknown|unrecognized|invalid|unsupported)[ _]model|malformed response|is not valid JSON|incomplete JSON|no finish reason|empty response|NO_RESPONSE_TEXT|MALFORMED_FUNCTION_CALL|content[ _]filter|content_policy/i,
  ],
];

/**
 * Null: neither the status nor the words say. `status` is that of the model's HTTP answer, null when it is not known; it
 * is then looked for in the message. 402 is `budget`, because so does the gateway say that a cap is reached.
 */
export function causeOf({ status, message }: { status: number | null; message: string }): FailureCause | null {
  const text = message.slice(0, MAX_MESSAGE);
  return firstOf(BEFORE_STATUS, text) ?? causeOfStatus(status ?? statusIn(text)) ?? firstOf(WITHOUT_STATUS, text);
}

function firstOf(rules: readonly Rule[], text: string): FailureCause | null {
  return rules.find(([, words]) => words.test(text))?.[0] ?? null;
}

function statusIn(message: string): number | null {
  const found = STATUS.exec(message.slice(0, MAX_MESSAGE));
  return found === null ? null : Number(found[1]);
}

function causeOfStatus(status: number | null): FailureCause | null {
  if (status === null || status < 400) return null;
  if (status === 401 || status === 403) return "auth";
  if (status === 402) return "budget";
  if (status === 413) return "context";
  if (status === 429) return "rate_limit";
  if (status === 408 || status === 502 || status === 504) return "network";
  return status >= 500 ? "overloaded" : "model";
}

/** A stream that broke off: `said` is what stderr, or the last complaint, says about it. */
export function causeOfSilence(
  { exitCode, signal }: { readonly exitCode: number | null; readonly signal: string | null },
  said: string,
): { readonly cause: FailureCause; readonly text: string } {
  const cause = causeOf({ status: null, message: said });
  const killedBy = signal ?? (exitCode === null ? "a signal" : SIGNAL_EXITS.get(exitCode));
  const end = killedBy === undefined ? `exit code ${exitCode}` : `ended by ${killedBy}`;
  const text = said === "" ? `It broke off without an answer (${end})` : `${said} (${end})`;
  return { cause: cause ?? (exitCode === 0 && signal === null ? "no_answer" : "crashed"), text };
}

const SIGNAL_EXITS: ReadonlyMap<number, string> = new Map([
  [129, "SIGHUP"],
  [130, "SIGINT"],
  [134, "SIGABRT"],
  [137, "SIGKILL"],
  [139, "SIGSEGV"],
  [143, "SIGTERM"],
]);

/**
 * The line of a command's output that says that the system refused something, as shells, node and python write it: at the
 * end of a line or with the number of the error, so that a text that is about permissions does not count.
 */
export function refusalIn(output: string): string | null {
  const lines = output.slice(-MAX_MESSAGE).split("\n", MAX_LINES);
  const found = lines.find((line) => line.length <= MAX_LINE && REFUSALS.some((words) => words.test(line.trimEnd())));
  return found?.trim() ?? null;
}

const MAX_LINES = 500;
const MAX_LINE = 1000;
const REFUSALS = [
  /^[^:]{1,300}: .{0,600}(?:permission denied|read-only file system|operation not permitted)$/i,
  /\b(?:EACCES|EPERM|EROFS): /,
  /\[Errno (?:1|13|30)\] /,
  /^bwrap: /,
];
