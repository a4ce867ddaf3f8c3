/** Finds the JSON objects in what an agent or a model says. */

/** In UTF-16 code units. */
const MAX_ANSWER = 200_000;
/** Characters that are looked at in all: each brace that is left open, as in prose or code, costs a way to the end. */
const MAX_WORK = 40 * MAX_ANSWER;

/**
 * The outermost JSON objects in a text, in order. None of a text that is too long, or has so many open braces that it
 * would take too long: what was left unread could say the opposite.
 */
export function jsonObjects(text: string): Record<string, unknown>[] {
  if (text.length > MAX_ANSWER) return [];
  const found: Record<string, unknown>[] = [];
  let work = 0;
  for (let at = text.indexOf("{"); at !== -1;) {
    const end = objectEnd(text, at);
    work += (end ?? text.length) - at;
    if (work > MAX_WORK) return [];
    let next = at + 1;
    if (end !== undefined) {
      try {
        found.push(JSON.parse(text.slice(at, end)));
        next = end;
      } catch {
        // A brace of prose or code.
      }
    }
    at = text.indexOf("{", next);
  }
  return found;
}

/** Where the braces that open at `start` are closed; undefined when they are not. */
function objectEnd(text: string, start: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === "\\") at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{") depth++;
    else if (character === "}" && --depth === 0) return at + 1;
  }
  return undefined;
}
