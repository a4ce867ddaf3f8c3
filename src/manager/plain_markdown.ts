/** Text of others in Markdown that is shown to many: it pings nobody, links nowhere and has no markup of its own. */
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { oneLine } from "../templates/fenced.ts";

/** Without width: GitHub's autolinks end at it. */
const BREAK = "\u200b";

/** One line of prose. */
export function plainLine(text: string, maxCharacters = 600): string {
  const line = Array.from(escapeTerminal(oneLine(text)));
  const shown = line.length > maxCharacters ? `${line.slice(0, maxCharacters).join("")}…` : line.join("");
  return shown
    .replaceAll(/[\\`*_[\]<>|~$&]/g, "\\$&")
    // A mention, an issue, an address: a backslash before them would not help, because it is heeded first.
    .replaceAll(/[@#]/g, `$&${BREAK}`)
    .replaceAll("://", `:${BREAK}//`)
    .replaceAll(/\b(GH-|www\.)/gi, (word) => `${word.slice(0, 2)}${BREAK}${word.slice(2)}`)
    // What would begin a list, a quotation, a heading or a rule.
    .replace(/^(?:[-+=#]|\d{1,9}[.)](?=\s|$))/, `${BREAK}$&`);
}

/** One line as code: neither mentions nor links work in it. */
export function codeSpan(text: string, maxCharacters = 300): string {
  const line = Array.from(escapeTerminal(oneLine(text)));
  const shown = line.length > maxCharacters ? `${line.slice(0, maxCharacters).join("")}…` : line.join("");
  const ticks = "`".repeat(longestRun(shown, /`+/g) + 1);
  const pad = /^`|`$/.test(shown) || shown === "" ? " " : "";
  return `${ticks}${pad}${shown}${pad}${ticks}`;
}

/** A block of code, whatever is in it. @param language letters alone are shown */
export function codeBlock(text: string, language = ""): string {
  const fence = "`".repeat(Math.max(longestRun(text, /`+/g) + 1, 3));
  const shown = escapeTerminal(text.replaceAll("\r\n", "\n")).replace(/\n*$/, "\n");
  return `${fence}${/^[a-z+#]{1,12}$/i.test(language) ? language : ""}\n${shown}${fence}`;
}

function longestRun(text: string, pattern: RegExp): number {
  let longest = 0;
  for (const [run] of text.matchAll(pattern)) longest = Math.max(longest, run.length);
  return longest;
}
