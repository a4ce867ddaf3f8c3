import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import { INDEX_NAME } from "../../../src/commands/serve/library.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { encodeJsonLine } from "../../../src/events/json_lines.ts";
import { Refused } from "../../../src/http/ports.ts";
import { entry as entrySchema, historyPage, type HistoryQuery } from "../../../src/http/schemas.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { finished as runFinished, started as runStarted, writeRun } from "../manager/runs.ts";
import { asked, finished, launched, MINUTE, START_MS, started, status, writeSession } from "../orchestrate/sessions.ts";
import { DEAD, followLibrary, writeRunLog, writeTrajectory } from "./run_files.ts";

const page = (query: Partial<HistoryQuery> = {}): HistoryQuery => ({ limit: 50, ...query });
const idsOf = (entries: readonly { id: string }[]) => entries.map(({ id }) => id);
const answered = (worker: string, cost: number | null): EventFact => ({
  type: "model.answered",
  data: {
    call: `call_${worker}_${cost}`,
    run: "r1",
    worker,
    key: null,
    upstream: "u",
    dialect: "anthropic",
    streamed: true,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    outcome: "answered",
    status: 200,
    attempts: 1,
    cost_usd: cost,
    cost_source: cost === null ? "unknown" : "list",
    usage_source: "provider",
    duration_ms: 1,
    first_byte_ms: 1,
    overhead_ms: 1,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cache_creation.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
  },
});

Deno.test("the library has the runs of all kinds, with every field of an entry", async () => {
  await inTempDir(async (dir) => {
    await writeSession(`${dir}/workspace`, "orch_1", [
      started({ task: "Port\nthe parser" }),
      launched("claude"),
      answered("claude", 0.25),
      finished("done"),
    ]);
    await writeRun(`${dir}/runs`, "r1", [runStarted(), answered("w1", null), runFinished("ok")]);
    await writeTrajectory(
      `${dir}/project/.miniswe/data/last_run.traj.json`,
      { runId: "20260105T000000Z-1-abcd" },
      `${dir}/project`,
    );
    await using followed = await followLibrary(dir);
    const { library, problems } = followed;
    const found = historyPage.parse(library.history(page()));
    deepEqual(found, {
      entries: [
        {
          kind: "manager",
          id: "r1",
          title: "https://github.com/o/r/issues/7",
          status: "ok",
          running: false,
          attention: [],
          agents: ["codex"],
          models: [],
          source: "https://github.com/o/r/issues/7",
          folder: `${dir}/runs/r1`,
          started_at: "2026-02-05T12:30:00.000Z",
          ended_at: "2026-02-05T12:30:02.000Z",
          last_event_at: "2026-02-05T12:30:02.000Z",
          elapsed_seconds: 2,
          cost_usd: null,
          known_cost_usd: 0,
          calls: 1,
          progress: 100,
          summary: "it is ok",
        },
        {
          kind: "mini",
          id: "20260105T000000Z-1-abcd",
          title: "Fix the parser",
          status: "success",
          running: false,
          attention: [],
          agents: ["mini"],
          models: ["anthropic/claude-sonnet-4-5"],
          source: `${dir}/project`,
          folder: `${dir}/project`,
          started_at: "2026-01-05T00:00:00.000Z",
          ended_at: "2026-01-05T00:00:09.000Z",
          last_event_at: "2026-01-05T00:00:09.000Z",
          elapsed_seconds: 9,
          cost_usd: 0.25,
          known_cost_usd: 0.25,
          calls: 1,
          progress: 100,
          summary: "all done",
        },
        {
          kind: "session",
          id: "orch_1",
          title: "Port",
          status: "done",
          running: false,
          attention: [],
          agents: ["claude"],
          models: [],
          source: "/project",
          folder: `${dir}/workspace/orch_1`,
          started_at: "2025-11-21T17:58:11.000Z",
          ended_at: "2025-11-21T18:01:11.000Z",
          last_event_at: "2025-11-21T18:01:11.000Z",
          elapsed_seconds: 180,
          cost_usd: 0.25,
          known_cost_usd: 0.25,
          calls: 1,
          progress: 100,
          summary: "it is done",
        },
      ],
      next: null,
      total: 3,
      indexing: null,
    });
    deepEqual(library.about, {
      version: library.about.version,
      mode: "all",
      session_id: null,
      runs_root: `${dir}/runs`,
      workspace: `${dir}/workspace`,
      mini_workdirs: [`${dir}/project`],
      can_start: ["mini"],
    });
    deepEqual(problems, []);
    deepEqual(library.ids("manager"), ["r1"]);
    equal(library.entry("session", "r1"), undefined);
  });
});

