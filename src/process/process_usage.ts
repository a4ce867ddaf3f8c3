/** Measures what a family of processes uses, from /proc. */
import { type ProcessEntry, readProcess } from "./process_tree.ts";

/** USER_HZ: the same on every Linux that Deno runs on, whatever the kernel's own tick is. */
const MS_PER_TICK = 10;

/** Adds up the CPU time of a family whose members come and go. */
export class FamilyCpu {
  #known: Map<string, ProcessEntry> | undefined;

  /**
   * Milliseconds of CPU since the last call, 0 the first time. Includes processes that began and ended in between, if
   * their parents waited for them. May be too high once when a process ends during the look: bound it by the time gone.
   */
  msSinceLastLook(members: readonly ProcessEntry[]): number {
    const now = new Map(members.map((entry) => [keyOf(entry), entry]));
    const known = this.#known;
    this.#known = now;
    if (known === undefined) return 0;

    let goneTicks = 0;
    for (const [key, before] of known) {
      if (now.has(key)) continue;
      // A zombie is no member any more, but keeps its time until its parent takes it over.
      const still = readProcess(before.pid);
      if (still?.startTicks === before.startTicks) now.set(key, still);
      else goneTicks += before.cpuTicks + before.waitedCpuTicks;
    }
    let ownTicks = 0;
    let waitedTicks = 0;
    for (const [key, entry] of now) {
      const before = known.get(key);
      ownTicks += entry.cpuTicks - (before?.cpuTicks ?? 0);
      waitedTicks += entry.waitedCpuTicks - (before?.waitedCpuTicks ?? 0);
    }
    // What parents took over was partly counted while the children lived.
    return (ownTicks + Math.max(0, waitedTicks - goneTicks)) * MS_PER_TICK;
  }
}

/**
 * Bytes of memory of these processes, swapped out ones included; a shared page counts once in all. Files that they keep
 * in a memory file system do not count unless mapped.
 *
 * Exact only when above `enoughBytes`: up to there the sum of the resident sizes, which counts shared pages once per
 * process, is proof enough. The kernel walks all page tables for the exact number (20 ms for 2 GB).
 */
export async function memoryOf(members: readonly ProcessEntry[], enoughBytes: number): Promise<number> {
  const sizes = members.map(({ pid }) => ({ pid, bytes: residentBytes(pid) })).sort((a, b) => b.bytes - a.bytes);
  let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { pid, bytes } of sizes) {
    if (total <= enoughBytes) break;
    total += (await proportionalBytes(pid) ?? bytes) - bytes;
  }
  return total;
}

const keyOf = ({ pid, startTicks }: ProcessEntry) => `${pid}@${startTicks}`;

function residentBytes(pid: number): number {
  try {
    return kilobytes(Deno.readTextFileSync(`/proc/${pid}/status`), /^Vm(?:RSS|Swap):\s+(\d+) kB$/gm);
  } catch {
    return 0;
  }
}

/** Undefined for a process that has ended, or of another user. */
async function proportionalBytes(pid: number): Promise<number | undefined> {
  try {
    return kilobytes(await Deno.readTextFile(`/proc/${pid}/smaps_rollup`), /^(?:Pss|SwapPss):\s+(\d+) kB$/gm);
  } catch {
    return undefined;
  }
}

function kilobytes(text: string, pattern: RegExp): number {
  return Array.from(text.matchAll(pattern), ([, digits]) => Number(digits)).reduce((sum, n) => sum + n, 0) * 1024;
}
