/** Where runs lie on disk: finds their folders and files under the roots, and tells when they have changed. */
import { join } from "node:path";
import type { RunKind } from "../../http/schemas.ts";
import { LOG_NAME } from "../orchestrate/session_folder.ts";
import { ManagerReader } from "./entries/manager_entry.ts";
import type { RunReader } from "./entries/indexed_run.ts";
import { PROCESS_JSON, StartedReader, STREAM_JSONL, WorkdirReader, type WorkdirRun } from "./entries/mini_entry.ts";
import { SessionReader } from "./entries/session_entry.ts";

/** Absolute paths; undefined: no runs of that kind are shown. */
export interface RunRoots {
  /** Of manager runs, and of the mini runs that the server has started. */
  readonly runsRoot: string | undefined;
  /** Of sessions. */
  readonly workspace: string | undefined;
  /** Where `gocore mini` has worked. */
  readonly miniWorkdirs: readonly string[];
}

export type RunPlace =
  | { readonly kind: "session" | "manager"; readonly id: string; readonly folder: string }
  | { readonly kind: "mini"; readonly form: "started"; readonly id: string; readonly folder: string }
  | {
    readonly kind: "mini";
    readonly form: "workdir";
    readonly id: string;
    readonly folder: string;
    readonly run: WorkdirRun;
  };

/** Names that are no paths, and that addresses can have. */
const RUN_ID = /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,127}$/;
const SESSION_START = "orch_";
const STARTED_START = "mini-";
const RUN_FILE = /^([\w-]{1,100}?)(?:\.claimed-\d+)?(\.jsonl|\.traj\.json)$/;
const LAST_RUN = /^\s*\{\s*"info":\s*\{\s*"run_id":\s*"([\w-]{1,100})"/;

/** What may be a run, the newest names first; of those that are none, `stampOf` says so. */
export function* listPlaces(roots: RunRoots): Generator<RunPlace> {
  for (const root of new Set([roots.workspace, roots.runsRoot])) {
    if (root === undefined) continue;
    for (const name of namesIn(root).sort().reverse()) {
      const place = placeAt(roots, root, name);
      if (place !== undefined) yield place;
    }
  }
  for (const workdir of roots.miniWorkdirs) yield* workdirPlaces(workdir);
}

/** What may be the run of this name; undefined: none. */
export function findPlace(roots: RunRoots, kind: RunKind, id: string): RunPlace | undefined {
  if (!RUN_ID.test(id) || id === "." || id === "..") return undefined;
  const root = kind === "session" ? roots.workspace : roots.runsRoot;
  const place = root === undefined ? undefined : placeAt(roots, root, id);
  if (place?.kind === kind) return place;
  if (kind !== "mini") return undefined;
  return roots.miniWorkdirs.flatMap((workdir) => [...workdirPlaces(workdir)]).find((place) => place.id === id);
}

/** By the root alone, and by the name where one folder is both. */
export function placeAt(roots: RunRoots, root: string, name: string): RunPlace | undefined {
  if (!RUN_ID.test(name) || name === "." || name === "..") return undefined;
  const folder = join(root, name);
  const isSession = root === roots.workspace && (root !== roots.runsRoot || name.startsWith(SESSION_START));
  if (isSession) return { kind: "session", id: name, folder };
  const isStarted = name.startsWith(STARTED_START) && fileAt(join(folder, PROCESS_JSON)) !== undefined;
  return isStarted ? { kind: "mini", form: "started", id: name, folder } : { kind: "manager", id: name, folder };
}

/** Where `gocore mini` keeps what it has done in a workdir. */
export function dataFolders(workdir: string): readonly [data: string, runs: string] {
  const data = join(workdir, ".miniswe", "data");
  return [data, join(data, "runs")];
}

/** One for each run, whatever files it has: its last, those that go on, and those that were killed. */
export function* workdirPlaces(workdir: string): Generator<RunPlace> {
  const [data, runs] = dataFolders(workdir);
  const found = new Map<string, { trajectory?: string; log?: string }>();
  for (const name of namesIn(runs)) {
    const [, id, type] = RUN_FILE.exec(name) ?? [];
    if (id === undefined || !RUN_ID.test(id)) continue;
    const files = found.get(id) ?? {};
    files[type === ".jsonl" ? "log" : "trajectory"] = join(runs, name);
    found.set(id, files);
  }
  const last = join(data, "last_run.traj.json");
  const lastId = fileAt(last) === undefined ? undefined : lastRunId(last, workdir);
  if (lastId !== undefined) found.set(lastId, { ...found.get(lastId), trajectory: last });
  for (const [runId, { trajectory, log }] of found) {
    yield { kind: "mini", form: "workdir", id: runId, folder: workdir, run: { runId, workdir, trajectory, log } };
  }
}

/** Its beginning is enough; a trajectory of another program has a name made of where it lies. */
function lastRunId(path: string, workdir: string): string {
  const buffer = new Uint8Array(1024);
  try {
    using file = Deno.openSync(path);
    const length = file.readSync(buffer) ?? 0;
    const id = LAST_RUN.exec(new TextDecoder().decode(buffer.subarray(0, length)))?.[1];
    if (id !== undefined && RUN_ID.test(id)) return id;
  } catch {
    // Whoever reads it whole says what is wrong.
  }
  return `last-${nameOf(workdir)}`;
}

/** FNV-1a: the same for the same path, and fit for an address. */
function nameOf(path: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(path)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** When the run's folder was changed, in milliseconds since 1970; undefined: it is no folder, or has none of its own. */
export function folderTimeOf(place: RunPlace): number | undefined {
  if (place.kind === "mini" && place.form === "workdir") return undefined;
  const found = statAt(place.folder);
  return found?.isDirectory ? found.mtime?.getTime() : undefined;
}

/** Another one when what the run's entry is made of has changed; undefined: it is no run, or not yet. */
export function stampOf(place: RunPlace): string | undefined {
  if (place.kind === "mini" && place.form === "workdir") {
    const files = [place.run.trajectory, place.run.log].map((path) => path === undefined ? undefined : fileAt(path));
    return files.every((file) => file === undefined) ? undefined : files.map(textOf).join(" ");
  }
  const time = folderTimeOf(place);
  const [first, ...others] = place.kind === "mini" ? [PROCESS_JSON, STREAM_JSONL] : [LOG_NAME];
  const main = fileAt(join(place.folder, first!));
  if (time === undefined || main === undefined) return undefined;
  return [String(time), textOf(main), ...others.map((name) => textOf(fileAt(join(place.folder, name))))].join(" ");
}

export function readerOf(place: RunPlace): RunReader {
  if (place.kind === "mini") {
    return place.form === "started" ? new StartedReader(place.folder) : new WorkdirReader(place.run);
  }
  return place.kind === "session" ? new SessionReader(place.folder) : new ManagerReader(place.folder);
}

function textOf(file: Deno.FileInfo | undefined): string {
  return file === undefined ? "-" : `${file.size}.${file.mtime?.getTime() ?? 0}.${file.ino ?? 0}`;
}

function fileAt(path: string): Deno.FileInfo | undefined {
  const found = statAt(path);
  return found?.isFile ? found : undefined;
}

function statAt(path: string): Deno.FileInfo | undefined {
  try {
    // Links are not followed: they may lead out of the roots.
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch {
    return [];
  }
}
