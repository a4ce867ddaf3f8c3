/** Runs the oracle on candidates, several at a time, each in a folder that is as new. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { type LimitedEnd, LimitedRuns, runLimits } from "../../process/limited_runs.ts";
import { type OpenSandbox, openSandbox, type SandboxRequest } from "../../process/sandbox.ts";
import { endCommandsOf } from "../../process/spawn.ts";
import { claimLock, lockOwner } from "../../store/owner_lock.ts";
import { oracleCommand } from "./oracle_command.ts";
import type { Candidate } from "./subject.ts";

export interface LaneOptions {
  /** As it was typed. */
  readonly command: string;
  readonly count: number;
  /** Where the person stands. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly sandbox: SandboxRequest["mode"];
  /** Variables that candidates have or have not; all others are as they are. */
  readonly reducedVariables: ReadonlySet<string>;
  /** Whether stderr is kept apart, for those who read it. */
  readonly readsOutput: boolean;
}

/** The folder in which the command runs: the candidate's own, or where the person stands. */
export type Where = "own" | "keep";

export interface OracleRun {
  readonly end: LimitedEnd;
  /** What the shell was given. */
  readonly command: string;
  /** The candidate's folder. */
  readonly folder: string;
}

interface Lane {
  readonly folder: string;
  readonly temporary: string;
  readonly sandboxes: Map<Where, Promise<OpenSandbox>>;
}

const NAME = /^gocore-minimize-(\d+)-[0-9a-f]{8}$/;
/** Tells, in the folder of all lanes, whose it is. */
const OWNER = "owner";
const MAX_READ_BYTES = 512 * 1024;
const MAX_SHOWN_BYTES = 16 * 1024;

export class OracleLanes {
  /** Runs that have begun. */
  calls = 0;
  readonly #options: LaneOptions;
  readonly #root: string;
  readonly #limited: LimitedRuns;
  readonly #free: Lane[];
  readonly #waiting: ((lane: Lane) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();

