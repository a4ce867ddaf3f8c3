/** Starts programs: the only place that does, so that everything started is found and ended again. */
import { BoundedOutput } from "./bounded_output.ts";
import { becomeSubreaper } from "./child_subreaper.ts";
import { DEFAULT_PATH, findProgram, inOwnSession } from "./find_program.ts";
import {
  areAllClaimants,
  expectChild,
  forgetChild,
  isOrphan,
  isYoung,
  joinClaimants,
  killDescendants,
  killUntilGone,
  leaveClaimants,
  mayHaveOrphans,
  noteOrphans,
  reapEndedOrphans,
} from "./orphans.ts";
import { pipeNameOf } from "./pipe_level.ts";
import { pause, PipeReader } from "./pipe_reader.ts";
import {
  type FamilyTraits,
  findFamily,
  MARK_VARIABLE,
  type ProcessEntry,
  readProcess,
  signalProcess,
} from "./process_tree.ts";

export interface CommandOptions {
  readonly cwd: string;
  /** The whole environment; nothing is inherited. A mark is added to it. */
  readonly env: Readonly<Record<string, string>>;
  /** From the start to the end of the program; Infinity for none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** How much of the output is kept, half of it from its end; default 1 MiB. */
  readonly maxOutputBytes?: number;
  /** Between SIGTERM and SIGKILL when `signal` aborts; default 500. A timeout kills at once. */
  readonly graceMs?: number;
  /**
   * "separate" keeps stderr out of `output`, and waits until nobody can write to either, for programs whose output is
   * parsed; default is "merge".
   */
  readonly stderr?: "merge" | "separate";
  /** What the program leaves running when it ends well in time: "keep", the default, or "end". */
  readonly background?: "keep" | "end";
  /** Told once that it runs, with a way to look at its living processes, which costs a look at all of the machine's. */
  readonly onStart?: (members: () => readonly ProcessEntry[]) => void;
}

export interface CommandEnd {
  /** stdout and stderr in the order they were written, as `BoundedOutput.text` gives them. */
  readonly output: string;
  /** Only with `stderr: "separate"`; at most 64 KiB. */
  readonly stderr?: string;
  readonly elidedBytes: number;
  readonly totalBytes: number;
  /** 128 + n when signal n ended the program; null when we ended it or it never ran. */
  readonly exitCode: number | null;
  /** The signal that ended the program, ours included. */
  readonly signalName: string | null;
  readonly endedBy: "exit" | "timeout" | "abort" | "spawn_failed";
  /** Why it never ran, for `spawn_failed`. */
  readonly failure?: string;
  readonly durationMs: number;
}

/** A program that was started and has not been waited for. */
interface ActiveCommand {
  readonly pid: number;
  readonly mark: string;
  readonly startTicks: number;
  /** Whether nothing else has run at any time since it started. */
  isAlone(): boolean;
  hasExited: boolean;
}

const DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024;
const MAX_STDERR_BYTES = 64 * 1024;
const DEFAULT_GRACE_MS = 500;
/** setTimeout takes a larger number for 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How long a killed process may take to be gone; one that hangs in the kernel is not waited for any longer. */
const DEATH_MS = 5000;
/** One pipe for stdout and stderr keeps their order. The program and its arguments never become shell text. */
const MERGE_STREAMS = 'exec 2>&1; exec "$0" "$@"';
const KEEP_STREAMS = 'exec "$0" "$@"';

/** In every mark of this process; the random part tells us from a former process with our pid. */
let runMark: string | undefined;
let commandCount = 0;
const active = new Set<ActiveCommand>();
/** Pipes that background processes still hold. */
const heldPipes = new Set<PipeReader>();

/**
 * Runs a program to its end in a session of its own, with an empty stdin and one pipe for stdout and stderr.
 *
 * Never throws: what goes wrong is in the result. On a timeout or an abort everything that the program started is
 * killed, whatever session it moved to. After a normal end its background processes go on until `endAllCommands`, unless
 * `background` is "end". Without /proc (not Linux) only the program's process group is killed, and its background
 * processes outlive us.
 */
