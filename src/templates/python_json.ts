/** Writes JSON exactly as Jinja2's `tojson` filter does in Python. */
import { formatFloat } from "./python_text.ts";

const HEX_DIGITS = new TextEncoder().encode("0123456789abcdef");

function isEscaped(unit: number): boolean {
  // `& ' < >` for HTML as Jinja2 does, the rest for json.dumps' ensure_ascii.
  return unit >= 0x7f || unit === 0x26 || unit === 0x27 || unit === 0x3c || unit === 0x3e;
}

// JSON.stringify and json.dumps agree on ASCII. What is left is done on bytes: megabytes of emoji are a real output.
function quoteString(text: string): string {
  const json = JSON.stringify(text);
  let count = 0;
  for (let at = 0; at < json.length; at++) if (isEscaped(json.charCodeAt(at))) count++;
  if (count === 0) return json;
  const bytes = new Uint8Array(json.length + 5 * count);
  let end = 0;
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at);
    if (!isEscaped(unit)) {
      bytes[end++] = unit;
      continue;
    }
    bytes[end++] = 0x5c;
    bytes[end++] = 0x75;
    for (let shift = 12; shift >= 0; shift -= 4) bytes[end++] = HEX_DIGITS[(unit >> shift) & 15]!;
  }
  return new TextDecoder().decode(bytes);
}

function compareCodePoints(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let at = 0; at < left.length && at < right.length; at++) {
    const difference = left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function keyText(key: unknown): string {
  return typeof key === "string" ? key : write(key, undefined, "");
}

function write(value: unknown, indent: string | undefined, margin: string): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return quoteString(value);
  if (typeof value === "number") return formatFloat(value).replace("inf", "Infinity").replace("nan", "NaN");
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value !== "object") throw new TypeError(`A ${typeof value} is not JSON serializable`);
  const inner = indent === undefined ? "" : margin + indent;
  const members = Array.isArray(value)
    ? value.map((member) => write(member, indent, inner))
    : [...(value instanceof Map ? value : Object.entries(value))]
      .map(([key, member]): [string, unknown] => [keyText(key), member])
      .sort(([a], [b]) => compareCodePoints(a, b))
      .map(([key, member]) => `${quoteString(key)}: ${write(member, indent, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (members.length === 0) return `${open}${close}`;
  if (indent === undefined) return `${open}${members.join(", ")}${close}`;
  return `${open}\n${inner}${members.join(`,\n${inner}`)}\n${margin}${close}`;
}

/**
 * `json.dumps(value, sort_keys=True, indent=indent)` with `< > & '` escaped. Objects and Maps are dicts, `undefined` is
 * None, a whole number is an int. A lone surrogate stays as its escape. `indent` counts spaces.
 */
export function pythonJson(value: unknown, indent?: number): string {
  return write(value, indent === undefined ? undefined : " ".repeat(Math.max(0, indent)), "");
}
