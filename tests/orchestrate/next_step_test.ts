import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { EventData, EventFact } from "../../src/events/event.ts";
import { type FailureCause, failureCauses, type Verdict } from "../../src/events/session_events.ts";
import { decide } from "../../src/orchestrate/decide.ts";
import { type NextStep, nextStep, reviewQuestion, STALLED } from "../../src/orchestrate/next_step.ts";
import { remedyFor } from "../../src/orchestrate/recovery.ts";
import type { SessionState } from "../../src/orchestrate/session.ts";
import type { SessionSettings } from "../../src/orchestrate/settings.ts";
import {
  answered,
  asked,
  assignment,
  committed,
  exited,
  fold,
  launched,
  planMade,
  recovery,
  reviewed,
  sessionResumed,
  sessionStarted,
  settings,
  signalled,
  START_MS,
  started,
  taskChanged,
} from "./session_log.ts";

const begun = [sessionStarted(), planMade(assignment()), taskChanged()];
const completed = [...begun, launched(), started(), exited("completed")];
const done = [...completed, committed(1)];
const failedBy = (cause: FailureCause) => [...begun, launched(), started(), exited("failed", { cause })];
const stopped = (action: EventData<"worker.signalled">["action"], reason: string) => [
  ...begun,
  launched(),
  started(),
  signalled(action, reason),
  exited("stopped"),
];

function stepAfter(facts: readonly EventFact[], more: Partial<SessionSettings> = {}): [NextStep, SessionState] {
  const state = fold(facts);
  return [nextStep(state, state.tasks.get("api")!, { ...settings, ...more }), state];
}

/** In short: the kind, and what matters about it. */
function inShort(step: NextStep): string {
  switch (step.kind) {
    case "attempt": {
      const { because } = step;
      const told = because.kind === "feedback"
        ? ` ${because.review?.id ?? "-"} ${because.answer ?? "-"}`
        : because.kind === "recovered"
        ? ` ${because.cause}`
        : because.kind === "cut_off" || because.kind === "nudge"
        ? ` ${because.reason}`
        : "";
      return `attempt ${step.attempt}: ${because.kind}${told}`;
    }
    case "commit":
      return `commit ${step.attempt}`;
    case "review":
      return `review ${step.attempt} ${step.review?.id ?? "new"}`;
    case "ask":
      return `ask ${step.about}${step.stops ? ", stops" : ""}`;
    case "wait":
      return `wait ${step.question.id}${step.stops ? ", stops" : ""}`;
    case "reassign":
    case "done":
      return `${step.kind}: ${step.reason}`;
    default:
      return step.kind;
  }
}

/** Steps in short after logs. */
function table(
  rows:
    readonly (readonly [name: string, facts: readonly EventFact[], step: string, more?: Partial<SessionSettings>])[],
) {
  for (const [name, facts, step, more] of rows) equal(inShort(stepAfter(facts, more)[0]), step, name);
}

Deno.test("a task is attempted, found again, committed, reviewed and done", () =>
  table([
    ["given to an agent", begun, "attempt 1: first"],
    ["about to be started", [...begun, launched()], "adopt"],
    ["started", [...begun, launched(), started()], "adopt"],
    ["started, and its supervisor died", [...begun, launched(), started(), sessionResumed()], "adopt"],
    ["completed", completed, "commit 1"],
    ["committed", done, "review 1 new"],
    ["review is under way", [...done, ...reviewed("r1")], "review 1 r1"],
    ["approved", [...done, ...reviewed("r1", { action: "CONTINUE" })], "done: decided CONTINUE"],
    ["nobody has changed anything", [...completed, committed(1, { commit: null, files: [] })], "review 1 new"],
    [
      "others have changed something",
      [
        sessionStarted(),
        planMade(assignment(), assignment({ id: "docs" })),
        taskChanged({ task: "docs", worker: "codex", status: "done", attempt: 1, commit: "c9", files: ["docs.md"] }),
        taskChanged(),
        launched(),
        started(),
        exited("completed"),
        committed(1, { commit: null, files: [] }),
      ],
      "done: finished without a change",
    ],
    [
      "without reviews",
      done,
      "done: finished; reviews are switched off",
      { reviews: { ...settings.reviews, enabled: false } },
    ],
    [
      "without git nobody knows what changed",
      [sessionStarted({ base_commit: null }), ...done.slice(1, -1), committed(1, { commit: null, files: [] })],
      "review 1 new",
    ],
    [
      "an assignment that writes nothing",
      [sessionStarted(), planMade(assignment({ writes: false })), ...done.slice(2, -1), committed(1, { commit: null })],
      "done: finished",
    ],
  ]));

