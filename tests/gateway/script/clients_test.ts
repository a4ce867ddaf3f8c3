/** Clients of the providers read what the script writes: each format, whole and streamed, over a socket. */
import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { LanguageModelV4 as Model, LanguageModelV4CallOptions as CallOptions } from "@ai-sdk/provider";
import { openScript } from "../../../src/gateway/script/scripted_answerer.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { serveScript } from "./serve_script.ts";

const REPLIES = [
  {
    reasoning: "First I think about it: 世界 🌍 is wide, and needs more than one piece.",
    content: "I look around, with a command, in a text that is long enough to be cut 🌍.",
    commands: ["ls -la"],
    usage: { input: 100, output: 20, cache_read: 30, reasoning: 7 },
  },
  { content: "Done" },
];

const CALL: CallOptions = {
  prompt: [{ role: "user", content: [{ type: "text", text: "Create the file" }] }],
  tools: [{
    type: "function",
    name: "bash",
    inputSchema: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
  }],
};

const clients: Readonly<Record<string, (base: string) => Model>> = {
  "the Messages API": (base) => createAnthropic({ baseURL: `${base}/v1`, apiKey: "k" })("claude-x"),
  "Chat Completions": (base) =>
    createOpenAICompatible({ name: "x", baseURL: `${base}/v1`, apiKey: "k", includeUsage: true })("gpt-x"),
  "the Responses API": (base) => createOpenAI({ baseURL: `${base}/v1`, apiKey: "k" }).responses("gpt-5.5"),
  "Gemini": (base) => createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: "k" })("gemini-x"),
};

/** What of a reply does not depend on how the client puts it. */
interface Heard {
  text: string;
  reasoning: string;
  calls: unknown[];
  finish: string;
  tokens: unknown[];
}

type Usage = Awaited<ReturnType<Model["doGenerate"]>>["usage"];

const tokensOf = ({ inputTokens: input, outputTokens: output }: Usage) => [
  input.total,
  input.cacheRead,
  output.total,
  output.reasoning,
];

async function generate(model: Model): Promise<Heard> {
  const { content, finishReason, usage } = await model.doGenerate(CALL);
  const joined = (type: "text" | "reasoning") =>
    content.flatMap((part) => part.type === type ? [part.text] : []).join("");
  return {
    text: joined("text"),
    reasoning: joined("reasoning"),
    calls: content.flatMap((part) => part.type === "tool-call" ? [[part.toolName, JSON.parse(part.input)]] : []),
    finish: finishReason.unified,
    tokens: tokensOf(usage),
  };
}

async function stream(model: Model): Promise<Heard> {
  const heard: Heard = { text: "", reasoning: "", calls: [], finish: "", tokens: [] };
  for await (const part of (await model.doStream(CALL)).stream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") heard.text += part.delta;
    if (part.type === "reasoning-delta") heard.reasoning += part.delta;
    if (part.type === "tool-call") heard.calls.push([part.toolName, JSON.parse(part.input)]);
    if (part.type === "finish") {
      heard.finish = part.finishReason.unified;
      heard.tokens = tokensOf(part.usage);
    }
  }
  return heard;
}

for (const [format, createModel] of Object.entries(clients)) {
  for (const [way, ask] of Object.entries({ generate, stream })) {
    Deno.test(`a client of ${format} hears the script (${way})`, async () => {
      await inTempDir(async (dir) => {
        await Deno.writeTextFile(`${dir}/script.json`, JSON.stringify(REPLIES));
        await using server = serveScript(await openScript(`${dir}/script.json`));
        const model = createModel(`${server.url}/w/tester`);
        const first = REPLIES[0]!;
        deepEqual(await ask(model), {
          text: first.content,
          reasoning: first.reasoning,
          calls: [["bash", { command: "ls -la" }]],
          finish: "tool-calls",
          tokens: [130, 30, 20, 7],
        });
        const { text, calls, finish } = await ask(model);
        deepEqual({ text, calls, finish }, { text: "Done", calls: [], finish: "stop" });
        await rejects(ask(model), ({ statusCode, message, isRetryable }) => {
          equal(statusCode, 400);
          equal(isRetryable, false);
          return message.startsWith("The scripted model has no reply left: all 2 of ");
        });
        deepEqual(server.asked.map(({ worker }) => worker), ["tester", "tester", "tester"]);
      });
    });
  }
}
