/** Adds worktrees `NAME0` … `NAME<count - 1>` to a repository, all at once, as a process of its own. */
import { join } from "node:path";
import { openRepository } from "../../src/git/open_repository.ts";
import { runCommand } from "../../src/process/spawn.ts";

const [root = "", folder = "", name = "", count = "0"] = Deno.args;
const repository = (await openRepository(root, { env: Deno.env.toObject(), run: runCommand }))!;
const { commit } = await repository.head();
await Promise.all(
  Array.from({ length: Number(count) }, (_, i) => {
    const path = join(folder, `${name}${i}`);
    return repository.addWorktree({ path, branch: `gocore/orch/${name}${i}`, base: commit });
  }),
);
Deno.exit(0);
