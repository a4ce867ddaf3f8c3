/** `mminions.toml`: its keys, for managers and for what a server does by itself, and what is wrong with one. */
import { dirname, resolve } from "node:path";
import * as z from "zod/mini";
import { loadCheckedToml, missingFile, namesIn, problemsFailure, valueAt } from "../../config/checked_toml.ts";
import { amount, count, deadline, flag, oneOf, path, TABLE, TABLES, text } from "../../config/setting_types.ts";
import type { TomlPath, TomlTable } from "../../config/toml_source.ts";
import { closestName, type Failure } from "../../failure.ts";
import type { RunKind } from "../../http/schemas.ts";
import { adapterTable } from "../../workers/adapter_table.ts";
import { BACKENDS, SANDBOX_MODES } from "../orchestrate/settings_file.ts";

// The message of each type is what was needed; what was found is added when a failure is told.
const within = (least: number, most: number) => {
  const needed = `a whole number from ${least} to ${most}`;
  return z.number(needed).check(z.minimum(least, needed), z.maximum(most, needed), z.refine(Number.isInteger, needed));
};
export const workers = within(1, 6);
export const rounds = within(1, 10);
export const validationRuns = within(1, 100);
export const parallel = within(1, 256);
const VERSION = 'a version from 3.8 on, in quotes, such as "3.12"';
// The witness that tells a failure from a printed one does not run in older ones.
const OLD = /^(?:[0-2]|3\.[0-7])(?:\.|$)/;
export const pythonVersion = z.string(VERSION).check(
  z.regex(/^\d{1,2}(?:\.\d{1,3}){0,2}$/, VERSION),
  z.refine((version) => !OLD.test(version), VERSION),
);

export const agentNames = adapterTable.map(({ name }) => name);
const AGENTS = `an agent or a list of agents: ${agentNames.join(", ")}`;
const agent = z.enum(agentNames, AGENTS);
const agents = z.union([agent, z.array(agent).check(z.minLength(1))], AGENTS);

const gateway = z.strictObject({ config: z.optional(path), ledger: z.optional(path) }, TABLE);

const manager = z.strictObject({
  repo_path: z.optional(path),
  runs_root: z.optional(path),
  workers: z.optional(workers),
  timeout_sec: z.optional(deadline),
  poll_interval_sec: z.optional(deadline),
  repro_validation_runs: z.optional(validationRuns),
  repro_min_matches: z.optional(validationRuns),
  validation_python_version: z.optional(pythonVersion),
  worker_model: z.optional(text),
  manager_model: z.optional(text),
  agent: z.optional(agents),
  rounds: z.optional(rounds),
  stall_sec: z.optional(deadline),
  oracle_timeout_sec: z.optional(deadline),
  setup_timeout_sec: z.optional(deadline),
  allow_network: z.optional(flag),
  minimize: z.optional(flag),
  semantic_cut: z.optional(flag),
  bisect: z.optional(flag),
  comment: z.optional(flag),
  parallel: z.optional(parallel),
  sandbox: z.optional(oneOf(SANDBOX_MODES)),
  backend: z.optional(oneOf(BACKENDS)),
  budget: z.optional(amount),
  gateway: z.optional(gateway),
}, TABLE);
export type ManagerTable = z.infer<typeof manager>;

const ENTRY_NAME = "a name of 1 to 100 characters";
const schedule = z.strictObject({
  name: z.optional(z.string(ENTRY_NAME).check(z.regex(/^[^\x00-\x1f\x7f]{1,100}$/, ENTRY_NAME))),
  cron: text,
  timezone: z.optional(text),
  issue: z.optional(text),
  query: z.optional(text),
  limit: z.optional(within(1, 100)),
  repo_path: z.optional(path),
  workers: z.optional(workers),
  timeout_sec: z.optional(deadline),
  agent: z.optional(agents),
  worker_model: z.optional(text),
  manager_model: z.optional(text),
  repro_validation_runs: z.optional(validationRuns),
  if_changed: z.optional(flag),
}, TABLES);
export type ScheduleTable = z.infer<typeof schedule>;

