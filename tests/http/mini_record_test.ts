import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import {
  logFacts,
  MiniEvents,
  type MiniFacts,
  miniRecord,
  type MiniRecordParts,
  trajectoryFacts,
} from "../../src/http/mini_record.ts";
import { miniRecord as schema } from "../../src/http/schemas.ts";

const timeOf = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
const stamp = (second: number) => Date.parse(timeOf(second)) / 1000;

function recordOf(sources: readonly MiniFacts[], more: Partial<MiniRecordParts> = {}) {
  return schema.parse(miniRecord({
    runId: "m1",
    workdir: "/elsewhere",
    isRunning: false,
    sources,
    trajectoryPath: "/t.json",
    hasEvents: false,
    seq: -1,
    nowMs: Date.parse(timeOf(60)),
    ...more,
  }));
}

const message = { commands: [], exit_code: null, time: null, cost_usd: null };
const TRAJECTORY = {
  info: {
    task: "Fix it",
    workdir: "/work",
    config: { model: { model_name: "openai/gpt-5" } },
    model_stats: { instance_cost: 0.75, api_calls: 2 },
    exit_status: "Submitted",
    submission: "a patch",
  },
  messages: [
    { role: "system", content: "You are", extra: { timestamp: stamp(0) } },
    { role: "user", content: "Fix it", extra: { timestamp: stamp(1) } },
    {
      role: "assistant",
      content: "I look",
      tool_calls: [{ function: { name: "bash", arguments: '{"command":"never shown"}' } }],
      extra: { actions: [{ command: "ls" }, { command: "pwd" }], cost: 0.5, timestamp: stamp(2) },
    },
    { role: "tool", content: "a.txt", extra: { returncode: 0, timestamp: stamp(3) } },
    {
      role: "assistant",
      content: [{ type: "text", text: "I" }, { type: "text", text: "submit" }],
      tool_calls: [{ function: { name: "bash", arguments: '{"command":"echo done"}' } }, {
        function: { arguments: "{" },
      }],
      extra: { cost: 0.25, timestamp: stamp(4) },
    },
    { role: "exit", content: "a patch", extra: { timestamp: stamp(5) } },
  ],
  trajectory_format: "mini-swe-agent-1.1",
};

const ENDED = {
  run_id: "m1",
  status: "success",
  running: false,
  task: "Fix it",
  model: "openai/gpt-5",
  workdir: "/work",
  started_at: timeOf(0),
  ended_at: timeOf(5),
  elapsed_seconds: 5,
  cost_usd: 0.75,
  known_cost_usd: 0.75,
  calls: 2,
  steps: 2,
  result: "a patch",
  exit_status: "Submitted",
  messages: [
    { ...message, role: "system", content: "You are", time: timeOf(0) },
    { ...message, role: "user", content: "Fix it", time: timeOf(1) },
    { ...message, role: "assistant", content: "I look", commands: ["ls", "pwd"], time: timeOf(2), cost_usd: 0.5 },
    { ...message, role: "tool", content: "a.txt", exit_code: 0, time: timeOf(3) },
    { ...message, role: "assistant", content: "I\nsubmit", commands: ["echo done"], time: timeOf(4), cost_usd: 0.25 },
    { ...message, role: "exit", content: "a patch", time: timeOf(5) },
  ],
  trajectory_path: "/t.json",
  has_events: false,
  seq: -1,
};

Deno.test("a trajectory is told whole", () => {
  deepEqual(recordOf([trajectoryFacts(TRAJECTORY)]), ENDED);
});

Deno.test("the log of a run that goes on is told as far as it has come", () => {
  const { exit_status: _, submission: __, model_stats: ___, ...info } = TRAJECTORY.info;
  const entries = [
    { kind: "run", info },
    ...TRAJECTORY.messages.slice(0, 4).map((message) => ({ kind: "message", message })),
  ];
  deepEqual(recordOf([logFacts(entries)], { isRunning: true, trajectoryPath: null }), {
    ...ENDED,
    status: "running",
    running: true,
    ended_at: null,
    elapsed_seconds: 60,
    cost_usd: 0.5,
    known_cost_usd: 0.5,
    calls: 1,
    steps: 1,
    result: null,
    exit_status: null,
    messages: ENDED.messages.slice(0, 4),
    trajectory_path: null,
  });
  const killed = recordOf([logFacts(entries)]);
  deepEqual([killed.status, killed.ended_at, killed.elapsed_seconds], ["cut_off", timeOf(3), 3]);
  const end = { kind: "end", end: { exitStatus: "Submitted", submission: "a patch", cost: null, calls: 3 } };
  const unsaved = recordOf([logFacts([...entries, end])]);
  deepEqual([unsaved.status, unsaved.cost_usd, unsaved.known_cost_usd, unsaved.calls], ["success", null, 0.5, 3]);
});

Deno.test("ends are told in the words of `finish`", () => {
  const statusOf = (exit_status: string, content = "") =>
    recordOf([trajectoryFacts({ info: { exit_status }, messages: [{ role: "exit", content }] })]).status;
  deepEqual(
    [
      statusOf("Submitted"),
      statusOf("LimitsExceeded", "The cost limit of 3 USD is reached"),
      statusOf("LimitsExceeded", "The limit of 9 steps is reached"),
      statusOf("TimeExceeded"),
      statusOf("RepeatedFormatError"),
      statusOf("Interrupted"),
      statusOf("Killed"),
      statusOf("AuthenticationError"),
      statusOf("constructor"),
    ],
    [
      "success",
      "cost_limit",
      "step_limit",
      "time_limit",
      "format_error",
      "interrupted",
      "cut_off",
      "error",
      "error",
    ],
  );
});

