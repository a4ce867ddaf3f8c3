/** The failures that the text of an issue quotes or names, in any language, as what is or as what should be. */
import type { ExpectedFailure } from "./expected.ts";
import { isRuntimeFrame, packagePath } from "./frame_owner.ts";
import { type IssueLine, issueLines } from "./issue_lines.ts";
import { parseDebugger } from "./parsers/debugger.ts";
import { parseGo } from "./parsers/go.ts";
import { parseIpython } from "./parsers/ipython.ts";
import { parseJava } from "./parsers/java.ts";
import { parseNative } from "./parsers/native.ts";
import { parseNode } from "./parsers/node.ts";
import { parseNodeTests } from "./parsers/node_tests.ts";
import { parseOthers } from "./parsers/others.ts";
import { parsePython, readChain } from "./parsers/python.ts";
import { parsePythonTests, readTest } from "./parsers/python_tests.ts";
import { parseRust } from "./parsers/rust.ts";
import { parseSanitizer } from "./parsers/sanitizer.ts";
import { errorText, isNoise, type Parser, type Report, SIGNAL_WORDS, SIGNALS } from "./report.ts";

export interface FoundFailure {
  readonly expected: ExpectedFailure;
  /** In characters of the text. */
  readonly span: { readonly start: number; readonly end: number };
  /** A whole report with its stack or status; a line of code or output; a word in a sentence. */
  readonly strength: "traceback" | "code" | "prose";
  /** The text says that this is what should happen, or that it is of something else: not the failure. */
  readonly isExpectedBehaviour: boolean;
}

