/** A model provider on a loopback socket: it speaks four wire formats as the real ones do, fails in every way on demand, and knows what it charged. */
import "./direct_loopback.ts";
import type { DialectId } from "../../src/gateway/dialect.ts";
import type { Usage } from "../../src/models/usage.ts";

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  /** As they were sent, in their order. */
  readonly rawHeaders: readonly (readonly [string, string])[];
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  // deno-lint-ignore no-explicit-any -- tests look into bodies of many shapes
  readonly json: any;
  /** Undefined for a path that belongs to none. */
  readonly format: DialectId | undefined;
  readonly streamed: boolean;
  /** How the exchange ended for the upstream: the reply was sent whole, the client hung up before, or it was broken off. */
  readonly ended: Promise<"sent" | "client_gone" | "broken">;
}

/**
 * - `refuse`: the connection is closed before the head
 * - `hang`: the request is read and never answered
 * - `cut`: the connection is closed after so many bytes of the body
 * - `stall`: after so many bytes of the body nothing more comes
 * - `endless`: after the body more and more of it comes, until the client hangs up
 */
export type UpstreamFault =
  | { readonly kind: "refuse" | "hang" | "endless" }
  | { readonly kind: "cut" | "stall"; readonly afterBytes: number };

export interface UpstreamToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** Every part has a default: a short text, a usage of 100 and 10 tokens, status 200, an event for each piece. */
export interface UpstreamReply {
  /** Streamed in pieces of up to 12 characters. */
  readonly text?: string;
  readonly reasoning?: string;
  readonly toolCalls?: readonly UpstreamToolCall[];
  /** What the reply tells and the upstream charges; null: it tells nothing, and charges the usual. */
  readonly usage?: Usage | null;
  /** The model that answers; as asked for otherwise. */
  readonly model?: string;
  /** From 300 on the body is the format's own error, and nothing is charged. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of what the format would say: text or bytes as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Compressed, although nobody asked for it. */
  readonly gzip?: boolean;
  /** The sizes in bytes of the body's pieces, over and over; `[1]`: byte by byte. */
  readonly splits?: readonly number[];
  /** Awaited before the head. */
  beforeHead?(): Promise<unknown> | void;
  /** Awaited before each piece of the body is sent. */
  beforePiece?(index: number): Promise<unknown> | void;
  readonly fault?: UpstreamFault;
}

export interface UpstreamCharge {
  /** The request's place in `requests`. */
  readonly index: number;
  readonly model: string;
  readonly usage: Usage;
}

export interface FakeUpstream extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly UpstreamRequest[];
  /** What the model worked for, whether or not the reply reached anybody. */
  readonly charges: readonly UpstreamCharge[];
  /** Resolves when that many requests have come whole. */
  requested(count: number): Promise<void>;
  readonly openConnections: number;
  /** Resolves when no connection is open. */
  idle(): Promise<void>;
}

export const USUAL_USAGE: Usage = { input: 100, cacheRead: 0, cacheWrite: 0, output: 10, reasoning: 0 };
const USUAL_TEXT = "The answer is forty-two. Всё хорошо 🙂";

