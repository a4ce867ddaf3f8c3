/** What a plan may cost, roughly, before anybody has worked on it. */
import { Failure } from "../../failure.ts";
import { parseModelName } from "../../models/model_name.ts";
import { costOf, loadPriceList, type PriceList } from "../../models/price.ts";
import { providerTable } from "../../models/provider_table.ts";
import { adapterOf } from "../../workers/adapter_table.ts";

/** The seed's "Token Management": what a worker with a heavy and with a light share of the work uses. */
const HEAVY_LOAD = 0.3;
const HEAVY_TOKENS = 10_000;
const LIGHT_TOKENS = 3_000;
/** Agents read much and write little. */
const INPUT_SHARE = 0.8;

/**
 * USD, by today's public prices; null when somebody's model is not named or its price is not known.
 *
 * @param agents who gets which share of the work, 0 to 1
 * @param models by agent
 */
export async function estimateCost(
  agents: readonly { readonly agent: string; readonly load: number }[],
  models: Readonly<Record<string, string>>,
): Promise<number | null> {
  const list = await loadPriceList();
  let sum = 0;
  for (const { agent, load } of agents) {
    if (!Object.hasOwn(models, agent)) return null;
    const usd = shareCost(list, {
      agent,
      model: models[agent]!,
      tokens: load >= HEAVY_LOAD ? HEAVY_TOKENS : LIGHT_TOKENS,
    });
    if (usd === null) return null;
    sum += usd;
  }
  return sum;
}

function shareCost(
  list: PriceList,
  { agent, model, tokens }: { readonly agent: string; readonly model: string; readonly tokens: number },
): number | null {
  const named = ownerOf(model, adapterOf(agent)?.provider);
  const input = tokens * INPUT_SHARE;
  const prices = named && list(named.model, named.priceId, new Date())?.pricesFor(input);
  if (prices === undefined) return null;
  const usage = { input, output: tokens - input, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  return costOf(usage, prices, "list").usd;
}

function ownerOf(name: string, provider: string | undefined): { model: string; priceId: string } | undefined {
  try {
    const parsed = parseModelName(name, provider === undefined ? {} : { provider });
    const priceId = parsed.provider === "scripted" ? undefined : providerTable[parsed.provider].priceId;
    return priceId === undefined ? undefined : { model: parsed.model, priceId };
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
