/** What a program's failure is, read off its exit, its output and its witness. */

/** How a program ended, and what it wrote. */
export interface ProgramEnd {
  /** Null when a signal or a timeout ended it. 128 + n and `signal` when a shell tells of signal n. */
  readonly exitCode: number | null;
  /** `SIGSEGV`; null: none. */
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** What of its surroundings' limits has ended it, in words: `memory (4 GiB)`; absent: none. */
  readonly limit?: string;
  readonly stdout: string;
  readonly stderr: string;
  /** What the runtimes themselves told of uncaught failures, in the order they happened; empty where nobody witnessed. */
  readonly witnessed: readonly WitnessedFailure[];
  /** Whether a witness was in the program at all (Python and Node): without one, only the output speaks. */
  readonly hasWitness: boolean;
  /**
   * The command that was run. When it is a test runner's (`jest f`, `node --test f`) its failure section counts also where a
   * witness was there and told nothing; of another program it is a print.
   */
  readonly command?: string;
  /** The text of the reproducer; absent: not known, and what it does by itself is not asked. */
  readonly script?: string;
  /** Of these a witness would have told: a report of theirs that stands in the output alone is a print. */
  readonly watched?: readonly Runtime[];
  /** What was done to the project, so that its failures are not its own; a sentence. Absent or null: nothing is known. */
  readonly meddling?: string | null;
  /** Functions of the project that all its processes entered; absent or null: not counted. */
  readonly projectCalls?: number | null;
}

/**
 * An uncaught exception, told by a hook within the runtime: no program can print its way into it. What a test raised counts
 * as such. An exit that was asked for may be told as well: `SystemExit` of Python and `process.exit` of Node, its code as the
 * message, with the frames that asked for it; where it is not, nobody knows who ended the program.
 */
export interface WitnessedFailure {
  readonly runtime: "python" | "node";
  readonly pid: number;
  /** With its module for Python unless it is a builtin: `numpy.linalg.LinAlgError`. */
  readonly type: string;
  /** The names of its base classes, nearest first, without `object`. */
  readonly bases: readonly string[];
  readonly message: string;
  readonly frames: readonly Frame[];
  /** Of the causes (`__cause__`, `__context__`, `cause`), nearest first. */
  readonly causes: readonly { readonly type: string; readonly message: string; readonly frames: readonly Frame[] }[];
  /** Functions of the project that were entered before (module level does not count); null: not counted. */
  readonly projectCalls: number | null;
}

/** Innermost first in every list of frames. */
export interface Frame {
  readonly function: string | null;
  /** As printed. */
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
}

export const runtimes = ["python", "node", "go", "rust", "java", "sanitizer", "native", "generic"] as const;
export type Runtime = typeof runtimes[number];

/** One failure that a program ended with. */
export interface ObservedFailure {
  readonly runtime: Runtime;
  /**
   * `exception` (Python, Node, Java), `panic` (Go, Rust), `sanitizer`, `assertion` (an assertion of the language or of a
   * test runner), `signal`, `exit` (nothing but a status), `timeout`.
   */
  readonly kind: "exception" | "panic" | "sanitizer" | "assertion" | "signal" | "exit" | "timeout";
  /** `ValueError`, `java.lang.NullPointerException`, `heap-use-after-free`, `SIGSEGV`; null for a mere exit. */
  readonly type: string | null;
  readonly bases: readonly string[];
  readonly message: string | null;
  readonly frames: readonly Frame[];
  readonly causes: readonly { readonly type: string; readonly message: string; readonly frames: readonly Frame[] }[];
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Whether the runtime itself told it, or its output alone. */
  readonly source: "witness" | "output" | "status";
  readonly projectCalls: number | null;
  /**
   * What is wrong with the reproducer or its surroundings rather than with the project: it does not parse, it imports what
   * is not there, a file or a program is missing, the network cannot be reached, no permission, no memory or disk.
   */
  readonly trouble:
    | "syntax"
    | "import"
    | "missing_file"
    | "missing_program"
    | "network"
    | "permission"
    | "resources"
    | null;
}
