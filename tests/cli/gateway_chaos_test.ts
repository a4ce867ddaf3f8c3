/** What `gocore gateway` promises of money when everything breaks: kills, cuts, errors, two gateways, a full disk. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { type Ledger, openLedger } from "../../src/gateway/ledger/ledger.ts";
import { type CallRow, FORMATS, requestFor } from "../gateway/open_gateway.ts";
import { type FakeUpstream, startFakeUpstream, type UpstreamReply } from "../support/fake_upstream.ts";
import { type EventOf, type GocoreRun, Sandbox, until } from "../support/gocore.ts";
import { Chaos, chaosConfig, modelOf, priceOf, withSeed } from "./chaos.ts";

const CAP_USD = 1;
const PICODOLLARS = 1e12;

/** A ledger, and gateways on it one after the other or beside each other. */
class Place {
  readonly ledger: string;
  readonly #box: Sandbox;
  readonly #config: string;

  private constructor(box: Sandbox, ledger: string, config: string) {
    this.#box = box;
    this.ledger = ledger;
    this.#config = config;
  }

  static async prepare(
    box: Sandbox,
    upstream: FakeUpstream,
    options: { limits?: Record<string, number>; ledger?: string } = {},
  ): Promise<Place> {
    const { limits, ledger = join(box.root, "ledger.db") } = options;
    // More than one configuration may be asked for.
    const path = `gateway-${crypto.randomUUID()}.toml`;
    return new Place(box, ledger, await box.file(path, chaosConfig(upstream.url, limits)));
  }

