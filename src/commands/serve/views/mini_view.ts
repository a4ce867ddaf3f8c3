/** One mini run as others see it: its trajectory, or the log or the events that it writes while it goes on. */
import { dirname, join, relative } from "node:path";
import { JsonLinesDecoder } from "../../../events/json_lines.ts";
import { logFacts, MiniEvents, type MiniFacts, miniRecord, trajectoryFacts } from "../../../http/mini_record.ts";
import { type MiniView, Refused } from "../../../http/ports.ts";
import type { MiniRecord } from "../../../http/schemas.ts";
import { isObject, type Json } from "../../../models/json.ts";
import { readProcess, signalProcess } from "../../../process/process_tree.ts";
import { isWithin } from "../../../safety/path_scope.ts";
import { Redactor, secretsIn } from "../../../safety/secrets.ts";
import { isCertainlyDead, ownIdentity, type ProcessIdentity } from "../../../store/process_identity.ts";
import { PROCESS_JSON, STREAM_JSONL, type WorkdirRun } from "../entries/mini_entry.ts";
import { readBelow } from "./folder_files.ts";
import { LiveLog } from "./live_log.ts";
import { maskedBytes } from "./masked_bytes.ts";
import type { ViewOptions } from "./session_view.ts";

/** Where a run is: in a folder that the server has made for it, or in the home of the workdir in which it has worked. */
export type MiniPlace =
  | { readonly id: string; readonly form: "started"; readonly folder: string }
  | { readonly id: string; readonly form: "workdir"; readonly run: WorkdirRun };

const TRAJECTORY_JSON = "trajectory.json";
/** Longer ones would hold up everything else. */
const MAX_DOCUMENT_BYTES = 32 * 1024 * 1024;
const MAX_TRAJECTORY_BYTES = 64 * 1024 * 1024;
const MAX_PROCESS_BYTES = 256 * 1024;
/** It saves what it has, and ends its commands. */
const END_DEADLINE_MS = 10_000;
const LOOK_MS = 50;

/** Throws what the system says when the events cannot be read. */
export async function openMiniView(place: MiniPlace, options: ViewOptions): Promise<MiniView & AsyncDisposable> {
  if (place.form === "workdir") return new WorkdirMini(place.id, place.run, options);
  const log = await LiveLog.open<MiniEvents>(join(place.folder, STREAM_JSONL), {
    redactor: new Redactor(secretsIn(options.env)),
    empty: () => new MiniEvents(),
    fold: (events, line) => events.add(line),
    numbering: "offset",
  });
  return new StartedMini(place.id, place.folder, log, options);
}

/** Of a run that the server has started. */
class StartedMini implements MiniView, AsyncDisposable {
  readonly #redactor: Redactor;
  readonly #trajectory: TrajectoryFile;

  constructor(
    private readonly id: string,
    readonly folder: string,
    private readonly log: LiveLog<MiniEvents>,
    private readonly options: ViewOptions,
  ) {
    this.#redactor = new Redactor(secretsIn(options.env));
    this.#trajectory = new TrajectoryFile(folder, TRAJECTORY_JSON);
  }

  get streams() {
    return this.log.streams;
  }

  async record(): Promise<MiniRecord> {
    const process = await this.#process();
    // Before the events: who ends in between has told it there.
    const isAlive = isProcessAlive(process);
    const found = await this.#trajectory.read().catch(undefinedIfRefused);
    const { facts } = this.log.state;
    const isRunning = isAlive && facts.status === undefined;
    const trajectory = isRunning ? undefined : found?.facts;
    const { task, model, workdir, started_at } = process;
    const told: MiniFacts = {
      task: textOf(task),
      model: textOf(model),
      workdir: textOf(workdir),
      startedAt: textOf(started_at),
    };
    return this.#redactor.redactDeep(miniRecord({
      runId: this.id,
      workdir: "",
      isRunning,
      // What the run says of itself is exact; a trajectory has more in its messages.
      sources: [{ messages: trajectory?.messages }, facts, ...(trajectory === undefined ? [] : [trajectory]), told],
      trajectoryPath: found === undefined ? null : this.#trajectory.path,
      hasEvents: true,
      seq: this.log.position,
      nowMs: this.options.now(),
    }));
  }

  async trajectory(): Promise<Uint8Array<ArrayBuffer>> {
    return maskedBytes(await this.#trajectory.bytes(), this.#redactor).bytes;
  }

  async stop(): Promise<void> {
    await interrupt(await this.#process());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
  }

  async #process(): Promise<Json> {
    const bytes = await readBelow(this.folder, PROCESS_JSON, { maxBytes: MAX_PROCESS_BYTES }).catch(undefinedIfRefused);
    return parseObject(bytes) ?? {};
  }
}

/** Of a run of `gocore mini`, whoever has started it. No events of it are kept. */
class WorkdirMini implements MiniView, AsyncDisposable {
  readonly folder: string;
  readonly streams = undefined;
  readonly #redactor: Redactor;
  readonly #trajectory: TrajectoryFile | undefined;

  constructor(private readonly id: string, private readonly run: WorkdirRun, private readonly options: ViewOptions) {
    this.folder = run.workdir;
    this.#redactor = new Redactor(secretsIn(options.env));
    const { trajectory } = run;
    this.#trajectory = trajectory === undefined ? undefined : new TrajectoryFile(...placeOf(trajectory, run.workdir));
  }

