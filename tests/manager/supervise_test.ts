/** The supervision of workers, with a launcher and a clock that are given. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import type { EventData, EventFact, RunEvent } from "../../src/events/event.ts";
import type { FailureCause } from "../../src/events/session_events.ts";
import { Failure } from "../../src/failure.ts";
import type { WorkerAnswer, WorkerOrder } from "../../src/manager/ports.ts";
import { emptyRun, foldRun, type RunState } from "../../src/manager/run_state.ts";
import { createSupervisor, NUDGE, type Supervisor } from "../../src/manager/supervise.ts";
import type { LaunchOrder, RunningWorker, WorkerHooks, WorkerLauncher } from "../../src/manager/worker_launcher.ts";
import type { StreamResult } from "../../src/workers/adapter.ts";
import type { WorkerProcessEnd } from "../../src/process/worker_process.ts";

const ORDER: WorkerOrder = {
  worker: "w1",
  role: "REPRO_BUILDER",
  prompt: "Reproduce it",
  outputPath: "repro/candidates/w1.json",
  files: {},
  commit: "c0ffee",
};
const USAGE = { input: 5, cacheRead: 0, cacheWrite: 0, output: 7, reasoning: 0 };

interface Ending {
  outcome?: "completed" | "failed";
  cause?: FailureCause;
  text?: string;
  session?: string | null;
  endedBy?: WorkerProcessEnd["endedBy"];
}

/** A worker that does nothing but what the test says. */
class Attempt implements RunningWorker {
  readonly #ended = Promise.withResolvers<{ process: WorkerProcessEnd; result: StreamResult }>();
  readonly ended = this.#ended.promise;
  outputMs: number;
  cpu = 0;
  stops = 0;
  /** What it does when it is stopped; null: it does not obey yet. */
  onStop: Ending | null = {};

  constructor(readonly order: LaunchOrder | undefined, readonly clock: { nowMs: number }, readonly startMs: number) {
    this.outputMs = startMs;
  }

  end(ending: Ending): void {
    const { outcome = "completed", cause = null, text = "", session = "s1", endedBy = "itself" } = ending;
    this.#ended.resolve({
      process: {
        exitCode: outcome === "completed" && endedBy === "itself" ? 0 : 1,
        signal: null,
        endedBy,
        exceeded: undefined,
        leftBehind: 0,
        durationMs: Math.max(this.clock.nowMs - this.startMs, 1),
      },
      result: { outcome, cause, text, session, usage: USAGE, reportedCostUsd: null, model: null, denials: [] },
    });
  }

  stop(): Promise<unknown> {
    this.stops++;
    if (this.onStop !== null) this.end({ outcome: "failed", cause: "crashed", endedBy: "stop", ...this.onStop });
    return this.ended;
  }

  lastOutputMs = () => this.outputMs;
  cpuMs = () => this.cpu;
}

class World implements WorkerLauncher {
  readonly clock = { nowMs: 1_000_000 };
  readonly state: RunState = emptyRun();
  readonly log: EventFact[] = [];
  readonly attempts: Attempt[] = [];
  readonly files = new Map<string, string>();
  readonly kept = new Map<string, string>();
  readonly released: string[] = [];
  readonly abort = new AbortController();
  supervisor: Supervisor;
  resumes = true;
  /** What `launch` throws, before or after it has told. */
  refusal: { error: Error; isTold: boolean } | undefined;
  /** What is left of a worker of a former supervisor. */
  former: Attempt | undefined;
  #waiting: (() => void)[] = [];

  constructor(readonly limits = { workerTimeoutMs: 300_000, stallMs: 60_000, pollIntervalMs: 1 }) {
    this.supervisor = this.#supervise();
  }

  /** Takes a supervisor that was killed out of the way, as far as the test's process goes. */
  async bury(run: Promise<unknown>): Promise<void> {
    this.abort.abort(new Error("killed"));
    this.attempts.at(-1)?.end({});
    await run.catch(() => {});
  }

