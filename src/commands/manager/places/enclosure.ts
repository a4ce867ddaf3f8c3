/** Runs commands in a tree of files that always stands at the same path, in a sandbox where there is one. */
import { join } from "node:path";
import { Failure } from "../../../failure.ts";
import { findProgram } from "../../../process/find_program.ts";
import { type LimitedEnd, LimitedRuns, type RunLimits } from "../../../process/limited_runs.ts";
import { type OpenSandbox, openSandbox, type SandboxRequest } from "../../../process/sandbox.ts";
import type { runCommand } from "../../../process/spawn.ts";

/** What is to be seen at the path of the place. */
export type Tree =
  /** A folder: what is written stays. */
  | { readonly kind: "folder"; readonly path: string }
  /** A folder that stays as it is; `upper` takes what is written, `work` is the kernel's. */
  | { readonly kind: "overlay"; readonly lower: string; readonly upper: string; readonly work: string };

/** Of Python, shown as `venv` in the place. */
export interface ShownVenv {
  readonly path: string;
  readonly isWritable: boolean;
}

export interface EnclosedCommand {
  /** For `/bin/sh -c`. */
  readonly command: string;
  /** Below the place. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly venv: ShownVenv | undefined;
  readonly network: boolean;
  readonly timeoutMs: number;
  /** In a PID namespace, so many have ended when it begins: without them each run would have the same number. */
  readonly processesBefore?: number;
  readonly signal: AbortSignal;
}

export interface EnclosureParts {
  /** Absolute and without links: an empty folder. The place is its folder `place`. */
  readonly folder: string;
  readonly mode: SandboxRequest["mode"];
  readonly readable: readonly string[];
  readonly hidden: readonly string[];
  readonly hideHome: string | undefined;
  /** Of each command. */
  readonly limits: RunLimits;
  /** The person's, to find bubblewrap. */
  readonly path: string | undefined;
  readonly run: typeof runCommand;
  /** Ends what is not a command's. */
  readonly signal: AbortSignal;
}

