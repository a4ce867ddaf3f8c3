/** A manager run without a machine: its ports are memory, and it can be killed at any event. */
import { EventBus } from "../../src/events/bus.ts";
import type { EventFact, RunEvent } from "../../src/events/event.ts";
import { emptyRun, foldRun, type RunState } from "../../src/manager/run_state.ts";
import { runIssue } from "../../src/manager/run.ts";
import type {
  CleanPlaces,
  PreparedPlace,
  RunPorts,
  RunRepository,
  WorkerAnswer,
  WorkerOrder,
} from "../../src/manager/ports.ts";
import type { ManagerSettings } from "../../src/manager/settings.ts";
import type { IssueDocument } from "../../src/github/issue_document.ts";
import type { ProgramEnd } from "../../src/oracle/failure.ts";

export const COMMIT = "c".repeat(40);
export const OLD_COMMIT = "a".repeat(40);
export const NEW_COMMIT = "d".repeat(40);

const PROJECT = "/place/project";
export const CORE = `"""Numbers."""


def mean(values):
    """The arithmetic mean."""
    total = sum(values)
    return total / len(values)
`;

export const settings: ManagerSettings = {
  runId: "run-1",
  folder: "/runs/run-1",
  issue: { kind: "url", url: "https://github.com/o/pkg/issues/7" },
  repoPath: "/repo",
  ref: undefined,
  workers: 2,
  rounds: 2,
  workerTimeoutMs: 1000,
  stallMs: 1000,
  pollIntervalMs: 10,
  validationRuns: 5,
  minMatches: 5,
  oracleTimeoutMs: 1000,
  setupTimeoutMs: 1000,
  pythonVersion: "3.12",
  allowNetwork: false,
  minimize: true,
  semanticCut: false,
  bisect: false,
  comment: false,
  parallel: 2,
  workerModel: undefined,
  managerModel: undefined,
};

export const issue: IssueDocument = {
  source: "github",
  url: "https://github.com/o/pkg/issues/7",
  slug: "o/pkg",
  number: 7,
  title: "mean() of nothing crashes",
  body: `It fails:

\`\`\`
Traceback (most recent call last):
  File "t.py", line 2, in <module>
    pkg.mean([])
  File "/x/pkg/core.py", line 7, in mean
    return total / len(values)
ZeroDivisionError: division by zero
\`\`\`
`,
  labels: ["bug"],
  state: "open",
  author: "ann",
  createdAt: "2026-11-01T00:00:00Z",
  updatedAt: "2026-11-02T00:00:00Z",
  comments: [],
  notes: [],
};

export const GOOD_SCRIPT = "import os\nimport pkg\n\nnumbers = [1]\nprint(numbers)\npkg.mean([])\n";

/** How a script ends: `bug` as the issue says; `own`: it raises that itself. */
export type Ending = "bug" | "ok" | "other" | "own" | "syntax" | "timeout";

export interface Behaviour {
  (script: string, options: { readonly commit: string; readonly fresh: boolean; readonly count: number }): Ending;
}

export const hasCall = (script: string) => /^import pkg\s*$/m.test(script) && /^pkg\.mean\(\[\]\)/m.test(script);
/** The bug is in every commit. */
export const alwaysBug: Behaviour = (script) => hasCall(script) ? "bug" : "ok";
export const bugOnlyAt = (...commits: readonly string[]): Behaviour => (script, { commit }) =>
  hasCall(script) && commits.includes(commit) ? "bug" : "ok";

