/** A manager run as the list shows it: its log, added up. */
import { basename, join } from "node:path";
import { type RunEvent, runEvent } from "../../../events/event.ts";
import { runPhases } from "../../../events/manager_events.ts";
import type { Entry } from "../../../http/schemas.ts";
import { FINAL_MD } from "../../../manager/artifacts.ts";
import { emptyRun, foldRun, type RunState } from "../../../manager/run_state.ts";
import { LOG_NAME, supervisorOf } from "../../manager/run_folder.ts";
import { standingOf } from "../../manager/run_status.ts";
import { addToSums, type EventSums, noSums } from "./event_sums.ts";
import { GrowingLog } from "./growing_log.ts";
import { entryOf, type IndexedRun, readBeginning, type RunReader, searchedText } from "./indexed_run.ts";

interface Added {
  readonly state: RunState;
  readonly sums: EventSums;
  /** Workers that were told to go on, and have said nothing since. */
  readonly stalls: Map<string, { readonly reason: string; readonly since: string }>;
}

export class ManagerReader implements RunReader {
  readonly #folder: string;
  readonly #log: GrowingLog<Added>;

  constructor(folder: string) {
    this.#folder = folder;
    this.#log = new GrowingLog(join(folder, LOG_NAME), {
      empty: () => ({ state: emptyRun(), sums: noSums(), stalls: new Map() }),
      add(added, value) {
        const parsed = runEvent.safeParse(value);
        if (parsed.success) addEvent(added, parsed.data as RunEvent);
      },
    });
  }

  isCarriedOut(): boolean {
    return supervisorOf(this.#folder) !== undefined;
  }

  letGo(): void {
    this.#log.letGo();
  }

  async read(nowMs: number): Promise<IndexedRun | undefined> {
    // Before the log: who ends in between has told it there.
    const pid = supervisorOf(this.#folder);
    const added = await this.#log.read();
    const { state, sums } = added;
    if (sums.events === 0 && pid === undefined && this.#log.isFresh(nowMs)) return undefined;
    const status = standingOf(state, pid);
    const running = pid !== undefined && state.finish === null;
    const final = state.finish === null ? "" : await readBeginning(join(this.#folder, FINAL_MD));
    const agents = [...state.workers.values()].flatMap(({ name, launch }) =>
      launch === null ? [] : [[name, launch.agent] as const]
    );
    const entry = entryOf({
      kind: "manager",
      id: basename(this.#folder),
      folder: this.#folder,
      task: state.issue?.title || (state.start?.issue ?? null),
      status,
      running,
      attention: attentionOf(added, { status, running }),
      agents: agents.length > 0 ? agents.map(([, agent]) => agent) : state.start?.agent.split(/[\s,]+/) ?? [],
      models: sums.models,
      source: state.start?.issue ?? null,
      startedAt: state.startedAt,
      endedAt: state.finishedAt,
      lastEventAt: state.lastEventAt,
      knownUsd: sums.knownUsd,
      unpricedCalls: sums.unpricedCalls,
      calls: sums.calls,
      progress: progressOf(state),
      summary: state.finish?.rationale ?? currentPhase(state),
    }, nowMs);
    return {
      entry,
      alias: null,
      ledger: sums.ledger,
      workers: agents,
      inputTokens: 0,
      outputTokens: 0,
      text: searchedText([
        entry.id,
        state.issue?.title,
        state.issue?.repo_slug,
        state.start?.issue,
        state.start?.repo_path,
        state.finish?.rationale,
        state.finish?.verdict,
        state.issue?.needs_human_reason,
        ...sums.errors,
        ...[...state.workers.values()].map(({ reason }) => reason),
        final,
      ]),
    };
  }
}

function addEvent({ state, sums, stalls }: Added, event: RunEvent): void {
  foldRun(state, event);
  addToSums(sums, event);
  const { type, data, time } = event;
  // What a person has told a worker is no sign that it stalls.
  if (type === "worker.nudged" && data.control === undefined) {
    stalls.set(data.worker, { reason: data.reason, since: time });
  }
  if (type === "worker.event" || type === "worker.exited") stalls.delete(data.worker);
  if (type === "worker.status" && data.status !== "running") stalls.delete(data.worker);
}

function attentionOf(
  { state, stalls }: Added,
  { status, running }: { readonly status: string; readonly running: boolean },
): Entry["attention"] {
  const since = state.finishedAt;
  const text = state.finish?.rationale || `The run has ended as ${status}`;
  if (status === "needs-human") return [{ kind: "blocked", text, worker: null, since }];
  if (status === "failed") return [{ kind: "failed", text, worker: null, since }];
  if (status === "cut_off") {
    const text = "Its process has died: go on with it by `gocore manager --resume`";
    return [{ kind: "cut_off", text, worker: null, since: state.lastEventAt }];
  }
  if (!running) return [];
  return [...stalls].map(([worker, { reason, since }]) => ({
    kind: "stalled",
    text: `${worker} was told to go on: ${reason}`,
    worker,
    since,
  }));
}

function currentPhase({ phase, phases }: RunState): string | null {
  if (phase === null) return null;
  const detail = phases.get(phase)?.detail ?? "";
  return detail === "" ? phase : `${phase}: ${detail}`;
}

/** By the phases that are behind it. */
function progressOf({ phases, finish }: RunState): number {
  if (finish?.status === "ok" || finish?.status === "already-fixed") return 100;
  const behind = runPhases.filter((name) => ["finished", "skipped"].includes(phases.get(name)?.status ?? ""));
  return Math.round(100 * behind.length / runPhases.length);
}
