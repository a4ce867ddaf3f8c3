import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import * as z from "zod/mini";
import { eventData } from "../../src/events/event.ts";
import { Failure } from "../../src/failure.ts";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { startGateway } from "../../src/gateway/gateway.ts";
import type { GatewaySettings } from "../../src/gateway/settings.ts";
import { closedAddress } from "../support/fake_provider.ts";
import { concat, startFakeUpstream, type UpstreamReply, type UpstreamRequest } from "../support/fake_upstream.ts";
import { namesIn } from "../support/temp_dir.ts";
import {
  DUMMY_KEY,
  FORMATS,
  MODELS,
  type OpenGateway,
  openGateway,
  priced,
  REAL_KEY,
  requestFor,
  send,
  upstreamAt,
} from "./open_gateway.ts";

/** Far beyond a slow and busy machine, and short of hanging. */
const DEADLINE_MS = 120_000;

/** Fails when `work` takes for ever. */
async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain until ${what}`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

/** The headers of a reply that mean something to a client, as they have to pass. */
function relevantHeaders(response: Response): [string, string][] {
  const ofTheConnection = new Set(["transfer-encoding", "content-length", "content-encoding", "vary", "set-cookie"]);
  return [...response.headers].filter(([name]) => !ofTheConnection.has(name) && !name.startsWith("x-gocore-"));
}

const CREDENTIALS = new Set(["authorization", "x-api-key", "x-goog-api-key", "api-key"]);

/** What of a request has to arrive as it was sent. */
function passedOn({ method, target, rawHeaders, body }: UpstreamRequest) {
  const own = new Set([...CREDENTIALS, "host", "accept-encoding"]);
  const headers = rawHeaders.filter(([name]) => !own.has(name.toLowerCase())).sort();
  return { method, target, headers, body };
}

const credentialsOf = ({ rawHeaders }: UpstreamRequest) =>
  Object.fromEntries(rawHeaders.filter(([name]) => CREDENTIALS.has(name.toLowerCase())));

/** What the error of any format says for programs; checks that the rest has the format's shape. */
async function refusalIn(response: Response, format: DialectId): Promise<Record<string, unknown>> {
  const body = await response.json();
  const { error } = body;
  equal(typeof error.message, "string");
  ok(!error.message.endsWith("."), error.message);
  const { gocore, message: _, ...rest } = error;
  if (format === "anthropic") {
    deepEqual(Object.keys(body), ["type", "error"]);
    equal(body.type, "error");
    deepEqual(Object.keys(rest), ["type"]);
  } else if (format === "gemini") {
    deepEqual(Object.keys(rest), ["code", "status", "details"]);
    equal(rest.code, response.status);
  } else {
    deepEqual(Object.keys(rest), ["type", "param", "code"]);
  }
  equal(response.headers.get("x-should-retry"), gocore.terminal ? "false" : null);
  return { status: response.status, kind: gocore.kind, terminal: gocore.terminal };
}

/** Everything that was admitted has ended, in the events as well as in the ledger. */
function checkBooks(gateway: OpenGateway): void {
  const called = gateway.eventsOf("model.called").map(({ call }) => call);
  const answered = gateway.eventsOf("model.answered").map(({ call }) => call);
  deepEqual(answered.toSorted(), [...new Set(called)].toSorted());
  deepEqual(gateway.rows().map(({ id }) => id).toSorted(), answered.toSorted());
  for (const event of gateway.events) z.parse(eventData[event.type], event.data);
  const { reservedUsd, openCalls } = gateway.gateway.ledger.spent({ scope: "run", id: gateway.settings.run });
  deepEqual({ reservedUsd, openCalls }, { reservedUsd: 0, openCalls: 0 });
  deepEqual(gateway.gateway.ledger.check(), []);
}

/** Resolves when the gateway has nothing under way, as it tells itself. */
async function settled(gateway: OpenGateway): Promise<void> {
  await inTime(
    gateway.stated("model.answered", new Set(gateway.eventsOf("model.called").map((e) => e.call)).size),
    "all is settled",
  );
}

const ROWS = ["outcome", "status", "usage_source", "cost_source", "attempts"] as const;
const shortRows = (gateway: OpenGateway) =>
  gateway.rows().map((row) => Object.fromEntries(ROWS.map((name) => [name, row[name]])));

// --- 1. The same bytes

Deno.test("a reply passes unchanged, whatever its format, its status and the pieces that it comes in", async () => {
  let reply: UpstreamReply = {};
  await using upstream = startFakeUpstream(() => reply);
  await using gateway = await openGateway(upstream.url);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        format: fc.constantFrom(...FORMATS),
        streamed: fc.boolean(),
        splits: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
        gzip: fc.boolean(),
        status: fc.constantFrom(200, 200, 200, 201, 400, 401, 404, 422, 429, 500, 529),
        text: fc.string({ unit: "grapheme", maxLength: 200 }),
        hasTools: fc.boolean(),
        hasUsage: fc.boolean(),
      }),
      async ({ format, streamed, hasTools, hasUsage, text, ...rest }) => {
        reply = {
          ...rest,
          text: `${text}.`,
          reasoning: hasTools ? `${text}!` : undefined,
          toolCalls: hasTools ? [{ id: "call_1", name: "bash", arguments: { command: text } }] : [],
          ...(!hasUsage && { usage: null }),
        };
        const direct = await send(upstream.url, format, { streamed });
        const relayed = await send(gateway.url, format, { streamed });
        equal(relayed.status, direct.status);
        deepEqual(relevantHeaders(relayed), relevantHeaders(direct));
        deepEqual(await bytesOf(relayed), await bytesOf(direct));
      },
    ),
    { numRuns: 60 },
  );
  await settled(gateway);
  checkBooks(gateway);
});

Deno.test("a reply passes unchanged when every byte of it comes alone", async () => {
  await using upstream = startFakeUpstream(() => ({ splits: [1], toolCalls: [{ id: "a", name: "b", arguments: {} }] }));
  await using gateway = await openGateway(upstream.url);
  for (const format of FORMATS) {
    const direct = await bytesOf(await send(upstream.url, format, { streamed: true }));
    deepEqual(await bytesOf(await send(gateway.url, format, { streamed: true })), direct);
  }
  await settled(gateway);
  deepEqual(
    gateway.rows().map(({ input, output, usage_source }) => ({ input, output, usage_source })),
    FORMATS.map(() => ({ input: 100, output: 10, usage_source: "provider" })),
  );
});

Deno.test("a request arrives as it was sent, with the real key in place of all credentials", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const { key } = gateway.gateway.ledger.issueKey({ run: "r", worker: "alice" });
  const secrets = [DUMMY_KEY, key];
  const dummies = {
    authorization: `Bearer ${key}`,
    "x-api-key": DUMMY_KEY,
    "x-goog-api-key": DUMMY_KEY,
    "api-key": DUMMY_KEY,
  };
  const expected: Record<DialectId, Record<string, string>> = {
    anthropic: { "x-api-key": REAL_KEY, authorization: `Bearer ${REAL_KEY}` },
    openai_chat: { authorization: `Bearer ${REAL_KEY}` },
    openai_responses: { authorization: `Bearer ${REAL_KEY}` },
    gemini: { "x-goog-api-key": REAL_KEY },
  };
  for (const format of FORMATS) {
    for (const streamed of [false, true]) {
      for (const prefix of ["", "/w/alice"]) {
        const changes = { odd: "\u2028\\ud800", n: 1e21, nested: [{ key: DUMMY_KEY.slice(0, 2) }] };
        await bytesOf(await send(upstream.url, format, { streamed, changes }));
        const headers = { ...dummies, "x-forwarded-for": "10.0.0.1", "x-gocore-run": "r", cookie: "a=b" };
        const response = await send(gateway.url, format, { streamed, changes, prefix, headers });
        equal(response.status, 200, await response.text());
        const [direct, relayed] = upstream.requests.slice(-2);
        deepEqual(passedOn(relayed!), passedOn(direct!));
        deepEqual(credentialsOf(relayed!), expected[format]);
        const whole = JSON.stringify(relayed!.rawHeaders) + relayed!.target + new TextDecoder().decode(relayed!.body);
        for (const secret of secrets) ok(!whole.includes(secret), whole);
      }
    }
  }
  await settled(gateway);
  deepEqual(new Set(gateway.rows().map(({ run, worker }) => `${run}/${worker}`)), new Set(["r/alice"]));
});

Deno.test("a body keeps its bytes: odd spaces, duplicate names and numbers that JavaScript cannot hold", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const body =
    '{ "model" :"gpt-5",\r\n\t"messages":[], "seed": 12345678901234567890, "a":1.0, "a":2e0, "max_tokens":9 }\n';
  const response = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body });
  equal(response.status, 200);
  await response.body?.cancel();
  equal(new TextDecoder().decode(upstream.requests[0]!.body), body);
});

Deno.test("a body that the client compressed arrives plain", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const { path, body, headers } = requestFor("anthropic");
  const compressed = await bytesOf(
    new Response(new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"))),
  );
  const response = await fetch(gateway.url + path, {
    method: "POST",
    body: compressed,
    headers: { ...headers, "content-encoding": "gzip" },
  });
  equal(response.status, 200);
  await response.body?.cancel();
  const [request] = upstream.requests;
  equal(new TextDecoder().decode(request!.body), body);
  equal(request!.headers.get("content-encoding"), null);
});

Deno.test("the query passes as it is, but for the key in it", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const { body } = requestFor("gemini");
  const path = `/v1beta/models/${MODELS.gemini}:streamGenerateContent`;
  for (const query of ["alt=sse&key=k1&x=a%20b+c", `key=${DUMMY_KEY}&alt=sse`, "%6Bey=k1", "alt=sse&"]) {
    const response = await fetch(`${gateway.url}${path}?${query}`, { method: "POST", body });
    equal(response.status, 200);
    await response.body?.cancel();
  }
  deepEqual(
    upstream.requests.map(({ target }) => target),
    [`${path}?alt=sse&x=a%20b+c`, `${path}?alt=sse`, path, `${path}?alt=sse&`],
  );
});

Deno.test("a base URL may have a path, and a version that replaces the client's", async () => {
  await using upstream = startFakeUpstream();
  const found: string[] = [];
  for (const base of ["", "/proxy", "/proxy/v3"]) {
    await using gateway = await openGateway(upstream.url + base);
    for (const path of ["/v1/chat/completions", "/chat/completions", "/w/bob/v1/chat/completions"]) {
      const { body } = requestFor("openai_chat");
      await (await fetch(gateway.url + path, { method: "POST", body })).body?.cancel();
      found.push(upstream.requests.at(-1)!.target);
    }
    await (await send(gateway.url, "gemini", { streamed: true })).body?.cancel();
    found.push(upstream.requests.at(-1)!.target);
  }
  const gemini = `/models/${MODELS.gemini}:streamGenerateContent?alt=sse`;
  deepEqual(found, [
    ...Array(3).fill("/v1/chat/completions"),
    `/v1beta${gemini}`,
    ...Array(3).fill("/proxy/v1/chat/completions"),
    `/proxy/v1beta${gemini}`,
    ...Array(3).fill("/proxy/v3/chat/completions"),
    `/proxy/v3${gemini}`,
  ]);
});

Deno.test("an upstream's cookies do not pass, nor what it says in the gateway's name", async () => {
  const headers = {
    "x-gocore-call": "forged",
    "x-gocore-cost-usd": "0.5",
    "x-gocore-other": "forged",
    "x-other": "passes",
  };
  await using upstream = startFakeUpstream(() => ({ headers }));
  await using gateway = await openGateway(upstream.url);
  for (const streamed of [false, true]) {
    const response = await send(gateway.url, "anthropic", { streamed });
    await response.text();
    deepEqual(
      ["x-gocore-other", "set-cookie", "x-other"].map((name) => response.headers.get(name)),
      [null, null, "passes"],
    );
    await settled(gateway);
    equal(response.headers.get("x-gocore-call"), gateway.rows().at(-1)!.id);
  }
});

Deno.test("a redirect is neither followed nor handed on: either would carry a key away", async () => {
  await using elsewhere = startFakeUpstream();
  await using upstream = startFakeUpstream(() => ({
    status: 307,
    headers: { location: `${elsewhere.url}/v1/messages` },
    body: "",
  }));
  await using gateway = await openGateway(upstream.url);
  const response = await send(gateway.url, "anthropic");
  deepEqual([response.status, response.headers.get("location")], [502, null]);
  await response.body?.cancel();
  equal(elsewhere.requests.length, 0);
});

Deno.test("lists of models and counts of tokens pass, and cost nothing", async () => {
  const body = { input_tokens: 14 };
  await using upstream = startFakeUpstream(({ target }) => target.includes("count") ? { body } : {});
  await using gateway = await openGateway(upstream.url, { caps: { run: 0 } });
  const models = await fetch(`${gateway.url}/w/a/v1/models?limit=2`, { headers: { "x-api-key": DUMMY_KEY } });
  deepEqual(await models.json(), { object: "list", data: [{ id: "a-model", object: "model" }] });
  const counted = await fetch(`${gateway.url}/v1/messages/count_tokens`, {
    method: "POST",
    body: JSON.stringify({ model: "claude-sonnet-4-5", messages: [] }),
  });
  deepEqual(await counted.json(), body);
  deepEqual(
    upstream.requests.map(({ method, target }) => `${method} ${target}`),
    ["GET /v1/models?limit=2", "POST /v1/messages/count_tokens"],
  );
  deepEqual(gateway.rows(), []);
});

// --- 3. No buffering

for (const format of FORMATS) {
  Deno.test(`each piece of a ${format} stream reaches the client before the next one is there`, async () => {
    const arrived = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    let sent = "";
    await using upstream = startFakeUpstream(() => ({
      splits: [90],
      beforePiece: (index) => arrived[index - 1]?.promise,
    }));
    await using gateway = await openGateway(upstream.url);
    const direct = startFakeUpstream();
    sent = await (await send(direct.url, format, { streamed: true })).text();
    await direct[Symbol.asyncDispose]();
    const response = await inTime(send(gateway.url, format, { streamed: true }), "the head comes before the body");
    const reader = response.body!.getReader();
    const pieces: Uint8Array[] = [];
    for (let index = 0;; index++) {
      const { done, value } = await inTime(reader.read(), `piece ${index} comes`);
      if (done) break;
      pieces.push(value);
      arrived[index]?.resolve();
    }
    equal(new TextDecoder().decode(concat(pieces)), sent);
    ok(pieces.length > 4);
    await settled(gateway);
    deepEqual(gateway.rows().map(({ outcome }) => outcome), ["answered"]);
  });
}

Deno.test("a stream may take as long as a call may, as long as something comes of it", async () => {
  let nowMs = 0;
  const held = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  await using upstream = startFakeUpstream(() => ({ splits: [200], beforePiece: (index) => held[index - 1]?.promise }));
  // What is a time-out of 40 ms for a head that has come, makes the gateway look at its clock every 10 ms.
  await using gateway = await openGateway(upstream.url, {
    firstByteTimeoutMs: 40,
    idleTimeoutMs: 1000,
    monotonicMs: () => nowMs,
  });
  const response = await send(gateway.url, "anthropic", { streamed: true });
  const reader = response.body!.getReader();
  for (const one of held) {
    await inTime(reader.read(), "a piece comes");
    nowMs += 999;
    // Time for a gateway that errs to give up.
    await new Promise((resolve) => setTimeout(resolve, 50));
    one.resolve();
  }
  while (!(await inTime(reader.read(), "the stream ends")).done);
  await settled(gateway);
  deepEqual(gateway.rows().map(({ outcome }) => outcome), ["answered"]);
});

// --- 4. Clients that leave

Deno.test("when the client leaves, the upstream loses its connection, and the call is settled", async (t) => {
  for (const format of FORMATS) {
    await t.step(`${format}, in the middle of a stream`, async () => {
      await using upstream = startFakeUpstream(() => ({
        beforePiece: (index) => index === 3 ? new Promise(() => {}) : undefined,
      }));
      await using gateway = await openGateway(upstream.url);
      const leaving = new AbortController();
      const response = await send(gateway.url, format, { streamed: true, signal: leaving.signal });
      await response.body!.getReader().read();
      leaving.abort();
      await inTime(upstream.requested(1), "the request comes");
      equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
      await settled(gateway);
      checkBooks(gateway);
      const [row] = gateway.rows();
      const { outcome, usage_source, cost_source } = row!;
      deepEqual({ outcome, usage_source, cost_source }, {
        outcome: "client_gone",
        usage_source: "estimated",
        cost_source: "estimated",
      });
      ok(row!.cost! > 0 && row!.cost! < row!.reserved!, JSON.stringify(row));
      equal(row!.counted, row!.reserved);
    });

    await t.step(`${format}, before the head`, async () => {
      await using upstream = startFakeUpstream(() => ({ fault: { kind: "hang" } }));
      await using gateway = await openGateway(upstream.url);
      const leaving = new AbortController();
      const asking = send(gateway.url, format, { signal: leaving.signal });
      await inTime(upstream.requested(1), "the request comes");
      leaving.abort();
      await rejects(asking, { name: "AbortError" });
      equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
      await settled(gateway);
      checkBooks(gateway);
      const [row] = gateway.rows();
      equal(row!.outcome, "client_gone");
      // The model may have worked unseen.
      deepEqual([row!.cost, row!.counted], [row!.reserved, row!.reserved]);
    });

    await t.step(`${format}, when it has all it needs`, async () => {
      const whole = startFakeUpstream();
      const size = (await bytesOf(await send(whole.url, format, { streamed: true }))).length;
      await whole[Symbol.asyncDispose]();
      await using upstream = startFakeUpstream(() => ({ fault: { kind: "stall", afterBytes: size } }));
      await using gateway = await openGateway(upstream.url);
      const leaving = new AbortController();
      const response = await send(gateway.url, format, { streamed: true, signal: leaving.signal });
      const reader = response.body!.getReader();
      for (let got = 0; got < size;) got += (await reader.read()).value!.length;
      leaving.abort();
      equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
      await settled(gateway);
      checkBooks(gateway);
      deepEqual(shortRows(gateway), [
        { outcome: "answered", status: 200, usage_source: "provider", cost_source: "list", attempts: 1 },
      ]);
      const [row] = gateway.rows();
      equal(row!.counted, row!.cost);
      ok(row!.cost! < row!.reserved!);
    });
  }
});

Deno.test({
  name: "a client whose body came after the head is missed as well when it leaves before the reply",
  // Where Linux does not tell, the runtime's own signal is all there is.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using upstream = startFakeUpstream(() => ({ fault: { kind: "hang" } }));
    await using gateway = await openGateway(upstream.url);
    const { hostname, port } = new URL(gateway.url);
    const body = JSON.stringify({ model: MODELS.anthropic, max_tokens: 9, messages: [], note: "x".repeat(4000) });
    const client = await Deno.connect({ hostname, port: Number(port) });
    const head = `POST /v1/messages HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-length: ${body.length}\r\n\r\n`;
    for (const part of [head, body]) await client.write(new TextEncoder().encode(part));
    await inTime(upstream.requested(1), "the request comes");
    client.close();
    equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
    await settled(gateway);
    deepEqual(gateway.rows().map(({ outcome }) => outcome), ["client_gone"]);
  },
});

Deno.test("a client that leaves the queue takes nothing with it", async () => {
  const first = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream((_, index) => index === 0 ? { beforeHead: () => first.promise } : {});
  await using gateway = await openGateway(upstream.url, { rates: [{ concurrency: 1 }] });
  const one = send(gateway.url, "anthropic");
  await inTime(upstream.requested(1), "the first is under way");
  const leaving = new AbortController();
  const two = send(gateway.url, "openai_chat", { signal: leaving.signal });
  await inTime(gateway.stated("rate.waiting", 1), "the second waits");
  const three = send(gateway.url, "gemini");
  await inTime(gateway.stated("rate.waiting", 2), "the third waits");
  leaving.abort();
  await rejects(two, { name: "AbortError" });
  first.resolve();
  await Promise.all(
    [one, three].map(async (response) => equal((await response).status, 200, await (await response).text())),
  );
  await settled(gateway);
  deepEqual(upstream.requests.map(({ format }) => format), ["anthropic", "gemini"]);
  deepEqual(
    gateway.eventsOf("rate.waiting").map(({ reason, ahead, wait_ms }) => ({ reason, ahead, wait_ms })),
    [{ reason: "concurrency", ahead: 0, wait_ms: null }, { reason: "concurrency", ahead: 1, wait_ms: null }],
  );
  checkBooks(gateway);
  const health = await (await fetch(`${gateway.url}/health`)).json();
  deepEqual([health.open_calls, health.waiting_calls], [0, 0]);
});

// --- 5. Faults of upstreams

interface FaultCase {
  readonly reply: UpstreamReply;
  readonly settings?: Partial<GatewaySettings>;
  /** What the client sees. `broken`: a head with status 200, and a body that breaks off. */
  readonly whole: { status: number; kind: string } | "broken";
  readonly streamed: { status: number; kind: string } | "broken";
  readonly outcomes: readonly [whole: string, streamed: string];
}

const UPSTREAM_FAILED = { status: 502, kind: "upstream" };
const UPSTREAM_LATE = { status: 504, kind: "upstream_timeout" };

const FAULTS: Readonly<Record<string, FaultCase>> = {
  "closes the connection before the head": {
    reply: { fault: { kind: "refuse" } },
    whole: UPSTREAM_FAILED,
    streamed: UPSTREAM_FAILED,
    outcomes: ["unreachable", "unreachable"],
  },
  "breaks off in the body": {
    reply: { fault: { kind: "cut", afterBytes: 200 } },
    whole: UPSTREAM_FAILED,
    streamed: "broken",
    outcomes: ["cut", "cut"],
  },
  "does not begin": {
    reply: { fault: { kind: "hang" } },
    settings: { firstByteTimeoutMs: 300 },
    whole: UPSTREAM_LATE,
    streamed: UPSTREAM_LATE,
    outcomes: ["timeout", "timeout"],
  },
  "stalls in the body": {
    reply: { fault: { kind: "stall", afterBytes: 200 } },
    settings: { idleTimeoutMs: 300 },
    whole: UPSTREAM_LATE,
    streamed: "broken",
    outcomes: ["timeout", "timeout"],
  },
  "takes too long in all": {
    reply: { fault: { kind: "stall", afterBytes: 200 } },
    settings: { callTimeoutMs: 1500 },
    whole: UPSTREAM_LATE,
    streamed: "broken",
    outcomes: ["timeout", "timeout"],
  },
};

for (const [fault, { reply, settings, outcomes, ...expected }] of Object.entries(FAULTS)) {
  Deno.test(`an upstream that ${fault}: each client learns it in its own format`, async () => {
    await using upstream = startFakeUpstream(() => reply);
    await using gateway = await openGateway(upstream.url, settings);
    await Promise.all(FORMATS.flatMap((format) =>
      [false, true].map(async (streamed, index) => {
        const want = streamed ? expected.streamed : expected.whole;
        const response = await inTime(send(gateway.url, format, { streamed }), "there is an answer");
        if (want === "broken") {
          equal(response.status, 200);
          await rejects(inTime(response.text(), "the body ends"), TypeError);
        } else {
          deepEqual(await refusalIn(response, format), { ...want, terminal: false });
        }
        await settled(gateway);
        const row = gateway.rows().find(({ id }) => id === response.headers.get("x-gocore-call"))!;
        deepEqual([row.outcome, row.cost_source], [outcomes[index], "estimated"]);
        ok(row.cost! > 0 && row.cost! <= row.reserved!, JSON.stringify(row));
      })
    ));
    checkBooks(gateway);
    for (const request of upstream.requests) ok(await inTime(request.ended, "the upstream is rid of it") !== "sent");
  });
}

Deno.test("an upstream where nobody listens: 502, and nothing is spent", async () => {
  await using gateway = await openGateway(closedAddress());
  for (const format of FORMATS) {
    for (const streamed of [false, true]) {
      const response = await send(gateway.url, format, { streamed });
      deepEqual(await refusalIn(response, format), { ...UPSTREAM_FAILED, terminal: false });
    }
  }
  await settled(gateway);
  checkBooks(gateway);
  deepEqual(
    gateway.rows().map(({ outcome, status, cost }) => ({ outcome, status, cost })),
    Array(8).fill({ outcome: "unreachable", status: null, cost: 0 }),
  );
});

Deno.test("an error of the upstream passes as it is, and costs nothing", async () => {
  const statuses = [400, 401, 403, 404, 413, 422, 429, 500, 503, 529];
  let status = 0;
  await using upstream = startFakeUpstream(() => ({ status }));
  await using gateway = await openGateway(upstream.url);
  for (status of statuses) {
    for (const format of FORMATS) {
      const direct = await send(upstream.url, format);
      const relayed = await send(gateway.url, format);
      deepEqual([relayed.status, await relayed.text()], [status, await direct.text()]);
    }
  }
  await settled(gateway);
  checkBooks(gateway);
  deepEqual(
    gateway.rows().map(({ outcome, status, cost }) => ({ outcome, status, cost })),
    statuses.flatMap((status) => Array(4).fill({ outcome: "refused", status, cost: 0 })),
  );
});

Deno.test("a reply without an end is given up, in bounded memory", async () => {
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "endless" } }));
  await using gateway = await openGateway(upstream.url);
  const response = await inTime(send(gateway.url, "openai_chat"), "it is given up");
  deepEqual(await refusalIn(response, "openai_chat"), { ...UPSTREAM_FAILED, terminal: false });
  equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
  const free = await inTime(fetch(`${gateway.url}/v1/models`), "what costs nothing is given up, too");
  deepEqual(await refusalIn(free, "openai_chat"), { ...UPSTREAM_FAILED, terminal: false });
  checkBooks(gateway);
});

Deno.test("a client that takes nothing from its stream is given up", async () => {
  await using upstream = startFakeUpstream(() => ({
    headers: { "content-type": "text/event-stream" },
    body: ": hello\n\n",
    fault: { kind: "endless" },
  }));
  await using gateway = await openGateway(upstream.url, { idleTimeoutMs: 100 });
  const { path, body, headers } = requestFor("anthropic", { streamed: true });
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(gateway.url).port) });
  await socket.write(httpRequest("POST", path, { headers, body }));
  await inTime(gateway.stated("model.answered", 1), "the call ends");
  equal(await inTime(upstream.requests[0]!.ended, "the upstream notices"), "client_gone");
  equal(gateway.rows()[0]!.outcome, "timeout");
  checkBooks(gateway);
});

Deno.test("a reply that tells no usage is estimated, never free", async () => {
  await using upstream = startFakeUpstream(() => ({ usage: null, text: "x".repeat(400) }));
  await using gateway = await openGateway(upstream.url);
  for (const format of FORMATS) {
    for (const streamed of [false, true]) await (await send(gateway.url, format, { streamed })).text();
  }
  await settled(gateway);
  for (const { outcome, usage_source, cost_source, output, cost } of gateway.rows()) {
    deepEqual({ outcome, usage_source, cost_source, output }, {
      outcome: "answered",
      usage_source: "estimated",
      cost_source: "estimated",
      output: 100,
    });
    ok(cost! > 0);
  }
});

Deno.test("a pause that the upstream asks of one caller holds for the others that want the same model", async () => {
  await using upstream = startFakeUpstream((_, index) =>
    index === 0 ? { status: 429, headers: { "retry-after": "300" } } : {}
  );
  await using gateway = await openGateway(upstream.url, { queueTimeoutMs: 400_000 });
  const refused = await send(gateway.url, "anthropic");
  equal(refused.headers.get("retry-after"), "300");
  equal(refused.status, 429, await refused.text());
  const leaving = new AbortController();
  const waiting = send(gateway.url, "anthropic", { signal: leaving.signal });
  await inTime(gateway.stated("rate.waiting", 1), "the next one waits");
  const [wait] = gateway.eventsOf("rate.waiting");
  equal(wait!.reason, "retry_after");
  ok(wait!.wait_ms! > 0 && wait!.wait_ms! <= 300_000);
  const other = await send(gateway.url, "anthropic", { model: "claude-haiku-4-5" });
  equal(other.status, 200, await other.text());
  leaving.abort();
  await rejects(waiting, { name: "AbortError" });
  equal(upstream.requests.length, 2);
  checkBooks(gateway);
});

Deno.test("a pause that is longer than anybody waits is told at once", async () => {
  await using upstream = startFakeUpstream(() => ({ status: 529, headers: { "retry-after": "3000" } }));
  await using gateway = await openGateway(upstream.url, { attempts: 3 });
  const first = await send(gateway.url, "gemini");
  equal(first.status, 529, await first.text());
  deepEqual(await refusalIn(await send(gateway.url, "gemini"), "gemini"), {
    status: 503,
    kind: "unavailable",
    terminal: false,
  });
  equal(upstream.requests.length, 1);
  checkBooks(gateway);
});

Deno.test("a call is tried again as often as it may be, is admitted once and paid once", async () => {
  const seen = new Map<string, number>();
  await using upstream = startFakeUpstream(({ format }) => {
    const count = (seen.get(format!) ?? 0) + 1;
    seen.set(format!, count);
    return count === 1 ? { status: 529 } : count === 2 ? { status: 500 } : {};
  });
  await using gateway = await openGateway(upstream.url, { attempts: 3 });
  const replies = await Promise.all(FORMATS.map((format) => send(gateway.url, format, { streamed: true })));
  for (const reply of replies) equal(reply.status, 200, await reply.text());
  await settled(gateway);
  checkBooks(gateway);
  deepEqual(
    shortRows(gateway),
    Array(4).fill({ outcome: "answered", status: 200, usage_source: "provider", cost_source: "list", attempts: 3 }),
  );
  equal(upstream.requests.length, 12);
  deepEqual(gateway.eventsOf("model.called").map(({ attempt }) => attempt).toSorted(), [
    1,
    1,
    1,
    1,
    2,
    2,
    2,
    2,
    3,
    3,
    3,
    3,
  ]);
});

Deno.test("the last of several attempts is handed on, whatever it says", async () => {
  await using upstream = startFakeUpstream(() => ({ status: 503, body: { sorry: true } }));
  await using gateway = await openGateway(upstream.url, { attempts: 2 });
  const response = await send(gateway.url, "openai_chat");
  deepEqual([response.status, await response.json()], [503, { sorry: true }]);
  equal(upstream.requests.length, 2);
  checkBooks(gateway);
});

Deno.test("a call that was sent and broke off is not sent again: it would be paid twice", async () => {
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "refuse" } }));
  await using gateway = await openGateway(upstream.url, { attempts: 3 });
  equal((await refusalIn(await send(gateway.url, "anthropic"), "anthropic")).status, 502);
  equal(upstream.requests.length, 1);
  checkBooks(gateway);
});

Deno.test("a call falls back to another model, in its body or path, at that one's price", async () => {
  const other: Record<DialectId, string> = {
    anthropic: "claude-haiku-4-5",
    openai_chat: "gpt-5-mini",
    openai_responses: "gpt-5-mini",
    gemini: "gemini-2.5-flash",
  };
  await using upstream = startFakeUpstream(({ json, target }) =>
    FORMATS.some((format) => json.model === other[format] || target.includes(other[format])) ? {} : { status: 503 }
  );
  await using gateway = await openGateway(upstream.url, {
    fallbacks: FORMATS.map((format) => ({ model: MODELS[format], to: [{ model: other[format] }] })),
    prices: Object.values(other).map((model) => priced(model, { input: 1, output: 2 })),
  });
  for (const format of FORMATS) {
    for (const streamed of [false, true]) {
      const response = await send(gateway.url, format, { streamed });
      equal(response.status, 200, await response.text());
      const [first, second] = upstream.requests.slice(-2);
      const swap = (text: string) => text.replace(MODELS[format], other[format]);
      equal(second!.target, swap(first!.target));
      deepEqual(second!.json, JSON.parse(swap(JSON.stringify(first!.json))));
    }
  }
  await settled(gateway);
  checkBooks(gateway);
  deepEqual(
    gateway.rows().map(({ model, cost, cost_source, attempts }) => ({ model, cost, cost_source, attempts })),
    FORMATS.flatMap((format) =>
      Array(2).fill({ model: other[format], cost: 120_000_000, cost_source: "user", attempts: 2 })
    ),
  );
});

Deno.test("a call falls back to another upstream, with that one's key, also when the first cannot be reached", async () => {
  await using busy = startFakeUpstream(() => ({ status: 529 }));
  await using other = startFakeUpstream();
  for (const first of [busy.url, closedAddress()]) {
    await using gateway = await openGateway("", {
      upstreams: [
        upstreamAt(first, { name: "first", models: ["claude-*"] }),
        upstreamAt(`${other.url}/second`, { name: "second", apiKey: "sk-second" }),
      ],
      fallbacks: [{ model: "claude-*", to: [{ upstream: "second" }] }],
    });
    const response = await send(gateway.url, "anthropic", { streamed: true });
    equal(response.status, 200, await response.text());
    const request = other.requests.at(-1)!;
    equal(request.target, "/second/v1/messages?beta=true");
    deepEqual(credentialsOf(request), { "x-api-key": "sk-second", authorization: "Bearer sk-second" });
    await settled(gateway);
    checkBooks(gateway);
    deepEqual(
      gateway.rows().map(({ upstream, model, attempts }) => ({ upstream, model, attempts })),
      [{ upstream: "second", model: MODELS.anthropic, attempts: 2 }],
    );
  }
});

Deno.test("a fallback that the budget does not allow is refused, and the call costs nothing", async () => {
  await using upstream = startFakeUpstream(() => ({ status: 503 }));
  await using gateway = await openGateway(upstream.url, {
    caps: { run: 0.01 },
    fallbacks: [{ model: "cheap", to: [{ model: "dear" }] }],
    prices: [priced("cheap", { input: 1, output: 1 }), priced("dear", { input: 1000, output: 1000 })],
  });
  const response = await send(gateway.url, "anthropic", { model: "cheap" });
  deepEqual(await refusalIn(response, "anthropic"), { status: 402, kind: "budget", terminal: true });
  equal(upstream.requests.length, 1);
  checkBooks(gateway);
  deepEqual(gateway.rows().map(({ outcome, cost }) => ({ outcome, cost })), [{ outcome: "refused", cost: 0 }]);
  deepEqual(gateway.eventsOf("budget.refused").map((event) => event["gen_ai.request.model"]), ["dear"]);
});

// --- 6. Refusals

function httpRequest(
  method: string,
  target: string,
  { headers = {}, body = "", host = "127.0.0.1" }: { headers?: Record<string, string>; body?: string; host?: string } =
    {},
): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const lines = Object.entries({
    host,
    ...(method === "POST" && { "content-length": String(bytes.length) }),
    ...headers,
  });
  return concat([
    new TextEncoder().encode(
      `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
    ),
    bytes,
  ]);
}

