import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import type { MiniSettings } from "../../src/config/mini_settings.ts";
import { Failure } from "../../src/failure.ts";
import { DEFAULT_ACTION_REGEX, DEFAULT_PROMPTS } from "../../src/templates/prompts.ts";
import { Project } from "./project.ts";

const V2_REGEX = "```mswea_bash_command\\s*\\n(.*?)\\n```";

async function failureOf(loading: Promise<unknown>): Promise<Failure> {
  let caught: unknown;
  await rejects(loading, (error: unknown) => {
    caught = error;
    return true;
  });
  ok(caught instanceof Failure, String(caught));
  return caught;
}

async function modelOf(project: Project, text: string): Promise<MiniSettings["model"]> {
  return (await project.load([await project.file("config.yaml", text)])).settings.model;
}

Deno.test("without a word from anyone the settings are those of live.yaml, and of the built-in defaults", async () => {
  await using project = await Project.create();
  const live = await project.load();
  deepEqual(live.sources, [project.home.configsDir + "/live.yaml"]);
  deepEqual([live.warnings, live.notices, live.task], [[], [], undefined]);
  deepEqual((await project.load([], { profile: "none" })).settings, live.settings);
  const { agent, model, environment, headless } = live.settings;
  deepEqual(agent, {
    systemTemplate: DEFAULT_PROMPTS.toolcall.system,
    instanceTemplate: DEFAULT_PROMPTS.toolcall.instance,
    stepLimit: 1000,
    costLimitUsd: 5,
    wallTimeLimitSeconds: 0,
    maxConsecutiveFormatErrors: 3,
    mode: "confirm",
    confirmExit: true,
    outputPath: undefined,
  });
  deepEqual(model, {
    name: "anthropic/claude-sonnet-4-20250514",
    protocol: "toolcall",
    api: "chat",
    provider: undefined,
    kwargs: {},
    setCacheControl: "default_end",
    costTracking: "default",
    priceFile: undefined,
    actionRegex: DEFAULT_ACTION_REGEX,
    observationTemplate: DEFAULT_PROMPTS.toolcall.observation,
    formatErrorTemplate: DEFAULT_PROMPTS.toolcall.formatError,
    timeoutTemplate: undefined,
    templateDialect: "v2",
  });
  deepEqual([environment.cwd, environment.timeoutSeconds, environment.interpreter], [project.workdir, 120, [
    "bash",
    "-c",
  ]]);
  equal(environment.env.PIP_PROGRESS_BAR, "off");
  deepEqual(headless, { includeTimestamps: true, maxOutputLength: 10000 });
});

Deno.test("an empty -c file leaves mini-swe-agent's own defaults", async () => {
  await using project = await Project.create();
  const { settings } = await project.load([await project.file("empty.yaml", "")]);
  const { stepLimit, costLimitUsd, maxConsecutiveFormatErrors } = settings.agent;
  deepEqual([stepLimit, costLimitUsd, maxConsecutiveFormatErrors, settings.environment.timeoutSeconds], [0, 3, 3, 30]);
  deepEqual([settings.model.name, settings.model.setCacheControl], ["", undefined]);
});

Deno.test("the command line beats -c values, which beat files, which beat a profile", async () => {
  await using project = await Project.create();
  await project.file(
    ".miniswe/configs/p.yaml",
    "agent: {step_limit: 1, cost_limit: 1, mode: human}\nmodel: {model_name: p}\n",
  );
  await project.file(
    "f.yaml",
    "agent: {step_limit: 2, cost_limit: 2.5, wall_time_limit_seconds: 2.}\nrun: {task: from file}\n",
  );
  const { settings, sources, task } = await project.load(["f", "agent.cost_limit=3"], {
    profile: "p",
    cwd: project.workdir,
    overrides: { model: "openai/gpt-5", yolo: true, wallTimeLimitSeconds: 9, output: "out/t.json", protocol: "text" },
  });
  const { agent, model, raw } = settings;
  deepEqual([agent.stepLimit, agent.costLimitUsd, agent.wallTimeLimitSeconds, agent.mode], [2, 3, 9, "yolo"]);
  equal(agent.outputPath, `${project.workdir}/out/t.json`);
  deepEqual([model.name, model.protocol, agent.systemTemplate], ["openai/gpt-5", "text", DEFAULT_PROMPTS.text.system]);
  equal(task, "from file");
  deepEqual(sources.map((source) => source.replace(project.workdir, "")), [
    "/.miniswe/configs/p.yaml",
    "/f.yaml",
    "-c agent.cost_limit",
    "command line",
  ]);
  // Templates see the flags, too.
  deepEqual([raw.agent.mode, raw.agent.wall_time_limit_seconds, raw.model.model_name], ["yolo", 9, "openai/gpt-5"]);
});

