import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import type { CallRequest, DialectId } from "../../../src/gateway/dialect.ts";
import { dialects } from "../../../src/gateway/dialects/all.ts";
import { refuseRepeatedNames } from "../../../src/gateway/dialects/request_fields.ts";
import { Refusal } from "../../../src/gateway/refusal.ts";
import type { Json } from "../../../src/models/json.ts";

const PATHS: Record<DialectId, string> = {
  anthropic: "/v1/messages",
  openai_chat: "/v1/chat/completions",
  openai_responses: "/v1/responses",
  gemini: "/v1beta/models/g:generateContent",
};
const IDS = Object.keys(PATHS) as DialectId[];

const bytesOf = (body: Json) => new TextEncoder().encode(JSON.stringify(body)).length;

function readCall(dialect: DialectId, body: Json, path = PATHS[dialect]): CallRequest {
  return dialects[dialect].readCall(body, path, bytesOf(body));
}

const REQUESTS: readonly [
  claim: string,
  dialect: DialectId,
  body: Json,
  expected: Partial<CallRequest>,
  path?: string,
][] = [
  [
    "claude's request",
    "anthropic",
    {
      model: "claude-opus-5-5",
      max_tokens: 128000,
      stream: true,
      system: [{ type: "text", text: "You are é" }],
      messages: [{ role: "user", content: "hi" }],
      thinking: { type: "enabled", budget_tokens: 4000 },
    },
    { model: "claude-opus-5-5", streamed: true, maxOutputTokens: 128000, hasHiddenInput: false },
  ],
  ["a request without a limit", "anthropic", { model: "c", messages: [] }, {
    streamed: false,
    maxOutputTokens: undefined,
  }],
  ["the larger of two limits", "openai_chat", { model: "m", max_tokens: 10, max_completion_tokens: 30 }, {
    maxOutputTokens: 30,
  }],
  ["a limit for each of several answers", "openai_chat", { model: "m", max_tokens: 10, n: 3 }, { maxOutputTokens: 30 }],
  ["several answers without a limit", "openai_chat", { model: "m", n: 3 }, { maxOutputTokens: undefined, choices: 3 }],
  ["a dearer tier", "openai_responses", { model: "m", service_tier: "priority" }, { choices: 1, priceFactor: 2.5 }],
  ["a cheaper tier", "openai_chat", { model: "m", service_tier: "flex" }, { priceFactor: 1 }],
  ["the fast mode", "anthropic", { model: "m", max_tokens: 1, speed: "fast" }, { choices: 1, priceFactor: 6 }],
  ["a limit in quotes", "openai_chat", { model: "m", max_tokens: "64" }, { maxOutputTokens: 64 }],
  ["a fraction in quotes", "openai_chat", { model: "m", max_tokens: 1, max_completion_tokens: "100000.0" }, {
    maxOutputTokens: 100_000,
  }],
  ["an exponent in quotes", "openai_responses", { model: "m", max_output_tokens: " 1e5 " }, {
    maxOutputTokens: 100_000,
  }],
  ["OpenRouter's other models", "openai_chat", { model: "m", models: ["m", "openai/gpt-5"] }, {
    model: "m",
    otherModels: ["m", "openai/gpt-5"],
  }],
  ["Anthropic's other models", "anthropic", { model: "m", max_tokens: 1, fallbacks: [{ model: "n" }, "o"] }, {
    otherModels: ["n", "o"],
  }],
  ["one other model without a list", "openai_responses", { model: "m", models: null, fallbacks: "n" }, {
    otherModels: ["n"],
  }],
  ["a limit with a fraction", "openai_chat", { model: "m", max_tokens: 9.5 }, { maxOutputTokens: 10 }],
  ["limits that are none", "openai_chat", { model: "m", max_tokens: -1, max_completion_tokens: "x" }, {
    maxOutputTokens: undefined,
  }],
  ["limits that are none either", "openai_chat", { model: "m", max_tokens: 0, max_completion_tokens: null, n: 2 }, {
    maxOutputTokens: undefined,
  }],
  ["codex' request", "openai_responses", { model: "gpt-5.5", input: [], stream: true, max_output_tokens: 7 }, {
    model: "gpt-5.5",
    streamed: true,
    maxOutputTokens: 7,
    hasHiddenInput: false,
  }],
  [
    "gemini's request",
    "gemini",
    { contents: [{ parts: [{ text: "hi" }] }], generationConfig: { maxOutputTokens: 8, candidateCount: 2 } },
    { model: "gemini-2.5-pro", streamed: true, maxOutputTokens: 16, hasHiddenInput: false },
    "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
  ],
  [
    "gemini's other spelling, and a number in quotes as its servers take it",
    "gemini",
    { contents: [], generation_config: { max_output_tokens: "8", candidate_count: 2 } },
    { model: "google/g", streamed: false, maxOutputTokens: 16 },
    "/v1beta/models/google%2Fg:generateContent",
  ],
  [
    "the largest limit of both of gemini's spellings",
    "gemini",
    {
      contents: [],
      generationConfig: { maxOutputTokens: 1, max_output_tokens: 7 },
      generation_config: { maxOutputTokens: "100.0", candidateCount: 1, candidate_count: 2 },
    },
    { maxOutputTokens: 200, choices: 2 },
  ],
  [
    "a tuned model",
    "gemini",
    { contents: [] },
    { model: "tunedModels/mine" },
    "/v1beta/tunedModels/mine:generateContent",
  ],
  ["Vertex' path", "gemini", { contents: [] }, { model: "g" }, "/v1/publishers/google/models/g:generateContent"],
];

