/** Everything that a report is made of, read off a run's files: nothing is written, and nobody is disturbed. */
import { join } from "node:path";
import { Failure } from "../../failure.ts";
import { Refused } from "../../http/ports.ts";
import type { Diff, MiniRecord, RunRecord, Timeline, Usage } from "../../http/schemas.ts";
import { planRecord, summaryRecord } from "../../http/session_records.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { LOG_NAME } from "../orchestrate/session_folder.ts";
import type { RunPlace } from "../serve/run_places.ts";
import { openMiniView } from "../serve/views/mini_view.ts";
import { openRunView } from "../serve/views/run_view.ts";
import { openSessionView } from "../serve/views/session_view.ts";
import { type ReadStories, readStories } from "./worker_stories.ts";

interface ReadRun {
  readonly id: string;
  readonly folder: string;
  /** What could not be read, in sentences. */
  readonly problems: readonly string[];
}

export interface SessionReport extends ReadRun, Pick<ReadStories, "stories" | "sums"> {
  readonly kind: "session";
  readonly record: { readonly supervised: boolean } & ReturnType<typeof summaryRecord>;
  readonly plan: ReturnType<typeof planRecord>;
  readonly usage: Usage;
  readonly timeline: Timeline;
  /** Null: it took too long. */
  readonly diff: Diff | null;
}

export interface ManagerReport extends ReadRun, Pick<ReadStories, "stories" | "sums"> {
  readonly kind: "manager";
  readonly record: RunRecord;
  readonly version: string | null;
}

export interface MiniReport extends ReadRun {
  readonly kind: "mini";
  readonly record: MiniRecord;
}

export type ReportData = SessionReport | ManagerReport | MiniReport;

export interface ReadReportOptions {
  /** Finds git; its secrets are masked. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  now(): number;
  /** How long git may take for what the workers have changed. */
  readonly diffTimeoutMs?: number;
}

const DIFF_TIMEOUT_MS = 60_000;

/** Throws a `Failure` when nothing of the run can be read. */
export async function readReport(place: RunPlace, options: ReadReportOptions): Promise<ReportData> {
  try {
    if (place.kind === "mini") return await readMini(place, options);
    return place.kind === "session" ? await readSession(place, options) : await readManager(place, options);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new Failure("environment", `Cannot read the run "${place.id}": ${error.message}`, { cause: error });
  }
}

async function readSession(place: RunPlace, options: ReadReportOptions): Promise<SessionReport> {
  const { id, folder } = place;
  const { signal, now, diffTimeoutMs = DIFF_TIMEOUT_MS } = options;
  const redactor = new Redactor(secretsIn(options.env));
  const view = await openSessionView(folder, options);
  const diffing = view.diff(undefined);
  try {
    // Before the log: who ends in between has told it there.
    const supervised = view.isSupervised();
    const [stories, diff] = await Promise.all([
      readStories(join(folder, LOG_NAME), { redactor, signal }),
      inTime(diffing, { timeoutMs: diffTimeoutMs, signal }),
    ]);
    const problems = diff === undefined ? ["What the workers have changed is not here: git took too long for it"] : [];
    return {
      kind: "session",
      id,
      folder,
      ...stories,
      problems: [...stories.problems, ...problems],
      record: redactor.redactDeep({ supervised, ...summaryRecord(view.state, now()) }),
      plan: redactor.redactDeep(planRecord(view.state)),
      usage: redactor.redactDeep(await view.usage()),
      timeline: redactor.redactDeep(await view.timeline()),
      diff: diff ?? null,
    };
  } finally {
    await view[Symbol.asyncDispose]();
    // The view has ended git, which is not left behind.
    await diffing.catch(() => {});
  }
}

async function readManager(place: RunPlace, options: ReadReportOptions): Promise<ManagerReport> {
  const { id, folder } = place;
  const redactor = new Redactor(secretsIn(options.env));
  await using view = await openRunView(folder, options);
  const stories = await readStories(join(folder, LOG_NAME), { redactor, signal: options.signal });
  const record = await view.record();
  return { kind: "manager", id, folder, ...stories, record, version: view.state.start?.version ?? null };
}

async function readMini(
  place: Extract<RunPlace, { kind: "mini" }>,
  options: ReadReportOptions,
): Promise<MiniReport> {
  const { id, folder } = place;
  const problems: string[] = [];
  const read = async (from: typeof place) => {
    await using view = await openMiniView(from, options);
    return await view.record();
  };
  let record: MiniRecord;
  try {
    record = await read(place);
  } catch (error) {
    // What its process has written before it saved the trajectory may still be there.
    if (!(error instanceof Refused) || place.form !== "workdir" || place.run.log === undefined) throw error;
    record = await read({ ...place, run: { ...place.run, trajectory: undefined } });
    problems.push(`Its trajectory could not be read, and this is off its log: ${error.message}`);
  }
  return { kind: "mini", id, folder, problems, record };
}

/** Undefined: it has taken too long. Throws the reason of the signal. */
async function inTime<T>(
  work: Promise<T>,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