Deno.test("a configuration of v1 drives the text protocol with its own templates", async () => {
  await using project = await Project.create();
  const { settings, warnings, notices } = await project.load([
    await project.file(
      "v1.yaml",
      `agent:
  system_template: sys
  instance_template: "{{task}}"
  action_observation_template: obs
  format_error_template: err
  timeout_template: "{{action['action']}} timed out"
  action_regex: <run>(?P<command>.*?)</run>
  step_limit: 0.
  cost_limit: 3.
  mode: confirm
  my_variable: kept
environment:
  env: {PAGER: cat, TQDM_DISABLE: '1'}
model:
  model_kwargs:
    drop_params: true
    temperature: 0.0`,
    ),
  ]);
  const { agent, model, raw } = settings;
  deepEqual([agent.systemTemplate, agent.instanceTemplate, agent.stepLimit, agent.costLimitUsd], [
    "sys",
    "{{task}}",
    0,
    3,
  ]);
  deepEqual([model.protocol, model.templateDialect, model.actionRegex], ["text", "v1", "<run>(?<command>.*?)</run>"]);
  deepEqual([model.observationTemplate, model.formatErrorTemplate, model.timeoutTemplate], [
    "obs",
    "err",
    "{{action['action']}} timed out",
  ]);
  deepEqual(model.kwargs, { drop_params: true, temperature: 0 });
  equal(raw.agent.my_variable, "kept");
  deepEqual(warnings, []);
  equal(notices.length, 1);
  match(notices[0]!, /v1\.yaml:11:\d+: agent\.my_variable is unknown/);
});

Deno.test("the protocol is what the configuration speaks", async () => {
  await using project = await Project.create();
  const fence = "agent:\n  instance_template: |\n    Answer so:\n    ```mswea_bash_command\n    ls\n    ```\n";
  const cases: [text: string, protocol: string, regex: string, dialect?: string][] = [
    ["", "toolcall", DEFAULT_ACTION_REGEX],
    ["agent: {system_template: '```bash'}", "toolcall", DEFAULT_ACTION_REGEX],
    [fence, "text", V2_REGEX],
    [fence + "model: {action_regex: 'a(.*)b'}", "text", "a(.*)b"],
    [fence + "model: {protocol: toolcall}", "toolcall", V2_REGEX],
    ["model: {protocol: text}", "text", DEFAULT_ACTION_REGEX],
    ["model: {model_class: litellm_textbased}", "text", DEFAULT_ACTION_REGEX],
    ["model: {observation_template: '```mswea_bash_command'}", "text", V2_REGEX],
    ["model: {action_regex: '<x>(.*?)</x>'}", "text", "<x>(.*?)</x>"],
    ["agent: {action_regex: '<x>(.*?)</x>'}", "text", "<x>(.*?)</x>"],
    ["agent: {action_observation_template: o}", "text", DEFAULT_ACTION_REGEX, "v1"],
    ["agent: {timeout_template: t}", "text", DEFAULT_ACTION_REGEX, "v1"],
    ["model: {model_class: litellm, observation_template: o}", "toolcall", DEFAULT_ACTION_REGEX],
  ];
  for (const [text, protocol, regex, dialect = "v2"] of cases) {
    const model = await modelOf(project, text);
    deepEqual([model.protocol, model.actionRegex, model.templateDialect], [protocol, regex, dialect], text);
  }
});

Deno.test("of a v1 and a v2 key for the same thing the later layer's counts, and v2's in one file", async () => {
  await using project = await Project.create();
  const v1 = await project.file("v1.yaml", "agent: {action_observation_template: one, action_regex: one}\n");
  const v2 = await project.file("v2.yaml", "model: {observation_template: two, action_regex: two}\n");
  const both = await project.file("both.yaml", "agent: {action_regex: one}\nmodel: {action_regex: two}\n");
  const chosen = async (...specs: string[]) => {
    const { observationTemplate, actionRegex, templateDialect } = (await project.load(specs)).settings.model;
    return [observationTemplate, actionRegex, templateDialect];
  };
  deepEqual(await chosen(v1, v2), ["two", "two", "v2"]);
  deepEqual(await chosen(v2, v1), ["one", "one", "v1"]);
  deepEqual((await chosen(both))[1], "two");
});

