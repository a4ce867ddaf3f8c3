/** `gocore manager` from an issue to its report, with real workers, places and programs. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { exists, listing, type Reply, type StreamEvent, until } from "../support/gocore.ts";
import { builder, ISSUE, ManagedIssue, SCRIPT, TRIAGERS } from "../support/managed_issue.ts";

const QUICK = ["--no-minimize", "--repro-validation-runs", "3", "--rounds", "1"];
const WORKERS = { w1: builder(SCRIPT), w2: builder("import pkg\npkg.mean([1])\n"), ...TRIAGERS };
/** Keeps a worker at work while the test looks at it. */
const WAITS: Reply = { commands: ["true"], delay_ms: 1_000_000 };

/** Runs of candidates that were told, by name. */
async function toldRuns(issue: ManagedIssue): Promise<string[]> {
  const lines = (await issue.read("events.jsonl")).trimEnd().split("\n").map((line) => JSON.parse(line));
  return lines.filter(({ type }) => type === "candidate.run")
    .map(({ data: { candidate, stage, run, outcome } }) => `${candidate} ${stage} ${run} ${outcome}`);
}

Deno.test("a planted bug ends ok: 5 of 5, minimal, the failing line on top, and anybody can see it", async () => {
  await using issue = await ManagedIssue.create();
  const refs = await issue.git("for-each-ref");
  const end = await issue.run({ ...WORKERS, manager: [{ content: "```python\nimport pkg\npkg.mean([])\n```\n" }] });
  equal(end.code, 0, end.stdout + end.stderr);

  equal(await issue.read("repro/minimal_repro.py"), "import pkg\npkg.mean([])");
  const decision = await issue.decision();
  deepEqual(
    [decision.status, decision.verdict, decision.repro?.validation.matches, decision.repro?.validation.total_runs],
    ["ok", "reproduced", 5, 5],
  );
  equal(decision.next_fix_targets[0], "pkg/core.py:9");
  ok(decision.metrics.tokens.workers.turns >= 6);
  equal(decision.metrics.tokens.manager.turns, 1);
  match(end.stdout, /^w1 REPRO_BUILDER running → finished$/m);
  match(end.stdout, /^status: {7}ok$/m);
  match(end.stdout, /^fix target: {3}pkg\/core\.py:9$/m);
  ok(!end.stdout.includes("\x1b"), "no colours without a terminal");
  const report = await issue.read("final.md");
  match(report, /^\*\*Reproduced: 5 of 5 runs\*\*/);
  ok(!report.includes(issue.box.root), "a report has no path of this machine");

  const verify = await new Deno.Command("sh", { args: [join(issue.runs, "r1/repro/verify.sh"), issue.repo] }).output();
  const said = new TextDecoder().decode(verify.stdout);
  equal(verify.code, 0, said + new TextDecoder().decode(verify.stderr));
  match(said, /REPRODUCED 5 of 5: ZeroDivisionError: division by zero in pkg\/core\.py \(mean\)\n$/);

  equal(await issue.git("for-each-ref"), refs);
  equal(await issue.git("status", "--porcelain"), "");
  equal((await issue.git("worktree", "list")).split("\n").length, 1);
  deepEqual(await listing(issue.box.tmp), []);
  await issue.box.noProcessLeft();
});

