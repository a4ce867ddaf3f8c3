/** Finds the file that a program's name stands for. */

/** Where a shell looks without a PATH. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The path that a shell would run for this name. */
export function findProgram(name: string, path: string, cwd: string): string | undefined {
  const folders = name.includes("/") ? [""] : path.split(":").map((folder) => `${folder || "."}/`);
  for (const folder of folders) {
    const file = folder + name;
    const absolute = file.startsWith("/") ? file : `${cwd}/${file}`;
    try {
      const { isFile, mode } = Deno.statSync(absolute);
      if (isFile && (mode === null || (mode & 0o111) !== 0)) return absolute;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

let setsidPath: string | null | undefined;

/**
 * What to start `argv` by so that it gets a session of its own: the words to put before it, or none and `detached`.
 * Deno's `detached` alone would do, but copies our page tables for every command; the small program does not.
 */
export function inOwnSession(argv: readonly [string, ...string[]]): { argv: [string, ...string[]]; detached: boolean } {
  if (setsidPath === undefined) setsidPath = findProgram("setsid", DEFAULT_PATH, "/") ?? null;
  return setsidPath === null ? { argv: [...argv], detached: true } : { argv: [setsidPath, ...argv], detached: false };
}