Deno.test("model classes of both versions map to protocol, API and provider", async () => {
  await using project = await Project.create();
  const cases: [string, string, string, string | undefined][] = [
    ["litellm", "toolcall", "chat", undefined],
    ["minisweagent.models.litellm_textbased_model.LitellmTextbasedModel", "text", "chat", undefined],
    ["litellm_response", "toolcall", "responses", undefined],
    ["minisweagent.models.litellm_response_api_model.LitellmResponseAPIModel", "toolcall", "responses", undefined],
    ["openrouter", "toolcall", "chat", "openrouter"],
    ["openrouter_textbased", "text", "chat", "openrouter"],
    ["openrouter_response", "toolcall", "responses", "openrouter"],
    ["anthropic", "toolcall", "chat", "anthropic"],
    ["portkey_response", "toolcall", "responses", undefined],
    ["somebody.elses.Model", "toolcall", "chat", undefined],
    ["constructor", "toolcall", "chat", undefined],
  ];
  for (const [name, ...expected] of cases) {
    const model = await modelOf(project, `model: {model_class: ${name}}`);
    deepEqual([model.protocol, model.api, model.provider], expected, name);
  }
  const unknown = await project.load(["model.model_class=somebody.elses.Model"]);
  ok(unknown.warnings.some((notice) => notice.includes("is read as litellm")));
  ok((await project.load(["model.model_class=portkey"])).warnings.some((warning) => warning.includes("portkey")));
});

Deno.test("of a roulette of models the first is used", async () => {
  await using project = await Project.create();
  const { settings, warnings } = await project.load([
    await project.file(
      "roulette.yaml",
      `model:
  model_name: roulette
  model_class: minisweagent.models.extra.roulette.RouletteModel
  model_kwargs:
    - {model_name: anthropic/claude-x, model_kwargs: {temperature: 0.}}
    - {model_name: gpt-5}
`,
    ),
  ]);
  deepEqual([settings.model.name, settings.model.kwargs], ["anthropic/claude-x", { temperature: 0 }]);
  match(warnings.join("\n"), /of the 2 listed, the first/);
});

Deno.test("every wrong setting is named with file, line, column, key and what was found", async () => {
  await using project = await Project.create();
  const file = await project.file(
    "bad.yaml",
    `agent:
  step_limit: many
  cost_limit: true
  wall_time_limit_seconds: -1
  max_consecutive_format_errors: 2.5
  mode: fast
  system_template: [a]
  confirm_exit: y
model:
  model_kwargs: 5
environment:
  env:
    PIP_PROGRESS_BAR: off
  interpreter: bash
headless:
  max_output_length: .inf
`,
  );
  const failure = await failureOf(project.load([file, "environment.timeout=0"]));
  equal(failure.kind, "usage");
  const lines = failure.message.replaceAll(file, "F").split("\n");
  deepEqual(
    lines,
    [
      "Cannot use the configuration:",
      "  F:7:20: agent.system_template: expected a string, found a list",
      '  F:2:15: agent.step_limit: expected an integer of 0 or more, found "many"',
      "  F:3:15: agent.cost_limit: expected a number of 0 or more, found true",
      "  F:4:28: agent.wall_time_limit_seconds: expected a number of 0 or more, found -1",
      "  F:5:34: agent.max_consecutive_format_errors: expected an integer of 0 or more, found 2.5",
      '  F:6:9: agent.mode: expected one of yolo, confirm, human, found "fast"',
      '  F:8:17: agent.confirm_exit: expected true or false, found "y"',
      "  F:10:17: model.model_kwargs: expected a mapping, found 5",
      "  F:13:23: environment.env.PIP_PROGRESS_BAR: expected a string or a number (in quotes, if this text is meant), found false",
      "  -c environment.timeout: expected a number above 0, found 0",
      "  and 2 more",
    ],
  );

  const one = await failureOf(project.load([await project.file("one.yaml", "agent:\n\n  step_limit: many\n")]));
  equal(
    one.message,
    `Cannot use the configuration: ${project.workdir}/one.yaml:3:15: agent.step_limit: expected an integer of 0 or more, found "many"`,
  );
  const section = await failureOf(project.load(["agent=5"]));
  match(section.message, /: -c agent: expected a mapping, found 5$/);
  const hidden = await failureOf(project.load([await project.file("hidden.yaml", "a: 1\nmodel: gpt\n"), "model.x=1"]));
  match(hidden.message, /hidden\.yaml:2:8: model: expected a mapping, found "gpt"$/);
});

Deno.test("a pattern that cannot be used is named with its place", async () => {
  await using project = await Project.create();
  const file = await project.file("regex.yaml", "model:\n  action_regex: (?x) a\n");
  const failure = await failureOf(project.load([file]));
  ok(failure.message.includes(`${file}:2:17: model.action_regex`), failure.message);
});

