/** What a pass offers: edits to be made together, and what to offer next, after a yes or a no. */
import type { Edit, Edits } from "./edits.ts";
import type { Span } from "./tokens.ts";

export interface Choice {
  /** In the coordinates of the base; `taken` is what was accepted before. Nothing when there is nothing to do. */
  edits(taken: Edits): Edits;
  /** Asked in this order, before all that was still to be asked. Pure: the same choices every time. */
  after(accepted: boolean): readonly Choice[];
  /** What it leaves may be as long as what was: it is simpler all the same. */
  readonly mayBeAsLong?: boolean;
}

/** One set of edits that nothing follows from. */
export function single(...edits: Edit[]): Choice {
  return { edits: () => edits, after: () => [] };
}

/** No question of its own: each of them, in order. */
export function inTurn(choices: readonly Choice[]): Choice {
  return { edits: () => [], after: () => choices };
}

/** The second only when the first was refused. */
export function either(first: Choice, second: Choice): Choice {
  return {
    edits: (taken) => first.edits(taken),
    after: (accepted) => accepted ? first.after(true) : [second],
  };
}

/** All at once; then half of them and half of them, the later ones first, since what comes later uses what is before. */
export function together(choices: readonly Choice[]): Choice {
  if (choices.length === 1) return choices[0]!;
  return {
    edits: (taken) => choices.flatMap((choice) => choice.edits(taken)),
    after: (accepted) => {
      if (accepted || choices.length === 0) return [];
      const middle = choices.length >> 1;
      return [together(choices.slice(middle)), together(choices.slice(0, middle))];
    },
  };
}

/**
 * Leaves out units when few of them are needed. What halving asks of a half whose other half could go is known already,
 * so that it needs fewer questions than counters that make all subsets smaller at the same time (CDD, arXiv 2408.04735).
 */
export function dropHalves(units: readonly Span[]): Choice {
  return together(units.map(({ from, to }) => single({ from, to, text: "" })));
}

/**
 * Leaves out neighbours from the end on, twice as many after every yes and half as many after a no, so that a long run
 * costs few questions and a unit that must stay costs one: best when most are needed. When all answers were no, each unit was asked for alone.
 */
export function dropRuns(units: readonly Span[], last = units.length - 1, length = 1): Choice {
  if (last < 0) return inTurn([]);
  const first = Math.max(0, last - length + 1);
  return {
    edits: () => [{ from: units[first]!.from, to: units[last]!.to, text: "" }],
    after: (accepted) => {
      if (accepted) return [dropRuns(units, first - 1, length * 2)];
      return [length === 1 ? dropRuns(units, last - 1) : dropRuns(units, last, length >> 1)];
    },
  };
}

/**
 * Only one half, of that one half, as long as that does: at most two questions for each halving, and two in vain where
 * what is needed is spread. Cut at the line end, blank or character that is nearest to the middle.
 */
export function keepHalves(text: string, from = 0, to = text.length): Choice {
  const middle = middleOf(text, from, to);
  if (middle === undefined) return inTurn([]);
  const first = { edits: () => [{ from: middle, to: text.length, text: "" }] };
  const second = { edits: () => [{ from: 0, to: middle, text: "" }] };
  return {
    ...first,
    after: (accepted) =>
      accepted
        ? [keepHalves(text, from, middle)]
        : [{ ...second, after: (accepted) => accepted ? [keepHalves(text, middle, to)] : [] }],
  };
}

/** The cut nearest to the middle that leaves something on both sides and is no more than a quarter away from it. */
function middleOf(text: string, from: number, to: number): number | undefined {
  const middle = (from + to + 1) >> 1;
  const reach = (to - from) >> 2;
  for (const mark of ["\n", " "]) {
    const before = text.lastIndexOf(mark, middle - 1) + 1;
    const after = text.indexOf(mark, middle) + 1;
    const nearest = after > 0 && after - middle < middle - before ? after : before;
    if (Math.abs(nearest - middle) <= reach && nearest > from && nearest < to) return nearest;
  }
  const isInPair = /^[\uDC00-\uDFFF]/.test(text.slice(middle, middle + 1)) &&
    /[\uD800-\uDBFF]$/.test(text.slice(0, middle));
  const cut = isInPair ? middle - 1 : middle;
  return cut > from && cut < to ? cut : undefined;
}
