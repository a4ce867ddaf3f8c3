/** A session on a terminal: the lines that stay, the block that shows what is going on, and the result. */
import type { RunEvent } from "../events/event.ts";
import { costOf, type SessionState, type WorkerState } from "../orchestrate/session.ts";
import { clipToWidth, displayWidth } from "./display_width.ts";
import {
  answerCommand,
  duration,
  type NoteStyle,
  oneLine,
  resumeCommand,
  type SessionNote,
  usdOrUnknown,
  words,
} from "./session_notes.ts";

export interface BlockOptions {
  readonly nowMs: number;
  /** Of the terminal. */
  readonly columns: number;
  readonly rows: number;
  readonly colour: boolean;
}

const SGR: Readonly<Record<Exclude<NoteStyle, "plain">, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };
const BAR_COLUMNS = 10;
const MAX_NAME = 20;
const SPINNER = "|/-\\";
const MAX_LOG_LINE = 2000;

/** A note as it stays on a terminal: the time since the session's start, who, what. With its line breaks. */
export function terminalLines(
  note: SessionNote,
  { elapsedMs, columns, colour }: { elapsedMs: number; columns: number; colour: boolean },
): string {
  const time = clock(elapsedMs).padStart(7);
  const head = `${time} ${note.source}: `;
  // What is not for everybody takes one line at most.
  const text = note.level === "debug" ? clipToWidth(note.text, columns - displayWidth(head)) : note.text;
  const details = note.details.map((detail) => `${" ".repeat(time.length + 3)}${detail}\n`).join("");
  return `${paint("dim", time, colour)} ${note.source}: ${paint(note.style, text, colour)}\n${details}`;
}

/** A note as lines of `orchestrator.log`: `2026-11-21T20:00:00.123Z INFO coordinator: …`. With their line breaks. */
export function logLines({ level, source, text, details }: SessionNote, time: string): string {
  const head = `${time} ${level.toUpperCase()} ${source}: `;
  return [text, ...details.map((detail) => `  ${detail}`)].map((line) => `${head}${line}\n`).join("");
}

/** Any event as such a line, for those who want to see every one. */
export function rawLogLine({ type, data, time }: RunEvent): string {
  return `${time} DEBUG coordinator: ${oneLine(`${type} ${JSON.stringify(data)}`, MAX_LOG_LINE)}\n`;
}

/** What is going on: one line for the session, one for each worker that runs. None is wider than the terminal. */
export function sessionBlock(state: SessionState, { nowMs, columns, rows, colour }: BlockOptions): string[] {
  // A line that fills its row may be folded by some terminals.
  const width = columns - 1;
  const line = (style: NoteStyle, text: string) => paint(style, clipToWidth(text, width), colour);
  const running = [...state.workers.values()].filter(({ status }) => status === "running" || status === "paused");
  const nameColumns = widest(running.map(({ name }) => oneLine(name, MAX_NAME)));
  const taskColumns = widest(running.map(workOf));
  const question = [...state.questions.values()].find(({ answer }) => answer === null);
  const lines = [
    line("bold", statusLine(state, nowMs)),
    ...(question === undefined ? [] : [line("yellow", `  ? ${oneLine(`${question.id}: ${question.text}`, width)}`)]),
    ...running.map((worker) => {
      const parts = [
        padded(oneLine(worker.name, MAX_NAME), nameColumns),
        padded(workOf(worker), taskColumns),
        worker.progress > 0 ? bar(worker.progress) : SPINNER[worker.events % SPINNER.length]!.padEnd(BAR_COLUMNS + 7),
        doing(worker).padEnd(10),
        oneLine(worker.lastText, width),
      ];
      return line(styleOf(worker), `  ${parts.join("  ").trimEnd()}`);
    }),
  ];
  // The last row is the cursor's.
  const room = Math.max(1, rows - 1);
  if (lines.length <= room) return lines;
  const shown = lines.slice(0, Math.max(1, room - 1));
  return room === 1 ? shown : [...shown, line("dim", `  … ${lines.length - shown.length} more`)];
}

