/** `deno task bench`: what people wait for, beside a peer in the same run. Needs dist/gocore (`deno task build`). */
import { fileURLToPath } from "node:url";
import { startLoopbackModel } from "./loopback_model.ts";
import { compare, type Measured, median, ms, type Program, ratio, row } from "./measure.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const gocore = Deno.env.get("GOCORE_BIN") ?? `${root}dist/gocore`;
const runs = Number(Deno.env.get("BENCH_RUNS") ?? 15);
const peer = await peerPath();
if (await Deno.stat(gocore).then(() => false, () => true)) {
  throw new Error(`${gocore} is missing: run \`deno task build\``);
}
const scratch = await Deno.makeTempDir({ prefix: "gocore-bench-" });

async function peerPath(): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command(`${root}bench/fetch_peer.sh`).output();
  if (success) return `${root}.cache/bench/bin/mini`;
  row("no peer: mini-swe-agent cannot be installed", { because: new TextDecoder().decode(stderr).trim().slice(-200) });
  return undefined;
}

async function workdir(): Promise<string> {
  return await Deno.makeTempDir({ dir: scratch });
}

async function ours(url: string, ...more: string[]): Promise<Program> {
  const dir = await workdir();
  const flags = ["mini", "--headless", "-t", "benchmark", "-m", "anthropic/claude-sonnet-4-20250514", "-w", dir];
  return {
    argv: [gocore, ...flags, ...more],
    env: { MINI_API_BASE: url, ANTHROPIC_API_KEY: "sk-dummy", HOME: scratch },
  };
}

async function theirs(url: string, ...more: string[]): Promise<Program> {
  const flags = ["-t", "benchmark", "-m", "anthropic/claude-sonnet-4-20250514", "-y", "--exit-immediately"];
  const dir = await workdir();
  return {
    argv: [peer!, ...flags, "-o", `${dir}/traj.json`, ...more],
    cwd: dir,
    env: {
      ANTHROPIC_API_BASE: url,
      ANTHROPIC_API_KEY: "sk-dummy",
      HOME: scratch,
      MSWEA_CONFIGURED: "true",
      MSWEA_SILENT_STARTUP: "1",
      MSWEA_GLOBAL_CONFIG_DIR: `${dir}/config`,
    },
  };
}

/** Without a peer there are our figures alone. */
async function compareWithPeer(
  mine: () => Promise<Program>,
  other: () => Promise<Program>,
): Promise<{ gocore: Measured[]; peer?: Measured[] }> {
  return await (peer === undefined ? compare({ gocore: mine }, runs) : compare({ gocore: mine, peer: other }, runs));
}

async function benchHelp(): Promise<void> {
  const help = (program: string) => () => Promise.resolve<Program>({ argv: [program, "--help"] });
  const results = await compareWithPeer(help(gocore), () => help(peer!)());
  const mine = median(results.gocore.map((run) => run.wallMs));
  const other = results.peer && median(results.peer.map((run) => run.wallMs));
  row("--help (goal 30 ms)", { gocore: ms(mine), ...(other && { peer: ms(other), ratio: ratio(mine, other) }) });
}

async function benchOneStep(): Promise<void> {
  await using model = startLoopbackModel(1);
  const results = await compareWithPeer(() => ours(model.url), () => theirs(model.url));
  const start = median(results.gocore.map((run) => run.firstByteMs));
  row("exec to the `start` event (goal 60 ms)", { gocore: ms(start) });
  for (
    const [label, figure, unit] of [["one-step run (goal 150 ms)", "wallMs", ms], [
      "peak memory of it (goal 90 MB)",
      "peakMb",
      (value: number) => `${value.toFixed(0)} MB`,
    ]] as const
  ) {
    const mine = median(results.gocore.map((run) => run[figure]));
    const other = results.peer && median(results.peer.map((run) => run[figure]));
    row(label, { gocore: unit(mine), ...(other && { peer: unit(other), ratio: ratio(mine, other) }) });
  }
}

/**
 * The time between two steps that is not the command's, early and late in a long run: what our own code adds with a
 * scripted model, and with a provider also what building, sending and answering the growing request costs.
 */
async function benchSteps(): Promise<void> {
  const steps = 500;
  const replies = `${scratch}/steps.yaml`;
  await Deno.writeTextFile(
    replies,
    JSON.stringify([{ commands: ["true"], repeat: steps - 1 }, {
      commands: ["echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"],
    }]),
  );
  await using model = startLoopbackModel(steps);
  const noLimits = ["-l", "0", "--step-limit", "0"];
  const results = await compare({
    "scripted model": () => ours(model.url, ...noLimits, "-m", `scripted/${replies}`),
    "loopback provider": () => ours(model.url, ...noLimits),
  }, 3);
  for (const [name, runs] of Object.entries(results)) {
    const gaps = runs.map(({ stdout }) => {
      const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
      const times = events.filter(({ type }) => type === "step").map(({ timestamp, data }) => ({
        at: Date.parse(timestamp),
        command: data.duration_seconds * 1000,
      }));
      return times.slice(1).map((step, i) => step.at - times[i]!.at - step.command);
    });
    const mean = (from: number, to: number) =>
      median(gaps.map((list) => list.slice(from, to).reduce((sum, gap) => sum + gap, 0) / (to - from)));
    const early = mean(5, 55), late = mean(steps - 52, steps - 2);
    row(`a step besides its command, ${name}`, {
      "steps 5-55": ms(early),
      "steps 450-500": ms(late),
      growth: `${(late / early).toFixed(2)}x`,
      peak: `${median(runs.map((run) => run.peakMb)).toFixed(0)} MB`,
    });
  }
}

async function benchFlood(): Promise<void> {
  const replies = `${scratch}/flood.yaml`;
  const flood = async (bytes: string): Promise<Program> => {
    await Deno.writeTextFile(
      replies,
      JSON.stringify([{ commands: [`yes | head -c ${bytes}`] }, {
        commands: ["echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"],
      }]),
    );
    return { argv: [gocore, "mini", "--headless", "-t", "x", "-m", `scripted/${replies}`, "-w", await workdir()] };
  };
  const results = await compare({ small: () => flood("5"), large: () => flood("500M") }, 3);
  const peak = (name: "small" | "large") => median(results[name].map((run) => run.peakMb));
  row("memory that `yes | head -c 500M` adds", { gocore: `${(peak("large") - peak("small")).toFixed(0)} MB` });
}

try {
  await benchHelp();
  await benchOneStep();
  await benchSteps();
  await benchFlood();
} finally {
  await Deno.remove(scratch, { recursive: true });
}
