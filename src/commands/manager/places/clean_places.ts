/** Makes clean places: checkouts of one commit in which nothing of a worker is left, for candidates to be tried in. */
import { dirname, join } from "node:path";
import { Failure } from "../../../failure.ts";
import type { Repository } from "../../../git/repository.ts";
import { checkOutStandalone } from "../../../git/standalone_checkout.ts";
import type { Candidate, CleanPlaces, Preparation } from "../../../manager/ports.ts";
import type { ManagerSettings } from "../../../manager/settings.ts";
import { type RunLimits, runLimits } from "../../../process/limited_runs.ts";
import type { SandboxRequest } from "../../../process/sandbox.ts";
import type { runCommand } from "../../../process/spawn.ts";
import { shellWord } from "../../../templates/shell_word.ts";
import { homeToHide, programPlaces } from "../../worker_place.ts";
import { Enclosure, removeTree } from "./enclosure.ts";
import { runVariables, setupVariables } from "./place_environment.ts";
import { builtFiles, isSameContent, touchedFiles } from "./project_files.ts";
import { copyTree, createPreparedPlace, withScriptPath } from "./prepared_place.ts";
import { createPythonEnvironment, type PythonEnvironment } from "./python_environment.ts";
import { needsPython, type ToolNeeds, ToolVersions } from "./tool_versions.ts";
import { compileArguments, nodeHook, pythonHook, writeWitnesses } from "./witness.ts";

export interface CleanPlacesOptions {
  readonly repository: Pick<Repository, "root" | "commonDir">;
  readonly settings: Pick<
    ManagerSettings,
    "pythonVersion" | "oracleTimeoutMs" | "setupTimeoutMs" | "allowNetwork" | "parallel"
  >;
  /** Of each command; default: a share of the machine. */
  readonly limits?: RunLimits;
  /** Of these places alone; what is there is removed. */
  readonly folder: string;
  /** What nothing that runs there may see: the run's folder, the workers' checkouts. The repository is among it anyway. */
  readonly hidden: readonly string[];
  /** The person's. */
  readonly env: Readonly<Record<string, string>>;
  readonly sandbox: SandboxRequest["mode"];
  readonly run: typeof runCommand;
  /** Ends what is not a candidate's. */
  readonly signal: AbortSignal;
}

/** Entries of a project that are looked at for its languages. */
const MAX_SURVEYED = 5000;
const OUTPUT_TAIL = 4000;
/** What we put there ourselves, so that nobody takes the checkout for changed. */
const IGNORED = ["/repro_candidate.*", "__pycache__/"];
const MAX_PACKAGES = 500;
const LIST_PACKAGES = `
import importlib.metadata as metadata
for found in metadata.distributions(): print("%s==%s" % (found.metadata["Name"], found.version))
`;

export async function createCleanPlaces(options: CleanPlacesOptions): Promise<CleanPlaces> {
  await removeTree(options.folder, options.run);
  await Deno.mkdir(options.folder, { recursive: true, mode: 0o700 });
  const folder = await Deno.realPath(options.folder);
  await Deno.mkdir(join(folder, "witness"));
  const record = join(folder, "place/record");
  await writeWitnesses(join(folder, "witness"), { record });
  const places = new Places({ ...options, folder });
  return {
    survey: (commit) => places.survey(commit),
    prepare: (candidate, request) => places.prepare(candidate, request),
    close: () => places.close(),
  };
}

/** The extension of a candidate's file, whatever was answered. */
export function safeExtension(extension: string): string {
  return /^\.?([A-Za-z0-9]{1,8})$/.exec(extension)?.[1] ?? "py";
}

class Places {
  readonly #options: CleanPlacesOptions;
  readonly #project: string;
  #enclosure: Promise<Enclosure> | undefined;
  #python: Promise<PythonEnvironment | undefined> | undefined;
  /** Of the Python environment, as it is made. */
  #packages: readonly string[] | undefined;
  readonly #tools: ToolVersions;
  readonly #limits: RunLimits;
  #count = 0;

