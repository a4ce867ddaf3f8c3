/** What a call can cost at most before it is made, and what it has cost when it has ended. */
import { parseModelName } from "../models/model_name.ts";
import {
  ASSUMED_SEARCH_USD,
  costOf,
  isAmount,
  type ListedModel,
  loadPriceList,
  providerCost,
  type TokenPrices,
  UNKNOWN_COST,
} from "../models/price.ts";
import { providerTable } from "../models/provider_table.ts";
import type { Cost, CostSource, Usage } from "../models/usage.ts";
import type { CallRequest, ReplyReading } from "./dialect.ts";
import type { UsageSource } from "./ledger/entry.ts";
import { type GatewaySettings, matchesPattern, type UpstreamSettings } from "./settings.ts";

/** Where a call goes, and when it began: the same for its bound and its cost, because prices change. */
export interface PricedTarget {
  /** As the upstream is asked for it. */
  readonly model: string;
  readonly upstream: Pick<UpstreamSettings, "provider">;
  readonly at: Date;
}

/**
 * How a call ended, as far as money is concerned:
 * - `whole`: the reply came to its end
 * - `cut`: it was sent, and the reply broke off, was given up or never began: a lost connection, a deadline, a client
 *   that left
 * - `refused`: the upstream answered with an HTTP error, or was never reached
 */
export type CallEnding = "whole" | "cut" | "refused";

export interface EndedCall extends PricedTarget {
  readonly ending: CallEnding;
  readonly call: CallRequest;
  /** Undefined: nothing of the reply was read. */
  readonly reading: ReplyReading | undefined;
  /** The upstream's; undefined when no reply came. */
  readonly headers: Headers | undefined;
  /** USD; null: the price was unknown. */
  readonly reservedUsd: number | null;
}

/** The part of a ledger entry that says what was used and paid. */
export interface Charge {
  readonly usage: Usage | undefined;
  readonly usageSource: UsageSource;
  /** Null: nobody knows. */
  readonly costUsd: number | null;
  readonly costSource: CostSource;
  /** It may have cost more than that: the provider has not told all that it counted, or by which price. */
  readonly mayHaveCostMore: boolean;
}

export interface Pricing {
  /**
   * The most USD that the call can cost, null when its price is unknown. The input has at most as many tokens as the
   * request and the context window can hold (all of the window when it refers to input elsewhere), each at the dearest
   * price for input;
   * the output has as many as the request allows, or `assumedOutputTokens`. Compared in whole picodollars, `charge` never
   * gives more for a reply within these counts. Of searches of the web it has as many as `CallRequest` reckons with:
   * nobody knows their number before. Of several models that may answer, the dearest counts; null when one of them has no
   * price.
   */
  bound(call: CallRequest, target: PricedTarget): number | null;
  /**
   * What an ended call used and cost. The first that is known counts: the reply's own cost, the user's prices, the list
   * of the upstream's provider, the list of the provider that the model's name belongs to. The model that answered is
   * charged; the one that was asked for when nobody prices the other, or when the user priced it. The dearer of the two, as
   * `estimated`, when the one that answered is neither a version of the other nor named in the request, and has another
   * price: an upstream cannot make a call cheaper by a name. `estimated` also stands for a reply that says itself that the
   * list does not hold for it.
   *
   * Counts that are missing are estimated, by this policy, and may have been more. A count of nothing is missing too, where
   * there was something to count.
   * - A whole reply without counts: the input as estimated before, a token for each 4 bytes of output.
   * - A streamed reply that was cut: the counts so far. Input that it did not state is as estimated before. The output
   *   has at least a token for each 3 bytes that were seen (there was reasoning that nobody saw, and more on its way),
   *   but never more than the call was allowed, unless the provider counted more.
   * - A reply in one piece that was cut: all that was reserved; the model may have worked unseen.
   * - An error without counts: nothing; providers do not charge for what they refuse.
   */
  charge(ended: EndedCall): Charge;
}

/** What a model without a known context window can hold, tokens. */
const ASSUMED_CONTEXT_WINDOW = 1_000_000;
const BYTES_PER_TOKEN = 4;
const MOST_FOUND = 500;
/** What follows a model's name in the name of one of its versions: a date, a number, a stage. */
const VERSION_SUFFIX = /^(?:[-@](?:\d{3,8}|\d{4}-\d\d-\d\d|latest|(?:preview|exp)(?:-[\d-]{1,10})?))?$/;
const BYTES_PER_TOKEN_OF_CUT_REPLY = 3;

interface ModelPrices {
  readonly source: "user" | "list";
  readonly pricesFor: (inputTokens: number) => TokenPrices;
}

