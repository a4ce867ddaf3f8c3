/** Before a session: whether its folders can be read and written, and have room. */
import { Failure } from "../../failure.ts";
import { runCommand } from "../../process/spawn.ts";

export interface Places {
  readonly target: string;
  /** The common `.git`; undefined without git. */
  readonly commonDir: string | undefined;
  /** All work in the target itself. */
  readonly isShared: boolean;
  /** The session's own folder, which is there already. */
  readonly folder: string;
}

export interface CheckOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Worktrees, streams and what builds leave soon need as much. */
const ENOUGH_MB = 1024;
const TIMEOUT_MS = 10_000;

/**
 * Sentences that a person should know before the work begins. Throws a `Failure` of kind `environment` for what would
 * stop every agent.
 */
export async function checkPlaces(
  { target, commonDir, isShared, folder }: Places,
  options: CheckOptions,
): Promise<string[]> {
  await need("read", target, options);
  if (isShared) await need("write", target, options);
  else if (commonDir !== undefined) await need("write", commonDir, options);
  const freeMb = await freeMbOf(folder, options);
  if (freeMb === undefined || freeMb >= ENOUGH_MB) return [];
  return [`Only ${freeMb} MB are free where the session is kept, in "${folder}"`];
}

// Asked by the shell: Deno's own `access` looks at mode bits alone, and is wrong for root, groups and read-only disks.
const TESTS = { read: 'test -r "$1" && test -x "$1"', write: 'test -w "$1"' } as const;

async function need(what: keyof typeof TESTS, path: string, options: CheckOptions): Promise<void> {
  const { exitCode } = await run(["/bin/sh", "-c", TESTS[what], "sh", path], options);
  if (exitCode === 0) return;
  throw new Failure("environment", `Cannot work on "${path}": need to ${what} it, found no permission to`, {
    hints: [`Look at it: \`ls -ld ${path}\``],
  });
}

/** Undefined where nobody can tell. */
async function freeMbOf(path: string, options: CheckOptions): Promise<number | undefined> {
  const { exitCode, output } = await run(["df", "-Pk", path], options);
  // Filesystem, blocks, used, available, capacity, mounted on; the first and the last may have blanks.
  const [, available] = /\s\d+\s+\d+\s+(\d+)\s+\d+%\s/.exec(output.split("\n")[1] ?? "") ?? [];
  return exitCode === 0 && available !== undefined ? Math.floor(Number(available) / 1024) : undefined;
}

function run(argv: [string, ...string[]], { env, signal }: CheckOptions) {
  return runCommand(argv, { cwd: "/", env: { PATH: env.PATH ?? "", LC_ALL: "C" }, timeoutMs: TIMEOUT_MS, signal });
}
