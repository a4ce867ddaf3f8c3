import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { EventData, RunEvent } from "../../src/events/event.ts";
import { usage } from "../../src/http/schemas.ts";
import { MAX_USAGE_POINTS, UsageHistory } from "../../src/http/usage_record.ts";

const timeOf = (seq: number) => new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString();

function answered(seq: number, worker: string, more: Partial<EventData<"model.answered">> = {}): RunEvent {
  const data: EventData<"model.answered"> = {
    call: `c${seq}`,
    run: "r",
    worker,
    key: null,
    upstream: "u",
    dialect: "anthropic",
    streamed: false,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "p",
    "gen_ai.request.model": "asked",
    outcome: "answered",
    status: 200,
    attempts: 1,
    cost_usd: 0.5,
    cost_source: "list",
    usage_source: "provider",
    duration_ms: 1,
    first_byte_ms: 1,
    overhead_ms: 1,
    "gen_ai.response.finish_reasons": [],
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cache_creation.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
    ...more,
  };
  return { seq, time: timeOf(seq), type: "model.answered", data };
}

function counted(seq: number, sums: { known_usd: number; unknown_calls: number; input_tokens: number }): RunEvent {
  const data = { worker: "a", calls: 9, output_tokens: sums.input_tokens / 10, ...sums };
  return { seq, time: timeOf(seq), type: "spending.counted", data };
}

Deno.test("each call adds to its worker's sums, and a price that nobody knows is counted and not added", () => {
  const history = new UsageHistory();
  history.add(answered(0, "a", { "gen_ai.response.model": "given" }));
  history.add(answered(1, "b", { cost_usd: null }));
  history.add(answered(2, "a", { cost_usd: 0.25 }));
  deepEqual(history.record(), {
    points: [
      {
        time: timeOf(0),
        worker: "a",
        model: "given",
        cost_usd: 0.5,
        unpriced_calls: 0,
        input_tokens: 100,
        output_tokens: 10,
      },
      {
        time: timeOf(1),
        worker: "b",
        model: "asked",
        cost_usd: 0,
        unpriced_calls: 1,
        input_tokens: 100,
        output_tokens: 10,
      },
      {
        time: timeOf(2),
        worker: "a",
        model: "asked",
        cost_usd: 0.75,
        unpriced_calls: 0,
        input_tokens: 200,
        output_tokens: 20,
      },
    ],
  });
});

Deno.test("what the ledger has counted replaces the sums, and is no point when they agree", () => {
  const history = new UsageHistory();
  history.add(answered(0, "a"));
  history.add(counted(1, { known_usd: 0.5, unknown_calls: 0, input_tokens: 100 }));
  equal(history.record().points.length, 1);
  history.add(counted(2, { known_usd: 2, unknown_calls: 1, input_tokens: 500 }));
  history.add(answered(3, "a"));
  deepEqual(history.record().points.map(({ time: _, ...point }) => point), [
    { worker: "a", model: "asked", cost_usd: 0.5, unpriced_calls: 0, input_tokens: 100, output_tokens: 10 },
    { worker: "a", model: null, cost_usd: 2, unpriced_calls: 1, input_tokens: 500, output_tokens: 50 },
    { worker: "a", model: "asked", cost_usd: 2.5, unpriced_calls: 1, input_tokens: 600, output_tokens: 60 },
  ]);
});

Deno.test("of a long session so many points are left, in order, with the last of each worker", () => {
  const history = new UsageHistory();
  for (let seq = 0; seq < 20_000; seq++) history.add(answered(seq, seq < 30 ? `early-${seq}` : `w${seq % 3}`));
  const record = history.record();
  equal(usage.parse(record).points.length <= MAX_USAGE_POINTS, true);
  equal(record.points.length > MAX_USAGE_POINTS / 3, true);
  const times = record.points.map(({ time }) => time);
  deepEqual(times, times.toSorted());
  const last = new Map(record.points.map(({ worker, input_tokens }) => [worker, input_tokens]));
  equal(last.size, 33);
  equal([...last.values()].reduce((sum, tokens) => sum + tokens, 0), 20_000 * 100);
});

Deno.test("more workers than points have at most so many points", () => {
  const history = new UsageHistory();
  for (let seq = 0; seq < 3 * MAX_USAGE_POINTS; seq++) history.add(answered(seq, `w${seq}`));
  equal(history.record().points.length, MAX_USAGE_POINTS);
});
