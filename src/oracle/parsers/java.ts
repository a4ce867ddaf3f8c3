/** Java's stack traces with their causes, and those in reports of JUnit. */
import type { Frame } from "../failure.ts";
import { joinMessage, MAX_FRAMES, MAX_MESSAGE_LINES, type Report } from "../report.ts";

const CLASS = String.raw`(?:[A-Za-z_$][\w$]*\.)*[A-Z_$][\w$]*`;
const HEAD = new RegExp(`^(?:(?:\\d+\\) )?Exception in thread "([^"]*)" )?(${CLASS})(?:: (.*))?$`);

export function parseJava(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  const isJunit = lines.some((line) =>
    /^(?:\[ERROR\] )?Tests run: \d+,\s+(?:Failures: [1-9]|Failures: \d+, Errors: [1-9])/.test(line)
  );
  let floor = 0;
  for (let i = 0; i < lines.length; i++) {
    if (readFrame(lines[i]!) === null) continue;
    const read = readTrace(lines, i, floor, isJunit);
    let to = i + 1;
    if (read !== null) {
      reports.push(read);
      to = read.to;
    }
    floor = to;
    i = to - 1;
  }
  return reports;
}

function readTrace(lines: readonly string[], at: number, floor: number, isJunit: boolean): Report | null {
  for (let i = at - 1; i >= Math.max(floor, at - MAX_MESSAGE_LINES); i--) {
    const head = HEAD.exec(lines[i]!);
    // Without its package or thread it is a word like any other.
    if (head === null || (head[1] === undefined && !head[2]!.includes("."))) continue;
    const { frames, causes, to } = readStack(lines, at);
    const type = head[2]!;
    const before = lines[i - 1] ?? "";
    const isTest = isJunit && (/^\d+\) \S/.test(before) || /<<< (?:ERROR|FAILURE)!$/.test(before));
    return {
      runtime: "java",
      kind: /(?:^|\.)(?:AssertionError|AssertionFailedError|ComparisonFailure)$/.test(type) ? "assertion" : "exception",
      type,
      message: joinMessage([head[3] ?? "", ...lines.slice(i + 1, at)]),
      frames,
      causes,
      from: i,
      to,
      form: isTest ? "test" : head[1] === "main" ? "uncaught" : "shown",
      ends: [1],
    };
  }
  return null;
}

function readStack(lines: readonly string[], at: number) {
  const frames: Frame[] = [];
  const causes: { type: string; message: string; frames: Frame[] }[] = [];
  let current: Frame[] | null = frames;
  let i = at;
  for (; i < lines.length; i++) {
    const line = lines[i]!;
    const frame = readFrame(line);
    if (frame !== null) {
      if (current !== null && current.length < MAX_FRAMES) current.push(frame);
      continue;
    }
    const cause = /^(\s*)(Caused by|Suppressed): (.*)$/.exec(line);
    if (cause !== null) {
      // What was suppressed is no cause.
      current = cause[2] === "Caused by" && cause[1] === "" ? [] : null;
      const head = HEAD.exec(cause[3]!);
      if (current !== null) causes.push({ type: head?.[2] ?? cause[3]!, message: head?.[3] ?? "", frames: current });
      continue;
    }
    if (/^\s+\.\.\. \d+ (?:more|common frames omitted)/.test(line)) continue;
    // A cause's message may have more lines.
    if (causes.length > 0 && current?.length === 0 && readFrame(lines[i + 1] ?? "") !== null) continue;
    break;
  }
  return { frames, causes, to: i };
}

/** `	at java.base/java.lang.Thread.run(Thread.java:840)` */
function readFrame(line: string): Frame | null {
  const text = /^\s+at (\S.*)$/.exec(line)?.[1]?.replace(/ ~?\[.*\]$/, "");
  if (text === undefined || !text.endsWith(")")) return null;
  const open = text.lastIndexOf("(");
  const name = text.slice(0, open).replace(/^(?:app\/\/|[\w.]+@[\w.]*\/)/, "");
  const place = /^([\w$]+\.(?:java|kt|scala|groovy|clj))(?::(\d+))?$|^(Native Method|Unknown Source|<generated>)$/.exec(
    text.slice(open + 1, -1),
  );
  if (place === null || !/^[\w.$<>/@-]+$/.test(name)) return null;
  return { function: name, file: place[1] ?? null, line: place[2] === undefined ? null : Number(place[2]) };
}
