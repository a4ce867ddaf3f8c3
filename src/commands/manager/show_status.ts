/** `gocore status`: how a run stands, for people or as JSON. */
import { MANAGER } from "../../manager/artifacts.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { textTable } from "../orchestrate/text_table.ts";
import { commandLine, findRun, type RunFlags } from "./control_commands.ts";
import { runStatus, type RunStatusReport } from "./run_status.ts";
import { lastLines } from "./worker_views.ts";

export interface StatusFlags extends RunFlags {
  /** Of what each does, at its end; default: 120 of its stream as JSON, none for people. */
  readonly lines?: number;
  readonly json?: true;
}

const JSON_LINES = 120;
const MAX_REASON = 80;

export async function showStatus(flags: StatusFlags, io: Io): Promise<number> {
  const folder = await findRun(flags, io);
  const { lines = flags.json ? JSON_LINES : 0 } = flags;
  const report = await runStatus(folder, { lines: flags.json ? lines : 0, env: io.env });
  if (flags.json) {
    await io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return 0;
  }
  const last = lines === 0 ? undefined : await lastLines(folder, lines);
  const said = [MANAGER, ...report.workers.map(({ worker_id }) => worker_id)].flatMap((name) => {
    const lines = last?.get(name) ?? [];
    return lines.length === 0 ? [] : [`== ${name}`, ...lines, ""];
  });
  await io.stdout.write(escapeTerminal([statusText(report, flags), ...said].join("\n")));
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
  return parts.join("\n");
}
