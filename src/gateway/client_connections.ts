/** Ends connections on which no request comes, and notices clients that have gone, where the runtime's server does not. */
import { AcceptedConnections, nameOf } from "./accepted_connections.ts";

/** How long a client's departure may go unnoticed, and by how much a deadline may be passed. */
const LOOK_MS = 1000;

export interface ClientConnectionsOptions {
  /** A connection must have brought its first request, all of the head, after this long. */
  readonly requestTimeoutMs: number;
  /** So long nothing may happen on a connection after a request. */
  readonly idleTimeoutMs: number;
  /** Told how many connections were ended because no request had come on them. */
  onLate(count: number): void;
}

/** What is known of a connection from the requests that come on it: several at once with HTTP/2. */
export class ClientConnection {
  /** Requests that have come so far. */
  requests = 0;
  /** Requests under way. */
  held = 0;
  readonly watchers = new Set<() => void>();

  /** A request has come on it, which is under way until the function that this returns is called. */
  hold(): () => void {
    this.requests++;
    this.held++;
    return () => void this.held--;
  }

  /** Calls `onGone` when the client is seen to have gone. Returns the way to stop looking. */
  watch(onGone: () => void): () => void {
    this.watchers.add(onGone);
    return () => void this.watchers.delete(onGone);
  }
}

const NO_REQUEST = new ClientConnection();

/** What a look found on a connection. */
interface Finding {
  readonly client: string;
  readonly requests: number;
  readonly ackedBytes: bigint;
  /** So many looks in a row, up to this one, found nothing under way and nothing new. */
  readonly quietLooks: number;
}

/**
 * The runtime's server waits for ever for the head of a request, and each connection costs a descriptor. Some versions
 * of it tell a request's signal of a client that left only when its reply has begun. Linux knows of both. Elsewhere
 * nothing is noticed: such connections stay, and a call goes on to its end or its deadline.
 */
export class ClientConnections {
  readonly #options: ClientConnectionsOptions;
  readonly #periodMs: number;
  readonly #clients = new Map<string, ClientConnection>();
  /** By descriptor. */
  #findings = new Map<number, Finding>();
  #accepted: AcceptedConnections | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ClientConnectionsOptions) {
    this.#options = options;
    this.#periodMs = Math.min(LOOK_MS, Math.max(Math.ceil(options.requestTimeoutMs / 4), 10));
  }

  /** @param server where connections come in */
  listensOn(server: Deno.NetAddr): void {
    try {
      this.#accepted = new AcceptedConnections(server);
    } catch {
      return;
    }
    this.#timer = setInterval(() => this.#look(), this.#periodMs);
  }

  /** The one that a request came on. */
  of(client: Deno.NetAddr): ClientConnection {
    const name = nameOf(client);
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const connection = new ClientConnection();
    // Without looks nothing would ever be forgotten.
    if (this.#accepted !== undefined) this.#clients.set(name, connection);
    return connection;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#accepted?.close();
    this.#accepted = undefined;
  }

  /** Quiet time is counted in looks: a process that was stopped, or busy, has not given its clients time to be heard. */
  #look(): void {
    const { requestTimeoutMs, idleTimeoutMs, onLate } = this.#options;
    const accepted = this.#accepted;
    // On a busy machine some runtimes call once more after the timer was cleared.
    if (accepted === undefined) return;
    const findings = new Map<number, Finding>();
    const present = new Set<string>();
    let late = 0;
    for (const connection of accepted.list()) {
      const { fd, client, hasLeft, ackedBytes } = connection;
      present.add(client);
      const { requests, held, watchers } = this.#clients.get(client) ?? NO_REQUEST;
      if (hasLeft) { for (const onGone of watchers) onGone(); }
      const last = this.#findings.get(fd);
      const isNew = last?.client !== client || last.requests !== requests || last.ackedBytes !== ackedBytes;
      const quietLooks = isNew || held > 0 ? 0 : last.quietLooks + 1;
      findings.set(fd, { client, requests, ackedBytes, quietLooks });
      if (quietLooks * this.#periodMs < (requests === 0 ? requestTimeoutMs : idleTimeoutMs)) continue;
      accepted.breakOff(connection);
      if (requests === 0) late++;
    }
    this.#findings = findings;
    for (const [name, { held }] of this.#clients) if (held === 0 && !present.has(name)) this.#clients.delete(name);
    if (late > 0) onLate(late);
  }
}
