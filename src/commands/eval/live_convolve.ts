/** The live evaluation: NumPy is built with the bug, an agent mends it, its patch is checked, built and asked again. */
import { dirname, join, resolve } from "node:path";
import { Failure } from "../../failure.ts";
import { readGatewaySettings } from "../../gateway/read_settings.ts";
import { openRepository } from "../../git/open_repository.ts";
import { checkOutStandalone } from "../../git/standalone_checkout.ts";
import { findProgram } from "../../process/find_program.ts";
import { openSandbox } from "../../process/sandbox.ts";
import { runCommand } from "../../process/spawn.ts";
import { createPythonEnvironment, type PythonEnvironment } from "../manager/places/python_environment.ts";
import { checkAgents, chooseModels } from "../orchestrate/preflight.ts";
import { readOptions } from "../orchestrate/read_options.ts";
import { selfProgram } from "../orchestrate/self_program.ts";
import { homeToHide, inheritedEnvironment, programPlaces } from "../worker_place.ts";
import { askConvolve, type OracleRecord } from "./convolve_oracle.ts";
import { type Evaluation, missingCommit, type Outcome, TARGET_FILE } from "./evaluation.ts";

/** `candidate_patch_validation.json`. */
interface PatchValidation {
  readonly valid: boolean;
  readonly non_empty: boolean;
  readonly touches_target: boolean;
  readonly applies: boolean;
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

const COMPILERS: readonly (readonly [what: string, names: readonly string[]])[] = [
  ["a C compiler", ["cc", "gcc", "clang"]],
  ["a C++ compiler", ["c++", "g++", "clang++"]],
];
const NO_NETWORK =
  /name resolution|Could not resolve host|Network is unreachable|Failed to establish a new connection|ProxyError|Max retries exceeded|unable to access 'https?:|No matching distribution found|Could not fetch URL/;
const MAX_PATCH_BYTES = 4 * 1024 * 1024;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const MAX_REASON_CHARACTERS = 500;

/** Ends in `max_runtime_sec`, and leaves nothing but artifacts. */
export async function fixWithAgent(evaluation: Evaluation): Promise<Outcome> {
  const { flags: { maxRuntimeSec }, folder, io } = evaluation;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("The time is over")), maxRuntimeSec * 1000);
  const work = join(folder, "work");
  const signal = AbortSignal.any([io.signal, late.signal]);
  try {
    await Deno.mkdir(join(work, "tmp"), { recursive: true });
    return await new LiveConvolve(evaluation, { work, signal }).run();
  } catch (error) {
    if (error instanceof CannotBuild) return { status: error.status, reason: error.message };
    if (!late.signal.aborted || io.signal.aborted) throw error;
    return { status: "failed", reason: `It took more than ${maxRuntimeSec} s` };
  } finally {
    clearTimeout(timer);
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}

class CannotBuild extends Error {
  constructor(readonly status: "failed" | "skipped", message: string) {
    super(message);
  }
}

class LiveConvolve {
  readonly #env: Readonly<Record<string, string>>;
  readonly #work: string;
  readonly #signal: AbortSignal;
  /** By what is built in it. */
  readonly #environments = new Map<string, Promise<PythonEnvironment | undefined>>();

  constructor(
    private readonly evaluation: Evaluation,
    { work, signal }: { readonly work: string; readonly signal: AbortSignal },
  ) {
    const { PYTHONPATH: _path, PYTHONHOME: _home, VIRTUAL_ENV: _venv, ...env } = inheritedEnvironment(
      evaluation.io.env,
      [],
    );
    this.#env = { ...env, PIP_NO_INPUT: "1", PYTHONNOUSERSITE: "1" };
    this.#work = work;
    this.#signal = signal;
  }

