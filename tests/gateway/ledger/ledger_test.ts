import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { BudgetScope } from "../../../src/gateway/ledger/entry.ts";
import { LedgerLocked, type LedgerOptions, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { Refusal } from "../../../src/gateway/refusal.ts";
import { ownIdentity } from "../../../src/store/process_identity.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { call, end, NOON, USD } from "./calls.ts";

const ADMITTED = { admitted: true } as const;
/** No process has this number: Linux ends at 4 194 304. */
const DEAD = { pid: 2 ** 30 };

const open = (options: Partial<LedgerOptions> = {}) => openLedger(":memory:", { now: () => NOON, ...options });

Deno.test("an admitted call counts in its run, worker, key and day, first as reserved, then as spent", () => {
  using ledger = open({ caps: { run: 10, worker: 9, key: 8, day: 7 } });
  const { id: keyId } = ledger.issueKey({ run: "r", worker: "w" });
  deepEqual(ledger.reserve(call("a", { keyId }), 2 * USD), ADMITTED);
  const scopes: [BudgetScope, string, number][] = [
    ["run", "r", 10],
    ["worker", "r/w", 9],
    ["key", keyId, 8],
    ["day", "2026-11-21", 7],
  ];
  for (const [scope, id, capUsd] of scopes) {
    deepEqual(ledger.spent({ scope, id }), { capUsd, spentUsd: 0, reservedUsd: 2, openCalls: 1, unknownCalls: 0 });
  }
  ledger.settle("a", end(0.5 * USD));
  for (const [scope, id, capUsd] of scopes) {
    deepEqual(ledger.spent({ scope, id }), { capUsd, spentUsd: 0.5, reservedUsd: 0, openCalls: 0, unknownCalls: 0 });
  }
  deepEqual(ledger.check(), []);
});

Deno.test("each cap alone refuses what would pass it, and admits what just fits", () => {
  const scopes: [BudgetScope, (keyId: string) => string][] = [
    ["run", () => "r"],
    ["worker", () => "r/w"],
    ["key", (keyId) => keyId],
    ["day", () => "2026-11-21"],
  ];
  for (const [scope, nameOf] of scopes) {
    using ledger = open({ caps: { [scope]: 1 } });
    const { id: keyId } = ledger.issueKey({ run: "r", worker: "w" });
    ledger.reserve(call("spent", { keyId }), 0.3 * USD);
    ledger.settle("spent", end(0.25 * USD));
    deepEqual(ledger.reserve(call("fits", { keyId }), 0.75 * USD), ADMITTED);
    deepEqual(ledger.reserve(call("over", { keyId }), 1), {
      admitted: false,
      refusal: {
        scope,
        scopeId: nameOf(keyId),
        capUsd: 1,
        spentUsd: 0.25,
        reservedUsd: 0.75,
        neededUsd: 1e-12,
        mayFitLater: true,
      },
    });
    deepEqual(ledger.spent({ scope, id: nameOf(keyId) }).openCalls, 1, "a refused call leaves nothing behind");
    ledger.settle("fits", end(0.75 * USD));
    const later = ledger.reserve(call("over", { keyId }), 1);
    equal(!later.admitted && later.refusal.mayFitLater, false, "the money is spent for good");
    deepEqual(ledger.check(), []);
  }
});

Deno.test("a refusal names the scope with the least room, and all scopes decide whether it may fit later", () => {
  using ledger = open({ caps: { run: 3, worker: 2, day: 100 } });
  ledger.reserve(call("a", { worker: "other" }), 1.5 * USD);
  ledger.reserve(call("b"), 0.5 * USD);
  const refusalOf = (amount: number, worker = "w") => {
    const admission = ledger.reserve(call("x", { worker }), amount * USD);
    return admission.admitted ? undefined : [admission.refusal.scopeId, admission.refusal.mayFitLater];
  };
  deepEqual(refusalOf(1.75), ["r", true]);
  deepEqual(refusalOf(2.5), ["r", false], "it is more than the worker's cap alone");
  deepEqual(refusalOf(1), undefined);
  deepEqual(refusalOf(0.6), ["r", true]);
});

Deno.test("a key's own cap takes the place of the cap for every key", () => {
  using ledger = open({ caps: { key: 1 } });
  const small = ledger.issueKey({ run: "r", worker: "w", capUsd: 0.5 });
  const large = ledger.issueKey({ run: "r", worker: "w", capUsd: 20_000 });
  equal(ledger.reserve(call("a", { keyId: small.id }), 0.6 * USD).admitted, false);
  equal(ledger.reserve(call("b", { keyId: small.id }), 0.5 * USD).admitted, true);
  equal(ledger.reserve(call("c", { keyId: large.id }), 5 * USD).admitted, true);
  equal(ledger.spent({ scope: "key", id: small.id }).capUsd, 0.5);
  equal(ledger.spent({ scope: "key", id: large.id }).capUsd, 20_000);
});

Deno.test("days are those of UTC, and a call stays in the day in which it began", () => {
  let now = Date.UTC(2026, 10, 21, 23, 59, 59, 999);
  using ledger = open({ now: () => now, caps: { day: 1 } });
  equal(ledger.reserve(call("a"), 1 * USD).admitted, true);
  now += 1;
  equal(ledger.reserve(call("b"), 1 * USD).admitted, true);
  ledger.settle("a", end(1 * USD));
  equal(ledger.move("b", call("b"), 1 * USD).admitted, true);
  const day = (id: string) => ledger.spent({ scope: "day", id });
  deepEqual(day("2026-11-21"), { capUsd: 1, spentUsd: 1, reservedUsd: 0, openCalls: 0, unknownCalls: 0 });
  deepEqual(day("2026-11-22"), { capUsd: 1, spentUsd: 0, reservedUsd: 1, openCalls: 1, unknownCalls: 0 });
});

Deno.test("a call of unknown price is refused under a cap, admitted without one or where it is allowed", () => {
  using capped = open({ caps: { run: 1, worker: 5 } });
  deepEqual(capped.reserve(call("a"), null), {
    admitted: false,
    refusal: {
      scope: "run",
      scopeId: "r",
      capUsd: 1,
      spentUsd: 0,
      reservedUsd: 0,
      neededUsd: null,
      mayFitLater: false,
    },
  });
  using free = open();
  deepEqual(free.reserve(call("a"), null), ADMITTED);
  using allowed = open({ caps: { run: 1 }, unknownPrice: "allow" });
  deepEqual(allowed.reserve(call("a"), null), ADMITTED);
  allowed.settle("a", end(null));
  deepEqual(allowed.spent({ scope: "run", id: "r" }), {
    capUsd: 1,
    spentUsd: 0,
    reservedUsd: 0,
    openCalls: 0,
    unknownCalls: 1,
  });
  allowed.reserve(call("b"), 1 * USD);
  equal(allowed.reserve(call("c"), null).admitted, false, "a cap that is used up admits nothing");
});

Deno.test("an ended call whose cost nobody knows counts at what was held back for it", () => {
  using ledger = open({ caps: { run: 1 } });
  ledger.reserve(call("a"), 0.75 * USD);
  ledger.settle("a", end(null));
  deepEqual(ledger.spent({ scope: "run", id: "r" }), {
    capUsd: 1,
    spentUsd: 0.75,
    reservedUsd: 0,
    openCalls: 0,
    unknownCalls: 1,
  });
  equal(ledger.report({ by: [] }).totals.cost_usd, null, "but it is no known cost");
  deepEqual(ledger.check(), []);
});

Deno.test("a call that may have cost more counts at what was held back for it, and costs what is estimated", () => {
  using ledger = open({ caps: { run: 1, worker: 1, day: 1 } });
  ledger.reserve(call("a"), 0.75 * USD);
  ledger.settle("a", end(0.25 * USD, { outcome: "cut", costSource: "estimated", mayHaveCostMore: true }));
  for (const [scope, id] of [["run", "r"], ["worker", "r/w"], ["day", "2026-11-21"]] as const) {
    deepEqual(ledger.spent({ scope, id }), {
      capUsd: 1,
      spentUsd: 0.75,
      reservedUsd: 0,
      openCalls: 0,
      unknownCalls: 0,
    });
  }
  const { cost_usd, estimated_usd, held_usd, reserved_usd } = ledger.report({ by: [] }).totals;
  deepEqual({ cost_usd, estimated_usd, held_usd, reserved_usd }, {
    cost_usd: 0.25,
    estimated_usd: 0.25,
    held_usd: 0.5,
    reserved_usd: 0,
  });
  equal(ledger.reserve(call("b"), 0.25 * USD + 1).admitted, false);
  equal(ledger.reserve(call("b"), 0.25 * USD).admitted, true);
  // One that has cost more than was held back for it already counts as that.
  ledger.settle("b", end(0.5 * USD, { mayHaveCostMore: true }));
  equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 1.25);
  equal(ledger.report({ by: [] }).totals.held_usd, 0.5);
  deepEqual(ledger.check(), []);
});

