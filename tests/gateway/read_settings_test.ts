/** A gateway's settings from files, variables and flags; what is wrong with them is told with its place. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { type GatewayFlags, readGatewaySettings, readLedgerPath } from "../../src/gateway/read_settings.ts";
import { DEFAULT_SETTINGS } from "../../src/gateway/settings.ts";
import { inTempDir } from "../support/temp_dir.ts";

type Env = Record<string, string | undefined>;

const read = (given: { flags?: GatewayFlags; env?: Env; cwd?: string } = {}) =>
  readGatewaySettings({ env: {}, cwd: "/work-folder", flags: {}, ...given });

/** With this text as the file that `--config` names. */
async function readText(text: string, given: { flags?: GatewayFlags; env?: Env } = {}) {
  let settings: Awaited<ReturnType<typeof read>>;
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/gateway.toml`, text);
    settings = await read({ cwd, ...given, flags: { config: "gateway.toml", ...given.flags } });
  });
  return settings!;
}

async function failureOf(promise: Promise<unknown>): Promise<{ message: string; hints: readonly string[] }> {
  let failure: Failure | undefined;
  await rejects(promise, (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    equal(error.kind, "usage");
    failure = error;
    return true;
  });
  return { message: failure!.message, hints: failure!.hints };
}

const upstreamOf = async (settings: ReturnType<typeof read>, name: string) =>
  (await settings).upstreams.find((one) => one.name === name)!;

const ANTHROPIC = {
  name: "anthropic",
  provider: "anthropic",
  baseUrl: "https://api.anthropic.com",
  apiKey: undefined,
  keyless: false,
  keySource: "ANTHROPIC_API_KEY",
  dialects: ["anthropic"],
  models: [],
} as const;
const OPENAI = {
  ...ANTHROPIC,
  name: "openai",
  provider: "openai",
  baseUrl: "https://api.openai.com",
  keySource: "OPENAI_API_KEY",
  dialects: ["openai_chat", "openai_responses"],
} as const;
const GEMINI = {
  ...ANTHROPIC,
  name: "gemini",
  provider: "gemini",
  baseUrl: "https://generativelanguage.googleapis.com",
  keySource: "GEMINI_API_KEY",
  dialects: ["gemini"],
} as const;

Deno.test("with nothing given everything has its default, and three providers are there", async () => {
  deepEqual(await read(), {
    ...DEFAULT_SETTINGS,
    ledger: "/work-folder/.gocore/ledger.db",
    source: { kind: "upstreams", recordDir: undefined },
    upstreams: [ANTHROPIC, OPENAI, GEMINI],
  });
});

Deno.test("a file sets everything", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/key`, "  file-key\n");
    await Deno.writeTextFile(
      `${cwd}/gateway.toml`,
      `
host = "::1"
port = 0
ledger = "money.db"
run = "nightly"
require_key = true
token_env = "MY_TOKEN"
allowed_hosts = ["gateway.internal"]
unknown_price = "allow"
uncounted = "estimate"
assumed_output_tokens = 4096
attempts = 3
[caps]
run_usd = 5
worker_usd = 1.5
key_usd = 1
day_usd = 0
[limits]
body_mb = 1.5
header_kb = 8
request_seconds = 1
first_byte_seconds = 2
idle_seconds = 3
call_seconds = 4
queue_seconds = 0
drain_seconds = 0.25
[[upstream]]
name = "proxy"
provider = "litellm_proxy"
base_url = "https://models.example.com/team/v1/"
key_file = "key"
dialects = ["anthropic", "openai_chat"]
models = ["team-*"]
[[rate]]
upstream = "proxy"
model = "claude-*"
concurrency = 2
requests_per_minute = 60
tokens_per_minute = 100_000
[[rate]]
upstream = "op*"
requests_per_minute = 0.5
[[fallback]]
model = "claude-*"
to = [{ upstream = "proxy" }, { upstream = "openai", model = "gpt-5" }]
[prices."my-model-*"]
input_cost_per_token = 1e-6
output_cost_per_token = 2e-6
cache_creation_input_token_cost = 1.25e-6
max_tokens = 8192
`,
    );
    deepEqual(await read({ cwd, env: { MY_TOKEN: " tok " }, flags: { config: "gateway.toml" } }), {
      host: "::1",
      port: 0,
      ledger: `${cwd}/money.db`,
      run: "nightly",
      requireKey: true,
      token: "tok",
      allowedHosts: ["gateway.internal"],
      unknownPrice: "allow",
      uncounted: "estimate",
      assumedOutputTokens: 4096,
      attempts: 3,
      caps: { run: 5, worker: 1.5, key: 1, day: 0 },
      maxBodyBytes: 1.5 * 1024 * 1024,
      maxHeaderBytes: 8192,
      requestTimeoutMs: 1000,
      firstByteTimeoutMs: 2000,
      idleTimeoutMs: 3000,
      callTimeoutMs: 4000,
      queueTimeoutMs: 0,
      drainMs: 250,
      source: { kind: "upstreams", recordDir: undefined },
      upstreams: [
        {
          name: "proxy",
          provider: "litellm_proxy",
          baseUrl: "https://models.example.com/team/v1",
          apiKey: "file-key",
          keyless: false,
          keySource: "key",
          dialects: ["anthropic", "openai_chat"],
          models: ["team-*"],
        },
        ANTHROPIC,
        OPENAI,
        GEMINI,
      ],
      rates: [
        { upstream: "proxy", model: "claude-*", concurrency: 2, requestsPerMinute: 60, tokensPerMinute: 100_000 },
        { upstream: "op*", requestsPerMinute: 0.5 },
      ],
      fallbacks: [{ model: "claude-*", to: [{ upstream: "proxy" }, { upstream: "openai", model: "gpt-5" }] }],
      prices: [{
        model: "my-model-*",
        prices: { input: 1e-6, output: 2e-6, cacheRead: 1e-6, cacheWrite: 1.25e-6, cacheWrite1h: 2e-6 },
      }],
    });
  });
});

