/** `gocore orchestrate` and what reaches it from outside: signals, commands of other processes, a budget. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";
import { submit, until } from "../support/gocore.ts";

/** Two tasks; alpha is done with its own, beta is in the midst of it until `mark go`. */
async function withSession(): Promise<{ agents: FakeAgents; args: string[] }> {
  const agents = await FakeAgents.create(["alpha", "beta"], { settings: "grace_sec = 0.2" });
  await agents.behave("alpha", "task", "echo alpha > alpha.txt; mark alpha; echo done");
  await agents.behave("beta", "task", "await alpha; echo begun > beta.txt; mark begun; await go; echo done");
  await agents.behave("beta", "task", "cat beta.txt && echo finished >> beta.txt", 2);
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "beta" }]);
  return { agents, args: ["Write two files", ...plan] };
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`${signal} in mid-run saves the work, and --resume goes on with it`, async () => {
    const { agents, args } = await withSession();
    await using _ = agents;
    const run = await agents.start(args);
    await agents.marked("begun");
    await run.event(
      "alpha's task is done",
      ({ type, data }) => type === "task.changed" && data.task === "one" && data.status === "done",
    );
    run.kill(signal);
    const end = await agents.ended(run);

    deepEqual([end.finished.status, end.code], ["interrupted", code]);
    const saved = end.state.saved.find(({ ref }) => ref.endsWith("/two"))!;
    ok(saved.ref.startsWith("refs/gocore/saved/"), saved.ref);
    equal(await agents.git("show", `${saved.ref}:beta.txt`), "begun");
    equal(await agents.git("status", "--porcelain"), "");

    const resumed = await agents.resume();
    equal(resumed.code, 0, resumed.stderr);
    deepEqual((await agents.prompts("alpha", "task")).length, 1);
    equal(await Deno.readTextFile(join(agents.target, "beta.txt")), "begun\nfinished\n");
    equal(await Deno.readTextFile(join(agents.target, "alpha.txt")), "alpha\n");
  });
}

Deno.test("a second SIGINT ends at once, and leaves no process; the session can be resumed", async () => {
  const { agents, args } = await withSession();
  await using _ = agents;
  await agents.behave(
    "beta",
    "task",
    "trap '' INT TERM; echo begun > beta.txt; mark begun; while :; do sleep 0.1; done",
    1,
  );
  const long = await agents.start([...args, "--config", await withGrace(agents, 1000)]);
  await agents.marked("begun");
  long.kill("SIGINT");
  await long.event("beta is told to stop", ({ type, data }) => type === "worker.signalled" && data.worker === "beta");
  long.kill("SIGINT");
  const { code, signal } = await long.end;
  deepEqual([code, signal], [130, null]);
  await agents.sandbox.noProcessLeft();

  const resumed = await agents.resume();
  equal(resumed.code, 0, resumed.stderr);
  equal(await Deno.readTextFile(join(agents.target, "beta.txt")), "begun\nfinished\n");
});

/** The configuration with a grace that nobody lives to see the end of. */
async function withGrace(agents: FakeAgents, graceSec: number): Promise<string> {
  const config = await Deno.readTextFile(join(agents.sandbox.root, "agents/gocore.toml"));
  return await agents.sandbox.file("agents/patient.toml", config.replace("grace_sec = 0.2", `grace_sec = ${graceSec}`));
}