/** Sends bytes and reads one reply with a body of known length. */
async function exchange(
  url: string,
  bytes: Uint8Array,
  { listens = "at once" }: { listens?: "at once" | "afterwards" } = {},
): Promise<Response> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const sending = (async () => {
    for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
  })();
  if (listens === "afterwards") await sending;
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  while (true) {
    const [, status, head, body] = /^HTTP\/1\.1 (\d+) [^\r]*\r\n([^]*?)\r\n\r\n([^]*)$/.exec(text) ?? [];
    const length = Number(/^content-length: (\d+)/im.exec(head ?? "")?.[1]);
    if (status !== undefined && new TextEncoder().encode(body!).length >= length) {
      const headers = head!.split("\r\n").map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      });
      await sending;
      return new Response(body, { status: Number(status), headers });
    }
    const count = await inTime(socket.read(buffer), "a reply comes");
    if (count === null) throw new Error(`The connection was closed after ${JSON.stringify(text)}`);
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

Deno.test("who may ask: virtual keys, in every header and in the query, for their worker alone", async () => {
  await using upstream = startFakeUpstream();
  let nowMs = Date.now();
  await using gateway = await openGateway(upstream.url, { requireKey: true, now: () => nowMs });
  const { ledger } = gateway.gateway;
  const alice = ledger.issueKey({ run: "r1", worker: "alice" });
  const ended = ledger.issueKey({ run: "r1", worker: "bob" });
  ledger.endKey(ended.id);
  const leased = ledger.issueKey({ run: "r1", worker: "carol", leaseMs: 1000 });
  const bodyOf = requestFor("gemini");
  const ask = async (key: string | undefined, { prefix = "", header = "x-goog-api-key" } = {}) => {
    const headers: Record<string, string> = key === undefined ? {} : { [header]: key };
    const response = await fetch(`${gateway.url}${prefix}${bodyOf.path}`, {
      method: "POST",
      body: bodyOf.body,
      headers,
    });
    if (response.ok) return (await response.body?.cancel(), 200);
    const { status, kind } = await refusalIn(response, "gemini");
    return `${status} ${kind}`;
  };
  equal(await ask(alice.key), 200);
  equal(await ask(`Bearer ${alice.key}`, { header: "authorization" }), 200);
  equal(await ask(`bearer  ${alice.key}`, { header: "authorization" }), 200);
  equal(await ask(alice.key, { header: "x-api-key" }), 200);
  equal(await ask(alice.key, { header: "api-key" }), 200);
  equal(await ask(alice.key, { prefix: "/w/alice" }), 200);
  const query = await fetch(`${gateway.url}${bodyOf.path}?key=${alice.key}`, { method: "POST", body: bodyOf.body });
  equal(query.status, 200, await query.text());
  ok(!upstream.requests.at(-1)!.target.includes("key"));
  equal(await ask(leased.key), 200);
  const count = upstream.requests.length;
  nowMs += 1001;
  equal(await ask(leased.key), "401 authentication");
  equal(await ask(ended.key), "401 authentication");
  equal(await ask(`gck_${"x".repeat(32)}`), "401 authentication");
  equal(await ask("gck_"), "401 authentication");
  equal(await ask(undefined), "401 authentication");
  equal(await ask(DUMMY_KEY), "401 authentication");
  equal(await ask(alice.key, { prefix: "/w/bob" }), "403 forbidden");
  equal(upstream.requests.length, count);
  await settled(gateway);
  deepEqual(
    new Set(gateway.rows().map(({ run, worker, key_id }) => `${run}/${worker}/${key_id}`)),
    new Set([`r1/alice/${alice.id}`, `r1/carol/${leased.id}`]),
  );
});

