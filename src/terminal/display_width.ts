/** How many columns of a terminal a text takes. */

// What has no width of its own: combining marks and format characters, such as joiners and variation selectors.
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const EMOJI = /^\p{Emoji_Presentation}$/u;
const SGR = /\x1b\[[\d;]*m/g;

/** East Asian wide and full-width characters (Unicode UAX #11), by whole blocks, with the pictures. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x1b2ff],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];

/** Columns of one line; its colours take none. */
export function displayWidth(line: string): number {
  let width = 0;
  for (const character of line.replaceAll(SGR, "")) width += widthOf(character);
  return width;
}

/** The beginning that fits into so many columns, with an ellipsis when something is missing. The line has no colours. */
export function clipToWidth(line: string, columns: number): string {
  // Marks without width may be piled up without end.
  const maxLength = columns * 4;
  let width = 0;
  let length = 0;
  /** Where it ends if not all of it fits. */
  let kept = 0;
  for (const character of line) {
    width += widthOf(character);
    length += character.length;
    if (width > columns || length > maxLength) return columns < 1 ? "" : line.slice(0, kept) + "…";
    if (width < columns) kept = length;
  }
  return line;
}

function widthOf(character: string): number {
  const code = character.codePointAt(0)!;
  if (code < 0x300) return 1;
  if (ZERO.test(character)) return 0;
  return WIDE.some(([first, last]) => code >= first && code <= last) || EMOJI.test(character) ? 2 : 1;
}
