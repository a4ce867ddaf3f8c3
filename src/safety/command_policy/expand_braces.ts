/** Brace expansion of a word's source text: `{rm,-rf,/}` is three words. */
import { NAME } from "./marks.ts";

/** The texts of the words, or undefined when there are more than `max`. Quotes and expansions are left as they are. */
export function expandBraces(text: string, max: number): string[] | undefined {
  let done: string[] = [""];
  let start = 0;
  for (let i = 0; i < text.length; i = skipUnit(text, i)) {
    if (text[i] !== "{") continue;
    const group = readGroup(text, i);
    if (group === undefined) continue;
    const before = text.slice(start, i);
    const choices: string[] = [];
    for (const member of group.members) {
      const expanded = member.includes("{") ? expandBraces(member, max) : [member];
      if (expanded === undefined) return undefined;
      choices.push(...expanded);
    }
    if (done.length * choices.length > max) return undefined;
    done = done.flatMap((head) => choices.map((choice) => head + before + choice));
    start = group.end;
    i = group.end - 1;
  }
  return done.map((head) => head + text.slice(start));
}

/** The index after a quoted part, an expansion, or one character. */
function skipUnit(text: string, i: number): number {
  const c = text[i]!;
  if (c === "\\") return i + 2;
  if (c === "'") return endAfter(text.indexOf("'", i + 1), text);
  if (c === "`") return endAfter(text.indexOf("`", i + 1), text);
  if (c === '"') return afterQuote(text, i + 1, '"');
  if (c === "$" && text[i + 1] === "'") return afterQuote(text, i + 2, "'");
  if (c === "$" && (text[i + 1] === "{" || text[i + 1] === "(")) {
    const [open, close] = text[i + 1] === "{" ? ["{", "}"] : ["(", ")"];
    let depth = 0;
    for (let j = i + 1; j < text.length; j++) {
      if (text[j] === open) depth++;
      else if (text[j] === close && --depth === 0) return j + 1;
    }
    return text.length;
  }
  return i + 1;
}

/** The index after a quote in which a backslash protects the next character. */
function afterQuote(text: string, start: number, quote: string): number {
  let i = start;
  while (i < text.length && text[i] !== quote) i += text[i] === "\\" ? 2 : 1;
  return i + 1;
}

const endAfter = (found: number, text: string) => found < 0 ? text.length : found + 1;

function readGroup(text: string, open: number): { members: string[]; end: number } | undefined {
  const members: string[] = [];
  let depth = 0, from = open + 1;
  for (let i = open; i < text.length;) {
    const c = text[i]!;
    if (c === "{") depth++;
    else if (c === "}" && --depth === 0) {
      members.push(text.slice(from, i));
      if (members.length > 1) return { members, end: i + 1 };
      const range = /^(-?\d+|[a-zA-Z])\.\.(-?\d+|[a-zA-Z])(?:\.\.-?\d+)?$/.test(members[0]!);
      return range ? { members: [NAME], end: i + 1 } : undefined;
    } else if (c === "," && depth === 1) {
      members.push(text.slice(from, i));
      from = i + 1;
    }
    i = skipUnit(text, i);
  }
  return undefined;
}
