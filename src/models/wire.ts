/** The fetch that provider clients get: it completes the request, bounds the reply and keeps what happened. */
import { isObject, type Json } from "./json.ts";
import type { ClientKind } from "./provider_table.ts";

/** What one request and its reply were on the wire. */
export interface Exchange {
  readonly url: string;
  /** Undefined until the reply's head has come. */
  status?: number;
  headers?: Headers;
  /** The whole body. */
  text?: string;
  /** The body as JSON, unchanged; undefined when it is none. */
  json?: unknown;
  /** No reply, or a reply that broke off. */
  connectionError?: unknown;
}

export interface WireOptions {
  readonly client: ClientKind;
  /** Completes the JSON body before it is sent. */
  shapeBody(body: Json): Json;
  /** Told of each request before it is sent; the record is filled in as the reply comes. */
  onExchange(exchange: Exchange): void;
}

/** No model says more in one reply; a server that does is broken or hostile. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

/** Fails with what `fetch` fails with. Never follows a redirect: it would carry the key to another host. */
export function createWireFetch({ client, shapeBody, onExchange }: WireOptions): typeof fetch {
  return async (input, init) => {
    const exchange: Exchange = { url: input instanceof Request ? input.url : String(input) };
    onExchange(exchange);
    // Not the text itself: some runtimes send that twice when a connection that they use again breaks, and the model
    // works twice.
    const body = typeof init?.body === "string"
      ? new Blob([JSON.stringify(shapeBody(JSON.parse(init.body)))])
      : init?.body;
    let text: string;
    let response: Response;
    try {
      response = await fetch(input, { ...init, body, redirect: "manual" });
      exchange.status = response.status;
      exchange.headers = response.headers;
      text = await readText(response);
    } catch (error) {
      exchange.connectionError = error;
      throw error;
    }
    exchange.text = text;
    exchange.json = parseJson(text);
    const status = statusOf(exchange);
    exchange.status = status;
    const replied = response.ok && status === response.status ? completeReply(client, exchange.json) : exchange.json;
    const headers = new Headers(response.headers);
    // The body is decoded already.
    headers.delete("content-encoding");
    headers.delete("content-length");
    // Response refuses a body with these, be it an empty one.
    const withoutBody = status === 204 || status === 205 || status === 304;
    const sent = replied === undefined ? text : JSON.stringify(replied);
    return new Response(withoutBody ? null : sent, { status, headers });
  };
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_REPLY_BYTES) throw new RangeError(`The reply is longer than ${MAX_REPLY_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Some proxies answer 200 and put the upstream's failure in the body. */
function statusOf({ status, json }: Exchange): number {
  const reported = status!;
  // fetch gives 0 only for opaque replies, and Response accepts nothing below 200.
  if (reported < 200) return 502;
  if (reported > 299 || !isObject(json) || !isObject(json.error)) return reported;
  if (json.choices !== undefined || json.content !== undefined || json.output !== undefined) return reported;
  const code = Number(json.error.code ?? json.error.status);
  return Number.isInteger(code) && code >= 400 && code <= 599 ? code : 502;
}

/** Fills in what small servers leave out and the clients insist on. A reply of another shape is returned as it is. */
function completeReply(client: ClientKind, json: unknown): unknown {
  if (!isObject(json)) return undefined;
  if (Array.isArray(json.choices)) return { ...json, choices: json.choices.map(completeChoice) };
  if (client !== "anthropic" && client !== "vertex") return undefined;
  if (!Array.isArray(json.content) && typeof json.content !== "string") return undefined;
  const usage = isObject(json.usage) ? json.usage : {};
  return {
    ...json,
    type: "message",
    content: typeof json.content === "string" ? [{ type: "text", text: json.content }] : json.content,
    stop_reason: json.stop_reason ?? null,
    usage: { ...usage, input_tokens: usage.input_tokens ?? 0, output_tokens: usage.output_tokens ?? 0 },
  };
}

function completeChoice(choice: unknown, index: number): unknown {
  if (!isObject(choice) || !isObject(choice.message)) return choice;
  const { message } = choice;
  const calls = message.tool_calls;
  return {
    ...choice,
    index: choice.index ?? index,
    message: {
      ...message,
      role: "assistant",
      // OpenAI's client takes text only; others send text parts.
      content: Array.isArray(message.content)
        ? message.content.map((part) => isObject(part) && typeof part.text === "string" ? part.text : "").join("")
        : message.content,
      ...(Array.isArray(calls) && { tool_calls: calls.map(completeToolCall) }),
    },
  };
}

function completeToolCall(call: unknown): unknown {
  if (!isObject(call) || !isObject(call.function)) return call;
  const given = call.function.arguments;
  const text = typeof given === "string" ? given : JSON.stringify(given ?? {});
  const id = typeof call.id === "number" ? String(call.id) : call.id;
  return { ...call, id, type: "function", function: { ...call.function, arguments: text } };
}