Deno.test("who may ask: without keys everybody on this machine, with a token whoever knows it", async () => {
  await using upstream = startFakeUpstream();
  await using open = await openGateway(upstream.url, { run: "mine" });
  const response = await send(open.url, "anthropic", { prefix: "/w/bob" });
  equal(response.status, 200, await response.text());
  await settled(open);
  deepEqual(
    open.rows().map(({ run, worker, key_id }) => ({ run, worker, key_id })),
    [{ run: "mine", worker: "bob", key_id: null }],
  );
  const token = "token-8e1d3f";
  await using guarded = await openGateway(upstream.url, { token });
  equal((await refusalIn(await send(guarded.url, "anthropic"), "anthropic")).status, 401);
  const known = await send(guarded.url, "anthropic", { headers: { "x-api-key": token } });
  equal(known.status, 200, await known.text());
  for (const { rawHeaders } of upstream.requests) ok(!JSON.stringify(rawHeaders).includes(token));
});

Deno.test("what is asked wrongly is refused in the format that was meant, and never reaches an upstream", async () => {
  await using upstream = startFakeUpstream();
  const noKey = { name: "keyless", dialects: ["gemini"], apiKey: undefined, keySource: "NO_SUCH_KEY" } as const;
  await using gateway = await openGateway("", {
    upstreams: [
      upstreamAt(upstream.url, {
        dialects: ["anthropic", "openai_chat", "openai_responses"],
        models: ["claude-*", "gpt-*"],
      }),
      upstreamAt(upstream.url, noKey),
    ],
    maxBodyBytes: 2000,
  });
  const post = (path: string, body: BodyInit, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, { method: "POST", body, headers });
  const bomb = await bytesOf(
    new Response(new Blob([new Uint8Array(20_000_000)]).stream().pipeThrough(new CompressionStream("gzip"))),
  );
  const unannounced = new Blob([new Uint8Array(8_000_000)]).stream();
  const cases: readonly [DialectId, string, Promise<Response>][] = [
    ["anthropic", "404 not_found", post("/v1/messages/batches", "{}")],
    ["openai_chat", "404 not_found", post("/v1/embeddings", "{}")],
    ["gemini", "404 not_found", post("/v1beta/models/x:embedContent", "{}")],
    ["openai_responses", "404 not_found", fetch(`${gateway.url}/v1/responses/resp_1`)],
    ["openai_chat", "404 not_found", post("/w/../v1/nothing", "{}")],
    ["anthropic", "405 method_not_allowed", fetch(`${gateway.url}/v1/messages`)],
    ["openai_chat", "405 method_not_allowed", fetch(`${gateway.url}/v1/chat/completions`, { method: "DELETE" })],
    ["gemini", "405 method_not_allowed", fetch(`${gateway.url}/v1beta/models/x:generateContent`)],
    ["anthropic", "400 bad_request", post("/v1/messages", "{")],
    ["openai_chat", "400 bad_request", post("/v1/chat/completions", "[]")],
    ["openai_responses", "400 bad_request", post("/v1/responses", new Uint8Array([0x22, 0xff, 0x22]))],
    ["openai_chat", "400 bad_request", post("/v1/chat/completions", "")],
    ["anthropic", "400 bad_request", post("/v1/messages", '{"messages":[]}')],
    ["openai_responses", "400 bad_request", post("/v1/responses", '{"model":7}')],
    ["openai_chat", "404 not_found", post("/v1/chat/completions", '{"model":"nobody-serves-this"}')],
    ["gemini", "403 forbidden", post("/v1beta/models/gemini-2.5-pro:generateContent", "{}")],
    ["anthropic", "413 too_large", post("/v1/messages", "x".repeat(2001))],
    ["openai_chat", "413 too_large", post("/v1/chat/completions", unannounced)],
    ["openai_chat", "413 too_large", post("/v1/chat/completions", "x".repeat(20_000_000))],
    ["anthropic", "413 too_large", post("/v1/messages", bomb, { "content-encoding": "gzip" })],
    ["anthropic", "400 bad_request", post("/v1/messages", "no gzip", { "content-encoding": "gzip" })],
    ["openai_chat", "415 unsupported_encoding", post("/v1/chat/completions", "{}", { "content-encoding": "zstd" })],
    ["openai_chat", "403 forbidden", post("/v1/chat/completions", "{}", { origin: "https://evil.example" })],
    ["openai_chat", "403 forbidden", post("/v1/chat/completions", "{}", { origin: "null" })],
  ];
  for (const [index, [format, expected, asking]] of cases.entries()) {
    const { status, kind, terminal } = await refusalIn(await inTime(asking, `case ${index} is answered`), format);
    deepEqual([`${status} ${kind}`, terminal], [expected, true], `case ${index}`);
  }
  const raw: readonly [DialectId, string, Uint8Array][] = [
    ["anthropic", "421 misdirected", httpRequest("POST", "/v1/messages", { host: "evil.example", body: "{}" })],
    ["anthropic", "421 misdirected", httpRequest("POST", "/v1/messages", { host: "127.0.0.1.evil.example:80" })],
    [
      "openai_responses",
      "426 upgrade_refused",
      httpRequest("GET", "/v1/responses", {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-key": "x",
          "sec-websocket-version": "13",
        },
      }),
    ],
  ];
  for (const [format, expected, bytes] of raw) {
    const { status, kind } = await refusalIn(await exchange(gateway.url, bytes), format);
    equal(`${status} ${kind}`, expected);
  }
  equal(upstream.requests.length, 0);
  deepEqual(gateway.rows(), []);
  const events = new Set(gateway.events.map(({ type }) => type));
  deepEqual([...events], ["gateway.listening", "log"]);
});

