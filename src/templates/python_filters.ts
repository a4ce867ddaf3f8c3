/** Jinja2's filters where minijinja has none or another result: by name, for `Environment.addFilter`. */
import { pythonJson } from "./python_json.ts";
import { formatBraces, formatPercent, pythonStr, toFixed } from "./python_text.ts";
import { BUILTIN } from "./strict_template.ts";

/** What a filter is called with: the value, then the arguments; the named ones are in `named`. */
type Filter = (value: unknown, args: readonly unknown[], named: ReadonlyMap<string, unknown>) => unknown;

const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

/** Python's `str.splitlines()`. */
function splitLines(text: string): string[] {
  const lines = text.split(LINE_END);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : otherwise;
}

function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return Array.from(value);
  if (value instanceof Map) return [...value.keys()];
  throw new TypeError("a list is required");
}

function attributeOf(value: unknown, path: string): unknown {
  let current = value;
  for (const step of path.split(".")) {
    current = current instanceof Map
      ? current.get(step)
      : Array.isArray(current) && /^\d+$/.test(step)
      ? current[Number(step)]
      : undefined;
    if (current === undefined) throw new TypeError(`an element has no attribute '${step}'`);
  }
  return current;
}

function round(value: number, precision: number, method: string): number {
  if (!Number.isFinite(value)) return value;
  if (method === "ceil" || method === "floor") {
    const scale = 10 ** precision;
    return Math[method](value * scale) / scale;
  }
  if (method !== "common") throw new TypeError("method must be common, ceil or floor");
  if (precision > 100) return value;
  if (precision < 0) {
    const scale = 10 ** -precision;
    return Number(toFixed(Math.abs(value) / scale, 0)) * scale * Math.sign(value);
  }
  return Number(toFixed(Math.abs(value), precision)) * (value < 0 ? -1 : 1);
}

function percentEncode(value: unknown, inQuery: boolean): string {
  const bytes = new TextEncoder().encode(pythonStr(value));
  let text = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9_.~-]/.test(character) || (character === "/" && !inQuery)) text += character;
    else if (byte === 0x20 && inQuery) text += "+";
    else text += "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return text;
}

function parsePythonInt(text: string, base: number): number | bigint | undefined {
  let digits = text.trim();
  const negative = digits.startsWith("-");
  digits = digits.replace(/^[-+]/, "");
  const prefix = { 2: "0b", 8: "0o", 16: "0x" }[base];
  if (prefix !== undefined && digits.toLowerCase().startsWith(prefix)) digits = digits.slice(2);
  if (!/^[\da-z]+(_[\da-z]+)*$/i.test(digits)) return undefined;
  digits = digits.replaceAll("_", "").toLowerCase();
  let value = 0n;
  for (const digit of digits) {
    const number = parseInt(digit, 36);
    if (number >= base) return undefined;
    value = value * BigInt(base) + BigInt(number);
  }
  if (negative) value = -value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function parsePythonFloat(text: string): number | undefined {
  const trimmed = text.trim().replace(/(\d)_(?=\d)/g, "$1");
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  const special = /^([-+]?)(inf(?:inity)?|nan)$/i.exec(trimmed);
  if (special === null) return undefined;
  return special[2]!.toLowerCase() === "nan" ? NaN : special[1] === "-" ? -Infinity : Infinity;
}

const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };

