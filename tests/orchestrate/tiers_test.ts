import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { tierOf } from "../../src/orchestrate/tiers.ts";

const ideal = { tier: 1, name: "ideal", description: "gemini, claude and codex" };
const acceptable = {
  tier: 2,
  name: "acceptable",
  description: "gemini and claude; the orchestrator's own agent reviews",
};
const withoutClaude = { tier: 3, name: "degraded", description: "gemini and codex" };
const withoutGemini = { tier: 4, name: "degraded", description: "claude and codex" };
const solo = (description: string) => ({ tier: 5, name: "solo", description });

Deno.test("every set of agents has the tier of the seed", () => {
  const table = [
    ["", solo("nobody")],
    ["gemini", solo("gemini alone")],
    ["claude", solo("claude alone")],
    ["codex", solo("codex alone")],
    ["mini", solo("mini alone")],
    ["gemini mini", solo("gemini and mini alone")],
    ["claude mini", solo("claude and mini alone")],
    ["codex mini", solo("codex and mini alone")],
    ["gemini claude", acceptable],
    ["gemini claude mini", acceptable],
    ["gemini codex", withoutClaude],
    ["gemini codex mini", withoutClaude],
    ["claude codex", withoutGemini],
    ["claude codex mini", withoutGemini],
    ["gemini claude codex", ideal],
    ["gemini claude codex mini", ideal],
  ] as const;
  for (const [agents, tier] of table) {
    const ready = agents.split(" ").filter((agent) => agent !== "");
    deepEqual(tierOf(ready), tier, agents);
    if (tier.tier < 5) deepEqual(tierOf(ready.toReversed()), tier, `${agents}, in another order`);
  }
});