  async run(): Promise<Outcome> {
    const { progress, keep, say, bug, fix } = this.evaluation;
    const missing = await this.#missing();
    // What was asked when it was interrupted may have been called missing.
    this.#signal.throwIfAborted();
    if (missing.length > 0 || bug === undefined || fix === undefined) {
      return { status: "skipped", reason: `Missing: ${missing.join("; ")}` };
    }
    await say(`Building NumPy with the bug (${bug.slice(0, 10)})`);
    const before = await this.#ask("before", bug);
    progress.before = before.verdict;
    await keep("before_oracle.json", before);
    if (before.verdict !== "bug_present") return { status: "failed", reason: before.detail };

    await say("An agent mends it");
    const problem = await this.#mend(bug);
    if (problem !== undefined) return { status: "failed", reason: problem };

    await say("Building NumPy with its patch");
    const after = await this.#ask("after", bug, progress.candidatePatch!);
    progress.after = after.verdict;
    await keep("after_oracle.json", after);
    if (after.verdict !== "fixed") return { status: "failed", reason: `With the patch: ${after.detail}` };

    await say(`Building NumPy with the reference fix (${fix.slice(0, 10)})`);
    const reference = await this.#ask("reference", fix);
    progress.reference = reference.verdict;
    await keep("reference_oracle.json", reference);
    if (reference.verdict !== "fixed") {
      return { status: "failed", reason: `With the reference fix: ${reference.detail}` };
    }
    return { status: "passed", reason: `${before.detail}; with the patch: ${after.detail}` };
  }

  /** Everything that is needed and not here, in words; looked for before anything is built. */
  async #missing(): Promise<string[]> {
    const { flags, bug, fix, history, io: { env, cwd } } = this.evaluation;
    const missing = Object.entries({ [flags.bugCommit]: bug, [flags.referenceFixCommit]: fix })
      .flatMap(([ref, commit]) => commit === undefined ? [missingCommit(ref, this.evaluation)] : []);
    const environment = await this.#environment("before");
    if (!`${environment?.version}.`.startsWith(`${flags.pythonVersion}.`)) {
      const found = environment?.version ?? "none that makes environments";
      missing.push(`Python ${flags.pythonVersion} (found ${found}; \`uv\` would get it)`);
    }
    const isCompiled = bug !== undefined && await history.readFileAt(bug, "meson.build") !== undefined;
    for (const [what, names] of isCompiled ? COMPILERS : []) {
      if (!names.some((name) => findProgram(name, env.PATH ?? "", cwd))) missing.push(`${what} (${names.join(", ")})`);
    }
    missing.push(...await this.#missingAgent());
    return missing;
  }

