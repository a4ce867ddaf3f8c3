import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure, Interrupt } from "../../src/failure.ts";
import type { Decision } from "../../src/manager/artifacts.ts";
import { StopRequested } from "../../src/manager/run.ts";
import {
  type Behaviour,
  bugOnlyAt,
  candidate,
  COMMIT,
  type Ending,
  FakeRun,
  GOOD_SCRIPT,
  hasCall,
  Killed,
  NEW_COMMIT,
  OLD_COMMIT,
  usualAnswers,
} from "./fake_run.ts";

const MINIMAL = "import pkg\npkg.mean([])";

/** How it ended, for whoever reads no further. */
function outcomeOf(run: FakeRun): unknown[] {
  const { status, verdict, selected_repro_candidate_id: id, missing } = run.json<Decision>("decision.json") as Decision;
  return [status, verdict, id, missing.length > 0 ? "missing" : ""];
}

Deno.test("a reproducer that fails each time ends ok, minimal, with the failing line on top", async () => {
  const run = new FakeRun();
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.verdict, finished.candidate], [
    "ok",
    0,
    "reproduced",
    "repro",
  ]);
  deepEqual([...run.files.keys()].sort(), [
    "decision.json",
    "final.md",
    "issue.json",
    "repro/README.md",
    "repro/candidates/w1.json",
    "repro/candidates/w2.json",
    "repro/environments/w1.json",
    "repro/environments/w2.json",
    "repro/minimal_repro.py",
    "repro/minimized.json",
    "repro/observed.json",
    "repro/proof.json",
    "repro/selected_candidate.json",
    "repro/verify.sh",
    "run_done.json",
    "triage/answers.json",
    "triage/hypotheses.json",
    "triage/w3.json",
    "triage/w4.json",
  ]);
  equal(run.files.get("repro/minimal_repro.py"), MINIMAL);
  deepEqual([...run.executable], ["repro/verify.sh"]);
  deepEqual(run.json("run_done.json"), {
    run_id: "run-1",
    status: "ok",
    decision_json: "/runs/run-1/decision.json",
    final_md: "/runs/run-1/final.md",
    completed_at: run.events.at(-1)!.time,
  });
  equal(run.events.at(-1)!.type, "run.finished");
  deepEqual(run.ordered, ["w1", "w2", "w3", "w4"]);
  equal(run.openPlaces, 0);
});

Deno.test("decision.json has the seed's fields, and ours behind them", async () => {
  const run = new FakeRun({ settings: { minimize: false } });
  await run.go();
  const { metrics: { timing_sec, ...metrics }, created_at, repro, ...decision } = run.json<Decision>("decision.json");
  const signature = {
    runtime: "python",
    kind: "exception",
    type: "ZeroDivisionError",
    template: "division by zero",
    frame: { file: "pkg/core.py", function: "mean" },
    exitCode: 1,
    signal: null,
  };
  const matched = "ZeroDivisionError: division by zero in pkg/core.py (mean)";
  deepEqual(Object.keys(timing_sec), [
    "preflight",
    "issue",
    "environment",
    "reproduce",
    "validate",
    "minimize",
    "triage",
    "experiments",
    "report",
    "total",
  ]);
  ok(!Number.isNaN(Date.parse(created_at)));
  deepEqual(repro, {
    path: "repro/minimal_repro.py",
    oracle_command: "python {repro_file}",
    claimed_failure_signature: "ZeroDivisionError: division by zero",
    validation: {
      total_runs: 5,
      matches: 5,
      matched_signature: matched,
      passed: true,
      verdict: "reproduced",
      reason: `It failed in the same way in all of 5 runs: ${matched}`,
      interval: repro!.validation.interval,
      commit: COMMIT,
      signature,
      outcomes: Array(5).fill({
        outcome: "match",
        reason: "It failed as expected with ZeroDivisionError in pkg/core.py (mean)",
        duration_ms: 12,
      }),
    },
  });
  const tokens = (input_tokens: number, cached_input_tokens: number, output_tokens: number, turns: number) => ({
    input_tokens,
    cached_input_tokens,
    output_tokens,
    turns,
  });
  deepEqual(metrics, {
    tokens: {
      workers: tokens(100, 40, 10, 3),
      manager: tokens(20, 0, 5, 1),
      total: tokens(120, 40, 15, 4),
      by_source: { w1: tokens(100, 40, 10, 3), manager: tokens(20, 0, 5, 1) },
    },
    model_routing: { worker_model: null, manager_model: null },
  });
  deepEqual(decision, {
    status: "ok",
    selected_repro_candidate_id: "repro",
    rationale: `5 of 5 runs of "repro" failed as the issue says: ${matched}`,
    top_hypotheses: [
      "mean divides by len(values), which is zero for an empty list",
      "the sum of nothing is zero",
    ],
    next_fix_targets: ["pkg/core.py:7", "pkg/core.py:6"],
    diagnostics: [],
    preflight: [{ name: "git", ok: true, detail: "/repo" }],
    run_id: "run-1",
    verdict: "reproduced",
    commit: COMMIT,
    cost_usd: 0.3,
    cost_source: "list",
    signature,
    candidates: [
      {
        candidate_id: "repro",
        worker_id: "w1",
        verdict: "reproduced",
        matches: 5,
        total_runs: 5,
        score: decision.candidates[0]!.score,
        reason: `It failed in the same way in all of 5 runs: ${matched}`,
      },
      { ...decision.candidates[1]!, candidate_id: "repro-w2", worker_id: "w2", verdict: "not_reproduced", matches: 0 },
    ],
    elsewhere: [],
    first_fixed: null,
    culprit: null,
    missing: [],
  });
});

