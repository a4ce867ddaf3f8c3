/** Expands a word of the shell into the arguments it becomes, as far as they are known. */
import { type ParameterExpansionPart, parse, type ParsedScript, type Word, type WordPart } from "unbash";
import { expandBraces } from "./expand_braces.ts";
import { isKnown, NAME, UNKNOWN } from "./marks.ts";
import { matchesGlob } from "./rules.ts";

export interface Expansions {
  /** One of the values that the variable may have. */
  value(name: string): string;
  /** One of several that are possible. */
  choose(values: readonly string[]): string;
  isSet(name: string): boolean;
  elements(name: string): readonly string[] | undefined;
  assign(name: string, value: string): void;
  readonly positional: readonly string[] | undefined;
  /** Runs the script; what it prints. */
  output(script: ParsedScript): string;
  /** Runs the script; the path that stands for it. */
  processSubstitution(script: ParsedScript, operator: "<" | ">"): string;
  /** Runs the substitutions inside an expression. */
  arithmetic(part: WordPart): void;
}

const MAX_BRACE_WORDS = 64;
const MAX_REMOVAL_LENGTH = 512;
const MAX_PATTERN_LENGTH = 32;

/** The arguments: none for an unquoted empty variable, several for one with spaces. */
export function expandWord(word: Word, at: Expansions): string[] {
  const parts = word.parts;
  if (parts === undefined) return [expandTilde(word.text, word.value, at)];
  if (parts.some(({ type }) => type === "BraceExpansion")) {
    const texts = expandBraces(word.text, MAX_BRACE_WORDS);
    if (texts === undefined) return [UNKNOWN];
    if (texts.length > 1 || texts[0] !== word.text) {
      return texts.flatMap((text) => wordsOf(text)?.flatMap((each) => expandWord(each, at)) ?? [UNKNOWN]);
    }
  }
  const fields = new Fields(at.isSet("IFS") ? at.value("IFS") : " \t\n");
  for (const [i, part] of parts.entries()) {
    addPart(part, { isFirst: i === 0, isLast: i === parts.length - 1, fields, at });
  }
  return fields.end();
}

/** The word as one text, as in an assignment, where nothing is split. */
export function expandText(word: Word, at: Expansions): string {
  const { parts } = word;
  if (parts === undefined) return expandTilde(word.text, word.value, at);
  return partsText(parts, at);
}

/** Parts as one text, as in a here-document. */
export function partsText(parts: readonly WordPart[], at: Expansions): string {
  const fields = new Fields("");
  for (const [i, part] of parts.entries()) {
    addPart(part, { isFirst: i === 0, isLast: i === parts.length - 1, fields, at });
  }
  return fields.end().join(" ");
}

/** Collects text into fields; unquoted text from expansions is split at the separators. */
class Fields {
  readonly #done: string[] = [];
  #current: string | undefined;
  readonly #separators: string;

  constructor(separators: string) {
    this.#separators = separators;
  }

  add(text: string): void {
    this.#current = (this.#current ?? "") + text;
  }

