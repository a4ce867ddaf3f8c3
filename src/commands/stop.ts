/** `gocore stop`: ends a manager run. */
import type { Command } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";
import { runPlace } from "./manager/run_place.ts";

const HELP = `
Workers are ended, what they have changed is kept under refs/gocore/saved, and their worktrees are taken
away; also of a run whose process was killed. \`gocore manager --resume ID\` goes on with it.

Exit codes: 0 nothing of the run works any more, 1 it does not react, 2 wrong usage.

Examples:
  gocore stop --run-id run-20260205123000
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  runPlace(command)
    .option("--reason <text>", "Goes into the run's log")
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { stopRun } = await import("./manager/control_commands.ts");
      done(await stopRun(flags, io));
    });
}
