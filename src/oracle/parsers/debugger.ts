/** Backtraces of gdb and lldb; only people quote them, no program ends with them. */
import type { Frame } from "../failure.ts";
import { endsOf, MAX_FRAMES, type Report, SIGNALS } from "../report.ts";

const SIGNAL =
  /^(?:(?:Program|Thread .*) (?:received|terminated with) signal |Program terminated with signal )(SIG[A-Z]+)\b|stop reason = signal (SIG[A-Z]+)\b|stop reason = (EXC_BAD_ACCESS)/;
const GDB = /^ *#\d+ +(?:0x[\da-f]+ in )?([^ (][^(]*?) ?\(.*\)(?: at (\S+?):(\d+)| from \S+)?$/;
const LLDB = /^ *(?:\* )?frame #\d+: 0x[\da-f]+ \S+?`(.+?)(?: at (\S+?):(\d+)(?::\d+)?)?$/;

export function parseDebugger(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const found = SIGNAL.exec(lines[i]!.slice(0, 300));
    if (found === null) continue;
    const signal = found[3] === undefined ? found[1] ?? found[2]! : "SIGSEGV";
    if (!SIGNALS.has(signal)) continue;
    const frames: Frame[] = [];
    let to = i + 1;
    for (let at = i + 1; at < Math.min(lines.length, i + 600) && frames.length < MAX_FRAMES; at++) {
      const line = lines[at]!.slice(0, 1000);
      const frame = GDB.exec(line) ?? LLDB.exec(line);
      if (frame !== null) {
        const name = frame[1]!.replace(/\(.*$/, "").trim();
        frames.push({ function: name, file: frame[2] ?? null, line: frame[3] === undefined ? null : Number(frame[3]) });
        to = at + 1;
      } else if (frames.length > 0 && line.trim() === "") break;
    }
    reports.push({
      runtime: "native",
      kind: "signal",
      type: signal,
      message: null,
      frames,
      causes: [],
      from: i,
      to,
      form: "shown",
      ends: endsOf(signal),
    });
    i = to - 1;
  }
  return reports;
}
