import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { Refused } from "../../../../src/http/ports.ts";
import type { ScheduleList } from "../../../../src/http/schemas.ts";
import { startFakeGithub } from "../../../github/fake_github.ts";
import { inTempDir, namesIn } from "../../../support/temp_dir.ts";
import { until } from "../virtual_time.ts";
import { ScheduledRuns } from "./running_schedule.ts";

const HOURLY = `
[[schedule]]
name = "one"
cron = "0 * * * *"
timezone = "UTC"
issue = "a/b#1"
repo_path = "."
workers = 3
agent = ["codex", "mini"]
`;

const withRuns = (work: (runs: ScheduledRuns) => Promise<void>) => inTempDir((dir) => work(new ScheduledRuns(dir)));

Deno.test("an entry starts its run when its time has come, and tells what came of it", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(HOURLY);
    const entry = {
      name: "one",
      cron: "0 * * * *",
      timezone: "UTC",
      target: "https://github.com/a/b/issues/1",
      next_at: "2026-03-02T13:00:00.000Z",
      last_at: null,
      last_result: null,
      running: false,
      problem: null,
    };
    await runs.goTo("2026-03-02T12:59:59Z");
    deepEqual([schedule.list(), runs.requests], [{ entries: [entry] }, []]);
    await runs.goTo("2026-03-02T13:01:00Z");
    deepEqual(runs.requests, [{
      issue_url: "https://github.com/a/b/issues/1",
      workers: 3,
      timeout_sec: undefined,
      worker_model: undefined,
      manager_model: undefined,
      repro_validation_runs: undefined,
      repo_path: runs.dir,
      agent: "codex,mini",
      if_changed: true,
    }]);
    const begun = { next_at: "2026-03-02T14:00:00.000Z", last_at: "2026-03-02T13:00:00.000Z" };
    deepEqual(schedule.list(), { entries: [{ ...entry, ...begun, last_result: "run-1: running", running: true }] });
    runs.end("run-1", "ok");
    await runs.goTo("2026-03-02T13:20:00Z");
    deepEqual(schedule.list(), { entries: [{ ...entry, ...begun, last_result: "run-1: ok" }] });
    deepEqual(runs.told, ["one: run-1 works on https://github.com/a/b/issues/1", "one: run-1 has ended"]);
    deepEqual(schedule.figures, { started: 1, skipped: 0, unchanged: 0, failed: 0, waiting: 0, running: 0 });
  });
});

Deno.test("what was missed while no server ran, or the machine slept, is made up for once", async () => {
  await withRuns(async (runs) => {
    await (await runs.serve(HOURLY))[Symbol.asyncDispose]();
    equal(runs.requests.length, 0, "what was before the first server has not been missed");
    runs.time.set("2026-03-12T08:30:00Z");
    {
      await using schedule = await runs.serve(HOURLY);
      await runs.goTo("2026-03-12T08:31:00Z");
      deepEqual(schedule.list().entries.map(({ last_at, next_at }) => [last_at, next_at]), [
        ["2026-03-12T08:30:00.000Z", "2026-03-12T09:00:00.000Z"],
      ]);
      equal(runs.requests.length, 1);
      runs.end("run-1", "ok");
      runs.time.set("2026-03-12T20:15:00Z");
      await runs.goTo("2026-03-12T20:16:00Z");
      equal(runs.requests.length, 2);
      runs.end("run-2", "ok");
      await runs.goTo("2026-03-12T20:30:00Z");
    }
    await using _again = await runs.serve(HOURLY);
    await runs.goTo("2026-03-12T20:59:00Z");
    equal(runs.requests.length, 2);
  });
});

Deno.test("of another expression than the one before nothing has been missed", async () => {
  await withRuns(async (runs) => {
    await (await runs.serve(HOURLY))[Symbol.asyncDispose]();
    runs.time.set("2026-03-12T08:30:30Z");
    await using _schedule = await runs.serve(HOURLY.replace("0 * * * *", "*/5 * * * *"));
    await runs.goTo("2026-03-12T08:34:59Z");
    equal(runs.requests.length, 0);
    await runs.goTo("2026-03-12T08:35:00Z");
    equal(runs.requests.length, 1);
  });
});

Deno.test("a clock that is set back makes nobody wait until it has caught up", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(HOURLY);
    await runs.goTo("2026-03-02T12:30:00Z");
    runs.time.set("2026-03-01T12:30:00Z");
    await runs.goTo("2026-03-01T12:31:00Z");
    equal(schedule.list().entries[0]!.next_at, "2026-03-01T13:00:00.000Z");
    await runs.goTo("2026-03-01T13:00:30Z");
    equal(runs.requests.length, 1);
  });
});

