/** `gocore orchestrate` with workers that die, hang, flood, will not end, or use too much. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents, type FakeAgentsOptions, type SessionEnd } from "../support/fake_agents.ts";

const WRITES = "echo second > result.txt; echo 'I went on'";

/** One task for alpha; its work needs no review. */
async function withWorker(
  script: string,
  options: FakeAgentsOptions & { agents?: readonly string[] } = {},
): Promise<{ agents: FakeAgents; args: string[] }> {
  const agents = await FakeAgents.create(options.agents ?? ["alpha", "beta"], options);
  await agents.behave("alpha", "task", script, 1);
  await agents.behave("alpha", "task", WRITES);
  await agents.behave("beta", "task", "echo other > result.txt; echo 'beta did it'");
  const args = [
    "Write a result",
    "--no-reviews",
    "--verify",
    "test -s result.txt",
    ...await agents.plan([{ id: "one", agent: "alpha" }]),
  ];
  return { agents, args };
}

const exits = ({ events }: SessionEnd) =>
  dataOf(events, "worker.exited").map(({ worker, attempt, outcome, cause }) => [worker, attempt, outcome, cause]);
const recoveries = ({ events }: SessionEnd) =>
  dataOf(events, "recovery.attempted").map(({ worker, cause, outcome }) => [worker, cause, outcome]);

async function hasResult({ target }: FakeAgents, content: string): Promise<void> {
  equal(await Deno.readTextFile(join(target, "result.txt")), content);
}

Deno.test("a worker that is killed from outside is started again, and told what it had done", async () => {
  const { agents, args } = await withWorker("echo first > result.txt; echo $$ > $state/pid; mark begun; await never");
  await using _ = agents;
  const run = await agents.start(args);
  await agents.marked("begun");
  const inner = (await agents.sandbox.processes()).filter(({ command }) =>
    command.startsWith("/bin/sh") && !command.includes("gocore-worker") && command.includes("fake_agent.sh alpha ")
  );
  for (const { pid } of inner) Deno.kill(pid, "SIGKILL");
  const end = await agents.ended(run);

  deepEqual(exits(end), [["alpha", 1, "failed", "crashed"], ["alpha", 2, "completed", null]]);
  equal(dataOf(end.events, "worker.exited")[0]!.signal, "SIGKILL");
  deepEqual(recoveries(end), [["alpha", "crashed", "relaunched"]]);
  match(
    (await agents.prompts("alpha", "task"))[1]!,
    /A former attempt at this was cut off.*files that it changed =+\nresult\.txt\n/s,
  );
  await hasResult(agents, "second\n");
});

Deno.test("a worker that crashes every time is replaced by another one", async () => {
  const { agents, args } = await withWorker("");
  await using _ = agents;
  for (const nth of [1, 2, 3]) await agents.behave("alpha", "task", "echo 'segfault' >&2; exit 139", nth);
  const end = await agents.run(args);

  deepEqual(exits(end), [
    ["alpha", 1, "failed", "crashed"],
    ["alpha", 2, "failed", "crashed"],
    ["alpha", 3, "failed", "crashed"],
    ["beta", 1, "completed", null],
  ]);
  deepEqual(recoveries(end), [
    ["alpha", "crashed", "relaunched"],
    ["alpha", "crashed", "relaunched"],
    ["alpha", "crashed", "given_up"],
  ]);
  deepEqual([...end.state.tasks.values()].map(({ status, worker }) => [status, worker]), [["done", "beta"]]);
  match((await agents.prompts("beta", "task"))[0]!, /alpha did not get further/);
  await hasResult(agents, "other\n");
});

Deno.test("when nobody can do it, the session fails and says why", async () => {
  const { agents, args } = await withWorker("", { agents: ["alpha"] });
  await using _ = agents;
  await agents.behave("alpha", "task", "echo 'error: unexpected argument --x' >&2; exit 2", 1);
  const end = await agents.run(args.filter((arg) => arg !== "--verify" && !arg.startsWith("test ")));

  deepEqual(exits(end), [["alpha", 1, "failed", "arguments"]]);
  deepEqual([end.finished.status, end.code], ["failed", 1]);
  match(end.finished.summary, /unexpected argument --x/);
});

const STALLS = "[orchestrate.liveness]\nstall_sec = 1\n";

