/**
 * `deno task bench:serve`: requests per second and the delay of server-sent events, beside FastAPI under uvicorn and
 * Python's http.server in the same run; the streams of 100 clients, 20 of whom read nothing; the list of 10 000 runs.
 *
 * GOCORE_BIN is the program to measure (default: the sources). BENCH_ROUNDS (5), BENCH_SECONDS (2, for each
 * measurement), BENCH_EVENTS (100000) and BENCH_RUNS (10000) make it shorter.
 */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { encodeJsonLine } from "../src/events/json_lines.ts";
import { claimLock } from "../src/store/owner_lock.ts";
import { Sandbox, until } from "../tests/support/gocore.ts";
import { LoadedRun } from "../tests/serve/loaded_run.ts";
import { Served } from "../tests/serve/served.ts";
import { sessionLog } from "../tests/serve/small_logs.ts";
import { Child, residentMb } from "./child.ts";
import { median, ms, percentile, ratio, row } from "./measure.ts";
import { keepAsking } from "./serve/keep_asking.ts";
import { makeRuns } from "./serve/make_runs.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const rounds = Number(Deno.env.get("BENCH_ROUNDS") ?? 5);
const seconds = Number(Deno.env.get("BENCH_SECONDS") ?? 2);
const events = Number(Deno.env.get("BENCH_EVENTS") ?? 100_000);
const runs = Number(Deno.env.get("BENCH_RUNS") ?? 10_000);
const CONNECTIONS = 16;
/** Of events, while their delay is measured. */
const RATE = 200;

async function fastapiPython(): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command(`${root}bench/fetch_fastapi.sh`).output();
  if (success) return `${root}.cache/bench/fastapi/bin/python`;
  row("no peer: FastAPI cannot be installed", { because: new TextDecoder().decode(stderr).trim().slice(-200) });
}

interface Peer {
  readonly url: string;
  readonly pid: number;
}