for (const [claim, dialect, body, expected, path] of REQUESTS) {
  Deno.test(`${dialect} reads ${claim}`, () => {
    const call = readCall(dialect, body, path);
    const { inputTokens, maxInputTokens } = call;
    deepEqual(call, { ...call, ...expected });
    deepEqual([inputTokens, maxInputTokens], [Math.ceil(bytesOf(body) / 4), bytesOf(body)]);
  });
}

const DATA = "A".repeat(100_000);
const DATA_URL = `data:image/png;base64,${DATA}`;

/** What a request has beside its text: bytes of media, and the most and the likely tokens that they have. */
const MEDIA: readonly [claim: string, dialect: DialectId, body: Json, media: readonly [number, number, number]][] = [
  [
    "an image, and one in a tool's result",
    "anthropic",
    {
      model: "c",
      messages: [{
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: DATA } },
          {
            type: "tool_result",
            tool_use_id: "t",
            content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: DATA } }],
          },
        ],
      }],
    },
    [200_000, 10_000, 3_000],
  ],
  ["an image", "openai_chat", {
    model: "gpt-5.5",
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: DATA_URL } }] }],
  }, [DATA_URL.length, 10_000, 1_500]],
  ["an image for a model that makes most of it", "openai_chat", {
    model: "openai/gpt-4o-mini",
    messages: [{ role: "user", content: [{ type: "image_url", image_url: DATA_URL }] }],
  }, [DATA_URL.length, 50_000, 1_500]],
  ["images in a message, of a tool, and of a screen", "openai_responses", {
    model: "gpt-5.5",
    input: [
      { role: "user", content: [{ type: "input_image", image_url: DATA_URL }] },
      { type: "function_call_output", call_id: "c", output: [{ type: "input_image", image_url: DATA_URL }] },
      { type: "computer_call_output", call_id: "c", output: { type: "computer_screenshot", image_url: DATA_URL } },
    ],
  }, [3 * DATA_URL.length, 30_000, 4_500]],
  ["images in both spellings, and one of a function", "gemini", {
    contents: [{
      parts: [
        { inlineData: { mimeType: "image/png", data: DATA } },
        { inline_data: { mime_type: "image/png", data: DATA } },
        { functionResponse: { name: "f", parts: [{ inlineData: { mimeType: "image/png", data: DATA } }] } },
      ],
    }],
  }, [300_000, 15_000, 4_500]],
  ["sound, which counts by its bytes", "gemini", {
    contents: [{ parts: [{ inlineData: { mimeType: "audio/mp3", data: DATA } }] }],
  }, [0, 0, 0]],
  ["a tool that the provider describes", "anthropic", {
    model: "c",
    messages: [],
    tools: [{ name: "f", input_schema: {} }, { type: "bash_20250124", name: "bash" }],
  }, [0, 4_000, 0]],
  ["JSON that looks like an image in a place where it is text", "anthropic", {
    model: "c",
    messages: [{
      role: "assistant",
      content: [{
        type: "tool_use",
        id: "t",
        name: "f",
        input: { content: [{ type: "image", source: { type: "base64", data: DATA } }] },
      }],
    }],
  }, [0, 0, 0]],
];