Deno.test("while a run of an issue goes on no second one is started, whoever has started it", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(`${HOURLY}
[[schedule]]
name = "two"
cron = "30 * * * *"
issue = "https://github.com/a/b/issues/2"
`);
    await runs.begin("by-hand", "https://github.com/a/b/issues/2");
    await runs.goTo("2026-03-02T14:01:00Z");
    deepEqual(schedule.list().entries.map(({ last_result, running, problem }) => [last_result, running, problem]), [
      ["run-2: running; left out: run-2 works on https://github.com/a/b/issues/1", true, null],
      ["left out: by-hand works on this issue already", false, null],
    ]);
    deepEqual(runs.told, [
      "two: left out: by-hand works on this issue already",
      "one: run-2 works on https://github.com/a/b/issues/1",
      "two: left out: by-hand works on this issue already",
      "one: left out: run-2 works on https://github.com/a/b/issues/1",
    ]);
    deepEqual(schedule.figures, { started: 1, skipped: 3, unchanged: 0, failed: 0, waiting: 0, running: 1 });
  });
});

const THREE = [1, 2, 3].map((number) => `
[[schedule]]
name = "n${number}"
cron = "0 * * * *"
timezone = "UTC"
issue = "bug${number}.md"
`).join("");

Deno.test("no more than max_running go on at the same time, and the others wait in order", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(`[serve]\nmax_running = 1\n${THREE}`);
    await runs.goTo("2026-03-02T13:01:00Z");
    deepEqual(runs.issues, ["{dir}/bug1.md"]);
    deepEqual(schedule.list().entries.map(({ last_result }) => last_result), [
      "run-1: running",
      "one waits for a run to end",
      "one waits for a run to end",
    ]);
    runs.end("run-1", "ok");
    await runs.goTo("2026-03-02T13:02:00Z");
    deepEqual(runs.issues, ["{dir}/bug1.md", "{dir}/bug2.md"]);
    runs.end("run-2", "failed");
    await runs.goTo("2026-03-02T13:03:00Z");
    deepEqual(runs.issues, ["{dir}/bug1.md", "{dir}/bug2.md", "{dir}/bug3.md"]);
    deepEqual(schedule.list().entries.map(({ last_result }) => last_result), [
      "run-1: ok",
      "run-2: failed",
      "run-3: running",
    ]);
  });
});

Deno.test("two go on at the same time unless the file says otherwise", async () => {
  await withRuns(async (runs) => {
    await using _schedule = await runs.serve(THREE);
    await runs.goTo("2026-03-02T13:01:00Z");
    deepEqual(runs.issues, ["{dir}/bug1.md", "{dir}/bug2.md"]);
  });
});

Deno.test("the next server counts the runs that go on, and makes up for those that still waited", async () => {
  await withRuns(async (runs) => {
    const toml = `[serve]\nmax_running = 1\n${THREE}`;
    {
      await using _schedule = await runs.serve(toml);
      await runs.goTo("2026-03-02T13:01:00Z");
    }
    deepEqual(runs.issues, ["{dir}/bug1.md"]);
    await using schedule = await runs.serve(toml);
    await runs.goTo("2026-03-02T13:01:30Z");
    deepEqual([runs.issues, schedule.list().entries.map(({ running }) => running)], [["{dir}/bug1.md"], [
      true,
      false,
      false,
    ]]);
    runs.end("run-1", "ok");
    await runs.goTo("2026-03-02T13:02:00Z");
    runs.end("run-2", "ok");
    await runs.goTo("2026-03-02T13:02:30Z");
    deepEqual(runs.issues, ["{dir}/bug1.md", "{dir}/bug2.md", "{dir}/bug3.md"]);
  });
});

Deno.test("a second server over the same runs starts nothing until the first one ends", async () => {
  await withRuns(async (runs) => {
    const first = await runs.serve(HOURLY);
    await runs.goTo("2026-03-02T12:01:00Z");
    await using second = await runs.serve(HOURLY);
    await until(() => runs.told.length === 1);
    const obstacle = `Process ${Deno.pid} has the schedule of "${runs.runsRoot}"`;
    equal(second.list().entries[0]!.problem, obstacle);
    await runs.goTo("2026-03-02T13:01:00Z");
    equal(runs.requests.length, 1);
    runs.end("run-1", "ok");
    await first[Symbol.asyncDispose]();
    await runs.goTo("2026-03-02T14:10:00Z");
    equal(runs.requests.length, 2);
    deepEqual(second.list().entries.map(({ problem, last_result }) => [problem, last_result]), [[
      null,
      "run-2: running",
    ]]);
  });
});

