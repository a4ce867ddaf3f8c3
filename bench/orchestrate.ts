/**
 * `deno task bench:orchestrate`: what `gocore orchestrate` does with the streams of its workers, beside a program that
 * only copies lines. Recorded streams of claude, codex and gemini are replayed; everything runs from the sources.
 *
 * Environment: BENCH_ROUNDS (5), BENCH_LINES (40000, of each agent), BENCH_SECONDS (4, for each measurement of time) and
 * BENCH_WORKERS (100, for the memory) make it shorter.
 */
import { Child, linesOf, program, residentMb } from "./child.ts";
import { median, percentile, ratio, row } from "./measure.ts";
import { LAST_TEXT, type Order, type Started, type Told } from "./orchestrate/order.ts";
import { type Agent, agents, messageLine, recordedStream } from "./orchestrate/streams.ts";

const rounds = Number(Deno.env.get("BENCH_ROUNDS") ?? 5);
const lines = Number(Deno.env.get("BENCH_LINES") ?? 40_000);
const seconds = Number(Deno.env.get("BENCH_SECONDS") ?? 4);
const memoryWorkers = Number(Deno.env.get("BENCH_WORKERS") ?? 100);
/** Of each worker, for the memory: a few hours of work. */
const MEMORY_LINES = 1000;
/** Between two lines of a worker, for the time: more often than agents say something. */
const PAUSE_MS = 50;
const MESSAGE = "It says a few words about what it found and what comes next. ".repeat(8);
const SHARES = [["p50", 0.5], ["p99", 0.99]] as const;

const names = ["gocore", "copier"] as const;
type Name = typeof names[number];
const programs: Record<Name, string[]> = {
  gocore: program(new URL("orchestrate/session.ts", import.meta.url)),
  copier: program(new URL("orchestrate/copier.ts", import.meta.url)),
};

const scratch = await Deno.makeTempDir({ prefix: "gocore-bench-" });
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(scratch, { recursive: true }));

/** A program that supervises these workers, started and with its first line read. */
async function supervise(name: Name, workers: Order["workers"]): Promise<Child & { readonly url: string }> {
  const folder = await Deno.makeTempDir({ dir: scratch });
  const child = new Child([...programs[name], JSON.stringify({ folder, workers } satisfies Order)], "stdout");
  const { url }: Started = JSON.parse(await child.line());
  return Object.assign(child, { url });
}

/** Both take turns, so that a busy machine slows each of them alike; a list with an entry for each round. */
async function compare<T>(measure: (name: Name) => Promise<T>): Promise<Record<Name, T[]>> {
  const results: Record<Name, T[]> = { gocore: [], copier: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const measured = await measure(name);
      // The first round warms the caches.
      if (round > 0) results[name].push(measured);
    }
  }
  return results;
}

async function recorded(agent: Agent, count: number): Promise<string> {
  const path = `${scratch}/${agent}-${count}.jsonl`;
  await Deno.writeTextFile(path, recordedStream(agent, count) + messageLine(agent, LAST_TEXT));
  return path;
}

async function benchThroughput(label: string, chosen: readonly Agent[]): Promise<void> {
  const workers = await Promise.all(chosen.map(async (agent) => ({ agent, paths: [await recorded(agent, lines)] })));
  const results = await compare(async (name): Promise<Told> => {
    await using child = await supervise(name, workers);
    return JSON.parse(await child.line());
  });
  const total = (lines + 1) * chosen.length;
  const rate = (name: Name) => median(results[name].map(({ seconds }) => total / seconds));
  const events = median(results.gocore.map(({ logged, seconds }) => logged / seconds));
  row(`lines per second into the log, ${label}`, {
    gocore: `${rate("gocore").toFixed(0)} (${events.toFixed(0)} events)`,
    copier: rate("copier").toFixed(0),
    ratio: ratio(rate("copier"), rate("gocore")),
  });
}

/** Pipes with a name, into which lines are written as if by workers. */
class Mouths implements AsyncDisposable {
  readonly paths: readonly string[];
  readonly files: readonly Deno.FsFile[];

  private constructor(paths: readonly string[], files: readonly Deno.FsFile[]) {
    this.paths = paths;
    this.files = files;
  }

