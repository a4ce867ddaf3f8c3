/** The adapter of Claude Code: recorded runs, made-up streams, and how it is launched. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod/mini";
import { type AgentEvent, agentEvent, type FailureCause } from "../../src/events/session_events.ts";
import type { LaunchRequest, StreamResult } from "../../src/workers/adapter.ts";
import { claude } from "../../src/workers/adapters/claude.ts";
import { capturesOf, readCapture } from "./read_capture.ts";

const open = (resumed = false) => claude.openStream({ agent: "me", now: () => 0, resumed });
const linesOf = (stdout: string) => stdout.split("\n").filter((line) => line !== "");

const HELLO = "Hello from the fake model.";
const DONE = "Done: created made_by_agent.txt";
const ONE_CALL = { input: 1000, cacheRead: 100, cacheWrite: 50, output: 10, reasoning: 0 };
const TWO_CALLS = { input: 3000, cacheRead: 200, cacheWrite: 100, output: 30, reasoning: 0 };
const OPUS = "claude-opus-5-5";
const OLD_OPUS = "claude-opus-4-8[1m]";

/** [text, usage, cost, model, denials] of runs that did what they were asked. */
type Completed = readonly [string, StreamResult["usage"], number, string, readonly string[]];
const hello: Completed = [HELLO, ONE_CALL, 0.00447, OPUS, []];
const done: Completed = [DONE, TWO_CALLS, 0.013139999999999999, OPUS, []];
const denied = (...denials: string[]): Completed => [DONE, TWO_CALLS, 0.013139999999999999, OPUS, denials];

const OUTSIDE = "(Path is outside allowed working directories)";
const completed: Readonly<Record<string, Completed>> = {
  badmodel: [HELLO, ONE_CALL, 0.00447, "no-such-model", []],
  bash_fail: done,
  bash_outside: denied(
    "cat /srv/outside/data.txt: cat in '/srv/outside/data.txt' was blocked. For security, Claude Code may only concatenate files from the allowed " +
      "working directories for this session: '/srv/agents/claude/bash_outside/repo'.",
  ),
  full_flags: [DONE, TWO_CALLS, 0.009885, "claude-sonnet-4-5", []],
  include_partial: hello,
  maxtools: hello,
  net_quiet: hello,
  nonroot_denied: denied("cat secret.txt; echo x >> ro.txt; id -u: cat: secret.txt: Permission denied"),
  nonroot_read_denied: denied("EACCES: permission denied, open '/srv/nbwork/secret.txt'"),
  nonroot_write_denied: denied("EACCES: permission denied, open '/etc/x.tmp.3705.d14cdc8059d6'"),
  read_outside: denied(
    `Claude requested permissions to read from /srv/outside/data.txt, but you haven't granted it yet. ${OUTSIDE}`,
  ),
  read_outside_add: done,
  resume_a: hello,
  // Its own sums are 0.00894 USD and twice the tokens.
  resume_b: hello,
  skip_read_outside: done,
  skip_root_sandbox_1: done,
  t_197: [HELLO, ONE_CALL, 0.0056125, OLD_OPUS, []],
  t_329_bare: hello,
  text: hello,
  tool_allowed: done,
  tool_default: denied(
    "echo hi > made_by_agent.txt: Output redirection to '/srv/agents/claude/tool_default/repo/made_by_agent.txt' needs approval. The path is inside " +
      "the working directories for this session ('/srv/agents/claude/tool_default/repo'), and Claude Code asks before " +
      "a shell command creates, changes or removes files there.",
  ),
  tool_dontask: denied(
    "echo hi > made_by_agent.txt: Permission to use Bash has been denied because Claude Code is running in don't ask mode.",
  ),
  tool_plan: denied(
    "echo hi > made_by_agent.txt: Auto mode is unavailable: its safety check does not run for this session, so Bash was not run. Other actions that " +
      "need the check will be denied too, and retrying won't help. Finish what you can without them, then tell the " +
      "user what is blocked and that they can switch to another permission mode.",
  ),
  v197_tool: [DONE, TWO_CALLS, 0.016475, OLD_OPUS, []],
  write_default: denied(
    "Claude requested permissions to write to /srv/agents/claude/write_default/repo/new.txt, but you haven't granted it yet.",
  ),
  write_outside: denied(
    `Claude requested permissions to write to /srv/outside/new.txt, but you haven't granted it yet. ${OUTSIDE}`,
  ),
  write_outside_add: done,
};

