import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal, throws } from "node:assert/strict";
import { Failure } from "../../../src/failure.ts";
import { openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { Refusal } from "../../../src/gateway/refusal.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { call, NOON, USD } from "./calls.ts";

Deno.test("a key names its run and worker until it is ended", () => {
  using ledger = openLedger(":memory:", { now: () => NOON });
  const { id, key } = ledger.issueKey({ run: "r", worker: "w" });
  match(key, /^gck_[A-Za-z0-9]{32}$/);
  match(id, /^key_[A-Za-z0-9]{12}$/);
  deepEqual(ledger.findKey(key), { kind: "valid", caller: { run: "r", worker: "w", keyId: id } });
  equal(ledger.endKey(id), true);
  equal(ledger.endKey(id), false);
  equal(ledger.endKey("key_nobody"), false);
  deepEqual(ledger.findKey(key), { kind: "ended" });
  equal(ledger.renewKey(id, 1000), false);
});

Deno.test("no other text is a key", () => {
  using ledger = openLedger(":memory:", { now: () => NOON });
  const { id, key } = ledger.issueKey({ run: "r", worker: "w" });
  const others = [
    "",
    id,
    key.slice(1),
    `${key} `,
    `${key}\n`,
    key.toUpperCase(),
    "gck_" + "a".repeat(32),
    "x".repeat(1e6),
  ];
  for (const text of others) deepEqual(ledger.findKey(text), { kind: "unknown" });
});

Deno.test("a lease ends at its time, and can be renewed, also afterwards", () => {
  let now = NOON;
  using ledger = openLedger(":memory:", { now: () => now });
  const { id, key } = ledger.issueKey({ run: "r", worker: "w", leaseMs: 1000 });
  now = NOON + 999;
  equal(ledger.findKey(key).kind, "valid");
  now = NOON + 1000;
  equal(ledger.findKey(key).kind, "expired");
  equal(ledger.renewKey(id, 500), true);
  now = NOON + 1499;
  equal(ledger.findKey(key).kind, "valid");
  now = NOON + 1500;
  equal(ledger.findKey(key).kind, "expired");
});

Deno.test("a call whose key stopped being valid while it waited is not admitted", () => {
  let now = NOON;
  using ledger = openLedger(":memory:", { now: () => now });
  const ended = ledger.issueKey({ run: "r", worker: "w" });
  const expired = ledger.issueKey({ run: "r", worker: "w", leaseMs: 10 });
  equal(ledger.reserve(call("open", { keyId: ended.id }), 1 * USD).admitted, true);
  ledger.endKey(ended.id);
  now += 10;
  for (const [keyId, reason] of [[ended.id, "ended"], [expired.id, "expired"], ["key_nobody", "unknown"]] as const) {
    throws(
      () => ledger.reserve(call("x", { keyId }), 1),
      (error) => error instanceof Refusal && error.kind === "authentication" && error.details.reason === reason,
    );
  }
  throws(() => ledger.move("open", call("open"), 2), Refusal);
  const { reservedUsd, openCalls } = ledger.spent({ scope: "key", id: ended.id });
  deepEqual([reservedUsd, openCalls], [1, 1], "what an ended key has reserved stays counted");
});

Deno.test("a worker's or a run's keys end together", () => {
  using ledger = openLedger(":memory:", { now: () => NOON });
  const issue = (run: string, worker: string) => ledger.issueKey({ run, worker }).key;
  const keys = [issue("a", "x"), issue("a", "x"), issue("a", "y"), issue("b", "x")];
  const states = () => keys.map((key) => ledger.findKey(key).kind);
  equal(ledger.endWorker("a", "x"), 2);
  deepEqual(states(), ["ended", "ended", "valid", "valid"]);
  equal(ledger.endRun("a"), 1);
  deepEqual(states(), ["ended", "ended", "ended", "valid"]);
  equal(ledger.endRun("a"), 0);
});

Deno.test("keys are listed with their state and times, never with the key", () => {
  let now = NOON;
  using ledger = openLedger(":memory:", { now: () => now });
  const first = ledger.issueKey({ run: "a", worker: "w", capUsd: 2.5, leaseMs: 60_000 });
  now += 1;
  const second = ledger.issueKey({ run: "b", worker: "w" });
  now += 1;
  ledger.endKey(second.id);
  const records = [
    {
      id: first.id,
      run: "a",
      worker: "w",
      capUsd: 2.5,
      state: "valid",
      created: new Date(NOON),
      leaseUntil: new Date(NOON + 60_000),
      ended: null,
    },
    {
      id: second.id,
      run: "b",
      worker: "w",
      capUsd: null,
      state: "ended",
      created: new Date(NOON + 1),
      leaseUntil: null,
      ended: new Date(NOON + 2),
    },
  ];
  deepEqual(ledger.keys(), records);
  deepEqual(ledger.keys({ run: "a" }), records.slice(0, 1));
  deepEqual(ledger.keys({ run: "c" }), []);
});

Deno.test("the key itself is nowhere in the files", () =>
  inTempDir((dir) => {
    using ledger = openLedger(`${dir}/ledger.db`, { now: () => NOON });
    const { id, key } = ledger.issueKey({ run: "r", worker: "w" });
    const files = Array.from(Deno.readDirSync(dir), ({ name }) => Deno.readFileSync(`${dir}/${name}`));
    const text = files.map((bytes) => new TextDecoder("latin1").decode(bytes)).join("");
    ok(text.includes(id));
    ok(!text.includes(key.slice("gck_".length)));
  }));

Deno.test("names that could be a path or a secret, and impossible caps and leases are refused", () => {
  using ledger = openLedger(":memory:", { now: () => NOON });
  const refused = (part: { run?: string; worker?: string; capUsd?: number; leaseMs?: number }) =>
    throws(
      () => ledger.issueKey({ run: "r", worker: "w", ...part }),
      (error) => error instanceof Failure && error.kind === "usage",
    );
  for (const name of ["", ".", "..", "a/b", "a b", "ä", "a\n", "x".repeat(129)]) {
    refused({ run: name });
    refused({ worker: name });
  }
  refused({ worker: "x".repeat(65) });
  for (const capUsd of [-1, NaN, -Infinity]) refused({ capUsd });
  for (const leaseMs of [0, -1, NaN, Infinity, 1e300]) refused({ leaseMs });
  ledger.issueKey({ run: "x".repeat(128), worker: "A-z0.9_".padEnd(64, "x"), capUsd: 0, leaseMs: 1 });
  equal(ledger.keys().length, 1);
});

Deno.test("every letter and digit occurs in keys, none much more often than another", () => {
  using ledger = openLedger(":memory:", { now: () => NOON });
  const counts = new Map<string, number>();
  for (let i = 0; i < 500; i++) {
    for (const letter of ledger.issueKey({ run: "r", worker: "w" }).key.slice(4)) {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
  }
  // 16 000 characters of 62 kinds: 258 of each, with a deviation of 16.
  equal(counts.size, 62);
  for (const count of counts.values()) ok(count > 130 && count < 390, String(count));
});
