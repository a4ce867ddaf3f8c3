/** `gocore status`: how a manager run stands. */
import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";
import { runPlace } from "./manager/run_place.ts";

const HELP = `
A run is "cut off" when the process that carried it out is dead; \`gocore manager --resume ID\` goes on with it.
With --json it is what GET /api/runs/ID/status answers.

Examples:
  gocore status --run-id run-20260205123000
  gocore status --run-id run-20260205123000 --lines 20
  gocore status --run-id run-20260205123000 --json
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  runPlace(command)
    .option("--lines <n>", "Of what each writes, at its end (default: 0; 120 with --json)", lines)
    .option("--json", "One JSON document")
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { showStatus } = await import("./manager/show_status.ts");
      done(await showStatus(flags, io));
    });
}

function lines(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("Expected a whole number, at most 99999.");
  return Number(text);
}
