/** `gocore serve` as a process: where it listens, who may, how it ends, and what it starts. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { exists, type GocoreOptions, type GocoreRun, quoted, Sandbox, submit, until } from "../support/gocore.ts";
import { ISSUE } from "../support/managed_issue.ts";

// deno-lint-ignore no-explicit-any -- each answer has a shape of its own
type Answer = { status: number; json: any };

/** A server in a sandbox, with `runs` and `sessions` beside its workdir. */
class Served implements AsyncDisposable {
  private constructor(readonly box: Sandbox, readonly run: GocoreRun, readonly url: string) {}

  static async start(args: readonly string[] = [], { files = {}, ...options }: GocoreOptions & {
    /** Below the sandbox's root. */
    files?: Record<string, string>;
  } = {}): Promise<Served> {
    const box = await Sandbox.create();
    const all = { "work/mminions.toml": '[manager]\nbackend = "process"\n', ...files };
    for (const [path, content] of Object.entries(all)) await box.file(path, content);
    const run = await box.start([...flagsIn(box), "--json", ...args], options);
    const told = await run.event("it listens", (event) => "url" in event) as unknown as { url: string };
    return new Served(box, run, told.url);
  }

  async get(path: string, headers: HeadersInit = {}): Promise<Answer> {
    return await answerOf(await fetch(`${this.url}${path}`, { headers }));
  }

