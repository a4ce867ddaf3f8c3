/** One evaluation of `numpy-convolve`: what it was told, what it works with, what it has come to. */
import type { History } from "../../git/history.ts";
import type { Repository } from "../../git/repository.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { Io } from "../../terminal/io.ts";
import type { OracleVerdict } from "./convolve_oracle.ts";

export interface ConvolveFlags {
  readonly mode: "offline" | "live";
  readonly numpyRepoPath: string;
  readonly runsRoot: string;
  readonly pythonVersion: string;
  readonly maxRuntimeSec: number;
  readonly bugCommit: string;
  readonly referenceFixCommit: string;
  readonly issueUrl: string;
  /** Undefined: codex, else our own. */
  readonly agent?: string;
  readonly model?: readonly string[];
  readonly config?: string;
  readonly gatewayConfig?: string;
  readonly budget?: number;
  readonly json?: boolean;
}

/** What an evaluation has come to; parts of it while it goes on. */
export interface Progress {
  before: OracleVerdict | null;
  after: OracleVerdict | null;
  reference: OracleVerdict | null;
  agentInvoked: boolean;
  candidatePatch: string | null;
}

export type Outcome =
  | { readonly status: "passed" | "failed"; readonly reason: string }
  /** Something is missing here: nothing is known. */
  | { readonly status: "skipped"; readonly reason: string };

export interface Evaluation {
  readonly flags: ConvolveFlags;
  readonly io: Io;
  readonly repository: Repository;
  readonly history: History;
  /** Full hashes; undefined: the repository has no such commit. */
  readonly bug: string | undefined;
  readonly fix: string | undefined;
  /** Of the artifacts, absolute. */
  readonly folder: string;
  readonly progress: Progress;
  /** Writes an artifact; returns its path. */
  keep(name: string, content: string | object): Promise<string>;
  say(line: string): Promise<void>;
}

/** What is missing, and how to get it, for a commit that is not in the clone. */
export function missingCommit(ref: string, { repository }: Pick<Evaluation, "repository">): string {
  return `the commit ${ref} in the repository (\`git -C ${shellWord(repository.root)} fetch origin ${
    shellWord(ref)
  }\`)`;
}

export const TARGET_FILE = "numpy/_core/numeric.py";
