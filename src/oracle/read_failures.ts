/** The failures that a program ended with, by its witness, its status and its output. */
import { cleanLines } from "./clean_lines.ts";
import type { Frame, ObservedFailure, ProgramEnd, WitnessedFailure } from "./failure.ts";
import { parseGo } from "./parsers/go.ts";
import { parseJava } from "./parsers/java.ts";
import { parseNative } from "./parsers/native.ts";
import { parseNode, readFrame } from "./parsers/node.ts";
import { parseNodeTests } from "./parsers/node_tests.ts";
import { parseOthers } from "./parsers/others.ts";
import { parsePython } from "./parsers/python.ts";
import { parsePythonTests } from "./parsers/python_tests.ts";
import { parseRust } from "./parsers/rust.ts";
import { parseSanitizer } from "./parsers/sanitizer.ts";
import { errorText, innerStatus, isNoise, type Parser, type Report, SIGNALS } from "./report.ts";
import { troubleOf, troubleOfExit } from "./trouble.ts";

/** Where two tell of the same end, the first one here knows more. */
const PARSERS: readonly Parser[] = [
  parseSanitizer,
  parsePythonTests,
  parseNodeTests,
  parseGo,
  parseRust,
  parsePython,
  parseNode,
  parseJava,
  parseOthers,
  parseNative,
];
const TAIL_LINES = 30;
/** As a frame of nobody's file. */
const UNKNOWN: Frame = { function: null, file: "<unknown>", line: null };
const ENDING_SIGNALS = new Set(
  "SIGSEGV SIGABRT SIGBUS SIGFPE SIGILL SIGTRAP SIGSYS SIGKILL SIGTERM SIGINT SIGXCPU".split(" "),
);
/** Files of test runners, as the frames of an exit name them. */
const RUNNER_FILE =
  /(?:^|\/)(?:_?pytest|pluggy|unittest|nose2?|site-packages\/coverage)\/|node_modules\/(?:jest|mocha|vitest|ava|@jest|@vitest)[/-]|node:internal\/test_runner/;
const RUNNER_COMMAND =
  /(?:^|[\s/])(?:py\.?test|unittest|nose2?|jest|mocha|vitest|ava|tap|node(?:js)?\s+(?:\S+\s+)*?--test|deno\s+test|bun\s+test|(?:npm|yarn|pnpm)\s+(?:run\s+)?t(?:est)?)(?:\s|$)/;
/** What a runtime's exit code is when an exception ends it. */
const EXCEPTION_CODES = { python: [1], node: [1, 7] } as const;

/**
 * The one that ended the program first, then others that may have: of a test runner one for each failed test, of child
 * processes what their runtimes told. Empty when it ended well, whatever it wrote.
 *
 * The witness's word stands above the output's, with the status that an uncaught exception has. Without it a report counts when it is in the form in which its runtime
 * tells of its own end, nothing but the lines of wrappers follows it, and the status is the one that belongs to it.
 */
export function readFailures(end: ProgramEnd): readonly ObservedFailure[] {
  if (end.limit !== undefined) {
    const failure = bare(end, "signal", end.signal ?? "SIGKILL", `ended by its limit of ${end.limit}`);
    return [{ ...failure, trouble: "resources" }];
  }
  if (end.timedOut) return [bare(end, "timeout", "timeout", null)];
  if (end.exitCode === 0 && end.signal === null) return [];
  const stderr = cleanLines(end.stderr);
  const stdout = cleanLines(end.stdout);
  // What does not belong to the status did not end the program: a thread may have died of it, or a child.
  const found = [
    ...fromWitness(end, [...stderr, ...stdout]).filter((failure) => belongs(failure, end)),
    ...fromOutput(end, stderr, stdout),
  ];
  return found.length > 0 ? found : [fromStatus(end, stderr, stdout)];
}

