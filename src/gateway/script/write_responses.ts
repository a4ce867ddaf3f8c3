/** The scripted model's answers as OpenAI's Responses API writes them. */
import type { Json } from "../../models/json.ts";
import { openaiError, openaiModel, openaiModelList } from "./openai_shapes.ts";
import { allInputTokens, type AnswerWriter, piecesOf, type ScriptedAnswer, type ToolUse } from "./scripted_answer.ts";

export const writeResponses: AnswerWriter = {
  namesEvents: true,
  endMark: "",

  document: (answer, request) => response(answer, request),

  events(answer, request) {
    const whole = response(answer, request);
    const begun = { ...whole, status: "in_progress", output: [], usage: null, error: null, incomplete_details: null };
    const events: Json[] = [
      { type: "response.created", response: begun },
      { type: "response.in_progress", response: begun },
      ...outputOf(answer, request).flatMap(({ done, begin, parts }, index) => [
        { type: "response.output_item.added", output_index: index, item: { ...done, ...begin } },
        ...parts.map((part) => ({ ...part, item_id: done.id, output_index: index })),
        { type: "response.output_item.done", output_index: index, item: done },
      ]),
      { type: `response.${whole.status}`, response: whole },
    ];
    return events.map(({ type, ...rest }, index) => ({ type, sequence_number: index, ...rest }));
  },

  error: openaiError,
  tokenCount: (tokens) => ({ object: "response.input_tokens", input_tokens: tokens }),
  model: openaiModel,
  modelList: openaiModelList,
};

function response(answer: ScriptedAnswer, request: Json): Json {
  const cut = cutReason(answer);
  const failed = answer.finishReason === "error";
  return {
    id: `resp_${answer.id}`,
    object: "response",
    created_at: 0,
    status: failed ? "failed" : cut === undefined ? "completed" : "incomplete",
    error: failed ? { code: "server_error", message: "scripted error" } : null,
    incomplete_details: cut === undefined ? null : { reason: cut },
    instructions: null,
    metadata: {},
    model: answer.model,
    output: outputOf(answer, request).map(({ done }) => done),
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    usage: usageOf(answer),
  };
}

function cutReason({ finishReason }: ScriptedAnswer): string | undefined {
  if (finishReason === "length") return "max_output_tokens";
  return finishReason === "content_filter" ? finishReason : undefined;
}

interface OutputItem {
  readonly done: Json;
  /** What differs in the item while it is empty. */
  readonly begin: Json;
  /** The events between its beginning and its end, without their place. */
  readonly parts: readonly Json[];
}

function outputOf(answer: ScriptedAnswer, request: Json): OutputItem[] {
  const { id, reasoning, text, toolUses } = answer;
  const items = toolUses.map((use, index) => toolItem(use, `${id}_${index + 1}`));
  if (text !== "") items.unshift(messageItem(text, id, cutReason(answer) === undefined ? "completed" : "incomplete"));
  if (reasoning !== "") items.unshift(reasoningItem(reasoning, id, request));
  return items;
}

function reasoningItem(text: string, id: string, { include }: Json): OutputItem {
  const sealed = Array.isArray(include) && include.includes("reasoning.encrypted_content");
  const at = { summary_index: 0 };
  const part = { type: "summary_text", text };
  return {
    done: { id: `rs_${id}`, type: "reasoning", summary: [part], ...(sealed && { encrypted_content: "c2NyaXB0ZWQ=" }) },
    begin: { summary: [] },
    parts: [
      { type: "response.reasoning_summary_part.added", ...at, part: { ...part, text: "" } },
      ...piecesOf(text).map((delta) => ({ type: "response.reasoning_summary_text.delta", ...at, delta })),
      { type: "response.reasoning_summary_text.done", ...at, text },
      { type: "response.reasoning_summary_part.done", ...at, part },
    ],
  };
}

function messageItem(text: string, id: string, status: string): OutputItem {
  const at = { content_index: 0 };
  const part = { type: "output_text", text, annotations: [], logprobs: [] };
  return {
    done: { id: `msg_${id}`, type: "message", role: "assistant", status, content: [part] },
    begin: { status: "in_progress", content: [] },
    parts: [
      { type: "response.content_part.added", ...at, part: { ...part, text: "" } },
      ...piecesOf(text).map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
      { type: "response.output_text.done", ...at, text, logprobs: [] },
      { type: "response.content_part.done", ...at, part },
    ],
  };
}

function toolItem(use: ToolUse, id: string): OutputItem {
  const { id: call_id, name, namespace, input } = use;
  const place = namespace === undefined ? {} : { namespace };
  if (use.kind === "local_shell") {
    const action = { type: "exec", command: ["bash", "-lc", input], env: {} };
    return {
      done: { id: `lsh_${id}`, type: "local_shell_call", status: "completed", call_id, action },
      begin: { status: "in_progress" },
      parts: [],
    };
  }
  if (use.kind === "custom") {
    return {
      done: { id: `ctc_${id}`, type: "custom_tool_call", status: "completed", call_id, name, ...place, input },
      begin: { status: "in_progress", input: "" },
      parts: [
        ...piecesOf(input).map((delta) => ({ type: "response.custom_tool_call_input.delta", delta })),
        { type: "response.custom_tool_call_input.done", input },
      ],
    };
  }
  return {
    done: { id: `fc_${id}`, type: "function_call", status: "completed", call_id, name, ...place, arguments: input },
    begin: { status: "in_progress", arguments: "" },
    parts: [
      ...piecesOf(input).map((delta) => ({ type: "response.function_call_arguments.delta", delta })),
      { type: "response.function_call_arguments.done", name, arguments: input },
    ],
  };
}

function usageOf({ usage }: ScriptedAnswer): Json {
  const input = allInputTokens(usage);
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + usage.output,
  };
}
