/** Tells a minimization as it goes: JSON Lines on stdout, or lines on stderr and the result on stdout. */
import { encodeJsonLine } from "../../events/json_lines.ts";
import type { MinimizeEvent, MinimizeProgress } from "../../events/minimize_events.ts";
import type { Io } from "../../terminal/io.ts";
import { LineOutput } from "../../terminal/line_output.ts";
import { LiveBlock } from "../../terminal/live_block.ts";
import { minimizeLine, minimizeResult, progressLine } from "../../terminal/minimize_view.ts";

export interface MinimizeShow {
  tell(event: MinimizeEvent): void;
  /** Resolves when all is written. */
  close(): Promise<void>;
}

/** Least time between two accounts of progress. */
const JSON_PROGRESS_MS = 250;
const PLAIN_PROGRESS_MS = 5000;
const REDRAW_MS = 100;
/** A run that is shorter than this shows no progress at all. */
const QUIET_BEGINNING_MS = 250;
const USUAL_COLUMNS = 80;
const leftOut = (count: number) => `… ${count} lines left out …\n`;

export function showMinimize(flags: { readonly json: boolean; readonly quiet: boolean }, io: Io): MinimizeShow {
  if (flags.json) return jsonLines(io);
  const screen = flags.quiet
    ? nothing
    : Deno.stderr.isTerminal() && io.env.TERM !== "dumb"
    ? liveLine(io)
    : plainLines(io);
  let result = "";
  return {
    tell(event) {
      // Without a result the failure says everything.
      if (event.type === "minimize.ended") result = event.data.output.length === 0 ? "" : minimizeResult(event.data);
      else if (event.type === "minimize.progress") screen.progress(event.data);
      else screen.line(`${minimizeLine(event)}\n`);
    },
    async close() {
      await screen.close();
      if (!flags.quiet) await io.stdout.write(result);
    },
  };
}

interface Screen {
  line(text: string): void;
  progress(progress: MinimizeProgress): void;
  close(): Promise<void>;
}

const nothing: Screen = { line() {}, progress() {}, async close() {} };

function jsonLines(io: Io): MinimizeShow {
  const line = (event: MinimizeEvent) => encodeJsonLine({ ...event, timestamp: new Date(io.now()).toISOString() });
  const output = new LineOutput(io.stdout, {
    leftOut: (count) => line({ type: "minimize.note", data: { text: `${count} events left out` } }),
    onFailure: (failure) => io.abort(failure),
  });
  let told = -Infinity;
  return {
    tell(event) {
      if (event.type === "minimize.progress") {
        if (io.monotonicMs() - told < JSON_PROGRESS_MS) return;
        told = io.monotonicMs();
      }
      output.push(line(event));
    },
    close: async () => output.close(),
  };
}

function plainLines(io: Io): Screen {
  const output = new LineOutput(io.stderr, { leftOut });
  let told = io.monotonicMs();
  return {
    line: (text) => output.push(text),
    progress(progress) {
      if (io.monotonicMs() - told < PLAIN_PROGRESS_MS) return;
      told = io.monotonicMs();
      output.push(`${progressLine(progress, { columns: 200 })}\n`);
    },
    close: async () => output.close(),
  };
}

function liveLine(io: Io): Screen {
  const block = new LiveBlock();
  const startedAt = io.monotonicMs();
  let current: MinimizeProgress | undefined;
  const output = new LineOutput(io.stderr, {
    intervalMs: REDRAW_MS,
    leftOut,
    compose(lines) {
      const columns = terminalColumns();
      return block.frame(lines, current === undefined ? [] : [progressLine(current, { columns })], { columns });
    },
  });
  return {
    line: (text) => output.push(text),
    progress(progress) {
      if (io.monotonicMs() - startedAt < QUIET_BEGINNING_MS) return;
      current = progress;
      output.wake();
    },
    async close() {
      current = undefined;
      output.close();
    },
  };
}

function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns || USUAL_COLUMNS;
  } catch {
    return USUAL_COLUMNS;
  }
}
