import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { Asked } from "../../src/gateway/answerer.ts";
import { askUpstream, neverConnected, passedOnHeaders, passedOnSearch } from "../../src/gateway/ask_upstream.ts";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { dialects } from "../../src/gateway/dialects/all.ts";
import type { UpstreamSettings } from "../../src/gateway/settings.ts";
import { closedAddress } from "../support/fake_provider.ts";
import { startFakeUpstream } from "../support/fake_upstream.ts";
import { FORMATS, upstreamAt } from "./open_gateway.ts";

function asked(changes: Partial<Asked> = {}): Asked {
  return {
    dialect: dialects.openai_chat,
    method: "POST",
    path: "/v1/chat/completions",
    search: "",
    headers: new Headers({ "content-type": "application/json" }),
    body: new TextEncoder().encode('{"model":"m"}'),
    json: { model: "m" },
    model: "m",
    streamed: false,
    run: "r",
    worker: "w",
    ...changes,
  };
}

const never = () => new AbortController().signal;

Deno.test("what belongs to the connection, to us or to the client alone is not passed on", () => {
  const headers = new Headers({
    "content-type": "application/json",
    "user-agent": "agent/1",
    "anthropic-beta": "a,b",
    "x-stainless-lang": "js",
    accept: "text/event-stream",
    authorization: "Bearer k",
    "x-api-key": "k",
    "x-goog-api-key": "k",
    "x-goog-fieldmask": "candidates",
    "x-http-method-override": "GET",
    "api-key": "k",
    cookie: "a=b",
    host: "127.0.0.1",
    connection: "keep-alive, X-Hop",
    "x-hop": "1",
    "keep-alive": "timeout=5",
    "transfer-encoding": "chunked",
    "content-length": "5",
    "content-encoding": "gzip",
    "accept-encoding": "br",
    expect: "100-continue",
    "proxy-authorization": "Basic k",
    te: "trailers",
    forwarded: "for=1",
    "x-forwarded-for": "10.0.0.1",
    "x-real-ip": "10.0.0.1",
    "x-gocore-worker": "w",
    referer: "http://127.0.0.1/",
    origin: "http://127.0.0.1",
  });
  deepEqual(Object.fromEntries(passedOnHeaders(headers)), {
    accept: "text/event-stream",
    "anthropic-beta": "a,b",
    "content-type": "application/json",
    "user-agent": "agent/1",
    "x-stainless-lang": "js",
  });
});

Deno.test("a query loses its keys, and nothing else", () => {
  deepEqual(
    ["", "?", "?alt=sse", "?key=k", "?a=1&key=k&b=%20+", "?k%65y=k&a", "?keys=1&key", "?%zz=1"].map((search) =>
      passedOnSearch(search, "openai_chat")
    ),
    [
      "",
      "",
      "?alt=sse",
      "",
      "?a=1&b=%20+",
      "?a",
      "?keys=1",
      "?%zz=1",
    ],
  );
  const part = fc.string({ unit: fc.constantFrom("k", "e", "y", "=", "%6B", "%65", "%", "+", "a", "K"), maxLength: 8 });
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
    const found = passedOnSearch(`?${parts.join("&")}`, "anthropic");
    const given = [...new URLSearchParams(parts.join("&"))];
    deepEqual([...new URLSearchParams(found)], given.filter(([name]) => name !== "key"));
  }));
});

Deno.test("a query in Gemini's format loses what could hide the usage of a reply", () => {
  const hiding = [
    "fields=a",
    "$fields=a",
    "%24fields=a",
    "$.xgafv=2",
    "$httpHeaders=X-Goog-FieldMask:a",
    "prettyPrint=1",
  ];
  hiding.push("callback=f", "$callback=f", "alt=proto", "$alt=sse", "%61lt=media", "alt", "alt=sse=x", "alt=SSE");
  hiding.push("key=k", "access_token=k", "oauth_token=k");
  for (const part of hiding) {
    deepEqual(
      [`?${part}`, `?alt=sse&${part}`].map((search) => passedOnSearch(search, "gemini")),
      ["", "?alt=sse"],
      part,
    );
  }
  for (const search of ["?alt=json", "?%61lt=sse&", "?pageSize=5&pageToken=a%2Bb==&x=a%20b+c"]) {
    equal(passedOnSearch(search, "gemini"), search);
  }
  equal(passedOnSearch("?fields=a&alt=proto", "anthropic"), "?fields=a&alt=proto");
});

Deno.test("each provider gets its key where it looks for it", async () => {
  await using upstream = startFakeUpstream();
  const bearer = { authorization: "Bearer K" };
  const cases: readonly [Partial<UpstreamSettings>, DialectId, Record<string, string>][] = [
    [{ provider: "anthropic" }, "anthropic", { "x-api-key": "K" }],
    [{ provider: "anthropic", apiKey: "sk-ant-oat01-K" }, "anthropic", { authorization: "Bearer sk-ant-oat01-K" }],
    [{ provider: "openai" }, "openai_responses", bearer],
    [{ provider: "gemini" }, "gemini", { "x-goog-api-key": "K" }],
    [{ provider: "azure" }, "openai_chat", { "api-key": "K" }],
    [{ provider: "openrouter" }, "openai_chat", bearer],
    [{ provider: "litellm_proxy" }, "anthropic", { "x-api-key": "K", ...bearer }],
    [{ provider: "litellm_proxy" }, "gemini", { "x-goog-api-key": "K" }],
    [{ provider: "ollama", apiKey: undefined, keyless: true }, "openai_chat", {}],
  ];
  for (const [changes, format, expected] of cases) {
    const ask = askUpstream(upstreamAt(upstream.url, { apiKey: "K", ...changes }));
    await (await ask(asked({ dialect: dialects[format] }), never())).body?.cancel();
    const { headers } = upstream.requests.at(-1)!;
    const found = ["authorization", "x-api-key", "x-goog-api-key", "api-key"].filter((name) => headers.has(name));
    deepEqual(Object.fromEntries(found.map((name) => [name, headers.get(name)])), expected);
    equal(headers.get("accept-encoding"), "identity");
  }
});

