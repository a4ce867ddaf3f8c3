/** The scripted model's answers as the Gemini API writes them. */
import type { FinishReason } from "../../models/chat_model.ts";
import type { Json } from "../../models/json.ts";
import {
  allInputTokens,
  type AnswerWriter,
  inputObject,
  piecesOf,
  type ScriptedAnswer,
  spokenTokens,
} from "./scripted_answer.ts";

const FINISH_REASON: Record<FinishReason, string> = {
  stop: "STOP",
  tool_calls: "STOP",
  length: "MAX_TOKENS",
  content_filter: "SAFETY",
  error: "OTHER",
  other: "OTHER",
};

const ERROR_STATUS: Readonly<Record<number, string>> = {
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

export const writeGemini: AnswerWriter = {
  namesEvents: false,
  // Its clients read `[DONE]` as JSON, and fail.
  endMark: "",

  document: (answer) => frame(answer, partsOf(answer, (text) => [text]), { isLast: true }),

  events(answer) {
    const parts = partsOf(answer, piecesOf);
    return parts.map((part, index) => frame(answer, [part], { isLast: index === parts.length - 1 }));
  },

  error: ({ status, message, retryAfter }) => ({
    error: {
      code: status,
      message,
      status: ERROR_STATUS[status] ?? (status < 500 ? "INVALID_ARGUMENT" : "INTERNAL"),
      ...(retryAfter !== undefined && {
        details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: `${retryAfter}s` }],
      }),
    },
  }),
  tokenCount: (tokens) => ({
    totalTokens: tokens,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: tokens }],
  }),
  model: (id) => ({
    name: `models/${id}`,
    version: "1",
    displayName: id,
    inputTokenLimit: 1_048_576,
    outputTokenLimit: 65_536,
    supportedGenerationMethods: ["generateContent", "countTokens"],
  }),
  modelList: (models) => ({ models }),
};

function partsOf({ reasoning, text, toolUses }: ScriptedAnswer, cut: (text: string) => string[]): Json[] {
  const parts: Json[] = [
    ...(reasoning === "" ? [] : cut(reasoning).map((piece) => ({ text: piece, thought: true }))),
    ...(text === "" ? [] : cut(text).map((piece) => ({ text: piece }))),
    ...toolUses.map((use) => ({ functionCall: { name: use.name, args: inputObject(use), id: use.id } })),
  ];
  // Clients take a reply without parts for a broken one.
  return parts.length > 0 ? parts : [{ text: "" }];
}

function frame(answer: ScriptedAnswer, parts: readonly Json[], { isLast }: { isLast: boolean }): Json {
  const { id, model, usage, finishReason } = answer;
  const input = allInputTokens(usage);
  // Counts grow with the reply; those of its beginning know the input alone.
  const output = isLast ? usage.output : 0;
  return {
    candidates: [{
      content: { role: "model", parts },
      index: 0,
      ...(isLast && { finishReason: FINISH_REASON[finishReason] }),
    }],
    usageMetadata: {
      promptTokenCount: input,
      ...(usage.cacheRead > 0 && { cachedContentTokenCount: usage.cacheRead }),
      ...(isLast && { candidatesTokenCount: spokenTokens(usage) }),
      ...(isLast && usage.reasoning > 0 && { thoughtsTokenCount: usage.reasoning }),
      totalTokenCount: input + output,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: input }],
    },
    modelVersion: model,
    responseId: `scripted_${id}`,
  };
}
