/** The run that a person names is found by id, by path, or as the last one; what cannot be found is told. */
import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { findRun } from "../../../src/commands/report/find_run.ts";
import { Failure } from "../../../src/failure.ts";
import { writeRunLog, writeTrajectory } from "../serve/run_files.ts";
import { inTempDir } from "../../support/temp_dir.ts";

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, text);
}

const event = (type: string, time: string, data: unknown) => `${JSON.stringify({ seq: 0, time, type, data })}\n`;
const sessionLog = (time = "2026-02-05T12:00:00.000Z") =>
  event("session.started", time, {
    ...{ session_id: "s", task: "t", target: "/t", folder: "/f", version: "0", pid: 1, base_commit: null },
    ...{ branch: null, shared: true, budget_usd: null },
  });
const runLog = (time = "2026-02-05T12:00:00.000Z") =>
  event("run.started", time, {
    ...{ run_id: "r", issue: "/i.md", repo_path: "/r", folder: "/f", version: "0", pid: 1, commit: "c" },
    ...{ agent: "mini", workers: 1 },
  });

function find(name: string, dir: string) {
  return findRun(name, {
    cwd: dir,
    now: Date.now,
    roots: () =>
      Promise.resolve({ runsRoot: `${dir}/runs`, workspace: `${dir}/workspace`, miniWorkdirs: [`${dir}/project`] }),
  });
}

/** A session, two manager runs, one of which is called as the session, a started mini run, one in a workdir. */
async function withRuns(work: (dir: string) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    await write(`${dir}/workspace/orch_1/events.jsonl`, sessionLog());
    await write(`${dir}/workspace/same/events.jsonl`, sessionLog());
    await write(`${dir}/runs/same/events.jsonl`, runLog());
    await write(`${dir}/runs/run-1/events.jsonl`, runLog());
    await write(`${dir}/runs/mini-1/process.json`, '{"pid": 1, "task": "t"}');
    const start = { type: "start", data: { run_id: "own-id" }, timestamp: "2026-02-05T12:00:00.000Z" };
    await write(`${dir}/runs/mini-1/stream.jsonl`, `${JSON.stringify(start)}\n`);
    await writeTrajectory(`${dir}/project/.miniswe/data/last_run.traj.json`, { runId: "w-1" }, `${dir}/project`);
    await work(dir);
  });
}

Deno.test("a run is found by its id, by its own id, and by paths of its folder and files", async () => {
  await withRuns(async (dir) => {
    const trajectory = `${dir}/project/.miniswe/data/last_run.traj.json`;
    await writeRunLog(`${dir}/elsewhere/cut-1.jsonl`, { runId: "cut-1" }, { workdir: dir });
    await write(`${dir}/elsewhere/of-another.traj.json`, '{"messages": []}');
    const cases: readonly (readonly [name: string, found: string])[] = [
      ["orch_1", "session orch_1"],
      ["run-1", "manager run-1"],
      ["mini-1", "mini mini-1"],
      ["own-id", "mini mini-1"],
      ["w-1", "mini w-1"],
      ["workspace/orch_1", "session orch_1"],
      ["./runs/run-1/", "manager run-1"],
      ["runs/run-1/events.jsonl", "manager run-1"],
      ["runs/mini-1/stream.jsonl", "mini mini-1"],
      [`${dir}/workspace/same`, "session same"],
      [`${dir}/runs/same`, "manager same"],
      ["project", "mini w-1"],
      [trajectory, "mini w-1"],
      ["elsewhere/cut-1.jsonl", "mini cut-1"],
      ["elsewhere/of-another.traj.json", "mini of-another"],
    ];
    for (const [name, found] of cases) {
      const { kind, id } = await find(name, dir);
      equal(`${kind} ${id}`, found, name);
    }
  });
});

Deno.test("the last run is the one that began last, whichever was written last", async () => {
  await withRuns(async (dir) => {
    const run = `${dir}/runs/run-2/events.jsonl`;
    await write(run, runLog("2026-02-05T13:00:00.000Z"));
    await Deno.utime(run, new Date("2026-02-05T13:00:05Z"), new Date("2026-02-05T13:00:05Z"));
    equal((await find("last", dir)).id, "run-2");
    await write(run, runLog("2026-01-01T13:00:00.000Z"));
    await write(`${dir}/workspace/orch_1/events.jsonl`, sessionLog("2026-02-05T12:00:01.000Z"));
    equal((await find("last", dir)).id, "orch_1");
  });
});

Deno.test("an id of several runs, or of none, is told with what there is", async () => {
  await withRuns(async (dir) => {
    await rejects(find("same", dir), (error) => {
      deepEqual(error instanceof Failure && [error.kind, error.message, error.hints], [
        "usage",
        'Cannot tell which run "same" is: need one, found 2',
        [`A session: \`gocore report ${dir}/workspace/same\``, `A manager run: \`gocore report ${dir}/runs/same\``],
      ]);
      return true;
    });
    await rejects(find("orch_2", dir), (error) => {
      equal((error as Failure).kind, "usage");
      deepEqual((error as Failure).hints[0], "Did you mean `orch_1`?");
      return true;
    });
    for (const name of ["project/.miniswe", "nowhere/x", "..", "../../etc/passwd"]) {
      await rejects(find(name, dir), { kind: "usage" }, name);
    }
  });
  await inTempDir(async (dir) => {
    for (const name of ["last", "x"]) {
      await rejects(find(name, dir), (error) => {
        deepEqual((error as Failure).hints, [
          "There are no runs: name where they are with --workspace, --runs-root or --mini-workdir",
        ]);
        return true;
      });
    }
  });
});