Deno.test("pages follow each other by their cursors; what is no cursor is refused", async () => {
  await inTempDir(async (dir) => {
    for (const id of ["a", "b", "c"]) await writeRun(`${dir}/runs`, id, [runStarted(), runFinished("ok")]);
    await using followed = await followLibrary(dir);
    const { library } = followed;
    const first = library.history(page({ limit: 2 }));
    deepEqual([idsOf(first.entries), first.total], [["c", "b"], 3]);
    const second = library.history(page({ limit: 2, cursor: first.next! }));
    deepEqual([idsOf(second.entries), second.next, second.total], [["a"], null, 3]);
    for (const cursor of ["x", "", "\0", btoa("[]"), btoa('["a",1,"b"]'), btoa("null"), "ä"]) {
      throws(
        () => library.history(page({ cursor })),
        (error) => error instanceof Refused && error.status === 400,
        cursor,
      );
    }
  });
});

Deno.test("tasks, sources, errors, results and final reports are searched", async () => {
  await inTempDir(async (dir) => {
    const session = await writeSession(`${dir}/workspace`, "orch_1", [
      started({ task: "Port the parser" }),
      { type: "log", data: { level: "error", content: "Worker said EADDRINUSE" } },
      finished("done"),
    ]);
    await Deno.writeTextFile(`${session}/final.md`, "# Report\nThe zebra is quick.\n");
    const run = await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("ok")]);
    await Deno.writeTextFile(`${run}/final.md`, "The giraffe is quick.\n");
    await using followed = await followLibrary(dir);
    const found = (q: string) => idsOf(followed.library.history(page({ q })).entries);
    deepEqual(found("parser port"), ["orch_1"]);
    deepEqual(found("eaddr"), ["orch_1"]);
    deepEqual(found("zebra"), ["orch_1"]);
    deepEqual(found("giraffe quick"), ["r1"]);
    deepEqual(found("github.com/o/r/issues/7"), ["r1"]);
    deepEqual(found("quick"), ["r1", "orch_1"]);
    deepEqual(found("quick' OR 1=1 --"), []);
  });
});

