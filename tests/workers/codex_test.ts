import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parse as parseToml } from "smol-toml";
import { codex } from "../../src/workers/adapters/codex.ts";
import type { LaunchRequest, ProcessExit, StreamResult } from "../../src/workers/adapter.ts";
import { agentEvent } from "../../src/events/session_events.ts";
import { capturesOf, readCapture } from "./read_capture.ts";

const ONE_REPLY = { input: 900, cacheRead: 100, cacheWrite: 0, output: 10, reasoning: 3 };
const REPEATED_REPLY = { input: 1900, cacheRead: 100, cacheWrite: 0, output: 20, reasoning: 3 };
const TWO_REPLIES = { input: 2800, cacheRead: 200, cacheWrite: 0, output: 30, reasoning: 6 };

type Expected = Omit<StreamResult, "session" | "reportedCostUsd" | "model">;

const completed = (text: string, usage: Expected["usage"], ...denials: string[]): Expected => {
  return { outcome: "completed", cause: null, text, usage, denials };
};
const hello = completed("Hello from the fake model.", ONE_REPLY);
const helloAgain = completed("Hello from the fake model.", REPEATED_REPLY);
const done = (...denials: string[]) => completed("Done: created made_by_agent.txt", TWO_REPLIES, ...denials);
const failed = (cause: Expected["cause"], text: string): Expected => {
  return { outcome: "failed", cause, text, usage: null, denials: [] };
};

const W7 = "url: http://127.0.0.1:8045/w/w7/v1/responses?worker=w7";
const BUSY = "We’re currently experiencing high demand, which may cause temporary errors.";
const KEY = "unexpected status 401 Unauthorized: Incorrect API key provided: wk-1.";
const LIMIT = "exceeded retry limit, last status: 429 Too Many Requests";
const terminated = failed("crashed", "It broke off without an answer (ended by SIGTERM)");

const EXPECTED: Readonly<Record<string, Expected>> = {
  badflag: failed(
    "arguments",
    "error: unexpected argument '--full-auto' found tip: to pass '--full-auto' as a value, use '-- --full-auto' " +
      "Usage: codex exec [OPTIONS] [PROMPT] (exit code 2)",
  ),
  cfg_err401: failed("auth", `${KEY}, ${W7}`),
  cfg_err402: failed("budget", `unexpected status 402 Payment Required: The server had an error., ${W7}`),
  cfg_err403: failed("auth", `unexpected status 403 Forbidden: The server had an error., ${W7}`),
  cfg_err429: failed("rate_limit", LIMIT),
  cfg_err500: failed("overloaded", BUSY),
  cfg_err503: failed("overloaded", `unexpected status 503 Service Unavailable: The server had an error., ${W7}`),
  cfgtoml: done(),
  codemode_ro: done(),
  err401: failed("auth", `${KEY}, url: http://127.0.0.1:8045/v1/responses`),
  err429: failed("rate_limit", LIMIT),
  err429_quota: failed("budget", "Quota exceeded. Check your plan and billing details."),
  err429_ra: helloAgain,
  err500: failed("overloaded", BUSY),
  err500_once: helloAgain,
  escalate_ww: done(
    "approval policy is Never; reject command — you cannot ask for escalated permissions if the approval policy is Never",
  ),
  kill_cmd_native_yolo: failed("crashed", "It broke off without an answer (ended by SIGKILL)"),
  lastmsg_on_fail: failed(
    "auth",
    "unexpected status 403 Forbidden: The server had an error., url: http://127.0.0.1:8045/v1/responses",
  ),
  "models_gpt-5.5": hello,
  "models_gpt-6-luna": hello,
  net_default: hello,
  net_quiet: hello,
  net_quiet2: hello,
  net_quiet4: hello,
  noauth_baseurl: failed(
    "network",
    "Reconnecting... waiting for network (Connection failed: error sending request) (ended by SIGKILL)",
  ),
  noauth_envkey: failed("auth", "Missing environment variable: `GW_KEY`."),
  nogit: failed(
    "trusted_directory",
    "Not inside a trusted directory and --skip-git-repo-check was not specified. (exit code 1)",
  ),
  nogit_skip: done(),
  nomodel: hello,
  "nonroot_denied-s_workspace-write": done(
    "cat secret.txt; echo x >> ro.txt; id -u: cat: secret.txt: Permission denied",
  ),
  "nonroot_denied_exit1-s_danger-full-access": done("cat secret.txt: cat: secret.txt: Permission denied"),
  "nonroot_denied_exit1-s_workspace-write": done(),
  openai_base_url_cfg: hello,
  openai_base_url_cfg_openaikey: hello,
  patch_out_add: done(),
  patch_ro: done(
    "patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
  ),
  patch_ww: done(),
  refused_bounded: failed("network", "Connection failed: error sending request"),
  resume_a: hello,
  ro_legacy_shell: done(),
  ro_read: done(),
  sandbox_unavailable: done(
    "echo hi > made_by_agent.txt: bwrap: Creating new namespace failed: nesting depth or " +
      "/proc/sys/user/max_*_namespaces exceeded (ENOSPC)",
  ),
  schema: completed('{"ok":true}', ONE_REPLY),
  t_wrapper: hello,
  term_cmd_native: terminated,
  term_cmd_yolo: terminated,
  term_group_native_yolo: terminated,
  text: hello,
  tool_51: done(),
  tool_codemode: done(),
  tool_ro2: done(),
  tool_yolo: done(),
  unkprov: failed("arguments", "Error: Model provider `nope` not found (exit code 1)"),
  wirechat: failed(
    "arguments",
    'Error loading config.toml: `wire_api = "chat"` is no longer supported. How to fix: set `wire_api = "responses"` ' +
      "in your provider config. More info: https://github.com/openai/codex/discussions/7782 (exit code 1)",
  ),
  ws426: hello,
  ww_false: done(),
  ww_net: done(),
  ww_out: done(),
  ww_outetc: done(),
  yolo_out: done(),
};

