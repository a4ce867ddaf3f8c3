/** What the two APIs of OpenAI write in the same way: errors, models. */
import type { Json } from "../../models/json.ts";
import type { ScriptedError } from "./scripted_answer.ts";

const CODE: Readonly<Record<number, string>> = { 401: "invalid_api_key", 429: "rate_limit_exceeded" };

export function openaiError({ status, message }: ScriptedError): Json {
  const type = status === 429 ? "requests" : status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: null, code: CODE[status] ?? null } };
}

export function openaiModel(id: string): Json {
  return { id, object: "model", created: 0, owned_by: "scripted" };
}

export function openaiModelList(models: readonly Json[]): Json {
  return { object: "list", data: models };
}
