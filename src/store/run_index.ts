/** The index of runs: what a list shows of each, found by time, state and words, in a SQLite file that is only a cache. */
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { messageOf } from "../failure.ts";
import { claimLock } from "./owner_lock.ts";

/** Grows with every change of the tables. */
const TABLES = 1;
const MOST_WORDS = 24;
const LONGEST_WORD = 100;

const SCHEMA = `
CREATE TABLE made (version TEXT NOT NULL) STRICT;
CREATE TABLE run (
  n INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  alias TEXT,
  stamp TEXT NOT NULL,
  started TEXT NOT NULL,
  status TEXT NOT NULL,
  running INTEGER NOT NULL,
  source TEXT,
  ledger TEXT,
  well INTEGER NOT NULL,
  flag TEXT NOT NULL,
  flag_until REAL NOT NULL,
  text_hash TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT;
CREATE INDEX run_time ON run (started, kind, id);
CREATE INDEX run_kind_time ON run (kind, started, id);
CREATE INDEX run_running ON run (kind) WHERE running = 1;
CREATE INDEX run_alias ON run (kind, alias) WHERE alias IS NOT NULL;
CREATE INDEX run_flag ON run (started) WHERE flag <> 'none';
CREATE INDEX run_ledger ON run (ledger) WHERE ledger IS NOT NULL;
CREATE INDEX run_well ON run (kind, source, started) WHERE well = 1;
CREATE VIRTUAL TABLE words USING fts5 (
  text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);`;

/** A passing flag is over when a newer run of the same kind and source went well or goes on, or its time is up. */
const IS_OVER = `(run.flag = 'passing' AND (run.flag_until <= $now OR EXISTS (
  SELECT 1 FROM run AS newer WHERE newer.well = 1 AND newer.kind = run.kind AND newer.source = run.source
    AND newer.started > run.started)))`;

export interface RunRow<T> {
  readonly kind: string;
  readonly id: string;
  /** Another id by which it is found. */
  readonly alias: string | null;
  /** Changes when what the row was computed from does. */
  readonly stamp: string;
  /** UTC, ISO 8601; "" sorts as the oldest. */
  readonly started: string;
  readonly status: string;
  readonly running: boolean;
  /** What it works on. */
  readonly source: string | null;
  /** The file that has what it cost. */
  readonly ledger: string | null;
  /** It went well, or goes on. */
  readonly well: boolean;
  /** Whether somebody should look: always, or until it is over. */
  readonly flag: "none" | "lasting" | "passing";
  /** Milliseconds since 1970. */
  readonly flagUntilMs: number;
  /** What is searched. */
  readonly text: string;
  /** As JSON. */
  readonly value: T;
}

export interface FoundRun<T> {
  readonly value: T;
  /** What its flag is about needs nobody any more. */
  readonly isOver: boolean;
}

/** Of the last run of a page. */
export type RunPosition = readonly [started: string, kind: string, id: string];

export interface RunQuery {
  readonly kind?: string;
  /** `running` also means all that go on. */
  readonly status?: string;
  /** Words that all have to be there, or have to be the beginnings of some. */
  readonly words?: string;
  readonly after?: RunPosition;
  readonly limit: number;
  readonly nowMs: number;
}

/** Synchronous. What SQLite cannot do is thrown as it is. */
export class RunIndex<T> implements Disposable {
  readonly #database: DatabaseSync;
  readonly #release: () => void;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

  /** @param release called when it is closed */
  constructor(database: DatabaseSync, release: () => void) {
    this.#database = database;
    this.#release = release;
  }