for (const [claim, dialect, body, [mediaBytes, maxTokens, typicalTokens]] of MEDIA) {
  Deno.test(`${dialect} measures ${claim}`, () => {
    const { inputTokens, maxInputTokens, hasHiddenInput } = readCall(dialect, body);
    const textBytes = bytesOf(body) - mediaBytes;
    deepEqual({ inputTokens, maxInputTokens, hasHiddenInput }, {
      inputTokens: Math.ceil(textBytes / 4) + typicalTokens,
      maxInputTokens: textBytes + maxTokens,
      hasHiddenInput: false,
    });
  });
}

/** Eight searches of 8 000 tokens each, and what is said beside the request about tools. */
const SEARCHES: readonly [claim: string, dialect: DialectId, body: Json, toolTokens: number][] = [
  ["a search", "anthropic", { model: "c", tools: [{ type: "web_search_20250305", name: "web_search" }] }, 1_000],
  ["a search", "openai_chat", { model: "m", web_search_options: {} }, 0],
  ["codex' search", "openai_responses", { model: "m", tools: [{ type: "function" }, { type: "web_search" }] }, 1_000],
  ["a search in two versions", "openai_responses", {
    model: "m",
    tools: [{ type: "web_search_preview_2025_03_11" }, { type: "web_search_2025_08_26" }],
  }, 1_000],
  ["a search among the tools of codex' code mode", "openai_responses", {
    model: "m",
    input: [{ type: "additional_tools", tools: [{ type: "web_search" }] }],
  }, 1_000],
  ["a search", "gemini", { contents: [], tools: [{ googleSearch: {} }] }, 1_000],
  ["a search that stands alone", "gemini", { contents: [], tools: { google_search: {} } }, 1_000],
];

for (const [claim, dialect, body, toolTokens] of SEARCHES) {
  Deno.test(`${dialect} reckons with what is found by ${claim}`, () => {
    const { inputTokens, maxInputTokens, webSearches, hasHiddenInput } = readCall(dialect, body);
    deepEqual({ inputTokens, maxInputTokens, webSearches, hasHiddenInput }, {
      inputTokens: Math.ceil(bytesOf(body) / 4),
      maxInputTokens: bytesOf(body) + toolTokens + 64_000,
      webSearches: 8,
      hasHiddenInput: false,
    });
  });
}

const block = (...content: Json[]): Json => ({ model: "c", messages: [{ role: "user", content }] });
const part = (...parts: Json[]): Json => ({ contents: [{ parts }] });
const entry = (...input: Json[]): Json => ({ model: "m", input });

