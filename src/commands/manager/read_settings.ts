/** Makes the settings of a manager run: built-in defaults < `mminions.toml` < the environment < flags. */
import { basename, join, resolve } from "node:path";
import { problemsFailure } from "../../config/checked_toml.ts";
import { amount, deadline, given, path, text } from "../../config/setting_types.ts";
import { Failure } from "../../failure.ts";
import { isRunName } from "../../gateway/names.ts";
import { type IssueAddress, parseIssueUrl } from "../../github/parse_issue_url.ts";
import type { ManagerSettings } from "../../manager/settings.ts";
import { checkedValue, type ValueType } from "../checked_value.ts";
import type { BACKENDS, SANDBOX_MODES } from "../orchestrate/settings_file.ts";
import { flagOf } from "../orchestrate/saved_options.ts";
import {
  agentNames,
  type LoadedFile,
  loadSettingsFile,
  parallel,
  pythonVersion,
  rounds,
  validationRuns,
  workers,
} from "./settings_file.ts";

/** What the command line says; a missing flag leaves the word to the environment, the file and the defaults. */
export interface ManagerFlags {
  readonly issueUrl?: string;
  readonly issueFile?: string;
  readonly repoPath?: string;
  readonly runsRoot?: string;
  readonly runId?: string;
  /** The run's id comes from the issue, so that the next run of a schedule has the same one. */
  readonly stableRunId?: boolean;
  readonly config?: string;
  readonly ref?: string;
  readonly workers?: number;
  readonly timeoutSec?: number;
  readonly pollIntervalSec?: number;
  readonly reproValidationRuns?: number;
  readonly reproMinMatches?: number;
  readonly validationPythonVersion?: string;
  readonly workerModel?: string;
  readonly managerModel?: string;
  /** Names, or lists of names with commas; the most wanted first. */
  readonly agent?: readonly string[];
  /** `AGENT=MODEL`; of two for the same agent the later one counts. */
  readonly model?: readonly string[];
  readonly rounds?: number;
  readonly stallSec?: number;
  readonly oracleTimeoutSec?: number;
  readonly setupTimeoutSec?: number;
  readonly allowNetwork?: boolean;
  readonly minimize?: boolean;
  readonly semanticCut?: boolean;
  readonly bisect?: boolean;
  readonly comment?: boolean;
  readonly parallel?: number;
  readonly sandbox?: typeof SANDBOX_MODES[number];
  readonly backend?: typeof BACKENDS[number];
  /** USD. */
  readonly budget?: number;
  readonly gatewayConfig?: string;
  readonly ledger?: string;
  readonly script?: string;
  readonly record?: string;
  readonly replay?: string;
}

/** Plain data: it can be kept as JSON, for whoever goes on with the run. */
export interface ManagerOptions {
  readonly settings: ManagerSettings;
  /** The settings file that was read, absolute; undefined: none. */
  readonly configPath: string | undefined;
  /** The most wanted first; undefined: codex, or mini where there is none. */
  readonly agents: readonly string[] | undefined;
  /** By agent; who is not in it has `settings.workerModel`, if there is one. */
  readonly models: Readonly<Record<string, string>>;
  readonly sandbox: typeof SANDBOX_MODES[number];
  readonly backend: typeof BACKENDS[number];
  /** For all model calls of the run; undefined: no limit. */
  readonly budgetUsd: number | undefined;
  /** What the gateway inside is told; absolute paths. */
  readonly gateway: {
    readonly config?: string;
    readonly ledger?: string;
    readonly script?: string;
    readonly replay?: string;
    readonly record?: string;
  };
}

type Env = Readonly<Record<string, string | undefined>>;

export interface SettingsRequest {
  readonly flags: ManagerFlags;
  readonly env: Env;
  readonly cwd: string;
  /** Milliseconds since 1970. */
  now(): number;
}

const WORKERS = 2;
const TIMEOUT_SEC = 300;
const POLL_INTERVAL_SEC = 5;
const VALIDATION_RUNS = 5;
const PYTHON_VERSION = "3.12";
const ROUNDS = 2;
const LEAST_STALL_SEC = 45;
const MOST_ORACLE_TIMEOUT_SEC = 60;
const SETUP_TIMEOUT_SEC = 600;
const RUNS_ROOT = "runs";

