/** Rewrites a Jinja2 template so that minijinja treats undefined variables, text and operators as Python's Jinja2 does. */

/** Names that the rewritten template expects of its engine; the prefix keeps them away from the variables of users. */
export const BUILTIN = {
  /** `(name, line)`: notes that a template used a variable that does not exist. */
  undefined: "gocore__undefined",
  /** Filter `(isFloat)`: a value as Python's `str()` writes it. */
  str: "gocore__str",
  /** Filter `(isFloat, precision, method)`. */
  round: "gocore__round",
  /** Filter `(start, stop, step)`, each an integer or none: a slice. */
  slice: "gocore__slice",
  /** Filter: `str.format`. */
  strFormat: "gocore__str_format",
} as const;

const VALUE = "gocore__value";
// Each guard repeats the expression that it guards; past this size the engine's own, nameless check has to do.
const MAX_GUARDED_LENGTH = 4_000;

type TokenKind = "name" | "string" | "integer" | "float" | "operator" | "end";

interface Token {
  readonly kind: TokenKind;
  /** As written, except for strings: their value. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

/** What the rewriter does not understand is left as it is, for the engine to accept or to refuse. */
class NotUnderstood extends Error {}

const WHITESPACE = /\s+/y;
const NAME = /[\p{ID_Start}_]\p{ID_Continue}*/uy;
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const STRING = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|<=|>=|[-+/*%~[\](){}<>=.:|,;]/y;
const CLOSER_OF: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

/** Python's escapes; an unknown one keeps its backslash. */
function unescapeString(body: string): string {
  return body.replace(
    /\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|[\s\S])/g,
    (whole: string, code: string) => {
      if (/^[xuU]./.test(code)) {
        const point = parseInt(code.slice(1), 16);
        if (point > 0x10ffff) throw new NotUnderstood();
        return String.fromCodePoint(point);
      }
      if (/^[0-7]/.test(code)) return String.fromCodePoint(parseInt(code, 8));
      if (/^[xuUN]/.test(code)) throw new NotUnderstood();
      return ESCAPES[code] ?? whole;
    },
  );
}

function quote(text: string): string {
  return `"${
    text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t")
      .replace(/[\0-\x1f]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"))
  }"`;
}

interface Tag {
  readonly tokens: readonly Token[];
  /** Where the closing delimiter begins. */
  readonly bodyEnd: number;
  /** `-`, `+` or nothing. */
  readonly closingMark: string;
  readonly end: number;
}

/** Tokens from `start` up to the closing delimiter, which does not count inside brackets. */
function readTag(source: string, start: number, closer: "}}" | "%}", firstLine: number): Tag {
  const tokens: Token[] = [];
  const open: string[] = [];
  let at = start;
  let line = firstLine;
  while (at < source.length) {
    const space = matchAt(WHITESPACE, source, at);
    if (space !== undefined) {
      at += space.length;
      line += countNewlines(space);
      continue;
    }
    if (open.length === 0) {
      const mark = /[-+]/.test(source[at]!) && source.startsWith(closer, at + 1) ? source[at]! : "";
      if (mark !== "" || source.startsWith(closer, at)) {
        tokens.push({ kind: "end", text: "", start: at, end: at, line });
        return { tokens, bodyEnd: at, closingMark: mark, end: at + mark.length + closer.length };
      }
    }
    let kind: TokenKind = "name";
    let written = matchAt(NAME, source, at);
    if (written === undefined && (written = matchAt(FLOAT, source, at)) !== undefined) {
      // `rows.0.1` is two subscripts.
      kind = tokens.at(-1)?.text === "." && tokens.at(-1)?.kind === "operator" ? "integer" : "float";
      if (kind === "integer") written = undefined;
    }
    if (written === undefined && (written = matchAt(INTEGER, source, at)) !== undefined) kind = "integer";
    if (written === undefined && (written = matchAt(STRING, source, at)) !== undefined) kind = "string";
    if (written === undefined && (written = matchAt(OPERATOR, source, at)) !== undefined) {
      kind = "operator";
      if (written in CLOSER_OF) open.push(CLOSER_OF[written]!);
      else if (/^[)\]}]$/.test(written) && open.pop() !== written) throw new NotUnderstood();
    }
    if (written === undefined) throw new NotUnderstood();
    const text = kind === "string" ? unescapeString(written.slice(1, -1)) : written;
    tokens.push({ kind, text, start: at, end: at + written.length, line });
    line += countNewlines(written);
    at += written.length;
  }
  throw new NotUnderstood();
}

function countNewlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** An expression of the rewritten template. */
interface Expression {
  /** Reports what is undefined, then gives the value. */
  readonly code: string;
  /** The same, but its own last step may be undefined: for `is defined`, `default` and the like. */
  readonly lenient: string;
  /** What is shown or assigned, where that differs from `lenient`: an `if` without `else` is empty then. */
  readonly shown?: string;
  /** Always a string, so that it prints alike everywhere. */
  readonly isText: boolean;
  readonly isStringLiteral?: boolean;
  /** The variable, as `a.b[0]`, when it is nothing but that. */
  readonly reference?: string;
  /** The members of a tuple, for `"%s %s" % (a, b)`. */
  readonly members?: readonly string[];
}

function strictly(code: string, isText = false): Expression {
  return { code, lenient: code, isText };
}

const CONSTANTS: Readonly<Record<string, string>> = {
  true: "true",
  True: "true",
  false: "false",
  False: "false",
  none: "none",
  None: "none",
};
const COMPARISONS = new Set(["==", "!=", "<", "<=", ">", ">="]);
/** Jinja2's tests that look at the type only, which an undefined value has too. */
const TESTS_OF_UNDEFINED = new Set([
  "defined",
  "undefined",
  "none",
  "string",
  "mapping",
  "sequence",
  "number",
  "integer",
  "float",
  "boolean",
  "true",
  "false",
  "sameas",
]);
const FILTERS_OF_UNDEFINED = new Set(["default", "d"]);
const TEXT_FILTERS = new Set([
  "upper",
  "lower",
  "trim",
  "title",
  "capitalize",
  "replace",
  "truncate",
  "indent",
  "tojson",
  "join",
  "center",
  "format",
  "urlencode",
  "escape",
  "e",
]);

/** A recursive descent over the tokens of one tag with the precedence of Jinja2, whatever that of the engine is. */
class ExpressionRewriter {
  #at = 0;

  constructor(
    private readonly source: string,
    private readonly tokens: readonly Token[],
    private readonly aliases: ReadonlyMap<string, string>,
  ) {}

  get #token(): Token {
    return this.tokens[this.#at]!;
  }

