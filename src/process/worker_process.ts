/** A long-lived program whose streams go to files, and that survives its supervisor. */
import { constants } from "node:os";
import { Failure, messageOf } from "../failure.ts";
import { becomeSubreaper } from "./child_subreaper.ts";
import { DEFAULT_PATH, findProgram, inOwnSession } from "./find_program.ts";
import { expectChild, forgetChild, killUntilGone, noteOrphan } from "./orphans.ts";
import { pause } from "./pipe_reader.ts";
import { MARK_VARIABLE, readMark } from "./process_tree.ts";
import { type Limiter, openLimiter, type ResourceLimits } from "./resource_limits.ts";
import { type OpenSandbox, openSandbox, type SandboxRequest } from "./sandbox.ts";
import { explainSpawnError } from "./spawn.ts";
import { closeTmuxView, openTmuxView, requireTmux, type TmuxView, tmuxView } from "./tmux_view.ts";
import { isRunning, MS_PER_TICK, WorkerFamily } from "./worker_family.ts";

export interface WorkerProcessSpec {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment; a mark is added. Its PATH is where bubblewrap and tmux are looked for. */
  readonly env: Readonly<Record<string, string>>;
  /** Appended to. The sandbox protects all three files, wherever they lie. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /** Gets the exit status, as soon as the program has ended, also when nobody supervises it any more. */
  readonly exitPath: string;
  readonly sandbox: SandboxRequest;
  readonly limits: ResourceLimits;
  readonly backend: "process" | "tmux";
  /**
   * From `newWorkerMark`, to be recorded before the start: then `findWorkerProcess` finds a worker whose supervisor was
   * killed before it could record the handle. Default: a new one.
   */
  readonly mark?: string;
  /** Part of the name of the tmux session; different for all workers that run at the same time. */
  readonly tmuxName?: string;
}

export interface WorkerProcessEnd {
  /** 128 + n when signal n ended the program; null when nobody was left to note it. */
  readonly exitCode: number | null;
  /** The signal that ended the program, or that its exit code stands for. */
  readonly signal: string | null;
  readonly endedBy: "itself" | "stop" | "cpu" | "memory" | "time" | "lost";
  /** For a limit: what was allowed and found (percent, MB or seconds). */
  readonly exceeded: { readonly allowed: number; readonly found: number } | undefined;
  /** Processes that it left behind and that were ended. In a sandbox they end with it, uncounted. */
  readonly leftBehind: number;
  readonly durationMs: number;
}

/** What another supervisor needs to find it again; JSON. */
export interface WorkerProcessHandle {
  readonly pid: number;
  readonly startTicks: number | null;
  readonly mark: string;
  readonly startedMs: number;
}

export interface WorkerProcess {
  readonly handle: WorkerProcessHandle;
  readonly sandbox: { readonly enforced: boolean; readonly detail: string };
  readonly limits: { readonly enforced_by: string; readonly detail: string };
  /** Settles when the program and all that it started are gone. Never rejects. */
  readonly ended: Promise<WorkerProcessEnd>;
  /** Holds every process of it (SIGSTOP), until `resume`. */
  pause(): void;
  resume(): void;
  /**
   * INT (or `signal`) for the agent itself, TERM for all, KILL, `graceMs` between them; resolves with `ended`. A second
   * call can shorten the grace.
   */
  stop(options: { readonly graceMs: number; readonly signal?: "SIGINT" | "SIGTERM" }): Promise<WorkerProcessEnd>;
  /** Milliseconds of CPU that its processes have used so far. */
  cpuMs(): number;
  /** Whether a process besides the agent itself is running: a command. */
  hasChildren(): boolean;
  /** The command by which a person sees it, for the tmux backend. */
  readonly attach: string | undefined;
}

/** What is left of a worker that ended while nobody watched. */
export interface RecordedExit extends Pick<WorkerProcessEnd, "exitCode" | "signal"> {
  /** Since 1970. */
  readonly endedMs: number;
}

