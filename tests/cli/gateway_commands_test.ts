/** `gocore gateway` and its commands as users and scripts meet them: help, flags, output, signals, keys, reports. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { type GatewayFlags, readGatewaySettings } from "../../src/gateway/read_settings.ts";
import { type EventOf, exists, gocoreCommand, type GocoreRun, listing, Sandbox, until } from "../support/gocore.ts";
import { type FakeScript, startFakeProvider } from "../support/fake_provider.ts";

const HELP = new URL("help/", import.meta.url);
const KEY = /^gck_[A-Za-z0-9]{32}\n$/;

Deno.test("gocore help gateway prints the help of the gateway", async () => {
  await using box = await Sandbox.create();
  const end = await box.run(["help", "gateway"]);
  deepEqual([end.code, end.stdout], [0, await Deno.readTextFile(new URL("gateway.txt", HELP))]);
});

Deno.test("wrong usage of the gateway is told on stderr with a hint, and nothing is made", async () => {
  await using box = await Sandbox.create();
  const cases: [args: string[], message: RegExp, hint: RegExp][] = [
    [["--prot", "1"], /unknown option "--prot"/i, /--port/],
    [["--port", "many"], /--port.*many.*0 to 65535/, /gateway --help/],
    [["--port", "65536"], /--port.*65536/, /gateway --help/],
    [["--cap-run", "lots"], /--cap-run.*lots.*USD/, /gateway --help/],
    [["--cap-day", "-1"], /--cap-day.*-1/, /gateway --help/],
    [["--cap-day", "Infinity"], /--cap-day.*Infinity/, /gateway --help/],
    [["--cap-run", "0x10"], /--cap-run.*0x10.*decimal/, /gateway --help/],
    [["--cap-worker", "1e3"], /--cap-worker.*1e3.*decimal/, /gateway --help/],
    [["--cap-key", "1,50"], /--cap-key.*1,50.*decimal/, /gateway --help/],
    [["--cap-run", ""], /--cap-run.*decimal/, /gateway --help/],
    [["--port", "0x50"], /--port.*0x50.*0 to 65535/, /gateway --help/],
    [["--record", "a", "--replay", "b"], /--record.*cannot be used with.*--replay/, /gateway --help/],
    [["--script", "a", "--replay", "b"], /--replay.*cannot be used with.*--script/, /gateway --help/],
    [["--script", "missing.yaml", "--port", "0"], /missing\.yaml/, /./],
    [["--config", "missing.toml"], /missing\.toml/, /./],
    [["--upstream", "anthropic"], /--upstream.*a name, an equals sign and a URL/, /anthropic=http/],
    [["--host", "0.0.0.0"], /0\.0\.0\.0/, /TOKEN/],
    [["--run", "../up"], /\.\.\/up/, /./],
    [["repot"], /unknown command "gateway repot"/i, /gocore gateway report/],
    [["--ledger", "x.db", "report"], /--ledger before `report`/, /report --help/],
    [["key"], /which command/i, /gateway key --help/],
    [["key", "isue"], /unknown command "isue"/i, /issue/],
    [["key", "issue", "--run", "r"], /--worker/, /key issue --help/],
    [["key", "issue", "--run", "r", "--worker", "a/b"], /a\/b/, /./],
    [["key", "issue", "--run", "r", "--worker", "w", "--lease", "soon"], /--lease.*soon.*30s/, /issue --help/],
    [["key", "issue", "--run", "r", "--worker", "w", "--cap", "x"], /--cap.*x.*USD/, /issue --help/],
    [["key", "end"], /which keys/i, /--run/],
    [["key", "end", "key_x", "--run", "r"], /which keys/i, /--run/],
    [["key", "end", "--worker", "w"], /--worker/, /--run/],
    [["key", "end", "--run", "r"], /ledger.*\.gocore\/ledger\.db/, /--ledger/],
    [["key", "list"], /ledger.*\.gocore\/ledger\.db/, /--ledger/],
    [["report"], /ledger.*\.gocore\/ledger\.db/, /--ledger/],
    [["report", "--ledger", "other.db"], /other\.db/, /--ledger/],
    [["report", "--by", "run,wrker"], /--by.*run, worker, model, day, upstream.*worker\?/, /report --help/],
    [["report", "--since", "yesterday"], /--since "yesterday"/, /2026-11-21/],
    [["report", "--until", "2026-02-31"], /--until "2026-02-31"/, /2026-11-21/],
    [["report", "--json", "--csv"], /--json.*cannot be used with.*--csv/, /report --help/],
    [["report", "extra"], /too many arguments/i, /report --help/],
  ];
  await Promise.all(cases.map(async ([args, message, hint]) => {
    const shown = JSON.stringify(args);
    const end = await box.run(["gateway", ...args]);
    deepEqual([end.code, end.stdout], [2, ""], `${shown}: ${end.stderr}`);
    match(end.stderr, /^Error: /, shown);
    match(end.stderr.split("\n")[0]!, message, shown);
    match(end.stderr, new RegExp(`^Hint: .*(?:${hint.source})`, "m"), shown);
  }));
  deepEqual(await listing(box.workdir).then((paths) => paths.filter((path) => !path.startsWith(".git/"))), [
    "README.md",
  ]);
});

Deno.test("README's settings are settings that the gateway takes, and those that it is said to have without a file", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const toml = readme.slice(readme.indexOf("\n## Gateway")).match(/```toml\n([\s\S]*?)```/)![1]!;
  await using box = await Sandbox.create();
  const config = await box.file("gateway.toml", toml);
  const read = (flags: GatewayFlags) => readGatewaySettings({ env: {}, cwd: box.workdir, flags });
  const [documented, defaults] = [await read({ config }), await read({})];
  const { caps, rates, fallbacks, prices, upstreams, ...rest } = documented;
  const { caps: _caps, rates: _rates, fallbacks: _fallbacks, prices: _prices, upstreams: builtIn, ...expected } =
    defaults;
  deepEqual(rest, expected);
  deepEqual([caps, rates.length, fallbacks.length, prices.length], [{ run: 5, worker: 2.5, key: 1, day: 20 }, 1, 1, 1]);
  deepEqual(upstreams.map(({ name }) => name), ["lab", ...builtIn.map(({ name }) => name)]);
});

/** A gateway that listens, on a ledger in the sandbox. */
async function startGateway(box: Sandbox, args: string[], env: Record<string, string> = {}) {
  const run = await box.start(["gateway", "--port", "0", ...args], { env });
  const { data } = await run.event("gateway.listening", ({ type }) => type === "gateway.listening") as EventOf<
    "gateway.listening"
  >;
  return { run, url: data.url, listening: data };
}