Deno.test("a session that goes on is followed event by event, until its process is gone", async () => {
  await inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/workspace/orch_1`, { recursive: true });
    const log = await SessionLog.open(`${dir}/workspace/orch_1`, {
      redactor: new Redactor(),
      now: Date.now,
      onFailure: (error) => ok(false, String(error)),
    });
    await using followed = await followLibrary(dir);
    const { library, until } = followed;
    const entry = () => library.entry("session", "orch_1");
    await log.publish(started({ task: "Port the parser" }));
    await until("the new session is there", () => entry()?.title === "Port the parser");
    deepEqual([entry()!.status, entry()!.running, entry()!.attention], ["starting", true, []]);
    await log.publish(launched("claude"));
    await log.publish(asked("q1", "Which one?"));
    await until("the question is told", () => entry()!.attention.length === 1);
    deepEqual(library.attention().map(({ attention }) => attention.map(({ kind, text }) => [kind, text])), [[
      ["needs_answer", "Which one?"],
    ]]);
    await log.publish({ type: "question.answered", data: { question: "q1", answer: "This", by: "me" } });
    await log.publish({
      type: "worker.liveness",
      data: { worker: "claude", verdict: "spinning", proof: "the same command 9 times", idle_seconds: 3 },
    });
    await until("the worker stalls", () => entry()!.attention[0]?.kind === "stalled");
    deepEqual(entry()!.attention.map(({ since: _, ...rest }) => rest), [
      { kind: "stalled", text: "claude is spinning: the same command 9 times", worker: "claude" },
    ]);
    const before = entry()!.elapsed_seconds;
    await until("the time goes on", () => entry()!.elapsed_seconds > before);
    log[Symbol.dispose]();
    await until("it is cut off", () => entry()!.status === "cut_off");
    deepEqual([entry()!.running, entry()!.attention.map(({ kind }) => kind)], [false, ["cut_off"]]);
    using again = await SessionLog.open(`${dir}/workspace/orch_1`, {
      redactor: new Redactor(),
      now: Date.now,
      onFailure() {},
    });
    await again.publish({ type: "session.resumed", data: { pid: Deno.pid, version: "0.1.0", reason: "cut off" } });
    await until("it goes on again", () => entry()!.running);
    await again.publish(finished("failed"));
    await until("it has failed", () => entry()!.status === "failed");
    deepEqual(entry()!.attention.map(({ kind, text }) => [kind, text]), [["failed", "it is failed"]]);
  });
});

Deno.test("more sessions go on than are kept in memory, and each is as it is", async () => {
  await inTempDir(async (dir) => {
    const ids = Array.from({ length: 70 }, (_, number) => `orch_${number}`);
    const logs = await Promise.all(ids.map(async (id) => {
      await Deno.mkdir(`${dir}/workspace/${id}`, { recursive: true });
      return await SessionLog.open(`${dir}/workspace/${id}`, {
        redactor: new Redactor(),
        now: Date.now,
        onFailure() {},
      });
    }));
    try {
      for (const log of logs) await log.publish(started());
      await using followed = await followLibrary(dir);
      const { library, until } = followed;
      deepEqual(library.history(page({ status: "running", limit: 100 })).total, 70);
      for (const log of logs) await log.publish(asked("q1", "Which one?"));
      await until("all ask", (library) => library.attention().length === 70);
      for (const log of logs) await log.publish(asked("q2", "And then?"));
      await until("all ask twice", () => library.attention().every(({ attention }) => attention.length === 2));
      deepEqual(library.attention().map(({ title }) => title), ids.map(() => "Add a flag"));
    } finally {
      for (const log of logs) log[Symbol.dispose]();
    }
  });
});

Deno.test("runs that come and go while the server runs are told", async () => {
  await inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/runs`);
    await using followed = await followLibrary(dir);
    const { library, until, changes } = followed;
    await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("ok")]);
    await until("the run is there", () => library.entry("manager", "r1")?.status === "ok");
    await until("it is told", () => changes.some((change) => "entry" in change && change.entry.id === "r1"));
    await Deno.remove(`${dir}/runs/r1`, { recursive: true });
    await until("it is gone", () => library.entry("manager", "r1") === undefined);
    deepEqual(changes.at(-1), { removed: { kind: "manager", id: "r1" } });
    for (const change of changes) if ("entry" in change) entrySchema.parse(change.entry);
  });
});

Deno.test("roots that are made later are followed, too", async () => {
  await inTempDir(async (dir) => {
    await using followed = await followLibrary(dir);
    await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("ok")]);
    await writeSession(`${dir}/workspace`, "orch_1", [started(), finished("done")]);
    await writeTrajectory(`${dir}/project/.miniswe/data/last_run.traj.json`, { runId: "m1" }, `${dir}/project`);
    await followed.until("all three are there", (library) => library.history(page()).total === 3);
  });
});

Deno.test("a run that is newer than the last look is found at once", async () => {
  await inTempDir(async (dir) => {
    await using followed = await followLibrary(dir);
    await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("ok")]);
    equal((await followed.library.run("r1"))?.folder, `${dir}/runs/r1`);
    equal(followed.library.entry("manager", "r1")?.status, "ok");
  });
});