  /** All of `work`'s writes or none. */
  transaction(work: () => void): void {
    this.#database.exec("BEGIN");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      try {
        this.#database.exec("ROLLBACK");
      } catch {
        // SQLite has rolled back itself: the disk is full.
      }
      throw error;
    }
  }

  /** Adds the run, or replaces what was there of it. */
  put(row: RunRow<T>): void {
    const { kind, id, text } = row;
    const hash = hashOf(text);
    const known = this.#get("SELECT n, text_hash FROM run WHERE kind = ? AND id = ?", kind, id);
    const n = this.#get(
      `INSERT INTO run (kind, id, alias, stamp, started, status, running, source, ledger, well, flag, flag_until, text_hash, value)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, id) DO UPDATE SET alias = excluded.alias, stamp = excluded.stamp, started = excluded.started,
         status = excluded.status, running = excluded.running, source = excluded.source,
         ledger = excluded.ledger, well = excluded.well,
         flag = excluded.flag, flag_until = excluded.flag_until, text_hash = excluded.text_hash, value = excluded.value
       RETURNING n`,
      kind,
      id,
      row.alias,
      row.stamp,
      row.started,
      row.status,
      Number(row.running),
      row.source,
      row.ledger,
      Number(row.well),
      row.flag,
      row.flagUntilMs,
      hash,
      JSON.stringify(row.value),
    )!.n as number;
    if (known?.text_hash === hash) return;
    if (known !== undefined) this.#run("DELETE FROM words WHERE rowid = ?", n);
    this.#run("INSERT INTO words (rowid, text) VALUES (?, ?)", n, text);
  }

  remove(kind: string, id: string): void {
    const known = this.#get("DELETE FROM run WHERE kind = ? AND id = ? RETURNING n", kind, id);
    if (known !== undefined) this.#run("DELETE FROM words WHERE rowid = ?", known.n as number);
  }

  get(kind: string, id: string, { nowMs }: { readonly nowMs: number }): FoundRun<T> | undefined {
    const where = "kind = $kind AND id = $id";
    return this.#find(where, { $kind: kind, $id: id, $now: nowMs })[0];
  }

  /** The id of the run of this kind that has this alias; the newest, if several have. */
  idOfAlias(kind: string, alias: string): string | undefined {
    const sql = "SELECT id FROM run WHERE kind = ? AND alias = ? ORDER BY started DESC, id DESC LIMIT 1";
    return this.#get(sql, kind, alias)?.id as string | undefined;
  }

  /** The newest first. */
  page({ kind, status, words, after, limit, nowMs }: RunQuery): { found: FoundRun<T>[]; total: number } {
    const match = words === undefined || /^[\s\0]*$/.test(words) ? undefined : matchOf(words);
    if (match === "") return { found: [], total: 0 };
    const conditions: string[] = [];
    const values: Record<string, SQLInputValue> = {};
    const require = (condition: string, name: string, value: SQLInputValue | undefined) => {
      if (value === undefined) return;
      conditions.push(condition);
      values[name] = value;
    };
    require("kind = $kind", "$kind", kind);
    require(status === "running" ? "(running = 1 OR status = $status)" : "status = $status", "$status", status);
    require("n IN (SELECT rowid FROM words WHERE words MATCH $match)", "$match", match);
    const all = conditions.length === 0 ? "TRUE" : conditions.join(" AND ");
    const total = Number(this.#statement(`SELECT count(*) AS total FROM run WHERE ${all}`).get(values)!.total);
    Object.assign(values, { $now: nowMs, $limit: limit });
    if (after === undefined) return { found: this.#find(all, values), total };
    const [$started, $kind_before, $id_before] = after;
    const from = `${all} AND (started, kind, id) < ($started, $kind_before, $id_before)`;
    return { found: this.#find(from, { ...values, $started, $kind_before, $id_before }), total };
  }

  /** All with a flag that is not over, the newest first. */
  flagged(nowMs: number): FoundRun<T>[] {
    return this.#find(`flag <> 'none' AND NOT ${IS_OVER}`, { $now: nowMs });
  }

  /** Which runs those are, in no order. */
  flaggedNames(nowMs: number): { kind: string; id: string }[] {
    return this.#statement(`SELECT kind, id FROM run WHERE flag <> 'none' AND NOT ${IS_OVER}`).all({ $now: nowMs })
      .map(({ kind, id }) => ({ kind: kind as string, id: id as string }));
  }

  /** The ids of a kind, the oldest first. */
  ids(kind: string): string[] {
    return this.#statement("SELECT id FROM run WHERE kind = ? ORDER BY started, id").all(kind)
      .map(({ id }) => id as string);
  }

  /** The id of the newest run of a kind; one that goes on before others. */
  newest(kind: string): string | undefined {
    const sql = (condition: string) =>
      `SELECT id FROM run WHERE kind = ? AND ${condition} ORDER BY started DESC, id DESC LIMIT 1`;
    return (this.#get(sql("running = 1"), kind) ?? this.#get(sql("TRUE"), kind))?.id as string | undefined;
  }

  /** What is known of the runs of a kind, in no order. */
  *values(kind: string): Generator<T> {
    const rows = this.#database.prepare("SELECT value FROM run WHERE kind = ?").iterate(kind);
    for (const { value } of rows) yield JSON.parse(value as string);
  }

  /** The ledgers of all runs, sorted. */
  ledgers(): string[] {
    return this.#statement("SELECT DISTINCT ledger FROM run WHERE ledger IS NOT NULL ORDER BY ledger").all()
      .map(({ ledger }) => ledger as string);
  }

  /** What tells whether runs have changed, of all of them, in no order. */
  stamps(): Pick<RunRow<T>, "kind" | "id" | "alias" | "stamp" | "running">[] {
    return this.#database.prepare("SELECT kind, id, alias, stamp, running FROM run").all().map((row) => ({
      kind: row.kind as string,
      id: row.id as string,
      alias: row.alias as string | null,
      stamp: row.stamp as string,
      running: row.running === 1,
    }));
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    this.#database.close();
    this.#release();
  }

  #find(where: string, values: Record<string, SQLInputValue>): FoundRun<T>[] {
    const limit = "$limit" in values ? "LIMIT $limit" : "";
    return this.#statement(
      `SELECT value, ${IS_OVER} AS is_over FROM run WHERE ${where} ORDER BY started DESC, kind DESC, id DESC ${limit}`,
    ).all(values).map(({ value, is_over }) => ({ value: JSON.parse(value as string), isOver: is_over === 1 }));
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#statement(sql).get(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  #statement(sql: string): ReturnType<DatabaseSync["prepare"]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/**
 * Opens the file, or makes it anew when it is missing, broken, or was made by another `version`. It is in memory where
 * the file cannot be written, or another process has it. Never fails for what is on disk.
 *
 * @param path undefined: in memory from the start
 * @param options.onProblem told in a sentence why the index is not in the file
 */
