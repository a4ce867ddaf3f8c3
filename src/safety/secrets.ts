/** Keeps credentials out of what is stored and shown: which names hold secrets, and how secrets are taken out of text. */

/** What stands in place of a secret. */
export const REDACTED = "[redacted]";

// --- names

const words = (list: string) => new Set(list.split(" "));

/** Secret wherever it stands in a name, whatever follows. */
const SECRET_PART = /SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|APIKEY|CONNECTION_?STRING/;
/** Secret as the last word of a name. */
const SECRET_LAST = words(
  "TOKEN PASS CREDS COOKIE COOKIES JWT PAT AUTH AUTHORIZATION BEARER WEBHOOK AUTHKEY ACCESSKEY",
);
/** Not secret when it is the whole name: the working directory, a verb, a column. */
const NOT_ALONE = words("PASS PAT PWD BEARER WEBHOOK");
/** `…_KEY` is secret, except for the keys of tables, caches and keyboards, and for those that are public. */
const PLAIN_KEYS = words(
  "PUBLIC PRIMARY FOREIGN SORT CACHE PARTITION GPG HOST HOT SHORTCUT OBJECT INDEX MAP GROUP UNIQUE ROW COLUMN " +
    "IDEMPOTENCY TRANSLATION STATUS LOCALE I18N MESSAGE DICT JSON ARROW REGISTRY SEARCH ANY",
);
/** `…_KEYS` is secret after one of these only. */
const SECRET_KEYS = words("API ACCESS PRIVATE SECRET SIGNING ENCRYPTION AUTH MASTER");
/** Tokens of language models and of lists that come in pages. */
const PLAIN_TOKENS = words("MAX MIN EOS BOS PAD UNK CLS SEP MASK STOP NEXT PAGE CONTINUATION CANCELLATION FIRST LAST");
/** What comes after `AUTH` when the value is still the secret. */
const AUTH_VALUES = words("CONFIG HEADER STRING DATA VALUE BASIC");
const MAX_NAME_LENGTH = 200;

/**
 * Whether an environment variable, header or configuration key of this name holds a credential: `OPENAI_API_KEY`,
 * `githubToken`, `x-api-key`, `DB_PASSWORD`, but not `SSH_AUTH_SOCK`, `TOKENIZERS_PARALLELISM` or `max_tokens`.
 */
export function isSecretName(name: string): boolean {
  const known = judgedNames.get(name);
  if (known !== undefined) return known;
  const isSecret = judgeName(name);
  if (judgedNames.size < MAX_JUDGED_NAMES && name.length <= MAX_NAME_LENGTH) judgedNames.set(name, isSecret);
  return isSecret;
}

/** Events and requests have the same names again and again. */
const judgedNames = new Map<string, boolean>();
const MAX_JUDGED_NAMES = 2000;

