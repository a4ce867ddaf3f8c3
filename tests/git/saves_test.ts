import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { type Scratch, withScratch } from "./scratch_repository.ts";

const add = ({ dir, repository }: Scratch, name: string) =>
  repository.addWorktree({ path: join(dir, "work", name), branch: `gocore/orch_1/${name}`, base: "HEAD" });

/** `mode path` of every file of a commit. */
const filesOf = async ({ git }: Scratch, commit: string) =>
  (await git("ls-tree", "-r", "--format=%(objectmode) %(path)", commit)).split("\n");

Deno.test("snapshot() keeps files as they are and touches neither index, files nor HEAD", () =>
  withScratch(async (scratch) => {
    const { root, git, repository, write } = scratch;
    const { commit: head } = await repository.head();
    equal(await repository.snapshot("Nothing"), head);
    await write({ "staged.txt": "1\n", "secret.ignored": "", ".miniswe/configs/.env": "KEY=1", ".gocore/x": "" });
    await write({ ".gocore-task/issue.md": "" });
    await git("add", "staged.txt");
    await write({ "staged.txt": "2\n", "a.txt": "changed\n", 'new/über \n"x".txt': "new\n" });
    await Deno.remove(join(root, "bin/run"));
    await Deno.symlink("/etc/passwd", join(root, "link"));
    const before = await git("status", "--porcelain=v2");
    const index = await Deno.readFile(join(root, ".git/index"));
    const commit = await repository.snapshot("State\n\n# kept as it is");
    deepEqual(await filesOf(scratch, commit), [
      "100644 .gitignore",
      "100644 a.txt",
      "120000 link",
      '100644 "new/\\303\\274ber \\n\\"x\\".txt"',
      "100644 staged.txt",
    ]);
    equal(await git("show", `${commit}:staged.txt`), "2");
    equal(
      await git("show", "--no-patch", "--format=%P|%an <%ae>|%cn <%ce>|%B", commit),
      `${head}|Pat Person <pat@example.org>|Pat Person <pat@example.org>|State\n\n# kept as it is\n`,
    );
    deepEqual(await Deno.readFile(join(root, ".git/index")), index);
    equal(await git("status", "--porcelain=v2"), before);
    deepEqual(await repository.head(), { commit: head, branch: "main" });
    equal(await repository.isClean(), false);
  }));

Deno.test("snapshot() finds a file that changed in the moment of the commit, at the same size", () =>
  withScratch(async ({ git, repository, write }) => {
    for (let i = 0; i < 5; i++) {
      await write({ "a.txt": `${i}\n` });
      await git("add", "a.txt");
      await git("commit", "--quiet", "-m", "Next");
      await write({ "a.txt": `${i + 1}\n` });
      equal(await git("show", `${await repository.snapshot("x")}:a.txt`), `${i + 1}`);
    }
  }));

Deno.test("isClean() does not count what agents keep for themselves", () =>
  withScratch(async ({ repository, write }) => {
    equal(await repository.isClean(), true);
    await write({ ".miniswe/log": "", ".gocore/log": "", ".gocore-task/issue.md": "", "x.ignored": "" });
    equal(await repository.isClean(), true);
    await write({ "sub/new": "" });
    equal(await repository.isClean(), false);
  }));

Deno.test("save() keeps whatever state a worktree is in, and an earlier save stays reachable", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, repository, write } = scratch;
    const worktree = await add(scratch, "claude");
    const ref = "refs/gocore/orch_1/claude";
    equal(await repository.save(worktree, ref), undefined);
    equal(await git("for-each-ref", "refs/gocore"), "");

    await write({ "a.txt": "agent\n", "new.txt": "1\n" }, worktree.path);
    const first = (await repository.save(worktree, ref))!;
    deepEqual({ ...first, commit: "" }, { ref, commit: "", files: 2, missing: [] });
    deepEqual(await repository.save(worktree, ref), first);
    equal(await gitIn(worktree.path, "status", "--porcelain"), " M a.txt\n?? new.txt");

    // A merge with a conflict, half-done, and a lock of a git that was killed.
    await gitIn(worktree.path, "commit", "--quiet", "-am", "Agent");
    await write({ "a.txt": "main\n" });
    await git("commit", "--quiet", "-am", "Main");
    await rejects(gitIn(worktree.path, "merge", "main"));
    await Deno.writeTextFile(join(repository.commonDir, "worktrees/claude/index.lock"), "");
    await Deno.remove(join(worktree.path, "new.txt"));
    const second = (await repository.save(worktree, ref))!;
    deepEqual({ ...second, commit: "" }, { ref, commit: "", files: 1, missing: [] });
    ok((await git("show", `${second.commit}:a.txt`)).startsWith("<<<<<<< HEAD\nagent\n"));
    const parents = await git("show", "--no-patch", "--format=%P", second.commit);
    deepEqual(parents.split(" "), [
      await gitIn(worktree.path, "rev-parse", "HEAD"),
      await git("rev-parse", "main"),
      first.commit,
    ]);
    deepEqual(await repository.listSaved(), [second]);
    equal(await git("show", `${first.commit}:new.txt`), "1");
  }));

