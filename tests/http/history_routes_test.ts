import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { EntryChange, Starter } from "../../src/http/ports.ts";
import { Refused } from "../../src/http/ports.ts";
import { openHistory } from "../../src/http/history_stream.ts";
import { CLIENT, sampleApp, sampleEntry, START } from "./sample_app.ts";

Deno.test("each list answers, and asks for what the client wants", async () => {
  using app = await sampleApp();
  const page = { entries: [sampleEntry("run-1")], next: "c", total: 2, indexing: null };
  const spent = {
    key: "2026-01-01",
    cost_usd: null,
    known_cost_usd: 0.25,
    calls: 3,
    input_tokens: 1,
    output_tokens: 1,
  };
  const costs = { rows: [spent], sources: ["/work/runs/ledger.db"], problems: [] };
  const expected: Record<string, unknown> = {
    "/health": { ok: true },
    "/api/history": page,
    "/api/history?kind=mini&status=running&q=a%20b&cursor=c&limit=7": page,
    "/api/attention": { entries: [sampleEntry("run-1")] },
    "/api/costs": { by: "day", ...costs },
    "/api/costs?by=model&since=2026-01-01&until=2026-01-02": { by: "model", ...costs },
    "/api/about": {
      version: "0.1.0",
      mode: "all",
      session_id: null,
      runs_root: "/work/runs",
      workspace: "/work/sessions",
      mini_workdirs: ["/work/project"],
      can_start: ["mini", "session", "manager"],
    },
    "/api/schedule": {
      entries: [{
        name: "nightly",
        cron: "0 3 * * *",
        timezone: null,
        target: "a/b#1",
        next_at: START,
        last_at: null,
        last_result: null,
        running: false,
        problem: null,
      }],
    },
  };
  for (const [path, body] of Object.entries(expected)) deepEqual(await app.get(path), { status: 200, body }, path);
  deepEqual(app.asked, [
    ["history", { limit: 50 }],
    ["history", { kind: "mini", status: "running", q: "a b", cursor: "c", limit: 7 }],
    ["costs", { by: "day" }],
    ["costs", { by: "model", since: "2026-01-01", until: "2026-01-02" }],
  ]);
  const metrics = await app.fetch("/metrics");
  deepEqual([metrics.headers.get("content-type"), await metrics.text()], [
    "text/plain; version=0.0.4; charset=utf-8",
    "gocore_runs 1\n",
  ]);
});

Deno.test("a query that is wrong is refused, and the parameter is named", async () => {
  using app = await sampleApp();
  const errors: Record<string, string> = {
    "/api/history?kind=all": "kind: has to be one of mini, session, manager",
    "/api/history?limit=0": "limit: has to be at least 1",
    "/api/history?limit=501": "limit: has to be at most 500",
    "/api/history?limit=1.5": "limit: has to be a whole number",
    "/api/history?limit=ten": "limit: has to be a number",
    "/api/history?limit=1&limit=2": '"limit" is given more than once',
    "/api/history?page=2": '"page" is no parameter of this address',
    "/api/history?__proto__=2": '"__proto__" is no parameter of this address',
    "/api/history?constructor": '"constructor" is no parameter of this address',
    "/api/costs?since=yesterday": "since: has to be a day such as 2026-11-21",
    "/api/costs?by=hour": "by: has to be one of day, model, agent, run",
    "/api/runs?limit=1": '"limit" is no parameter of this address',
    "/api/runs/run-1/status?lines=0": "lines: has to be at least 1",
    "/api/runs/run-1/status?lines=99999": "lines: has to be at most 5000",
    "/api/runs/run-1/source": "file: has to be text",
    "/api/runs/run-1/source?file=a&line=-1": "line: has to be at least 1",
    "/api/runs/run-1/source?file=a&context=100": "context: has to be at most 99",
    "/health?x": '"x" is no parameter of this address',
  };
  for (const [path, error] of Object.entries(errors)) {
    deepEqual(await app.get(path), { status: 400, body: { error } }, path);
  }
  deepEqual(app.asked, []);
});

