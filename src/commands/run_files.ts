/** What a headless run leaves on disk: its log as it goes, its trajectory at the end, lines for debugging. */
import { configDump } from "../config/config_dump.ts";
import { type AgentHome, requireHomeInside } from "../config/agent_home.ts";
import type { MiniSettings } from "../config/mini_settings.ts";
import { VERSION } from "../config/version.ts";
import type { EventData, EventFact, RunEvent } from "../events/event.ts";
import { describeFailure } from "../failure.ts";
import { errorData, type Outcome, wordsOf } from "../mini/outcome.ts";
import type { Tally } from "../mini/tally.ts";
import { trajectoryDocument, type TrajectoryMessage, TrajectoryRecorder } from "../mini/trajectory.ts";
import type { Redactor } from "../safety/secrets.ts";
import { removeAbandonedTemporaries, writeFileAtomic } from "../store/atomic_file.ts";
import { DebugLog } from "../store/debug_log.ts";
import { ownIdentity } from "../store/process_identity.ts";
import { claimAbandonedRunLogs, readRunLog, RunLog } from "../store/run_logs.ts";

export interface RunFilesOptions {
  readonly home: AgentHome;
  readonly settings: MiniSettings;
  readonly opening: EventData<"start">;
  readonly redactor: Redactor;
  now(): number;
  publish(fact: EventFact): Promise<void>;
}

export class RunFiles {
  readonly #options: RunFilesOptions;
  readonly #log: RunLog;
  readonly #debug: DebugLog;
  readonly #recorder: TrajectoryRecorder;
  #endRecorded = false;

  /** Makes the files. Throws a `Failure` when the run's log cannot be made; the debug log may fail silently. */
  constructor(options: RunFilesOptions) {
    const { home, settings, opening, redactor, now } = options;
    this.#options = options;
    this.#debug = DebugLog.open(home.debugLogPath, { now });
    const info = trajectoryInfo(settings, opening);
    this.#log = RunLog.create(home.runLogsDir, opening.run_id, { kind: "run", info: redactor.redactDeep(info) });
    this.#recorder = new TrajectoryRecorder({ log: this.#log, redactor, now });
  }

  readonly record = (message: TrajectoryMessage): void => this.#recorder.record(message);

  /** A line in the debug log. */
  note(level: "debug" | "info" | "warning" | "error", text: string): void {
    this.#debug.write(level, this.#options.redactor.redact(text));
  }

  readonly noteEvent = ({ type, data }: RunEvent): void => {
    const level = type === "log" ? data.level : type === "error" ? "error" : "info";
    this.#debug.write(level, `${type} ${JSON.stringify(this.#options.redactor.redactDeep(data))}`);
  };

  /** The path, or null when it could not be saved; the log of the run then stays, with everything in it. */
  async saveTrajectory(outcome: Outcome, tally: Tally): Promise<string | null> {
    const { home, settings, publish } = this.#options;
    const wanted = settings.agent.outputPath ?? home.trajectoryPath;
    for (const path of new Set([wanted, home.trajectoryPath])) {
      try {
        this.#recordEnd(outcome, tally);
        if (path === home.trajectoryPath) await requireHomeInside(home);
        await writeFileAtomic(path, trajectoryDocument(() => this.#log.entries()));
        this.#log.remove();
        return path;
      } catch (error) {
        await publish({ type: "log", data: { level: "error", content: describeFailure(error).trimEnd() } });
      }
    }
    this.#log.close();
    return null;
  }

  /** A run that was killed has left its log; whoever comes next in this workdir makes its trajectory of it. */
  async saveAbandonedRuns(): Promise<void> {
    const { home, publish } = this.#options;
    for (const folder of [home.dataDir, home.runLogsDir]) await removeAbandonedTemporaries(folder);
    for (const path of await claimAbandonedRunLogs(home.runLogsDir)) {
      const runId = path.split("/").at(-1)!.replace(/\.claimed-\d+\.jsonl$|\.jsonl$/, "");
      const saved = `${home.runLogsDir}/${runId}.traj.json`;
      try {
        const killed = await endCommandsOfLog(path);
        await writeFileAtomic(saved, trajectoryDocument(() => readRunLog(path)));
        await Deno.remove(path);
        const content = `The run ${runId} was killed before it ended; its trajectory is now in ${saved}` +
          (killed === 0 ? "" : `, and ${killed} processes of its commands, which were still running, are ended`);
        await publish({ type: "log", data: { level: "info", content } });
      } catch (error) {
        this.note("warning", describeFailure(error));
      }
    }
  }

  /** The debug log; the run's own log is closed with the trajectory. */
  close(): void {
    this.#debug.close();
  }

  #recordEnd(outcome: Outcome, tally: Tally): void {
    if (this.#endRecorded) return;
    const words = wordsOf(outcome);
    this.#recorder.end({
      exitStatus: words.exitStatus,
      result: words.result,
      submission: outcome.kind === "submitted" ? outcome.submission : "",
      cost: tally.totalUsd,
      calls: tally.calls,
      extra: outcome.kind === "failed" ? { ...errorData(outcome), exception_str: words.result } : undefined,
    });
    this.#endRecorded = true;
  }
}

/** A run that is killed cannot end its commands: nothing outlives its run, be it late. */
async function endCommandsOfLog(path: string): Promise<number> {
  for await (const { owner } of readRunLog(path)) {
    const { pid, pid_namespace: namespace } = (owner ?? {}) as { pid?: unknown; pid_namespace?: unknown };
    // A number from another container means another process here.
    if (typeof pid !== "number" || namespace !== ownIdentity().pid_namespace) return 0;
    const { endCommandsOf } = await import("../process/spawn.ts");
    return await endCommandsOf(pid);
  }
  return 0;
}

function trajectoryInfo(settings: MiniSettings, opening: EventData<"start">): Record<string, unknown> {
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
