/** The agent's commands on this machine: each in a fresh shell, ended with everything that it started. */
import type { MiniSettings } from "../config/mini_settings.ts";
import type { CommandEnd, runCommand } from "../process/spawn.ts";
import type { CommandResult, Environment } from "./environment.ts";

/** What `uname` says, under the names that prompt templates use. */
export interface Uname {
  readonly system: string;
  /** The name of the machine in the network. */
  readonly node: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
}

export interface LocalEnvironmentOptions {
  readonly settings: MiniSettings["environment"];
  /** The configured section, unknown keys included: the base of the template variables. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** What commands inherit, without secrets. `settings.env` goes on top of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly uname: Uname;
  readonly run: typeof runCommand;
}

/** The variables of the commands that templates may use; whatever else is there stays out of prompts. */
const TEMPLATE_VARIABLES = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

export class LocalEnvironment implements Environment {
  readonly #options: LocalEnvironmentOptions;
  readonly #env: Readonly<Record<string, string>>;

  constructor(options: LocalEnvironmentOptions) {
    this.#options = options;
    this.#env = { ...options.env, ...options.settings.env };
  }

  async execute(command: string, { signal }: { signal: AbortSignal }): Promise<CommandResult> {
    const { settings, run } = this.#options;
    signal.throwIfAborted();
    const end = await run(commandLine(settings.interpreter, command), {
      cwd: settings.cwd,
      env: this.#env,
      timeoutMs: settings.timeoutSeconds * 1000,
      signal,
    });
    // Also when the command was faster than its end: the caller has been told to stop.
    signal.throwIfAborted();
    return {
      output: end.output,
      elidedBytes: end.elidedBytes,
      exitCode: end.exitCode ?? -1,
      exceptionInfo: explainEnd(end, settings.timeoutSeconds),
      timedOut: end.endedBy === "timeout",
      durationMs: end.durationMs,
    };
  }

  templateVariables(): Record<string, unknown> {
    const { settings, raw, uname } = this.#options;
    const env = this.#env;
    const allowed = TEMPLATE_VARIABLES.filter((name) => Object.hasOwn(env, name)).map((name) => [name, env[name]]);
    return {
      ...Object.fromEntries(allowed),
      ...uname,
      ...raw,
      cwd: settings.cwd,
      timeout: settings.timeoutSeconds,
      env: { ...settings.env },
    };
  }
}

function explainEnd(end: CommandEnd, timeoutSeconds: number): string {
  switch (end.endedBy) {
    case "timeout":
      return `The command timed out after ${timeoutSeconds} second${timeoutSeconds === 1 ? "" : "s"} and was killed`;
    case "spawn_failed":
      return end.failure ?? "The command could not be started";
    case "abort":
      return "The command was killed";
    case "exit":
      return "";
  }
}

/** Linux takes 128 KiB in one argument, the zero at its end included. */
const LONGEST_ARGUMENT_BYTES = 128 * 1024 - 1;
/** In UTF-16 units, each of which is at most 3 bytes of UTF-8. */
const PART_LENGTH = 40_000;
const POSIX_SHELL = /(?:^|\/)(?:ba|da|k|mk|z|a)?sh$/;

/**
 * The interpreter with the command as its last argument. A text that is too long for one argument is given to a shell
 * in parts, which it joins and evaluates in the same state as otherwise: `$0` its name, no positional parameters.
 */
function commandLine(interpreter: readonly [string, ...string[]], command: string): [string, ...string[]] {
  const [program, ...flags] = interpreter;
  const shell = interpreter.findLast((word) => POSIX_SHELL.test(word));
  const takesText = /^-[a-zA-Z]*c$/.test(interpreter.at(-1) ?? "");
  const isShort = command.length <= PART_LENGTH || new TextEncoder().encode(command).length <= LONGEST_ARGUMENT_BYTES;
  if (isShort || shell === undefined || !takesText) return [program, ...flags, command];
  const parts: string[] = [];
  for (let start = 0; start < command.length;) {
    let end = start + PART_LENGTH;
    // Not between the halves of a surrogate pair: alone they would not survive the way into an argument.
    if (/[\uD800-\uDBFF]/.test(command[end - 1] ?? "")) end++;
    parts.push(command.slice(start, end));
    start = end;
  }
  const joined = parts.map((_, index) => `\${${index + 1}}`).join("");
  return [program, ...flags, `set -- "${joined}"; eval "shift;$1"`, shell, ...parts];
}