Deno.test("a client that sends all of its large body before it listens hears that it is too large", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { maxBodyBytes: 1000 });
  const bytes = httpRequest("POST", "/v1/messages", { body: "x".repeat(8_000_000) });
  deepEqual(await refusalIn(await exchange(gateway.url, bytes, { listens: "afterwards" }), "anthropic"), {
    status: 413,
    kind: "too_large",
    terminal: true,
  });
});

Deno.test("headers that are too large are refused", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { maxHeaderBytes: 4000 });
  const response = await send(gateway.url, "anthropic", { headers: { "x-large": "x".repeat(4000) } });
  deepEqual(await refusalIn(response, "anthropic"), { status: 431, kind: "headers_too_large", terminal: true });
});

Deno.test("a body that does not come is refused", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { requestTimeoutMs: 50 });
  const unfinished = httpRequest("POST", "/v1/messages", { headers: { "content-length": "100" }, body: '{"model":' });
  deepEqual(await refusalIn(await exchange(gateway.url, unfinished), "anthropic"), {
    status: 408,
    kind: "request_timeout",
    terminal: false,
  });
  equal(upstream.requests.length, 0);
});

Deno.test("connections that never finish their head keep nobody from being served", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const port = Number(new URL(gateway.url).port);
  const idle = await Promise.all(Array.from({ length: 200 }, () => Deno.connect({ hostname: "127.0.0.1", port })));
  try {
    await Promise.all(
      idle.map((socket) => socket.write(new TextEncoder().encode("POST /v1/messages HTTP/1.1\r\nhos"))),
    );
    const replies = await inTime(
      Promise.all(FORMATS.flatMap((format) => Array.from({ length: 8 }, () => send(gateway.url, format)))),
      "others are served",
    );
    for (const reply of replies) equal(reply.status, 200, await reply.text());
    await inTime(gateway.gateway.close(), "the gateway ends all the same");
  } finally {
    for (const socket of idle) socket.close();
  }
});

