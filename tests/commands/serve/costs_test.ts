import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { CostReader } from "../../../src/commands/serve/costs.ts";
import { entryOf } from "../../../src/commands/serve/entries/indexed_run.ts";
import type { IndexedValue } from "../../../src/commands/serve/index_runs.ts";
import { openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { Refused } from "../../../src/http/ports.ts";
import { costs as costsSchema, type CostsQuery } from "../../../src/http/schemas.ts";
import { call, end } from "../../gateway/ledger/calls.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const USD = 1e12;
const DAY_MS = 24 * 60 * 60 * 1000;
const FIRST_MS = Date.UTC(2026, 0, 5, 23, 59);

interface Spent {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  readonly model: string;
  readonly usd: number | null;
  readonly day: number;
}

function writeLedger(path: string, spent: readonly Spent[]): void {
  let nowMs = FIRST_MS;
  using ledger = openLedger(path, { now: () => nowMs });
  for (const { id, run, worker, model, usd, day } of spent) {
    nowMs = FIRST_MS + day * DAY_MS;
    ledger.reserve(call(id, { run, worker, model }), 0);
    const usage = { input: 10, cacheRead: 5, cacheWrite: 1, output: 2, reasoning: 0 };
    ledger.settle(id, end(usd === null ? null : usd * USD, { usage }));
  }
}

const SPENT: readonly Spent[] = [
  { id: "1", run: "orch_1", worker: "claude-2", model: "sonnet", usd: 0.5, day: 0 },
  { id: "2", run: "orch_1", worker: "claude", model: "sonnet", usd: 0.25, day: 1 },
  { id: "3", run: "r1", worker: "w1", model: "gpt", usd: null, day: 1 },
];

function mini(
  id: string,
  { usd, model, startedAt }: { usd: number | null; model: string; startedAt: string | null },
): IndexedValue {
  const entry = entryOf({
    kind: "mini",
    id,
    folder: "/f",
    task: "t",
    status: "success",
    running: false,
    attention: [],
    agents: ["mini"],
    models: model === "" ? [] : [model],
    source: null,
    startedAt,
    endedAt: null,
    lastEventAt: null,
    knownUsd: usd ?? 0,
    unpricedCalls: usd === null ? 1 : 0,
    calls: 2,
    progress: null,
    summary: null,
  }, 0);
  return { entry, workers: [], inputTokens: 7, outputTokens: 3 };
}

const AGENTS = new Map([["orch_1/claude", "claude"], ["orch_1/claude-2", "claude"], ["r1/w1", "codex"]]);

function readerOf(ledgers: readonly string[], minis: readonly IndexedValue[] = []) {
  const sources = {
    ledgers: () => ledgers,
    minis: () => minis,
    agentOf: (run: string, worker: string) => AGENTS.get(`${run}/${worker}`),
  };
  const reader = new CostReader(sources);
  return (query: CostsQuery) => costsSchema.parse(reader.read(query));
}

const row = (key: string, usd: number | null, known: number, calls: number, tokens: readonly [number, number]) => ({
  key,
  cost_usd: usd,
  known_cost_usd: known,
  calls,
  input_tokens: tokens[0],
  output_tokens: tokens[1],
});

Deno.test("costs of ledgers and of mini runs are added up by day, model, agent and run; unknown is never 0", async () => {
  await inTempDir((dir) => {
    const [one, two] = [`${dir}/one.db`, `${dir}/two.db`];
    writeLedger(one, SPENT.slice(0, 2));
    writeLedger(two, SPENT.slice(2));
    const minis = [
      mini("m1", { usd: 1, model: "sonnet", startedAt: "2026-01-05T10:00:00Z" }),
      mini("m2", { usd: 0.125, model: "", startedAt: null }),
    ];
    const read = readerOf([one, `${dir}/nothing.db`, two], minis);
    deepEqual(read({ by: "day" }), {
      by: "day",
      rows: [
        row("2026-01-05", 1.5, 1.5, 3, [23, 5]),
        row("2026-01-06", null, 0.25, 2, [32, 4]),
        row("unknown", 0.125, 0.125, 2, [7, 3]),
      ],
      sources: [one, two],
      problems: [],
    });
    deepEqual(read({ by: "model" }).rows, [
      row("sonnet", 1.75, 1.75, 4, [39, 7]),
      row("unknown", 0.125, 0.125, 2, [7, 3]),
      row("gpt", null, 0, 1, [16, 2]),
    ]);
    deepEqual(read({ by: "agent" }).rows, [
      row("mini", 1.125, 1.125, 4, [14, 6]),
      row("claude", 0.75, 0.75, 2, [32, 4]),
      row("codex", null, 0, 1, [16, 2]),
    ]);
    deepEqual(read({ by: "run" }).rows.map(({ key, known_cost_usd }) => [key, known_cost_usd]), [
      ["m1", 1],
      ["orch_1", 0.75],
      ["m2", 0.125],
      ["r1", 0],
    ]);
  });
});

Deno.test("the runs that make up the cost of a model or an agent are those with it", async () => {
  await inTempDir((dir) => {
    writeLedger(`${dir}/one.db`, SPENT);
    const minis = [
      mini("m1", { usd: 1, model: "sonnet", startedAt: "2026-01-05T10:00:00Z" }),
      mini("m2", { usd: 0.125, model: "", startedAt: null }),
    ];
    const read = readerOf([`${dir}/one.db`], minis);
    const runs = (of: Partial<CostsQuery>) =>
      read({ by: "run", ...of }).rows.map(({ key, cost_usd }) => [key, cost_usd]);
    deepEqual(runs({ model: "sonnet" }), [["m1", 1], ["orch_1", 0.75]]);
    deepEqual(runs({ model: "unknown" }), [["m2", 0.125]]);
    deepEqual(runs({ agent: "claude" }), [["orch_1", 0.75]]);
    deepEqual(runs({ agent: "mini", model: "sonnet" }), [["m1", 1]]);
    deepEqual(runs({ agent: "nobody" }), []);
    deepEqual(read({ by: "day", agent: "claude" }).rows.map(({ key, calls }) => [key, calls]), [
      ["2026-01-05", 1],
      ["2026-01-06", 1],
    ]);
  });
});

Deno.test("both days of a span count, and a day that there is not is refused", async () => {
  await inTempDir((dir) => {
    writeLedger(`${dir}/one.db`, SPENT);
    const minis = [mini("m1", { usd: 1, model: "sonnet", startedAt: "2026-01-06T23:59:59.999Z" })];
    const read = readerOf([`${dir}/one.db`], minis);
    const days = (span: Partial<CostsQuery>) => read({ by: "day", ...span }).rows.map(({ key, calls }) => [key, calls]);
    deepEqual(days({ since: "2026-01-06" }), [["2026-01-06", 4]]);
    deepEqual(days({ until: "2026-01-05" }), [["2026-01-05", 1]]);
    deepEqual(days({ since: "2026-01-05", until: "2026-01-06" }), [["2026-01-05", 1], ["2026-01-06", 4]]);
    deepEqual(days({ since: "2026-01-07" }), []);
    for (const since of ["2026-02-31", "2026-13-01", "0000-00-00"]) {
      throws(
        () => days({ since }),
        (error) => error instanceof Refused && error.message === "since: there is no such day",
      );
    }
  });
});

Deno.test("a ledger that has changed is read again, and one that cannot be read is a problem among the others", async () => {
  await inTempDir((dir) => {
    const [one, bad] = [`${dir}/one.db`, `${dir}/bad.db`];
    writeLedger(one, SPENT.slice(0, 1));
    Deno.writeTextFileSync(bad, "no database ".repeat(1000));
    const read = readerOf([bad, one]);
    const first = read({ by: "run" });
    deepEqual(first.rows.map(({ key, cost_usd }) => [key, cost_usd]), [["orch_1", 0.5]]);
    deepEqual(first.sources, [one]);
    equal(first.problems.length, 1);
    ok(first.problems[0]!.startsWith(`Cannot use "${bad}" as the ledger: `), first.problems[0]!);
    writeLedger(one, SPENT.slice(1, 2));
    deepEqual(read({ by: "run" }).rows.map(({ key, cost_usd }) => [key, cost_usd]), [["orch_1", 0.75]]);
  });
});

Deno.test("an agent that is known later takes the place of its worker's name", async () => {
  await inTempDir((dir) => {
    writeLedger(`${dir}/one.db`, SPENT);
    const agents = new Map<string, string>();
    const reader = new CostReader({
      ledgers: () => [`${dir}/one.db`],
      minis: () => [],
      agentOf: (run, worker) => agents.get(`${run}/${worker}`),
    });
    const keys = () => reader.read({ by: "agent" }).rows.map(({ key }) => key);
    deepEqual(keys(), ["claude-2", "claude", "w1"]);
    agents.set("r1/w1", "codex").set("orch_1/claude-2", "claude");
    deepEqual(keys(), ["claude", "codex"]);
  });
});
