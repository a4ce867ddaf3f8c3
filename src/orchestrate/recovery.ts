/** What is done about an agent that failed: changed and started again, within bounds, or given to a person. */
import type { FailureCause } from "../events/session_events.ts";

export interface Failed {
  readonly agent: string;
  readonly cause: FailureCause;
  /** What it said last. */
  readonly text: string;
  /** How often this cause was answered for this task before. */
  readonly before: number;
  /** How often anything was, for this task. */
  readonly beforeAll: number;
  /** Whether gocore's own sandbox is around it. */
  readonly isSandboxed: boolean;
  /** Whether the agent's own session can go on. */
  readonly canResume: boolean;
  /** Whether it was to go on with one. */
  readonly resumed: boolean;
}

export interface Adjustment {
  readonly trustDirectory?: boolean;
  readonly allowRoot?: boolean;
  readonly withoutOwnSandbox?: boolean;
  readonly includeDirectories?: boolean;
}

export type Remedy =
  | {
    readonly kind: "relaunch";
    readonly change: string;
    readonly adjustment: Adjustment;
    /** Whether the agent's session goes on, or a new one is told what is there. */
    readonly resume: boolean;
    readonly waitMs: number;
  }
  /** A person has to do something; the session waits for it. */
  | { readonly kind: "escalate"; readonly reason: string; readonly suggestions: readonly string[] }
  /** This agent will not get further; another one may. */
  | { readonly kind: "give_up"; readonly reason: string; readonly suggestions: readonly string[] };

/** How often one cause may be answered by another attempt. */
const ATTEMPTS: Readonly<Record<FailureCause, number>> = {
  include_directories: 1,
  trusted_directory: 1,
  root: 1,
  sandbox: 1,
  rate_limit: 3,
  network: 3,
  overloaded: 3,
  context: 1,
  no_answer: 1,
  output: 1,
  crashed: 2,
  model: 1,
  auth: 0,
  budget: 0,
  permission: 0,
  start: 0,
  arguments: 0,
};
const ATTEMPTS_IN_ALL = 5;
const FIRST_WAIT_MS = 5_000;
const MAX_TEXT = 2000;

const ADJUSTMENTS: Partial<Record<FailureCause, { change: string; adjustment: Adjustment }>> = {
  include_directories: {
    change: "started again with all directories that it needs (--include-directories, --add-dir)",
    adjustment: { includeDirectories: true },
  },
  trusted_directory: {
    change: "started again with the directory trusted (--skip-git-repo-check, --skip-trust)",
    adjustment: { trustDirectory: true },
  },
  root: { change: "started again as in a sandbox, because root is refused otherwise", adjustment: { allowRoot: true } },
  sandbox: {
    change: "started again without the agent's own sandbox, which cannot work here",
    adjustment: { withoutOwnSandbox: true },
  },
};

/** What an attempt after this cause keeps changed; nothing for most. */
export function adjustmentFor(cause: FailureCause): Adjustment {
  return ADJUSTMENTS[cause]?.adjustment ?? {};
}

/** Whether an attempt after this cause goes on with the agent's own session, where it can. */
export function keepsSession(cause: FailureCause): boolean {
  return KEEPS_SESSION.includes(cause);
}

const KEEPS_SESSION: readonly FailureCause[] = ["rate_limit", "overloaded", "network", "no_answer", "crashed"];

export function remedyFor(failed: Failed): Remedy {
  const { agent, cause, before, beforeAll, canResume, resumed, isSandboxed } = failed;
  // What the command line had besides was right before: the agent does not find its session any more.
  const isSessionLost = cause === "arguments" && resumed;
  // Nothing would be left around it.
  const isNeeded = cause === "sandbox" && !isSandboxed;
  const again = !isNeeded && before < (isSessionLost ? 1 : ATTEMPTS[cause]) && beforeAll < ATTEMPTS_IN_ALL;
  if (!again) return exhausted(failed);
  const known = ADJUSTMENTS[cause];
  if (known !== undefined) return { kind: "relaunch", ...known, resume: false, waitMs: 0 };
  const waitMs = FIRST_WAIT_MS * 4 ** before;
  const resume = canResume && keepsSession(cause);
  switch (cause) {
    case "rate_limit":
    case "overloaded":
    case "network":
      return relaunch(`goes on after a pause, because of ${WORDS[cause]}`, { resume, waitMs });
    case "context":
      return relaunch("a fresh session, told what is done already", { resume, waitMs: 0 });
    case "no_answer":
      return relaunch("asked once more for its final answer", { resume, waitMs: 0 });
    default:
      return relaunch(`${agent} is started again`, { resume, waitMs: waitMs / 5 });
  }
}

function relaunch(change: string, { resume, waitMs }: { resume: boolean; waitMs: number }): Remedy {
  return { kind: "relaunch", change, adjustment: {}, resume, waitMs };
}

function exhausted({ agent, cause, text, before, beforeAll }: Failed): Remedy {
  const tried = beforeAll === 0 ? "" : ` after ${beforeAll} further ${beforeAll === 1 ? "attempt" : "attempts"}`;
  const reason = `${agent} failed${tried} because of ${WORDS[cause]}: ${text.slice(0, MAX_TEXT)}`;
  const suggestions = SUGGESTIONS[cause] ?? [];
  // What a person can mend, and another agent on this machine would meet too.
  if (cause === "permission" && before === 0) return { kind: "escalate", reason, suggestions };
  return { kind: "give_up", reason, suggestions };
}

const WORDS: Readonly<Record<FailureCause, string>> = {
  auth: "a key or login that was refused",
  rate_limit: "a rate limit",
  network: "the network",
  overloaded: "an overloaded provider",
  context: "a conversation that is too long for the model",
  budget: "the budget",
  model: "an answer that the model did not give",
  trusted_directory: "a directory that is not trusted",
  include_directories: "a directory outside its workspace",
  root: "being root",
  sandbox: "its own sandbox",
  permission: "a permission of the system",
  arguments: "its command line",
  no_answer: "an end without an answer",
  output: "a flood of output",
  start: "a start that failed",
  crashed: "a crash",
};

const SUGGESTIONS: Partial<Record<FailureCause, readonly string[]>> = {
  auth: ["Check the provider's key in the environment of gocore (the agents never see it)"],
  rate_limit: ["Wait, or set rates in the gateway's configuration", "Give the task to another agent with --agents"],
  network: ["Check the connection to the provider, or its base URL"],
  budget: [
    "Raise --budget or --agent-budget, then `gocore orchestrate --resume SESSION`",
    "A model without a known price is refused under a budget: name another with --model, or its prices for the gateway",
  ],
  permission: [
    "Look at the permissions of the workspace and the target: `ls -la`",
    "Then answer the question, or `gocore orchestrate --resume SESSION`",
  ],
  arguments: ["The installed version may not know a flag: update the agent"],
  sandbox: ["Install bubblewrap, so that the agent needs no sandbox of its own: `apt-get install bubblewrap`"],
  context: ["Split the task, or name a model with a larger context with --model"],
};
