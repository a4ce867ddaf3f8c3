/** Reads what a server starts by itself: the tables `[[schedule]]` of `mminions.toml`. */
import { resolve } from "node:path";
import { type Problem, problemsFailure } from "../../../config/checked_toml.ts";
import { messageOf } from "../../../failure.ts";
import { parseIssueUrl } from "../../../github/parse_issue_url.ts";
import type { StartRun } from "../../../http/schemas.ts";
import { type LoadedFile, type ScheduleTable, untrustedFailure } from "../../manager/settings_file.ts";
import { createCron } from "./create_cron.ts";
import { type IssueQuery, parseIssueQuery } from "./issue_query.ts";

export interface ScheduleEntry {
  /** No other has it. */
  readonly name: string;
  /** Minute, hour, day, month, day of the week; or a nickname such as `@daily`. */
  readonly cron: string;
  /** Undefined: the machine's. */
  readonly timezone: string | undefined;
  readonly target:
    | { readonly kind: "issue"; readonly issue: ScheduledIssue }
    | { readonly kind: "query"; readonly query: IssueQuery; readonly limit: number };
  /** Of each run; paths are absolute. */
  readonly options: Omit<StartRun, "issue_url" | "issue_file">;
}

/** An address as GitHub writes it, or an absolute path. */
export type ScheduledIssue = Pick<StartRun, "issue_url" | "issue_file">;

export interface ScheduleSettings {
  readonly entries: readonly ScheduleEntry[];
  /** How many of the runs that the schedule has started go on at the same time. */
  readonly maxRunning: number;
}

const DEFAULT_LIMIT = 3;
const DEFAULT_MAX_RUNNING = 2;

/**
 * Throws a usage `Failure` that names the line and the key. A file that merely lies in the current folder starts nothing:
 * it may have come with the project, and runs cost money.
 */
export async function readScheduleEntries(file: LoadedFile, now: number): Promise<ScheduleSettings> {
  const { schedule, placeOf, isNamed, maxRunning = DEFAULT_MAX_RUNNING } = file;
  if (schedule.length === 0) return { entries: [], maxRunning };
  if (!isNamed) throw untrustedFailure([["schedule"]], placeOf);
  const problems: Problem[] = [];
  const names = new Set<string>();
  const entries: ScheduleEntry[] = [];
  for (const [at, table] of schedule.entries()) {
    const add = (key: string, finding: string, hint?: string) =>
      problems.push({ path: ["schedule", at, key], finding, hint });
    const { cron, timezone } = table;
    for (const { key, finding, hint } of await cronProblems(table, now)) add(key, finding, hint);
    const name = table.name ?? nameOf(table.issue ?? table.query ?? "");
    const target = targetOf(table, file.folder, add);
    if (names.has(name)) add("name", "need a name that no other entry has, found one twice");
    names.add(name);
    if (target !== undefined) entries.push({ name, cron, timezone, target, options: optionsOf(table, file.folder) });
  }
  if (problems.length > 0) throw problemsFailure(problems, placeOf);
  return { entries, maxRunning };
}

function nameOf(text: string): string {
  return text.replaceAll(/[\x00-\x1f\x7f]/g, " ").slice(0, 100);
}

const CRON = "need five parts: minute, hour, day, month, day of the week";
const CRON_HINT = 'For example `cron = "*/30 * * * *"`, or `cron = "0 3 * * MON-FRI"`';

async function cronProblems(
  { cron, timezone }: ScheduleTable,
  now: number,
): Promise<{ readonly key: string; readonly finding: string; readonly hint?: string }[]> {
  if (timezone !== undefined && !isTimezone(timezone)) {
    const hint = 'For example `timezone = "Europe/Berlin"`; without it the machine\'s counts';
    return [{ key: "timezone", finding: "need the name of a time zone, found another text", hint }];
  }
  try {
    if ((await createCron(cron, timezone)).next(now) !== null) return [];
    return [{ key: "cron", finding: `${CRON}, found a time that never comes`, hint: CRON_HINT }];
  } catch (error) {
    const found = messageOf(error).replace(/^Cron\w*: /, "").slice(0, 200);
    return [{ key: "cron", finding: `${CRON}, found ${JSON.stringify(cron.slice(0, 80))}: ${found}`, hint: CRON_HINT }];
  }
}

function isTimezone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return true;
  } catch {
    return false;
  }
}

function targetOf(
  { issue, query, limit }: ScheduleTable,
  folder: string,
  add: (key: string, finding: string, hint?: string) => void,
): ScheduleEntry["target"] | undefined {
  if ((issue === undefined) === (query === undefined)) {
    const found = issue === undefined ? "neither" : "both";
    add(issue === undefined ? "name" : "query", `need one of \`issue\` and \`query\`, found ${found}`);
    return undefined;
  }
  if (limit !== undefined && query === undefined) {
    add("limit", "need a `query`, whose issues it counts, found `issue`");
    return undefined;
  }
  try {
    if (query !== undefined) return { kind: "query", query: parseIssueQuery(query), limit: limit ?? DEFAULT_LIMIT };
    return { kind: "issue", issue: issueOf(issue!, folder) };
  } catch (error) {
    add(query === undefined ? "issue" : "query", messageOf(error));
    return undefined;
  }
}

/** What looks like an address is none of a file. */
function issueOf(text: string, folder: string): ScheduledIssue {
  const isAddress = /^[a-z]+:\/\//i.test(text) || /^[^/\s#]+\/[^/\s#]+#\d+$/.test(text) ||
    /^[\w.-]+\.[a-z]{2,}\/[^/]+\/[^/]+\/(?:issues|pulls?|discussions)\//i.test(text);
  return isAddress ? { issue_url: parseIssueUrl(text).url } : { issue_file: resolve(folder, text) };
}

function optionsOf(table: ScheduleTable, folder: string): ScheduleEntry["options"] {
  const { workers, timeout_sec, worker_model, manager_model, repro_validation_runs, repo_path, agent } = table;
  return {
    workers,
    timeout_sec,
    worker_model,
    manager_model,
    repro_validation_runs,
    repo_path: repo_path === undefined ? undefined : resolve(folder, repo_path),
    agent: typeof agent === "object" ? agent.join(",") : agent,
    if_changed: table.if_changed ?? true,
  };
}
