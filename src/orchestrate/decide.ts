/** The decision policy: from the verdicts of a review to what is done. */
import type { Action, Verdict } from "../events/session_events.ts";

export interface ReviewerVerdict {
  readonly reviewer: string;
  readonly agent: string;
  /** Null: none that could be read, which never counts as approval. */
  readonly verdict: Verdict | null;
}

/** A rule of the person's own; they come before the four, in their order. */
export interface CustomRule {
  readonly name: string;
  readonly verdict: Verdict | "none";
  /** The weights of those who gave it have to reach this. */
  readonly atLeast: number;
  /** Only verdicts of these agents count; undefined: all. */
  readonly agents?: readonly string[];
  readonly action: Action;
}

export interface DecisionPolicy {
  /** By agent; who is not named weighs 1. With 0 a verdict is kept and does not count. */
  readonly weights: Readonly<Record<string, number>>;
  readonly custom: readonly CustomRule[];
}

export const DEFAULT_POLICY: DecisionPolicy = { weights: {}, custom: [] };

export interface Decided {
  readonly action: Action;
  /** `1` to `4`, `none`, or the name of a custom rule. */
  readonly rule: string;
  readonly reason: string;
}

/** The weight of concerns that the seed calls a majority. */
const MAJORITY = 2;
/** Sums of decimals miss by their last digits: 0.7 + 0.6 + 0.7 is 2 in one order, and less in another. */
const ROUNDING = 1e-9;

/**
 * The seed's four rules, in order: any blocker → STOP_AND_ESCALATE; concerns of weight 2 or more → PAUSE_AND_CLARIFY;
 * any concern → LOG_WARNING; all approved → CONTINUE. Without a single verdict nobody has approved: LOG_WARNING.
 */
export function decide(verdicts: readonly ReviewerVerdict[], policy: DecisionPolicy = DEFAULT_POLICY): Decided {
  const counted = verdicts.filter((entry) => weightOf(entry, policy) > 0);
  const weigh = (verdict: Verdict | null, agents?: readonly string[]) => {
    const givers = counted.filter((entry) =>
      entry.verdict === verdict && (agents === undefined || agents.includes(entry.agent))
    );
    const weight = givers.reduce((sum, entry) => sum + weightOf(entry, policy), 0);
    return { weight, names: givers.map(({ reviewer }) => reviewer) };
  };
  for (const { name, verdict, atLeast, agents, action } of policy.custom) {
    const found = weigh(verdict === "none" ? null : verdict, agents);
    if (found.names.length === 0 || found.weight < atLeast - ROUNDING) continue;
    return {
      action,
      rule: name,
      reason: `${verdict === "none" ? "no verdict" : verdict} by ${found.names.join(", ")}`,
    };
  }
  const [blocker, concerns, approved] = [weigh("blocker"), weigh("concerns"), weigh("approved")];
  if (blocker.names.length > 0) {
    return { action: "STOP_AND_ESCALATE", rule: "1", reason: `a blocker, found by ${blocker.names.join(", ")}` };
  }
  if (concerns.weight >= MAJORITY - ROUNDING) {
    return { action: "PAUSE_AND_CLARIFY", rule: "2", reason: `concerns of ${concerns.names.join(", ")}` };
  }
  if (concerns.names.length > 0) {
    return { action: "LOG_WARNING", rule: "3", reason: `a concern of ${concerns.names.join(", ")}` };
  }
  if (approved.names.length > 0) {
    const silent = counted.length - approved.names.length;
    const rest = silent === 0 ? "" : `; ${silent} gave no verdict`;
    return { action: "CONTINUE", rule: "4", reason: `approved by ${approved.names.join(", ")}${rest}` };
  }
  return { action: "LOG_WARNING", rule: "none", reason: "nobody gave a verdict that could be read" };
}

function weightOf({ agent }: ReviewerVerdict, { weights }: DecisionPolicy): number {
  return Object.hasOwn(weights, agent) ? weights[agent]! : 1;
}
