/** All processes of one worker: finds, holds, signals and kills them. */
import {
  areAllClaimants,
  isOrphan,
  joinClaimants,
  killDescendants,
  leaveClaimants,
  noteOrphans,
  reapEndedOrphans,
} from "./orphans.ts";
import {
  type FamilyTraits,
  findFamily,
  type ProcessEntry,
  type ProcessTable,
  readName,
  readProcess,
  readProcessTable,
  signalProcess,
  withDescendants,
} from "./process_tree.ts";

/** What /proc counts CPU time in is a hundredth of a second everywhere. */
export const MS_PER_TICK = 10;
const TABLE_AGE_MS = 200;
const MAX_HOLD_ROUNDS = 40;

let recent: { readonly table: ProcessTable; readonly readAt: number } | undefined;

/** One look at the machine serves all workers that want one at about the same time. */
function recentTable(): ProcessTable {
  const now = performance.now();
  if (recent === undefined || now - recent.readAt > TABLE_AGE_MS) recent = { table: readProcessTable(), readAt: now };
  return recent.table;
}

export interface WorkerRoot {
  /** The shell that waits for the program. It leads the session. */
  readonly pid: number;
  readonly startTicks: number | null;
  readonly mark: string;
}

/** The workers that run. */
const running = new Set<WorkerFamily>();
/** When the first of those that have run without a gap between them was started. */
let firstStartTicks = Infinity;

export class WorkerFamily {
  readonly #root: WorkerRoot;
  readonly #isFormer: boolean;
  readonly #isRootAlive: () => boolean;
  /** Start ticks by pid of all that were there at the last look: an orphan without a mark is told by it. */
  #known = new Map<number, number>();
  #cpuMs = 0;

  /** `isFormer`: a former supervisor started it, so its orphans did not come to us. */
  constructor(root: WorkerRoot, options: { readonly isFormer: boolean; isRootAlive(): boolean }) {
    this.#root = root;
    this.#isFormer = options.isFormer;
    this.#isRootAlive = options.isRootAlive;
  }

  /** To be called when it has been started or taken over, until `leave`. */
  join(): void {
    if (running.size === 0) firstStartTicks = this.#isFormer ? Infinity : this.#root.startTicks ?? Infinity;
    running.add(this);
    joinClaimants(this);
  }

  leave(): void {
    running.delete(this);
    leaveClaimants(this);
  }

  /** Everybody, by all means there are: reads the environment of every process of the machine. */
  find(): ProcessEntry[] {
    const root = this.#root;
    const traits: FamilyTraits = {
      roots: new Set(this.#isRootAlive() ? [root.pid] : []),
      isMark: (value) => value.split("/").includes(root.mark),
      isFormer: this.#isFormer,
      // Of several it may be anybody's, also a command's: it is ended with the last worker, or with all commands.
      adopts: (child) =>
        running.size === 1 && areAllClaimants(new Set([this])) && isOrphan(child) &&
        child.startTicks >= firstStartTicks,
      knows: (entry) => this.#known.get(entry.pid) === entry.startTicks,
    };
    recent = undefined;
    return this.#remember(findFamily(traits));
  }

  /** Who descends from the root or was known before, as it was at most 200 ms ago; cheap. */
  look(): ProcessEntry[] {
    const table = recentTable();
    const isFounder = this.#isRootAlive()
      ? ({ pid, session }: ProcessEntry) => pid === this.#root.pid || session === this.#root.pid
      : () => false;
    const founders = [...table.processes.values()].filter((entry) =>
      isFounder(entry) || (!entry.isZombie && this.#known.get(entry.pid) === entry.startTicks)
    );
    return this.#remember(withDescendants(founders, table));
  }

  hasChildren(): boolean {
    const { agent, wrappers, members } = this.#split(this.look());
    return members.some(({ pid }) => pid !== agent?.pid && !wrappers.has(pid));
  }

  /** Never goes down. */
  cpuMs(): number {
    const ticks = this.look().reduce((sum, { cpuTicks, waitedCpuTicks }) => sum + cpuTicks + waitedCpuTicks, 0);
    return this.#cpuMs = Math.max(this.#cpuMs, ticks * MS_PER_TICK);
  }

  /** To the agent itself. False when it is not there: still being started, or ended. */
  signalAgent(signal: Deno.Signal): boolean {
    if (readProcess("self") === undefined) return this.#signalGroup(signal);
    const { agent } = this.#split(this.find());
    return agent !== undefined && signalProcess(agent, signal);
  }

  /** Stops everybody, until a look around shows nobody new. What only waits (shell, bubblewrap) goes on waiting. */
  hold(): void {
    if (readProcess("self") === undefined) return void this.#signalGroup("SIGSTOP");
    const held = new Set<string>();
    for (let round = 0; round < MAX_HOLD_ROUNDS; round++) {
      const before = held.size;
      for (const entry of this.#insiders()) {
        const key = `${entry.pid}@${entry.startTicks}`;
        if (!held.has(key) && signalProcess(entry, "SIGSTOP")) held.add(key);
      }
      if (held.size === before) break;
    }
  }

  /** To all but who only waits and is to note how the program ended. */
  signal(signal: Deno.Signal): void {
    if (readProcess("self") === undefined) return void this.#signalGroup(signal);
    for (const entry of this.#insiders()) signalProcess(entry, signal);
  }

  /** The same, killed. Returns whom it killed. */
  kill(): ProcessEntry[] {
    if (readProcess("self") === undefined) this.#signalGroup("SIGKILL");
    return killDescendants(() => this.#insiders());
  }

  /** All that there is, also who waits. */
  killWhole(): ProcessEntry[] {
    if (readProcess("self") === undefined) this.#signalGroup("SIGKILL");
    return killDescendants(() => this.find());
  }

  /** Takes the exit status of orphans that have ended. */
  reap(): void {
    noteOrphans(() => this.look());
    reapEndedOrphans();
  }

  /** Whether the program runs in bubblewrap. */
  isSandboxed(): boolean {
    return this.#split(this.find()).wrappers.size > 1;
  }

  /** For systems without /proc. The root has not been waited for, so the number is still its. */
  #signalGroup(signal: Deno.Signal): boolean {
    if (!this.#isRootAlive()) return false;
    try {
      Deno.kill(-this.#root.pid, signal);
      return true;
    } catch {
      return false;
    }
  }

  #insiders(): ProcessEntry[] {
    const { wrappers, members } = this.#split(this.find());
    return members.filter(({ pid }) => !wrappers.has(pid));
  }

  /** The shell has one child: the program, or bubblewrap, whose first child is bubblewrap again, and then the program. */
  #split(members: ProcessEntry[]) {
    const wrappers = new Set<number>();
    let agent: ProcessEntry | undefined;
    for (let at: number | undefined = this.#isRootAlive() ? this.#root.pid : undefined; at !== undefined;) {
      wrappers.add(at);
      const oldest = members.filter(({ parent }) => parent === at)
        .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0];
      if (oldest === undefined || readName(oldest.pid) !== "bwrap") {
        agent = oldest;
        break;
      }
      at = oldest.pid;
    }
    return { agent, wrappers, members };
  }

  #remember(members: ProcessEntry[]): ProcessEntry[] {
    this.#known = new Map(members.map(({ pid, startTicks }) => [pid, startTicks]));
    return members;
  }
}

/** Whether this very process, and not a later one of its number, is running. */
export function isRunning({ pid, startTicks }: WorkerRoot): boolean {
  const now = readProcess(pid);
  return now !== undefined && !now.isZombie && now.startTicks === startTicks;
}
