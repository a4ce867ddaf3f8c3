/** `gocore gateway key`: makes, ends and lists virtual keys in the ledger, where gateways look them up for each call. */
import { Failure } from "../../failure.ts";
import { isVirtualKey, type KeyRecord, requireNames } from "../../gateway/ledger/keys.ts";
import type { Ledger } from "../../gateway/ledger/ledger.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { withLedger } from "./with_ledger.ts";

export interface IssueFlags {
  readonly run: string;
  readonly worker: string;
  /** USD. */
  readonly cap?: number;
  /** Milliseconds. */
  readonly lease?: number;
  readonly ledger?: string;
}

/** stdout is the key alone; its id, by which it is ended, goes to stderr. */
export async function issueKey(flags: IssueFlags, io: Io): Promise<number> {
  const { run, worker, cap: capUsd, lease: leaseMs } = flags;
  // The ledger would say so too, but only after it was made.
  requireNames(flags);
  const { id, key } = await withLedger(flags, { io, make: true }, (ledger) => {
    return ledger.issueKey({ run, worker, capUsd, leaseMs });
  });
  await io.stdout.write(`${key}\n`);
  await io.stderr.write(`The key's id is ${id}\n`);
  return 0;
}

export interface EndFlags {
  readonly id?: string;
  readonly run?: string;
  readonly worker?: string;
  readonly ledger?: string;
}

export async function endKeys(flags: EndFlags, io: Io): Promise<number> {
  const end = endingOf(flags);
  const count = await withLedger(flags, { io }, end);
  await io.stderr.write(count === 1 ? "1 key has ended\n" : `${count} keys have ended\n`);
  return 0;
}

/** What ends the keys that are meant, and says how many it were. */
function endingOf({ id, run, worker }: EndFlags): (ledger: Ledger) => number {
  const hints = ["Name its id, as `gocore gateway key list` shows it, or `--run NAME`, alone or with `--worker NAME`"];
  if (id !== undefined && (run !== undefined || worker !== undefined)) {
    throw new Failure("usage", "Which keys? An id and --run or --worker were given together", { hints });
  }
  if (run !== undefined) {
    return (ledger) => worker === undefined ? ledger.endRun(run) : ledger.endWorker(run, worker);
  }
  if (id === undefined) {
    const finding = worker === undefined ? "None was named" : "--worker is no name without --run";
    throw new Failure("usage", `Which keys? ${finding}`, { hints });
  }
  if (isVirtualKey(id)) {
    throw new Failure("usage", "Cannot end a key by the key itself: its id is needed", { hints });
  }
  return (ledger) => {
    if (ledger.endKey(id)) return 1;
    if (!ledger.keys().some((key) => key.id === id)) {
      throw new Failure("usage", `Cannot end the key "${id}": the ledger "${ledger.path}" has none of this id`, {
        hints,
      });
    }
    return 0;
  };
}

export interface ListFlags {
  readonly run?: string;
  readonly json?: true;
  readonly ledger?: string;
}

export async function listKeys(flags: ListFlags, io: Io): Promise<number> {
  const keys = await withLedger(flags, { io }, (ledger) => ledger.keys({ run: flags.run }));
  const text = flags.json ? JSON.stringify(keys.map(toJson), null, 2) : escapeTerminal(tableOf(keys));
  await io.stdout.write(`${text}\n`);
  return 0;
}

function toJson({ id, run, worker, capUsd, state, created, leaseUntil, ended }: KeyRecord) {
  return { id, run, worker, cap_usd: capUsd, state, created_at: created, lease_until: leaseUntil, ended_at: ended };
}

function tableOf(keys: readonly KeyRecord[]): string {
  const rows = [
    ["id", "run", "worker", "cap_usd", "state", "created", "lease until"],
    ...keys.map(({ id, run, worker, capUsd, state, created, leaseUntil }) => {
      const lease = leaseUntil === null ? "-" : toMinute(leaseUntil);
      return [id, run, worker, capUsd === null ? "-" : capUsd.toFixed(6), state, toMinute(created), lease];
    }),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n");
}

/** `2026-11-21T09:30Z` */
function toMinute(date: Date): string {
  return date.toISOString().replace(/:\d\d\.\d{3}/, "");
}