const ADDRESS = "an address that begins with https:// or http://, without a user in it";
/** Of a place that takes messages; as it is a secret, no message says it. */
export const messageAddress = z.string(ADDRESS).check(z.refine(isMessageAddress, ADDRESS));

export const notifyEvents = ["attention", "finish", "failure"] as const;
// Not those of the API's schemas: managers would load all of them.
export const notifyKinds = ["mini", "session", "manager"] as const satisfies readonly RunKind[];
const words = <const T extends readonly string[]>(list: T) => {
  const needed = `a list of ${list.join(", ")}`;
  return z.array(z.enum(list, needed), needed);
};
const notifications = z.strictObject({
  webhook: z.optional(messageAddress),
  slack: z.optional(messageAddress),
  discord: z.optional(messageAddress),
  on: z.optional(words(notifyEvents)),
  kinds: z.optional(words(notifyKinds)),
}, TABLE);
export type NotificationsTable = z.infer<typeof notifications>;

const serve = z.strictObject({ max_running: z.optional(count) }, TABLE);

const shape = {
  manager: z.optional(manager),
  schedule: z.optional(z.array(schedule, TABLES)),
  notifications: z.optional(notifications),
  serve: z.optional(serve),
};
const settingsFile = z.strictObject(shape, TABLE);

/** The known keys of each table, by the path to it. */
const KNOWN_KEYS = new Map<string, readonly string[]>([
  ["", Object.keys(shape)],
  ["manager", Object.keys(manager.def.shape)],
  ["manager.gateway", Object.keys(gateway.def.shape)],
  ["schedule", Object.keys(schedule.def.shape)],
  ["notifications", Object.keys(notifications.def.shape)],
  ["serve", Object.keys(serve.def.shape)],
]);

/**
 * What a file may say only when somebody named it: one that lies in the current folder may have come with the project,
 * and would open the sandbox or lead the providers' keys to another address.
 */
const TRUSTED_KEYS = ["sandbox", "allow_network", "comment", "gateway"] as const;

export interface LoadedFile {
  /** The table `manager`. */
  readonly config: ManagerTable;
  readonly schedule: readonly ScheduleTable[];
  readonly notifications: NotificationsTable;
  /** Of the runs that the schedule has started, how many may go on at the same time. */
  readonly maxRunning: number | undefined;
  /** Somebody named it: it did not merely lie in the current folder. */
  readonly isNamed: boolean;
  /** Absolute; undefined: there is none. */
  readonly path: string | undefined;
  /** Where its paths begin. */
  readonly folder: string;
  /** `mminions.toml:12: manager.workers`. */
  placeOf(path: TomlPath): string;
}

const DEFAULT_NAME = "mminions.toml";

/**
 * Reads the file that was named, else `mminions.toml` in the current folder where there is one. Throws a usage `Failure`
 * that names the file, the line and the key.
 */
export async function loadSettingsFile(named: string | undefined, cwd: string): Promise<LoadedFile> {
  const name = named ?? DEFAULT_NAME;
  const file = await loadCheckedToml(name, { schema: settingsFile, cwd, unknownKey, spellingOf });
  if (file === undefined) {
    if (named !== undefined) throw missingFile(named, "MMINIONS_CONFIG");
    return {
      config: {},
      schedule: [],
      notifications: {},
      maxRunning: undefined,
      isNamed: false,
      path: undefined,
      folder: cwd,
      placeOf: () => "",
    };
  }
  const { value: { manager: config = {}, schedule = [], notifications = {}, serve }, placeOf } = file;
  const untrusted = named === undefined ? TRUSTED_KEYS.filter((key) => isRisk(key, config)) : [];
  if (untrusted.length > 0) throw untrustedFailure(untrusted.map((key) => ["manager", key]), placeOf);
  const full = resolve(cwd, name);
  return {
    config,
    schedule,
    notifications,
    maxRunning: serve?.max_running,
    isNamed: named !== undefined,
    path: full,
    folder: dirname(full),
    placeOf,
  };
}

