/** Runs git so that neither the person's settings nor those of a hostile repository have a say in what it does. */
import { Failure } from "../failure.ts";
import { restoreCommonDir } from "./common_dir.ts";

/** As much of `runCommand` as git needs. */
export type RunProgram = (argv: readonly [string, ...string[]], options: {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly maxOutputBytes: number;
  readonly stderr: "separate";
}) => Promise<{
  readonly output: string;
  readonly stderr?: string;
  readonly elidedBytes: number;
  readonly exitCode: number | null;
  readonly endedBy: "exit" | "timeout" | "abort" | "spawn_failed";
  readonly failure?: string;
}>;

/** Which files and which repository a call is about. Always given, because an agent can change what git would find. */
export interface Place {
  readonly workTree: string;
  /** Of this checkout: `.git`, or `.git/worktrees/<id>`. */
  readonly gitDir: string;
  readonly commonDir: string;
  /** Default is the checkout's own. */
  readonly indexFile?: string;
}

export interface GitEnd {
  readonly exitCode: number;
  readonly output: string;
  readonly stderr: string;
  /** The middle of `output` is missing. */
  readonly isCut: boolean;
}

export interface CallOptions {
  /** Default is 64 MiB. */
  readonly maxOutputBytes?: number;
  /** Exit codes that are an answer; default is 0 alone. */
  readonly accept?: readonly number[];
}

/** Files of any number and size are read, written and hashed in this time. */
const TIMEOUT_MS = 600_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** `git add --sparse`, and what came before it. */
const NEEDED: Version = [2, 34];
/** How long git itself may hold a lock on one of our files. An older lock belongs to a git that was killed. */
const STALE_LOCK_MS = 10_000;
const LOCK_PATIENCE_MS = 30_000;
const LOCK_HELD = /\.lock': File exists|could not lock config file/;
const LOCK_FILE = /'([^'\n]+\.lock)'/;

/** Major and minor. */
type Version = readonly [number, number];

const SEAL: Readonly<Record<string, string>> = {
  LC_ALL: "C",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_ASKPASS: "true",
  GIT_EDITOR: "true",
  GIT_PAGER: "cat",
  GIT_MERGE_AUTOEDIT: "no",
  // A missing object of a partial clone would be fetched, by programs that the repository names.
  GIT_ALLOW_PROTOCOL: "none",
  GIT_NO_LAZY_FETCH: "1",
};

