/** A client of a stream of events, which goes on where it was when the server dies. */

const AGAIN_MS = 50;

export class EventReader {
  /** Of all events that it was told of, in order. */
  readonly ids: number[] = [];
  /** Their data, for who wants it. */
  readonly data: string[] = [];
  readonly #leaving = new AbortController();
  readonly #ended: Promise<void>;
  #connections = 0;

  /** @param url named without what the client itself adds to it */
  constructor(url: () => string, { keepsData = false }: { readonly keepsData?: boolean } = {}) {
    this.#ended = this.#follow(url, keepsData);
  }

  /** How often it had to begin. */
  get connections(): number {
    return this.#connections;
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#ended;
  }

  async #follow(url: () => string, keepsData: boolean): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      try {
        const last = this.ids.at(-1);
        const headers: HeadersInit = last === undefined ? {} : { "last-event-id": `${last}` };
        const response = await fetch(`${url()}?since=-1`, { headers });
        this.#connections++;
        await this.#read(response.body!.getReader(), keepsData);
      } catch {
        // The server is gone, or we are.
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>, keepsData: boolean): Promise<void> {
    const { signal } = this.#leaving;
    // What is aborted is not always told to whoever waits for a piece of it.
    const leave = () => void reader.cancel().catch(() => {});
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const messages = (rest + decoder.decode(next.value, { stream: true })).split("\n\n");
        rest = messages.pop()!;
        for (const message of messages) this.#take(message, keepsData);
      }
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #take(message: string, keepsData: boolean): void {
    if (!message.startsWith("id: ") || message.includes("\nevent: snapshot\n")) return;
    this.ids.push(Number(message.slice(4, message.indexOf("\n"))));
    if (keepsData) this.data.push(message.slice(message.indexOf("\ndata: ") + 7));
  }
}

/** Asks for a stream and reads nothing of it. */
export async function connectSilently(url: string): Promise<Deno.TcpConn> {
  const { hostname, port, pathname, host } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET ${pathname}?since=-1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  return connection;
}
