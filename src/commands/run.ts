/** `gocore run`: a manager run in a process of its own, to be watched and left alone. */
import type { Command, CommandUnknownOpts } from "@commander-js/extra-typings";
import { Failure } from "../failure.ts";
import type { Io } from "../terminal/io.ts";
import { addManagerFlags } from "./manager/manager_flags.ts";

const HELP = `
Starts \`gocore manager\` with the same flags, and waits for its end; Ctrl-C ends the run, as \`gocore stop\`
does. With --detach it goes on by itself. It can be watched in the tmux session codorch-ID-manager, its
workers in codorch-ID-w1 and so on; what it writes is in {runs-root}/{run-id}/manager.log.

Exit codes: those of \`gocore manager\`; with --detach 0 when it has begun.

Examples:
  gocore run --issue-url https://github.com/numpy/numpy/issues/30272 --repo-path ./numpy
  gocore run --detach --issue-file bug.md
  gocore attach --run-id run-20260205123000 --worker manager
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  const run = addManagerFlags(command)
    .option("--detach", "Do not wait for the end")
    .addHelpText("after", HELP)
    .action(async ({ detach = false, ...flags }) => {
      if (flags.ifChanged) {
        throw new Failure("usage", "Cannot use --if-changed here: it is for schedules, where nobody watches", {
          hints: ["Use it with `gocore manager`"],
        });
      }
      const { readManagerRequest } = await import("./manager/manager_request.ts");
      const { options: { settings, backend }, replaces = false } = await readManagerRequest(flags, io);
      const { runId, folder } = settings;
      const { launchRun } = await import("./manager/run_launcher.ts");
      const { dirname } = await import("node:path");
      const args = [
        ...argumentsOf(run, ["detach", "runId", "stableRunId", "resume", "runsRoot"]),
        `--${flags.resume === undefined ? "run-id" : "resume"}=${runId}`,
        `--runs-root=${dirname(folder)}`,
      ];
      const { json = false } = flags;
      done(await launchRun({ runId, folder, replaces, args, hasTmux: backend === "tmux", json, detach }, io));
    });
}

/** What was given on the command line, but for the options of these names, as a command line again. */
function argumentsOf(command: CommandUnknownOpts, except: readonly string[]): string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    const { long } = option;
    if (!long || except.includes(name) || command.getOptionValueSource(name) !== "cli") return [];
    const value: unknown = command.getOptionValue(name);
    if (typeof value === "boolean") return value === !option.negate ? [long] : [];
    return [value].flat().map((one) => `${long}=${one}`);
  });
}
