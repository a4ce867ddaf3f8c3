/** Reports of AddressSanitizer and its family. */
import type { Frame } from "../failure.ts";
import { endsOf, MAX_FRAMES, type Report } from "../report.ts";

const HEAD = /^(?:==\d+==\s?)?(?:ERROR|WARNING): (\w+Sanitizer|libFuzzer): (.*)$/;
const UNDEFINED = /^(.+?):(\d+):(\d+): runtime error: (.*)$/;
/** What the sanitizers write behind a report's stacks. */
const APPENDIX =
  /^$|^(?: |\t|=>|Shadow |==\d+==|={10,}$|SUMMARY: |AddressSanitizer|ThreadSanitizer: reported|Address 0x|0x|HINT: |NOTE: |MS: |artifact_prefix|Test unit written|Base64: |allocated by |freed by |previously allocated|Thread T\d|This frame has|Direct leak|Indirect leak|READ of|WRITE of|Uninitialized value|Memory was marked|The signal)/;
const CRASHES = ["SIGABRT", "SIGSEGV", "SIGILL", "SIGTRAP", "SIGFPE", "SIGBUS"].flatMap(endsOf);

export function parseSanitizer(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const head = HEAD.exec(lines[i]!);
    const undefinedBehaviour = head === null && lines[i]!.includes("runtime error: ")
      ? UNDEFINED.exec(lines[i]!)
      : null;
    if (head === null && undefinedBehaviour === null) continue;
    const { frames, firstLine, to } = readReport(lines, i + 1);
    const base = { runtime: "sanitizer", kind: "sanitizer", causes: [], from: i, to, form: "uncaught" } as const;
    if (head !== null) {
      reports.push({
        ...base,
        type: typeOf(head[2]!),
        message: firstLine,
        frames,
        ends: head[1] === "ThreadSanitizer" ? [66, 1, ...CRASHES] : [1, 23, 66, 77, ...CRASHES],
      });
    } else if (undefinedBehaviour !== null) {
      const place = { function: null, file: undefinedBehaviour[1]!, line: Number(undefinedBehaviour[2]) };
      reports.push({
        ...base,
        type: "runtime error",
        message: undefinedBehaviour[4]!,
        frames: frames.length > 0 ? frames : [place],
        ends: [1, ...CRASHES],
      });
    }
    i = to - 1;
  }
  return reports;
}

/** `heap-use-after-free on address …`, `attempting double-free on …`, `data race (pid=1)`. */
function typeOf(text: string): string {
  const attempt = /^attempting (?:(double-free)|free on address which was not malloc)/.exec(text);
  if (attempt !== null) return attempt[1] ?? "bad-free";
  if (text.startsWith("requested allocation size")) return "allocation-size-too-big";
  return text.replace(/ on (?:unknown )?address .*$| \(pid=\d+\)$| \(0x.*$|:.*$/, "").slice(0, 80).trim();
}

/** The first stack, and the end of the whole report. */
function readReport(lines: readonly string[], from: number): { frames: Frame[]; firstLine: string | null; to: number } {
  let frames: Frame[] = [];
  let isFirst = true;
  let firstLine: string | null = null;
  let to = from;
  for (let i = from; i < lines.length; i++) {
    const line = lines[i]!;
    const frame = readFrame(line);
    if (frame !== null) {
      if (isFirst && frames.length < MAX_FRAMES) frames = [...frames, frame];
    } else {
      if (frames.length > 0) isFirst = false;
      firstLine ??= /^\s*((?:READ|WRITE|Read|Write|Atomic (?:read|write)) of size \d+)/i.exec(line)?.[1] ?? null;
      if (HEAD.test(line) || !APPENDIX.test(line)) break;
      if (line === "" && frames.length === 0 && i > from + 2) break;
    }
    to = i + 1;
  }
  while (to > from && lines[to - 1] === "") to--;
  return { frames, firstLine, to };
}

/** `#0 0x55… in f(int) /src/x.c:3:5`, `#0 f /src/x.c:3 (a.out+0x1)`, `#1 0x7f… (/lib/x.so+0x1)`. */
export function readFrame(line: string): Frame | null {
  const found = /^\s+#\d+ +(?:0x[\da-f]+ )?(?:in )?(.*)$/.exec(line);
  if (found === null) return null;
  const text = found[1]!.replace(/ +\(BuildId: [\da-f]+\)$/, "").replace(/ *\([^()\s]*\+0x[\da-f]+\)$/, "");
  const space = text.lastIndexOf(" ");
  const place = /^(.+?):(\d+)(?::\d+)?$/.exec(text.slice(space + 1));
  if (place === null) return { function: text === "" ? null : text, file: null, line: null };
  return { function: space < 0 ? null : text.slice(0, space), file: place[1]!, line: Number(place[2]) };
}