/**
 * $1 and $2: the files for its streams, $3: the file for the exit status. INT and the like are caught, not ignored: a
 * program would inherit that. The subshell makes sure that the program is a file, and no builtin of the shell. One small
 * write into a file that exists cannot be seen half done, and needs no program that a worker could have replaced.
 */
const RUN = `
trap : HUP INT QUIT TERM
out=$1 err=$2 status=$3
shift 3
(exec "$@") >>"$out" 2>>"$err"
set -- $?
printf '%s\\n' "$1" >"$status"
exit "$1"
`;
const SHELL_NAME = "gocore-worker";
const MARK = /^worker\.[0-9a-f-]{36}$/;
const LIMIT_GRACE_MS = 1000;
/** What a program leaves behind may be about to end: the end of a pipe, a helper. */
const SETTLE_MS = 100;
const LEFT_BEHIND_GRACE_MS = 1000;
/** How long a killed worker may take to be gone; one that hangs in the kernel is not waited for any longer. */
const DEATH_MS = 5000;
const TICK_MS = 20;
const LOOK_EVERY_MS = 500;
/** Those that end programs by convention; greater numbers are exit codes of their own in some. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).filter(([, number]) => number <= 15).map((
    [name, number],
  ) => [number as number, name]),
);

const active = new Set<SupervisedWorker>();

export const newWorkerMark = (): string => `worker.${crypto.randomUUID()}`;

/**
 * Starts a program in a session of its own, with an empty stdin, in its sandbox and its limits. It goes on when we die,
 * and its exit status is noted even then.
 *
 * @throws Failure (`environment`) when it cannot be started as it was asked for
 */
export async function startWorkerProcess(spec: WorkerProcessSpec): Promise<WorkerProcess> {
  const { mark = newWorkerMark() } = spec;
  if (!MARK.test(mark)) throw new TypeError(`mark must be from newWorkerMark, found "${mark}"`);
  const program = locate(spec);
  if (spec.backend === "tmux") requireTmux(spec.env.PATH);
  for (const path of [spec.stdoutPath, spec.stderrPath]) await attempt(path, { append: true, create: true });
  await attempt(spec.exitPath, { write: true, create: true, truncate: true });
  const sandbox = await openSandbox(withFilesProtected(spec), { cwd: spec.cwd, path: spec.env.PATH, program });

  const view = spec.backend === "tmux" ? tmuxView(spec.tmuxName, mark) : undefined;
  const limiter = await openLimiter(spec.limits, { name: mark });
  let child: Deno.ChildProcess;
  try {
    child = spawn(limiter.wrap(sandbox.wrap(spec.argv)), { ...spec, mark });
  } catch (error) {
    await limiter.close();
    throw new Failure("environment", explainSpawnError(error, spec.argv, spec), { cause: error });
  }
  const startTicks = expectChild(child.pid) || null;
  const handle: WorkerProcessHandle = { pid: child.pid, startTicks, mark, startedMs: Date.now() };
  const exited = child.status.then(({ signal }) => {
    forgetChild(child.pid);
    return signal;
  });
  const worker = new SupervisedWorker(handle, spec, { sandbox, limiter, view, exited, isFormer: false });
  if (view !== undefined) {
    try {
      await openTmuxView({ ...spec, pid: child.pid, mark }, { name: spec.tmuxName, env: spec.env });
    } catch (error) {
      await worker.stop({ graceMs: 0 });
      throw error;
    }
  }
  return worker;
}

/**
 * Takes over a worker whose supervisor was killed. Undefined when it has ended; what it left behind is then ended as
 * well, and `readExit` tells how it ended. One that was held is taken for running: `pause` it again.
 */