Deno.test("null, and a section with only comments, mean that nothing is set", async () => {
  await using project = await Project.create();
  const { settings } = await project.load([
    await project.file(
      "null.yaml",
      "agent: {step_limit: null, system_template: ~}\nmodel:\n  # later\nheadless: null\n",
    ),
  ], { profile: "live" });
  deepEqual([settings.agent.stepLimit, settings.agent.costLimitUsd], [0, 5]);
  equal(settings.agent.systemTemplate, DEFAULT_PROMPTS.toolcall.system);
  equal(settings.model.name, "anthropic/claude-sonnet-4-20250514");
});

Deno.test("unknown keys are noted; what looks like a slip is a warning", async () => {
  await using project = await Project.create();
  const { settings, warnings, notices } = await project.load([
    await project.file(
      "x.yaml",
      "agent: {step_limt: 5, whitelist_actions: [], agent_class: interactive}\nextra: {a: 1}\n",
    ),
  ]);
  equal(warnings.length, 1);
  match(
    warnings[0]!,
    /x\.yaml:1:\d+: agent\.step_limt is unknown and has no effect; did you mean agent\.step_limit\?$/,
  );
  equal(notices.length, 3);
  for (const part of ["agent.whitelist_actions", "extra is unknown", "agent.agent_class"]) {
    ok(notices.some((notice) => notice.includes(part)), part);
  }
  const outside = await project.load(["cost_limit=5", "model_name=x"]);
  deepEqual(outside.warnings, [
    "-c cost_limit: cost_limit is unknown and has no effect; did you mean agent.cost_limit?",
    "-c model_name: model_name is unknown and has no effect; did you mean model.model_name?",
  ]);
  deepEqual(settings.raw.agent, { step_limt: 5, whitelist_actions: [], agent_class: "interactive" });
});

Deno.test("what a file of the home decides about keys is disclosed, what the caller decides is not", async () => {
  await using project = await Project.create();
  const text = [
    "model:",
    "  model_kwargs: {api_base: 'http://127.0.0.1:9'}",
    "environment: {forward_env: [GITHUB_TOKEN, NPM_TOKEN]}",
  ].join("\n");
  const live = await project.file(".miniswe/configs/live.yaml", text);
  deepEqual((await project.load()).disclosures, [
    `${live}:2:28: model.model_kwargs.api_base decides where model calls go: http://127.0.0.1:9`,
    `${live}:3:28: environment.forward_env decides which secret variables commands see: GITHUB_TOKEN, NPM_TOKEN`,
  ]);
  const own = await project.file("own.yaml", text);
  deepEqual((await project.load([own])).disclosures, []);
  const overruled = ["model.model_kwargs.api_base=http://127.0.0.1:8", "environment.forward_env=[]"];
  deepEqual((await project.load(overruled)).disclosures, []);
});

Deno.test("a file of the home that loosens the command policy is disclosed", async () => {
  await using project = await Project.create();
  const live = await project.file(
    ".miniswe/configs/live.yaml",
    "environment:\n  command_policy: off\n  command_rules: [{match: rm *, verdict: allow}, {match: make, verdict: block}]\n",
  );
  deepEqual((await project.load()).disclosures, [
    `${live}:2:19: environment.command_policy decides whether dangerous commands are refused: off`,
    `${live}:3:18: environment.command_rules decides which commands are not judged: rm *`,
  ]);
});

Deno.test("environment variables are text as written", async () => {
  await using project = await Project.create();
  const file = await project.file(
    "env.yaml",
    "environment:\n  env: {A: 1.10, B: 'off', C: 017, D: ~, E: text, F: \"\"}\n",
  );
  const { environment } = (await project.load([file, "environment.env.G=off", "environment.env.H=1.0"])).settings;
  deepEqual(environment.env, { A: "1.10", B: "off", C: "017", E: "text", F: "", G: "off", H: "1.0" });
});

