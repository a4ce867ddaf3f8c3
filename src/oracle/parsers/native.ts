/** Crashes of C and C++: assertions, uncaught C++ exceptions, the allocator's complaints, and what shells say of signals. */
import type { Frame } from "../failure.ts";
import { endsOf, joinMessage, MAX_MESSAGE_LINES, type Report, SIGNAL_WORDS } from "../report.ts";

const ALLOCATOR =
  /^(?:\*\*\* Error in `[^']*': )?((?:free|malloc|realloc|munmap_chunk|malloc_consolidate|calloc|unlink_chunk|sysmalloc)(?:_\w+)?\(\): .*|double free or corruption.*|corrupted (?:size|double-linked|unsorted).*|(?:\*\*\* )?(?:stack smashing|buffer overflow) detected(?: \*\*\*)?.*)$/;
const SHELL =
  /^(?:(.*: line \d+|\S*sh): +)?(?:\d+ |\d+: )?\s*(Segmentation fault|Aborted|Bus error|Floating point exception|Illegal instruction|Trace\/breakpoint trap|Bad system call|Killed)\b(?:\s+\(core dumped\))?(?:\s+\S.*)?$/;

export function parseNative(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const read = readAssertion(lines, i) ?? readTerminate(lines, i) ?? readComplaint(lines, i) ?? readSignal(lines, i);
    if (read === null) continue;
    const last = reports.at(-1);
    // A shell tells once more what has ended the program.
    if (read.kind === "signal" && read.message === null && last?.ends.includes(read.type!)) {
      reports[reports.length - 1] = { ...last, to: read.to };
    } else reports.push(read);
    i = read.to - 1;
  }
  return reports;
}

function readAssertion(lines: readonly string[], at: number): Report | null {
  const line = lines[at]!;
  const glibc = /^(.*): Assertion [`'](.*)' failed\.$/.exec(line);
  if (glibc !== null) {
    const place = /^(?:(?:[^:]*|.*\/[^:]*): )?([^\s:][^:]*):(\d+): (.*)$/.exec(glibc[1]!);
    return assertion(at, glibc[2]!, place?.[1] ?? null, place?.[2], place?.[3] ?? null);
  }
  const bsd = /^Assertion failed: \(?(.*?)\)?, (?:function (.*), )?file (.*), line (\d+)\.?$/.exec(line);
  if (bsd !== null) return assertion(at, bsd[1]!, bsd[3]!, bsd[4], bsd[2] ?? null);
  const musl = /^Assertion failed: (.*) \(([^():]+): ([^():]+): (\d+)\)$/.exec(line);
  return musl === null ? null : assertion(at, musl[1]!, musl[2]!, musl[4], musl[3]!);
}

function assertion(
  at: number,
  text: string,
  file: string | null,
  line: string | undefined,
  name: string | null,
): Report {
  const frames: Frame[] = file === null ? [] : [{ function: nameOf(name), file, line: Number(line) }];
  return { ...native("assertion", "assert", text, "SIGABRT"), frames, from: at, to: at + 1 };
}

/** `int f(int)` and `f` of what `__PRETTY_FUNCTION__` says. */
function nameOf(name: string | null): string | null {
  if (name === null) return null;
  const bare = name.replace(/ \[with .*$/, "");
  const open = bare.indexOf("(");
  const before = open < 0 ? bare : bare.slice(0, open);
  return before.slice(before.lastIndexOf(" ") + 1) || bare;
}

function readTerminate(lines: readonly string[], at: number): Report | null {
  const gnu = /^terminate called (?:after throwing an instance of '(.*)'|without an active exception|recursively)$/
    .exec(lines[at]!);
  if (gnu !== null) {
    const what = /^ {2}what\(\): {2}(.*)$/.exec(lines[at + 1] ?? "");
    const rest: string[] = [];
    // Its message may have more lines; it is the last thing the program writes.
    for (let i = at + 2; what !== null && i < lines.length && rest.length < MAX_MESSAGE_LINES; i++) {
      if (lines[i] === "" || SHELL.test(lines[i]!)) break;
      rest.push(lines[i]!);
    }
    const text = what === null ? null : joinMessage([what[1]!, ...rest]);
    const to = at + 1 + (what === null ? 0 : 1 + rest.length);
    return { ...native("exception", gnu[1] ?? "std::terminate", text, "SIGABRT"), from: at, to };
  }
  const clang =
    /^libc\+\+abi: terminating (?:due to|with) uncaught exception(?: of type ([^:\s]+(?:::[^:\s]+)*))?(?:: (.*))?$/
      .exec(lines[at]!);
  if (clang === null) return null;
  return { ...native("exception", clang[1] ?? "std::terminate", clang[2] ?? null, "SIGABRT"), from: at, to: at + 1 };
}

function readComplaint(lines: readonly string[], at: number): Report | null {
  const found = ALLOCATOR.exec(lines[at]!);
  if (found === null) return null;
  const text = found[1]!.replace(/^\*\*\* | \*\*\*(?=:)/g, "").replace(
    /: (?:terminated|0x[\da-f]+ \*\*\*)$|: \S+ terminated$/,
    "",
  );
  return { ...native("signal", "SIGABRT", text, "SIGABRT"), from: at, to: at + 1 };
}

function readSignal(lines: readonly string[], at: number): Report | null {
  const found = SHELL.exec(lines[at]!.slice(0, 500));
  const signal = found === null ? undefined : SIGNAL_WORDS.get(found[2]!.toLowerCase());
  return signal === undefined ? null : { ...native("signal", signal, null, signal), from: at, to: at + 1 };
}

function native(kind: "assertion" | "exception" | "signal", type: string, text: string | null, signal: string) {
  return {
    runtime: "native",
    kind,
    type,
    message: text,
    frames: [],
    causes: [],
    form: "uncaught",
    ends: endsOf(signal),
  } as const;
}
