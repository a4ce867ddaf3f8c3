import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parse as parseToml } from "smol-toml";
import { gemini } from "../../src/workers/adapters/gemini.ts";
import type { LaunchRequest, ProcessExit, StreamResult } from "../../src/workers/adapter.ts";
import { agentEvent } from "../../src/events/session_events.ts";
import { capturesOf, readCapture } from "./read_capture.ts";

const ONE_REPLY = { input: 900, cacheRead: 100, cacheWrite: 0, output: 13, reasoning: 3 };
const TWO_REPLIES = { input: 2800, cacheRead: 200, cacheWrite: 0, output: 36, reasoning: 6 };

type Expected = Omit<StreamResult, "session" | "reportedCostUsd">;

const FLASH = "gemini-2.5-flash";
const hello: Expected = {
  outcome: "completed",
  cause: null,
  text: "Hello from the fake model.",
  usage: ONE_REPLY,
  model: FLASH,
  denials: [],
};
/** Without `-m` another model is asked first which one is to answer. */
const routedHello: Expected = { ...hello, usage: TWO_REPLIES, model: "gemini-3.8-flash" };
const done = (...denials: string[]): Expected => {
  return { ...hello, text: "Done: created made_by_agent.txt", usage: TWO_REPLIES, denials };
};
const failed = (cause: Expected["cause"], text: string, model: string | null = FLASH): Expected => {
  return { outcome: "failed", cause, text, usage: null, model, denials: [] };
};
/** It ended before it asked a model. */
const refused = (cause: Expected["cause"], text: string) => failed(cause, text, null);
const apiError = (code: number, message: string, status: string) =>
  `[API Error: ${JSON.stringify({ error: { code, message, status } })}]`;
const outside = (name: string, path: string) =>
  done(
    `Path not in workspace: Attempted path "${path}" resolves outside the allowed workspace directories: ` +
      `/srv/agents/gemini/${name}/repo or the project temp directory: /srv/agents/gemini/${name}/ghome/.gemini/tmp/repo`,
  );

const EXHAUSTED = {
  code: 429,
  message: "Resource has been exhausted (e.g. check quota).",
  status: "RESOURCE_EXHAUSTED",
};
const INTERNAL = { code: 500, message: "Internal error encountered.", status: "INTERNAL" };
const retried = (found: string) => `Attempt 6 failed${found} (ended by SIGKILL)`;
const BAD_KEY = apiError(401, "API key not valid. Please pass a valid API key.", "UNAUTHENTICATED");
const NO_CONNECTION = "[API Error: exception TypeError: fetch failed sending request]";
const stopped = failed("no_answer", "It broke off without an answer (exit code 0)");

