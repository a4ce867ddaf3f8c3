import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type History, openHistory } from "../../src/git/history.ts";
import type { RunRepository } from "../../src/manager/ports.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { type Scratch, withScratch } from "./scratch_repository.ts";

const inHistory = (work: (history: RunRepository, scratch: Scratch) => Promise<void>) =>
  withScratch(async (scratch) => {
    const history: History = await openHistory(scratch.repository, { env: scratch.env, run: runCommand });
    await work(history, scratch);
  });

async function commit({ git, write }: Scratch, files: Readonly<Record<string, string>>, message: string) {
  await write(files);
  await git("add", "-A");
  await git("commit", "--quiet", "--allow-empty", "-m", message);
  return await git("rev-parse", "HEAD");
}

Deno.test("resolve() knows branches, tags, hashes and what lies before them, and prefers a branch", () =>
  inHistory(async (history, scratch) => {
    const first = await scratch.git("rev-parse", "HEAD");
    await scratch.git("tag", "v1.0");
    await scratch.git("tag", "-a", "-m", "Annotated", "v1.1");
    const second = await commit(scratch, { "a.txt": "2\n" }, "Second");
    await scratch.git("tag", "twice", first);
    await scratch.git("branch", "twice", second);
    await scratch.git("branch", "feature/ünïcode");
    const found = async (names: readonly string[]) => await Promise.all(names.map((name) => history.resolve(name)));
    deepEqual(await found(["v1.0", "v1.1", "main~1", "HEAD^", first, first.slice(0, 10)]), Array(6).fill(first));
    deepEqual(await found(["HEAD", "main", "twice", "feature/ünïcode", "refs/heads/main"]), Array(5).fill(second));
  }));

Deno.test("resolve() takes no option, path, search, range or time for a name", () =>
  inHistory(async (history) => {
    const hostile = [
      "--all",
      "-h",
      "",
      "HEAD:a.txt",
      "HEAD^{/Start}",
      ":/Start",
      "HEAD@{0}",
      "HEAD..HEAD",
      "main main",
      "main\nmain",
      "$(touch x)",
      "../main",
      "nothing",
      "HEAD~1",
      "main\0",
      "HEAD~" + "9".repeat(30),
      "~".repeat(300),
    ];
    deepEqual(await Promise.all(hostile.map((name) => history.resolve(name))), hostile.map(() => undefined));
  }));

Deno.test("defaultBranch() is that of the remote, as it was fetched, and else a usual name", () =>
  inHistory(async (history, scratch) => {
    const first = await scratch.git("rev-parse", "HEAD");
    deepEqual(await history.defaultBranch(), { name: "main", commit: first });
    await scratch.git("branch", "-m", "main", "work");
    equal(await history.defaultBranch(), undefined);
    await scratch.git("branch", "trunk");
    deepEqual(await history.defaultBranch(), { name: "trunk", commit: first });
    const second = await commit(scratch, {}, "Second");
    await scratch.git("update-ref", "refs/remotes/origin/master", second);
    deepEqual(await history.defaultBranch(), { name: "origin/master", commit: second });
    await scratch.git("update-ref", "refs/remotes/origin/next", first);
    await scratch.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/next");
    deepEqual(await history.defaultBranch(), { name: "origin/next", commit: first });
  }));

Deno.test("readFileAt() reads text files of a commit, and nothing that is none", () =>
  inHistory(async (history, scratch) => {
    const { write, git } = scratch;
    await write({ "src/é [x]*.py": "print('é')\n", "empty": "", "gone": "gone\n", ":(top)a.txt": "magic\n" });
    await Deno.writeFile(join(scratch.root, "binary"), new Uint8Array([65, 0, 66]));
    await Deno.writeTextFile(join(scratch.root, "limit"), "x".repeat(2 * 1024 * 1024));
    await Deno.writeTextFile(join(scratch.root, "huge"), "x".repeat(2 * 1024 * 1024 + 1));
    await Deno.symlink("/etc/passwd", join(scratch.root, "link"));
    await Deno.symlink("a.txt", join(scratch.root, "near"));
    const with_ = await commit(scratch, {}, "Files");
    await git("rm", "--quiet", "gone");
    await commit(scratch, { "a.txt": "changed\n" }, "Gone");
    const read = (path: string) => history.readFileAt(with_, path);
    equal(await read("src/é [x]*.py"), "print('é')\n");
    equal(await read("./src//é [x]*.py"), "print('é')\n");
    deepEqual([await read("empty"), await read("gone"), await read(":(top)a.txt")], ["", "gone\n", "magic\n"]);
    equal((await read("limit"))?.length, 2 * 1024 * 1024);
    deepEqual([await read("a.txt"), await history.readFileAt("HEAD", "a.txt")], ["1\n2\n3\n4\n5\n", "changed\n"]);
    equal(await history.readFileAt("HEAD", "gone"), undefined);
    const none = ["binary", "huge", "link", "near", "near/x", "src", "src/", ".", "", "*.txt", "A.TXT", "none"];
    const outside = ["../repo/a.txt", "src/../a.txt", "/etc/passwd", `${scratch.root}/a.txt`, "a.txt\0", "--help"];
    for (const path of [...none, ...outside, "x".repeat(5000)]) equal(await read(path), undefined, path.slice(0, 100));
  }));