  /** Another supervisor, which knows what the log has. */
  succeed(): void {
    this.supervisor = this.#supervise();
  }

  #supervise(): Supervisor {
    return createSupervisor({
      settings: this.limits,
      state: this.state,
      publish: this.publish,
      launcher: this,
      signal: this.abort.signal,
      now: () => this.clock.nowMs,
    });
  }

  readonly publish = (fact: EventFact): Promise<void> => {
    const time = new Date(this.clock.nowMs).toISOString();
    foldRun(this.state, { seq: this.log.length, time, ...fact } as RunEvent);
    this.log.push(fact);
    this.notice();
    return Promise.resolve();
  };

  notice(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async attempt(number: number): Promise<Attempt> {
    await this.until(() => this.attempts.length >= number);
    return this.attempts[number - 1]!;
  }

  canResume = () => this.resumes;

  launch(order: LaunchOrder, hooks: WorkerHooks): Promise<RunningWorker> {
    const { worker } = order.order;
    if (this.refusal?.isTold === false) return Promise.reject(this.refusal.error);
    hooks.onLaunched(launched(order));
    if (this.refusal !== undefined) return Promise.reject(this.refusal.error);
    hooks.onStarted(started(worker, order.attempt, this.clock.nowMs));
    return Promise.resolve(this.#begin(order));
  }

  adopt(
    { launch, process }: Parameters<WorkerLauncher["adopt"]>[0],
    hooks: WorkerHooks,
  ): Promise<RunningWorker | undefined> {
    const { former } = this;
    if (former === undefined) return Promise.resolve(undefined);
    hooks.onStarted(process ?? started(launch.worker, launch.attempt, this.clock.nowMs));
    this.attempts.push(former);
    this.notice();
    return Promise.resolve(former);
  }

  #begin(order: LaunchOrder): Attempt {
    const attempt = new Attempt(order, this.clock, this.clock.nowMs);
    this.attempts.push(attempt);
    this.notice();
    return attempt;
  }

  readAnswer = (worker: string) => Promise.resolve(this.files.get(worker));
  keptAnswer = (worker: string) => Promise.resolve(this.kept.get(worker));
  keepAnswer(worker: string, text: string): Promise<void> {
    this.kept.set(worker, text);
    return Promise.resolve();
  }
  release(order: WorkerOrder) {
    this.released.push(order.worker);
    return Promise.resolve(undefined);
  }

  run(order: Partial<WorkerOrder> = {}): Promise<WorkerAnswer> {
    return this.supervisor.run([{ ...ORDER, ...order }]).then(([answer]) => answer!);
  }

  /** Of the worker, in order: statuses, nudges and starts. */
  get story(): string[] {
    return this.log.flatMap(({ type, data }) => {
      switch (type) {
        case "worker.status":
          return [`${data.status}${data.reason === "" ? "" : `: ${data.reason}`}`];
        case "worker.nudged":
          return [`${data.action}: ${data.reason}`];
        case "worker.launched":
          return [`attempt ${data.attempt}${data.resumes === null ? "" : ` of ${data.resumes}`}`];
        default:
          return [];
      }
    });
  }
}

function launched({ order, attempt, prompt, resume, usedBefore, spentBeforeMs, nudgesTold }: LaunchOrder) {
  return {
    worker: order.worker,
    agent: "codex",
    task: null,
    review: null,
    attempt,
    backend: "process",
    argv: ["codex"],
    workdir: "/w",
    cwd: "/w",
    branch: null,
    stream: "/s",
    stream_offset: 0,
    key_id: null,
    resumes: resume,
    mark: "m",
    prompt,
    ...(usedBefore && { used_before: usedBefore }),
    spent_before_ms: spentBeforeMs,
    nudges_told: nudgesTold,
  } satisfies EventData<"worker.launched">;
}

function started(worker: string, attempt: number, startedMs: number): EventData<"worker.started"> {
  return {
    worker,
    attempt,
    pid: 1,
    start_ticks: 1,
    started_ms: startedMs,
    sandbox: { enforced: false, detail: "" },
    limits: { enforced_by: "none", detail: "" },
    adopted: false,
    attach: null,
  };
}