const line = (second: number, type: string, data: unknown) => ({ type, data, timestamp: timeOf(second) });
const STEP = { action_count: 1, output: "a.txt", exit_code: 0, exception_info: "", cost_so_far: 0.5 };
const LINES = [
  line(0, "start", { task: "Fix it", model: "openai/gpt-5", workdir: "/work", pid: 1 }),
  line(1, "thought", { step: 1, content: "I look", source: "reply" }),
  line(2, "step", { ...STEP, step: 1, action: "ls", action_index: 0 }),
  line(3, "step", {
    ...STEP,
    step: 1,
    action: "false",
    exit_code: -1,
    exception_info: "It was killed",
    action_index: 1,
  }),
  line(4, "step", { ...STEP, step: 2, action: "pwd", output: "/work", cost_so_far: 0.75 }),
];
const END = [
  line(5, "finish", { status: "success", result: "a patch", exit_status: "Submitted", steps: 3 }),
  line(6, "cost", { total: null, known_total: 0.75, calls: 3 }),
];

function eventFacts(lines: readonly unknown[]): MiniFacts {
  const events = new MiniEvents();
  for (const one of lines) events.add(one);
  return events.facts;
}

Deno.test("events are told as the conversation that they come from", () => {
  const told = {
    ...ENDED,
    status: "running",
    running: true,
    ended_at: null,
    elapsed_seconds: 60,
    result: null,
    exit_status: null,
    messages: [
      { ...message, role: "user", content: "Fix it", time: timeOf(0) },
      { ...message, role: "assistant", content: "I look", commands: ["ls", "false"], time: timeOf(1) },
      { ...message, role: "tool", content: "a.txt", exit_code: 0, time: timeOf(2) },
      { ...message, role: "tool", content: "It was killed\na.txt", exit_code: -1, time: timeOf(3) },
      { ...message, role: "assistant", content: "", commands: ["pwd"], time: timeOf(4) },
      { ...message, role: "tool", content: "/work", exit_code: 0, time: timeOf(4) },
    ],
  };
  deepEqual(recordOf([eventFacts(LINES)], { isRunning: true }), told);
  deepEqual(recordOf([eventFacts([...LINES, ...END])]), {
    ...told,
    status: "success",
    running: false,
    ended_at: timeOf(5),
    elapsed_seconds: 5,
    cost_usd: null,
    calls: 3,
    steps: 3,
    result: "a patch",
    exit_status: "Submitted",
    messages: [...told.messages, { ...message, role: "exit", content: "a patch", time: timeOf(5) }],
  });
});

Deno.test("a price that is unknown stays unknown, and what was known before stays known", () => {
  const unknown = line(5, "step", { ...STEP, step: 3, action: "ls", cost_so_far: null });
  const { cost_usd, known_cost_usd } = recordOf([eventFacts([...LINES, unknown])]);
  deepEqual([cost_usd, known_cost_usd], [null, 0.75]);
});

Deno.test("a fact is of the first source that has it", () => {
  const record = recordOf([{ task: "one" }, { task: "two", model: "m" }, { workdir: "/w", calls: 3 }]);
  deepEqual([record.task, record.model, record.workdir, record.calls, record.result], ["one", "m", "/w", 3, null]);
});

Deno.test("whatever a document or a line is made of, there is a record", () => {
  const json = fc.jsonValue();
  const shaped = fc.record({ info: json, messages: fc.array(fc.record({ role: json, content: json, extra: json })) });
  fc.assert(fc.property(fc.oneof(json, shaped), fc.array(json), (document, lines) => {
    recordOf([trajectoryFacts(document)]);
    recordOf([logFacts(lines.map((message) => ({ kind: "message", message })))]);
    const types = ["start", "thought", "step", "finish", "cost", "other"];
    recordOf([eventFacts(lines.flatMap((data) => types.map((type) => ({ type, data, timestamp: data }))))]);
  }));
  recordOf([
    trajectoryFacts({ messages: [{ extra: { timestamp: 1e300, cost: "1" } }, { extra: { timestamp: -1e15 } }] }),
  ]);
});

Deno.test("a record is bounded, and keeps the task and the newest", () => {
  const events = new MiniEvents();
  for (const one of LINES) events.add(one);
  for (let step = 3; step < 6000; step++) {
    events.add(
      line(step, "step", { ...STEP, step, action: "ls", output: `${step} ${"x".repeat(step < 300 ? 200_000 : 5000)}` }),
    );
    events.add(line(step, "thought", { step, content: "t".repeat(500) }));
  }
  const record = recordOf([events.facts]);
  ok(record.messages.length <= 5000 && record.messages.length > 4000, `${record.messages.length}`);
  ok(JSON.stringify(record).length < 12_000_000, `${JSON.stringify(record).length}`);
  equal(record.messages[0]!.content, "Fix it");
  const outputs = record.messages.filter(({ role }) => role === "tool");
  ok(outputs.at(-1)!.content.startsWith("5999 "), outputs.at(-1)!.content.slice(0, 50));
  ok(outputs.slice(-100).every(({ content }) => content.length > 5000), "the newest are whole");
  ok(record.messages.every(({ content }) => content.length <= 100_000));
  equal(record.calls, 5999);
});