/** [cause, text, what was asked of a model] of runs that failed. */
type Failed = readonly [FailureCause | null, string, Pick<StreamResult, "usage" | "reportedCostUsd" | "model">];
const unpaid = { usage: null, reportedCostUsd: null, model: OPUS };
const neverStarted = { usage: null, reportedCostUsd: null, model: null };
const paid = { usage: ONE_CALL, reportedCostUsd: 0.00447, model: OPUS };
const asRoot = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons";
const gateway = "check your inference gateway (127.0.0.1:8045).";

const failed: Readonly<Record<string, Failed>> = {
  badflag: ["arguments", "error: unknown option '--nonexistent-flag' (exit code 1)", neverStarted],
  drop: ["network", "It was still asking the model again: no answer from the model (ended by SIGKILL)", unpaid],
  err400: ["model", "API Error: 400 Internal server error", unpaid],
  err401: [
    "auth",
    "It was still asking the model again: HTTP 401, authentication failed (ended by SIGKILL)",
    unpaid,
  ],
  err401_r0: ["auth", "Invalid API key · Fix external API key", unpaid],
  err401_r2: ["auth", "Invalid API key · Fix external API key", unpaid],
  err403: ["auth", "Failed to authenticate. API Error: 403 Internal server error", unpaid],
  err429: ["rate_limit", "It was still asking the model again: HTTP 429, rate limit (ended by SIGKILL)", unpaid],
  err429_r2: [
    "rate_limit",
    "API Error: Request rejected (429) · This request would exceed your rate limit.",
    unpaid,
  ],
  err500_r2: [
    "overloaded",
    "API Error: 500 Internal server error. This is a server-side issue, usually temporary — try again in a moment. " +
    `If it persists, ${gateway}`,
    unpaid,
  ],
  err529: [
    "overloaded",
    "API Error: Repeated 529 Overloaded errors. The API is at capacity — this is usually temporary. Try again in a " +
    `moment. If it persists, ${gateway}`,
    unpaid,
  ],
  int_cmd: [null, "It was interrupted", paid],
  kill_cmd: ["crashed", "It broke off without an answer (ended by SIGKILL)", unpaid],
  maxbudget: ["budget", "Reached maximum budget ($0.001)", paid],
  maxturns1: ["no_answer", "Reached maximum number of turns (1)", paid],
  noauth: ["auth", "Not logged in · Please run /login", unpaid],
  noauth_nobase: ["auth", "Not logged in · Please run /login", unpaid],
  noprompt: [
    "arguments",
    "Error: Input must be provided either through stdin or as a prompt argument when using --print (exit code 1)",
    neverStarted,
  ],
  refused_r2: [
    "network",
    "API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
    unpaid,
  ],
  sj_noverbose: [
    "arguments",
    "Error: When using --print, --output-format=stream-json requires --verbose (exit code 1)",
    neverStarted,
  ],
  skip_root: ["root", `${asRoot} (exit code 1)`, neverStarted],
  skip_root_sandbox_yes: ["root", `${asRoot} (exit code 1)`, neverStarted],
  term_cmd: ["crashed", "It broke off without an answer (ended by SIGTERM)", unpaid],
  term_http: ["crashed", "It broke off without an answer (ended by SIGTERM)", unpaid],
  v197_401: ["auth", "Invalid API key · Fix external API key", { ...unpaid, model: OLD_OPUS }],
};

/** The session that the first record with one names. */
function sessionIn(stdout: string): string | null {
  const found = linesOf(stdout).map((line) => JSON.parse(line).session_id).find((id) => typeof id === "string");
  return found ?? null;
}

Deno.test("every recorded run of claude has its end, final message, usage, cost, cause and denials", () => {
  deepEqual(capturesOf("claude"), [...Object.keys(completed), ...Object.keys(failed)].sort());
  for (const [name, [text, usage, reportedCostUsd, model, denials]] of Object.entries(completed)) {
    const { capture, result } = readCapture(claude, name);
    const session = sessionIn(capture.stdout);
    const expected = { outcome: "completed", cause: null, text, session, usage, reportedCostUsd, model, denials };
    deepEqual(result, expected, name);
  }
  for (const [name, [cause, text, asked]] of Object.entries(failed)) {
    const { capture, result } = readCapture(claude, name);
    const session = sessionIn(capture.stdout);
    deepEqual(result, { outcome: "failed", cause, text, session, denials: [], ...asked }, name);
  }
});

