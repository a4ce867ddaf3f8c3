import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { Control } from "../../src/orchestrate/ports.ts";
import { CLIENT, sampleApp, START } from "./sample_app.ts";
import { HOSTILE, sampleFacts } from "./sample_session.ts";

const session = {
  session_id: "orch_1",
  task: "Mend the login",
  target: "/work/project",
  folder: "/work/sessions/orch_1",
  version: "0.1.0",
  shared: false,
  base_commit: "abc",
  status: "running",
  status_reason: "",
  status_since: START,
  started_at: START,
  finished_at: null,
  elapsed_seconds: 90,
  pid: 77,
  supervisors: 1,
  gateway_url: null,
  dashboard_url: null,
  tier: 5,
  tier_name: "solo",
  tier_reason: "gemini and claude are missing",
  agents: [],
  budget_usd: 5,
  cost_usd: null,
  known_cost_usd: 0.25,
  cost_cap_usd: 5,
  cost_estimate_usd: 1.5,
  calls: 3,
  open_questions: 1,
  merges: [],
  saved: [],
  verify: null,
  result: null,
  last_event_at: START,
  seq: sampleFacts.length - 1,
};

const workers = [{
  name: "codex",
  agent: "codex",
  task: "design",
  review: null,
  role: "architect",
  status: "running",
  progress: 45,
  last_text: HOSTILE,
  started_at: START,
  attempt_started_at: START,
  ended_at: null,
  last_event_at: START,
  liveness: { verdict: "stalled", proof: "no output for 300 s", idle_seconds: 300 },
  attempt: 1,
  pid: 4242,
  backend: "process",
  workdir: "/work/trees/a",
  branch: "gocore/a",
  stream: "codex.jsonl",
  sandbox: { enforced: true, detail: "bubblewrap" },
  limits: { enforced_by: "cgroup", detail: "2 GB" },
  attach: null,
  cli_session: null,
  events: 1,
  commands: 0,
  errors: 0,
  nudges: 0,
  last_signal: null,
  exit: null,
  cost_usd: null,
  known_cost_usd: 0.25,
  calls: 3,
  unpriced_calls: 1,
  calls_in_flight: 0,
  input_tokens: 1000,
  output_tokens: 50,
  waits_for_turn: false,
  reported_cost_usd: null,
}];

const answer = {
  review: "r1",
  reviewer: "mini-r1",
  agent: "mini",
  verdict: "concerns",
  summary: "It forgets the empty password",
  issues: [{ text: "No check for an empty password", file: "login.ts", line: 12 }],
  recommendations: ["Add one"],
  problem: null,
  asked: 1,
};

const reviews = {
  reviews: [{
    id: "r1",
    trigger: "milestone",
    worker: "codex",
    task: "design",
    reason: "a milestone",
    reviewers: ["mini-r1", "mini-r2"],
    commit: "def",
    revision: 0,
    requested_at: START,
    answers: [answer],
    action: "PAUSE_AND_CLARIFY",
  }],
  verdicts: { approved: 0, concerns: 1, blocker: 0, none: 0 },
};

const decisions = [{
  id: "d1",
  review: "r1",
  action: "PAUSE_AND_CLARIFY",
  rule: "2",
  reason: "concerns",
  worker: "codex",
  task: "design",
  verdicts: [{ reviewer: "mini-r1", verdict: "concerns" }],
  timestamp: START,
}];

const recovery = [{
  worker: "codex",
  cause: "permission",
  attempt: 1,
  change: "nothing can be changed",
  outcome: "escalated",
  suggestions: ["chmod u+w login.ts"],
  timestamp: START,
  wait_seconds: 0,
}];

const questions = [{
  id: "q1",
  text: "May a password be empty?",
  worker: "codex",
  task: "design",
  decision: "d1",
  answer: null,
  by: null,
  asked_at: START,
}];

const plannedTask = { agent: null, writes: true, load: 0.5, commit: null, files: [] };
const tasks = [
  {
    ...plannedTask,
    id: "design",
    title: "Design it",
    role: "architect",
    depends_on: [],
    status: "running",
    worker: "codex",
    reason: "given",
    tried_by: ["codex"],
  },
  {
    ...plannedTask,
    id: "code",
    title: "Write it",
    role: "implementer",
    depends_on: ["design"],
    status: "pending",
    worker: null,
    reason: "",
    tried_by: [],
  },
];

