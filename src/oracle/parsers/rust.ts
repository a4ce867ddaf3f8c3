/** Rust's panics, with and without a backtrace, and of `cargo test`. */
import type { Frame } from "../failure.ts";
import { endsOf, joinMessage, MAX_FRAMES, MAX_MESSAGE_LINES, type Report } from "../report.ts";

const PANIC = /^thread '([^']*)' (?:\(\d+\) )?panicked at (.*)$/;
const PLACE = /^(.+?):(\d+)(?::\d+)?:?$/;

export function parseRust(lines: readonly string[]): Report[] {
  const failedTests = lines.some((line) => line.startsWith("test result: FAILED."));
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const start = PANIC.exec(lines[i]!);
    const read = start === null ? null : readPanic(lines, i, start[1]!, start[2]!, failedTests);
    if (read === null) continue;
    reports.push(read);
    i = read.to - 1;
  }
  return reports;
}

function readPanic(lines: readonly string[], at: number, thread: string, rest: string, inTest: boolean): Report | null {
  let text: string[];
  let place: RegExpExecArray | null;
  let i = at + 1;
  if (rest.startsWith("'")) {
    // Before Rust 1.73 the message stood first, in quotes, and could go on for lines.
    const whole = [rest];
    while (!/', [^']*:\d+(?::\d+)?$/.test(whole.at(-1)!) && i < lines.length && i < at + MAX_MESSAGE_LINES) {
      whole.push(lines[i++]!);
    }
    const joined = whole.join("\n");
    const quote = joined.lastIndexOf("', ");
    if (quote < 0) return null;
    place = PLACE.exec(joined.slice(quote + 3));
    text = joined.slice(1, quote).split("\n");
  } else {
    place = PLACE.exec(rest);
    text = [];
    while (i < lines.length && text.length < MAX_MESSAGE_LINES && !isAfterMessage(lines[i]!)) text.push(lines[i++]!);
  }
  if (place === null) return null;
  while (lines[i] === "") i++;
  const backtrace = lines[i] === "stack backtrace:" ? readBacktrace(lines, i + 1) : null;
  const thrown = { function: null, file: place[1]!, line: Number(place[2]) };
  let to = backtrace?.to ?? i;
  while (/^note: /.test(lines[to] ?? "")) to++;
  const said = joinMessage(text);
  // Without symbols a backtrace has no places.
  const isTraced = backtrace?.frames.some(({ file, line }) =>
    line === thrown.line && file !== null && isEnd(file, thrown.file)
  );
  return {
    runtime: "rust",
    kind: /^assertion (?:failed|`|\()/.test(said ?? "") ? "assertion" : "panic",
    type: "panic",
    message: said,
    frames: isTraced ? backtrace!.frames : [thrown, ...backtrace?.frames ?? []],
    causes: [],
    from: at,
    to,
    form: inTest ? "test" : thread === "main" ? "uncaught" : "shown",
    ends: [101, ...endsOf("SIGABRT")],
  };
}

function isEnd(path: string, other: string): boolean {
  return path.endsWith(other) || path.endsWith(other.replace(/^(?:\.\/)+/, ""));
}

function isAfterMessage(line: string): boolean {
  return /^(?:note: |stack backtrace:$|$|thread ')/.test(line);
}

function readBacktrace(lines: readonly string[], at: number): { frames: Frame[]; to: number } {
  const frames: Frame[] = [];
  let i = at;
  for (; i < lines.length; i++) {
    const named = /^ +\d+: +(?:0x[\da-f]+ - )?(.+)$/.exec(lines[i]!);
    const place = /^ +at (.+?):(\d+)(?::\d+)?$/.exec(lines[i]!);
    if (named !== null) {
      if (frames.length < MAX_FRAMES) frames.push({ function: named[1]!, file: null, line: null });
    } else if (place !== null && frames.length > 0) {
      frames.push({ ...frames.pop()!, file: place[1]!, line: Number(place[2]) });
    } else break;
  }
  return { frames, to: i };
}
