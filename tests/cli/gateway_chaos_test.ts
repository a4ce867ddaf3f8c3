/** What `gocore gateway` promises of money when everything breaks: kills, cuts, errors, two gateways, a full disk. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { DialectId } from "../../src/gateway/dialect.ts";
import { type Ledger, openLedger } from "../../src/gateway/ledger/ledger.ts";
import { type CallRow, FORMATS, requestFor } from "../gateway/open_gateway.ts";
import { type FakeUpstream, startFakeUpstream, type UpstreamReply, USUAL_USAGE } from "../support/fake_upstream.ts";
import { type EventOf, type GocoreRun, Sandbox, until } from "../support/gocore.ts";
import { toUsd } from "../../src/gateway/ledger/picodollars.ts";
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
    // Two places may be on one ledger.
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
    const database = new DatabaseSync(this.ledger, { readOnly: true });
    try {
      const rows = database.prepare("SELECT * FROM call ORDER BY rowid").all();
      return rows.map((row) => ({ ...row }) as unknown as CallRow);
    } finally {
      database.close();
    }
  }

  open(): Ledger {
    return openLedger(this.ledger, { now: Date.now, mustExist: true });
  }

  /** Nothing is open, and every sum is that of the calls; returns what they count for in picodollars. */
  balance(): number {
    using ledger = this.open();
    deepEqual([ledger.recovery, ledger.check()], [{ lostCalls: 0, lostUsd: 0 }, []], "nothing is left to settle");
    const rows = this.rows();
    deepEqual(rows.filter(({ ended_ms, outcome, cost }) => ended_ms === null || outcome === null || cost === null), []);
    const counted = rows.reduce((sum, row) => sum + row.counted!, 0);
    const { capUsd: _, ...standing } = ledger.spent({ scope: "run", id: "default" });
    deepEqual(standing, { spentUsd: toUsd(counted), reservedUsd: 0, openCalls: 0, unknownCalls: 0 });
    return counted;
  }
}

async function stop(run: GocoreRun): Promise<void> {
  run.kill("SIGTERM");
  const { code, stderr } = await run.end;
  equal(code, 143, stderr);
}

/** Rejects when the gateway ends by itself. */
async function failsAtEnd(run: GocoreRun): Promise<never> {
  const { code, stderr } = await run.end;
  throw new Error(`The gateway has ended with ${code}: ${stderr}`);
}

