/** Walks through a shell script as a shell would, on every branch, and collects what its commands would do. */
import {
  type Assignment,
  type Command,
  forEachChild,
  type Function as FunctionNode,
  parse,
  type ParsedScript,
  type Redirection,
  type Statement,
  type SyntaxNode,
} from "unbash";
import { messageOf } from "../../failure.ts";
import { expandText, expandWord, type Expansions, partsText } from "./expand_word.ts";
import { judgeRead, judgeWrite } from "./judge_files.ts";
import { isKnown, NAME, shown, UNKNOWN } from "./marks.ts";
import { Odometer } from "./odometer.ts";
import { lexical, type Places } from "./places.ts";
import { Arguments, type ProgramCall } from "./program_call.ts";
import { judgeProgram, judgeReads, SENDERS } from "./programs.ts";
import { type CommandRule, matchesGlob, type PolicyVerdict, ruleFor } from "./rules.ts";
import type { ShellState } from "./shell_state.ts";
import { unwrap } from "./wrappers.ts";

export interface Finding {
  readonly verdict: PolicyVerdict;
  readonly rule: string;
  readonly reason: string;
}

export interface WalkOptions {
  readonly places: Places;
  readonly rules: readonly CommandRule[];
}

/** Where a command stands. */
interface Flow {
  /** What it can read, as far as it is known; undefined: nothing. */
  readonly stdin: string | undefined;
  /** Others go on while it runs. */
  readonly isDetached: boolean;
  /** Something decides whether it runs. */
  readonly isConditional: boolean;
  /** How many scripts are around it. */
  readonly depth: number;
}

/** Thrown where going on would take too long. */
class TooComplex extends Error {}

const MAX_LENGTH = 128 * 1024;
/** Many at once take the parser quadratic time. */
const MAX_HERE_DOCS = 400;
const MAX_DEPTH = 24;
const MAX_STEPS = 10_000;
const MAX_COMBINATIONS = 24;
const MAX_LOOP_WORDS = 128;
const MAX_OUTPUT = 64 * 1024;

/** Variables whose value is run as a command by others. */
const RUNNING_VARIABLES =
  /^(?:GIT_SSH_COMMAND|GIT_SSH|GIT_EXTERNAL_DIFF|GIT_PAGER|GIT_EDITOR|GIT_SEQUENCE_EDITOR|GIT_ASKPASS|PAGER|MANPAGER|EDITOR|VISUAL|PROMPT_COMMAND|PS0|PS1|PS4|LESSOPEN|RSYNC_RSH|CVS_RSH)$/;
const DECLARATIONS = new Set(["export", "declare", "typeset", "local", "readonly"]);
/** Judged also where only a pattern of the name is known. */
const PATTERN_NAMES = "rm dd mkfs shred chmod chown mv cp bash sh zsh dash sudo find git tee curl wget env xargs eval"
  .split(
    " ",
  );

