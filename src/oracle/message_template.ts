/** What of an error's message stays the same from run to run. */

const MAX_MESSAGE = 4096;

/** In the order of trial at each place: the first alternative that fits wins. */
const VARIABLE = new RegExp(
  [
    // Quoted values. An apostrophe within a word quotes nothing.
    String.raw`(?:(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|` + "`[^`\\n]*`" +
    String.raw`|‘[^‘’\n]*’|“[^“”\n]*”|(?<!\w)` + "`[^`'\\n]*'" + ")",
    String.raw`(?:\b[a-z][a-z\d+.]{1,10}:\/\/[^\s'"<>)\]]+)`,
    String
      .raw`(?:\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)`,
    String.raw`(?:\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b)`,
    String.raw`(?:\b0x[\da-f]+\b)`,
    String.raw`(?:(?<![\w.\/\\:])(?:[a-z]:\\[^\s'":<>|]+|(?:~|\.{1,2})?\/[\w.@+~%-]+(?:\/[\w.@+~%-]*)*(?::\d+){0,2}))`,
    String.raw`(?:(?<![\w.\/\\-])[\w.-]+(?:\/[\w.-]+)+\.[a-z]\w{0,7}\b(?::\d+){0,2})`,
    String.raw`(?:(?<!\w)(?=[\da-f]*\d)(?=[\d]*[a-f])[\da-f]{7,64}(?!\w))`,
    String.raw`(?:(?<![\p{L}_\d…])[-+]?(?:\d[\d_]*(?:\.\d+)*|\.\d+)(?:e[-+]?\d+)?)`,
  ].join("|"),
  "giu",
);

/** Where the stack of Python was full: what it was doing just then is chance. */
const FULL_STACK = /^(maximum recursion depth exceeded)(?: (?:while|in) [^\n]*)?$/;

/** Numbers, addresses, paths, dates, ids and quoted values become `…`. Idempotent. */
export function messageTemplate(message: string): string {
  let template = message.slice(0, MAX_MESSAGE).replace(FULL_STACK, "$1");
  // What is replaced may have hidden a quote or a path around it. Every round leaves fewer characters that are no `…`.
  for (;;) {
    const next = template.replace(VARIABLE, "…")
      .replace(/\s+/g, " ")
      // (3,) and (3, 4), [1 2] and [1 2 3]: how many there are varies as well.
      .replace(/…(?: ?[,x×]? ?…)+/g, "…").replace(/…,(?= ?[)\]}])/g, "…")
      .trim().replace(/(?<![ .])[ .]+$/, "");
    if (next === template) return template;
    template = next;
  }
}

/** Whether the two messages are the same but for their variable parts. `expected` may be cut off with an ellipsis. */
export function templatesMatch(expected: string, observed: string): boolean {
  const wanted = messageTemplate(expected);
  const found = messageTemplate(observed);
  if (wanted === found) return true;
  // People quote the first line of a long message.
  if (!expected.trim().includes("\n") && wanted === messageTemplate(firstLine(observed))) return true;
  const quoted = expected.trim().slice(0, MAX_MESSAGE);
  const cut = /(?:\.{3}|…|\[\.{3}\]|\[truncated\])\s*$/.exec(quoted);
  if (cut === null) return false;
  const start = messageTemplate(quoted.slice(0, cut.index));
  return wordsOf(start).length >= 2 && found.startsWith(start);
}

/** The words that are no placeholders. */
export function wordsOf(template: string): string[] {
  return template.match(/\p{L}{2,}/gu) ?? [];
}

/** The values in quotes, in their order, without the quotes. */
export function quotedValues(message: string): string[] {
  return [...message.slice(0, MAX_MESSAGE).matchAll(/(?<!\w)'([^'\n]*)'(?!\w)|"([^"\n]*)"|`([^`'\n]*)[`']/g)]
    .map((found) => found[1] ?? found[2] ?? found[3] ?? "");
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]!;
}
