/** Merges branches in a worktree, and tells conflicts before they are there. */
import { join } from "node:path";
import { Failure } from "../failure.ts";
import type { MergeOutcome, Worktree } from "./repository.ts";
import { withRepositoryLock } from "./repository_lock.ts";
import { gitFailure, messageArgument, namesIn, type Place, type SealedGit, withoutLineEnd } from "./sealed_git.ts";

/** What is being merged, so that a resolver who commits or gives up is understood. Belongs to the worktree. */
const THEIRS_REF = "refs/worktree/gocore/theirs";
const OURS_REF = "refs/worktree/gocore/ours";
const MAX_DETAIL = 8000;
const MAX_MARKED_FILE_BYTES = 32 * 1024 * 1024;

export interface Conflict {
  readonly files: readonly string[];
  /** What git says about them. */
  readonly detail: string;
}

/** Undefined when the two can be merged. Changes nothing that anybody sees. */
export async function findConflict(
  git: SealedGit,
  place: Place,
  { ours, theirs }: { readonly ours: string; readonly theirs: string },
): Promise<Conflict | undefined> {
  const action = `Cannot compare "${ours}" with "${theirs}"`;
  if (!git.isAtLeast(2, 38)) {
    return await inTemporaryWorktree(git, place, ours, async (temporary) => {
      const conflict = await startMerge(git, temporary, theirs);
      if (conflict !== undefined) await git.run(temporary, ["merge", "--abort"]);
      return conflict;
    });
  }
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs];
  const end = await git.call(action, place, args, { accept: [0, 1] });
  if (end.exitCode === 0) return undefined;
  // The tree, the names, an empty one, then for each message: a number, that many names, its type, its text.
  const [, ...fields] = namesIn(end.output);
  const files = fields.slice(0, fields.indexOf(""));
  const texts: string[] = [];
  for (let at = files.length + 1; at < fields.length;) {
    const names = Number(fields[at]);
    if (!Number.isSafeInteger(names)) break;
    const [type = "", text = ""] = fields.slice(at + 1 + names, at + 3 + names);
    if (type.startsWith("CONFLICT")) texts.push(text.trimEnd());
    at += names + 3;
  }
  return { files: [...new Set(files)], detail: bounded(texts.join("\n")) };
}

export async function merge(
  git: SealedGit,
  place: Place,
  { worktree, theirs, message }: { readonly worktree: Worktree; readonly theirs: string; readonly message: string },
): Promise<MergeOutcome> {
  const action = `Cannot merge "${theirs}" into "${worktree.branch}"`;
  await requireBranch(git, place, { worktree, action });
  const commit = await git.requireCommit(action, place, theirs);
  if (await git.isAncestor(place, commit, "HEAD")) return { kind: "nothing" };
  if (git.isAtLeast(2, 38)) {
    const conflict = await findConflict(git, place, { ours: "HEAD", theirs: commit });
    if (conflict !== undefined) return { kind: "conflict", ...conflict };
  }
  const conflict = await startMerge(git, place, commit);
  if (conflict !== undefined) {
    await git.call(action, place, ["merge", "--abort"]);
    return { kind: "conflict", ...conflict };
  }
  return await commitMerge(git, place, { action, message });
}

export async function beginMerge(
  git: SealedGit,
  place: Place,
  { worktree, theirs }: { readonly worktree: Worktree; readonly theirs: string },
): Promise<MergeOutcome> {
  const action = `Cannot merge "${theirs}" into "${worktree.branch}"`;
  await requireBranch(git, place, { worktree, action });
  const commit = await git.requireCommit(action, place, theirs);
  if (await git.isAncestor(place, commit, "HEAD")) return { kind: "nothing" };
  await git.call(action, place, ["update-ref", OURS_REF, "HEAD"]);
  await git.call(action, place, ["update-ref", THEIRS_REF, commit]);
  const conflict = await startMerge(git, place, commit);
  if (conflict !== undefined) return { kind: "conflict", ...conflict };
  const outcome = await commitMerge(git, place, { action, message: `Merge ${theirs}` });
  await forgetMerge(git, place);
  return outcome;
}

/** `commitAll` makes a commit of the files as they are, with `MERGE_HEAD` as a parent. */
export async function finishMerge(
  git: SealedGit,
  place: Place,
  { worktree, commitAll }: {
    readonly worktree: Worktree;
    readonly commitAll: () => Promise<unknown>;
  },
): Promise<MergeOutcome> {
  const action = `Cannot finish the merge into "${worktree.branch}"`;
  const [ours, theirs] = await Promise.all([OURS_REF, THEIRS_REF].map((name) => git.commitOf(place, name)));
  if (ours === undefined || theirs === undefined) return { kind: "nothing" };
  const isMerging = await git.commitOf(place, "MERGE_HEAD") === theirs;
  const isMerged = await git.isAncestor(place, theirs, "HEAD");
  if (!isMerging && !isMerged) {
    const conflict = await findConflict(git, place, { ours: "HEAD", theirs });
    const detail = "The merge was given up: what it was to bring is not there";
    return { kind: "conflict", files: conflict?.files ?? [], detail };
  }
  const files = await stillInConflict(git, place, { ours, theirs });
  if (files.length > 0) {
    return { kind: "conflict", files, detail: "These files have conflict markers, or are not staged as resolved" };
  }
  await commitAll();
  await forgetMerge(git, place);
  return await mergedSince(git, place, { action, ours });
}

