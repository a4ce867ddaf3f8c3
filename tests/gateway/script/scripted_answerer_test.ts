import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure, Interrupt } from "../../../src/failure.ts";
import type { Answerer } from "../../../src/gateway/answerer.ts";
import { openScript } from "../../../src/gateway/script/scripted_answerer.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { askedOf } from "./serve_script.ts";

const never = new AbortController().signal;

interface ScriptOptions {
  readonly waits?: number[];
}

/** Opens a script with these replies, or this whole document. */
async function withScript(document: unknown, use: (answer: Answerer) => Promise<void>, { waits }: ScriptOptions = {}) {
  await inTempDir(async (dir) => {
    const path = `${dir}/script.json`;
    await Deno.writeTextFile(path, JSON.stringify(document));
    const sleep = async (ms: number, signal: AbortSignal) => {
      signal.throwIfAborted();
      waits!.push(ms);
    };
    await use(await openScript(path, waits === undefined ? {} : { sleep }));
  });
}

type Body = Record<string, unknown>;
const MESSAGES = "/v1/messages";
const CHAT = "/v1/chat/completions";
const RESPONSES = "/v1/responses";
const gemini = (action: string) => `/v1beta/models/gemini-x:${action}`;

const bash = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
const tools = {
  [MESSAGES]: [{ name: "Bash", input_schema: bash }],
  [CHAT]: [{ type: "function", function: { name: "bash", parameters: bash } }],
  [RESPONSES]: [{ type: "function", name: "shell_command", parameters: bash }],
  gemini: [{ functionDeclarations: [{ name: "run_shell_command", parametersJsonSchema: bash }] }],
};

async function text(answer: Answerer, path: string, body: Body, options = {}): Promise<string> {
  const response = await answer(askedOf(path, body, options), never);
  equal(response.status, 200);
  return await response.text();
}

async function json(answer: Answerer, path: string, body: Body = {}, options = {}) {
  const response = await answer(askedOf(path, body, options), never);
  return { status: response.status, body: await response.json() };
}

/** The text of a chat reply: the shortest way to see which reply was given. */
async function chat(answer: Answerer, worker = "w1"): Promise<string> {
  const { status, body } = await json(answer, CHAT, { model: "m" }, { worker });
  return status === 200 ? body.choices[0].message.content : `${status}`;
}

/** The data of server-sent events; asserts that their framing is nothing but `event:` and `data:` lines. */
function eventsIn(stream: string, { named }: { named: boolean }): unknown[] {
  ok(stream.endsWith("\n\n"));
  return stream.slice(0, -2).split("\n\n").map((block) => {
    const lines = block.split("\n");
    const data = lines.at(-1)!.slice("data: ".length);
    if (data === "[DONE]") return data;
    const event = JSON.parse(data);
    deepEqual(lines, [...(named ? [`event: ${event.type}`] : []), `data: ${data}`]);
    return event;
  });
}

const REPLY = {
  reasoning: "I think.",
  content: "I look around here",
  commands: ["ls"],
  usage: { input: 100, output: 20, cache_read: 30, cache_write: 5, reasoning: 7 },
  cost: 0.25,
};

const anthropicUsage = {
  input_tokens: 100,
  cache_creation_input_tokens: 5,
  cache_read_input_tokens: 30,
  output_tokens: 20,
  output_tokens_details: { thinking_tokens: 7 },
};
const anthropicWhole = {
  cache_creation: { ephemeral_5m_input_tokens: 5, ephemeral_1h_input_tokens: 0 },
  service_tier: "standard",
};

