/** Tracebacks as IPython and notebooks show them; only people quote them, no program ends with them. */
import type { Frame } from "../failure.ts";
import { MAX_FRAMES, type Report } from "../report.ts";

const HEADER = /^([A-Za-z_][\w.]*) +Traceback \(most recent call last\):?$/;
const NEW_FRAME = /^File (.+?):(\d+), in ([^(]+)(?:\(.*)?$/;
const OLD_FRAME = /^((?:~|\/|[A-Za-z]:\\|<ipython-input|\.)\S*) in ([^(]+)(?:\(.*)?$/;
const CELL = /^(?:Cell |Input )?In ?\[\d+\](?:, in <[^>]*>\(.*\))?(?:, line (\d+))?/;
const CHAIN =
  /^(?:During handling of the above exception, another exception occurred|The above exception was the direct cause of the following exception):$/;
const MAX_LINES = 2000;

export function parseIpython(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const header = HEADER.exec(lines[i]!);
    const read = header === null ? null : readTraceback(lines, i, header[1]!);
    if (read === null) continue;
    const cause = reports.at(-1);
    if (cause !== undefined && lines.slice(cause.to, i).some((line) => CHAIN.test(line))) {
      const { from, type, message, frames, causes } = cause;
      reports.splice(-1, 1, { ...read, from, causes: [{ type: type!, message: message ?? "", frames }, ...causes] });
    } else reports.push(read);
    i = read.to - 1;
  }
  return reports;
}

function readTraceback(lines: readonly string[], at: number, name: string): Report | null {
  const frames: Frame[] = [];
  const ending = new RegExp(`^((?:[\\w.]*\\.)?${name.split(".").at(-1)})(?:: (.*))?$`);
  for (let i = at + 1; i < Math.min(lines.length, at + MAX_LINES); i++) {
    const line = lines[i]!;
    if (HEADER.test(line)) return null;
    const frame = NEW_FRAME.exec(line);
    const old = OLD_FRAME.exec(line);
    const cell = CELL.exec(line);
    const arrow = /^-+> ?(\d+) /.exec(line);
    if (frame !== null) frames.push({ function: frame[3]!.trim(), file: frame[1]!, line: Number(frame[2]) });
    else if (old !== null) frames.push({ function: old[2]!.trim(), file: old[1]!, line: null });
    else if (cell !== null) frames.push({ function: "<module>", file: "<cell>", line: null });
    else if (arrow !== null && frames.at(-1)?.line === null) frames.push({ ...frames.pop()!, line: Number(arrow[1]) });
    const end = ending.exec(line);
    if (end === null) continue;
    return {
      runtime: "python",
      kind: name === "AssertionError" ? "assertion" : "exception",
      type: name.includes(".") ? name : end[1]!,
      message: end[2] ?? null,
      frames: frames.reverse().slice(0, MAX_FRAMES),
      causes: [],
      from: at,
      to: i + 1,
      form: "shown",
      ends: [1],
    };
  }
  return null;
}
