/** What a triage needs of the world, for tests: a real repository, and clean places that answer from a script. */
import { openHistory } from "../../src/git/history.ts";
import type { EventFact } from "../../src/events/event.ts";
import type { ExperimentRequest } from "../../src/manager/experiments.ts";
import type { PreparedPlace, RunRepository, ScriptRun } from "../../src/manager/ports.ts";
import type { FailureSignature, RunJudgement } from "../../src/oracle/expected.ts";
import type { Frame, ObservedFailure } from "../../src/oracle/failure.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { type Scratch, withScratch } from "../git/scratch_repository.ts";

export const CALC = `"""Numbers."""


def halve(n):
    # twice is whole
    if n % 2:
        raise ValueError("odd")
    return n // 2


def double(n):
    return n * 2


class Adder:
    def add(self, a, b):
        total = a + b
        return total
`;
export const SCRIPT = "from calc import halve\nhalve(3)\n";

/** What a run in a fake place is to show. */
export interface Shown {
  readonly outcome: RunJudgement["outcome"];
  readonly frames?: readonly Frame[];
  readonly executed?: Readonly<Record<string, readonly number[]>>;
  /** Of the message; default `odd`. */
  readonly template?: string;
}

export const SIGNATURE: FailureSignature = {
  runtime: "python",
  kind: "exception",
  type: "ValueError",
  template: "odd",
  frame: { file: "calc.py", function: "halve" },
  exitCode: 1,
  signal: null,
};

export function failureWith(frames: readonly Frame[], message = "odd"): ObservedFailure {
  return {
    ...{ runtime: "python", kind: "exception", type: "ValueError", bases: [], message, frames, causes: [] },
    ...{ exitCode: 1, signal: null, source: "witness", projectCalls: 1, trouble: null },
  };
}

/** A prepared place; `check` answers with the exit code that the command names last, `exit 3`, or 127. */
export class FakePlace implements PreparedPlace {
  readonly environment = { platform: "", tools: [], packages: [], sandbox: "", network: false, notes: [] };
  readonly checked: string[] = [];
  runs = 0;
  isOpen = true;

  constructor(readonly commit: string, private readonly show: (commit: string) => Shown) {}

  run(script: string, { signal }: { readonly signal: AbortSignal }): Promise<ScriptRun> {
    signal.throwIfAborted();
    this.runs++;
    const { executed } = this.show(this.commit);
    const lines = executed && new Map(Object.entries(executed).map(([path, some]) => [path, new Set(some)]));
    return Promise.resolve({
      end: { ...endOf(1), stdout: script },
      place: { project: "/clean", reproFile: "/clean/repro_candidate.py" },
      durationMs: 12.4,
      executed: lines ?? null,
    });
  }

  check(command: string): Promise<ReturnType<typeof endOf>> {
    this.checked.push(command);
    return Promise.resolve(endOf(Number(/exit (\d+)$/.exec(command)?.[1] ?? 127)));
  }

  close(): Promise<void> {
    this.isOpen = false;
    return Promise.resolve();
  }
}

function endOf(exitCode: number) {
  return { exitCode, signal: null, timedOut: false, stdout: "", stderr: "", witnessed: [], hasWitness: true };
}

export interface Investigation extends Scratch {
  readonly history: RunRepository;
  readonly facts: EventFact[];
  readonly places: FakePlace[];
  readonly never: AbortSignal;
  /** Commits files, with what was there before; returns the commit. */
  commit(files: Readonly<Record<string, string>>, message?: string): Promise<string>;
  /** At HEAD, with places that show what `show` says of a commit; `undefined` has no environment. */
  request(show: (commit: string) => Shown | undefined): Promise<ExperimentRequest>;
}

/** The repository has `calc.py` in its second commit. */
export function investigate(work: (investigation: Investigation) => Promise<void>): Promise<void> {
  return withScratch(async (scratch) => {
    const { git, write } = scratch;
    const facts: EventFact[] = [];
    const places: FakePlace[] = [];
    const never = new AbortController().signal;
    const history = await openHistory(scratch.repository, { env: scratch.env, run: runCommand });
    const commit = async (files: Readonly<Record<string, string>>, message = "More") => {
      await write(files);
      await git("add", "-A");
      await git("commit", "--quiet", "--allow-empty", "-m", message);
      return await git("rev-parse", "HEAD");
    };
    await commit({ "calc.py": CALC }, "Numbers");
    const request = async (show: (commit: string) => Shown | undefined): Promise<ExperimentRequest> => {
      const head = await git("rev-parse", "HEAD");
      const open = (at: string) => {
        const place = new FakePlace(at, (one) => show(one)!);
        places.push(place);
        return place;
      };
      const place = open(head);
      let judged = place;
      return {
        repository: history,
        commit: head,
        candidate: {
          candidate_id: "w1",
          setup_commands: [],
          oracle_command: "python {repro_file}",
          file_extension: "py",
        },
        script: SCRIPT,
        signature: SIGNATURE,
        judge: () => {
          const { outcome, frames = [], template = "odd" } = show(judged.commit)!;
          const failure = outcome === "no_failure" ? null : failureWith(frames, template);
          return {
            judgement: { outcome, matched: outcome === "match" ? 0 : null, reason: `It shows ${outcome}`, failure },
            signature: failure && { ...SIGNATURE, template },
          };
        },
        place,
        places: {
          prepare: (_candidate, { commit: at }) => {
            if (show(at) === undefined) {
              return Promise.resolve({ kind: "environment", reason: "pip failed", output: "" });
            }
            judged = open(at);
            return Promise.resolve({ kind: "ready", place: judged });
          },
        },
        bisect: false,
        goodRefs: [],
        earlierRuns: [],
        publish: (fact) => {
          facts.push(fact);
          return Promise.resolve();
        },
        signal: never,
        now: () => 0,
      };
    };
    await work({ ...scratch, history, facts, places, never, commit, request });
  });
}