Deno.test("an issue without anything to test ends with what is missing, and nobody works", async () => {
  const run = new FakeRun({ issue: { title: "It is slow", body: "It feels slow sometimes.", labels: [] } });
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.verdict], ["needs-human", 1, null]);
  const decision = run.json<Decision>("decision.json");
  ok(decision.missing.length > 0);
  deepEqual(run.ordered, []);
  match(run.files.get("final.md")!, /What is missing/);
  equal(run.json<{ status: string }>("run_done.json").status, "needs-human");
});

const flakyAt = (matches: number): Behaviour => (script, { count }) =>
  hasCall(script) && count * 7 % 10 < matches ? "bug" : "ok";

Deno.test("a reproducer that fails in some runs only is flaky, and never ok", async () => {
  for (const matches of [3, 5, 7]) {
    const run = new FakeRun({ behaves: flakyAt(matches), settings: { rounds: 1 } });
    const finished = await run.go();
    ok(finished.status !== "ok", `${matches} of 10`);
  }
});

Deno.test("a flaky one with matches enough is looked into, and still needs somebody", async () => {
  const run = new FakeRun({ behaves: flakyAt(7), settings: { rounds: 1, minMatches: 2 } });
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.verdict, finished.candidate], [
    "needs-human",
    1,
    "flaky",
    "repro",
  ]);
  match(finished.rationale, /some runs only \(between \d+ % and \d+ %\)/);
  deepEqual(run.ordered, ["w1", "w2", "w3", "w4"]);
  ok(run.files.has("repro/minimal_repro.py"));
});

Deno.test("rounds go on until one is reproduced, and later ones are told why the others were not", async () => {
  const run = new FakeRun({
    answers: {
      w1: candidate("import pkg\n"),
      w2: "it had no key",
      w3: candidate(GOOD_SCRIPT),
      w4: candidate("import pkg\n"),
      w5: usualAnswers.w3!,
      w6: usualAnswers.w4!,
    },
  });
  const finished = await run.go();
  equal(finished.status, "ok");
  deepEqual(run.ordered, ["w1", "w2", "w3", "w4", "w5", "w6"]);
  const [first, , third] = run.orders;
  ok(!first!.prompt.includes("earlier attempts"));
  match(third!.prompt, /earlier attempts[^]*1\. [^\n]*\n[^]*2\. the worker ended as failed \(it had no key\)/);
  ok(third!.files["issue.md"]!.includes("ZeroDivisionError"));
});

