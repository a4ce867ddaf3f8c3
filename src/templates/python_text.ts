/** Writes values as text the way Python's `str`, `repr` and number formatting do. */

/** A number as Python prints it: whole ones as an int unless `isFloat`, the rest as `repr(float)`. */
export function formatFloat(value: number, isFloat = false): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && !isFloat) return BigInt(value).toString();
  // Both languages write the shortest digits that read back the same; only the place where exponents begin differs.
  const [mantissa, exponentText] = value.toExponential().split("e") as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) return mantissa + "e" + exponentOf(exponent);
  const text = exponent < 0
    ? value.toFixed(Math.max(0, mantissa.replace(/\D/g, "").length - 1 - exponent))
    : `${value}`;
  return /[.]/.test(text) ? text : `${Object.is(value, -0) ? "-0" : text}.0`;
}

function exponentOf(exponent: number): string {
  return (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function reprString(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\\p{C}\p{Z}'"]/gu, (character) => {
    if (character === " ") return " ";
    if (character === "'" || character === '"') return character === mark ? `\\${character}` : character;
    const point = character.codePointAt(0)!;
    if (ESCAPES[character] !== undefined) return ESCAPES[character];
    if (point < 0x100) return "\\x" + point.toString(16).padStart(2, "0");
    if (point < 0x10000) return "\\u" + point.toString(16).padStart(4, "0");
    return "\\U" + point.toString(16).padStart(8, "0");
  });
  return mark + body + mark;
}

/** Python's `repr` of what a template engine hands out: null and undefined are None, Maps and objects are dicts. */
function pythonRepr(value: unknown): string {
  if (typeof value === "string") return reprString(value);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = [...(value instanceof Map ? value : Object.entries(value))];
    return `{${entries.map(([key, member]) => `${pythonRepr(key)}: ${pythonRepr(member)}`).join(", ")}}`;
  }
  return pythonStr(value);
}

/** Python's `str`. `isFloat`: a whole number prints with `.0`. */
export function pythonStr(value: unknown, isFloat = false): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number") return formatFloat(value, isFloat);
  if (typeof value === "bigint") return value.toString();
  return pythonRepr(value);
}

interface FormatSpec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

/** A number that a template writes without a width cannot fill the memory. */
const MAX_WIDTH = 10_000;

function toNumber(value: unknown): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw new TypeError("a number is required");
}

/** The digits of a non-negative number in a float format. */
function floatDigits(value: number, { type, precision = 6, alternate }: FormatSpec): string {
  const upper = type === type.toUpperCase();
  let text: string;
  if (!Number.isFinite(value)) text = Number.isNaN(value) ? "nan" : "inf";
  else if (/f|%/i.test(type)) text = toFixed(type === "%" ? value * 100 : value, precision);
  else if (/e/i.test(type)) text = toExponential(value, precision);
  else {
    const digits = Math.max(1, precision);
    const exponent = value === 0 ? 0 : Number(value.toExponential(Math.min(100, digits - 1)).split("e")[1]);
    text = exponent < -4 || exponent >= digits
      ? toExponential(value, digits - 1)
      : toFixed(value, digits - 1 - exponent);
    if (!alternate) text = text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
  }
  if (type === "%") text += "%";
  return upper ? text.toUpperCase() : text;
}

/**
 * `decimals` digits after the point, at most 100, of a number that is not negative. Both languages round the exact binary
 * value; Python gives ties to the even digit, JavaScript to the larger number.
 */
export function toFixed(value: number, decimals: number): string {
  if (decimals > 100) throw new RangeError("more than 100 decimals");
  // JavaScript's toFixed turns to exponents at 1e21.
  if (value >= 1e21) return BigInt(value).toString() + (decimals > 0 ? "." + "0".repeat(decimals) : "");
  return tieToEven(value.toFixed(decimals), value.toFixed(Math.min(100, decimals + 40)), decimals);
}

function toExponential(value: number, precision: number): string {
  const decimals = Math.min(100, precision);
  const [mantissa, exponent] = value.toExponential(decimals).split("e") as [string, string];
  const [exact, exactExponent] = value.toExponential(Math.min(100, decimals + 40)).split("e") as [string, string];
  const even = exponent === exactExponent ? tieToEven(mantissa, exact, decimals) : mantissa;
  return `${even}e${exponentOf(Number(exponent))}`;
}

function tieToEven(rounded: string, exact: string, decimals: number): string {
  const point = exact.indexOf(".");
  if (point < 0 || !/^50*$/.test(exact.slice(point + 1 + decimals))) return rounded;
  const down = exact.slice(0, decimals === 0 ? point : point + 1 + decimals);
  return /[02468]$/.test(down) ? down : rounded;
}

function group(digits: string, separator: string): string {
  const [, whole = "", rest = ""] = /^(\d*)(.*)$/s.exec(digits)!;
  return whole.replace(/\B(?=(\d{3})+$)/g, separator) + rest;
}

function pad(sign: string, digits: string, spec: FormatSpec): string {
  const missing = Math.min(MAX_WIDTH, spec.width) - Array.from(sign + digits).length;
  if (missing <= 0) return sign + digits;
  const fill = spec.fill.repeat(missing);
  if (spec.align === "=") return sign + fill + digits;
  if (spec.align === "<") return sign + digits + fill;
  if (spec.align === ">") return fill + sign + digits;
  const left = Math.floor(missing / 2);
  return spec.fill.repeat(left) + sign + digits + spec.fill.repeat(missing - left);
}

const BASES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16, d: 10 };

