import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { matchRoute, type Route } from "../../src/gateway/route.ts";

const KINDS = ["call", "free", "hello", "health", "metrics", "upgrade", "wrong_method", "unknown"];

const call = (dialect: string, path: string, worker?: string) => ({
  kind: "call",
  ...(worker && { worker }),
  dialect,
  path,
});
const free = (dialect: string, path: string, worker?: string) => ({
  kind: "free",
  ...(worker && { worker }),
  dialect,
  path,
});
const wrong = (dialect: string, allow: string) => ({ kind: "wrong_method", dialect, allow });
const unknown = (dialect: string) => ({ kind: "unknown", dialect });
const HELLO = { kind: "hello" };

const ROUTES: readonly [request: string, route: Record<string, unknown>, headers?: Record<string, string>][] = [
  ["POST /v1/messages", call("anthropic", "/v1/messages")],
  ["POST /v1/chat/completions", call("openai_chat", "/v1/chat/completions")],
  ["POST /v1/responses", call("openai_responses", "/v1/responses")],
  [
    "POST /v1beta/models/gemini-2.5-pro:generateContent",
    call("gemini", "/v1beta/models/gemini-2.5-pro:generateContent"),
  ],
  ["POST /v1beta/models/g:streamGenerateContent", call("gemini", "/v1beta/models/g:streamGenerateContent")],
  ["POST /v1/models/g:generateContent", call("gemini", "/v1/models/g:generateContent")],
  ["POST /v1alpha/models/g:generateContent", call("gemini", "/v1alpha/models/g:generateContent")],
  ["POST /v1beta1/models/g:generateContent", call("gemini", "/v1beta1/models/g:generateContent")],
  ["POST /v1beta/models/google/g:generateContent", call("gemini", "/v1beta/models/google/g:generateContent")],
  ["POST /v1beta/models/google%2Fg:generateContent", call("gemini", "/v1beta/models/google%2Fg:generateContent")],
  ["POST /v1beta/tunedModels/mine:generateContent", call("gemini", "/v1beta/tunedModels/mine:generateContent")],
  [
    "POST /v1/publishers/google/models/g:generateContent",
    call("gemini", "/v1/publishers/google/models/g:generateContent"),
  ],

  ["POST /messages", call("anthropic", "/v1/messages")],
  ["POST /chat/completions", call("openai_chat", "/v1/chat/completions")],
  ["POST /responses", call("openai_responses", "/v1/responses")],
  ["POST /models/g:generateContent", call("gemini", "/v1beta/models/g:generateContent")],
  ["POST /api/v1/chat/completions", call("openai_chat", "/v1/chat/completions")],
  ["POST /api/v1/messages", call("anthropic", "/v1/messages")],

  ["POST /w/w7/v1/messages", call("anthropic", "/v1/messages", "w7")],
  ["POST /w/Team.a_b-1/responses", call("openai_responses", "/v1/responses", "Team.a_b-1")],
  ["POST /w/%77%37/api/v1/chat/completions", call("openai_chat", "/v1/chat/completions", "w7")],
  ["POST /w/w7/v1beta/models/g:generateContent", call("gemini", "/v1beta/models/g:generateContent", "w7")],
  [`POST /w/${"a".repeat(64)}/v1/messages`, call("anthropic", "/v1/messages", "a".repeat(64))],

  ["POST /v1/messages/count_tokens", free("anthropic", "/v1/messages/count_tokens")],
  ["POST /w/a/v1beta/models/g:countTokens", free("gemini", "/v1beta/models/g:countTokens", "a")],
  ["GET /v1/models", free("openai_chat", "/v1/models")],
  ["GET /models", free("openai_chat", "/v1/models")],
  ["GET /v1/models", free("anthropic", "/v1/models"), { "anthropic-version": "2023-06-01" }],
  ["GET /w/a/v1/models/claude-opus-5-5", free("anthropic", "/v1/models/claude-opus-5-5", "a"), { "x-api-key": "k" }],
  ["GET /v1/models", free("gemini", "/v1/models"), { "x-goog-api-key": "k" }],
  ["GET /v1beta/models", free("gemini", "/v1beta/models")],
  ["GET /v1beta/models/gemini-2.5-pro", free("gemini", "/v1beta/models/gemini-2.5-pro")],
  ["GET /api/v1/models/openai/gpt-5.5", free("openai_chat", "/v1/models/openai/gpt-5.5")],
  ["GET /v1/models/openai%2Fgpt-5.5", free("openai_chat", "/v1/models/openai%2Fgpt-5.5")],

  ["GET /", HELLO],
  ["HEAD /", HELLO],
  ["GET /w/w7", HELLO],
  ["HEAD /w/w7/", HELLO],
  ["HEAD /api/hello", HELLO],
  ["GET /w/w7/api/hello", HELLO],
  ["GET /health", { kind: "health" }],
  ["HEAD /health", { kind: "health" }],
  ["GET /metrics", { kind: "metrics" }],

  ["GET /v1/responses", { kind: "upgrade", dialect: "openai_responses" }, { upgrade: "websocket" }],
  ["GET /w/w7/v1/responses", { kind: "upgrade", dialect: "openai_responses" }, { upgrade: "WebSocket" }],
  // Java's client offers it with every request.
  ["POST /v1/messages", call("anthropic", "/v1/messages"), { upgrade: "h2c" }],

  ["GET /v1/messages", wrong("anthropic", "POST")],
  ["GET /v1/responses", wrong("openai_responses", "POST")],
  ["PUT /v1beta/models/g:generateContent", wrong("gemini", "POST")],
  ["DELETE /v1/models/mine", wrong("openai_chat", "GET")],
  ["POST /", wrong("openai_chat", "GET, HEAD")],
  ["POST /health", wrong("openai_chat", "GET, HEAD")],
  ["HEAD /metrics", wrong("openai_chat", "GET")],

  // They would spend money that nobody meters.
  ["POST /v1/embeddings", unknown("openai_chat")],
  ["POST /v1/completions", unknown("openai_chat")],
  ["POST /v1/messages/batches", unknown("anthropic")],
  ["POST /v1/responses/compact", unknown("openai_responses")],
  ["POST /v1beta/models/g:embedContent", unknown("gemini")],
  ["POST /v1beta/models/g:batchGenerateContent", unknown("gemini")],
  ["POST /v1/projects/p/locations/l/publishers/google/models/g:generateContent", unknown("gemini")],
  ["POST /v1/images/generations", unknown("anthropic"), { "x-api-key": "k" }],
  ["POST /v1/audio/speech", unknown("gemini"), { "x-goog-api-key": "k" }],
  ["POST /v2/messages", unknown("anthropic")],

  ["POST /v1/messages/", unknown("anthropic")],
  ["POST //v1/messages", unknown("anthropic")],
  ["POST /v1//messages", unknown("anthropic")],
  ["POST /v1/mess%61ges", unknown("openai_chat")],
  ["POST /v1/..%2Fv1/messages", unknown("anthropic")],
  ["POST /v1/./messages", unknown("anthropic")],
  ["POST /v1beta/models/a%2F..%2Fb:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a%2F%2Fb:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a%5Cb:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a%00b:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a%3Fkey=x:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a%252Fb:generateContent", unknown("gemini")],
  ["POST /v1beta/models/%E0%A4:generateContent", unknown("gemini")],
  ["POST /v1beta/models/:generateContent", unknown("gemini")],
  ["POST /v1beta/models/a:b:generateContent", unknown("gemini")],
  ["GET /v1/models/..%2Fembeddings", unknown("openai_chat")],
  ["POST /w//v1/messages", unknown("anthropic")],
  ["POST /w/a%20b/v1/messages", unknown("anthropic")],
  ["POST /w/a%2Fb/v1/messages", unknown("anthropic")],
  ["POST /w/../v1/messages", unknown("anthropic")],
  ["POST /w/%zz/v1/messages", unknown("anthropic")],
  [`POST /w/${"a".repeat(65)}/v1/messages`, unknown("anthropic")],
  ["POST /w/a/w/b/v1/messages", unknown("anthropic")],
  ["GET /w", unknown("openai_chat")],
  ["GET /w/a/health", unknown("openai_chat")],
  ["GET ", HELLO],
  [`GET /v1/models/${"a".repeat(3000)}`, unknown("openai_chat")],
];

