/** Reads the past of a repository: files as they were at a commit, what a commit changed, and the middle of a range. */
import { Failure } from "../failure.ts";
import type { OpenOptions } from "./open_repository.ts";
import type { Repository } from "./repository.ts";
import { type Place, SealedGit, withoutLineEnd } from "./sealed_git.ts";

export interface History {
  readonly root: string;
  /** The commit of a branch, a tag, a hash, or one before them (`v1.2~3`); undefined when there is none. */
  resolve(ref: string): Promise<string | undefined>;
  /** Of the remote that was cloned from, as it was last fetched; else of the checkout. */
  defaultBranch(): Promise<{ readonly name: string; readonly commit: string } | undefined>;
  /** Undefined: there is no such file (a folder, a link, a submodule is none), it is binary, or larger than 2 MB. */
  readFileAt(commit: string, path: string): Promise<string | undefined>;
  listFiles(commit: string, options: { readonly limit: number }): Promise<readonly string[]>;
  /** `date` as ISO 8601, of the author. */
  commitInfo(
    commit: string,
  ): Promise<
    { readonly commit: string; readonly subject: string; readonly author: string; readonly date: string } | undefined
  >;
  /**
   * The commit that halves what is in `bad` and in none of `good`, and how many those are, `bad` included. Undefined when
   * nothing is left to try: `bad` is the first bad one, unless one of `skip` is among them.
   */
  bisectStep(
    options: { readonly good: readonly string[]; readonly bad: string; readonly skip: readonly string[] },
  ): Promise<{ readonly commit: string; readonly left: number } | undefined>;
  /** Paths that differ from the first parent's; all of them for a first commit. */
  filesChangedBy(commit: string): Promise<readonly string[]>;
  isAncestor(ancestor: string, commit: string): Promise<boolean>;
}