  async record(): Promise<MiniRecord> {
    const entries = await this.#logEntries();
    const isRunning = isProcessAlive(ownerIn(entries));
    const trajectory = isRunning ? undefined : await this.#ownTrajectory();
    if (entries.length === 0 && trajectory === undefined) throw new Refused(404, "Nothing of this run is left");
    return this.#redactor.redactDeep(miniRecord({
      runId: this.id,
      workdir: this.run.workdir,
      isRunning,
      sources: trajectory === undefined ? [logFacts(entries)] : [trajectory],
      trajectoryPath: trajectory === undefined ? null : this.#trajectory!.path,
      hasEvents: false,
      seq: -1,
      nowMs: this.options.now(),
    }));
  }

  async trajectory(): Promise<Uint8Array<ArrayBuffer>> {
    if (await this.#ownTrajectory() === undefined) throw new Refused(404, "The run has no trajectory yet");
    return maskedBytes(await this.#trajectory!.bytes(), this.#redactor).bytes;
  }

  async stop(): Promise<void> {
    await interrupt(ownerIn(await this.#logEntries()));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Undefined: there is none, or a later run's is in its place. */
  async #ownTrajectory(): Promise<MiniFacts | undefined> {
    const found = await this.#trajectory?.read();
    // One that another program wrote has no id in it.
    return found?.runId === undefined || found.runId === this.run.runId ? found?.facts : undefined;
  }

  async #logEntries(): Promise<Json[]> {
    if (this.run.log === undefined) return [];
    const [folder, path] = placeOf(this.run.log, this.run.workdir);
    const bytes = await readBelow(folder, path, { maxBytes: MAX_DOCUMENT_BYTES }).catch((error) => {
      // It went when the trajectory was saved.
      if (error instanceof Refused && error.status === 404) return new Uint8Array();
      throw error;
    });
    const decoder = new JsonLinesDecoder({ maxLineBytes: MAX_DOCUMENT_BYTES });
    return decoder.push(bytes).flatMap((line) => line.kind === "value" && isObject(line.value) ? [line.value] : []);
  }
}

/** A trajectory on disk, read again when it has changed. */
class TrajectoryFile {
  readonly path: string;
  #known: { readonly stamp: string; readonly facts: MiniFacts; readonly runId: string | undefined } | undefined;

  constructor(private readonly folder: string, private readonly name: string) {
    this.path = join(folder, name);
  }

  /** Undefined: there is none. Throws `Refused` (413, or 404 for what is no trajectory). */
  async read(): Promise<{ readonly facts: MiniFacts; readonly runId: string | undefined } | undefined> {
    const found = await Deno.lstat(this.path).catch(() => undefined);
    if (found === undefined) return undefined;
    const stamp = `${found.ino}/${found.size}/${found.mtime?.getTime()}`;
    if (this.#known?.stamp === stamp) return this.#known;
    const document = parseObject(await readBelow(this.folder, this.name, { maxBytes: MAX_DOCUMENT_BYTES }));
    if (document === undefined) throw new Refused(404, `"${this.path}" is no trajectory`);
    const runId = isObject(document.info) ? textOf(document.info.run_id) : undefined;
    this.#known = { stamp, facts: trajectoryFacts(document), runId };
    return this.#known;
  }

  /** Throws `Refused` (404: there is none; 413). */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return await readBelow(this.folder, this.name, { maxBytes: MAX_TRAJECTORY_BYTES });
  }
}

/** The folder below which no link may be followed, and the path from there. */
function placeOf(path: string, workdir: string): [folder: string, path: string] {
  const folder = isWithin(path, workdir) ? workdir : dirname(path);
  return [folder, relative(folder, path)];
}

function ownerIn(entries: readonly Json[]): Json {
  const { owner } = entries[0] ?? {};
  return isObject(owner) ? owner : {};
}

/** What `process.json`, and the head of a run's log, say of a process. */
function identityOf({ pid, start_ticks, boot_id, pid_namespace }: Json): ProcessIdentity | undefined {
  if (!Number.isSafeInteger(pid) || (pid as number) <= 1) return undefined;
  return {
    pid: pid as number,
    start_ticks: typeof start_ticks === "number" ? start_ticks : undefined,
    boot_id: textOf(boot_id),
    pid_namespace: textOf(pid_namespace),
  };
}

function isProcessAlive(process: Json): boolean {
  const identity = identityOf(process);
  return identity !== undefined && !isCertainlyDead(identity);
}

/** Ends a run as Ctrl-C does, and waits for it. Throws `Refused` (409) when it has ended, or cannot be told from others. */
async function interrupt(process: Json): Promise<void> {
  const identity = identityOf(process);
  if (identity === undefined || isCertainlyDead(identity)) throw new Refused(409, "The run has ended already");
  const { pid, start_ticks, pid_namespace = ownIdentity().pid_namespace } = identity;
  const entry = readProcess(pid);
  // A file may name any process; when that one was started, nobody can guess.
  if (entry === undefined || entry.startTicks !== start_ticks || pid_namespace !== ownIdentity().pid_namespace) {
    throw new Refused(409, `Nobody can tell from here whether process ${pid} carries out the run`);
  }
  if (!signalProcess(entry, "SIGINT")) throw new Refused(409, `Process ${pid} cannot be ended from here`);
  const deadline = performance.now() + END_DEADLINE_MS;
  while (!isCertainlyDead(identity) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function parseObject(bytes: Uint8Array | undefined): Json | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function undefinedIfRefused(error: unknown): undefined {
  if (error instanceof Refused) return undefined;
  throw error;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
