/** A repository for one test, and git as a person would use it there. */
import { dirname, join } from "node:path";
import { openRepository } from "../../src/git/open_repository.ts";
import type { Repository } from "../../src/git/repository.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { inTempDir } from "../support/temp_dir.ts";

const never = new AbortController().signal;

export interface Scratch {
  /** The test's own folder, with `repo` in it. */
  readonly dir: string;
  readonly root: string;
  readonly env: Record<string, string>;
  readonly repository: Repository;
  /** Runs git and gives what it wrote to stdout without the last line end; throws when it fails. */
  git(...args: readonly string[]): Promise<string>;
  gitIn(folder: string, ...args: readonly string[]): Promise<string>;
  /** Writes files below the repository, or below another folder. */
  write(files: Readonly<Record<string, string>>, folder?: string): Promise<void>;
}

/** The repository has one commit, with the file `a.txt` of five lines and an executable. */
export async function withScratch(work: (scratch: Scratch) => Promise<void>): Promise<void> {
  await inTempDir(async (made) => {
    const dir = await Deno.realPath(made);
    const root = join(dir, "repo");
    const env = environmentFor(dir);
    const gitIn = (folder: string, ...args: readonly string[]) => git(folder, env, args);
    const write = async (files: Readonly<Record<string, string>>, folder = root) => {
      for (const [name, text] of Object.entries(files)) {
        await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
        await Deno.writeTextFile(join(folder, name), text);
      }
    };
    await Deno.mkdir(root);
    await gitIn(root, "init", "--quiet", "--initial-branch=main");
    await write({ "a.txt": "1\n2\n3\n4\n5\n", "bin/run": "#!/bin/sh\n", ".gitignore": "*.ignored\n" });
    await Deno.chmod(join(root, "bin/run"), 0o755);
    await gitIn(root, "add", "-A");
    await gitIn(root, "commit", "--quiet", "-m", "Start");
    const repository = (await openRepository(root, { env, run: runCommand }))!;
    await work({ dir, root, env, repository, git: (...args) => gitIn(root, ...args), gitIn, write });
  });
}

/** A home in the test's folder, with an identity. */
export function environmentFor(dir: string): Record<string, string> {
  Deno.mkdirSync(join(dir, "home"));
  const settings = "[user]\n\tname = Pat Person\n\temail = pat@example.org\n";
  Deno.writeTextFileSync(join(dir, "home/.gitconfig"), settings);
  return { PATH: Deno.env.get("PATH")!, HOME: join(dir, "home"), GIT_CONFIG_NOSYSTEM: "1" };
}

async function git(folder: string, env: Record<string, string>, args: readonly string[]): Promise<string> {
  const options = { cwd: folder, env, timeoutMs: 300_000, signal: never, stderr: "separate" } as const;
  const end = await runCommand(["git", ...args], options);
  if (end.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${end.failure ?? end.stderr}`);
  return end.output.replace(/\n$/, "");
}
