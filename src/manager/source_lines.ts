/** Knows of a source file which lines run, and which function each of them is in. */
import type { SyntaxNodeRef } from "@lezer/common";
import { grammarFor } from "../reduce/grammars.ts";

/** Both count from 1, and are in it. */
export interface LineRange {
  readonly first: number;
  readonly last: number;
}

export interface SourceLines {
  /** Of the innermost function with a name around the line. */
  functionAt(line: number): LineRange | undefined;
  /**
   * Of the statement, or the condition of an `if` or a loop, that the line belongs to and that a tracer would see run.
   * Undefined for what does not run when it is passed: comments, declarations, `else`, documentation.
   */
  statementAt(line: number): LineRange | undefined;
}

const FUNCTION = /^(?:(?:Function|Method|Constructor)(?:Definition|Declaration|Item)|(?:Function|Method)Decl)$/;
/** Of Python and JavaScript, which are the languages that can be traced. Their end is where a body begins. */
const STATEMENT =
  /^(?:Assign|Update|Expression|Return|Raise|Throw|Assert|Delete|Import|Yield|Print|If|While|For|With|Do|Switch)Statement$/;
const BODY = /^(?:Body|Block|SwitchBody)$/;
/** A parser takes memory in proportion to the text. */
const MAX_CHARACTERS = 1_000_000;

/** Undefined for a language without a grammar here, and for an enormous file. */
export async function readSourceLines(path: string, text: string): Promise<SourceLines | undefined> {
  const grammar = text.length > MAX_CHARACTERS ? undefined : await grammarFor(path);
  if (grammar === undefined) return undefined;
  const tree = grammar.parser.parse(text);
  const lineAt = lineCounter(text);
  const functions: LineRange[] = [];
  const statements: LineRange[] = [];
  tree.iterate({
    enter(node) {
      if (FUNCTION.test(node.name)) functions.push(range(lineAt, node.from, node.to));
      if (node.name === "VariableDeclaration" || STATEMENT.test(node.name) && !isDocumentation(node)) {
        statements.push(range(lineAt, node.from, endOfHead(node)));
      }
    },
  });
  return { functionAt: (line) => innermost(functions, line), statementAt: (line) => innermost(statements, line) };
}

/** `py` for `a/b.PY`; empty without one. */
export function extensionOf(path: string): string {
  return /\.([A-Za-z0-9]{1,8})$/.exec(path)?.[1]?.toLowerCase() ?? "";
}

function isDocumentation({ name, node }: SyntaxNodeRef): boolean {
  if (name !== "ExpressionStatement") return false;
  return node.firstChild?.name === "String" && node.firstChild.nextSibling === null;
}

/** Where a compound statement's first body begins: what follows is other statements. */
function endOfHead({ node, from, to }: SyntaxNodeRef): number {
  let end = from;
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    const isStatement = STATEMENT.test(child.name) || child.name === "VariableDeclaration";
    if (BODY.test(child.name) || isStatement && child.from > from) return end;
    end = child.to;
  }
  return to;
}

function range(lineAt: (offset: number) => number, from: number, to: number): LineRange {
  return { first: lineAt(from), last: lineAt(Math.max(from, to - 1)) };
}

/** Later ones in the list are deeper or further down. */
function innermost(ranges: readonly LineRange[], line: number): LineRange | undefined {
  return ranges.findLast(({ first, last }) => first <= line && line <= last);
}

function lineCounter(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