Deno.test("a container that the configuration describes is refused, a benchmark's file runs here with a warning", async () => {
  await using project = await Project.create();
  const described = await project.file(
    "docker.yaml",
    "environment:\n  environment_class: docker\n  image: python:3.11\n  cwd: /testbed-of-nobody\n",
  );
  const failure = await failureOf(project.load([described]));
  match(
    failure.message,
    /docker\.yaml:2:22: environment\.environment_class: expected local, found "docker" with `image`$/,
  );
  match(failure.hints.join(), /-c environment\.environment_class=local/);
  const local = await project.load([described, "environment.environment_class=local"]);
  equal(local.settings.environment.cwd, project.workdir);

  const benchmark = await project.file(
    "bench.yaml",
    `environment:
  environment_class: docker
  cwd: /testbed-of-nobody
  timeout: 60
  interpreter: [bash, -c]
  env: {BASH_ENV: /start.sh, PAGER: cat}
`,
  );
  const { settings, warnings } = await project.load([benchmark]);
  deepEqual(settings.environment, {
    cwd: project.workdir,
    env: { PAGER: "cat" },
    forwardEnv: [],
    timeoutSeconds: 60,
    interpreter: ["bash", "-c"],
    commandPolicy: "enforce",
    commandRules: [],
  });
  equal(warnings.length, 2);
  for (const name of ["bubblewrap", "my.own.Environment", "constructor"]) {
    const refused = await failureOf(project.load([`environment.environment_class=${name}`]));
    ok(refused.message.includes(`expected local, found "${name}"`), refused.message);
  }
  await project.load(["environment.environment_class=minisweagent.environments.local.LocalEnvironment"]);
});

Deno.test("the environment's other keys", async () => {
  await using project = await Project.create();
  await Deno.mkdir(`${project.workdir}/sub`);
  const { environment } = (await project.load([
    "environment.cwd=sub",
    "environment.shell=/bin/zsh",
    "environment.forward_env=[GITHUB_TOKEN]",
    "environment.timeout=0.5",
  ])).settings;
  deepEqual([environment.cwd, environment.interpreter, environment.forwardEnv, environment.timeoutSeconds], [
    `${project.workdir}/sub`,
    ["/bin/zsh", "-c"],
    ["GITHUB_TOKEN"],
    0.5,
  ]);
  const policyOf = async (...specs: string[]) => (await project.load(specs)).settings.environment.commandPolicy;
  // YAML takes the bare word for false.
  deepEqual([await policyOf("environment.command_policy=off"), await policyOf("environment.command_policy=warn")], [
    "off",
    "warn",
  ]);
  const rules = "environment.command_rules=[{match: git push, verdict: allow}, {match: make *, verdict: block}]";
  deepEqual((await project.load([rules])).settings.environment.commandRules, [
    { match: "git push", verdict: "allow" },
    { match: "make *", verdict: "block" },
  ]);
  const odd = await failureOf(project.load(["environment.command_rules=[{match: git push, verdict: maybe}]"]));
  match(odd.message, /expected one of allow, confirm, block, found "maybe"/);
  const missing = await failureOf(project.load(["environment.cwd=nowhere"]));
  match(missing.message, /-c environment\.cwd: expected an existing directory, found ".*\/nowhere"$/);
  const nul = await failureOf(project.load(['environment.env.A="\\u0000"']));
  match(nul.message, /environment\.env\.A: expected a name without "=" and a value without NUL/);
});

Deno.test("variables fill what nobody set: model, cost tracking, price file", async () => {
  await using project = await Project.create();
  const empty = await project.file("empty.yaml", "");
  const prices = await project.file("prices.json", "{}");
  const env = {
    MSWEA_MODEL_NAME: "openai/gpt-5",
    MSWEA_COST_TRACKING: "ignore_errors",
    LITELLM_MODEL_REGISTRY_PATH: "prices.json",
  };
  const filled = (await project.load([empty], { env })).settings.model;
  deepEqual([filled.name, filled.costTracking, filled.priceFile], ["openai/gpt-5", "ignore_errors", prices]);
  const set =
    (await project.load([empty, "model.model_name=a/b", "model.cost_tracking=strict"], { env })).settings.model;
  deepEqual([set.name, set.costTracking], ["a/b", "strict"]);
  match(
    (await failureOf(project.load([empty], { env: { MSWEA_COST_TRACKING: "maybe" } }))).message,
    /MSWEA_COST_TRACKING: expected one of default, strict, ignore_errors, disabled, found "maybe"/,
  );
  const gone = await project.load([empty, "model.litellm_model_registry=gone.json"]);
  equal(gone.settings.model.priceFile, undefined);
  match(gone.warnings.join(), /gone\.json" is not there/);
});

Deno.test("the prompt cache is used for Claude unless the configuration says no", async () => {
  await using project = await Project.create();
  const of = async (...specs: string[]) => (await project.load(specs)).settings.model.setCacheControl;
  equal(await of("model.model_name=openrouter/anthropic/claude-opus-4"), "default_end");
  equal(await of("model.model_name=openai/gpt-5"), undefined);
  equal(await of("model.model_name=openai/gpt-5", "model.set_cache_control=default_end"), "default_end");
  equal(await of("model.set_cache_control=null"), undefined);
});