const HIDDEN: readonly [claim: string, dialect: DialectId, body: Json][] = [
  [
    "a PDF, whose pages nobody has counted",
    "anthropic",
    block({
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: DATA },
    }),
  ],
  ["a document by its URL", "anthropic", block({ type: "document", source: { type: "url", url: "https://x/y.pdf" } })],
  ["an image by its file", "anthropic", block({ type: "image", source: { type: "file", file_id: "f" } })],
  [
    "a document in a tool's result",
    "anthropic",
    block({
      type: "tool_result",
      content: [{ type: "document", source: { type: "url", url: "https://x" } }],
    }),
  ],
  ["a fetched page", "anthropic", block({ type: "web_fetch_tool_result", content: {} })],
  ["an upload", "anthropic", block({ type: "container_upload", file_id: "f" })],
  ["a container", "anthropic", { model: "c", container: "container_1" }],
  ["a conversation that the provider holds", "anthropic", {
    model: "c",
    thread: { type: "continue", previous_message_id: "msg_0" },
  }],
  ["servers of tools", "anthropic", { model: "c", mcp_servers: [{ type: "url", url: "https://x" }] }],
  ["a tool that nobody knows", "anthropic", { model: "c", tools: [{ type: "oracle_20270101", name: "oracle" }] }],
  ["an image by its URL", "openai_chat", block({ type: "image_url", image_url: { url: "https://x/y.png" } })],
  ["a file", "openai_chat", block({ type: "file", file: { file_id: "f" } })],
  ["a file's data", "openai_chat", block({ type: "file", file: { file_data: `data:application/pdf;base64,${DATA}` } })],
  ["OpenRouter's search", "openai_chat", { model: "openai/gpt-5.5:online" }],
  ["OpenRouter's plugins", "openai_chat", { model: "m", plugins: [{ id: "web" }] }],
  ["the response before", "openai_responses", { model: "m", previous_response_id: "resp_0" }],
  ["a conversation", "openai_responses", { model: "m", conversation: "conv_1" }],
  ["a stored prompt", "openai_responses", { model: "m", prompt: { id: "pmpt_1" } }],
  ["an item by its id", "openai_responses", entry({ type: "item_reference", id: "i" })],
  ["a file", "openai_responses", entry({ role: "user", content: [{ type: "input_file", file_url: "https://x" }] })],
  [
    "an image by its file",
    "openai_responses",
    entry({ role: "user", content: [{ type: "input_image", file_id: "f" }] }),
  ],
  ["a search among files", "openai_responses", {
    model: "m",
    tools: [{ type: "web_search" }, { type: "file_search" }],
  }],
  ["a shell at the provider's", "openai_responses", {
    model: "m",
    tools: [{ type: "shell", environment: { type: "container_auto" } }],
  }],
  ["cached content", "gemini", { contents: [], cachedContent: "cachedContents/1" }],
  ["a file", "gemini", part({ fileData: { fileUri: "https://x" } })],
  ["a file in the other spelling", "gemini", part({ file_data: { file_uri: "https://x" } })],
  ["a film", "gemini", part({ inlineData: { mimeType: "video/mp4", data: DATA } })],
  ["a file beside another spelling of it", "gemini", part({ fileData: null, file_data: { file_uri: "https://x" } })],
  [
    "a film beside a picture",
    "gemini",
    part({
      inlineData: { mimeType: "image/png", data: DATA },
      inline_data: { mime_type: "video/mp4", data: DATA },
    }),
  ],
  [
    "a film that is also called a picture",
    "gemini",
    part({
      inlineData: { mimeType: "image/png", mime_type: "video/mp4", data: DATA },
    }),
  ],
  ["a part that stands alone", "gemini", { contents: { parts: { fileData: { fileUri: "https://x" } } } }],
  ["a tool that stands alone", "gemini", { contents: [], tools: { urlContext: {} } }],
  ["a file in the instructions", "gemini", {
    contents: [],
    systemInstruction: { parts: [{ fileData: { fileUri: "https://x" } }] },
  }],
  ["a film in the instructions in the other spelling", "gemini", {
    contents: [],
    systemInstruction: { parts: [{ text: "x" }] },
    system_instruction: { parts: { inline_data: { mime_type: "video/mp4", data: DATA } } },
  }],
  ["pages by their URL", "gemini", { contents: [], tools: [{ functionDeclarations: [] }, { urlContext: {} }] }],
];

