import { deepStrictEqual as deepEqual, match, throws } from "node:assert/strict";
import type { Failure } from "../../src/failure.ts";
import { type NameContext, parseModelName } from "../../src/models/model_name.ts";

Deno.test("only the first slash splits, and aliases name the same provider", () => {
  const cases: [string, NameContext, unknown][] = [
    ["anthropic/claude-opus-4-5-thinking", {}, { provider: "anthropic", model: "claude-opus-4-5-thinking" }],
    ["openrouter/anthropic/claude-sonnet-4", {}, { provider: "openrouter", model: "anthropic/claude-sonnet-4" }],
    ["google/gemini-2.5-pro", {}, { provider: "gemini", model: "gemini-2.5-pro" }],
    ["vertex-ai/gemini", {}, { provider: "vertex_ai", model: "gemini" }],
    ["openai/responses/gpt-5", {}, { provider: "openai", model: "gpt-5", api: "responses" }],
    ["openai/gpt-4", { hasBase: true }, { provider: "openai", model: "gpt-4" }],
    ["scripted/a/b.yaml", {}, { provider: "scripted", model: "a/b.yaml" }],
    ["claude-sonnet-4", { hasBase: true }, { provider: "anthropic", model: "claude-sonnet-4" }],
    ["o3-mini", {}, { provider: "openai", model: "o3-mini" }],
    ["gemini-2.5-flash", {}, { provider: "gemini", model: "gemini-2.5-flash" }],
    ["qwen/qwen3", { hasBase: true }, { provider: "openai_compatible", model: "qwen/qwen3" }],
    ["llama3", { hasBase: true }, { provider: "openai_compatible", model: "llama3" }],
    ["deepseek-chat", {}, { provider: "deepseek", model: "deepseek-chat" }],
    ["anthropic/claude-sonnet-4", { provider: "openrouter" }, {
      provider: "openrouter",
      model: "anthropic/claude-sonnet-4",
    }],
    ["openrouter/x/y", { provider: "openrouter" }, { provider: "openrouter", model: "x/y" }],
  ];
  for (const [name, context, expected] of cases) deepEqual(parseModelName(name, context), expected, name);
});

Deno.test("a name nobody can place is a usage failure with a way out", () => {
  const cases: [string, RegExp][] = [
    ["antropic/claude", /Did you mean `anthropic\/claude`/],
    ["opneai/gpt-4", /Did you mean `openai\/gpt-4`/],
    ["zzz/model", /MINI_API_BASE/],
    ["constructor/model", /MINI_API_BASE/],
    ["llama3", /MINI_API_BASE/],
    ["", /--model/],
    ["anthropic/", /--model/],
  ];
  for (const [name, hint] of cases) {
    throws(() => parseModelName(name), (error: Failure) => {
      match(error.hints.join("\n"), hint);
      return error.kind === "usage";
    }, name);
  }
});
