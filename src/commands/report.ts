/** `gocore report`: its flags and help. */
import { type Command, Option } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";

const HELP = `
RUN is an id, \`last\` for the one that began last, or a path: the folder of a run, or a trajectory.
Without --output the report goes to stdout. It is HTML or JSON when --output ends so, else Markdown.

HTML is one file without a script, and asks for nothing: for a CI artifact or a bug report. Markdown is
shorter, fits into an issue, and notifies nobody. JSON has the records of the API. Secrets are masked.
Runs that go on, were cut off, or have damaged files are reported on as far as they can be read.

Exit codes: 0 the report was written, 2 wrong usage or no such run, 1 anything else.

Examples:
  gocore report last
  gocore report last --output report.html
  gocore report orch_20260205_123000 --json
  gocore report runs/run-20260205123000 --html > report.html
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .argument("<run>", "Which run")
    .addOption(new Option("--html", "A page of its own").conflicts(["md", "json"]))
    .addOption(new Option("--md", "Markdown").conflicts(["html", "json"]))
    .addOption(new Option("--json", "One JSON document").conflicts(["html", "md"]))
    .option("--output <file>", "Where it is written, whole or not at all")
    .option("--runs-root <dir>", "Where manager runs are kept (default: as `gocore manager` takes it)")
    .option("--workspace <dir>", "Where sessions are kept (default: as `gocore orchestrate` takes it)")
    .option(
      "--mini-workdir <dir>",
      "Whose mini runs are looked at; may be repeated (default: current directory)",
      collect,
    )
    .addHelpText("after", HELP)
    .action(async (run, flags) => {
      const { runReport } = await import("./report/run_report.ts");
      done(await runReport(run, flags, io));
    });
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}
