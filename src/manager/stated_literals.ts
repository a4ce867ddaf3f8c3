/** Reads the values that the text of an issue states, and the calls that it makes with them. */

/** A value as Python, JavaScript and prose write it. Numbers as they are written. */
export type Literal =
  | { readonly number: string }
  | { readonly text: string }
  | { readonly constant: Constant }
  | { readonly list: readonly Literal[] }
  | { readonly tuple: readonly Literal[] }
  | { readonly pairs: readonly (readonly [Literal, Literal])[] }
  /** It is raised or thrown, not given back. */
  | { readonly raises: string };

type Constant = "true" | "false" | "null" | "undefined" | "nan" | "inf" | "-inf";

export interface StatedCall {
  readonly name: string;
  readonly arguments: readonly Literal[];
}

export interface Stated {
  /** Names of what is called, or stands in ticks as if it were. */
  readonly functions: readonly string[];
  /** What could be meant as a result, without the arguments of calls. */
  readonly values: readonly Literal[];
  /** So many of these come first because the text says that they should come. */
  readonly wanted: number;
  readonly calls: readonly StatedCall[];
}

const MAX_TEXT = 100_000;
const MAX_VALUES = 40;
const MAX_NAMES = 40;
const MAX_CALLS = 40;
const MAX_DEPTH = 8;
const MAX_STRING = 2000;
const NUMBER = /[-+]?(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w]|\.\d)/y;
const CONSTANT = /(?:True|False|None|true|false|null|undefined|-?Infinity|-?inf|NaN|nan)\b(?![.(])/y;
const CONSTANTS: Readonly<Record<string, Constant>> = {
  None: "null",
  NaN: "nan",
  Infinity: "inf",
  "-Infinity": "-inf",
};
const SPACE = /\s*/y;
const CALL = /([A-Za-z_$][\w$]*)\(/y;
const SPAN = /(?<!`)(`{1,2})([^`\n]{1,400})\1(?!`)/g;
const ERROR = /\b[A-Z]\w{0,60}(?:Error|Exception)\b/g;
/** Behind it stands what should come. */
const WANTED = /\b(?:expect\w*|should|instead of|rather than|correct|want\w*|must|desired|not)\b[^\n]{0,40}$/i;
const NO_FUNCTIONS = new Set(
  "print len str int float list dict set tuple range repr type sum open isinstance sorted bool enumerate zip map filter min max abs round super iter next format import require if for while switch catch return assert assertEqual equal strictEqual deepEqual expect console log def function lambda and or not in is String Number Array Object JSON Math Error main"
    .split(" "),
);

/** Of the whole text of an issue. Never throws. */
export function statedIn(whole: string): Stated {
  const text = whole.slice(0, MAX_TEXT);
  const likely: Literal[] = [];
  const others: Literal[] = [];
  const functions = new Set<string>();
  const calls: StatedCall[] = [];
  const add = (value: Literal, at: number) => {
    (WANTED.test(text.slice(Math.max(0, at - 80), at)) ? likely : others).push(value);
  };
  for (let at = 0; at < text.length;) {
    const isInWord = at > 0 && /[\w$.]/.test(text[at - 1]!);
    CALL.lastIndex = at;
    const call = isInWord && text[at - 1] !== "." ? null : CALL.exec(text);
    if (call !== null) {
      const name = call[1]!;
      if (!NO_FUNCTIONS.has(name)) functions.add(name);
      const read = readItems(text, CALL.lastIndex, ")", 1);
      if (read !== undefined && !NO_FUNCTIONS.has(name)) calls.push({ name, arguments: read.items });
      at = read !== undefined && !NO_FUNCTIONS.has(name) ? read.end : CALL.lastIndex;
      continue;
    }
    const read = isInWord ? undefined : readLiteral(text, at, 0);
    if (read === undefined) at++;
    else {
      add(read.literal, at);
      at = read.end;
    }
  }
  for (const { 2: span, index } of text.matchAll(SPAN)) {
    const name = /^(?:[A-Za-z_$][\w$]*[.:#]{1,2}){0,6}([A-Za-z_$][\w$]*)$/.exec(span!)?.[1];
    if (name !== undefined && !NO_FUNCTIONS.has(name)) functions.add(name);
    // Without quotes it may be a text all the same.
    if (!span!.includes("(") && isWord(span!)) add({ text: span! }, index);
  }
  for (const line of linesOfOutput(text)) if (isWord(line)) others.push({ text: line });
  for (const { 0: name, index } of text.matchAll(ERROR)) add({ raises: name }, index);
  const values = new Map([...likely, ...others].map((value) => [JSON.stringify(value), value]));
  return {
    functions: [...functions].slice(0, MAX_NAMES),
    values: [...values.values()].slice(0, MAX_VALUES),
    wanted: new Set(likely.map((value) => JSON.stringify(value))).size,
    calls: calls.slice(0, MAX_CALLS),
  };
}

/** Whether it is nothing that is read as another kind of value. */
function isWord(text: string): boolean {
  return readLiteral(text, 0, 0)?.end !== text.length;
}

function linesOfOutput(text: string): string[] {
  const found: string[] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    if (/^\s*(?:```|~~~)/.test(line)) isInside = !isInside;
    else if (isInside && line.trim() !== "" && line.length <= 200 && !line.includes("(")) found.push(line.trim());
    if (found.length === 20) break;
  }
  return found;
}

interface Read {
  readonly literal: Literal;
  readonly end: number;
}

function readLiteral(text: string, at: number, depth: number): Read | undefined {
  const char = text[at]!;
  if (char === '"' || char === "'") return readText(text, at);
  if (depth < MAX_DEPTH && (char === "[" || char === "(")) {
    const read = readItems(text, at + 1, char === "[" ? "]" : ")", depth + 1);
    if (read === undefined) return undefined;
    if (char === "[") return { literal: { list: read.items }, end: read.end };
    // In prose it is more often a remark.
    return read.items.length < 2 ? undefined : { literal: { tuple: read.items }, end: read.end };
  }
  if (depth < MAX_DEPTH && char === "{") return readPairs(text, at + 1, depth + 1);
  CONSTANT.lastIndex = at;
  const constant = CONSTANT.exec(text)?.[0];
  if (constant !== undefined) {
    const name = CONSTANTS[constant] ?? constant.toLowerCase() as Constant;
    return { literal: { constant: name }, end: CONSTANT.lastIndex };
  }
  NUMBER.lastIndex = at;
  const number = NUMBER.exec(text)?.[0];
  return number === undefined
    ? undefined
    : { literal: { number: number.replaceAll("_", "").replace(/^\+/, "") }, end: NUMBER.lastIndex };
}

function readText(text: string, at: number): Read | undefined {
  const quote = text[at]!;
  let value = "";
  for (let i = at + 1; i < text.length && i < at + MAX_STRING; i++) {
    const char = text[i]!;
    if (char === quote) return { literal: { text: value }, end: i + 1 };
    if (char === "\n") return undefined;
    if (char === "\\") {
      const next = text[++i] ?? "";
      value += new Map([["n", "\n"], ["t", "\t"], ["r", "\r"], ["0", "\0"]]).get(next) ?? next;
    } else value += char;
  }
  return undefined;
}

function readItems(
  text: string,
  at: number,
  close: string,
  depth: number,
): { readonly items: readonly Literal[]; readonly end: number } | undefined {
  const items: Literal[] = [];
  for (let i = skipSpace(text, at);;) {
    if (text[i] === close) return { items, end: i + 1 };
    const read = i < text.length && items.length < 1000 ? readLiteral(text, i, depth) : undefined;
    if (read === undefined) return undefined;
    items.push(read.literal);
    i = skipSpace(text, read.end);
    if (text[i] === ",") i = skipSpace(text, i + 1);
    else if (text[i] !== close) return undefined;
  }
}

function readPairs(text: string, at: number, depth: number): Read | undefined {
  const pairs: [Literal, Literal][] = [];
  for (let i = skipSpace(text, at);;) {
    if (text[i] === "}") return { literal: { pairs }, end: i + 1 };
    if (i >= text.length || pairs.length === 1000) return undefined;
    const word = /[A-Za-z_$][\w$]*(?=\s*:)/y;
    word.lastIndex = i;
    const bare = word.exec(text)?.[0];
    const key = bare === undefined
      ? readLiteral(text, i, depth)
      : { literal: { text: bare } as Literal, end: word.lastIndex };
    if (key === undefined) return undefined;
    i = skipSpace(text, key.end);
    if (text[i] !== ":") return undefined;
    const value = readLiteral(text, skipSpace(text, i + 1), depth);
    if (value === undefined) return undefined;
    pairs.push([key.literal, value.literal]);
    i = skipSpace(text, value.end);
    if (text[i] === ",") i = skipSpace(text, i + 1);
    else if (text[i] !== "}") return undefined;
  }
}

function skipSpace(text: string, at: number): number {
  SPACE.lastIndex = at;
  SPACE.exec(text);
  return SPACE.lastIndex;
}