Deno.test("pause, resume, review, list, show and stop work from another process", async () => {
  const { agents, args } = await withSession();
  await using _ = agents;
  const run = await agents.start(args);
  await agents.marked("begun");

  const paused = await agents.control("pause", "--reason", "lunch");
  equal(paused.code, 0, paused.stderr);
  await run.event(
    "beta is held",
    ({ type, data }) => type === "worker.signalled" && data.worker === "beta" && data.action === "pause",
  );
  match((await agents.control("list")).stdout, /paused/);
  const resumed = await agents.control("resume");
  equal(resumed.code, 0, resumed.stderr);
  await run.event(
    "beta goes on",
    ({ type, data }) => type === "worker.signalled" && data.worker === "beta" && data.action === "resume",
  );
  const review = await agents.control("review", "--worker", "beta", "--reason", "half-time");
  equal(review.code, 0, review.stderr);
  await run.event("the review is decided", ({ type, data }) => type === "decision.made" && data.worker === "beta");
  const shown = await agents.control("show", "--json");
  equal(shown.code, 0, shown.stderr);
  equal(JSON.parse(shown.stdout).session.task, "Write two files");
  const stopped = await agents.control("stop");
  equal(stopped.code, 0, stopped.stderr);
  const end = await agents.ended(run);

  deepEqual([end.finished.status, end.code], ["stopped", 1]);
  deepEqual(
    dataOf(end.events, "control.received").map(({ command, worker, text }) => [command, worker, text]),
    [["pause", null, "lunch"], ["resume", null, ""], ["review", "beta", "half-time"], ["stop", null, ""]],
  );
  const manual = dataOf(end.events, "review.requested").filter(({ trigger }) => trigger === "manual");
  deepEqual(manual.map(({ worker, reason }) => [worker, reason]), [["beta", "half-time"]]);
  match((await agents.prompts("alpha", "review")).at(-1)!, /\+begun/);
  equal((await agents.resume()).code, 0);
});

Deno.test("a budget that is used up ends the session, and a larger one goes on with it", async () => {
  await using agents = await FakeAgents.create(["alpha"], { others: ["mini"] });
  const usage = { input: 1_000_000, output: 10 };
  const script = await agents.sandbox.file(
    "script.yaml",
    JSON.stringify([
      { commands: ["echo one > one.txt"], usage },
      { commands: ["echo two > two.txt"], usage },
      { ...submit(), usage },
    ]),
  );
  const args = ["--script", script, "--model", "mini=openai/gpt-5-mini"];
  const plan = await agents.plan([{ id: "one", agent: "mini" }]);
  const end = await agents.run(["Write two files", ...args, ...plan, "--budget", "0.3"]);

  deepEqual([end.finished.status, end.code], ["budget", 1]);
  match(end.finished.summary, /budget of 0\.3 USD/);
  ok(end.finished.cost_usd! > 0);
  ok(end.finished.cost_usd! <= 0.3, `${end.finished.cost_usd}`);

  const resumed = await agents.resume(["--budget", "100"]);
  deepEqual([resumed.finished.status, resumed.finished.open], ["done", []]);
  ok(resumed.finished.cost_usd! > end.finished.cost_usd!);
  equal(await Deno.readTextFile(join(agents.target, "two.txt")), "two\n");
});

Deno.test("two processes do not supervise one session", async () => {
  const { agents, args } = await withSession();
  await using _ = agents;
  const run = await agents.start(args);
  await agents.marked("begun");
  const second = await (await agents.start(["--resume", "last"])).end;
  equal(second.code, 1);
  match(second.stderr, new RegExp(`Cannot supervise .*: process ${run.pid} does`));
  await agents.mark("go");
  equal((await agents.ended(run)).code, 0);
});

Deno.test("an answer, a pause or a review that makes no sense is refused with a hint", async () => {
  const { agents, args } = await withSession();
  await using _ = agents;
  const run = await agents.start(args);
  await agents.marked("begun");
  const refused = await Promise.all([
    agents.control("answer", "nobody asked"),
    agents.control("review", "--worker", "betta"),
    agents.control("show", "orch_20000101_000000"),
  ]);
  deepEqual(refused.map(({ code }) => code), [2, 2, 2]);
  match(refused[0]!.stderr, /asks nothing/);
  match(refused[1]!.stderr, /Did you mean beta/);
  match(refused[2]!.stderr, /There are orch_/);
  await agents.mark("go");
  equal((await agents.ended(run)).code, 0);
  await until("the session is done", async () => (await agents.read()).state.status === "done");
  equal((await agents.control("stop")).code, 2);
});
