/** `gocore orchestrate` from a task to a result: plans, merges, conflicts, checks. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";

Deno.test("three agents carry out the default plan, and the result is in the target's branch", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma"]);
  await agents.behave("alpha", "task", "echo 'export const sum = 1;' > sum.ts; echo 'I wrote sum.ts'");
  await agents.behave("beta", "task", "echo 'Design: one file, sum.ts'");
  await agents.behave("gamma", "task", "cat sum.ts >/dev/null && echo '// checked' >> sum.ts; echo 'I checked it'");
  const before = await agents.git("rev-parse", "HEAD");

  const end = await agents.run(["Add a sum"]);

  deepEqual(
    [...end.state.tasks.values()].map(({ assignment, status, worker, files }) => [
      assignment.id,
      status,
      worker,
      files,
    ]),
    [
      ["architecture", "done", "beta", []],
      ["implementation", "done", "alpha", ["sum.ts"]],
      ["problem_solving", "done", "gamma", ["sum.ts"]],
    ],
  );
  match((await agents.prompts("alpha", "task"))[0]!, /Design: one file, sum\.ts/);
  deepEqual(
    dataOf(end.events, "decision.made").map(({ action, rule, task }) => [action, rule, task]),
    [["CONTINUE", "4", "implementation"], ["CONTINUE", "4", "problem_solving"]],
  );
  deepEqual(
    [end.finished.status, end.finished.exit_code, end.finished.applied, end.finished.open],
    ["done", 0, true, []],
  );
  equal(await Deno.readTextFile(join(agents.target, "sum.ts")), "export const sum = 1;\n// checked\n");
  equal(await agents.git("rev-parse", "HEAD"), end.finished.result_commit);
  await agents.git("merge-base", "--is-ancestor", before, "HEAD");
  equal(await agents.git("status", "--porcelain"), "");
  const report = await Deno.readTextFile(join(end.folder, "final.md"));
  for (const words of ["alpha", "beta", "gamma", "sum.ts", "Add a sum"]) ok(report.includes(words), report);
});

Deno.test("parts of a plan run at the same time, and after those that they depend on", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma"]);
  // Each waits for the other: one after the other they would never end.
  await agents.behave("alpha", "task", "mark alpha; await beta; echo 1 > one.txt; echo 'one is there'");
  await agents.behave("beta", "task", "mark beta; await alpha; echo 2 > two.txt; echo 'two is there'");
  await agents.behave("gamma", "task", "cat one.txt two.txt > both.txt && echo 'both are there'");
  const plan = await agents.plan([
    { id: "three", agent: "gamma", depends_on: ["one", "two"] },
    { id: "one", agent: "alpha" },
    { id: "two", agent: "beta" },
  ]);

  const end = await agents.run(["Write three files", ...plan]);

  const order = dataOf(end.events, "worker.launched").filter(({ review }) => review === null).map(({ task }) => task);
  deepEqual([...order.slice(0, 2).sort(), ...order.slice(2)], ["one", "two", "three"]);
  match((await agents.prompts("gamma", "task"))[0]!, /one is there[^]*two is there/);
  equal(await Deno.readTextFile(join(agents.target, "both.txt")), "1\n2\n");
  deepEqual(dataOf(end.events, "merge.ended").map(({ task, outcome }) => [task, outcome]).sort(), [
    ["one", "merged"],
    ["three", "merged"],
    ["two", "merged"],
  ]);
  deepEqual([end.code, end.finished.open], [0, []]);
});

Deno.test("a plan that cannot be used is refused before anybody works", async () => {
  await using agents = await FakeAgents.create(["alpha"]);
  const plans: [string, RegExp][] = [
    ["{", /need JSON/],
    ['{"assignments": []}', /assignments/],
    [
      '{"assignments": [{"id": "a", "title": "A", "prompt": "p", "agent": "betty"}]}',
      /found "betty", need one of alpha/,
    ],
    ['{"assignments": [{"id": "a", "title": "A", "prompt": "p", "depends_on": ["b"]}]}', /no assignment "b"/],
  ];
  for (const [plan, problem] of plans) {
    const path = await agents.sandbox.file("wrong.json", plan);
    const { code, stdout, stderr } = await (await agents.start(["Do it", "--plan", path])).end;
    ok(code !== 0);
    match(stdout.replaceAll('\\"', '"') + stderr, problem);
  }
  deepEqual(await agents.prompts("alpha", "task"), []);
  deepEqual(await agents.sandbox.processes(), []);
});

/** Two agents that edit the same line. */
async function withConflict(): Promise<{ agents: FakeAgents; args: string[] }> {
  const agents = await FakeAgents.create(["alpha", "beta"]);
  for (const agent of ["alpha", "beta"]) await agents.behave(agent, "task", `echo ${agent} > README.md; echo done`);
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "beta" }]);
  return { agents, args: ["Rewrite the README", ...plan] };
}

