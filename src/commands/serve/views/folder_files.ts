/** Files below a folder, a part of which agents write: no link is followed, and nothing but plain files is read. */
import { join } from "node:path";
import type { FileList } from "../../../http/schemas.ts";
import { Refused } from "../../../http/ports.ts";

const MAX_LISTED = 5000;
const MAX_DEPTH = 16;
const MAX_PATH_CHARACTERS = 4096;
/** A file that is replaced is another one the next time. */
const ATTEMPTS = 10;
const OPEN_FILES = "/proc/self/fd";

/** Sorted by path; of very many those that are not deep. What git keeps for itself is left out. */
export async function listFiles(folder: string): Promise<FileList> {
  const files: FileList["files"] = [];
  let level = [""];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const deeper: string[] = [];
    for (const parent of level) {
      for (const { name, isFile, isDirectory } of await entriesOf(join(folder, parent))) {
        if (files.length >= MAX_LISTED) break;
        if (isHidden(name)) continue;
        const path = parent === "" ? name : `${parent}/${name}`;
        if (isDirectory) deeper.push(path);
        if (!isFile) continue;
        const found = await Deno.lstat(join(folder, path)).catch(() => undefined);
        if (found === undefined) continue;
        files.push({ path, size: found.size, modified_at: (found.mtime ?? new Date(0)).toISOString() });
      }
    }
    level = deeper;
  }
  return { files: files.sort((a, b) => a.path < b.path ? -1 : 1) };
}

/**
 * Throws `Refused`: 404 for what is no plain file below the folder, 413 for more than `maxBytes`.
 *
 * @param path relative to the folder, with `/`
 */
export async function readBelow(
  folder: string,
  path: string,
  { maxBytes }: { readonly maxBytes: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const missing = () => new Refused(404, `There is no file ${JSON.stringify(path.slice(0, 300))}`);
  const parts = path.split("/");
  if (path.length > MAX_PATH_CHARACTERS || parts.some((part) => !isPlain(part) || isHidden(part))) throw missing();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await findFile(folder, parts);
    if (found === undefined) throw missing();
    using file = await Deno.open(join(folder, path)).catch(() => undefined);
    if (file === undefined) continue;
    const [opened, now] = [await file.stat(), await findFile(folder, parts)];
    // Somebody has put something else in its place, perhaps its next version.
    if (!opened.isFile || now === undefined || !isSame(opened, now)) continue;
    // An agent may have put a link in the place of a folder at just the right moments.
    if (parts.length > 1 && !isOpenAt(join(await Deno.realPath(folder), path), opened)) continue;
    if (opened.size > maxBytes) throw new Refused(413, `The file is larger than ${maxBytes / (1024 * 1024)} MiB`);
    return await readAll(file, opened.size);
  }
  throw missing();
}

async function readAll(file: Deno.FsFile, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  let length = 0;
  while (length < size) {
    const read = await file.read(bytes.subarray(length));
    if (read === null) break;
    length += read;
  }
  return bytes.subarray(0, length);
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Undefined: there is no plain file of this path, or a link is on the way to it. */
async function findFile(folder: string, parts: readonly string[]): Promise<Deno.FileInfo | undefined> {
  let path = folder;
  for (const [index, part] of parts.entries()) {
    path = join(path, part);
    const found = await Deno.lstat(path).catch(() => undefined);
    if (index === parts.length - 1) return found?.isFile ? found : undefined;
    if (!found?.isDirectory) return undefined;
  }
}

function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** Whether we have a file open that is at this very path, as the system has it, and is this one. True where nobody can tell. */
function isOpenAt(path: string, opened: Deno.FileInfo): boolean {
  if (Deno.build.os !== "linux") return true;
  for (const { name } of Deno.readDirSync(OPEN_FILES)) {
    try {
      if (Deno.readLinkSync(`${OPEN_FILES}/${name}`) !== path) continue;
      if (isSame(Deno.statSync(`${OPEN_FILES}/${name}`), opened)) return true;
    } catch {
      // It was closed meanwhile.
    }
  }
  return false;
}

function isPlain(part: string): boolean {
  return part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part);
}

function isHidden(name: string): boolean {
  return name.startsWith(".git");
}
