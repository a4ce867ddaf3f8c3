/** The small project that agents work on in a demo, under version control where there is git. */
import { runCommand } from "../../process/spawn.ts";
import type { Io } from "../../terminal/io.ts";
import testScript from "./test.sh" with { type: "text" };
import versionsScript from "./versions.sh" with { type: "text" };

const CHECK_TIMEOUT_MS = 60_000;

/** Settings of the caller for gocore, and for git (hooks, signing, the repository that it is called from). */
const FOREIGN = /^(?:MINI|MSWEA|GOCORE|ORCHESTRATOR|GIT)_/;

export class DemoProject {
  readonly workdir: string;
  /** The caller's, for agents. */
  readonly env: Readonly<Record<string, string>>;
  readonly #ownEnv: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;
  #first: string | undefined;

  private constructor(workdir: string, { env, signal }: Io) {
    this.workdir = workdir;
    const identity = { name: "gocore demo", email: "demo@gocore.invalid" };
    this.#ownEnv = {
      PATH: env.PATH ?? "/usr/bin:/bin",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_PAGER: "cat",
      GIT_AUTHOR_NAME: identity.name,
      GIT_AUTHOR_EMAIL: identity.email,
      GIT_COMMITTER_NAME: identity.name,
      GIT_COMMITTER_EMAIL: identity.email,
    };
    this.env = { ...Object.fromEntries(Object.entries(env).filter(([name]) => !FOREIGN.test(name))), ...this.#ownEnv };
    this.#signal = signal;
  }

  /** Writes it into a new folder, and commits it. */
  static async create(workdir: string, io: Io): Promise<DemoProject> {
    const project = new DemoProject(workdir, io);
    await Deno.mkdir(workdir);
    await Deno.writeTextFile(`${workdir}/versions.sh`, versionsScript);
    await Deno.writeTextFile(`${workdir}/test.sh`, testScript);
    const commit = ["git init -q", "git add .", 'git commit -qm "Compare version numbers"'].join(" && ");
    const { exitCode } = await project.#run(["sh", "-c", commit]);
    if (exitCode === 0) project.#first = (await project.#run(["git", "rev-parse", "HEAD"])).output.trim();
    else await Deno.copyFile(`${workdir}/versions.sh`, `${workdir}/../versions.sh.orig`);
    return project;
  }

  get hasGit(): boolean {
    return this.#first !== undefined;
  }

  test() {
    return this.#run(["sh", "test.sh"]);
  }

  /** What differs from the first state; without git, in versions.sh. */
  async diff(): Promise<string> {
    const argv: [string, ...string[]] = this.#first === undefined
      ? ["diff", "-u", "-L", "a/versions.sh", "-L", "b/versions.sh", "../versions.sh.orig", "versions.sh"]
      : ["git", "diff", this.#first];
    return (await this.#run(argv)).output;
  }

  async #run(argv: [string, ...string[]]) {
    const end = await runCommand(argv, {
      cwd: this.workdir,
      env: this.#ownEnv,
      timeoutMs: CHECK_TIMEOUT_MS,
      signal: this.#signal,
    });
    // What an interrupt has killed says nothing about the machine or the project.
    this.#signal.throwIfAborted();
    return end;
  }
}
