/** Starts a run's workers: worktree, task, adapter, private home, virtual key, sandbox and limits in one place. */
import { dirname, join } from "node:path";
import type { EventData } from "../../events/event.ts";
import type { Ledger } from "../../gateway/ledger/ledger.ts";
import type { Repository } from "../../git/repository.ts";
import type { WorkerOrder } from "../../manager/ports.ts";
import type { RunState } from "../../manager/run_state.ts";
import type { ManagerSettings } from "../../manager/settings.ts";
import type { LaunchOrder, RunningWorker, WorkerHooks, WorkerLauncher } from "../../manager/worker_launcher.ts";
import type { Usage } from "../../models/usage.ts";
import { adjustmentFor } from "../../orchestrate/recovery.ts";
import type { SandboxRequest } from "../../process/sandbox.ts";
import { findWorkerProcess, newWorkerMark } from "../../process/worker_process.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { exists } from "../../store/exists.ts";
import { adoptWorkerRun, startWorkerRun, type WorkerRun, type WorkerRunRequest } from "../../workers/worker_run.ts";
import type { ReadyAgent } from "../orchestrate/launcher.ts";
import {
  argvWithoutPrompt,
  homeToHide,
  inheritedEnvironment,
  makeFolder,
  programPlaces,
  startedFact,
} from "../worker_place.ts";
import type { ManagerOptions } from "./read_settings.ts";
import type { TmuxSessions } from "./tmux_sessions.ts";
import {
  boundPrompt,
  claimFolder,
  readAnswerFile,
  TASK_FOLDER,
  type WorkerFiles,
  workerFiles,
  writeRecord,
  writeTask,
} from "./worker_files.ts";

export interface LauncherParts {
  readonly settings: ManagerSettings;
  readonly sandbox: ManagerOptions["sandbox"];
  /** By agent; who is not in it has its own default. */
  readonly models: Readonly<Record<string, string>>;
  /** They take turns; not empty. */
  readonly agents: readonly ReadyAgent[];
  readonly gateway: { readonly url: string; readonly ledger: Ledger };
  readonly repository: Repository;
  /** Undefined: nobody watches. */
  readonly tmux: TmuxSessions | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** What has been published adds up to it, at once. */
  readonly state: Pick<RunState, "workers">;
  now(): number;
}

