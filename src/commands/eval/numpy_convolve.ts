/** `gocore eval numpy-convolve`: a real bug of NumPy, its oracle, and (live) an agent's fix, with everything kept. */
import { join, resolve } from "node:path";
import { VERSION } from "../../config/version.ts";
import { Failure } from "../../failure.ts";
import { openHistory } from "../../git/history.ts";
import { openRepository } from "../../git/open_repository.ts";
import { findProgram } from "../../process/find_program.ts";
import { runCommand } from "../../process/spawn.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { Io } from "../../terminal/io.ts";
import { programPlaces } from "../worker_place.ts";
import { askConvolve, type OracleRecord } from "./convolve_oracle.ts";
import { type ConvolveFlags, type Evaluation, missingCommit, type Outcome, TARGET_FILE } from "./evaluation.ts";
import { newRunFolder } from "./new_run_folder.ts";

/** Nobody could look: neither passed nor failed (EX_TEMPFAIL). */
const EXIT_SKIPPED = 75;

export async function evalNumpyConvolve(flags: ConvolveFlags, io: Io): Promise<number> {
  const target = resolve(io.cwd, flags.numpyRepoPath);
  const opening = { env: io.env, run: runCommand, signal: io.signal };
  const isFolder = await Deno.stat(target).then(({ isDirectory }) => isDirectory, () => false);
  const repository = isFolder ? await openRepository(target, opening) : undefined;
  if (repository === undefined) {
    const found = isFolder ? `no git repository in "${target}"` : `no folder "${target}"`;
    throw new Failure("usage", `Cannot use --numpy-repo-path: need a clone of NumPy, found ${found}`, {
      hints: [`Make one: \`git clone https://github.com/numpy/numpy${isFolder ? "" : ` ${shellWord(target)}`}\``],
    });
  }
  const history = await openHistory(repository, opening);
  const [bug, fix] = await Promise.all([flags.bugCommit, flags.referenceFixCommit].map((ref) => history.resolve(ref)));
  const folder = await newRunFolder(resolve(io.cwd, flags.runsRoot), { prefix: "numpy-convolve-eval", now: io.now() });
  const keep = async (name: string, content: string | object) => {
    const path = join(folder, name);
    await writeFileAtomic(path, typeof content === "string" ? content : JSON.stringify(content, null, 2) + "\n");
    return path;
  };
  await keep("metadata.json", {
    eval: "numpy-convolve",
    mode: flags.mode,
    issue_url: flags.issueUrl,
    numpy_repo_path: repository.root,
    bug_commit: bug ?? flags.bugCommit,
    reference_fix_commit: fix ?? flags.referenceFixCommit,
    python_version: flags.pythonVersion,
    max_runtime_sec: flags.maxRuntimeSec,
    agent: flags.agent ?? null,
    gocore_version: VERSION,
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    started_at: new Date(io.now()).toISOString(),
  });
  const evaluation: Evaluation = {
    ...{ flags, io, repository, history, bug, fix, folder, keep },
    progress: { before: null, after: null, reference: null, agentInvoked: false, candidatePatch: null },
    say: async (line) => flags.json ? undefined : await io.stdout.write(`${escapeTerminal(line)}\n`),
  };
  try {
    return await finish(evaluation, await (flags.mode === "offline" ? runOffline(evaluation) : runLive(evaluation)));
  } catch (error) {
    await finish(evaluation, { status: "failed", reason: io.signal.aborted ? "It was interrupted" : String(error) });
    throw io.signal.aborted ? io.signal.reason : error;
  }
}

/** The source of `convolve` alone, because numpy cannot be built without a network. */
async function runOffline(evaluation: Evaluation): Promise<Outcome> {
  const { io: { env, cwd, signal }, history, bug, fix, folder, progress, keep } = evaluation;
  const found = findProgram("python3", env.PATH ?? "", cwd);
  // A shim of a version manager does not work with another home.
  const python = found && await interpreterOf(found, evaluation);
  signal.throwIfAborted();
  const missing = [
    ...(python === undefined ? ["python3"] : []),
    ...(bug === undefined ? [missingCommit(evaluation.flags.bugCommit, evaluation)] : []),
  ];
  if (python === undefined || bug === undefined) return { status: "skipped", reason: `Missing: ${missing.join(", ")}` };
  const ask = async (commit: string): Promise<OracleRecord> => {
    const source = await history.readFileAt(commit, TARGET_FILE);
    const scratch = join(folder, "work");
    try {
      // Without the file, the oracle says that there is no function.
      const options = { python, readable: programPlaces(env, { program: [python], version: "" }), folder: scratch };
      return await askConvolve({ ...options, source: source ?? "", commit, env, signal });
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
  };
  const before = await ask(bug);
  progress.before = before.verdict;
  await keep("before_oracle.json", before);
  if (before.verdict !== "bug_present") return { status: "failed", reason: before.detail };
  if (fix === undefined) {
    return { status: "passed", reason: `${before.detail}; the fix is not in the repository, and was not tried` };
  }
  const reference = await ask(fix);
  progress.reference = reference.verdict;
  await keep("reference_oracle.json", reference);
  if (reference.verdict !== "fixed") return { status: "failed", reason: `With the fix: ${reference.detail}` };
  return { status: "passed", reason: `${before.detail}; with the fix: ${reference.detail}` };
}

async function interpreterOf(program: string, { io: { env, cwd, signal } }: Evaluation): Promise<string | undefined> {
  const options = { cwd, env, timeoutMs: 30_000, signal, stderr: "separate" } as const;
  const { exitCode, output } = await runCommand([program, "-I", "-c", "import sys; print(sys.executable)"], options);
  return exitCode === 0 && output.startsWith("/") ? output.trim() : undefined;
}

async function runLive(evaluation: Evaluation): Promise<Outcome> {
  const { fixWithAgent } = await import("./live_convolve.ts");
  return await fixWithAgent(evaluation);
}

async function finish(evaluation: Evaluation, { status, reason }: Outcome): Promise<number> {
  const { flags, io, folder, progress, keep, say } = evaluation;
  const { before, after } = progress;
  const summary = {
    status,
    before_oracle: before === null ? "not_run" : before === "bug_present" ? "bug_present" : "unexpected",
    after_oracle: after === null ? "not_run" : after === "fixed" ? "fixed" : "not_fixed",
    reference_oracle: progress.reference ?? "not_run",
    codex_invoked: progress.agentInvoked,
    skip_reason: status === "skipped" ? reason : null,
    reason,
    artifacts_dir: folder,
    candidate_diff_path: progress.candidatePatch,
    finished_at: new Date(io.now()).toISOString(),
  };
  const path = await keep("summary.json", summary);
  if (flags.json) await io.stdout.write(JSON.stringify(summary) + "\n");
  else await say(`${status}: ${reason}\nSummary: ${path}`);
  return status === "passed" ? 0 : status === "skipped" ? EXIT_SKIPPED : 1;
}
