/** `gocore manager` with the real codex, claude and gemini: their models answer from scripts. See `fetch_clis.sh`. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { EventData, EventType } from "../../src/events/event.ts";
import type { Report } from "../../src/gateway/ledger/report.ts";
import { dataOf } from "../support/fake_agents.ts";
import {
  exists,
  type GocoreEnd,
  type GocoreRun,
  listing,
  processesWith,
  quoted,
  type Reply,
  submit,
  until,
} from "../support/gocore.ts";
import { ManagedIssue, SCRIPT } from "../support/managed_issue.ts";
import { type AgentName, agentNames, agentsAreFetched } from "./agent_cli.ts";
import { pathWith } from "./agent_session.ts";

const ignore = !agentsAreFetched();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: ignore ? `${name} (ignored: fetch_clis.sh has not run)` : name, ignore, fn });

const everybody = [...agentNames, "mini"] as const;
type Anybody = typeof everybody[number];

const candidate = (id: string) =>
  JSON.stringify({
    candidate_id: id,
    script: SCRIPT,
    setup_commands: [],
    oracle_command: "python {repro_file}",
    claimed_failure_signature: "ZeroDivisionError: division by zero",
    file_extension: "py",
  });

const hypotheses = JSON.stringify({
  hypotheses: [{
    hypothesis_id: "h1",
    mechanism: "mean divides by len(values), which is zero for an empty list",
    evidence: [{ file: "pkg/core.py", line: 9, snippet: "return total / len(values)" }],
    confidence: 0.9,
    disconfirming_checks: ["Look whether callers check for it"],
  }],
});

const ANSWER = ".gocore-task/answer.json";
const written = (answer: string): Reply => ({
  content: "I begin",
  commands: [`printf %s ${quoted(answer)} > ${ANSWER}`],
});
const said = (agent: Anybody, text: string): Reply => agent === "mini" ? submit(text) : { content: text };

/** A command that begins, and comes to its end when a test makes the file `go` in the worktree. */
function longReply(agent: Anybody): Reply {
  const cmd = ": > begun; while [ ! -e go ]; do sleep 0.1; done";
  // The longest that codex waits for a command; it would ask the model again after 10 s.
  return agent === "codex"
    ? { content: "I begin", tool_calls: [{ name: "exec_command", arguments: { cmd, yield_time_ms: 30_000 } }] }
    : { content: "I begin", commands: [cmd] };
}

/** One builder for each agent, in their order: `w1` is the first one. */
function builders(replies: (agent: Anybody) => readonly Reply[], agents: readonly Anybody[] = everybody) {
  return Object.fromEntries(agents.map((agent, index) => [`w${index + 1}`, replies(agent)]));
}

/** What those say who come after the four builders. */
const EXPLAINED = Object.fromEntries(everybody.map((agent, index) => [`w${index + 5}`, [said(agent, hypotheses)]]));

interface RunEnd extends GocoreEnd {
  readonly told: <T extends EventType>(type: T) => EventData<T>[];
}

class AgentRun implements AsyncDisposable {
  #script = "";

  private constructor(readonly issue: ManagedIssue, readonly env: Record<string, string>) {}

  static async create(
    workers: Readonly<Record<string, readonly Reply[]>>,
    { installed = agentNames }: { readonly installed?: readonly AgentName[] } = {},
  ): Promise<AgentRun> {
    const issue = await ManagedIssue.create();
    const tmux = join(issue.box.root, "tmux");
    await Deno.mkdir(tmux);
    const env = { PATH: await pathWith(issue.box, installed), TMUX_TMPDIR: tmux, USER: "ivg" };
    const run = new AgentRun(issue, env);
    const all = { ...EXPLAINED, ...workers };
    run.#script = await issue.box.file("workers.json", JSON.stringify({ workers: all, replies: [] }));
    return run;
  }

