import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { openRepository } from "../../src/git/open_repository.ts";
import type { Repository } from "../../src/git/repository.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { namesIn } from "../support/temp_dir.ts";
import { type Scratch, withScratch } from "./scratch_repository.ts";

const add = ({ dir, repository }: Scratch, name: string, base = "HEAD") =>
  repository.addWorktree({ path: join(dir, "work", name), branch: `gocore/orch_1/${name}`, base });

const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);

/** Every path below that ends with `.lock`. */
function locksIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? locksIn(path) : name.endsWith(".lock") ? [path] : [];
  });
}

async function assertComplete({ gitIn, git }: Scratch, repository: Repository, path: string, branch: string) {
  const base = await git("rev-parse", "HEAD");
  deepEqual(await repository.findWorktree(path), { path, branch, base });
  deepEqual(namesIn(path), [".git", ".gitignore", "a.txt", "bin"]);
  equal(await gitIn(path, "status", "--porcelain=v2", "--branch"), `# branch.oid ${base}\n# branch.head ${branch}`);
}

Deno.test("addWorktree() gives a branch and its files, and findWorktree() finds it after a restart", () =>
  withScratch(async (scratch) => {
    const { dir, root, env, git } = scratch;
    const made = await add(scratch, "claude");
    const expected = {
      path: join(dir, "work/claude"),
      branch: "gocore/orch_1/claude",
      base: await git("rev-parse", "HEAD"),
    };
    deepEqual(made, expected);
    const later = (await openRepository(root, { env, run: runCommand }))!;
    await assertComplete(scratch, later, made.path, made.branch);
    equal(await later.findWorktree(join(dir, "work/other")), undefined);
    deepEqual(await git("config", "--get-regexp", "^branch").catch(() => "none"), "none");
  }));

Deno.test("addWorktree() makes 64 at once, in four processes, without one failure", () =>
  withScratch(async (scratch) => {
    const { dir, root, env, repository } = scratch;
    const folder = join(dir, "work");
    const script = new URL("add_worktrees.ts", import.meta.url).pathname;
    const others = ["x", "y", "z"].map((name) =>
      new Deno.Command(Deno.execPath(), { args: ["run", "-A", script, root, folder, name, "16"], env, stdin: "null" })
        .output()
    );
    const { commit } = await repository.head();
    await Promise.all(
      Array.from(
        { length: 16 },
        (_, i) => repository.addWorktree({ path: join(folder, `w${i}`), branch: `gocore/orch/w${i}`, base: commit }),
      ),
    );
    for (const { code, stderr } of await Promise.all(others)) equal(code, 0, new TextDecoder().decode(stderr));
    await Promise.all(
      [..."wxyz"].flatMap((name) => Array.from({ length: 16 }, (_, i) => `${name}${i}`))
        .map((name) => assertComplete(scratch, repository, join(folder, name), `gocore/orch/${name}`)),
    );
    deepEqual(locksIn(repository.commonDir), []);
  }));

Deno.test("addWorktree() goes on after a kill -9 in the middle of many", () =>
  withScratch(async (scratch) => {
    const { dir, root, env, repository } = scratch;
    const folder = join(dir, "work");
    const script = new URL("add_worktrees.ts", import.meta.url).pathname;
    for (const after of [1, 5]) {
      const args = ["run", "-A", script, root, folder, "k", "12"];
      const child = new Deno.Command(Deno.execPath(), { args, env, stdin: "null", stdout: "null", stderr: "null" })
        .spawn();
      const ended = child.status;
      let isOver = false;
      ended.then(() => isOver = true);
      while (!isOver && (!await isThere(folder) || namesIn(folder).length < after)) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      child.kill("SIGKILL");
      await ended;
    }
    const { commit } = await repository.head();
    await Promise.all(Array.from({ length: 12 }, (_, i) =>
      repository.addWorktree({ path: join(folder, `k${i}`), branch: `gocore/orch/k${i}`, base: commit })));
    for (let i = 0; i < 12; i++) {
      await assertComplete(scratch, repository, join(folder, `k${i}`), `gocore/orch/k${i}`);
    }
    deepEqual(locksIn(repository.commonDir), []);
  }));