const REAL_KEY = "sk-ant-test-real-key-000000000001";
const MESSAGE = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "hello" }] };

async function ask(url: string, options: { key?: string; worker?: string; model?: string } = {}): Promise<Response> {
  const path = options.worker === undefined ? "" : `/w/${options.worker}`;
  return await fetch(`${url}${path}/v1/messages`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-api-key": options.key ?? "none",
      "anthropic-version": "2023-06-01",
    },
    body: JSON.stringify({ ...MESSAGE, model: options.model ?? MESSAGE.model }),
  });
}

async function endWith(run: GocoreRun, signal: "SIGTERM" | "SIGINT") {
  run.kill(signal);
  return await run.end;
}

const ANSWER: FakeScript = [{ text: "hi", usage: { input: 1000, output: 200 } }];

Deno.test("a gateway tells where it listens, answers, and ends at a signal with its exit code", async () => {
  await using box = await Sandbox.create();
  for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
    const { run, url, listening } = await startGateway(box, ["--cap-run", "5", "--cap-day", "20.5"]);
    match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const { pid, version, ...rest } = listening;
    deepEqual(rest, {
      url,
      ledger: `${box.workdir}/.gocore/ledger.db`,
      source: "upstreams",
      caps: { run: 5, worker: null, key: null, day: 20.5 },
    });
    equal(typeof version, "string");
    ok(pid > 1);
    const health = await fetch(`${url}/health`);
    equal(health.status, 200);
    await health.body?.cancel();
    const end = await endWith(run, signal);
    deepEqual([end.code, end.signal], [code, null]);
    equal(end.stderr, `gocore gateway listens on ${url}\n`);
    deepEqual(
      end.stdout.split("\n").filter((line) => line !== "").length,
      end.events.length,
      "JSON Lines and nothing else",
    );
    for (const event of end.events) match(event.timestamp!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    await box.noProcessLeft();
  }
});