export async function runCommand(argv: readonly [string, ...string[]], options: CommandOptions): Promise<CommandEnd> {
  const startedAt = performance.now();
  const output = new BoundedOutput(options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES);
  const errors = options.stderr === "separate" ? new BoundedOutput(MAX_STDERR_BYTES) : undefined;
  const end = (outcome: Pick<CommandEnd, "endedBy" | "exitCode" | "signalName" | "failure">): CommandEnd => {
    const { text, elidedBytes, totalBytes } = output.text();
    const stderr = errors && { stderr: errors.text().text };
    return { output: text, ...stderr, elidedBytes, totalBytes, ...outcome, durationMs: performance.now() - startedAt };
  };
  const neverRan = (failure: string) => end({ endedBy: "spawn_failed", exitCode: null, signalName: null, failure });

  if (options.signal.aborted) return end({ endedBy: "abort", exitCode: null, signalName: null });
  const withNul = argv.find((part) => part.includes("\0"));
  if (withNul !== undefined) {
    return neverRan(`Cannot run the command: it has a NUL character at position ${withNul.indexOf("\0")}`);
  }

  let child: Deno.ChildProcess;
  let command: ActiveCommand;
  try {
    ({ child, command } = start(argv, options));
  } catch (error) {
    return neverRan(explainSpawnError(error, argv, options));
  }

  const pipes = [
    new PipeReader(child.stdout, output, pipeNameOf(child.pid, 1)),
    ...(errors ? [new PipeReader(child.stderr, errors, pipeNameOf(child.pid, 2))] : []),
  ];
  const settle = () => Promise.all(pipes.map((pipe) => pipe.settle()));
  const exited = child.status.then((status) => {
    command.hasExited = true;
    forgetChild(command.pid);
    return status;
  });
  const interruption = Promise.withResolvers<"timeout" | "abort">();
  const onAbort = () => interruption.resolve("abort");
  options.signal.addEventListener("abort", onAbort);
  const timer = options.timeoutMs === Infinity
    ? undefined
    : setTimeout(() => interruption.resolve("timeout"), Math.min(options.timeoutMs, MAX_TIMER_MS));

  try {
    options.onStart?.(() => findFamily(familyOf(command)));
    const first = await Promise.race([exited, interruption.promise]);
    if (typeof first !== "string") {
      if (options.background === "end" && mayHaveOrphans()) await endCommand(command, 0);
      const whole = Promise.all(pipes.map((pipe) => pipe.closed));
      if (errors !== undefined) await Promise.race([whole, interruption.promise]);
      await settle();
      if ((first.code === 126 || first.code === 127) && !canRun(argv[0], options)) {
        // What sh wrote about it is no output of a command.
        const failure = `Cannot run "${argv[0]}": no such program, or it is not executable`;
        return { ...neverRan(failure), output: "", elidedBytes: 0, totalBytes: 0 };
      }
      return end({ endedBy: "exit", exitCode: first.code, signalName: first.signal });
    }
    await endCommand(command, first === "abort" ? options.graceMs ?? DEFAULT_GRACE_MS : 0);
    const giveUp = new AbortController();
    const status = await Promise.race([exited, pause(DEATH_MS, giveUp.signal)]);
    giveUp.abort();
    await settle();
    return end({ endedBy: first, exitCode: null, signalName: status?.signal ?? null });
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
    pipes.forEach(keepUntilClosed);
    noteOrphans(() => findFamily(wholeRun()));
    reapEndedOrphans();
    const leave = () => {
      active.delete(command);
      leaveClaimants(command);
    };
    if (command.hasExited) leave();
    else exited.then(leave);
  }
}

/**
 * Kills whatever any command of this process has left running, commands in progress included, and waits until it is
 * gone. Returns how many processes were killed.
 */
export async function endAllCommands(): Promise<number> {
  if (commandCount === 0) return 0;
  const killed = await killUntilGone(() => killEverybody(wholeRun()));
  const pipes = [...heldPipes];
  const giveUp = new AbortController();
  await Promise.race([Promise.all(pipes.map((pipe) => pipe.closed)), pause(DEATH_MS, giveUp.signal)]);
  giveUp.abort();
  await Promise.all(pipes.map((pipe) => pipe.cancel()));
  reapEndedOrphans();
  return killed;
}

/** `endAllCommands` for a process that must end now: kills without waiting. */
export function killAllNow(): void {
  if (commandCount === 0) return;
  const family = wholeRun();
  // A second look finds what forked during the first.
  for (let sweep = 0; sweep < 2; sweep++) killEverybody(family);
}

/**
 * Kills what the commands of a gocore process that was killed have left running, found by their marks. Does nothing when
 * the number belongs to a living process. Returns how many processes were killed.
 */