Deno.test("a warning is told to the author once, and does not cost the work", () => {
  const warned = [...done, ...reviewed("r1", { verdicts: ["concerns"], action: "LOG_WARNING" })];
  const again = [...warned, launched(2), started(2), exited("completed", { attempt: 2 }), committed(2)];
  const warning = "done: finished with a warning: decided LOG_WARNING";
  table([
    ["a concern", warned, "attempt 2: feedback r1 -"],
    ["revised", again, "review 2 new"],
    [
      "a second concern",
      [...again, ...reviewed("r2", { revision: 2, verdicts: ["concerns"], action: "LOG_WARNING" })],
      warning,
    ],
    ["revisions are off", warned, warning, { reviews: { ...settings.reviews, revisions: 0 } }],
    ["nobody gave a verdict", [...done, ...reviewed("r1", { verdicts: [null], action: "LOG_WARNING" })], warning],
    ["no further attempt is allowed", warned, warning, { maxAttempts: 1 }],
    [
      "warnings on work in progress do not count",
      [
        ...begun,
        launched(),
        started(),
        ...reviewed("r0", { trigger: "milestone", verdicts: ["concerns"], action: "LOG_WARNING" }),
        exited("completed"),
        committed(1),
        ...reviewed("r1", { verdicts: ["concerns"], action: "LOG_WARNING" }),
      ],
      "attempt 2: feedback r1 -",
    ],
  ]);
});

Deno.test("a hard decision asks a person, waits, and gives the author the answer, however many attempts there were", () => {
  const paused = [...done, ...reviewed("r1", { verdicts: ["concerns"], action: "PAUSE_AND_CLARIFY" })];
  const blocked = [...done, ...reviewed("r1", { verdicts: ["blocker"], action: "STOP_AND_ESCALATE" })];
  table([
    ["pause", paused, "ask d-r1"],
    ["asked", [...paused, asked("d-r1")], "wait q1"],
    ["asked, and resumed", [...paused, asked("d-r1"), sessionResumed()], "wait q1"],
    ["answered", [...paused, asked("d-r1"), answered("yes")], "attempt 2: feedback r1 yes"],
    ["answered with nothing", [...paused, asked("d-r1"), answered("")], "attempt 2: feedback r1 "],
    [
      "answered after the last attempt",
      [...paused, asked("d-r1"), answered("yes")],
      "attempt 2: feedback r1 yes",
      { maxAttempts: 1 },
    ],
    ["the answer to something else", [...paused, asked("d-r9", "q1"), answered("yes", "q1")], "ask d-r1"],
    ["stop", blocked, "ask d-r1, stops"],
    ["stop, asked", [...blocked, asked("d-r1")], "wait q1, stops"],
    ["stop, answered", [...blocked, asked("d-r1"), answered("go on")], "attempt 2: feedback r1 go on"],
  ]);
  const [step] = stepAfter(blocked);
  ok(step.kind === "ask");
  equal(step.text, "decided STOP_AND_ESCALATE, on the work of claude. How shall it go on?\ncodex-r1: Opinion 1");
});

Deno.test("a hard decision on work in progress holds for the attempt that was stopped for it", () => {
  const held = (...rest: EventFact[]) => [
    ...begun,
    launched(),
    started(),
    ...reviewed("r1", { trigger: "blocker", verdicts: ["concerns"], action: "PAUSE_AND_CLARIFY" }),
    asked("d-r1"),
    ...rest,
  ];
  const stop = signalled("stop", "it goes on with an answer");
  table([
    ["while it is held", held(), "adopt"],
    ["answered and stopped", held(answered("yes"), stop, exited("stopped")), "attempt 2: feedback r1 yes"],
    ["interrupted before the answer", held(exited("stopped")), "wait q1"],
    [
      "stopped in a later attempt",
      held(answered("yes"), stop, exited("stopped"), launched(2), started(2), exited("stopped", { attempt: 2 })),
      "attempt 3: cut_off the session was interrupted",
    ],
  ]);
});

