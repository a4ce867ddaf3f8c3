/** Checks a commit out into a repository of its own, through which nobody can write to the one that it comes from. */
import { join } from "node:path";
import { Failure } from "../failure.ts";
import type { Repository } from "./repository.ts";
import { type Place, type RunProgram, SealedGit } from "./sealed_git.ts";

export interface StandaloneCheckout {
  /** What has to be readable for git to work there: the objects stay where they are. */
  readonly objects: string;
  /** Paths of what is checked out, relative to its top. */
  readonly files: ReadonlySet<string>;
  /** What is not as in a clone, in words. */
  readonly notes: readonly string[];
}

/**
 * Makes the folder `path` with the files of a commit and a `.git` that knows the history and the tags, but no branch, no
 * remote and no settings. Its objects are those of `repository`, which it only reads.
 *
 * Throws a `Failure` when the commit is not there as a whole.
 */
export async function checkOutStandalone(
  repository: Pick<Repository, "root" | "commonDir">,
  options: {
    readonly path: string;
    readonly commit: string;
    /** Patterns of `.gitignore`, for this checkout only; default is none. */
    readonly ignored?: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly run: RunProgram;
    readonly signal: AbortSignal;
  },
): Promise<StandaloneCheckout> {
  const { path, commit } = options;
  const action = `Cannot check out "${commit}"`;
  const git = await SealedGit.start(options.env, options.run, options.signal);
  const { commonDir } = repository;
  const source: Place = { workTree: repository.root, gitDir: commonDir, commonDir };
  const base = await git.requireCommit(action, source, commit);
  const format = await git.line(action, source, ["rev-parse", "--show-object-format"]);
  const tags = await git.call(action, source, ["for-each-ref", "--format=%(objectname) %(refname)", "refs/tags"]);

  const gitDir = join(path, ".git");
  const place: Place = { workTree: path, gitDir, commonDir: gitDir };
  await Deno.mkdir(gitDir, { recursive: true });
  await git.call(action, place, ["init", "--quiet", "--template=", `--object-format=${format}`]);
  const objects = join(commonDir, "objects");
  await Deno.mkdir(join(gitDir, "objects/info"), { recursive: true });
  await Deno.writeTextFile(join(gitDir, "objects/info/alternates"), `${alternate(objects)}\n`);
  if (!tags.isCut) await Deno.writeTextFile(join(gitDir, "packed-refs"), tags.output);
  await Deno.copyFile(join(commonDir, "shallow"), join(gitDir, "shallow")).catch(() => {});
  await Deno.mkdir(join(gitDir, "info"), { recursive: true });
  await Deno.writeTextFile(join(gitDir, "info/exclude"), (options.ignored ?? []).map((line) => `${line}\n`).join(""));
  await git.call(action, place, ["update-ref", "--no-deref", "HEAD", base]);
  await git.call(action, place, ["reset", "--quiet", "--hard", "HEAD"]);

  const entries = await git.names(action, place, ["ls-files", "-z", "--stage"]);
  const pathsOf = (isSubmodule: boolean) =>
    entries.filter((entry) => entry.startsWith("160000 ") === isSubmodule)
      .map((entry) => entry.slice(entry.indexOf("\t") + 1));
  const submodules = pathsOf(true);
  return {
    objects,
    files: new Set(pathsOf(false)),
    notes: submodules.length === 0 ? [] : [`submodules are empty: ${submodules.slice(0, 10).join(", ")}`],
  };
}

/** A path with a line end in it would be two, and one that begins with a quote is read as C does it. */
function alternate(objects: string): string {
  if (!/[\n\r"#]/.test(objects)) return objects;
  throw new Failure("environment", `Cannot check out from "${objects}": its path has a quote, "#" or a line end in it`);
}
