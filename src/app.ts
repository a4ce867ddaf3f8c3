/** The table of commands, and the way from arguments to an exit code. */
import type { Command, CommandUnknownOpts } from "@commander-js/extra-typings";
import { describeFailure, EXIT_SUCCESS, exitCodeOf, Failure } from "./failure.ts";
import { escapeTerminal } from "./safety/escape_terminal.ts";
import type { Io } from "./terminal/io.ts";

interface CommandEntry {
  readonly summary: string;
  /** The command's module; loaded only when the command is named. */
  load(): Promise<CommandModule>;
}

/** What a file in `commands/` exports. */
export interface CommandModule {
  /** Adds flags, help and action to the empty command; the action returns the exit code through `done`. */
  define(command: Command, io: Io, done: (exitCode: number) => void): void;
  /** Tells a usage error in the command's own way, or returns undefined to have it told on stderr. */
  reportUsageFailure?(failure: Failure, args: readonly string[], io: Io): Promise<number | undefined>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  mini: {
    summary: "Work on a task in a repository: a model, a shell, a loop",
    load: () => import("./commands/mini.ts"),
  },
  orchestrate: {
    summary: "Put several agents on one task: roles, reviews, recovery, budget, one result",
    load: () => import("./commands/orchestrate.ts"),
  },
  manager: {
    summary: "Turn an issue into a proven minimal reproducer and ranked hypotheses",
    load: () => import("./commands/manager.ts"),
  },
  run: {
    summary: "Start a manager run in a process of its own, to be watched and left alone",
    load: () => import("./commands/run.ts"),
  },
  status: {
    summary: "Show how a manager run stands",
    load: () => import("./commands/status.ts"),
  },
  attach: {
    summary: "Watch a worker of a manager run in its tmux session",
    load: () => import("./commands/attach.ts"),
  },
  send: {
    summary: "Tell a worker of a manager run something",
    load: () => import("./commands/send.ts"),
  },
  stop: {
    summary: "End a manager run",
    load: () => import("./commands/stop.ts"),
  },
  serve: {
    summary: "Show all runs in the browser and over HTTP, and start them, also by schedule",
    load: () => import("./commands/serve.ts"),
  },
  report: {
    summary: "Write a run down as one file: HTML, Markdown or JSON",
    load: () => import("./commands/report.ts"),
  },
  minimize: {
    summary: "Make a test case as small as it can be while it still fails the same way",
    load: () => import("./commands/minimize.ts"),
  },
  gateway: {
    summary: "Meter, budget, record and replay every model call of agents",
    load: () => import("./commands/gateway.ts"),
  },
  eval: {
    summary: "Compare what comes of issues with what is known about them",
    load: () => import("./commands/eval.ts"),
  },
  demo: {
    summary: "Watch agents mend a small repository and review each other; needs no key",
    load: () => import("./commands/demo.ts"),
  },
};

const EXAMPLES = `
Examples:
  gocore demo
  gocore mini --headless --task "Fix the failing test in tests/date_test.py"
  gocore mini --headless --model openai/gpt-5 --workdir ./project --task "Add input validation"
  gocore orchestrate --budget 5 --verify "npm test" "Add input validation to the signup form"
  gocore gateway --cap-run 5

Each command has its own help: gocore mini --help
`;

/**
 * Runs gocore with these arguments (without the program's name). Never throws and never exits: every way a command can
 * end is an exit code, 0 for success, 2 for wrong usage, 128 + n for a signal, 1 for anything else.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const words = args.filter((arg) => !arg.startsWith("-"));
  const name = (words[0] === "help" ? words[1] : words[0]) ?? "";
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  let module: CommandModule | undefined;
  try {
    const loading = entry?.load();
    const [{ Command, CommanderError }, { VERSION }] = await Promise.all([
      import("@commander-js/extra-typings"),
      import("./config/version.ts"),
    ]);
    module = await loading;
    let exitCode: number = EXIT_SUCCESS;
    const texts: Promise<void>[] = [];
    const program: Command = new Command("gocore")
      .description("Runs, supervises and proves the work of coding agents.")
      .version(`gocore ${VERSION}`, "-V, --version", "Print the version")
      .helpOption("-h, --help", "Print this help")
      .helpCommand("help [command]", "Print the help of a command")
      .addHelpText("after", EXAMPLES)
      .exitOverride()
      .configureOutput({
        writeOut: (text) => void texts.push(io.stdout.write(text)),
        // Errors are thrown too, and told once, below.
        writeErr: () => {},
        outputError: () => {},
        getOutHelpWidth: () => 100,
        getErrHelpWidth: () => 100,
      });
    for (const [command, { summary }] of Object.entries(COMMANDS)) {
      const defined = program.command(command).description(summary).helpOption("-h, --help", "Print this help");
      if (command === name) module?.define(defined as unknown as Command, io, (code) => exitCode = code);
    }
    try {
      if (args.length === 0) throw usageFailure(NO_COMMAND, "");
      await program.parseAsync([...args], { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      const path = commandPath(program, words);
      // What commander has for `help nope`, and for a command that only has commands, says nothing.
      if (error.code === "commander.help" && entry === undefined) throw usageFailure(`unknown command '${name}'`, path);
      if (error.code === "commander.help" && error.exitCode !== 0) throw usageFailure(NO_COMMAND, path);
      if (error.exitCode !== 0) throw usageFailure(error.message, path);
    }
    await Promise.all(texts);
    return exitCode;
  } catch (error) {
    if (error instanceof Failure && error.kind === "closed") return exitCodeOf(error);
    if (error instanceof Failure && error.kind === "usage") {
      const reported = await module?.reportUsageFailure?.(error, args, io);
      if (reported !== undefined) return reported;
    }
    io.stderr.write(escapeTerminal(describeFailure(error))).catch(() => {});
    return exitCodeOf(error);
  } finally {
    await Promise.all([io.stdout.flush(EXIT_FLUSH_MS), io.stderr.flush(EXIT_FLUSH_MS)]);
  }
}

/** How long a reader that takes nothing may hold up the exit. */
const EXIT_FLUSH_MS = 2000;
const NO_COMMAND = "Which command? None was given";

/** The names of commands that the words begin with, each with a space after it: `gateway key `. */
function commandPath({ commands }: CommandUnknownOpts, [word, ...rest]: readonly string[]): string {
  const named = commands.find((command) => command.name() === word);
  return named === undefined ? "" : `${word} ${commandPath(named, rest)}`;
}

/** commander's `error: unknown option '--modle'\n(Did you mean --model?)` in our grammar. */
function usageFailure(message: string, path: string): Failure {
  const [first = "", ...rest] = message.replace(/^error: /, "").split("\n");
  const suggestion = /\(Did you mean (.+?)\?\)/.exec(rest.join(" "))?.[1];
  const sentence = (first.charAt(0).toUpperCase() + first.slice(1)).replaceAll("'", '"').replace(/\.$/, "");
  return new Failure("usage", sentence, {
    hints: [
      ...(first.startsWith("too many arguments") ? ["Put a text with spaces in quotes, after its flag"] : []),
      ...(suggestion === undefined ? [] : [`Did you mean \`${suggestion.replace("one of ", "")}\`?`]),
      `See \`gocore ${path}--help\``,
    ],
  });
}
