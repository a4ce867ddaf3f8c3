/** A `ChatModel` that reads its replies from a list: for demonstrations and tests, without a key and without a network. */
import { Failure, messageOf } from "../failure.ts";
import type { ChatMessage, ChatModel, ChatReply, FinishReason, QueryOptions, ToolCall } from "./chat_model.ts";
import { isObject } from "./json.ts";
import { connectionFailure, type FailureContext, statusFailure } from "./model_failure.ts";
import { type AttemptResult, type Sleep, sleepFor, withRetries } from "./retry.ts";
import type { Usage } from "./usage.ts";

/** One reply, as it stands in a script; every key is optional. */
export interface ScriptedReply {
  readonly content?: string;
  /** Become calls of the agent's shell (mini: the `bash` tool), or one fenced block each where it offers none. */
  readonly commands?: readonly string[];
  /** Tool calls as the model would write them; `arguments` may be a raw text, to try broken ones. */
  readonly tool_calls?: readonly { readonly name?: string; readonly arguments?: unknown; readonly id?: string }[];
  readonly reasoning?: string;
  readonly usage?: {
    readonly input?: number;
    readonly output?: number;
    readonly cache_read?: number;
    readonly cache_write?: number;
    readonly reasoning?: number;
  };
  /**
   * USD; null: unknown. Without it mini takes 0, because a script is known to be free, and the gateway what the model
   * that was asked for costs.
   */
  readonly cost?: number | null;
  readonly delay_ms?: number;
  readonly finish_reason?: FinishReason;
  /** The attempt fails instead; without a status as if the connection did. The next entry answers the next attempt. */
  readonly error?: { readonly status?: number; readonly message?: string; readonly retry_after?: number };
  /** How many times this entry is used; default 1. */
  readonly repeat?: number;
}

export interface ScriptedModelOptions {
  /** As events tell it; default `scripted`. */
  readonly name?: string;
  /** How `commands` are written; default: tool calls when the query offers the tool. */
  readonly protocol?: "toolcall" | "text";
  /** How a command is written in the text protocol; default a fenced block labelled `bash`. */
  wrap?(command: string): string;
  readonly sleep?: Sleep;
}

export interface Script {
  /** Undefined: the file has lists for workers alone. */
  readonly replies: readonly ScriptedReply[] | undefined;
  /** The lists of those who have one of their own. */
  readonly workers: ReadonlyMap<string, readonly ScriptedReply[]>;
}

/**
 * Reads a script: `.jsonl` with one reply per line, otherwise YAML or JSON with a list of replies, or `replies: [...]`
 * and `workers: {name: [...]}`. Throws a usage `Failure` that names the file, the entry and the key.
 */
export async function loadScript(path: string): Promise<Script> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new Failure("usage", `Cannot read the script "${path}": ${messageOf(cause)}`, {
      hints: ["Name a file that exists; README shows what stands in one"],
      cause,
    });
  }
  if (/\.jsonl$/i.test(path)) return { replies: readLines(text, path), workers: new Map() };
  const document = await readDocument(text, path);
  const place = `"${path}"`;
  if (!isObject(document)) return { replies: readList(document, place), workers: new Map() };
  const { replies, workers = {} } = document;
  if (!isObject(workers)) throw unreadable(`${place}, workers`, "need a mapping of names to lists of replies");
  const lists = Object.entries(workers).map(([name, list]) =>
    [name, readList(list, `${place}, worker "${name}"`)] as const
  );
  const isForWorkersAlone = replies === undefined && lists.length > 0;
  return { replies: isForWorkersAlone ? undefined : readList(replies, place), workers: new Map(lists) };
}

/** A model that answers with the `replies` of a script; throws as `loadScript` does, also when there are none. */
export async function loadScriptedModel(path: string, options: ScriptedModelOptions = {}): Promise<ChatModel> {
  const { replies } = await loadScript(path);
  if (replies === undefined) throw unreadable(`"${path}"`, "need a list of replies");
  return scriptedModel(replies, { name: `scripted/${path}`, ...options });
}

/** Answers with the replies in their order, whatever is asked. The same replies give the same answers, ids included. */
export function scriptedModel(replies: readonly ScriptedReply[], options: ScriptedModelOptions = {}): ChatModel {
  return new ScriptedModel(replies, options);
}

/** Hands out replies in their order, each as often as its `repeat` says. */
export class ReplyQueue {
  readonly #replies: readonly ScriptedReply[];
  #next = 0;
  #uses = 0;

