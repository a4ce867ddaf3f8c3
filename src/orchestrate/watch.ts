/** Looks after running workers: what they say that needs a review, and whether they live. */
import type { EventData } from "../events/event.ts";
import type { FailureCause } from "../events/session_events.ts";
import { judgeLiveness } from "./liveness.ts";
import { STALLED } from "./next_step.ts";
import type { LaunchedWorker } from "./ports.ts";
import type { Trigger } from "./review_round.ts";
import type { Runtime } from "./runtime.ts";
import type { WorkerState } from "./session.ts";
import { targetOf, worktreeOf } from "./task_work.ts";

export interface WatchServices {
  review(worker: string, trigger: Trigger, reason: string): void;
  /** Stops a worker whose failure does not end it, and has it go on with the remedy. */
  recover(worker: WorkerState, cause: FailureCause, text: string): void;
}

/** Between two looks. Everything that makes an event is noticed at once; this is for what makes none. */
const LOOK_MS = 10_000;
/** A worker with other signs of life is not asked for its files. */
const QUIET_MS = 30_000;

const TRIGGERS: Partial<Record<EventData<"worker.event">["event"]["type"], Trigger>> = {
  milestone: "milestone",
  blocker: "blocker",
  request_review: "request",
  review: "request",
};

interface Watched {
  fingerprint: string;
  lastChangeMs: number;
  /** Who could do nothing until then is not late. */
  heldUntilMs: number;
  cpuMs: number;
  lastCpuMs: number;
  /** Commands whose end was not told yet. */
  readonly begun: Set<unknown>;
  lastCommand: string;
  repeats: number;
  lastReviewMs: number;
  recheckAtMs: number | undefined;
  verdict: string;
}

export class Watch {
  readonly #runtime: Runtime;
  readonly #services: WatchServices;
  /** By worker and attempt. */
  readonly #watched = new Map<string, Watched>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLooking = false;

  constructor(runtime: Runtime, services: WatchServices) {
    this.#runtime = runtime;
    this.#services = services;
  }

  start(): void {
    const { stallMs } = this.#runtime.settings.liveness;
    const { silenceMs, recheckMs } = this.#runtime.settings.reviews;
    const periodMs = Math.max(Math.min(LOOK_MS, stallMs / 4, silenceMs / 4, recheckMs / 4), 20);
    this.#timer = setInterval(() => this.#lookAtAll(), periodMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at the work once more, later. */
  recheck(worker: string): void {
    const { recheckMs } = this.#runtime.settings.reviews;
    this.#of(worker).recheckAtMs = this.#runtime.ports.now() + recheckMs;
  }

  readonly hear = ({ worker, event }: EventData<"worker.event">): void => {
    const watched = this.#of(worker);
    const { data, text } = event.payload;
    if (event.type === "command" && typeof data?.command === "string") {
      if (data.phase === "started") {
        watched.begun.add(data.id);
        this.#judge(worker, data.command);
      } else {
        // Some agents tell a command only when it has ended.
        if (!watched.begun.delete(data.id)) this.#judge(worker, data.command);
        const done = JSON.stringify([data.command, data.output, data.exit_code]);
        watched.repeats = done === watched.lastCommand ? watched.repeats + 1 : 1;
        watched.lastCommand = done;
      }
    }
    if (event.type === "file") watched.repeats = 0;
    if (event.type === "denial") this.#hearDenial(worker, text, data?.cause);
    const trigger = TRIGGERS[event.type];
    if (trigger === undefined) return;
    const { cooldownMs } = this.#runtime.settings.reviews;
    const now = this.#runtime.ports.now();
    // Who reports milestones all the time is not reviewed all the time; a blocker cannot wait.
    if (trigger !== "blocker" && now - watched.lastReviewMs < cooldownMs) return;
    watched.lastReviewMs = now;
    this.#services.review(worker, trigger, text);
  };

  /**
   * Agents go on after a denial, and many end as if nothing had been. Where they were denied what is theirs, that is
   * mended (seed, "Recovery Scenarios" 1) or told to a person (3); what lies elsewhere was denied rightly.
   */
  #hearDenial(name: string, text: string, cause: unknown): void {
    const { state, settings } = this.#runtime;
    const worker = state.workers.get(name);
    if (worker === undefined || worker.review !== null || worker.task === null) return;
    const { attempt, workdir } = worker.launch;
    if (state.recoveries.some((one) => one.worker === name && one.attempt === attempt)) return;
    const own = [workdir, settings.target, settings.folder];
    if (!pathsIn(text).some((path) => own.some((folder) => path === folder || path.startsWith(`${folder}/`)))) return;
    if (cause === "include_directories") this.#services.recover(worker, "include_directories", text);
    // A read-only target is what the sandbox is for.
    else if (cause === "permission" && pathsIn(text).some((path) => path.startsWith(`${workdir}/`))) {
      this.#services.recover(worker, "permission", text);
    }
  }