Deno.test("a reply as a stream of the Messages API", async () => {
  await withScript([REPLY], async (answer) => {
    const stream = await text(answer, MESSAGES, { model: "claude-x", stream: true, tools: tools[MESSAGES] });
    deepEqual(eventsIn(stream, { named: true }), [
      {
        type: "message_start",
        message: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "claude-x",
          stop_sequence: null,
          content: [],
          stop_reason: null,
          usage: {
            ...anthropicUsage,
            ...anthropicWhole,
            output_tokens: 1,
            output_tokens_details: { thinking_tokens: 0 },
          },
        },
      },
      { type: "ping" },
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "I think." } },
      { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "c2NyaXB0ZWQ=" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "I look " } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "around here" } },
      { type: "content_block_stop", index: 1 },
      {
        type: "content_block_start",
        index: 2,
        content_block: { type: "tool_use", id: "call_1_1", name: "Bash", input: {} },
      },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: "" } },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"command":"' } },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: 'ls"}' } },
      { type: "content_block_stop", index: 2 },
      { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: anthropicUsage },
      { type: "message_stop" },
    ]);
  });
});

Deno.test("a reply as a whole of the Messages API", async () => {
  await withScript([REPLY], async (answer) => {
    deepEqual(await json(answer, MESSAGES, { model: "claude-x", tools: tools[MESSAGES] }), {
      status: 200,
      body: {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude-x",
        stop_sequence: null,
        content: [
          { type: "thinking", thinking: "I think.", signature: "c2NyaXB0ZWQ=" },
          { type: "text", text: "I look around here" },
          { type: "tool_use", id: "call_1_1", name: "Bash", input: { command: "ls" } },
        ],
        stop_reason: "tool_use",
        usage: { ...anthropicUsage, ...anthropicWhole },
      },
    });
  });
});

const chatUsage = {
  prompt_tokens: 135,
  completion_tokens: 20,
  total_tokens: 155,
  prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 5 },
  completion_tokens_details: { reasoning_tokens: 7 },
  cost: 0.25,
};

Deno.test("a reply as a stream of Chat Completions", async () => {
  await withScript([{ ...REPLY, repeat: 2 }], async (answer) => {
    const body = { model: "gpt-x", stream: true, tools: tools[CHAT] };
    const events = eventsIn(await text(answer, CHAT, { ...body, stream_options: { include_usage: true } }), {
      named: false,
    });
    const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: "gpt-x" };
    const part = (delta: unknown, reason: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
      usage: null,
    });
    deepEqual(events, [
      part({ role: "assistant", content: "", refusal: null }),
      part({ reasoning_content: "I think." }),
      part({ content: "I look " }),
      part({ content: "around here" }),
      part({ tool_calls: [{ index: 0, id: "call_1_1", type: "function", function: { name: "bash", arguments: "" } }] }),
      part({ tool_calls: [{ index: 0, function: { arguments: '{"command":"' } }] }),
      part({ tool_calls: [{ index: 0, function: { arguments: 'ls"}' } }] }),
      part({}, "tool_calls"),
      { ...head, choices: [], usage: chatUsage },
      "[DONE]",
    ]);
    const unasked = eventsIn(await text(answer, CHAT, body), { named: false });
    equal(unasked.length, events.length - 1);
    ok(!JSON.stringify(unasked).includes("usage"), "usage comes when it was asked for");
  });
});

Deno.test("a reply as a whole of Chat Completions", async () => {
  await withScript([REPLY], async (answer) => {
    deepEqual(await json(answer, CHAT, { model: "gpt-x", tools: tools[CHAT] }), {
      status: 200,
      body: {
        id: "chatcmpl-1",
        object: "chat.completion",
        created: 0,
        model: "gpt-x",
        choices: [{
          index: 0,
          message: {
            role: "assistant",
            content: "I look around here",
            refusal: null,
            reasoning_content: "I think.",
            tool_calls: [
              { id: "call_1_1", type: "function", function: { name: "bash", arguments: '{"command":"ls"}' } },
            ],
          },
          logprobs: null,
          finish_reason: "tool_calls",
        }],
        usage: chatUsage,
      },
    });
  });
});

const responsesOutput = [
  { id: "rs_1", type: "reasoning", summary: [{ type: "summary_text", text: "I think." }] },
  {
    id: "msg_1",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: "I look around here", annotations: [], logprobs: [] }],
  },
  {
    id: "fc_1_1",
    type: "function_call",
    status: "completed",
    call_id: "call_1_1",
    name: "shell_command",
    arguments: '{"command":"ls"}',
  },
];
const responsesWhole = {
  id: "resp_1",
  object: "response",
  created_at: 0,
  status: "completed",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "gpt-x",
  output: responsesOutput,
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: "auto",
  tools: [],
  top_p: 1,
  usage: {
    input_tokens: 135,
    input_tokens_details: { cached_tokens: 30, cache_write_tokens: 5 },
    output_tokens: 20,
    output_tokens_details: { reasoning_tokens: 7 },
    total_tokens: 155,
  },
};

