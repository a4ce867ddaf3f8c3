/** Runs short programs, one after the other and several at a time, within limits that are opened once. */
import { totalmem } from "node:os";
import { MIB } from "./limit_meters.ts";
import type { ProcessEntry } from "./process_tree.ts";
import { type Limiter, openLimiter } from "./resource_limits.ts";
import { type CommandEnd, type CommandOptions, runCommand } from "./spawn.ts";

/** For each run. */
export interface RunLimits {
  /** MiB. */
  readonly memoryMb: number;
  readonly processes: number;
}

export interface LimitedEnd extends Omit<CommandEnd, "endedBy"> {
  readonly endedBy: CommandEnd["endedBy"] | "limit";
  /** For `limit`: which one, in words: `memory (4 GiB)`. */
  readonly limit?: string;
}

const MAX_MEMORY_MB = 4096;
/** Less, and compilers and JavaScript engines would end where nothing is wrong. */
const MIN_MEMORY_MB = 1024;
const PROCESSES = 512;
const COUNT_EVERY_MS = 250;

let opened = 0;

/** For runs of which so many take place at the same time: half of the machine's memory is theirs. */
export function runLimits(lanes: number): RunLimits {
  const share = Math.floor(totalmem() / MIB / 2 / Math.max(1, lanes));
  return { memoryMb: Math.min(MAX_MEMORY_MB, Math.max(MIN_MEMORY_MB, share)), processes: PROCESSES };
}

export class LimitedRuns {
  readonly #limits: RunLimits;
  readonly #run: typeof runCommand;
  /** Nothing has exceeded these, and nothing runs in them. */
  readonly #idle: Limiter[] = [];

  constructor(limits: RunLimits, run: typeof runCommand = runCommand) {
    this.#limits = limits;
    this.#run = run;
  }

  /** `runCommand`; what exceeds a limit is killed with all that it has started. */
  async run(argv: readonly [string, ...string[]], options: CommandOptions): Promise<LimitedEnd> {
    const limiter = this.#idle.pop() ?? await this.#open();
    const ended = new AbortController();
    let limit: string | undefined;
    const exceed = (words: string) => {
      limit ??= words;
      ended.abort();
    };
    const onAbort = () => ended.abort();
    options.signal.addEventListener("abort", onAbort);
    if (options.signal.aborted) onAbort();
    const watches: Disposable[] = [];
    try {
      const end = await this.#run(limiter.wrap(argv), {
        ...options,
        signal: ended.signal,
        onStart: (members) => {
          options.onStart?.(members);
          watches.push(limiter.watch(members, () => exceed(this.#memory())), this.#count(members, exceed));
        },
      });
      // The kernel's end of it may come before the watch has seen it.
      if (limit === undefined && limiter.exceeded() !== undefined) limit = this.#memory();
      if (limit === undefined || options.signal.aborted || end.endedBy === "timeout") return end;
      return { ...end, endedBy: "limit", exitCode: null, signalName: "SIGKILL", limit };
    } finally {
      options.signal.removeEventListener("abort", onAbort);
      for (const watch of watches) watch[Symbol.dispose]();
      // What the kernel has counted stays so.
      if (limiter.exceeded() === undefined) this.#idle.push(limiter);
      else await limiter.close();
    }
  }

  /** Nothing may run any more. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((limiter) => limiter.close()));
  }

  /** In words, with how they are kept. */
  async describe(): Promise<string> {
    const limiter = this.#idle.at(-1) ?? await this.#open();
    if (this.#idle.length === 0) this.#idle.push(limiter);
    const { memoryMb, processes } = this.#limits;
    const how = limiter.enforced_by === "cgroup v2"
      ? "memory by the kernel"
      : limiter.enforced_by === "watching /proc"
      ? "looked at twice a second, because no cgroup v2 can be used"
      : "neither can be enforced on this system";
    return `at most ${gibibytes(memoryMb)} of memory and ${processes} processes (${how})`;
  }

  #open(): Promise<Limiter> {
    return openLimiter({ cpuPercent: 0, memoryMb: this.#limits.memoryMb, timeSeconds: 0 }, {
      name: `run-${Deno.pid}-${++opened}`,
    });
  }

  #memory(): string {
    return `memory (${gibibytes(this.#limits.memoryMb)})`;
  }

  #count(members: () => readonly ProcessEntry[], exceed: (words: string) => void): Disposable {
    const { processes } = this.#limits;
    const timer = setInterval(() => {
      if (members().length > processes) exceed(`processes (${processes})`);
    }, COUNT_EVERY_MS);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
}

const gibibytes = (megabytes: number) => `${Math.round(megabytes / 102.4) / 10} GiB`;