function formatNumber(value: number | bigint, spec: FormatSpec): string {
  const negative = value < 0 || Object.is(value, -0);
  const sign = negative ? "-" : spec.sign === "-" ? "" : spec.sign;
  let digits: string;
  if (spec.type in BASES) {
    const magnitude = typeof value === "bigint" ? (negative ? -value : value) : BigInt(Math.abs(value));
    digits = magnitude.toString(BASES[spec.type]);
    if (spec.type === "X") digits = digits.toUpperCase();
    if (spec.precision !== undefined) digits = digits.padStart(Math.min(MAX_WIDTH, spec.precision), "0");
    if (spec.alternate && spec.type !== "d") digits = `0${spec.type}${digits}`;
  } else digits = floatDigits(Math.abs(Number(value)), spec);
  if (spec.grouping !== "") digits = group(digits, spec.grouping);
  return pad(sign, digits, spec);
}

/**
 * Python's `template % args`: `%s %r %a %d %i %u %f %e %g %x %o %c %%` with flags, width and precision, and
 * `%(name)s` from `named`. Throws a TypeError when arguments and format do not fit.
 */
export function formatPercent(template: string, args: readonly unknown[], named: ReadonlyMap<string, unknown>): string {
  let next = 0;
  const take = () => {
    if (next >= args.length) throw new TypeError("not enough arguments for format string");
    return args[next++];
  };
  const result = template.replace(
    /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?([\s\S]?)/g,
    (_, name: string | undefined, flags: string, width: string, precision: string | undefined, type: string) => {
      if (type === "%") return "%";
      const widthValue = width === "*" ? toNumber(take()) : Number(width);
      const precisionValue = precision === undefined
        ? undefined
        : precision === "*"
        ? toNumber(take())
        : Number(precision);
      const left = flags.includes("-") || widthValue < 0;
      const zero = flags.includes("0") && !left;
      const spec: FormatSpec = {
        fill: " ",
        align: left ? "<" : ">",
        sign: flags.includes("+") ? "+" : flags.includes(" ") ? " " : "",
        alternate: flags.includes("#"),
        width: Math.abs(widthValue),
        grouping: "",
        precision: precisionValue,
        type,
      };
      if (name !== undefined && !named.has(name)) throw new TypeError("format requires a key that is not given");
      const value = name === undefined ? take() : named.get(name);
      if (/[sra]/.test(type)) {
        const text = type === "s" ? pythonStr(value) : pythonRepr(value);
        return pad("", precisionValue === undefined ? text : sliceText(text, precisionValue), spec);
      }
      if (type === "c") return pad("", typeof value === "string" ? value : String.fromCodePoint(toNumber(value)), spec);
      const padded = zero ? { ...spec, fill: "0", align: "=" } : spec;
      if (/[diu]/.test(type)) {
        const whole = typeof value === "bigint" ? value : Math.trunc(toNumber(value));
        return formatNumber(whole, { ...padded, type: "d" });
      }
      if (/[feg]/i.test(type)) return formatNumber(toNumber(value), padded);
      if (/[xXo]/.test(type)) return formatNumber(typeof value === "bigint" ? value : toNumber(value), padded);
      throw new TypeError("unsupported format character");
    },
  );
  if (next < args.length && named.size === 0) {
    throw new TypeError("not all arguments converted during string formatting");
  }
  return result;
}

function sliceText(text: string, length: number): string {
  return text.length <= length ? text : Array.from(text).slice(0, length).join("");
}

/** Python's `template.format(*args, **named)` without attributes and nested fields. Throws when it does not fit. */
export function formatBraces(template: string, args: readonly unknown[], named: ReadonlyMap<string, unknown>): string {
  let next = 0;
  return template.replace(
    /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::([^{}]*))?\}|[{}]/g,
    (whole: string, field: string | undefined, conversion: string | undefined, spec: string | undefined) => {
      if (whole === "{{" || whole === "}}") return whole[0]!;
      if (field === undefined) throw new TypeError("unmatched brace in format string");
      let value: unknown;
      if (field === "" || /^\d+$/.test(field)) {
        const index = field === "" ? next++ : Number(field);
        if (index >= args.length) throw new TypeError("not enough arguments for format string");
        value = args[index];
      } else {
        if (!named.has(field)) throw new TypeError("format string names an argument that is not given");
        value = named.get(field);
      }
      if (conversion !== undefined) value = conversion === "s" ? pythonStr(value) : pythonRepr(value);
      return formatWithSpec(value, spec ?? "");
    },
  );
}

function formatWithSpec(value: unknown, specText: string): string {
  if (specText === "") return pythonStr(value);
  const match = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su.exec(specText);
  if (match === null) throw new TypeError("invalid format specifier");
  const [, fill, align, sign = "", alternate, zero, width, grouping = "", precision, type] = match;
  const isNumber = typeof value === "number" || typeof value === "bigint";
  const spec: FormatSpec = {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero !== undefined && isNumber ? "=" : isNumber ? ">" : "<"),
    sign,
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? "",
  };
  if (!isNumber) {
    if (typeof value !== "string" || (spec.type !== "" && spec.type !== "s")) {
      throw new TypeError("format specifier does not fit the value");
    }
    return pad("", spec.precision === undefined ? value : sliceText(value, spec.precision), spec);
  }
  if (spec.type === "" || spec.type === "n") {
    if (typeof value === "bigint" || (Number.isInteger(value) && spec.precision === undefined)) {
      return formatNumber(value, { ...spec, type: "d" });
    }
    if (spec.precision !== undefined) return formatNumber(value, { ...spec, type: "g" });
    const negative = value < 0;
    return pad(negative ? "-" : spec.sign === "-" ? "" : spec.sign, formatFloat(Math.abs(value)), spec);
  }
  return formatNumber(value, spec);
}
