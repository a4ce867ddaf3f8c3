/** What every dialect reads of a reply in the same way: counts, names, and how many bytes of output there were. */
import { isObject, type Json } from "../../models/json.ts";
import { providerCost } from "../../models/price.ts";
import type { Usage } from "../../models/usage.ts";
import type { ReplyReading } from "../dialect.ts";

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

/** A reading that is filled in as the reply comes. */
export type DraftReading = Draft<ReplyReading> & { finishReasons: string[] };

export function emptyReading(): DraftReading {
  return {
    usage: undefined,
    usageIsFinal: false,
    costUsd: undefined,
    isOffList: false,
    model: undefined,
    responseId: undefined,
    finishReasons: [],
    outputBytes: 0,
    unreadBytes: 0,
    isComplete: false,
    errorType: undefined,
  };
}

/** No reply has more tokens; larger numbers are mistakes, or mischief. */
const MAX_COUNT = 1e12;

/** Undefined for whatever is not a number of tokens. */
export function count(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MAX_COUNT ? Math.floor(value) : undefined;
}

/** The largest of the counts that were given. */
export function most(...values: readonly (number | undefined)[]): number | undefined {
  let largest: number | undefined;
  for (const value of values) if (value !== undefined && value >= (largest ?? 0)) largest = value;
  return largest;
}

/** A name that the provider gives; undefined for what is too long for one or would spoil a line. */
export function label(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= 200 && !/[\0-\x1f\x7f]/.test(value)
    ? value
    : undefined;
}

/** As the provider words it; each reason once, and no more than a reply can sensibly have. */
export function addFinishReason(reading: DraftReading, value: unknown): void {
  const reason = label(value);
  if (reason === undefined || reading.finishReasons.length >= 16 || reading.finishReasons.includes(reason)) return;
  reading.finishReasons.push(reason);
}

/** The reply's own cost, where `document` has one beside its usage. */
export function takeCost(reading: DraftReading, document: Json): void {
  if (!isObject(document.usage) && document.cost === undefined) return;
  reading.costUsd = providerCost(document, undefined)?.usd ?? reading.costUsd;
}

export interface UsageParts extends Omit<Usage, "cacheWrite1h" | "webSearches"> {
  readonly cacheWrite1h: number;
  readonly webSearches: number;
}

/** The normal form, in which parts that nobody had are not there. */
export function toUsage({ cacheWrite1h, webSearches, ...parts }: UsageParts): Usage {
  const usage: Draft<Usage> = { ...parts, reasoning: Math.min(parts.reasoning, parts.output) };
  if (cacheWrite1h > 0) usage.cacheWrite1h = Math.min(cacheWrite1h, parts.cacheWrite);
  if (webSearches > 0) usage.webSearches = webSearches;
  return usage;
}

/** The UTF-8 bytes of a text, 0 for anything else. */
export function textBytes(value: unknown): number {
  if (typeof value !== "string") return 0;
  let bytes = value.length;
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    // Both halves of a pair count two: four in all.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** The bytes of a value's JSON, 0 for an empty object and for whatever has none. */
export function jsonBytes(value: unknown): number {
  if (!isObject(value) || Object.keys(value).length === 0) return 0;
  try {
    return textBytes(JSON.stringify(value));
  } catch {
    // Nested too deeply to be written.
    return 0;
  }
}
