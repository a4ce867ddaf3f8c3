/** Token usage and its cost in one normal form for every provider. */

/** Disjoint parts of the input, so that a price can be given to each: `input` excludes what the cache served or stored. */
export interface Usage {
  /** Input tokens that were neither read from nor written to a cache. */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** The part of `cacheWrite` that is kept for an hour instead of five minutes, at another price; undefined: none. */
  readonly cacheWrite1h?: number;
  /** All output tokens, reasoning included. */
  readonly output: number;
  /** The part of `output` that was reasoning. */
  readonly reasoning: number;
  /** Searches of the web that the provider made and charges for one by one; undefined: none. */
  readonly webSearches?: number;
}

/**
 * - `provider`: the reply named its cost; `user`: the user's price file; `list`: the public price list;
 * - `estimated`: computed from incomplete usage; `unknown`: nobody knows, and `usd` is null, never 0.
 */
export type CostSource = "provider" | "user" | "list" | "estimated" | "unknown";

export interface Cost {
  readonly usd: number | null;
  readonly source: CostSource;
}
