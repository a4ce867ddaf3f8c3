/** What a provider sees of a run, and what the run says that it cost. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { MARKER, type MiniRun, Sandbox } from "../support/gocore.ts";
import { type FakeAnswer, type FakeRequest, startFakeProvider } from "../support/fake_provider.ts";

const USAGE = { input: 1000, output: 100, cacheRead: 600, cacheWrite: 200 };
const call = (id: string, command: string): FakeAnswer => ({
  toolCalls: [{ id, arguments: { command } }],
  usage: USAGE,
});
const FINISH = `echo ${MARKER}; echo finished`;

interface Seen extends MiniRun {
  first: FakeRequest;
  second: FakeRequest;
}

/** A run of two replies: one command, then the submission. */
async function seen(box: Sandbox, args: string[], env: Record<string, string>, path = ""): Promise<Seen> {
  await using provider = startFakeProvider([
    { text: "I look.", ...call("call_look", "echo the output") },
    call("call_end", FINISH),
  ]);
  const cwd = await box.repository(crypto.randomUUID());
  const run = await box.mini(["-t", "Fix the sum", ...args], {
    cwd,
    env: { MINI_API_BASE: provider.url + path, ...env },
  });
  deepEqual([run.code, run.finish.result.trim()], [0, "finished"], JSON.stringify(run.error));
  equal(provider.requests.length, 2);
  return { ...run, first: provider.requests[0]!, second: provider.requests[1]! };
}

/** A request's messages without the marks of the cache, which move with every request. */
function withoutMarks(messages: unknown): unknown {
  return JSON.parse(JSON.stringify(messages, (key, value) => key === "cache_control" ? undefined : value));
}

function near(found: number | null, wanted: number): void {
  ok(found !== null && Math.abs(found - wanted) < 1e-9, `${found}, not ${wanted}`);
}

Deno.test("Anthropic gets POST /v1/messages in its own format, with the cache marked", async () => {
  await using box = await Sandbox.create();
  const model = "anthropic/claude-sonnet-4-20250514";
  const { first, second, cost, start } = await seen(box, ["-m", model], { ANTHROPIC_API_KEY: "sk-dummy" });
  equal(start.model, model);
  for (const { method, path, headers, body } of [first, second]) {
    deepEqual([method, path], ["POST", "/v1/messages"]);
    equal(headers["x-api-key"], "sk-dummy");
    match(headers["anthropic-version"] ?? "", /^\d{4}-\d\d-\d\d$/);
    equal(headers.authorization, undefined);
    equal(body.model, "claude-sonnet-4-20250514");
    ok(body.max_tokens >= 4096);
    deepEqual(body.tools.map(({ name }: { name: string }) => name), ["bash"]);
    equal(typeof body.system[0].text, "string");
    const last = body.messages.at(-1).content.at(-1);
    deepEqual(last.cache_control, { type: "ephemeral" }, "the whole conversation can be cached");
    const marks = JSON.stringify(body).split('"cache_control"').length - 1;
    ok(marks >= 1 && marks <= 4, `${marks} marks`);
  }
  deepEqual(first.body.messages.map(({ role }: { role: string }) => role), ["user"]);
  ok(first.body.messages[0].content[0].text.includes("Fix the sum"));
  deepEqual(second.body.messages.map(({ role }: { role: string }) => role), ["user", "assistant", "user"]);
  deepEqual(withoutMarks(second.body.messages[0]), withoutMarks(first.body.messages[0]));
  const [text, toolUse] = second.body.messages[1].content;
  deepEqual([text.text, toolUse.type, toolUse.id], ["I look.", "tool_use", "call_look"]);
  const [result] = second.body.messages[2].content;
  deepEqual([result.type, result.tool_use_id], ["tool_result", "call_look"]);
  match(JSON.stringify(result.content), /the output/);

  // Per million tokens: 3 input, 0.30 cache read, 3.75 cache write, 15 output.
  near(cost.total, 2 * (200 * 3 + 600 * 0.3 + 200 * 3.75 + 100 * 15) / 1e6);
  deepEqual([cost.calls, cost.source, cost.unpriced_calls], [2, "list", 0]);
  const { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens } = cost;
  deepEqual([input_tokens, cache_read_tokens, cache_write_tokens, output_tokens], [400, 1200, 400, 200]);
});

