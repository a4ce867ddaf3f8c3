/** A session of `gocore orchestrate` with real coding agents, whose models answer from a script. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findSessionFolder, readSession } from "../../src/commands/orchestrate/session_folder.ts";
import type { EventData, EventType } from "../../src/events/event.ts";
import type { Report } from "../../src/gateway/ledger/report.ts";
import type { SessionState, WorkerState } from "../../src/orchestrate/session.ts";
import { dataOf } from "../support/fake_agents.ts";
import { exists, type GocoreEnd, type GocoreRun, type Reply, Sandbox, until } from "../support/gocore.ts";
import { type AgentName, agentNames } from "./agent_cli.ts";

const BIN = fileURLToPath(new URL("../../.cache/agents/node_modules/.bin/", import.meta.url));

export interface Places {
  /** Where a test and the agents' commands tell each other how far they are. */
  readonly gate: string;
  readonly target: string;
}

export interface AgentSessionOptions {
  /** By worker, such as `claude`, `codex-r1` or `gemini-2`. */
  workers: Readonly<Record<string, readonly Reply[]>>;
  /** The agents that are installed; default: all. */
  installed?: readonly AgentName[];
  /** Whether the target is no git repository. */
  isPlain?: boolean;
}

export interface Assignment {
  id: string;
  agent: AgentName | "mini";
  depends_on?: string[];
  writes?: boolean;
}

export interface SessionEnd extends GocoreEnd {
  folder: string;
  state: SessionState;
  finished: EventData<"session.finished">;
}

export class AgentSession implements AsyncDisposable, Places {
  readonly target: string;
  readonly gate: string;
  readonly #arguments: readonly string[];
  readonly #path: string;

  private constructor(readonly sandbox: Sandbox, places: Places, parts: { args: readonly string[]; path: string }) {
    this.target = places.target;
    this.gate = places.gate;
    this.#arguments = parts.args;
    this.#path = parts.path;
  }

  static async create(optionsFor: (places: Places) => AgentSessionOptions): Promise<AgentSession> {
    const sandbox = await Sandbox.create();
    const places = { gate: join(sandbox.root, "gate"), target: sandbox.workdir };
    await Deno.mkdir(places.gate);
    const { workers, installed = agentNames, isPlain = false } = optionsFor(places);
    if (isPlain) await Deno.remove(join(places.target, ".git"), { recursive: true });
    const config = await sandbox.file(
      "gocore.toml",
      [
        "[orchestrate]",
        // Workers inherit nothing that begins with GOCORE_, and could not be found.
        'forward_env = ["GOCORE_TEST_MARK"]',
        "[orchestrate.sandbox]",
        `writable = [${JSON.stringify(places.gate)}]`,
        "",
      ].join("\n"),
    );
    const script = await sandbox.file("script.json", JSON.stringify({ workers }));
    const path = await pathWith(sandbox, installed);
    const args = [
      ...["--config", config, "--target", places.target, "--script", script, "--no-dashboard", "--json"],
      ...["--model", "codex=gpt-5.5", "--model", "gemini=gemini-2.5-flash"],
    ];
    return new AgentSession(sandbox, places, { args, path });
  }

  /** Writes a plan; returns the flags that choose it. */
  async plan(assignments: readonly Assignment[]): Promise<string[]> {
    const whole = assignments.map((one) => ({ title: one.id, prompt: `Part ${one.id}`, ...one }));
    return ["--plan", await this.sandbox.file("plan.json", JSON.stringify({ assignments: whole }))];
  }

