/** Somebody who takes messages, on a loopback socket, and answers as he is told. */
import "../../../support/direct_loopback.ts";

export interface Taken {
  readonly line: string;
  readonly type: string | null;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export class MessageTaker implements AsyncDisposable {
  readonly taken: Taken[] = [];
  /** The next ones; after them all are taken. `undefined`: nothing is ever answered. */
  readonly answers: (Response | undefined)[] = [];
  readonly #closing = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, signal: this.#closing.signal, onListen: () => {} };
    this.#server = Deno.serve(options, async (request) => {
      const { pathname } = new URL(request.url);
      this.taken.push({
        line: `${request.method} ${pathname}`,
        type: request.headers.get("content-type"),
        body: await request.json(),
      });
      if (this.answers.length === 0) return new Response("ok");
      return await (this.answers.shift() ?? new Promise<Response>((resolve) => {
        this.#closing.signal.addEventListener("abort", () => resolve(new Response()));
      }));
    });
  }

  get address(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#server.finished;
  }
}
