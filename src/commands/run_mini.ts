/** One headless run of the agent: everything it needs is made here, and every way it can end is told here. */
import type { MiniSettings } from "../config/mini_settings.ts";
import { type AgentHome, initializeAgentHome, resolveWorkdir } from "../config/agent_home.ts";
import { configDump } from "../config/config_dump.ts";
import { loadEnvFile, mergeEnv } from "../config/env_file.ts";
import { loadMiniSettings } from "../config/load_mini_settings.ts";
import { VERSION } from "../config/version.ts";
import { EventBus } from "../events/bus.ts";
import type { EventData, EventFact } from "../events/event.ts";
import { describeFailure, Failure } from "../failure.ts";
import { Agent } from "../mini/agent.ts";
import { HeadlessOutput } from "../mini/headless_output.ts";
import { errorData, type Outcome, outcomeOfError, wordsOf } from "../mini/outcome.ts";
import { Tally } from "../mini/tally.ts";
import { trajectoryDocument, TrajectoryRecorder } from "../mini/trajectory.ts";
import { providerTable } from "../models/provider_table.ts";
import { Redactor, secretsIn, splitSecrets } from "../safety/secrets.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { removeAbandonedTemporaries, removeTemporaries, writeFileAtomic } from "../store/atomic_file.ts";
import { DebugLog } from "../store/debug_log.ts";
import { claimAbandonedRunLogs, readRunLog, RunLog } from "../store/run_logs.ts";
import type { Io } from "../terminal/io.ts";
import { createModel } from "./create_model.ts";
import { uname } from "./uname.ts";

export interface MiniFlags {
  readonly task?: string;
  readonly model?: string;
  readonly profile?: string;
  readonly config: readonly string[];
  readonly workdir?: string;
  readonly yolo?: boolean;
  readonly costLimit?: number;
  readonly output?: string;
  readonly stepLimit?: number;
  readonly wallTimeLimit?: number;
  readonly protocol?: "toolcall" | "text";
}

/** Runs to the end, told on stdout; the exit code. Never throws. */
export async function runMini(flags: MiniFlags, io: Io): Promise<number> {
  const stream = new Stream(io);
  let run: Run | undefined;
  let outcome: Outcome;
  try {
    run = await Run.prepare(flags, stream, io);
    outcome = await run.work();
  } catch (error) {
    outcome = outcomeOfError(io.signal.aborted ? io.signal.reason : error);
  }
  if (run === undefined) return await stream.close(outcome, openingOf(flags, io));
  return await run.end(outcome);
}

/** A run that ends before it could be prepared: the command line is wrong. */
export function reportFailure(
  failure: Failure,
  opening: { task: string; model: string; workdir: string | undefined },
  io: Io,
): Promise<number> {
  const { task, model, workdir } = opening;
  return new Stream(io).close({ kind: "failed", error: failure }, openingOf({ task, model, workdir, config: [] }, io));
}

type Opening = EventData<"start">;

/** What the command line alone says, for a run that fails before its settings are known. */
function openingOf(flags: MiniFlags, io: Io): Opening {
  return {
    task: flags.task ?? "",
    model: flags.model ?? "",
    workdir: resolveWorkdir({ flag: flags.workdir, env: io.env, cwd: io.cwd }),
    version: VERSION,
    pid: Deno.pid,
    run_id: newRunId(io.now()),
    protocol: null,
    config: [],
    limits: {
      steps: flags.stepLimit ?? 0,
      cost_usd: flags.costLimit ?? 0,
      wall_time_seconds: flags.wallTimeLimit ?? 0,
    },
    trajectory_path: null,
  };
}

/** Sorts by time; unique also for two runs that start in one workdir in the same millisecond. */
function newRunId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  return `${time}-${Deno.pid}-${crypto.randomUUID().slice(0, 4)}`;
}

/** How long a reader of stdout that does not read may hold up the end of an interrupted run. */
const STUCK_READER_MS = 2000;

/** Not a race against one promise for the whole run, which would remember every line. */
function settledOrAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => resolve();
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

