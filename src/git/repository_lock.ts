/** Lets one at a time change the list of a repository's worktrees, in this process and in others. */

/** A process that keeps the lock for longer is broken: git has locks of its own. */
const PATIENCE_MS = 60_000;

/** The end of each line of waiters, by folder. */
const queues = new Map<string, Promise<unknown>>();

/**
 * Calls `work` while nobody else who asks for `folder` is in theirs. The lock is the system's (flock on the folder), so
 * that it leaves no file and ends with the process that has it, however that ends. Where folders cannot be locked, and
 * when the lock is not to be had within a minute, `work` is called without it.
 */
export function withRepositoryLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const before = queues.get(folder) ?? Promise.resolve();
  const mine = before.then(() => withFileLock(folder, work));
  const settled = mine.catch(() => {}).then(() => {
    if (queues.get(folder) === settled) queues.delete(folder);
  });
  queues.set(folder, settled);
  return mine;
}

async function withFileLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const file = await Deno.open(folder).catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const locked = file?.lock(true).catch(() => {});
  const late = new Promise((resolve) => timer = setTimeout(resolve, PATIENCE_MS, "late"));
  const outcome = await Promise.race([locked, late]);
  clearTimeout(timer);
  try {
    return await work();
  } finally {
    // Closing gives the lock back; a lock that is still asked for has to be had first.
    if (outcome === "late") locked?.then(() => file?.close());
    else file?.close();
  }
}
