/** Text of others in a prompt, so that it is read and not obeyed. */

/** A line of them that is longer is shown so long: the fence, which is longer still, has to fit into the prompt. */
export const MAX_FENCE = 100;

/**
 * Text of others between fences that it does not contain itself. NUL, which no argument of a program can have, is a space.
 *
 * @param options.maxBytes of the text, as UTF-8; what is beyond is left out
 */
export function fenced(title: string, text: string, options: { maxBytes?: number } = {}): string {
  let longest = 4;
  const shown = cutBytes(text, options.maxBytes ?? Infinity).replaceAll("\0", " ").replaceAll(/=+/g, (run) => {
    longest = Math.min(Math.max(longest, run.length), MAX_FENCE - 1);
    return run.slice(0, longest);
  });
  const fence = "=".repeat(longest + 1);
  const name = oneLine(title).replaceAll(/=+/g, "=");
  return `${fence} ${name} ${fence}\n${shown}\n${fence} end of ${name} ${fence}`;
}

/** The beginning of the text, so that it has at most so many bytes of UTF-8; "…" is added when something is left out. */
export function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || byteLength(text) <= maxBytes) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(Math.max(maxBytes - 4, 0)));
  return `${text.slice(0, read)}\n…`;
}

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** White space collapsed; control characters, NUL among them, are white space. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\s\0-\x1f\x7f-\x9f]+/g, " ").trim();
}
