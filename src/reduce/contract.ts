/** What the reducer is given, and what it gives back. It knows nothing of processes, files or failures. */

/** One thing that is made smaller. */
export type Part =
  /** The text of a file; `name` chooses the grammar. Bytes that are no UTF-8 come as Latin-1. */
  | { readonly kind: "text"; readonly name: string; readonly text: string }
  /** Arguments, environment variables, files of a folder: each element stays whole or goes. */
  | { readonly kind: "list"; readonly name: string; readonly elements: readonly string[] };

export interface ReduceOptions {
  /**
   * Whether the candidate (one part for each of the start's, in its order) still shows what the start shows. Asked for
   * several candidates at the same time, and never twice for the same content. A rejection ends the reduction.
   */
  isInteresting(candidate: readonly Part[], options: { readonly signal: AbortSignal }): Promise<boolean>;
  /** How many candidates are tried at the same time; the result is the same for every number. */
  readonly parallel: number;
  /** Every candidate still has a match of each, in some text part; the start must, too. */
  readonly keep: readonly RegExp[];
  /** Rewrites offered for the whole, tried before anything else, in order: of a model, say. */
  readonly proposals?: readonly (readonly Part[])[];
  readonly signal: AbortSignal;
  onProgress?(progress: ReduceProgress): void;
}

export interface ReduceProgress {
  /** `start` proves the beginning, `proof` that nothing more can go. */
  readonly pass: string;
  readonly part: string;
  /** Characters of all parts. */
  readonly size: number;
  /** Candidates that were asked for, those that speed asked for in vain included. */
  readonly calls: number;
}

export interface Reduction {
  readonly parts: readonly Part[];
  readonly startSize: number;
  readonly size: number;
  readonly calls: number;
  /** What each pass asked and won, in the order they first ran. */
  readonly passes: readonly { readonly pass: string; readonly calls: number; readonly removed: number }[];
  /** The unit of which no single one can be left out: a character of a short result, a token of a long one. */
  readonly minimalBy: "character" | "token";
}

/** The start is not interesting: there is nothing to reduce, or it is not what was thought. */
export class NotInteresting extends Error {
  constructor(message = "The start does not show what is to be kept") {
    super(message);
    this.name = "NotInteresting";
  }
}