Deno.test("what cannot be started is a problem until it can", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(HOURLY);
    runs.refusal = new Refused(400, "repo_path: has to be a folder, found nothing there");
    await runs.goTo("2026-03-02T13:01:00Z");
    const problem = "https://github.com/a/b/issues/1: repo_path: has to be a folder, found nothing there";
    deepEqual(schedule.list().entries.map(({ problem, last_result }) => [problem, last_result]), [
      [problem, "nothing to do"],
    ]);
    deepEqual(runs.told, [`one: not started: ${problem}`]);
    await runs.goTo("2026-03-02T14:10:00Z");
    deepEqual(schedule.list().entries.map(({ problem, last_result }) => [problem, last_result]), [
      [null, "run-1: running"],
    ]);
  });
});

Deno.test("an issue of which the last run has said everything takes nobody's place", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve(`[serve]\nmax_running = 1\n${THREE}`);
    await runs.begin("run-old", "x");
    runs.end("run-old", "ok");
    runs.unchanged = "run-old";
    await runs.goTo("2026-03-02T13:01:00Z");
    deepEqual(schedule.list().entries.map(({ last_result }) => last_result), [
      "run-old: ok; nothing new since run-old",
      "run-2: running",
      "one waits for a run to end",
    ]);
  });
});

const issue = (number: number, updated_at: string, more: object = {}) => ({
  html_url: `https://github.com/a/b/issues/${number}`,
  updated_at,
  ...more,
});

const QUERY = `
[[schedule]]
name = "bugs"
cron = "0 * * * *"
timezone = "UTC"
query = "repo:a/b is:open label:\\"a bug\\""
limit = 2
`;
const SEARCH =
  "GET /search/issues?q=is%3Aissue+repo%3Aa%2Fb+is%3Aopen+label%3A%22a+bug%22&sort=updated&order=desc&per_page=100";

Deno.test("a query starts runs of the newest issues that have none, or that have changed", async () => {
  await withRuns(async (runs) => {
    let items: unknown[] = [
      issue(9, "2026-03-02T11:59:00Z"),
      issue(8, "2026-03-02T11:58:00Z", { pull_request: {} }),
      { html_url: "https://github.com/other/repo/issues/1", updated_at: "2026-03-02T11:58:00Z" },
      { html_url: "https://elsewhere.example/a/b/issues/1", updated_at: "2026-03-02T11:58:00Z" },
      { html_url: 7, updated_at: null },
      null,
      issue(7, "2026-03-02T11:57:00Z"),
      issue(6, "2026-03-02T11:56:00Z"),
      issue(5, "2026-03-02T11:55:00Z"),
    ];
    await using github = startFakeGithub({ [SEARCH]: () => Response.json({ items }) });
    const env = { GITHUB_API_URL: github.url, GITHUB_TOKEN: "ghp_0123456789abcdef" };
    await runs.begin("by-hand", "https://github.com/a/b/issues/7");
    runs.end("by-hand", "failed");
    {
      await using schedule = await runs.serve(QUERY, { env });
      await runs.goTo("2026-03-02T13:01:00Z");
      await until(() => runs.requests.length === 2);
      await runs.goTo("2026-03-02T13:01:30Z");
      deepEqual(runs.issues, ["https://github.com/a/b/issues/9", "https://github.com/a/b/issues/6"]);
      deepEqual(schedule.list().entries.map(({ target, last_result }) => [target, last_result]), [
        ['repo:a/b is:open label:"a bug"', "run-2: running; run-3: running; 1 more for next time"],
      ]);
      for (const id of ["run-2", "run-3"]) runs.end(id, "ok");
      await runs.goTo("2026-03-02T13:02:00Z");
    }
    deepEqual(github.asked, [{ line: SEARCH, token: "Bearer ghp_0123456789abcdef", body: null }]);
    items = [issue(6, "2026-03-02T13:30:00Z"), issue(10, "2026-03-02T13:25:00Z"), ...items];
    await using schedule = await runs.serve(QUERY, { env });
    await runs.goTo("2026-03-02T14:10:00Z");
    await until(() => runs.requests.length === 4);
    await runs.goTo("2026-03-02T14:11:00Z");
    deepEqual(runs.issues.slice(2), ["https://github.com/a/b/issues/6", "https://github.com/a/b/issues/10"]);
    for (const id of ["run-4", "run-5"]) runs.end(id, "ok");
    items = items.slice(0, 3);
    await runs.goTo("2026-03-02T15:10:00Z");
    await until(() => schedule.list().entries[0]!.last_result?.includes("none of them") === true);
    equal(schedule.list().entries[0]!.last_result, "3 found, none of them new or changed");
    equal(runs.requests.length, 4);
  });
});

