/** `gocore status`: how a run stands, for people or as JSON. */
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { textTable } from "../orchestrate/text_table.ts";
import { commandLine, findRun, type RunFlags } from "./control_commands.ts";
import { runStatus, type RunStatusReport } from "./run_status.ts";

export interface StatusFlags extends RunFlags {
  /** Of the end of each stream; default: 120 as JSON, none for people. */
  readonly lines?: number;
  readonly json?: true;
}

const JSON_LINES = 120;
const MAX_REASON = 80;

export async function showStatus(flags: StatusFlags, io: Io): Promise<number> {
  const folder = await findRun(flags, io);
  const lines = flags.lines ?? (flags.json ? JSON_LINES : 0);
  const report = await runStatus(folder, { lines, env: io.env });
  await io.stdout.write(
    flags.json ? `${JSON.stringify(report, null, 2)}\n` : escapeTerminal(statusText(report, flags)),
  );
  return 0;
}

function statusText(report: RunStatusReport, flags: RunFlags): string {
  const { run_id, run_state, manager, workers, decision } = report;
  const phase = manager.phase === null ? "" : `, ${manager.phase}`;
  const by = manager.pid === null ? "" : ` (process ${manager.pid})`;
  const parts = [
    `${run_id}: ${run_state.replaceAll("_", " ")}${phase}${by}`,
    `issue: ${oneLine(manager.issue_url, 200)}`,
    ...(manager.session_exists
      ? [`watch it: ${commandLine(`attach --run-id ${run_id} --worker manager`, flags)}`]
      : []),
    ...(typeof decision.rationale === "string" && decision.rationale !== ""
      ? [`rationale: ${oneLine(decision.rationale, 500)}`]
      : []),
    ...(run_state === "cut_off" ? [`go on with it: ${commandLine(`manager --resume ${run_id}`, flags)}`] : []),
    "",
  ];
  if (workers.length > 0) {
    const rows = workers.map(({ worker_id, role, agent, status, session_exists, session_name, reason }) => [
      worker_id,
      role,
      agent ?? "-",
      status,
      session_exists ? session_name : "-",
      oneLine(reason, MAX_REASON),
    ]);
    parts.push(...textTable([["worker", "role", "agent", "status", "tmux session", "reason"], ...rows]), "");
  }
  const tails = [
    { name: "manager", tail: manager.pane_tail },
    ...workers.map(({ worker_id, pane_tail }) => ({
      name: worker_id,
      tail: pane_tail,
    })),
  ];
  for (const { name, tail } of tails) if (tail !== "") parts.push(`== ${name}`, tail, "");
  return parts.join("\n");
}
