/** What the text of a reproducer says about an end that its program may have made itself. */
import type { RunPlace } from "./expected.ts";
import type { ObservedFailure, ProgramEnd, Runtime } from "./failure.ts";

const SHELL = /^(?:sh|bash|zsh|ksh|dash)$/;
const NATIVE = /^(?:c|h|cc|cpp|cxx|C|hpp|rs|go|zig|m|swift|d|f90|s|S)$/;
const EXTENSIONS: Readonly<Record<string, Runtime>> = {
  py: "python",
  ...Object.fromEntries(["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx"].map((name) => [name, "node"] as const)),
};

/** Of a shell: what ends it with a status of somebody's choice. `exit $?` passes on what there was. */
const SHELL_STATUS =
  /(?:^|[\s;&|({`])(?:(?:exit|return)[ \t]+(?!(?:0|"?\$\{?\?\}?"?)(?:$|[\s;&|)}]))[^\s;&|)}]+|kill\b[^;&|\n]*|pkill\b|false\b|ulimit\b|timeout\b|!(?=\s))/m;
/** What prints a file or a text. */
const SHELL_PRINT = /(?:^|[\s;&|({`])(?:cat|head|tail|printf|echo|sed|awk|base64|xxd)\b/;
const TO_FILE = /(?:^|[^\d&>])>{1,2}[ \t]*[^\s&>]|\|/;
const STATUS: readonly (readonly [extension: RegExp, call: RegExp])[] = [
  [SHELL, SHELL_STATUS],
  [
    /^(?:c|h|cc|cpp|cxx|C|hpp|m)$/,
    /\b(?:_*exit|_Exit|quick_exit|abort|raise|kill|terminate|__builtin_trap|__builtin_unreachable)\s*\(|\breturn\s+(?:-\s*)?[1-9]|\bEXIT_FAILURE\b/,
  ],
  [/^go$/, /\bos\.Exit\(|\bsyscall\.(?:Kill|Exit)\(|\blog\.Fatal|\.Kill\(/],
  [/^rs$/, /\bprocess::(?:exit|abort)\s*\(|\bExitCode::/],
  [/^(?:java|kt|scala)$/, /\bSystem\.exit\(|\bhalt\(/],
];
/** What ends a program as a failed assertion, or the allocator, does. */
const ABORTS = /\b(?:abort|raise|kill|tgkill|syscall|_exit|_Exit|quick_exit|__builtin_trap|system|popen|exec[lv]\w*)\b/;
/** `os.Exit(m.Run())` is how tests are written. */
const GO_EXIT = /\bos\.Exit\b(?!\(\w+\.Run\(\)\))|\bsyscall\.(?:Kill|Exit)\b|\blog\.Fatal/;
/** Words that only the runtime writes, or somebody who forges its report. */
const REPORTS: Partial<Record<ObservedFailure["runtime"], RegExp>> = {
  python: /Traceback \(most recent call last\)/,
  go: /\bgoroutine \d|\bpanic: |\bfatal error: /,
  rust: /\bpanicked at\b/,
  java: /Exception in thread\b|\bsetStackTrace\b/,
  sanitizer: /(?:Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|\bruntime error: /,
  native: /Assertion [`'"]|terminate called after|what\(\):|stack smashing detected|double free|free\(\): /,
};
/** What a program waits for, or does for ever, without anybody's help. */
const ENDLESS =
  /\b(?:sleep|usleep|nanosleep|delay|pause|setInterval|wait|join|input|getchar|select|read|recv|accept)\w*\s*\(|\bsleep\s+\d|\bwhile\s*\(?\s*(?:true|True|1|:|\[)|\bfor\s*(?:\(\s*;[^)]{0,200};|\{)|\bloop\s*\{|\buntil\s+false\b|itertools\.(?:count|repeat|cycle)/;
/** First words of commands that start a program of the project. */
const STARTS =
  /^(?:go\s+(?:run|test)|cargo\s+(?:run|test)|java|mvn|gradle|make|npm|npx|yarn|pnpm|node|deno|bun|python[\d.]*|ruby|php|perl|dotnet)\b/;

/** What follows may be a function of the project. */
const SOURCES = /^[ \t]*(?:\.|source)[ \t]+["']?[^\s"']*\//m;

/** Of the reproducer's file, without its dot. */
function extensionOf({ reproFile }: RunPlace): string {
  return /\.([^./]+)$/.exec(reproFile)?.[1] ?? "";
}

/** How it may have ended in this way by itself, where nothing but its status or its output speaks; null: it cannot tell. */
export function ownEnd(failure: ObservedFailure, end: ProgramEnd, place: RunPlace): string | null {
  const { script } = end;
  if (script === undefined || place.reproFile === "" || failure.source === "witness") return null;
  const command = end.command ?? "";
  const extension = extensionOf(place);
  const own = SHELL_STATUS.exec(command) ?? STATUS.find(([name]) => name.test(extension))?.[1].exec(script) ?? null;
  if (failure.kind === "timeout") {
    const wait = ENDLESS.exec(script) ?? ENDLESS.exec(command);
    return wait === null ? null : `The reproducer may wait by itself: ${quoted(wait[0])}`;
  }
  const isStatus = failure.source === "status" || (failure.kind === "signal" && failure.frames.length === 0);
  if (isStatus || SHELL.test(extension)) {
    if (own !== null) return `The reproducer chooses itself how it ends: ${quoted(own[0])}`;
  }
  if (isStatus) {
    const runtime = EXTENSIONS[extension];
    if (runtime !== undefined && (end.watched ?? []).includes(runtime)) {
      return "Nothing tells whether the project or the reproducer ended it in this way";
    }
    if (failure.kind === "signal" && NATIVE.test(extension)) {
      return "Nothing tells whether the project or the reproducer crashed: build both with -g -fsanitize=address";
    }
    const shell = SHELL.test(extension) ? script : command;
    const last = lastCommand(shell);
    if (
      !NATIVE.test(extension) && !SOURCES.test(shell) && !STARTS.test(last) &&
      !/^["']?(?:\$\w+|\$\{\w+\}|[^\s"']*)\//.test(last)
    ) {
      return `Its last command is no program of the project: ${quoted(last)}`;
    }
    return builtItself(shell, last, place);
  }
  if (failure.runtime === "native" && NATIVE.test(extension)) {
    const abort = ABORTS.exec(script);
    if (abort !== null) return `The reproducer may have ended itself: ${quoted(abort[0])}`;
  }
  if (failure.runtime === "go" && failure.kind === "assertion") {
    const exit = GO_EXIT.exec(script);
    if (exit !== null) return `The reproducer may have ended its tests itself: ${quoted(exit[0])}`;
  }
  const lines = NATIVE.test(extension) ? /^[ \t]*#[ \t]*(?:line\b|\d+[ \t]+").*/m.exec(script) : null;
  if (lines !== null) return `The reproducer gives its lines the names of others: ${quoted(lines[0])}`;
  const report = REPORTS[failure.runtime];
  const forged = report?.exec(script) ?? report?.exec(command) ??
    printIn(SHELL.test(extension) ? `${script}\n${command}` : command);
  return forged === null || forged === undefined
    ? null
    : `The reproducer may have printed the report itself: ${quoted(forged[0])}`;
}

const SOURCE = /^["']?([^\s"']+\.(?:c|cc|cpp|cxx|rs|go|java|zig|swift|s|S))["']?$/;

/** How the program that a shell runs last has come from the reproducer itself; null: it has not, as far as is seen. */
function builtItself(shell: string, last: string, { files }: RunPlace): string | null {
  const program = /^["']?(?:\.\/)?([\w./+-]+)/.exec(last)?.[1];
  if (program === undefined || files === undefined) return null;
  const isProgram = (word: string | undefined) => word?.replace(/^["']?(?:\.\/)?|["']$/g, "") === program;
  for (const line of shell.split("\n").slice(0, MAX_STATEMENTS)) {
    for (const command of line.slice(0, MAX_BINDING).split(/&&|\|\||[;|]/)) {
      const words = command.trim().split(/\s+/);
      const written = words.some((word, at) => /^\d?>{1,2}$/.test(word) && isProgram(words[at + 1])) ||
        words.some((word) => />/.test(word) && isProgram(word.replace(/^.*>/, ""))) ||
        (/^(?:cp|mv|ln|install|tee)$/.test(words[0]!) && isProgram(words.at(-1)));
      if (written) return `The program that ends is the reproducer's own: ${quoted(command)}`;
      if (!words.some((word, at) => word === "-o" && isProgram(words[at + 1]))) continue;
      const sources = words.flatMap((word) => SOURCE.exec(word)?.[1]?.replace(/^\.\//, "") ?? []);
      const own = sources.find((path) => !files.has(path));
      if (own !== undefined) {
        return `The program that ends has been built from a source of the reproducer's, ${quoted(own)}: ` +
          "nothing tells whether the project crashed; build both with -g -fsanitize=address";
      }
    }
  }
  return null;
}

/** A line that prints something of its own, and not to a file or another program. */
function printIn(shell: string): RegExpExecArray | null {
  const line = shell.split("\n").find((line) => SHELL_PRINT.test(line) && !TO_FILE.test(line));
  return line === undefined ? null : /.*/.exec(line);
}

/** The one whose status is the shell's, without what stands before its name. */
function lastCommand(text: string): string {
  const passedOn = /[;\n] *(?:exit|return) +"?\$\{?\?\}?"?\s*$/;
  const lines = text.replace(passedOn, "").split("\n").map((line) => line.trim()).filter((line) =>
    line !== "" && !line.startsWith("#")
  );
  const last = (lines.at(-1) ?? "").split(/&&|\|\||[;|]/).findLast((part) => part.trim() !== "") ?? "";
  return last.trim().replace(/^(?:[A-Za-z_]\w*=\S*\s+|exec\s+|env\s+|time\s+|nice\s+)*/, "");
}

interface Statement {
  readonly text: string;
  /** From 1. */
  readonly first: number;
  readonly last: number;
  readonly indentation: number;
}

const MAX_STATEMENTS = 2000;
/** Characters of a statement that are looked at for names it gives something to. */
const MAX_BINDING = 2000;
/** From name to name. */
const MAX_STEPS = 20;
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/gu;
const KEYWORDS = new Set(
  "and as assert async await break case catch class const continue def del do elif else except export extends false finally for from function global if import in instanceof is lambda let new None nonlocal not null of or pass raise return self static super switch this throw True true False try typeof undefined var void while with yield"
    .split(" "),
);

/** How it has made the failure likelier than it is anywhere else; null: not at all. */
export function ownLimit({ type }: ObservedFailure, { script = "" }: ProgramEnd): string | null {
  const limit = /(?:^|\.)RecursionError$/.test(type ?? "")
    ? /\bsetrecursionlimit\b[^\n]*/.exec(script)
    : /(?:^|\.)(?:MemoryError|OSError|BlockingIOError)$/.test(type ?? "")
    ? /\bsetrlimit\b[^\n]*/.exec(script)
    : null;
  return limit === null ? null : `The reproducer sets the limit itself: ${quoted(limit[0])}`;
}

/**
 * Whether what one of these lines does depends on the project, as far as names tell: it uses what comes from it, or is done
 * on the condition of something that does. Only for Python, JavaScript and Go.
 *
 * @param lines from 1, those of the reproducer in the stack
 */
export function dependsOnProject(script: string, lines: readonly number[], place: RunPlace): boolean {
  const extension = extensionOf(place);
  const runtime = extension === "go" ? "go" : EXTENSIONS[extension];
  if (runtime === undefined || place.files === undefined) return true;
  const statements = statementsOf(script);
  const roots = runtime === "go" ? rootsOfGo(script) : rootsOf(place.files, runtime);
  const isOfProject = ofProject(statements, { runtime, roots });
  return lines.some((line) => {
    const index = statements.findIndex(({ first, last }) => first <= line && line <= last);
    return index !== -1 && conditionsOf(statements, index).some(({ text }) => isOfProject(text));
  });
}

/** What calls back is meant to be given. */
const CALLBACK = /^(?:on[A-Z_]?\w*|\w*(?:[hH]andler|[cC]allback|[lL]istener|[hH]ook|[lL]og(?:ger)?)s?)$/;

/**
 * The member of something of the project to which JavaScript gives a function; null: it does so nowhere. Of Python the
 * witness tells.
 */
export function replacedFunction(script: string, place: RunPlace): string | null {
  if (EXTENSIONS[extensionOf(place)] !== "node" || place.files === undefined) return null;
  const statements = statementsOf(script);
  const isOfProject = ofProject(statements, { runtime: "node", roots: rootsOf(place.files, "node") });
  for (const { text } of statements) {
    const found =
      /^\s*((?:[\w$]+\.)+([\w$]+))\s*=\s*(?:async\b|function\b|\([^()]{0,200}\)\s*=>|[\w$]+\s*=>|[\w$.]*(?:mock|stub|fn|spy)\b)/
        .exec(text.slice(0, MAX_BINDING));
    if (found !== null && isOfProject(found[1]!) && !CALLBACK.test(found[2]!)) return found[1]!;
  }
  return null;
}

/** Tells of a text whether it names something that comes from the project. */
function ofProject(
  statements: readonly Statement[],
  { runtime, roots }: { readonly runtime: Runtime; readonly roots: ReadonlySet<string> },
): (text: string) => boolean {
  const names = new Set<string>();
  const isOfProject = (text: string) =>
    (runtime === "node" && /["'`]\.{1,2}(?:\/|["'`])/.test(text)) ||
    [...text.matchAll(WORD)].some(([word]) => roots.has(word) || names.has(word));
  const bound = statements.map((statement, index) =>
    [statement, ...headersOf(statements, index)].flatMap((one) => boundBy(one))
  );
  for (let step = 0, size = -1; step < MAX_STEPS && size !== names.size; step++) {
    size = names.size;
    for (const [index, { text }] of statements.entries()) {
      if (isOfProject(text)) { for (const name of bound[index]!) names.add(name); }
    }
  }
  return isOfProject;
}

/** Names under which the project's code is found. */
function rootsOf(files: ReadonlySet<string>, runtime: Runtime): ReadonlySet<string> {
  const roots = new Set<string>();
  const pattern = runtime === "python"
    ? /^(?:(?:src|lib|python)\/)?([A-Za-z_]\w*)(?:\/.*)?\.(?:pyx?|so)$/
    : /^(?:packages\/)?([A-Za-z_$][\w$-]*)(?:\/.*)?\.(?:[cm]?[jt]sx?|node)$/;
  for (const file of files) {
    const name = pattern.exec(file)?.[1];
    if (name !== undefined && !/^(?:setup|conftest|tests?|docs?|examples?|index)$/.test(name)) roots.add(name);
  }
  return roots;
}

const GO_BUILTINS = new Set(
  "append cap close complex copy delete imag len make new panic print println real recover string int int64 byte float64 func if for switch return"
    .split(" "),
);

/** Packages that are not of the standard library, and in a test of the package itself what it calls and has not declared. */
function rootsOfGo(script: string): ReadonlySet<string> {
  const roots = new Set<string>();
  for (
    const [, alias, path] of script.matchAll(/^[ \t]*(?:import[ \t]+)?(?:([\w.]+)[ \t]+)?"([\w-]+\.[\w./-]+)"[ \t]*$/gm)
  ) {
    roots.add(alias ?? path!.split("/").findLast((name) => !/^v\d+$/.test(name))!.replaceAll("-", "_"));
  }
  if (/^package\s+(?:main|\w+_test)\b/m.test(script)) return roots;
  const declared = new Set(Array.from(script.matchAll(/\b(?:func\s+|type\s+|var\s+)(\w+)/g), ([, name]) => name!));
  for (const [, name] of script.matchAll(/(?<![\w.)]|func )\b([A-Za-z_]\w*)[({]/g)) {
    if (!declared.has(name!) && !GO_BUILTINS.has(name!)) roots.add(name!);
  }
  return roots;
}

/** Lines that belong together, by their brackets and texts; no parser, but for what people write it is one. */
function statementsOf(script: string): Statement[] {
  const statements: Statement[] = [];
  let open: { text: string; first: number; indentation: number; depth: number; quote: string | null } | undefined;
  for (const [index, line] of script.split("\n").entries()) {
    if (statements.length === MAX_STATEMENTS) break;
    if (open === undefined && line.trim() === "") continue;
    open ??= { text: "", first: index + 1, indentation: /^\s*/.exec(line)![0].length, depth: 0, quote: null };
    open.text += `${line}\n`;
    for (let at = 0; at < line.length; at++) {
      const char = line[at]!;
      if (char === "\\") at++;
      else if (open.quote !== null) {
        if (line.startsWith(open.quote, at)) {
          at += open.quote.length - 1;
          open.quote = null;
        }
      } else if (char === "#" || line.startsWith("//", at)) break;
      else if (char === '"' || char === "'" || char === "`") {
        const triple = char.repeat(3);
        open.quote = line.startsWith(triple, at) ? triple : char;
        at += open.quote.length - 1;
      } else if (char === "(" || char === "[") open.depth++;
      else if (char === ")" || char === "]") open.depth--;
    }
    // Other texts end with their line.
    if (open.quote !== null && open.quote.length === 1 && open.quote !== "`") open.quote = null;
    if (open.depth > 0 || open.quote !== null || line.endsWith("\\")) continue;
    const { text, first, indentation } = open;
    statements.push({ text, first, last: index + 1, indentation });
    open = undefined;
  }
  if (open !== undefined) statements.push({ ...open, last: Infinity });
  return statements;
}

/** Those around a statement, the nearest first. */
function headersOf(statements: readonly Statement[], index: number): Statement[] {
  const found: Statement[] = [];
  let { indentation } = statements[index]!;
  for (let at = index - 1; at >= 0 && indentation > 0; at--) {
    const statement = statements[at]!;
    if (statement.indentation >= indentation) continue;
    found.push(statement);
    indentation = statement.indentation;
  }
  return found;
}

/** A statement, what decides whether it is done, and what stands beside it in blocks that may be left by an exception. */
function conditionsOf(statements: readonly Statement[], index: number): Statement[] {
  const statement = statements[index]!;
  const found = [statement];
  for (const header of [statement, ...headersOf(statements, index)]) {
    const at = statements.indexOf(header);
    if (header !== statement) found.push(header);
    if (/^\s*(?:async\s+)?(?:with|try)\b/.test(header.text)) found.push(...bodyOf(statements, at));
    if (!/^\s*\}?\s*(?:elif|else|except|catch|finally)\b/.test(header.text)) continue;
    for (let before = at - 1; before >= 0 && statements[before]!.indentation >= header.indentation; before--) {
      found.push(statements[before]!);
      const isStart = /^\s*(?:try|if|for|while)\b/.test(statements[before]!.text);
      if (isStart && statements[before]!.indentation === header.indentation) break;
    }
  }
  return found;
}

function bodyOf(statements: readonly Statement[], index: number): readonly Statement[] {
  const { indentation } = statements[index]!;
  const end = statements.findIndex((other, at) => at > index && other.indentation <= indentation);
  return statements.slice(index + 1, end === -1 ? undefined : end);
}

/** Names that a statement gives something to. */
function boundBy(statement: Statement): string[] {
  const text = statement.text.slice(0, MAX_BINDING);
  const parts = [
    /^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:def|class|function\*?)\s+([\w$]+)/.exec(text)?.[1],
    /^\s*(?:from\s+\S+\s+)?import\s+([^]*)$/.exec(text)?.[1],
    /^\s*(?:async\s+)?for\b\s*(?:await\s*)?\(?\s*(?:const|let|var)?\s*([^]*?)\s(?:in|of)\s/.exec(text)?.[1],
    ...[...text.matchAll(/\bas\s+\(?([\w$, ]+)/g)].map((found) => found[1]),
    ...[...text.matchAll(/((?:[\w$]{1,100}, ?){0,9}[\w$]{1,100}) {0,9}:=/g)].map((found) => found[1]),
    /^\s*([\w$]+)\s*[.[]/.exec(text)?.[1],
    leftOf(text),
  ];
  return parts.flatMap((part) => part?.match(WORD) ?? []).filter((name) => !KEYWORDS.has(name));
}

/** What stands before the first sign of an assignment. */
function leftOf(text: string): string | undefined {
  if (/^\s*(?:if|while|assert|return|elif|def|function|for)\b/.test(text)) return undefined;
  const sign = /(?<![=!<>:])=(?![=>])/.exec(text)?.index;
  const left = sign === undefined ? undefined : text.slice(0, sign);
  // A named argument.
  return left !== undefined && left.split("(").length === left.split(")").length ? left : undefined;
}

const quoted = (text: string) => `"${text.trim().split("\n", 1)[0]!.slice(0, 80)}"`;