Deno.test("names that lead out of the roots, through links too, are no runs", async () => {
  await inTempDir(async (dir) => {
    await writeRun(`${dir}/elsewhere`, "r1", [runStarted(), runFinished("ok")]);
    const run = await writeRun(`${dir}/runs`, "r2", [runStarted()]);
    await Deno.symlink(`${dir}/elsewhere/r1`, `${dir}/runs/linked`);
    await Deno.rename(`${run}/events.jsonl`, `${dir}/elsewhere/events.jsonl`);
    await Deno.symlink(`${dir}/elsewhere/events.jsonl`, `${run}/events.jsonl`);
    await using followed = await followLibrary(dir);
    const { library } = followed;
    equal(library.history(page()).total, 0);
    for (
      const id of ["../elsewhere/r1", "..", ".", "", "linked", "r2", "r2/../../elsewhere/r1", "a\0", "%2e%2e", "r1\n"]
    ) {
      equal(await library.run(id), undefined, id);
      equal(await library.session(id), undefined, id);
      equal(await library.mini(id), undefined, id);
    }
  });
});

Deno.test("a failed run needs nobody any more when a newer one of its issue goes well, or a week later", async () => {
  await inTempDir(async (dir) => {
    let nowMs = Date.UTC(2026, 1, 6);
    await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("failed")]);
    await using followed = await followLibrary(dir, { now: () => nowMs });
    const { library, until, changes } = followed;
    deepEqual(idsOf(library.attention()), ["r1"]);
    const lines = [runStarted(), runFinished("ok")].map((fact, seq) =>
      encodeJsonLine({ seq, time: `2026-02-05T13:00:0${seq}.000Z`, ...fact })
    );
    await Deno.mkdir(`${dir}/runs/r2`);
    await Deno.writeTextFile(`${dir}/runs/r2/events.jsonl`, lines.join(""));
    await until("the newer one is there", () => library.entry("manager", "r2") !== undefined);
    deepEqual(library.attention(), []);
    const told = () =>
      changes.some((change) => "entry" in change && change.entry.id === "r1" && change.entry.attention.length === 0);
    await until("the older one is told again", told);
    await Deno.remove(`${dir}/runs/r2`, { recursive: true });
    await until("it needs somebody again", () => library.attention().length === 1);
    nowMs += 7 * 24 * 3600 * 1000;
    deepEqual(library.attention(), []);
    deepEqual([library.entry("manager", "r1")!.status, library.entry("manager", "r1")!.attention], ["failed", []]);
  });
});

Deno.test("a mini run is one, whatever files it has", async () => {
  await inTempDir(async (dir) => {
    const project = `${dir}/project`;
    const data = `${project}/.miniswe/data`;
    await using followed = await followLibrary(dir);
    const { library, until } = followed;
    const entry = () => library.entry("mini", "m1");
    await writeRunLog(`${data}/runs/m1.jsonl`, { runId: "m1" }, { workdir: project });
    await until("it goes on", () => entry()?.running === true);
    deepEqual([entry()!.status, entry()!.title, entry()!.known_cost_usd], ["running", "Fix the parser", 0.25]);
    await Deno.writeTextFile(
      `${data}/runs/m1.jsonl`,
      encodeJsonLine({ kind: "message", message: { role: "assistant", content: "", extra: { cost: 0.5 } } }),
      { append: true },
    );
    await until("it has cost more", () => entry()!.known_cost_usd === 0.75);
    await writeTrajectory(`${data}/last_run.traj.json`, { runId: "m1" }, project);
    await Deno.remove(`${data}/runs/m1.jsonl`);
    await until("it has ended", () => entry()?.status === "success");
    await writeTrajectory(`${data}/runs/m0.traj.json`, { runId: "m0", exitStatus: "Killed", cost: null }, project);
    await writeRunLog(`${data}/runs/m2.claimed-77.jsonl`, { runId: "m2" }, { workdir: project, owner: DEAD });
    await until("three are there", () => library.ids("mini").length === 3);
    deepEqual(library.attention().map(({ id, attention }) => [id, attention.map(({ kind }) => kind)]), []);
    deepEqual(["m0", "m2"].map((id) => library.entry("mini", id)!.status), ["cut_off", "cut_off"]);
    await writeTrajectory(`${data}/last_run.traj.json`, { runId: "m3", startedSec: Date.now() / 1000 }, project);
    await until("the last run is another", () => library.entry("mini", "m3") !== undefined && entry() === undefined);
  });
});

