/** The ledger against a model of it that fits on a page: any calls in any order, with crashes and reopenings. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import type { BudgetScope } from "../../../src/gateway/ledger/entry.ts";
import { type Ledger, openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { toUsd } from "../../../src/gateway/ledger/picodollars.ts";
import { Refusal } from "../../../src/gateway/refusal.ts";
import { ownIdentity } from "../../../src/store/process_identity.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { call, end, NOON } from "./calls.ts";

const CAPS = { run: 60, worker: 40, key: 25, day: 70 } as const;
const KEY_CAP = 15;
const GATEWAYS = [0, 1] as const;

type Step =
  | { do: "reserve"; gateway: 0 | 1; run: string; worker: string; key: number | null; amount: number | null }
  | { do: "move"; gateway: 0 | 1; call: number; amount: number | null }
  | { do: "settle"; gateway: 0 | 1; call: number; cost: number | null; mayHaveCostMore: boolean }
  | { do: "issue"; gateway: 0 | 1; run: string; worker: string; hasCap: boolean; leaseMs: number | undefined }
  | { do: "renew"; gateway: 0 | 1; key: number }
  | { do: "end"; gateway: 0 | 1; key: number }
  | { do: "pass"; hours: number }
  | { do: "close"; gateway: 0 | 1 }
  /** The first gateway is killed; the second one lives on. */
  | { do: "crash" };

const gateway = fc.constantFrom(...GATEWAYS);
const name = fc.constantFrom("a", "b");
const nth = fc.nat({ max: 11 });
const amount = fc.option(fc.nat({ max: 30 }), { freq: 8 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("reserve" as const),
      gateway,
      run: name,
      worker: name,
      key: fc.option(nth, { freq: 2 }),
      amount,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("move" as const), gateway, call: nth, amount }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      gateway,
      call: nth,
      cost: amount,
      mayHaveCostMore: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("issue" as const),
      gateway,
      run: name,
      worker: name,
      hasCap: fc.boolean(),
      leaseMs: fc.option(fc.integer({ min: 1, max: 10_000_000 }), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("renew" as const, "end" as const), gateway, key: nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pass" as const), hours: fc.nat({ max: 15 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), gateway }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
);

interface ModelCall {
  id: string;
  scopes: Map<BudgetScope, string>;
  /** Which opening of which gateway holds it. */
  holder: string;
  reserved: number | null;
  ended: boolean;
  cost: number | null;
  /** What it counts for once it has ended. */
  counted: number;
}

interface ModelKey {
  id: string;
  key: string;
  run: string;
  worker: string;
  cap: number | null;
  leaseUntil: number | null;
  ended: boolean;
}

class World {
  readonly calls: ModelCall[] = [];
  readonly keys: ModelKey[] = [];
  now = NOON;
  readonly ledgers: [Ledger, Ledger];
  readonly #openings = [0, 0];
  #files = 0;

  constructor(readonly dir: string, readonly unknownPrice: "refuse" | "allow") {
    this.ledgers = [this.#open(0), this.#open(1)];
  }

  get path() {
    return `${this.dir}/${this.#files}.db`;
  }

  #open(gateway: 0 | 1): Ledger {
    return openLedger(this.path, {
      now: () => this.now,
      caps: { run: toUsd(CAPS.run), worker: toUsd(CAPS.worker), key: toUsd(CAPS.key), day: toUsd(CAPS.day) },
      unknownPrice: this.unknownPrice,
      // Both are this process; the start tells them apart for `crash`.
      identity: gateway === 0 ? ownIdentity() : { pid: Deno.pid },
      onProblem: (problem) => {
        throw new Error(problem);
      },
    });
  }

  holder(gateway: 0 | 1): string {
    return `${gateway}.${this.#openings[gateway]}`;
  }

  close(gateway: 0 | 1): void {
    this.ledgers[gateway].close();
    this.#lose((holder) => holder === this.holder(gateway));
    this.#openings[gateway]!++;
    this.ledgers[gateway] = this.#open(gateway);
  }

  /** What a killed process leaves is what the files hold at that moment. */
  crash(): void {
    const before = this.path;
    this.#files++;
    for (const part of ["", "-wal"]) Deno.copyFileSync(before + part, this.path + part);
    for (const ledger of this.ledgers) ledger.close();
    const database = new DatabaseSync(this.path);
    database.exec("UPDATE process SET pid = 1073741824 WHERE start_ticks IS NOT NULL");
    database.close();
    this.#lose((holder) => holder.startsWith("0."));
    for (const gateway of GATEWAYS) {
      this.#openings[gateway]!++;
      this.ledgers[gateway] = this.#open(gateway);
    }
  }

  #lose(isLost: (holder: string) => boolean): void {
    for (const lost of this.calls.filter((known) => !known.ended && isLost(known.holder))) {
      lost.ended = true;
      lost.cost = lost.reserved;
      lost.counted = lost.reserved ?? 0;
    }
  }

  keyState(key: ModelKey): "valid" | "ended" | "expired" {
    if (key.ended) return "ended";
    return key.leaseUntil !== null && key.leaseUntil <= this.now ? "expired" : "valid";
  }

  sums(scope: BudgetScope, id: string) {
    const within = this.calls.filter(({ scopes }) => scopes.get(scope) === id);
    const add = (calls: ModelCall[], of: (one: ModelCall) => number) => calls.reduce((sum, one) => sum + of(one), 0);
    const open = within.filter(({ ended }) => !ended);
    const ended = within.filter(({ ended }) => ended);
    return {
      spent: add(ended, ({ counted }) => counted),
      reserved: add(open, ({ reserved }) => reserved ?? 0),
      open: open.length,
      unknown: ended.filter(({ cost }) => cost === null).length,
    };
  }

  /** Whether a call would be admitted, and when not, whether it may be later. */
  expected(scopes: Map<BudgetScope, string>, amount: number | null, held: number): [boolean, boolean] {
    if (amount === null && this.unknownPrice === "refuse") return [false, false];
    const needed = amount ?? 1;
    const standing = [...scopes].map(([scope, id]) => {
      const own = scope === "key" ? this.keys.find((key) => key.id === id)!.cap : null;
      return { cap: own ?? CAPS[scope], ...this.sums(scope, id) };
    });
    const fits = standing.every(({ cap, spent, reserved }) => spent + reserved - held + needed <= cap);
    return [fits, !fits && standing.every(({ cap, spent }) => spent + needed <= cap)];
  }
}

