/**
 * Carries out a run that does nothing but write its log: `deno run -A write_events.ts KIND FOLDER COUNT RATE BYTES`, with
 * the rate in events per second and the length of each event's text in bytes. It writes on where the log ends, in pieces
 * that do not end where lines do, and goes when its stdin is closed.
 */
import { join } from "node:path";
import { LOG_NAME as SESSION_LOG } from "../../src/commands/orchestrate/session_folder.ts";
import { LOG_NAME as RUN_LOG } from "../../src/commands/manager/run_folder.ts";
import { PROCESS_JSON, STREAM_JSONL } from "../../src/commands/serve/entries/mini_entry.ts";
import type { EventFact } from "../../src/events/event.ts";
import { encodeJsonLine } from "../../src/events/json_lines.ts";
import type { RunKind } from "../../src/http/schemas.ts";
import { readProcess } from "../../src/process/process_tree.ts";
import { claimLock } from "../../src/store/owner_lock.ts";

const TICK_MS = 5;
const PIECE_BYTES = 10_007;

const LOGS: Readonly<Record<RunKind, string>> = { session: SESSION_LOG, manager: RUN_LOG, mini: STREAM_JSONL };
const LOCKS = { session: "session.lock", manager: "run.lock" } as const;

/** Of a log with so many lines. */
export function logOf(kind: RunKind, folder: string): string {
  return join(folder, LOGS[kind]);
}

function openings(kind: RunKind, folder: string): EventFact[] {
  const launched: EventFact = {
    type: "worker.launched",
    data: {
      worker: "w1",
      agent: "codex",
      task: null,
      review: null,
      attempt: 1,
      backend: "process",
      argv: ["codex"],
      workdir: folder,
      cwd: folder,
      branch: null,
      stream: join(folder, "w1.log"),
      stream_offset: 0,
      key_id: null,
      resumes: null,
      mark: "none",
    },
  };
  const common = { folder, version: "0.1.0", pid: Deno.pid };
  if (kind === "session") {
    const task = "Write many events";
    const data = { session_id: "s", task, target: folder, base_commit: null, branch: null, shared: false, ...common };
    return [{ type: "session.started", data: { ...data, budget_usd: null } }, launched];
  }
  if (kind === "manager") {
    const data = { run_id: "r", issue: "issue.md", repo_path: folder, commit: "c0ffee", agent: "codex", workers: 1 };
    return [{ type: "run.started", data: { ...data, ...common } }, launched];
  }
  return [];
}

function eventOf(kind: RunKind, number: number, text: string): EventFact {
  if (kind === "mini") return { type: "log", data: { level: "info", content: `${number} ${text}` } };
  const payload = { text: `${number} ${text}`, data: {} };
  const event = { type: "status" as const, agent: "codex", timestamp: new Date().toISOString(), payload };
  return { type: "worker.event", data: { worker: "w1", offset: number, event } };
}

async function main([name, folder, ...figures]: string[]): Promise<void> {
  const kind = name as RunKind;
  const [count, rate, bytes] = figures.map(Number) as [number, number, number];
  await Deno.mkdir(folder!, { recursive: true });
  if (kind === "mini") {
    const start_ticks = readProcess(Deno.pid)!.startTicks;
    const process = { pid: Deno.pid, start_ticks, workdir: folder, task: "Write", model: "m" };
    await Deno.writeTextFile(
      join(folder!, PROCESS_JSON),
      JSON.stringify({ ...process, started_at: new Date().toISOString() }),
    );
  } else if (claimLock(join(folder!, LOCKS[kind])).kind !== "held") throw new Error("Somebody else carries it out");
  const path = logOf(kind, folder!);
  const former = await Deno.readTextFile(path).catch(() => "");
  let seq = former.split("\n").length - 1;
  const line = (fact: EventFact) => {
    const time = new Date().toISOString();
    return encodeJsonLine(kind === "mini" ? { ...fact, timestamp: time } : { seq: seq++, time, ...fact });
  };
  using file = await Deno.open(path, { append: true, create: true });
  let waiting = new TextEncoder().encode(former === "" ? openings(kind, folder!).map(line).join("") : "");
  const text = "x".repeat(bytes);
  const startMs = performance.now();
  for (let written = 0; written < count || waiting.length > 0;) {
    const due = Math.min(Math.ceil((performance.now() - startMs) / 1000 * rate), count);
    let lines = "";
    for (; written < due; written++) lines += line(eventOf(kind, written, text));
    const added = new TextEncoder().encode(lines);
    const all = new Uint8Array(waiting.length + added.length);
    all.set(waiting);
    all.set(added, waiting.length);
    // What is left waits for the next time, in the midst of a line.
    const length = written < count ? Math.floor(all.length / PIECE_BYTES) * PIECE_BYTES : all.length;
    for (let at = 0; at < length;) at += file.writeSync(all.subarray(at, length));
    waiting = all.slice(length);
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  for await (const _ of Deno.stdin.readable) { /* Until it is closed. */ }
}

if (import.meta.main) await main(Deno.args);
