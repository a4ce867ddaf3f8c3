/** Makes the options of a session: built-in defaults < a TOML file < the environment < flags. */
import { basename, join, resolve } from "node:path";
import { problemsFailure } from "../../config/checked_toml.ts";
import { amount, count, given, path, port, text, wait, whole } from "../../config/setting_types.ts";
import type { TomlPath } from "../../config/toml_source.ts";
import { closestName, Failure } from "../../failure.ts";
import { isLoopback, withoutBrackets } from "../../gateway/loopback.ts";
import { host } from "../../gateway/settings_file.ts";
import { DEFAULT_LIVENESS } from "../../orchestrate/liveness.ts";
import { MAX_TASK_BYTES } from "../../orchestrate/review.ts";
import { DEFAULT_REVIEWS, type SessionSettings } from "../../orchestrate/settings.ts";
import type { AgentAdapter } from "../../workers/adapter.ts";
import { adapterTable } from "../../workers/adapter_table.ts";
import { readDeclaredAgents } from "../../workers/adapters/declared.ts";
import { checkedValue, type ValueType } from "../checked_value.ts";
import type { OrchestrateOptions } from "./options.ts";
import { flagOf, type OrchestrateFlags, type SavedFlags, withSavedOptions } from "./saved_options.ts";
import { findSessionFolder } from "./session_folder.ts";
import { type LoadedFile, loadSettingsFile, LOG_LEVELS, percent } from "./settings_file.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface ReadRequest {
  readonly env: Env;
  readonly cwd: string;
  readonly flags: OrchestrateFlags;
  /** A session to go on with, or `last`; its flags hold where `flags` has none. */
  readonly resume?: string;
}

export interface ReadOptions {
  readonly options: OrchestrateOptions;
  /** The id of the session to go on with. */
  readonly resume: string | undefined;
  /** For `saveOptions`. */
  readonly given: SavedFlags;
}

const DEFAULT_LIMITS = { cpuPercent: 50, memoryMb: 2048, timeSeconds: 3600 };
const VERIFY_TIMEOUT_SEC = 1800;
const ANSWER_TIMEOUT_SEC = 3600;
const GRACE_SEC = 5;
const MAX_ATTEMPTS = 8;
const CONCURRENCY = 8;
const MAX_OUTPUT_MB = 1024;

/**
 * Reads the file that `--config` or GOCORE_ORCHESTRATE_CONFIG names; one that merely lies in the target is never read,
 * because whoever wrote the target would choose what runs here. Paths of flags and variables are relative to `cwd`,
 * those of the file to its folder. Throws a usage `Failure` that names the flag, the variable, or the file with line and
 * key.
 */
export async function readOptions({ env, cwd, flags, resume }: ReadRequest): Promise<ReadOptions> {
  if (resume === undefined) {
    if ((flags.task ?? "").trim() === "") {
      throw new Failure("usage", "Cannot start: no task is given", {
        hints: ['Say what to do: `gocore orchestrate "Add input validation"`'],
      });
    }
    const bytes = new TextEncoder().encode(flags.task).length;
    if (bytes > MAX_TASK_BYTES) {
      throw new Failure("usage", `Cannot start: the task has ${bytes} bytes, more than ${MAX_TASK_BYTES}`, {
        hints: ["Put the details into a file of the project, and name it in the task"],
      });
    }
    return { ...await derive(flags, { env, cwd, isResumed: false }), resume };
  }
  if (flags.task !== undefined) {
    throw new Failure("usage", "Cannot give a session that is resumed another task", {
      hints: ["Leave the task out, or leave --resume out to start a new session"],
    });
  }
  const workspace = await readWorkspace({ env, cwd, flags });
  const folder = await findSessionFolder(workspace, resume);
  const { target, ...others } = flags;
  const merged = await withSavedOptions(folder, { ...others, workspace });
  if (target !== undefined && resolve(cwd, target) !== merged.target) {
    throw new Failure("usage", `Cannot go on in "${target}": the session works in "${merged.target}"`, {
      hints: ["Leave --target out, and name the folder of the sessions with --workspace"],
    });
  }
  return { ...await derive(merged, { env, cwd, isResumed: true }), resume: basename(folder) };
}

