/** Takes the text of an issue apart: code, prose, sentences; what deceives the eye is made visible. */
import { escapeTerminal } from "../safety/escape_terminal.ts";

export interface CodeBlock {
  readonly language: string | null;
  readonly text: string;
}

export interface TextParts {
  readonly codeBlocks: readonly CodeBlock[];
  /** Without code blocks and without comments of HTML; a line for each line of the text. */
  readonly prose: readonly string[];
}

// Tags of U+E0000 are letters that only programs see; the others have no width.
const INVISIBLE = /[\u{e0000}-\u{e007f}\u200b\u2060\ufeff]/gu;

/** Line feeds alone, no invisible letters, and control characters (also those that turn the direction) spelled out. */
export function neutralText(text: string): string {
  return escapeTerminal(text.replaceAll(/\r\n?/g, "\n").replaceAll(INVISIBLE, ""));
}

const FENCE = /^[ \t>]*(`{3,}|~{3,})[ \t]*([^\s`{]{0,40})/;
const MAX_BLOCKS = 40;
const MAX_BLOCK = 20_000;

const PRE_END = "</pre>";

/** Fenced blocks, those of `<pre>`, and those that are indented by four after an empty line. */
export function textParts(text: string): TextParts {
  const codeBlocks: CodeBlock[] = [];
  const prose: string[] = [];
  let block: { readonly fence: string; readonly language: string | null; readonly lines: string[] } | undefined;
  let wasEmpty = true;
  const readPre = (lines: string[], line: string) => {
    const end = line.toLowerCase().indexOf(PRE_END);
    lines.push(end === -1 ? line : line.slice(0, end));
    if (end !== -1) close();
  };
  const close = () => {
    const content = block?.lines.join("\n").replace(/^\n/, "").trimEnd() ?? "";
    if (content.trim() !== "" && codeBlocks.length < MAX_BLOCKS) {
      const isCut = content.length > MAX_BLOCK;
      codeBlocks.push({ language: block!.language, text: isCut ? `${content.slice(0, MAX_BLOCK)}\n…` : content });
    }
    block = undefined;
  };
  for (const line of withoutHtmlComments(text).split("\n")) {
    const [, mark = "", info = ""] = FENCE.exec(line) ?? [];
    if (block?.fence === PRE_END) {
      readPre(block.lines, line);
      prose.push("");
      continue;
    }
    if (block !== undefined && block.fence !== "") {
      if (mark.startsWith(block.fence) && info === "") close();
      else block.lines.push(line);
      prose.push("");
      continue;
    }
    const isIndented = /^(?: {4}|\t)/.test(line) && line.trim() !== "";
    if (block !== undefined && !isIndented && line.trim() !== "") close();
    const pre = mark === "" && !isIndented ? /<pre\b[^>]{0,100}>(.*)$/i.exec(line) : null;
    if (pre !== null) {
      close();
      block = { fence: PRE_END, language: null, lines: [] };
      readPre(block.lines, pre[1]!);
      prose.push(line.slice(0, pre.index));
    } else if (mark !== "") {
      close();
      block = { fence: mark, language: info === "" ? null : info.toLowerCase(), lines: [] };
      prose.push("");
    } else if (isIndented && (block !== undefined || wasEmpty && !isInList(prose))) {
      block ??= { fence: "", language: null, lines: [] };
      block.lines.push(line.replace(/^(?: {4}|\t)/, ""));
      prose.push("");
    } else {
      if (block !== undefined) block.lines.push("");
      prose.push(line);
    }
    wasEmpty = line.trim() === "";
  }
  close();
  return { codeBlocks, prose };
}

/** Whether the last thing that was said is an item of a list: what is indented below it belongs to it. */
function isInList(prose: readonly string[]): boolean {
  let at = prose.length - 1;
  while (at >= 0 && prose[at]!.trim() === "" && prose.length - at < 50) at--;
  return /^\s*(?:[-*+]|\d{1,9}[.)])\s|^\s+\S/.test(prose[at] ?? "");
}

/** Notes of templates to who writes an issue. One within a fence stays: it may be the code that fails. */
function withoutHtmlComments(text: string): string {
  const kept: string[] = [];
  let isCode = false;
  let isComment = false;
  let fence = "";
  for (const line of text.split("\n")) {
    if (!isComment) {
      const [, mark = "", info = ""] = FENCE.exec(line) ?? [];
      if (!isCode && mark !== "") [isCode, fence] = [true, mark];
      else if (isCode && mark.startsWith(fence) && info === "") isCode = false;
    }
    if (isCode) {
      kept.push(line);
      continue;
    }
    let shown = "";
    for (let at = 0; at < line.length;) {
      const next = line.indexOf(isComment ? "-->" : "<!--", at);
      if (!isComment) shown += line.slice(at, next === -1 ? undefined : next);
      if (next === -1) break;
      at = next + (isComment ? 3 : 4);
      isComment = !isComment;
    }
    kept.push(shown);
  }
  return kept.join("\n");
}

const BINDING =
  /\b(?:must|cannot|can't|can not|only (?:on|with|when|if|in|under|for|after|happens|occurs|fails|reproducible)|requires?|never|not reproducible|does not happen|doesn't happen|regression|worked (?:in|on|with|before|fine))\b/i;
const MAX_CONSTRAINTS = 20;
const MAX_SENTENCE = 300;

/** Sentences that say what a reproducer has to keep to: "must", "cannot", "only on …". */
export function constraintsIn(prose: readonly string[]): string[] {
  const found = new Set<string>();
  for (const line of prose) {
    // A checked box is what the template asks of everybody.
    if (/^\s*[-*]\s*\[[ xX]\]/.test(line) || /^\s*#/.test(line)) continue;
    for (const sentence of line.slice(0, 5000).split(/(?<=[.!?])\s+/)) {
      const text = sentence.replace(/^\s*(?:[-*+>]|\d{1,9}[.)])\s+/, "").trim();
      if (text.length < 8 || text.length > MAX_SENTENCE || !BINDING.test(text)) continue;
      if (found.size < MAX_CONSTRAINTS) found.add(text);
    }
  }
  return [...found];
}
