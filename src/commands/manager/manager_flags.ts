/** The flags of a manager run, for every command that starts one. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";

/** Adds them all; what they say is `ManagerFlags`. */
export function addManagerFlags(command: Command) {
  return command
    .option("--issue-url <url>", "The issue, as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER")
    .addOption(new Option("--issue-file <file>", "The issue as a JSON or Markdown file").conflicts("issueUrl"))
    .option("--repo-path <path>", "A checkout of the project (default: current directory)")
    .option("--runs-root <path>", "Where runs are kept (default: ./runs)")
    .addOption(new Option("--run-id <id>", "The run's name (default: run- and the time)").conflicts("stableRunId"))
    .option("--stable-run-id", "A name that follows from the issue, the same each time")
    .option("--ref <ref>", "What reproducers are tried on: a branch, a tag, a commit (default: HEAD)")
    .option("-w, --workers <n>", "How many at a time, 1 to 6 (default: 2)", integer)
    .option("--rounds <n>", "Of workers that write reproducers (default: 2)", integer)
    .option("--timeout-sec <n>", "For each worker (default: 300)", decimal)
    .option("--stall-sec <n>", "Silence after which a worker is nudged (default: 45, or a third of its time)", decimal)
    .option("--poll-interval-sec <n>", "How often workers are looked at (default: 5)", decimal)
    .option("--repro-validation-runs <n>", "How often a reproducer has to fail in the same way (default: 5)", integer)
    .option("--repro-min-matches <n>", "From how many on a flaky one is looked into (default: all)", integer)
    .option("--validation-python-version <v>", "Of the clean places (default: 3.12)")
    .option("--oracle-timeout-sec <n>", "For one run of a reproducer (default: 60)", decimal)
    .option("--setup-timeout-sec <n>", "For its setup commands (default: 600)", decimal)
    .option("--allow-network", "Reproducers have a network")
    .option("--agent <names>", "Who works, the most wanted first; may be repeated (default: codex, else mini)", collect)
    .option("--model <agent=model>", "The model of an agent; may be repeated", collect)
    .option("--worker-model <model>", "The model of all agents that have none of their own")
    .option("--manager-model <model>", "Shortens reproducers before the algorithms do (default: the workers' model)")
    .option("--budget <usd>", "The most that the run's model calls may cost", decimal)
    .addOption(new Option("--minimize").hideHelp())
    .option("--no-minimize", "Leave the reproducer as its worker wrote it")
    .addOption(new Option("--semantic-cut").hideHelp())
    .option("--no-semantic-cut", "No model shortens it first")
    .addOption(new Option("--bisect").hideHelp())
    .option("--no-bisect", "Do not look for the commit that brought or mended the bug")
    .option("--parallel <n>", "Runs at the same time while minimizing (default: one for each processor)", integer)
    .addOption(
      new Option("--sandbox <mode>", "Around workers and reproducers (default: prefer)")
        .choices(["require", "prefer", "off"] as const),
    )
    .addOption(
      new Option("--backend <name>", "How workers can be watched (default: tmux)")
        .choices(["process", "tmux"] as const),
    )
    .addOption(new Option("--no-comment").hideHelp())
    .option("--comment", "Put the report under the issue, or edit the one that is there; needs GITHUB_TOKEN")
    .option("--config <file>", "Settings in TOML (default: ./mminions.toml, where there is one)")
    .option("--gateway-config <file>", "Settings of the gateway inside (default: none)")
    .option("--ledger <file>", "Accounts for each model call (default: {runs-root}/ledger.db)")
    .addOption(
      new Option("--script <file>", "Answer all models from a script, as `gocore gateway --script` does")
        .conflicts(["record", "replay"]),
    )
    .addOption(new Option("--record <dir>", "Keep every exchange with the models, to be replayed").conflicts("replay"))
    .option("--replay <dir>", "Answer from what was recorded; no provider is asked")
    .option("--if-changed", "Do nothing when issue and commit are those of its last run")
    .option("--resume <run>", "Go on with a run that was cut off or has failed, as it was told then")
    .option("-q, --quiet", "Only how it has ended, in one line; nothing when there is nothing new")
    .option("--json", "All events as JSON Lines on stdout, instead of progress");
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function decimal(text: string): number {
  // Number() also takes "0x10" and "1e3", and "" for 0.
  if (/^(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a decimal number, 0 or more.");
}

function integer(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}
