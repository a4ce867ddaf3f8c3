/** How a run stands, as its log, its lock and its files say. */
import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { openRunLog } from "../../../src/commands/manager/run_folder.ts";
import { runStatus } from "../../../src/commands/manager/run_status.ts";
import { showStatus } from "../../../src/commands/manager/show_status.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { Failure } from "../../../src/failure.ts";
import { readProcess } from "../../../src/process/process_tree.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { fakeIo, finished, launched, phase, running, started, worker, writeRun } from "./runs.ts";

/** No tmux: what it shows is no evidence. */
const env = { PATH: "/nowhere" };
const self = readProcess("self");
const open = (folder: string) => openRunLog(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });

Deno.test("the status of a run that is carried out has every field of the seed", async () => {
  await inTempDir(async (dir) => {
    const stream = join(dir, "w1.jsonl");
    await Deno.writeTextFile(stream, "one\ntwo\nth\x1b[2Jree\n");
    const folder = await writeRun(dir, "r1", [
      started(),
      phase("reproduce", "started"),
      worker("w1", "running"),
      launched("w1", { stream, workdir: "/tmp/mminions-r1-w1" }),
      worker("w2", "failed", { reason: "auth: no", role: "TRIAGER" }),
    ]);
    await Deno.writeTextFile(join(folder, "manager.log"), "a\nb\nc\n");
    using _ = await open(folder);
    deepEqual(await runStatus(folder, { lines: 2, env }), {
      run_id: "r1",
      run_state: "running",
      manager: {
        session_name: "codorch-r1-manager",
        session_exists: false,
        pane_tail: "b\nc",
        issue_url: "https://github.com/o/r/issues/7",
        pid: Deno.pid,
        phase: "reproduce",
      },
      workers: [
        {
          worker_id: "w1",
          role: "REPRO_BUILDER",
          status: "running",
          session_name: "codorch-r1-w1",
          session_exists: false,
          worktree_path: "/tmp/mminions-r1-w1",
          output_path: `${folder}/repro/candidates/w1.json`,
          script_path: `${folder}/scripts/repro-w1.sh`,
          pane_tail: "two\nth\\x1b[2Jree",
          reason: "",
          agent: "codex",
        },
        {
          worker_id: "w2",
          role: "TRIAGER",
          status: "failed",
          session_name: "codorch-r1-w2",
          session_exists: false,
          worktree_path: "",
          output_path: `${folder}/triage/w2.json`,
          script_path: `${folder}/scripts/triage-w2.sh`,
          pane_tail: "",
          reason: "auth: no",
          agent: null,
        },
      ],
      summary: { total: 2, active: 1, finished: 0, failed: 1, timeout: 0, unknown: 0, stopped: 0 },
      decision: { status: "running" },
      run_done: {},
    });
  });
});

Deno.test("a run whose process is dead is cut off, and its workers are what they are", async () => {
  await inTempDir(async (dir) => {
    const alive = { pid: Deno.pid, startTicks: self!.startTicks };
    const folder = await writeRun(dir, "r1", [
      started(),
      worker("w1", "running"),
      launched("w1"),
      running("w1", alive),
      worker("w2", "running"),
      launched("w2"),
      running("w2", { ...alive, startTicks: 1 }),
      worker("w3", "timeout"),
    ]);
    const { run_state, manager, workers, summary } = await runStatus(folder, { lines: 0, env });
    deepEqual([run_state, manager.pid], ["cut_off", null]);
    deepEqual(workers.map(({ status }) => status), ["running", "unknown", "timeout"]);
    deepEqual(summary, { total: 3, active: 1, finished: 0, failed: 0, timeout: 1, unknown: 1, stopped: 0 });
  });
});

