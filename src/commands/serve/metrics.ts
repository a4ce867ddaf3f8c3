/** The server's figures in Prometheus' text format: runs, money, schedule, notifications, requests. */
import type { MiddlewareHandler } from "hono";
import type { Library } from "../../http/ports.ts";
import type { Costs, Entry, RunKind } from "../../http/schemas.ts";
import { everyEntry } from "./every_entry.ts";
import type { NotifierFigures } from "./notify/notifier.ts";
import type { ScheduleFigures } from "./schedule/schedule.ts";

export interface MetricsOptions {
  readonly library: Pick<Library, "subscribe" | "history" | "costs">;
  /** Undefined: nothing starts by itself. */
  readonly schedule: ScheduleFigures | undefined;
  /** Undefined: nobody is told. */
  readonly notifier: NotifierFigures | undefined;
  monotonicMs(): number;
}

export interface ServeMetrics extends Disposable {
  render(): Promise<string>;
  /** For `app.use`, before everything else: counts requests, and how long their answers' heads take. */
  readonly measure: MiddlewareHandler;
}

const MOST_NAMES = 200;
/** Names that are longer, or have control characters or broken surrogates in them, are nobody's model. */
const NAME = /^\P{C}{1,128}$/u;
const STATUS = /^[a-z][a-z_-]{0,31}$/;
const MOST_STATUSES = 40;
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Ledgers are read for it. */
const COSTS_AGE_MS = 15_000;

