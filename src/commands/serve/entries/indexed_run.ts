/** What the index keeps of a run, whatever its kind. */
import type { Entry, RunKind } from "../../../http/schemas.ts";
import { clip, oneLine } from "../../../workers/stream_text.ts";

export interface IndexedRun {
  readonly entry: Entry;
  /** The run's own id, where that is not what it is found by. */
  readonly alias: string | null;
  /** The gateway's ledger that has what its models cost; null: `entry` alone knows. */
  readonly ledger: string | null;
  /** What each worker is, for costs by agent. */
  readonly workers: readonly (readonly [worker: string, agent: string])[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What is searched: task, source, errors, results. */
  readonly text: string;
}

/** Reads one run, and then again only what is new of it. */
export interface RunReader {
  /** Whether somebody carries the run out now. */
  isCarriedOut(): boolean;
  /** Undefined: there is no run yet. Throws when its files cannot be read. */
  read(nowMs: number): Promise<IndexedRun | undefined>;
  /** Keeps nothing of what it has read: the next reading begins anew. */
  letGo(): void;
}

const MAX_TITLE = 300;
const MAX_SUMMARY = 1000;
const MAX_NAME = 200;
const MAX_NAMES = 50;
/** Of all texts that are searched, and of one of them. */
const MAX_TEXT = 64 * 1024;
const MAX_PART = 16 * 1024;

export interface EntryParts {
  readonly kind: RunKind;
  readonly id: string;
  readonly folder: string;
  /** The task, or an issue's title. */
  readonly task: string | null;
  readonly status: string;
  readonly running: boolean;
  readonly attention: Entry["attention"];
  readonly agents: Iterable<string>;
  readonly models: Iterable<string>;
  readonly source: string | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly lastEventAt: string | null;
  readonly knownUsd: number;
  readonly unpricedCalls: number;
  readonly calls: number;
  readonly progress: number | null;
  readonly summary: string | null;
}

/** Nothing in it is longer than a list can show, and every number is one. */
export function entryOf(parts: EntryParts, nowMs: number): Entry {
  const { kind, id, folder, status, running, source, progress } = parts;
  const startedAt = timeOf(parts.startedAt);
  const endedAt = timeOf(parts.endedAt);
  const lastEventAt = timeOf(parts.lastEventAt);
  const known = Number.isFinite(parts.knownUsd) ? Math.max(parts.knownUsd, 0) : 0;
  const end = running ? new Date(nowMs).toISOString() : endedAt ?? lastEventAt;
  return {
    kind,
    id,
    title: titleOf(parts.task) ?? id,
    status: clip(status, MAX_NAME),
    running,
    attention: parts.attention.slice(0, MAX_NAMES).map(({ kind, text, worker, since }) => ({
      kind,
      text: oneLine(text, MAX_TITLE),
      worker: worker === null ? null : clip(worker, MAX_NAME),
      since: timeOf(since),
    })),
    agents: namesOf(parts.agents),
    models: namesOf(parts.models),
    source,
    folder,
    started_at: startedAt,
    ended_at: endedAt,
    last_event_at: lastEventAt,
    elapsed_seconds: secondsBetween(startedAt, end),
    cost_usd: parts.unpricedCalls > 0 ? null : known,
    known_cost_usd: known,
    calls: parts.calls,
    progress: progress === null || !Number.isFinite(progress) ? null : Math.min(Math.max(progress, 0), 100),
    summary: parts.summary === null || parts.summary.trim() === "" ? null : oneLine(parts.summary, MAX_SUMMARY),
  };
}

/** A run of which nothing can be told but that it is there. */
export function unreadableRun(
  { kind, id, folder }: { readonly kind: RunKind; readonly id: string; readonly folder: string },
  reason: string,
  nowMs: number,
): IndexedRun {
  const summary = `It cannot be read: ${reason}`;
  const entry = entryOf({
    kind,
    id,
    folder,
    task: null,
    status: "unreadable",
    running: false,
    attention: [],
    agents: [],
    models: [],
    source: null,
    startedAt: null,
    endedAt: null,
    lastEventAt: null,
    knownUsd: 0,
    unpricedCalls: 1,
    calls: 0,
    progress: null,
    summary,
  }, nowMs);
  const text = searchedText([id, folder, summary]);
  return { entry, alias: null, ledger: null, workers: [], inputTokens: 0, outputTokens: 0, text };
}

/** 0 when one of them is unknown. */
export function secondsBetween(from: string | null, to: string | null): number {
  return from === null || to === null ? 0 : Math.max((Date.parse(to) - Date.parse(from)) / 1000, 0);
}

/** What is searched, without what goes beyond all measure. */
export function searchedText(parts: Iterable<string | null | undefined>): string {
  let text = "";
  for (const part of parts) {
    if (text.length >= MAX_TEXT) break;
    if (part) text += `${part.slice(0, MAX_PART)}\n`;
  }
  return text.slice(0, MAX_TEXT);
}

/** The first line that says something; null: there is none. */
function titleOf(task: string | null): string | null {
  const title = oneLine((task ?? "").trimStart().split("\n", 1)[0]!, MAX_TITLE);
  return title === "" ? null : title;
}

function namesOf(names: Iterable<string>): string[] {
  const found = new Set<string>();
  for (const name of names) {
    if (found.size === MAX_NAMES) break;
    if (name !== "") found.add(clip(name, MAX_NAME));
  }
  return [...found];
}

/** As this program writes times; null for what is none. */
function timeOf(text: string | null): string | null {
  const ms = Date.parse(text ?? "");
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

/** The beginning of a text file; "" when there is none that could be read. */
export async function readBeginning(path: string, maxBytes = 2 * MAX_PART): Promise<string> {
  try {
    if (!(await Deno.lstat(path)).isFile) return "";
    using file = await Deno.open(path);
    const buffer = new Uint8Array(maxBytes);
    const length = await file.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, length));
  } catch {
    return "";
  }
}
