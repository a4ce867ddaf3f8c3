import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { Decision } from "../../src/manager/artifacts.ts";
import { RunNotes, runSummary } from "../../src/terminal/run_notes.ts";
import { FakeRun } from "../manager/fake_run.ts";

Deno.test("a run is told phase by phase, with the transitions of its workers", async () => {
  const run = new FakeRun();
  await run.go();
  const notes = new RunNotes();
  const lines = run.events.flatMap((event) => notes.of(event)?.text ?? []);
  deepEqual(lines.filter((line) => /^w1|^w3/.test(line)), [
    "w1 REPRO_BUILDER running",
    "w1 REPRO_BUILDER running → finished",
    "w3 TRIAGER running",
    "w3 TRIAGER running → finished",
  ]);
  deepEqual(lines.filter((line) => /^(?:reproduce|validate|triage): /.test(line)), [
    "reproduce: started: round 1 of at most 2, 2 workers",
    "reproduce: finished: 2 candidates of 2 workers",
    "validate: started: 2 candidates",
    "validate: finished: repro reproduced, repro-w2 not reproduced",
    "triage: started: 2 workers",
    "triage: finished: 2 of 2 workers answered",
  ]);
  const sizes = lines.filter((line) => line.startsWith("minimize: ") && line.includes("characters,"));
  equal(new Set(sizes).size, sizes.length, "each size is told once");
});

Deno.test("the summary has status, rationale, hypotheses, targets, tokens and times", async () => {
  const run = new FakeRun();
  await run.go();
  const text = runSummary(run.json<Decision>("decision.json"), { folder: "/runs/run-1" });
  const lines = text.trimEnd().split("\n").map((line) => line.replace(/\d+\.\d s/g, "N s"));
  deepEqual(lines.map((line) => /^[^:]+/.exec(line)![0]), [
    "status",
    "rationale",
    "reproducer",
    "hypothesis 1",
    "hypothesis 2",
    "fix target",
    "fix target",
    "tokens",
    "cost",
    "time",
    "report",
  ]);
  match(text, /^tokens: {7}120 in \(40 cached\), 15 out, 4 turns; workers 110, manager 25$/m);
  match(text, /^cost: {9}0\.3000 USD$/m);
});

Deno.test("what others wrote is harmless for a terminal", async () => {
  const hostile = "\x1b]0;x\x07\x1b[2J\u202eevil\r\n";
  const run = new FakeRun({
    issue: { title: hostile },
    answers: { w1: `${hostile} key`, w2: { candidate_id: hostile, script: 7 } },
    settings: { rounds: 1 },
  });
  await run.go();
  const notes = new RunNotes();
  const text = run.events.flatMap((event) => notes.of(event)?.text ?? []).join("\n") +
    runSummary(run.json<Decision>("decision.json"), { folder: "/runs" });
  ok(!/[\x00-\x08\x0b-\x1f\x7f\u202e]/.test(text), JSON.stringify(text));
});