export async function openRunIndex<T>(path: string | undefined, options: {
  readonly version: string;
  readonly onProblem: (problem: string) => void;
}): Promise<RunIndex<T>> {
  const { DatabaseSync } = await import("node:sqlite");
  const version = `${TABLES} ${options.version}`;
  const inMemory = () => {
    const database = new DatabaseSync(":memory:");
    setUp(database, version);
    return new RunIndex<T>(database, () => {});
  };
  if (path === undefined) return inMemory();
  let release = () => {};
  try {
    const claim = claimLock(`${path}.lock`);
    if (claim.kind === "taken") throw new Error(`process ${claim.owner.pid} keeps it`);
    release = claim.release;
    const open = (mustBeNew: boolean) => openFile<T>(DatabaseSync, path, { version, release, mustBeNew });
    return open(false) ?? open(true)!;
  } catch (error) {
    release();
    options.onProblem(`The index "${path}" cannot be used, so that it is made anew in memory: ${messageOf(error)}`);
    return inMemory();
  }
}

/** Undefined: what is there cannot be used. */
function openFile<T>(Database: typeof DatabaseSync, path: string, { version, release, mustBeNew }: {
  readonly version: string;
  readonly release: () => void;
  readonly mustBeNew: boolean;
}): RunIndex<T> | undefined {
  if (mustBeNew) removeIndex(path);
  // A link would lead what is written elsewhere.
  else if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) return undefined;
  let database: DatabaseSync | undefined;
  try {
    // Of a new file only its owner may read what tasks say.
    Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
    database = new Database(path);
    setUp(database, version);
    return new RunIndex<T>(database, release);
  } catch (error) {
    database?.close();
    if (mustBeNew) throw error;
    return undefined;
  }
}

/** Takes the file and what SQLite has beside it away. */
export function removeIndex(path: string): void {
  for (const name of [path, `${path}-wal`, `${path}-shm`, `${path}-journal`]) {
    try {
      Deno.removeSync(name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Throws when the tables are another version's, or the file is broken. */
function setUp(database: DatabaseSync, version: string): void {
  database.exec("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 1000");
  const isNew = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()!.n === 0;
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  if (isNew) {
    database.exec("BEGIN");
    database.exec(SCHEMA);
    database.prepare("INSERT INTO made (version) VALUES (?)").run(version);
    database.exec("COMMIT");
    return;
  }
  if (database.prepare("SELECT version FROM made").get()?.version !== version) {
    throw new Error("It is another version's");
  }
  const finding = database.prepare("PRAGMA quick_check(1)").get();
  if (Object.values(finding ?? {})[0] !== "ok") throw new Error("It is broken");
}

/** A query of FTS5: each word in quotes, so that none is a part of its syntax. "": none of them can be found. */
function matchOf(words: string): string {
  return words.split(/[\s\0"]+/).map((word) => word.slice(0, LONGEST_WORD))
    .filter((word) => /[\p{L}\p{N}\p{Co}]/u.test(word)).slice(0, MOST_WORDS)
    .map((word) => `"${word}"*`).join(" AND ");
}

/** To tell whether a text is another one. */
function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
