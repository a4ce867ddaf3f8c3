/** What a worker may answer to an issue, and what has to become of it. */
import type { CandidateVerdict } from "../../../src/events/manager_events.ts";
import type { RunJudgement } from "../../../src/oracle/expected.ts";

/**
 * `reproduced`; another verdict with what its runs did; `rejected`: the answer is no candidate; `needs-human`: the issue has
 * nothing that could be tested.
 */
export type Fate =
  | "reproduced"
  | "rejected"
  | "needs-human"
  | "environment_error"
  | "unusable"
  | `${Exclude<CandidateVerdict, "reproduced" | "already_fixed">} ${RunJudgement["outcome"]}`
  /** Chance decides which of them. */
  | "flaky or not_reproduced";

export interface Trap {
  /** What the worker did, as a claim. */
  readonly claim: string;
  /** Markdown, as in a file. */
  readonly issue: string;
  readonly script: string;
  readonly setup?: readonly string[];
  readonly oracle?: string;
  readonly signature?: string;
  readonly extension?: string;
  readonly fate: Fate;
}

export interface Planted {
  /** Of the project, in its only commit. */
  readonly files: Readonly<Record<string, string>>;
  /** How a reproducer is run, and its extension, where a trap says nothing else. */
  readonly oracle: string;
  readonly extension: string;
  /** Without these there is nothing to be tried. */
  readonly programs: readonly string[];
  readonly oracleTimeoutMs?: number;
  readonly traps: readonly Trap[];
  readonly honest: readonly Omit<Trap, "fate">[];
}