  start(args: readonly string[]): Promise<GocoreRun> {
    return this.sandbox.start(["orchestrate", ...this.#arguments, ...args], { env: { PATH: this.#path } });
  }

  async run(args: readonly string[]): Promise<SessionEnd> {
    return await this.ended(await this.start(args));
  }

  /** With what holds for every end. */
  async ended(run: GocoreRun): Promise<SessionEnd> {
    const end = await run.end;
    const said = `stderr: ${end.stderr.slice(-3000)}\nlast: ${end.stdout.slice(-3000)}`;
    equal(end.signal, null, said);
    const last = end.events.at(-1);
    ok(last?.type === "session.finished", said);
    equal(end.code, last.data.exit_code, said);
    await this.sandbox.noProcessLeft();
    const { state, folder } = await this.read();
    for (const { name, exit } of state.workers.values()) ok(exit !== null, `the end of ${name} was told\n${said}`);
    deepEqual(await Array.fromAsync(Deno.readDir(this.sandbox.tmp)), [], "temporary files are left");
    return { ...end, folder, state, finished: last.data };
  }

  /** `gocore orchestrate COMMAND` on the newest session. */
  async control(...[command, ...rest]: readonly string[]): Promise<GocoreEnd> {
    const end = await this.sandbox.run(["orchestrate", command!, "--target", this.target, ...rest]);
    equal(end.code, 0, end.stderr);
    return end;
  }

  async read(): Promise<{ state: SessionState; folder: string }> {
    const folder = await findSessionFolder(join(this.target, ".gocore", "workspace"), "last");
    return { state: (await readSession(folder)).state, folder };
  }

  /** Everything that the session has told, also by former supervisors. */
  async told<T extends EventType>(type: T): Promise<EventData<T>[]> {
    const log = await Deno.readTextFile(join((await this.read()).folder, "events.jsonl"));
    return dataOf(log.trimEnd().split("\n").map((line) => JSON.parse(line)), type);
  }

  /** Waits until a command has done `echo >GATE/name`. */
  async passed(...names: readonly string[]): Promise<void> {
    for (const name of names) await until(`a command has passed ${name}`, () => exists(join(this.gate, name)));
  }

  async open(...names: readonly string[]): Promise<void> {
    for (const name of names) await Deno.writeTextFile(join(this.gate, name), "");
  }

  /** The agent's own process: below the shell and bubblewrap, above its commands. */
  async processOf({ launch }: WorkerState): Promise<number> {
    const program = basename(launch.argv[0]!);
    // Behind an interpreter or not; bubblewrap has it further behind.
    const isOwn = (command: string) => command.split(" ").slice(0, 2).some((word) => basename(word) === program);
    const found = (await this.sandbox.processes()).filter(({ command }) => isOwn(command));
    equal(found.length, 1, `the process of ${launch.worker}: ${found.map(({ command }) => command)}`);
    return found[0]!.pid;
  }

  /** The states (R, S, T …) of all agents and their commands, as /proc tells them. */
  async statesOfAgents({ pid: coordinator }: GocoreRun): Promise<string[]> {
    const all = (await this.sandbox.processes()).filter(({ pid, command }) =>
      pid !== coordinator && !command.includes("gocore-worker") && !/^\S*bwrap /.test(command)
    );
    const stats = await Promise.all(all.map(({ pid }) => Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "")));
    return stats.filter((stat) => stat !== "").map((stat) => stat.slice(stat.lastIndexOf(")") + 2)[0]!);
  }

  async endKey(keyId: string): Promise<void> {
    const ledger = join(this.target, ".gocore", "ledger.db");
    const { code, stderr } = await this.sandbox.run(["gateway", "key", "end", keyId, "--ledger", ledger]);
    equal(code, 0, stderr);
  }

  async ledger(): Promise<Report["rows"]> {
    const ledger = join(this.target, ".gocore", "ledger.db");
    const { code, stdout, stderr } = await this.sandbox.run(
      ["gateway", "report", "--by", "worker", "--json", "--ledger", ledger],
    );
    equal(code, 0, stderr);
    return (JSON.parse(stdout) as Report).rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/** A PATH on which only these agents are, whatever is installed on this machine. */
export async function pathWith(sandbox: Sandbox, installed: readonly AgentName[]): Promise<string> {
  const bin = join(sandbox.home, "bin");
  await Deno.mkdir(bin);
  for (const name of installed) await Deno.symlink(join(BIN, name), join(bin, name));
  const folders = [bin];
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const present = await Promise.all(agentNames.map((name) => exists(join(folder, name))));
    if (!present.includes(true)) folders.push(folder);
    else if (folder !== dirname(join(BIN, "codex"))) await linkOthers(folder, bin);
  }
  return folders.join(":");
}

async function linkOthers(folder: string, bin: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const isAgent = (agentNames as readonly string[]).includes(name);
    if (!isAgent && !await exists(join(bin, name))) await Deno.symlink(join(folder, name), join(bin, name));
  }
}
