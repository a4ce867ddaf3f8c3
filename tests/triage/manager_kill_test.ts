/** 20 times and more `kill -9` of `gocore manager`, at any moment: it ends as if nothing had been. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { exists, type GocoreRun, listing, type StreamEvent } from "../support/gocore.ts";
import { builder, ManagedIssue, TRIAGERS } from "../support/managed_issue.ts";

const KILLS = 24;
/** Runs at the same time. */
const LANES = 2;
const LONGEST_LIFE_MS = 5000;

const SCRIPT = "import pkg\nnumbers = [1, 2]\nprint(pkg.mean(numbers))\npkg.mean(numbers[2:])\n";
const WORKERS = { w1: builder(SCRIPT), w2: builder("import pkg\npkg.mean([1])\n"), ...TRIAGERS };

Deno.test(`a manager that is killed ${KILLS} times ends as one that is not, and does nothing twice`, async () => {
  let kills = 0;
  await Promise.all(Array.from({ length: LANES }, async () => {
    await using issue = await ManagedIssue.create();
    const refs = await issue.git("for-each-ref");
    equal((await (await start(issue, "r0")).end).code, 0);
    const wanted = await artifacts(issue, "r0");
    for (let number = 1; kills < KILLS; number++) {
      const id = `r${number}`;
      const lives: number[] = [];
      try {
        let spent = await spending(issue, id);
        for (;;) {
          const run = await start(issue, id);
          const lifeMs = kills < KILLS ? Math.random() * LONGEST_LIFE_MS : undefined;
          const timer = lifeMs === undefined ? undefined : setTimeout(() => run.kill("SIGKILL"), lifeMs);
          const end = await run.end;
          clearTimeout(timer);
          const now = await spending(issue, id);
          for (const [worker, { calls, usd }] of spent) {
            const { calls: callsNow, usd: usdNow } = now.get(worker)!;
            ok(callsNow >= calls && usdNow >= usd, `the ledger of ${worker} fell`);
          }
          spent = now;
          if (end.signal === null) {
            equal(end.code, 0, end.stdout + end.stderr);
            break;
          }
          lives.push(Math.round(lifeMs!));
          kills++;
        }
        deepEqual(await artifacts(issue, id), wanted);
        await nothingTwice(issue, id);
        deepEqual(await listing(issue.box.tmp), []);
        equal(await issue.git("for-each-ref"), refs);
        equal((await issue.git("worktree", "list")).split("\n").length, 1);
        await issue.box.noProcessLeft();
      } catch (error) {
        throw new Error(`Run ${id}, killed after ${lives.join(", ")} ms: ${error}`, { cause: error });
      }
    }
  }));
  ok(kills >= KILLS);
});

async function start(issue: ManagedIssue, id: string): Promise<GocoreRun> {
  return await issue.start(WORKERS, [
    ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", id, "--rounds", "1", "--parallel", "2"],
    ...["--repro-validation-runs", "3", "--no-semantic-cut"],
  ]);
}

/** What a run leaves, without what differs from one to the next: times, addresses, and what was paid. */
async function artifacts(issue: ManagedIssue, id: string): Promise<Record<string, unknown>> {
  const json = async (path: string) => JSON.parse(await text(path), (key, value) => key === "duration_ms" ? 0 : value);
  const text = async (path: string) => (await issue.read(path, id)).replaceAll(new RegExp(`\\b${id}\\b`, "g"), "RUN");
  const { created_at: _, preflight: _2, metrics: _3, cost_usd: _4, diagnostics: _5, ...decision } = await json(
    "decision.json",
  ) as Record<string, unknown>;
  const { completed_at: _6, ...done } = JSON.parse(await text("run_done.json"));
  const names = ["final.md", "repro/minimal_repro.py", "repro/verify.sh", "repro/README.md"];
  const documents = [
    ...["issue.json", "sessions.json", "triage/hypotheses.json", "repro/proof.json", "repro/selected_candidate.json"],
    ...["w1", "w2"].map((worker) => `repro/candidates/${worker}.json`),
  ];
  return {
    decision,
    done,
    ...Object.fromEntries(await Promise.all(names.map(async (name) => [name, await text(name)]))),
    ...Object.fromEntries(await Promise.all(documents.map(async (name) => [name, await json(name)]))),
  };
}

async function nothingTwice(issue: ManagedIssue, id: string): Promise<void> {
  const log = (await issue.read("events.jsonl", id)).trimEnd().split("\n").map((line): StreamEvent => JSON.parse(line));
  const runs = log.flatMap(({ type, data }) =>
    type === "candidate.run" ? [`${data.candidate} ${data.stage} ${data.commit} ${data.run}`] : []
  );
  equal(new Set(runs).size, runs.length, `a run was told twice: ${runs}`);
  const ended = new Set<string>();
  for (const { type, data } of log) {
    if (type === "worker.exited" && data.outcome === "completed") ended.add(data.worker);
    if (type === "worker.launched") ok(!ended.has(data.worker), `${data.worker} had ended`);
  }
  const asked = (await issue.read("repro/minimize.jsonl", id)).trimEnd().split("\n");
  equal(new Set(asked).size, asked.length, "a question was asked twice");
}

/** By worker, as the ledger has it. */
async function spending(issue: ManagedIssue, id: string): Promise<Map<string, { calls: number; usd: number }>> {
  const ledger = join(issue.runs, "ledger.db");
  if (!await exists(ledger)) return new Map();
  const { code, stdout, stderr } = await issue.box.run([
    ...["gateway", "report", "--ledger", ledger, "--run", id, "--by", "worker", "--json"],
  ]);
  equal(code, 0, stderr);
  const { rows } = JSON.parse(stdout);
  return new Map(
    rows.map((row: { worker: string; calls: number; cost_usd: number | null }) => [
      row.worker,
      { calls: row.calls, usd: row.cost_usd ?? 0 },
    ]),
  );
}
