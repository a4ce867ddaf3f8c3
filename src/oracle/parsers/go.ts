/** Go's panics, fatal errors and failed tests. */
import type { Frame } from "../failure.ts";
import { endsOf, GAP, joinMessage, MAX_FRAMES, type Report } from "../report.ts";

/** How far behind a panic its first goroutine may begin. */
const MAX_HEAD_LINES = 60;

export function parseGo(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const read = readPanic(lines, i);
    if (read === null) continue;
    reports.push(read);
    i = read.to - 1;
  }
  return reports.length > 0 ? reports : readFailedTests(lines);
}

function readPanic(lines: readonly string[], at: number): Report | null {
  const start = /^(panic|fatal error): (.*)$/.exec(lines[at]!);
  if (start === null) return null;
  let goroutine = at + 1;
  while (!/^goroutine \d+ .*\[.*\]:$/.test(lines[goroutine] ?? "")) {
    if (++goroutine >= lines.length || goroutine > at + MAX_HEAD_LINES) return null;
  }
  let text = [start[2]!];
  for (const line of lines.slice(at + 1, goroutine)) {
    const again = /^\t+panic: (.*)$/.exec(line);
    if (again !== null) text = [again[1]!];
    else if (line === "" || line.startsWith("[signal ") || line.startsWith("runtime stack:")) break;
    else if (!line.startsWith("fatal error: ")) text.push(line.replace(/^\t/, ""));
  }
  const { frames, to } = readGoroutine(lines, goroutine);
  const end = endOfTrace(lines, to);
  // The test runner adds its verdict.
  const inTest = lines.slice(end, end + 3).some((line) => /^FAIL\t/.test(line));
  const isHang = /^test timed out after /.test(text[0]!);
  return {
    runtime: "go",
    kind: isHang ? "timeout" : "panic",
    type: isHang ? "timeout" : start[1]!,
    message: joinMessage(text)?.replace(/ \[recovered(?:, repanicked)?\]$/, "") ?? null,
    frames,
    causes: [],
    from: at,
    to: end,
    form: inTest ? "test" : "uncaught",
    // With GOTRACEBACK=crash it is a signal.
    ends: inTest ? [1] : [2, ...endsOf("SIGABRT")],
  };
}

function readGoroutine(lines: readonly string[], at: number): { frames: Frame[]; to: number } {
  const frames: Frame[] = [];
  let i = at + 1;
  while (i + 1 < lines.length && lines[i] !== "" && frames.length < MAX_FRAMES) {
    const place = /^(?:\t| {4,})(\S.*):(\d+)(?: \+0x[\da-f]+)?(?: fp=.*)?$/.exec(lines[i + 1]!);
    if (place === null) {
      if (!/^\.\.\.\d*|^\t/.test(lines[i]!)) break;
      i++;
      continue;
    }
    const name = lines[i]!;
    const open = name.lastIndexOf("(");
    if (!name.startsWith("created by ")) {
      frames.push({ function: open > 0 ? name.slice(0, open) : name, file: place[1]!, line: Number(place[2]) });
    }
    i += 2;
  }
  return { frames, to: i };
}

/** The other goroutines, registers, and the lines that the test runner adds. */
function endOfTrace(lines: readonly string[], from: number): number {
  let i = from;
  while (i < lines.length && !/^(?:exit status \d+|FAIL\b)/.test(lines[i]!)) {
    const line = lines[i]!;
    if (
      !GAP.test(line) && !GAP.test(lines[i - 1]!) &&
      !/^$|^\t|^goroutine \d+|^created by |^\.\.\.|^[\w./*()\-·{}[\],?~ ]+\(.*\)$|^r\w+ +0x|^rflags|^[cfg]s +0x/.test(
        line,
      )
    ) break;
    i++;
  }
  return i;
}

/** `--- FAIL: TestX`, with the lines that the test logged; of subtests the innermost. */
function readFailedTests(lines: readonly string[]): Report[] {
  const hasVerdict = lines.some((line) => /^FAIL\t|^FAIL$/.test(line));
  if (!hasVerdict) return [];
  const failed = lines.flatMap((line, at) => {
    const found = /^( *)--- FAIL: (\S+) \([\d.]+s\)$/.exec(line);
    return found === null ? [] : [{ at, name: found[2]!, indent: found[1]!.length }];
  });
  // Go tells of each test around one that failed as well.
  const parents = new Set(failed.map(({ name }) => name.slice(0, Math.max(0, name.lastIndexOf("/")))));
  const runLogs = logsByTest(lines);
  return failed.filter(({ name }) => !parents.has(name)).map(
    ({ at, name, indent }) => {
      const own = readLog(lines, at + 1, indent + 4);
      const logged = own.length > 0 ? own : runLogs.get(name) ?? [];
      const frames: Frame[] = logged.slice(-1).map(({ file, line }) => ({ function: name.split("/")[0]!, file, line }));
      return {
        runtime: "go",
        kind: "assertion",
        type: "FAIL",
        message: joinMessage(logged.at(-1)?.text ?? []),
        frames,
        causes: [],
        from: at,
        to: at + 1,
        form: "test",
        ends: [1],
      };
    },
  );
}

interface Logged {
  readonly file: string;
  readonly line: number;
  readonly text: string[];
}

/** What each test logged while it ran, as `go test -v` tells it. */
function logsByTest(lines: readonly string[]): ReadonlyMap<string, readonly Logged[]> {
  const logs = new Map<string, readonly Logged[]>();
  for (const [at, line] of lines.entries()) {
    const name = /^=== RUN {3}(\S+)$/.exec(line.trim())?.[1];
    if (name !== undefined && !logs.has(name)) logs.set(name, readLog(lines, at + 1, 4));
  }
  return logs;
}

function readLog(lines: readonly string[], from: number, indent: number): Logged[] {
  const logged: Logged[] = [];
  for (let i = from; i < lines.length; i++) {
    const line = lines[i]!;
    if (/^ {0,3}\S/.test(line) && line !== "") break;
    const found = /^ +(\w[\w.-]*\.go):(\d+): (.*)$/.exec(line);
    if (found !== null) logged.push({ file: found[1]!, line: Number(found[2]), text: [found[3]!] });
    else if (line.startsWith(" ".repeat(indent + 4))) logged.at(-1)?.text.push(line.trim());
    else break;
  }
  return logged;
}