export function endOf(ending: Ending): ProgramEnd {
  const clean: ProgramEnd = {
    exitCode: 0,
    signal: null,
    timedOut: false,
    stdout: "",
    stderr: "",
    witnessed: [],
    hasWitness: true,
  };
  if (ending === "ok") return clean;
  if (ending === "timeout") return { ...clean, exitCode: null, timedOut: true };
  const repro = { function: "<module>", file: `${PROJECT}/repro_candidate.py`, line: 1 };
  const [type, message, frames] = ending === "other"
    ? ["KeyError", "'x'", [{ function: "mean", file: `${PROJECT}/pkg/core.py`, line: 6 }, repro]] as const
    : ending === "syntax"
    ? ["SyntaxError", "invalid syntax", [repro]] as const
    : ending === "own"
    ? ["ZeroDivisionError", "division by zero", [repro]] as const
    : ["ZeroDivisionError", "division by zero", [
      { function: "mean", file: `${PROJECT}/pkg/core.py`, line: 7 },
      repro,
    ]] as const;
  const lines = frames.toReversed().map(({ file, line, function: name }) =>
    `  File "${file}", line ${line}, in ${name}`
  );
  return {
    ...clean,
    exitCode: 1,
    stderr: ["Traceback (most recent call last):", ...lines, `${type}: ${message}`, ""].join("\n"),
    witnessed: [{
      runtime: "python",
      pid: 1,
      type,
      bases: ["ArithmeticError", "Exception", "BaseException"],
      message,
      frames: [...frames],
      causes: [],
      projectCalls: ending === "bug" || ending === "other" ? 1 : 0,
    }],
  };
}

export const candidate = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  candidate_id: "repro",
  script,
  setup_commands: [],
  oracle_command: "python {repro_file}",
  claimed_failure_signature: "ZeroDivisionError: division by zero",
  file_extension: "py",
  ...more,
});

export const hypothesis = (
  line: number,
  snippet: string,
  mechanism: string,
  confidence: number,
): Record<string, unknown> => ({
  hypotheses: [{
    hypothesis_id: "h1",
    mechanism,
    evidence: [{ file: "pkg/core.py", line, snippet }],
    confidence,
    disconfirming_checks: ["look at it"],
  }],
});

export const usualAnswers: Readonly<Record<string, Record<string, unknown> | string>> = {
  w1: candidate(GOOD_SCRIPT),
  w2: candidate("import pkg\n"),
  w3: hypothesis(7, "return total / len(values)", "mean divides by len(values), which is zero for an empty list", 0.9),
  w4: hypothesis(6, "total = sum(values)", "the sum of nothing is zero", 0.3),
};

/** Nothing of a process that is dead goes on. */
export class Killed extends Error {}

export interface FakeOptions {
  readonly settings?: Partial<ManagerSettings>;
  readonly issue?: Partial<IssueDocument>;
  readonly behaves?: Behaviour;
  /** By worker; a text: it failed for that reason. */
  readonly answers?: Readonly<Record<string, Record<string, unknown> | string>>;
  /** By commit: why no place can be made there. */
  readonly broken?: Readonly<Record<string, string>>;
  readonly defaultBranch?: string;
  readonly refs?: Readonly<Record<string, string>>;
  /** Oldest first; each is an ancestor of those behind it. */
  readonly history?: readonly string[];
  readonly proposals?: readonly string[];
  readonly preflight?: () => Promise<never>;
  readonly readIssue?: () => Promise<never>;
}

/** What outlives a kill, and what was done. */
export class FakeRun {
  readonly events: RunEvent[] = [];
  readonly files = new Map<string, string>();
  readonly executable = new Set<string>();
  readonly journals = new Map<string, Map<string, boolean>>();
  /** Runs of scripts: stage by freshness, commit, and text. */
  readonly oracleRuns: string[] = [];
  readonly ordered: string[] = [];
  readonly orders: WorkerOrder[] = [];
  readonly comments: string[] = [];
  readonly cuts: string[] = [];
  openPlaces = 0;
  #clockMs = Date.parse("2026-11-21T20:00:00.000Z");

  constructor(readonly options: FakeOptions = {}) {}

  state(): RunState {
    const state = emptyRun();
    for (const event of this.events) foldRun(state, event);
    return state;
  }

