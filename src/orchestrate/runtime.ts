/** A session at work: its workers, what holds them, and what ends it. */
import type { EventData, EventFact } from "../events/event.ts";
import type { SessionStatus } from "../events/session_events.ts";
import { exitOf, LIMIT_UNITS, lostExit } from "../events/worker_exit.ts";
import { Failure, messageOf } from "../failure.ts";
import type { LaunchedWorker, LaunchOrder, SessionPorts, WorkerHooks } from "./ports.ts";
import type { SessionState } from "./session.ts";
import type { SessionSettings } from "./settings.ts";

export interface Ending {
  readonly status: SessionStatus;
  readonly reason: string;
}

/** Thrown by whatever waits when the session ends. */
export class SessionEnds extends Error {
  constructor(readonly ending: Ending) {
    super(ending.reason);
  }
}

export class Runtime {
  readonly ports: SessionPorts;
  /** When this supervisor began. */
  readonly startedMs: number;
  readonly #workers = new Map<string, LaunchedWorker>();
  readonly #holds = new Map<string, { readonly status: "paused" | "needs_input"; readonly reason: string }>();
  readonly #waiting = new Set<() => void>();
  #isNoticed = false;
  #reviews = 0;
  readonly #ending = new AbortController();

  constructor(ports: SessionPorts) {
    this.ports = ports;
    this.startedMs = ports.now();
    const { signal } = ports;
    const onAbort = () => this.end("interrupted", messageOf(signal.reason));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  }

  get state(): SessionState {
    return this.ports.state;
  }

  get settings(): SessionSettings {
    return this.ports.settings;
  }

  /** Why the session ends; undefined while it goes on. */
  get ending(): Ending | undefined {
    return this.#ending.signal.aborted ? (this.#ending.signal.reason as SessionEnds).ending : undefined;
  }

  /** Aborts, with `SessionEnds`, as soon as the session ends. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** An id for a review that is not told yet: several may be prepared at the same time. */
  newReviewId(): string {
    this.#reviews = Math.max(this.#reviews, this.state.reviews.size) + 1;
    return `r${this.#reviews}`;
  }

  get workers(): ReadonlyMap<string, LaunchedWorker> {
    return this.#workers;
  }

  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  /** Never waited for: who listens has to keep up, and what is recorded is recorded when this returns. */
  tell(fact: EventFact): void {
    this.ports.publish(fact).catch(() => {});
    this.notice();
  }

  /** What is waited for may have come. Looked at once for all that happens in one turn, and never within `tell`. */
  notice(): void {
    if (this.#isNoticed) return;
    this.#isNoticed = true;
    queueMicrotask(() => {
      this.#isNoticed = false;
      for (const wake of [...this.#waiting]) wake();
    });
  }

  /** The first that is found, at the latest after `timeoutMs`: undefined then. Throws `SessionEnds`. */
  until<T>(find: () => T | undefined, { timeoutMs }: { timeoutMs?: number } = {}): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = (settle: () => void) => {
        this.#waiting.delete(look);
        clearTimeout(timer);
        settle();
      };
      const look = () => {
        if (this.signal.aborted) return settle(() => reject(this.signal.reason));
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
      };
      this.#waiting.add(look);
      if (timeoutMs !== undefined) {
        timer = setTimeout(() => settle(() => resolve(undefined)), Math.min(Math.max(timeoutMs, 0), 2 ** 31 - 1));
      }
      look();
    });
  }

