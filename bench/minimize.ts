/**
 * `deno task bench:minimize`: size, calls of the oracle and time of the reducer on test cases of other people, beside
 * plain ddmin (over lines and over characters) and Shrink Ray, all with the same script in the same run. In brackets ours
 * in relation to theirs, and after how many calls ours was as small as theirs in the end.
 *
 * Arguments choose cases by a part of their name. BENCH_PEERS (`ddmin-lines,ddmin-characters,shrinkray`) chooses the
 * peers, BENCH_CALLS (3000) is where ddmin over characters gives up, BENCH_SECONDS (600) where each peer does.
 */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { reduce } from "../src/reduce/reduce.ts";
import { ddmin } from "../tests/reduce/ddmin.ts";
import { row } from "./measure.ts";
import { type Case, casesOf } from "./minimize/cases.ts";

interface Outcome {
  readonly size: number;
  readonly calls: number;
  readonly seconds: number;
  /** Gave up before it was done. */
  readonly isCut: boolean;
  readonly note?: string;
}

interface Ours extends Outcome {
  readonly text: string;
  /** The size after every decision, and how many calls were made by then. */
  readonly history: readonly { readonly size: number; readonly calls: number }[];
}

const root = fileURLToPath(new URL("../", import.meta.url));
const PARALLEL = 2;
const peers = (Deno.env.get("BENCH_PEERS") ?? "ddmin-lines,ddmin-characters,shrinkray").split(",");
const maxCalls = Number(Deno.env.get("BENCH_CALLS") ?? 3000);
const maxSeconds = Number(Deno.env.get("BENCH_SECONDS") ?? 600);

const scratch = await Deno.makeTempDir({ prefix: "gocore-bench-" });
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(scratch, { recursive: true }));

