/** `gocore eval FILE`, and `gocore eval numpy-convolve`. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { Failure } from "../failure.ts";
import type { Io } from "../terminal/io.ts";

const HELP = `
FILE is a YAML list of issues whose outcome is known. Each is given to \`gocore manager\`, one after another;
flags of gocore manager stand after FILE and hold for all. Paths are relative to the file.

  - issue_file: issues/12.md        # or issue_url: https://github.com/OWNER/REPO/issues/12
    repo_path: repos/calc
    ref: v1.2                       # default: the checkout's HEAD
    expect:                         # each is optional
      verdict: reproduced           # flaky, not_reproduced, already_fixed, …; none: no candidate was judged
      status: ok                    # needs-human, already-fixed, failed, …
      file: src/calc.py             # of the first fix target
      line: 12
      max_size: 200                 # of the reproducer, in bytes

Exit codes: 0 every outcome is as expected, 1 one is not, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM.

Examples:
  gocore eval evals.yaml --workers 2 --agent codex
  gocore eval evals.yaml --json --runs-root ./runs
  gocore eval numpy-convolve --mode offline --numpy-repo-path ./numpy
`;

const NUMPY_HELP = `
The bug: np.convolve([], [1, 2]) raises "v cannot be empty", although a is empty.

offline runs the source of convolve as it was at the bug's commit, with stand-ins for the rest of NumPy, and
compares its two messages; then the source of the fix. It needs python3 and the commits, and no network.
live builds NumPy with the bug, lets an agent mend it through the gateway, checks its patch, builds that, and
the reference fix. It needs uv or the asked Python, compilers, a network, and an agent with a key.

Artifacts: {runs-root}/numpy-convolve-eval-TIME/, summary.json last.

Exit codes: 0 passed, 1 failed, 2 wrong usage, 75 skipped: summary.json says what is missing.

Examples:
  gocore eval numpy-convolve --mode offline --numpy-repo-path ./numpy
  gocore eval numpy-convolve --mode live --numpy-repo-path ./numpy --max-runtime-sec 3600 --budget 5
`;

const BUG_COMMIT = "9f0519e83247b8a1b46c12fb583d4d575d992bd7";
const FIX_COMMIT = "3a811fb9af105372da2d07d83e77ae085d51f54e";

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  // `--runs-root` and `--json` are flags of the sub-command too.
  command.parent?.enablePositionalOptions();
  const evaluate = command
    .usage("[options] FILE [flags of gocore manager]\n       gocore eval numpy-convolve [options]")
    .enablePositionalOptions()
    .option("--runs-root <path>", "Where the runs are kept", "./runs")
    .option("--json", "One JSON document on stdout instead of progress and a table")
    .addHelpText("after", HELP);

  evaluate.command("numpy-convolve").description("A bug of NumPy: its oracle, and an agent's fix")
    .addOption(new Option("--mode <mode>", "What is done").choices(["offline", "live"] as const).default("offline"))
    .option("--numpy-repo-path <path>", "A clone of NumPy; nothing is written to it")
    .option("--runs-root <path>", "Where the artifacts are kept", "./runs")
    .option("--python-version <version>", "For live", "3.12")
    .option("--max-runtime-sec <n>", "For live, all of it", seconds, 900)
    .option("--bug-commit <ref>", "The commit with the bug", BUG_COMMIT)
    .option("--reference-fix-commit <ref>", "The commit with the fix", FIX_COMMIT)
    .option("--issue-url <url>", "What the agent is told", "https://github.com/numpy/numpy/issues/30272")
    .option("--agent <name>", "Who mends it (default: codex, else mini)")
    .option("--model <agent=model>", "The model of an agent; may be repeated", collect)
    .option("--budget <usd>", "The most that the agent's model calls may cost", usd)
    .option("--config <file>", "Settings of the agent's session, as `gocore orchestrate` takes them")
    .option("--gateway-config <file>", "Settings of the gateway inside")
    .option("--json", "summary.json on stdout instead of progress")
    .addHelpText("after", NUMPY_HELP)
    .action(async ({ numpyRepoPath, ...flags }) => {
      if (numpyRepoPath === undefined) {
        throw new Failure("usage", "Cannot evaluate: need a clone of NumPy, found no --numpy-repo-path", {
          hints: [
            "Make one: `git clone https://github.com/numpy/numpy`",
            "Name it: `gocore eval numpy-convolve --numpy-repo-path ./numpy`",
          ],
        });
      }
      const { evalNumpyConvolve } = await import("./eval/numpy_convolve.ts");
      done(await evalNumpyConvolve({ ...flags, numpyRepoPath }, io));
    });

  // Last, because sub-commands inherit it.
  evaluate.argument("[file]").argument("[flags...]").allowUnknownOption().action(async (file, flags, own) => {
    if (file === undefined || file.startsWith("-")) {
      const finding = file === undefined ? "No file was given" : `Found "${file}" before it`;
      throw new Failure("usage", `Which issues? ${finding}`, {
        hints: ["Name the file first: `gocore eval evals.yaml --workers 2`"],
      });
    }
    const { runEvals } = await import("./eval/run_evals.ts");
    done(await runEvals({ file, runsRoot: own.runsRoot, json: own.json ?? false, managerArguments: flags }, io));
  });
}

function collect(value: string, former: readonly string[] = []): string[] {
  return [...former, value];
}

function seconds(value: string): number {
  const number = Number(value);
  if (!/^\d+(?:\.\d+)?$/.test(value) || number <= 0 || number > 1e6) throw new InvalidArgumentError("Need seconds");
  return number;
}

function usd(value: string): number {
  if (!/^\d+(?:\.\d+)?$/.test(value)) throw new InvalidArgumentError("Need an amount of USD");
  return Number(value);
}
