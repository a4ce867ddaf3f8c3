/** `gocore orchestrate` with its commands `list`, `show`, `pause`, `resume`, `stop`, `review` and `answer`. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { closestName, Failure } from "../failure.ts";
import type { Io } from "../terminal/io.ts";

const HELP = `
Agents that are installed and can log in are given roles: an architect, an implementer, a problem solver. Each
works in its own git worktree; others review what it did; branches are merged, checked and reported in
final.md. Their model calls go through a gateway inside, which holds the keys and the budget. Progress is
shown on a terminal; with a dashboard at http://127.0.0.1:8000 unless --no-dashboard.

--agents and --model name gemini, claude, codex, mini, or what the file of --config declares. A heavier agent
gets the heavier part: claude=2. A task that is also the name of a command is given with --task.

Settings: flags > environment > --config FILE > defaults. A resumed session keeps the flags of its start where
no others are given. README explains the file.

Exit codes: 0 done, and checked by --verify or approved by review; 1 failed, stopped, escalated or out of
budget; 2 wrong usage; 75 needs an answer, then --resume; 130 and 143 after SIGINT and SIGTERM.

Examples:
  gocore orchestrate "Add input validation to the signup form"
  gocore orchestrate --agents gemini,claude=2 --budget 5 --verify "npm test" "Port the parser to TypeScript"
  gocore orchestrate --target ./project --no-dashboard --json --task "Fix issue 12" > events.jsonl
  gocore orchestrate show                    then, if it asks: answer "Use UTC everywhere"
  gocore orchestrate --resume last

Environment:
  ORCHESTRATOR_WORKSPACE                     as --workspace
  ORCHESTRATOR_LOG_LEVEL                     DEBUG, INFO (default), WARNING or ERROR
  GOCORE_ORCHESTRATE_CONFIG                  as --config
  GOCORE_ORCHESTRATE_TOKEN                   what browsers and clients of other machines have to send
  ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY   the providers' keys; only the gateway inside has them
`;

const LIST_HELP = `
A session is "cut off" when the process that supervised it is dead; \`gocore orchestrate --resume SESSION\`
goes on with it. A cost that nobody knows is "?".
`;

const SHOW_HELP = `
With --json it is what GET /api/summary of the dashboard answers.

Examples:
  gocore orchestrate show
  gocore orchestrate show orch_20251121_175811 --json
`;

const CONTROL_HELP = `
Exit codes: 0 the session has taken it, 1 nobody supervises the session or it does not react, 2 wrong usage.
A session that nobody supervises takes it when it is resumed.
`;

const ANSWER_HELP = `
Without a session it is the newest one, without --question its oldest open question; \`show\` shows them.

Exit codes: 0 the session has taken it, or will when it is resumed; 1 it does not react; 2 wrong usage.

Examples:
  gocore orchestrate answer "Use UTC everywhere"
  gocore orchestrate answer orch_20251121_175811 "Keep the old name" --question q2
`;

const CONTROLS = {
  pause: "Hold all workers of a session",
  resume: "Let the workers of a session go on that were held",
  stop: "End a session, and keep the work of its agents",
  review: "Have the work so far reviewed by other agents",
} as const;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  // `--workspace` and others are flags of the sub-commands too: each takes those that stand after it.
  command.parent?.enablePositionalOptions();
  const orchestrate = command
    .enablePositionalOptions()
    .usage(
      '[options] "task"\n       gocore orchestrate --resume <session> [options]\n       gocore orchestrate <command>',
    )
    .option("--task <text>", "What to do, instead of the argument")
    .option("--target <path>", "The project (default: current directory)")
    .option("--workspace <path>", "Where sessions are kept (default: {target}/.gocore/workspace)")
    .option("--resume <session>", "Go on with a session that was cut off or has ended; last: the newest")
    .option("--agents <list>", "Who works, the most wanted first: gemini,claude=2 (default: all)")
    .option("--model <agent=model>", "The model of an agent; may be repeated", collect)
    .option("--plan <plan>", "default (three roles), auto (an agent plans), or a JSON file")
    .option("--budget <usd>", "The most that the session's model calls may cost", decimal("USD"))
    .option("--agent-budget <agent=usd>", "The most that an agent may cost; may be repeated", collect)
    .option("--verify <command>", "Decides about the merged result by its exit code")
    .option("--shared", "No worktrees: all work in the target itself")
    .addOption(new Option("--no-shared").hideHelp())
    .addOption(new Option("--apply").hideHelp())
    .option("--no-apply", "Leave the result on its branch")
    .addOption(new Option("--reviews").hideHelp())
    .option("--no-reviews", "No reviews by other agents, but those that are asked for")
    .option("--reviewers <n>", "How many look at each piece of work (default: 2)", integer)
    .option("--revisions <n>", "How often an author is given concerns to mend (default: 1)", integer)
    .option(
      "--worker-cpu-percent <n>",
      "Of all processors, for each worker; 0: no limit (default: 50)",
      decimal("percent"),
    )
    .option("--worker-memory-mb <n>", "For each worker; 0: no limit (default: 2048)", decimal("MB"))
    .option("--worker-timeout-sec <n>", "For each worker; 0: no limit (default: 3600)", decimal("seconds"))
    .addOption(
      new Option("--sandbox <mode>", "Around workers (default: prefer)")
        .choices(["require", "prefer", "off"] as const),
    )
    .addOption(
      new Option("--backend <name>", "Of workers (default: process)")
        .choices(["process", "tmux"] as const),
    )
    .option(
      "--answer-timeout-sec <n>",
      "How long a question waits before the session ends (default: 3600)",
      decimal("seconds"),
    )
    .addOption(new Option("--dashboard").hideHelp())
    .option("--no-dashboard", "Serve no page and no API")
    .option("--host <address>", "Where to serve it; other machines need a token (default: 127.0.0.1)")
    .option("--port <n>", "0: any free one (default: 8000, or a free one)", port)
    .option("--config <file>", "Settings in TOML (default: none)")
    .option("--gateway-config <file>", "Settings of the gateway inside (default: none)")
    .option("--ledger <file>", "Accounts for each model call (default: {target}/.gocore/ledger.db)")
    .addOption(
      new Option("--script <file>", "Answer all models from a script, as `gocore gateway --script` does")
        .conflicts(["record", "replay"]),
    )
    .addOption(new Option("--record <dir>", "Keep every exchange with the models, to be replayed").conflicts("replay"))
    .option("--replay <dir>", "Answer from what was recorded; no provider is asked")
    .option("-v, --verbose", "Log more, as ORCHESTRATOR_LOG_LEVEL=DEBUG")
    .option("--json", "All events as JSON Lines on stdout, instead of progress")
    .addHelpText("after", HELP);

  const before = () => placeBefore(orchestrate.opts());

  placed(orchestrate.command("list").description("List the sessions, the newest first"))
    .option("--json", "One JSON document")
    .addHelpText("after", LIST_HELP)
    .action(async (flags) => {
      const place = before();
      const { runList } = await import("./orchestrate/list_sessions.ts");
      done(await runList({ ...place, ...flags }, io));
    });

  placed(orchestrate.command("show").description("Show a session: tasks, workers, reviews, questions, cost, result"))
    .argument("[session]", SESSION)
    .option("--json", "One JSON document")
    .addHelpText("after", SHOW_HELP)
    .action(async (session, flags) => {
      const place = before();
      const { runShow } = await import("./orchestrate/show.ts");
      done(await runShow({ ...place, ...flags, session: session ?? "last" }, io));
    });

  for (const [name, summary] of Object.entries(CONTROLS) as [keyof typeof CONTROLS, string][]) {
    const control = placed(orchestrate.command(name).description(summary)).argument("[session]", SESSION);
    // The others are about the session as a whole.
    if (name === "review") control.option("--worker <name>", "Only its work (default: of all that have a task)");
    control
      .option("--reason <text>", "Goes into the session's log")
      .addHelpText("after", CONTROL_HELP)
      .action(async (session, { reason, ...flags }) => {
        const place = before();
        const { sendControl } = await import("./orchestrate/control_commands.ts");
        done(await sendControl(name, { ...place, ...flags, session: session ?? "last", text: reason }, io));
      });
  }

  placed(orchestrate.command("answer").description("Answer a question that a session waits for"))
    .usage("[options] [session] <text>")
    .argument("<text...>")
    .option("--question <id>", "The question (default: the oldest that is open)")
    .addHelpText("after", ANSWER_HELP)
    .action(async (words, flags) => {
      const place = { ...before(), ...flags };
      if (words.length > 2) throw inQuotes("answer", `answer "${words.join(" ")}"`);
      const { readAnswer, sendControl } = await import("./orchestrate/control_commands.ts");
      const { session, text } = await readAnswer(words, { flags: place, io });
      done(await sendControl("answer", { ...place, session, text }, io));
    });

  // Last, because sub-commands inherit it.
  orchestrate.allowExcessArguments().action(async ({ resume, ...flags }) => {
    const task = taskOf(orchestrate.args, {
      flag: flags.task,
      commands: orchestrate.commands.map((sub) => sub.name()),
    });
    const { readOptions } = await import("./orchestrate/read_options.ts");
    const request = await readOptions({ env: io.env, cwd: io.cwd, flags: { ...flags, task }, resume });
    const { runSession } = await import("./orchestrate/run_session.ts");
    done(await runSession(request, io));
  });
}

const SESSION = "As `list` shows it (default: last, the newest)";

/** Where sessions are is said in the same way everywhere. */
function placed(command: Command) {
  return command
    .option("--workspace <path>", "Where sessions are kept (default: as `gocore orchestrate` takes it)")
    .option("--target <path>", "The project (default: current directory)")
    .option("--config <file>", "Settings in TOML (default: none)");
}

