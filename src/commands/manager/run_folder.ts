/** A manager run on disk: its folder, its lock, its log, its options, and which run an issue had last. */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import * as z from "zod/mini";
import { readConfigFile } from "../../config/read_config_file.ts";
import { runStatuses } from "../../events/manager_events.ts";
import { Failure, messageOf } from "../../failure.ts";
import { SKELETON } from "../../manager/artifacts.ts";
import { emptyRun, foldRun, type RunState } from "../../manager/run_state.ts";
import type { ManagerSettings } from "../../manager/settings.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { exists } from "../../store/exists.ts";
import { type Claim, claimLock, lockOwner } from "../../store/owner_lock.ts";
import {
  type EventLog,
  type EventLogOptions,
  type Folding,
  openEventLog,
  readEventLog,
  type ReadEvents,
} from "../event_log.ts";
import { BACKENDS, SANDBOX_MODES } from "../orchestrate/settings_file.ts";
import type { ManagerOptions } from "./read_settings.ts";

export const LOG_NAME = "events.jsonl";
export const CONTROL_FOLDER = "control";
export const LOCK_NAME = "run.lock";
const OPTIONS_NAME = "options.json";
const ISSUES_FOLDER = ".issues";
const RUN_ID = /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,127}$/;

/** Makes the folder with the files that are there from the start; what is there already stays. */
export async function makeRunFolder(folder: string): Promise<void> {
  try {
    await makeRunsRoot(dirname(folder));
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [name, content] of Object.entries({ ".gitignore": "*\n", ...SKELETON })) {
      const path = join(folder, name);
      if (await exists(path)) continue;
      await writeFileAtomic(path, content);
    }
    for (const name of ["repro/candidates", "triage"]) await Deno.mkdir(join(folder, name), { recursive: true });
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("environment", `Cannot make "${folder}": ${messageOf(error)}`, {
      hints: ["Name another folder with --runs-root"],
      cause: error,
    });
  }
}

/** Does nothing when it is there. */
export async function makeRunsRoot(folder: string): Promise<void> {
  if (await exists(folder)) return;
  await Deno.mkdir(folder, { recursive: true });
  // It may lie in the repository itself.
  await writeFileAtomic(join(folder, ".gitignore"), "*\n");
}

/** Keeps a run that has ended under the next free name: `run-x.1`. */
export async function setRunAside(folder: string): Promise<void> {
  for (let number = 1;; number++) {
    const path = `${folder}.${number}`;
    if (await exists(path)) continue;
    await Deno.rename(folder, path);
    return;
  }
}

