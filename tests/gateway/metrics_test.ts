import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { EventData, RunEvent } from "../../src/events/event.ts";
import { createMetrics, type GatewayState, type Metrics } from "../../src/gateway/metrics.ts";

const IDLE: GatewayState = { openCalls: 0, waitingCalls: 0, spend: [] };

const stamped = (fact: { type: string; data: unknown }) =>
  ({ seq: 0, time: "2026-11-21T10:00:00.000Z", ...fact }) as RunEvent;

const ANSWERED: EventData<"model.answered"> = {
  call: "c1",
  run: "r",
  worker: "w",
  key: null,
  upstream: "anthropic",
  dialect: "anthropic",
  streamed: true,
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "anthropic",
  "gen_ai.request.model": "opus",
  outcome: "answered",
  status: 200,
  attempts: 1,
  cost_usd: 0.25,
  cost_source: "list",
  usage_source: "provider",
  duration_ms: 3000,
  first_byte_ms: 700,
  overhead_ms: 0.75,
  "gen_ai.response.finish_reasons": [],
  "gen_ai.usage.input_tokens": 100,
  "gen_ai.usage.output_tokens": 20,
  "gen_ai.usage.cache_read.input_tokens": 70,
  "gen_ai.usage.cache_creation.input_tokens": 10,
  "gen_ai.usage.reasoning.output_tokens": 5,
};

const answered = (data: Partial<EventData<"model.answered">> = {}) =>
  stamped({ type: "model.answered", data: { ...ANSWERED, ...data } });

/** The samples of a family, without comments. */
async function samplesOf(metrics: Metrics, name: string, state = IDLE): Promise<string[]> {
  const { body } = await metrics.render(state);
  return body.split("\n").filter((line) => line.startsWith(name));
}

Deno.test("take() counts what a call was, used and cost, with parts of the input that do not overlap", async () => {
  const metrics = await createMetrics();
  metrics.take(answered());
  metrics.take(answered({ outcome: "cut", cost_usd: null, cost_source: "unknown", first_byte_ms: null }));
  metrics.take(answered({ upstream: "router", cost_usd: 0, cost_source: "provider" }));
  deepEqual(await samplesOf(metrics, "gocore_gateway_calls_total"), [
    'gocore_gateway_calls_total{upstream="anthropic",model="opus",outcome="answered"} 1',
    'gocore_gateway_calls_total{upstream="anthropic",model="opus",outcome="cut"} 1',
    'gocore_gateway_calls_total{upstream="router",model="opus",outcome="answered"} 1',
  ]);
  deepEqual(
    (await samplesOf(metrics, 'gocore_gateway_tokens_total{upstream="anthropic"')).concat(
      await samplesOf(metrics, 'gocore_gateway_reasoning_tokens_total{upstream="anthropic"'),
    ),
    [
      'gocore_gateway_tokens_total{upstream="anthropic",model="opus",type="input"} 40',
      'gocore_gateway_tokens_total{upstream="anthropic",model="opus",type="cache_read"} 140',
      'gocore_gateway_tokens_total{upstream="anthropic",model="opus",type="cache_write"} 20',
      'gocore_gateway_tokens_total{upstream="anthropic",model="opus",type="output"} 40',
      'gocore_gateway_reasoning_tokens_total{upstream="anthropic",model="opus"} 10',
    ],
  );
  deepEqual(await samplesOf(metrics, "gocore_gateway_cost_usd_total"), [
    'gocore_gateway_cost_usd_total{upstream="anthropic",model="opus",source="list"} 0.25',
  ]);
  deepEqual(await samplesOf(metrics, "gocore_gateway_unpriced"), ["gocore_gateway_unpriced_calls_total 1"]);
});

Deno.test("take() leaves out amounts that make no sense", async () => {
  const metrics = await createMetrics();
  for (const absurd of [NaN, Infinity, -5]) {
    metrics.take(answered({
      cost_usd: absurd,
      "gen_ai.usage.input_tokens": absurd,
      "gen_ai.usage.output_tokens": absurd,
      "gen_ai.usage.cache_read.input_tokens": 0,
      "gen_ai.usage.cache_creation.input_tokens": 0,
      "gen_ai.usage.reasoning.output_tokens": absurd,
    }));
  }
  deepEqual(await samplesOf(metrics, "gocore_gateway_calls_total"), [
    'gocore_gateway_calls_total{upstream="anthropic",model="opus",outcome="answered"} 3',
  ]);
  const families = ["tokens_total", "reasoning_tokens_total", "cost_usd_total"];
  for (const name of families) deepEqual(await samplesOf(metrics, `gocore_gateway_${name}`), []);
});

