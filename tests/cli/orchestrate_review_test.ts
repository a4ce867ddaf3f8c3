/** `gocore orchestrate`: reviews by other agents, the four decisions, and what a person's answer does. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";
import { exists, type GocoreEnd, until } from "../support/gocore.ts";

const WRITES = "echo draft > draft.txt; echo 'I wrote draft.txt'";

/** One author; beta and gamma review. */
async function withAuthor(settings = ""): Promise<{ agents: FakeAgents; plan: string[] }> {
  const agents = await FakeAgents.create(["alpha", "beta", "gamma"], { settings });
  await agents.behave("alpha", "task", WRITES);
  return { agents, plan: await agents.plan([{ id: "one", agent: "alpha" }]) };
}

const decisions = ({ events }: GocoreEnd) =>
  dataOf(events, "decision.made").map(({ action, rule, worker }) => [action, rule, worker]);

Deno.test("a concern goes to the author once, and the mended work is approved", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  await agents.behave("beta", "review", "verdict concerns 'draft.txt has no heading'", 1);
  await agents.behave("alpha", "feedback", "echo '# Heading' >> draft.txt; echo 'I added a heading'");

  const end = await agents.run(["Write a draft", ...plan]);

  deepEqual(decisions(end), [["LOG_WARNING", "3", "alpha"], ["CONTINUE", "4", "alpha"]]);
  const [told, ...more] = await agents.prompts("alpha", "feedback");
  deepEqual(more, []);
  match(told!, /draft\.txt has no heading/);
  match((await agents.prompts("beta", "review"))[1]!, /\+# Heading/);
  deepEqual([end.finished.status, end.finished.open], ["done", []]);
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "draft\n# Heading\n");
  const artifact = JSON.parse(await Deno.readTextFile(join(end.folder, "reviews", "r1.json")));
  deepEqual(
    artifact.answers.map(({ agent, verdict, issues }: Record<string, unknown>) => [agent, verdict, issues]).sort(),
    [
      ["beta", "concerns", [{ text: "draft.txt has no heading", file: "README.md", line: 1 }]],
      ["gamma", "approved", [{ text: "none", file: "README.md", line: 1 }]],
    ],
  );
});

Deno.test("a concern that stays is told in the result", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  await agents.behave("beta", "review", "verdict concerns 'still no heading'");
  await agents.behave("alpha", "feedback", "echo again >> draft.txt; echo 'I tried'");

  const end = await agents.run(["Write a draft", ...plan]);

  deepEqual(decisions(end), [["LOG_WARNING", "3", "alpha"], ["LOG_WARNING", "3", "alpha"]]);
  equal((await agents.prompts("alpha", "feedback")).length, 1);
  equal(end.finished.status, "done");
  match(end.finished.open.join("\n"), /a concern of beta/);
});

Deno.test("what a reviewer cites is looked up, and the decision says what is not there", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  const places = ["draft.txt:1", "./draft.txt", "draft.txt:99", "draft.txt.orig", "../draft.txt"];
  const issues = places.map((place) => {
    const [file, line] = place.split(":");
    return { text: "odd", file, line: line === undefined ? null : Number(line) };
  });
  const answer = JSON.stringify({ verdict: "concerns", summary: "odd", issues });
  await agents.behave("beta", "review", `echo '${answer}'`, 1);
  await agents.behave("alpha", "feedback", "echo more >> draft.txt; echo 'I mended it'");

  const end = await agents.run(["Write a draft", ...plan]);

  const unsupported = [undefined, undefined, "it ends at line 1", "there is no such file", "there is no such file"];
  const [told] = dataOf(end.events, "review.answered").filter(({ agent }) => agent === "beta");
  deepEqual(told!.issues.map((issue) => issue.unsupported), unsupported);
  const [decision] = dataOf(end.events, "decision.made");
  equal(
    decision!.reason,
    "a concern of beta-r1; beta-r1 cites draft.txt:99, and it ends at line 1 (and 2 more such)",
  );
  match((await agents.prompts("alpha", "feedback"))[0]!, /draft\.txt\.orig odd \(unsupported: there is no such file\)/);
  match(
    await Deno.readTextFile(join(end.folder, "final.md")),
    /`draft\.txt:99` odd \(unsupported: it ends at line 1\)/,
  );
});

