/** Bounds and charges, with the real price list. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { CallRequest, ReplyReading } from "../../src/gateway/dialect.ts";
import { emptyReading } from "../../src/gateway/dialects/reply_fields.ts";
import { createPricing, type EndedCall, type PricedTarget } from "../../src/gateway/pricing.ts";
import { DEFAULT_SETTINGS, type GatewaySettings } from "../../src/gateway/settings.ts";
import { loadPriceList, readTokenPrices } from "../../src/models/price.ts";
import { type ProviderId, providerTable } from "../../src/models/provider_table.ts";
import type { Usage } from "../../src/models/usage.ts";

const AT = new Date("2026-11-21T12:00:00Z");
const CALL: CallRequest = {
  model: "claude-sonnet-4-20250514",
  otherModels: [],
  streamed: true,
  maxOutputTokens: 1000,
  choices: 1,
  priceFactor: 1,
  inputTokens: 250,
  maxInputTokens: 1000,
  webSearches: 0,
  hasHiddenInput: false,
};
const NOTHING_READ: ReplyReading = emptyReading();
const USAGE: Usage = { input: 1_000_000, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
const READ: ReplyReading = { ...NOTHING_READ, usage: USAGE, usageIsFinal: true, isComplete: true };

const target = (model: string, provider: ProviderId, at = AT): PricedTarget => ({ model, upstream: { provider }, at });
const SONNET = target("claude-sonnet-4-20250514", "anthropic");
const pricingOf = (settings: Partial<GatewaySettings> = {}) => createPricing({ ...DEFAULT_SETTINGS, ...settings });
const ended = (more: Partial<EndedCall>): EndedCall => ({
  ...SONNET,
  ending: "whole",
  call: CALL,
  reading: READ,
  headers: undefined,
  reservedUsd: 0.5,
  ...more,
});
const userPrices = (model: string, entry: Record<string, unknown>) => [{ model, prices: readTokenPrices(entry)! }];
const priced = async (more: Partial<EndedCall>, settings: Partial<GatewaySettings> = {}) => {
  const { costUsd, costSource } = (await pricingOf(settings)).charge(ended(more));
  return [costUsd, costSource];
};
const picodollars = (usd: number) => Math.round(usd * 1e12);

// --- bounds

Deno.test("the bound takes all input at its dearest price and all output that is allowed", async () => {
  const pricing = await pricingOf();
  // 1000 tokens written to the cache for an hour (6 USD per million) and 1000 of output (15).
  equal(picodollars(pricing.bound(CALL, SONNET)!), picodollars(0.006 + 0.015));
  // OpenAI has one price for all input of this model.
  equal(picodollars(pricing.bound(CALL, target("gpt-5", "openai"))!), picodollars(0.00125 + 0.01));
});

Deno.test("the bound of a request without a limit counts the assumed output", async () => {
  const pricing = await pricingOf({ assumedOutputTokens: 2000 });
  equal(
    picodollars(pricing.bound({ ...CALL, maxOutputTokens: undefined }, SONNET)!),
    picodollars(0.006 + 0.03),
  );
  equal(
    picodollars(pricing.bound({ ...CALL, maxOutputTokens: undefined, choices: 3 }, SONNET)!),
    picodollars(0.006 + 0.09),
  );
});

Deno.test("input cannot be more than the context window; hidden input can be all of it", async () => {
  const pricing = await pricingOf({ prices: userPrices("mine", PLAIN) });
  const full = picodollars(400_000 * 1.25e-6 + 0.01);
  const gpt = target("gpt-5", "openai");
  equal(picodollars(pricing.bound({ ...CALL, maxInputTokens: 9_000_000 }, gpt)!), full);
  equal(picodollars(pricing.bound({ ...CALL, hasHiddenInput: true }, gpt)!), full);
  // A model whose window nobody knows.
  const mine = target("mine", "openai_compatible");
  equal(picodollars(pricing.bound({ ...CALL, hasHiddenInput: true }, mine)!), picodollars(1_000_000 * 1e-6 + 0.002));
  equal(
    picodollars(pricing.bound({ ...CALL, maxInputTokens: 9_000_000 }, mine)!),
    picodollars(9_000_000 * 1e-6 + 0.002),
  );
});

Deno.test("where a larger window has other prices, input can fill that one", async () => {
  const pricing = await pricingOf();
  const sonnet = target("claude-sonnet-4-5", "anthropic");
  // Digits: 790 000 tokens at most. Above 200 000, an hour in the cache costs 12 USD per million, output 22.5.
  const text = { ...CALL, inputTokens: 197_500, maxInputTokens: 790_000 };
  equal(picodollars(pricing.bound(text, sonnet)!), picodollars(790_000 * 12e-6 + 0.0225));
  equal(picodollars(pricing.bound({ ...CALL, hasHiddenInput: true }, sonnet)!), picodollars(12 + 0.0225));
  // A window that is too small for what is likely to be there is not the whole.
  const gpt = target("gpt-5", "openai");
  const large = { ...CALL, inputTokens: 450_000, maxInputTokens: 900_000 };
  equal(picodollars(pricing.bound(large, gpt)!), picodollars(900_000 * 1.25e-6 + 0.01));
});

Deno.test("the bound of a request that lets several models answer is that of the dearest", async () => {
  const pricing = await pricingOf();
  const others = (...otherModels: string[]) => pricing.bound({ ...CALL, otherModels }, target("gpt-4o-mini", "openai"));
  equal(picodollars(others("gpt-5", "gpt-4o")!), picodollars(0.0025 + 0.01));
  equal(picodollars(others("gpt-4o-mini")!), picodollars(0.00015 + 0.0006));
  equal(others("gpt-5", "nobody-knows"), null);
});

Deno.test("the bound has the searches that are reckoned with, at the model's price or at the dearest that is usual", async () => {
  const pricing = await pricingOf({ prices: userPrices("mine", PLAIN) });
  const extra = (model: PricedTarget) =>
    picodollars(pricing.bound({ ...CALL, webSearches: 3 }, model)! - pricing.bound(CALL, model)!);
  deepEqual([extra(SONNET), extra(target("mine", "openai_compatible"))], [picodollars(0.03), picodollars(0.105)]);
});

Deno.test("a call of unknown price has no bound", async () => {
  const pricing = await pricingOf();
  const names = ["nobody-knows", "", "/", "openai/", "deepseek-chat", "llama3", "__proto__", "gpt-5".repeat(10_000)];
  deepEqual(names.map((model) => pricing.bound(CALL, target(model, "openai_compatible"))), names.map(() => null));
});

const PLAIN = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
const MODELS: readonly PricedTarget[] = [
  SONNET,
  target("claude-sonnet-4-5", "anthropic"),
  target("claude-opus-4-6", "anthropic"),
  target("gpt-5.5", "openai"),
  target("gpt-6-sol", "openai"),
  target("gpt-4o-mini", "openai"),
  target("gemini-2.5-pro", "gemini"),
  target("gemini-2.5-flash", "gemini"),
  target("anthropic/claude-sonnet-4.5", "openrouter"),
  target("google/gemini-3-flash-preview", "openrouter"),
  target("deepseek-chat", "deepseek"),
  target("sonar-pro", "perplexity"),
  target("mine-cached", "openai_compatible"),
  target("mine-dear-reads", "openai_compatible"),
];
const OWN_PRICES = [
  ...userPrices("mine-cached", { ...PLAIN, cache_creation_input_token_cost: 1.25e-6 }),
  ...userPrices("mine-dear-reads", { ...PLAIN, cache_read_input_token_cost: 3e-6 }),
];

Deno.test("no reply within the counted tokens costs more than the bound", async () => {
  const pricing = await pricingOf({ prices: OWN_PRICES });
  const list = await loadPriceList();
  const listedAt = (one: PricedTarget, at: Date) =>
    list(one.model, providerTable[one.upstream.provider].priceId ?? "", at);
  /** A listed window is the largest, unless there are prices for more. */
  const windowOf = (one: PricedTarget, at: Date) => {
    const { contextWindow, pricesFor } = listedAt(one, at) ?? {};
    if (contextWindow === undefined || pricesFor === undefined) return 1_000_000;
    const changes = JSON.stringify(pricesFor(contextWindow)) !== JSON.stringify(pricesFor(1_000_000));
    return changes ? Math.max(contextWindow, 1_000_000) : contextWindow;
  };
  // The ends are the cases that matter: all of it, nothing of it.
  const share = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
  const size = fc.oneof(
    fc.nat({ max: 1_000_000 }),
    // Around the sizes at which prices change.
    fc.integer({ min: 199_990, max: 200_010 }),
    fc.integer({ min: 271_990, max: 272_010 }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...MODELS),
      size,
      fc.nat({ max: 128_000 }),
      fc.tuple(share, share, share, share, share),
      fc.date({ min: new Date("2024-01-01"), max: new Date("2028-01-01"), noInvalidDate: true }),
      fc.boolean(),
      fc.nat({ max: 8 }),
      fc.subarray([...MODELS], { maxLength: 6 }),
      (model, maxInput, maxOutput, [all, read, write, hour, output], at, isHidden, webSearches, others) => {
        const otherModels = others.filter(({ upstream }) => upstream.provider === model.upstream.provider)
          .map((one) => one.model);
        const limits = {
          inputTokens: Math.min(250, maxInput),
          maxInputTokens: maxInput,
          maxOutputTokens: maxOutput,
          webSearches,
        };
        const call = { ...CALL, ...limits, hasHiddenInput: isHidden, otherModels };
        const bound = pricing.bound(call, { ...model, at })!;
        ok(bound !== null, model.model);
        for (const answered of [undefined, model.model, ...otherModels]) {
          const window = windowOf({ ...model, model: answered ?? model.model }, at);
          const counted = Math.floor(Math.min(isHidden ? 1_000_000 : maxInput, window) * all);
          const cacheRead = Math.floor(counted * read);
          const cacheWrite = Math.floor((counted - cacheRead) * write);
          const usage: Usage = {
            input: counted - cacheRead - cacheWrite,
            cacheRead,
            cacheWrite,
            cacheWrite1h: Math.floor(cacheWrite * hour),
            output: Math.floor(maxOutput * output),
            reasoning: 0,
            webSearches,
          };
          const reading = { ...READ, usage, model: answered };
          const { costUsd } = pricing.charge(ended({ ...model, at, call, reading }));
          ok(picodollars(costUsd!) <= Math.ceil(bound * 1e12), `${answered}: ${costUsd} > ${bound}`);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("what a cut call is estimated to have cost is never above its bound", async () => {
  const pricing = await pricingOf({ prices: OWN_PRICES });
  fc.assert(
    fc.property(
      fc.constantFrom(...MODELS),
      fc.nat({ max: 100_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
      fc.nat({ max: 10_000_000 }),
      (model, maxInputTokens, share, maxOutputTokens, outputBytes) => {
        const inputTokens = Math.floor(maxInputTokens * share);
        const call = { ...CALL, inputTokens, maxInputTokens, maxOutputTokens };
        const bound = pricing.bound(call, model)!;
        const reading = { ...NOTHING_READ, outputBytes };
        const { costUsd } = pricing.charge(ended({ ...model, ending: "cut", call, reading }));
        ok(picodollars(costUsd!) <= Math.ceil(bound * 1e12), `${costUsd} > ${bound}`);
      },
    ),
    { numRuns: 1000 },
  );
});

// --- whose price

Deno.test("the reply's own cost comes first, then the user's prices, then the list, then nobody", async () => {
  const prices = userPrices("claude-*", PLAIN);
  const told = { ...READ, costUsd: 0.25 };
  deepEqual(await priced({ reading: told }, { prices }), [0.25, "provider"]);
  deepEqual(await priced({}, { prices }), [1, "user"]);
  deepEqual(await priced({}), [3, "list"]);
  deepEqual(await priced({ ...target("nobody-knows", "anthropic") }), [null, "unknown"]);
});

Deno.test("a cost that is no sum of money is not believed", async () => {
  for (const costUsd of [-1, NaN, Infinity]) {
    deepEqual(await priced({ reading: { ...READ, costUsd } }), [3, "list"], String(costUsd));
  }
  for (const cost of ["-1", "None", "", "1e999"]) {
    const headers = new Headers({ "x-litellm-response-cost": cost });
    deepEqual(await priced({ call: { ...CALL, streamed: false }, headers }), [3, "list"], cost);
  }
});

Deno.test("a cost in the head counts for a reply in one piece only: a stream's head comes before its cost", async () => {
  const headers = new Headers({ "x-litellm-response-cost": "0.0" });
  deepEqual(await priced({ headers, call: { ...CALL, streamed: false } }), [0, "provider"]);
  deepEqual(await priced({ headers }), [3, "list"]);
});

Deno.test("models are found in the upstream's list, or in that of the provider whose name they have", async () => {
  const cases: [string, ProviderId, number | null][] = [
    ["claude-sonnet-4-20250514", "anthropic", 3],
    ["anthropic/claude-sonnet-4", "openrouter", 3],
    ["claude-sonnet-4-5-20250929", "litellm_proxy", 6],
    ["anthropic/claude-sonnet-4-20250514", "openai_compatible", 3],
    ["openai/gpt-4o", "litellm_proxy", 2.5],
    ["gemini-2.5-flash", "openai_compatible", 0.3],
    // Many serve these, at prices of their own.
    ["deepseek-chat", "openai_compatible", null],
  ];
  for (const [model, provider, usd] of cases) {
    deepEqual(await priced(target(model, provider)), usd === null ? [null, "unknown"] : [usd, "list"], model);
  }
});

Deno.test("the model that answered is charged, unless nobody prices it", async () => {
  const answeredBy = (model: string) => ({ reading: { ...READ, model } });
  // A router's alias, a deployment's name, a dated name.
  deepEqual(await priced({ ...target("auto", "openai"), ...answeredBy("gpt-4o-2024-08-06") }), [2.5, "list"]);
  deepEqual(await priced({ ...target("my-deployment", "azure"), ...answeredBy("gpt-4o-2024-08-06") }), [2.5, "list"]);
  deepEqual(await priced({ ...target("gpt-5", "openai"), ...answeredBy("gpt-5-2025-08-07") }), [1.25, "list"]);
  deepEqual(await priced({ ...target("gpt-5", "openai"), ...answeredBy("internal-7b") }), [1.25, "list"]);
  deepEqual(await priced({ ...target("gpt-5", "openai"), ...answeredBy("x".repeat(1_000_000)) }), [1.25, "list"]);
});

Deno.test("an upstream cannot make a call cheaper by another model's name", async () => {
  const answered = async (asked: string, model: string, call: Partial<CallRequest> = {}) => {
    const reading = { ...READ, model };
    const charge = await charged({ ...target(asked, "openai"), call: { ...CALL, ...call }, reading });
    equal(charge.usageSource, "provider");
    return [charge.costUsd, charge.costSource, charge.mayHaveCostMore];
  };
  deepEqual(await answered("gpt-4o", "gpt-4o-mini"), [2.5, "estimated", true]);
  deepEqual(await answered("gpt-4o-mini", "gpt-4o"), [2.5, "estimated", true]);
  // Versions have prices of their own, and so have models that the request itself allows.
  deepEqual(await answered("gpt-4o", "gpt-4o-2024-05-13"), [5, "list", false]);
  deepEqual(await answered("openai/gpt-4o", "GPT-4o-2024-05-13"), [5, "list", false]);
  deepEqual(await answered("gpt-4o", "gpt-4o-mini-2024-07-18", { otherModels: ["gpt-4o-mini"] }), [
    0.15,
    "list",
    false,
  ]);
  // The same price: nothing to argue about.
  deepEqual(await answered("gpt-5", "gpt-5-codex"), [1.25, "list", false]);
});

Deno.test("the user's price of the name that was asked for comes before prices of the one that answered", async () => {
  const answered = { ...target("fast", "litellm_proxy"), reading: { ...READ, model: "gpt-4o" } };
  deepEqual(await priced(answered, { prices: userPrices("fast", PLAIN) }), [1, "user"]);
  deepEqual(
    await priced(answered, {
      prices: [...userPrices("gpt-*", PLAIN), ...userPrices("fast", { ...PLAIN, input_cost_per_token: 2e-6 })],
    }),
    [2, "user"],
  );
  deepEqual(await priced(answered, { prices: userPrices("gpt-*", PLAIN) }), [1, "user"]);
});

Deno.test("a reply that the list does not hold for is an estimate", async () => {
  deepEqual(await priced({ reading: { ...READ, isOffList: true } }), [3, "estimated"]);
});

Deno.test("a dearer service multiplies the bound, and the cost when the provider says that it was given", async () => {
  const pricing = await pricingOf();
  const call = { ...CALL, priceFactor: 6 };
  equal(picodollars(pricing.bound(call, SONNET)!), picodollars(6 * pricing.bound(CALL, SONNET)!));
  deepEqual(await priced({ call, reading: { ...READ, isOffList: true } }), [18, "estimated"]);
  deepEqual(await priced({ call, reading: READ }), [3, "list"]);
});

Deno.test("prices are those of the time of the call", async () => {
  const opus = (at: string) => priced({ ...target("claude-opus-4-6", "anthropic", new Date(at)) });
  // Above 200 000 tokens it cost twice as much until the 13th of March 2026.
  deepEqual(await opus("2026-03-01T00:00:00Z"), [10, "list"]);
  deepEqual(await opus("2026-04-01T00:00:00Z"), [5, "list"]);
});

Deno.test("an hour in the cache and searches of the web have prices of their own", async () => {
  const usage = { ...USAGE, input: 0, cacheWrite: 100_000, cacheWrite1h: 100_000, webSearches: 10 };
  const reading = { ...READ, usage };
  const [usd, source] = await priced({ reading });
  equal(picodollars(usd as number), picodollars(0.6 + 0.1));
  equal(source, "list");
  // No price for a search: never free, and an estimate.
  const [own, ownSource] = await priced({ reading }, { prices: userPrices("*", PLAIN) });
  equal(picodollars(own as number), picodollars(0.1 + 0.35));
  equal(ownSource, "estimated");
});

// --- estimates

const charged = async (more: Partial<EndedCall>) => (await pricingOf()).charge(ended(more));
const outputBytes = (bytes: number) => ({ ...NOTHING_READ, outputBytes: bytes });

Deno.test("a whole reply without counts: the input as estimated, a token for 4 bytes of output", async () => {
  deepEqual(await charged({ reading: outputBytes(401) }), {
    usage: { input: 250, cacheRead: 0, cacheWrite: 0, output: 101, reasoning: 0 },
    usageSource: "estimated",
    costUsd: 250 * 3e-6 + 101 * 15e-6,
    costSource: "estimated",
    mayHaveCostMore: true,
  });
});

Deno.test("a whole reply that nobody could read: a token for 4 of its bytes", async () => {
  const charge = await charged({ reading: { ...outputBytes(100), unreadBytes: 301 } });
  deepEqual([charge.usage?.output, charge.costSource, charge.mayHaveCostMore], [101, "estimated", true]);
});

Deno.test("a count of nothing at all is no count; a single 0 is one", async () => {
  const zero = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
  const cases: [string, Usage, number, Usage, boolean][] = [
    ["nothing at all", zero, 4000, { ...zero, input: 250, output: 1000 }, true],
    ["nothing at all, and nothing seen", zero, 0, { ...zero, input: 250 }, true],
    ["no input", { ...zero, output: 7 }, 12, { ...zero, output: 7 }, false],
    ["no output", { ...zero, input: 9 }, 400, { ...zero, input: 9 }, false],
    ["no output, and none seen", { ...zero, input: 9 }, 0, { ...zero, input: 9 }, false],
    [
      "input from the cache alone",
      { ...zero, cacheRead: 9, output: 1 },
      4,
      { ...zero, cacheRead: 9, output: 1 },
      false,
    ],
  ];
  for (const [name, usage, bytes, expected, isEstimated] of cases) {
    const charge = await charged({ reading: { ...READ, usage, outputBytes: bytes } });
    deepEqual(
      [charge.usage, charge.usageSource, charge.costSource, charge.mayHaveCostMore],
      [expected, ...(isEstimated ? ["estimated", "estimated", true] : ["provider", "list", false])],
      name,
    );
  }
});

Deno.test("a cut stream: the input that the provider counted, a token for 3 bytes of output", async () => {
  const usage = { input: 40, cacheRead: 60, cacheWrite: 0, output: 1, reasoning: 0 };
  const charge = await charged({ ending: "cut", reading: { ...outputBytes(301), usage } });
  deepEqual(charge.usage, { ...usage, output: 101 });
  deepEqual([charge.usageSource, charge.costSource], ["estimated", "estimated"]);
  equal(picodollars(charge.costUsd!), picodollars(40 * 3e-6 + 60 * 0.3e-6 + 101 * 15e-6));
});

Deno.test("a cut stream: what the provider counted counts when it is more, what the call allowed is the most otherwise", async () => {
  const usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 2000, reasoning: 5 };
  const counted = await charged({ ending: "cut", reading: { ...outputBytes(30), usage } });
  deepEqual(counted.usage, { ...usage, input: 250 });
  const estimated = await charged({ ending: "cut", reading: outputBytes(1_000_000) });
  deepEqual(estimated.usage, { input: 250, cacheRead: 0, cacheWrite: 0, output: 1000, reasoning: 0 });
});

Deno.test("a stream that was cut before anything came: the input alone", async () => {
  for (const reading of [undefined, NOTHING_READ]) {
    deepEqual(await charged({ ending: "cut", reading }), {
      usage: { input: 250, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
      usageSource: "estimated",
      costUsd: 250 * 3e-6,
      costSource: "estimated",
      mayHaveCostMore: true,
    });
  }
});

Deno.test("a stream that ended inside with an error has counts of its beginning only", async () => {
  const usage = { input: 100, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 };
  const charge = await charged({ reading: { ...outputBytes(300), usage, isComplete: true, errorType: "overloaded" } });
  deepEqual([charge.usage, charge.usageSource], [{ ...usage, output: 100 }, "estimated"]);
});

Deno.test("a client that left after the last counts is charged for exactly those", async () => {
  const charge = await charged({ ending: "cut" });
  deepEqual(charge, {
    usage: USAGE,
    usageSource: "provider",
    costUsd: 3,
    costSource: "list",
    mayHaveCostMore: false,
  });
});

Deno.test("a reply in one piece that was cut costs all that was reserved, or nobody knows", async () => {
  const call = { ...CALL, streamed: false };
  const rest = { usage: undefined, usageSource: "absent", mayHaveCostMore: true } as const;
  deepEqual(await charged({ ending: "cut", call, reading: undefined }), {
    ...rest,
    costUsd: 0.5,
    costSource: "estimated",
  });
  deepEqual(await charged({ ending: "cut", call, reading: undefined, reservedUsd: null }), {
    ...rest,
    costUsd: null,
    costSource: "unknown",
  });
});

Deno.test("a reply in one piece that was cut costs what its head said, when it did", async () => {
  const headers = new Headers({ "x-litellm-response-cost": "0.125" });
  const charge = await charged({ ending: "cut", call: { ...CALL, streamed: false }, reading: undefined, headers });
  deepEqual([charge.costUsd, charge.costSource, charge.mayHaveCostMore], [0.125, "provider", false]);
});

Deno.test("a refused call costs nothing, also when its price is unknown; one with counts costs those", async () => {
  const nothing = {
    usage: undefined,
    usageSource: "absent",
    costUsd: 0,
    costSource: "provider",
    mayHaveCostMore: false,
  } as const;
  deepEqual(await charged({ ending: "refused", reading: undefined }), nothing);
  deepEqual(await charged({ ending: "refused", reading: NOTHING_READ, ...target("nobody", "openai") }), nothing);
  deepEqual(await charged({ ending: "refused" }), {
    usage: USAGE,
    usageSource: "provider",
    costUsd: 3,
    costSource: "list",
    mayHaveCostMore: false,
  });
});

Deno.test("a stream without its last counts may have cost more, unless it named its cost", async () => {
  const usage = { input: 40, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 };
  const begun = { ...outputBytes(300), usage };
  const cases: [string, Partial<EndedCall>, boolean][] = [
    ["cut", { ending: "cut", reading: begun }, true],
    ["cut, of unknown price", { ...target("nobody", "openai"), ending: "cut", reading: begun }, true],
    ["ended inside with an error", { reading: { ...begun, isComplete: true, errorType: "overloaded" } }, true],
    ["whole, without counts", { reading: { ...begun, usage: undefined, isComplete: true } }, true],
    ["whole, with its cost instead", { reading: { ...begun, usage: undefined, costUsd: 0.25 } }, false],
    ["cut after it named its cost", { ending: "cut", reading: { ...begun, costUsd: 0.25 } }, false],
    ["whole", { reading: { ...begun, usageIsFinal: true } }, false],
  ];
  for (const [name, call, expected] of cases) equal((await charged(call)).mayHaveCostMore, expected, name);
});

Deno.test("an unknown price stays unknown when counts are estimated", async () => {
  for (const ending of ["whole", "cut"] as const) {
    const { costUsd, costSource } = await charged({ ...target("nobody", "openai"), ending, reading: outputBytes(30) });
    deepEqual([costUsd, costSource], [null, "unknown"]);
  }
});