const PARSERS: readonly Parser[] = [
  parseSanitizer,
  parseIpython,
  parsePythonTests,
  parseLoosePytest,
  parseNodeTests,
  parseGo,
  parseRust,
  parsePython,
  parseHeadless,
  parseJava,
  parseNode,
  parseOthers,
  parseDebugger,
  parseNative,
];
const MAX_FOUND = 200;
const NOTHING: ExpectedFailure = {
  type: null,
  message: null,
  pattern: null,
  exitCode: null,
  signal: null,
  frames: [],
  runtime: null,
  shows: "failure",
};
const ERROR_NAME = String.raw`(?:[A-Za-z_]\w*(?:\.|::))*[A-Z][A-Za-z0-9]*(?:Error|Exception|Interrupt)`;
/** A line of output that is nothing but an exception, or names it behind a usual beginning. */
const ERROR_LINE = new RegExp(
  `^(?:Uncaught (?:\\(in promise\\) )?|error: Uncaught (?:\\(in promise\\) )?|E +|Caused by: )?(${ERROR_NAME}|Error)(?: \\[[A-Z_\\d]+\\])?: (\\S.*)$`,
);
const ERROR_WORD = new RegExp(
  `(?<![\\w.$/-])(${ERROR_NAME})(?![\\w/-]|\\.(?:py|js|ts|java|go|rs|rb|md|html|[A-Z_a-z]+\\())`,
  "g",
);
/** What stands before a name that is spoken of as a piece of code. */
const OF_CODE =
  /(?:\b(?:class|import|except|catch|extends|instanceof|isinstance|subclass(?:es)? of|inherits? from|implements|new|def|type|from)\s*\(?[`'"]?|\bclass [`'"])$/i;

/** In the order of the text; what a stronger one covers is not told again. */
export function findFailures(text: string): FoundFailure[] {
  const lines = issueLines(text);
  const found: FoundFailure[] = [];
  const add = (failure: FoundFailure) => {
    const overlaps = found.some(({ span }) => failure.span.start < span.end && span.start < failure.span.end);
    if (!overlaps && found.length < MAX_FOUND) found.push(failure);
  };
  for (const block of blocksOf(lines)) for (const failure of reportsIn(block, lines)) add(failure);
  for (const failure of linesOfCode(lines)) add(failure);
  for (const failure of wordsOfProse(lines)) add(failure);
  return found.sort((a, b) => a.span.start - b.span.start);
}

/** A fence, or what stands between two; and each indented block in it once more, without its indentation. */
function blocksOf(lines: readonly IssueLine[]): (readonly IssueLine[])[] {
  const blocks: IssueLine[][] = [];
  let last: IssueLine | undefined;
  for (const line of lines) {
    if (line.isFence) {
      last = undefined;
      continue;
    }
    if (last === undefined || last.fence !== line.fence) blocks.push([]);
    blocks.at(-1)!.push(line);
    last = line;
  }
  return blocks.flatMap((block) => [dedented(block), ...(block[0]!.fence === null ? indentedIn(block) : [])]);
}

function indentedIn(block: readonly IssueLine[]): IssueLine[][] {
  const runs: IssueLine[][] = [];
  let isInside = false;
  for (const line of block) {
    const isIndented = /^(?: {4}|\t)/.test(line.text);
    if (!isIndented && line.text.trim() !== "") isInside = false;
    else if (isIndented && !isInside) {
      runs.push([line]);
      isInside = true;
    } else if (isInside) runs.at(-1)!.push(line);
  }
  return runs.map(dedented);
}

function dedented(block: readonly IssueLine[]): IssueLine[] {
  let width = Infinity;
  for (const { text } of block) if (text.trim() !== "") width = Math.min(width, /^\s*/.exec(text)![0].length);
  return block.map((line) => ({ ...line, text: line.text.slice(width) }));
}

function reportsIn(block: readonly IssueLine[], all: readonly IssueLine[]): FoundFailure[] {
  const texts = mended(block.map(({ text }) => text));
  const found: { report: Report; rank: number }[] = [];
  for (const [rank, parse] of PARSERS.entries()) for (const report of parse(texts)) found.push({ report, rank });
  const taken: FoundFailure[] = [];
  const covered: { from: number; to: number }[] = [];
  for (const { report } of found.sort((a, b) => a.rank - b.rank || a.report.from - b.report.from)) {
    const { from } = report;
    let { to } = report;
    if (to <= from || covered.some((other) => from < other.to && other.from < to)) continue;
    if (report.kind === "exit" || (report.type === null && report.message === null)) continue;
    // A sentence may begin like the line of a shell.
    if (block[0]!.fence === null && report.kind === "signal" && report.frames.length === 0) continue;
    // What wrappers add is no failure of its own.
    while (texts[to]?.trim() && isNoise(texts[to]!)) to++;
    covered.push({ from, to });
    const [first, last] = [block[from]!, block[Math.min(to, block.length) - 1]!];
    taken.push({
      expected: ofReport(report),
      span: { start: first.start, end: last.end },
      strength: report.kind === "signal" && report.frames.length === 0 ? "code" : "traceback",
      isExpectedBehaviour: isWantedBlock(first, all),
    });
  }
  return taken;
}

function ofReport(report: Report): ExpectedFailure {
  const { type, frames, runtime, kind, message } = report;
  const isOwn = kind === "assertion" &&
    (runtime === "go" ||
      frames.every((frame) =>
        frame.file === null || isRuntimeFrame(frame, runtime) ||
        /^(?:<module>|test|Object\.<anonymous>|Context\.|TestContext)/.test(frame.function ?? "") &&
          packagePath(frame.file) === null
      )) &&
    (runtime === "python" || runtime === "node" || runtime === "go");
  return {
    ...NOTHING,
    type: kind === "signal" || isOwn ? null : kind === "timeout" ? "timeout" : type,
    message: kind === "timeout" ? null : message === null || message === "" ? null : message.split("\n", 1)[0]!.trim(),
    signal: kind === "signal" ? type : null,
    frames: isOwn ? [] : frames.slice(0, 100),
    runtime,
    shows: isOwn ? "wrong_result" : "failure",
  };
}

/** Python's frames get the indentation back that they lost on their way, and what was left out between them is marked. */
function mended(lines: readonly string[]): string[] {
  const result: string[] = [];
  let isSource = false;
  for (const quoted of withoutLogPrefix(lines)) {
    // A code span that goes over many lines.
    const line = /^`[^`]*$/.test(quoted) ? quoted.slice(1) : quoted;
    const bare = line.trimStart();
    if (/^File "[^"]+", line \d+(?:, in .*)?$/.test(bare)) {
      result.push(`  ${bare}`);
      isSource = true;
    } else if (/^(?:\.\.\.|…|\[\.\.\.\]|<snip>|\[snip\]|\(\.\.\.\))$/.test(bare)) {
      result.push("  ...");
    } else if (
      isSource && bare !== "" && !ERROR_LINE.test(bare) && !/^[A-Z]\w*(?:Error|Exception)$|^Traceback/.test(bare)
    ) {
      result.push(line.startsWith("    ") ? line : `    ${bare}`);
      isSource = /^[\^~ ]+$/.test(bare) ? false : isSource && !line.startsWith("    ") ? false : isSource;
    } else {
      result.push(/^\s+Traceback \(most recent call last\):$/.test(line) ? bare : line);
      isSource = false;
    }
  }
  return result;
}

const LOGGED = /^(.{1,200}?)Traceback \(most recent call last\):$/;

/** A traceback in a log, each line behind a time, a name, or both, which are alike but for their digits. */
function withoutLogPrefix(lines: readonly string[]): readonly string[] {
  const shapeOf = (text: string) => text.replaceAll(/\d/g, "0");
  let prefix = "";
  return lines.map((line, i) => {
    const found = LOGGED.exec(line)?.[1];
    if (found !== undefined && found.trim() !== "") {
      const next = lines[i + 1]?.slice(0, found.length) ?? "";
      prefix = shapeOf(next) === shapeOf(found) ? shapeOf(found) : "";
    } else if (prefix !== "" && shapeOf(line.slice(0, prefix.length)) !== prefix) prefix = "";
    return line.slice(prefix.length);
  });
}

/** Frames of Python whose header was cut off. */
function parseHeadless(lines: readonly string[]): Report[] {
  const reports: Report[] = [];
  for (let i = 0; i < lines.length; i++) {
    const isFrame = /^ {2}File "[^"]+", line \d+, in /.test(lines[i]!);
    if (!isFrame) continue;
    if (i > 0 && /^ {2}|^Traceback/.test(lines[i - 1]!)) continue;
    const report = readChain(lines, i - 1);
    if (report === null) continue;
    reports.push({ ...report, from: i });
    i = report.to - 1;
  }
  return reports;
}

