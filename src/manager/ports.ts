/** What a manager run needs of the world, and the things that pass between its parts; `commands/manager` gives it. */
import type { EventFact } from "../events/event.ts";
import type { CandidateVerdict, WorkerRole } from "../events/manager_events.ts";
import type { IssueDocument } from "../github/issue_document.ts";
import type { CostSource } from "../models/usage.ts";
import type { ExpectedFailure, FailureSignature, RunJudgement, RunPlace } from "../oracle/expected.ts";
import type { ProgramEnd } from "../oracle/failure.ts";
import type { ManagerSettings } from "./settings.ts";
import type { Literal, Stated } from "./stated_literals.ts";

/** `issue.json`: the seed's fields, and ours behind them. */
export interface IssueSpec {
  readonly issue_url: string | null;
  readonly repo_slug: string | null;
  readonly issue_number: number | null;
  readonly title: string;
  readonly body: string;
  readonly labels: readonly string[];
  readonly expected_failure_signals: readonly FailureSignal[];
  /** Sentences of the issue with "must", "cannot", "only on …". */
  readonly constraints: readonly string[];
  /** Files of the repository that the issue names, relative to its top. */
  readonly target_paths: readonly string[];
  readonly status: "ok" | "needs-human";
  readonly needs_human_reason: string | null;
  /** What a person would have to add. */
  readonly missing: readonly string[];
  readonly code_blocks: readonly { readonly language: string | null; readonly text: string }[];
  readonly versions: readonly { readonly name: string; readonly version: string }[];
  /** Commits and tags that the text names and the repository has. */
  readonly refs: readonly string[];
  readonly comments: readonly {
    readonly author: string | null;
    readonly created_at: string | null;
    readonly body: string;
  }[];
  readonly updated_at: string | null;
  readonly fingerprint: string;
  readonly notes: readonly string[];
}

/** The seed's four fields, and what the oracle compares. */
export interface FailureSignal {
  readonly exception_type: string | null;
  readonly message_substring: string | null;
  readonly exit_code: number | null;
  readonly raw_pattern: string | null;
  readonly strength: "traceback" | "code" | "prose";
  readonly expected: ExpectedFailure;
}

/** What a REPRO_BUILDER answers (the seed's schema), in `repro/candidates/{worker}.json`. */
export interface Candidate {
  readonly candidate_id: string;
  readonly worker_id: string;
  readonly script: string;
  readonly setup_commands: readonly string[];
  /** A shell command, run at the top of a clean checkout, in the sandbox only; `{repro_file}` is the script's file there. */
  readonly oracle_command: string;
  readonly claimed_failure_signature: string;
  readonly file_extension: string;
}

/** The seed's `total_runs, matches, matched_signature, passed`, and how it came to them. */
export interface Validation {
  readonly total_runs: number;
  readonly matches: number;
  readonly matched_signature: string;
  /** Whether the verdict is `reproduced`. */
  readonly passed: boolean;
  readonly verdict: CandidateVerdict;
  readonly reason: string;
  /** 95 % of the share of matches. */
  readonly interval: readonly [number, number];
  readonly commit: string;
  readonly signature: FailureSignature | null;
  readonly outcomes: readonly {
    readonly outcome: RunJudgement["outcome"];
    readonly reason: string;
    readonly duration_ms: number;
  }[];
}

/** What a TRIAGER answers (the seed's schema). */
export interface Hypothesis {
  readonly hypothesis_id: string;
  readonly worker_id: string;
  readonly mechanism: string;
  readonly evidence: readonly Evidence[];
  /** 0 to 1, the worker's own. */
  readonly confidence: number;
  readonly disconfirming_checks: readonly string[];
}
export interface Evidence {
  readonly file: string;
  readonly line: number;
  readonly snippet: string;
}

/** `triage/hypotheses.json`, one row. */
export interface RankedHypothesis extends Hypothesis {
  readonly score: number;
  /** 0.4 evidence + 0.25 agreement + 0.2 replay + 0.15 confidence (the seed's), and what experiments added or took. */
  readonly score_parts: {
    readonly evidence: number;
    readonly agreement: number;
    readonly replay: number;
    readonly confidence: number;
    readonly experiments: number;
  };
  /** Evidence that is not there in the repository; dropped from `evidence`. */
  readonly rejected_evidence: readonly (Evidence & { readonly problem: string })[];
  readonly experiments: readonly Experiment[];
}
export interface Experiment {
  readonly check: "evidence" | "executed" | "bisect" | "disconfirming";
  readonly speaks: "for" | "against" | null;
  readonly detail: string;
}

