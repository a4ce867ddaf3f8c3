/** Makes a test case smaller as long as it shows what it shows, and proves that nothing more can be left out. */
import { Asker } from "./asker.ts";
import { type Choice, dropHalves, dropRuns } from "./choice.ts";
import { NotInteresting, type Part, type ReduceOptions, type Reduction } from "./contract.ts";
import { applyEdits, type Edits, keptElements } from "./edits.ts";
import { grammarFor } from "./grammars.ts";
import { MAX_CHARACTERS, TextReducer } from "./reduce_text.ts";
import { sweep } from "./sweep.ts";

/**
 * The smallest that it finds, always interesting and never larger than `start`; 1-minimal by the unit it names. The
 * same for every `parallel` and for every order in which the answers come.
 *
 * Rejects with `NotInteresting` when the start is not, with the reason of `signal`, and with what `isInteresting`
 * rejects with.
 */
export async function reduce(start: readonly Part[], options: ReduceOptions): Promise<Reduction> {
  const asker = new Asker(options);
  try {
    return await new Reducer(start, asker, options).run();
  } finally {
    await asker.close();
  }
}

class Reducer {
  readonly #start: readonly Part[];
  readonly #asker: Asker;
  readonly #options: ReduceOptions;
  readonly #passes = new Map<string, { calls: number; removed: number }>();
  #parts: readonly Part[];

  constructor(start: readonly Part[], asker: Asker, options: ReduceOptions) {
    this.#start = start;
    this.#parts = start;
    this.#asker = asker;
    this.#options = options;
  }

  async run(): Promise<Reduction> {
    await this.#counted("start", "", async () => {
      if (!await this.#asker.ask(this.#start)) throw new NotInteresting();
    });
    await this.#counted("proposals", "", () => this.#tryProposals());
    const reducers = await Promise.all(this.#start.map((part, index) => this.#reducerOf(part, index)));
    let before: readonly Part[];
    do {
      before = this.#parts;
      for (const reducePart of reducers) await reducePart();
    } while (before !== this.#parts);
    return {
      parts: this.#parts,
      startSize: sizeOf(this.#start),
      size: sizeOf(this.#parts),
      calls: this.#asker.calls,
      passes: [...this.#passes].map(([pass, counts]) => ({ pass, ...counts })),
      minimalBy: this.#parts.some((part) => part.kind === "text" && part.text.length > MAX_CHARACTERS)
        ? "token"
        : "character",
    };
  }

  async #tryProposals(): Promise<void> {
    for (const proposal of this.#options.proposals ?? []) {
      if (!hasShapeOf(this.#start, proposal)) throw new TypeError("A proposal has other parts than the start");
      if (sizeOf(proposal) <= sizeOf(this.#parts) && await this.#asker.ask(proposal)) this.#parts = proposal;
    }
  }

  async #reducerOf(part: Part, index: number): Promise<() => Promise<void>> {
    if (part.kind === "list") return () => this.#dropElements(index);
    const reducer = new TextReducer(
      await grammarFor(part.name),
      (pass, text, root, { admits = () => true } = {}) =>
        this.#sweepText(index, pass, root, (edits) => {
          const candidate = applyEdits(text, edits);
          return admits(candidate) ? candidate : undefined;
        }),
    );
    return async () => {
      const current = this.#parts[index]!;
      if (current.kind === "text") await reducer.reduce(current.text);
    };
  }

  async #sweepText(index: number, pass: string, root: Choice, offer: (edits: Edits) => string | undefined) {
    const part = this.#parts[index]! as Part & { kind: "text" };
    await this.#sweep(index, pass, root, (edits) => {
      const text = offer(edits);
      return text === undefined ? undefined : { ...part, text };
    });
    return (this.#parts[index]! as typeof part).text;
  }

  /** Ends when no element can be left out. */
  async #dropElements(index: number): Promise<void> {
    let drop = dropHalves;
    let part: Part & { kind: "list" };
    do {
      part = this.#parts[index]! as typeof part;
      const units = part.elements.map((_, at) => ({ from: at, to: at + 1 }));
      await this.#sweep(index, "elements", drop(units), (edits) => ({
        ...part,
        elements: keptElements(part.elements, edits),
      }));
      drop = dropRuns;
    } while (part !== this.#parts[index]);
  }

  async #sweep(index: number, pass: string, root: Choice, offer: (edits: Edits) => Part | undefined): Promise<void> {
    const { name } = this.#parts[index]!;
    const others = this.#parts;
    await this.#counted(pass, name, () =>
      sweep(root, {
        asker: this.#asker,
        offer,
        question: (part) => this.#asker.question(others.with(index, part)),
        parallel: this.#options.parallel,
        onDecision: (accepted) => {
          if (accepted !== undefined) this.#parts = others.with(index, accepted);
          this.#report(pass, name);
        },
      }));
  }

  async #counted(pass: string, part: string, run: () => Promise<unknown>): Promise<void> {
    const calls = this.#asker.calls;
    const size = sizeOf(this.#parts);
    this.#report(pass, part);
    await run();
    const counts = this.#passes.get(pass) ?? { calls: 0, removed: 0 };
    counts.calls += this.#asker.calls - calls;
    counts.removed += size - sizeOf(this.#parts);
    this.#passes.set(pass, counts);
  }

  #report(pass: string, part: string): void {
    this.#options.onProgress?.({ pass, part, size: sizeOf(this.#parts), calls: this.#asker.calls });
  }
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce(
    (sum, part) =>
      sum + (part.kind === "text" ? part.text.length : part.elements.reduce((all, one) => all + one.length, 0)),
    0,
  );
}

function hasShapeOf(parts: readonly Part[], proposal: readonly Part[]): boolean {
  return parts.length === proposal.length &&
    parts.every(({ kind, name }, i) => kind === proposal[i]!.kind && name === proposal[i]!.name);
}