Deno.test("concerns of two hold everybody until a person answers, and the author gets the answer", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma", "delta"]);
  await agents.behave("alpha", "task", `await spinning; ${WRITES}`);
  await agents.behave(
    "delta",
    "task",
    "mark spinning; until [ -e $state/go ]; do :; done; echo more > more.txt; echo done",
  );
  for (const reviewer of ["beta", "gamma"]) {
    await agents.behave(reviewer, "review", "verdict concerns 'tabs or spaces?'", 1);
  }
  await agents.behave("alpha", "feedback", "echo tabs >> draft.txt; echo 'tabs it is'");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "delta" }]);
  const run = await agents.start(["Write a draft", ...plan]);

  await run.event("a question", ({ type }) => type === "question.asked");
  await run.event(
    "delta is held",
    ({ type, data }) => type === "worker.signalled" && data.worker === "delta" && data.action === "pause",
  );
  await until(
    "every process of delta is stopped",
    async () => (await stats(agents, "delta")).every(({ state }) => state === "T"),
  );
  const held = await stats(agents, "delta");
  ok(held.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  deepEqual(await stats(agents, "delta"), held, "its CPU time stands still");
  const shown = await agents.control("show");
  match(shown.stdout, /tabs or spaces\?/);
  const answered = await agents.control("answer", "Tabs, everywhere");
  equal(answered.code, 0, answered.stderr);
  await run.event(
    "delta goes on",
    ({ type, data }) => type === "worker.signalled" && data.worker === "delta" && data.action === "resume",
  );
  await until(
    "delta uses CPU again",
    async () => JSON.stringify(await stats(agents, "delta")) !== JSON.stringify(held),
  );
  await agents.mark("go");
  const end = await agents.ended(run);

  deepEqual(decisions(end)[0], ["PAUSE_AND_CLARIFY", "2", "alpha"]);
  match((await agents.prompts("alpha", "feedback"))[0]!, /Tabs, everywhere/);
  match((await agents.prompts("alpha", "feedback"))[0]!, /tabs or spaces\?/);
  deepEqual([...end.state.questions.values()].map(({ id, answer }) => [id, answer]), [["q1", "Tabs, everywhere"]]);
  deepEqual([end.finished.status, end.finished.open], ["done", []]);
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "draft\ntabs\n");
  equal(await Deno.readTextFile(join(agents.target, "more.txt")), "more\n");
});

Deno.test("concerns in mid-run hold the author itself, which then goes on with the answer", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  await agents.behave("alpha", "task", "echo half > draft.txt; event milestone 'half of it'; await never");
  await agents.behave("alpha", "feedback", "echo whole >> draft.txt; echo 'as you said'");
  for (const reviewer of ["beta", "gamma"]) {
    await agents.behave(reviewer, "review", "verdict concerns 'which half?'", 1);
  }
  const run = await agents.start(["Write a draft", ...plan]);

  await run.event("alpha is held", ({ type, data }) => type === "worker.signalled" && data.action === "pause");
  await until("alpha is stopped", async () => (await stats(agents, "alpha")).every(({ state }) => state === "T"));
  equal((await agents.control("answer", "The second half")).code, 0);
  const end = await agents.ended(run);

  deepEqual(decisions(end), [["PAUSE_AND_CLARIFY", "2", "alpha"], ["CONTINUE", "4", "alpha"]]);
  match((await agents.prompts("beta", "review"))[0]!, /\+half/);
  match((await agents.prompts("alpha", "feedback"))[0]!, /The second half/);
  equal(end.finished.status, "done");
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "half\nwhole\n");
});

