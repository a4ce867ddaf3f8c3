/** `gocore gateway` with its commands `report` and `key`: their flags and help. */
import { Argument, type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { closestName, Failure } from "../failure.ts";
import type { Io } from "../terminal/io.ts";
import { parseDurationMs } from "./gateway/time_text.ts";

const GATEWAY_HELP = `
Clients are pointed at it by their base URL; a /w/NAME in its path, or a virtual key, says which worker asks.
Keys for the providers come from their usual variables. Events are JSON Lines on stdout, or readable lines on
a terminal. The first signal lets calls that are under way end, and exits; the second exits at once.

Settings: flags > environment > --config FILE > defaults. README explains the file.

Exit codes: 130 and 143 after SIGINT and SIGTERM, 2 wrong usage, 1 any other end.

Examples:
  gocore gateway --cap-run 5
  gocore gateway --port 0 --run nightly --cap-day 20 --cap-worker 2.50
  gocore gateway --record ./cassettes        then, with no key and no network: --replay ./cassettes
  gocore gateway --script replies.yaml       answers every client from a script
  gocore gateway report --since 7d --by day,model

Environment:
  GOCORE_GATEWAY_CONFIG, GOCORE_LEDGER       as --config and --ledger
  GOCORE_GATEWAY_TOKEN                       what clients without a virtual key have to send
  ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY, OPENROUTER_API_KEY   the providers' keys
  ANTHROPIC_BASE_URL, OPENAI_BASE_URL, GOOGLE_GEMINI_BASE_URL             where the providers are asked
`;

const REPORT_HELP = `
Amounts are USD. A cost that nobody knows is "?" and never 0; "reserved" is held back for calls under way.
Days are those of UTC; a day stands for its beginning after --since and for its end after --until.

Examples:
  gocore gateway report
  gocore gateway report --by day,upstream --since 7d
  gocore gateway report --by worker --run nightly --json
`;

const KEY_HELP = `
A worker sends its key where it would send the provider's; its calls then count for its run, worker and cap.
Only a digest of the key is stored: it is shown once, by \`issue\`.

Examples:
  KEY=$(gocore gateway key issue --run nightly --worker claude --cap 2.50 --lease 90m)
  gocore gateway key list --run nightly
  gocore gateway key end --run nightly
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  // `--ledger` and others are flags of the sub-commands too: each takes those that stand after it.
  command.parent?.enablePositionalOptions();
  const gateway = command
    .enablePositionalOptions()
    .option("--host <address>", "Where to listen; other machines need a token (default: 127.0.0.1)")
    .option("--port <n>", "0: any free one (default: 8045)", port)
    .option("--config <file>", "Settings in TOML (default: none)")
    .option("--ledger <file>", "Where each call is accounted for (default: .gocore/ledger.db)")
    .option("--run <name>", "Run of the calls that come without a virtual key (default: default)")
    .option("--cap-run <usd>", "The most that a run may cost", usd)
    .option("--cap-worker <usd>", "The most that a worker of a run may cost", usd)
    .option("--cap-key <usd>", "The most that a virtual key may cost that has no cap of its own", usd)
    .option("--cap-day <usd>", "The most that all calls of a day (UTC) may cost", usd)
    .option("--upstream <name=url>", "Where a provider is asked, as anthropic=URL; may be repeated", collect)
    .addOption(new Option("--record <dir>", "Keep every exchange, to be replayed").conflicts(["replay", "script"]))
    .addOption(new Option("--replay <dir>", "Answer from what was recorded; no provider is asked").conflicts("script"))
    .option("--script <file>", "Answer from a script, as `gocore mini -m scripted/FILE` does")
    .option("--require-key", "Refuse calls without a virtual key")
    .option("--token-file <file>", "Holds the token that clients without a virtual key have to send")
    .option("--json", "JSON Lines, also on a terminal")
    .addHelpText("after", GATEWAY_HELP);

  gateway.command("report")
    .description("Show what calls have cost, also while a gateway runs")
    .addOption(ledgerOption())
    .option("--by <names>", `Group by ${GROUPS.join(", ")} (default: run,worker,model)`, groups)
    .option("--run <name>", "Only this run")
    .option("--worker <name>", "Only this worker")
    .option("--model <name>", "Only this model, as it was asked for")
    .option("--since <when>", "2026-11-21, 2026-11-21T09:30Z, or how long ago: 7d, 12h")
    .option("--until <when>", "The same; a day includes all of it")
    .addOption(new Option("--json", "One JSON document").conflicts("csv"))
    .option("--csv", "Comma-separated values")
    .addHelpText("after", REPORT_HELP)
    .action(async (flags) => {
      refuseFlagsBefore(gateway.opts(), "report");
      const { runReport } = await import("./gateway/report.ts");
      done(await runReport(flags, io));
    });

  const key = gateway.command("key")
    .description("Make, end and list the virtual keys of workers")
    .addHelpText("after", KEY_HELP);
  key.command("issue")
    .description("Make a key and print it, alone, on stdout")
    .requiredOption("--run <name>", "Run that its calls count for")
    .requiredOption("--worker <name>", "Worker that its calls count for")
    .option("--cap <usd>", "The most that its calls may cost (default: --cap-key of the gateway)", usd)
    .option("--lease <duration>", "How long it holds: 30s, 15m, 2h, 1d (default: until it is ended)", duration)
    .addOption(ledgerOption())
    .action(async (flags) => {
      refuseFlagsBefore(gateway.opts(), "key issue");
      const { issueKey } = await import("./gateway/key.ts");
      done(await issueKey(flags, io));
    });
  key.command("end")
    .description("End a key, or all keys of a run or worker, for every gateway on the ledger")
    .addArgument(new Argument("[id]", "The key's id, as `issue` and `list` show it; not the key"))
    .option("--run <name>", "All keys of this run")
    .option("--worker <name>", "With --run: those of this worker alone")
    .addOption(ledgerOption())
    .action(async (id, flags) => {
      refuseFlagsBefore(gateway.opts(), "key end");
      const { endKeys } = await import("./gateway/key.ts");
      done(await endKeys({ ...flags, id }, io));
    });
  key.command("list")
    .description("List the keys; what they are themselves is not stored")
    .option("--run <name>", "Only those of this run")
    .option("--json", "One JSON document")
    .addOption(ledgerOption())
    .action(async (flags) => {
      refuseFlagsBefore(gateway.opts(), "key list");
      const { listKeys } = await import("./gateway/key.ts");
      done(await listKeys(flags, io));
    });

  // Last, because sub-commands inherit it.
  gateway.allowExcessArguments().action(async (flags) => {
    const [word] = gateway.args;
    if (word !== undefined) throw unknownCommand(word, gateway.commands.map((sub) => sub.name()));
    const { runGateway } = await import("./gateway/run_gateway.ts");
    done(await runGateway(flags, io));
  });
}

const GROUPS = ["run", "worker", "model", "day", "upstream"] as const;

function ledgerOption() {
  return new Option("--ledger <file>", "Default: as `gocore gateway` takes it");
}

/** `gocore gateway --ledger x report` would read another ledger than the one that was named. */
function refuseFlagsBefore(flags: Readonly<Record<string, unknown>>, command: string): void {
  const [name] = Object.keys(flags);
  if (name === undefined) return;
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new Failure("usage", `Cannot use ${flag} before \`${command}\`: it is a flag of the gateway itself`, {
    hints: [`Put the flags of \`${command}\` after it; see \`gocore gateway ${command} --help\``],
  });
}

