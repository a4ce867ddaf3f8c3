/** The gateway's figures in Prometheus' text format, counted from its events. */
import type { Counter, Gauge, Histogram } from "prom-client";
import type { EventData, EventFact } from "../events/event.ts";
import type { BudgetScope } from "./ledger/entry.ts";

/** What no event tells: how things stand now. */
export interface GatewayState {
  readonly openCalls: number;
  /** Calls that wait for their turn. */
  readonly waitingCalls: number;
  /** USD; one for each scope at most. */
  readonly spend: readonly {
    readonly scope: BudgetScope;
    readonly spentUsd: number;
    readonly reservedUsd: number;
    readonly capUsd: number | null;
  }[];
}

export interface Metrics {
  /** Never throws; other events than the gateway's count for nothing. */
  take(event: EventFact): void;
  render(state: GatewayState): Promise<{ readonly contentType: string; readonly body: string }>;
}

const MOST_MODELS = 200;
/** Names that are longer, or have control characters or broken surrogates in them, are nobody's model. */
const MODEL_NAME = /^\P{C}{1,128}$/u;

const SCOPES: readonly BudgetScope[] = ["run", "worker", "key", "day"];
const REASONS: readonly EventData<"rate.waiting">["reason"][] = [
  "concurrency",
  "requests",
  "tokens",
  "retry_after",
  "budget",
];

const OVERHEAD_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1];
const FIRST_BYTE_SECONDS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 300, 600];
const DURATION_SECONDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 300, 600, 1800, 3600];

/** Counts from 0, in a registry of its own. */
export async function createMetrics(): Promise<Metrics> {
  const { default: prometheus } = await import("prom-client");
  const registry = new prometheus.Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, ...labelNames: T[]): Counter<T> =>
    new prometheus.Counter({ name, help, labelNames, registers });
  const gauge = <T extends string>(name: string, help: string, ...labelNames: T[]): Gauge<T> =>
    new prometheus.Gauge({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[]): Histogram<"upstream"> =>
    new prometheus.Histogram({ name, help, buckets, labelNames: ["upstream"], registers });

  const calls = counter("gocore_gateway_calls_total", "Calls that have ended", "upstream", "model", "outcome");
  const tokens = counter(
    "gocore_gateway_tokens_total",
    "Tokens: input without what a cache served or stored, cache_read, cache_write, output with reasoning",
    "upstream",
    "model",
    "type",
  );
  const reasoning = counter(
    "gocore_gateway_reasoning_tokens_total",
    "The part of the output tokens that was reasoning",
    "upstream",
    "model",
  );
  const cost = counter("gocore_gateway_cost_usd_total", "Known cost in USD", "upstream", "model", "source");
  const unpriced = counter("gocore_gateway_unpriced_calls_total", "Calls whose cost nobody knows");
  const refusals = counter("gocore_gateway_budget_refusals_total", "Calls that a cap stood against", "scope");
  const waits = counter("gocore_gateway_waits_total", "Times that a call had to wait", "reason");
  // A series that begins with 1 hides its first event from `increase()`.
  for (const scope of SCOPES) refusals.inc({ scope }, 0);
  for (const reason of REASONS) waits.inc({ reason }, 0);
  const duration = histogram("gocore_gateway_call_duration_seconds", "Whole calls", DURATION_SECONDS);
  const firstByte = histogram(
    "gocore_gateway_first_byte_seconds",
    "Until the first byte of a reply's body",
    FIRST_BYTE_SECONDS,
  );
  const overhead = histogram(
    "gocore_gateway_overhead_seconds",
    "What the gateway itself added before the reply's head, queues not included",
    OVERHEAD_SECONDS,
  );
  const open = gauge("gocore_gateway_open_calls", "Calls under way");
  const waiting = gauge("gocore_gateway_waiting_calls", "Calls that wait for their turn");
  const spent = gauge("gocore_gateway_spent_usd", "What the budget's scope has spent", "scope");
  const reserved = gauge("gocore_gateway_reserved_usd", "What is held back for calls under way", "scope");
  const cap = gauge("gocore_gateway_cap_usd", "The budget's cap; absent: none", "scope");
  // prom-client's own process metrics would sample the event loop every 10 ms for the rest of the process's life.
  const memory = gauge("process_resident_memory_bytes", "Resident memory size in bytes");
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds")
    .set(performance.timeOrigin / 1000);

  const models = new Set<string>();
  const labelOf = (model: string, wasAnswered: boolean): string => {
    if (models.has(model)) return model;
    if (!wasAnswered || models.size >= MOST_MODELS || !MODEL_NAME.test(model)) return "other";
    models.add(model);
    return model;
  };

  const countAnswer = (data: EventData<"model.answered">) => {
    const { upstream, outcome, cost_usd, cost_source } = data;
    const wasAnswered = outcome === "answered" && data["error.type"] === undefined;
    const model = labelOf(data["gen_ai.request.model"], wasAnswered);
    calls.inc({ upstream, model, outcome });
    const cacheRead = data["gen_ai.usage.cache_read.input_tokens"];
    const cacheWrite = data["gen_ai.usage.cache_creation.input_tokens"];
    const parts = {
      input: data["gen_ai.usage.input_tokens"] - cacheRead - cacheWrite,
      cache_read: cacheRead,
      cache_write: cacheWrite,
      output: data["gen_ai.usage.output_tokens"],
    };
    for (const [type, amount] of Object.entries(parts)) add(tokens, { upstream, model, type }, amount);
    add(reasoning, { upstream, model }, data["gen_ai.usage.reasoning.output_tokens"]);
    if (cost_usd === null) unpriced.inc();
    else add(cost, { upstream, model, source: cost_source }, cost_usd);
    duration.observe({ upstream }, data.duration_ms / 1000);
    if (data.first_byte_ms !== null) firstByte.observe({ upstream }, data.first_byte_ms / 1000);
    // Without a head there is nothing before it, and a 0 would make the gateway look faster than it is.
    if (data.status !== null) overhead.observe({ upstream }, data.overhead_ms / 1000);
  };

  return {
    take(event) {
      switch (event.type) {
        case "model.answered":
          return countAnswer(event.data);
        case "budget.refused":
          return refusals.inc({ scope: event.data.scope });
        case "rate.waiting":
          return waits.inc({ reason: event.data.reason });
      }
    },
    async render({ openCalls, waitingCalls, spend }) {
      open.set(openCalls);
      waiting.set(waitingCalls);
      for (const figure of [spent, reserved, cap]) figure.reset();
      for (const { scope, spentUsd, reservedUsd, capUsd } of spend) {
        spent.set({ scope }, spentUsd);
        reserved.set({ scope }, reservedUsd);
        if (capUsd !== null) cap.set({ scope }, capUsd);
      }
      memory.set(Deno.memoryUsage().rss);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Amounts come from providers, and a counter throws for what it cannot count. */
function add<T extends string>(counter: Counter<T>, labels: Record<T, string>, amount: number): void {
  if (amount > 0 && amount < Infinity) counter.inc(labels, amount);
}
