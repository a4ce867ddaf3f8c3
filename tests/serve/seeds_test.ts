/** The requests of both seeds, each as it stands there, to a real `gocore serve` with real runs: started, told, stopped. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { FakeAgents } from "../support/fake_agents.ts";
import { type FakeReply, type FakeRequest, startFakeProvider } from "../support/fake_provider.ts";
import { exists, MARKER, quoted, type Reply, submit, until } from "../support/gocore.ts";
import { builder, ManagedIssue, SCRIPT, TRIAGERS } from "../support/managed_issue.ts";
import { Served } from "./served.ts";

// deno-lint-ignore no-explicit-any -- as the answers are
type Json = any;

/** What an answer lacks of an example, or has of another type. An empty object stands for any. */
function missing(answer: Json, example: Json, at = "$"): string[] {
  if (Array.isArray(example)) {
    if (!Array.isArray(answer) || answer.length === 0) return [`${at} is no list with something in it`];
    return answer.flatMap((item, i) => missing(item, example[0], `${at}[${i}]`));
  }
  if (typeof answer !== typeof example || answer === null) return [`${at} is ${JSON.stringify(answer)}`];
  if (typeof example !== "object") return [];
  return Object.entries(example).flatMap(([name, part]) => missing(answer[name], part, `${at}.${name}`));
}

/** Of "API formats". */
const STATUS = {
  run_id: "run-20260205123000",
  run_state: "running",
  manager: {
    session_name: "codorch-run-20260205123000-manager",
    session_exists: true,
    pane_tail: "last output lines...",
    issue_url: "https://github.com/<owner>/<repo>/issues/<number>",
  },
  workers: [{
    worker_id: "w1",
    role: "REPRO_BUILDER",
    status: "finished",
    session_name: "codorch-run-20260205123000-w1",
    session_exists: false,
    worktree_path: "/tmp/mminions-run-20260205123000-w1",
    output_path: "/absolute/path/to/runs/run-20260205123000/repro/candidates/w1.json",
    script_path: "/absolute/path/to/runs/run-20260205123000/scripts/repro-w1.sh",
    pane_tail: "",
  }],
  summary: { total: 1, active: 0, finished: 1, failed: 0, timeout: 0, unknown: 0 },
  decision: { status: "running" },
  run_done: {},
};
const STARTED = { run_id: "run-20260205123000", run_done: "/absolute/run_done.json", manager_session: "codorch" };

/** The next command of a worker by what it has been asked and has done. */
function asWorker({ body }: FakeRequest): FakeReply {
  const asked = JSON.stringify(body);
  const script: readonly Reply[] = asked.includes("disconfirming_checks") ? TRIAGERS.w3! : builder(SCRIPT);
  const done = script.findLastIndex((_, step) => asked.includes(`call_of_step_${step}`)) + 1;
  const command = script[done]?.commands?.[0] ?? `printf '%s\\n' ${MARKER} ${quoted("done")}`;
  return { toolCalls: [{ id: `call_of_step_${done}`, arguments: { command } }] };
}

const MANAGER = `[manager]
agent = "mini"
backend = "process"
poll_interval_sec = 0.1
semantic_cut = false
validation_python_version = "3"
`;

