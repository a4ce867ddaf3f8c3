/** The ledger's SQLite file: how it is made, recognised and written to. */
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Failure, messageOf } from "../../failure.ts";
import { writeFailure } from "../../store/write_failure.ts";

/** "gclg", in the file's header. */
const APPLICATION_ID = 0x67636c67;
const SCHEMA_VERSION = 1;
/** For openings and commands: nothing else waits meanwhile. */
const LONG_WAIT_MS = 2000;
/** For calls, as everything in the process stands still meanwhile. Another gateway writes for less than a millisecond. */
const SHORT_WAIT_MS = 20;
const OPEN_ATTEMPTS = 200;
const OPEN_PAUSE_MS = 10;

/** Amounts are whole picodollars, times are milliseconds since 1970, days are `2026-11-21` in UTC. */
const SCHEMA = [
  `CREATE TABLE process (
  id INTEGER PRIMARY KEY,
  pid INTEGER NOT NULL,
  start_ticks INTEGER,
  boot_id TEXT,
  pid_namespace TEXT
) STRICT`,
  `CREATE TABLE call (
  id TEXT NOT NULL UNIQUE,
  process INTEGER NOT NULL,
  run TEXT NOT NULL,
  worker TEXT NOT NULL,
  key_id TEXT,
  day TEXT NOT NULL,
  upstream TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  dialect TEXT NOT NULL,
  streamed INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  reserved INTEGER,
  ended_ms INTEGER,
  outcome TEXT,
  status INTEGER,
  answered_model TEXT,
  usage_source TEXT,
  input INTEGER,
  cache_read INTEGER,
  cache_write INTEGER,
  cache_write_1h INTEGER,
  output INTEGER,
  reasoning INTEGER,
  web_searches INTEGER,
  cost INTEGER,
  cost_source TEXT,
  counted INTEGER,
  attempts INTEGER,
  duration_ms REAL,
  first_byte_ms REAL
) STRICT`,
  "CREATE INDEX call_open ON call (process) WHERE ended_ms IS NULL",
  `CREATE TABLE scope (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  settled INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  open_calls INTEGER NOT NULL,
  unknown_calls INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID`,
  `CREATE TABLE key (
  id TEXT PRIMARY KEY NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  worker TEXT NOT NULL,
  cap INTEGER,
  created_ms INTEGER NOT NULL,
  lease_until_ms INTEGER,
  ended_ms INTEGER
) STRICT, WITHOUT ROWID`,
];

/**
 * Opens the file, or makes it, for its owner alone, with its folder. What a process has written survives its death; only
 * a power cut may lose the last transactions (WAL, synchronous NORMAL). It waits long for locks, see `waitForLocks`.
 *
 * Throws a `Failure`: `usage` when the file is missing but has to exist, belongs to something else or to a newer gocore;
 * `environment` when it cannot be opened. A file that is not a ledger stays as it is.
 *
 * @param path of a file, or ":memory:"
 */
export function openDatabase(path: string, options: { mustExist?: boolean } = {}): DatabaseSync {
  if (path !== ":memory:") prepareFile(path, options.mustExist === true);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    setUp(database, path);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof Failure) throw error;
    if (/not a database/i.test(messageOf(error))) throw foreign(path, "it is not a SQLite database");
    throw databaseFailure(path, error);
  }
}

/** What SQLite could not do, as a `Failure` of kind `environment` that names the ledger. */
export function databaseFailure(path: string, cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  const finding = messageOf(cause);
  const hint = /full|no space/i.test(finding)
    ? "Free some space on the disk, which `df -h` shows"
    : isLocked(cause)
    ? "End the program that holds the file, for example an open `sqlite3` shell"
    : "Name another file with `--ledger`, in a folder that you may write to";
  return new Failure("environment", `Cannot use the ledger "${path}": ${finding}`, { hints: [hint], cause });
}

/** How long each statement from now on waits, synchronously, for another program that holds the file: 20 or 2000 ms. */
export function waitForLocks(database: DatabaseSync, how: "short" | "long"): void {
  database.exec(`PRAGMA busy_timeout = ${how === "short" ? SHORT_WAIT_MS : LONG_WAIT_MS}`);
}