Deno.test("what only looks like a reproduction is none", async () => {
  const traps: readonly (readonly [name: string, Reply[]])[] = [
    ["raises it itself", builder("raise ZeroDivisionError('division by zero')\n")],
    [
      "quotes it and exits as if",
      builder(
        `import sys\nimport pkg\npkg.mean([1])\nsys.stderr.write(${
          JSON.stringify(ISSUE)
        })\nsys.stderr.write("ZeroDivisionError: division by zero\\n")\nsys.exit(1)\n`,
      ),
    ],
    [
      "prints it and exits 0",
      builder(`import pkg\ntry:\n    pkg.mean([])\nexcept Exception as e:\n    print(repr(e))\n`),
    ],
    [
      "needs a file of its worker",
      builder("import helper\nimport pkg\npkg.mean(helper.EMPTY)\n", { before: "echo 'EMPTY = []' > helper.py" }),
    ],
    [
      "changes the project first",
      builder(SCRIPT, {
        setup_commands: ["printf 'def mean(v):\\n    return 1 / 0\\n' > pkg/core.py"],
      }),
    ],
    [
      "needs a network",
      builder(
        `import socket, pkg\nsocket.create_connection(("192.0.2.1", 80), 1)\npkg.mean([])\n`,
      ),
    ],
  ];
  await using issue = await ManagedIssue.create();
  const workers = Object.fromEntries(traps.map(([, replies], index) => [`w${index + 1}`, replies]));
  const end = await issue.run(workers, [...QUICK, "--workers", String(traps.length)]);
  const { candidates, status } = await issue.decision();
  equal(candidates.length, traps.length);
  candidates.forEach(({ verdict, reason }, index) => {
    ok(verdict !== "reproduced" && verdict !== "flaky", `${traps[index]![0]}: ${verdict}, ${reason}`);
  });
  deepEqual([status === "ok", end.code], [false, 1], end.stdout);
});

Deno.test("killed while a reproducer runs, a run goes on to the same end, and runs nothing again that was told", async () => {
  const moments: readonly (readonly [name: string, (event: StreamEvent) => boolean])[] = [
    ["while a candidate is tried", ({ type, data }) => type === "candidate.run" && data.run === 2],
    [
      "while it is proved",
      ({ type, data }) => type === "candidate.run" && data.stage === "final" && data.run === 2,
    ],
  ];
  const args = ["--rounds", "1", "--no-semantic-cut", "--no-bisect", "--repro-validation-runs", "3"];
  const script = "import sys, pkg\nvalues = []\nprint(pkg.mean([1]))\npkg.mean(values)\n";
  const workers = { ...WORKERS, w1: builder(script) };
  const results = new Set<string>();
  for (const [name, isMoment] of moments) {
    await using issue = await ManagedIssue.create();
    const run = await issue.start(workers, [
      ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
      ...args,
    ]);
    await run.event(name, isMoment);
    run.kill("SIGKILL");
    await run.end;
    const end = await issue.run(workers, ["--resume", "r1"]);
    equal(end.code, 0, `${name}: ${end.stdout}${end.stderr}`);
    results.add(await issue.read("repro/minimal_repro.py"));
    const told = await toldRuns(issue);
    equal(new Set(told).size, told.length, `${name}: ${told}`);
    deepEqual(await listing(issue.box.tmp), [], name);
    await issue.box.noProcessLeft();
  }
  equal(results.size, 1);
  ok([...results][0]!.length < script.length / 2);
});

Deno.test("the first signal ends a run with its workers, saved and told", async () => {
  await using issue = await ManagedIssue.create();
  const run = await issue.start({ w1: [WAITS], w2: [WAITS] }, [
    ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
    ...QUICK,
  ]);
  await run.event("a worker", ({ type }) => type === "worker.started");
  run.kill("SIGINT");
  const end = await run.end;
  equal(end.code, 130, end.stderr);
  equal((await issue.decision()).status, "stopped");
  equal(JSON.parse(await issue.read("run_done.json")).status, "stopped");
  deepEqual(await listing(issue.box.tmp), []);
  await issue.box.noProcessLeft();
});

Deno.test("from cron: a run is made when there is something new, and says one line", async () => {
  await using issue = await ManagedIssue.create();
  const file = join(issue.box.root, "issue.md");
  const cron = async () => {
    const run = await issue.start(WORKERS, [
      ...["--issue-file", file, "--stable-run-id", "--if-changed", "--quiet"],
      ...QUICK,
    ]);
    return await run.end;
  };
  const folders = async () =>
    (await listing(issue.runs)).filter((name) => /^run-issue-md-[0-9a-f]{8}(?:\.\d+)?\/$/.test(name)).length;

  const first = await cron();
  equal(first.code, 0, first.stdout + first.stderr);
  match(first.stdout, /^run-issue-md-[0-9a-f]{8} ok: [^\n]*\n$/);
  const second = await cron();
  deepEqual([second.code, second.stdout, second.stderr], [0, "", ""]);
  equal(await folders(), 1);

  await Deno.writeTextFile(file, ISSUE.replace("crashes", "still crashes"));
  const third = await cron();
  match(third.stdout, /^run-issue-md-[0-9a-f]{8} ok: /);
  equal(await folders(), 2);

  await issue.commit("other.txt", "new\n");
  equal((await cron()).code, 0);
  equal(await folders(), 3);
});

