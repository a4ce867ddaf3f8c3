/** Agents that do what a test has written for them, and the session that they work in. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findSessionFolder, readSession, supervisorOf } from "../../src/commands/orchestrate/session_folder.ts";
import type { EventData, EventType, RunEvent } from "../../src/events/event.ts";
import type { SessionState } from "../../src/orchestrate/session.ts";
import { exists, type GocoreEnd, type GocoreOptions, type GocoreRun, listing, Sandbox, until } from "./gocore.ts";

/** What an agent is asked, told from the prompt. */
export type PromptKind = "task" | "review" | "reread" | "feedback" | "conflict" | "mend" | "plan";

export interface FakeAgentsOptions {
  /** Of the target, below the sandbox's root. Default: the sandbox's repository. */
  target?: string;
  /** TOML: keys of `[orchestrate]`, then further tables. */
  settings?: string;
  /** By agent. Default: text. */
  streams?: Record<string, "text" | "jsonl">;
  /** By agent, instead of the scripted program. */
  programs?: Record<string, string>;
  /** Agents besides the scripted ones, such as mini. */
  others?: readonly string[];
}

/** What is there of a session that has ended. */
export interface SessionLeft {
  id: string;
  folder: string;
  state: SessionState;
  finished: EventData<"session.finished">;
  log: RunEvent[];
}

export interface SessionEnd extends GocoreEnd, SessionLeft {}

const PROGRAM = fileURLToPath(new URL("./fake_agent.sh", import.meta.url));

/** A sandbox with a target and agents: small shell programs, `{root}/agents/NAME/KIND.sh`, run by `fake_agent.sh`. */
export class FakeAgents implements AsyncDisposable {
  readonly target: string;
  readonly #folder: string;
  readonly #running = new Set<GocoreRun>();
  readonly #arguments: readonly string[];

  private constructor(readonly sandbox: Sandbox, target: string, parts: { folder: string; args: readonly string[] }) {
    this.target = target;
    this.#folder = parts.folder;
    this.#arguments = parts.args;
  }

  static async create(names: readonly string[], options: FakeAgentsOptions = {}): Promise<FakeAgents> {
    const { settings = "", streams = {}, programs = {}, others = [] } = options;
    const sandbox = await Sandbox.create();
    const target = options.target === undefined ? sandbox.workdir : join(sandbox.root, options.target);
    const folder = join(sandbox.root, "agents");
    await Deno.mkdir(join(folder, "state"), { recursive: true });
    const program = await sandbox.file("agents/fake_agent.sh", await Deno.readFile(PROGRAM));
    const tables = names.map((name) =>
      Object.hasOwn(programs, name)
        ? `[orchestrate.agents.${name}]\nprogram = ${text(programs[name]!)}\narguments = ["{prompt}"]\n`
        : `[orchestrate.agents.${name}]\nprogram = "/bin/sh"\n` +
          `arguments = [${[program, name, folder, "{prompt}"].map(text).join(", ")}]\n` +
          `stream = ${text(Object.hasOwn(streams, name) ? streams[name]! : "text")}\n`
    );
    const config = await sandbox.file(
      "agents/gocore.toml",
      [
        "[orchestrate]",
        // Workers inherit nothing that begins with GOCORE_, and could not be found.
        'forward_env = ["GOCORE_TEST_MARK"]',
        settings,
        "[orchestrate.sandbox]",
        `writable = [${text(join(folder, "state"))}]`,
        `readable = [${text(folder)}]`,
        ...tables,
      ].join("\n"),
    );
    const agents = [...names, ...others].join(",");
    const args = ["--config", config, "--target", target, "--agents", agents, "--no-dashboard", "--json"];
    return new FakeAgents(sandbox, target, { folder, args });
  }

  /** What an agent does when it is asked such a thing, or when it is asked for the `nth` time. */
  async behave(agent: string, kind: PromptKind, script: string, nth?: number): Promise<void> {
    const name = nth === undefined ? kind : `${kind}.${nth}`;
    await this.sandbox.file(`agents/${agent}/${name}.sh`, script);
  }

  /** Writes a plan; returns the flags that choose it. */
  async plan(assignments: readonly { id: string; agent: string; prompt?: string; depends_on?: string[] }[]) {
    const whole = assignments.map((one) => ({ title: one.id, prompt: `Part ${one.id}`, ...one }));
    return ["--plan", await this.sandbox.file("plan.json", JSON.stringify({ assignments: whole }))];
  }

  /** Lets an agent go on that does `await MARK`. */
  async mark(mark: string): Promise<void> {
    await this.sandbox.file(`agents/state/${mark}`, "");
  }

