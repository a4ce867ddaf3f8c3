/** Keeps a worker within its share of the processors, its memory and its time. */
import { Cgroup, groupParents } from "./cgroup.ts";
import {
  CpuJudge,
  type Exceeded,
  FamilyMeter,
  GroupMeter,
  type Meter,
  MIB,
  outOfMemory,
  rounded,
} from "./limit_meters.ts";
import { pause } from "./pipe_reader.ts";
import { type ProcessEntry, readProcess } from "./process_tree.ts";
import { runCommand } from "./spawn.ts";

export type { Exceeded };

type Argv = [string, ...string[]];

/** 0 stands for "no limit". */
export interface ResourceLimits {
  /** Of all the machine's processors together: 50 on four cores is two of them. From 100 on it is no limit. */
  readonly cpuPercent: number;
  /** MiB. */
  readonly memoryMb: number;
  readonly timeSeconds: number;
}

export interface Limiter {
  /** `cgroup v2`, `watching /proc`, `clock` (nothing but time is limited, or can be) or `none`. */
  readonly enforced_by: string;
  /** The limits, and why they are not enforced in a better way. */
  readonly detail: string;
  /**
   * The command that applies what the kernel can enforce, and then becomes `argv`. To be put around any sandbox, but
   * inside of what is to note how the worker ended: the kernel kills all that is in a cgroup at once.
   */
  wrap(argv: readonly [string, ...string[]]): Argv;
  /**
   * Calls `onExceeded` at most once, and never before it has returned. `members` gives the worker's living processes as
   * they are now; it must not throw. Ending them is the caller's part.
   */
  watch(members: () => readonly ProcessEntry[], onExceeded: (what: Exceeded) => void): Disposable;
  /**
   * What has been exceeded so far, the kernel asked once more: to be called when a worker has ended by SIGKILL, which
   * may be the kernel's for want of memory and come before the watch has seen it.
   */
  exceeded(): Exceeded | undefined;
  /** The worker is held by SIGSTOP: neither time nor CPU is judged until `resume`. Both may be called twice. */
  pause(): void;
  resume(): void;
  /** Ends what the kernel holds for the worker, its last processes included. Never throws. */
  close(): Promise<void>;
}

export interface LimiterOptions {
  /** Different for each worker of the machine, the same for a supervisor that takes the worker over. */
  readonly name: string;
  /** How long a worker that is taken over has run already, without pauses; default 0. */
  readonly elapsedMs?: number;
  /** The time over which the use of processors is averaged; default 10 s. */
  readonly cpuWindowMs?: number;
  /** The cgroup to make groups in; default: found in /proc. For tests. */
  readonly cgroupRoot?: string;
}

const CPU_WINDOW_MS = 10_000;
const LOOK_EVERY_MS = 500;
const LOOK_NEAR_MS = 100;
/** Looking through all processes of the machine holds up the event loop; all watches together may take 1/20 of it. */
const LOOK_COST_FACTOR = 20;
const PROBE_TIMEOUT_MS = 10_000;
/** How much later than the watch the kernel ends a program that has lost its supervisor. */
const CPU_BACKSTOP_SECONDS = 10;

/**
 * $1: the `cgroup.procs` to enter, $2: CPU seconds for each process, so that what has lost its supervisor cannot spin for
 * ever. No core files: they would land in the worktree. What eats the machine's last memory between two looks shall be
 * what the kernel ends. No RLIMIT_AS and RLIMIT_DATA: JavaScript engines reserve far more than they use.
 */
const ENTER = `[ -z "$1" ] || echo $$ > "$1" || exit 126
{ ulimit -c 0; ulimit -t "$2"; echo 500 > /proc/self/oom_score_adj; } 2>/dev/null
shift 2; exec "$@"`;

let watches = 0;

/**
 * Prepares the limits of one worker; `close` it when the worker has ended. Time counts from now.
 *
 * In a cgroup the worker is slowed down to its processors, and it exceeds them when it wants more during a whole window;
 * the kernel ends it when it needs more memory. Where no cgroup can be made, both are measured every half second: the
 * average of a window, and the memory of all its processes with shared pages counted once.
 *
 * @throws RangeError for a limit that is no number of at least 0
 */
