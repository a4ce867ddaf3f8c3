/** A report as one HTML file that needs nothing else: no script, no request to anywhere. */
import { createHash } from "node:crypto";
import { byteLength } from "../../templates/fenced.ts";
import {
  type Badge,
  badgeOf,
  type Block,
  type Cell,
  type Fact,
  lineCount,
  type ReportDocument,
  type Section,
  shortened,
  type Step,
  timeText,
} from "./document.ts";
import { lineChart, spanChart } from "./charts.ts";
import { Markup, markup, type MarkupValue } from "./markup.ts";
import style from "./report.css" with { type: "text" };

const MAX_HTML_BYTES = 10_000_000;
/** For the head, and for the words on what was left out. */
const RESERVED_BYTES = 64 * 1024;
/** For the end of a fold, and the words on what is left out in it. */
const FOLD_BYTES = 128;
/** Longer outputs are shown when somebody asks for them. */
const OPEN_LINES = 12;
const MAX_CELL = 2000;
const SHORT_CELL = 14;
const MAX_TITLE = 200;

/** At most `maxBytes` of UTF-8: blocks that do not fit are left out, which is said in their place and at the top. */
export function writeHtml(
  report: ReportDocument,
  { maxBytes = MAX_HTML_BYTES }: { readonly maxBytes?: number } = {},
): string {
  const page = new Page(maxBytes - RESERVED_BYTES);
  const head = headOf(report);
  const body = report.sections.map((section, index) => page.section(section, index));
  const digest = createHash("sha256").update(style).digest("base64");
  const policy = `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`;
  const problems = [
    ...report.problems,
    ...(page.leftOut === 0 ? [] : [`${page.leftOut} parts are left out, because the report would be too large`]),
  ];
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(policy)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${clipped(report.title)} · gocore report</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
${head}${problemList(problems)}
${contentsOf(report.sections)}
</header>
<main>
${body}</main>
<footer>gocore ${report.version}, ${timeText(report.generatedAt)}. Secrets are masked.</footer>
</body>
</html>
`.text;
}

function problemList(problems: readonly string[]): MarkupValue {
  if (problems.length === 0) return "";
  return markup`<ul class="problems">${problems.map((text) => markup`<li>${shortened(text, MAX_CELL)}</li>`)}</ul>`;
}

function contentsOf(sections: readonly Section[]): Markup {
  const items = sections.map(({ title }, index) => markup`<li><a href="#s${index + 1}">${title}</a></li>`);
  return markup`<nav aria-label="Contents"><ol>${items}</ol></nav>`;
}

function headOf({ kind, id, title, status, summary, facts }: ReportDocument): Markup {
  return markup`<p class="over"><span>${KINDS[kind]}</span> <code>${id}</code></p>
<h1>${clipped(title)}</h1>
<p class="outcome">${badge(status)} ${shortened(summary, MAX_CELL)}</p>
${facts.length === 0 ? "" : factList(facts)}`;
}

const KINDS = { mini: "Mini run", session: "Session", manager: "Manager run" } as const;

class Page {
  leftOut = 0;
  #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  section({ title, blocks }: Section, index: number): Markup {
    return markup`<section id="s${index + 1}">
<h2>${title}</h2>
${this.#blocks(blocks)}</section>
`;
  }

  #blocks(blocks: readonly Block[]): Markup[] {
    let missing = 0;
    const shown = blocks.flatMap((block) => {
      const made = this.#block(block);
      if (made === undefined) missing++;
      return made ?? [];
    });
    if (missing === 0) return shown;
    this.leftOut += missing;
    const what = missing === 1 ? "One part is" : `${missing} parts are`;
    return [...shown, markup`<p class="note">${what} left out here: the report would be too large.</p>\n`];
  }

  /** Undefined: there is no room for it. */
  #block(block: Block): Markup | undefined {
    if (block.kind === "fold") {
      const { title, aside, blocks, isMain = false } = block;
      const tag = new Markup(isMain ? "<details open>" : "<details>");
      const begin = markup`${tag}<summary><b>${title}</b> <span>${aside}</span></summary>\n`;
      if (!this.#take(byteLength(begin.text) + FOLD_BYTES)) return undefined;
      return markup`${begin}${this.#blocks(blocks)}</details>\n`;
    }
    const made = blockOf(block);
    return this.#take(byteLength(made.text)) ? made : undefined;
  }

  #take(bytes: number): boolean {
    if (bytes > this.#room) return false;
    this.#room -= bytes;
    return true;
  }
}

