/** `gocore minimize`: its flags and help. */
import { Argument, type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";

const HELP = `
FILE is made as small as it can be while the command still says that it is interesting: it exits with 0 (as
for C-Reduce and Shrink Ray), or, with --expect or --same-failure, it goes on failing in that way. FILE itself
is never changed; the best so far stands in the result's file at any time.

The command is run by /bin/sh, on a copy of FILE under its own name, in a temporary folder that is new for
each run. In it, {file} stands for the copy, {dir} for its folder, {args} for what \`--also arg:\` gives;
without {file} and {dir}, the copy is the last argument. An oracle that needs the folder you are in is run
there (--cwd keep) when the start shows it there only. Candidates may do what FILE does not: for scripts that
delete or send things, use --sandbox require. It confines the command to its folder, without a network.

A killed run goes on when the same command is given again: its answers are kept beside the result until it
ends. The result is the same for every number of jobs.

Exit codes: 0 nothing more can go, 1 any other end, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM.

Examples:
  gocore minimize crash.py --oracle 'python3 {file}' --same-failure
  gocore minimize crash.c --oracle 'gcc -O2 -c {file} -o /dev/null' --expect '/internal compiler error/'
  gocore minimize big.json --oracle './is_interesting.sh {file}' --output small.json
  gocore minimize run.js --oracle 'node {file} {args}' --expect 'TypeError: x is not a function' \\
      --also arg:--fast --also arg:--level=3 --also env --also config.json
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .addArgument(new Argument("<file>", "What to make smaller"))
    .requiredOption("--oracle <command>", "Says whether a candidate is interesting; a shell command")
    .option("-o, --output <file>", "Result (default: beside FILE, as name.minimal.ext)")
    .addOption(
      new Option("--expect <failure>", "Interesting is: fails so, as ValueError: …, SIGSEGV, exit 3, /regex/, timeout")
        .argParser(collect).conflicts("sameFailure"),
    )
    .option("--same-failure", "Interesting is: fails as FILE does, by type, message and place")
    .option("--keep <regex>", "What has to stay in the text; may be repeated", collect)
    .option("--also <what>", "Reduce this too: FILE, arg:TEXT, env:NAME[=VALUE], env (all); may be repeated", collect)
    .addOption(new Option("--cwd <where>", "Where the command runs (default: tried)").choices(["own", "keep"] as const))
    .option("--timeout-sec <n>", "For one run of the command (default: 10 times what the start takes)", positive)
    .option("-j, --jobs <n>", "Runs at the same time (default: one for each processor)", integer)
    .option("--runs <n>", "How often a candidate has to show it, for an oracle that is not sure (default: 1)", integer)
    .option("--max-calls <n>", "End after so many runs with the best so far", integer)
    .option("--max-seconds <n>", "End after so much time with the best so far", positive)
    .option("-m, --model <name>", "Let this model propose cuts first, as provider/model or scripted/FILE")
    .addOption(
      new Option("--sandbox <mode>", "Confine the command with bubblewrap (default: off)")
        .choices(["require", "prefer", "off"] as const),
    )
    .addOption(new Option("--json", "JSON Lines on stdout: progress and the end").conflicts("quiet"))
    .option("--quiet", "Say nothing unless it fails")
    .addHelpText("after", HELP)
    .action(async (file, flags) => {
      const { runMinimize } = await import("./minimize/run_minimize.ts");
      done(await runMinimize({ ...flags, file }, io));
    });
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function integer(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("Expected a whole number above 0.");
  return Number(text);
}

function positive(text: string): number {
  const number = Number(text);
  if (!/^(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) || !(number > 0) || number > 1e6) {
    throw new InvalidArgumentError("Expected a number of seconds above 0.");
  }
  return number;
}
