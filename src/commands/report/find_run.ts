/** Finds the run that a person has named: by its id, by a path, or as the last one. */
import { basename, dirname, join, resolve } from "node:path";
import { closestName, Failure } from "../../failure.ts";
import type { RunKind } from "../../http/schemas.ts";
import { objectOf, readObject, textOf } from "../../workers/stream_text.ts";
import { LOG_NAME } from "../orchestrate/session_folder.ts";
import { readBeginning } from "../serve/entries/indexed_run.ts";
import { PROCESS_JSON, STREAM_JSONL } from "../serve/entries/mini_entry.ts";
import {
  findPlace,
  listPlaces,
  readerOf,
  type RunPlace,
  type RunRoots,
  stampOf,
  workdirPlaces,
} from "../serve/run_places.ts";

export interface FindRunOptions {
  readonly cwd: string;
  /** Read only when an id is looked for. */
  roots(): Promise<RunRoots>;
  now(): number;
}

const KINDS: readonly RunKind[] = ["session", "manager", "mini"];
const MAX_LISTED = 8;
const MAX_TRAJECTORY_BYTES = 32 * 1024 * 1024;
/** Enough for the first lines of a log. */
const BEGINNING_BYTES = 64 * 1024;

/** Throws a usage `Failure` that names what there is. */
export async function findRun(name: string, options: FindRunOptions): Promise<RunPlace> {
  if (name.includes("/") || name === "." || name === "..") return await placeAtPath(name, options);
  const roots = await options.roots();
  if (name === "last") return await newestPlace(roots, options.now());
  const found = KINDS.flatMap((kind) => findPlace(roots, kind, name) ?? []).filter((place) => isRun(place));
  const places = found.length > 0 ? found : await placesByAlias(roots, name);
  if (places.length === 1) return places[0]!;
  if (places.length > 1) {
    throw new Failure("usage", `Cannot tell which run "${name}" is: need one, found ${places.length}`, {
      hints: places.map((place) => `A ${KIND_NAMES[place.kind]}: \`gocore report ${pathOf(place)}\``),
    });
  }
  if (await isThere(resolve(options.cwd, name))) return await placeAtPath(name, options);
  throw missing(name, roots);
}

const KIND_NAMES: Readonly<Record<RunKind, string>> = { session: "session", manager: "manager run", mini: "mini run" };

function missing(name: string, roots: RunRoots): Failure {
  const ids = [...new Set(newestFirst(roots).map(({ place }) => place.id))];
  const closest = closestName(name, ids);
  const { workspace, runsRoot, miniWorkdirs } = roots;
  const places = [workspace, runsRoot, ...miniWorkdirs].filter((path) => path !== undefined);
  return new Failure("usage", `Cannot find the run "${name}" in ${places.map((path) => `"${path}"`).join(", ")}`, {
    hints: [
      ...(closest === undefined ? [] : [`Did you mean \`${closest}\`?`]),
      ids.length === 0
        ? "There are no runs: name where they are with --workspace, --runs-root or --mini-workdir"
        : `There are ${ids.slice(0, MAX_LISTED).join(", ")}${ids.length > MAX_LISTED ? ", …" : ""}`,
    ],
  });
}

/** What leads to the run whatever the roots are. */
function pathOf(place: RunPlace): string {
  return place.kind === "mini" && place.form === "workdir" ? place.run.trajectory ?? place.run.log! : place.folder;
}

/** A folder of a run that is being made is none yet. */
function isRun(place: RunPlace): boolean {
  return stampOf(place) !== undefined;
}

/** The last one that began. No run has begun after its files were changed last. */
async function newestPlace(roots: RunRoots, nowMs: number): Promise<RunPlace> {
  let newest: { readonly place: RunPlace; readonly startedMs: number } | undefined;
  for (const { place, changedMs } of newestFirst(roots)) {
    if (newest !== undefined && changedMs < newest.startedMs) break;
    const run = await readerOf(place).read(nowMs).catch(() => undefined);
    const startedMs = Date.parse(run?.entry.started_at ?? "");
    if (newest === undefined || startedMs > newest.startedMs) {
      newest = { place, startedMs: Number.isNaN(startedMs) ? -Infinity : startedMs };
    }
  }
  if (newest === undefined) throw missing("last", roots);
  return newest.place;
}

