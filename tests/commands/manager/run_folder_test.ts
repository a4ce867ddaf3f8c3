import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import {
  claimIssue,
  findRunFolder,
  listRuns,
  makeRunFolder,
  openRunLog,
  readLastRun,
  readRun,
  readRunOptions,
  saveLastRun,
  saveRunOptions,
  setRunAside,
  supervisorOf,
} from "../../../src/commands/manager/run_folder.ts";
import { readManagerRequest } from "../../../src/commands/manager/manager_request.ts";
import { readManagerSettings } from "../../../src/commands/manager/read_settings.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";

const world = (dir: string) => ({ env: {}, cwd: dir, now: () => Date.parse("2026-11-21T20:00:00Z") });
const logOptions = {
  redactor: new Redactor(["s3cret-s3cret"]),
  now: () => Date.parse("2026-11-21T20:00:00Z"),
  onFailure: (error: unknown) => {
    throw error;
  },
};

async function optionsIn(dir: string, more = {}) {
  await Deno.writeTextFile(join(dir, "issue.md"), "# It fails\n");
  return await readManagerSettings({ ...world(dir), flags: { issueFile: "issue.md", runId: "r1", ...more } });
}

const started = (folder: string) =>
  ({
    type: "run.started",
    data: {
      run_id: "r1",
      issue: "s3cret-s3cret",
      repo_path: "/repo",
      folder,
      version: "0.1.0",
      pid: 1,
      commit: "c",
      agent: "mini",
      workers: 2,
    },
  }) as const;

Deno.test("a run's folder has its files from the start, and keeps what is there", async () => {
  await inTempDir(async (dir) => {
    const folder = join(dir, "runs/r1");
    await makeRunFolder(folder);
    deepEqual(namesIn(folder), [
      ".gitignore",
      "decision.json",
      "final.md",
      "issue.json",
      "repro",
      "sessions.json",
      "triage",
    ]);
    deepEqual(JSON.parse(await Deno.readTextFile(join(folder, "decision.json"))), { status: "running" });
    await Deno.writeTextFile(join(folder, "issue.json"), '{"title":"x"}');
    await makeRunFolder(folder);
    equal(await Deno.readTextFile(join(folder, "issue.json")), '{"title":"x"}');
  });
});

Deno.test("a run's options come back as they were saved", async () => {
  await inTempDir(async (dir) => {
    for (const more of [{}, { ref: "v1", workerModel: "m", agent: ["mini"], budget: 2, bisect: false }]) {
      const options = await optionsIn(dir, more);
      await makeRunFolder(options.settings.folder);
      await saveRunOptions(options);
      deepEqual({ ...await readRunOptions(options.settings.folder) }, { ...options });
    }
    equal(await readRunOptions(join(dir, "runs/r2")), undefined);
    await Deno.rename(join(dir, "runs/r1"), join(dir, "runs/r3"));
    await rejects(readRunOptions(join(dir, "runs/r3")), /need its options[^]*found others/);
  });
});

Deno.test("a log has one writer, no secrets, and is read again", async () => {
  await inTempDir(async (dir) => {
    const folder = join(dir, "r1");
    await makeRunFolder(folder);
    {
      using log = await openRunLog(folder, logOptions);
      await log.publish(started(folder));
      equal(supervisorOf(folder), Deno.pid);
      await rejects(openRunLog(folder, logOptions), /Cannot carry out/);
    }
    equal(supervisorOf(folder), undefined);
    await Deno.writeTextFile(join(folder, "events.jsonl"), '{"seq":1,"torn', { append: true });
    using log = await openRunLog(folder, logOptions);
    equal(log.state.start!.issue.includes("s3cret"), false);
    await log.publish({ type: "run.resumed", data: { pid: 2, version: "0.1.0", reason: "" } });
    const { state, isTorn } = await readRun(folder);
    deepEqual([state.seq, state.supervisors, isTorn], [2, 2, false]);
    deepEqual(await listRuns(dir), ["r1"]);
    equal(await findRunFolder(dir, "r1"), folder);
    await rejects(findRunFolder(dir, "r2"), { kind: "usage" });
  });
});

Deno.test("an issue has one run at a time, and its last one is known", async () => {
  await inTempDir(async (dir) => {
    const issue = { kind: "url", url: "https://github.com/o/p/issues/1" } as const;
    const claim = await claimIssue(dir, issue);
    equal(claim.kind, "held");
    equal((await claimIssue(dir, issue)).kind, "taken");
    equal((await claimIssue(dir, { kind: "file", path: issue.url })).kind, "held");
    if (claim.kind === "held") claim.release();
    equal(await readLastRun(dir, issue), undefined);
    const last = { run_id: "r1", issue: issue.url, fingerprint: "f", commit: "c", status: "ok" } as const;
    await saveLastRun(dir, issue, last);
    deepEqual(await readLastRun(dir, issue), last);
  });
});

Deno.test("a run that is there is gone on with, as it was told", async () => {
  await inTempDir(async (dir) => {
    const options = await optionsIn(dir, { workers: 3 });
    await makeRunFolder(options.settings.folder);
    await saveRunOptions(options);
    const byId = await readManagerRequest({ runId: "r1", workers: 5 }, world(dir));
    equal(byId.options.settings.workers, 3);
    using _log = await openRunLog(options.settings.folder, logOptions);
    await _log.publish(started(options.settings.folder));
    const resumed = await readManagerRequest({ resume: "r1", quiet: true }, world(dir));
    deepEqual([resumed.options.settings.runId, resumed.showing], ["r1", { quiet: true, json: false }]);
    await Deno.writeTextFile(join(dir, "other.md"), "# Another\n");
    await rejects(readManagerRequest({ runId: "r1", issueFile: "other.md" }, world(dir)), /it is about/);
    await rejects(readManagerRequest({ resume: "r7" }, world(dir)), /Cannot find the run "r7"/);
  });
});

Deno.test("a stable name is given again when its run has ended, and the old run is kept", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "issue.md"), "# It fails\n");
    const ask = () => readManagerRequest({ issueFile: "issue.md", stableRunId: true }, world(dir));
    const { options } = await ask();
    const { folder } = options.settings;
    await makeRunFolder(folder);
    await saveRunOptions(options);
    const finish = {
      status: "ok",
      exit_code: 0,
      rationale: "",
      candidate: null,
      verdict: null,
      duration_seconds: 1,
    } as const;
    {
      using log = await openRunLog(folder, logOptions);
      await log.publish(started(folder));
      equal((await ask()).replaces, undefined);
      await log.publish({ type: "run.finished", data: finish });
    }
    equal((await ask()).replaces, true);
    await setRunAside(folder);
    await makeRunFolder(folder);
    await setRunAside(folder);
    const { runId } = options.settings;
    deepEqual(namesIn(join(dir, "runs")).map((name) => name.replace(runId, "")), [".gitignore", ".1", ".2"]);
  });
});