export async function openLimiter(limits: ResourceLimits, options: LimiterOptions): Promise<Limiter> {
  const { memoryMb, timeSeconds } = limits;
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be at least 0, found ${value}`);
  }
  const processors = navigator.hardwareConcurrency;
  // Nobody can use more than everything.
  const cpuPercent = limits.cpuPercent < 100 ? limits.cpuPercent : 0;
  const judge = new CpuJudge(cpuPercent, processors, options.cpuWindowMs ?? CPU_WINDOW_MS);

  const words = [
    cpuPercent > 0 ? `${cpuPercent} % of ${processors} processors` : "",
    memoryMb > 0 ? `${memoryMb} MB of memory` : "",
    timeSeconds > 0 ? `${timeSeconds} s` : "",
  ].filter((part) => part !== "").join(", ");
  let enforcedBy = timeSeconds > 0 ? "clock" : "none";
  let detail = words || "No limit is set";
  let meter: Meter | undefined;
  let group: Cgroup | undefined;
  if (cpuPercent > 0 || memoryMb > 0) {
    const opened = await openGroup(options, {
      memoryBytes: Math.ceil(memoryMb * MIB),
      processors: cpuPercent / 100 * processors,
    });
    if (opened instanceof Cgroup) {
      group = opened;
      meter = new GroupMeter(group, memoryMb, judge);
      enforcedBy = "cgroup v2";
      detail = `${words}; by the kernel, in ${group.path}`;
    } else if (readProcess("self") !== undefined) {
      meter = new FamilyMeter(memoryMb, judge);
      enforcedBy = "watching /proc";
      detail = `${words}; looked at every ${LOOK_EVERY_MS} ms, because no cgroup v2 can be used: ${opened}`;
    } else {
      detail = `${words}; processors and memory cannot be limited on this system, which has neither cgroups nor /proc`;
    }
  }

  const clock = new Stopwatch(options.elapsedMs ?? 0);
  let exceeded: Exceeded | undefined;

  return {
    enforced_by: enforcedBy,
    detail,
    wrap(argv) {
      if (words === "") return [...argv];
      return enter(
        group,
        timeSeconds > 0 ? Math.ceil(timeSeconds * processors) + CPU_BACKSTOP_SECONDS : undefined,
        argv,
      );
    },
    watch(members, onExceeded) {
      const stop = new AbortController();
      if (words === "") return { [Symbol.dispose]: () => {} };
      let membersMs = 0;
      const timedMembers = () => {
        const startedAt = performance.now();
        const found = members();
        membersMs = performance.now() - startedAt;
        return found;
      };
      const look = async (): Promise<Exceeded | undefined> => {
        if (timeSeconds > 0 && clock.ms >= timeSeconds * 1000) {
          return { limit: "time", allowed: timeSeconds, found: rounded(clock.ms / 1000) };
        }
        return await meter?.look(timedMembers, clock.ms);
      };
      const run = async () => {
        for (let waitMs = LOOK_NEAR_MS;;) {
          const leftMs = timeSeconds > 0 ? timeSeconds * 1000 - clock.ms : Infinity;
          await pause(clock.isRunning ? Math.max(1, Math.min(waitMs, leftMs)) : LOOK_EVERY_MS, stop.signal);
          if (stop.signal.aborted) return;
          if (!clock.isRunning) continue;
          const found = await look();
          if (stop.signal.aborted) return;
          if (found !== undefined) {
            exceeded = found;
            return onExceeded(found);
          }
          waitMs = Math.max(meter?.isNear ? LOOK_NEAR_MS : LOOK_EVERY_MS, membersMs * LOOK_COST_FACTOR * watches);
        }
      };
      watches++;
      run().finally(() => watches--);
      return { [Symbol.dispose]: () => stop.abort() };
    },
    exceeded() {
      exceeded ??= group?.hasRunOutOfMemory() ? outOfMemory(memoryMb) : undefined;
      return exceeded;
    },
    pause: () => clock.stop(),
    resume: () => clock.start(),
    close: async () => await group?.close(),
  };
}

/** A group that processes can be put into, or why there is none. */
async function openGroup(
  { name, cgroupRoot }: LimiterOptions,
  limits: { readonly memoryBytes: number; readonly processors: number },
): Promise<Cgroup | string> {
  let parents: string[];
  try {
    parents = cgroupRoot !== undefined ? [cgroupRoot] : groupParents(
      await Deno.readTextFile("/proc/self/mountinfo"),
      await Deno.readTextFile("/proc/self/cgroup"),
    );
  } catch {
    return "This system has none";
  }
  const folder = `gocore-${name.replaceAll(/[^\w.-]/g, "-")}`;
  const reasons: string[] = [];
  for (const parent of parents) {
    try {
      const group = await Cgroup.open(parent, folder, limits);
      if (await canEnter(group)) return group;
      await group.close();
      reasons.push(`${parent}: No process may be moved into it`);
    } catch (error) {
      reasons.push(`${parent}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return reasons.join("; ") || "It is not mounted, or not for us";
}

/** Only the kernel knows: whoever may write to a group may still not take a process out of the one that it is in. */
async function canEnter(group: Cgroup): Promise<boolean> {
  const { exitCode } = await runCommand(enter(group, undefined, ["/bin/sh", "-c", ":"]), {
    cwd: "/",
    env: {},
    timeoutMs: PROBE_TIMEOUT_MS,
    signal: new AbortController().signal,
  });
  return exitCode === 0;
}

function enter(group: Cgroup | undefined, cpuSeconds: number | undefined, argv: readonly [string, ...string[]]): Argv {
  const procs = group === undefined ? "" : `${group.path}/cgroup.procs`;
  return ["/bin/sh", "-c", ENTER, "gocore-limit", procs, String(cpuSeconds ?? "unlimited"), ...argv];
}

/** Time without pauses. Runs from the start. */
class Stopwatch {
  #beforeMs: number;
  #since: number | undefined = performance.now();

  constructor(elapsedMs: number) {
    this.#beforeMs = elapsedMs;
  }

  get isRunning(): boolean {
    return this.#since !== undefined;
  }

  get ms(): number {
    return this.#beforeMs + (this.#since === undefined ? 0 : performance.now() - this.#since);
  }

  start(): void {
    this.#since ??= performance.now();
  }

  stop(): void {
    this.#beforeMs = this.ms;
    this.#since = undefined;
  }
}