/** Where the same session answers: as the newest, and by its id. */
const PREFIXES = ["/api", "/api/sessions/orch_1"];

Deno.test("each endpoint answers with its part of the session", async () => {
  using app = await sampleApp();
  const assignment = { agent: null, prompt: "Do it", writes: true, load: 0.5 };
  const plan = {
    task: "Mend the login",
    source: "default",
    assignments: [
      { ...assignment, id: "design", title: "Design it", role: "architect", depends_on: [] },
      { ...assignment, id: "code", title: "Write it", role: "implementer", depends_on: ["design"] },
    ],
    note: "the default roles",
    cost_cap_usd: 5,
    cost_estimate_usd: 1.5,
  };
  const expected: Record<string, unknown> = {
    session,
    workers: { workers },
    reviews,
    decisions: { decisions },
    recovery: { recovery },
    questions: { questions },
    plan,
    summary: { supervised: true, session, tasks, workers, ...reviews, decisions, recovery, questions },
  };
  for (const prefix of PREFIXES) {
    for (const [path, body] of Object.entries(expected)) {
      deepEqual(await app.get(`${prefix}/${path}`), { status: 200, body }, path);
    }
  }
  deepEqual(await app.get("/api/orchestrations"), { status: 200, body: { sessions: ["orch_1"], count: 1 } });
});

Deno.test("what the session has to look up is asked of its view", async () => {
  using app = await sampleApp();
  for (const prefix of PREFIXES) {
    for (const path of ["diff", "diff?worker=codex", "usage", "timeline"]) {
      const { status, body } = await app.get(`${prefix}/${path}`);
      deepEqual([status, Object.values(body).flat().length > 0], [200, true]);
    }
    deepEqual(await app.get(`${prefix}/diff?worker=..%2Fx`), {
      status: 404,
      body: { error: 'There is no worker "../x"' },
    });
  }
  const asked = [["diff", undefined], ["diff", "codex"], ["usage"], ["timeline"]];
  deepEqual(app.asked, [...asked, ...asked]);
});

Deno.test("a session that is not there is not found, whatever is asked of it", async () => {
  using app = await sampleApp({ library: { session: () => Promise.resolve(undefined) } });
  for (const path of ["session", "summary", "plan", "diff", "usage", "timeline", "events/stream"]) {
    deepEqual(await app.get(`/api/${path}`), { status: 404, body: { error: "There is no session yet" } });
    deepEqual(await app.get(`/api/sessions/orch_9/${path}`), {
      status: 404,
      body: { error: 'There is no session "orch_9"' },
    });
  }
  deepEqual(await app.post("/api/sessions/orch_9/control/stop"), {
    status: 404,
    body: { error: 'There is no session "orch_9"' },
  });
});

Deno.test("a session without events is shown, and has no plan yet", async () => {
  using app = await sampleApp({ facts: [] });
  deepEqual(await app.get("/api/plan"), { status: 404, body: { error: "There is no plan yet" } });
  const { body } = await app.get("/api/session");
  deepEqual([body.status, body.task, body.elapsed_seconds, body.cost_usd, body.seq], ["starting", null, 0, 0, -1]);
});

Deno.test("the elapsed time of a session that has ended stands still", async () => {
  const data = {
    status: "done",
    exit_code: 0,
    summary: "All is done",
    result_branch: null,
    result_commit: null,
    applied: false,
    report: null,
    cost_usd: 0,
    duration_seconds: 1,
    open: [],
  } as const;
  using app = await sampleApp({
    facts: [...sampleFacts, { type: "session.finished", data: { ...data, open: [] } }],
  });
  const { body } = await app.get("/api/session");
  deepEqual([body.elapsed_seconds, body.finished_at, body.result], [0, START, data]);
  const refused = { status: 409, body: { error: "The session has ended already: done" } };
  for (const command of ["pause", "resume", "stop", "review"]) {
    deepEqual(await app.post(`/api/control/${command}`), refused);
  }
});

