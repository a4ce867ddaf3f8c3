/** Finds an agent's program on this machine, and proves that it starts. */
import { dirname, isAbsolute, join } from "node:path";
import { messageOf } from "../failure.ts";
import { findProgram } from "../process/find_program.ts";
import type { runCommand } from "../process/spawn.ts";
import type { AgentAdapter, Located } from "./adapter.ts";
import { oneLine, withoutColours } from "./stream_text.ts";

export type Location =
  | ({ readonly kind: "found" } & Located)
  | { readonly kind: "missing"; readonly reason: string }
  /** It is there, and does not do what it should. */
  | { readonly kind: "broken"; readonly path: string; readonly reason: string };

export interface LocateOptions {
  /** PATH, and what else the program needs to start. */
  readonly env: Readonly<Record<string, string>>;
  readonly run: typeof runCommand;
  readonly signal: AbortSignal;
  /** For each try; default 60 s: some start a whole node, on a machine that may be busy. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
/** None of them looks for a newer version, or starts itself once more, to tell its own. */
const QUICK = { NO_COLOR: "1", DISABLE_AUTOUPDATER: "1", GEMINI_CLI_NO_RELAUNCH: "true" };
const MAX_OUTPUT_BYTES = 16 * 1024;
const VERSION = /\b\d{1,6}\.\d{1,6}(?:\.\d{1,6})?(?:[-+][0-9A-Za-z.-]{1,60})?/;
const UNKNOWN = "unknown";

/**
 * Native programs come before the launchers of their packages, which stand between them and our signals. The program is
 * asked for its version in a home of its own, so that it leaves nothing behind. Rejects only when `signal` aborts.
 */
export async function locate(adapter: AgentAdapter, options: LocateOptions): Promise<Location> {
  const launcher = await findLauncher(adapter.programs, options.env.PATH ?? "");
  if (launcher === undefined) {
    return { kind: "missing", reason: `no ${adapter.programs.map((name) => `"${name}"`).join(" or ")} on PATH` };
  }
  const folder = dirname(launcher.real);
  const natives = adapter.nativePaths.map((path) => findProgram(join(folder, path), "", "/"));
  const candidates = [...natives.filter((path) => path !== undefined), launcher.path];
  const asking = adapter.versionArguments ?? ["--version"];
  if (asking.length === 0) return { kind: "found", program: [candidates[0]!], version: UNKNOWN };

  let reason = "";
  for (const path of candidates) {
    const answer = await askVersion([path, ...asking], options);
    options.signal.throwIfAborted();
    if ("version" in answer) return { kind: "found", program: [path], version: answer.version };
    reason ||= answer.reason;
  }
  return { kind: "broken", path: launcher.path, reason };
}

async function findLauncher(
  names: readonly string[],
  path: string,
): Promise<{ readonly path: string; readonly real: string } | undefined> {
  // A relative folder would be another one in each workdir.
  const folders = path.split(":").filter(isAbsolute);
  const files = names.flatMap((name) =>
    isAbsolute(name) ? [name] : name.includes("/") ? [] : folders.map((folder) => join(folder, name))
  );
  for (const file of files) {
    if (findProgram(file, "", "/") === undefined) continue;
    return { path: file, real: await Deno.realPath(file).catch(() => file) };
  }
  return undefined;
}

async function askVersion(
  argv: readonly [string, ...string[]],
  { env, run, signal, timeoutMs = TIMEOUT_MS }: LocateOptions,
): Promise<{ readonly version: string } | { readonly reason: string }> {
  const home = await Deno.makeTempDir({ prefix: "gocore-locate-" });
  try {
    const end = await run(argv, {
      cwd: home,
      env: { ...env, HOME: home, TMPDIR: home, ...QUICK },
      timeoutMs,
      signal,
      maxOutputBytes: MAX_OUTPUT_BYTES,
    });
    const asked = `\`${argv.slice(1).join(" ")}\``;
    if (end.endedBy === "timeout") return { reason: `it did not answer ${asked} within ${timeoutMs / 1000} s` };
    if (end.endedBy === "spawn_failed") return { reason: end.failure ?? "it could not be started" };
    const output = withoutColours(end.output);
    const said = oneLine(output, 200);
    const telling = said === "" ? "said nothing" : `said "${said}"`;
    if (end.exitCode !== 0) {
      return { reason: `it answered ${asked} with ${end.signalName ?? `exit code ${end.exitCode}`}, and ${telling}` };
    }
    // Warnings come first.
    const version = output.split("\n").reverse().map((line) => VERSION.exec(line)?.[0]).find((found) => found);
    return version === undefined ? { reason: `it answered ${asked} without a version: it ${telling}` } : { version };
  } catch (error) {
    return { reason: `it could not be asked for its version: ${messageOf(error)}` };
  } finally {
    await Deno.remove(home, { recursive: true }).catch(() => {});
  }
}
