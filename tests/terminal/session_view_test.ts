import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { EventData, EventFact } from "../../src/events/event.ts";
import { displayWidth } from "../../src/terminal/display_width.ts";
import { noteOf } from "../../src/terminal/session_notes.ts";
import { logLines, rawLogLine, sessionBlock, sessionResult, terminalLines } from "../../src/terminal/session_view.ts";
import {
  beginning,
  exited,
  finished,
  launched,
  middle,
  said,
  stamped,
  started,
  startedWork,
  story,
  STORY_START_MS,
} from "./session_story.ts";

const SIZE = { columns: 80, rows: 24, colour: false };

/** All that a person would see of these events, with what is not for everybody. */
function transcript(facts: Parameters<typeof stamped>[0], { columns = 80 } = {}): string {
  const { events, state } = stamped(facts);
  return events.map((event) => {
    const note = noteOf(event, state);
    const elapsedMs = Date.parse(event.time) - STORY_START_MS;
    return note === undefined ? "" : terminalLines(note, { elapsedMs, columns, colour: false });
  }).join("");
}

Deno.test("A session's events read as its story, each text of others on one harmless line", () => {
  equal(
    transcript(story),
    `   0:00 coordinator: Session orch_1: Mend the date parser \\x1b[2J
          Target /home/ada/project
          Folder /home/ada/my work/orch_1
   0:01 coordinator: Tier 2 (acceptable): gemini and claude; codex: no program
          gemini 0.9.0: ready
          claude 2.0.1: ready
          codex: missing; install it
   0:02 coordinator: Dashboard at http://127.0.0.1:8000
   0:03 coordinator: Status: planning
   0:04 coordinator: Plan (default): 2 tasks, at most 5.0000 USD, nobody knows what it will cost
          architect: Design it (gemini, 40 %)
          implement: Build it (whoever is free, 40 %, after architect)
   0:05 coordinator: Status: running
   0:06 gemini: Starts on "Design it"
   0:07 claude: Starts on "Build it"
   0:08 claude: Works without a sandbox: there is no bubblewrap
   0:09 gemini: I look at 日本語.txt first
   0:10 gemini: $ ls -la (exit code 2)
   0:11 claude: Milestone: Half of it \\x1b]0;title\\x07works
   0:12 claude: Blocker: no\\u202e network
   0:15 gemini: Stalled: silent for 90 s
   0:16 claude: Waiting tool: sh runs
   0:17 claude: Blocked command: rm -rf / (rm: it removes all)
   0:19 gemini: Over its limit of memory: 3000 MB, 2048 are allowed
   0:20 gemini: Failed (rate limit) after 12.3 s, exit code 1, SIGTERM, 0.0200 USD: 429
          Ended 1 process that it left behind
   0:21 gemini: Recovery from rate limit, attempt 1: relaunched in 30.0 s: the same again
   0:22 gemini: Starts on "Design it", attempt 2, with its former conversation
   0:23 gemini: Completed after 12.3 s, 0.0200 USD: A plan in two lines
   0:24 coordinator: Task architect is done (2 files): finished
   0:25 coordinator: Review r1 of claude by gemini (completion): it says it is done
   0:26 r1-gemini: Starts on the review r1 as gemini
   0:27 r1-gemini: r1: blocker: It forgets leap years
          - src/date.ts:7: 29 February
          - no test
          Recommends: Add a test
   0:28 r1-gemini: Completed after 12.3 s
   0:29 coordinator: Decision d1 on r1: PAUSE_AND_CLARIFY (rule 2): one blocker
   0:30 coordinator: Question q1: How shall it go on?
          - src/date.ts:7 29 February
          Answer with: gocore orchestrate answer orch_1 "YOUR ANSWER" --question q1 --workspace '/home/ada/my work'
   0:31 coordinator: Status: needs input: q1
   0:32 claude: Paused: q1
   0:33 coordinator: Told by ada: answer
   0:34 coordinator: Question q1 was answered by ada: Mend it
   0:35 claude: Goes on: the session goes on
   0:36 claude: Was stopped after 12.3 s, SIGINT, cost unknown: Done
   0:37 coordinator: Conflict: gocore/orch_1/implement is not merged, both sides are kept
          a, b
   0:38 coordinator: The check fails: npm test (exit code 1, 1.5 s)
          1 of 2 fails
          not ok 2
   0:39 claude: Work is kept at refs/gocore/x (1 file): the end
   0:40 coordinator: Something is odd
          Hint: Look at it
   0:41 coordinator: Ended as done after 13 min, 0.1234 USD: done, and the check passes
          Open: Build it: finished with a warning
`,
  );
});

