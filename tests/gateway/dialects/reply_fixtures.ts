/** Replies in the shape of every provider's real ones, with what has to be read in them. */
import type { DialectId, ReplyReading } from "../../../src/gateway/dialect.ts";

export interface ReplyFixture {
  readonly name: string;
  readonly dialect: DialectId;
  readonly contentType: string;
  readonly body: string;
  readonly reading: ReplyReading;
}

export const NOTHING_READ: ReplyReading = {
  usage: undefined,
  usageIsFinal: false,
  costUsd: undefined,
  isOffList: false,
  model: undefined,
  responseId: undefined,
  finishReasons: [],
  outputBytes: 0,
  unreadBytes: 0,
  isComplete: false,
  errorType: undefined,
};

const WHOLE = { usageIsFinal: true, isComplete: true };

/** Data lines alone, as chat and Gemini have them. */
export const dataEvents = (...documents: unknown[]) =>
  documents.map((document) => `data: ${JSON.stringify(document)}\n\n`).join("");

/** With `event:` lines, as Anthropic and Responses have them. */
export const namedEvents = (...documents: { type: string; [member: string]: unknown }[]) =>
  documents.map((document) => `event: ${document.type}\ndata: ${JSON.stringify(document)}\n\n`).join("");

function stream(dialect: DialectId, name: string, body: string, reading: Partial<ReplyReading>): ReplyFixture {
  return {
    name: `${dialect}: ${name}`,
    dialect,
    contentType: "text/event-stream; charset=utf-8",
    body,
    reading: { ...NOTHING_READ, ...reading },
  };
}

function whole(dialect: DialectId, name: string, body: unknown, reading: Partial<ReplyReading>): ReplyFixture {
  return {
    name: `${dialect}: ${name}`,
    dialect,
    contentType: "application/json",
    body: typeof body === "string" ? body : JSON.stringify(body, null, 2),
    reading: { ...NOTHING_READ, ...reading },
  };
}

