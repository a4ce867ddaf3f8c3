/** One headless run of the agent, from its flags to its exit code. */
import type { MiniSettings } from "../config/mini_settings.ts";
import { initializeAgentHome, resolveWorkdir } from "../config/agent_home.ts";
import { loadEnvFile, mergeEnv } from "../config/env_file.ts";
import { loadMiniSettings } from "../config/load_mini_settings.ts";
import { VERSION } from "../config/version.ts";
import type { EventData } from "../events/event.ts";
import { Failure } from "../failure.ts";
import { Agent } from "../mini/agent.ts";
import { type Outcome, outcomeOfError } from "../mini/outcome.ts";
import { Tally } from "../mini/tally.ts";
import { providerTable } from "../models/provider_table.ts";
import { Redactor, secretsIn, splitSecrets } from "../safety/secrets.ts";
import { removeTemporaries } from "../store/atomic_file.ts";
import type { Io } from "../terminal/io.ts";
import { commandPolicyOf } from "./command_policy_of.ts";
import { createModel } from "./create_model.ts";
import { HeadlessStream } from "./headless_stream.ts";
import { RunFiles } from "./run_files.ts";
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
  const stream = new HeadlessStream(io);
  const opening = openingOf(flags, io);
  let run: Run | undefined;
  let outcome: Outcome;
  try {
    run = await Run.prepare(flags, opening, stream, io);
    outcome = await run.work();
  } catch (error) {
    outcome = outcomeOfError(io.signal.aborted ? io.signal.reason : error);
  }
  if (run === undefined) return await stream.close(outcome, opening);
  return await run.end(outcome);
}

/** A run that ends before it could be prepared: the command line is wrong. */
export function reportFailure(
  failure: Failure,
  opening: { task: string; model: string; workdir: string | undefined },
  io: Io,
): Promise<number> {
  const { task, model, workdir } = opening;
  return new HeadlessStream(io).close(
    { kind: "failed", error: failure },
    openingOf({ task, model, workdir, config: [] }, io),
  );
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

const STDOUT_FD = 1;

/** A run with everything it needs. */
class Run {
  readonly #io: Io;
  readonly #stream: HeadlessStream;
  readonly #settings: MiniSettings;
  readonly #task: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #opening: Opening;
  readonly #files: RunFiles;
  #tally = new Tally();
  #endCommands: () => Promise<unknown> = () => Promise.resolve();

  private constructor(parts: {
    io: Io;
    stream: HeadlessStream;
    settings: MiniSettings;
    task: string;
    env: Readonly<Record<string, string>>;
    opening: Opening;
    files: RunFiles;
  }) {
    this.#io = parts.io;
    this.#stream = parts.stream;
    this.#settings = parts.settings;
    this.#task = parts.task;
    this.#env = parts.env;
    this.#opening = parts.opening;
    this.#files = parts.files;
  }

  /** Reads everything that decides the run, and says `start` as soon as it is known. */
  static async prepare(flags: MiniFlags, known: Opening, stream: HeadlessStream, io: Io): Promise<Run> {
    const home = await initializeAgentHome(known.workdir);
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
      ...known,
      task,
      model: settings.model.name,
      protocol: settings.model.protocol,
      config: sources,
      limits: {
        steps: settings.agent.stepLimit,
        cost_usd: settings.agent.costLimitUsd,
        wall_time_seconds: settings.agent.wallTimeLimitSeconds,
      },
      trajectory_path: settings.agent.outputPath ?? home.trajectoryPath,
    };
    const files = new RunFiles({ home, settings, opening, redactor, now: io.now, publish: stream.publish });
    stream.subscribe(files.noteEvent);
    await stream.publish({ type: "start", data: opening });
    for (const content of warnings) await stream.publish({ type: "log", data: { level: "warning", content } });
    // The file may have come with the repository, and the caller's keys go where it says.
    const addresses = new Set(["MINI_API_BASE", ...Object.values(providerTable).flatMap((row) => row.baseVariables)]);
    for (const [name, value] of Object.entries(fileEnv)) {
      if (!addresses.has(name) || Object.hasOwn(io.env, name)) continue;
      disclosures.push(`${name} from ${home.envFilePath} decides where model calls go: ${value}`);
    }
    for (const content of disclosures) await stream.publish({ type: "log", data: { level: "info", content } });
    for (const notice of notices) files.note("debug", notice);
    return new Run({ io, stream, settings, task, env, opening, files });
  }

  async work(): Promise<Outcome> {
    const { signal } = this.#io;
    signal.throwIfAborted();
    const parts = [
      createModel(this.#settings.model, { env: this.#env, cwd: this.#io.cwd }),
      import("../templates/render.ts").then(({ loadRenderer }) => loadRenderer()),
      this.#createEnvironment(),
      this.#files.saveAbandonedRuns(),
    ] as const;
    // Each to its end, also when one fails: what still works would speak after the run's last event.
    await Promise.allSettled(parts);
    const [model, renderer, environment] = await Promise.all(parts);
    const agent = new Agent({
      settings: this.#settings,
      model,
      environment,
      renderer,
      policy: commandPolicyOf(this.#settings.environment, { env: this.#commandEnv, workdir: this.#opening.workdir }),
      publish: this.#stream.publish,
      record: this.#files.record,
      monotonicMs: this.#io.monotonicMs,
    });
    this.#tally = agent.tally;
    const { wallTimeLimitSeconds } = this.#settings.agent;
    const timer = wallTimeLimitSeconds > 0 && wallTimeLimitSeconds * 1000 < 2 ** 31
      ? setTimeout(() => this.#stream.expectEnd(), wallTimeLimitSeconds * 1000)
      : undefined;
    const { watchForHangUp } = await import("../process/hang_up.ts");
    using _ = watchForHangUp(STDOUT_FD, () => this.#io.abort(new Failure("closed", "Nobody reads stdout any more")));
    return await agent.run(this.#task, signal).finally(() => clearTimeout(timer));
  }

  /** Kills what is still running, saves the trajectory, tells the end; the exit code. */
  async end(outcome: Outcome): Promise<number> {
    await this.#endCommands();
    const trajectoryPath = await this.#files.saveTrajectory(outcome, this.#tally);
    const exitCode = await this.#stream.close(outcome, this.#opening, { tally: this.#tally, trajectoryPath });
    this.#files.close();
    return exitCode;
  }

  /** What commands inherit. */
  get #commandEnv(): Record<string, string> {
    const { plain, secret } = splitSecrets(this.#env);
    const forwarded = this.#settings.environment.forwardEnv.filter((name) => Object.hasOwn(secret, name));
    return { ...plain, ...Object.fromEntries(forwarded.map((name) => [name, secret[name]!])) };
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
    return new LocalEnvironment({
      settings: this.#settings.environment,
      raw: this.#settings.raw.environment,
      env: this.#commandEnv,
      uname: machine,
      run: runCommand,
    });
  }
}
