/** Runs a candidate's oracle in copies of one prepared checkout. */
import { join } from "node:path";
import { constants } from "node:os";
import { Failure } from "../../../failure.ts";
import type { ControlOrder, EnvironmentRecord, PreparedPlace, ScriptRun, SeenResults } from "../../../manager/ports.ts";
import type { RunPlace } from "../../../oracle/expected.ts";
import type { ProgramEnd, Runtime } from "../../../oracle/failure.ts";
import type { LimitedEnd } from "../../../process/limited_runs.ts";
import type { runCommand } from "../../../process/spawn.ts";
import { shellWord } from "../../../templates/shell_word.ts";
import { type Enclosure, removeTree, type Tree } from "./enclosure.ts";
import { definedFunctions, touchedFiles } from "./project_files.ts";
import { readTestimony, settingsText, type Testimony } from "./witness.ts";

export interface PreparedParts {
  readonly enclosure: Enclosure;
  /** The prepared tree; nothing is written to it any more. */
  readonly tree: string;
  /** Undefined: no Python. */
  readonly venv: string | undefined;
  /** For what a run needs, one folder each. */
  readonly runs: string;
  /** All of these, and nothing else. */
  readonly folder: string;
  /** Below a tree. */
  readonly project: string;
  /** What of it is the project's own, relative to it. */
  readonly files: ReadonlySet<string>;
  readonly scriptName: string;
  /** With `{repro_file}` in it. */
  readonly oracleCommand: string;
  readonly commit: string;
  readonly environment: EnvironmentRecord;
  readonly env: Readonly<Record<string, string>>;
  /** Of these a witness would tell. */
  readonly watched: readonly Runtime[];
  /** The project's own, where they are installed: name, and path relative to its top. */
  readonly packages: ReadonlyMap<string, string>;
  readonly network: boolean;
  readonly timeoutMs: number;
  readonly run: typeof runCommand;
  /** Folders of others, which nothing here needs to know. */
  readonly hidden: readonly string[];
  /** Undefined: the command may run. */
  refuse(command: string): Promise<string | undefined>;
}

/** A copy that is used again while nothing but its script changes. */
interface Lane {
  readonly path: string;
}

const COPY_TIMEOUT_MS = 600_000;
/** As shells do it when they may not run a command. */
const REFUSED = 126;
/** Longer than a tick of the clock by which the kernel dates changes. */
const TICK_MS = 30;

export function createPreparedPlace(parts: PreparedParts): PreparedPlace {
  return new Prepared(parts);
}

/** A shell command with a path in the place of `{repro_file}`, also where that stands in quotes of its own. */
export function withScriptPath(command: string, path: string): string {
  return command.replaceAll(/(["']?)\{repro_file\}\1/g, () => shellWord(path));
}

function valuesOf({ env = {} }: ControlOrder = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, { value }]) => [name, value]));
}

/** The text of a shell, with other values for variables that it sets. */
function withVariables(text: string, { env = {} }: ControlOrder = {}): string {
  return Object.entries(env).reduce((changed, [name, { value, isList }]) => {
    const setting = new RegExp(`\\b${name}=("[^"\n]*"|'[^'\n]*'|[^\\s;&|'"]*)`, "g");
    return changed.replaceAll(setting, (_, own: string) => `${name}=${shellWord(value)}${isList ? `:${own}` : ""}`);
  }, text);
}

class Prepared implements PreparedPlace {
  readonly commit: string;
  readonly environment: EnvironmentRecord;
  readonly #place: RunPlace;
  readonly #idle: Lane[] = [];
  #count = 0;

  constructor(private readonly parts: PreparedParts) {
    this.commit = parts.commit;
    this.environment = parts.environment;
    const project = join(parts.enclosure.place, parts.project);
    this.#place = { project, reproFile: join(project, parts.scriptName), files: parts.files };
  }

