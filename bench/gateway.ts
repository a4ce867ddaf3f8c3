/**
 * `deno task bench:gateway`: what the gateway adds to a model call, beside LiteLLM's proxy in the same run.
 *
 * Environment: GOCORE_BIN is the program to measure (default: dist/gocore, or the sources when there is none).
 * BENCH_ROUNDS (5), BENCH_SECONDS (4, for each measurement) and BENCH_CALLS (100000, for the memory) make it shorter.
 */
import { fileURLToPath } from "node:url";
import { residentMb } from "./child.ts";
import type { Measured } from "./gateway/callers.ts";
import { type Server, startCallers, startGocore, startLitellm, startUpstream } from "./gateway/processes.ts";
import type { Format } from "./gateway/requests.ts";
import { median, percentile, ratio, row } from "./measure.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const rounds = Number(Deno.env.get("BENCH_ROUNDS") ?? 5);
const seconds = Number(Deno.env.get("BENCH_SECONDS") ?? 4);
const memoryCalls = Number(Deno.env.get("BENCH_CALLS") ?? 100_000);
/** A fast model. */
const DELAY_MS = 50;
/** What agents do between two calls, in short. */
const PAUSE_MS = 50;
const LEVELS = [1, 16, 64];
const GOALS: Record<string, string> = { "16 p50": " (goal 1 ms)", "16 p99": " (goal 4 ms)" };

const scratch = await Deno.makeTempDir({ prefix: "gocore-bench-" });
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(scratch, { recursive: true }));
const upstream = cleanup.use(await startUpstream());
const callers = cleanup.use(startCallers());

const gocore = await gocoreArgv();
const servers = new Map<string, Server>([["direct", upstream]]);
servers.set("gocore", cleanup.use(await startGocore(gocore, upstream, await scratchFolder())));
if (await isLitellmThere()) servers.set("litellm", cleanup.use(await startLitellm(upstream, await scratchFolder())));

async function gocoreArgv(): Promise<string[]> {
  const compiled = Deno.env.get("GOCORE_BIN") ?? `${root}dist/gocore`;
  if (await Deno.stat(compiled).then(() => true, () => false)) return [compiled];
  row(`${compiled} is missing`, { measured: "the sources" });
  return [Deno.execPath(), "run", "--no-check", "-A", `${root}src/main.ts`];
}

async function isLitellmThere(): Promise<boolean> {
  const { success, stderr } = await new Deno.Command(`${root}bench/fetch_litellm.sh`).output();
  if (!success) {
    row("no peer: LiteLLM cannot be installed", { because: new TextDecoder().decode(stderr).trim().slice(-200) });
  }
  return success;
}

function scratchFolder(): Promise<string> {
  return Deno.makeTempDir({ dir: scratch });
}

/** All servers take turns, so that a busy machine slows each of them alike; a list with an entry for each round. */
async function compare(
  load: { format: Format; callers: number; pauseMs: number },
): Promise<Map<string, Measured[]>> {
  const results = new Map<string, Measured[]>([...servers.keys()].map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    // The first round warms the caches.
    const until = { seconds: round === 0 ? Math.min(seconds, 1) : seconds };
    for (const [name, { url, key }] of servers) {
      const measured = await callers.measure({ ...load, url, key, until });
      if (measured.failed > 0) {
        row(`${name}: ${measured.failed} calls failed`, { first: measured.failure!.slice(-200) });
      }
      if (round > 0) results.get(name)!.push(measured);
    }
  }
  return results;
}

async function benchLatency(format: Format, level: number): Promise<void> {
  const results = await compare({ format, callers: level, pauseMs: PAUSE_MS });
  const parts = format === "chat" ? ["wholeMs"] as const : ["firstByteMs", "wholeMs"] as const;
  for (const part of parts) {
    for (const [name, share] of [["p50", 0.5], ["p99", 0.99]] as const) {
      const inRounds = (way: string) => results.get(way)?.map((measured) => percentile(measured[part], share));
      const direct = inRounds("direct")!;
      const added = (way: string) => inRounds(way)?.map((value, round) => value - direct[round]!);
      const ours = added("gocore")!;
      const peer = added("litellm");
      const what = format === "chat" ? "chat" : part === "firstByteMs" ? "stream's begin" : "stream's end";
      const many = level === 1 ? "1 caller" : `${level} callers`;
      row(`${what}, ${many}, ${name}${GOALS[`${level} ${name}`] ?? ""}`, {
        direct: fine(median(direct)),
        gocore: `+${fine(median(ours))} (${Math.min(...ours).toFixed(2)} to ${Math.max(...ours).toFixed(2)})`,
        ...(peer && { litellm: `+${fine(median(peer))}`, ratio: positiveRatio(median(ours), median(peer)) }),
      });
    }
  }
}

async function benchThroughput(format: Format): Promise<void> {
  const results = await compare({ format, callers: 64, pauseMs: 0 });
  const rates = new Map(
    [...results].map(([name, list]) => [name, median(list.map(({ wholeMs, seconds }) => wholeMs.length / seconds))]),
  );
  const peer = rates.get("litellm");
  row(`${format === "chat" ? "chats" : "streams"} per second, 64 callers, no delay`, {
    ...Object.fromEntries([...rates].map(([name, rate]) => [name, rate.toFixed(0)])),
    ...(peer && { ratio: ratio(peer, rates.get("gocore")!) }),
    "callers' own load": `${(100 * median(results.get("gocore")!.map(({ busy }) => busy))).toFixed(0)} % of a core`,
  });
}

async function benchMemory(): Promise<void> {
  await using server = await startGocore(gocore, upstream, await scratchFolder());
  const { url, key, pid } = server;
  const sizes: number[] = [];
  let made = 0;
  for (const goal of [memoryCalls / 100, memoryCalls / 10, memoryCalls]) {
    for (const format of ["chat", "messages"] as const) {
      const calls = Math.ceil((goal - made) / 2);
      await callers.measure({ url, key, format, callers: 64, until: { calls }, pauseMs: 0 });
    }
    made = goal;
    // What the collector lets go at leisure is not what the calls have left behind.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    sizes.push(residentMb(pid));
    row(`resident memory after ${goal} calls`, { gocore: `${sizes.at(-1)!.toFixed(1)} MB` });
  }
  const growth = 100 * (sizes[2]! / sizes[1]! - 1);
  row("growth over the last nine tenths (goal 5 %)", { gocore: `${growth.toFixed(1)} %` });
}

const fine = (ms: number): string => `${ms.toFixed(2)} ms`;

/** A ratio to nothing, or to less, says nothing. */
const positiveRatio = (ours: number, theirs: number): string => ours > 0 && theirs > 0 ? ratio(ours, theirs) : "-";

row("machine", {
  cores: String(navigator.hardwareConcurrency),
  "load before": Deno.loadavg().map((load) => load.toFixed(1)).join(" "),
});
await upstream.setDelay(DELAY_MS);
for (const format of ["chat", "messages"] as const) {
  for (const level of LEVELS) await benchLatency(format, level);
}
await upstream.setDelay(0);
for (const format of ["chat", "messages"] as const) await benchThroughput(format);
await benchMemory();
