import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { dialects } from "../../../src/gateway/dialects/all.ts";
import { Refusal, REFUSAL_STATUS, type RefusalKind } from "../../../src/gateway/refusal.ts";

/** Anthropic's type, OpenAI's type and code, Google's status, whether asking again is of no use. */
const WORDS: Record<RefusalKind, readonly [string, string, string | null, string, boolean]> = {
  bad_request: ["invalid_request_error", "invalid_request_error", null, "INVALID_ARGUMENT", true],
  authentication: ["authentication_error", "invalid_request_error", "invalid_api_key", "UNAUTHENTICATED", true],
  budget: ["billing_error", "billing_error", "budget_exceeded", "FAILED_PRECONDITION", true],
  forbidden: ["permission_error", "permission_error", null, "PERMISSION_DENIED", true],
  not_found: ["not_found_error", "invalid_request_error", null, "NOT_FOUND", true],
  method_not_allowed: ["invalid_request_error", "invalid_request_error", "method_not_allowed", "UNIMPLEMENTED", true],
  request_timeout: ["timeout_error", "timeout_error", "request_timeout", "DEADLINE_EXCEEDED", false],
  no_recording: ["invalid_request_error", "invalid_request_error", "no_recording", "FAILED_PRECONDITION", true],
  too_large: ["request_too_large", "invalid_request_error", "request_too_large", "INVALID_ARGUMENT", true],
  unsupported_encoding: [
    "invalid_request_error",
    "invalid_request_error",
    "unsupported_encoding",
    "INVALID_ARGUMENT",
    true,
  ],
  misdirected: ["invalid_request_error", "invalid_request_error", "misdirected", "INVALID_ARGUMENT", true],
  upgrade_refused: ["invalid_request_error", "invalid_request_error", "upgrade_refused", "UNIMPLEMENTED", true],
  headers_too_large: ["request_too_large", "invalid_request_error", "headers_too_large", "INVALID_ARGUMENT", true],
  internal: ["api_error", "server_error", "internal", "INTERNAL", false],
  upstream: ["api_error", "server_error", "upstream", "UNAVAILABLE", false],
  unavailable: ["overloaded_error", "server_error", "unavailable", "UNAVAILABLE", false],
  upstream_timeout: ["timeout_error", "server_error", "upstream_timeout", "DEADLINE_EXCEEDED", false],
};

for (const kind of Object.keys(REFUSAL_STATUS) as RefusalKind[]) {
  Deno.test(`every dialect tells of ${kind} in the shape that its clients know`, () => {
    const refusal = new Refusal(kind, "It did not work", { details: { scope: "run", capUsd: 5, kind: "mine" } });
    const [anthropicType, type, code, status, terminal] = WORDS[kind];
    const gocore = { scope: "run", capUsd: 5, kind, terminal };
    const openai = { error: { message: "It did not work", type, param: null, code, gocore } };
    deepEqual(dialects.anthropic.errorBody(refusal), {
      type: "error",
      error: { type: anthropicType, message: "It did not work", gocore },
    });
    deepEqual(dialects.openai_chat.errorBody(refusal), openai);
    deepEqual(dialects.openai_responses.errorBody(refusal), openai);
    deepEqual(dialects.gemini.errorBody(refusal), {
      error: {
        code: REFUSAL_STATUS[kind],
        message: "It did not work",
        status,
        details: [{
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: kind.toUpperCase(),
          domain: "gocore",
        }],
        gocore,
      },
    });
  });
}

Deno.test("a model that nobody serves has OpenAI's own code", () => {
  const refusal = new Refusal("not_found", "Nobody serves it", { details: { model: "gpt-9" } });
  deepEqual(dialects.openai_chat.errorBody(refusal), {
    error: {
      message: "Nobody serves it",
      type: "invalid_request_error",
      param: null,
      code: "model_not_found",
      gocore: { model: "gpt-9", kind: "not_found", terminal: true },
    },
  });
});
