/** Judges whether a worker has exceeded its processors or its memory, by a cgroup or by what /proc tells. */
import { type Cgroup, PERIOD_MS } from "./cgroup.ts";
import type { ProcessEntry } from "./process_tree.ts";
import { FamilyCpu, memoryOf } from "./process_usage.ts";
import { SlidingRate } from "./sliding_rate.ts";

/** What was too much, in percent of all processors, MiB or seconds. */
export interface Exceeded {
  readonly limit: "cpu" | "memory" | "time";
  readonly allowed: number;
  /** For memory in a cgroup `allowed` itself: the kernel let it have no more. For CPU there, what it would have used. */
  readonly found: number;
}

/** Judges processors and memory. */
export interface Meter {
  look(members: () => readonly ProcessEntry[], activeMs: number): Promise<Exceeded | undefined>;
  /** Whether memory is close to its limit. */
  readonly isNear: boolean;
}

const NEAR = 3 / 4;
/** One full processor must not end a worker that may use one: whoever watches it uses some time as well. */
const CPU_TOLERANCE = 1.1;
/** Of the periods of the window, how many must have ended with the group held back. */
const THROTTLED_SHARE = 0.9;
export const MIB = 1024 * 1024;

export const rounded = (value: number) => Math.round(value * 10) / 10;
export const outOfMemory = (memoryMb: number): Exceeded => ({ limit: "memory", allowed: memoryMb, found: memoryMb });

/** Whether a worker uses more than its share of the processors, on the average of a window. */
export class CpuJudge {
  readonly windowMs: number;
  readonly #allowed: number;
  readonly #processors: number;
  readonly #rate: SlidingRate;

  /** @param allowed percent of all processors; 0 for no limit */
  constructor(allowed: number, processors: number, windowMs: number) {
    this.windowMs = windowMs;
    this.#allowed = allowed;
    this.#processors = processors;
    this.#rate = new SlidingRate(windowMs);
  }

  get isNeeded(): boolean {
    return this.#allowed > 0;
  }

  /** @param totalMs milliseconds of CPU so far */
  judge(activeMs: number, totalMs: number): Exceeded | undefined {
    const rate = this.#rate.push(activeMs, totalMs);
    if (rate === undefined) return undefined;
    const percent = rate / this.#processors * 100;
    // The second is for shares so high that a tenth above them is more than there is.
    const threshold = Math.min(this.#allowed * CPU_TOLERANCE, (this.#allowed + 100) / 2);
    if (percent <= threshold) return undefined;
    return { limit: "cpu", allowed: this.#allowed, found: rounded(Math.min(percent, 100)) };
  }

  /** The most that can have been used in this time. */
  mostMs(elapsedMs: number): number {
    return elapsedMs * this.#processors;
  }
}

/** Asks the kernel what it has enforced. */
export class GroupMeter implements Meter {
  readonly isNear = false;
  readonly #group: Cgroup;
  readonly #memoryMb: number;
  readonly #judge: CpuJudge;
  readonly #throttled: SlidingRate;

  constructor(group: Cgroup, memoryMb: number, judge: CpuJudge) {
    this.#group = group;
    this.#memoryMb = memoryMb;
    this.#judge = judge;
    this.#throttled = new SlidingRate(judge.windowMs);
  }

  async look(_members: () => readonly ProcessEntry[], activeMs: number): Promise<Exceeded | undefined> {
    if (this.#memoryMb > 0 && this.#group.hasRunOutOfMemory()) return outOfMemory(this.#memoryMb);
    if (!this.#judge.isNeeded) return undefined;
    const { demandMs, throttledPeriods } = this.#group.cpu();
    const exceeded = this.#judge.judge(activeMs, demandMs);
    // A burst that is held back takes longer, and would look like lasting demand without this.
    const throttledShare = (this.#throttled.push(activeMs, throttledPeriods) ?? 0) * PERIOD_MS;
    return throttledShare >= THROTTLED_SHARE ? exceeded : undefined;
  }
}

/** Measures every process of the worker. */
export class FamilyMeter implements Meter {
  isNear = false;
  readonly #memoryMb: number;
  readonly #judge: CpuJudge;
  readonly #cpu = new FamilyCpu();
  #cpuMs = 0;
  #lastLookMs = 0;

  constructor(memoryMb: number, judge: CpuJudge) {
    this.#memoryMb = memoryMb;
    this.#judge = judge;
  }

  async look(findMembers: () => readonly ProcessEntry[], activeMs: number): Promise<Exceeded | undefined> {
    const members = findMembers();
    return this.#lookAtCpu(members, activeMs) ?? await this.#lookAtMemory(members);
  }

  #lookAtCpu(members: readonly ProcessEntry[], activeMs: number): Exceeded | undefined {
    if (!this.#judge.isNeeded) return undefined;
    const usedMs = this.#cpu.msSinceLastLook(members);
    this.#cpuMs += Math.min(usedMs, this.#judge.mostMs(activeMs - this.#lastLookMs));
    this.#lastLookMs = activeMs;
    return this.#judge.judge(activeMs, this.#cpuMs);
  }

  async #lookAtMemory(members: readonly ProcessEntry[]): Promise<Exceeded | undefined> {
    if (this.#memoryMb === 0) return undefined;
    const allowedBytes = this.#memoryMb * MIB;
    let bytes = await memoryOf(members, allowedBytes);
    this.isNear = bytes > allowedBytes * NEAR;
    // Once more: a process that ends while the others are read leaves its share of the pages to them, counted twice.
    if (bytes > allowedBytes) bytes = await memoryOf(members, allowedBytes);
    if (bytes <= allowedBytes) return undefined;
    return { limit: "memory", allowed: this.#memoryMb, found: Math.ceil(bytes / MIB) };
  }
}