/** `reply` is asked for each request, in the order in which they are complete. */
export function startFakeUpstream(
  reply: (request: UpstreamRequest, index: number) => UpstreamReply = () => ({}),
): FakeUpstream {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const connections = new Set<Connection>();
  const requests: UpstreamRequest[] = [];
  const charges: UpstreamCharge[] = [];
  const waiting = new Set<{ isDone(): boolean; resolve(): void }>();
  const look = () => {
    for (const one of waiting) {
      if (!one.isDone()) continue;
      waiting.delete(one);
      one.resolve();
    }
  };
  const until = (isDone: () => boolean) =>
    new Promise<void>((resolve) => {
      if (isDone()) return resolve();
      waiting.add({ isDone, resolve });
    });

  async function serve(socket: Deno.TcpConn): Promise<void> {
    const connection = new Connection(socket);
    connections.add(connection);
    try {
      while (true) {
        const read = await readRequest(connection);
        if (read === undefined) return;
        const end = Promise.withResolvers<"sent" | "client_gone" | "broken">();
        const request: UpstreamRequest = { ...read, ended: end.promise };
        const index = requests.push(request) - 1;
        const given = reply(request, index);
        if (request.format !== undefined && (given.status ?? 200) < 300) {
          const model = given.model ?? modelOf(request);
          charges.push({ index, model, usage: given.usage ?? USUAL_USAGE });
        }
        look();
        const how = await answer(connection, request, given).catch(() => "client_gone" as const);
        end.resolve(how);
        if (how !== "sent") return;
      }
    } catch {
      // The connection broke while a request was read.
    } finally {
      connection.close();
      connections.delete(connection);
      look();
    }
  }

  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const socket of listener) serving.push(serve(socket));
  })().catch(() => {});
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    charges,
    requested: (count) => until(() => requests.length >= count),
    get openConnections() {
      return connections.size;
    },
    idle: () => until(() => connections.size === 0),
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of connections) connection.close();
      await Promise.all(serving);
    },
  };
}

/** A socket that is always read, so that the end of the other side is noticed while a reply is sent. */
class Connection {
  readonly #socket: Deno.TcpConn;
  #pending = new Uint8Array(0);
  #hasEnded = false;
  #wake: () => void = () => {};
  readonly #gone = Promise.withResolvers<"gone">();

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#pump();
  }

  /** Resolves when the other side, or we, have closed it. */
  get gone(): Promise<"gone"> {
    return this.#gone.promise;
  }

  /** Waits for more bytes than were there before; undefined: none will come. */
  async more(have: number): Promise<Uint8Array | undefined> {
    while (this.#pending.length <= have && !this.#hasEnded) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#pending.length > have ? this.#pending : undefined;
  }

  take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    return taken;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  close(): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed.
    }
  }

  async #pump(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      while (true) {
        const count = await this.#socket.read(buffer);
        if (count === null) break;
        const joined = new Uint8Array(this.#pending.length + count);
        joined.set(this.#pending);
        joined.set(buffer.subarray(0, count), this.#pending.length);
        this.#pending = joined;
        this.#wake();
      }
    } catch {
      // Reset, or closed by us.
    }
    this.#hasEnded = true;
    this.#gone.resolve("gone");
    this.#wake();
  }
}

// --- requests

async function readRequest(connection: Connection): Promise<Omit<UpstreamRequest, "ended"> | undefined> {
  const head = await takeUntil(connection, "\r\n\r\n");
  if (head === undefined) return undefined;
  const [line = "", ...lines] = head.split("\r\n");
  const [method = "", target = ""] = line.split(" ");
  const rawHeaders = lines.filter((one) => one !== "").map((one): [string, string] => {
    const colon = one.indexOf(":");
    return [one.slice(0, colon), one.slice(colon + 1).trim()];
  });
  const headers = new Headers(rawHeaders);
  const body = headers.get("transfer-encoding")?.includes("chunked")
    ? await takeChunks(connection)
    : await takeBytes(connection, Number(headers.get("content-length") ?? 0));
  const json = parse(new TextDecoder().decode(body));
  const format = formatOf(target);
  const streamed = format === "gemini"
    ? target.includes(":streamGenerateContent")
    : (json as { stream?: unknown } | undefined)?.stream === true;
  return { method, target, rawHeaders, headers, body, json, format, streamed };
}

async function takeUntil(connection: Connection, mark: string): Promise<string | undefined> {
  let have = 0;
  while (true) {
    const bytes = await connection.more(have);
    if (bytes === undefined) return undefined;
    const text = Array.from(bytes.subarray(0, 64 * 1024), (byte) => String.fromCharCode(byte)).join("");
    const end = text.indexOf(mark);
    if (end < 0) {
      have = bytes.length;
      continue;
    }
    connection.take(end + mark.length);
    return text.slice(0, end);
  }
}

