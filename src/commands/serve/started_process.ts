/** A run as a process that goes on when we end, watched until it has begun. */
import { join } from "node:path";
import { Refused } from "../../http/ports.ts";
import { startWorkerProcess, type WorkerProcess } from "../../process/worker_process.ts";
import type { Redactor } from "../../safety/secrets.ts";
import { readTail } from "../../store/read_tail.ts";
import type { Io } from "../../terminal/io.ts";
import { selfProgram } from "../orchestrate/self_program.ts";
import { asField, orRefuse } from "./request_errors.ts";

export interface StartedProcess {
  readonly process: WorkerProcess;
  /** Has what it says on stderr. */
  readonly errorsPath: string;
}

/** A busy machine, or an issue that has to be read from afar first. */
const BEGIN_DEADLINE_MS = 120_000;
const STOP_GRACE_MS = 5000;
const LOOK_MS = 25;
const ERROR_TAIL = { lines: 8, maxBytes: 16 * 1024 };
const EXIT_USAGE = 2;

/**
 * gocore itself, in a session of its own and with an empty stdin. What it writes goes to files in the folder, as does its
 * exit status, whoever is there to take it. Throws `Refused` (503) when it cannot be started.
 *
 * @param args no secrets: others can see them
 * @param options.files their names in the folder
 */
export async function startProcess(args: readonly string[], { folder, files, io: { cwd, env } }: {
  readonly folder: string;
  readonly files: Readonly<Record<"stdout" | "stderr" | "exit", string>>;
  readonly io: Pick<Io, "cwd" | "env">;
}): Promise<StartedProcess> {
  const errorsPath = join(folder, files.stderr);
  const process = await orRefuse(() =>
    startWorkerProcess({
      argv: [...selfProgram().program, ...args] as [string, ...string[]],
      cwd,
      env,
      stdoutPath: join(folder, files.stdout),
      stderrPath: errorsPath,
      exitPath: join(folder, files.exit),
      sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
      limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
      backend: "process",
    })
  );
  return { process, errorsPath };
}

/**
 * Whether it has begun: false when it has ended before. One that does neither for minutes is ended, and `Refused` (503)
 * is thrown.
 */
export async function untilBegun(
  { process }: StartedProcess,
  hasBegun: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const ended = process.ended.then(() => true);
  const deadline = performance.now() + BEGIN_DEADLINE_MS;
  while (!await Promise.race([ended, pause(LOOK_MS)])) {
    if (await hasBegun()) return true;
    if (performance.now() < deadline) continue;
    await process.stop({ graceMs: STOP_GRACE_MS });
    throw new Refused(503, `It had not begun after ${BEGIN_DEADLINE_MS / 1000} seconds, and was ended`);
  }
  return await hasBegun();
}

/** Why a process has ended before it began, as it said itself; 400 for what was wrong with the request. */
export async function refusalFrom({ process, errorsPath }: StartedProcess, redactor: Redactor): Promise<Refused> {
  const { exitCode, signal } = await process.ended;
  const said = redactor.redact(await readTail(errorsPath, ERROR_TAIL)).trim();
  const text = said === "" ? `It ended before it began: ${signal ?? `exit code ${exitCode}`}` : said;
  return new Refused(exitCode === EXIT_USAGE ? 400 : 503, asField(text.replace(/^Error: /, "")));
}

export async function hasContent(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(({ size }) => size > 0, () => false);
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
