/** Calls whose usage nobody can be sure of, through a whole gateway: what caps count them as. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { startFakeUpstream, type UpstreamReply } from "../support/fake_upstream.ts";
import { FORMATS, openGateway, priced, requestFor, send } from "./open_gateway.ts";

/** Each call may cost 100 tokens of output at 1 USD for a thousand. */
const RESERVED = 100_000_000_000;
const settings = { caps: { run: 0.19 }, prices: [priced("*", { input: 0, output: 1000 })] };
const zero = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/** Per claim: the format, whether it streams, the reply, and the tokens of output that it is charged for. */
const UNCOUNTED: readonly [
  claim: string,
  format: DialectId,
  streamed: boolean,
  reply: UpstreamReply,
  tokens: number,
][] = [
  ["a whole stream without usage", "openai_chat", true, { text: "x".repeat(200), usage: null }, 50],
  ["a reply whose counts are 0", "openai_chat", false, { text: "x".repeat(200), usage: zero }, 50],
  ["a stream whose counts are 0", "anthropic", true, { text: "x".repeat(200), usage: zero }, 50],
  ["a document with something behind it", "anthropic", false, { body: `{"type":"message"}${" x".repeat(91)}` }, 50],
  ["a page", "gemini", false, { body: "Busy".repeat(50), headers: { "content-type": "text/html" } }, 50],
  ["a reply without any body", "openai_responses", false, { body: "" }, 0],
];

for (const [claim, format, streamed, reply, tokens] of UNCOUNTED) {
  Deno.test(`${format}: ${claim} costs what was seen, and counts in full against caps`, async () => {
    await using upstream = startFakeUpstream(() => reply);
    await using gateway = await openGateway(upstream.url, settings);
    const response = await send(gateway.url, format, { streamed });
    await response.text();
    await gateway.stated("model.answered", 1);
    const [row] = gateway.rows();
    const { outcome, usage_source, cost, cost_source, reserved, counted } = row!;
    deepEqual({ outcome, usage_source, cost, cost_source, reserved, counted }, {
      outcome: "answered",
      usage_source: "estimated",
      cost: tokens * 1_000_000_000,
      cost_source: "estimated",
      reserved: RESERVED,
      counted: RESERVED,
    });
    const second = await send(gateway.url, format, { streamed });
    await second.body?.cancel();
    equal(second.status, 402);
  });
}

Deno.test("a reply under a cheaper model's name costs what the model that was asked for costs", async () => {
  await using upstream = startFakeUpstream(() => ({
    model: "gpt-4o-mini",
    usage: { ...zero, input: 1000, output: 10 },
  }));
  await using gateway = await openGateway(upstream.url);
  await (await send(gateway.url, "openai_chat", { model: "gpt-5" })).text();
  const { cost, cost_source, usage_source, answered_model } = gateway.rows()[0]!;
  deepEqual({ cost, cost_source, usage_source, answered_model }, {
    cost: 1000 * 1_250_000 + 10 * 10_000_000,
    cost_source: "estimated",
    usage_source: "provider",
    answered_model: "gpt-4o-mini",
  });
});

Deno.test("codex' first request fits a cap of 5 USD, although it offers a search of the web", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { caps: { run: 5 } });
  const response = await send(gateway.url, "openai_responses", {
    model: "gpt-5.5",
    streamed: true,
    changes: {
      max_output_tokens: undefined,
      instructions: "x".repeat(56_000),
      tools: [{ type: "function", name: "exec_command" }, { type: "web_search", external_web_access: true }],
    },
  });
  await response.text();
  equal(response.status, 200);
});

Deno.test("a request that lets a dearer model answer has to fit the cap with that one", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { caps: { run: 0.001 } });
  const statusOf = async (models: readonly string[]) => {
    const response = await send(gateway.url, "openai_chat", { model: "gpt-4o-mini", changes: { models } });
    ok((await response.text()).length > 0);
    return response.status;
  };
  deepEqual([await statusOf(["gpt-4o-mini"]), await statusOf(["gpt-4o-mini", "gpt-5"])], [200, 402]);
  equal(upstream.requests.length, 1);
});

Deno.test("a client of Gemini's format cannot have its replies without usage", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const { path, body, headers } = requestFor("gemini");
  const hiding = { "x-goog-fieldmask": "candidates", "x-http-method-override": "GET" };
  for (const query of ["fields=candidates", "$fields=candidates", "alt=proto", "callback=f&alt=json"]) {
    const sent = await fetch(`${gateway.url}${path}?${query}`, {
      method: "POST",
      body,
      headers: { ...headers, ...hiding },
    });
    await sent.text();
  }
  deepEqual(
    upstream.requests.map(({ target, headers }) => [
      target.replace(path, ""),
      Object.keys(hiding).filter((name) => headers.has(name)),
    ]),
    ["", "", "", "?alt=json"].map((search) => [search, []]),
  );
});

Deno.test("a limit that stands twice is refused before anybody is asked", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  for (const format of FORMATS) {
    const { path, body, headers } = requestFor(format);
    const repeated = body.replace(/"max\w+":100/i, (limit) => `${limit}000,${limit}`);
    const response = await fetch(gateway.url + path, { method: "POST", body: repeated, headers });
    equal(response.status, 400, await response.text());
  }
  equal(upstream.requests.length, 0);
});
