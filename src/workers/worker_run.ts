/** One run of an agent: its process, and its stream as events. */
import { join } from "node:path";
import type { AgentEvent } from "../events/session_events.ts";
import { Failure, messageOf } from "../failure.ts";
import type { Usage } from "../models/usage.ts";
import {
  adoptWorkerProcess,
  readExit,
  startWorkerProcess,
  type WorkerProcess,
  type WorkerProcessEnd,
  type WorkerProcessHandle,
  type WorkerProcessSpec,
} from "../process/worker_process.ts";
import { followLines } from "../store/follow_lines.ts";
import type { AgentAdapter, LaunchRequest, StreamResult } from "./adapter.ts";
import { clip } from "./stream_text.ts";

export interface WorkerRunRequest {
  readonly adapter: AgentAdapter;
  readonly launch: LaunchRequest;
  /** What the agent inherits: PATH, LANG and the like, without secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly process: Omit<WorkerProcessSpec, "argv" | "cwd" | "env">;
  /** What the session that goes on had used before; undefined: unknown. */
  readonly usedBefore: Usage | undefined;
  /** In the raw stream (`process.stdoutPath`), where this run begins. */
  readonly streamOffset: number;
  /** Events of lines that end up to here were told by a former supervisor. */
  readonly toldUntil: number;
  /** What it may write to stdout and stderr together, in this run; 0: no limit. */
  readonly maxOutputBytes: number;
}

export interface WorkerRunOptions {
  /** Waited for, so that a flood fills no memory. `offset` is the end of its line, or of the line before, in the raw stream. */
  onEvent(event: AgentEvent, offset: number): Promise<void>;
  now(): number;
}

export interface WorkerRunEnd {
  readonly process: WorkerProcessEnd;
  readonly result: StreamResult;
}

export interface WorkerRun {
  readonly process: WorkerProcess;
  /** When the process and all that it started are gone and its stream was read to the end. Never rejects. */
  readonly ended: Promise<WorkerRunEnd>;
  /** Milliseconds since 1970 of the last byte of its stream. */
  lastOutputMs(): number;
}

/** What of stderr is kept for the result. */
const STDERR_BYTES = 64 * 1024;
const MIB = 1024 * 1024;
/** Events of such a kind are told one by one up to here, and then in sums. */
const TOLD_UNREADABLE = 50;
const TOLD_TALK = 100_000;
const SUM = 10_000;
/** Nobody waits for one of these, and all of them are in the raw stream. */
const TALK: ReadonlySet<AgentEvent["type"]> = new Set([
  "message",
  "thought",
  "status",
  "progress",
  "finding",
  "warning",
]);
/** Between two looks at how much there is: a program writes as fast as the disk can take it. */
const OUTPUT_LOOK_MS = 250;

/** Throws a `Failure` when the agent cannot be started. */
export async function startWorkerRun(request: WorkerRunRequest, options: WorkerRunOptions): Promise<WorkerRun> {
  const { adapter, launch, env } = request;
  const { argv, env: own, files } = adapter.launch(launch);
  for (const [path, text] of Object.entries(files)) await writeStateFile(launch.home, path, text);
  // The file is watched from its first byte on.
  await touch(request.process.stdoutPath);
  const process = await startWorkerProcess({
    ...request.process,
    argv,
    cwd: launch.workdir,
    env: { ...env, HOME: launch.home, TMPDIR: launch.tmp, ...own },
  });
  return follow(process, request, options);
}

/** Goes on with a run whose supervisor has died; undefined when nothing of it is left, not even its exit status. */
export async function adoptWorkerRun(
  handle: WorkerProcessHandle,
  request: WorkerRunRequest,
  options: WorkerRunOptions,
): Promise<WorkerRun | undefined> {
  const { argv } = request.adapter.launch(request.launch);
  const spec: WorkerProcessSpec = { ...request.process, argv, cwd: request.launch.workdir, env: request.env };
  const process = await adoptWorkerProcess(handle, spec) ?? await endedProcess(handle, spec);
  return process && follow(process, request, options);
}

/** One that has ended while nobody looked, and left its exit status. */
async function endedProcess(handle: WorkerProcessHandle, spec: WorkerProcessSpec): Promise<WorkerProcess | undefined> {
  const exit = await readExit(spec.exitPath);
  if (exit === undefined) return undefined;
  const { exitCode, signal, endedMs } = exit;
  const durationMs = endedMs - handle.startedMs;
  const end: WorkerProcessEnd = { exitCode, signal, endedBy: "itself", exceeded: undefined, leftBehind: 0, durationMs };
  return {
    handle,
    sandbox: { enforced: false, detail: "has ended" },
    limits: { enforced_by: "none", detail: "has ended" },
    ended: Promise.resolve(end),
    pause() {},
    resume() {},
    stop: () => Promise.resolve(end),
    cpuMs: () => 0,
    hasChildren: () => false,
    attach: undefined,
  };
}

