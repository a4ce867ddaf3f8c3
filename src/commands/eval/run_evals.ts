/** Runs the manager on issues whose outcomes are known, one after another, and compares. */
import { join, resolve } from "node:path";
import * as z from "zod/mini";
import { Failure } from "../../failure.ts";
import { runCommand } from "../../process/spawn.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { readRun } from "../manager/run_folder.ts";
import { selfProgram } from "../orchestrate/self_program.ts";
import { textTable, usdText } from "../orchestrate/text_table.ts";
import { type EvalCase, readEvalFile } from "./eval_file.ts";
import { newRunFolder } from "./new_run_folder.ts";

export interface EvalsFlags {
  readonly file: string;
  /** Where the folder of this evaluation is made, and the runs in it. */
  readonly runsRoot: string;
  readonly json: boolean;
  /** Passed on to each `gocore manager`. */
  readonly managerArguments: readonly string[];
}

/** What became of one issue. */
export interface EvalResult {
  readonly name: string;
  readonly run_id: string;
  readonly status: string;
  /** `none`: no candidate was judged. */
  readonly verdict: string;
  readonly reproduced: boolean;
  /** The verdict is another one than it should be. */
  readonly false_verdict: boolean;
  /** What is not as it should be, in words. */
  readonly problems: readonly string[];
  /** Of the reproducer, in bytes; null: there is none. */
  readonly size: number | null;
  /** How often a reproducer was run. */
  readonly calls: number;
  readonly model_calls: number;
  /** USD; null: unknown. */
  readonly cost_usd: number | null;
  readonly seconds: number;
  readonly exit_code: number | null;
}

const EXIT_USAGE = 2;
const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** For the manager to save what it has, and to end its workers. */
const GRACE_MS = 60_000;

const decisionFile = z.looseObject({
  status: z.string(),
  verdict: z.nullish(z.string()),
  next_fix_targets: z._default(z.array(z.string()), []),
  repro: z.nullish(z.looseObject({ path: z.string() })),
  cost_usd: z.nullish(z.number()),
  metrics: z.optional(z.looseObject({
    tokens: z.optional(z.looseObject({ total: z.optional(z.looseObject({ turns: z.number() })) })),
  })),
});
type Decision = z.infer<typeof decisionFile>;

/** Returns 0 when every outcome is as expected. Throws a `Failure` when the manager does not know its flags. */
export async function runEvals(flags: EvalsFlags, io: Io): Promise<number> {
  const cases = await readEvalFile(resolve(io.cwd, flags.file));
  const folder = await newRunFolder(resolve(io.cwd, flags.runsRoot), { prefix: "eval", now: io.now() });
  const say = async (line: string) => flags.json ? undefined : await io.stdout.write(`${escapeTerminal(line)}\n`);
  const results: EvalResult[] = [];
  for (const [i, one] of cases.entries()) {
    io.signal.throwIfAborted();
    await say(`[${i + 1}/${cases.length}] ${one.name}`);
    const result = await runCase(one, { runId: `${folder.split("/").at(-1)}-${i + 1}`, folder, flags, io });
    results.push(result);
    await say(`  ${result.problems.length === 0 ? "as expected" : result.problems.join("; ")}`);
    await writeFileAtomic(
      join(folder, "summary.json"),
      JSON.stringify(summaryOf(folder, cases, results), null, 2) + "\n",
    );
  }
  const summary = summaryOf(folder, cases, results);
  if (flags.json) await io.stdout.write(JSON.stringify(summary) + "\n");
  else await say(describe(summary));
  return summary.unexpected === 0 ? 0 : 1;
}

