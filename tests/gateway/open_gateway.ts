/** A gateway in this process, before a fake upstream and with a ledger in a folder of its own. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EventData, EventFact, EventType } from "../../src/events/event.ts";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { type Gateway, startGateway } from "../../src/gateway/gateway.ts";
import { DEFAULT_SETTINGS, type GatewaySettings, type UpstreamSettings } from "../../src/gateway/settings.ts";

/** What clients send in its place is `DUMMY_KEY`. */
export const REAL_KEY = "sk-real-4f1d8c7a9b2e";
export const DUMMY_KEY = "sk-dummy-0000";

export const FORMATS = ["anthropic", "openai_chat", "openai_responses", "gemini"] as const satisfies DialectId[];

/** One upstream for every format. The list prices `claude-…`, `gpt-…` and `gemini-…` by their names. */
export function upstreamAt(baseUrl: string, changes: Partial<UpstreamSettings> = {}): UpstreamSettings {
  return {
    name: "fake",
    provider: "openai_compatible",
    baseUrl,
    apiKey: REAL_KEY,
    keyless: false,
    keySource: "FAKE_API_KEY",
    dialects: FORMATS,
    models: [],
    ...changes,
  };
}

/** A model's price in USD per million tokens. */
export function priced(model: string, prices: { input: number; output: number }): GatewaySettings["prices"][number] {
  const [input, output] = [prices.input / 1e6, prices.output / 1e6];
  return { model, prices: { input, output, cacheRead: input, cacheWrite: input, cacheWrite1h: input } };
}

/** A row of the ledger's table of calls. Money in picodollars. */
export interface CallRow {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  readonly key_id: string | null;
  readonly upstream: string;
  readonly model: string;
  readonly dialect: string;
  readonly streamed: number;
  readonly reserved: number | null;
  readonly ended_ms: number | null;
  readonly outcome: string | null;
  readonly status: number | null;
  readonly answered_model: string | null;
  readonly usage_source: string | null;
  readonly input: number | null;
  readonly cache_read: number | null;
  readonly cache_write: number | null;
  readonly cache_write_1h: number | null;
  readonly output: number | null;
  readonly reasoning: number | null;
  readonly cost: number | null;
  readonly cost_source: string | null;
  readonly counted: number | null;
  readonly attempts: number | null;
}

export interface OpenGateway extends AsyncDisposable {
  readonly url: string;
  readonly gateway: Gateway;
  readonly dir: string;
  readonly settings: GatewaySettings;
  readonly events: readonly EventFact[];
  eventsOf<T extends EventType>(type: T): EventData<T>[];
  /** Resolves when so many events of the type have been stated. */
  stated(type: EventType, count: number): Promise<void>;
  /** All calls in the order in which they were admitted. */
  rows(): CallRow[];
}

/** Without an upstream in `changes`: one at `url`. */
export async function openGateway(
  url: string,
  changes: Partial<GatewaySettings> & { readonly now?: () => number; readonly monotonicMs?: () => number } = {},
): Promise<OpenGateway> {
  const dir = await Deno.makeTempDir();
  const { now = Date.now, monotonicMs = () => performance.now(), ...given } = changes;
  const settings: GatewaySettings = {
    ...DEFAULT_SETTINGS,
    port: 0,
    ledger: join(dir, "ledger.sqlite"),
    source: { kind: "upstreams" },
    upstreams: [upstreamAt(url)],
    drainMs: 0,
    ...given,
  };
  const events: EventFact[] = [];
  const waiting = new Set<{ isDone(): boolean; resolve(): void }>();
  const gateway = await startGateway(settings, {
    env: {},
    publish(fact) {
      events.push(fact);
      for (const one of waiting) {
        if (!one.isDone()) continue;
        waiting.delete(one);
        one.resolve();
      }
    },
    now,
    monotonicMs,
  });
  return {
    url: gateway.url,
    gateway,
    dir,
    settings,
    events,
    eventsOf: <T extends EventType>(type: T) =>
      events.flatMap((event) => event.type === type ? [event.data as EventData<T>] : []),
    stated: (type, count) =>
      new Promise((resolve) => {
        const isDone = () => events.filter((event) => event.type === type).length >= count;
        if (isDone()) resolve();
        else waiting.add({ isDone, resolve });
      }),
    rows() {
      const database = new DatabaseSync(settings.ledger, { readOnly: true });
      try {
        return database.prepare("SELECT * FROM call ORDER BY rowid").all() as unknown as CallRow[];
      } finally {
        database.close();
      }
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** A request as the official clients of a format send it; `changes` are merged into its body. */
export function requestFor(
  format: DialectId,
  { streamed = false, model, changes = {} }: { streamed?: boolean; model?: string; changes?: object } = {},
): { path: string; body: string; headers: Record<string, string> } {
  const name = model ?? MODELS[format];
  const json = { "content-type": "application/json" };
  switch (format) {
    case "anthropic":
      return {
        path: "/v1/messages?beta=true",
        headers: { ...json, "x-api-key": DUMMY_KEY, "anthropic-version": "2023-06-01", "anthropic-beta": "a-2026,b" },
        body: JSON.stringify({
          model: name,
          max_tokens: 100,
          messages: [{ role: "user", content: "Hi ☃" }],
          ...(streamed && { stream: true }),
          ...changes,
        }),
      };
    case "openai_chat":
      return {
        path: "/v1/chat/completions",
        headers: { ...json, authorization: `Bearer ${DUMMY_KEY}`, "openai-organization": "org-1" },
        body: JSON.stringify({
          model: name,
          max_tokens: 100,
          messages: [{ role: "user", content: "Hi ☃" }],
          ...(streamed && { stream: true, stream_options: { include_usage: true } }),
          ...changes,
        }),
      };
    case "openai_responses":
      return {
        path: "/v1/responses",
        headers: { ...json, authorization: `Bearer ${DUMMY_KEY}`, "session-id": "s1" },
        body: JSON.stringify({
          model: name,
          max_output_tokens: 100,
          input: "Hi ☃",
          ...(streamed && { stream: true }),
          ...changes,
        }),
      };
    case "gemini":
      return {
        path: `/v1beta/models/${name}:${streamed ? "streamGenerateContent?alt=sse" : "generateContent"}`,
        headers: { ...json, "x-goog-api-key": DUMMY_KEY, "x-goog-api-client": "google-genai-sdk/3.1.0" },
        body: JSON.stringify({
          contents: [{ role: "user", parts: [{ text: "Hi ☃" }] }],
          generationConfig: { maxOutputTokens: 100 },
          ...changes,
        }),
      };
  }
}

export const MODELS = {
  anthropic: "claude-sonnet-4-5",
  openai_chat: "gpt-5",
  openai_responses: "gpt-5",
  gemini: "gemini-2.5-pro",
} as const satisfies Record<DialectId, string>;

/** Sends the request of `requestFor`; `prefix` is put before its path. */
export function send(
  url: string,
  format: DialectId,
  { headers = {}, signal, prefix = "", ...rest }: {
    streamed?: boolean;
    model?: string;
    changes?: object;
    headers?: Record<string, string>;
    signal?: AbortSignal;
    prefix?: string;
  } = {},
): Promise<Response> {
  const request = requestFor(format, rest);
  return fetch(`${url}${prefix}${request.path}`, {
    method: "POST",
    body: request.body,
    headers: { ...request.headers, ...headers },
    redirect: "manual",
    signal,
  });
}
