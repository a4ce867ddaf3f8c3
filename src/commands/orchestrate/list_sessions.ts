/** `gocore orchestrate list`: the sessions of a workspace, the newest first. */
import { join } from "node:path";
import { Failure } from "../../failure.ts";
import { costOf } from "../../orchestrate/session.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { readWorkspace } from "./read_options.ts";
import { listSessions, readSession } from "./session_folder.ts";
import { commandLine, type PlaceFlags, standingOf, statusText } from "./session_standing.ts";
import { ageText, textTable, usdText } from "./text_table.ts";

export interface ListFlags extends PlaceFlags {
  readonly json?: true;
}

/** What `--json` prints of each. */
interface SessionRow {
  readonly session: string;
  readonly status: string;
  readonly tier: number | null;
  readonly started_at: string | null;
  readonly last_event_at: string | null;
  readonly cost_usd: number | null;
  readonly task: string | null;
  /** Of the process that supervises it; null: nobody does. */
  readonly pid: number | null;
  readonly folder: string;
}

const MAX_TASK = 60;

export async function runList(flags: ListFlags, io: Io): Promise<number> {
  const workspace = await readWorkspace({ env: io.env, cwd: io.cwd, flags });
  const rows: SessionRow[] = [];
  for (const session of (await listSessions(workspace)).reverse()) rows.push(await rowOf(session, workspace));
  if (flags.json) {
    await io.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  if (rows.length > 0) await io.stdout.write(escapeTerminal(tableOf(rows, io.now())));
  else await io.stderr.write(escapeTerminal(`There is no session in "${workspace}"\n`));
  if (rows.some(({ status }) => status === "cut_off")) {
    const command = commandLine("--resume SESSION", { workspace, flags });
    await io.stderr.write(escapeTerminal(`Go on with one that was cut off: ${command}\n`));
  }
  return 0;
}

async function rowOf(session: string, workspace: string): Promise<SessionRow> {
  const folder = join(workspace, session);
  const unknown = { tier: null, started_at: null, last_event_at: null, cost_usd: null, task: null, pid: null };
  try {
    const { state } = await readSession(folder);
    const { status, pid } = standingOf(folder, state);
    return {
      session,
      status,
      tier: state.preflight?.tier ?? null,
      started_at: state.startedAt || null,
      last_event_at: state.lastEventAt || null,
      cost_usd: costOf(state),
      task: state.start?.task ?? null,
      pid: pid ?? null,
      folder,
    };
  } catch (error) {
    // One that cannot be read does not hide the others.
    if (error instanceof Failure) return { session, status: "unreadable", ...unknown, folder };
    throw error;
  }
}

function tableOf(rows: readonly SessionRow[], nowMs: number): string {
  const cells = rows.map(({ session, status, tier, started_at, cost_usd, task }) => [
    session,
    statusText(status),
    tier === null ? "-" : String(tier),
    started_at === null ? "-" : ageText(nowMs - Date.parse(started_at)),
    usdText(cost_usd),
    oneLine(task ?? "-", MAX_TASK),
  ]);
  return textTable([["session", "status", "tier", "age", "USD", "task"], ...cells]).join("\n") + "\n";
}
