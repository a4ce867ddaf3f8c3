import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { EventData, EventFact } from "../../src/events/event.ts";
import { runEvent } from "../../src/events/event.ts";
import type { AgentEvent } from "../../src/events/session_events.ts";
import { breakdownOf, costOf, emptySession, foldSession } from "../../src/orchestrate/session.ts";
import {
  answered,
  asked,
  assignment,
  committed,
  exited,
  fold,
  launched,
  planMade,
  recovery,
  reviewed,
  sessionResumed,
  sessionStarted,
  signalled,
  stamp,
  started,
  taskChanged,
  timeOf,
} from "./session_log.ts";

const begun = [sessionStarted(), planMade(assignment()), taskChanged()];

const said = (offset: number, event: Partial<AgentEvent> & { payload: AgentEvent["payload"] }): EventFact => ({
  type: "worker.event",
  data: { worker: "claude", offset, event: { type: "message", agent: "claude", timestamp: timeOf(0), ...event } },
});

const call = (id: string, worker = "claude") => ({
  call: id,
  run: "orch_1",
  worker,
  key: null,
  upstream: "anthropic",
  dialect: "anthropic",
  streamed: true,
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "anthropic",
  "gen_ai.request.model": "m",
} as const);

const called = (id: string, worker?: string): EventFact => ({
  type: "model.called",
  data: { ...call(id, worker), attempt: 1, reserved_usd: 0.1 },
});

const modelAnswered = (id: string, cost_usd: number | null, worker?: string): EventFact => ({
  type: "model.answered",
  data: {
    ...call(id, worker),
    outcome: "answered",
    status: 200,
    attempts: 1,
    cost_usd,
    cost_source: "list",
    usage_source: "provider",
    duration_ms: 1,
    first_byte_ms: 1,
    overhead_ms: 1,
    "gen_ai.response.finish_reasons": [],
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_read.input_tokens": 0,
    "gen_ai.usage.cache_creation.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
  },
});

const waiting = (worker = "claude"): EventFact => ({
  type: "rate.waiting",
  data: {
    call: "c",
    run: "orch_1",
    worker,
    upstream: "anthropic",
    "gen_ai.request.model": "m",
    reason: "requests",
    wait_ms: 1,
    ahead: 0,
  },
});

const refused = (scope: EventData<"budget.refused">["scope"]): EventFact => ({
  type: "budget.refused",
  data: {
    call: "c",
    run: "orch_1",
    worker: "claude",
    "gen_ai.request.model": "m",
    scope,
    scope_id: "x",
    cap_usd: 1,
    spent_usd: 1,
    reserved_usd: 0,
    needed_usd: 1,
  },
});

const tokens = (input: number) => ({ input, cache_read: 1, cache_write: 2, output: 3, reasoning: 4 });

/** A session in which everything happens that a session can tell. */
const everything: EventFact[] = [
  ...begun,
  { type: "session.serving", data: { gateway_url: "http://127.0.0.1:1", dashboard_url: "http://127.0.0.1:2" } },
  { type: "session.status", data: { status: "running", reason: "" } },
  {
    type: "preflight.checked",
    data: { agents: [], tier: 5, tier_name: "solo", reason: "claude alone" },
  },
  launched(1, { stream_offset: 10 }),
  started(),
  called("c1"),
  said(50, { payload: { text: "Looking" } }),
  said(90, { type: "command", payload: { text: "ls", data: { phase: "started" } } }),
  said(120, { type: "command", payload: { text: "ls", data: { phase: "ended" } } }),
  said(140, { type: "progress", payload: { text: "", progress: 140 } }),
  said(150, { type: "error", payload: { text: "Oops" } }),
  said(170, { type: "status", payload: { text: "", data: { session: "s-1" } } }),
  modelAnswered("c1", 0.25),
  waiting(),
  { type: "worker.liveness", data: { worker: "claude", verdict: "backoff", proof: "waits", idle_seconds: 3 } },
  {
    type: "command.judged",
    data: { worker: "claude", command: "rm -rf /", verdict: "block", rule: "rm", reason: "everything" },
  },
  ...reviewed("r1", { trigger: "milestone", verdicts: ["approved", "concerns"], action: "LOG_WARNING" }),
  signalled("pause", "held"),
  signalled("resume", "goes on"),
  signalled("nudge", "no output"),
  exited("stopped", { tokens: tokens(10), cli_session: "s-2", reported_cost_usd: 0.5 }),
  launched(2, { stream_offset: 200, resumes: "s-2" }),
  started(2),
  exited("limit", { attempt: 2, tokens: tokens(5), reported_cost_usd: 0.25 }),
  recovery("network", "relaunched", { wait_seconds: 5 }),
  asked("d-r1"),
  { type: "control.received", data: { control: "k1", command: "answer", worker: null, text: "yes", by: "ada" } },
  answered("yes"),
  { type: "work.saved", data: { worker: "claude", ref: "refs/gocore/x", commit: "c", files: 1, reason: "why" } },
  launched(3, { stream_offset: 300 }),
  started(3),
  exited("completed", { attempt: 3, tokens: null }),
  committed(3),
  taskChanged({ status: "done", reason: "finished" }),
  { type: "merge.ended", data: { task: "api", branch: "b", outcome: "merged", files: ["a"], commit: "c" } },
  { type: "verify.ended", data: { command: "true", exit_code: 0, output: "", duration_seconds: 1 } },
  { type: "limit.exceeded", data: { worker: "claude", limit: "cpu", allowed: 50, found: 99, unit: "%" } },
  { type: "log", data: { level: "info", content: "x" } },
  {
    type: "session.finished",
    data: {
      status: "done",
      exit_code: 0,
      summary: "done",
      result_branch: null,
      result_commit: null,
      applied: false,
      report: null,
      cost_usd: null,
      duration_seconds: 1,
      open: [],
    },
  },
];

