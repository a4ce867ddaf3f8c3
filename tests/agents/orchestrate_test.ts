/** `gocore orchestrate` with the real codex, claude and gemini: their models answer from scripts. See `fetch_clis.sh`. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { EventData } from "../../src/events/event.ts";
import { dataOf, git } from "../support/fake_agents.ts";
import { type GocoreRun, listing, type Reply, submit, until } from "../support/gocore.ts";
import { type AgentName, agentNames, agentsAreFetched } from "./agent_cli.ts";
import { AgentSession, type Places, type SessionEnd } from "./agent_session.ts";

const ignore = !agentsAreFetched();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: ignore ? `${name} (ignored: fetch_clis.sh has not run)` : name, ignore, fn });

const approves: Reply = { content: '{"verdict": "approved", "summary": "It is right"}' };
const isRoot = Deno.uid() === 0;

/** Each agent gets a task of its own, at the same time. */
const ONE_EACH = agentNames.map((agent) => ({ id: agent, agent }));
const withoutReviews = ["--no-reviews", "--verify", agentNames.map((name) => `test -e ${name}.txt`).join(" && ")];

function forEach(replies: (name: AgentName) => readonly Reply[]): Record<string, readonly Reply[]> {
  return Object.fromEntries(agentNames.map((name) => [name, replies(name)]));
}

/** A command that begins, counts, and comes to its end when a test opens `NAME.go`. */
function longReply({ gate }: Places, name: AgentName): Reply {
  const cmd = `: > ${gate}/${name}.begun; while [ ! -e ${gate}/${name}.go ]; do echo >> ${gate}/${name}.count; ` +
    `sleep 0.1; done; echo ${name} > ${name}.txt`;
  // The longest that codex waits for a command; it would ask the model again after 10 s.
  return name === "codex"
    ? { content: "I begin", tool_calls: [{ name: "exec_command", arguments: { cmd, yield_time_ms: 30_000 } }] }
    : { content: "I begin", commands: [cmd] };
}

const longWork = (places: Places) => forEach((name) => [longReply(places, name), { content: `Done: ${name}` }]);
const begun = agentNames.map((name) => `${name}.begun`);
const go = agentNames.map((name) => `${name}.go`);

/** By agent, without claude's first start as root, which is a story of its own. */
function launchesOf(launches: readonly EventData<"worker.launched">[], name: string) {
  const own = launches.filter((one) => one.worker === name);
  return isRoot && name === "claude" ? own.slice(1) : own;
}

async function recoveries(session: AgentSession) {
  return (await session.told("recovery.attempted")).filter(({ cause }) => cause !== "root")
    .map(({ worker, cause, outcome }) => [worker, cause, outcome]).sort();
}

function isDone({ finished, stdout }: SessionEnd): void {
  deepEqual([finished.status, finished.exit_code, finished.applied], ["done", 0, true], stdout.slice(-3000));
}