function ask(
  url: string,
  format: DialectId,
  options: { streamed?: boolean; model?: string; key?: string } = {},
): Promise<Response> {
  const { streamed, model = "chaos-call", key } = options;
  const { path, headers: given, body } = requestFor(format, { streamed, model });
  const headers = new Headers(given);
  if (key !== undefined) headers.set("x-api-key", key);
  return fetch(url + path, { method: "POST", headers, body });
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
    let isOver = false;
    const callUntilRefused = async (client: number) => {
      for (let n = 0; !isOver; n++) {
        const model = `chaos-${client}-${n}`;
        const end = await chaos.call((await current).url, model).catch(() => undefined);
        if (end?.status === 402) return;
        if (end?.wholeCall !== undefined) got.set(model, end.wholeCall);
      }
    };
    const clients = Promise.all(Array.from({ length: 64 }, (_, client) => callUntilRefused(client)));
    try {
      for (let kill = 1; kill <= 4; kill++) {
        const { run } = await current;
        await Promise.race([upstream.requested(kill * 180 + seed % 97), clients, failsAtEnd(run)]);
        // Whoever asks from now on waits for the next one.
        const next = Promise.withResolvers<Awaited<typeof current>>();
        current = next.promise;
        run.kill("SIGKILL");
        equal((await run.end).signal, "SIGKILL");
        next.resolve(place.start("--cap-run", String(CAP_USD)));
      }
      const { run } = await current;
      await Promise.race([clients, failsAtEnd(run)]);
      await stop(run);
    } finally {
      isOver = true;
    }

    const counted = place.balance();
    ok(counted <= CAP_USD * PICODOLLARS, `${counted} picodollars`);
    const rows = new Map(place.rows().map((row) => [row.model, row]));
    equal(rows.size, place.rows().length, "no call is there twice");
    deepEqual([...chaos.seen].filter(([model, times]) => times !== 1 || !rows.has(model)), [], "each was seen once");
    const largest = Math.max(...[...rows.values()].map(({ reserved }) => reserved!));
    ok(counted > CAP_USD * PICODOLLARS - largest, `${counted} picodollars: a call that had room was refused`);

    const outcomes = {
      whole: ["answered"],
      error: ["refused"],
      cut: ["cut", "unreachable"],
      left: ["client_gone", "answered"],
    };
    const seenOutcomes = new Set<string>();
    for (const [model, row] of rows) {
      const { kind } = chaos.fateOf(model);
      const charged = chaos.charged.get(model) ?? 0;
      const shown = JSON.stringify({ ...row, fate: kind, charged });
      seenOutcomes.add(row.outcome!);
      // However it ended: it counts for no more than was held back for it, and for no less than was charged.
      ok(row.cost! <= row.counted! && row.counted! <= row.reserved! && charged <= row.counted!, shown);
      if (!chaos.seen.has(model)) equal(row.outcome, "lost", shown);
      if (row.outcome === "lost") {
        ok(!got.has(model), `the client has got it whole: ${shown}`);
        const { cost, counted, cost_source, usage_source } = row;
        deepEqual([cost, counted, cost_source, usage_source], [row.reserved, cost, "estimated", "absent"], shown);
        continue;
      }
      ok(outcomes[kind].includes(row.outcome!), shown);
      const told = priceOf(chaos.told.get(model)!);
      if (row.outcome === "refused") deepEqual([row.cost, row.counted], [0, 0], shown);
      else if (row.outcome !== "answered") equal(row.counted, row.reserved, shown);
      else deepEqual([row.cost, row.counted, row.cost_source], [told, told, "user"], shown);
    }
    deepEqual([...seenOutcomes].sort(), ["answered", "client_gone", "cut", "lost", "refused", "unreachable"]);
    for (const [model, id] of got) equal(rows.get(model)?.id, id, model);

    const sum = [...chaos.charged.values()].reduce((all, one) => all + one, 0);
    ok(sum <= counted, `the provider charged ${sum} picodollars, the ledger counts ${counted}`);
    const cost = place.rows().reduce((all, row) => all + row.cost!, 0);
    const { calls, open, cost_usd, held_usd, unknown_calls } = await place.report();
    deepEqual([calls, open, unknown_calls], [rows.size, 0, 0]);
    deepEqual([cost_usd, held_usd], [toUsd(cost), toUsd(counted - cost)]);
    await box.noProcessLeft();
  }));

