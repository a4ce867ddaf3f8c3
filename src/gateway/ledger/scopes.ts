/** The running sums that caps are compared with: per run, worker, key and day; they follow from the calls. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { amountSumColumns, readAmountSum } from "./amount_sum.ts";
import type { BudgetScope, Caller } from "./entry.ts";
import { toUsd } from "./picodollars.ts";

export interface Scope {
  readonly kind: BudgetScope;
  /** The run, `run/worker`, the key's id, or the day. */
  readonly id: string;
}

/** Amounts in picodollars. */
export interface Sums {
  /** What ended calls count for: their cost or, when they may have cost more, what had been held back for them. */
  readonly settled: bigint;
  /** Held back for calls that are under way. It gets smaller again, and so no call is admitted that it cannot hold. */
  readonly reserved: bigint;
  readonly openCalls: bigint;
  /** Ended calls whose cost nobody knows. */
  readonly unknownCalls: bigint;
}

/** What 64 bits hold, 9 223 372 USD: more than any cap, and beyond it a sum of what was spent stands still. */
const HIGHEST_SUM = 2n ** 63n - 1n;

export const NO_SUMS: Sums = { settled: 0n, reserved: 0n, openCalls: 0n, unknownCalls: 0n };

/** Every scope that a call of this day counts in. */
export function scopesOf({ run, worker, keyId }: Caller, day: string): Scope[] {
  const key: Scope[] = keyId === null ? [] : [{ kind: "key", id: keyId }];
  return [{ kind: "run", id: run }, { kind: "worker", id: `${run}/${worker}` }, ...key, { kind: "day", id: day }];
}

const RECOMPUTE = `SELECT run, worker, key_id, day,
  ${amountSumColumns("counted", "ended_ms IS NOT NULL", "settled")},
  ${amountSumColumns("reserved", "ended_ms IS NULL", "reserved")},
  sum(ended_ms IS NULL) AS open_calls,
  sum(ended_ms IS NOT NULL AND cost IS NULL) AS unknown_calls
FROM call GROUP BY run, worker, key_id, day`;

/** Writes nothing by itself: whoever changes a call adds the difference in the same transaction. */
export class ScopeSums {
  readonly #read: StatementSync;
  readonly #readAll: StatementSync;
  readonly #add: StatementSync;
  readonly #recompute: StatementSync;
  readonly #clear: StatementSync;

  constructor(database: DatabaseSync) {
    const columns = "settled, reserved, open_calls, unknown_calls";
    this.#read = database.prepare(`SELECT ${columns} FROM scope WHERE kind = ? AND id = ?`);
    this.#readAll = database.prepare(`SELECT kind, id, ${columns} FROM scope`);
    this.#add = database.prepare(
      `INSERT INTO scope (kind, id, ${columns}) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (kind, id) DO UPDATE SET settled = settled + min(excluded.settled, ${HIGHEST_SUM} - settled),
        reserved = reserved + excluded.reserved, open_calls = open_calls + excluded.open_calls,
        unknown_calls = unknown_calls + excluded.unknown_calls`,
    );
    this.#recompute = database.prepare(RECOMPUTE);
    this.#clear = database.prepare("DELETE FROM scope");
    for (const statement of [this.#read, this.#readAll, this.#recompute]) statement.setReadBigInts(true);
  }

  read({ kind, id }: Scope): Sums {
    const row = this.#read.get(kind, id);
    return row === undefined ? NO_SUMS : sumsIn(row);
  }

  add(scopes: readonly Scope[], { settled, reserved, openCalls, unknownCalls }: Sums): void {
    for (const { kind, id } of scopes) this.#add.run(kind, id, settled, reserved, openCalls, unknownCalls);
  }

  /** One line for each scope whose sums are not those of its calls. Reads every call: about 1 µs each. */
  differences(): string[] {
    const stored = new Map<string, { scope: Scope; sums: Sums }>();
    for (const row of this.#readAll.all()) {
      const scope = { kind: row.kind as BudgetScope, id: row.id as string };
      stored.set(`${scope.kind} ${scope.id}`, { scope, sums: sumsIn(row) });
    }
    const actual = this.#fromCalls();
    return [...new Set([...stored.keys(), ...actual.keys()])].flatMap((name) => {
      const { kind, id } = (stored.get(name) ?? actual.get(name)!).scope;
      const [has, calls] = [stored.get(name)?.sums ?? NO_SUMS, actual.get(name)?.sums ?? NO_SUMS];
      const found = (Object.keys(NO_SUMS) as (keyof Sums)[]).filter((member) => has[member] !== calls[member]);
      const tell = (member: keyof Sums, value: bigint) =>
        member === "settled" || member === "reserved" ? `${toUsd(value)} USD` : String(value);
      const lines = found.map((member) =>
        `${member} ${tell(member, has[member])}, by its calls ${tell(member, calls[member])}`
      );
      return found.length === 0 ? [] : [`${kind} "${id}": ${lines.join("; ")}`];
    });
  }

  /** Makes all sums anew. Needs a transaction around it. */
  rebuild(): void {
    this.#clear.run();
    for (const { scope, sums } of this.#fromCalls().values()) this.add([scope], sums);
  }

  #fromCalls(): Map<string, { scope: Scope; sums: Sums }> {
    const actual = new Map<string, { scope: Scope; sums: Sums }>();
    for (const row of this.#recompute.all()) {
      const caller = { run: row.run as string, worker: row.worker as string, keyId: row.key_id as string | null };
      const more = {
        settled: readAmountSum(row, "settled"),
        reserved: readAmountSum(row, "reserved"),
        openCalls: row.open_calls as bigint,
        unknownCalls: row.unknown_calls as bigint,
      };
      for (const scope of scopesOf(caller, row.day as string)) {
        const name = `${scope.kind} ${scope.id}`;
        const sums = actual.get(name)?.sums ?? NO_SUMS;
        actual.set(name, {
          scope,
          sums: {
            settled: lesser(sums.settled + more.settled, HIGHEST_SUM),
            reserved: sums.reserved + more.reserved,
            openCalls: sums.openCalls + more.openCalls,
            unknownCalls: sums.unknownCalls + more.unknownCalls,
          },
        });
      }
    }
    return actual;
  }
}

function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function sumsIn(row: Record<string, unknown>): Sums {
  return {
    settled: row.settled as bigint,
    reserved: row.reserved as bigint,
    openCalls: row.open_calls as bigint,
    unknownCalls: row.unknown_calls as bigint,
  };
}
