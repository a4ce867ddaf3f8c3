/** What a manager run has found, once it has ended: its artifacts and its report are made of it. */
import type { CandidateVerdict, RunStatus } from "../events/manager_events.ts";
import type { ObservedFailure } from "../oracle/failure.ts";
import type { Candidate, EnvironmentRecord, IssueSpec, RankedHypothesis, Validation } from "./ports.ts";

export interface RunResult {
  readonly status: Exclude<RunStatus, "running">;
  /** One or two sentences for people. */
  readonly rationale: string;
  /** About the chosen candidate, or about all of them; null: none was judged. */
  readonly verdict: CandidateVerdict | null;
  /** Null: the issue could not be read. */
  readonly spec: IssueSpec | null;
  /** What candidates were tried on. */
  readonly commit: string;
  readonly chosen: ChosenCandidate | null;
  readonly tried: readonly TriedCandidate[];
  /** On other commits than the run's. */
  readonly elsewhere: readonly ElsewhereTrial[];
  /** Where the bug is gone; null: not looked for, or not found. */
  readonly firstFixed: CommitInfo | null;
  readonly hypotheses: readonly RankedHypothesis[];
  /** Where the bug came from; null: not looked for, or not found. */
  readonly culprit: CommitInfo | null;
  /** What a person would have to add. */
  readonly missing: readonly string[];
}

export interface TriedCandidate {
  readonly worker: string;
  /** The worker's own name, unless another has it; the worker's when it gave no candidate. */
  readonly id: string;
  /** Null: there is no candidate that could be tried. */
  readonly candidate: Candidate | null;
  /** Why there is none. */
  readonly problem: string | null;
  readonly validation: Validation | null;
  readonly score: number | null;
}

export interface ChosenCandidate {
  readonly id: string;
  readonly candidate: Candidate;
  /** As it is kept: made smaller, or as its worker wrote it. */
  readonly script: string;
  /** Null: it is the worker's own. */
  readonly minimalBy: "character" | "token" | "line" | null;
  readonly startCharacters: number;
  readonly validation: Validation;
  /** The runs of `script` at the end; those of `validation` when it is the worker's own. */
  readonly proof: Validation;
  /** Null: it could not be recorded. */
  readonly environment: EnvironmentRecord | null;
  /** One more run, in full; null: there was none. */
  readonly observed: Observation | null;
}

export interface Observation {
  readonly failure: ObservedFailure | null;
  /** Ends of what it wrote. */
  readonly stdout: string;
  readonly stderr: string;
}

/** A candidate on another commit than the run's. */
export interface ElsewhereTrial {
  readonly stage: "default_branch" | "issue_version";
  /** The branch, the tag or the commit, as it is called. */
  readonly name: string;
  readonly commit: string;
  readonly candidate: string;
  /** `unknown`: the surroundings or the script would not work there. */
  readonly shows: "bug" | "no_bug" | "unknown";
  readonly reason: string;
}

export interface CommitInfo {
  readonly commit: string;
  readonly subject: string;
  readonly author: string;
  /** ISO 8601. */
  readonly date: string;
}

export interface PreflightCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}
