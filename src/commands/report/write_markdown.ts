/** A report as Markdown for an issue: short, without markup of others, and nobody is told of it who is named in it. */
import { codeBlock, codeSpan, plainLine } from "../../manager/plain_markdown.ts";
import { type Block, type Cell, type ReportDocument, shortened, type Step, timeText } from "./document.ts";

/** What GitHub takes. */
const MAX_MARKDOWN_CHARACTERS = 65_536;
/** For the words on what was left out. */
const RESERVED = 1024;
const MAX_CODE = 6000;
const MAX_TEXT = 4000;
const MAX_CELL = 300;
const MAX_ROWS = 40;
/** Of the steps of a section, the last ones. */
const MAX_STEPS = 40;
const MAX_ITEMS = 60;

/** At most so many UTF-16 code units: sections that do not fit are left out, which is said at the end. */
export function writeMarkdown(
  report: ReportDocument,
  { maxCharacters = MAX_MARKDOWN_CHARACTERS }: { readonly maxCharacters?: number } = {},
): string {
  const { kind, id, title, status, summary, facts, problems, sections, version, generatedAt } = report;
  const parts: string[] = [];
  const leftOut: string[] = [];
  let room = maxCharacters - RESERVED;
  const add = (part: string, name: string) => {
    if (part.length + 2 > room) leftOut.push(name);
    else {
      parts.push(part);
      room -= part.length + 2;
    }
  };
  add(`**${KINDS[kind]} ${codeSpan(id, 130)}: ${plainLine(status.badge)}** · ${plainLine(title, 200)}`, "its title");
  if (summary !== "") add(plainLine(summary, MAX_TEXT), "the summary");
  if (problems.length > 0) add(listOf(problems.map((text) => plainLine(text, MAX_CELL))), "what is wrong with it");
  if (facts.length > 0) add(factTable(facts), "its figures");
  for (const { title, blocks } of sections) {
    const shown = partsOf(blocks);
    if (shown.length === 0) continue;
    const [first, ...others] = shown;
    add(`### ${plainLine(title)}\n\n${first}`, title);
    if (!leftOut.includes(title)) { for (const part of others) add(part, `parts of "${title}"`); }
  }
  if (leftOut.length > 0) {
    const names = [...new Set(leftOut)].map((name) => plainLine(name, 60)).join(", ");
    parts.push(`Left out, because an issue takes no more: ${names.slice(0, RESERVED / 2)}.`);
  }
  parts.push(`---\n\ngocore ${plainLine(version)}, ${timeText(generatedAt)}; \`gocore report --html\` says more.`);
  return parts.join("\n\n") + "\n";
}

const KINDS = { mini: "Mini run", session: "Session", manager: "Manager run" } as const;

/** Neighbours that are items of one list stand in one. */
function partsOf(blocks: readonly Block[]): string[] {
  const parts: string[] = [];
  let items: string[] = [];
  const endList = () => {
    if (items.length > 0) parts.push(listOf(items));
    items = [];
  };
  const steps = blocks.filter((block) => block.kind === "step");
  const hidden = new Set<Block>(steps.slice(0, -MAX_STEPS));
  if (hidden.size > 0) items.push(`${hidden.size} earlier steps are left out here`);
  for (const block of blocks) {
    if (hidden.has(block)) continue;
    if (block.kind === "step") items.push(stepItem(block));
    else if (block.kind === "fold" && block.isMain !== true) items.push(foldItem(block.title, block.aside));
    else {
      endList();
      parts.push(...blockParts(block));
    }
  }
  endList();
  return parts;
}

function blockParts(block: Exclude<Block, { kind: "step" }>): string[] {
  switch (block.kind) {
    case "text":
      return [shortened(block.text, MAX_TEXT).split("\n").map((line) => plainLine(line, MAX_TEXT)).join("  \n")];
    case "facts":
      return block.facts.length === 0 ? [] : [factTable(block.facts)];
    case "table":
      return [tableOf(block.head, block.rows)];
    case "code":
      return [codeBlock(shortened(block.text, MAX_CODE), block.language)];
    case "fold":
      return [foldItem(block.title, block.aside), ...partsOf(block.blocks)];
    // They cannot be drawn, and what they show stands in tables too.
    case "lines":
    case "spans":
      return [];
  }
}

function foldItem(title: string, aside: string): string {
  return `**${plainLine(title, 200)}**${aside === "" ? "" : ` ${plainLine(aside, MAX_CELL)}`}`;
}

function stepItem({ who, time, text, commands, exitCode }: Step): string {
  const at = time === null ? "" : `${timeText(time).slice(11, 19)} `;
  const said = [
    ...commands.map((command) => codeSpan(command, 200)),
    ...(text === "" ? [] : [plainLine(text, 200)]),
    ...(exitCode === null ? [] : [`exit ${exitCode}`]),
  ];
  return `${at}${plainLine(who, 40)}: ${said.join(", ")}`;
}

function listOf(items: readonly string[]): string {
  const shown = items.slice(0, MAX_ITEMS).map((item) => `- ${item}`);
  if (items.length > MAX_ITEMS) shown.push(`- and ${items.length - MAX_ITEMS} more`);
  return shown.join("\n");
}

function factTable(facts: readonly (readonly [name: string, value: Cell])[]): string {
  return tableOf(["", ""], facts.map(([name, value]) => [name, value]));
}

function tableOf(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const shown = [
    line(head.map((name) => plainLine(name))),
    line(head.map(() => "---")),
    ...rows.slice(0, MAX_ROWS).map((row) => line(row.map(cellOf))),
  ].join("\n");
  return rows.length > MAX_ROWS ? `${shown}\n\n${rows.length - MAX_ROWS} more rows are left out here.` : shown;
}

function cellOf(cell: Cell): string {
  if (typeof cell === "string") return plainLine(cell, MAX_CELL);
  if ("badge" in cell) return plainLine(cell.badge, MAX_CELL);
  // A bar ends a cell in code, too.
  return codeSpan(("code" in cell ? cell.code : cell.link).replaceAll("|", "¦"), MAX_CELL);
}