/** Loads the public price list, so that no call waits for it. */
export async function createPricing(
  { prices: userPrices, assumedOutputTokens }: Pick<GatewaySettings, "prices" | "assumedOutputTokens">,
): Promise<Pricing> {
  const list = await loadPriceList();

  // A search goes through the whole list. Prices change at most from one minute to the next.
  const found = new Map<string, ReturnType<typeof searchList>>();
  const findListed = (model: string, target: PricedTarget) => {
    const key = `${Math.floor(target.at.getTime() / 60_000)} ${target.upstream.provider} ${model}`;
    if (found.has(key)) return found.get(key);
    if (found.size >= MOST_FOUND) found.clear();
    const listed = searchList(model, target);
    found.set(key, listed);
    return listed;
  };
  const searchList = (model: string, { upstream, at }: PricedTarget) => {
    const { priceId } = providerTable[upstream.provider];
    const listed = priceId === undefined ? undefined : list(model, priceId, at);
    if (listed !== undefined) return listed;
    const owned = ownerOf(model);
    return owned === undefined ? undefined : list(owned.model, owned.priceId, at);
  };
  const findUserPrices = (model: string): ModelPrices | undefined => {
    const found = userPrices.find((entry) => matchesPattern(entry.model, model));
    return found && { source: "user", pricesFor: () => found.prices };
  };
  const findAnyPrices = (model: string, target: PricedTarget): ModelPrices | undefined => {
    const listed = findListed(model, target);
    return findUserPrices(model) ?? (listed && { source: "list", pricesFor: listed.pricesFor });
  };
  /** Several when it cannot be told whose hold. */
  const findPrices = ({ call, reading, ...target }: EndedCall): readonly ModelPrices[] => {
    // The user's word on the name that clients use comes before one on a name behind it.
    const own = findUserPrices(target.model);
    if (own !== undefined) return [own];
    const asked = findAnyPrices(target.model, target);
    const answered = reading?.model === undefined ? undefined : findAnyPrices(reading.model, target);
    if (answered === undefined) return asked === undefined ? [] : [asked];
    const isExpected = [target.model, ...call.otherModels].some((model) => isVersionOf(reading!.model!, model));
    return asked === undefined || isExpected ? [answered] : [answered, asked];
  };

  const toCost = (usage: Usage, isExact: boolean, ended: EndedCall): Cost & { readonly isDisputed: boolean } => {
    const { call, reading } = ended;
    const costs = findPrices(ended).map(({ pricesFor, source }) => costOf(usage, pricesFor(inputOf(usage)), source));
    const dearest = costs.reduce(
      (most, cost) => (cost.usd ?? 0) > (most.usd ?? 0) ? cost : most,
      costs[0] ?? UNKNOWN_COST,
    );
    const isDisputed = costs.some(({ usd }) => usd !== dearest.usd);
    const isOffList = reading?.isOffList === true;
    if (dearest.usd === null || (isExact && !isOffList && !isDisputed)) return { ...dearest, isDisputed };
    return { usd: dearest.usd * (isOffList ? call.priceFactor : 1), source: "estimated", isDisputed };
  };

  const boundOf = (call: CallRequest, target: PricedTarget): number | null => {
    const listed = findListed(target.model, target);
    const pricesFor = findUserPrices(target.model)?.pricesFor ?? listed?.pricesFor;
    if (pricesFor === undefined) return null;
    const window = listed === undefined ? undefined : windowOf(listed, call);
    const input = call.hasHiddenInput
      ? window ?? Math.max(ASSUMED_CONTEXT_WINDOW, call.inputTokens)
      : Math.min(call.maxInputTokens, window ?? Infinity);
    const prices = pricesFor(input);
    const dearest = Math.max(prices.input, prices.cacheRead, prices.cacheWrite, prices.cacheWrite1h);
    const output = call.maxOutputTokens ?? assumedOutputTokens * call.choices;
    const searches = call.webSearches * (prices.webSearch ?? ASSUMED_SEARCH_USD);
    return (input * dearest + output * prices.output + searches + (prices.call ?? 0)) * call.priceFactor;
  };

  return {
    bound(call, target) {
      let most = 0;
      for (const model of [target.model, ...call.otherModels]) {
        const usd = boundOf(call, { ...target, model });
        if (usd === null) return null;
        most = Math.max(most, usd);
      }
      return most;
    },

    charge(ended) {
      const { ending, call, reading, reservedUsd } = ended;
      const told = toldCost(ended);
      if (reading?.usage !== undefined && reading.usageIsFinal && isCredible(reading.usage)) {
        const { isDisputed, ...cost } = told === undefined
          ? toCost(reading.usage, true, ended)
          : { ...told, isDisputed: false };
        const counted = { usage: reading.usage, usageSource: "provider", mayHaveCostMore: isDisputed } as const;
        return { ...counted, costUsd: cost.usd, costSource: cost.source };
      }
      if (ending === "refused") {
        const nothing = { usage: undefined, usageSource: "absent", mayHaveCostMore: false } as const;
        return { ...nothing, costUsd: told?.usd ?? 0, costSource: "provider" };
      }
      if (ending === "cut" && !call.streamed && told === undefined) {
        const costSource = reservedUsd === null ? "unknown" : "estimated";
        return { usage: undefined, usageSource: "absent", costUsd: reservedUsd, costSource, mayHaveCostMore: true };
      }
      const usage = estimateUsage(ended, assumedOutputTokens);
      const cost = told ?? toCost(usage, false, ended);
      const mayHaveCostMore = told === undefined;
      return { usage, usageSource: "estimated", costUsd: cost.usd, costSource: cost.source, mayHaveCostMore };
    },
  };
}

