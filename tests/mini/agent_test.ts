import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { MiniSettings } from "../../src/config/mini_settings.ts";
import type { EventFact } from "../../src/events/event.ts";
import { Interrupt } from "../../src/failure.ts";
import { Agent, type AgentParts } from "../../src/mini/agent.ts";
import type { CommandResult, Environment } from "../../src/mini/environment.ts";
import type { Outcome } from "../../src/mini/outcome.ts";
import type { TrajectoryMessage } from "../../src/mini/trajectory.ts";
import type { ChatMessage, ChatModel } from "../../src/models/chat_model.ts";
import { scriptedModel, type ScriptedReply } from "../../src/models/scripted_model.ts";
import { loadRenderer } from "../../src/templates/render.ts";

const FINISH = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";

/** Answers `name` with the result of that name, and an `echo` with its text; keeps what was asked. */
class TableEnvironment implements Environment {
  readonly asked: string[] = [];
  constructor(readonly results: Record<string, Partial<CommandResult>> = {}) {}

  execute(command: string): Promise<CommandResult> {
    this.asked.push(command);
    const output = command.startsWith("echo ") ? command.slice(5) + "\n" : "";
    const none = { elidedBytes: 0, exitCode: 0, exceptionInfo: "", timedOut: false, durationMs: 1 };
    return Promise.resolve({ output, ...none, ...this.results[command] });
  }

  templateVariables() {
    return { cwd: "/repo", timeout: 30, system: "Linux", env: {} };
  }
}

function settingsWith(
  agent: Partial<MiniSettings["agent"]> = {},
  model: Partial<MiniSettings["model"]> = {},
): MiniSettings {
  return {
    agent: {
      systemTemplate: "You work in {{ cwd }}.",
      instanceTemplate: "Task: {{ task }} on {{ system }}, {{ custom }}",
      stepLimit: 0,
      costLimitUsd: 0,
      wallTimeLimitSeconds: 0,
      maxConsecutiveFormatErrors: 3,
      mode: "yolo",
      confirmExit: false,
      outputPath: undefined,
      ...agent,
    },
    model: {
      name: "scripted/test",
      protocol: "toolcall",
      api: "chat",
      provider: undefined,
      kwargs: {},
      setCacheControl: undefined,
      costTracking: "default",
      priceFile: undefined,
      actionRegex: "```bash\\s*\\n(.*?)\\n```",
      observationTemplate: "{{ output.returncode }}|{{ output.output }}|{{ output.exception_info }}",
      formatErrorTemplate: "BAD {{ error }} {{ actions | length }} {{ finish_reason }}",
      timeoutTemplate: undefined,
      templateDialect: "v2",
      ...model,
    },
    environment: {
      cwd: "/repo",
      env: {},
      forwardEnv: [],
      timeoutSeconds: 30,
      interpreter: ["bash", "-c"],
      commandPolicy: "enforce",
      commandRules: [],
    },
    headless: { includeTimestamps: true, maxOutputLength: 0 },
    raw: { agent: { custom: "own variable" }, model: {}, environment: {} },
  };
}

interface Ran {
  outcome: Outcome;
  events: EventFact[];
  recorded: TrajectoryMessage[];
  /** What the model was sent with each query. */
  queries: ChatMessage[][];
  agent: Agent;
  environment: TableEnvironment;
}

async function runAgent(
  replies: readonly ScriptedReply[],
  options: {
    settings?: MiniSettings;
    environment?: TableEnvironment;
    signal?: AbortSignal;
    onEvent?: (fact: EventFact) => void;
    clock?: () => number;
    policy?: AgentParts["policy"];
  } = {},
): Promise<Ran> {
  const settings = options.settings ?? settingsWith();
  const environment = options.environment ?? new TableEnvironment();
  const events: EventFact[] = [], recorded: TrajectoryMessage[] = [], queries: ChatMessage[][] = [];
  const scripted = scriptedModel(replies, { protocol: settings.model.protocol, sleep: () => Promise.resolve() });
  const model: ChatModel = {
    name: scripted.name,
    query(messages, query) {
      queries.push([...messages]);
      return scripted.query(messages, query);
    },
  };
  const agent = new Agent({
    settings,
    model,
    environment,
    renderer: await loadRenderer(),
    policy: options.policy,
    publish(fact) {
      events.push(fact);
      options.onEvent?.(fact);
      return Promise.resolve();
    },
    record: (message) => recorded.push(message),
    monotonicMs: options.clock ?? (() => 0),
  });
  const outcome = await agent.run("fix it", options.signal ?? new AbortController().signal);
  return { outcome, events, recorded, queries, agent, environment };
}