async function targetHas(session: AgentSession, files: readonly string[]): Promise<void> {
  const found = (await listing(session.target)).filter((path) => !/^\.(?:git|gocore)\//.test(path));
  deepEqual(found, ["README.md", ...files].sort());
  equal(await git(session.target, "status", "--porcelain"), "");
}

/** What each worker has cost is the same in the session's events, in its report and in the gateway's ledger. */
async function costsAreTheLedgers(session: AgentSession, { state, folder }: SessionEnd): Promise<void> {
  const rows = await session.ledger();
  const counted = (await session.told("spending.counted")).slice(-rows.length);
  const byWorker = <T extends { readonly worker?: string | null }>(all: readonly T[]) =>
    all.toSorted((a, b) => a.worker! < b.worker! ? -1 : 1);
  deepEqual(
    byWorker(counted),
    byWorker(rows).map((row) => ({
      worker: row.worker,
      known_usd: row.cost_usd,
      unknown_calls: 0,
      calls: row.calls,
      input_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
      output_tokens: row.output_tokens,
    })),
  );
  const answers = await session.told("model.answered");
  const report = await Deno.readTextFile(join(folder, "final.md"));
  for (const { worker, calls, cost_usd } of rows) {
    equal(answers.filter((answer) => answer.worker === worker).length, calls, `the calls of ${worker}`);
    const cost = state.workers.get(worker!)!.spending.knownUsd;
    ok(cost_usd !== null && Math.abs(cost - cost_usd) < 1e-9, `${worker}: ${cost} and ${cost_usd}`);
    ok(report.includes(`| ${worker} | ${calls} |`), report);
  }
}

test("three agents share a task and review each other, and the result is in the target", async () => {
  const evil = ({ gate, target }: Places, name: string) => `echo evil > ${gate}/${name}; echo evil > ${target}/${name}`;
  await using session = await AgentSession.create((places) => ({
    workers: {
      gemini: [{ content: "Design: hello.txt says hi." }],
      claude: [{ content: "I begin", commands: ["echo hi > hello.txt"] }, { content: "Done: hello.txt is there" }],
      "codex-r1": [{ content: "I try", commands: [evil(places, "codex-r1")] }, approves],
      // It is offered no shell: a command is part of what it says, and that cannot be read.
      "gemini-r1": [{ content: "I try", commands: [evil(places, "gemini-r1")] }, approves],
      codex: [{ content: "I look", commands: ["cat hello.txt; echo there >> hello.txt"] }, { content: "Done: mended" }],
      "claude-r2": [{ content: "I try", commands: [evil(places, "claude-r2")] }, { content: "Good." }, approves],
      "gemini-r2": [{
        content: 'I looked.\n{"verdict": "concerns", "summary": "No dot", "issues": [{"text": "No dot", ' +
          '"file": "hello.txt", "line": 2}], "recommendations": ["Add it"]}',
      }],
    },
  }));
  const end = await session.run(["--revisions", "0", "--agents", "gemini,claude,codex", "Say hi"]);

  isDone(end);
  await targetHas(session, ["hello.txt"]);
  equal(await Deno.readTextFile(join(session.target, "hello.txt")), "hi\nthere\n");
  deepEqual(await Array.fromAsync(Deno.readDir(session.gate)), [], "no reviewer has written anything");
  const [preflight] = dataOf(end.events, "preflight.checked");
  deepEqual([preflight!.tier, preflight!.tier_name], [1, "ideal"]);
  // Claude refuses root what it allows in a sandbox, and is told that it is in one.
  deepEqual(
    dataOf(end.events, "recovery.attempted").map(({ worker, cause, outcome }) => [worker, cause, outcome]),
    isRoot ? [["claude", "root", "relaunched"]] : [],
  );
  const launches = dataOf(end.events, "worker.launched");
  match(launchesOf(launches, "claude")[0]!.prompt as string, /Design: hello\.txt says hi\./);
  for (const name of agentNames) {
    const stream = (await Deno.readTextFile(join(end.folder, `${name}.jsonl`))).trimEnd().split("\n");
    ok(stream.every((line) => typeof JSON.parse(line) === "object"), name);
  }
  deepEqual(
    dataOf(end.events, "review.answered").map(({ reviewer, verdict, asked, issues }) => [
      reviewer,
      verdict,
      asked,
      issues,
    ]).sort(),
    [
      ["claude-r2", "approved", 2, []],
      ["codex-r1", "approved", 1, []],
      ["gemini-r1", "approved", 2, []],
      ["gemini-r2", "concerns", 1, [{ text: "No dot", file: "hello.txt", line: 2 }]],
    ],
  );
  for (const name of ["claude-r2", "gemini-r1"]) {
    const asked = launches.filter(({ worker }) => worker === name);
    const [first] = dataOf(end.events, "worker.exited").filter(({ worker }) => worker === name);
    deepEqual(asked.map(({ resumes }) => resumes), [null, first!.cli_session], "it is asked in its own session");
    match(asked[1]!.prompt as string, /^Your answer could not be read/);
  }
  deepEqual(
    dataOf(end.events, "decision.made").map(({ action, rule, task }) => [action, rule, task]),
    [["CONTINUE", "4", "implementation"], ["LOG_WARNING", "3", "problem_solving"]],
  );
  deepEqual(
    dataOf(end.events, "merge.ended").map(({ task, outcome }) => [task, outcome]),
    [["implementation", "merged"], ["problem_solving", "merged"]],
  );
  await costsAreTheLedgers(session, end);
});

interface Tier {
  readonly installed: readonly AgentName[];
  readonly tier: readonly [number, string];
  /** Who designs, implements and checks, and who reviews what the latter two did. */
  readonly roles: readonly string[];
  readonly reviewers: readonly string[];
}

const TIERS: readonly Tier[] = [
  {
    installed: ["gemini", "claude"],
    tier: [2, "acceptable"],
    roles: ["gemini", "claude", "mini"],
    reviewers: ["gemini-r1", "claude-r2"],
  },
  {
    installed: ["gemini", "codex"],
    tier: [3, "degraded"],
    roles: ["gemini", "codex", "mini"],
    reviewers: ["gemini-r1", "codex-r2"],
  },
  {
    installed: ["claude", "codex"],
    tier: [4, "degraded"],
    roles: ["codex", "claude", "mini"],
    reviewers: ["codex-r1", "codex-r2"],
  },
  { installed: [], tier: [5, "solo"], roles: ["mini"], reviewers: ["mini-r1"] },
];

test("without one of the agents, or any, the others and mini do the work, and the reason is told", async () => {
  const asMini = (commands: readonly string[], last: string): Reply[] => [
    ...commands.map((command) => ({ commands: [command] })),
    submit(last),
  ];
  const work = (agent: string, command: string): Reply[] =>
    agent === "mini" ? asMini([command], "Done") : [{ content: "I begin", commands: [command] }, { content: "Done" }];
  await Promise.all(TIERS.map(async ({ installed, tier, roles, reviewers }) => {
    const [architect, implementer, checker] = roles.length === 1 ? [undefined, roles[0]!] : roles;
    await using session = await AgentSession.create(() => ({
      installed,
      workers: {
        ...(architect !== undefined && { [architect]: [{ content: "Design: hello.txt says hi." }] }),
        [implementer!]: work(implementer!, "echo hi > hello.txt"),
        ...(checker !== undefined && { [checker]: work(checker, "echo there >> hello.txt") }),
        ...Object.fromEntries(
          reviewers.map((name) => [name, name.startsWith("mini") ? asMini([], approves.content!) : [approves]]),
        ),
      },
    }));
    const end = await session.run(["--reviewers", "1", "Say hi"]);

    isDone(end);
    equal(
      await Deno.readTextFile(join(session.target, "hello.txt")),
      checker === undefined ? "hi\n" : "hi\nthere\n",
    );
    const [preflight] = dataOf(end.events, "preflight.checked");
    deepEqual([preflight!.tier, preflight!.tier_name], tier);
    for (const name of agentNames) {
      const row = preflight!.agents.find(({ agent }) => agent === name)!;
      const isInstalled = installed.includes(name);
      equal(row.status, isInstalled ? "ready" : "missing");
      equal(preflight!.reason.includes(`${name}: no "${name}" on PATH`), !isInstalled, preflight!.reason);
      equal(row.hint?.startsWith("npm install -g "), isInstalled ? undefined : true);
    }
    deepEqual(
      dataOf(end.events, "plan.made")[0]!.breakdown.assignments.map(({ agent }) => agent),
      roles,
    );
    deepEqual(dataOf(end.events, "review.answered").map(({ reviewer }) => reviewer), reviewers);
    await costsAreTheLedgers(session, end);
  }));
});

test("agents that are killed in the middle of a command go on with their sessions", async () => {
  await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
  const run = await session.start([...await session.plan(ONE_EACH), "--no-reviews", "--verify", "true", "Work"]);
  await session.passed(...begun);
  const { state } = await session.read();
  for (const name of agentNames) Deno.kill(await session.processOf(state.workers.get(name)!), "SIGKILL");
  const end = await session.ended(run);

  deepEqual([end.finished.status, end.finished.open], ["done", []]);
  deepEqual(await recoveries(session), agentNames.map((name) => [name, "crashed", "relaunched"]).sort());
  for (const name of agentNames) {
    const [first, second, ...more] = launchesOf(dataOf(end.events, "worker.launched"), name);
    deepEqual(more, []);
    const exits = dataOf(end.events, "worker.exited").filter(({ worker }) => worker === name);
    const [killed, completed] = exits.slice(-2);
    deepEqual(
      [killed!.outcome, killed!.signal, completed!.outcome, completed!.text],
      ["failed", "SIGKILL", "completed", `Done: ${name}`],
    );
    deepEqual([first!.resumes, second!.resumes], [null, killed!.cli_session]);
    equal(completed!.cli_session, killed!.cli_session, "it is the same session");
  }
});

/** Kills the coordinator when all agents are in the middle of a command. */
async function killCoordinator(session: AgentSession): Promise<void> {
  const run = await session.start([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);
  await session.passed(...begun);
  run.kill("SIGKILL");
  equal((await run.end).signal, "SIGKILL");
}

test("agents whose coordinator is killed are adopted by the next one, and complete what they were at", async () => {
  await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
  await killCoordinator(session);
  const again = await session.start(["--resume", "last"]);
  for (const name of agentNames) {
    await again.event(
      `${name} is adopted`,
      (event) => event.type === "worker.started" && event.data.worker === name && event.data.adopted,
    );
  }
  await session.open(...go);
  const end = await session.ended(again);

  isDone(end);
  await targetHas(session, agentNames.map((name) => `${name}.txt`));
  deepEqual(await recoveries(session), []);
  const launches = await session.told("worker.launched");
  for (const name of agentNames) equal(launchesOf(launches, name).length, 1, `${name} was started once`);
  await costsAreTheLedgers(session, end);
});

test("agents that find no gateway, because their coordinator was killed, go on when it is there again", async () => {
  await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
  await killCoordinator(session);
  await session.open(...go);
  await session.sandbox.noProcessLeft();
  const end = await session.ended(await session.start(["--resume", "last"]));

  isDone(end);
  await targetHas(session, agentNames.map((name) => `${name}.txt`));
  deepEqual(await recoveries(session), agentNames.map((name) => [name, "network", "relaunched"]).sort());
  const launches = await session.told("worker.launched");
  for (const name of agentNames) {
    const own = launchesOf(launches, name).map(({ resumes }) => resumes);
    deepEqual(own, [null, end.state.workers.get(name)!.cliSession], `${name} goes on with its session`);
  }
  await costsAreTheLedgers(session, end);
});

test("agents whose own sessions are lost begin new ones, and are told what is there", async () => {
  await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
  const run = await session.start([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);
  await session.passed(...begun);
  run.kill("SIGINT");
  const { folder } = await session.ended(run);
  for (const name of agentNames) await Deno.remove(join(folder, "agents", name, "home"), { recursive: true });
  await session.open(...go);
  const end = await session.run(["--resume", "last"]);

  isDone(end);
  deepEqual(await recoveries(session), agentNames.map((name) => [name, "arguments", "relaunched"]).sort());
  const launches = await session.told("worker.launched");
  for (const name of agentNames) {
    const own = launchesOf(launches, name);
    deepEqual(own.map(({ resumes }) => resumes !== null), [false, true, false]);
    match(own[2]!.prompt as string, /A former attempt at this was cut off/);
  }
});

test("gemini is given the directories that it was refused", async () => {
  await using session = await AgentSession.create((places) => {
    const read = {
      content: "I read",
      tool_calls: [{ name: "read_file", arguments: { file_path: join(places.target, "README.md") } }],
    };
    // The second one is not answered any more, or in the next attempt.
    const waiting = longReply(places, "gemini");
    return { workers: { gemini: [read, waiting, read, { content: "Done" }, { content: "Done" }] } };
  });
  const plan = await session.plan([{ id: "gemini", agent: "gemini" }]);
  const run = await session.start([...plan, "--no-reviews", "--verify", "true", "Work"]);
  await run.event("a recovery", ({ type }) => type === "recovery.attempted");
  await run.event("an end", ({ type }) => type === "worker.exited");
  await session.open("gemini.go");
  const end = await session.ended(run);

  equal(end.finished.status, "done");
  deepEqual(await recoveries(session), [["gemini", "include_directories", "relaunched"]]);
  const included = dataOf(end.events, "worker.launched").map(({ argv }) =>
    argv.filter((_, index) => argv[index - 1] === "--include-directories").includes(session.target)
  );
  deepEqual(included, [false, true]);
  const denials = dataOf(end.events, "worker.event").filter(({ event }) => event.type === "denial");
  deepEqual(denials.map(({ event }) => event.payload.text.split(":")[0]), ["Path not in workspace"]);
});

test("codex reviews where there is no git, after it was told to trust the directory", async () => {
  await using session = await AgentSession.create(() => ({
    isPlain: true,
    workers: {
      claude: [{ content: "I begin", commands: ["echo hi > hello.txt"] }, { content: "Done" }],
      "codex-r1": [approves],
    },
  }));
  const plan = await session.plan([{ id: "hello", agent: "claude" }]);
  const end = await session.run([...plan, "--agents", "claude,codex", "Say hi"]);

  equal(end.finished.status, "done", end.stdout.slice(-2000));
  deepEqual(await recoveries(session), [["codex-r1", "trusted_directory", "relaunched"]]);
  const reviewers = dataOf(end.events, "worker.launched").filter(({ review }) => review !== null);
  deepEqual(reviewers.map(({ argv }) => argv.includes("--skip-git-repo-check")), [false, true]);
  deepEqual(
    dataOf(end.events, "review.answered").map(({ verdict, asked }) => [verdict, asked]),
    [["approved", 1]],
  );
});

test("rate limits and overload are waited for, a conversation that is too long is begun anew", async () => {
  const limited: Reply = { error: { status: 429, message: "Rate limit reached", retry_after: 1 } };
  const overloaded: Reply = { error: { status: 529, message: "Overloaded" } };
  const tooLong: Reply = { error: { status: 400, message: "prompt is too long: 250000 tokens > 200000 maximum" } };
  await using session = await AgentSession.create(() => ({
    workers: forEach((name) => [
      limited,
      { content: "I begin", commands: [`echo ${name} > ${name}.txt`] },
      overloaded,
      tooLong,
      // Claude first has the conversation shortened by the model itself.
      { content: `Done: ${name}`, repeat: 4 },
    ]),
  }));
  const end = await session.run([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);

  isDone(end);
  await targetHas(session, agentNames.map((name) => `${name}.txt`));
  deepEqual(await recoveries(session), [
    ["codex", "context", "relaunched"],
    ["gemini", "context", "relaunched"],
  ]);
  const launches = dataOf(end.events, "worker.launched");
  deepEqual(
    agentNames.map((name) => launchesOf(launches, name).map(({ resumes }) => resumes)),
    [[null, null], [null], [null, null]],
  );
  for (const name of ["codex", "gemini"]) {
    match(launchesOf(launches, name)[1]!.prompt as string, new RegExp(`files that it changed[^]*${name}\\.txt`));
  }
  await costsAreTheLedgers(session, end);
});

test("an agent whose key is taken away gives up, and another one goes on with its work", async () => {
  await using session = await AgentSession.create((places) => ({
    workers: {
      ...longWork(places),
      mini: [{ commands: ["ls >> mini.txt"] }, submit("Done: mini")],
    },
  }));
  for (const name of agentNames) {
    const plan = await session.plan([{ id: "work", agent: name }]);
    const run = await session.start([...plan, "--agents", `${name},mini`, "--no-reviews", "--verify", "true", "Work"]);
    await session.passed(`${name}.begun`);
    const { state } = await session.read();
    await session.endKey(state.workers.get(name)!.launch.key_id!);
    await session.open(`${name}.go`);
    const end = await session.ended(run);

    isDone(end);
    deepEqual(await recoveries(session), [[name, "auth", "given_up"]]);
    const task = end.state.tasks.get("work")!;
    deepEqual([task.worker, task.files], ["mini", [`${name}.txt`, "mini.txt"]]);
  }
});

test("an agent that may not write where it works asks a person, and goes on with the answer", async () => {
  const refused = 'echo "sh: $PWD/locked.txt: Permission denied"; exit 1';
  await using session = await AgentSession.create((places) => ({
    workers: forEach((name) => [
      { content: "I begin", commands: [refused] },
      // Not answered any more, or in the next attempt.
      longReply(places, name),
      { content: "I do", commands: [`echo ${name} > ${name}.txt`] },
      { content: `Done: ${name}` },
      { content: `Done: ${name}` },
    ]),
  }));
  const run = await session.start([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);
  for (let nth = 0; nth < agentNames.length; nth++) {
    await until("somebody asks", () => dataOf(run.events, "question.asked").length > nth);
    const { worker, text } = dataOf(run.events, "question.asked")[nth]!;
    match(text, new RegExp(`^${worker} cannot go on: .*a permission of the system: .*locked\\.txt: Permission denied`));
    await session.open(`${worker}.go`);
    await session.control("answer", `Take another file, ${worker}`);
  }
  const end = await session.ended(run);

  isDone(end);
  deepEqual(await recoveries(session), agentNames.map((name) => [name, "permission", "escalated"]).sort());
  const launches = dataOf(end.events, "worker.launched");
  for (const name of agentNames) {
    const second = launchesOf(launches, name)[1]!;
    ok((second.prompt as string).includes(`Take another file, ${name}`), name);
    ok(second.resumes !== null, `${name} goes on with its session`);
  }
});

test("no agent spends more than the session's budget, or its own", async () => {
  const work = forEach((name) => [
    { content: "I begin", commands: [`echo ${name} > ${name}.txt`] },
    { content: `Done: ${name}` },
  ]);
  await using session = await AgentSession.create(() => ({ workers: work }));
  for (const name of agentNames) {
    const plan = await session.plan([{ id: "work", agent: name }]);
    const flags = [...plan, "--agents", name, "--no-reviews", "--verify", "true"];
    const whole = await session.run([...flags, "--budget", "0.0000001", "Work"]);
    const own = await session.run([...flags, "--agent-budget", `${name}=0.0000001`, "Work"]);

    deepEqual([whole.finished.status, whole.code, whole.finished.cost_usd], ["budget", 1, 0]);
    deepEqual([own.finished.status, own.code, own.finished.cost_usd], ["failed", 1, 0]);
    for (const { events } of [whole, own]) equal(dataOf(events, "worker.exited").at(-1)!.cause, "budget");
  }
});

/** Names in the shared folder for temporary files that agents are known to leave there. */
async function strayTemporaries(): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir("/tmp"))).map(({ name }) => name);
  return names.filter((name) => /^(?:codex-|claude-|gemini-|cc-socks)/.test(name)).sort();
}

const ENDS: readonly {
  how: string;
  end(session: AgentSession, run: GocoreRun): void | Promise<unknown>;
  code: number;
}[] = [
  { how: "stop", end: (session) => session.control("stop"), code: 1 },
  { how: "SIGINT", end: (_, run) => run.kill("SIGINT"), code: 130 },
  { how: "SIGTERM", end: (_, run) => run.kill("SIGTERM"), code: 143 },
];

test("a session that is ended leaves no process and no file behind, and goes on with every agent's session", async () => {
  const before = await strayTemporaries();
  await Promise.all(ENDS.map(async ({ how, end: endIt, code }) => {
    await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
    const run = await session.start([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);
    await session.passed(...begun);
    await endIt(session, run);
    const end = await session.ended(run);
    equal(end.code, code, how);
    equal(end.finished.status, how === "stop" ? "stopped" : "interrupted");
    for (const name of agentNames) equal(end.state.workers.get(name)!.exit!.outcome, "stopped", `${name}, ${how}`);

    await session.open(...go);
    const resumed = await session.run(["--resume", "last"]);
    isDone(resumed);
    await targetHas(session, agentNames.map((name) => `${name}.txt`));
    const launches = await session.told("worker.launched");
    for (const name of agentNames) {
      const { cliSession } = end.state.workers.get(name)!;
      deepEqual(launchesOf(launches, name).map(({ resumes }) => resumes), [null, cliSession], `${name}, ${how}`);
    }
  }));
  deepEqual(await strayTemporaries(), before);
});

test("agents that are held stand still with their commands, and go on where they were", async () => {
  await using session = await AgentSession.create((places) => ({ workers: longWork(places) }));
  const counts = () =>
    Promise.all(agentNames.map(async (name) => (await Deno.stat(join(session.gate, `${name}.count`))).size));
  const countOn = async () => {
    const before = await counts();
    await until("all count on", async () => (await counts()).every((count, index) => count > before[index]!));
  };
  const first = await session.start([...await session.plan(ONE_EACH), ...withoutReviews, "Work"]);
  await session.passed(...begun);
  const hold = async () => {
    await session.control("pause");
    await until("all are held", async () => {
      const states = await session.statesOfAgents(first);
      return states.length >= 2 * agentNames.length && states.every((state) => state === "T");
    });
    const before = await counts();
    await session.control("show");
    deepEqual(await counts(), before, "nobody has counted on");
  };
  await hold();
  await session.control("resume");
  await countOn();

  await hold();
  first.kill("SIGKILL");
  await first.end;
  const second = await session.start(["--resume", "last"]);
  await countOn();
  await session.open(...go);
  const end = await session.ended(second);

  isDone(end);
  deepEqual(await recoveries(session), []);
  const signalled = (await session.told("worker.signalled")).map(({ worker, action }) => `${worker} ${action}`).sort();
  deepEqual(signalled, agentNames.flatMap((name) => [`${name} pause`, `${name} pause`, `${name} resume`]).sort());
});

test("a conflict of two agents is resolved by one of them", async () => {
  const replies = (name: string): Reply[] => [
    { content: "I begin", commands: [`echo ${name} > same.txt`] },
    { content: "Done" },
  ];
  await using session = await AgentSession.create(() => ({
    workers: {
      codex: replies("codex"),
      claude: replies("claude"),
      "merge-second": [
        { content: "I look", commands: ["grep -c '^<<<<<<<' same.txt && printf 'codex\\nclaude\\n' > same.txt"] },
        { content: "Both lines are there" },
      ],
    },
  }));
  const plan = await session.plan([{ id: "first", agent: "codex" }, { id: "second", agent: "claude" }]);
  const end = await session.run([...plan, "--agents", "codex,claude", "--no-reviews", "--verify", "true", "Work"]);

  isDone(end);
  deepEqual(
    dataOf(end.events, "merge.ended").map(({ task, outcome, files }) => [task, outcome, files]),
    [["first", "merged", ["same.txt"]], ["second", "resolved", ["same.txt"]]],
  );
  equal(await Deno.readTextFile(join(session.target, "same.txt")), "codex\nclaude\n");
});
