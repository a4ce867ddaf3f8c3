/** Starts the runs of a schedule when their time has come, and tells what has come of them. */
import { join } from "node:path";
import { messageOf } from "../../../failure.ts";
import type { Timers } from "../../../gateway/rate_gate.ts";
import { type Library, Refused, type Schedule, type Starter } from "../../../http/ports.ts";
import type { ScheduleList, StartRun } from "../../../http/schemas.ts";
import { claimLock } from "../../../store/owner_lock.ts";
import { makeRunsRoot, supervisorOf } from "../../manager/run_folder.ts";
import { createCron, type CronTimes } from "./create_cron.ts";
import { findIssues } from "./find_issues.ts";
import type { ScheduledIssue, ScheduleEntry, ScheduleSettings } from "./read_entries.ts";
import { type EntryState, MOST_RUNS, readScheduleState, writeScheduleState } from "./schedule_state.ts";

export interface ScheduleOptions extends ScheduleSettings {
  /** Of manager runs, absolute. */
  readonly runsRoot: string;
  readonly starter: Pick<Starter, "run">;
  readonly library: Pick<Library, "entry" | "history">;
  /** For GitHub's token and address. */
  readonly env: Readonly<Record<string, string>>;
  /** Told, in a line, of what starts, is left out, or goes wrong. Not escaped for a terminal. */
  tell(text: string): void;
  /** Milliseconds since 1970. */
  now(): number;
  /** Nothing is started any more. What was started goes on. */
  readonly signal: AbortSignal;
  readonly timers?: Timers;
}

export interface RunningSchedule extends Schedule, AsyncDisposable {
  /** Since the server began. */
  readonly figures: Readonly<ScheduleFigures>;
}

export interface ScheduleFigures {
  started: number;
  /** Issues that somebody works on already. */
  skipped: number;
  /** Issues of which the last run has said everything. */
  unchanged: number;
  failed: number;
  /** Now: for others to end. */
  waiting: number;
  /** Now. */
  running: number;
}

export const SCHEDULE_FILE = ".gocore-schedule.json";
const LOCK_FILE = ".gocore-schedule.lock";
/** Clocks are set, and machines sleep while timers stand still. */
const LONGEST_NAP_MS = 30_000;
/** While runs go on, or another server has the schedule. */
const LOOK_MS = 5000;
/** A clock that was set back by less makes nobody wait. */
const SET_BACK_MS = 60_000;
const MOST_NOTES = 10;

/** Begins at once. Two servers over the same runs take turns: the second one waits for the end of the first. */
export async function createSchedule(options: ScheduleOptions): Promise<RunningSchedule> {
  const plans: Plan[] = [];
  for (const entry of options.entries) {
    plans.push(new Plan(entry, await createCron(entry.cron, entry.timezone), options.now()));
  }
  return new CronSchedule(plans, options);
}

/** One entry: when it is due, and what has come of it. */
class Plan {
  readonly entry: ScheduleEntry;
  readonly times: CronTimes;
  readonly state: EntryState;
  nextMs: number | null;
  /** GitHub is being asked. */
  isSearching = false;
  /** Issues that wait for their turn. */
  waiting = 0;
  problem: string | null = null;

  constructor(entry: ScheduleEntry, times: CronTimes, nowMs: number) {
    this.entry = entry;
    this.times = times;
    const { name, cron, timezone = null } = entry;
    this.state = { name, cron, timezone, handled_ms: nowMs, last: null, seen: [] };
    this.nextMs = times.next(nowMs);
  }

  /** Goes on where an earlier server has ended. */
  resume(state: EntryState, nowMs: number): void {
    const { cron, timezone } = this.state;
    // Of an expression that was another one nothing has been missed.
    const isSame = state.cron === cron && state.timezone === timezone;
    const handledMs = isSame ? Math.min(state.handled_ms, nowMs) : nowMs;
    Object.assign(this.state, { handled_ms: handledMs, last: state.last, seen: state.seen });
    this.nextMs = this.times.next(handledMs);
  }

  get isSettled(): boolean {
    return !this.isSearching && this.waiting === 0;
  }