  constructor(options: CleanPlacesOptions) {
    this.#options = options;
    this.#tools = new ToolVersions(options);
    this.#limits = options.limits ?? runLimits(options.settings.parallel);
    const name = options.repository.root.split("/").at(-1)!.replaceAll(/[^A-Za-z0-9._-]/g, "_");
    this.#project = `project/${/^\.*$/.test(name) ? "project" : name}`;
  }

  async close(): Promise<void> {
    const enclosure = await this.#enclosure?.catch(() => undefined);
    await enclosure?.close();
    await removeTree(this.#options.folder, this.#options.run);
  }

  async survey(commit: string): ReturnType<CleanPlaces["survey"]> {
    const { signal, settings } = this.#options;
    const own = this.#nextFolder();
    const tree = join(own, "tree");
    try {
      const { notes } = await this.#checkOut(tree, { commit, signal });
      const project = join(tree, this.#project);
      const needs = { files: await this.#files(tree), extensions: await extensionsIn(project), commands: [] };
      const python = needsPython(needs) ? await this.#pythonOnce() : undefined;
      const enclosure = await this.#enclosureOnce();
      return {
        tools: await this.#toolsFor(needs, python),
        sandbox: await enclosure.describe({ network: settings.allowNetwork }),
        notes: [...notes, ...await this.#notes(needs, { enclosure, python })],
      };
    } finally {
      await removeTree(own, this.#options.run);
    }
  }

  async prepare(
    candidate: Pick<Candidate, "candidate_id" | "setup_commands" | "oracle_command" | "file_extension">,
    { commit, signal }: { readonly commit: string; readonly signal: AbortSignal },
  ): Promise<Preparation> {
    const own = this.#nextFolder();
    let isReady = false;
    try {
      const preparation = await this.#prepare(candidate, { commit, signal, own });
      isReady = preparation.kind === "ready";
      return preparation;
    } catch (error) {
      if (signal.aborted || !(error instanceof Failure)) throw error;
      return { kind: "environment", reason: error.message, output: "" };
    } finally {
      if (!isReady) await removeTree(own, this.#options.run);
    }
  }

  async #prepare(
    candidate: Parameters<CleanPlaces["prepare"]>[0],
    { commit, signal, own }: { readonly commit: string; readonly signal: AbortSignal; readonly own: string },
  ): Promise<Preparation> {
    const tree = join(own, "tree");
    const { settings, env, run, folder } = this.#options;
    const extension = safeExtension(candidate.file_extension);
    const scriptName = `repro_candidate.${extension}`;
    const commands = [...candidate.setup_commands, candidate.oracle_command];
    const { notes, files } = await this.#checkOut(tree, { commit, signal });
    const needs: ToolNeeds = { files: await this.#files(tree), extensions: [extension], commands };
    const python = needsPython(needs) ? await this.#pythonOnce() : undefined;
    const enclosure = await this.#enclosureOnce();
    const variables = {
      env,
      place: enclosure.place,
      hasPython: python !== undefined,
      nodeOptions: nodeHook(join(folder, "witness"), this.#limits),
    };
    const project = join(enclosure.place, this.#project);
    const script = join(project, scriptName);
    const refuse = (command: string) => this.#refuse(command, { project, variables: runVariables(variables) });
    for (const command of commands) {
      const refusal = await refuse(withScriptPath(command, script));
      if (refusal !== undefined) return { kind: "unusable", reason: refusal, output: "" };
    }

    const since = join(own, "checked-out");
    await Deno.writeTextFile(since, "");
    // Nothing can be written to it in a run: without a setup, all have the same one.
    const isShared = enclosure.isConfined && candidate.setup_commands.length === 0;
    const venv = python && (isShared ? join(folder, "venv") : join(own, "venv"));
    const shown = (isWritable: boolean) => venv === undefined ? undefined : { path: venv, isWritable };
    if (venv !== undefined && !isShared) await copyTree(join(folder, "venv"), venv, { run, signal });
    for (const [index, command] of candidate.setup_commands.entries()) {
      const end = await enclosure.run({ kind: "folder", path: tree }, {
        command: withScriptPath(command, script),
        cwd: this.#project,
        env: setupVariables(variables),
        venv: shown(true),
        network: true,
        timeoutMs: settings.setupTimeoutMs,
        signal,
      });
      if (end.exitCode === 0) continue;
      const what = end.endedBy === "timeout"
        ? `took more than ${settings.setupTimeoutMs / 1000} s`
        : end.limit !== undefined
        ? `was ended by its limit of ${end.limit}`
        : `ended with ${end.exitCode ?? end.signalName}`;
      return {
        kind: "environment",
        reason: `Setup command ${index + 1} ${what}: ${command.slice(0, 200)}`,
        output: `${end.output}${end.stderr ?? ""}`.slice(-OUTPUT_TAIL),
      };
    }
    const seal = () =>
      this.#seal(tree, {
        scriptName,
        python: venv === undefined || python === undefined || isShared ? undefined : { ...python, venv },
      });
    const problem = await seal();
    if (problem !== undefined) return { kind: "unusable", reason: problem, output: "" };

    const runPython = (parameters: string) =>
      enclosure.run({ kind: "folder", path: tree }, {
        command: `python -I ${parameters}`,
        cwd: this.#project,
        env: runVariables(variables),
        venv: shown(false),
        network: false,
        timeoutMs: settings.setupTimeoutMs,
        signal,
      });
    // Runs may keep nothing, and would compile all that they import again and again.
    if (python !== undefined) await runPython("-m compileall -q -j 0 .");
    const listPackages = async () => {
      const { output } = await runPython(`-c ${shellWord(LIST_PACKAGES)}`);
      return output.split("\n").filter((line) => /^[\w.-]+==\S+$/.test(line)).sort().slice(0, MAX_PACKAGES);
    };
    const packages = python === undefined
      ? []
      : isShared
      ? this.#packages ??= await listPackages()
      : await listPackages();
    // What a setup has installed may be run by every start of Python, those here included.
    const later = await seal();
    if (later !== undefined) return { kind: "unusable", reason: later, output: "" };
    const changed = candidate.setup_commands.length === 0
      ? undefined
      : await this.#changedFile(join(tree, this.#project), { files, since, own, commit, signal });
    if (changed !== undefined) {
      return {
        kind: "unusable",
        reason: `A setup command has changed "${changed}", which is the project's`,
        output: "",
      };
    }

    return {
      kind: "ready",
      place: createPreparedPlace({
        enclosure,
        tree,
        venv,
        runs: join(own, "runs"),
        folder: own,
        project: this.#project,
        files: new Set([...files, ...builtFiles(join(tree, this.#project), files)]),
        scriptName,
        oracleCommand: candidate.oracle_command,
        commit,
        environment: {
          platform: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
          tools: await this.#toolsFor(needs, python),
          packages,
          sandbox: await enclosure.describe({ network: settings.allowNetwork }),
          network: settings.allowNetwork,
          notes: [...notes, ...await this.#notes(needs, { enclosure, python })],
        },
        env: runVariables(variables),
        watched: python === undefined ? ["node"] : ["python", "node"],
        packages: packagesIn(join(tree, this.#project)),
        network: settings.allowNetwork,
        timeoutMs: settings.oracleTimeoutMs,
        run,
        hidden: this.#hidden(),
        refuse,
      }),
    };
  }

  #nextFolder(): string {
    return join(this.#options.folder, `p${++this.#count}`);
  }

  async #checkOut(tree: string, { commit, signal }: { readonly commit: string; readonly signal: AbortSignal }) {
    const { repository, env, run } = this.#options;
    for (const name of ["home", "tmp", "record", "venv"]) await Deno.mkdir(join(tree, name), { recursive: true });
    const path = join(tree, this.#project);
    await Deno.mkdir(path, { recursive: true });
    return await checkOutStandalone(repository, { path, commit, ignored: IGNORED, env, run, signal });
  }

  /** A file of the project that is not as it was checked out. */
  async #changedFile(project: string, { files, since, own, commit, signal }: {
    readonly files: ReadonlySet<string>;
    readonly since: string;
    readonly own: string;
    readonly commit: string;
    readonly signal: AbortSignal;
  }): Promise<string | undefined> {
    const touched = await touchedFiles(project, files, { since, run: this.#options.run, signal });
    if (touched.length === 0) return undefined;
    // A tool may have put the same there again.
    const pristine = join(own, "pristine");
    await this.#checkOut(pristine, { commit, signal });
    const changed = touched.find((path) => !isSameContent(join(project, path), join(pristine, this.#project, path)));
    await removeTree(pristine, this.#options.run);
    return changed;
  }

  async #files(tree: string): Promise<readonly string[]> {
    return (await Array.fromAsync(Deno.readDir(join(tree, this.#project)))).map(({ name }) => name);
  }

  /** One for all places: each gets a copy, which stands at the same path. */
  #pythonOnce(): Promise<PythonEnvironment | undefined> {
    return this.#python ??= this.#createPython();
  }

  async #createPython(): Promise<PythonEnvironment | undefined> {
    const { settings, env, run, signal, folder } = this.#options;
    const enclosure = await this.#enclosureOnce();
    // What is left there when we are killed goes with the places.
    const temporary = join(folder, "tmp");
    await Deno.mkdir(temporary, { recursive: true });
    const made = await enclosure.withPlace((place) =>
      createPythonEnvironment(join(place, "venv"), {
        version: settings.pythonVersion,
        env: { ...withoutPython(env), TMPDIR: temporary },
        run,
        timeoutMs: settings.setupTimeoutMs,
        signal,
      }).then(async (python) => {
        if (python === undefined) return undefined;
        const program = join(place, "venv/bin/python");
        const compiling = { cwd: "/", env: {}, timeoutMs: settings.setupTimeoutMs, signal };
        await run([program, ...compileArguments(join(folder, "witness"))], compiling);
        await Deno.rename(join(place, "venv"), join(folder, "venv"));
        await this.#hook(join(folder, "venv"), python);
        return python;
      })
    );
    if (made !== undefined) enclosure.show(made.bases);
    return made;
  }

  /** A worktree has its repository elsewhere, and the files of that are the person's as well. */
  #hidden(): readonly string[] {
    const { repository, hidden } = this.#options;
    return [repository.root, repository.commonDir.replace(/\/\.git$/, ""), ...hidden];
  }

  #enclosureOnce(): Promise<Enclosure> {
    const { repository, folder, sandbox, env, run, signal } = this.#options;
    return this.#enclosure ??= Enclosure.open({
      folder,
      mode: sandbox,
      readable: [
        join(repository.commonDir, "objects"),
        join(folder, "witness"),
        ...programPlaces(env, { program: ["/bin/sh"], version: "" }),
      ],
      hidden: this.#hidden(),
      hideHome: homeToHide(env),
      limits: this.#limits,
      path: env.PATH,
      run,
      signal,
    });
  }

  /** What a setup may have done to the tree that a run could be misled by is undone. Undefined: the tree can be used. */
  async #seal(
    tree: string,
    { scriptName, python }: {
      readonly scriptName: string;
      /** Undefined: a setup could not write to it. */
      readonly python: PythonEnvironment & { readonly venv: string } | undefined;
    },
  ): Promise<string | undefined> {
    const { run } = this.#options;
    const record = join(tree, "record");
    await removeTree(record, run);
    await Deno.mkdir(record);
    const site = python === undefined ? [] : [join(python.venv, python.sitePackages)];
    for (
      const path of [join(tree, this.#project), join(tree, "home"), join(tree, "tmp"), join(tree, "venv"), ...site]
    ) {
      // Files are put there from outside, where a link would lead to anything.
      const isItself = await Deno.realPath(path).then((real) => real === path, () => false);
      if (!isItself) return `A setup command has replaced "${path.slice(dirname(tree).length + 1)}"`;
    }
    await removeTree(join(tree, this.#project, scriptName), run);
    if (python !== undefined) await this.#hook(python.venv, python);
    return undefined;
  }

  /** Has every start of a Python witnessed. */
  async #hook(venv: string, { version, sitePackages }: PythonEnvironment): Promise<void> {
    const { folder, run } = this.#options;
    const path = join(venv, sitePackages, "gocore_witness.pth");
    await removeTree(path, run);
    const [major, minor] = version.split(".").map(Number);
    // Older ones have no events that nobody can take away.
    if (major !== 3 || minor! < 8) return;
    const record = join(folder, "place/record");
    await Deno.writeTextFile(path, pythonHook(join(folder, "witness"), { record, version }));
  }

  async #toolsFor(needs: ToolNeeds, python: PythonEnvironment | undefined): Promise<string[]> {
    const tools = await this.#tools.needed(needs);
    return python === undefined ? tools : [`python ${python.version} (${python.tool})`, ...tools];
  }

  async #notes(needs: ToolNeeds, { enclosure, python }: {
    readonly enclosure: Enclosure;
    readonly python: PythonEnvironment | undefined;
  }): Promise<string[]> {
    return [
      ...(needsPython(needs) && python === undefined ? ["there is no Python that makes virtual environments"] : []),
      ...(python?.notes ?? []),
      ...(enclosure.isConfined ? [] : [`runs are not confined (${enclosure.problem}): they see the whole machine`]),
      ...(enclosure.isConfined && !await enclosure.canOverlay() ? ["without overlays, runs are slower"] : []),
    ];
  }

  async #refuse(
    command: string,
    { project, variables }: { readonly project: string; readonly variables: Readonly<Record<string, string>> },
  ): Promise<string | undefined> {
    const { createCommandPolicy } = await import("../../../safety/command_policy.ts");
    const policy = createCommandPolicy([], {
      cwd: project,
      roots: [join(this.#options.folder, "place"), "/tmp", "/var/tmp"],
      home: variables.HOME!,
      variables,
      resolveLink: readLink,
    });
    const { verdict, reason } = policy.judge(command);
    return verdict === "block" ? `${reason}: ${command.slice(0, 200)}` : undefined;
  }
}

/** An environment that we may have been started in, and modules that are not the project's. */
function withoutPython(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:PYTHON|VIRTUAL_ENV|CONDA_|UV_)/.test(name)));
}

function readLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}

/** Python packages and modules of a project: the names under which they are installed, and their paths. */
function packagesIn(project: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of ["", "src", "lib", "python"]) {
    for (const { name, isDirectory } of entriesIn(join(project, folder))) {
      const path = join(folder, name);
      const isPackage = isDirectory && isFile(join(project, path, "__init__.py"));
      const isModule = !isDirectory && /^\w{1,100}\.py$/.test(name) && name !== "setup.py" && name !== "conftest.py";
      if ((isPackage && /^\w{1,100}$/.test(name) || isModule) && !found.has(name)) found.set(name, path);
    }
  }
  return found;
}

function entriesIn(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Of a project's files, the nearest to its top first; of a huge project, of its first ones. */
async function extensionsIn(top: string): Promise<string[]> {
  const found = new Set<string>();
  const folders = [top];
  let left = MAX_SURVEYED;
  for (let folder = folders.shift(); folder !== undefined && left > 0; folder = folders.shift()) {
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      if (left-- <= 0) break;
      if (isDirectory && name !== ".git" && name !== "node_modules") folders.push(join(folder, name));
      const extension = isFile ? /[^.]\.([A-Za-z0-9]{1,8})$/.exec(name)?.[1] : undefined;
      if (extension !== undefined) found.add(extension);
    }
  }
  return [...found];
}
