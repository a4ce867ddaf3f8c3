/** What every worker is given of the machine: its environment, and the programs that it may see. */
import { dirname, join } from "node:path";
import type { EventData } from "../events/event.ts";
import { splitSecrets } from "../safety/secrets.ts";
import type { Located } from "../workers/adapter.ts";
import type { WorkerRun, WorkerRunRequest } from "../workers/worker_run.ts";

/** Of another agent's setup, or of whoever started us; each agent gets its own from its adapter. */
const AGENT_VARIABLES =
  /^(?:ANTHROPIC|OPENAI|GEMINI|GOOGLE|CLAUDE|CODEX|MINI|MSWEA|GOCORE|OPENROUTER|AZURE|VERTEX|AWS)_|^CLAUDECODE$|^IS_SANDBOX$/;

/** @param forwarded names of variables that are passed on although they look like secrets */
export function inheritedEnvironment(
  env: Readonly<Record<string, string>>,
  forwarded: readonly string[],
): Record<string, string> {
  const { plain } = splitSecrets(env);
  const own = withoutGitPlaces(
    Object.fromEntries(Object.entries(plain).filter(([name]) => !AGENT_VARIABLES.test(name))),
  );
  const direct = [...(env.NO_PROXY ?? env.no_proxy ?? "").split(","), "127.0.0.1", "localhost", "::1"]
    .filter((host) => host !== "").join(",");
  // A proxy of the network does not lead to the gateway on this machine.
  const proxied = Object.keys(own).some((name) => /^(?:https?|all)_proxy$/i.test(name));
  // From sources, our own agent needs the modules that are fetched already, whatever its home is.
  const modules: Record<string, string> = Deno.build.standalone
    ? {}
    : { DENO_DIR: env.DENO_DIR ?? join(env.HOME ?? "/", ".cache", "deno") };
  const named = Object.fromEntries(forwarded.flatMap((name) => env[name] === undefined ? [] : [[name, env[name]]]));
  return { ...own, ...modules, ...(proxied && { NO_PROXY: direct, no_proxy: direct }), ...named };
}

/** Started from a git hook, we have variables that would lead every git command to another repository. */
export function withoutGitPlaces(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^GIT_(?!AUTHOR_|COMMITTER_)/.test(name)));
}

/** Below the home: programs and libraries of languages, without credentials. */
const TOOLCHAINS = [
  ".nvm",
  ".volta",
  ".pyenv",
  ".rbenv",
  ".asdf",
  ".sdkman",
  ".rustup",
  ".cargo/bin",
  ".cargo/registry",
  ".deno",
  ".bun",
  ".cache/deno",
  "go/pkg",
  ".local/bin",
  ".local/share/mise",
  ".local/share/uv",
];

/** What a worker has to be able to read, for its agent and its tools to run, where the home and /tmp are hidden. */
export function programPlaces(env: Readonly<Record<string, string>>, { program }: Located): string[] {
  const own = env.HOME ?? "";
  const inHome = (path: string) => own !== "" && path.startsWith(`${own}/`);
  const folders = (env.PATH ?? "").split(":").filter(inHome);
  const programs = program.filter((part) => part.startsWith("/"))
    .flatMap((path) => [path, packageOf(realPath(path))])
    // All that is in them would be shown.
    .filter((path) => path !== own && path !== "/tmp");
  // Also those in a temporary folder.
  return [...folders, ...programs, ...TOOLCHAINS.map((path) => join(own, path))];
}

/** The home to hide; undefined: there is none. */
export function homeToHide({ HOME: own = "" }: Readonly<Record<string, string>>): string | undefined {
  return own !== "" && own !== "/" ? own : undefined;
}

/** The outermost package that a program belongs to, with all that it may load. Our own sources need their `deno.json`. */
function packageOf(path: string): string {
  const at = path.indexOf("/node_modules/");
  if (at !== -1) return path.slice(0, at + "/node_modules".length);
  return path.endsWith("/src/main.ts") ? dirname(dirname(path)) : dirname(path);
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

/** Its command line without the prompt, which is recorded where it can be read. */
export function argvWithoutPrompt({ adapter, launch }: WorkerRunRequest): string[] {
  const { prompt } = launch;
  return adapter.launch(launch).argv.map((part) => part.includes(prompt) ? part.replace(prompt, "{prompt}") : part);
}

export function startedFact(
  { process }: WorkerRun,
  { worker, attempt }: { worker: string; attempt: number },
): EventData<"worker.started"> {
  const { pid, startTicks, startedMs } = process.handle;
  return {
    worker,
    attempt,
    pid,
    start_ticks: startTicks,
    started_ms: startedMs,
    sandbox: { ...process.sandbox },
    limits: { ...process.limits },
    adopted: false,
    attach: process.attach ?? null,
  };
}

export async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
}
