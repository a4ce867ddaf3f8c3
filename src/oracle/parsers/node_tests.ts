/** The failure sections of jest, mocha, vitest, `node --test` and `deno test`. */
import type { Frame } from "../failure.ts";
import { isNoise, joinMessage, MAX_FRAMES, MAX_MESSAGE_LINES, type Report } from "../report.ts";
import { type ErrorHead, readFrame, readHead } from "./node.ts";

function errorHead(line: string): ErrorHead | null {
  const head = readHead(line);
  return head?.isKnown ? head : null;
}

/** Of the runner whose summary the text ends with, or has. */
export function parseNodeTests(lines: readonly string[]): Report[] {
  const has = (pattern: RegExp) => lines.some((line) => pattern.test(line));
  if (has(/^Tests: +.*\b\d+ failed/) || has(/^Test Suites: .*\b\d+ failed/)) return parseJest(lines);
  if (has(/^\s+Tests +\d+ failed/) || has(/^⎯+ Failed Tests \d+ ⎯+$/)) return parseVitest(lines);
  if (has(/^# fail [1-9]/)) return parseTap(lines);
  if (has(/^ℹ fail [1-9]/)) return parseSpec(lines);
  if (has(/^FAILED \| /)) return parseDenoTest(lines);
  return has(/^ {2}\d+ failing$/) ? parseMocha(lines) : [];
}

/** The parts of the text that begin with a line that fits, each up to the next one or to a line that ends it. */
function blocks(lines: readonly string[], start: RegExp, end: RegExp): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let from = -1;
  for (let i = 0; i <= lines.length; i++) {
    const line = lines[i];
    if (from >= 0 && (line === undefined || start.test(line) || end.test(line))) {
      found.push({ from, to: i });
      from = -1;
    }
    if (line !== undefined && start.test(line)) from = i;
  }
  return found;
}

function parseJest(lines: readonly string[]): Report[] {
  return blocks(lines, /^ {2}● \S/, /^(?:Test Suites:|(?:FAIL|PASS) \S)/).flatMap(({ from, to }) => {
    const body = lines.slice(from + 1, to).map((line) => line.startsWith("    ") ? line.slice(4) : line);
    const first = body.findIndex((line) => line.trim() !== "");
    if (first < 0) return [];
    const isSource = (line: string) => /^\s*>?\s*\d+ \|/.test(line) || /^\s+at /.test(line);
    const end = body.findIndex((line, i) => i >= first && isSource(line));
    const head = errorHead(body[first]!);
    const text = body.slice(first, end < 0 ? undefined : end);
    const frames = body.flatMap((line) => readFrame(line) ?? []);
    return [
      testReport(
        head?.type ?? "AssertionError",
        head === null ? text : [head.text, ...text.slice(1)],
        frames,
        from,
        to,
      ),
    ];
  });
}

function parseMocha(lines: readonly string[]): Report[] {
  const start = lines.findIndex((line) => /^ {2}\d+ failing$/.test(line));
  return blocks(lines, /^ {2}\d+\) \S/, /^\0/).filter(({ from }) => from > start).flatMap(({ from, to }) => {
    const body = lines.slice(from + 1, to).map((line) => line.trimStart());
    const first = body.findIndex((line) => errorHead(line) !== null);
    if (first < 0) return [];
    const head = errorHead(body[first]!)!;
    const end = body.findIndex((line, i) => i > first && /^(?:at \S|\+ expected - actual)/.test(line));
    const frames = lines.slice(from + 1, to).flatMap((line) => readFrame(line) ?? []);
    return [
      testReport(head.type, [head.text, ...body.slice(first + 1, end < 0 ? undefined : end)], frames, from, to),
    ];
  }).map((report) => ({ ...report, ends: numbers(1, 100) }));
}