Deno.test("a reply as a stream of the Responses API", async () => {
  await withScript([REPLY], async (answer) => {
    const stream = await text(answer, RESPONSES, { model: "gpt-x", stream: true, tools: tools[RESPONSES] });
    const begun = { ...responsesWhole, status: "in_progress", output: [], usage: null };
    const [reasoning, message, call] = responsesOutput;
    const thought = { summary_index: 0 };
    const part = { type: "output_text", text: "I look around here", annotations: [], logprobs: [] };
    const expected = [
      { type: "response.created", response: begun },
      { type: "response.in_progress", response: begun },
      { type: "response.output_item.added", output_index: 0, item: { ...reasoning, summary: [] } },
      {
        type: "response.reasoning_summary_part.added",
        ...thought,
        part: { type: "summary_text", text: "" },
        item_id: "rs_1",
        output_index: 0,
      },
      {
        type: "response.reasoning_summary_text.delta",
        ...thought,
        delta: "I think.",
        item_id: "rs_1",
        output_index: 0,
      },
      { type: "response.reasoning_summary_text.done", ...thought, text: "I think.", item_id: "rs_1", output_index: 0 },
      {
        type: "response.reasoning_summary_part.done",
        ...thought,
        part: { type: "summary_text", text: "I think." },
        item_id: "rs_1",
        output_index: 0,
      },
      { type: "response.output_item.done", output_index: 0, item: reasoning },
      {
        type: "response.output_item.added",
        output_index: 1,
        item: { ...message, status: "in_progress", content: [] },
      },
      {
        type: "response.content_part.added",
        content_index: 0,
        part: { ...part, text: "" },
        item_id: "msg_1",
        output_index: 1,
      },
      ...["I look ", "around here"].map((delta) => ({
        type: "response.output_text.delta",
        content_index: 0,
        delta,
        logprobs: [],
        item_id: "msg_1",
        output_index: 1,
      })),
      {
        type: "response.output_text.done",
        content_index: 0,
        text: part.text,
        logprobs: [],
        item_id: "msg_1",
        output_index: 1,
      },
      { type: "response.content_part.done", content_index: 0, part, item_id: "msg_1", output_index: 1 },
      { type: "response.output_item.done", output_index: 1, item: message },
      {
        type: "response.output_item.added",
        output_index: 2,
        item: { ...call, status: "in_progress", arguments: "" },
      },
      ...['{"command":"', 'ls"}'].map((delta) => ({
        type: "response.function_call_arguments.delta",
        delta,
        item_id: "fc_1_1",
        output_index: 2,
      })),
      {
        type: "response.function_call_arguments.done",
        name: "shell_command",
        arguments: '{"command":"ls"}',
        item_id: "fc_1_1",
        output_index: 2,
      },
      { type: "response.output_item.done", output_index: 2, item: call },
      { type: "response.completed", response: responsesWhole },
    ];
    deepEqual(
      eventsIn(stream, { named: true }),
      expected.map((event, index) => ({ ...event, sequence_number: index })),
    );
  });
});

Deno.test("a reply as a whole of the Responses API", async () => {
  await withScript([REPLY], async (answer) => {
    const request = { model: "gpt-x", tools: tools[RESPONSES], include: ["reasoning.encrypted_content"] };
    const [reasoning, ...others] = responsesOutput;
    const output = [{ ...reasoning, encrypted_content: "c2NyaXB0ZWQ=" }, ...others];
    deepEqual(await json(answer, RESPONSES, request), { status: 200, body: { ...responsesWhole, output } });
  });
});

