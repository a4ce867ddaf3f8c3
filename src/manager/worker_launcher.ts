/** What the supervision of a run's workers needs of the world; `commands/manager` gives it. */
import type { EventData } from "../events/event.ts";
import type { AgentEvent, FailureCause } from "../events/session_events.ts";
import type { Saved } from "../git/repository.ts";
import type { Usage } from "../models/usage.ts";
import type { WorkerProcessEnd } from "../process/worker_process.ts";
import type { StreamResult } from "../workers/adapter.ts";
import type { WorkerOrder } from "./ports.ts";

export interface LaunchOrder {
  readonly order: WorkerOrder;
  /** What it was before; undefined: nothing yet. */
  readonly agent: string | undefined;
  /** From 1. */
  readonly attempt: number;
  /** What this attempt is told: the order's own prompt, or what it goes on with; goes into `worker.launched`. */
  readonly prompt: string;
  /** The agent's own session to go on with. */
  readonly resume: string | null;
  /** What that session had used before, where it is known. */
  readonly usedBefore: Usage | undefined;
  /** Why former attempts failed; some failures are answered by another command line. */
  readonly causes: readonly FailureCause[];
  /** Milliseconds that former attempts have taken; goes into `worker.launched` as `spent_before_ms`. */
  readonly spentBeforeMs: number;
  /** How many nudges it takes into account; goes there as `nudges_told`. */
  readonly nudgesTold: number;
}

export interface RunningWorker {
  /** Never rejects. */
  readonly ended: Promise<{ readonly process: WorkerProcessEnd; readonly result: StreamResult }>;
  /** INT → TERM → KILL; resolves with `ended`. */
  stop(): Promise<unknown>;
  lastOutputMs(): number;
  /** Of all its processes so far. */
  cpuMs(): number;
}

export interface WorkerHooks {
  /** Before the start. */
  onLaunched(launched: EventData<"worker.launched">): void;
  /** Before the first event. */
  onStarted(started: EventData<"worker.started">): void;
  onEvent(event: AgentEvent, offset: number): Promise<void>;
}

export interface WorkerLauncher {
  /** Whether the session of such an agent can go on here and now. */
  canResume(agent: string): boolean;
  /**
   * Starts it in its worktree, which is made when there is none. Throws a `Failure` when it cannot be started;
   * `onLaunched` may have been called then, and `onStarted` was not.
   */
  launch(order: LaunchOrder, hooks: WorkerHooks): Promise<RunningWorker>;
  /** Goes on with a worker of a former supervisor; undefined when nothing of it is left. */
  adopt(former: {
    readonly order: WorkerOrder;
    readonly launch: EventData<"worker.launched">;
    /** Null: its supervisor died before it could tell. */
    readonly process: EventData<"worker.started"> | null;
    /** Its events up to here were told. */
    readonly toldUntil: number;
  }, hooks: WorkerHooks): Promise<RunningWorker | undefined>;
  /** What the worker has put into `.gocore-task/answer.json`; undefined: no such file. */
  readAnswer(worker: string): Promise<string | undefined>;
  /** Keeps an answer as it was given, for whoever looks at the run later and for a later supervisor. */
  keepAnswer(worker: string, text: string): Promise<void>;
  keptAnswer(worker: string): Promise<string | undefined>;
  /** Takes its worktree away, if it is still there. What the worker has changed in it is kept under a ref: the result. */
  release(order: WorkerOrder): Promise<Saved | undefined>;
}
