/** What a session can be told; `commands/orchestrate` makes it of flags, a file and the environment. */
import type { DecisionPolicy } from "./decide.ts";
import type { LivenessLimits } from "./liveness.ts";

export interface SessionSettings {
  readonly sessionId: string;
  readonly task: string;
  /** The project, absolute. */
  readonly target: string;
  /** `{workspace}/{session_id}`, absolute. */
  readonly folder: string;
  /** No worktrees: everybody works in the target. */
  readonly shared: boolean;
  readonly plan: { readonly kind: "default" } | { readonly kind: "auto" } | {
    readonly kind: "file";
    readonly path: string;
  };
  /** Agents that may work, first the most wanted, and how the heavier ones weigh. */
  readonly agents: readonly string[];
  readonly weights: Readonly<Record<string, number>>;
  readonly policy: DecisionPolicy;
  readonly reviews: ReviewSettings;
  readonly liveness: LivenessLimits;
  /** USD for the session; undefined: no cap. */
  readonly budgetUsd: number | undefined;
  /** USD by agent. */
  readonly agentBudgetsUsd: Readonly<Record<string, number>>;
  /** Run by `sh -c` on the merged result; its exit code decides. */
  readonly verify: string | undefined;
  readonly verifyTimeoutMs: number;
  /** Moves the target's branch forward to a result that is done. */
  readonly apply: boolean;
  /** How long a question waits for its answer before the session ends as `needs_input`. */
  readonly answerTimeoutMs: number;
  /** Between the signals that end a worker. */
  readonly graceMs: number;
  /** Of a worker's attempts in all, whatever the causes. */
  readonly maxAttempts: number;
  /** Workers at the same time. */
  readonly concurrency: number;
}

export interface ReviewSettings {
  readonly enabled: boolean;
  /** How many others look at each piece of work. */
  readonly reviewers: number;
  /** How often an author is given concerns that did not stop it. */
  readonly revisions: number;
  /** Without an event from a worker for this long, its work is reviewed. */
  readonly silenceMs: number;
  /** After a LOG_WARNING. */
  readonly recheckMs: number;
  /** Between two reviews of one worker that it asked for itself. */
  readonly cooldownMs: number;
  /** For one reviewer. */
  readonly timeoutMs: number;
}

export const DEFAULT_REVIEWS: ReviewSettings = {
  enabled: true,
  reviewers: 2,
  revisions: 1,
  silenceMs: 15 * 60_000,
  recheckMs: 10 * 60_000,
  cooldownMs: 60_000,
  timeoutMs: 10 * 60_000,
};