const answer = (more: Partial<WorkerAnswer> = {}): WorkerAnswer => ({
  worker: "w1",
  role: "REPRO_BUILDER",
  status: "finished",
  reason: "",
  objects: [{ script: "x" }],
  ...more,
});

Deno.test("the final message is the answer, and is kept as it was given", async () => {
  const world = new World();
  const run = world.run();
  (await world.attempt(1)).end({ text: 'Here it is: {"script": "x"}' });
  deepEqual(await run, answer());
  deepEqual([...world.kept], [["w1", 'Here it is: {"script": "x"}']]);
  deepEqual(world.story, ["running", "attempt 1", "finished"]);
  deepEqual(world.released, ["w1"]);
});

Deno.test("the answer's file is trusted before the final message, and one object in a list is one", async () => {
  const world = new World();
  const run = world.run();
  world.files.set("w1", '[{"script": "x"}]');
  (await world.attempt(1)).end({ text: '{"script": "other"}' });
  deepEqual(await run, answer());
});

Deno.test("an answer that cannot be used is asked for once more, in the session, with what is wrong", async () => {
  const world = new World();
  const problemWith = (objects: readonly Record<string, unknown>[]) =>
    "script" in objects[0]! ? undefined : "no script";
  const run = world.run({ problemWith });
  (await world.attempt(1)).end({ text: "{}" });
  const second = await world.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume, second.order!.usedBefore], [
    "Your answer cannot be used: no script. Give all of it again, in the way that was asked for.",
    "s1",
    USAGE,
  ]);
  second.end({ text: '{"script": "x"}' });
  deepEqual(await run, answer());
  deepEqual(world.story, [
    "running",
    "attempt 1",
    "restarted: its answer cannot be used: no script",
    "attempt 2 of s1",
    "finished",
  ]);
});

Deno.test("no answer twice is a failure, and what was said is kept", async () => {
  const world = new World();
  world.resumes = false;
  const run = world.run();
  (await world.attempt(1)).end({ text: "I am done" });
  const second = await world.attempt(2);
  equal(
    second.order!.prompt,
    "Reproduce it\n\nYour answer cannot be used: there is no JSON object in it. " +
      "Give all of it again, in the way that was asked for.",
  );
  second.end({ text: "Still done" });
  const reason = "its answer cannot be used: there is no JSON object in it";
  deepEqual(await run, answer({ status: "failed", reason, objects: [] }));
  deepEqual([...world.kept], [["w1", "Still done"]]);
});

Deno.test("a crash is answered by one new start", async () => {
  const world = new World();
  const run = world.run();
  (await world.attempt(1)).end({ outcome: "failed", cause: "crashed", text: "boom" });
  const second = await world.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume, second.order!.causes], ["Reproduce it", null, ["crashed"]]);
  second.end({ outcome: "failed", cause: "crashed", text: "boom again" });
  deepEqual(await run, answer({ status: "failed", reason: "crashed: boom again", objects: [] }));
  deepEqual(world.story, [
    "running",
    "attempt 1",
    "restarted: crashed: boom",
    "attempt 2",
    "failed: crashed: boom again",
  ]);
});

Deno.test("what another command line answers is no failure of the worker's own, but each of these is tried once", async () => {
  const world = new World();
  const run = world.run();
  (await world.attempt(1)).end({ outcome: "failed", cause: "root", text: "not as root" });
  (await world.attempt(2)).end({ outcome: "failed", cause: "trusted_directory", text: "not here" });
  (await world.attempt(3)).end({ text: "I am done" });
  const last = await world.attempt(4);
  deepEqual([last.order!.causes, last.order!.resume], [["root", "trusted_directory"], "s1"]);
  last.end({ outcome: "failed", cause: "root", text: "not as root" });
  deepEqual(await run, answer({ status: "failed", reason: "root: not as root", objects: [] }));
  deepEqual(world.story, [
    "running",
    "attempt 1",
    "restarted: root: not as root",
    "attempt 2",
    "restarted: trusted_directory: not here",
    "attempt 3",
    "restarted: its answer cannot be used: there is no JSON object in it",
    "attempt 4 of s1",
    "failed: root: not as root",
  ]);
});

