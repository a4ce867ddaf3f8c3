/** The TOML file of an orchestration's settings: its keys, and what is wrong with one. */
import { dirname, resolve } from "node:path";
import * as z from "zod/mini";
import { loadCheckedToml, missingFile, namesIn, valueAt } from "../../config/checked_toml.ts";
import {
  amount,
  count,
  deadline,
  flag,
  oneOf,
  path,
  port,
  positive,
  TABLE,
  TABLES,
  text,
  texts,
  wait,
  whole,
} from "../../config/setting_types.ts";
import type { TomlPath, TomlTable } from "../../config/toml_source.ts";
import { actions, verdicts } from "../../events/session_events.ts";
import { closestName } from "../../failure.ts";
import { host } from "../../gateway/settings_file.ts";
import { commandRule } from "../../safety/command_policy/rules.ts";

// The message of each type is what was needed; what was found is added when a failure is told.
const PERCENT = "a number from 0 to 100";
export const percent = z.number(PERCENT).check(z.minimum(0, PERCENT), z.maximum(100, PERCENT));
const VARIABLES = "a list of names of variables";
const variable = z.string(VARIABLES).check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, VARIABLES));
const paths = z.array(path, "a list of paths");
const byAgent = <T extends z.ZodMiniType>(type: T) => z.optional(z.record(z.string(), type, TABLE));

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export const SANDBOX_MODES = ["require", "prefer", "off"] as const;
export const BACKENDS = ["process", "tmux"] as const;

const policyRule = z.strictObject({
  name: text,
  verdict: oneOf([...verdicts, "none"]),
  at_least: z.optional(positive),
  agents: z.optional(texts),
  action: oneOf(actions),
}, TABLE);

const reviews = z.strictObject({
  enabled: z.optional(flag),
  reviewers: z.optional(count),
  revisions: z.optional(whole),
  silence_sec: z.optional(deadline),
  recheck_sec: z.optional(deadline),
  cooldown_sec: z.optional(wait),
  timeout_sec: z.optional(deadline),
}, TABLE);

const liveness = z.strictObject({
  stall_sec: z.optional(deadline),
  spin_repeats: z.optional(count),
  wait_sec: z.optional(deadline),
}, TABLE);

const limits = z.strictObject({
  cpu_percent: z.optional(percent),
  memory_mb: z.optional(amount),
  timeout_sec: z.optional(wait),
  output_mb: z.optional(amount),
}, TABLE);

const sandbox = z.strictObject({
  mode: z.optional(oneOf(SANDBOX_MODES)),
  hide_home: z.optional(flag),
  writable: z.optional(paths),
  readable: z.optional(paths),
}, TABLE);

const orchestrate = z.strictObject({
  target: z.optional(path),
  workspace: z.optional(path),
  host: z.optional(host),
  port: z.optional(port),
  dashboard: z.optional(flag),
  log_level: z.optional(oneOf(LOG_LEVELS)),
  /** As `--agents`; `agents` are those that are declared here. */
  use: z.optional(texts),
  models: byAgent(text),
  /** Of verdicts. */
  weights: byAgent(amount),
  budget: z.optional(amount),
  agent_budgets: byAgent(amount),
  plan: z.optional(path),
  verify: z.optional(text),
  verify_timeout_sec: z.optional(deadline),
  shared: z.optional(flag),
  apply: z.optional(flag),
  policy: z.optional(z.array(policyRule, TABLES)),
  reviews: z.optional(reviews),
  liveness: z.optional(liveness),
  limits: z.optional(limits),
  sandbox: z.optional(sandbox),
  backend: z.optional(oneOf(BACKENDS)),
  answer_timeout_sec: z.optional(wait),
  grace_sec: z.optional(wait),
  max_attempts: z.optional(count),
  concurrency: z.optional(count),
  arguments: byAgent(texts),
  /** `readDeclaredAgents` knows their keys. */
  agents: z.optional(z.unknown()),
  forward_env: z.optional(z.array(variable, VARIABLES)),
  gateway_config: z.optional(path),
  ledger: z.optional(path),
}, TABLE);

const rule = z.strictObject(commandRule.def.shape, TABLE);
const shape = { orchestrate: z.optional(orchestrate), command_rules: z.optional(z.array(rule, TABLES)) };
const settingsFile = z.strictObject(shape, TABLE);

