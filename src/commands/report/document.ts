/** What a report says, whatever its format: sections of a few kinds of blocks. */
import type { RunKind } from "../../http/schemas.ts";

export interface ReportDocument {
  readonly kind: RunKind;
  readonly id: string;
  readonly title: string;
  readonly status: Badge;
  /** What came of it, in a sentence. */
  readonly summary: string;
  readonly facts: readonly Fact[];
  /** What could not be read, or is not there: told first. */
  readonly problems: readonly string[];
  /** The most important first: what no longer fits is left out at the end. */
  readonly sections: readonly Section[];
  readonly version: string;
  /** UTC, ISO 8601. */
  readonly generatedAt: string;
}

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export type Tone = "good" | "bad" | "warn" | "plain";
export interface Badge {
  readonly badge: string;
  readonly tone: Tone;
}
/** Texts are prose; what is code is shown as it is. */
export type Cell = string | { readonly code: string } | { readonly link: string } | Badge;
export type Fact = readonly [name: string, value: Cell];

export type Block =
  /** Line feeds count. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "facts"; readonly facts: readonly Fact[] }
  | { readonly kind: "table"; readonly head: readonly string[]; readonly rows: readonly (readonly Cell[])[] }
  | { readonly kind: "code"; readonly text: string; readonly language?: string }
  | { readonly kind: "lines"; readonly chart: LineChart }
  | { readonly kind: "spans"; readonly chart: SpanChart }
  | Step
  | Fold;

/** What an agent said or ran. */
export interface Step {
  readonly kind: "step";
  readonly who: string;
  /** UTC, ISO 8601. */
  readonly time: string | null;
  readonly text: string;
  readonly commands: readonly string[];
  readonly output: string;
  readonly exitCode: number | null;
}

/** What only a part of the readers want to see. Formats that have to be short show the title alone, unless it is `main`. */
export interface Fold {
  readonly kind: "fold";
  readonly title: string;
  readonly aside: string;
  readonly blocks: readonly Block[];
  readonly isMain?: boolean;
}

/** Each line is a staircase: a value holds until the next one. */
export interface LineChart {
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [x: number, y: number])[] }[];
  readonly xText: (x: number) => string;
  readonly yText: (y: number) => string;
}

export interface SpanChart {
  readonly title: string;
  readonly rows: readonly {
    readonly name: string;
    /** Milliseconds since 1970. */
    readonly spans: readonly { readonly from: number; readonly to: number; readonly state: string }[];
  }[];
}

const TONES: Readonly<Record<string, Tone>> = {
  ...tonesOf("good", ["done", "ok", "already-fixed", "success", "approved", "completed", "finished", "reproduced"]),
  ...tonesOf("good", ["merged", "resolved", "match", "for"]),
  ...tonesOf("bad", ["failed", "error", "blocker", "conflict", "STOP_AND_ESCALATE", "unreadable", "against", "lost"]),
  ...tonesOf("warn", [
    "cut_off",
    "needs_input",
    "needs-human",
    "escalated",
    "budget",
    "concerns",
    "stopped",
    "timeout",
  ]),
  ...tonesOf("warn", ["interrupted", "cost_limit", "step_limit", "time_limit", "format_error", "flaky"]),
  ...tonesOf("warn", ["PAUSE_AND_CLARIFY", "LOG_WARNING", "given_up", "unknown"]),
};

function tonesOf(tone: Tone, names: readonly string[]): Record<string, Tone> {
  return Object.fromEntries(names.map((name) => [name, tone]));
}

/** A status, or another of the program's own words, as people read it. */
export function badgeOf(word: string): Badge {
  return { badge: word.replaceAll("_", " "), tone: Object.hasOwn(TONES, word) ? TONES[word]! : "plain" };
}

/** `2026-02-05 12:00:01 UTC`; "" for none. */
export function timeText(time: string | null): string {
  return time === null ? "" : time.replace("T", " ").replace(/(?:\.\d+)?Z$/, " UTC");
}

/** The beginning and the end of a text, with a word on how much is left out between them. */
export function shortened(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  const head = Math.floor(maxCharacters * 2 / 3);
  const tail = maxCharacters - head;
  const left = text.length - maxCharacters;
  return `${text.slice(0, head).toWellFormed()}\n… ${left} characters are left out …\n${
    text.slice(-tail).toWellFormed()
  }`;
}

export function lineCount(text: string): string {
  return counted(text.replace(/\n$/, "").split("\n").length, "line");
}

/** `1 line`, `3 lines`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Those that have nothing to say are left out. */
export function sectionsOf(sections: readonly (readonly [title: string, blocks: readonly Block[]])[]): Section[] {
  return sections.filter(([, blocks]) => blocks.length > 0).map(([title, blocks]) => ({ title, blocks }));
}

export function factsOf(facts: readonly (readonly [name: string, value: Cell | number | null | undefined])[]): Fact[] {
  return facts.flatMap(([name, value]) =>
    value === null || value === undefined || value === ""
      ? []
      : [[name, typeof value === "number" ? String(value) : value] as const]
  );
}

/** No block at all for a table without rows. */
export function tableOf(head: readonly string[], rows: readonly (readonly Cell[])[]): Block[] {
  return rows.length === 0 ? [] : [{ kind: "table", head, rows }];
}