  #next(): Token {
    const token = this.#token;
    if (token.kind === "end") throw new NotUnderstood();
    this.#at++;
    return token;
  }

  #isOperator(text: string, offset = 0): boolean {
    const token = this.tokens[this.#at + offset];
    return token?.kind === "operator" && token.text === text;
  }

  isName(text: string, offset = 0): boolean {
    const token = this.tokens[this.#at + offset];
    return token?.kind === "name" && token.text === text;
  }

  #skipOperator(text: string): boolean {
    if (!this.#isOperator(text)) return false;
    this.#at++;
    return true;
  }

  skipName(text: string): boolean {
    if (!this.isName(text)) return false;
    this.#at++;
    return true;
  }

  expectOperator(text: string): void {
    if (!this.#skipOperator(text)) throw new NotUnderstood();
  }

  expectName(): string {
    const token = this.#next();
    if (token.kind !== "name") throw new NotUnderstood();
    return token.text;
  }

  expectEnd(): void {
    if (this.#token.kind !== "end") throw new NotUnderstood();
  }

  skipComma(): boolean {
    return this.#skipOperator(",");
  }

  /** The source up to a token that fits, brackets skipped; the token is consumed. Undefined when there is none. */
  verbatimUntil(fits: (token: Token) => boolean): string | undefined {
    const from = this.#token.start;
    let depth = 0;
    for (let at = this.#at; at < this.tokens.length; at++) {
      const token = this.tokens[at]!;
      if (depth === 0 && fits(token)) {
        this.#at = at + 1;
        return this.source.slice(from, token.start).replace(/\s+/g, " ").trim();
      }
      if (token.kind === "operator" && /^[([{]$/.test(token.text)) depth++;
      if (token.kind === "operator" && /^[)\]}]$/.test(token.text)) depth--;
    }
    return undefined;
  }

  /** One expression, or several with commas between them. */
  tuple(withCondition = true): Expression {
    const one = () => withCondition ? this.expression() : this.#or();
    const first = one();
    if (!this.#isOperator(",")) return first;
    const members = [first.code];
    while (this.#skipOperator(",")) {
      if (this.#token.kind === "end" || this.#isOperator(")") || this.isName("recursive") || this.isName("if")) break;
      members.push(one().code);
    }
    return { ...strictly(`(${members.join(", ")}${members.length === 1 ? "," : ""})`), members };
  }

  expression(): Expression {
    let result = this.#or();
    while (this.isName("if")) {
      this.#at++;
      const condition = this.#or().code;
      if (this.skipName("else")) {
        const otherwise = this.expression();
        result = {
          code: `(${result.code} if ${condition} else ${otherwise.code})`,
          lenient: `(${result.lenient} if ${condition} else ${otherwise.lenient})`,
          shown: `(${result.code} if ${condition} else ${otherwise.code})`,
          isText: result.isText && otherwise.isText,
        };
      } else {
        // Jinja2 is not strict here: without `else` the value is undefined, and prints as nothing.
        const code = `(${result.code} if ${condition} else "")`;
        result = { code, lenient: `(${result.lenient} if ${condition})`, shown: code, isText: result.isText };
      }
    }
    return result;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.skipName("or")) left = strictly(`(${left.code} or ${this.#and().code})`);
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.skipName("and")) left = strictly(`(${left.code} and ${this.#not().code})`);
    return left;
  }

  #not(): Expression {
    if (this.isName("not") && !this.isName("in", 1)) {
      this.#at++;
      return strictly(`(not ${this.#not().code})`);
    }
    return this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#sum();
    const steps: string[] = [];
    let left = first.code;
    while (true) {
      let operator: string;
      if (this.#token.kind === "operator" && COMPARISONS.has(this.#token.text)) operator = this.#next().text;
      else if (this.skipName("in")) operator = "in";
      else if (this.isName("not") && this.isName("in", 1)) {
        this.#at += 2;
        operator = "not in";
      } else break;
      const right = this.#sum().code;
      steps.push(`(${left} ${operator} ${right})`);
      left = right;
    }
    return steps.length === 0 ? first : strictly(steps.length === 1 ? steps[0]! : `(${steps.join(" and ")})`);
  }

  #sum(): Expression {
    let left = this.#concatenation();
    while (this.#isOperator("+") || this.#isOperator("-")) {
      const operator = this.#next().text;
      left = strictly(`(${left.code} ${operator} ${this.#concatenation().code})`);
    }
    return left;
  }

  #concatenation(): Expression {
    const first = this.#product();
    if (!this.#isOperator("~")) return first;
    const parts = [asText(first)];
    while (this.#skipOperator("~")) parts.push(asText(this.#product()));
    return strictly(`(${parts.join(" ~ ")})`, true);
  }

  #product(): Expression {
    let left = this.#unary();
    while (this.#isOperator("*") || this.#isOperator("/") || this.#isOperator("//") || this.#isOperator("%")) {
      const operator = this.#next().text;
      const right = this.#unary();
      left = operator === "%" && left.isStringLiteral
        ? strictly(`(${left.code}|format(${(right.members ?? [right.code]).join(", ")}))`, true)
        : strictly(`(${left.code} ${operator} ${right.code})`);
    }
    return left;
  }

  // As Jinja2 3.1: `-2 ** 2` is (-2) ** 2, and a filter takes the sign with it.
  #unary(): Expression {
    let left = this.#signed(true);
    while (this.#skipOperator("**")) left = strictly(`(${left.code} ** ${this.#signed(true).code})`);
    return left;
  }

  #signed(withFilters: boolean): Expression {
    let result: Expression;
    if (this.#skipOperator("-")) result = strictly(`(-${this.#signed(false).code})`);
    else if (this.#skipOperator("+")) result = strictly(this.#signed(false).code);
    else result = this.#reference();
    return withFilters ? this.#filtersAndTests(result) : result;
  }

  /** A literal or a name with everything that follows it by `.`, `[` and `(`. */
  #reference(): Expression {
    const first = this.#token;
    const chain = new Chain();
    let current = this.#primary(chain);
    const nameSoFar = () => this.source.slice(first.start, this.tokens[this.#at - 1]!.end).replace(/\s+/g, " ");
    while (true) {
      if (this.#isOperator(".")) {
        this.#at++;
        const attribute = this.#next();
        if (attribute.kind === "integer") current = chain.step(current, `[${attribute.text}]`, nameSoFar(), first.line);
        else if (attribute.kind !== "name") throw new NotUnderstood();
        else if (this.#isOperator("(")) current = this.#methodCall(chain, current.code, attribute.text);
        else current = chain.step(current, `.${attribute.text}`, nameSoFar(), first.line);
      } else if (this.#isOperator("[")) {
        this.#at++;
        const parts = this.#subscript();
        current = parts.length === 1
          ? chain.step(current, `[${parts[0]}]`, nameSoFar(), first.line)
          : chain.restart(sliced(current.code, parts));
      } else if (this.#isOperator("(")) {
        // An unknown function is reported by the engine, by name; a guard would hide `caller` and `loop` from it.
        current = chain.restart(`${chain.plain}(${this.#arguments().join(", ")})`);
      } else return current;
    }
  }

  #methodCall(chain: Chain, receiver: string, method: string): Expression {
    const [first, second, ...rest] = this.#arguments();
    const given = [first, second, ...rest].filter((argument) => argument !== undefined);
    if (method === "get" && given.length === 2) {
      return chain.restart(`(${receiver}[${first}] if ${first} in ${receiver} else ${second})`);
    }
    if (method === "format") return chain.restart(`(${receiver}|${BUILTIN.strFormat}(${given.join(", ")}))`);
    return chain.restart(`${receiver}.${method}(${given.join(", ")})`);
  }

  /** One part for an index; two or three for a slice, empty where nothing was written. */
  #subscript(): string[] {
    const parts: string[] = [""];
    while (!this.#isOperator("]")) {
      if (this.#skipOperator(":")) parts.push("");
      else if (parts.at(-1) === "") parts[parts.length - 1] = this.expression().code;
      else throw new NotUnderstood();
    }
    this.#at++;
    if (parts.length > 3 || (parts.length === 1 && parts[0] === "")) throw new NotUnderstood();
    return parts;
  }

  #arguments(): string[] {
    this.expectOperator("(");
    const list: string[] = [];
    while (!this.#skipOperator(")")) {
      if (list.length > 0) {
        this.expectOperator(",");
        if (this.#skipOperator(")")) break;
      }
      if (this.#skipOperator("*")) list.push(`*${this.expression().code}`);
      else if (this.#skipOperator("**")) list.push(`**${this.expression().code}`);
      else if (this.#token.kind === "name" && this.#isOperator("=", 1)) {
        const name = this.#next().text;
        this.#at++;
        list.push(`${name}=${this.expression().code}`);
      } else list.push(this.expression().code);
    }
    return list;
  }

  #primary(chain: Chain): Expression {
    const token = this.#next();
    if (token.kind === "name") {
      const constant = Object.hasOwn(CONSTANTS, token.text) ? CONSTANTS[token.text] : undefined;
      if (constant !== undefined) return chain.restart(constant);
      return chain.name(token.text, this.aliases.get(token.text) ?? token.text, token.line);
    }
    if (token.kind === "string") {
      let text = token.text;
      while (this.#token.kind === "string") text += this.#next().text;
      return { ...chain.restart(quote(text)), isText: true, isStringLiteral: true };
    }
    if (token.kind === "integer") return chain.restart(BigInt(token.text.replaceAll("_", "")).toString());
    if (token.kind === "float") return chain.restart(token.text.replaceAll("_", ""));
    if (token.text === "(") {
      if (this.#skipOperator(")")) return chain.restart("[]");
      const inner = this.tuple();
      this.expectOperator(")");
      const { code } = chain.restart(`(${inner.code})`);
      return { ...inner, code, lenient: `(${inner.lenient})` };
    }
    if (token.text === "[") {
      const members: string[] = [];
      while (!this.#skipOperator("]")) {
        if (members.length > 0) {
          this.expectOperator(",");
          if (this.#skipOperator("]")) break;
        }
        members.push(this.expression().code);
      }
      return chain.restart(`[${members.join(", ")}]`);
    }
    if (token.text === "{") {
      const members: string[] = [];
      while (!this.#skipOperator("}")) {
        if (members.length > 0) {
          this.expectOperator(",");
          if (this.#skipOperator("}")) break;
        }
        const key = this.expression().code;
        this.expectOperator(":");
        members.push(`${key}: ${this.expression().code}`);
      }
      // The space keeps the brace from making a delimiter with one before it.
      return chain.restart(` {${members.join(", ")}} `);
    }
    throw new NotUnderstood();
  }

  #filtersAndTests(start: Expression): Expression {
    let value = start;
    while (true) {
      if (this.#skipOperator("|")) {
        const name = this.expectName();
        const args = this.#isOperator("(") ? this.#arguments() : [];
        value = filtered(value, name, args);
      } else if (this.skipName("is")) {
        value = this.#test(value);
      } else return value;
    }
  }

  #test(value: Expression): Expression {
    const negated = this.skipName("not");
    const name = this.expectName();
    let args: string[] = [];
    const { kind, text } = this.#token;
    if (this.#isOperator("(")) args = this.#arguments();
    else if (
      kind === "string" || kind === "integer" || kind === "float" || text === "[" || text === "{" ||
      (kind === "name" && !["else", "or", "and", "is", "if", "not", "in", "recursive"].includes(text))
    ) {
      args = [this.#reference().code];
    }
    const subject = TESTS_OF_UNDEFINED.has(name) ? value.lenient : value.code;
    const call = args.length === 0 ? name : `${name}(${args.join(", ")})`;
    return strictly(`(${subject} is ${negated ? "not " : ""}${call})`);
  }
}

function sliced(code: string, parts: readonly string[]): string {
  // The engine is quick, but wrong where a negative index reaches beyond the start: `"abc"[-5:]` is "abc" in Python.
  if (parts.length === 2 && parts.every((part) => /^\d*$/.test(part))) return `${code}[${parts.join(":")}]`;
  return `(${code}|${BUILTIN.slice}(${parts.map((part) => part === "" ? "none" : part).join(", ")}))`;
}

function asText(value: Expression): string {
  return value.isText ? value.code : `(${value.code}|${BUILTIN.str}(${value.code} is float))`;
}

/** `default(default_value="", boolean=False)`. The engine's own takes `default(none)` for a call without arguments. */
function defaulted({ lenient }: Expression, args: readonly string[]): Expression {
  const argument = (index: number, name: string) => {
    const named = args.find((given) => given.startsWith(`${name}=`))?.slice(name.length + 1);
    const positional = args[index];
    return named ?? (positional !== undefined && /^(\w+=|\*)/.test(positional) ? undefined : positional);
  };
  const boolean = argument(1, "boolean");
  const isGiven = `${lenient} is defined${boolean === undefined ? "" : ` and (not ${boolean} or ${lenient})`}`;
  return strictly(`(${lenient} if ${isGiven} else ${argument(0, "default_value") ?? '""'})`);
}

function filtered(value: Expression, name: string, args: readonly string[]): Expression {
  const call = args.length === 0 ? "" : `(${args.join(", ")})`;
  if (FILTERS_OF_UNDEFINED.has(name)) return defaulted(value, args);
  if (name === "string" && args.length === 0) return strictly(asText(value), true);
  // What comes back from a filter of ours is an integer whenever it is whole: JavaScript has one kind of number.
  if (name === "float") return strictly(`((${value.code}|float${call}) * 1.0)`);
  if (name === "round") {
    const kind = `${value.code} is float`;
    return strictly(`((${value.code}|${BUILTIN.round}(${[kind, ...args].join(", ")})) * (1.0 if ${kind} else 1))`);
  }
  return strictly(`(${value.code}|${name}${call})`, TEXT_FILTERS.has(name));
}

/** The steps `a`, `a.b`, `a.b[0]` of a reference, so that each can be checked before the next is taken. */
class Chain {
  #checks: { code: string; name: string; line: number }[] = [];
  plain = "";

  name(code: string, name: string, line: number): Expression {
    this.plain = code;
    this.#checks = [{ code, name, line }];
    return this.#expression();
  }

  /** A value that is not undefined by itself: a literal, or the result of a call. */
  restart(code: string): Expression {
    this.plain = code;
    this.#checks = [];
    return strictly(code);
  }

  step(before: Expression, step: string, name: string, line: number): Expression {
    if (this.#checks.length === 0) this.plain = before.code;
    this.plain += step;
    this.#checks.push({ code: this.plain, name, line });
    return this.#expression();
  }

  #expression(): Expression {
    const guard = (count: number) => {
      let code = this.plain;
      for (const check of this.#checks.slice(0, count).reverse()) {
        code = `(${BUILTIN.undefined}(${quote(check.name)}, ${check.line}) if ${check.code} is undefined else ${code})`;
      }
      return code.length > MAX_GUARDED_LENGTH ? this.plain : code;
    };
    const code = guard(this.#checks.length);
    return { code, lenient: guard(this.#checks.length - 1), isText: false, reference: this.#checks.at(-1)!.name };
  }
}

/** Names that `set` gave to a variable that may be undefined: a report names the variable, as Jinja2 does. */
type Aliases = Map<string, string>;

/** A statement after its opening delimiter, or undefined when nothing in it needs to be rewritten. */
function rewriteStatement(source: string, tokens: readonly Token[], aliases: Aliases): string | undefined {
  const rewriter = new ExpressionRewriter(source, tokens, aliases);
  const keyword = rewriter.expectName();
  const isAssign = (token: Token) => token.kind === "operator" && token.text === "=";
  switch (keyword) {
    case "if":
    case "elif": {
      const condition = rewriter.tuple(false).code;
      rewriter.expectEnd();
      return `${keyword} ${condition}`;
    }
    case "for": {
      const target = rewriter.verbatimUntil((token) => token.kind === "name" && token.text === "in");
      if (target === undefined) throw new NotUnderstood();
      let code = `for ${target} in ${rewriter.tuple(false).code}`;
      if (rewriter.skipName("if")) code += ` if ${rewriter.expression().code}`;
      if (rewriter.skipName("recursive")) code += " recursive";
      rewriter.expectEnd();
      return code;
    }
    case "set": {
      const target = rewriter.verbatimUntil(isAssign);
      if (target === undefined) return undefined;
      const value = rewriter.tuple();
      rewriter.expectEnd();
      if (value.reference === undefined) aliases.delete(target);
      else aliases.set(target, value.reference);
      const names = target.includes(",") && !target.startsWith("(") ? `(${target})` : target;
      return `set ${names} = ${value.shown ?? value.lenient}`;
    }
    case "with": {
      const values: string[] = [];
      do {
        const target = rewriter.verbatimUntil(isAssign);
        if (target === undefined) throw new NotUnderstood();
        values.push(`${target} = ${rewriter.expression().lenient}`);
      } while (rewriter.skipComma());
      rewriter.expectEnd();
      return `with ${values.join(", ")}`;
    }
    case "call": {
      // `{% call(user) list_users() %}`: the parameters are names of the block, not variables.
      if (tokens[1]?.text === "(") return undefined;
      const call = rewriter.expression().code;
      rewriter.expectEnd();
      return `call ${call}`;
    }
    default:
      return undefined;
  }
}

function rewriteOutput(source: string, tag: Tag, openingMark: string, aliases: Aliases): string {
  const rewriter = new ExpressionRewriter(source, tag.tokens, aliases);
  const value = rewriter.tuple();
  rewriter.expectEnd();
  if (value.isText) return `{{${openingMark} ${value.code} ${tag.closingMark}}}`;
  const first = tag.tokens[0]!;
  const written = source.slice(first.start, tag.tokens.at(-2)!.end).replace(/\s+/g, " ");
  const missing = `${BUILTIN.undefined}(${quote(value.reference ?? written)}, ${first.line})`;
  const text = `(${VALUE}|${BUILTIN.str}(${VALUE} is float))`;
  // A string, the usual case, never leaves the engine: it may be 10 MB long.
  const shown = `${VALUE} if ${VALUE} is string else (${missing} if ${VALUE} is undefined else ${text})`;
  return `{%${openingMark} set ${VALUE} = ${value.shown ?? value.lenient} %}{{ ${shown} ${tag.closingMark}}}`;
}

const OPENER = /\{[{%#]/g;
const RAW_BEGIN = /\{%[-+]?\s*raw\s*[-+]?%\}/y;
const RAW_END = /\{%[-+]?\s*endraw\s*[-+]?%\}/g;

/**
 * The template with every expression made strict: a use of something undefined calls `gocore__undefined(name, line)`,
 * what is printed or joined by `~` passes `gocore__str`, and precedence is spelled out by parentheses. Lines keep their
 * numbers. What it does not understand is left unchanged. `source` has LF line ends only.
 */
export function strictTemplate(source: string): string {
  const aliases: Aliases = new Map();
  let result = "";
  let at = 0;
  let line = 1;
  const copyTo = (end: number) => {
    result += source.slice(at, end);
    line += countNewlines(source.slice(at, end));
    at = end;
  };
  while (at < source.length) {
    OPENER.lastIndex = at;
    const opener = OPENER.exec(source);
    if (opener === null) break;
    copyTo(opener.index);
    if (opener[0] === "{#") {
      const end = source.indexOf("#}", at + 2);
      copyTo(end < 0 ? source.length : end + 2);
      continue;
    }
    if (matchAt(RAW_BEGIN, source, at) !== undefined) {
      RAW_END.lastIndex = at;
      copyTo(RAW_END.exec(source) === null ? source.length : RAW_END.lastIndex);
      continue;
    }
    const isOutput = opener[0] === "{{";
    const mark = /[-+]/.test(source[at + 2] ?? "") ? source[at + 2]! : "";
    let tag: Tag;
    try {
      tag = readTag(source, at + 2 + mark.length, isOutput ? "}}" : "%}", line);
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
      copyTo(at + 2 + mark.length);
      continue;
    }
    let rewritten: string | undefined;
    try {
      if (isOutput) rewritten = rewriteOutput(source, tag, mark, aliases);
      else {
        const statement = rewriteStatement(source, tag.tokens, aliases);
        if (statement !== undefined) rewritten = `{%${mark} ${statement} ${tag.closingMark}%}`;
      }
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
    }
    if (rewritten === undefined) copyTo(tag.end);
    else {
      const newlines = countNewlines(source.slice(at, tag.end));
      const inside = opener[0].length + mark.length;
      result += rewritten.slice(0, inside) + "\n".repeat(newlines) + rewritten.slice(inside);
      line += newlines;
      at = tag.end;
    }
  }
  return result + source.slice(at);
}
