/** Recorded runs of the real agents, read again by their adapters. */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { AgentEvent } from "../../src/events/session_events.ts";
import type { AgentAdapter, StreamResult } from "../../src/workers/adapter.ts";
import type { Usage } from "../../src/models/usage.ts";
import { namesIn } from "../support/temp_dir.ts";

interface Capture {
  readonly argv: readonly string[];
  /** Below 0: minus the number of the signal; null: it had to be killed. */
  readonly exit_code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Read {
  readonly capture: Capture;
  readonly events: readonly AgentEvent[];
  readonly result: StreamResult;
}

const folderOf = (agent: string) => fileURLToPath(new URL(`captures/${agent}/`, import.meta.url));

export const capturesOf = (agent: string) => namesIn(folderOf(agent)).map((name) => name.replace(/\.json$/, ""));

export function readCapture(adapter: AgentAdapter, name: string, options: { usedBefore?: Usage } = {}): Read {
  const capture: Capture = JSON.parse(Deno.readTextFileSync(join(folderOf(adapter.name), `${name}.json`)));
  const { stdout, stderr, exit_code: code } = capture;
  const resumed = capture.argv.includes("resume") || capture.argv.includes("--resume");
  const stream = adapter.openStream({ agent: "me", now: () => 0, resumed, ...options });
  const events = [
    ...stdout.split("\n").flatMap((line) => stream.read(line)),
    ...stderr.split("\n").flatMap((line) => stream.readStderr?.(line) ?? []),
  ];
  const signal = code === null ? "SIGKILL" : code < 0 ? "SIGTERM" : null;
  const result = stream.result({ exitCode: signal === null ? code : null, signal, stderr });
  return { capture, events, result };
}
