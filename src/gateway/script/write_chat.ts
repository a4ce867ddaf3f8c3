/** The scripted model's answers as OpenAI's Chat Completions API writes them. */
import { isObject, type Json } from "../../models/json.ts";
import { allInputTokens, type AnswerWriter, piecesOf, type ScriptedAnswer, type ToolUse } from "./scripted_answer.ts";
import { openaiError, openaiModel, openaiModelList } from "./openai_shapes.ts";

export const writeChat: AnswerWriter = {
  namesEvents: false,
  endMark: "[DONE]",

  document(answer) {
    const { text, reasoning, toolUses } = answer;
    const message = {
      role: "assistant",
      content: text === "" && toolUses.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== "" && { reasoning_content: reasoning }),
      ...(toolUses.length > 0 && { tool_calls: toolUses.map((use) => toolCall(use, use.input)) }),
    };
    const choice = { index: 0, message, logprobs: null, finish_reason: answer.finishReason };
    return { ...head(answer, "chat.completion"), choices: [choice], usage: usageOf(answer) };
  },

  events(answer, { stream_options: options }) {
    const asksForUsage = isObject(options) && options.include_usage === true;
    const chunk = (choices: Json[], usage: Json | null = null): Json => ({
      ...head(answer, "chat.completion.chunk"),
      choices,
      ...(asksForUsage && { usage }),
    });
    const part = (delta: Json, finishReason: string | null = null): Json =>
      chunk([{ index: 0, delta, logprobs: null, finish_reason: finishReason }]);
    return [
      part({ role: "assistant", content: "", refusal: null }),
      ...piecesOf(answer.reasoning).map((piece) => part({ reasoning_content: piece })),
      ...piecesOf(answer.text).map((content) => part({ content })),
      ...answer.toolUses.flatMap((use, index) => [
        part({ tool_calls: [{ index, ...toolCall(use, "") }] }),
        ...piecesOf(use.input).map((piece) => part({ tool_calls: [{ index, ...inputOf(use, piece) }] })),
      ]),
      part({}, answer.finishReason),
      ...(asksForUsage ? [chunk([], usageOf(answer))] : []),
    ];
  },

  error: openaiError,
  tokenCount: (tokens) => ({ input_tokens: tokens }),
  model: openaiModel,
  modelList: openaiModelList,
};

function head({ id, model }: ScriptedAnswer, object: string): Json {
  return { id: `chatcmpl-${id}`, object, created: 0, model };
}

function toolCall(use: ToolUse, input: string): Json {
  const { id, name, kind } = use;
  return kind === "custom"
    ? { id, type: "custom", custom: { name, input } }
    : { id, type: "function", function: { name, arguments: input } };
}

function inputOf({ kind }: ToolUse, piece: string): Json {
  return kind === "custom" ? { custom: { input: piece } } : { function: { arguments: piece } };
}

function usageOf({ usage, costUsd }: ScriptedAnswer): Json {
  const input = allInputTokens(usage);
  return {
    prompt_tokens: input,
    completion_tokens: usage.output,
    total_tokens: input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
    ...(costUsd !== undefined && { cost: costUsd }),
  };
}
