/** Runs gocore as a user does, as a process in a sealed environment, and reads what it leaves behind. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import * as z from "zod/mini";
import { type EventData, eventData, type EventType } from "../../src/events/event.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The compiled program to test, instead of the sources. */
export const GOCORE_BIN = Deno.env.get("GOCORE_BIN");

/** Whatever waits in a test gives up after this long: far beyond a slow and busy machine, and short of hanging. */
const DEADLINE_MS = 300_000;

const MARK = "GOCORE_TEST_MARK";

export type StreamEvent = { [T in EventType]: { type: T; data: EventData<T>; timestamp?: string } }[EventType];
export type EventOf<T extends EventType> = Extract<StreamEvent, { type: T }>;

export interface GocoreOptions {
  cwd?: string;
  /** Added to the sealed environment, which has nothing but PATH, HOME, TMPDIR and what Deno itself needs. */
  env?: Record<string, string>;
  stdin?: string;
  /** Where stdout goes: to us, or to a file (`/dev/full`). */
  stdoutFile?: string;
  timeoutMs?: number;
  /** Sends a signal when the first event that satisfies the predicate has been read. */
  signalAfter?: { event: (event: StreamEvent) => boolean; signal: Deno.Signal };
  /** Programs before gocore, such as `["strace", "-f"]`. */
  wrapper?: readonly string[];
}

export interface GocoreEnd {
  code: number;
  /** Set when the process died of a signal instead of exiting. */
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
  /** The lines of stdout that are JSON objects. */
  events: StreamEvent[];
}

let denoDir: Promise<string> | undefined;

/** HOME changes in the sealed environment, and Deno's cache must not. */
function findDenoDir(): Promise<string> {
  denoDir ??= (async () => {
    const named = Deno.env.get("DENO_DIR");
    if (named) return named;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    return (JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string }).denoDir;
  })();
  return denoDir;
}

/** A temporary folder with a home, a folder for temporary files and work folders in it; gone when it is disposed of. */
export class Sandbox implements AsyncDisposable {
  readonly home: string;
  readonly tmp: string;
  /** A git repository with one commit. */
  readonly workdir: string;
  /** In the environment of everything that is started here. */
  readonly mark = `sandbox-${crypto.randomUUID()}`;
  #scripts = 0;
  readonly #running = new Set<GocoreRun>();

  private constructor(readonly root: string) {
    this.home = join(root, "home");
    this.tmp = join(root, "tmp");
    this.workdir = join(root, "work");
  }

  static async create(): Promise<Sandbox> {
    const sandbox = new Sandbox(await Deno.realPath(await Deno.makeTempDir({ prefix: "gocore-cli-" })));
    await Deno.mkdir(sandbox.home);
    await Deno.mkdir(sandbox.tmp);
    await sandbox.repository("work");
    return sandbox;
  }

  /** Makes a git repository `{root}/{name}` with one commit; returns its path. */
  async repository(name: string): Promise<string> {
    const path = join(this.root, name);
    await Deno.mkdir(path);
    await Deno.writeTextFile(join(path, "README.md"), "# A repository to work on\n");
    const git = async (...args: string[]) => {
      const { success, stderr } = await new Deno.Command("git", {
        args: ["-c", "user.name=Test", "-c", "user.email=test@localhost", ...args],
        cwd: path,
        clearEnv: true,
        env: { PATH: Deno.env.get("PATH") ?? "", HOME: this.home, GIT_CONFIG_NOSYSTEM: "1" },
      }).output();
      ok(success, new TextDecoder().decode(stderr));
    };
    await git("init", "--quiet");
    await git("add", ".");
    await git("commit", "--quiet", "--message", "Start");
    return path;
  }

