/** Hands what other processes put as files into a folder to whoever watches it. */
import { join } from "node:path";
import { messageOf } from "../failure.ts";
import { writeFileAtomic } from "./atomic_file.ts";

const MAX_BYTES = 256 * 1024;
const SUFFIX = ".json";
/** Where the system tells nothing of changes (network file systems), or forgets to. */
const LOOK_AGAIN_MS = 2000;

export interface SpoolOptions<T extends { readonly id: string }> {
  /** Of a file's JSON. Throws an `Error` that says what is wrong with it. */
  read(value: unknown): T;
  /** Has been carried out when `isTaken` says so; may leave it to the next watcher. */
  take(message: T): void;
  isTaken(id: string): boolean;
  /** A sentence about a file that is no message; it is kept as `.bad`. */
  onProblem?(problem: string): void;
}

/** A file for whoever watches the folder, now or later. Returns the message's id, which begins with the time. */
export async function putInSpool(
  folder: string,
  message: Readonly<Record<string, unknown>>,
  nowMs: number,
): Promise<string> {
  const id = `${nowMs}-${crypto.randomUUID().slice(0, 8)}`;
  await writeFileAtomic(join(folder, `${id}${SUFFIX}`), JSON.stringify({ ...message, id }) + "\n");
  return id;
}

/**
 * In the order of their names, which begin with the time: at once those that are there, then each as it comes. A file
 * goes when its message was carried out, so that a watcher which is killed in between leaves it to the next one.
 */
export function watchSpool<T extends { readonly id: string }>(folder: string, options: SpoolOptions<T>): Disposable {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const look = () => takeAll(folder, options);
  let watcher: Deno.FsWatcher | undefined;
  try {
    watcher = Deno.watchFs(folder, { recursive: false });
    listen(watcher, look);
  } catch {
    // No more watches can be had: the clock is enough.
  }
  const clock = setInterval(look, LOOK_AGAIN_MS);
  look();
  return {
    [Symbol.dispose]() {
      clearInterval(clock);
      try {
        watcher?.close();
      } catch {
        // Closed already, with the folder.
      }
    },
  };
}

async function listen(watcher: Deno.FsWatcher, look: () => void): Promise<void> {
  try {
    for await (const { kind } of watcher) if (kind !== "access" && kind !== "remove") look();
  } catch {
    // As when there is no watcher.
  }
}

function takeAll<T extends { readonly id: string }>(folder: string, options: SpoolOptions<T>): void {
  for (const file of filesIn(folder)) {
    const path = join(folder, file);
    const found = readMessage(path, { id: file.slice(0, -SUFFIX.length), read: options.read });
    if (found.kind === "gone") continue;
    if (found.kind === "bad") {
      setAside(path);
      options.onProblem?.(`Nobody can be told what "${file}" says: ${found.problem}`);
      continue;
    }
    const { message } = found;
    if (!options.isTaken(message.id)) options.take(message);
    if (options.isTaken(message.id)) remove(path);
  }
}

function filesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith(".")).sort();
  } catch {
    // The folder is gone: nobody can tell anything.
    return [];
  }
}

type Found<T> =
  | { readonly kind: "message"; readonly message: T }
  | { readonly kind: "bad"; readonly problem: string }
  | { readonly kind: "gone" };

function readMessage<T extends { readonly id: string }>(
  path: string,
  { id, read }: { readonly id: string; read(value: unknown): T },
): Found<T> {
  try {
    const { isFile, size } = Deno.lstatSync(path);
    if (!isFile || size > MAX_BYTES) return { kind: "bad", problem: isFile ? "it is too long" : "it is no file" };
    const message = read(JSON.parse(Deno.readTextFileSync(path)));
    // Two files with one id would be one message.
    return message.id === id ? { kind: "message", message } : { kind: "bad", problem: "its id is not its name" };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "gone" };
    return { kind: "bad", problem: error instanceof SyntaxError ? "it is not JSON" : messageOf(error) };
  }
}

function setAside(path: string): void {
  try {
    Deno.renameSync(path, `${path}.bad`);
  } catch {
    // Somebody took it away.
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Its sender took it back.
  }
}
