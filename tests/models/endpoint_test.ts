import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import { requireKey, resolveEndpoint } from "../../src/models/endpoint.ts";
import type { ProviderId } from "../../src/models/provider_table.ts";

Deno.test("a host alone gets the provider's usual path, any other path is kept", () => {
  const cases: [ProviderId, Record<string, string>, string | undefined][] = [
    ["anthropic", {}, "https://api.anthropic.com/v1"],
    ["anthropic", { MINI_API_BASE: "http://127.0.0.1:8045" }, "http://127.0.0.1:8045/v1"],
    ["anthropic", { MINI_API_BASE: "http://127.0.0.1:8045/" }, "http://127.0.0.1:8045/v1"],
    ["anthropic", { MINI_API_BASE: "127.0.0.1:8045" }, "http://127.0.0.1:8045/v1"],
    ["anthropic", { MINI_API_BASE: "localhost" }, "http://localhost/v1"],
    ["anthropic", { MINI_API_BASE: "[::1]:80" }, "http://[::1]/v1"],
    ["anthropic", { MINI_API_BASE: "proxy.example:8443" }, "https://proxy.example:8443/v1"],
    ["anthropic", { MINI_API_BASE: "http://h/v1/messages" }, "http://h/v1"],
    ["anthropic", { MINI_API_BASE: "http://h/team/a/" }, "http://h/team/a"],
    ["anthropic", { ANTHROPIC_BASE_URL: "https://h/anthropic" }, "https://h/anthropic/v1"],
    ["anthropic", { ANTHROPIC_BASE_URL: "http://h", MINI_API_BASE: "" }, "http://h/v1"],
    ["anthropic", { ANTHROPIC_BASE_URL: "http://h", MINI_API_BASE: "http://m" }, "http://m/v1"],
    ["openai", { OPENAI_API_BASE: "http://h/v1/chat/completions" }, "http://h/v1"],
    ["gemini", { MINI_API_BASE: "http://h" }, "http://h/v1beta"],
    ["gemini", { MINI_API_BASE: "http://h/v1beta/models/m:generateContent" }, "http://h/v1beta"],
    ["azure", { AZURE_API_BASE: "https://r.openai.azure.com/" }, "https://r.openai.azure.com/openai"],
    [
      "azure",
      { AZURE_API_BASE: "https://r.example/openai/deployments/d/chat/completions" },
      "https://r.example/openai",
    ],
    ["ollama", { OLLAMA_HOST: "0.0.0.0" }, "http://127.0.0.1:11434/v1"],
    ["ollama", { OLLAMA_HOST: ":1234" }, "http://127.0.0.1:1234/v1"],
    ["openai_compatible", {}, undefined],
  ];
  for (const [provider, env, expected] of cases) {
    equal(resolveEndpoint(provider, env).baseUrl, expected, `${provider} ${JSON.stringify(env)}`);
  }
});

Deno.test("MINI_ variables come before the configuration, that before the provider's own", () => {
  const env = { MINI_API_KEY: "mini", OPENAI_API_KEY: "own" };
  equal(resolveEndpoint("openai", env, { apiKey: "file" }).apiKey, "mini");
  equal(resolveEndpoint("openai", { OPENAI_API_KEY: "own" }, { apiKey: "file" }).apiKey, "file");
  equal(resolveEndpoint("gemini", { GEMINI_API_KEY: " ", GOOGLE_API_KEY: "g" }).apiKey, "g");
  equal(resolveEndpoint("openai", { MINI_API_TIMEOUT: "1.5" }, { timeoutSeconds: 9 }).timeoutMs, 1500);
  equal(resolveEndpoint("openai", {}).timeoutMs, 600_000);
  equal(resolveEndpoint("openai", { MINI_API_TIMEOUT: "1e12" }).timeoutMs, 2_147_483_000);
});

Deno.test("only servers without keys are asked without one", () => {
  equal(requireKey("ollama", resolveEndpoint("ollama", {})), "");
  for (const provider of ["anthropic", "openai", "openai_compatible", "groq"] as const) {
    throws(
      () => requireKey(provider, resolveEndpoint(provider, {})),
      (error: Failure) => error.type === "AuthenticationError",
    );
  }
});

Deno.test("an address that cannot be used names its variable and does not repeat the value", () => {
  for (
    const value of [
      "ftp://h",
      "http://",
      "http://user:secret@h",
      "http://h/v1?key=secret",
      "http://h:99999",
      "http:// h",
    ]
  ) {
    throws(() => resolveEndpoint("openai", { OPENAI_BASE_URL: value }), (error: Failure) => {
      match(error.message, /OPENAI_BASE_URL/);
      return error.kind === "usage" && !error.message.includes("secret");
    }, value);
  }
  throws(() => resolveEndpoint("openai", { OPENAI_API_KEY: "two\nlines" }), /OPENAI_API_KEY/);
  for (const value of ["0", "-1", "NaN", "ten"]) {
    throws(() => resolveEndpoint("openai", { MINI_API_TIMEOUT: value }), /MINI_API_TIMEOUT/);
  }
});

Deno.test("any text as an address is either a URL without a trailing slash or a usage failure", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl()), (value) => {
    try {
      const { baseUrl } = resolveEndpoint("openai", { MINI_API_BASE: value });
      ok(baseUrl !== undefined && URL.canParse(baseUrl) && !baseUrl.endsWith("/"));
    } catch (error) {
      ok(error instanceof Failure && error.kind === "usage", String(error));
    }
  }));
  deepEqual(resolveEndpoint("openai", {}).custom, false);
});
