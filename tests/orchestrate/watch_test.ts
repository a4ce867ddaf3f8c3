/** What is noticed about workers while they run. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { EventFact } from "../../src/events/event.ts";
import type { LaunchedWorker, LaunchOrder, SessionPorts } from "../../src/orchestrate/ports.ts";
import { Runtime } from "../../src/orchestrate/runtime.ts";
import { foldSession } from "../../src/orchestrate/session.ts";
import type { SessionSettings } from "../../src/orchestrate/settings.ts";
import { Watch } from "../../src/orchestrate/watch.ts";
import {
  assignment,
  fold,
  launched,
  planMade,
  sessionStarted,
  settings,
  stamp,
  START_MS,
  started,
  taskChanged,
} from "./session_log.ts";

const begun = [sessionStarted(), planMade(assignment()), taskChanged(), launched(), started()];

/** A runtime whose world is the clock, what is judged, and workers that are given. */
function runtimeWith(more: Partial<SessionPorts> & { settings?: SessionSettings }) {
  const state = fold(begun);
  const told: EventFact[] = [];
  const ports = {
    settings,
    state,
    publish(fact: EventFact) {
      told.push(fact);
      foldSession(state, stamp(fact, state.seq));
      return Promise.resolve();
    },
    signal: new AbortController().signal,
    now: () => START_MS,
    ...more,
  } as SessionPorts;
  return { runtime: new Runtime(ports), told };
}

/** It says nothing, and ends when it is stopped. */
function fakeWorker(onLook: () => void = () => {}): LaunchedWorker {
  const ended = Promise.withResolvers<Awaited<LaunchedWorker["ended"]>>();
  const account = { session: null, usage: null, reportedCostUsd: null, model: null, denials: [] };
  return {
    ended: ended.promise,
    pause() {},
    resume() {},
    stop() {
      ended.resolve({
        process: {
          exitCode: null,
          signal: "SIGINT",
          endedBy: "stop",
          exceeded: undefined,
          leftBehind: 0,
          durationMs: 1,
        },
        result: { outcome: "failed", cause: "crashed", text: "", ...account },
      });
      return ended.promise;
    },
    lastOutputMs: () => START_MS,
    cpuMs() {
      onLook();
      return 0;
    },
    hasChildren: () => false,
  };
}

const NOTHING = { review() {}, recover() {} };

Deno.test("what is blocked stops its worker, and what has to be confirmed is told alone", async () => {
  const { runtime, told } = runtimeWith({
    judgeCommand: (command) =>
      Promise.resolve({ verdict: command === "rm" ? "block" : "confirm", rule: "r", reason: "because" }),
    launcher: { launch: () => Promise.resolve(fakeWorker()) } as unknown as SessionPorts["launcher"],
  });
  const watch = new Watch(runtime, NOTHING);
  const run = runtime.run({ worker: "claude", attempt: 1 } as LaunchOrder, () => {});
  for (const command of ["push", "rm"]) {
    const payload = { text: command, data: { command, phase: "started" } };
    watch.hear({ worker: "claude", offset: 0, event: { type: "command", agent: "claude", timestamp: "", payload } });
  }
  equal((await run).outcome, "stopped");
  deepEqual(told.flatMap(({ type, data }) => type === "command.judged" ? [[data.command, data.verdict]] : []), [
    ["push", "confirm"],
    ["rm", "block"],
  ]);
  deepEqual(told.flatMap(({ type, data }) => type === "worker.signalled" ? [[data.action, data.reason]] : []), [
    ["stop", "it did not get further: it ran what is blocked (because)"],
  ]);
});

Deno.test("each command is judged once, whether an agent tells its beginning or only its end", () => {
  const judged: string[] = [];
  const { runtime } = runtimeWith({
    judgeCommand(command) {
      judged.push(command);
      return Promise.resolve({ verdict: "allow", rule: "", reason: "" });
    },
  });
  const watch = new Watch(runtime, NOTHING);
  const hear = (command: string, phase: "started" | "ended", id?: string) =>
    watch.hear({
      worker: "claude",
      offset: 0,
      event: {
        type: "command",
        agent: "claude",
        timestamp: "",
        payload: { text: command, data: { command, phase, ...(id !== undefined && { id }) } },
      },
    });
  hear("one", "started", "1");
  hear("two", "started", "2");
  hear("two", "ended", "2");
  hear("one", "ended", "1");
  hear("three", "ended", "3");
  hear("four", "ended", "4");
  hear("five", "ended");
  hear("six", "ended");
  deepEqual(judged, ["one", "two", "three", "four", "five", "six"]);
});

Deno.test("a worker that was held is not late for it, and is when it says nothing after that", async () => {
  let nowMs = START_MS;
  let looks = 0;
  let wake = () => {};
  const looked = (more: number) =>
    new Promise<void>((resolve) => {
      const wanted = looks + more;
      wake = () => looks >= wanted && resolve();
    });
  const worker = fakeWorker(() => {
    looks++;
    wake();
  });
  const stallMs = 100;
  const { runtime, told } = runtimeWith({
    settings: { ...settings, liveness: { ...settings.liveness, stallMs } },
    now: () => nowMs,
    launcher: {
      launch: () => Promise.resolve(worker),
      adopt: () => Promise.resolve(undefined),
      ready: () => [],
      canResume: () => false,
    },
  });
  const watch = new Watch(runtime, NOTHING);
  const run = runtime.run({ worker: "claude", attempt: 1 } as LaunchOrder, () => {});
  watch.start();
  try {
    await looked(2);
    runtime.hold("q1", { status: "needs_input", reason: "a question" });
    nowMs += 60 * 60_000;
    await looked(2);
    runtime.release("q1");
    await looked(2);
    nowMs += stallMs;
    await run;
  } finally {
    watch.stop();
  }
  deepEqual(told.flatMap(({ type, data }) => type === "worker.liveness" ? [data.verdict] : []), [
    "working",
    "paused",
    "working",
    "stalled",
  ]);
  deepEqual(told.flatMap(({ type, data }) => type === "worker.signalled" ? [data.action] : []), [
    "pause",
    "resume",
    "nudge",
  ]);
});

Deno.test("the status tells why everybody is still held when one of two reasons is gone", () => {
  const { runtime } = runtimeWith({});
  const { state } = runtime;
  const status = () => [state.status, state.statusReason];
  runtime.hold("person", { status: "paused", reason: "held by ada" });
  runtime.hold("q1", { status: "needs_input", reason: "tabs or spaces?" });
  deepEqual(status(), ["needs_input", "tabs or spaces?"]);
  runtime.release("q1");
  deepEqual(status(), ["paused", "held by ada"]);
  runtime.release("person");
  deepEqual(status(), ["running", ""]);
});
