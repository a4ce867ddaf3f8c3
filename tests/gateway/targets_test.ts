import { deepStrictEqual as deepEqual, throws } from "node:assert/strict";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { dialects } from "../../src/gateway/dialects/all.ts";
import type { Refusal } from "../../src/gateway/refusal.ts";
import type { FallbackRule, UpstreamSettings } from "../../src/gateway/settings.ts";
import { targetsOf } from "../../src/gateway/targets.ts";
import { upstreamAt } from "./open_gateway.ts";

function upstream(name: string, changes: Partial<UpstreamSettings> = {}): UpstreamSettings {
  return upstreamAt(`http://${name}.test`, { name, ...changes });
}

function find(
  model: string | undefined,
  { upstreams, fallbacks = [], format = "anthropic" }: {
    upstreams: readonly UpstreamSettings[];
    fallbacks?: readonly FallbackRule[];
    format?: DialectId;
  },
): string[] {
  const targets = targetsOf(model, dialects[format], { upstreams, fallbacks });
  return targets.map((target) => `${target.upstream.name}: ${target.model}`);
}

const refused = (kind: string, words: string) => (error: Refusal) =>
  error.kind === kind && error.message.includes(words);

Deno.test("a call goes to the first upstream that speaks its format and serves its model", () => {
  const upstreams = [
    upstream("chat", { dialects: ["openai_chat"] }),
    upstream("claude", { models: ["claude-*", "anthropic/*"] }),
    upstream("rest"),
    upstream("never", { models: ["claude-*"] }),
  ];
  deepEqual(find("claude-x", { upstreams }), ["claude: claude-x"]);
  deepEqual(find("Claude-X", { upstreams }), ["claude: Claude-X"]);
  deepEqual(find("other", { upstreams }), ["rest: other"]);
  deepEqual(find("claude-x", { upstreams, format: "openai_chat" }), ["chat: claude-x"]);
});

Deno.test("an upstream without its key is passed over, unless it needs none", () => {
  const poor = upstream("poor", { apiKey: undefined, keySource: "POOR_KEY" });
  deepEqual(find("m", { upstreams: [poor, upstream("rich")] }), ["rich: m"]);
  deepEqual(find("m", { upstreams: [{ ...poor, keyless: true }, upstream("rich")] }), ["poor: m"]);
  throws(() => find("m", { upstreams: [poor] }), refused("forbidden", "set POOR_KEY"));
});

Deno.test("a model that nobody serves is not found, and neither is a format that nobody speaks", () => {
  const upstreams = [upstream("claude", { models: ["claude-*"], dialects: ["anthropic"] })];
  throws(() => find("gpt-5", { upstreams }), (error: Refusal) => {
    deepEqual(error.details, { model: "gpt-5" });
    return refused("not_found", '"gpt-5"')(error);
  });
  throws(() => find("claude-x", { upstreams, format: "gemini" }), refused("not_found", '"claude-x"'));
  throws(() => find(undefined, { upstreams, format: "gemini" }), refused("not_found", "speaks this format"));
  throws(() => find("m", { upstreams: [] }), refused("not_found", '"m"'));
});

Deno.test("a request that names no model goes to whoever speaks its format", () => {
  const upstreams = [upstream("chat", { dialects: ["openai_chat"] }), upstream("claude", { models: ["claude-*"] })];
  deepEqual(find(undefined, { upstreams }), ["claude: "]);
});

Deno.test("fallbacks follow in their order: the first rule that fits, each place once, none that cannot be asked", () => {
  const upstreams = [
    upstream("first", { models: ["big", "small"] }),
    upstream("second"),
    upstream("poor", { apiKey: undefined }),
    upstream("chat", { dialects: ["openai_chat"] }),
  ];
  const to = [
    { model: "small" },
    { upstream: "second" },
    { upstream: "poor" },
    { upstream: "chat" },
    { upstream: "nobody" },
    { model: "big" },
    { upstream: "second", model: "small" },
    { upstream: "second", model: "small" },
  ];
  const fallbacks = [{ model: "b*", to }, { model: "*", to: [{ model: "never" }] }];
  deepEqual(find("big", { upstreams, fallbacks }), [
    "first: big",
    "first: small",
    "second: big",
    "second: small",
  ]);
  deepEqual(find("big", { upstreams, fallbacks: [{ model: "big", to: [] }] }), ["first: big"]);
});

Deno.test("the same model elsewhere is found past the upstream that has it already", () => {
  const upstreams = [upstream("one"), upstream("two")];
  deepEqual(find("m", { upstreams, fallbacks: [{ model: "*", to: [{ model: "m" }] }] }), ["one: m", "two: m"]);
});
