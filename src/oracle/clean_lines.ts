/** The lines of a program's output or of an issue as plain text: no colours, one kind of line end, bounded. */

const MAX_CHARACTERS = 1024 * 1024;
const MAX_LINES = 50_000;
const MAX_LINE = 4096;
/** Colours and cursor movements, window titles, and the two-character escapes. */
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

/** Of a longer text its end, where failures are told; of longer lines their beginning. */
export function cleanLines(text: string): string[] {
  const end = text.length > MAX_CHARACTERS ? text.slice(-MAX_CHARACTERS) : text;
  // A progress bar goes back by a lone CR: what follows it is a line for whoever reads.
  return end.replace(ESCAPES, "").split(/\r\n|\n|\r/).slice(-MAX_LINES).map((line) => line.slice(0, MAX_LINE));
}