export async function endCommandsOf(formerPid: number): Promise<number> {
  const holder = readProcess(formerPid);
  if (holder !== undefined && !holder.isZombie) return 0;
  const family: FamilyTraits = {
    roots: new Set(),
    isMark: (value) => value.split("/").some((mark) => mark.startsWith(`${formerPid}.`)),
    adopts: () => false,
    isFormer: true,
  };
  return await killUntilGone(() => killEverybody(family));
}

function start(
  argv: readonly [string, ...string[]],
  options: CommandOptions,
): { child: Deno.ChildProcess; command: ActiveCommand } {
  becomeSubreaper();
  runMark ??= `${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
  const mark = `${runMark}.${++commandCount}`;
  const outerMarks = options.env[MARK_VARIABLE];
  const isSeparate = options.stderr === "separate";
  const script = isSeparate ? KEEP_STREAMS : MERGE_STREAMS;
  const { argv: [program, ...args], detached } = inOwnSession(["/bin/sh", "-c", script, ...argv]);

  const child = new Deno.Command(program, {
    args,
    cwd: options.cwd,
    clearEnv: true,
    env: { ...options.env, [MARK_VARIABLE]: outerMarks ? `${outerMarks}/${mark}` : mark },
    stdin: "null",
    stdout: "piped",
    stderr: isSeparate ? "piped" : "null",
    detached,
  }).spawn();

  const startTicks = expectChild(child.pid);
  const command: ActiveCommand = { pid: child.pid, mark, startTicks, isAlone: () => isAlone(), hasExited: false };
  const isAlone = joinClaimants(command);
  active.add(command);
  return { child, command };
}

function familyOf(command: ActiveCommand): FamilyTraits {
  return {
    get roots() {
      return new Set(command.hasExited ? [] : [command.pid]);
    },
    isMark: (value) => value.split("/").includes(command.mark),
    // An orphan without a mark may be another command's or a worker's; with no other it can only be this one's.
    adopts: (child) => command.isAlone() && isOrphan(child) && child.startTicks >= command.startTicks,
  };
}

async function endCommand(command: ActiveCommand, graceMs: number): Promise<void> {
  const family = familyOf(command);
  if (graceMs > 0) {
    for (const member of findFamily(family)) signalProcess(member, "SIGTERM");
    if (!hasProcessTable()) signalGroups(family.roots, "SIGTERM");
    const deadline = performance.now() + graceMs;
    while (performance.now() < deadline && (findFamily(family).length > 0 || !command.hasExited)) await pause(20);
  }
  await killUntilGone(() => killEverybody(family));
}

function wholeRun(): FamilyTraits {
  return {
    get roots() {
      return new Set([...active].filter((command) => !command.hasExited).map((command) => command.pid));
    },
    isMark: (value) => value.split("/").some((mark) => mark.startsWith(`${runMark}.`)),
    // While workers run it may be one of theirs.
    adopts: (child) => areAllClaimants(active) && isOrphan(child) && isYoung(child),
  };
}

function killEverybody(family: FamilyTraits) {
  if (!hasProcessTable()) signalGroups(family.roots, "SIGKILL");
  return killDescendants(() => findFamily(family));
}

const hasProcessTable = () => readProcess("self") !== undefined;

/** For systems without /proc. Roots have not been waited for, so the numbers are still theirs. */
function signalGroups(roots: ReadonlySet<number>, signal: Deno.Signal): void {
  for (const pid of roots) {
    try {
      Deno.kill(-pid, signal);
    } catch {
      // The group has ended.
    }
  }
}

function keepUntilClosed(pipe: PipeReader): void {
  heldPipes.add(pipe);
  pipe.closed.then(() => heldPipes.delete(pipe));
}

/** The error of the runtime names setsid or sh, which nobody asked for. */
export function explainSpawnError(error: unknown, argv: readonly string[], { cwd }: { readonly cwd: string }): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && "code" in error && error.code === "E2BIG") {
    const bytes = argv.reduce((sum, part) => sum + new TextEncoder().encode(part).length, 0);
    return `Cannot run the command: it has ${bytes} bytes, more than the system takes as arguments of a program`;
  }
  try {
    if (!Deno.statSync(cwd).isDirectory) return `Cannot run a command in "${cwd}": it is not a folder`;
  } catch (cause) {
    const found = cause instanceof Deno.errors.NotFound
      ? "the folder does not exist"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    return `Cannot run a command in "${cwd}": ${found}`;
  }
  return `Cannot run "${argv[0]}": ${message}`;
}

const canRun = (program: string, { cwd, env }: CommandOptions) =>
  findProgram(program, env.PATH ?? DEFAULT_PATH, cwd) !== undefined;
