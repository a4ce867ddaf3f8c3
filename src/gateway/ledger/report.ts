/** What calls have cost, added up by run, worker, model, day or upstream, as data and as text. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { CostSource } from "../../models/usage.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { amountSumColumns, readAmountSum } from "./amount_sum.ts";
import { toUsd } from "./picodollars.ts";

const REPORT_FIELDS = ["run", "worker", "model", "day", "upstream"] as const;
export type ReportField = typeof REPORT_FIELDS[number];

export interface ReportQuery {
  /** One row for each combination that occurs; empty: totals alone. */
  readonly by: readonly ReportField[];
  readonly filters?: {
    readonly run?: string;
    readonly worker?: string;
    readonly model?: string;
    /** Calls that began at this time or later. */
    readonly since?: Date;
    /** Calls that began before this time. */
    readonly until?: Date;
  };
}

export interface ReportSums {
  readonly calls: number;
  readonly answered: number;
  /** Ended in any other way. */
  readonly failed: number;
  readonly open: number;
  /** Neither read from nor written to a cache. */
  readonly input_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  /** Reasoning included. */
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  /** The sum of the costs that are known; null: calls have ended, and of none the cost is known. */
  readonly cost_usd: number | null;
  /** The least certain of all ended calls, null when none has ended. */
  readonly cost_source: CostSource | null;
  /** The part of `cost_usd` that is estimated. */
  readonly estimated_usd: number;
  /** Held back for the open calls. */
  readonly reserved_usd: number;
  /** What caps count beyond `cost_usd` for ended calls that may have cost more. */
  readonly held_usd: number;
  /** Ended calls whose cost nobody knows. */
  readonly unknown_calls: number;
}

export type ReportRow = Readonly<Partial<Record<ReportField, string>>> & ReportSums;

export interface Report {
  readonly by: readonly ReportField[];
  /** The dearest first; with `day` in `by`, the earliest day first. */
  readonly rows: readonly ReportRow[];
  readonly totals: ReportSums;
}

const LONGEST_SHOWN_NAME = 48;

/** The most certain first. */
const SOURCES: readonly CostSource[] = ["provider", "user", "list", "estimated", "unknown"];

const SUMS = [
  "count(*) AS calls",
  "count(*) FILTER (WHERE outcome = 'answered') AS answered",
  "count(*) FILTER (WHERE outcome <> 'answered') AS failed",
  "count(*) FILTER (WHERE ended_ms IS NULL) AS open",
  // Not `sum`, which fails on what 64 bits do not hold.
  ...["input", "cache_read", "cache_write", "output", "reasoning"].map((part) => `total(${part}) AS ${part}`),
  "count(cost) AS priced",
  amountSumColumns("cost", "cost IS NOT NULL", "cost"),
  amountSumColumns("cost", "cost_source = 'estimated'", "estimated"),
  amountSumColumns("reserved", "ended_ms IS NULL", "reserved"),
  amountSumColumns("counted - coalesce(cost, 0)", "ended_ms IS NOT NULL", "held"),
  "count(*) FILTER (WHERE ended_ms IS NOT NULL AND cost IS NULL) AS unknown_calls",
  `max(CASE cost_source ${SOURCES.map((source, rank) => `WHEN '${source}' THEN ${rank}`).join(" ")} END) AS source`,
].join(", ");

