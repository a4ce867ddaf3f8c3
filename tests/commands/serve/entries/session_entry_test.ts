import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { SessionReader } from "../../../../src/commands/serve/entries/session_entry.ts";
import { SessionLog } from "../../../../src/commands/orchestrate/session_folder.ts";
import type { EventFact } from "../../../../src/events/event.ts";
import type { SessionStatus, TaskStatus } from "../../../../src/events/session_events.ts";
import { entry as entrySchema } from "../../../../src/http/schemas.ts";
import { Redactor } from "../../../../src/safety/secrets.ts";
import { inTempDir } from "../../../support/temp_dir.ts";
import * as session from "../../orchestrate/sessions.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const quiet = { redactor: new Redactor(), now: () => NOW_MS, onFailure: (error: unknown) => ok(false, String(error)) };

const ended = (status: SessionStatus): EventFact => ({
  type: "session.finished",
  data: {
    status,
    exit_code: 1,
    summary: `it is ${status}`,
    result_branch: null,
    result_commit: null,
    applied: false,
    report: null,
    cost_usd: null,
    duration_seconds: 1,
    open: [],
  },
});

/** Of a session that nobody supervises, and that `supervise` supervises. */
async function sessionEntry(facts: readonly EventFact[], { supervised = false } = {}) {
  let found;
  await inTempDir(async (dir) => {
    const folder = await session.writeSession(dir, "orch_1", facts);
    using _ = supervised ? await SessionLog.open(folder, quiet) : undefined;
    found = await new SessionReader(folder).read(NOW_MS);
  });
  return entrySchema.parse((found as unknown as Awaited<ReturnType<SessionReader["read"]>>)!.entry);
}

const looks = ({ attention }: { attention: readonly { kind: string; text: string; worker: string | null }[] }) =>
  attention.map(({ kind, text, worker }) => [kind, text, worker]);

Deno.test("a session needs somebody for open questions, stalls, and ends that are none", async () => {
  const liveness = (worker: string, verdict: "working" | "stalled" | "dead"): EventFact => ({
    type: "worker.liveness",
    data: { worker, verdict, proof: "9 minutes of nothing", idle_seconds: 540 },
  });
  const goingOn = [
    session.started(),
    session.launched("claude"),
    session.launched("codex"),
    session.launched("gemini"),
    liveness("claude", "stalled"),
    liveness("codex", "dead"),
    liveness("gemini", "working"),
    session.asked("q1", "Which\none?"),
    session.asked("q2", "And then?"),
    { type: "question.answered", data: { question: "q2", answer: "so", by: "me" } } as const,
  ];
  deepEqual(looks(await sessionEntry(goingOn, { supervised: true })), [
    ["needs_answer", "Which one?", null],
    ["stalled", "claude is stalled: 9 minutes of nothing", "claude"],
    ["stalled", "codex is dead: 9 minutes of nothing", "codex"],
  ]);
  const cutOff = await sessionEntry(goingOn);
  deepEqual([cutOff.status, cutOff.running, looks(cutOff).map(([kind]) => kind)], ["cut_off", false, ["cut_off"]]);
  const ends = [];
  for (const status of ["done", "stopped", "interrupted", "failed", "escalated", "budget", "needs_input"] as const) {
    ends.push([status, looks(await sessionEntry([...goingOn, ended(status)]))]);
  }
  deepEqual(ends, [
    ["done", []],
    ["stopped", []],
    ["interrupted", []],
    ["failed", [["failed", "it is failed", null]]],
    ["escalated", [["blocked", "it is escalated", null]]],
    ["budget", [["blocked", "it is budget", null]]],
    ["needs_input", [["needs_answer", "Which one?", null]]],
  ]);
});

Deno.test("a session's progress is that of its tasks, by their loads", async () => {
  const assignment = (id: string, load: number) => ({
    id,
    title: id,
    role: "r",
    agent: null,
    prompt: "",
    depends_on: [],
    writes: true,
    load,
  });
  const plan: EventFact = {
    type: "plan.made",
    data: {
      breakdown: {
        task: "t",
        source: "default",
        assignments: [assignment("a", 0.5), assignment("b", 0.3), assignment("c", 0.2)],
      },
      cost_cap_usd: null,
      cost_estimate_usd: null,
      note: "",
    },
  };
  const changed = (task: string, status: TaskStatus, worker: string | null = null): EventFact => ({
    type: "task.changed",
    data: { task, status, worker, agent: null, reason: "", commit: null, attempt: 0, files: [] },
  });
  const progress: EventFact = {
    type: "worker.event",
    data: {
      worker: "claude",
      offset: 1,
      event: { type: "progress", agent: "claude", timestamp: "", payload: { text: "", progress: 50 } },
    },
  };
  const begun = [session.started(), plan, session.launched("claude", { task: "b" }), changed("b", "running", "claude")];
  const of = async (...facts: EventFact[]) => (await sessionEntry([...begun, ...facts])).progress;
  deepEqual([await of(), await of(progress), await of(progress, changed("a", "done"))], [0, 15, 65]);
  deepEqual([await of(changed("a", "done"), changed("b", "skipped"), changed("c", "failed"))], [80]);
  equal((await sessionEntry([session.started()])).progress, null);
});
