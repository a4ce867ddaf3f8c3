/** `gocore attach`: watches a worker of a manager run in its tmux session. */
import type { Command } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";
import { runPlace } from "./manager/run_place.ts";

const HELP = `
The session shows what the worker writes; closing it ends nothing. Leave it with Ctrl-B D. Without a terminal
the command that attaches is printed.

Examples:
  gocore attach --run-id run-20260205123000 --worker w1
  gocore attach --run-id run-20260205123000 --worker manager
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  runPlace(command)
    .requiredOption("--worker <name>", "w1, w2, …; or manager")
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { attachTo } = await import("./manager/attach.ts");
      done(await attachTo(flags, io));
    });
}
