/** The real clients against loopback servers: what goes over the wire, what comes back. */
import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import { Failure, Interrupt } from "../../src/failure.ts";
import type { ChatMessage, ChatReply, QueryOptions, RetryNotice } from "../../src/models/chat_model.ts";
import { createProviderModel, type ProviderModelOptions } from "../../src/models/provider_model.ts";
import { closedAddress, type FakeScript, startFakeProvider } from "../support/fake_provider.ts";

const CONVERSATION: readonly ChatMessage[] = [
  { role: "system", content: "You are an agent" },
  { role: "user", content: "List the files" },
];

type Given = Partial<ProviderModelOptions> & { name: string };

/** A model with no waiting between attempts; the environment is what the test gives and nothing else. */
function modelOf(given: Given) {
  const waits: number[] = [];
  const model = createProviderModel({
    api: "chat",
    kwargs: {},
    setCacheControl: undefined,
    costTracking: "default",
    priceFile: undefined,
    env: {},
    sleep: (ms, signal) => {
      waits.push(ms);
      return signal.aborted ? Promise.reject(signal.reason) : Promise.resolve();
    },
    ...given,
  });
  const notices: RetryNotice[] = [];
  const warnings: string[] = [];
  const unpriced = { count: 0 };
  const query = (messages: readonly ChatMessage[] = CONVERSATION, options: Partial<QueryOptions> = {}) =>
    model.query(messages, {
      bashTool: true,
      signal: new AbortController().signal,
      onRetry: (notice) => notices.push(notice),
      onWarning: (message) => warnings.push(message),
      onUnpricedAttempt: () => unpriced.count++,
      ...options,
    });
  return { model, query, waits, notices, warnings, unpriced };
}

const answeredBy = (reply: ChatReply): ChatMessage => ({
  role: "assistant",
  content: reply.content,
  toolCalls: reply.toolCalls,
  providerState: JSON.parse(JSON.stringify(reply.providerState ?? null)) ?? undefined,
});
const resultOf = (toolCallId: string, content: string): ChatMessage => ({
  role: "tool",
  toolCallId,
  toolName: "bash",
  content,
});

Deno.test("anthropic: POST /v1/messages with the key, the version and the bare model name", async () => {
  await using server = startFakeProvider([{
    text: "Looking",
    toolCalls: [{ id: "c1", arguments: { command: "ls" } }],
  }]);
  const { query } = modelOf({
    name: "anthropic/claude-sonnet-4-20250514",
    env: { MINI_API_BASE: server.url, ANTHROPIC_API_KEY: "dummy" },
  });
  const reply = await query();
  const [request] = server.requests;
  equal(request!.method, "POST");
  equal(request!.path, "/v1/messages");
  equal(request!.headers["x-api-key"], "dummy");
  equal(request!.headers["anthropic-version"], "2023-06-01");
  equal(request!.body.model, "claude-sonnet-4-20250514");
  equal(request!.body.max_tokens, 32_000);
  deepEqual(request!.body.system, [{ type: "text", text: "You are an agent" }]);
  deepEqual(request!.body.messages, [{ role: "user", content: [{ type: "text", text: "List the files" }] }]);
  deepEqual(
    request!.body.tools.map(({ name, input_schema }: { name: string; input_schema: { required: string[] } }) => [
      name,
      input_schema.required,
    ]),
    [["bash", ["command"]]],
  );
  equal(reply.content, "Looking");
  deepEqual(reply.toolCalls, [{ id: "c1", name: "bash", arguments: '{"command":"ls"}' }]);
  equal(reply.finishReason, "tool_calls");
  equal((reply.raw as { id: string }).id, "msg_1");
});

Deno.test("openai: POST /v1/chat/completions with the bearer key", async () => {
  await using server = startFakeProvider([{ text: "Hello", reasoning: "Thinking" }]);
  const { query } = modelOf({ name: "openai/gpt-4o", env: { MINI_API_BASE: server.url, OPENAI_API_KEY: "dummy" } });
  const reply = await query(CONVERSATION, { bashTool: false });
  const [request] = server.requests;
  equal(request!.path, "/v1/chat/completions");
  equal(request!.headers["authorization"], "Bearer dummy");
  equal(request!.body.model, "gpt-4o");
  equal(request!.body.tools, undefined);
  deepEqual(request!.body.messages, [
    { role: "system", content: "You are an agent" },
    { role: "user", content: "List the files" },
  ]);
  equal(reply.content, "Hello");
  equal(reply.reasoning, "Thinking");
  equal(reply.finishReason, "stop");
});