Deno.test("A note in orchestrator.log has time, level and source on every line", () => {
  const { events, state } = stamped(story);
  const lines = events.slice(16, 22).flatMap((event) => {
    const note = noteOf(event, state);
    return note === undefined ? [rawLogLine(event)] : [logLines(note, event.time)];
  });
  equal(
    lines.join(""),
    `2026-11-21T20:00:16.000Z DEBUG claude: Waiting tool: sh runs
2026-11-21T20:00:17.000Z ERROR claude: Blocked command: rm -rf / (rm: it removes all)
2026-11-21T20:00:18.000Z DEBUG coordinator: command.judged {"worker":"claude","command":"ls","verdict":"allow","rule":"default","reason":"harmless"}
2026-11-21T20:00:19.000Z ERROR gemini: Over its limit of memory: 3000 MB, 2048 are allowed
2026-11-21T20:00:20.000Z WARNING gemini: Failed (rate limit) after 12.3 s, exit code 1, SIGTERM, 0.0200 USD: 429
2026-11-21T20:00:20.000Z WARNING gemini:   Ended 1 process that it left behind
2026-11-21T20:00:21.000Z WARNING gemini: Recovery from rate limit, attempt 1: relaunched in 30.0 s: the same again
`,
  );
});

Deno.test("sessionBlock() has a line for the session and one for each worker that runs", () => {
  const { state } = stamped([...beginning, ...middle.slice(0, 8)]);
  deepEqual(sessionBlock(state, { nowMs: STORY_START_MS + 61_000, ...SIZE }), [
    "running  1:01  at least 0.1200 USD of 5.00  tier 2 (acceptable)  0/2 tasks",
    "  gemini  architect  -                  stalled     ls -la",
    "  claude  implement  [#####.....]  50%  runs tool   no\\u202e network",
  ]);
});

Deno.test("sessionBlock() names the question that is open, and shows who is held", () => {
  const { state } = stamped([...beginning, ...middle]);
  deepEqual(sessionBlock(state, { nowMs: STORY_START_MS + 3_661_000, ...SIZE }), [
    "needs input  1:01:01  at least 0.1200 USD of 5.00  tier 2 (acceptable)  1/2 ta…",
    "  ? q1: How shall it go on? - src/date.ts:7 29 February",
    "  claude  implement  [#####.....]  50%  paused      no\\u202e network",
  ]);
});

Deno.test("sessionBlock() says that the cost is unknown rather than nothing", () => {
  const { state } = stamped([started, {
    type: "spending.counted",
    data: { worker: "a", known_usd: 0, unknown_calls: 1, calls: 1, input_tokens: 0, output_tokens: 0 },
  }]);
  deepEqual(sessionBlock(state, { nowMs: STORY_START_MS, ...SIZE }), ["starting  0:00  cost unknown of 5.00"]);
});

Deno.test("sessionBlock() leaves out workers for which the terminal has no rows, and says how many", () => {
  const { state } = stamped([started, ...Array.from({ length: 9 }, (_, i) => launched(`w${i}`, { task: "t" }))]);
  deepEqual(sessionBlock(state, { nowMs: STORY_START_MS, columns: 40, rows: 5, colour: false }), [
    "starting  0:00  0.0000 USD of 5.00",
    "  w0  t  |",
    "  w1  t  |",
    "  … 7 more",
  ]);
  equal(sessionBlock(state, { nowMs: STORY_START_MS, columns: 40, rows: 1, colour: false }).length, 1);
});

Deno.test("sessionBlock() and notes fit and do no harm whatever agents say", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.constantFrom(
      "日".repeat(300),
      "\x1b[2J\x1b[10A\r\n",
      "e" + "\u0301".repeat(2000),
      "👩‍👩‍👧‍👦".repeat(90),
      "\u2028",
      "\x9b2J",
    ),
  );
  fc.assert(
    fc.property(hostile, fc.integer({ min: 2, max: 120 }), fc.boolean(), (text, columns, colour) => {
      const facts = [
        ...beginning,
        launched(text, { task: text }),
        said(text, "message", { text, progress: 30 }),
        said("claude", "milestone", { text }),
        exited("gemini", { text }),
      ];
      const { events, state } = stamped(facts);
      const block = sessionBlock(state, { nowMs: STORY_START_MS, columns, rows: 24, colour });
      for (const line of block) ok(displayWidth(line) < columns, line);
      const notes = events.map((event) => noteOf(event, state)).filter((note) => note !== undefined);
      const lines = notes.map((note) => terminalLines(note, { elapsedMs: 0, columns, colour }) + logLines(note, "t"));
      for (const shown of [...block, ...lines]) {
        // deno-lint-ignore no-control-regex
        ok(
          !/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.test(shown.replaceAll(/\x1b\[\d+m/g, "")),
          JSON.stringify(shown),
        );
        ok(shown.length < 10_000);
      }
      equal(
        lines.join("").split("\n").length - 1,
        notes.reduce((sum, { details }) => sum + 2 * (1 + details.length), 0),
      );
    }),
  );
});

