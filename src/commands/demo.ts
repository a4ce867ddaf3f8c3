/** `gocore demo`: agents work on a small repository in a temporary folder, with scripted models and real commands. */
import { Argument, type Command } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";

const HELP = `
Three agents mend, test and describe a small project at the same time, each in a git worktree of its own.
Another one reviews what each did, and finds a flaw that the project's test does not see; its author mends
it. The branches are merged and tested. Models are scripted; commands, reviews and git are real.

\`gocore demo mini\` shows one agent alone, as \`gocore mini\` works. It needs no git.
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .addArgument(new Argument("[what]", "One agent alone").choices(["mini"] as const))
    .option("--json", "Show all events as JSON Lines on stdout")
    .option("--keep", "Keep the temporary folder and say where it is")
    .addHelpText("after", HELP)
    .action(async (what, flags) => {
      const { runDemo } = await import("./demo/run_demo.ts");
      done(await runDemo({ ...flags, isMini: what === "mini" }, io));
    });
}