/** Whether another program holds the file. Only the text tells it in every version of Deno. */
export function isLocked(error: unknown): boolean {
  return /locked|busy/i.test(messageOf(error));
}

/** All of `work`'s writes or none; no other process writes meanwhile. Passes on what `work` throws. */
export function createTransaction(database: DatabaseSync): <T>(work: () => T) => T {
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  return (work) => {
    begin.run();
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      try {
        database.exec("ROLLBACK");
      } catch {
        // SQLite has rolled back itself: the disk is full, or cannot be written.
      }
      throw error;
    }
  };
}

function prepareFile(path: string, mustExist: boolean): void {
  try {
    const found = statOf(path);
    if (found === undefined && mustExist) {
      throw new Failure("usage", `Cannot read the ledger "${path}": there is no such file`, {
        hints: ["Name the ledger of a gateway with `--ledger`, or start one with `gocore gateway`"],
      });
    }
    if (found !== undefined && !found.isFile) throw foreign(path, "it is not a file");
    if (found !== undefined) return;
    makeFolder(dirname(resolve(path)));
    // SQLite gives its journal the permissions of the file.
    Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** The default folder stands in a repository, and is not a part of it. */
function makeFolder(folder: string): void {
  const isNew = statOf(folder) === undefined;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (isNew && basename(folder) === ".gocore") Deno.writeTextFileSync(join(folder, ".gitignore"), "*\n");
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function setUp(database: DatabaseSync, path: string): void {
  waitForLocks(database, "long");
  // Sorting may need space, and nothing is written anywhere but to the ledger.
  database.exec("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF");
  // Not `prepare`, which does not say in every version of Deno why the file cannot be read.
  database.exec("SELECT count(*) FROM sqlite_schema");
  const isNew = isEmpty(database);
  if (!isNew) requireLedger(database, path);
  // Two processes that make the file at the same time: SQLite does not wait for the other's change of the mode.
  whileLocked(() => database.exec("PRAGMA journal_mode = WAL"));
  // A checkpoint waits for the disk, and every call for the checkpoint: one is made here only when the journal gets longer
  // (40 MB) than the checkpointer lets it.
  database.exec("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 10000");
  if (!isNew) return;
  whileLocked(() =>
    createTransaction(database)(() => {
      if (!isEmpty(database)) return;
      for (const statement of SCHEMA) database.exec(statement);
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    })
  );
  requireLedger(database, path);
}

function whileLocked(work: () => void): void {
  for (let attempt = 1;; attempt++) {
    try {
      return work();
    } catch (error) {
      if (attempt === OPEN_ATTEMPTS || !isLocked(error)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS);
    }
  }
}

function isEmpty(database: DatabaseSync): boolean {
  return numberIn(database, "SELECT count(*) AS n FROM sqlite_schema") === 0 &&
    numberIn(database, "SELECT application_id AS n FROM pragma_application_id") === 0 &&
    numberIn(database, "SELECT user_version AS n FROM pragma_user_version") === 0;
}

function requireLedger(database: DatabaseSync, path: string): void {
  if (numberIn(database, "SELECT application_id AS n FROM pragma_application_id") !== APPLICATION_ID) {
    throw foreign(path, "it belongs to another program");
  }
  const version = numberIn(database, "SELECT user_version AS n FROM pragma_user_version");
  if (version !== SCHEMA_VERSION) {
    throw foreign(path, `its tables have version ${version}, and this gocore knows version ${SCHEMA_VERSION}`);
  }
  // A file from elsewhere could bring triggers that change what is written.
  const found = database.prepare(
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
  )
    .all().map(({ sql }) => sql);
  if (found.length !== SCHEMA.length || !SCHEMA.every((statement) => found.includes(statement))) {
    throw foreign(path, "its tables were changed by another program");
  }
}

function numberIn(database: DatabaseSync, query: string): number {
  return Number(database.prepare(query).get()?.n);
}

function foreign(path: string, finding: string): Failure {
  return new Failure("usage", `Cannot use "${path}" as the ledger: ${finding}`, {
    hints: ["Name another file with `--ledger`; a file that does not exist yet is made"],
  });
}
