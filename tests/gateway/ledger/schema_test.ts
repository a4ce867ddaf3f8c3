import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../../../src/failure.ts";
import { openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { call, end, NOON } from "./calls.ts";

const now = () => NOON;

Deno.test("a new ledger and its folders are for their owner alone", () =>
  inTempDir((dir) => {
    using ledger = openLedger(`${dir}/a/b/ledger.db`, { now });
    ledger.reserve(call("a"), 1);
    const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o777;
    deepEqual([`${dir}/a`, `${dir}/a/b`].map(modeOf), [0o700, 0o700]);
    deepEqual(["", "-wal", "-shm"].map((end) => modeOf(`${dir}/a/b/ledger.db${end}`)), [0o600, 0o600, 0o600]);
  }));

Deno.test("the folder that a ledger has by default is no part of the repository that it stands in", () =>
  inTempDir((dir) => {
    const ignored = (folder: string) => {
      openLedger(`${dir}/${folder}/ledger.db`, { now }).close();
      return Array.from(Deno.readDirSync(`${dir}/${folder}`), ({ name }) => name).includes(".gitignore");
    };
    deepEqual([ignored(".gocore"), ignored("mine")], [true, false]);
    equal(Deno.readTextFileSync(`${dir}/.gocore/.gitignore`), "*\n");
  }));

Deno.test("what is written is there when the ledger is opened again, and only the file is left", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    {
      using ledger = openLedger(path, { now });
      ledger.reserve(call("a"), 5);
      ledger.settle("a", end(3));
    }
    deepEqual(Array.from(Deno.readDirSync(dir), ({ name }) => name), ["ledger.db"]);
    using ledger = openLedger(path, { now, mustExist: true });
    equal(ledger.report({ by: [] }).totals.cost_usd, 3e-12);
  }));

const failsToOpen = (path: string, kind: string, message: string, options = {}) =>
  throws(
    () => openLedger(path, { now, ...options }),
    (error) => {
      equal(error instanceof Failure && error.kind, kind);
      equal((error as Failure).message, message);
      equal((error as Failure).hints.length, 1);
      return true;
    },
  );

Deno.test("files that are no ledger are refused and stay as they are", () =>
  inTempDir((dir) => {
    const path = `${dir}/file`;
    const refused = (finding: string) => {
      const before = Deno.readFileSync(path);
      failsToOpen(path, "usage", `Cannot use "${path}" as the ledger: ${finding}`);
      deepEqual(Deno.readFileSync(path), before);
      Deno.removeSync(path);
    };
    const make = (sql: string) => {
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
    };
    Deno.writeTextFileSync(path, "These are my notes. ".repeat(100));
    refused("it is not a SQLite database");
    make("CREATE TABLE notes (text)");
    refused("it belongs to another program");
    make("PRAGMA application_id = 1");
    refused("it belongs to another program");
    openLedger(path, { now }).close();
    make("PRAGMA user_version = 2");
    refused("its tables have version 2, and this gocore knows version 1");
    openLedger(path, { now }).close();
    make("CREATE TRIGGER free AFTER UPDATE ON call BEGIN UPDATE call SET cost = 0; END");
    refused("its tables were changed by another program");
    openLedger(path, { now }).close();
    make("DROP INDEX call_open");
    refused("its tables were changed by another program");
    openLedger(path, { now }).close();
    make("ANALYZE");
    openLedger(path, { now }).close();
  }));

Deno.test("a path that cannot be a ledger is a Failure that names it", () =>
  inTempDir((dir) => {
    failsToOpen(dir, "usage", `Cannot use "${dir}" as the ledger: it is not a file`);
    failsToOpen("/dev/null", "usage", 'Cannot use "/dev/null" as the ledger: it is not a file');
    Deno.writeTextFileSync(`${dir}/file`, "");
    failsToOpen(`${dir}/file/ledger.db`, "environment", `Cannot write "${dir}/file/ledger.db": not a directory`);
    failsToOpen("/proc/ledger.db", "environment", 'Cannot write "/proc/ledger.db": no such file or directory');
  }));

Deno.test("whoever only reads is told that there is no ledger, and none is made", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    failsToOpen(path, "usage", `Cannot read the ledger "${path}": there is no such file`, { mustExist: true });
    deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("an empty file becomes a ledger: one that was killed may have left it", () =>
  inTempDir((dir) => {
    Deno.writeTextFileSync(`${dir}/ledger.db`, "");
    using ledger = openLedger(`${dir}/ledger.db`, { now });
    equal(ledger.reserve(call("a"), 1).admitted, true);
  }));
