/** The providers' own clients get through the gateway what they get without it, and the ledger has what they were charged. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { type GenerateContentResponse, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import type { DialectId } from "../../src/gateway/dialect.ts";
import type { Usage } from "../../src/models/usage.ts";
import { startFakeUpstream, type UpstreamReply } from "../support/fake_upstream.ts";
import { type OpenGateway, openGateway } from "./open_gateway.ts";

interface Client {
  readonly format: DialectId;
  readonly usage: Usage;
  /** USD, by the public prices per million tokens, worked out by hand. */
  readonly costUsd: number;
  /** Everything that the client makes of the reply. */
  ask(baseUrl: string, apiKey: string): Promise<unknown>;
}

/** More than any of them does by itself: none of these tests is to end because a client has given up. */
const RETRIES = 5;

const SCHEMA = {
  type: "object" as const,
  properties: { command: { type: "string" as const } },
  required: ["command"],
};

// 3 in, 0.3 read, 3.75 kept for five minutes, 6 for an hour, 15 out.
const ANTHROPIC_USAGE = {
  input: 1200,
  cacheRead: 5000,
  cacheWrite: 3000,
  cacheWrite1h: 1000,
  output: 700,
  reasoning: 300,
};
const ANTHROPIC_USD = (1200 * 3 + 5000 * 0.3 + 2000 * 3.75 + 1000 * 6 + 700 * 15) / 1e6;
const anthropicBody: Anthropic.MessageCreateParamsNonStreaming = {
  model: "claude-sonnet-4-6",
  max_tokens: 2000,
  messages: [{ role: "user", content: "List the files ☃" }],
  tools: [{ name: "bash", description: "Runs a command", input_schema: SCHEMA }],
};
const anthropic = (baseURL: string, apiKey: string) => new Anthropic({ baseURL, apiKey, maxRetries: RETRIES });

// 1.25 in, 0.125 read, 10 out.
const OPENAI_USAGE = { input: 800, cacheRead: 1600, cacheWrite: 0, output: 500, reasoning: 200 };
const OPENAI_USD = (800 * 1.25 + 1600 * 0.125 + 500 * 10) / 1e6;
const chatBody = {
  model: "gpt-5",
  max_completion_tokens: 2000,
  messages: [{ role: "user" as const, content: "List the files ☃" }],
  tools: [{ type: "function" as const, function: { name: "bash", parameters: SCHEMA } }],
};
const responsesBody = {
  model: "gpt-5",
  max_output_tokens: 2000,
  input: "List the files ☃",
  tools: [{ type: "function" as const, name: "bash", parameters: SCHEMA, strict: false }],
};
const openai = (url: string, apiKey: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: RETRIES });

// 1.25 in, 0.125 read, 10 out.
const GEMINI_USAGE = { input: 900, cacheRead: 300, cacheWrite: 0, output: 400, reasoning: 150 };
const GEMINI_USD = (900 * 1.25 + 300 * 0.125 + 400 * 10) / 1e6;
const geminiBody = {
  model: "gemini-2.5-pro",
  contents: "List the files ☃",
  config: {
    maxOutputTokens: 2000,
    tools: [{ functionDeclarations: [{ name: "bash", parametersJsonSchema: SCHEMA }] }],
  },
};
const gemini = (baseUrl: string, apiKey: string) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });

async function collected<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** Without the response's headers, some of which are the gateway's own. */
const withoutResponse = ({ sdkHttpResponse: _, ...rest }: GenerateContentResponse) => rest;

