/** Sessions on disk that nobody has run, and what a command is given and writes. */
import { join } from "node:path";
import type { EventFact } from "../../../src/events/event.ts";
import { encodeJsonLine } from "../../../src/events/json_lines.ts";
import { type Io, OutputPipe } from "../../../src/terminal/io.ts";

/** 2025-11-21T17:58:11Z. */
export const START_MS = Date.UTC(2025, 10, 21, 17, 58, 11);
export const MINUTE = 60_000;

/** Writes the log of a session, a minute between its events; returns its folder. */
export async function writeSession(workspace: string, id: string, facts: readonly EventFact[]): Promise<string> {
  const folder = join(workspace, id);
  await Deno.mkdir(folder, { recursive: true });
  const lines = facts.map(({ type, data }, seq) =>
    encodeJsonLine({ seq, time: new Date(START_MS + seq * MINUTE).toISOString(), type, data })
  );
  await Deno.writeTextFile(join(folder, "events.jsonl"), lines.join(""));
  return folder;
}

export const started = (more: { task?: string; folder?: string; budget_usd?: number } = {}): EventFact => ({
  type: "session.started",
  data: {
    session_id: "orch_1",
    task: "Add a flag",
    target: "/project",
    folder: "/project/.gocore/workspace/orch_1",
    version: "0.1.0",
    pid: 1,
    base_commit: "c0ffee",
    branch: "main",
    shared: false,
    budget_usd: null,
    ...more,
  },
});

export const status = (name: "running" | "paused" | "needs_input", reason = ""): EventFact => ({
  type: "session.status",
  data: { status: name, reason },
});

export const launched = (worker: string, more: { task?: string; review?: string } = {}): EventFact => ({
  type: "worker.launched",
  data: {
    worker,
    agent: "claude",
    task: more.review === undefined ? more.task ?? "implementation" : null,
    review: more.review ?? null,
    attempt: 1,
    backend: "process",
    argv: ["claude"],
    workdir: "/project",
    cwd: "/project",
    branch: null,
    stream: "/project/claude.jsonl",
    stream_offset: 0,
    key_id: null,
    resumes: null,
    mark: "mark",
  },
});

export const asked = (question: string, text: string): EventFact => ({
  type: "question.asked",
  data: { question, text, worker: null, task: null, decision: null },
});

export const finished = (name: "done" | "needs_input" | "failed", open: string[] = []): EventFact => ({
  type: "session.finished",
  data: {
    status: name,
    exit_code: name === "done" ? 0 : 1,
    summary: `it is ${name}`,
    result_branch: "gocore/orch_1/result",
    result_commit: "badcafe",
    applied: name === "done",
    report: "/project/final.md",
    cost_usd: 0.25,
    duration_seconds: 60,
    open,
  },
});

export interface Told {
  readonly io: Io;
  stdout(): string;
  stderr(): string;
}

export function fakeIo(
  cwd: string,
  { env = {}, nowMs = START_MS, signal = new AbortController().signal }: {
    env?: Readonly<Record<string, string>>;
    nowMs?: number;
    signal?: AbortSignal;
  } = {},
): Told {
  const texts = { stdout: "", stderr: "" };
  const pipe = (name: keyof typeof texts) => {
    const decoder = new TextDecoder();
    return new OutputPipe(name, {
      write(bytes) {
        texts[name] += decoder.decode(bytes, { stream: true });
        return Promise.resolve(bytes.length);
      },
    });
  };
  const io: Io = {
    env,
    cwd,
    stdout: pipe("stdout"),
    stderr: pipe("stderr"),
    signal,
    abort() {},
    onHardExit() {},
    now: () => nowMs,
    monotonicMs: () => 0,
  };
  return { io, stdout: () => texts.stdout, stderr: () => texts.stderr };
}
