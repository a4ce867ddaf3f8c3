/** The lines of Markdown with what they are part of: fences, quotes, headings. */

export interface IssueLine {
  /** From 0. */
  readonly index: number;
  /** Without quote marks, colours and line end. */
  readonly text: string;
  /** In the whole text. */
  readonly start: number;
  readonly end: number;
  /** Where `text` begins in the whole text, but for colours. */
  readonly textStart: number;
  /** Number of the fenced block; null outside of fences. */
  readonly fence: number | null;
  /** The line that opens or closes a fence. */
  readonly isFence: boolean;
  /** The nearest heading above, in lower case; also `**Expected**` and labels of issue templates. */
  readonly heading: string;
}

const MAX_CHARACTERS = 400_000;
const MAX_LINE = 4096;

export function issueLines(text: string): IssueLine[] {
  const lines: IssueLine[] = [];
  let offset = 0;
  let open: { mark: string; number: number } | null = null;
  let fences = 0;
  let heading = "";
  for (const raw of text.slice(0, MAX_CHARACTERS).split("\n")) {
    const start = offset;
    offset += raw.length + 1;
    const quote = /^(?: {0,3}> ?)*/.exec(raw)![0].length;
    // A line of a fence may begin with a prompt of Python, which looks like a quote.
    const isPrompt = /^ {0,3}>>>(?: |$)/.test(raw);
    const skipped = isPrompt ? 0 : quote;
    // deno-lint-ignore no-control-regex
    const line = raw.slice(skipped, skipped + MAX_LINE).replace(/\r$/, "").replace(/\x1b\[[\d;]*m/g, "");
    const fence = /^\s*(?:[-*+]\s+|\d+\.\s+)?(`{3,}|~{3,})\s*([^`]*)$/.exec(line);
    let isFence = false;
    if (fence !== null && (open === null || (fence[1]!.startsWith(open.mark) && fence[2] === ""))) {
      isFence = true;
      open = open === null ? { mark: fence[1]!, number: fences++ } : null;
    }
    if (open === null && !isFence) heading = headingOf(line) ?? heading;
    const at = { start, end: start + raw.length, textStart: start + skipped };
    lines.push({
      index: lines.length,
      text: line,
      ...at,
      fence: isFence ? null : open?.number ?? null,
      isFence,
      heading,
    });
  }
  return lines;
}

function headingOf(line: string): string | null {
  const found =
    /^ {0,3}#{1,6}\s+(.*?)\s*#*$|^\s*(?:\*\*|__)([^*_]{1,80})(?:\*\*|__):?\s*$|^\s*(?:\*\*|__)?((?:expected|actual|current|observed)\s+(?:behaviou?r|results?|outputs?))(?:\*\*|__)?\s*:?\s*(?:\*\*|__)?\s*$/i
      .exec(line);
  return found === null ? null : (found[1] ?? found[2] ?? found[3]!).toLowerCase();
}
