/** Creates, finds and removes worktrees: many at once, again after a kill, and never one that is not ours. */
import { basename, dirname, join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { restoreCommonDir } from "./common_dir.ts";
import { readSmallFile } from "./read_small_file.ts";
import type { Worktree } from "./repository.ts";
import { withRepositoryLock } from "./repository_lock.ts";
import { type Place, type SealedGit, withoutLineEnd } from "./sealed_git.ts";

/** Per-worktree refs that say what a worktree was created for; the second one is set when it is complete. */
const BASE_REF = "refs/worktree/gocore/base";
const BRANCH_REF = "refs/worktree/gocore/branch";
/** Marks a worktree that is only for looking at. */
const DETACHED_REF = "refs/worktree/gocore/detached";

export class WorktreeRegistry {
  constructor(private readonly git: SealedGit, private readonly root: Place) {}

  async add(options: { readonly path: string; readonly branch: string; readonly base: string }): Promise<Worktree> {
    const action = `Cannot create the worktree "${options.path}"`;
    const { git, root } = this;
    const { branch } = options;
    const refName = `refs/heads/${branch}`;
    if ((await git.run(root, ["check-ref-format", "--branch", branch])).exitCode !== 0) {
      throw new Failure("environment", `${action}: needs a name for its branch, found "${branch}"`);
    }
    const base = await git.requireCommit(action, root, options.base);
    await Deno.mkdir(dirname(resolve(options.path)), { recursive: true });
    const path = await canonicalPath(options.path);
    const worktree = { path, branch, base };

    const { place, isNew } = await withRepositoryLock(root.commonDir, async () => {
      await this.#createBranch(action, worktree);
      const former = await this.placeAt(path);
      const isMissing = await kindOf(path) === "missing";
      if (former !== undefined && !isMissing) return { place: former, isNew: false };
      await this.#requireFree(action, worktree);
      // Twice also takes over what a killed `git worktree add` has locked.
      const force = former === undefined ? [] : ["--force", "--force"];
      const args = ["worktree", "add", "--quiet", "--no-checkout", ...force, "--", path, branch];
      await git.call(action, root, args);
      const place = await this.placeAt(path);
      if (place === undefined) throw new Failure("environment", `${action}: git has made none`);
      return { place, isNew: true };
    });

    const isComplete = !isNew && await git.commitOf(place, BRANCH_REF) !== undefined;
    if (isComplete) {
      const found = await this.find(path);
      if (found?.branch === branch) return found;
      throw new Failure("environment", `${action}: there is one already, for the branch "${found?.branch}"`, {
        hints: [`Remove it with \`git worktree remove ${path}\`, or choose another folder`],
      });
    }
    const head = await git.run(place, ["symbolic-ref", "--quiet", "HEAD"]);
    if (withoutLineEnd(head.output) !== refName) {
      throw new Failure("environment", `${action}: there is one already, which is not of gocore`, {
        hints: [`Remove it with \`git worktree remove ${path}\`, or choose another folder`],
      });
    }
    // git writes the index last: with one, all files are there, and some may have been changed since.
    const hasFiles = !isNew && await kindOf(join(place.gitDir, "index")) === "file";
    if (!hasFiles) await git.call(action, place, ["reset", "--quiet", "--hard", "HEAD"]);
    await git.call(action, place, ["update-ref", BASE_REF, base]);
    await git.call(action, place, ["symbolic-ref", BRANCH_REF, refName]);
    return worktree;
  }

  async addDetached(options: { readonly path: string; readonly commit: string }): Promise<Worktree> {
    const action = `Cannot check out "${options.commit}" in "${options.path}"`;
    const { git, root } = this;
    const base = await git.requireCommit(action, root, options.commit);
    await Deno.mkdir(dirname(resolve(options.path)), { recursive: true });
    const worktree = { path: await canonicalPath(options.path), branch: "", base };
    await this.discard(worktree);
    const place = await withRepositoryLock(root.commonDir, async () => {
      await git.call(action, root, [
        "worktree",
        "add",
        "--quiet",
        "--no-checkout",
        "--detach",
        "--",
        worktree.path,
        base,
      ]);
      return await this.place(worktree, action);
    });
    await git.call(action, place, ["update-ref", DETACHED_REF, base]);
    await git.call(action, place, ["reset", "--quiet", "--hard", "HEAD"]);
    return worktree;
  }

  /** Throws a `Failure` when it is not one of `addDetached`. */
  async discard({ path }: Worktree): Promise<void> {
    await removeFolder(remainsOf(path));
    const place = await this.placeAt(path);
    if (place === undefined) return;
    // A kill may have left what git knows of it, and no folder.
    const isGone = await kindOf(path) === "missing";
    const isEmpty = isGone || await kindOf(join(place.gitDir, "index")) === "missing" && await isUntouched(path);
    if (!isEmpty && await this.git.commitOf(place, DETACHED_REF) === undefined) {
      throw new Failure("environment", `Cannot discard the worktree "${path}": it may have work in it`);
    }
    await this.remove(place);
  }

  async find(path: string): Promise<Worktree | undefined> {
    const canonical = await canonicalPath(path).catch(() => undefined);
    const place = canonical === undefined ? undefined : await this.placeAt(canonical);
    if (canonical === undefined || place === undefined || await kindOf(canonical) !== "folder") return undefined;
    const [base, branch] = await Promise.all([
      this.git.commitOf(place, BASE_REF),
      this.git.run(place, ["symbolic-ref", "--quiet", BRANCH_REF]),
    ]);
    if (base === undefined || branch.exitCode !== 0) return undefined;
    return { path: canonical, branch: withoutLineEnd(branch.output).slice("refs/heads/".length), base };
  }

  /** Throws a `Failure` that begins with `action` when the worktree is gone. */
  async place({ path }: Worktree, action: string): Promise<Place> {
    if (path === this.root.workTree) return this.root;
    const place = await this.placeAt(path);
    if (place !== undefined && await kindOf(path) === "folder") return place;
    throw new Failure("environment", `${action}: the worktree "${path}" is gone, or no worktree of this repository`);
  }

  /**
   * Undefined when nothing of it is left. Throws a `Failure` that begins with `action` when what is in that folder is not
   * a worktree of this repository.
   */
  async placeToRemove({ path, branch }: Worktree, action: string): Promise<Place | undefined> {
    await removeFolder(remainsOf(path));
    const place = await this.placeAt(path);
    const kind = await kindOf(path);
    if (place !== undefined && kind === "folder" && place.gitDir !== this.root.gitDir) return place;
    if (place !== undefined && kind === "missing") {
      // Nothing is left but commits that its agent has made on no branch.
      const loose = await this.git.commitOf(place, "HEAD");
      if (loose !== undefined && await this.git.isAncestor(place, loose, `refs/heads/${branch}`)) {
        await this.remove(place);
      }
      return undefined;
    }
    if (place === undefined && kind === "missing") return undefined;
    throw new Failure("environment", `${action}: it is no worktree of this repository`);
  }

  /** Where git keeps what it knows of the worktree in this folder, which may be gone; undefined when it knows none. */
  async placeAt(path: string): Promise<Place | undefined> {
    const { commonDir } = this.root;
    const wanted = join(path, ".git");
    for (const gitDir of await this.#folders()) {
      // Without one it is being made or removed by somebody else just now.
      const isWhole = await kindOf(join(gitDir, "commondir")) !== "missing";
      if (isWhole) {
        await restoreCommonDir({ gitDir, commonDir }).catch((error) => {
          // It was removed since.
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
      }
      const file = await readSmallFile(join(gitDir, "gitdir"));
      if (file === undefined || resolve(gitDir, file) !== wanted) continue;
      return { workTree: path, gitDir, commonDir };
    }
    return undefined;
  }

  /** Takes it away at once, files and all. What a kill leaves of it goes with the next call for the same path. */
  async remove(place: Place): Promise<void> {
    const remains = remainsOf(place.workTree);
    await removeFolder(remains);
    await withRepositoryLock(this.root.commonDir, async () => {
      // A rename, because a half-deleted worktree would look like one whose agent had deleted its work.
      if (await kindOf(place.workTree) === "folder") await Deno.rename(place.workTree, remains);
      // A git that a killed supervisor has left may just be writing there.
      await removeFolder(place.gitDir);
    });
    await removeFolder(remains);
  }

  async #createBranch(action: string, { branch, base }: Worktree): Promise<void> {
    const { git, root } = this;
    const refName = `refs/heads/${branch}`;
    if (await git.commitOf(root, refName) === undefined) {
      await git.call(action, root, ["update-ref", refName, base, "0".repeat(base.length)]);
      return;
    }
    // Of a former attempt, perhaps with work on it.
    if (await git.isAncestor(root, base, refName)) return;
    throw new Failure("environment", `${action}: the branch "${branch}" exists, and does not come from ${base}`, {
      hints: [`Look at it with \`git log ${branch}\`, and choose another name or remove it`],
    });
  }

  /** `--force` would take a branch twice, so it is looked at here. */
  async #requireFree(action: string, { path, branch }: Worktree): Promise<void> {
    await removeFolder(remainsOf(path));
    for (const gitDir of await this.#folders()) {
      const file = await readSmallFile(join(gitDir, "gitdir"));
      if (file === undefined || resolve(gitDir, file) === join(path, ".git")) continue;
      if (await readSmallFile(join(gitDir, "HEAD")) !== `ref: refs/heads/${branch}`) continue;
      if (await kindOf(resolve(gitDir, file)) === "missing") continue;
      throw new Failure("environment", `${action}: "${dirname(file)}" has the branch "${branch}" already`);
    }
  }

  async #folders(): Promise<readonly string[]> {
    const parent = join(this.root.commonDir, "worktrees");
    const entries = await Array.fromAsync(Deno.readDir(parent)).catch(() => []);
    return entries.filter((entry) => entry.isDirectory).map(({ name }) => join(parent, name));
  }
}

/** git knows folders by where they really are. */
async function canonicalPath(path: string): Promise<string> {
  const absolute = resolve(path);
  return join(await Deno.realPath(dirname(absolute)), basename(absolute));
}

const remainsOf = (path: string) => `${path}.removed`;

export async function kindOf(path: string): Promise<"folder" | "file" | "missing"> {
  const found = await Deno.lstat(path).catch(() => undefined);
  return found === undefined ? "missing" : found.isDirectory ? "folder" : "file";
}

/** Nothing was checked out yet. */
async function isUntouched(path: string): Promise<boolean> {
  const names = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  return names.every(({ name }) => name === ".git");
}

/** Also one with folders that may not be written to, as the module cache of Go has them. */
async function removeFolder(path: string): Promise<void> {
  const remove = () => Deno.remove(path, { recursive: true });
  try {
    await remove();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    await openFolders(path);
    await remove();
  }
}

async function openFolders(path: string): Promise<void> {
  await Deno.chmod(path, 0o700);
  for await (const { name, isDirectory } of Deno.readDir(path)) if (isDirectory) await openFolders(join(path, name));
}