  static async open(count: number): Promise<Mouths> {
    const folder = await Deno.makeTempDir({ dir: scratch });
    const paths = Array.from({ length: count }, (_, i) => `${folder}/${i}`);
    const { success } = await new Deno.Command("mkfifo", { args: paths }).output();
    if (!success) throw new Error("No pipes can be made: mkfifo has failed");
    // With a reader's end as well: opening waits for nobody.
    return new Mouths(paths, await Promise.all(paths.map((path) => Deno.open(path, { read: true, write: true }))));
  }

  say(worker: number, line: string): void {
    this.files[worker]!.writeSync(new TextEncoder().encode(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.files) file.close();
    for (const path of this.paths) await Deno.remove(path);
  }
}

async function benchMemory(): Promise<void> {
  const streams = Object.fromEntries(
    await Promise.all(agents.map(async (agent) => [agent, await recorded(agent, MEMORY_LINES)] as const)),
  ) as Record<Agent, string>;
  const measure = async (name: Name, count: number): Promise<number> => {
    await using mouths = await Mouths.open(count);
    const workers = mouths.paths.map((mouth, i) => {
      const agent = agents[i % agents.length]!;
      return { agent, paths: [streams[agent], mouth] };
    });
    await using child = await supervise(name, workers);
    await child.line();
    // What the collector lets go at leisure is not what is kept.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return residentMb(child.process.pid);
  };
  const results = await compare(async (name) => {
    const one = await measure(name, 1);
    const all = await measure(name, memoryWorkers);
    return { all, each: (all - one) / (memoryWorkers - 1) };
  });
  const of = (name: Name, what: "all" | "each") => median(results[name].map((measured) => measured[what]));
  for (
    const [label, what, digits] of [[`${memoryWorkers} workers`, "all", 0], ["each further one", "each", 2]] as const
  ) {
    row(`resident memory, ${label}`, {
      gocore: `${of("gocore", what).toFixed(digits)} MB`,
      copier: `${of("copier", what).toFixed(digits)} MB`,
      ratio: ratio(of("gocore", what), of("copier", what)),
    });
  }
}

/** From a worker's line to the browser. Returns milliseconds, one for each line. */
async function delays(name: Name, count: number): Promise<number[]> {
  await using mouths = await Mouths.open(count);
  await using child = await supervise(name, mouths.paths.map((path) => ({ agent: "codex", paths: [path] })));
  const { body } = await fetch(child.url);
  const sentAt: number[] = [];
  const found: number[] = [];
  const all = Promise.withResolvers<void>();
  let isOver = false;
  const reading = (async () => {
    for await (const line of linesOf(body!)) {
      const sent = /"text":"Line (\d+): /.exec(line)?.[1];
      if (sent === undefined) continue;
      found.push(performance.now() - sentAt[Number(sent)]!);
      if (isOver && found.length === sentAt.length) all.resolve();
    }
  })();
  // It breaks off when the program is ended.
  reading.catch(() => {});
  const until = performance.now() + seconds * 1000;
  await Promise.all(mouths.paths.map(async (_, worker) => {
    for (;;) {
      // In step they would wait for each other.
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
      if (performance.now() > until) return;
      const line = messageLine("codex", `Line ${sentAt.length}: ${MESSAGE}`);
      sentAt.push(performance.now());
      mouths.say(worker, line);
    }
  }));
  isOver = true;
  if (found.length < sentAt.length) await Promise.race([all.promise, reading]);
  return found;
}

async function benchDelay(count: number): Promise<void> {
  const results = await compare((name) => delays(name, count));
  for (const [share, part] of SHARES) {
    const of = (name: Name) => median(results[name].map((list) => percentile(list, part)));
    row(`line to subscriber, ${count === 1 ? "1 worker" : `${count} workers`}, ${share}`, {
      gocore: `${of("gocore").toFixed(2)} ms`,
      copier: `${of("copier").toFixed(2)} ms`,
      ratio: ratio(of("gocore"), of("copier")),
    });
  }
}

row("machine", {
  cores: String(navigator.hardwareConcurrency),
  "load before": Deno.loadavg().map((load) => load.toFixed(1)).join(" "),
});
for (const agent of agents) await benchThroughput(agent, [agent]);
await benchThroughput("all at once", agents);
await benchMemory();
for (const count of [1, 16]) await benchDelay(count);