/** What has come of a session that has ended, as `name: value` lines. */
export function sessionResult(state: SessionState): string {
  const { start, finish } = state;
  if (start === null || finish === null) return "";
  const questions = [...state.questions.values()].filter(({ answer }) => answer === null);
  const rows: readonly (readonly [name: string, value: string | null])[] = [
    ["session", start.session_id],
    ["status", finish.status],
    ["summary", finish.summary],
    ["branch", finish.result_branch],
    ["commit", finish.result_commit],
    ["applied", finish.result_commit === null ? null : finish.applied ? "yes" : "no"],
    ["report", finish.report],
    ["cost", finish.cost_usd === null ? "unknown" : usdOrUnknown(finish.cost_usd)],
    ["time", duration(finish.duration_seconds)],
    ...finish.open.map((open) => ["open", open] as const),
    ...(finish.status === "done" ? [] : [
      ...questions.flatMap(({ id, text }) =>
        [["question", `${id}: ${text}`], ["answer", answerCommand(id, state)]] as const
      ),
      ["resume", resumeCommand(start)] as const,
    ]),
  ];
  return rows.map(([name, value]) => value === null ? "" : `${`${name}:`.padEnd(10)}${oneLine(value, MAX_LOG_LINE)}\n`)
    .join("");
}

function statusLine(state: SessionState, nowMs: number): string {
  const { start, status, statusReason, preflight, tasks, startedAt } = state;
  const done = [...tasks.values()].filter((task) => task.status === "done").length;
  const budget = start?.budget_usd ?? null;
  return [
    words(status),
    clock(nowMs - Date.parse(startedAt)),
    spent(state) + (budget === null ? "" : ` of ${budget.toFixed(2)}`),
    ...(preflight === null ? [] : [`tier ${preflight.tier} (${preflight.tier_name})`]),
    ...(tasks.size === 0 ? [] : [`${done}/${tasks.size} tasks`]),
    ...(statusReason === "" ? [] : [oneLine(statusReason)]),
  ].join("  ");
}

function spent(state: SessionState): string {
  const cost = costOf(state);
  if (cost !== null) return usdOrUnknown(cost);
  const known = [...state.spending.values()].reduce((sum, { knownUsd }) => sum + knownUsd, 0);
  return known === 0 ? usdOrUnknown(null) : `at least ${usdOrUnknown(known)}`;
}

function workOf({ task, review }: WorkerState): string {
  return oneLine(task ?? (review === null ? "result" : `review ${review}`), MAX_NAME);
}

function doing({ status, liveness }: WorkerState): string {
  return status === "paused" ? "paused" : liveness === null ? "" : LIVENESS[liveness.verdict];
}

const LIVENESS = {
  working: "working",
  waiting_model: "asks model",
  waiting_tool: "runs tool",
  backoff: "backs off",
  paused: "paused",
  stalled: "stalled",
  spinning: "spinning",
  dead: "dead",
} as const;

function styleOf({ status, liveness }: WorkerState): NoteStyle {
  if (status === "paused") return "dim";
  const verdict = liveness?.verdict;
  return verdict === "stalled" || verdict === "spinning" || verdict === "dead" ? "yellow" : "plain";
}

function bar(percent: number): string {
  const filled = Math.round(percent / 100 * BAR_COLUMNS);
  return `[${"#".repeat(filled)}${".".repeat(BAR_COLUMNS - filled)}] ${String(Math.round(percent)).padStart(3)}%`;
}

/** `1:02:03` or `2:03`. */
function clock(ms: number): string {
  const seconds = Number.isFinite(ms) ? Math.max(0, Math.floor(ms / 1000)) : 0;
  const two = (count: number) => String(count).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** With the style's colour, where colours are wanted. */
export function paint(style: NoteStyle, text: string, colour: boolean): string {
  return !colour || style === "plain" || text === "" ? text : `\x1b[${SGR[style]}m${text}\x1b[0m`;
}

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, displayWidth(text)), 0);
}

function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - displayWidth(text)));
}