Deno.test("a query that GitHub does not answer is a problem of its entry alone", async () => {
  await withRuns(async (runs) => {
    await using github = startFakeGithub({
      [SEARCH]: () => Response.json({ message: "Bad credentials" }, { status: 401 }),
    });
    const env = { GITHUB_API_URL: github.url, GITHUB_TOKEN: "ghp_0123456789abcdef" };
    await using schedule = await runs.serve(`${QUERY}${HOURLY}`, { env });
    await runs.goTo("2026-03-02T13:01:00Z");
    await until(() => schedule.list().entries[0]!.problem !== null);
    deepEqual(schedule.list().entries.map(({ problem, last_result }) => [problem, last_result]), [
      ['Cannot search the issues of "a/b": GitHub answered 401 (the token is not valid)', "nothing to do"],
      [null, "run-1: running"],
    ]);
    ok(!runs.told.join().includes("ghp_"));
  });
});

Deno.test("where nothing can be kept nothing is started, and that is told once", async () => {
  await withRuns(async (runs) => {
    await Deno.writeTextFile(runs.runsRoot, "a file in its place");
    await using schedule = await runs.serve(HOURLY);
    await runs.goTo("2026-03-02T13:01:00Z");
    deepEqual([runs.requests, runs.told.length], [[], 1]);
    const [{ problem, next_at }] = schedule.list().entries as [ScheduleList["entries"][number]];
    ok(runs.told[0]!.startsWith("The schedule does not run: ") && runs.told[0]!.length > 40 && problem !== null);
    equal(next_at, "2026-03-02T14:00:00.000Z");
    await Deno.remove(runs.runsRoot);
    await runs.goTo("2026-03-02T14:01:00Z");
    deepEqual([runs.requests.length, schedule.list().entries[0]!.problem], [1, null]);
  });
});

Deno.test("a search that the end of the server cuts short is made up for by the next one", async () => {
  await withRuns(async (runs) => {
    const answers = Promise.withResolvers<void>();
    const items = [issue(1, "2026-03-02T12:30:00Z")];
    await using github = startFakeGithub({ [SEARCH]: () => answers.promise.then(() => Response.json({ items })) });
    const env = { GITHUB_API_URL: github.url };
    const first = await runs.serve(QUERY, { env });
    await runs.goTo("2026-03-02T13:00:10Z");
    await until(() => github.asked.length === 1);
    equal(first.list().entries[0]!.last_result, "GitHub is being asked");
    await first[Symbol.asyncDispose]();
    answers.resolve();
    await using _second = await runs.serve(QUERY, { env });
    await runs.goTo("2026-03-02T13:00:20Z");
    await until(() => runs.requests.length === 1);
    deepEqual(runs.issues, ["https://github.com/a/b/issues/1"]);
  });
});

Deno.test("a schedule that ends starts nothing more, and leaves nothing but what it has done", async () => {
  await withRuns(async (runs) => {
    const ending = new AbortController();
    const schedule = await runs.serve(HOURLY, { signal: ending.signal });
    await runs.goTo("2026-03-02T12:30:00Z");
    ending.abort();
    equal(runs.time.waiting, 0);
    await schedule[Symbol.asyncDispose]();
    deepEqual(namesIn(runs.runsRoot), [".gitignore", ".gocore-schedule.json"]);
    deepEqual(JSON.parse(await Deno.readTextFile(`${runs.runsRoot}/.gocore-schedule.json`)), {
      version: 1,
      entries: [{
        name: "one",
        cron: "0 * * * *",
        timezone: "UTC",
        handled_ms: Date.parse("2026-03-02T12:00:00Z"),
        last: null,
        seen: [],
      }],
    });
  });
});

Deno.test("a file of the schedule that is damaged costs what it knew, and nothing else", async () => {
  await withRuns(async (runs) => {
    const entry = { name: "one", cron: "0 * * * *", timezone: "UTC", handled_ms: 0, last: null, seen: [] };
    const entries = [
      { name: "one" },
      { ...entry, handled_ms: -1e300 },
      { ...entry, last: { at_ms: 1e300, runs: [], notes: [] } },
      { ...entry, last: { at_ms: 0, runs: ["../../x\0"], notes: [] } },
    ].map((entry) => JSON.stringify({ version: 1, entries: [entry] }));
    for (const content of ["{", "[]", '{"__proto__":{"version":1}}', ...entries]) {
      await Deno.mkdir(runs.runsRoot, { recursive: true });
      await Deno.writeTextFile(`${runs.runsRoot}/.gocore-schedule.json`, content);
      await using schedule = await runs.serve(HOURLY);
      await until(() => runs.time.waiting > 0);
      deepEqual(schedule.list().entries.map(({ next_at, problem }) => [next_at, problem]), [
        ["2026-03-02T13:00:00.000Z", null],
      ]);
    }
  });
});

Deno.test("where there is no schedule nothing is written", async () => {
  await withRuns(async (runs) => {
    await using schedule = await runs.serve("[manager]\nworkers = 2\n");
    deepEqual([schedule.list(), runs.time.waiting, namesIn(runs.dir)], [{ entries: [] }, 0, ["mminions.toml"]]);
  });
});
