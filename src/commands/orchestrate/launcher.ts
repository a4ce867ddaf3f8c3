/** Starts a session's workers: adapter, private home, virtual key, sandbox and limits in one place. */
import { dirname, join } from "node:path";
import type { EventData } from "../../events/event.ts";
import { Failure } from "../../failure.ts";
import type { Ledger } from "../../gateway/ledger/ledger.ts";
import type { LaunchedWorker, Launcher, LaunchOrder } from "../../orchestrate/ports.ts";
import type { Usage } from "../../models/usage.ts";
import type { SandboxRequest } from "../../process/sandbox.ts";
import { findWorkerProcess, newWorkerMark } from "../../process/worker_process.ts";
import type { SessionState } from "../../orchestrate/session.ts";
import type { AgentAdapter, LaunchRequest, Located } from "../../workers/adapter.ts";
import { adoptWorkerRun, startWorkerRun, type WorkerRun, type WorkerRunRequest } from "../../workers/worker_run.ts";
import {
  argvWithoutPrompt,
  homeToHide,
  inheritedEnvironment,
  makeFolder,
  programPlaces,
  startedFact,
} from "../worker_place.ts";
import type { OrchestrateOptions } from "./options.ts";

export interface ReadyAgent {
  readonly adapter: AgentAdapter;
  readonly located: Located;
}

export interface LauncherParts {
  readonly options: OrchestrateOptions;
  readonly sessionId: string;
  readonly folder: string;
  /** In the order of preference. */
  readonly agents: readonly ReadyAgent[];
  readonly gateway: { readonly url: string; readonly ledger: Ledger };
  /** The common `.git` of the target; undefined without git. */
  readonly commonDir: string | undefined;
  /** As whom agents commit: their homes say nothing about it. */
  readonly gitIdentity: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly state: SessionState;
  /** Where in a worktree the target is. */
  placeIn(worktree: string): string;
  now(): number;
}

/** A key outlives its worker's time limit by this: the worker is ended first. */
const LEASE_SLACK_MS = 10 * 60_000;
const UNLIMITED_LEASE_MS = 7 * 24 * 3_600_000;

export function createLauncher(parts: LauncherParts): Launcher {
  const { options, folder, agents, gateway, sessionId } = parts;
  const agentOf = (name: string): ReadyAgent => {
    const found = agents.find(({ adapter }) => adapter.name === name);
    if (found === undefined) {
      throw new Failure("environment", `Cannot start "${name}": it is not ready on this machine`);
    }
    return found;
  };

  return {
    ready: () => agents.map(({ adapter }) => adapter.name),
    canResume: (name) => agents.find(({ adapter }) => adapter.name === name)?.adapter.canResume ?? false,

    async launch(order, hooks) {
      const agent = agentOf(order.agent);
      const capUsd = budgetLeft(parts, order.agent);
      const key = gateway.ledger.issueKey({ run: sessionId, worker: order.worker, capUsd, leaseMs: leaseMs(options) });
      try {
        const places = placesOf(folder, order);
        for (const path of [places.home, places.tmp, dirname(places.stream)]) await makeFolder(path);
        const streamOffset = (await Deno.stat(places.stream).catch(() => undefined))?.size ?? 0;
        const mark = newWorkerMark();
        const request = requestOf(parts, agent, order, { key: key.key, mark, streamOffset, toldUntil: streamOffset });
        hooks.onLaunched(launchedFact({ order, request, keyId: key.id, options }));
        const started = Promise.withResolvers<void>();
        const run = await startWorkerRun(request, {
          now: parts.now,
          // No event before the start is told.
          onEvent: async (event, offset) => {
            await started.promise;
            await hooks.onEvent(event, offset);
          },
        });
        hooks.onStarted(startedFact(run, order));
        started.resolve();
        return workerOf(run, { parts, adapter: agent.adapter, keyId: key.id });
      } catch (error) {
        gateway.ledger.endKey(key.id);
        throw error;
      }
    },

    async adopt({ launch, process, toldUntil }, hooks) {
      const { key_id: keyId, mark, stream_offset: streamOffset } = launch;
      const agent = agents.find(({ adapter }) => adapter.name === launch.agent);
      const handle = process === null
        ? findWorkerProcess(mark) ?? { pid: 0, startTicks: null, mark, startedMs: parts.now() }
        : { pid: process.pid, startTicks: process.start_ticks, mark, startedMs: process.started_ms };
      const order: LaunchOrder = {
        ...launch,
        prompt: "",
        readOnly: launch.review !== null,
        resume: launch.resumes,
        usedBefore: launch.used_before as Usage | undefined,
        adjustment: {},
      };
      const started = Promise.withResolvers<void>();
      const run = agent &&
        await adoptWorkerRun(handle, requestOf(parts, agent, order, { key: "", mark, streamOffset, toldUntil }), {
          now: parts.now,
          onEvent: async (event, offset) => {
            await started.promise;
            await hooks.onEvent(event, offset);
          },
        });
      if (run === undefined) {
        if (keyId !== null) gateway.ledger.endKey(keyId);
        return undefined;
      }
      hooks.onStarted({ ...startedFact(run, launch), adopted: true });
      started.resolve();
      return workerOf(run, { parts, adapter: agent!.adapter, keyId });
    },
  };
}