const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

function take(world: World, step: Step): void {
  if (step.do === "pass") return void (world.now += step.hours * 3_600_000);
  if (step.do === "crash") return world.crash();
  if (step.do === "close") return world.close(step.gateway);
  const ledger = world.ledgers[step.gateway];
  const pick = <T>(from: readonly T[], index: number): T | undefined => from[index % Math.max(1, from.length)];
  const isEnded = (work: () => unknown): boolean => {
    try {
      work();
      return false;
    } catch (error) {
      if (error instanceof Refusal && error.kind === "authentication") return true;
      throw error;
    }
  };
  if (step.do === "issue") {
    const { run, worker, hasCap, leaseMs } = step;
    const issued = ledger.issueKey({ run, worker, leaseMs, capUsd: hasCap ? toUsd(KEY_CAP) : undefined });
    const leaseUntil = leaseMs === undefined ? null : world.now + leaseMs;
    world.keys.push({ ...issued, run, worker, cap: hasCap ? KEY_CAP : null, leaseUntil, ended: false });
  } else if (step.do === "renew" || step.do === "end") {
    const key = pick(world.keys, step.key);
    if (key === undefined) return;
    if (step.do === "end") {
      equal(ledger.endKey(key.id), !key.ended);
      key.ended = true;
    } else {
      equal(ledger.renewKey(key.id, 1000), !key.ended);
      if (!key.ended) key.leaseUntil = world.now + 1000;
    }
  } else if (step.do === "settle") {
    const known = pick(world.calls, step.call);
    if (known === undefined) return;
    const { cost, mayHaveCostMore } = step;
    ledger.settle(known.id, end(cost, { mayHaveCostMore }));
    if (known.ended) return;
    known.ended = true;
    known.cost = cost;
    const most = Math.max(cost ?? 0, known.reserved ?? 0);
    known.counted = mayHaveCostMore || cost === null ? most : cost;
  } else if (step.do === "move") {
    const known = pick(world.calls, step.call);
    if (known === undefined || known.ended) return;
    const key = world.keys.find(({ id }) => id === known.scopes.get("key"));
    const elsewhere = call(known.id, { model: "other" });
    if (key !== undefined && world.keyState(key) !== "valid") {
      return equal(isEnded(() => ledger.move(known.id, elsewhere, step.amount)), true);
    }
    const [admitted, mayFitLater] = world.expected(known.scopes, step.amount, known.reserved ?? 0);
    const admission = ledger.move(known.id, elsewhere, step.amount);
    deepEqual([admission.admitted, !admission.admitted && admission.refusal.mayFitLater], [admitted, mayFitLater]);
    if (admitted) known.reserved = step.amount;
  } else {
    const key = step.key === null ? undefined : pick(world.keys, step.key);
    const { run, worker } = key ?? step;
    const id = `call ${world.calls.length}`;
    const entry = call(id, { run, worker, keyId: key?.id ?? null });
    if (key !== undefined && world.keyState(key) !== "valid") {
      return equal(isEnded(() => ledger.reserve(entry, step.amount)), true);
    }
    const scopes = new Map<BudgetScope, string>([["run", run], ["worker", `${run}/${worker}`], [
      "day",
      dayOf(world.now),
    ]]);
    if (key !== undefined) scopes.set("key", key.id);
    const [admitted, mayFitLater] = world.expected(scopes, step.amount, 0);
    const admission = ledger.reserve(entry, step.amount);
    deepEqual([admission.admitted, !admission.admitted && admission.refusal.mayFitLater], [admitted, mayFitLater]);
    if (!admitted) return;
    world.calls.push({
      id,
      scopes,
      holder: world.holder(step.gateway),
      reserved: step.amount,
      ended: false,
      cost: null,
      counted: 0,
    });
  }
}

