/** `gocore orchestrate pause|resume|stop|review|answer`: tells a session something, and says what came of it. */
import { basename, join } from "node:path";
import { closestName, Failure } from "../../failure.ts";
import { given } from "../../config/setting_types.ts";
import type { Control } from "../../orchestrate/ports.ts";
import { foldSession, type SessionState } from "../../orchestrate/session.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { followEvents } from "../follow_events.ts";
import { readWorkspace } from "./read_options.ts";
import { findSessionFolder, listSessions, LOG_NAME, putControl, readSession } from "./session_folder.ts";
import { commandLine, type PlaceFlags, standingOf, statusText } from "./session_standing.ts";

type Command = Control["command"];

export interface ControlFlags extends PlaceFlags {
  readonly session: string;
  readonly worker?: string;
  /** The answer, or the reason. */
  readonly text?: string;
  readonly question?: string;
}

/** With the control file's own limit, whatever has to be escaped in JSON. */
const MAX_TEXT = 32_768;
const DEADLINE_MS = 10_000;

/** The session and the text in `answer [SESSION] TEXT`. */
export async function readAnswer(
  words: readonly string[],
  { flags, io }: { readonly flags: PlaceFlags; readonly io: Io },
): Promise<{ session: string; text: string }> {
  const [first = "", second] = words;
  if (second !== undefined) return { session: first, text: second };
  const workspace = await readWorkspace({ env: io.env, cwd: io.cwd, flags });
  if (first !== "last" && !(await listSessions(workspace)).includes(first)) return { session: "last", text: first };
  throw new Failure("usage", `Which answer? Only the session "${first}" was given`, {
    hints: [`Write it after the session: \`gocore orchestrate answer ${first} "…"\``],
  });
}

/** 0 when the session has taken it, or, for an answer, will; 1 otherwise. Throws a usage `Failure` for what cannot be. */
export async function sendControl(command: Command, flags: ControlFlags, io: Io): Promise<number> {
  const workspace = await readWorkspace({ env: io.env, cwd: io.cwd, flags });
  const folder = await findSessionFolder(workspace, flags.session);
  const id = basename(folder);
  const from = (await Deno.stat(join(folder, LOG_NAME))).size;
  const { state } = await readSession(folder);
  checkSense(command, { id, state, flags });
  const { pid } = standingOf(folder, state);
  const tell = (text: string) => io.stderr.write(escapeTerminal(`${text}\n`));
  const resuming = commandLine(`--resume ${id}`, { workspace, flags });
  if (pid === undefined && command === "resume") {
    await tell(`Nobody supervises ${id} now. Go on with it: ${resuming}`);
    return 1;
  }
  // It would end at once whoever resumes it.
  if (pid === undefined && command === "stop" && state.finish !== null) {
    await tell(`${id} has ended already: ${statusText(state.finish.status)}`);
    return 1;
  }
  const { worker = null, text = "" } = flags;
  // By its name: the oldest may be another one when this is taken.
  const question = command === "answer" ? flags.question ?? openQuestions(state)[0]! : null;
  const by = (given(io.env.USER) ?? given(io.env.LOGNAME) ?? "somebody").slice(0, 100);
  const control = await putControl(folder, { command, worker, question, text, by }, io.now());
  if (pid === undefined) {
    await tell(`Nobody supervises ${id} now. It will take this when it is resumed: ${resuming}`);
    return command === "answer" ? 0 : 1;
  }
  const before = { reviews: state.reviews.size, question };
  await followEvents(join(folder, LOG_NAME), {
    from,
    timeoutMs: DEADLINE_MS,
    signal: io.signal,
    take(event) {
      // What was read before is not added again.
      if (event.seq >= state.seq) foldSession(state, event);
      return state.controls.has(control) && isDone(command, state, before);
    },
  });
  if (!state.controls.has(control)) {
    await tell(
      `Process ${pid} has not taken it in ${DEADLINE_MS / 1000} s; it will when it can. See: ${
        commandLine(`show ${id}`, { workspace, flags })
      }`,
    );
    return 1;
  }
  await tell(outcomeText(command, state, { id, ...before }));
  return 0;
}

function checkSense(command: Command, { id, state, flags }: {
  readonly id: string;
  readonly state: SessionState;
  readonly flags: ControlFlags;
}): void {
  const { worker, question, text = "" } = flags;
  if (state.finish?.status === "done") {
    throw new Failure("usage", `Cannot ${command} "${id}": it is done`, {
      hints: [`See \`gocore orchestrate show ${id}\``],
    });
  }
  if (text.length > MAX_TEXT) {
    throw new Failure("usage", `Cannot ${command} "${id}": need at most ${MAX_TEXT} characters, found ${text.length}`, {
      hints: ["Put the rest into a file of the target, and name it"],
    });
  }
  if (worker !== undefined && !state.workers.has(worker)) throw unknown("worker", worker, [...state.workers.keys()]);
  if (command !== "answer") return;
  if (text.trim() === "") {
    throw new Failure("usage", "Which answer? An empty one was given", {
      hints: ['Write it in quotes: `gocore orchestrate answer "Use UTC everywhere"`'],
    });
  }
  const open = openQuestions(state);
  if (open.length === 0) {
    throw new Failure("usage", `Cannot answer "${id}": it asks nothing`, {
      hints: [`See \`gocore orchestrate show ${id}\``],
    });
  }
  if (question !== undefined && !open.includes(question)) throw unknown("open question", question, open);
}

function openQuestions({ questions }: SessionState): string[] {
  return [...questions.values()].filter(({ answer }) => answer === null).map(({ id }) => id);
}

function unknown(what: string, name: string, known: readonly string[]): Failure {
  const near = closestName(name, known);
  return new Failure("usage", `Cannot find the ${what} "${name}"`, {
    hints: [
      near !== undefined
        ? `Did you mean ${near}?`
        : known.length === 0
        ? "There is none yet"
        : `There are ${known.slice(0, 20).join(", ")}`,
    ],
  });
}

interface Before {
  readonly reviews: number;
  /** The one that is answered. */
  readonly question: string | null;
}

/** Whether what a control is for has happened; its receipt comes first. */
function isDone(command: Command, state: SessionState, { reviews, question }: Before): boolean {
  switch (command) {
    case "pause":
      return state.status === "paused";
    case "resume":
      return state.status !== "paused";
    case "stop":
      return true;
    case "review":
      return state.reviews.size > reviews;
    case "answer":
      return !openQuestions(state).includes(question!) &&
        (state.status !== "needs_input" || openQuestions(state).length > 0);
  }
}

function outcomeText(
  command: Command,
  state: SessionState,
  { id, reviews, question }: Before & { readonly id: string },
): string {
  const reason = state.statusReason === "" ? "" : ` (${oneLine(state.statusReason, 200)})`;
  const status = `${id}: ${statusText(state.status)}${reason}`;
  switch (command) {
    case "pause":
    case "resume":
      return status;
    case "stop":
      return state.finish === null ? `${id} ends now, and keeps the work of its agents` : status;
    case "review": {
      const begun = [...state.reviews.values()].slice(reviews).map(({ id, worker }) => `${id} of ${worker}`);
      return begun.length === 0
        ? `${id} has been asked for a review, and has begun none yet`
        : `Review ${begun.join(", ")} has begun`;
    }
    case "answer": {
      const open = openQuestions(state);
      if (open.includes(question!)) return `${id} has taken the answer, and ${question} is still open`;
      return `${question} is answered. ${status}${open.length === 0 ? "" : `; still open: ${open.join(", ")}`}`;
    }
  }
}
