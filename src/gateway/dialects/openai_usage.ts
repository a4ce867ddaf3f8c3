/** The usage of OpenAI's two formats, which differ in the names of their parts only. */
import { isObject, type Json } from "../../models/json.ts";
import { count, type DraftReading, most, takeCost, toUsage } from "./reply_fields.ts";
import { objectOf, objectsOf } from "./request_fields.ts";

/** The tiers that the list prices; Groq's word for it is `on_demand`. */
const LIST_TIERS: ReadonlySet<unknown> = new Set(["default", "auto", "standard", "on_demand"]);

/** What faster service costs at most, as a multiple of the list's prices. */
const FAST_TIER_FACTOR = 2.5;

/** For a request's `service_tier`. The cheaper tiers count as the usual one: an estimate may be too high, not too low. */
export function tierFactor(tier: unknown): number {
  return tier === "priority" || tier === "fast" ? FAST_TIER_FACTOR : 1;
}

/** Keeps what a reply's usage objects have said, part by part, and writes it into its reading. */
export class OpenaiUsage {
  readonly #reading: DraftReading;
  readonly #said: {
    prompt?: number;
    completion?: number;
    total?: number;
    cacheRead?: number;
    cacheWrite?: number;
    cacheWrite1h?: number;
    reasoning?: number;
    webSearches?: number;
  } = {};
  #hasOtherTier = false;
  #hasPaidExtra = false;

  constructor(reading: DraftReading) {
    this.#reading = reading;
  }

  /** `document`: whatever has `usage` in it. Returns whether that told both the input and the output. */
  take(document: Json): boolean {
    takeCost(this.#reading, document);
    const { usage } = document;
    if (!isObject(usage)) return false;
    const said = this.#said;
    const input = objectOf(usage.prompt_tokens_details ?? usage.input_tokens_details);
    const output = objectOf(usage.completion_tokens_details ?? usage.output_tokens_details);
    // Several spellings of one count: a server fills in its own and may leave a 0 in OpenAI's.
    const found = {
      prompt: count(usage.prompt_tokens ?? usage.input_tokens),
      completion: count(usage.completion_tokens ?? usage.output_tokens),
      total: count(usage.total_tokens),
      cacheRead: most(
        count(input.cached_tokens),
        count(usage.cached_tokens),
        count(usage.prompt_cache_hit_tokens),
        count(usage.cache_read_input_tokens),
      ),
      cacheWrite: most(
        count(input.cache_write_tokens),
        count(input.cache_creation_tokens),
        count(usage.cache_creation_input_tokens),
      ),
      cacheWrite1h: count(objectOf(input.cache_creation_token_details).ephemeral_1h_input_tokens),
      reasoning: most(count(output.reasoning_tokens), count(usage.reasoning_tokens)),
      webSearches: count(objectOf(usage.server_tool_use).web_search_requests),
    };
    for (const part of Object.keys(found) as (keyof typeof found)[]) said[part] = found[part] ?? said[part];
    // Sound and pictures cost more than text, OpenAI's longest cache more than its usual one.
    const extras = [
      input.audio_tokens,
      output.audio_tokens,
      output.image_tokens,
      objectOf(input.cache_write_tokens_details).ttl_12h_tokens,
    ];
    if (extras.some((tokens) => (count(tokens) ?? 0) > 0)) this.takePaidExtra();
    this.#write();
    return found.prompt !== undefined && found.completion !== undefined;
  }

  /** The tier that served the reply; the last word holds. */
  takeTier(tier: unknown): void {
    if (typeof tier !== "string") return;
    this.#hasOtherTier = !LIST_TIERS.has(tier);
    this.#writeOffList();
  }

  /** Something has its own price, which is not in the list. */
  takePaidExtra(): void {
    this.#hasPaidExtra = true;
    this.#writeOffList();
  }

  /** Searches that were counted in the reply itself. */
  takeWebSearches(searches: number): void {
    this.#said.webSearches = most(this.#said.webSearches, searches);
    if (this.#reading.usage !== undefined) this.#write();
  }

  #writeOffList(): void {
    this.#reading.isOffList = this.#hasOtherTier || this.#hasPaidExtra;
  }

  #write(): void {
    const { cacheRead = 0, cacheWrite = 0, cacheWrite1h = 0, reasoning = 0, webSearches = 0, total = 0 } = this.#said;
    const { prompt, completion } = this.#said;
    if (prompt === undefined && completion === undefined) return;
    let input = prompt ?? 0;
    let output = completion ?? 0;
    const rest = prompt === undefined || completion === undefined ? 0 : total - input - output;
    if (rest > 0) {
      // Proxies before Anthropic may leave the cache out of the prompt; xAI and Google's endpoint leave the reasoning out
      // of the completion. The total has it, and it is paid.
      if (rest === cacheRead + cacheWrite) input += rest;
      else output += rest;
    } else if (reasoning > output) {
      output += reasoning;
    }
    const read = Math.min(cacheRead, input);
    const written = Math.min(cacheWrite, input - read);
    this.#reading.usage = toUsage({
      input: input - read - written,
      cacheRead: read,
      cacheWrite: written,
      cacheWrite1h,
      output,
      reasoning,
      webSearches,
    });
  }
}

/** The text of a message's content: a string, or parts of which some are text. Returns those parts' texts. */
export function textsOf(content: unknown): unknown[] {
  return typeof content === "string" ? [content] : objectsOf(content).map((part) => part.text ?? part.refusal);
}