/** A run in which something is changed on purpose, to see whether it still fails. */
export interface ControlOrder {
  /** The project's functions of these names tell what they give, and of one call (from 1) another value comes back. */
  readonly results?: Stated & { readonly replace: { readonly call: number | "all"; readonly value: Literal } | null };
  /** Beside the usual variables, and instead of those that the command or a script of a shell sets; of a list its start. */
  readonly env?: Readonly<Record<string, { readonly value: string; readonly isList: boolean }>>;
}

/** What a witness has seen of the functions that were asked for; only for Python and Node. */
export interface SeenResults {
  /** Those that the project has, as far as it was loaded or its sources tell. */
  readonly functions: readonly string[];
  readonly calls: readonly SeenCall[];
}
/** From outside of these functions; values by their index. */
export interface SeenCall {
  readonly name: string;
  /** What it gave is as good as these. */
  readonly equals: readonly number[];
  /** These are of the kind that it gives, and not the same. */
  readonly fits: readonly number[];
  /** Whether the issue has it with these arguments; null: it has none that can be read. */
  readonly isStated: boolean | null;
}

/** One run of a script in a clean place. */
export interface ScriptRun {
  readonly end: ProgramEnd;
  readonly place: RunPlace;
  readonly durationMs: number;
  /** Lines of the project that were executed, by path relative to its top; null: not traced, or not possible here. */
  readonly executed: ReadonlyMap<string, ReadonlySet<number>> | null;
  /** Absent: not asked for, or nobody could see it. */
  readonly results?: SeenResults;
}

/** A checkout of one commit in which one candidate's setup has been done. */
export interface PreparedPlace {
  readonly commit: string;
  /** For the proof card: what anybody needs to do the same. */
  readonly environment: EnvironmentRecord;
  /**
   * Runs the oracle command on a script. `fresh`: in a copy of the prepared checkout that nothing has run in; otherwise in
   * one of few that are used again, put back to what they were. Never throws for what the script does.
   */
  run(
    script: string,
    options: {
      readonly fresh: boolean;
      readonly trace?: boolean;
      readonly control?: ControlOrder;
      readonly signal: AbortSignal;
    },
  ): Promise<ScriptRun>;
  /** Runs a worker's check (a shell command) there, in the same sandbox. */
  check(command: string, options: { readonly signal: AbortSignal }): Promise<ProgramEnd>;
  close(): Promise<void>;
}

export interface EnvironmentRecord {
  readonly platform: string;
  /** `python 3.12.4`, `node 22.1.0`, `gcc 14.2.0`, … */
  readonly tools: readonly string[];
  /** `name==version`, of a Python environment. */
  readonly packages: readonly string[];
  readonly sandbox: string;
  readonly network: boolean;
  readonly notes: readonly string[];
}

export type Preparation =
  | { readonly kind: "ready"; readonly place: PreparedPlace }
  /** The setup failed, or something is missing: nobody knows whether the candidate is right. */
  | { readonly kind: "environment"; readonly reason: string; readonly output: string }
  /** Its commands may not run, or have changed what they must not. */
  | { readonly kind: "unusable"; readonly reason: string; readonly output: string };

export interface CleanPlaces {
  /** What this machine offers, before any candidate. */
  survey(
    commit: string,
  ): Promise<{ readonly tools: readonly string[]; readonly sandbox: string; readonly notes: readonly string[] }>;
  prepare(
    candidate: Pick<Candidate, "candidate_id" | "setup_commands" | "oracle_command" | "file_extension">,
    options: { readonly commit: string; readonly signal: AbortSignal },
  ): Promise<Preparation>;
  /** Removes everything; safe to call again. */
  close(): Promise<void>;
}

