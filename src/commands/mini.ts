/** `gocore mini`: its flags and help. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { Failure } from "../failure.ts";
import type { Io } from "../terminal/io.ts";

const EXAMPLES = `
Settings: --config FILE > --profile > built-in defaults; a KEY=VALUE is merged over them. The profile
"live" is made in {workdir}/.miniswe/configs on the first run, and explains each key.

Exit codes: 0 success, 1 any other end, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM.

Examples:
  gocore mini --headless --task "Fix the failing test in tests/date_test.py"
  gocore mini --headless -m openai/gpt-5 -w ./project -t "Add input validation" -l 2.50
  gocore mini --headless -c fast.yaml -c model.model_kwargs.temperature=0 -t "Rename Foo to Bar"
  gocore mini --headless -m scripted/replies.yaml -t "Try the loop without a model"

Environment:
  MINI_WORKDIR, MINI_HEADLESS        as --workdir (which it overrides) and --headless
  MINI_API_BASE, MINI_API_KEY        proxy or endpoint for every provider, and its key
  MINI_API_VERSION, MINI_API_TIMEOUT API version; seconds for one model call (default 600)
  ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY, …   the provider's own key
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .option("-t, --task <text>", "What to do")
    .option("-m, --model <name>", "Model as provider/model, or scripted/FILE")
    .option("-p, --profile <name>", "Profile in {workdir}/.miniswe/configs (default: live)")
    .option("-c, --config <spec>", "Config file or key=value; may be repeated, later ones win", collect)
    .option("-w, --workdir <dir>", "Repository to work in (default: current directory)")
    .option("-y, --yolo", "Run commands without asking; always so in headless mode")
    .option("-l, --cost-limit <usd>", "End when the model calls have cost this much; 0: no limit", number("USD"))
    .option("-o, --output <file>", "Trajectory (default: {workdir}/.miniswe/data/last_run.traj.json)")
    .option("--headless", "No questions; JSON Lines on stdout and nothing else")
    .option("--step-limit <n>", "End after this many model replies; 0: no limit", integer)
    .option("--wall-time-limit <seconds>", "End after this time; 0: no limit", number("seconds"))
    .addOption(
      new Option("--protocol <name>", "How the model gives commands (default: as the config says)")
        .choices(["toolcall", "text"] as const),
    )
    .addHelpText("after", EXAMPLES)
    .action(async (flags) => {
      if (!isHeadless(flags.headless, io)) {
        throw new Failure("usage", "Cannot start: this version of `gocore mini` works without a person only", {
          hints: ["Add `--headless`, or set MINI_HEADLESS=true"],
        });
      }
      const { runMini } = await import("./run_mini.ts");
      done(await runMini({ ...flags, config: flags.config ?? [] }, io));
    });
}

/** In headless mode a wrong command line is told on stdout too, as any other end: scripts read nothing else. */
export async function reportUsageFailure(
  failure: Failure,
  args: readonly string[],
  io: Io,
): Promise<number | undefined> {
  const rest = args.slice(args.indexOf("mini") + 1);
  const end = rest.indexOf("--");
  const flags = end < 0 ? rest : rest.slice(0, end);
  if (!isHeadless(flags.includes("--headless"), io)) return undefined;
  const { reportFailure } = await import("./run_mini.ts");
  return await reportFailure(failure, {
    task: valueOf(flags, "-t", "--task") ?? "",
    model: valueOf(flags, "-m", "--model") ?? "",
    workdir: valueOf(flags, "-w", "--workdir"),
  }, io);
}

/** `MINI_HEADLESS` counts when it is set to anything but a word for "no". */
function isHeadless(flag: boolean | undefined, { env }: Io): boolean {
  return flag === true || !["", "0", "false", "no", "off"].includes((env.MINI_HEADLESS ?? "").trim().toLowerCase());
}

function valueOf(args: readonly string[], short: string, long: string): string | undefined {
  for (const [index, arg] of args.entries()) {
    if (arg === short || arg === long) return args[index + 1];
    if (arg.startsWith(`${long}=`)) return arg.slice(long.length + 1);
  }
  return undefined;
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function number(unit: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
      throw new InvalidArgumentError(`Expected a number of ${unit}, 0 or more.`);
    }
    return value;
  };
}

function integer(text: string): number {
  const value = number("steps")(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError("Expected a whole number.");
  return value;
}
