/** Opens the git repository that a folder belongs to. */
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { commonDirOf, restoreCommonDir } from "./common_dir.ts";
import { abortMerge, beginMerge, findConflict, finishMerge, merge } from "./merging.ts";
import type { Changes, MergeOutcome, Repository, Saved, Worktree } from "./repository.ts";
import { commitTree, listSaved, parentsOf, saveWorktree } from "./saves.ts";
import { gitFailure, namesIn, type Place, type RunProgram, SealedGit, withoutLineEnd } from "./sealed_git.ts";
import { EXCEPT_JUNK, stageFiles, withOwnIndex, writeTree } from "./staging.ts";
import { WorktreeRegistry } from "./worktree_registry.ts";

export interface OpenOptions {
  /** The person's: PATH finds git, HOME their identity and their ignore file. */
  readonly env: Readonly<Record<string, string>>;
  readonly run: RunProgram;
  /** Ends every call of the repository. What is to be saved after an interrupt needs one that was opened without. */
  readonly signal?: AbortSignal;
}

/** Of the files that `fingerprint` looks at one by one. */
const MAX_FINGERPRINT_FILES = 5000;
/** Lines of a longer one are not counted. */
const MAX_COUNTED_BYTES = 16 * 1024 * 1024;
const NO_REPOSITORY = /not a git repository/;
const NO_CHECKOUT = /must be run in a work tree/;

/**
 * Undefined when `target` is in no git repository. Throws a `Failure` when git is missing or too old, or will not read the
 * repository, or `target` is a folder of git's own.
 */
export async function openRepository(target: string, options: OpenOptions): Promise<Repository | undefined> {
  const git = await SealedGit.start(options.env, options.run, options.signal ?? new AbortController().signal);
  const answers: string[] = [];
  for (const question of ["--show-toplevel", "--absolute-git-dir", "--git-common-dir"]) {
    const args = ["rev-parse", "--path-format=absolute", question];
    const end = await git.find(target, args);
    if (end.exitCode !== 0 && NO_REPOSITORY.test(end.stderr)) return undefined;
    if (end.exitCode !== 0 && NO_CHECKOUT.test(end.stderr)) {
      throw new Failure("environment", `Cannot use "${target}": need a checkout, found git's own folder`, {
        hints: ["Name a folder with a project's files; `git clone` makes one of a bare repository"],
      });
    }
    if (end.exitCode !== 0) throw refusal(target, gitFailure(`Cannot open the repository of "${target}"`, args, end));
    const answer = withoutLineEnd(end.output);
    if (question === "--absolute-git-dir") {
      await restoreCommonDir({ gitDir: answer, commonDir: await commonDirOf(answer) });
    }
    answers.push(answer);
  }
  const [workTree = "", gitDir = "", commonDir = ""] = answers;
  // The repository's own settings can put the files of any other folder in the place of these.
  if (!`${await Deno.realPath(target)}/`.startsWith(`${workTree === "/" ? "" : workTree}/`)) {
    throw new Failure("environment", `Cannot open the repository of "${target}": its files are in "${workTree}"`, {
      hints: [`Look at \`git -C ${target} config core.worktree\``],
    });
  }
  const place: Place = { workTree, gitDir, commonDir };
  await git.adapt(place, options.env);
  return new Checkout(git, place);
}

function refusal(target: string, failure: Failure): Failure {
  if (!failure.message.includes("dubious ownership")) return failure;
  return new Failure("environment", `Cannot open the repository of "${target}": it belongs to another user`, {
    hints: ["Use git 2.38 or later", `Make it your own: \`chown -R "$(id -u)" ${target}\``],
    cause: failure,
  });
}

class Checkout implements Repository {
  readonly root: string;
  readonly commonDir: string;
  readonly identity: Readonly<Record<string, string>>;
  readonly #worktrees: WorktreeRegistry;

  constructor(private readonly git: SealedGit, private readonly place: Place) {
    this.root = place.workTree;
    this.commonDir = place.commonDir;
    this.identity = git.identity;
    this.#worktrees = new WorktreeRegistry(git, place);
  }

  async head(): Promise<{ readonly commit: string; readonly branch: string | null }> {
    const [commit, branch] = await Promise.all([
      this.git.commitOf(this.place, "HEAD"),
      this.git.run(this.place, ["symbolic-ref", "--quiet", "HEAD"]),
    ]);
    if (commit === undefined) {
      throw new Failure("environment", `Cannot use the repository "${this.root}": it has no commit yet`, {
        hints: [`Make one: \`git -C ${this.root} commit --allow-empty -m "Start"\``],
      });
    }
    return { commit, branch: branch.exitCode === 0 ? branchIn(branch.output) : null };
  }

