/** Real coding agents work through `gocore gateway`: scripted, recorded and replayed. See `fetch_clis.sh`. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { DialectId } from "../../src/gateway/dialect.ts";
import type { Report } from "../../src/gateway/ledger/report.ts";
import { type EventOf, listing, type Reply, Sandbox } from "../support/gocore.ts";
import { type AgentName, agentNames, agentsAreFetched, runAgent } from "./agent_cli.ts";

const ignore = !agentsAreFetched();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: ignore ? `${name} (ignored: fetch_clis.sh has not run)` : name, ignore, fn });

const DIALECT: Readonly<Record<AgentName, DialectId>> = {
  codex: "openai_responses",
  claude: "anthropic",
  gemini: "gemini",
};
const UPSTREAM: Readonly<Record<AgentName, string>> = { codex: "openai", claude: "anthropic", gemini: "gemini" };

const FILE = "made_by_agent.txt";
const replies = (content: string): Reply[] => [
  { reasoning: "It is one command.", content: "I create the file", commands: [`echo ${content} > ${FILE}`] },
  { content: `Done: ${content}` },
];

interface Gateway extends AsyncDisposable {
  readonly url: string;
  /** Of the calls that were taken: their answers' `model.answered`. */
  answered(): EventOf<"model.answered">["data"][];
  /** Ends it as a user does, and waits for its end. */
  stop(): Promise<void>;
}

async function startGateway(sandbox: Sandbox, args: readonly string[]): Promise<Gateway> {
  const run = await sandbox.start(["gateway", "--port", "0", ...args], { env: PROVIDER_KEYS });
  const listening = await run.event("gateway.listening", ({ type }) => type === "gateway.listening");
  const { url } = (listening as EventOf<"gateway.listening">).data;
  const stop = async () => {
    run.kill("SIGTERM");
    equal((await run.end).code, 143);
  };
  return {
    url,
    answered: () => run.events.flatMap((event) => event.type === "model.answered" ? [event.data] : []),
    stop,
    [Symbol.asyncDispose]: async () => void await (run.kill("SIGKILL"), run.end.catch(() => {})),
  };
}

/** Nobody asks the providers that these would be for. */
const PROVIDER_KEYS = { ANTHROPIC_API_KEY: "unused", OPENAI_API_KEY: "unused", GEMINI_API_KEY: "unused" };

/** Lets an agent work, and asserts that it did what the script says. */
async function work(sandbox: Sandbox, name: AgentName, { url, worker, content }: {
  url: string;
  worker: string;
  content: string;
}): Promise<void> {
  const workdir = await sandbox.repository(`work-${worker}`);
  const { code, said, output } = await runAgent(sandbox, name, { url, worker, workdir });
  deepEqual({ code, said }, { code: 0, said: `Done: ${content}` }, output);
  const made = (await listing(workdir)).filter((path) => !path.startsWith(".git/"));
  deepEqual(made, ["README.md", FILE], output);
  equal(await Deno.readTextFile(join(workdir, FILE)), `${content}\n`);
}

async function reportByWorker(sandbox: Sandbox, ledger: string): Promise<Report["rows"]> {
  const { code, stdout, stderr } = await sandbox.run([
    "gateway",
    "report",
    "--ledger",
    ledger,
    "--by",
    "worker",
    "--json",
  ]);
  equal(code, 0, stderr);
  return (JSON.parse(stdout) as Report).rows;
}

function scriptFile(sandbox: Sandbox, script: unknown): Promise<string> {
  return sandbox.file("script.yaml", JSON.stringify(script));
}

