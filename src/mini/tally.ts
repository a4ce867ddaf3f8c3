/** The running sums of a run: model calls, tokens, money. */
import type { EventData } from "../events/event.ts";
import type { ChatReply } from "../models/chat_model.ts";
import type { CostSource } from "../models/usage.ts";

const TOKEN_COUNTS = ["input", "cacheRead", "cacheWrite", "output", "reasoning"] as const;

/** From certain to uncertain; a sum is as certain as its least certain part. */
const CERTAINTY: readonly CostSource[] = ["provider", "user", "list", "estimated", "unknown"];

export class Tally {
  calls = 0;
  unpricedCalls = 0;
  #usd = 0;
  #source: CostSource = "provider";
  #tokens = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

  add({ cost, usage }: Pick<ChatReply, "cost" | "usage">): void {
    this.calls += 1;
    if (cost.usd === null) this.unpricedCalls += 1;
    else this.#usd += cost.usd;
    if (CERTAINTY.indexOf(cost.source) > CERTAINTY.indexOf(this.#source)) this.#source = cost.source;
    if (usage === undefined) return;
    for (const key of TOKEN_COUNTS) this.#tokens[key] += usage[key];
  }

  /** A call that was not answered, and that the provider may charge for. */
  addUnpricedAttempt(): void {
    this.unpricedCalls += 1;
    this.#source = "unknown";
  }

  /** USD of the calls whose price is known; what a cost limit is compared with. */
  get knownUsd(): number {
    return this.#usd;
  }

  /** USD of all calls; null when the price of one is unknown, because unknown is never 0. */
  get totalUsd(): number | null {
    return this.unpricedCalls > 0 ? null : this.#usd;
  }

  get costData(): EventData<"cost"> {
    return {
      total: this.totalUsd,
      calls: this.calls,
      source: this.#source,
      known_total: this.#usd,
      unpriced_calls: this.unpricedCalls,
      input_tokens: this.#tokens.input,
      cache_read_tokens: this.#tokens.cacheRead,
      cache_write_tokens: this.#tokens.cacheWrite,
      output_tokens: this.#tokens.output,
      reasoning_tokens: this.#tokens.reasoning,
    };
  }
}
