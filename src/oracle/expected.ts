/** What failure somebody expects, and what a run says about it. */
import type { Frame, ObservedFailure, Runtime } from "./failure.ts";

/** One way in which the bug shows; a run has to show one of those that are expected. */
export interface ExpectedFailure {
  /** `ValueError` also stands for `pkg.ValueError`; null: any. */
  readonly type: string | null;
  /** As it was written; null: any. Compared as a template: numbers, addresses, paths and quoted values may differ. */
  readonly message: string | null;
  /** The message as a regular expression, instead of `message`; null: none. */
  readonly pattern: string | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Innermost first; empty: unknown. The innermost one within the project must be the same (file name and function). */
  readonly frames: readonly Frame[];
  readonly runtime: Runtime | null;
  /** Functions of the project that lead to it: one of them has to be in the stack. Empty or absent: unknown. */
  readonly calls?: readonly string[];
  /**
   * `failure`: the program fails by itself. `wrong_result`: it gives a wrong answer, which only an assertion of the
   * reproducer can show.
   */
  readonly shows: "failure" | "wrong_result";
}

/** Where things are, to tell the reproducer's own frames from the project's. Absolute paths. */
export interface RunPlace {
  /** Empty: none, what fails is the project itself; whose fault it is, is not asked. */
  readonly reproFile: string;
  /** The project's checkout; the reproducer may lie in it. Empty: there is none, frames are not compared. */
  readonly project: string;
  /** What of the checkout is the project's own, relative to it; absent: all. Whatever else lies there, others have put there. */
  readonly files?: ReadonlySet<string>;
}

/** One run, judged. */
export interface RunJudgement {
  /**
   * - `match`: it failed as expected
   * - `other_failure`: it failed in another way
   * - `no_failure`: it ended well
   * - `own_failure`: the reproducer raised it itself, without the project
   * - `broken`: the reproducer itself is wrong (syntax, import, missing file)
   * - `environment`: the surroundings are (network, permission, resources, missing program)
   * - `timeout`
   */
  readonly outcome: "match" | "other_failure" | "no_failure" | "own_failure" | "broken" | "environment" | "timeout";
  /** Which of the expected ones, from 0. */
  readonly matched: number | null;
  /** One sentence for people. */
  readonly reason: string;
  /** The failure that was judged; null: none. */
  readonly failure: ObservedFailure | null;
}

/** What must stay the same while a reproducer is made smaller, and in each of its runs. */
export interface FailureSignature {
  readonly runtime: Runtime;
  readonly kind: ObservedFailure["kind"];
  readonly type: string | null;
  /** `"… has no attribute '…'"` with its variable parts replaced; null: no message. */
  readonly template: string | null;
  /** Innermost frame within the project: file relative to it, and function; null: none. */
  readonly frame: { readonly file: string; readonly function: string | null } | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
}
