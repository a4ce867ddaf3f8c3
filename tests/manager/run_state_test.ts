import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { EventData, EventFact, RunEvent } from "../../src/events/event.ts";
import { emptyRun, foldRun, type RunState, spentIn } from "../../src/manager/run_state.ts";

const START_MS = Date.parse("2026-11-21T20:00:00.000Z");

/** One each second. */
function fold(facts: readonly EventFact[], state: RunState = emptyRun()): RunState {
  for (const fact of facts) {
    const time = new Date(START_MS + state.seq * 1000).toISOString();
    foldRun(state, { seq: state.seq, time, ...fact } as RunEvent);
  }
  return state;
}

const phase = (phase: EventData<"run.phase">["phase"], status: EventData<"run.phase">["status"]): EventFact => ({
  type: "run.phase",
  data: { phase, status, detail: "" },
});
const started: EventFact = {
  type: "run.started",
  data: {
    run_id: "r1",
    issue: "https://github.com/o/p/issues/1",
    repo_path: "/repo",
    folder: "/runs/r1",
    version: "0.1.0",
    pid: 7,
    commit: "c",
    agent: "mini",
    workers: 2,
  },
};
const resumed: EventFact = { type: "run.resumed", data: { pid: 8, version: "0.1.0", reason: "killed" } };
const ended = (status: EventData<"run.finished">["status"]): EventFact => ({
  type: "run.finished",
  data: { status, exit_code: 1, rationale: "", candidate: null, verdict: null, duration_seconds: 1 },
});
const workerStatus = (worker: string, status: EventData<"worker.status">["status"]): EventFact => ({
  type: "worker.status",
  data: { worker, role: "REPRO_BUILDER", status, reason: "" },
});
const read = (candidate: string, worker: string, problem: string | null): EventFact => ({
  type: "candidate.read",
  data: { candidate, worker, problem, script_bytes: 1, oracle_command: "python {repro_file}" },
});
const judged = (candidate: string, verdict: EventData<"candidate.judged">["verdict"]): EventFact => ({
  type: "candidate.judged",
  data: {
    candidate,
    worker: "w1",
    stage: "validate",
    verdict,
    matches: 0,
    runs: 1,
    interval: [0, 1],
    reason: "",
    score: null,
    signature: null,
  },
});
const ran = (candidate: string): EventFact => ({
  type: "candidate.run",
  data: {
    candidate,
    stage: "validate",
    commit: "c",
    run: 1,
    outcome: "environment",
    reason: "",
    signature: null,
    duration_ms: 1,
  },
});

Deno.test("a phase counts all the time that it was under way, and a dead process until its last word", () => {
  const state = fold([started, phase("validate", "started"), phase("validate", "finished")]);
  equal(state.phases.get("validate")!.spentMs, 1000);
  fold([phase("validate", "started"), workerStatus("w1", "running"), resumed], state);
  deepEqual(state.phases.get("validate"), { status: "started", detail: "", spentMs: 2000, sinceMs: null });
  equal(state.phase, null);
  fold([phase("validate", "started")], state);
  equal(spentIn(state.phases.get("validate")!, START_MS + 8000), 4000);
  equal(state.phase, "validate");
});

Deno.test("whoever goes on with a failed run tries again what has failed, and keeps the rest", () => {
  const facts = [
    started,
    workerStatus("w1", "failed"),
    workerStatus("w2", "timeout"),
    workerStatus("w3", "finished"),
    read("w1", "w1", "no key"),
    read("good", "w2", null),
    read("bad", "w3", "no JSON"),
    ran("good"),
    judged("good", "environment_error"),
    ran("other"),
    judged("other", "not_reproduced"),
    ended("failed"),
    resumed,
  ];
  const state = fold(facts);
  deepEqual([...state.workers.values()].map(({ name, status }) => [name, status]), [
    ["w1", "stopped"],
    ["w2", "stopped"],
    ["w3", "finished"],
  ]);
  deepEqual([...state.candidates].map(([id, { validation }]) => [id, validation?.verdict ?? null]), [
    ["good", null],
    ["bad", null],
    ["other", "not_reproduced"],
  ]);
  deepEqual(state.runs.map(({ candidate }) => candidate), ["other"]);
  deepEqual([state.status, state.finish, state.supervisors, state.pid], ["running", null, 2, 8]);
});

Deno.test("whoever goes on with a run that was cut off repeats nothing", () => {
  const facts = [started, workerStatus("w1", "failed"), read("w1", "w1", "no key"), resumed];
  const state = fold(facts);
  equal(state.workers.get("w1")!.status, "failed");
  equal(state.candidates.size, 1);
});

Deno.test("who asks which model is one for all workers, or one for each agent", () => {
  const routing = (worker_models?: Record<string, string | null>, manager_model?: string | null) =>
    fold([started, {
      type: "run.serving",
      data: { gateway_url: "http://127.0.0.1:1", worker_models, manager_model },
    }]).routing;
  equal(fold([started]).routing, null);
  deepEqual(routing({ mini: "openai/gpt-5" }, "openai/o3"), {
    worker_model: "openai/gpt-5",
    manager_model: "openai/o3",
  });
  deepEqual(routing({ mini: "m", codex: "m" }, null), { worker_model: "m", manager_model: null });
  deepEqual(routing({ codex: null }, null), { worker_model: null, manager_model: null });
  deepEqual(routing({ codex: null, mini: "m" }), { worker_model: "codex=its default, mini=m", manager_model: null });
  deepEqual(routing(), { worker_model: null, manager_model: null }, "as older versions have told it");
});

Deno.test("an issue that needed somebody is read again", () => {
  const issue: EventFact = {
    type: "issue.read",
    data: {
      title: "t",
      repo_slug: null,
      issue_number: null,
      fingerprint: "f",
      signals: 0,
      status: "needs-human",
      needs_human_reason: "no error",
    },
  };
  const state = fold([started, issue, ended("needs-human")]);
  equal(state.issue?.fingerprint, "f");
  fold([resumed], state);
  equal(state.issue, null);
});

Deno.test("warnings and errors are diagnostics, the last hundred", () => {
  const warnings = Array.from({ length: 150 }, (_, index): EventFact => ({
    type: "log",
    data: { level: index % 2 === 0 ? "warning" : "info", content: `w${index}` },
  }));
  const state = fold([started, ...warnings, ...warnings]);
  equal(state.diagnostics.length, 100);
  equal(state.diagnostics.at(-1), "w148");
});