  constructor(replies: readonly ScriptedReply[]) {
    this.#replies = replies;
  }

  /** The reply whose turn it is; undefined when all were taken. */
  get next(): ScriptedReply | undefined {
    return this.#replies[this.#next];
  }

  take(): ScriptedReply | undefined {
    const reply = this.next;
    if (reply !== undefined && ++this.#uses >= (reply.repeat ?? 1)) {
      this.#next++;
      this.#uses = 0;
    }
    return reply;
  }
}

/** @param given how many replies were given before */
export function usedUp(given: number, name: string): Failure {
  return new Failure("model", `The scripted model has no reply left: all ${given} of ${name} are given`, {
    hints: ["Add a reply to the script, or let its last command finish the task"],
  });
}

class ScriptedModel implements ChatModel {
  readonly name: string;
  readonly #queue: ReplyQueue;
  readonly #options: ScriptedModelOptions;
  #given = 0;

  constructor(replies: readonly ScriptedReply[], options: ScriptedModelOptions) {
    this.name = options.name ?? "scripted";
    this.#queue = new ReplyQueue(replies);
    this.#options = options;
  }

  async query(_messages: readonly ChatMessage[], options: QueryOptions): Promise<ChatReply> {
    const { signal } = options;
    const sleep = this.#options.sleep ?? sleepFor;
    return await withRetries(() => this.#attempt(options, sleep), {
      name: this.name,
      signal,
      sleep,
      onRetry: (notice) => options.onRetry(notice),
      onUnpricedAttempt: () => options.onUnpricedAttempt(),
    });
  }

  async #attempt({ bashTool, signal }: QueryOptions, sleep: Sleep): Promise<AttemptResult<ChatReply>> {
    const reply = this.#queue.take();
    if (reply === undefined) throw usedUp(this.#given, this.name);
    if (reply.delay_ms !== undefined && reply.delay_ms > 0) await sleep(reply.delay_ms, signal);
    if (reply.error !== undefined) return { ok: false, failure: toFailure(reply.error) };
    const protocol = this.#options.protocol ?? (bashTool ? "toolcall" : "text");
    return { ok: true, value: toReply(reply, ++this.#given, protocol, this.#options.wrap ?? inBashFence) };
  }
}

const CONTEXT: FailureContext = { secrets: [], keyVariable: "MINI_API_KEY", timeoutMs: 0, now: () => 0 };

function toFailure({ status, message = "scripted error", retry_after: seconds }: NonNullable<ScriptedReply["error"]>) {
  const url = "scripted:";
  if (status === undefined) return connectionFailure({ url }, new Error(message), CONTEXT);
  const headers = new Headers(seconds === undefined ? {} : { "retry-after-ms": String(seconds * 1000) });
  const json = { error: { message } };
  return statusFailure({ url, status, headers, json, text: JSON.stringify(json) }, CONTEXT);
}

/** A command as the text protocol writes it. */
export const inBashFence = (command: string): string => `\`\`\`bash\n${command}\n\`\`\``;

function toReply(
  reply: ScriptedReply,
  number: number,
  protocol: "toolcall" | "text",
  wrap: (command: string) => string,
): ChatReply {
  const commands = reply.commands ?? [];
  const toolCalls: ToolCall[] = (reply.tool_calls ?? []).map(({ name = "bash", arguments: given = {}, id }, index) => ({
    id: id ?? `call_${number}_${index + 1}`,
    name,
    arguments: typeof given === "string" ? given : JSON.stringify(given),
  }));
  let content = reply.content ?? "";
  if (protocol === "toolcall") {
    for (const command of commands) {
      const id = `call_${number}_${toolCalls.length + 1}`;
      toolCalls.push({ id, name: "bash", arguments: JSON.stringify({ command }) });
    }
  } else {
    content = [content, ...commands.map(wrap)].filter((part) => part !== "").join("\n\n");
  }
  const { cost = 0 } = reply;
  return {
    content,
    reasoning: reply.reasoning ?? "",
    toolCalls,
    finishReason: reply.finish_reason ?? (toolCalls.length > 0 ? "tool_calls" : "stop"),
    usage: reply.usage && usageOf(reply.usage),
    cost: cost === null ? { usd: null, source: "unknown" } : { usd: cost, source: "provider" },
    raw: reply,
  };
}

/** What a script does not count is 0. */
export function usageOf(given: NonNullable<ScriptedReply["usage"]>): Usage {
  return {
    input: given.input ?? 0,
    cacheRead: given.cache_read ?? 0,
    cacheWrite: given.cache_write ?? 0,
    output: given.output ?? 0,
    reasoning: given.reasoning ?? 0,
  };
}

function readLines(text: string, path: string): ScriptedReply[] {
  const replies: ScriptedReply[] = [];
  // Split on LF only: other separators are legal inside JSON strings.
  for (const [index, line] of text.replace(/^\ufeff/, "").split("\n").entries()) {
    if (line.trim() === "") continue;
    const place = `"${path}", line ${index + 1}`;
    replies.push(readReply(parseJson(line, place), place));
  }
  return replies;
}

async function readDocument(text: string, path: string): Promise<unknown> {
  if (/\.json$/i.test(path)) return parseJson(text, `"${path}"`);
  const { load, YAMLException, YAML11_SCHEMA } = await import("js-yaml");
  try {
    return load(text, { schema: YAML11_SCHEMA, filename: path });
  } catch (cause) {
    const mark = cause instanceof YAMLException ? cause.mark : undefined;
    const place = mark ? `"${path}", line ${mark.line + 1}, column ${mark.column + 1}` : `"${path}"`;
    throw unreadable(place, cause instanceof YAMLException ? cause.reason : messageOf(cause), cause);
  }
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(place, "it is not JSON", cause);
  }
}

