/** What a call cost: the provider's word, then the user's prices, then the public list, otherwise unknown. */
import type { Usage as ListUsage } from "@pydantic/genai-prices";
import { Failure, messageOf } from "../failure.ts";
import { isObject, type Json } from "./json.ts";
import type { Cost, Usage } from "./usage.ts";

/** USD per token; a missing part costs what the input costs. */
export interface TokenPrices {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

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

/** Reads `input_cost_per_token` and its siblings (litellm's registry); undefined without a price for input and output. */
export function readTokenPrices(entry: Readonly<Json>): TokenPrices | undefined {
  const input = amountOf(entry.input_cost_per_token);
  const output = amountOf(entry.output_cost_per_token);
  if (input === undefined || output === undefined) return undefined;
  return {
    input,
    output,
    cacheRead: amountOf(entry.cache_read_input_token_cost) ?? input,
    cacheWrite: amountOf(entry.cache_creation_input_token_cost) ?? input,
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

export function userCost(usage: Usage, prices: TokenPrices): Cost {
  const usd = usage.input * prices.input + usage.cacheRead * prices.cacheRead +
    usage.cacheWrite * prices.cacheWrite + usage.output * prices.output;
  return { usd, source: "user" };
}

/** Loads the public list; the result is null for a model or a provider that it does not have. */
export async function loadPriceList(): Promise<(usage: Usage, model: string, providerId: string) => Cost> {
  const { calcPrice } = await import("@pydantic/genai-prices");
  return (usage, model, providerId) => {
    const counts: ListUsage = {
      input_tokens: usage.input + usage.cacheRead + usage.cacheWrite,
      cache_read_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite,
      output_tokens: usage.output,
    };
    try {
      const total = calcPrice(counts, model, { providerId })?.total_price;
      return isAmount(total) ? { usd: total, source: "list" } : UNKNOWN_COST;
    } catch {
      // The list throws for combinations that a model has no price for.
      return UNKNOWN_COST;
    }
  };
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function amountOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return isAmount(number) ? number : undefined;
}