/** Python's library, and where Deno keeps what npm gave it. */
async function places() {
  const output = async (command: string, args: string[]) => {
    const { stdout } = await new Deno.Command(command, { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout).trim();
  };
  const info = JSON.parse(await output(Deno.execPath(), ["info", "--json"])) as { npmCache: string };
  return {
    stdlib: await output("python3", ["-c", 'import sysconfig; print(sysconfig.get_path("stdlib"))']),
    npm: join(info.npmCache, "registry.npmjs.org"),
  };
}

/** The path with the last of the folders that `*` stands for; undefined when there is no such file. */
async function existing(path: string): Promise<string | undefined> {
  const [before, after] = path.split("/*/");
  const candidates = after === undefined
    ? [path]
    : await Array.fromAsync(Deno.readDir(before!), ({ name }) => join(before!, name, after)).catch(() => []);
  for (const candidate of candidates.sort().reverse()) {
    if (await Deno.stat(candidate).then(({ isFile }) => isFile, () => false)) return candidate;
  }
  return undefined;
}

/** Whether the script holds for the text; each in a folder of its own, as Shrink Ray does it. */
async function oracleOf(test: Case, script: string) {
  let count = 0;
  return async (text: string, signal?: AbortSignal): Promise<boolean> => {
    const folder = join(scratch, `call-${count++}`);
    await Deno.mkdir(folder);
    try {
      const path = join(folder, test.file);
      await Deno.writeTextFile(path, text);
      const child = new Deno.Command(script, {
        args: [path],
        cwd: folder,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      })
        .spawn();
      const kill = () => child.kill("SIGKILL");
      signal?.addEventListener("abort", kill);
      const { success } = await child.status;
      signal?.removeEventListener("abort", kill);
      return success;
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
}

class GaveUp extends Error {}

async function runDdmin(units: readonly string[], isInteresting: (text: string) => Promise<boolean>): Promise<Outcome> {
  const start = performance.now();
  let calls = 0;
  let size = units.join("").length;
  const ask = async (candidate: readonly string[]) => {
    if (++calls > maxCalls || performance.now() - start > maxSeconds * 1000) throw new GaveUp();
    const text = candidate.join("");
    const answer = await isInteresting(text);
    if (answer) size = Math.min(size, text.length);
    return answer;
  };
  const isDone = await ddmin(units, ask, (candidate) => candidate.join("")).then(() => true, (error) => {
    if (error instanceof GaveUp) return false;
    throw error;
  });
  return { size, calls, seconds: (performance.now() - start) / 1000, isCut: !isDone };
}

async function runOurs(test: Case, text: string, isInteresting: Oracle): Promise<Ours> {
  const start = performance.now();
  const history: { readonly size: number; readonly calls: number }[] = [];
  const { parts, size, calls, passes, minimalBy } = await reduce([{ kind: "text", name: test.file, text }], {
    isInteresting: ([part], { signal }) => isInteresting((part as { text: string }).text, signal),
    parallel: PARALLEL,
    keep: [],
    signal: new AbortController().signal,
    onProgress: ({ size, calls }) => void history.push({ size, calls }),
  });
  const seconds = (performance.now() - start) / 1000;
  const note = `${minimalBy}; ${passes.map(({ pass, calls, removed }) => `${pass} ${calls} -${removed}`).join(", ")}`;
  return { size, calls, seconds, isCut: false, note, history, text: (parts[0] as { text: string }).text };
}

async function runShrinkray(test: Case, text: string, script: string): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ dir: scratch });
  const path = join(folder, test.file);
  const count = join(folder, "count");
  await Deno.writeTextFile(path, text);
  const counting = join(folder, "counting");
  await Deno.writeTextFile(counting, `#!/bin/sh\nprintf . >>'${count}'\nexec '${script}' "$1"\n`, { mode: 0o755 });
  const start = performance.now();
  const startedAt = Date.now();
  const child = new Deno.Command(join(root, ".cache/bench/shrinkray/bin/shrinkray"), {
    args: [
      "--parallelism",
      `${PARALLEL}`,
      "--input-type",
      "arg",
      "--ui",
      "basic",
      "--volume",
      "quiet",
      "--seed",
      "0",
      "--trivial-is-not-error",
      // It would download a model of some gigabytes.
      "--no-llm",
      "--formatter",
      "none",
      counting,
      path,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    cwd: folder,
  }).spawn();
  let isCut = false;
  const timer = setTimeout(() => {
    isCut = true;
    child.kill("SIGINT");
  }, maxSeconds * 1000);
  await child.status;
  clearTimeout(timer);
  const seconds = (performance.now() - start) / 1000;
  const rest = await Deno.readTextFile(path);
  const { mtime } = await Deno.stat(path);
  const settled = ((mtime!.getTime() - startedAt) / 1000).toFixed(1);
  return {
    size: rest.length,
    calls: (await Deno.stat(count)).size,
    seconds,
    isCut,
    note: `${JSON.stringify(rest.slice(0, 400))}\n    no smaller after ${settled} seconds`,
  };
}

type Oracle = Awaited<ReturnType<typeof oracleOf>>;

function cells({ size, calls, seconds, isCut }: Outcome, ours: Ours): Record<string, string> {
  const cut = isCut ? " (gave up)" : "";
  const asSmall = ours.history.find((step) => step.size <= size)?.calls ?? Infinity;
  return {
    size: `${size} (${(ours.size / Math.max(size, 1)).toFixed(2)})`,
    calls: `${calls}${cut} (${(ours.calls / calls).toFixed(2)}, as small after ${asSmall})`,
    seconds: `${seconds.toFixed(1)} (${(ours.seconds / seconds).toFixed(2)})`,
  };
}

if (peers.includes("shrinkray")) {
  const { success } = await new Deno.Command(`${root}bench/fetch_shrinkray.sh`, { stdout: "null", stderr: "null" })
    .output();
  if (!success) {
    row("no peer: Shrink Ray cannot be installed", {});
    peers.splice(peers.indexOf("shrinkray"), 1);
  }
}
for (const test of casesOf(await places())) {
  if (Deno.args.length > 0 && !Deno.args.some((part) => test.name.includes(part))) continue;
  const path = await existing(test.path);
  if (path === undefined) {
    row(test.name, { missing: basename(test.path) });
    continue;
  }
  const text = await Deno.readTextFile(path);
  const script = join(scratch, "script");
  await Deno.writeTextFile(script, `#!/bin/sh\n${test.script}\n`, { mode: 0o755 });
  const oracle = await oracleOf(test, script);
  if (!await oracle(text)) {
    row(test.name, { skipped: "its program does not show it here" });
    continue;
  }
  const ours = await runOurs(test, text, oracle);
  row(test.name, { start: `${text.length}` });
  row("  gocore", cells(ours, ours));
  console.log(`    ${JSON.stringify(ours.text.slice(0, 400))}\n    ${ours.note}`);
  if (peers.includes("ddmin-lines")) row("  ddmin, lines", cells(await runDdmin(text.split(/(?<=\n)/), oracle), ours));
  if (peers.includes("ddmin-characters")) row("  ddmin, characters", cells(await runDdmin([...text], oracle), ours));
  if (peers.includes("shrinkray")) {
    const outcome = await runShrinkray(test, text, script);
    row("  Shrink Ray", cells(outcome, ours));
    console.log(`    ${outcome.note}`);
  }
}
