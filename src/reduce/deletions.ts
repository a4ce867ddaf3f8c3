/** Leaving things out by the structure of a text: all of a node's members, then half and half, then what is in each. */
import type { Choice } from "./choice.ts";
import { type Edits, isGone } from "./edits.ts";
import { chainFrom, LONGEST_WALK, type Node } from "./outline.ts";

export interface DeletionOptions {
  /** What stands for a node that would have no member left, by its kind. */
  readonly fillers: ReadonlyMap<string, string>;
  /** Whether to look into a node that has to stay. */
  readonly descend: (node: Node) => boolean;
}

/** The members of `parent`; nothing for a node that has none. */
export function deletions(parent: Node, options: DeletionOptions): readonly Choice[] {
  const { members } = parent;
  if (members.length === 0) return [];
  const all = new MemberRange(parent, members, 0, members.length - 1, options);
  // Leaving out the node itself was asked before.
  return members[0]!.from === parent.from && members.at(-1)!.to === parent.to ? all.after(false) : [all];
}

/** What to ask of a node that has to stay. */
function within(node: Node, options: DeletionOptions): readonly Choice[] {
  if (!options.descend(node)) return [];
  const chain = chainFrom(node).filter(options.descend);
  if (chain.length <= LONGEST_WALK) return deletions(node, options);
  const last = chain.at(-1)!;
  return [new ChainSearch(chain, 0, chain.length - 2, deletions(last, options), options)];
}

/** Nodes that have nothing but each other: halving finds the innermost whose content has to stay. */
class ChainSearch implements Choice {
  readonly #chain: readonly Node[];
  readonly #low: number;
  readonly #high: number;
  readonly #end: readonly Choice[];
  readonly #options: DeletionOptions;

  /** @param end what to ask when the content of all of them has to stay */
  constructor(chain: readonly Node[], low: number, high: number, end: readonly Choice[], options: DeletionOptions) {
    this.#chain = chain;
    this.#low = low;
    this.#high = high;
    this.#end = end;
    this.#options = options;
  }

  edits(taken: Edits): Edits {
    const parent = this.#chain[this.#middle]!;
    return new MemberRange(parent, parent.members, 0, 0, this.#options).edits(taken);
  }

  after(accepted: boolean): readonly Choice[] {
    const low = accepted ? this.#low : this.#middle + 1;
    const high = accepted ? this.#middle - 1 : this.#high;
    const end = accepted ? [] : this.#end;
    return low > high ? end : [new ChainSearch(this.#chain, low, high, end, this.#options)];
  }

  get #middle(): number {
    return (this.#low + this.#high) >> 1;
  }
}

/** Some neighbours among the members of a node, with what joins them to those before them. */
class MemberRange implements Choice {
  readonly #parent: Node;
  readonly #members: readonly Node[];
  readonly #first: number;
  readonly #last: number;
  readonly #options: DeletionOptions;

  constructor(parent: Node, members: readonly Node[], first: number, last: number, options: DeletionOptions) {
    this.#parent = parent;
    this.#members = members;
    this.#first = first;
    this.#last = last;
    this.#options = options;
  }

  edits(taken: Edits): Edits {
    const from = this.#members[this.#first]!.from;
    const to = this.#members[this.#last]!.to;
    if (this.#first > 0) return [{ from: this.#members[this.#first - 1]!.to, to, text: "" }];
    for (let next = this.#last + 1; next < this.#members.length; next++) {
      const { from: nextFrom, to: nextTo } = this.#members[next]!;
      if (!isGone(taken, nextFrom, nextTo)) return [{ from, to: nextFrom, text: "" }];
    }
    const end = Math.max(to, ...taken.filter((edit) => edit.from <= to && edit.to > to).map((edit) => edit.to));
    return [{ from, to: end, text: this.#options.fillers.get(this.#parent.kind) ?? "" }];
  }

  after(accepted: boolean): readonly Choice[] {
    if (accepted) return [];
    const first = this.#first;
    const last = this.#last;
    if (first === last) return within(this.#members[first]!, this.#options);
    const half = this.#middle();
    return [this.#range(half, last), this.#range(first, half - 1)];
  }

  /** The first member of the second half by length: what is long is less likely to be needed. */
  #middle(): number {
    const middle = (this.#members[this.#first]!.from + this.#members[this.#last]!.to) / 2;
    let low = this.#first + 1;
    let high = this.#last;
    while (low < high) {
      const at = (low + high) >> 1;
      if (this.#members[at]!.from >= middle) high = at;
      else low = at + 1;
    }
    return low;
  }

  #range(first: number, last: number): MemberRange {
    return new MemberRange(this.#parent, this.#members, first, last, this.#options);
  }
}
