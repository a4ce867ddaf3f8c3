/**
 * Shows a recorded session as `gocore orchestrate` would: FOLDER. Before each part it waits for a file of its name in
 * FOLDER, so that whoever looks can look. SIGINT ends it like a session that was interrupted.
 */
import { join } from "node:path";
import { showSession } from "../../../src/commands/orchestrate/show_session.ts";
import { EventBus } from "../../../src/events/bus.ts";
import { emptySession, foldSession } from "../../../src/orchestrate/session.ts";
import { OutputPipe } from "../../../src/terminal/io.ts";
import { beginning, ending, middle, STORY_START_MS } from "../../terminal/session_story.ts";

const [folder = ""] = Deno.args;
const state = emptySession();
let nowMs = STORY_START_MS;
const bus = new EventBus({ now: () => nowMs, record: (event) => foldSession(state, event) });
const io = {
  env: { NO_COLOR: Deno.env.get("NO_COLOR") ?? "" },
  stdout: new OutputPipe("stdout", Deno.stdout),
  stderr: new OutputPipe("stderr", Deno.stderr),
  now: () => nowMs,
};
let isInterrupted = false;
Deno.addSignalListener("SIGINT", () => isInterrupted = true);

const show = showSession(bus, { io, options: { json: false, logLevel: "info" }, state, folder });
for (const [name, facts] of Object.entries({ beginning, middle, ending })) {
  while (!isInterrupted && !Array.from(Deno.readDirSync(folder)).some((entry) => entry.name === name)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (isInterrupted) break;
  for (const fact of facts) {
    nowMs += 1000;
    await bus.publish(fact);
  }
  Deno.writeTextFileSync(join(folder, `${name}-published`), String(Deno.pid));
}
await show.close();
await io.stdout.flush(10_000);
await io.stderr.flush(10_000);
Deno.exit(isInterrupted ? 130 : 0);
