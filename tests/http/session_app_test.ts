import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { eventData, type EventFact } from "../../src/events/event.ts";
import { EventBus } from "../../src/events/bus.ts";
import { EventStreams } from "../../src/http/event_streams.ts";
import { createSessionApp } from "../../src/http/session_app.ts";
import type { Control } from "../../src/orchestrate/ports.ts";
import { emptySession, foldSession } from "../../src/orchestrate/session.ts";
import { HOSTILE, sampleFacts } from "./sample_session.ts";

const START_MS = Date.UTC(2026, 0, 1);
const CLIENT: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 40_000 };
const START = "2026-01-01T00:00:00.000Z";

/** The application over a session that these facts add up to. */
async function sampleApp(
  facts: readonly EventFact[] = sampleFacts,
  { token, refusal }: { token?: string; refusal?: string } = {},
) {
  const state = emptySession();
  const bus = new EventBus({ now: () => START_MS, record: (event) => foldSession(state, event) });
  for (const fact of facts) bus.publish(fact);
  const controls: Control[] = [];
  const errors: unknown[] = [];
  const judged: unknown[] = [];
  const streams = new EventStreams({ read: () => 0, size: () => 0 });
  await streams.end();
  const app = createSessionApp({
    state,
    streams,
    take(control) {
      controls.push(control);
      const { id, command, worker, text, by } = control;
      bus.publish({ type: "control.received", data: { control: id, command, worker, text, by } });
    },
    token,
    refusalOf(client, command) {
      judged.push([client, command]);
      return refusal;
    },
    now: () => START_MS + 90_000,
    onError: (error) => errors.push(error),
  });
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = { host: "127.0.0.1:8000", ...init.headers as Record<string, string> };
    return await app.request(path, { ...init, headers }, { client: CLIENT });
  };
  const get = async (path: string) => {
    const response = await ask(path);
    return { status: response.status, body: await response.json() };
  };
  const post = async (command: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await ask(`/api/control/${command}`, {
      method: "POST",
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    });
    return { status: response.status, body: await response.json() };
  };
  return { ask, get, post, controls, errors, judged, bus, state };
}

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

Deno.test("each endpoint answers with its part of the session", async () => {
  const { get } = await sampleApp();
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
    "/health": { ok: true },
    "/api/session": session,
    "/api/workers": { workers },
    "/api/reviews": reviews,
    "/api/decisions": { decisions },
    "/api/recovery": { recovery },
    "/api/questions": { questions },
    "/api/plan": plan,
    "/api/summary": { session, tasks, workers, ...reviews, decisions, recovery, questions },
  };
  for (const [path, body] of Object.entries(expected)) deepEqual(await get(path), { status: 200, body }, path);
});

Deno.test("a session without events is shown, and has no plan yet", async () => {
  const { get } = await sampleApp([]);
  deepEqual(await get("/api/plan"), { status: 404, body: { error: "There is no plan yet" } });
  const { body } = await get("/api/session");
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
  const { get, post } = await sampleApp([...sampleFacts, { type: "session.finished", data: { ...data, open: [] } }]);
  const { body } = await get("/api/session");
  deepEqual([body.elapsed_seconds, body.finished_at, body.result], [0, START, data]);
  const refused = { status: 409, body: { error: "The session has ended already: done" } };
  for (const command of ["pause", "resume", "stop", "review"]) deepEqual(await post(command), refused);
});

Deno.test("each control is carried out, and answered with its id", async () => {
  const { post, controls } = await sampleApp();
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
    const { status, body: reply } = await post(command, body);
    const control = controls.at(-1)!;
    deepEqual({ status, reply }, { status: 202, reply: { control: control.id, command } });
    deepEqual(control, { id: control.id, command: command as Control["command"], ...expected });
  }
  equal(new Set(controls.map(({ id }) => id)).size, asked.length);
});