const geminiFrame = (parts: unknown[], last?: { finishReason: string }) => ({
  candidates: [{ content: { role: "model", parts }, index: 0, ...last }],
  usageMetadata: {
    promptTokenCount: 135,
    cachedContentTokenCount: 30,
    ...(last && { candidatesTokenCount: 13, thoughtsTokenCount: 7 }),
    totalTokenCount: last ? 155 : 135,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: 135 }],
  },
  modelVersion: "gemini-x",
  responseId: "scripted_1",
});
const geminiCall = { functionCall: { name: "run_shell_command", args: { command: "ls" }, id: "call_1_1" } };
const geminiFrames = [
  geminiFrame([{ text: "I think.", thought: true }]),
  geminiFrame([{ text: "I look " }]),
  geminiFrame([{ text: "around here" }]),
  geminiFrame([geminiCall], { finishReason: "STOP" }),
];

Deno.test("a reply as a stream of Gemini, as events and as an array", async () => {
  await withScript([REPLY], async (answer) => {
    const path = gemini("streamGenerateContent");
    const events = await text(answer, `${path}?alt=sse`, { tools: tools.gemini });
    deepEqual(eventsIn(events, { named: false }), geminiFrames);
    const array = await answer(askedOf(path, { tools: tools.gemini }, { worker: "w2" }), never);
    equal(array.headers.get("content-type"), "application/json");
    deepEqual(await array.json(), geminiFrames);
  });
});

Deno.test("a reply as a whole of Gemini", async () => {
  await withScript([REPLY], async (answer) => {
    const parts = [{ text: "I think.", thought: true }, { text: "I look around here" }, geminiCall];
    deepEqual(await json(answer, gemini("generateContent"), { tools: tools.gemini }), {
      status: 200,
      body: geminiFrame(parts, { finishReason: "STOP" }),
    });
  });
});

Deno.test("each piece of a stream is a chunk of its own", async () => {
  await withScript([REPLY], async (answer) => {
    const response = await answer(askedOf(CHAT, { model: "m", stream: true, tools: tools[CHAT] }), never);
    const chunks = await Array.fromAsync(response.body!.pipeThrough(new TextDecoderStream()));
    equal(chunks.length, 9);
    ok(chunks.every((chunk) => /^data: [^\n]*\n\n$/.test(chunk)));
  });
});

const PATHS = [MESSAGES, CHAT, RESPONSES, gemini("generateContent")];

Deno.test("a cost that the script names is told in a header, and nothing is told without", async () => {
  await withScript([{ cost: 0.25 }, { cost: 0 }, { cost: null }, {}], async (answer) => {
    for (const path of PATHS) {
      const told: (string | null)[] = [];
      for (let call = 0; call < 4; call++) {
        const response = await answer(askedOf(path, { model: "m" }, { worker: path }), never);
        told.push(response.headers.get("x-gocore-cost-usd"));
        await response.body?.cancel();
      }
      deepEqual(told, ["0.25", "0", null, null], path);
    }
  });
});

Deno.test("without a count in the script, usage is a quarter of the bytes", async () => {
  await withScript([{ content: "12345678", reasoning: "äöüß" }], async (answer) => {
    const asked = askedOf(RESPONSES, { model: "m", input: "x".repeat(1000) });
    const { usage } = await (await answer(asked, never)).json();
    const input = Math.ceil(asked.body.byteLength / 4);
    ok(input > 250);
    deepEqual(usage, {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: input + 4,
    });
  });
});

Deno.test("each worker and each run begins with the first reply; a list of its own comes first", async () => {
  const script = { replies: ["one", { content: "two", repeat: 2 }, "three"], workers: { codex: ["own"] } };
  await withScript(script, async (answer) => {
    deepEqual([await chat(answer), await chat(answer), await chat(answer, "w2")], ["one", "two", "one"]);
    deepEqual([await chat(answer, "codex"), await chat(answer, "codex")], ["own", "400"]);
    deepEqual([await chat(answer), await chat(answer), await chat(answer)], ["two", "three", "400"]);
    const other = await answer({ ...askedOf(CHAT, { model: "m" }), run: "other" }, never);
    equal((await other.json()).choices[0].message.content, "one");
  });
});

