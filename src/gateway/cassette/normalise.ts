/** Takes out of a request what differs when the same agent does the same task in another folder, session or hour. */
import { createHash } from "node:crypto";
import { isObject } from "../../models/json.ts";

/** What of a request counts when a recording is looked for. Equal requests have equal keys. */
export interface NormalisedRequest {
  readonly method: string;
  readonly path: string;
  /** Gemini's `alt=sse`: it decides the form of the reply, as nothing else of a query does. */
  readonly alt: string | null;
  /** Members sorted by name. */
  readonly body: unknown;
}

export interface RequestParts {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly body: unknown;
}

/** Who asks, in which session. `metadata` is Anthropic's `user_id` and OpenAI's notes of the client. */
const SESSION_FIELDS = new Set([
  "client_metadata",
  "metadata",
  "prompt_cache_key",
  "safety_identifier",
  "session_id",
  "user",
]);
/** Deeper values are the same to us. */
const MAX_DEPTH = 500;

export function normaliseRequest({ method, path, search, body }: RequestParts): NormalisedRequest {
  const folders = folderPattern(foldersIn(body));
  const withoutSession = isObject(body)
    ? Object.fromEntries(Object.entries(body).filter(([name]) => !SESSION_FIELDS.has(name)))
    : body;
  return {
    method,
    path,
    alt: new URLSearchParams(search).get("alt"),
    body: normaliseValue(withoutSession, folders, 0),
  };
}

/** The same for equal requests only. */
export function keyOf(request: NormalisedRequest): string {
  return createHash("sha256").update(JSON.stringify(request)).digest("base64");
}

function normaliseValue(value: unknown, folders: RegExp | undefined, depth: number): unknown {
  if (typeof value === "string") return normaliseText(value, folders);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) return "<deep>";
  if (Array.isArray(value)) return value.map((element) => normaliseValue(element, folders, depth + 1));
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  // Not by assignment: `__proto__` is a name like any other.
  return Object.fromEntries(members.map(([name, member]) => [name, normaliseValue(member, folders, depth + 1)]));
}

// --- folders

const MAX_FOLDERS = 16;
/** How the agents that we know tell a model where it works. */
const FOLDER_STATEMENTS = [
  /<(?:cwd|root|workdir|working_directory)>\s{0,8}(\/[^\n<>"`]{1,1024})/g,
  /(?:[Ww]orking [Dd]irectory|[Dd]irectory is|in the directory|\b[Cc][Ww][Dd])(?:\*\*)?:?(?:\*\*)? {0,4}`?(\/[^\n<>"`]{1,1024})/g,
];
const FOLDER_LIST = /[Ww]orkspace [Dd]irectories:(?:\*\*)?\n((?: {0,4}- [^\n]{1,1024}(?:\n|$)){1,9})/g;

/** The folders in which the agent of this request works, as the request states them, in the order of the statements. */
export function foldersIn(body: unknown): string[] {
  const found = new Set<string>();
  const add = (path: string) => {
    const folder = path.replace(/ \(.*$/, "").replace(/[\s.,;:)\/]{1,8}$/, "");
    if (folder !== "" && found.size < MAX_FOLDERS) found.add(folder);
  };
  for (const text of textsIn(body, 0)) {
    for (const [, path] of FOLDER_STATEMENTS.flatMap((statement) => [...text.matchAll(statement)])) add(path!);
    for (const [, list] of text.matchAll(FOLDER_LIST)) {
      for (const [, path] of list!.matchAll(/^ {0,4}- (\/.*)$/gm)) add(path!);
    }
  }
  return [...found];
}

function* textsIn(value: unknown, depth: number): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null && depth <= MAX_DEPTH) {
    for (const member of Object.values(value)) yield* textsIn(member, depth + 1);
  }
}

/** Finds each of the folders as a whole name, also as macOS spells temporary ones; undefined without folders. */
export function folderPattern(folders: readonly string[]): RegExp | undefined {
  if (folders.length === 0) return undefined;
  // The longest first, or a folder inside another one would keep its end.
  const alternatives = [...folders].sort((a, b) => b.length - a.length).map((folder) => RegExp.escape(folder));
  return new RegExp(`${START}(?:/private)?(${alternatives.join("|")})(?![\\w-]|\\.\\w)`, "g");
}

// --- texts

const MONTH = "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|" +
  "Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)";
const WEEKDAY = "(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?)";
const YEAR = "(?:19|20)\\d\\d";
const DAY_OF_MONTH = "\\d{1,2}(?:st|nd|rd|th)?";
const ZONE = "(?:Z|UTC|GMT|[ABCEHIJKMNPW](?:[DES]|ES)T|[+-]\\d\\d:?\\d\\d)";
const CLOCK = `\\d{1,2}:\\d\\d(?::\\d\\d(?:[.,]\\d{1,9})?)?(?: ?[AaPp]\\.?[Mm]\\b\\.?)?(?: ?${ZONE}(?![A-Za-z0-9]))?`;
const UNIT =
  "(?:milliseconds?|msecs?|ms|microseconds?|µs|us|nanoseconds?|ns|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|weeks?|months?|years?)";