/** A key outlives its worker's time limit by this: the worker is ended first. */
const LEASE_SLACK_MS = 10 * 60_000;
const GRACE_MS = 5000;
/** A build is to fit in; what runs away is not. Its time is the supervisor's business. */
const LIMITS = { cpuPercent: 0, memoryMb: 8192, timeSeconds: 0 };
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export function createLauncher(parts: LauncherParts): WorkerLauncher {
  const { settings: { runId }, gateway: { ledger }, repository, tmux } = parts;
  const ready = (name: string) => parts.agents.find(({ adapter }) => adapter.name === name);
  const filesOf = (order: Pick<WorkerOrder, "worker" | "role">, attempt = 0) => filesIn(parts, order, attempt);
  /** Both roles have the same places for these. */
  const placesOf = (worker: string) => filesOf({ worker, role: "REPRO_BUILDER" });

  return {
    canResume: (name) => ready(name)?.adapter.canResume ?? false,

    async launch(launch, hooks) {
      const { order, attempt } = launch;
      const agent = (launch.agent === undefined ? undefined : ready(launch.agent)) ?? turnOf(order.worker, parts);
      const files = filesOf(order, attempt);
      const { prompt, files: more } = boundPrompt(launch.prompt);
      for (const path of [files.home, files.tmp, dirname(files.stream)]) await makeFolder(path);
      await prepareWorktree(repository, {
        path: files.worktree,
        commit: order.commit,
        isNew: launch.agent === undefined,
      });
      await writeTask(files.worktree, { ...order.files, ...more });
      // What shows it wants it to be there.
      await Deno.writeTextFile(files.view, "", { append: true });
      const key = ledger.issueKey({ run: runId, worker: order.worker, leaseMs: leaseMs(parts.settings) });
      try {
        const streamOffset = (await Deno.stat(files.stream).catch(() => undefined))?.size ?? 0;
        const mark = newWorkerMark();
        const request = requestOf(parts, agent, {
          ...launch,
          prompt,
          files,
          key: key.key,
          mark,
          streamOffset,
          toldUntil: streamOffset,
        });
        const title = `${order.worker} (${order.role}, attempt ${attempt}) of ${runId}`;
        const place = { title, files, prompt, workdir: files.worktree, key: key.key };
        await writeRecord(request.adapter.launch(request.launch), place);
        hooks.onLaunched(launchedFact({ launch, request, files, keyId: key.id }));
        const { run, begin } = await listening(
          (onEvent) => startWorkerRun(request, { now: parts.now, onEvent }),
          hooks,
        );
        hooks.onStarted(startedFact(run!, { worker: order.worker, attempt }));
        begin();
        tmux?.open(order.worker, { pid: run!.process.handle.pid, files: [files.view, files.stderr] });
        return workerOf(run!, { ledger, agent, keyId: key.id });
      } catch (error) {
        ledger.endKey(key.id);
        throw error;
      }
    },

    async adopt({ order, launch, process, toldUntil }, hooks) {
      const { key_id: keyId, mark, stream_offset: streamOffset, attempt } = launch;
      const agent = ready(launch.agent);
      const handle = process === null
        ? findWorkerProcess(mark) ?? { pid: 0, startTicks: null, mark, startedMs: parts.now() }
        : { pid: process.pid, startTicks: process.start_ticks, mark, startedMs: process.started_ms };
      const request = agent && requestOf(parts, agent, {
        order,
        prompt: "",
        resume: launch.resumes,
        usedBefore: launch.used_before as Usage | undefined,
        causes: [],
        files: filesOf(order, attempt),
        key: "",
        mark,
        streamOffset,
        toldUntil,
      });
      const { run, begin } = await listening(
        (onEvent) => request && adoptWorkerRun(handle, request, { now: parts.now, onEvent }),
        hooks,
      );
      if (run === undefined) {
        if (keyId !== null) ledger.endKey(keyId);
        return undefined;
      }
      hooks.onStarted({ ...startedFact(run, { worker: order.worker, attempt }), adopted: true });
      begin();
      return workerOf(run, { ledger, agent: agent!, keyId });
    },

    readAnswer: (worker) => readAnswerFile(placesOf(worker).worktree),
    keepAnswer: (worker, text) => writeFileAtomic(placesOf(worker).answer, text),
    keptAnswer: (worker) => Deno.readTextFile(placesOf(worker).answer).catch(() => undefined),

    async release(order) {
      const { worktree: path, tmp } = filesOf(order);
      await tmux?.close(order.worker);
      await Deno.remove(tmp, { recursive: true }).catch(() => {});
      const worktree = { path, branch: "", base: order.commit };
      if (!await exists(path)) {
        await repository.discardWorktree(worktree);
        return undefined;
      }
      return await repository.removeWorktree(worktree, saveRef(runId, order.worker));
    },
  };
}

/** Where the work of a worker is kept when its worktree goes. A name of git's has neither `..` nor `.lock` at its end. */
export function saveRef(runId: string, worker: string): string {
  return `refs/gocore/saved/${runId.replaceAll(".", "_")}/${worker}`;
}

function turnOf(worker: string, { agents }: LauncherParts): ReadyAgent {
  const number = Number(/\d+$/.exec(worker)?.[0] ?? 1);
  return agents[Math.max(number - 1, 0) % agents.length]!;
}

function filesIn(
  { settings: { runId, folder }, env, state }: LauncherParts,
  order: Pick<WorkerOrder, "worker" | "role">,
  attempt: number,
): WorkerFiles {
  // A former process may have been told of another folder for temporary files.
  const former = state.workers.get(order.worker)?.launch?.workdir;
  // Outside of the run's folder, which may be in the repository.
  const worktree = former ?? join(env.TMPDIR || "/tmp", `mminions-${runId}-${order.worker}`);
  return workerFiles(order, { folder, worktree, attempt });
}

