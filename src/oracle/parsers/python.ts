/** Python's tracebacks: chained, grouped, of syntax errors, and of faulthandler. */
import type { Frame } from "../failure.ts";
import {
  endsOf,
  GAP,
  isNoise,
  joinMessage,
  MAX_FRAMES,
  MAX_MESSAGE_LINES,
  type Report,
  SIGNAL_WORDS,
} from "../report.ts";

const HEADER = "Traceback (most recent call last):";
const GROUP_HEADER = `+ Exception Group ${HEADER}`;
const FRAME = /^ {2}File "([^"]*)", line (\d+)(?:, in (.*))?$/;
const SCOPE = String.raw`[A-Za-z_][\w.]*`;
const EXCEPTION = new RegExp(`^(${SCOPE})(?:: ?(.*))?$`);
const CHAINS = new Map([
  ["During handling of the above exception, another exception occurred:", true],
  ["The above exception was the direct cause of the following exception:", true],
]);
/** What stands before a traceback that did not end the program. */
const SURVIVED =
  /^(?:Exception ignored |Exception in |Error in |Unhandled exception in thread|Original exception was|future: |task: |--- Logging error|.*\b(?:ERROR|CRITICAL|EXCEPTION|WARNING|WARN)\b)/;

interface Traceback {
  readonly type: string;
  readonly text: string | null;
  readonly frames: readonly Frame[];
  /** Behind the exception's first line, or behind its message where that is sure. */
  readonly to: number;
}

/** Every traceback, with the ones it was chained to as its causes. */
export function parsePython(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const read = line === HEADER
      ? readChain(lines, at)
      : line.trimStart() === GROUP_HEADER
      ? readGroup(lines, at)
      : line.startsWith("Fatal Python error: ")
      ? readFatal(lines, at)
      : line.startsWith('  File "') && lines[at - 1] !== HEADER
      ? readSyntaxError(lines, at)
      : null;
    if (read !== null) reports.push(read);
    at = read?.to ?? at + 1;
  }
  // Two that are not chained: one of them at least was printed by the program itself, and nothing tells which.
  const uncaught = reports.filter(({ form }) => form === "uncaught");
  return uncaught.length < 2 ? reports : reports.map((report) => ({ ...report, form: "shown" }));
}

/** `lines[start]` stands for the header, whatever is there. */
export function readChain(lines: readonly string[], start: number): Report | null {
  const found: Traceback[] = [];
  let header = start;
  for (;;) {
    const traceback = readTraceback(lines, header);
    if (traceback === null) break;
    found.push(traceback);
    const next = nextInChain(lines, traceback.to);
    if (next === null) break;
    header = next;
  }
  const last = found.at(-1);
  if (last === undefined) return null;
  const report = reportOf(last, start);
  return {
    ...report,
    causes: found.slice(0, -1).reverse().map(({ type, text, frames }) => ({ type, message: text ?? "", frames })),
    form: SURVIVED.test(lines[start - 1] ?? "") ? "shown" : "uncaught",
  };
}

