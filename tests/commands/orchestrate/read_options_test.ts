/** A session's options from flags, variables and a file; what is wrong with them is told with its place. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import type { OrchestrateFlags } from "../../../src/commands/orchestrate/saved_options.ts";
import { type ReadOptions, readOptions, readWorkspace } from "../../../src/commands/orchestrate/read_options.ts";
import { Failure } from "../../../src/failure.ts";
import { DEFAULT_POLICY } from "../../../src/orchestrate/decide.ts";
import { DEFAULT_LIVENESS } from "../../../src/orchestrate/liveness.ts";
import { DEFAULT_REVIEWS } from "../../../src/orchestrate/settings.ts";
import { inTempDir } from "../../support/temp_dir.ts";

type Env = Record<string, string>;
interface Given {
  readonly flags?: OrchestrateFlags;
  readonly env?: Env;
  /** The text of `gocore.toml`, which `--config` names. */
  readonly file?: string;
}

/** In an empty folder; what it is called is `{cwd}` in what comes back. */
async function read({ flags = {}, env = {}, file }: Given = {}): Promise<ReadOptions["options"]> {
  return (await readAll({ flags, env, file })).options;
}

async function readAll({ flags = {}, env = {}, file }: Given): Promise<ReadOptions> {
  let found: string | undefined;
  await inTempDir(async (cwd) => {
    await Deno.mkdir(`${cwd}/sub`);
    await Deno.writeTextFile(`${cwd}/plan.json`, "{}");
    if (file !== undefined) await Deno.writeTextFile(`${cwd}/gocore.toml`, file);
    const config = file === undefined ? {} : { config: "gocore.toml" };
    const read = await readOptions({ env, cwd, flags: { task: "Do it", ...config, ...flags } });
    const { declaredAgents } = read.options;
    const names = { ...read, options: { ...read.options, declaredAgents: declaredAgents.map(({ name }) => name) } };
    found = JSON.stringify(names, (_, value) => value === undefined ? "{undefined}" : value).replaceAll(cwd, "{cwd}");
  });
  return JSON.parse(found!);
}