  /** What the last time was about, in a few words. */
  note(text: string): void {
    this.state.last?.notes.splice(MOST_NOTES - 1, Infinity, text);
  }
}

interface Job {
  readonly plan: Plan;
  readonly issue: ScheduledIssue;
  /** Of an issue that a query has found. */
  readonly updatedAt?: string;
}

class CronSchedule implements RunningSchedule {
  readonly figures: ScheduleFigures = { started: 0, skipped: 0, unchanged: 0, failed: 0, waiting: 0, running: 0 };
  readonly #plans: readonly Plan[];
  readonly #options: ScheduleOptions;
  readonly #timers: Timers;
  readonly #ending = new AbortController();
  readonly #queue: Job[] = [];
  /** Runs that go on, by id. */
  readonly #active = new Map<string, Job>();
  readonly #searches = new Set<Promise<void>>();
  #release: (() => void) | undefined;
  /** Why nothing is started here. */
  #obstacle: string | null = null;
  #lookedAtMs: number;
  #timer: unknown;
  #working: Promise<void> | undefined;
  #isAsked = false;
  #saving: Promise<void> = Promise.resolve();
  #isUnsaved = false;

  constructor(plans: readonly Plan[], options: ScheduleOptions) {
    this.#plans = plans;
    this.#options = options;
    this.#timers = options.timers ?? {
      setTimeout: (callback, ms) => setTimeout(callback, ms),
      clearTimeout: (timer) => clearTimeout(timer as number),
    };
    this.#lookedAtMs = options.now();
    options.signal.addEventListener("abort", this.#end, { once: true });
    if (options.signal.aborted) this.#end();
    else if (plans.length > 0) this.#look();
  }

  list(): ScheduleList {
    return {
      entries: this.#plans.map((plan) => {
        const { entry: { name, cron, timezone = null, target }, state: { last }, nextMs, problem } = plan;
        return {
          name,
          cron,
          timezone,
          target: target.kind === "query" ? target.query.written : issueName(target.issue),
          next_at: nextMs === null ? null : new Date(nextMs).toISOString(),
          last_at: last === null ? null : new Date(last.at_ms).toISOString(),
          last_result: last === null ? null : this.#resultOf(plan, last),
          running: [...this.#active.values()].some((job) => job.plan === plan),
          problem: this.#obstacle ?? problem,
        };
      }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#end);
    this.#end();
    await this.#working;
    await Promise.all(this.#searches);
    await this.#saving;
    this.#release?.();
  }

  readonly #end = () => {
    this.#ending.abort();
    this.#timers.clearTimeout(this.#timer);
  };

  #resultOf(plan: Plan, { runs, notes }: NonNullable<EntryState["last"]>): string {
    const parts = runs.map((id) => {
      const status = this.#active.has(id) ? "running" : this.#options.library.entry("manager", id)?.status;
      return status === undefined ? id : `${id}: ${status}`;
    });
    if (plan.isSearching) parts.push("GitHub is being asked");
    if (plan.waiting > 0) parts.push(`${plan.waiting === 1 ? "one waits" : `${plan.waiting} wait`} for a run to end`);
    return [...parts, ...notes].join("; ") || "nothing to do";
  }

