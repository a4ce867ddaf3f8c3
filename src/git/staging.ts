/** Turns the files of a checkout into a git tree, through an index of its own. */
import { dirname, isAbsolute, join, resolve } from "node:path";
import { readSmallFile } from "./read_small_file.ts";
import type { Place, SealedGit } from "./sealed_git.ts";

const JUNK = [".gocore", ".gocore-task", ".miniswe"];
/** Pathspecs that leave out the folders that agents keep for themselves: they are not part of the work. */
export const EXCEPT_JUNK: readonly string[] = JUNK.map((name) => `:(top,exclude)${name}`);
/** Of the repositories within a checkout; those beyond it are not kept, and so count as missing. */
const MAX_NESTED = 100;

/**
 * Gives `work` the checkout with an index in a temporary folder, so that git's own one, and a lock that somebody has left
 * on it, do not matter.
 */
export async function withOwnIndex<T>(git: SealedGit, place: Place, work: (own: Place) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "gocore-index-" });
  try {
    const own = { ...place, indexFile: join(folder, "index") };
    await copyIndex(git, place, own);
    return await work(own);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * A copy knows which files are unchanged, so that they are not read again; and which ones a sparse checkout or a filter
 * (LFS) keeps in another form.
 */
async function copyIndex(git: SealedGit, place: Place, own: Place & { readonly indexFile: string }): Promise<void> {
  const original = join(place.gitDir, "index");
  try {
    const { isFile, mtime } = await Deno.lstat(original);
    if (!isFile) throw new Deno.errors.NotFound();
    await Deno.copyFile(original, own.indexFile);
    // git distrusts entries that are as young as the index, and the copy must not look younger than it is.
    const seconds = Math.floor((mtime?.getTime() ?? 0) / 1000);
    await Deno.utime(own.indexFile, seconds, seconds);
    if ((await git.run(own, ["ls-files", "--", ":(top,literal).git"])).exitCode === 0) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  // None, or a broken one.
  await Deno.remove(own.indexFile).catch(() => {});
  if (await git.commitOf(place, "HEAD") !== undefined) await git.call("Cannot read HEAD", own, ["read-tree", "HEAD"]);
}

/**
 * Brings the index up to date with the files, untracked ones included; those that cannot be read stay as they were.
 * Repositories within the checkout are left out, and so are the folders that agents keep for themselves.
 *
 * Returns the paths of those repositories that were not known as submodules, each ending in `/`.
 */
export async function stageFiles(git: SealedGit, place: Place): Promise<readonly string[]> {
  const action = `Cannot read the files of "${place.workTree}"`;
  const nested = (await untracked(git, place)).filter((name) => name.endsWith("/"));
  const excluded = nested.map((name) => `:(top,exclude,literal)${name}`);
  const args = ["add", "--all", "--sparse", "--ignore-errors", "--", ".", ...excluded, ...EXCEPT_JUNK];
  await git.call(action, place, args, { accept: [0, 1] });
  return nested;
}

export async function writeTree(git: SealedGit, place: Place): Promise<string> {
  return await git.line(`Cannot keep the state of "${place.workTree}"`, place, ["write-tree"]);
}

/**
 * Puts the repositories that lie within the checkout into the index, as what they are made of: their files under their own
 * path, their history under that path and `.git`. Returns the prefixes under which all this is, each ending in `/`.
 *
 * No git runs inside of them: their settings name programs.
 */
export async function graftRepositories(
  git: SealedGit,
  place: Place,
  nested: readonly string[],
): Promise<readonly string[]> {
  const submodules = await populatedSubmodules(git, place);
  const prefixes: string[] = [];
  for (const prefix of [...nested, ...submodules].slice(0, MAX_NESTED)) {
    const workTree = join(place.workTree, prefix);
    const history = await historyOf(workTree, place);
    if (submodules.includes(prefix)) {
      await git.call("Cannot keep a submodule", place, ["update-index", "--force-remove", "--", prefix.slice(0, -1)]);
    }
    await graft(git, place, { workTree, prefix });
    prefixes.push(prefix);
    if (history === undefined) continue;
    const historyPrefix = `${prefix.slice(0, -1)}.git/`;
    await graft(git, place, { workTree: history, prefix: historyPrefix });
    prefixes.push(historyPrefix);
  }
  return prefixes;
}

/** What the index does not have as it is in the files now; paths that begin with one of `except` aside. */
export async function missingFrom(git: SealedGit, place: Place, except: readonly string[]): Promise<readonly string[]> {
  const action = `Cannot compare the files of "${place.workTree}"`;
  const changed = await git.names(action, place, ["diff-files", "--name-only", "-z", "--ignore-submodules=dirty"]);
  const names = new Set([...await untracked(git, place), ...changed]);
  const ignored = [...except, ...JUNK.map((name) => `${name}/`)];
  return [...names].filter((name) => !ignored.some((prefix) => name.startsWith(prefix)));
}

/** A repository without a commit of its own counts as one untracked name that ends in `/`. */
function untracked(git: SealedGit, place: Place): Promise<readonly string[]> {
  const args = ["ls-files", "--others", "--exclude-standard", "-z"];
  return git.names(`Cannot list the files of "${place.workTree}"`, place, args);
}

async function graft(
  git: SealedGit,
  place: Place,
  { workTree, prefix }: { readonly workTree: string; readonly prefix: string },
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gocore-index-" });
  try {
    const own = { ...place, workTree, indexFile: join(folder, "index") };
    const inner = await stageFiles(git, own);
    await graftRepositories(git, own, inner);
    const tree = await writeTree(git, own);
    const isEmpty = (await git.call("Cannot read a tree", own, ["ls-tree", tree])).output === "";
    if (!isEmpty) await git.call(`Cannot keep "${prefix}"`, place, ["read-tree", `--prefix=${prefix}`, tree]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function populatedSubmodules(git: SealedGit, place: Place): Promise<readonly string[]> {
  const entries = await git.names("Cannot list the submodules", place, ["ls-files", "--stage", "-z"]);
  const paths = entries.filter((entry) => entry.startsWith("160000 ")).map((entry) =>
    entry.slice(entry.indexOf("\t") + 1)
  );
  // Also one that was never checked out: git looks at no file below such a path.
  const contents = await Promise.all(
    paths.map((path) => Array.fromAsync(Deno.readDir(join(place.workTree, path))).catch(() => [])),
  );
  return paths.filter((_, i) => contents[i]!.length > 0).map((path) => `${path}/`);
}

/** The folder with the history of a repository, if it goes when the worktree goes. */
async function historyOf(workTree: string, { gitDir }: Place): Promise<string | undefined> {
  const dotGit = join(workTree, ".git");
  if (await Deno.lstat(dotGit).then(({ isDirectory }) => isDirectory, () => false)) return dotGit;
  const [, target] = /^gitdir: (.*)$/s.exec(await readSmallFile(dotGit) ?? "") ?? [];
  if (target === undefined) return undefined;
  const path = isAbsolute(target) ? target : resolve(dirname(dotGit), target);
  return path.startsWith(`${gitDir}/`) ? path : undefined;
}
