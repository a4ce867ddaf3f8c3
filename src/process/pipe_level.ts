/** Tells how full a pipe is that the runtime reads for us, whose descriptor it does not give away (Linux). */

const FIONREAD = 0x541Bn;
const LIBC = "libc.so.6";

/**
 * The kernel's name of the pipe to which a child that was started just now writes by its descriptor `fd`; the same at
 * our end. Undefined where there is no /proc, or when the child has ended already.
 */
export function pipeNameOf(pid: number, fd: 1 | 2): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/**
 * Bytes that were written and that nobody has read. 0 also when our end is closed, which happens after its end was
 * read. Undefined where libc cannot be called.
 */
export function bytesInPipe(name: string): number | undefined {
  try {
    const fd = ownDescriptor(name);
    if (fd === undefined) return 0;
    const libc = Deno.dlopen(LIBC, { ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" } });
    const count = new Int32Array(1);
    const isTold = libc.symbols.ioctl(fd, FIONREAD, count) === 0;
    libc.close();
    return isTold ? count[0] : undefined;
  } catch {
    return undefined;
  }
}

function ownDescriptor(name: string): number | undefined {
  for (const { name: fd } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${fd}`) === name) return Number(fd);
    } catch {
      // The descriptor by which the folder was listed, or one that another thread has closed.
    }
  }
  return undefined;
}