function unknownCommand(word: string, commands: readonly string[]): Failure {
  const meant = closestName(word, commands);
  return new Failure("usage", `Unknown command "gateway ${word}"`, {
    hints: [
      ...(meant === undefined ? [] : [`Did you mean \`gocore gateway ${meant}\`?`]),
      "See `gocore gateway --help`",
    ],
  });
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function usd(text: string): number {
  const amount = Number(text);
  // Number() also takes "0x10" and "1e3", and "" for 0.
  if (!/^(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) || !Number.isFinite(amount)) {
    throw new InvalidArgumentError("Expected an amount of USD as a decimal number, 0 or more.");
  }
  return amount;
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError("Expected 0 to 65535.");
  return number;
}

function duration(text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) throw new InvalidArgumentError("Expected a duration such as 30s, 15m, 2h or 1d.");
  return durationMs;
}

function groups(text: string): (typeof GROUPS[number])[] {
  return [...new Set(text.split(",").map((name) => name.trim()))].map((name) => {
    const group = GROUPS.find((known) => known === name);
    if (group !== undefined) return group;
    const meant = closestName(name, GROUPS);
    throw new InvalidArgumentError(
      `Expected a list of ${GROUPS.join(", ")}.` + (meant === undefined ? "" : ` Did you mean ${meant}?`),
    );
  });
}