function leaseMs({ limits: { timeSeconds } }: OrchestrateOptions): number {
  return timeSeconds === 0 ? UNLIMITED_LEASE_MS : timeSeconds * 1000 + LEASE_SLACK_MS;
}

/** USD that an agent may still spend, whatever it is called in this session; undefined: it has no budget of its own. */
function budgetLeft({ options, state }: LauncherParts, agent: string): number | undefined {
  const budget = options.session.agentBudgetsUsd[agent];
  if (budget === undefined) return undefined;
  const spent = [...state.workers.values()].filter((worker) => worker.agent === agent)
    .reduce((sum, { spending }) => sum + spending.knownUsd, 0);
  return Math.max(budget - spent, 0);
}

function workerOf(run: WorkerRun, { parts, adapter, keyId }: {
  readonly parts: LauncherParts;
  readonly adapter: AgentAdapter;
  readonly keyId: string | null;
}): LaunchedWorker {
  const { process } = run;
  const { graceMs } = parts.options.session;
  // At once: what has slipped away from it cannot spend anything.
  const ended = run.ended.finally(() => keyId === null || parts.gateway.ledger.endKey(keyId));
  return {
    ended,
    pause: () => process.pause(),
    resume() {
      process.resume();
      try {
        // Time in which it was held is not its own.
        if (keyId !== null) parts.gateway.ledger.renewKey(keyId, leaseMs(parts.options));
      } catch {
        // The lease ends as it would have.
      }
    },
    stop: () => process.stop({ graceMs, signal: adapter.stopSignal }),
    lastOutputMs: run.lastOutputMs,
    cpuMs: () => process.cpuMs(),
    hasChildren: () => process.hasChildren(),
  };
}

interface Places {
  readonly home: string;
  readonly tmp: string;
  readonly stream: string;
  readonly stderr: string;
  readonly exit: string;
}

function placesOf(
  folder: string,
  { worker, review, agent, attempt }: Pick<LaunchOrder, "worker" | "review" | "agent" | "attempt">,
): Places {
  const own = join(folder, "agents", worker);
  return {
    home: join(own, "home"),
    tmp: join(own, "tmp"),
    stream: review === null ? join(folder, `${worker}.jsonl`) : join(folder, "reviews", review, `${agent}.jsonl`),
    stderr: join(own, `stderr-${attempt}.log`),
    exit: join(own, `exit-${attempt}`),
  };
}

