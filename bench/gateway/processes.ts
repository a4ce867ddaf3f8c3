/** The programs of the gateway's benchmark, each in a process of its own: provider, callers, gateway and peer. */
import { fileURLToPath } from "node:url";
import { Child, cleanEnvironment, program } from "../child.ts";
import type { Measured, Order } from "./callers.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What calls are sent to: the provider itself, or something in front of it. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
}

export interface Upstream extends Server {
  /** How long replies take from now on. */
  setDelay(ms: number): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const child = new Child(program(new URL("upstream.ts", import.meta.url)), "stdout");
  const url = `http://127.0.0.1:${await child.line()}`;
  return {
    url,
    key: "sk-dummy",
    pid: child.process.pid,
    setDelay: async (ms) => {
      await (await fetch(`${url}/delay/${ms}`, { method: "POST" })).body?.cancel();
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

export interface Callers extends AsyncDisposable {
  measure(order: Order): Promise<Measured>;
}

export function startCallers(): Callers {
  const child = new Child(program(new URL("callers.ts", import.meta.url)), "stdout", { stdin: "piped" });
  const stdin = child.process.stdin.getWriter();
  return {
    measure: async (order) => {
      await stdin.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
      return JSON.parse(await child.line());
    },
    [Symbol.asyncDispose]: async () => {
      await stdin.close();
      await child[Symbol.asyncDispose]();
    },
  };
}

/** A gateway as for a worker: a virtual key, a ledger on disk, and caps that each call is compared with. */
export async function startGocore(argv: readonly string[], upstream: Upstream, dir: string): Promise<Server> {
  const ledger = `${dir}/ledger.db`;
  const key = await output([...argv, "gateway", "key", "issue", "--run", "bench", "--worker", "w", "--ledger", ledger]);
  const names = ["anthropic", "openai"];
  const flags = ["--port", "0", "--ledger", ledger, "--cap-run", "1000000", "--cap-key", "1000000"];
  const upstreams = names.flatMap((name) => ["--upstream", `${name}=${upstream.url}`]);
  const child = new Child([...argv, "gateway", "--require-key", ...flags, ...upstreams], "stderr", {
    env: { ANTHROPIC_API_KEY: "sk-dummy", OPENAI_API_KEY: "sk-dummy" },
  });
  const greeting = await child.line();
  const [url] = /http:\/\/\S+/.exec(greeting) ?? [];
  if (url === undefined) throw new Error(`The gateway did not start: ${greeting}`);
  return { url, key, pid: child.process.pid, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

async function output(argv: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: cleanEnvironment(),
    clearEnv: true,
  }).output();
  if (!success) throw new Error(`${argv.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

/** One process, as ours is; without a database, so that it neither stores calls nor holds caps. */
export async function startLitellm(upstream: Upstream, dir: string): Promise<Server> {
  const key = "sk-bench";
  const port = freePort();
  const config = `${dir}/litellm.json`;
  const model = (name: string, provider: string, api_base: string) => ({
    model_name: name,
    litellm_params: { model: `${provider}/${name}`, api_base, api_key: "sk-dummy" },
  });
  // YAML reads JSON.
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      model_list: [
        model("gpt-4o", "openai", `${upstream.url}/v1`),
        model("claude-sonnet-4-20250514", "anthropic", upstream.url),
      ],
      general_settings: { master_key: key },
    }),
  );
  const argv = [`${root}.cache/bench/litellm/bin/litellm`, "--config", config, "--host", "127.0.0.1", "--port", port];
  const child = new Child([...argv, "--num_workers", "1", "--telemetry", "False"], "neither", {
    env: {
      HOME: dir,
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      LITELLM_LOG: "ERROR",
      LITELLM_MODE: "PRODUCTION",
      DISABLE_ADMIN_UI: "True",
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await answering(`${url}/health/liveliness`, child.process);
  return { url, key, pid: child.process.pid, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

function freePort(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return String(listener.addr.port);
}

async function answering(url: string, process: Deno.ChildProcess): Promise<void> {
  let ended = false;
  process.status.then(() => ended = true);
  while (!ended) {
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("LiteLLM's proxy has ended too early");
}
