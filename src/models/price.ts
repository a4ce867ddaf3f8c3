/** What a call cost: the provider's word, then the user's prices, then the public list, otherwise unknown. */
import type { ModelPrice } from "@pydantic/genai-prices";
import { Failure, messageOf } from "../failure.ts";
import { isObject, type Json } from "./json.ts";
import type { Cost, Usage } from "./usage.ts";

/** USD per token, and what a call can cost besides. */
export interface TokenPrices {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  /** Kept for five minutes, or for as long as the provider likes. */
  readonly cacheWrite: number;
  /** Kept for an hour. */
  readonly cacheWrite1h: number;
  /** USD for each search of the web; undefined: nobody says. */
  readonly webSearch?: number;
  /** USD for each call, whatever it has; undefined: nothing. */
  readonly call?: number;
}

/** What the public list says of a model at one moment. */
export interface ListedModel {
  /** Tokens; undefined: the list does not say. */
  readonly contextWindow: number | undefined;
  /** The prices of a call with this much input, caches included: some models cost more per token above a size. */
  pricesFor(inputTokens: number): TokenPrices;
}

/** Undefined for a model or a provider without prices per token. `at`: when the call was made; prices change. */
export type PriceList = (model: string, providerId: string, at: Date) => ListedModel | undefined;

export const UNKNOWN_COST: Cost = { usd: null, source: "unknown" };

/** A cost that the reply itself names, USD: OpenRouter's and litellm's fields, litellm's and gocore's headers. */
export function providerCost(json: unknown, headers: Headers | undefined): Cost | undefined {
  for (const name of ["x-gocore-cost-usd", "x-litellm-response-cost"]) {
    const text = headers?.get(name)?.trim();
    if (text && isAmount(Number(text))) return { usd: Number(text), source: "provider" };
  }
  if (!isObject(json)) return undefined;
  const usage = isObject(json.usage) ? json.usage : {};
  const cost = usage.cost ?? json.cost;
  if (!isAmount(cost)) return undefined;
  // With the user's own key OpenRouter's `cost` is its fee alone.
  const upstream = usage.is_byok === true && isObject(usage.cost_details)
    ? usage.cost_details.upstream_inference_cost
    : undefined;
  return { usd: cost + (isAmount(upstream) ? upstream : 0), source: "provider" };
}

/**
 * Taken for a search of the web when the model's prices have none: never free, and the dearest that is usual (Google's
 * 35 USD per thousand; Anthropic and OpenAI ask 10).
 */
export const ASSUMED_SEARCH_USD = 0.035;

/** No model has a longer name; the list's patterns are not tried on longer ones. */
const MAX_NAME_LENGTH = 256;

/**
 * Reads `input_cost_per_token` and its siblings (litellm's registry); undefined without a price for input and output. A
 * cache part without a price costs what the input costs; but where writing to the cache costs extra, keeping it for an
 * hour costs twice the input, as at Anthropic.
 */
export function readTokenPrices(entry: Readonly<Json>): TokenPrices | undefined {
  const input = amountOf(entry.input_cost_per_token);
  const output = amountOf(entry.output_cost_per_token);
  if (input === undefined || output === undefined) return undefined;
  const cacheWrite = amountOf(entry.cache_creation_input_token_cost) ?? input;
  return {
    input,
    output,
    cacheRead: amountOf(entry.cache_read_input_token_cost) ?? input,
    cacheWrite,
    cacheWrite1h: amountOf(entry.cache_creation_input_token_cost_above_1hr) ??
      (cacheWrite > input ? Math.max(cacheWrite, 2 * input) : cacheWrite),
  };
}

/**
 * The prices of a model in a JSON file of litellm's registry format; the first of `names` that has an entry counts.
 * Throws a usage `Failure` when the file cannot be read.
 */