Deno.test("every other provider is asked on its own path with its own kind of key", async () => {
  const cases: {
    name: string;
    env?: Record<string, string>;
    api?: "responses";
    path: string;
    key: [string, string];
    model?: string;
  }[] = [
    { name: "openai/responses/gpt-5", path: "/v1/responses", key: ["authorization", "Bearer k"], model: "gpt-5" },
    { name: "gpt-5", api: "responses", path: "/v1/responses", key: ["authorization", "Bearer k"], model: "gpt-5" },
    {
      name: "gemini/gemini-2.5-pro",
      path: "/v1beta/models/gemini-2.5-pro:generateContent",
      key: ["x-goog-api-key", "k"],
    },
    {
      name: "vertex_ai/gemini-2.5-pro",
      path: "/v1/publishers/google/models/gemini-2.5-pro:generateContent",
      key: ["x-goog-api-key", "k"],
    },
    {
      name: "azure/my-deployment",
      env: { MINI_API_VERSION: "2025-01-01" },
      path: "/openai/deployments/my-deployment/chat/completions?api-version=2025-01-01",
      key: ["api-key", "k"],
    },
    {
      name: "azure/my-deployment",
      api: "responses",
      path: "/openai/v1/responses",
      key: ["api-key", "k"],
      model: "my-deployment",
    },
    {
      name: "openrouter/anthropic/claude-sonnet-4",
      path: "/api/v1/chat/completions",
      key: ["authorization", "Bearer k"],
      model: "anthropic/claude-sonnet-4",
    },
    { name: "ollama/llama3", path: "/v1/chat/completions", key: ["authorization", "Bearer k"], model: "llama3" },
    { name: "qwen/qwen3", path: "/v1/chat/completions", key: ["authorization", "Bearer k"], model: "qwen/qwen3" },
    { name: "groq/llama-3.3", path: "/v1/chat/completions", key: ["authorization", "Bearer k"], model: "llama-3.3" },
  ];
  for (const { name, env, api = "chat", path, key, model } of cases) {
    await using server = startFakeProvider([{
      text: "Hello",
      toolCalls: [{ id: "c1", arguments: { command: "ls" } }],
    }]);
    const { query } = modelOf({ name, api, env: { MINI_API_BASE: server.url, MINI_API_KEY: "k", ...env } });
    const reply = await query();
    const [request] = server.requests;
    equal(request!.path, path, name);
    equal(request!.headers[key[0]], key[1], name);
    if (model !== undefined) equal(request!.body.model, model, name);
    equal(reply.content, "Hello", name);
    equal(reply.toolCalls[0]!.arguments, '{"command":"ls"}', name);
  }
});

Deno.test("ollama needs no key and sends none", async () => {
  await using server = startFakeProvider([{ text: "Hello" }]);
  const { query } = modelOf({ name: "ollama/llama3", env: { OLLAMA_HOST: server.url.slice("http://".length) } });
  await query();
  equal(server.requests[0]!.headers["authorization"], undefined);
});

Deno.test("a missing key fails when the model is asked, not before, and names the variable", async () => {
  const { query } = modelOf({ name: "anthropic/claude-sonnet-4", env: { MINI_API_BASE: "http://127.0.0.1:9999" } });
  await rejects(query(), (error: Failure) => {
    equal(error.type, "AuthenticationError");
    match(error.message, /ANTHROPIC_API_KEY/);
    match(error.hints.join(), /dummy/);
    return true;
  });
});

Deno.test("anthropic: several calls of one reply are answered in one message, thinking goes back signed", async () => {
  await using server = startFakeProvider([{
    text: "Two things",
    reasoning: "Let me think",
    toolCalls: [{ id: "c1", arguments: { command: "ls" } }, { id: "c2", arguments: { command: "pwd" } }],
  }]);
  const { query } = modelOf({ name: "claude-sonnet-4-5", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
  const reply = await query();
  equal(reply.reasoning, "Let me think");
  await query([...CONVERSATION, answeredBy(reply), resultOf("c1", "a.txt"), resultOf("c2", "/tmp"), {
    role: "user",
    content: "Go on",
  }]);
  deepEqual(server.requests[1]!.body.messages.slice(1), [
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "Let me think", signature: "signed" },
        { type: "text", text: "Two things" },
        { type: "tool_use", id: "c1", name: "bash", input: { command: "ls" } },
        { type: "tool_use", id: "c2", name: "bash", input: { command: "pwd" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "c1", content: "a.txt" },
        { type: "tool_result", tool_use_id: "c2", content: "/tmp" },
        { type: "text", text: "Go on" },
      ],
    },
  ]);
});