Deno.test("flags come before variables, variables before the file", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/token`, "from-flag");
    await Deno.writeTextFile(
      `${cwd}/x.toml`,
      'host = "::1"\nport = 1\nledger = "file.db"\nrun = "file"\ntoken_file = "none"\n[caps]\nrun_usd = 1\nday_usd = 1\n',
    );
    const env = { GOCORE_GATEWAY_CONFIG: "x.toml", GOCORE_LEDGER: "env.db", GOCORE_GATEWAY_TOKEN: "from-env" };
    const { ledger, run, token, caps, port } = await read({ cwd, env });
    deepEqual({ ledger, run, token, caps, port }, {
      ledger: `${cwd}/env.db`,
      run: "file",
      token: "from-env",
      caps: { run: 1, day: 1 },
      port: 1,
    });
    const flags: GatewayFlags = {
      host: "localhost",
      port: 0,
      ledger: ":memory:",
      run: "_flag",
      capRun: 0,
      capWorker: 2,
      capKey: 3,
      tokenFile: "token",
      requireKey: true,
      record: "tapes",
    };
    const flagged = await read({ cwd, env, flags });
    deepEqual({ ...flagged, upstreams: [] }, {
      ...DEFAULT_SETTINGS,
      host: "localhost",
      port: 0,
      ledger: ":memory:",
      run: "_flag",
      requireKey: true,
      token: "from-flag",
      caps: { run: 0, worker: 2, key: 3, day: 1 },
      source: { kind: "upstreams", recordDir: `${cwd}/tapes` },
      upstreams: [],
    });
    equal(await readLedgerPath({ cwd, env, flags: {} }), `${cwd}/env.db`);
    equal(await readLedgerPath({ cwd, env: { GOCORE_GATEWAY_CONFIG: "x.toml" }, flags: {} }), `${cwd}/file.db`);
    equal(await readLedgerPath({ cwd, env, flags: { ledger: "/l.db" } }), "/l.db");
  });
});

Deno.test("a file that nobody names is not read, whatever it is called", async () => {
  await inTempDir(async (cwd) => {
    for (const name of ["gateway.toml", "gocore.toml", "mminions.toml", ".gocore.toml"]) {
      await Deno.writeTextFile(`${cwd}/${name}`, '[[upstream]]\nname = "anthropic"\nbase_url = "http://127.0.0.1:1"\n');
    }
    equal((await upstreamOf(read({ cwd }), "anthropic")).baseUrl, "https://api.anthropic.com");
  });
});

Deno.test("recordings and scripts stand in for upstreams, one of them at a time", async () => {
  deepEqual((await read({ flags: { replay: "tapes" } })).source, { kind: "replay", dir: "/work-folder/tapes" });
  deepEqual((await read({ flags: { script: "/s.yaml" } })).source, { kind: "script", path: "/s.yaml" });
  equal(
    (await failureOf(read({ flags: { record: "a", replay: "b" } }))).message,
    "Cannot use --record and --replay together: need one source of replies",
  );
  await failureOf(read({ flags: { record: "a", script: "b" } }));
  await failureOf(read({ flags: { replay: "a", script: "b" } }));
});

// --- upstreams

Deno.test("variables of the providers give keys and addresses; those of `mini` point at a gateway and are not heeded", async () => {
  const env = {
    ANTHROPIC_API_KEY: " sk-a\n",
    ANTHROPIC_BASE_URL: "https://proxy.example.com/anthropic/v1/",
    OPENAI_API_KEY: "",
    GOOGLE_API_KEY: "g",
    MINI_API_BASE: "http://127.0.0.1:8045",
    MINI_API_KEY: "dummy",
  };
  deepEqual((await read({ env })).upstreams, [
    { ...ANTHROPIC, apiKey: "sk-a", baseUrl: "https://proxy.example.com/anthropic/v1" },
    OPENAI,
    { ...GEMINI, apiKey: "g", keySource: "GOOGLE_API_KEY" },
  ]);
});

Deno.test("OpenRouter serves models with a slash, before OpenAI, when it has a key or an address", async () => {
  const OPENROUTER = {
    ...ANTHROPIC,
    name: "openrouter",
    provider: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    apiKey: "or",
    keySource: "OPENROUTER_API_KEY",
    dialects: ["openai_chat"],
    models: ["*/*"],
  };
  deepEqual((await read({ env: { OPENROUTER_API_KEY: "or" } })).upstreams, [ANTHROPIC, OPENROUTER, OPENAI, GEMINI]);
  const flagged = await upstreamOf(read({ flags: { upstream: ["openrouter=http://127.0.0.1:9"] } }), "openrouter");
  deepEqual(flagged, { ...OPENROUTER, apiKey: undefined, baseUrl: "http://127.0.0.1:9", keyless: true });
});

Deno.test("an upstream of the file with a built-in one's name takes its place", async () => {
  const { upstreams } = await readText('[[upstream]]\nname = "openai"\nkey_env = "TEAM_KEY"\n', {
    env: { TEAM_KEY: "t", OPENAI_API_KEY: "o" },
  });
  deepEqual(upstreams, [{ ...OPENAI, apiKey: "t", keySource: "TEAM_KEY" }, ANTHROPIC, GEMINI]);
});

Deno.test("--upstream changes the address alone; a server of this machine may be asked without a key", async () => {
  const env = { ANTHROPIC_API_KEY: "a" };
  const { upstreams } = await read({
    env,
    flags: { upstream: ["anthropic=http://127.0.0.1:9000/", "gemini=http://[::1]:1/v1beta"] },
  });
  deepEqual(upstreams, [
    { ...ANTHROPIC, apiKey: "a", baseUrl: "http://127.0.0.1:9000", keyless: true },
    OPENAI,
    { ...GEMINI, baseUrl: "http://[::1]:1/v1beta", keyless: true },
  ]);
});

Deno.test("a server of this machine may need a key when the file says so", async () => {
  const text = '[[upstream]]\nname = "ollama"\nkeyless = false\n';
  const ollama = await readText(text, { env: { OLLAMA_HOST: "http://0.0.0.0:11434" } });
  deepEqual(ollama.upstreams[0], {
    ...ANTHROPIC,
    name: "ollama",
    provider: "ollama",
    baseUrl: "http://127.0.0.1:11434",
    keySource: "OLLAMA_API_KEY",
    dialects: ["openai_chat"],
  });
});

Deno.test("an upstream that needs no key, or has an address of its own in the file, never gets the provider's usual key", async () => {
  const env = { OPENAI_API_KEY: "sk-real", OLLAMA_API_KEY: "ollama-real", OPENAI_BASE_URL: "http://127.0.0.1:7/v1" };
  const entry = (lines: string) => `[[upstream]]\nname = "openai"\n${lines}\n`;
  const keyOf = async (lines: string, given: { flags?: GatewayFlags; env?: Env } = { env }) => {
    const { apiKey, keyless } = (await readText(entry(lines), given)).upstreams[0]!;
    return [apiKey, keyless];
  };
  const remote = 'base_url = "https://models.example.com/v1"';
  const local = 'base_url = "http://127.0.0.1:9000/v1"';
  deepEqual(await keyOf("keyless = true"), [undefined, true]);
  deepEqual(await keyOf(`${remote}\nkeyless = true`), [undefined, true]);
  deepEqual(await keyOf(local), [undefined, true]);
  deepEqual(await keyOf(`provider = "openai_compatible"\n${local}`), [undefined, true]);
  deepEqual(await keyOf('provider = "ollama"\nbase_url = "http://192.0.2.1:11434/v1"'), [undefined, true]);
  deepEqual(await keyOf(`${local}\nkey_env = "OPENAI_API_KEY"`), ["sk-real", true]);
  deepEqual(await keyOf(`${remote}\nkey_env = "OPENAI_API_KEY"`), ["sk-real", false]);
  // Without an address of its own it is the provider; an address on the command line is the user's word.
  deepEqual(await keyOf("models = ['*']"), ["sk-real", true]);
  deepEqual(await keyOf("models = ['*']", { env: { OPENAI_API_KEY: "sk-real" } }), ["sk-real", false]);
  const flags = { upstream: ["openai=https://other.example.com"] };
  deepEqual(await keyOf("models = ['*']", { env, flags }), ["sk-real", false]);
  deepEqual(await keyOf(remote, { env, flags }), ["sk-real", false]);
  for (const lines of [remote, `${remote}\nkeyless = false`, `${local}\nkeyless = false`]) {
    deepEqual(await failureOf(readText(entry(lines), { env })), {
      message: "Cannot use the configuration: gateway.toml:3: upstream.base_url: " +
        "need a key for this address, found neither key_env nor key_file",
      hints: ['Name the variable that has it, such as `key_env = "LAB_API_KEY"`, or write `keyless = true`'],
    });
  }
  for (const named of ["key_env", "key_file"]) {
    deepEqual(await failureOf(readText(entry(`keyless = true\n${named} = "OPENAI_API_KEY"`), { env })), {
      message:
        `Cannot use the configuration: gateway.toml:3: upstream.keyless: need a key or none, found \`${named}\` beside it`,
      hints: ["Remove one of the two"],
    });
  }
});