async function takeBytes(connection: Connection, count: number): Promise<Uint8Array<ArrayBuffer>> {
  let have = 0;
  while (have < count) {
    const bytes = await connection.more(have);
    if (bytes === undefined) throw new Error("The client left");
    have = bytes.length;
  }
  return connection.take(count);
}

async function takeChunks(connection: Connection): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  while (true) {
    const size = await takeUntil(connection, "\r\n");
    if (size === undefined) throw new Error("The client left");
    const piece = await takeBytes(connection, parseInt(size, 16));
    await takeBytes(connection, 2);
    if (piece.length === 0) return concat(pieces);
    pieces.push(piece);
  }
}

function formatOf(target: string): DialectId | undefined {
  const path = target.split("?", 1)[0]!;
  if (path.endsWith("/messages")) return "anthropic";
  if (path.endsWith("/chat/completions")) return "openai_chat";
  if (path.endsWith("/responses")) return "openai_responses";
  return /:(?:streamG|g)enerateContent$/.test(path) ? "gemini" : undefined;
}

function modelOf({ format, target, json }: Pick<UpstreamRequest, "format" | "target" | "json">): string {
  return format === "gemini" ? /\/models\/([^:]+):/.exec(target)?.[1] ?? "" : String(json?.model);
}

// --- replies

async function answer(
  connection: Connection,
  request: UpstreamRequest,
  reply: UpstreamReply,
): Promise<"sent" | "client_gone" | "broken"> {
  const { fault, splits, status = 200 } = reply;
  const orGone = async (work: Promise<unknown> | void) => {
    if (work === undefined) return;
    if (await Promise.race([work, connection.gone]) === "gone") throw new Error("The client left");
  };
  await orGone(reply.beforeHead?.());
  if (fault?.kind === "refuse") return "broken";
  if (fault?.kind === "hang") await orGone(new Promise(() => {}));
  const isStream = request.streamed && request.format !== undefined && status < 300 && reply.body === undefined;
  const parts = partsOf(request, reply, isStream).map(encode);
  let body = concat(parts);
  if (reply.gzip) body = await gzipped(body);
  const pieces = splits !== undefined || reply.gzip ? split(body, splits ?? [body.length]) : parts;
  const isChunked = isStream || splits !== undefined || reply.beforePiece !== undefined || fault?.kind === "endless";
  const contentType = isStream && !(request.format === "gemini" && !request.target.includes("alt=sse"))
    ? (request.format === "gemini" ? "text/event-stream" : "text/event-stream; charset=utf-8")
    : "application/json";
  const headers = new Headers({
    date: "Sat, 21 Nov 2026 16:00:00 GMT",
    "content-type": contentType,
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "anthropic-ratelimit-requests-remaining": "3999",
    "openai-processing-ms": "417",
    "set-cookie": "__cf_bm=upstream; path=/; HttpOnly",
    server: "cloudflare",
    ...(reply.gzip && { "content-encoding": "gzip" }),
    ...(isChunked ? { "transfer-encoding": "chunked" } : { "content-length": String(body.length) }),
    ...reply.headers,
  });
  const head = Array.from(headers, ([name, value]) => `${name}: ${value}\r\n`).join("");
  await connection.write(encode(`HTTP/1.1 ${status} ${status < 300 ? "OK" : "Not so"}\r\n${head}\r\n`));
  const limit = fault?.kind === "cut" || fault?.kind === "stall" ? fault.afterBytes : Infinity;
  const send = (bytes: Uint8Array) =>
    connection.write(isChunked ? concat([encode(`${bytes.length.toString(16)}\r\n`), bytes, encode("\r\n")]) : bytes);
  let sent = 0;
  for (const [index, piece] of pieces.entries()) {
    await orGone(reply.beforePiece?.(index));
    const rest = piece.subarray(0, limit - sent);
    if (rest.length > 0) await orGone(send(rest));
    sent += rest.length;
    if (sent >= limit) break;
  }
  if (fault?.kind === "cut") return "broken";
  if (fault?.kind === "stall") await orGone(new Promise(() => {}));
  while (fault?.kind === "endless") await orGone(send(new Uint8Array(256 * 1024).fill(0x20)));
  if (isChunked) await connection.write(encode("0\r\n\r\n"));
  return "sent";
}

