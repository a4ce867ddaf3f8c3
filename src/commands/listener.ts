/** Listens for HTTP at one address, also after the system has taken the means for it away for a while. */
import { Failure, messageOf } from "../failure.ts";

/** For those who read slowly, or nothing at all. */
export const LAST_WORDS_MS = 1000;
const LISTEN_AGAIN_MS = 1000;

export interface ListenerHooks {
  answer(request: Request, client: Deno.NetAddr): Response | Promise<Response>;
  /** Nobody can connect for the moment. */
  onFailure(error: unknown): void;
}

export class Listener {
  readonly #hostname: string;
  readonly #hooks: ListenerHooks;
  readonly #cut = new AbortController();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #isClosing = false;

  /** @param hostname without brackets */
  constructor(hostname: string, hooks: ListenerHooks) {
    this.#hostname = hostname;
    this.#hooks = hooks;
  }

  get address(): Deno.NetAddr {
    return this.#server!.addr;
  }

  get url(): string {
    const { hostname, port } = this.address;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  /**
   * Throws a `Failure` when the address cannot be had.
   *
   * @param options.what for its text, as in "Cannot serve the session on 127.0.0.1:8000"
   * @param options.orAnyPort when another program listens there
   */
  listen(port: number, { what, orAnyPort }: { readonly what: string; readonly orAnyPort: boolean }): void {
    try {
      this.#server = this.#serve(port);
    } catch (cause) {
      const inUse = cause instanceof Deno.errors.AddrInUse;
      if (inUse && orAnyPort) return this.listen(0, { what, orAnyPort: false });
      const finding = inUse ? "another program listens there" : messageOf(cause);
      throw new Failure("environment", `Cannot serve ${what} on ${this.#hostname}:${port}: ${finding}`, {
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
    }, (request, { remoteAddr }) => this.#hooks.answer(request, remoteAddr));
    server.finished.catch((error) => this.#listenAgain(error, server.addr.port));
    return server;
  }

  /** Without file descriptors the runtime gives up listening. Streams that are open go on. */
  async #listenAgain(error: unknown, port: number): Promise<void> {
    if (this.#isClosing) return;
    this.#hooks.onFailure(error);
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

/** Whether the work was done in time. */
export async function withDeadline(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), ms));
  const isDone = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}