Deno.test("a port that is in use is an error with a way out", async () => {
  await using box = await Sandbox.create();
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const end = await box.run(["gateway", "--port", String(taken.addr.port)]);
    deepEqual([end.code, end.stdout], [1, ""]);
    match(end.stderr, new RegExp(`^Error: .*${taken.addr.port}`));
    match(end.stderr, /^Hint: .*--port 0/m);
  } finally {
    taken.close();
  }
});

Deno.test("a call is told on stdout, without the keys, and is in the report while the gateway runs", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider(ANSWER);
  const { run, url } = await startGateway(box, ["--run", "nightly", "--upstream", `anthropic=${provider.url}`], {
    ANTHROPIC_API_KEY: REAL_KEY,
  });
  const reply = await ask(url, { worker: "claude" });
  equal(reply.status, 200);
  await reply.json();
  equal(provider.requests[0]!.headers["x-api-key"], REAL_KEY);
  await run.event("model.answered", ({ type }) => type === "model.answered");
  const report = (args: string[]) => box.run(["gateway", "report", ...args]);
  const [table, json, csv, other, late] = await Promise.all([
    report([]),
    report(["--json", "--by", "worker,upstream"]),
    report(["--csv", "--by", "model"]),
    report(["--run", "another"]),
    report(["--json", "--until", "1d"]),
  ]);
  for (const end of [table, json, csv, other, late]) deepEqual([end.code, end.stderr], [0, ""]);
  const cost = (1000 * 3 + 200 * 15) / 1e6;
  match(table.stdout, /nightly +claude +claude-sonnet-4-5 .*0\.006000/);
  const { rows, totals } = JSON.parse(json.stdout);
  equal(rows.length, 1);
  deepEqual([rows[0].worker, rows[0].upstream, rows[0].calls, rows[0].cost_usd], ["claude", "anthropic", 1, cost]);
  equal(totals.cost_usd, cost);
  match(csv.stdout, /^model,.*\r\nclaude-sonnet-4-5,1,/);
  ok(!other.stdout.includes("nightly"));
  deepEqual(JSON.parse(late.stdout).rows, []);
  // A client that mixes up its settings.
  await (await ask(url, { model: REAL_KEY })).json();
  const end = await endWith(run, "SIGTERM");
  deepEqual(end.events.map(({ type }) => type), [
    "gateway.listening",
    "log",
    ...["model.called", "model.answered"],
    ...["model.called", "model.answered"],
  ]);
  deepEqual(end.events[1]!.data, {
    level: "info",
    content: "No key for: openai (OPENAI_API_KEY), gemini (GEMINI_API_KEY)",
  });
  const answered = end.events[3] as EventOf<"model.answered">;
  deepEqual([answered.data.run, answered.data.worker, answered.data.cost_usd], ["nightly", "claude", cost]);
  const mixedUp = end.events[4] as EventOf<"model.called">;
  equal(mixedUp.data["gen_ai.request.model"], "[redacted]");
  ok(!(end.stdout + end.stderr).includes("sk-ant-test"));
});

