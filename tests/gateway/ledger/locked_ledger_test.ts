/** What happens to calls and commands while another program holds the ledger's file. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LedgerLocked, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { startFakeUpstream } from "../../support/fake_upstream.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { type OpenGateway, openGateway, send } from "../open_gateway.ts";
import { call, end, NOON, USD } from "./calls.ts";

const isLocked = (error: unknown) => error instanceof LedgerLocked && error.status === 503;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("while another program holds the file, one call finds out for all, and they go a moment after it lets go", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    const problems: string[] = [];
    using ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    ledger.reserve(call("a"), 1 * USD);
    {
      using _lock = lock(path);
      throws(() => ledger.reserve(call("b"), 1), isLocked);
      throws(() => ledger.move("a", call("a"), 1), isLocked);
      ledger.settle("a", end(0.5 * USD));
      equal(ledger.pending, 1);
      equal(ledger.report({ by: [] }).totals.open, 1, "reading needs nobody's leave");
    }
    // Each try would stop the process for as long as it waits: nobody has tried again.
    throws(() => ledger.reserve(call("b"), 1), isLocked);
    const { signal } = new AbortController();
    for (;;) {
      try {
        equal(ledger.reserve(call("b"), 1).admitted, true);
        break;
      } catch (error) {
        ok(isLocked(error), String(error));
        await ledger.released(signal, 60_000);
      }
    }
    equal(ledger.pending, 0, "what was spent before is on record first");
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 0.5);
    deepEqual(problems, []);
  }));

Deno.test("a lock that lasts is told once, and what waits is written after it without a call", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    const problems: string[] = [];
    using ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    for (const id of ["a", "b"]) ledger.reserve(call(id), 1 * USD);
    {
      using _lock = lock(path);
      for (const id of ["a", "b"]) ledger.settle(id, end(0.5 * USD));
      while (problems.length === 0) await pause(20);
    }
    while (ledger.pending > 0) await pause(20);
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 1);
    deepEqual(problems, [`Cannot write the ledger "${path}": database is locked`]);
  }));

Deno.test("opening and commands wait for another program that holds the file for a moment", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: () => NOON });
    await lockedElsewhere(path, 300, () => void ledger.issueKey({ run: "r", worker: "w" }));
    equal(ledger.keys().length, 1);
    await lockedElsewhere(path, 300, () => openLedger(path, { now: () => NOON }).close());
  }));

const health = async ({ url }: OpenGateway) => await (await fetch(`${url}/health`)).json();

Deno.test("while another program holds the ledger, calls wait, and streams and monitors are served", async () => {
  const goOn = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream((_, index) =>
    index === 0 ? { splits: [90], beforePiece: (piece) => piece === 1 ? goOn.promise : undefined } : {}
  );
  await using gateway = await openGateway(upstream.url);
  const stream = await send(gateway.url, "anthropic", { streamed: true });
  const reader = stream.body!.getReader();
  equal((await reader.read()).done, false);
  let calls: Promise<Response>[] = [];
  {
    using _lock = lock(gateway.settings.ledger);
    let answered = 0;
    calls = Array.from({ length: 16 }, () => send(gateway.url, "anthropic").finally(() => answered++));
    while (answered === 0 && (await health(gateway)).open_calls < 17) await pause(10);
    goOn.resolve();
    while (!(await reader.read()).done);
    const { status, open_calls, unwritten_settlements } = await health(gateway);
    deepEqual({ status, open_calls, unwritten_settlements }, {
      status: "ok",
      open_calls: 16,
      unwritten_settlements: 1,
    });
    equal(upstream.requests.length, 1, "nothing is spent without a record");
  }
  for (const response of await Promise.all(calls)) {
    equal(response.status, 200);
    await response.body?.cancel();
  }
  while ((await health(gateway)).open_calls > 0) await pause(10);
  deepEqual(gateway.gateway.ledger.check(), []);
  deepEqual(gateway.rows().map(({ outcome }) => outcome), Array(17).fill("answered"));
});

Deno.test("a call does not wait for ever for another program that holds the ledger", async () => {
  let skippedMs = 0;
  await using upstream = startFakeUpstream();
  await using gateway = await openGateway(upstream.url, { monotonicMs: () => performance.now() + skippedMs });
  using _lock = lock(gateway.settings.ledger);
  const calling = send(gateway.url, "anthropic");
  while ((await health(gateway)).open_calls < 1) await pause(10);
  // It may not have met the lock before the first seconds pass.
  const skipping = setInterval(() => skippedMs += 5000, 20);
  const response = await calling.finally(() => clearInterval(skipping));
  const { gocore } = (await response.json()).error;
  deepEqual([response.status, gocore.kind, gocore.terminal], [503, "unavailable", false]);
  equal(upstream.requests.length, 0);
});

/** Until it is disposed of. */
function lock(path: string): Disposable {
  const database = new DatabaseSync(path);
  database.exec("BEGIN IMMEDIATE");
  return { [Symbol.dispose]: () => database.close() };
}

/** Does the work while another process holds the file, which it does for a while. */
async function lockedElsewhere(path: string, forMs: number, work: () => void): Promise<void> {
  const code = `
    import { DatabaseSync } from "node:sqlite";
    const database = new DatabaseSync(${JSON.stringify(path)});
    database.exec("BEGIN IMMEDIATE");
    Deno.stdout.writeSync(new Uint8Array(1));
    setTimeout(() => database.close(), ${forMs});`;
  const args = ["eval", code];
  const process = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped" }).spawn();
  const reader = process.stdout.getReader();
  equal((await reader.read()).done, false);
  work();
  while (!(await reader.read()).done);
  equal((await process.status).code, 0);
}
