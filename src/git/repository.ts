/** A git repository as an orchestration uses it. Hostile names are arguments, never shell text; hooks and the person's settings (signing, pagers, editors) have no say. */

export interface Worktree {
  readonly path: string;
  readonly branch: string;
  /** The commit that it started from. */
  readonly base: string;
}

export interface Changes {
  readonly files: readonly { readonly path: string; readonly added: number | null; readonly deleted: number | null }[];
  /** Unified, at most `maxBytes`, cut at a line end. */
  readonly diff: string;
  readonly isCut: boolean;
}

export type MergeOutcome =
  | { readonly kind: "merged"; readonly commit: string; readonly files: readonly string[] }
  | { readonly kind: "nothing" }
  | { readonly kind: "conflict"; readonly files: readonly string[]; readonly detail: string };

export interface Saved {
  readonly ref: string;
  readonly commit: string;
  /** How many differ from the commit that the worktree started from. */
  readonly files: number;
  /** What could not be kept: unreadable, or changed at that very moment. Empty in what `listSaved` finds. */
  readonly missing: readonly string[];
}

export interface Repository {
  /** The top of the checkout. */
  readonly root: string;
  /** The common `.git`, absolute: shared by all worktrees. */
  readonly commonDir: string;
  /** Who commits here, as git's variables. */
  readonly identity: Readonly<Record<string, string>>;
  head(): Promise<{ readonly commit: string; readonly branch: string | null }>;
  isClean(): Promise<boolean>;
  /** The checkout's state as a commit, untracked files included and ignored ones not, without touching index, files or HEAD; HEAD's commit when it is clean. */
  snapshot(message: string): Promise<string>;
  /** Safe for many at once, in this process and in others (one lock per repository, `--no-track`, a retry). */
  addWorktree(options: { readonly path: string; readonly branch: string; readonly base: string }): Promise<Worktree>;
  /** A checkout of a commit without a branch, to be looked at. */
  addDetached(options: { readonly path: string; readonly commit: string }): Promise<Worktree>;
  /** Removes a checkout that has nothing worth keeping (of `addDetached`). */
  discardWorktree(worktree: Worktree): Promise<void>;
  /** Finds it again after a restart; undefined when it is gone, or `addWorktree` had not finished with it. */
  findWorktree(path: string): Promise<Worktree | undefined>;
  /**
   * Commits everything there to its branch, untracked files included; undefined when nothing has changed since `HEAD`.
   * Not what `.gitignore` names, nor the agents' own `.gocore`, `.gocore-task` and `.miniswe`, nor repositories within the
   * worktree. Ends a merge or rebase that somebody left half-done, and brings `HEAD` back to the branch.
   */
  commitAll(worktree: Worktree, message: string): Promise<string | undefined>;
  headOf(worktree: Worktree): Promise<string>;
  /** What `worktree` (files included that nobody committed) has changed since `since`. */
  changes(worktree: Worktree, options: { readonly since: string; readonly maxBytes: number }): Promise<Changes>;
  changesBetween(since: string, commit: string, options: { readonly maxBytes: number }): Promise<Changes>;
  /** Of a file in a commit, or 0 for a folder; infinite when it is huge. Undefined when there is nothing of this name. */
  lineCount(commit: string, path: string): Promise<number | undefined>;
  /** A number that changes when files do; cheap enough for every few seconds. */
  fingerprint(worktree: Worktree): Promise<string>;
  /**
   * Keeps the state of the worktree, untracked files included, under `refs/gocore/…`; undefined when `base` has it all.
   * What an earlier save has kept there stays reachable. A repository `sub` within the worktree is kept as its files and,
   * in `sub.git`, its history.
   */
  save(worktree: Worktree, ref: string): Promise<Saved | undefined>;
  /**
   * Removes it only after `save`; the branch stays. Throws a `Failure`, and removes nothing, when something could not be
   * saved, or the folder is no worktree of this repository. Undefined as with `save`, or when it was gone already.
   */
  removeWorktree(worktree: Worktree, ref: string): Promise<Saved | undefined>;
  /** By `git merge-tree`: nothing is changed. */
  wouldConflict(ours: string, theirs: string): Promise<readonly string[]>;
  /** Merges `theirs` (a branch or commit) into the branch of `worktree`; a conflict leaves it as it was. */
  merge(worktree: Worktree, theirs: string, message: string): Promise<MergeOutcome>;
  /** The same, but leaves the conflict in the files for somebody to resolve. */
  beginMerge(worktree: Worktree, theirs: string): Promise<MergeOutcome>;
  /**
   * Commits what `beginMerge` has left, or says what is still in conflict: a file with conflict markers, or one that has
   * none because one side deleted it or it is binary, until it is staged. Also right when the resolver has committed, or
   * has given the merge up: that is a conflict in all files again.
   */
  finishMerge(worktree: Worktree, message: string): Promise<MergeOutcome>;
  abortMerge(worktree: Worktree): Promise<void>;
  /** Moves the checkout's branch and files forward to `commit`; false, and nothing is touched, when that is not possible (dirty, diverged). */
  fastForward(commit: string): Promise<boolean>;
  /** All that was ever saved, in the order of the refs. */
  listSaved(): Promise<readonly Saved[]>;
}
