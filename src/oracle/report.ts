/** What the parsers find in a text: reports of failures, with where they stand. */
import type { Frame, ObservedFailure } from "./failure.ts";

export interface Report {
  readonly runtime: ObservedFailure["runtime"];
  readonly kind: ObservedFailure["kind"];
  readonly type: string | null;
  readonly message: string | null;
  /** Innermost first. */
  readonly frames: readonly Frame[];
  readonly causes: ObservedFailure["causes"];
  /** The lines from `from` to before `to`, from 0. */
  readonly from: number;
  readonly to: number;
  /**
   * - `uncaught`: as a runtime tells of its own end
   * - `test`: in the failure section of a test runner
   * - `shown`: as any program may print it and go on
   */
  readonly form: "uncaught" | "test" | "shown";
  /** The exit codes and signals that belong to it. */
  readonly ends: readonly (number | string)[];
}

/** Finds the reports of one family; never throws, in the order of the text. */
export type Parser = (lines: readonly string[]) => Report[];

/** Where the middle of a long output was left out; the lines beside it may be cut. */
export const GAP = /^\[… \d+ bytes left out …\]$/;

/** How many lines of a message, and how many frames, are kept. */
export const MAX_MESSAGE_LINES = 40;
export const MAX_FRAMES = 400;

/** Signals that programs die of, with their numbers on Linux. */
export const SIGNALS: ReadonlyMap<string, number> = new Map([
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGQUIT", 3],
  ["SIGILL", 4],
  ["SIGTRAP", 5],
  ["SIGABRT", 6],
  ["SIGBUS", 7],
  ["SIGFPE", 8],
  ["SIGKILL", 9],
  ["SIGUSR1", 10],
  ["SIGSEGV", 11],
  ["SIGUSR2", 12],
  ["SIGPIPE", 13],
  ["SIGALRM", 14],
  ["SIGTERM", 15],
  ["SIGXCPU", 24],
  ["SIGXFSZ", 25],
  ["SIGSYS", 31],
]);

/** What shells and runtimes call the signals. */
export const SIGNAL_WORDS: ReadonlyMap<string, string> = new Map([
  ["segmentation fault", "SIGSEGV"],
  ["segfault", "SIGSEGV"],
  ["aborted", "SIGABRT"],
  ["bus error", "SIGBUS"],
  ["floating point exception", "SIGFPE"],
  ["illegal instruction", "SIGILL"],
  ["trace/breakpoint trap", "SIGTRAP"],
  ["bad system call", "SIGSYS"],
  ["killed", "SIGKILL"],
  ["terminated", "SIGTERM"],
]);

/** A signal and the exit code with which a shell tells of it. */
export function endsOf(signal: string): (number | string)[] {
  const number = SIGNALS.get(signal);
  return number === undefined ? [signal] : [signal, 128 + number];
}

const NOISE = [
  /^\s*$/,
  /^(?:.*: line \d+: +|\S+: )?\s*(?:\d+ )?(?:Segmentation fault|Aborted|Bus error|Floating point exception|Illegal instruction|Trace\/breakpoint trap)\b/,
  /^g?make(?:\[\d+\])?: /,
  /^(?:npm (?:ERR!|error)|error Command failed with exit code|info Visit https| ELIFECYCLE)/,
  /^exit status \d+$/,
  /^error: (?:test failed|\d+ targets? failed|process didn't exit successfully|Recipe |script ".*" exited)/,
  /^(?:Node\.js|Bun) v\d/,
  /^(?:sys|<sys>):\d+: \w*Warning/,
  /^ResourceWarning: Enable tracemalloc/,
  /^note: (?:run with|Some details are omitted|test did not panic)/,
];

/** Whether shells, build tools and runtimes write the line after the report of a failure. */
export function isNoise(line: string): boolean {
  return NOISE.some((pattern) => pattern.test(line.slice(0, 300)));
}

/** `exit status 2` of `go run`, `Error 3` of make: the status that a wrapper tells of and does not pass on. */
export function innerStatus(lines: readonly string[]): number | null {
  for (let i = lines.length - 1; i >= 0 && isNoise(lines[i]!); i--) {
    const found = /^exit status (\d+)$/.exec(lines[i]!) ?? /^g?make(?:\[\d+\])?: \*\*\* .*Error (\d+)/.exec(lines[i]!);
    if (found !== null) return Number(found[1]);
  }
  return null;
}

const ERROR_LINE = /^(?:[\w./-]{1,200}:(?:\d{1,9}:){0,2} )?((?:internal compiler |fatal )?(?:error|fatal|abort)\b.*)$/i;

/** `error: …` without the program and the place before it, as compilers and command line tools write it; null: none. */
export function errorText(line: string): string | null {
  return ERROR_LINE.exec(line)?.[1] ?? null;
}

/** Null for nothing. */
export const joinMessage = (lines: readonly string[]): string | null => {
  const text = lines.slice(0, MAX_MESSAGE_LINES).join("\n").trim();
  return text === "" ? null : text;
};
