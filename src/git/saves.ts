/** Keeps the state of worktrees as commits under `refs/gocore/`. */
import { Failure } from "../failure.ts";
import type { Saved, Worktree } from "./repository.ts";
import { messageArgument, type Place, type SealedGit } from "./sealed_git.ts";
import { graftRepositories, missingFrom, stageFiles, withOwnIndex, writeTree } from "./staging.ts";

const PREFIX = "refs/gocore/";
const FILES_TRAILER = "Gocore-Files";

export async function saveWorktree(
  git: SealedGit,
  { worktree, place, ref, withNested }: {
    readonly worktree: Worktree;
    readonly place: Place;
    readonly ref: string;
    /** Also the repositories within the worktree. */
    readonly withNested: boolean;
  },
): Promise<Saved | undefined> {
  const action = `Cannot save the worktree "${worktree.path}"`;
  if (!ref.startsWith(PREFIX) || (await git.run(place, ["check-ref-format", ref])).exitCode !== 0) {
    throw new Failure("environment", `${action}: needs a ref below "${PREFIX}", found "${ref}"`);
  }
  return await withOwnIndex(git, place, async (own) => {
    const nested = await stageFiles(git, own);
    const grafted = withNested ? await graftRepositories(git, own, nested) : nested;
    const tree = await writeTree(git, own);
    const parents = await parentsOf(git, place, worktree);
    const isInBase = tree === await git.line(action, place, ["rev-parse", `${worktree.base}^{tree}`]) &&
      (await Promise.all(parents.map((parent) => git.isAncestor(place, parent, worktree.base)))).every(Boolean);
    if (isInBase && (await missingFrom(git, own, grafted)).length === 0) return undefined;

    const args = ["diff-tree", "-r", "--name-only", "-z", "--no-renames", worktree.base, tree];
    const files = (await git.names(action, own, args)).length;
    const commit = await keep(git, place, { action, tree, parents, ref, files, branch: worktree.branch });
    if (await git.commitOf(place, ref) !== commit) {
      throw new Failure("environment", `${action}: "${ref}" is not what was written, somebody else has changed it`);
    }
    return { ref, commit, files, missing: await missingFrom(git, own, grafted) };
  });
}

export async function listSaved(git: SealedGit, place: Place): Promise<readonly Saved[]> {
  const format = `%(refname)%00%(objectname)%00%(contents:trailers:key=${FILES_TRAILER},valueonly,separator=%2C)`;
  const lines =
    (await git.call("Cannot list what was saved", place, ["for-each-ref", `--format=${format}`, PREFIX])).output;
  return lines.split("\n").slice(0, -1).map((line) => {
    const [ref = "", commit = "", files = ""] = line.split("\0");
    return { ref, commit, files: Number(files) || 0, missing: [] };
  });
}

async function keep(
  git: SealedGit,
  place: Place,
  state: {
    readonly action: string;
    readonly tree: string;
    readonly parents: readonly string[];
    readonly ref: string;
    readonly files: number;
    readonly branch: string;
  },
): Promise<string> {
  const { action, tree, ref } = state;
  const former = await git.commitOf(place, ref);
  if (former !== undefined && await git.line(action, place, ["rev-parse", `${former}^{tree}`]) === tree) {
    const held = await Promise.all(state.parents.map((parent) => git.isAncestor(place, parent, former)));
    if (held.every(Boolean)) return former;
  }
  const parents = [...state.parents, ...(former === undefined ? [] : [former])];
  const message = `State of ${state.branch}\n\n${FILES_TRAILER}: ${state.files}`;
  const commit = await commitTree(git, place, { action, tree, parents, message });
  const args = ["update-ref", "-m", "gocore: save", ref, commit, former ?? "0".repeat(commit.length)];
  await git.call(action, place, args);
  return commit;
}

/** Makes the commit, and moves no branch. */
export function commitTree(
  git: SealedGit,
  place: Place,
  commit: {
    readonly action: string;
    readonly tree: string;
    readonly parents: readonly string[];
    readonly message: string;
  },
): Promise<string> {
  const parents = commit.parents.flatMap((parent) => ["-p", parent]);
  const args = ["commit-tree", commit.tree, ...parents, "-m", messageArgument(commit.message)];
  return git.line(commit.action, place, args);
}

/**
 * Every commit that a worktree's state comes from, `HEAD` first: also the branch, when an agent has left it, and what it is
 * merging. None is an ancestor of the first one.
 */
export async function parentsOf(git: SealedGit, place: Place, { branch }: Worktree): Promise<readonly string[]> {
  const names = ["HEAD", `refs/heads/${branch}`, "MERGE_HEAD"];
  const commits = await Promise.all(names.map((name) => git.commitOf(place, name)));
  const [head, ...others] = [...new Set(commits.filter((commit) => commit !== undefined))];
  if (head === undefined) return [];
  const isHeld = await Promise.all(others.map((other) => git.isAncestor(place, other, head)));
  return [head, ...others.filter((_, i) => !isHeld[i])];
}