Deno.test("each candidate has a name of its own, whatever their workers call them", async () => {
  const run = new FakeRun({
    settings: { workers: 3 },
    answers: {
      w1: candidate("import pkg\n", { candidate_id: "a" }),
      w2: candidate(GOOD_SCRIPT, { candidate_id: "a-w3" }),
      w3: candidate("import pkg\n", { candidate_id: "a" }),
      w4: usualAnswers.w3!,
      w5: usualAnswers.w4!,
      w6: usualAnswers.w4!,
    },
  });
  const finished = await run.go();
  deepEqual([finished.status, finished.candidate], ["ok", "a-w3"]);
  const { candidates } = run.json<Decision>("decision.json") as Decision;
  deepEqual(candidates.map(({ worker_id, candidate_id }) => [worker_id, candidate_id]), [
    ["w1", "a"],
    ["w2", "a-w3"],
    ["w3", "a-w3-w3"],
  ]);
});

Deno.test("without a candidate the run has failed, and says why", async () => {
  const run = new FakeRun({ answers: {}, settings: { rounds: 1 } });
  const finished = await run.go();
  deepEqual(outcomeOf(run), ["failed", null, null, ""]);
  match(finished.rationale, /w1: the worker ended as failed \(it had nothing to say\)/);
});

for (
  const [ending, status, verdict] of [
    ["own", "needs-human", "not_reproduced"],
    ["other", "needs-human", "not_reproduced"],
    ["ok", "needs-human", "not_reproduced"],
    ["timeout", "needs-human", "not_reproduced"],
    ["syntax", "needs-human", "unusable"],
  ] as const satisfies readonly (readonly [Ending, string, string])[]
) {
  Deno.test(`candidates that end as "${ending}" are no reproduction`, async () => {
    const run = new FakeRun({ behaves: () => ending, settings: { rounds: 1 } });
    const finished = await run.go();
    deepEqual([finished.status, finished.exit_code, finished.verdict], [status, 1, verdict]);
    ok(!run.files.has("repro/minimal_repro.py"));
    ok(!run.ordered.includes("w3"), "nobody explains it");
  });
}

Deno.test("a machine on which nothing can be set up is told, and is no verdict on the issue", async () => {
  const run = new FakeRun({ broken: { [COMMIT]: "pip cannot reach its index" }, settings: { rounds: 1 } });
  const finished = await run.go();
  deepEqual([finished.status, finished.verdict], ["failed", "environment_error"]);
  match(finished.rationale, /pip cannot reach its index/);
});

Deno.test("a bug that is gone on the default branch is already fixed, and its first commit without it is found", async () => {
  const run = new FakeRun({
    behaves: bugOnlyAt(OLD_COMMIT, COMMIT),
    defaultBranch: NEW_COMMIT,
    settings: { bisect: true },
  });
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.verdict], ["already-fixed", 1, "reproduced"]);
  const decision = run.json<Decision>("decision.json");
  deepEqual(decision.elsewhere.map(({ name, shows }) => [name, shows]), [["main", "no_bug"]]);
  equal(decision.first_fixed?.commit, NEW_COMMIT);
  equal(run.files.get("repro/minimal_repro.py"), MINIMAL);
  deepEqual(run.ordered, ["w1", "w2"]);
  match(run.files.get("final.md")!, /^\*\*Already fixed\*\*/);
});

Deno.test("a bug that an older default branch does not have is not already fixed", async () => {
  const run = new FakeRun({ behaves: bugOnlyAt(COMMIT), defaultBranch: OLD_COMMIT });
  equal((await run.go()).status, "ok");
  deepEqual(run.json<Decision>("decision.json").elsewhere.map(({ shows }) => shows), ["no_bug"]);
});

Deno.test("a default branch on which nothing can be tried says nothing", async () => {
  const run = new FakeRun({ defaultBranch: NEW_COMMIT, broken: { [NEW_COMMIT]: "no compiler" } });
  equal((await run.go()).status, "ok");
  deepEqual(run.json<Decision>("decision.json").elsewhere.map(({ shows, reason }) => [shows, reason]), [
    ["unknown", "no compiler"],
  ]);
});

Deno.test("what fails only at the version that the issue names is already fixed here", async () => {
  const run = new FakeRun({
    behaves: bugOnlyAt(OLD_COMMIT),
    issue: { body: `${"Since v1.0 it fails with\n\n```\n"}ZeroDivisionError: division by zero\n\`\`\`\n` },
    refs: { "v1.0": OLD_COMMIT },
    settings: { rounds: 1, bisect: true },
  });
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.verdict], ["already-fixed", 1, "already_fixed"]);
  match(finished.rationale, /fails at aaaaaaaaaaaa \(v1\.0\)[^]*not any more at cccccccccccc, first by cccccccccccc/);
});