Deno.test("a worker that did not reach its gateway goes on with its session, once", async () => {
  const world = new World();
  const run = world.run();
  (await world.attempt(1)).end({ outcome: "failed", cause: "network", text: "connection refused" });
  const second = await world.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume], [
    "You were cut off. Go on with your task, and end with your answer.",
    "s1",
  ]);
  second.end({ outcome: "failed", cause: "network", text: "connection refused" });
  deepEqual(await run, answer({ status: "failed", reason: "network: connection refused", objects: [] }));
});

Deno.test("a worker whose session is lost begins a new one, and is told there what it was to be told", async () => {
  const world = new World();
  const run = world.run();
  const first = await world.attempt(1);
  world.supervisor.send({ control: "c1", worker: "w1", text: "Try 3.13", by: "a person" });
  const second = await world.attempt(2);
  deepEqual([second.order!.resume, second.order!.prompt, first.stops], ["s1", "Try 3.13", 1]);
  second.end({ outcome: "failed", cause: "arguments", text: "no such session", session: null });
  const third = await world.attempt(3);
  deepEqual([third.order!.resume, third.order!.prompt], [null, "Reproduce it\n\nTry 3.13"]);
  third.end({ outcome: "failed", cause: "arguments", text: "no such option" });
  deepEqual(await run, answer({ status: "failed", reason: "arguments: no such option", objects: [] }));
});

for (const cause of ["auth", "rate_limit", "budget", "overloaded", "model"] satisfies FailureCause[]) {
  Deno.test(`what another start would not mend (${cause}) is a failure at once`, async () => {
    const world = new World();
    const run = world.run();
    (await world.attempt(1)).end({ outcome: "failed", cause, text: "no" });
    deepEqual(await run, answer({ status: "failed", reason: `${cause}: no`, objects: [] }));
    equal(world.attempts.length, 1);
  });
}

Deno.test("an answer in its file counts although the agent failed after it", async () => {
  const world = new World();
  const run = world.run();
  world.files.set("w1", '{"script": "x"}');
  (await world.attempt(1)).end({ outcome: "failed", cause: "network", text: "no route" });
  deepEqual(await run, answer({ reason: "it had answered before its end: no route" }));
});

/** Lets time pass for a worker that gives no sign. */
function stall(world: World, ms = 61_000): void {
  world.clock.nowMs += ms;
}

Deno.test("a silent worker is nudged in its session, then started again, then it has failed", async () => {
  const world = new World();
  const run = world.run();
  await world.attempt(1);
  stall(world);
  const second = await world.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume], [NUDGE, "s1"]);
  stall(world);
  const third = await world.attempt(3);
  deepEqual([third.order!.prompt, third.order!.resume], [`Reproduce it\n\n${NUDGE}`, null]);
  stall(world);
  const silence = "no output, no model call and no work for 61 s";
  deepEqual(await run, answer({ status: "failed", reason: `it stalled again: ${silence}`, objects: [] }));
  deepEqual(world.story, [
    "running",
    "attempt 1",
    `nudged: ${silence}`,
    "attempt 2 of s1",
    `restarted: ${silence}`,
    "attempt 3",
    `failed: it stalled again: ${silence}`,
  ]);
  deepEqual(world.attempts.map(({ stops }) => stops), [1, 1, 1]);
});

Deno.test("for an agent whose session cannot go on the nudge is the new start", async () => {
  const world = new World();
  world.resumes = false;
  const run = world.run();
  await world.attempt(1);
  stall(world);
  equal((await world.attempt(2)).order!.prompt, `Reproduce it\n\n${NUDGE}`);
  stall(world);
  equal((await run).status, "failed");
  equal(world.attempts.length, 2);
});

