/** Reads a body in pieces that hold no more memory than they need. */

const BUFFER_BYTES = 16 * 1024;

export interface PieceReader {
  /** The next piece, which is the caller's; undefined: there is none, ever. Rejects when the body breaks off. */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Ends a read that waits. Never rejects. */
  cancel(reason: unknown): Promise<void>;
}

/** Takes the lock of the stream. */
export function createPieceReader(stream: ReadableStream<Uint8Array>): PieceReader {
  let reader: ReadableStreamBYOBReader;
  try {
    // Left to itself the runtime takes 64 KiB for every piece, and soon stops everything to collect them.
    reader = stream.getReader({ mode: "byob" });
  } catch {
    return createPlainReader(stream);
  }
  let buffer = new ArrayBuffer(BUFFER_BYTES);
  return {
    async read() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return undefined;
      buffer = value.buffer;
      return value.slice();
    },
    cancel: (reason) => reader.cancel(reason).catch(() => {}),
  };
}

/** For streams that cannot fill a buffer: those of recordings and scripts, and what was decompressed. */
function createPlainReader(stream: ReadableStream<Uint8Array>): PieceReader {
  const reader = stream.getReader();
  return {
    async read() {
      const { done, value } = await reader.read();
      return done ? undefined : value.slice();
    },
    cancel: (reason) => reader.cancel(reason).catch(() => {}),
  };
}
