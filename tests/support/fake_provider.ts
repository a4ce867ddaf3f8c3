/** A model provider on the loopback: it speaks four wire formats, follows a script, fails on demand and records what it was asked. */

import "./direct_loopback.ts";

export interface FakeRequest {
  readonly method: string;
  /** With the query, as sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  // deno-lint-ignore no-explicit-any -- tests look into bodies of many shapes
  readonly body: any;
}

/** An answer in the wire format that the request's path belongs to. */
export interface FakeAnswer {
  readonly text?: string;
  readonly reasoning?: string;
  readonly toolCalls?: readonly {
    readonly id: string;
    readonly name?: string;
    readonly arguments: Record<string, unknown>;
  }[];
  /** Total input (cached parts included), its cached parts, output. null: the reply has no usage. */
  readonly usage?: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead?: number;
    readonly cacheWrite?: number;
    readonly reasoning?: number;
  } | null;
  readonly finish?: "stop" | "length";
  readonly headers?: Record<string, string>;
  /** Merged into the reply's JSON. */
  readonly extra?: Record<string, unknown>;
  readonly delayMs?: number;
}

/** A reply as it is, for faults: `body` is sent verbatim, objects as JSON. */
export interface FakeRaw {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly delayMs?: number;
}

/**
 * - `half`: the head and a part of the body, then the connection breaks
 * - `hang`: the request is read and never answered
 * - `stall`: the head and a part of the body, then nothing
 */
export interface FakeFault {
  readonly fault: "half" | "hang" | "stall";
}

export type FakeReply = FakeAnswer | FakeRaw | FakeFault;

/** One reply per request, in order; the last one is repeated. Or a function of the request and its index. */
export type FakeScript = readonly FakeReply[] | ((request: FakeRequest, index: number) => FakeReply);

export interface FakeProvider {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string;
  readonly requests: readonly FakeRequest[];
  /** Resolves when that many requests have come. */
  requested(count: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function startFakeProvider(script: FakeScript): FakeProvider {
  const requests: FakeRequest[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const closing = new AbortController();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      signal: closing.signal,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    },
    async (incoming) => {
      const { pathname, search } = new URL(incoming.url);
      const text = await incoming.text();
      const request: FakeRequest = {
        method: incoming.method,
        path: pathname + search,
        headers: Object.fromEntries(incoming.headers),
        body: parse(text),
      };
      requests.push(request);
      for (const one of waiting) if (requests.length >= one.count) one.resolve();
      const index = requests.length - 1;
      const reply = typeof script === "function" ? script(request, index) : script[Math.min(index, script.length - 1)];
      if (reply === undefined) return new Response("nothing scripted", { status: 500 });
      if ("fault" in reply) return await fail(reply.fault, closing.signal);
      if (reply.delayMs !== undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            timers.delete(timer);
            resolve();
          }, reply.delayMs);
          timers.add(timer);
          closing.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      if ("status" in reply) {
        const { status, headers, body = "" } = reply;
        const sent = body === null || typeof body === "string" ? body : JSON.stringify(body);
        return new Response(sent, { status, headers });
      }
      return Response.json(answerOf(reply, request), { headers: reply.headers });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    requested: (count) =>
      new Promise((resolve) => {
        if (requests.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      closing.abort();
      await server.finished;
    },
  };
}

/** An address where nobody listens. */
export function closedAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return `http://127.0.0.1:${port}`;
}

async function fail(fault: FakeFault["fault"], closing: AbortSignal): Promise<Response> {
  const closed = new Promise<void>((resolve) => closing.addEventListener("abort", () => resolve(), { once: true }));
  if (fault === "hang") {
    await closed;
    return new Response(null, { status: 503 });
  }
  const half = new TextEncoder().encode('{"id":"half","type":"message","role":"assistant","content":[{"type":"te');
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!sent) {
        sent = true;
        controller.enqueue(half);
        return;
      }
      if (fault === "stall") await closed;
      controller.error(new Error("The fake provider breaks the connection"));
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function answerOf(answer: FakeAnswer, { path, body }: FakeRequest): Record<string, unknown> {
  const { extra } = answer;
  if (/\/messages(\?|$)/.test(path)) return { ...anthropic(answer, body.model), ...extra };
  if (/\/chat\/completions(\?|$)/.test(path)) return { ...chat(answer, body.model), ...extra };
  if (/\/responses(\?|$)/.test(path)) return { ...responses(answer, body.model), ...extra };
  if (path.includes(":generateContent")) return { ...gemini(answer), ...extra };
  throw new TypeError(`The fake provider knows no wire format for ${path}`);
}

const USAGE = { input: 100, output: 10 };

function anthropic({ text, reasoning, toolCalls = [], usage = USAGE, finish }: FakeAnswer, model: string) {
  const { input = 0, output = 0, cacheRead = 0, cacheWrite = 0 } = usage ?? {};
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(reasoning === undefined ? [] : [{ type: "thinking", thinking: reasoning, signature: "signed" }]),
      ...(text === undefined ? [] : [{ type: "text", text }]),
      ...toolCalls.map(({ id, name = "bash", arguments: given }) => ({ type: "tool_use", id, name, input: given })),
    ],
    stop_reason: finish === "length" ? "max_tokens" : toolCalls.length > 0 ? "tool_use" : "end_turn",
    stop_sequence: null,
    ...(usage && {
      usage: {
        input_tokens: input - cacheRead - cacheWrite,
        output_tokens: output,
        cache_read_input_tokens: cacheRead,
        cache_creation_input_tokens: cacheWrite,
      },
    }),
  };
}

