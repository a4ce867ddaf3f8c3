/** Workers of a run for real: a repository, a codex that does what its prompt says, a ledger, tmux where there is one. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createLauncher } from "../../../src/commands/manager/launcher.ts";
import { createTmuxSessions } from "../../../src/commands/manager/tmux_sessions.ts";
import { keepViews } from "../../../src/commands/manager/worker_views.ts";
import { EventBus } from "../../../src/events/bus.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { type Ledger, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import type { Repository } from "../../../src/git/repository.ts";
import type { WorkerOrder } from "../../../src/manager/ports.ts";
import { emptyRun, foldRun, type RunState } from "../../../src/manager/run_state.ts";
import type { ManagerSettings } from "../../../src/manager/settings.ts";
import { createSupervisor, type Supervisor } from "../../../src/manager/supervise.ts";
import { endAllCommands } from "../../../src/process/spawn.ts";
import { endAllWorkers } from "../../../src/process/worker_process.ts";
import { codex } from "../../../src/workers/adapters/codex.ts";
import { withScratch } from "../../git/scratch_repository.ts";

export const CODEX = fileURLToPath(new URL("fake_codex.sh", import.meta.url));

export interface Workers {
  readonly dir: string;
  readonly folder: string;
  readonly tmp: string;
  readonly commit: string;
  readonly env: Record<string, string>;
  readonly repository: Repository;
  readonly ledger: Ledger;
  readonly state: RunState;
  readonly log: EventFact[];
  readonly problems: string[];
  readonly supervisor: Supervisor;
  order(worker: string, prompt: string, more?: Partial<WorkerOrder>): WorkerOrder;
  git(...args: readonly string[]): Promise<string>;
}

export async function withWorkers(
  work: (workers: Workers) => Promise<void>,
  options: { timeoutMs?: number; stallMs?: number; tmux?: boolean } = {},
): Promise<void> {
  await withScratch(async ({ dir, root, env: own, repository, git }) => {
    const tmp = join(dir, "tmp");
    const folder = join(dir, "runs", "r1");
    for (const path of [tmp, folder]) await Deno.mkdir(path, { recursive: true });
    const env = { ...own, TMPDIR: tmp, TMUX_TMPDIR: dir, OPENAI_API_KEY: "sk-not-for-workers" };
    const settings: ManagerSettings = {
      runId: "r1",
      folder,
      issue: { kind: "file", path: join(dir, "issue.md") },
      repoPath: root,
      ref: undefined,
      workers: 2,
      rounds: 1,
      workerTimeoutMs: options.timeoutMs ?? 300_000,
      stallMs: options.stallMs ?? 300_000,
      pollIntervalMs: 20,
      validationRuns: 1,
      minMatches: 1,
      oracleTimeoutMs: 1000,
      setupTimeoutMs: 1000,
      pythonVersion: "3.12",
      allowNetwork: false,
      minimize: false,
      semanticCut: false,
      bisect: false,
      comment: false,
      parallel: 1,
      workerModel: undefined,
      managerModel: undefined,
    };
    const state = emptyRun();
    const log: EventFact[] = [];
    const problems: string[] = [];
    const bus = new EventBus({
      now: () => Date.now(),
      record(event) {
        foldRun(state, event);
        log.push({ type: event.type, data: event.data } as EventFact);
      },
    });
    const publish = (fact: EventFact) => bus.publish(fact);
    const views = keepViews({ bus, state });
    using ledger = openLedger(":memory:", { now: () => Date.now() });
    const launcher = createLauncher({
      settings,
      sandbox: "prefer",
      models: {},
      agents: [{ adapter: codex, located: { program: [CODEX], version: "0.0.1" } }],
      gateway: { url: "http://127.0.0.1:9", ledger },
      repository,
      tmux: options.tmux ? createTmuxSessions("r1", { env, onProblem: (text) => problems.push(text) }) : undefined,
      env,
      state,
      now: () => Date.now(),
    });
    const { signal } = new AbortController();
    const supervisor = createSupervisor({ settings, state, publish, launcher, signal, now: () => Date.now() });
    const { commit } = await repository.head();
    try {
      await work({
        dir,
        folder,
        tmp,
        commit,
        env,
        repository,
        ledger,
        state,
        log,
        problems,
        supervisor,
        git,
        order: (worker, prompt, more) => ({
          worker,
          role: "REPRO_BUILDER",
          prompt,
          outputPath: `repro/candidates/${worker}.json`,
          files: { "issue.md": "# Broken\n" },
          commit,
          ...more,
        }),
      });
    } finally {
      await endAllWorkers();
      await endAllCommands();
      await views.close();
    }
  });
}
