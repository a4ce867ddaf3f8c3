/** The failure sections of pytest and unittest. */
import type { Frame } from "../failure.ts";
import { isNoise, joinMessage, MAX_FRAMES, type Report } from "../report.ts";
import { parsePython, readTraceback } from "./python.ts";

const TEST = /^_{2,} .+ _{2,}$/;
const LOCATION = /^(\S[^:]*|[A-Za-z]:[^:]*):(\d+):(?: (?:in (\S+)|[\w.]+))?\s*$/;
const RAISED = /^([A-Za-z_][\w.]*)(?:: (.*))?$/;

/** Of both runners, when the text ends with their summary. */
export function parsePythonTests(lines: readonly string[]): Report[] {
  let last = lines.length - 1;
  while (last >= 0 && isNoise(lines[last]!)) last--;
  const summary = lines[last] ?? "";
  if (/^=*\s*(?:\d+ [a-z]+, )*\d+ (?:failed|errors?)\b.* in [\d.]+s\b/.test(summary)) return parsePytest(lines, last);
  return /^FAILED \((?:failures|errors)=/.test(summary) ? parseUnittest(lines, last) : [];
}

function parsePytest(lines: readonly string[], summary: number): Report[] {
  const reports: Report[] = [];
  let ends: number[] | null = null;
  let start: number | null = null;
  const close = (to: number) => {
    if (ends !== null && start !== null) reports.push(...readTest(lines, start, to, ends));
  };
  for (let i = 0; i <= summary; i++) {
    const section = /^=+ (.+?) =+$/.exec(lines[i]!);
    if (section !== null) {
      close(i);
      ends = section[1] === "FAILURES" ? [1] : section[1] === "ERRORS" ? [1, 2] : null;
      start = null;
    } else if (ends !== null && TEST.test(lines[i]!)) {
      close(i);
      start = i + 1;
    }
  }
  return reports;
}

/** One test's part of the section; what it printed is no part of its failure. */
export function readTest(lines: readonly string[], start: number, end: number, ends: readonly number[]): Report[] {
  let to = start;
  while (to < end && !/^-+ Captured /.test(lines[to]!)) to++;
  const frames: Frame[] = [];
  let raised: string[] = [];
  let named: string | null = null;
  let isOver = false;
  for (let i = start; i < to; i++) {
    const line = lines[i]!;
    if (line === "Traceback (most recent call last):") return nativeStyle(lines.slice(start, to), start, ends);
    const told = /^E {2}( .*)$/.exec(line);
    if (told !== null) {
      if (isOver) {
        // A chained exception: what stood so far was its cause.
        raised = [];
        isOver = false;
      }
      raised.push(told[1]!);
      continue;
    }
    const place = LOCATION.exec(line);
    if (place !== null) {
      if (isOver && raised.length > 0) frames.splice(0);
      frames.push({ function: place[3] ?? named, file: place[1]!, line: Number(place[2]) });
      named = null;
      isOver = raised.length > 0 && place[3] === undefined;
    } else if (/^(?:_ )+_?\s*$/.test(line)) named = null;
    else if (/^(?:During handling of|The above exception was)/.test(line)) frames.splice(0);
    else named ??= /^[> ] {3}\s*(?:async )?def (\w+)\(/.exec(line)?.[1] ?? null;
  }
  return raised.length === 0 ? [] : [testReport(raised, frames, start, to, ends)];
}

function testReport(told: string[], frames: Frame[], from: number, to: number, ends: readonly number[]): Report {
  const width = Math.min(...told.filter((line) => line.trim() !== "").map((line) => /^\s*/.exec(line)![0].length));
  const raised = told.map((line) => line.slice(width));
  const head = raised.findIndex((line) => /^\S/.test(line));
  const exception = head < 0 ? null : RAISED.exec(raised[head]!);
  const isPlain = exception === null || exception[1] === "assert";
  const place = /^\s+File "([^"]*)", line (\d+)$/.exec(raised[0] ?? "");
  if (place !== null) frames.push({ function: null, file: place[1]!, line: Number(place[2]) });
  const type = isPlain ? "AssertionError" : exception[1]!;
  return {
    runtime: "python",
    kind: type === "AssertionError" || type === "Failed" ? "assertion" : "exception",
    type,
    message: isPlain ? joinMessage(raised) : joinMessage([exception[2] ?? "", ...raised.slice(head + 1)]),
    frames: frames.reverse().slice(0, MAX_FRAMES),
    causes: [],
    from,
    to,
    form: "test",
    ends,
  };
}

/** `--tb=native`: tracebacks as Python itself writes them. */
function nativeStyle(block: readonly string[], from: number, ends: readonly number[]): Report[] {
  return parsePython(block).slice(-1).map((report) => ({
    ...report,
    from: from + report.from,
    to: from + report.to,
    form: "test",
    ends,
  }));
}

function parseUnittest(lines: readonly string[], last: number): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < last; i++) {
    if (!/^={20,}$/.test(lines[i]!) || !/^(?:ERROR|FAIL): /.test(lines[i + 1] ?? "")) continue;
    let to = i + 2;
    while (to < last && !/^={20,}$/.test(lines[to]!) && !/^Ran \d+ tests? in /.test(lines[to]!)) to++;
    const rule = lines.slice(i + 2, to).findIndex((line) => /^-{20,}$/.test(line)) + i + 2;
    const block = lines.slice(rule + 1, to);
    const header = block.indexOf("Traceback (most recent call last):");
    // What the test printed follows the traceback; the chain ends where it ends.
    const report = header < 0 || readTraceback(block, header) === null ? undefined : parsePython(block)[0];
    if (report !== undefined) {
      reports.push({
        ...report,
        message: joinMessage((report.message ?? "").split("\n-----")[0]!.split("\n")),
        from: i,
        to,
        form: "test",
        ends: [1],
      });
    }
    i = to - 1;
  }
  return reports;
}