Deno.test("every recorded line becomes events that keep the schema, and none of them is unreadable", () => {
  for (const name of [...Object.keys(completed), ...Object.keys(failed)]) {
    for (const event of readCapture(claude, name).events) {
      ok(z.safeParse(agentEvent, event).success, `${name}: ${JSON.stringify(event)}`);
      ok(event.type !== "unreadable", `${name}: ${JSON.stringify(event)}`);
    }
  }
});

const event = (type: AgentEvent["type"], payload: AgentEvent["payload"]): AgentEvent => {
  return { type, agent: "me", timestamp: "1970-01-01T00:00:00.000Z", payload };
};

Deno.test("a command is told when it starts and when it ends, and a file when it was written", () => {
  deepEqual(readCapture(claude, "bash_fail").events, [
    event("status", {
      text: "Works with claude-opus-5-5",
      data: {
        session: "a3a46cfd-4a13-457c-a738-e63901b4692b",
        model: OPUS,
        version: "2.1.329",
        permission_mode: "bypassPermissions",
      },
    }),
    event("command", {
      text: "ls /nonexistent",
      data: {
        id: "toolu_fake_1",
        command: "ls /nonexistent",
        phase: "started",
        exit_code: null,
        output: "",
        status: "in_progress",
      },
    }),
    event("command", {
      text: "ls /nonexistent",
      data: {
        id: "toolu_fake_1",
        command: "ls /nonexistent",
        phase: "ended",
        exit_code: 2,
        output: "Exit code 2\nls: cannot access '/nonexistent': No such file or directory",
        status: "failed",
      },
    }),
    event("message", { text: DONE }),
  ]);
  deepEqual(readCapture(claude, "write_outside_add").events.slice(1), [
    event("tool", {
      text: "Write: /srv/outside/new.txt",
      data: {
        id: "toolu_fake_1",
        name: "Write",
        phase: "started",
        status: "in_progress",
        detail: "/srv/outside/new.txt",
      },
    }),
    event("tool", {
      text: "Write: /srv/outside/new.txt",
      data: {
        id: "toolu_fake_1",
        name: "Write",
        phase: "ended",
        status: "completed",
        detail: "/srv/outside/new.txt",
      },
    }),
    event("file", {
      text: "/srv/outside/new.txt created",
      file: "/srv/outside/new.txt",
      data: { kind: "created" },
    }),
    event("message", { text: DONE }),
  ]);
});

Deno.test("a denial says what would mend it, once", () => {
  const denials = (name: string) => readCapture(claude, name).events.filter(({ type }) => type === "denial");
  deepEqual(denials("write_outside"), [
    event("denial", {
      text: `Claude requested permissions to write to /srv/outside/new.txt, but you haven't granted it yet. ${OUTSIDE}`,
      data: { id: "toolu_fake_1", tool: "Write", cause: "include_directories" },
    }),
  ]);
  deepEqual(denials("write_default").map(({ payload }) => payload.data?.cause), ["permission"]);
  deepEqual(denials("nonroot_denied").map(({ payload }) => payload.data), [
    { id: "toolu_fake_1", tool: "Bash", cause: "permission" },
  ]);
});

Deno.test("each retry is told with its wait and its status", () => {
  const retries = readCapture(claude, "err401_r2").events.filter(({ type }) => type === "retry");
  deepEqual(
    retries,
    [[1, 0.596, "0.6"], [2, 1.143, "1.1"]].map(([attempt, waitSeconds, shown]) =>
      event("retry", {
        text: `Asks the model again (${attempt} of 2) in ${shown} s: HTTP 401, authentication failed`,
        data: { attempt, max_attempts: 2, wait_seconds: waitSeconds, status: 401, error: "authentication_failed" },
      })
    ),
  );
});

const said = (...content: unknown[]) => JSON.stringify({ type: "assistant", message: { content } });
const answered = (id: string, content: unknown, isError = false) =>
  JSON.stringify({
    type: "user",
    message: { content: [{ type: "tool_result", tool_use_id: id, content, is_error: isError }] },
  });
const resultLine = (fields: Record<string, unknown>) =>
  JSON.stringify({
    is_error: false,
    subtype: "success",
    result: "Done",
    permission_denials: [],
    ...fields,
    type: "result",
  });
