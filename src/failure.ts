/** The failures a person can act on, and how each kind ends the process. */

/**
 * - `usage`: the command line or a configuration file is wrong (exit 2)
 * - `environment`: the machine does not offer what is needed: a folder, a program, a permission
 * - `template`: a prompt template cannot be rendered
 * - `model`: a model call failed for good
 * - `closed`: whoever read stdout has gone away; nobody is left to be told
 */
export type FailureKind = "usage" | "environment" | "template" | "model" | "closed";

export interface FailureOptions {
  /** What to do about it: sentences or commands that can be pasted. */
  hints?: readonly string[];
  /** The word in `finish.exit_status` and `error.type`; default is the class of the kind, such as `UsageError`. */
  type?: string;
  cause?: unknown;
}

const TYPE_OF_KIND: Record<FailureKind, string> = {
  usage: "UsageError",
  environment: "EnvironmentError",
  template: "TemplateError",
  model: "ModelError",
  closed: "OutputClosed",
};

/** Action, need, finding in the message ("Cannot read …: found …"); what to do in the hints. */
export class Failure extends Error {
  readonly kind: FailureKind;
  readonly hints: readonly string[];
  readonly type: string;

  constructor(kind: FailureKind, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Failure";
    this.kind = kind;
    this.hints = options.hints ?? [];
    this.type = options.type ?? TYPE_OF_KIND[kind];
  }
}

export type InterruptSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** A signal asked the program to end; the reason of the abort signal that everything that waits obeys. */
export class Interrupt extends Error {
  constructor(readonly signal: InterruptSignal) {
    super(`Interrupted by ${signal}`);
    this.name = "Interrupt";
  }
}

export const EXIT_SUCCESS = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const EXIT_OF_SIGNAL: Record<InterruptSignal, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** The exit code of a command that ended with this error: 2 usage, 128 + n for a signal, 1 for anything else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupt) return EXIT_OF_SIGNAL[error.signal];
  if (error instanceof Failure && error.kind === "usage") return EXIT_USAGE;
  return EXIT_FAILURE;
}

/** The word for this error in events and trajectories: a failure's type, or the class of any other error. */
export function typeOf(error: unknown): string {
  if (error instanceof Failure) return error.type;
  if (error instanceof Error) return error.name === "Error" ? error.constructor.name : error.name;
  return "Error";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `Error: …` and a `Hint: …` line for each hint, as stderr shows them. Not escaped: the terminal layer does that. */
export function describeFailure(error: unknown): string {
  const hints = error instanceof Failure ? error.hints : [];
  return [`Error: ${messageOf(error)}`, ...hints.map((hint) => `Hint: ${hint}`)].join("\n") + "\n";
}

/**
 * The candidate that a mistyped name was probably meant to be: at most two edits away, one for names of less than five
 * characters; undefined when there is none or the name itself is among them.
 */
export function closestName(name: string, candidates: Iterable<string>): string | undefined {
  let bestDistance = name.length < 5 ? 2 : 3;
  let best: string | undefined;
  for (const candidate of candidates) {
    const distance = Math.abs(candidate.length - name.length) < bestDistance ? editDistance(name, candidate) : Infinity;
    if (distance > 0 && distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours, each counted once. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= Math.min(a.length, 64); i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      current.push(least);
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length]!;
}
