/** Finds the processes that descend from a command, wherever they went, and ends them. */

/** The environment variable that every process of a command inherits: the marks of the commands around it, `/` between. */
export const MARK_VARIABLE = "GOCORE_COMMAND";

const MARK_PREFIX = `${MARK_VARIABLE}=`;
const PF_EXITING = 0x4;
const PF_KTHREAD = 0x200000;
const IN_EXEC = "exec";
/** An exec takes a fraction of a millisecond, and a few slices of the processor on a busy machine: this is ten or more. */
const MAX_EXEC_LOOKS = 1000;

/** Kernels that only look like Linux have zeros in their /proc. */
let isExecTold: boolean | undefined;

/** A line of the process table. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks from boot to the start of the process; tells it from a later one with the same pid. */
  readonly startTicks: number;
  readonly isZombie: boolean;
  /** Clock ticks of CPU, in all its threads, user and system together. */
  readonly cpuTicks: number;
  /** The same of its children that have ended and that it has waited for, and of theirs. */
  readonly waitedCpuTicks: number;
}

/** The machine's processes at one moment, zombies included; empty where there is no /proc. */
export interface ProcessTable {
  readonly processes: ReadonlyMap<number, ProcessEntry>;
  readonly childrenOf: ReadonlyMap<number, readonly ProcessEntry[]>;
}

/** Who belongs to a family besides the descendants of those who do. */
export interface FamilyTraits {
  /** Children that have not been waited for: their pids cannot belong to anybody else. Their sessions count as well. */
  readonly roots: ReadonlySet<number>;
  /** Whether a value of `MARK_VARIABLE` is the family's. */
  isMark(value: string): boolean;
  /** Whether it may be older than we are: the family of a former process. */
  readonly isFormer?: boolean;
  /** Whether a child of ours, unmarked and in a session of its own, is an orphan that may be taken for the family's. */
  adopts(orphan: ProcessEntry): boolean;
  /** Whether it was seen in the family before, wherever it is now. */
  knows?(entry: ProcessEntry): boolean;
}

/** One process as /proc has it now, or undefined when it is gone or there is no /proc. */
export function readProcess(pid: number | "self"): ProcessEntry | undefined {
  const stat = readStat(pid);
  if (stat === undefined) return undefined;
  const { id, fields } = stat;
  return {
    pid: id,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
    isZombie: fields[0] === "Z" || fields[0] === "X",
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    waitedCpuTicks: Number(fields[13]) + Number(fields[14]),
  };
}

function readStat(pid: number | "self"): { readonly id: number; readonly fields: readonly string[] } | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is the program's name in parentheses, and a program may have any name.
    return { id: Number.parseInt(stat), fields: stat.slice(stat.lastIndexOf(")") + 2).split(" ") };
  } catch {
    return undefined;
  }
}

/** The name of a program as the kernel has it, at most 15 bytes: whatever the program chose. "" when it is gone. */
export function readName(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).slice(0, -1);
  } catch {
    return "";
  }
}

export function readProcessTable(): ProcessTable {
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
  const childrenOf = new Map<number, ProcessEntry[]>();
  for (const entry of processes.values()) {
    const siblings = childrenOf.get(entry.parent);
    if (siblings === undefined) childrenOf.set(entry.parent, [entry]);
    else siblings.push(entry);
  }
  return { processes, childrenOf };
}

/** The founders and all that descend from them, parents before children, zombies left out. Never contains us. */
export function withDescendants(founders: Iterable<ProcessEntry>, table: ProcessTable): ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  const queue = [...founders];
  for (const entry of queue) {
    if (members.has(entry.pid) || entry.pid === Deno.pid) continue;
    members.set(entry.pid, entry);
    queue.push(...table.childrenOf.get(entry.pid) ?? []);
  }
  return [...members.values()].filter((entry) => !entry.isZombie);
}

/**
 * The value of the mark, "" for none, undefined when the environment may not be read, or the process goes from program
 * to program all the time. Null when it has ended or is about to.
 */
export function readMark(pid: number): string | undefined | null {
  let image = IN_EXEC;
  for (let look = 0; look < MAX_EXEC_LOOKS; look++) {
    let environment: string;
    try {
      environment = new TextDecoder().decode(Deno.readFileSync(`/proc/${pid}/environ`));
    } catch (error) {
      return error instanceof Deno.errors.PermissionDenied ? undefined : null;
    }
    // What is cut off has no zero after it.
    const entry = environment.split("\0").slice(0, -1).find((entry) => entry.startsWith(MARK_PREFIX));
    if (entry !== undefined) return entry.slice(MARK_PREFIX.length);

    // Between two programs everybody's environment is empty for a moment, or ends in the middle, also that of what we
    // have just started. Only one that was read while a program ran is without a mark.
    const now = readImage(pid);
    if (now === undefined) return null;
    isExecTold ??= readImage(Deno.pid) !== IN_EXEC;
    if (!isExecTold || (now !== IN_EXEC && now === image)) return "";
    image = now;
  }
  return undefined;
}

/** Differs for each program that the process runs; undefined when it has none any more. */
function readImage(pid: number): string | undefined {
  const fields = readStat(pid)?.fields;
  if (fields === undefined || (Number(fields[6]) & (PF_EXITING | PF_KTHREAD)) !== 0) return undefined;
  // Where the code and the environment begin. The kernel sets the first when the second is complete.
  return fields[23] === "0" ? IN_EXEC : `${fields[23]} ${fields[47]}`;
}

/** Living members of the family, parents before children. Never contains us, nor, but for a former family, our elders. */
export function findFamily(traits: FamilyTraits): ProcessEntry[] {
  const self = readProcess("self");
  if (self === undefined) return [];
  const table = readProcessTable();
  const isElder = (entry: ProcessEntry) => !traits.isFormer && entry.startTicks < self.startTicks;
  const isFounder = (entry: ProcessEntry) => {
    if (entry.pid === Deno.pid || isElder(entry)) return false;
    if (traits.roots.has(entry.pid) || traits.roots.has(entry.session)) return true;
    if (entry.isZombie) return false;
    if (traits.knows?.(entry)) return true;
    const mark = readMark(entry.pid);
    if (mark === null) return false;
    if (mark !== undefined && mark !== "") return traits.isMark(mark);
    // A process in our session cannot come from a command, which got a session of its own.
    return entry.parent === Deno.pid && entry.session !== self.session && traits.adopts(entry);
  };
  return withDescendants([...table.processes.values()].filter(isFounder), table)
    .filter((entry) => !isElder(entry));
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