Deno.test("concerns about work that was done already give it back to its author", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma", "delta"]);
  await agents.behave("alpha", "task", WRITES);
  await agents.behave("alpha", "feedback", "echo again >> draft.txt; echo 'I looked again'");
  await agents.behave("delta", "task", "await go; echo more > more.txt; echo done");
  for (const reviewer of ["beta", "gamma"]) {
    await agents.behave(reviewer, "review", "verdict concerns 'are you sure?'", 2);
  }
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "delta" }]);
  const run = await agents.start(["Write a draft", ...plan]);

  await run.event("one is done", ({ type, data }) => type === "task.changed" && data.status === "done");
  equal((await agents.control("review", "--worker", "alpha")).code, 0);
  await run.event("a question", ({ type }) => type === "question.asked");
  equal((await agents.control("answer", "Look again")).code, 0);
  await run.event(
    "one is done again",
    ({ type, data }) =>
      type === "task.changed" && data.status === "done" && /approved by .*-r3/.test(String(data.reason)),
  );
  await agents.mark("go");
  const end = await agents.ended(run);

  deepEqual(decisions(end).filter(([, , worker]) => worker === "alpha"), [
    ["CONTINUE", "4", "alpha"],
    ["PAUSE_AND_CLARIFY", "2", "alpha"],
    ["CONTINUE", "4", "alpha"],
  ]);
  match((await agents.prompts("alpha", "feedback"))[0]!, /Look again/);
  deepEqual([end.finished.status, end.finished.open], ["done", []]);
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "draft\nagain\n");
});

Deno.test("nobody answers in time: the session ends with 75, and goes on with the answer when it is resumed", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  for (const reviewer of ["beta", "gamma"]) await agents.behave(reviewer, "review", "verdict concerns 'why?'", 1);

  const end = await agents.run(["Write a draft", ...plan, "--answer-timeout-sec", "0.2"]);
  deepEqual([end.finished.status, end.code], ["needs_input", 75]);

  equal((await agents.control("answer", "Because")).code, 0);
  const resumed = await agents.resume(["--answer-timeout-sec", "3600"]);
  deepEqual([resumed.finished.status, resumed.code], ["done", 0]);
  match((await agents.prompts("alpha", "feedback"))[0]!, /Because/);
  equal((await agents.prompts("alpha", "task")).length, 1, "what is done is not done again");
});

Deno.test("a blocker stops everybody and asks a person; with the answer the session goes on", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma", "delta"]);
  await agents.behave("alpha", "task", `await slow; ${WRITES}`);
  await agents.behave("delta", "task", "echo begun > more.txt; mark slow; await never", 1);
  await agents.behave("delta", "task", "cat more.txt; echo finished >> more.txt", 2);
  await agents.behave("beta", "review", "verdict blocker 'it deletes everything'", 1);
  await agents.behave("alpha", "feedback", "echo mended >> draft.txt; echo mended");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "delta" }]);

  const end = await agents.run(["Write a draft", ...plan]);

  deepEqual(decisions(end), [["STOP_AND_ESCALATE", "1", "alpha"]]);
  deepEqual([end.finished.status, end.code, end.finished.applied], ["escalated", 1, false]);
  match(end.finished.summary, /blocker/);
  equal(end.state.workers.get("delta")!.exit!.outcome, "stopped");
  const [question] = dataOf(end.events, "question.asked");
  match(question!.text, /it deletes everything/);
  const saved = end.state.saved.find(({ ref }) => ref.endsWith("/two"))!;
  equal(await agents.git("show", `${saved.ref}:more.txt`), "begun");
  equal(await agents.git("status", "--porcelain"), "");

  const answered = await agents.control("answer", "Delete nothing");
  equal(answered.code, 0, answered.stderr);
  const resumed = await agents.resume();
  match((await agents.prompts("alpha", "feedback"))[0]!, /Delete nothing/);
  deepEqual([resumed.finished.status, resumed.code, resumed.finished.open], ["done", 0, []]);
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "draft\nmended\n");
  equal(await Deno.readTextFile(join(agents.target, "more.txt")), "begun\nfinished\n");
});

