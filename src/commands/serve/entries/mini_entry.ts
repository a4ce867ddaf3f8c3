/** A mini run as the list shows it: its trajectory, or the log or the stream that it writes while it goes on. */
import { basename, join } from "node:path";
import type { Entry } from "../../../http/schemas.ts";
import { isCertainlyDead, type ProcessIdentity } from "../../../store/process_identity.ts";
import { clip, objectOf, textOf } from "../../../workers/stream_text.ts";
import { GrowingLog } from "./growing_log.ts";
import { entryOf, type IndexedRun, type RunReader, searchedText, unreadableRun } from "./indexed_run.ts";

/** What there is of a run in the home of its workdir. */
export interface WorkdirRun {
  readonly runId: string;
  readonly workdir: string;
  /** Undefined: not yet. */
  readonly trajectory: string | undefined;
  /** Of a run that goes on, or was killed. */
  readonly log: string | undefined;
}

/** What is found out, message by message or event by event. */
interface MiniSums {
  owner: ProcessIdentity | undefined;
  runId: string;
  task: string;
  model: string;
  workdir: string;
  startedAt: string | null;
  lastAt: string | null;
  calls: number;
  knownUsd: number;
  unpricedCalls: number;
  inputTokens: number;
  outputTokens: number;
  readonly errors: string[];
  end: { readonly status: string; readonly result: string } | undefined;
}

/** Longer trajectories would hold up everything else. */
const MAX_TRAJECTORY_BYTES = 32 * 1024 * 1024;
const MAX_ERRORS = 40;
const MAX_ERROR = 600;
const MAX_PROCESS_BYTES = 256 * 1024;

function noSums(): MiniSums {
  return {
    owner: undefined,
    runId: "",
    task: "",
    model: "",
    workdir: "",
    startedAt: null,
    lastAt: null,
    calls: 0,
    knownUsd: 0,
    unpricedCalls: 0,
    inputTokens: 0,
    outputTokens: 0,
    errors: [],
    end: undefined,
  };
}

/** Of `gocore mini` in a workdir that is shown. */
export class WorkdirReader implements RunReader {
  readonly #run: WorkdirRun;
  readonly #log: GrowingLog<MiniSums> | undefined;
  #owner: ProcessIdentity | undefined;

  constructor(run: WorkdirRun) {
    this.#run = run;
    this.#log = run.log === undefined ? undefined : new GrowingLog(run.log, { empty: noSums, add: addLogLine });
  }

  isCarriedOut(): boolean {
    return this.#owner !== undefined && !isCertainlyDead(this.#owner);
  }

  letGo(): void {
    this.#log?.letGo();
  }

  async read(nowMs: number): Promise<IndexedRun> {
    const { runId: id, workdir, trajectory } = this.#run;
    const place = { id, folder: workdir, workdir, alias: null };
    if (trajectory !== undefined) {
      const found = await readTrajectory(trajectory);
      if (typeof found === "string") {
        return unreadableRun({ kind: "mini", id, folder: workdir }, `"${trajectory}": ${found}`, nowMs);
      }
      return indexedOf(found, { ...place, isCarriedOut: false }, nowMs);
    }
    let sums = await this.#log!.read();
    this.#owner = sums.owner;
    const isCarriedOut = this.isCarriedOut();
    // Who ended in between has told it there.
    if (!isCarriedOut) sums = await this.#log!.read();
    return indexedOf(sums, { ...place, isCarriedOut }, nowMs);
  }
}

/** Of a run that the server has started: its stdout, in a folder of its own. */
export class StartedReader implements RunReader {
  readonly #folder: string;
  readonly #stream: GrowingLog<MiniSums>;
  #process: StartedProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#stream = new GrowingLog(join(folder, STREAM_JSONL), { empty: noSums, add: addStreamLine });
  }

  isCarriedOut(): boolean {
    return this.#process !== undefined && !isCertainlyDead(this.#process.identity);
  }

  letGo(): void {
    this.#stream.letGo();
  }

  async read(nowMs: number): Promise<IndexedRun | undefined> {
    this.#process ??= await readStartedProcess(join(this.#folder, PROCESS_JSON));
    if (this.#process === undefined) return undefined;
    const { task, model, workdir, startedAt } = this.#process;
    const isCarriedOut = this.isCarriedOut();
    const told = await this.#stream.read().catch((error) => {
      if (error instanceof Deno.errors.NotFound) return noSums();
      throw error;
    });
    const sums = {
      ...told,
      task: told.task || task,
      model: told.model || model,
      startedAt: told.startedAt ?? startedAt,
    };
    const id = basename(this.#folder);
    const place = { id, folder: this.#folder, workdir: told.workdir || workdir, alias: told.runId || null };
    return indexedOf(sums, { ...place, isCarriedOut }, nowMs);
  }
}

export const STREAM_JSONL = "stream.jsonl";
export const PROCESS_JSON = "process.json";