Deno.test("a base URL that ends in a version has the say in it", async () => {
  await using upstream = startFakeUpstream();
  const targets: string[] = [];
  for (const base of ["", "/v1", "/api/v3", "/v1beta/openai", "/openai/v1beta2", "/vast"]) {
    for (const path of ["/v1/chat/completions", "/v1beta/models/m:generateContent"]) {
      const ask = askUpstream(upstreamAt(upstream.url + base));
      await (await ask(asked({ path, search: "?a=b" }), never())).body?.cancel();
      targets.push(upstream.requests.at(-1)!.target);
    }
  }
  deepEqual(targets, [
    "/v1/chat/completions?a=b",
    "/v1beta/models/m:generateContent?a=b",
    "/v1/chat/completions?a=b",
    "/v1/models/m:generateContent?a=b",
    "/api/v3/chat/completions?a=b",
    "/api/v3/models/m:generateContent?a=b",
    "/v1beta/openai/chat/completions?a=b",
    "/v1beta/openai/models/m:generateContent?a=b",
    "/openai/v1beta2/chat/completions?a=b",
    "/openai/v1beta2/models/m:generateContent?a=b",
    "/vast/v1/chat/completions?a=b",
    "/vast/v1beta/models/m:generateContent?a=b",
  ]);
});

Deno.test("the body is sent with POST, and only with it", async () => {
  await using upstream = startFakeUpstream();
  const ask = askUpstream(upstreamAt(upstream.url));
  for (const method of ["POST", "GET"]) await (await ask(asked({ method }), never())).body?.cancel();
  deepEqual(
    upstream.requests.map(({ method, body }) => [method, new TextDecoder().decode(body)]),
    [["POST", '{"model":"m"}'], ["GET", ""]],
  );
});

Deno.test("a reply that was compressed all the same arrives plain, and does not say otherwise", async () => {
  await using plain = startFakeUpstream();
  await using upstream = startFakeUpstream(() => ({ gzip: true, splits: [3, 50] }));
  for (const format of FORMATS) {
    const order = asked({ dialect: dialects[format] });
    const expected = await (await askUpstream(upstreamAt(plain.url))(order, never())).text();
    const response = await askUpstream(upstreamAt(upstream.url))(order, never());
    deepEqual([response.headers.get("content-encoding"), await response.text()], [null, expected]);
  }
});

Deno.test("a redirect is an answer like any other", async () => {
  await using upstream = startFakeUpstream(() => ({ status: 302, headers: { location: "/elsewhere" }, body: "" }));
  const response = await askUpstream(upstreamAt(upstream.url))(asked(), never());
  deepEqual([response.status, response.headers.get("location")], [302, "/elsewhere"]);
  await response.body?.cancel();
  equal(upstream.requests.length, 1);
});

Deno.test("whoever gives up ends the connection, and gets back the reason", async () => {
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "hang" } }));
  const controller = new AbortController();
  const asking = askUpstream(upstreamAt(upstream.url))(asked(), controller.signal);
  await upstream.requested(1);
  const reason = new Error("No more");
  controller.abort(reason);
  await rejects(asking, (error) => error === reason);
  equal(await upstream.requests[0]!.ended, "client_gone");
});

Deno.test("a virtual key goes nowhere, under whatever name it came", () => {
  const key = "gck_0123456789abcdefghijklmnopqrstuv";
  const headers = new Headers({ "x-litellm-api-key": `Bearer ${key}`, "x-other": "kept" });
  deepEqual([...passedOnHeaders(headers)], [["x-other", "kept"]]);
  equal(passedOnSearch(`?access=${key}&a=1&Key=gck%5F0123456789abcdefghijklmnopqrstuv`, "openai_chat"), "?a=1");
});

Deno.test("a request is sent once, also when a connection that is used again breaks after it", async () => {
  await using upstream = startFakeUpstream((_, index) => index === 0 ? {} : { fault: { kind: "refuse" } });
  const ask = () => askUpstream(upstreamAt(upstream.url))(asked(), never());
  await (await ask()).bytes();
  await rejects(ask());
  equal(upstream.requests.length, 2);
});

Deno.test("only a failure before anything was sent counts as never connected", async () => {
  const failureOf = async (url: string, search = "") => {
    const failure = await askUpstream(upstreamAt(url))(asked({ search }), never()).catch((error) => error);
    ok(failure instanceof Error);
    return failure;
  };
  equal(neverConnected(await failureOf(closedAddress())), true);
  equal(neverConnected(await failureOf("http://no-such-host.invalid")), true);
  // Where nobody answers a handshake, nothing of the request is sent.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const hangingUp = (async () => {
    for await (const socket of listener) socket.close();
  })();
  equal(neverConnected(await failureOf(`https://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`)), true);
  listener.close();
  await hangingUp;
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "refuse" } }));
  // Words in the address are the client's.
  const search = `?a=${
    ": client error (Connect)".replaceAll(" ", "%20")
  }&b=:client+error+(Connect)&c=connection refused`;
  equal(neverConnected(await failureOf(upstream.url, search)), false);
  equal(upstream.requests.length, 1);
  for (const other of [undefined, "client error (Connect)", new Error("x"), new TypeError("y", { cause: "z" })]) {
    equal(neverConnected(other), false);
  }
});
