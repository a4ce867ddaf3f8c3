/** The structure of a text by its grammar; what the grammar does not name is filled in from its tokens. */
import type { Parser, SyntaxNode, Tree } from "@lezer/common";
import { joinBrackets, Node } from "./outline.ts";
import { plainOutline } from "./plain_outline.ts";
import { BLANK, type Span, tokensOf } from "./tokens.ts";

/** The groups of Lezer's grammars whose members may stand for each other. */
const ROLES = ["Expression", "Statement", "Type", "Pattern", "Declaration"];
/** The expressions of the grammars without groups (Go, JSON). */
const EXPRESSION =
  /^(Object|Array|String|Number|True|False|Null|Rune|Bool|Nil|VariableName|Conversion|\w+(Expr|Exp|Literal))$/;
const PUNCTUATION = /^[^\p{L}\p{N}_$\s"'`#]{1,3}$/u;

export function outlineOf(text: string, parser: Parser | undefined): Node {
  const root = { from: 0, to: text.length };
  return new Node(root, { sort: "solid", kind: "text", roles: [] }, () => {
    const top = parser?.parse(text).topNode;
    return { children: top === undefined ? plainOutline(text) : childrenOf(text, top) };
  });
}

/** How many places of the text the grammar does not understand. */
export function countErrors(tree: Tree): number {
  let errors = 0;
  tree.iterate({
    enter: ({ type }) => {
      if (type.isError) errors++;
    },
  });
  return errors;
}

function childrenOf(text: string, parent: SyntaxNode): readonly Node[] {
  const nodes: Node[] = [];
  let end = parent.from;
  const fill = (to: number) => {
    for (const token of tokensOf(text, end, to)) {
      if (!BLANK.test(text.slice(token.from, token.from + 1))) nodes.push(leaf(text, token.from, token.to, "token"));
    }
  };
  for (let child = parent.firstChild; child !== null; child = child.nextSibling) {
    if (child.to === child.from || child.from < end) continue;
    fill(child.from);
    const node = nodeOf(text, child);
    if (node.to > node.from) nodes.push(node);
    end = child.to;
  }
  fill(parent.to);
  return joinBrackets(text, nodes);
}

function nodeOf(text: string, syntax: SyntaxNode): Node {
  const { from, name, type } = syntax;
  // Some grammars end a block behind the line end that closes it.
  const to = from + text.slice(from, syntax.to).trimEnd().length;
  const roles = ROLES.filter((role) => type.is(role));
  if (roles.length === 0) roles.push(EXPRESSION.test(name) ? "Expression" : name);
  if (syntax.firstChild === null) return leaf(text, from, to, name, roles);
  return new Node({ from, to }, { sort: "solid", kind: name, roles }, () => {
    const children = childrenOf(text, syntax);
    const only = children.length === 1 ? children[0]! : undefined;
    // Brackets around all of it are its own.
    const isInBrackets = only?.kind === "brackets" && only.from === from && only.to === to;
    return isInBrackets ? { children: only.children, inner: only.inner } : { children };
  });
}

function leaf(text: string, from: number, to: number, kind: string, roles: readonly string[] = []): Node {
  const own = text.slice(from, Math.min(to, from + 4));
  if (PUNCTUATION.test(own)) return new Node({ from, to }, { sort: "joint", kind, roles: [], isToken: true });
  return new Node({ from, to }, { sort: "solid", kind, roles, isToken: true }, () => {
    const inner = withoutQuotes(text, from, to);
    const words = plainOutline(text, inner?.from ?? from, inner?.to ?? to);
    return inner !== undefined || words.length > 1 ? { children: words, inner } : { children: [] };
  });
}

function withoutQuotes(text: string, from: number, to: number): Span | undefined {
  const quote = /^[A-Za-z]{0,2}("""|'''|["'`])/.exec(text.slice(from, Math.min(to, from + 5)));
  if (quote === null) return undefined;
  const inner = { from: from + quote[0].length, to: to - quote[1]!.length };
  return inner.from <= inner.to && text.endsWith(quote[1]!, to) ? inner : undefined;
}