/** Where sessions are kept, absolute. Throws as `readOptions` does. */
export async function readWorkspace({ env, cwd, flags }: {
  readonly env: Env;
  readonly cwd: string;
  readonly flags: Pick<OrchestrateFlags, "workspace" | "target" | "config">;
}): Promise<string> {
  const file = await loadSettingsFile(configPath(flags, env), cwd);
  return workspaceOf({ file, env, cwd, flags });
}

interface Sources {
  readonly file: LoadedFile;
  readonly env: Env;
  readonly cwd: string;
  readonly flags: OrchestrateFlags;
}

async function derive(
  flags: OrchestrateFlags,
  { env, cwd, isResumed }: { readonly env: Env; readonly cwd: string; readonly isResumed: boolean },
): Promise<Pick<ReadOptions, "options" | "given">> {
  const config = configPath(flags, env);
  const file = await loadSettingsFile(config, cwd);
  const sources: Sources = { file, env, cwd, flags };
  const target = targetOf(sources);
  await needFolder(target, sources);
  const workspace = workspaceOf(sources);
  const agents = readAgents(sources);
  const table = file.config;
  const plan = await readPlan(sources, { isResumed });
  const { reviews = {}, liveness = {}, limits = {}, sandbox = {} } = table;
  const inFile = (paths: readonly string[] = []) => paths.map((path) => resolve(file.folder, path));
  const session: OrchestrateOptions["session"] = {
    task: flags.task ?? "",
    target,
    shared: flags.shared ?? table.shared ?? false,
    plan,
    weights: agents.weights,
    policy: {
      weights: table.weights ?? {},
      custom: (table.policy ?? []).map(({ at_least, ...rule }) => ({ ...rule, atLeast: at_least ?? 1 })),
    },
    reviews: {
      enabled: flags.reviews ?? reviews.enabled ?? DEFAULT_REVIEWS.enabled,
      reviewers: checked(count, "reviewers", flags) ?? reviews.reviewers ?? DEFAULT_REVIEWS.reviewers,
      revisions: checked(whole, "revisions", flags) ?? reviews.revisions ?? DEFAULT_REVIEWS.revisions,
      silenceMs: inMs(reviews.silence_sec) ?? DEFAULT_REVIEWS.silenceMs,
      recheckMs: inMs(reviews.recheck_sec) ?? DEFAULT_REVIEWS.recheckMs,
      cooldownMs: inMs(reviews.cooldown_sec) ?? DEFAULT_REVIEWS.cooldownMs,
      timeoutMs: inMs(reviews.timeout_sec) ?? DEFAULT_REVIEWS.timeoutMs,
    },
    liveness: {
      stallMs: inMs(liveness.stall_sec) ?? DEFAULT_LIVENESS.stallMs,
      spinRepeats: liveness.spin_repeats ?? DEFAULT_LIVENESS.spinRepeats,
      waitMs: inMs(liveness.wait_sec) ?? DEFAULT_LIVENESS.waitMs,
    },
    budgetUsd: checked(amount, "budget", flags) ?? table.budget,
    agentBudgetsUsd: { ...table.agent_budgets, ...agents.budgets },
    verify: checked(text, "verify", flags) ?? table.verify,
    verifyTimeoutMs: (table.verify_timeout_sec ?? VERIFY_TIMEOUT_SEC) * 1000,
    apply: flags.apply ?? table.apply ?? true,
    answerTimeoutMs: (checked(wait, "answerTimeoutSec", flags) ?? table.answer_timeout_sec ?? ANSWER_TIMEOUT_SEC) *
      1000,
    graceMs: (table.grace_sec ?? GRACE_SEC) * 1000,
    maxAttempts: table.max_attempts ?? MAX_ATTEMPTS,
    concurrency: table.concurrency ?? CONCURRENCY,
  };
  const options: OrchestrateOptions = {
    session,
    workspace,
    chosenAgents: agents.chosen,
    declaredAgents: agents.declared,
    models: { ...table.models, ...agents.models },
    agentArguments: table.arguments ?? {},
    limits: {
      cpuPercent: checked(percent, "workerCpuPercent", flags) ?? limits.cpu_percent ?? DEFAULT_LIMITS.cpuPercent,
      memoryMb: checked(amount, "workerMemoryMb", flags) ?? limits.memory_mb ?? DEFAULT_LIMITS.memoryMb,
      timeSeconds: checked(wait, "workerTimeoutSec", flags) ?? limits.timeout_sec ?? DEFAULT_LIMITS.timeSeconds,
    },
    maxOutputMb: limits.output_mb ?? MAX_OUTPUT_MB,
    sandbox: {
      mode: flags.sandbox ?? sandbox.mode ?? "prefer",
      hideHome: sandbox.hide_home ?? true,
      writable: inFile(sandbox.writable),
      readable: inFile(sandbox.readable),
    },
    backend: flags.backend ?? table.backend ?? "process",
    commandRules: file.commandRules,
    dashboard: flags.dashboard ?? table.dashboard ?? true,
    ...readAddress(sources),
    logLevel: readLogLevel(sources),
    forwardEnv: table.forward_env ?? [],
    gateway: readGateway(sources),
    json: flags.json ?? false,
  };
  return { options, given: absolute({ ...flags, config, target, workspace }, cwd) };
}

