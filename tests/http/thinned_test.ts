import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { Thinned } from "../../src/http/thinned.ts";

Deno.test("of any number of values at most so many are kept: the first, the newest, and evenly those between", () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 40 }), fc.nat(2000), (max, count) => {
    const thinned = new Thinned<number>(max);
    for (let i = 0; i < count; i++) thinned.add(i);
    const kept = thinned.values();
    ok(kept.length <= max, `${kept.length} of at most ${max}`);
    if (count < max) return deepEqual(kept, Array.from({ length: count }, (_, i) => i));
    deepEqual([kept[0], kept.at(-1)], [0, count - 1]);
    const gaps = kept.slice(1).map((value, i) => value - kept[i]!);
    // But for the newest, which is kept wherever it is.
    ok(new Set(gaps.slice(0, -1)).size <= 1 && gaps.every((gap) => gap > 0 && gap <= gaps[0]!), `${gaps}`);
    ok(max < 4 || kept.length >= max / 2 - 1, `${kept.length} of at most ${max}`);
  }));
});
