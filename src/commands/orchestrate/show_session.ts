/** What a person sees of a session while it runs: progress on stderr, the result on stdout, and `orchestrator.log`. */
import { join } from "node:path";
import type { EventBus } from "../../events/bus.ts";
import type { RunEvent } from "../../events/event.ts";
import { encodeJsonLine } from "../../events/json_lines.ts";
import { type Failure, messageOf } from "../../failure.ts";
import type { SessionState } from "../../orchestrate/session.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { type Io, OutputPipe } from "../../terminal/io.ts";
import { LineOutput } from "../../terminal/line_output.ts";
import { LiveBlock } from "../../terminal/live_block.ts";
import { type NoteLevel, noteOf, type SessionNote } from "../../terminal/session_notes.ts";
import { logLines, rawLogLine, sessionBlock, sessionResult, terminalLines } from "../../terminal/session_view.ts";
import type { OrchestrateOptions } from "./options.ts";

export const ORCHESTRATOR_LOG = "orchestrator.log";

const REDRAW_MS = 100;
const CLOCK_MS = 1000;
/** How long a reader that takes nothing is waited for. */
const FLUSH_MS = 2000;
/** For terminals that do not know their size. */
const USUAL_SIZE = { columns: 80, rows: 24 };

export interface SessionShow {
  /** Shows what has been published until now and the result, and leaves the terminal as it was. */
  close(): Promise<void>;
}

/** Some place where events are shown. */
interface Screen {
  show(event: RunEvent, note: SessionNote | undefined): void;
  /** A line that is about us. */
  tell(text: string): void;
  close(): void;
}

/** @param options.state what `bus` has published, folded before subscribers are told */
export function showSession(bus: EventBus, { io, options, state, folder }: {
  readonly io: Pick<Io, "env" | "stdout" | "stderr" | "now">;
  readonly options: Pick<OrchestrateOptions, "json" | "logLevel">;
  readonly state: SessionState;
  /** The session's own. */
  readonly folder: string;
}): SessionShow {
  const isTerminal = Deno.stderr.isTerminal() && io.env.TERM !== "dumb";
  const screen = options.json
    ? jsonScreen(io)
    : isTerminal
    ? liveScreen(io, { state, isVerbose: options.logLevel === "debug" })
    : plainScreen(io, { isVerbose: options.logLevel === "debug" });
  const log = openLog(join(folder, ORCHESTRATOR_LOG), { level: options.logLevel, now: io.now, tell: screen.tell });
  const unsubscribe = bus.subscribe((event) => {
    const note = noteOf(event, state);
    screen.show(event, note);
    log?.show(event, note);
  });
  return {
    async close() {
      // The bus hands out what was published without anybody waiting for it in microtasks: all of them run before this.
      await new Promise((resolve) => setTimeout(resolve));
      unsubscribe();
      screen.close();
      if (!options.json) {
        // Both may be one terminal, whose last lines are cleared first.
        await io.stderr.flush(FLUSH_MS);
        io.stdout.write(sessionResult(state)).catch(() => {});
      }
      await log?.close();
    },
  };
}

/** Every event on stdout as `{"type","data","timestamp"}`, and nothing else. */
export function jsonScreen({ stdout, stderr, now }: Pick<Io, "stdout" | "stderr" | "now">): Screen {
  const line = ({ type, data }: Pick<RunEvent, "type" | "data">, timestamp: string) =>
    encodeJsonLine({ type, data, timestamp });
  const tell = (text: string) => void stderr.write(escapeTerminal(`Note: ${text}\n`)).catch(() => {});
  const output = new LineOutput(stdout, {
    leftOut(count) {
      const content = `${
        leftOut(count, "event")
      }, because stdout was not read fast enough; events.jsonl has all of them`;
      return line({ type: "log", data: { level: "warning", content } }, new Date(now()).toISOString());
    },
    onFailure: ({ message }) => tell(`${message}; the session goes on, and shows no more events`),
  });
  return { show: (event) => output.push(line(event, event.time)), tell, close: () => output.close() };
}