interface StartedProcess {
  readonly identity: ProcessIdentity;
  readonly task: string;
  readonly model: string;
  readonly workdir: string;
  readonly startedAt: string;
}

/** Undefined: it is not written yet. */
async function readStartedProcess(path: string): Promise<StartedProcess | undefined> {
  const found = objectOf(await readJson(path, MAX_PROCESS_BYTES).catch(() => undefined));
  const identity = identityOf(found);
  return identity && {
    identity,
    task: textOf(found.task),
    model: textOf(found.model),
    workdir: textOf(found.workdir),
    startedAt: textOf(found.started_at),
  };
}

function identityOf(value: unknown): ProcessIdentity | undefined {
  const { pid, start_ticks, boot_id, pid_namespace } = objectOf(value);
  if (!Number.isSafeInteger(pid) || (pid as number) <= 0) return undefined;
  return {
    pid: pid as number,
    start_ticks: typeof start_ticks === "number" ? start_ticks : undefined,
    boot_id: typeof boot_id === "string" ? boot_id : undefined,
    pid_namespace: typeof pid_namespace === "string" ? pid_namespace : undefined,
  };
}

/** Its sums, or why there are none. */
async function readTrajectory(path: string): Promise<MiniSums | string> {
  const sums = noSums();
  try {
    const document = objectOf(await readJson(path, MAX_TRAJECTORY_BYTES));
    const info = objectOf(document.info);
    addInfo(sums, info);
    for (const message of Array.isArray(document.messages) ? document.messages : []) addMessage(sums, message);
    const { instance_cost: cost, api_calls: calls } = objectOf(info.model_stats);
    // What the run itself has counted knows of calls without an answer.
    sums.knownUsd = numberOf(cost) ?? sums.knownUsd;
    sums.calls = countIn(calls) ?? sums.calls;
    sums.unpricedCalls = numberOf(cost) === undefined ? 1 : 0;
    sums.end = endOf(textOf(info.exit_status), { result: sums.end?.result ?? "", submission: textOf(info.submission) });
    return sums;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

async function readJson(path: string, maxBytes: number): Promise<unknown> {
  const { isFile, size } = await Deno.lstat(path);
  if (!isFile) throw new Error("It is no file");
  if (size > maxBytes) throw new Error(`It has ${size} bytes, more than ${maxBytes}`);
  return JSON.parse(await Deno.readTextFile(path));
}

/** An entry of a run's log, see `store/run_logs.ts`. */
function addLogLine(sums: MiniSums, value: unknown): void {
  const { kind, info, message, end, owner } = objectOf(value);
  if (kind === "run") {
    addInfo(sums, objectOf(info));
    sums.owner = identityOf(owner);
  } else if (kind === "message") addMessage(sums, message);
  else if (kind === "end") {
    const { exitStatus, submission } = objectOf(end);
    sums.end = endOf(textOf(exitStatus), { result: sums.end?.result ?? "", submission: textOf(submission) });
  }
}

function addInfo(sums: MiniSums, info: Record<string, unknown>): void {
  sums.runId = textOf(info.run_id);
  sums.task = textOf(info.task);
  sums.workdir = textOf(info.workdir);
  sums.model = textOf(objectOf(objectOf(info.config).model).model_name);
}

/** In mini-swe-agent's format. */
function addMessage(sums: MiniSums, value: unknown): void {
  const { role, content, extra: unknownExtra } = objectOf(value);
  const extra = objectOf(unknownExtra);
  const { timestamp, cost } = extra;
  if (typeof timestamp === "number" && Math.abs(timestamp) < 8.64e12) {
    const time = new Date(timestamp * 1000).toISOString();
    sums.startedAt ??= time;
    sums.lastAt = time;
  }
  if (role === "assistant") {
    sums.calls++;
    const usd = numberOf(cost);
    if (usd === undefined) sums.unpricedCalls++;
    else sums.knownUsd += usd;
    addTokens(sums, extra);
  }
  if (role === "exit") {
    sums.end = endOf(textOf(extra.exit_status), { result: textOf(content), submission: textOf(extra.submission) });
    addError(sums, textOf(extra.exception_str));
  }
  // A trajectory of mini-swe-agent has its task in the first thing that is said to the model alone.
  if (role === "user" && sums.task === "") sums.task = textOf(content);
}

/** As we count them; of another program's message as its provider did. */
function addTokens(sums: MiniSums, { usage, response }: Record<string, unknown>): void {
  const { input, cacheRead, cacheWrite, output } = objectOf(usage);
  const wire = objectOf(objectOf(response).usage);
  sums.inputTokens += countIn(input) ?? countIn(wire.input_tokens) ?? countIn(wire.prompt_tokens) ?? 0;
  sums.inputTokens += (countIn(cacheRead) ?? 0) + (countIn(cacheWrite) ?? 0);
  sums.outputTokens += countIn(output) ?? countIn(wire.output_tokens) ?? countIn(wire.completion_tokens) ?? 0;
}

/** A line of `gocore mini --headless`: `{type, data, timestamp}`. */
function addStreamLine(sums: MiniSums, value: unknown): void {
  const { type, data: unknownData, timestamp } = objectOf(value);
  const data = objectOf(unknownData);
  const time = textOf(timestamp);
  if (time !== "") sums.lastAt = time;
  switch (type) {
    case "start":
      sums.runId = textOf(data.run_id);
      sums.task = textOf(data.task);
      sums.model = textOf(data.model);
      sums.workdir = textOf(data.workdir);
      sums.startedAt = time || null;
      break;
    case "step":
      sums.calls = countIn(data.step) ?? sums.calls;
      if (data.cost_so_far === null) sums.unpricedCalls = 1;
      else sums.knownUsd = numberOf(data.cost_so_far) ?? sums.knownUsd;
      break;
    case "log":
      if (data.level === "warning" || data.level === "error") addError(sums, textOf(data.content));
      break;
    case "error":
      addError(sums, textOf(data.error));
      break;
    case "finish":
      sums.end = { status: textOf(data.status), result: textOf(data.result) };
      break;
    case "cost":
      sums.calls = countIn(data.calls) ?? sums.calls;
      sums.knownUsd = numberOf(data.known_total) ?? sums.knownUsd;
      sums.unpricedCalls = countIn(data.unpriced_calls) ?? sums.unpricedCalls;
      sums.inputTokens = ["input_tokens", "cache_read_tokens", "cache_write_tokens"]
        .reduce((sum, name) => sum + (countIn(data[name]) ?? 0), 0);
      sums.outputTokens = countIn(data.output_tokens) ?? sums.outputTokens;
      break;
  }
}

/** No more than sums of them can hold exactly. */
const MAX_COUNT = 1e12;

function countIn(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_COUNT
    ? value as number
    : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 ? value : undefined;
}

function addError({ errors }: MiniSums, text: string): void {
  if (text === "") return;
  errors.push(clip(text, MAX_ERROR));
  if (errors.length > MAX_ERRORS) errors.shift();
}

/** mini-swe-agent's word for an end, in ours. */
function endOf(
  exitStatus: string,
  { result, submission }: { readonly result: string; readonly submission: string },
): MiniSums["end"] {
  const said = result === "" ? submission : result;
  switch (exitStatus) {
    case "":
      return undefined;
    case "Submitted":
      return { status: "success", result: said };
    case "LimitsExceeded":
      return { status: /\bcost\b/i.test(said) ? "cost_limit" : "step_limit", result: said };
    case "TimeExceeded":
      return { status: "time_limit", result: said };
    case "RepeatedFormatError":
      return { status: "format_error", result: said };
    case "Interrupted":
      return { status: "interrupted", result: said };
    case "Killed":
      return { status: "cut_off", result: said };
    default:
      return { status: "error", result: said === "" ? exitStatus : said };
  }
}

interface IndexedPlace {
  readonly id: string;
  readonly folder: string;
  readonly workdir: string;
  readonly alias: string | null;
}

function indexedOf(
  sums: MiniSums,
  { id, folder, workdir, alias, isCarriedOut }: IndexedPlace & { readonly isCarriedOut: boolean },
  nowMs: number,
): IndexedRun {
  const running = isCarriedOut && sums.end === undefined;
  const status = sums.end?.status ?? (running ? "running" : "cut_off");
  const result = sums.end?.result ?? "";
  const entry = entryOf({
    kind: "mini",
    id,
    folder,
    task: sums.task,
    status,
    running,
    attention: attentionOf(status, { running, result, since: sums.lastAt }),
    agents: ["mini"],
    models: [sums.model],
    source: workdir,
    startedAt: sums.startedAt,
    endedAt: sums.end === undefined || status === "cut_off" ? null : sums.lastAt,
    lastEventAt: sums.lastAt,
    knownUsd: sums.knownUsd,
    unpricedCalls: sums.unpricedCalls,
    calls: sums.calls,
    progress: status === "success" ? 100 : null,
    summary: result === "" ? sums.errors.at(-1) ?? null : result,
  }, nowMs);
  return {
    entry,
    alias,
    ledger: null,
    workers: [],
    inputTokens: sums.inputTokens,
    outputTokens: sums.outputTokens,
    text: searchedText([id, alias, sums.task, workdir, sums.model, status, result, ...sums.errors]),
  };
}

function attentionOf(
  status: string,
  { running, result, since }: { readonly running: boolean; readonly result: string; readonly since: string | null },
): Entry["attention"] {
  if (running || status === "success" || status === "interrupted") return [];
  if (status === "cut_off") return [{ kind: "cut_off", text: "Its process was killed", worker: null, since }];
  return [{ kind: "failed", text: result === "" ? `It has ended as ${status}` : result, worker: null, since }];
}
