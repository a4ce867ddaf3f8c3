import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { type Ledger, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { call, end, NOON } from "./calls.ts";

/** Each is two transactions, and this many begin a checkpoint. */
const CALLS = 750;
/** From so many pages on SQLite makes a checkpoint of its own. */
const LONGEST_JOURNAL_BYTES = 10_000 * (4096 + 24) + 32;

const open = (path: string) => openLedger(path, { now: () => NOON });

function makeCalls(ledger: Ledger, name: string, count: number): void {
  for (let i = 0; i < count; i++) {
    ledger.reserve(call(`${name}.${i}`), 1);
    ledger.settle(`${name}.${i}`, end(1));
  }
}

/** How often the journal has begun anew, from its header. */
function beginnings(path: string): number {
  const header = Deno.readFileSync(`${path}-wal`).subarray(0, 32);
  return new DataView(header.buffer, header.byteOffset).getUint32(12);
}

function openFiles(path: string): string[] {
  return Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      // It was the one of the listing itself.
      return "";
    }
  }).filter((file) => file.startsWith(path));
}

Deno.test("the journal begins anew while calls go on, long before SQLite itself would see to it", () =>
  inTempDir(async (dir) => {
    // The name goes through a URL.
    const path = `${dir}/a ledger?#%.db`;
    using ledger = open(path);
    makeCalls(ledger, "many", CALLS);
    const before = beginnings(path);
    for (let i = 0; beginnings(path) === before; i++) {
      ok(Deno.statSync(`${path}-wal`).size < LONGEST_JOURNAL_BYTES, "nobody has moved the journal");
      await new Promise((resolve) => setTimeout(resolve, 20));
      makeCalls(ledger, `more.${i}`, 1);
    }
    deepEqual(ledger.check(), []);
    deepEqual(namesIn(dir), ["a ledger?#%.db", "a ledger?#%.db-shm", "a ledger?#%.db-wal"]);
  }));

Deno.test({
  name: "a ledger that is closed during a checkpoint leaves neither journal nor open file",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTempDir((dir) => {
      const path = `${dir}/ledger.db`;
      const ledger = open(path);
      makeCalls(ledger, "c", CALLS);
      ledger.close();
      deepEqual([openFiles(dir), namesIn(dir)], [[], ["ledger.db"]]);
      using again = open(path);
      deepEqual(again.spent({ scope: "run", id: "r" }).spentUsd, CALLS / 1e12);
    }),
});

Deno.test("a checkpoint makes no file in place of a ledger that was deleted", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = open(path);
    makeCalls(ledger, "c", CALLS - 1);
    ledger.reserve(call("last"), 1);
    for (const name of namesIn(dir)) Deno.removeSync(`${dir}/${name}`);
    ledger.settle("last", end(1));
    ledger.close();
    deepEqual(namesIn(dir), []);
  }));

Deno.test("a program ends although its ledger is open and has made a checkpoint", () =>
  inTempDir(async (dir) => {
    const ledger = import.meta.resolve("../../../src/gateway/ledger/ledger.ts");
    const calls = import.meta.resolve("./calls.ts");
    const program = `
      import { openLedger } from "${ledger}";
      import { call, end } from "${calls}";
      const ledger = openLedger("${dir}/ledger.db", { now: Date.now });
      for (let i = 0; i < ${CALLS}; i++) {
        ledger.reserve(call(String(i)), 1);
        ledger.settle(String(i), end(1));
      }
    `;
    await Deno.writeTextFile(`${dir}/program.ts`, program);
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("../../../deno.json", import.meta.url).pathname,
        `${dir}/program.ts`,
      ],
      stdin: "null",
      stdout: "null",
    }).output();
    deepEqual(code, 0);
  }));
