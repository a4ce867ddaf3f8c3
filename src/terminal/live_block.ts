/** A block of lines at the end of a terminal's text that is redrawn in place, below lines that stay. */
import { displayWidth } from "./display_width.ts";

/**
 * The cursor rests at the start of the line below the block, so a process that is killed between two frames leaves a
 * terminal on which nothing has to be mended.
 */
export class LiveBlock {
  /** The columns of each line that was drawn last. */
  #drawn: readonly number[] = [];

  /**
   * What to write so that the block is redrawn below the lines `above`.
   *
   * @param above lines that stay, each with its line break; empty: none
   * @param options.columns of the terminal now: it may have folded the lines that were drawn before
   */
  frame(above: string, block: readonly string[], options: { readonly columns: number }): string {
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / options.columns)), 0);
    const isFolded = rows > this.#drawn.length;
    this.#drawn = block.map(displayWidth);
    return [
      rows === 0 ? "\r" : `\r\x1b[${rows}A`,
      // The block covers itself line by line, so it does not flicker. Rows that are parts of a folded line are cleared
      // first, or the terminal would join what is on them now when it becomes wide again.
      above === "" && !isFolded ? "" : `\x1b[J${above}`,
      // A character that is wider than thought must not fold a line.
      block.length === 0 ? "" : `\x1b[?7l${block.map((line) => `${line}\x1b[K\n`).join("")}\x1b[?7h`,
      "\x1b[J",
    ].join("");
  }
}