/** What stands before a command: of where sessions are it is heeded, of anything else it would be lost. */
function placeBefore(
  { workspace, target, config, ...others }: {
    readonly workspace?: string;
    readonly target?: string;
    readonly config?: string;
  },
): { workspace?: string; target?: string; config?: string } {
  const [name] = Object.keys(others);
  if (name !== undefined) {
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new Failure("usage", `Cannot use --${flag} before a command: it is a flag of a session's start`, {
      hints: ["Put the flags of the command after it; see `gocore orchestrate --help`"],
    });
  }
  return {
    ...(workspace !== undefined && { workspace }),
    ...(target !== undefined && { target }),
    ...(config !== undefined && { config }),
  };
}

function taskOf(
  words: readonly string[],
  { flag, commands }: { readonly flag: string | undefined; readonly commands: readonly string[] },
): string | undefined {
  const [word] = words;
  if (word === undefined) return flag;
  if (flag !== undefined) {
    throw new Failure("usage", "Which task? One was given with --task, and another one as argument", {
      hints: ["Leave one of them out"],
    });
  }
  const meant = /\s/.test(word) ? undefined : closestName(word, commands);
  if (meant !== undefined) {
    throw new Failure("usage", `Unknown command "orchestrate ${word}"`, {
      hints: [`Did you mean \`gocore orchestrate ${meant}\`?`, `If it is the task: \`--task ${word}\``],
    });
  }
  if (words.length > 1) throw inQuotes("task", `"${words.join(" ")}"`);
  return word;
}

function inQuotes(what: string, example: string): Failure {
  return new Failure("usage", `Cannot read the ${what}: need one text, found several words`, {
    hints: [`Put it in quotes: \`gocore orchestrate ${example}\``],
  });
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function decimal(unit: string): (text: string) => number {
  return (text) => {
    // Number() also takes "0x10" and "1e3", and "" for 0.
    if (/^(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})$/.test(text)) return Number(text);
    throw new InvalidArgumentError(`Expected ${unit} as a decimal number, 0 or more.`);
  };
}

function integer(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError("Expected 0 to 65535.");
  return number;
}
