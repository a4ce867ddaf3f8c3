/** Asks a server the same again and again over connections that stay, as fast as it answers. */

const HEAD_END = new TextEncoder().encode("\r\n\r\n");
const LENGTH = /\r\ncontent-length: (\d+)/i;

/** Requests per second. Throws when an answer is not 200. */
export async function keepAsking(
  url: string,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<number> {
  const { host, port, pathname } = new URL(url);
  const request = new TextEncoder().encode(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const startMs = performance.now();
  const untilMs = startMs + 1000 * seconds;
  const counts = await Promise.all(Array.from({ length: connections }, async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    connection.setNoDelay();
    const buffer = new Uint8Array(256 * 1024);
    let count = 0;
    for (; performance.now() < untilMs; count++) {
      await connection.write(request);
      await readAnswer(connection, buffer);
    }
    return count;
  }));
  return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - startMs) / 1000);
}

async function readAnswer(connection: Deno.TcpConn, buffer: Uint8Array<ArrayBuffer>): Promise<void> {
  let wanted = Infinity;
  for (let length = 0; length < wanted;) {
    const read = await connection.read(buffer.subarray(length));
    if (read === null) throw new Error("The server has closed the connection");
    length += read;
    if (wanted !== Infinity) continue;
    const end = indexOf(buffer.subarray(0, length), HEAD_END);
    if (end === -1) continue;
    const head = new TextDecoder().decode(buffer.subarray(0, end));
    const bytes = LENGTH.exec(head)?.[1];
    if (!head.startsWith("HTTP/1.1 200") || bytes === undefined) throw new Error(`The server has answered ${head}`);
    wanted = end + HEAD_END.length + Number(bytes);
  }
}

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = bytes.indexOf(part[0]!); at !== -1; at = bytes.indexOf(part[0]!, at + 1)) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
