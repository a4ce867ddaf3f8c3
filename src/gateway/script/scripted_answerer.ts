/** Answers model calls from a script: the same replies for every agent, in whichever wire format it speaks. */
import type { Json } from "../../models/json.ts";
import {
  inBashFence,
  loadScript,
  ReplyQueue,
  type ScriptedReply,
  usageOf,
  usedUp,
} from "../../models/scripted_model.ts";
import { type Sleep, sleepFor } from "../../models/retry.ts";
import type { Usage } from "../../models/usage.ts";
import type { Answerer, Asked } from "../answerer.ts";
import type { DialectId } from "../dialect.ts";
import {
  type AnswerWriter,
  Inexpressible,
  type ScriptedAnswer,
  type ScriptedError,
  type ToolUse,
} from "./scripted_answer.ts";
import { findShellTool, type OfferedTool, offeredTools, shellInput } from "./shell_tool.ts";
import { sideAnswer } from "./side_request.ts";
import { writeAnthropic } from "./write_anthropic.ts";
import { writeChat } from "./write_chat.ts";
import { writeGemini } from "./write_gemini.ts";
import { writeResponses } from "./write_responses.ts";

const WRITERS: Readonly<Record<DialectId, AnswerWriter>> = {
  anthropic: writeAnthropic,
  openai_chat: writeChat,
  openai_responses: writeResponses,
  gemini: writeGemini,
};

/** Workers name themselves, and may be many: whoever has not asked for the longest time would begin again. */
const MAX_WORKERS = 10_000;
const MAX_MODELS = 100;

/** How far one worker is in its list. */
interface Progress {
  readonly queue: ReplyQueue;
  /** Replies that became answers; errors are not counted. */
  given: number;
  sideAnswers: number;
}

/**
 * Reads a script: what `gocore mini -m scripted/FILE` takes, and `{workers: {codex: [...]}, replies: [...]}`. A worker
 * that is named there has its own list, each other one gets `replies` from their beginning; runs do not share
 * progress. Throws a usage `Failure` that names the file, the entry and the key.
 *
 * Calls that are no part of a conversation use up no reply: what `side_request.ts` describes, counts of tokens, lists of
 * models. A call beyond the last reply is answered with status 400, which nobody repeats. A reply whose `error` has no
 * status rejects, as a connection that breaks.
 */
export async function openScript(path: string, { sleep = sleepFor }: { sleep?: Sleep } = {}): Promise<Answerer> {
  const { replies = [], workers } = await loadScript(path);
  const progress = new Map<string, Progress>();
  const models = new Map<DialectId, Set<string>>();

  const progressOf = ({ run, worker }: Asked): Progress => {
    const key = JSON.stringify([run, worker]);
    const found = progress.get(key) ??
      { queue: new ReplyQueue(workers.get(worker) ?? replies), given: 0, sideAnswers: 0 };
    keepLatest(progress, key, found, MAX_WORKERS);
    return found;
  };
  const modelsOf = (id: DialectId): Set<string> => {
    const found = models.get(id) ?? new Set();
    models.set(id, found);
    return found;
  };

  return async (asked, signal) => {
    signal.throwIfAborted();
    const writer = WRITERS[asked.dialect.id];
    if (asked.method === "GET") return Response.json(modelsFor(asked.path, writer, [...modelsOf(asked.dialect.id)]));
    if (/[/:]count_?tokens$/i.test(asked.path)) return Response.json(writer.tokenCount(inputTokens(asked)));
    const known = modelsOf(asked.dialect.id);
    if (known.size < MAX_MODELS) known.add(asked.model);

    const worker = progressOf(asked);
    const sideText = sideAnswer(asked, worker.queue.next);
    if (sideText !== undefined) {
      const side = answerTo(asked, { content: sideText }, { id: `side_${++worker.sideAnswers}` });
      return respond(asked, writer, side);
    }
    const reply = worker.queue.take();
    if (reply === undefined) {
      const { message } = usedUp(worker.given, `"${path}" for the worker "${asked.worker}"`);
      return refuse(writer, { status: 400, message, retryAfter: undefined });
    }
    if (reply.delay_ms !== undefined && reply.delay_ms > 0) await sleep(reply.delay_ms, signal);
    if (reply.error !== undefined) {
      const { status, message = "scripted error", retry_after: retryAfter } = reply.error;
      if (status === undefined) throw new Error(message);
      return refuse(writer, { status, message, retryAfter });
    }
    return respond(asked, writer, answerTo(asked, reply, { id: String(++worker.given) }));
  };
}

