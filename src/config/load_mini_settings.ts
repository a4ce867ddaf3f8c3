/** Turns configuration files, options and variables into the settings of one `gocore mini` run. */
import { resolve } from "node:path";
import { closestName, Failure } from "../failure.ts";
import { type AgentHome, expandHome } from "./agent_home.ts";
import { chooseEnvironment, type Problem } from "./choose_environment.ts";
import { choosePrompts } from "./choose_prompts.ts";
import { type ConfigLayer, layerOf, loadConfigLayers, mergeLayers } from "./config_layers.ts";
import { checkSettings, COST_TRACKING, type MiniConfig, SECTIONS, unknownKeys } from "./mini_schema.ts";
import type { CostTracking, MiniSettings, Protocol } from "./mini_settings.ts";
import { modelClassOf } from "./model_class.ts";
import { describeValue, isMapping, type Mapping } from "./yaml_source.ts";

export interface MiniOverrides {
  readonly model?: string | undefined;
  readonly yolo?: boolean | undefined;
  readonly costLimitUsd?: number | undefined;
  readonly stepLimit?: number | undefined;
  readonly wallTimeLimitSeconds?: number | undefined;
  readonly protocol?: Protocol | undefined;
  /** Relative to `cwd`. */
  readonly output?: string | undefined;
}

export interface LoadedMiniSettings {
  readonly settings: MiniSettings;
  /** `run.task` of the configuration. */
  readonly task: string | undefined;
  /** The origins in the order they were merged; values of `key=value` options are left out, they may be secret. */
  readonly sources: string[];
  readonly warnings: string[];
  /** What files in the project's home decide about keys. They may have come with the repository, so a run tells it. */
  readonly disclosures: string[];
  /** Lines for the debug log: what was found and has no effect. */
  readonly notices: string[];
}

/** More than this helps nobody at once. */
const MAX_PROBLEMS = 10;

/** What holds for a key that no layer sets; v2's own defaults. */
const DEFAULTS = {
  stepLimit: 0,
  costLimitUsd: 3,
  wallTimeLimitSeconds: 0,
  maxConsecutiveFormatErrors: 3,
  maxOutputLength: 10_000,
} as const;

/**
 * Command line over `-c` over profile over built-in defaults; `MSWEA_MODEL_NAME`, `MSWEA_COST_TRACKING` and
 * `LITELLM_MODEL_REGISTRY_PATH` of `env` for what nobody else sets. Throws a `Failure` (usage) that names file, line,
 * column and key of everything that is wrong, or (environment) for a file that cannot be read.
 */
export async function loadMiniSettings(
  options: {
    home: AgentHome;
    cwd: string;
    /** The values of `-c/--config`, in their order. */
    configSpecs: readonly string[];
    profile?: string | undefined;
    env: Readonly<Record<string, string>>;
    overrides: MiniOverrides;
  },
): Promise<LoadedMiniSettings> {
  const { home, cwd, env } = options;
  const { layers, warnings } = await loadConfigLayers(options);
  const commandLine = commandLineLayer(options.overrides, cwd);
  if (commandLine !== undefined) layers.push(commandLine);
  for (const layer of layers) requireSections(layer);
  const notices: string[] = [];

  const merged = mergeLayers(layers);
  takeFirstOfSeveralModels(merged, warnings);
  writeEnvAsText(merged, layers);
  const checked = checkSettings(merged);
  if ("wrong" in checked) {
    const problems = checked.wrong.map(({ path, expected, found }) => ({
      path,
      finding: `expected ${expected}, found ${describeValue(found)}`,
    }));
    throw problemsFailure(problems, layers);
  }
  const { config } = checked;
  reportUnread(merged, config, layers, { warnings, notices });

  const { environment, problems, warnings: environmentWarnings } = await chooseEnvironment(config.environment, {
    workdir: home.workdir,
    env,
  });
  if (problems.length > 0) throw problemsFailure(problems, layers);
  warnings.push(...environmentWarnings);

  const { agent, headless } = config;
  const model = config.model ?? {};
  const modelClass = model.model_class ? modelClassOf(model.model_class) : {};
  if (modelClass === undefined) {
    warnings.push(`model.model_class ${JSON.stringify(model.model_class)} is read as litellm`);
  }
  if (modelClass?.warning !== undefined) warnings.push(modelClass.warning);
  const prompts = choosePrompts(config, layers, modelClass?.protocol);
  const name = model.model_name || env.MSWEA_MODEL_NAME || "";

  return {
    settings: {
      agent: {
        systemTemplate: prompts.systemTemplate,
        instanceTemplate: prompts.instanceTemplate,
        stepLimit: agent?.step_limit ?? DEFAULTS.stepLimit,
        costLimitUsd: agent?.cost_limit ?? DEFAULTS.costLimitUsd,
        wallTimeLimitSeconds: agent?.wall_time_limit_seconds ?? DEFAULTS.wallTimeLimitSeconds,
        maxConsecutiveFormatErrors: agent?.max_consecutive_format_errors ?? DEFAULTS.maxConsecutiveFormatErrors,
        mode: agent?.mode ?? "confirm",
        confirmExit: agent?.confirm_exit ?? true,
        outputPath: agent?.output_path ? resolve(home.workdir, expandHome(agent.output_path, env)) : undefined,
      },
      model: {
        name,
        protocol: prompts.protocol,
        api: modelClass?.api ?? "chat",
        provider: modelClass?.provider,
        kwargs: model.model_kwargs ?? {},
        setCacheControl: cacheControlOf(model, name),
        costTracking: costTrackingOf(model, env),
        priceFile: await priceFileOf(model, { home, cwd, env, warnings }),
        actionRegex: prompts.actionRegex,
        observationTemplate: prompts.observationTemplate,
        formatErrorTemplate: prompts.formatErrorTemplate,
        timeoutTemplate: prompts.timeoutTemplate,
        templateDialect: prompts.templateDialect,
      },
      environment,
      headless: {
        includeTimestamps: headless?.include_timestamps ?? true,
        maxOutputLength: headless?.max_output_length ?? DEFAULTS.maxOutputLength,
      },
      raw: {
        agent: sectionOf(merged, "agent"),
        model: sectionOf(merged, "model"),
        environment: sectionOf(merged, "environment"),
      },
    },
    task: config.run?.task ?? undefined,
    sources: layers.map(({ label }) => label),
    warnings,
    disclosures: disclosuresOf(config, layers, home),
    notices,
  };
}