Deno.test("a worker that hangs silently is told to take another way", async () => {
  const { agents, args } = await withWorker("echo first > result.txt; sleep 1000", { settings: STALLS });
  await using _ = agents;
  const end = await agents.run(args);

  deepEqual(exits(end), [["alpha", 1, "stopped", null], ["alpha", 2, "completed", null]]);
  deepEqual(dataOf(end.events, "worker.signalled").map(({ worker, action }) => [worker, action]), [["alpha", "nudge"]]);
  ok(dataOf(end.events, "worker.liveness").some(({ verdict }) => verdict === "stalled"));
  match((await agents.prompts("alpha", "task"))[1]!, /nothing moved any more/);
  await hasResult(agents, "second\n");
});

Deno.test("a worker that hangs again is given up, and another one goes on in its folder", async () => {
  const { agents, args } = await withWorker("sleep 1000", { settings: STALLS });
  await using _ = agents;
  await agents.behave("alpha", "task", "echo alpha > kept.txt; sleep 1000", 2);
  const end = await agents.run(args);

  deepEqual(exits(end).map(([worker, , outcome]) => [worker, outcome]), [
    ["alpha", "stopped"],
    ["alpha", "stopped"],
    ["beta", "completed"],
  ]);
  deepEqual(dataOf(end.events, "worker.signalled").map(({ action }) => action), ["nudge", "pause", "stop"]);
  await hasResult(agents, "other\n");
  equal(await Deno.readTextFile(join(agents.target, "kept.txt")), "alpha\n");
});

Deno.test("a worker that ignores every signal that can be ignored is ended all the same", async () => {
  const stubborn = "trap '' INT TERM HUP; (trap '' INT TERM HUP; while :; do sleep 0.1; done) & " +
    "echo first > result.txt; mark begun; while :; do sleep 0.1; done";
  const { agents, args } = await withWorker(stubborn, { settings: "grace_sec = 0.2" });
  await using _ = agents;
  const run = await agents.start(args);
  await agents.marked("begun");
  equal((await agents.control("stop", "--reason", "enough")).code, 0);
  const end = await agents.ended(run);

  deepEqual([end.finished.status, end.code], ["stopped", 1]);
  const [exit] = dataOf(end.events, "worker.exited");
  deepEqual([exit!.outcome, exit!.signal], ["stopped", "SIGKILL"]);
  const [saved] = end.state.saved;
  equal(await agents.git("show", `${saved!.ref}:result.txt`), "first");
});

Deno.test("50 MB of garbage fill neither the log nor the memory", async () => {
  const flood = "head -c 50000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo first > result.txt; echo\n" +
    "event milestone 'that was all'; await go";
  const { agents, args } = await withWorker(flood, { streams: { alpha: "jsonl" } });
  await using _ = agents;
  const run = await agents.start(args);
  await run.event(
    "what alpha said last",
    ({ type, data }) => type === "worker.event" && data.event.payload.text === "that was all",
  );
  const peakMb = Number(/VmHWM:\s+(\d+) kB/.exec(await Deno.readTextFile(`/proc/${run.pid}/status`))![1]) / 1024;
  await agents.mark("go");
  const end = await agents.ended(run);

  ok(peakMb < 500, `${peakMb} MB`);
  deepEqual(exits(end), [["alpha", 1, "completed", null]]);
  ok((await Deno.stat(join(end.folder, "alpha.jsonl"))).size > 50_000_000, "the raw stream is kept");
  ok((await Deno.stat(join(end.folder, "events.jsonl"))).size < 1_000_000, "the log stays small");
  const unreadable = dataOf(end.events, "worker.event").filter(({ event }) => event.type === "unreadable");
  match(unreadable.at(-1)!.event.payload.text, /further lines that are no events/);
  await hasResult(agents, "first\n");
});

Deno.test("one line of 50 MB, and bytes that are no text, are told as what they are", async () => {
  const garbage = "head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; head -c 100000 /dev/urandom; echo; " +
    `printf '\\000\\377\\376\\n{"type":"message","text":"I am done"}\\n'; echo first > result.txt`;
  const { agents, args } = await withWorker(garbage, { streams: { alpha: "jsonl" } });
  await using _ = agents;
  const end = await agents.run(args);

  const [exit] = dataOf(end.events, "worker.exited");
  deepEqual([exit!.outcome, exit!.text], ["completed", "I am done"]);
  const texts = dataOf(end.events, "worker.event").filter(({ event }) => event.type === "unreadable")
    .map(({ event }) => event.payload.text);
  ok(texts.some((text) => /A line of 5\d+ bytes, too long to be read/.test(text)), texts.join("\n").slice(0, 1000));
  ok((await Deno.stat(join(end.folder, "events.jsonl"))).size < 2_000_000);
  await hasResult(agents, "first\n");
});

