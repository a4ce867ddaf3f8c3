/** Finds wrong results in an issue that quotes no failure: what should come, beside what comes. */
import type { ExpectedFailure } from "../oracle/expected.ts";
import type { FoundFailure } from "../oracle/find_failures.ts";

const CONTRAST =
  /\b(?:but|instead|however|whereas|does(?: not|n't|n’t)|did(?: not|n't|n’t)|fails to|no (?:error|exception)|silently|currently|nothing)\b/i;
const EXPECTED = /^\W{0,6}(?:the )?(?:expected|desired|correct)(?: (?:behaviou?r|results?|outputs?|values?))?\b/i;
const ACTUAL = /^\W{0,6}(?:the )?(?:actual|current|observed)(?: (?:behaviou?r|results?|outputs?|values?))?\b/i;
/** "I expected `5`", "it should return 5". */
const WANTED =
  /\b(?:expected(?: (?:results?|outputs?|values?))?(?: is| was)?:?|should (?:be|return|give|print|yield|equal|output)|(?:I|we)(?:['’]d| would)? expect(?:ed)?(?: (?:it|this|that))?(?: to (?:be|return|give|print|get|see))?)\s+(?:`[^`]|"[^"]|'[^']|[-[({]?\d)/i;
const CODE = /^\s{0,3}(?:```|~~~)|^(?: {4}|\t)\S/m;
/** A number, or something in quotes or ticks. */
const VALUE = /\d|`[^`]|"[^"]|'[^']/;
const MAX_MESSAGE = 200;
const MAX_RESULTS = 5;

/**
 * What stands below headings of the kind of "Expected" and "Actual", when there is a value in both; the value that code
 * should give; and a failure that should come, when the same or the next line says that something else does. Only an
 * assertion can show such a thing.
 */
export function wrongResultsIn(text: string, wanted: readonly FoundFailure[]): ExpectedFailure[] {
  const results: string[] = [];
  const [expected, actual] = [sectionOf(text, EXPECTED), sectionOf(text, ACTUAL)];
  if (expected !== undefined && actual !== undefined && VALUE.test(expected) && VALUE.test(actual)) {
    results.push(`expected: ${oneLine(expected)}; actual: ${oneLine(actual)}`);
  }
  if (CODE.test(text)) {
    for (const line of text.split("\n")) if (WANTED.test(line.slice(0, 2000))) results.push(oneLine(line));
  }
  for (const { expected: { type }, span: { start, end } } of wanted) {
    if (type === null) continue;
    const from = text.lastIndexOf("\n", start) + 1;
    const lineEnd = text.indexOf("\n", end);
    const nextEnd = lineEnd === -1 ? -1 : text.indexOf("\n", lineEnd + 1);
    const said = text.slice(from, nextEnd === -1 ? undefined : nextEnd).slice(0, 2000);
    if (CONTRAST.test(said)) results.push(oneLine(said));
  }
  return [...new Set(results)].slice(0, MAX_RESULTS).map((message) => ({
    type: null,
    message: message.slice(0, 2 * MAX_MESSAGE),
    pattern: null,
    exitCode: null,
    signal: null,
    frames: [],
    runtime: null,
    shows: "wrong_result",
  }));
}

/** What stands below the heading, to the next one; what follows on its own line behind a colon. */
function sectionOf(text: string, heading: RegExp): string | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => /^\s*(?:#|\*\*|__)/.test(line) && heading.test(line));
  if (start === -1) return undefined;
  const end = lines.findIndex((line, index) => index > start && /^\s*(?:#{1,6}\s|\*\*\w|__\w)/.test(line));
  const inLine = lines[start]!.slice(0, 1000).split(":").slice(1).join(":").replaceAll(/[*_]{2}/g, "");
  const section = [inLine, ...lines.slice(start + 1, end === -1 ? undefined : end)].join("\n").trim();
  return section === "" ? undefined : section;
}

function oneLine(text: string): string {
  return text.slice(0, 2000).replaceAll(/\s+/g, " ").trim().slice(0, MAX_MESSAGE);
}