Deno.test("calls have ids that are theirs alone, in every turn", async () => {
  await withScript([{ commands: ["a", "b"], tool_calls: [{ name: "x" }, { name: "y", id: "own" }] }, {
    error: { status: 500 },
  }, { commands: ["c"] }], async (answer) => {
    const ids: string[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const { body } = await json(answer, CHAT, { model: "m", tools: tools[CHAT] });
      ids.push(...(body.choices?.[0].message.tool_calls ?? []).map(({ id }: { id: string }) => id));
    }
    deepEqual(ids, ["call_1_1", "own", "call_1_3", "call_1_4", "call_2_1"]);
  });
});

Deno.test("a command becomes a fenced block where no shell is offered", async () => {
  await withScript([{ content: "Look", commands: ["ls", "pwd"] }], async (answer) => {
    for (const path of PATHS) {
      const body = await text(answer, path, { model: "m" }, { worker: path });
      ok(body.includes(JSON.stringify("Look\n\n```bash\nls\n```\n\n```bash\npwd\n```")), body);
    }
  });
});

Deno.test("arguments that are no JSON reach formats that send text, and are refused by those that send objects", async () => {
  await withScript([{ tool_calls: [{ name: "x", arguments: "{broken" }] }], async (answer) => {
    const refused = 'Cannot write the call call_1_1 of "x": need a JSON object as its arguments in this format';
    const streamed = await text(answer, MESSAGES, { model: "m", stream: true }, { worker: "a" });
    ok(streamed.includes('"partial_json":"{broken"'), streamed);
    deepEqual(await json(answer, MESSAGES, { model: "m" }, { worker: "b" }), {
      status: 400,
      body: { type: "error", error: { type: "invalid_request_error", message: refused } },
    });
    ok((await text(answer, CHAT, { model: "m" }, { worker: "c" })).includes('"arguments":"{broken"'));
    ok((await text(answer, RESPONSES, { model: "m" }, { worker: "d" })).includes('"arguments":"{broken"'));
    for (const action of ["generateContent", "streamGenerateContent"]) {
      deepEqual(await json(answer, gemini(action), {}, { worker: action }), {
        status: 400,
        body: { error: { code: 400, message: refused, status: "INVALID_ARGUMENT" } },
      });
    }
  });
});

Deno.test("a tool that takes free text gets the arguments as they are", async () => {
  const reply = { tool_calls: [{ name: "apply_patch", arguments: "*** Begin Patch" }] };
  await withScript([reply], async (answer) => {
    const custom = { type: "custom", name: "apply_patch" };
    const responses = await json(answer, RESPONSES, { model: "m", tools: [custom] });
    deepEqual(responses.body.output, [{
      id: "ctc_1_1",
      type: "custom_tool_call",
      status: "completed",
      call_id: "call_1_1",
      name: "apply_patch",
      input: "*** Begin Patch",
    }]);
    const chatted = await json(answer, CHAT, { model: "m", tools: [{ type: "custom", custom }] }, { worker: "w2" });
    deepEqual(chatted.body.choices[0].message.tool_calls, [
      { id: "call_1_1", type: "custom", custom: { name: "apply_patch", input: "*** Begin Patch" } },
    ]);
  });
});

Deno.test("the API's own shell gets a command line", async () => {
  await withScript([{ commands: ["ls"] }], async (answer) => {
    const request = { model: "m", stream: true, tools: [{ type: "local_shell" }] };
    const events = eventsIn(await text(answer, RESPONSES, request), { named: true }) as Body[];
    const item = {
      id: "lsh_1_1",
      type: "local_shell_call",
      status: "completed",
      call_id: "call_1_1",
      action: { type: "exec", command: ["bash", "-lc", "ls"], env: {} },
    };
    deepEqual(events.slice(2, 4), [
      {
        type: "response.output_item.added",
        sequence_number: 2,
        output_index: 0,
        item: { ...item, status: "in_progress" },
      },
      { type: "response.output_item.done", sequence_number: 3, output_index: 0, item },
    ]);
  });
});