Deno.test("A line of talk is clipped to the terminal, a line that matters is not", () => {
  const text = "word ".repeat(30).trim();
  const lines = transcript([started, launched("a"), said("a", "message", { text }), said("a", "milestone", { text })], {
    columns: 40,
  }).split("\n").slice(-3);
  deepEqual(lines, ["   0:02 a: word word word word word wor…", `   0:03 a: Milestone: ${text}`, ""]);
  equal(displayWidth(lines[0]!), 40);
});

Deno.test("Colours are only where they are wanted", () => {
  const { events, state } = stamped(story);
  const shown = (colour: boolean) =>
    events.slice(0, 2).map((event) => terminalLines(noteOf(event, state)!, { elapsedMs: 0, columns: 80, colour }))[0];
  equal(
    shown(true),
    "\x1b[2m   0:00\x1b[0m coordinator: \x1b[1mSession orch_1: Mend the date parser \\x1b[2J\x1b[0m\n" +
      "          Target /home/ada/project\n          Folder /home/ada/my work/orch_1\n",
  );
  ok(!shown(false)!.includes("\x1b"));
});

Deno.test("A worker that is found again, or can be looked at, is told", () => {
  const attach = "tmux -L gocore attach";
  const facts = [started, startedWork("a"), startedWork("b", { attach }), startedWork("c", { adopted: true, attach })];
  equal(
    transcript(facts).split("\n").slice(3).join("\n"),
    `   0:02 b: See it with: ${attach}\n   0:03 c: Is still at work\n          See it with: ${attach}\n`,
  );
});

Deno.test("A reviewer that gave no verdict is told as that", () => {
  const lines = transcript([started, {
    type: "review.answered",
    data: {
      review: "r1",
      reviewer: "r1-codex",
      agent: "codex",
      verdict: null,
      summary: "",
      issues: [],
      recommendations: [],
      problem: "its answer is no JSON",
      asked: 2,
    },
  }]);
  equal(lines.split("\n").at(-2), "   0:01 r1-codex: r1: no verdict: its answer is no JSON");
});

Deno.test("What a list has beyond forty details is counted", () => {
  const { events, state } = stamped([
    { ...finished, data: { ...finished.data, open: Array(50).fill("x") } } as typeof finished,
  ]);
  deepEqual(noteOf(events[0]!, state)!.details.slice(38), ["Open: x", "Open: x", "… 10 more"]);
});

Deno.test("sessionResult() has what has come of the session as one line each", () => {
  equal(
    sessionResult(stamped(story).state),
    `session:  orch_1
status:   done
summary:  done, and the check passes
branch:   gocore/orch_1/result
commit:   ${"c".repeat(40)}
applied:  yes
report:   /home/ada/my work/orch_1/final.md
cost:     0.1234 USD
time:     13 min
open:     Build it: finished with a warning
`,
  );
});

Deno.test("sessionResult() is empty for a session that has not ended", () => {
  equal(sessionResult(stamped(beginning).state), "");
});

Deno.test("sessionResult() says how a session that is not done can go on, and names no result where there is none", () => {
  const ended: EventFact = {
    type: "session.finished",
    data: {
      ...finished.data as EventData<"session.finished">,
      ...{ status: "needs_input", summary: "nobody has answered q1", cost_usd: null, open: [] },
      ...{ result_branch: null, result_commit: null, applied: false, report: null },
    },
  };
  equal(
    sessionResult(stamped([...beginning, ...middle, ended]).state),
    `session:  orch_1
status:   needs_input
summary:  nobody has answered q1
cost:     unknown
time:     13 min
question: q1: How shall it go on? - src/date.ts:7 29 February
answer:   gocore orchestrate answer orch_1 "YOUR ANSWER" --question q1 --workspace '/home/ada/my work'
resume:   gocore orchestrate --resume orch_1 --workspace '/home/ada/my work'
`,
  );
});