async function failureOf(given: Given): Promise<string> {
  let text = "";
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/a-file`, "");
    if (given.file !== undefined) await Deno.writeTextFile(`${cwd}/gocore.toml`, given.file);
    const config = given.file === undefined ? {} : { config: "gocore.toml" };
    const flags = { task: "Do it", ...config, ...given.flags };
    await rejects(readOptions({ env: given.env ?? {}, cwd, flags }), (error) => {
      ok(error instanceof Failure, Deno.inspect(error));
      equal(error.kind, "usage");
      text = [error.message, ...error.hints.map((hint) => `Hint: ${hint}`)].join("\n").replaceAll(cwd, "{cwd}");
      return true;
    });
  });
  return text;
}

const UNDEFINED = "{undefined}";
const DEFAULTS = {
  session: {
    task: "Do it",
    target: "{cwd}",
    shared: false,
    plan: { kind: "default" },
    weights: {},
    policy: DEFAULT_POLICY,
    reviews: DEFAULT_REVIEWS,
    liveness: DEFAULT_LIVENESS,
    budgetUsd: UNDEFINED,
    agentBudgetsUsd: {},
    verify: UNDEFINED,
    verifyTimeoutMs: 1_800_000,
    apply: true,
    answerTimeoutMs: 3_600_000,
    graceMs: 5000,
    maxAttempts: 8,
    concurrency: 8,
  },
  workspace: "{cwd}/.gocore/workspace",
  chosenAgents: UNDEFINED,
  declaredAgents: [],
  models: {},
  agentArguments: {},
  limits: { cpuPercent: 50, memoryMb: 2048, timeSeconds: 3600 },
  maxOutputMb: 1024,
  sandbox: { mode: "prefer", hideHome: true, writable: [], readable: [] },
  backend: "process",
  commandRules: [],
  dashboard: true,
  host: "127.0.0.1",
  port: UNDEFINED,
  token: UNDEFINED,
  logLevel: "info",
  forwardEnv: [],
  gateway: {},
  json: false,
};

Deno.test("with a task alone everything has its default", async () => {
  deepEqual(await read(), DEFAULTS as unknown);
});

Deno.test("every flag sets its option", async () => {
  const flags: OrchestrateFlags = {
    task: "Port it",
    target: "sub",
    workspace: "../sessions",
    agents: "gemini, claude=2,codex=.5",
    model: ["claude=opus", "codex=gpt-5", "claude=sonnet=4"],
    plan: "plan.json",
    budget: 5,
    agentBudget: ["mini=0.25"],
    verify: "npm test",
    shared: true,
    apply: false,
    reviews: false,
    reviewers: 3,
    revisions: 0,
    workerCpuPercent: 25,
    workerMemoryMb: 512,
    workerTimeoutSec: 60,
    sandbox: "require",
    backend: "tmux",
    answerTimeoutSec: 10,
    dashboard: false,
    host: "::1",
    port: 0,
    gatewayConfig: "gateway.toml",
    ledger: "/var/ledger.db",
    script: "replies.yaml",
    verbose: true,
    json: true,
  };
  deepEqual(await read({ flags: { ...flags, workspace: "sessions" } }), {
    ...DEFAULTS,
    session: {
      ...DEFAULTS.session,
      task: "Port it",
      target: "{cwd}/sub",
      shared: true,
      plan: { kind: "file", path: "{cwd}/plan.json" },
      weights: { gemini: 1, claude: 2, codex: 0.5 },
      reviews: { ...DEFAULT_REVIEWS, enabled: false, reviewers: 3, revisions: 0 },
      budgetUsd: 5,
      agentBudgetsUsd: { mini: 0.25 },
      verify: "npm test",
      apply: false,
      answerTimeoutMs: 10_000,
    },
    workspace: "{cwd}/sessions",
    chosenAgents: ["gemini", "claude", "codex"],
    models: { claude: "sonnet=4", codex: "gpt-5" },
    limits: { cpuPercent: 25, memoryMb: 512, timeSeconds: 60 },
    maxOutputMb: 1024,
    sandbox: { ...DEFAULTS.sandbox, mode: "require" },
    backend: "tmux",
    dashboard: false,
    host: "::1",
    port: 0,
    logLevel: "debug",
    gateway: { config: "{cwd}/gateway.toml", ledger: "/var/ledger.db", script: "{cwd}/replies.yaml" },
    json: true,
  } as unknown);
  equal((await read({ flags: { record: "tapes" } })).gateway.record, "{cwd}/tapes");
  equal((await read({ flags: { replay: "tapes" } })).gateway.replay, "{cwd}/tapes");
  deepEqual((await read({ flags: { plan: "auto" } })).session.plan, { kind: "auto" });
});

const FILE = `
[orchestrate]
target = "sub"
workspace = "sessions"
host = "0.0.0.0"
port = 9000
dashboard = false
log_level = "warning"
use = ["aider", "claude=2"]
budget = 3.5
plan = "auto"
verify = "make check"
verify_timeout_sec = 60
shared = true
apply = false
backend = "tmux"
answer_timeout_sec = 30
grace_sec = 2
max_attempts = 3
concurrency = 2
forward_env = ["NPM_TOKEN"]
gateway_config = "gateway.toml"
ledger = "/var/ledger.db"
models = { claude = "opus", codex = "gpt-5" }
agent_budgets = { claude = 1, mini = 2 }

[orchestrate.weights]
codex = 0
aider = 2.5

[[orchestrate.policy]]
name = "codex alone"
verdict = "concerns"
agents = ["codex"]
action = "LOG_WARNING"

[[orchestrate.policy]]
name = "silence"
verdict = "none"
at_least = 2
action = "PAUSE_AND_CLARIFY"

[orchestrate.reviews]
enabled = false
reviewers = 1
revisions = 4
silence_sec = 1
recheck_sec = 2
cooldown_sec = 0
timeout_sec = 4

[orchestrate.liveness]
stall_sec = 5
spin_repeats = 6
wait_sec = 7

[orchestrate.limits]
cpu_percent = 100
memory_mb = 0
timeout_sec = 0
output_mb = 16

[orchestrate.sandbox]
mode = "off"
hide_home = false
writable = ["/var/cache", "out"]
readable = ["docs"]

[orchestrate.arguments]
claude = ["--effort", "high"]

[orchestrate.agents.aider]
program = "aider"
arguments = ["--message", "{prompt}"]

[[command_rules]]
match = "git push"
verdict = "block"
reason = "Nobody pushes here"
`;

const OF_FILE = {
  session: {
    task: "Do it",
    target: "{cwd}/sub",
    shared: true,
    plan: { kind: "auto" },
    weights: { aider: 1, claude: 2 },
    policy: {
      weights: { codex: 0, aider: 2.5 },
      custom: [
        { name: "codex alone", verdict: "concerns", agents: ["codex"], action: "LOG_WARNING", atLeast: 1 },
        { name: "silence", verdict: "none", action: "PAUSE_AND_CLARIFY", atLeast: 2 },
      ],
    },
    reviews: {
      enabled: false,
      reviewers: 1,
      revisions: 4,
      silenceMs: 1000,
      recheckMs: 2000,
      cooldownMs: 0,
      timeoutMs: 4000,
    },
    liveness: { stallMs: 5000, spinRepeats: 6, waitMs: 7000 },
    budgetUsd: 3.5,
    agentBudgetsUsd: { claude: 1, mini: 2 },
    verify: "make check",
    verifyTimeoutMs: 60_000,
    apply: false,
    answerTimeoutMs: 30_000,
    graceMs: 2000,
    maxAttempts: 3,
    concurrency: 2,
  },
  workspace: "{cwd}/sessions",
  chosenAgents: ["aider", "claude"],
  declaredAgents: ["aider"],
  models: { claude: "opus", codex: "gpt-5" },
  agentArguments: { claude: ["--effort", "high"] },
  limits: { cpuPercent: 100, memoryMb: 0, timeSeconds: 0 },
  maxOutputMb: 16,
  sandbox: { mode: "off", hideHome: false, writable: ["/var/cache", "{cwd}/out"], readable: ["{cwd}/docs"] },
  backend: "tmux",
  commandRules: [{ match: "git push", verdict: "block", reason: "Nobody pushes here" }],
  dashboard: false,
  host: "0.0.0.0",
  port: 9000,
  token: "secret",
  logLevel: "warning",
  forwardEnv: ["NPM_TOKEN"],
  gateway: { config: "{cwd}/gateway.toml", ledger: "/var/ledger.db" },
  json: false,
};

Deno.test("a file sets everything, by paths relative to its own folder", async () => {
  const env = { GOCORE_ORCHESTRATE_TOKEN: "secret" };
  deepEqual(await read({ file: FILE, env }), OF_FILE as unknown);
  await inTempDir(async (cwd) => {
    await Deno.mkdir(`${cwd}/elsewhere/sub`, { recursive: true });
    await Deno.writeTextFile(`${cwd}/elsewhere/o.toml`, '[orchestrate]\ntarget = "sub"\nplan = "p.json"');
    await Deno.writeTextFile(`${cwd}/elsewhere/p.json`, "{}");
    const { options } = await readOptions({ env: {}, cwd, flags: { task: "x", config: "elsewhere/o.toml" } });
    equal(options.session.target, `${cwd}/elsewhere/sub`);
    equal(options.workspace, `${cwd}/elsewhere/sub/.gocore/workspace`);
    deepEqual(options.session.plan, { kind: "file", path: `${cwd}/elsewhere/p.json` });
  });
});

Deno.test("flags come before variables, variables before the file", async () => {
  const env = { GOCORE_ORCHESTRATE_TOKEN: "secret", ORCHESTRATOR_WORKSPACE: "env", ORCHESTRATOR_LOG_LEVEL: " Error " };
  const byEnv = await read({ file: FILE, env });
  deepEqual([byEnv.workspace, byEnv.logLevel], ["{cwd}/env", "error"]);
  const flags: OrchestrateFlags = {
    workspace: "flag",
    verbose: true,
    target: ".",
    shared: false,
    apply: true,
    reviews: true,
    dashboard: true,
    agents: "mini",
    model: ["claude=haiku"],
    agentBudget: ["mini=9"],
    budget: 0,
    plan: "default",
    host: "localhost",
    sandbox: "prefer",
    backend: "process",
  };
  deepEqual(await read({ file: FILE, env, flags }), {
    ...byEnv,
    session: {
      ...byEnv.session,
      target: "{cwd}",
      shared: false,
      apply: true,
      reviews: { ...byEnv.session.reviews, enabled: true },
      budgetUsd: 0,
      agentBudgetsUsd: { claude: 1, mini: 9 },
      plan: { kind: "default" },
      weights: { mini: 1 },
    },
    workspace: "{cwd}/flag",
    logLevel: "debug",
    chosenAgents: ["mini"],
    models: { claude: "haiku", codex: "gpt-5" },
    dashboard: true,
    host: "localhost",
    sandbox: { ...byEnv.sandbox, mode: "prefer" },
    backend: "process",
  });
});

Deno.test("a variable names the file, and an empty variable is none", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/o.toml`, "[orchestrate]\nbudget = 7");
    const budget = async (env: Env) =>
      (await readOptions({ env, cwd, flags: { task: "x" } })).options.session.budgetUsd;
    equal(await budget({ GOCORE_ORCHESTRATE_CONFIG: "o.toml" }), 7);
    equal(
      await budget({ GOCORE_ORCHESTRATE_CONFIG: "", ORCHESTRATOR_WORKSPACE: " ", ORCHESTRATOR_LOG_LEVEL: "" }),
      undefined,
    );
  });
});

