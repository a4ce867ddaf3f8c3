/** What `gocore serve` does by itself: scheduled runs, who is told of them, and its figures. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { MessageTaker } from "../commands/serve/notify/message_taker.ts";
import { type GocoreRun, Sandbox, until } from "../support/gocore.ts";

const HOUR_MS = 3_600_000;

/** Ends without an agent: nobody could say what it is about. */
const VAGUE = "# It is slow <!channel>\n\nPlease look into it.\n";

const TOML = `
[manager]
backend = "process"
[[schedule]]
name = "nightly"
cron = "0 3 * * *"
timezone = "UTC"
issue = "vague.md"
repo_path = "work"
agent = "mini"
worker_model = "openai/gpt-5"
[notifications]
kinds = ["manager"]
`;

async function serve(box: Sandbox, env: Record<string, string>): Promise<{ run: GocoreRun; url: string }> {
  const { root } = box;
  const places = [
    "--runs-root",
    `${root}/runs`,
    "--workspace",
    `${root}/sessions`,
    "--config",
    `${root}/mminions.toml`,
  ];
  const run = await box.start(["serve", "--port", "0", "--json", ...places], { env });
  const told = await run.event("it listens", (event) => "url" in event) as unknown as { url: string };
  return { run, url: told.url };
}

Deno.test("a run that was missed is made up for once, shown, counted, and told in every format", async () => {
  await using box = await Sandbox.create();
  await using taker = new MessageTaker();
  await box.file("mminions.toml", TOML);
  await box.file("vague.md", VAGUE);
  // As a server that ran three days ago has left it.
  const entry = { name: "nightly", cron: "0 3 * * *", timezone: "UTC", last: null, seen: [] };
  const state = { version: 1, entries: [{ ...entry, handled_ms: Date.now() - 72 * HOUR_MS }] };
  await box.file("runs/.gocore-schedule.json", JSON.stringify(state));
  const env = {
    OPENAI_API_KEY: "sk-none-of-it",
    GOCORE_NOTIFY_WEBHOOK: `${taker.address}/hook-s3cret`,
    GOCORE_NOTIFY_SLACK: `${taker.address}/slack-s3cret`,
    GOCORE_NOTIFY_DISCORD: `${taker.address}/discord-s3cret`,
  };
  const { run, url } = await serve(box, env);
  const schedule = async () => (await (await fetch(`${url}/api/schedule`)).json()).entries[0];
  await until("it has ended", async () => /: needs-human/.test((await schedule()).last_result));
  const { next_at, last_at, last_result, ...shown } = await schedule();
  const [, id = ""] = /^(run-[\d-]+): needs-human$/.exec(last_result)!;
  deepEqual(shown, {
    name: "nightly",
    cron: "0 3 * * *",
    timezone: "UTC",
    target: `${box.root}/vague.md`,
    running: false,
    problem: null,
  });
  match(next_at, /T03:00:00\.000Z$/);
  ok(Date.parse(next_at) > Date.parse(last_at));

  await until("all are told", () => Promise.resolve(taker.taken.length === 3));
  const told = new Map(taker.taken.map(({ line, body }) => [line.replace("POST /", ""), body]));
  const { attention, summary, time: _time, ...hook } = told.get("hook-s3cret");
  deepEqual(hook, {
    event: "attention",
    kind: "manager",
    id,
    title: "It is slow <!channel>",
    status: "needs-human",
    cost_usd: 0,
    url: `${url}/#/runs/${id}`,
  });
  deepEqual([attention.length, attention[0].kind, typeof summary], [1, "blocked", "string"]);
  match(
    told.get("slack-s3cret").blocks[0].text.text,
    /^\*Manager run run-\S+ is blocked\*\nIt is slow &lt;!channel&gt;$/,
  );
  deepEqual(told.get("discord-s3cret").allowed_mentions, { parse: [] });

  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (
    const line of [
      'gocore_runs{kind="manager",status="needs-human"} 1',
      'gocore_attention{kind="manager",reason="blocked"} 1',
      'gocore_schedule_starts_total{outcome="started"} 1',
      'gocore_notifications_total{place="slack",outcome="sent"} 1',
    ]
  ) ok(metrics.includes(`\n${line}\n`), `${line}\n${metrics}`);
  match(metrics, /\ngocore_http_requests_total\{method="GET",route="\/api\/schedule",status="200"\} \d+\n/);

  run.kill("SIGTERM");
  const { code, stderr } = await run.end;
  deepEqual([code, stderr], [0, `nightly: ${id} works on ${box.root}/vague.md\nnightly: ${id} has ended\n`]);

  // The next one repeats nothing: neither what was done, nor, when it is due again, what it has already said.
  const path = `${box.root}/runs/.gocore-schedule.json`;
  const kept = JSON.parse(await Deno.readTextFile(path));
  for (
    const [handled_ms, result] of [
      [kept.entries[0].handled_ms, last_result],
      [kept.entries[0].handled_ms - 72 * HOUR_MS, `${last_result}; nothing new since ${id}`],
    ]
  ) {
    await box.file(
      "runs/.gocore-schedule.json",
      JSON.stringify({ ...kept, entries: [{ ...kept.entries[0], handled_ms }] }),
    );
    const next = await serve(box, env);
    const now = async () => (await (await fetch(`${next.url}/api/schedule`)).json()).entries[0];
    await until("it knows", async () => (await now()).last_result === result);
    next.run.kill("SIGTERM");
    equal((await next.run.end).code, 0);
  }
  const notified = await Deno.readTextFile(`${box.root}/runs/.gocore-notified.json`);
  deepEqual(JSON.parse(notified).runs.map(({ run, keys }: { run: string; keys: string[] }) => [run, keys.length]), [
    [`manager/${id}`, 2],
  ]);
  ok(!notified.includes("s3cret"));
});

Deno.test("what is wrong with the schedule is told before anything begins, and not looked at where it is not wanted", async () => {
  await using box = await Sandbox.create();
  const file = await box.file("bad.toml", '[[schedule]]\nname = "x"\ncron = "99 * * * *"\nissue = "vague.md"\n');
  const flags = ["serve", "--port", "0", "--json", "--runs-root", `${box.root}/runs`, "--workspace", `${box.root}/s`];
  const end = await box.run([...flags, "--config", file]);
  deepEqual([end.code, end.stdout], [2, ""]);
  match(end.stderr, /bad\.toml:3: schedule\.cron: need five parts.*Invalid value for minute: 99\nHint: /);
  const run = await box.start([...flags, "--config", file, "--no-schedule"]);
  const { url } = await run.event("it listens", (event) => "url" in event) as unknown as { url: string };
  deepEqual(await (await fetch(`${url}/api/schedule`)).json(), { entries: [] });
  run.kill("SIGTERM");
  equal((await run.end).code, 0);
});