Deno.test("addWorktree() takes over what killed calls of git have left", () =>
  withScratch(async (scratch) => {
    const { dir, git, repository } = scratch;
    const long = new Date(Date.now() - 60_000);
    // Killed before the folder was there, while it was checked out, and while a branch was made.
    await add(scratch, "locked");
    await git("worktree", "lock", "--reason", "initializing", join(dir, "work/locked"));
    await Deno.remove(join(dir, "work/locked"), { recursive: true });
    await git("worktree", "add", "--quiet", "--no-checkout", "-b", "gocore/orch_1/empty", join(dir, "work/empty"));
    const locks = ["worktrees/empty/index.lock", "refs/heads/gocore/orch_1/fresh.lock"];
    for (const lock of locks.map((name) => join(repository.commonDir, name))) {
      await Deno.writeTextFile(lock, "");
      await Deno.utime(lock, long, long);
    }
    for (const name of ["locked", "empty", "fresh"]) {
      const { path, branch } = await add(scratch, name);
      await assertComplete(scratch, repository, path, branch);
    }
    deepEqual(locksIn(repository.commonDir), []);
  }));

Deno.test("addWorktree() gives a former attempt's worktree back with the work in it", () =>
  withScratch(async (scratch) => {
    const { dir, gitIn, write } = scratch;
    const first = await add(scratch, "claude");
    await write({ "new.txt": "work\n" }, first.path);
    await gitIn(first.path, "commit", "--quiet", "--allow-empty", "-m", "More");
    deepEqual(await add(scratch, "claude"), first);
    equal(await Deno.readTextFile(join(first.path, "new.txt")), "work\n");
    // The folder is gone, the branch is not.
    await Deno.remove(join(dir, "work/claude"), { recursive: true });
    deepEqual(await add(scratch, "claude"), first);
    equal(await gitIn(first.path, "log", "--format=%s"), "More\nStart");
  }));