/** The body in the pieces that the real provider would send: an event each. */
function partsOf(request: UpstreamRequest, reply: UpstreamReply, isStream: boolean): (string | Uint8Array)[] {
  const { body, status = 200 } = reply;
  if (typeof body === "string" || body instanceof Uint8Array) return [body];
  if (body !== undefined) return [JSON.stringify(body)];
  const { format } = request;
  if (status >= 300) return [JSON.stringify(errorOf(format ?? "openai_chat", status))];
  if (format === undefined) return [JSON.stringify({ object: "list", data: [{ id: "a-model", object: "model" }] })];
  const spoken: Spoken = {
    text: USUAL_TEXT,
    toolCalls: [],
    reasoning: undefined,
    usage: USUAL_USAGE,
    ...reply,
    model: reply.model ?? modelOf(request),
  };
  switch (format) {
    case "anthropic":
      return isStream ? anthropicEvents(spoken) : [JSON.stringify(anthropicMessage(spoken))];
    case "openai_chat": {
      // As the real one does: the counts of a stream are for those who ask.
      const asked = request.json?.stream_options?.include_usage === true;
      return isStream ? chatEvents(spoken, asked) : [JSON.stringify(chatCompletion(spoken), undefined, 2)];
    }
    case "openai_responses":
      return isStream ? responseEvents(spoken) : [JSON.stringify(response(spoken, "completed"), undefined, 2)];
    case "gemini": {
      if (!isStream) return [JSON.stringify(geminiReply(spoken, geminiParts(spoken), true), undefined, 2)];
      const chunks = geminiChunks(spoken).map((chunk) => JSON.stringify(chunk));
      if (request.target.includes("alt=sse")) return chunks.map((chunk) => `data: ${chunk}\r\n\r\n`);
      return chunks.map((chunk, i) => `${i === 0 ? "[" : ",\r\n"}${chunk}${i === chunks.length - 1 ? "]" : ""}`);
    }
  }
}

interface Spoken {
  readonly text: string;
  readonly reasoning: string | undefined;
  readonly toolCalls: readonly UpstreamToolCall[];
  readonly usage: Usage | null;
  readonly model: string;
}

const FRAGMENT = /[^]{1,12}/gu;
const fragments = (text: string): string[] => text.match(FRAGMENT) ?? [];

// --- Anthropic

function anthropicUsage({ input, cacheRead, cacheWrite, cacheWrite1h = 0, output, reasoning, webSearches }: Usage) {
  return {
    input_tokens: input,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    cache_creation: { ephemeral_5m_input_tokens: cacheWrite - cacheWrite1h, ephemeral_1h_input_tokens: cacheWrite1h },
    output_tokens: output,
    ...(reasoning > 0 && { output_tokens_details: { thinking_tokens: reasoning } }),
    ...(webSearches !== undefined && { server_tool_use: { web_search_requests: webSearches } }),
    service_tier: "standard",
    inference_geo: "not_available",
  };
}

function anthropicBlocks({ text, reasoning, toolCalls }: Spoken) {
  return [
    ...(reasoning === undefined ? [] : [{ type: "thinking" as const, thinking: reasoning, signature: "EqQBCgIYAhIM" }]),
    ...(text === "" ? [] : [{ type: "text" as const, text }]),
    ...toolCalls.map(({ id, name, arguments: input }) => ({ type: "tool_use" as const, id, name, input })),
  ];
}

