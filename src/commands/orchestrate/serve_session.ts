/** Serves a session over HTTP while it goes on. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { isLoopback, withoutBrackets } from "../../gateway/loopback.ts";
import type { LogFile } from "../../http/event_file.ts";
import type { Control } from "../../orchestrate/ports.ts";
import { showsPeers } from "../../process/connection_peer.ts";
import type { Io } from "../../terminal/io.ts";
import { refuseControl } from "./refuse_control.ts";
import type { OrchestrateOptions } from "./options.ts";
import { LOG_NAME, type SessionLog } from "./session_folder.ts";

export interface SessionServer {
  readonly url: string;
  /** Resolves when no connection is left; those who read get what is in the log first. */
  close(): Promise<void>;
}

/** The seed's. */
const DEFAULT_PORT = 8000;
/** For those who read slowly, or nothing at all. */
const LAST_WORDS_MS = 1000;
const LISTEN_AGAIN_MS = 1000;

/**
 * Undefined when no dashboard is wanted. Throws a `Failure` when the address cannot be had, or other machines could come
 * in without a token.
 */
export async function serveSession({ options, folder, log, take, io }: {
  readonly options: Pick<OrchestrateOptions, "dashboard" | "host" | "port" | "token">;
  readonly folder: string;
  readonly log: Pick<SessionLog, "state" | "bus" | "publish">;
  take(control: Control): void;
  readonly io: Pick<Io, "now">;
}): Promise<SessionServer | undefined> {
  const { dashboard, host, token } = options;
  if (!dashboard) return undefined;
  if (token === undefined && !isLoopback(host)) {
    throw new Failure("usage", `Cannot serve the session on ${host}: other machines need a token, found none`, {
      hints: ["Set a token: `export GOCORE_ORCHESTRATE_TOKEN=$(openssl rand -hex 24)`", "Or leave --host out"],
    });
  }
  const tell = (level: "warning" | "error", content: string) => log.publish({ type: "log", data: { level, content } });
  const { createSessionApp } = await import("../../http/session_app.ts");
  const { EventStreams } = await import("../../http/event_streams.ts");
  const file = openLogFile(join(folder, LOG_NAME));
  const streams = new EventStreams(file);
  const told = new Set<string>();
  let isShown = true;
  const app = createSessionApp({
    state: log.state,
    streams,
    take,
    token,
    refusalOf(client, command) {
      if (!isShown) return undefined;
      const refusal = refuseControl(client, { listening: listener.address, token, state: log.state });
      if (refusal === undefined) return undefined;
      const content = `${refusal.who} tried to control the session over HTTP (${command}), and was refused`;
      // Once: an agent could fill the log otherwise.
      if (!told.has(content)) tell("warning", content);
      told.add(content);
      return refusal.reason;
    },
    now: io.now,
    onError: (error) => void tell("error", `The dashboard failed: ${messageOf(error)}`),
  });
  const listener = new Listener(withoutBrackets(host), {
    answer: (request, client) => app.fetch(request, { client }),
    onFailure: (error) => void tell("error", `The dashboard takes no connection for the moment: ${messageOf(error)}`),
  });
  try {
    const wanted = options.port ?? DEFAULT_PORT;
    listener.listen(wanted, { orAnyPort: options.port === undefined });
    isShown = showsPeers(listener.address);
    if (wanted !== 0 && listener.address.port !== wanted) {
      await tell("warning", `Port ${wanted} is taken: the session is shown at ${listener.url}`);
    }
  } catch (error) {
    await streams.end();
    file.close();
    throw error;
  }
  const unsubscribe = log.bus.subscribe(() => streams.notice());
  return {
    url: listener.url,
    async close() {
      unsubscribe();
      const isIdle = await withDeadline(streams.end(), LAST_WORDS_MS);
      await listener.close({ isIdle });
      file.close();
    },
  };
}

class Listener {
  readonly #hostname: string;
  readonly #answer: (request: Request, client: Deno.NetAddr) => Response | Promise<Response>;
  readonly #onFailure: (error: unknown) => void;
  readonly #cut = new AbortController();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #isClosing = false;

  constructor(hostname: string, hooks: {
    answer(request: Request, client: Deno.NetAddr): Response | Promise<Response>;
    onFailure(error: unknown): void;
  }) {
    this.#hostname = hostname;
    this.#answer = hooks.answer;
    this.#onFailure = hooks.onFailure;
  }

  get address(): Deno.NetAddr {
    return this.#server!.addr;
  }

  get url(): string {
    const { hostname, port } = this.address;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  /** Throws a `Failure`. */
  listen(port: number, { orAnyPort }: { readonly orAnyPort: boolean }): void {
    try {
      this.#server = this.#serve(port);
    } catch (cause) {
      const inUse = cause instanceof Deno.errors.AddrInUse;
      if (inUse && orAnyPort) return this.listen(0, { orAnyPort: false });
      const finding = inUse ? "another program listens there" : messageOf(cause);
      throw new Failure("environment", `Cannot serve the session on ${this.#hostname}:${port}: ${finding}`, {
        hints: inUse ? ["Choose another port, for example `--port 0` for any that is free"] : [],
        cause,
      });
    }
  }

  /** @param options.isIdle whether nobody is left who has to be cut off */
  async close({ isIdle }: { readonly isIdle: boolean }): Promise<void> {
    this.#isClosing = true;
    const server = this.#server!;
    // A server that was told to shut down cannot be aborted any more.
    if (isIdle) server.shutdown().catch(() => {});
    else this.#cut.abort();
    await withDeadline(server.finished.catch(() => {}), LAST_WORDS_MS);
  }

  #serve(port: number): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve({
      hostname: this.#hostname,
      port,
      signal: this.#cut.signal,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    }, (request, { remoteAddr }) => this.#answer(request, remoteAddr));
    server.finished.catch((error) => this.#listenAgain(error, server.addr.port));
    return server;
  }

  /** Without file descriptors the runtime gives up listening. Streams that are open go on. */
  async #listenAgain(error: unknown, port: number): Promise<void> {
    if (this.#isClosing) return;
    this.#onFailure(error);
    while (!this.#isClosing) {
      await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN_MS));
      try {
        if (!this.#isClosing) this.#server = this.#serve(port);
        return;
      } catch {
        // Whoever holds the descriptors, or the port, still does.
      }
    }
  }
}

/** Synchronous: reads of several readers do not mix, and nobody waits for what is there already. */
function openLogFile(path: string): LogFile & { close(): void } {
  const file = Deno.openSync(path);
  return {
    read(offset, into) {
      file.seekSync(offset, Deno.SeekMode.Start);
      let length = 0;
      while (length < into.length) {
        const more = file.readSync(into.subarray(length));
        if (more === null) break;
        length += more;
      }
      return length;
    },
    size: () => file.statSync().size,
    close: () => file.close(),
  };
}

/** Whether the work was done in time. */
async function withDeadline(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), ms));
  const isDone = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}