Deno.test("a run that the server has started is found by its folder and by its own id, and is there once", async () => {
  await inTempDir(async (dir) => {
    const project = `${dir}/project`;
    const folder = `${dir}/runs/mini-20260105000000`;
    await Deno.mkdir(folder, { recursive: true });
    await writeRunLog(`${project}/.miniswe/data/runs/m1.jsonl`, { runId: "m1" }, { workdir: project });
    const line = (type: string, data: unknown) => encodeJsonLine({ type, data, timestamp: "2026-01-05T00:00:00.000Z" });
    await Deno.writeTextFile(
      `${folder}/stream.jsonl`,
      line("start", { run_id: "m1", task: "Fix it", model: "openai/gpt-5", workdir: project }),
    );
    const { pid, start_ticks } = { ...DEAD, start_ticks: 1 };
    const process = {
      pid: Deno.pid,
      task: "Fix it",
      model: "openai/gpt-5",
      workdir: project,
      started_at: "2026-01-05T00:00:00Z",
    };
    await Deno.writeTextFile(`${folder}/process.json`, JSON.stringify(process));
    await using followed = await followLibrary(dir);
    const { library, until } = followed;
    const entry = () => library.entry("mini", "mini-20260105000000");
    await until("it is there once", () => library.history(page()).total === 1);
    deepEqual([entry()!.status, entry()!.running, entry()!.source], ["running", true, project]);
    equal((await library.mini("m1"))?.folder, folder);
    await Deno.writeTextFile(
      `${folder}/stream.jsonl`,
      line("finish", { status: "cost_limit", result: "The cost limit of 1 USD is reached" }) +
        line("cost", { calls: 7, known_total: 1.5, unpriced_calls: 0, input_tokens: 5, output_tokens: 2 }),
      { append: true },
    );
    await until("it has ended", () => entry()!.status === "cost_limit");
    const { running, calls, cost_usd, summary } = entry()!;
    deepEqual([running, calls, cost_usd, summary], [false, 7, 1.5, "The cost limit of 1 USD is reached"]);
    const killed = `${dir}/runs/mini-20260105000001`;
    await Deno.mkdir(killed);
    await Deno.writeTextFile(`${killed}/process.json`, JSON.stringify({ ...process, pid, start_ticks }));
    await until(
      "one that was killed is there",
      () => library.entry("mini", "mini-20260105000001")?.status === "cut_off",
    );
  });
});

Deno.test("with the index that is there nothing is read again but what has changed", async () => {
  await inTempDir(async (dir) => {
    for (const id of ["r1", "r2", "r3"]) await writeRun(`${dir}/runs`, id, [runStarted(), runFinished("ok")]);
    {
      await using first = await followLibrary(dir);
      equal(first.changes.length, 3);
    }
    await Deno.writeTextFile(`${dir}/runs/r2/events.jsonl`, "garbage\n", { append: true });
    await Deno.remove(`${dir}/runs/r3`, { recursive: true });
    const progress: unknown[] = [];
    await using second = await followLibrary(dir, { onProgress: (told) => progress.push(told) });
    await second.until("both are told", () => second.changes.length === 2);
    const told = second.changes.map((change) => "entry" in change ? change.entry.id : change.removed.id);
    deepEqual(told.sort(), ["r2", "r3"]);
    deepEqual(progress, [{ done: 1, total: 1 }, null]);
    deepEqual(idsOf(second.library.history(page()).entries), ["r2", "r1"]);
  });
});

Deno.test("a run that was killed while no server looked is cut off when the next one has looked", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(`${dir}/workspace`, "orch_1", [started(), status("running")]);
    await Deno.mkdir(`${dir}/runs`);
    const log = await SessionLog.open(folder, { redactor: new Redactor(), now: Date.now, onFailure() {} });
    {
      await using first = await followLibrary(dir);
      equal(first.library.entry("session", "orch_1")!.status, "running");
      // As after a kill: the lock stays, and its owner is dead.
    }
    const time = (await Deno.stat(folder)).mtime!;
    log[Symbol.dispose]();
    await Deno.utime(folder, time, time);
    await using second = await followLibrary(dir);
    equal(second.library.entry("session", "orch_1")!.status, "cut_off");
  });
});

