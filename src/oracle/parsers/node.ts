/** Stacks of Node.js, Deno and Bun. */
import type { Frame } from "../failure.ts";
import { endsOf, joinMessage, MAX_FRAMES, MAX_MESSAGE_LINES, type Report } from "../report.ts";

const NAME = String.raw`[A-Za-z_$][\w$.]*`;
/** `TypeError [ERR_X]: text`, `Error [FrobError]: text` as `util.inspect` writes it, `Uncaught Error`. */
const HEAD = new RegExp(`^(?:Uncaught )?(${NAME})(?: \\[([\\w$]+)\\])?(?:: (.*))?$`);
const KNOWN_NAME = /(?:Error|Exception|Rejection|Warning)$/;
const CARET = /^\s*(?:\^+|~+)\s*$/;
const TRAILER = /^(?:Node\.js|Bun) v\d/;

export interface ErrorHead {
  readonly type: string;
  readonly text: string;
  /** Whether it is a name that errors have; any word may stand before a colon. */
  readonly isKnown: boolean;
}

/** Of an error's first line; null for any other line. */
export function readHead(line: string): ErrorHead | null {
  const found = HEAD.exec(line);
  if (found === null) return null;
  const type = /[a-z]/.test(found[2] ?? "") ? found[2]! : found[1]!;
  return { type, text: found[3] ?? "", isKnown: KNOWN_NAME.test(found[1]!) };
}

/** Every stack; the causes are those that stand within it. */
export function parseNode(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    let read: Report | null = null;
    if (line.startsWith("error: ")) read = readDeno(lines, i);
    else if (CARET.test(line)) read = readUncaught(lines, i);
    // Of an empty text there is nothing to point to.
    else if (/^<anonymous_script>:\d+$/.test(line) && lines[i + 1] === "") read = readUncaught(lines, i + 2);
    else if (line.startsWith("FATAL ERROR: ")) read = readFatal(lines, i);
    else if (/^\s+at \S/.test(line)) read = readShown(lines, i, reports.at(-1)?.to ?? 0);
    if (read !== null) {
      reports.push(read);
      i = read.to - 1;
    }
  }
  return reports;
}

/** Node writes where it was thrown, the source line, a caret, and then the error. */
function readUncaught(lines: readonly string[], caret: number): Report | null {
  const place = /^(.+):(\d+)$/.exec(lines[caret - 2] ?? "");
  if (place === null) return null;
  let head = caret + 1;
  while (head < lines.length && lines[head] === "") head++;
  if (head >= lines.length) return null;
  const thrown: Frame = { function: null, file: place[1]!, line: Number(place[2]) };
  let at = head;
  while (
    at < lines.length && at < head + MAX_MESSAGE_LINES && !/^\s+at /.test(lines[at]!) && !TRAILER.test(lines[at]!)
  ) {
    at++;
  }
  const found = readHead(lines[head]!);
  if (found === null || !/^\s+at /.test(lines[at] ?? "")) return readPrimitive(lines, head, caret, thrown);
  const stack = readStack(lines, at);
  const text = joinMessage([found.text, ...lines.slice(head + 1, at)]);
  const { type } = found;
  // A message may hold lines that look like frames: the place where it was thrown is the runtime's word.
  const first = stack.frames.findIndex((frame) => isSamePlace(frame, thrown));
  const isOfRuntime = /^node:/.test(thrown.file!) || type === "SyntaxError";
  const frames = first >= 0
    ? stack.frames.slice(first)
    : isOfRuntime
    ? stack.frames
    : [thrown, ...stack.frames.slice(0, 0)];
  const to = stack.to;
  return {
    ...reportOf(type, text, type === "SyntaxError" && first < 0 ? [thrown, ...frames] : frames),
    causes: stack.causes,
    from: caret - 2,
    to: TRAILER.test(lines[to + 1] ?? "") ? to + 2 : to,
    form: "uncaught",
  };
}

/** What was thrown is no error: its text follows the caret. */
function readPrimitive(lines: readonly string[], head: number, caret: number, thrown: Frame): Report | null {
  let end = head;
  while (
    end < lines.length && end < head + MAX_MESSAGE_LINES && lines[end] !== "" && !lines[end]!.startsWith("(Use `node")
  ) end++;
  const rest = lines.slice(end, end + 4);
  const trailer = rest.findIndex((line) => TRAILER.test(line));
  if (trailer < 0) return null;
  return {
    ...reportOf(null, joinMessage(lines.slice(head, end)), [thrown]),
    from: caret - 2,
    to: end + trailer + 1,
    form: "uncaught",
  };
}