async function runCase(
  one: EvalCase,
  { runId, folder, flags, io }: { runId: string; folder: string; flags: EvalsFlags; io: Io },
): Promise<EvalResult> {
  const [program, ...self] = selfProgram().program;
  const { issue, repoPath, ref } = one;
  const end = await runCommand([
    program!,
    ...self,
    "manager",
    ...["--run-id", runId, "--runs-root", folder, "--repo-path", repoPath],
    ...(issue.kind === "url" ? ["--issue-url", issue.url] : ["--issue-file", issue.path]),
    ...(ref === undefined ? [] : ["--ref", ref]),
    ...flags.managerArguments,
  ], {
    cwd: io.cwd,
    // The manager's gateway needs the keys.
    env: io.env,
    timeoutMs: Infinity,
    signal: io.signal,
    graceMs: GRACE_MS,
    maxOutputBytes: MAX_LOG_BYTES,
  });
  await writeFileAtomic(join(folder, `${runId}.log`), end.output);
  io.signal.throwIfAborted();
  const lastWords = end.failure ?? end.output.trim().slice(-1000);
  if (end.exitCode === EXIT_USAGE) {
    throw new Failure("usage", `Cannot evaluate "${one.name}": \`gocore manager\` refused it: ${lastWords}`, {
      hints: ["`gocore manager --help` explains the flags that stand after FILE"],
    });
  }
  const runFolder = join(folder, runId);
  const decision = await readDecision(runFolder);
  const state = await readRun(runFolder).then((read) => read.state, () => undefined);
  const size = decision?.repro ? await sizeOf(join(runFolder, decision.repro.path)) : null;
  const verdict = decision?.verdict ?? "none";
  const crash = decision === undefined
    ? [`The run left no decision: ${lastWords || `it ended with ${end.exitCode}`}`]
    : [];
  const found = { status: decision?.status ?? "failed", verdict, target: decision?.next_fix_targets[0], size };
  return {
    name: one.name,
    run_id: runId,
    status: found.status,
    verdict,
    reproduced: verdict === "reproduced",
    false_verdict: one.expect.verdict !== undefined && one.expect.verdict !== verdict,
    problems: [...crash, ...compare(one.expect, found)],
    size,
    calls: (state?.runs.length ?? 0) + (state?.minimized?.calls ?? 0),
    model_calls: decision?.metrics?.tokens?.total?.turns ?? 0,
    cost_usd: decision?.cost_usd ?? null,
    seconds: Math.round(end.durationMs / 100) / 10,
    exit_code: end.exitCode,
  };
}

interface Found {
  readonly status: string;
  readonly verdict: string;
  /** `file:line`. */
  readonly target: string | undefined;
  readonly size: number | null;
}

/** What is not as expected, in words. */
export function compare(expect: EvalCase["expect"], found: Found): string[] {
  const problems: string[] = [];
  const differ = (what: string, wanted: unknown, got: unknown) =>
    void (wanted !== undefined && wanted !== got && problems.push(`${what} is ${got ?? "missing"}, not ${wanted}`));
  differ("verdict", expect.verdict, found.verdict);
  differ("status", expect.status, found.status);
  const colon = found.target?.lastIndexOf(":") ?? -1;
  const [file, line] = found.target === undefined
    ? []
    : [found.target.slice(0, colon), Number(found.target.slice(colon + 1))];
  differ("the file to mend", expect.file, file);
  differ("the line to mend", expect.line, line);
  if (expect.max_size !== undefined && (found.size === null || found.size > expect.max_size)) {
    problems.push(`the reproducer has ${found.size ?? "no"} bytes, not at most ${expect.max_size}`);
  }
  return problems;
}

async function readDecision(runFolder: string): Promise<Decision | undefined> {
  try {
    const { data } = decisionFile.safeParse(JSON.parse(await Deno.readTextFile(join(runFolder, "decision.json"))));
    return data?.status === "running" ? undefined : data;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): Promise<number | null> {
  return Deno.stat(path).then(({ size }) => size, () => null);
}

function summaryOf(folder: string, cases: readonly EvalCase[], results: readonly EvalResult[]) {
  const costs = results.map(({ cost_usd }) => cost_usd);
  return {
    folder,
    issues: cases.length,
    done: results.length,
    reproduced: results.filter(({ reproduced }) => reproduced).length,
    false_verdicts: results.filter(({ false_verdict }) => false_verdict).length,
    unexpected: results.filter(({ problems }) => problems.length > 0).length,
    calls: results.reduce((sum, { calls }) => sum + calls, 0),
    model_calls: results.reduce((sum, { model_calls }) => sum + model_calls, 0),
    /** Null: a part of it is unknown. */
    cost_usd: costs.includes(null) ? null : costs.reduce<number>((sum, cost) => sum + (cost ?? 0), 0),
    seconds: Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) * 10) / 10,
    results,
  };
}

function describe(summary: ReturnType<typeof summaryOf>): string {
  const heads = ["issue", "status", "verdict", "false", "size", "calls", "model calls", "cost", "time", "as expected"];
  const rows = summary.results.map((one) => [
    one.name.length > 40 ? `…${one.name.slice(-39)}` : one.name,
    one.status,
    one.verdict,
    one.false_verdict ? "FALSE" : "",
    one.size === null ? "" : `${one.size}`,
    `${one.calls}`,
    `${one.model_calls}`,
    usdText(one.cost_usd),
    `${one.seconds} s`,
    one.problems.length === 0 ? "yes" : "NO",
  ]);
  return [
    "",
    ...textTable([heads, ...rows]),
    "",
    `${summary.reproduced} of ${summary.issues} reproduced, ${summary.false_verdicts} false verdicts, ` +
    `${summary.unexpected} not as expected; ${summary.calls} calls, ${summary.model_calls} model calls, ` +
    `cost ${usdText(summary.cost_usd)}, ${summary.seconds} s`,
    `Summary: ${join(summary.folder, "summary.json")}`,
  ].join("\n");
}
