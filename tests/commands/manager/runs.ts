/** Runs on disk that nobody has carried out, and what a command is given and writes. */
import { join } from "node:path";
import { makeRunFolder } from "../../../src/commands/manager/run_folder.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { encodeJsonLine } from "../../../src/events/json_lines.ts";

export { fakeIo } from "../orchestrate/sessions.ts";

const START_MS = Date.UTC(2026, 1, 5, 12, 30);

/** Writes the folder of a run with this log, a second between its events; returns it. */
export async function writeRun(runsRoot: string, id: string, facts: readonly EventFact[]): Promise<string> {
  const folder = join(runsRoot, id);
  await makeRunFolder(folder);
  const lines = facts.map(({ type, data }, seq) =>
    encodeJsonLine({ seq, time: new Date(START_MS + seq * 1000).toISOString(), type, data })
  );
  await Deno.writeTextFile(join(folder, "events.jsonl"), lines.join(""));
  return folder;
}

export const started = (more: { repo_path?: string; commit?: string; pid?: number } = {}): EventFact => ({
  type: "run.started",
  data: {
    run_id: "r1",
    issue: "https://github.com/o/r/issues/7",
    repo_path: "/project",
    folder: "/runs/r1",
    version: "0.1.0",
    pid: 1,
    commit: "c0ffee",
    agent: "codex",
    workers: 2,
    ...more,
  },
});

export const phase = (name: "reproduce" | "triage", status: "started" | "finished"): EventFact => ({
  type: "run.phase",
  data: { phase: name, status, detail: "" },
});

export const worker = (
  name: string,
  status: "running" | "finished" | "failed" | "timeout" | "stopped",
  { reason = "", role = "REPRO_BUILDER" }: { reason?: string; role?: "REPRO_BUILDER" | "TRIAGER" } = {},
): EventFact => ({ type: "worker.status", data: { worker: name, role, status, reason } });

export const launched = (
  name: string,
  more: { stream?: string; workdir?: string; mark?: string } = {},
): EventFact => ({
  type: "worker.launched",
  data: {
    worker: name,
    agent: "codex",
    task: null,
    review: null,
    attempt: 1,
    backend: "process",
    argv: ["codex"],
    workdir: "/nowhere/w",
    cwd: "/nowhere/w",
    branch: null,
    stream: "/nowhere/s",
    stream_offset: 0,
    key_id: null,
    resumes: null,
    mark: "worker.00000000-0000-4000-8000-000000000000",
    ...more,
  },
});

export const running = (
  name: string,
  { pid, startTicks, startedMs = 0 }: { pid: number; startTicks: number | null; startedMs?: number },
): EventFact => ({
  type: "worker.started",
  data: {
    worker: name,
    attempt: 1,
    pid,
    start_ticks: startTicks,
    started_ms: startedMs,
    sandbox: { enforced: false, detail: "" },
    limits: { enforced_by: "none", detail: "" },
    adopted: false,
    attach: null,
  },
});

export const finished = (status: "ok" | "stopped" | "failed"): EventFact => ({
  type: "run.finished",
  data: {
    status,
    exit_code: status === "ok" ? 0 : 1,
    rationale: `it is ${status}`,
    candidate: null,
    verdict: null,
    duration_seconds: 9,
  },
});