Deno.test("each finish reason in each dialect", async () => {
  const reasons = ["stop", "length", "tool_calls", "content_filter", "error", "other"];
  await withScript(reasons.map((reason) => ({ content: "x", finish_reason: reason })), async (answer) => {
    const found: Record<string, unknown[]> = {};
    for (const path of PATHS) {
      found[path] = [];
      for (const _ of reasons) {
        const { body } = await json(answer, path, { model: "m" }, { worker: path });
        found[path].push(
          body.stop_reason ?? body.choices?.[0].finish_reason ?? body.candidates?.[0].finishReason ??
            [body.status, body.incomplete_details?.reason, body.error?.code].filter((part) => part).join(" "),
        );
      }
    }
    deepEqual(found, {
      [MESSAGES]: ["end_turn", "max_tokens", "tool_use", "refusal", "end_turn", "end_turn"],
      [CHAT]: reasons,
      [RESPONSES]: [
        "completed",
        "incomplete max_output_tokens",
        "completed",
        "incomplete content_filter",
        "failed server_error",
        "completed",
      ],
      [gemini("generateContent")]: ["STOP", "MAX_TOKENS", "STOP", "SAFETY", "OTHER", "OTHER"],
    });
  });
});

Deno.test("an error is told in the dialect's shape, with the time to wait", async () => {
  const message = "slow down";
  await withScript([{ error: { status: 429, message, retry_after: 1.5 } }], async (answer) => {
    const bodies: unknown[] = [];
    for (const path of PATHS) {
      const response = await answer(askedOf(path, { model: "m", stream: true }, { worker: path }), never);
      deepEqual(
        [response.status, response.headers.get("retry-after"), response.headers.get("retry-after-ms")],
        [429, "2", "1500"],
      );
      bodies.push(await response.json());
    }
    const openai = { error: { message, type: "requests", param: null, code: "rate_limit_exceeded" } };
    deepEqual(bodies, [
      { type: "error", error: { type: "rate_limit_error", message } },
      openai,
      openai,
      {
        error: {
          code: 429,
          message,
          status: "RESOURCE_EXHAUSTED",
          details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.5s" }],
        },
      },
    ]);
  });
});

Deno.test("each status of an error can be told", async () => {
  const statuses = [300, 304, 401, 404, 418, 500, 503, 529, 599];
  await withScript(statuses.map((status) => ({ error: { status } })), async (answer) => {
    for (const path of PATHS) {
      const told: number[] = [];
      for (const _ of statuses) {
        const response = await answer(askedOf(path, { model: "m" }, { worker: path }), never);
        told.push(response.status);
        const body = await response.text();
        equal(body === "", response.status === 304);
      }
      deepEqual(told, statuses);
    }
  });
});

Deno.test("an error without a status breaks the connection", async () => {
  await withScript([{ error: "gone" }, "back"], async (answer) => {
    await rejects(chat(answer), { name: "Error", message: "gone" });
    equal(await chat(answer), "back");
  });
});

Deno.test("a script that is used up says so, and clients are told not to repeat", async () => {
  await withScript(["one"], async (answer) => {
    await chat(answer);
    const response = await answer(askedOf(CHAT, { model: "m" }), never);
    deepEqual([response.status, response.headers.get("x-should-retry")], [400, "false"]);
    const { error } = await response.json();
    match(
      error.message,
      /^The scripted model has no reply left: all 1 of ".*script\.json" for the worker "w1" are given$/,
    );
  });
});

Deno.test("a delay is waited for, and ends with the caller", async () => {
  const waits: number[] = [];
  await withScript([{ content: "late", delay_ms: 5000, repeat: 2 }], async (answer) => {
    equal(await chat(answer), "late");
    deepEqual(waits, [5000]);
  }, { waits });
  await withScript([{ content: "never", delay_ms: 10_000_000 }], async (answer) => {
    const controller = new AbortController();
    const interrupt = new Interrupt("SIGTERM");
    const asked = answer(askedOf(CHAT, { model: "m" }), controller.signal);
    controller.abort(interrupt);
    await rejects(asked, (error) => error === interrupt);
  });
});