/**
 * What a listed model can hold. Where prices change above the listed window there is a larger one, which a header asks
 * for; and more input than the window holds shows that the list is behind, or the provider will refuse the call.
 */
function windowOf({ contextWindow, pricesFor }: ListedModel, { inputTokens }: CallRequest): number | undefined {
  if (contextWindow === undefined) return undefined;
  const [inside, above] = [pricesFor(contextWindow), pricesFor(ASSUMED_CONTEXT_WINDOW)];
  const isLarger = inputTokens > contextWindow ||
    (Object.keys(above) as (keyof TokenPrices)[]).some((part) => above[part] !== inside[part]);
  return isLarger ? Math.max(contextWindow, ASSUMED_CONTEXT_WINDOW, inputTokens) : contextWindow;
}

/** A provider's 0 is a count like any other; servers that do not count say 0 for everything. */
function isCredible(usage: Usage): boolean {
  return inputOf(usage) > 0 || usage.output > 0;
}

/** Whether a name is another one's, or that of one of its versions: `gpt-4o-2024-08-06` for `openai/gpt-4o`. */
function isVersionOf(version: string, model: string): boolean {
  const [name, base] = [version, model].map((text) => text.slice(text.lastIndexOf("/") + 1).toLowerCase());
  const stem = base!.replace(/-latest$/, "");
  return name!.startsWith(stem) && VERSION_SUFFIX.test(name!.slice(stem.length));
}

/** The cost that the reply itself names, in its body or its head. */
function toldCost({ call, reading, headers }: EndedCall): Cost | undefined {
  if (isAmount(reading?.costUsd)) return { usd: reading.costUsd, source: "provider" };
  // A head that was sent before the reply was made cannot know what it will cost.
  return call.streamed ? undefined : providerCost(undefined, headers);
}

function estimateUsage({ ending, call, reading }: EndedCall, assumedOutputTokens: number): Usage {
  const counted = reading?.usage;
  const said = counted !== undefined && inputOf(counted) > 0
    ? counted
    : { input: call.inputTokens, cacheRead: 0, cacheWrite: 0 };
  const bytes = (reading?.outputBytes ?? 0) + (reading?.unreadBytes ?? 0);
  // A reply that ended inside with an error is as incomplete as one that was cut.
  const isWhole = ending === "whole" && (counted === undefined || reading!.usageIsFinal);
  const seen = Math.ceil(bytes / (isWhole ? BYTES_PER_TOKEN : BYTES_PER_TOKEN_OF_CUT_REPLY));
  const allowed = call.maxOutputTokens ?? (isWhole ? Number.POSITIVE_INFINITY : assumedOutputTokens * call.choices);
  return {
    reasoning: 0,
    ...counted,
    ...said,
    output: Math.max(counted?.output ?? 0, Math.min(seen, allowed)),
  };
}

function inputOf({ input, cacheRead, cacheWrite }: Pick<Usage, "input" | "cacheRead" | "cacheWrite">): number {
  return input + cacheRead + cacheWrite;
}

/** The provider that a model's name belongs to, whoever serves it: `anthropic/claude-…`, `gpt-5`. */
function ownerOf(name: string): { model: string; priceId: string } | undefined {
  try {
    // With an address of its own a name that many serve, such as `deepseek-…`, has no owner: prices differ.
    const { provider, model } = parseModelName(name, { hasBase: true });
    const priceId = provider === "scripted" ? undefined : providerTable[provider].priceId;
    return priceId === undefined ? undefined : { model, priceId };
  } catch {
    // An empty name, or nothing after the slash.
    return undefined;
  }
}