const EXPECTED: Readonly<Record<string, Expected>> = {
  allowed_noredir: done(),
  baddir: refused(
    "arguments",
    "An unexpected critical error occurred:Error: Directory does not exist: /srv/nope (exit code 1)",
  ),
  badflag: refused(
    "arguments",
    "Unknown arguments: full-auto, fullAuto Usage: gemini [options] [command] Gemini CLI - Defaults to interactive mode. " +
      "Use -p/--prompt for non-interactive (headless) mode. (exit code 1)",
  ),
  drop: failed(
    "network",
    retried(". Retrying with backoff... Error: exception TypeError: fetch failed sending request"),
  ),
  drop_a1: failed("network", NO_CONNECTION),
  err400: failed("model", apiError(400, "Internal error encountered.", "INTERNAL")),
  err401: failed("auth", BAD_KEY),
  err401_a1: failed("auth", BAD_KEY),
  err403: failed("auth", apiError(403, "Internal error encountered.", "INTERNAL")),
  err429: failed(
    "rate_limit",
    retried(` with status 429. Retrying with backoff... _ApiError: ${JSON.stringify({ error: EXHAUSTED })}`),
  ),
  err500: failed(
    "overloaded",
    retried(` with status 500. Retrying with backoff... _ApiError: ${JSON.stringify({ error: INTERNAL })}`),
  ),
  err500_a1_json: refused("overloaded", JSON.stringify({ error: INTERNAL })),
  err_gateway_auth: refused("auth", "Invalid auth method selected. (exit code 41)"),
  err_gateway_auth_json: refused("auth", "Invalid auth method selected."),
  err_untrusted: refused(
    "trusted_directory",
    "Gemini CLI is not running in a trusted directory. To proceed, either use `--skip-trust`, set the " +
      "`GEMINI_CLI_TRUST_WORKSPACE=true` environment variable, or trust this directory in interactive mode. For more " +
      "details, see https://geminicli.com/docs/cli/trusted-folders/#headless-and-automated-environments (exit code 55)",
  ),
  glob_outside: outside("glob_outside", "/srv/outside_gout"),
  hdrs: hello,
  int_cmd_norelaunch: stopped,
  list_outside: outside("list_outside", "/srv/outside_gout"),
  net_default: hello,
  net_quiet: hello,
  noauth: refused(
    "auth",
    "Please set an Auth method in your /srv/agents/gemini/noauth/ghome/.gemini/settings.json or specify one of the " +
      "following environment variables before running: GEMINI_API_KEY, GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_GENAI_USE_GCA " +
      "(exit code 41)",
  ),
  noauth_selected: refused(
    "auth",
    "When using Gemini API, you must specify the GEMINI_API_KEY environment variable. Update your environment and try " +
      "again (no reload needed if using .env)! (exit code 41)",
  ),
  nogit: hello,
  nonroot_read_denied: done(
    "Error reading file /srv/nbwork/secret.txt: EACCES: permission denied, open '/srv/nbwork/secret.txt'",
  ),
  nonroot_shell_denied: done("cat secret.txt; echo x >> ro.txt; id -u: cat: secret.txt: Permission denied"),
  nonroot_write_denied: done("Permission denied writing to file: /srv/nbwork/ro.txt (EACCES)"),
  noprompt: refused(
    "arguments",
    "No input provided via stdin. Input can be provided by piping data into gemini or using the --prompt option. " +
      "(exit code 42)",
  ),
  positional: hello,
  read_outside: outside("read_outside", "/srv/outside/data.txt"),
  read_outside_inc: done(),
  refused_a1: failed("network", NO_CONNECTION),
  replace_outside: outside("replace_outside", "/srv/outside_gout/new.txt"),
  resume_a: hello,
  resume_b: hello,
  shell_dir_outside: outside("shell_dir_outside", "/srv/outside_gout"),
  stdin_open: hello,
  t_default: hello,
  t_norelaunch: hello,
  term_cmd_norelaunch: stopped,
  term_http: failed("crashed", "It broke off without an answer (ended by SIGKILL)"),
  term_http_group: failed("crashed", "It broke off without an answer (ended by SIGTERM)"),
  term_http_norelaunch: stopped,
  text: routedHello,
  text_skiptrust: routedHello,
  tool: done(),
  tool_allowed: done(
    'Tool execution for "Shell" requires user confirmation, which is not supported in non-interactive mode.',
  ),
  tool_default: done(
    'run_shell_command: Tool "run_shell_command" not found. Did you mean one of: "update_topic", "grep_search", "invoke_agent"?',
  ),
  tool_json: done(),
  tool_plan: done(
    'run_shell_command: Tool "run_shell_command" not found. Did you mean one of: "update_topic", "grep_search", "replace"?',
  ),
  tool_yolo: done(),
  write_outside: outside("write_outside", "/srv/outside_gout/new.txt"),
  write_outside_inc: done(),
};

Deno.test("each recorded run of gemini has its end, cause, message, usage and denials", () => {
  deepEqual(capturesOf("gemini"), Object.keys(EXPECTED).sort());
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const { capture, events, result } = readCapture(gemini, name);
    const session = /"session_id": ?"([^"]+)"/.exec(capture.stdout + capture.stderr)?.[1] ?? null;
    deepEqual({ name, ...result }, { name, ...expected, session, reportedCostUsd: null });
    for (const event of events) agentEvent.parse(event);
    deepEqual(events.filter(({ type }) => type === "unreadable"), []);
  }
});

const open = () => gemini.openStream({ agent: "me", now: () => 0, resumed: false });
const lines = (...records: unknown[]) => records.map((record) => JSON.stringify(record));
const EXIT: ProcessExit = { exitCode: 0, signal: null, stderr: "" };
const event = (type: string, text: string, payload: Record<string, unknown> = {}) => {
  return { type, agent: "me", timestamp: "1970-01-01T00:00:00.000Z", payload: { text, ...payload } };
};
const say = (content: string) => ({ type: "message", role: "assistant", content, delta: true });

