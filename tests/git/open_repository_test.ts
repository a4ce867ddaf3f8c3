import {
  deepStrictEqual as deepEqual,
  notStrictEqual as notEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { join } from "node:path";
import { Failure } from "../../src/failure.ts";
import { openRepository } from "../../src/git/open_repository.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { inTempDir } from "../support/temp_dir.ts";
import { environmentFor, withScratch } from "./scratch_repository.ts";

const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);

Deno.test("openRepository() finds the checkout from any folder of it, and nothing where there is none", () =>
  withScratch(async ({ dir, root, env, gitIn }) => {
    const inner = (await openRepository(join(root, "bin"), { env, run: runCommand }))!;
    deepEqual([inner.root, inner.commonDir], [root, join(root, ".git")]);
    equal(await openRepository(dir, { env, run: runCommand }), undefined);
    await gitIn(dir, "init", "--quiet", "--bare", "bare.git");
    for (const own of [join(root, ".git"), join(root, ".git/refs"), join(dir, "bare.git")]) {
      await rejects(openRepository(own, { env, run: runCommand }), /need a checkout, found git's own folder/);
    }
    await rejects(openRepository(join(dir, "none"), { env, run: runCommand }), /the folder does not exist/);
  }));

Deno.test("openRepository() works in a worktree, with a line end in its name, and shares the common folder", () =>
  withScratch(async ({ dir, root, env, git }) => {
    const path = join(dir, "odd\n name");
    await git("worktree", "add", "--quiet", "-b", "odd", path);
    const repository = (await openRepository(path, { env, run: runCommand }))!;
    deepEqual([repository.root, repository.commonDir], [path, join(root, ".git")]);
    deepEqual((await repository.head()).branch, "odd");
    const made = await repository.addWorktree({ path: join(dir, "made\n"), branch: "gocore/made", base: "HEAD" });
    deepEqual(await repository.findWorktree(join(dir, "made\n")), made);
  }));

Deno.test("openRepository() says what to do without git, with an old one, and before the first commit", () =>
  inTempDir(async (dir) => {
    const env = environmentFor(dir);
    const failure = async (work: Promise<unknown>) => {
      const error = await work.then(() => undefined, (error) => error);
      ok(error instanceof Failure);
      return [error.kind, error.message.replaceAll(dir, "DIR"), error.hints.length];
    };
    const without = openRepository(dir, { env: { ...env, PATH: dir }, run: runCommand });
    deepEqual(await failure(without), ["environment", 'Cannot run "git": no such program, or it is not executable', 1]);
    await Deno.writeTextFile(join(dir, "git"), "#!/bin/sh\necho git version 2.17.1\n", { mode: 0o755 });
    const old = openRepository(dir, { env: { ...env, PATH: dir }, run: runCommand });
    const message = 'Cannot use git: needs 2.34 or later, found "git version 2.17.1"';
    deepEqual(await failure(old), ["environment", message, 1]);
    await Deno.remove(join(dir, "git"));
    const signal = new AbortController().signal;
    await runCommand(["git", "init", "--quiet", "."], { cwd: dir, env, timeoutMs: 100_000, signal });
    const empty = (await openRepository(dir, { env, run: runCommand }))!;
    const found = 'Cannot use the repository "DIR": it has no commit yet';
    deepEqual(await failure(empty.head()), ["environment", found, 1]);
  }));

Deno.test("a repository stops with the reason of its signal", () =>
  withScratch(async ({ root, env }) => {
    const controller = new AbortController();
    const repository = (await openRepository(root, { env, run: runCommand, signal: controller.signal }))!;
    const reason = new Error("enough");
    controller.abort(reason);
    await rejects(repository.head(), reason);
  }));

Deno.test("commits are gocore's own when the person has no identity", () =>
  withScratch(async ({ dir, root, env, git, write }) => {
    await Deno.writeTextFile(join(dir, "home/.gitconfig"), "");
    const repository = (await openRepository(root, { env, run: runCommand }))!;
    await write({ "new.txt": "" });
    const commit = await repository.snapshot("State");
    equal(
      await git("show", "--no-patch", "--format=%an <%ae> %cn <%ce>", commit),
      "gocore <gocore@localhost> gocore <gocore@localhost>",
    );
  }));

Deno.test("what the person ignores everywhere is not kept", () =>
  withScratch(async ({ dir, root, env, write }) => {
    await write({ ".gitconfig": "[core]\n\texcludesFile = ~/ignore\n", "ignore": "*.private\n" }, join(dir, "home"));
    await write({ "x.private": "secret" });
    const repository = (await openRepository(root, { env, run: runCommand }))!;
    equal(await repository.isClean(), true);
  }));

Deno.test("a repository of another user can be opened by its name", {
  // Only root can give files away.
  ignore: Deno.uid() !== 0,
}, () =>
  withScratch(async ({ root, env, gitIn, repository }) => {
    await Deno.chown(root, 12345, 12345);
    await Deno.chown(join(root, ".git"), 12345, 12345);
    await rejects(gitIn(root, "status"), /dubious ownership/);
    const other = (await openRepository(root, { env, run: runCommand }))!;
    deepEqual(await other.head(), await repository.head());
    equal(await other.isClean(), true);
  }));

Deno.test("nothing that a repository's settings name is run, neither hook nor filter, driver, monitor or editor", () =>
  withScratch(async ({ dir, root, env, git, write }) => {
    const evil = join(dir, "evil");
    const trap = `touch ${evil};`;
    await write({ ".gitattributes": "* filter=evil diff=evil merge=evil\n" });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", "Attributes");
    for (const key of ["filter.evil.clean", "filter.evil.smudge", "filter.e=vil.clean", "diff.evil.textconv"]) {
      await git("config", key, `${trap} cat`);
    }
    const programs = ["filter.evil.process", "diff.evil.command", "diff.external", "core.fsmonitor", "core.editor"];
    const more = [
      "merge.evil.driver",
      "core.pager",
      "gpg.program",
      "core.sshCommand",
      "sequence.editor",
      "core.alternateRefsCommand",
    ];
    for (const key of [...programs, ...more]) await git("config", key, `${trap} false`);
    for (
      const [key, value] of [["filter.evil.required", "true"], ["commit.gpgSign", "true"], ["rerere.enabled", "true"]]
    ) {
      await git("config", key!, value!);
    }
    await git("config", "core.hooksPath", join(dir, "hooks"));
    for (const folder of [join(dir, "hooks"), join(root, ".git/hooks")]) {
      await Deno.mkdir(folder, { recursive: true });
      for (
        const hook of [
          "post-checkout",
          "pre-commit",
          "commit-msg",
          "post-merge",
          "pre-merge-commit",
          "reference-transaction",
          "post-index-change",
        ]
      ) {
        await Deno.writeTextFile(join(folder, hook), `#!/bin/sh\n${trap}\nexit 1\n`, { mode: 0o755 });
      }
    }
    await Deno.remove(evil).catch(() => {});

    const repository = (await openRepository(root, { env, run: runCommand }))!;
    const add = (name: string) =>
      repository.addWorktree({ path: join(dir, name), branch: `gocore/${name}`, base: "HEAD" });
    const [one, other] = [await add("one"), await add("other")];
    await write({ "a.txt": "one\n2\n3\n4\n5\n" }, one.path);
    await write({ "a.txt": "1\n2\n3\n4\nother\n", "b.txt": "b\n" }, other.path);
    await repository.fingerprint(one);
    equal((await repository.changes(one, { since: "HEAD", maxBytes: 10_000 })).files.length, 1);
    await repository.commitAll(one, "One");
    await repository.commitAll(other, "Other");
    deepEqual(await repository.wouldConflict(one.branch, other.branch), []);
    // The driver of the settings is replaced by the merge that git does itself.
    equal((await repository.merge(one, other.branch, "Both")).kind, "merged");
    equal(await Deno.readTextFile(join(one.path, "a.txt")), "one\n2\n3\n4\nother\n");
    await write({ "c.txt": "c\n" }, one.path);
    await repository.removeWorktree(one, "refs/gocore/one-state");
    equal(await repository.fastForward(one.branch), true);
    await repository.snapshot("x");
    equal(await isThere(evil), false);
  }));

Deno.test("openRepository() refuses a repository whose settings lead to other files", () =>
  withScratch(async ({ dir, root, env, git }) => {
    await Deno.mkdir(join(dir, "private"));
    await git("config", "core.worktree", join(dir, "private"));
    await rejects(openRepository(root, { env, run: runCommand }), /(its files are in ".*private")/);
  }));

Deno.test("an agent that rewrites its .git cannot lead git elsewhere", () =>
  withScratch(async ({ dir, env, git, gitIn, repository, write }) => {
    const evil = join(dir, "evil");
    const worktree = await repository.addWorktree({ path: join(dir, "w"), branch: "gocore/w", base: "HEAD" });
    const admin = join(repository.commonDir, "worktrees/w");
    await gitIn(dir, "init", "--quiet", "fake");
    await gitIn(join(dir, "fake"), "config", "filter.evil.clean", `touch ${evil}; cat`);
    await write(
      { ".git": `gitdir: ${join(dir, "fake/.git")}\n`, ".gitattributes": "* filter=evil\n", "x": "1\n" },
      worktree.path,
    );
    await Deno.writeTextFile(join(admin, "commondir"), join(dir, "fake/.git") + "\n");
    const { files } = await repository.changes(worktree, { since: "main", maxBytes: 0 });
    deepEqual(files.map(({ path }) => path), [".gitattributes", "x"]);
    const commit = await repository.commitAll(worktree, "Work");
    equal(await git("rev-parse", "gocore/w"), commit);
    equal(await isThere(evil), false);
    // What is no file is not waited for, and what a link leads to not written.
    await Deno.remove(join(admin, "commondir"));
    await write({ "mine": "mine\n" }, dir);
    await Deno.symlink(join(dir, "mine"), join(admin, "commondir"));
    await Deno.remove(join(admin, "index"));
    const signal = new AbortController().signal;
    await runCommand(["mkfifo", join(admin, "index")], { cwd: dir, env, timeoutMs: 100_000, signal });
    await write({ "y": "2\n" }, worktree.path);
    const saved = await repository.save(worktree, "refs/gocore/state-of-w");
    deepEqual([saved?.files, saved?.missing], [3, []]);
    equal(await Deno.readTextFile(join(dir, "mine")), "mine\n");
  }));

Deno.test("an agent that gives the repository another one's settings has no success, whichever checkout it is", () =>
  withScratch(async ({ dir, root, env, git, gitIn }) => {
    const evil = join(dir, "evil");
    await gitIn(dir, "init", "--quiet", "fake");
    await gitIn(join(dir, "fake"), "config", "core.fsmonitor", `touch ${evil};false`);
    const fake = join(dir, "fake/.git");
    const mine = join(dir, "mine");
    await git("worktree", "add", "--quiet", "-b", "mine", mine);
    const admin = join(root, ".git/worktrees/mine");
    const plant = async () => {
      for (const folder of [join(root, ".git"), admin]) {
        await Deno.writeTextFile(join(folder, "commondir"), `${fake}\n`);
      }
    };

    for (const target of [root, mine]) {
      await plant();
      const repository = (await openRepository(target, { env, run: runCommand }))!;
      equal(repository.commonDir, join(root, ".git"));
      await plant();
      await repository.head();
      await repository.findWorktree(join(dir, "none"));
      equal(await isThere(join(root, ".git/commondir")), false);
      equal(await Deno.readTextFile(join(admin, "commondir")), "../..\n");
    }
    await git("status");
    await gitIn(mine, "status");
    equal(await isThere(evil), false);
  }));

Deno.test("changes() counts and shows everything since a commit, cut at a line end", () =>
  withScratch(async ({ dir, root, git, repository, write }) => {
    const worktree = await repository.addWorktree({ path: join(dir, "w"), branch: "gocore/w", base: "HEAD" });
    await write({ "committed.txt": "c\n" }, worktree.path);
    await repository.commitAll(worktree, "Committed");
    await write({ "a.txt": "1\n2\n3\n4\nfünf\n", "-n \t": "x\n", "x.bin": "\0\0", "y.ignored": "" }, worktree.path);
    await Deno.remove(join(worktree.path, "bin/run"));
    const options = { since: worktree.base, maxBytes: 100_000 };
    const { files, diff, isCut } = await repository.changes(worktree, options);
    deepEqual(files, [
      { path: "-n \t", added: 1, deleted: 0 },
      { path: "a.txt", added: 1, deleted: 1 },
      { path: "bin/run", added: 0, deleted: 1 },
      { path: "committed.txt", added: 1, deleted: 0 },
      { path: "x.bin", added: null, deleted: null },
    ]);
    equal(isCut, false);
    ok(diff.includes("-5\n+fünf\n"));
    for (const maxBytes of [0, 1, 50, 120, 300, 301, new TextEncoder().encode(diff).length - 1]) {
      const cut = await repository.changes(worktree, { ...options, maxBytes });
      ok(cut.isCut && diff.startsWith(cut.diff) && (cut.diff === "" || cut.diff.endsWith("\n")));
      const bytes = new TextEncoder().encode(cut.diff).length;
      const next = diff.slice(cut.diff.length).split("\n")[0]!;
      ok(bytes <= maxBytes && (maxBytes === 0 || bytes + new TextEncoder().encode(next).length + 1 > maxBytes));
    }
    // Neither index nor files know about it.
    equal(await git("-C", worktree.path, "diff", "--cached", "--name-only"), "");
    const commit = (await repository.commitAll(worktree, "All"))!;
    deepEqual(await repository.changesBetween(worktree.base, commit, { maxBytes: 100_000 }), { files, diff, isCut });
    equal(root, repository.root);
  }));

Deno.test("fingerprint() changes with the files and the commits, and with nothing else", () =>
  withScratch(async ({ dir, gitIn, repository, write }) => {
    const worktree = await repository.addWorktree({ path: join(dir, "w"), branch: "gocore/w", base: "HEAD" });
    const seen = new Set<string>();
    const look = async () => {
      const now = await repository.fingerprint(worktree);
      equal(await repository.fingerprint(worktree), now);
      const isNew = !seen.has(now);
      seen.add(now);
      return isNew;
    };
    equal(await look(), true);
    await write({ ".miniswe/log": "1", "x.ignored": "1" }, worktree.path);
    equal(await look(), false);
    await write({ "new/file": "1" }, worktree.path);
    equal(await look(), true);
    await write({ "new/file": "22" }, worktree.path);
    equal(await look(), true);
    await write({ "a.txt": "changed\n" }, worktree.path);
    equal(await look(), true);
    const before = await repository.fingerprint(worktree);
    await gitIn(worktree.path, "commit", "--quiet", "-am", "Commit");
    equal(await look(), true);
    notEqual(await repository.fingerprint(worktree), before);
    await gitIn(worktree.path, "commit", "--quiet", "--allow-empty", "-m", "Empty");
    equal(await look(), true);
  }));

Deno.test("lineCount() knows the files of a commit, and nothing else", () =>
  withScratch(async ({ git, repository, write }) => {
    await write({ "two.txt": "1\n2\n", "torn.txt": "1\n2", "empty.txt": "", "folder/ü \n.txt": "\n" });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", "Files");
    await write({ "later.txt": "1\n", "two.txt": "" });
    const { commit } = await repository.head();
    const names = [
      "two.txt",
      "torn.txt",
      "empty.txt",
      "folder",
      "folder/ü \n.txt",
      "later.txt",
      "../x",
      "",
      "two.txt\0",
    ];
    const counts = await Promise.all(names.map((name) => repository.lineCount(commit, name)));
    deepEqual(counts, [2, 2, 0, 0, 1, undefined, undefined, 0, undefined]);
  }));

Deno.test("a sparse checkout stays sparse, and nothing outside of it is lost", () =>
  withScratch(async ({ dir, root, env, git, write }) => {
    await write({ "in/x": "x\n", "out/y": "y\n" });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", "Folders");
    await git("sparse-checkout", "set", "in");
    const repository = (await openRepository(root, { env, run: runCommand }))!;
    equal(await repository.snapshot("x"), (await repository.head()).commit);
    const worktree = await repository.addWorktree({ path: join(dir, "w"), branch: "gocore/w", base: "HEAD" });
    await write({ "in/x": "changed\n", "out/z": "z\n" }, worktree.path);
    const commit = (await repository.commitAll(worktree, "Work"))!;
    equal(await git("diff", "--name-status", "HEAD", commit), "M\tin/x\nA\tout/z");
    equal(await repository.removeWorktree(worktree, "refs/gocore/sparse").then((saved) => saved?.missing.length), 0);
  }));

Deno.test("a repository with submodules works, and work within one is not lost", () =>
  withScratch(async ({ dir, root, env, git, gitIn, write }) => {
    const library = join(dir, "library");
    await gitIn(dir, "init", "--quiet", "library");
    await write({ "lib.txt": "1\n" }, library);
    await gitIn(library, "add", "-A");
    await gitIn(library, "commit", "--quiet", "-m", "Library");
    await git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", library, "lib");
    await git("commit", "--quiet", "-m", "Submodule");
    const repository = (await openRepository(root, { env, run: runCommand }))!;
    await write({ "lib/dirty.txt": "" });
    equal(await repository.isClean(), true);
    equal(await repository.snapshot("x"), (await repository.head()).commit);

    const worktree = await repository.addWorktree({ path: join(dir, "w"), branch: "gocore/w", base: "HEAD" });
    equal(await repository.commitAll(worktree, "x"), undefined);
    await gitIn(worktree.path, "-c", "protocol.file.allow=always", "submodule", "update", "--quiet", "--init");
    await write({ "lib/work.txt": "work\n" }, worktree.path);
    equal(await repository.commitAll(worktree, "x"), undefined);
    const saved = (await repository.removeWorktree(worktree, "refs/gocore/submodule"))!;
    deepEqual(saved.missing, []);
    equal(await git("show", `${saved.ref}:lib/work.txt`), "work");
    equal(await git("show", `${saved.ref}:lib.git/HEAD`), await gitIn(library, "rev-parse", "HEAD"));

    const unfilled = await repository.addWorktree({ path: join(dir, "u"), branch: "gocore/u", base: "HEAD" });
    await write({ "lib/work.txt": "there\n" }, unfilled.path);
    const kept = (await repository.removeWorktree(unfilled, "refs/gocore/unfilled"))!;
    deepEqual([kept.missing, await git("show", `${kept.ref}:lib/work.txt`)], [[], "there"]);
  }));