/** The events of a run on stdout: first `start`, then anything, at the end `error`?, `finish`, `cost`. */
class Stream {
  readonly output: HeadlessOutput;
  readonly #bus: EventBus;
  readonly #io: Io;
  readonly #startedMs: number;
  #opened = false;

  constructor(io: Io) {
    this.#io = io;
    this.#startedMs = io.monotonicMs();
    const stuck = new AbortController();
    const onAbort = () => void setTimeout(() => stuck.abort(), STUCK_READER_MS);
    if (io.signal.aborted) onAbort();
    else io.signal.addEventListener("abort", onAbort, { once: true });
    this.output = new HeadlessOutput({
      write: (line) => settledOrAborted(io.stdout.write(line), stuck.signal),
      redactor: new Redactor(secretsIn(io.env)),
      includeTimestamps: true,
      maxOutputLength: 0,
    });
    // Without a reader the run is for nothing: it ends, and saves what it has.
    this.#bus = new EventBus({ now: io.now, onSubscriberError: (error) => io.abort(error) });
    this.#bus.subscribe(this.output.show);
  }

  readonly publish = (fact: EventFact): Promise<void> => {
    if (fact.type === "start") this.#opened = true;
    return this.#bus.publish(fact);
  };

  subscribe(...args: Parameters<EventBus["subscribe"]>): void {
    this.#bus.subscribe(...args);
  }

  /** Tells the end; the exit code. */
  async close(
    outcome: Outcome,
    opening: Opening,
    totals: { tally: Tally; trajectoryPath: string | null } = { tally: new Tally(), trajectoryPath: null },
  ): Promise<number> {
    if (!this.#opened) await this.publish({ type: "start", data: opening });
    const words = wordsOf(outcome);
    const error = errorData(outcome);
    if (error !== undefined) await this.publish({ type: "error", data: error });
    await this.publish({
      type: "finish",
      data: {
        status: words.status,
        result: words.result,
        exit_status: words.exitStatus,
        steps: totals.tally.calls,
        total_cost: totals.tally.totalUsd,
        duration_seconds: (this.#io.monotonicMs() - this.#startedMs) / 1000,
        trajectory_path: totals.trajectoryPath,
      },
    });
    await this.publish({ type: "cost", data: totals.tally.costData });
    await this.#tellOutputFailure(outcome);
    return words.exitCode;
  }

  /** stdout that cannot take the events can only be told of on stderr; a reader that went away wants to hear nothing. */
  async #tellOutputFailure(outcome: Outcome): Promise<void> {
    const failed = this.#io.stdout.failure;
    if (failed === undefined || failed.kind === "closed") return;
    const told = outcome.kind === "failed" ? outcome.error : failed;
    await this.#io.stderr.write(escapeTerminal(describeFailure(told))).catch(() => {});
  }
}

/** A run with everything it needs. */
class Run {
  readonly #io: Io;
  readonly #stream: Stream;
  readonly #home: AgentHome;
  readonly #settings: MiniSettings;
  readonly #task: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #opening: Opening;
  readonly #log: RunLog;
  readonly #debug: DebugLog;
  readonly #recorder: TrajectoryRecorder;
  #tally = new Tally();
  #endRecorded = false;
  #endCommands: () => Promise<unknown> = () => Promise.resolve();

