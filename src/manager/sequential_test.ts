/** How many runs it takes to know what a reproducer does, and what they add up to. */
import type { CandidateVerdict } from "../events/manager_events.ts";
import type { FailureSignature, RunJudgement } from "../oracle/expected.ts";
import { describeSignature, sameSignature } from "../oracle/signature.ts";

export interface ToldRun {
  readonly outcome: RunJudgement["outcome"];
  readonly reason: string;
  /** Of a match. */
  readonly signature: FailureSignature | null;
  readonly durationMs: number;
}

export interface Standing {
  readonly runs: number;
  /** Those that failed as expected, and all in the same way. */
  readonly matches: number;
  /** The way in which they did. */
  readonly signature: FailureSignature | null;
  /** 95 % of the share of matches, after Wilson. */
  readonly interval: readonly [number, number];
  /** Null: it takes more runs. */
  readonly verdict: Exclude<CandidateVerdict, "already_fixed"> | null;
  /** A sentence for people. */
  readonly reason: string;
}

/**
 * Without a match, Wald's sequential test is asked whether it is rather one failure in a hundred runs than three in ten
 * (5 % error each): it is sure after nine runs.
 */
const CLEAR_MISSES = Math.ceil(Math.log(0.05 / 0.95) / Math.log((1 - 0.3) / (1 - 0.01)));
/** Outcomes that no further run is likely to change: twice in a row is enough. */
const STEADY: ReadonlySet<RunJudgement["outcome"]> = new Set(["broken", "own_failure", "environment", "timeout"]);
const STEADY_RUNS = 2;
/** What comes and goes is run until its share is known this well, or so often, or for so long. */
const WANTED_WIDTH = 0.4;
const MAX_FLAKY_RUNS = 20;
const MAX_FLAKY_MS = 10 * 60_000;
const Z = 1.959964;

/**
 * What the runs so far say. `reproduced` takes `needed` runs, each of which failed as expected and in the same way.
 *
 * @param options.wanted only this way counts; undefined: the most frequent one
 */
export function standingOf(
  runs: readonly ToldRun[],
  { needed, wanted }: { readonly needed: number; readonly wanted: FailureSignature | undefined },
): Standing {
  const ways = waysOf(runs);
  const signature = wanted ?? ways[0] ?? null;
  const isMatch = (run: ToldRun) =>
    run.signature !== null && signature !== null && sameSignature(run.signature, signature);
  const matches = runs.filter(isMatch).length;
  const misses = runs.filter((run) => !isMatch(run));
  const interval = wilson(matches, runs.length);
  const standing = (verdict: Standing["verdict"], reason: string): Standing => ({
    runs: runs.length,
    matches,
    signature: matches === 0 ? null : signature,
    interval,
    verdict,
    reason,
  });

  if (misses.length === 0) {
    const isDone = runs.length >= Math.max(needed, 1);
    const text = signature === null ? "" : `: ${describeSignature(signature)}`;
    return standing(
      isDone ? "reproduced" : null,
      `It failed in the same way in ${share(runs.length, runs.length)}${text}`,
    );
  }
  const others = ways.length - (matches > 0 ? 1 : 0);
  const miss = others > 0 ? "it fails in different ways" : inSentence(mostFrequent(misses.map(({ reason }) => reason)));
  if (matches === 0) {
    const first = misses[0]!.outcome;
    const isSteady = STEADY.has(first) && misses.length >= STEADY_RUNS && misses.every((run) => run.outcome === first);
    const verdict = !isSteady && misses.length < CLEAR_MISSES
      ? null
      : isSteady && first === "broken"
      ? "unusable"
      : isSteady && first === "environment"
      ? "environment_error"
      : "not_reproduced";
    return standing(verdict, `It did not fail as expected in ${share(misses.length, runs.length)}: ${miss}`);
  }
  const spentMs = runs.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const isKnown = interval[1] - interval[0] <= WANTED_WIDTH || runs.length >= MAX_FLAKY_RUNS || spentMs >= MAX_FLAKY_MS;
  const isDone = runs.length >= needed && isKnown;
  const percent = interval.map((end) => `${Math.round(100 * end)} %`).join(" to ");
  return standing(
    isDone ? "flaky" : null,
    `It failed as expected in ${share(matches, runs.length)} (95 % interval ${percent}); otherwise ${miss}`,
  );
}

/** Wilson's score interval of a share; all that is possible when nothing was tried. */
export function wilson(hits: number, tries: number): [number, number] {
  if (tries === 0) return [0, 1];
  const share = hits / tries;
  const weight = Z * Z / tries;
  const centre = (share + weight / 2) / (1 + weight);
  const half = Z * Math.sqrt(share * (1 - share) / tries + weight / (4 * tries)) / (1 + weight);
  return [hits === 0 ? 0 : centre - half, hits === tries ? 1 : centre + half];
}

/** Each once, the most frequent first, the earlier one of equals. */
function waysOf(runs: readonly ToldRun[]): FailureSignature[] {
  const ways: { readonly signature: FailureSignature; count: number }[] = [];
  for (const { signature } of runs) {
    if (signature === null) continue;
    const known = ways.find((way) => sameSignature(way.signature, signature));
    if (known === undefined) ways.push({ signature, count: 1 });
    else known.count++;
  }
  return ways.sort((a, b) => b.count - a.count).map(({ signature }) => signature);
}

function mostFrequent(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? "";
}

/** A sentence within another. */
const inSentence = (text: string) => /^[A-Z][a-z]* /.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;

const share = (part: number, whole: number) =>
  whole === 1 ? "its only run" : part === whole ? `all of ${whole} runs` : `${part} of ${whole} runs`;
