/** What runs have cost: the gateway's ledgers, and what mini runs say that had no gateway. */
import { Refused } from "../../http/ports.ts";
import type { Costs, CostsQuery } from "../../http/schemas.ts";
import { readReport, type ReportField, type ReportRow } from "../../gateway/ledger/report.ts";
import { openDatabase, waitForLocks } from "../../gateway/ledger/schema.ts";
import { messageOf } from "../../failure.ts";
import type { IndexedValue } from "./index_runs.ts";

export interface CostSources {
  /** Paths of files that may not be there. */
  ledgers(): readonly string[];
  /** Mini runs. */
  minis(): Iterable<IndexedValue>;
  /** What a worker of a run is; undefined: nobody knows. */
  agentOf(run: string, worker: string): string | undefined;
}

type Row = Costs["rows"][number];

const FIELDS: Readonly<Record<CostsQuery["by"], readonly ReportField[]>> = {
  day: ["day"],
  model: ["model"],
  agent: ["run", "worker"],
  run: ["run"],
};
const MAX_LEDGERS = 100;
const MAX_REPORTS = 100;
const MAX_AGENTS = 50_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Reads ledgers again only when they have changed. */
export class CostReader {
  readonly #sources: CostSources;
  /** By ledger and query. */
  readonly #read = new Map<string, { readonly stamp: string; readonly rows: readonly ReportRow[] }>();
  /** By run and worker. */
  readonly #agents = new Map<string, string>();

  constructor(sources: CostSources) {
    this.#sources = sources;
  }

  /** Days in order of time, all else with the dearest first. Throws `Refused` (400) for a day that there is not. */
  read(query: CostsQuery): Costs {
    const span = { sinceMs: dayMs("since", query.since), untilMs: dayMs("until", query.until) };
    const sums = new Map<string, Row>();
    const sources: string[] = [];
    const problems: string[] = [];
    for (const path of this.#sources.ledgers().slice(0, MAX_LEDGERS)) {
      try {
        const rows = this.#rowsOf(path, query, span);
        if (rows === undefined) continue;
        for (const row of rows) addTo(sums, row);
        sources.push(path);
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    for (const { entry, inputTokens: input_tokens, outputTokens: output_tokens } of this.#sources.minis()) {
      const startedMs = Date.parse(entry.started_at ?? "");
      if (entry.calls === 0 || !isWithin(startedMs, span)) continue;
      const { cost_usd, known_cost_usd, calls, id, models: [model = "unknown"] } = entry;
      if (!isAbout(query, { model, agent: "mini" })) continue;
      const keys = { day: entry.started_at?.slice(0, 10), model, agent: "mini", run: id };
      const key = keys[query.by] ?? "unknown";
      addTo(sums, { key, cost_usd, known_cost_usd, calls, input_tokens, output_tokens });
    }
    const rows = [...sums.values()].sort((a, b) =>
      query.by === "day" ? compare(a.key, b.key) : b.known_cost_usd - a.known_cost_usd || compare(a.key, b.key)
    );
    return { by: query.by, rows, sources, problems };
  }

  /** Undefined: there is no such ledger. */
  #rowsOf(path: string, query: CostsQuery, span: Span): readonly Row[] | undefined {
    const report = this.#reportOf(path, query, span);
    const agentOf = ({ run, worker }: ReportRow) => this.#agentOf(run!, worker!);
    return report?.filter((row) => query.agent === undefined || agentOf(row) === query.agent).map((row) => ({
      key: query.by === "agent" ? agentOf(row) : row[query.by]!,
      cost_usd: row.unknown_calls > 0 ? null : row.cost_usd,
      known_cost_usd: row.cost_usd ?? 0,
      calls: row.calls,
      input_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
      output_tokens: row.output_tokens,
    }));
  }

  #reportOf(
    path: string,
    { by, since, until, model, agent }: CostsQuery,
    span: Span,
  ): readonly ReportRow[] | undefined {
    const stamp = [path, `${path}-wal`].map(stampOf).join(" ");
    if (stamp.startsWith("-")) return undefined;
    const fields = agent === undefined ? FIELDS[by] : [...FIELDS[by], ...FIELDS.agent];
    const key = JSON.stringify([path, fields, since, until, model]);
    const known = this.#read.get(key);
    if (known?.stamp === stamp) return known.rows;
    const database = openDatabase(path, { mustExist: true });
    try {
      waitForLocks(database, "short");
      const filters = {
        ...(span.sinceMs !== undefined && { since: new Date(span.sinceMs) }),
        ...(span.untilMs !== undefined && { until: new Date(span.untilMs + DAY_MS) }),
        ...(model !== undefined && { model }),
      };
      const { rows } = readReport(database, { by: fields, filters });
      this.#read.delete(key);
      this.#read.set(key, { stamp, rows });
      const [oldest] = this.#read.keys();
      if (this.#read.size > MAX_REPORTS) this.#read.delete(oldest!);
      return rows;
    } finally {
      database.close();
    }
  }

  /** Runs that are not read yet get their agents later; what was found stays. */
  #agentOf(run: string, worker: string): string {
    const key = JSON.stringify([run, worker]);
    const agent = this.#agents.get(key) ?? this.#sources.agentOf(run, worker);
    if (agent !== undefined && this.#agents.size < MAX_AGENTS) this.#agents.set(key, agent);
    return agent ?? worker;
  }
}

interface Span {
  readonly sinceMs: number | undefined;
  /** The beginning of the last day. */
  readonly untilMs: number | undefined;
}

function isWithin(ms: number, { sinceMs, untilMs }: Span): boolean {
  if (sinceMs !== undefined && !(ms >= sinceMs)) return false;
  return untilMs === undefined || ms < untilMs + DAY_MS;
}

function isAbout(query: CostsQuery, spent: { readonly model: string; readonly agent: string }): boolean {
  return (query.model ?? spent.model) === spent.model && (query.agent ?? spent.agent) === spent.agent;
}

function dayMs(field: string, day: string | undefined): number | undefined {
  if (day === undefined) return undefined;
  const ms = Date.parse(`${day}T00:00:00Z`);
  // Some readers of dates take the 31st of February for a day in March.
  if (Number.isFinite(ms) && new Date(ms).toISOString().startsWith(day)) return ms;
  throw new Refused(400, `${field}: there is no such day`);
}

function addTo(sums: Map<string, Row>, row: Row): void {
  const sum = sums.get(row.key);
  sums.set(
    row.key,
    sum === undefined ? row : {
      key: row.key,
      cost_usd: sum.cost_usd === null || row.cost_usd === null ? null : sum.cost_usd + row.cost_usd,
      known_cost_usd: sum.known_cost_usd + row.known_cost_usd,
      calls: sum.calls + row.calls,
      input_tokens: sum.input_tokens + row.input_tokens,
      output_tokens: sum.output_tokens + row.output_tokens,
    },
  );
}

function stampOf(path: string): string {
  try {
    const { isFile, size, mtime, ino } = Deno.statSync(path);
    return isFile ? `${size}.${mtime?.getTime()}.${ino}` : "-";
  } catch {
    return "-";
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