/** Flags as one more layer, so that templates and errors see them as any other setting. */
function commandLineLayer(overrides: MiniOverrides, cwd: string): ConfigLayer | undefined {
  const agent: Mapping = {
    mode: overrides.yolo ? "yolo" : undefined,
    cost_limit: overrides.costLimitUsd,
    step_limit: overrides.stepLimit,
    wall_time_limit_seconds: overrides.wallTimeLimitSeconds,
    output_path: overrides.output === undefined ? undefined : resolve(cwd, overrides.output),
  };
  const model: Mapping = { model_name: overrides.model, protocol: overrides.protocol };
  const isGiven = ([, value]: [string, unknown]) => value !== undefined;
  const sections = Object.entries({ agent, model })
    .map(([name, section]) => [name, Object.fromEntries(Object.entries(section).filter(isGiven))] as const)
    .filter(([, section]) => Object.keys(section).length > 0);
  if (sections.length === 0) return undefined;
  const label = "command line";
  return { label, value: Object.fromEntries(sections), locate: () => label, textAt: () => undefined, isOption: true };
}

/** Told for each layer: merged, a later mapping would replace what is none without a word. */
function requireSections(layer: ConfigLayer): void {
  const problems = SECTIONS.filter((name) => (layer.value[name] ?? null) !== null && !isMapping(layer.value[name]))
    .map((name) => ({ path: [name], finding: `expected a mapping, found ${describeValue(layer.value[name])}` }));
  if (problems.length > 0) throw problemsFailure(problems, [layer]);
}

/** v1's roulette and interleaving classes list several models; here one model works on a task. */
function takeFirstOfSeveralModels(merged: Mapping, warnings: string[]): void {
  const { model } = merged;
  if (!isMapping(model) || typeof model.model_class !== "string" || !Array.isArray(model.model_kwargs)) return;
  const first: unknown = model.model_kwargs[0];
  if (!/(?:Roulette|Interleaving)Model$/.test(model.model_class) || !isMapping(first)) return;
  // A name that is not the class's own placeholder was asked for on top of the list.
  const isPlaceholder = model.model_name === "roulette" || model.model_name === "interleaving";
  const name = isPlaceholder || !model.model_name ? first.model_name : model.model_name;
  const { model_class: _, ...rest } = model;
  merged.model = { ...rest, model_kwargs: {}, ...first, model_name: name };
  warnings.push(`One model works on a task: of the ${model.model_kwargs.length} listed, the first is used`);
}

/** Variables are text: as written, so that 1.10 does not become 1.1; anything that an option names is meant as text. */
function writeEnvAsText(merged: Mapping, layers: readonly ConfigLayer[]): void {
  const { environment } = merged;
  if (!isMapping(environment) || !isMapping(environment.env)) return;
  for (const [name, value] of Object.entries(environment.env)) {
    const path = ["environment", "env", name];
    const layer = layerOf(layers, path);
    if (typeof value === "number" || (typeof value === "boolean" && layer?.isOption)) {
      environment.env[name] = layer?.textAt(path) ?? String(value);
    }
  }
}