/** Not inside a word or number; after an escape of JSON in a text (`\n`), whose letter is none of the text's. */
const START = String.raw`(?:(?<![\w.])|(?<=\\[nrt]))`;
const END = "(?![A-Za-z0-9])";
/** Folders that are the same on every machine of a kind. What lies in them stays. */
const SYSTEM = "(?:Applications|Library|System|bin|boot|dev|etc|lib(?:32|64)?|nix|opt|proc|run|sbin|sys|usr)";
const NAME = "[^\\s\\/\"'`<>|;:,()[\\]{}\\\\*?!&$#]{1,255}";
const pattern = (source: string, flags = "g") => new RegExp(source, flags);

/**
 * What differs between two runs, and what stands in its place; in this order, because one form may hold another. Every
 * repetition is bounded or cannot overlap with what follows it, so that a text costs linear time.
 */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):\d{1,5}(?!\d)/g, "$1:<port>"],
  [pattern(`(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])`), "<uuid>"],
  [/(?<![A-Za-z0-9])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![A-Za-z0-9])/g, "<ulid>"],
  // A line of `ls -l`: the links, owner and time of a file, and also the size of a folder, are the machine's.
  [
    pattern(
      `^([bcdlps-][rwxsStT-]{9})[.+@]? {1,8}\\d{1,9} {1,8}\\S{1,64} {1,16}\\S{1,64} {1,16}(\\d{1,20}) ` +
        `{1,4}(?:${MONTH} {1,2}\\d{1,2} {1,2}(?:\\d\\d:\\d\\d|\\d{4})|${YEAR}-\\d\\d-\\d\\d \\d\\d:\\d\\d)(?= )`,
      "gm",
    ),
    "$1 $2 <time>",
  ],
  [/^(d[rwxsStT-]{9}) \d{1,20} <time>/gm, "$1 <time>"],
  [/^total \d{1,12}$/gm, "total <blocks>"],
  // The name of a file stays, so that two files of one unknown folder differ. A folder's name may be the run's.
  [
    pattern(
      `(?:(?<![\\w.~$*\\/<>)}\\]%@+-])|(?<=\\\\[nrt]))\\/(?!${SYSTEM}(?![\\w.-]))(?:${NAME}\\/){1,64}(?:${NAME})?`,
    ),
    "<path>",
  ],
  [/\b(Linux|Darwin) (?:\S{1,255} )?\d{1,3}\.\d{1,3}[^\n"<]{0,255}/g, "$1 <kernel>"],
  // Rulers are filled up to the width of a line.
  [/([=_*-])\1{3,}/g, "$1$1$1$1"],
  [/(?<![A-Za-z0-9+\/_-])[A-Za-z0-9+\/_-]{200,}={0,2}/g, "<base64>"],
  [pattern(`${START}${YEAR}-\\d\\d-\\d\\d(?:[T ]${CLOCK})?${END}`), "<time>"],
  [
    pattern(
      `${START}(?:${WEEKDAY},? )?(?:${MONTH}\\.? {1,2}${DAY_OF_MONTH}(?:,? {1,2}${YEAR})?|${DAY_OF_MONTH} ${MONTH}\\.?,? ${YEAR}|` +
        `${MONTH} ${YEAR})(?:(?:,|,? at)? ${CLOCK}(?: ${YEAR})?)?${END}`,
    ),
    "<time>",
  ],
  [
    pattern(
      `${START}(?:\\d{1,2}[/.]\\d{1,2}[/.]${YEAR}|${YEAR}[/.]\\d{1,2}[/.]\\d{1,2}|\\d{1,2}/\\d{1,2}/\\d\\d)(?:,? ${CLOCK})?${END}`,
    ),
    "<time>",
  ],
  [pattern(`${START}${CLOCK}${END}`), "<time>"],
  [/<timezone>[^<\n]{1,64}<\/timezone>/g, "<timezone>"],
  [pattern(`${START}(?:\\d{1,12}(?:\\.\\d{1,9})? ?${UNIT} ?){1,4}${END}`), "<duration>"],
  [/(\b(?:duration|elapsed|took)(?:_?ms|_?seconds)?["']?[:=]? ?)\d{1,12}(?:\.\d{1,9})?/gi, "$1<duration>"],
  [/\b(p(?:g|p)?id|process(?: group)?(?: p?g?id)?|job)(s?["']?[:=]? ?#?)\d{1,10}(?:, \d{1,10}){0,50}/gi, "$1$2<pid>"],
  [/^(\[\d{1,4}\]) \d{1,10}$/gm, "$1 <pid>"],
  // Codex counts the tokens of an output with its paths and times in it.
  [/\b(Chunk ID: )[0-9a-z]{1,32}/g, "$1<id>"],
  [/\b(Original token count: )\d{1,12}/g, "$1<count>"],
  [/(?<![A-Za-z0-9])[0-9A-Fa-f]{7,}(?![A-Za-z0-9])/g, "<hex>"],
];

function normaliseText(text: string, folders: RegExp | undefined): string {
  let result = folders === undefined ? text : text.replaceAll(folders, "<folder>");
  for (const [volatile, placeholder] of VOLATILE) {
    result = placeholder === "<path>"
      ? result.replaceAll(volatile, withoutFolder)
      : result.replaceAll(volatile, placeholder);
  }
  return result;
}

function withoutFolder(path: string): string {
  const name = path.slice(path.lastIndexOf("/"));
  return /[^\/]\.[A-Za-z][A-Za-z0-9]{0,4}$/.test(name) ? `<path>${name}` : "<path>";
}
