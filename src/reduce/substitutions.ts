/** Putting something short of its kind in the place of a node: 0 for an expression, the shortest type for a type. */
import { type Choice, either, inTurn, single, together } from "./choice.ts";
import type { Edit } from "./edits.ts";
import { type Node, nodesOf } from "./outline.ts";

/** What a value of a simple type has not. */
const FIELD = /^(Field|Member|Selector)Expr(ession)?$|^FieldAccess$/;

/** All types at once, since they must agree, with and without their fields; then each expression, outer ones first. */
export function substitutions(text: string, root: Node, shortType: string | undefined): Choice {
  const types: Edit[] = [];
  const fields: Edit[] = [];
  const expressions: Choice[] = [];
  for (const node of nodesOf(root)) {
    const { from, to, roles, kind, children } = node;
    const isType = roles.includes("Type");
    const short = isType ? shortType : roles.includes("Expression") ? "0" : undefined;
    if (short === undefined || text.slice(from, to) === short || to - from === text.length) continue;
    if (isType) types.push({ from, to, text: short });
    // As long as before, but a name that is no longer used makes its definition needless.
    else expressions.push({ ...single({ from, to, text: short }), mayBeAsLong: true });
    const holder = children[0];
    if (FIELD.test(kind) && holder !== undefined) fields.push({ from, to, text: text.slice(holder.from, holder.to) });
  }
  const simple = fields.length > 0 ? either(single(...types), single(...types, ...fields)) : single(...types);
  return inTurn([simple, together(types.map((edit) => single(edit))), ...expressions]);
}
