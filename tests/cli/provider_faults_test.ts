/** Whatever a provider does or fails to do, a run ends with its whole stream and the right word. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { type GocoreOptions, MARKER, type MiniRun, Sandbox } from "../support/gocore.ts";
import { type FakeReply, type FakeRequest, startFakeProvider } from "../support/fake_provider.ts";

const DIALECTS = {
  anthropic: { model: "anthropic/claude-sonnet-4-20250514", key: "ANTHROPIC_API_KEY" },
  openai: { model: "openai/gpt-4o", key: "OPENAI_API_KEY" },
} as const;
type Dialect = keyof typeof DIALECTS;
const NAMES = Object.keys(DIALECTS) as Dialect[];

const FINISH: FakeReply = { toolCalls: [{ id: "call_1", arguments: { command: `echo ${MARKER}; echo recovered` } }] };
const refusal = (status: number, headers: Record<string, string> = {}): FakeReply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: { type: "error", error: { type: "some_error", message: `words for ${status}` } },
});

interface Told extends MiniRun {
  requests: readonly FakeRequest[];
}

/** One run against a provider with these replies; the last of them is repeated. */
async function told(box: Sandbox, dialect: Dialect, replies: FakeReply[], options: GocoreOptions = {}): Promise<Told> {
  const { model, key } = DIALECTS[dialect];
  await using provider = startFakeProvider(replies);
  const run = await box.mini(["-t", "x", "--model", model], {
    cwd: await box.repository(crypto.randomUUID()),
    env: { MINI_API_BASE: provider.url, [key]: "sk-dummy", ...options.env },
  });
  return { ...run, requests: provider.requests };
}

Deno.test("a refusal that no repetition can mend ends the run after one request", async () => {
  await using box = await Sandbox.create();
  const cases: [status: number, type: string][] = [
    [400, "BadRequestError"],
    [401, "AuthenticationError"],
    [403, "PermissionDeniedError"],
    [404, "NotFoundError"],
  ];
  await Promise.all(cases.flatMap(([status, type]) =>
    NAMES.map(async (dialect) => {
      const run = await told(box, dialect, [refusal(status)]);
      deepEqual([run.code, run.finish.status, run.error!.type], [1, "error", type]);
      equal(run.requests.length, 1);
      deepEqual(run.logs, []);
      ok(
        run.error!.error.includes(String(status)) && run.error!.error.includes(`words for ${status}`),
        run.error!.error,
      );
      if (status === 401) match(run.error!.hints.join("\n"), new RegExp(DIALECTS[dialect].key));
    })
  ));
});

Deno.test("a passing fault is told as a log event, and the run goes on", async () => {
  await using box = await Sandbox.create();
  const cases: [name: string, reply: FakeReply, status: number | null][] = [
    ["429", refusal(429), 429],
    ["429 with retry-after", refusal(429, { "retry-after": "2" }), 429],
    ["500", refusal(500), 500],
    ["529", refusal(529), 529],
    ["an HTML page", { status: 200, headers: { "content-type": "text/html" }, body: "<html>Hello</html>" }, null],
    ["JSON of another shape", { status: 200, body: { hello: [1, 2] } }, null],
    ["half a body", { fault: "half" }, null],
  ];
  for (const dialect of NAMES) {
    await Promise.all(cases.map(async ([name, reply, status]) => {
      const run = await told(box, dialect, [reply, FINISH]);
      const label = `${name}, ${dialect}: ${JSON.stringify(run.error)}`;
      deepEqual([run.code, run.finish.status, run.finish.result.trim()], [0, "success", "recovered"], label);
      equal(run.requests.length, 2, label);
      equal(run.cost.calls, 1, "a call that failed is no step");
      equal(run.logs.length, 1, label);
      const { level, attempt, status: seen, wait_seconds: wait } = run.logs[0]!;
      deepEqual([level, attempt, seen], ["warning", 1, status], label);
      equal(wait, name.includes("retry-after") ? 2 : 1, label);
    }));
  }
});

Deno.test("a fault that does not pass ends the run after six attempts", async () => {
  await using box = await Sandbox.create();
  const soon = { "retry-after-ms": "1" };
  const cases: [status: number, type: string][] = [
    [429, "RateLimitError"],
    [500, "InternalServerError"],
    [529, "ServiceUnavailableError"],
  ];
  await Promise.all(cases.flatMap(([status, type]) =>
    NAMES.map(async (dialect) => {
      const run = await told(box, dialect, [refusal(status, soon)]);
      deepEqual([run.code, run.finish.status, run.finish.exit_status], [1, "error", type]);
      equal(run.requests.length, 6);
      deepEqual(run.logs.map(({ attempt }) => attempt), [1, 2, 3, 4, 5]);
    })
  ));
});

Deno.test("a wait of an hour, an empty account and a full context window are not worth repeating", async () => {
  await using box = await Sandbox.create();
  const [hour, money, context] = await Promise.all([
    told(box, "anthropic", [refusal(429, { "retry-after": "3600" })]),
    told(box, "openai", [{ status: 429, body: { error: { message: "You ran out", code: "insufficient_quota" } } }]),
    told(box, "openai", [{ status: 400, body: { error: { message: "Too long", code: "context_length_exceeded" } } }]),
  ]);
  for (const run of [hour, money, context]) {
    equal(run.requests.length, 1);
    equal(run.finish.status, "error");
  }
  match(hour.error!.error, /3600/);
  equal(context.error!.type, "ContextWindowExceededError");
});

Deno.test("a provider that is silent for longer than MINI_API_TIMEOUT ends the run", async () => {
  await using box = await Sandbox.create();
  await Promise.all(NAMES.flatMap((dialect) =>
    (["hang", "stall"] as const).map(async (fault) => {
      const run = await told(box, dialect, [{ fault }], { env: { MINI_API_TIMEOUT: "2" } });
      deepEqual([run.code, run.finish.status, run.error!.type], [1, "error", "Timeout"], `${fault}, ${dialect}`);
      equal(run.logs.length, 1, "a timeout is tried once more only");
      // A slow machine may not get as far as a request in that time.
      ok(run.requests.length <= 2);
      match(run.error!.hints.join("\n"), /MINI_API_TIMEOUT/);
    })
  ));
});

Deno.test("a missing key fails when the model is first asked, and says which", async () => {
  await using box = await Sandbox.create();
  await using provider = startFakeProvider([FINISH]);
  await Promise.all(NAMES.map(async (dialect) => {
    const { model, key } = DIALECTS[dialect];
    const run = await box.mini(["-t", "x", "--model", model], {
      cwd: await box.repository(dialect),
      env: { MINI_API_BASE: provider.url },
    });
    deepEqual([run.code, run.finish.exit_status], [1, "AuthenticationError"]);
    match(run.error!.error + run.error!.hints.join("\n"), new RegExp(key));
    equal(run.trajectory.messages.length, 3, "the prompts were there: system, user, exit");
  }));
  equal(provider.requests.length, 0);
});

Deno.test("the words of a hostile provider are bounded, escaped and without our key", async () => {
  await using box = await Sandbox.create();
  const message = `Incorrect API key provided: sk-echoed-key-1234567890\n\x1b[2J${"long ".repeat(100_000)}`;
  const run = await told(box, "openai", [{ status: 401, body: { error: { message } } }], {
    env: { OPENAI_API_KEY: "sk-echoed-key-1234567890" },
  });
  equal(run.error!.type, "AuthenticationError");
  equal(run.stdout.includes("sk-echoed-key"), false);
  ok(run.error!.error.length < 1000, String(run.error!.error.length));
  ok(!/[\x00-\x1f]/.test(run.error!.error));
});
