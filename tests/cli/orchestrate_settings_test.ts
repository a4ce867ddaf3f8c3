/** `gocore orchestrate`: a plan by a model, reviews that time asks for, rules of a person's own, a limit of output, tmux. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";

const PLAN = JSON.stringify({
  assignments: [
    { id: "code", title: "Write it", agent: "beta", prompt: "Part code" },
    { id: "docs", title: "Describe it", agent: null, prompt: "Part docs", depends_on: ["code"] },
  ],
});

Deno.test("--plan auto: an agent makes the plan, and is asked once more when it cannot be read", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta"]);
  await agents.behave("alpha", "plan", "echo 'First the code, then the docs.'", 1);
  await agents.behave("alpha", "plan", `printf '%s\\n' '${PLAN}'`, 2);
  await agents.behave("beta", "task", "echo code > code.txt; echo done");

  const end = await agents.run(["Write a program", "--plan", "auto"]);

  const [{ breakdown, note }, ...more] = dataOf(end.events, "plan.made") as [ReturnType<typeof dataOf<"plan.made">>[0]];
  deepEqual(more, []);
  deepEqual(breakdown.assignments.map(({ id, agent, depends_on }) => [id, agent, depends_on]), [
    ["code", "beta", []],
    ["docs", null, ["code"]],
  ]);
  deepEqual([breakdown.source, note], ["auto", "by alpha"]);
  match((await agents.prompts("alpha", "plan"))[1]!, /could not be used|cannot be used|found no/);
  deepEqual(JSON.parse(await Deno.readTextFile(join(end.folder, "plan.json"))), breakdown);
  equal(end.finished.status, "done");
});

Deno.test("--plan auto: without a plan that can be read it is the default one, and the reason is told", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta"]);
  await agents.behave("alpha", "plan", "echo 'I have no plan'");

  const end = await agents.run(["Write a program", "--plan", "auto", "--verify", "true"]);

  const [plan] = dataOf(end.events, "plan.made");
  equal(plan!.breakdown.source, "default");
  match(plan!.note, /the planner gave no plan/);
  equal((await agents.prompts("alpha", "plan")).length, 2);
});

Deno.test("who says nothing for long is reviewed, and again after a warning", async () => {
  const settings = "[orchestrate.reviews]\nsilence_sec = 0.3\nrecheck_sec = 0.3\nreviewers = 1";
  await using agents = await FakeAgents.create(["alpha", "beta"], { settings });
  await agents.behave("alpha", "task", "echo half > draft.txt; await go; echo done");
  await agents.behave("beta", "review", "verdict concerns 'still at it?'", 1);
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  const run = await agents.start(["Write a draft", ...plan]);

  await run.event("silence", ({ type, data }) => type === "review.requested" && data.trigger === "silence");
  await run.event("a recheck", ({ type, data }) => type === "review.requested" && data.trigger === "recheck");
  await agents.mark("go");
  const end = await agents.ended(run);

  equal(dataOf(end.events, "decision.made")[0]!.action, "LOG_WARNING");
  match((await agents.prompts("beta", "review"))[0]!, /\+half/);
  equal(end.finished.status, "done");
});

Deno.test("rules of a person's own come first, and weights decide what a majority is", async () => {
  const settings = `[orchestrate.weights]\nbeta = 2\ngamma = 0
[[orchestrate.policy]]\nname = "gamma is never wrong"\nverdict = "blocker"\nagents = ["gamma"]\naction = "CONTINUE"`;
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma"], { settings });
  await agents.behave("alpha", "task", "echo draft > draft.txt; echo done");
  await agents.behave("beta", "review", "verdict concerns 'one, and a majority'", 1);
  await agents.behave("gamma", "review", "verdict blocker 'kept, and not counted'");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  const run = await agents.start(["Write a draft", ...plan]);

  await run.event("a question", ({ type }) => type === "question.asked");
  equal((await agents.control("answer", "It is fine")).code, 0);
  const end = await agents.ended(run);

  deepEqual(dataOf(end.events, "decision.made").map(({ action, rule }) => [action, rule]), [
    ["PAUSE_AND_CLARIFY", "2"],
    ["CONTINUE", "4"],
  ]);
  deepEqual(
    dataOf(end.events, "review.answered").map(({ agent, verdict }) => `${agent} ${verdict}`).sort(),
    ["beta approved", "beta concerns", "gamma blocker", "gamma blocker"],
  );
});

Deno.test("a worker that writes without end is ended, once more, and then replaced, and its flood is not kept", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta"], { settings: "[orchestrate.limits]\noutput_mb = 8" });
  await agents.behave("alpha", "task", "echo first > result.txt; exec cat /dev/zero", 1);
  await agents.behave("alpha", "task", "exec yes >&2", 2);
  await agents.behave("beta", "task", "echo other > result.txt; echo done");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);

  const end = await agents.run(["Write a result", "--no-reviews", "--verify", "test -s result.txt", ...plan]);

  const exits = dataOf(end.events, "worker.exited");
  deepEqual(exits.map(({ worker, attempt, outcome, cause }) => [worker, attempt, outcome, cause]), [
    ["alpha", 1, "failed", "output"],
    ["alpha", 2, "failed", "output"],
    ["beta", 1, "completed", null],
  ]);
  equal(exits[0]!.text, "It has written more than the 8 MB that are allowed");
  deepEqual(dataOf(end.events, "recovery.attempted").map(({ outcome }) => outcome), ["relaunched", "given_up"]);
  for (const stream of ["alpha.jsonl", "agents/alpha/stderr-2.log"]) {
    equal((await Deno.stat(join(end.folder, stream))).size, 8 * 1024 * 1024);
  }
  equal(await Deno.readTextFile(join(agents.target, "result.txt")), "other\n");
});

const hasTmux = new Deno.Command("sh", { args: ["-c", "command -v tmux"], stdout: "null" }).outputSync().success;

Deno.test({
  name: "--backend tmux shows each agent in a terminal of its own, and leaves none",
  ignore: !hasTmux,
  async fn() {
    await using agents = await FakeAgents.create(["alpha", "beta"]);
    await agents.behave("alpha", "task", "echo draft > draft.txt; await go; echo 'I am done'");
    const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
    const run = await agents.start(["Write a draft", "--backend", "tmux", ...plan]);
    await run.event("alpha runs", ({ type }) => type === "worker.started");
    const [started] = dataOf(run.events, "worker.started");
    const server = /^tmux (.*) attach/.exec(started!.attach!)![1]!.split(" ");
    const tmux = (...args: string[]) =>
      new Deno.Command("tmux", { args: [...server, ...args], env: { TMUX: "" }, stderr: "null" }).output();
    ok((await tmux("list-sessions")).success, started!.attach!);
    await agents.mark("go");
    const end = await agents.ended(run);

    deepEqual(dataOf(end.events, "worker.launched").map(({ backend }) => backend).includes("tmux"), true);
    equal(end.finished.status, "done");
    equal((await tmux("list-sessions")).success, false);
  },
});