Deno.test("openai chat: calls and results go back as tool_calls and tool messages", async () => {
  await using server = startFakeProvider([{ toolCalls: [{ id: "c1", arguments: { command: "ls" } }] }]);
  const { query } = modelOf({ name: "openai/gpt-4o", env: { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: "k" } });
  const reply = await query();
  equal(reply.content, "");
  await query([...CONVERSATION, answeredBy(reply), resultOf("c1", "a.txt")]);
  deepEqual(server.requests[1]!.body.messages.slice(2), [
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name: "bash", arguments: '{"command":"ls"}' } }],
    },
    { role: "tool", tool_call_id: "c1", content: "a.txt" },
  ]);
});

Deno.test("openai responses: nothing is stored there, sealed reasoning goes back", async () => {
  await using server = startFakeProvider([{
    reasoning: "Hm",
    toolCalls: [{ id: "c1", arguments: { command: "ls" } }],
  }]);
  const { query } = modelOf({ name: "openai/responses/gpt-5", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
  const reply = await query();
  equal(reply.reasoning, "Hm");
  await query([...CONVERSATION, answeredBy(reply), resultOf("c1", "a.txt")]);
  const [first, second] = server.requests;
  equal(first!.body.store, false);
  deepEqual(first!.body.include, ["reasoning.encrypted_content"]);
  const items = second!.body.input.slice(2);
  deepEqual(items.map(({ type }: { type: string }) => type), ["reasoning", "function_call", "function_call_output"]);
  equal(items[0].encrypted_content, "sealed");
  equal(items[2].output, "a.txt");
});

Deno.test("gemini: thought signatures go back with their calls", async () => {
  await using server = startFakeProvider([{ toolCalls: [{ id: "c1", arguments: { command: "ls" } }] }]);
  const { query } = modelOf({ name: "gemini/gemini-3-pro", env: { MINI_API_BASE: server.url, GEMINI_API_KEY: "k" } });
  const reply = await query();
  await query([...CONVERSATION, answeredBy(reply), resultOf(reply.toolCalls[0]!.id, "a.txt")]);
  const [, , ...rest] = [null, ...server.requests[1]!.body.contents];
  equal(rest[0].role, "model");
  equal(rest[0].parts[0].thoughtSignature, "signed");
  deepEqual(rest[0].parts[0].functionCall.args, { command: "ls" });
  equal(rest[1].parts[0].functionResponse.name, "bash");
});

Deno.test("cache markers: the system prompt, the end of the query before and the new end, never more", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const { query } = modelOf({
    name: "anthropic/claude-sonnet-4-5",
    setCacheControl: "default_end",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
  });
  const messages: ChatMessage[] = [...CONVERSATION];
  for (let step = 0; step < 6; step++) {
    const id = `c${step}`;
    messages.push({ role: "assistant", content: "", toolCalls: [{ id, name: "bash", arguments: '{"command":"ls"}' }] });
    messages.push(resultOf(id, `out ${step}`));
  }
  await query(messages);
  const { system, messages: sent } = server.requests[0]!.body;
  const cache_control = { type: "ephemeral" };
  deepEqual(system[0].cache_control, cache_control);
  deepEqual(sent.at(-1).content[0].cache_control, cache_control);
  deepEqual(sent.at(-3).content[0].cache_control, cache_control);
  equal(JSON.stringify(server.requests[0]!.body).match(/cache_control/g)!.length, 3);
});

Deno.test("cache markers reach openai-compatible servers as marked text parts", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const { query } = modelOf({
    name: "litellm_proxy/claude",
    setCacheControl: "default_end",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
  });
  await query();
  deepEqual(server.requests[0]!.body.messages[1], {
    role: "user",
    content: [{ type: "text", text: "List the files", cache_control: { type: "ephemeral" } }],
  });
});

Deno.test("what providers refuse is repaired: empty text, calls without a result, results without a call, broken arguments", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const { query } = modelOf({ name: "claude-sonnet-4", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
  await query([
    ...CONVERSATION,
    { role: "assistant", content: " \n" },
    { role: "user", content: "" },
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "c1", name: "bash", arguments: "{broken" }, { id: "c2", name: "bash", arguments: "[1]" }],
    },
    resultOf("c2", "b"),
    { role: "system", content: "Later" },
    resultOf("ghost", "boo"),
  ]);
  deepEqual(server.requests[0]!.body.messages, [
    { role: "user", content: [{ type: "text", text: "List the files" }, { type: "text", text: "(empty)" }] },
    {
      role: "assistant",
      content: [
        { type: "tool_use", id: "c1", name: "bash", input: { invalid_arguments: "{broken" } },
        { type: "tool_use", id: "c2", name: "bash", input: { invalid_arguments: "[1]" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "c2", content: "b" },
        { type: "tool_result", tool_use_id: "c1", content: "(no result: this call was not run)" },
        { type: "text", text: "Later" },
        { type: "text", text: "boo" },
      ],
    },
  ]);
});