Deno.test("a gateway that begins says what is missing, and what of its caps is spent already", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider(ANSWER);
  const logsOf = async (args: string[], work?: (url: string) => Promise<unknown>) => {
    const { run, url } = await startGateway(box, args);
    await work?.(url);
    return (await endWith(run, "SIGTERM")).events.filter(({ type }) => type === "log").map(({ data }) => data);
  };
  const names = "anthropic (ANTHROPIC_API_KEY), openai (OPENAI_API_KEY), gemini (GEMINI_API_KEY)";
  deepEqual(await logsOf(["--cap-run", "5"]), [
    { level: "warning", content: `Every call will be refused: no key for ${names}` },
  ]);
  const rest = { level: "info", content: "No key for: openai (OPENAI_API_KEY), gemini (GEMINI_API_KEY)" };
  const args = ["--cap-run", "5", "--upstream", `anthropic=${provider.url}`];
  deepEqual(await logsOf(args, async (url) => await (await ask(url)).json()), [rest]);
  deepEqual(await logsOf(args), [rest, { level: "info", content: 'run "default" has spent 0.006 of 5 USD' }]);
});

Deno.test("an empty ledger has an empty report", async () => {
  await using box = await Sandbox.create();
  const { run } = await startGateway(box, ["--ledger", "sub/l.db"]);
  const report = await box.run(["gateway", "report", "--json", "--ledger", "sub/l.db"]);
  deepEqual([report.code, JSON.parse(report.stdout).rows], [0, []]);
  const table = await box.run(["gateway", "report"], { env: { GOCORE_LEDGER: "sub/l.db" } });
  equal(table.code, 0);
  equal((await endWith(run, "SIGTERM")).code, 143);
});

Deno.test("keys are issued, listed and ended for a gateway that runs; the ledger never holds one", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider(ANSWER);
  const issue = (...args: string[]) => box.run(["gateway", "key", "issue", "--run", "nightly", ...args]);
  const [first, second] = [
    await issue("--worker", "claude", "--cap", "2.5", "--lease", "90m"),
    await issue("--worker", "codex"),
  ];
  for (const { code, stdout, stderr } of [first, second]) {
    equal(code, 0);
    match(stdout, KEY);
    match(stderr, /^The key's id is key_[A-Za-z0-9]+\n$/);
  }
  const idOf = ({ stderr }: { stderr: string }) => /key_[A-Za-z0-9]+/.exec(stderr)![0];
  const { run, url } = await startGateway(box, ["--require-key", "--upstream", `anthropic=${provider.url}`], {
    ANTHROPIC_API_KEY: REAL_KEY,
  });
  const statusFor = async (key?: string) => {
    const reply = await ask(url, { key });
    await reply.body?.cancel();
    return reply.status;
  };
  deepEqual([await statusFor(), await statusFor(first.stdout.trim()), await statusFor(second.stdout.trim())], [
    401,
    200,
    200,
  ]);

  const list = async (...args: string[]) =>
    JSON.parse((await box.run(["gateway", "key", "list", "--json", ...args])).stdout);
  const keys = await list();
  deepEqual(
    keys.map((
      { id, run, worker, cap_usd, state, ended_at }: Record<string, unknown>,
    ) => [id, run, worker, cap_usd, state, ended_at]),
    [
      [idOf(first), "nightly", "claude", 2.5, "valid", null],
      [idOf(second), "nightly", "codex", null, "valid", null],
    ],
  );
  equal(Date.parse(keys[0].lease_until) - Date.parse(keys[0].created_at), 90 * 60_000);
  equal(keys[1].lease_until, null);
  deepEqual(await list("--run", "another"), []);
  const table = await box.run(["gateway", "key", "list"]);
  match(table.stdout, new RegExp(`${idOf(first)} +nightly +claude +2\\.500000 +valid `));

  const ended = await box.run(["gateway", "key", "end", idOf(first)]);
  deepEqual([ended.code, ended.stdout, ended.stderr], [0, "", "1 key has ended\n"]);
  deepEqual([await statusFor(first.stdout.trim()), await statusFor(second.stdout.trim())], [401, 200]);
  const endedRun = await box.run(["gateway", "key", "end", "--run", "nightly", "--worker", "codex"]);
  deepEqual([endedRun.code, endedRun.stderr], [0, "1 key has ended\n"]);
  equal(await statusFor(second.stdout.trim()), 401);
  const again = await box.run(["gateway", "key", "end", "--run", "nightly"]);
  deepEqual([again.code, again.stderr], [0, "0 keys have ended\n"]);
  const unknown = await box.run(["gateway", "key", "end", "key_nobody"]);
  deepEqual([unknown.code, unknown.stdout], [2, ""]);
  match(unknown.stderr, /key_nobody/);

  const end = await endWith(run, "SIGTERM");
  ok(!(end.stdout + end.stderr).includes("gck_"));
  for (const path of await listing(`${box.workdir}/.gocore`)) {
    const text = new TextDecoder("latin1").decode(await Deno.readFile(`${box.workdir}/.gocore/${path}`));
    ok(!text.includes("gck_"), path);
  }
});

