import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { EventFact } from "../../src/events/event.ts";
import { MAX_CURVE_POINTS, RunHistory } from "../../src/http/run_history.ts";
import { type RunArtifacts, runRecord } from "../../src/http/run_record.ts";
import { runRecord as schema } from "../../src/http/schemas.ts";
import { emptyRun, foldRun } from "../../src/manager/run_state.ts";
import {
  answered,
  beginning,
  checked,
  eventsOf,
  launched,
  phase,
  progress,
  rest,
  SIGNATURE,
  status,
  timeOf,
} from "./sample_run.ts";

const NOTHING: RunArtifacts = {
  decision: { status: "running" },
  runDone: {},
  hypotheses: {},
  final: undefined,
  reproducer: undefined,
  verify: undefined,
};

function recordOf(facts: readonly EventFact[], { artifacts = NOTHING, isSupervised = true, isAlive = false } = {}) {
  const [state, history] = [emptyRun(), new RunHistory()];
  for (const event of eventsOf(facts)) {
    foldRun(state, event);
    history.add(event);
  }
  const record = runRecord({
    runId: "r1",
    folder: "/runs/r1",
    state,
    history,
    artifacts,
    isSupervised,
    isAlive: () => isAlive,
    nowMs: Date.parse(timeOf(100)),
  });
  return schema.parse(record);
}

const worker = {
  worker: "w1",
  role: "REPRO_BUILDER",
  agent: "codex",
  status: "running",
  reason: "",
  started_at: timeOf(6),
  ended_at: null,
  cost_usd: 0.5,
  known_cost_usd: 0.5,
  calls: 1,
  last_text: "",
};
const running = {
  run_id: "r1",
  status: "running",
  running: true,
  folder: "/runs/r1",
  repo_path: "/repo",
  commit: "c0ffee",
  agent: "codex",
  issue: {
    title: "mean() crashes",
    url: "https://github.com/o/r/issues/7",
    source: "https://github.com/o/r/issues/7",
    number: 7,
  },
  started_at: timeOf(0),
  ended_at: null,
  elapsed_seconds: 100,
  cost_usd: 0.5,
  known_cost_usd: 0.5,
  calls: 1,
  rationale: null,
  verdict: null,
  phases: [
    { phase: "issue", status: "finished", detail: "1 failure signal", started_at: timeOf(1), ended_at: timeOf(3) },
    { phase: "reproduce", status: "started", detail: "", started_at: timeOf(5), ended_at: null },
  ],
  workers: [worker],
  environment: { tools: ["python 3.12"], sandbox: "bubblewrap", notes: ["no network"] },
  candidates: [],
  minimization: null,
  hypotheses: [],
  proof: null,
  final: null,
  decision: { status: "running" },
  run_done: {},
  seq: 8,
};

Deno.test("a run that goes on is told as far as it has come", () => {
  deepEqual(recordOf(beginning), running);
});

Deno.test("of a run whose process was killed nobody knows how its workers stand, unless one still runs", () => {
  const cutOff = { ...running, status: "cut_off", running: false, elapsed_seconds: 8 };
  deepEqual(recordOf(beginning, { isSupervised: false }), { ...cutOff, workers: [{ ...worker, status: "unknown" }] });
  deepEqual(recordOf(beginning, { isSupervised: false, isAlive: true }), cutOff);
});

const artifacts: RunArtifacts = {
  decision: {
    status: "ok",
    selected_repro_candidate_id: "repro",
    repro: { validation: { verdict: "reproduced", matches: 5, total_runs: 5, signature: SIGNATURE } },
  },
  runDone: { run_id: "r1", status: "ok" },
  hypotheses: {
    hypotheses: [
      {
        hypothesis_id: "h1",
        mechanism: "it divides by zero",
        score: 0.7,
        confidence: 0.9,
        evidence: [{ file: "pkg/core.py", line: 9, snippet: "return total / len(values)" }],
        disconfirming_checks: ["look at callers"],
        experiments: [{ check: "executed", speaks: "against", detail: "the line is not run" }],
        score_parts: {},
      },
      { hypothesis_id: 7 },
    ],
  },
  final: "**Reproduced**\n",
  reproducer: { path: "repro/minimal_repro.py", text: "import pkg" },
  verify: "repro/verify.sh",
};

