/** What a session needs of the world; `commands/orchestrate` gives it. */
import type { EventData, EventFact } from "../events/event.ts";
import type { AgentEvent } from "../events/session_events.ts";
import type { Repository, Worktree } from "../git/repository.ts";
import type { Usage } from "../models/usage.ts";
import type { WorkerProcessEnd } from "../process/worker_process.ts";
import type { StreamResult } from "../workers/adapter.ts";
import type { Adjustment } from "./recovery.ts";
import type { SessionState } from "./session.ts";
import type { SessionSettings } from "./settings.ts";

export interface LaunchOrder {
  readonly worker: string;
  readonly agent: string;
  readonly task: string | null;
  readonly review: string | null;
  readonly attempt: number;
  readonly prompt: string;
  readonly workdir: string;
  readonly branch: string | null;
  readonly readOnly: boolean;
  readonly resume: string | null;
  /** What that session had used before, where it is known. */
  readonly usedBefore: Usage | undefined;
  readonly adjustment: Adjustment;
  /** Undefined: the limit for workers. */
  readonly timeoutMs?: number;
}

export interface LaunchedWorker {
  /** Never rejects. */
  readonly ended: Promise<{ readonly process: WorkerProcessEnd; readonly result: StreamResult }>;
  pause(): void;
  resume(): void;
  /** Resolves with `ended`. */
  stop(): Promise<unknown>;
  lastOutputMs(): number;
  cpuMs(): number;
  hasChildren(): boolean;
}

export interface Launcher {
  /** Throws a `Failure` when the worker cannot be started; `onLaunched` was called then, and `onStarted` was not. */
  launch(order: LaunchOrder, hooks: WorkerHooks): Promise<LaunchedWorker>;
  /** Goes on with a worker of a former supervisor; undefined when nothing of it is left. */
  adopt(former: FormerWorker, hooks: WorkerHooks): Promise<LaunchedWorker | undefined>;
  /** The agents that can work now, in order. */
  ready(): readonly string[];
  canResume(agent: string): boolean;
}

export interface FormerWorker {
  readonly launch: EventData<"worker.launched">;
  /** Null: its supervisor died before it could tell. */
  readonly process: EventData<"worker.started"> | null;
  /** Its events up to here were told. */
  readonly toldUntil: number;
}

export interface WorkerHooks {
  /** Before the start. */
  onLaunched(launched: EventData<"worker.launched">): void;
  /** Before the first event. */
  onStarted(started: EventData<"worker.started">): void;
  onEvent(event: AgentEvent, offset: number): Promise<void>;
}

export interface Control {
  readonly id: string;
  readonly command: "pause" | "resume" | "stop" | "review" | "answer";
  /** Null: the whole session. */
  readonly worker: string | null;
  readonly text: string;
  readonly by: string;
  /** For an answer; null: the oldest open question. */
  readonly question: string | null;
}

export interface SessionPorts {
  readonly settings: SessionSettings;
  /** What has been published adds up to it, at once. */
  readonly state: SessionState;
  publish(fact: EventFact): Promise<void>;
  readonly launcher: Launcher;
  /** Undefined: the target is no git repository. */
  readonly repository: Repository | undefined;
  /** USD that the default plan may cost, or null. */
  estimateUsd(agents: readonly { readonly agent: string; readonly load: number }[]): Promise<number | null>;
  /** What the ledger has of this session, by worker. */
  spending(): readonly EventData<"spending.counted">[];
  /** Runs the person's check. */
  verify(
    command: string,
    cwd: string,
    signal: AbortSignal,
  ): Promise<{ exitCode: number | null; output: string; durationMs: number }>;
  judgeCommand(
    command: string,
    place: { readonly cwd: string; readonly workdir: string },
  ): Promise<{ verdict: "allow" | "confirm" | "block"; rule: string; reason: string }>;
  /** Writes a file of the session, by path relative to its folder, whole or not at all. */
  writeFile(path: string, content: string): Promise<void>;
  readFile(path: string): Promise<string | undefined>;
  /** Some names of files in the target. */
  listFiles(): Promise<readonly string[]>;
  /** Aborts with an `Interrupt` or another reason to end at once. */
  readonly signal: AbortSignal;
  now(): number;
}

export type { Repository, Worktree };