Deno.test("OpenAI gets POST /v1/chat/completions in its own format", async () => {
  await using box = await Sandbox.create();
  const { first, second, cost } = await seen(box, ["-m", "openai/gpt-4o"], { OPENAI_API_KEY: "sk-dummy" });
  for (const { method, path, headers, body } of [first, second]) {
    deepEqual([method, path, headers.authorization], ["POST", "/v1/chat/completions", "Bearer sk-dummy"]);
    equal(headers["x-api-key"], undefined);
    equal(body.model, "gpt-4o");
    deepEqual(body.tools.map((tool: { function: { name: string } }) => tool.function.name), ["bash"]);
  }
  deepEqual(first.body.messages.map(({ role }: { role: string }) => role), ["system", "user"]);
  deepEqual(second.body.messages.slice(0, 2), first.body.messages);
  const [assistant, tool] = second.body.messages.slice(2);
  deepEqual([assistant.role, assistant.content, assistant.tool_calls[0].id], ["assistant", "I look.", "call_look"]);
  deepEqual([tool.role, tool.tool_call_id], ["tool", "call_look"]);
  match(JSON.stringify(tool.content), /the output/);
  // Per million tokens: 2.50 input, 1.25 cached input, 10 output; this format tells nothing of cache writes.
  near(cost.total, 2 * (400 * 2.5 + 600 * 1.25 + 100 * 10) / 1e6);
  deepEqual([cost.input_tokens, cost.cache_read_tokens, cost.cache_write_tokens], [800, 1200, 0]);
});

Deno.test("Gemini gets POST /v1beta/models/NAME:generateContent in its own format", async () => {
  await using box = await Sandbox.create();
  const { first } = await seen(box, ["-m", "gemini/gemini-2.5-pro"], { GEMINI_API_KEY: "dummy-key" });
  deepEqual([first.method, first.path], ["POST", "/v1beta/models/gemini-2.5-pro:generateContent"]);
  equal(first.headers["x-goog-api-key"], "dummy-key");
});

Deno.test("a base with a path is kept, MINI_API_KEY comes before the provider's, and kwargs reach the wire", async () => {
  await using box = await Sandbox.create();
  const kwargs = ["-c", "model.model_kwargs={temperature: 0.5, my_unknown: {deep: [1]}}"];
  const [anthropic, openai] = await Promise.all([
    seen(
      box,
      ["-m", "anthropic/claude-sonnet-4-20250514", ...kwargs],
      { ANTHROPIC_API_KEY: "theirs", MINI_API_KEY: "ours" },
      "/proxy/v1/",
    ),
    seen(box, ["-m", "gpt-4o", ...kwargs], { OPENAI_API_KEY: "theirs", MINI_API_KEY: "ours" }, "/proxy/v1"),
  ]);
  deepEqual([anthropic.first.path, anthropic.first.headers["x-api-key"]], ["/proxy/v1/messages", "ours"]);
  deepEqual([openai.first.path, openai.first.headers.authorization], ["/proxy/v1/chat/completions", "Bearer ours"]);
  for (const { first: { body } } of [anthropic, openai]) {
    deepEqual([body.temperature, body.my_unknown], [0.5, { deep: [1] }]);
  }
});

Deno.test("the text protocol offers no tool and answers in text", async () => {
  await using box = await Sandbox.create();
  const block = (command: string): FakeAnswer => ({ text: `I do it.\n\n\`\`\`bash\n${command}\n\`\`\`` });
  await using provider = startFakeProvider([block("echo the output"), block(FINISH)]);
  const run = await box.mini(["-t", "x", "-m", "anthropic/claude-sonnet-4-20250514", "--protocol", "text"], {
    env: { MINI_API_BASE: provider.url, ANTHROPIC_API_KEY: "sk-dummy" },
  });
  equal(run.finish.status, "success");
  equal(provider.requests[0]!.body.tools, undefined);
  match(JSON.stringify(provider.requests[1]!.body.messages[2]), /the output/);
});

Deno.test("an unknown price is null, told once, and never zero", async () => {
  await using box = await Sandbox.create();
  const env = { OPENAI_API_KEY: "sk-dummy" };
  const [unknown, silent] = await Promise.all([
    seen(box, ["-m", "openai/no-such-model-anywhere"], env),
    seen(box, ["-m", "openai/no-such-model-anywhere", "-c", "model.cost_tracking=ignore_errors"], env),
  ]);
  for (const { cost, finish, steps } of [unknown, silent]) {
    deepEqual([cost.total, cost.source, cost.unpriced_calls, finish.total_cost], [null, "unknown", 2, null]);
    deepEqual(steps.map(({ cost_so_far }) => cost_so_far), [null, null]);
  }
  deepEqual([unknown.logs.length, silent.logs.length], [1, 0]);
});

Deno.test("a cost limit ends a run by the prices of its calls", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider([call("call_1", "true")]);
  const run = await box.mini(["-t", "x", "-m", "anthropic/claude-sonnet-4-20250514", "--cost-limit", "0.007"], {
    env: { MINI_API_BASE: provider.url, ANTHROPIC_API_KEY: "sk-dummy" },
  });
  deepEqual([run.finish.status, run.finish.exit_status, run.cost.calls], ["cost_limit", "LimitsExceeded", 3]);
});

Deno.test("a proxy of the network is not asked for what listens on loopback", async () => {
  await using box = await Sandbox.create();
  const nobody = "http://127.0.0.1:9";
  const { cost } = await seen(box, ["-m", "openai/gpt-4o"], {
    OPENAI_API_KEY: "k",
    HTTP_PROXY: nobody,
    http_proxy: nobody,
    HTTPS_PROXY: nobody,
    ALL_PROXY: nobody,
    no_proxy: "intranet.example",
  });
  equal(cost.calls, 2);
});
