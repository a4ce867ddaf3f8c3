/** Connections on which no request comes, and those that only look as if none came, on real sockets. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { startFakeUpstream } from "../support/fake_upstream.ts";
import { MODELS, type OpenGateway, openGateway, requestFor, send } from "./open_gateway.ts";

/** Where Linux does not tell, connections stay as they are. */
const ignore = Deno.build.os !== "linux";

/** A request has to come within 5 looks at the connections, the next one within 10. */
const SOON = { requestTimeoutMs: 50, idleTimeoutMs: 50 };
/** Far beyond a slow and busy machine, and short of hanging. */
const DEADLINE_MS = 120_000;

const UNFINISHED = "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
const HEALTH = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEALTHY = /"status":"ok".*\}$/;

/** How a client begins that speaks HTTP/2 from the start, with no wish of its own. */
const HTTP2 = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${http2Frame(4, 0, 0, "")}`;

/** No length in it is above 127, so that all of it is ASCII. */
function http2Get(stream: number, path: string): string {
  const fields = [[":method", "GET"], [":scheme", "http"], [":path", path], ["host", "localhost"]] as const;
  const texts = fields.map(([name, value]) =>
    ["\0", String.fromCharCode(name.length), name, String.fromCharCode(value.length), value].join("")
  );
  return http2Frame(1, 5, stream, texts.join(""));
}

function http2Frame(type: number, flags: number, stream: number, payload: string): string {
  return String.fromCharCode(0, 0, payload.length, type, flags, 0, 0, 0, stream) + payload;
}

/** A client that writes what it likes, when it likes. */
class Client implements Disposable {
  readonly #socket: Deno.TcpConn;
  readonly #pieces: ReadableStreamDefaultReader<string>;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    this.#pieces = socket.readable.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async of({ url }: Pick<OpenGateway, "url">): Promise<Client> {
    const { hostname, port } = new URL(url);
    return new Client(await Deno.connect({ hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port) }));
  }

  async write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    } catch {
      // The connection has been ended already; what is read tells.
    }
  }

  /** Writes a letter now and then until the other side has closed the connection; what that had said until then. */
  async dribble(): Promise<string> {
    const end = this.rest();
    let hasEnded = false;
    end.then(() => hasEnded = true);
    while (!hasEnded) {
      await this.write("x");
      await pause(5);
    }
    return await end;
  }

  /** Sends a request and reads what comes until it has said this. */
  async ask(request: string, until: string | RegExp): Promise<string> {
    await this.write(request);
    let text = "";
    while (!text.match(until)) {
      const { done, value } = await this.#pieces.read();
      ok(!done, `The connection ended after ${JSON.stringify(text)}`);
      text += value;
    }
    return text;
  }

  /** What is said until the other side closes the connection. */
  async rest(): Promise<string> {
    let text = "";
    try {
      for (let piece = await this.#pieces.read(); !piece.done; piece = await this.#pieces.read()) text += piece.value;
    } catch {
      // It was reset: bytes of ours had come too late.
    }
    return text;
  }

  [Symbol.dispose](): void {
    this.#pieces.cancel().catch(() => {});
    try {
      this.#socket.close();
    } catch {
      // It is closed.
    }
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** How many descriptors of this process are the gateway's ends of connections. */
async function heldDescriptors({ url }: Pick<OpenGateway, "url">): Promise<number> {
  const port = Number(new URL(url).port).toString(16).padStart(4, "0").toUpperCase();
  const tables = await Promise.all(["tcp", "tcp6"].map((name) => Deno.readTextFile(`/proc/self/net/${name}`)));
  const rows = tables.flatMap((table) => table.split("\n")).map((line) => line.trim().split(/\s+/));
  const inodes = new Set(
    rows.filter(([, local = "", remote = ""]) => local.endsWith(`:${port}`) && !remote.endsWith(":0000"))
      .map((row) => `socket:[${row[9]}]`),
  );
  const links = Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      // It was the folder's own.
      return "";
    }
  });
  return links.filter((link) => inodes.has(link)).length;
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = Date.now() + DEADLINE_MS;
  while (!await isSo()) {
    ok(Date.now() < endMs, `Waited in vain until ${what}`);
    await pause(10);
  }
}

/**
 * Resolves when a connection that is opened now, brings a request and then nothing has been ended: whatever was as quiet
 * as this one has been ended, too.
 */
async function idleConnectionIsEnded(gateway: OpenGateway): Promise<void> {
  using idle = await Client.of(gateway);
  await idle.ask(HEALTH, HEALTHY);
  equal(await idle.rest(), "");
}

const logs = (gateway: OpenGateway) => gateway.eventsOf("log").map(({ content }) => content);

for (const host of ["127.0.0.1", "::1", "0.0.0.0", "::"]) {
  Deno.test({
    name: `a connection to ${host} whose first request does not come, or never ends its head, is ended`,
    ignore,
    fn: async () => {
      await using gateway = await openGateway("http://127.0.0.1:9", { ...SOON, host, token: "token-1" });
      const url = gateway.url.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
      using silent = await Client.of({ url });
      using slow = await Client.of({ url });
      await slow.write(UNFINISHED);
      deepEqual(await Promise.all([silent.rest(), slow.dribble()]), ["", ""]);
      await until("no descriptor is left", async () => await heldDescriptors(gateway) === 0);
      const told = logs(gateway);
      for (const content of told) match(content, /^\d connections? w.* ended: no request had come after 0\.05 s$/);
      equal(told.reduce((sum, content) => sum + parseInt(content), 0), 2);
    },
  });
}

Deno.test({
  name: "two hundred slow clients at once are ended, and others are served meanwhile and afterwards",
  ignore,
  fn: async () => {
    await using upstream = startFakeUpstream();
    await using gateway = await openGateway(upstream.url, SOON);
    const clients = await Promise.all(Array.from({ length: 200 }, () => Client.of(gateway)));
    try {
      const ends = clients.map(async (client, index) => {
        if (index % 2 === 0) await client.write(UNFINISHED);
        return index % 4 === 0 ? await client.dribble() : await client.rest();
      });
      const replies = await Promise.all(Array.from({ length: 10 }, () => send(gateway.url, "anthropic")));
      deepEqual(await Promise.all(ends), clients.map(() => ""));
      for (const reply of replies) equal(reply.status, 200, await reply.text());
      using another = await Client.of(gateway);
      await another.ask(HEALTH, HEALTHY);
      await until("all descriptors are free", async () => await heldDescriptors(gateway) === 0);
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  },
});

Deno.test({
  name: "a connection that brings a request now and then stays, even when it rests for longer than a head may take",
  ignore,
  fn: async () => {
    await using gateway = await openGateway("http://127.0.0.1:9", { requestTimeoutMs: 50 });
    using client = await Client.of(gateway);
    for (let round = 0; round < 3; round++) {
      await client.ask(HEALTH, HEALTHY);
      using silent = await Client.of(gateway);
      equal(await silent.rest(), "");
    }
    await client.ask(HEALTH, HEALTHY);
    equal(await heldDescriptors(gateway), 1);
  },
});

Deno.test({
  name: "a connection on which nothing more comes, or only half a head, is ended after a while without a word",
  ignore,
  fn: async () => {
    await using gateway = await openGateway("http://127.0.0.1:9", SOON);
    using idle = await Client.of(gateway);
    using slow = await Client.of(gateway);
    await Promise.all([idle, slow].map((client) => client.ask(HEALTH, HEALTHY)));
    await slow.write(UNFINISHED);
    deepEqual(await Promise.all([idle.rest(), slow.dribble()]), ["", ""]);
    await until("no descriptor is left", async () => await heldDescriptors(gateway) === 0);
    deepEqual(logs(gateway), []);
  },
});

// The clock of all other deadlines stands still, so that nothing but the connections' own could end a call.
const STOPPED = { requestTimeoutMs: 300, idleTimeoutMs: 300, monotonicMs: () => 0 };

for (const streamed of [false, true]) {
  Deno.test({
    name: `a call that waits for the upstream to ${streamed ? "go on with a stream" : "answer"} keeps its connection`,
    ignore,
    fn: async () => {
      const goOn = Promise.withResolvers<void>();
      await using upstream = startFakeUpstream(() =>
        streamed
          ? { beforePiece: (index) => index === 2 ? goOn.promise : undefined }
          : { beforeHead: () => goOn.promise }
      );
      await using gateway = await openGateway(upstream.url, STOPPED);
      const asking = send(gateway.url, "anthropic", { streamed });
      await upstream.requested(1);
      if (streamed) await asking;
      await idleConnectionIsEnded(gateway);
      equal(await heldDescriptors(gateway), 1);
      goOn.resolve();
      const reply = await asking;
      match(await reply.text(), streamed ? /message_stop/ : /forty-two/);
      await gateway.stated("model.answered", 1);
      deepEqual(gateway.rows().map(({ outcome }) => outcome), ["answered"]);
    },
  });
}

Deno.test({
  name: "a call that waits for its turn keeps its connection",
  ignore,
  fn: async () => {
    const goOn = Promise.withResolvers<void>();
    await using upstream = startFakeUpstream((_, index) => index === 0 ? { beforeHead: () => goOn.promise } : {});
    await using gateway = await openGateway(upstream.url, { ...STOPPED, rates: [{ concurrency: 1 }] });
    const first = send(gateway.url, "anthropic");
    await upstream.requested(1);
    const second = send(gateway.url, "openai_chat");
    await gateway.stated("rate.waiting", 1);
    await idleConnectionIsEnded(gateway);
    goOn.resolve();
    for (const reply of await Promise.all([first, second])) equal(reply.status, 200, await reply.text());
  },
});

Deno.test({
  name: "requests for a list of models keep their connection while the upstream thinks",
  ignore,
  fn: async () => {
    const goOn = Promise.withResolvers<void>();
    await using upstream = startFakeUpstream(() => ({ beforeHead: () => goOn.promise }));
    await using gateway = await openGateway(upstream.url, STOPPED);
    const asking = fetch(`${gateway.url}/v1/models`);
    await upstream.requested(1);
    await idleConnectionIsEnded(gateway);
    goOn.resolve();
    const reply = await asking;
    equal(reply.status, 200, await reply.text());
  },
});

Deno.test({
  name: "requests that share a connection (HTTP/2) keep it as long as one of them is under way",
  ignore,
  fn: async () => {
    const goOn = Promise.withResolvers<void>();
    await using upstream = startFakeUpstream(() => ({ beforeHead: () => goOn.promise }));
    await using gateway = await openGateway(upstream.url, STOPPED);
    using client = await Client.of(gateway);
    await client.write(HTTP2 + http2Get(1, "/v1/models"));
    await upstream.requested(1);
    await client.ask(http2Get(3, "/health"), /"status":"ok"/);
    await idleConnectionIsEnded(gateway);
    goOn.resolve();
    match(await client.rest(), /"id":"a-model"/);
  },
});

Deno.test({
  name: "a body that dribbles is answered with 408, and its connection is ended",
  ignore,
  fn: async () => {
    await using gateway = await openGateway("http://127.0.0.1:9", SOON);
    using slow = await Client.of(gateway);
    await slow.write("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
    match(await slow.dribble(), /^HTTP\/1\.1 408 [^]*request_timeout/);
    await until("no descriptor is left", async () => await heldDescriptors(gateway) === 0);
  },
});

Deno.test({
  name: "a reply that is taken slowly keeps its connection, one that is not taken does not",
  ignore,
  fn: async () => {
    // Far more than the system takes off the gateway's hands.
    const text = "The answer is forty-two. ".repeat(1_000_000);
    await using upstream = startFakeUpstream(() => ({ text }));
    await using gateway = await openGateway(upstream.url, { ...STOPPED, requestTimeoutMs: 100, idleTimeoutMs: 100 });
    const { path, body, headers } = requestFor("anthropic");
    const lines = Object.entries({ ...headers, host: "localhost", "content-length": String(body.length + 2) })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    // The snowman has three bytes.
    const request = `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
    const { hostname, port } = new URL(gateway.url);
    using taken = await Deno.connect({ hostname, port: Number(port) });
    using ignored = await Deno.connect({ hostname, port: Number(port) });
    const bytes = new TextEncoder().encode(request);
    for (const socket of [taken, ignored]) equal(await socket.write(bytes), bytes.length);
    await gateway.stated("model.answered", 2);
    const buffer = new Uint8Array(256 * 1024);
    let got = 0;
    const take = async (bytes: number) => {
      for (const end = got + bytes; got < end;) {
        const count = await taken.read(buffer);
        ok(count !== null, `It ended after ${got} bytes`);
        got += count;
      }
    };
    for (let round = 0; round < 4; round++) {
      await take(2_000_000);
      // Half as long as a connection may rest.
      using silent = await Client.of(gateway);
      equal(await silent.rest(), "");
    }
    await take(text.length - got);
    await until("both connections are ended", async () => await heldDescriptors(gateway) === 0);
    let rest = 0;
    for (let count = await ignored.read(buffer); count !== null; count = await ignored.read(buffer)) rest += count;
    ok(rest < text.length, `${rest} bytes`);
  },
});

Deno.test({
  name: "a client that leaves before the reply is missed over IPv6 as well",
  ignore,
  fn: async () => {
    await using upstream = startFakeUpstream(() => ({ fault: { kind: "hang" } }));
    await using gateway = await openGateway(upstream.url, { host: "::1" });
    const client = await Client.of(gateway);
    const body = JSON.stringify({ model: MODELS.anthropic, max_tokens: 9, messages: [], note: "x".repeat(4000) });
    await client.write(`POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n`);
    await client.write(body);
    await upstream.requested(1);
    client[Symbol.dispose]();
    equal(await upstream.requests[0]!.ended, "client_gone");
    await gateway.stated("model.answered", 1);
    deepEqual(gateway.rows().map(({ outcome }) => outcome), ["client_gone"]);
  },
});
