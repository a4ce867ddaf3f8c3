import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import type { EventFact } from "../../src/events/event.ts";
import type { Candidate, IssueSpec, PreparedPlace, ScriptRun } from "../../src/manager/ports.ts";
import { validate, type ValidateOptions } from "../../src/manager/validate.ts";
import type { FailureSignature } from "../../src/oracle/expected.ts";

const never = new AbortController().signal;
const candidate: Candidate = {
  candidate_id: "c1",
  worker_id: "w1",
  script: "import pkg\npkg.boom()\n",
  setup_commands: [],
  oracle_command: "python {repro_file}",
  claimed_failure_signature: "ValueError: v cannot be empty",
  file_extension: "py",
};
const spec = {
  expected_failure_signals: [{
    exception_type: "ValueError",
    message_substring: "v cannot be empty",
    exit_code: null,
    raw_pattern: null,
    strength: "traceback",
    expected: {
      type: "ValueError",
      message: "v cannot be empty",
      pattern: null,
      exitCode: null,
      signal: null,
      frames: [],
      runtime: "python",
      shows: "failure",
    },
  }],
} as unknown as IssueSpec;

const signature: FailureSignature = {
  runtime: "python",
  kind: "exception",
  type: "ValueError",
  template: "v cannot be empty",
  frame: { file: "pkg/core.py", function: "boom" },
  exitCode: 1,
  signal: null,
};

/** A place in which runs raise in the named function of the project, or end well. */
function placeOf(
  show: (run: number) => string | undefined,
  runs: { fresh: boolean; script: string }[] = [],
): PreparedPlace {
  const place = { project: "/clean/project", reproFile: "/clean/project/repro_candidate.py" };
  return {
    commit: "abc",
    environment: { platform: "", tools: [], packages: [], sandbox: "", network: false, notes: [] },
    run(script, { fresh, signal }): Promise<ScriptRun> {
      signal.throwIfAborted();
      const name = show(runs.push({ fresh, script }));
      const frames = name === undefined ? [] : [
        { function: name, file: "/clean/project/pkg/core.py", line: 7 },
        { function: "<module>", file: place.reproFile, line: 2 },
      ];
      const witnessed = frames.length === 0 ? [] : [{
        runtime: "python" as const,
        pid: 2,
        type: "ValueError",
        bases: ["Exception", "BaseException"],
        message: "v cannot be empty",
        frames,
        causes: [],
        projectCalls: 1,
      }];
      const exitCode = name === undefined ? 0 : 1;
      const end = { exitCode, signal: null, timedOut: false, stdout: "", stderr: "", witnessed, hasWitness: true };
      return Promise.resolve({ end, place, durationMs: 12.4, executed: null });
    },
    check: () => Promise.reject(new Error("Nobody asks for this")),
    close: () => Promise.resolve(),
  };
}

function optionsWith(facts: EventFact[], parts: Partial<ValidateOptions> = {}): ValidateOptions {
  return {
    spec,
    settings: { validationRuns: 3 },
    stage: "validate",
    publish: (fact) => {
      facts.push(fact);
      return Promise.resolve();
    },
    signal: never,
    ...parts,
  };
}

Deno.test("every run is told as it ends, in a fresh copy, and then the verdict", async () => {
  const facts: EventFact[] = [];
  const runs: { fresh: boolean; script: string }[] = [];
  const validation = await validate(candidate, placeOf(() => "boom", runs), optionsWith(facts));
  deepEqual(runs, Array(3).fill({ fresh: true, script: candidate.script }));
  const [first] = facts;
  const reason = first?.type === "candidate.run" ? first.data.reason : "";
  deepEqual(first, {
    type: "candidate.run",
    data: {
      candidate: "c1",
      stage: "validate",
      commit: "abc",
      run: 1,
      outcome: "match",
      reason,
      signature,
      duration_ms: 12,
    },
  });
  deepEqual(facts.map(({ type }) => type), ["candidate.run", "candidate.run", "candidate.run", "candidate.judged"]);
  deepEqual(facts.at(-1)!.data, {
    candidate: "c1",
    worker: "w1",
    stage: "validate",
    verdict: "reproduced",
    matches: 3,
    runs: 3,
    interval: [...validation.interval],
    reason: validation.reason,
    score: 0.9985,
    signature,
  });
  deepEqual(validation, {
    total_runs: 3,
    matches: 3,
    matched_signature: "ValueError: v cannot be empty in pkg/core.py (boom)",
    passed: true,
    verdict: "reproduced",
    reason: "It failed in the same way in all of 3 runs: ValueError: v cannot be empty in pkg/core.py (boom)",
    interval: validation.interval,
    commit: "abc",
    signature,
    outcomes: Array(3).fill({ outcome: "match", reason, duration_ms: 12 }),
  });
});

Deno.test("the same words from another place of the project are another way to fail", async () => {
  const validation = await validate(candidate, placeOf((run) => run % 2 ? "boom" : "bang"), optionsWith([]));
  deepEqual([validation.verdict, validation.passed], ["flaky", false]);
});

Deno.test("no run that was told is repeated, and those of other commits do not count", async () => {
  const all: EventFact[] = [];
  const show = (run: number) => run === 2 ? undefined : "boom";
  const whole = await validate(candidate, placeOf(show), optionsWith(all));
  for (let cut = 0; cut < all.length; cut++) {
    const former = all.slice(0, cut).flatMap((fact) => fact.type === "candidate.run" ? [fact.data] : []);
    const elsewhere = former.map((run) => ({ ...run, commit: "other", outcome: "no_failure" as const }));
    const facts: EventFact[] = [];
    let asked = former.length;
    const resumed = await validate(
      candidate,
      placeOf(() => show(++asked)),
      optionsWith(facts, {
        former: [...former.toReversed(), ...elsewhere],
      }),
    );
    deepEqual(resumed, whole);
    deepEqual(facts, all.slice(former.length));
  }
});

Deno.test("with a way that is expected, only that one counts", async () => {
  const other = { ...signature, frame: { file: "pkg/core.py", function: "bang" } };
  equal(
    (await validate(candidate, placeOf(() => "boom"), optionsWith([], { expected: signature }))).verdict,
    "reproduced",
  );
  equal(
    (await validate(candidate, placeOf(() => "boom"), optionsWith([], { expected: other }))).verdict,
    "not_reproduced",
  );
});

Deno.test("an abort ends it with its reason, and without a verdict", async () => {
  const facts: EventFact[] = [];
  const controller = new AbortController();
  const place = placeOf((run) => {
    if (run === 2) controller.abort(new Error("Enough"));
    return "boom";
  });
  await rejects(validate(candidate, place, optionsWith(facts, { signal: controller.signal })), { message: "Enough" });
  deepEqual(facts.map(({ type }) => type), ["candidate.run"]);
});