/** Pytest's `E   ValueError: …` without its summary. */
function parseLoosePytest(lines: readonly string[]): Report[] {
  const isTold = (line: string) => /^E {2,}\S/.test(line);
  if (!lines.some(isTold)) return [];
  const starts = [0, ...lines.flatMap((line, i) => /^_{2,} .+ _{2,}$/.test(line) ? [i + 1] : []), lines.length];
  return starts.slice(0, -1).flatMap((start, i) => {
    const end = starts[i + 1]!;
    return lines.slice(start, end).some(isTold) ? readTest(lines, start, end, [1]) : [];
  });
}

/** Single lines of output, and assertions, in code. */
function* linesOfCode(lines: readonly IssueLine[]): Generator<FoundFailure> {
  for (const [i, line] of lines.entries()) {
    const span = { start: line.start, end: line.end };
    if (line.fence !== null) {
      const bare = line.text.trim();
      const before = lines[i - 1]?.text.trim() ?? "";
      const expected = /^(?:Raises|Throws)\b|^-{3,}$/.test(before) ? null : ofOutputLine(bare) ?? ofCodeLine(bare);
      if (expected !== null) {
        yield { expected, span, strength: "code", isExpectedBehaviour: isWantedBlock(line, lines) };
      }
    } else if (!line.isFence) {
      for (const inline of line.text.matchAll(/(?<!`)(`{1,2})([^`]+)\1(?!`)/g)) {
        const expected = ofOutputLine(inline[2]!.trim());
        if (expected === null) continue;
        const start = line.textStart + inline.index;
        const wanted = isWantedSentence(line.text, inline.index, inline.index + inline[0].length) ??
          isWantedHeading(line.heading);
        yield {
          expected,
          span: { start, end: start + inline[0].length },
          strength: "code",
          isExpectedBehaviour: wanted,
        };
      }
    }
  }
}

function ofOutputLine(line: string): ExpectedFailure | null {
  const error = ERROR_LINE.exec(line);
  if (error !== null) return { ...NOTHING, type: error[1]!, message: error[2]!.trim() };
  const rust = /^thread '[^']*' panicked at '(.+?)'(?:, .*)?$/.exec(line);
  if (rust !== null) return { ...NOTHING, type: "panic", message: rust[1]!, runtime: "rust" };
  const panic = /^(panic|fatal error): (\S.*)$/.exec(line);
  if (panic !== null) return { ...NOTHING, type: panic[1]!, message: panic[2]!, runtime: "go" };
  const tool = /^(?:[\w./-]{1,200}:(?:\d{1,9}:){0,2} )?(?:internal compiler |fatal )?error: \S/i.test(line)
    ? errorText(line)
    : null;
  if (tool !== null) return { ...NOTHING, message: tool };
  const exit = /^(?:Process (?:finished|exited) with )?(?:exit (?:code|status)|rc|returncode)[ :=]+(-?\d+)$/i.exec(
    line,
  );
  return exit === null ? null : ofExit(Number(exit[1]));
}