/** Reads every call that fits. The caller sees to it that both queries are of the same moment. */
export function readReport(database: DatabaseSync, { by, filters = {} }: ReportQuery): Report {
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  const require = (condition: string, value: SQLInputValue | undefined) => {
    if (value === undefined) return;
    conditions.push(condition);
    values.push(value);
  };
  require("run = ?", filters.run);
  require("worker = ?", filters.worker);
  require("model = ?", filters.model);
  require("started_ms >= ?", filters.since?.getTime());
  require("started_ms < ?", filters.until?.getTime());
  const from = `FROM call ${conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`}`;
  const query = (sql: string) => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all(...values);
  };
  const fields = REPORT_FIELDS.filter((field) => by.includes(field));
  const columns = fields.join(", ");
  const rows = fields.length === 0
    ? []
    : query(`SELECT ${columns}, ${SUMS} ${from} GROUP BY ${columns}`).map((row) => ({
      ...Object.fromEntries(fields.map((field) => [field, row[field] as string])),
      ...sumsIn(row),
    }));
  const byName = (a: ReportRow, b: ReportRow) =>
    fields.reduce((order, field) => order || compare(a[field]!, b[field]!), 0);
  const byDay = (a: ReportRow, b: ReportRow) => compare(a.day ?? "", b.day ?? "");
  rows.sort((a: ReportRow, b: ReportRow) => byDay(a, b) || (b.cost_usd ?? 0) - (a.cost_usd ?? 0) || byName(a, b));
  return { by: fields, rows, totals: sumsIn(query(`SELECT ${SUMS} ${from}`)[0]!) };
}

/**
 * With a line feed at its end. `csv` has no totals, so that a column can be added up; its lines end as RFC 4180 says.
 * Control characters in names show as `\x1b` in both; the table has the ends of long names alone.
 */
export function formatReport(report: Report, format: "table" | "json" | "csv"): string {
  if (format === "json") return JSON.stringify(report, null, 2) + "\n";
  if (format === "csv") {
    const header = [...report.by, ...SUM_KEYS];
    return [header, ...report.rows.map((row) => header.map((name) => csvCell(row[name as keyof ReportRow])))]
      .map((cells) => cells.join(",") + "\r\n").join("");
  }
  return formatTable(report);
}

/** The names in data, and the shorter ones over the table's columns. */
const SUM_NAMES = {
  calls: "calls",
  answered: "ok",
  failed: "failed",
  open: "open",
  input_tokens: "input",
  cache_read_tokens: "cached",
  cache_write_tokens: "stored",
  output_tokens: "output",
  reasoning_tokens: "reasoning",
  cost_usd: "cost_usd",
  cost_source: "source",
  estimated_usd: "estimated",
  reserved_usd: "reserved",
  held_usd: "held",
  unknown_calls: "unknown",
} as const satisfies Record<keyof ReportSums, string>;
const SUM_KEYS = Object.keys(SUM_NAMES) as (keyof ReportSums)[];

function formatTable({ by, rows, totals }: Report): string {
  const header = [...by, ...Object.values(SUM_NAMES)];
  const lines = rows.map((row) => [...by.map((field) => shortened(escaped(row[field]!))), ...sumCells(row)]);
  const label = by.length === 0 ? [] : ["total", ...Array<string>(by.length - 1).fill("")];
  const last = [...label, ...sumCells(totals)];
  const widths = header.map((_, i) =>
    [header, ...lines, last].reduce((most, cells) => Math.max(most, cells[i]!.length), 0)
  );
  const isText = (i: number) => i < by.length || header[i] === SUM_NAMES.cost_source;
  const format = (cells: readonly string[]) =>
    cells.map((cell, i) => isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ").trimEnd();
  const rule = widths.map((width) => "-".repeat(width));
  return [header, ...lines, rule, last].map((cells) => format(cells) + "\n").join("");
}

function sumCells(sums: ReportSums): string[] {
  return SUM_KEYS.map((name) => {
    const value = sums[name];
    if (name === "cost_usd") return costCell(sums);
    if (name === "cost_source") return sums.cost_source ?? "";
    return name.endsWith("_usd") ? (value as number).toFixed(6) : String(value);
  });
}

function costCell({ cost_usd, unknown_calls }: ReportSums): string {
  if (cost_usd === null) return "?";
  return cost_usd.toFixed(6) + (unknown_calls > 0 ? "+?" : "");
}

/** In one line, and harmless to show: names come from workers and models. */
function escaped(name: string): string {
  return escapeTerminal(name).replace(/[\n\t\u2028\u2029]/g, (character) => LINE_ESCAPES.get(character)!);
}

const LINE_ESCAPES = new Map([["\n", "\\n"], ["\t", "\\t"], ["\u2028", "\\u2028"], ["\u2029", "\\u2029"]]);

/** A long name would make every line of the table as long; its ends tell most. */
function shortened(name: string): string {
  const characters = [...name];
  if (characters.length <= LONGEST_SHOWN_NAME) return name;
  const half = LONGEST_SHOWN_NAME / 2;
  return [...characters.slice(0, half), "…", ...characters.slice(1 - half)].join("");
}

/** Text that a spreadsheet would run as a formula gets an apostrophe in front, which it shows as text. */
function csvCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = escaped(value).replace(/^[=+\-@]/, "'$&");
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function sumsIn(row: Record<string, unknown>): ReportSums {
  const count = (name: string) => Number(row[name]);
  const usd = (name: string) => toUsd(readAmountSum(row, name));
  const unknownCalls = count("unknown_calls");
  return {
    calls: count("calls"),
    answered: count("answered"),
    failed: count("failed"),
    open: count("open"),
    input_tokens: count("input"),
    cache_read_tokens: count("cache_read"),
    cache_write_tokens: count("cache_write"),
    output_tokens: count("output"),
    reasoning_tokens: count("reasoning"),
    cost_usd: unknownCalls > 0 && count("priced") === 0 ? null : usd("cost"),
    cost_source: row.source === null ? null : SOURCES[count("source")]!,
    estimated_usd: usd("estimated"),
    reserved_usd: usd("reserved"),
    held_usd: usd("held"),
    unknown_calls: unknownCalls,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