Deno.test("a run that has ended is told whole, with each number of its events and its files", () => {
  const run = { stage: "validate", commit: "c0ffee", run: 1, outcome: "match", reason: "as expected", duration_ms: 5 };
  const verdict = {
    stage: "validate",
    verdict: "reproduced",
    matches: 1,
    runs: 1,
    interval: [0.2, 1],
    reason: "it failed",
  };
  deepEqual(recordOf([...beginning, ...rest], { artifacts, isSupervised: false }), {
    ...running,
    status: "ok",
    running: false,
    ended_at: timeOf(23),
    elapsed_seconds: 23,
    cost_usd: 0.75,
    known_cost_usd: 0.75,
    calls: 2,
    rationale: "5 of 5",
    verdict: "reproduced",
    phases: [
      running.phases[0],
      { phase: "reproduce", status: "finished", detail: "1 candidate", started_at: timeOf(5), ended_at: timeOf(12) },
    ],
    workers: [
      { ...worker, status: "finished", ended_at: timeOf(9), last_text: "Here it is" },
      {
        ...worker,
        worker: "manager",
        role: "MANAGER",
        agent: null,
        status: "finished",
        started_at: timeOf(0),
        ended_at: timeOf(23),
        cost_usd: 0.25,
        known_cost_usd: 0.25,
      },
    ],
    candidates: [
      {
        candidate: "repro",
        worker: "w1",
        problem: null,
        oracle_command: "python {repro_file}",
        script_bytes: 90,
        chosen: true,
        runs: [{ ...run, signature: SIGNATURE }],
        verdicts: [{ ...verdict, score: 0.9 }],
      },
      {
        candidate: "repro.min",
        worker: "w1",
        problem: null,
        oracle_command: "python {repro_file}",
        script_bytes: 20,
        chosen: false,
        runs: [{ ...run, stage: "final", signature: SIGNATURE }],
        verdicts: [{ ...verdict, stage: "final", score: null }],
      },
    ],
    minimization: {
      candidate: "repro",
      points: [{ calls: 0, size: 90, pass: "start" }, { calls: 7, size: 20, pass: "nodes" }],
      ended: { start_size: 90, size: 20, calls: 7, minimal_by: "character", removed_by_model: 30, duration_ms: 50 },
    },
    hypotheses: [{
      hypothesis_id: "h1",
      rank: 1,
      score: 0.7,
      confidence: 0.9,
      mechanism: "it divides by zero",
      evidence: [{ file: "pkg/core.py", line: 9, snippet: "return total / len(values)" }],
      disconfirming_checks: ["look at callers"],
      checks: [{ check: "executed", speaks: "against", detail: "the line is not run" }],
    }],
    proof: {
      verdict: "reproduced",
      matches: 5,
      runs: 5,
      signature: SIGNATURE,
      reproducer: "repro/minimal_repro.py",
      verify: "repro/verify.sh",
      text: "import pkg",
    },
    final: "**Reproduced**\n",
    decision: artifacts.decision,
    run_done: artifacts.runDone,
    seq: 23,
  });
});

Deno.test("before the files are written, proof and hypotheses are those of the events", () => {
  const { proof, hypotheses } = recordOf([...beginning, ...rest.slice(0, -1)]);
  deepEqual(proof, {
    verdict: "reproduced",
    matches: 1,
    runs: 1,
    signature: SIGNATURE,
    reproducer: null,
    verify: null,
    text: null,
  });
  deepEqual(hypotheses, [{
    hypothesis_id: "h1",
    rank: 1,
    score: 0.7,
    confidence: null,
    mechanism: "",
    evidence: [],
    disconfirming_checks: [],
    checks: [{ check: "evidence", speaks: "for", detail: "it is there" }],
  }]);
});

