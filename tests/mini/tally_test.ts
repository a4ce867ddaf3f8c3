import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { Tally } from "../../src/mini/tally.ts";

const usage = { input: 10, cacheRead: 20, cacheWrite: 30, output: 5, reasoning: 2 };

Deno.test("Tally sums calls, tokens and money, and is as certain as its least certain part", () => {
  const tally = new Tally();
  tally.add({ cost: { usd: 0.5, source: "provider" }, usage });
  tally.add({ cost: { usd: 0.25, source: "list" }, usage });
  deepEqual(tally.costData, {
    total: 0.75,
    calls: 2,
    source: "list",
    known_total: 0.75,
    unpriced_calls: 0,
    input_tokens: 20,
    cache_read_tokens: 40,
    cache_write_tokens: 60,
    output_tokens: 10,
    reasoning_tokens: 4,
  });
});

Deno.test("Tally never calls an unknown price 0: the total is null, the known part still counts", () => {
  const tally = new Tally();
  tally.add({ cost: { usd: 0.5, source: "list" }, usage: undefined });
  tally.add({ cost: { usd: null, source: "unknown" }, usage });
  equal(tally.totalUsd, null);
  equal(tally.knownUsd, 0.5);
  equal(tally.costData.source, "unknown");
  equal(tally.costData.unpriced_calls, 1);
});

Deno.test("Tally of no calls is 0", () => equal(new Tally().totalUsd, 0));

Deno.test("Tally does not know the total when an unanswered attempt may have been charged for", () => {
  const tally = new Tally();
  tally.add({ cost: { usd: 0.5, source: "list" }, usage });
  tally.addUnpricedAttempt();
  deepEqual([tally.totalUsd, tally.knownUsd, tally.calls], [null, 0.5, 1]);
  deepEqual([tally.costData.source, tally.costData.unpriced_calls], ["unknown", 1]);
});