Deno.test("calls that a kill breaks count as lost, at what was held back for them, once: another restart changes nothing", async () => {
  await using box = await Sandbox.create();
  // One that is whole; then some that hang before their head, some after a byte, and streams that hang in their midst.
  await using upstream = startFakeUpstream(({ streamed }, index): UpstreamReply => {
    if (index === 0) return {};
    const afterBytes = [0, 1, streamed ? 700 : 1][index % 3]!;
    return { fault: afterBytes === 0 ? { kind: "hang" } : { kind: "stall", afterBytes } };
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
        counted: row.reserved,
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

const CALLS = 10_000;
/** From then on the gateway needs no more memory. */
const WARM_UP = 4000;
/** In each twenty calls; `budget` is refused by the cap of its key. */
const MIX = [
  ...Array<"answered">(10).fill("answered"),
  ...Array<"refused">(3).fill("refused"),
  ...Array<"cut">(2).fill("cut"),
  ...Array<"client_gone">(2).fill("client_gone"),
  "timeout",
  "unreachable",
  "budget",
] as const;

Deno.test("10 000 calls of every outcome leave nothing open, and no memory behind", async () => {
  await using box = await Sandbox.create();
  await using upstream = startFakeUpstream((request, index): UpstreamReply => {
    const kind = modelOf(request).slice("chaos-".length);
    if (kind === "refused") return { status: index % 2 === 0 ? 400 : 503 };
    if (kind === "cut") return { fault: { kind: "cut", afterBytes: 40 } };
    if (kind === "client_gone") return { fault: { kind: "stall", afterBytes: 200 } };
    if (kind === "timeout") return { fault: index % 2 === 0 ? { kind: "hang" } : { kind: "stall", afterBytes: 10 } };
    return {};
  });
  const place = await Place.prepare(box, upstream);
  // A gateway of its own, so that no slow machine makes another call late.
  const hasty = await Place.prepare(box, upstream, { limits: { first_byte_seconds: 0.2, idle_seconds: 0.2 } });
  const [{ run, url }, late] = await Promise.all([place.start(), hasty.start()]);
  const ledger = place.open();
  const { key } = ledger.issueKey({ run: "default", worker: "poor", capUsd: 1e-6 });
  ledger.close();

  const expected = { refused: [400, 503], cut: [200, 502], timeout: [200, 504], unreachable: [502], budget: [402] };
  const makeCall = async (n: number) => {
    const kind = MIX[n % MIX.length]!;
    const format = FORMATS[Math.floor(n / MIX.length) % FORMATS.length]!;
    const streamed = n % 2 === 0 || kind === "client_gone";
    const model = kind === "unreachable" ? "nowhere-1" : `chaos-${kind}`;
    const reply = await ask(kind === "timeout" ? late.url : url, format, {
      streamed,
      model,
      key: kind === "budget" ? key : undefined,
    });
    if (kind === "client_gone") return await (await begin(reply)).cancel();
    const statuses = kind === "answered" ? [200] : expected[kind];
    ok(statuses.includes(reply.status), `${kind}: ${reply.status}`);
    await reply.arrayBuffer().catch((error) => ok(kind === "cut" || kind === "timeout", `${kind}: ${error}`));
  };
  let started = 0;
  let warmMb = 0;
  await Promise.all(Array.from({ length: 64 }, async () => {
    while (started < CALLS) {
      if (started === WARM_UP) warmMb = await residentMb(run.pid);
      await makeCall(started++);
    }
  }));
  for (const one of [url, late.url]) {
    await until("no call is under way", async () => (await health(one)).open_calls === 0);
    deepEqual(await health(one), { status: "ok", open_calls: 0, waiting_calls: 0, unwritten_settlements: 0 });
  }
  const grownMb = await residentMb(run.pid) - warmMb;
  // Measured: 260 MB after 4000 calls as after 40 000, give or take 30 MB of garbage.
  ok(grownMb < 100, `${grownMb} MB more than after ${WARM_UP} calls`);
  await Promise.all([stop(run), stop(late.run)]);

  const found = new Map<string, number>();
  for (const { model, outcome } of place.rows()) {
    const name = `${model} ${outcome}`;
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  deepEqual(Object.fromEntries(found), {
    "chaos-answered answered": 5000,
    "chaos-refused refused": 1500,
    "chaos-cut cut": 1000,
    "chaos-client_gone client_gone": 1000,
    "chaos-timeout timeout": 500,
    "nowhere-1 unreachable": 500,
  });
  const free = place.rows().filter(({ outcome }) => outcome === "refused" || outcome === "unreachable");
  deepEqual(free.filter(({ cost }) => cost !== 0), []);
  const answered = place.rows().filter(({ outcome }) => outcome === "answered");
  deepEqual(answered.filter(({ cost }) => cost !== priceOf(USUAL_USAGE)), []);
  place.balance();
  await box.noProcessLeft();
});

async function health(url: string) {
  const { version: _, source: __, ...standing } = await (await fetch(`${url}/health`)).json();
  return standing;
}

async function residentMb(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1]) / 1024;
}

/** Takes no more calls, but still lives. */
async function isClosing(url: string): Promise<void> {
  await until("the gateway takes no more calls", async () => (await health(url)).status === "closing");
}

Deno.test("SIGTERM lets streams under way come to their end, and settles them", async () => {
  await using box = await Sandbox.create();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream(() => ({ beforePiece: (index) => index === 3 ? released : undefined }));
  const place = await Place.prepare(box, upstream, { limits: { drain_seconds: 250 } });
  const { run, url } = await place.start();
  const readers = await Promise.all(FORMATS.map(async (format) => begin(await ask(url, format, { streamed: true }))));
  run.kill("SIGTERM");
  await isClosing(url);
  const late = await ask(url, "anthropic");
  deepEqual([late.status, (await late.json()).type], [503, "error"]);
  release();
  await Promise.all(readers.map(readAll));
  const { code, signal } = await run.end;
  deepEqual([code, signal], [143, null]);
  deepEqual(
    place.rows().map(({ outcome, cost }) => [outcome, cost]),
    FORMATS.map(() => ["answered", priceOf(USUAL_USAGE)]),
  );
  place.balance();
  await box.noProcessLeft();
});

Deno.test("what has not ended when the gateway does is cut, settled and told to its client", async () => {
  await using box = await Sandbox.create();
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "stall", afterBytes: 700 } }));
  const place = await Place.prepare(box, upstream, { limits: { drain_seconds: 0 } });
  const { run, url } = await place.start();
  const readers = await Promise.all(FORMATS.map(async (format) => begin(await ask(url, format, { streamed: true }))));
  await Promise.all([stop(run), ...readers.map((reader) => rejects(readAll(reader)))]);
  for (const { outcome, usage_source, cost, counted, reserved } of place.rows()) {
    deepEqual([outcome, usage_source, counted], ["cut", "estimated", reserved]);
    ok(0 < cost! && cost! < reserved!, `${cost} of ${reserved}`);
  }
  equal(place.rows().length, FORMATS.length);
  place.balance();
  await box.noProcessLeft();
});