for (const [request, route, headers] of ROUTES) {
  const title = request.length > 100 ? `${request.slice(0, 100)}…` : request;
  Deno.test(`${title}${headers === undefined ? "" : ` with ${Object.keys(headers)}`} is ${route.kind}`, () => {
    const [method, path] = request.split(" ") as [string, string];
    deepEqual(matchRoute(method, path, new Headers(headers)) as unknown, route);
  });
}

const anyPath = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(
    fc.constantFrom(
      ..."/ // /w/ /w/a v1 v1beta /models/ messages responses chat/completions : generateContent %2F %2e .. . a api hello %"
        .split(
          " ",
        ),
    ),
  ).map((parts) => parts.join("")),
);

Deno.test("no path makes the router throw, and what it lets through begins at a version and leads nowhere else", () => {
  fc.assert(
    fc.property(fc.constantFrom("GET", "POST", "HEAD", "x"), anyPath, (method, pathname) => {
      const route: Route = matchRoute(method, pathname, new Headers());
      ok(KINDS.includes(route.kind));
      if (route.kind !== "call" && route.kind !== "free") return;
      ok(/^\/v\d/.test(route.path), route.path);
      deepEqual(new URL(`http://upstream${route.path}`).pathname, route.path);
      ok(route.worker === undefined || /^[A-Za-z0-9._-]{1,64}$/.test(route.worker));
    }),
    { numRuns: 3_000 },
  );
});
