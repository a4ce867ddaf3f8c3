/** A session from its options to its exit code: everything that it needs is opened here, and closed again. */
import { join, relative } from "node:path";
import { VERSION } from "../../config/version.ts";
import type { EventData } from "../../events/event.ts";
import { Failure, messageOf } from "../../failure.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { readGatewaySettings } from "../../gateway/read_settings.ts";
import { openRepository } from "../../git/open_repository.ts";
import type { Repository } from "../../git/repository.ts";
import { createCoordinator } from "../../orchestrate/coordinator.ts";
import { readPlanFile } from "../../orchestrate/plan.ts";
import type { SessionPorts } from "../../orchestrate/ports.ts";
import type { SessionSettings } from "../../orchestrate/settings.ts";
import { endAllCommands, killAllNow, runCommand } from "../../process/spawn.ts";
import { endAllWorkers, killAllWorkersNow } from "../../process/worker_process.ts";
import { Redactor, secretsIn, splitSecrets } from "../../safety/secrets.ts";
import { removeTemporaries, writeFileAtomic } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { endStrayKeys, startGatewayInside } from "../gateway_inside.ts";
import { keepLoopbackDirect } from "../keep_loopback_direct.ts";
import { withoutGitPlaces } from "../worker_place.ts";
import { checkPlaces } from "./check_places.ts";
import { watchControls } from "./controls.ts";
import { estimateCost } from "./estimate.ts";
import { createLauncher } from "./launcher.ts";
import type { OrchestrateOptions } from "./options.ts";
import { checkAgents, chooseModels } from "./preflight.ts";
import { type SavedFlags, saveOptions } from "./saved_options.ts";
import { serveSession, type SessionServer } from "./serve_session.ts";
import { findSessionFolder, newSessionFolder, SessionLog } from "./session_folder.ts";
import { showSession } from "./show_session.ts";

const FILE_LIST_BYTES = 64 * 1024;

export interface SessionRequest {
  readonly options: OrchestrateOptions;
  /** The session to go on with; undefined: a new one. */
  readonly resume: string | undefined;
  /** The flags as they were given, for whoever resumes it. */
  readonly given: SavedFlags;
}

/** Throws a `Failure` when the session cannot begin; from then on every end is an exit code. */
export async function runSession({ options, resume, given }: SessionRequest, io: Io): Promise<number> {
  const { env, now, signal } = io;
  const { target } = options.session;
  keepLoopbackDirect(env);
  const gatewaySettings = await readGatewaySettings({
    env,
    cwd: target,
    flags: {
      ...options.gateway,
      port: 0,
      requireKey: true,
      ...(options.session.budgetUsd !== undefined && { capRun: options.session.budgetUsd }),
    },
  });
  const models = chooseModels(options.models, gatewaySettings);
  const equipped: OrchestrateOptions = { ...options, models };
  // What cannot work leaves no session behind.
  const { ready, checked } = await checkAgents(equipped, { gateway: gatewaySettings, env, signal });
  const agents = ready.map(({ adapter }) => adapter.name);
  if (resume === undefined) await checkPlan(options.session, agents);
  const { id, folder } = resume === undefined
    ? await newSessionFolder(options.workspace, now())
    : await findSessionFolder(options.workspace, resume).then((path) => ({
      id: path.split("/").at(-1)!,
      folder: path,
    }));
  const keys = [gatewaySettings.token, ...gatewaySettings.upstreams.map(({ apiKey }) => apiKey)];
  const redactor = new Redactor([...secretsIn(env), ...keys.filter((key) => key !== undefined)]);
  io.onHardExit(removeTemporaries);
  io.onHardExit(killAllNow);
  io.onHardExit(killAllWorkersNow);
  // Before the log, which makes it a session that can be resumed.
  if (resume === undefined) await saveOptions(folder, given, { redactor });
  using log = await SessionLog.open(folder, { redactor, now, onFailure: (error) => io.abort(error) });
  const { state } = log;
  const isNew = state.start === null;
  if (!isNew && state.finish?.status === "done") {
    throw new Failure("usage", `Cannot go on with "${id}": it is done`, {
      hints: [`See \`gocore orchestrate show ${id}\``],
    });
  }
  const view = showSession(log.bus, { io, options, state, folder });
  let gateway: Gateway | undefined;
  let server: SessionServer | undefined;
  try {
    const repository = await openRepository(target, { env, run: runCommand });
    const isShared = state.start?.shared ?? (options.session.shared || repository === undefined);
    if (options.session.shared && !isShared) {
      // What is in branches already would not be merged any more.
      throw new Failure("usage", `Cannot go on with "${id}" in the target itself: its agents have worktrees`, {
        hints: ["Leave --shared out, or leave --resume out to start a new session"],
      });
    }
    if (repository === undefined && state.start?.base_commit != null) {
      throw new Failure("environment", `Cannot go on with "${id}": "${target}" is no git repository any more`, {
        hints: [`Look at it: \`git -C ${target} status\``],
      });
    }
    // Flags that were refused are not those of the next resume.
    if (resume !== undefined) await saveOptions(folder, given, { redactor });
    if (isNew) {
      const data = await startOf({ id, folder, options, repository, isShared });
      await log.publish({ type: "session.started", data });
      if (repository === undefined && !options.session.shared) {
        const content = `"${target}" is no git repository: all workers share it, and nothing is merged`;
        await log.publish({ type: "log", data: { level: "warning", content } });
      }
    } else {
      const reason = `the session was ${state.finish === null ? "cut off" : state.status}`;
      await log.publish({ type: "session.resumed", data: { pid: Deno.pid, version: VERSION, reason } });
    }
    const places = { target, commonDir: repository?.commonDir, isShared, folder };
    for (const content of await checkPlaces(places, { env, signal })) {
      await log.publish({ type: "log", data: { level: "warning", content } });
    }
    await log.publish({ type: "preflight.checked", data: checked });
    gateway = await startGatewayInside({ ...gatewaySettings, run: id }, {
      formerUrl: state.gatewayUrl,
      publish: log.publish,
      io,
    });
    const settings: SessionSettings = {
      ...options.session,
      task: state.start!.task,
      shared: isShared,
      sessionId: id,
      folder,
      agents,
    };
    const subfolder = repository === undefined || isShared
      ? ""
      : relative(repository.root, await Deno.realPath(target));
    // A folder that nobody has put into the repository is in no worktree.
    const placeIn = (worktree: string) =>
      worktree !== target && isFolder(join(worktree, subfolder)) ? join(worktree, subfolder) : worktree;
    const launcher = createLauncher({
      options: equipped,
      sessionId: id,
      folder,
      agents: ready,
      gateway,
      commonDir: repository?.commonDir,
      gitIdentity: repository?.identity ?? {},
      env,
      now,
      state,
      placeIn,
    });
    const ports: SessionPorts = {
      settings,
      state,
      publish: log.publish,
      launcher,
      repository,
      estimateUsd: (agents) => estimateCost(agents, models),
      spending: () => spendingOf(gateway!, id),
      async verify(command, cwd, stop) {
        const end = await runCommand(["/bin/sh", "-c", command], {
          cwd: placeIn(cwd),
          env: withoutGitPlaces(splitSecrets(env).plain),
          timeoutMs: settings.verifyTimeoutMs,
          signal: stop,
        });
        return { exitCode: end.exitCode, output: end.output, durationMs: end.durationMs };
      },
      judgeCommand: commandJudge(equipped, { folder, env }),
      writeFile: (path, content) => writeFileAtomic(join(folder, path), content),
      readFile: (path) => Deno.readTextFile(path).catch(() => undefined),
      listFiles: () => listFiles(target, { repository, env, signal }),
      signal,
      now,
    };
    endStrayKeys(gateway, { run: id, workers: state.workers.values() });
    const spent = ports.spending();
    for (const data of isNew ? [] : spent) await log.publish({ type: "spending.counted", data });
    const coordinator = createCoordinator(ports);
    server = await serveSession({ options, folder, log, take: coordinator.take, io });
    await log.publish({
      type: "session.serving",
      data: { gateway_url: gateway.url, dashboard_url: server?.url ?? null },
    });
    using _controls = watchControls(folder, {
      take: coordinator.take,
      state,
      onProblem: (content) => void log.publish({ type: "log", data: { level: "warning", content } }),
    });
    const finished = await coordinator.run();
    return finished.exit_code;
  } finally {
    await endAllWorkers();
    await endAllCommands();
    await gateway?.close();
    await server?.close();
    await view.close();
  }
}