function chat({ text, reasoning, toolCalls = [], usage = USAGE, finish }: FakeAnswer, model: string) {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model,
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: text ?? null,
        ...(reasoning !== undefined && { reasoning_content: reasoning }),
        ...(toolCalls.length > 0 && {
          tool_calls: toolCalls.map(({ id, name = "bash", arguments: given }) => ({
            id,
            type: "function",
            function: { name, arguments: JSON.stringify(given) },
          })),
        }),
      },
      finish_reason: finish ?? (toolCalls.length > 0 ? "tool_calls" : "stop"),
    }],
    ...(usage && {
      usage: {
        prompt_tokens: usage.input,
        completion_tokens: usage.output,
        total_tokens: usage.input + usage.output,
        prompt_tokens_details: { cached_tokens: usage.cacheRead ?? 0 },
        completion_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 },
      },
    }),
  };
}

function responses({ text, reasoning, toolCalls = [], usage = USAGE }: FakeAnswer, model: string) {
  return {
    id: "resp_1",
    object: "response",
    created_at: 1,
    status: "completed",
    model,
    output: [
      ...(reasoning === undefined ? [] : [{
        type: "reasoning",
        id: "rs_1",
        encrypted_content: "sealed",
        summary: [{ type: "summary_text", text: reasoning }],
      }]),
      ...(text === undefined ? [] : [{
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text, annotations: [] }],
      }]),
      ...toolCalls.map(({ id, name = "bash", arguments: given }) => ({
        type: "function_call",
        id: `fc_${id}`,
        call_id: id,
        name,
        arguments: JSON.stringify(given),
        status: "completed",
      })),
    ],
    ...(usage && {
      usage: {
        input_tokens: usage.input,
        input_tokens_details: { cached_tokens: usage.cacheRead ?? 0 },
        output_tokens: usage.output,
        output_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 },
        total_tokens: usage.input + usage.output,
      },
    }),
  };
}

function gemini({ text, reasoning, toolCalls = [], usage = USAGE, finish }: FakeAnswer) {
  return {
    candidates: [{
      content: {
        role: "model",
        parts: [
          ...(reasoning === undefined ? [] : [{ text: reasoning, thought: true }]),
          ...(text === undefined ? [] : [{ text }]),
          ...toolCalls.map(({ name = "bash", arguments: given }) => ({
            functionCall: { name, args: given },
            thoughtSignature: "signed",
          })),
        ],
      },
      finishReason: finish === "length" ? "MAX_TOKENS" : "STOP",
      index: 0,
    }],
    ...(usage && {
      usageMetadata: {
        promptTokenCount: usage.input,
        cachedContentTokenCount: usage.cacheRead ?? 0,
        candidatesTokenCount: usage.output - (usage.reasoning ?? 0),
        thoughtsTokenCount: usage.reasoning ?? 0,
        totalTokenCount: usage.input + usage.output,
      },
    }),
    modelVersion: "fake",
  };
}
