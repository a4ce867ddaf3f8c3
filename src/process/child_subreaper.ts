/** Makes orphans of our commands our children (Linux), so that a daemon cannot slip away by forking twice. */

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const LIBC = "libc.so.6";

let state: boolean | undefined;

/**
 * From now on a descendant whose parent ends becomes our child instead of init's. Done once; false where it cannot be
 * done (not Linux, no glibc, no permission for FFI): then the marks in their environment are all that leads to orphans.
 */
export function becomeSubreaper(): boolean {
  if (state !== undefined) return state;
  state = false;
  if (Deno.build.os !== "linux") return state;
  try {
    const libc = Deno.dlopen(LIBC, {
      prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
    });
    state = libc.symbols.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0;
    libc.close();
  } catch {
    // Without it runs work as well; see above.
  }
  return state;
}

/**
 * Takes the exit status of adopted processes that have ended, so that none stays as a zombie.
 * Never to be called with a child that the runtime started: its own wait would find nothing.
 */
export function reapOrphans(pids: readonly number[]): void {
  if (!state || pids.length === 0) return;
  const libc = Deno.dlopen(LIBC, { waitpid: { parameters: ["i32", "pointer", "i32"], result: "i32" } });
  for (const pid of pids) libc.symbols.waitpid(pid, null, WNOHANG);
  libc.close();
}
