/** The agent's home: the one folder, `{workdir}/.miniswe`, in which everything about its runs is kept. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import gitignore from "../../.miniswe.example/.gitignore" with { type: "text" };
import liveProfile from "../../.miniswe.example/configs/live.yaml" with { type: "text" };
import { Failure, messageOf } from "../failure.ts";
import { isMissing } from "./read_config_file.ts";

/** Absolute paths; seed `gocore-architecture.md`, "Directory Layout". */
export interface AgentHome {
  readonly workdir: string;
  /** `.miniswe` */
  readonly dir: string;
  readonly configsDir: string;
  readonly envFilePath: string;
  readonly dataDir: string;
  readonly logsDir: string;
  readonly trajectoryPath: string;
  readonly taskHistoryPath: string;
  readonly debugLogPath: string;
  /** One append-only log for each run. */
  readonly runLogsDir: string;
}

/**
 * The absolute path of the project: `MINI_WORKDIR`, then the flag, then the current directory. Empty values do not
 * count. Looks at nothing on disk and never fails.
 */
export function resolveWorkdir(
  options: { flag?: string | undefined; env: Readonly<Record<string, string>>; cwd: string },
): string {
  const { env, cwd } = options;
  return resolve(cwd, expandHome(env.MINI_WORKDIR || options.flag || ".", env));
}

/** `~` and `~/…` with `HOME` in place of the tilde; anything else, and everything without a `HOME`, unchanged. */
export function expandHome(path: string, env: Readonly<Record<string, string>>): string {
  if (path !== "~" && !path.startsWith("~/")) return path;
  return env.HOME ? join(env.HOME, path.slice(1)) : path;
}

/** Where things are in the home of this project, whether they exist or not. */
function agentHomeOf(workdir: string): AgentHome {
  const dir = join(workdir, ".miniswe");
  return {
    workdir,
    dir,
    configsDir: join(dir, "configs"),
    envFilePath: join(dir, "configs", ".env"),
    dataDir: join(dir, "data"),
    logsDir: join(dir, "logs"),
    trajectoryPath: join(dir, "data", "last_run.traj.json"),
    taskHistoryPath: join(dir, "data", "task_history.txt"),
    debugLogPath: join(dir, "logs", "debug.log"),
    runLogsDir: join(dir, "data", "runs"),
  };
}

/**
 * Makes what is missing of the home and leaves alone what is there. `created` lists the new paths. Any number of
 * processes may do this at the same time. Throws a `Failure` when the workdir is not a folder in which the agent can
 * keep its data, or when a symbolic link leads out of it.
 */
export async function initializeAgentHome(workdir: string): Promise<AgentHome & { created: string[] }> {
  const home = agentHomeOf(workdir);
  const realWorkdir = await realDirectory(workdir);
  const created: string[] = [];
  for (const dir of [home.dir, home.configsDir, home.dataDir, home.logsDir]) {
    if (await makeDirectory(dir, workdir)) created.push(dir);
    else await requireInside(dir, realWorkdir);
  }
  for (const dir of [home.dataDir, home.logsDir]) {
    await access(dir, constants.W_OK | constants.X_OK).catch((error: unknown) => {
      throw notWritable(workdir, error);
    });
  }
  for (
    const [path, text] of [[join(home.dir, ".gitignore"), gitignore], [liveProfilePath(home), liveProfile]] as const
  ) {
    if (await createFile(path, text, home)) created.push(path);
  }
  return { ...home, created };
}

/** Throws a `Failure` when a folder of the home has become a link out of the workdir: a command of the run may do that. */
export async function requireHomeInside(home: AgentHome): Promise<void> {
  for (const dir of [home.dir, home.dataDir]) {
    if (await exists(dir)) await requireInside(dir, await realDirectory(home.workdir));
  }
}

export function liveProfilePath(home: AgentHome): string {
  return join(home.configsDir, "live.yaml");
}

/** The generated default profile, which is also what a run without any profile uses ("safe mode"). */
export const LIVE_PROFILE: string = liveProfile;

async function realDirectory(workdir: string): Promise<string> {
  if (!isAbsolute(workdir)) throw new TypeError(`workdir must be absolute: ${workdir}`);
  let finding: string;
  let cause: unknown;
  try {
    if ((await Deno.stat(workdir)).isDirectory) return await Deno.realPath(workdir);
    finding = "found a file";
  } catch (error) {
    finding = isMissing(error) ? "found nothing" : messageOf(error);
    cause = error;
  }
  throw new Failure(
    "environment",
    `Cannot work in ${JSON.stringify(workdir)}: need an existing directory, ${finding}`,
    {
      hints: ["Name a directory with `--workdir` (the variable MINI_WORKDIR comes before it)"],
      cause,
    },
  );
}

/** Whether the directory is new. */
async function makeDirectory(path: string, workdir: string): Promise<boolean> {
  try {
    await Deno.mkdir(path);
    return true;
  } catch (error) {
    // On a read-only file system an existing directory is reported as read-only by some kernels, so look first.
    const info = await Deno.stat(path).catch(() => undefined);
    if (info?.isDirectory) return false;
    if (info === undefined && !(error instanceof Deno.errors.AlreadyExists)) throw notWritable(workdir, error);
    throw new Failure(
      "environment",
      `Cannot set up ${JSON.stringify(path)}: need a directory, found ${info ? "a file" : "a broken link"}`,
      { hints: [`Move it away: \`mv ${JSON.stringify(path)} ${JSON.stringify(path + ".old")}\``], cause: error },
    );
  }
}

/** A repository may bring its own `.miniswe`; a link in it must not make the agent write elsewhere. */
async function requireInside(dir: string, realWorkdir: string): Promise<void> {
  const real = await Deno.realPath(dir);
  if (real.startsWith(realWorkdir.endsWith("/") ? realWorkdir : realWorkdir + "/")) return;
  throw new Failure(
    "environment",
    `Cannot use ${JSON.stringify(dir)}: need a directory inside the workdir, found a link to ${JSON.stringify(real)}`,
    { hints: [`Remove the link: \`rm ${JSON.stringify(dir)}\``] },
  );
}

/** Whether the file is new. It appears complete or not at all, and never replaces another one. */
async function createFile(path: string, text: string, home: AgentHome): Promise<boolean> {
  if (await exists(path)) return false;
  // In data/, which git ignores, in case a kill leaves it behind; a later run removes it by this name.
  const draft = join(home.dataDir, `.draft.${Deno.pid}-${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    await Deno.writeTextFile(draft, text, { createNew: true });
    return await linkWithoutReplacing(draft, path, text);
  } catch (error) {
    throw notWritable(dirname(path), error);
  } finally {
    await Deno.remove(draft).catch(() => {});
  }
}

async function linkWithoutReplacing(draft: string, path: string, text: string): Promise<boolean> {
  try {
    await Deno.link(draft, path);
    return true;
  } catch {
    if (await exists(path)) return false;
  }
  // Some file systems have no hard links. There the file is at least created by one process only.
  try {
    await Deno.writeTextFile(path, text, { createNew: true });
    return true;
  } catch (error) {
    if (await exists(path)) return false;
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}

function notWritable(dir: string, cause: unknown): Failure {
  return new Failure(
    "environment",
    `Cannot set up ".miniswe": need a directory that can be written to, ${JSON.stringify(dir)} cannot (${
      messageOf(cause)
    })`,
    {
      hints: [`Check its owner and mode with \`ls -ld ${JSON.stringify(dir)}\`, or name another with \`--workdir\``],
      cause,
    },
  );
}