Deno.test("only the first settlement of a call counts, and one of an unknown call is nothing", () => {
  using ledger = open();
  ledger.reserve(call("a"), 1 * USD);
  ledger.settle("a", end(0.5 * USD));
  ledger.settle("a", end(0.75 * USD, { outcome: "cut" }));
  ledger.settle("nobody", end(5 * USD));
  const { totals } = ledger.report({ by: [] });
  deepEqual([totals.calls, totals.answered, totals.cost_usd], [1, 1, 0.5]);
  equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 0.5);
  deepEqual(ledger.check(), []);
});

Deno.test("a cost that passes the reservation, and even the cap, is counted as it is", () => {
  using ledger = open({ caps: { run: 1 } });
  ledger.reserve(call("a"), 0.5 * USD);
  ledger.settle("a", end(3 * USD));
  equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 3);
  equal(ledger.reserve(call("b"), 0).admitted, false);
});

Deno.test("a move exchanges what is held back; a refused one leaves everything as it was", () => {
  using ledger = open({ caps: { run: 2 } });
  ledger.reserve(call("a"), 1 * USD);
  ledger.reserve(call("b"), 0.5 * USD);
  const elsewhere = { upstream: "backup", provider: "openai", model: "gpt-5", dialect: "openai_chat" } as const;
  deepEqual(ledger.move("a", call("a", elsewhere), 1.75 * USD), {
    admitted: false,
    refusal: {
      scope: "run",
      scopeId: "r",
      capUsd: 2,
      spentUsd: 0,
      reservedUsd: 0.5,
      neededUsd: 1.75,
      mayFitLater: true,
    },
  });
  deepEqual(ledger.report({ by: ["model", "upstream"] }).rows.map((row) => [row.model, row.upstream, row.calls]), [
    ["claude-sonnet-4-5", "anthropic", 2],
  ]);
  equal(ledger.spent({ scope: "run", id: "r" }).reservedUsd, 1.5);
  deepEqual(ledger.move("a", call("a", elsewhere), 1.5 * USD), ADMITTED);
  equal(ledger.spent({ scope: "run", id: "r" }).reservedUsd, 2);
  deepEqual(ledger.move("a", call("a", elsewhere), 0.25 * USD), ADMITTED);
  ledger.settle("a", end(0.25 * USD));
  deepEqual(
    ledger.report({ by: ["model", "upstream"] }).rows.map((row) => [row.model, row.upstream, row.cost_usd, row.open]),
    [["gpt-5", "backup", 0.25, 0], ["claude-sonnet-4-5", "anthropic", 0, 1]],
  );
  throws(() => ledger.move("a", call("a"), 1), RangeError);
  deepEqual(ledger.check(), []);
});