/**
 * Paths of flags and variables are relative to `cwd`, those of the file to its folder. Throws a usage `Failure` that
 * names the flag, or the file with line and key.
 */
export async function readManagerSettings(request: SettingsRequest): Promise<ManagerOptions> {
  const { flags, cwd, now } = request;
  const { issue, address } = await readIssueFlags(flags, cwd);
  const file = await loadFile(request);
  const table = file.config;
  const repoPath = await readRepoPath(file, request);
  const runsRoot = runsRootOf(file, request);
  const runId = flags.runId === undefined
    ? await newRunId({ runsRoot, stable: flags.stableRunId ? stableRunId(issue, address) : undefined, now })
    : checkedRunId(flags.runId);
  const timeoutSec = checked(deadline, "timeoutSec", flags) ?? table.timeout_sec ?? TIMEOUT_SEC;
  const runs = checked(validationRuns, "reproValidationRuns", flags) ?? table.repro_validation_runs ?? VALIDATION_RUNS;
  const inMs = (sec: number) => Math.round(sec * 1000);
  const settings: ManagerSettings = {
    runId,
    folder: join(runsRoot, runId),
    issue,
    repoPath,
    ref: checkedRef(flags),
    workers: checked(workers, "workers", flags) ?? table.workers ?? WORKERS,
    rounds: checked(rounds, "rounds", flags) ?? table.rounds ?? ROUNDS,
    workerTimeoutMs: inMs(timeoutSec),
    stallMs: inMs(
      checked(deadline, "stallSec", flags) ?? table.stall_sec ?? Math.max(LEAST_STALL_SEC, timeoutSec / 3),
    ),
    pollIntervalMs: inMs(checked(deadline, "pollIntervalSec", flags) ?? table.poll_interval_sec ?? POLL_INTERVAL_SEC),
    validationRuns: runs,
    minMatches: minMatchesOf(runs, file, flags),
    oracleTimeoutMs: inMs(
      checked(deadline, "oracleTimeoutSec", flags) ?? table.oracle_timeout_sec ??
        Math.min(MOST_ORACLE_TIMEOUT_SEC, timeoutSec),
    ),
    setupTimeoutMs: inMs(checked(deadline, "setupTimeoutSec", flags) ?? table.setup_timeout_sec ?? SETUP_TIMEOUT_SEC),
    pythonVersion: checked(pythonVersion, "validationPythonVersion", flags) ?? table.validation_python_version ??
      PYTHON_VERSION,
    allowNetwork: flags.allowNetwork ?? table.allow_network ?? false,
    minimize: flags.minimize ?? table.minimize ?? true,
    semanticCut: flags.semanticCut ?? table.semantic_cut ?? true,
    bisect: flags.bisect ?? table.bisect ?? true,
    comment: flags.comment ?? table.comment ?? false,
    parallel: checked(parallel, "parallel", flags) ?? table.parallel ?? navigator.hardwareConcurrency,
    workerModel: checked(text, "workerModel", flags) ?? table.worker_model,
    managerModel: checked(text, "managerModel", flags) ?? table.manager_model,
  };
  if (settings.comment && issue.kind === "file") {
    throw new Failure("usage", "Cannot use --comment together with --issue-file: a file has no place for comments", {
      hints: ["Give the issue's address with `--issue-url`, or leave `--comment` out"],
    });
  }
  return {
    settings,
    configPath: file.path,
    agents: readAgents(file, flags),
    models: readModels(flags),
    sandbox: flags.sandbox ?? table.sandbox ?? "prefer",
    backend: flags.backend ?? table.backend ?? "tmux",
    budgetUsd: checked(amount, "budget", flags) ?? table.budget,
    gateway: readGateway(file, request),
  };
}

/** Where runs are kept, absolute; for commands that look for one. Throws as `readManagerSettings` does. */
export async function readRunsRoot(
  request: Pick<SettingsRequest, "env" | "cwd"> & { readonly flags: Pick<ManagerFlags, "runsRoot" | "config"> },
): Promise<string> {
  return runsRootOf(await loadFile(request), request);
}