Deno.test("a conflict is given to an agent, which resolves it", async () => {
  const { agents, args } = await withConflict();
  await using _ = agents;
  await agents.behave(
    "beta",
    "conflict",
    "grep -q '<<<<<<<' README.md && printf 'alpha\\nbeta\\n' > README.md; echo done",
  );

  const end = await agents.run(args);

  deepEqual(dataOf(end.events, "merge.ended").map(({ task, outcome, files }) => [task, outcome, files]), [
    ["one", "merged", ["README.md"]],
    ["two", "resolved", ["README.md"]],
  ]);
  match((await agents.prompts("beta", "conflict"))[0]!, /conflicts in: README\.md|README\.md/);
  equal(await Deno.readTextFile(join(agents.target, "README.md")), "alpha\nbeta\n");
  deepEqual([end.code, end.finished.open], [0, []]);
});

for (
  const [what, script] of [
    ["says that it did, and left the markers", "echo done"],
    ["gives up", "echo 'I cannot' >&2; exit 3"],
  ] as const
) {
  Deno.test(`a conflict stays reported, with both sides kept, when the agent ${what}`, async () => {
    const { agents, args } = await withConflict();
    await using _ = agents;
    for (const agent of ["alpha", "beta"]) await agents.behave(agent, "conflict", script);

    const end = await agents.run(args);

    deepEqual(dataOf(end.events, "merge.ended").map(({ task, outcome }) => [task, outcome]), [
      ["one", "merged"],
      ["two", "conflict"],
    ]);
    deepEqual([end.finished.status, end.code, end.finished.applied], ["failed", 1, false]);
    match(end.finished.open.join("\n"), /Conflict: gocore\/.*\/two is not in the result; both sides are kept/);
    equal(await agents.git("show", `gocore/${end.id}/one:README.md`), "alpha");
    equal(await agents.git("show", `gocore/${end.id}/two:README.md`), "beta");
    equal(await agents.git("show", `${end.finished.result_branch}:README.md`), "alpha");
    equal(await Deno.readTextFile(join(agents.target, "README.md")), "# A repository to work on\n");
    equal(await agents.git("status", "--porcelain"), "");
  });
}

/** One agent, and a check of what it wrote. */
async function withCheck(content: string): Promise<{ agents: FakeAgents; args: string[] }> {
  const agents = await FakeAgents.create(["alpha", "beta"]);
  await agents.behave("alpha", "task", `echo ${content} > sum.txt; echo done`);
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  return {
    agents,
    args: ["Write a sum", ...plan, "--verify", "grep -qx 4 sum.txt || { echo 'sum is wrong'; exit 7; }"],
  };
}

Deno.test("a check that passes decides, whatever reviewers say", async () => {
  const { agents, args } = await withCheck("4");
  await using _ = agents;
  await agents.behave("beta", "review", "echo nothing");
  await agents.behave("beta", "reread", "echo nothing");
  const end = await agents.run(args);
  deepEqual(dataOf(end.events, "verify.ended").map(({ exit_code }) => exit_code), [0]);
  deepEqual([end.finished.status, end.code, end.finished.applied], ["done", 0, true]);
});

Deno.test("a check that fails is mended once by an agent", async () => {
  const { agents, args } = await withCheck("5");
  await using _ = agents;
  for (const agent of ["alpha", "beta"]) await agents.behave(agent, "mend", "echo 4 > sum.txt; echo 'it was 5'");
  const end = await agents.run(args);
  deepEqual(dataOf(end.events, "verify.ended").map(({ exit_code }) => exit_code), [7, 0]);
  match((await agents.prompts("alpha", "mend"))[0]!, /sum is wrong/);
  deepEqual([end.finished.status, end.code], ["done", 0]);
  equal(await Deno.readTextFile(join(agents.target, "sum.txt")), "4\n");
});

Deno.test("a check that still fails fails the session, and the work stays on its branch", async () => {
  const { agents, args } = await withCheck("5");
  await using _ = agents;
  const end = await agents.run(args);
  deepEqual(dataOf(end.events, "verify.ended").map(({ exit_code }) => exit_code), [7, 7]);
  deepEqual([end.finished.status, end.code, end.finished.applied], ["failed", 1, false]);
  match(end.finished.open.join("\n"), /The check fails: grep/);
  equal(await agents.git("show", `${end.finished.result_branch}:sum.txt`), "5");
  equal(await agents.git("status", "--porcelain"), "");
});

Deno.test("--no-apply leaves the result on its branch", async () => {
  const { agents, args } = await withCheck("4");
  await using _ = agents;
  const before = await agents.git("rev-parse", "HEAD");
  const end = await agents.run([...args, "--no-apply"]);
  deepEqual([end.code, end.finished.applied], [0, false]);
  equal(await agents.git("rev-parse", "HEAD"), before);
  equal(await agents.git("show", `${end.finished.result_branch}:sum.txt`), "4");
});