Deno.test("listFiles() lists files only, at most as many as asked for", () =>
  inHistory(async (history, scratch) => {
    await scratch.write({ "z/new\nline": "1\n" });
    await Deno.symlink("a.txt", join(scratch.root, "link"));
    await commit(scratch, {}, "More");
    deepEqual(await history.listFiles("HEAD", { limit: 10 }), [".gitignore", "a.txt", "bin/run", "z/new\nline"]);
    deepEqual(await history.listFiles("HEAD", { limit: 2 }), [".gitignore", "a.txt"]);
    await rejects(history.listFiles("none", { limit: 2 }), /found no "none"/);
  }));

Deno.test("commitInfo() says who, when and what, and runs nothing that the repository names", () =>
  inHistory(async (history, scratch) => {
    await scratch.git("config", "log.showSignature", "true");
    await scratch.git("config", "gpg.program", join(scratch.dir, "gpg"));
    await Deno.writeTextFile(join(scratch.dir, "gpg"), `#!/bin/sh\ntouch ${scratch.dir}/ran\n`, { mode: 0o755 });
    const args = ["--author=Ann O'Nym <a@b>", "--date=2024-02-03T04:05:06+0100"];
    await scratch.git("commit", "--quiet", "--allow-empty", ...args, "-m", "Töp line\nstill the subject\n\nBody");
    const commit = await scratch.git("rev-parse", "HEAD");
    const info = { subject: "Töp line still the subject", author: "Ann O'Nym", date: "2024-02-03T04:05:06+01:00" };
    deepEqual(await history.commitInfo("main"), { commit, ...info });
    equal(await history.commitInfo("none"), undefined);
    equal(await Deno.lstat(join(scratch.dir, "ran")).catch(() => undefined), undefined);
  }));

Deno.test("filesChangedBy() compares with the first parent, also of a merge, and with nothing for a first commit", () =>
  inHistory(async (history, scratch) => {
    const { git } = scratch;
    deepEqual(await history.filesChangedBy("HEAD"), [".gitignore", "a.txt", "bin/run"]);
    await git("checkout", "--quiet", "-b", "side");
    await commit(scratch, { "b é.txt": "side\n" }, "Side");
    await git("checkout", "--quiet", "main");
    await git("mv", "a.txt", "c.txt");
    await commit(scratch, {}, "Move");
    deepEqual(await history.filesChangedBy("HEAD"), ["a.txt", "c.txt"]);
    await git("merge", "--quiet", "--no-edit", "side");
    deepEqual(await history.filesChangedBy("HEAD"), ["b é.txt"]);
    await commit(scratch, {}, "Empty");
    deepEqual(await history.filesChangedBy("HEAD"), []);
  }));

Deno.test("isAncestor() tells what is in a commit's past", () =>
  inHistory(async (history, scratch) => {
    await commit(scratch, { "a.txt": "2\n" }, "Second");
    deepEqual([await history.isAncestor("HEAD~1", "HEAD"), await history.isAncestor("HEAD", "HEAD")], [true, true]);
    equal(await history.isAncestor("HEAD", "HEAD~1"), false);
  }));

/** Main and side branches, merged again and again; returns the commits, oldest first. */
async function braid(scratch: Scratch, length: number): Promise<string[]> {
  const { git } = scratch;
  for (let n = 0; n < length; n++) {
    if (n % 4 !== 2) {
      await commit(scratch, { [`f${n}`]: `${n}\n` }, `Commit ${n}`);
      continue;
    }
    await git("checkout", "--quiet", "-b", `side${n}`, "HEAD~1");
    await commit(scratch, { [`f${n}`]: `${n}\n` }, `Commit ${n}`);
    await git("checkout", "--quiet", "main");
    await git("merge", "--quiet", "--no-edit", `side${n}`);
  }
  return (await git("rev-list", "--topo-order", "--reverse", "HEAD")).split("\n");
}

Deno.test("bisectStep() leads to each commit of a history with merges, and around what is skipped", () =>
  inHistory(async (history, scratch) => {
    const commits = await braid(scratch, 12);
    const bad = commits.at(-1)!;
    const parents = new Map<string, string[]>();
    for (const line of (await scratch.git("rev-list", "--parents", "HEAD")).split("\n")) {
      const [commit = "", ...before] = line.split(" ");
      parents.set(commit, before);
    }
    const past = (commit: string): Set<string> =>
      new Set([commit, ...parents.get(commit)!.flatMap((parent) => [...past(parent)])]);
    for (const culprit of commits.slice(1)) {
      const state = { good: [commits[0]!], bad, skip: [] as string[] };
      let steps = 0;
      for (let step = await history.bisectStep(state); step; step = await history.bisectStep(state), steps++) {
        ok(step.commit !== state.bad && step.left >= 2);
        if (past(step.commit).has(culprit)) state.bad = step.commit;
        else state.good.push(step.commit);
      }
      equal(state.bad, culprit);
      ok(steps <= 6, `${steps} steps`);
    }
    const [first, last] = [commits[0]!, bad];
    const all = { good: [first], bad: last };
    const middle = (await history.bisectStep({ ...all, skip: [] }))!;
    const beside = (await history.bisectStep({ ...all, skip: [middle.commit] }))!;
    ok(middle.commit !== beside.commit && beside.left === middle.left);
    equal(await history.bisectStep({ ...all, skip: commits.slice(1, -1) }), undefined);
    equal(await history.bisectStep({ good: [last], bad: first, skip: [] }), undefined);
    await rejects(history.bisectStep({ good: ["--all"], bad: last, skip: [] }), /found no "--all"/);
  }));