const SETTINGS: readonly (readonly [string, string])[] = [
  ["safe.directory", "*"],
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.splitIndex", "false"],
  ["core.attributesFile", "/dev/null"],
  ["core.sshCommand", "false"],
  ["core.askPass", "true"],
  ["core.editor", "true"],
  ["core.pager", "cat"],
  ["core.quotePath", "false"],
  ["core.warnAmbiguousRefs", "false"],
  ["credential.helper", ""],
  ["color.ui", "false"],
  ["commit.gpgSign", "false"],
  ["merge.verifySignatures", "false"],
  ["merge.autoStash", "false"],
  ["merge.log", "0"],
  ["commit.cleanup", "verbatim"],
  ["rerere.enabled", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  // A look into a nested repository would run git with that repository's settings.
  ["diff.ignoreSubmodules", "dirty"],
  ["submodule.recurse", "false"],
  ["branch.autoSetupMerge", "false"],
  ["worktree.useRelativePaths", "false"],
];

/** The merge that git does when no driver is named. */
const PLAIN_MERGE = "git merge-file --marker-size=%L %A %O %B";

export class SealedGit {
  #settings = SETTINGS;
  #identity: Readonly<Record<string, string>> = identityOf("gocore", "gocore@localhost");

  private constructor(
    readonly version: Version,
    private readonly env: Readonly<Record<string, string>>,
    private readonly program: RunProgram,
    private readonly signal: AbortSignal,
  ) {}

  /** Throws a `Failure` when there is no git, or an old one. */
  static async start(
    env: Readonly<Record<string, string>>,
    run: RunProgram,
    signal: AbortSignal,
  ): Promise<SealedGit> {
    const git = new SealedGit(NEEDED, pick(env, ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR"]), run, signal);
    const { output } = await git.find("/", ["--version"]);
    const [, major, minor] = /(\d+)\.(\d+)/.exec(output) ?? [];
    const version: Version = [Number(major ?? 0), Number(minor ?? 0)];
    if (!isAtLeast(version, NEEDED)) {
      throw new Failure("environment", `Cannot use git: needs ${NEEDED.join(".")} or later, found "${output.trim()}"`, {
        hints: ["Install a newer git: https://git-scm.com/downloads"],
      });
    }
    return new SealedGit(version, git.env, run, signal);
  }

  /** Who commits, as git's variables: the person, if git knows them. */
  get identity(): Readonly<Record<string, string>> {
    return this.#identity;
  }

  isAtLeast(major: number, minor: number): boolean {
    return isAtLeast(this.version, [major, minor]);
  }

  /**
   * Takes from the person's own settings who commits and which files are never of interest, and takes the power from the
   * programs that the repository's settings name. `person` is the person's environment.
   */
  async adapt(place: Place, person: Readonly<Record<string, string>>): Promise<void> {
    const own = {
      ...this.env,
      ...pick(person, ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "EMAIL"]),
      ...pick(person, ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"]),
      ...placeVariables(place),
      LC_ALL: "C",
    };
    const ask = (args: readonly string[]) => this.#start(["git", ...args], place.workTree, own, MAX_OUTPUT_BYTES);
    const [author, excludes, programs] = await Promise.all([
      ask(["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"]),
      ask(["config", "-z", "--type=path", "--get", "core.excludesFile"]),
      this.run(place, ["config", "-z", "--name-only", "--get-regexp", "^(filter|merge)\\."]),
    ]);
    const [, name, email] = author.exitCode === 0 ? /^(.*?) <([^<>\n]*)> /.exec(author.output) ?? [] : [];
    if (name && email) this.#identity = identityOf(name, email);
    const ignored = excludes.exitCode === 0 ? excludes.output.split("\0")[0] : "";
    this.#settings = [
      ...SETTINGS,
      ...(ignored ? [["core.excludesFile", ignored] as const] : []),
      ...namesIn(programs.output).flatMap(harmless),
    ];
  }

  /** Runs git where it has to find the repository itself. Throws a `Failure` when it cannot be run. */
  find(cwd: string, args: readonly string[]): Promise<GitEnd> {
    return this.#start(["git", ...args], cwd, this.#sealedEnv(), MAX_OUTPUT_BYTES);
  }

  /** Any exit code is an answer. Throws a `Failure` when git cannot be run or takes too long. */
  async run(place: Place, args: readonly string[], options: CallOptions = {}): Promise<GitEnd> {
    const env = { ...this.#sealedEnv(), ...placeVariables(place) };
    const startedMs = performance.now();
    // For refs, git follows a file of this name and no variable.
    await restoreCommonDir(place);
    while (true) {
      const end = await this.#start(["git", ...args], place.workTree, env, options.maxOutputBytes ?? MAX_OUTPUT_BYTES);
      const isLocked = end.exitCode !== 0 && LOCK_HELD.test(end.stderr);
      if (!isLocked || performance.now() - startedMs > LOCK_PATIENCE_MS) return end;
      await removeStaleLock(LOCK_FILE.exec(end.stderr)?.[1], place);
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 200));
    }
  }

  /** Like `run`, but throws a `Failure` that begins with `action` for another exit code than those of `accept`. */
  async call(action: string, place: Place, args: readonly string[], options: CallOptions = {}): Promise<GitEnd> {
    const end = await this.run(place, args, options);
    if (!(options.accept ?? [0]).includes(end.exitCode)) throw gitFailure(action, args, end);
    return end;
  }

  /** The one line that git answers with. */
  async line(action: string, place: Place, args: readonly string[]): Promise<string> {
    return withoutLineEnd((await this.call(action, place, args)).output);
  }

  /** The names that git answers with, each followed by NUL. Throws rather than give a part of them. */
  async names(action: string, place: Place, args: readonly string[]): Promise<readonly string[]> {
    const { output, isCut } = await this.call(action, place, args);
    if (isCut) {
      throw new Failure("environment", `${action}: more than ${MAX_OUTPUT_BYTES >> 20} MiB of file names`, {
        hints: ["Name folders with very many files in .gitignore"],
      });
    }
    return namesIn(output);
  }

  /** The commit that a name stands for; undefined when there is none. */
  async commitOf(place: Place, name: string): Promise<string | undefined> {
    const { exitCode, output } = await this.run(place, [
      "rev-parse",
      "--verify",
      "--quiet",
      "--end-of-options",
      `${name}^{commit}`,
    ]);
    return exitCode === 0 ? withoutLineEnd(output) : undefined;
  }

  /**
   * The commit of a branch, or else of whatever has this name: git itself would prefer what was saved as
   * `refs/gocore/x` to the branch `gocore/x`. Throws a `Failure` that begins with `action` when there is none.
   */
  async requireCommit(action: string, place: Place, name: string): Promise<string> {
    const ofBranch = /^(?:HEAD|[0-9a-f]{40,64})$/.test(name)
      ? undefined
      : await this.commitOf(place, `refs/heads/${name}`);
    const commit = ofBranch ?? await this.commitOf(place, name);
    if (commit === undefined) throw new Failure("environment", `${action}: needs a commit, found no "${name}"`);
    return commit;
  }

  /** Whether all of `older` is in `newer`; a commit is its own ancestor. */
  async isAncestor(place: Place, older: string, newer: string): Promise<boolean> {
    const args = ["merge-base", "--is-ancestor", older, newer];
    return (await this.call("Cannot compare commits", place, args, { accept: [0, 1] })).exitCode === 0;
  }

  #sealedEnv(): Record<string, string> {
    const env: Record<string, string> = { ...this.env, ...SEAL, ...this.#identity };
    env.GIT_CONFIG_COUNT = String(this.#settings.length);
    for (const [i, [key, value]] of this.#settings.entries()) {
      env[`GIT_CONFIG_KEY_${i}`] = key;
      env[`GIT_CONFIG_VALUE_${i}`] = value;
    }
    return env;
  }

  async #start(
    argv: readonly [string, ...string[]],
    cwd: string,
    env: Readonly<Record<string, string>>,
    maxOutputBytes: number,
  ): Promise<GitEnd> {
    const { signal } = this;
    const end = await this.program(argv, {
      cwd,
      env,
      timeoutMs: TIMEOUT_MS,
      signal,
      maxOutputBytes,
      stderr: "separate",
    });
    if (end.endedBy === "abort") throw signal.reason;
    if (end.endedBy === "spawn_failed") {
      throw new Failure("environment", end.failure ?? "Cannot run git", {
        hints: ["Install git, for example `apt install git`: https://git-scm.com/downloads"],
      });
    }
    if (end.exitCode === null) {
      throw new Failure("environment", `Cannot run "git ${argv[1]}": it took more than ${TIMEOUT_MS / 60_000} minutes`);
    }
    return { exitCode: end.exitCode, output: end.output, stderr: end.stderr ?? "", isCut: end.elidedBytes > 0 };
  }
}

/** The last lines that git wrote are the ones that say why. */
export function gitFailure(action: string, args: readonly string[], { exitCode, output, stderr }: GitEnd): Failure {
  const said = (stderr.trim() || output.trim()).slice(-2000);
  return new Failure("environment", `${action}: \`git ${args[0]}\` ended with ${exitCode}: ${said}`, {
    type: "GitError",
  });
}

/** For `-z` output. */
export function namesIn(output: string): readonly string[] {
  return output.split("\0").slice(0, -1);
}

/** git's own one, not the rest of a name that ends with them. */
export function withoutLineEnd(output: string): string {
  return output.replace(/\n$/, "");
}

/** A message as an argument: a program takes no NUL and only so many bytes. */
export function messageArgument(message: string): string {
  return message.replaceAll("\0", "").slice(0, 20_000);
}

const isAtLeast = ([major, minor]: Version, [neededMajor, neededMinor]: Version) =>
  major > neededMajor || major === neededMajor && minor >= neededMinor;

function identityOf(name: string, email: string): Readonly<Record<string, string>> {
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

function placeVariables({ workTree, gitDir, commonDir, indexFile }: Place): Record<string, string> {
  const index: Record<string, string> = indexFile === undefined ? {} : { GIT_INDEX_FILE: indexFile };
  return { GIT_WORK_TREE: workTree, GIT_DIR: gitDir, GIT_COMMON_DIR: commonDir, ...index };
}

function pick(env: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => env[name] === undefined ? [] : [[name, env[name]]]));
}

/** The setting that takes the power from one that names a program. */
function harmless(key: string): readonly (readonly [string, string])[] {
  if (/^filter\..*\.(?:clean|smudge|process)$/s.test(key)) return [[key, ""]];
  if (/^filter\..*\.required$/s.test(key)) return [[key, "false"]];
  return /^merge\..*\.driver$/s.test(key) ? [[key, PLAIN_MERGE]] : [];
}

/** Only what an orchestration writes: an old lock of the person's own checkout is the person's to judge. */
async function removeStaleLock(path: string | undefined, { gitDir, commonDir }: Place): Promise<void> {
  if (path === undefined) return;
  const isOfWorktree = gitDir !== commonDir && path.startsWith(`${gitDir}/`);
  if (!isOfWorktree && !path.startsWith(`${commonDir}/refs/`)) return;
  const touchedMs = await Deno.lstat(path).then(({ mtime }) => mtime?.getTime(), () => undefined);
  if (touchedMs === undefined || Date.now() - touchedMs < STALE_LOCK_MS) return;
  await Deno.remove(path).catch(() => {});
}
