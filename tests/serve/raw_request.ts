/** Requests as they are written, byte by byte: what `fetch` would put right, or refuse to send. */

export interface RawAnswer {
  /** 0: the connection was closed without one. */
  readonly status: number;
  readonly text: string;
}

/** One request on a connection of its own. Of an answer that does not end, what came until `enough` of it is there. */
export async function rawRequest(
  port: number,
  head: string,
  { body = [], enough = () => false }: {
    readonly body?: Iterable<string | Uint8Array<ArrayBuffer>>;
    readonly enough?: (text: string) => boolean;
  } = {},
): Promise<RawAnswer> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const encoder = new TextEncoder();
  const send = async () => {
    for (const piece of [head.replaceAll("\n", "\r\n") + "\r\n\r\n", ...body]) {
      const bytes = typeof piece === "string" ? encoder.encode(piece) : piece;
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    }
  };
  // A server that has refused the head need not take the body.
  const sent = send().catch(() => {});
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  try {
    while (!enough(text) && !isWhole(text)) {
      const length = await connection.read(buffer);
      if (length === null) break;
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  } catch {
    // Closed with bytes in it that nobody wanted.
  }
  connection.close();
  await sent;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}

/** Whether all is there that the head has told of. A server may leave the connection open for a body that never comes. */
function isWhole(text: string): boolean {
  const length = /^[^]*?\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  const body = text.indexOf("\r\n\r\n") + 4;
  return length !== undefined && body > 3 && new TextEncoder().encode(text.slice(body)).length >= Number(length);
}

export const CLOSE = "Connection: close";

/** A path as it is, with nothing taken out of it. */
export async function rawGet(port: number, path: string): Promise<RawAnswer> {
  return await rawRequest(port, `GET ${path} HTTP/1.1\nHost: 127.0.0.1:${port}\n${CLOSE}`);
}