const PATHS = ["config", "gatewayConfig", "ledger", "script", "record", "replay"] as const;

function absolute({ json: _json, verbose: _verbose, ...flags }: OrchestrateFlags, cwd: string): SavedFlags {
  const resolved = PATHS.map((name) => [name, pathFlag(name, { flags, cwd })]);
  const plan = flags.plan === undefined || isPlanWord(flags.plan) ? flags.plan : resolve(cwd, flags.plan);
  return { ...flags, ...Object.fromEntries(resolved), plan };
}

function configPath(flags: OrchestrateFlags, env: Env): string | undefined {
  return checked(path, "config", flags) ?? given(env.GOCORE_ORCHESTRATE_CONFIG);
}

function targetOf({ file, cwd, flags }: Omit<Sources, "env">): string {
  const { target } = file.config;
  return pathFlag("target", { flags, cwd }) ?? (target === undefined ? cwd : resolve(file.folder, target));
}

function workspaceOf(sources: Sources): string {
  const { file, env, cwd, flags } = sources;
  const variable = given(env.ORCHESTRATOR_WORKSPACE);
  const flagged = pathFlag("workspace", { flags, cwd });
  if (flagged !== undefined) return flagged;
  if (variable !== undefined) return resolve(cwd, needed(path, variable, "ORCHESTRATOR_WORKSPACE"));
  const { workspace } = file.config;
  return workspace === undefined ? join(targetOf(sources), ".gocore", "workspace") : resolve(file.folder, workspace);
}

async function needFolder(target: string, { file, flags }: Sources): Promise<void> {
  const info = await Deno.stat(target).catch(() => undefined);
  if (info?.isDirectory) return;
  const finding = `need a folder, found ${info === undefined ? "nothing there" : "a file"}`;
  if (flags.target === undefined && file.config.target !== undefined) {
    throw problemsFailure([{ path: ["orchestrate", "target"], finding }], file.placeOf);
  }
  throw new Failure("usage", `Cannot use the target "${target}": ${finding}`, {
    hints: ["Name the project with --target"],
  });
}

function isPlanWord(plan: string): plan is "default" | "auto" {
  return plan === "default" || plan === "auto";
}

async function readPlan(
  { file, cwd, flags }: Sources,
  { isResumed }: { readonly isResumed: boolean },
): Promise<SessionSettings["plan"]> {
  const flagged = checked(path, "plan", flags);
  const plan = flagged ?? file.config.plan ?? "default";
  if (isPlanWord(plan)) return { kind: plan };
  const full = resolve(flagged === undefined ? file.folder : cwd, plan);
  const info = await Deno.stat(full).catch(() => undefined);
  // A session that is resumed has its plan in its log already.
  if (isResumed || info?.isFile) return { kind: "file", path: full };
  throw wrong(flagged === undefined ? { path: ["orchestrate", "plan"], file } : { flag: "--plan" }, {
    finding: `need default, auto or a file, found ${info === undefined ? "nothing" : "no file"} at "${plan}"`,
  });
}

