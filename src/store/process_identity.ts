/** Tells whether the process that once wrote its identity down is still running, also when its number has a new owner. */
import process from "node:process";

/** Every member but `pid` is undefined where there is no `/proc`, or in what another program wrote. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since the machine's start: field 22 of `/proc/<pid>/stat`. */
  readonly start_ticks?: number;
  readonly boot_id?: string;
  /** The namespace in which `pid` counts, `pid:[4026531836]`: the same number in two containers is two processes. */
  readonly pid_namespace?: string;
}

export function ownIdentity(): ProcessIdentity {
  return { pid: Deno.pid, start_ticks: statOf(Deno.pid)?.startTicks, boot_id: bootId(), pid_namespace: pidNamespace() };
}

/** True only when it cannot be otherwise: on doubt, as with a process in another container, it may be running. */
export function isCertainlyDead({ pid, start_ticks, boot_id, pid_namespace }: ProcessIdentity): boolean {
  const boot = bootId();
  if (boot_id !== undefined && boot !== undefined && boot_id !== boot) return true;
  const namespace = pidNamespace();
  if (pid_namespace !== undefined && namespace !== undefined && pid_namespace !== namespace) return false;
  const stat = statOf(pid);
  if (stat === undefined) return !exists(pid);
  // Dead, but not yet collected by its parent: some containers have nobody who does.
  if (stat.state === "Z" || stat.state === "X") return true;
  return start_ticks !== undefined && start_ticks !== stat.startTicks;
}

/** The boot time, and with it the start of a process, is known to the second only. */
const CLOCK_SLACK_MS = 2000;

/** Whether whoever had this number when it last touched a file has ended: `touchedMs` is in milliseconds since 1970. */
export function hasEndedSince(pid: number, touchedMs: number): boolean {
  const startedMs = startedAtMs(pid);
  return isCertainlyDead({ pid }) || startedMs !== undefined && startedMs > touchedMs + CLOCK_SLACK_MS;
}

/** When the running process with this number started, in milliseconds since 1970, exact to about a second. */
function startedAtMs(pid: number): number | undefined {
  const stat = statOf(pid);
  const bootSeconds = /^btime (\d+)$/m.exec(readSmallFile("/proc/stat") ?? "")?.[1];
  if (stat === undefined || bootSeconds === undefined) return undefined;
  return Number(bootSeconds) * 1000 + stat.startTicks * MS_PER_TICK;
}

/** Linux shows its ticks to programs at 100 a second, whatever it counts in. */
const MS_PER_TICK = 10;

function statOf(pid: number): { state: string; startTicks: number } | undefined {
  const stat = readSmallFile(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[19]);
  return Number.isSafeInteger(startTicks) ? { state: fields[0]!, startTicks } : undefined;
}

function bootId(): string | undefined {
  return readSmallFile("/proc/sys/kernel/random/boot_id")?.trim();
}

function pidNamespace(): string | undefined {
  try {
    return Deno.readLinkSync("/proc/self/ns/pid");
  } catch {
    return undefined;
  }
}

/** For where `/proc` is missing, or hides the processes of others. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}

function readSmallFile(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