async function benchBesidePeers(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const box = await Sandbox.create();
  const made = await makeRuns(box.root, 300);
  const log = await box.file("workspace/orch_live/events.jsonl", sessionLog("/project"));
  claimLock(join(made.workspace, "orch_live", "session.lock"));
  const served = stack.use(await Served.start({ box, args: ["--workspace", made.workspace] }));
  await allRead(served);
  const answers = await box.file("answers.json", JSON.stringify((await served.get("/api/runs")).json.runs));
  const peers = new Map<string, Peer>([["gocore", served]]);
  const start = async (name: string, argv: string[]) => {
    const child = stack.use(new Child(argv, "stdout"));
    peers.set(name, { url: `http://127.0.0.1:${await child.line()}`, pid: child.process.pid });
  };
  const python = await fastapiPython();
  if (python !== undefined) await start("fastapi", [python, `${root}bench/serve/fastapi_server.py`, answers, log]);
  await start("http.server", ["python3", `${root}bench/serve/http_server.py`, answers]);
  for (const { url } of peers.values()) {
    await until(
      "it answers",
      () => fetch(`${url}/health`).then(async (answer) => (await answer.text()) !== "", () => false),
    );
  }

  for (const path of ["/health", "/api/runs"]) {
    const rates = new Map<string, number[]>([...peers.keys()].map((name) => [name, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const [name, { url }] of peers) {
        const rate = await keepAsking(`${url}${path}`, { connections: CONNECTIONS, seconds });
        // The first round warms the caches.
        if (round > 0) rates.get(name)!.push(rate);
      }
    }
    const ours = median(rates.get("gocore")!);
    row(`${path}, requests per second, ${CONNECTIONS} connections`, {
      gocore: ours.toFixed(0),
      ...Object.fromEntries(
        [...rates].slice(1).map(([name, list]) => [name, `${median(list).toFixed(0)} (${ratio(median(list), ours)})`]),
      ),
    });
  }
  const delays = new Map<string, number[]>();
  for (const name of ["gocore", "fastapi"]) {
    const peer = peers.get(name);
    const path = name === "gocore" ? "/api/sessions/orch_live/events/stream" : "/api/events/stream";
    if (peer !== undefined) delays.set(name, await delaysOf(`${peer.url}${path}`, log));
  }
  for (const [what, share] of [["p50", 0.5], ["p99", 0.99]] as const) {
    const [ours, theirs] = [...delays.values()].map((list) => percentile(list, share));
    row(`from an event's append to its arrival, ${what}`, {
      gocore: ms(ours!),
      ...(theirs !== undefined && { "fastapi, which looks every 10 ms": `${ms(theirs)} (${ratio(ours!, theirs)})` }),
    });
  }
  row("resident memory afterwards", {
    ...Object.fromEntries([...peers].map(([name, { pid }]) => [name, `${residentMb(pid).toFixed(0)} MB`])),
  });
}

/** Of events that we append ourselves, in milliseconds. */
async function delaysOf(url: string, log: string): Promise<number[]> {
  const response = await fetch(url);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const found: number[] = [];
  let text = "";
  while (!text.includes("event: snapshot")) text += (await reader.read()).value ?? "";
  const goal = Math.ceil(RATE * seconds * rounds);
  let seq = (await Deno.readTextFile(log)).split("\n").length - 1;
  using file = await Deno.open(log, { append: true });
  const timer = setInterval(() => {
    const data = { level: "info", content: `at=${performance.now()};` };
    const line = encodeJsonLine({ seq: seq++, time: new Date().toISOString(), type: "log", data });
    file.writeSync(new TextEncoder().encode(line));
  }, 1000 / RATE);
  for (let rest = ""; found.length < goal;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The stream has ended");
    const nowMs = performance.now();
    const parts = (rest + value).split(";");
    rest = parts.pop()!;
    for (const part of parts) found.push(nowMs - Number(part.slice(part.lastIndexOf("at=") + 3)));
  }
  clearInterval(timer);
  await reader.cancel();
  return found;
}

async function benchLoad(): Promise<void> {
  await using served = await Served.start();
  const load = { kind: "session", readers: 80, silent: 20, events, rate: 10_000, bytes: 100 } as const;
  const start = performance.now();
  await using run = await LoadedRun.start(served, load);
  await run.read(Math.min(5000, events / 10));
  const before = await served.memoryMb();
  let most = before;
  const watch = setInterval(async () => most = Math.max(most, await served.memoryMb()), 200);
  await run.read(events / 2);
  clearInterval(watch);
  const flat = `${before.toFixed(0)} MB to ${most.toFixed(0)} MB`;
  await served.killAndStartAgain();
  await run.isWhole();
  row(`${events} events, 10 000 a second, 80 readers, 20 that read nothing`, {
    "every event once, in order": "yes",
    seconds: ((performance.now() - start) / 1000).toFixed(1),
    "memory up to the kill -9": flat,
    "memory at the end": `${(await served.memoryMb()).toFixed(0)} MB`,
  });
}

async function benchRuns(): Promise<void> {
  const box = await Sandbox.create();
  const made = await makeRuns(box.root, runs);
  const start = performance.now();
  await using served = await Served.start({
    box,
    args: ["--workspace", made.workspace, "--mini-workdir", made.workdir],
  });
  const up = performance.now() - start;
  const waits: number[] = [];
  const ask = async () => {
    const from = performance.now();
    const { json } = await served.get("/api/history");
    waits.push(performance.now() - from);
    return json.indexing === null;
  };
  while (!await ask()) await new Promise((resolve) => setTimeout(resolve, 20));
  row(`${runs} runs, read for the first time`, {
    "up after": ms(up),
    "all read after": ms(performance.now() - start),
    "page meanwhile p50": ms(median(waits)),
    p99: ms(percentile(waits, 0.99)),
  });
  waits.length = 0;
  for (let i = 0; i < 50; i++) await ask();
  row(`${runs} runs, the list (goal 300 ms)`, { p50: ms(median(waits)), p99: ms(percentile(waits, 0.99)) });
  const again = performance.now();
  await served.killAndStartAgain();
  const first = await served.get("/api/history");
  row(`${runs} runs, started again`, { [`list of ${first.json.total} after`]: ms(performance.now() - again) });
}

async function allRead(served: Served): Promise<void> {
  await until("all is read", async () => (await served.get("/api/history")).json.indexing === null);
}

row("machine", {
  cores: String(navigator.hardwareConcurrency),
  "load before": Deno.loadavg().map((load) => load.toFixed(1)).join(" "),
});
await benchBesidePeers();
await benchLoad();
await benchRuns();
