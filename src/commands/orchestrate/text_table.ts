/** The rows and cells of what `gocore orchestrate list` and `show` print. */

/** Columns as wide as their widest cell, two spaces between them. */
export function textTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd());
}

const UNITS: readonly (readonly [name: string, ms: number])[] = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000]];

/** `45s`, `12m`, `3h`, `2d`. */
export function ageText(ms: number): string {
  const [name, unitMs] = UNITS.find(([, unit]) => ms >= unit) ?? ["s", 1000];
  return `${Math.max(Math.floor(ms / unitMs), 0)}${name}`;
}

/** `?` is a cost that nobody knows, which is not 0. */
export function usdText(usd: number | null): string {
  return usd === null ? "?" : usd.toFixed(4);
}
