/** Reads a file of git's own that an agent may have replaced by anything: a pipe, a link, a flood. */

const MAX_BYTES = 64 * 1024;

/** Without the line end; undefined when there is no such file. */
export async function readSmallFile(path: string): Promise<string | undefined> {
  const found = await Deno.lstat(path).catch(() => undefined);
  if (found === undefined || !found.isFile || found.size > MAX_BYTES) return undefined;
  return (await Deno.readTextFile(path).catch(() => undefined))?.replace(/\n$/, "");
}