  /** One at a time; what happens meanwhile is looked at afterwards. */
  readonly #look = () => {
    this.#timers.clearTimeout(this.#timer);
    this.#isAsked = true;
    this.#working ??= this.#work();
  };

  async #work(): Promise<void> {
    let napMs = LOOK_MS;
    while (this.#isAsked && !this.#ending.signal.aborted) {
      this.#isAsked = false;
      try {
        await this.#step();
        napMs = this.#napMs();
      } catch (error) {
        this.#stand(messageOf(error));
        napMs = LOOK_MS;
      }
    }
    // Without a pause after the last look, in which somebody could ask in vain.
    this.#working = undefined;
    if (!this.#ending.signal.aborted) this.#timer = this.#timers.setTimeout(this.#look, napMs);
  }

  #napMs(): number {
    const nowMs = this.#options.now();
    const next = this.#plans.map(({ nextMs }) => nextMs === null ? Infinity : Math.max(nextMs - nowMs, 0));
    const isWatching = this.#active.size > 0 || this.#release === undefined;
    return Math.min(...next, isWatching ? LOOK_MS : LONGEST_NAP_MS);
  }

  async #step(): Promise<void> {
    if (this.#release === undefined && !await this.#begin()) return;
    this.#forgetEnded();
    const nowMs = this.#options.now();
    if (nowMs < this.#lookedAtMs - SET_BACK_MS) {
      for (const plan of this.#plans) plan.nextMs = plan.times.next(nowMs);
    }
    this.#lookedAtMs = nowMs;
    for (const plan of this.#plans) if (plan.nextMs !== null && plan.nextMs <= nowMs) this.#fire(plan, nowMs);
    const hasRoom = () => this.#active.size < this.#options.maxRunning && !this.#ending.signal.aborted;
    while (this.#queue.length > 0 && hasRoom()) await this.#start(this.#queue.shift()!);
    this.#count();
    this.#settle();
    this.#obstacle = null;
  }

  /** Whether the schedule is ours, as no other server has it. */
  async #begin(): Promise<boolean> {
    const { runsRoot, now } = this.#options;
    for (const plan of this.#plans) plan.nextMs = plan.times.next(now());
    await makeRunsRoot(runsRoot);
    const claim = claimLock(join(runsRoot, LOCK_FILE));
    if (claim.kind === "taken") {
      this.#stand(`Process ${claim.owner.pid} has the schedule of "${runsRoot}"`);
      return false;
    }
    this.#release = claim.release;
    const states = await readScheduleState(join(runsRoot, SCHEDULE_FILE)).catch((error) => {
      this.#options.tell(`What the schedule has done before is not known: ${messageOf(error)}`);
      return new Map<string, EntryState>();
    });
    for (const plan of this.#plans) {
      const state = states.get(plan.entry.name);
      if (state !== undefined) plan.resume(state, now());
      for (const id of plan.state.last?.runs ?? []) if (this.#isGoingOn(id)) this.#active.set(id, { plan, issue: {} });
    }
    this.#save();
    return true;
  }

  #stand(obstacle: string): void {
    if (obstacle !== this.#obstacle) this.#options.tell(`The schedule does not run: ${obstacle}`);
    this.#obstacle = obstacle;
  }

  /** By the lock of the run: whoever lists runs may not have seen it yet. */
  #isGoingOn(id: string): boolean {
    return supervisorOf(join(this.#options.runsRoot, id)) !== undefined;
  }

  #forgetEnded(): void {
    for (const [id, { plan }] of this.#active) {
      if (this.#isGoingOn(id)) continue;
      this.#active.delete(id);
      this.#options.tell(`${plan.entry.name}: ${id} has ended`);
    }
  }

  /** However often its time has come meanwhile. */
  #fire(plan: Plan, nowMs: number): void {
    plan.nextMs = plan.times.next(nowMs);
    if (!plan.isSettled) return this.#options.tell(`${plan.entry.name}: it still waits, and is left out this time`);
    const { target } = plan.entry;
    plan.problem = null;
    const runs = plan.state.last?.runs.filter((id) => this.#active.has(id)) ?? [];
    plan.state.last = { at_ms: nowMs, runs, notes: [] };
    if (target.kind === "issue") return this.#enqueue({ plan, issue: target.issue });
    plan.isSearching = true;
    const { signal } = this.#ending;
    const search = this.#search(plan, target)
      .catch((error) => signal.aborted || this.#fail(plan, messageOf(error)))
      .then(() => {
        this.#searches.delete(search);
        // One that was cut short is made up for.
        plan.isSearching = signal.aborted;
        this.#look();
      });
    this.#searches.add(search);
  }

  async #search(
    plan: Plan,
    { query, limit }: Extract<ScheduleEntry["target"], { kind: "query" }>,
  ): Promise<void> {
    const { env, now } = this.#options;
    const found = await findIssues(query, { env, now, signal: this.#ending.signal });
    const changed = plan.entry.options.if_changed
      ? found.filter(({ url, updatedAt }) => !this.#isKnown(plan, url, updatedAt))
      : found;
    for (const { url, updatedAt } of changed.slice(0, limit)) {
      this.#enqueue({ plan, issue: { issue_url: url }, updatedAt });
    }
    if (changed.length === 0) plan.note(`${found.length} found, none of them new or changed`);
    if (changed.length > limit) plan.note(`${changed.length - limit} more for next time`);
  }

  /** Whether a run of the issue began after its last change. */
  #isKnown({ state }: Plan, url: string, updatedAt: string): boolean {
    if (state.seen.some((issue) => issue.url === url && issue.updated_at === updatedAt)) return true;
    const { entries } = this.#options.library.history({ kind: "manager", q: url, limit: 100 });
    return entries.some(({ source, started_at }) =>
      source === url && started_at !== null && Date.parse(started_at) >= Date.parse(updatedAt)
    );
  }

  #enqueue(job: Job): void {
    const name = issueName(job.issue);
    const other = [...this.#active].find(([, { issue }]) => issueName(issue) === name)?.[0];
    if (other !== undefined) return this.#skip(job.plan, `${other} works on ${name}`);
    if (this.#queue.some(({ issue }) => issueName(issue) === name)) {
      return this.#skip(job.plan, `${name} waits for its turn already`);
    }
    job.plan.waiting++;
    this.#queue.push(job);
    this.#count();
  }

  async #start(job: Job): Promise<void> {
    const { plan, issue, updatedAt } = job;
    const { starter, library, tell, now } = this.#options;
    const { name, options } = plan.entry;
    const request: StartRun = { ...issue, ...options };
    const beganMs = now();
    try {
      const { run_id } = await starter.run(request);
      const startedAt = library.entry("manager", run_id)?.started_at ?? null;
      const isOld = options.if_changed === true && !this.#isGoingOn(run_id) && startedAt !== null &&
        Date.parse(startedAt) < beganMs;
      plan.state.last?.runs.splice(MOST_RUNS - 1, Infinity, run_id);
      if (isOld) {
        this.figures.unchanged++;
        plan.note(`nothing new since ${run_id}`);
      } else {
        this.figures.started++;
        tell(`${name}: ${run_id} works on ${issueName(issue)}`);
        this.#active.set(run_id, job);
      }
      if (issue.issue_url !== undefined && updatedAt !== undefined) {
        const others = plan.state.seen.filter(({ url }) => url !== issue.issue_url);
        plan.state.seen = [...others, { url: issue.issue_url, updated_at: updatedAt }];
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 409) this.#skip(plan, error.message);
      else this.#fail(plan, `${issueName(issue)}: ${messageOf(error)}`);
    } finally {
      plan.waiting--;
      this.#save();
    }
  }

  #skip(plan: Plan, why: string): void {
    this.figures.skipped++;
    plan.note(`left out: ${why}`);
    this.#options.tell(`${plan.entry.name}: left out: ${why}`);
  }

  #fail(plan: Plan, why: string): void {
    this.figures.failed++;
    plan.problem = why;
    this.#options.tell(`${plan.entry.name}: not started: ${why}`);
  }

  #count(): void {
    this.figures.waiting = this.#queue.length;
    this.figures.running = this.#active.size;
  }

  /** What is due and not yet begun when the server ends is made up for by the next one. */
  #settle(): void {
    for (const { isSettled, state } of this.#plans) {
      if (!isSettled || state.last === null || state.handled_ms >= state.last.at_ms) continue;
      state.handled_ms = state.last.at_ms;
      this.#save();
    }
  }

  #save(): void {
    if (this.#isUnsaved) return;
    this.#isUnsaved = true;
    this.#saving = this.#saving.then(async () => {
      this.#isUnsaved = false;
      const path = join(this.#options.runsRoot, SCHEDULE_FILE);
      await writeScheduleState(path, this.#plans.map(({ state }) => state));
    }).catch((error) => this.#options.tell(`The schedule may repeat itself: ${messageOf(error)}`));
  }
}

function issueName({ issue_url, issue_file }: ScheduledIssue): string {
  return issue_url ?? issue_file ?? "";
}