/** What a test or a comment beside an example says of a wrong result. */
function ofCodeLine(line: string): ExpectedFailure | null {
  const isAssertion =
    /^(?:assert\b(?!\s*(?:isinstance|callable)\b)|self\.assert\w+\(|(?:\w+\.)*assert(?:_\w+|Equals?|\.\w+)?\(|expect\(.*\)\.|console\.assert\(|assert_eq!\(|assert!\()/
      .test(line);
  const isComment = /(?:#|\/\/|--)\s*(?:.*\b(?:should (?:be|return|give|print)|expected|instead of|but got|wrong)\b)/i
    .test(line);
  return isAssertion || isComment ? { ...NOTHING, message: line.slice(0, 200), shows: "wrong_result" } : null;
}

function ofExit(code: number): ExpectedFailure | null {
  if (code < 0) {
    const signal = [...SIGNALS].find(([, number]) => number === -code)?.[0];
    return signal === undefined ? null : { ...NOTHING, signal };
  }
  return code === 0 || code > 255 ? null : { ...NOTHING, exitCode: code };
}

/** What sentences say. Names count only where they are spoken of as something that happens. */
function* wordsOfProse(lines: readonly IssueLine[]): Generator<FoundFailure> {
  for (const line of lines) {
    if (line.fence !== null || line.isFence || /^(?: {4}|\t)/.test(line.text)) continue;
    const { text } = line;
    const make = (at: number, length: number, expected: ExpectedFailure): FoundFailure => ({
      expected,
      span: { start: line.textStart + at, end: line.textStart + at + length },
      strength: "prose",
      isExpectedBehaviour: isWantedSentence(text, at, at + length) ?? isWantedHeading(line.heading),
    });
    const title = /^\s*(?:#+ +)?(?:\[[^\]]{1,20}\] *|bugs?: +)?(.*)$/i.exec(text)!;
    const whole = ofOutputLine(title[1]!.trim());
    // A sentence goes on behind the message, and nothing tells where it begins.
    if (whole !== null && !/\b(?:when|while|after|during|using|since|because)\b/.test(whole.message ?? "")) {
      yield make(text.length - title[1]!.length, title[1]!.length, whole);
      continue;
    }
    for (const name of text.matchAll(ERROR_WORD)) {
      if (OF_CODE.test(text.slice(Math.max(0, name.index - 40), name.index)) || isOfTitle(text, name)) continue;
      const message = quotedBehind(text, name.index + name[0].length);
      yield make(name.index, name[0].length, { ...NOTHING, type: name[1]!, message });
    }
    const patterns: readonly (readonly [RegExp, (found: RegExpMatchArray) => ExpectedFailure | null])[] = [
      [
        /\b(?:exit(?:s|ed|ing)?|return(?:s|ed)?|fail(?:s|ed|ing)?|quit(?:s)?|terminate[sd]?)(?: with| w\/)?(?: an?| the)?(?: non-?zero)?(?: exit)? (?:code|status)(?: code)?(?: of|:| =| is)? ?`?(-?\d{1,3})\b/gi,
        (found) => ofExit(Number(found[1])),
      ],
      [
        /\bexit(?: code| status|ed with|s with|ing with)(?: of|:| =| is| was)? ?`?(-?\d{1,3})\b/gi,
        (found) => ofExit(Number(found[1])),
      ],
      [
        /\b(segmentation fault|seg-?faults?|segfault(?:s|ed|ing)?|bus error|floating point exception|illegal instruction)\b/gi,
        (found) => ofSignal(found[1]!),
      ],
      [/\bpanic(?:s|ked)?\b(?!['`"]?\s*(?:handler|hook|button|mode))/gi, () => ({ ...NOTHING, type: "panic" })],
      [/\b(SIG(?:SEGV|ABRT|BUS|FPE|ILL|TRAP|SYS))\b/g, (found) => ({ ...NOTHING, signal: found[1]! })],
      [
        /\b(?:aborted|abort) \(core dumped\)|\bcore dumped\b/gi,
        (found) => /abort/i.test(found[0]) ? { ...NOTHING, signal: "SIGABRT" } : null,
      ],
      [
        /\b(?:hangs?(?: forever| indefinitely)?(?! (?:on to|out|in there))|hung|infinite(?:ly)? loops?|loops? (?:forever|infinitely)|never (?:returns|terminates|finishes|ends|completes)|freezes|deadlocks)\b/gi,
        () => ({ ...NOTHING, type: "timeout" }),
      ],
      [
        /\b(?:returns?|returned|gives?|gave|prints?|printed|outputs?|produces?|yields?|results? in|evaluates to|computes?)\s+(`[^`]+`|"[^"]+"|'[^']+'|-?[\w.]+(?:\([^)]*\))?|\[[^\]]*\])\s*,?\s*(?:instead of|rather than|but (?:should|expected|I expect(?:ed)?)|and not|not|when it should)\s+\S/gi,
        (found) => wrong(text, found.index!),
      ],
      [
        /\bexpected:?\s+(`[^`]+`|"[^"]+"|'[^']+'|[-\w.[\](){},]+)\s*[,;]?\s*(?:but )?(?:got|was|received|actual(?:ly)?(?: got)?:?|found|is|instead got)\s+\S/gi,
        (found) => wrong(text, found.index!),
      ],
      [
        /^\s*(?:[-*]\s*)?(?:\*\*|__)?(?:actual|got|observed)(?: (?:results?|outputs?|values?))?(?:\*\*|__)?:(?:\*\*|__)?\s*\S/gi,
        (found) => wrong(text, found.index!),
      ],
      [
        /\b(?:wrong|incorrect|inconsistent) (?:results?|answers?|outputs?|values?)\b/gi,
        (found) => wrong(text, found.index!),
      ],
    ];
    for (const [pattern, read] of patterns) {
      for (const found of text.matchAll(pattern)) {
        const expected = read(found);
        if (expected !== null) yield make(found.index, found[0].length, expected);
      }
    }
  }
}

function ofSignal(word: string): ExpectedFailure {
  const plain = word.toLowerCase();
  return { ...NOTHING, signal: plain.startsWith("seg") ? "SIGSEGV" : SIGNAL_WORDS.get(plain)! };
}

function wrong(line: string, at: number): ExpectedFailure {
  return { ...NOTHING, message: line.slice(at, at + 200).trim(), shows: "wrong_result" };
}

/** "ValueError handling", "the FooError class": not something that happened. */
function isOfTitle(text: string, { index, 0: name }: RegExpMatchArray): boolean {
  return /^[`'"]?\s+(?:handling|handler|class(?:es)?|type|hierarchy|subclass|import|is (?:defined|exported|not exported)|constructor)\b|^[`'"]?\s*(?:\{|=>|=[^=])/
    .test(
      text.slice(index! + name.length, index! + name.length + 40),
    );
}

/** `ValueError("msg")`, `ValueError: "msg"`, `ValueError 'msg'`. */
function quotedBehind(text: string, at: number): string | null {
  const found =
    /^[`'"]?\s*(?::|\(|with(?: the)? message|saying)?\s*(?:"([^"]{3,300})"|'([^']{3,300})'|`([^`]{3,300})`|“([^”]{3,300})”)/i
      .exec(text.slice(at, at + 400));
  return found?.[1] ?? found?.[2] ?? found?.[3] ?? found?.[4] ?? null;
}

const WANTED =
  /\b(?:should(?: have| also| always| rather| instead)?|must(?: have)?|ought to|is (?:expected|supposed) to|are (?:expected|supposed) to|(?:I|we)(?:'d| would)? expect(?:ed)?|would expect|want(?:ed)?|would like|expected behaviou?r is|expected)\b/i;
const UNWANTED =
  /\b(?:should|must|ought)(?: not|n't|n’t)\b|\b(?:shouldn't|mustn't)\b|\bnot expect|\bunexpected(?:ly)?\b|\bno longer\b|\bexpected (?:no|nothing|it not|this not)\b|\bwithout (?:raising|throwing|an?)\b/i;

/** Whether the sentence says that it should happen; null: it says nothing of the kind. */
function isWantedSentence(line: string, from: number, to: number): boolean | null {
  const start = Math.max(line.lastIndexOf(". ", from), line.lastIndexOf("; ", from), line.lastIndexOf("! ", from), 0);
  const before = line.slice(Math.max(start, from - 200), from);
  const behind = line.slice(to, to + 80);
  // What is said last before the name holds for it.
  const contrast =
    /\b(instead of|rather than|but(?: (?:it|I|we|this))?(?: (?:actually|instead))?(?: \w+s)?|got|however|(?<!\bI )actually)\b(?!.*\b(?:instead of|rather than|but|got|however|actually)\b)/i
      .exec(before);
  if (contrast !== null && /instead|rather/i.test(contrast[1]!)) {
    return !/\b(?:should|must|expected?)\b/i.test(before.slice(0, contrast.index));
  }
  if (contrast !== null && !WANTED.test(before.slice(contrast.index))) return false;
  if (UNWANTED.test(before)) return false;
  if (
    /\b(?:does|do|did|is|are|was)(?: not|n't|n’t) (?:raise|throw|give|produce|exit|fail|return)\w*\b[^.]*$|\b(?:doesn't|don't|didn't|never) (?:raise|throw|exit|fail)\w*[^.]*$|\b(?:fails|failed|forgets) to (?:raise|throw)[^.]*$|\bno $/i
      .test(before)
  ) return true;
  if (WANTED.test(before)) return true;
  if (/^[`'")\s]*(?:should be|must be|is expected|was expected|would be expected)(?! to not)\b/i.test(behind)) {
    return !/^[`'")\s]*(?:should|must) not/i.test(behind);
  }
  return null;
}

function isWantedHeading(heading: string): boolean {
  return /\bexpect(?:ed|ation)|\bdesired\b|\bshould\b|\bproposed\b/.test(heading) &&
    !/\bactual\b|\bvs\b|\bunexpected\b|\band actual\b/.test(heading);
}

/** Something else that went wrong while the person looked for a way around the bug. */
const WAY_AROUND =
  /\b(?:as|for|with|using|tried|trying|try|use)(?: (?:a|the|this|another|my|one|some|possible))* work-? ?around\b|\bfor (?:another|a different|some other) reason\b/i;
const MAX_LEAD_LINES = 5;

/** Of a block: by its heading, or by the sentence that leads to it. Also where that says that it is of a way around. */
function isWantedBlock(first: IssueLine, all: readonly IssueLine[]): boolean {
  let lead = first.index - 1;
  while (lead >= 0 && (all[lead]!.isFence || all[lead]!.fence !== null || all[lead]!.text.trim() === "")) {
    // Another block stands between: what led to that one does not lead to this.
    if (all[lead]!.fence !== null && all[lead]!.fence !== first.fence) return isWantedHeading(first.heading);
    lead--;
  }
  const sentence = lead < 0 ? "" : all[lead]!.text;
  const paragraph = all.slice(Math.max(0, lead + 1 - MAX_LEAD_LINES), lead + 1).map(({ text }) => text).join(" ");
  if (/\bwork-? ?arounds?\b/.test(first.heading) || (/:\s*$/.test(sentence) && WAY_AROUND.test(paragraph))) return true;
  const led = /:\s*$/.test(sentence) ? isWantedSentence(sentence, sentence.length, sentence.length) : null;
  return led ?? isWantedHeading(first.heading);
}
