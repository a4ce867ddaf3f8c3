/** `gocore send`: tells a worker of a manager run something. */
import type { Command } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";
import { runPlace } from "./manager/run_place.ts";

const HELP = `
A worker whose agent can go on with its session is interrupted, and goes on with the text; another one is told
when it is started again, and you are told so. The manager answers "status" with how the run stands, and tells
anything else to all workers.

Exit codes: 0 the run has taken it, 1 nobody carries out the run or it does not react, 2 wrong usage.

Examples:
  gocore send --run-id run-20260205123000 --worker w1 --text "Try the 32-bit build"
  gocore send --run-id run-20260205123000 --worker manager --text status
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  runPlace(command)
    .requiredOption("--worker <name>", "w1, w2, …; or manager")
    .requiredOption("--text <text>", "What to tell it")
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { sendToRun } = await import("./manager/control_commands.ts");
      done(await sendToRun(flags, io));
    });
}
