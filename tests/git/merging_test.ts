import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { openRepository } from "../../src/git/open_repository.ts";
import type { Repository, Worktree } from "../../src/git/repository.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { type Scratch, withScratch } from "./scratch_repository.ts";

interface Branches {
  readonly ours: Worktree;
  readonly theirs: Worktree;
}

/** Two worktrees that have committed these files, both from the start. */
async function diverge(
  { dir, repository, write }: Scratch,
  ours: Readonly<Record<string, string>>,
  theirs: Readonly<Record<string, string>>,
): Promise<Branches> {
  const add = async (name: string, files: Readonly<Record<string, string>>) => {
    const path = join(dir, "work", name);
    const worktree = await repository.addWorktree({ path, branch: `gocore/orch/${name}`, base: "main" });
    await write(files, path);
    await repository.commitAll(worktree, `By ${name}`);
    return worktree;
  };
  return { ours: await add("ours", ours), theirs: await add("theirs", theirs) };
}

const CLASH = [{ "a.txt": "ours\n2\n3\n4\n5\n", "o.txt": "o\n" }, {
  "a.txt": "theirs\n2\n3\n4\n5\n",
  "t.txt": "t\n",
}] as const;

/** The same with a git that has no `merge-tree --write-tree`. */
async function withOldGit({ dir, root, env }: Scratch): Promise<Repository> {
  const real = (await runCommand(["sh", "-c", "command -v git"], {
    cwd: "/",
    env,
    timeoutMs: 1e5,
    signal: new AbortController().signal,
  })).output.trim();
  await Deno.mkdir(join(dir, "old"));
  const script = `#!/bin/sh
case "$1" in
  --version) echo "git version 2.34.1" ;;
  merge-tree) echo "usage: git merge-tree <base-tree> <branch1> <branch2>" >&2; exit 129 ;;
  *) exec ${real} "$@" ;;
esac
`;
  await Deno.writeTextFile(join(dir, "old/git"), script, { mode: 0o755 });
  return (await openRepository(root, { env: { ...env, PATH: `${join(dir, "old")}:${env.PATH}` }, run: runCommand }))!;
}

for (const isOld of [false, true]) {
  const test = (name: string, work: (scratch: Scratch) => Promise<void>) =>
    Deno.test(
      isOld ? `${name}, with an old git` : name,
      () =>
        withScratch(async (scratch) => work(isOld ? { ...scratch, repository: await withOldGit(scratch) } : scratch)),
    );

  test("merge() joins what does not conflict with two parents, and says which files came", async (scratch) => {
    const { git, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, { "o.txt": "o\n" }, {
      "a.txt": "1\n2\n3\n4\nfive\n",
      "ü \n.txt": "t\n",
    });
    const message = "Merge theirs\n\n# not a comment";
    const outcome = await repository.merge(ours, theirs.branch, message);
    const commit = await git("rev-parse", ours.branch);
    deepEqual(outcome, { kind: "merged", commit, files: ["a.txt", "ü \n.txt"] });
    equal(await git("show", "--no-patch", "--format=%B", commit), `${message}\n`);
    equal((await git("rev-parse", `${commit}^1`, `${commit}^2`)).split("\n").length, 2);
    equal(await Deno.readTextFile(join(ours.path, "ü \n.txt")), "t\n");
    deepEqual(await repository.merge(ours, theirs.branch, "Again"), { kind: "nothing" });
  });

  test("merge() makes a commit of its own where git would only move the branch", async (scratch) => {
    const { git, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, {}, { "t.txt": "t\n" });
    equal((await repository.merge(ours, theirs.branch, "Join")).kind, "merged");
    equal(await git("log", "-1", "--format=%s", ours.branch), "Join");
  });

  test("merge() and wouldConflict() name the files in conflict and leave everything as it was", async (scratch) => {
    const { git, gitIn, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, ...CLASH);
    const before = [await git("rev-parse", ours.branch), await Deno.readTextFile(join(ours.path, "a.txt"))];
    deepEqual(await repository.wouldConflict(ours.branch, theirs.branch), ["a.txt"]);
    deepEqual(await repository.wouldConflict("main", theirs.branch), []);
    deepEqual(await repository.merge(ours, theirs.branch, "x"), {
      kind: "conflict",
      files: ["a.txt"],
      detail: "CONFLICT (content): Merge conflict in a.txt",
    });
    deepEqual([await git("rev-parse", ours.branch), await Deno.readTextFile(join(ours.path, "a.txt"))], before);
    equal(await gitIn(ours.path, "status", "--porcelain"), "");
    equal((await git("worktree", "list")).split("\n").length, 3);
  });

  test("finishMerge() waits for the markers to go, then commits both sides", async (scratch) => {
    const { git, repository, write } = scratch;
    const { ours, theirs } = await diverge(scratch, ...CLASH);
    const begun = await repository.beginMerge(ours, theirs.branch);
    deepEqual(begun, { kind: "conflict", files: ["a.txt"], detail: "CONFLICT (content): Merge conflict in a.txt" });
    const open = {
      kind: "conflict",
      files: ["a.txt"],
      detail: "These files have conflict markers, or are not staged as resolved",
    };
    deepEqual(await repository.finishMerge(ours, "Joined"), open);
    await write({ "a.txt": "both\n2\n3\n4\n5\n", "extra.txt": "e\n" }, ours.path);
    const outcome = await repository.finishMerge(ours, "Joined");
    const commit = await git("rev-parse", ours.branch);
    deepEqual(outcome, { kind: "merged", commit, files: ["a.txt", "extra.txt", "t.txt"] });
    equal(await git("rev-parse", `${commit}^2`), await git("rev-parse", theirs.branch));
    deepEqual(await repository.finishMerge(ours, "Again"), { kind: "nothing" });
  });
}