function fromWitness(end: ProgramEnd, output: readonly string[]): ObservedFailure[] {
  const failures = end.witnessed.map((told) => atThrow(ofWitness(told, end), end, output)).reverse();
  // Runners of tests, and scripts that pass on the status of a child, ask for an exit: what they know of says more.
  return [...failures.filter(({ kind }) => kind !== "exit"), ...failures.filter(({ kind }) => kind === "exit")];
}

function ofWitness(told: WitnessedFailure, end: ProgramEnd): ObservedFailure {
  const isExit = isExitType(told.type);
  const type = told.type.replace(/^(?:__main__|builtins)\./, "");
  const isAssertion = [type, ...told.bases].some((name) => /(?:^|\.)Assertion(?:Failed)?Error$/.test(name)) ||
    // Pytest hides the module of its own.
    (/^(?:_pytest\.outcomes\.)?Failed$/.test(type) && told.frames.some(isOfRunner));
  const isCrash = SIGNALS.has(type);
  const failure = {
    runtime: told.runtime,
    kind: isExit ? "exit" : isCrash ? "signal" : isAssertion ? "assertion" : "exception",
    type,
    bases: told.bases,
    message: told.message === "" ? null : told.message,
    frames: told.runtime === "node" ? told.frames.slice(framesIn(told.message)) : told.frames,
    causes: told.causes,
    exitCode: isExit ? exitCodeOf(told.message) : end.exitCode,
    signal: isCrash ? type : end.signal,
    source: "witness",
    projectCalls: told.projectCalls,
  } as const;
  return { ...failure, trouble: isExit ? null : troubleOf(failure) };
}

/** A program can write what it likes into an error's stack, but not where Node says that it was thrown. */
function atThrow(failure: ObservedFailure, end: ProgramEnd, output: readonly string[]): ObservedFailure {
  if (failure.runtime !== "node" || failure.kind === "exit" || !end.watched?.includes("node")) return failure;
  const first = (message: string | null) => message?.trim().split("\n", 1)[0] ?? "";
  const report = parseNode(output).findLast(({ form, message }) =>
    form === "uncaught" && first(message) === first(failure.message)
  );
  return { ...failure, frames: report?.frames ?? [UNKNOWN] };
}

/** Node gives the stack as one text: lines of the message that look like frames come first in it. */
function framesIn(message: string): number {
  return message.split("\n").filter((line) => readFrame(line) !== null).length;
}

/** Whether the status is the one with which this failure ends a program. */
function belongs(failure: ObservedFailure, end: ProgramEnd): boolean {
  if (failure.kind === "exit") return failure.exitCode === end.exitCode;
  if (failure.kind === "signal") return failure.signal === end.signal;
  if (failure.type === "KeyboardInterrupt") return end.signal === "SIGINT" || end.exitCode === 130;
  return EXCEPTION_CODES[failure.runtime as "python" | "node"].some((code) => code === end.exitCode);
}

/** Of `sys.exit(3)`; with a text it is 1. */
function exitCodeOf(message: string | null): number {
  if (message === null || message === "None") return 0;
  return /^-?\d+$/.test(message) ? Number(message) & 255 : 1;
}

function isExitType(type: string): boolean {
  return /^(?:SystemExit|process\.exit)$/.test(type);
}