/** What a reply says in answer to this request. */
function answerTo(asked: Asked, reply: ScriptedReply, { id }: { id: string }): ScriptedAnswer {
  const { commands = [], reasoning = "", cost } = reply;
  const tools = offeredTools(asked.dialect.id, asked.json);
  const shell = findShellTool(tools);
  const toolUses: ToolUse[] = (reply.tool_calls ?? []).map(({ name, arguments: given = {}, id: own }, index) => ({
    ...offered(tools, name ?? shell?.name ?? "bash"),
    id: own ?? `call_${id}_${index + 1}`,
    input: typeof given === "string" ? given : JSON.stringify(given),
  }));
  const texts = [reply.content ?? ""];
  for (const command of commands) {
    if (shell === undefined) texts.push(inBashFence(command));
    else {
      const { name, namespace, kind } = shell;
      const input = shellInput(shell, command);
      toolUses.push({ name, namespace, kind, id: `call_${id}_${toolUses.length + 1}`, input });
    }
  }
  const text = texts.filter((part) => part !== "").join("\n\n");
  return {
    id,
    model: asked.model,
    text,
    reasoning,
    toolUses,
    finishReason: reply.finish_reason ?? (toolUses.length > 0 ? "tool_calls" : "stop"),
    usage: reply.usage === undefined ? estimate(asked, { text, reasoning, toolUses }) : usageOf(reply.usage),
    costUsd: cost ?? undefined,
  };
}

/** A tool as the request offers it; one that it does not offer is called all the same, as models do. */
function offered(tools: readonly OfferedTool[], wanted: string): Pick<ToolUse, "name" | "namespace" | "kind"> {
  const { name, namespace, kind } = tools.find((tool) => tool.name === wanted) ??
    { name: wanted, namespace: undefined, kind: "function" };
  return { name, namespace, kind };
}

/** Four bytes are a token: enough for a meter to have something to count. */
function estimate(asked: Asked, said: Pick<ScriptedAnswer, "text" | "reasoning" | "toolUses">): Usage {
  const reasoning = tokensOf(said.reasoning);
  const output = tokensOf(said.text + said.toolUses.map(({ name, input }) => name + input).join("")) + reasoning;
  return { input: inputTokens(asked), cacheRead: 0, cacheWrite: 0, output: Math.max(1, output), reasoning };
}

function inputTokens({ body }: Asked): number {
  return Math.max(1, Math.ceil(body.byteLength / 4));
}

function tokensOf(text: string): number {
  return Math.ceil(new TextEncoder().encode(text).byteLength / 4);
}

function respond(asked: Asked, writer: AnswerWriter, answer: ScriptedAnswer): Response {
  const headers = new Headers();
  if (answer.costUsd !== undefined) headers.set("x-gocore-cost-usd", String(answer.costUsd));
  try {
    if (!asked.streamed) return Response.json(writer.document(answer, asked.json), { headers });
    const events = writer.events(answer, asked.json);
    if (asked.dialect.id === "gemini" && new URLSearchParams(asked.search).get("alt") !== "sse") {
      headers.set("content-type", "application/json");
      return new Response(inPieces(arrayFrames(events)), { headers });
    }
    headers.set("content-type", "text/event-stream; charset=utf-8");
    headers.set("cache-control", "no-cache");
    return new Response(inPieces(eventFrames(events, writer)), { headers });
  } catch (error) {
    if (!(error instanceof Inexpressible)) throw error;
    return refuse(writer, { status: 400, message: error.message, retryAfter: undefined });
  }
}

function* eventFrames(events: readonly Json[], { namesEvents, endMark }: AnswerWriter): Generator<string> {
  for (const event of events) {
    yield `${namesEvents ? `event: ${event.type}\n` : ""}data: ${JSON.stringify(event)}\n\n`;
  }
  if (endMark !== "") yield `data: ${endMark}\n\n`;
}

/** Without `alt=sse` Gemini streams one JSON array. */
function* arrayFrames(events: readonly Json[]): Generator<string> {
  for (const [index, event] of events.entries()) yield `${index === 0 ? "[" : ",\r\n"}${JSON.stringify(event)}`;
  yield "]";
}

/** Each piece is a chunk of its own. */
function inPieces(pieces: Iterator<string>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const utf8 = new TextEncoder();
  return new ReadableStream({
    pull(controller) {
      const { done, value } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(utf8.encode(value));
    },
  }, { highWaterMark: 0 });
}

function refuse(writer: AnswerWriter, error: ScriptedError): Response {
  const headers = new Headers({ "content-type": "application/json" });
  if (error.retryAfter !== undefined) {
    // The header has whole seconds; clients that know the other one take that.
    headers.set("retry-after", String(Math.ceil(error.retryAfter)));
    headers.set("retry-after-ms", String(error.retryAfter * 1000));
  }
  if (error.status === 400) headers.set("x-should-retry", "false");
  // 304 is the one status here that has no body.
  const body = error.status === 304 ? null : JSON.stringify(writer.error(error));
  return new Response(body, { status: error.status, headers });
}

/** The list of the models that were asked so far, or the one that the path names. */
function modelsFor(path: string, writer: AnswerWriter, asked: readonly string[]): Json {
  const named = /\/models\/(.+)$/.exec(path)?.[1];
  if (named !== undefined) return writer.model(decodeName(named));
  return writer.modelList((asked.length > 0 ? asked : ["scripted"]).map((id) => writer.model(id)));
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function keepLatest<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value!);
}
