/** `gocore orchestrate` in odd targets: without git, without a commit, dirty, part of something, with odd names. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents, git } from "../support/fake_agents.ts";

const WRITES = "echo result > result.txt; echo done";

async function withTarget(target: string, prepare: (path: string, root: string) => Promise<void>): Promise<FakeAgents> {
  const agents = await FakeAgents.create(["alpha", "beta"], { target });
  const path = join(agents.sandbox.root, target);
  await prepare(path, agents.sandbox.root);
  await agents.behave("alpha", "task", WRITES);
  return agents;
}

const start = async (agents: FakeAgents) => ["Write a result", ...await agents.plan([{ id: "one", agent: "alpha" }])];
const result = ({ target }: FakeAgents) => Deno.readTextFile(join(target, "result.txt"));

Deno.test("without git all work in the target itself, and are told so", async () => {
  await using agents = await withTarget("plain", (path) => Deno.mkdir(path));
  const end = await agents.run(await start(agents));
  equal(end.state.start!.shared, true);
  ok(dataOf(end.events, "log").some(({ content }) => content.includes("is no git repository")));
  match((await agents.prompts("alpha", "task"))[0]!, /Others work in the same folder/);
  deepEqual([end.code, end.finished.result_branch], [0, null]);
  equal(await result(agents), "result\n");
});

Deno.test("a repository without a commit is refused, with what to do about it", async () => {
  await using agents = await withTarget("empty", async (path) => {
    await Deno.mkdir(path);
    await git(path, "init", "--quiet");
  });
  const { code, stdout, stderr } = await (await agents.start(await start(agents))).end;
  deepEqual([code, stdout], [1, ""]);
  equal(
    stderr,
    `Error: Cannot use the repository "${agents.target}": it has no commit yet\n` +
      `Hint: Make one: \`git -C ${agents.target} commit --allow-empty -m "Start"\`\n`,
  );
  deepEqual(await agents.sandbox.processes(), []);
});

Deno.test("work that nobody has committed is seen by workers, and left alone", async () => {
  await using agents = await withTarget("work", async (path) => {
    await Deno.writeTextFile(join(path, "README.md"), "changed\n");
    await Deno.writeTextFile(join(path, "new.txt"), "new\n");
    await Deno.writeTextFile(join(path, "staged.txt"), "staged\n");
    await git(path, "add", "staged.txt");
  });
  await agents.behave(
    "alpha",
    "task",
    "cat README.md new.txt staged.txt > result.txt; echo mine >> new.txt; echo done",
  );
  const [status, head] = [await agents.git("status", "--porcelain"), await agents.git("rev-parse", "HEAD")];
  const end = await agents.run(await start(agents));

  equal(await agents.git("show", `${end.finished.result_commit}:result.txt`), "changed\nnew\nstaged");
  deepEqual([end.code, end.finished.applied], [0, false]);
  match(end.finished.open.join("\n"), /git merge gocore\//);
  equal(await agents.git("status", "--porcelain"), status);
  equal(await agents.git("rev-parse", "HEAD"), head);
  equal(await Deno.readTextFile(join(agents.target, "new.txt")), "new\n");
});

Deno.test("a target in a subfolder of its repository gets the result in the whole of it", async () => {
  await using agents = await withTarget("work/packages/one", async (path) => {
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(join(path, "here.txt"), "here\n");
    await git(path, "add", ".");
    await git(path, "commit", "--quiet", "--message", "A package");
  });
  await agents.behave(
    "alpha",
    "task",
    "cd $(git rev-parse --show-toplevel)/packages/one && cat here.txt > result.txt && echo done",
  );
  const end = await agents.run(await start(agents));
  deepEqual([end.code, end.finished.open, end.finished.applied], [0, [], true]);
  equal(await result(agents), "here\n");
  equal(await agents.git("status", "--porcelain"), "");
});

Deno.test("a target that is a worktree itself gets the result on its own branch", async () => {
  await using agents = await withTarget("tree", async (path, root) => {
    await git(join(root, "work"), "worktree", "add", "--quiet", "-b", "topic", path);
  });
  const end = await agents.run(await start(agents));
  deepEqual([end.code, end.finished.open, end.finished.applied], [0, [], true]);
  equal(await result(agents), "result\n");
  equal(await agents.git("rev-parse", "topic"), end.finished.result_commit);
  const main = join(agents.sandbox.root, "work");
  equal(await git(main, "status", "--porcelain"), "");
  deepEqual((await git(main, "worktree", "list")).split("\n").length, 2);
});

Deno.test("names with spaces, quotes and other letters are names like others", async () => {
  const name = `it's "a" $(touch pwned) {prompt} ünïcode`;
  await using agents = await withTarget(name, async (path) => {
    await Deno.mkdir(path);
    await git(path, "init", "--quiet");
    await Deno.writeTextFile(join(path, "a b'c\".txt"), "here\n");
    await git(path, "add", ".");
    await git(path, "commit", "--quiet", "--message", "Start");
  });
  await agents.behave("alpha", "task", `cat "a b'c\\".txt" > 'a result.txt'; ${WRITES}`);
  const task = `Say "it's" $(touch pwned) \`touch pwned\` \\ and\na second line`;
  const end = await agents.run([task, ...(await start(agents)).slice(1), "--verify", "cat 'a result.txt'"]);
  deepEqual([end.code, end.finished.open, end.finished.applied], [0, [], true]);
  ok((await agents.prompts("alpha", "task"))[0]!.includes(task));
  equal(await Deno.readTextFile(join(agents.target, "a result.txt")), "here\n");
  const names = Array.from(Deno.readDirSync(agents.target), ({ name }) => name);
  ok(!names.includes("pwned"));
});

Deno.test("--shared lets agents work in the target itself, in a repository too", async () => {
  await using agents = await withTarget("work", async () => {});
  await agents.behave("alpha", "task", `pwd; ${WRITES}`);
  const end = await agents.run([...await start(agents), "--shared"]);
  equal(end.code, 0, end.finished.open.join("\n"));
  ok(dataOf(end.events, "worker.exited")[0]!.text.startsWith(agents.target));
  equal(await agents.git("status", "--porcelain"), "?? result.txt");
});