export interface WorkerOrder {
  /** `w1`, unique in the run. */
  readonly worker: string;
  readonly role: WorkerRole;
  readonly prompt: string;
  /** Where its answer is kept: `repro/candidates/w1.json`, `triage/w3.json`; relative to the run's folder. */
  readonly outputPath: string;
  /** Texts put into its worktree, below `.gocore-task/`. */
  readonly files: Readonly<Record<string, string>>;
  readonly commit: string;
  /** Why an answer cannot be used, to be asked for again with that; undefined: it can be. Without it any object will do. */
  problemWith?(objects: readonly Record<string, unknown>[]): string | undefined;
}

export interface WorkerAnswer {
  readonly worker: string;
  readonly role: WorkerRole;
  readonly status: "finished" | "failed" | "timeout" | "stopped";
  readonly reason: string;
  /** JSON objects that it gave, the best guess last: of `.gocore-task/answer.json`, else of its final message. */
  readonly objects: readonly Record<string, unknown>[];
}

export interface WorkerPool {
  /**
   * Runs them at the same time, under supervision (nudge, one restart, timeout), and resolves when all have ended; never
   * rejects but for the abort of the run. A worker of a former supervisor goes on, and one that had ended is not run again.
   */
  run(orders: readonly WorkerOrder[]): Promise<readonly WorkerAnswer[]>;
}

/** The repository, as far as a run reads it. */
export interface RunRepository {
  readonly root: string;
  resolve(ref: string): Promise<string | undefined>;
  /** Commit of the default branch (`origin/HEAD`, `main`, `master`); undefined: there is none. */
  defaultBranch(): Promise<{ readonly name: string; readonly commit: string } | undefined>;
  /** Of a text file at a commit; undefined: there is none, it is binary, or larger than 2 MB. */
  readFileAt(commit: string, path: string): Promise<string | undefined>;
  /** Paths at a commit, at most `limit`. */
  listFiles(commit: string, options: { readonly limit: number }): Promise<readonly string[]>;
  commitInfo(
    commit: string,
  ): Promise<
    { readonly commit: string; readonly subject: string; readonly author: string; readonly date: string } | undefined
  >;
  /** As `git rev-list --bisect`: the commit that halves what is between; undefined: `bad` is the first bad one. */
  bisectStep(
    options: { readonly good: readonly string[]; readonly bad: string; readonly skip: readonly string[] },
  ): Promise<
    { readonly commit: string; readonly left: number } | undefined
  >;
  filesChangedBy(commit: string): Promise<readonly string[]>;
  isAncestor(ancestor: string, commit: string): Promise<boolean>;
}

export interface RunPorts {
  readonly settings: ManagerSettings;
  publish(fact: EventFact): Promise<void>;
  readIssue(signal: AbortSignal): Promise<IssueDocument>;
  readonly repository: RunRepository;
  readonly places: CleanPlaces;
  readonly workers: WorkerPool;
  /** A model's shorter versions of a script, the boldest first; empty: no model, or it gave none. */
  proposeCuts(
    request: { readonly script: string; readonly language: string; readonly title: string; readonly signature: string },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  /** Posts the report under the issue, or edits the one that was posted before. */
  postComment(markdown: string, signal: AbortSignal): Promise<{ readonly url: string; readonly edited: boolean }>;
  /** What the ledger has of this run, by worker. */
  spending(): readonly {
    readonly worker: string;
    readonly known_usd: number;
    /** The least certain of its calls; null: none has ended. */
    readonly cost_source: CostSource | null;
    readonly unknown_calls: number;
    readonly calls: number;
    readonly input_tokens: number;
    readonly cached_input_tokens: number;
    readonly output_tokens: number;
  }[];
  /** For what people pass on: the report, and what becomes of it. A reproducer stays as it was proved. */
  withoutSecrets<T>(value: T): T;
  /** Whole or not at all, by path relative to the run's folder; `executable` for scripts. */
  writeFile(path: string, content: string, options?: { readonly executable?: boolean }): Promise<void>;
  readFile(path: string): Promise<string | undefined>;
  /**
   * Remembers each answer of an oracle, so that a killed minimization repeats none.
   *
   * @param identity a digest of all that the answers depend on; a journal of another one is put aside
   */
  openJournal(path: string, identity: string): Promise<OracleJournal>;
  readonly signal: AbortSignal;
  now(): number;
}

/** Answers by content, on disk before they are used. */
export interface OracleJournal {
  get(key: string): boolean | undefined;
  put(key: string, isInteresting: boolean): void;
  close(): Promise<void>;
}
