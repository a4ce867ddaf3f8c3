/** `gocore serve`: its flags and help. */
import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";

const HELP = `
Shows what is on disk, whoever carries it out: manager runs in the runs' root, sessions in the workspace, mini
runs in their workdirs; what each has cost, and what needs somebody. Starts runs as processes of their own,
which go on when the server ends, and those of [[schedule]] in a mminions.toml that was named.
GET /api/openapi.json describes the API.

Everybody on this machine may look; whoever runs the server may start and control runs, but agents may not.
Other machines need a token: they send \`Authorization: Bearer TOKEN\`, or open /?token=TOKEN once in a browser.

Exit codes: 0 when a signal ends it, 2 wrong usage, 1 any other end. The second signal ends it at once.

Examples:
  gocore serve
  gocore serve --runs-root ./runs --workspace ./project/.gocore/workspace --mini-workdir ./project
  GOCORE_SERVE_TOKEN=$(openssl rand -hex 24) gocore serve --host 0.0.0.0 --port 8088

Environment:
  GOCORE_SERVE_TOKEN                         what browsers and clients of other machines have to send
  ORCHESTRATOR_WORKSPACE, MINI_WORKDIR, MMINIONS_CONFIG   as --workspace, --mini-workdir, --config
  GOCORE_NOTIFY_WEBHOOK, GOCORE_NOTIFY_SLACK, GOCORE_NOTIFY_DISCORD   who is told of what happens
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  command
    .option("--runs-root <dir>", "Where manager runs are kept (default: as `gocore manager` takes it)")
    .option("--workspace <dir>", "Where sessions are kept (default: as `gocore orchestrate` takes it)")
    .option("--mini-workdir <dir>", "Whose mini runs are shown; may be repeated (default: current directory)", collect)
    .option("--host <address>", "Where to listen; other machines need a token (default: 127.0.0.1)")
    .option("--port <n>", "0: any free one (default: 8088)", port)
    .option("--config <file>", "mminions.toml (default: MMINIONS_CONFIG, else ./mminions.toml)")
    .option("--no-schedule", "Start nothing by itself")
    .option("--rebuild-index", "Forget the index, which is made of the runs, and make it anew")
    .option("--json", "One line of JSON on stdout when it listens")
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { runServe } = await import("./serve/run_serve.ts");
      done(await runServe(flags, io));
    });
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError("Expected 0 to 65535.");
  return number;
}