Deno.test("a worker that ends with 0 and without a word has done what its files say", async () => {
  const { agents, args } = await withWorker("echo first > result.txt; exit 0");
  await using _ = agents;
  const end = await agents.run(args);
  const [exit] = dataOf(end.events, "worker.exited");
  deepEqual([exit!.outcome, exit!.text], ["completed", ""]);
  await hasResult(agents, "first\n");
});

Deno.test("what a worker leaves running ends with it", async () => {
  const daemon =
    "setsid sh -c 'trap \"\" HUP TERM; touch $0/daemon; sleep 1000' $state </dev/null >/dev/null 2>&1 &\n" +
    "await daemon; echo first > result.txt; echo done";
  for (const mode of ["prefer", "off"]) {
    const { agents, args } = await withWorker(daemon);
    await using _ = agents;
    const end = await agents.run([...args, "--sandbox", mode]);
    equal(end.code, 0);
    await hasResult(agents, "first\n");
  }
});

Deno.test("a program that is not there is told, and without any agent the session does not begin", async () => {
  await using agents = await FakeAgents.create(["alpha", "ghost"], { programs: { ghost: "no-such-agent" } });
  await agents.behave("alpha", "task", WRITES);
  const end = await agents.run(["Write a result", "--no-reviews", "--verify", "true"]);
  const { agents: rows, tier, reason } = dataOf(end.events, "preflight.checked")[0]!;
  deepEqual(
    rows.filter(({ status }) => status !== "not_chosen").map(({ agent, status }) => [agent, status]),
    [["alpha", "ready"], ["ghost", "missing"]],
  );
  equal(tier, 5);
  match(reason, /ghost: .*no-such-agent/);
  await hasResult(agents, "second\n");

  await using ghosts = await FakeAgents.create(["ghost"], { programs: { ghost: "no-such-agent" } });
  const none = await (await ghosts.start(["Write a result"])).end;
  equal(none.code, 1);
  match(none.stderr, /^Error: Cannot start: no agent is ready\nHint: ghost: .*no-such-agent/);
  deepEqual(await ghosts.sandbox.processes(), []);
});

Deno.test("a grandchild that takes too much memory ends its worker with the reason", async () => {
  const hog = "sh -c 'exec tail /dev/zero' & echo first > result.txt; wait; sleep 1000";
  const { agents, args } = await withWorker(hog);
  await using _ = agents;
  const end = await agents.run([...args, "--worker-memory-mb", "100"]);
  await wasLimited(agents, end, "memory");
});

Deno.test("a grandchild that spins on every processor ends its worker with the reason", async () => {
  const spinner =
    "for _ in 1 2 3 4 5 6 7 8; do sh -c 'while :; do :; done' & done; echo first > result.txt; sleep 1000";
  const { agents, args } = await withWorker(spinner);
  await using _ = agents;
  const end = await agents.run([...args, "--worker-cpu-percent", "10"]);
  await wasLimited(agents, end, "cpu");
});

Deno.test("a worker that sleeps past its time is ended with the reason", async () => {
  const { agents, args } = await withWorker("echo first > result.txt; sleep 1000");
  await using _ = agents;
  const end = await agents.run([...args, "--worker-timeout-sec", "2"]);
  await wasLimited(agents, end, "time");
});

/** It was ended once, and went on with a note. */
async function wasLimited(agents: FakeAgents, end: SessionEnd, limit: string): Promise<void> {
  deepEqual(dataOf(end.events, "limit.exceeded").map(({ worker, limit }) => [worker, limit]), [["alpha", limit]]);
  deepEqual(exits(end), [["alpha", 1, "limit", null], ["alpha", 2, "completed", null]]);
  match(dataOf(end.events, "worker.exited")[0]!.text, new RegExp(`it used more ${limit} than is allowed`));
  match((await agents.prompts("alpha", "task"))[1]!, new RegExp(`used more ${limit} than is allowed`));
  await hasResult(agents, "second\n");
}

Deno.test("a worker that exceeds its limit twice is replaced", async () => {
  const { agents, args } = await withWorker("sleep 1000");
  await using _ = agents;
  await agents.behave("alpha", "task", "sleep 1000", 2);
  const end = await agents.run([...args, "--worker-timeout-sec", "1"]);
  deepEqual(exits(end), [
    ["alpha", 1, "limit", null],
    ["alpha", 2, "limit", null],
    ["beta", 1, "completed", null],
  ]);
  await hasResult(agents, "other\n");
});