Deno.test("an index that breaks while it is used is made anew in memory", async () => {
  await inTempDir(async (dir) => {
    await writeRun(`${dir}/runs`, "r1", [runStarted(), runFinished("ok")]);
    await using followed = await followLibrary(dir);
    const { library, until, problems } = followed;
    const { DatabaseSync } = await import("node:sqlite");
    const other = new DatabaseSync(`${dir}/runs/${INDEX_NAME}`);
    other.exec("DROP TABLE run");
    other.close();
    throws(() => library.history(page({ limit: 7 })), (error) => error instanceof Refused && error.status === 503);
    await until("it is there again", () => {
      try {
        return library.history(page()).total === 1;
      } catch {
        return false;
      }
    });
    equal(problems.length, 1);
    ok(problems[0]!.startsWith("The index of the runs failed, and is made anew in memory: "));
  });
});

Deno.test("secrets are in nothing that the library has or says", async () => {
  await inTempDir(async (dir) => {
    const secret = "my-very-own-s3cret-value";
    const workdir = `${dir}/project`;
    await writeTrajectory(
      `${workdir}/.miniswe/data/last_run.traj.json`,
      { runId: "m1", task: `Use ${secret}`, result: `It was ${secret}`, exitStatus: "RuntimeError" },
      workdir,
    );
    await Deno.mkdir(`${dir}/runs`);
    await using followed = await followLibrary(dir, { env: { OPENAI_API_KEY: secret } });
    const { library } = followed;
    const said = JSON.stringify([library.history(page()), library.attention(), followed.changes]);
    ok(said.includes("[redacted]") && !said.includes(secret), said);
    deepEqual(library.history(page({ q: secret })).total, 0);
    for await (const { name, isFile } of Deno.readDir(`${dir}/runs`)) {
      if (isFile) ok(!(await Deno.readTextFile(`${dir}/runs/${name}`)).includes("s3cret"), name);
    }
  });
});

Deno.test("files that are no run, or no longer one, do no harm", async () => {
  await inTempDir(async (dir) => {
    const data = `${dir}/project/.miniswe/data`;
    await Deno.mkdir(`${data}/runs`, { recursive: true });
    await Deno.writeTextFile(`${data}/last_run.traj.json`, "{");
    await Deno.writeTextFile(
      `${data}/runs/m1.traj.json`,
      JSON.stringify({ info: 7, messages: [null, 7, { role: [] }] }),
    );
    await Deno.writeTextFile(`${data}/runs/m2.jsonl`, '[]\nnull\n{}\n{"kind":"run","info":[],"owner":7}\n');
    await writeSession(`${dir}/workspace`, "orch_1", []);
    await Deno.writeTextFile(`${dir}/workspace/orch_1/events.jsonl`, `${"x".repeat(200_000)}\n[]\nnull\n{"seq":"one"}`);
    await Deno.mkdir(`${dir}/workspace/orch_2/events.jsonl`, { recursive: true });
    await Deno.mkdir(`${dir}/runs/eval-1`, { recursive: true });
    await Deno.writeTextFile(`${dir}/runs/a file`, "");
    await using followed = await followLibrary(dir);
    const { entries } = historyPage.parse(followed.library.history(page()));
    deepEqual(entries.map(({ kind, id, status }) => [kind, id.replace(/^last-.*/, "last-…"), status]), [
      ["mini", "m2", "cut_off"],
      ["mini", "m1", "cut_off"],
      ["mini", "last-…", "unreadable"],
    ]);
    await rejects(async () => JSON.parse(await Deno.readTextFile(`${data}/last_run.traj.json`)));
  });
});

Deno.test("a session with nobody, of a log that stays empty, is cut off", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(`${dir}/workspace`, "orch_1", []);
    const old = new Date(START_MS - 10 * MINUTE);
    await Deno.utime(`${folder}/events.jsonl`, old, old);
    await using followed = await followLibrary(dir);
    const { id, title, status } = followed.library.entry("session", "orch_1")!;
    deepEqual({ id, title, status }, { id: "orch_1", title: "orch_1", status: "cut_off" });
  });
});
