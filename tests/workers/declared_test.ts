/** Agents that people declare: their configuration, their launch, their streams. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod/mini";
import { parseTomlSource } from "../../src/config/toml_source.ts";
import { type AgentEvent, agentEvent } from "../../src/events/session_events.ts";
import { Failure } from "../../src/failure.ts";
import type { AgentAdapter, LaunchRequest, StreamReader } from "../../src/workers/adapter.ts";
import { readDeclaredAgents } from "../../src/workers/adapters/declared.ts";

const NOW = Date.parse("2026-11-21T20:00:00Z");

async function declare(text: string): Promise<AgentAdapter[]> {
  const toml = await parseTomlSource(text, "gocore.toml");
  const { agents } = (toml.value as { orchestrate: { agents: unknown } }).orchestrate;
  return readDeclaredAgents(agents, {
    taken: ["claude", "mini"],
    placeOf: (path) => `gocore.toml:${toml.lineOf(path)}: ${path.join(".")}`,
  });
}

async function problemsOf(text: string): Promise<{ message: string; hints: readonly string[] }> {
  const failure = await declare(text).then(() => undefined, (error: unknown) => error);
  ok(failure instanceof Failure && failure.kind === "usage", String(failure));
  return { message: failure.message, hints: failure.hints };
}

const REQUEST: LaunchRequest = {
  program: ["/usr/bin/aider"],
  prompt: "Fix {workdir} and {key}",
  workdir: "/work",
  home: "/home/w",
  tmp: "/tmp/w",
  includeDirectories: [],
  gatewayUrl: "http://127.0.0.1:8045/w/aider",
  key: "gk-secret",
  model: "m-1",
  readOnly: false,
  resume: undefined,
  costLimitUsd: undefined,
  timeLimitSeconds: undefined,
  extraArguments: ["--more", "1"],
  adjustments: {},
};

const AIDER = `
[orchestrate.agents.aider]
program = "aider"
arguments = ["run", "--model", "{model}", "--cwd={workdir}", "--message", "{prompt}"]
version_arguments = ["--version"]
provider = "openai"
model = "m-0"
stream = "text"
install = "pip install aider-chat"
env = { OPENAI_API_BASE = "{gateway_url}/v1", OPENAI_API_KEY = "{key}", STATE = "{home}/{unknown}" }
files = { ".config/aider.json" = '{"base": "{gateway_url}"}' }
`;

Deno.test("a declared agent is launched with its placeholders filled once, and the key in its environment alone", async () => {
  const [aider, ...others] = await declare(AIDER);
  deepEqual(others, []);
  const { launch, openStream: _, ...facts } = aider!;
  deepEqual(facts, {
    name: "aider",
    install: "pip install aider-chat",
    provider: "openai",
    programs: ["aider"],
    nativePaths: [],
    versionArguments: ["--version"],
    canResume: false,
    stopSignal: "SIGTERM",
  });
  deepEqual(launch(REQUEST), {
    argv: [
      ...["/usr/bin/aider", "run", "--model", "m-1", "--cwd=/work", "--more", "1"],
      ...["--message", "Fix {workdir} and {key}"],
    ],
    env: {
      OPENAI_API_BASE: "http://127.0.0.1:8045/w/aider/v1",
      OPENAI_API_KEY: "gk-secret",
      STATE: "/home/w/{unknown}",
    },
    files: { ".config/aider.json": '{"base": "http://127.0.0.1:8045/w/aider"}' },
  });
});

Deno.test("what is not declared has a default, and a prompt is not taken for a flag", async () => {
  const [agent] = await declare(`[orchestrate.agents.my-agent]
program = "/opt/my agent"
arguments = ["{model}", "{prompt}"]
model = "own"`);
  const { launch, openStream: _, ...facts } = agent!;
  deepEqual(facts, {
    name: "my-agent",
    install: "install /opt/my agent, or correct `program` in [orchestrate.agents.my-agent]",
    provider: undefined,
    programs: ["/opt/my agent"],
    nativePaths: [],
    versionArguments: [],
    canResume: false,
    stopSignal: "SIGTERM",
  });
  const request = { ...REQUEST, program: ["/opt/my agent"] as const, prompt: "--help", model: undefined };
  deepEqual(launch({ ...request, extraArguments: ["x"] }), {
    argv: ["/opt/my agent", "own", "x", " --help"],
    env: {},
    files: {},
  });
});

Deno.test("each mistake is told with its line, its key and what to do", async () => {
  deepEqual(
    await problemsOf(`[orchestrate.agents.one]
program = "two words"
arguments = ["{promt}", "{key}"]
stream = "xml"
colour = 1
[orchestrate.agents.claude]
program = "x"
arguments = ["{prompt}"]
[orchestrate.agents.Bad]
[orchestrate.agents.three]
program = "x"
arguments = ["{promt}", "{key}"]
[orchestrate.agents.four]
program = "x"
arguments = ["{model}", "{prompt}"]
`),
    {
      message: [
        "Cannot use the configuration:",
        "gocore.toml:2: orchestrate.agents.one.program: need the name of a program, or an absolute path",
        "gocore.toml:4: orchestrate.agents.one.stream: need one of text, jsonl",
        "gocore.toml:5: orchestrate.agents.one.colour: nobody reads this key",
        "gocore.toml:6: orchestrate.agents.claude: gocore has an agent of this name",
        'gocore.toml:9: orchestrate.agents.Bad: need a name of small letters, digits, "-" and "_"',
        "gocore.toml:12: orchestrate.agents.three.arguments.0: nobody knows {promt}",
        "gocore.toml:12: orchestrate.agents.three.arguments.1: the key would show in the list of processes",
        "gocore.toml:12: orchestrate.agents.three.arguments: need {prompt} in one of them",
        "and 1 more",
      ].join("\n  "),
      hints: [
        "Known here: program, arguments, version_arguments, env, files, provider, model, stream, install",
        "Choose another name",
        "Did you mean {prompt}?",
        'Pass it in a variable: `env = { OPENAI_API_KEY = "{key}" }`',
        'Write for example `arguments = ["--message", "{prompt}"]`',
      ],
    },
  );
});

Deno.test("a file outside of the home, a name that is no variable and a secret in the wrong place are told without it", async () => {
  const start = `[orchestrate.agents.a]\nprogram = "x"\narguments = ["{prompt}"]\n`;
  const place = "Cannot use the configuration: gocore.toml:4: orchestrate.agents.a";
  for (const path of ["../x", "/etc/x", "a//b", "a/./b", ""]) {
    equal(
      (await problemsOf(`${start}files = { "${path}" = "x" }`)).message,
      `${place}.files.${path}: need a table of texts, by paths below the agent's home`,
    );
  }
  equal(
    (await problemsOf(`${start}env = { "A-B" = "x" }`)).message,
    `${place}.env.A-B: need a table of texts, by names of variables`,
  );
  equal(
    (await problemsOf(`${start}provider = "sk-secret"`)).message,
    `${place}.provider: need one of openai, anthropic, gemini`,
  );
  equal((await problemsOf(`${start}promgram = "x"`)).hints[0], "Did you mean `program`?");
});

Deno.test("what is no table of agents is a mistake too", () => {
  for (const tables of [[], "x", 1, null]) {
    throws(() => readDeclaredAgents(tables, { taken: [], placeOf: (path) => path.join(".") }), {
      message: "Cannot use the configuration: orchestrate.agents: need tables such as `[orchestrate.agents.aider]`",
    });
  }
  deepEqual(readDeclaredAgents({}, { taken: [], placeOf: String }), []);
});

async function open(stream: "text" | "jsonl"): Promise<() => StreamReader> {
  const [agent] = await declare(`[orchestrate.agents.a]
program = "x"
arguments = ["{prompt}"]
stream = "${stream}"`);
  return () => agent!.openStream({ agent: "a", now: () => NOW, resumed: false });
}

const event = (type: AgentEvent["type"], payload: AgentEvent["payload"], timestamp = "2026-11-21T20:00:00.000Z") => {
  return { type, agent: "a", timestamp, payload };
};
const exit = (exitCode: number | null, stderr = "") => ({ exitCode, signal: null, stderr });
const known = { session: null, usage: null, reportedCostUsd: null, model: null, denials: [] };
const MILESTONE = '{"type":"milestone","timestamp":"2026-01-02T03:04:05Z","payload":{"text":"Half","progress":50}}';

Deno.test("a stream of text: each line is a message or an event, and all of it is the answer", async () => {
  const reader = (await open("text"))();
  deepEqual(["\x1b[1mI look\x1b[0m", "", MILESTONE, "Done"].flatMap((line) => reader.read(line)), [
    event("message", { text: "I look" }),
    event("milestone", { text: "Half", progress: 50 }, "2026-01-02T03:04:05.000Z"),
    event("message", { text: "Done" }),
  ]);
  deepEqual(reader.result(exit(0)), {
    outcome: "completed",
    cause: null,
    text: `I look\n\n${MILESTONE}\nDone`,
    ...known,
  });
});

Deno.test("a stream of JSON lines: the seed's events, objects with a text, and the last text is the answer", async () => {
  const reader = (await open("jsonl"))();
  deepEqual(
    [
      MILESTONE,
      '{"type":"say","text":"I look","model":"m"}',
      '{"message":"Done"}',
      '{"tokens":3}',
      "not JSON",
    ].flatMap((line) => reader.read(line)),
    [
      event("milestone", { text: "Half", progress: 50 }, "2026-01-02T03:04:05.000Z"),
      event("message", { text: "I look" }),
      event("message", { text: "Done" }),
      event("unreadable", { text: "not JSON" }),
    ],
  );
  deepEqual(reader.result(exit(0)), { outcome: "completed", cause: null, text: "Done", ...known, model: "m" });
});

Deno.test("another exit code than 0 is a failure, and stderr or the last words say of what", async () => {
  const reader = (await open("text"))();
  deepEqual(reader.result(exit(1, "Error: 429 Too Many Requests\n")), {
    outcome: "failed",
    cause: "rate_limit",
    text: "Error: 429 Too Many Requests (exit code 1)",
    ...known,
  });
  reader.read("Invalid API key");
  deepEqual(reader.result(exit(3)), {
    outcome: "failed",
    cause: "auth",
    text: "Invalid API key (exit code 3)",
    ...known,
  });
  deepEqual((await open("jsonl"))().result(exit(null)), {
    outcome: "failed",
    cause: "crashed",
    text: "It broke off without an answer (ended by a signal)",
    ...known,
  });
});

Deno.test("whatever a stream has, its events keep the schema, and its answer is bounded", async () => {
  for (const start of [await open("text"), await open("jsonl")]) {
    fc.assert(fc.property(fc.array(fc.oneof(fc.string(), fc.json())), (lines) => {
      const reader = start();
      for (const told of lines.flatMap((line) => reader.read(line))) ok(z.safeParse(agentEvent, told).success);
      equal(reader.result(exit(0)).outcome, "completed");
    }));
    const reader = start();
    for (let i = 0; i < 300; i++) reader.read(JSON.stringify({ text: `${i}${"x".repeat(1000)}` }));
    ok(reader.result(exit(0)).text.length <= 64 * 1024);
  }
});
