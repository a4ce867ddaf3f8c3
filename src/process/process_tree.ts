/** Finds the processes that descend from a command, wherever they went, and ends them. */

/** The environment variable that every process of a command inherits: the marks of the commands around it, `/` between. */
export const MARK_VARIABLE = "GOCORE_COMMAND";

/** A line of the process table. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks from boot to the start of the process; tells it from a later one with the same pid. */
  readonly startTicks: number;
  readonly isZombie: boolean;
}

/** Who belongs to a family besides the descendants of those who do. */
export interface FamilyTraits {
  /** Children that have not been waited for: their pids cannot belong to anybody else. Their sessions count as well. */
  readonly roots: ReadonlySet<number>;
  /** Whether a value of `MARK_VARIABLE` is the family's. */
  isMark(value: string): boolean;
  /** Whether it may be older than we are: the family of a former process. */
  readonly isFormer?: boolean;
  /** Whether an orphan that came to us, unmarked and in a session of its own, may be taken for the family's. */
  adopts(orphan: ProcessEntry): boolean;
}

/** One process as /proc has it now, or undefined when it is gone or there is no /proc. */
export function readProcess(pid: number | "self"): ProcessEntry | undefined {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses, and a program may have any name.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pid: Number.parseInt(stat),
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
    isZombie: fields[0] === "Z" || fields[0] === "X",
  };
}

/** Every process of the machine; empty where there is no /proc. */
function listProcesses(): Map<number, ProcessEntry> {
  const processes = new Map<number, ProcessEntry>();
  try {
    for (const { name } of Deno.readDirSync("/proc")) {
      const pid = Number(name);
      const entry = Number.isInteger(pid) ? readProcess(pid) : undefined;
      if (entry !== undefined) processes.set(pid, entry);
    }
  } catch {
    // No /proc on this system.
  }
  return processes;
}

/** The value of the mark, "" for none, undefined when the environment may not be read. */
function readMark(pid: number): string | undefined {
  let environment: string;
  try {
    environment = new TextDecoder().decode(Deno.readFileSync(`/proc/${pid}/environ`));
  } catch {
    return undefined;
  }
  const prefix = `${MARK_VARIABLE}=`;
  return environment.split("\0").find((entry) => entry.startsWith(prefix))?.slice(prefix.length) ?? "";
}

/** Living members of the family, parents before children. Never contains us, nor, but for a former family, our elders. */
export function findFamily(traits: FamilyTraits): ProcessEntry[] {
  const self = readProcess("self");
  if (self === undefined) return [];
  const candidates: ProcessEntry[] = [];
  const childrenOf = new Map<number, ProcessEntry[]>();
  for (const entry of listProcesses().values()) {
    if (entry.pid === Deno.pid || (!traits.isFormer && entry.startTicks < self.startTicks)) continue;
    candidates.push(entry);
    const siblings = childrenOf.get(entry.parent);
    if (siblings === undefined) childrenOf.set(entry.parent, [entry]);
    else siblings.push(entry);
  }

  const isFounder = (entry: ProcessEntry) => {
    if (traits.roots.has(entry.pid) || traits.roots.has(entry.session)) return true;
    if (entry.isZombie) return false;
    const mark = readMark(entry.pid);
    if (mark !== undefined && mark !== "") return traits.isMark(mark);
    // A process in our session cannot come from a command, which got a session of its own.
    return entry.parent === Deno.pid && entry.session !== self.session && traits.adopts(entry);
  };
  const members = new Map<number, ProcessEntry>();
  const queue = candidates.filter(isFounder);
  for (const entry of queue) {
    if (members.has(entry.pid)) continue;
    members.set(entry.pid, entry);
    queue.push(...childrenOf.get(entry.pid) ?? []);
  }
  return [...members.values()].filter((entry) => !entry.isZombie);
}

/** False when that process has ended or may not be signalled. A pid that was given to another process is left alone. */
export function signalProcess(target: ProcessEntry, signal: Deno.Signal): boolean {
  const now = readProcess(target.pid);
  if (now === undefined || now.isZombie || now.startTicks !== target.startTicks) return false;
  try {
    Deno.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}

const MAX_FREEZE_ROUNDS = 40;

/**
 * Kills everybody that `find` finds. All are stopped first, until a look around shows nobody new: a family that is
 * killed while it runs can fork faster than it dies. Returns whom it killed; some may take a moment to be gone.
 */
export function killFamily(find: () => ProcessEntry[]): ProcessEntry[] {
  const stopped = new Map<string, ProcessEntry>();
  for (let round = 0; round < MAX_FREEZE_ROUNDS; round++) {
    const before = stopped.size;
    for (const entry of find()) {
      const key = `${entry.pid}@${entry.startTicks}`;
      if (!stopped.has(key) && signalProcess(entry, "SIGSTOP")) stopped.set(key, entry);
    }
    if (stopped.size === before) break;
  }
  return [...stopped.values()].filter((entry) => signalProcess(entry, "SIGKILL"));
}