function fromOutput(end: ProgramEnd, stderr: readonly string[], stdout: readonly string[]): ObservedFailure[] {
  const said = stderr.some((line) => !isNoise(line));
  const inner = innerStatus(stderr) ?? innerStatus(stdout);
  const runner = end.witnessed.find((told) => isExitType(told.type) && told.frames.some(isOfRunner));
  const isWatched = (runtime: Report["runtime"]) => end.hasWitness || (end.watched ?? []).includes(runtime);
  // Of Python's runners the witness tells as well.
  const trustsTests = (runtime: Report["runtime"]) =>
    !isWatched(runtime) ||
    (runner !== undefined || RUNNER_COMMAND.test(end.command ?? "")) && !(runtime === "python" && end.watched);
  const fits = (report: Report) =>
    report.ends.some((status) => status === end.exitCode || status === end.signal || status === inner);
  const isTold = end.witnessed.length > 0;
  for (const parse of PARSERS) {
    const lists = [{ lines: stderr, reports: parse(stderr) }, { lines: stdout, reports: parse(stdout) }];
    const tests = lists.flatMap(({ reports }) => reports.filter(({ form }) => form === "test"));
    if (tests.length > 0 && tests.every((report) => trustsTests(report.runtime) && fits(report))) {
      return tests.map((report) => ofReport(report, end, runner?.projectCalls ?? null));
    }
    for (const { lines, reports } of lists) {
      const last = reports.findLast(({ form }) => form === "uncaught");
      // Merged output stands in stdout; otherwise what is printed there is no runtime's word.
      if (last === undefined || (lines === stdout && said && last.runtime !== "go")) continue;
      // A witness would have told of it: this is a print.
      const isSilenced = last.kind !== "signal" && (last.runtime === "python" || last.runtime === "node") &&
        isWatched(last.runtime);
      if (isSilenced || (isTold && last.kind !== "signal" && last.runtime !== "sanitizer")) continue;
      if (!fits(last) || !lines.slice(last.to).every(isNoise)) continue;
      return [ofReport(last, end, null)];
    }
  }
  return [];
}

function isOfRunner(frame: { readonly file: string | null }): boolean {
  return frame.file !== null && RUNNER_FILE.test(frame.file);
}

function ofReport(report: Report, end: ProgramEnd, projectCalls: number | null): ObservedFailure {
  const { runtime, kind, type, message, frames, causes } = report;
  const failure = {
    runtime,
    kind,
    type,
    bases: [],
    message,
    frames,
    causes,
    exitCode: end.exitCode,
    signal: end.signal ?? (kind === "signal" ? type : null),
    source: "output",
    projectCalls,
  } as const;
  return { ...failure, trouble: troubleOf(failure) };
}

function fromStatus(end: ProgramEnd, stderr: readonly string[], stdout: readonly string[]): ObservedFailure {
  const tail = lastLines(stderr).length > 0 ? lastLines(stderr) : lastLines(stdout);
  // Some tools exit with 129 and the like without any signal.
  if (end.signal !== null && (end.exitCode === null || ENDING_SIGNALS.has(end.signal))) {
    const failure = bare(end, "signal", end.signal, null);
    return {
      ...failure,
      trouble: troubleOf(failure) ?? (/out of memory/i.test(tail.at(-1) ?? "") ? "resources" : null),
    };
  }
  const killed = end.exitCode === 128 + SIGNALS.get("SIGKILL")!;
  const trouble = killed ? "resources" : troubleOfExit(end.exitCode, tail);
  return { ...bare(end, "exit", null, errorLine(tail)), trouble };
}

function bare(
  end: ProgramEnd,
  kind: "timeout" | "signal" | "exit",
  type: string | null,
  message: string | null,
): ObservedFailure {
  return {
    runtime: kind === "signal" ? "native" : "generic",
    kind,
    type,
    bases: [],
    message,
    frames: [],
    causes: [],
    exitCode: end.exitCode,
    signal: end.signal,
    source: "status",
    projectCalls: end.projectCalls ?? null,
    trouble: null,
  };
}

function lastLines(lines: readonly string[]): string[] {
  return lines.slice(-4 * TAIL_LINES).filter((line) => line.trim() !== "").slice(-TAIL_LINES);
}

/** What a program says of its own error, in the way of compilers and command line tools. */
function errorLine(tail: readonly string[]): string | null {
  const told = tail.flatMap((line) => errorText(line) ?? []);
  return told.find((line) => line.startsWith("internal compiler error")) ?? told.at(-1) ?? null;
}