  /** Who mends it, if nobody was named: the seed's agent, else our own. */
  get #agents(): string {
    return this.evaluation.flags.agent ?? "codex,mini";
  }

  async #missingAgent(): Promise<string[]> {
    const { flags, repository, io: { env, cwd } } = this.evaluation;
    const asked = { ...this.#agentFlags(), task: "mend", target: repository.root, agents: this.#agents };
    const { options } = await readOptions({ env, cwd, flags: asked });
    const gateway = await readGatewaySettings({ env, cwd, flags: { ...options.gateway, port: 0, requireKey: true } });
    const equipped = { ...options, models: chooseModels(options.models, gateway) };
    try {
      await checkAgents(equipped, { gateway, env, signal: this.#signal });
      return [];
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === "usage") throw error;
      return [`an agent${flags.agent === undefined ? " (codex or mini)" : ""}: ${error.hints.join("; ")}`];
    }
  }

  #agentFlags() {
    const { model, config, gatewayConfig, budget } = this.evaluation.flags;
    return { model: model && [...model], config, gatewayConfig, budget };
  }

  async #checkOut(name: string, commit: string): Promise<string> {
    const path = join(this.#work, name);
    const { repository, io: { env } } = this.evaluation;
    await checkOutStandalone(repository, { path, commit, ignored: [], env, run: runCommand, signal: this.#signal });
    return path;
  }

  /** Undefined when there is no Python that can make one. */
  #environment(name: string): Promise<PythonEnvironment | undefined> {
    const environment = this.#environments.get(name) ?? createPythonEnvironment(join(this.#work, `${name}-venv`), {
      version: this.evaluation.flags.pythonVersion,
      env: this.#env,
      run: runCommand,
      timeoutMs: Infinity,
      signal: this.#signal,
    });
    this.#environments.set(name, environment);
    return environment;
  }

  /** Builds a commit, with a patch on it, and asks it. */
  async #ask(name: string, commit: string, patch?: string): Promise<OracleRecord> {
    const { io: { env }, history } = this.evaluation;
    const path = await this.#checkOut(name, commit);
    if (patch !== undefined && !await this.#apply(path, patch)) {
      throw new CannotBuild("failed", "The patch does not apply");
    }
    const environment = await this.#environment(name);
    this.#signal.throwIfAborted();
    if (environment === undefined) throw new CannotBuild("failed", "A Python environment cannot be made any more");
    const python = join(this.#work, `${name}-venv/bin/python`);
    const readable = [...environment.bases, ...pipSettings(env), join(this.evaluation.repository.commonDir, "objects")];
    const steps: [string, ...string[]][] = [];
    if (await history.readFileAt(commit, ".gitmodules") !== undefined) {
      steps.push(["git", "submodule", "update", "--quiet", "--init", "--recursive", "--depth", "1"]);
    }
    steps.push([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "."]);
    for (const step of steps) await this.#build(step, { name, path, readable });
    return await askConvolve({
      ...{ python, readable: [...readable, this.#work], source: undefined, commit },
      ...{ folder: join(this.#work, `${name}-oracle`), env, signal: this.#signal },
    });
  }

  async #build(
    argv: readonly [string, ...string[]],
    { name, path, readable }: { readonly name: string; readonly path: string; readonly readable: readonly string[] },
  ): Promise<void> {
    const { io: { env }, keep } = this.evaluation;
    const sandbox = await openSandbox({
      mode: "prefer",
      writable: [this.#work],
      readable: [...readable, ...programPlaces(env, { program: [argv[0]], version: "" })],
      protected: [],
      network: true,
      hideHome: homeToHide(env),
    }, { cwd: path, path: env.PATH, program: argv[0] });
    const end = await runCommand(sandbox.wrap(argv), {
      cwd: path,
      env: { ...this.#env, TMPDIR: join(this.#work, "tmp") },
      timeoutMs: Infinity,
      signal: this.#signal,
      maxOutputBytes: MAX_OUTPUT_BYTES,
    });
    this.#signal.throwIfAborted();
    await keep(`build_${name}.log`, `$ ${argv.join(" ")}\n${end.output}`);
    if (end.exitCode === 0) return;
    const said = (end.failure ?? end.output.trim()).slice(-MAX_REASON_CHARACTERS);
    if (NO_NETWORK.test(end.output)) throw new CannotBuild("skipped", `Missing: a network to build NumPy: ${said}`);
    throw new CannotBuild("failed", `\`${argv.slice(0, 4).join(" ")}\` ended with ${end.exitCode}: ${said}`);
  }

  /** Lets an agent work in a checkout of its own, and keeps what it did. Returns what is wrong with that. */
  async #mend(bug: string): Promise<string | undefined> {
    const { keep, progress, io: { env } } = this.evaluation;
    const path = await this.#checkOut("candidate", bug);
    await this.#makeSelfContained(path, bug);
    progress.agentInvoked = true;
    const { output, exitCode } = await this.#runAgent(path);
    await keep("codex_output.txt", output);
    this.#signal.throwIfAborted();
    const checkout = await openRepository(path, { env, run: runCommand, signal: this.#signal });
    // Without its own `.git`, the folder would belong to whatever repository lies around it.
    if (checkout?.root !== path) return "The agent has destroyed its checkout";
    const commit = await checkout.snapshot("Candidate");
    const { files, diff, isCut } = await checkout.changesBetween(bug, commit, { maxBytes: MAX_PATCH_BYTES });
    progress.candidatePatch = await keep("candidate.patch", diff);
    const clean = await this.#checkOut("validation", bug);
    const applies = diff !== "" && !isCut && await this.#apply(clean, progress.candidatePatch, "--check");
    const touches = files.some((file) => file.path === TARGET_FILE);
    const problems = [
      ...(diff === "" ? [`The agent changed nothing (it ended with ${exitCode})`] : []),
      ...(isCut ? [`The patch has more than ${MAX_PATCH_BYTES} bytes`] : []),
      ...(diff !== "" && !touches ? [`The patch does not touch ${TARGET_FILE}`] : []),
      ...(diff !== "" && !applies ? ["The patch does not apply"] : []),
    ];
    const validation: PatchValidation = {
      valid: problems.length === 0,
      non_empty: diff !== "",
      touches_target: touches,
      applies,
      files: files.map((file) => file.path),
      problems,
    };
    await keep("candidate_patch_validation.json", validation);
    return problems[0];
  }

  /** As a session of one agent, which has the gateway, the sandbox and the supervision of every session. */
  async #runAgent(target: string): Promise<{ readonly output: string; readonly exitCode: number | null }> {
    const { flags, io: { env, cwd } } = this.evaluation;
    const { model = [], config, gatewayConfig, budget } = this.#agentFlags();
    const agents = this.#agents;
    const plan = join(this.#work, "plan.json");
    const assignment = { id: "mend", title: "Mend numpy.convolve", prompt: promptFor(flags.issueUrl), agent: null };
    await Deno.writeTextFile(plan, JSON.stringify({ assignments: [assignment] }));
    const [program, ...self] = selfProgram().program;
    const given = Object.entries({ config, "gateway-config": gatewayConfig, budget })
      .flatMap(([name, value]) =>
        value === undefined ? [] : [`--${name}`, name === "budget" ? String(value) : resolve(cwd, String(value))]
      );
    return await runCommand([
      program!,
      ...self,
      ...["orchestrate", "--target", target, "--workspace", join(this.#work, "agent"), "--plan", plan],
      ...["--agents", agents, "--shared", "--no-reviews", "--no-dashboard", "--json"],
      ...model.flatMap((one) => ["--model", one]),
      ...given,
      ...["--task", "Mend numpy.convolve"],
    ], {
      cwd: dirname(target),
      // The session's gateway needs the keys; its agents never get them.
      env: { ...env },
      timeoutMs: Infinity,
      signal: this.#signal,
      graceMs: 20_000,
      maxOutputBytes: MAX_OUTPUT_BYTES,
    });
  }

  async #apply(path: string, patch: string, ...options: readonly string[]): Promise<boolean> {
    return await this.#git(path, ["apply", "--whitespace=nowarn", ...options, "--", patch]) === 0;
  }

  /** A checkout that needs no other: the agent's sandbox may hide where its objects come from. */
  async #makeSelfContained(path: string, commit: string): Promise<void> {
    const own = join(path, ".git");
    await Deno.writeTextFile(join(own, "shallow"), `${commit}\n`);
    await Deno.remove(join(own, "packed-refs")).catch(() => {});
    const exitCode = await this.#git(path, ["repack", "-a", "-d", "-q"]);
    if (exitCode !== 0) throw new Error(`Cannot copy the commit ${commit}: \`git repack\` ended with ${exitCode}`);
    await Deno.remove(join(own, "objects/info/alternates"));
  }

  /** In a checkout of ours, which has no settings. */
  async #git(path: string, args: readonly string[]): Promise<number | null> {
    const env = { PATH: this.#env.PATH ?? "", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" };
    const end = await runCommand(["git", ...args], { cwd: path, env, timeoutMs: Infinity, signal: this.#signal });
    this.#signal.throwIfAborted();
    return end.exitCode;
  }
}

/** Where pip is told which index to use. */
function pipSettings({ HOME: home = "" }: Readonly<Record<string, string>>): string[] {
  const places = home === "" ? [] : [join(home, ".config/pip"), join(home, ".pip")];
  return places.filter((path) => {
    try {
      return Deno.statSync(path).isDirectory;
    } catch {
      return false;
    }
  });
}

function promptFor(issueUrl: string): string {
  return `This is a checkout of NumPy with a bug (${issueUrl}).

\`np.convolve(np.array([]), np.array([1, 2]))\` raises "v cannot be empty", although it is \`a\` that is empty: the
arguments are swapped before they are checked. Each message has to name the argument as the caller passed it; everything
else has to stay as it is.

Mend it in ${TARGET_FILE}, with as few changes as possible, and add a regression test to
numpy/_core/tests/test_numeric.py. NumPy is not built here, and does not have to be: read the code, and change it.`;
}