Deno.test("an issue has one run at a time", async () => {
  await using issue = await ManagedIssue.create();
  const run = await issue.start({ w1: [WAITS], w2: [WAITS] }, [
    ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
    ...QUICK,
  ]);
  await run.event("a worker", ({ type }) => type === "worker.started");
  const about = ["--issue-file", join(issue.box.root, "issue.md")];
  const other = await (await issue.start(WORKERS, [...about, "--run-id", "r2"])).end;
  equal(other.code, 1);
  match(
    other.stderr,
    new RegExp(`^Error: Cannot start: process ${run.pid} works on .*issue\\.md\nHint: .*gocore stop`),
  );
  equal(await exists(join(issue.runs, "r2")), false);
  run.kill("SIGTERM");
  equal((await run.end).code, 143);
});

Deno.test("with --json stdout is events and nothing else", async () => {
  await using issue = await ManagedIssue.create();
  const end = await issue.run(WORKERS, [...QUICK, "--json"]);
  equal(end.code, 0, end.stderr);
  const types = end.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).type);
  deepEqual([types[0], types.at(-1)], ["run.started", "run.finished"]);
  for (const type of ["run.phase", "issue.read", "worker.status", "candidate.judged", "hypotheses.ranked"]) {
    ok(types.includes(type), type);
  }
});

Deno.test("a run for which nobody is ready has failed, and leaves what it knows", async () => {
  await using issue = await ManagedIssue.create();
  const end = await (await issue.box.start([
    ...["manager", "--issue-file", join(issue.box.root, "issue.md"), "--repo-path", issue.repo],
    ...["--runs-root", issue.runs, "--run-id", "r1", "--agent", "mini", "--backend", "process"],
  ])).end;
  equal(end.code, 1, end.stdout);
  const { status, rationale } = await issue.decision();
  deepEqual([status, rationale], ["failed", "Cannot start: no agent is ready"]);
  equal(JSON.parse(await issue.read("run_done.json")).status, "failed");
});

Deno.test("wrong usage is told before anything is made", async () => {
  await using issue = await ManagedIssue.create();
  const file = join(issue.box.root, "issue.md");
  const cases: readonly (readonly [args: string[], said: RegExp])[] = [
    [[], /need one issue, found none/],
    [["--issue-file", file, "--ref", "nowhere"], /no such commit[^]*--ref/],
    [["--issue-file", file, "--repo-path", issue.box.home], /need a git repository, found none[^]*--repo-path/],
    [["--resume", "r9"], /Cannot find the run "r9"/],
    [["--issue-file", file, "--run-id", "../x"], /--run-id/],
    [["--issue-file", file, "--workers", "7"], /--workers/],
  ];
  for (const [args, said] of cases) {
    const end = await (await issue.start(WORKERS, args)).end;
    equal(end.code, 2, `${args}: ${end.stderr}`);
    match(end.stderr, said);
  }
  equal(await exists(join(issue.runs, "r1")), false);
});

Deno.test("a run that is there goes on with its own issue only", async () => {
  await using issue = await ManagedIssue.create();
  const run = await issue.start({ w1: [WAITS], w2: [WAITS] }, [
    ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
    ...QUICK,
  ]);
  await run.event("a worker", ({ type }) => type === "worker.started");
  run.kill("SIGKILL");
  await run.end;
  const other = await issue.box.file("other.md", ISSUE);
  const end = await (await issue.start(WORKERS, ["--issue-file", other, "--run-id", "r1"])).end;
  equal(end.code, 2);
  match(end.stderr, /Cannot go on with "r1": it is about .*issue\.md/);
  const again = await issue.run(WORKERS, QUICK);
  ok(again.code === 0 || again.code === 1, again.stderr);
  await until("nothing is left", async () => (await listing(issue.box.tmp)).length === 0);
});