const MAX_FILE_BYTES = 2 * 1024 * 1024;
const MAX_LIST_BYTES = 64 * 1024 * 1024;
const MAX_PATH_CHARACTERS = 4096;
const MAX_REF_CHARACTERS = 256;
const MAX_SUBJECT_CHARACTERS = 300;
const FULL_HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** What git allows in a name, and `~3` or `^2` behind it; no searches (`^{/text}`), times or paths. */
const REF = /^(?![-/.])[^\s\x00-\x20\x7f:?*[\\~^{}]+(?:~\d{0,6}|\^\d{0,2}){0,8}$/;
const REMOTE_BRANCHES = ["origin/main", "origin/master"];
const LOCAL_BRANCHES = ["main", "master", "trunk", "develop"];

/** Throws a `Failure` when git is missing, old, or does not find the repository any more. */
export async function openHistory(
  { root, commonDir }: Pick<Repository, "root" | "commonDir">,
  options: OpenOptions,
): Promise<History> {
  const git = await SealedGit.start(options.env, options.run, options.signal ?? new AbortController().signal);
  const { exitCode, output, stderr } = await git.find(root, ["rev-parse", "--absolute-git-dir"]);
  if (exitCode !== 0) throw new Failure("environment", `Cannot read the history of "${root}": ${stderr.trim()}`);
  const place: Place = { workTree: root, gitDir: withoutLineEnd(output), commonDir };
  await git.adapt(place, options.env);
  return new Commits(git, place);
}

class Commits implements History {
  readonly root: string;

  constructor(private readonly git: SealedGit, private readonly place: Place) {
    this.root = place.workTree;
  }

  async resolve(ref: string): Promise<string | undefined> {
    if (ref.length > MAX_REF_CHARACTERS || !REF.test(ref) || ref.includes("..") || ref.includes("@{")) return undefined;
    // git itself would prefer a tag, and what was saved as `refs/gocore/x`, to the branch `gocore/x`.
    const ofBranch = FULL_HASH.test(ref) || ref === "HEAD" ? undefined : await this.#commitOf(`refs/heads/${ref}`);
    return ofBranch ?? await this.#commitOf(ref);
  }

  async defaultBranch(): Promise<{ readonly name: string; readonly commit: string } | undefined> {
    const head = await this.git.run(this.place, ["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
    const named = head.exitCode === 0 ? [withoutLineEnd(head.output)] : [];
    const remote = REMOTE_BRANCHES.map((name) => `refs/remotes/${name}`);
    const local = LOCAL_BRANCHES.map((name) => `refs/heads/${name}`);
    for (const ref of [...named, ...remote, ...local]) {
      const commit = await this.#commitOf(ref);
      if (commit !== undefined) return { name: ref.replace(/^refs\/(?:remotes|heads)\//, ""), commit };
    }
    return undefined;
  }

  async readFileAt(commit: string, path: string): Promise<string | undefined> {
    // Of a commit that is not there, git knows no files either.
    const known = FULL_HASH.test(commit) ? commit : await this.resolve(commit);
    const name = pathInTree(path);
    if (known === undefined || name === undefined) return undefined;
    const args = ["--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", known, "--", name];
    const { exitCode, output } = await this.git.run(this.place, args);
    const [entry] = exitCode === 0 ? entriesIn(output) : [];
    if (entry === undefined || entry.path !== name || !isFile(entry)) return undefined;
    if (entry.bytes > MAX_FILE_BYTES) return undefined;
    const blob = await this.git.run(this.place, ["cat-file", "blob", entry.object]);
    return blob.exitCode !== 0 || blob.isCut || blob.output.includes("\0") ? undefined : blob.output;
  }

  async listFiles(commit: string, { limit }: { readonly limit: number }): Promise<readonly string[]> {
    const action = "Cannot list the files of a commit";
    const known = await this.#require(action, commit);
    const args = ["ls-tree", "-r", "-z", "-l", "--full-tree", known];
    const { output, isCut } = await this.git.call(action, this.place, args, { maxOutputBytes: MAX_LIST_BYTES });
    // The runner keeps both ends of what is too much; a character takes at most three bytes.
    const whole = isCut ? output.slice(0, output.lastIndexOf("\0", MAX_LIST_BYTES / 6) + 1) : output;
    return entriesIn(whole).filter(isFile).slice(0, limit).map(({ path }) => path);
  }

  async commitInfo(commit: string) {
    const known = await this.resolve(commit);
    if (known === undefined) return undefined;
    // Not `git log`, which runs the repository's own program to check signatures when its settings say so.
    const format = "--format=%H%x00%s%x00%an%x00%aI";
    const args = ["rev-list", "--max-count=1", "--no-commit-header", "--encoding=UTF-8", format, known, "--"];
    const line = await this.git.line("Cannot read a commit", this.place, args);
    const [hash = "", subject = "", author = "", date = ""] = line.split("\0");
    return { commit: hash, subject: subject.slice(0, MAX_SUBJECT_CHARACTERS), author, date };
  }

  async bisectStep(
    { good, bad, skip }: { readonly good: readonly string[]; readonly bad: string; readonly skip: readonly string[] },
  ): Promise<{ readonly commit: string; readonly left: number } | undefined> {
    const action = "Cannot find the commit in the middle";
    const worst = await this.#require(action, bad);
    const best = await Promise.all(good.map((commit) => this.#require(action, commit)));
    const skipped = new Set(await Promise.all(skip.map((commit) => this.#require(action, commit))));
    const range = [worst, ...best.map((commit) => `^${commit}`), "--"];
    // It ends with 1 when there is nothing in the range.
    const accept = [0, 1];
    const { output } = await this.git.call(action, this.place, ["rev-list", "--bisect-vars", ...range], { accept });
    const left = Number(/^bisect_all=(\d+)$/m.exec(output)?.[1] ?? 0);
    const middle = /^bisect_rev='?([0-9a-f]*)'?$/m.exec(output)?.[1] ?? "";
    if (left <= 1) return undefined;
    if (!skipped.has(middle) && middle !== worst) return { commit: middle, left };
    // All of them, the best ones first: far slower in a history of many merges.
    const all = await this.git.call(action, this.place, ["rev-list", "--bisect-all", ...range]);
    const next = all.output.split("\n").map((line) => line.split(" ", 1)[0]!)
      .find((commit) => FULL_HASH.test(commit) && commit !== worst && !skipped.has(commit));
    return next === undefined ? undefined : { commit: next, left };
  }

  async filesChangedBy(commit: string): Promise<readonly string[]> {
    const action = "Cannot list what a commit changed";
    const known = await this.#require(action, commit);
    const parents = await this.git.line(action, this.place, ["rev-list", "--parents", "--max-count=1", known, "--"]);
    const parent = parents.split(" ")[1];
    const form = ["-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv"];
    const trees = parent === undefined ? ["--root", "--no-commit-id", known] : [parent, known];
    return await this.git.names(action, this.place, ["diff-tree", ...form, ...trees, "--"]);
  }

  async isAncestor(ancestor: string, commit: string): Promise<boolean> {
    const action = "Cannot compare commits";
    const [older, newer] = await Promise.all([ancestor, commit].map((name) => this.#require(action, name)));
    return await this.git.isAncestor(this.place, older!, newer!);
  }

  #commitOf(name: string): Promise<string | undefined> {
    return this.git.commitOf(this.place, name);
  }

  async #require(action: string, ref: string): Promise<string> {
    const commit = await this.resolve(ref);
    if (commit === undefined) throw new Failure("environment", `${action}: needs a commit, found no "${ref}"`);
    return commit;
  }
}

interface TreeEntry {
  readonly mode: string;
  readonly object: string;
  readonly bytes: number;
  readonly path: string;
}

/** `<mode> SP <type> SP <object> SP+ <size or -> TAB <path> NUL`. */
function entriesIn(output: string): TreeEntry[] {
  return output.split("\0").slice(0, -1).flatMap((record) => {
    const tab = record.indexOf("\t");
    const [mode = "", , object = "", bytes = ""] = record.slice(0, tab).split(/ +/);
    return [{ mode, object, bytes: Number(bytes), path: record.slice(tab + 1) }];
  });
}

/** Neither a link (120000) nor a submodule (160000). */
const isFile = ({ mode }: TreeEntry) => mode.startsWith("100");

/** As git has it: relative to the top, without `.` and empty parts; undefined when it leads elsewhere. */
function pathInTree(path: string): string | undefined {
  if (path.length > MAX_PATH_CHARACTERS || path.startsWith("/") || path.includes("\0")) return undefined;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || parts.includes("..") ? undefined : parts.join("/");
}