const CLAUDE = { model: "claude-opus-5-5", responseId: "msg_01" };
const messageStart = (usage?: unknown) => ({
  type: "message_start",
  message: {
    id: "msg_01",
    type: "message",
    role: "assistant",
    model: "claude-opus-5-5",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    ...(usage !== undefined && { usage }),
  },
});
const textBlock = (...texts: string[]) => [
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "ping" },
  ...texts.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
  { type: "content_block_stop", index: 0 },
];
const messageEnd = (usage?: unknown, stop_reason = "end_turn") => [
  { type: "message_delta", delta: { stop_reason, stop_sequence: null }, ...(usage !== undefined && { usage }) },
  { type: "message_stop" },
];
const message = (usage: unknown, rest: Record<string, unknown> = {}) => ({
  id: "msg_01",
  type: "message",
  role: "assistant",
  model: "claude-opus-5-5",
  content: [{ type: "text", text: "Hello" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage,
  ...rest,
});

const ANTHROPIC: ReplyFixture[] = [
  stream(
    "anthropic",
    "a stream with five-minute and one-hour cache writes, whose delta repeats the totals",
    namedEvents(
      messageStart({
        input_tokens: 12,
        cache_creation_input_tokens: 300,
        cache_read_input_tokens: 4000,
        cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
        output_tokens: 1,
        service_tier: "standard",
        inference_geo: "not_available",
        speed: "standard",
      }),
      ...textBlock("Grüße", ", 世界 👋"),
      ...messageEnd({
        input_tokens: 12,
        cache_creation_input_tokens: 300,
        cache_read_input_tokens: 4000,
        output_tokens: 25,
      }),
    ),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 12, cacheRead: 4000, cacheWrite: 300, cacheWrite1h: 200, output: 25, reasoning: 0 },
      finishReasons: ["end_turn"],
      outputBytes: 20,
    },
  ),
  stream(
    "anthropic",
    "a stream whose delta tells the output alone, nulls included, keeps what was said before",
    namedEvents(
      messageStart({
        input_tokens: 3000,
        cache_creation_input_tokens: 100,
        cache_read_input_tokens: 200,
        output_tokens: 1,
      }),
      ...messageEnd({
        input_tokens: null,
        cache_creation_input_tokens: null,
        cache_read_input_tokens: null,
        output_tokens: 30,
        server_tool_use: null,
      }),
    ),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 3000, cacheRead: 200, cacheWrite: 100, output: 30, reasoning: 0 },
      finishReasons: ["end_turn"],
    },
  ),
  stream(
    "anthropic",
    "an explicit 0 replaces what was said before",
    namedEvents(
      messageStart({ input_tokens: 50, cache_read_input_tokens: 900, output_tokens: 1 }),
      ...messageEnd({ input_tokens: 950, cache_read_input_tokens: 0, output_tokens: 0 }),
    ),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 950, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      finishReasons: ["end_turn"],
    },
  ),
  stream(
    "anthropic",
    "a stream cut after message_start",
    namedEvents(messageStart({ input_tokens: 77, output_tokens: 2 })),
    {
      ...CLAUDE,
      usage: { input: 77, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 },
    },
  ),
  stream(
    "anthropic",
    "a stream cut in the middle of a tool's arguments",
    namedEvents(
      messageStart({ input_tokens: 77, output_tokens: 2 }),
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t", name: "Bash", input: {} } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"command"' } },
    ) + 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"inp',
    { ...CLAUDE, usage: { input: 77, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 }, outputBytes: 10 },
  ),
  stream(
    "anthropic",
    "a stream of a small server without any usage",
    namedEvents(messageStart(), ...textBlock("Done"), ...messageEnd()),
    { ...CLAUDE, finishReasons: ["end_turn"], outputBytes: 4, isComplete: true },
  ),
  stream(
    "anthropic",
    "a stream that never told its input has no final usage",
    namedEvents(messageStart(), ...textBlock("Done"), ...messageEnd({ output_tokens: 9 })),
    {
      ...CLAUDE,
      usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 9, reasoning: 0 },
      finishReasons: ["end_turn"],
      outputBytes: 4,
      isComplete: true,
    },
  ),
  stream(
    "anthropic",
    "a stream that ends with an error",
    namedEvents(messageStart({ input_tokens: 5, output_tokens: 1 }), ...textBlock("a"), {
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
    }),
    {
      ...CLAUDE,
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      outputBytes: 1,
      errorType: "overloaded_error",
    },
  ),
  stream(
    "anthropic",
    "thinking, of which some is redacted, and a tool's result that is no output of the model",
    namedEvents(
      messageStart({ input_tokens: 5, output_tokens: 1 }),
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hmm" } },
      { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "EqoB" } },
      { type: "content_block_start", index: 1, content_block: { type: "redacted_thinking", data: "abcdef" } },
      { type: "content_block_start", index: 2, content_block: { type: "web_search_tool_result", content: "found" } },
      ...messageEnd({
        output_tokens: 40,
        output_tokens_details: { thinking_tokens: 31 },
        server_tool_use: { web_search_requests: 2, web_fetch_requests: 1 },
      }),
    ),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 40, reasoning: 31, webSearches: 2 },
      finishReasons: ["end_turn"],
      outputBytes: 9,
    },
  ),
  whole(
    "anthropic",
    "a whole message with a tool call",
    message({ input_tokens: 100, cache_creation_input_tokens: 20, cache_read_input_tokens: 30, output_tokens: 7 }, {
      content: [{ type: "text", text: "Hello" }, { type: "tool_use", id: "t", name: "Bash", input: { command: "ls" } }],
      stop_reason: "tool_use",
    }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 100, cacheRead: 30, cacheWrite: 20, output: 7, reasoning: 0 },
      finishReasons: ["tool_use"],
      outputBytes: 5 + '{"command":"ls"}'.length,
    },
  ),
  whole(
    "anthropic",
    "the priority tier is not on the list",
    message({ input_tokens: 1, output_tokens: 1, service_tier: "priority" }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
      finishReasons: ["end_turn"],
      outputBytes: 5,
    },
  ),
  whole("anthropic", "neither is the fast mode", message({ input_tokens: 1, output_tokens: 1, speed: "fast" }), {
    ...CLAUDE,
    ...WHOLE,
    usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
    isOffList: true,
    finishReasons: ["end_turn"],
    outputBytes: 5,
  }),
  whole(
    "anthropic",
    "the summary that the provider made on the way is paid beside the totals",
    message({
      input_tokens: 23_000,
      output_tokens: 1_000,
      iterations: [
        { type: "compaction", input_tokens: 180_000, output_tokens: 3_500, cache_read_input_tokens: 0 },
        { type: "message", input_tokens: 23_000, output_tokens: 1_000 },
      ],
    }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 203_000, cacheRead: 0, cacheWrite: 0, output: 4_500, reasoning: 0 },
      finishReasons: ["end_turn"],
      outputBytes: 5,
    },
  ),
  whole(
    "anthropic",
    "counts that are none do not count, and the split may be all there is of the cache writes",
    message({
      input_tokens: -5,
      output_tokens: "12",
      cache_read_input_tokens: 1e13,
      cache_creation: { ephemeral_5m_input_tokens: 4, ephemeral_1h_input_tokens: 6 },
    }),
    {
      ...CLAUDE,
      usage: { input: 0, cacheRead: 0, cacheWrite: 10, cacheWrite1h: 6, output: 0, reasoning: 0 },
      finishReasons: ["end_turn"],
      outputBytes: 5,
      isComplete: true,
    },
  ),
  whole(
    "anthropic",
    "a whole message of a small server, without its type",
    message({ input_tokens: 5, output_tokens: 2 }, { type: undefined }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 },
      finishReasons: ["end_turn"],
      outputBytes: 5,
    },
  ),
  whole(
    "anthropic",
    "another model's advice is paid beside the totals, at a price that is not the model's",
    message({
      input_tokens: 10,
      output_tokens: 1,
      iterations: [
        { type: "message", input_tokens: 10, output_tokens: 1 },
        { type: "advisor_message", model: "claude-opus-6", input_tokens: 500, output_tokens: 40 },
      ],
    }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 510, cacheRead: 0, cacheWrite: 0, output: 41, reasoning: 0 },
      isOffList: true,
      finishReasons: ["end_turn"],
      outputBytes: 5,
    },
  ),
  stream(
    "anthropic",
    "a stream that tells of its summary twice is paid for it once",
    namedEvents(
      messageStart({ input_tokens: 5, output_tokens: 1, iterations: [{ type: "compaction", input_tokens: 100 }] }),
      ...messageEnd({ output_tokens: 2, iterations: [{ type: "compaction", input_tokens: 100, output_tokens: 7 }] }),
    ),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 105, cacheRead: 0, cacheWrite: 0, output: 9, reasoning: 0 },
      finishReasons: ["end_turn"],
    },
  ),
  whole(
    "anthropic",
    "work in one country is not on the list",
    message({ input_tokens: 1, output_tokens: 1, inference_geo: "us" }),
    {
      ...CLAUDE,
      ...WHOLE,
      usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
      finishReasons: ["end_turn"],
      outputBytes: 5,
    },
  ),
  whole("anthropic", "a whole error", { type: "error", error: { type: "api_error", message: "broken" } }, {
    errorType: "api_error",
  }),
];