Deno.test("a request that is wrong is refused, with the reason", async () => {
  const { post, ask, controls } = await sampleApp();
  const big = JSON.stringify({ text: "x".repeat(64 * 1024) });
  const errors: [status: number, error: string, Promise<{ status: number; body: unknown }>][] = [
    [400, "The body is no JSON", post("pause", "{")],
    [400, "The body has to be a JSON object", post("pause", "[]")],
    [400, "by: has to be text", post("pause", { by: 1 })],
    [400, "by: has to be a name of 1 to 100 characters", post("pause", { by: "a\nb" })],
    [400, '"worker" is no field of pause', post("pause", { worker: "codex" })],
    [400, '"__proto__" is no field of pause', post("pause", '{"__proto__": {"by": "x"}}')],
    [400, "text: has to be text that is not empty", post("answer", {})],
    [400, "text: has to be text that is not empty", post("answer", { text: " \n" })],
    [404, 'There is no worker "nobody"', post("review", { worker: "nobody" })],
    [404, 'There is no question "q2"', post("answer", { text: "No", question: "q2" })],
    [404, "There is no such path", post("restart")],
    [413, "The body is larger than 65536 bytes", post("answer", big)],
    [
      415,
      "The body has to be JSON, with `Content-Type: application/json`",
      post("pause", "by=x", {
        "content-type": "application/x-www-form-urlencoded",
      }),
    ],
    [
      415,
      "The body has to be JSON, with `Content-Type: application/json`",
      post("pause", "{}", {
        "content-type": "text/plain",
      }),
    ],
  ];
  for (const [status, error, reply] of errors) deepEqual(await reply, { status, body: { error } });
  const methods: [string, string, string][] = [
    ["POST", "/api/session", "GET, HEAD"],
    ["DELETE", "/", "GET, HEAD"],
    ["GET", "/api/control/stop", "POST"],
  ];
  for (const [method, path, allow] of methods) {
    const response = await ask(path, { method });
    deepEqual(
      { status: response.status, allow: response.headers.get("allow"), body: await response.json() },
      { status: 405, allow, body: { error: `${method} is not possible here; use ${allow}` } },
    );
  }
  deepEqual(controls, []);
});

Deno.test("a body that does not tell its length is refused when it grows too large", async () => {
  const { ask } = await sampleApp();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
  });
  const response = await ask("/api/control/answer", {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  deepEqual([response.status, await response.json()], [413, { error: "The body is larger than 65536 bytes" }]);
  ok(sent < 80 * 1024, `${sent} bytes were read`);
});

Deno.test("an answer needs an open question", async () => {
  const { post, bus } = await sampleApp();
  bus.publish({ type: "question.answered", data: { question: "q1", answer: "No", by: "ann" } });
  deepEqual(await post("answer", { text: "Yes" }), { status: 409, body: { error: "There is no open question" } });
  deepEqual(await post("answer", { text: "Yes", question: "q1" }), {
    status: 409,
    body: { error: "The question has been answered already" },
  });
});

Deno.test("a control that the session passes over is not said to be on its way", async () => {
  const { state, post } = await sampleApp();
  state.controls.add = () => state.controls;
  deepEqual(await post("pause"), { status: 409, body: { error: "The session is just ending" } });
});

Deno.test("a name that does not belong to this machine is refused", async () => {
  const { ask } = await sampleApp();
  for (const host of ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "127.9.9.9"]) {
    equal((await ask("/api/session", { headers: { host } })).status, 200, host);
  }
  for (
    const host of ["", "evil.example", "127.0.0.1.evil.example:8000", "localhost@evil.example", "10.0.0.1", "[::2]"]
  ) {
    const response = await ask("/health", { headers: { host } });
    deepEqual([response.status, await response.json()], [421, {
      error: "The Host header names no address of this machine; use 127.0.0.1",
    }], host);
  }
});

Deno.test("pages of other origins may neither read nor write", async () => {
  const { ask, post, controls } = await sampleApp();
  for (const origin of ["http://evil.example", "http://127.0.0.1:9000", "null", "http://127.0.0.1:8000.evil.example"]) {
    deepEqual(await post("stop", {}, { origin }), {
      status: 403,
      body: { error: "Pages of other origins may not use this session" },
    });
    equal((await ask("/api/summary", { headers: { origin } })).status, 403);
  }
  for (const site of ["cross-site", "same-site"]) {
    deepEqual(await post("stop", {}, { "sec-fetch-site": site }), {
      status: 403,
      body: { error: "Pages of other sites may not control this session" },
    });
  }
  deepEqual(controls, []);
  const own = { origin: "http://127.0.0.1:8000", "sec-fetch-site": "same-origin" };
  equal((await post("stop", {}, own)).status, 202);
});