Deno.test("model_kwargs reach the wire, unknown ones too; litellm's own do not", async () => {
  const kwargs = {
    temperature: 0.5,
    max_tokens: 77,
    stop: ["END"],
    top_k: 5,
    made_up: { deep: [1] },
    drop_params: true,
    num_retries: 1,
    timeout: 30,
    custom_llm_provider: null,
    extra_headers: { "X-Team": "blue" },
    extra_body: { also: true },
    parallel_tool_calls: false,
    user: "me",
    messages: [],
  };
  await using server = startFakeProvider([{ text: "Ok" }]);
  const env = { MINI_API_BASE: server.url, MINI_API_KEY: "k" };
  const anthropic = modelOf({ name: "anthropic/claude-sonnet-4", env, kwargs });
  await anthropic.query();
  const { model: _, system: __, messages, tools: ___, ...rest } = server.requests[0]!.body;
  equal(messages.length, 1);
  deepEqual(rest, {
    max_tokens: 77,
    temperature: 0.5,
    top_k: 5,
    stop_sequences: ["END"],
    tool_choice: { type: "auto", disable_parallel_tool_use: true },
    made_up: { deep: [1] },
    also: true,
    metadata: { user_id: "me" },
  });
  equal(server.requests[0]!.headers["x-team"], "blue");
  ok(anthropic.warnings.some((warning) => warning.includes("model_kwargs.messages")));

  await modelOf({ name: "openai/gpt-4o", env, kwargs: { ...kwargs, seed: 3 } }).query();
  const { model: _m, messages: _ms, tools: _t, ...chat } = server.requests[1]!.body;
  deepEqual(chat, {
    max_tokens: 77,
    temperature: 0.5,
    stop: ["END"],
    seed: 3,
    top_k: 5,
    tool_choice: "auto",
    parallel_tool_calls: false,
    made_up: { deep: [1] },
    also: true,
    user: "me",
  });
});

Deno.test("thinking that was cut off before anything came of it is not sent back alone", async () => {
  for (const name of ["anthropic/claude-sonnet-4", "openai/responses/gpt-5"]) {
    await using server = startFakeProvider([{ reasoning: "Hm, so", finish: "length" }, { text: "Hi" }]);
    const { query } = modelOf({ name, env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
    const cut = await query();
    equal(cut.content, "");
    equal((await query([...CONVERSATION, answeredBy(cut), { role: "user", content: "Shorter" }])).content, "Hi");
    const sent = JSON.stringify(server.requests[1]!.body);
    ok(!sent.includes("Hm, so") && !sent.includes('"reasoning"') && !sent.includes('"thinking"'), sent);
  }
});

Deno.test("thinking gets room beside it, and temperature is left out with a warning", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const { query, warnings } = modelOf({
    name: "anthropic/claude-sonnet-4-5",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
    kwargs: { temperature: 0, thinking: { type: "enabled", budget_tokens: 4000 } },
  });
  await query();
  const { body } = server.requests[0]!;
  deepEqual(body.thinking, { type: "enabled", budget_tokens: 4000 });
  ok(body.max_tokens > 4000);
  equal(body.temperature, undefined);
  equal(warnings.length, 1);
});

Deno.test("reasoning_effort and max_completion_tokens reach the formats that know them", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const env = { MINI_API_BASE: server.url, MINI_API_KEY: "k" };
  const kwargs = { reasoning_effort: "high", max_completion_tokens: 900 };
  await modelOf({ name: "openai/gpt-5", env, kwargs }).query();
  await modelOf({ name: "openai/responses/gpt-5", env, kwargs }).query();
  await modelOf({ name: "some/model", env, kwargs }).query();
  const [chat, responses, compatible] = server.requests.map(({ body }) => body);
  deepEqual([chat.reasoning_effort, chat.max_completion_tokens, chat.max_tokens], ["high", 900, undefined]);
  deepEqual([responses.reasoning, responses.max_output_tokens], [{ effort: "high" }, 900]);
  deepEqual([compatible.reasoning_effort, compatible.max_completion_tokens, compatible.max_tokens], [
    "high",
    900,
    undefined,
  ]);
});

Deno.test("a Claude that refuses sampling parameters is asked without them, and the user is told once", async () => {
  await using server = startFakeProvider([{ text: "Ok" }]);
  const { query, warnings } = modelOf({
    name: "anthropic/claude-opus-5",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
    kwargs: { temperature: 0 },
  });
  await query();
  await query();
  equal(server.requests[1]!.body.temperature, undefined);
  equal(warnings.length, 1);
  match(warnings[0]!, /temperature/);
});