  /** The first reason counts. Workers are stopped; what waits throws. */
  end(status: SessionStatus, reason: string): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new SessionEnds({ status, reason }));
    this.notice();
    for (const name of this.#workers.keys()) this.stopWorker(name, "stop", reason);
  }

  setStatus(status: SessionStatus, reason: string): void {
    if (this.state.status === status && this.state.statusReason === reason) return;
    this.tell({ type: "session.status", data: { status, reason } });
  }

  /** Holds every worker until `release` of the same name. */
  hold(name: string, { status, reason }: { status: "paused" | "needs_input"; reason: string }): void {
    if (this.#holds.has(name)) return;
    this.#holds.set(name, { status, reason });
    this.setStatus(status, reason);
    for (const [worker, launched] of this.#workers) this.#pause(worker, launched, reason);
  }

  release(name: string): void {
    if (!this.#holds.delete(name)) return this.notice();
    const other = [...this.#holds.values()].at(-1);
    if (other !== undefined) return this.setStatus(other.status, other.reason);
    for (const [worker, launched] of this.#workers) {
      if (!this.#holdsBack(worker)) continue;
      launched.resume();
      this.tell({ type: "worker.signalled", data: { worker, action: "resume", reason: "the session goes on" } });
    }
    this.setStatus("running", "");
    this.notice();
  }

  /** INT → TERM → KILL; told first. Does nothing when it is not running. */
  stopWorker(name: string, action: "stop" | "nudge", reason: string): void {
    const launched = this.#workers.get(name);
    if (launched === undefined) return;
    this.tell({ type: "worker.signalled", data: { worker: name, action, reason } });
    // What is held cannot obey.
    launched.resume();
    launched.stop().catch(() => {});
  }

  /** Starts a worker and waits for its end, as it was told; one that cannot be started has failed. */
  async run(
    order: LaunchOrder,
    onEvent: (event: EventData<"worker.event">) => void,
  ): Promise<EventData<"worker.exited">> {
    this.signal.throwIfAborted();
    const { worker, attempt } = order;
    let launched: LaunchedWorker;
    try {
      launched = await this.ports.launcher.launch(order, this.#hooks(worker, onEvent));
    } catch (error) {
      // What failed before it was told as a launch is nobody's attempt: none would be counted, and all would fail.
      const isTold = this.state.workers.get(worker)?.launch.attempt === attempt;
      if (!(error instanceof Failure) || !isTold) throw error;
      const hints = error.hints.map((hint) => `; ${hint}`).join("");
      const data = {
        ...lostExit({ worker, attempt }, `${error.message}${hints}`),
        outcome: "failed",
        cause: "start",
      } as const;
      this.tell({ type: "worker.exited", data });
      return data;
    }
    return await this.#supervise(launched, order);
  }

  /** Goes on with one that a former supervisor has started, if anything is left of it, or stops it, to its end. */
  async adopt(
    name: string,
    onEvent: (event: EventData<"worker.event">) => void,
    { isWanted = true }: { isWanted?: boolean } = {},
  ): Promise<EventData<"worker.exited">> {
    const { launch, process, toldUntil } = this.state.workers.get(name)!;
    const launched = await this.ports.launcher.adopt({ launch, process, toldUntil }, this.#hooks(name, onEvent));
    const { attempt } = launch;
    if (launched === undefined) {
      const data = lostExit({ worker: name, attempt }, "its process was gone when a new supervisor looked for it");
      this.tell({ type: "worker.exited", data });
      return data;
    }
    // It may have been held when its supervisor died.
    launched.resume();
    const ended = this.#supervise(launched, { worker: name, attempt });
    if (!isWanted) this.stopWorker(name, "stop", "what it was for begins again");
    return await ended;
  }

  #hooks(worker: string, onEvent: (event: EventData<"worker.event">) => void): WorkerHooks {
    return {
      onLaunched: (data) => this.tell({ type: "worker.launched", data }),
      onStarted: (data) => this.tell({ type: "worker.started", data }),
      onEvent: async (event, offset) => {
        const data = { worker, offset, event };
        // Waited for: a flood of events goes no faster than those who listen.
        await this.ports.publish({ type: "worker.event", data });
        onEvent(data);
        this.notice();
      },
    };
  }

  async #supervise(
    launched: LaunchedWorker,
    { worker, attempt, timeoutMs }: { worker: string; attempt: number; timeoutMs?: number },
  ): Promise<EventData<"worker.exited">> {
    const startedMs = this.ports.now();
    this.#workers.set(worker, launched);
    if (this.isHeld) this.#pause(worker, launched, "the session is held");
    if (this.ending !== undefined) this.stopWorker(worker, "stop", this.ending.reason);
    const timer = timeoutMs === undefined
      ? undefined
      : setTimeout(() => this.stopWorker(worker, "stop", `it took more than ${timeoutMs / 1000} s`), timeoutMs);
    const { process, result } = await launched.ended.finally(() => clearTimeout(timer));
    this.#workers.delete(worker);
    const durationMs = process.durationMs || this.ports.now() - startedMs;
    const data = exitOf({ worker, attempt }, { process: { ...process, durationMs }, result });
    if (process.endedBy === "cpu" || process.endedBy === "memory" || process.endedBy === "time") {
      const { allowed = 0, found = 0 } = process.exceeded ?? {};
      const unit = LIMIT_UNITS[process.endedBy];
      this.tell({ type: "limit.exceeded", data: { worker, limit: process.endedBy, allowed, found, unit } });
    }
    this.tell({ type: "worker.exited", data });
    return data;
  }

  #pause(worker: string, launched: LaunchedWorker, reason: string): void {
    if (!this.#holdsBack(worker)) return;
    launched.pause();
    this.tell({ type: "worker.signalled", data: { worker, action: "pause", reason } });
  }

  /** Reviewers go on: their answers may be what everybody waits for. */
  #holdsBack(worker: string): boolean {
    return this.state.workers.get(worker)?.review === null;
  }
}