Deno.test("each control is carried out, and answered with its id", async () => {
  using app = await sampleApp();
  const { controls } = app;
  const asked: [string, unknown, Omit<Control, "id" | "command">][] = [
    ["pause", undefined, { worker: null, text: "", question: null, by: "dashboard" }],
    ["resume", {}, { worker: null, text: "", question: null, by: "dashboard" }],
    ["review", { worker: "codex", text: "Look at the tests", by: "ann" }, {
      worker: "codex",
      text: "Look at the tests",
      question: null,
      by: "ann",
    }],
    ["review", { worker: null, text: null }, { worker: null, text: "", question: null, by: "dashboard" }],
    ["answer", { text: "No" }, { worker: null, text: "No", question: null, by: "dashboard" }],
    ["answer", { text: "No", question: "q1" }, { worker: null, text: "No", question: "q1", by: "dashboard" }],
    ["stop", { by: "cron" }, { worker: null, text: "", question: null, by: "cron" }],
  ];
  for (const [command, body, expected] of asked) {
    const { status, body: reply } = await app.post(`${PREFIXES[controls.length % 2]}/control/${command}`, body);
    const control = controls.at(-1)!;
    deepEqual({ status, reply }, { status: 202, reply: { control: control.id, command } });
    deepEqual(control, { id: control.id, command: command as Control["command"], ...expected });
  }
  equal(new Set(controls.map(({ id }) => id)).size, asked.length);
});

Deno.test("an answer needs an open question", async () => {
  using app = await sampleApp();
  app.bus.publish({ type: "question.answered", data: { question: "q1", answer: "No", by: "ann" } });
  deepEqual(await app.post("/api/control/answer", { text: "Yes" }), {
    status: 409,
    body: { error: "There is no open question" },
  });
  deepEqual(await app.post("/api/control/answer", { text: "Yes", question: "q1" }), {
    status: 409,
    body: { error: "The question has been answered already" },
  });
});

Deno.test("a control that is wrong is refused, with the reason", async () => {
  using app = await sampleApp();
  const control = (command: string, body: unknown) => app.post(`/api/control/${command}`, body);
  const errors: [status: number, error: string, reply: Promise<unknown>][] = [
    [400, "by: has to be text", control("pause", { by: 1 })],
    [400, "by: has to be a name of 1 to 100 characters", control("pause", { by: "a\nb" })],
    [400, '"worker" is no field of this request', control("pause", { worker: "codex" })],
    [400, "text: has to be text that is not empty", control("answer", {})],
    [400, "text: has to be text that is not empty", control("answer", { text: " \n" })],
    [404, 'There is no worker "nobody"', control("review", { worker: "nobody" })],
    [404, 'There is no question "q2"', control("answer", { text: "No", question: "q2" })],
    [404, "There is no such path", control("restart", {})],
  ];
  for (const [status, error, reply] of errors) deepEqual(await reply, { status, body: { error } });
  deepEqual(app.controls, []);
});

Deno.test("who may not control the session may still look at it", async () => {
  using app = await sampleApp({ refusal: "You may not" });
  const refused = { status: 403, body: { error: "You may not" } };
  deepEqual(await app.post("/api/control/answer", { text: "Yes", by: "ann" }), refused);
  deepEqual(await app.post("/api/sessions/orch_1/control/stop"), refused);
  equal((await app.get("/api/questions")).status, 200);
  equal((await app.get("/api/control/stop")).status, 405);
  deepEqual(app.controls, []);
  deepEqual(app.judged, [[CLIENT, "answer"], [CLIENT, "stop"]]);
});

Deno.test("a session's stream begins with how it stands, and goes on with its events", async () => {
  for (const prefix of PREFIXES) {
    let text: Promise<string>;
    {
      using app = await sampleApp();
      const response = await app.fetch(`${prefix}/events/stream?since=${sampleFacts.length - 3}`);
      equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
      text = response.text();
    }
    const [head, ...messages] = (await text).split("\n\n");
    const lines = head!.split("\n");
    deepEqual(lines.slice(0, 2), ["retry: 2000", "event: snapshot"]);
    deepEqual(JSON.parse(lines[2]!.slice("data: ".length)).session, session);
    const last = sampleFacts.length - 1;
    deepEqual(messages.map((message) => message.split("\n").slice(0, 2)), [
      [`id: ${last - 1}`, "event: question.asked"],
      [`id: ${last}`, "event: recovery.attempted"],
      [""],
    ]);
  }
});