const GPT = { model: "gpt-5.5-2026-04-23", responseId: "chatcmpl-1" };
const chunk = (choices: unknown[], rest: Record<string, unknown> = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "gpt-5.5-2026-04-23",
  choices,
  ...rest,
});
const delta = (content: Record<string, unknown>, finish_reason: string | null = null) =>
  chunk([{ index: 0, delta: content, logprobs: null, finish_reason }]);
const completion = (usage: unknown, rest: Record<string, unknown> = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-5.5-2026-04-23",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello", refusal: null }, finish_reason: "stop" }],
  usage,
  ...rest,
});
const COMPLETED = { ...GPT, ...WHOLE, finishReasons: ["stop"], outputBytes: 5 };

const CHAT: ReplyFixture[] = [
  stream(
    "openai_chat",
    "OpenAI's stream, whose usage comes in a piece of its own",
    dataEvents(
      chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }], {
        usage: null,
        service_tier: "default",
      }),
      delta({ content: "Hé" }),
      delta({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "bash", arguments: "" } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }),
      delta({}, "tool_calls"),
      chunk([], {
        usage: {
          prompt_tokens: 3000,
          completion_tokens: 30,
          total_tokens: 3030,
          prompt_tokens_details: { cached_tokens: 200, cache_write_tokens: 0, audio_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 6, audio_tokens: 0, rejected_prediction_tokens: 0 },
        },
      }),
    ) + "data: [DONE]\n\n",
    {
      ...GPT,
      ...WHOLE,
      usage: { input: 2800, cacheRead: 200, cacheWrite: 0, output: 30, reasoning: 6 },
      finishReasons: ["tool_calls"],
      outputBytes: 10,
    },
  ),
  stream(
    "openai_chat",
    "a stream with the counts so far in every piece, cut before its end",
    dataEvents(
      chunk([{ index: 0, delta: { content: "a" }, finish_reason: null }], {
        usage: { prompt_tokens: 5, completion_tokens: 1 },
      }),
      chunk([{ index: 0, delta: { content: "b" }, finish_reason: null }], {
        usage: { prompt_tokens: 5, completion_tokens: 2 },
      }),
    ),
    { ...GPT, usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 }, outputBytes: 2 },
  ),
  stream("openai_chat", "a stream without usage", dataEvents(delta({ content: "Hi" }), delta({}, "length")), {
    ...GPT,
    finishReasons: ["length"],
    outputBytes: 2,
    isComplete: true,
  }),
  stream(
    "openai_chat",
    "reasoning under two names counts once",
    dataEvents(
      delta({ reasoning_content: "hmm", reasoning: "hmm" }),
      delta({ reasoning: "ah" }),
      delta({ content: "x" }),
    ),
    { ...GPT, outputBytes: 6 },
  ),
  whole(
    "openai_chat",
    "OpenRouter names the cost, its fee and what the user's own key paid",
    completion({
      prompt_tokens: 194,
      completion_tokens: 2,
      total_tokens: 196,
      cost: 0.0005,
      is_byok: true,
      cost_details: { upstream_inference_cost: 0.01 },
      prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 100, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
      server_tool_use: { web_search_requests: 1 },
    }),
    {
      ...COMPLETED,
      usage: { input: 64, cacheRead: 30, cacheWrite: 100, output: 2, reasoning: 0, webSearches: 1 },
      costUsd: 0.0105,
    },
  ),
  whole(
    "openai_chat",
    "DeepSeek's names for the cache",
    completion({
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_cache_hit_tokens: 64,
      prompt_cache_miss_tokens: 36,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 12 },
    }),
    { ...COMPLETED, usage: { input: 36, cacheRead: 64, cacheWrite: 0, output: 20, reasoning: 12 } },
  ),
  whole(
    "openai_chat",
    "LiteLLM before Anthropic: the prompt includes the cache, the split is in the details",
    completion({
      prompt_tokens: 1000,
      completion_tokens: 10,
      total_tokens: 1010,
      cache_creation_input_tokens: 300,
      cache_read_input_tokens: 600,
      prompt_tokens_details: {
        cached_tokens: 600,
        cache_creation_tokens: 300,
        cache_creation_token_details: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 300 },
      },
    }),
    {
      ...COMPLETED,
      usage: { input: 100, cacheRead: 600, cacheWrite: 300, cacheWrite1h: 300, output: 10, reasoning: 0 },
    },
  ),
  whole(
    "openai_chat",
    "a proxy whose prompt leaves the cache out, as its total shows",
    completion({
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 1010,
      cache_creation_input_tokens: 300,
      cache_read_input_tokens: 600,
    }),
    { ...COMPLETED, usage: { input: 100, cacheRead: 600, cacheWrite: 300, output: 10, reasoning: 0 } },
  ),
  whole(
    "openai_chat",
    "xAI's completion leaves the reasoning out, as its total shows",
    completion({
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 135,
      completion_tokens_details: { reasoning_tokens: 94 },
    }),
    { ...COMPLETED, usage: { input: 32, cacheRead: 0, cacheWrite: 0, output: 103, reasoning: 94 } },
  ),
  whole(
    "openai_chat",
    "more cached than asked is no more than asked",
    completion({
      prompt_tokens: 10,
      completion_tokens: 1,
      prompt_tokens_details: { cached_tokens: 50, cache_write_tokens: 5 },
    }),
    { ...COMPLETED, usage: { input: 0, cacheRead: 10, cacheWrite: 0, output: 1, reasoning: 0 } },
  ),
  whole(
    "openai_chat",
    "the flex tier is not on the list",
    completion({ prompt_tokens: 1, completion_tokens: 1 }, { service_tier: "flex" }),
    {
      ...COMPLETED,
      usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
    },
  ),
  whole(
    "openai_chat",
    "neither is sound",
    completion({
      prompt_tokens: 9,
      completion_tokens: 1,
      prompt_tokens_details: { audio_tokens: 8, cached_tokens: 0 },
    }),
    { ...COMPLETED, usage: { input: 9, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 }, isOffList: true },
  ),
  whole(
    "openai_chat",
    "a cost and counts that cannot be",
    completion({ prompt_tokens: null, completion_tokens: -1, cost: -3 }),
    {
      ...COMPLETED,
      usageIsFinal: false,
    },
  ),
  stream(
    "openai_chat",
    "OpenRouter's error in the middle of a stream",
    dataEvents(
      delta({ content: "a" }),
      chunk([{ index: 0, delta: { content: "" }, finish_reason: "error" }], {
        error: { code: 502, message: "Provider disconnected" },
      }),
    ),
    { ...GPT, finishReasons: ["error"], outputBytes: 1, isComplete: true, errorType: "502" },
  ),
  stream(
    "openai_chat",
    "Moonshot has the usage in the choice, Groq in a place of its own",
    dataEvents(
      chunk([{
        index: 0,
        delta: {},
        finish_reason: "stop",
        usage: { prompt_tokens: 7, completion_tokens: 3, cached_tokens: 2 },
      }]),
      chunk([], { x_groq: { usage: { prompt_tokens: 8, completion_tokens: 4 } } }),
    ),
    {
      ...GPT,
      ...WHOLE,
      usage: { input: 6, cacheRead: 2, cacheWrite: 0, output: 4, reasoning: 0 },
      finishReasons: ["stop"],
    },
  ),
  whole(
    "openai_chat",
    "more reasoning than completion is beside it, also without a total",
    completion({ prompt_tokens: 32, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 94 } }),
    { ...COMPLETED, usage: { input: 32, cacheRead: 0, cacheWrite: 0, output: 103, reasoning: 94 } },
  ),
  whole(
    "openai_chat",
    "what is kept for half a day is not on the list",
    completion({
      prompt_tokens: 100,
      completion_tokens: 1,
      prompt_tokens_details: { cache_write_tokens: 90, cache_write_tokens_details: { ttl_12h_tokens: 90 } },
    }),
    { ...COMPLETED, usage: { input: 10, cacheRead: 0, cacheWrite: 90, output: 1, reasoning: 0 }, isOffList: true },
  ),
  whole(
    "openai_chat",
    "neither is an answer with what was found on the web",
    completion({ prompt_tokens: 1, completion_tokens: 1 }, {
      choices: [{
        index: 0,
        message: { content: "Hello", annotations: [{ type: "url_citation", url_citation: { url: "u" } }] },
        finish_reason: "stop",
      }],
    }),
    { ...COMPLETED, usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 }, isOffList: true },
  ),
  stream(
    "openai_chat",
    "a text that is streamed and then repeated whole counts once",
    dataEvents(delta({ content: "Hello" }), completion(undefined)),
    { ...GPT, finishReasons: ["stop"], outputBytes: 5, isComplete: true },
  ),
  stream(
    "openai_chat",
    "later counts replace earlier ones part by part",
    dataEvents(
      chunk([], { usage: { prompt_tokens: 100, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 60 } } }),
      delta({ content: "a" }, "stop"),
      chunk([], { usage: { prompt_tokens: 100, completion_tokens: 8 } }),
    ),
    {
      ...GPT,
      ...WHOLE,
      usage: { input: 40, cacheRead: 60, cacheWrite: 0, output: 8, reasoning: 0 },
      finishReasons: ["stop"],
      outputBytes: 1,
    },
  ),
];