Deno.test("addWorktree() refuses what is not its own", () =>
  withScratch(async (scratch) => {
    const { dir, git, write } = scratch;
    await git("worktree", "add", "--quiet", "-b", "theirs", join(dir, "work/theirs"));
    await rejects(add(scratch, "theirs"), /there is one already, which is not of gocore/);
    await write({ "file": "" }, join(dir, "work/full"));
    await rejects(add(scratch, "full"), /Cannot create the worktree ".*full".*already exists/s);
    await git("branch", "gocore/orch_1/moved");
    await git("commit", "--quiet", "--allow-empty", "-m", "Next");
    await rejects(add(scratch, "moved"), /the branch "gocore\/orch_1\/moved" exists, and does not come from/);
    await git("worktree", "add", "--quiet", "-b", "gocore/orch_1/used", join(dir, "elsewhere"));
    await rejects(add(scratch, "used"), /elsewhere" has the branch "gocore\/orch_1\/used" already/);
    await rejects(add(scratch, "-x y"), /needs a name for its branch, found/);
    await rejects(add(scratch, "z", "--help"), /needs a commit, found no "--help"/);
    deepEqual(namesIn(join(dir, "work")), ["full", "theirs"]);
  }));

Deno.test("removeWorktree() keeps the work, the branch and everybody else's worktree", () =>
  withScratch(async (scratch) => {
    const { dir, git, repository, write } = scratch;
    const [one, other] = await Promise.all([add(scratch, "one"), add(scratch, "other")]);
    await write({ "new.txt": "work\n", "sub/deep.txt": "deep\n", "x.ignored": "" }, one.path);
    await Deno.mkdir(join(one.path, "read-only"));
    await Deno.writeTextFile(join(one.path, "read-only/f"), "f\n");
    await Deno.chmod(join(one.path, "read-only"), 0o500);
    const saved = (await repository.removeWorktree(one, "refs/gocore/orch_1/one"))!;
    deepEqual({ ref: saved.ref, files: saved.files, missing: saved.missing }, {
      ref: "refs/gocore/orch_1/one",
      files: 3,
      missing: [],
    });
    equal(await git("show", `${saved.commit}:sub/deep.txt`), "deep");
    equal(await repository.findWorktree(one.path), undefined);
    deepEqual(namesIn(join(dir, "work")), ["other"]);
    equal(await git("branch", "--list", "--format=%(refname:lstrip=2)", "gocore/*"), `${one.branch}\n${other.branch}`);
    deepEqual(await repository.findWorktree(other.path), other);
    // Again, as after a kill between the two.
    equal(await repository.removeWorktree(one, "refs/gocore/orch_1/one"), undefined);
    equal(await repository.removeWorktree(other, "refs/gocore/orch_1/other"), undefined);
    deepEqual(namesIn(join(dir, "work")), []);
    deepEqual(await isThere(join(repository.commonDir, "worktrees/one")), false);
  }));

Deno.test("removeWorktree() never takes the checkout, a stranger's folder, or another repository's worktree", () =>
  withScratch(async (scratch) => {
    const { dir, root, git, gitIn, repository, write } = scratch;
    const { commit: base } = await repository.head();
    await write({ "file": "" }, join(dir, "stranger"));
    await gitIn(dir, "clone", "--quiet", root, join(dir, "clone"));
    await gitIn(join(dir, "clone"), "worktree", "add", "--quiet", "-b", "b", join(dir, "cloned"));
    for (const path of [root, join(dir, "stranger"), join(dir, "clone"), join(dir, "cloned")]) {
      await rejects(
        repository.removeWorktree({ path, branch: "main", base }, "refs/gocore/x"),
        /it is no worktree of this repository/,
      );
      ok(await isThere(path));
    }
    const link = join(dir, "link");
    const real = await add(scratch, "real");
    await Deno.rename(real.path, join(dir, "moved"));
    await Deno.symlink(join(dir, "stranger"), real.path);
    await rejects(repository.removeWorktree(real, "refs/gocore/x"), /it is no worktree of this repository/);
    ok(await isThere(join(dir, "stranger/file")));
    equal(await isThere(link), false);
    equal(await git("for-each-ref", "refs/gocore"), "");
  }));

Deno.test("removeWorktree() works when the agent has destroyed .git", () =>
  withScratch(async (scratch) => {
    const { git, repository, write } = scratch;
    const worktree = await add(scratch, "vandal");
    await Deno.remove(join(worktree.path, ".git"));
    await write({ "work.txt": "work\n", ".git/config": "[core]\n\tworktree = /\n" }, worktree.path);
    const { commit } = (await repository.removeWorktree(worktree, "refs/gocore/vandal"))!;
    equal(await git("diff", "--name-only", "HEAD", commit), "work.txt");
    equal(await isThere(worktree.path), false);
  }));

Deno.test("addDetached() shows a commit without a branch, again after a kill, and discardWorktree() takes only such", () =>
  withScratch(async (scratch) => {
    const { dir, git, gitIn, repository } = scratch;
    const path = join(dir, "reviews/r1/tree");
    const { commit } = await repository.head();
    const worktree = { path, branch: "", base: commit };
    deepEqual(await repository.addDetached({ path, commit }), worktree);
    await Deno.writeTextFile(join(path, "a.txt"), "scribble\n");
    deepEqual(await repository.addDetached({ path, commit }), worktree);
    equal(
      await gitIn(path, "status", "--porcelain=v2", "--branch"),
      `# branch.oid ${commit}\n# branch.head (detached)`,
    );
    equal(await repository.findWorktree(path), undefined);
    await repository.discardWorktree(worktree);
    await repository.discardWorktree(worktree);
    equal(await isThere(path), false);
    equal((await git("worktree", "list")).split("\n").length, 1);
    const real = await add(scratch, "real");
    await rejects(repository.discardWorktree(real), /it may have work in it/);
    ok(await isThere(join(real.path, "a.txt")));
  }));