Deno.test("an address that leads back to the gateway is refused, unless nobody is asked", async () => {
  const env = { ANTHROPIC_BASE_URL: "http://localhost:8045/w/claude" };
  deepEqual(await failureOf(read({ env })), {
    message: "Cannot use ANTHROPIC_BASE_URL: need the address of a provider, it is the gateway's own (port 8045)",
    hints: ["Start the gateway without it: `env -u ANTHROPIC_BASE_URL gocore gateway`; it is for clients"],
  });
  await failureOf(read({ flags: { port: 80, upstream: ["openai=http://127.0.0.1"] } }));
  await failureOf(
    read({
      flags: { host: "192.0.2.1", upstream: ["openai=http://192.0.2.1:8045"] },
      env: { GOCORE_GATEWAY_TOKEN: "t" },
    }),
  );
  for (const flags of [{ port: 8046 }, { replay: "tapes" }, { script: "s.yaml" }]) await read({ env, flags });
});

Deno.test("an address with a secret, a query or another protocol in it is refused, and not repeated", async () => {
  const cases: [string, string][] = [
    ["models.example.com", "it is not a URL"],
    ["localhost:9000", "it starts with neither http:// nor https://"],
    ["https://me:s3cret@models.example.com", "it has a user name or a password in it"],
    ["https://models.example.com/?key=s3cret", 'it goes on after "?" or "#"'],
    ["https://models.example.com/#", 'it goes on after "?" or "#"'],
  ];
  for (const [url, finding] of cases) {
    const { message } = await failureOf(read({ env: { GEMINI_API_BASE: url } }));
    equal(message, `Cannot use GEMINI_API_BASE: need the address of an API, ${finding}`);
    const flagged = await failureOf(read({ flags: { upstream: [`gemini=${url}`] } }));
    equal(flagged.message, `Cannot use --upstream gemini: need the address of an API, ${finding}`);
  }
  const inFile = await failureOf(readText('[[upstream]]\nname = "openai"\nbase_url = "ftp://x"\n'));
  ok(inFile.message.startsWith("Cannot use gateway.toml:3: upstream.base_url: need the address of an API"));
});