Deno.test("the recorded run of a denied tool is told as events", () => {
  const { events, result } = readCapture(gemini, "write_outside");
  const data = {
    id: "write_file__fc_fake_1",
    name: "write_file",
    phase: "started",
    status: "",
    detail: "/srv/outside_gout/new.txt",
  };
  const [denial] = result.denials;
  deepEqual(events, [
    event("status", "Session started", { data: { session: result.session, model: FLASH } }),
    event("tool", "write_file /srv/outside_gout/new.txt", { data }),
    event("tool", "write_file /srv/outside_gout/new.txt", {
      data: { ...data, phase: "ended", status: "error", detail: denial },
    }),
    event("denial", denial!, { data: { tool: "write_file", cause: "include_directories" } }),
    event("message", "Done: created made_by_agent.txt"),
  ]);
});

Deno.test("pieces of a message are one message, with the events that are written across them", () => {
  const stream = open();
  const input = lines(
    say('I begin.\n{"type":"blo'),
    say('cker","payload":{"text":"no'),
    say(' access"}}'),
    {
      type: "tool_use",
      tool_name: "write_todos",
      tool_id: "t",
      parameters: { todos: [{ description: "a", status: "completed" }, { description: "b", status: "pending" }] },
    },
    { type: "tool_result", tool_id: "t", status: "success" },
    { type: "tool_use", tool_name: "run_shell_command", tool_id: "s", parameters: { command: "ls" } },
    { type: "tool_result", tool_id: "s", status: "success", output: "a" },
    { type: "tool_use", tool_name: "replace", tool_id: "r", parameters: { file_path: "a" } },
    { type: "tool_result", tool_id: "r", status: "success" },
    { type: "error", severity: "warning", message: "Loop detected" },
    { type: "of.tomorrow" },
    say("It is "),
    say("done"),
  );
  const command = { id: "s", command: "ls", phase: "started", exit_code: null, output: "", status: "" };
  const tool = { id: "r", name: "replace", phase: "started", status: "", detail: "a" };
  deepEqual(input.flatMap((line) => stream.read(line)), [
    event("blocker", "no access"),
    event("message", "I begin."),
    event("task", "[x] a\n[ ] b", { progress: 50 }),
    event("command", "ls", { data: command }),
    event("command", "ls", { data: { ...command, phase: "ended", output: "a", status: "success" } }),
    event("tool", "replace a", { data: tool }),
    event("tool", "replace a", { data: { ...tool, phase: "ended", status: "success" } }),
    event("file", "replace a", { file: "a", data: { kind: "replace" } }),
    event("warning", "Loop detected"),
  ]);
  deepEqual(stream.read(JSON.stringify({ type: "result", status: "success" })), [event("message", "It is done")]);
  deepEqual(stream.result(EXIT), {
    outcome: "completed",
    cause: null,
    text: "It is done",
    session: null,
    usage: null,
    reportedCostUsd: null,
    model: null,
    denials: [],
  });
});

Deno.test("an error in the stream is a failure although the exit code is 0", () => {
  const stream = open();
  const message = "Invalid stream: The model returned an empty response or malformed tool call.";
  const input = lines({ type: "error", severity: "error", message }, {
    type: "result",
    status: "error",
    error: { type: "unknown", message },
  });
  deepEqual(input.flatMap((line) => stream.read(line)), [event("error", message)]);
  const { outcome, cause, text } = stream.result(EXIT);
  deepEqual({ outcome, cause, text }, { outcome: "failed", cause: "model", text: message });
});

Deno.test("where the message does not tell the HTTP status, the exit code does", () => {
  for (const [exitCode, cause] of [[146, "budget"], [173, "rate_limit"], [247, "overloaded"], [1, "model"]] as const) {
    const stream = open();
    stream.read('{"type":"result","status":"error","error":{"message":"[API Error: no]"}}');
    equal(stream.result({ ...EXIT, exitCode }).cause, cause);
  }
});

