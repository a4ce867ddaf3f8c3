/** The adapter of gocore's own agent: its stream, its ends, and a real run. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import * as z from "zod/mini";
import { eventData, type EventType } from "../../src/events/event.ts";
import { type AgentEvent, agentEvent, type FailureCause } from "../../src/events/session_events.ts";
import type { LaunchRequest, StreamReader, StreamResult } from "../../src/workers/adapter.ts";
import { mini } from "../../src/workers/adapters/mini.ts";
import { gocoreCommand, listing, type Reply, Sandbox, submit } from "../support/gocore.ts";

const NOW = Date.parse("2026-11-21T20:00:00Z");
const open = () => mini.openStream({ agent: "mini", now: () => NOW, resumed: false });
const exit = (exitCode: number | null, stderr = "") => ({ exitCode, signal: null, stderr });
const line = (type: string, data: unknown) => JSON.stringify({ type, data, timestamp: "2026-11-21T19:59:59.000Z" });
const event = (type: AgentEvent["type"], payload: AgentEvent["payload"]): AgentEvent => {
  return { type, agent: "mini", timestamp: "2026-11-21T20:00:00.000Z", payload };
};

const REQUEST: LaunchRequest = {
  program: ["/opt/gocore"],
  prompt: "-x do it",
  workdir: '/work/a "b": c',
  home: "/home/w",
  tmp: "/tmp/w",
  includeDirectories: [],
  gatewayUrl: "http://127.0.0.1:8045/w/mini",
  key: "gk-secret",
  model: undefined,
  readOnly: false,
  resume: undefined,
  costLimitUsd: undefined,
  timeLimitSeconds: undefined,
  extraArguments: [],
  adjustments: {},
};

Deno.test("it is launched in its home, with its commands in the workdir and its calls through the gateway", () => {
  deepEqual(mini.launch(REQUEST), {
    argv: [
      ...["/opt/gocore", "mini", "--headless", "--output", "/home/w/trajectory.json"],
      ...["-c", 'environment.cwd="/work/a \\"b\\": c"', "--task=-x do it"],
    ],
    env: {
      MINI_WORKDIR: "/home/w",
      MINI_API_BASE: "http://127.0.0.1:8045/w/mini",
      MINI_API_KEY: "gk-secret",
      NO_COLOR: "1",
    },
    files: {},
  });
  const limited = {
    model: "openai/gpt-5",
    costLimitUsd: 0.5,
    timeLimitSeconds: 60,
    extraArguments: ["--protocol", "text"],
  };
  deepEqual(mini.launch({ ...REQUEST, ...limited, workdir: "/work" }).argv.slice(5), [
    ...["--model", "openai/gpt-5", "--cost-limit", "0.5", "--wall-time-limit", "60", "--protocol", "text"],
    ...["-c", 'environment.cwd="/work"', "--task=-x do it"],
  ]);
});

const START = line("start", { run_id: "r1", model: "openai/gpt-5", version: "0.1.0" });
const COST = {
  ...{ total: 0.25, calls: 2, source: "list", known_total: 0.25, unpriced_calls: 0 },
  ...{ input_tokens: 100, cache_read_tokens: 20, cache_write_tokens: 3, output_tokens: 40, reasoning_tokens: 5 },
};
const USAGE = { input: 100, cacheRead: 20, cacheWrite: 3, output: 40, reasoning: 5 };

Deno.test("each of mini's events is told as what it means", () => {
  const reader = open();
  const step = {
    ...{ step: 2, action_index: 1, action_count: 2, action: "cat secret", output: "cat: secret: Permission denied\n" },
    ...{ exit_code: 1, exception_info: "" },
  };
  const late = { ...step, action: "sleep 9", output: "zz", exit_code: -1, exception_info: "Killed after 5 s" };
  const milestone = '{"type":"milestone","payload":{"text":"Half of it","progress":50}}';
  const told = [
    START,
    line("thought", { step: 1, content: "Because", source: "reasoning" }),
    line("thought", { step: 1, content: `I look.\n${milestone}`, source: "reply" }),
    line("step", step),
    line("step", late),
    line("log", { level: "debug", content: "x" }),
    line("log", { level: "warning", content: "No price" }),
    line("log", { level: "warning", content: "429, again", attempt: 1, max_attempts: 6, wait_seconds: 2, status: 429 }),
    line("error", { error: "Cannot", type: "APIError", traceback: "…", hints: [] }),
    line("finish", { status: "success", result: "All good\n", exit_status: "Submitted" }),
    line("cost", COST),
    line("gateway.listening", {}),
    "plain text",
  ].flatMap((text) => reader.read(text));
  const command = (name: string, rest: Record<string, unknown>) =>
    event("command", { text: name, data: { id: "2.1", command: name, phase: "ended", status: "failed", ...rest } });
  deepEqual(told, [
    event("status", {
      text: "Works with openai/gpt-5",
      data: { session: "r1", model: "openai/gpt-5", version: "0.1.0" },
    }),
    event("thought", { text: "Because" }),
    event("milestone", { text: "Half of it", progress: 50 }),
    event("thought", { text: "I look." }),
    command("cat secret", { exit_code: 1, output: "cat: secret: Permission denied\n" }),
    event("denial", {
      text: "cat secret: cat: secret: Permission denied",
      data: { id: "2.1", tool: "bash", cause: "permission" },
    }),
    command("sleep 9", { exit_code: -1, output: "zz\nKilled after 5 s" }),
    event("warning", { text: "No price" }),
    event("retry", { text: "429, again", data: { attempt: 1, max_attempts: 6, wait_seconds: 2, status: 429 } }),
    event("error", { text: "Cannot", data: { type: "APIError" } }),
    event("message", { text: "All good\n" }),
    event("unreadable", { text: "plain text" }),
  ]);
  deepEqual(reader.result(exit(0)), {
    outcome: "completed",
    cause: null,
    text: "All good",
    session: "r1",
    usage: USAGE,
    reportedCostUsd: 0.25,
    model: "openai/gpt-5",
    denials: ["cat secret: cat: secret: Permission denied"],
  });
});

Deno.test("every end of mini has its outcome and its cause", () => {
  const ends: readonly (readonly [string, string, string, FailureCause | null])[] = [
    ["cost_limit", "LimitsExceeded", "The cost limit of 1 USD is reached", "budget"],
    ["step_limit", "LimitsExceeded", "The limit of 5 steps is reached", "no_answer"],
    ["time_limit", "TimeExceeded", "The wall time limit of 5 s is reached", "no_answer"],
    ["format_error", "RepeatedFormatError", "The model gave no usable command 3 times in a row", "model"],
    ["interrupted", "Interrupted", "Interrupted by SIGINT", null],
    ["error", "AuthenticationError", "Cannot ask openai: no API key is set", "auth"],
    ["error", "RateLimitError", "the provider answered 429 (too many requests)", "rate_limit"],
    ["error", "RateLimitError", "the provider answered 429 (out of credit)", "budget"],
    ["error", "BudgetExceededError", "the provider answered 402 (payment required)", "budget"],
    ["error", "APIConnectionError", "no connection to http://127.0.0.1:1", "network"],
    ["error", "ContextWindowExceededError", "the provider answered 400 (context window)", "context"],
    ["error", "UsageError", "Cannot start: no model is named", "arguments"],
    ["error", "EnvironmentError", "Cannot set up: EACCES: permission denied", "permission"],
    ["error", "TypeError", "x is not a function", "crashed"],
    ["brand_new", "", "Who knows", "crashed"],
  ];
  for (const [status, exitStatus, text, cause] of ends) {
    const reader = open();
    reader.read(line("finish", { status, result: text, exit_status: exitStatus }));
    reader.read(line("cost", { ...COST, total: null }));
    const expected: StreamResult = {
      ...{ outcome: "failed", cause, text, session: null, usage: USAGE },
      ...{ reportedCostUsd: null, model: null, denials: [] },
    };
    deepEqual(reader.result(exit(1)), expected, `${status} ${exitStatus}`);
  }
});

Deno.test("without a finish the last retry, stderr or the exit code say why", () => {
  const end = (reader: StreamReader, exitCode: number | null, stderr = "") => {
    const { outcome, cause, text } = reader.result(exit(exitCode, stderr));
    return { outcome, cause, text };
  };
  const retrying = open();
  retrying.read(line("log", { level: "warning", content: "No connection", attempt: 1, status: null }));
  deepEqual(end(retrying, 137), { outcome: "failed", cause: "network", text: "No connection (ended by SIGKILL)" });
  retrying.read(line("thought", { content: "There it is", source: "reply" }));
  deepEqual(end(retrying, 137), {
    outcome: "failed",
    cause: "crashed",
    text: "It broke off without an answer (ended by SIGKILL)",
  });
  deepEqual(end(open(), 2, "Error: Unknown flag `--nope`\nHint: Did you mean `--no`?\n"), {
    outcome: "failed",
    cause: "arguments",
    text: "Error: Unknown flag `--nope` (exit code 2)",
  });
});

const anything = fc.oneof(fc.jsonValue(), fc.constantFrom("success", "reply", "warning", "__proto__"));
const NAMES = ["start", "step", "thought", "log", "error", "finish", "cost"] as const satisfies readonly EventType[];

Deno.test("whatever a stream has, its events keep the schema and the result is one", () => {
  const record = fc.constantFrom(...NAMES).chain((type) => {
    const fields = Object.keys(eventData[type].def.shape).map((name) => [name, anything] as const);
    return fc.record({ type: fc.constant(type), data: fc.oneof(anything, fc.record(Object.fromEntries(fields))) });
  });
  fc.assert(fc.property(fc.array(record, { maxLength: 8 }), fc.string(), (records, noise) => {
    const reader = open();
    for (const told of [...records.map((value) => JSON.stringify(value)), noise].flatMap((text) => reader.read(text))) {
      ok(z.safeParse(agentEvent, told).success, JSON.stringify(told));
    }
    const { outcome, cause, text, usage } = reader.result(exit(0, noise));
    ok(outcome === "completed" ? cause === null : text !== "");
    ok(usage === null || Object.values(usage).every((tokens) => Number.isInteger(tokens) && tokens >= 0));
  }));
});

Deno.test("a launched mini does its work in the workdir, keeps its state in its home, and says how it ended", async () => {
  await using sandbox = await Sandbox.create();
  const replies: Reply[] = [
    {
      content: "I create the file",
      commands: ["pwd; echo hi > made.txt"],
      usage: { input: 10, output: 5 },
      cost: 0.01,
    },
    { ...submit("It is made"), usage: { input: 20, output: 5 }, cost: 0.02 },
  ];
  const [, model] = await sandbox.script(replies);
  const command = gocoreCommand();
  const { argv, env } = mini.launch({
    ...REQUEST,
    program: [command[0]!, ...command.slice(1)],
    workdir: sandbox.workdir,
    home: sandbox.home,
    model,
    costLimitUsd: 1,
    timeLimitSeconds: 600,
  });
  const { code, stdout, stderr } = await sandbox.run(argv.slice(command.length), { env });
  equal(code, 0, stderr);
  const reader = open();
  const events = stdout.split("\n").filter((text) => text !== "").flatMap((text) => reader.read(text));
  deepEqual(events.map(({ type, payload }) => [type, payload.text]), [
    ["status", `Works with ${model}`],
    ["thought", "I create the file"],
    ["command", "pwd; echo hi > made.txt"],
    ["command", submit("It is made").commands![0]],
    ["message", "It is made\n"],
  ]);
  equal(events[2]!.payload.data?.output, `${sandbox.workdir}\n`);
  const { session, ...result } = reader.result(exit(code, stderr));
  ok(session !== null);
  deepEqual(result, {
    outcome: "completed",
    cause: null,
    text: "It is made",
    usage: { input: 30, cacheRead: 0, cacheWrite: 0, output: 10, reasoning: 0 },
    reportedCostUsd: 0.03,
    model,
    denials: [],
  });
  const made = (await listing(sandbox.workdir)).filter((path) => !path.startsWith(".git/"));
  deepEqual(made, ["README.md", "made.txt"]);
  ok((await Deno.stat(join(sandbox.home, "trajectory.json"))).isFile);
  await sandbox.noProcessLeft();
});
