/** Files of mini runs, as `gocore mini` and the server leave them, and a library of what is in a folder. */
import { join } from "node:path";
import { type DiskLibrary, type LibraryOptions, openLibrary } from "../../../src/commands/serve/library.ts";
import type { EntryChange } from "../../../src/http/ports.ts";
import { encodeJsonLine } from "../../../src/events/json_lines.ts";
import { ownIdentity, type ProcessIdentity } from "../../../src/store/process_identity.ts";

export interface MiniEnd {
  readonly runId: string;
  readonly task?: string;
  readonly exitStatus?: string;
  readonly result?: string;
  readonly cost?: number | null;
  /** Seconds since 1970. */
  readonly startedSec?: number;
}

const MODEL = "anthropic/claude-sonnet-4-5";
export const STARTED_SEC = Date.UTC(2026, 0, 5) / 1000;

export function miniMessages({ exitStatus = "Submitted", result = "all done", startedSec = STARTED_SEC }: MiniEnd) {
  return [
    { role: "system", content: "s", extra: { timestamp: startedSec } },
    { role: "user", content: "u", extra: { timestamp: startedSec } },
    { role: "assistant", content: "a", extra: { timestamp: startedSec + 1, cost: 0.25 } },
    { role: "exit", content: result, extra: { timestamp: startedSec + 9, exit_status: exitStatus, submission: "" } },
  ];
}

function infoOf({ runId, task = "Fix the parser\nof dates" }: MiniEnd, workdir: string) {
  return { run_id: runId, task, workdir, config: { model: { model_name: MODEL } } };
}

export async function writeTrajectory(path: string, end: MiniEnd, workdir: string): Promise<void> {
  const { exitStatus = "Submitted", cost = 0.25 } = end;
  const info = {
    ...infoOf(end, workdir),
    model_stats: { instance_cost: cost, api_calls: 1 },
    exit_status: exitStatus,
    submission: "",
  };
  const document = { info, messages: miniMessages(end), trajectory_format: "mini-swe-agent-1.1" };
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(document, null, 2) + "\n");
}

/** The log of a run that goes on, if its owner lives. */
export async function writeRunLog(
  path: string,
  end: MiniEnd,
  { workdir, owner = ownIdentity(), messages = 3 }: {
    readonly workdir: string;
    readonly owner?: ProcessIdentity;
    readonly messages?: number;
  },
): Promise<void> {
  const lines = [
    { kind: "run", info: infoOf(end, workdir), owner },
    ...miniMessages(end).slice(0, messages).map((message) => ({ kind: "message", message })),
  ];
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, lines.map(encodeJsonLine).join(""));
}

/** Of a process that has ended. */
export const DEAD: ProcessIdentity = { ...ownIdentity(), pid: 2 ** 22 + 1 };

export interface FollowedLibrary extends AsyncDisposable {
  readonly library: DiskLibrary;
  readonly changes: readonly EntryChange[];
  readonly problems: readonly string[];
  /** Waits until the library says so. */
  until(claim: string, holds: (library: DiskLibrary) => boolean): Promise<void>;
}

const DEADLINE_MS = 60_000;

/** Of `{dir}/runs`, `{dir}/workspace` and `{dir}/project`; everything that is there has been read. */
export async function followLibrary(dir: string, more: Partial<LibraryOptions> = {}): Promise<FollowedLibrary> {
  const problems: string[] = [];
  const library = await openLibrary({
    roots: { runsRoot: `${dir}/runs`, workspace: `${dir}/workspace`, miniWorkdirs: [`${dir}/project`] },
    canStart: ["mini"],
    env: {},
    now: Date.now,
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  const changes: EntryChange[] = [];
  const unsubscribe = library.subscribe((change) => changes.push(change));
  await library.firstRound;
  return {
    library,
    changes,
    problems,
    async until(claim, holds) {
      const deadline = performance.now() + DEADLINE_MS;
      while (!holds(library)) {
        if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async [Symbol.asyncDispose]() {
      unsubscribe();
      await library[Symbol.asyncDispose]();
    },
  };
}
