/** Changing the order of two lines, which saves the line end when the order does not matter but the start of a line does. */
import { type Choice, inTurn, single } from "./choice.ts";
import type { Edit } from "./edits.ts";

/** More lines are not worth a question each. */
const MAX_LINES = 20;

/** For each two neighbouring lines, the second before the first on the same line. */
export function swaps(text: string): Choice {
  const lines = text.split("\n");
  if (lines.length > MAX_LINES) return inTurn([]);
  const edits: Edit[] = [];
  for (let i = 0, from = 0; i + 1 < lines.length; from += lines[i]!.length + 1, i++) {
    const first = lines[i]!;
    const second = lines[i + 1]!;
    edits.push({ from, to: from + first.length + 1 + second.length, text: second + first });
  }
  return inTurn(edits.map((edit) => single(edit)));
}