Deno.test("an --upstream that nobody is called by, or without a URL, is refused", async () => {
  deepEqual(await failureOf(read({ flags: { upstream: ["antropic=http://127.0.0.1:1"] } })), {
    message: 'Cannot use --upstream: nobody of the name "antropic" is set up',
    hints: ['Did you mean "anthropic"?'],
  });
  await failureOf(read({ flags: { upstream: ["http://127.0.0.1:1"] } }));
});

// --- secrets

Deno.test("keys with characters that no header has are refused without being shown", async () => {
  for (const secret of ["sk-s3cret\nx", "sk-s3crét", "sk s3cret"]) {
    const { message } = await failureOf(read({ env: { OPENAI_API_KEY: secret } }));
    equal(message, "Cannot use OPENAI_API_KEY: it has characters that no key has");
    await failureOf(read({ env: { GOCORE_GATEWAY_TOKEN: secret } }));
  }
});

Deno.test("a key's file must be there, be a file, and have a key", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/empty`, " \n");
    await Deno.mkdir(`${cwd}/folder`);
    for (const name of ["missing", "empty", "folder"]) {
      await Deno.writeTextFile(`${cwd}/x.toml`, `[[upstream]]\nname = "openai"\nkey_file = "${name}"\n`);
      const { message } = await failureOf(read({ cwd, flags: { config: "x.toml" } }));
      ok(message.includes(name), message);
      await failureOf(read({ cwd, flags: { tokenFile: name } }));
    }
  });
});

Deno.test("an address is taken with and without its brackets", async () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost", "0.0.0.0", "gateway.internal"]) {
    equal((await read({ flags: { host } })).host, host);
  }
  equal((await read({ flags: { host: "[::1]" } })).host, "::1");
});

Deno.test("a token that the file asks for must be there", async () => {
  deepEqual(await failureOf(readText('token_env = "MY_TOKEN"\n')), {
    message: "Cannot use the configuration: gateway.toml:1: token_env: need a token in MY_TOKEN, it is empty",
    hints: ["Set it, for example `export MY_TOKEN=$(openssl rand -hex 24)`"],
  });
  await failureOf(readText('token_env = "MY_TOKEN"\ntoken_file = "x"\n', { env: { MY_TOKEN: "t" } }));
});

Deno.test("a secret in the wrong place of the file is not repeated, and the right place is told", async () => {
  const secret = "sk-s3cret-value";
  const cases = [
    `token = "${secret}"`,
    `token_env = "${secret}"`,
    `[[upstream]]\nname = "openai"\nkey = "${secret}"`,
    `[[upstream]]\nname = "openai"\nkey_env = "${secret}"`,
    `[[upstream]]\nname = "openai"\nkey_env = ["${secret}"]`,
    `[[upstream]]\nname = "openai"\nkeyless = "${secret}"`,
    `[[upstream]]\nname = "openai"\nbase_url = "https://x:${secret}@y"`,
    `port = "${secret}"`,
  ];
  for (const text of cases) {
    const { message, hints } = await failureOf(readText(text));
    ok(!`${message}${hints.join()}`.includes("s3cret"), message);
  }
  deepEqual((await failureOf(readText(cases[2]!))).hints, [
    "Keys and tokens never stand in the file: name a variable with `key_env`, or a file with `key_file`",
  ]);
});

// --- mistakes in the file

const WITHOUT_QUOTES = "Numbers, true and false stand without quotes";
const TO_LIST = 'Write a list of tables, such as `to = [{ model = "gpt-4.1" }]`';
const PRICES =
  'Write for example `[prices."qwen*"]` and, for 0.20 USD per million tokens, `input_cost_per_token = 2e-7`';

Deno.test("each mistake in the file is told with line, key, need and finding", async () => {
  const cases: [text: string, message: string, hint?: string][] = [
    ["prot = 1", "1: prot: nobody reads this key", "Did you mean `port`?"],
    ["[caps]\nport = 1", "2: caps.port: nobody reads this key", "`port` belongs above the first `[table]`"],
    ["run_usd = 1", "1: run_usd: nobody reads this key", "`run_usd` belongs into `caps`"],
    ["\nport = 65536", "2: port: need a whole number from 0 to 65535, found 65536"],
    ["port = 80.5", "1: port: need a whole number from 0 to 65535, found 80.5"],
    ["host = 'a b'", "1: host: need a host name or an address, without a port, found another text"],
    ["host = '127.0.0.1:80'", "1: host: need a host name or an address, without a port, found another text"],
    ["caps = 5", "1: caps: need a table, found 5"],
    ["[caps]\nrun = 5", "2: caps.run: nobody reads this key", "Did you mean `run_usd`?"],
    ["cap-run = 5", "1: cap-run: nobody reads this key", "Write `run_usd` below `[caps]`"],
    ["record = 'tapes'", "1: record: nobody reads this key", "It is a flag only: `--record`"],
    ["model = 'x'", "1: model: nobody reads this key", "`model` belongs into `rate` or `fallback` or `fallback.to`"],
    ["port = '8045'", "1: port: need a whole number from 0 to 65535, found a text", WITHOUT_QUOTES],
    ["[caps]\nrun_usd = '$5'", "2: caps.run_usd: need a number of 0 or more, found a text", WITHOUT_QUOTES],
    ["require_key = 'yes'", "1: require_key: need true or false, found a text", WITHOUT_QUOTES],
    [
      "allowed_hosts = 'gateway.internal'",
      "1: allowed_hosts: need a list of host names, found a text",
      'Write it in brackets: `allowed_hosts = ["…"]`',
    ],
    ["ledger = '~/l.db'", '1: ledger: need a path that is written out ("~" is not read here), found another text'],
    [
      "[upstream.lab]\nname = 'lab'",
      "1: upstream: need a list of tables, found a table",
      "Write `[[upstream]]`, with two brackets, above each one",
    ],
    [
      "rate = ['openai']",
      "1: rate: need a table, found a text",
      "Write `[[rate]]`, with two brackets, above each one",
    ],
    [
      "[[upstream]]\nname = 'lab'\nurl = 'http://127.0.0.1:9'",
      "3: upstream.url: nobody reads this key",
      "Did you mean `base_url`?",
    ],
    ["[[fallback]]\nmodel = '*'\nto = 'gpt-4.1'", "3: fallback.to: need a list of tables, found a text", TO_LIST],
    ["[[fallback]]\nmodel = '*'\nto = ['gpt-4.1']", "3: fallback.to: need a table, found a text", TO_LIST],
    ["[[prices]]\nmodel = 'x'", "1: prices: need a table, found a list", PRICES],
    [
      "[prices.x]\ninput_cost_per_token = 0.2\noutput_cost_per_token = 6e-7",
      "2: prices.x.input_cost_per_token: need USD per token, from 0 to 0.01, found 0.2",
      PRICES,
    ],
    [
      "[prices.gpt-4.1]\ninput_cost_per_token = 2e-7\n[prices.gpt-4]\ninput_cost_per_token = 2e-7",
      "1: prices.gpt-4.output_cost_per_token: need USD per token, from 0 to 0.01, found nothing",
      'A name with a dot in it stands in quotes: `[prices."gpt-4.1"]`',
    ],
    ["[caps]\n\nrun_usd = -1", "3: caps.run_usd: need a number of 0 or more, found -1"],
    ["[caps]\nrun_usd = nan", "2: caps.run_usd: need a number of 0 or more, found NaN"],
    ["[caps]\nrun_usd = inf", "2: caps.run_usd: need a number of 0 or more, found Infinity"],
    ["[caps]\nrun_usd = 2026-11-21", "2: caps.run_usd: need a number of 0 or more, found a date"],
    [
      "[limits]\nidle_seconds = 0",
      "2: limits.idle_seconds: need a number of seconds above 0, at most 2147483, found 0",
    ],
    [
      "[limits]\nqueue_seconds = 9e9",
      "2: limits.queue_seconds: need a number of seconds from 0 to 2147483, found 9000000000",
    ],
    ["unknown_price = 'alow'", '1: unknown_price: need one of refuse, allow, found "alow"'],
    ["uncounted = true", "1: uncounted: need one of reservation, estimate, found true"],
    ["require_key = 1", "1: require_key: need true or false, found 1"],
    ["run = '..'", '1: run: need a name of letters, digits, ".", "_" and "-", found another text'],
    ["run = '../x'", '1: run: need a name of letters, digits, ".", "_" and "-", found another text'],
    ["attempts = 0", "1: attempts: need a whole number of 1 or more, found 0"],
    [
      "[[upstream]]\nprovider = 'openai'",
      '1: upstream.name: need a name of letters, digits, ".", "_" and "-", found nothing',
    ],
    [
      "[[upstream]]\nname = 'team'",
      "1: upstream: need a provider, found none",
      'Say whose format and prices it has, for example `provider = "openai_compatible"`',
    ],
    [
      "[[upstream]]\nname = 'team'\nprovider = 'opena'",
      '3: upstream.provider: need a provider, found nobody of the name "opena"',
      'Did you mean "openai"?',
    ],
    [
      "[[upstream]]\nname = 'openai_compatible'",
      "1: upstream: need a base_url, openai_compatible has no usual one",
      'Add it, for example `base_url = "https://models.example.com/v1"`',
    ],
    [
      "[[upstream]]\nname = 'openai'\n[[upstream]]\nname = 'openai'",
      '4: upstream.name: need another name, "openai" is taken',
    ],
    [
      "[[upstream]]\nname = 'openai'\nkey_env = 'A'\nkey_file = 'b'",
      "4: upstream.key_file: need one place for the secret, found `key_env` beside it",
    ],
    [
      "[[upstream]]\nname = 'openai'\ndialects = ['openai']",
      '3: upstream.dialects: need one of anthropic, openai_chat, openai_responses, gemini, found "openai"',
    ],
    [
      "[[upstream]]\nname = 'openai'\ndialects = []",
      "3: upstream.dialects: need a list with a dialect, found an empty list",
    ],
    [
      "[[rate]]\nmodel = '*'",
      "1: rate: need a limit, found none of concurrency, requests_per_minute and tokens_per_minute",
    ],
    [
      "[[rate]]\nconcurrency = 1\nupstream = 'antropic'",
      '3: rate.upstream: need an upstream, found nobody of the name "antropic"',
      'Did you mean "anthropic"?',
    ],
    ["[[fallback]]\nmodel = '*'\nto = [{}]", "3: fallback.to: need an upstream or a model, found neither"],
    ["[[fallback]]\nmodel = '*'\nto = []", "3: fallback.to: need a list of tables, found an empty list"],
    [
      "[[fallback]]\nmodel = '*'\nto = [{ upstream = 'team' }]",
      '3: fallback.to.upstream: need an upstream, found nobody of the name "team"',
      "The upstreams are anthropic, openai, gemini",
    ],
    [
      "[prices.'x']\ninput_cost_per_token = 0.001",
      "1: prices.x.output_cost_per_token: need USD per token, from 0 to 0.01, found nothing",
      PRICES,
    ],
  ];
  for (const [text, message, hint = "README shows a file with every key"] of cases) {
    deepEqual(await failureOf(readText(text)), {
      message: `Cannot use the configuration: gateway.toml:${message}`,
      hints: [hint],
    }, text);
  }
});

Deno.test("several mistakes are told together", async () => {
  const { message } = await failureOf(readText("prot = 1\n[caps]\nrun_usd = true\n"));
  deepEqual(message.split("\n").toSorted(), [
    "  gateway.toml:1: prot: nobody reads this key",
    "  gateway.toml:3: caps.run_usd: need a number of 0 or more, found true",
    "Cannot use the configuration:",
  ]);
});

Deno.test("a configuration that is named must be there", async () => {
  for (const given of [{ flags: { config: "none.toml" } }, { env: { GOCORE_GATEWAY_CONFIG: "none.toml" } }]) {
    const { message } = await failureOf(read(given));
    equal(message, 'Cannot read the configuration: need a file for "none.toml", found nothing there');
  }
});

Deno.test("flags are checked as the file is", async () => {
  const cases: [GatewayFlags, string][] = [
    [{ port: 70_000 }, "--port: need a whole number from 0 to 65535, found 70000"],
    [{ host: "a b" }, '--host: need a host name or an address, without a port, found "a b"'],
    [{ capDay: NaN }, "--cap-day: need a number of 0 or more, found NaN"],
    [{ capRun: -1 }, "--cap-run: need a number of 0 or more, found -1"],
    [{ ledger: "" }, '--ledger: need a path that is written out ("~" is not read here), found an empty text'],
    [{ ledger: "~/l.db" }, '--ledger: need a path that is written out ("~" is not read here), found "~/l.db"'],
    [{ replay: "" }, "--replay: need a text, found an empty text"],
  ];
  for (const [flags, message] of cases) {
    equal((await failureOf(read({ flags }))).message, `Cannot use ${message}`);
  }
});
