/** Whether a session runs, has ended, or was cut off, and how it is gone on with. */
import type { SessionStatus } from "../../events/session_events.ts";
import type { SessionState } from "../../orchestrate/session.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { OrchestrateFlags } from "./saved_options.ts";
import { supervisorOf } from "./session_folder.ts";

export interface SessionStanding {
  /** `cut_off`: its log has no end, and the process that wrote it is dead. */
  readonly status: SessionStatus | "cut_off";
  /** Who supervises it; undefined: nobody. */
  readonly pid: number | undefined;
  /** Whether `--resume` would go on with it. */
  readonly canResume: boolean;
}

export function standingOf(folder: string, state: SessionState): SessionStanding {
  const pid = supervisorOf(folder);
  const status = pid === undefined && state.finish === null ? "cut_off" : state.status;
  return { status, pid, canResume: pid === undefined && status !== "done" };
}

/** As people read it. */
export function statusText(status: string): string {
  return status.replaceAll("_", " ");
}

/** What tells commands where sessions are. */
export type PlaceFlags = Pick<OrchestrateFlags, "workspace" | "target" | "config">;

/**
 * A command line about a session that can be pasted.
 *
 * @param words such as `--resume orch_20251121_175811`
 * @param options.flags as they were given: without any, no further ones are needed to find the session
 */
export function commandLine(words: string, { workspace, flags }: {
  readonly workspace: string;
  readonly flags: PlaceFlags;
}): string {
  const isNamed = flags.workspace !== undefined || flags.target !== undefined || flags.config !== undefined;
  return `gocore orchestrate ${words}${isNamed ? ` --workspace ${shellWord(workspace)}` : ""}`;
}
