/** Turns amounts in USD into the whole picodollars that the ledger counts in, and back. */
import { type Picodollars, PICODOLLARS_PER_USD } from "./entry.ts";

/** About 9 000 USD: no call costs as much, and numbers are exact up to here. Larger amounts count as this one. */
const MOST_PER_CALL: Picodollars = Number.MAX_SAFE_INTEGER;
/** The ledger's sums end at 9 223 372 USD (64 bits), so a higher cap is none that could be reached. */
const HIGHEST_CAP_USD = 9_000_000;

/** What a call cost, to the nearest picodollar. Throws a `RangeError` for what is no amount. */
export function toPicodollars(usd: number): Picodollars {
  return Math.min(Math.round(requireAmount(usd) * PICODOLLARS_PER_USD), MOST_PER_CALL);
}

/** What has to be held back for a call, rounded up. Throws a `RangeError` for what is no amount. */
export function toReservation(usd: number): Picodollars {
  return Math.min(Math.ceil(requireAmount(usd) * PICODOLLARS_PER_USD), MOST_PER_CALL);
}

/** Throws a `RangeError` for what is no amount. */
export function toCap(usd: number): bigint {
  return BigInt(Math.round(Math.min(requireAmount(usd), HIGHEST_CAP_USD) * PICODOLLARS_PER_USD));
}

/** The number nearest to the exact amount, also for sums that are larger than a number can hold exactly. */
export function toUsd(amount: Picodollars | bigint): number {
  return Number(`${amount}e-12`);
}

function requireAmount(usd: number): number {
  if (!(usd >= 0)) throw new RangeError(`Need an amount in USD, 0 or more, not ${usd}`);
  return usd;
}