  private constructor(options: LaneOptions, root: string) {
    this.#options = options;
    this.#root = root;
    this.#limited = new LimitedRuns(runLimits(options.count));
    this.#free = Array.from({ length: options.count }, (_, at) => ({
      folder: join(root, String(at + 1)),
      temporary: join(root, `tmp${at + 1}`),
      sandboxes: new Map(),
    }));
  }

  /** Also removes the folders that killed runs have left, and ends what still runs in them. */
  static async open(options: LaneOptions): Promise<OracleLanes> {
    const parent = await Deno.realPath(options.env.TMPDIR || "/tmp").catch(() => "/tmp");
    await removeAbandoned(parent);
    const root = join(parent, `gocore-minimize-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
    try {
      await Deno.mkdir(root, { mode: 0o700 });
      claimLock(join(root, OWNER));
    } catch (cause) {
      throw new Failure("environment", `Cannot make a temporary folder in "${parent}": ${messageOf(cause)}`, {
        hints: ["Name a folder that can be written to, for example `TMPDIR=$HOME gocore minimize …`"],
        cause,
      });
    }
    return new OracleLanes(options, root);
  }

  /**
   * One run. Whatever the command started has ended when this resolves.
   *
   * @throws the reason of `signal`, or a Failure of kind `environment` when the command cannot be run at all
   */
  async run(
    candidate: Candidate,
    { where, timeoutMs, signal }: { readonly where: Where; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<OracleRun> {
    const lane = this.#free.pop() ?? await new Promise<Lane>((resolve) => this.#waiting.push(resolve));
    try {
      signal.throwIfAborted();
      this.calls++;
      const running = this.#runIn(lane, candidate, { where, timeoutMs, signal });
      this.#running.add(running);
      return await running.finally(() => this.#running.delete(running));
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(lane);
      else next(lane);
    }
  }

  /** To be called when every run has been given up or has ended. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.#limited.close();
    await Deno.remove(this.#root, { recursive: true }).catch(() => removeStubborn(this.#root));
  }

  /** `close` for a process that must end now. */
  removeNow(): void {
    try {
      Deno.removeSync(this.#root, { recursive: true });
    } catch {
      // The next run does it.
    }
  }

  async #runIn(
    lane: Lane,
    candidate: Candidate,
    { where, timeoutMs, signal }: { where: Where; timeoutMs: number; signal: AbortSignal },
  ): Promise<OracleRun> {
    const { command, cwd, readsOutput } = this.#options;
    await fill(lane, candidate);
    const place = { file: join(lane.folder, candidate.files[0]!.name), dir: lane.folder };
    const { text, env } = oracleCommand(command, place, { hasArgs: candidate.arguments.length > 0 });
    const folder = where === "own" ? lane.folder : cwd;
    const sandbox = await this.#sandbox(lane, where, folder);
    const end = await this.#limited.run(sandbox.wrap(["/bin/sh", "-c", text, "oracle", ...candidate.arguments]), {
      cwd: folder,
      env: { ...this.#environment(candidate), TMPDIR: lane.temporary, ...env },
      timeoutMs,
      signal,
      graceMs: 0,
      maxOutputBytes: readsOutput ? MAX_READ_BYTES : MAX_SHOWN_BYTES,
      stderr: readsOutput ? "separate" : "merge",
      background: "end",
    });
    if (end.endedBy === "abort") throw signal.reason;
    if (end.endedBy === "spawn_failed") {
      throw new Failure("environment", end.failure ?? "Cannot run the oracle", {
        hints: ["Look whether the machine has run out of processes, memory or disk, and start again: it goes on"],
      });
    }
    return { end, command: text, folder: lane.folder };
  }

  #environment({ variables }: Candidate): Record<string, string> {
    const { env, reducedVariables } = this.#options;
    const kept = Object.entries(env).filter(([name]) => !reducedVariables.has(name));
    return Object.fromEntries([...kept, ...variables]);
  }

  #sandbox(lane: Lane, where: Where, cwd: string): Promise<OpenSandbox> {
    const { sandbox: mode, env } = this.#options;
    let opened = lane.sandboxes.get(where);
    if (opened === undefined) {
      const request: SandboxRequest = {
        mode,
        writable: [lane.folder, lane.temporary],
        readable: [this.#options.cwd],
        protected: [],
        network: false,
        hideHome: undefined,
      };
      opened = openSandbox(request, { cwd, path: env.PATH, program: "/bin/sh" });
      lane.sandboxes.set(where, opened);
    }
    return opened;
  }
}

/** What a former candidate's run has left could make this one interesting; and a link there would lead us elsewhere. */
async function fill(lane: Lane, { files }: Candidate): Promise<void> {
  for (const folder of [lane.folder, lane.temporary]) {
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) await removeStubborn(folder);
    }
    Deno.mkdirSync(folder, { recursive: true });
  }
  for (const { name, bytes, mode } of files) {
    // Whatever the original's permissions are, the oracle may have to read it.
    Deno.writeFileSync(join(lane.folder, name), bytes, { createNew: true, mode: mode | 0o600 });
  }
}

/** Removes a tree in which folders have been made read-only, as caches of some package managers are. */
async function removeStubborn(folder: string): Promise<void> {
  const open = async (path: string) => {
    await Deno.chmod(path, 0o700);
    for await (const { name, isDirectory } of Deno.readDir(path)) if (isDirectory) await open(join(path, name));
  };
  try {
    await open(folder);
    await Deno.remove(folder, { recursive: true });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw new Failure("environment", `Cannot remove "${folder}" after a run of the oracle: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(parent)).catch(() => []);
  for (const { name, isDirectory } of entries) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || !isDirectory || !isAbandoned(join(parent, name))) continue;
    await endCommandsOf(Number(pid));
    await Deno.remove(join(parent, name), { recursive: true }).catch(() => removeStubborn(join(parent, name)))
      .catch(() => {});
  }
}

function isAbandoned(folder: string): boolean {
  try {
    // Without a word of its owner it may have been made just now.
    return Deno.lstatSync(join(folder, OWNER)).isFile && lockOwner(join(folder, OWNER)) === undefined;
  } catch {
    return false;
  }
}
