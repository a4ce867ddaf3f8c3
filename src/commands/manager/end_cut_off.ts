/** Ends a run whose process was killed: what it has left running, its worktrees, and its story. */
import { join } from "node:path";
import type { EventFact } from "../../events/event.ts";
import { lostExit } from "../../events/worker_exit.ts";
import { Failure, messageOf } from "../../failure.ts";
import { openRepository } from "../../git/open_repository.ts";
import { DECISION_JSON, FINAL_MD, jsonText, MANAGER, RUN_DONE_JSON } from "../../manager/artifacts.ts";
import type { RunState, RunWorker } from "../../manager/run_state.ts";
import { endCommandsOf, runCommand } from "../../process/spawn.ts";
import { adoptWorkerProcess, findWorkerProcess, type WorkerProcessSpec } from "../../process/worker_process.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { saveRef } from "./launcher.ts";
import { openRunLog } from "./run_folder.ts";
import { removeTree } from "./places/enclosure.ts";
import { placesFolder } from "./run_places.ts";
import { readObjectFile } from "./run_status.ts";
import { createTmuxSessions, tmuxProblem } from "./tmux_sessions.ts";

const GRACE_MS = 2000;
const EXIT_STOPPED = 1;

/** Throws a `Failure` when another process has taken the run in the meantime, or its files cannot be written. */
export async function endCutOff(
  { runId, folder, reason }: { readonly runId: string; readonly folder: string; readonly reason: string },
  { env, now }: Pick<Io, "env" | "now">,
): Promise<void> {
  let failure: unknown;
  using log = await openRunLog(folder, {
    redactor: new Redactor(secretsIn(env)),
    now,
    onFailure: (error) => failure = error,
  });
  const { state, publish } = log;
  const tmux = createTmuxSessions(runId, { env, onProblem() {} });
  if (state.finish === null) {
    await endCommandsOf(state.pid);
    await Promise.all([...state.workers.values()].map(async (worker) => {
      await endWorker(worker, { env, publish, reason });
      await tmux.close(worker.name);
    }));
    await removeWorktrees(state, { runId, env, publish });
    await removePlaces(runId, env);
    await publish({
      type: "run.finished",
      data: {
        status: "stopped",
        exit_code: EXIT_STOPPED,
        rationale: reason,
        candidate: null,
        verdict: null,
        duration_seconds: Math.max(now() - Date.parse(state.startedAt || new Date(now()).toISOString()), 0) / 1000,
      },
    });
  }
  if (tmuxProblem(env) === undefined) await tmux.close(MANAGER);
  if (failure !== undefined) throw failure;
  await writeEnd(folder, { runId, status: state.status, reason, now });
}

async function endWorker(
  { name, role, status, launch, process, exit }: RunWorker,
  { env, publish, reason }: {
    readonly env: Io["env"];
    readonly publish: (fact: EventFact) => Promise<void>;
    readonly reason: string;
  },
): Promise<void> {
  if (launch !== null && exit === null) {
    const handle = process === null
      ? findWorkerProcess(launch.mark)
      : { pid: process.pid, startTicks: process.start_ticks, mark: launch.mark, startedMs: process.started_ms };
    const running = handle && await adoptWorkerProcess(handle, formerSpec(launch.workdir, env));
    const end = await running?.stop({ graceMs: GRACE_MS });
    const told = lostExit({ worker: name, attempt: launch.attempt }, reason);
    const { exitCode = null, signal = null, leftBehind = 0, durationMs = 0 } = end ?? {};
    await publish({
      type: "worker.exited",
      data: {
        ...told,
        outcome: "stopped",
        exit_code: exitCode,
        signal,
        left_behind: leftBehind,
        duration_seconds: Math.round(durationMs) / 1000,
      },
    });
  }
  if (status !== "running" || role === null) return;
  await publish({ type: "worker.status", data: { worker: name, role, status: "stopped", reason } });
}

/** Of a worker that is only to be ended: its streams are nobody's business any more. */
function formerSpec(workdir: string, env: Io["env"]): WorkerProcessSpec {
  return {
    argv: ["true"],
    cwd: workdir,
    env,
    stdoutPath: "/dev/null",
    stderrPath: "/dev/null",
    exitPath: "/dev/null",
    sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
    limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
    backend: "process",
  };
}

/** What cannot be taken away stays, and is told. */
async function removeWorktrees(state: RunState, { runId, env, publish }: {
  readonly runId: string;
  readonly env: Io["env"];
  readonly publish: (fact: EventFact) => Promise<void>;
}): Promise<void> {
  const { start } = state;
  if (start === null) return;
  try {
    const repository = await openRepository(start.repo_path, { env, run: runCommand });
    if (repository === undefined) return;
    for (const { name, launch } of state.workers.values()) {
      if (launch === null) continue;
      const worktree = { path: launch.workdir, branch: "", base: start.commit };
      if (await Deno.lstat(launch.workdir).catch(() => undefined) === undefined) {
        await repository.discardWorktree(worktree);
        continue;
      }
      const saved = await repository.removeWorktree(worktree, saveRef(runId, name));
      if (saved === undefined) continue;
      const { ref, commit, files } = saved;
      const reason = "its worktree is taken away";
      await publish({ type: "work.saved", data: { worker: name, ref, commit, files, reason } });
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await publish({ type: "log", data: { level: "warning", content: messageOf(error) } });
  }
}

async function removePlaces(runId: string, env: Io["env"]): Promise<void> {
  const folder = placesFolder(runId, env);
  const found = await Deno.lstat(folder).catch(() => undefined);
  // In a folder for everybody it may be somebody else's.
  if (found?.isDirectory && found.uid === Deno.uid()) await removeTree(folder, runCommand);
}

/** The files that say how a run has ended, where nobody could write them. */
async function writeEnd(folder: string, { runId, status, reason, now }: {
  readonly runId: string;
  readonly status: string;
  readonly reason: string;
  now(): number;
}): Promise<void> {
  const done = join(folder, RUN_DONE_JSON);
  if (Object.keys(await readObjectFile(done)).length > 0) return;
  const decision = await readObjectFile(join(folder, DECISION_JSON));
  await writeFileAtomic(join(folder, DECISION_JSON), jsonText({ ...decision, status, rationale: reason }));
  await writeFileAtomic(
    done,
    jsonText({
      run_id: runId,
      status,
      decision_json: join(folder, DECISION_JSON),
      final_md: join(folder, FINAL_MD),
      completed_at: new Date(now()).toISOString(),
    }),
  );
}