function anthropicMessage(spoken: Spoken) {
  return {
    model: spoken.model,
    id: "msg_01XFDUDYJgAACzvnptvVoYEL",
    type: "message",
    role: "assistant",
    content: anthropicBlocks(spoken),
    stop_reason: spoken.toolCalls.length > 0 ? "tool_use" : "end_turn",
    stop_sequence: null,
    ...(spoken.usage && { usage: anthropicUsage(spoken.usage) }),
  };
}

function anthropicEvents(spoken: Spoken): string[] {
  const event = (type: string, rest: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  const { usage } = spoken;
  const first = usage && { usage: { ...anthropicUsage(usage), output_tokens: Math.min(1, usage.output) } };
  const { usage: _, ...whole } = anthropicMessage(spoken);
  const events = [
    event("message_start", { message: { ...whole, content: [], stop_reason: null, ...first } }),
    event("ping", {}),
  ];
  for (const [index, block] of anthropicBlocks(spoken).entries()) {
    const delta = (content: object) => event("content_block_delta", { index, delta: content });
    const begin = (content: object) => event("content_block_start", { index, content_block: content });
    if (block.type === "thinking") {
      events.push(begin({ type: "thinking", thinking: "", signature: "" }));
      events.push(...fragments(block.thinking).map((thinking) => delta({ type: "thinking_delta", thinking })));
      events.push(delta({ type: "signature_delta", signature: block.signature }));
    } else if (block.type === "text") {
      events.push(begin({ type: "text", text: "" }));
      events.push(...fragments(block.text).map((text) => delta({ type: "text_delta", text })));
    } else {
      events.push(begin({ ...block, input: {} }));
      const json = fragments(JSON.stringify(block.input));
      events.push(...["", ...json].map((partial_json) => delta({ type: "input_json_delta", partial_json })));
    }
    events.push(event("content_block_stop", { index }));
  }
  const { stop_reason, stop_sequence } = whole;
  const last = usage && {
    usage: {
      input_tokens: usage.input,
      cache_creation_input_tokens: usage.cacheWrite,
      cache_read_input_tokens: usage.cacheRead,
      output_tokens: usage.output,
    },
  };
  events.push(event("message_delta", { delta: { stop_reason, stop_sequence }, ...last }), event("message_stop", {}));
  return events;
}

// --- OpenAI's chat completions

function chatUsage({ input, cacheRead, cacheWrite, output, reasoning }: Usage) {
  const prompt = input + cacheRead + cacheWrite;
  return {
    prompt_tokens: prompt,
    completion_tokens: output,
    total_tokens: prompt + output,
    prompt_tokens_details: { cached_tokens: cacheRead, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function chatToolCalls({ toolCalls }: Spoken) {
  return toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(given) },
  }));
}

function chatCompletion(spoken: Spoken) {
  const { text, reasoning, toolCalls, usage, model } = spoken;
  return {
    id: "chatcmpl-CFjOaLkFmD8wq4hFqPjs",
    object: "chat.completion",
    created: 1795276800,
    model,
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: text === "" ? null : text,
        ...(reasoning !== undefined && { reasoning_content: reasoning }),
        ...(toolCalls.length > 0 && { tool_calls: chatToolCalls(spoken) }),
        refusal: null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: toolCalls.length > 0 ? "tool_calls" : "stop",
    }],
    ...(usage && { usage: chatUsage(usage) }),
    service_tier: "default",
    system_fingerprint: "fp_51db84afab",
  };
}

