/** Hands what other processes tell a session, as files in its folder, to whoever supervises it. */
import { join } from "node:path";
import * as z from "zod/mini";
import { messageOf } from "../../failure.ts";
import type { Control } from "../../orchestrate/ports.ts";
import type { SessionState } from "../../orchestrate/session.ts";
import { CONTROL_FOLDER } from "./session_folder.ts";

const name = z.nullable(z.string().check(z.maxLength(200)));

/** What `putControl` writes. */
const control = z.object({
  id: z.string(),
  command: z.enum(["pause", "resume", "stop", "review", "answer"]),
  worker: name,
  text: z.string(),
  by: z.string().check(z.maxLength(200)),
  question: name,
});

const MAX_BYTES = 256 * 1024;
/** Where the system tells nothing of changes (network file systems), or forgets to. */
const LOOK_AGAIN_MS = 2000;

export interface ControlsOptions {
  /** Has been carried out when `state.controls` has its id; may leave it to the next supervisor. */
  take(control: Control): void;
  readonly state: Pick<SessionState, "controls">;
  /** A sentence about a file that is no control; it is kept as `.bad`. */
  onProblem?(problem: string): void;
}

/**
 * In the order of their names, which begin with the time: at once those that are there, then each as it comes. A file
 * goes when its control was carried out, so that a supervisor which is killed in between leaves it to the next one.
 */
export function watchControls(folder: string, options: ControlsOptions): Disposable {
  const path = join(folder, CONTROL_FOLDER);
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  const look = () => takeAll(path, options);
  let watcher: Deno.FsWatcher | undefined;
  try {
    watcher = Deno.watchFs(path, { recursive: false });
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

function takeAll(path: string, { take, state, onProblem }: ControlsOptions): void {
  for (const file of filesIn(path)) {
    const full = join(path, file);
    const found = readControl(full, file.slice(0, -SUFFIX.length));
    if (found.kind === "gone") continue;
    if (found.kind === "bad") {
      setAside(full);
      onProblem?.(`Nobody can be told what "${file}" says: ${found.problem}`);
      continue;
    }
    if (!state.controls.has(found.control.id)) take(found.control);
    if (state.controls.has(found.control.id)) remove(full);
  }
}

const SUFFIX = ".json";

function filesIn(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name)
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith(".")).sort();
  } catch {
    // The folder is gone: nobody can tell anything.
    return [];
  }
}

type Found =
  | { readonly kind: "control"; readonly control: Control }
  | { readonly kind: "bad"; readonly problem: string }
  | { readonly kind: "gone" };

function readControl(path: string, id: string): Found {
  try {
    const { isFile, size } = Deno.lstatSync(path);
    if (!isFile || size > MAX_BYTES) return { kind: "bad", problem: isFile ? "it is too long" : "it is no file" };
    const result = control.safeParse(JSON.parse(Deno.readTextFileSync(path)));
    if (!result.success) {
      const { path: keys, message } = result.error.issues[0]!;
      return { kind: "bad", problem: `${keys.join(".") || "all of it"}: ${message}` };
    }
    // Two files with one id would be one control.
    return result.data.id === id
      ? { kind: "control", control: result.data }
      : { kind: "bad", problem: "its id is not its name" };
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
