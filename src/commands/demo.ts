/** `gocore demo`: the agent repairs a small repository in a temporary folder, with a scripted model and real commands. */
import type { Command } from "@commander-js/extra-typings";
import type { RunEvent } from "../events/event.ts";
import { JsonLinesDecoder } from "../events/json_lines.ts";
import { Failure, messageOf } from "../failure.ts";
import { type Io, OutputPipe } from "../terminal/io.ts";
import { renderEvent } from "../terminal/render_event.ts";
import testScript from "./demo/test.sh" with { type: "text" };
import versionsScript from "./demo/versions.sh" with { type: "text" };
import replies from "./demo/replies.yaml" with { type: "text" };

const TASK = "sh test.sh fails: find the bug in versions.sh and fix it";
const CHECK_TIMEOUT_MS = 60_000;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .option("--json", "Show the events as the JSON Lines of `gocore mini --headless`")
    .option("--keep", "Keep the temporary folder and say where it is")
    .action(async (flags) => done(await runDemo(flags as { json?: boolean; keep?: boolean }, io)));
}

async function runDemo(flags: { json?: boolean; keep?: boolean }, io: Io): Promise<number> {
  const { runMini } = await import("./run_mini.ts");
  const folder = await makeFolder(io);
  const say = (text: string) => flags.json ? io.stderr.write(text) : io.stdout.write(text);
  try {
    const workdir = `${folder}/versions`;
    await Deno.mkdir(workdir);
    await Deno.writeTextFile(`${workdir}/versions.sh`, versionsScript);
    await Deno.writeTextFile(`${workdir}/test.sh`, testScript);
    await Deno.writeTextFile(`${folder}/replies.yaml`, replies);
    const repository = new DemoRepository(workdir, io);
    const diff = await repository.begin();
    if ((await repository.run(["sh", "test.sh"])).exitCode === 0) {
      throw new Failure("environment", "Cannot show the demo: the test of the broken project passes on this machine");
    }
    const exitCode = await runMini(
      { task: TASK, model: "scripted/replies.yaml", workdir, config: ["environment.timeout=60"] },
      demoIo(io, folder, flags.json ? io.stdout : eventsAsText(io)),
    );
    if (io.signal.aborted) return exitCode;
    const test = await repository.run(["sh", "test.sh"]);
    await say(`\nWhat the agent changed:\n\n${await diff()}\n`);
    await say(`The project's test, run once more: ${test.exitCode === 0 ? "passes" : `fails\n${test.output}`}\n`);
    if (flags.keep) await say(`Kept: ${workdir}\n`);
    return exitCode !== 0 ? exitCode : test.exitCode === 0 ? 0 : 1;
  } finally {
    if (!flags.keep) await Deno.remove(folder, { recursive: true });
  }
}

async function makeFolder(io: Io): Promise<string> {
  try {
    return await Deno.makeTempDir({ prefix: "gocore-demo-" });
  } catch (cause) {
    const place = io.env.TMPDIR ? JSON.stringify(io.env.TMPDIR) : '"/tmp"';
    throw new Failure("environment", `Cannot make a temporary folder in ${place}: ${messageOf(cause)}`, {
      hints: ["Name a folder that can be written to, for example `TMPDIR=$HOME gocore demo`"],
      cause,
    });
  }
}

/** The demo is the same for everyone: nothing of the caller's settings for `gocore mini` reaches it. */
function demoIo(io: Io, cwd: string, stdout: OutputPipe): Io {
  const env = Object.fromEntries(Object.entries(io.env).filter(([name]) => !/^(MINI|MSWEA)_/.test(name)));
  return { ...io, env, cwd, stdout };
}

/** A pipe that takes the run's JSON Lines, as any program would that runs gocore, and shows each event to a person. */
function eventsAsText(io: Io): OutputPipe {
  const decoder = new JsonLinesDecoder();
  const colour = Deno.stdout.isTerminal() && (io.env.NO_COLOR ?? "") === "";
  return new OutputPipe("stdout", {
    async write(bytes) {
      for (const line of decoder.push(bytes)) {
        if (line.kind === "value") await io.stdout.write(renderEvent(line.value as RunEvent, { colour }));
      }
      return bytes.length;
    },
  });
}

/** The project under version control; without git its first state is a copy beside it. */
class DemoRepository {
  readonly #workdir: string;
  readonly #io: Io;
  readonly #env: Record<string, string>;

  constructor(workdir: string, io: Io) {
    this.#workdir = workdir;
    this.#io = io;
    // The caller's git settings (signing, hooks, templates) have no business here.
    const git = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", GIT_PAGER: "cat" };
    const identity = { name: "gocore demo", email: "demo@gocore.invalid" };
    this.#env = {
      PATH: io.env.PATH ?? "/usr/bin:/bin",
      ...git,
      GIT_AUTHOR_NAME: identity.name,
      GIT_AUTHOR_EMAIL: identity.email,
      GIT_COMMITTER_NAME: identity.name,
      GIT_COMMITTER_EMAIL: identity.email,
    };
  }

  async run(argv: [string, ...string[]]) {
    const { runCommand } = await import("../process/spawn.ts");
    const { signal } = this.#io;
    const end = await runCommand(argv, { cwd: this.#workdir, env: this.#env, timeoutMs: CHECK_TIMEOUT_MS, signal });
    // What an interrupt has killed says nothing about the machine or the project.
    signal.throwIfAborted();
    return end;
  }

  /** Commits the first state; what is returned tells the difference to it later. */
  async begin(): Promise<() => Promise<string>> {
    const commit = ["git init -q", "git add .", 'git commit -qm "Compare version numbers"'].join(" && ");
    const { exitCode } = await this.run(["sh", "-c", commit]);
    if (exitCode === 0) return async () => (await this.run(["git", "diff"])).output;
    await this.#io.stderr.write("Note: git is not installed or does not work here; the demo goes on without it\n");
    const copy = `${this.#workdir}/../versions.sh.orig`;
    await Deno.copyFile(`${this.#workdir}/versions.sh`, copy);
    return async () =>
      (await this.run(["diff", "-u", "-L", "a/versions.sh", "-L", "b/versions.sh", copy, "versions.sh"])).output;
  }
}