const exit = (exitCode: number | null, stderr = "") => ({ exitCode, signal: null, stderr });

Deno.test("the agent's own events in a message become events, and the rest of it a message", () => {
  const line = '{"type":"milestone","agent":"other","timestamp":"soon","payload":{"text":"Parser done","progress":40}}';
  deepEqual(open().read(said({ type: "text", text: `First part.\n${line}\nGoing on.` })), [
    event("milestone", { text: "Parser done", progress: 40 }),
    event("message", { text: "First part.\nGoing on." }),
  ]);
});

Deno.test("thoughts, to-do lists and calls of other tools have events of their own", () => {
  const todos = [
    { content: "a", status: "completed" },
    { content: "b", status: "in_progress", activeForm: "Doing b" },
    { content: "c", status: "pending" },
  ];
  deepEqual(
    open().read(said(
      { type: "thinking", thinking: "Hm." },
      { type: "thinking", thinking: "" },
      { type: "tool_use", id: "t", name: "TodoWrite", input: { todos } },
      { type: "server_tool_use", id: "s", name: "web_search", input: { query: "deno" } },
    )),
    [
      event("thought", { text: "Hm." }),
      event("progress", { text: "1 of 3 steps done: Doing b", progress: 33 }),
      event("tool", {
        text: "web_search: deno",
        data: { id: "s", name: "web_search", phase: "started", status: "in_progress", detail: "deno" },
      }),
    ],
  );
});

Deno.test("2.1.197, which announces no denials, has them all the same", () => {
  const reader = open();
  reader.read(said({ type: "tool_use", id: "a", name: "Write", input: { file_path: "/x" } }));
  const text = "Claude requested permissions to write to /x, but you haven't granted it yet.";
  deepEqual(reader.read(answered("a", text, true)).map(({ type }) => type), ["tool", "denial"]);
  const denials = [
    { tool_name: "Write", tool_use_id: "a", tool_input: { file_path: "/x" } },
    { tool_name: "Bash", tool_use_id: "b", tool_input: { command: "rm y" } },
  ];
  deepEqual(reader.read(resultLine({ permission_denials: denials })).map(({ payload }) => payload.text), [
    "Bash was denied: rm y",
  ]);
  deepEqual(reader.result(exit(0)).denials, [text, "Bash was denied: rm y"]);
});

Deno.test("several results of one run are one account, and the last one is the end", () => {
  const spent = (tokens: number) => ({
    model_usage_since_last_result: {
      m: {
        inputTokens: tokens,
        outputTokens: 1,
        thinkingTokens: 1,
        cacheCreationEphemeral1hInputTokens: 2,
        costUSD: 0.5,
      },
    },
  });
  const reader = open(true);
  reader.read(resultLine({ ...spent(10), result: "Started in the background", total_cost_usd: 9 }));
  reader.read(resultLine({ ...spent(20), result: "All done", total_cost_usd: 9.5, session_id: "s" }));
  deepEqual(reader.result(exit(0)), {
    outcome: "completed",
    cause: null,
    text: "All done",
    session: "s",
    usage: { input: 30, cacheRead: 0, cacheWrite: 0, cacheWrite1h: 4, output: 2, reasoning: 2 },
    reportedCostUsd: 1,
    model: null,
    denials: [],
  });
});

Deno.test("in a resumed session of 2.1.197 the sums are not taken for this run's", () => {
  const sums = {
    total_cost_usd: 7,
    modelUsage: { m: { inputTokens: 700 } },
    usage: { input_tokens: 100, output_tokens: 5 },
  };
  const read = (resumed: boolean) => {
    const reader = open(resumed);
    reader.read(resultLine(sums));
    const { usage, reportedCostUsd } = reader.result(exit(0));
    return { input: usage?.input, reportedCostUsd };
  };
  deepEqual(read(true), { input: 100, reportedCostUsd: null });
  deepEqual(read(false), { input: 700, reportedCostUsd: 7 });
});

