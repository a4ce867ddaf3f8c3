/** Costs, spans of time and counts as the facts of a report. */
import { duration } from "../../terminal/session_notes.ts";
import { type Cell, type Fact, factsOf, timeText } from "./document.ts";

export interface Amounts {
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly elapsed_seconds: number;
  readonly cost_usd: number | null;
  readonly known_cost_usd: number;
  readonly calls: number;
}

export function amountFacts(amounts: Amounts): Fact[] {
  const { started_at, ended_at, elapsed_seconds, calls } = amounts;
  return factsOf([
    ["Started", timeText(started_at)],
    ["Ended", timeText(ended_at)],
    ["Took", started_at === null ? null : duration(elapsed_seconds)],
    ["Cost", costText(amounts)],
    ["Model calls", calls],
  ]);
}

export function costText({ cost_usd, known_cost_usd }: Pick<Amounts, "cost_usd" | "known_cost_usd">): string {
  if (cost_usd !== null) return dollars(cost_usd);
  return known_cost_usd > 0 ? `at least ${dollars(known_cost_usd)}` : "unknown";
}

export function dollars(usd: number): string {
  return `${usd.toFixed(usd !== 0 && usd < 1 ? 4 : 2)} USD`;
}

export function codes(names: Iterable<string>): Cell | null {
  const text = [...names].join(", ");
  return text === "" ? null : { code: text };
}