interface Agents {
  readonly declared: readonly AgentAdapter[];
  readonly chosen: readonly string[] | undefined;
  readonly weights: Readonly<Record<string, number>>;
  readonly models: Readonly<Record<string, string>>;
  readonly budgets: Readonly<Record<string, number>>;
}

function readAgents({ file, flags }: Sources): Agents {
  const { config, placeOf } = file;
  const own = adapterTable.map(({ name }) => name);
  if (typeof config.agents === "string" || Array.isArray(config.agents)) {
    const hint = 'Choose agents with `use = ["gemini", "claude=2"]`; `[orchestrate.agents.NAME]` declares one';
    throw wrong({ path: ["orchestrate", "agents"], file }, { finding: "need tables of agents, found others", hint });
  }
  const declared = config.agents === undefined ? [] : readDeclaredAgents(config.agents, { taken: own, placeOf });
  const known = [...own, ...declared.map(({ name }) => name)];
  for (const key of ["models", "weights", "agent_budgets", "arguments"] as const) {
    for (const name of Object.keys(config[key] ?? {})) {
      needAgent(name, known, { path: ["orchestrate", key, name], file });
    }
  }
  for (const [index, { agents = [] }] of (config.policy ?? []).entries()) {
    for (const [at, name] of agents.entries()) {
      needAgent(name, known, { path: ["orchestrate", "policy", index, "agents", at], file });
    }
  }
  const [list, place]: [string[] | undefined, Place] = flags.agents === undefined
    ? [config.use, { path: ["orchestrate", "use"], file }]
    : [flags.agents.split(","), { flag: "--agents" }];
  const choice = list && readChoice(list, known, place);
  const models = readPairs(flags.model, known, "--model", "MODEL");
  const budgets = [...readPairs(flags.agentBudget, known, "--agent-budget", "USD")].map(([name, text]) => {
    const usd = decimal(text);
    if (usd !== undefined) return [name, usd] as const;
    throw wrong({ flag: "--agent-budget" }, { finding: `need an amount of USD for ${name}, found "${text}"` });
  });
  return {
    declared,
    chosen: choice && [...choice.keys()],
    weights: Object.fromEntries(choice ?? []),
    models: Object.fromEntries(models),
    budgets: Object.fromEntries(budgets),
  };
}

/** `gemini`, `claude=2`: in the order of wish, with weights. */
function readChoice(list: readonly string[], known: readonly string[], place: Place): Map<string, number> {
  const choice = new Map<string, number>();
  for (const entry of list) {
    const [name = "", weight = "1", ...more] = entry.split("=").map((part) => part.trim());
    needAgent(name, known, place);
    const number = decimal(weight);
    if (number === undefined || number === 0 || more.length > 0) {
      const hint = "The heavier agent gets the heavier part: `claude=2`";
      throw wrong(place, { finding: `need a weight above 0 for ${name}, found "${entry.slice(0, 80)}"`, hint });
    }
    if (choice.has(name)) throw wrong(place, { finding: `need each agent once, found ${name} twice` });
    choice.set(name, number);
  }
  if (choice.size > 0) return choice;
  throw wrong(place, { finding: "need an agent, found an empty list", hint: `There are ${known.join(", ")}` });
}

/** `AGENT=…`, the last of each agent. */
function readPairs(
  pairs: readonly string[] = [],
  known: readonly string[],
  flag: string,
  meaning: string,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const [name, value] = [pair.slice(0, Math.max(at, 0)).trim(), pair.slice(at + 1).trim()];
    if (at === -1 || value === "") {
      throw wrong({ flag }, { finding: `need AGENT=${meaning}, found "${pair.slice(0, 80)}"` });
    }
    needAgent(name, known, { flag });
    values.set(name, value);
  }
  return values;
}

type Place = { readonly flag: string } | { readonly path: TomlPath; readonly file: LoadedFile };