Deno.test("a call of unknown price under a cap is refused with the numbers", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { caps: { run: 5, day: 7 } });
  for (const format of FORMATS) {
    const response = await send(gateway.url, format, { model: "nobody-knows-me" });
    equal(response.status, 402);
    const { error } = await response.json();
    ok(error.message.includes('"nobody-knows-me"') && error.message.includes("[prices]"), error.message);
    deepEqual(error.gocore, {
      scope: "run",
      scope_id: "default",
      cap_usd: 5,
      spent_usd: 0,
      reserved_usd: 0,
      needed_usd: null,
      kind: "budget",
      terminal: true,
    });
  }
  equal(upstream.requests.length, 0);
  await using careless = await openGateway(upstream.url, { caps: { run: 5 }, unknownPrice: "allow" });
  const response = await send(careless.url, "openai_chat", { model: "nobody-knows-me" });
  equal(response.status, 200, await response.text());
  deepEqual(careless.rows().map(({ cost, cost_source }) => ({ cost, cost_source })), [
    { cost: null, cost_source: "unknown" },
  ]);
});

Deno.test("a cap that is reached stops every format's clients for good", async () => {
  await using upstream = startFakeUpstream(() => ({
    usage: { input: 10, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
  }));
  await using gateway = await openGateway(upstream.url, {
    caps: { worker: 0.15 },
    prices: [priced("*", { input: 0, output: 1000 })],
  });
  for (const format of FORMATS) {
    const prefix = `/w/${format}`;
    const paid = await send(gateway.url, format, { prefix });
    equal(paid.headers.get("x-gocore-cost-usd"), "0.1");
    equal(paid.status, 200, await paid.text());
    const response = await send(gateway.url, format, { prefix, streamed: true });
    const copy = response.clone();
    deepEqual(await refusalIn(response, format), { status: 402, kind: "budget", terminal: true });
    const { error } = await copy.json();
    deepEqual(error.gocore, {
      scope: "worker",
      scope_id: `default/${format}`,
      cap_usd: 0.15,
      spent_usd: 0.1,
      reserved_usd: 0,
      needed_usd: 0.1,
      kind: "budget",
      terminal: true,
    });
  }
  checkBooks(gateway);
  deepEqual(
    gateway.eventsOf("budget.refused").map(({ scope_id, spent_usd, needed_usd }) => ({
      scope_id,
      spent_usd,
      needed_usd,
    })),
    FORMATS.map((format) => ({ scope_id: `default/${format}`, spent_usd: 0.1, needed_usd: 0.1 })),
  );
});

Deno.test("a request that nothing recorded fits is refused", async () => {
  await using upstream = startFakeUpstream();
  const dir = await Deno.makeTempDir();
  try {
    await using recording = await openGateway(upstream.url, { source: { kind: "upstreams", recordDir: dir } });
    await (await send(recording.url, "anthropic")).text();
    await recording.gateway.close();
    await using replaying = await openGateway(upstream.url, { source: { kind: "replay", dir } });
    const known = await send(replaying.url, "anthropic");
    equal(known.status, 200, await known.text());
    const unknown = await send(replaying.url, "anthropic", { changes: { temperature: 0.5 } });
    deepEqual(await refusalIn(unknown, "anthropic"), { status: 409, kind: "no_recording", terminal: true });
    equal(upstream.requests.length, 1);
    checkBooks(replaying);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a call that broke off may have used its tokens, and they count against the limit of a minute", async () => {
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "cut", afterBytes: 150 } }));
  await using gateway = await openGateway(upstream.url, { rates: [{ tokensPerMinute: 2100 }], queueTimeoutMs: 0 });
  const changes = { max_tokens: 2000 };
  const kinds = [];
  for (let i = 0; i < 2; i++) {
    kinds.push((await refusalIn(await send(gateway.url, "openai_chat", { changes }), "openai_chat")).kind);
  }
  deepEqual(kinds, ["upstream", "unavailable"]);
  equal(upstream.requests.length, 1);
  await settled(gateway);
  checkBooks(gateway);
});