Deno.test("amounts that are no whole picodollars are a caller's mistake", () => {
  using ledger = open();
  for (const amount of [0.5, -1, NaN, Infinity, 2 ** 53]) {
    throws(() => ledger.reserve(call("a"), amount), RangeError);
    throws(() => ledger.settle("a", end(amount)), RangeError);
  }
  equal(ledger.report({ by: [] }).totals.calls, 0);
});

Deno.test("absurd counts and names from an upstream do not keep a call from being settled", () => {
  using ledger = open();
  ledger.reserve(call("a"), 1);
  const usage = { input: NaN, cacheRead: -5, cacheWrite: 1.4, output: Infinity, reasoning: 1e300 };
  ledger.settle("a", end(1, { usage, answeredModel: "m".repeat(10_000), durationMs: NaN }));
  const { totals } = ledger.report({ by: [] });
  deepEqual(
    [totals.answered, totals.input_tokens, totals.cache_read_tokens, totals.cache_write_tokens, totals.output_tokens],
    [1, 0, 0, 1, 1e12],
  );
  equal(ledger.pending, 0);
});

Deno.test("sums are exact beyond 2^53, and a sum that passes 64 bits fails closed", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const problems: string[] = [];
  using ledger = open({ caps: { worker: 8_000_000 }, onProblem: (problem) => problems.push(problem) });
  for (let i = 0; i < 3; i++) {
    ledger.reserve(call(`a${i}`), most);
    ledger.settle(`a${i}`, end(most));
  }
  equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 27021.597764222973);
  equal(ledger.report({ by: ["run"] }).rows[0]!.cost_usd, 27021.597764222973);
  equal(ledger.report({ by: [] }).totals.estimated_usd, 0);
  for (let i = 0; i < 1023; i++) ledger.reserve(call(`b${i}`, { worker: `w${i % 2}` }), most);
  equal(ledger.reserve(call("c", { worker: "w3" }), most).admitted, true);
  // 1025 times 2^53 is more than 2^63.
  throws(
    () => ledger.reserve(call("d", { worker: "w3" }), most),
    (error) => error instanceof Refusal && error.kind === "unavailable",
  );
  deepEqual(ledger.check(), []);
  equal(problems.length, 1);
});