  async run(
    script: string,
    options: {
      readonly fresh: boolean;
      readonly trace?: boolean;
      readonly control?: ControlOrder;
      readonly signal: AbortSignal;
    },
  ): Promise<ScriptRun> {
    const { oracleCommand, scriptName } = this.parts;
    const place = this.#place;
    const { control } = options;
    const command = withVariables(withScriptPath(oracleCommand, place.reproFile), control);
    const { end, durationMs, executed, results } = await this.#run({
      ...options,
      script: /\.(?:sh|bash|zsh|ksh)$/.test(scriptName) ? withVariables(script, control) : script,
      command,
      network: this.parts.network,
    });
    // Where nothing is confined, nobody keeps it from what lies there.
    const named = this.parts.hidden.find((path) => script.includes(path) || oracleCommand.includes(path));
    const meddling = named === undefined ? {} : { meddling: `It names a folder that is not the project's: ${named}` };
    return {
      end: { ...end, command, script, watched: this.parts.watched, ...meddling },
      durationMs,
      place,
      executed: options.trace && end.hasWitness ? executed : null,
      ...control?.results && end.hasWitness && { results: this.#withUnloaded(results, control.results.functions) },
    };
  }

  async check(command: string, options: { readonly signal: AbortSignal }): Promise<ProgramEnd> {
    const refusal = await this.parts.refuse(command);
    if (refusal !== undefined) {
      const unwitnessed = { witnessed: [], hasWitness: false, signal: null, timedOut: false };
      return { ...unwitnessed, exitCode: REFUSED, stdout: "", stderr: `refused: ${refusal}\n` };
    }
    return (await this.#run({ ...options, fresh: false, command, script: undefined, network: false })).end;
  }

  async close(): Promise<void> {
    this.#idle.length = 0;
    await removeTree(this.parts.folder, this.parts.run);
  }

  async #run(order: {
    readonly script: string | undefined;
    readonly command: string;
    readonly fresh: boolean;
    readonly trace?: boolean;
    readonly control?: ControlOrder;
    readonly network: boolean;
    readonly signal: AbortSignal;
  }): Promise<{ end: ProgramEnd; durationMs: number } & Pick<Testimony, "executed" | "results">> {
    const { enclosure, runs, venv, run } = this.parts;
    order.signal.throwIfAborted();
    const own = join(runs, `${++this.#count}`);
    const isOverlaid = !order.fresh && await enclosure.canOverlay();
    let lane: Lane | undefined;
    try {
      let tree: Tree;
      if (isOverlaid) {
        tree = { kind: "overlay", lower: this.parts.tree, upper: join(own, "upper"), work: join(own, "work") };
        Deno.mkdirSync(tree.work, { recursive: true });
      } else {
        lane = (order.fresh ? undefined : this.#idle.pop()) ?? await this.#copy(own, order);
        tree = { kind: "folder", path: lane.path };
      }
      const top = tree.kind === "overlay" ? tree.upper : tree.path;
      this.#equip(top, order);
      const startedMs = Date.now();
      const end = await enclosure.run(tree, {
        ...order,
        cwd: this.parts.project,
        env: { ...this.parts.env, ...valuesOf(order.control) },
        venv: venv === undefined ? undefined : { path: venv, isWritable: false },
        timeoutMs: this.parts.timeoutMs,
        processesBefore: order.fresh ? this.#count % 4 : 0,
      });
      const testimony = readTestimony(join(top, "record"));
      if (lane !== undefined && !order.fresh && await this.#isUnchanged(lane, startedMs)) {
        this.#idle.push(lane);
        lane = undefined;
      }
      const meddling = testimony.meddling ??
        (order.fresh ? await this.#meddlingIn(top, order.signal) : undefined);
      return {
        end: { ...programEnd(end, testimony), ...meddling && { meddling } },
        durationMs: end.durationMs,
        executed: testimony.executed,
        results: testimony.results,
      };
    } finally {
      if (isOverlaid) {
        // Nobody may enter it, and the kernel is done with it.
        await Deno.chmod(join(own, "work/work"), 0o700).catch(() => {});
        await removeTree(own, run);
      } else if (lane !== undefined) await removeTree(lane.path, run);
    }
  }

  async #copy(
    path: string,
    { fresh, signal }: { readonly fresh: boolean; readonly signal: AbortSignal },
  ): Promise<Lane> {
    await Deno.mkdir(this.parts.runs, { recursive: true });
    await copyTree(this.parts.tree, path, { run: this.parts.run, signal });
    if (!fresh) {
      // So that it is there when the script changes, which then changes nothing but the file.
      await Deno.writeTextFile(join(path, this.parts.project, this.parts.scriptName), "");
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    return { path };
  }

  /**
   * Puts the script and the settings of the witnesses into a tree that is only the run's. Synchronous, as all that is done
   * for every run: a handful of calls of the system that are over before others would be told of them.
   */
  #equip(
    top: string,
    { script, fresh, trace = false, control }: {
      readonly script: string | undefined;
      readonly fresh: boolean;
      readonly trace?: boolean;
      readonly control?: ControlOrder;
    },
  ): void {
    const { project, scriptName, packages } = this.parts;
    const record = join(top, "record");
    // What is run thousands of times is proved by fresh runs in the end.
    const place = {
      project: this.#place.project,
      script: this.#place.reproFile,
      packages,
      trace,
      // What a control has changed is no meddling.
      thorough: fresh && control === undefined,
      results: control?.results,
    };
    // Of the run before.
    removeNow(record);
    Deno.mkdirSync(record, { recursive: true });
    Deno.writeTextFileSync(
      join(record, "settings"),
      settingsText(place),
    );
    if (script === undefined) return;
    Deno.mkdirSync(join(top, project), { recursive: true });
    Deno.writeTextFileSync(join(top, project, scriptName), script);
  }

  /** Functions of modules that were not loaded are the project's as well. */
  #withUnloaded(seen: SeenResults, names: readonly string[]): SeenResults {
    if (seen.functions.length > 0) return seen;
    const project = join(this.parts.tree, this.parts.project);
    return { ...seen, functions: definedFunctions(project, this.parts.files, names) };
  }

  /** What a run has done to the project's files in its copy. */
  async #meddlingIn(top: string, signal: AbortSignal): Promise<string | undefined> {
    const { project, files, run } = this.parts;
    const [touched] = await touchedFiles(join(top, project), files, {
      since: join(top, "record/settings"),
      run,
      signal,
    });
    return touched && `It has changed "${touched}", which is the project's`;
  }

  /** Whether a run has changed nothing in its copy but the script, its settings and its record. */
  async #isUnchanged({ path }: Lane, startedMs: number): Promise<boolean> {
    const { project, scriptName, run } = this.parts;
    const since = ((startedMs - TICK_MS / 2) / 1000).toFixed(3);
    const end = await run(
      [
        ...["find", ".", "-mindepth", "1", "(", "-path", "./record", "-o"],
        ...["-path", `./${project}/${scriptName}`, ")", "-prune", "-o", "-newerct", `@${since}`, "-print", "-quit"],
      ] as unknown as [string, ...string[]],
      { cwd: path, env: {}, timeoutMs: COPY_TIMEOUT_MS, signal: new AbortController().signal },
    );
    return end.exitCode === 0 && end.output === "";
  }
}