Deno.test("a hard decision on work that was complete meanwhile counts, unless a later review has seen all of it", () => {
  const objected = (trigger: "manual" | "milestone") =>
    reviewed("r1", { trigger, verdicts: ["blocker"], action: "STOP_AND_ESCALATE" });
  const approved = reviewed("r2", { action: "CONTINUE" });
  const answer = [asked("d-r1"), answered("yes")];
  table([
    ["work to be committed", [...completed, ...objected("milestone")], "commit 1"],
    ["before the review of all", [...done, ...objected("milestone")], "ask d-r1, stops"],
    ["with a later review of all", [...done, ...objected("milestone"), ...approved], "done: decided CONTINUE"],
    ["after the review of all", [...done, ...approved, ...objected("manual")], "ask d-r1, stops"],
    ["answered", [...done, ...approved, ...objected("manual"), ...answer], "attempt 2: feedback r1 yes"],
    ["without reviews", [...done, ...objected("manual")], "ask d-r1, stops", {
      reviews: { ...settings.reviews, enabled: false },
    }],
  ]);
});

Deno.test("a failure is recovered from, or given to somebody else, or to a person", () => {
  const failed = failedBy("network");
  table([
    ["failed", failed, "recover"],
    ["relaunched", [...failed, recovery("network", "relaunched")], "attempt 2: recovered network"],
    ["given up", [...failed, recovery("auth", "given_up")], "reassign: Its last words"],
    ["escalated", [...failed, recovery("permission", "escalated")], "ask claude/1"],
    ["asked", [...failed, recovery("permission", "escalated"), asked("claude/1")], "wait q1"],
    [
      "answered",
      [...failed, recovery("permission", "escalated"), asked("claude/1"), answered("done")],
      "attempt 2: feedback - done",
    ],
    [
      "failed again",
      [...failed, recovery("network", "relaunched"), launched(2), started(2), exited("failed", { attempt: 2 })],
      "recover",
    ],
    ["a failure of another worker", [...failed, recovery("network", "relaunched", { worker: "codex" })], "recover"],
    [
      "stopped to be mended",
      [
        ...begun,
        launched(),
        started(),
        recovery("include_directories", "relaunched"),
        signalled("stop", "it is mended"),
        exited("stopped"),
      ],
      "attempt 2: recovered include_directories",
    ],
    [
      "nudged after an attempt that was mended",
      [
        ...failed,
        recovery("network", "relaunched"),
        launched(2),
        started(2),
        signalled("nudge", "no output"),
        exited("stopped", { attempt: 2 }),
      ],
      "attempt 3: nudge no output",
    ],
    ["too many attempts", [...failed, recovery("network", "relaunched")], "reassign: it has had 1 attempts", {
      maxAttempts: 1,
    }],
  ]);
  const [relaunch, state] = stepAfter([...failed, recovery("network", "relaunched", { wait_seconds: 20 })]);
  deepEqual(relaunch, {
    kind: "attempt",
    attempt: 2,
    because: { kind: "recovered", cause: "network" },
    notBeforeMs: START_MS + (state.seq - 1) * 1000 + 20_000,
  });
  deepEqual(stepAfter([...failed, recovery("permission", "escalated")])[0], {
    kind: "ask",
    about: "claude/1",
    text: "claude cannot go on: Its last words\n- Do this",
    stops: false,
  });
});

Deno.test("a limit is answered once, a nudge once, a stall goes to somebody else", () => {
  const limited = [...begun, launched(), started(), exited("limit")];
  const reason = `${STALLED}: no output`;
  table([
    ["a limit", limited, "attempt 2: limit"],
    [
      "a second limit",
      [...limited, launched(2), started(2), exited("limit", { attempt: 2 })],
      "reassign: Its last words",
    ],
    ["nudged", stopped("nudge", "no output"), "attempt 2: nudge no output"],
    ["stalled", stopped("stop", reason), `reassign: ${reason}`],
    ["interrupted", stopped("stop", "stopped by ada"), "attempt 2: cut_off the session was interrupted"],
    [
      "stopped without a word",
      [...begun, launched(), started(), exited("stopped")],
      "attempt 2: cut_off the session was interrupted",
    ],
    ["lost", [...begun, launched(), sessionResumed(), exited("lost")], "attempt 2: cut_off its process was gone"],
    [
      "a nudge that a dead supervisor gave is over",
      [
        ...begun,
        launched(),
        started(),
        signalled("nudge", "x"),
        sessionResumed(),
        started(1, { adopted: true }),
        exited("stopped"),
      ],
      "attempt 2: cut_off the session was interrupted",
    ],
  ]);
});

