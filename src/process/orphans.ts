/** Looks after the orphans that came to us: nobody else takes their exit status, and no parent tells whose they were. */
import { becomeSubreaper, reapOrphans } from "./child_subreaper.ts";
import { pause } from "./pipe_reader.ts";
import { killFamily, type ProcessEntry, readProcess } from "./process_tree.ts";

const KILL_SWEEPS = 60;

/** Running commands and workers, whose descendants may become orphans. */
const claimants = new Set<object>();
let joinCount = 0;
/** Children whose exit status is the runtime's to take. */
const runtimeChildren = new Set<number>();
/** Start ticks by pid of descendants that are, or will be, our children without the runtime knowing them. */
const orphans = new Map<number, number>();
let firstStartTicks = Infinity;

/** Returns whether nothing else has run at any time since then: every younger orphan is the claimant's. */
export function joinClaimants(claimant: object): () => boolean {
  const isFirst = claimants.size === 0;
  const joined = ++joinCount;
  claimants.add(claimant);
  return () => isFirst && joined === joinCount;
}

export function leaveClaimants(claimant: object): void {
  claimants.delete(claimant);
}

/** Whether these are all that run now. */
export const areAllClaimants = (some: ReadonlySet<object>): boolean => claimants.isSubsetOf(some);

/** To be called for every child that the runtime starts, until `forgetChild`. Returns its start ticks, 0 without /proc. */
export function expectChild(pid: number): number {
  const startTicks = readProcess(pid)?.startTicks ?? 0;
  if (startTicks > 0) firstStartTicks = Math.min(firstStartTicks, startTicks);
  runtimeChildren.add(pid);
  return startTicks;
}

/** To be called when the runtime has told how the child ended. */
export function forgetChild(pid: number): void {
  runtimeChildren.delete(pid);
}

/** Of a child of ours: whether it came to us when its parent ended. */
export const isOrphan = ({ pid }: ProcessEntry): boolean => !runtimeChildren.has(pid);

/** Whether it is younger than the first of our children: nothing else can have come from them. */
export const isYoung = (entry: ProcessEntry): boolean => entry.startTicks >= firstStartTicks;

/** Remembers a process that is, or will be, our child without the runtime knowing it. */
export function noteOrphan(pid: number, startTicks: number): void {
  if (!runtimeChildren.has(pid)) orphans.set(pid, startTicks);
}

/**
 * Whether something that was started by a child that has ended may still run. Asks for our own children only, whom such
 * orphans join at once; true where that cannot be known.
 */
export function mayHaveOrphans(): boolean {
  if (!becomeSubreaper()) return true;
  const children = readChildren();
  return children === undefined ||
    children.some((pid) => !runtimeChildren.has(pid) && readProcess(pid)?.isZombie === false);
}

/** Of this process, zombies included; undefined where there is no /proc that tells. */
function readChildren(): number[] | undefined {
  try {
    const children = Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/children`);
    return children.split(" ").map(Number).filter((pid) => pid > 0);
  } catch {
    return undefined;
  }
}

/** Remembers the orphans that have come to us, so that their zombies can be told from children of the runtime. */
export function noteOrphans(findFamily: () => readonly ProcessEntry[]): void {
  const unknown = readChildren()?.filter((pid) => !orphans.has(pid) && !runtimeChildren.has(pid)) ?? [];
  if (unknown.length === 0) return;
  const ownSession = readProcess("self")?.session;
  const living = unknown.filter((pid) => {
    const child = readProcess(pid);
    if (!child?.isZombie) return child !== undefined;
    // Without an environment, but nothing else makes children of us that are in another session and this young.
    if (child.session !== ownSession && isYoung(child)) orphans.set(pid, child.startTicks);
    return false;
  });
  if (living.length === 0) return;
  for (const { pid, parent, startTicks } of findFamily()) {
    if (parent === Deno.pid) noteOrphan(pid, startTicks);
  }
}

/** Takes the exit status of those that have ended, so that none stays as a zombie. */
export function reapEndedOrphans(): void {
  const ended: number[] = [];
  for (const [pid, startTicks] of orphans) {
    const now = readProcess(pid);
    if (now?.startTicks !== startTicks) orphans.delete(pid);
    else if (now.isZombie && now.parent === Deno.pid) ended.push(pid);
  }
  reapOrphans(ended);
  for (const pid of ended) orphans.delete(pid);
}

/** `killFamily` for processes that may come to us when their parents die. */
export function killDescendants(find: () => ProcessEntry[]): ProcessEntry[] {
  const killed = killFamily(find);
  for (const { pid, startTicks } of killed) noteOrphan(pid, startTicks);
  return killed;
}

/**
 * Calls `kill` until it finds nobody. Returns how many were killed. Gives up on who cannot be killed, such as a program
 * of another user.
 */
export async function killUntilGone(kill: () => readonly ProcessEntry[]): Promise<number> {
  const killed = new Set<string>();
  for (let sweep = 0; sweep < KILL_SWEEPS; sweep++) {
    const now = kill();
    if (now.length === 0) break;
    for (const { pid, startTicks } of now) killed.add(`${pid}@${startTicks}`);
    await pause(Math.min(2 ** sweep, 100));
    reapEndedOrphans();
  }
  return killed.size;
}
