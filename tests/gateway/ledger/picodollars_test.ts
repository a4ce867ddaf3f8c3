import { strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { toCap, toPicodollars, toReservation, toUsd } from "../../../src/gateway/ledger/picodollars.ts";

Deno.test("costs are rounded to the nearest picodollar, reservations up", () => {
  equal(toPicodollars(0), 0);
  equal(toPicodollars(0.1), 100_000_000_000);
  equal(toPicodollars(3e-7), 300_000);
  equal(toPicodollars(1.4e-12), 1);
  equal(toPicodollars(1e-13), 0);
  equal(toReservation(1e-13), 1);
  equal(toReservation(1.4e-12), 2);
  equal(toReservation(0.000_001), 1_000_000);
  equal(toCap(2.3), 2_300_000_000_000n);
});

Deno.test("an absurd amount counts as the largest that a call can have; a cap may be larger", () => {
  equal(toPicodollars(1e300), Number.MAX_SAFE_INTEGER);
  equal(toReservation(Infinity), Number.MAX_SAFE_INTEGER);
  equal(toCap(50_000), 50_000_000_000_000_000n);
  equal(toCap(Infinity), 9_000_000_000_000_000_000n);
});

Deno.test("what is no amount is a caller's mistake", () => {
  for (const convert of [toPicodollars, toReservation, toCap]) {
    for (const amount of [-1, -1e-300, NaN, -Infinity]) throws(() => convert(amount), RangeError);
  }
});

Deno.test("USD are the nearest number to the exact sum, beyond 2^53 too", () => {
  equal(toUsd(300_000), 3e-7);
  equal(toUsd(0), 0);
  equal(toUsd(0n), 0);
  equal(toUsd(-1n), -1e-12);
  equal(toUsd(9_007_199_254_740_993n), 9007.199254740993);
  equal(toUsd(123_456_789_012_345_678n), 123456.789012345678);
});

Deno.test("a reservation is never less than the cost of the same amount, and whole picodollars survive", () => {
  fc.assert(fc.property(fc.double({ min: 0, max: 1e5, noNaN: true }), (usd) => {
    if (toReservation(usd) < toPicodollars(usd)) throw new Error("less");
  }));
  fc.assert(fc.property(fc.nat({ max: 2 ** 50 }), (amount) => toPicodollars(toUsd(amount)) === amount));
});