// --- 7. Budgets

Deno.test("64 callers at once are charged no more than the cap, and those who do not fit are told", async () => {
  const prices = { input: 10, output: 1000 };
  // What breaks off is charged in full all the same.
  const cut = { output: 100, fault: { kind: "cut", afterBytes: 150 } } as const;
  await using upstream = startFakeUpstream(({ streamed }, index) => {
    const { output, fault } = index % (streamed ? 2 : 5) === 1 ? cut : { output: 1 + (index * 37) % 100 };
    return {
      usage: { input: 5 + index % 7, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
      fault,
      ...(index % 5 === 2 && { status: 500 }),
    };
  });
  const capUsd = 2;
  await using gateway = await openGateway(upstream.url, { caps: { run: capUsd }, prices: [priced("*", prices)] });
  const statuses: number[] = [];
  // Each caller goes on until the cap stops it.
  const callers = Array.from({ length: 64 }, async (_, caller) => {
    for (let call = 0;; call++) {
      const format = FORMATS[(caller + call) % FORMATS.length]!;
      const streamed = (caller + call) % 3 === 0;
      const response = await send(gateway.url, format, { streamed, prefix: `/w/w${caller}` });
      await response.text().catch(() => {});
      statuses.push(response.status);
      if (response.status === 402) return;
    }
  });
  await inTime(Promise.all(callers), "the cap has stopped everyone");
  await settled(gateway);
  checkBooks(gateway);
  equal(statuses.filter((status) => status === 402).length, 64);
  ok(statuses.filter((status) => status === 200).length > 10);
  // In picodollars, so that it is exact.
  const charged = upstream.charges.reduce(
    (sum, { usage }) => sum + (usage.input * prices.input + usage.output * prices.output) * 1e6,
    0,
  );
  const { spentUsd } = gateway.gateway.ledger.spent({ scope: "run", id: "default" });
  const counted = Math.round(spentUsd * 1e12);
  ok(charged <= counted && counted <= capUsd * 1e12, `charged ${charged}, in the ledger ${counted}`);
  equal(gateway.rows().length, upstream.requests.length);
  const cutStreams = gateway.rows().filter(({ outcome, streamed }) => outcome === "cut" && streamed === 1);
  ok(cutStreams.length > 0);
  ok(cutStreams.every(({ cost, counted, reserved }) => counted === reserved && cost! < reserved!));
  ok(spentUsd > capUsd - 0.2, "the cap is made use of");
  equal(gateway.eventsOf("budget.refused").length, 64);
});

for (const uncounted of ["reservation", "estimate"] as const) {
  Deno.test(`a stream that breaks off counts with its ${uncounted} against a cap, and costs its estimate`, async () => {
    await using upstream = startFakeUpstream((_, index) => ({
      text: "x".repeat(600),
      ...(index < FORMATS.length && { fault: { kind: "cut", afterBytes: 2000 } }),
    }));
    // Each may cost 0.1 USD.
    await using gateway = await openGateway(upstream.url, {
      caps: { worker: 0.19 },
      prices: [priced("*", { input: 0, output: 1000 })],
      uncounted,
    });
    for (const format of FORMATS) {
      await rejects((await send(gateway.url, format, { streamed: true, prefix: `/w/${format}` })).text(), TypeError);
    }
    await settled(gateway);
    const { ledger } = gateway.gateway;
    const reserved = 100_000_000_000;
    for (const row of gateway.rows()) {
      const { worker, outcome, cost } = row;
      equal(outcome, "cut");
      ok(cost! > 0 && cost! < 0.9 * reserved, `${worker}: ${cost}`);
      const counted = uncounted === "reservation" ? reserved : cost!;
      deepEqual([row.reserved, row.counted], [reserved, counted]);
      equal(ledger.spent({ scope: "worker", id: `default/${worker}` }).spentUsd, Number(`${counted}e-12`));
      const { cost_usd, estimated_usd, held_usd } = ledger.report({ by: [], filters: { worker } }).totals;
      deepEqual([cost_usd, estimated_usd, held_usd].map((usd) => Math.round(usd! * 1e12)), [
        cost,
        cost,
        counted - cost!,
      ]);
    }
    deepEqual(
      gateway.eventsOf("model.answered").map(({ cost_usd }) => Math.round(cost_usd! * 1e12)),
      gateway.rows().map(({ cost }) => cost),
    );
    for (const format of FORMATS) {
      const response = await send(gateway.url, format, { prefix: `/w/${format}` });
      equal(response.status, uncounted === "reservation" ? 402 : 200, await response.text());
    }
    checkBooks(gateway);
  });
}

Deno.test("a call waits for budget that others only hold back, and goes when they cost less", async () => {
  const first = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream((_, index) => ({
    usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
    ...(index === 0 && { beforeHead: () => first.promise }),
  }));
  // Each may cost 0.1 USD, and does cost a hundredth of that.
  await using gateway = await openGateway(upstream.url, {
    caps: { run: 0.15 },
    prices: [priced("*", { input: 0, output: 1000 })],
  });
  const one = send(gateway.url, "anthropic");
  await inTime(upstream.requested(1), "the first is under way");
  const two = send(gateway.url, "gemini");
  await inTime(gateway.stated("rate.waiting", 1), "the second waits");
  equal(upstream.requests.length, 1);
  first.resolve();
  for (const response of await inTime(Promise.all([one, two]), "both are answered")) {
    equal(response.status, 200, await response.text());
  }
  checkBooks(gateway);
  deepEqual(
    gateway.eventsOf("rate.waiting").map(({ reason, wait_ms, ahead }) => ({ reason, wait_ms, ahead })),
    [{ reason: "budget", wait_ms: null, ahead: 0 }],
  );
  deepEqual(gateway.rows().map(({ cost }) => cost), [1_000_000_000, 1_000_000_000]);
});

Deno.test("a call that waits for budget in vain is refused", async () => {
  await using upstream = startFakeUpstream((_, index) => index === 0 ? { fault: { kind: "hang" } } : {});
  await using gateway = await openGateway(upstream.url, {
    caps: { run: 0.15 },
    prices: [priced("*", { input: 0, output: 1000 })],
    queueTimeoutMs: 300,
  });
  const leaving = new AbortController();
  const one = send(gateway.url, "anthropic", { signal: leaving.signal });
  await inTime(upstream.requested(1), "the first is under way");
  const response = await inTime(send(gateway.url, "anthropic"), "the second is refused");
  deepEqual(await refusalIn(response, "anthropic"), { status: 402, kind: "budget", terminal: true });
  leaving.abort();
  await rejects(one, { name: "AbortError" });
  await settled(gateway);
  checkBooks(gateway);
});

// --- 8. The end

Deno.test("close() lets what is under way end, and refuses what comes", async () => {
  const held = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream(() => ({ beforePiece: (index) => index === 1 ? held.promise : undefined }));
  await using gateway = await openGateway(upstream.url, { drainMs: DEADLINE_MS });
  const response = await send(gateway.url, "anthropic", { streamed: true });
  const closing = gateway.gateway.close();
  equal(gateway.gateway.close(), closing);
  deepEqual(await refusalIn(await send(gateway.url, "gemini"), "gemini"), {
    status: 503,
    kind: "unavailable",
    terminal: false,
  });
  const health = await fetch(`${gateway.url}/health`);
  deepEqual([health.status, (await health.json()).status], [503, "closing"]);
  held.resolve();
  ok((await response.text()).includes("message_stop"));
  await inTime(closing, "the gateway has ended");
  deepEqual(shortRows(gateway), [
    { outcome: "answered", status: 200, usage_source: "provider", cost_source: "list", attempts: 1 },
  ]);
  await rejects(fetch(`${gateway.url}/health`), TypeError);
  equal(upstream.requests.length, 1);
});

Deno.test("close() ends and settles what goes on for too long, in the queue and under way", async () => {
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "stall", afterBytes: 300 } }));
  await using gateway = await openGateway(upstream.url, { drainMs: 10, rates: [{ concurrency: 2 }] });
  const streamed = await send(gateway.url, "anthropic", { streamed: true });
  const whole = send(gateway.url, "gemini");
  await inTime(upstream.requested(2), "two are under way");
  const queued = send(gateway.url, "openai_chat");
  await inTime(gateway.stated("rate.waiting", 1), "the third waits");
  const port = Number(new URL(gateway.url).port);
  await Promise.all([
    inTime(gateway.gateway.close(), "the gateway has ended"),
    rejects(streamed.text(), TypeError),
    whole.then(async (response) => equal((await refusalIn(response, "gemini")).status, 503)),
    queued.then(async (response) => equal((await refusalIn(response, "openai_chat")).status, 503)),
  ]);
  for (const request of upstream.requests) equal(await inTime(request.ended, "upstreams notice"), "client_gone");
  deepEqual(gateway.rows().map(({ outcome }) => outcome), ["cut", "cut"]);
  ok(gateway.rows().every(({ ended_ms, cost }) => ended_ms !== null && cost! > 0));
  // The port is free, and the ledger too.
  await using again = await openGateway(upstream.url, { port });
  equal(new URL(again.url).port, String(port));
  await rejects(async () => gateway.gateway.ledger.spent({ scope: "run", id: "default" }), Failure);
});