function newestFirst(roots: RunRoots): { readonly place: RunPlace; readonly changedMs: number }[] {
  return [...listPlaces(roots)].filter(isRun)
    .map((place) => ({ place, changedMs: Math.max(...filesOf(place).map(changedMsOf)) }))
    .sort((a, b) => b.changedMs - a.changedMs);
}

function filesOf(place: RunPlace): string[] {
  if (place.kind !== "mini") return [join(place.folder, LOG_NAME)];
  if (place.form === "started") return [PROCESS_JSON, STREAM_JSONL].map((name) => join(place.folder, name));
  return [place.run.trajectory, place.run.log].filter((path) => path !== undefined);
}

function changedMsOf(path: string): number {
  try {
    // Copies and file systems round times.
    return Math.ceil((Deno.lstatSync(path).mtime?.getTime() ?? 0) / 1000) * 1000;
  } catch {
    return 0;
  }
}

/** Runs that the server has started have an id of their own too, which their stream begins with. */
async function placesByAlias(roots: RunRoots, alias: string): Promise<RunPlace[]> {
  const found: RunPlace[] = [];
  for (const place of listPlaces(roots)) {
    if (place.kind !== "mini" || place.form !== "started" || !isRun(place)) continue;
    const beginning = await readBeginning(join(place.folder, STREAM_JSONL), BEGINNING_BYTES);
    const start = readObject(beginning.split("\n", 1)[0]!);
    if (textOf(objectOf(start?.data).run_id) === alias) found.push(place);
  }
  return found;
}

async function placeAtPath(name: string, { cwd }: FindRunOptions): Promise<RunPlace> {
  const path = resolve(cwd, name);
  const found = await Deno.stat(path).catch(() => undefined);
  const place = found?.isDirectory ? await placeOfFolder(path) : found?.isFile ? await placeOfFile(path) : undefined;
  if (place !== undefined) return place;
  const finding = found === undefined ? "nothing is there" : "there is no run in it";
  throw new Failure("usage", `Cannot make a report on "${path}": ${finding}`, {
    hints: ["Name an id, `last`, the folder of a run, or its trajectory"],
  });
}

async function placeOfFolder(folder: string): Promise<RunPlace | undefined> {
  const id = basename(folder);
  if (await isThere(join(folder, PROCESS_JSON))) return { kind: "mini", form: "started", id, folder };
  if (await isThere(join(folder, LOG_NAME))) return { kind: await kindOf(folder), id, folder };
  const runs = [...workdirPlaces(folder)].filter(isRun)
    .map((place) => ({ place, changedMs: Math.max(...filesOf(place).map(changedMsOf)) }));
  return runs.sort((a, b) => b.changedMs - a.changedMs)[0]?.place;
}

/** By the events that only one of them has; a log that begins with none of them is told by its folder's name. */
async function kindOf(folder: string): Promise<"session" | "manager"> {
  for (const line of (await readBeginning(join(folder, LOG_NAME), BEGINNING_BYTES)).split("\n")) {
    const type = textOf(readObject(line)?.type);
    if (type.startsWith("session.")) return "session";
    if (type.startsWith("run.")) return "manager";
  }
  return basename(folder).startsWith("orch_") ? "session" : "manager";
}

async function placeOfFile(path: string): Promise<RunPlace | undefined> {
  const folder = dirname(path);
  if (basename(path) === LOG_NAME || await isThere(join(folder, PROCESS_JSON))) return await placeOfFolder(folder);
  const id = basename(path).replace(/(?:\.traj)?\.jsonl?$/, "");
  const place = (run: { runId: string; trajectory: string | undefined; log: string | undefined }): RunPlace => {
    return { kind: "mini", form: "workdir", id: run.runId, folder, run: { ...run, workdir: folder } };
  };
  if (path.endsWith(".jsonl")) return place({ runId: id, trajectory: undefined, log: path });
  if (!path.endsWith(".json")) return undefined;
  const info = objectOf(readObject(await readBeginning(path, MAX_TRAJECTORY_BYTES))?.info);
  return place({ runId: textOf(info.run_id) || id, trajectory: path, log: undefined });
}

function isThere(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
