/** Settings of a manager run from flags, variables and `mminions.toml`; what is wrong with them is told with its place. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import {
  checkedRunId,
  type ManagerFlags,
  type ManagerOptions,
  readManagerSettings,
  readRunsRoot,
} from "../../../src/commands/manager/read_settings.ts";
import { Failure } from "../../../src/failure.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const ISSUE = "https://github.com/o/My.Repo/issues/7";
const NOW = Date.parse("2026-02-05T12:30:00.700Z");

interface Given {
  readonly flags?: ManagerFlags;
  readonly env?: Record<string, string>;
  /** The text of `conf/mminions.toml`, which `--config` names. */
  readonly file?: string;
  /** The text of `mminions.toml` in the current folder, which nobody names. */
  readonly found?: string;
}

/** In a folder that is called `{cwd}` in what comes back. */
async function read({ flags = {}, env = {}, file, found }: Given = {}): Promise<ManagerOptions> {
  let text = "";
  await inTempDir(async (cwd) => {
    for (const folder of ["conf/project", "project"]) await Deno.mkdir(`${cwd}/${folder}`, { recursive: true });
    await Deno.writeTextFile(`${cwd}/Issue: 5.md`, "# x");
    if (file !== undefined) await Deno.writeTextFile(`${cwd}/conf/mminions.toml`, file);
    if (found !== undefined) await Deno.writeTextFile(`${cwd}/mminions.toml`, found);
    const config = file === undefined ? {} : { config: "conf/mminions.toml" };
    const issue = flags.issueFile === undefined ? { issueUrl: ISSUE } : {};
    const options = await readManagerSettings({ flags: { ...issue, ...config, ...flags }, env, cwd, now: () => NOW });
    text = JSON.stringify(options, (_, value) => value === undefined ? "{undefined}" : value).replaceAll(cwd, "{cwd}");
  });
  return JSON.parse(text);
}