for (const [claim, dialect, body] of HIDDEN) {
  Deno.test(`${dialect} sees input that is not measurable in ${claim}`, () => {
    equal(readCall(dialect, body).hasHiddenInput, true);
  });
}

Deno.test("the tools of agents hide no input", () => {
  equal(
    readCall("anthropic", { model: "c", tools: [{ name: "Bash" }, { type: "custom", name: "f" }] }).hasHiddenInput,
    false,
  );
  const codex = ["function", "custom", "namespace", "local_shell", "apply_patch"].map((type) => ({ type }));
  const shell = { type: "shell", environment: { type: "local" } };
  equal(readCall("openai_responses", { model: "m", tools: [...codex, shell] }).hasHiddenInput, false);
  equal(readCall("openai_chat", { model: "m", tools: [{ type: "function" }] }).hasHiddenInput, false);
  equal(readCall("gemini", { contents: [], tools: [{ functionDeclarations: [] }] }).hasHiddenInput, false);
});

Deno.test("a request without a usable model is refused", () => {
  const isRefusal = (error: unknown) => error instanceof Refusal && error.kind === "bad_request";
  for (const dialect of ["anthropic", "openai_chat", "openai_responses"] as const) {
    for (const model of [undefined, null, "", 7, ["m"], "m\n", "m\x7f", "x".repeat(201)]) {
      throws(() => readCall(dialect, { model }), isRefusal, `${dialect} ${model}`);
    }
  }
  throws(() => readCall("gemini", {}, `/v1beta/models/${"x".repeat(201)}:generateContent`), isRefusal);
  throws(() => readCall("gemini", {}, "/v1beta/models/:generateContent"), isRefusal);
});

Deno.test("other models have to be names, and few", () => {
  const isRefusal = (error: unknown) => error instanceof Refusal && error.kind === "bad_request";
  for (const models of [7, [7], [null], [{}], [""], [["m"]], ["x".repeat(201)], Array(33).fill("m")]) {
    throws(() => readCall("openai_chat", { model: "m", models }), isRefusal, JSON.stringify(models));
  }
  equal(readCall("openai_chat", { model: "m", models: Array(32).fill("m") }).otherModels.length, 32);
});

const refuseIn = (body: string) => refuseRepeatedNames(new TextEncoder().encode(body));

Deno.test("a name that is read and stands twice is refused, however it is written", () => {
  const bodies = [
    '{"max_tokens":100000,"max_tokens":1}',
    '{"max_tokens":100000,"max\\u005ftokens":1}',
    '{"max_tokens":100000,"a":[{"x":"]}\\\\"}],"max_tokens" \n:1}',
    '{"model":"a","MODEL":"b"}',
    ' { "tools" : {} , "tools" : [] } ',
    '{"generationConfig":{"maxOutputTokens":100000,"maxOutputTokens":1}}',
  ];
  for (const body of bodies) {
    JSON.parse(body);
    throws(() => refuseIn(body), { name: "Refusal", kind: "bad_request" }, body);
  }
});

Deno.test("names that stand once in their object are not refused, nor what is no name", () => {
  const bodies = [
    '{"model":"model","model\\\\":"model:"}',
    '{"model":{"model":{"model":1}},"n":{"model":1}}',
    // Nobody reads these.
    '{"metadata":{"a":1,"a":2},"a":1.0,"a":2e0,"__proto__":1,"__proto__":2}',
    '\ufeff{"messages":[{"role":"user"},{"role":"user"}],"stop":["x","x"]}',
    // Deeper ones are the client's.
    '{"tools":[{"name":"f","name":"f"}]}',
    "{}",
  ];
  for (const body of bodies) refuseIn(body);
});

