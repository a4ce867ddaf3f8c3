/** `gocore orchestrate` when agents say why they failed: changed and started again, given to others, or to a person. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";

/** What an agent says on stderr, the cause that is read from it, and what the next attempt has changed. */
const MENDED = [
  ["Error: Path not in workspace: /srv/data", "include_directories", /--include-directories/],
  ["Not inside a trusted directory and --skip-git-repo-check was not specified.", "trusted_directory", /trusted/],
  ["--dangerously-skip-permissions cannot be used with root/sudo privileges", "root", /root is refused/],
  ["bwrap: No permissions to create a new namespace", "sandbox", /without the agent's own sandbox/],
  ["input is too long: context_length_exceeded", "context", /told what is done already/],
] as const;

Deno.test("what gocore can mend is mended, and the agent goes on with its work", async () => {
  const names = MENDED.map((_, index) => `agent${index}`);
  await using agents = await FakeAgents.create(names);
  for (const [index, name] of names.entries()) {
    await agents.behave(name, "task", `echo first > ${name}.txt; echo '${MENDED[index]![0]}' >&2; exit 1`, 1);
    await agents.behave(name, "task", `echo second >> ${name}.txt; echo done`);
  }
  const plan = await agents.plan(names.map((name) => ({ id: name, agent: name })));

  const end = await agents.run(["Write files", ...plan, "--verify", "cat agent*.txt", "--no-reviews"]);

  equal(end.code, 0, end.finished.open.join("\n"));
  const told = dataOf(end.events, "recovery.attempted").sort((a, b) => a.worker < b.worker ? -1 : 1);
  deepEqual(
    told.map(({ worker, cause, attempt, outcome }) => [worker, cause, attempt, outcome]),
    MENDED.map(([, cause], index) => [`agent${index}`, cause, 1, "relaunched"]),
  );
  for (const [index, [, , change]] of MENDED.entries()) match(told[index]!.change, change);
  for (const name of names) {
    equal(await Deno.readTextFile(join(agents.target, `${name}.txt`)), "first\nsecond\n");
    match((await agents.prompts(name, "task"))[1]!, /A former attempt at this was cut off/);
  }
});

Deno.test("a rate limit is waited for", async () => {
  await using agents = await FakeAgents.create(["alpha"]);
  await agents.behave("alpha", "task", "echo 'last status: 429 Too Many Requests' >&2; exit 1", 1);
  await agents.behave("alpha", "task", "echo done > result.txt; echo done");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  const end = await agents.run(["Write a file", ...plan, "--verify", "cat result.txt", "--no-reviews"]);
  equal(end.code, 0);
  const [recovery] = dataOf(end.log, "recovery.attempted");
  deepEqual([recovery!.cause, recovery!.outcome, recovery!.wait_seconds], ["rate_limit", "relaunched", 5]);
  const time = (type: string, nth: number) => Date.parse(end.log.filter((event) => event.type === type)[nth]!.time);
  // Timers may be a little early.
  ok(time("worker.launched", 1) - time("recovery.attempted", 0) > 4900, "it was waited for");
});

Deno.test("a login that is refused is told, and another agent gets the task", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta"]);
  await agents.behave("alpha", "task", "echo 'Invalid API key · Please run /login' >&2; exit 1");
  await agents.behave("beta", "task", "echo done > result.txt; echo done");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  const end = await agents.run(["Write a file", ...plan, "--verify", "cat result.txt", "--no-reviews"]);
  equal(end.code, 0);
  const [recovery] = dataOf(end.events, "recovery.attempted");
  deepEqual([recovery!.cause, recovery!.outcome], ["auth", "given_up"]);
  match(recovery!.suggestions.join("\n"), /key/);
  deepEqual(end.state.tasks.get("one")!.worker, "beta");
});

Deno.test("what only a person can mend is asked, and the answer goes to the agent", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta"]);
  await agents.behave(
    "alpha",
    "task",
    "echo first > result.txt; echo 'EACCES: permission denied, open /srv/x' >&2; exit 1",
  );
  await agents.behave("alpha", "feedback", "echo second >> result.txt; echo done");
  const plan = await agents.plan([{ id: "one", agent: "alpha" }]);
  const run = await agents.start(["Write a file", ...plan, "--verify", "cat result.txt", "--no-reviews"]);
  await run.event("a question", ({ type }) => type === "question.asked");
  equal((await agents.control("answer", "I have changed its owner")).code, 0);
  const end = await agents.ended(run);

  equal(end.code, 0, end.finished.open.join("\n"));
  const [recovery] = dataOf(end.events, "recovery.attempted");
  deepEqual([recovery!.cause, recovery!.outcome], ["permission", "escalated"]);
  match(dataOf(end.events, "question.asked")[0]!.text, /permission denied/);
  match((await agents.prompts("alpha", "feedback"))[0]!, /I have changed its owner/);
  equal(await Deno.readTextFile(join(agents.target, "result.txt")), "first\nsecond\n");
});