Deno.test("nothing that files of a strange shape say becomes a part of the record, or breaks it", () => {
  const strange = { repro: { validation: { verdict: "<img>", matches: "5" } } };
  const record = recordOf([...beginning, ...rest], {
    artifacts: { ...artifacts, decision: strange, hypotheses: { hypotheses: [null, 1, [], { evidence: {} }] } },
  });
  equal(record.proof?.matches, 1);
  deepEqual(record.hypotheses.map(({ hypothesis_id }) => hypothesis_id), ["h1"]);
});

Deno.test("an issue's address is followed only when it is one of the web", () => {
  for (const issue of ["javascript:alert(1)", "/work/issue.md", "https://", "data:text/html,x"]) {
    const [started, ...others] = beginning;
    const data = { ...(started as Extract<EventFact, { type: "run.started" }>).data, issue };
    const record = recordOf([{ type: "run.started", data }, ...others]);
    deepEqual([record.issue.url, record.issue.source], [null, issue]);
  }
});

Deno.test("a call of unknown price makes the cost unknown, and the known part stays", () => {
  const { cost_usd, known_cost_usd, calls, workers } = recordOf([...beginning, answered("w1", null)]);
  deepEqual([cost_usd, known_cost_usd, calls], [null, 0.5, 2]);
  deepEqual([workers[0]!.cost_usd, workers[0]!.known_cost_usd], [null, 0.5]);
});

Deno.test("a log without an event is a run of which nothing is known", () => {
  const record = recordOf([]);
  deepEqual([record.started_at, record.elapsed_seconds, record.issue.source, record.seq], [null, 0, "", -1]);
});

Deno.test("what was begun again keeps its first beginning, and loses its end until it has one", () => {
  const again = [...beginning, status("w1", "failed", "crashed"), phase("reproduce", "finished")];
  const { workers, phases } = recordOf([
    ...again,
    phase("reproduce", "started"),
    launched("w1"),
    status("w1", "running"),
  ]);
  deepEqual([workers[0]!.started_at, workers[0]!.ended_at], [timeOf(6), null]);
  deepEqual([phases[1]!.started_at, phases[1]!.ended_at], [timeOf(5), null]);
  equal(recordOf(again).workers[0]!.ended_at, timeOf(9));
});

Deno.test("the curve of a long minimization is bounded, and a minimization that begins again has a new one", () => {
  const steps = Array.from({ length: 20_000 }, (_, i) => progress(i, 30_000 - i));
  const long = recordOf([...beginning, ...steps]).minimization!;
  equal(long.points.length <= MAX_CURVE_POINTS && long.points.length > MAX_CURVE_POINTS / 3, true);
  deepEqual([long.points[0]!.calls, long.points.at(-1)!.calls, long.ended], [0, 19_999, null]);
  const again = recordOf([...beginning, ...steps, progress(0, 30_000, "start")]).minimization!;
  deepEqual(again.points, [{ calls: 0, size: 30_000, pass: "start" }]);
});

Deno.test("checks that are told twice are shown once, and of endless ones the first", () => {
  const endless = Array.from({ length: 1000 }, (_, i) => checked(`h${i % 2}`, `detail ${i}`));
  const { hypotheses } = recordOf([...beginning, checked("h0", "a"), checked("h0", "a"), ...endless]);
  deepEqual(hypotheses.map(({ checks }) => checks.length), [50, 50]);
  deepEqual(hypotheses[0]!.checks.slice(0, 2).map(({ detail }) => detail), ["a", "detail 0"]);
});

Deno.test("a phase that was not needed has an end and no beginning", () => {
  deepEqual(recordOf([...beginning, phase("minimize", "skipped", "--no-minimize")]).phases.at(-1), {
    phase: "minimize",
    status: "skipped",
    detail: "--no-minimize",
    started_at: null,
    ended_at: timeOf(9),
  });
});