Deno.test("what was spent beyond 64 bits counts as the most that they hold, for callers, reports and the next opening", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    const most = Number.MAX_SAFE_INTEGER;
    const options = { now: () => NOON, onProblem: (problem: string) => ok(false, problem) };
    {
      using ledger = openLedger(path, { ...options, identity: DEAD });
      for (let i = 0; i < 1030; i++) {
        ledger.reserve(call(`a${i}`), 1);
        ledger.settle(
          `a${i}`,
          end(most, { usage: { input: 1e300, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 } }),
        );
      }
      equal(ledger.pending, 0);
      deepEqual(ledger.check(), []);
    }
    const dead = openLedger(path, { ...options, identity: DEAD });
    dead.reserve(call("lost"), most);
    using ledger = openLedger(path, { ...options, caps: { run: 1e300 } });
    deepEqual(ledger.recovery, { lostCalls: 1, lostUsd: 9007.199254740991 });
    dead.close();
    deepEqual(ledger.check(), []);
    deepEqual(ledger.spent({ scope: "run", id: "r" }), {
      capUsd: 9_000_000,
      spentUsd: 9_223_372.036854775807,
      reservedUsd: 0,
      openCalls: 0,
      unknownCalls: 0,
    });
    equal(ledger.reserve(call("b"), 0).admitted, false, "there is no higher cap");
    const { calls, cost_usd, input_tokens } = ledger.report({ by: [] }).totals;
    deepEqual({ calls, cost_usd, input_tokens }, { calls: 1031, cost_usd: 9286422.431637962, input_tokens: 1.03e15 });

    using database = connect(path);
    database.exec("DELETE FROM scope");
    const problems: string[] = [];
    using repaired = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    equal(problems.length, 1);
    deepEqual(repaired.check(), []);
    equal(repaired.spent({ scope: "run", id: "r" }).spentUsd, 9_223_372.036854775807);
  }));

Deno.test("calls of a process that has died are settled at what was held back for them, once", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    const options = { now: () => NOON, identity: DEAD };
    const dead = openLedger(path, options);
    dead.reserve(call("held"), 0.75 * USD);
    dead.reserve(call("unpriced"), null);
    dead.reserve(call("ended"), 1 * USD);
    dead.settle("ended", end(0.25 * USD));
    {
      using ledger = openLedger(path, { now: () => NOON });
      deepEqual(ledger.recovery, { lostCalls: 2, lostUsd: 0.75 });
      deepEqual(ledger.report({ by: [] }).totals, {
        calls: 3,
        answered: 1,
        failed: 2,
        open: 0,
        input_tokens: 10,
        cache_read_tokens: 20,
        cache_write_tokens: 30,
        output_tokens: 40,
        reasoning_tokens: 5,
        cost_usd: 1,
        cost_source: "unknown",
        estimated_usd: 0.75,
        reserved_usd: 0,
        held_usd: 0,
        unknown_calls: 1,
      });
      deepEqual(ledger.check(), []);
    }
    using again = openLedger(path, { now: () => NOON });
    deepEqual(again.recovery, { lostCalls: 0, lostUsd: 0 });
    equal(again.spent({ scope: "run", id: "r" }).spentUsd, 1);
    dead.close();
    deepEqual(again.check(), []);
    equal(again.spent({ scope: "run", id: "r" }).spentUsd, 1);
  }));