/** Counts requests from 0; all else is what there is. */
export async function createMetrics({ library, ...options }: MetricsOptions): Promise<ServeMetrics> {
  const { schedule, notifier, monotonicMs } = options;
  const [{ default: prometheus }, { matchedRoutes }] = await Promise.all([import("prom-client"), import("hono/route")]);
  const registry = new prometheus.Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new prometheus.Counter({ name, help, labelNames, registers });
  const gauge = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new prometheus.Gauge({ name, help, labelNames, registers });

  const runs = gauge("gocore_runs", "Runs on disk", "kind", "status");
  const running = gauge("gocore_runs_running", "Runs that go on", "kind");
  const attention = gauge("gocore_attention", "Runs that somebody should look at", "kind", "reason");
  const moneyBy = (by: "model" | "agent", prefix: string) => ({
    by,
    cost: gauge<string>(`${prefix}cost_usd`, "Known cost in USD, by the ledgers that are there", by),
    calls: gauge<string>(`${prefix}calls`, "Calls of models, by the ledgers that are there", by),
    tokens: gauge<string>(`${prefix}tokens`, "Tokens, by the ledgers that are there", by, "type"),
  });
  const money = [moneyBy("model", "gocore_"), moneyBy("agent", "gocore_agent_")];
  const requests = counter("gocore_http_requests_total", "Requests answered", "method", "route", "status");
  const latency = new prometheus.Histogram({
    name: "gocore_http_request_seconds",
    help: "Until the head of the answer",
    labelNames: ["route"],
    buckets: SECONDS,
    registers,
  });
  // prom-client's own process metrics would sample the event loop every 10 ms for the rest of the process's life.
  const memory = gauge("process_resident_memory_bytes", "Resident memory size in bytes");
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds")
    .set(performance.timeOrigin / 1000);
  const starts = schedule &&
    counter("gocore_schedule_starts_total", "Times that a run was to be started, by what came of it", "outcome");
  const scheduled = schedule && gauge("gocore_schedule_runs", "Runs of the schedule", "state");
  const told = notifier &&
    counter("gocore_notifications_total", "Notifications by what came of them", "place", "outcome");
  const untold = notifier && gauge("gocore_notifications_waiting", "Notifications that are under way");

  const known = new Map<string, Pick<Entry, "kind" | "status" | "running"> & { readonly reasons: Set<string> }>();
  const keep = ({ kind, id, status, running, attention }: Entry) => {
    known.set(keyOf(kind, id), { kind, status, running, reasons: new Set(attention.map(({ kind }) => kind)) });
  };
  let unsubscribe: (() => void) | undefined;
  // Of a server that nobody asks for figures none are kept.
  const read = async () => {
    const removed = new Set<string>();
    let isReading = true;
    unsubscribe ??= library.subscribe((change) => {
      if ("entry" in change) return keep(change.entry);
      const key = keyOf(change.removed.kind, change.removed.id);
      known.delete(key);
      if (isReading) removed.add(key);
    });
    for await (const entry of everyEntry(library)) {
      const key = keyOf(entry.kind, entry.id);
      // What was told meanwhile is newer than what a page says.
      if (!known.has(key) && !removed.has(key)) keep(entry);
    }
    isReading = false;
    removed.clear();
  };
  let reading: Promise<void> | undefined;

  const countRuns = () => {
    for (const figure of [runs, running, attention]) figure.reset();
    for (const kind of ["mini", "session", "manager"] as const) running.set({ kind }, 0);
    const statuses = new Set<string>();
    for (const { kind, status, running: goesOn, reasons } of known.values()) {
      if (STATUS.test(status) && statuses.size < MOST_STATUSES) statuses.add(status);
      runs.inc({ kind, status: statuses.has(status) ? status : "other" });
      if (goesOn) running.inc({ kind });
      for (const reason of reasons) attention.inc({ kind, reason });
    }
  };
  const countWork = () => {
    for (const figure of [starts, told]) figure?.reset();
    for (const outcome of ["started", "skipped", "unchanged", "failed"] as const) {
      starts?.inc({ outcome }, schedule![outcome]);
    }
    for (const state of ["running", "waiting"] as const) scheduled?.set({ state }, schedule![state]);
    for (const [place, figures] of notifier?.places ?? []) {
      for (const outcome of ["sent", "failed", "dropped"] as const) told?.inc({ place, outcome }, figures[outcome]);
    }
    untold?.set(notifier!.waiting);
  };
  let costsReadMs = -Infinity;
  const countMoney = () => {
    if (monotonicMs() - costsReadMs < COSTS_AGE_MS) return;
    for (const { by, cost, calls, tokens } of money) {
      for (const figure of [cost, calls, tokens]) figure.reset();
      for (
        const { key, known_cost_usd, calls: count, input_tokens, output_tokens } of bounded(library.costs({ by }).rows)
      ) {
        cost.inc({ [by]: key }, known_cost_usd);
        calls.inc({ [by]: key }, count);
        tokens.inc({ [by]: key, type: "input" }, input_tokens);
        tokens.inc({ [by]: key, type: "output" }, output_tokens);
      }
    }
    costsReadMs = monotonicMs();
  };

  return {
    async render() {
      await (reading ??= read().catch((error) => {
        reading = undefined;
        throw error;
      }));
      countRuns();
      countWork();
      countMoney();
      memory.set(Deno.memoryUsage().rss);
      return await registry.metrics();
    },
    async measure(c, next) {
      const beganMs = monotonicMs();
      await next();
      // As it was declared, such as `/api/runs/:id`: what a client asks for is no label.
      const route = matchedRoutes(c).findLast(({ path }) => path !== "*" && path !== "/*")?.path ?? "none";
      const method = METHODS.has(c.req.method) ? c.req.method : "other";
      requests.inc({ method, route, status: String(c.res.status) });
      latency.observe({ route }, (monotonicMs() - beganMs) / 1000);
    },
    [Symbol.dispose]: () => unsubscribe?.(),
  };
}

const keyOf = (kind: RunKind, id: string) => `${kind}/${id}`;

/** Names that fit a label, and not too many of them: what is left goes by the name of `other`. */
function* bounded(rows: Costs["rows"]): Generator<Costs["rows"][number]> {
  let names = 0;
  for (const row of rows) yield NAME.test(row.key) && names++ < MOST_NAMES ? row : { ...row, key: "other" };
}