for (const name of agentNames) {
  test(`${name} completes a task from a script, and its calls stand in the ledger under its name`, async () => {
    await using sandbox = await Sandbox.create();
    const ledger = join(sandbox.root, "ledger.db");
    const script = await scriptFile(sandbox, replies("scripted"));
    await using gateway = await startGateway(sandbox, ["--ledger", ledger, "--script", script]);
    await work(sandbox, name, { url: gateway.url, worker: `my-${name}`, content: "scripted" });
    await gateway.stop();

    const calls = gateway.answered().map(({ worker, dialect, outcome, status, usage_source: usage }) => {
      return { worker, dialect, outcome, status, usage };
    });
    const expected = {
      worker: `my-${name}`,
      dialect: DIALECT[name],
      outcome: "answered",
      status: 200,
      usage: "provider",
    };
    deepEqual(calls, [expected, expected]);
    const [row, ...others] = await reportByWorker(sandbox, ledger);
    deepEqual(others, []);
    const { calls: count, answered, failed, open } = row!;
    deepEqual({ worker: row!.worker, count, answered, failed, open }, {
      worker: `my-${name}`,
      count: 2,
      answered: 2,
      failed: 0,
      open: 0,
    });
    ok(row!.input_tokens > 0 && row!.output_tokens > 0, JSON.stringify(row));
    await sandbox.noProcessLeft();
  });

  test(`${name} completes its task again from what was recorded, with no upstream`, async () => {
    await using sandbox = await Sandbox.create();
    const cassettes = join(sandbox.root, "cassettes");
    const ledger = (file: string) => ["--ledger", join(sandbox.root, file)];
    const script = await scriptFile(sandbox, replies("recorded"));
    {
      await using upstream = await startGateway(sandbox, [...ledger("upstream.db"), "--script", script]);
      const flags = ["--record", cassettes, "--upstream", `${UPSTREAM[name]}=${upstream.url}`];
      await using recording = await startGateway(sandbox, [...ledger("recording.db"), ...flags]);
      await work(sandbox, name, { url: recording.url, worker: name, content: "recorded" });
      await recording.stop();
      await upstream.stop();
    }
    ok((await listing(cassettes)).length > 0, "something was recorded");
    // Another home, another folder, other ids and times: what a replay has to see through.
    await using replaying = await startGateway(sandbox, [...ledger("replaying.db"), "--replay", cassettes]);
    await Deno.rename(join(sandbox.root, "agents", name), join(sandbox.root, "agents", "before"));
    await Deno.rename(join(sandbox.root, `work-${name}`), join(sandbox.root, "work-before"));
    await work(sandbox, name, { url: replaying.url, worker: name, content: "recorded" });
    await replaying.stop();
    const [recorded, replayed] = await Promise.all(
      ["recording.db", "replaying.db"].map((file) => reportByWorker(sandbox, join(sandbox.root, file))),
    );
    const tokens = (rows: Report["rows"]) =>
      rows.map(({ worker, answered, failed, input_tokens, output_tokens }) => {
        return { worker, answered, failed, input_tokens, output_tokens };
      });
    deepEqual(tokens(replayed!), tokens(recorded!), "a replay counts what the recording counted");
    deepEqual(recorded!.map(({ worker, answered, failed }) => ({ worker, answered, failed })), [
      { worker: name, answered: 2, failed: 0 },
    ]);
    await sandbox.noProcessLeft();
  });
}

test("all agents work side by side, each from its own list", async () => {
  await using sandbox = await Sandbox.create();
  const ledger = join(sandbox.root, "ledger.db");
  const workers = Object.fromEntries(agentNames.map((name) => [name, replies(`by-${name}`)]));
  const script = await scriptFile(sandbox, { workers });
  await using gateway = await startGateway(sandbox, ["--ledger", ledger, "--script", script]);
  await Promise.all(
    agentNames.map((name) => work(sandbox, name, { url: gateway.url, worker: name, content: `by-${name}` })),
  );
  await gateway.stop();
  const rows = await reportByWorker(sandbox, ledger);
  deepEqual(
    rows.map(({ worker, answered, failed }) => ({ worker, answered, failed })).sort((a, b) =>
      a.worker! < b.worker! ? -1 : 1
    ),
    [...agentNames].sort().map((worker) => ({ worker, answered: 2, failed: 0 })),
  );
  await sandbox.noProcessLeft();
});
