/** Opens the ledger for the commands beside the gateway. */
import { type Ledger, openLedger } from "../../gateway/ledger/ledger.ts";
import { readLedgerPath } from "../../gateway/read_settings.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";

/**
 * Gives `work` the ledger that `--ledger` names, or that the gateway's own settings do, and closes it. Throws a `Failure`
 * when there is none, unless it is to be made.
 */
export async function withLedger<T>(
  flags: { readonly ledger?: string },
  options: { readonly io: Io; readonly make?: boolean },
  work: (ledger: Ledger) => T,
): Promise<T> {
  const { io, make = false } = options;
  const path = await readLedgerPath({ env: io.env, cwd: io.cwd, flags });
  const onProblem = (problem: string) => void io.stderr.write(escapeTerminal(`Note: ${problem}\n`)).catch(() => {});
  using ledger = openLedger(path, { now: io.now, mustExist: !make, onProblem });
  return work(ledger);
}
