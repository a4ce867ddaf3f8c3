/** Finds the line on which a field of a JSON text stands. */
import type { FieldPath } from "./issue_fields.ts";

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]|[^\s{}[\],:"]+/g;

/** Counted from 1; of the nearest field around it when it is not there. `text` is known to be JSON. */
export function fieldLine(text: string, path: FieldPath): number {
  const here: { key: string | number; isList: boolean }[] = [];
  let [best, bestLength] = [0, -1];
  let isValue = true;
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    const inside = here.at(-1);
    if (token === "}" || token === "]") {
      here.pop();
      continue;
    }
    if (token === ",") {
      if (inside?.isList) inside.key = Number(inside.key) + 1;
      isValue = inside?.isList ?? true;
      continue;
    }
    if (!isValue && inside !== undefined) {
      inside.key = JSON.parse(token);
      isValue = true;
      continue;
    }
    const length = sharedLength(here, path);
    if (length > bestLength) [best, bestLength] = [match.index, length];
    if (token === "{" || token === "[") {
      here.push({ key: token === "[" ? 0 : "", isList: token === "[" });
      isValue = token === "[";
    }
  }
  return text.slice(0, best).split("\n").length;
}

/** How far the way to a field leads here; -1: this is not on the way. */
function sharedLength(here: readonly { readonly key: string | number }[], path: FieldPath): number {
  return here.length <= path.length && here.every(({ key }, index) => key === path[index]) ? here.length : -1;
}
