/** What a person or a machine sees of a run while it goes on, and what has come of it at the end, on stdout. */
import { join } from "node:path";
import { readConfigFile } from "../../config/read_config_file.ts";
import type { EventBus } from "../../events/bus.ts";
import { type Decision, DECISION_JSON } from "../../manager/artifacts.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { LineOutput } from "../../terminal/line_output.ts";
import { type RunNote, RunNotes, runSummary } from "../../terminal/run_notes.ts";
import { oneLine } from "../../terminal/session_notes.ts";
import { paint } from "../../terminal/session_view.ts";
import { jsonScreen } from "../orchestrate/show_session.ts";

export interface Showing {
  /** All events as JSON Lines, and nothing else. */
  readonly json: boolean;
  /** Only how it has ended, in one line. */
  readonly quiet: boolean;
}

export interface RunShow {
  /** Shows what has been published until now. */
  close(): Promise<void>;
}

export function showRun(bus: EventBus, { io, showing }: {
  readonly io: Pick<Io, "env" | "stdout" | "stderr" | "now">;
  readonly showing: Showing;
}): RunShow {
  if (showing.quiet && !showing.json) return { close: () => Promise.resolve() };
  const screen = showing.json ? jsonScreen(io) : undefined;
  const colour = Deno.stdout.isTerminal() && io.env.TERM !== "dumb" && (io.env.NO_COLOR ?? "") === "";
  const line = ({ style, text }: RunNote) => `${paint(style, text, colour)}\n`;
  const output = new LineOutput(io.stdout, {
    leftOut: (count) => `${count} lines are left out here, because they were not read fast enough\n`,
  });
  const notes = new RunNotes();
  const unsubscribe = bus.subscribe((event) => {
    if (screen !== undefined) return screen.show(event, undefined);
    const note = notes.of(event);
    if (note !== undefined) output.push(line(note));
  });
  return {
    async close() {
      // The bus hands out what was published without anybody waiting for it in microtasks: all of them run before this.
      await new Promise((resolve) => setTimeout(resolve));
      unsubscribe();
      screen?.close();
      output.close();
    },
  };
}

/** The summary of a run that has ended, as its `decision.json` has it. */
export async function showEnd(
  folder: string,
  { io, showing }: { readonly io: Pick<Io, "stdout">; readonly showing: Showing },
): Promise<void> {
  if (showing.json) return;
  const decision: Decision = JSON.parse(await readConfigFile(join(folder, DECISION_JSON)) ?? "{}");
  const text = showing.quiet
    ? `${oneLine(decision.run_id)} ${decision.status}: ${oneLine(decision.rationale)}\n`
    : `\n${runSummary(decision, { folder })}`;
  await io.stdout.write(text).catch(() => {});
}

/** Where there is nothing to do. */
export async function showNothingNew(
  text: string,
  { io, showing }: { readonly io: Pick<Io, "stdout">; readonly showing: Showing },
): Promise<void> {
  if (!showing.quiet && !showing.json) await io.stdout.write(escapeTerminal(`${text}\n`)).catch(() => {});
}
