/** The structure of a text that no grammar knows: brackets, indented blocks, paragraphs, lines, words. */
import { Node } from "./outline.ts";
import { type Span, tokensOf } from "./tokens.ts";

interface Line extends Span {
  readonly indent: number;
  /** Whether a blank line is before it. */
  readonly startsParagraph: boolean;
}

const OPENING = "([{";
const CLOSING = ")]}";

/** The nodes of `[from, to)`. */
export function plainOutline(text: string, from = 0, to = text.length): readonly Node[] {
  return new PlainReader(text, from, to).region(from, to);
}

class PlainReader {
  readonly #text: string;
  readonly #start: number;
  /** For each opening bracket, by its distance from the start, the distance of what closes it; 0 for others. */
  readonly #partner: Int32Array;

  constructor(text: string, from: number, to: number) {
    this.#text = text;
    this.#start = from;
    this.#partner = partnersIn(text, from, to);
  }

  region(from: number, to: number): readonly Node[] {
    const lines = this.#linesOf(from, to);
    if (lines.length > 1) return this.#paragraphs(lines);
    const { items, joints } = this.#itemsOf(from, to);
    if (joints.length === 0) return this.#tokens(from, to);
    return [...items.map((item) => this.#node("item", item, () => this.#tokens(item.from, item.to))), ...joints]
      .sort((a, b) => a.from - b.from);
  }

  /** Lines that are not within brackets which they do not open themselves; blank ones are left out. */
  #linesOf(from: number, to: number): Line[] {
    const lines: Line[] = [];
    let startsParagraph = false;
    for (let start = from, end: number; start < to; start = end + 1) {
      for (end = start; end < to && this.#text[end] !== "\n"; end++) end = this.#closingOf(end, to);
      const span = this.#trimmed(start, Math.min(end, to));
      if (span === undefined) startsParagraph = true;
      else {
        lines.push({ ...span, indent: span.from - start, startsParagraph: startsParagraph && lines.length > 0 });
        startsParagraph = false;
      }
    }
    return lines;
  }

  #paragraphs(lines: readonly Line[]): readonly Node[] {
    const paragraphs: Line[][] = [];
    const least = lines.reduce((indent, line) => Math.min(indent, line.indent), Infinity);
    for (const line of lines) {
      if (paragraphs.length === 0 || (line.startsParagraph && line.indent === least)) paragraphs.push([]);
      paragraphs.at(-1)!.push(line);
    }
    if (paragraphs.length === 1 || paragraphs.length === lines.length) return this.#blocks(lines);
    return paragraphs.map((group) =>
      group.length === 1 ? this.#line(group[0]!) : this.#node(
        "paragraph",
        { from: group[0]!.from, to: group.at(-1)!.to },
        () => this.#blocks(group),
      )
    );
  }

  /** A line and those after it that are indented more make a block. */
  #blocks(lines: readonly Line[]): readonly Node[] {
    const nodes: Node[] = [];
    for (let i = 0, end: number; i < lines.length; i = end) {
      const head = lines[i]!;
      for (end = i + 1; end < lines.length && lines[end]!.indent > head.indent;) end++;
      if (end === i + 1) nodes.push(this.#line(head));
      else {
        const body = lines.slice(i + 1, end);
        const span = { from: head.from, to: body.at(-1)!.to };
        nodes.push(this.#node("block", span, () => [this.#line(head), ...this.#blocks(body)]));
      }
    }
    return nodes;
  }

  #line(span: Span): Node {
    return this.#node("line", span, () => this.region(span.from, span.to));
  }

  /** What commas or semicolons outside of brackets separate, within brackets only. */
  #itemsOf(from: number, to: number): { items: Span[]; joints: Node[] } {
    const items: Span[] = [];
    const joints: Node[] = [];
    let start = from;
    for (let i = from; i <= to; i++) {
      const isJoint = i < to && (this.#text[i] === "," || this.#text[i] === ";");
      if (isJoint || i === to) {
        const item = this.#trimmed(start, i);
        if (item !== undefined) items.push(item);
        start = i + 1;
      }
      if (isJoint) joints.push(new Node({ from: i, to: i + 1 }, { sort: "joint", kind: "joint", roles: [] }));
      else if (i < to) i = this.#closingOf(i, to);
    }
    return { items, joints };
  }

  #tokens(from: number, to: number): readonly Node[] {
    const nodes: Node[] = [];
    for (let i = from; i < to;) {
      // Up to the next bracket that has a partner.
      let end = i;
      while (end < to && this.#closingOf(end, to) === end) end++;
      for (const token of tokensOf(this.#text, i, end)) {
        if (this.#trimmed(token.from, token.to) !== undefined) nodes.push(this.#node("word", token));
      }
      if (end < to) {
        const close = this.#closingOf(end, to);
        const inner = { from: end + 1, to: close };
        nodes.push(
          this.#node("brackets", { from: end, to: close + 1 }, () => this.region(inner.from, inner.to), inner),
        );
        end = close + 1;
      }
      i = end;
    }
    return nodes;
  }

  /** Where the bracket at `position` is closed before `end`; `position` itself when it is none. */
  #closingOf(position: number, end: number): number {
    const partner = this.#partner[position - this.#start]!;
    return partner === 0 || partner + this.#start >= end ? position : partner + this.#start;
  }

  #trimmed(from: number, to: number): Span | undefined {
    while (from < to && isBlank(this.#text.charCodeAt(from))) from++;
    while (from < to && isBlank(this.#text.charCodeAt(to - 1))) to--;
    return from < to ? { from, to } : undefined;
  }

  #node(kind: string, span: Span, children?: () => readonly Node[], inner?: Span): Node {
    const traits = { sort: "solid", kind, roles: [] } as const;
    return new Node(span, traits, children && (() => ({ children: children(), inner })));
  }
}

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0xfeff;
}

/** How many brackets have no partner. */
export function countUnmatched(text: string): number {
  let brackets = 0;
  for (const character of text) if (OPENING.includes(character) || CLOSING.includes(character)) brackets++;
  return brackets - 2 * partnersIn(text, 0, text.length).filter((partner) => partner > 0).length;
}

function partnersIn(text: string, from: number, to: number): Int32Array {
  const partner = new Int32Array(to - from);
  const open: number[] = [];
  for (let i = from; i < to; i++) {
    const character = text[i]!;
    if (OPENING.includes(character)) open.push(i);
    const closes = CLOSING.indexOf(character);
    // One that closes something else than what was opened last has no partner.
    if (closes >= 0 && open.length > 0 && text[open.at(-1)!] === OPENING[closes]) {
      partner[open.pop()! - from] = i - from;
    }
  }
  return partner;
}