/** `lines[at]` is the header. */
export function readTraceback(lines: readonly string[], at: number): Traceback | null {
  const frames: Frame[] = [];
  let i = at + 1;
  for (; i < lines.length; i++) {
    const line = lines[i]!;
    const frame = FRAME.exec(line);
    if (GAP.test(line)) {
      // The next line has lost its beginning.
      if (!FRAME.test(lines[i + 1] ?? "")) i++;
    } else if (frame !== null) {
      frames.push({ function: frame[3] ?? null, file: frame[1]!, line: Number(frame[2]) });
      if (frames.length > MAX_FRAMES) frames.splice(0, frames.length - MAX_FRAMES);
    } else if (
      !/^ {4}|^ {2}\[Previous line repeated|^ {2}\.\.\.|^$/.test(line) || (line === "" && !isSource(lines, i))
    ) {
      break;
    }
  }
  const exception = EXCEPTION.exec(lines[i] ?? "");
  if (exception === null || (frames.length === 0 && i > at + 1)) return null;
  const rest: string[] = [];
  let next = i + 1;
  for (; next < lines.length && rest.length < MAX_MESSAGE_LINES; next++) {
    if (isNoise(lines[next]!) || lines[next] === HEADER) break;
    rest.push(lines[next]!);
  }
  return {
    type: exception[1]!.replace(/^(?:__main__|builtins|exceptions)\./, ""),
    text: joinMessage([exception[2] ?? "", ...rest]),
    frames: frames.reverse(),
    to: goesOn(exception[2] ?? "", rest) ? next : i + 1,
  };
}

/**
 * Whether the lines behind an exception are its message, by the look of them. Otherwise they may have been written after it,
 * by a program that goes on.
 */
function goesOn(first: string, rest: readonly string[]): boolean {
  return rest.length > 0 && (/[:([{,]$|\berrors? for \S+$/.test(first) || rest.every((line) => /^\s/.test(line)));
}

/** Whether an empty line stands within the source lines that a frame quotes. */
function isSource(lines: readonly string[], at: number): boolean {
  return FRAME.test(lines[at + 1] ?? "");
}

function nextInChain(lines: readonly string[], from: number): number | null {
  for (let i = from; i < Math.min(lines.length, from + MAX_MESSAGE_LINES); i++) {
    if (lines[i] === HEADER) return null;
    if (CHAINS.has(lines[i]!) && lines[i + 1] === "" && lines[i + 2] === HEADER) return i + 2;
  }
  return null;
}

function reportOf({ type, text, frames, to }: Traceback, from: number): Report {
  return {
    runtime: "python",
    kind: type === "AssertionError" ? "assertion" : "exception",
    type,
    message: text,
    frames,
    causes: [],
    from,
    to,
    form: "uncaught",
    ends: type === "KeyboardInterrupt" ? [1, ...endsOf("SIGINT")] : [1],
  };
}

/** A file that cannot be parsed has no traceback of its own. */
function readSyntaxError(lines: readonly string[], at: number): Report | null {
  const frame = FRAME.exec(lines[at]!);
  if (frame === null || frame[3] !== undefined) return null;
  for (let i = at + 1; i < Math.min(lines.length, at + 6); i++) {
    const found = /^(SyntaxError|IndentationError|TabError): (.*)$/.exec(lines[i]!);
    if (found !== null) {
      const frames = [{ function: null, file: frame[1]!, line: Number(frame[2]) }];
      return reportOf({ type: found[1]!, text: found[2]!, frames, to: i + 1 }, at);
    }
    if (!lines[i]!.startsWith("    ")) return null;
  }
  return null;
}

/** The members of an exception group are its causes. Python indents it by two; who quotes it may not. */
function readGroup(lines: readonly string[], at: number): Report | null {
  const indent = lines[at]!.indexOf("+");
  if (indent > 2) return null;
  let end = at + 1;
  while (end < lines.length && /^ *[|+]/.test(lines[end]!) && lines[end]!.trimStart() !== GROUP_HEADER) end++;
  const body = lines.slice(at + 1, end).map((line) => line.slice(indent));
  const own = body.map((line) => line.startsWith("| ") ? line.slice(2) : line);
  const traceback = readTraceback([HEADER, ...own], 0);
  if (traceback === null) return null;
  const causes = body.flatMap((line, i) => {
    const member = /^ {2}\| (\S.*)$/.exec(line);
    if (member === null || !/^ *\+-\+?-+|^ {2}\| {3}/.test(body[i - 1] ?? "")) return [];
    const exception = EXCEPTION.exec(member[1]!);
    return exception === null ? [] : [{ type: exception[1]!, message: exception[2] ?? "", frames: [] }];
  });
  const text = traceback.text?.split("\n")[0] ?? null;
  return { ...reportOf({ ...traceback, text, to: end }, at), causes };
}

/** faulthandler and fatal errors of the interpreter itself. */
function readFatal(lines: readonly string[], at: number): Report {
  const text = lines[at]!.slice("Fatal Python error: ".length);
  const signal = SIGNAL_WORDS.get(text.toLowerCase()) ?? "SIGABRT";
  const frames: Frame[] = [];
  let to = at + 1;
  for (let i = at + 1; i < lines.length; i++) {
    const frame = /^ {2}File "([^"]*)", line (\d+) in (.*)$/.exec(lines[i]!);
    if (frame !== null) frames.push({ function: frame[3]!, file: frame[1]!, line: Number(frame[2]) });
    else if (
      !/^$|^(?:Current thread|Python runtime state|Extension modules|Thread 0x|Current thread's C stack|Binary file|<)/
        .test(lines[i]!)
    ) break;
    else if (frames.length > 0 && lines[i]!.startsWith("Thread 0x")) break;
    to = i + 1;
  }
  return {
    runtime: "python",
    kind: "signal",
    type: signal,
    message: text,
    frames: frames.slice(0, MAX_FRAMES),
    causes: [],
    from: at,
    to,
    form: "uncaught",
    ends: endsOf(signal),
  };
}