  break(): void {
    if (this.#current !== undefined) this.#done.push(this.#current);
    this.#current = undefined;
  }

  addUnquoted(text: string): void {
    if (this.#separators === "") return this.add(text);
    // Separators of their own, or nobody knows which: where the text is cut, nobody knows either.
    if (/[^ \t\n]/.test(this.#separators)) return this.add(text === "" ? "" : UNKNOWN);
    const words = text.split(/[ \t\n]+/);
    for (const [i, word] of words.entries()) {
      if (i > 0) this.break();
      if (word !== "") this.add(withNames(word));
    }
  }

  end(): string[] {
    this.break();
    return this.#done;
  }
}

const withNames = (text: string) => text.replace(/[*?]|\[[^\][]*\]/g, NAME);

function addPart(part: WordPart, to: { isFirst: boolean; isLast: boolean; fields: Fields; at: Expansions }): void {
  const { fields, at } = to;
  switch (part.type) {
    case "Literal":
      // With a quote or an expansion right after it, a tilde is no more than that.
      return fields.add(
        to.isFirst && (to.isLast || part.text.includes("/")) ? expandTilde(part.text, part.value, at) : part.value,
      );
    case "SingleQuoted":
      return fields.add(part.value);
    case "AnsiCQuoted":
      // A mark that is spelled out is no mark.
      return fields.add(part.value.replaceAll(NAME, UNKNOWN));
    case "Glob":
    case "ExtendedGlob":
      return fields.add(NAME);
    case "DoubleQuoted":
    case "LocaleString": {
      const { parts } = part;
      // "$@" without arguments is no argument, while "" is an empty one.
      if (parts.length !== 1 || !isList(parts[0]!)) fields.add("");
      for (const child of parts) {
        if (child.type === "Literal") fields.add(child.value);
        else addExpansion(child, true, to);
      }
      return;
    }
    case "BraceExpansion":
      return fields.add(part.text);
    default:
      return addExpansion(part, false, to);
  }
}

function isList(part: WordPart): boolean {
  return part.text === "$@" || /^\$\{(?:@|[A-Za-z_]\w*\[@\])\}$/.test(part.text);
}

function addExpansion(part: WordPart, quoted: boolean, { fields, at }: { fields: Fields; at: Expansions }): void {
  const add = (text: string) => quoted ? fields.add(text) : fields.addUnquoted(text);
  const addList = (texts: readonly string[] | undefined, joined: boolean) => {
    if (texts === undefined) return add(UNKNOWN);
    if (joined && quoted) return fields.add(texts.join(" "));
    for (const [i, text] of texts.entries()) {
      if (i > 0) fields.break();
      add(text);
    }
  };
  switch (part.type) {
    case "SimpleExpansion": {
      const name = part.text.slice(1).replaceAll("\\\n", "");
      return name === "@" || name === "*" ? addList(at.positional, name === "*") : add(parameterValue(name, at));
    }
    case "ParameterExpansion": {
      const { parameter, index, prefix, operation } = part;
      const isAll = index?.value === "@" || index?.value === "*";
      if (prefix === undefined && operation === undefined && (parameter === "@" || parameter === "*")) {
        return addList(at.positional, parameter === "*");
      }
      if (prefix === undefined && operation === undefined && isAll) {
        return addList(at.elements(parameter) ?? [parameterValue(parameter, at)], index.value === "*");
      }
      if (index !== undefined || operation !== undefined) at.arithmetic(part);
      // The parser cuts a pattern at a slash also inside a substitution.
      if (operation?.type === "Replace" && /\$\(|`/.test(part.text)) {
        at.output(parse(`: "${part.text.slice(operation.operatorEnd - part.pos, -1)}"`));
      }
      return add(expandParameter(part, at));
    }
    case "CommandExpansion":
      return add(part.script === undefined ? "" : at.output(part.script).replace(/\n+$/, ""));
    case "ArithmeticExpansion":
      at.arithmetic(part);
      return fields.add(NAME);
    case "ProcessSubstitution":
      return fields.add(part.script === undefined ? UNKNOWN : at.processSubstitution(part.script, part.operator));
    default:
      return add(UNKNOWN);
  }
}

/** What every shell has, and what holds a number. */
function parameterValue(name: string, at: Expansions): string {
  if (/^[1-9]\d*$/.test(name)) return at.positional === undefined ? UNKNOWN : at.positional[Number(name) - 1] ?? "";
  if (/^(?:[?$!#]|RANDOM|SECONDS|LINENO|UID|EUID|PPID|BASHPID|EPOCHSECONDS|SHLVL|SRANDOM)$/.test(name)) return NAME;
  if (name === "IFS" && !at.isSet(name)) return " \t\n";
  return at.value(name);
}

function expandParameter({ parameter, prefix, index, operation }: ParameterExpansionPart, at: Expansions): string {
  if (prefix === "#") return NAME;
  if (prefix === "!") {
    const name = parameterValue(parameter, at);
    return operation === undefined && /^[A-Za-z_]\w*$/.test(name) ? parameterValue(name, at) : UNKNOWN;
  }
  const elements = index === undefined ? undefined : at.elements(parameter);
  const value = index === undefined
    ? parameterValue(parameter, at)
    : /^\d+$/.test(index.value) && elements !== undefined
    ? elements[Number(index.value)] ?? ""
    : UNKNOWN;
  switch (operation?.type) {
    case undefined:
      return value;
    case "Default": {
      const operand = expandText(operation.operand, at);
      const { operator } = operation;
      const countsAsSet = value !== "" || (!operator.startsWith(":") && at.isSet(parameter));
      if (operator.endsWith("+")) return !countsAsSet ? "" : isKnown(value) ? operand : UNKNOWN;
      if (value === UNKNOWN && !operator.endsWith("?")) return at.choose([UNKNOWN, operand]);
      if (countsAsSet || operator.endsWith("?")) return value;
      if (operator.endsWith("=")) at.assign(parameter, operand);
      return operand;
    }
    case "Remove":
      return removed(value, operation.operator, expandText(operation.operand, at), operation.operand);
    case "Replace": {
      const [pattern, replacement] = [operation.pattern, operation.replacement].map((word) => expandText(word, at));
      if (![value, pattern!, replacement!].every(isKnown) || pattern === "" || /[*?[\u0001]/.test(pattern!)) {
        return UNKNOWN;
      }
      if (operation.operator === "//") return value.split(pattern!).join(replacement!);
      return operation.operator === "/" ? value.replace(pattern!, () => replacement!) : UNKNOWN;
    }
    case "CaseModification": {
      if (operation.operand !== undefined && operation.operand.text !== "") return UNKNOWN;
      const change = (text: string) => operation.operator.startsWith("^") ? text.toUpperCase() : text.toLowerCase();
      return operation.operator.length === 2 ? change(value) : change(value.slice(0, 1)) + value.slice(1);
    }
    default:
      return UNKNOWN;
  }
}

/** A value without its beginning or end, for patterns of literal text and stars. */
function removed(value: string, operator: "#" | "##" | "%" | "%%", pattern: string, word: Word): string {
  const isSimple = isKnown(value + pattern) && !/[?[(]/.test(word.text);
  if (!isSimple || value.length > MAX_REMOVAL_LENGTH || pattern.length > MAX_PATTERN_LENGTH) return UNKNOWN;
  const glob = pattern.replaceAll(NAME, "*");
  const lengths = Array.from({ length: value.length + 1 }, (_, i) => i);
  if (operator.length === 2) lengths.reverse();
  for (const length of lengths) {
    const [cut, rest] = operator.startsWith("#")
      ? [value.slice(0, length), value.slice(length)]
      : [value.slice(value.length - length), value.slice(0, value.length - length)];
    if (matchesGlob(glob, cut)) return rest;
  }
  return value;
}

function expandTilde(source: string, value: string, at: Expansions): string {
  if (!source.startsWith("~")) return value;
  const [user = ""] = value.slice(1).split("/", 1);
  const rest = value.slice(1 + user.length);
  if (user === "") return at.value("HOME") + rest;
  if (user === "+") return at.value("PWD") + rest;
  return UNKNOWN + rest;
}

/** The words of what brace expansion has made; undefined when they are none. */
function wordsOf(text: string): Word[] | undefined {
  const { commands: [statement], errors } = parse(`: ${text}`);
  if (errors !== undefined || statement?.command.type !== "Command") return undefined;
  return statement.command.args.filter((argument) => argument.type === "Word");
}