Deno.test("output, a model call under way or CPU time are signs of life", async () => {
  const world = new World({ workerTimeoutMs: 10_000_000, stallMs: 60_000, pollIntervalMs: 1 });
  const run = world.run();
  const first = await world.attempt(1);
  const looks = (count: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    first.cpuMs = () => (count-- === 0 && resolve(), first.cpu);
    return promise;
  };
  for (let step = 0; step < 10; step++) {
    // All at once, as for the loop that looks.
    first.cpu += 3_000;
    world.clock.nowMs += 50_000;
    await looks(2);
  }
  for (let step = 0; step < 3; step++) {
    world.clock.nowMs += 59_000;
    first.outputMs = world.clock.nowMs;
    await looks(2);
  }
  const call = { call: "c1", worker: "w1" } as EventData<"model.called">;
  await world.publish({ type: "model.called", data: call });
  world.clock.nowMs += 1_000_000;
  await looks(2);
  equal(first.stops, 0);
  await world.publish({
    type: "model.answered",
    data: { ...call, cost_usd: 0 } as unknown as EventData<"model.answered">,
  });
  // Little enough to be nothing but waiting.
  first.cpu += 1000;
  stall(world);
  await world.until(() => world.story.some((line) => line.startsWith("nudged")));
  (await world.attempt(2)).end({ text: '{"script": "x"}' });
  equal((await run).status, "finished");
});

Deno.test("a worker that takes too long is stopped, all its attempts together", async () => {
  const world = new World();
  const run = world.run();
  const first = await world.attempt(1);
  world.clock.nowMs += 200_000;
  first.outputMs = world.clock.nowMs;
  first.end({ outcome: "failed", cause: "crashed", text: "boom" });
  const second = await world.attempt(2);
  equal(second.order!.spentBeforeMs, 200_000);
  world.clock.nowMs += 100_000;
  second.outputMs = world.clock.nowMs;
  deepEqual(await run, answer({ status: "timeout", reason: "it took more than 300 s", objects: [] }));
  equal(second.stops, 1);
});

Deno.test("what a person says goes into the session, and the sender is told", async () => {
  const world = new World();
  const run = world.run();
  const first = await world.attempt(1);
  first.onStop = { session: "s7" };
  const message = { control: "c1", worker: "w1", text: "Try python 3.13", by: "ivg" };
  equal(world.supervisor.send(message), "w1 (codex) is told, and goes on with it");
  const second = await world.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume], ["Try python 3.13", "s7"]);
  // A person's word is no nudge: the worker has both of its own left.
  stall(world);
  deepEqual((await world.attempt(3)).order!.prompt, NUDGE);
  world.attempts[2]!.end({ text: '{"script": "x"}' });
  equal((await run).status, "finished");
  deepEqual(world.story.slice(0, 4), ["running", "attempt 1", "nudged: told by ivg", "attempt 2 of s7"]);
  equal(world.supervisor.send(message), "w1 does not run any more: finished");
  equal(world.supervisor.send({ ...message, worker: "w9" }), "There is no w9");
});

Deno.test("an agent that cannot be told anything is told when it is started again", async () => {
  const world = new World();
  world.resumes = false;
  const run = world.run();
  const first = await world.attempt(1);
  equal(
    world.supervisor.send({ control: "c1", worker: "w1", text: "Try python 3.13", by: "ivg" }),
    "w1 (codex) cannot be told anything while it works: it is told when it is started again",
  );
  equal(first.stops, 0);
  first.end({ outcome: "failed", cause: "crashed", text: "boom" });
  const second = await world.attempt(2);
  equal(second.order!.prompt, "Reproduce it\n\nTry python 3.13");
  second.end({ outcome: "completed", text: '{"script": "x"}' });
  equal((await run).status, "finished");
});

