/** One agent repairs the project of the demo. */
import type { RunEvent } from "../../events/event.ts";
import { JsonLinesDecoder } from "../../events/json_lines.ts";
import { type Io, OutputPipe } from "../../terminal/io.ts";
import { renderEvent } from "../../terminal/render_event.ts";
import { runMini } from "../run_mini.ts";
import type { Demo, DemoEnd } from "./demo.ts";
import replies from "./replies.yaml" with { type: "text" };

const TASK = "sh test.sh fails: find the bug in versions.sh and fix it";

export async function showMini({ io, json, folder, project, say }: Demo): Promise<DemoEnd> {
  await Deno.writeTextFile(`${folder}/replies.yaml`, replies);
  const exitCode = await runMini(
    { task: TASK, model: "scripted/replies.yaml", workdir: project.workdir, config: ["environment.timeout=60"] },
    { ...io, stdout: json ? io.stdout : eventsAsText(io) },
  );
  if (!io.signal.aborted) await say(`\nWhat the agent changed:\n\n${await project.diff()}\n`);
  return { exitCode, kept: project.workdir };
}

/** A pipe that takes the run's JSON Lines, as any program would that runs gocore, and shows each event to a person. */
function eventsAsText(io: Io): OutputPipe {
  const decoder = new JsonLinesDecoder();
  const colour = Deno.stdout.isTerminal() && (io.env.NO_COLOR ?? "") === "";
  return new OutputPipe("stdout", {
    async write(bytes) {
      for (const line of decoder.push(bytes)) {
        if (line.kind === "value") await io.stdout.write(renderEvent(line.value as RunEvent, { colour }));
      }
      return bytes.length;
    },
  });
}