Deno.test("a file that merely lies in the target is not read", async () => {
  await inTempDir(async (cwd) => {
    for (const name of ["gocore.toml", "orchestrate.toml", ".gocore.toml"]) {
      await Deno.writeTextFile(`${cwd}/${name}`, "[orchestrate]\nbudget = 7");
    }
    equal((await readOptions({ env: {}, cwd, flags: { task: "x" } })).options.session.budgetUsd, undefined);
  });
});

Deno.test("the workspace is found without a task", async () => {
  const cwd = "/work-folder";
  const of = (flags: OrchestrateFlags, env: Env = {}) => readWorkspace({ env, cwd, flags });
  equal(await of({}), "/work-folder/.gocore/workspace");
  equal(await of({ target: "/project" }), "/project/.gocore/workspace");
  equal(await of({ target: "/project" }, { ORCHESTRATOR_WORKSPACE: "w" }), "/work-folder/w");
  equal(await of({ workspace: "flag" }, { ORCHESTRATOR_WORKSPACE: "w" }), "/work-folder/flag");
});

const EVERY_FLAG = "Hint: `gocore orchestrate --help` explains every flag";
const KNOWN_AGENTS =
  "Hint: There are gemini, claude, codex, mini; others are declared as [orchestrate.agents.NAME] in " +
  "the file of --config";