Deno.test("a change of supervisors costs the agent no attempt", () => {
  const facts = [...begun];
  for (let attempt = 1; attempt <= 50; attempt++) {
    facts.push(launched(attempt), sessionResumed(), exited("lost", { attempt }));
    equal(inShort(stepAfter(facts, { maxAttempts: 1 })[0]), `attempt ${attempt + 1}: cut_off its process was gone`);
  }
  facts.push(launched(51), started(51), exited("limit", { attempt: 51 }));
  equal(inShort(stepAfter(facts, { maxAttempts: 1 })[0]), "reassign: it has had 51 attempts");
});

Deno.test("another agent begins anew: what the former one had committed and what was decided on it do not count", () => {
  const codex = { worker: "codex" };
  const before = [
    ...done,
    ...reviewed("r1", { verdicts: ["concerns"], action: "LOG_WARNING" }),
    launched(2),
    started(2),
    exited("failed", { attempt: 2, cause: "auth" }),
    recovery("auth", "given_up", { attempt: 2 }),
  ];
  const given = [...before, taskChanged({ ...codex, reason: "given to codex" })];
  const ended = [...given, launched(1, codex), started(1, codex), exited("completed", codex)];
  table([
    ["given up", before, "reassign: Its last words"],
    ["given to another", given, "attempt 1: first"],
    ["completed", ended, "commit 1"],
    ["committed", [...ended, committed(1, codex)], "review 1 new"],
    [
      "approved",
      [...ended, committed(1, codex), ...reviewed("r2", { worker: "codex", action: "CONTINUE" })],
      "done: decided CONTINUE",
    ],
    [
      "a second warning for the task",
      [
        ...ended,
        committed(1, codex),
        ...reviewed("r2", { worker: "codex", verdicts: ["concerns"], action: "LOG_WARNING" }),
      ],
      "done: finished with a warning: decided LOG_WARNING",
    ],
  ]);
  // What there is is not forgotten.
  const { commit, files } = fold(given).tasks.get("api")!;
  deepEqual([commit, files], ["c1", ["src/api.ts"]]);
});

Deno.test("a question has what the reviewers found, bounded", () => {
  const state = fold([
    ...done,
    ...reviewed("r1", { verdicts: ["concerns", "concerns"], action: "PAUSE_AND_CLARIFY" }),
  ]);
  equal(
    reviewQuestion(state.reviews.get("r1")!),
    "decided PAUSE_AND_CLARIFY, on the work of claude. How shall it go on?\n" +
      "codex-r1: Opinion 1\n- src/api.ts:3 odd\ncodex-r1: Opinion 2\n- src/api.ts:3 odd",
  );
  const review = { ...state.reviews.get("r1")!, decision: null };
  ok(reviewQuestion(review).startsWith("A review, on the work of claude."));
  const huge = { ...review, answers: Array(1000).fill(review.answers[0]) };
  equal(reviewQuestion(huge).length, 8000);
});