  async start(args: readonly string[]): Promise<GocoreRun> {
    const { box, repo, runs } = this.issue;
    return await box.start([
      ...["manager", "--runs-root", runs, "--repo-path", repo, "--script", this.#script, "--json"],
      ...["--model", "codex=gpt-5.5", "--model", "gemini=gemini-2.5-flash", "--model", "mini=openai/gpt-5"],
      ...["--timeout-sec", "900", "--poll-interval-sec", "0.2", "--validation-python-version", "3"],
      ...["--rounds", "1", "--repro-validation-runs", "2", "--no-bisect"],
      ...args,
    ], { env: this.env });
  }

  /** A new run with these agents, one worker each. */
  begin(agents: readonly Anybody[], args: readonly string[] = []): Promise<GocoreRun> {
    return this.start([
      ...["--issue-file", join(this.issue.box.root, "issue.md"), "--run-id", "r1"],
      ...["--agent", agents.join(","), "--workers", String(agents.length), "--backend", "process"],
      ...["--no-minimize", ...args],
    ]);
  }

  /** With what holds for every end. */
  async ended(run: GocoreRun): Promise<RunEnd> {
    const end = await run.end;
    equal(end.signal, null, end.stderr.slice(-3000));
    const events = await this.#log();
    equal(events.at(-1)?.type, "run.finished", end.stderr.slice(-3000));
    await this.nothingLeft();
    return { ...end, told: (type) => dataOf(events, type) };
  }

  async #log(): Promise<{ type: string; data: unknown }[]> {
    const text = await this.issue.read("events.jsonl");
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  async told<T extends EventType>(type: T): Promise<EventData<T>[]> {
    return dataOf(await this.#log(), type);
  }

  async nothingLeft(): Promise<void> {
    const { box } = this.issue;
    await box.noProcessLeft();
    deepEqual(await this.processes(), []);
    deepEqual(await listing(box.tmp), []);
    equal((await this.issue.git("worktree", "list")).split("\n").length, 1);
    equal(await this.issue.git("status", "--porcelain"), "");
  }

  /** Of all workers: their HOME is their own, and they inherit nothing else by which they could be found. */
  async processes(): Promise<string[]> {
    const folder = join(this.issue.runs, "r1", "agents");
    const workers = await exists(folder) ? [...Deno.readDirSync(folder)].map(({ name }) => name) : [];
    const found = await Promise.all(workers.map((name) => processesWith(`HOME=${join(folder, name, "home")}`)));
    return found.flat().map(({ command }) => command);
  }

  worktree(worker: string): string {
    return join(this.issue.box.tmp, `mminions-r1-${worker}`);
  }

  /** Waits until these workers are in the middle of a command. */
  async begun(workers: readonly string[]): Promise<void> {
    for (const worker of workers) {
      await until(`${worker} has begun`, () => exists(join(this.worktree(worker), "begun")));
    }
  }

  async go(workers: readonly string[]): Promise<void> {
    for (const worker of workers) await Deno.writeTextFile(join(this.worktree(worker), "go"), "");
  }

  /** `gocore COMMAND` on the run. */
  async control(command: string, ...args: readonly string[]): Promise<GocoreEnd> {
    const end = await this.issue.box.run([command, "--run-id", "r1", "--runs-root", this.issue.runs, ...args], {
      env: this.env,
    });
    equal(end.code, 0, end.stderr);
    return end;
  }

  async ledger(): Promise<Report["rows"]> {
    const { stdout } = await this.issue.box.run(
      ["gateway", "report", "--by", "worker", "--json", "--ledger", join(this.issue.runs, "ledger.db")],
    );
    return (JSON.parse(stdout) as Report).rows;
  }

  async tmux(...args: string[]): Promise<string> {
    const { stdout } = await new Deno.Command("tmux", { args, env: { TMUX_TMPDIR: this.env.TMUX_TMPDIR! } }).output();
    return new TextDecoder().decode(stdout).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Workers outlive a manager that is killed, which is what happens when a test has failed.
    if ((await this.processes()).length > 0) await this.control("stop");
    await this.issue[Symbol.asyncDispose]();
  }
}

/** Of a worker, without claude's first start as root, which is a story of its own. */
function launchesOf({ told }: Pick<RunEnd, "told">, worker: string): EventData<"worker.launched">[] {
  const refused = told("worker.exited").filter((one) => one.worker === worker && one.cause === "root");
  return told("worker.launched").filter((one) =>
    one.worker === worker && !refused.some(({ attempt }) => attempt === one.attempt)
  );
}

/** Each worker and why it was told something, without what is said of root. */
function nudges(end: RunEnd): string[] {
  return end.told("worker.nudged").filter(({ cause }) => cause !== "root")
    .map(({ worker, action, reason }) => `${worker} ${action}: ${reason}`).sort();
}

/** The last status of each worker. */
function statuses(end: RunEnd): Record<string, string> {
  return Object.fromEntries(
    end.told("worker.status").map(({ worker, status, reason }) => [
      worker,
      reason === "" ? status : `${status}: ${reason}`,
    ]),
  );
}

const finished = (...workers: string[]) => Object.fromEntries(workers.map((worker) => [worker, "finished"]));

/** What the runs of each worker's candidate have shown. */
function judged({ told }: RunEnd): string[] {
  return told("candidate.judged").filter(({ stage }) => stage === "validate")
    .map(({ worker, verdict, matches, runs }) => `${worker} ${verdict} ${matches} of ${runs}`).sort();
}

/** What each worker has used is the same in the decision and in the gateway's ledger; returns its model calls. */
async function tokensAreTheLedgers(run: AgentRun): Promise<Record<string, number>> {
  const { metrics } = await run.issue.decision();
  const rows = await run.ledger();
  deepEqual(
    Object.entries(metrics.tokens.by_source).toSorted(),
    rows.map((row) => [row.worker, {
      input_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
      cached_input_tokens: row.cache_read_tokens,
      output_tokens: row.output_tokens,
      turns: row.calls,
    }]).toSorted(),
  );
  for (const row of rows) ok(row.input_tokens > 0 && row.output_tokens > 0, row.worker!);
  return Object.fromEntries(rows.map(({ worker, calls }) => [worker, calls]));
}

test("each agent reproduces and explains a bug, with its answer in the file or in what it says last", async () => {
  const inFile: readonly Anybody[] = ["codex", "gemini"];
  const evil = { content: "I try", commands: ["echo evil >> pkg/core.py; echo evil > .gocore-task/answer.json"] };
  await using run = await AgentRun.create({
    ...builders((agent) =>
      inFile.includes(agent)
        ? [written(candidate(agent)), said(agent, "It is in the file")]
        : [said(agent, `I have it:\n\n${candidate(agent)}\n`)]
    ),
    w5: [evil, said("codex", hypotheses)],
    w6: [evil, said("claude", `So:\n\`\`\`json\n${hypotheses}\n\`\`\`\n`)],
    // It is offered no shell, and its tools do not read what git ignores.
    w7: [
      { content: "I read", tool_calls: [{ name: "read_file", arguments: { file_path: ".gocore-task/issue.md" } }] },
      said("gemini", hypotheses),
    ],
    w8: [said("mini", hypotheses)],
  });
  const end = await run.ended(await run.begin(everybody));

  const decision = await run.issue.decision();
  deepEqual([end.code, decision.status], [0, "ok"], `${JSON.stringify(statuses(end))} ${decision.rationale}`);
  deepEqual(statuses(end), finished("w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"));
  deepEqual(nudges(end), []);
  deepEqual(judged(end), ["w1", "w2", "w3", "w4"].map((worker) => `${worker} reproduced 2 of 2`));
  equal(decision.next_fix_targets[0], "pkg/core.py:9");
  const ranked = JSON.parse(await run.issue.read("triage/hypotheses.json"));
  deepEqual(ranked.hypotheses.map((one: { worker_id: string }) => one.worker_id).sort(), ["w5", "w6", "w7", "w8"]);
  for (const [index, agent] of [...everybody, ...everybody].entries()) {
    const worker = `w${index + 1}`;
    const [launch, ...more] = launchesOf(end, worker);
    deepEqual([launch!.agent, more], [agent, []]);
    const exit = end.told("worker.exited").findLast((one) => one.worker === worker)!;
    deepEqual([exit.outcome, exit.tokens !== null], ["completed", true], `${worker}: ${exit.text}`);
  }
  const stream = (await run.issue.read("telemetry/worker-triage-w7.jsonl")).trimEnd().split("\n");
  deepEqual(
    stream.map((line) => JSON.parse(line)).filter(({ type }) => type === "tool_result").map(({ status }) => status),
    ["success"],
  );
  equal(await run.issue.git("for-each-ref", "refs/gocore"), "", "nobody has changed the project");
  const calls = await tokensAreTheLedgers(run);
  deepEqual(Object.keys(calls).sort(), ["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"]);
});

test("an answer that cannot be used is asked for again, in the agent's own session", async () => {
  await using run = await AgentRun.create(builders((agent) => [
    said(agent, agent === "claude" ? '{"candidate_id": "c"}' : "It divides by zero"),
    written(candidate(agent)),
    said(agent, "Now it is there"),
  ]));
  const end = await run.ended(await run.begin(everybody));

  const workers = everybody.map((_, index) => `w${index + 1}`);
  deepEqual(judged(end), workers.map((worker) => `${worker} reproduced 2 of 2`));
  for (const worker of workers) {
    const [first, second, ...more] = launchesOf(end, worker);
    deepEqual(more, []);
    match(second!.prompt as string, /Your answer cannot be used: /);
    const session = second!.resumes;
    const exit = end.told("worker.exited").findLast((one) => one.worker === worker)!;
    const resumable = first!.agent !== "mini";
    deepEqual([session !== null, exit.cli_session === session], [resumable, resumable], worker);
    equal(exit.outcome, "completed", exit.text);
  }
  const calls = await tokensAreTheLedgers(run);
  deepEqual(workers.map((worker) => calls[worker]), [3, 3, 3, 3]);
});

test("an agent at work is told what a person sends, and goes on with its session", async () => {
  await using run = await AgentRun.create(builders((agent) => [
    longReply(agent),
    written(candidate(agent)),
    said(agent, "It is there"),
  ]));
  const manager = await run.begin(everybody);
  const workers = everybody.map((_, index) => `w${index + 1}`);
  await run.begun(workers);
  const answers = [];
  for (const worker of workers) {
    answers.push((await run.control("send", "--worker", worker, "--text", `Try an empty list, ${worker}`)).stderr);
  }
  await run.go(["w4"]);
  const end = await run.ended(manager);

  deepEqual(answers, [
    "w1 (codex) is told, and goes on with it\n",
    "w2 (claude) is told, and goes on with it\n",
    "w3 (gemini) is told, and goes on with it\n",
    "w4 (mini) cannot be told anything while it works: it is told when it is started again\n",
  ]);
  for (const worker of ["w1", "w2", "w3"]) {
    const [first, second, ...more] = launchesOf(end, worker);
    deepEqual([first!.resumes, more], [null, []]);
    equal(second!.prompt, `Try an empty list, ${worker}`);
    const [stopped, completed] = end.told("worker.exited").filter((one) => one.worker === worker).slice(-2);
    deepEqual([stopped!.outcome, completed!.outcome, completed!.text], ["stopped", "completed", "It is there"]);
    deepEqual([second!.resumes, completed!.cli_session], [stopped!.cli_session, stopped!.cli_session]);
  }
  equal(launchesOf(end, "w4").length, 1);
  equal(statuses(end).w4, "finished");
  await tokensAreTheLedgers(run);
});

test("an agent that stands still is nudged in its own session", async () => {
  // Claude refuses a command that is nothing but a sleep.
  const cmd = "while [ ! -e go ]; do sleep 5; done";
  const sleep = (agent: Anybody): Reply =>
    agent === "codex"
      ? { tool_calls: [{ name: "exec_command", arguments: { cmd, yield_time_ms: 30_000 } }] }
      : { commands: [cmd] };
  await using run = await AgentRun.create({
    ...builders((agent) => [sleep(agent), written(candidate(agent)), said(agent, "It is there")], agentNames),
    ...Object.fromEntries(agentNames.map((agent, index) => [`w${index + 4}`, [said(agent, hypotheses)]])),
  });
  // What a program that waits uses of the processor is seen as little only over some time.
  const end = await run.ended(await run.begin(agentNames, ["--stall-sec", "12", "--poll-interval-sec", "2"]));

  deepEqual([end.code, statuses(end)], [0, finished("w1", "w2", "w3", "w4", "w5", "w6")]);
  const told = nudges(end);
  deepEqual(
    told.map((nudge) => nudge.replace(/\d+/g, "N")),
    Array(3).fill("wN nudged: no output, no model call and no work for N s"),
  );
  for (const worker of ["w1", "w2", "w3"]) {
    const [first, second, ...more] = launchesOf(end, worker);
    const exit = end.told("worker.exited").findLast((one) => one.worker === worker)!;
    deepEqual([first!.resumes, second!.resumes, more], [null, exit.cli_session, []]);
    equal(second!.prompt, "status update: report progress or current blocker");
  }
});

test("agents whose manager is killed are adopted by the next one, and leave nothing when that is stopped", async () => {
  await using run = await AgentRun.create(builders((agent) => [longReply(agent), said(agent, candidate(agent))]));
  const workers = everybody.map((_, index) => `w${index + 1}`);
  const first = await run.begin(everybody);
  await run.begun(workers);
  first.kill("SIGKILL");
  await first.end;
  const second = await run.start(["--resume", "r1"]);
  for (const worker of workers) {
    await second.event(
      `${worker} is adopted`,
      ({ type, data }) => type === "worker.started" && data.worker === worker && data.adopted === true,
    );
  }
  await run.go(["w1", "w2"]);
  for (const worker of ["w1", "w2"]) {
    await second.event(
      `${worker} has ended`,
      ({ type, data }) => type === "worker.status" && data.worker === worker && data.status === "finished",
    );
  }
  await run.control("stop");
  const end = await run.ended(second);

  equal((await run.issue.decision()).status, "stopped");
  deepEqual(Object.values(statuses(end)).map((status) => status.split(":")[0]), [
    ...["finished", "finished"],
    ...["stopped", "stopped"],
  ]);
  for (const worker of workers) equal(launchesOf(end, worker).length, 1);
  await tokensAreTheLedgers(run);
});

test("agents that found no gateway, because their manager was killed, go on with their sessions, or with new ones", async () => {
  const twice = [...agentNames, ...agentNames];
  const [kept, lost] = [["w1", "w2", "w3"], ["w4", "w5", "w6"]];
  const workers = [...kept, ...lost];
  await using run = await AgentRun.create({
    ...builders((agent) => [longReply(agent), written(candidate(agent)), said(agent, "It is there")], twice),
    ...Object.fromEntries(twice.map((agent, index) => [`w${index + 7}`, [said(agent, hypotheses)]])),
  });
  const first = await run.begin(agentNames, ["--workers", "6"]);
  await run.begun(workers);
  first.kill("SIGKILL");
  await first.end;
  await run.go(workers);
  await until("all have ended", async () => (await run.processes()).length === 0);
  for (const worker of lost) await Deno.remove(join(run.issue.runs, "r1/agents", worker, "home"), { recursive: true });
  const end = await run.ended(await run.start(["--resume", "r1"]));

  equal(end.code, 0, JSON.stringify(statuses(end)));
  deepEqual(judged(end), workers.map((worker) => `${worker} reproduced 2 of 2`));
  for (const worker of workers) {
    const exits = end.told("worker.exited").filter((one) => one.worker === worker && one.cause !== "root");
    const session = exits[0]!.cli_session;
    const isKept = kept.includes(worker);
    deepEqual(
      [exits.map(({ cause }) => cause), launchesOf(end, worker).map(({ resumes }) => resumes), session !== null],
      [["network", ...isKept ? [] : ["arguments"], null], [null, session, ...isKept ? [] : [null]], true],
      worker,
    );
  }
  await tokensAreTheLedgers(run);
});

test("without a choice the agent is codex, which people watch in tmux; without codex it is mini", async () => {
  const about = (run: AgentRun) => ["--issue-file", join(run.issue.box.root, "issue.md"), "--run-id", "r1"];
  await using run = await AgentRun.create({
    w1: [longReply("codex"), said("codex", candidate("one"))],
    w2: [said("codex", candidate("two"))],
    w3: [said("codex", hypotheses)],
    w4: [said("codex", hypotheses)],
    manager: [{ content: "```python\nimport pkg\npkg.mean([])\n```\n" }],
  });
  const manager = await run.start(about(run));
  await run.begun(["w1"]);
  await until(
    "the session shows what codex does",
    async () => /starts\s+codex, attempt 1/.test(await run.tmux("capture-pane", "-p", "-t", "=codorch-r1-w1:")),
  );
  await run.go(["w1"]);
  const end = await run.ended(manager);
  deepEqual([end.code, (await run.issue.decision()).next_fix_targets[0]], [0, "pkg/core.py:9"]);
  deepEqual(new Set(end.told("worker.launched").map(({ agent }) => agent)), new Set(["codex"]));
  // The model of the workers has made it smaller.
  equal((await tokensAreTheLedgers(run)).manager, 1);
  equal(await run.issue.read("repro/minimal_repro.py"), "import pkg\npkg.mean([])");
  await until("the tmux server has ended", async () => await run.tmux("list-sessions") === "");

  await using other = await AgentRun.create({
    ...{ w1: [submit(candidate("one"))], w2: [submit(candidate("two"))] },
    ...{ w3: [submit(hypotheses)], w4: [submit(hypotheses)] },
  }, { installed: ["claude", "gemini"] });
  const last = await other.ended(await other.start([...about(other), "--backend", "process", "--no-minimize"]));
  deepEqual([last.code, new Set(last.told("worker.launched").map(({ agent }) => agent))], [0, new Set(["mini"])]);
  const [checked] = last.told("preflight.checked");
  match(checked!.reason, /codex: no "codex" on PATH/);
});