Deno.test("a second SIGTERM ends the gateway at once; the next one finds what was under way, and counts it as lost", async () => {
  await using box = await Sandbox.create();
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "stall", afterBytes: 700 } }));
  const place = await Place.prepare(box, upstream, { limits: { drain_seconds: 250 } });
  const { run, url } = await place.start();
  const readers = await Promise.all(FORMATS.map(async (format) => begin(await ask(url, format, { streamed: true }))));
  run.kill("SIGTERM");
  await isClosing(url);
  run.kill("SIGTERM");
  const [{ code }] = await Promise.all([run.end, ...readers.map((reader) => rejects(readAll(reader)))]);
  equal(code, 143);
  deepEqual(place.rows().map(({ outcome }) => outcome), [null, null, null, null]);
  await stop((await place.start()).run);
  deepEqual(
    place.rows().map(({ outcome, cost }) => [outcome, cost]),
    place.rows().map(({ reserved }) => ["lost", reserved]),
  );
  place.balance();
  await box.noProcessLeft();
});

Deno.test("two gateways on one ledger share one cap to the last call that fits", async () => {
  await using box = await Sandbox.create();
  await using upstream = startFakeUpstream();
  const place = await Place.prepare(box, upstream);
  const capUsd = 0.1;
  const gateways = await Promise.all([0, 1].map(() => place.start("--cap-run", String(capUsd))));
  const answered = [0, 0];
  await Promise.all(Array.from({ length: 32 }, async (_, client) => {
    const which = client % 2;
    while (true) {
      const reply = await ask(gateways[which]!.url, FORMATS[client % FORMATS.length]!, { streamed: client % 3 === 0 });
      await reply.arrayBuffer();
      if (reply.status === 402) return;
      equal(reply.status, 200);
      answered[which]! += 1;
    }
  }));
  await Promise.all(gateways.map(({ run }) => stop(run)));
  const cost = place.balance();
  equal(cost, upstream.charges.length * priceOf(USUAL_USAGE), "what the provider charged");
  equal(upstream.charges.length, answered[0]! + answered[1]!);
  ok(answered.every((count) => count > 0), String(answered));
  const largest = Math.max(...place.rows().map(({ reserved }) => reserved!));
  ok(cost <= capUsd * PICODOLLARS && cost > capUsd * PICODOLLARS - largest, `${cost} of ${capUsd} USD`);
  await box.noProcessLeft();
});

