/** Whether a worker lives, by evidence: its stream, its calls at the gateway, its commands, its files. */
import type { LivenessVerdict } from "../events/session_events.ts";

export interface Evidence {
  readonly nowMs: number;
  /** The process is there. */
  readonly isRunning: boolean;
  readonly isPaused: boolean;
  /** Last byte of its stream, or its start. */
  readonly lastOutputMs: number;
  /** Since when a call of it is under way at the gateway; undefined: none. */
  readonly callSinceMs: number | undefined;
  /** It waits at the gateway for its turn, or was told to. */
  readonly isHeldBack: boolean;
  /** It has a command running. */
  readonly hasCommand: boolean;
  /** When its files changed last. */
  readonly lastChangeMs: number;
  /** CPU of its processes moved since the last look. */
  readonly usesCpu: boolean;
  /** How often in a row it has done the same, with the same outcome. */
  readonly repeats: number;
}

export interface LivenessLimits {
  /** Without any evidence for this long a worker is stalled. */
  readonly stallMs: number;
  /** The same command with the same output so often is spinning. */
  readonly spinRepeats: number;
  /** A single call or command may not take longer. */
  readonly waitMs: number;
}

export const DEFAULT_LIVENESS: LivenessLimits = { stallMs: 300_000, spinRepeats: 8, waitMs: 1_800_000 };

export interface Judged {
  readonly verdict: LivenessVerdict;
  readonly proof: string;
  readonly idleSeconds: number;
}

export function judgeLiveness(evidence: Evidence, limits: LivenessLimits = DEFAULT_LIVENESS): Judged {
  const { nowMs, lastOutputMs, lastChangeMs, callSinceMs, hasCommand, repeats } = evidence;
  const idleMs = nowMs - Math.max(lastOutputMs, lastChangeMs);
  const found = (verdict: LivenessVerdict, proof: string): Judged => ({
    verdict,
    proof,
    idleSeconds: Math.max(Math.round(idleMs / 1000), 0),
  });
  if (!evidence.isRunning) return found("dead", "its process is gone");
  if (evidence.isPaused) return found("paused", "it is held");
  if (evidence.isHeldBack) return found("backoff", "its call waits for its turn at the gateway");
  if (repeats >= limits.spinRepeats) {
    return found("spinning", `the same command with the same output, ${repeats} times`);
  }
  if (callSinceMs !== undefined && nowMs - callSinceMs < limits.waitMs) {
    return found("waiting_model", `a call is under way for ${seconds(nowMs - callSinceMs)}`);
  }
  if (idleMs < limits.stallMs) return found("working", `a sign of it ${seconds(idleMs)} ago`);
  if (hasCommand && evidence.usesCpu && idleMs < limits.waitMs) {
    return found("waiting_tool", `a command is working, for ${seconds(idleMs)} without output`);
  }
  const call = callSinceMs === undefined ? "no call" : `a call without an end for ${seconds(nowMs - callSinceMs)}`;
  return found("stalled", `no output and no change of files for ${seconds(idleMs)}, ${call}`);
}

function seconds(ms: number): string {
  return `${Math.max(Math.round(ms / 1000), 0)} s`;
}
