/** Shows a worker's growing files in a tmux session of its own, for people to look at. */
import { Failure } from "../failure.ts";
import { DEFAULT_PATH, findProgram } from "./find_program.ts";
import { killDescendants, killUntilGone, noteOrphans, reapEndedOrphans } from "./orphans.ts";
import { pause } from "./pipe_reader.ts";
import { findFamily, MARK_VARIABLE, signalProcess } from "./process_tree.ts";
import { type CommandEnd, runCommand } from "./spawn.ts";

const START_TIMEOUT_MS = 30_000;
const CLOSE_GRACE_MS = 5000;
const MAX_NAME_CHARACTERS = 40;

/**
 * $1: the pid of what writes the files, which are the others. Ends with it. Control characters are dropped: what a worker
 * writes is not to command the terminal.
 */
const SHOW = `
trap exit HUP INT TERM
pid=$1
shift
tail -q -n 100 -f -- "$@" 2>/dev/null | LC_ALL=C tr -d '\\000-\\010\\013-\\037\\177' &
while kill -0 "$pid" 2>/dev/null; do sleep 1 & wait $!; done
`;
/** Takes the socket away that tmux leaves. */
const SHOW_AND_CLEAR = `
trap 'rm -f -- "\${TMUX%%,*}"' EXIT
${SHOW}`;
/**
 * A server that we start is the person's, who may put other sessions into it: with a mark that is nobody's it is not ended
 * with what we have started.
 */
const NOBODYS_MARK = "tmux";

export interface TmuxView {
  /** The command by which a person sees it. */
  readonly attach: string;
  /** In the mark of the server and all that it runs, so that they can be found. */
  readonly mark: string;
}

/** The view of a worker: the same for every supervisor that it has. */
export function tmuxView(name: string | undefined, workerMark: string): TmuxView {
  return { attach: `tmux -L ${socketOf(name, workerMark)} attach`, mark: `${workerMark}.view` };
}

/** @throws Failure (`environment`) when tmux is not installed */
export function requireTmux(path: string | undefined): void {
  if (findProgram("tmux", path ?? DEFAULT_PATH, "/") !== undefined) return;
  throw new Failure("environment", "Cannot show the worker: it needs tmux, which is not installed", {
    hints: ["Install it: `apt-get install tmux`", "Or do without: `--backend process`"],
  });
}

/**
 * Opens the view, on a server of its own without anybody's configuration. The worker does not depend on it: closing the
 * pane ends the view only.
 *
 * @throws Failure (`environment`) when tmux does not do it
 */
export async function openTmuxView(
  worker: { readonly pid: number; readonly mark: string; readonly stdoutPath: string; readonly stderrPath: string },
  options: { readonly name: string | undefined; readonly env: Readonly<Record<string, string>> },
): Promise<void> {
  const socket = socketOf(options.name, worker.mark);
  const { PATH = DEFAULT_PATH, TMUX_TMPDIR } = options.env;
  const { exitCode, output, failure } = await runCommand(
    [
      ...["tmux", "-u", "-L", socket, "-f", "/dev/null", "new-session", "-d", "-s", socket, "-x", "200", "-y", "50"],
      ...["--", "/bin/sh", "-c", SHOW_AND_CLEAR, "gocore-view", `${worker.pid}`, worker.stdoutPath, worker.stderrPath],
    ] as unknown as [string, ...string[]],
    {
      cwd: "/",
      env: { PATH, ...(TMUX_TMPDIR && { TMUX_TMPDIR }), [MARK_VARIABLE]: tmuxView(options.name, worker.mark).mark },
      timeoutMs: START_TIMEOUT_MS,
      signal: new AbortController().signal,
    },
  );
  if (exitCode === 0) return;
  throw new Failure(
    "environment",
    `Cannot show the worker in tmux: ${failure ?? (output.trim() || `exit ${exitCode}`)}`,
  );
}

/** Ends the server and all that it runs, whoever started it. */
export async function closeTmuxView({ mark }: TmuxView): Promise<void> {
  // A process that is just ending has no environment any more, and is still to be waited for.
  const seen = new Map<number, number>();
  const find = () => {
    const members = findFamily({
      roots: new Set(),
      isMark: (value) => value.split("/").includes(mark),
      isFormer: true,
      adopts: () => false,
      knows: ({ pid, startTicks }) => seen.get(pid) === startTicks,
    });
    for (const { pid, startTicks } of members) seen.set(pid, startTicks);
    return members;
  };
  for (const member of find()) signalProcess(member, "SIGTERM");
  const startedAt = performance.now();
  while (find().length > 0 && performance.now() - startedAt < CLOSE_GRACE_MS) await pause(20);
  await killUntilGone(() => killDescendants(find));
  // The server left whoever started it, and came to us.
  noteOrphans(find);
  reapEndedOrphans();
}

/**
 * Shows what a process writes in a session of the person's own server, which is started if need be. Ends when the process
 * does, or is closed; a former session of that name is closed.
 *
 * @param options.name its name, with `_` for what tmux cannot have in one
 * @param options.files paths of what grows, absolute
 * @param options.env of the person; TMUX_TMPDIR is heeded. A server gets all of it.
 * @throws Failure (`environment`) when tmux does not do it
 */
export async function openTmuxSession(
  process: { readonly pid: number },
  options: {
    readonly name: string;
    readonly files: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const { files, env } = options;
  const name = tmuxName(options.name);
  await closeTmuxSession(name, env);
  const { exitCode, output, failure } = await tmux(
    [
      ...["new-session", "-d", "-s", name, "-x", "200", "-y", "50"],
      ...["--", "/bin/sh", "-c", SHOW, "gocore-view", `${process.pid}`, ...files],
    ],
    env,
  );
  if (exitCode === 0) return;
  throw new Failure(
    "environment",
    `Cannot show "${name}" in tmux: ${failure ?? (output.trim() || `exit ${exitCode}`)}`,
  );
}

/** Does nothing when there is none. */
export async function closeTmuxSession(name: string, env: Readonly<Record<string, string>>): Promise<void> {
  await tmux(["kill-session", "-t", `=${tmuxName(name)}`], env);
}

/** Names of the sessions of the person's own server; none without tmux or a server. */
export async function tmuxSessionNames(env: Readonly<Record<string, string>>): Promise<ReadonlySet<string>> {
  const { exitCode, output } = await tmux(["list-sessions", "-F", "#{session_name}"], env);
  return new Set(exitCode === 0 ? output.split("\n").filter((name) => name !== "") : []);
}

/** As tmux itself changes a name: dots and colons have a meaning where sessions are named. */
export function tmuxName(name: string): string {
  return name.replaceAll(/[.:]/g, "_");
}

/** @param env without TMUX, by which tmux would ask the server that we may run in */
function tmux(args: readonly string[], { TMUX: _, ...env }: Readonly<Record<string, string>>): Promise<CommandEnd> {
  return runCommand(["env", `${MARK_VARIABLE}=${NOBODYS_MARK}`, "tmux", "-u", ...args], {
    cwd: "/",
    env: { PATH: DEFAULT_PATH, ...env },
    timeoutMs: START_TIMEOUT_MS,
    signal: new AbortController().signal,
  });
}

/** tmux takes neither dots nor colons in names, and a slash would make a path of it. */
function socketOf(name: string | undefined, workerMark: string): string {
  return `gocore-${(name ?? workerMark).replaceAll(/[^\w-]/g, "_").slice(0, MAX_NAME_CHARACTERS)}`;
}
