/** What stands in the ledger about a call. */
import type { CostSource, Usage } from "../../models/usage.ts";
import type { DialectId } from "../dialect.ts";

/** Whole picodollars (1e-12 USD), so that sums are exact. */
export type Picodollars = number;

export const PICODOLLARS_PER_USD = 1e12;

/**
 * - `answered`: the reply came whole, also when it says that something failed inside it
 * - `refused`: the upstream answered with an HTTP error
 * - `cut`: the reply broke off
 * - `client_gone`: the client left before the end
 * - `timeout`: a deadline passed
 * - `unreachable`: no reply came
 * - `lost`: the gateway died while the call was under way
 */
export type CallOutcome = "answered" | "refused" | "cut" | "client_gone" | "timeout" | "unreachable" | "lost";

/** Who asks. */
export interface Caller {
  readonly run: string;
  readonly worker: string;
  /** The virtual key's id (not the key), null for a call without one. */
  readonly keyId: string | null;
}

/** A call that asks to be admitted. */
export interface CallEntry extends Caller {
  /** Unique; also the value of `x-gocore-call`. */
  readonly id: string;
  readonly upstream: string;
  /** OpenTelemetry's `gen_ai.provider.name`. */
  readonly provider: string;
  readonly model: string;
  readonly dialect: DialectId;
  readonly streamed: boolean;
}

/**
 * Where the counts come from: the provider, our own estimate of what went past, or nowhere.
 */
export type UsageSource = "provider" | "estimated" | "absent";

/** How an admitted call ended, and what it cost. */
export interface Settlement {
  readonly outcome: CallOutcome;
  /** The upstream's HTTP status, null when none came. */
  readonly status: number | null;
  /** As the provider named it, null when it did not. */
  readonly answeredModel: string | null;
  readonly usage: Usage | undefined;
  readonly usageSource: UsageSource;
  /** Null: nobody knows, and never 0. */
  readonly cost: Picodollars | null;
  readonly costSource: CostSource;
  /** It may have cost as much as was held back for it, and caps count that; a cost that nobody knows always may. */
  readonly mayHaveCostMore: boolean;
  /** Attempts at upstreams, retries and fallbacks included. */
  readonly attempts: number;
  readonly durationMs: number;
  /** Until the first byte of the reply's body, null when none came. */
  readonly firstByteMs: number | null;
}

export type BudgetScope = "run" | "worker" | "key" | "day";

/** Why a call was not admitted. Amounts in USD. */
export interface BudgetRefusal {
  readonly scope: BudgetScope;
  /** The run, `run/worker`, the key's id, or the day (`2026-11-21`, UTC). */
  readonly scopeId: string;
  readonly capUsd: number;
  /** Includes what had been held back for ended calls that may have cost that much. */
  readonly spentUsd: number;
  /** Held back for other calls that are under way. */
  readonly reservedUsd: number;
  /** What this call could cost at most; null: its price is unknown. */
  readonly neededUsd: number | null;
  /** It may fit when calls that are under way have ended and cost less than they could have. */
  readonly mayFitLater: boolean;
}

export type Admission = { readonly admitted: true } | { readonly admitted: false; readonly refusal: BudgetRefusal };
