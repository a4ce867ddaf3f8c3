/** Makes one text smaller: the passes, and in which order they run. */
import { type Choice, dropHalves, dropRuns, inTurn, keepHalves, single } from "./choice.ts";
import { deletions } from "./deletions.ts";
import { applyEdits } from "./edits.ts";
import type { Grammar } from "./grammars.ts";
import type { Node } from "./outline.ts";
import { countUnmatched } from "./plain_outline.ts";
import { joins, simplifications } from "./simplifications.ts";
import { substitutions } from "./substitutions.ts";
import { swaps } from "./swaps.ts";
import { countErrors, outlineOf } from "./syntax_outline.ts";
import { BLANK, charactersOf, tokensOf } from "./tokens.ts";
import { unwrappings } from "./unwrapping.ts";

/** Asks the choices of a pass about a text, and gives the text that is left. */
export type RunPass = (
  pass: string,
  text: string,
  root: Choice,
  options?: { readonly admits?: (candidate: string) => boolean },
) => Promise<string>;

/** Up to here a result is minimal by each character; beyond, by each token. */
export const MAX_CHARACTERS = 2000;
/** A longer candidate costs more to parse than the question that its syntax may save. */
const MAX_PARSED = 32 * 1024;
/** Of a longer text, parts smaller than a share of it are not looked into before the larger ones have gone. */
const LARGE = 8 * 1024;
const SMALL_SHARE = 1 / 32;
/** The words of a shorter comment or string are left to the passes that look at single units. */
const LONG_TOKEN = 80;
const BRACKET = /^[()[\]{}]/;
const FEW_CHARACTERS = 500;
const NO_FILLERS = new Map<string, string>();

export class TextReducer {
  readonly #grammar: Grammar | undefined;
  readonly #run: RunPass;
  /** Whether candidates with worse syntax have no chance; unknown until one was tried. */
  #syntaxMatters: boolean | undefined;

  constructor(grammar: Grammar | undefined, run: RunPass) {
    this.#grammar = grammar;
    this.#run = run;
  }

  async reduce(start: string): Promise<string> {
    let text = await this.#run("halves", start, keepHalves(start));
    text = await this.#probe(start, text);
    if (this.#needsStructure(text)) {
      text = await this.#cutLarge(text);
      text = await this.#cut(text, "blocks", ({ from, to }) => text.slice(from, to).includes("\n"));
    }
    if (!this.#isStrict()) text = await this.#run("tokens", text, dropHalves([...tokensOf(text)]));
    for (let before = ""; before !== text;) {
      before = text;
      if (this.#needsStructure(text)) text = await this.#cutNodes(text);
      text = await this.#simplify(text);
      if (!this.#isStrict()) text = await this.#run("swap", text, swaps(text));
      text = await this.#prove(text);
    }
    return text;
  }

  /** Where brackets may be broken, halving has left little, unless the syntax does matter elsewhere. */
  #needsStructure(text: string): boolean {
    return this.#isStrict() || text.length > FEW_CHARACTERS;
  }

  /** Ends when no node can be unwrapped: that makes room for leaving out more. */
  async #cutNodes(start: string): Promise<string> {
    let text = start;
    let cut: string;
    do {
      cut = await this.#cut(text, "nodes", ({ isToken, from, to }) => !isToken || to - from > LONG_TOKEN);
      text = await this.#unwrap(cut);
      if (this.#isStrict()) text = await this.#substitute(text);
    } while (text !== cut);
    return text;
  }

  async #substitute(text: string): Promise<string> {
    const choices = substitutions(text, this.#outline(text), this.#grammar?.shortType);
    return await this.#run("substitutes", text, choices, this.#admission(text));
  }

  /** Ends when no node can be unwrapped any more. */
  async #unwrap(start: string): Promise<string> {
    let text = start;
    for (let before = ""; before !== text;) {
      before = text;
      text = await this.#run("unwrap", text, unwrappings(text, this.#outline(text)), this.#admission(text));
    }
    return text;
  }

  async #cutLarge(start: string): Promise<string> {
    let text = start;
    for (let before = Infinity; text.length > LARGE && text.length < before;) {
      before = text.length;
      const least = text.length * SMALL_SHARE;
      text = await this.#cut(text, "sections", ({ from, to }) => to - from > least);
    }
    return text;
  }

  async #cut(text: string, pass: string, descend: (node: Node) => boolean): Promise<string> {
    const fillers = this.#grammar?.fillers ?? NO_FILLERS;
    const all = deletions(this.#outline(text), { fillers, descend });
    // Blanks at its ends are no nodes.
    const nothing = single({ from: 0, to: text.length, text: "" });
    const choices = [nothing, ...all.flatMap((choice) => choice.after(false))];
    return await this.#run(pass, text, inTurn(choices), this.#admission(text));
  }

  /** Learns whether syntax matters: from what halving has left, or by leaving out one token that the syntax needs. */
  async #probe(start: string, text: string): Promise<string> {
    if (this.#syntaxMatters !== undefined) return text;
    const least = this.#errorsOf(text);
    if (least > this.#errorsOf(start)) this.#syntaxMatters = false;
    if (this.#syntaxMatters === false) return text;
    const tokens = [...tokensOf(text)].filter(({ from }) => !BLANK.test(text.slice(from, from + 1))).reverse();
    const brackets = tokens.filter(({ from }) => BRACKET.test(text.slice(from, from + 1)));
    const choices: Choice[] = [];
    for (const token of [brackets, tokens].flatMap((all) => [...all.slice(0, 8), ...all.slice(-8).reverse()])) {
      const edit = { ...token, text: "" };
      if (this.#errorsOf(applyEdits(text, [edit])) > least) choices.push(single(edit));
      if (choices.length === 2) break;
    }
    const probed = await this.#run("probe", text, inTurn(choices));
    // Without a grammar nothing is known of a text without brackets.
    this.#syntaxMatters = probed === text && (this.#grammar !== undefined || choices.length > 0);
    return probed;
  }

  async #simplify(text: string): Promise<string> {
    const isIndented = this.#grammar?.isIndented ?? false;
    const options = { isIndented, isStrict: this.#isStrict() };
    const simple = await this.#run("names", text, simplifications(text, this.#outline(text), options));
    if (!isIndented) return simple;
    return await this.#run("joins", simple, joins(simple, this.#outline(simple)), this.#admission(simple));
  }

  /** Ends when no single unit can be left out. */
  async #prove(start: string): Promise<string> {
    let text = start;
    for (let before = ""; before !== text;) {
      before = text;
      const units = text.length <= MAX_CHARACTERS ? charactersOf(text) : tokensOf(text);
      text = await this.#run("proof", text, dropRuns([...units]));
    }
    return text;
  }

  #outline(text: string) {
    return outlineOf(text, this.#grammar?.parser);
  }

  #isStrict(): boolean {
    return this.#syntaxMatters !== false;
  }

  /** Lets through what parses as well as `text`, while that is believed to matter. */
  #admission(text: string): { admits?: (candidate: string) => boolean } {
    if (!this.#isStrict() || text.length > MAX_PARSED) return {};
    const least = this.#errorsOf(text);
    return { admits: (candidate) => candidate === "" || this.#errorsOf(candidate) <= least };
  }

  #errorsOf(text: string): number {
    return this.#grammar === undefined ? countUnmatched(text) : countErrors(this.#grammar.parser.parse(text));
  }
}