Deno.test("the log of these tests is one that a session can write", () => {
  for (const [seq, fact] of everything.entries()) {
    const event = stamp(fact, seq);
    const read = runEvent.safeParse(JSON.parse(JSON.stringify(event)));
    ok(read.success, `${fact.type}: ${read.error?.message}`);
    deepEqual(read.data, JSON.parse(JSON.stringify(event)));
  }
});

Deno.test("folding the same log twice, or in two parts, gives the same state", () => {
  const whole = fold(everything);
  deepEqual(fold(everything), whole);
  equal(whole.seq, everything.length);
  equal(whole.lastEventAt, timeOf(everything.length - 1));
  for (let cut = 0; cut <= everything.length; cut++) {
    deepEqual(fold(everything.slice(cut), fold(everything.slice(0, cut))), whole);
  }
});

Deno.test("folding changes no event, and the state of one session is not that of another", () => {
  const events = everything.map(stamp);
  const before = structuredClone(events);
  const state = emptySession();
  for (const event of events) foldSession(state, event);
  deepEqual(events, before);
  deepEqual(emptySession().workers.size, 0);
});

Deno.test("a worker is what its events add up to", () => {
  const { workers, spending: spent } = fold(everything);
  deepEqual([...workers.keys()], ["claude"]);
  const { launch, process, exit, lastSignal, spending, ...worker } = workers.get("claude")!;
  const at = (type: EventFact["type"], nth = 0) =>
    timeOf(everything.map((fact, seq) => ({ fact, seq })).filter(({ fact }) => fact.type === type)[nth]!.seq);
  deepEqual([launch.attempt, process!.attempt, exit!.attempt, lastSignal], [3, 3, 3, null]);
  deepEqual(worker, {
    name: "claude",
    agent: "claude",
    task: "api",
    review: null,
    status: "completed",
    startedAt: at("worker.launched"),
    attemptStartedAt: at("worker.launched", 2),
    endedAt: at("worker.exited", 2),
    lastEventAt: null,
    progress: 100,
    lastText: "Oops",
    events: 6,
    toldUntil: 300,
    liveness: null,
    cliSession: "s-2",
    sessionUsage: undefined,
    reportedCostUsd: 0.75,
    reportedTokens: null,
    commands: 1,
    errors: 1,
    nudges: 1,
    limitEnds: 1,
  });
  equal(spending, spent.get("claude"));
});

Deno.test("what was told of a stream is known until the next attempt, also by the next supervisor", () => {
  const heard = [...begun, launched(1, { stream_offset: 10 }), started(), said(50, { payload: { text: "a" } })];
  const told = (...more: EventFact[]) => fold([...heard, ...more]).workers.get("claude")!.toldUntil;
  equal(fold(heard.slice(0, 4)).workers.get("claude")!.toldUntil, 10);
  equal(told(), 50);
  equal(told(said(20, { payload: { text: "late" } })), 50);
  equal(told(sessionResumed(), started(1, { adopted: true })), 50);
  equal(told(exited("failed"), launched(2, { stream_offset: 70 })), 70);
});