Deno.test("take() counts budget refusals and waits from 0, and nothing of other events", async () => {
  const metrics = await createMetrics();
  metrics.take(stamped({ type: "budget.refused", data: { scope: "worker" } }));
  for (const reason of ["tokens", "budget", "tokens"]) {
    metrics.take(stamped({ type: "rate.waiting", data: { reason } }));
  }
  metrics.take(stamped({ type: "model.called", data: ANSWERED }));
  metrics.take(stamped({ type: "log", data: { level: "info", content: "x" } }));
  deepEqual(await samplesOf(metrics, "gocore_gateway_budget_refusals_total"), [
    'gocore_gateway_budget_refusals_total{scope="run"} 0',
    'gocore_gateway_budget_refusals_total{scope="worker"} 1',
    'gocore_gateway_budget_refusals_total{scope="key"} 0',
    'gocore_gateway_budget_refusals_total{scope="day"} 0',
  ]);
  deepEqual(await samplesOf(metrics, "gocore_gateway_waits_total"), [
    'gocore_gateway_waits_total{reason="concurrency"} 0',
    'gocore_gateway_waits_total{reason="requests"} 0',
    'gocore_gateway_waits_total{reason="tokens"} 2',
    'gocore_gateway_waits_total{reason="retry_after"} 0',
    'gocore_gateway_waits_total{reason="budget"} 1',
  ]);
  deepEqual(await samplesOf(metrics, "gocore_gateway_calls_total"), []);
});