  private constructor(parts: {
    io: Io;
    stream: Stream;
    home: AgentHome;
    settings: MiniSettings;
    task: string;
    env: Readonly<Record<string, string>>;
    opening: Opening;
    redactor: Redactor;
  }) {
    this.#io = parts.io;
    this.#stream = parts.stream;
    this.#home = parts.home;
    this.#settings = parts.settings;
    this.#task = parts.task;
    this.#env = parts.env;
    this.#opening = parts.opening;
    this.#debug = DebugLog.open(parts.home.debugLogPath, { now: parts.io.now });
    const info = trajectoryInfo(parts.settings, parts.opening);
    this.#log = RunLog.create(parts.home.runLogsDir, parts.opening.run_id, {
      kind: "run",
      info: parts.redactor.redactDeep(info),
    });
    this.#recorder = new TrajectoryRecorder({ log: this.#log, redactor: parts.redactor, now: parts.io.now });
    parts.stream.subscribe(({ type, data }) => {
      const level = type === "log" ? data.level : type === "error" ? "error" : "info";
      this.#debug.write(level, `${type} ${JSON.stringify(parts.redactor.redactDeep(data))}`);
    });
  }

  /** Reads everything that decides the run, and says `start` as soon as it is known. */
  static async prepare(flags: MiniFlags, stream: Stream, io: Io): Promise<Run> {
    const home = await initializeAgentHome(resolveWorkdir({ flag: flags.workdir, env: io.env, cwd: io.cwd }));
    const fileEnv = await loadEnvFile(home.envFilePath);
    const env = mergeEnv(io.env, fileEnv);
    const { settings, sources, warnings, disclosures, notices, task: configuredTask } = await loadMiniSettings({
      home,
      cwd: io.cwd,
      configSpecs: [...flags.config],
      profile: flags.profile,
      env,
      overrides: {
        model: flags.model,
        yolo: flags.yolo,
        costLimitUsd: flags.costLimit,
        stepLimit: flags.stepLimit,
        wallTimeLimitSeconds: flags.wallTimeLimit,
        protocol: flags.protocol,
        output: flags.output,
      },
    });
    const redactor = new Redactor([
      ...secretsIn(env),
      ...secretsIn({ kwargs: settings.model.kwargs, env: settings.environment.env }),
    ]);
    stream.output.configure({ redactor, ...settings.headless });
    const task = flags.task ?? configuredTask ?? "";
    if (task.trim() === "") {
      throw new Failure("usage", "Cannot start: no task is given", { hints: ['Add `--task "…"`'] });
    }
    if (settings.model.name === "") {
      throw new Failure("usage", "Cannot start: no model is named", {
        hints: ["Add `--model provider/model`, for example `--model anthropic/claude-sonnet-4-20250514`"],
      });
    }
    const opening: Opening = {
      ...openingOf(flags, io),
      task,
      model: settings.model.name,
      workdir: home.workdir,
      protocol: settings.model.protocol,
      config: sources,
      limits: {
        steps: settings.agent.stepLimit,
        cost_usd: settings.agent.costLimitUsd,
        wall_time_seconds: settings.agent.wallTimeLimitSeconds,
      },
      trajectory_path: settings.agent.outputPath ?? home.trajectoryPath,
    };
    const run = new Run({ io, stream, home, settings, task, env, opening, redactor });
    await stream.publish({ type: "start", data: opening });
    for (const content of warnings) await stream.publish({ type: "log", data: { level: "warning", content } });
    // The file may have come with the repository, and the caller's keys go where it says.
    const addresses = new Set(["MINI_API_BASE", ...Object.values(providerTable).flatMap((row) => row.baseVariables)]);
    for (const [name, value] of Object.entries(fileEnv)) {
      if (!addresses.has(name) || Object.hasOwn(io.env, name)) continue;
      disclosures.push(`${name} from ${home.envFilePath} decides where model calls go: ${value}`);
    }
    for (const content of disclosures) await stream.publish({ type: "log", data: { level: "info", content } });
    for (const notice of notices) run.#debug.write("debug", redactor.redact(notice));
    return run;
  }

  async work(): Promise<Outcome> {
    const { signal } = this.#io;
    signal.throwIfAborted();
    const parts = [
      createModel(this.#settings.model, { env: this.#env, cwd: this.#io.cwd }),
      import("../templates/render.ts").then(({ loadRenderer }) => loadRenderer()),
      this.#createEnvironment(),
      this.#saveAbandonedRuns(),
    ] as const;
    // Each to its end, also when one fails: what still works would speak after the run's last event.
    await Promise.allSettled(parts);
    const [model, renderer, environment] = await Promise.all(parts);
    const agent = new Agent({
      settings: this.#settings,
      model,
      environment,
      renderer,
      publish: this.#stream.publish,
      record: (message) => this.#recorder.record(message),
      monotonicMs: this.#io.monotonicMs,
    });
    this.#tally = agent.tally;
    return await agent.run(this.#task, signal);
  }

  /** Kills what is still running, saves the trajectory, tells the end; the exit code. */
  async end(outcome: Outcome): Promise<number> {
    await this.#endCommands();
    const trajectoryPath = await this.#saveTrajectory(outcome);
    const exitCode = await this.#stream.close(outcome, this.#opening, { tally: this.#tally, trajectoryPath });
    this.#debug.close();
    return exitCode;
  }

  async #createEnvironment() {
    const [{ runCommand, endAllCommands, killAllNow }, { LocalEnvironment }, machine] = await Promise.all([
      import("../process/spawn.ts"),
      import("../mini/local_environment.ts"),
      uname(),
    ]);
    this.#endCommands = endAllCommands;
    this.#io.onHardExit(killAllNow);
    this.#io.onHardExit(removeTemporaries);
    const { plain, secret } = splitSecrets(this.#env);
    const forwarded = this.#settings.environment.forwardEnv.filter((name) => Object.hasOwn(secret, name));
    return new LocalEnvironment({
      settings: this.#settings.environment,
      raw: this.#settings.raw.environment,
      env: { ...plain, ...Object.fromEntries(forwarded.map((name) => [name, secret[name]!])) },
      uname: machine,
      run: runCommand,
    });
  }

  /** The path, or null when it could not be saved; the log of the run then stays, with everything in it. */
  async #saveTrajectory(outcome: Outcome): Promise<string | null> {
    const wanted = this.#settings.agent.outputPath ?? this.#home.trajectoryPath;
    for (const path of new Set([wanted, this.#home.trajectoryPath])) {
      try {
        this.#recordEnd(outcome);
        await writeFileAtomic(path, trajectoryDocument(() => this.#log.entries()));
        this.#log.remove();
        return path;
      } catch (error) {
        const content = describeFailure(error).trimEnd();
        await this.#stream.publish({ type: "log", data: { level: "error", content } });
      }
    }
    this.#log.close();
    return null;
  }

  #recordEnd(outcome: Outcome): void {
    if (this.#endRecorded) return;
    const words = wordsOf(outcome);
    this.#recorder.end({
      exitStatus: words.exitStatus,
      result: words.result,
      submission: outcome.kind === "submitted" ? outcome.submission : "",
      cost: this.#tally.totalUsd,
      calls: this.#tally.calls,
      extra: outcome.kind === "failed" ? { ...errorData(outcome), exception_str: words.result } : undefined,
    });
    this.#endRecorded = true;
  }

  /** A run that was killed has left its log; whoever comes next in this workdir makes its trajectory of it. */
  async #saveAbandonedRuns(): Promise<void> {
    for (const folder of [this.#home.dataDir, this.#home.runLogsDir]) await removeAbandonedTemporaries(folder);
    for (const path of await claimAbandonedRunLogs(this.#home.runLogsDir)) {
      const runId = path.split("/").at(-1)!.replace(/\.claimed-\d+\.jsonl$|\.jsonl$/, "");
      const saved = `${this.#home.runLogsDir}/${runId}.traj.json`;
      try {
        await writeFileAtomic(saved, trajectoryDocument(() => readRunLog(path)));
        await Deno.remove(path);
        const content = `The run ${runId} was killed before it ended; its trajectory is now in ${saved}`;
        await this.#stream.publish({ type: "log", data: { level: "info", content } });
      } catch (error) {
        this.#debug.write("warning", describeFailure(error));
      }
    }
  }
}

function trajectoryInfo(settings: MiniSettings, opening: Opening): Record<string, unknown> {
  const { agent, model, environment } = configDump(settings);
  return {
    run_id: opening.run_id,
    task: opening.task,
    workdir: opening.workdir,
    mini_version: VERSION,
    config: {
      agent,
      agent_type: "gocore.mini.Agent",
      model,
      model_type: "gocore.models.ChatModel",
      environment,
      environment_type: "gocore.mini.LocalEnvironment",
      sources: opening.config,
    },
  };
}