async function startOf({ id, folder, options, repository, isShared }: {
  readonly id: string;
  readonly folder: string;
  readonly options: OrchestrateOptions;
  readonly repository: Repository | undefined;
  readonly isShared: boolean;
}): Promise<EventData<"session.started">> {
  const { task, target, budgetUsd } = options.session;
  return {
    session_id: id,
    task,
    target,
    folder,
    version: VERSION,
    pid: Deno.pid,
    // What nobody has committed yet is part of what workers start from.
    base_commit: repository === undefined ? null : await repository.snapshot(`State of ${target} before ${id}`),
    branch: repository === undefined ? null : (await repository.head()).branch,
    shared: isShared,
    budget_usd: budgetUsd ?? null,
  };
}

function spendingOf({ ledger }: Gateway, run: string): EventData<"spending.counted">[] {
  return ledger.report({ by: ["worker"], filters: { run } }).rows.map((row) => ({
    worker: row.worker!,
    known_usd: row.cost_usd ?? 0,
    unknown_calls: row.unknown_calls,
    calls: row.calls,
    input_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
    output_tokens: row.output_tokens,
  }));
}

function commandJudge(options: Pick<OrchestrateOptions, "commandRules">, { folder, env }: {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}): SessionPorts["judgeCommand"] {
  return async (command, { cwd, workdir }) => {
    const { createCommandPolicy } = await import("../../safety/command_policy.ts");
    // A worker's own places alone: the target and the folders of others are none of its business.
    const roots = [workdir, "/tmp", join(folder, "agents")];
    return createCommandPolicy(options.commandRules, { cwd, roots, home: env.HOME ?? "/root", resolveLink }).judge(
      command,
    );
  };
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** A plan that cannot be used is told before anything has begun. */
async function checkPlan({ plan, task }: OrchestrateOptions["session"], agents: readonly string[]): Promise<void> {
  if (plan.kind !== "file") return;
  const text = await Deno.readTextFile(plan.path).catch((error) => {
    throw new Failure("usage", `Cannot read the plan "${plan.path}": ${messageOf(error)}`, {
      hints: ["Name a file that exists, or leave --plan out for the default roles"],
      cause: error,
    });
  });
  readPlanFile(text, plan.path, { task, agents });
}

function resolveLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}

async function listFiles(target: string, { repository, env, signal }: {
  readonly repository: Repository | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}): Promise<string[]> {
  if (repository === undefined) {
    return (await Array.fromAsync(Deno.readDir(target))).map(({ name }) => name).sort();
  }
  const { output } = await runCommand(["git", "ls-files", "-z"], {
    cwd: target,
    env: { PATH: env.PATH ?? "", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
    timeoutMs: 30_000,
    signal,
    maxOutputBytes: FILE_LIST_BYTES,
  });
  return output.split("\0").filter((name) => name !== "");
}