  async post(path: string, body: unknown): Promise<Answer> {
    const headers = { "content-type": "application/json" };
    return await answerOf(await fetch(`${this.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
  }

  /** What it said on stderr, after a signal has ended it. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<string> {
    this.run.kill(signal);
    const { code, stderr } = await this.run.end;
    equal(code, 0, stderr);
    return stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
  }
}

const flagsIn = ({ root }: Sandbox) => [
  ...["serve", "--port", "0", "--runs-root", `${root}/runs`, "--workspace", `${root}/sessions`],
];

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, json: await response.json() };
}

Deno.test("the server says in one line where it is and what it shows, and ends with 0 at a signal", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await using served = await Served.start();
    const { box: { root, workdir }, run, url } = served;
    const [told] = run.events as unknown[];
    deepEqual(told, {
      url,
      pid: run.pid,
      runs_root: `${root}/runs`,
      workspace: `${root}/sessions`,
      mini_workdirs: [workdir],
      needs_token: false,
    });
    match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    deepEqual(await served.get("/health"), { status: 200, json: { ok: true } });
    deepEqual((await served.get("/api/runs")).json, { runs: [], count: 0 });
    // A stream that somebody reads does not hold it up.
    const stream = await fetch(`${url}/api/history/stream`);
    const ended = stream.text();
    equal(await served.end(signal), "");
    match(await ended, /^retry: \d+\n.*event: snapshot\n/s);
    equal((await run.end).stdout.trimEnd().split("\n").length, 1);
    equal(await exists(`${root}/runs`), false);
  }
});

Deno.test("for a person it says where to look, without the token where that could be a log", async () => {
  await using box = await Sandbox.create();
  const env = { GOCORE_SERVE_TOKEN: "s3cret-s3cret" };
  const run = await box.start([...flagsIn(box), "--host", "0.0.0.0"], { env });
  await until("it listens", async () => (await listeningPorts(run.pid)).length > 0);
  const [port] = await listeningPorts(run.pid);
  const url = `http://127.0.0.1:${port}`;
  await until("it answers", async () => (await fetch(`${url}/health`).then((r) => r.text())) !== "");
  const statuses = await Promise.all([{}, { authorization: "Bearer wrong" }, { authorization: "Bearer s3cret-s3cret" }]
    .map(async (headers) =>
      (await answerOf(await fetch(`${url}/api/runs`, { headers: headers as HeadersInit }))).status
    ));
  deepEqual(statuses, [401, 401, 200]);
  run.kill("SIGTERM");
  const { code, stdout, stderr } = await run.end;
  deepEqual([code, stdout], [0, ""]);
  equal(
    stderr,
    `gocore serve listens on http://0.0.0.0:${port}\nManager runs: ${box.root}/runs\nSessions: ${box.root}/sessions\n` +
      `Mini runs: ${box.workdir}\nOpen http://127.0.0.1:${port}/?token=$GOCORE_SERVE_TOKEN\n`,
  );
});

/** Of a process, as the system lists them. */
async function listeningPorts(pid: number): Promise<number[]> {
  const inodes = new Set<string>();
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const rows = (await Deno.readTextFile("/proc/net/tcp")).split("\n").map((line) => line.trim().split(/ +/));
  return rows.filter((row) => row[3] === "0A" && inodes.has(row[9]!)).map((row) =>
    Number.parseInt(row[1]!.slice(-4), 16)
  );
}

Deno.test("a port that is taken, a host that needs a token and wrong flags are told before anything begins", async () => {
  await using box = await Sandbox.create();
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = other.addr;
  const cases: [args: string[], code: number, stderr: RegExp][] = [
    [["--port", `${port}`], 1, new RegExp(`^Error: Cannot serve the runs on 127\\.0\\.0\\.1:${port}: another program`)],
    [["--host", "0.0.0.0"], 2, /^Error: Cannot serve on 0\.0\.0\.0: other machines need a token, found none\nHint: /],
    [["--port", "x"], 2, /--port.*0 to 65535/],
    [["--config", "nowhere.toml"], 2, /nowhere\.toml/],
    [["--runs-rot", "x"], 2, /Did you mean `--runs-root`/],
  ];
  for (const [args, code, stderr] of cases) {
    const end = await box.run([...flagsIn(box), ...args]);
    deepEqual([end.code, end.stdout], [code, ""], end.stderr);
    match(end.stderr, stderr);
  }
  equal(await exists(`${box.root}/runs`), false);
});

Deno.test("a mini run is started with its task as text, without the server's secrets, and outlives it", async () => {
  const env = { GOCORE_NOTIFY_WEBHOOK: "http://127.0.0.1:9/s3cret", MINI_HEADLESS: "" };
  await using served = await Served.start([], { env });
  const { box } = served;
  const gate = `${box.root}/gate`;
  const [, model] = await box.script([
    { commands: [`env | grep -c s3cret; until [ -e ${quoted(gate)} ]; do sleep 0.05; done; echo through`] },
    submit("it is done"),
  ]);
  const workdir = await box.repository("other");
  const task = "--model=nobody -x $(touch pwned) `touch pwned`";
  const { status, json: { run_id, folder } } = await served.post("/api/mini", { task, workdir, model, step_limit: 5 });
  deepEqual([status, folder], [201, `${box.root}/runs/${run_id}`]);
  const { json: record } = await served.get(`/api/mini/${run_id}`);
  deepEqual([record.task, record.workdir, record.running], [task, workdir, true]);
  deepEqual((await served.get("/api/mini")).json, { runs: [run_id], count: 1 });
  equal(await served.end(), "");

  const { pid, started_at: _, ...process } = JSON.parse(await Deno.readTextFile(`${folder}/process.json`));
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  deepEqual(process, {
    start_ticks: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]),
    workdir,
    task,
    model,
  });
  await Deno.writeTextFile(gate, "");
  await until("the run is saved", () => exists(`${folder}/trajectory.json`));
  await box.noProcessLeft();
  const events = (await Deno.readTextFile(`${folder}/stream.jsonl`)).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  equal(events.find(({ type }) => type === "step").data.output, "0\nthrough\n");
  deepEqual(events.slice(-2).map(({ type, data }) => [type, data.status]), [["finish", "success"], [
    "cost",
    undefined,
  ]]);
  deepEqual(await Promise.all([workdir, box.workdir].map((path) => exists(`${path}/pwned`))), [false, false]);
});

Deno.test("what cannot be started is refused by its field, and leaves nothing behind", async () => {
  await using served = await Served.start();
  const { box } = served;
  const issue_file = await box.file("issue.md", ISSUE);
  const cases: [path: string, body: unknown, status: number, error: RegExp][] = [
    ["/api/mini", { task: "x", workdir: "work" }, 400, /^workdir: has to be an absolute path$/],
    [
      "/api/mini",
      { task: "x", workdir: `${box.root}/nowhere` },
      400,
      /^workdir: has to be a folder, found nothing there$/,
    ],
    ["/api/mini", { task: "x\0y" }, 400, /^task: has to be text without NUL characters$/],
    ["/api/runs", {}, 400, /^issue_url: has to be given, or issue_file$/],
    ["/api/runs", { issue_url: "a/b#1", issue_file }, 400, /^issue_file: may not be given together with issue_url$/],
    ["/api/runs", { issue_url: "https://example.com/x" }, 400, /^issue_url: /],
    ["/api/runs", { issue_file: `${box.root}/none.md` }, 400, /^issue_file: need a file, found nothing at /],
    ["/api/runs", { issue_file, repo_path: issue_file }, 400, /^repo_path: has to be a folder, found a file there$/],
    ["/api/runs", { issue_file, workers: 9 }, 400, /^workers: need a whole number from 1 to 6, found 9$/],
    ["/api/runs", { issue_file, repo_path: box.root }, 400, /^Cannot use ".*": need a git repository, found none/],
    ["/api/orchestrations", { task: "x", target: `${box.root}/x` }, 400, /^target: has to be a folder/],
    ["/api/orchestrations", { task: "x", agents: ["nobody"] }, 400, /^agents: need an agent, found nobody of/],
    ["/api/orchestrations", { task: "x", agents: ["codex"] }, 503, /^Cannot start: no agent is ready/],
    ["/api/orchestrations", { task: "x", demo: true, verify: "true" }, 400, /^verify: the demo has its own$/],
  ];
  for (const [path, body, status, error] of cases) {
    const answer = await served.post(path, body);
    equal(answer.status, status, JSON.stringify([body, answer]));
    match(answer.json.error, error);
  }
  const folders = async (path: string) =>
    (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).filter((name) => !name.startsWith("."));
  deepEqual([await folders(`${box.root}/runs`), await folders(`${box.root}/sessions`)], [[], []]);
  await served.end();
});

