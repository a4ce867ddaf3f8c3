/** What the workers of a run do, for people: beside each stream while it grows, and the last of it on demand. */
import { join } from "node:path";
import type { RunEvent } from "../../events/event.ts";
import { MANAGER } from "../../manager/artifacts.ts";
import { RunNotes } from "../../terminal/run_notes.ts";
import { workerLines } from "../../terminal/worker_view.ts";
import { readEventLog } from "../event_log.ts";
import { LOG_NAME, type RunEventLog } from "./run_folder.ts";
import { viewOf } from "./worker_files.ts";

/** Writes what is published from now on. A view is for people to look at: a run goes on without. */
export function keepViews({ bus, state }: Pick<RunEventLog, "bus" | "state">): { close(): Promise<void> } {
  let last = Promise.resolve();
  const unsubscribe = bus.subscribe((event) => {
    const said = workerLines(event);
    // A control may name anybody.
    const stream = said && state.workers.get(said.worker)?.launch?.stream;
    if (stream === undefined) return;
    const text = `${said!.lines.join("\n")}\n`;
    last = last.then(() => Deno.writeTextFile(viewOf(stream), text, { append: true })).catch(() => {});
  });
  return {
    async close() {
      unsubscribe();
      await last;
    },
  };
}

/**
 * By worker, or `manager`: at most so many lines, harmless for a terminal.
 *
 * @throws Failure when the log cannot be read
 */
export async function lastLines(folder: string, count: number): Promise<ReadonlyMap<string, readonly string[]>> {
  const notes = new RunNotes();
  const add = (all: Map<string, string[]>, event: RunEvent) => {
    const note = notes.of(event);
    const managers = note && { worker: MANAGER, lines: [`${event.time.slice(0, 19)}Z ${note.text}`] };
    for (const said of [managers, workerLines(event)]) {
      if (said === undefined) continue;
      const lines = all.get(said.worker) ?? [];
      all.set(said.worker, lines);
      lines.push(...said.lines);
      lines.splice(0, Math.max(lines.length - count, 0));
    }
  };
  return (await readEventLog(join(folder, LOG_NAME), { empty: () => new Map<string, string[]>(), fold: add })).state;
}