Deno.test("Agent.run() shows the model each result, and ends with what a command submits", async () => {
  const { outcome, queries, environment } = await runAgent([
    { content: "I look.", commands: ["echo one", "echo two"] },
    { commands: [`${FINISH}\nall done`] },
  ]);
  deepEqual(outcome, { kind: "submitted", submission: "all done\n" });
  deepEqual(environment.asked, ["echo one", "echo two", `${FINISH}\nall done`]);
  deepEqual(queries[0], [
    { role: "system", content: "You work in /repo." },
    { role: "user", content: "Task: fix it on Linux, own variable" },
  ]);
  const [assistant, ...tools] = queries[1]!.slice(2);
  equal(assistant?.role, "assistant");
  deepEqual(tools.map(({ role, content }) => [role, content]), [["tool", "0|one\n|"], ["tool", "0|two\n|"]]);
});

Deno.test("Agent.run() in the text protocol answers as the user", async () => {
  const { outcome, queries } = await runAgent([{ content: "Look", commands: ["echo one"] }, { commands: [FINISH] }], {
    settings: settingsWith({}, { protocol: "text" }),
  });
  equal(outcome.kind, "submitted");
  deepEqual(queries[1]!.slice(2).map(({ role, content }) => [role, content]), [
    ["assistant", "Look\n\n```bash\necho one\n```"],
    ["user", "0|one\n|"],
  ]);
});

Deno.test("Agent.run() does not take a finish marker from a failed command, nor run what comes after a submission", async () => {
  const environment = new TableEnvironment({ "echo x": { output: `${FINISH.slice(5)}\n`, exitCode: 1 } });
  const { outcome } = await runAgent([{ commands: ["echo x", FINISH, "echo never"] }], { environment });
  equal(outcome.kind, "submitted");
  deepEqual(environment.asked, ["echo x", FINISH]);
});

Deno.test("Agent.run() tells every command in a step event, and thoughts before them", async () => {
  const { events } = await runAgent([{ content: "Why", reasoning: "hm", commands: ["echo a", "echo b"], cost: 0.5 }, {
    commands: [FINISH],
    cost: 0.25,
  }]);
  deepEqual(
    events.map(({ type, data }) =>
      type === "step"
        ? [type, data.step, data.action, data.action_index, data.action_count, data.cost_so_far]
        : [type, data]
    ),
    [
      ["thought", { step: 1, content: "hm", source: "reasoning" }],
      ["thought", { step: 1, content: "Why", source: "reply" }],
      ["step", 1, "echo a", 0, 2, 0.5],
      ["step", 1, "echo b", 1, 2, 0.5],
      ["step", 2, FINISH, 0, 1, 0.75],
    ],
  );
});

Deno.test("Agent.run() answers each call of an unusable reply and runs none of them", async () => {
  const { outcome, queries, environment } = await runAgent([
    { tool_calls: [{ name: "bash", arguments: { command: "echo a" }, id: "x" }, { name: "edit", id: "y" }] },
    { content: "only words" },
    { commands: [FINISH] },
  ]);
  equal(outcome.kind, "submitted");
  deepEqual(environment.asked, [FINISH]);
  const answers = queries[2]!.filter(({ role }) => role === "tool" || role === "user").slice(1);
  deepEqual(answers.map((answer) => answer.role === "tool" ? answer.toolCallId : answer.role), ["x", "y", "user"]);
  match(answers[0]!.content, /^BAD Unknown tool "edit"/);
  match(answers[2]!.content, /^BAD .* 0 stop$/);
});

Deno.test("Agent.run() ends after too many format errors in a row; a good reply starts the count anew", async () => {
  const bad: ScriptedReply = { content: "no command" };
  const { outcome } = await runAgent([bad, bad, { commands: ["echo ok"] }, bad, bad, bad, { commands: [FINISH] }]);
  deepEqual(outcome, { kind: "format_errors", count: 3 });
});

