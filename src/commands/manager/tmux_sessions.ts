/** The tmux sessions of a run, in which people watch what is written. */
import { messageOf } from "../../failure.ts";
import { sessionName } from "../../manager/artifacts.ts";
import { DEFAULT_PATH, findProgram } from "../../process/find_program.ts";
import { closeTmuxSession, openTmuxSession, tmuxName, tmuxSessionNames } from "../../process/tmux_view.ts";
import { splitSecrets } from "../../safety/secrets.ts";

/** Nothing depends on them: who closes one ends nothing else. What is done is done one after the other. */
export interface TmuxSessions {
  /**
   * Shows the files of a running process until it ends. Never rejects.
   *
   * @param worker `w1` or `manager`
   */
  open(worker: string, process: { readonly pid: number; readonly files: readonly string[] }): Promise<void>;
  /** Never rejects. */
  close(worker: string): Promise<void>;
}

/** Why sessions cannot be had; undefined: they can. */
export function tmuxProblem(env: Readonly<Record<string, string>>): string | undefined {
  return findProgram("tmux", env.PATH ?? DEFAULT_PATH, "/") === undefined ? "tmux is not installed" : undefined;
}

/**
 * On the person's own server, where `tmux attach -t NAME` finds them. What goes wrong is told once: the run goes on
 * without.
 */
export function createTmuxSessions(
  runId: string,
  { env, onProblem }: { readonly env: Readonly<Record<string, string>>; onProblem(problem: string): void },
): TmuxSessions {
  const { plain } = splitSecrets(env);
  let isTold = false;
  let last = Promise.resolve();
  const attempt = (work: () => Promise<void>) =>
    last = last.then(work).catch((error) => {
      if (!isTold) onProblem(messageOf(error));
      isTold = true;
    });
  return {
    open: (worker, { pid, files }) =>
      attempt(() => openTmuxSession({ pid }, { name: sessionName(runId, worker), files, env: plain })),
    close: (worker) => attempt(() => closeTmuxSession(sessionName(runId, worker), plain)),
  };
}

/** Tells of each name whether there is such a session now. */
export async function findSessions(
  env: Readonly<Record<string, string>>,
): Promise<(name: string) => boolean> {
  if (tmuxProblem(env) !== undefined) return () => false;
  const names = await tmuxSessionNames(splitSecrets(env).plain);
  return (name) => names.has(tmuxName(name));
}
