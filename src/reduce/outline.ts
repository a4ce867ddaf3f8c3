/** The structure of a text as the passes see it: nodes that can be left out, and what stands between them. */
import type { Span } from "./tokens.ts";

export interface NodeTraits {
  /** A solid node can be left out for itself; a joint (comma, operator) goes with the solid one that it joins. */
  readonly sort: "solid" | "joint";
  /** The grammar's name for it, or `brackets`, `line`, `word`, … */
  readonly kind: string;
  /** What it can stand for: nodes that have one in common may replace each other. */
  readonly roles: readonly string[];
  /** One token of its language; what it has for children is in there as text (a comment's words). */
  readonly isToken?: boolean;
}

export interface Content {
  /** In order and disjoint. */
  readonly children: readonly Node[];
  /** Without its own brackets or tags, when it has such. */
  readonly inner?: Span;
}

export class Node implements Span {
  readonly from: number;
  readonly to: number;
  readonly sort: "solid" | "joint";
  readonly kind: string;
  readonly roles: readonly string[];
  readonly isToken: boolean;
  #content: Content | (() => Content);

  /** @param content is called when the content is first asked for */
  constructor(span: Span, traits: NodeTraits, content: () => Content = () => ({ children: [] })) {
    this.from = span.from;
    this.to = span.to;
    this.sort = traits.sort;
    this.kind = traits.kind;
    this.roles = traits.roles;
    this.isToken = traits.isToken ?? false;
    this.#content = content;
  }

  get children(): readonly Node[] {
    return this.#read().children;
  }

  get inner(): Span | undefined {
    return this.#read().inner;
  }

  /** What can be left out of it: its solid children, or all when it has no solid one. */
  get members(): readonly Node[] {
    const solid = this.children.filter(({ sort }) => sort === "solid");
    return solid.length > 0 ? solid : this.children;
  }

  #read(): Content {
    if (typeof this.#content === "function") this.#content = this.#content();
    return this.#content;
  }
}

const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "<": ">" };

/** The directives of C that stand like brackets around what is between them. */
const CONDITION = /^#\s*(if|endif)/;

/** Chains that are not longer are gone through one node after the other. */
export const LONGEST_WALK = 3;

/** `node` and what is in it, as long as each has nothing but the next. */
export function chainFrom(node: Node): Node[] {
  const chain = [node];
  for (let { members } = node; members.length === 1; { members } = members[0]!) chain.push(members[0]!);
  return chain;
}

/** All nodes, each before its children, in order. */
export function* nodesOf(root: Node): Generator<Node> {
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    yield node;
    if (node.isToken) continue;
    const { children } = node;
    for (let i = children.length - 1; i >= 0; i--) pending.push(children[i]!);
  }
}

/** Everything that is no blank, in order: tokens, other nodes without children, and the brackets around others. */
export function* leavesOf(root: Node): Generator<Node> {
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const { children, inner } = node;
    if (node.isToken || (children.length === 0 && inner === undefined)) {
      yield node;
      continue;
    }
    const mark = (from: number, to: number) => new Node({ from, to }, { sort: "joint", kind: "bracket", roles: [] });
    if (inner !== undefined && inner.to < node.to) pending.push(mark(inner.to, node.to));
    for (let i = children.length - 1; i >= 0; i--) pending.push(children[i]!);
    if (inner !== undefined && inner.from > node.from) pending.push(mark(node.from, inner.from));
  }
}

/** Makes one node of each pair of brackets or tags and what is between them; those without a partner become joints. */
export function joinBrackets(text: string, nodes: readonly Node[]): readonly Node[] {
  const frames: { open?: Node; closing?: string; list: Node[] }[] = [{ list: [] }];
  for (const node of nodes) {
    const top = frames.at(-1)!;
    const closing = closingOf(text, node, nodes);
    if (closing !== undefined) frames.push({ open: node, closing, list: [] });
    else if (top.open !== undefined && top.closing === markOf(text, node)) {
      frames.pop();
      const inner = { from: top.open.to, to: node.from };
      const span = { from: top.open.from, to: node.to };
      frames.at(-1)!.list.push(
        new Node(span, { sort: "solid", kind: "brackets", roles: [] }, () => ({ children: top.list, inner })),
      );
    } else top.list.push(node);
  }
  return frames.flatMap(({ open, list }) => open === undefined ? list : [asJoint(open), ...list]);
}

function asJoint(node: Node): Node {
  return new Node(node, { sort: "joint", kind: node.kind, roles: [], isToken: true });
}

function markOf(text: string, node: Node): string {
  if (node.kind === "CloseTag") return node.kind;
  if (node.kind === "PreprocDirective") {
    return CONDITION.exec(text.slice(node.from, node.from + 20))?.[1] === "endif" ? "#endif" : "";
  }
  return text.slice(node.from, Math.min(node.to, node.from + 2));
}

function closingOf(text: string, node: Node, among: readonly Node[]): string | undefined {
  if (node.kind === "OpenTag") return "CloseTag";
  if (node.kind === "PreprocDirective") {
    return CONDITION.exec(text.slice(node.from, node.from + 20))?.[1] === "if" ? "#endif" : undefined;
  }
  if (node.to - node.from > 2) return undefined;
  const last = text[node.to - 1]!;
  // Elsewhere it compares.
  if (last === "<" && !(node === among[0] && text[among.at(-1)!.to - 1] === ">")) return undefined;
  return CLOSING[last];
}