function compare(world: World): void {
  const [one, two] = world.ledgers;
  deepEqual(one.check(), []);
  const scopes = new Set(world.calls.flatMap(({ scopes }) => [...scopes].map(([scope, id]) => `${scope} ${id}`)));
  for (const scopeAndId of scopes) {
    const [scope, id] = scopeAndId.split(" ") as [BudgetScope, string];
    const { spent, reserved, open, unknown } = world.sums(scope, id);
    const { capUsd: _, ...found } = two.spent({ scope, id });
    deepEqual(found, {
      spentUsd: toUsd(spent),
      reservedUsd: toUsd(reserved),
      openCalls: open,
      unknownCalls: unknown,
    }, scopeAndId);
  }
  for (const key of world.keys) equal(one.findKey(key.key).kind, world.keyState(key));
  const { calls, cost_usd, reserved_usd, held_usd, unknown_calls, open } = two.report({ by: [] }).totals;
  const ended = world.calls.filter(({ ended }) => ended);
  const priced = ended.filter(({ cost }) => cost !== null);
  deepEqual({ calls, cost_usd, reserved_usd, held_usd, unknown_calls, open }, {
    calls: world.calls.length,
    cost_usd: ended.length > 0 && priced.length === 0 ? null : toUsd(priced.reduce((sum, { cost }) => sum + cost!, 0)),
    reserved_usd: toUsd(world.calls.reduce((sum, { ended, reserved }) => sum + (ended ? 0 : reserved ?? 0), 0)),
    held_usd: toUsd(ended.reduce((sum, { counted, cost }) => sum + counted - (cost ?? 0), 0)),
    unknown_calls: ended.length - priced.length,
    open: world.calls.length - ended.length,
  });
}

Deno.test("any calls of two gateways, with crashes and reopenings, count exactly as in the model", () =>
  inTempDir(async (dir) => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40, size: "max" }),
        fc.constantFrom("refuse" as const, "allow" as const),
        async (steps, unknownPrice) => {
          const folder = `${dir}/${runs++}`;
          const world = new World(folder, unknownPrice);
          try {
            for (const one of steps) {
              take(world, one);
              compare(world);
            }
          } finally {
            for (const ledger of world.ledgers) ledger.close();
            await Deno.remove(folder, { recursive: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  }));