Deno.test("with a token, only those who have it are answered", async () => {
  const token = "s3cret-token";
  const { ask } = await sampleApp(sampleFacts, { token });
  const refused = { error: "A token is needed: send `Authorization: Bearer TOKEN`, or open /?token=TOKEN" };
  const strangers: Record<string, string>[] = [
    {},
    { authorization: "Bearer s3cret-toke" },
    { authorization: "Basic s3cret-token" },
    { cookie: "gocore_00000000=1" },
    { authorization: "Bearer wrong", host: "box.example" },
  ];
  for (const headers of strangers) {
    for (
      const path of ["/", "/session.js", "/api/summary", "/api/nothing", "/?token=wrong", `/api/session?token=${token}`]
    ) {
      const response = await ask(path, { headers });
      deepEqual([response.status, await response.json()], [401, refused], path);
    }
  }
  equal((await ask("/health")).status, 200);
  const allowed = { authorization: `Bearer ${token}`, host: "box.example:8000" };
  equal((await ask("/api/summary", { headers: allowed })).status, 200);
  const welcome = await ask(`/?token=${token}`);
  equal(welcome.status, 200);
  ok(!(await welcome.text()).includes(token));
  const [cookie = "", ...attributes] = welcome.headers.get("set-cookie")!.split("; ");
  deepEqual(attributes, ["Path=/", "HttpOnly", "SameSite=Strict"]);
  ok(!cookie.includes(token));
  equal((await ask("/api/summary", { headers: { cookie: `other=1; ${cookie}` } })).status, 200);
  equal((await ask("/api/summary", { headers: { cookie: `${cookie}0` } })).status, 401);
});

Deno.test("every answer forbids what the page never does", async () => {
  const { ask } = await sampleApp();
  const requests: [string, RequestInit][] = [["/", {}], ["/api/session", {}], ["/nothing", {}], ["/", {
    method: "PUT",
  }], [
    "/",
    { headers: { host: "evil.example" } },
  ]];
  for (const [path, init] of requests) {
    const response = await ask(path, init);
    const headers = [
      "content-security-policy",
      "x-content-type-options",
      "cache-control",
      "referrer-policy",
      "cross-origin-resource-policy",
    ].map((name) => response.headers.get(name));
    deepEqual(headers, [
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
      "form-action 'none'; frame-ancestors 'none'",
      "nosniff",
      "no-store",
      "no-referrer",
      "same-origin",
    ], path);
    await response.body?.cancel();
  }
});

Deno.test("the page is served with what it loads, and with nothing else", async () => {
  const { ask } = await sampleApp();
  const types: Record<string, string> = {
    "/": "text/html; charset=utf-8",
    "/session.css": "text/css; charset=utf-8",
    "/session.js": "text/javascript; charset=utf-8",
  };
  for (const [path, type] of Object.entries(types)) {
    const response = await ask(path);
    deepEqual([response.status, response.headers.get("content-type")], [200, type]);
    ok((await response.text()).length > 1000);
  }
  const html = await (await ask("/")).text();
  const loaded = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!);
  deepEqual(loaded.filter((path) => types[path] === undefined), ["data:,"]);
  deepEqual([/<script(?![^>]* src=)/.test(html), /\son\w+=|\sstyle=|<style/.test(html)], [false, false]);
  for (const path of ["/../deno.json", "/%2e%2e/deno.json", "/session.html", "//etc/passwd", "/static/session.js"]) {
    equal((await ask(path)).status, 404, path);
  }
});

Deno.test("the page knows every type of event, and writes no HTML", async () => {
  const { ask } = await sampleApp();
  const js = await (await ask("/session.js")).text();
  const list = /EVENT_TYPES = \[([^\]]*)\]/.exec(js)![1]!;
  deepEqual([...list.matchAll(/"([^"]+)"/g)].map(([, type]) => type), Object.keys(eventData));
  equal(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc/.test(js), false);
});

Deno.test("a stream that is asked for in a wrong way is refused", async () => {
  const { get } = await sampleApp();
  deepEqual(await get("/api/events/stream?types=log,nothing"), {
    status: 400,
    body: { error: 'types: there are no events of type "nothing"' },
  });
  for (const since of ["x", "-2", "1.5", "9".repeat(16)]) {
    deepEqual(await get(`/api/events/stream?since=${since}`), {
      status: 400,
      body: { error: "since: has to be the number of an event, or -1 for all of them" },
    });
  }
});

Deno.test("what goes wrong inside is told to the log, not to the client", async () => {
  const { get, state, errors } = await sampleApp();
  const error = new Error("the secret of the house");
  Object.defineProperty(state, "recoveries", {
    get: () => {
      throw error;
    },
  });
  deepEqual(await get("/api/recovery"), {
    status: 500,
    body: { error: "Something went wrong here; the session's log tells what" },
  });
  deepEqual(errors, [error]);
});

Deno.test("who may not control the session may still look at it", async () => {
  const { get, post, controls, judged } = await sampleApp(sampleFacts, { refusal: "You may not" });
  deepEqual(await post("answer", { text: "Yes", by: "ann" }), { status: 403, body: { error: "You may not" } });
  deepEqual(await post("stop"), { status: 403, body: { error: "You may not" } });
  equal((await get("/api/questions")).status, 200);
  equal((await get("/api/control/stop")).status, 405);
  deepEqual(controls, []);
  deepEqual(judged, [[CLIENT, "answer"], [CLIENT, "stop"]]);
});