function follow(
  process: WorkerProcess,
  request: WorkerRunRequest,
  { onEvent, now }: WorkerRunOptions,
): WorkerRun {
  const { adapter, launch, streamOffset, toldUntil, maxOutputBytes } = request;
  const { stdoutPath, stderrPath } = request.process;
  const reader = adapter.openStream({
    agent: adapter.name,
    now,
    resumed: launch.resume !== undefined,
    usedBefore: request.usedBefore,
  });
  let lastOutputMs = now();
  const noLongerWanted = new AbortController();

  let end = streamOffset;
  const reading = (async () => {
    const flood = new Flood(adapter.name, now);
    const lines = followLines(stdoutPath, {
      from: streamOffset,
      complete: process.ended,
      signal: noLongerWanted.signal,
    });
    for await (const line of lines) {
      lastOutputMs = now();
      const events = line.cutFrom === undefined
        ? line.text.trim() === "" ? [] : reader.read(line.text)
        : [flood.unreadable(`A line of ${line.cutFrom} bytes, too long to be read: ${clip(line.text, 200)}`)];
      const told = line.end <= toldUntil ? [] : events.flatMap((event) => flood.sift(event) ?? []);
      // A line is told with its last event: whoever dies before reads it again.
      for (const [index, event] of told.entries()) await onEvent(event, index === told.length - 1 ? line.end : end);
      end = line.end;
    }
    for (const rest of flood.rest()) await onEvent(rest, end);
  })();

  const readingStderr = (async () => {
    if (reader.readStderr === undefined) return;
    const from = await sizeOf(stderrPath);
    const lines = followLines(stderrPath, { from, complete: process.ended, signal: noLongerWanted.signal });
    for await (const { text } of lines) {
      for (const event of reader.readStderr(text)) await onEvent(event, Math.max(end, toldUntil));
    }
  })();

  let isTooMuch = false;
  const lookAtOutput = async () => {
    const bytes = await sizeOf(stdoutPath) - streamOffset + await sizeOf(stderrPath);
    if (isTooMuch || maxOutputBytes === 0 || bytes <= maxOutputBytes) return;
    isTooMuch = true;
    await process.stop({ graceMs: 0, signal: adapter.stopSignal });
    // The rest would be read for hours.
    noLongerWanted.abort();
  };
  const clock = setInterval(lookAtOutput, OUTPUT_LOOK_MS);

  const ended = (async (): Promise<WorkerRunEnd> => {
    const end = await process.ended;
    clearInterval(clock);
    await lookAtOutput();
    let failure: unknown;
    await Promise.all([reading, readingStderr]).catch((error) => failure = error);
    noLongerWanted.abort();
    const stderr = await tail(stderrPath, STDERR_BYTES);
    const result = reader.result({ exitCode: end.exitCode, signal: end.signal, stderr });
    if (isTooMuch) {
      const text = `It has written more than the ${Math.round(maxOutputBytes / MIB)} MB that are allowed`;
      await cutAt(stdoutPath, streamOffset + maxOutputBytes);
      await cutAt(stderrPath, maxOutputBytes);
      // It was ended for a reason of its own making.
      return {
        process: { ...end, endedBy: "itself" },
        result: { ...result, outcome: "failed", cause: "output", text },
      };
    }
    if (failure === undefined) return { process: end, result };
    const text = `Its stream could not be read: ${messageOf(failure)}`;
    return { process: end, result: { ...result, outcome: "failed", cause: "crashed", text } };
  })();

  return { process, ended, lastOutputMs: () => lastOutputMs };
}

/** Keeps a flood of lines from becoming a flood of events. */
class Flood {
  readonly #agent: string;
  readonly #now: () => number;
  readonly #kinds = {
    unreadable: { told: 0, untold: 0, most: TOLD_UNREADABLE, words: "lines that are no events" },
    talk: { told: 0, untold: 0, most: TOLD_TALK, words: "messages, which its stream alone has" },
  };

  constructor(agent: string, now: () => number) {
    this.#agent = agent;
    this.#now = now;
  }

  /** What is told instead; undefined: nothing yet. */
  sift(event: AgentEvent): AgentEvent | undefined {
    const name = event.type === "unreadable" ? "unreadable" : TALK.has(event.type) ? "talk" : undefined;
    if (name === undefined) return event;
    const kind = this.#kinds[name];
    if (kind.told < kind.most) {
      kind.told++;
      return event;
    }
    kind.untold++;
    return kind.untold < SUM ? undefined : this.#sum(kind);
  }

  rest(): AgentEvent[] {
    return Object.values(this.#kinds).filter(({ untold }) => untold > 0).map((kind) => this.#sum(kind));
  }

  unreadable(text: string): AgentEvent {
    return {
      type: "unreadable",
      agent: this.#agent,
      timestamp: new Date(this.#now()).toISOString(),
      payload: { text },
    };
  }

  #sum(kind: { untold: number; readonly words: string }): AgentEvent {
    const text = `${kind.untold} further ${kind.words}`;
    kind.untold = 0;
    return this.unreadable(text);
  }
}

/** The home belongs to an agent, which may have put links there. */
async function writeStateFile(home: string, path: string, text: string): Promise<void> {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new RangeError(`Cannot write "${path}" into an agent's home`);
  }
  let folder = home;
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part);
    const found = await Deno.lstat(folder).catch(() => undefined);
    if (found === undefined) await Deno.mkdir(folder, { mode: 0o700 });
    else if (!found.isDirectory) throw new Failure("environment", `Cannot prepare "${folder}": it is no folder`);
  }
  const file = join(folder, parts.at(-1)!);
  await Deno.remove(file).catch(() => {});
  await Deno.writeTextFile(file, text, { createNew: true, mode: 0o600 });
}

async function touch(path: string): Promise<void> {
  (await Deno.open(path, { append: true, create: true })).close();
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(() => undefined))?.size ?? 0;
}

/** What is beyond is a flood that would fill the disk. */
async function cutAt(path: string, bytes: number): Promise<void> {
  if (await sizeOf(path) > bytes) await Deno.truncate(path, bytes).catch(() => {});
}

async function tail(path: string, bytes: number): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    await file.seek(Math.max(size - bytes, 0), Deno.SeekMode.Start);
    const buffer = new Uint8Array(Math.min(size, bytes));
    let length = 0;
    for (let read = await file.read(buffer); read; read = await file.read(buffer.subarray(length))) length += read;
    return new TextDecoder().decode(buffer.subarray(0, length));
  } catch {
    return "";
  }
}
