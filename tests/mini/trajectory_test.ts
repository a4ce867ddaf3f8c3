import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { trajectoryDocument, TrajectoryRecorder } from "../../src/mini/trajectory.ts";
import { Redactor } from "../../src/safety/secrets.ts";

/** What was appended, as it would be read from disk again. */
class MemoryLog {
  readonly entries: Record<string, unknown>[] = [];
  append(entry: Record<string, unknown>): void {
    this.entries.push(JSON.parse(JSON.stringify(entry)));
  }
  readonly read = async function* (this: MemoryLog) {
    yield* this.entries;
  }.bind(this);
}

async function documentOf(log: MemoryLog) {
  let text = "";
  for await (const piece of trajectoryDocument(log.read)) text += piece;
  return JSON.parse(text);
}

function recorder(log: MemoryLog): TrajectoryRecorder {
  return new TrajectoryRecorder({ log, redactor: new Redactor(["hunter2-secret"]), now: () => 1_800_000_000_500 });
}

Deno.test("the document has the format's parts in their places", async () => {
  const log = new MemoryLog();
  log.append({ kind: "run", info: { mini_version: "1.2.3", config: { agent: { step_limit: 3 } } } });
  const record = recorder(log);
  record.record({ role: "system", content: "two\nlines" });
  record.record({ role: "assistant", content: "", extra: { cost: 0.5 } });
  record.end({ exitStatus: "Submitted", result: "done", submission: "done", cost: 0.5, calls: 1 });
  deepEqual(await documentOf(log), {
    info: {
      mini_version: "1.2.3",
      config: { agent: { step_limit: 3 } },
      model_stats: { instance_cost: 0.5, api_calls: 1 },
      exit_status: "Submitted",
      submission: "done",
    },
    messages: [
      { role: "system", content: "two\nlines", extra: { timestamp: 1_800_000_000.5 } },
      { role: "assistant", content: "", extra: { cost: 0.5, timestamp: 1_800_000_000.5 } },
      {
        role: "exit",
        content: "done",
        extra: { exit_status: "Submitted", submission: "done", timestamp: 1_800_000_000.5 },
      },
    ],
    trajectory_format: "mini-swe-agent-1.1",
  });
});

Deno.test("a log without an end is a killed run, with the calls and the cost that it shows", async () => {
  const log = new MemoryLog();
  log.append({ kind: "run", info: {} });
  const record = recorder(log);
  record.record({ role: "assistant", content: "", extra: { cost: 0.25 } });
  record.record({ role: "assistant", content: "", extra: { cost: 0.5 } });
  const { info } = await documentOf(log);
  deepEqual(info, { model_stats: { instance_cost: 0.75, api_calls: 2 }, exit_status: "Killed", submission: "" });
  record.record({ role: "assistant", content: "", extra: { cost: null } });
  equal((await documentOf(log)).info.model_stats.instance_cost, null);
});

Deno.test("the last message of a run without a submission says why there is none", async () => {
  const log = new MemoryLog();
  log.append({ kind: "run", info: {} });
  const result = "The limit of 3 steps is reached";
  recorder(log).end({ exitStatus: "LimitsExceeded", result, submission: "", cost: 0, calls: 3 });
  deepEqual((await documentOf(log)).messages, [{
    role: "exit",
    content: result,
    extra: { exit_status: "LimitsExceeded", submission: "", timestamp: 1_800_000_000.5 },
  }]);
});

Deno.test("secrets do not reach the log, wherever they stand", async () => {
  const log = new MemoryLog();
  log.append({ kind: "run", info: {} });
  const record = recorder(log);
  record.record({ role: "user", content: "it is hunter2-secret", extra: { deep: [{ x: "hunter2-secret" }] } });
  record.end({ exitStatus: "x", result: "hunter2-secret", submission: "hunter2-secret", cost: 0, calls: 0 });
  ok(!JSON.stringify(await documentOf(log)).includes("hunter2"));
});