  async #judge(worker: string, command: string): Promise<void> {
    const { ports } = this.#runtime;
    const state = this.#runtime.state.workers.get(worker);
    if (state === undefined) return;
    try {
      const judged = await ports.judgeCommand(command, state.launch);
      if (judged.verdict === "allow") return;
      this.#runtime.tell({ type: "command.judged", data: { worker, command: command.slice(0, 8192), ...judged } });
      if (judged.verdict === "block") {
        this.#runtime.stopWorker(worker, "stop", `${STALLED}: it ran what is blocked (${judged.reason})`);
      }
    } catch (error) {
      const content = `A command of ${worker} could not be judged: ${error instanceof Error ? error.message : error}`;
      this.#runtime.tell({ type: "log", data: { level: "warning", content } });
    }
  }

  async #lookAtAll(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      for (const [name, launched] of this.#runtime.workers) {
        const worker = this.#runtime.state.workers.get(name);
        if (worker !== undefined && worker.exit === null) await this.#look(worker, launched);
      }
    } catch (error) {
      const content = `Workers could not be looked at: ${error instanceof Error ? error.message : error}`;
      this.#runtime.tell({ type: "log", data: { level: "warning", content } });
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(worker: WorkerState, launched: LaunchedWorker): Promise<void> {
    const { settings, ports } = this.#runtime;
    const watched = this.#of(worker.name);
    const nowMs = ports.now();
    if (worker.status === "paused") watched.heldUntilMs = nowMs;
    if (nowMs - launched.lastOutputMs() > Math.min(QUIET_MS, settings.liveness.stallMs / 4)) {
      const fingerprint = await this.#fingerprint(worker);
      if (fingerprint !== watched.fingerprint) watched.lastChangeMs = nowMs;
      watched.fingerprint = fingerprint;
    }
    const cpuMs = launched.cpuMs();
    if (cpuMs > watched.cpuMs) watched.lastCpuMs = nowMs;
    watched.cpuMs = cpuMs;
    const { verdict, proof, idleSeconds } = judgeLiveness({
      nowMs,
      isRunning: true,
      isPaused: worker.status === "paused",
      lastOutputMs: launched.lastOutputMs(),
      callSinceMs: this.#callSinceMs(worker.name),
      isHeldBack: this.#runtime.state.heldBack.has(worker.name),
      hasCommand: launched.hasChildren(),
      lastChangeMs: Math.max(watched.lastChangeMs, watched.heldUntilMs),
      // One quiet look says nothing of a download.
      usesCpu: nowMs - watched.lastCpuMs < settings.liveness.stallMs,
      repeats: watched.repeats,
    }, settings.liveness);
    if (verdict !== watched.verdict) {
      watched.verdict = verdict;
      this.#runtime.tell({
        type: "worker.liveness",
        data: { worker: worker.name, verdict, proof, idle_seconds: idleSeconds },
      });
    }
    if (verdict === "stalled" || verdict === "spinning") this.#escalate(worker, launched, proof);
    if (worker.review !== null || worker.status === "paused") return;
    const lastEventMs = Date.parse(worker.lastEventAt ?? worker.attemptStartedAt);
    const lastMs = Math.max(lastEventMs, watched.lastReviewMs, watched.heldUntilMs);
    if (nowMs - lastMs >= settings.reviews.silenceMs) {
      watched.lastReviewMs = nowMs;
      this.#services.review(worker.name, "silence", `no event for ${Math.round((nowMs - lastMs) / 60_000)} minutes`);
    }
    if (watched.recheckAtMs !== undefined && nowMs >= watched.recheckAtMs) {
      watched.recheckAtMs = undefined;
      this.#services.review(worker.name, "recheck", "a warning was logged before");
    }
  }

  /** First it is told to take another way; then it is held, and ended. Its work is kept either way. */
  #escalate(worker: WorkerState, launched: LaunchedWorker, proof: string): void {
    if (worker.lastSignal?.action === "nudge" || worker.lastSignal?.action === "stop") return;
    if (worker.nudges === 0 && worker.review === null) return this.#runtime.stopWorker(worker.name, "nudge", proof);
    launched.pause();
    this.#runtime.tell({ type: "worker.signalled", data: { worker: worker.name, action: "pause", reason: proof } });
    this.#runtime.stopWorker(worker.name, "stop", `${STALLED}: ${proof}`);
  }

  #callSinceMs(worker: string): number | undefined {
    let since: number | undefined;
    for (const call of this.#runtime.state.calls.values()) {
      if (call.worker === worker) since = Math.min(since ?? Infinity, call.sinceMs);
    }
    return since;
  }

  async #fingerprint(worker: WorkerState): Promise<string> {
    const { repository } = this.#runtime.ports;
    const task = worker.task === null ? undefined : this.#runtime.state.tasks.get(worker.task);
    if (repository === undefined || task === undefined) return "";
    return await repository.fingerprint(await worktreeOf(this.#runtime, task) ?? targetOf(this.#runtime));
  }

  #of(worker: string): Watched {
    const attempt = this.#runtime.state.workers.get(worker)?.launch.attempt ?? 0;
    const key = `${worker}/${attempt}`;
    let watched = this.#watched.get(key);
    if (watched === undefined) {
      watched = {
        fingerprint: "",
        lastChangeMs: this.#runtime.ports.now(),
        heldUntilMs: -Infinity,
        cpuMs: 0,
        lastCpuMs: -Infinity,
        begun: new Set(),
        lastCommand: "",
        repeats: 0,
        lastReviewMs: -Infinity,
        recheckAtMs: undefined,
        verdict: "",
      };
      this.#watched.set(key, watched);
    }
    return watched;
  }
}

/** Absolute paths in what an agent was told. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/(?:^|[\s"'`(:=])(\/[^\s"'`:,;()]+)/g)].map(([, path]) => path!);
}