/** For what only a file that somebody named may say. */
export function untrustedFailure(paths: readonly TomlPath[], placeOf: (path: TomlPath) => string): Failure {
  const hint = `If the file is yours, name it: \`--config ${DEFAULT_NAME}\`, or set MMINIONS_CONFIG`;
  const finding = "need a file that was named, found one that merely lies in the current folder";
  return problemsFailure(paths.map((path) => ({ path, finding, hint })), placeOf);
}

function isMessageAddress(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasProtocol = url?.protocol === "https:" || url?.protocol === "http:";
  return url !== undefined && hasProtocol && url.username === "" && url.password === "";
}

function isRisk(key: typeof TRUSTED_KEYS[number], config: ManagerTable): boolean {
  if (key === "sandbox") return config.sandbox !== undefined && config.sandbox !== "require";
  return config[key] !== undefined && config[key] !== false;
}

/** How it is written, where TOML's own forms were mixed up. */
function spellingOf(path: TomlPath, issue: z.core.$ZodIssue, root: TomlTable): string | undefined {
  const found = valueAt(root, path);
  const keys = namesIn(path).join(".");
  if (issue.message === VERSION && typeof found === "number") return "Without quotes 3.10 would be the number 3.1";
  if (issue.message === AGENTS && typeof found === "string") {
    const near = closestName(found, agentNames);
    return near === undefined ? undefined : `Did you mean "${near}"?`;
  }
  if (keys === "schedule" && !Array.isArray(valueAt(root, ["schedule"]))) {
    return "Write `[[schedule]]`, with two brackets, above each one";
  }
  if (issue.code !== "invalid_type") return undefined;
  if (issue.message === TABLE) return `Write \`[${keys}]\` above its keys`;
  if (typeof found !== "string" || issue.expected === "string") return undefined;
  return "Numbers, true and false stand without quotes";
}

/** What the command line alone can say, or says under another name. */
const FLAG_HINTS = new Map([
  ...["issue_url", "issue_file", "run_id", "ref", "script", "record", "replay", "config", "json", "quiet", "resume"]
    .map(
      (name) => [name, `It is a flag only: \`--${name.replaceAll("_", "-")}\``] as const,
    ),
  ...["min_workers", "max_workers"].map((name) =>
    [name, "It is of an older version: write `workers = 2`, as many as work at a time"] as const
  ),
  ["no_minimize", "Write `minimize = false`"],
  ["no_bisect", "Write `bisect = false`"],
  ["no_semantic_cut", "Write `semantic_cut = false`"],
  ["agents", 'Write `agent = ["codex", "mini"]`'],
  ["model", 'Write `worker_model = "…"`, or `manager_model = "…"` for the manager\'s own'],
  ["gateway_config", "Write `config` below `[manager.gateway]`"],
]);

const SCHEDULE_HINTS = new Map([
  ["issue_url", "Write `issue`: the address of one, or a file"],
  ["issue_file", "Write `issue`: the address of one, or a file"],
  ["repo", 'Write `query = "repo:OWNER/NAME is:open"`, or `repo_path` for the checkout'],
  ["max_running", "Write it below `[serve]`: it is for all entries together"],
  ["interval", 'Write `cron = "*/30 * * * *"`: minute, hour, day, month, day of the week'],
]);

function unknownKey(path: TomlPath, root: TomlTable): string {
  const key = String(path.at(-1));
  const table = namesIn(path.slice(0, -1)).join(".");
  const known = KNOWN_KEYS.get(table) ?? [];
  const near = closestName(key, known);
  const owners = [...KNOWN_KEYS].flatMap(([owner, keys]) => keys.includes(key) ? [owner] : []);
  return /^(?:api_?key|key|(?:github_)?token|secret)$/i.test(key) && typeof valueAt(root, path) === "string"
    ? "Keys and tokens never stand in the file: set GITHUB_TOKEN, and the providers' own variables"
    : (table === "schedule" ? SCHEDULE_HINTS : FLAG_HINTS).get(key.replaceAll("-", "_")) ??
      (near !== undefined
        ? `Did you mean \`${near}\`?`
        : owners.length > 0
        ? `\`${key}\` belongs into \`[${owners.join("]` or `[")}]\``
        : `Known here: ${known.join(", ")}`);
}