function judgeName(name: string): boolean {
  const parts = name.slice(-MAX_NAME_LENGTH)
    .split(/[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .map((part) => part.toUpperCase())
    .filter((part) => part !== "");
  if (SECRET_PART.test(parts.join("_"))) return true;
  // `API_KEY_2` and `TOKEN_BASE64` are secret like the name without the end; of a pair, `ACCESS_KEY_ID` goes with the key.
  while (parts.length > 1 && /^(?:\d+|B64|BASE64)$/.test(parts.at(-1)!)) parts.pop();
  if (parts.at(-1) === "ID" && parts.at(-2) === "KEY") parts.pop();
  const last = (parts.at(-1) ?? "").replace(/\d+$/, "");
  const before = parts.at(-2) ?? "";
  if (NOT_ALONE.has(last) && before === "") return false;
  if (last === "KEY") return before !== "" && !PLAIN_KEYS.has(before);
  if (last === "KEYS") return SECRET_KEYS.has(before);
  if (last === "PWD") return before !== "OLD";
  if (last === "TOKEN") return !PLAIN_TOKENS.has(before);
  if (last.endsWith("TOKEN")) return true;
  if (last === "URL") return before === "WEBHOOK";
  return SECRET_LAST.has(last) || before === "AUTH" && AUTH_VALUES.has(last);
}

/** The environment in two parts by `isSecretName`: what a child process may see, and what it gets only when it is named. */
export function splitSecrets(
  env: Readonly<Record<string, string>>,
): { plain: Record<string, string>; secret: Record<string, string> } {
  const groups = Object.groupBy(Object.entries(env), ([name]) => isSecretName(name) ? "secret" : "plain");
  return { plain: Object.fromEntries(groups.plain ?? []), secret: Object.fromEntries(groups.secret ?? []) };
}

// --- values

const MIN_SECRET_LENGTH = 6;
// Redacting these would take ordinary words and numbers out of every text.
const NO_SECRET =
  /^(?:true|false|none|null|undefined|unset|disabled?|enabled?|default|auto|basic|bearer|optional|required|changeme|\d{1,9})$/i;
/** Starts at a literal and is bounded, so that a long value costs linear time. */
const URL_PASSWORD = /:\/\/[^\s\/?#@:]{0,256}:([^\s\/?#]{1,1024})@/g;

/** A header's value, whose secret is the second part. */
const WITH_SCHEME = /^(?:bearer|basic|token)\s+(\S+)$/i;

/**
 * The values in an environment or a configuration that must not be shown: those of secret names, and passwords in URLs
 * (`scheme://user:password@`) under any name, as written and decoded. Values that cannot be told from ordinary words or
 * numbers are not taken.
 *
 * @param values may hold mappings and lists; a list's elements have the name of the list
 */
export function secretsIn(values: Readonly<Record<string, unknown>>): string[] {
  const found = new Set<string>();
  for (const [name, value] of namedTexts(values)) {
    if (isSecretName(name)) {
      found.add(value.trim());
      found.add(WITH_SCHEME.exec(value.trim())?.[1] ?? "");
    }
    for (const [, password = ""] of value.matchAll(URL_PASSWORD)) {
      found.add(password);
      found.add(percentDecoded(password));
    }
  }
  return [...found].filter((value) => value.length >= MIN_SECRET_LENGTH && !NO_SECRET.test(value));
}

function* namedTexts(value: unknown, name = ""): Generator<[name: string, text: string]> {
  if (typeof value === "string") yield [name, value];
  else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) yield* namedTexts(member, Array.isArray(value) ? name : key);
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Shorter ones would take pieces of ordinary words out of every text. */
const MIN_REDACTED_LENGTH = 4;

/** The secret as it appears in text: itself, and inside URLs, JSON (also JSON in JSON) and base64. */
function formsOf(secret: string): string[] {
  const text = secret.toWellFormed();
  const url = encodeURIComponent(text);
  const json = JSON.stringify(secret).slice(1, -1);
  const base64 = toBase64(new TextEncoder().encode(text));
  const base64Url = base64.replaceAll("+", "-").replaceAll("/", "_");
  return [
    secret,
    url,
    url.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()),
    url.replaceAll("%20", "+"),
    json,
    JSON.stringify(json).slice(1, -1),
    ...[base64, base64Url].flatMap((form) => [form, form.replaceAll("=", "")]),
  ];
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

// --- shapes

/**
 * Where a token may begin: not inside a word, but after an escape of JSON (`\n`) or of a URL (`%20`), whose last letter
 * is none of the text's.
 */
const startOutside = (word: string) => String.raw`(?:(?<!${word})|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2}))`;

/**
 * Credentials that are known by their look. Each begins with a literal and can fail only within a bounded number of
 * characters (or, the JSON web token, once per run of its characters), so that no text costs more than linear time.
 */
const SHAPES = new RegExp(
  startOutside("[A-Za-z0-9]") + "(?:" + [
    // OpenAI, Anthropic, OpenRouter and others. Hyphenated words alone are CSS classes (`sk-folding-cube`).
    String.raw`sk-(?:(?:ant|proj|or|svcacct|admin|lf)-[\w-]{12,}|[A-Za-z0-9]{20,}|(?=[\w-]{0,60}\d)[\w-]{32,})`,
    String.raw`[sr]k_(?:live|test)_[A-Za-z0-9]{16,}`,
    String.raw`gh[opsru]_[A-Za-z0-9]{16,}`,
    String.raw`github_pat_\w{20,}`,
    String.raw`glpat-[\w-]{16,}`,
    String.raw`(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])`,
    String.raw`AIza[\w-]{30,}`,
    String.raw`xox[abeoprs]-[A-Za-z0-9-]{10,}`,
    String.raw`xapp-[A-Za-z0-9-]{20,}`,
    String.raw`hf_[A-Za-z0-9]{30,}`,
    String.raw`npm_[A-Za-z0-9]{36}`,
    String.raw`gsk_[A-Za-z0-9]{40,}`,
    String.raw`xai-[A-Za-z0-9]{40,}`,
    // The gateway's own, which are issued while it runs.
    String.raw`gck_[A-Za-z0-9]{32}(?![A-Za-z0-9])`,
    startOutside(String.raw`[\w-]`) + String.raw`eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`,
  ].join("|") + ")",
  "g",
);

/** What may stand between the name of a header and its value: `: `, `": "`, `\": \"`, ` = '`. */
const QUOTE = String.raw`\\{0,3}["'` + "`]";
/** A literal, not the name of a variable in a template: those begin with `$`, `{`, `<` or `%`. */
const TOKEN_CHARACTERS = String.raw`[\w.~+\/=:-]`;
/** Header values. An unquoted value after a quoted name is program code (`"x-api-key": apiKey`), and stays. */
const HEADERS = new RegExp(
  "(" + [
    String.raw`authorization(?:${QUOTE})?\s{0,3}[:=]\s{0,3}[bfru]?(?:${QUOTE})?(?:bearer|basic|token|apikey)\s{1,3}` +
    `(?=${TOKEN_CHARACTERS}{3})`,
    String.raw`\bbearer\s{1,3}(?=${TOKEN_CHARACTERS}{20})`,
    String.raw`\b(?:x-api-key|x-goog-api-key|api-key|private-token|x-auth-token|x-amz-security-token)` +
    String.raw`(?::\s{0,3}|${QUOTE}\s{0,3}[:=,]\s{0,3}[bfru]?${QUOTE})(?=${TOKEN_CHARACTERS}{6})`,
  ].join("|") + `)${TOKEN_CHARACTERS}+`,
  "gi",
);

const PEM_BEGIN = "-----BEGIN ";
const PEM_END = "-----END ";
const PEM_HEADER = /-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----/y;
const PEM_FOOTER = /-----END [A-Z0-9 ]{1,60}-----/y;
const MAX_PEM_LENGTH = 64 * 1024;
/** The body of a key whose end was cut off. Nothing follows the star, so nothing is tried twice. */
const PEM_BODY = /(?:(?:\s|\\[nrt])*[A-Za-z0-9+\/=]{16,})*/y;

/** By hand, because a pattern that looks for the end from each of many beginnings takes quadratic time. */
function redactPrivateKeys(text: string): string {
  let result = "";
  let kept = 0;
  let end = -1;
  for (let begin = text.indexOf(PEM_BEGIN); begin !== -1; begin = text.indexOf(PEM_BEGIN, begin + 1)) {
    if (begin < kept) continue;
    const body = matchEnd(PEM_HEADER, text, begin);
    if (body === -1) continue;
    if (end < body && end !== Infinity) {
      end = text.indexOf(PEM_END, body);
      if (end === -1) end = Infinity;
    }
    const nextBegin = text.indexOf(PEM_BEGIN, body);
    const complete = end - begin <= MAX_PEM_LENGTH && (nextBegin === -1 || end < nextBegin);
    const after = complete ? Math.max(matchEnd(PEM_FOOTER, text, end), end) : matchEnd(PEM_BODY, text, body);
    if (!complete && after === body) continue;
    result += text.slice(kept, begin) + REDACTED;
    kept = after;
  }
  return kept === 0 ? text : result + text.slice(kept);
}

/** Where the sticky pattern's match at `at` ends, or -1. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

// --- the redactor

/** A placeholder, perhaps after a scheme: `$KEY`, `${KEY}`, `{{ key }}`, `<key>`, `%KEY%`, `Bearer $KEY`. */
const TEMPLATE = /^(?:[A-Za-z]{1,12} )?(?:\$\w+|\$?\{[^{}]*\}|\{\{[^{}]*\}\}|<[^<>]*>|%\w+%|\$\([^()]*\))$/;
const PLAIN_VALUE = /^(?:[-+]?[\d.]+|true|false|none|null|undefined)$/i;
/** Nothing that a model or a provider says nests deeper, and the stack is finite. */
const MAX_DEPTH = 500;

/**
 * Replaces secrets by `[redacted]`: the given ones by value, in their URL-encoded, JSON-escaped and (whole) base64 form
 * too, and any credential of a well-known look. A given secret shorter than 4 characters is ignored. Redacting twice
 * changes nothing more.
 */
export class Redactor {
  readonly #values: RegExp | undefined;

  constructor(secrets: Iterable<string> = []) {
    const forms = new Set<string>();
    for (const secret of secrets) {
      if (secret.trim().length < MIN_REDACTED_LENGTH || secret === REDACTED) continue;
      for (const form of formsOf(secret)) forms.add(form);
    }
    if (forms.size === 0) return;
    // The longest first, or a secret that begins with another one would show its rest.
    const alternatives = [...forms].sort((a, b) => b.length - a.length).map(quoted);
    this.#values = new RegExp(alternatives.join("|"), "g");
  }

  redact(text: string): string {
    if (text.length < MIN_REDACTED_LENGTH) return text;
    let result = this.#values === undefined ? text : text.replaceAll(this.#values, REDACTED);
    if (result.includes("PRIVATE KEY")) result = redactPrivateKeys(result);
    return result.replaceAll(SHAPES, REDACTED).replaceAll(HEADERS, `$1${REDACTED}`);
  }

  /**
   * A JSON-like value with all its strings redacted, names of members included. Strings under a secret name are redacted
   * whole, unless they are empty, a number or a placeholder. Returns the value itself when nothing changed, and otherwise
   * shares the parts that did not. Values nested deeper than 500 levels, and cycles, are replaced.
   */
  redactDeep<T>(value: T): T {
    return this.#walk(value, false, []) as T;
  }

  #walk(value: unknown, underSecretName: boolean, parents: object[]): unknown {
    if (typeof value === "string") {
      return underSecretName && !isHarmless(value) ? REDACTED : this.redact(value);
    }
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    if (parents.length >= MAX_DEPTH || parents.includes(value)) return REDACTED;
    // What will be stored is what JSON makes of it.
    if ("toJSON" in value && typeof value.toJSON === "function") {
      const json: unknown = value.toJSON();
      const walked = this.#walk(json, underSecretName, [...parents, value]);
      return walked === json ? value : walked;
    }
    parents.push(value);
    const walked = Array.isArray(value)
      ? this.#walkArray(value, underSecretName, parents)
      : this.#walkObject(value as Record<string, unknown>, parents);
    parents.pop();
    return walked;
  }

  #walkArray(value: readonly unknown[], underSecretName: boolean, parents: object[]): unknown {
    let changed = false;
    const walked = value.map((element) => {
      const redacted = this.#walk(element, underSecretName, parents);
      changed ||= redacted !== element;
      return redacted;
    });
    return changed ? walked : value;
  }

  #walkObject(value: Readonly<Record<string, unknown>>, parents: object[]): unknown {
    // A `token` with a probability is a piece of a model's answer.
    const isTokenOfText = Object.hasOwn(value, "logprob");
    let changed = false;
    const entries = Object.entries(value).map(([name, member]) => {
      const redactedName = this.redact(name);
      const redacted = this.#walk(member, !isTokenOfText && isSecretName(name), parents);
      changed ||= redacted !== member || redactedName !== name;
      return [redactedName, redacted] as const;
    });
    // Not by assignment: `__proto__` is a name like any other.
    return changed ? Object.fromEntries(entries) : value;
  }
}

function isHarmless(value: string): boolean {
  return value === "" || value === REDACTED || PLAIN_VALUE.test(value) || TEMPLATE.test(value);
}

function quoted(literal: string): string {
  return literal.replaceAll(/[\\^$.*+?()[\]{}|\/-]/g, String.raw`\$&`);
}