/** The ids of the runs that have begun, sorted. */
export async function listRuns(runsRoot: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(runsRoot)) {
      if (!isDirectory || !RUN_ID.test(name)) continue;
      if (await exists(join(runsRoot, name, LOG_NAME))) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

/** The folder of a run. Throws a usage `Failure` that names those that are there. */
export async function findRunFolder(runsRoot: string, id: string): Promise<string> {
  const known = await listRuns(runsRoot);
  if (known.includes(id)) return join(runsRoot, id);
  const list = known.slice(-5).reverse();
  throw new Failure("usage", `Cannot find the run "${id}" in "${runsRoot}"`, {
    hints: list.length === 0 ? ["Name the folder of the runs with --runs-root"] : [`There are ${list.join(", ")}`],
  });
}

const FOLDING: Folding<RunState> = { empty: emptyRun, fold: foldRun };

/** What the log adds up to so far. */
export async function readRun(folder: string): Promise<ReadEvents<RunState>> {
  return await readEventLog(join(folder, LOG_NAME), FOLDING);
}

/** The log of a run that this process carries out, as a bus. */
export type RunEventLog = EventLog<RunState>;

/** Throws a `Failure` when another process carries out the run, or its files cannot be written. */
export async function openRunLog(
  folder: string,
  options: Pick<EventLogOptions<RunState>, "redactor" | "now" | "onFailure">,
): Promise<RunEventLog> {
  return await openEventLog({
    ...FOLDING,
    ...options,
    path: join(folder, LOG_NAME),
    lockPath: join(folder, LOCK_NAME),
    taken: ({ pid }) =>
      new Failure("environment", `Cannot carry out "${folder}": process ${pid} does`, {
        hints: [`Wait for its end, or stop it: \`gocore stop --run-id ${basename(folder)}\``],
      }),
  });
}

/** The process that carries out the run; undefined: none. */
export function supervisorOf(folder: string): number | undefined {
  return lockOwner(join(folder, LOCK_NAME))?.pid;
}

const text = z.string();
const count = z.number();
const flag = z.boolean();
const settings = z.object({
  runId: text,
  folder: text,
  issue: z.union([
    z.object({ kind: z.literal("url"), url: text }),
    z.object({ kind: z.literal("file"), path: text }),
  ]),
  repoPath: text,
  ref: z.optional(text),
  workers: count,
  rounds: count,
  workerTimeoutMs: count,
  stallMs: count,
  pollIntervalMs: count,
  validationRuns: count,
  minMatches: count,
  oracleTimeoutMs: count,
  setupTimeoutMs: count,
  pythonVersion: text,
  allowNetwork: flag,
  minimize: flag,
  semanticCut: flag,
  bisect: flag,
  comment: flag,
  parallel: count,
  workerModel: z.optional(text),
  managerModel: z.optional(text),
});
const savedOptions = z.object({
  settings,
  configPath: z.optional(text),
  agents: z.optional(z.array(text)),
  models: z.record(text, text),
  sandbox: z.enum(SANDBOX_MODES),
  backend: z.enum(BACKENDS),
  budgetUsd: z.optional(count),
  gateway: z.object({
    config: z.optional(text),
    ledger: z.optional(text),
    script: z.optional(text),
    replay: z.optional(text),
    record: z.optional(text),
  }),
});

/** What the run was told, for whoever goes on with it. */
export async function saveRunOptions(options: ManagerOptions): Promise<void> {
  const path = join(options.settings.folder, OPTIONS_NAME);
  await writeFileAtomic(path, JSON.stringify(options, null, 2) + "\n", { mode: 0o600 });
}

/** Undefined: there is no run in the folder. Throws a `Failure` when its options cannot be read, or are of another run. */
export async function readRunOptions(folder: string): Promise<ManagerOptions | undefined> {
  const path = join(folder, OPTIONS_NAME);
  const content = await readConfigFile(path);
  if (content === undefined) return undefined;
  const result = savedOptions.safeParse(parsed(content));
  if (!result.success || join(folder, "x") !== join(result.data.settings.folder, "x")) {
    throw new Failure("environment", `Cannot go on with "${folder}": need its options in "${path}", found others`, {
      hints: ["Start a new run with another --run-id"],
    });
  }
  const { ref, workerModel, managerModel, ...others } = result.data.settings;
  return {
    ...result.data,
    settings: { ...others, ref, workerModel, managerModel },
    configPath: result.data.configPath,
    agents: result.data.agents,
    budgetUsd: result.data.budgetUsd,
  };
}

const lastRun = z.object({
  run_id: text,
  issue: text,
  fingerprint: text,
  commit: text,
  status: z.enum(runStatuses),
});
export type LastRun = z.infer<typeof lastRun>;

/** The run that an issue had last, whatever its id was; undefined: none that has ended. */
export async function readLastRun(runsRoot: string, issue: ManagerSettings["issue"]): Promise<LastRun | undefined> {
  const content = await readConfigFile(join(runsRoot, ISSUES_FOLDER, `${issueKey(issue)}.json`));
  const result = lastRun.safeParse(parsed(content ?? ""));
  return result.success ? result.data : undefined;
}

export async function saveLastRun(runsRoot: string, issue: ManagerSettings["issue"], run: LastRun): Promise<void> {
  const path = join(runsRoot, ISSUES_FOLDER, `${issueKey(issue)}.json`);
  await writeFileAtomic(path, JSON.stringify(run, null, 2) + "\n");
}

/** One run at a time for each issue. Throws a `Failure` of kind `environment` when the file cannot be written. */
export async function claimIssue(runsRoot: string, issue: ManagerSettings["issue"]): Promise<Claim> {
  const folder = join(runsRoot, ISSUES_FOLDER);
  try {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, ".gitignore"), "*\n");
  } catch (error) {
    throw new Failure("environment", `Cannot make "${folder}": ${messageOf(error)}`, {
      hints: ["Name another folder with --runs-root"],
      cause: error,
    });
  }
  return claimLock(join(folder, `${issueKey(issue)}.lock`));
}

/** The process that works on the issue; undefined: none. */
export function issueOwner(runsRoot: string, issue: ManagerSettings["issue"]): number | undefined {
  return lockOwner(join(runsRoot, ISSUES_FOLDER, `${issueKey(issue)}.lock`))?.pid;
}

export function issueName(issue: ManagerSettings["issue"]): string {
  return issue.kind === "url" ? issue.url : issue.path;
}

function issueKey(issue: ManagerSettings["issue"]): string {
  return createHash("sha256").update(`${issue.kind}\0${issueName(issue)}`).digest("hex").slice(0, 32);
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
