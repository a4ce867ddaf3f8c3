/** Reads a small text file that a person wrote. */
import { Failure, messageOf } from "../failure.ts";

/** Far above any real file; keeps a mistyped path from filling the memory. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * The text of the file without its byte order mark, or undefined when nothing is there. Throws a `Failure` when the path
 * is not a regular file (a pipe could keep the run waiting for ever), cannot be read, is larger than 4 MiB, or is not
 * UTF-8.
 */
export async function readConfigFile(path: string): Promise<string | undefined> {
  let bytes: Uint8Array;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile) {
      throw unreadable(
        "usage",
        path,
        `found ${info.isDirectory ? "a directory" : "something that is not a regular file"}`,
      );
    }
    if (info.size > MAX_BYTES) throw unreadable("usage", path, `found ${info.size} bytes, more than ${MAX_BYTES}`);
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (isMissing(error)) return undefined;
    throw unreadable("environment", path, messageOf(error), error);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw unreadable("usage", path, "found bytes that are not UTF-8", error);
  }
}

/** A path that goes on below a file (`ENOTDIR`) leads nowhere, too. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    (error instanceof Error && "code" in error && error.code === "ENOTDIR");
}

function unreadable(kind: "usage" | "environment", path: string, finding: string, cause?: unknown): Failure {
  return new Failure(kind, `Cannot read ${JSON.stringify(path)}: need a text file in UTF-8, ${finding}`, {
    hints: [`Check the file with \`ls -l ${JSON.stringify(path)}\``],
    cause,
  });
}
