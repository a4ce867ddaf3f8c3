/** Every dialect by its id. */
import type { Dialect, DialectId } from "../dialect.ts";
import { anthropic } from "./anthropic.ts";
import { gemini } from "./gemini.ts";
import { openaiChat } from "./openai_chat.ts";
import { openaiResponses } from "./openai_responses.ts";

export const dialects: Readonly<Record<DialectId, Dialect>> = {
  anthropic,
  openai_chat: openaiChat,
  openai_responses: openaiResponses,
  gemini,
};