Deno.test("what is wrong with flags and variables is told with what was needed", async () => {
  const cases: [Given, string][] = [
    [
      { flags: { task: " \n" } },
      'Cannot start: no task is given\nHint: Say what to do: `gocore orchestrate "Add input validation"`',
    ],
    [
      { flags: { agents: "gemini,cloude" } },
      'Cannot use --agents: need an agent, found nobody of the name "cloude"\nHint: Did you mean claude?',
    ],
    [
      { flags: { agents: "gemini,,codex" } },
      `Cannot use --agents: need an agent, found nobody of the name ""\n${KNOWN_AGENTS}`,
    ],
    [
      { flags: { agents: "__proto__" } },
      `Cannot use --agents: need an agent, found nobody of the name "__proto__"\n${KNOWN_AGENTS}`,
    ],
    [
      { flags: { agents: "claude=0" } },
      'Cannot use --agents: need a weight above 0 for claude, found "claude=0"\n' +
      "Hint: The heavier agent gets the heavier part: `claude=2`",
    ],
    [
      { flags: { agents: "claude=2=3" } },
      'Cannot use --agents: need a weight above 0 for claude, found "claude=2=3"\n' +
      "Hint: The heavier agent gets the heavier part: `claude=2`",
    ],
    [
      { flags: { agents: "claude=0x2" } },
      'Cannot use --agents: need a weight above 0 for claude, found "claude=0x2"\n' +
      "Hint: The heavier agent gets the heavier part: `claude=2`",
    ],
    [{ flags: { agents: "mini,mini" } }, `Cannot use --agents: need each agent once, found mini twice\n${EVERY_FLAG}`],
    [{ flags: { model: ["opus"] } }, `Cannot use --model: need AGENT=MODEL, found "opus"\n${EVERY_FLAG}`],
    [{ flags: { model: ["claude="] } }, `Cannot use --model: need AGENT=MODEL, found "claude="\n${EVERY_FLAG}`],
    [
      { flags: { model: ["codx=gpt-5"] } },
      'Cannot use --model: need an agent, found nobody of the name "codx"\nHint: Did you mean codex?',
    ],
    [
      { flags: { agentBudget: ["mini=much"] } },
      `Cannot use --agent-budget: need an amount of USD for mini, found "much"\n${EVERY_FLAG}`,
    ],
    [
      { flags: { plan: "no.json" } },
      `Cannot use --plan: need default, auto or a file, found nothing at "no.json"\n${EVERY_FLAG}`,
    ],
    [{ flags: { plan: "." } }, `Cannot use --plan: need default, auto or a file, found no file at "."\n${EVERY_FLAG}`],
    [
      { flags: { target: "nowhere" } },
      'Cannot use the target "{cwd}/nowhere": need a folder, found nothing there\nHint: Name the project with --target',
    ],
    [
      { flags: { target: "a-file" } },
      'Cannot use the target "{cwd}/a-file": need a folder, found a file\nHint: Name the project with --target',
    ],
    [
      { flags: { target: "~/x" } },
      'Cannot use --target: need a path that is written out ("~" is not read here), found another text\n' + EVERY_FLAG,
    ],
    [{ flags: { verify: "" } }, `Cannot use --verify: need a text, found an empty text\n${EVERY_FLAG}`],
    [{ flags: { reviewers: 0 } }, `Cannot use --reviewers: need a whole number of 1 or more, found 0\n${EVERY_FLAG}`],
    [
      { flags: { workerCpuPercent: 101 } },
      `Cannot use --worker-cpu-percent: need a number from 0 to 100, found 101\n${EVERY_FLAG}`,
    ],
    [
      { flags: { answerTimeoutSec: 1e12 } },
      "Cannot use --answer-timeout-sec: need a number of seconds from 0 to 2147483, found 1000000000000\n" + EVERY_FLAG,
    ],
    [
      { flags: { record: "a", script: "b" } },
      "Cannot use --record and --script together: need one source of replies\n" +
      "Hint: Record what models answer first, then start again with `--replay` and the same folder",
    ],
    [
      { flags: { host: "0.0.0.0" } },
      'Cannot listen on "0.0.0.0": other machines could control the session\n' +
      "Hint: Set a token: `export GOCORE_ORCHESTRATE_TOKEN=$(openssl rand -hex 24)`\nHint: Or leave --host out",
    ],
    [
      { flags: { config: "no.toml" } },
      'Cannot read the configuration: need a file for "no.toml", found nothing there\n' +
      "Hint: Correct `--config` or GOCORE_ORCHESTRATE_CONFIG, whichever names it",
    ],
    [
      { env: { ORCHESTRATOR_LOG_LEVEL: "warnin" } },
      "Cannot use ORCHESTRATOR_LOG_LEVEL: need one of DEBUG, INFO, WARNING, ERROR, found another word\n" +
      "Hint: Did you mean WARNING?",
    ],
    [
      { env: { ORCHESTRATOR_WORKSPACE: "~/x" } },
      'Cannot use ORCHESTRATOR_WORKSPACE: need a path that is written out ("~" is not read here), found another text\n' +
      EVERY_FLAG,
    ],
  ];
  for (const [given, expected] of cases) equal(await failureOf(given), expected, Deno.inspect(given));
});

