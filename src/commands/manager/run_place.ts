/** The flags by which commands find a run. */
import type { Command } from "@commander-js/extra-typings";

export function runPlace(command: Command) {
  return command
    .requiredOption("--run-id <id>", "The run, as `gocore run` and `gocore manager` print it")
    .option("--runs-root <dir>", "Where runs are kept (default: as `gocore manager` takes it)")
    .option("--config <file>", "mminions.toml (default: MMINIONS_CONFIG, else ./mminions.toml)");
}
