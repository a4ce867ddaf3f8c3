/** Measures the index of runs: `deno run -A bench/serve/measure_index.ts [COUNT] [FOLDER]`; a folder is made, or used again. */
import { join } from "node:path";
import { INDEX_NAME, openLibrary } from "../../src/commands/serve/library.ts";
import { makeRuns } from "./make_runs.ts";

const [count = "10000", given] = Deno.args;
const folder = given ?? await Deno.makeTempDir();
const made = given !== undefined && await Deno.stat(join(given, "runs")).then(() => true, () => false)
  ? { runsRoot: join(given, "runs"), workspace: join(given, "workspace"), workdir: join(given, "project") }
  : await makeRuns(folder, Number(count));

const ms = (value: number) => `${value.toFixed(1)} ms`;
const mb = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;

async function open(rebuilds: boolean) {
  return await openLibrary({
    roots: { runsRoot: made.runsRoot, workspace: made.workspace, miniWorkdirs: [made.workdir] },
    canStart: [],
    env: {},
    now: Date.now,
    rebuilds,
    onProblem: (problem) => console.error(problem),
  });
}

/** The longest time in which nobody could be served. */
function watchStops(): () => number {
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs - 1);
    lastMs = nowMs;
  }, 1);
  return () => {
    clearInterval(timer);
    return longestMs;
  };
}

for (const rebuilds of [true, false]) {
  const before = Deno.memoryUsage().rss;
  const stops = watchStops();
  const start = performance.now();
  const library = await open(rebuilds);
  const opened = performance.now();
  const page = library.history({ limit: 50 });
  const paged = performance.now();
  await library.firstRound;
  const ready = performance.now();
  const longest = stops();
  console.log(rebuilds ? "\nmade anew" : "\nwith the index that is there");
  console.log(
    `  opened in ${ms(opened - start)}; first page (${page.entries.length} of ${page.total}) ${ms(paged - opened)}`,
  );
  console.log(
    `  all read in ${ms(ready - start)}; longest stop ${ms(longest)}; memory ${mb(before)} → ${
      mb(Deno.memoryUsage().rss)
    }`,
  );
  const timed = (name: string, work: () => unknown) => {
    const times = Array.from({ length: 20 }, () => {
      const from = performance.now();
      work();
      return performance.now() - from;
    }).sort((a, b) => a - b);
    console.log(`  ${name.padEnd(34)} p50 ${ms(times[10]!)}, most ${ms(times[19]!)}`);
  };
  timed("page", () => library.history({ limit: 50 }));
  timed("page of failed manager runs", () => library.history({ limit: 50, kind: "manager", status: "failed" }));
  timed("search: two words", () => library.history({ limit: 50, q: "parser socket" }));
  timed("search: one letter", () => library.history({ limit: 50, q: "c" }));
  timed("attention", () => library.attention());
  timed("ids", () => library.ids("manager"));
  timed("costs by day", () => library.costs({ by: "day" }));
  await library[Symbol.asyncDispose]();
}
console.log(`\nindex ${mb(Deno.statSync(join(made.runsRoot, INDEX_NAME)).size)}`);
if (given === undefined) await Deno.remove(folder, { recursive: true });
