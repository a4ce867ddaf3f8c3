/** The TOML file of a gateway's settings: its keys, and what is wrong with one. */
import { resolve } from "node:path";
import * as z from "zod/mini";
import { readConfigFile } from "../config/read_config_file.ts";
import { parseTomlSource, type TomlPath, type TomlSource, type TomlTable } from "../config/toml_source.ts";
import { closestName, Failure } from "../failure.ts";
import { withoutBrackets } from "./loopback.ts";
import { isRunName } from "./names.ts";

// The message of each type is what was needed; what was found is added when a failure is told.
const TEXT = "a text";
export const text = z.string(TEXT).check(z.minLength(1, TEXT));
const texts = z.array(text, "a list of texts");
const PATH = 'a path that is written out ("~" is not read here)';
export const path = z.string(PATH).check(z.minLength(1, PATH), z.refine((text) => !/^~/.test(text), PATH));
const flag = z.boolean("true or false");
const NAME = 'a name of letters, digits, ".", "_" and "-"';
const name = z.string(NAME).check(z.regex(/^[A-Za-z0-9][\w.-]{0,127}$/, NAME));
export const runName = z.string(NAME).check(z.refine(isRunName, NAME));
// Capitals only: a key that somebody wrote here by mistake must not be taken for a name, and told.
const VARIABLE = "the name of a variable in capitals, such as MY_API_KEY";
const variable = z.string(VARIABLE).check(z.regex(/^[A-Z_][A-Z0-9_]*$/, VARIABLE));
const AMOUNT = "a number of 0 or more";
export const amount = z.number(AMOUNT).check(z.minimum(0, AMOUNT));
// The dearest models cost less than a thousandth: more is a price per million tokens, or per thousand.
const PRICE = "USD per token, from 0 to 0.01";
const tokenPrice = z.number(PRICE).check(z.minimum(0, PRICE), z.maximum(0.01, PRICE));
const POSITIVE = "a number above 0";
const positive = z.number(POSITIVE).check(z.positive(POSITIVE));
const COUNT = "a whole number of 1 or more";
const count = z.number(COUNT).check(z.minimum(1, COUNT), z.refine(Number.isSafeInteger, COUNT));
// setTimeout fires at once beyond 2^31 ms.
const MAX_SECONDS = 2_147_483;
const WAIT = `a number of seconds from 0 to ${MAX_SECONDS}`;
const wait = z.number(WAIT).check(z.minimum(0, WAIT), z.maximum(MAX_SECONDS, WAIT));
const DEADLINE = `a number of seconds above 0, at most ${MAX_SECONDS}`;
const deadline = z.number(DEADLINE).check(z.positive(DEADLINE), z.maximum(MAX_SECONDS, DEADLINE));
const PORT = "a whole number from 0 to 65535";
export const port = z.number(PORT).check(z.minimum(0, PORT), z.maximum(65_535, PORT), z.refine(Number.isInteger, PORT));
const HOST = "a host name or an address, without a port";
export const host = z.string(HOST).check(z.refine(isHost, HOST));
const oneOf = <const T extends readonly string[]>(...words: T) => z.enum(words, `one of ${words.join(", ")}`);
const TABLE = "a table";
const TABLES = "a list of tables";

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
    z.array(oneOf("anthropic", "openai_chat", "openai_responses", "gemini"), "a list of dialects")
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
  unknown_price: z.optional(oneOf("refuse", "allow")),
  uncounted: z.optional(oneOf("reservation", "estimate")),
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
  /** `gateway.toml:12: upstream.base_url`. */
  placeOf(path: TomlPath): string;
}

export interface Problem {
  readonly path: TomlPath;
  readonly finding: string;
  readonly hint?: string;
}

/** Undefined: there is none, and nothing is set. Throws a usage `Failure` that names the file, the line and the key. */
export async function loadSettingsFile(path: string | undefined, cwd: string): Promise<LoadedFile> {
  if (path === undefined) return { config: {}, placeOf: () => "" };
  const content = await readConfigFile(resolve(cwd, path));
  if (content === undefined) {
    throw new Failure("usage", `Cannot read the configuration: need a file for "${path}", found nothing there`, {
      hints: ["Correct `--config` or GOCORE_GATEWAY_CONFIG, whichever names it"],
    });
  }
  const toml = await parseTomlSource(content, path);
  const placeOf = (key: TomlPath) => {
    const keys = namesIn(key).join(".");
    return `${path}:${toml.lineOf(key)}${keys === "" ? "" : `: ${keys}`}`;
  };
  const result = settingsFile.safeParse(toml.value);
  if (result.success) return { config: result.data, placeOf };
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, toml));
  throw problemsFailure(problems, placeOf);
}

function problemsOf(issue: z.core.$ZodIssue, toml: TomlSource): Problem[] {
  const path = issue.path.filter((key) => typeof key !== "symbol");
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey([...path, key], toml.value));
  const found = valueAt(toml.value, path);
  const [isType, isWord] = [issue.code === "invalid_type", issue.code === "invalid_value"];
  const finding = isType && typeof found === "string" ? "a text" : describe(found, isWord);
  return [{ path, finding: `need ${issue.message}, found ${finding}`, hint: spellingOf(path, issue, toml.value) }];
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

function unknownKey(path: TomlPath, root: TomlTable): Problem {
  const key = String(path.at(-1));
  const known = KNOWN_KEYS.get(namesIn(path.slice(0, -1)).join(".")) ?? [];
  const near = known.find((name) => name.startsWith(`${key}_`) || name.endsWith(`_${key}`)) ?? closestName(key, known);
  const owners = [...KNOWN_KEYS].flatMap(([table, keys]) => keys.includes(key) ? [table] : []);
  const flag = path.length === 1 ? FLAG_HINTS.get(key.replaceAll("-", "_")) : undefined;
  const isText = typeof valueAt(root, path) === "string";
  const hint = isText && /^(api_?key|key|token|secret|auth_token)$/i.test(key)
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
  return { path, finding: "nobody reads this key", hint };
}

const MAX_PROBLEMS = 8;

export function problemsFailure(problems: readonly Problem[], placeOf: LoadedFile["placeOf"]): Failure {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, finding }) => `${placeOf(path)}: ${finding}`);
  if (problems.length > lines.length) lines.push(`and ${problems.length - lines.length} more`);
  const hints = [...new Set(problems.slice(0, MAX_PROBLEMS).flatMap(({ hint }) => hint ?? []))];
  return new Failure(
    "usage",
    `Cannot use the configuration:${lines.length === 1 ? ` ${lines[0]}` : ["", ...lines].join("\n  ")}`,
    { hints: hints.length > 0 ? hints : ["README shows a file with every key"] },
  );
}

/** Without the indexes of lists: the line says which table it is. */
export function namesIn(path: TomlPath): string[] {
  return path.filter((key) => typeof key === "string");
}

export function valueAt(root: unknown, path: TomlPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    root,
  );
}

/** Texts are told only where one of a few words was needed: anywhere else one may be a secret. */
export function describe(value: unknown, isWord: boolean): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a table";
  if (typeof value !== "string") return String(value);
  return value === "" ? "an empty text" : isWord && value.length <= 32 ? JSON.stringify(value) : "another text";
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

/** An empty variable is one that is not set. */
export function given(value: string | undefined): string | undefined {
  return value?.trim() || undefined;
}

export function bothNamed(path: TomlPath, other: string, file: LoadedFile): Failure {
  return problemsFailure(
    [{ path, finding: `need one place for the secret, found \`${other}\` beside it` }],
    file.placeOf,
  );
}
