/** Says where two JSON values differ, and how alike they are, in bounded time. */

export interface Difference {
  /** `messages[3].content[0].text`; empty for the values themselves. */
  readonly path: string;
  /** Shortened JSON, or `nothing` where there is no such member. */
  readonly recorded: string;
  readonly asked: string;
}

/** A little more than `normalise.ts` leaves of a request: whatever makes two of them differ is found. */
const MAX_DEPTH = 510;
const SHOWN_CHARACTERS = 120;
/** What is shown of the text before the place where two texts begin to differ. */
const SHOWN_BEFORE = 30;

/** The first `limit` places in which the values differ. */
export function differencesOf(recorded: unknown, asked: unknown, limit: number): Difference[] {
  const found: Difference[] = [];
  compare(recorded, asked, { path: "", depth: 0, limit, found });
  return found;
}

interface Comparison {
  readonly path: string;
  readonly depth: number;
  readonly limit: number;
  readonly found: Difference[];
}

function compare(a: unknown, b: unknown, { path, depth, limit, found }: Comparison): void {
  if (a === b || found.length >= limit || depth > MAX_DEPTH) return;
  const isContainer = typeof a === "object" && typeof b === "object" && a !== null && b !== null;
  if (!isContainer || Array.isArray(a) !== Array.isArray(b)) {
    found.push({ path, ...shorten(a, b) });
    return;
  }
  const isArray = Array.isArray(a);
  const left = new Map(Object.entries(a));
  const right = new Map(Object.entries(b));
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const inside = isArray ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
    compare(left.get(name), right.get(name), { path: inside, depth: depth + 1, limit, found });
  }
}

function shorten(a: unknown, b: unknown): { recorded: string; asked: string } {
  if (typeof a !== "string" || typeof b !== "string") return { recorded: excerpt(a, 0), asked: excerpt(b, 0) };
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  const from = Math.max(same - SHOWN_BEFORE, 0);
  return { recorded: excerpt(a, from), asked: excerpt(b, from) };
}

function excerpt(value: unknown, from: number): string {
  if (value === undefined) return "nothing";
  // A part of a text before it becomes JSON, so that a long one costs little.
  const isText = typeof value === "string";
  const json = JSON.stringify(isText ? value.slice(from, from + SHOWN_CHARACTERS).toWellFormed() : value);
  const start = isText && from > 0 ? "…" : "";
  const isCut = isText ? value.length > from + SHOWN_CHARACTERS : json.length > SHOWN_CHARACTERS;
  return `${start}${json.slice(0, SHOWN_CHARACTERS).toWellFormed()}${isCut ? "…" : ""}`;
}

/** Hashes of a value's leaves with their places: the smallest ones, sorted, each once. */
export type Sketch = Uint32Array;

const MAX_LEAVES = 4096;

export function sketchOf(value: unknown): Sketch {
  const hashes = new Set<number>();
  const walk = (part: unknown, place: number, depth: number) => {
    if (typeof part === "object" && part !== null && depth <= MAX_DEPTH) {
      for (const [name, member] of Object.entries(part)) walk(member, hash(name, place), depth + 1);
    } else hashes.add(hash(String(part), place));
  };
  walk(value, 0x811c9dc5, 0);
  return Uint32Array.from(hashes).sort().slice(0, MAX_LEAVES);
}

/** The share of the leaves that two values have in common, from 0 to 1. */
export function similarity(a: Sketch, b: Sketch): number {
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [left, right] = [a[i]!, b[j]!];
    if (left === right) shared++;
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return shared / Math.max(a.length + b.length - shared, 1);
}

/** FNV-1a over the text's code units, going on from `seed`. */
function hash(text: string, seed: number): number {
  let result = seed;
  for (let at = 0; at < text.length; at++) result = Math.imul(result ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(result ^ 0xff, 0x01000193) >>> 0;
}