export async function loadUserPrices(path: string, names: readonly string[]): Promise<TokenPrices | undefined> {
  let registry: unknown;
  try {
    registry = JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    const finding = cause instanceof SyntaxError ? `it is not JSON (${cause.message.slice(0, 200)})` : messageOf(cause);
    throw new Failure("usage", `Cannot read the price file "${path}": ${finding}`, {
      hints: ["Correct `model.litellm_model_registry` or LITELLM_MODEL_REGISTRY_PATH"],
      cause,
    });
  }
  if (!isObject(registry)) {
    throw new Failure("usage", `Cannot use the price file "${path}": need a mapping of model names`, {
      hints: ['Write entries such as {"my-model": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}'],
    });
  }
  for (const name of names) {
    if (!Object.hasOwn(registry, name)) continue;
    const entry = registry[name];
    const prices = isObject(entry) ? readTokenPrices(entry) : undefined;
    if (prices !== undefined) return prices;
    throw new Failure("usage", `Cannot use the price file "${path}": "${name}" has no input and output price`, {
      hints: [`Give \`${name}\` an input_cost_per_token and an output_cost_per_token, numbers in USD`],
    });
  }
  return undefined;
}

/** `source` becomes `estimated` when the usage has searches that these prices do not name. */
export function costOf(usage: Usage, prices: TokenPrices, source: "user" | "list"): Cost {
  const hour = Math.min(usage.cacheWrite1h ?? 0, usage.cacheWrite);
  const searches = usage.webSearches ?? 0;
  const usd = usage.input * prices.input + usage.cacheRead * prices.cacheRead +
    (usage.cacheWrite - hour) * prices.cacheWrite + hour * prices.cacheWrite1h + usage.output * prices.output +
    searches * (prices.webSearch ?? ASSUMED_SEARCH_USD) + (prices.call ?? 0);
  if (!isAmount(usd)) return UNKNOWN_COST;
  return { usd, source: searches > 0 && prices.webSearch === undefined ? "estimated" : source };
}

/** Loads the public list: about 30 ms once, then 10 to 50 µs for each look. */
export async function loadPriceList(): Promise<PriceList> {
  const { calcPrice } = await import("@pydantic/genai-prices");
  return (model, providerId, at) => {
    if (model.length > MAX_NAME_LENGTH) return undefined;
    try {
      const found = calcPrice({}, model, { providerId, timestamp: at });
      return found === null ? undefined : toListedModel(found.model, found.model_price);
    } catch {
      // The list throws for prices that contradict each other.
      return undefined;
    }
  };
}

function toListedModel(
  { id, context_window }: { readonly id: string; readonly context_window?: number },
  price: ModelPrice,
): ListedModel | undefined {
  // What has no price at all is free there (`…:free`); what has others only (audio, pages) is not priced per token.
  const isFree = Object.keys(price).length === 0;
  if (!isFree && (price.input_mtok === undefined || price.output_mtok === undefined)) return undefined;
  return {
    contextWindow: context_window,
    pricesFor(inputTokens) {
      const per = (unit: number, key: string): number | undefined => {
        const listed = price[key];
        if (listed === undefined || typeof listed === "number") return listed && listed / unit;
        // The highest tier that was passed holds for the whole call, not only for what is above it.
        const passed = listed.tiers.filter(({ start }) => inputTokens > start)
          .reduce((best, tier) => tier.start >= best.start ? tier : best, { start: -1, price: listed.base });
        return passed.price / unit;
      };
      const input = per(1e6, "input_mtok") ?? 0;
      const cacheWrite = per(1e6, "cache_write_mtok") ?? input;
      return {
        input,
        output: per(1e6, "output_mtok") ?? 0,
        cacheRead: per(1e6, "cache_read_mtok") ?? input,
        cacheWrite,
        // Nobody but Anthropic keeps a prefix for an hour at a price of its own, and some lists leave it out.
        cacheWrite1h: per(1e6, "cache_write_1h_mtok") ?? (/claude/i.test(id) ? 2 * input : cacheWrite),
        webSearch: per(1e3, "web_searches_kcount"),
        call: per(1e3, "requests_kcount"),
      };
    },
  };
}

/** Whether it can be a sum of money, in USD. */
export function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function amountOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return isAmount(number) ? number : undefined;
}