Deno.test("an attempt that begins is not that which ended", () => {
  const state = fold([
    ...begun,
    launched(),
    started(),
    said(50, { type: "progress", payload: { text: "half", progress: 50 } }),
    signalled("nudge", "x"),
    exited("stopped"),
    launched(2),
  ]);
  const { process, exit, endedAt, lastEventAt, liveness, lastSignal, progress, status, nudges, lastText } = state
    .workers
    .get("claude")!;
  deepEqual({ process, exit, endedAt, lastEventAt, liveness, lastSignal, progress, status, nudges, lastText }, {
    process: null,
    exit: null,
    endedAt: null,
    lastEventAt: null,
    liveness: null,
    lastSignal: null,
    progress: 0,
    status: "running",
    nudges: 1,
    lastText: "half",
  });
});

Deno.test("a worker that was found again runs, whatever it was told before", () => {
  const held = [...begun, launched(), started(), signalled("pause", "held")];
  equal(fold(held).workers.get("claude")!.status, "paused");
  equal(fold([...held, signalled("resume", "on")]).workers.get("claude")!.status, "running");
  const { status, lastSignal, process } = fold([...held, sessionResumed(), started(1, { adopted: true, pid: 9 })])
    .workers.get("claude")!;
  deepEqual([status, lastSignal, process!.pid], ["running", null, 9]);
  // What is told of an ended worker does not bring it back.
  equal(fold([...held, exited("failed"), signalled("resume", "on")]).workers.get("claude")!.status, "failed");
});

Deno.test("usage of a session that goes on adds up, that of a new one begins anew, and unknown stays unknown", () => {
  const usage = (...facts: EventFact[]) => fold([...begun, ...facts]).workers.get("claude")!.sessionUsage;
  const first = [launched(), exited("failed", { tokens: tokens(10) })];
  const once = { input: 10, cacheRead: 1, cacheWrite: 2, output: 3, reasoning: 4 };
  deepEqual(usage(...first), once);
  deepEqual(usage(...first, launched(2, { resumes: "s" }), exited("failed", { tokens: tokens(5) })), {
    input: 15,
    cacheRead: 2,
    cacheWrite: 4,
    output: 6,
    reasoning: 8,
  });
  deepEqual(usage(...first, launched(2), exited("failed", { tokens: tokens(10) })), once);
  equal(usage(...first, launched(2, { resumes: "s" }), exited("failed")), undefined);
  const unknown = [...first, launched(2, { resumes: "s" }), exited("failed")];
  equal(usage(...unknown, launched(3, { resumes: "s" }), exited("failed", { tokens: tokens(1) })), undefined);
});

Deno.test("spending is counted by worker, and unknown is never 0", () => {
  const state = fold([
    ...begun,
    launched(),
    called("c1"),
    called("c1"),
    called("c2"),
    modelAnswered("c1", 0.25),
    called("p1", "planner"),
    modelAnswered("p1", 0.5, "planner"),
  ]);
  const expected = { knownUsd: 0.25, unknownCalls: 0, calls: 1, inputTokens: 100, outputTokens: 10, inFlight: 1 };
  deepEqual(state.spending.get("claude"), expected);
  equal(state.workers.get("claude")!.spending, state.spending.get("claude"));
  deepEqual([...state.calls], [["c2", { worker: "claude", sinceMs: Date.parse(timeOf(6)) }]]);
  equal(costOf(state), 0.75);
  fold([modelAnswered("c2", null)], state);
  equal(costOf(state), null);
  equal(state.spending.get("claude")!.inFlight, 0);
  // The ledger knows better.
  const data = { worker: "claude", known_usd: 2, unknown_calls: 0, calls: 9, input_tokens: 8, output_tokens: 7 };
  fold([{ type: "spending.counted", data }], state);
  deepEqual(state.spending.get("claude"), {
    knownUsd: 2,
    unknownCalls: 0,
    calls: 9,
    inputTokens: 8,
    outputTokens: 7,
    inFlight: 0,
  });
  equal(costOf(state), 2.5);
  equal(costOf(emptySession()), 0);
});