Deno.test("take() puts times into buckets, in seconds, and leaves out those that a call has not", async () => {
  const metrics = await createMetrics();
  metrics.take(answered());
  metrics.take(answered({ duration_ms: 5_000_000, first_byte_ms: null, overhead_ms: 3 }));
  metrics.take(
    answered({ duration_ms: 1000, outcome: "unreachable", status: null, first_byte_ms: null, overhead_ms: 0 }),
  );
  const counts = async (name: string) =>
    (await samplesOf(metrics, `gocore_gateway_${name}`)).map((line) => line.replace(/^.*?(le="|_sum|_count)/, "$1"));
  const before = (bounds: number[], count: number) =>
    bounds.map((bound) => `le="${bound}",upstream="anthropic"} ${count}`);
  deepEqual(await counts("call_duration_seconds"), [
    ...before([0.25, 0.5], 0),
    ...before([1, 2], 1),
    ...before([4, 8, 16, 32, 64, 128, 300, 600, 1800, 3600], 2),
    'le="+Inf",upstream="anthropic"} 3',
    '_sum{upstream="anthropic"} 5004',
    '_count{upstream="anthropic"} 3',
  ]);
  deepEqual(await counts("first_byte_seconds"), [
    ...before([0.1, 0.25, 0.5], 0),
    ...before([1, 2, 4, 8, 16, 32, 64, 128, 300, 600], 1),
    'le="+Inf",upstream="anthropic"} 1',
    '_sum{upstream="anthropic"} 0.7',
    '_count{upstream="anthropic"} 1',
  ]);
  deepEqual(await counts("overhead_seconds"), [
    ...before([0.0005], 0),
    ...before([0.001, 0.002], 1),
    ...before([0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1], 2),
    'le="+Inf",upstream="anthropic"} 2',
    '_sum{upstream="anthropic"} 0.00375',
    '_count{upstream="anthropic"} 2',
  ]);
});

Deno.test("a model's name becomes a label when a provider has answered for it, and only 200 of them", async () => {
  const metrics = await createMetrics();
  metrics.take(answered({ "gen_ai.request.model": "typo", outcome: "refused", status: 404 }));
  metrics.take(answered({ "gen_ai.request.model": "broken", "error.type": "overloaded_error" }));
  metrics.take(answered({ "gen_ai.request.model": "x".repeat(129) }));
  metrics.take(answered({ "gen_ai.request.model": "a\nb" }));
  metrics.take(answered({ "gen_ai.request.model": "\ud800" }));
  deepEqual(await samplesOf(metrics, "gocore_gateway_calls_total"), [
    'gocore_gateway_calls_total{upstream="anthropic",model="other",outcome="refused"} 1',
    'gocore_gateway_calls_total{upstream="anthropic",model="other",outcome="answered"} 4',
  ]);
  metrics.take(answered({ "gen_ai.request.model": '__proto__"} 1\\' }));
  metrics.take(answered({ "gen_ai.request.model": '__proto__"} 1\\', outcome: "cut" }));
  deepEqual((await samplesOf(metrics, "gocore_gateway_calls_total")).slice(2), [
    String.raw`gocore_gateway_calls_total{upstream="anthropic",model="__proto__\"} 1\\",outcome="answered"} 1`,
    String.raw`gocore_gateway_calls_total{upstream="anthropic",model="__proto__\"} 1\\",outcome="cut"} 1`,
  ]);
  for (let i = 0; i < 10_000; i++) metrics.take(answered({ "gen_ai.request.model": `m${i}` }));
  metrics.take(answered({ "gen_ai.request.model": "m198" }));
  const samples = await samplesOf(metrics, "gocore_gateway_calls_total");
  equal(samples.length, 2 + 2 + 199);
  equal(samples.at(-1), 'gocore_gateway_calls_total{upstream="anthropic",model="m198",outcome="answered"} 2');
  equal(samples[1], 'gocore_gateway_calls_total{upstream="anthropic",model="other",outcome="answered"} 9805');
});

Deno.test("render() tells how things stand now, and nothing of what stood before", async () => {
  const metrics = await createMetrics();
  const run = { scope: "run", spentUsd: 1.5, reservedUsd: 0.25, capUsd: 5 } as const;
  const day = { scope: "day", spentUsd: 2, reservedUsd: 0, capUsd: null } as const;
  const state = { openCalls: 3, waitingCalls: 2, spend: [run, day] };
  const gauges = async (given: GatewayState) => {
    const { body } = await metrics.render(given);
    return body.split("\n").filter((line) => /^gocore_gateway_(open|waiting|spent|reserved|cap)_/.test(line));
  };
  deepEqual(await gauges(state), [
    "gocore_gateway_open_calls 3",
    "gocore_gateway_waiting_calls 2",
    'gocore_gateway_spent_usd{scope="run"} 1.5',
    'gocore_gateway_spent_usd{scope="day"} 2',
    'gocore_gateway_reserved_usd{scope="run"} 0.25',
    'gocore_gateway_reserved_usd{scope="day"} 0',
    'gocore_gateway_cap_usd{scope="run"} 5',
  ]);
  deepEqual(await gauges(IDLE), ["gocore_gateway_open_calls 0", "gocore_gateway_waiting_calls 0"]);
});

Deno.test("render() writes Prometheus' text format: every family has help and type, every line parses", async () => {
  const metrics = await createMetrics();
  metrics.take(answered());
  const { contentType, body } = await metrics.render({
    ...IDLE,
    spend: [{ scope: "day", spentUsd: 1e-12, reservedUsd: 0, capUsd: 1e9 }],
  });
  equal(contentType, "text/plain; version=0.0.4; charset=utf-8");
  ok(body.endsWith("\n"));
  const families = new Map<string, string>();
  for (const line of body.split("\n")) {
    const [, name, kind] = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (name !== undefined) families.set(name, kind!);
    else if (line !== "" && !/^# HELP \w+ [^\n]+$/.test(line)) {
      match(line, /^\w+(\{(\w+="[^"\\\n]*",?)+\})? \d+(\.\d+)?(e[+-]?\d+)?$/);
      const family = /^\w+/.exec(line)![0].replace(/_(bucket|sum|count)$/, "");
      ok(families.has(family), family);
    }
  }
  deepEqual(Object.fromEntries(families), {
    gocore_gateway_calls_total: "counter",
    gocore_gateway_tokens_total: "counter",
    gocore_gateway_reasoning_tokens_total: "counter",
    gocore_gateway_cost_usd_total: "counter",
    gocore_gateway_unpriced_calls_total: "counter",
    gocore_gateway_budget_refusals_total: "counter",
    gocore_gateway_waits_total: "counter",
    gocore_gateway_call_duration_seconds: "histogram",
    gocore_gateway_first_byte_seconds: "histogram",
    gocore_gateway_overhead_seconds: "histogram",
    gocore_gateway_open_calls: "gauge",
    gocore_gateway_waiting_calls: "gauge",
    gocore_gateway_spent_usd: "gauge",
    gocore_gateway_reserved_usd: "gauge",
    gocore_gateway_cap_usd: "gauge",
    process_resident_memory_bytes: "gauge",
    process_start_time_seconds: "gauge",
  });
});

Deno.test("the process's own figures are true", async () => {
  const metrics = await createMetrics();
  const value = async (name: string) => Number((await samplesOf(metrics, name))[0]!.split(" ")[1]);
  ok(await value("process_resident_memory_bytes") > 10_000_000);
  equal(await value("process_start_time_seconds"), performance.timeOrigin / 1000);
});

Deno.test("two sets of metrics count apart", async () => {
  const [one, other] = [await createMetrics(), await createMetrics()];
  one.take(answered());
  equal((await samplesOf(one, "gocore_gateway_calls_total")).length, 1);
  equal((await samplesOf(other, "gocore_gateway_calls_total")).length, 0);
});
