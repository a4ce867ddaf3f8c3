/** The error body of OpenAI's two formats. */
import type { Json } from "../../models/json.ts";
import type { Refusal, RefusalKind } from "../refusal.ts";
import { errorFields } from "./error_fields.ts";

/** `[type, code]` */
const ERROR_WORDS: Record<RefusalKind, readonly [string, string | null]> = {
  bad_request: ["invalid_request_error", null],
  authentication: ["invalid_request_error", "invalid_api_key"],
  // Not `insufficient_quota`: codex replaces such an error's message with its own.
  budget: ["billing_error", "budget_exceeded"],
  forbidden: ["permission_error", null],
  not_found: ["invalid_request_error", null],
  method_not_allowed: ["invalid_request_error", "method_not_allowed"],
  request_timeout: ["timeout_error", "request_timeout"],
  no_recording: ["invalid_request_error", "no_recording"],
  too_large: ["invalid_request_error", "request_too_large"],
  unsupported_encoding: ["invalid_request_error", "unsupported_encoding"],
  misdirected: ["invalid_request_error", "misdirected"],
  upgrade_refused: ["invalid_request_error", "upgrade_refused"],
  headers_too_large: ["invalid_request_error", "headers_too_large"],
  internal: ["server_error", "internal"],
  upstream: ["server_error", "upstream"],
  unavailable: ["server_error", "unavailable"],
  upstream_timeout: ["server_error", "upstream_timeout"],
};

export function openaiErrorBody(refusal: Refusal): Json {
  const { kind, message, details } = refusal;
  const [type, code] = ERROR_WORDS[kind];
  const lacksModel = kind === "not_found" && typeof details.model === "string";
  return {
    error: { message, type, param: null, code: lacksModel ? "model_not_found" : code, gocore: errorFields(refusal) },
  };
}
