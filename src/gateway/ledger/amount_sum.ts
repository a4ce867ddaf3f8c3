/** Sums of the ledger's amounts in SQL, which may need more than 64 bits: SQLite refuses such a sum. */
import { PICODOLLARS_PER_USD } from "./entry.ts";

/** Two columns, whole dollars and the rest, of which `readAmountSum` makes one; rows without an amount count for nothing. */
export function amountSumColumns(amount: string, condition: string, name: string): string {
  return [["/", "usd"], ["%", "rest"]].map(([operator, part]) =>
    `coalesce(sum((${amount}) ${operator} ${PICODOLLARS_PER_USD}) FILTER (WHERE ${condition}), 0) AS ${name}_${part}`
  ).join(", ");
}

/** Picodollars. The row was read with big integers. */
export function readAmountSum(row: Readonly<Record<string, unknown>>, name: string): bigint {
  return (row[`${name}_usd`] as bigint) * BigInt(PICODOLLARS_PER_USD) + (row[`${name}_rest`] as bigint);
}
