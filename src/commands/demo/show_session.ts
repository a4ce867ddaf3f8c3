/** Three agents work on the project of the demo at the same time, and others review what they did. */
import type { RunEvent } from "../../events/event.ts";
import { encodeJsonLine, JsonLinesDecoder } from "../../events/json_lines.ts";
import { emptySession, foldSession, type SessionState } from "../../orchestrate/session.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { type Io, OutputPipe } from "../../terminal/io.ts";
import { noteOf } from "../../terminal/session_notes.ts";
import { terminalLines } from "../../terminal/session_view.ts";
import { readOptions } from "../orchestrate/read_options.ts";
import { runSession } from "../orchestrate/run_session.ts";
import { textTable } from "../orchestrate/text_table.ts";
import type { Demo, DemoEnd } from "./demo.ts";
import { DEMO_MODEL, writeDemoSession } from "./demo_session.ts";

const INTRODUCTION = `Three agents work on a small project at the same time, each in a git worktree of its own. Others
review what they did. Models are scripted; commands, reviews, git and the final test are real.

`;

export async function showSession({ io, json, folder, project, say }: Demo): Promise<DemoEnd> {
  const workspace = `${folder}/sessions`;
  const flags = { ...await writeDemoSession(folder, project), workspace, json: true };
  const request = await readOptions({ env: io.env, cwd: folder, flags });
  await say(INTRODUCTION);
  const state = emptySession();
  const exitCode = await runSession(request, { ...io, stdout: watchedPipe(io, { json, state }) });
  const kept = `${project.workdir}\nSee the session: gocore orchestrate show --workspace ${workspace}`;
  if (io.signal.aborted) return { exitCode, kept };
  await say(
    `\nWhat the agents changed:\n\n${await project.diff()}\nWhat reviewers said of it:\n\n${reviewsOf(state)}\n`,
  );
  const costUsd = state.finish?.cost_usd?.toFixed(2) ?? "?";
  await say(`Scripted models cost nothing; ${DEMO_MODEL} would cost ${costUsd} USD for as many tokens.\n`);
  return { exitCode, kept };
}

/** A pipe that takes the session's JSON Lines, as any program would that runs gocore, and shows them to a person. */
function watchedPipe(io: Io, { json, state }: { readonly json: boolean; readonly state: SessionState }): OutputPipe {
  const decoder = new JsonLinesDecoder();
  const colour = Deno.stdout.isTerminal() && (io.env.NO_COLOR ?? "") === "";
  return new OutputPipe("stdout", {
    async write(bytes) {
      for (const line of decoder.push(bytes)) {
        if (line.kind !== "value") continue;
        const { type, data, timestamp } = line.value as Pick<RunEvent, "type" | "data"> & { timestamp: string };
        const event = { seq: state.seq, time: timestamp, type, data } as RunEvent;
        foldSession(state, event);
        // Without anybody who looks there is nothing to go on for.
        await io.stdout.write(json ? encodeJsonLine(line.value) : textOf(event, { state, colour })).catch(io.abort);
      }
      return bytes.length;
    },
  });
}

const COLUMNS = 120;

/** The line that a session shows on a terminal, and short commands. */
function textOf(
  event: RunEvent,
  { state, colour }: { readonly state: SessionState; readonly colour: boolean },
): string {
  const note = noteOf(event, state);
  if (note === undefined || isUntold(event, state)) return "";
  if (note.level === "debug" && !isShortCommand(event)) return "";
  const elapsedMs = Date.parse(event.time) - Date.parse(state.startedAt);
  return terminalLines(note, { elapsedMs, columns: COLUMNS, colour });
}

/** What the demo tells itself, what says nothing in a session of seconds, and what is told once already. */
function isUntold({ type, data }: RunEvent, { workers }: SessionState): boolean {
  switch (type) {
    case "session.started":
    case "session.serving":
    case "session.status":
    case "preflight.checked":
    case "plan.made":
      return true;
    case "worker.launched":
      return data.review !== null;
    case "worker.started":
      return data.worker !== workers.keys().next().value || data.attempt > 1;
    case "worker.exited":
      return data.outcome === "completed" && workers.get(data.worker)?.review !== null;
    default:
      return false;
  }
}

function isShortCommand({ type, data }: RunEvent): boolean {
  if (type !== "worker.event" || data.event.type !== "command") return false;
  return !/\n|COMPLETE_TASK/.test(data.event.payload.text.trim());
}

function reviewsOf({ reviews }: SessionState): string {
  const rows = [...reviews.values()].flatMap(({ id, task, answers }) =>
    answers.map(({ verdict, summary, issues }) => {
      const found = issues.map(({ text, file, line }) => `${file}:${line}: ${text}`);
      return [id, task ?? "", verdict ?? "no verdict", found.length > 0 ? found.join("; ") : summary];
    })
  );
  return escapeTerminal(textTable(rows).map((line) => `  ${line}\n`).join(""));
}
