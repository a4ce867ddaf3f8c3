/** Lists the connections that this process has accepted at an address, and breaks them off, by asking the system (Linux). */

// What the headers of Linux call these, on the processors that the runtime exists for.
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const SHUT_RDWR = 2;
const AF_INET = 2;
const AF_INET6 = 10;
const TCP_ESTABLISHED = 1;
const TCP_CLOSE_WAIT = 8;

/** Of `struct sockaddr_in6`, the longest that matters. */
const ADDRESS_BYTES = 28;
/** `struct tcp_info` as far as `tcpi_bytes_received`. */
const INFO_BYTES = 136;
const ACKED_BYTES_AT = 120;

const LIBC = "libc.so.6";
const SYMBOLS = {
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
} as const;

export interface AcceptedConnection {
  /** Belongs to this connection until the next `await`; after it perhaps to another. */
  readonly fd: number;
  /** The client's address, as `nameOf` spells it. */
  readonly client: string;
  /** The client has closed its side. */
  readonly hasLeft: boolean;
  /** How much of what we sent has reached the client so far; 0 where the system does not count it. */
  readonly ackedBytes: bigint;
}

export class AcceptedConnections {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #status: Deno.FsFile;
  readonly #server: string;
  readonly #port: number;
  readonly #isAnywhere: boolean;
  readonly #address = new DataView(new ArrayBuffer(ADDRESS_BYTES));
  readonly #info = new DataView(new ArrayBuffer(INFO_BYTES));
  readonly #size = new Uint32Array(1);
  readonly #text = new Uint8Array(4096);

  /**
   * @param server where the process listens
   * Throws where the system cannot be asked: not Linux, no glibc, no /proc, no permission for FFI.
   */
  constructor(server: Deno.NetAddr) {
    if (Deno.build.os !== "linux") throw new Deno.errors.NotSupported("Only Linux can be asked about connections");
    this.#server = nameOf(server);
    this.#port = server.port;
    this.#isAnywhere = server.hostname === "0.0.0.0" || server.hostname === "::";
    this.#libc = Deno.dlopen(LIBC, SYMBOLS);
    try {
      // Kept open: when descriptors have run out, which is when it matters most, nothing else can be opened.
      this.#status = Deno.openSync("/proc/self/status");
    } catch (error) {
      this.#libc.close();
      throw error;
    }
  }

  /** Those that are open, or of which only the client's side is closed. To be gone through without an `await`. */
  *list(): Generator<AcceptedConnection, void> {
    const { getpeername, getsockopt } = this.#libc.symbols;
    const [address, info] = [this.#address, this.#info];
    const descriptors = this.#descriptors();
    for (let fd = 0; fd < descriptors; fd++) {
      if (!this.#isOurs(fd)) continue;
      if (getpeername(fd, address, this.#sizeOf(address)) !== 0) continue;
      const client = readName(address);
      if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, this.#sizeOf(info)) !== 0) continue;
      const state = info.getUint8(0);
      if (state !== TCP_ESTABLISHED && state !== TCP_CLOSE_WAIT) continue;
      const ackedBytes = info.getBigUint64(ACKED_BYTES_AT, true);
      yield { fd, client, hasLeft: state === TCP_CLOSE_WAIT, ackedBytes };
    }
  }

  /** Whoever reads or writes it finds its end, and closes it. */
  breakOff({ fd }: AcceptedConnection): void {
    this.#libc.symbols.shutdown(fd, SHUT_RDWR);
  }

  close(): void {
    this.#status.close();
    this.#libc.close();
  }

  /** No descriptor has this number, or a higher one. */
  #descriptors(): number {
    this.#status.seekSync(0, Deno.SeekMode.Start);
    const bytes = this.#status.readSync(this.#text) ?? 0;
    const [, slots] = /^FDSize:\s*(\d+)/m.exec(new TextDecoder().decode(this.#text.subarray(0, bytes))) ?? [];
    return Number(slots ?? 0);
  }

  #isOurs(fd: number): boolean {
    const address = this.#address;
    if (this.#libc.symbols.getsockname(fd, address, this.#sizeOf(address)) !== 0) return false;
    const family = address.getUint16(0, true);
    if (family !== AF_INET && family !== AF_INET6 || address.getUint16(2) !== this.#port) return false;
    return this.#isAnywhere || readName(address) === this.#server;
  }

  /** Where the system reads how much it may write, and writes how much it has written. */
  #sizeOf({ byteLength }: ArrayBufferView): Uint32Array<ArrayBuffer> {
    this.#size[0] = byteLength;
    return this.#size;
  }
}

/** The same text for the same address, however it was written. */
export function nameOf({ hostname, port }: Pick<Deno.NetAddr, "hostname" | "port">): string {
  return `${hostname.includes(":") ? new URL(`http://[${hostname}]`).hostname : hostname}:${port}`;
}

/** The same of a `struct sockaddr_in` or `sockaddr_in6`. */
function readName(address: DataView): string {
  const port = address.getUint16(2);
  if (address.getUint16(0, true) === AF_INET) {
    return `${address.getUint8(4)}.${address.getUint8(5)}.${address.getUint8(6)}.${address.getUint8(7)}:${port}`;
  }
  const groups = Array.from({ length: 8 }, (_, group) => address.getUint16(8 + 2 * group).toString(16));
  return nameOf({ hostname: groups.join(":"), port });
}