function chatEvents(spoken: Spoken, withUsage: boolean): string[] {
  const { text, reasoning, toolCalls, usage } = spoken;
  const { id, created, model, service_tier, system_fingerprint } = chatCompletion(spoken);
  const data = (rest: object) => {
    const chunk = { id, object: "chat.completion.chunk", created, model, service_tier, system_fingerprint, ...rest };
    return `data: ${JSON.stringify(withUsage ? { usage: null, ...chunk } : chunk)}\n\n`;
  };
  const choice = (delta: object, finish_reason: string | null = null) =>
    data({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
  return [
    choice({ role: "assistant", content: "", refusal: null }),
    ...(reasoning === undefined ? [] : fragments(reasoning).map((part) => choice({ reasoning_content: part }))),
    ...fragments(text).map((content) => choice({ content })),
    ...chatToolCalls(spoken).flatMap((call, index) => [
      choice({ tool_calls: [{ index, ...call, function: { ...call.function, arguments: "" } }] }),
      ...fragments(call.function.arguments).map((part) =>
        choice({ tool_calls: [{ index, function: { arguments: part } }] })
      ),
    ]),
    choice({}, toolCalls.length > 0 ? "tool_calls" : "stop"),
    ...(withUsage && usage !== null ? [data({ choices: [], usage: chatUsage(usage) })] : []),
    "data: [DONE]\n\n",
  ];
}

// --- OpenAI's responses

function responseOutput({ text, reasoning, toolCalls }: Spoken, status: "completed" | "in_progress") {
  return [
    ...(reasoning === undefined ? [] : [{
      id: "rs_68af4030592c81938ec0a5fbab4a3e9f05",
      type: "reasoning" as const,
      encrypted_content: "gAAAAABotO",
      summary: [{ type: "summary_text", text: reasoning }],
    }]),
    ...(text === "" ? [] : [{
      id: "msg_68af40337e58819392e935fb404414d005",
      type: "message" as const,
      status,
      content: [{ type: "output_text", annotations: [], logprobs: [], text }],
      role: "assistant",
    }]),
    ...toolCalls.map(({ id, name, arguments: given }) => ({
      id: `fc_${id}`,
      type: "function_call" as const,
      status,
      arguments: JSON.stringify(given),
      call_id: id,
      name,
    })),
  ];
}

function response(spoken: Spoken, status: "completed" | "in_progress") {
  const { usage, model } = spoken;
  const isDone = status === "completed";
  return {
    id: "resp_68af4030592c81938ec0a5fbab4a3e9f",
    object: "response",
    created_at: 1795276800,
    status,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    model,
    output: isDone ? responseOutput(spoken, status) : [],
    parallel_tool_calls: true,
    service_tier: isDone ? "default" : "auto",
    tool_choice: "auto",
    tools: [],
    ...(!isDone ? { usage: null } : usage && { usage: responseUsage(usage) }),
    metadata: {},
  };
}

function responseUsage({ input, cacheRead, cacheWrite, output, reasoning }: Usage) {
  const whole = input + cacheRead + cacheWrite;
  return {
    input_tokens: whole,
    input_tokens_details: { cached_tokens: cacheRead },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: whole + output,
  };
}

function responseEvents(spoken: Spoken): string[] {
  const events: string[] = [];
  const event = (type: string, rest: object) => {
    const data = JSON.stringify({ type, sequence_number: events.length, ...rest });
    events.push(`event: ${type}\ndata: ${data}\n\n`);
  };
  event("response.created", { response: response(spoken, "in_progress") });
  event("response.in_progress", { response: response(spoken, "in_progress") });
  for (const [output_index, item] of responseOutput(spoken, "completed").entries()) {
    const place = { item_id: item.id, output_index };
    const added = item.type === "message"
      ? { ...item, status: "in_progress", content: [] }
      : item.type === "function_call"
      ? { ...item, status: "in_progress", arguments: "" }
      : { ...item, summary: [] };
    event("response.output_item.added", { output_index, item: added });
    if (item.type === "message") {
      const [part] = item.content;
      event("response.content_part.added", { ...place, content_index: 0, part: { ...part, text: "" } });
      for (const delta of fragments(part!.text)) {
        event("response.output_text.delta", { ...place, content_index: 0, delta, logprobs: [] });
      }
      event("response.output_text.done", { ...place, content_index: 0, text: part!.text, logprobs: [] });
      event("response.content_part.done", { ...place, content_index: 0, part });
    } else if (item.type === "function_call") {
      for (const delta of fragments(item.arguments)) {
        event("response.function_call_arguments.delta", { ...place, delta });
      }
      event("response.function_call_arguments.done", { ...place, arguments: item.arguments });
    } else {
      const [part] = item.summary;
      event("response.reasoning_summary_part.added", { ...place, summary_index: 0, part: { ...part, text: "" } });
      for (const delta of fragments(part!.text)) {
        event("response.reasoning_summary_text.delta", { ...place, summary_index: 0, delta });
      }
      event("response.reasoning_summary_text.done", { ...place, summary_index: 0, text: part!.text });
      event("response.reasoning_summary_part.done", { ...place, summary_index: 0, part });
    }
    event("response.output_item.done", { output_index, item });
  }
  event("response.completed", { response: response(spoken, "completed") });
  return events;
}

// --- Gemini

function geminiUsage({ input, cacheRead, cacheWrite, output, reasoning }: Usage) {
  const prompt = input + cacheRead + cacheWrite;
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: output - reasoning,
    totalTokenCount: prompt + output,
    ...(cacheRead > 0 && { cachedContentTokenCount: cacheRead }),
    promptTokensDetails: [{ modality: "TEXT", tokenCount: prompt }],
    ...(reasoning > 0 && { thoughtsTokenCount: reasoning }),
  };
}

function geminiParts({ text, reasoning, toolCalls }: Spoken): object[] {
  return [
    ...(reasoning === undefined ? [] : [{ text: reasoning, thought: true }]),
    ...(text === "" ? [] : [{ text }]),
    ...toolCalls.map(({ name, arguments: args }) => ({ functionCall: { name, args }, thoughtSignature: "CvQBAcu98P" })),
  ];
}

function geminiReply({ usage, model }: Spoken, parts: object[], isLast: boolean) {
  return {
    candidates: [{ content: { parts, role: "model" }, ...(isLast && { finishReason: "STOP" }), index: 0 }],
    ...(usage && {
      usageMetadata: isLast
        ? geminiUsage(usage)
        : geminiUsage({ ...usage, output: Math.min(1, usage.output), reasoning: 0 }),
    }),
    modelVersion: model,
    responseId: "rRq0aOLkI8eZ1MkPkZ7Y8Ao",
  };
}

function geminiChunks(spoken: Spoken) {
  const { text, reasoning } = spoken;
  const parts = [
    ...fragments(reasoning ?? "").map((part) => ({ text: part, thought: true })),
    ...fragments(text).map((part) => ({ text: part })),
    ...geminiParts({ ...spoken, text: "", reasoning: undefined }),
  ];
  return [
    ...parts.map((part) => geminiReply(spoken, [part], false)),
    geminiReply(spoken, [{ text: "" }], true),
  ];
}

// --- errors

function errorOf(format: DialectId, status: number): object {
  const message = `The fake upstream answers ${status}`;
  if (format === "anthropic") {
    return { type: "error", error: { type: ANTHROPIC_ERRORS[status] ?? "api_error", message }, request_id: "req_011" };
  }
  if (format === "gemini") return { error: { code: status, message, status: GEMINI_ERRORS[status] ?? "INTERNAL" } };
  const type = status === 429 ? "requests" : status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: null, code: status === 429 ? "rate_limit_exceeded" : null } };
}

const ANTHROPIC_ERRORS: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};
const GEMINI_ERRORS: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  503: "UNAVAILABLE",
};

// --- bytes

function encode(part: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof part === "string" ? new TextEncoder().encode(part) : new Uint8Array(part);
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function split(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(sizes[i % sizes.length] ?? 1, 1);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

async function gzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