/** Throws a usage `Failure` for what cannot be the name of a folder. */
export function checkedRunId(text: string): string {
  if (isRunName(text) && !text.startsWith("-")) return text;
  const found = text === "" ? "an empty text" : JSON.stringify(text.slice(0, 150));
  throw wrong("--run-id", `need up to 128 letters, digits, ".", "_" and "-", not first "-", found ${found}`);
}

type Issue = ManagerSettings["issue"];

async function readIssueFlags(
  flags: ManagerFlags,
  cwd: string,
): Promise<{ readonly issue: Issue; readonly address?: IssueAddress }> {
  const { issueUrl, issueFile } = flags;
  if ((issueUrl === undefined) === (issueFile === undefined)) {
    const found = issueUrl === undefined ? "none" : "both --issue-url and --issue-file";
    throw new Failure("usage", `Cannot start: need one issue, found ${found}`, {
      hints: ["Name it: `gocore manager --issue-url https://github.com/OWNER/REPO/issues/NUMBER`"],
    });
  }
  if (issueFile === undefined) {
    const address = parseIssueUrl(issueUrl!);
    return { issue: { kind: "url", url: address.url }, address };
  }
  const full = resolve(cwd, checked(path, "issueFile", flags)!);
  const info = await Deno.stat(full).catch(() => undefined);
  if (info?.isFile) return { issue: { kind: "file", path: full } };
  const found = info === undefined ? "nothing" : "no file";
  throw wrong("--issue-file", `need a file, found ${found} at ${JSON.stringify(issueFile)}`);
}

function loadFile({ flags, env, cwd }: {
  readonly flags: Pick<ManagerFlags, "config">;
  readonly env: Env;
  readonly cwd: string;
}): Promise<LoadedFile> {
  return loadSettingsFile(checked(path, "config", flags) ?? given(env.MMINIONS_CONFIG), cwd);
}

async function readRepoPath(file: LoadedFile, { flags, cwd }: SettingsRequest): Promise<string> {
  const flagged = pathFlag("repoPath", { flags, cwd });
  const { repo_path: inFile } = file.config;
  const full = flagged ?? (inFile === undefined ? cwd : resolve(file.folder, inFile));
  const info = await Deno.stat(full).catch(() => undefined);
  if (info?.isDirectory) return full;
  const finding = `need a folder, found ${info === undefined ? "nothing" : "a file"} at ${JSON.stringify(full)}`;
  if (flagged !== undefined || inFile === undefined) throw wrong("--repo-path", finding);
  throw problemsFailure([{ path: ["manager", "repo_path"], finding }], file.placeOf);
}

function runsRootOf(
  file: LoadedFile,
  { flags, cwd }: { readonly flags: Pick<ManagerFlags, "runsRoot">; readonly cwd: string },
): string {
  const { runs_root: inFile } = file.config;
  return pathFlag("runsRoot", { flags, cwd }) ??
    (inFile === undefined ? join(cwd, RUNS_ROOT) : resolve(file.folder, inFile));
}

/** `run-20260205123000`, in UTC; with a number behind it when there is one already. A stable one may be there. */
async function newRunId(
  { runsRoot, stable, now }: { readonly runsRoot: string; readonly stable: string | undefined; now(): number },
): Promise<string> {
  if (stable !== undefined) return stable;
  const first = `run-${new Date(now()).toISOString().replaceAll(/\D/g, "").slice(0, 14)}`;
  for (let number = 2, id = first;; number++) {
    if (await Deno.lstat(join(runsRoot, id)).catch(() => undefined) === undefined) return id;
    id = `${first}-${number}`;
  }
}

/** The hash tells apart what reads the same: `a-b/c` and `a/b-c`, other hosts, files of one name. */
function stableRunId(issue: Issue, address: IssueAddress | undefined): string {
  const [name, whole] = issue.kind === "url"
    ? [`${address!.slug}-${address!.number}`, issue.url.toLowerCase()]
    : [basename(issue.path), issue.path];
  // tmux has `.` and `:` for its own purposes in the names of sessions.
  const readable = name.toLowerCase().replaceAll(/[^a-z0-9_]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 80);
  return `run-${readable}-${shortHash(whole)}`;
}

/** FNV-1a, 32 bits: a name, no proof. */
function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

