/** Uncaught exceptions of Ruby, PHP and .NET. */
import type { Frame } from "../failure.ts";
import { endsOf, joinMessage, MAX_FRAMES, type Report } from "../report.ts";

export function parseOthers(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const read = readRuby(lines, i) ?? readPhp(lines, i) ?? readDotnet(lines, i);
    if (read === null) continue;
    reports.push(read);
    i = read.to - 1;
  }
  return reports;
}

function readRuby(lines: readonly string[], at: number): Report | null {
  const found = /^(.+?):(\d+):in [`']([^']*)': (.*) \(((?:[A-Z]\w*::)*[A-Z]\w*)\)$/.exec(lines[at]!);
  if (found === null) return null;
  const frames: Frame[] = [{ function: found[3]!, file: found[1]!, line: Number(found[2]) }];
  let to = at + 1;
  for (let i = to; i < lines.length; i++) {
    const from = /^\tfrom (.+?):(\d+):in [`']([^']*)'$/.exec(lines[i]!);
    if (from !== null) frames.push({ function: from[3]!, file: from[1]!, line: Number(from[2]) });
    // did_you_mean and error_highlight quote the source.
    else if (!/^$|^ {4}|^Did you mean/.test(lines[i]!)) break;
    to = i + 1;
  }
  return exception(found[5]!, found[4]!, frames, at, to, [1]);
}

function readPhp(lines: readonly string[], at: number): Report | null {
  const found = /^(?:PHP )?Fatal error: +Uncaught ([\w\\]+)(?:: (.*))? in (\S+):(\d+)$/.exec(lines[at]!);
  if (found === null) return null;
  const frames: Frame[] = [{ function: null, file: found[3]!, line: Number(found[4]) }];
  let to = at + 1;
  for (; to < lines.length; to++) {
    const call = /^#\d+ (?:(\S+)\((\d+)\): )?(.*)$/.exec(lines[to]!);
    if (call !== null) {
      const name = call[3]!.replace(/\(.*$/s, "");
      frames.push({ ...frames.pop()!, function: name === "{main}" ? null : name });
      if (call[1] !== undefined) frames.push({ function: null, file: call[1], line: Number(call[2]) });
    } else if (!/^Stack trace:$|^ {2}thrown in |^$/.test(lines[to]!)) break;
  }
  return exception(found[1]!, found[2] ?? null, frames, at, to, [255]);
}

function readDotnet(lines: readonly string[], at: number): Report | null {
  const found = /^Unhandled [Ee]xception[.:] ([\w.+`]+)(?:: (.*))?$/.exec(lines[at]!);
  if (found === null) return null;
  const frames: Frame[] = [];
  const rest: string[] = [];
  let to = at + 1;
  for (; to < lines.length; to++) {
    const call = /^ {3}at ([^()]+)\(.*?\)(?: in (.*):line (\d+))?$/.exec(lines[to]!);
    if (call !== null) {
      frames.push({ function: call[1]!, file: call[2] ?? null, line: call[3] === undefined ? null : Number(call[3]) });
    } else if (frames.length === 0 && lines[to] !== "" && rest.length < 20) rest.push(lines[to]!);
    else break;
  }
  return exception(found[1]!, joinMessage([found[2] ?? "", ...rest]), frames, at, to, endsOf("SIGABRT"));
}

function exception(
  type: string,
  text: string | null,
  frames: readonly Frame[],
  from: number,
  to: number,
  ends: readonly (number | string)[],
): Report {
  return {
    runtime: "generic",
    kind: "exception",
    type,
    message: text,
    frames: frames.slice(0, MAX_FRAMES),
    causes: [],
    from,
    to,
    form: "uncaught",
    ends,
  };
}
