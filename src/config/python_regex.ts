/** Patterns of Python's `re` in JavaScript's syntax. */
import { Failure, messageOf } from "../failure.ts";

const WORD = "\\p{L}\\p{N}_";

/** Escapes that mean the same in both languages. */
const SAME = new Set("bBdDnrtfvsSxu".split(""));
const SYNTAX = /[\^$\\.*+?()[\]{}|/]/;

/**
 * The JavaScript source, for the flags `gsu`, of a pattern that Python uses with `re.findall(…, re.DOTALL)`. What findall
 * returns for a match is the text of the first group, or of the whole match when the pattern has no group. (Several
 * groups make tuples in Python, which no agent can run; here, too, the first one counts.)
 *
 * `\b` and, inside `[…]`, `\W` and `\d` look at ASCII letters and digits only. Throws a `Failure` (usage) that names
 * `key` for what JavaScript cannot express: verbose patterns, conditionals, atomic groups, possessive quantifiers, `\N{…}`.
 */
export function pythonRegex(pattern: string, key = "action_regex"): string {
  const source = new Conversion(pattern, key).run();
  try {
    new RegExp(source, "gsu");
  } catch (error) {
    throw refusal(pattern, key, messageOf(error).replace(/^Invalid regular expression: \/.*\/[a-z]*: /s, ""), error);
  }
  return source;
}

function refusal(pattern: string, key: string, finding: string, cause?: unknown): Failure {
  return new Failure(
    "usage",
    `Cannot use ${key}: need a pattern of Python's re, found ${JSON.stringify(pattern)}: ${finding}`,
    {
      hints: ["In YAML write patterns without quotes or in single quotes, so that backslashes stay as they are"],
      cause,
    },
  );
}

class Conversion {
  readonly #pattern: string;
  readonly #key: string;
  #at = 0;
  #isMultiline = false;
  #out = "";

  constructor(pattern: string, key: string) {
    this.#pattern = pattern;
    this.#key = key;
  }

  run(): string {
    const wrap = this.#globalFlags();
    while (this.#at < this.#pattern.length) this.#token();
    return wrap ? `(?i:${this.#out})` : this.#out;
  }

  /** `(?is)` at the start; whether letter case is ignored. */
  #globalFlags(): boolean {
    const flags = /^\(\?([aiLmsux]+)\)/.exec(this.#pattern);
    if (flags === null) return false;
    if (/[xL]/.test(flags[1]!)) this.#refuse(`the flags (?${flags[1]}) have no counterpart`);
    this.#at = flags[0].length;
    this.#isMultiline = flags[1]!.includes("m");
    return flags[1]!.includes("i");
  }

  #token(): void {
    const char = this.#pattern[this.#at]!;
    switch (char) {
      case "\\":
        return this.#escape(false);
      case "[":
        return this.#characterClass();
      case "(":
        return this.#group();
      case "{":
        return this.#brace();
      case "^":
        return this.#emit(1, this.#isMultiline ? "(?:^|(?<=\\n))" : "^");
      case "$":
        // Python's also matches before a newline at the very end.
        return this.#emit(1, this.#isMultiline ? "(?=\\n|$)" : "(?=\\n?$)");
      case "]":
      case "}":
        return this.#emit(1, "\\" + char);
      default:
        return this.#emit(1, char);
    }
  }

  #group(): void {
    const rest = this.#pattern.slice(this.#at);
    if (!rest.startsWith("(?")) return this.#emit(1, "(");
    const name = /^\(\?P<([^>]*)>/.exec(rest);
    if (name) return this.#emit(name[0].length, `(?<${name[1]}>`);
    const reference = /^\(\?P=([^)]*)\)/.exec(rest);
    if (reference) return this.#emit(reference[0].length, `\\k<${reference[1]}>`);
    const comment = /^\(\?#[^)]*\)/.exec(rest);
    if (comment) return this.#emit(comment[0].length, "");
    const plain = /^\(\?(?:[:=!]|<[=!])/.exec(rest);
    if (plain) return this.#emit(plain[0].length, plain[0]);
    const flags = /^\(\?([aiu]*s?[aiu]*)(-i)?:/.exec(rest);
    if (flags) {
      const kept = (flags[1]!.includes("i") ? "i" : "") + (flags[2] ?? "");
      return this.#emit(flags[0].length, `(?${kept}:`);
    }
    this.#refuse(`\`${rest.slice(0, 4)}\` has no counterpart`);
  }

  /** A quantifier, or a brace that means itself: in JavaScript's `u` mode the latter must be escaped. */
  #brace(): void {
    const quantifier = /^\{(?!\})(\d*)(,(\d*))?\}/.exec(this.#pattern.slice(this.#at));
    if (quantifier === null) return this.#emit(1, "\\{");
    const [whole, least, upTo, most] = quantifier;
    this.#emit(whole.length, `{${least || "0"}${upTo === undefined ? "" : `,${most}`}}`);
  }

  #characterClass(): void {
    this.#emit(1, "[");
    if (this.#pattern[this.#at] === "^") this.#emit(1, "^");
    // Directly after the opening a bracket is a member.
    if (this.#pattern[this.#at] === "]") this.#emit(1, "\\]");
    while (this.#at < this.#pattern.length) {
      const char = this.#pattern[this.#at]!;
      if (char === "]") return this.#emit(1, "]");
      if (char === "\\") this.#escape(true);
      else this.#emit(1, char);
    }
    this.#refuse("`[` is not closed");
  }

  #escape(isInClass: boolean): void {
    const rest = this.#pattern.slice(this.#at + 1);
    const char = String.fromCodePoint(rest.codePointAt(0) ?? 0);
    if (rest === "") this.#refuse("it ends with a backslash");
    const octal = /^(?:0[0-7]{0,2}|[0-3][0-7]{2})/.exec(rest);
    if (octal) {
      const code = parseInt(octal[0], 8).toString(16).padStart(2, "0");
      return this.#emit(1 + octal[0].length, `\\x${code}`);
    }
    const long = /^U([0-9a-fA-F]{8})/.exec(rest);
    if (long) return this.#emit(10, `\\u{${long[1]!.replace(/^0+(?=.)/, "")}}`);
    if (char === "w") return this.#emit(2, isInClass ? WORD : `[${WORD}]`);
    if (char === "W" && !isInClass) return this.#emit(2, `[^${WORD}]`);
    if (char === "a") return this.#emit(2, "\\x07");
    if (!isInClass && char === "A") return this.#emit(2, "^");
    if (!isInClass && (char === "Z" || char === "z")) return this.#emit(2, "$");
    if (/[1-9]/.test(char) && !isInClass || char === "W" || SAME.has(char)) return this.#emit(2, "\\" + char);
    if (/[a-zA-Z0-9]/.test(char)) this.#refuse(`\`\\${char}\` has no counterpart`);
    // In JavaScript's `u` mode only syntax may be escaped; elsewhere the character means itself.
    const isSyntax = SYNTAX.test(char) || (isInClass && char === "-");
    this.#emit(1 + char.length, isSyntax ? "\\" + char : char);
  }

  #emit(length: number, text: string): void {
    this.#at += length;
    this.#out += text;
  }

  #refuse(finding: string): never {
    throw refusal(this.#pattern, this.#key, finding);
  }
}