function removeNow(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // It is not there.
  }
}

/** As it is, links and times included; blocks are shared where the file system can do that. */
export async function copyTree(
  from: string,
  to: string,
  { run, signal }: { readonly run: typeof runCommand; readonly signal: AbortSignal },
): Promise<void> {
  const copy = (flags: readonly string[]) =>
    run(["cp", ...flags, "--", from, to], { cwd: "/", env: {}, timeoutMs: COPY_TIMEOUT_MS, signal });
  let end = await copy(["-a", "--reflink=auto"]);
  // Not every cp knows that.
  const isMissing = await Deno.lstat(to).then(() => false, () => true);
  if (end.exitCode !== 0 && isMissing) end = await copy(["-a"]);
  signal.throwIfAborted();
  if (end.exitCode === 0) return;
  const found = (end.failure ?? end.output).trim().slice(-500);
  throw new Failure("environment", `Cannot copy "${from}": ${found}`);
}

function programEnd(end: LimitedEnd, { hasWitness, witnessed, entered }: Testimony): ProgramEnd {
  const timedOut = end.endedBy === "timeout";
  const number = end.exitCode !== null && end.exitCode > 128 ? end.exitCode - 128 : 0;
  const signal = timedOut ? "SIGKILL" : end.signalName ?? signalNames.get(number) ?? null;
  return {
    exitCode: timedOut ? null : end.exitCode,
    signal,
    timedOut,
    ...end.limit !== undefined && { limit: end.limit },
    stdout: end.output,
    stderr: end.stderr ?? "",
    witnessed,
    hasWitness,
    projectCalls: entered,
  };
}

/** The first of those that share a number is the usual one: SIGABRT, not SIGIOT. */
const signalNames = new Map(
  Object.entries(constants.signals).reverse().map(([name, number]) => [number as number, name]),
);