/** In the tree, made by the first program inside: without it, what ended was not the command. */
const STARTED = "record/started";
const MAX_OUTPUT_BYTES = 512 * 1024;
const PROBE_TIMEOUT_MS = 10_000;
/** As root of a user namespace of our own, if we are not root. Everything in it is gone with its last process. */
const MOUNT = 'mount -t overlay -o "$1" overlay "$2" && shift 2 && exec "$@"';
/** What would end an option of mount, or a folder of several. */
const NO_OPTION = /[,:\\"\n]/;
/** No core dumps, and no file of more than 2 GiB (in blocks of 512 bytes): a loop that writes is not to fill the disk. */
const INSIDE = ': > "$0" && ulimit -c 0 && ulimit -f 4194304 && exec /bin/sh -c "$1"';
/** In a PID namespace nothing has to be found by its mark. */
const INSIDE_UNMARKED = `cd "$2" && unset GOCORE_COMMAND OLDPWD && for _ in $3; do (:); done && ${INSIDE}`;

export class Enclosure {
  /** For trees that stand at the path of the place, by what they are asked for. */
  readonly #sandboxes = new Map<string, OpenSandbox>();
  /** The end of the last one that was given the place, where there is only one. */
  #turn: Promise<unknown> = Promise.resolve();
  #overlay: Promise<boolean> | undefined;
  #readable: readonly string[];
  readonly #limited: LimitedRuns;

  private constructor(
    private readonly parts: EnclosureParts,
    /** Without a sandbox, commands run one after the other, because all run at the same path. */
    readonly isConfined: boolean,
    /** Why nothing is confined; "" where it is. */
    readonly problem: string,
  ) {
    this.#readable = parts.readable;
    this.#limited = new LimitedRuns(parts.limits, parts.run);
  }

  static async open(parts: EnclosureParts): Promise<Enclosure> {
    // Where something is to be shown, something has to be.
    await Deno.mkdir(join(parts.folder, "place/venv"), { recursive: true });
    const { readable, hidden, mode, hideHome } = parts;
    const request = { mode, writable: [], readable, protected: [], network: false, hideHome, hidden };
    const { enforced, detail } = await openSandbox(request, placeOf(parts));
    return new Enclosure(parts, enforced, enforced ? "" : detail);
  }

  /** The path at which every command sees its tree. */
  get place(): string {
    return join(this.parts.folder, "place");
  }

  /** In words, for the record. */
  async describe({ network }: { readonly network: boolean }): Promise<string> {
    const limits = await this.#limited.describe();
    if (!this.isConfined) return `none: ${this.problem}; ${limits}`;
    const access = `writes nothing outside of its copy, network ${network ? "on" : "off"}`;
    return `bubblewrap: ${access}, own PID namespace; ${limits}`;
  }

  /** Nothing may run any more. */
  close(): Promise<void> {
    return this.#limited.close();
  }

  /** Whether trees of the kind `overlay` are possible; tried once. */
  canOverlay(): Promise<boolean> {
    return this.#overlay ??= this.#tryOverlay();
  }

  /**
   * Everything that it started has ended when this resolves. In a sandbox, `/tmp` was its own.
   *
   * Throws the reason of `signal`, and a `Failure` when the sandbox itself does not work; nothing for what the command
   * does.
   */
  async run(tree: Tree, command: EnclosedCommand): Promise<LimitedEnd> {
    const end = this.isConfined ? await this.#confined(tree, command) : await this.#inTurn(tree, command);
    command.signal.throwIfAborted();
    if (end.endedBy === "timeout" || end.endedBy === "limit" || hasStarted(tree)) return end;
    const said = (end.failure ?? (end.stderr || end.output)).trim().slice(-1000);
    throw new Failure("environment", `Cannot run a command in a clean place: ${said || `exit ${end.exitCode}`}`);
  }

  async #confined(tree: Tree, command: EnclosedCommand): Promise<LimitedEnd> {
    const source = tree.kind === "folder" ? tree.path : undefined;
    const sandbox = await this.#sandbox(command, source);
    const words = sandbox.wrap([
      "/bin/sh",
      "-c",
      INSIDE_UNMARKED,
      join(this.place, STARTED),
      command.command,
      join(this.place, command.cwd),
      ". ".repeat(command.processesBefore ?? 0),
    ]);
    const argv = tree.kind === "folder" ? words : this.#overlaid(tree, words);
    return await this.#limited.run(argv, { ...this.#options(command), cwd: "/" });
  }

  #overlaid(tree: Tree & { kind: "overlay" }, [bwrap, ...rest]: [string, ...string[]]): [string, ...string[]] {
    const isRoot = Deno.uid() === 0;
    const options = [
      `lowerdir=${tree.lower}`,
      `upperdir=${tree.upper}`,
      `workdir=${tree.work}`,
      ...(isRoot ? [] : ["userxattr"]),
    ];
    return [
      findProgram("unshare", SYSTEM_PATH, "/") ?? "unshare",
      ...(isRoot ? [] : ["--user", "--map-root-user"]),
      ...["--mount", "--", "/bin/sh", "-c", MOUNT, "sh", options.join(","), this.place, bwrap],
      ...(isRoot ? [] : ["--unshare-user", "--uid", `${Deno.uid()}`, "--gid", `${Deno.gid()}`]),
      ...rest,
    ];
  }

  /** Makes what has to be made at the path of the place, with nothing else there. */
  async withPlace<T>(work: (place: string) => Promise<T>): Promise<T> {
    return await this.#alone(async () => {
      await removeTree(this.place, this.parts.run);
      await Deno.mkdir(this.place);
      try {
        return await work(this.place);
      } finally {
        await Deno.mkdir(join(this.place, "venv"), { recursive: true });
      }
    });
  }

  /** From now on these are readable, wherever they are. */
  show(paths: readonly string[]): void {
    this.#readable = [...this.#readable, ...paths];
    this.#sandboxes.clear();
  }

  /** Where nothing can be shown at another path, the tree itself is put there for as long as the command runs. */
  async #inTurn(tree: Tree, command: EnclosedCommand): Promise<LimitedEnd> {
    if (tree.kind !== "folder") throw new TypeError("Without a sandbox there are no overlays");
    return await this.#alone(async () => {
      command.signal.throwIfAborted();
      await removeTree(this.place, this.parts.run);
      await Deno.rename(tree.path, this.place);
      const venv = join(this.place, "venv");
      try {
        if (command.venv !== undefined) await Deno.rename(command.venv.path, venv);
        const argv = ["/bin/sh", "-c", INSIDE, join(this.place, STARTED), command.command] as const;
        return await this.#limited.run(argv, {
          ...this.#options(command),
          cwd: join(this.place, command.cwd),
          background: "end",
        });
      } finally {
        // It may have taken them away: then this shows as a tree without its record.
        if (command.venv !== undefined) {
          await Deno.rename(venv, command.venv.path).catch(() => {});
          await Deno.mkdir(venv).catch(() => {});
        }
        await Deno.rename(this.place, tree.path).catch(() => {});
      }
    });
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const own = Promise.withResolvers<void>();
    this.#turn = own.promise;
    await before;
    try {
      return await work();
    } finally {
      own.resolve();
    }
  }

  #options({ env, timeoutMs, signal }: EnclosedCommand) {
    return { env, timeoutMs, signal, stderr: "separate", maxOutputBytes: MAX_OUTPUT_BYTES, graceMs: 0 } as const;
  }

  /** @param source what is to stand at the path of the place; undefined: it stands there */
  async #sandbox(
    { network, venv }: Pick<EnclosedCommand, "network" | "venv">,
    source: string | undefined,
  ): Promise<OpenSandbox> {
    const key = JSON.stringify([network, venv]);
    const known = source === undefined ? this.#sandboxes.get(key) : undefined;
    if (known !== undefined) return known;
    const { mode, hideHome, hidden } = this.parts;
    const venvPath = join(this.place, "venv");
    const request: SandboxRequest = {
      mode,
      writable: [this.place, ...(venv?.isWritable ? [venvPath] : [])],
      readable: this.#readable,
      protected: venv === undefined || venv.isWritable ? [] : [venvPath],
      network,
      hideHome,
      hidden,
      sources: new Map([
        ...(source === undefined ? [] : [[this.place, source] as const]),
        ...(venv === undefined ? [] : [[venvPath, venv.path] as const]),
      ]),
    };
    const sandbox = await openSandbox(request, placeOf(this.parts));
    if (source === undefined) this.#sandboxes.set(key, sandbox);
    return sandbox;
  }

  async #tryOverlay(): Promise<boolean> {
    const { folder, signal } = this.parts;
    if (!this.isConfined || NO_OPTION.test(folder)) return false;
    const probe = join(folder, "probe");
    const tree: Tree = { kind: "overlay", lower: `${probe}/lower`, upper: `${probe}/upper`, work: `${probe}/work` };
    for (const path of [`${tree.lower}/record`, tree.upper, tree.work]) await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(`${tree.lower}/file`, "lower");
    const command = 'test "$(cat file)" = lower && mkdir -p new && mv file new/ && echo upper > file && rm -r new';
    const end = await this.#confined(tree, {
      command,
      cwd: ".",
      env: {},
      venv: undefined,
      network: false,
      timeoutMs: PROBE_TIMEOUT_MS,
      signal,
    });
    signal.throwIfAborted();
    const isKept = await Deno.readTextFile(`${tree.lower}/file`) === "lower";
    const isTaken = await Deno.readTextFile(`${tree.upper}/file`).catch(() => "") === "upper\n";
    await removeTree(probe, this.parts.run);
    return end.exitCode === 0 && isKept && isTaken;
  }
}

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const placeOf = ({ folder, path }: EnclosureParts) => ({ cwd: join(folder, "place"), path, program: "/bin/sh" });

function hasStarted(tree: Tree): boolean {
  try {
    Deno.lstatSync(join(tree.kind === "folder" ? tree.path : tree.upper, STARTED));
    return true;
  } catch {
    return false;
  }
}

/** Also with folders that nobody may write to, as the module cache of Go has them. Never throws. */
export async function removeTree(path: string, run: typeof runCommand): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const options = { cwd: "/", env: {}, timeoutMs: 60_000, signal: new AbortController().signal };
    await run(["chmod", "-R", "u+rwX", path], options);
    await run(["rm", "-rf", path], options);
  }
}
