/** `gocore attach`: shows a worker's session in this terminal. */
import { join } from "node:path";
import { closestName, Failure } from "../../failure.ts";
import { MANAGER, sessionName } from "../../manager/artifacts.ts";
import { runInteractive } from "../../process/run_interactive.ts";
import { tmuxName } from "../../process/tmux_view.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { Io } from "../../terminal/io.ts";
import { findRun, type RunFlags } from "./control_commands.ts";
import { readRun } from "./run_folder.ts";
import { MANAGER_LOG } from "./run_status.ts";
import { findSessions, tmuxProblem } from "./tmux_sessions.ts";
import { viewOf } from "./worker_files.ts";

export interface Terminal {
  isTerminal(): boolean;
  run: typeof runInteractive;
}

const OWN_TERMINAL: Terminal = {
  isTerminal: () => Deno.stdin.isTerminal() && Deno.stdout.isTerminal(),
  run: runInteractive,
};

/** The exit code of tmux. Throws a `Failure` when there is no such session. Without a terminal, the command is told. */
export async function attachTo(
  flags: RunFlags & { readonly worker: string },
  io: Io,
  terminal: Terminal = OWN_TERMINAL,
): Promise<number> {
  const { env, cwd } = io;
  const { worker, runId } = flags;
  const folder = await findRun(flags, io);
  const { state } = await readRun(folder);
  const known = [MANAGER, ...state.workers.keys()];
  if (!known.includes(worker)) {
    const near = closestName(worker, known);
    throw new Failure("usage", `Cannot find the worker "${worker}"`, {
      hints: [near === undefined ? `There are ${known.slice(0, 20).join(", ")}` : `Did you mean ${near}?`],
    });
  }
  const name = tmuxName(sessionName(runId, worker));
  const problem = tmuxProblem(env) ??
    ((await findSessions(env))(name) ? undefined : `there is no session "${name}" any more`);
  if (problem !== undefined) {
    const stream = worker === MANAGER ? join(folder, MANAGER_LOG) : state.workers.get(worker)?.launch?.stream;
    const written = stream && (worker === MANAGER ? stream : viewOf(stream));
    throw new Failure("environment", `Cannot attach to ${worker}: ${problem}`, {
      hints: written === undefined ? [] : [`Read what it has written: \`less ${shellWord(written)}\``],
    });
  }
  const argv = ["tmux", "attach-session", "-t", `=${name}`] as const;
  if (!terminal.isTerminal()) {
    await io.stdout.write(escapeTerminal(`${argv.map(shellWord).join(" ")}\n`));
    return 0;
  }
  // Within a session tmux refuses to attach, unless it does not know.
  const { TMUX: _, ...outside } = env;
  return await terminal.run([...argv], { cwd, env: outside });
}
