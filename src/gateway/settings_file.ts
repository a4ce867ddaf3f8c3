/** The TOML file of a gateway's settings: its keys, and what is wrong with one. */
import * as z from "zod/mini";
import {
  type CheckedToml,
  describe,
  loadCheckedToml,
  missingFile,
  namesIn,
  problemsFailure,
  valueAt,
} from "../config/checked_toml.ts";
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
} from "../config/setting_types.ts";
import type { TomlPath, TomlTable } from "../config/toml_source.ts";
import { closestName, Failure } from "../failure.ts";
import { withoutBrackets } from "./loopback.ts";
import { isRunName } from "./names.ts";

// The message of each type is what was needed; what was found is added when a failure is told.
const NAME = 'a name of letters, digits, ".", "_" and "-"';
const name = z.string(NAME).check(z.regex(/^[A-Za-z0-9][\w.-]{0,127}$/, NAME));
export const runName = z.string(NAME).check(z.refine(isRunName, NAME));
// Capitals only: a key that somebody wrote here by mistake must not be taken for a name, and told.
const VARIABLE = "the name of a variable in capitals, such as MY_API_KEY";
const variable = z.string(VARIABLE).check(z.regex(/^[A-Z_][A-Z0-9_]*$/, VARIABLE));
// The dearest models cost less than a thousandth: more is a price per million tokens, or per thousand.
const PRICE = "USD per token, from 0 to 0.01";
const tokenPrice = z.number(PRICE).check(z.minimum(0, PRICE), z.maximum(0.01, PRICE));
const HOST = "a host name or an address, without a port";
export const host = z.string(HOST).check(z.refine(isHost, HOST));

const caps = z.strictObject({
  run_usd: z.optional(amount),
  worker_usd: z.optional(amount),
  key_usd: z.optional(amount),
  day_usd: z.optional(amount),
}, TABLE);

const limits = z.strictObject({
  body_mb: z.optional(positive),
  header_kb: z.optional(positive),
  request_seconds: z.optional(deadline),
  first_byte_seconds: z.optional(deadline),
  idle_seconds: z.optional(deadline),
  call_seconds: z.optional(deadline),
  queue_seconds: z.optional(wait),
  drain_seconds: z.optional(wait),
}, TABLE);

const upstream = z.strictObject({
  name,
  provider: z.optional(text),
  base_url: z.optional(text),
  key_env: z.optional(variable),
  key_file: z.optional(path),
  keyless: z.optional(flag),
  dialects: z.optional(
    z.array(oneOf(["anthropic", "openai_chat", "openai_responses", "gemini"]), "a list of dialects")
      .check(z.minLength(1, "a list with a dialect")),
  ),
  models: z.optional(texts),
}, TABLE);

const rate = z.strictObject({
  upstream: z.optional(text),
  model: z.optional(text),
  concurrency: z.optional(count),
  requests_per_minute: z.optional(positive),
  tokens_per_minute: z.optional(positive),
}, TABLE);

const target = z.strictObject({ upstream: z.optional(name), model: z.optional(text) }, TABLE);
const fallback = z.strictObject({ model: text, to: z.array(target, TABLES).check(z.minLength(1, TABLES)) }, TABLE);

/** litellm's registry has many more keys, so its entries can be copied here. */
const price = z.looseObject({
  input_cost_per_token: tokenPrice,
  output_cost_per_token: tokenPrice,
  cache_read_input_token_cost: z.optional(tokenPrice),
  cache_creation_input_token_cost: z.optional(tokenPrice),
  cache_creation_input_token_cost_above_1hr: z.optional(tokenPrice),
}, TABLE);

const shape = {
  host: z.optional(host),
  port: z.optional(port),
  ledger: z.optional(path),
  run: z.optional(runName),
  require_key: z.optional(flag),
  token_env: z.optional(variable),
  token_file: z.optional(path),
  allowed_hosts: z.optional(z.array(host, "a list of host names")),
  unknown_price: z.optional(oneOf(["refuse", "allow"])),
  uncounted: z.optional(oneOf(["reservation", "estimate"])),
  assumed_output_tokens: z.optional(count),
  attempts: z.optional(count),
  caps: z.optional(caps),
  limits: z.optional(limits),
  upstream: z.optional(z.array(upstream, TABLES)),
  rate: z.optional(z.array(rate, TABLES)),
  fallback: z.optional(z.array(fallback, TABLES)),
  prices: z.optional(z.record(z.string(), price, TABLE)),
};
const settingsFile = z.strictObject(shape, TABLE);
type SettingsFile = z.infer<typeof settingsFile>;
export type UpstreamEntry = z.infer<typeof upstream>;

/** The known keys of each table, by the path to it without the indexes of lists. */
const KNOWN_KEYS = new Map<string, readonly string[]>([
  ["", Object.keys(shape)],
  ["caps", Object.keys(caps.def.shape)],
  ["limits", Object.keys(limits.def.shape)],
  ["upstream", Object.keys(upstream.def.shape)],
  ["rate", Object.keys(rate.def.shape)],
  ["fallback", Object.keys(fallback.def.shape)],
  ["fallback.to", Object.keys(target.def.shape)],
]);