Deno.test("finishMerge() sees markers that were staged or committed, and a merge that was given up", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, repository, write } = scratch;
    const { ours, theirs } = await diverge(scratch, ...CLASH);
    const { path } = ours;
    await repository.beginMerge(ours, theirs.branch);
    await gitIn(path, "add", "-A");
    deepEqual((await repository.finishMerge(ours, "x")).kind, "conflict");
    await gitIn(path, "commit", "--quiet", "-m", "With markers");
    deepEqual((await repository.finishMerge(ours, "x")).kind, "conflict");
    await write({ "a.txt": "both\n" }, path);
    const outcome = await repository.finishMerge(ours, "Cleaned");
    deepEqual(outcome, { kind: "merged", commit: await git("rev-parse", ours.branch), files: ["a.txt", "t.txt"] });

    await gitIn(path, "reset", "--quiet", "--hard", "HEAD~2");
    await repository.beginMerge(ours, theirs.branch);
    await gitIn(path, "merge", "--abort");
    deepEqual(await repository.finishMerge(ours, "x"), {
      kind: "conflict",
      files: ["a.txt"],
      detail: "The merge was given up: what it was to bring is not there",
    });
  }));

Deno.test("finishMerge() asks for a decision where there are no markers", () =>
  withScratch(async (scratch) => {
    const { gitIn, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, { "x.bin": "\0o" }, { "x.bin": "\0t", "a.txt": "changed\n" });
    await gitIn(ours.path, "rm", "--quiet", "a.txt");
    await gitIn(ours.path, "commit", "--quiet", "-m", "Without");
    const begun = await repository.beginMerge(ours, theirs.branch);
    deepEqual(begun.kind === "conflict" && begun.files, ["a.txt", "x.bin"]);
    const open = await repository.finishMerge(ours, "x");
    deepEqual(open.kind === "conflict" && [...open.files].sort(), ["a.txt", "x.bin"]);
    await Deno.remove(join(ours.path, "a.txt"));
    await gitIn(ours.path, "add", "x.bin");
    equal((await repository.finishMerge(ours, "x")).kind, "merged");
  }));

Deno.test("abortMerge() brings the files back, also when nothing is begun", () =>
  withScratch(async (scratch) => {
    const { gitIn, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, ...CLASH);
    await repository.abortMerge(ours);
    await repository.beginMerge(ours, theirs.branch);
    await repository.abortMerge(ours);
    equal(await gitIn(ours.path, "status", "--porcelain"), "");
    deepEqual(await repository.finishMerge(ours, "x"), { kind: "nothing" });
  }));

Deno.test("merge() refuses changes that would be lost, and another branch than the worktree's", () =>
  withScratch(async (scratch) => {
    const { gitIn, repository, write } = scratch;
    const { ours, theirs } = await diverge(scratch, {}, { "a.txt": "t\n" });
    await write({ "a.txt": "not committed\n" }, ours.path);
    await rejects(repository.merge(ours, theirs.branch, "x"), /Cannot merge into .*would be overwritten by merge/s);
    equal(await Deno.readTextFile(join(ours.path, "a.txt")), "not committed\n");
    await rejects(repository.merge(ours, "no-such", "x"), /needs a commit, found no "no-such"/);
    await gitIn(ours.path, "switch", "--quiet", "-c", "mine");
    await rejects(repository.merge(ours, theirs.branch, "x"), /needs that branch in .*, found "refs\/heads\/mine"/);
  }));