  /**
   * Begins the run or goes on with it, as a process does.
   *
   * @param killAt the event, by its number, after which the process is dead
   * @param stop ends it as a person would
   */
  async go({ killAt = Infinity, stop, stopAt }: {
    killAt?: number;
    stop?: AbortController;
    /** The event after which `stop` aborts. */
    stopAt?: (event: RunEvent) => unknown;
  } = {}) {
    const killed = Promise.withResolvers<never>();
    killed.promise.catch(() => {});
    let isDead = false;
    const alive = () => isDead ? new Promise<never>(() => {}) : Promise.resolve();
    this.openPlaces = 0;
    const state = this.state();
    const last = this.events.at(-1);
    const bus = new EventBus({
      now: () => this.#clockMs += 10,
      after: last && { firstSeq: last.seq + 1, lastMs: Date.parse(last.time) },
      record: (event) => {
        foldRun(state, event);
        this.events.push(structuredClone(event));
      },
    });
    const publish = async (fact: EventFact) => {
      await alive();
      await bus.publish(fact);
      const reason = stopAt?.(this.events.at(-1)!);
      if (reason !== undefined && reason !== false) stop?.abort(reason);
      if (this.events.length <= killAt) return;
      isDead = true;
      killed.reject(new Killed());
      await alive();
    };
    const signal = stop?.signal ?? new AbortController().signal;
    const ports = this.#ports({ publish, alive, isDead: () => isDead, signal });
    const work = this.#begin(state, publish).then(() =>
      runIssue(ports, {
        state,
        version: "0.1.0",
        preflight: this.options.preflight ??
          (() => Promise.resolve([{ name: "git", ok: true, detail: "/repo" }])),
      })
    );
    return await Promise.race([work, killed.promise]);
  }

  async #begin(state: RunState, publish: (fact: EventFact) => Promise<void>): Promise<void> {
    await publish(
      state.start === null
        ? {
          type: "run.started",
          data: {
            run_id: settings.runId,
            issue: "https://github.com/o/pkg/issues/7",
            repo_path: "/repo",
            folder: settings.folder,
            version: "0.1.0",
            pid: 7,
            commit: COMMIT,
            agent: "mini",
            workers: 2,
          },
        }
        : { type: "run.resumed", data: { pid: 8, version: "0.1.0", reason: "it was killed" } },
    );
  }

  json<T = Record<string, unknown>>(path: string): T {
    return JSON.parse(this.files.get(path) ?? "null");
  }

  #ports({ publish, alive, isDead, signal }: {
    publish(fact: EventFact): Promise<void>;
    alive(): Promise<void>;
    isDead(): boolean;
    signal: AbortSignal;
  }): RunPorts {
    const { options } = this;
    const own = { ...settings, ...options.settings };
    return {
      settings: own,
      publish,
      signal,
      now: () => this.#clockMs += 1,
      readIssue: options.readIssue ?? (() => Promise.resolve({ ...issue, ...options.issue })),
      repository: this.#repository(),
      places: this.#places(alive, signal),
      workers: {
        run: async (orders) => {
          const answers: WorkerAnswer[] = [];
          for (const order of orders) {
            this.ordered.push(order.worker);
            this.orders.push(order);
            answers.push(await this.#answer(order, publish));
          }
          signal.throwIfAborted();
          return answers;
        },
      },
      proposeCuts: async ({ script }) => {
        this.cuts.push(script);
        return options.proposals ?? [];
      },
      postComment: async (markdown) => {
        this.comments.push(markdown);
        return { url: "https://github.com/o/pkg/issues/7#1", edited: false };
      },
      spending: () => [{
        worker: "w1",
        known_usd: 0.25,
        cost_source: "list",
        unknown_calls: 0,
        calls: 3,
        input_tokens: 100,
        cached_input_tokens: 40,
        output_tokens: 10,
      }, {
        worker: "manager",
        known_usd: 0.05,
        cost_source: "provider",
        unknown_calls: 0,
        calls: 1,
        input_tokens: 20,
        cached_input_tokens: 0,
        output_tokens: 5,
      }],
      writeFile: async (path, content, { executable = false } = {}) => {
        await alive();
        this.files.set(path, content);
        if (executable) this.executable.add(path);
      },
      readFile: async (path) => this.files.get(path),
      withoutSecrets: (value) => value,
      openJournal: async (path, identity) => {
        const key = `${path} ${identity}`;
        const answers = this.journals.get(key) ?? new Map<string, boolean>();
        this.journals.set(key, answers);
        return {
          get: (one) => answers.get(one),
          put: (one, isInteresting) => {
            if (!isDead()) answers.set(one, isInteresting);
          },
          close: async () => {},
        };
      },
    };
  }

  async #answer(order: WorkerOrder, publish: (fact: EventFact) => Promise<void>): Promise<WorkerAnswer> {
    const { worker, role } = order;
    const given = (this.options.answers ?? usualAnswers)[worker] ?? "it had nothing to say";
    const isFailed = typeof given === "string";
    await publish({ type: "worker.status", data: { worker, role, status: "running", reason: "" } });
    const status = isFailed ? "failed" : "finished";
    const reason = isFailed ? given : "";
    await publish({ type: "worker.status", data: { worker, role, status, reason } });
    return { worker, role, status, reason, objects: isFailed ? [] : [given] };
  }

  #repository(): RunRepository {
    const { defaultBranch, refs = {}, history = [OLD_COMMIT, COMMIT, NEW_COMMIT] } = this.options;
    const isAncestor = (a: string, b: string) => history.indexOf(a) <= history.indexOf(b) && history.includes(a);
    return {
      root: "/repo",
      resolve: async (ref) => {
        const at = /^(.*)~(\d+)$/.exec(ref) ?? /^(.*)\^1$/.exec(ref);
        if (at !== null) return history[history.indexOf(at[1]!) - Number(at[2] ?? 1)];
        return refs[ref] ?? history.find((one) => one === ref);
      },
      defaultBranch: async () => defaultBranch === undefined ? undefined : { name: "main", commit: defaultBranch },
      readFileAt: async (_commit, path) => path === "pkg/core.py" ? CORE : undefined,
      listFiles: async () => ["pkg/__init__.py", "pkg/core.py"],
      commitInfo: async (commit) => ({ commit, subject: "Change it", author: "Ann", date: "2026-11-01T00:00:00Z" }),
      bisectStep: async ({ good, bad, skip }) => {
        const from = Math.max(...good.map((one) => history.indexOf(one)));
        const between = history.slice(from + 1, history.indexOf(bad)).filter((one) => !skip.includes(one));
        return between.length === 0 ? undefined : { commit: between[between.length >> 1]!, left: between.length };
      },
      filesChangedBy: async () => ["pkg/core.py"],
      isAncestor: async (a, b) => isAncestor(a, b),
    };
  }

  #places(alive: () => Promise<void>, signal: AbortSignal): CleanPlaces {
    const { broken = {}, behaves = alwaysBug } = this.options;
    return {
      survey: async () => ({ tools: ["python 3.12.4"], sandbox: "bubblewrap", notes: [] }),
      prepare: async (_candidate, { commit }) => {
        await alive();
        if (broken[commit] !== undefined) return { kind: "environment", reason: broken[commit], output: "" };
        this.openPlaces++;
        let isOpen = true;
        const place: PreparedPlace = {
          commit,
          environment: {
            platform: "linux",
            tools: ["python 3.12.4"],
            packages: ["pip==24.0"],
            sandbox: "bubblewrap",
            network: false,
            notes: [],
          },
          run: async (script, { fresh }) => {
            await alive();
            signal.throwIfAborted();
            const what = `${fresh ? "fresh" : "lane"} ${commit.slice(0, 4)} ${JSON.stringify(script)}`;
            const count = this.oracleRuns.filter((one) => one === what).length;
            this.oracleRuns.push(what);
            return {
              end: endOf(behaves(script, { commit, fresh, count })),
              place: { reproFile: `${PROJECT}/repro_candidate.py`, project: PROJECT },
              durationMs: 12.4,
              executed: null,
            };
          },
          check: async () => endOf("ok"),
          close: async () => {
            if (isOpen) this.openPlaces--;
            isOpen = false;
          },
        };
        return { kind: "ready", place };
      },
      close: async () => {},
    };
  }
}
