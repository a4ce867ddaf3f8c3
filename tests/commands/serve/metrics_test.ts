import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Hono } from "hono";
import { createMetrics, type MetricsOptions, type ServeMetrics } from "../../../src/commands/serve/metrics.ts";
import type { EntryChange, Library } from "../../../src/http/ports.ts";
import type { Costs, CostsQuery, Entry } from "../../../src/http/schemas.ts";

/** Runs and money in memory. */
class FigureLibrary implements Pick<Library, "subscribe" | "history" | "costs"> {
  readonly entries: Entry[] = [];
  readonly #listeners = new Set<(change: EntryChange) => void>();
  readonly rows: Record<string, Costs["rows"]> = { model: [], agent: [] };
  costsAsked = 0;

  put(
    kind: Entry["kind"],
    id: string,
    status: string,
    reasons: readonly Entry["attention"][number]["kind"][] = [],
  ): void {
    const attention = reasons.map((kind) => ({ kind, text: "", worker: null, since: null }));
    const entry = { kind, id, status, running: status === "running", attention } as unknown as Entry;
    this.entries.push(entry);
    for (const listener of this.#listeners) listener({ entry });
  }

  remove(kind: Entry["kind"], id: string): void {
    for (const listener of this.#listeners) listener({ removed: { kind, id } });
  }

  readonly subscribe = (listener: (change: EntryChange) => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly history: Library["history"] = ({ cursor = "0", limit }) => {
    const [from, to] = [Number(cursor), Number(cursor) + limit];
    const { length: total } = this.entries;
    return { entries: this.entries.slice(from, to), next: to < total ? String(to) : null, total, indexing: null };
  };

  readonly costs = ({ by }: CostsQuery): Costs => {
    this.costsAsked++;
    return { by, rows: this.rows[by]!, sources: [], problems: [] };
  };

  get listeners(): number {
    return this.#listeners.size;
  }
}

const metricsOf = (library: FigureLibrary, options: Partial<MetricsOptions> = {}) =>
  createMetrics({ library, schedule: undefined, notifier: undefined, monotonicMs: () => 0, ...options });

/** The samples of families that begin so, without comments. */
async function samplesOf(metrics: ServeMetrics, name: string): Promise<string[]> {
  return (await metrics.render()).split("\n").filter((line) => line.startsWith(name));
}

const RUNS = /^gocore_(?:runs|attention)/;

Deno.test("runs are counted by kind, status and what they need, as they are now", async () => {
  const library = new FigureLibrary();
  library.put("mini", "a", "success");
  library.put("manager", "b", "running", ["stalled", "stalled"]);
  library.put("manager", "c", "failed", ["failed"]);
  library.put("session", "same", "running");
  library.put("mini", "same", "success");
  using metrics = await metricsOf(library);
  const samples = async () => (await metrics.render()).split("\n").filter((line) => RUNS.test(line));
  deepEqual(await samples(), [
    'gocore_runs{kind="mini",status="success"} 2',
    'gocore_runs{kind="manager",status="running"} 1',
    'gocore_runs{kind="manager",status="failed"} 1',
    'gocore_runs{kind="session",status="running"} 1',
    'gocore_runs_running{kind="mini"} 0',
    'gocore_runs_running{kind="session"} 1',
    'gocore_runs_running{kind="manager"} 1',
    'gocore_attention{kind="manager",reason="stalled"} 1',
    'gocore_attention{kind="manager",reason="failed"} 1',
  ]);
  library.put("manager", "b", "ok");
  library.remove("manager", "c");
  library.remove("mini", "a");
  library.put("manager", "d", "x".repeat(40));
  library.put("manager", "e", "Bad\nstatus");
  deepEqual(await samples(), [
    'gocore_runs{kind="manager",status="ok"} 1',
    'gocore_runs{kind="session",status="running"} 1',
    'gocore_runs{kind="mini",status="success"} 1',
    'gocore_runs{kind="manager",status="other"} 2',
    'gocore_runs_running{kind="mini"} 0',
    'gocore_runs_running{kind="session"} 1',
    'gocore_runs_running{kind="manager"} 0',
  ]);
});

Deno.test("all runs are counted, however many pages they are, and changes meanwhile count for what they are", async () => {
  const library = new FigureLibrary();
  for (let number = 0; number < 1234; number++) library.put("manager", `run-${number}`, "ok");
  using metrics = await metricsOf(library);
  const samples = samplesOf(metrics, "gocore_runs{");
  library.remove("manager", "run-1233");
  library.put("manager", "run-1232", "failed");
  deepEqual((await samples).sort(), [
    'gocore_runs{kind="manager",status="failed"} 1',
    'gocore_runs{kind="manager",status="ok"} 1232',
  ]);
});

const row = (key: string, known_cost_usd: number) => ({
  key,
  known_cost_usd,
  cost_usd: null,
  calls: 2,
  input_tokens: 100,
  output_tokens: 10,
});

Deno.test("money is told by model and by agent, and ledgers are not read more often than they have to be", async () => {
  const library = new FigureLibrary();
  library.rows.model = [row("opus", 0.5), row('a"b\\', 0.25), row("x".repeat(200), 1), row("\ud800", 2)];
  library.rows.agent = [row("codex", 0.75)];
  let nowMs = 0;
  using metrics = await metricsOf(library, { monotonicMs: () => nowMs });
  deepEqual(await samplesOf(metrics, "gocore_cost_usd"), [
    'gocore_cost_usd{model="opus"} 0.5',
    'gocore_cost_usd{model="a\\"b\\\\"} 0.25',
    'gocore_cost_usd{model="other"} 3',
  ]);
  deepEqual(await samplesOf(metrics, "gocore_tokens"), [
    'gocore_tokens{model="opus",type="input"} 100',
    'gocore_tokens{model="opus",type="output"} 10',
    'gocore_tokens{model="a\\"b\\\\",type="input"} 100',
    'gocore_tokens{model="a\\"b\\\\",type="output"} 10',
    'gocore_tokens{model="other",type="input"} 200',
    'gocore_tokens{model="other",type="output"} 20',
  ]);
  deepEqual(await samplesOf(metrics, "gocore_agent_"), [
    'gocore_agent_cost_usd{agent="codex"} 0.75',
    'gocore_agent_calls{agent="codex"} 2',
    'gocore_agent_tokens{agent="codex",type="input"} 100',
    'gocore_agent_tokens{agent="codex",type="output"} 10',
  ]);
  equal(library.costsAsked, 2);
  library.rows.model = [row("gpt", 4)];
  nowMs = 15_000;
  deepEqual(await samplesOf(metrics, "gocore_cost_usd"), ['gocore_cost_usd{model="gpt"} 4']);
});

Deno.test("names of models beyond two hundred are one", async () => {
  const library = new FigureLibrary();
  library.rows.model = Array.from({ length: 500 }, (_, number) => row(`m${number}`, 1));
  using metrics = await metricsOf(library);
  const samples = await samplesOf(metrics, "gocore_cost_usd");
  deepEqual([samples.length, samples.at(-1)], [201, 'gocore_cost_usd{model="other"} 300']);
});

Deno.test("schedule and notifications are told where there are any", async () => {
  const library = new FigureLibrary();
  using without = await metricsOf(library);
  deepEqual(await samplesOf(without, "gocore_schedule"), []);
  deepEqual(await samplesOf(without, "gocore_notifications"), []);
  const schedule = { started: 3, skipped: 1, unchanged: 2, failed: 0, waiting: 4, running: 2 };
  const notifier = { places: new Map([["slack", { sent: 5, failed: 1, dropped: 0 }]]), waiting: 6 };
  using metrics = await metricsOf(library, { schedule, notifier });
  const expected = [
    'gocore_schedule_starts_total{outcome="started"} 3',
    'gocore_schedule_starts_total{outcome="skipped"} 1',
    'gocore_schedule_starts_total{outcome="unchanged"} 2',
    'gocore_schedule_starts_total{outcome="failed"} 0',
    'gocore_schedule_runs{state="running"} 2',
    'gocore_schedule_runs{state="waiting"} 4',
  ];
  deepEqual(await samplesOf(metrics, "gocore_schedule"), expected);
  schedule.started++;
  deepEqual(await samplesOf(metrics, "gocore_schedule"), [expected[0]!.replace("3", "4"), ...expected.slice(1)]);
  deepEqual(await samplesOf(metrics, "gocore_notifications"), [
    'gocore_notifications_total{place="slack",outcome="sent"} 5',
    'gocore_notifications_total{place="slack",outcome="failed"} 1',
    'gocore_notifications_total{place="slack",outcome="dropped"} 0',
    "gocore_notifications_waiting 6",
  ]);
});

Deno.test("requests are counted by the route that was declared, never by what a client asked for", async () => {
  let nowMs = 0;
  using metrics = await metricsOf(new FigureLibrary(), { monotonicMs: () => nowMs });
  const app = new Hono();
  app.use(metrics.measure);
  app.use(async (c, next) => c.req.header("x-no") === undefined ? await next() : c.text("no", 401));
  app.get("/api/runs/:id", (c) => {
    nowMs += 30;
    return c.text("ok");
  });
  app.get("/api/broken", () => {
    throw new Error("broken");
  });
  app.all("/api/runs/:id", (c) => c.text("not so", 405));
  app.onError((_, c) => c.text("sorry", 500));
  const ask = (path: string, init: RequestInit = {}) => app.request(path, init);
  await ask("/api/runs/run-1");
  await ask("/api/runs/run-2");
  await ask("/api/runs/run-2", { method: "DELETE" });
  await ask("/api/runs/run-2", { method: "HACKED" });
  await ask("/api/runs/run-2", { headers: { "x-no": "1" } });
  await ask("/api/broken");
  await ask("/secret/../%2e%2e/etc");
  deepEqual(await samplesOf(metrics, "gocore_http_requests_total"), [
    'gocore_http_requests_total{method="GET",route="/api/runs/:id",status="200"} 2',
    'gocore_http_requests_total{method="DELETE",route="/api/runs/:id",status="405"} 1',
    'gocore_http_requests_total{method="other",route="/api/runs/:id",status="405"} 1',
    'gocore_http_requests_total{method="GET",route="/api/runs/:id",status="401"} 1',
    'gocore_http_requests_total{method="GET",route="/api/broken",status="500"} 1',
    'gocore_http_requests_total{method="GET",route="none",status="404"} 1',
  ]);
  const latency = await samplesOf(metrics, "gocore_http_request_seconds");
  ok(latency.includes('gocore_http_request_seconds_bucket{le="0.025",route="/api/runs/:id"} 3'));
  ok(latency.includes('gocore_http_request_seconds_bucket{le="0.05",route="/api/runs/:id"} 5'));
  ok(latency.includes('gocore_http_request_seconds_sum{route="/api/runs/:id"} 0.06'));
});

Deno.test("what cannot be read is told to whoever asks, and nobody is listened to after the end", async () => {
  const library = new FigureLibrary();
  library.put("mini", "a", "success");
  let isBroken = true;
  {
    using metrics = await createMetrics({
      library: {
        subscribe: library.subscribe,
        costs: library.costs,
        history: (query) => {
          if (isBroken) throw new Error("the index is broken");
          return library.history(query);
        },
      },
      schedule: undefined,
      notifier: undefined,
      monotonicMs: () => 0,
    });
    await rejects(metrics.render(), /the index is broken/);
    isBroken = false;
    deepEqual(await samplesOf(metrics, "gocore_runs{"), ['gocore_runs{kind="mini",status="success"} 1']);
    equal(library.listeners, 1);
  }
  equal(library.listeners, 0);
});