const escapeHtml: Filter = (value) => pythonStr(value).replace(/[&<>'"]/g, (character) => HTML[character]!);

/** Python's `list[start:stop:step]`. */
function sliceList(list: readonly unknown[], start: number | undefined, stop: number | undefined, step: number) {
  const [lowest, highest] = step > 0 ? [0, list.length] : [-1, list.length - 1];
  const clamp = (index: number) => Math.min(highest, Math.max(lowest, index < 0 ? index + list.length : index));
  const from = start === undefined ? (step > 0 ? lowest : highest) : clamp(start);
  const to = stop === undefined ? (step > 0 ? highest : lowest) : clamp(stop);
  const slice: unknown[] = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) slice.push(list[at]);
  return slice;
}

/** Python's `text[start:stop]`: by code points, without an array of all of them. */
function sliceText(text: string, start = 0, stop = Infinity): string {
  let points = 0;
  for (let at = 0; at < text.length; at++) if (!isSecondHalf(text, at)) points++;
  const from = start < 0 ? Math.max(0, start + points) : start;
  const to = stop < 0 ? stop + points : stop;
  let begin = text.length;
  let end = text.length;
  for (let at = 0, point = 0; at < text.length; at++) {
    if (isSecondHalf(text, at)) continue;
    if (point === from) begin = at;
    if (point >= to) {
      end = at;
      break;
    }
    point++;
  }
  return text.slice(Math.min(begin, end), end);
}

function isSecondHalf(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}

/** The argument at `index`, or the one of that name. */
function argument(args: readonly unknown[], named: ReadonlyMap<string, unknown>, index: number, name: string): unknown {
  return args.length > index ? args[index] : named.get(name);
}

/** Each may throw a TypeError or RangeError whose message names no contents of variables. */
export const PYTHON_FILTERS: Readonly<Record<string, Filter>> = {
  [BUILTIN.str]: (value, [isFloat]) => pythonStr(value, isFloat === true),
  [BUILTIN.slice]: (value, [start, stop, step]) => {
    const indices = [start, stop, step].map((index) => {
      if (index === null || index === undefined) return undefined;
      if (typeof index === "number" && Number.isInteger(index)) return index;
      throw new TypeError("indices must be integers or none");
    });
    const [from, to, by = 1] = indices;
    if (by === 0) throw new RangeError("the step must not be zero");
    if (typeof value === "string" && by === 1) return sliceText(value, from, to);
    const slice = sliceList(listOf(value), from, to, by);
    return typeof value === "string" ? slice.join("") : slice;
  },
  [BUILTIN.strFormat]: (value, args, named) => formatBraces(pythonStr(value), args, named),
  [BUILTIN.round]: (value, [, ...args], named) => {
    if (typeof value === "boolean") return Number(value);
    if (typeof value !== "number") throw new TypeError("round needs a number");
    const precision = numberOf(argument(args, named, 0, "precision"), 0);
    return round(value, precision, String(argument(args, named, 1, "method") ?? "common"));
  },
  center: (value, args, named) => {
    const text = pythonStr(value);
    const width = numberOf(argument(args, named, 0, "width"), 80);
    const missing = Math.max(0, width - Array.from(text).length);
    const left = Math.floor(missing / 2) + (missing & width & 1);
    return " ".repeat(left) + text + " ".repeat(missing - left);
  },
  count: (value) => listLength(value),
  e: escapeHtml,
  escape: escapeHtml,
  float: (value, args, named) => {
    const otherwise = argument(args, named, 0, "default") ?? 0;
    if (typeof value === "string") return parsePythonFloat(value) ?? otherwise;
    if (typeof value === "boolean") return Number(value);
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : otherwise;
  },
  format: (value, args, named) => {
    // `"%(name)s" % mapping` gives the mapping as its one argument.
    const [only] = args;
    const isMapping = args.length === 1 && only instanceof Map && /%\(/.test(pythonStr(value));
    return isMapping
      ? formatPercent(pythonStr(value), [], only as Map<string, unknown>)
      : formatPercent(pythonStr(value), args, named);
  },
  indent: (value, args, named) => {
    const width = argument(args, named, 0, "width") ?? 4;
    const first = argument(args, named, 1, "first") === true;
    const blank = argument(args, named, 2, "blank") === true;
    const margin = typeof width === "string" ? width : " ".repeat(numberOf(width, 4));
    const lines = splitLines(pythonStr(value) + "\n");
    const indented = lines.map((line, at) => at > 0 && (blank || line !== "") ? margin + line : line).join("\n");
    return first ? margin + indented : indented;
  },
  int: (value, args, named) => {
    const otherwise = argument(args, named, 0, "default") ?? 0;
    const base = numberOf(argument(args, named, 1, "base"), 10);
    if (typeof value === "string") {
      const whole = parsePythonInt(value, base);
      if (whole !== undefined) return whole;
      const float = parsePythonFloat(value);
      return float !== undefined && Number.isFinite(float) ? Math.trunc(float) : otherwise;
    }
    if (typeof value === "bigint") return value;
    if (typeof value === "boolean") return Number(value);
    return typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) : otherwise;
  },
  join: (value, args, named) => {
    const separator = argument(args, named, 0, "d");
    const attribute = argument(args, named, 1, "attribute");
    const list = listOf(value);
    const chosen = typeof attribute === "string" ? list.map((member) => attributeOf(member, attribute)) : list;
    return chosen.map((member) => pythonStr(member)).join(separator === undefined ? "" : pythonStr(separator));
  },
  replace: (value, args, named) => {
    const from = pythonStr(argument(args, named, 0, "old"));
    const to = pythonStr(argument(args, named, 1, "new"));
    const limit = argument(args, named, 2, "count");
    const text = pythonStr(value);
    const parts = from === "" ? ["", ...text, ""] : text.split(from);
    const count = limit === undefined || limit === null || Number(limit) < 0 ? parts.length - 1 : Number(limit);
    const head = parts.slice(0, count + 1).join(to);
    return parts.length > count + 1 ? head + from + parts.slice(count + 1).join(from) : head;
  },
  title: (value) =>
    pythonStr(value).split(/([-\s({[<]+)/).map((part) => {
      const [first = "", ...rest] = part;
      return first.toUpperCase() + rest.join("").toLowerCase();
    }).join(""),
  tojson: (value, args, named) => {
    const indent = argument(args, named, 0, "indent");
    return pythonJson(value, typeof indent === "number" ? indent : undefined);
  },
  truncate: (value, args, named) => {
    const length = numberOf(argument(args, named, 0, "length"), 255);
    const killWords = argument(args, named, 1, "killwords") === true;
    const end = pythonStr(argument(args, named, 2, "end") ?? "...");
    const leeway = numberOf(argument(args, named, 3, "leeway"), 5);
    const characters = Array.from(pythonStr(value));
    const endLength = Array.from(end).length;
    if (length < endLength) throw new RangeError(`truncate needs a length of at least ${endLength}`);
    if (characters.length <= length + leeway) return characters.join("");
    const kept = characters.slice(0, length - endLength).join("");
    if (killWords) return kept + end;
    const lastSpace = kept.lastIndexOf(" ");
    return (lastSpace < 0 ? kept : kept.slice(0, lastSpace)) + end;
  },
  urlencode: (value) => {
    if (typeof value === "string" || (typeof value !== "object" || value === null)) return percentEncode(value, false);
    const pairs = value instanceof Map ? [...value] : listOf(value).map((pair) => listOf(pair) as [unknown, unknown]);
    return pairs.map(([key, member]) => `${percentEncode(key, true)}=${percentEncode(member, true)}`).join("&");
  },
  wordcount: (value) => pythonStr(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
};

function listLength(value: unknown): number {
  return value instanceof Map ? value.size : listOf(value).length;
}