  async start(...args: string[]): Promise<{ run: GocoreRun; url: string }> {
    const line = ["gateway", "--port", "0", "--config", this.#config, "--ledger", this.ledger, ...args];
    const run = await this.#box.start(line);
    const listening = await run.event("gateway.listening", ({ type }) => type === "gateway.listening");
    return { run, url: (listening as EventOf<"gateway.listening">).data.url };
  }

  async report() {
    const { code, stdout } = await this.#box.run(["gateway", "report", "--json", "--ledger", this.ledger]);
    equal(code, 0);
    return JSON.parse(stdout).totals;
  }

  /** Every call, in the order of admission. */
  rows(): CallRow[] {
    using database = new DatabaseSync(this.ledger, { readOnly: true });
    return database.prepare("SELECT * FROM call ORDER BY rowid").all() as unknown as CallRow[];
  }

  open(): Ledger {
    return openLedger(this.ledger, { now: Date.now, mustExist: true });
  }

  /** Nothing is open, and every sum is that of the calls; returns what they cost in picodollars. */
  balance(): number {
    using ledger = this.open();
    deepEqual([ledger.recovery, ledger.check()], [{ lostCalls: 0, lostUsd: 0 }, []], "nothing is left to settle");
    const rows = this.rows();
    deepEqual(rows.filter(({ ended_ms, outcome, cost }) => ended_ms === null || outcome === null || cost === null), []);
    const cost = rows.reduce((sum, row) => sum + row.cost!, 0);
    const { capUsd: _, ...standing } = ledger.spent({ scope: "run", id: "default" });
    deepEqual(standing, { spentUsd: Number(`${cost}e-12`), reservedUsd: 0, openCalls: 0, unknownCalls: 0 });
    return cost;
  }
}

async function stop(run: GocoreRun): Promise<void> {
  run.kill("SIGTERM");
  const { code, stderr } = await run.end;
  equal(code, 143, stderr);
}

/** One call; `prefix` names a worker, `/w/NAME`. */
function ask(
  url: string,
  format: DialectId,
  options: { streamed?: boolean; model?: string; key?: string; id?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  const { streamed, model = "chaos-call", key, id, signal } = options;
  const { path, headers, body } = requestFor(format, { streamed, model, changes: { metadata: { id } } });
  const credentials: [string, string][] = key === undefined ? [] : [["x-api-key", key]];
  return fetch(url + path, { method: "POST", headers: [...Object.entries(headers), ...credentials], body, signal });
}

/** Reads until something of the body is there, and leaves the rest. */
async function begin(reply: Response): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  equal(reply.status, 200);
  const reader = reply.body!.getReader();
  ok(!(await reader.read()).done);
  return reader;
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

Deno.test("64 clients, a provider that breaks in every way, a gateway that is killed four times: the cap holds, and every call is in the ledger once", () =>
  withSeed(async (seed) => {
    const chaos = new Chaos(seed);
    await using box = await Sandbox.create();
    await using upstream = startFakeUpstream(chaos.reply);
    const place = await Place.prepare(box, upstream);
    let current = place.start("--cap-run", String(CAP_USD));
    const got = new Map<string, string>();
    const callUntilRefused = async (client: number) => {
      for (let n = 0;; n++) {
        const model = `chaos-${client}-${n}`;
        const end = await chaos.call((await current).url, model).catch(() => undefined);
        if (end?.status === 402) return;
        if (end?.wholeCall !== undefined) got.set(model, end.wholeCall);
      }
    };
    const clients = Promise.all(Array.from({ length: 64 }, (_, client) => callUntilRefused(client)));
    for (let kill = 1; kill <= 4; kill++) {
      await Promise.race([upstream.requested(kill * 180 + seed % 97), clients]);
      const { run } = await current;
      // Whoever asks from now on waits for the next one.
      const next = Promise.withResolvers<Awaited<typeof current>>();
      current = next.promise;
      run.kill("SIGKILL");
      equal((await run.end).signal, "SIGKILL");
      next.resolve(place.start("--cap-run", String(CAP_USD)));
    }
    await clients;
    await stop((await current).run);

    const cost = place.balance();
    ok(cost <= CAP_USD * PICODOLLARS, `${cost} picodollars`);
    const rows = new Map(place.rows().map((row) => [row.model, row]));
    equal(rows.size, place.rows().length, "no call is there twice");
    deepEqual([...chaos.seen].filter(([model, times]) => times !== 1 || !rows.has(model)), [], "each was seen once");
    const largest = Math.max(...[...rows.values()].map(({ reserved }) => reserved!));
    ok(cost > CAP_USD * PICODOLLARS - largest, `${cost} picodollars: a call that had room was refused`);

    const outcomes = { whole: "answered", error: "refused", cut: "cut", left: "client_gone" };
    const seenOutcomes = new Set<string>();
    for (const [model, row] of rows) {
      const { kind, streamed } = chaos.fateOf(model);
      const told = chaos.told.get(model);
      const charged = chaos.charged.get(model) ?? 0;
      const shown = JSON.stringify({ ...row, fate: kind, charged });
      seenOutcomes.add(row.outcome!);
      // However it ended, it cost no more than what had been held back for it, and no more than what it counts for.
      ok(row.cost! <= row.reserved! && charged <= row.cost!, shown);
      if (row.outcome === "lost") {
        ok(!got.has(model), `the client has got it whole: ${shown}`);
        deepEqual([row.cost, row.cost_source, row.usage_source], [row.reserved, "estimated", "absent"], shown);
        continue;
      }
      equal(row.outcome, outcomes[kind], shown);
      if (kind === "whole") deepEqual([row.cost, row.cost_source], [priceOf(told!), "user"], shown);
      if (kind === "error") equal(row.cost, 0, shown);
      if ((kind === "cut" || kind === "left") && !streamed) equal(row.cost, row.reserved, shown);
    }
    deepEqual([...seenOutcomes].sort(), ["answered", "client_gone", "cut", "lost", "refused"]);
    for (const [model, id] of got) equal(rows.get(model)?.id, id, model);

    const sum = [...chaos.charged.values()].reduce((all, one) => all + one, 0);
    ok(sum <= cost, `the provider charged ${sum} picodollars, the ledger has ${cost}`);
    const { calls, open, cost_usd, unknown_calls } = await place.report();
    deepEqual([calls, open, cost_usd, unknown_calls], [rows.size, 0, Number(`${cost}e-12`), 0]);
    await box.noProcessLeft();
  }));

Deno.test("calls that a kill breaks count as lost, at what was held back for them, once: another restart changes nothing", async () => {
  await using box = await Sandbox.create();
  // One that is whole, and then streams that hang before their head, after it and in their midst, and replies that hang.
  const afterBytes = [0, 1, 700];
  await using upstream = startFakeUpstream((_, index): UpstreamReply => {
    if (index === 0) return {};
    const bytes = afterBytes[index % afterBytes.length]!;
    return { fault: bytes === 0 ? { kind: "hang" } : { kind: "stall", afterBytes: bytes } };
  });
  const place = await Place.prepare(box, upstream);
  const first = await place.start();
  equal((await ask(first.url, "openai_chat").then((reply) => reply.json())).object, "chat.completion");
  const broken = Array.from({ length: 24 }, async (_, index) => {
    const reply = await ask(first.url, FORMATS[index % FORMATS.length]!, { streamed: index < 16 });
    await reply.arrayBuffer();
  });
  const seenBroken = Promise.all(broken.map((call) => rejects(call)));
  await upstream.requested(25);
  first.run.kill("SIGKILL");
  await first.run.end;
  await seenBroken;

  const open = place.rows();
  const second = await place.start();
  const settled = place.rows();
  const settledAt = settled.map(({ ended_ms }) => ended_ms);
  deepEqual([open.length, open.filter(({ outcome }) => outcome === null).length], [25, 24]);
  deepEqual(
    settled,
    open.map((row, index) =>
      row.outcome !== null ? row : {
        ...row,
        ended_ms: settledAt[index],
        outcome: "lost",
        usage_source: "absent",
        cost: row.reserved,
        cost_source: "estimated",
      }
    ),
  );
  ok(open.every(({ reserved }) => reserved! > 0));
  second.run.kill("SIGKILL");
  await second.run.end;
  const third = await place.start();
  deepEqual(place.rows(), settled);
  await stop(third.run);
  deepEqual(place.rows(), settled);
  place.balance();
  await box.noProcessLeft();
});
