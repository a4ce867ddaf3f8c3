/** Logs of runs with a few events in them, as their processes would have left them. */
import type { EventFact } from "../../src/events/event.ts";
import { encodeJsonLine } from "../../src/events/json_lines.ts";

export function logEvent(seq: number, fact: EventFact): string {
  return encodeJsonLine({ seq, time: new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString(), ...fact });
}

function launched(worker: string, folder: string): EventFact {
  const agent = "codex";
  const process = {
    backend: "process" as const,
    argv: [agent],
    workdir: folder,
    cwd: folder,
    branch: null,
    mark: "none",
  };
  const stream = { stream: `${folder}/${worker}.log`, stream_offset: 0, key_id: null, resumes: null };
  return {
    type: "worker.launched",
    data: { worker, agent, task: null, review: null, attempt: 1, ...process, ...stream },
  };
}

/** A manager run that was cut off. */
export function managerLog(folder: string): string {
  const about = { run_id: "r", issue: "issue.md", repo_path: folder, folder, version: "0.1.0", pid: 1 };
  const started: EventFact = { type: "run.started", data: { ...about, commit: "c0ffee", agent: "codex", workers: 1 } };
  return logEvent(0, started) + logEvent(1, launched("w1", folder));
}

/** A session that was cut off. */
export function sessionLog(folder: string): string {
  const about = { session_id: "s", task: `Work in ${folder}`, target: folder, folder, version: "0.1.0", pid: 1 };
  const data = { ...about, base_commit: null, branch: null, shared: false, budget_usd: null };
  return logEvent(0, { type: "session.started", data }) + logEvent(1, launched("w1", folder));
}
