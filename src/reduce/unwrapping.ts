/** Putting a part of a node in its place: the body of a block, the inside of brackets, an argument for the call. */
import { type Choice, inTurn, single, together } from "./choice.ts";
import { chainFrom, LONGEST_WALK, type Node, nodesOf } from "./outline.ts";
import type { Span } from "./tokens.ts";

/** Of one node, so that a long list of arguments does not cost a question each. */
const MAX_PARTS = 6;

/** How far below a node they are looked for, and among how many: hostile texts nest without end. */
const MAX_LEVELS = 6;
const MAX_NODES = 64;

/** For each node, outer ones first, what may stand for it. */
export function unwrappings(text: string, root: Node): Choice {
  const choices: Choice[] = [];
  const inChain = new Set<Node>();
  const bare = new Set<Node>();
  for (const node of nodesOf(root)) {
    if (node === root) continue;
    if (!inChain.has(node)) {
      const chain = chainFrom(node);
      for (const link of chain) inChain.add(link);
      const wrapped = chain.filter(hasWrapping);
      if (wrapped.length > LONGEST_WALK) {
        choices.push(together(wrapped.map(withoutWrapping)));
        for (const link of wrapped) bare.add(link);
      }
    }
    if (bare.has(node)) continue;
    for (const { from, to } of standInsFor(node)) {
      choices.push(single({ from: node.from, to: node.to, text: withIndentOf(text, node, text.slice(from, to)) }));
    }
  }
  return inTurn(choices);
}

function hasWrapping({ inner, members }: Node): boolean {
  return inner !== undefined && members.length > 0;
}

function withoutWrapping({ from, to, members }: Node): Choice {
  return single({ from, to: members[0]!.from, text: "" }, { from: members.at(-1)!.to, to, text: "" });
}

function standInsFor(node: Node): Span[] {
  const found: Span[] = [];
  const { members } = node;
  if (hasWrapping(node)) found.push({ from: members[0]!.from, to: members.at(-1)!.to });
  if (node.roles.length === 0) return found;
  // The nearest ones of its kind, level by level.
  let level: readonly Node[] = [node];
  for (let depth = 0; depth < MAX_LEVELS && level.length > 0 && level.length <= MAX_NODES; depth++) {
    const deeper: Node[] = [];
    for (const { children } of level) {
      const alike = children.filter((child) => fits(node, child));
      if (alike.length > 1) found.push({ from: alike[0]!.from, to: alike.at(-1)!.to });
      found.push(...alike);
      deeper.push(...children.filter((child) => !child.isToken && !fits(node, child)));
    }
    level = deeper;
  }
  return found.slice(0, MAX_PARTS);
}

function fits(node: Node, child: Node): boolean {
  return child.roles.some((role) => node.roles.includes(role));
}

/** Lines after the first keep their distance to it, from where the node stands. */
function withIndentOf(text: string, node: Span, content: string): string {
  const lines = content.split("\n");
  if (lines.length === 1) return content;
  const indent = /[ \t]*$/.exec(text.slice(text.lastIndexOf("\n", node.from - 1) + 1, node.from))![0];
  const rest = lines.slice(1);
  const least = Math.min(...rest.filter((line) => line.trim() !== "").map((line) => /^[ \t]*/.exec(line)![0].length));
  return [lines[0]!, ...rest.map((line) => line.trim() === "" ? line : indent + line.slice(least))].join("\n");
}