Deno.test("the end is what the result says, not the exit code", () => {
  const end = (fields: Record<string, unknown>, exitCode = 0) => {
    const reader = open();
    reader.read(resultLine(fields));
    const { outcome, cause, text } = reader.result(exit(exitCode));
    return { outcome, cause, text };
  };
  deepEqual(end({}, 1), { outcome: "completed", cause: null, text: "Done" });
  deepEqual(end({ is_error: true, result: "API Error: Prompt is too long", terminal_reason: "prompt_too_long" }), {
    outcome: "failed",
    cause: "context",
    text: "API Error: Prompt is too long",
  });
  deepEqual(end({ is_error: true, api_error_status: 402, result: "API Error: 402 The cap is reached" }), {
    outcome: "failed",
    cause: "budget",
    text: "API Error: 402 The cap is reached",
  });
  deepEqual(end({ is_error: true, api_error_status: 404, result: "There's an issue with the selected model" }), {
    outcome: "failed",
    cause: "model",
    text: "There's an issue with the selected model",
  });
  deepEqual(end({ is_error: true, subtype: "error_during_execution", result: undefined, errors: ["boom"] }), {
    outcome: "failed",
    cause: "crashed",
    text: "boom",
  });
  deepEqual(end({ result: "" }), { outcome: "failed", cause: "no_answer", text: "It gave no answer" });
});

Deno.test("an answer after retries takes their failure back", () => {
  const reader = open();
  reader.read('{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"error_status":429}');
  reader.read(said({ type: "text", text: "Here I am" }));
  deepEqual(reader.result(exit(137)), {
    outcome: "failed",
    cause: "crashed",
    text: "It broke off without an answer (ended by SIGKILL)",
    session: null,
    usage: null,
    reportedCostUsd: null,
    model: null,
    denials: [],
  });
});

Deno.test("a command that goes on in the background has no exit code yet", () => {
  const reader = open();
  reader.read(said({ type: "tool_use", id: "t", name: "Bash", input: { command: "serve", run_in_background: true } }));
  const [ended] = reader.read(JSON.stringify({
    ...JSON.parse(answered("t", "Command running in background with ID: b1")),
    tool_use_result: { backgroundTaskId: "b1" },
  }));
  equal(ended!.payload.data?.exit_code, null);
});

Deno.test("a subagent's words are not the answer", () => {
  const reader = open();
  reader.read(said({ type: "text", text: "Mine" }));
  reader.read(JSON.stringify({
    type: "assistant",
    parent_tool_use_id: "t",
    message: { content: [{ type: "text", text: "The subagent's" }] },
  }));
  reader.read(resultLine({ result: undefined }));
  equal(reader.result(exit(0)).text, "Mine");
});

Deno.test("a long answer comes through whole, and events stay short", () => {
  const reader = open();
  const text = "x".repeat(30_000);
  const [message] = reader.read(said({ type: "text", text }));
  equal(message!.payload.text.length, 2000);
  reader.read(resultLine({ result: text }));
  equal(reader.result(exit(0)).text, text);
});

Deno.test("garbage is unreadable, and what is new is passed over", () => {
  for (const line of ["\x00\xff", '{"type":"assi', "[]", "3", '{"no":"type"}']) {
    deepEqual(open().read(line), [event("unreadable", { text: line })]);
  }
  deepEqual(open().read('{"type":"brand_new","subtype":"x"}'), []);
  deepEqual(open().read('{"type":"system","subtype":"brand_new"}'), []);
});

/** Streams of the right shape with wrong values anywhere. */
const anything = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom("Bash", "Write", "TodoWrite", "success", "text", "tool_use", "tool_result", "__proto__", ""),
);
const block = fc.record({
  type: fc.oneof(fc.constantFrom("text", "thinking", "tool_use", "tool_result"), anything),
  ...{ text: anything, thinking: anything, id: anything, name: anything, tool_use_id: anything },
  ...{ input: fc.oneof(anything, fc.record({ command: anything, file_path: anything, todos: fc.array(anything) })) },
  ...{ content: fc.oneof(anything, fc.array(fc.record({ text: anything }))), is_error: anything },
});
const record = fc.record({
  type: fc.constantFrom("system", "assistant", "user", "result", "rate_limit_event"),
  subtype: fc.oneof(fc.constantFrom("init", "api_retry", "permission_denied", "informational", "success"), anything),
  message: fc.oneof(anything, fc.record({ content: fc.oneof(anything, fc.array(block)) })),
  ...{ session_id: anything, model: anything, error_status: anything, retry_delay_ms: anything, error: anything },
  ...{ tool_name: anything, usage: anything, modelUsage: anything, model_usage_since_last_result: anything },
  ...{ permission_denials: fc.oneof(anything, fc.array(anything)), errors: fc.array(anything), result: anything },
  ...{ terminal_reason: anything, is_error: anything, total_cost_usd: anything, rate_limit_info: anything },
  ...{ tool_use_result: anything, decision_reason_type: anything },
}, { requiredKeys: ["type"] });