const CLIENTS: Readonly<Record<string, Client>> = {
  "@anthropic-ai/sdk": {
    format: "anthropic",
    usage: ANTHROPIC_USAGE,
    costUsd: ANTHROPIC_USD,
    ask: (url, key) => anthropic(url, key).messages.create(anthropicBody),
  },
  "@anthropic-ai/sdk, beta": {
    format: "anthropic",
    usage: ANTHROPIC_USAGE,
    costUsd: ANTHROPIC_USD,
    ask: (url, key) =>
      anthropic(url, key).beta.messages.create({
        ...anthropicBody,
        betas: ["extended-cache-ttl-2025-04-11"],
      } as Anthropic.Beta.MessageCreateParamsNonStreaming),
  },
  "@anthropic-ai/sdk, streamed": {
    format: "anthropic",
    usage: ANTHROPIC_USAGE,
    costUsd: ANTHROPIC_USD,
    async ask(url, key) {
      const stream = anthropic(url, key).messages.stream(anthropicBody);
      const events = await collected(stream);
      return { events, message: await stream.finalMessage() };
    },
  },
  "openai, chat": {
    format: "openai_chat",
    usage: OPENAI_USAGE,
    costUsd: OPENAI_USD,
    ask: (url, key) => openai(url, key).chat.completions.create(chatBody),
  },
  "openai, chat, streamed": {
    format: "openai_chat",
    usage: OPENAI_USAGE,
    costUsd: OPENAI_USD,
    async ask(url, key) {
      const options = { ...chatBody, stream: true as const, stream_options: { include_usage: true } };
      return await collected(await openai(url, key).chat.completions.create(options));
    },
  },
  "openai, responses": {
    format: "openai_responses",
    usage: OPENAI_USAGE,
    costUsd: OPENAI_USD,
    ask: (url, key) => openai(url, key).responses.create(responsesBody),
  },
  "openai, responses, streamed": {
    format: "openai_responses",
    usage: OPENAI_USAGE,
    costUsd: OPENAI_USD,
    async ask(url, key) {
      const stream = openai(url, key).responses.stream(responsesBody);
      const events = await collected(stream);
      return { events, response: await stream.finalResponse() };
    },
  },
  "@google/genai": {
    format: "gemini",
    usage: GEMINI_USAGE,
    costUsd: GEMINI_USD,
    ask: async (url, key) => withoutResponse(await gemini(url, key).models.generateContent(geminiBody)),
  },
  "@google/genai, streamed": {
    format: "gemini",
    usage: GEMINI_USAGE,
    costUsd: GEMINI_USD,
    async ask(url, key) {
      return (await collected(await gemini(url, key).models.generateContentStream(geminiBody))).map(withoutResponse);
    },
  },
};

function usageOf(gateway: OpenGateway): Usage {
  const row = gateway.rows().at(-1)!;
  equal(row.usage_source, "provider");
  return {
    input: row.input!,
    cacheRead: row.cache_read!,
    cacheWrite: row.cache_write!,
    ...(row.cache_write_1h !== null && { cacheWrite1h: row.cache_write_1h }),
    output: row.output!,
    reasoning: row.reasoning!,
  };
}

const cents = (usd: number) => usd.toFixed(9);

for (const [name, { format, usage, costUsd, ask }] of Object.entries(CLIENTS)) {
  Deno.test(`${name}: the same reply as without the gateway, and every token of it in the ledger`, async () => {
    const reply: UpstreamReply = {
      text: "I list them: ☃ 🙂",
      // Chat completions have no field of OpenAI's own for it.
      ...(format !== "openai_chat" && { reasoning: "The user wants a list" }),
      toolCalls: [{ id: "call_1", name: "bash", arguments: { command: "ls -la ☃", deep: [{ a: null }] } }],
      usage,
      splits: [7, 300, 1],
    };
    await using upstream = startFakeUpstream(() => reply);
    await using gateway = await openGateway(upstream.url, { requireKey: true });
    const { key } = gateway.gateway.ledger.issueKey({ run: "r", worker: "w" });
    const direct = await ask(upstream.url, "sk-direct");
    const relayed = await ask(`${gateway.url}/w/w`, key);
    deepEqual(JSON.parse(JSON.stringify(relayed)), JSON.parse(JSON.stringify(direct)));
    await gateway.stated("model.answered", 1);
    deepEqual(usageOf(gateway), usage);
    const [answered] = gateway.eventsOf("model.answered");
    equal(cents(answered!.cost_usd!), cents(costUsd));
    equal(cents(gateway.rows()[0]!.cost! / 1e12), cents(costUsd));
    deepEqual(upstream.charges.map(({ usage }) => usage), [usage, usage]);
    equal(upstream.requests[0]!.target, upstream.requests[1]!.target);
    deepEqual(upstream.requests[0]!.body, upstream.requests[1]!.body);
  });
}

for (const [name, { ask }] of Object.entries(CLIENTS)) {
  Deno.test(`${name}: told that the budget is spent, it stops and says why`, async () => {
    await using upstream = startFakeUpstream();
    await using gateway = await openGateway(upstream.url, { caps: { run: 0.000001 } });
    await rejects(ask(gateway.url, "sk-dummy"), (error: Error & { status?: number }) => {
      equal(error.status, 402);
      ok(/The cap of [\d.e-]+ USD for the run/.test(error.message), error.message);
      return true;
    });
    equal(gateway.eventsOf("budget.refused").length, 1);
    equal(upstream.requests.length, 0);
  });
}