/** Later attempts go on in what the former ones have left. */
async function prepareWorktree(
  repository: Repository,
  { path, commit, isNew }: { readonly path: string; readonly commit: string; readonly isNew: boolean },
): Promise<void> {
  const worktree = { path, branch: "", base: commit };
  if (!isNew && await exists(path)) {
    // Throws when it is none of ours.
    await repository.headOf(worktree);
    return;
  }
  // A supervisor that was killed may have left a part of it.
  await repository.discardWorktree(worktree);
  await claimFolder(path);
  try {
    await repository.addDetached({ path, commit });
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** Holds events back until `begin`: none comes before the start is told. */
async function listening<R extends WorkerRun | undefined>(
  start: (onEvent: WorkerHooks["onEvent"]) => Promise<R> | R | undefined,
  hooks: WorkerHooks,
): Promise<{ readonly run: R | undefined; begin(): void }> {
  const { promise, resolve: begin } = Promise.withResolvers<void>();
  const run = await start(async (event, offset) => {
    await promise;
    await hooks.onEvent(event, offset);
  });
  return { run, begin };
}

function leaseMs({ workerTimeoutMs }: ManagerSettings): number {
  return workerTimeoutMs + LEASE_SLACK_MS;
}

function workerOf(run: WorkerRun, { ledger, agent, keyId }: {
  readonly ledger: Ledger;
  readonly agent: ReadyAgent;
  readonly keyId: string | null;
}): RunningWorker {
  const { process } = run;
  return {
    // At once: what has slipped away from it cannot spend anything.
    ended: run.ended.finally(() => keyId === null || ledger.endKey(keyId)),
    stop: () => process.stop({ graceMs: GRACE_MS, signal: agent.adapter.stopSignal }),
    lastOutputMs: run.lastOutputMs,
    cpuMs: () => process.cpuMs(),
  };
}

function requestOf(
  parts: LauncherParts,
  { adapter, located }: ReadyAgent,
  launch: Pick<LaunchOrder, "order" | "prompt" | "resume" | "usedBefore" | "causes"> & {
    readonly files: WorkerFiles;
    readonly key: string;
    readonly mark: string;
    readonly streamOffset: number;
    readonly toldUntil: number;
  },
): WorkerRunRequest {
  const { settings, gateway, env, repository, models } = parts;
  const { order, files } = launch;
  const { includeDirectories, ...adjustments } = Object.assign({}, ...launch.causes.map(adjustmentFor));
  return {
    adapter,
    launch: {
      program: located.program,
      prompt: launch.prompt,
      workdir: files.worktree,
      home: files.home,
      tmp: files.tmp,
      includeDirectories: [],
      gatewayUrl: `${gateway.url}/w/${order.worker}`,
      key: launch.key,
      model: Object.hasOwn(models, adapter.name) ? models[adapter.name] : undefined,
      readOnly: order.role === "TRIAGER",
      resume: launch.resume ?? undefined,
      costLimitUsd: undefined,
      timeLimitSeconds: Math.ceil(settings.workerTimeoutMs / 1000),
      extraArguments: [],
      adjustments: {
        ...adjustments,
        ...(includeDirectories && { includeDirectories: [files.worktree, files.home] }),
      },
    },
    env: { ...inheritedEnvironment(withoutTmux(env), []), ...repository.identity },
    process: {
      stdoutPath: files.stream,
      stderrPath: files.stderr,
      exitPath: files.exit,
      sandbox: sandboxOf(parts, { located, order, files }),
      limits: LIMITS,
      backend: "process",
      mark: launch.mark,
    },
    usedBefore: launch.usedBefore,
    streamOffset: launch.streamOffset,
    toldUntil: launch.toldUntil,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  };
}

/** The person's tmux would run anything, outside of the sandbox. */
function withoutTmux({ TMUX: _, TMUX_PANE: __, TMUX_TMPDIR: ___, ...env }: LauncherParts["env"]): LauncherParts["env"] {
  return env;
}

function launchedFact({ launch, request, files, keyId }: {
  readonly launch: LaunchOrder;
  readonly request: WorkerRunRequest;
  readonly files: WorkerFiles;
  readonly keyId: string;
}): EventData<"worker.launched"> {
  const { order, attempt, resume, usedBefore } = launch;
  return {
    worker: order.worker,
    agent: request.adapter.name,
    task: null,
    review: null,
    attempt,
    backend: "process",
    argv: argvWithoutPrompt(request),
    workdir: files.worktree,
    cwd: files.worktree,
    branch: null,
    stream: files.stream,
    stream_offset: request.streamOffset,
    key_id: keyId,
    resumes: resume,
    ...(usedBefore && { used_before: usedBefore }),
    mark: request.process.mark!,
    role: order.role,
    prompt: request.launch.prompt,
    spent_before_ms: launch.spentBeforeMs,
    nudges_told: launch.nudgesTold,
  };
}

/** The repository itself is only looked at: a worker has no reason to commit. */
function sandboxOf({ settings, sandbox, repository, env }: LauncherParts, { located, order, files }: {
  readonly located: ReadyAgent["located"];
  readonly order: WorkerOrder;
  readonly files: WorkerFiles;
}): SandboxRequest {
  const { worktree, home, tmp } = files;
  const isReader = order.role === "TRIAGER";
  return {
    mode: sandbox,
    writable: [home, tmp, isReader ? join(worktree, TASK_FOLDER) : worktree],
    readable: [worktree, settings.repoPath, repository.commonDir, ...programPlaces(env, located)],
    protected: isReader ? [] : [join(worktree, ".git")],
    // The gateway is on the loopback, which a network of its own would not have.
    network: true,
    hideHome: homeToHide(env),
  };
}
