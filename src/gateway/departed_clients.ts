/** Notices clients that have gone while they wait for the head of a reply, where the runtime's server does not. */

/** How long a client's departure may go unnoticed. */
const LOOK_MS = 1000;
const TCP_TABLE = "/proc/self/net/tcp";
/** The other side has closed the connection, and we have not. */
const CLOSE_WAIT = "08";

/**
 * Some versions of the runtime tell a request's signal of a client that left only when its reply has begun. Linux knows
 * earlier. Elsewhere, and for IPv6, nothing is noticed, and a call goes on to its end or its deadline.
 */
export class DepartedClients {
  /** By connection, which can have several requests (HTTP/2). */
  readonly #waiting = new Map<string, Set<() => void>>();
  #server: string | undefined;
  #isLooking = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Calls `onGone` when the client is seen to have gone. Returns the way to stop looking. */
  watch(client: Deno.NetAddr, onGone: () => void): () => void {
    const connection = inTable(client);
    if (connection === undefined || this.#server === undefined) return () => {};
    const waiting = this.#waiting.get(connection) ?? new Set();
    this.#waiting.set(connection, waiting.add(onGone));
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    return () => {
      waiting.delete(onGone);
      // The address may have a new owner by now.
      if (waiting.size === 0 && this.#waiting.get(connection) === waiting) this.#forget(connection);
    };
  }

  /** @param address where the server listens */
  listensOn({ port }: Deno.NetAddr): void {
    this.#server = Deno.build.os === "linux" ? inHex(port) : undefined;
  }

  #forget(connection: string): void {
    this.#waiting.delete(connection);
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Not synchronously: the system takes milliseconds to make the table. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const table = await Deno.readTextFile(TCP_TABLE).catch(() => "");
    this.#isLooking = false;
    for (const line of table.split("\n")) {
      const [, local = "", client = "", state] = line.trim().split(/\s+/, 4);
      if (state !== CLOSE_WAIT || !local.endsWith(`:${this.#server}`)) continue;
      const gone = this.#waiting.get(client);
      if (gone === undefined) continue;
      this.#forget(client);
      for (const onGone of gone) onGone();
    }
  }
}

/** `127.0.0.1` and 8045 as `0100007F:1F6D`; undefined for what is no IPv4 address. */
function inTable({ hostname, port }: Deno.NetAddr): string | undefined {
  const bytes = hostname.split(".").map(Number);
  if (bytes.length !== 4 || !bytes.every((byte) => Number.isInteger(byte))) return undefined;
  const address = bytes.reverse().map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();
  return `${address}:${inHex(port)}`;
}

function inHex(port: number): string {
  return port.toString(16).padStart(4, "0").toUpperCase();
}