function wrong(place: Place, { finding, hint }: { readonly finding: string; readonly hint?: string }): Failure {
  if ("path" in place) return problemsFailure([{ path: place.path, finding, hint }], place.file.placeOf);
  return new Failure("usage", `Cannot use ${place.flag}: ${finding}`, {
    hints: [hint ?? "`gocore orchestrate --help` explains every flag"],
  });
}

function needAgent(name: string, known: readonly string[], place: Place): void {
  if (known.includes(name)) return;
  const near = closestName(name, known);
  throw wrong(place, {
    finding: `need an agent, found nobody of the name ${JSON.stringify(name.slice(0, 80))}`,
    hint: near === undefined
      ? `There are ${known.join(", ")}; others are declared as [orchestrate.agents.NAME] in the file of --config`
      : `Did you mean ${near}?`,
  });
}

function readAddress({ file, env, flags }: Sources): Pick<OrchestrateOptions, "host" | "port" | "token"> {
  const address = {
    host: withoutBrackets(checked(host, "host", flags) ?? file.config.host ?? "127.0.0.1"),
    port: checked(port, "port", flags) ?? file.config.port,
    token: given(env.GOCORE_ORCHESTRATE_TOKEN),
  };
  if (isLoopback(address.host) || address.token !== undefined) return address;
  throw new Failure("usage", `Cannot listen on "${address.host}": other machines could control the session`, {
    hints: ["Set a token: `export GOCORE_ORCHESTRATE_TOKEN=$(openssl rand -hex 24)`", "Or leave --host out"],
  });
}

function readLogLevel({ file, env, flags }: Sources): OrchestrateOptions["logLevel"] {
  if (flags.verbose) return "debug";
  const variable = given(env.ORCHESTRATOR_LOG_LEVEL)?.toLowerCase();
  if (variable === undefined) return file.config.log_level ?? "info";
  const level = LOG_LEVELS.find((known) => known === variable);
  if (level !== undefined) return level;
  const near = closestName(variable, LOG_LEVELS);
  const words = LOG_LEVELS.join(", ").toUpperCase();
  throw new Failure("usage", `Cannot use ORCHESTRATOR_LOG_LEVEL: need one of ${words}, found another word`, {
    hints: [near === undefined ? "Unset it for INFO" : `Did you mean ${near.toUpperCase()}?`],
  });
}

/** Absolute: the gateway's own settings begin elsewhere. */
function readGateway({ file, cwd, flags }: Sources): OrchestrateOptions["gateway"] {
  const named = (["record", "replay", "script"] as const).filter((name) => flags[name] !== undefined);
  if (named.length > 1) {
    throw new Failure("usage", `Cannot use ${named.map(flagOf).join(" and ")} together: need one source of replies`, {
      hints: ["Record what models answer first, then start again with `--replay` and the same folder"],
    });
  }
  const inFile = (path: string | undefined) => path === undefined ? undefined : resolve(file.folder, path);
  const paths = {
    config: pathFlag("gatewayConfig", { flags, cwd }) ?? inFile(file.config.gateway_config),
    ledger: pathFlag("ledger", { flags, cwd }) ?? inFile(file.config.ledger),
    ...Object.fromEntries(named.map((name) => [name, pathFlag(name, { flags, cwd })])),
  };
  return Object.fromEntries(Object.entries(paths).filter(([, path]) => path !== undefined));
}

/** Absolute; undefined: the flag was not given. */
function pathFlag(
  name: "target" | "workspace" | typeof PATHS[number],
  { flags, cwd }: Pick<Sources, "flags" | "cwd">,
): string | undefined {
  const value = checked(path, name, flags);
  return value === undefined ? undefined : resolve(cwd, value);
}

/** The value of a flag; undefined when it was not given. */
function checked<T>(type: ValueType<T>, name: keyof OrchestrateFlags, flags: OrchestrateFlags): T | undefined {
  const value = flags[name];
  return value === undefined ? undefined : needed(type, value, flagOf(name));
}

function needed<T>(type: ValueType<T>, value: unknown, place: string): T {
  return checkedValue(type, value, (finding) => wrong({ flag: place }, { finding }));
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Number() also takes "0x10" and "1e3", and "" for 0. */
function decimal(text: string): number | undefined {
  return /^(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})$/.test(text) ? Number(text) : undefined;
}
