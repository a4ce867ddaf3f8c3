/** What a manager run's page shows of its past, and its state does not have: times, spending, the curve of a minimization. */
import type { EventData, RunEvent } from "../events/event.ts";
import type { ReproducerMinimized } from "../events/minimize_events.ts";
import type { RunRecord } from "./schemas.ts";
import { Thinned } from "./thinned.ts";

type Phase = RunRecord["phases"][number];
type Minimization = NonNullable<RunRecord["minimization"]>;
type Check = RunRecord["hypotheses"][number]["checks"][number];

/** As the gateway has measured it. */
export interface WorkerSpending {
  /** USD of the calls whose price is known. */
  readonly knownUsd: number;
  readonly unpricedCalls: number;
  readonly calls: number;
}

export interface WorkerTimes {
  readonly startedAt: string;
  /** Null: it works. */
  readonly endedAt: string | null;
}

export const MAX_CURVE_POINTS = 500;
const MAX_HYPOTHESES = 200;
const MAX_CHECKS = 50;
const NOTHING_SPENT: WorkerSpending = { knownUsd: 0, unpricedCalls: 0, calls: 0 };

export class RunHistory {
  /** In the order in which they began first. */
  readonly phases = new Map<string, Phase>();
  readonly times = new Map<string, WorkerTimes>();
  /** Also of who is no worker: the run itself. */
  readonly spending = new Map<string, WorkerSpending>();
  /** By hypothesis. */
  readonly checks = new Map<string, Check[]>();
  #curve: { readonly candidate: string; readonly points: Thinned<Minimization["points"][number]> } | undefined;
  #calls = 0;
  #ended: ReproducerMinimized | undefined;

  add({ type, data, time }: RunEvent): void {
    switch (type) {
      case "run.phase":
        this.#changePhase(data, time);
        break;
      case "worker.launched":
        this.times.set(data.worker, { startedAt: this.times.get(data.worker)?.startedAt ?? time, endedAt: null });
        break;
      case "worker.exited":
        this.#endWorker(data.worker, time);
        break;
      case "worker.status":
        if (data.status !== "running") this.#endWorker(data.worker, time);
        break;
      case "model.answered": {
        const { knownUsd, unpricedCalls, calls } = this.spending.get(data.worker) ?? NOTHING_SPENT;
        this.spending.set(data.worker, {
          knownUsd: knownUsd + (data.cost_usd ?? 0),
          unpricedCalls: unpricedCalls + (data.cost_usd === null ? 1 : 0),
          calls: calls + 1,
        });
        break;
      }
      case "minimize.progress": {
        // `gocore minimize` by itself writes no log of a run.
        if (!("candidate" in data)) break;
        const { candidate, calls, size, pass } = data;
        // One that begins again, after its process was killed, repeats what it has done.
        if (this.#curve?.candidate !== candidate || calls < this.#calls) {
          this.#curve = { candidate, points: new Thinned(MAX_CURVE_POINTS) };
        }
        this.#calls = calls;
        this.#curve.points.add({ calls, size, pass });
        break;
      }
      case "minimize.ended":
        if ("candidate" in data) this.#ended = data;
        break;
      case "hypothesis.checked":
        this.#check(data);
        break;
      default:
    }
  }

  minimization(): Minimization | null {
    const candidate = this.#curve?.candidate ?? this.#ended?.candidate;
    if (candidate === undefined) return null;
    const ended = this.#ended?.candidate === candidate ? this.#ended : undefined;
    return {
      candidate,
      points: this.#curve?.points.values() ?? [],
      ended: ended === undefined ? null : {
        start_size: ended.start_size,
        size: ended.size,
        calls: ended.calls,
        minimal_by: ended.minimal_by,
        removed_by_model: ended.removed_by_model,
        duration_ms: ended.duration_ms,
      },
    };
  }

  #changePhase({ phase, status, detail }: EventData<"run.phase">, time: string): void {
    const known = this.phases.get(phase);
    const started_at = known?.started_at ?? (status === "started" ? time : null);
    this.phases.set(phase, { phase, status, detail, started_at, ended_at: status === "started" ? null : time });
  }

  #endWorker(worker: string, time: string): void {
    const known = this.times.get(worker);
    if (known?.endedAt === null) this.times.set(worker, { ...known, endedAt: time });
  }

  #check({ hypothesis, check, speaks, detail }: EventData<"hypothesis.checked">): void {
    const known = this.checks.get(hypothesis) ?? [];
    // Whoever goes on with a run tells it again.
    const isTold = known.some((one) => one.check === check && one.detail === detail);
    if (isTold || known.length >= MAX_CHECKS || this.checks.size >= MAX_HYPOTHESES) return;
    this.checks.set(hypothesis, [...known, { check, speaks, detail }]);
  }
}

/** Null cost as soon as a call's price is unknown. */
export function spendingRecord(spendings: Iterable<WorkerSpending>) {
  let [known_cost_usd, unpriced, calls] = [0, 0, 0];
  for (const spending of spendings) {
    known_cost_usd += spending.knownUsd;
    unpriced += spending.unpricedCalls;
    calls += spending.calls;
  }
  return { cost_usd: unpriced > 0 ? null : known_cost_usd, known_cost_usd, calls };
}