Deno.test("each kind of run is started by what the client asks for", async () => {
  using app = await sampleApp();
  const run = {
    issue_url: "https://github.com/a/b/issues/1",
    repo_path: "/work/project",
    workers: 2,
    timeout_sec: 300,
  };
  const session = { task: "Mend it", agents: ["codex"], budget_usd: 0.5, demo: true };
  const mini = { task: "Mend it", workdir: "/work", cost_limit: 0, step_limit: 3 };
  deepEqual(await app.post("/api/runs", run), {
    status: 201,
    body: { run_id: "run-3", run_done: "/work/run_done.json", manager_session: "codorch" },
  });
  deepEqual(await app.post("/api/orchestrations", session), {
    status: 201,
    body: { session_id: "orch_2", folder: "/work/sessions/orch_2" },
  });
  deepEqual(await app.post("/api/mini", mini), {
    status: 201,
    body: { run_id: "mini-2", folder: "/work/runs/mini-2" },
  });
  deepEqual(app.asked, [["run", run], ["orchestration", session], ["mini", mini]]);
  deepEqual(app.judged, ["a manager run", "a session", "a mini run"].map((what) => [CLIENT, `start ${what}`]));
});

Deno.test("a start that is wrong is refused, and the field is named", async () => {
  using app = await sampleApp();
  const errors: [path: string, body: unknown, error: string][] = [
    ["/api/runs", { issue_url: "u", workers: "two" }, "workers: has to be a whole number"],
    ["/api/runs", { issue_url: "u", workers: 1.5 }, "workers: has to be a whole number"],
    ["/api/runs", { issue_url: "u", workers: 17 }, "workers: has to be at most 16"],
    ["/api/runs", { issue_url: " " }, "issue_url: has to be text that is not empty"],
    ["/api/runs", { if_changed: 1 }, "if_changed: has to be true or false"],
    ["/api/runs", { runs_root: "/etc" }, '"runs_root" is no field of this request'],
    ["/api/runs", '{"__proto__": {"workers": 1}}', '"__proto__" is no field of this request'],
    ["/api/runs", '{"constructor": 1}', '"constructor" is no field of this request'],
    ["/api/orchestrations", {}, "task: has to be text that is not empty"],
    ["/api/orchestrations", { task: "t", agents: "codex" }, "agents: has to be a list"],
    ["/api/orchestrations", { task: "t", agents: ["codex", 1] }, "agents.1: has to be text that is not empty"],
    ["/api/orchestrations", { task: "t", budget_usd: -1 }, "budget_usd: may not be less than 0"],
    ["/api/mini", { task: "t", cost_limit: null }, "cost_limit: has to be a number"],
    ["/api/runs/run-1/send", { worker: "w1" }, "text: has to be text that is not empty"],
    ["/api/runs/run-1/send", { worker: "w1", text: "x".repeat(16_385) }, "text: has to be at most 16384 characters"],
    ["/api/runs/run-1/stop", { by: "\u001b[31m" }, "by: has to be a name of 1 to 100 characters"],
  ];
  for (const [path, body, error] of errors) {
    deepEqual(await app.post(path, body), { status: 400, body: { error } }, error);
  }
  deepEqual(app.asked, []);
});

Deno.test("what cannot be started is refused as the starter says", async () => {
  const run: Starter["run"] = () => Promise.reject(new Refused(409, "The issue is being worked on by run-1"));
  using app = await sampleApp({ app: { starter: { run } as Starter } });
  deepEqual(await app.post("/api/runs", {}), {
    status: 409,
    body: { error: "The issue is being worked on by run-1" },
  });
  deepEqual(app.errors, []);
});

Deno.test("an application that starts nothing, plans nothing and counts nothing does not offer to", async () => {
  using app = await sampleApp({ app: { starter: undefined, schedule: undefined, metrics: undefined } });
  for (const path of ["/api/runs", "/api/orchestrations", "/api/mini"]) {
    const response = await app.fetch(path, { method: "POST" });
    deepEqual([response.status, response.headers.get("allow"), await response.json()], [405, "GET, HEAD", {
      error: "POST is not possible here; use GET, HEAD",
    }]);
    deepEqual(Object.keys(app.description.paths[path]), ["get"]);
  }
  deepEqual(await app.get("/api/schedule"), { status: 200, body: { entries: [] } });
  deepEqual(await app.get("/metrics"), { status: 404, body: { error: "There is no such path" } });
});