/** A supervisor as the coordinator is one, with the world left to chance. */
function simulate(chance: { below(limit: number): number }, { supervisors }: { supervisors: number }) {
  const facts: EventFact[] = [];
  const state = fold([]);
  const tell = (...news: EventFact[]) => {
    facts.push(...news);
    fold(news, state);
  };
  tell(...begun);
  let resumes = supervisors;
  let answers = 3;
  let steps = 0;
  const task = state.tasks.get("api")!;
  while (task.status === "running") {
    ok(++steps < 500, "it comes to an end");
    const worker = task.worker!;
    // The supervisor may die between any two steps, and what follows from the log is the same for the next.
    const before = nextStep(state, task, settings);
    if (resumes > 0 && chance.below(4) === 0) {
      resumes--;
      tell(sessionResumed());
      const now = nextStep(state, task, settings);
      // But for the attempt that it may have cut off, of which there may then be one more.
      const hasOneMore = before.kind === "done" && now.kind === "attempt";
      if (before.kind !== "reassign" && !hasOneMore) deepEqual(now, before);
    }
    const step = nextStep(state, task, settings);
    const current = state.workers.get(worker);
    switch (step.kind) {
      case "attempt":
        equal(step.attempt, (current?.launch.attempt ?? 0) + 1);
        tell(launched(step.attempt, { worker }));
        if (chance.below(8) > 0) tell(started(step.attempt, { worker }));
        break;
      case "adopt": {
        const { attempt } = current!.launch;
        const outcomes = ["completed", "completed", "failed", "failed", "stopped", "limit", "lost"] as const;
        const outcome = outcomes[chance.below(outcomes.length)]!;
        // Only a change of supervisors loses a worker.
        if (outcome === "lost") {
          if (resumes === 0) break;
          resumes--;
          tell(sessionResumed());
        }
        if (outcome === "stopped") {
          if (current!.nudges === 0) tell(signalled("nudge", "no output", worker));
          else if (chance.below(2) === 0) tell(signalled("stop", `${STALLED}: no output`, worker));
          else {
            if (resumes === 0) break;
            resumes--;
            tell(signalled("stop", "interrupted", worker), sessionResumed());
          }
        }
        const cause = outcome === "failed" ? failureCauses[chance.below(failureCauses.length)]! : null;
        tell(exited(outcome, { worker, attempt, cause }));
        break;
      }
      case "commit":
        tell(committed(step.attempt, { worker, files: chance.below(5) === 0 ? [] : ["src/api.ts"] }));
        break;
      case "review": {
        const verdict = (["approved", "concerns", "blocker", null] as (Verdict | null)[])[chance.below(4)]!;
        if (step.review === undefined) {
          tell(...reviewed(`r${state.reviews.size + 1}`, { worker, revision: step.attempt, verdicts: [] }));
          break;
        }
        const { id, answers } = step.review;
        if (answers.length < 2) {
          const [, answer] = reviewed(id, { verdicts: [verdict] });
          tell(answer!);
          break;
        }
        const { action } = decide(answers.map((one) => ({ ...one })));
        tell(reviewed(id, { worker, action }).at(-1)!);
        break;
      }
      case "recover": {
        const cause = step.exit.cause!;
        const { attempt } = current!.launch;
        const former = state.recoveries.filter((one) => one.worker === worker);
        const before = former.filter((one) => one.cause === cause).length;
        const remedy = remedyFor({
          agent: worker,
          cause,
          text: "",
          before,
          beforeAll: former.length,
          canResume: true,
          resumed: false,
          isSandboxed: true,
        });
        const outcome = ({ relaunch: "relaunched", escalate: "escalated", give_up: "given_up" } as const)[remedy.kind];
        tell(recovery(cause, outcome, { worker, attempt }));
        break;
      }
      case "ask":
        ok(![...state.questions.values()].some(({ decision }) => decision === step.about), "nothing is asked twice");
        tell(asked(step.about, `q${state.questions.size + 1}`));
        break;
      case "wait":
        equal(step.question.answer, null);
        if (answers-- <= 0) return { facts, state, end: "nobody answers" };
        tell(answered("go on", step.question.id));
        break;
      case "reassign":
        tell(taskChanged(
          worker === "claude"
            ? { worker: "codex", reason: step.reason }
            : { worker, status: "failed", reason: step.reason },
        ));
        break;
      case "done":
        tell(taskChanged({ worker, status: "done", reason: step.reason }));
        break;
    }
  }
  return { facts, state, end: task.status };
}

const chances = fc.array(fc.nat({ max: 839 }), { minLength: 600, maxLength: 600 }).map((numbers) => {
  let at = 0;
  return { below: (limit: number) => numbers[at++ % numbers.length]! % limit };
});