function readList(list: unknown, place: string): ScriptedReply[] {
  if (!Array.isArray(list)) throw unreadable(place, "need a list of replies");
  return list.map((value, index) => readReply(value, `${place}, reply ${index + 1}`));
}

function unreadable(place: string, finding: string, cause?: unknown): Failure {
  return new Failure("usage", `Cannot read the script ${place}: ${finding}`, {
    hints: ['Write a list of replies, for example `- {content: "I look around", commands: ["ls"]}`'],
    cause,
  });
}

type Reader = (value: unknown, key: string) => unknown;

/** Checks an entry; a text alone is a reply with that content. `place` begins every failure. */
function readReply(value: unknown, place: string): ScriptedReply {
  const wrong = (key: string, need: string): never => {
    throw unreadable(`${place}, ${key}`, `need ${need}`);
  };
  const text: Reader = (given, key) => typeof given === "string" ? given : wrong(key, "a text");
  const amount: Reader = (given, key) =>
    typeof given === "number" && Number.isFinite(given) && given >= 0 ? given : wrong(key, "a number, at least 0");
  const positive: Reader = (given, key) =>
    Number.isInteger(given) && Number(given) > 0 ? given : wrong(key, "a whole number above 0");
  const status: Reader = (given, key) =>
    Number.isInteger(given) && Number(given) >= 300 && Number(given) <= 599
      ? given
      : wrong(key, "an HTTP status of a failure");
  const anything: Reader = (given) => given;
  const list = (element: Reader): Reader => (given, key) =>
    Array.isArray(given) ? given.map((one, index) => element(one, `${key}[${index}]`)) : wrong(key, "a list");
  const record = (readers: Readonly<Record<string, Reader>>): Reader => (given, key) => {
    if (!isObject(given)) return wrong(key, "a mapping");
    const read: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(given)) {
      const path = key === "" ? name : `${key}.${name}`;
      if (!Object.hasOwn(readers, name)) wrong(path, `one of ${Object.keys(readers).join(", ")}`);
      if (field !== null || name === "cost") read[name] = readers[name]!(field, path);
    }
    return read;
  };
  const reasons = ["stop", "length", "tool_calls", "content_filter", "error", "other"];
  const reply = record({
    content: text,
    commands: list(text),
    tool_calls: list(record({ name: text, arguments: anything, id: text })),
    reasoning: text,
    usage: record({ input: amount, output: amount, cache_read: amount, cache_write: amount, reasoning: amount }),
    cost: (given, key) => given === null ? null : amount(given, key),
    delay_ms: amount,
    finish_reason: (given, key) => reasons.includes(String(given)) ? given : wrong(key, `one of ${reasons.join(", ")}`),
    error: (given, key) =>
      typeof given === "string"
        ? { message: given }
        : record({ status, message: text, retry_after: amount })(given, key),
    repeat: positive,
  });
  if (typeof value === "string") return { content: value };
  if (!isObject(value)) throw unreadable(place, "need a mapping or a text");
  return reply(value, "") as ScriptedReply;
}
