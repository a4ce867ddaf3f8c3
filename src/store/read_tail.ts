/** Reads the end of a file that may be long, and may be growing. */

/** Whole lines, at most `lines` of those in the last `maxBytes`; "" when there is no such file. */
export async function readTail(path: string, options: {
  readonly lines: number;
  readonly maxBytes: number;
}): Promise<string> {
  const { lines, maxBytes } = options;
  if (lines <= 0) return "";
  try {
    if (!(await Deno.lstat(path)).isFile) return "";
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const start = Math.max(size - maxBytes, 0);
    await file.seek(start, Deno.SeekMode.Start);
    const buffer = new Uint8Array(size - start);
    let length = 0;
    while (length < buffer.length) {
      const read = await file.read(buffer.subarray(length));
      if (read === null) break;
      length += read;
    }
    const text = new TextDecoder().decode(buffer.subarray(0, length));
    const all = text.replace(/\n$/, "").split("\n");
    // What is before it was left out.
    if (start > 0 && all.length > 1) all.shift();
    return all.slice(-lines).join("\n");
  } catch {
    return "";
  }
}