const RESPONSE = { model: "gpt-5.5", responseId: "resp_1" };
const response = (status: string, rest: Record<string, unknown> = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1,
  status,
  error: null,
  incomplete_details: null,
  model: "gpt-5.5",
  output: [],
  usage: null,
  ...rest,
});
const responseUsage = (input: number, cached: number, output: number, reasoning: number) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: reasoning },
  total_tokens: input + output,
});
const answerItem = {
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Grüße", annotations: [] }],
};

const RESPONSES: ReplyFixture[] = [
  stream(
    "openai_responses",
    "a stream that tells its text three times, of which one counts",
    namedEvents(
      { type: "response.created", response: response("in_progress", { service_tier: "auto" }) },
      { type: "response.reasoning_summary_text.delta", delta: "hm" },
      { type: "response.output_text.delta", item_id: "msg_1", delta: "Grü" },
      { type: "response.output_text.delta", item_id: "msg_1", delta: "ße" },
      { type: "response.output_text.done", item_id: "msg_1", text: "Grüße" },
      { type: "response.output_item.done", item: answerItem },
      {
        type: "response.completed",
        response: response("completed", {
          output: [answerItem],
          usage: responseUsage(3000, 200, 30, 6),
          service_tier: "default",
        }),
      },
    ),
    {
      ...RESPONSE,
      ...WHOLE,
      usage: { input: 2800, cacheRead: 200, cacheWrite: 0, output: 30, reasoning: 6 },
      finishReasons: ["completed"],
      outputBytes: 9,
    },
  ),
  stream(
    "openai_responses",
    "the smallest stream that codex accepts",
    'data: {"type":"response.output_item.done","item":{"type":"function_call","call_id":"call_1","name":"exec_command","arguments":"{\\"cmd\\":\\"ls\\"}"}}\n\n' +
      'data: {"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}}\n\n',
    {
      ...WHOLE,
      responseId: "resp_1",
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 },
      finishReasons: ["completed"],
      outputBytes: 12,
    },
  ),
  stream(
    "openai_responses",
    "an incomplete response is paid",
    namedEvents({
      type: "response.incomplete",
      response: response("incomplete", {
        incomplete_details: { reason: "max_output_tokens" },
        usage: responseUsage(10, 0, 100, 100),
      }),
    }),
    {
      ...RESPONSE,
      ...WHOLE,
      usage: { input: 10, cacheRead: 0, cacheWrite: 0, output: 100, reasoning: 100 },
      finishReasons: ["max_output_tokens"],
    },
  ),
  stream(
    "openai_responses",
    "a failed response is paid too",
    namedEvents({
      type: "response.failed",
      response: response("failed", {
        error: { code: "server_error", message: "broken" },
        usage: responseUsage(10, 4, 3, 0),
      }),
    }),
    {
      ...RESPONSE,
      ...WHOLE,
      usage: { input: 6, cacheRead: 4, cacheWrite: 0, output: 3, reasoning: 0 },
      finishReasons: ["failed"],
      errorType: "server_error",
    },
  ),
  stream(
    "openai_responses",
    "an error event ends nothing well",
    namedEvents(
      { type: "response.created", response: response("in_progress") },
      { type: "error", code: "rate_limit_exceeded", message: "slow down", param: null },
    ),
    { ...RESPONSE, errorType: "rate_limit_exceeded" },
  ),
  stream(
    "openai_responses",
    "a stream cut after response.created",
    namedEvents({ type: "response.created", response: response("in_progress") }),
    RESPONSE,
  ),
  whole(
    "openai_responses",
    "a whole response with searches, of which opened pages are free, and writes to the cache",
    response("completed", {
      output: [
        { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } },
        { type: "web_search_call", id: "ws_2", status: "completed", action: { type: "open_page", url: "u" } },
        { type: "web_search_call", id: "ws_3", status: "completed" },
        { type: "custom_tool_call", call_id: "c", name: "apply_patch", input: "*** Begin" },
        answerItem,
      ],
      usage: {
        ...responseUsage(1000, 100, 30, 0),
        input_tokens_details: { cached_tokens: 100, cache_write_tokens: 800 },
      },
      service_tier: "default",
    }),
    {
      ...RESPONSE,
      ...WHOLE,
      usage: { input: 100, cacheRead: 100, cacheWrite: 800, output: 30, reasoning: 0, webSearches: 2 },
      finishReasons: ["completed"],
      outputBytes: '{"type":"search","query":"q"}'.length + '{"type":"open_page","url":"u"}'.length + 9 + 7,
    },
  ),
  whole(
    "openai_responses",
    "the priority tier and tools with a price of their own are not on the list",
    response("completed", {
      output: [{ type: "code_interpreter_call", id: "ci", code: "1+1", container_id: "c" }],
      usage: responseUsage(1, 0, 1, 0),
      service_tier: "priority",
    }),
    {
      ...RESPONSE,
      ...WHOLE,
      usage: { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
      finishReasons: ["completed"],
      outputBytes: 3,
    },
  ),
  stream(
    "openai_responses",
    "searches of a stream whose end does not repeat its output, and sound that is no text",
    namedEvents(
      { type: "response.output_item.done", item: { type: "web_search_call", id: "ws_1" } },
      { type: "response.audio.delta", delta: "UklGRg==" },
      { type: "response.output_item.done", item: { type: "web_search_call", id: "ws_2" } },
      { type: "response.completed", response: { id: "resp_1", usage: responseUsage(5, 0, 2, 0) } },
    ),
    {
      ...WHOLE,
      responseId: "resp_1",
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0, webSearches: 2 },
      finishReasons: ["completed"],
    },
  ),
  whole("openai_responses", "a response that failed without a word", response("failed"), {
    ...RESPONSE,
    finishReasons: ["failed"],
    isComplete: true,
    errorType: "failed",
  }),
  whole("openai_responses", "a whole response that is not over", response("queued"), RESPONSE),
];