Deno.test("calls of a process that may live stay open", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    using elsewhere = openLedger(path, {
      now: () => NOON,
      identity: { ...DEAD, pid_namespace: "pid:[1]", boot_id: ownIdentity().boot_id },
    });
    elsewhere.reserve(call("a"), 0.75 * USD);
    using ledger = openLedger(path, { now: () => NOON, caps: { run: 1 } });
    // Where the system has no namespaces, the number alone tells that the process is dead.
    const lives = ownIdentity().pid_namespace !== undefined;
    deepEqual(ledger.recovery.lostCalls, lives ? 0 : 1);
    equal(ledger.reserve(call("b"), 0.5 * USD).admitted, false);
    equal(ledger.spent({ scope: "run", id: "r" }).openCalls, lives ? 1 : 0);
  }));

Deno.test("before a call is refused for what others hold back, the reservations of those who died are settled", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: () => NOON, caps: { run: 1 } });
    using other = openLedger(path, { now: () => NOON, identity: DEAD });
    other.reserve(call("held"), 0.75 * USD);
    const admission = ledger.reserve(call("a"), 0.5 * USD);
    deepEqual(admission, {
      admitted: false,
      refusal: {
        scope: "run",
        scopeId: "r",
        capUsd: 1,
        spentUsd: 0.75,
        reservedUsd: 0,
        neededUsd: 0.5,
        mayFitLater: false,
      },
    });
    equal(ledger.report({ by: [] }).totals.open, 0);
    deepEqual(ledger.check(), []);
  }));

Deno.test("sums that do not balance are repaired from the calls, and told", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    {
      using ledger = openLedger(path, { now: () => NOON });
      ledger.reserve(call("a"), 2 * USD);
      ledger.settle("a", end(1.5 * USD));
      using database = connect(path);
      database.exec("UPDATE scope SET settled = 7 WHERE kind = 'run'; DELETE FROM scope WHERE kind = 'day'");
      database.exec("INSERT INTO scope VALUES ('key', 'ghost', 0, 5, 1, 0)");
      deepEqual(ledger.check().sort(), [
        'day "2026-11-21": settled 0 USD, by its calls 1.5 USD',
        'key "ghost": reserved 5e-12 USD, by its calls 0 USD; openCalls 1, by its calls 0',
        'run "r": settled 7e-12 USD, by its calls 1.5 USD',
      ]);
    }
    const problems: string[] = [];
    using ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    deepEqual(ledger.check(), []);
    equal(ledger.spent({ scope: "day", id: "2026-11-21" }).spentUsd, 1.5);
    ok(problems.length === 1 && problems[0]!.startsWith(`The ledger "${path}" did not balance and was repaired: `));
  }));

