/** Text of which parts are not known before the command runs. */

/** Stands for any text of any length. No argument of a command can hold this character. */
export const UNKNOWN = "\u0000";
/** Stands for a part of one or more file names that leads nowhere up: what a glob matches, what `mktemp` makes up. */
export const NAME = "\u0001";

export const isKnown = (text: string): boolean => !text.includes(UNKNOWN);
export const isLiteral = (text: string): boolean => !/[\u0000\u0001]/.test(text);

const MAX_SHOWN = 80;

/** For a person. */
export function shown(text: string): string {
  const readable = text.replaceAll(UNKNOWN, "…").replaceAll(NAME, "*");
  return JSON.stringify(readable.length > MAX_SHOWN ? `${readable.slice(0, MAX_SHOWN)}…` : readable);
}