Deno.test("Agent.run() checks the limits before each query", async () => {
  const endless: ScriptedReply = { commands: ["echo x"], cost: 0.4, repeat: 100 };
  const steps = await runAgent([endless], { settings: settingsWith({ stepLimit: 3 }) });
  deepEqual([steps.outcome, steps.agent.tally.calls], [{ kind: "limit", which: "steps", limit: 3 }, 3]);
  const cost = await runAgent([endless], { settings: settingsWith({ costLimitUsd: 1 }) });
  deepEqual([cost.outcome, cost.agent.tally.calls], [{ kind: "limit", which: "cost", limit: 1 }, 3]);
  let now = 0;
  const time = await runAgent([endless], {
    settings: settingsWith({ wallTimeLimitSeconds: 3600 }),
    clock: () => now += 600_000,
  });
  deepEqual(time.outcome, { kind: "limit", which: "time", limit: 3600 });
});

Deno.test("Agent.run() is stopped by its wall time in the middle of a model call", async () => {
  const { outcome } = await runAgentThatHangs(0.05);
  deepEqual(outcome, { kind: "limit", which: "time", limit: 0.05 });
});

async function runAgentThatHangs(wallTimeLimitSeconds: number): Promise<{ outcome: Outcome }> {
  const agent = new Agent({
    settings: settingsWith({ wallTimeLimitSeconds }),
    model: {
      name: "hangs",
      query: (_messages, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
    environment: new TableEnvironment(),
    renderer: await loadRenderer(),
    publish: () => Promise.resolve(),
    record: () => {},
    monotonicMs: () => 0,
  });
  return { outcome: await agent.run("x", new AbortController().signal) };
}

Deno.test("Agent.run() ends as interrupted when the signal aborts between two commands", async () => {
  const controller = new AbortController();
  const { outcome, environment } = await runAgent([{ commands: ["echo a", "echo b"] }], {
    signal: controller.signal,
    onEvent: ({ type }) => type === "step" && controller.abort(new Interrupt("SIGTERM")),
  });
  ok(outcome.kind === "interrupted");
  equal(outcome.error.signal, "SIGTERM");
  deepEqual(environment.asked, ["echo a"]);
});

Deno.test("Agent.run() makes an outcome of a model failure and of an undefined template variable", async () => {
  const refused = await runAgent([{ error: { status: 401, message: "bad key" } }]);
  ok(refused.outcome.kind === "failed");
  match(String(refused.outcome.error), /401/);
  const undefinedVariable = await runAgent([], { settings: settingsWith({ systemTemplate: "{{ nobody }}" }) });
  ok(undefinedVariable.outcome.kind === "failed");
  match(String(undefinedVariable.outcome.error), /agent\.system_template.*nobody/);
});

Deno.test("Agent.run() tells each retry in a log event with attempt, status and wait", async () => {
  const { events, outcome } = await runAgent([{ error: { status: 529, message: "busy", retry_after: 7 } }, {
    commands: [FINISH],
  }]);
  equal(outcome.kind, "submitted");
  const [log] = events;
  ok(log?.type === "log");
  equal(log.data.level, "warning");
  match(log.data.content, /busy; attempt 1 of 6, next in 7 s$/);
  deepEqual([log.data.attempt, log.data.max_attempts, log.data.status, log.data.wait_seconds], [1, 6, 529, 7]);
});

Deno.test("Agent.run() warns once of an unknown price, and ends with cost_tracking: strict", async () => {
  const unpriced: ScriptedReply[] = [{ commands: ["echo a"], cost: null }, { commands: [FINISH], cost: null }];
  const warned = await runAgent(unpriced);
  equal(warned.outcome.kind, "submitted");
  equal(warned.events.filter(({ type }) => type === "log").length, 1);
  deepEqual(warned.events.flatMap(({ type, data }) => type === "step" ? [data.cost_so_far] : []), [null, null]);
  const strict = await runAgent(unpriced, { settings: settingsWith({}, { costTracking: "strict" }) });
  ok(strict.outcome.kind === "failed");
  match(String(strict.outcome.error), /cost_tracking is strict/);
  const ignored = await runAgent(unpriced, { settings: settingsWith({}, { costTracking: "ignore_errors" }) });
  equal(ignored.events.filter(({ type }) => type === "log").length, 0);
});

Deno.test("v1 templates get the timeout in their own template, and other failures in the output", async () => {
  const environment = new TableEnvironment({
    slow: { output: "part", exitCode: -1, timedOut: true, exceptionInfo: "timed out" },
    gone: { output: "", exitCode: -1, exceptionInfo: "no such folder" },
  });
  const settings = settingsWith({}, {
    templateDialect: "v1",
    observationTemplate: "OUT {{ output.output }}",
    timeoutTemplate: "LATE {{ action['action'] }}: {{ output }}",
  });
  const { queries } = await runAgent([{ commands: ["slow", "gone"] }, { commands: [FINISH] }], {
    settings,
    environment,
  });
  deepEqual(queries[1]!.slice(3).map(({ content }) => content), ["LATE slow: part", "OUT no such folder\n"]);
});

Deno.test("the trajectory has every message with what the model did not see", async () => {
  const { recorded } = await runAgent([{ content: "Look", commands: ["echo one"], cost: 0.5 }, { commands: [FINISH] }]);
  deepEqual(recorded.map(({ role }) => role), ["system", "user", "assistant", "tool", "assistant", "tool"]);
  const [, , assistant, tool] = recorded;
  deepEqual(assistant!.tool_calls, [{
    id: "call_1_1",
    type: "function",
    function: { name: "bash", arguments: '{"command":"echo one"}' },
  }]);
  deepEqual(assistant!.extra!.actions, [{ command: "echo one", tool_call_id: "call_1_1" }]);
  equal(assistant!.extra!.cost, 0.5);
  deepEqual([tool!.tool_call_id, tool!.extra!.raw_output, tool!.extra!.returncode], ["call_1_1", "one\n", 0]);
});

Deno.test("prompts may use settings that nobody set", async () => {
  const settings = settingsWith({
    instanceTemplate: "{{ mode }} {{ max_consecutive_format_errors }} {{ cost_tracking }} {{ model_kwargs | tojson }}",
  });
  const { queries } = await runAgent([{ commands: [FINISH] }], { settings });
  equal(queries[0]![1]!.content, "yolo 3 default {}");
});

const policyThat = (refuses: boolean): AgentParts["policy"] => ({
  refuses,
  prepare: () => {},
  judge: (command) =>
    Promise.resolve(
      command === "echo bad"
        ? { verdict: "block", rule: "r1", reason: "It is bad" }
        : command === "echo odd"
        ? { verdict: "confirm", rule: "r2", reason: "It is odd" }
        : { verdict: "allow", rule: "default", reason: "Nothing speaks against it" },
    ),
});

Deno.test("Agent.run() does not run what the policy blocks: it tells the model why, and goes on", async () => {
  const { outcome, queries, environment, events } = await runAgent(
    [{ commands: ["echo bad", "echo odd", "echo good"] }, { commands: [FINISH] }],
    { policy: policyThat(true) },
  );
  equal(outcome.kind, "submitted");
  deepEqual(environment.asked, ["echo odd", "echo good", FINISH]);
  deepEqual(queries[1]!.slice(3).map(({ content }) => content), [
    "-1||The command was not run, the command policy forbids it: It is bad (rule r1)",
    "0|odd\n|",
    "0|good\n|",
  ]);
  deepEqual(events.flatMap(({ type, data }) => type === "command.judged" ? [data] : []), [
    { worker: "mini", command: "echo bad", verdict: "block", rule: "r1", reason: "It is bad", refused: true },
    { worker: "mini", command: "echo odd", verdict: "confirm", rule: "r2", reason: "It is odd", refused: false },
  ]);
});

Deno.test("Agent.run() runs what the policy blocks where it only warns", async () => {
  const { environment, events } = await runAgent([{ commands: ["echo bad"] }, { commands: [FINISH] }], {
    policy: policyThat(false),
  });
  deepEqual(environment.asked, ["echo bad", FINISH]);
  deepEqual(events.flatMap(({ type, data }) => type === "command.judged" ? [data.refused] : []), [false]);
});
