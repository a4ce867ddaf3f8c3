/** A manager run from its flags to its exit code: everything that it needs is opened here, and closed again. */
import { dirname, join } from "node:path";
import { VERSION } from "../../config/version.ts";
import { readConfigFile } from "../../config/read_config_file.ts";
import { Failure } from "../../failure.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { readGatewaySettings } from "../../gateway/read_settings.ts";
import type { GatewaySettings } from "../../gateway/settings.ts";
import { openHistory } from "../../git/history.ts";
import { openRepository } from "../../git/open_repository.ts";
import type { Repository } from "../../git/repository.ts";
import type { IssueDocument } from "../../github/issue_document.ts";
import { postComment } from "../../github/post_comment.ts";
import {
  DECISION_JSON,
  MANAGER,
  RUN_DONE_JSON,
  SESSIONS_JSON,
  sessionsJson,
  SKELETON,
} from "../../manager/artifacts.ts";
import { fingerprintOf } from "../../manager/issue_spec.ts";
import type { CleanPlaces, RunPorts, RunRepository } from "../../manager/ports.ts";
import { runIssue, StopRequested } from "../../manager/run.ts";
import type { PreflightCheck } from "../../manager/run_result.ts";
import { proposeCuts } from "../../manager/semantic_cut.ts";
import { createSupervisor, type Supervisor } from "../../manager/supervise.ts";
import { endAllCommands, endCommandsOf, killAllNow, runCommand } from "../../process/spawn.ts";
import { endAllWorkers, killAllWorkersNow } from "../../process/worker_process.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { removeTemporaries, writeFileAtomic } from "../../store/atomic_file.ts";
import { exists } from "../../store/exists.ts";
import { OracleJournal } from "../../store/oracle_journal.ts";
import type { Io } from "../../terminal/io.ts";
import { endStrayKeys, startGatewayInside } from "../gateway_inside.ts";
import { keepLoopbackDirect } from "../keep_loopback_direct.ts";
import { chooseAgents } from "./choose_agents.ts";
import { watchRunControls } from "./controls.ts";
import { createLauncher } from "./launcher.ts";
import { createPlaces } from "./run_places.ts";
import { readIssue } from "./read_issue.ts";
import type { ManagerOptions } from "./read_settings.ts";
import {
  claimIssue,
  issueName,
  makeRunFolder,
  openRunLog,
  readLastRun,
  type RunEventLog,
  saveLastRun,
  saveRunOptions,
  setRunAside,
} from "./run_folder.ts";
import { showEnd, type Showing, showNothingNew, showRun } from "./show_run.ts";
import { createTmuxSessions, tmuxProblem } from "./tmux_sessions.ts";
import { keepViews } from "./worker_views.ts";

export interface ManagerRequest {
  readonly options: ManagerOptions;
  readonly showing: Showing;
  /** Nothing is done when the issue and the commit are those of the last run. */
  readonly ifChanged: boolean;
  /** A run of the same name that has ended makes way. */
  readonly replaces?: boolean;
}

/** Throws a `Failure` when the run cannot begin; from then on every end is an exit code. */
export async function runManager(
  { options, showing, ifChanged, replaces = false }: ManagerRequest,
  io: Io,
): Promise<number> {
  const { settings } = options;
  const { env, signal } = io;
  const runsRoot = dirname(settings.folder);
  keepLoopbackDirect(env);
  const repository = await openCheckout(settings.repoPath, env);
  const history = await openHistory(repository, { env, run: runCommand, signal });
  const commit = await commitOf(history, settings.ref);
  const gatewaySettings = await gatewayOf(options, { env, runsRoot });
  const claim = await claimIssue(runsRoot, settings.issue);
  if (claim.kind === "taken") {
    throw new Failure("environment", `Cannot start: process ${claim.owner.pid} works on ${issueName(settings.issue)}`, {
      hints: ["Wait for its end, or end it with `gocore stop`"],
    });
  }
  try {
    let document: IssueDocument | undefined;
    if (ifChanged) {
      document = await readIssue(settings.issue, { env, signal, now: io.now });
      const last = await readLastRun(runsRoot, settings.issue);
      const isKnown = last !== undefined && SETTLED.has(last.status) && last.commit === commit &&
        last.fingerprint === await fingerprintOf(document);
      if (isKnown) {
        await showNothingNew(`Nothing new: ${last.run_id} has ended as ${last.status}`, { io, showing });
        return 0;
      }
    }
    if (replaces) await setRunAside(settings.folder);
    return await new ManagerRun({ options, repository, history, commit, gatewaySettings, document, io, showing }).run();
  } finally {
    claim.release();
  }
}

