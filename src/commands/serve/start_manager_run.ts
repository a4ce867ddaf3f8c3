/** Starts `gocore manager` on an issue, for a client of the server. */
import { dirname, join } from "node:path";
import { parseIssueUrl } from "../../github/parse_issue_url.ts";
import { Refused, type Starter } from "../../http/ports.ts";
import type { StartRun } from "../../http/schemas.ts";
import { MANAGER, RUN_DONE_JSON, sessionName } from "../../manager/artifacts.ts";
import type { ManagerSettings } from "../../manager/settings.ts";
import { readManagerRequest } from "../manager/manager_request.ts";
import {
  issueName,
  issueOwner,
  listRuns,
  LOG_NAME,
  makeRunFolder,
  readLastRun,
  supervisorOf,
} from "../manager/run_folder.ts";
import { ERRORS_LOG, EXIT_FILE } from "../manager/run_launcher.ts";
import { MANAGER_LOG } from "../manager/run_status.ts";
import { createTmuxSessions, tmuxProblem } from "../manager/tmux_sessions.ts";
import { flagOf } from "../orchestrate/saved_options.ts";
import { needFolder, orRefuse } from "./request_errors.ts";
import type { StartContext } from "./start_context.ts";
import { hasContent, refusalFrom, startProcess, untilBegun } from "./started_process.ts";

type Issue = ManagerSettings["issue"];
type Answer = Awaited<ReturnType<Starter["run"]>>;

/** The folder of a run that is to begin, and what it is to be told. */
interface Prepared {
  readonly runId: string;
  readonly folder: string;
  readonly issue: Issue;
  readonly args: readonly string[];
  readonly hasTmux: boolean;
}

const FILES = { stdout: MANAGER_LOG, stderr: ERRORS_LOG, exit: EXIT_FILE };
const EXIT_OK = 0;

export class ManagerStarts {
  readonly #context: StartContext;
  /** Runs that have not begun yet, by issue: nobody else can see them. */
  readonly #beginning = new Map<string, string>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: StartContext) {
    this.#context = context;
  }

  /**
   * Answers when somebody carries the run out. With `if_changed` and nothing new it is the run that has said all that.
   * Throws `Refused`: 400, 409 with the run that works on the issue, 503 with what the process said.
   */
  async start(request: StartRun): Promise<Answer> {
    const { issue_url, issue_file } = request;
    if (issue_url === undefined && issue_file === undefined) {
      throw new Refused(400, "issue_url: has to be given, or issue_file");
    }
    if (issue_url !== undefined && issue_file !== undefined) {
      throw new Refused(400, "issue_file: may not be given together with issue_url");
    }
    if (issue_url !== undefined) await orRefuse(() => parseIssueUrl(issue_url), "issue_url");
    await needFolder("repo_path", request.repo_path);
    // One after the other: ids are free as long as there is no folder.
    const prepared = this.#last.then(() => this.#prepare(request));
    this.#last = prepared.catch(() => {});
    const run = await prepared;
    try {
      return await this.#begin(run, request);
    } finally {
      this.#beginning.delete(issueName(run.issue));
      if (!await hasContent(join(run.folder, LOG_NAME))) await Deno.remove(run.folder, { recursive: true });
    }
  }

  async #prepare(request: StartRun): Promise<Prepared> {
    const { places: { runsRoot, configPath }, io } = this.#context;
    const flags = {
      issueUrl: request.issue_url,
      issueFile: request.issue_file,
      repoPath: request.repo_path,
      workers: request.workers,
      timeoutSec: request.timeout_sec,
      agent: request.agent === undefined ? undefined : [request.agent],
      workerModel: request.worker_model,
      managerModel: request.manager_model,
      reproValidationRuns: request.repro_validation_runs,
      runsRoot,
      config: configPath,
    };
    const { options: { settings, backend } } = await orRefuse(() => readManagerRequest(flags, io));
    const { runId, folder, issue } = settings;
    await this.#refuseSecond(issue);
    await orRefuse(() => makeRunFolder(folder));
    this.#beginning.set(issueName(issue), runId);
    const args = Object.entries({ ...flags, runId }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${flagOf(name)}=${value}`]
    );
    return {
      runId,
      folder,
      issue,
      args: [...args, ...(request.if_changed ? ["--if-changed"] : [])],
      hasTmux: backend === "tmux" && tmuxProblem(io.env) === undefined,
    };
  }

  async #begin({ runId, folder, issue, args, hasTmux }: Prepared, { if_changed }: StartRun): Promise<Answer> {
    const { io, redactor } = this.#context;
    const started = await startProcess(["manager", ...args], { folder, files: FILES, io });
    const { process, errorsPath } = started;
    if (await untilBegun(started, () => hasContent(join(folder, LOG_NAME)))) {
      const files = [join(folder, MANAGER_LOG), errorsPath];
      const isShown = hasTmux && await this.#show(runId, { pid: process.handle.pid, files });
      return answerOf(folder, runId, isShown ? sessionName(runId, MANAGER) : "");
    }
    const { exitCode } = await process.ended;
    if (if_changed && exitCode === EXIT_OK) {
      const last = await readLastRun(dirname(folder), issue);
      if (last !== undefined) return answerOf(join(dirname(folder), last.run_id), last.run_id, "");
    }
    // Somebody else may have begun at the same time.
    this.#beginning.delete(issueName(issue));
    await this.#refuseSecond(issue);
    throw await refusalFrom(started, redactor);
  }

  async #refuseSecond(issue: Issue): Promise<void> {
    const { runsRoot } = this.#context.places;
    const pid = issueOwner(runsRoot, issue);
    const other = this.#beginning.get(issueName(issue)) ?? (pid === undefined ? undefined : await runOf(runsRoot, pid));
    if (other !== undefined) throw new Refused(409, `${other} works on this issue already`);
  }

  async #show(runId: string, process: { readonly pid: number; readonly files: readonly string[] }): Promise<boolean> {
    let isShown = true;
    const tmux = createTmuxSessions(runId, { env: this.#context.io.env, onProblem: () => isShown = false });
    await tmux.open(MANAGER, process);
    return isShown;
  }
}

function answerOf(folder: string, runId: string, session: string): Answer {
  return { run_id: runId, run_done: join(folder, RUN_DONE_JSON), manager_session: session };
}

/** The run that a process carries out, or the process itself, for one that is only just beginning. */
async function runOf(runsRoot: string, pid: number): Promise<string> {
  const ids = (await listRuns(runsRoot)).reverse();
  return ids.find((id) => supervisorOf(join(runsRoot, id)) === pid) ?? `Process ${pid}`;
}
