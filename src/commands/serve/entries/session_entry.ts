/** A session as the list shows it: its log, added up. */
import { basename, join } from "node:path";
import { type RunEvent, runEvent } from "../../../events/event.ts";
import type { Entry } from "../../../http/schemas.ts";
import { emptySession, foldSession, type SessionState } from "../../../orchestrate/session.ts";
import { LOG_NAME, supervisorOf } from "../../orchestrate/session_folder.ts";
import { addToSums, type EventSums, noSums } from "./event_sums.ts";
import { GrowingLog } from "./growing_log.ts";
import { entryOf, type IndexedRun, readBeginning, type RunReader, searchedText } from "./indexed_run.ts";

interface Added {
  readonly state: SessionState;
  readonly sums: EventSums;
}

const REPORT = "final.md";

export class SessionReader implements RunReader {
  readonly #folder: string;
  readonly #log: GrowingLog<Added>;

  constructor(folder: string) {
    this.#folder = folder;
    this.#log = new GrowingLog(join(folder, LOG_NAME), {
      empty: () => ({ state: emptySession(), sums: noSums() }),
      add({ state, sums }, value) {
        const parsed = runEvent.safeParse(value);
        if (!parsed.success) return;
        foldSession(state, parsed.data as RunEvent);
        addToSums(sums, parsed.data as RunEvent);
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
    const isSupervised = this.isCarriedOut();
    const { state, sums } = await this.#log.read();
    if (sums.events === 0 && !isSupervised && this.#log.isFresh(nowMs)) return undefined;
    const running = isSupervised && state.finish === null;
    const status = !isSupervised && state.finish === null ? "cut_off" : state.status;
    const report = state.finish === null ? "" : await readBeginning(join(this.#folder, REPORT));
    const workers = [...state.workers.values()];
    const spendings = [...state.spending.values()];
    const entry = entryOf({
      kind: "session",
      id: basename(this.#folder),
      folder: this.#folder,
      task: state.start?.task ?? null,
      status,
      running,
      attention: attentionOf(state, { status, running }),
      agents: workers.length > 0 ? workers.map(({ agent }) => agent) : readyAgents(state),
      models: sums.models,
      source: state.start?.target ?? null,
      startedAt: state.startedAt,
      endedAt: state.finishedAt,
      lastEventAt: state.lastEventAt,
      knownUsd: spendings.reduce((sum, { knownUsd }) => sum + knownUsd, 0),
      unpricedCalls: spendings.reduce((sum, { unknownCalls }) => sum + unknownCalls, 0),
      calls: spendings.reduce((sum, { calls }) => sum + calls, 0),
      progress: progressOf(state),
      summary: state.finish?.summary ?? state.statusReason,
    }, nowMs);
    return {
      entry,
      alias: null,
      ledger: sums.ledger,
      workers: workers.map(({ name, agent }) => [name, agent]),
      inputTokens: spendings.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
      outputTokens: spendings.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
      text: searchedText([
        entry.id,
        state.start?.task,
        state.start?.target,
        state.finish?.summary,
        state.statusReason,
        ...sums.errors,
        ...[...state.questions.values()].flatMap(({ text, answer }) => [text, answer]),
        report,
      ]),
    };
  }
}

/** Nobody can be asked, and nothing stalls, in a session that has ended. */
function attentionOf(state: SessionState, { status, running }: { readonly status: string; readonly running: boolean }) {
  const found: Entry["attention"] = [];
  const since = state.statusSince;
  if (running || status === "needs_input") {
    for (const { text, worker, askedAt, answer } of state.questions.values()) {
      if (answer === null) found.push({ kind: "needs_answer", text, worker, since: askedAt });
    }
  }
  if (status === "escalated" || status === "budget") {
    found.push({ kind: "blocked", text: reasonOf(state, status), worker: null, since });
  }
  if (running) {
    for (const { name, status, liveness, lastEventAt, attemptStartedAt } of state.workers.values()) {
      if (status !== "running" || liveness === null || !STALLS.has(liveness.verdict)) continue;
      const text = `${name} is ${liveness.verdict}: ${liveness.proof}`;
      found.push({ kind: "stalled", text, worker: name, since: lastEventAt ?? attemptStartedAt });
    }
  }
  if (status === "failed") found.push({ kind: "failed", text: reasonOf(state, "failed"), worker: null, since });
  if (status === "cut_off") {
    const text = "Its process has died: go on with it by `gocore orchestrate --resume`";
    found.push({ kind: "cut_off", text, worker: null, since: state.lastEventAt });
  }
  return found;
}

const STALLS: ReadonlySet<string> = new Set(["stalled", "spinning", "dead"]);

function reasonOf({ statusReason }: SessionState, status: string): string {
  return statusReason === "" ? `The session has ended as ${status}` : statusReason;
}

function readyAgents({ preflight }: SessionState): string[] {
  return preflight?.agents.filter(({ status }) => status === "ready").map(({ agent }) => agent) ?? [];
}

/** By the loads of the tasks: done, or as far as their workers say that they are. */
function progressOf({ tasks, workers, status }: SessionState): number | null {
  if (status === "done") return 100;
  let [all, done] = [0, 0];
  for (const { assignment: { load }, status, worker } of tasks.values()) {
    const share = Math.max(load, 0) || 1;
    all += share;
    if (status === "done" || status === "skipped") done += share;
    else if (status === "running" && worker !== null) done += share * (workers.get(worker)?.progress ?? 0) / 100;
  }
  return all === 0 ? null : Math.round(100 * done / all);
}
