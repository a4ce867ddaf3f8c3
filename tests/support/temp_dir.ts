/** A folder for one test. */

/** Gives `work` an empty folder, and takes it away whatever happens. */
export async function inTempDir(work: (dir: string) => void | Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The names in a folder, sorted. */
export const namesIn = (dir: string): string[] => Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