const REQUEST: LaunchRequest = {
  program: ["/opt/gemini"],
  prompt: "Do it",
  workdir: "/work/w",
  home: "/state/home",
  tmp: "/state/tmp",
  includeDirectories: ["/target", "/work/w"],
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
const launch = (request: Partial<LaunchRequest> = {}) => gemini.launch({ ...REQUEST, ...request });
const FORMAT = ["--output-format", "stream-json"];

Deno.test("gemini is started with the seed's flags", () => {
  const include = (...paths: string[]) => paths.flatMap((path) => ["--include-directories", path]);
  const cases: [Partial<LaunchRequest>, string[]][] = [
    [{}, ["--yolo", ...include("/target"), ...FORMAT, "--prompt=Do it"]],
    [{ prompt: "--yolo" }, ["--yolo", ...include("/target"), ...FORMAT, "--prompt=--yolo"]],
    [{ prompt: "/quit" }, ["--yolo", ...include("/target"), ...FORMAT, "--prompt= /quit"]],
    [{ readOnly: true }, ["--approval-mode", "default", ...include("/target"), ...FORMAT, "--prompt=Do it"]],
    [
      { adjustments: { includeDirectories: ["/target", "/more"], trustDirectory: true } },
      ["--yolo", ...include("/target", "/more"), ...FORMAT, "--skip-trust", "--prompt=Do it"],
    ],
    [
      { model: "m", resume: "id", extraArguments: ["--debug"] },
      ["--yolo", ...include("/target"), ...FORMAT, "--model", "m", "--resume", "id", "--debug", "--prompt=Do it"],
    ],
  ];
  for (const [request, args] of cases) deepEqual(launch(request).argv, ["/opt/gemini", ...args]);
});

Deno.test("gemini asks the gateway, keeps its state in its home, and has the key in the environment alone", () => {
  const { argv, env, files } = launch();
  deepEqual(env, {
    GEMINI_CLI_HOME: "/state/home",
    GOOGLE_GEMINI_BASE_URL: "http://127.0.0.1:8045/w/me",
    GEMINI_API_KEY: "vk-private",
    GEMINI_CLI_NO_RELAUNCH: "true",
    NO_COLOR: "1",
    TERM: "xterm-256color",
    COLORTERM: "truecolor",
  });
  deepEqual(Object.keys(files), [".gemini/settings.json"]);
  deepEqual(JSON.parse(files[".gemini/settings.json"]!), {
    security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
    general: { maxAttempts: 3, enableAutoUpdate: false, enableAutoUpdateNotification: false },
    privacy: { usageStatisticsEnabled: false },
    telemetry: { enabled: false },
    context: { fileFiltering: { enableRecursiveFileSearch: false } },
  });
  ok(!JSON.stringify([argv, files]).includes("vk-private"));
});

Deno.test("a reviewer's policy denies each tool but those that look", () => {
  const { rule } = parseToml(launch({ readOnly: true }).files[".gemini/policies/read_only.toml"]!);
  const [deny, allow] = JSON.parse(JSON.stringify(rule));
  deepEqual({ toolName: deny.toolName, decision: deny.decision }, { toolName: "*", decision: "deny" });
  deepEqual(allow, {
    toolName: ["read_file", "read_many_files", "list_directory", "glob", "grep_search", "update_topic"],
    decision: "allow",
    priority: 999,
  });
  ok(deny.priority < allow.priority);
});

Deno.test("no stream makes the reader throw, or say more than its bounds", () => {
  const kinds = ["init", "message", "tool_use", "tool_result", "error", "result"];
  const value = fc.oneof(fc.jsonValue(), fc.string({ unit: "binary" }), fc.constant("x".repeat(300_000)));
  const names = [
    "session_id",
    "model",
    "role",
    "content",
    "delta",
    "tool_name",
    "tool_id",
    "status",
    "output",
    "message",
  ];
  const record = fc.tuple(
    fc.constantFrom(...kinds),
    fc.dictionary(fc.constantFrom(...names), fc.oneof(value, fc.constantFrom("assistant", "success", "write_todos"))),
    fc.record({
      parameters: fc.oneof(value, fc.dictionary(fc.constantFrom("command", "file_path", "todos"), value)),
      error: fc.oneof(value, fc.record({ type: value, message: value })),
      stats: fc.oneof(value, fc.dictionary(fc.constantFrom("models", "input_tokens", "cached", "total_tokens"), value)),
    }, { requiredKeys: [] }),
  ).map(([type, members, others]) => JSON.stringify({ ...members, ...others, type }));
  const line = fc.oneof(
    record,
    record.map((line) => line.slice(0, 50)),
    fc.json(),
    fc.constantFrom("{", "}", ""),
    fc.string(),
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

Deno.test("a message in pieces without end is held to its bound", () => {
  const stream = open();
  const piece = JSON.stringify(say("x".repeat(1000)));
  for (let count = 0; count < 1000; count++) deepEqual(stream.read(piece), []);
  stream.read('{"type":"result","status":"success"}');
  equal(stream.result(EXIT).text.length, 64 * 1024);
});