Deno.test("what has ended says how, and files that are no JSON are nothing", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", [started(), finished("ok")]);
    await Deno.writeTextFile(join(folder, "run_done.json"), '{"status": "ok"}');
    await Deno.writeTextFile(join(folder, "decision.json"), "[1,");
    const { run_state, run_done, decision, manager } = await runStatus(folder, { lines: 1, env });
    deepEqual([run_state, run_done, decision], ["ok", { status: "ok" }, {}]);
    match(manager.pane_tail, /^\{"seq":1,.*"run\.finished"/, "without a log of its own it is the events");
  });
});

Deno.test("gocore status shows a run to people, escaped, and as JSON to machines", async () => {
  await inTempDir(async (dir) => {
    await writeRun(join(dir, "runs"), "r1", [
      started(),
      worker("w1", "running"),
      launched("w1"),
      worker("w1", "failed", { reason: "auth: \x1b[31mno\u202e" }),
    ]);
    const people = fakeIo(dir, { env });
    equal(await showStatus({ runId: "r1" }, people.io), 0);
    deepEqual(people.stdout().split("\n"), [
      "r1: cut off",
      "issue: https://github.com/o/r/issues/7",
      "go on with it: gocore manager --resume r1",
      "",
      "worker  role           agent  status  tmux session  reason",
      "w1      REPRO_BUILDER  codex  failed  -             auth: \\x1b[31mno\\u202e",
      "",
    ]);
    const machine = fakeIo("/", { env });
    equal(await showStatus({ runId: "r1", runsRoot: join(dir, "runs"), json: true }, machine.io), 0);
    equal(JSON.parse(machine.stdout()).workers[0].status, "failed");
  });
});

Deno.test("the end of what each does is lines for people, and the streams as they are for machines", async () => {
  await inTempDir(async (dir) => {
    const stream = join(dir, "w1.jsonl");
    await Deno.writeTextFile(stream, '{"type":"turn.started"}\n');
    const said = (text: string, data?: Record<string, unknown>): EventFact => ({
      type: "worker.event",
      data: {
        worker: "w1",
        offset: 1,
        event: {
          type: data === undefined ? "message" : "command",
          agent: "codex",
          timestamp: "2026-02-05T12:30:00Z",
          payload: { text, data },
        },
      },
    });
    await writeRun(join(dir, "runs"), "r1", [
      started(),
      worker("w1", "running"),
      launched("w1", { stream }),
      said("I look\x1b[2J at it"),
      said("pytest", { phase: "ended", exit_code: 1, output: "1 failed\n" }),
    ]);
    const people = fakeIo(dir, { env });
    await showStatus({ runId: "r1", lines: 3 }, people.io);
    deepEqual(people.stdout().split("\n").slice(-9), [
      "== manager",
      "2026-02-05T12:30:00Z Run r1: https://github.com/o/r/issues/7 at c0ffee of /project",
      "2026-02-05T12:30:01Z w1 REPRO_BUILDER running",
      "",
      "== w1",
      "2026-02-05T12:30:03Z says     I look\\x1b[2J at it",
      "2026-02-05T12:30:04Z ran      exit code 1: $ pytest",
      "  1 failed",
      "",
    ]);
    const machine = fakeIo(dir, { env });
    await showStatus({ runId: "r1", lines: 3, json: true }, machine.io);
    equal(JSON.parse(machine.stdout()).workers[0].pane_tail, '{"type":"turn.started"}');
  });
});

Deno.test("a run that is not there is answered with those that are, a bad id with what one is", async () => {
  await inTempDir(async (dir) => {
    await writeRun(join(dir, "runs"), "r1", [started()]);
    const refusal = async (runId: string) => {
      let text = "";
      await rejects(showStatus({ runId }, fakeIo(dir, { env }).io), (error) => {
        ok(error instanceof Failure);
        text = [error.message, ...error.hints].join("\n");
        return error.kind === "usage";
      });
      return text;
    };
    equal(await refusal("r2"), `Cannot find the run "r2" in "${dir}/runs"\nThere are r1`);
    match(await refusal("../r1"), /^Cannot use --run-id: need/);
  });
});
