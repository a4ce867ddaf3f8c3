/** Shorter names, numbers and blanks: what a token says less briefly than it could. */
import { type Choice, either, inTurn, single, together } from "./choice.ts";
import { leavesOf, type Node } from "./outline.ts";
import { WORD } from "./tokens.ts";

const NAME = /name|identifier|definition|property|label|word/i;
const NUMBER = /^[0-9][0-9A-Za-z_.]+$/;
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

export interface SimplificationOptions {
  /** Blocks are made by indentation. */
  readonly isIndented: boolean;
  /** Whether a word has to stay for its place in the syntax: else those that are needed are needed as they are. */
  readonly isStrict: boolean;
}

/** All of a kind at once, then fewer. */
export function simplifications(text: string, root: Node, { isIndented, isStrict }: SimplificationOptions): Choice {
  const leaves = [...leavesOf(root)];
  const { own, foreign } = names(text, leaves);
  const all = together([...own, ...numbers(text, leaves), ...blanks(text, leaves, isIndented)]);
  return inTurn(isStrict ? [all, together(foreign)] : [all]);
}

/** Each name everywhere it stands; what stands once is likely to be of others, who look for it. */
function names(text: string, leaves: readonly Node[]): { own: Choice[]; foreign: Choice[] } {
  const places = new Map<string, Node[]>();
  const used = new Set<string>();
  for (const leaf of leaves) {
    const word = text.slice(leaf.from, leaf.to);
    used.add(word);
    // The grammars call a keyword by itself.
    if (!NAME.test(leaf.kind) || leaf.kind === word || !/^\p{L}|^[_$]/u.test(word) || word.length < 2) continue;
    const known = places.get(word);
    if (known === undefined) places.set(word, [leaf]);
    else known.push(leaf);
  }
  const fresh = shortNames(used);
  const own: Choice[] = [];
  const foreign: Choice[] = [];
  for (const [word, nodes] of places) {
    const name = fresh.next().value!;
    if (name.length >= word.length) continue;
    (nodes.length > 1 ? own : foreign).push(single(...nodes.map(({ from, to }) => ({ from, to, text: name }))));
  }
  return { own, foreign };
}

function* shortNames(used: ReadonlySet<string>): Generator<string, never> {
  for (const letter of LETTERS) if (!used.has(letter)) yield letter;
  for (let i = 0;; i++) {
    const name = `${LETTERS[i % LETTERS.length]}${Math.floor(i / LETTERS.length)}`;
    if (!used.has(name)) yield name;
  }
}

function numbers(text: string, leaves: readonly Node[]): Choice[] {
  return leaves.filter(({ from, to }) => to - from > 1 && NUMBER.test(text.slice(from, to)))
    .map(({ from, to }) => either(single({ from, to, text: "0" }), single({ from, to, text: "1" })));
}

/** What is between two neighbouring leaves, when it is blank. */
interface Gap {
  readonly from: number;
  readonly to: number;
  /** Whether a line ends there and has to: brackets do not continue it, and its language or a directive needs it. */
  readonly endsLine: boolean;
  /** How many blocks the line after it is in. */
  readonly level: number;
  /** What has to stay so that two words do not become one. */
  readonly least: string;
}

function* gapsOf(text: string, leaves: readonly Node[], isIndented: boolean): Generator<Gap> {
  const indents = [0];
  let isDirective = false;
  let depth = 0;
  let end = 0;
  for (const leaf of [...leaves, undefined]) {
    const from = leaf?.from ?? text.length;
    const blank = text.slice(end, from);
    const isEdge = end === 0 || leaf === undefined;
    const joins = !isEdge && WORD.test(text.slice(end - 1, end)) && WORD.test(text.slice(from, from + 1));
    const newline = blank.lastIndexOf("\n");
    const wasDirective = isDirective;
    if (newline >= 0 || end === 0) isDirective = text.startsWith("#", from);
    const needsLine = isIndented ? depth === 0 : wasDirective || isDirective;
    const endsLine = newline >= 0 && !isEdge && needsLine;
    if (endsLine) {
      const indent = blank.length - newline - 1;
      while (indents.at(-1)! > indent) indents.pop();
      if (indent > indents.at(-1)!) indents.push(indent);
    }
    if (blank !== "") yield { from: end, to: from, endsLine, level: indents.length - 1, least: joins ? " " : "" };
    if (leaf === undefined) return;
    if (leaf.kind === "bracket") depth += "([{".includes(text[leaf.from]!) ? 1 : -1;
    end = leaf.to;
  }
}

/** No blank but where two words would touch or a line has to end; of an indentation its depth. */
function blanks(text: string, leaves: readonly Node[], isIndented: boolean): Choice[] {
  const gaps = [...gapsOf(text, leaves, isIndented)];
  const shorten = (chosen: readonly Gap[], replacement: (gap: Gap) => string) =>
    chosen.map((gap) => ({ from: gap.from, to: gap.to, text: replacement(gap) }))
      .filter((edit) => edit.text.length < edit.to - edit.from);
  const shortest = ({ endsLine, level, least }: Gap) => endsLine ? "\n" + " ".repeat(isIndented ? level : 0) : least;
  const all = shorten(gaps, shortest);
  if (all.length === 0) return [];
  if (isIndented) {
    // One line of a block cannot be moved without the others.
    const lines = shorten(gaps.filter(({ endsLine }) => endsLine), shortest);
    const spaces = shorten(gaps.filter(({ endsLine }) => !endsLine), shortest);
    return [...lines.length > 0 ? [single(...lines)] : [], ...spaces.map((edit) => single(edit))];
  }
  const careful = shorten(gaps, (gap) => text.slice(gap.from, gap.to).includes("\n") ? "\n" : shortest(gap));
  return [either(single(...all), together(careful.map((edit) => single(edit))))];
}

/** Puts what a line introduces behind it: the only statement of a block, in languages that indent. */
export function joins(text: string, root: Node): Choice {
  const gaps = [...gapsOf(text, [...leavesOf(root)], true)].filter(({ endsLine }) => endsLine);
  return together(
    gaps.filter(({ from, level }, i) => text[from - 1] === ":" && (gaps[i + 1]?.level ?? 0) < level)
      .map(({ from, to }) => single({ from, to, text: "" })),
  );
}
