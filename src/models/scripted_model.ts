/** A `ChatModel` that reads its replies from a list: for demonstrations and tests, without a key and without a network. */
import { Failure, messageOf } from "../failure.ts";
import type { ChatMessage, ChatModel, ChatReply, FinishReason, QueryOptions, ToolCall } from "./chat_model.ts";
import { connectionFailure, type FailureContext, statusFailure } from "./model_failure.ts";
import { type AttemptResult, type Sleep, sleepFor, withRetries } from "./retry.ts";

/** One reply, as it stands in a script; every key is optional. */
export interface ScriptedReply {
  readonly content?: string;
  /** Become `bash` tool calls, or one fenced block each in the text protocol. */
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
  /** USD; null: unknown; default 0, because a script is known to be free. */
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

/**
 * Reads a script: `.jsonl` with one reply per line, otherwise YAML or JSON with a list of replies (or `replies: [...]`).
 * Throws a usage `Failure` that names the file, the entry and the key.
 */
export async function loadScriptedModel(path: string, options: ScriptedModelOptions = {}): Promise<ChatModel> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new Failure("usage", `Cannot read the script "${path}": ${messageOf(cause)}`, {
      hints: ["Name a file that exists, for example `--model scripted/replies.yaml`"],
      cause,
    });
  }
  const entries = /\.jsonl$/i.test(path) ? readLines(text, path) : await readDocument(text, path);
  const replies = entries.map(({ value, place }) => readReply(value, `"${path}", ${place}`));
  return scriptedModel(replies, { name: `scripted/${path}`, ...options });
}

/** Answers with the replies in their order, whatever is asked. The same replies give the same answers, ids included. */
export function scriptedModel(replies: readonly ScriptedReply[], options: ScriptedModelOptions = {}): ChatModel {
  return new ScriptedModel(replies, options);
}

class ScriptedModel implements ChatModel {
  readonly name: string;
  readonly #replies: readonly ScriptedReply[];
  readonly #options: ScriptedModelOptions;
  #next = 0;
  #uses = 0;
  #given = 0;

  constructor(replies: readonly ScriptedReply[], options: ScriptedModelOptions) {
    this.name = options.name ?? "scripted";
    this.#replies = replies;
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
    const reply = this.#take();
    if (reply.delay_ms !== undefined && reply.delay_ms > 0) await sleep(reply.delay_ms, signal);
    if (reply.error !== undefined) return { ok: false, failure: toFailure(reply.error) };
    const protocol = this.#options.protocol ?? (bashTool ? "toolcall" : "text");
    return { ok: true, value: toReply(reply, ++this.#given, protocol, this.#options.wrap ?? inBashFence) };
  }

  #take(): ScriptedReply {
    for (let reply = this.#replies[this.#next]; reply !== undefined; reply = this.#replies[++this.#next]) {
      if (this.#uses++ < (reply.repeat ?? 1)) return reply;
      this.#uses = 0;
    }
    throw new Failure("model", `The scripted model has no reply left: all ${this.#given} of ${this.name} are given`, {
      hints: ["Add a reply to the script, or let its last command finish the task"],
    });
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

const inBashFence = (command: string) => `\`\`\`bash\n${command}\n\`\`\``;

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
  const { usage, cost = 0 } = reply;
  return {
    content,
    reasoning: reply.reasoning ?? "",
    toolCalls,
    finishReason: reply.finish_reason ?? (toolCalls.length > 0 ? "tool_calls" : "stop"),
    usage: usage === undefined ? undefined : {
      input: usage.input ?? 0,
      cacheRead: usage.cache_read ?? 0,
      cacheWrite: usage.cache_write ?? 0,
      output: usage.output ?? 0,
      reasoning: usage.reasoning ?? 0,
    },
    cost: cost === null ? { usd: null, source: "unknown" } : { usd: cost, source: "provider" },
    raw: reply,
  };
}

interface Entry {
  readonly value: unknown;
  /** "line 3" or "reply 3". */
  readonly place: string;
}

function readLines(text: string, path: string): Entry[] {
  const entries: Entry[] = [];
  // Split on LF only: other separators are legal inside JSON strings.
  for (const [index, line] of text.replace(/^\ufeff/, "").split("\n").entries()) {
    if (line.trim() === "") continue;
    const place = `line ${index + 1}`;
    try {
      entries.push({ value: JSON.parse(line), place });
    } catch (cause) {
      throw unreadable(`"${path}", ${place}`, "it is not JSON", cause);
    }
  }
  return entries;
}

async function readDocument(text: string, path: string): Promise<Entry[]> {
  let document: unknown;
  if (/\.json$/i.test(path)) {
    try {
      document = JSON.parse(text);
    } catch (cause) {
      throw unreadable(`"${path}"`, "it is not JSON", cause);
    }
  } else {
    const { load, YAMLException, YAML11_SCHEMA } = await import("js-yaml");
    try {
      document = load(text, { schema: YAML11_SCHEMA, filename: path });
    } catch (cause) {
      const mark = cause instanceof YAMLException ? cause.mark : undefined;
      const place = mark ? `"${path}", line ${mark.line + 1}, column ${mark.column + 1}` : `"${path}"`;
      throw unreadable(place, cause instanceof YAMLException ? cause.reason : messageOf(cause), cause);
    }
  }
  const isMapping = typeof document === "object" && document !== null && !Array.isArray(document);
  const list = isMapping ? (document as Record<string, unknown>).replies : document;
  if (!Array.isArray(list)) throw unreadable(`"${path}"`, "need a list of replies");
  return list.map((value, index) => ({ value, place: `reply ${index + 1}` }));
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
    if (typeof given !== "object" || given === null || Array.isArray(given)) return wrong(key, "a mapping");
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
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw unreadable(place, "need a mapping or a text");
  }
  return reply(value, "") as ScriptedReply;
}