Deno.test("what agents ask beside their conversation takes no reply", async () => {
  const schema = { type: "object", properties: { title: { enum: ["A", "B"] } }, required: ["title"] };
  const sides: [string, Body, string][] = [
    [gemini("generateContent"), { generationConfig: { responseJsonSchema: schema } }, '{"title":"A"}'],
    [gemini("generateContent"), { generationConfig: { responseSchema: schema } }, '{"title":"A"}'],
    [gemini("generateContent"), { generationConfig: { responseMimeType: "application/json" } }, "{}"],
    [MESSAGES, { output_config: { format: { type: "json_schema", schema } } }, '{"title":"A"}'],
    [MESSAGES, { output_format: { type: "json_schema", schema } }, '{"title":"A"}'],
    [MESSAGES, { max_tokens: 1 }, "OK"],
    [CHAT, { response_format: { type: "json_schema", json_schema: { name: "x", schema } } }, '{"title":"A"}'],
    [CHAT, { response_format: { type: "json_object" } }, "{}"],
    [RESPONSES, { text: { format: { type: "json_schema", name: "x", schema } } }, '{"title":"A"}'],
  ];
  await withScript(["main"], async (answer) => {
    for (const [path, body, expected] of sides) {
      const said = await text(answer, path, { model: "m", ...body });
      ok(said.includes(`"text":${JSON.stringify(expected)}`) || said.includes(`"content":${JSON.stringify(expected)}`));
    }
    equal(await chat(answer), "main");
  });
});

Deno.test("a request for JSON belongs to the conversation when it has tools, or when the next reply fits it", async () => {
  const schema = { type: "object", required: ["verdict"], properties: { verdict: { type: "string" } } };
  const format = { type: "json_schema", name: "x", schema };
  const contents = ["main", '{"other": 1}', '{"verdict": "yes"}'];
  await withScript(contents, async (answer) => {
    const said = async (body: Body) => {
      const { output } = (await json(answer, RESPONSES, { model: "m", text: { format }, ...body })).body;
      return output[0].content[0].text;
    };
    deepEqual([await said({}), await said({ tools: tools[RESPONSES] })], ['{"verdict":""}', "main"]);
    deepEqual([await said({}), await said({ tools: tools[RESPONSES] })], ['{"verdict":""}', '{"other": 1}']);
    deepEqual([await said({}), await said({})], ['{"verdict": "yes"}', '{"verdict":""}']);
  });
});

Deno.test("tokens are counted, and models listed, without a reply", async () => {
  await withScript(["one"], async (answer) => {
    const get = { method: "GET" };
    const anthropic = { ...get, dialect: "anthropic" };
    const openaiModel = (id: string) => ({ id, object: "model", created: 0, owned_by: "scripted" });
    deepEqual((await json(answer, "/v1/models", {}, get)).body, { object: "list", data: [openaiModel("scripted")] });
    const counted = askedOf("/v1/messages/count_tokens", { model: "m", messages: ["x".repeat(100)] });
    const tokens = Math.ceil(counted.body.byteLength / 4);
    deepEqual(await (await answer(counted, never)).json(), { input_tokens: tokens });
    deepEqual((await json(answer, gemini("countTokens"), {})).body, {
      totalTokens: 1,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: 1 }],
    });
    equal(await chat(answer), "one");
    deepEqual((await json(answer, "/v1/models", {}, get)).body, { object: "list", data: [openaiModel("m")] });
    deepEqual((await json(answer, "/v1/models/a%2Fb", {}, get)).body, openaiModel("a/b"));
    deepEqual((await json(answer, "/v1/models", {}, anthropic)).body, {
      data: [{ type: "model", id: "scripted", display_name: "scripted", created_at: "1970-01-01T00:00:00Z" }],
      has_more: false,
      first_id: "scripted",
      last_id: "scripted",
    });
    const { models } = (await json(answer, "/v1beta/models", {}, get)).body;
    deepEqual(models.map(({ name }: { name: string }) => name), ["models/scripted"]);
  });
});

Deno.test("a script that cannot be read is a usage failure", async () => {
  await rejects(openScript("/nowhere/script.yaml"), (error) => error instanceof Failure && error.kind === "usage");
});