Deno.test("a request that is not complete when the gateway is told to end makes no call", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const { path, body } = requestFor("anthropic");
  const bytes = new TextEncoder().encode(body);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(gateway.url).port) });
  const send = (text: string | Uint8Array) =>
    connection.write(typeof text === "string" ? new TextEncoder().encode(text) : text);
  // The gateway asks for the body when it reads it.
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n`;
  await send(`${head}Content-Length: ${bytes.length}\r\n\r\n`);
  const reply = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
  ok((await inTime(reply.read(), "the body is asked for")).value!.startsWith("HTTP/1.1 100 "));
  const closing = gateway.gateway.close();
  await send(bytes);
  const { value } = await inTime(reply.read(), "it is refused");
  ok(value!.startsWith("HTTP/1.1 503 "), value!);
  await reply.cancel();
  await inTime(closing, "the gateway has ended");
  deepEqual(gateway.rows(), []);
  equal(upstream.requests.length, 0);
});

Deno.test("a port that is taken is a failure that names it, and leaves no ledger open", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url);
  const port = Number(new URL(gateway.url).port);
  const dir = await Deno.makeTempDir();
  try {
    const settings = { ...gateway.settings, port, ledger: join(dir, "ledger.sqlite") };
    const options = { env: {}, publish: () => {}, now: Date.now, monotonicMs: () => performance.now() };
    await rejects(startGateway(settings, options), (error: Failure) => {
      deepEqual([error.kind, error.message.includes(String(port))], ["environment", true]);
      return true;
    });
    deepEqual(namesIn(dir), ["ledger.sqlite"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("an address that others can reach needs a token, or virtual keys", async () => {
  await rejects(openGateway("http://127.0.0.1:9", { host: "0.0.0.0" }), (error: Failure) => error.kind === "usage");
});

// --- 9. Probes

Deno.test("monitors can ask how it is, and whether it is one", async () => {
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { requireKey: true, caps: { run: 2 } });
  const { key } = gateway.gateway.ledger.issueKey({ run: "default", worker: "a" });
  await (await send(gateway.url, "anthropic", { headers: { "x-api-key": key } })).text();
  const hello = await (await fetch(`${gateway.url}/`)).json();
  deepEqual([hello.gocore, typeof hello.version], ["gateway", "string"]);
  equal((await fetch(`${gateway.url}/w/a/api/hello`, { method: "HEAD" })).status, 200);
  const { version, ...health } = await (await fetch(`${gateway.url}/health`)).json();
  deepEqual([version, health], [hello.version, {
    status: "ok",
    source: "upstreams",
    open_calls: 0,
    waiting_calls: 0,
    unwritten_settlements: 0,
  }]);
  const response = await fetch(`${gateway.url}/metrics`);
  ok(response.headers.get("content-type")!.startsWith("text/plain"));
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, value] = /^([a-z_]+(?:\{.*\})?) ([-+.\deInfNa]+)$/.exec(line)!;
    samples.set(name!, Number(value));
  }
  const model = `upstream="fake",model="${MODELS.anthropic}"`;
  equal(samples.get(`gocore_gateway_calls_total{${model},outcome="answered"}`), 1);
  equal(samples.get(`gocore_gateway_tokens_total{${model},type="output"}`), 10);
  equal(samples.get(`gocore_gateway_cost_usd_total{${model},source="list"}`)!.toFixed(12), "0.000450000000");
  equal(samples.get('gocore_gateway_spent_usd{scope="run"}'), 0.00045);
  equal(samples.get("gocore_gateway_open_calls"), 0);
});

// --- Secrets

Deno.test("no secret is in an event, an error, a header, the ledger's files or a recording", async () => {
  const token = "token-5c0ffee5c0ffee";
  await using upstream = startFakeUpstream(({ headers }, index) =>
    index === 1
      ? { status: 401, body: { error: { message: "Incorrect key" } } }
      : index === 2
      ? { fault: { kind: "cut", afterBytes: 100 } }
      : { text: `You sent ${headers.get("x-vendor") ?? ""}` }
  );
  const recordDir = await Deno.makeTempDir();
  try {
    await using gateway = await openGateway(upstream.url, { token, source: { kind: "upstreams", recordDir } });
    const { key } = gateway.gateway.ledger.issueKey({ run: "default", worker: "a" });
    const secrets = [REAL_KEY, key, token, key.slice(4)];
    const seen: string[] = [];
    const take = async (asking: Promise<Response>) => {
      const response = await asking;
      seen.push(JSON.stringify([...response.headers]), await response.text().catch(String));
    };
    for (const format of FORMATS) {
      for (const credential of [key, token]) {
        await take(send(gateway.url, format, { headers: { authorization: `Bearer ${credential}` }, streamed: true }));
      }
      await take(send(gateway.url, format, { headers: { "x-api-key": key }, prefix: "/w/somebody" }));
      await take(send(gateway.url, format, { headers: { "x-api-key": `gck_wrong` } }));
    }
    const { path, body } = requestFor("gemini", { streamed: true });
    await take(fetch(`${gateway.url}${path}&key=${key}`, { method: "POST", body }));
    await take(fetch(`${gateway.url}/v1/nothing?key=${key}`, { headers: { authorization: `Bearer ${token}` } }));
    await take(fetch(`${gateway.url}/metrics`));
    await settled(gateway);
    await gateway.gateway.close();
    seen.push(JSON.stringify(gateway.events));
    const files = [gateway.dir, recordDir].flatMap((dir) => filesBelow(dir));
    ok(files.length > 5);
    for (const file of files) seen.push(file, new TextDecoder("latin1").decode(await Deno.readFile(file)));
    for (const secret of secrets) {
      const place = seen.find((text) => text.includes(secret));
      equal(place, undefined);
    }
  } finally {
    await Deno.remove(recordDir, { recursive: true });
  }
});

function filesBelow(dir: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(join(dir, name)) : [join(dir, name)]
  );
}