Deno.test("an answer that cannot be read is asked for once more, and then counts as no verdict", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  await agents.behave("beta", "review", "echo 'LGTM, approved!'");
  await agents.behave("beta", "reread", "echo 'I said approved.'");
  await agents.behave("gamma", "review", `echo '{"verdict": "yes"}'`);

  const end = await agents.run(["Write a draft", ...plan]);

  deepEqual(
    dataOf(end.events, "review.answered").map(({ agent, verdict, asked }) => [agent, verdict, asked]).sort(),
    [["beta", null, 2], ["gamma", "approved", 2]],
  );
  equal((await agents.prompts("beta", "reread")).length, 1);
  match((await agents.prompts("gamma", "reread"))[0]!, /could not be read: .*verdict/);
  deepEqual(decisions(end), [["CONTINUE", "4", "alpha"]]);
  match(end.state.decisions[0]!.reason, /approved by .*; 1 gave no verdict/);
  equal(end.code, 0);
});

Deno.test("without a single verdict the work is not approved", async () => {
  const { agents, plan } = await withAuthor();
  await using _ = agents;
  await agents.behave("beta", "review", "echo approved");
  await agents.behave("beta", "reread", "echo approved");
  await agents.behave("gamma", "review", "exit 1");

  const end = await agents.run(["Write a draft", ...plan]);

  deepEqual(decisions(end), [["LOG_WARNING", "none", "alpha"]]);
  deepEqual([end.finished.status, end.code, end.finished.applied], ["failed", 1, false]);
  match(end.finished.open.join("\n"), /Nobody has approved "one"/);
  equal(await agents.git("show", `${end.finished.result_branch}:draft.txt`), "draft");
});

Deno.test("what an agent says in mid-run has its work reviewed, and the reviewer changes nothing", async () => {
  const { agents, plan } = await withAuthor("[orchestrate.reviews]\ncooldown_sec = 0\n");
  await using _ = agents;
  const steps = [["milestone", "half of it"], ["request_review", "please look"], ["blocker", "no way on"]] as const;
  const script = steps.map(([type, text], index) =>
    `echo ${type} >> draft.txt; event ${type} '${text}'; await go${index + 1}`
  );
  await agents.behave("alpha", "task", `${script.join("\n")}\necho end >> draft.txt; echo 'I am done'`);
  await agents.behave("beta", "review", "echo mine > draft.txt; echo mine > evil.txt; verdict approved");
  const run = await agents.start(["Write a draft", ...plan]);
  for (const index of steps.keys()) {
    const review = `r${index + 1}`;
    await run.event(
      `the decision on ${review}`,
      ({ type, data }) => type === "decision.made" && data.review === review,
    );
    const { folder } = await agents.read();
    await until(`${review} is on disk`, () => exists(join(folder, "reviews", `${review}.json`)));
    await agents.mark(`go${index + 1}`);
  }
  const end = await agents.ended(run);

  deepEqual(
    dataOf(end.events, "review.requested").map(({ trigger, reason, worker }) => [trigger, reason, worker]),
    [
      ["milestone", "half of it", "alpha"],
      ["request", "please look", "alpha"],
      ["blocker", "no way on", "alpha"],
      ["completion", "one", "alpha"],
    ],
  );
  const diffs = await agents.prompts("gamma", "review");
  deepEqual(diffs.map((prompt) => prompt.match(/^\+(?!\+)\w+$/gm)!.length), [1, 2, 3, 4]);
  equal(FakeAgents.launches(end, "alpha").length, 1, "it was not stopped");
  equal(end.code, 0);
  equal(await Deno.readTextFile(join(agents.target, "draft.txt")), "milestone\nrequest_review\nblocker\nend\n");
  equal(await exists(join(agents.target, "evil.txt")), false);
});

/** Of the processes of an agent: their state and CPU time, in clock ticks. */
async function stats(agents: FakeAgents, agent: string): Promise<{ pid: number; state: string; ticks: number }[]> {
  const found: { pid: number; state: string; ticks: number }[] = [];
  for (const { pid, command } of await agents.sandbox.processes()) {
    // The shell around it lives on, to note its end.
    if (
      !command.startsWith("/bin/sh") || command.includes("gocore-worker") ||
      !command.includes(`fake_agent.sh ${agent} `)
    ) continue;
    try {
      const [state, ...fields] = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
      found.push({ pid, state: state!, ticks: Number(fields[10]) + Number(fields[11]) });
    } catch {
      // Gone in the meantime.
    }
  }
  return found;
}