Deno.test("what fails only at a newer commit needs a run there", async () => {
  const run = new FakeRun({
    behaves: bugOnlyAt(NEW_COMMIT),
    defaultBranch: NEW_COMMIT,
    settings: { rounds: 1 },
  });
  const finished = await run.go();
  deepEqual([finished.status, finished.verdict], ["needs-human", "not_reproduced"]);
  deepEqual(run.json<Decision>("decision.json").missing, ["A run at that commit: --ref main"]);
});

Deno.test("a smaller one that does not fail each time is not kept", async () => {
  const run = new FakeRun({
    behaves: (script, { fresh, count }) => {
      if (!hasCall(script)) return "ok";
      // What was made smaller shows it in a used place, and not always in a new one.
      return script === GOOD_SCRIPT || !fresh || count % 2 === 0 ? "bug" : "ok";
    },
  });
  const finished = await run.go();
  equal(finished.status, "ok");
  equal(run.files.get("repro/minimal_repro.py"), GOOD_SCRIPT);
  const { diagnostics } = run.json<Decision>("decision.json");
  ok(diagnostics.some((text) => text.startsWith("The smaller reproducer is not kept")), diagnostics.join());
});

Deno.test("what fails in its last runs no more is not ok, however it began", async () => {
  let judged = 0;
  const run = new FakeRun({
    behaves: (script, { fresh }) => {
      if (!hasCall(script)) return "ok";
      if (!fresh) return "bug";
      return ++judged <= 5 ? "bug" : "ok";
    },
  });
  const finished = await run.go();
  equal(finished.status, "needs-human");
  ok(finished.verdict !== "reproduced");
});

Deno.test("a minimization that does not begin leaves the reproducer as it is", async () => {
  const run = new FakeRun({
    behaves: (script, { fresh }) => script === GOOD_SCRIPT && fresh ? "bug" : "ok",
  });
  equal((await run.go()).status, "ok");
  equal(run.files.get("repro/minimal_repro.py"), GOOD_SCRIPT);
  equal(run.state().phases.get("minimize")?.status, "skipped");
});

Deno.test("a model's proposal is asked for once, and kept only when it fails as before", async () => {
  const short = `${MINIMAL}\n`;
  const run = new FakeRun({ proposals: ["raise ZeroDivisionError()\n", short], settings: { semanticCut: true } });
  equal((await run.go()).status, "ok");
  equal(run.cuts.length, 1);
  deepEqual(run.json("repro/proposals.json"), { id: "repro", texts: ["raise ZeroDivisionError()\n", short] });
  ok(run.state().minimized!.removed_by_model > 0);
});

Deno.test("a run without hypotheses is still a reproduction", async () => {
  const run = new FakeRun({ answers: { w1: usualAnswers.w1! } });
  const finished = await run.go();
  equal(finished.status, "ok");
  deepEqual(run.json<Decision>("decision.json").top_hypotheses, []);
});

Deno.test("the report is posted once, and only when it is wanted", async () => {
  const silent = new FakeRun();
  await silent.go();
  deepEqual(silent.comments, []);
  const run = new FakeRun({ settings: { comment: true } });
  await run.go();
  deepEqual(run.comments, [run.files.get("final.md")]);
  await run.go();
  equal(run.comments.length, 1);
});

Deno.test("an issue that cannot be read ends the run as failed, with all of its artifacts", async () => {
  const run = new FakeRun({ readIssue: () => Promise.reject(new Error("GitHub answered 403")) });
  const finished = await run.go();
  deepEqual([finished.status, finished.exit_code, finished.rationale], ["failed", 1, "GitHub answered 403"]);
  deepEqual(run.json<Decision>("decision.json").diagnostics, ["GitHub answered 403"]);
  equal(run.json<{ status: string }>("run_done.json").status, "failed");
});

Deno.test("a run for which nobody is ready ends as failed", async () => {
  const hints = ["codex: not installed", "mini: no key; set OPENAI_API_KEY"];
  const run = new FakeRun({
    preflight: () => Promise.reject(new Failure("environment", "Cannot start: no agent is ready", { hints })),
  });
  const finished = await run.go();
  deepEqual([finished.status, finished.rationale], ["failed", "Cannot start: no agent is ready"]);
  deepEqual(run.json<Decision>("decision.json").diagnostics, [
    "Cannot start: no agent is ready. codex: not installed. mini: no key; set OPENAI_API_KEY",
  ]);
  equal(run.state().phases.get("preflight")?.status, "failed");
  deepEqual(run.ordered, []);
});