Deno.test("merge() takes the branch, not what was saved under a like name", () =>
  withScratch(async (scratch) => {
    const { repository, write } = scratch;
    const { ours, theirs } = await diverge(scratch, {}, { "t.txt": "t\n" });
    await write({ "draft.txt": "d\n" }, theirs.path);
    await repository.save(theirs, `refs/${theirs.branch}`);
    const outcome = await repository.merge(ours, theirs.branch, "x");
    deepEqual(outcome.kind === "merged" && outcome.files, ["t.txt"]);
  }));

Deno.test("commitAll() ends a half-done rebase on the branch, with the work of both sides in its history", () =>
  withScratch(async (scratch) => {
    const { git, gitIn, repository } = scratch;
    const { ours, theirs } = await diverge(scratch, ...CLASH);
    await rejects(gitIn(ours.path, "rebase", theirs.branch));
    const tip = await git("rev-parse", ours.branch);
    const commit = (await repository.commitAll(ours, "As it is"))!;
    equal(
      await gitIn(ours.path, "status", "--porcelain=v2", "--branch"),
      `# branch.oid ${commit}\n# branch.head ${ours.branch}`,
    );
    deepEqual(
      await git("rev-list", "--parents", "-1", commit),
      `${commit} ${theirs.base === tip ? "" : await git("rev-parse", theirs.branch)} ${tip}`,
    );
    ok(!(await gitIn(ours.path, "status")).includes("rebase"));
    equal(await repository.commitAll(ours, "Nothing"), undefined);
  }));

Deno.test("commitAll() leaves out what agents keep for themselves, ignored files and repositories", () =>
  withScratch(async (scratch) => {
    const { dir, git, gitIn, repository, write } = scratch;
    const path = join(dir, "work/w");
    const worktree = await repository.addWorktree({ path, branch: "gocore/w", base: "main" });
    await write({ ".gocore/x": "", ".miniswe/y": "", "z.ignored": "", "sub/repo/f": "" }, path);
    await gitIn(join(path, "sub/repo"), "init", "--quiet");
    equal(await repository.commitAll(worktree, "x"), undefined);
    await write({ "work.txt": "" }, path);
    const commit = await repository.commitAll(worktree, "Work");
    equal(await git("diff", "--name-only", "main", commit!), "work.txt");
    equal(await repository.headOf(worktree), commit);
  }));

Deno.test("fastForward() moves branch and files, or touches nothing", () =>
  withScratch(async (scratch) => {
    const { root, git, repository, write } = scratch;
    const { theirs } = await diverge(scratch, {}, { "a.txt": "new\n", "t.txt": "t\n", "k.ignored": "" });
    await Deno.writeTextFile(join(theirs.path, "k.ignored"), "theirs\n");
    await scratch.gitIn(theirs.path, "add", "--force", "k.ignored");
    await repository.commitAll(theirs, "Ignored");
    const commit = await git("rev-parse", theirs.branch);
    const { commit: before } = await repository.head();
    const refused = async (files: Readonly<Record<string, string>>) => {
      await write(files);
      equal(await repository.fastForward(commit), false);
      for (const [name, text] of Object.entries(files)) equal(await Deno.readTextFile(join(root, name)), text);
      deepEqual(await repository.head(), { commit: before, branch: "main" });
    };
    await refused({ "a.txt": "dirty\n" });
    await git("checkout", "--quiet", "a.txt");
    await refused({ "t.txt": "untracked\n" });
    await Deno.remove(join(root, "t.txt"));
    await refused({ "k.ignored": "mine\n" });
    await Deno.remove(join(root, "k.ignored"));
    await write({ "other.txt": "mine\n" });
    equal(await repository.fastForward(commit), true);
    equal(await git("status", "--porcelain"), "?? other.txt");
    deepEqual(await repository.head(), { commit, branch: "main" });
    equal(await repository.fastForward(commit), true);
    await git("commit", "--quiet", "--allow-empty", "-m", "Away");
    await write({ "more.txt": "" }, theirs.path);
    equal(await repository.fastForward((await repository.commitAll(theirs, "More"))!), false);
  }));