  /** Writes a file below the root, with its folders; returns its path. */
  async file(path: string, content: string | Uint8Array): Promise<string> {
    const full = join(this.root, path);
    await Deno.mkdir(join(full, ".."), { recursive: true });
    await Deno.writeFile(full, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return full;
  }

  /** Writes the replies of a scripted model; returns the arguments that select it. */
  async script(replies: readonly Reply[]): Promise<string[]> {
    // JSON is YAML, and needs no thought about quoting.
    const path = await this.file(`scripts/${this.#scripts++}.yaml`, JSON.stringify(replies, null, 2) + "\n");
    return ["--model", `scripted/${path}`];
  }

  async environment(extra: Record<string, string> = {}): Promise<Record<string, string>> {
    const authorities = Deno.env.get("DENO_TLS_CA_STORE");
    return {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: this.home,
      TMPDIR: this.tmp,
      [MARK]: this.mark,
      DENO_DIR: await findDenoDir(),
      ...(authorities !== undefined && { DENO_TLS_CA_STORE: authorities }),
      ...extra,
    };
  }

  /** Starts gocore; the default working directory is the sandbox's. */
  async start(args: readonly string[], options: GocoreOptions = {}): Promise<GocoreRun> {
    const line = [...(options.wrapper ?? []), ...gocoreCommand(), ...args];
    const run = new GocoreRun(line, options.cwd ?? this.workdir, await this.environment(options.env), options);
    this.#running.add(run);
    return run;
  }

  async run(args: readonly string[], options: GocoreOptions = {}): Promise<GocoreEnd> {
    return await (await this.start(args, options)).end;
  }

  /** Runs `gocore mini --headless` to its end and checks its whole stream and its trajectory. */
  async mini(args: readonly string[], options: GocoreOptions & StreamRules = {}): Promise<MiniRun> {
    return await checkMini(await this.run(["mini", "--headless", ...args], options), options);
  }

  /** Waits until no process that was started here is left. */
  async noProcessLeft(): Promise<void> {
    await until(`the processes of ${this.mark} are gone`, async () => (await this.processes()).length === 0);
  }

  /** The processes that were started here: gocore, its commands, and whatever they left behind. */
  processes(): Promise<MarkedProcess[]> {
    return processesWith(`${MARK}=${this.mark}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const run of this.#running) run.kill("SIGKILL");
    await Promise.allSettled(Array.from(this.#running, (run) => run.end));
    let left = await this.processes();
    // Whoever was killed may take a moment to be gone on a busy machine.
    for (let round = 0; round < 100 && left.length > 0; round++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      left = await this.processes();
    }
    for (const { pid } of left) tryKill(pid);
    await Deno.remove(this.root, { recursive: true });
    deepEqual(left.map(({ command }) => command), [], "Processes outlived their run");
  }
}

/** How to start gocore: the program named by GOCORE_BIN, or the sources. */
export function gocoreCommand(): string[] {
  if (GOCORE_BIN !== undefined) return [GOCORE_BIN];
  return [Deno.execPath(), "run", "--quiet", "--config", join(ROOT, "deno.json"), "-A", join(ROOT, "src/main.ts")];
}

/** One entry of a scripted model's file. */
export interface Reply {
  content?: string;
  commands?: string[];
  tool_calls?: { name: string; arguments: unknown }[];
  reasoning?: string;
  usage?: { input?: number; output?: number; cache_read?: number; cache_write?: number };
  cost?: number;
  delay_ms?: number;
  error?: { status: number; message: string; retry_after?: number };
  finish_reason?: string;
  repeat?: number;
}

export const MARKER = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";

/** A reply that finishes the task with a submission. */
export function submit(submission = "done"): Reply {
  return { commands: [`printf '%s\\n' ${MARKER} ${quoted(submission)}`] };
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export class GocoreRun {
  readonly end: Promise<GocoreEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #events: StreamEvent[] = [];
  readonly #watchers = new Set<() => void>();
  #ended = false;

  constructor(line: readonly string[], cwd: string, env: Record<string, string>, options: GocoreOptions) {
    const [program, ...args] = line;
    // Only a shell can give a child a file as its stdout; `exec` makes it the process that we know.
    const [command, commandArgs] = options.stdoutFile === undefined
      ? [program!, args]
      : ["sh", ["-c", `exec "$0" "$@" >${quoted(options.stdoutFile)}`, ...line]];
    this.#child = new Deno.Command(command, {
      args: commandArgs,
      cwd,
      clearEnv: true,
      env,
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.end = this.#follow(options);
    this.end.catch(() => {}); // Seen by whoever awaits it; a test that failed before that has its own error.
  }

  get pid(): number {
    return this.#child.pid;
  }

  get events(): readonly StreamEvent[] {
    return this.#events;
  }

  kill(signal: Deno.Signal): void {
    if (!this.#ended) tryKill(this.#child.pid, signal);
  }

  /** Waits for the first event that satisfies the predicate; fails when the process ends without it. */
  async event(claim: string, predicate: (event: StreamEvent) => boolean): Promise<StreamEvent> {
    while (true) {
      const found = this.#events.find(predicate);
      if (found !== undefined) return found;
      if (this.#ended) {
        throw new Error(`The run ended without ${claim}; stderr: ${(await this.end).stderr.slice(-2000)}`);
      }
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  async #follow({ stdin, timeoutMs = DEADLINE_MS, signalAfter }: GocoreOptions): Promise<GocoreEnd> {
    const child = this.#child;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      tryKill(child.pid);
    }, timeoutMs);
    try {
      const [stdout, stderr, status] = await Promise.all([
        this.#readEvents(signalAfter),
        new Response(child.stderr).text(),
        child.status,
        stdin === undefined ? undefined : feed(child.stdin, stdin),
      ]);
      if (timedOut) {
        const tail = `stdout ends with ${stdout.slice(-1000)}\nstderr ends with ${stderr.slice(-2000)}`;
        throw new Error(`gocore was still running after ${timeoutMs} ms\n${tail}`);
      }
      return { code: status.code, signal: status.signal, stdout, stderr, events: this.#events };
    } finally {
      clearTimeout(timer);
      this.#ended = true;
      this.#wake();
    }
  }

  async #readEvents(signalAfter: GocoreOptions["signalAfter"]): Promise<string> {
    const lines: string[] = [];
    let rest = "";
    let signalled = false;
    // Fatal: JSON Lines are UTF-8, whatever a command has printed.
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const line of parts) {
        lines.push(line + "\n");
        const event = parseObject(line);
        if (event === undefined) continue;
        this.#events.push(event);
        if (!signalled && signalAfter?.event(event)) {
          signalled = true;
          this.kill(signalAfter.signal);
        }
      }
      this.#wake();
    }
    return lines.join("") + rest;
  }

  #wake(): void {
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }
}

async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  // Nobody has to read it: a headless run never asks.
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

function parseObject(line: string): StreamEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value as StreamEvent : undefined;
  } catch {
    return undefined;
  }
}

export interface StreamRules {
  /** False for `headless.include_timestamps: false`. */
  timestamps?: boolean;
  /** True where the run cannot have a trajectory, such as without a workdir. */
  noTrajectory?: boolean;
}

// deno-lint-ignore no-explicit-any
export type Trajectory = any;

/** A run whose stream kept every rule, taken apart. */
export interface MiniRun extends GocoreEnd {
  start: EventData<"start">;
  steps: EventData<"step">[];
  thoughts: EventData<"thought">[];
  logs: EventData<"log">[];
  error: EventData<"error"> | undefined;
  finish: EventData<"finish">;
  cost: EventData<"cost">;
  trajectory: Trajectory;
}

/** Asserts every promise that the stream of a headless run makes, however the run ended. */
export async function checkMini(end: GocoreEnd, rules: StreamRules = {}): Promise<MiniRun> {
  const said = `stdout: ${end.stdout.slice(0, 3000)}\nstderr: ${end.stderr.slice(0, 3000)}`;
  equal(end.signal, null, `gocore died of a signal\n${said}`);
  ok(end.stdout.endsWith("\n"), `the last line is whole\n${said}`);
  const lines = end.stdout.slice(0, -1).split("\n");
  equal(lines.length, end.events.length, `every line is a JSON object\n${said}`);
  const keys = rules.timestamps === false ? ["data", "type"] : ["data", "timestamp", "type"];
  let before = "";
  for (const event of end.events) {
    deepEqual(Object.keys(event).sort(), keys, said);
    if (event.timestamp !== undefined) {
      ok(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(event.timestamp), event.timestamp);
      ok(event.timestamp >= before, "timestamps never go back");
      before = event.timestamp;
    }
    ok(event.type in eventData, `"${event.type}" is an event type`);
    const parsed = z.safeParse(eventData[event.type], event.data);
    ok(parsed.success, `${JSON.stringify(event).slice(0, 1000)}: ${parsed.error?.message}`);
  }

  const types = end.events.map(({ type }) => type);
  equal(types[0], "start", said);
  deepEqual(types.slice(-2), ["finish", "cost"], said);
  for (const once of ["start", "finish", "cost"]) equal(types.filter((type) => type === once).length, 1, said);
  const errors = types.filter((type) => type === "error").length;
  ok(errors <= 1 && (errors === 0 || types.at(-3) === "error"), `an error stands right before finish\n${said}`);

  const dataOf = <T extends EventType>(type: T) =>
    end.events.filter((event): event is EventOf<T> => event.type === type).map(({ data }) => data as EventData<T>);
  const run: MiniRun = {
    ...end,
    start: dataOf("start")[0]!,
    steps: dataOf("step"),
    thoughts: dataOf("thought"),
    logs: dataOf("log"),
    error: dataOf("error")[0],
    finish: dataOf("finish")[0]!,
    cost: dataOf("cost")[0]!,
    trajectory: undefined,
  };
  const { finish, cost } = run;
  equal(finish.status === "error", errors === 1, `status error comes with an error event\n${said}`);
  if (finish.status === "success") equal(end.code, 0, said);
  else if (finish.status === "interrupted") ok([129, 130, 143].includes(end.code), said);
  else if (finish.status === "error") ok([1, 2].includes(end.code), said);
  else equal(end.code, 1, said);
  if (run.error !== undefined) equal(finish.exit_status, run.error.type);
  equal(finish.total_cost, cost.total);
  equal(finish.steps, cost.calls, "a step is a model reply");
  checkSteps(run.steps, finish.steps);

  if (rules.noTrajectory) {
    equal(finish.trajectory_path, null, said);
  } else {
    ok(finish.trajectory_path !== null, said);
    run.trajectory = await readTrajectory(finish.trajectory_path);
    const { info } = run.trajectory;
    equal(info.exit_status, finish.exit_status);
    equal(info.submission, finish.status === "success" ? finish.result : "");
    equal(info.model_stats.api_calls, cost.calls);
    equal(info.model_stats.instance_cost, cost.total);
  }
  return run;
}

function checkSteps(steps: readonly EventData<"step">[], replies: number): void {
  let before = { step: 0, action_index: 0, action_count: 1 };
  for (const step of steps) {
    if (step.step === before.step) {
      equal(step.action_index, before.action_index + 1);
      equal(step.action_count, before.action_count);
    } else {
      ok(step.step > before.step, "steps count up");
      equal(step.action_index, 0);
    }
    ok(step.action_index < step.action_count);
    before = step;
  }
  ok(before.step <= replies);
}

/** Reads a trajectory and asserts its format. */
export async function readTrajectory(path: string): Promise<Trajectory> {
  const trajectory = JSON.parse(await Deno.readTextFile(path)) as Trajectory;
  equal(trajectory.trajectory_format, "mini-swe-agent-1.1");
  ok(Array.isArray(trajectory.messages), "messages");
  for (const { role, content } of trajectory.messages) {
    ok(["system", "user", "assistant", "tool", "exit"].includes(role), role);
    equal(typeof content, "string");
  }
  const { info } = trajectory;
  equal(typeof info.exit_status, "string");
  equal(typeof info.submission, "string");
  equal(typeof info.mini_version, "string");
  equal(typeof info.config, "object");
  equal(typeof info.model_stats.api_calls, "number");
  ok(info.model_stats.instance_cost === null || typeof info.model_stats.instance_cost === "number");
  return trajectory;
}

export interface MarkedProcess {
  pid: number;
  command: string;
}

/** The living processes whose environment has this `NAME=value`. Needs /proc. */
export async function processesWith(variable: string): Promise<MarkedProcess[]> {
  const found: MarkedProcess[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = await Deno.readTextFile(`/proc/${name}/environ`);
      if (!environment.split("\0").includes(variable)) continue;
      const command = (await Deno.readTextFile(`/proc/${name}/cmdline`)).replaceAll("\0", " ").trim();
      found.push({ pid: Number(name), command });
    } catch {
      // Gone in the meantime, or not ours to read.
    }
  }
  return found;
}

/** Waits for a fact that nothing announces. */
export async function until(claim: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function tryKill(pid: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Every file and folder below a folder, relative to it, sorted; folders end with a slash. */
export async function listing(directory: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    found.push(prefix + name + (isDirectory ? "/" : ""));
    if (isDirectory) found.push(...await listing(join(directory, name), `${prefix}${name}/`));
  }
  return found.sort();
}

/** The path of python3, or undefined: the interpreter itself, because what stands on PATH may be a wrapper that needs the user's own home. */
export async function findPython(): Promise<string | undefined> {
  try {
    const args = ["-c", "import sys; print(sys.executable)"];
    const { success, stdout } = await new Deno.Command("python3", { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}