/** Starts a gateway whose stdout the test has in its hands. */
async function startHeld(box: Sandbox, upstream: string) {
  const [program, ...args] = gocoreCommand();
  const child = new Deno.Command(program!, {
    args: [...args, "gateway", "--port", "0", "--upstream", `anthropic=${upstream}`],
    cwd: box.workdir,
    clearEnv: true,
    env: await box.environment({ ANTHROPIC_API_KEY: REAL_KEY }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    ok(!done, "the gateway ended before it listened");
    text += new TextDecoder().decode(value);
  }
  return {
    child,
    reader,
    url: JSON.parse(text.split("\n")[0]!).data.url as string,
    stderr: new Response(child.stderr).text(),
  };
}

Deno.test("a gateway goes on when nobody reads stdout any more, and says so once", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider(ANSWER);
  const { child, reader, url, stderr } = await startHeld(box, provider.url);
  await reader.cancel();
  for (let i = 0; i < 5; i++) equal((await (await ask(url)).json()).type, "message");
  child.kill("SIGTERM");
  equal((await child.status).code, 143);
  const [where, note, ...rest] = (await stderr).split("\n");
  deepEqual([where, rest], [`gocore gateway listens on ${url}`, [""]]);
  match(note!, /^Note: Nobody reads stdout any more; the gateway goes on/);
  const report = await box.run(["gateway", "report", "--json"]);
  equal(JSON.parse(report.stdout).totals.calls, 5);
  await box.noProcessLeft();
});

Deno.test("a reader that reads nothing holds up no call, and not the end", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider(ANSWER);
  const { child, reader, url, stderr } = await startHeld(box, provider.url);
  // Their events are more than a pipe holds.
  for (let i = 0; i < 100; i++) equal((await (await ask(url)).json()).type, "message");
  child.kill("SIGTERM");
  equal((await child.status).code, 143);
  await reader.cancel();
  equal(await stderr, `gocore gateway listens on ${url}\n`);
  await box.noProcessLeft();
});

Deno.test("a second signal ends a gateway at once while a call is under way", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider([{ fault: "hang" }]);
  const { run, url } = await startGateway(box, ["--upstream", `anthropic=${provider.url}`], {
    ANTHROPIC_API_KEY: "sk-ant-x",
  });
  const asked = ask(url).then((reply) => reply.body?.cancel(), () => {});
  await Promise.race([provider.requested(1), asked]);
  equal(provider.requests.length, 1);
  run.kill("SIGINT");
  await until("the gateway takes no more calls", () =>
    fetch(`${url}/health`).then(async (reply) => {
      await reply.body?.cancel();
      return reply.status !== 200;
    }, () => true));
  run.kill("SIGINT");
  deepEqual([(await run.end).code, await exists(`${box.workdir}/.gocore/ledger.db`)], [130, true]);
  await asked;
  const report = await box.run(["gateway", "report", "--json"]);
  equal(JSON.parse(report.stdout).totals.calls, 1);
  await box.noProcessLeft();
});
