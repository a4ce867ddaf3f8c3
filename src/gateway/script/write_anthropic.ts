/** The scripted model's answers as Anthropic's Messages API writes them. */
import type { Json } from "../../models/json.ts";
import type { FinishReason } from "../../models/chat_model.ts";
import type { Usage } from "../../models/usage.ts";
import { type AnswerWriter, inputObject, piecesOf, type ScriptedAnswer } from "./scripted_answer.ts";

const STOP_REASON: Record<FinishReason, string> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  content_filter: "refusal",
  // Anthropic has no words for these.
  error: "end_turn",
  other: "end_turn",
};

const ERROR_TYPE: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** Clients send it back, and nobody checks it. */
const SIGNATURE = "c2NyaXB0ZWQ=";

export const writeAnthropic: AnswerWriter = {
  namesEvents: true,
  endMark: "",

  document: (answer) => ({
    ...head(answer),
    content: [
      ...(answer.reasoning === "" ? [] : [{ type: "thinking", thinking: answer.reasoning, signature: SIGNATURE }]),
      ...(answer.text === "" ? [] : [{ type: "text", text: answer.text }]),
      ...answer.toolUses.map((use) => ({ type: "tool_use", id: use.id, name: use.name, input: inputObject(use) })),
    ],
    stop_reason: STOP_REASON[answer.finishReason],
    usage: wholeUsage(answer.usage),
  }),

  events(answer) {
    const { usage } = answer;
    // A token is always out when the head comes.
    const begun = wholeUsage({ ...usage, output: 1, reasoning: 0 });
    const message = { ...head(answer), content: [], stop_reason: null, usage: begun };
    const blocks = blocksOf(answer).flatMap(({ start, deltas }, index) => [
      { type: "content_block_start", index, content_block: start },
      ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
      { type: "content_block_stop", index },
    ]);
    return [
      { type: "message_start", message },
      { type: "ping" },
      ...blocks,
      {
        type: "message_delta",
        delta: { stop_reason: STOP_REASON[answer.finishReason], stop_sequence: null },
        usage: counts(usage),
      },
      { type: "message_stop" },
    ];
  },

  error: ({ status, message }) => ({
    type: "error",
    error: { type: ERROR_TYPE[status] ?? (status < 500 ? "invalid_request_error" : "api_error"), message },
  }),
  tokenCount: (tokens) => ({ input_tokens: tokens }),
  model: (id) => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }),
  modelList: (models) => ({
    data: models,
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  }),
};

function head({ id, model }: ScriptedAnswer): Json {
  return { id: `msg_${id}`, type: "message", role: "assistant", model, stop_sequence: null };
}

function blocksOf({ reasoning, text, toolUses }: ScriptedAnswer): { start: Json; deltas: Json[] }[] {
  const blocks: { start: Json; deltas: Json[] }[] = [];
  if (reasoning !== "") {
    const deltas: Json[] = piecesOf(reasoning).map((thinking) => ({ type: "thinking_delta", thinking }));
    const signed = { type: "signature_delta", signature: SIGNATURE };
    blocks.push({ start: { type: "thinking", thinking: "", signature: "" }, deltas: [...deltas, signed] });
  }
  if (text !== "") {
    const deltas = piecesOf(text).map((piece) => ({ type: "text_delta", text: piece }));
    blocks.push({ start: { type: "text", text: "" }, deltas });
  }
  for (const { id, name, input } of toolUses) {
    const deltas = ["", ...piecesOf(input)].map((piece) => ({ type: "input_json_delta", partial_json: piece }));
    blocks.push({ start: { type: "tool_use", id, name, input: {} }, deltas });
  }
  return blocks;
}

function counts({ input, cacheRead, cacheWrite, output, reasoning }: Usage): Json {
  return {
    input_tokens: input,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    output_tokens: output,
    output_tokens_details: { thinking_tokens: reasoning },
  };
}

function wholeUsage(usage: Usage): Json {
  return {
    ...counts(usage),
    cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite, ephemeral_1h_input_tokens: 0 },
    service_tier: "standard",
  };
}
