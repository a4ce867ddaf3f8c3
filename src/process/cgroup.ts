/** A control group (cgroup v2) of its own for one worker: the kernel holds back what is in it. */
import { dirname, join } from "node:path";
import { pause } from "./pipe_reader.ts";

/** 0 stands for "no limit". */
export interface GroupLimits {
  readonly memoryBytes: number;
  /** Processors that it may keep busy. */
  readonly processors: number;
}

/** What the kernel has counted since the group was made. */
export interface GroupCpu {
  /** Milliseconds of CPU that were used, or would have been but for the limit. */
  readonly demandMs: number;
  readonly throttledPeriods: number;
}

export const PERIOD_MS = 100;
const REMOVE_TRIES = 60;

export class Cgroup {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the group below `parent`, or takes over the one that a former supervisor made for processes that still live.
   * Throws the system's error, or an `Error` that says what the parent lacks. Writing the number of a process to
   * `cgroup.procs` may be forbidden all the same: try it.
   */
  static async open(parent: string, name: string, limits: GroupLimits): Promise<Cgroup> {
    const controllers = [...(limits.memoryBytes > 0 ? ["memory"] : []), ...(limits.processors > 0 ? ["cpu"] : [])];
    const enabled = await readWords(join(parent, "cgroup.subtree_control"));
    const missing = controllers.filter((controller) => !enabled.includes(controller));
    if (missing.length > 0) {
      const available = await readWords(join(parent, "cgroup.controllers"));
      const absent = missing.find((controller) => !available.includes(controller));
      if (absent !== undefined) throw new Error(`It has no ${absent} controller`);
      await Deno.writeTextFile(join(parent, "cgroup.subtree_control"), missing.map((word) => `+${word}`).join(" "));
    }

    const path = join(parent, name);
    // An empty one was left by a supervisor that was killed: its counters are another worker's.
    await Deno.remove(path).catch(() => {});
    await Deno.mkdir(path, { recursive: true });
    const group = new Cgroup(path);
    try {
      if (limits.memoryBytes > 0) {
        await Deno.writeTextFile(join(path, "memory.max"), String(limits.memoryBytes));
        await Deno.writeTextFile(join(path, "memory.oom.group"), "1");
        // Kernels that do not count swap have no such file.
        await Deno.writeTextFile(join(path, "memory.swap.max"), "0").catch(() => {});
      }
      if (limits.processors > 0) {
        const quotaUs = Math.max(1000, Math.round(limits.processors * PERIOD_MS * 1000));
        await Deno.writeTextFile(join(path, "cpu.max"), `${quotaUs} ${PERIOD_MS * 1000}`);
      }
    } catch (error) {
      await group.close();
      throw error;
    }
    return group;
  }

  /** Whether the kernel has killed because of this group's limit; not when the whole machine was out of memory. */
  hasRunOutOfMemory(): boolean {
    const events = this.#counters("memory.events");
    return (events.get("oom") ?? 0) > 0 && (events.get("oom_kill") ?? 0) > 0;
  }

  cpu(): GroupCpu {
    const stat = this.#counters("cpu.stat");
    return {
      demandMs: ((stat.get("usage_usec") ?? 0) + (stat.get("throttled_usec") ?? 0)) / 1000,
      throttledPeriods: stat.get("nr_throttled") ?? 0,
    };
  }

  /** Kills whatever is still in it and removes it, and the groups that were made in it. Never throws. */
  async close(): Promise<void> {
    // Kernels before 5.14 do not have the file.
    await Deno.writeTextFile(join(this.path, "cgroup.kill"), "1", { create: false }).catch(() => {});
    // It is busy until the last of the killed is gone.
    for (let tries = 0; tries < REMOVE_TRIES && !await removeTree(this.path); tries++) {
      await pause(Math.min(2 ** tries, 100));
    }
  }

  #counters(file: string): Map<string, number> {
    let text: string;
    try {
      text = Deno.readTextFileSync(join(this.path, file));
    } catch {
      return new Map();
    }
    return new Map(
      text.trim().split("\n").map((line) => {
        const [name = "", value] = line.split(" ");
        return [name, Number(value)];
      }),
    );
  }
}

/**
 * Where a group for our children may be made: in our own group, else beside it. The first works in the root group or
 * one whose controllers are on already; the kernel turns none on in a group that has processes of its own.
 *
 * @param mountinfo the content of /proc/self/mountinfo
 * @param membership the content of /proc/self/cgroup
 */
export function groupParents(mountinfo: string, membership: string): string[] {
  const group = /^0::(\/.*)$/m.exec(membership)?.[1];
  const mount = mountinfo.split("\n").map((line) => line.split(" "))
    .find((fields) => fields[fields.indexOf("-") + 1] === "cgroup2");
  const [root, mountPoint] = mount?.slice(3, 5) ?? [];
  if (group === undefined || root === undefined || mountPoint === undefined) return [];
  const inside = root === "/"
    ? group
    : group === root
    ? "/"
    : group.startsWith(`${root}/`)
    ? group.slice(root.length)
    : "";
  // In a cgroup namespace, what lies outside begins with "/..".
  if (inside === "" || inside.split("/").includes("..")) return [];
  const unescaped = mountPoint.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  const own = join(unescaped, inside, ".");
  return inside === "/" ? [own] : [own, dirname(own)];
}

async function readWords(file: string): Promise<string[]> {
  return (await Deno.readTextFile(file)).trim().split(/\s+/);
}

/** False when a group in it still has processes. Its files go with the folder, and cannot be removed. */
async function removeTree(path: string): Promise<boolean> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (isDirectory && !await removeTree(join(path, name))) return false;
    }
    await Deno.remove(path);
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
