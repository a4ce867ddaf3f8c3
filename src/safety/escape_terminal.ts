/** Makes text from models, commands and repositories harmless for the terminal that shows it. */

// What moves the cursor, hides text or changes its order: C0 and C1 controls, DEL, and the bidirectional controls.
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Keeps line feeds and tabs and shows every other control character as `\x1b` or `\u202e`, so that it has no effect. */
export function escapeTerminal(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
}
