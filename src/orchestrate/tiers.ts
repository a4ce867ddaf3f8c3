/** The five tiers of the seed's "Fallback Strategy": what a session can be with the agents that are there. */

export interface Tier {
  readonly tier: 1 | 2 | 3 | 4 | 5;
  readonly name: string;
  readonly description: string;
}

const TIERS: readonly { readonly tier: Tier; readonly needs: readonly string[] }[] = [
  { needs: ["gemini", "claude", "codex"], tier: { tier: 1, name: "ideal", description: "gemini, claude and codex" } },
  {
    needs: ["gemini", "claude"],
    tier: { tier: 2, name: "acceptable", description: "gemini and claude; the orchestrator's own agent reviews" },
  },
  { needs: ["gemini", "codex"], tier: { tier: 3, name: "degraded", description: "gemini and codex" } },
  { needs: ["claude", "codex"], tier: { tier: 4, name: "degraded", description: "claude and codex" } },
];

/** @param ready the names of the agents that can work */
export function tierOf(ready: readonly string[]): Tier {
  const found = TIERS.find(({ needs }) => needs.every((agent) => ready.includes(agent)));
  if (found !== undefined) return found.tier;
  const description = ready.length === 0 ? "nobody" : `${ready.join(" and ")} alone`;
  return { tier: 5, name: "solo", description };
}
