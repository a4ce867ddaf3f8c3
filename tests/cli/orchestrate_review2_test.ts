/** `gocore orchestrate` and agents that turn against the repository, and flags that turn against a session. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";
import { until } from "../support/gocore.ts";

const canConfine = await new Deno.Command("bwrap", { args: ["--ro-bind", "/", "/", "true"], stderr: "null" }).output()
  .then(({ success }) => success, () => false);

Deno.test("a confined agent changes neither what everybody's git obeys nor what it overlooks", {
  ignore: !canConfine,
}, async () => {
  await using agents = await FakeAgents.create(["alpha"]);
  const dotGit = join(agents.target, ".git");
  await Deno.remove(join(dotGit, "hooks"), { recursive: true });
  await agents.behave(
    "alpha",
    "task",
    `for name in hooks/post-merge info/exclude HEAD index config; do
       (echo '*' > "${dotGit}/$name") 2>/dev/null && echo "changed $name"
     done
     rm -rf "${dotGit}/hooks" 2>/dev/null
     cp -r "${dotGit}" "$HOME/fake" && echo "$HOME/fake" > "${dotGit}/commondir"
     echo work > work.txt; git add work.txt && git commit --quiet -m "Mine" && echo committed`,
  );
  await agents.behave("alpha", "review", `echo '{"verdict":"approved","summary":"fine"}'`);

  const end = await agents.run(["Work", "--sandbox", "require"]);

  equal([...end.state.workers.values()].find(({ name }) => name === "alpha")!.exit!.text.trim(), "committed");
  deepEqual([...Deno.readDirSync(join(dotGit, "hooks"))], []);
  deepEqual([...Deno.readDirSync(dotGit)].filter(({ name }) => name === "commondir"), []);
  equal(await Deno.readTextFile(join(agents.target, "work.txt")), "work\n");
  deepEqual((await agents.git("log", "--format=%s", "--no-merges")).split("\n").sort(), ["Mine", "Start"]);
});

Deno.test("a session with worktrees does not go on in the target itself, and without its repository not at all", async () => {
  await using agents = await FakeAgents.create(["alpha"]);
  await agents.behave("alpha", "task", "echo part > part.txt; mark begun; await never");
  await agents.behave("alpha", "review", `echo '{"verdict":"approved","summary":"fine"}'`);
  const run = await agents.start(["Work"]);
  await agents.marked("begun");
  run.kill("SIGINT");
  await agents.ended(run);
  await until("the session has its end", async () => (await agents.read()).state.finish !== null);
  const refused = async (...args: string[]) => {
    const end = await (await agents.start(["--resume", "last", ...args])).end;
    return [end.code, end.stderr.split("\n")[0]!.replaceAll(/"[^"]*"/g, '"…"')];
  };

  deepEqual(await refused("--shared"), [
    2,
    'Error: Cannot go on with "…" in the target itself: its agents have worktrees',
  ]);
  await Deno.rename(join(agents.target, ".git"), join(agents.target, "moved"));
  deepEqual(await refused(), [1, 'Error: Cannot go on with "…": "…" is no git repository any more']);
  await Deno.rename(join(agents.target, "moved"), join(agents.target, ".git"));

  await agents.behave("alpha", "task", "echo done");
  const end = await agents.resume();
  equal(end.finished.status, "done");
  equal(await Deno.readTextFile(join(agents.target, "part.txt")), "part\n");
  match(dataOf(end.events, "session.resumed")[0]!.reason, /interrupted/);
});

Deno.test("a workspace within the target is no part of the work", async () => {
  await using agents = await FakeAgents.create(["alpha"]);
  await agents.behave("alpha", "task", "echo work > work.txt; echo done");
  await agents.behave("alpha", "review", `echo '{"verdict":"approved","summary":"fine"}'`);
  const workspace = join(agents.target, "sessions");

  for (const task of ["One", "Two"]) {
    await agents.behave("alpha", "task", `echo ${task} > work.txt; echo done`);
    const { code, events } = await (await agents.start([task, "--workspace", workspace])).end;
    const { applied, open } = dataOf(events, "session.finished")[0]!;
    deepEqual([code, applied, open], [0, true, []]);
  }

  deepEqual((await agents.git("ls-files")).split("\n").filter((name) => name.startsWith("sessions")), []);
  equal(await agents.git("status", "--porcelain"), "");
  equal(await Deno.readTextFile(join(agents.target, "work.txt")), "Two\n");
});
