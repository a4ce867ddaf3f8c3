/** Replacements in a sequence, all in the coordinates of one base, so that they can be combined. */

/** Takes `[from, to)` of the base away and puts `text` there; a sequence that is no text only loses. */
export interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Sorted, and none touches what another replaces. */
export type Edits = readonly Edit[];

export function applyEdits(base: string, edits: Edits): string {
  let result = "";
  let end = 0;
  for (const { from, to, text } of edits) {
    result += base.slice(end, from) + text;
    end = to;
  }
  return result + base.slice(end);
}

export function keptElements<T>(base: readonly T[], edits: Edits): T[] {
  const kept: T[] = [];
  let end = 0;
  for (const { from, to } of edits) {
    for (let i = end; i < from; i++) kept.push(base[i]!);
    end = to;
  }
  for (let i = end; i < base.length; i++) kept.push(base[i]!);
  return kept;
}

/** By how much they make the base shorter. */
export function savingOf(edits: Edits): number {
  return edits.reduce((sum, { from, to, text }) => sum + to - from - text.length, 0);
}

/** Whether all of `[from, to)` is taken away. */
export function isGone(edits: Edits, from: number, to: number): boolean {
  const edit = edits[firstEndingAfter(edits, from)];
  return edit !== undefined && edit.from <= from && to <= edit.to;
}

/**
 * `taken` and `added` together: what is replaced as a whole needs no edit within, and a later one of the same range
 * stands for the former. Undefined when two of them replace parts of each other; `taken` itself when nothing new is left.
 */
export function combineEdits(taken: Edits, added: Edits): Edits | undefined {
  const news = new Set(added);
  const result: Edit[] = [];
  for (let edit of inOrder(taken, added.toSorted((a, b) => a.from - b.from))) {
    let isNeeded = true;
    for (let last = result.at(-1); isNeeded && last !== undefined && last.to > edit.from; last = result.at(-1)) {
      const isWithinLast = edit.to <= last.to;
      if (edit.from === last.from && edit.to === last.to) isNeeded = news.has(edit) && edit.text !== last.text;
      else if (isWithinLast) isNeeded = false;
      else if (last.from !== edit.from) {
        if (last.text !== "" || edit.text !== "") return undefined;
        edit = { from: last.from, to: edit.to, text: "" };
        news.add(edit);
      }
      if (isNeeded) result.pop();
    }
    if (isNeeded) result.push(edit);
  }
  return result.some((edit) => news.has(edit)) ? result : taken;
}

/** By their start, those taken first. */
function* inOrder(taken: Edits, added: Edits): Generator<Edit> {
  let next = 0;
  for (const edit of added) {
    for (; next < taken.length && taken[next]!.from <= edit.from; next++) yield taken[next]!;
    yield edit;
  }
  yield* taken.slice(next);
}

function firstEndingAfter(edits: Edits, position: number): number {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edits[middle]!.to > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