Deno.test("each recorded run of codex has its end, cause, message, usage and denials", () => {
  deepEqual(capturesOf("codex"), Object.keys(EXPECTED).sort());
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const { capture, events, result } = readCapture(codex, name);
    const session = /"thread_id":"([^"]+)"/.exec(capture.stdout)?.[1] ?? null;
    deepEqual({ name, ...result }, { name, ...expected, session, reportedCostUsd: null, model: null });
    for (const event of events) agentEvent.parse(event);
    deepEqual(events.filter(({ type }) => type === "unreadable"), []);
  }
});

const open = (options: Partial<Parameters<typeof codex.openStream>[0]> = {}) =>
  codex.openStream({ agent: "me", now: () => 0, resumed: false, ...options });
const lines = (...records: unknown[]) => records.map((record) => JSON.stringify(record));
const EXIT: ProcessExit = { exitCode: 0, signal: null, stderr: "" };
const event = (type: string, text: string, payload: Record<string, unknown> = {}) => {
  return { type, agent: "me", timestamp: "1970-01-01T00:00:00.000Z", payload: { text, ...payload } };
};

Deno.test("the recorded run of a tool is told as events", () => {
  const command = {
    id: "item_0",
    command: "/bin/bash -lc 'echo hi > made_by_agent.txt'",
    phase: "started",
    exit_code: null,
    output: "",
    status: "in_progress",
  };
  const { events, result } = readCapture(codex, "tool_yolo");
  deepEqual(events, [
    event("status", "Session started", { data: { session: result.session } }),
    event("command", "echo hi > made_by_agent.txt", { data: command }),
    event("command", "echo hi > made_by_agent.txt", {
      data: { ...command, phase: "ended", exit_code: 0, status: "completed" },
    }),
    event("message", "Done: created made_by_agent.txt"),
  ]);
});