/** Another run would say the same. */
const SETTLED: ReadonlySet<string> = new Set(["ok", "already-fixed", "needs-human"]);

async function openCheckout(path: string, env: Readonly<Record<string, string>>): Promise<Repository> {
  // What is to be saved after an interrupt needs a repository that it does not end.
  const repository = await openRepository(path, { env, run: runCommand });
  if (repository !== undefined) return repository;
  throw new Failure("usage", `Cannot use "${path}": need a git repository, found none`, {
    hints: ["Name a checkout of the project with --repo-path"],
  });
}

async function commitOf(history: RunRepository, ref: string | undefined): Promise<string> {
  const commit = await history.resolve(ref ?? "HEAD");
  if (commit !== undefined) return commit;
  throw new Failure("usage", `Cannot try anything on "${ref ?? "HEAD"}": the repository has no such commit`, {
    hints: ["Name a branch, a tag or a commit with --ref"],
  });
}

async function gatewayOf({ gateway, settings, budgetUsd }: ManagerOptions, { env, runsRoot }: {
  readonly env: Readonly<Record<string, string>>;
  readonly runsRoot: string;
}): Promise<GatewaySettings> {
  return await readGatewaySettings({
    env,
    cwd: settings.repoPath,
    flags: {
      ...gateway,
      ledger: gateway.ledger ?? join(runsRoot, "ledger.db"),
      port: 0,
      requireKey: true,
      ...(budgetUsd !== undefined && { capRun: budgetUsd }),
    },
  });
}

interface ManagerRunParts {
  readonly options: ManagerOptions;
  readonly repository: Repository;
  readonly history: RunRepository;
  readonly commit: string;
  readonly gatewaySettings: GatewaySettings;
  /** What was read already. */
  readonly document: IssueDocument | undefined;
  readonly io: Io;
  readonly showing: Showing;
}

class ManagerRun {
  readonly #parts: ManagerRunParts;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #gateway: Gateway | undefined;
  #places: CleanPlaces | undefined;
  #supervisor: Supervisor | undefined;
  #controls: Disposable | undefined;
  /** What the gateway's manager key is for; undefined: no model shortens anything. */
  #cutModel: string | undefined;

  constructor(parts: ManagerRunParts) {
    this.#parts = parts;
    this.#signal = AbortSignal.any([parts.io.signal, this.#stop.signal]);
  }