Deno.test("whatever a stream has, its events keep the schema and the result is one", () => {
  fc.assert(fc.property(fc.array(record, { maxLength: 8 }), fc.string(), fc.boolean(), (records, noise, resumed) => {
    const reader = open(resumed);
    const lines = [...records.map((value) => JSON.stringify(value)), noise];
    for (const told of [...lines.flatMap((line) => reader.read(line)), ...reader.readStderr!(noise)]) {
      const parsed = z.safeParse(agentEvent, told);
      ok(parsed.success, JSON.stringify(told));
      ok(told.payload.text.length <= 2000);
    }
    const { outcome, cause, text, usage, reportedCostUsd } = reader.result(exit(0, noise));
    ok(outcome === "completed" ? cause === null && text.trim() !== "" : text !== "");
    ok(reportedCostUsd === null || Number.isFinite(reportedCostUsd));
    ok(usage === null || Object.values(usage).every((tokens) => Number.isInteger(tokens) && tokens >= 0));
  }));
});

Deno.test("a flood of calls without answers, of denials and of complaints stays bounded", () => {
  const reader = open();
  let told = 0;
  for (let i = 0; i < 2000; i++) {
    reader.read(said({ type: "tool_use", id: `t${i}`, name: "Bash", input: { command: "x".repeat(20_000) } }));
    reader.read(
      JSON.stringify({ type: "system", subtype: "permission_denied", tool_use_id: `d${i}`, message: `no ${i}` }),
    );
    told += reader.readStderr!(`complaint ${i}`).length;
  }
  equal(told, 20);
  equal(reader.result(exit(0)).denials.length, 50);
});

const REQUEST: LaunchRequest = {
  program: ["/opt/claude"],
  prompt: "--version",
  workdir: "/work",
  home: "/home/w",
  tmp: "/tmp/w",
  includeDirectories: ["/target", "/space"],
  gatewayUrl: "http://127.0.0.1:8045/w/claude",
  key: "gk-secret",
  model: undefined,
  readOnly: false,
  resume: undefined,
  costLimitUsd: undefined,
  timeLimitSeconds: undefined,
  extraArguments: [],
  adjustments: {},
};

Deno.test("a writer is launched with the seed's flags, its state in its home, and its calls through the gateway", () => {
  deepEqual(claude.launch(REQUEST), {
    argv: [
      ...["/opt/claude", "--print", "--output-format", "stream-json", "--verbose", "--strict-mcp-config"],
      ...["--dangerously-skip-permissions", "--settings", "/home/w/gateway.json"],
      ...["--add-dir", "/target", "--add-dir", "/space", "--", "--version"],
    ],
    env: {
      CLAUDE_CONFIG_DIR: "/home/w/.claude",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8045/w/claude",
      ANTHROPIC_API_KEY: "gk-secret",
      CLAUDE_CODE_MAX_RETRIES: "2",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      NO_COLOR: "1",
    },
    files: { "gateway.json": '{"env":{"ANTHROPIC_BASE_URL":"http://127.0.0.1:8045/w/claude"}}' },
  });
});

Deno.test("a reviewer is launched without tools that write, and what else is asked for stands before the prompt", () => {
  const { argv, env } = claude.launch({
    ...REQUEST,
    readOnly: true,
    model: "claude-sonnet-4-5",
    resume: "--bare",
    costLimitUsd: 1.5,
    extraArguments: ["--effort", "low"],
    adjustments: { allowRoot: true, includeDirectories: ["/more", "/target"] },
  });
  deepEqual(argv.slice(6), [
    ...["--permission-mode", "dontAsk", "--tools", "Bash,Read,Grep,Glob", "--setting-sources", "user"],
    ...["--settings", "/home/w/gateway.json"],
    ...["--add-dir", "/target", "--add-dir", "/space", "--add-dir", "/more"],
    ...["--model", "claude-sonnet-4-5", "--max-budget-usd", "1.5", "--resume=--bare"],
    ...["--effort", "low", "--", "--version"],
  ]);
  equal(env.IS_SANDBOX, "1");
  equal(claude.launch({ ...REQUEST, prompt: "/clear" }).argv.at(-1), " /clear");
});