function minMatchesOf(runs: number, file: LoadedFile, flags: ManagerFlags): number {
  const flagged = checked(validationRuns, "reproMinMatches", flags);
  const least = flagged ?? file.config.repro_min_matches ?? runs;
  if (least <= runs) return least;
  const finding = `need at most as many as there are validation runs, ${runs}, found ${least}`;
  if (flagged !== undefined) throw wrong("--repro-min-matches", finding);
  throw problemsFailure([{ path: ["manager", "repro_min_matches"], finding }], file.placeOf);
}

/** A ref goes to git as an argument: not one that it would take for an option, or for several commits. */
function checkedRef(flags: ManagerFlags): string | undefined {
  const ref = checked(text, "ref", flags);
  if (ref === undefined || /^[\w][\w./@{}^~+-]{0,250}$/.test(ref) && !ref.includes("..")) return ref;
  throw wrong("--ref", `need a branch, a tag or a commit, found ${JSON.stringify(ref.slice(0, 80))}`);
}

function readAgents(file: LoadedFile, flags: ManagerFlags): readonly string[] | undefined {
  if (flags.agent === undefined || flags.agent.length === 0) {
    const { agent } = file.config;
    return typeof agent === "string" ? [agent] : agent;
  }
  const names = flags.agent.flatMap((list) => list.split(",")).map((name) => name.trim());
  for (const name of names) needAgent(name, "--agent");
  return [...new Set(names)];
}

function readModels(flags: ManagerFlags): Readonly<Record<string, string>> {
  const models = new Map<string, string>();
  for (const pair of flags.model ?? []) {
    const at = pair.indexOf("=");
    const [name, model] = [pair.slice(0, Math.max(at, 0)).trim(), pair.slice(at + 1).trim()];
    if (at === -1 || model === "") {
      throw wrong("--model", `need AGENT=MODEL, found ${JSON.stringify(pair.slice(0, 80))}`);
    }
    needAgent(name, "--model");
    models.set(name, model);
  }
  return Object.fromEntries(models);
}

function needAgent(name: string, flag: string): void {
  if (agentNames.includes(name)) return;
  throw wrong(flag, `need one of ${agentNames.join(", ")}, found ${JSON.stringify(name.slice(0, 80))}`);
}

function readGateway(file: LoadedFile, { flags, cwd }: SettingsRequest): ManagerOptions["gateway"] {
  const sources = (["record", "replay", "script"] as const).filter((name) => flags[name] !== undefined);
  if (sources.length > 1) {
    throw new Failure("usage", `Cannot use ${sources.map(flagOf).join(" and ")} together: need one source of replies`, {
      hints: ["Record what models answer first, then start again with `--replay` and the same folder"],
    });
  }
  const { config, ledger } = file.config.gateway ?? {};
  const inFile = (path: string | undefined) => path === undefined ? undefined : resolve(file.folder, path);
  const paths = {
    config: pathFlag("gatewayConfig", { flags, cwd }) ?? inFile(config),
    ledger: pathFlag("ledger", { flags, cwd }) ?? inFile(ledger),
    ...Object.fromEntries(sources.map((name) => [name, pathFlag(name, { flags, cwd })])),
  };
  return Object.fromEntries(Object.entries(paths).filter(([, path]) => path !== undefined));
}

/** Absolute; undefined: the flag was not given. */
function pathFlag(
  name: "repoPath" | "runsRoot" | "gatewayConfig" | "ledger" | "script" | "record" | "replay",
  { flags, cwd }: { readonly flags: ManagerFlags; readonly cwd: string },
): string | undefined {
  const value = checked(path, name, flags);
  return value === undefined ? undefined : resolve(cwd, value);
}

/** The value of a flag; undefined when it was not given. */
function checked<T>(type: ValueType<T>, name: keyof ManagerFlags, flags: ManagerFlags): T | undefined {
  const value = flags[name];
  return value === undefined ? undefined : checkedValue(type, value, (finding) => wrong(flagOf(name), finding));
}

function wrong(flag: string, finding: string): Failure {
  return new Failure("usage", `Cannot use ${flag}: ${finding}`, {
    hints: ["`gocore manager --help` explains every flag"],
  });
}