/** A line for each event that matters. */
function plainScreen({ stderr, now }: Pick<Io, "stderr" | "now">, { isVerbose }: { isVerbose: boolean }): Screen {
  const time = () => new Date(now()).toISOString();
  const output = new LineOutput(stderr, { leftOut: (count) => logLines(leftOutNote(count), time()) });
  return {
    show(event, note) {
      if (note !== undefined && isShown(event, note, isVerbose)) output.push(logLines(note, event.time));
    },
    tell: (text) => output.push(logLines(warning(text), time())),
    close: () => output.close(),
  };
}

/** Such lines on a terminal, and below them what is going on. */
function liveScreen(
  { stderr, env, now }: Pick<Io, "stderr" | "env" | "now">,
  { state, isVerbose }: { state: SessionState; isVerbose: boolean },
): Screen {
  const colour = (env.NO_COLOR ?? "") === "";
  const block = new LiveBlock();
  let drawn = "";
  let isOpen = true;
  const linesOf = (note: SessionNote, nowMs: number) =>
    terminalLines(note, { elapsedMs: nowMs - Date.parse(state.startedAt), columns: terminalSize().columns, colour });
  const output = new LineOutput(stderr, {
    intervalMs: REDRAW_MS,
    leftOut: (count) => linesOf(leftOutNote(count), now()),
    compose(lines) {
      const size = terminalSize();
      const rows = isOpen && state.start !== null ? sessionBlock(state, { nowMs: now(), ...size, colour }) : [];
      const picture = JSON.stringify([rows, size]);
      if (lines === "" && picture === drawn) return "";
      drawn = picture;
      return block.frame(lines, rows, size);
    },
  });
  const clock = setInterval(() => output.wake(), CLOCK_MS);
  return {
    show(event, note) {
      if (note !== undefined && isShown(event, note, isVerbose)) output.push(linesOf(note, Date.parse(event.time)));
      else output.wake();
    },
    tell: (text) => output.push(linesOf(warning(text), now())),
    close() {
      clearInterval(clock);
      isOpen = false;
      output.close();
    },
  };
}

function terminalSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    return columns > 0 && rows > 0 ? { columns, rows } : USUAL_SIZE;
  } catch {
    return USUAL_SIZE;
  }
}

interface SessionLogFile {
  show(event: RunEvent, note: SessionNote | undefined): void;
  close(): Promise<void>;
}

/** @returns undefined, when it cannot be written; that is told */
function openLog(path: string, { level, now, tell }: {
  readonly level: NoteLevel;
  now(): number;
  tell(text: string): void;
}): SessionLogFile | undefined {
  const fail = (error: unknown) => tell(`Cannot write "${path}": ${messageOf(error)}; the session goes on without it`);
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  } catch (error) {
    fail(error);
    return undefined;
  }
  const pipe = new OutputPipe(ORCHESTRATOR_LOG, file);
  const output = new LineOutput(pipe, {
    leftOut: (count) => logLines(leftOutNote(count), new Date(now()).toISOString()),
    onFailure: ({ message, cause }: Failure) => fail(cause ?? message),
  });
  return {
    show(event, note) {
      if (note === undefined && level === "debug") output.push(rawLogLine(event));
      if (note !== undefined && LEVELS[note.level] >= LEVELS[level]) output.push(logLines(note, event.time));
    },
    async close() {
      output.close();
      await pipe.flush(FLUSH_MS);
      file.close();
    },
  };
}

const LEVELS: Readonly<Record<NoteLevel, number>> = { debug: 0, info: 1, warning: 2, error: 3 };

/** Of what is not for everybody, those who want more see what agents say and do. */
function isShown({ type }: RunEvent, { level }: SessionNote, isVerbose: boolean): boolean {
  return level !== "debug" || isVerbose && type === "worker.event";
}

function leftOut(count: number, what: string): string {
  return count === 1 ? `1 ${what} is left out here` : `${count} ${what}s are left out here`;
}

function leftOutNote(count: number): SessionNote {
  return warning(`${leftOut(count, "entry").replace("entrys", "entries")}, because they were not read fast enough`);
}

function warning(text: string): SessionNote {
  return { level: "warning", source: "coordinator", style: "yellow", text: escapeTerminal(text), details: [] };
}