const messagesIn = (text: string) =>
  text.split("\n\n").filter((message) => message !== "").map((message) => {
    const [, id, name, json] = /^(?:retry: 2000\n)?id: (\d+)\nevent: (\w+)\ndata: (.+)$/.exec(message)!;
    return { id: Number(id), name, data: JSON.parse(json!) };
  });

/** A list whose runs are told of by hand. */
function sampleList() {
  const entries = new Map([["run-1", sampleEntry("run-1")]]);
  const running = [sampleEntry("run-1"), sampleEntry("run-2", { attention: [] })];
  const listeners = new Set<(change: EntryChange) => void>();
  const ending = new AbortController();
  const errors: unknown[] = [];
  const looked: string[] = [];
  const open = (heartbeatMs?: number) =>
    openHistory({
      attention: () => [sampleEntry("run-1")],
      history: () => ({ entries: running, next: null, total: 2, indexing: null }),
      entry(_, id) {
        looked.push(id);
        return entries.get(id);
      },
      subscribe(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    }, { ending: ending.signal, onError: (error) => errors.push(error), heartbeatMs }).pipeThrough(
      new TextDecoderStream(),
    ).getReader();
  const tell = (change: EntryChange) => {
    for (const listener of listeners) listener(change);
  };
  const change = (id: string, title: string) => {
    const entry = sampleEntry(id, { title });
    entries.set(id, entry);
    tell({ entry });
  };
  const remove = (id: string) => {
    entries.delete(id);
    tell({ removed: { kind: "manager", id } });
  };
  return { open, change, remove, listeners, ending, errors, looked };
}

Deno.test("the stream of the list begins with what goes on, each run once, and goes on with what changes", async () => {
  const { open, change, remove, listeners, ending } = sampleList();
  const reader = open();
  const next = async () => messagesIn((await reader.read()).value!);
  equal(listeners.size, 0);
  deepEqual(await next(), [{
    id: 0,
    name: "snapshot",
    data: { entries: [sampleEntry("run-1"), sampleEntry("run-2", { attention: [] })] },
  }]);
  change("run-3", "new");
  deepEqual(await next(), [{ id: 1, name: "entry", data: sampleEntry("run-3", { title: "new" }) }]);
  const waiting = next();
  remove("run-3");
  deepEqual(await waiting, [{ id: 2, name: "removed", data: { kind: "manager", id: "run-3" } }]);
  change("run-1", "last words");
  ending.abort();
  deepEqual(await next(), [{ id: 3, name: "entry", data: sampleEntry("run-1", { title: "last words" }) }]);
  equal((await reader.read()).done, true);
  equal(listeners.size, 0);
});

Deno.test("a slow reader of the list gets the last state of each run, not the way to it", async () => {
  const { open, change, looked, listeners } = sampleList();
  const reader = open();
  await reader.read();
  for (let i = 0; i < 10_000; i++) change(`run-${i % 100}`, `title ${i}`);
  deepEqual(looked, []);
  const parts = [messagesIn((await reader.read()).value!), messagesIn((await reader.read()).value!)];
  // What it gets at once does not grow with what it has missed.
  deepEqual(parts.map(({ length }) => length), [64, 36]);
  const entries = parts.flat();
  deepEqual(entries.map(({ data }) => data.title), Array.from({ length: 100 }, (_, i) => `title ${9900 + i}`));
  equal(looked.length, 100);
  await reader.cancel();
  equal(listeners.size, 0);
});

Deno.test("a reader of the list who leaves while nothing happens is forgotten", async () => {
  const { open, listeners, errors } = sampleList();
  const reader = open(1);
  await reader.read();
  equal((await reader.read()).value, ": still here\n\n");
  const waiting = reader.read();
  await reader.cancel();
  await waiting;
  deepEqual([listeners.size, errors], [0, []]);
});

Deno.test("a list that cannot be read ends its stream, and tells why", async () => {
  const error = new Error("the index is broken");
  using app = await sampleApp({
    library: {
      attention() {
        throw error;
      },
    },
  });
  const response = await app.fetch("/api/history/stream");
  await response.text().catch(() => {});
  deepEqual([app.errors, app.listeners.size], [[error], 0]);
});