function parseVitest(lines: readonly string[]): Report[] {
  return blocks(lines, /^ FAIL {2}\S/, /^⎯{5,}/).flatMap(({ from, to }) => {
    const body = lines.slice(from + 1, to);
    const first = body.findIndex((line) => errorHead(line) !== null);
    if (first < 0) return [];
    const head = errorHead(body[first]!)!;
    const frames = body.flatMap((line): Frame[] => {
      const place = /^ +❯ (?:(\S+) )?(\S+?):(\d+):\d+$/.exec(line);
      return place === null ? [] : [{ function: place[1] ?? null, file: place[2]!, line: Number(place[3]) }];
    });
    return [testReport(head.type, [head.text], frames, from, to)];
  });
}

/** TAP with YAML blocks, as `node --test` writes it into pipes. */
function parseTap(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (!/^ *not ok \d+/.test(lines[i]!) || lines[i + 1]?.trim() !== "---") continue;
    const fields = new Map<string, string[]>();
    let field: string[] | null = null;
    let to = i + 2;
    const indent = /^ */.exec(lines[i + 1]!)![0].length;
    for (; to < lines.length && lines[to]!.trim() !== "..."; to++) {
      const line = lines[to]!.slice(indent);
      const key = /^([a-zA-Z_]+): ?(.*)$/.exec(line);
      if (key !== null) fields.set(key[1]!, field = [unquoted(key[2]!)]);
      else field?.push(line.slice(2));
    }
    const error = fields.get("error");
    if (error !== undefined && fields.get("failureType")?.[0] === "testCodeFailure") {
      const block = error[0] === "|-" || error[0] === "|" ? error.slice(1) : error;
      const frames = (fields.get("stack") ?? []).slice(1).flatMap((line) => readFrame(`    at ${line}`) ?? []);
      const type = fields.get("name")?.[0] ?? "Error";
      reports.push(testReport(type, block, frames, i, to));
    }
    i = to;
  }
  return reports;
}

function parseSpec(lines: readonly string[]): Report[] {
  const start = lines.findIndex((line) => line.startsWith("✖ failing tests:"));
  return blocks(lines, /^test at /, /^\0/).filter(({ from }) => start >= 0 && from > start).flatMap(({ from, to }) => {
    const body = lines.slice(from + 1, to);
    const first = body.findIndex((line) => errorHead(line.trimStart()) !== null);
    if (first < 0) return [];
    const head = errorHead(body[first]!.trimStart())!;
    const end = body.findIndex((line, i) => i > first && /^\s+at \S/.test(line));
    const frames = body.flatMap((line) => readFrame(line) ?? []);
    return [
      testReport(head.type, [head.text, ...body.slice(first + 1, end < 0 ? first + 1 : end)], frames, from, to),
    ];
  });
}

function parseDenoTest(lines: readonly string[]): Report[] {
  const start = lines.findIndex((line) => line.trim() === "ERRORS");
  return blocks(lines, /^error: /, /^(?: FAILURES | ERRORS |\S.* => )/).filter(({ from }) => start >= 0 && from > start)
    .flatMap(({ from, to }) => {
      const head = errorHead(lines[from]!.slice("error: ".length));
      const frames = lines.slice(from, to).flatMap((line) => readFrame(line) ?? []);
      return head === null ? [] : [testReport(head.type, [head.text], frames, from, to)];
    });
}

function testReport(type: string, text: readonly string[], frames: readonly Frame[], from: number, to: number): Report {
  const isAssertion = /^(?:Jest)?Assertion(?:Error)?$/.test(type);
  return {
    runtime: "node",
    kind: isAssertion ? "assertion" : "exception",
    type,
    message: joinMessage(
      text.slice(0, MAX_MESSAGE_LINES).filter((line) => !isNoise(line)).map((line) => line.trimEnd()),
    ),
    frames: frames.slice(0, MAX_FRAMES),
    causes: [],
    from,
    to,
    form: "test",
    ends: [1],
  };
}

function unquoted(value: string): string {
  const inner = /^'(.*)'$|^"(.*)"$/.exec(value);
  return inner === null ? value : (inner[1]?.replaceAll("''", "'") ?? inner[2]!);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