Deno.test("every session comes to an end, and its work is done only when it is committed and judged", () => {
  const ends = new Set<string>();
  fc.assert(
    fc.property(chances, fc.nat({ max: 12 }), (chance, supervisors) => {
      const { state, end } = simulate(chance, { supervisors });
      ends.add(end);
      const task = state.tasks.get("api")!;
      if (end !== "done") return;
      const { launch, exit } = state.workers.get(task.worker!)!;
      equal(exit!.outcome, "completed");
      equal(task.committedAttempt, launch.attempt);
      if (task.files.length === 0) return;
      const review = [...state.reviews.values()].find((one) =>
        one.worker === task.worker && one.revision === launch.attempt
      );
      ok(review?.decision?.action === "CONTINUE" || review?.decision?.action === "LOG_WARNING");
    }),
    { numRuns: 300 },
  );
  deepEqual(ends, new Set([...ends, "done", "failed", "nobody answers"]), "all ends were met");
  equal(ends.size, 3);
});

Deno.test("a log that is cut anywhere has a next step for every task that runs", () => {
  fc.assert(
    fc.property(chances, (chance) => {
      const { facts } = simulate(chance, { supervisors: 5 });
      const state = fold([]);
      for (const fact of facts) {
        fold([fact], state);
        for (const task of state.tasks.values()) {
          if (task.status === "running") ok(inShort(nextStep(state, task, settings)) !== "");
        }
      }
    }),
    { numRuns: 60 },
  );
});

const worker = fc.constantFrom("claude", "codex", "claude-r1");
const attempt = fc.integer({ min: 1, max: 3 });
const number = fc.integer({ min: 1, max: 3 });
const anyFact: fc.Arbitrary<EventFact> = fc.oneof(
  fc.constant(sessionResumed()),
  fc.record({
    worker: fc.option(worker),
    status: fc.constantFrom("running", "done", "pending", "failed"),
    attempt: fc.nat({ max: 3 }),
  })
    .map((more) => taskChanged(more as Partial<EventData<"task.changed">>)),
  fc.tuple(worker, attempt).map(([worker, attempt]) => launched(attempt, { worker })),
  fc.tuple(worker, attempt).map(([worker, attempt]) => started(attempt, { worker })),
  fc.record({
    worker,
    attempt,
    cause: fc.option(fc.constantFrom(...failureCauses)),
    outcome: fc.constantFrom("completed", "failed", "stopped", "limit", "lost"),
  }).map((more) => exited("failed", more as Partial<EventData<"worker.exited">>)),
  fc.tuple(fc.constantFrom("nudge", "pause", "resume", "stop"), worker).map(([action, worker]) =>
    signalled(action as "stop", STALLED, worker)
  ),
  fc.record({
    worker,
    revision: attempt,
    trigger: fc.constantFrom("completion", "milestone"),
    action: fc.constantFrom(undefined, "CONTINUE", "LOG_WARNING", "PAUSE_AND_CLARIFY", "STOP_AND_ESCALATE"),
    number,
  }).chain(({ number, ...more }) => fc.subarray(reviewed(`r${number}`, more as Parameters<typeof reviewed>[1])))
    .filter((facts) => facts.length > 0).chain((facts) => fc.constantFrom(...facts)),
  fc.tuple(fc.constantFrom("d-r1", "d-r2", "claude/1", "codex/2"), number).map(([about, n]) => asked(about, `q${n}`)),
  number.map((n) => answered("yes", `q${n}`)),
  fc.record({ worker, attempt }).chain((more) =>
    fc.constantFrom("relaunched", "escalated", "given_up").map((outcome) =>
      recovery("network", outcome as "relaunched", more)
    )
  ),
);

Deno.test("no log is so odd that folding it throws, or that a running task has no next step", () => {
  fc.assert(
    fc.property(fc.array(anyFact, { maxLength: 30 }), (facts) => {
      const state = fold([sessionStarted(), planMade(assignment()), taskChanged()]);
      for (const fact of facts) {
        fold([fact], state);
        const task = state.tasks.get("api")!;
        if (task.status !== "running") continue;
        const step = nextStep(state, task, settings);
        ok(inShort(step) !== "");
        if (step.kind === "attempt") ok(step.attempt >= 1 && Number.isFinite(step.notBeforeMs));
      }
    }),
    { numRuns: 500 },
  );
});
