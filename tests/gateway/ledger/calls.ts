/** Calls and their ends, for tests of the ledger. */
import type { CallEntry, Settlement } from "../../../src/gateway/ledger/entry.ts";

export const USD = 1e12;

export const call = (id: string, part: Partial<CallEntry> = {}): CallEntry => ({
  id,
  run: "r",
  worker: "w",
  keyId: null,
  upstream: "anthropic",
  provider: "anthropic",
  model: "claude-sonnet-4-5",
  dialect: "anthropic",
  streamed: true,
  ...part,
});

export const end = (cost: number | null, part: Partial<Settlement> = {}): Settlement => ({
  outcome: "answered",
  status: 200,
  answeredModel: "claude-sonnet-4-5-20250929",
  usage: { input: 10, cacheRead: 20, cacheWrite: 30, output: 40, reasoning: 5 },
  usageSource: "provider",
  cost,
  costSource: cost === null ? "unknown" : "list",
  mayHaveCostMore: false,
  attempts: 1,
  durationMs: 12.5,
  firstByteMs: 3,
  ...part,
});

/** Some time on 2026-11-21, UTC. */
export const NOON = Date.UTC(2026, 10, 21, 12);

// For the callers in several processes: anybody can tell from a call's id what it reserves and costs.

export const CALLERS = 16;
export const CAP_USD = 2;

const numberOf = (id: string) => [...id].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 1_000_003, 7);
export const amountOf = (id: string) => 1 + (numberOf(id) % 1000) * 2_000_000;
export const costOf = (id: string) => Math.floor(amountOf(id) * ((numberOf(id) % 7) / 7));