function problemsFailure(problems: readonly Problem[], layers: readonly ConfigLayer[]): Failure {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, finding }) => {
    const key = path.join(".");
    const place = layerOf(layers, path)?.locate(path) ?? "configuration";
    return `${place === `-c ${key}` ? place : `${place}: ${key}`}: ${finding}`;
  });
  const more = problems.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  const hints = [...new Set(problems.flatMap(({ hint }) => hint ?? []))];
  return new Failure(
    "usage",
    `Cannot use the configuration:${lines.length === 1 ? ` ${lines[0]}` : ["", ...lines].join("\n  ")}`,
    { hints: hints.length > 0 ? hints : ["`.miniswe/configs/live.yaml`, as generated, explains every key"] },
  );
}

/** Keys without effect are only worth a line, unless they look like a slip of the pen. */
function reportUnread(
  merged: Mapping,
  config: MiniConfig,
  layers: readonly ConfigLayer[],
  to: { warnings: string[]; notices: string[] },
): void {
  for (const { path, known, elsewhere } of unknownKeys(merged)) {
    const key = path.join(".");
    const place = layerOf(layers, path)?.locate(path) ?? "configuration";
    const similar = closestName(path.at(-1)!, known);
    const closest = elsewhere ?? (similar && [...path.slice(0, -1), similar].join("."));
    const meant = closest === undefined ? "" : `; did you mean ${closest}?`;
    (closest === undefined ? to.notices : to.warnings).push(`${place}: ${key} is unknown and has no effect${meant}`);
  }
  if (config.agent?.agent_class) {
    to.notices.push(`agent.agent_class ${JSON.stringify(config.agent.agent_class)} has no effect: there is one agent`);
  }
  if (config.model?.multimodal_regex) to.notices.push("model.multimodal_regex has no effect: observations are text");
}

function disclosuresOf(config: MiniConfig, layers: readonly ConfigLayer[], home: AgentHome): string[] {
  const disclosures: string[] = [];
  const tell = (path: readonly string[], value: unknown, what: string) => {
    const layer = layerOf(layers, path);
    if (layer === undefined || !layer.label.startsWith(`${home.configsDir}/`)) return;
    disclosures.push(`${layer.locate(path)}: ${path.join(".")} decides ${what}: ${value}`);
  };
  for (const key of ["api_base", "base_url"]) {
    const base = config.model?.model_kwargs?.[key];
    if (base) tell(["model", "model_kwargs", key], base, "where model calls go");
  }
  const forwarded = config.environment?.forward_env ?? [];
  if (forwarded.length > 0) {
    tell(["environment", "forward_env"], forwarded.join(", "), "which secret variables commands see");
  }
  const policy = config.environment?.command_policy;
  if (policy === "warn" || policy === "off" || policy === false) {
    tell(["environment", "command_policy"], policy || "off", "whether dangerous commands are refused");
  }
  const freed = config.environment?.command_rules?.filter(({ verdict }) => verdict === "allow") ?? [];
  if (freed.length > 0) {
    tell(["environment", "command_rules"], freed.map(({ match }) => match).join(", "), "which commands are not judged");
  }
  return disclosures;
}

function cacheControlOf(model: NonNullable<MiniConfig["model"]>, name: string): "default_end" | undefined {
  if (model.set_cache_control !== undefined) return model.set_cache_control ?? undefined;
  return /anthropic|claude|sonnet|opus|haiku/i.test(name) ? "default_end" : undefined;
}

function costTrackingOf(
  model: NonNullable<MiniConfig["model"]>,
  env: Readonly<Record<string, string>>,
): CostTracking {
  if (model.cost_tracking) return model.cost_tracking;
  if (!env.MSWEA_COST_TRACKING) return "default";
  const parsed = COST_TRACKING.safeParse(env.MSWEA_COST_TRACKING);
  if (parsed.success) return parsed.data;
  const expected = parsed.error.issues[0]!.message;
  throw new Failure(
    "usage",
    `Cannot use MSWEA_COST_TRACKING: expected ${expected}, found ${JSON.stringify(env.MSWEA_COST_TRACKING)}`,
    { hints: ["Correct it, or remove it with `unset MSWEA_COST_TRACKING`"] },
  );
}

async function priceFileOf(
  model: NonNullable<MiniConfig["model"]>,
  at: { home: AgentHome; cwd: string; env: Readonly<Record<string, string>>; warnings: string[] },
): Promise<string | undefined> {
  const { home, cwd, env, warnings } = at;
  const path = model.litellm_model_registry
    ? resolve(home.workdir, expandHome(model.litellm_model_registry, env))
    : env.LITELLM_MODEL_REGISTRY_PATH
    ? resolve(cwd, expandHome(env.LITELLM_MODEL_REGISTRY_PATH, env))
    : undefined;
  if (path === undefined || await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
  // As mini-swe-agent does: a model without a price is told as such when it is used.
  warnings.push(`The price file ${JSON.stringify(path)} is not there and is ignored`);
  return undefined;
}

function sectionOf(merged: Mapping, name: string): Mapping {
  const section = merged[name];
  return isMapping(section) ? section : {};
}
