/** A minimization as a person reads it: the lines that stay, the line that moves, and the result. */
import { clipToWidth } from "./display_width.ts";
import { duration, oneLine, usdOrUnknown } from "./session_notes.ts";

/** What happens in a minimization, in the words of its JSON Lines. Sizes are characters of all that is reduced. */
export type MinimizeEvent =
  | {
    readonly type: "minimize.started";
    readonly data: {
      readonly file: string;
      readonly output: string;
      readonly oracle: string;
      readonly size: number;
      readonly jobs: number;
      /** Answers of a former run, which are not asked for again. */
      readonly known_answers: number;
      readonly version: string;
      readonly pid: number;
    };
  }
  | {
    readonly type: "minimize.start_proved";
    readonly data: {
      readonly runs: number;
      readonly shows: string;
      readonly cwd: string;
      readonly timeout_sec: number;
      /** By a former run. */
      readonly before: boolean;
    };
  }
  | {
    readonly type: "minimize.model";
    readonly data: {
      readonly model: string;
      readonly proposals: number;
      readonly cost_usd: number | null;
      readonly cost_source: string;
    };
  }
  | { readonly type: "minimize.note"; readonly data: { readonly text: string } }
  | { readonly type: "minimize.progress"; readonly data: MinimizeProgress }
  | { readonly type: "minimize.ended"; readonly data: MinimizeEnd };

export interface MinimizeProgress {
  readonly pass: string;
  readonly part: string;
  readonly size: number;
  readonly start_size: number;
  /** Runs of the oracle, those of a former run left out. */
  readonly calls: number;
  readonly calls_per_second: number;
  readonly elapsed_seconds: number;
}

export interface MinimizeEnd {
  /** Only `minimal` is exit code 0. With `limit` and `interrupted` the best so far is there. */
  readonly status: "minimal" | "limit" | "interrupted" | "failed";
  readonly reason: string;
  readonly start_size: number;
  readonly size: number;
  /** The unit of which no single one can be left out; null: nobody has proved that. */
  readonly minimal_by: "character" | "token" | null;
  readonly calls: number;
  /** Questions that the journal answered. */
  readonly answered_before: number;
  readonly duration_seconds: number;
  /** Absolute; empty: nothing was written. */
  readonly output: readonly string[];
  /** Null: no model was asked. `usd` null: nobody knows. */
  readonly cost: { readonly usd: number | null; readonly source: string } | null;
  readonly passes: readonly { readonly pass: string; readonly calls: number; readonly removed: number }[];
}

/** A line that stays, without its line break; undefined for what only a block shows, and for the end. */
export function minimizeLine({ type, data }: MinimizeEvent): string | undefined {
  switch (type) {
    case "minimize.started": {
      const before = data.known_answers === 0 ? "" : `, going on with ${data.known_answers} answers of a former run`;
      return oneLine(`${data.file}: ${plural(data.size, "character")}, ${plural(data.jobs, "job")}${before}`);
    }
    case "minimize.start_proved":
      return oneLine(
        `start: ${data.shows}, in ${data.runs} of ${data.runs} runs${data.before ? ", proved before" : ""}`,
      );
    case "minimize.model": {
      return oneLine(`${data.model}: ${plural(data.proposals, "proposal")}, ${usdOrUnknown(data.cost_usd)}`);
    }
    case "minimize.note":
      return oneLine(`note: ${data.text}`);
    case "minimize.progress":
    case "minimize.ended":
      return undefined;
  }
}

/** One line, no wider than the terminal. */
export function progressLine(progress: MinimizeProgress, options: { readonly columns: number }): string {
  const { pass, part, size, start_size, calls, calls_per_second, elapsed_seconds } = progress;
  const text = [
    `${size} of ${start_size} characters (${percent(size, start_size)})`,
    plural(calls, "call"),
    `${calls_per_second.toFixed(calls_per_second < 10 ? 1 : 0)}/s`,
    duration(elapsed_seconds),
    part === "" ? pass : `${pass} in ${part}`,
  ].join(", ");
  return clipToWidth(oneLine(text, options.columns), options.columns - 1);
}

/** The end, as `name: value` lines. */
export function minimizeResult(end: MinimizeEnd): string {
  const rows: (readonly [name: string, value: string])[] = [
    ["status", end.reason === "" ? end.status : `${end.status}: ${end.reason}`],
    ...end.output.map((path) => ["result", path] as const),
    ["size", `${end.start_size} → ${end.size} characters (${percent(end.size, end.start_size)} of the start)`],
    [
      "proof",
      end.minimal_by === null
        ? "none: more might go"
        : `without any single ${end.minimal_by} it does not show it any more`,
    ],
    [
      "calls",
      `${end.calls}${end.answered_before === 0 ? "" : `, and ${end.answered_before} answered by a former run`}`,
    ],
    ...(end.cost === null ? [] : [["cost", usdOrUnknown(end.cost.usd)] as const]),
    ["time", duration(end.duration_seconds)],
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(9)}${oneLine(value)}\n`).join("");
}

function percent(size: number, whole: number): string {
  const share = whole === 0 ? 100 : (100 * size) / whole;
  return `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
