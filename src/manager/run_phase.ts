/** What the phases of a run share: its ports, its state, and how a phase is told. */
import type { RunPhase } from "../events/manager_events.ts";
import { messageOf } from "../failure.ts";
import type { IssueSpec, RunPorts } from "./ports.ts";
import type { RunState } from "./run_state.ts";

/** A run that is under way. */
export interface Run {
  readonly ports: RunPorts;
  /** What has been published adds up to it, at once. */
  readonly state: RunState;
  /** What candidates are tried on. */
  readonly commit: string;
}

/** One whose issue has been read. */
export interface IssueRun extends Run {
  readonly spec: IssueSpec;
}

export interface PhaseOutcome<T> {
  readonly value: T;
  readonly detail: string;
  readonly status?: "finished" | "skipped" | "failed";
}

/** Tells its beginning and its end; what it throws is told as its failure, and passed on. */
export async function inPhase<T>(
  { ports: { publish } }: Pick<Run, "ports">,
  phase: RunPhase,
  { detail, work }: { readonly detail: string; work(): Promise<PhaseOutcome<T>> },
): Promise<T> {
  await publish({ type: "run.phase", data: { phase, status: "started", detail } });
  try {
    const { value, detail, status = "finished" } = await work();
    await publish({ type: "run.phase", data: { phase, status, detail } });
    return value;
  } catch (error) {
    await publish({ type: "run.phase", data: { phase, status: "failed", detail: messageOf(error) } });
    throw error;
  }
}

/** A phase that is not needed. */
export async function skipPhase({ ports, state }: Run, phase: RunPhase, detail: string): Promise<void> {
  if (state.phases.get(phase)?.status === "skipped") return;
  await ports.publish({ type: "run.phase", data: { phase, status: "skipped", detail } });
}

/** Something that does not end the run. */
export async function warn({ ports }: Pick<Run, "ports">, content: string): Promise<void> {
  await ports.publish({ type: "log", data: { level: "warning", content } });
}

/** A JSON document of the run's folder; undefined: it is not there yet. */
export async function readJson<T>({ ports }: Pick<Run, "ports">, path: string): Promise<T | undefined> {
  const text = await ports.readFile(path);
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text);
    const isEmpty = typeof value !== "object" || value === null || Object.keys(value).length === 0;
    return isEmpty ? undefined : value;
  } catch {
    return undefined;
  }
}

/** How many of something, as text: `1 candidate`, `2 candidates`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
