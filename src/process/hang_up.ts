/** Notices that nobody reads a pipe any more before the next write would (Linux). */

const POLLERR = 0x08;
const POLLHUP = 0x10;
const LIBC = "libc.so.6";
const LOOK_EVERY_MS = 1000;

/**
 * Calls `onHangUp` once when the other end of this file descriptor is gone; never for files and terminals. A run that
 * waits minutes for a model would notice a closed pipe only then, and pay for an answer that nobody reads. Where libc
 * cannot be called nothing is watched.
 */
export function watchForHangUp(fd: number, onHangUp: () => void): Disposable {
  // struct pollfd { int fd; short events; short revents; }, asking for no events: errors are always told.
  const pollfd = new Int32Array([fd, 0]);
  let libc: Deno.DynamicLibrary<{ poll: { parameters: ["buffer", "u64", "i32"]; result: "i32" } }> | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => {
    clearInterval(timer);
    libc?.close();
    libc = undefined;
  };
  const look = () => {
    if (libc === undefined || libc.symbols.poll(pollfd, 1n, 0) <= 0) return;
    if (((pollfd[1]! >>> 16) & (POLLERR | POLLHUP)) === 0) return;
    stop();
    onHangUp();
  };
  if (Deno.build.os === "linux") {
    try {
      libc = Deno.dlopen(LIBC, { poll: { parameters: ["buffer", "u64", "i32"], result: "i32" } });
      timer = setInterval(look, LOOK_EVERY_MS);
    } catch {
      // The next write will tell.
    }
  }
  return { [Symbol.dispose]: stop };
}