function blockOf(block: Exclude<Block, { kind: "fold" }>): Markup {
  switch (block.kind) {
    case "text":
      return markup`<p class="prose">${block.text}</p>\n`;
    case "facts":
      return factList(block.facts);
    case "table":
      return tableOf(block);
    case "code":
      return markup`<pre>${block.language === "diff" ? diffOf(block.text) : block.text}</pre>\n`;
    case "lines":
      return lineChart(block.chart);
    case "spans":
      return spanChart(block.chart);
    case "step":
      return stepOf(block);
  }
}

function tableOf({ head, rows }: Extract<Block, { kind: "table" }>): Markup {
  const names = head.map((name) => markup`<th scope="col">${name}</th>`);
  const body = rows.map((row) => markup`<tr>${row.map(tableCell)}</tr>\n`);
  return markup`<div class="wide"><table><thead><tr>${names}</tr></thead>
<tbody>${body}</tbody></table></div>
`;
}

/** What is short looks better on one line, whatever the width of its column. */
function tableCell(cell: Cell): Markup {
  const isShort = typeof cell === "string" && cell.length <= SHORT_CELL;
  return isShort ? markup`<td class="short">${cell}</td>` : markup`<td>${cellOf(cell)}</td>`;
}

function stepOf({ who, time, text, commands, output, exitCode }: Step): Markup {
  const parts = [
    markup`<p class="over"><span>${who}</span>`,
    time === null ? "" : markup` <time>${timeText(time).slice(11, 19)}</time>`,
    exitCode === null ? "" : markup` ${exitBadge(exitCode)}`,
    markup`</p>\n`,
    text === "" ? "" : markup`<p class="prose">${text}</p>\n`,
    ...commands.map((command) => markup`<pre class="command">${command}</pre>\n`),
    outputOf(output),
  ];
  return markup`<div class="step">${parts}</div>\n`;
}

function outputOf(output: string): MarkupValue {
  if (output === "") return "";
  const shown = markup`<pre class="output">${output}</pre>\n`;
  if (output.split("\n", OPEN_LINES + 1).length <= OPEN_LINES) return shown;
  return markup`<details><summary><span>Output, ${lineCount(output)}</span></summary>${shown}</details>\n`;
}

function exitBadge(exitCode: number): Markup {
  return badge({ badge: `exit ${exitCode}`, tone: exitCode === 0 ? badgeOf("ok").tone : badgeOf("failed").tone });
}

function factList(facts: readonly Fact[]): Markup {
  const items = facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${cellOf(value)}</dd></div>`);
  return markup`<dl>${items}</dl>\n`;
}

function cellOf(cell: Cell): MarkupValue {
  if (typeof cell === "string") return shortened(cell, MAX_CELL);
  if ("badge" in cell) return badge(cell);
  if ("code" in cell) return markup`<code>${shortened(cell.code, MAX_CELL)}</code>`;
  const isAddress = /^https?:\/\/[^\s"'<>]+$/.test(cell.link);
  return isAddress ? markup`<a href="${cell.link}" rel="noreferrer noopener">${cell.link}</a>` : cell.link;
}

function badge({ badge, tone }: Badge): Markup {
  return markup`<span class="badge ${tone}">${badge}</span>`;
}

function diffOf(patch: string): Markup[] {
  return patch.split("\n").map((line) => {
    const name = /^(?:\+\+\+|---|diff |index )/.test(line)
      ? "file"
      : line.startsWith("+")
      ? "added"
      : line.startsWith("-")
      ? "removed"
      : line.startsWith("@@")
      ? "place"
      : undefined;
    return name === undefined ? markup`${line}\n` : markup`<span class="${name}">${line}</span>\n`;
  });
}

function clipped(title: string): string {
  return title.length <= MAX_TITLE ? title : `${title.slice(0, MAX_TITLE - 1).toWellFormed()}…`;
}
