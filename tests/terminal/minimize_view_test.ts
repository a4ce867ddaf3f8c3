import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { MinimizeEnd, MinimizeEvent, MinimizeProgress } from "../../src/events/minimize_events.ts";
import { minimizeLine, minimizeResult, progressLine } from "../../src/terminal/minimize_view.ts";

const PROGRESS: MinimizeProgress = {
  pass: "tokens",
  part: "a.py",
  size: 123,
  start_size: 2000,
  calls: 77,
  calls_per_second: 12.34,
  elapsed_seconds: 6.24,
};

const END: MinimizeEnd = {
  status: "minimal",
  reason: "",
  start_size: 2000,
  size: 40,
  minimal_by: "character",
  calls: 300,
  answered_before: 0,
  duration_seconds: 125,
  output: ["/w/a.min.py"],
  cost: null,
  passes: [],
};

Deno.test("progress is one line that fits the terminal", () => {
  const whole = "123 of 2000 characters (6.2 %), 77 calls, 12/s, 6.2 s, tokens in a.py";
  equal(progressLine(PROGRESS, { columns: 100 }), whole);
  equal(
    progressLine({ ...PROGRESS, part: "", calls: 1, calls_per_second: 0.25 }, { columns: 100 }),
    "123 of 2000 characters (6.2 %), 1 call, 0.3/s, 6.2 s, tokens",
  );
  for (const columns of [1, 10, 40]) equal(progressLine(PROGRESS, { columns }).length <= columns, true);
  equal(progressLine({ ...PROGRESS, start_size: 0, size: 0 }, { columns: 100 }).includes("(100 %)"), true);
});

Deno.test("the result says what was proved, or that nothing was", () => {
  equal(
    minimizeResult(END),
    `status:  minimal
result:  /w/a.min.py
size:    2000 → 40 characters (2.0 % of the start)
proof:   without any single character it does not show it any more
calls:   300
time:    2 min
`,
  );
  equal(
    minimizeResult({
      ...END,
      status: "limit",
      reason: "5 seconds are over",
      minimal_by: null,
      answered_before: 9,
      duration_seconds: 5,
      output: ["/w/a.min.py", "/w/a.min.env"],
      cost: { usd: null, source: "unknown" },
    }),
    `status:  limit: 5 seconds are over
result:  /w/a.min.py
result:  /w/a.min.env
size:    2000 → 40 characters (2.0 % of the start)
proof:   none: more might go
calls:   300, and 9 answered by a former run
cost:    cost unknown
time:    5.0 s
`,
  );
});

Deno.test("an empty result is told as one that nobody wanted, unless there was nothing from the start", () => {
  const heads = (end: Partial<MinimizeEnd>) => minimizeResult({ ...END, ...end }).split("\n").slice(0, 5);
  deepEqual(heads({ size: 0, output: ["/w/a.py"] }), [
    "status:  minimal, but empty",
    "warning: nothing of the file is needed to show it: does the command look at {file}, and can it say no?",
    "result:  /w/a.py",
    "size:    2000 → 0 characters (0.0 % of the start)",
    "proof:   an empty file shows it as well",
  ]);
  equal(heads({ size: 0, start_size: 0 })[0], "status:  minimal");
});

Deno.test("lines show what is foreign without effect, and only what stays", () => {
  const started: MinimizeEvent = {
    type: "minimize.started",
    data: {
      file: "a\x1b[2J\n.py",
      output: "o",
      oracle: "x",
      size: 1,
      jobs: 4,
      known_answers: 12,
      version: "1",
      pid: 1,
    },
  };
  deepEqual(
    [
      started,
      {
        type: "minimize.start_proved",
        data: { runs: 3, shows: "the command exits with 0", cwd: "own", timeout_sec: 5, before: true },
      },
      { type: "minimize.model", data: { model: "m", proposals: 1, cost_usd: 0.5, cost_source: "list" } },
      { type: "minimize.note", data: { text: "x\ry" } },
      { type: "minimize.progress", data: PROGRESS },
      { type: "minimize.ended", data: END },
    ].map((event) => minimizeLine(event as MinimizeEvent)),
    [
      "a\\x1b[2J .py: 1 character, 4 jobs, going on with 12 answers of a former run",
      "start: the command exits with 0, in 3 of 3 runs, proved before",
      "m: 1 proposal, 0.5000 USD",
      "note: x y",
      undefined,
      undefined,
    ],
  );
});