Deno.test("messages, thoughts, plans, patches, tools and errors become events; what is unknown does not", () => {
  const stream = open();
  const completed = (item: unknown) => ({ type: "item.completed", item });
  const input = lines(
    completed({
      type: "agent_message",
      text: 'Half.\n{"type":"milestone","agent":"codex","timestamp":"2026-01-02T03:04:05Z","payload":{"text":"half"}}',
    }),
    completed({ type: "reasoning", text: "Hm" }),
    {
      type: "item.updated",
      item: { type: "todo_list", items: [{ text: "a", completed: true }, { text: "b", completed: false }] },
    },
    completed({
      type: "file_change",
      status: "completed",
      changes: [{ path: "/w/a", kind: "add" }, { path: "/w/b", kind: "delete" }],
    }),
    completed({ type: "file_change", status: "failed", changes: [{ path: "/w/a", kind: "update" }] }),
    {
      type: "item.started",
      item: { id: "i", type: "mcp_tool_call", server: "s", tool: "t", arguments: { a: 1 }, status: "in_progress" },
    },
    completed({ id: "w", type: "web_search", query: "q" }),
    completed({ type: "command_execution", command: "rm x", status: "declined", exit_code: null }),
    completed({ type: "error", message: "deprecated" }),
    { type: "error", message: "Reconnecting... 1/5 (stream closed)" },
    { type: "of.tomorrow", item: {} },
  );
  const command = { id: "", command: "rm x", phase: "ended", exit_code: null, output: "", status: "declined" };
  deepEqual(input.flatMap((line) => stream.read(line)), [
    { ...event("milestone", "half"), timestamp: "2026-01-02T03:04:05.000Z" },
    event("message", "Half."),
    event("thought", "Hm"),
    event("task", "[x] a\n[ ] b", { progress: 50 }),
    event("file", "add /w/a", { file: "/w/a", data: { kind: "add" } }),
    event("file", "delete /w/b", { file: "/w/b", data: { kind: "delete" } }),
    event("warning", "Change of /w/a failed"),
    event("tool", 't {"a":1}', {
      data: { id: "i", name: "t", phase: "started", status: "in_progress", detail: '{"a":1}' },
    }),
    event("tool", "web_search q", {
      data: { id: "w", name: "web_search", phase: "ended", status: "", detail: "q" },
    }),
    event("command", "rm x", { data: command }),
    event("denial", "rm x: declined", { data: { cause: "permission" } }),
    event("warning", "deprecated"),
    event("retry", "Reconnecting... 1/5 (stream closed)"),
  ]);
});

Deno.test("a message that each attempt writes again is told once", () => {
  const stream = open();
  const message = { type: "item.completed", item: { type: "agent_message", text: "Half" } };
  const input = lines(message, { type: "error", message: "Reconnecting... 1/5 (stream closed)" }, message);
  deepEqual(input.flatMap((line) => stream.read(line)).map(({ type }) => type), ["message", "retry"]);
});

Deno.test("what a run complained of before it went on is not why it was killed", () => {
  const stream = open();
  const input = lines(
    { type: "error", message: "Reconnecting... 1/5 (unexpected status 429 Too Many Requests)" },
    { type: "item.started", item: { type: "command_execution", command: "sleep 9" } },
  );
  for (const line of input) stream.read(line);
  equal(stream.result({ exitCode: null, signal: "SIGTERM", stderr: "" }).cause, "crashed");
});

Deno.test("usage of a resumed run is what the sum of the session has grown by, or unknown", () => {
  const usage = { input_tokens: 3000, cached_input_tokens: 300, output_tokens: 30, reasoning_output_tokens: 9 };
  const [line] = lines({ type: "turn.completed", usage });
  const usageOf = (options: Parameters<typeof open>[0]) => {
    const stream = open(options);
    stream.read(line!);
    return stream.result(EXIT).usage;
  };
  deepEqual(usageOf({ resumed: true, usedBefore: ONE_REPLY }), {
    input: 1800,
    cacheRead: 200,
    cacheWrite: 0,
    output: 20,
    reasoning: 6,
  });
  equal(usageOf({ resumed: true }), null);
  deepEqual(usageOf({}), { input: 2700, cacheRead: 300, cacheWrite: 0, output: 30, reasoning: 9 });
});

const REQUEST: LaunchRequest = {
  program: ["/opt/codex"],
  prompt: "Do it",
  workdir: "/work/w",
  home: "/state/home",
  tmp: "/state/tmp",
  includeDirectories: ["/target"],
  gatewayUrl: "http://127.0.0.1:8045/w/me",
  key: "vk-private",
  model: undefined,
  readOnly: false,
  resume: undefined,
  costLimitUsd: undefined,
  timeLimitSeconds: undefined,
  extraArguments: [],
  adjustments: {},
};
const launch = (request: Partial<LaunchRequest> = {}) => codex.launch({ ...REQUEST, ...request });
const BYPASS = "--dangerously-bypass-approvals-and-sandbox";

Deno.test("codex is started with the seed's flags, as they are spelled today", () => {
  const start = ["/opt/codex", "exec", "--json"];
  const cases: [Partial<LaunchRequest>, string[]][] = [
    [{}, [BYPASS, "-C", "/work/w", "--", "Do it"]],
    [{ prompt: "-" }, [BYPASS, "-C", "/work/w", "--", " -"]],
    [{ readOnly: true }, ["-s", "read-only", "-C", "/work/w", "--", "Do it"]],
    [{ readOnly: true, adjustments: { withoutOwnSandbox: true } }, [BYPASS, "-C", "/work/w", "--", "Do it"]],
    [{ adjustments: { trustDirectory: true } }, [BYPASS, "-C", "/work/w", "--skip-git-repo-check", "--", "Do it"]],
    [
      { model: "m", resume: "id", extraArguments: ["-c", "x=1"] },
      [BYPASS, "-C", "/work/w", "-m", "m", "-c", "x=1", "resume", "--", "id", "Do it"],
    ],
  ];
  for (const [request, args] of cases) deepEqual(launch(request).argv, [...start, ...args]);
});