Deno.test("a failed run that is resumed tries again what has failed", async () => {
  let isReady = false;
  const run = new FakeRun({
    preflight: () => isReady ? Promise.resolve([]) as never : Promise.reject(new Error("no agent")),
  });
  equal((await run.go()).status, "failed");
  isReady = true;
  equal((await run.go()).status, "ok");
});

for (
  const [name, reason, code] of [
    ["a person", new StopRequested(), 1],
    ["SIGINT", new Interrupt("SIGINT"), 130],
    ["SIGTERM", new Interrupt("SIGTERM"), 143],
  ] as const
) {
  Deno.test(`a run that ${name} ends is stopped, at any event, and can be gone on with`, async () => {
    const whole = new FakeRun();
    await whole.go();
    const last = whole.events.length;
    // From its last experiment on, only the report is to be written.
    for (let at = 1; at < last - 5; at += 7) {
      const run = new FakeRun();
      const stop = new AbortController();
      const finished = await run.go({ stop, stopAt: (event) => event.seq === at && reason });
      deepEqual([finished.status, finished.exit_code], ["stopped", code], `event ${at}`);
      equal(run.json<{ status: string }>("run_done.json").status, "stopped");
      equal(run.openPlaces, 0);
      equal((await run.go()).status, "ok");
    }
  });
}

/** What a run leaves, without its times. */
function artifactsOf(run: FakeRun): Record<string, unknown> {
  const files = Object.fromEntries(run.files);
  const decision = run.json<Decision>("decision.json");
  const { timing_sec: _, ...metrics } = decision.metrics;
  return {
    ...files,
    "decision.json": { ...decision, created_at: "", metrics },
    "run_done.json": { ...run.json<object>("run_done.json"), completed_at: "" },
  };
}

Deno.test("a run that is killed after any event goes on to the same artifacts, and repeats no run that was told", async () => {
  const options = {
    behaves: bugOnlyAt(OLD_COMMIT, COMMIT, NEW_COMMIT),
    defaultBranch: NEW_COMMIT,
    settings: { rounds: 1, parallel: 1 },
  };
  const whole = new FakeRun(options);
  await whole.go();
  const expected = artifactsOf(whole);
  const toldOf = (run: FakeRun) => run.events.filter(({ type }) => type === "candidate.run");
  const key = ({ data }: { data: unknown }) => {
    const { candidate, stage, commit, run } = data as Record<string, unknown>;
    return `${candidate} ${stage} ${commit} ${run}`;
  };
  for (let killAt = 1; killAt < whole.events.length; killAt++) {
    const run = new FakeRun(options);
    await rejects(run.go({ killAt }), Killed);
    const ranBefore = run.oracleRuns.length;
    const toldBefore = toldOf(run).length;
    await run.go();
    deepEqual(artifactsOf(run), expected, `killed at ${killAt}`);
    const keys = toldOf(run).map(key);
    equal(new Set(keys).size, keys.length, `killed at ${killAt}: a run was told twice`);
    deepEqual(keys.toSorted(), toldOf(whole).map(key).toSorted());
    // One run may have been under way, and with it what shows nothing but itself.
    ok(
      run.oracleRuns.length <= whole.oracleRuns.length + 3,
      `killed at ${killAt}: ${run.oracleRuns.length} runs (${ranBefore} before, ${toldBefore} told)`,
    );
    equal(run.openPlaces, 0);
  }
});

Deno.test("a run that is killed again and again comes to its end", async () => {
  const whole = new FakeRun();
  await whole.go();
  const run = new FakeRun();
  let lives = 0;
  for (let life = 4;; life += 2) {
    try {
      lives++;
      await run.go({ killAt: run.events.length + life });
      break;
    } catch (error) {
      ok(error instanceof Killed, String(error));
    }
  }
  ok(lives > 4);
  equal(run.json<Decision>("decision.json").status, "ok");
  equal(run.files.get("repro/minimal_repro.py"), whole.files.get("repro/minimal_repro.py"));
});
