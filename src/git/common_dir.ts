/** Keeps an agent from leading git, ours and the person's, to another repository's settings, which name programs. */
import { basename, dirname, join, resolve } from "node:path";
import { readSmallFile } from "./read_small_file.ts";

/**
 * Puts right what the files named `commondir` say, which git follows and an agent can write: that of a worktree leads to
 * the repository it lies in, and the repository has none.
 */
export async function restoreCommonDir(
  { gitDir, commonDir }: { readonly gitDir: string; readonly commonDir: string },
): Promise<void> {
  await Deno.remove(join(commonDir, "commondir"), { recursive: true }).catch(() => {});
  if (ownerOf(gitDir) !== commonDir) return;
  const file = join(gitDir, "commondir");
  const found = await readSmallFile(file);
  if (found !== undefined && resolve(gitDir, found) === commonDir) return;
  // Others may do the same at the same time.
  const own = `${file}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(own, "../..\n", { createNew: true });
  if (found === undefined) await Deno.remove(file, { recursive: true }).catch(() => {});
  await Deno.rename(own, file);
}

/** The common folder by its place alone; a repository's `.git` is its own. */
export async function commonDirOf(gitDir: string): Promise<string> {
  const isLinked = await readSmallFile(join(gitDir, "gitdir")) !== undefined;
  return isLinked ? ownerOf(gitDir) ?? gitDir : gitDir;
}

function ownerOf(gitDir: string): string | undefined {
  const parent = dirname(gitDir);
  return basename(parent) === "worktrees" ? dirname(parent) : undefined;
}
