/**
 * A gateway's process for tests: `CALLERS` callers share one ledger and make calls until the cap of the run is used up.
 *
 * Prints `+ id` for each call that was admitted and `- id` for each whose end is written, as soon as it is. With `hold`
 * its calls never end. Fails when a call cannot be written.
 */
import type { Admission, CallEntry } from "../../../src/gateway/ledger/entry.ts";
import { LedgerLocked, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { amountOf, call, CALLERS, CAP_USD, costOf, end } from "./calls.ts";

const [path, name, mode] = Deno.args as [string, string, string];
const { signal } = new AbortController();
const ledger = openLedger(path, { now: Date.now, caps: { run: CAP_USD } });
const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

/** Undefined: another process writes. */
function reserve(entry: CallEntry): Admission | undefined {
  try {
    return ledger.reserve(entry, amountOf(entry.id));
  } catch (error) {
    if (error instanceof LedgerLocked) return undefined;
    throw error;
  }
}

async function makeCalls(worker: string): Promise<void> {
  for (let i = 0;; i++) {
    const id = `${worker}.${i}`;
    for (;;) {
      const admission = reserve(call(id, { worker }));
      if (admission?.admitted) break;
      if (admission?.refusal.mayFitLater === false) return;
      await ledger.released(signal, 60_000);
    }
    print(`+ ${id}`);
    await new Promise((resolve) => setTimeout(resolve, mode === "hold" ? 1e9 : Math.random() * 3));
    ledger.settle(id, end(costOf(id)));
    if (ledger.pending === 0) print(`- ${id}`);
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, i) => makeCalls(`${name}${i}`)));
ledger.close();
