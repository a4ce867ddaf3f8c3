/** Where to begin with mending, as the best hypotheses say. */
import type { RankedHypothesis } from "./ports.ts";

export interface EvidencePlace {
  readonly file: string;
  readonly line: number;
}

const MAX_HYPOTHESES = 3;
const MAX_TARGETS = 5;

/** The first evidence of each of the best hypotheses, then their other evidence, each place once. */
export function fixTargets(hypotheses: readonly RankedHypothesis[]): EvidencePlace[] {
  const best = hypotheses.slice(0, MAX_HYPOTHESES).map(({ evidence }) => evidence);
  const ordered = [...best.flatMap(([first]) => first ?? []), ...best.flatMap((evidence) => evidence.slice(1))];
  const targets = new Map(ordered.map(({ file, line }) => [`${file}:${line}`, { file, line }]));
  return [...targets.values()].slice(0, MAX_TARGETS);
}