export async function abortMerge(git: SealedGit, place: Place): Promise<void> {
  await forgetMerge(git, place);
  if (await git.commitOf(place, "MERGE_HEAD") === undefined) return;
  await git.call(`Cannot give up the merge in "${place.workTree}"`, place, ["merge", "--abort"]);
}

/** Undefined when everything is merged in files and index, to be committed. */
async function startMerge(git: SealedGit, place: Place, theirs: string): Promise<Conflict | undefined> {
  const args = ["merge", "--no-ff", "--no-commit", "--no-edit", theirs];
  const end = await git.run(place, args);
  if (end.exitCode === 0) return undefined;
  const action = `Cannot merge into "${place.workTree}"`;
  if (end.exitCode !== 1 || await git.commitOf(place, "MERGE_HEAD") === undefined) throw gitFailure(action, args, end);
  const files = await git.names(action, place, ["diff", "--name-only", "--diff-filter=U", "-z"]);
  const lines = end.output.split("\n").filter((line) => line.startsWith("CONFLICT"));
  return { files, detail: bounded(lines.join("\n")) };
}

async function commitMerge(
  git: SealedGit,
  place: Place,
  { action, message }: { readonly action: string; readonly message: string },
): Promise<MergeOutcome> {
  const ours = await git.requireCommit(action, place, "HEAD");
  await git.call(action, place, ["commit", "--quiet", "--no-verify", "-m", messageArgument(message)]);
  return await mergedSince(git, place, { action, ours });
}

async function mergedSince(
  git: SealedGit,
  place: Place,
  { action, ours }: { readonly action: string; readonly ours: string },
): Promise<MergeOutcome> {
  const commit = await git.requireCommit(action, place, "HEAD");
  const args = ["diff-tree", "-r", "--name-only", "-z", "--no-renames", ours, commit];
  return { kind: "merged", commit, files: await git.names(action, place, args) };
}

async function forgetMerge(git: SealedGit, place: Place): Promise<void> {
  for (const name of [OURS_REF, THEIRS_REF]) await git.run(place, ["update-ref", "-d", name]);
}

async function requireBranch(
  git: SealedGit,
  place: Place,
  { worktree: { branch }, action }: { readonly worktree: Worktree; readonly action: string },
): Promise<void> {
  const { output } = await git.run(place, ["symbolic-ref", "--quiet", "HEAD"]);
  const found = withoutLineEnd(output);
  if (found === `refs/heads/${branch}`) return;
  throw new Failure("environment", `${action}: needs that branch in "${place.workTree}", found "${found || "none"}"`, {
    hints: [`Bring it back with \`git -C ${place.workTree} switch ${branch}\``],
  });
}

async function stillInConflict(
  git: SealedGit,
  place: Place,
  sides: { readonly ours: string; readonly theirs: string },
): Promise<readonly string[]> {
  const conflict = await findConflict(git, place, sides);
  const entries = await git.names("Cannot list conflicts", place, ["ls-files", "--unmerged", "-z"]);
  const stages = Map.groupBy(
    entries.map((entry) => ({ stage: entry[entry.indexOf("\t") - 1], name: entry.slice(entry.indexOf("\t") + 1) })),
    ({ name }) => name,
  );
  const found: string[] = [];
  for (const name of new Set([...conflict?.files ?? [], ...stages.keys()])) {
    const unmerged = stages.get(name);
    const kind = await kindOfContent(join(place.workTree, name));
    // A name that is not UTF-8 cannot be looked at.
    const isUnknown = unmerged !== undefined && name.includes("\ufffd");
    const hasBothSides = unmerged !== undefined &&
      ["2", "3"].every((side) => unmerged.some(({ stage }) => stage === side));
    const isUndecided = unmerged !== undefined && kind !== "missing" && !(hasBothSides && kind === "text");
    if (kind === "marked" || isUnknown || isUndecided) found.push(name);
  }
  return found;
}

async function kindOfContent(path: string): Promise<"missing" | "marked" | "text" | "other"> {
  const found = await Deno.lstat(path).catch(() => undefined);
  if (found === undefined) return "missing";
  if (!found.isFile || found.size > MAX_MARKED_FILE_BYTES) return "other";
  const bytes = await Deno.readFile(path);
  if (bytes.subarray(0, 8000).includes(0)) return "other";
  const text = new TextDecoder().decode(bytes);
  return /^<{7}(?: |\r?$)/m.test(text) && /^>{7}(?: |\r?$)/m.test(text) ? "marked" : "text";
}

/** A merge without `git merge-tree`, where nobody is. */
async function inTemporaryWorktree<T>(
  git: SealedGit,
  place: Place,
  commit: string,
  work: (temporary: Place) => Promise<T>,
): Promise<T> {
  const action = "Cannot try a merge";
  const folder = await Deno.makeTempDir({ prefix: "gocore-merge-" });
  const path = join(await Deno.realPath(folder), "files");
  const change = (args: readonly string[]) =>
    withRepositoryLock(place.commonDir, () => git.call(action, place, ["worktree", ...args]));
  try {
    await change(["add", "--quiet", "--detach", "--", path, commit]);
    try {
      const [, gitDir] = /^gitdir: (.*)\n$/s.exec(await Deno.readTextFile(join(path, ".git"))) ?? [];
      if (gitDir === undefined) throw new Failure("environment", `${action}: git has made no worktree`);
      return await work({ workTree: path, gitDir, commonDir: place.commonDir });
    } finally {
      await change(["remove", "--force", "--", path]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function bounded(text: string): string {
  return text.length <= MAX_DETAIL ? text : `${text.slice(0, MAX_DETAIL)}…`;
}