export async function adoptWorkerProcess(
  handle: WorkerProcessHandle,
  spec: WorkerProcessSpec,
): Promise<WorkerProcess | undefined> {
  if (!MARK.test(handle.mark)) return undefined;
  becomeSubreaper();
  const view = spec.backend === "tmux" ? tmuxView(spec.tmuxName, handle.mark) : undefined;
  const isMarked = readMark(handle.pid)?.split("/").includes(handle.mark) ?? true;
  if (handle.startTicks === null || !isRunning(handle) || !isMarked) {
    const left = new WorkerFamily(handle, { isFormer: true, isRootAlive: () => false });
    await endLeftBehind(left);
    if (view !== undefined) await closeTmuxView(view);
    return undefined;
  }
  // It may have come to us already.
  noteOrphan(handle.pid, handle.startTicks);
  const limiter = await openLimiter(spec.limits, {
    name: handle.mark,
    elapsedMs: Math.max(0, Date.now() - handle.startedMs),
  });
  const exited = (async () => {
    while (isRunning(handle)) await pause(TICK_MS);
    return null;
  })();
  return new SupervisedWorker(handle, spec, { sandbox: undefined, limiter, view, exited, isFormer: true });
}

/** The handle of a worker of which only the mark was recorded; undefined when its shell is not running. */
export function findWorkerProcess(mark: string): WorkerProcessHandle | undefined {
  if (!MARK.test(mark)) return undefined;
  const shell = new WorkerFamily({ pid: 0, startTicks: null, mark }, { isFormer: true, isRootAlive: () => false })
    .find().filter(({ pid, session }) => pid === session).sort((a, b) => a.startTicks - b.startTicks)[0];
  if (shell === undefined || !isWorkerShell(shell.pid)) return undefined;
  const { pid, startTicks } = shell;
  return { pid, startTicks, mark, startedMs: startMsOf(startTicks) };
}

function isWorkerShell(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").includes(SHELL_NAME);
  } catch {
    return false;
  }
}

/** Since 1970; exact to a second. */
function startMsOf(startTicks: number): number {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(Deno.readTextFileSync("/proc/stat"))?.[1]);
  return bootSeconds * 1000 + startTicks * MS_PER_TICK;
}

/** How a worker ended, whoever supervised it then; undefined when it has not ended, or could not note it. */
export async function readExit(exitPath: string): Promise<RecordedExit | undefined> {
  try {
    const [text, { mtime }] = await Promise.all([Deno.readTextFile(exitPath), Deno.stat(exitPath)]);
    if (!/^\d{1,3}\n$/.test(text)) return undefined;
    const exitCode = Number(text);
    return { exitCode, signal: SIGNAL_NAMES.get(exitCode - 128) ?? null, endedMs: mtime?.getTime() ?? Date.now() };
  } catch {
    return undefined;
  }
}

/** Kills all workers of this process with all that they started, and waits until they are gone. Returns how many. */
export async function endAllWorkers(): Promise<number> {
  const workers = [...active];
  await Promise.all(workers.map((worker) => worker.stop({ graceMs: 0 })));
  return workers.length;
}

/** The mark of the running worker that a process belongs to, wherever it went. */
export function workerMarkOf(pid: number): string | undefined {
  const worker = [...active].find((worker) => worker.has(pid, "look")) ??
    [...active].find((worker) => worker.has(pid, "find"));
  return worker?.handle.mark;
}

/** `endAllWorkers` for a process that must end now: kills without waiting. */
export function killAllWorkersNow(): void {
  for (const worker of active) worker.killNow();
}

interface Supervision {
  /** Undefined for an adopted worker: then the processes tell. */
  readonly sandbox: OpenSandbox | undefined;
  readonly limiter: Limiter;
  readonly view: TmuxView | undefined;
  /** When the shell has ended, with the signal that ended it, if known. */
  readonly exited: Promise<string | null>;
  readonly isFormer: boolean;
}

class SupervisedWorker implements WorkerProcess {
  readonly ended: Promise<WorkerProcessEnd>;
  readonly sandbox: WorkerProcess["sandbox"];
  readonly limits: WorkerProcess["limits"];
  readonly attach: string | undefined;
  readonly #family: WorkerFamily;
  readonly #limiter: Limiter;
  readonly #exited: Promise<string | null>;
  /** Aborted when the shell has ended. */
  readonly #gone = new AbortController();
  /** Resolved when it cannot be killed. */
  readonly #givenUp = Promise.withResolvers<null>();
  #endedBy: WorkerProcessEnd["endedBy"] | undefined;
  #exceeded: WorkerProcessEnd["exceeded"];
  #graceMs = Infinity;
  #isEnding = false;