function readDeno(lines: readonly string[], at: number): Report | null {
  const text = lines[at]!.slice("error: ".length);
  const uncaught = /^Uncaught (?:\(in (?:promise|worker "[^"]*")\) )?(.*)$/.exec(text)?.[1];
  let stackAt = at + 1;
  while (stackAt < lines.length && stackAt < at + MAX_MESSAGE_LINES && !/^ {4}at /.test(lines[stackAt]!)) {
    if (lines[stackAt]!.startsWith("error: ")) return null;
    stackAt++;
  }
  const stack = readStack(lines, stackAt);
  if (stack.frames.length === 0) return null;
  const head = readHead(uncaught ?? text);
  // Behind the message: the source line with its caret.
  const source = lines.slice(at + 1, stackAt);
  const caret = source.findIndex((line) => CARET.test(line));
  const further = source.slice(
    0,
    caret > 0 ? caret - 1 : source.findIndex((line) => /^ {2}\|$/.test(line)) >= 0 ? 0 : source.length,
  );
  const isLoad = uncaught === undefined && head?.type !== "SyntaxError" &&
    /^(?:Module not found|Relative import|Import )/.test(text);
  const type = isLoad ? "TypeError" : head?.type ?? null;
  let to = stack.to;
  if (/^$/.test(lines[to] ?? "x") && lines[to + 1] === "Stack backtrace:") {
    to += 2;
    while (/^ +\d+: /.test(lines[to] ?? "")) to++;
  }
  return {
    ...reportOf(
      type,
      joinMessage([isLoad ? text : head?.text ?? uncaught ?? text, ...further]),
      stack.frames,
    ),
    causes: stack.causes,
    from: at,
    to,
    // `deno test` writes the same word before what a test threw.
    form: uncaught === undefined && type !== "SyntaxError" && !isLoad ? "shown" : "uncaught",
  };
}

function readFatal(lines: readonly string[], at: number): Report {
  let to = at + 1;
  while (to < lines.length && /^$|^-----|^ *\d+: /.test(lines[to]!)) to++;
  return {
    ...reportOf("FATAL ERROR", lines[at]!.slice("FATAL ERROR: ".length), []),
    from: at,
    to,
    form: "uncaught",
    ends: endsOf("SIGABRT"),
  };
}

/** A stack that a program, a logger or a test runner wrote. */
function readShown(lines: readonly string[], at: number, floor: number): Report | null {
  const indent = /^\s*/.exec(lines[at]!)![0].length;
  for (let i = at - 1; i >= Math.max(floor, at - MAX_MESSAGE_LINES); i--) {
    const line = lines[i]!;
    if (/^\s+at \S/.test(line)) return null;
    const bare = line.trimStart();
    const head = readHead(bare);
    if (head === null || (i < at - 1 && !head.isKnown) || (line.length - bare.length >= indent && indent > 0)) continue;
    const stack = readStack(lines, at);
    if (stack.frames.length === 0) return null;
    return {
      ...reportOf(head.type, joinMessage([head.text, ...lines.slice(i + 1, at)]), stack.frames),
      causes: stack.causes,
      from: i,
      to: stack.to,
      form: "shown",
    };
  }
  return null;
}

interface Stack {
  readonly frames: Frame[];
  readonly causes: { type: string; message: string; frames: Frame[] }[];
  readonly to: number;
}

/** The frames from `at`, and the properties and causes that Node prints behind them. */
export function readStack(lines: readonly string[], at: number): Stack {
  const frames: Frame[] = [];
  const causes: { type: string; message: string; frames: Frame[] }[] = [];
  let current = frames;
  let depth = 0;
  let i = at;
  for (; i < lines.length; i++) {
    const line = lines[i]!;
    const frame = readFrame(line);
    const cause = /^\s+\[cause\]: (.*)$|^Caused by:? (.*)$/.exec(line) ??
      (depth > 0 && /^ {4}(\S.*)$/.exec(line) && readHead(line.trim())?.isKnown ? ["", line.trim()] : null);
    if (frame !== null) {
      if (current.length < MAX_FRAMES) current.push(frame);
    } else if (cause !== null) {
      const head = readHead((cause[1] || cause[2]!).replace(/ \{$/, ""));
      current = [];
      causes.push({ type: head?.type ?? "Error", message: head?.text ?? "", frames: current });
    } else if (/^Emitted '.*' event .*at:$|^Thrown at:$/.test(line)) {
      current = [];
    } else if (!/^\s+(?:\.\.\. \d+ lines? matching|\[\.\.\. )/.test(line) && depth === 0) {
      break;
    }
    if (/\{$/.test(line)) depth++;
    if (/^\s*\},?$/.test(line)) depth--;
    if (depth <= 0 && line === "}") {
      i++;
      break;
    }
  }
  return { frames, causes, to: i };
}

/** `at f (file:///x.js:1:2)`, `at /x.js:1:2`, `at async f (…)`; null for anything else. */
export function readFrame(line: string): Frame | null {
  const text = /^\s+at (.+?)(?: \{|,)?$/.exec(line)?.[1]?.trim();
  if (text === undefined) return null;
  // Of code that was made at run time only its maker's place is told.
  if (text.includes("eval at ")) {
    return { function: text.slice(0, text.indexOf(" (")) || null, file: "<eval>", line: null };
  }
  const open = text.endsWith(")") ? text.lastIndexOf(" (") : -1;
  const place = open >= 0 ? text.slice(open + 2, -1) : text.replace(/^async /, "");
  const found = /^(.*):(\d+):(\d+)$/.exec(place);
  if (found === null) {
    return open < 0 ? null : { function: text.slice(0, open), file: place === "" ? null : place, line: null };
  }
  return { function: open >= 0 ? text.slice(0, open) : null, file: found[1]!, line: Number(found[2]) };
}

function isSamePlace(a: Frame, b: Frame): boolean {
  return a.line === b.line && a.file?.replace(/^file:\/\//, "") === b.file?.replace(/^file:\/\//, "");
}

function reportOf(type: string | null, text: string | null, frames: readonly Frame[]) {
  return {
    runtime: "node",
    kind: type?.startsWith("AssertionError") || type === "JestAssertionError" ? "assertion" : "exception",
    type,
    message: text,
    frames,
    causes: [],
    ends: [1, 7],
  } as const;
}