  /** Waits until an agent has done `mark MARK`. */
  async marked(mark: string): Promise<void> {
    await until(`an agent has marked ${mark}`, () => exists(join(this.#folder, "state", mark)));
  }

  /** What an agent has been asked of this kind, in order. */
  async prompts(agent: string, kind: PromptKind): Promise<string[]> {
    const prompts: string[] = [];
    for (let nth = 1;; nth++) {
      try {
        prompts.push(await Deno.readTextFile(join(this.#folder, "state", `${agent}.${kind}.${nth}`, "prompt")));
      } catch {
        return prompts;
      }
    }
  }

  async start(args: readonly string[], options: GocoreOptions = {}): Promise<GocoreRun> {
    // Without any key no agent is ready, also those that ask no model.
    const env = { OPENAI_API_KEY: "sk-nobody-is-asked-with-this", ...options.env };
    const run = await this.sandbox.start(["orchestrate", ...this.#arguments, ...args], { ...options, env });
    this.#running.add(run);
    run.end.finally(() => this.#running.delete(run)).catch(() => {});
    return run;
  }

  /** To its end, with what holds for every end. */
  async run(args: readonly string[], options: GocoreOptions = {}): Promise<SessionEnd> {
    return await this.ended(await this.start(args, options));
  }

  async ended(run: GocoreRun): Promise<SessionEnd> {
    const end = await run.end;
    equal(end.signal, null, end.stderr);
    return await this.#check(end);
  }

  async resume(args: readonly string[] = []): Promise<SessionEnd> {
    return await this.run(["--resume", "last", ...args]);
  }

  /** `gocore orchestrate COMMAND` on the newest session. */
  control(...words: readonly string[]): Promise<GocoreEnd> {
    const [command, ...rest] = words;
    return this.sandbox.run(["orchestrate", command!, "--target", this.target, ...rest]);
  }

  get workspace(): string {
    return join(this.target, ".gocore", "workspace");
  }

  async read(): Promise<{ state: SessionState; folder: string }> {
    const folder = await findSessionFolder(this.workspace, "last");
    return { state: (await readSession(folder)).state, folder };
  }

  /** Git's answer in the target, without the last line's end. */
  async git(...args: string[]): Promise<string> {
    return await git(this.target, ...args);
  }

  /** How many workers that are no reviewers were started, by agent. */
  static launches({ events }: GocoreEnd, agent: string): EventData<"worker.launched">[] {
    return dataOf(events, "worker.launched").filter((one) => one.agent === agent && one.review === null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The test has failed. Workers outlive a supervisor that is killed, and that would hide why.
    const cut = [...this.#running];
    for (const run of cut) run.kill("SIGKILL");
    await Promise.allSettled(cut.map((run) => run.end));
    while (cut.length > 0) {
      const left = await this.sandbox.processes();
      if (left.length === 0) break;
      for (const { pid } of left) kill(pid);
    }
    await this.sandbox[Symbol.asyncDispose]();
  }

  async #check(end: GocoreEnd): Promise<SessionEnd> {
    const said = `stderr: ${end.stderr.slice(-3000)}\nlast: ${end.stdout.slice(-3000)}`;
    ok(end.events.at(-1)?.type === "session.finished", `the last event is session.finished\n${said}`);
    const left = await this.left();
    equal(end.code, left.finished.exit_code, said);
    equal(left.finished.status === "done", end.code === 0, said);
    const told = left.log.slice(-end.events.length).map(({ type, data, time }) => ({ type, data, timestamp: time }));
    deepEqual(told, end.events, "stdout has what the log has");
    return { ...end, ...left };
  }

  /** What the newest session has left when it has ended, with what holds for every end. */
  async left(): Promise<SessionLeft> {
    const { state, folder } = await this.read();
    const finished = state.finish!;
    const lines = (await Deno.readTextFile(join(folder, "events.jsonl"))).split("\n");
    equal(lines.pop(), "", "the log ends with a whole line");
    // A line of a supervisor that was killed while it wrote is torn; its event was never told.
    const log = lines.flatMap((line) => {
      try {
        return [JSON.parse(line) as RunEvent];
      } catch {
        return [];
      }
    });
    deepEqual(log.map(({ seq }) => seq), log.map((_, index) => index), "every event is there once");
    equal(supervisorOf(folder), undefined, "the session's lock is free");
    for (const { name, exit } of state.workers.values()) ok(exit !== null, `the end of ${name} was told`);
    deepEqual(JSON.parse(await Deno.readTextFile(join(folder, "decisions.json"))), state.decisions);
    for (const { review, ...decision } of state.decisions) {
      const kept = JSON.parse(await Deno.readTextFile(join(folder, "reviews", `${review}.json`)));
      deepEqual(kept.decision, { review, ...decision });
    }
    ok((await Deno.readTextFile(join(folder, "final.md"))).includes(state.start!.task.split("\n")[0]!));
    deepEqual((await this.sandbox.processes()).map(({ command }) => command), [], "a process is left");
    // Nobody could take away what one that was killed had there.
    if (state.supervisors === 1) deepEqual(await listing(this.sandbox.tmp), [], "temporary files are left");
    if (state.start!.base_commit !== null) await this.#checkGit(finished.status === "done", folder);
    return { id: folder.split("/").at(-1)!, folder, state, finished, log };
  }

  async #checkGit(isDone: boolean, folder: string): Promise<void> {
    const common = await git(this.target, "rev-parse", "--path-format=absolute", "--git-common-dir");
    const locks = await new Deno.Command("find", { args: [common, "-name", "*.lock"] }).output();
    equal(new TextDecoder().decode(locks.stdout), "", "a lock of git is left");
    const trees = (await git(this.target, "worktree", "list", "--porcelain")).split("\n")
      .filter((line) => line.startsWith(`worktree ${folder}`));
    if (isDone) deepEqual(trees, [], "a worktree is left");
    ok(trees.every((line) => !line.includes("/reviews/")), "a reviewer's folder is left");
    await git(this.target, "fsck", "--no-dangling");
  }
}

export function dataOf<T extends EventType>(events: readonly { type: string; data: unknown }[], type: T) {
  return events.filter((event) => event.type === type).map(({ data }) => data as EventData<T>);
}

export async function git(cwd: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-c", "user.name=Test", "-c", "user.email=test@localhost", ...args],
    cwd,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" },
  }).output();
  ok(success, `git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trimEnd();
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // Gone in the meantime.
  }
}

/** A TOML text: JSON's escapes are TOML's too. */
function text(value: string): string {
  return JSON.stringify(value);
}