export interface LoadedFile {
  readonly config: SettingsFile;
  readonly placeOf: CheckedToml<SettingsFile>["placeOf"];
}

/** Undefined: there is none, and nothing is set. Throws a usage `Failure` that names the file, the line and the key. */
export async function loadSettingsFile(path: string | undefined, cwd: string): Promise<LoadedFile> {
  if (path === undefined) return { config: {}, placeOf: () => "" };
  const file = await loadCheckedToml(path, { schema: settingsFile, cwd, unknownKey, spellingOf });
  if (file === undefined) throw missingFile(path, "GOCORE_GATEWAY_CONFIG");
  return { config: file.value, placeOf: file.placeOf };
}

/** How it is written, where TOML's own forms were mixed up or a unit was. */
function spellingOf(path: TomlPath, issue: z.core.$ZodIssue, root: TomlTable): string | undefined {
  const key = namesIn(path).at(-1)!;
  const found = valueAt(root, path);
  const list = String(path[0]);
  if (list === "prices") {
    const entry = path.length === 3 && found === undefined ? valueAt(root, path.slice(0, 2)) : undefined;
    const inner = Object.entries(entry ?? {}).find(([, value]) => typeof value === "object")?.[0];
    return inner === undefined
      ? 'Write for example `[prices."qwen*"]` and, for 0.20 USD per million tokens, `input_cost_per_token = 2e-7`'
      : `A name with a dot in it stands in quotes: \`[prices."${path[1]}.${inner}"]\``;
  }
  if (issue.code !== "invalid_type") return undefined;
  if (key === "to") return 'Write a list of tables, such as `to = [{ model = "gpt-4.1" }]`';
  if (issue.message === TABLES || issue.message === TABLE && LISTS.includes(list)) {
    return `Write \`[[${list}]]\`, with two brackets, above each one`;
  }
  if (issue.expected === "array") return `Write it in brackets: \`${key} = ["…"]\``;
  if (typeof found !== "string") return undefined;
  return issue.expected === "string" ? undefined : "Numbers, true and false stand without quotes";
}

const LISTS = ["upstream", "rate", "fallback"];

/** What the command line alone can say, or says under another name. */
const FLAG_HINTS = new Map([
  ...["record", "replay", "script", "config", "json"].map((flag) =>
    [flag, `It is a flag only: \`--${flag}\``] as const
  ),
  ...["run", "worker", "key", "day"].map((scope) =>
    [`cap_${scope}`, `Write \`${scope}_usd\` below \`[caps]\``] as const
  ),
]);

function unknownKey(path: TomlPath, root: TomlTable): string {
  const key = String(path.at(-1));
  const known = KNOWN_KEYS.get(namesIn(path.slice(0, -1)).join(".")) ?? [];
  const near = known.find((name) => name.startsWith(`${key}_`) || name.endsWith(`_${key}`)) ?? closestName(key, known);
  const owners = [...KNOWN_KEYS].flatMap(([table, keys]) => keys.includes(key) ? [table] : []);
  const flag = path.length === 1 ? FLAG_HINTS.get(key.replaceAll("-", "_")) : undefined;
  const isText = typeof valueAt(root, path) === "string";
  return isText && /^(api_?key|key|token|secret|auth_token)$/i.test(key)
    ? `Keys and tokens never stand in the file: name a variable with \`${
      path.length === 1 ? "token_env" : "key_env"
    }\`, or a file with \`${path.length === 1 ? "token_file" : "key_file"}\``
    : flag !== undefined
    ? flag
    : near !== undefined
    ? `Did you mean \`${near}\`?`
    : owners.includes("")
    ? `\`${key}\` belongs above the first \`[table]\``
    : owners.length > 0
    ? `\`${key}\` belongs into \`${owners.join("` or `")}\``
    : `Known here: ${known.join(", ")}`;
}

function isHost(text: string): boolean {
  return /^[A-Za-z0-9.-]+$/.test(text) || URL.canParse(`http://[${withoutBrackets(text)}]`);
}

/** The value of a flag; undefined when it was not given. */
export function checked<T>(type: z.ZodMiniType<T>, value: T | undefined, flag: string): T | undefined {
  if (value === undefined) return undefined;
  const result = type.safeParse(value);
  if (result.success) return result.data;
  const needed = result.error.issues[0]!.message;
  throw new Failure("usage", `Cannot use ${flag}: need ${needed}, found ${describe(value, true)}`, {
    hints: ["`gocore gateway --help` explains every flag"],
  });
}

export function bothNamed(path: TomlPath, other: string, file: LoadedFile): Failure {
  return problemsFailure(
    [{ path, finding: `need one place for the secret, found \`${other}\` beside it` }],
    file.placeOf,
  );
}
