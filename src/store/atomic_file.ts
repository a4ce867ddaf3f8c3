/** Replaces a file as a whole: whoever reads it sees the old content or the new, never a part, also after a crash. */
import { basename, dirname, join, resolve } from "node:path";
import { hasEndedSince } from "./process_identity.ts";
import { writeFailure } from "./write_failure.ts";

/** Pieces are gathered up to about this size before they are written. */
const CHUNK_CHARACTERS = 64 * 1024;
/** How long the reader of a pipe may take for one chunk. */
const STUCK_READER_MS = 30_000;
/** Of a process in another container we cannot see that it lives, only that it writes. */
const ABANDONED_AFTER_MS = 60_000;
const TEMPORARY = /^\..*\.(\d+)-[0-9a-f]{8}\.tmp$/s;

type Content = string | Uint8Array | Iterable<string> | AsyncIterable<string>;

/** Temporary files that this process is writing. */
const unfinished = new Set<string>();

/**
 * Writes a temporary file beside `path`, syncs it to the disk and renames it over `path`; missing parent folders are
 * made. The file keeps its permissions, a new one gets those of `mode`. A symbolic link is replaced, not followed,
 * because the repository that holds it may lead it anywhere. What is no file (`/dev/stdout`, a pipe) is written directly.
 *
 * Throws a `Failure` of kind `environment` when that is not possible, and passes on what the iteration of `content`
 * throws; `path` is then as it was, and the temporary file is gone. Memory does not grow with the content.
 *
 * @param content the text, pieces of it in order, or bytes; pieces are read only once the temporary file is open
 */
export async function writeFileAtomic(
  path: string,
  content: Content,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const target = await attempt(path, () => targetOf(path));
  if (target.kind === "stream") return await writeStream(path, content);
  const folder = dirname(resolve(path));
  await attempt(path, () => Deno.mkdir(folder, { recursive: true }));
  const temporary = join(folder, temporaryName(basename(path)));
  const mode = target.mode ?? options.mode;
  unfinished.add(temporary);
  try {
    const file = await attempt(path, () => Deno.open(temporary, { write: true, createNew: true, mode }));
    try {
      await writeAll(content, (bytes) => attempt(path, () => file.write(bytes)));
      await attempt(path, async () => {
        // The mode given to open is cut by the umask.
        if (mode !== undefined) await Deno.chmod(temporary, mode);
        await file.sync();
      });
    } finally {
      file.close();
    }
    await attempt(path, () => Deno.rename(temporary, path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  } finally {
    unfinished.delete(temporary);
  }
}

/** For a process that must end now: takes away what its unfinished writes have left, without waiting. */
export function removeTemporaries(): void {
  for (const path of unfinished) {
    try {
      Deno.removeSync(path);
    } catch {
      // Not made yet, or in its place already.
    }
  }
}

/**
 * Takes away the files `.<name>.<pid>-<8 hex digits>.tmp` of processes that were killed, except those of the last
 * minute. Never throws.
 */
export async function removeAbandonedTemporaries(folder: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of names) {
    const pid = TEMPORARY.exec(name)?.[1];
    if (pid === undefined) continue;
    const path = join(folder, name);
    const touchedMs = await Deno.lstat(path).then(({ mtime }) => mtime?.getTime(), () => undefined) ?? Date.now();
    if (Date.now() - touchedMs < ABANDONED_AFTER_MS || !hasEndedSince(Number(pid), touchedMs)) continue;
    await Deno.remove(path).catch(() => {});
  }
}

/** Takes away what is left of writes to `path` by a process of which it is known that it has ended. Never throws. */
export async function removeUnfinished(path: string, { pid }: { readonly pid: number }): Promise<void> {
  const folder = dirname(resolve(path));
  const names = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of names) {
    if (!name.startsWith(temporaryStart(basename(path), pid)) || !TEMPORARY.test(name)) continue;
    await Deno.remove(join(folder, name)).catch(() => {});
  }
}

const temporaryStart = (name: string, pid: number) => `.${name.slice(0, 40)}.${pid}-`;

function temporaryName(name: string): string {
  return `${temporaryStart(name, Deno.pid)}${crypto.randomUUID().slice(0, 8)}.tmp`;
}

type Target =
  | { readonly kind: "file"; /** Of the file that is there. */ readonly mode: number | undefined }
  /** A device, a pipe, a socket: it has no content to be replaced. */
  | { readonly kind: "stream" };

async function targetOf(path: string): Promise<Target> {
  try {
    const found = await Deno.lstat(path);
    if (found.isDirectory) throw new Deno.errors.IsADirectory("Is a directory");
    // `/dev/stdout` and `/dev/fd/3` are links, and nobody who names them wants them replaced.
    const isOfSystem = found.isSymlink && /^\/(?:dev|proc)\//.test(resolve(path));
    if (isOfSystem || !found.isFile && !found.isSymlink) return { kind: "stream" };
    if (found.isSymlink) return { kind: "file", mode: undefined };
    return { kind: "file", mode: found.mode === null ? undefined : found.mode & 0o777 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "file", mode: undefined };
    throw error;
  }
}

async function writeStream(path: string, content: Content): Promise<void> {
  const file = await attempt(path, () => openStream(path));
  try {
    await writeAll(content, (bytes) => attempt(path, () => beforeDeadline(file.write(bytes))));
  } finally {
    file.close();
  }
}

async function openStream(path: string): Promise<Deno.FsFile> {
  // Opening a pipe waits for its reader, and holds up the whole program in some versions of Deno; opening it for both
  // never waits, and lets the next opening pass. Without a reader, the first write fails.
  using _reader = (await Deno.stat(path)).isFifo ? await Deno.open(path, { read: true, write: true }) : undefined;
  // At the end, because `/dev/stdout` may be a file that has content already.
  return await Deno.open(path, { append: true });
}

async function beforeDeadline<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const stuck = () => reject(new Error(`Its reader has taken nothing for ${STUCK_READER_MS / 1000} s`));
    timer = setTimeout(stuck, STUCK_READER_MS);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** @param write may take fewer bytes than it is given; returns how many */
async function writeAll(content: Content, write: (bytes: Uint8Array) => Promise<number>): Promise<void> {
  const utf8 = new TextEncoder();
  const writeWhole = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await write(bytes.subarray(at));
  };
  if (content instanceof Uint8Array) return await writeWhole(content);
  const flush = (text: string) => writeWhole(utf8.encode(text));
  let pending = "";
  for await (const piece of typeof content === "string" ? slicesOf(content) : content) {
    pending += piece;
    if (pending.length < CHUNK_CHARACTERS) continue;
    // The halves of a surrogate pair may come in two pieces.
    const whole = /[\ud800-\udbff]$/.test(pending) ? pending.length - 1 : pending.length;
    await flush(pending.slice(0, whole));
    pending = pending.slice(whole);
  }
  await flush(pending);
}

function* slicesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += CHUNK_CHARACTERS) yield text.slice(at, at + CHUNK_CHARACTERS);
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw writeFailure(path, error);
  }
}
