/** The list's prices as we take them apart, beside what the list's own calculation says. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { calcPrice, findProvider } from "@pydantic/genai-prices";
import fc from "fast-check";
import { ASSUMED_SEARCH_USD, costOf, loadPriceList, readTokenPrices } from "../../src/models/price.ts";
import { providerTable } from "../../src/models/provider_table.ts";
import type { Usage } from "../../src/models/usage.ts";

const AT = new Date("2026-11-21T12:00:00Z");
const PLAIN = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
const NO_USAGE: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

const PROVIDERS = [...new Set(Object.values(providerTable).flatMap(({ priceId }) => priceId ?? []))];
/** Every listed model whose id finds it. */
const LISTED = PROVIDERS.flatMap((providerId) =>
  findProvider({ providerId })!.models.flatMap(({ id }) => {
    try {
      return calcPrice({}, id, { providerId, timestamp: AT })?.model.id === id ? [{ providerId, id }] : [];
    } catch {
      return [];
    }
  })
);

Deno.test("every listed model costs what the list's own calculation says, whatever its tiers and its time", async () => {
  const list = await loadPriceList();
  const count = fc.nat({ max: 400_000 });
  let priced = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...LISTED),
      fc.tuple(count, count, count, count),
      fc.date({ min: new Date("2024-01-01"), max: new Date("2028-01-01"), noInvalidDate: true }),
      ({ providerId, id }, [input, cacheRead, cacheWrite, output], timestamp) => {
        const listed = list(id, providerId, timestamp);
        if (listed === undefined) return;
        priced++;
        const prices = listed.pricesFor(input + cacheRead + cacheWrite);
        const { usd } = costOf({ ...NO_USAGE, input, cacheRead, cacheWrite, output }, prices, "list");
        const expected = calcPrice(
          {
            input_tokens: input + cacheRead + cacheWrite,
            cache_read_tokens: cacheRead,
            cache_write_tokens: cacheWrite,
            output_tokens: output,
          },
          id,
          { providerId, timestamp },
        )!.total_price;
        ok(Math.abs(usd! - expected) <= 1e-9 * Math.max(1, expected), `${providerId}/${id}: ${usd}, not ${expected}`);
      },
    ),
    { numRuns: 3000 },
  );
  ok(priced > 2000);
});

Deno.test("no listed model is cheaper per token for more input: a bound at the largest size is enough", async () => {
  const list = await loadPriceList();
  const sizes = [1, 32_001, 64_001, 128_001, 200_001, 256_001, 272_001, 512_001, 1_000_001, 2_000_001];
  const parts = ["input", "output", "cacheRead", "cacheWrite", "cacheWrite1h"] as const;
  for (const { providerId, id } of LISTED) {
    const steps = sizes.map((size) => list(id, providerId, AT)?.pricesFor(size));
    for (const [at, prices] of steps.entries()) {
      for (const part of parts) ok((prices?.[part] ?? 0) >= (steps[at - 1]?.[part] ?? 0), `${providerId}/${id}`);
    }
  }
});

Deno.test("the list tells prices for an hour in the cache, searches and context windows", async () => {
  const list = await loadPriceList();
  const sonnet = list("claude-sonnet-4-5-20250929", "anthropic", AT)!;
  equal(sonnet.contextWindow, 200_000);
  deepEqual(sonnet.pricesFor(200_000), {
    input: 3 / 1e6,
    output: 15 / 1e6,
    cacheRead: 0.3 / 1e6,
    cacheWrite: 3.75 / 1e6,
    cacheWrite1h: 6 / 1e6,
    webSearch: 0.01,
    call: undefined,
  });
  deepEqual(sonnet.pricesFor(200_001), {
    input: 6 / 1e6,
    output: 22.5 / 1e6,
    cacheRead: 0.6 / 1e6,
    cacheWrite: 7.5 / 1e6,
    cacheWrite1h: 12 / 1e6,
    webSearch: 0.01,
    call: undefined,
  });
});

Deno.test("where the list leaves out the hour, Claude's costs twice the input, anybody else's what the cache costs", async () => {
  const list = await loadPriceList();
  equal(list("anthropic/claude-sonnet-4", "openrouter", AT)!.pricesFor(1).cacheWrite1h, 6 / 1e6);
  const { cacheWrite, cacheWrite1h } = list("gpt-6-sol", "openai", AT)!.pricesFor(1);
  equal(cacheWrite1h, cacheWrite);
});

Deno.test("a model without prices per token is unknown, a free one costs 0", async () => {
  const list = await loadPriceList();
  // Priced by the hour of audio, or for input alone.
  equal(list("whisper-1", "openai", AT), undefined);
  equal(list("text-embedding-3-small", "openai", AT), undefined);
  equal(list("nobody-knows", "openai", AT), undefined);
  equal(list("gpt-5", "nobody", AT), undefined);
  const free = list("deepseek/deepseek-chat-v3-0324:free", "openrouter", AT)!;
  deepEqual(costOf({ ...NO_USAGE, input: 1000, output: 1000 }, free.pricesFor(1000), "list"), {
    usd: 0,
    source: "list",
  });
});

Deno.test("a user's prices: parts that are missing cost what the input costs, an hour twice that where writing costs extra", () => {
  const rest = { input: 1e-6, output: 2e-6, cacheRead: 1e-6 };
  deepEqual(readTokenPrices(PLAIN), { ...rest, cacheWrite: 1e-6, cacheWrite1h: 1e-6 });
  deepEqual(readTokenPrices({ ...PLAIN, cache_creation_input_token_cost: 1.25e-6 }), {
    ...rest,
    cacheWrite: 1.25e-6,
    cacheWrite1h: 2e-6,
  });
  deepEqual(readTokenPrices({ ...PLAIN, cache_creation_input_token_cost_above_1hr: "3e-6" }), {
    ...rest,
    cacheWrite: 1e-6,
    cacheWrite1h: 3e-6,
  });
  equal(readTokenPrices({ input_cost_per_token: 1e-6, output_cost_per_token: -1 }), undefined);
});

Deno.test("a search of the web is never free: without a price it makes the cost an estimate", () => {
  const prices = readTokenPrices(PLAIN)!;
  const usage = { ...NO_USAGE, webSearches: 2 };
  deepEqual(costOf(usage, prices, "user"), { usd: 2 * ASSUMED_SEARCH_USD, source: "estimated" });
  deepEqual(costOf(usage, { ...prices, webSearch: 0.01 }, "user"), { usd: 0.02, source: "user" });
});

Deno.test("counts that no sum can be made of have an unknown cost", () => {
  const prices = readTokenPrices(PLAIN)!;
  for (const input of [NaN, Infinity, -1]) {
    deepEqual(costOf({ ...NO_USAGE, input }, prices, "user"), { usd: null, source: "unknown" });
  }
});
