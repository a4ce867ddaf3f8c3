/** The smallest units of a text: words, runs of blanks, single other characters; and characters. */

export interface Span {
  readonly from: number;
  readonly to: number;
}

// Two halves of a surrogate pair are no characters, and a CR alone is another line end than the one that was there.
const TOKEN = /[\p{L}\p{N}\p{M}_$]+|\r\n|[^]/gu;
const CHARACTER = /[^]/gu;
export const WORD = /^[\p{L}\p{N}\p{M}_$]/u;
export const BLANK = /^\s/;

function* spans(pattern: RegExp, text: string, from: number, to: number): Generator<Span> {
  for (const match of text.slice(from, to).matchAll(pattern)) {
    yield { from: from + match.index, to: from + match.index + match[0].length };
  }
}

/** Each word, each line end, each other character of the range. */
export function tokensOf(text: string, from = 0, to = text.length): Generator<Span> {
  return spans(TOKEN, text, from, to);
}

export function charactersOf(text: string, from = 0, to = text.length): Generator<Span> {
  return spans(CHARACTER, text, from, to);
}
