/**
 * Callers of models, as a program: takes an order as a line of JSON on stdin, and answers by a line on stdout. They write
 * to bare sockets, because a client that costs as much as what it measures would be the bottleneck.
 */
import { cpuUsage } from "node:process";
import { type Format, requestTo } from "./requests.ts";

export interface Order {
  readonly url: string;
  readonly format: Format;
  readonly key: string;
  /** Each has a connection of its own that stays open. */
  readonly callers: number;
  /** How long calls are made, or how many; a call that has begun is waited for. */
  readonly until: { readonly seconds: number } | { readonly calls: number };
  /** A caller rests for a random time up to this long before each of its calls: in step they would wait for each other. */
  readonly pauseMs: number;
}

export interface Measured {
  /** From the request to the first byte of the reply's body, one for each call that was answered with 200. */
  readonly firstByteMs: number[];
  /** From the request to the end of the reply. */
  readonly wholeMs: number[];
  readonly seconds: number;
  readonly failed: number;
  /** What went wrong first. */
  readonly failure?: string;
  /** The part of the time for which this program itself worked; near 1 it measures itself. */
  readonly busy: number;
}

class Connection {
  readonly #url: URL;
  #socket: Deno.TcpConn | undefined;
  readonly #bytes = new Uint8Array(256 * 1024);

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Throws when the reply is not a whole one with status 200; the next call makes a new connection then. */
  async call(request: Uint8Array): Promise<{ firstByteMs: number; wholeMs: number }> {
    try {
      return await this.#call(request);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #call(request: Uint8Array): Promise<{ firstByteMs: number; wholeMs: number }> {
    this.#socket ??= await this.#connect();
    const startedMs = performance.now();
    for (let sent = 0; sent < request.byteLength;) sent += await this.#socket.write(request.subarray(sent));
    let length = 0;
    let firstByteMs = 0;
    let head: Head | undefined;
    while (head === undefined || !isWhole(this.#bytes, length, head)) {
      const read = await this.#socket.read(this.#bytes.subarray(length));
      if (!read) throw new Error("the connection was closed, or the reply is too long");
      length += read;
      head ??= readHead(this.#bytes.subarray(0, length));
      if (firstByteMs === 0 && head !== undefined && length > head.bytes) firstByteMs = performance.now() - startedMs;
    }
    const wholeMs = performance.now() - startedMs;
    if (head.status !== 200) throw new Error(new TextDecoder().decode(this.#bytes.subarray(0, Math.min(length, 2000))));
    return { firstByteMs, wholeMs };
  }

  async #connect(): Promise<Deno.TcpConn> {
    const socket = await Deno.connect({ hostname: this.#url.hostname, port: Number(this.#url.port) });
    socket.setNoDelay(true);
    return socket;
  }
}

interface Head {
  readonly status: number;
  /** With the empty line at its end. */
  readonly bytes: number;
  /** Undefined: the body comes in chunks. */
  readonly bodyBytes: number | undefined;
}

const latin1 = new TextDecoder("latin1");

function readHead(bytes: Uint8Array): Head | undefined {
  const text = latin1.decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = /^content-length: *(\d+)$/im.exec(head)?.[1];
  return {
    status: Number(head.split(" ", 2)[1]),
    bytes: end + 4,
    bodyBytes: length === undefined ? undefined : Number(length),
  };
}

/** No reply here has a CR in what it says, so that the last chunk can be told by its bytes. */
const LAST_CHUNK = new TextEncoder().encode("\r\n0\r\n\r\n");

function isWhole(bytes: Uint8Array, length: number, head: Head): boolean {
  if (head.bodyBytes !== undefined) return length >= head.bytes + head.bodyBytes;
  const start = length - LAST_CHUNK.byteLength;
  return start >= head.bytes && LAST_CHUNK.every((byte, i) => bytes[start + i] === byte);
}

async function carryOut({ url, format, key, callers, until, pauseMs }: Order): Promise<Measured> {
  const request = requestTo(url, format, key);
  const firstByteMs: number[] = [];
  const wholeMs: number[] = [];
  let begun = 0;
  let failed = 0;
  let failure: string | undefined;
  const startedMs = performance.now();
  const isOver = () => "calls" in until ? begun >= until.calls : performance.now() - startedMs >= until.seconds * 1000;
  const cpuBefore = cpuUsage();
  await Promise.all(Array.from({ length: callers }, async () => {
    const connection = new Connection(url);
    while (true) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * pauseMs));
      if (isOver()) break;
      begun += 1;
      try {
        const times = await connection.call(request);
        firstByteMs.push(times.firstByteMs);
        wholeMs.push(times.wholeMs);
      } catch (error) {
        failed += 1;
        failure ??= (error as Error).message;
      }
    }
    connection.close();
  }));
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = cpuUsage(cpuBefore);
  return { firstByteMs, wholeMs, seconds, failed, failure, busy: (user + system) / 1e6 / seconds };
}

if (import.meta.main) {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const answer = new TextEncoder().encode(`${JSON.stringify(await carryOut(JSON.parse(line)))}\n`);
      for (let sent = 0; sent < answer.byteLength;) sent += Deno.stdout.writeSync(answer.subarray(sent));
    }
  }
}