Deno.test("wherever the second limit stands, and whatever is around it, the request is refused; with one it is not", () => {
  const member = fc.tuple(fc.string({ unit: "binary" }).map((name) => `_${name}`), fc.jsonValue({ maxDepth: 4 }));
  const members = fc.array(member.map(([name, value]) => `${JSON.stringify(name)} :${JSON.stringify(value)}`));
  fc.assert(fc.property(members, fc.nat(), fc.nat(), (others, first, second) => {
    const withLimit = (parts: string[], at: number) => parts.toSpliced(at % (parts.length + 1), 0, '"max_tokens":1');
    const once = withLimit(others, first);
    refuseIn(`{${once}}`);
    throws(() => refuseIn(`{${withLimit(once, second)}}`), { name: "Refusal", kind: "bad_request" });
  }));
});

Deno.test("a response in the background is refused: nobody would meter it", () => {
  throws(() => readCall("openai_responses", { model: "m", background: true }), {
    name: "Refusal",
    kind: "bad_request",
  });
});

Deno.test("another model takes the place of the first one, and nothing else changes", () => {
  const body = { model: "a", max_tokens: 5 };
  for (const dialect of ["anthropic", "openai_chat", "openai_responses"] as const) {
    deepEqual(dialects[dialect].withModel({ path: PATHS[dialect], body }, "b/c"), {
      path: PATHS[dialect],
      body: { model: "b/c", max_tokens: 5 },
    });
  }
  deepEqual(body, { model: "a", max_tokens: 5 });
  const moved = (path: string, model: string) => dialects.gemini.withModel({ path, body: {} }, model).path;
  equal(moved("/v1beta/models/a:generateContent", "b"), "/v1beta/models/b:generateContent");
  equal(
    moved("/v1/publishers/google/models/a:countTokens", "b/c d"),
    "/v1/publishers/google/models/b/c%20d:countTokens",
  );
  equal(moved("/v1beta/tunedModels/a:generateContent", "b"), "/v1beta/models/b:generateContent");
  equal(moved("/v1beta/models/a:generateContent", "tunedModels/b"), "/v1beta/tunedModels/b:generateContent");
});

Deno.test("no body makes a reader of requests throw anything but a refusal, or count below nothing", () => {
  const words = [
    ..."model messages content type source data image document tool_result base64 input output tools parts contents"
      .split(" "),
    ..."inlineData mimeType image_url url input_image file_data generationConfig maxOutputTokens max_tokens n".split(
      " ",
    ),
    "__proto__",
    DATA_URL.slice(0, 60),
  ];
  const anyBody = fc.letrec<{ value: unknown; object: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 8 },
      fc.constantFrom<unknown>(null, 3, -1, 1e308, true, ...words),
      fc.array(tie("value"), { maxLength: 3 }),
      tie("object"),
    ),
    object: fc.dictionary(fc.constantFrom(...words), tie("value"), { maxKeys: 5, noNullPrototype: true }),
  })).object;
  fc.assert(
    fc.property(fc.constantFrom(...IDS), anyBody, (dialect, body) => {
      const call = readCall(dialect, { ...body, model: "m" });
      const { inputTokens, maxInputTokens, maxOutputTokens } = call;
      equal(Number.isSafeInteger(inputTokens) && inputTokens >= 0, true);
      equal(
        maxInputTokens >= 0 && (maxOutputTokens === undefined || (maxOutputTokens > 0 && maxOutputTokens <= 1e9)),
        true,
      );
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("content that is nested without end is measured by its bytes", () => {
  let content: Json = { type: "image", source: { type: "base64", data: DATA } };
  for (let depth = 0; depth < 1_000; depth++) content = { type: "tool_result", content: [content] };
  const body = block(content);
  equal(readCall("anthropic", body).maxInputTokens, bytesOf(body));
});
