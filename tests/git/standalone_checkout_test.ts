import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { openRepository } from "../../src/git/open_repository.ts";
import { checkOutStandalone } from "../../src/git/standalone_checkout.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { type Scratch, withScratch } from "./scratch_repository.ts";

const checkOut = (scratch: Scratch, { commit = "HEAD", root = scratch.root, path = join(scratch.dir, "out") } = {}) =>
  openRepository(root, { env: scratch.env, run: runCommand }).then((repository) =>
    checkOutStandalone(repository!, {
      path,
      commit,
      ignored: ["/made-by-us"],
      env: scratch.env,
      run: runCommand,
      signal: new AbortController().signal,
    })
  );

Deno.test("a standalone checkout has the files, the history and the tags of a commit, and nothing else of the repository", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, write, root, dir } = scratch;
    await git("tag", "v1");
    await git("tag", "-a", "-m", "Second", "v2");
    await write({ "new.txt": "new\n" });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", "Later");
    await git("remote", "add", "origin", "https://example.org/x.git");
    // Not committed, and so not there.
    await write({ "a.txt": "changed\n", "more.txt": "" });
    const before = await git("for-each-ref");

    const path = join(dir, "out");
    const { objects, notes } = await checkOut(scratch, { commit: "v2" });
    deepEqual([objects, notes], [join(root, ".git/objects"), []]);
    deepEqual([...Deno.readDirSync(path)].map(({ name }) => name).sort(), [".git", ".gitignore", "a.txt", "bin"]);
    equal(await Deno.readTextFile(join(path, "a.txt")), "1\n2\n3\n4\n5\n");
    equal((await Deno.stat(join(path, "bin/run"))).mode! & 0o111, 0o111);
    await write({ "made-by-us": "" }, path);
    deepEqual(
      await Promise.all([
        gitIn(path, "status", "--porcelain"),
        gitIn(path, "log", "--format=%s"),
        gitIn(path, "describe"),
        gitIn(path, "for-each-ref", "--format=%(refname)"),
        gitIn(path, "remote"),
        gitIn(path, "rev-parse", "--abbrev-ref", "HEAD"),
        gitIn(path, "fsck", "--strict", "--no-dangling"),
      ]),
      ["", "Start", "v2", "refs/tags/v1\nrefs/tags/v2", "", "HEAD", ""],
    );

    await gitIn(path, "commit", "--quiet", "--allow-empty", "-m", "Own");
    await gitIn(path, "branch", "own");
    await gitIn(path, "gc", "--quiet", "--prune=now");
    equal(await git("for-each-ref"), before);
    equal(await git("fsck", "--strict", "--no-dangling"), "");
  }));

Deno.test("a worktree and a shallow clone can be checked out from as well", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, dir, root } = scratch;
    await git("commit", "--quiet", "--allow-empty", "-m", "Later");
    await git("worktree", "add", "--quiet", "--detach", join(dir, "tree"), "HEAD");
    await gitIn(dir, "clone", "--quiet", "--depth=1", `file://${root}`, "shallow");
    for (const [index, from] of ["tree", "shallow"].entries()) {
      const path = join(dir, `out-${index}`);
      await checkOut(scratch, { root: join(dir, from), path });
      equal(await gitIn(path, "log", "--format=%s"), from === "tree" ? "Later\nStart" : "Later");
      equal(await gitIn(path, "status", "--porcelain"), "");
    }
  }));

Deno.test("submodules are told to be empty", () =>
  withScratch(async (scratch) => {
    const { git } = scratch;
    await git("update-index", "--add", "--cacheinfo", `160000,${await git("rev-parse", "HEAD")},libs/inner`);
    await git("commit", "--quiet", "-m", "A submodule");
    deepEqual((await checkOut(scratch)).notes, ["submodules are empty: libs/inner"]);
  }));

Deno.test("a commit that is not there is refused", () =>
  withScratch(async (scratch) => {
    await rejects(checkOut(scratch, { commit: "0".repeat(40) }), { name: "Failure", kind: "environment" });
    await rejects(checkOut(scratch, { commit: "--all" }), { name: "Failure", kind: "environment" });
  }));