Deno.test("a manager run is started, watched, told something and proved, in the words of the seed", async () => {
  await using model = startFakeProvider(asWorker);
  const managed = await ManagedIssue.create();
  await using served = await Served.start({
    box: managed.box,
    env: { OPENAI_API_KEY: "sk-none", OPENAI_BASE_URL: `${model.url}/v1` },
    files: { "work/mminions.toml": MANAGER },
  });
  deepEqual(await served.get("/health"), { status: 200, json: { ok: true } });
  deepEqual(await served.get("/api/runs"), { status: 200, json: { runs: [], count: 0 } });
  const request = {
    issue_file: `${managed.box.root}/issue.md`,
    repo_path: managed.repo,
    workers: 2,
    timeout_sec: 300,
    worker_model: "openai/gpt-5",
  };
  const { status, json: started } = await served.post("/api/runs", request);
  equal(status, 201, JSON.stringify(started));
  deepEqual(missing(started, STARTED), []);
  const { run_id } = started;
  deepEqual((await served.get("/api/runs")).json, { runs: [run_id], count: 1 });
  await until("workers are there", async () => {
    const { json } = await served.get(`/api/runs/${run_id}/status?lines=120`);
    return json.workers.length > 0;
  });
  deepEqual(missing((await served.get(`/api/runs/${run_id}/status?lines=120`)).json, STATUS), []);
  await until("the run is done", () => exists(started.run_done));
  await until("it has ended", async () => (await served.get(`/api/runs/${run_id}`)).json.running === false);
  const { json } = await served.get(`/api/runs/${run_id}/status?lines=120`);
  deepEqual(missing(json, STATUS), []);
  const { json: record } = await served.get(`/api/runs/${run_id}`);
  equal(json.run_state, "ok", JSON.stringify(record.rationale));
  deepEqual([json.summary.active, json.summary.total], [0, json.workers.length]);
  ok(record.proof.matches > 0 && record.hypotheses.length > 0);
  const [{ evidence }] = record.hypotheses;
  const { file, line } = evidence[0];
  const source = await served.get(`/api/runs/${run_id}/source?file=${file}&line=${line}`);
  equal(source.status, 200);
  ok(source.json.lines.length > 0);
  for (const what of ["stop", "send"]) {
    const body = what === "send" ? { worker: "w1", text: "status" } : {};
    equal((await served.post(`/api/runs/${run_id}/${what}`, body)).status, 409);
  }
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("a manager run takes a message and is stopped, in the words of the seed", async () => {
  await using model = startFakeProvider([{ fault: "hang" }]);
  const managed = await ManagedIssue.create();
  await using served = await Served.start({
    box: managed.box,
    env: { OPENAI_API_KEY: "sk-none", OPENAI_BASE_URL: `${model.url}/v1` },
    files: { "work/mminions.toml": MANAGER },
  });
  const request = { issue_file: `${managed.box.root}/issue.md`, repo_path: managed.repo, workers: 1 };
  const { json: { run_id, run_done } } = await served.post("/api/runs", { ...request, worker_model: "openai/gpt-5" });
  await until("a worker works", async () => {
    const { json } = await served.get(`/api/runs/${run_id}/status?lines=120`);
    return json.workers[0]?.status === "running";
  });
  const sent = await served.post(`/api/runs/${run_id}/send`, { worker: "w1", text: "status" });
  deepEqual(sent, { status: 200, json: { run_id, worker: "w1", sent: true } });
  const stopped = await served.post(`/api/runs/${run_id}/stop`);
  deepEqual(stopped, { status: 200, json: { run_id, status: "stopped" } });
  await until("the run is done", () => exists(run_done));
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("a session is paused, resumed, reviewed, answered and watched at the endpoints of the seed", async () => {
  const agents = await FakeAgents.create(["alpha", "beta", "gamma"]);
  await agents.behave("alpha", "task", "mark begun; await go; echo draft > draft.txt; echo done");
  for (const reviewer of ["beta", "gamma"]) {
    await agents.behave(reviewer, "review", "verdict concerns 'tabs or spaces?'", 2);
  }
  await agents.behave("alpha", "feedback", "echo tabs >> draft.txt; echo 'tabs it is'");
  const [, plan] = await agents.plan([{ id: "one", agent: "alpha" }]);
  const config = `${agents.sandbox.root}/agents/gocore.toml`;
  const text = await Deno.readTextFile(config);
  await Deno.writeTextFile(config, text.replace("[orchestrate]\n", `[orchestrate]\nplan = ${JSON.stringify(plan)}\n`));
  await using served = await Served.start({
    box: agents.sandbox,
    env: { OPENAI_API_KEY: "sk-nobody-is-asked-with-this", GOCORE_ORCHESTRATE_CONFIG: config },
  });
  const request = { task: "Write a draft", target: agents.target, agents: ["alpha", "beta", "gamma"] };
  const { status, json: { session_id } } = await served.post("/api/orchestrations", request);
  equal(status, 201);
  deepEqual((await served.get("/api/orchestrations")).json, { sessions: [session_id], count: 1 });
  await agents.marked("begun");

  const control = async (command: string, body: Json = {}) => {
    const { status, json } = await served.post(`/api/control/${command}`, body);
    deepEqual([status, json.command], [202, command], JSON.stringify(json));
  };
  const untilStatus = (wanted: string) =>
    until(`it is ${wanted}`, async () => (await served.get("/api/session")).json.status === wanted);
  await control("pause", { text: "lunch" });
  await untilStatus("paused");
  await control("resume");
  await untilStatus("running");
  await control("review", { worker: "alpha" });
  await until("the review is decided", async () => (await served.get("/api/decisions")).json.decisions.length > 0);
  await agents.mark("go");
  await until("a question is asked", async () => (await served.get("/api/questions")).json.questions.length > 0);
  await control("answer", { text: "Tabs, everywhere" });
  await untilStatus("done");

  match((await agents.prompts("alpha", "feedback"))[0]!, /Tabs, everywhere/);
  for (const prefix of ["/api", `/api/sessions/${session_id}`]) {
    const { json: session } = await served.get(`${prefix}/session`);
    equal(session.session_id, session_id);
    const lists = { workers: "workers", reviews: "reviews", decisions: "decisions", questions: "questions" };
    for (const [path, name] of Object.entries(lists)) {
      const { status, json } = await served.get(`${prefix}/${path}`);
      ok(status === 200 && json[name].length > 0, `${path}: ${JSON.stringify(json)}`);
    }
    for (const path of ["recovery", "summary", "plan", "diff", "usage", "timeline"]) {
      equal((await served.get(`${prefix}/${path}`)).status, 200, path);
    }
    equal((await served.post(`${prefix}/control/stop`)).status, 409);
  }
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("a session and a mini run are stopped, and keep what they have", async () => {
  const agents = await FakeAgents.create(["alpha"]);
  await agents.behave("alpha", "task", "mark begun; await never");
  await using served = await Served.start({
    box: agents.sandbox,
    env: {
      OPENAI_API_KEY: "sk-nobody-is-asked-with-this",
      GOCORE_ORCHESTRATE_CONFIG: `${agents.sandbox.root}/agents/gocore.toml`,
    },
  });
  const { status } = await served.post("/api/orchestrations", {
    task: "Wait",
    target: agents.target,
    agents: ["alpha"],
  });
  equal(status, 201);
  await agents.marked("begun");
  equal((await served.post("/api/control/stop", { text: "enough" })).status, 202);
  await until("it is stopped", async () => (await served.get("/api/session")).json.status === "stopped");

  const gate = `${agents.sandbox.root}/gate`;
  const [, model] = await agents.sandbox.script([{ commands: [`touch ${quoted(gate)}; sleep 1000`] }, submit()]);
  const { json: { run_id } } = await served.post("/api/mini", { task: "-rf / --help", model });
  await until("it works", () => exists(gate));
  deepEqual(await served.post(`/api/mini/${run_id}/stop`), { status: 200, json: { run_id, status: "stopped" } });
  await until("it is told", async () => (await served.get(`/api/mini/${run_id}`)).json.status === "interrupted");
  equal((await served.get(`/api/mini/${run_id}`)).json.task, "-rf / --help");
  await served.end();
  await served.box.noProcessLeft();
});
