/** Runs a real coding agent on a task, with its model behind a gateway and all its state in a folder of its own. */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { Sandbox } from "../support/gocore.ts";

const BIN = fileURLToPath(new URL("../../.cache/agents/node_modules/.bin/", import.meta.url));
const FETCHED = new URL("../../.cache/agents/", import.meta.url);

/** Far beyond what an agent needs for a task of two replies on a busy machine. */
const DEADLINE_MS = 300_000;

export const agentNames = ["codex", "claude", "gemini"] as const;
export type AgentName = typeof agentNames[number];

export interface AgentRun {
  readonly code: number;
  /** What the agent said last. */
  readonly said: string;
  /** All that it wrote, for the message of a test that failed. */
  readonly output: string;
}

export interface AgentOptions {
  /** The gateway's. */
  readonly url: string;
  /** Also the name of the folder, below the sandbox's root, that has the agent's home, state and temporary files. */
  readonly worker: string;
  /** The repository that it works in. */
  readonly workdir: string;
}

interface Setup {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written before the agent starts, relative to its home. */
  readonly files?: Readonly<Record<string, string>>;
}

interface Agent {
  setUp(base: string, home: string): Setup;
  /** Reads its stream of JSON lines. */
  saidLast(events: readonly Record<string, unknown>[]): string;
}

const TASK = "Create the file";

// deno-lint-ignore no-explicit-any -- streams of three programs, each with shapes of its own
type Stream = any[];

const AGENTS: Readonly<Record<AgentName, Agent>> = {
  codex: {
    setUp: (base, home) => ({
      args: [
        ...["exec", "--json", "--dangerously-bypass-approvals-and-sandbox", "-m", "gpt-5.5"],
        ...["--disable", "plugins", "--disable", "unbounded_connection_retries"],
        ...["-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false", "-c", "model_provider=gocore"],
        ...["-c", `model_providers.gocore={${provider(`${base}/v1`)}}`],
        TASK,
      ],
      env: { CODEX_HOME: home, GATEWAY_KEY: "unused" },
    }),
    saidLast: (events: Stream) => events.findLast(({ item }) => item?.type === "agent_message")?.item.text ?? "",
  },
  claude: {
    setUp: (base, home) => ({
      args: ["--print", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions", TASK],
      env: {
        CLAUDE_CONFIG_DIR: home,
        ANTHROPIC_BASE_URL: base,
        ANTHROPIC_API_KEY: "unused",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        CLAUDE_CODE_MAX_RETRIES: "0",
        // Root may skip permissions only in what calls itself a sandbox.
        IS_SANDBOX: "1",
      },
    }),
    saidLast: (events: Stream) => events.findLast(({ type }) => type === "result")?.result ?? "",
  },
  gemini: {
    setUp: (base, home) => ({
      args: ["-m", "gemini-2.5-flash", "--yolo", "--output-format", "stream-json", "--prompt", TASK],
      env: {
        GEMINI_CLI_HOME: home,
        GOOGLE_GEMINI_BASE_URL: base,
        GEMINI_API_KEY: "unused",
        // Its launcher would keep signals from it.
        GEMINI_CLI_NO_RELAUNCH: "true",
        ...{ NO_COLOR: "1", TERM: "xterm-256color", COLORTERM: "truecolor" },
      },
      files: { ".gemini/settings.json": JSON.stringify(GEMINI_SETTINGS) },
    }),
    saidLast(events: Stream) {
      const afterTools = events.slice(events.findLastIndex(({ type }) => type === "tool_result") + 1);
      return afterTools.flatMap(({ role, content }) => role === "assistant" ? [content] : []).join("");
    },
  },
};

const GEMINI_SETTINGS = {
  security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
  general: { maxAttempts: 1, enableAutoUpdate: false, enableAutoUpdateNotification: false, retryFetchErrors: false },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
};

function provider(baseUrl: string): string {
  const texts = { name: "gocore", base_url: baseUrl, env_key: "GATEWAY_KEY", wire_api: "responses" };
  return [
    ...Object.entries(texts).map(([key, value]) => `${key}=${JSON.stringify(value)}`),
    "request_max_retries=0",
    "stream_max_retries=0",
  ].join(",");
}

/** Whether `fetch_clis.sh` has fetched the agents. */
export function agentsAreFetched(): boolean {
  try {
    return Array.from(Deno.readDirSync(FETCHED)).some(({ name }) => name.startsWith("complete-"));
  } catch {
    return false;
  }
}

/** Runs the agent to its end; kills it, and throws, when that does not come. Its processes bear the sandbox's mark. */
export async function runAgent(sandbox: Sandbox, name: AgentName, options: AgentOptions): Promise<AgentRun> {
  const { url, worker, workdir } = options;
  const root = join(sandbox.root, "agents", worker);
  const [home, tmp] = [join(root, "home"), join(root, "tmp")];
  await Deno.mkdir(home, { recursive: true });
  await Deno.mkdir(tmp, { recursive: true });
  const { args, env, files = {} } = AGENTS[name].setUp(`${url}/w/${worker}`, home);
  for (const [path, text] of Object.entries(files)) await sandbox.file(join("agents", worker, "home", path), text);

  const child = new Deno.Command(join(BIN, name), {
    args: [...args],
    cwd: workdir,
    clearEnv: true,
    env: await sandbox.environment({ ...env, HOME: home, TMPDIR: tmp }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let timedOut = false;
  const timer = setTimeout(async () => {
    timedOut = true;
    // The wrappers of some agents do not pass a kill on.
    for (const { pid } of await sandbox.processes()) Deno.kill(pid, "SIGKILL");
  }, DEADLINE_MS);
  const { code, stdout, stderr } = await child.output().finally(() => clearTimeout(timer));
  const lines = new TextDecoder().decode(stdout).split("\n");
  const output = `${lines.join("\n")}\n${new TextDecoder().decode(stderr)}`.slice(-8000);
  if (timedOut) throw new Error(`${name} was still running after ${DEADLINE_MS} ms\n${output}`);
  const events = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return { code, said: AGENTS[name].saidLast(events), output };
}
