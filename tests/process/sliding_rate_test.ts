import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { SlidingRate } from "../../src/process/sliding_rate.ts";

const WINDOW_MS = 1000;
const steps = fc.array(
  fc.record({ waitMs: fc.integer({ min: 1, max: 1500 }), growth: fc.nat(10_000) }),
  { minLength: 1, maxLength: 100 },
);

Deno.test("SlidingRate knows no rate before a whole window has gone by", () => {
  const rate = new SlidingRate(WINDOW_MS);
  equal(rate.push(5000, 0), undefined);
  equal(rate.push(5999, 1e9), undefined);
  equal(rate.push(6000, 2e9), 2e6);
});

Deno.test("SlidingRate gives the growth since the last sample that is a window old", () => {
  fc.assert(fc.property(steps, (steps) => {
    const rate = new SlidingRate(WINDOW_MS);
    const past: { atMs: number; total: number }[] = [];
    let atMs = 0;
    let total = 0;
    for (const { waitMs, growth } of steps) {
      atMs += waitMs;
      total += growth;
      past.push({ atMs, total });
      const first = past.findLast((sample) => atMs - sample.atMs >= WINDOW_MS);
      equal(rate.push(atMs, total), first && (total - first.total) / (atMs - first.atMs));
    }
  }));
});

Deno.test("SlidingRate forgets a burst that is more than two windows old", () => {
  const rate = new SlidingRate(WINDOW_MS);
  rate.push(0, 0);
  ok(rate.push(1000, 1e9)! > 0);
  rate.push(2000, 1e9);
  equal(rate.push(3000, 1e9), 0);
});
