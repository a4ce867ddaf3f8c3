import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { ManagerReader } from "../../../../src/commands/serve/entries/manager_entry.ts";
import { openRunLog } from "../../../../src/commands/manager/run_folder.ts";
import type { EventFact } from "../../../../src/events/event.ts";
import { entry as entrySchema } from "../../../../src/http/schemas.ts";
import { Redactor } from "../../../../src/safety/secrets.ts";
import { inTempDir } from "../../../support/temp_dir.ts";
import * as manager from "../../manager/runs.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const quiet = { redactor: new Redactor(), now: () => NOW_MS, onFailure: (error: unknown) => ok(false, String(error)) };

const looks = ({ attention }: { attention: readonly { kind: string; text: string; worker: string | null }[] }) =>
  attention.map(({ kind, text, worker }) => [kind, text, worker]);

async function managerEntry(facts: readonly EventFact[], { supervised = false } = {}) {
  let found;
  await inTempDir(async (dir) => {
    const folder = await manager.writeRun(dir, "r1", facts);
    using _ = supervised ? await openRunLog(folder, quiet) : undefined;
    found = await new ManagerReader(folder).read(NOW_MS);
  });
  return entrySchema.parse((found as unknown as Awaited<ReturnType<ManagerReader["read"]>>)!.entry);
}

Deno.test("a manager run needs somebody when it stalls, asks for a person, fails or is cut off", async () => {
  const nudged = (worker: string, more: Record<string, unknown> = {}): EventFact => ({
    type: "worker.nudged",
    data: { worker, action: "nudged", reason: "silent for 100 s", text: "go on", ...more },
  });
  const spoke = (worker: string): EventFact => ({
    type: "worker.event",
    data: { worker, offset: 1, event: { type: "message", agent: "codex", timestamp: "", payload: { text: "hello" } } },
  });
  const goingOn = [
    manager.started(),
    manager.launched("w1"),
    manager.launched("w2"),
    manager.launched("w3"),
    nudged("w1"),
    nudged("w2"),
    spoke("w2"),
    nudged("w3", { control: "1-aaaaaaaa" }),
    manager.worker("w1", "running"),
  ];
  const running = await managerEntry(goingOn, { supervised: true });
  deepEqual([running.status, running.running], ["running", true]);
  deepEqual(looks(running), [["stalled", "w1 was told to go on: silent for 100 s", "w1"]]);
  deepEqual(looks(await managerEntry([...goingOn, manager.worker("w1", "failed")], { supervised: true })), []);
  const cutOff = await managerEntry(goingOn);
  deepEqual([cutOff.status, looks(cutOff).map(([kind]) => kind)], ["cut_off", ["cut_off"]]);
  const ends = [];
  for (const status of ["ok", "already-fixed", "stopped", "failed", "needs-human"] as const) {
    const end: EventFact = {
      type: "run.finished",
      data: { status, exit_code: 0, rationale: `it is ${status}`, candidate: null, verdict: null, duration_seconds: 1 },
    };
    ends.push([status, looks(await managerEntry([...goingOn, end]))]);
  }
  deepEqual(ends, [
    ["ok", []],
    ["already-fixed", []],
    ["stopped", []],
    ["failed", [["failed", "it is failed", null]]],
    ["needs-human", [["blocked", "it is needs-human", null]]],
  ]);
});

Deno.test("a manager run's progress is that of its phases, its summary the phase that is under way", async () => {
  const phase = (phase: "issue" | "reproduce", status: "started" | "finished" | "skipped", detail = ""): EventFact => ({
    type: "run.phase",
    data: { phase, status, detail },
  });
  const entry = await managerEntry([
    manager.started(),
    phase("issue", "started"),
    phase("issue", "finished"),
    phase("reproduce", "started", "round 1 of 2"),
  ]);
  deepEqual([entry.progress, entry.summary], [11, "reproduce: round 1 of 2"]);
  equal((await managerEntry([manager.started(), manager.finished("ok")])).progress, 100);
});