const GEMINI_MODEL = { model: "gemini-2.5-pro", responseId: "r-1" };
const piece = (
  parts: unknown[],
  usageMetadata?: unknown,
  finishReason?: string,
  rest: Record<string, unknown> = {},
) => ({
  candidates: [{ content: { role: "model", parts }, index: 0, ...(finishReason && { finishReason }), ...rest }],
  ...(usageMetadata !== undefined && { usageMetadata }),
  modelVersion: "gemini-2.5-pro",
  responseId: "r-1",
});
const STOPPED = { ...GEMINI_MODEL, ...WHOLE, finishReasons: ["STOP"] };

const GEMINI: ReplyFixture[] = [
  stream(
    "gemini",
    "a thinking model's stream, whose counts grow",
    dataEvents(
      piece([{ text: "hmm", thought: true }], {
        promptTokenCount: 3000,
        cachedContentTokenCount: 200,
        thoughtsTokenCount: 20,
        totalTokenCount: 3020,
        promptTokensDetails: [{ modality: "TEXT", tokenCount: 3000 }],
      }),
      piece([{ text: "Olá" }], {
        promptTokenCount: 3000,
        cachedContentTokenCount: 200,
        candidatesTokenCount: 4,
        thoughtsTokenCount: 20,
        totalTokenCount: 3024,
      }),
      piece(
        [{ functionCall: { name: "run_shell_command", args: { command: "ls" } } }],
        {
          promptTokenCount: 3000,
          cachedContentTokenCount: 200,
          candidatesTokenCount: 10,
          thoughtsTokenCount: 20,
          totalTokenCount: 3030,
          trafficType: "ON_DEMAND",
        },
        "STOP",
      ),
    ),
    {
      ...STOPPED,
      usage: { input: 2800, cacheRead: 200, cacheWrite: 0, output: 30, reasoning: 20 },
      outputBytes: 3 + 4 + 16,
    },
  ),
  whole(
    "gemini",
    "results of its own tools are more input",
    piece([{ text: "x" }], {
      promptTokenCount: 10,
      toolUsePromptTokenCount: 500,
      candidatesTokenCount: 3,
      thoughtsTokenCount: 7,
      totalTokenCount: 520,
    }, "STOP"),
    { ...STOPPED, usage: { input: 510, cacheRead: 0, cacheWrite: 0, output: 10, reasoning: 7 }, outputBytes: 1 },
  ),
  whole(
    "gemini",
    "the total tells what the missing count of the candidates does not",
    piece([], { promptTokenCount: 10, thoughtsTokenCount: 5, totalTokenCount: 18 }, "MAX_TOKENS"),
    {
      ...STOPPED,
      finishReasons: ["MAX_TOKENS"],
      usage: { input: 10, cacheRead: 0, cacheWrite: 0, output: 8, reasoning: 5 },
    },
  ),
  whole(
    "gemini",
    "a list of replies, as it streams without alt=sse",
    [
      piece([{ text: "a" }]),
      piece([{ text: "b" }], { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 7 }, "STOP"),
    ],
    { ...STOPPED, usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 }, outputBytes: 2 },
  ),
  whole(
    "gemini",
    "a list that breaks off: its whole entries count, the cut one does not",
    JSON.stringify([
      piece([{ text: 'a "]}\\' }], { promptTokenCount: 5, totalTokenCount: 6 }),
      piece([{ text: "bcd" }]),
    ]).slice(
      0,
      -30,
    ),
    { ...GEMINI_MODEL, usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 }, outputBytes: 6 },
  ),
  whole(
    "gemini",
    "a document that breaks off tells nothing but its length",
    JSON.stringify(piece([{ text: "abc" }])).slice(0, -1),
    { unreadBytes: 130 },
  ),
  whole(
    "gemini",
    "a prompt that is refused is answered",
    {
      promptFeedback: { blockReason: "SAFETY" },
      usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
      modelVersion: "gemini-2.5-pro",
    },
    {
      ...WHOLE,
      model: "gemini-2.5-pro",
      usage: { input: 9, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      finishReasons: ["SAFETY"],
    },
  ),
  whole(
    "gemini",
    "sound is not on the list",
    piece([{ text: "x" }], {
      promptTokenCount: 50,
      candidatesTokenCount: 1,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: 10 }, { modality: "AUDIO", tokenCount: 40 }],
    }, "STOP"),
    {
      ...STOPPED,
      usage: { input: 50, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
      outputBytes: 1,
    },
  ),
  whole(
    "gemini",
    "neither are searches",
    piece([{ text: "x" }], { promptTokenCount: 5, candidatesTokenCount: 1 }, "STOP", {
      groundingMetadata: { webSearchQueries: ["q"] },
    }),
    {
      ...STOPPED,
      usage: { input: 5, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
      isOffList: true,
      outputBytes: 1,
    },
  ),
  stream(
    "gemini",
    "an error in the middle of a stream",
    dataEvents(piece([{ text: "a" }]), { error: { code: 503, message: "overloaded", status: "UNAVAILABLE" } }),
    { ...GEMINI_MODEL, outputBytes: 1, errorType: "UNAVAILABLE" },
  ),
  stream(
    "gemini",
    "later counts replace earlier ones part by part, and pictures in the prompt are on the list",
    dataEvents(
      piece([], {
        promptTokenCount: 300,
        cachedContentTokenCount: 100,
        promptTokensDetails: [{ modality: "IMAGE", tokenCount: 258 }],
      }),
      piece([], { candidatesTokenCount: 2, thoughtsTokenCount: 1 }, "STOP"),
    ),
    { ...STOPPED, usage: { input: 200, cacheRead: 100, cacheWrite: 0, output: 3, reasoning: 1 } },
  ),
  whole(
    "gemini",
    "pictures in the answer are not",
    piece([], {
      promptTokenCount: 3,
      candidatesTokenCount: 1290,
      candidatesTokensDetails: [{ modality: "IMAGE", tokenCount: 1290 }],
    }, "STOP"),
    { ...STOPPED, usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 1290, reasoning: 0 }, isOffList: true },
  ),
  whole(
    "gemini",
    "neither is another tier",
    piece([], { promptTokenCount: 3, candidatesTokenCount: 1, serviceTier: "priority" }, "STOP"),
    { ...STOPPED, usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 }, isOffList: true },
  ),
  whole(
    "gemini",
    "nor Vertex' other traffic",
    piece([], { promptTokenCount: 3, candidatesTokenCount: 1, trafficType: "ON_DEMAND_FLEX" }, "STOP"),
    { ...STOPPED, usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 }, isOffList: true },
  ),
  whole(
    "gemini",
    "the usual tier is",
    piece([], { promptTokenCount: 3, candidatesTokenCount: 1, serviceTier: "standard" }, "STOP"),
    { ...STOPPED, usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 } },
  ),
  stream("gemini", "a stream without usage", dataEvents(piece([{ text: "a" }], undefined, "STOP")), {
    ...STOPPED,
    usageIsFinal: false,
    outputBytes: 1,
  }),
];

export const REPLY_FIXTURES: readonly ReplyFixture[] = [...ANTHROPIC, ...CHAT, ...RESPONSES, ...GEMINI];