Deno.test("calls, waits and a spent budget end with the supervisor that had them", () => {
  const facts = [...begun, launched(), called("c1"), waiting(), refused("run"), waiting("codex")];
  const state = fold(facts);
  deepEqual([state.calls.size, [...state.heldBack], state.budgetIsSpent], [1, ["codex"], true]);
  fold([sessionResumed(9)], state);
  deepEqual([state.calls.size, [...state.heldBack], state.budgetIsSpent], [0, [], false]);
  deepEqual([state.pid, state.supervisors, state.spending.get("claude")!.inFlight], [9, 2, 0]);
  fold([modelAnswered("c1", 1)], state);
  deepEqual([state.spending.get("claude")!.inFlight, state.spending.get("claude")!.knownUsd], [0, 1]);
});

Deno.test("only a refusal because of the session's own cap spends its budget, and a call ends a wait", () => {
  for (const scope of ["worker", "key", "day"] as const) equal(fold([...begun, refused(scope)]).budgetIsSpent, false);
  deepEqual([...fold([...begun, waiting(), called("c1")]).heldBack], []);
});

Deno.test("the work of a task is that of its last commit, and a new worker has none yet", () => {
  const task = (...facts: EventFact[]) => fold([...begun, ...facts]).tasks.get("api")!;
  const { assignment: of, triedBy, ...first } = task(committed(1));
  equal(of.id, "api");
  deepEqual([...triedBy], ["claude"]);
  deepEqual(first, {
    status: "running",
    worker: "claude",
    agent: "claude",
    reason: "",
    commit: "c1",
    files: ["src/api.ts"],
    committedAttempt: 1,
  });
  const given = task(committed(1), taskChanged({ worker: "codex", reason: "given to codex" }));
  deepEqual([given.committedAttempt, given.commit, [...given.triedBy]], [0, "c1", ["claude", "codex"]]);
  equal(task(committed(1), taskChanged({ status: "done" })).committedAttempt, 1);
});

Deno.test("a decision keeps the verdicts that it is made of, and a question its answer", () => {
  const state = fold([
    ...begun,
    ...reviewed("r1", { verdicts: ["approved", null], action: "CONTINUE" }),
    asked("d-r1"),
    answered("yes"),
  ]);
  deepEqual(state.decisions, [{
    id: "d-r1",
    review: "r1",
    action: "CONTINUE",
    rule: "1",
    reason: "decided CONTINUE",
    worker: "claude",
    task: "api",
    verdicts: [{ reviewer: "codex-r1", verdict: "approved" }, { reviewer: "codex-r1", verdict: null }],
    timestamp: timeOf(6),
  }]);
  equal(state.reviews.get("r1")!.decision, state.decisions[0]);
  deepEqual(state.questions.get("q1"), {
    id: "q1",
    text: "How shall it go on?",
    worker: "claude",
    task: "api",
    decision: "d-r1",
    askedAt: timeOf(7),
    answer: "yes",
    by: "ada",
  });
});

Deno.test("a session that was finished and goes on is not finished", () => {
  const state = fold(everything);
  deepEqual([state.status, state.statusReason], ["done", "done"]);
  equal(state.finishedAt, timeOf(everything.length - 1));
  fold([sessionResumed()], state);
  deepEqual([state.finish, state.finishedAt], [null, null]);
});

Deno.test("events about what nobody knows are passed over", () => {
  const strangers: EventFact[] = [
    said(5, { payload: { text: "x" } }),
    started(),
    exited("completed"),
    signalled("stop", "x"),
    { type: "worker.liveness", data: { worker: "x", verdict: "dead", proof: "", idle_seconds: 0 } },
    taskChanged({ task: "__proto__" }),
    answered("x", "constructor"),
    ...reviewed("r1", { verdicts: ["approved"] }).slice(1),
  ];
  const { seq: _seq, lastEventAt: _at, ...state } = fold(strangers);
  const { seq: _none, lastEventAt: _never, ...empty } = emptySession();
  deepEqual(state, empty);
  equal(breakdownOf(fold(strangers)), null);
  equal(breakdownOf(fold(begun))!.assignments[0]!.id, "api");
});

Deno.test("memory for judged commands is bounded", () => {
  const data = { worker: "claude", command: "x", verdict: "confirm", rule: "r", reason: "" } as const;
  const state = fold(Array.from({ length: 1200 }, () => ({ type: "command.judged", data }) as const));
  equal(state.judged.length, 1000);
});