Deno.test("what a killed gateway had held back counts for the call that waits for it at another gateway", async () => {
  await using box = await Sandbox.create();
  await using upstream = startFakeUpstream(() => ({ fault: { kind: "hang" } }));
  const place = await Place.prepare(box, upstream);
  const [first, second] = await Promise.all([0, 1].map(() => place.start("--cap-run", "0.001")));
  const broken = rejects(ask(first!.url, "anthropic"));
  await upstream.requested(1);
  const waiting = ask(second!.url, "anthropic");
  await second!.run.event("a call that waits", ({ type }) => type === "rate.waiting");
  first!.run.kill("SIGKILL");
  await broken;
  const refused = await waiting;
  const { reserved } = place.rows()[0]!;
  const { scope, spent_usd, reserved_usd } = (await refused.json()).error.gocore;
  deepEqual([refused.status, scope, spent_usd, reserved_usd], [402, "run", toUsd(reserved!), 0]);
  await stop(second!.run);
  deepEqual(place.rows().map(({ outcome, cost }) => [outcome, cost]), [["lost", reserved]]);
  place.balance();
  equal(upstream.requests.length, 1);
  await box.noProcessLeft();
});

/** A place where nothing more can be written to the ledger, until there is room again. */
interface Disk {
  fill(run: GocoreRun): Promise<void>;
  free(run: GocoreRun): Promise<void>;
}

async function proveFullDisk(box: Sandbox, ledger: string, disk: Disk): Promise<void> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using upstream = startFakeUpstream(() => ({ beforePiece: (index) => index === 3 ? released : undefined }));
  const place = await Place.prepare(box, upstream, { ledger });
  const { run, url } = await place.start();
  const held = await begin(await ask(url, "anthropic", { streamed: true }));
  await disk.fill(run);
  for (const format of FORMATS) {
    const reply = await ask(url, format);
    equal(reply.status, 503);
    ok((await reply.text()).includes("no call is made without a record of it"));
  }
  equal(upstream.requests.length, 1, "nobody was asked");
  release();
  await readAll(held);
  equal((await health(url)).unwritten_settlements, 1);
  await disk.free(run);
  await until("the settlement is written", async () => (await health(url)).unwritten_settlements === 0);
  const reply = await ask(url, "openai_chat");
  equal(reply.status, 200);
  await reply.arrayBuffer();
  await stop(run);
  const answered = ["answered", priceOf(USUAL_USAGE)];
  deepEqual(place.rows().map(({ outcome, cost }) => [outcome, cost]), [answered, answered]);
  place.balance();
  await box.noProcessLeft();
}

const canLimit = canRun("prlimit", ["--version"]);
Deno.test({
  name: named("a ledger that cannot grow", canLimit, "there is no prlimit"),
  ignore: !canLimit,
  async fn() {
    await using box = await Sandbox.create();
    const ledger = join(box.root, "ledger.db");
    const limit = (run: GocoreRun, bytes: number | "unlimited") =>
      must("prlimit", [`--pid=${run.pid}`, `--fsize=${bytes}:`]);
    await proveFullDisk(box, ledger, {
      fill: async (run) => await limit(run, (await Deno.stat(`${ledger}-wal`)).size),
      free: (run) => limit(run, "unlimited"),
    });
  },
});

const canMount = Deno.build.os === "linux" && Deno.uid() === 0 && mountsOnce();
Deno.test({
  name: named("a full disk", canMount, "nothing can be mounted here"),
  ignore: !canMount,
  async fn() {
    await using box = await Sandbox.create();
    const dir = join(box.root, "disk");
    await Deno.mkdir(dir);
    await must("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", dir]);
    try {
      const filler = join(dir, "filler");
      await proveFullDisk(box, join(dir, "ledger.db"), {
        fill: async () => {
          using file = await Deno.create(filler);
          const writeAll = async () => {
            while (true) await file.write(new Uint8Array(4096));
          };
          await rejects(writeAll(), /no space/i);
        },
        free: () => Deno.remove(filler),
      });
    } finally {
      // Also when a gateway that failed still has the ledger open.
      await must("umount", ["--lazy", dir]);
    }
  },
});

function named(what: string, isPossible: boolean, reason: string): string {
  const name =
    `${what}: calls are refused with 503 and nobody is asked; what was under way is settled when there is room`;
  return isPossible ? name : `${name} (ignored: ${reason})`;
}

function canRun(program: string, args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

function mountsOnce(): boolean {
  const dir = Deno.makeTempDirSync();
  try {
    return canRun("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", dir]) && canRun("umount", [dir]);
  } finally {
    Deno.removeSync(dir);
  }
}

async function must(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}
