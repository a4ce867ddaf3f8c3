/** `gocore gateway report`: what calls have cost, as a table, JSON or CSV. */
import { Failure } from "../../failure.ts";
import { formatReport, type ReportField } from "../../gateway/ledger/report.ts";
import type { Io } from "../../terminal/io.ts";
import { withLedger } from "./with_ledger.ts";
import { parseMomentMs } from "./time_text.ts";

export interface ReportFlags {
  readonly ledger?: string;
  readonly by?: readonly ReportField[];
  readonly run?: string;
  readonly worker?: string;
  readonly model?: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: true;
  readonly csv?: true;
}

export async function runReport(flags: ReportFlags, io: Io): Promise<number> {
  const { run, worker, model, by = ["run", "worker", "model"] } = flags;
  const nowMs = io.now();
  const since = momentOf("--since", flags.since, { nowMs, endOfDay: false });
  const until = momentOf("--until", flags.until, { nowMs, endOfDay: true });
  const report = await withLedger(flags, { io }, (ledger) => {
    return ledger.report({ by, filters: { run, worker, model, since, until } });
  });
  await io.stdout.write(formatReport(report, flags.json ? "json" : flags.csv ? "csv" : "table"));
  return 0;
}

function momentOf(
  flag: string,
  text: string | undefined,
  options: { nowMs: number; endOfDay: boolean },
): Date | undefined {
  if (text === undefined) return undefined;
  const momentMs = parseMomentMs(text, options);
  if (momentMs !== undefined) return new Date(momentMs);
  throw new Failure("usage", `Cannot use ${flag} "${text}": it is no day, time or duration`, {
    hints: ["Use a day such as `2026-11-21` (UTC), a time such as `2026-11-21T09:30Z`, or how long ago: `7d`, `12h`"],
  });
}