Deno.test("usage has one form for every provider, its parts disjoint", async () => {
  const usage = { input: 150, cacheRead: 30, cacheWrite: 20, output: 7, reasoning: 3 };
  const cases: [string, Record<string, number>][] = [
    ["anthropic/claude-sonnet-4", { input: 100, cacheRead: 30, cacheWrite: 20, output: 7, reasoning: 0 }],
    ["openai/gpt-4o", { input: 120, cacheRead: 30, cacheWrite: 0, output: 7, reasoning: 3 }],
    ["openai/responses/gpt-5", { input: 120, cacheRead: 30, cacheWrite: 0, output: 7, reasoning: 3 }],
    ["gemini/gemini-2.5-pro", { input: 120, cacheRead: 30, cacheWrite: 0, output: 7, reasoning: 3 }],
    ["openrouter/x/y", { input: 120, cacheRead: 30, cacheWrite: 0, output: 7, reasoning: 3 }],
    ["some/model", { input: 120, cacheRead: 30, cacheWrite: 0, output: 7, reasoning: 3 }],
  ];
  for (const [name, expected] of cases) {
    await using server = startFakeProvider([{ text: "Ok", usage }]);
    const { query } = modelOf({ name, env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
    const reply = await query();
    deepEqual({ ...reply.usage }, expected, name);
  }
});

Deno.test("anthropic: an hour in the cache and searches of the web are counted and priced", async () => {
  const ask = async (usage: Record<string, unknown>) => {
    await using server = startFakeProvider([{ text: "Ok", extra: { usage } }]);
    const { query } = modelOf({ name: "claude-sonnet-4-5", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
    const { usage: counted, cost } = await query();
    return { ...counted, ...cost };
  };
  const wire = { input_tokens: 0, output_tokens: 0, cache_creation_input_tokens: 50_000 };
  const counts = { input: 0, cacheRead: 0, cacheWrite: 50_000, output: 0, reasoning: 0 };
  deepEqual(
    await ask({ ...wire, cache_creation: { ephemeral_5m_input_tokens: 50_000, ephemeral_1h_input_tokens: 0 } }),
    {
      ...counts,
      usd: 0.1875,
      source: "list",
    },
  );
  deepEqual(
    await ask({
      ...wire,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 50_000 },
      server_tool_use: { web_search_requests: 10 },
    }),
    { ...counts, cacheWrite1h: 50_000, webSearches: 10, usd: 0.4, source: "list" },
  );
});

Deno.test("cost: the provider's word, then the user's prices, then the list, then unknown", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const priceFile = `${folder}/prices.json`;
    await Deno.writeTextFile(
      priceFile,
      JSON.stringify({ "claude-sonnet-4-20250514": { input_cost_per_token: 0.001, output_cost_per_token: 0.01 } }),
    );
    const ask = async (name: string, reply: Parameters<typeof startFakeProvider>[0], more: Partial<Given> = {}) => {
      await using server = startFakeProvider(reply);
      const { query } = modelOf({ name, env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" }, ...more });
      return (await query()).cost;
    };
    const sonnet = "anthropic/claude-sonnet-4-20250514";
    const million = { input: 1_000_000, output: 0 };
    const header = { "x-litellm-response-cost": "0.25" };
    deepEqual(await ask(sonnet, [{ text: "Ok", headers: header }], { priceFile }), { usd: 0.25, source: "provider" });
    deepEqual(
      await ask("openrouter/x/y", [{
        text: "Ok",
        extra: { usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, cost: 0.5 } },
      }]),
      { usd: 0.5, source: "provider" },
    );
    deepEqual(await ask(sonnet, [{ text: "Ok", usage: { input: 10, output: 1 } }], { priceFile }), {
      usd: 0.02,
      source: "user",
    });
    deepEqual(await ask(sonnet, [{ text: "Ok", usage: million }]), { usd: 3, source: "list" });
    deepEqual(await ask(sonnet, [{ text: "Ok", usage: null }]), { usd: null, source: "unknown" });
    deepEqual(await ask("openai/gpt-4o", [{ text: "Ok", usage: null }]), { usd: null, source: "unknown" });
    deepEqual(await ask("anthropic/nobody-knows", [{ text: "Ok" }]), { usd: null, source: "unknown" });
    deepEqual(await ask("ollama/llama3", [{ text: "Ok" }]), { usd: null, source: "unknown" });
    deepEqual(await ask(sonnet, [{ text: "Ok" }], { costTracking: "disabled" }), { usd: null, source: "unknown" });
    deepEqual(
      await ask("ollama/llama3", [{ text: "Ok" }], { kwargs: { input_cost_per_token: 0, output_cost_per_token: 0 } }),
      { usd: 0, source: "user" },
    );
    const partial = { usage: { input_tokens: 1_000_000 } };
    deepEqual(await ask(sonnet, [{ text: "Ok", extra: partial }]), { usd: 3, source: "estimated" });

    await Deno.writeTextFile(priceFile, "{broken");
    await rejects(ask(sonnet, [{ text: "Ok" }], { priceFile }), (error: Failure) => error.kind === "usage");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

interface FaultCase {
  readonly script: FakeScript;
  readonly type: string;
  readonly attempts: number;
  readonly says: RegExp;
  readonly kwargs?: Record<string, unknown>;
}

const errorOf = (message: string, more: Record<string, unknown> = {}) => ({
  type: "error",
  error: { type: "x", message, ...more },
});
const faults: Record<string, FaultCase> = {
  "400": {
    script: [{ status: 400, body: errorOf("bad field") }],
    type: "BadRequestError",
    attempts: 1,
    says: /400 \(bad request\): bad field/,
  },
  "401": {
    script: [{ status: 401, body: errorOf("who are you") }],
    type: "AuthenticationError",
    attempts: 1,
    says: /401.*who are you/,
  },
  "402": {
    script: [{ status: 402, body: "" }],
    type: "BudgetExceededError",
    attempts: 1,
    says: /402 \(out of credit\)$/,
  },
  "403": { script: [{ status: 403, body: errorOf("no") }], type: "PermissionDeniedError", attempts: 1, says: /403/ },
  "404": {
    script: [{ status: 404, body: errorOf("no such model") }],
    type: "NotFoundError",
    attempts: 1,
    says: /404.*no such model/,
  },
  "422": { script: [{ status: 422, body: "no" }], type: "UnprocessableEntityError", attempts: 1, says: /422/ },
  "307": {
    script: [{ status: 307, headers: { location: "http://elsewhere.example/?key=abc" } }],
    type: "APIError",
    attempts: 1,
    says: /307 \(redirect\)/,
  },
  "429": {
    script: [{ status: 429, body: errorOf("slow down") }],
    type: "RateLimitError",
    attempts: 6,
    says: /429 \(rate limit\) 6 times: slow down$/,
  },
  "429 that asks for an hour": {
    script: [{ status: 429, headers: { "retry-after": "3600" }, body: errorOf("slow down") }],
    type: "RateLimitError",
    attempts: 1,
    says: /asks to wait 3600 s, longer than 300 s/,
  },
  "429 without money": {
    script: [{ status: 429, body: { error: { message: "You exceeded your quota", code: "insufficient_quota" } } }],
    type: "RateLimitError",
    attempts: 1,
    says: /out of credit/,
  },
  "500 with a page": {
    script: [{ status: 500, body: "<html><title>Oh no</title>" }],
    type: "InternalServerError",
    attempts: 6,
    says: /500 \(server error\) 6 times: Oh no$/,
  },
  "529": {
    script: [{ status: 529, body: errorOf("Overloaded") }],
    type: "ServiceUnavailableError",
    attempts: 6,
    says: /529 \(overloaded\) 6 times/,
  },
  "context window": {
    script: [{ status: 400, body: errorOf("prompt is too long: 300000 tokens > 200000 maximum") }],
    type: "ContextWindowExceededError",
    attempts: 1,
    says: /context window/,
  },
  garbage: {
    script: [{ status: 200, body: "<html>\u001b[31mhello" }],
    type: "APIError",
    attempts: 6,
    says: /could not be read 6 times: it is not JSON: <html>\\x1b/,
  },
  "204": { script: [{ status: 204, body: null }], type: "APIError", attempts: 6, says: /it is empty/ },
  "304": { script: [{ status: 304, body: null }], type: "APIError", attempts: 1, says: /answered 304 \(redirect\)/ },
  "an empty body": { script: [{ status: 200, body: "" }], type: "APIError", attempts: 6, says: /it is empty/ },
  "JSON of another kind": {
    script: [{ status: 200, body: [1, 2] }],
    type: "APIError",
    attempts: 6,
    says: /another shape/,
  },
  "an error inside of a 200": {
    script: [{ status: 200, body: { error: { code: 401, message: "upstream" } } }],
    type: "AuthenticationError",
    attempts: 1,
    says: /upstream/,
  },
  "half a body": {
    script: [{ fault: "half" }],
    type: "APIConnectionError",
    attempts: 6,
    says: /connection broke before the reply was complete 6 times/,
  },
  "no answer": {
    script: [{ fault: "hang" }],
    type: "Timeout",
    attempts: 2,
    says: /no complete reply within 0\.3 s 2 times/,
    kwargs: { timeout: 0.3 },
  },
  "a body that stops": {
    script: [{ fault: "stall" }],
    type: "Timeout",
    attempts: 2,
    says: /no complete reply/,
    kwargs: { timeout: 0.3 },
  },
};

for (const name of ["anthropic/claude-sonnet-4", "openai/gpt-4o"]) {
  for (const [fault, { script, type, attempts, says, kwargs = {} }] of Object.entries(faults)) {
    Deno.test(`${name}: ${fault} ends as ${type} after ${attempts} attempt(s)`, async () => {
      await using server = startFakeProvider(script);
      const { query, notices, waits } = modelOf({
        name,
        kwargs,
        env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
      });
      await rejects(query(), (error: unknown) => {
        ok(error instanceof Failure);
        equal(error.kind, "model");
        match(error.message, says);
        equal(error.type, type);
        ok(error.message.startsWith(`Cannot get a reply from ${name}: `), error.message);
        return true;
      });
      // In 0.3 s a slow machine may not get as far as a request.
      if (type !== "Timeout") equal(server.requests.length, attempts);
      deepEqual(notices.map(({ attempt, waitMs }) => [attempt, waitMs]), waits.map((ms, index) => [index + 1, ms]));
      deepEqual(waits, [1000, 2000, 4000, 8000, 16_000].slice(0, attempts - 1));
    });
  }
}

Deno.test("connection refused is repeated and tells the address", async () => {
  const address = closedAddress();
  const { query, waits } = modelOf({
    name: "anthropic/claude-sonnet-4",
    env: { MINI_API_BASE: address, MINI_API_KEY: "k" },
  });
  await rejects(query(), (error: Failure) => {
    equal(error.type, "APIConnectionError");
    ok(error.message.includes(`no connection to ${address}/v1/messages 6 times: connection refused`), error.message);
    match(error.hints.join(), /MINI_API_BASE/);
    return true;
  });
  equal(waits.length, 5);
});

Deno.test("a retry waits as long as the provider asks, and the notice says why", async () => {
  const now = Date.parse("2030-01-01T00:00:00Z");
  await using server = startFakeProvider([
    { status: 429, headers: { "retry-after": "7" }, body: errorOf("slow") },
    { status: 503, headers: { "retry-after": "Tue, 01 Jan 2030 00:00:20 GMT" } },
    { status: 529, headers: { "retry-after-ms": "1500" } },
    { status: 429, body: { error: { message: "quota", details: [{ retryDelay: "2.5s" }] } } },
    { status: 500, headers: { "retry-after": "soon" } },
    { text: "Ok" },
  ]);
  const { query, notices } = modelOf({
    name: "claude-x",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
    now: () => now,
  });
  equal((await query()).content, "Ok");
  deepEqual(notices.map(({ status, waitMs }) => [status, waitMs]), [[429, 7000], [503, 20_000], [529, 1500], [
    429,
    2500,
  ], [500, 16_000]]);
  deepEqual(notices[0], {
    attempt: 1,
    maxAttempts: 6,
    waitMs: 7000,
    status: 429,
    message: "the provider answered 429 (rate limit): slow",
  });
});

Deno.test("keys and control characters do not get into messages", async () => {
  const key = "sk-verysecretkey123456";
  await using server = startFakeProvider([{
    status: 400,
    body: errorOf(`bad\u001b[2J\nkey ${key} at https://x/?key=${key}\u202e`),
  }]);
  const { query } = modelOf({ name: "claude-x", env: { MINI_API_BASE: server.url, MINI_API_KEY: key } });
  await rejects(query(), (error: Failure) => {
    ok(!error.message.includes(key));
    match(error.message, /bad\\x1b\[2J key \*\*\* at https:\/\/x\/\?key=\*\*\*/);
    return true;
  });
});

Deno.test("a reply that cannot be read is shown without the key that its beginning ends in", async () => {
  const key = "no-known-shape-0123456789";
  await using server = startFakeProvider([{ status: 200, body: `${"x".repeat(190)}${key}` }]);
  const { query } = modelOf({
    name: "claude-x",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: key },
    kwargs: { num_retries: 0 },
  });
  await rejects(query(), (error: Failure) => {
    match(error.message, /it is not JSON: x{190}\*\*\*$/);
    return true;
  });
});

Deno.test("abort ends a request, a stalled body and a wait with the signal's reason", async () => {
  const interrupt = new Interrupt("SIGINT");
  for (const fault of ["hang", "stall"] as const) {
    await using server = startFakeProvider([{ fault }]);
    const { query } = modelOf({ name: "claude-x", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
    const controller = new AbortController();
    const asked = query(CONVERSATION, { signal: controller.signal });
    await server.requested(1);
    controller.abort(interrupt);
    await rejects(asked, (error) => error === interrupt);
  }
  await using server = startFakeProvider([{ status: 500 }]);
  const controller = new AbortController();
  const waiting = modelOf({
    name: "claude-x",
    env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" },
    // The real wait, which is a second long.
    sleep: undefined,
  });
  await rejects(
    waiting.query(CONVERSATION, { signal: controller.signal, onRetry: () => controller.abort(interrupt) }),
    (error) => error === interrupt,
  );
  equal(server.requests.length, 1);
  await rejects(waiting.query(CONVERSATION, { signal: controller.signal }), (error) => error === interrupt);
  equal(server.requests.length, 1);
});

Deno.test("small servers that leave fields out are understood", async () => {
  const script: FakeScript = ({ path }) =>
    path.endsWith("/messages") ? { status: 200, body: { content: [{ type: "text", text: "Hi" }] } } : {
      status: 200,
      body: {
        choices: [{
          message: {
            content: [{ type: "text", text: "Hi" }],
            tool_calls: [{ function: { name: "bash", arguments: { command: "ls" } } }],
          },
        }],
      },
    };
  await using server = startFakeProvider(script);
  const env = { MINI_API_BASE: server.url, MINI_API_KEY: "k" };
  const first = await modelOf({ name: "claude-x", env }).query();
  deepEqual([first.content, first.usage, first.cost.usd], ["Hi", undefined, null]);
  for (const name of ["openai/gpt-4o", "some/model", "openrouter/x/y"]) {
    const { content, toolCalls, usage } = await modelOf({ name, env }).query();
    deepEqual([content, toolCalls[0]!.arguments, usage], ["Hi", '{"command":"ls"}', undefined], name);
  }
});

Deno.test("servers of OpenAI's format may count tool calls and name the token limit in their own way", async () => {
  await using server = startFakeProvider(() => ({
    status: 200,
    body: {
      choices: [{
        finish_reason: "max_tokens",
        message: { content: "", tool_calls: [{ id: 7, function: { name: "bash", arguments: "{}" } }] },
      }],
    },
  }));
  const env = { MINI_API_BASE: server.url, MINI_API_KEY: "k" };
  for (const name of ["openai/gpt-4o", "some/model"]) {
    const { finishReason, toolCalls } = await modelOf({ name, env }).query();
    deepEqual([finishReason, toolCalls[0]!.id], ["length", "7"], name);
  }
});

Deno.test("attempts that may have been charged for are counted, refusals are not", async () => {
  const env = (url: string) => ({ MINI_API_BASE: url, MINI_API_KEY: "k", MINI_API_TIMEOUT: "2" });
  const refused = { status: 429, body: { error: { message: "later" } } };
  for (
    const [first, count] of [[refused, 0], [{ status: 200, body: "nonsense" }, 1], [{ fault: "half" }, 1]] as const
  ) {
    await using server = startFakeProvider([first, { text: "Hi" }]);
    const { query, unpriced } = modelOf({ name: "openai/gpt-4o", env: env(server.url) });
    equal((await query()).content, "Hi");
    equal(unpriced.count, count, JSON.stringify(first));
  }
  const { query, unpriced } = modelOf({ name: "openai/gpt-4o", env: env(await closedAddress()) });
  await rejects(query());
  equal(unpriced.count, 0, "nobody was reached");
});

Deno.test("a context window that a server of errors tells with 500 is not repeated", async () => {
  await using server = startFakeProvider(() => ({ status: 500, body: { error: { message: "prompt is too long" } } }));
  const { query } = modelOf({ name: "openai/gpt-4o", env: { MINI_API_BASE: server.url, MINI_API_KEY: "k" } });
  await rejects(query(), (error: Failure) => error.type === "ContextWindowExceededError");
  equal(server.requests.length, 1);
});

Deno.test("settings that cannot be used are usage failures before anything is asked", () => {
  const env = { MINI_API_KEY: "k" };
  const wrong: [Given, RegExp][] = [
    [{ name: "claude-x", env: { ...env, MINI_API_BASE: "ftp://x" } }, /MINI_API_BASE/],
    [{ name: "claude-x", env: { ...env, MINI_API_TIMEOUT: "soon" } }, /MINI_API_TIMEOUT.*"soon"/],
    [{ name: "claude-x", env, kwargs: { timeout: [] } }, /model_kwargs\.timeout: need a number, found a list/],
    [{ name: "nobody/model", env }, /nobody/],
  ];
  for (const [given, message] of wrong) {
    throws(() => modelOf(given), (error: Failure) => error.kind === "usage" && message.test(error.message));
  }
});