function requestOf(
  parts: LauncherParts,
  { adapter, located }: ReadyAgent,
  order: LaunchOrder,
  { key, mark, streamOffset, toldUntil }: { key: string; mark: string; streamOffset: number; toldUntil: number },
): WorkerRunRequest {
  const { options, folder, gateway, sessionId, env } = parts;
  const { home, tmp, stream, stderr, exit } = placesOf(folder, order);
  const { timeSeconds } = options.limits;
  const { includeDirectories, ...adjustments } = order.adjustment;
  const place = parts.placeIn(order.workdir);
  const launch: LaunchRequest = {
    program: located.program,
    prompt: order.prompt,
    workdir: place,
    home,
    tmp,
    includeDirectories: [
      folder,
      ...(place === order.workdir ? [] : [order.workdir]),
      ...(includeDirectories ? [options.session.target] : []),
    ],
    gatewayUrl: `${gateway.url}/w/${order.worker}`,
    key,
    model: Object.hasOwn(options.models, adapter.name) ? options.models[adapter.name] : undefined,
    readOnly: order.readOnly,
    resume: order.resume ?? undefined,
    costLimitUsd: budgetLeft(parts, adapter.name),
    timeLimitSeconds: timeSeconds === 0 ? undefined : timeSeconds,
    extraArguments: options.agentArguments[adapter.name] ?? [],
    adjustments: {
      ...adjustments,
      ...(includeDirectories && { includeDirectories: [options.session.target, folder, home] }),
    },
  };
  return {
    adapter,
    launch,
    env: { ...inheritedEnvironment(env, options.forwardEnv), ...parts.gitIdentity },
    process: {
      stdoutPath: stream,
      stderrPath: stderr,
      exitPath: exit,
      sandbox: sandboxOf(parts, { located, order, home, tmp }),
      limits: options.limits,
      backend: options.backend,
      tmuxName: `${sessionId}-${order.worker}`,
      mark,
    },
    usedBefore: order.usedBefore,
    streamOffset,
    toldUntil,
    maxOutputBytes: options.maxOutputMb * 1024 * 1024,
  };
}

function launchedFact({ order, request, keyId, options }: {
  readonly order: LaunchOrder;
  readonly request: WorkerRunRequest;
  readonly keyId: string;
  readonly options: OrchestrateOptions;
}): EventData<"worker.launched"> {
  return {
    worker: order.worker,
    agent: order.agent,
    task: order.task,
    review: order.review,
    attempt: order.attempt,
    backend: options.backend,
    argv: argvWithoutPrompt(request),
    prompt: order.prompt,
    workdir: order.workdir,
    cwd: request.launch.workdir,
    branch: order.branch,
    stream: request.process.stdoutPath,
    stream_offset: request.streamOffset,
    key_id: keyId,
    resumes: order.resume,
    ...(order.usedBefore && { used_before: order.usedBefore }),
    mark: request.process.mark!,
  };
}

function sandboxOf({ options, folder, commonDir, env }: LauncherParts, { located, order, home, tmp }: {
  readonly located: Located;
  readonly order: LaunchOrder;
  readonly home: string;
  readonly tmp: string;
}): SandboxRequest {
  const { sandbox } = options;
  return {
    mode: sandbox.mode,
    writable: [
      home,
      tmp,
      ...(order.readOnly ? [] : [order.workdir, ...(commonDir === undefined ? [] : [commonDir])]),
      ...sandbox.writable,
    ],
    readable: [
      order.workdir,
      options.session.target,
      folder,
      ...(commonDir === undefined ? [] : [commonDir]),
      ...programPlaces(env, located),
      ...sandbox.readable,
    ],
    protected: [
      // It may lie in the target, which is the workdir when there are no worktrees.
      folder,
      ...(commonDir === undefined ? [] : [...protectedIn(commonDir), join(order.workdir, ".git")]),
    ],
    // The gateway is on the loopback, which a network of its own would not have.
    network: true,
    hideHome: sandbox.hideHome ? homeToHide(env) : undefined,
  };
}

/** What names programs, files that are of no interest or the target's branch, for everybody who uses the repository. */
function protectedIn(commonDir: string): string[] {
  // What is not there cannot be protected, and an agent could make it.
  for (const name of ["hooks", "info"]) Deno.mkdirSync(join(commonDir, name), { recursive: true });
  const names = new Set([...Deno.readDirSync(commonDir)].map(({ name }) => name));
  return ["HEAD", "index", "hooks", "info", "config", "config.worktree", "modules"].filter((name) => names.has(name))
    .map((name) => join(commonDir, name));
}