Deno.test("save() keeps commits that an agent has made beside its branch", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, repository, write } = scratch;
    const worktree = await add(scratch, "codex");
    await gitIn(worktree.path, "switch", "--quiet", "--detach");
    await write({ "new.txt": "1\n" }, worktree.path);
    await gitIn(worktree.path, "add", "-A");
    await gitIn(worktree.path, "commit", "--quiet", "-m", "Loose");
    const saved = (await repository.removeWorktree(worktree, "refs/gocore/orch_1/codex"))!;
    equal(
      await git("log", "--format=%s", saved.ref),
      "State of gocore/orch_1/codex\nLoose\nStart",
    );
    equal(await git("rev-parse", `refs/heads/${worktree.branch}`), worktree.base);
  }));

Deno.test("save() keeps repositories within the worktree as files and history, without running git in them", () =>
  withScratch(async (scratch) => {
    const { dir, git, gitIn, repository, write } = scratch;
    const worktree = await add(scratch, "nested");
    const evil = join(dir, "evil");
    for (const name of ["made", "empty"]) {
      const folder = join(worktree.path, "sub", name);
      await write({ "work.txt": "work\n" }, folder);
      await gitIn(folder, "init", "--quiet");
      await gitIn(folder, "config", "core.fsmonitor", `touch ${evil}; false`);
      if (name === "made") await gitIn(folder, "-c", "core.fsmonitor=false", "add", "-A");
      if (name === "made") await gitIn(folder, "-c", "core.fsmonitor=false", "commit", "--quiet", "-m", "Inner");
    }
    await Deno.remove(evil).catch(() => {});
    const saved = (await repository.removeWorktree(worktree, "refs/gocore/nested"))!;
    deepEqual(saved.missing, []);
    equal(await git("show", `${saved.ref}:sub/empty/work.txt`), "work");
    equal(await git("show", `${saved.ref}:sub/made/work.txt`), "work");
    // The history can be used again.
    await git("worktree", "add", "--quiet", "--detach", join(dir, "back"), saved.ref);
    equal(await gitIn(dir, "--git-dir", join(dir, "back/sub/made.git"), "log", "--format=%s"), "Inner");
    equal(await Deno.lstat(evil).then(() => true, () => false), false);
  }));

Deno.test("save() names the files that it cannot keep, and removeWorktree() then removes nothing", () =>
  withScratch(async (scratch) => {
    const { git, repository, write } = scratch;
    const worktree = await add(scratch, "odd");
    // git takes no such name, because on another system it would be the repository itself.
    await write({ "good.txt": "1\n", "git~1": "2\n" }, worktree.path);
    const saved = (await repository.save(worktree, "refs/gocore/odd"))!;
    deepEqual(saved.missing, ["git~1"]);
    equal(await git("show", "refs/gocore/odd:good.txt"), "1");
    const refused = repository.removeWorktree(worktree, "refs/gocore/odd");
    await rejects(refused, /1 files in it cannot be saved, such as "git~1"/);
    equal(await Deno.readTextFile(join(worktree.path, "git~1")), "2\n");
    await Deno.remove(join(worktree.path, "good.txt"));
    await rejects(repository.removeWorktree(worktree, "refs/gocore/odd2"), /cannot be saved, such as "git~1"/);
  }));

Deno.test("save() refuses a ref that is not below refs/gocore/", () =>
  withScratch(async (scratch) => {
    const worktree = await add(scratch, "x");
    for (const ref of ["refs/heads/main", "main", "refs/gocore/", "refs/gocore/a..b", "refs/gocore/../heads/main"]) {
      await rejects(scratch.repository.save(worktree, ref), /needs a ref below "refs\/gocore\/", found/);
    }
  }));

Deno.test("save() of the checkout itself leaves worktrees within it alone", () =>
  withScratch(async (scratch) => {
    const { root, repository, write } = scratch;
    const { commit: base } = await repository.head();
    await repository.addWorktree({ path: join(root, "workspace/w"), branch: "gocore/w", base });
    await write({ "new.txt": "1\n" });
    const target = { path: root, branch: "", base };
    const saved = (await repository.save(target, "refs/gocore/target"))!;
    deepEqual({ ...saved, commit: "" }, { ref: "refs/gocore/target", commit: "", files: 1, missing: [] });
    const { files } = await repository.changes(target, { since: base, maxBytes: 1000 });
    deepEqual(files, [{ path: "new.txt", added: 1, deleted: 0 }]);
    await rejects(repository.removeWorktree(target, "refs/gocore/target"), /it is no worktree of this repository/);
  }));

Deno.test("save() gives every file back, whatever its name and bytes", () =>
  withScratch(async (scratch) => {
    const { repository, git } = scratch;
    const worktree = await add(scratch, "any");
    const name = fc.string({ unit: "binary", minLength: 1, maxLength: 20 })
      .filter((text) => !/[\0/]/.test(text) && text.isWellFormed() && !/^\.|~\d|\.ignored$/.test(text));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, fc.uint8Array()), { selector: ([name]) => name, maxLength: 5 }),
        async (files) => {
          const folder = join(worktree.path, `round${round++}`);
          await Deno.mkdir(folder);
          for (const [name, bytes] of files) await Deno.writeFile(join(folder, name), bytes);
          const saved = await repository.save(worktree, "refs/gocore/any");
          if (saved === undefined) return;
          deepEqual(saved.missing, []);
          const tree = await git("ls-tree", "-z", "--name-only", saved.commit, `round${round - 1}/`);
          const found = tree.split("\0").slice(0, -1).map((path) => path.slice(path.indexOf("/") + 1));
          deepEqual(new Set(found), new Set(files.map(([name]) => name)));
        },
      ),
      { numRuns: 15 },
    );
  }));