const README = "Hint: README shows a file with every key";
const CASES_OF_FILES: [file: string, expected: string][] = [
  ["[orchestrate]\nbugdet = 5", "2: orchestrate.bugdet: nobody reads this key\nHint: Did you mean `budget`?"],
  ["budget = 5", "1: budget: nobody reads this key\nHint: `budget` belongs into `[orchestrate]`"],
  [
    "[orchestrate]\nreviewers = 5",
    "2: orchestrate.reviewers: nobody reads this key\nHint: `reviewers` belongs into `[orchestrate.reviews]`",
  ],
  [
    "[orchestrate]\n[[orchestrate.command_rules]]\nmatch = 'x'\nverdict = 'allow'",
    "2: orchestrate.command_rules: nobody reads this key\nHint: `command_rules` belongs outside of `[orchestrate]`",
  ],
  [
    "[orchestrate]\nno-apply = true",
    "2: orchestrate.no-apply: nobody reads this key\nHint: Write `apply = false`",
  ],
  [
    "[orchestrate]\nworker_memory_mb = 1",
    "2: orchestrate.worker_memory_mb: nobody reads this key\nHint: Write `memory_mb` below `[orchestrate.limits]`",
  ],
  ["[orchestrate]\nreplay = 'x'", "2: orchestrate.replay: nobody reads this key\nHint: It is a flag only: `--replay`"],
  [
    "[orchestrate]\ntoken = 'hunter2'",
    "2: orchestrate.token: nobody reads this key\n" +
    "Hint: Keys and tokens never stand in the file: set GOCORE_ORCHESTRATE_TOKEN, and the providers' own variables",
  ],
  [
    "[orchestrate.liveness]\nx = 1",
    "2: orchestrate.liveness.x: nobody reads this key\nHint: Known here: stall_sec, spin_repeats, wait_sec",
  ],
  [
    "[orchestrate]\nbudget = '5'",
    "2: orchestrate.budget: need a number of 0 or more, found a text\nHint: Numbers, true and false stand without quotes",
  ],
  ["[orchestrate]\nbudget = -1", `2: orchestrate.budget: need a number of 0 or more, found -1\n${README}`],
  [
    "[orchestrate]\nuse = 'gemini,claude'",
    '2: orchestrate.use: need a list of texts, found a text\nHint: Write it in brackets: `use = ["…"]`',
  ],
  [
    "[orchestrate]\nuse = ['gemini', 'claud']",
    '2: orchestrate.use: need an agent, found nobody of the name "claud"\nHint: Did you mean claude?',
  ],
  [
    "[orchestrate]\nuse = []",
    "2: orchestrate.use: need an agent, found an empty list\nHint: There are gemini, claude, codex, mini",
  ],
  [
    "[orchestrate]\nagents = ['gemini']",
    "2: orchestrate.agents: need tables of agents, found others\n" +
    'Hint: Choose agents with `use = ["gemini", "claude=2"]`; `[orchestrate.agents.NAME]` declares one',
  ],
  [
    "[orchestrate]\nsandbox = 'off'",
    '2: orchestrate.sandbox: need a table, found a text\nHint: Write `mode = "…"` below `[orchestrate.sandbox]`',
  ],
  [
    "[orchestrate.sandbox]\nmode = 'on'",
    `2: orchestrate.sandbox.mode: need one of require, prefer, off, found "on"\n${README}`,
  ],
  [
    "[orchestrate.sandbox]\nwritable = ['~/x']",
    "2: orchestrate.sandbox.writable: need a path that is written out " +
    `("~" is not read here), found another text\n${README}`,
  ],
  [
    "[orchestrate]\nreviews = false",
    "2: orchestrate.reviews: need a table, found false\nHint: Write `[orchestrate.reviews]` above its keys",
  ],
  [
    "[orchestrate.policy]\nname = 'x'",
    "1: orchestrate.policy: need a list of tables, found a table\n" +
    "Hint: Write `[[orchestrate.policy]]`, with two brackets, above each one",
  ],
  [
    "[[orchestrate.policy]]\nname = 'x'\nverdict = 'bad'\naction = 'STOP'",
    '\n  gocore.toml:3: orchestrate.policy.verdict: need one of approved, concerns, blocker, none, found "bad"\n' +
    "  gocore.toml:4: orchestrate.policy.action: need one of STOP_AND_ESCALATE, PAUSE_AND_CLARIFY, LOG_WARNING, " +
    `CONTINUE, found "STOP"\n${README}`,
  ],
  [
    "[[orchestrate.policy]]\nname = 'x'\nverdict = 'none'\naction = 'CONTINUE'\nagents = ['claud']",
    '5: orchestrate.policy.agents: need an agent, found nobody of the name "claud"\nHint: Did you mean claude?',
  ],
  [
    "[orchestrate.models]\nclaud = 'x'",
    '2: orchestrate.models.claud: need an agent, found nobody of the name "claud"\nHint: Did you mean claude?',
  ],
  [
    "[orchestrate.agents.claude]\nprogram = 'x'\narguments = ['{prompt}']",
    "1: orchestrate.agents.claude: gocore has an agent of this name\nHint: Choose another name",
  ],
  [
    "[orchestrate.agents.aider]\nprogram = 'x'\narguments = ['{promt}']",
    "\n  gocore.toml:3: orchestrate.agents.aider.arguments: nobody knows {promt}\n" +
    "  gocore.toml:3: orchestrate.agents.aider.arguments: need {prompt} in one of them\n" +
    'Hint: Did you mean {prompt}?\nHint: Write for example `arguments = ["--message", "{prompt}"]`',
  ],
  [
    "[[command_rules]]\nmatch = 'x'\nverdict = 'deny'",
    `3: command_rules.verdict: need one of allow, confirm, block, found "deny"\n${README}`,
  ],
  [
    "[[command_rules]]\nmatch = 'x'\nverdict = 'allow'\nreasn = 'y'",
    "4: command_rules.reasn: nobody reads this key\nHint: Did you mean `reason`?",
  ],
  [
    "[orchestrate]\nplan = 'no.json'",
    "2: orchestrate.plan: need default, auto or a file, found nothing at " +
    `"no.json"\n${README}`,
  ],
  ["[orchestrate]\ntarget = 'no'", `2: orchestrate.target: need a folder, found nothing there\n${README}`],
];

for (const [file, expected] of CASES_OF_FILES) {
  Deno.test(`what is wrong with ${JSON.stringify(file)} is told with file, line and key`, async () => {
    const place = expected.startsWith("\n") ? "" : " gocore.toml:";
    equal(await failureOf({ file }), `Cannot use the configuration:${place}${expected}`);
  });
}

Deno.test("a value that may be a secret is not told", async () => {
  const text = await failureOf({ file: '[orchestrate]\nport = "sk-hunter2"\nledger = 5\napi_key = "sk-hunter2"' });
  ok(!text.includes("hunter2"), text);
});