export class ScriptWalk {
  readonly findings: Finding[] = [];
  readonly #options: WalkOptions;
  /** How often each function and alias is being run. */
  readonly #active = new Map<FunctionNode | string, number>();
  #odometer = new Odometer(1);
  #steps = 0;
  #documents = 0;
  /** Before the last `cd`, which may have failed. */
  #beforeCd: ShellState | undefined;
  readonly #traps: { code: string; state: ShellState }[] = [];
  #readsCredentials = false;
  #sends = false;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Judges a whole command. Never throws. */
  run(command: string, state: ShellState): void {
    // What the marks are made of is nothing special to a shell, which can not even be given the first one.
    const text = command.replaceAll(UNKNOWN, "").replaceAll(NAME, "\u0002");
    try {
      this.#code(text, state, NO_FLOW);
      for (const { code, state: last } of this.#traps) this.#code(code, last, deeper(NO_FLOW));
    } catch (error) {
      // The stack may be the first thing that is too small.
      this.#add(
        error instanceof TooComplex || error instanceof RangeError
          ? { verdict: "confirm", rule: "too-complex", reason: "The command is too long or too deep to be judged" }
          : { verdict: "confirm", rule: "not-judged", reason: `The command could not be judged: ${messageOf(error)}` },
      );
    }
    if (this.#readsCredentials && this.#sends) {
      this.#add({
        verdict: "block",
        rule: "credentials-sent",
        reason: "Reads credentials and talks to another machine",
      });
    }
  }

  #add(finding: Finding): void {
    const { rules } = this.#options;
    const own = rules.find(({ match }) => match.trim() === `@${finding.rule}`);
    if (own === undefined) this.findings.push(finding);
    else if (own.verdict !== "allow") {
      this.findings.push({ ...finding, verdict: own.verdict, reason: own.reason ?? finding.reason });
    }
  }

  #code(text: string, state: ShellState, flow: Flow): string {
    if (flow.depth > MAX_DEPTH) throw new TooComplex();
    if (!isKnown(text)) {
      this.#add({
        verdict: "confirm",
        rule: "unknown-code",
        reason: `Runs ${shown(text)}, of which a part is not known`,
      });
    }
    const isTooLong = text.length > MAX_LENGTH || text.split("<<").length > MAX_HERE_DOCS;
    const script = parse(isTooLong ? text.slice(0, 8192) : text);
    const output = this.#script(script, state, { ...flow, depth: flow.depth + 1 });
    if (isTooLong) throw new TooComplex();
    return output;
  }

  #script(script: ParsedScript, state: ShellState, flow: Flow): string {
    const [error] = script.errors ?? [];
    if (error !== undefined) {
      this.#add({ verdict: "confirm", rule: "not-parsed", reason: `Is no shell script: ${error.message}` });
    }
    return this.#list(script.commands, state, flow);
  }

  #list(statements: readonly Statement[], state: ShellState, flow: Flow): string {
    let output = "";
    for (const { command, background } of statements) {
      const printed = background
        ? this.#andOr(command, state.clone(), { ...flow, isDetached: true })
        : this.#andOr(command, state, flow);
      output = joined(output, printed);
    }
    return output;
  }

  #andOr(node: Statement["command"], state: ShellState, flow: Flow): string {
    const commands = node.type === "AndOr" ? node.commands : [node];
    const operators = node.type === "AndOr" ? node.operators : [];
    let failed: ShellState | undefined;
    let output = "";
    for (const [i, command] of commands.entries()) {
      const at = i === 0 ? flow : { ...flow, isConditional: true };
      this.#beforeCd = undefined;
      if (operators[i - 1] === "||") {
        const other: ShellState = failed ?? state.clone();
        output = joined(output, this.#node(command, other, at));
        failed = undefined;
        if (!leaves(command)) state.join(other);
      } else {
        output = joined(output, this.#node(command, state, at));
        const before: ShellState | undefined = this.#beforeCd;
        if (before !== undefined) failed = failed === undefined ? before : (failed.join(before), failed);
      }
    }
    this.#beforeCd = undefined;
    if (failed !== undefined && !state.stopsAtErrors) state.join(failed);
    return output;
  }

  #node(node: SyntaxNode, state: ShellState, flow: Flow): string {
    if (++this.#steps > MAX_STEPS) throw new TooComplex();
    const maybe = { ...flow, isConditional: true };
    switch (node.type) {
      case "Command":
        return this.#command(node, state, flow);
      case "AndOr":
        return this.#andOr(node, state, flow);
      case "Pipeline": {
        if (node.commands.length === 1) return this.#node(node.commands[0]!, state, flow);
        let { stdin } = flow;
        for (const command of node.commands) {
          stdin = this.#node(command, state.clone(), { ...flow, stdin, isDetached: true });
        }
        return stdin ?? "";
      }
      case "CompoundList":
        return this.#list(node.commands, state, flow);
      case "BraceGroup":
        return this.#node(node.body, state, flow);
      case "Subshell":
        return this.#node(node.body, state.clone(), flow);
      case "Redirected": {
        const redirected = this.#redirects(node.redirects, state, flow);
        const output = this.#node(node.command, state, { ...flow, stdin: redirected.stdin });
        return this.#written(output, redirected.files, state);
      }
      case "Function":
        state.functions.set(node.name.value, node);
        return "";
      case "Coproc":
        return this.#node(node.body, state.clone(), { ...flow, isDetached: true });
      case "If": {
        let output = this.#node(node.clause, state, flow);
        const branches: ShellState[] = [];
        const branch = (body: SyntaxNode) => {
          const taken = state.clone();
          output = joined(output, this.#node(body, taken, maybe));
          if (!leaves(body)) branches.push(taken);
        };
        branch(node.then);
        for (const { clause, then } of node.elif) {
          output = joined(output, this.#node(clause, state, maybe));
          branch(then);
        }
        if (node.else !== undefined) output = joined(output, this.#node(node.else, state, maybe));
        for (const taken of branches) state.join(taken);
        return output === "" ? "" : joined(output, UNKNOWN);
      }
      case "While": {
        const before = state.clone();
        // Twice, for what the first round leaves to the second.
        for (let round = 0; round < 2; round++) {
          this.#node(node.clause, state, flow);
          this.#node(node.body, state, maybe);
          state.join(before);
        }
        return UNKNOWN;
      }
      case "For":
      case "Select": {
        const words = node.wordlist === undefined
          ? state.positional ?? [UNKNOWN]
          : this.#combinations(state, (at) =>
            node.wordlist!.flatMap((word) => expandWord(word, this.#expansions(at, flow))));
        const before = state.clone();
        let output = "";
        const values = words.length > MAX_LOOP_WORDS ? [UNKNOWN] : words;
        for (const value of values) {
          state.setValues(node.name.value, [value]);
          output = joined(output, this.#node(node.body, state, maybe));
        }
        state.join(before);
        return output;
      }
      case "ArithmeticFor":
        this.#substitutions(node, state, flow);
        this.#node(node.body, state, maybe);
        return UNKNOWN;
      case "Case": {
        this.#substitutions(node.word, state, flow);
        const branches = node.items.map(({ pattern, body }) => {
          for (const each of pattern) this.#substitutions(each, state, flow);
          const taken = state.clone();
          this.#node(body, taken, maybe);
          return taken;
        });
        for (const taken of branches) state.join(taken);
        return UNKNOWN;
      }
      default:
        // Tests and arithmetic do nothing but what is substituted into them.
        this.#substitutions(node, state, flow);
        return "";
    }
  }

  /** Runs every script that is substituted somewhere below the node. */
  #substitutions(node: SyntaxNode, state: ShellState, flow: Flow): void {
    if ("script" in node && node.script !== undefined) {
      this.#script(node.script, state.clone(), { ...flow, depth: flow.depth + 1 });
      return;
    }
    if (node.type === "CompoundList") return;
    forEachChild(node, (child) => this.#substitutions(child, state, flow));
  }

  /** Runs `work` for each combination of the values that variables may have; everything that came out. */
  #combinations<T>(state: ShellState, work: (at: ShellState) => readonly T[]): T[] {
    const outer = this.#odometer;
    const odometer = this.#odometer = new Odometer(MAX_COMBINATIONS);
    const start = state.clone();
    const results = [...work(state)];
    while (odometer.advance()) {
      const at = start.clone();
      this.#odometer = odometer;
      results.push(...work(at));
      state.join(at);
    }
    this.#odometer = outer;
    return results;
  }

  #expansions(state: ShellState, flow: Flow): Expansions {
    const choose = (values: readonly string[], name?: string) => {
      const index = this.#odometer.pick(values.length, name);
      return index === undefined ? UNKNOWN : values[index]!;
    };
    return {
      choose,
      value: (name) => choose(state.valuesOf(name), name),
      isSet: (name) => state.isSet(name),
      elements: (name) => state.arrays.get(name),
      assign: (name, value) => state.setValues(name, [value]),
      positional: state.positional,
      output: (script) => {
        const odometer = this.#odometer;
        const output = this.#script(script, state.clone(), { ...flow, depth: flow.depth + 1 });
        this.#odometer = odometer;
        return output;
      },
      processSubstitution: (script, operator) => {
        const odometer = this.#odometer;
        const stdin = operator === ">" ? UNKNOWN : flow.stdin;
        const output = this.#script(script, state.clone(), { ...flow, stdin, depth: flow.depth + 1, isDetached: true });
        this.#odometer = odometer;
        const path = `/dev/fd/${63 + ++this.#documents}`;
        if (operator === "<") state.files.set(path, output);
        return path;
      },
      arithmetic: (part) => this.#substitutions(part, state, flow),
    };
  }

  #command(node: Command, state: ShellState, flow: Flow): string {
    const before = state.clone();
    const outputs = this.#combinations(state, (at) => [this.#oneCommand(node, at, flow)]);
    const isCd = /^(?:cd|pushd|popd)$/.test(node.name?.value ?? "");
    if (isCd) this.#beforeCd = before;
    return outputs.every((output) => output === outputs[0]) ? outputs[0]! : UNKNOWN;
  }

  /** One combination of values. */
  #oneCommand(node: Command, state: ShellState, flow: Flow): string {
    const at = this.#expansions(state, flow);
    const argv = [...node.name === undefined ? [] : expandWord(node.name, at)];
    for (const word of node.args) {
      if (word.type === "Word") argv.push(...expandWord(word, at));
      else argv.push(this.#assignmentText(word, state, { at, flow, assigns: DECLARATIONS.has(argv[0] ?? "") }));
    }
    const assignments = node.prefix.filter((each) => each.type === "Assignment");
    const own = argv.length === 0 ? state : assignments.length === 0 ? state : state.clone();
    for (const assignment of assignments) {
      this.#assignmentText(assignment, own, { at: this.#expansions(own, flow), flow, assigns: true });
    }
    const { stdin, files } = this.#redirects(node.redirects, state, flow);
    const inner = { ...flow, stdin };
    const isStateful = own !== state && STATEFUL.test(argv[0] ?? "");
    const output = argv.length === 0 ? "" : this.#run(argv, isStateful ? state : own, inner);
    return this.#written(output, files, state);
  }

  /** Assigns, if it is an assignment and not only looks like one; the word that a program gets. */
  #assignmentText(
    node: Assignment,
    state: ShellState,
    { at, flow, assigns }: { at: Expansions; flow: Flow; assigns: boolean },
  ): string {
    const { name, value, index, append } = node;
    if (index !== undefined) this.#substitutions(index, state, flow);
    if (value.type === "ArrayValue") {
      const elements = value.elements.flatMap((word) => expandWord(word, at));
      const isPlain = value.elements.every((word) => !/^\[[^\]]*\]=/.test(word.text));
      const before = append ? state.arrays.get(name) ?? [] : [];
      if (isPlain) state.setArray(name, [...before, ...elements]);
      else state.setValues(name, [UNKNOWN]);
      return name;
    }
    const text = expandText(value, at);
    if (assigns && index !== undefined) state.setValues(name, [UNKNOWN]);
    else if (assigns) {
      state.setValues(name, append ? state.valuesOf(name).map((before) => before + text) : [text]);
      if (RUNNING_VARIABLES.test(name) && text !== "" && isKnown(text) && /\s|\//.test(text)) {
        this.#code(text, state.clone(), { ...deeper(flow), stdin: undefined });
      }
    }
    return `${name}${append ? "+" : ""}=${text}`;
  }

  #redirects(
    redirects: readonly Redirection[],
    state: ShellState,
    flow: Flow,
  ): { stdin: string | undefined; files: { path: string; appends: boolean }[] } {
    const at = this.#expansions(state, flow);
    let { stdin } = flow;
    const files: { path: string; appends: boolean }[] = [];
    for (const redirect of redirects) {
      if (redirect.type === "HereDoc") {
        const { body, delimiter } = redirect;
        stdin = delimiter?.quoted || body.parts === undefined ? body.text : partsText(body.parts, at);
      } else if (redirect.type === "HereString") {
        stdin = redirect.target === undefined ? UNKNOWN : `${expandText(redirect.target, at)}\n`;
      } else if (redirect.target !== undefined) {
        const [path = ""] = expandWord(redirect.target, at);
        const call = this.#fileCall(state);
        const { operator } = redirect;
        if (operator === "<&" || (operator === ">&" && /^\d*-?$/.test(path))) continue;
        if (operator === "<") {
          if (judgeRead(call, path)) this.#readsCredentials = true;
          if (call.place(path).kind === "network") judgeWrite(call, path, "Connects to");
          stdin = path === "/dev/null" ? undefined : state.files.get(this.#fileKey(path, state)) ?? UNKNOWN;
        } else {
          judgeWrite(call, path);
          const descriptor = redirect.descriptor?.type === "FileDescriptor" ? redirect.descriptor.value : 1;
          if (descriptor === 1) files.push({ path, appends: operator.includes(">>") });
        }
      }
    }
    return { stdin, files };
  }

  /** What goes into files does not go on. */
  #written(output: string, files: readonly { path: string; appends: boolean }[], state: ShellState): string {
    for (const { path, appends } of files) this.#write(path, output, state, appends);
    return files.length === 0 ? output : "";
  }

  #write(path: string, output: string, state: ShellState, appends = false): void {
    const key = this.#fileKey(path, state);
    state.files.set(key, joined(appends ? state.files.get(key) ?? "" : "", output));
  }

  #fileKey(path: string, state: ShellState): string {
    return path.startsWith("/dev/fd/") ? path : this.#place(path, state).path;
  }

  #place(field: string, state: ShellState, { isEntry = false } = {}) {
    const cwd = this.#expansions(state, NO_FLOW).value("PWD");
    return this.#options.places.locate(field, cwd, { links: state.links, isEntry });
  }

  #fileCall(state: ShellState) {
    return {
      home: this.#options.places.home,
      report: (verdict: PolicyVerdict, rule: string, reason: string) => this.#add({ verdict, rule, reason }),
      place: (field: string, options?: { isEntry?: boolean }) => this.#place(field, state, options),
    };
  }

  /** A command whose words are known as far as they can be. */
  #run(argv: readonly string[], state: ShellState, flow: Flow): string {
    if (++this.#steps > MAX_STEPS) throw new TooComplex();
    if (flow.depth > MAX_DEPTH) throw new TooComplex();
    const [program = "", ...args] = argv;
    const name = program.slice(program.lastIndexOf("/") + 1);
    const defined = state.functions.get(program);
    if (defined !== undefined) return this.#callFunction(defined, args, state, flow);
    const alias = state.aliases.get(program);
    if (alias !== undefined && !this.#active.get(program)) {
      return this.#whileActive(program, () => this.#code([alias, ...args].join(" "), state, deeper(flow)));
    }
    if (name === "" && program === "") return "";
    if (/[\u0000\u0001]/.test(name)) {
      this.#add({
        verdict: "confirm",
        rule: "unknown-command",
        reason: `Runs ${shown(program)}, and what that is, is not known`,
      });
      const glob = name.replaceAll(NAME, "*");
      if (isKnown(name) && name !== NAME) {
        for (const each of PATTERN_NAMES) if (matchesGlob(glob, each)) this.#run([each, ...args], state, flow);
      }
      return UNKNOWN;
    }
    const builtin = this.#builtin(name, args, state, flow);
    if (builtin !== undefined) return builtin;
    const written = program.includes("/") ? state.files.get(this.#fileKey(program, state)) : undefined;
    if (written !== undefined) {
      return this.#function(() => this.#code(written, state.clone(), deeper(flow)), args, state);
    }

    const own = ruleFor(this.#options.rules, name, args);
    if (own !== undefined && own.verdict !== "allow") {
      const reason = own.reason ?? `The configuration says so for \`${own.match}\``;
      this.findings.push({ verdict: own.verdict, rule: own.match, reason });
    }
    const call: ProgramCall = {
      ...this.#fileCall(state),
      name,
      args,
      stdin: flow.stdin,
      cwd: this.#expansions(state, NO_FLOW).value("PWD"),
      report: (verdict, rule, reason) => own === undefined && this.#add({ verdict, rule, reason }),
      runCode: (code, [zero, ...positional] = []) => {
        const at = state.clone();
        at.positional = positional;
        if (zero !== undefined) at.setValues("0", [zero]);
        return this.#code(code, at, deeper(flow));
      },
      runCommand: (inner) => this.#run(inner, state.clone(), deeper(flow)),
      written: (field) => state.files.get(this.#fileKey(field, state)),
      writes: (field, content) => this.#write(field, content, state),
      links: (field, target) => state.links.set(this.#place(field, state, { isEntry: true }).path, target),
    };
    if (SENDERS.has(name)) this.#sends = true;
    if (judgeReads(call)) this.#readsCredentials = true;
    const output = judgeProgram(call) ?? UNKNOWN;
    const inner = unwrap(name, args);
    if (inner === undefined || inner.argv.length === 0) return output;
    if (name === "command" && /^-[vV]/.test(args[0] ?? "")) return args.at(-1) ?? UNKNOWN;
    const at = state.clone();
    for (const variable of inner.variables) {
      const equals = variable.indexOf("=");
      at.setValues(variable.slice(0, equals), [variable.slice(equals + 1)]);
    }
    if (inner.chdir !== undefined) this.#changeFolder(inner.chdir, at);
    return this.#run(inner.argv, at, deeper(flow));
  }

  /** What changes the shell itself; undefined for everything else. */
  #builtin(name: string, args: readonly string[], state: ShellState, flow: Flow): string | undefined {
    const operands = args.filter((word) => !word.startsWith("-"));
    switch (name) {
      case "cd":
      case "pushd":
        this.#changeFolder(args.includes("-") ? UNKNOWN : operands[0] ?? this.#options.places.home, state);
        return "";
      case "popd":
        state.setValues("PWD", [UNKNOWN]);
        return "";
      case "eval":
        return this.#code(args[0] === "--" ? args.slice(1).join(" ") : args.join(" "), state, deeper(flow));
      case "source":
      case ".": {
        const [file = ""] = args;
        const code = file === "/dev/stdin" ? flow.stdin : state.files.get(this.#fileKey(file, state));
        if (code !== undefined) return this.#code(code, state, deeper(flow));
        if (!isKnown(file)) {
          this.#add({
            verdict: "confirm",
            rule: "unknown-code",
            reason: `Runs ${shown(file)}, and what that is, is not known`,
          });
        }
        return UNKNOWN;
      }
      case "trap":
        // Runs at the end, with what variables hold by then.
        if (operands.length > 1) this.#traps.push({ code: operands[0]!, state });
        return "";
      case "alias":
        for (const word of args) {
          const equals = word.indexOf("=");
          if (equals > 0) state.aliases.set(word.slice(0, equals), word.slice(equals + 1));
        }
        return "";
      case "unset":
        for (const each of operands) state.unset(each);
        return "";
      case "shift":
        state.positional = args.length === 0 ? state.positional?.slice(1) : undefined;
        return "";
      case "set": {
        if (args.some((word, i) => /^-[A-Za-z]*e/.test(word) || (word === "errexit" && args[i - 1] === "-o"))) {
          state.stopsAtErrors = true;
        }
        const at = args.indexOf("--");
        const first = at >= 0 ? at + 1 : args.findIndex((word, i) => !/^[-+]/.test(word) && args[i - 1] !== "-o");
        if (at >= 0 || first >= 0) state.positional = args.slice(first);
        return "";
      }
      case "read":
      case "mapfile":
      case "readarray": {
        const parsed = new Arguments(args, { short: name === "read" ? "pdnNtuia" : "dnOsuCc" });
        const names = [...parsed.operands, ...parsed.values("a")];
        for (const code of parsed.values("C")) this.#code(code, state.clone(), deeper(flow));
        const lines = (flow.stdin ?? UNKNOWN).split(/[\n\0]/).filter((line) => line !== "");
        const isPlain = names.length === 1 && name === "read" && flow.stdin !== undefined && isKnown(flow.stdin);
        for (const each of names) state.setValues(each, isPlain ? lines.map((line) => line.trim()) : [UNKNOWN]);
        return "";
      }
      case "printf":
        if (args[0] === "-v" && args[1] !== undefined) {
          state.setValues(args[1], [UNKNOWN]);
          return "";
        }
        return undefined;
      case "env": {
        const split = args.findIndex((word) => /^(?:-\w*S|--split-string)/.test(word));
        if (split < 0) return undefined;
        const attached = args[split]!.replace(/^(?:-\w*S|--split-string=?)/, "");
        return this.#code([attached, ...args.slice(split + 1)].join(" "), state.clone(), deeper(flow));
      }
      case "exit":
      case "return":
      case "break":
      case "continue":
      case "true":
      case "false":
      case ":":
      case "test":
      case "[":
      case "wait":
      case "shopt":
      case "export":
      case "declare":
      case "typeset":
      case "local":
      case "readonly":
      case "getopts":
      case "let":
        return "";
      default:
        return undefined;
    }
  }

  #changeFolder(folder: string, state: ShellState): void {
    const cwd = this.#expansions(state, NO_FLOW).value("PWD");
    const path = !isKnown(folder) ? UNKNOWN : folder.startsWith("/") ? folder : `${cwd}/${folder}`;
    state.setValues("PWD", [isKnown(path) ? lexical(path) : UNKNOWN]);
  }

  #callFunction(node: FunctionNode, args: readonly string[], state: ShellState, flow: Flow): string {
    const calls = this.#active.get(node) ?? 0;
    if (calls > 0 && flow.isDetached && !flow.isConditional) {
      this.#add({
        verdict: "block",
        rule: "fork-bomb",
        reason: `Starts itself again and again: \`${node.name.value}\``,
      });
    }
    // What it is called with deeper down, nobody knows.
    if (calls > 2) return UNKNOWN;
    const inner = { ...deeper(flow), isDetached: false, isConditional: false };
    const body = () => this.#node(node.body, state, inner);
    return this.#whileActive(node, () => this.#function(body, calls < 2 ? args : undefined, state));
  }

  #whileActive<T>(key: FunctionNode | string, work: () => T): T {
    const calls = this.#active.get(key) ?? 0;
    this.#active.set(key, calls + 1);
    try {
      return work();
    } finally {
      this.#active.set(key, calls);
    }
  }

  /** With positional parameters of its own. */
  #function<T>(work: () => T, args: readonly string[] | undefined, state: ShellState): T {
    const before = state.positional;
    state.positional = args;
    try {
      return work();
    } finally {
      state.positional = before;
    }
  }
}

const NO_FLOW: Flow = { stdin: undefined, isDetached: false, isConditional: false, depth: 0 };
/** Changes the shell, also with assignments before it. */
const STATEFUL = /^(?:cd|pushd|popd|read|eval|source|\.|export|declare|local|readonly|set|unset|alias)$/;

const deeper = (flow: Flow): Flow => ({ ...flow, depth: flow.depth + 1 });
const joined = (a: string, b: string) => a.length + b.length > MAX_OUTPUT ? UNKNOWN : a + b;

/** Whether nothing after the command runs. */
function leaves(node: SyntaxNode): boolean {
  switch (node.type) {
    case "Command":
      return /^(?:exit|return|break|continue)$/.test(node.name?.value ?? "");
    case "Statement":
      return node.background !== true && leaves(node.command);
    case "CompoundList":
      return node.commands.some(leaves);
    case "BraceGroup":
      return leaves(node.body);
    default:
      return false;
  }
}