Deno.test("the end of the run stops all workers, and the next run starts them from the beginning", async () => {
  const world = new World();
  const run = world.supervisor.run([ORDER, { ...ORDER, worker: "w2" }]);
  const [first, second] = [await world.attempt(1), await world.attempt(2)];
  deepEqual(world.supervisor.running(), ["w1", "w2"]);
  world.abort.abort(new Error("stopped by ivg"));
  await rejects(run, /stopped by ivg/);
  deepEqual([first.stops, second.stops, world.released], [1, 1, ["w1", "w2"]]);
  deepEqual([...world.state.workers.values()].map(({ status, reason }) => [status, reason]), [
    ["stopped", "stopped by ivg"],
    ["stopped", "stopped by ivg"],
  ]);
  const next = new World();
  Object.assign(next.state, world.state);
  next.succeed();
  const again = next.run();
  const third = await next.attempt(1);
  deepEqual([third.order!.attempt, third.order!.prompt, third.order!.resume, third.order!.spentBeforeMs], [
    2,
    "Reproduce it",
    null,
    0,
  ]);
  third.end({ text: '{"script": "x"}' });
  equal((await again).status, "finished");
});

Deno.test("a worker that goes on without its supervisor is taken over, its time counted", async () => {
  const world = new World();
  // The first supervisor is killed: nobody hears of its end.
  const killed = world.run();
  await world.attempt(1);
  world.clock.nowMs += 50_000;
  const next = new World();
  next.clock.nowMs = world.clock.nowMs;
  next.former = new Attempt(undefined, next.clock, next.clock.nowMs);
  Object.assign(next.state, structuredClone(world.state));
  next.succeed();
  const run = next.run();
  const adopted = await next.attempt(1);
  next.clock.nowMs += 250_000;
  adopted.outputMs = next.clock.nowMs;
  deepEqual(await run, answer({ status: "timeout", reason: "it took more than 300 s", objects: [] }));
  deepEqual(next.story, ["timeout: it took more than 300 s"]);
  await world.bury(killed);
});

Deno.test("what a killed supervisor had ordered is done by the next one", async () => {
  const world = new World();
  const killed = world.run();
  const first = await world.attempt(1);
  // It does not obey before its supervisor is killed.
  first.onStop = null;
  stall(world);
  await world.until(() => world.story.length === 3);
  const next = new World();
  next.clock.nowMs = world.clock.nowMs;
  next.former = new Attempt(undefined, next.clock, next.clock.nowMs);
  Object.assign(next.state, structuredClone(world.state));
  next.succeed();
  const run = next.run();
  const adopted = await next.attempt(1);
  equal(adopted.stops, 1);
  const second = await next.attempt(2);
  deepEqual([second.order!.prompt, second.order!.resume], [NUDGE, "s1"]);
  second.end({ text: '{"script": "x"}' });
  equal((await run).status, "finished");
  await world.bury(killed);
});

Deno.test("a worker of which nothing is left is started once more, and its session goes on", async () => {
  const world = new World();
  const killed = world.run();
  await world.attempt(1);
  const next = new World();
  Object.assign(next.state, structuredClone(world.state));
  next.succeed();
  const run = next.run();
  const second = await next.attempt(1);
  deepEqual([second.order!.attempt, second.order!.prompt], [2, "Reproduce it"]);
  second.end({ text: '{"script": "x"}' });
  equal((await run).status, "finished");
  equal(next.story[0], "restarted: lost: its process was gone when a new supervisor looked for it");
  await world.bury(killed);
});

Deno.test("what has ended is not run again, and its answer is read again", async () => {
  const world = new World();
  const run = world.run();
  (await world.attempt(1)).end({ text: '{"script": "x"}' });
  await run;
  world.succeed();
  deepEqual(await world.run(), answer());
  equal(world.attempts.length, 1);
});

Deno.test("a worker that cannot be started has failed, whether its launch was told or not", async () => {
  for (const isTold of [true, false]) {
    const world = new World();
    world.refusal = { isTold, error: new Failure("environment", "No such program", { hints: ["Install it"] }) };
    const { status, reason } = await world.run();
    deepEqual([status, reason], [
      "failed",
      isTold ? "start: No such program; Install it" : "No such program; Install it",
    ]);
    ok(world.released.includes("w1"));
  }
});