  async run(): Promise<number> {
    const { options, commit, gatewaySettings, io, showing } = this.#parts;
    const { settings } = options;
    const { folder } = settings;
    io.onHardExit(removeTemporaries);
    io.onHardExit(killAllNow);
    io.onHardExit(killAllWorkersNow);
    await makeRunFolder(folder);
    const keys = [gatewaySettings.token, ...gatewaySettings.upstreams.map(({ apiKey }) => apiKey)];
    const redactor = new Redactor([...secretsIn(io.env), ...keys.filter((key) => key !== undefined)]);
    using log = await openRunLog(folder, { redactor, now: io.now, onFailure: (error) => io.abort(error) });
    const { state } = log;
    // Before the first event, which makes it a run that can be gone on with.
    if (state.start === null) await saveRunOptions(options);
    const show = showRun(log.bus, { io, showing });
    const sessions = keepSessions(log, options);
    const views = keepViews(log);
    try {
      await this.#begin(log, commit);
      const finished = await runIssue(this.#ports(log, redactor), {
        state,
        version: VERSION,
        preflight: () => this.#preflight(log),
      });
      if (state.issue !== null) {
        await saveLastRun(dirname(folder), settings.issue, {
          run_id: settings.runId,
          issue: issueName(settings.issue),
          fingerprint: state.issue.fingerprint,
          commit: state.start!.commit,
          status: finished.status,
        });
      }
      return finished.exit_code;
    } finally {
      this.#controls?.[Symbol.dispose]();
      await endAllWorkers();
      await endAllCommands();
      await this.#places?.close();
      await this.#gateway?.close();
      await sessions.close();
      await views.close();
      await show.close();
      if (state.finish !== null) await showEnd(folder, { io, showing });
    }
  }

  async #begin({ state, publish }: RunEventLog, commit: string): Promise<void> {
    const { options, io } = this.#parts;
    const { settings } = options;
    if (state.start !== null) {
      // Killed before its last file: nothing is left to do but that.
      if (state.finish !== null && !await exists(join(settings.folder, RUN_DONE_JSON))) return;
      // What runs in its places would go on writing there.
      await endCommandsOf(state.pid);
      const reason = state.finish === null ? "the run was cut off" : `the run had ended as ${state.finish.status}`;
      await Deno.remove(join(settings.folder, RUN_DONE_JSON)).catch(() => {});
      await writeFileAtomic(join(settings.folder, DECISION_JSON), SKELETON[DECISION_JSON]!);
      await publish({ type: "run.resumed", data: { pid: Deno.pid, version: VERSION, reason } });
      return;
    }
    io.signal.throwIfAborted();
    await publish({
      type: "run.started",
      data: {
        run_id: settings.runId,
        issue: issueName(settings.issue),
        repo_path: settings.repoPath,
        folder: settings.folder,
        version: VERSION,
        pid: Deno.pid,
        commit,
        agent: options.agents?.join(",") ?? "codex or mini",
        workers: settings.workers,
      },
    });
  }

  /** Opens what the workers need. */
  async #preflight(log: RunEventLog): Promise<readonly PreflightCheck[]> {
    const { options, repository, gatewaySettings, io } = this.#parts;
    const { settings } = options;
    const { state, publish } = log;
    const { env, now } = io;
    const { agents, models, checked } = await chooseAgents(options, {
      gateway: gatewaySettings,
      env,
      signal: this.#signal,
    });
    await publish({ type: "preflight.checked", data: checked });
    const gateway = await startGatewayInside({ ...gatewaySettings, run: settings.runId }, {
      formerUrl: state.gatewayUrl,
      publish,
      io,
    });
    this.#gateway = gateway;
    endStrayKeys(gateway, { run: settings.runId, workers: state.workers.values() });
    this.#cutModel = settings.managerModel ?? models[agents[0]!.adapter.name];
    await publish({
      type: "run.serving",
      data: {
        gateway_url: gateway.url,
        worker_models: Object.fromEntries(agents.map(({ adapter: { name } }) => [name, models[name] ?? null])),
        manager_model: settings.semanticCut ? this.#cutModel ?? null : null,
      },
    });
    const noTmux = options.backend === "tmux" ? tmuxProblem(env) : "--backend process";
    const tell = (content: string) => void publish({ type: "log", data: { level: "warning", content } });
    const supervisor = createSupervisor({
      settings,
      state,
      publish,
      launcher: createLauncher({
        settings,
        sandbox: options.sandbox,
        models,
        agents,
        gateway,
        repository,
        tmux: noTmux === undefined ? createTmuxSessions(settings.runId, { env, onProblem: tell }) : undefined,
        env,
        state,
        now,
      }),
      signal: this.#signal,
      now,
    });
    this.#supervisor = supervisor;
    this.#controls = watchRunControls(settings.folder, {
      state,
      publish,
      supervisor,
      stop: (reason) => this.#stop.abort(new StopRequested(`It was ${reason}`)),
    });
    this.#places = await createPlaces(options, { repository, env, signal: this.#signal });
    const uncommitted = await repository.isClean() ? "" : "; what is not committed there is no part of it";
    return [
      { name: "git", ok: true, detail: `${repository.root} at ${state.start!.commit}${uncommitted}` },
      ...agents.map(({ adapter: { name }, located: { version } }) => ({
        name,
        ok: true,
        detail: `${version}${models[name] === undefined ? "" : `, ${models[name]}`}`,
      })),
      { name: "gateway", ok: true, detail: gateway.url },
      { name: "tmux", ok: noTmux === undefined, detail: noTmux ?? "sessions of its own" },
      {
        name: "semantic cut",
        ok: this.#cutModel !== undefined,
        detail: this.#cutModel ?? "no model is named: --manager-model MODEL",
      },
    ];
  }

  #ports({ publish }: RunEventLog, redactor: Redactor): RunPorts {
    const { options: { settings }, history, document, io } = this.#parts;
    const { folder } = settings;
    const { env, now } = io;
    const signal = this.#signal;
    const github = { env, signal, now };
    return {
      settings,
      publish,
      signal,
      now,
      repository: history,
      readIssue: async () => document ?? await readIssue(settings.issue, github),
      places: {
        survey: (commit) => this.#placesOpen().survey(commit),
        prepare: (candidate, request) => this.#placesOpen().prepare(candidate, request),
        close: async () => await this.#places?.close(),
      },
      workers: { run: (orders) => this.#supervisor!.run(orders) },
      proposeCuts: (request, stop) => this.#proposeCuts(request, stop),
      async postComment(markdown) {
        if (settings.issue.kind === "url") return await postComment(settings.issue.url, markdown, github);
        throw new Failure("usage", "Cannot post the report: the issue is a file");
      },
      spending: () => this.#spending(),
      writeFile: (path, content, { executable = false } = {}) =>
        writeFileAtomic(join(folder, path), content, executable ? { mode: 0o755 } : {}),
      readFile: (path) => readConfigFile(join(folder, path)),
      withoutSecrets: (value) => redactor.redactDeep(value),
      openJournal: (path, identity) => OracleJournal.open(join(folder, path), identity),
    };
  }

  #placesOpen(): CleanPlaces {
    if (this.#places !== undefined) return this.#places;
    throw new TypeError("Clean places are opened by the preflight");
  }

  async #proposeCuts(
    request: Parameters<RunPorts["proposeCuts"]>[0],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const name = this.#cutModel;
    const gateway = this.#gateway;
    if (name === undefined || gateway === undefined) return [];
    const { options: { settings }, io } = this.#parts;
    const leaseMs = settings.workerTimeoutMs;
    const key = gateway.ledger.issueKey({ run: settings.runId, worker: MANAGER, leaseMs });
    try {
      const { createTextModel } = await import("../create_model.ts");
      const env = { ...io.env, MINI_API_BASE: gateway.url, MINI_API_KEY: key.key };
      const model = await createTextModel(name, { env, cwd: io.cwd });
      return (await proposeCuts(model, request, { signal })).texts;
    } finally {
      gateway.ledger.endKey(key.id);
    }
  }

  #spending(): ReturnType<RunPorts["spending"]> {
    const run = this.#parts.options.settings.runId;
    return this.#gateway?.ledger.report({ by: ["worker"], filters: { run } }).rows.map((row) => ({
      worker: row.worker!,
      known_usd: row.cost_usd ?? 0,
      cost_source: row.cost_source,
      unknown_calls: row.unknown_calls,
      calls: row.calls,
      input_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
      cached_input_tokens: row.cache_read_tokens,
      output_tokens: row.output_tokens,
    })) ?? [];
  }
}

/** `sessions.json` as the workers stand. */
function keepSessions({ bus, state }: RunEventLog, { settings }: ManagerOptions): { close(): Promise<void> } {
  const path = join(settings.folder, SESSIONS_JSON);
  let last = Promise.resolve();
  let isWaiting = false;
  const write = () => {
    if (isWaiting) return;
    isWaiting = true;
    last = last.then(async () => {
      isWaiting = false;
      await writeFileAtomic(path, sessionsJson(state, settings));
    }).catch(() => {});
  };
  const unsubscribe = bus.subscribe(({ type }) => {
    if (type === "run.started" || type === "worker.launched" || type === "worker.status") write();
  });
  return {
    async close() {
      unsubscribe();
      write();
      await last;
    },
  };
}