/** The known keys of each table, by the path to it without the indexes of lists. */
const KNOWN_KEYS = new Map<string, readonly string[]>([
  ["", Object.keys(shape)],
  ["orchestrate", Object.keys(orchestrate.def.shape)],
  ["orchestrate.policy", Object.keys(policyRule.def.shape)],
  ["orchestrate.reviews", Object.keys(reviews.def.shape)],
  ["orchestrate.liveness", Object.keys(liveness.def.shape)],
  ["orchestrate.limits", Object.keys(limits.def.shape)],
  ["orchestrate.sandbox", Object.keys(sandbox.def.shape)],
  ["command_rules", Object.keys(rule.def.shape)],
]);

export interface LoadedFile {
  /** The table `orchestrate`. */
  readonly config: z.infer<typeof orchestrate>;
  readonly commandRules: readonly z.infer<typeof rule>[];
  /** Where its paths begin. */
  readonly folder: string;
  /** `gocore.toml:12: orchestrate.budget`. */
  placeOf(path: TomlPath): string;
}

/** Undefined: there is none, and nothing is set. Throws a usage `Failure` that names the file, the line and the key. */
export async function loadSettingsFile(path: string | undefined, cwd: string): Promise<LoadedFile> {
  if (path === undefined) return { config: {}, commandRules: [], folder: cwd, placeOf: () => "" };
  const file = await loadCheckedToml(path, { schema: settingsFile, cwd, unknownKey, spellingOf });
  if (file === undefined) throw missingFile(path, "GOCORE_ORCHESTRATE_CONFIG");
  const { orchestrate: config = {}, command_rules: commandRules = [] } = file.value;
  return { config, commandRules, folder: dirname(resolve(cwd, path)), placeOf: file.placeOf };
}

/** How it is written, where TOML's own forms were mixed up. */
function spellingOf(path: TomlPath, issue: z.core.$ZodIssue, root: TomlTable): string | undefined {
  const found = valueAt(root, path);
  const keys = namesIn(path).join(".");
  const key = String(path.findLast((part) => typeof part === "string"));
  if (keys === "orchestrate.sandbox" && typeof found === "string") {
    return 'Write `mode = "…"` below `[orchestrate.sandbox]`';
  }
  if (issue.code !== "invalid_type") return undefined;
  if (LISTS.includes(keys)) return `Write \`[[${keys}]]\`, with two brackets, above each one`;
  if (issue.message === TABLE) return `Write \`[${keys}]\` above its keys`;
  if (issue.expected === "array") return `Write it in brackets: \`${key} = ["…"]\``;
  if (typeof found !== "string") return undefined;
  return issue.expected === "string" ? undefined : "Numbers, true and false stand without quotes";
}

const LISTS = ["orchestrate.policy", "command_rules"];

/** What the command line alone can say, or says under another name. */
const FLAG_HINTS = new Map([
  ...["record", "replay", "script", "config", "json", "resume", "task"].map((name) =>
    [name, `It is a flag only: \`--${name}\``] as const
  ),
  ["verbose", 'Write `log_level = "debug"`'],
  ["no_dashboard", "Write `dashboard = false`"],
  ["no_apply", "Write `apply = false`"],
  ["no_reviews", "Write `enabled = false` below `[orchestrate.reviews]`"],
  ["model", 'Write `claude = "…"` below `[orchestrate.models]`'],
  ["agent_budget", "Write `claude = 1.50` below `[orchestrate.agent_budgets]`"],
  ...["cpu_percent", "memory_mb", "timeout_sec"].map((name) =>
    [`worker_${name}`, `Write \`${name}\` below \`[orchestrate.limits]\``] as const
  ),
]);

function unknownKey(path: TomlPath, root: TomlTable): string {
  const key = String(path.at(-1));
  const table = namesIn(path.slice(0, -1)).join(".");
  const known = KNOWN_KEYS.get(table) ?? [];
  const near = closestName(key, known);
  const owners = [...KNOWN_KEYS].flatMap(([owner, keys]) => keys.includes(key) ? [owner] : []);
  return /^(?:api_?key|key|token|secret)$/i.test(key) && typeof valueAt(root, path) === "string"
    ? "Keys and tokens never stand in the file: set GOCORE_ORCHESTRATE_TOKEN, and the providers' own variables"
    : FLAG_HINTS.get(key.replaceAll("-", "_")) ??
      (owners.includes("")
        ? `\`${key}\` belongs outside of \`[orchestrate]\``
        : owners.length > 0
        ? `\`${key}\` belongs into \`[${owners.join("]` or `[")}]\``
        : near !== undefined
        ? `Did you mean \`${near}\`?`
        : `Known here: ${known.join(", ")}`);
}