Deno.test("what cannot be written waits in memory, is told once, and is written when it can be", async () =>
  await inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    const problems: string[] = [];
    using ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    for (const id of ["a", "b", "c"]) ledger.reserve(call(id), 1 * USD);
    using database = connect(path);
    const fill = () =>
      database.exec(
        `CREATE TRIGGER full BEFORE UPDATE ON scope BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
      );
    fill();
    ledger.settle("a", end(0.25 * USD));
    ledger.settle("b", end(0.5 * USD));
    ledger.settle("a", end(0.75 * USD));
    equal(ledger.pending, 2);
    throws(
      () => ledger.reserve(call("d"), 1),
      (error) =>
        error instanceof Refusal && error.kind === "unavailable" &&
        error.message ===
          "The gateway cannot use its ledger (database or disk is full), and no call is made without a record of it",
    );
    deepEqual(problems, [`Cannot write the ledger "${path}": database or disk is full`]);
    equal(ledger.spent({ scope: "run", id: "r" }).reservedUsd, 3, "nothing is released that is not recorded");

    database.exec("DROP TRIGGER full");
    equal(ledger.reserve(call("d"), 1 * USD).admitted, true, "the next operation writes what waits");
    equal(ledger.pending, 0);
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 0.75);

    fill();
    ledger.settle("c", end(0.125 * USD));
    equal(problems.length, 2, "it is a new problem");
    database.exec("DROP TRIGGER full");
    while (ledger.pending > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 0.875, "the timer writes what waits");
    deepEqual(ledger.check(), []);
  }));

Deno.test("one settlement that can never be written does not keep the others waiting", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: () => NOON });
    for (const id of ["a", "b", "c"]) ledger.reserve(call(id), 1 * USD);
    using database = connect(path);
    database.exec("CREATE TRIGGER t BEFORE UPDATE ON scope BEGIN SELECT RAISE(ABORT, 'x'); END");
    for (const id of ["a", "b"]) ledger.settle(id, end(0.5 * USD));
    database.exec("DROP TRIGGER t");
    database.exec("CREATE TRIGGER t BEFORE UPDATE ON call WHEN OLD.id = 'a' BEGIN SELECT RAISE(ABORT, 'x'); END");
    ledger.settle("c", end(0.5 * USD));
    equal(ledger.pending, 1);
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 1);
    database.exec("DROP TRIGGER t");
  }));

Deno.test("while a settlement waits for anything but a lock, no call is admitted: caps do not know what it cost", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: () => NOON });
    for (const id of ["a", "b"]) ledger.reserve(call(id), 1 * USD);
    using database = connect(path);
    database.exec("CREATE TRIGGER t BEFORE UPDATE ON call WHEN OLD.id = 'a' BEGIN SELECT RAISE(ABORT, 'x'); END");
    ledger.settle("a", end(5 * USD));
    const isRefused = (work: () => unknown) =>
      throws(work, (error) => error instanceof Refusal && !(error instanceof LedgerLocked) && error.status === 503);
    isRefused(() => ledger.reserve(call("c"), 0));
    isRefused(() => ledger.move("b", call("b"), 0));
    equal(ledger.report({ by: [] }).totals.calls, 2);
    database.exec("DROP TRIGGER t");
    deepEqual(ledger.reserve(call("c"), 0), ADMITTED);
    equal(ledger.spent({ scope: "run", id: "r" }).spentUsd, 5);
  }));

Deno.test("a settlement that cannot be written wakes nobody: those who wait would wake each other for ever", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: () => NOON });
    ledger.reserve(call("a"), 1 * USD);
    using database = connect(path);
    database.exec("CREATE TRIGGER t BEFORE UPDATE ON call BEGIN SELECT RAISE(ABORT, 'x'); END");
    ledger.settle("a", end(0.5 * USD));
    const controller = new AbortController();
    let isAwake = false;
    const waiting = ledger.released(controller.signal, 60_000).then(() => isAwake = true);
    throws(() => ledger.reserve(call("b"), 0), Refusal);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    equal(isAwake, false);
    database.exec("DROP TRIGGER t");
    ledger.reserve(call("c"), 0);
    await waiting;
    equal(ledger.pending, 0);
  }));

Deno.test("closing settles what is open as lost, and tells and returns what could not be written", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    const problems: string[] = [];
    const ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    ledger.reserve(call("a"), 1 * USD);
    using database = connect(path);
    database.exec("CREATE TRIGGER t BEFORE UPDATE ON scope BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END");
    const settlement = end(0.25 * USD);
    ledger.settle("a", settlement);
    deepEqual(ledger.close(), [{ callId: "a", settlement, endedMs: NOON }]);
    deepEqual(problems, [
      `Cannot write the ledger "${path}": disk I/O error`,
      `Cannot write how these calls ended to the ledger "${path}": a (0.25 USD)`,
    ]);
    database.exec("DROP TRIGGER t; UPDATE process SET pid = 1073741824");
    {
      using again = openLedger(path, { now: () => NOON });
      deepEqual(again.recovery, { lostCalls: 1, lostUsd: 1 });
      again.reserve(call("b"), 0.5 * USD);
    }
    using last = openLedger(path, { now: () => NOON });
    deepEqual(last.recovery, { lostCalls: 0, lostUsd: 0 });
    equal(last.spent({ scope: "run", id: "r" }).spentUsd, 1.5);
    equal(last.report({ by: [] }).totals.open, 0);
  }));

Deno.test("a closed ledger admits nothing, ignores settlements, and can be closed again", () => {
  const ledger = open();
  ledger.reserve(call("a"), 1);
  deepEqual(ledger.close(), []);
  deepEqual(ledger.close(), []);
  ledger.settle("a", end(1));
  throws(() => ledger.reserve(call("b"), 1), (error) => error instanceof Refusal && error.kind === "unavailable");
  throws(() => ledger.findKey("gck_" + "a".repeat(32)), (error) => error instanceof Refusal);
  throws(() => ledger.report({ by: [] }), /Cannot use the ledger ":memory:": it is closed/);
});

Deno.test("a ledger whose file was deleted admits nothing: the record would be lost", () =>
  inTempDir((dir) => {
    const path = `${dir}/ledger.db`;
    const problems: string[] = [];
    using ledger = openLedger(path, { now: () => NOON, onProblem: (problem) => problems.push(problem) });
    ledger.reserve(call("a"), 1);
    Deno.removeSync(path);
    const isUnavailable = (error: unknown) => error instanceof Refusal && error.kind === "unavailable";
    throws(() => ledger.reserve(call("b"), 1), isUnavailable);
    using _other = openLedger(path, { now: () => NOON });
    throws(() => ledger.reserve(call("b"), 1), isUnavailable);
    deepEqual(problems, [`Cannot write the ledger "${path}": the file was deleted or replaced`]);
  }));

Deno.test("released() resolves when a call ends, after its time, and rejects when it is aborted", async () => {
  using ledger = open();
  ledger.reserve(call("a"), 1);
  const controller = new AbortController();
  const woken = ledger.released(controller.signal, 60_000);
  ledger.settle("a", end(1));
  await woken;
  await ledger.released(controller.signal, 1);
  const aborted = ledger.released(controller.signal, 60_000);
  controller.abort(new Error("enough"));
  await rejects(aborted, /enough/);
  await rejects(ledger.released(controller.signal, 60_000), /enough/);
});

Deno.test("whoever waits for room gets it from another process's call, and is woken by close()", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    const { signal } = new AbortController();
    const options = { now: () => NOON, caps: { run: 1 } };
    using other = openLedger(path, options);
    const ledger = openLedger(path, options);
    other.reserve(call("theirs"), 1 * USD);
    const admitted = (async () => {
      while (!ledger.reserve(call("ours"), 0.5 * USD).admitted) await ledger.released(signal, 60_000);
    })();
    other.settle("theirs", end(0.5 * USD));
    await admitted;
    const waiting = ledger.released(signal, 60_000);
    ledger.close();
    await waiting;
  }));

Deno.test("ten thousand calls of every outcome leave nothing open", () => {
  using ledger = open({ caps: { run: 1_000_000 } });
  const outcomes = ["answered", "refused", "cut", "client_gone", "timeout", "unreachable", "lost"] as const;
  for (let i = 0; i < 10_000; i++) {
    const id = `c${i}`;
    ledger.reserve(call(id, { worker: `w${i % 10}` }), (i % 13) * 1000);
    const outcome = outcomes[i % outcomes.length]!;
    const usage = outcome === "answered" ? end(0).usage : undefined;
    ledger.settle(id, end(i % 11 === 0 ? null : i, { outcome, usage, status: outcome === "answered" ? 200 : null }));
  }
  const { totals } = ledger.report({ by: [] });
  deepEqual([totals.calls, totals.open, totals.reserved_usd, totals.answered + totals.failed], [10_000, 0, 0, 10_000]);
  const { openCalls, reservedUsd } = ledger.spent({ scope: "run", id: "r" });
  deepEqual([openCalls, reservedUsd], [0, 0]);
  deepEqual(ledger.check(), []);
});

/** `using` for a plain connection, which Deno 2.4 does not know. */
function connect(path: string): DatabaseSync & Disposable {
  const database = new DatabaseSync(path);
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
}