  async isClean(): Promise<boolean> {
    return (await this.#status(this.place, "normal")) === "";
  }

  async snapshot(message: string): Promise<string> {
    const { git, place } = this;
    const { commit: head } = await this.head();
    return await withOwnIndex(git, place, async (own) => {
      await stageFiles(git, own);
      const tree = await writeTree(git, own);
      const action = `Cannot keep the state of "${this.root}"`;
      if (tree === await git.line(action, place, ["rev-parse", `${head}^{tree}`])) return head;
      return await commitTree(git, place, { action, tree, parents: [head], message });
    });
  }

  addWorktree(options: { readonly path: string; readonly branch: string; readonly base: string }): Promise<Worktree> {
    return this.#worktrees.add(options);
  }

  addDetached(options: { readonly path: string; readonly commit: string }): Promise<Worktree> {
    return this.#worktrees.addDetached(options);
  }

  async discardWorktree(worktree: Worktree): Promise<void> {
    await this.#worktrees.discard(worktree);
  }

  findWorktree(path: string): Promise<Worktree | undefined> {
    return this.#worktrees.find(path);
  }

  async commitAll(worktree: Worktree, message: string): Promise<string | undefined> {
    const { git } = this;
    const action = `Cannot commit in "${worktree.path}"`;
    const place = await this.#worktrees.place(worktree, action);
    const refName = `refs/heads/${worktree.branch}`;
    await stageFiles(git, place);
    const tree = await writeTree(git, place);
    const parents = await parentsOf(git, place, worktree);
    const [head] = parents;
    const isSame = head !== undefined && parents.length === 1 &&
      tree === await git.line(action, place, ["rev-parse", `${head}^{tree}`]);
    const tip = await git.commitOf(place, refName);
    const { output: symbolic } = await git.run(place, ["symbolic-ref", "--quiet", "HEAD"]);
    if (isSame && head === tip && withoutLineEnd(symbolic) === refName) return undefined;

    const commit = isSame ? head : await commitTree(git, place, { action, tree, parents, message });
    const expected = tip ?? "0".repeat(commit.length);
    await git.call(action, place, ["update-ref", "-m", "gocore: commit", refName, commit, expected]);
    await git.call(action, place, ["symbolic-ref", "HEAD", refName]);
    // They end what is half-done, and fail when nothing is.
    for (const command of ["merge", "rebase", "cherry-pick", "revert"]) await git.run(place, [command, "--quit"]);
    return commit;
  }

  async headOf(worktree: Worktree): Promise<string> {
    const action = `Cannot read the state of "${worktree.path}"`;
    return await this.git.requireCommit(action, await this.#worktrees.place(worktree, action), "HEAD");
  }

  async changes(
    worktree: Worktree,
    { since, maxBytes }: { readonly since: string; readonly maxBytes: number },
  ): Promise<Changes> {
    const { git } = this;
    const place = await this.#worktrees.place(worktree, `Cannot list the changes in "${worktree.path}"`);
    return await withOwnIndex(git, place, async (own) => {
      await stageFiles(git, own);
      return await this.#diff(own, { since, until: await writeTree(git, own), maxBytes });
    });
  }

  async changesBetween(
    since: string,
    commit: string,
    { maxBytes }: { readonly maxBytes: number },
  ): Promise<Changes> {
    const until = await this.git.requireCommit("Cannot list changes", this.place, commit);
    return await this.#diff(this.place, { since, until, maxBytes });
  }

  async lineCount(commit: string, path: string): Promise<number | undefined> {
    const { git, place } = this;
    if (path.includes("\0")) return undefined;
    const object = `${await git.requireCommit("Cannot read a file", place, commit)}:${path}`;
    const { exitCode, output: kind } = await git.run(place, ["cat-file", "-t", object]);
    if (exitCode !== 0) return undefined;
    if (withoutLineEnd(kind) !== "blob") return 0;
    const { output, isCut } = await git.run(place, ["cat-file", "blob", object], { maxOutputBytes: MAX_COUNTED_BYTES });
    return isCut ? Infinity : output.split("\n").length - (output === "" || output.endsWith("\n") ? 1 : 0);
  }

  async fingerprint(worktree: Worktree): Promise<string> {
    const { git } = this;
    const place = await this.#worktrees.place(worktree, `Cannot look at "${worktree.path}"`);
    const [head, status] = await Promise.all([git.commitOf(place, "HEAD"), this.#status(place, "all")]);
    const sizes = await Promise.all(
      changedNames(status).slice(0, MAX_FINGERPRINT_FILES).map(async (name) => {
        const found = await Deno.lstat(join(place.workTree, name)).catch(() => undefined);
        return `${found?.size}/${found?.mtime?.getTime()}`;
      }),
    );
    const text = new TextEncoder().encode([head, status, ...sizes].join("\n"));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async save(worktree: Worktree, ref: string): Promise<Saved | undefined> {
    const place = await this.#worktrees.place(worktree, `Cannot save the worktree "${worktree.path}"`);
    // What lies in the person's own checkout stays there: other worktrees, often.
    return await saveWorktree(this.git, { worktree, place, ref, withNested: place.gitDir !== this.place.gitDir });
  }

  async removeWorktree(worktree: Worktree, ref: string): Promise<Saved | undefined> {
    const action = `Cannot remove the worktree "${worktree.path}"`;
    const place = await this.#worktrees.placeToRemove(worktree, action);
    if (place === undefined) return undefined;
    const saved = await saveWorktree(this.git, { worktree, place, ref, withNested: true });
    if (saved !== undefined && saved.missing.length > 0) {
      const some = saved.missing.slice(0, 5).map((name) => `"${name}"`).join(", ");
      throw new Failure(
        "environment",
        `${action}: ${saved.missing.length} files in it cannot be saved, such as ${some}`,
        {
          hints: [`Look at "${worktree.path}", and remove it with \`git worktree remove --force\``],
        },
      );
    }
    await this.#worktrees.remove(place);
    return saved;
  }

  async wouldConflict(ours: string, theirs: string): Promise<readonly string[]> {
    const action = `Cannot compare "${ours}" with "${theirs}"`;
    const [one, other] = await Promise.all(
      [ours, theirs].map((name) => this.git.requireCommit(action, this.place, name)),
    );
    return (await findConflict(this.git, this.place, { ours: one!, theirs: other! }))?.files ?? [];
  }

  async merge(worktree: Worktree, theirs: string, message: string): Promise<MergeOutcome> {
    return await merge(this.git, await this.#placeToMerge(worktree), { worktree, theirs, message });
  }

  async beginMerge(worktree: Worktree, theirs: string): Promise<MergeOutcome> {
    return await beginMerge(this.git, await this.#placeToMerge(worktree), { worktree, theirs });
  }

  async finishMerge(worktree: Worktree, message: string): Promise<MergeOutcome> {
    const commitAll = () => this.commitAll(worktree, message);
    return await finishMerge(this.git, await this.#placeToMerge(worktree), { worktree, commitAll });
  }

  async abortMerge(worktree: Worktree): Promise<void> {
    await abortMerge(this.git, await this.#placeToMerge(worktree));
  }

  async fastForward(commit: string): Promise<boolean> {
    const { git, place } = this;
    const target = await git.requireCommit(`Cannot move "${this.root}" forward`, place, commit);
    // Without the option, a file that is ignored here and comes with the commit would be overwritten.
    const args = ["merge", "--quiet", "--ff-only", "--no-overwrite-ignore", "--no-autostash", target];
    return (await git.run(place, args)).exitCode === 0;
  }

  listSaved(): Promise<readonly Saved[]> {
    return listSaved(this.git, this.place);
  }

  async #diff(
    place: Place,
    { since, until, maxBytes }: { readonly since: string; readonly until: string; readonly maxBytes: number },
  ): Promise<Changes> {
    const { git } = this;
    const action = "Cannot list changes";
    const base = await git.requireCommit(action, place, since);
    const plain = ["diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty"];
    const ofWork = [base, until, "--", ".", ...EXCEPT_JUNK];
    const counts = await git.names(action, place, [...plain, "--numstat", "-z", "--no-renames", ...ofWork]);
    const files = counts.map(parseCount);
    if (maxBytes === 0) return { files, diff: "", isCut: files.length > 0 };
    const form = ["--patch", "--find-renames", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"];
    // The runner keeps the first half and the last half of what is too much.
    const { output } = await git.call(action, place, [...plain, ...form, ...ofWork], { maxOutputBytes: 2 * maxBytes });
    return { files, ...cutAtLineEnd(output, maxBytes) };
  }

  #placeToMerge(worktree: Worktree): Promise<Place> {
    return this.#worktrees.place(worktree, `Cannot merge into "${worktree.branch}"`);
  }

  /** Porcelain v2 with NUL; of very many changes only the first and the last ones. */
  async #status(place: Place, untracked: "normal" | "all"): Promise<string> {
    const args = ["status", "--porcelain=v2", "-z", "--no-renames", "--ignore-submodules=dirty"];
    const of = [`--untracked-files=${untracked}`, "--", ".", ...EXCEPT_JUNK];
    return (await this.git.call(`Cannot look at "${place.workTree}"`, place, [...args, ...of])).output;
  }
}

function branchIn(output: string): string {
  return withoutLineEnd(output).slice("refs/heads/".length);
}

/** `<added> TAB <deleted> TAB <path>`, with `-` for what is binary. */
function parseCount(record: string): Changes["files"][number] {
  const [added = "", deleted = "", ...path] = record.split("\t");
  const count = (text: string) => /^\d+$/.test(text) ? Number(text) : null;
  return { path: path.join("\t"), added: count(added), deleted: count(deleted) };
}

function cutAtLineEnd(output: string, maxBytes: number): { readonly diff: string; readonly isCut: boolean } {
  const bytes = new TextEncoder().encode(output);
  if (bytes.length <= maxBytes) return { diff: output, isCut: false };
  const end = bytes.lastIndexOf(10, maxBytes - 1) + 1;
  return { diff: new TextDecoder().decode(bytes.subarray(0, end)), isCut: true };
}

/** The path is what follows a fixed number of fields: 8 for changed entries, 10 for unmerged ones, 1 for the others. */
function changedNames(status: string): readonly string[] {
  const FIELDS: Readonly<Record<string, number>> = { "1": 8, u: 10, "?": 1 };
  return namesIn(status).flatMap((record) => {
    const fields = FIELDS[record[0] ?? ""];
    return fields === undefined ? [] : [record.split(" ").slice(fields).join(" ")];
  });
}