async function failureOf(given: Given): Promise<string> {
  let told = "";
  await rejects(read(given), (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    equal(error.kind, "usage");
    told = [
      error.message.replaceAll(/(?:\/[^\s"\/]+)*?\/[0-9a-f]{8,16}(?![0-9a-f])/g, "{cwd}"),
      ...error.hints.map((hint) => `Hint: ${hint}`),
    ].join(
      "\n",
    );
    return true;
  });
  return told;
}

const UNDEFINED = "{undefined}";
const DEFAULTS = {
  settings: {
    runId: "run-20260205123000",
    folder: "{cwd}/runs/run-20260205123000",
    issue: { kind: "url", url: ISSUE },
    repoPath: "{cwd}",
    ref: UNDEFINED,
    workers: 2,
    rounds: 2,
    workerTimeoutMs: 300_000,
    stallMs: 100_000,
    pollIntervalMs: 5000,
    validationRuns: 5,
    minMatches: 5,
    oracleTimeoutMs: 60_000,
    setupTimeoutMs: 600_000,
    pythonVersion: "3.12",
    allowNetwork: false,
    minimize: true,
    semanticCut: true,
    bisect: true,
    comment: false,
    parallel: navigator.hardwareConcurrency,
    workerModel: UNDEFINED,
    managerModel: UNDEFINED,
  },
  configPath: UNDEFINED,
  agents: UNDEFINED,
  models: {},
  sandbox: "prefer",
  backend: "tmux",
  budgetUsd: UNDEFINED,
  gateway: {},
};

const WHOLE_FILE = `
[manager]
repo_path = "project"
runs_root = "../kept"
workers = 3
timeout_sec = 60
poll_interval_sec = 0.5
repro_validation_runs = 7
repro_min_matches = 4
validation_python_version = "3.10"
worker_model = "fast"
manager_model = "slow"
agent = ["mini", "codex"]
rounds = 1
stall_sec = 20
oracle_timeout_sec = 5
setup_timeout_sec = 30
allow_network = true
minimize = false
semantic_cut = false
bisect = false
comment = true
parallel = 1
sandbox = "off"
backend = "process"
budget = 2.5
[manager.gateway]
config = "gateway.toml"
ledger = "/var/ledger.db"
[[schedule]]
cron = "0 * * * *"
`;
const OF_FILE = {
  settings: {
    ...DEFAULTS.settings,
    folder: "{cwd}/kept/run-20260205123000",
    repoPath: "{cwd}/conf/project",
    workers: 3,
    rounds: 1,
    workerTimeoutMs: 60_000,
    stallMs: 20_000,
    pollIntervalMs: 500,
    validationRuns: 7,
    minMatches: 4,
    oracleTimeoutMs: 5000,
    setupTimeoutMs: 30_000,
    pythonVersion: "3.10",
    allowNetwork: true,
    minimize: false,
    semanticCut: false,
    bisect: false,
    comment: true,
    parallel: 1,
    workerModel: "fast",
    managerModel: "slow",
  },
  configPath: "{cwd}/conf/mminions.toml",
  agents: ["mini", "codex"],
  models: {},
  sandbox: "off",
  backend: "process",
  budgetUsd: 2.5,
  gateway: { config: "{cwd}/conf/gateway.toml", ledger: "/var/ledger.db" },
};

Deno.test("without settings the defaults hold", async () => {
  deepEqual(await read(), DEFAULTS);
});

Deno.test("every key of the file counts, its paths from its folder", async () => {
  deepEqual(await read({ file: WHOLE_FILE }), OF_FILE);
});

Deno.test("flags come before the file, their paths from the current folder", async () => {
  const flags: ManagerFlags = {
    repoPath: "project",
    runsRoot: "out",
    runId: "mine",
    ref: "v1.2",
    workers: 6,
    timeoutSec: 30,
    pollIntervalSec: 1,
    reproValidationRuns: 10,
    reproMinMatches: 10,
    validationPythonVersion: "3.9.1",
    workerModel: "w",
    managerModel: "m",
    agent: ["claude,gemini", "claude"],
    model: ["claude=opus", "claude=a=b"],
    rounds: 3,
    stallSec: 9,
    oracleTimeoutSec: 8,
    setupTimeoutSec: 7,
    allowNetwork: false,
    minimize: true,
    semanticCut: true,
    bisect: true,
    comment: false,
    parallel: 2,
    sandbox: "require",
    backend: "tmux",
    budget: 0,
    gatewayConfig: "g.toml",
    ledger: "l.db",
    script: "s.yaml",
  };
  deepEqual(await read({ file: WHOLE_FILE, flags }), {
    settings: {
      ...DEFAULTS.settings,
      runId: "mine",
      folder: "{cwd}/out/mine",
      repoPath: "{cwd}/project",
      ref: "v1.2",
      workers: 6,
      rounds: 3,
      workerTimeoutMs: 30_000,
      stallMs: 9000,
      pollIntervalMs: 1000,
      validationRuns: 10,
      minMatches: 10,
      oracleTimeoutMs: 8000,
      setupTimeoutMs: 7000,
      pythonVersion: "3.9.1",
      parallel: 2,
      workerModel: "w",
      managerModel: "m",
    },
    configPath: "{cwd}/conf/mminions.toml",
    agents: ["claude", "gemini"],
    models: { claude: "a=b" },
    sandbox: "require",
    backend: "tmux",
    budgetUsd: 0,
    gateway: { config: "{cwd}/g.toml", ledger: "{cwd}/l.db", script: "{cwd}/s.yaml" },
  });
});

Deno.test("what follows from the timeout, and from the number of runs, does so whoever sets them", async () => {
  const derived = async (given: Given) => {
    const { stallMs, oracleTimeoutMs, minMatches } = (await read(given)).settings;
    return { stallMs, oracleTimeoutMs, minMatches };
  };
  deepEqual(await derived({ flags: { timeoutSec: 30, reproValidationRuns: 3 } }), {
    stallMs: 45_000,
    oracleTimeoutMs: 30_000,
    minMatches: 3,
  });
  deepEqual(await derived({ file: "[manager]\ntimeout_sec = 3000\nrepro_validation_runs = 8" }), {
    stallMs: 1_000_000,
    oracleTimeoutMs: 60_000,
    minMatches: 8,
  });
});

Deno.test("the file is the one of --config, else of MMINIONS_CONFIG, else of the current folder", async () => {
  const found = "[manager]\nworkers = 1";
  const file = "[manager]\nworkers = 3";
  const workersOf = async (given: Given) => (await read(given)).settings.workers;
  deepEqual([
    await workersOf({ found }),
    await workersOf({ found, file }),
    await workersOf({ found, file, flags: { config: undefined }, env: { MMINIONS_CONFIG: "conf/mminions.toml" } }),
    await workersOf({ found, file, env: { MMINIONS_CONFIG: "nothing.toml" } }),
  ], [1, 3, 3, 3]);
});

Deno.test("a file that merely lies in the current folder opens no door", async () => {
  const hint = "\nHint: If the file is yours, name it: `--config mminions.toml`, or set MMINIONS_CONFIG";
  const finding = "need a file that was named, found one that merely lies in the current folder";
  for (const key of ['sandbox = "off"', 'sandbox = "prefer"', "allow_network = true", "comment = true"]) {
    const [name] = key.split(" ");
    equal(
      await failureOf({ found: `[manager]\n${key}` }),
      `Cannot use the configuration: mminions.toml:2: manager.${name}: ${finding}${hint}`,
    );
  }
  equal(
    await failureOf({ found: '[manager]\n[manager.gateway]\nconfig = "x"' }),
    `Cannot use the configuration: mminions.toml:2: manager.gateway: ${finding}${hint}`,
  );
  const found = '[manager]\nsandbox = "require"\nallow_network = false\ncomment = false';
  equal((await read({ found })).sandbox, "require");
});

Deno.test("a new run's id says when it began, with a number when it is taken", async () => {
  await inTempDir(async (cwd) => {
    const idNow = async () => {
      const { settings } = await readManagerSettings({ flags: { issueUrl: ISSUE }, env: {}, cwd, now: () => NOW });
      await Deno.mkdir(settings.folder, { recursive: true });
      return settings.runId;
    };
    deepEqual([await idNow(), await idNow(), await idNow()], [
      "run-20260205123000",
      "run-20260205123000-2",
      "run-20260205123000-3",
    ]);
  });
});

Deno.test("a stable id comes from the issue alone, and each issue has its own", async () => {
  const stable = async (issueUrl: string) => (await read({ flags: { issueUrl, stableRunId: true } })).settings.runId;
  deepEqual([
    await stable(ISSUE),
    await stable("https://github.com/O/my.repo/issues/7?x"),
    await stable("o/My.Repo#7"),
  ], Array(3).fill("run-o-my-repo-7-e620ccae"));
  const others = ["a-b/c#1", "a/b-c#1", "https://git.example.com/a/b-c/issues/1"];
  const ids = await Promise.all(others.map(stable));
  equal(new Set(ids).size, 3);
  deepEqual(ids.map((id) => id.slice(0, -8)), Array(3).fill("run-a-b-c-1-"));
  const { runId } = (await read({ flags: { issueFile: "Issue: 5.md", stableRunId: true } })).settings;
  ok(/^run-issue-5-md-[0-9a-f]{8}$/.test(runId), runId);
});

Deno.test("an issue may be a file", async () => {
  const { issue } = (await read({ flags: { issueFile: "Issue: 5.md" } })).settings;
  deepEqual(issue, { kind: "file", path: "{cwd}/Issue: 5.md" });
});

Deno.test("a flag that is wrong is named, with what was needed", async () => {
  const cases: [ManagerFlags, string][] = [
    [{ issueUrl: undefined }, "Cannot start: need one issue, found none"],
    [{ issueUrl: ISSUE, issueFile: "x" }, "Cannot start: need one issue, found both --issue-url and --issue-file"],
    [{ issueUrl: "x" }, 'Cannot read the issue "x": need the address of an issue, found another text'],
    [{ issueFile: "none.md" }, 'Cannot use --issue-file: need a file, found nothing at "none.md"'],
    [{ issueFile: "project" }, 'Cannot use --issue-file: need a file, found no file at "project"'],
    [
      { issueFile: "Issue: 5.md", comment: true },
      "Cannot use --comment together with --issue-file: a file has no place for comments",
    ],
    [{ config: "none.toml" }, 'Cannot read the configuration: need a file for "none.toml", found nothing there'],
    [{ repoPath: "none" }, 'Cannot use --repo-path: need a folder, found nothing at "{cwd}/none"'],
    [
      { runsRoot: "" },
      'Cannot use --runs-root: need a path that is written out ("~" is not read here), found an empty text',
    ],
    [
      { runId: "../x" },
      'Cannot use --run-id: need up to 128 letters, digits, ".", "_" and "-", not first "-", found "../x"',
    ],
    [{ ref: "--upload-pack=x" }, 'Cannot use --ref: need a branch, a tag or a commit, found "--upload-pack=x"'],
    [{ ref: "a..b" }, 'Cannot use --ref: need a branch, a tag or a commit, found "a..b"'],
    [{ workers: 7 }, "Cannot use --workers: need a whole number from 1 to 6, found 7"],
    [{ workers: NaN }, "Cannot use --workers: need a whole number from 1 to 6, found NaN"],
    [{ timeoutSec: 0 }, "Cannot use --timeout-sec: need a number of seconds above 0, at most 2147483, found 0"],
    [
      { reproMinMatches: 6 },
      "Cannot use --repro-min-matches: need at most as many as there are validation runs, 5, found 6",
    ],
    [
      { validationPythonVersion: "3.x" },
      'Cannot use --validation-python-version: need a version from 3.8 on, in quotes, such as "3.12", found another text',
    ],
    ...["2.7", "3.7", "3.7.16"].map((version): [ManagerFlags, string] => [
      { validationPythonVersion: version },
      'Cannot use --validation-python-version: need a version from 3.8 on, in quotes, such as "3.12", found another text',
    ]),
    [{ agent: ["codex,claud"] }, 'Cannot use --agent: need one of gemini, claude, codex, mini, found "claud"'],
    [{ model: ["opus"] }, 'Cannot use --model: need AGENT=MODEL, found "opus"'],
    [{ budget: -1 }, "Cannot use --budget: need a number of 0 or more, found -1"],
    [{ script: "a", replay: "b" }, "Cannot use --replay and --script together: need one source of replies"],
  ];
  for (const [flags, expected] of cases) equal((await failureOf({ flags })).split("\n")[0], expected);
});

Deno.test("a key that is wrong is told with file, line and what was meant", async () => {
  const cases: [string, string][] = [
    ["worker = 2", "manager.worker: nobody reads this key\nHint: Did you mean `workers`?"],
    [
      "min_workers = 2",
      "manager.min_workers: nobody reads this key\n" +
      "Hint: It is of an older version: write `workers = 2`, as many as work at a time",
    ],
    ['issue_url = "x"', "manager.issue_url: nobody reads this key\nHint: It is a flag only: `--issue-url`"],
    [
      'github_token = "ghp_1"',
      "manager.github_token: nobody reads this key\n" +
      "Hint: Keys and tokens never stand in the file: set GITHUB_TOKEN, and the providers' own variables",
    ],
    [
      'ledger = "x"',
      "manager.ledger: nobody reads this key\nHint: `ledger` belongs into `[manager.gateway]`",
    ],
    [
      'workers = "2"',
      "manager.workers: need a whole number from 1 to 6, found a text\n" +
      "Hint: Numbers, true and false stand without quotes",
    ],
    [
      "workers = 2.5",
      "manager.workers: need a whole number from 1 to 6, found 2.5\nHint: README shows a file with every key",
    ],
    [
      "validation_python_version = 3.10",
      'manager.validation_python_version: need a version from 3.8 on, in quotes, such as "3.12", found 3.1\n' +
      "Hint: Without quotes 3.10 would be the number 3.1",
    ],
    [
      'agent = "codx"',
      'manager.agent: need an agent or a list of agents: gemini, claude, codex, mini, found "codx"\n' +
      'Hint: Did you mean "codex"?',
    ],
    [
      'sandbox = "on"',
      'manager.sandbox: need one of require, prefer, off, found "on"\nHint: README shows a file with every key',
    ],
    ['gateway = "x"', "manager.gateway: need a table, found a text\nHint: Write `[manager.gateway]` above its keys"],
    [
      "repro_min_matches = 9",
      "manager.repro_min_matches: need at most as many as there are validation runs, 5, found 9\n" +
      "Hint: README shows a file with every key",
    ],
    [
      'repo_path = "none"',
      'manager.repo_path: need a folder, found nothing at "{cwd}/conf/none"\n' +
      "Hint: README shows a file with every key",
    ],
  ];
  for (const [line, expected] of cases) {
    equal(
      await failureOf({ file: `# a comment\n[manager]\n${line}\n` }),
      `Cannot use the configuration: conf/mminions.toml:3: ${expected}`,
    );
  }
  equal(
    await failureOf({ file: "[manger]\nworkers = 2\n" }),
    "Cannot use the configuration: conf/mminions.toml:1: manger: nobody reads this key\nHint: Did you mean `manager`?",
  );
  equal(
    await failureOf({ file: "[schedule]\ncron = 1\n" }),
    "Cannot use the configuration: conf/mminions.toml:1: schedule: need a list of tables, found a table\n" +
      "Hint: Write `[[schedule]]`, with two brackets, above each one",
  );
  ok((await failureOf({ file: "[manager\n" })).startsWith("Cannot read the configuration: conf/mminions.toml:1:"));
});

Deno.test("the example at the top of the repository is one, and says the defaults", async () => {
  const example = await Deno.readTextFile(new URL("../../../mminions.toml", import.meta.url));
  deepEqual(await read({ found: example }), { ...DEFAULTS, configPath: "{cwd}/mminions.toml" });
  const uncommented = example.replaceAll(/^# (?=\[|\w+ = )/gm, "");
  const { settings, ...others } = await read({ file: uncommented });
  const { settings: defaults } = DEFAULTS;
  deepEqual({ settings, ...others }, {
    ...DEFAULTS,
    settings: {
      ...defaults,
      repoPath: "{cwd}/conf",
      folder: "{cwd}/conf/runs/run-20260205123000",
      parallel: 4,
      workerModel: "gpt-5",
      managerModel: "gpt-5",
    },
    configPath: "{cwd}/conf/mminions.toml",
    agents: ["codex", "mini"],
    budgetUsd: 5,
    gateway: { config: "{cwd}/conf/gateway.toml", ledger: "{cwd}/conf/ledger.db" },
  });
});

Deno.test("commands that look for runs find the same folder", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/mminions.toml`, '[manager]\nruns_root = "kept"\n');
    equal(await readRunsRoot({ flags: {}, env: {}, cwd }), `${cwd}/kept`);
    equal(await readRunsRoot({ flags: { runsRoot: "r" }, env: {}, cwd }), `${cwd}/r`);
  });
});

Deno.test("a run's id is the name of a folder and nothing else", () => {
  for (const id of ["run-1", "a.b_c-D", "x".repeat(128)]) equal(checkedRunId(id), id);
  for (const id of ["", ".", "..", "a/b", "-x", "a b", "x".repeat(129), "é", "a\n"]) {
    let isRefused = false;
    try {
      checkedRunId(id);
    } catch (error) {
      isRefused = error instanceof Failure && error.kind === "usage";
    }
    ok(isRefused, JSON.stringify(id));
  }
});
