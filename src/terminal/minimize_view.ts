/** A minimization as a person reads it: the lines that stay, the line that moves, and the result. */
import type { MinimizeEnd, MinimizeEvent, MinimizeProgress } from "../events/minimize_events.ts";
import { clipToWidth } from "./display_width.ts";
import { duration, oneLine, usdOrUnknown } from "./session_notes.ts";

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

const EMPTY_WARNING = "nothing of the file is needed to show it: does the command look at {file}, and can it say no?";

/** The end, as `name: value` lines. */
export function minimizeResult(end: MinimizeEnd): string {
  const isEmpty = end.size === 0 && end.start_size > 0;
  const rows: (readonly [name: string, value: string])[] = [
    ["status", `${end.status}${isEmpty ? ", but empty" : ""}${end.reason === "" ? "" : `: ${end.reason}`}`],
    ...(isEmpty ? [["warning", EMPTY_WARNING] as const] : []),
    ...end.output.map((path) => ["result", path] as const),
    ["size", `${end.start_size} → ${end.size} characters (${percent(end.size, end.start_size)} of the start)`],
    [
      "proof",
      end.minimal_by === null
        ? "none: more might go"
        : isEmpty
        ? "an empty file shows it as well"
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