Deno.test("codex asks the gateway, keeps its state in its home, and has the key in the environment alone", () => {
  const { argv, env, files } = launch();
  deepEqual(env, { CODEX_HOME: "/state/home/.codex", GOCORE_KEY: "vk-private", NO_COLOR: "1" });
  deepEqual(Object.keys(files), [".codex/config.toml"]);
  const settings = JSON.parse(JSON.stringify(parseToml(files[".codex/config.toml"]!)));
  deepEqual(settings, {
    model_provider: "gocore",
    check_for_update_on_startup: false,
    web_search: "disabled",
    analytics: { enabled: false },
    features: { plugins: false, unbounded_connection_retries: false },
    shell_environment_policy: { exclude: ["GOCORE_KEY"] },
    model_providers: {
      gocore: {
        name: "gocore",
        base_url: "http://127.0.0.1:8045/w/me/v1",
        env_key: "GOCORE_KEY",
        wire_api: "responses",
        request_max_retries: 2,
        stream_max_retries: 2,
      },
    },
  });
  ok(!JSON.stringify([argv, files]).includes("vk-private"));
});

Deno.test("no stream makes the reader throw, or say more than its bounds", () => {
  const kinds = ["thread.started", "turn.started", "turn.completed", "turn.failed", "error", "item.completed"];
  const items = [
    "agent_message",
    "reasoning",
    "command_execution",
    "file_change",
    "error",
    "todo_list",
    "mcp_tool_call",
  ];
  const value = fc.oneof(fc.jsonValue(), fc.string({ unit: "binary" }), fc.constant("x".repeat(300_000)));
  const names = ["id", "text", "command", "aggregated_output", "exit_code", "status", "changes", "items", "message"];
  const item = fc.oneof(
    value,
    fc.tuple(fc.constantFrom(...items), fc.dictionary(fc.constantFrom(...names, "arguments", "tool"), value)).map(
      ([type, members]) => ({ ...members, type }),
    ),
  );
  const record = fc.record({ type: fc.constantFrom(...kinds), item, usage: value, error: value, message: value });
  const line = fc.oneof(
    record.map((record) => JSON.stringify(record)),
    record.map((record) => JSON.stringify(record).slice(0, 50)),
    fc.json(),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 10 }), fc.array(fc.string(), { maxLength: 3 }), (input, errors) => {
      const stream = open();
      const events = [
        ...input.flatMap((line) => stream.read(line)),
        ...errors.flatMap((line) => stream.readStderr!(line)),
      ];
      for (const event of events) ok(JSON.stringify(agentEvent.parse(event)).length < 250_000);
      for (const event of events) ok(event.payload.text.length <= 2000);
      const result = stream.result({ ...EXIT, stderr: errors.join("\n") });
      ok(result.text.length <= 64 * 1024 && (result.outcome === "completed") === (result.cause === null));
    }),
    { numRuns: 300 },
  );
});

Deno.test("what codex complains of when it is ended is no event, and not why it failed", () => {
  const line =
    "2026-11-21T21:04:27.023022Z ERROR codex_core::session: failed to record rollout items: thread 01a1 not found";
  const stream = open();
  deepEqual(stream.readStderr!(line), []);
  equal(
    stream.result({ ...EXIT, exitCode: 1, stderr: `${line}\n` }).text,
    "It broke off without an answer (exit code 1)",
  );
});

Deno.test("a session that codex does not find is a mistake of the command line", () => {
  const stderr = "Error: thread/resume: thread/resume failed: no rollout found for thread id 01a1 (code -32600)\n\n" +
    "Stack backtrace:\n   0: <unknown>\n   1: <unknown>\n";
  const { cause, text } = open().result({ ...EXIT, exitCode: 1, stderr });
  deepEqual([cause, text], [
    "arguments",
    "Error: thread/resume: thread/resume failed: no rollout found for thread id 01a1 (code -32600) (exit code 1)",
  ]);
});