Deno.test("a manager run answers as the seed says, one for an issue at a time", async () => {
  // A model that never answers: the run goes on until it is stopped.
  const closing = Promise.withResolvers<Response>();
  await using model = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => closing.promise);
  const env = { OPENAI_API_KEY: "sk-none", OPENAI_BASE_URL: `http://127.0.0.1:${model.addr.port}/v1` };
  await using served = await Served.start([], { env });
  using _answers = { [Symbol.dispose]: () => closing.resolve(new Response(null, { status: 500 })) };
  const { box: { root, workdir } } = served;
  const issue_file = await served.box.file("issue.md", ISSUE);
  const request = { issue_file, repo_path: workdir, agent: "mini", worker_model: "openai/gpt-5", workers: 1 };
  const other = { ...request, issue_file: await served.box.file("other.md", ISSUE) };
  const [third, ...both] = await Promise.all([other, request, request].map((body) => served.post("/api/runs", body)));
  const [first, second] = both.sort((a, b) => a.status - b.status) as [Answer, Answer];
  equal(first.status, 201, JSON.stringify(first.json));
  const { run_id } = first.json;
  match(run_id, /^run-\d{14}(?:-2)?$/);
  deepEqual(first.json, { run_id, run_done: `${root}/runs/${run_id}/run_done.json`, manager_session: "" });
  const refused = { status: 409, json: { error: `${run_id} works on this issue already` } };
  deepEqual(second, refused);
  deepEqual(await served.post("/api/runs", request), refused);
  const runs = [run_id, third!.json.run_id].sort();
  equal(new Set(runs).size, 2);
  const { json: listed } = await served.get("/api/runs");
  deepEqual([listed.runs.sort(), listed.count], [runs, 2]);

  await until("a worker works", async () => {
    const { json: { workers } } = await served.get(`/api/runs/${run_id}/status?lines=5`);
    return workers[0]?.status === "running";
  });
  const { json: status } = await served.get(`/api/runs/${run_id}/status`);
  deepEqual(Object.keys(status), ["run_id", "run_state", "manager", "workers", "summary", "decision", "run_done"]);
  deepEqual([status.run_id, status.run_state, status.decision, status.run_done], [
    run_id,
    "running",
    { status: "running" },
    {},
  ]);
  deepEqual(status.summary, { total: 1, active: 1, finished: 0, failed: 0, timeout: 0, unknown: 0, stopped: 0 });
  const sent = await served.post(`/api/runs/${run_id}/send`, { worker: "w1", text: "status" });
  deepEqual(sent, { status: 200, json: { run_id, worker: "w1", sent: true } });
  const stopped = await served.post(`/api/runs/${run_id}/stop`, {});
  deepEqual(stopped, { status: 200, json: { run_id, status: "stopped" } });
  equal((await served.post(`/api/runs/${third!.json.run_id}/stop`, {})).status, 200);
  for (const id of runs) await until(`${id} has ended`, () => exists(`${root}/runs/${id}/run_done.json`));
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("a mini run is stopped as by Ctrl-C, and saves what it has", async () => {
  await using served = await Served.start();
  const [, model] = await served.box.script([{ commands: ["true"], delay_ms: 1_000_000 }]);
  const { json: { run_id, folder } } = await served.post("/api/mini", { task: "x", model });
  const { status } = await served.post(`/api/mini/${run_id}/stop`, {});
  equal(status, 200);
  await until("the run is saved", () => exists(`${folder}/trajectory.json`));
  await until("it is told", async () => (await served.get(`/api/mini/${run_id}`)).json.status === "interrupted");
  equal((await served.post(`/api/mini/${run_id}/stop`, {})).status, 409);
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("the schedule of a file that was named is listed, and figures are for Prometheus", async () => {
  const schedule = '[[schedule]]\nname = "nightly"\ncron = "0 3 29 2 *"\ntimezone = "UTC"\nissue = "ann/stats#7"\n';
  for (const args of [[], ["--no-schedule"]]) {
    await using served = await Served.start(["--config", "../named.toml", ...args], {
      files: { "named.toml": schedule },
    });
    const { json: { entries } } = await served.get("/api/schedule");
    deepEqual(
      entries.map(({ name, target }: { name: string; target: string }) => [name, target]),
      args.length > 0 ? [] : [
        ["nightly", "https://github.com/ann/stats/issues/7"],
      ],
    );
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    match(metrics, /^gocore_http_requests_total\{method="GET",route="\/api\/schedule",status="200"\} 1$/m);
    await served.end();
  }
});

Deno.test("with if_changed and nothing new it is the last run that answers", async () => {
  await using served = await Served.start([], { env: { OPENAI_API_KEY: "sk-none" } });
  const { box: { root, workdir } } = served;
  const issue_file = await served.box.file("issue.md", "# It is slow\n\nSomehow.\n");
  // Nobody can tell from this issue what should fail: the run ends by itself.
  const request = { issue_file, repo_path: workdir, agent: "mini", worker_model: "openai/gpt-5", if_changed: true };
  const { status, json: first } = await served.post("/api/runs", request);
  equal(status, 201, JSON.stringify(first));
  await until("the run has ended", () => exists(first.run_done));
  await until("nobody carries it out", async () => !await exists(`${root}/runs/${first.run_id}/run.lock`));
  const { json: done } = await served.get(`/api/runs/${first.run_id}`);
  equal(done.status, "needs-human", JSON.stringify(done));
  await until("the issue is free", async () => {
    const locks = await Array.fromAsync(Deno.readDir(`${root}/runs/.issues`));
    return !locks.some(({ name }) => name.endsWith(".lock"));
  });
  deepEqual(await served.post("/api/runs", request), { status: 201, json: first });
  deepEqual((await served.get("/api/runs")).json, { runs: [first.run_id], count: 1 });
  await served.end();
});

Deno.test("the demo is a session that goes on by itself, and is done", async () => {
  await using served = await Served.start();
  const { root } = served.box;
  const { status, json: { session_id, folder } } = await served.post("/api/orchestrations", { demo: true });
  deepEqual([status, folder], [201, `${root}/sessions/${session_id}`]);
  const { json: session } = await served.get(`/api/sessions/${session_id}/session`);
  deepEqual([session.session_id, session.dashboard_url], [session_id, null]);
  await until("it is done", async () => (await served.get("/api/session")).json.status === "done");
  const { json: { rows } } = await served.get("/api/costs?by=run");
  deepEqual(rows.map(({ key }: { key: string }) => key), [session_id]);
  await served.end();
  await served.box.noProcessLeft();
});

Deno.test("an agent can look, and can neither start nor control anything", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using served = await Served.start();
  const { box, url } = served;
  const ask = `curl -s -o /dev/null -w '%{http_code}\n' -X POST -H 'Content-Type: application/json' -d '{"task":"x"}'`;
  const commands = [
    `${ask} ${url}/api/mini`,
    `env -i PATH="$PATH" setsid -w ${ask} ${url}/api/mini`,
    `curl -s -o /dev/null -w '%{http_code}\n' ${url}/api/mini`,
  ];
  const script = await box.script([{ commands }, submit()]);
  const [, model] = script;
  // Of a person's run and of one that the server has started.
  const { steps } = await box.mini(["-t", "x", ...script]);
  deepEqual(steps.slice(0, 3).map(({ output }) => output), ["403\n", "403\n", "200\n"]);
  const { json: { folder } } = await served.post("/api/mini", { task: "x", model });
  await until("the run is saved", () => exists(`${folder}/trajectory.json`));
  match(await Deno.readTextFile(`${folder}/stream.jsonl`), /"403\\n".*"403\\n".*"200\\n"/s);
  const said = (await served.end()).trimEnd().split("\n").map((line) => line.replace(/\d+/, "N"));
  deepEqual(
    new Set(said),
    new Set([
      "Process N, which belongs to an agent, tried to start a mini run, and was refused",
      "Process N, which belongs to a run that was started here, tried to start a mini run, and was refused",
    ]),
  );
});
