import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { type ListFlags, runList } from "../../../src/commands/orchestrate/list_sessions.ts";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { fakeIo, finished, MINUTE, START_MS, started, status, writeSession } from "./sessions.ts";

async function list(cwd: string, flags: ListFlags = {}) {
  const { io, stdout, stderr } = fakeIo(cwd, { nowMs: START_MS + 200 * MINUTE });
  const code = await runList(flags, io);
  return { code, stdout: stdout().replaceAll(cwd, "{cwd}"), stderr: stderr().replaceAll(cwd, "{cwd}") };
}

const tier: EventFact = {
  type: "preflight.checked",
  data: { agents: [], tier: 2, tier_name: "acceptable", reason: "" },
};
const spent = (usd: number, unknown = 0): EventFact => ({
  type: "spending.counted",
  data: { worker: "claude", known_usd: usd, unknown_calls: unknown, calls: 1, input_tokens: 1, output_tokens: 1 },
});

Deno.test("a workspace without sessions is told, and is an empty list for programs", async () => {
  await inTempDir(async (cwd) => {
    deepEqual(await list(cwd), { code: 0, stdout: "", stderr: 'There is no session in "{cwd}/.gocore/workspace"\n' });
    deepEqual(await list(cwd, { json: true }), { code: 0, stdout: "[]\n", stderr: "" });
  });
});

Deno.test("sessions are listed, the newest first; only one whose supervisor lives is running", async () => {
  await inTempDir(async (cwd) => {
    const workspace = `${cwd}/w`;
    await writeSession(workspace, "orch_1", [started(), tier, spent(0.5), finished("done")]);
    await writeSession(workspace, "orch_2", [
      started({ task: "Port\nthe \x1b[2Jparser" }),
      status("running"),
      spent(0, 1),
    ]);
    const live = await writeSession(workspace, "orch_3", [started({ task: "x".repeat(100) }), status("running")]);
    await writeSession(workspace, "orch_4", []);
    await Deno.mkdir(`${workspace}/no-session`);
    await Deno.writeTextFile(`${workspace}/orch_2/events.jsonl`, 'garbage\n{"torn":', { append: true });
    using _ = await SessionLog.open(live, { redactor: new Redactor(), now: () => 0, onFailure() {} });
    deepEqual(await list(cwd, { workspace: "w" }), {
      code: 0,
      stdout: [
        "session  status   tier  age  USD     task",
        "orch_4   cut off  -     -    0.0000  -",
        `orch_3   running  -     3h   0.0000  ${"x".repeat(59)}…`,
        "orch_2   cut off  -     3h   ?       Port the \\x1b[2Jparser",
        "orch_1   done     2     3h   0.5000  Add a flag",
        "",
      ].join("\n"),
      stderr: "Go on with one that was cut off: gocore orchestrate --resume SESSION --workspace {cwd}/w\n",
    });
    const [, third, second] = JSON.parse((await list(cwd, { workspace: "w", json: true })).stdout);
    deepEqual(third, {
      session: "orch_3",
      status: "running",
      tier: null,
      started_at: "2025-11-21T17:58:11.000Z",
      last_event_at: "2025-11-21T17:59:11.000Z",
      cost_usd: 0,
      task: "x".repeat(100),
      pid: Deno.pid,
      folder: "{cwd}/w/orch_3",
    });
    deepEqual([second.status, second.cost_usd, second.pid], ["cut_off", null, null]);
  });
});

Deno.test("a log without a single event does not hide the other sessions", async () => {
  await inTempDir(async (cwd) => {
    const workspace = `${cwd}/.gocore/workspace`;
    const folder = await writeSession(workspace, "orch_1", []);
    await Deno.writeTextFile(`${folder}/events.jsonl`, `${"x".repeat(200_000)}\n[]\nnull\n{"seq":"one"}`);
    await writeSession(workspace, "orch_2", [started(), finished("failed")]);
    const rows = JSON.parse((await list(cwd, { json: true })).stdout);
    deepEqual(rows.map(({ session, status }: { session: string; status: string }) => [session, status]), [
      ["orch_2", "failed"],
      ["orch_1", "cut_off"],
    ]);
    equal(rows[1].task, null);
  });
});