  constructor(readonly handle: WorkerProcessHandle, spec: WorkerProcessSpec, supervision: Supervision) {
    const { sandbox, limiter, view, exited, isFormer } = supervision;
    this.#family = new WorkerFamily(handle, {
      isFormer,
      isRootAlive: isFormer ? () => isRunning(handle) : () => !this.#gone.signal.aborted,
    });
    const isSandboxed = sandbox?.enforced ?? this.#family.isSandboxed();
    const { detail = isSandboxed ? "bubblewrap, as it was started" : "none, as it was started" } = sandbox ?? {};
    this.sandbox = { enforced: isSandboxed, detail };
    this.limits = { enforced_by: limiter.enforced_by, detail: limiter.detail };
    this.attach = view?.attach;
    this.#limiter = limiter;
    this.#exited = exited.then((signal) => {
      this.#gone.abort();
      return signal;
    });
    active.add(this);
    this.#family.join();
    this.ended = this.#supervise(spec.exitPath, view);
  }

  pause(): void {
    this.#limiter.pause();
    this.#family.hold();
  }

  resume(): void {
    this.#family.signal("SIGCONT");
    this.#limiter.resume();
  }

  stop(
    { graceMs, signal = "SIGINT" }: { readonly graceMs: number; readonly signal?: "SIGINT" | "SIGTERM" },
  ): Promise<WorkerProcessEnd> {
    this.#end("stop", { graceMs, signal });
    return this.ended;
  }

  cpuMs(): number {
    return this.#family.cpuMs();
  }

  hasChildren(): boolean {
    return this.#family.hasChildren();
  }

  /** @param means `look` is cheap, `find` thorough */
  has(pid: number, means: "look" | "find"): boolean {
    return this.#family[means]().some((entry) => entry.pid === pid);
  }

  killNow(): void {
    this.#endedBy ??= "stop";
    // The shell lives to note the end, unless it would only now start something.
    if (this.#family.kill().length === 0) this.#family.killWhole();
  }

  async #supervise(exitPath: string, view: TmuxView | undefined): Promise<WorkerProcessEnd> {
    const watch = this.#limiter.watch(() => this.#family.look(), ({ limit, allowed, found }) => {
      this.#exceeded ??= this.#endedBy === undefined ? { allowed, found } : undefined;
      this.#end(limit, { graceMs: LIMIT_GRACE_MS, signal: undefined });
    });
    // Who is seen while its parents live can be told when they do not any more; a PID namespace loses nobody.
    const looks = this.sandbox.enforced ? undefined : setInterval(() => {
      this.#family.look();
      this.#family.reap();
    }, LOOK_EVERY_MS);

    const shellSignal = await Promise.race([this.#exited, this.#givenUp.promise]);
    clearInterval(looks);
    watch[Symbol.dispose]();
    const leftBehind = await endLeftBehind(this.#family);
    if (view !== undefined) await closeTmuxView(view);
    this.#family.leave();
    active.delete(this);

    const recorded = await readExit(exitPath);
    // The kernel's end for want of memory may come before the watch has seen it.
    const exceeded = recorded?.signal === "SIGKILL" && this.#endedBy === undefined
      ? this.#limiter.exceeded()
      : undefined;
    await this.#limiter.close();
    return {
      exitCode: recorded?.exitCode ?? null,
      signal: recorded?.signal ?? shellSignal,
      endedBy: this.#endedBy ?? exceeded?.limit ?? (recorded === undefined ? "lost" : "itself"),
      exceeded: this.#exceeded ?? (exceeded && { allowed: exceeded.allowed, found: exceeded.found }),
      leftBehind,
      durationMs: Math.max(0, (recorded?.endedMs ?? Date.now()) - this.handle.startedMs),
    };
  }

  /** Without a `signal` it begins with TERM for all. */
  #end(
    reason: WorkerProcessEnd["endedBy"],
    { graceMs, signal }: { readonly graceMs: number; readonly signal: Deno.Signal | undefined },
  ): void {
    if (this.#gone.signal.aborted) return;
    this.#endedBy ??= reason;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#terminate(signal);
  }

  async #terminate(first: Deno.Signal | undefined): Promise<void> {
    const gone = this.#gone.signal;
    /** Until `tell` has found somebody to be told; then until the end of the grace. */
    const grace = async (tell: () => boolean) => {
      const startedAt = performance.now();
      for (let isTold = false; !gone.aborted;) {
        if (!isTold && tell()) {
          isTold = true;
          // Who is held cannot obey.
          this.#family.signal("SIGCONT");
        }
        if (performance.now() - startedAt >= this.#graceMs) break;
        await pause(TICK_MS, gone);
      }
    };
    if (first !== undefined) await grace(() => this.#family.signalAgent(first));
    await grace(() => {
      this.#family.signal("SIGTERM");
      return true;
    });
    const startedAt = performance.now();
    while (!gone.aborted && performance.now() - startedAt < DEATH_MS) {
      // What is only just starting is found the next time.
      await killUntilGone(() => this.#family.kill());
      await pause(TICK_MS, gone);
    }
    if (gone.aborted) return;
    await killUntilGone(() => this.#family.killWhole());
    await pause(DEATH_MS, gone);
    this.#givenUp.resolve(null);
  }
}

/** The file of the program. */
function locate({ argv, cwd, env }: WorkerProcessSpec): string {
  const refuse = (reason: string, hints: readonly string[] = []) => {
    return new Failure("environment", `Cannot start "${argv[0]}": ${reason}`, { hints });
  };
  let isFolder = false;
  try {
    isFolder = Deno.statSync(cwd).isDirectory;
  } catch {
    // Said below.
  }
  if (!isFolder) throw refuse(`there is no folder "${cwd}" to start it in`);
  const program = findProgram(argv[0], env.PATH ?? DEFAULT_PATH, cwd);
  if (program === undefined) {
    throw refuse("no such program, or it is not executable", [`Install it, or add its folder to PATH`]);
  }
  return program;
}

async function attempt(path: string, options: Deno.OpenOptions): Promise<void> {
  try {
    (await Deno.open(path, options)).close();
  } catch (cause) {
    throw new Failure("environment", `Cannot start the worker: "${path}" must be writable: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** The streams and the exit status are evidence: a worker that may write around them shall not change them. */
function withFilesProtected({ sandbox, stdoutPath, stderrPath, exitPath }: WorkerProcessSpec): SandboxRequest {
  return { ...sandbox, protected: [...sandbox.protected, stdoutPath, stderrPath, exitPath] };
}

function spawn(argv: readonly string[], spec: WorkerProcessSpec & { readonly mark: string }): Deno.ChildProcess {
  becomeSubreaper();
  const { stdoutPath, stderrPath, exitPath, cwd, env, mark } = spec;
  const outerMarks = env[MARK_VARIABLE];
  const { argv: [program, ...args], detached } = inOwnSession(
    ["/bin/sh", "-c", RUN, SHELL_NAME, stdoutPath, stderrPath, exitPath, ...argv],
  );
  return new Deno.Command(program, {
    args,
    cwd,
    clearEnv: true,
    env: { ...env, [MARK_VARIABLE]: outerMarks ? `${outerMarks}/${mark}` : mark },
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached,
  }).spawn();
}

/** Ends who is left when the shell has ended. Returns how many did not end by themselves. */
async function endLeftBehind(family: WorkerFamily): Promise<number> {
  const waitUntilGone = async (timeoutMs: number) => {
    const startedAt = performance.now();
    while (family.find().length > 0 && performance.now() - startedAt < timeoutMs) await pause(TICK_MS);
  };
  await waitUntilGone(SETTLE_MS);
  const leftBehind = family.find().length;
  if (leftBehind > 0) {
    family.signal("SIGTERM");
    family.signal("SIGCONT");
    await waitUntilGone(LEFT_BEHIND_GRACE_MS);
    await killUntilGone(() => family.killWhole());
  }
  family.reap();
  return leftBehind;
}
