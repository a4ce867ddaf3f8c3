/** Views of real runs of `gocore mini`, while they go on, when they have ended, and when they were killed. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { openMiniView } from "../../../../src/commands/serve/views/mini_view.ts";
import { Refused } from "../../../../src/http/ports.ts";
import { type MiniRecord, miniRecord } from "../../../../src/http/schemas.ts";
import { readProcess } from "../../../../src/process/process_tree.ts";
import { ownIdentity } from "../../../../src/store/process_identity.ts";
import { type GocoreRun, type Reply, Sandbox, submit, until } from "../../../support/gocore.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const options = { env: { MY_TOKEN: "hunter22-secret" }, now: Date.now };
const refusal = (status: number, message: RegExp) => (error: unknown) =>
  error instanceof Refused && error.status === status && message.test(error.message);
/** Keeps the agent at work while the test looks at it. */
const WAITS: Reply = { commands: ["sleep 1000"] };
const REPLIES: readonly Reply[] = [
  { content: "I look around", commands: ["printf 'hunter22%s' -secret; false"], cost: 0.5 },
  { ...submit("it is done"), cost: 0.25 },
];
const TASK = "Mend it";

/** As `POST /api/mini` starts one. */
async function startIn(box: Sandbox, replies: readonly Reply[]): Promise<{ run: GocoreRun; folder: string }> {
  const folder = join(box.root, "runs/mini-1");
  await Deno.mkdir(folder, { recursive: true });
  const stream = join(folder, "stream.jsonl");
  const args = ["mini", "--headless", `--task=${TASK}`, `--output=${join(folder, "trajectory.json")}`];
  const run = await box.start([...args, ...await box.script(replies)], { cwd: box.workdir, stdoutFile: stream });
  await until("it has begun", async () => (await Deno.readTextFile(stream).catch(() => "")) !== "");
  await describeProcess(folder, { pid: run.pid, start_ticks: readProcess(run.pid)?.startTicks ?? 0 });
  return { run, folder };
}

async function describeProcess(folder: string, identity: { pid: number; start_ticks: number }): Promise<void> {
  const about = { workdir: "/told", task: "told", model: "told", started_at: "2026-01-01T00:00:00.000Z" };
  await Deno.writeTextFile(join(folder, "process.json"), JSON.stringify({ ...identity, ...about }));
}

const shown = ({ messages }: MiniRecord) =>
  messages.filter(({ role }) => role !== "system").map(({ role, commands, exit_code }) => ({
    role,
    commands,
    exit_code,
  }));
const COMMANDS = {
  look: { role: "assistant", commands: ["printf 'hunter22%s' -secret; false"], exit_code: null },
  looked: { role: "tool", commands: [], exit_code: 1 },
  wait: { role: "assistant", commands: ["sleep 1000"], exit_code: null },
  user: { role: "user", commands: [], exit_code: null },
  exit: { role: "exit", commands: [], exit_code: null },
};

Deno.test("a run that the server has started is told as it goes on, by its events", async () => {
  await using box = await Sandbox.create();
  const { run, folder } = await startIn(box, [REPLIES[0]!, WAITS]);
  await using view = await openMiniView({ id: "mini-1", form: "started", folder }, options);
  let record: MiniRecord | undefined;
  await until("its first command has ended", async () => {
    record = miniRecord.parse(await view.record());
    return record.messages.some(({ exit_code }) => exit_code === 1);
  });
  const { status, running, task, workdir, cost_usd, calls, ended_at, trajectory_path, has_events } = record!;
  deepEqual({ status, running, task, workdir, cost_usd, calls, ended_at, trajectory_path, has_events }, {
    status: "running",
    running: true,
    task: TASK,
    workdir: box.workdir,
    cost_usd: 0.5,
    calls: 1,
    ended_at: null,
    trajectory_path: null,
    has_events: true,
  });
  deepEqual(shown(record!), [COMMANDS.user, COMMANDS.look, COMMANDS.looked]);
  equal(record!.messages.at(-1)!.content, "[redacted]");
  await rejects(view.trajectory(), refusal(404, /no file "trajectory.json"/));

  // What the record does not take account of comes after it, and nothing else.
  const stream = view.streams!.open({ head: "head\n\n", after: record!.seq, types: new Set(["finish", "cost"]) });
  const before = view.streams!.open({ head: "head\n\n", after: -1, types: new Set(["start"]) }).getReader();
  await before.read();
  ok(/^id: 0\nevent: start\ndata: \{/.test(new TextDecoder().decode((await before.read()).value)));
  await before.cancel();
  await view.stop();
  equal((await run.end).code, 130);
  let text = "";
  for await (const piece of stream) {
    text += new TextDecoder().decode(piece);
    if (text.includes("event: cost")) break;
  }
  ok(/\nevent: finish\ndata: \{.*"interrupted"/.test(text), text);

  const ended = miniRecord.parse(await view.record());
  deepEqual([ended.status, ended.running, ended.exit_status], ["interrupted", false, "Interrupted"]);
  equal(ended.seq, Deno.statSync(join(folder, "stream.jsonl")).size - 1);
  await rejects(view.stop(), refusal(409, /has ended already/));
});

Deno.test("a run that has ended is told by its trajectory, with the prices of its calls", async () => {
  await using box = await Sandbox.create();
  const { run, folder } = await startIn(box, REPLIES);
  await run.end;
  await using view = await openMiniView({ id: "mini-1", form: "started", folder }, options);
  const record = miniRecord.parse(await view.record());
  const { run_id, status, running, cost_usd, known_cost_usd, calls, steps, result, exit_status, trajectory_path } =
    record;
  deepEqual({ run_id, status, running, cost_usd, known_cost_usd, calls, steps, result, exit_status, trajectory_path }, {
    run_id: "mini-1",
    status: "success",
    running: false,
    cost_usd: 0.75,
    known_cost_usd: 0.75,
    calls: 2,
    steps: 2,
    result: "it is done\n",
    exit_status: "Submitted",
    trajectory_path: join(folder, "trajectory.json"),
  });
  deepEqual(shown(record).slice(0, 3), [COMMANDS.user, COMMANDS.look, COMMANDS.looked]);
  deepEqual(shown(record).at(-1), COMMANDS.exit);
  deepEqual(record.messages.filter(({ role }) => role === "assistant").map(({ cost_usd }) => cost_usd), [0.5, 0.25]);
  ok(record.messages.every(({ time }) => time !== null));
  const trajectory = new TextDecoder().decode(await view.trajectory());
  equal(JSON.parse(trajectory).trajectory_format, "mini-swe-agent-1.1");
  ok(!trajectory.includes("hunter22-secret") && trajectory.includes("[redacted]"));
});

Deno.test("a run that was killed is cut off, and what it had told is there", async () => {
  await using box = await Sandbox.create();
  const { run, folder } = await startIn(box, [REPLIES[0]!, WAITS]);
  await using view = await openMiniView({ id: "mini-1", form: "started", folder }, options);
  await until("its first command has ended", async () => (await view.record()).cost_usd === 0.5);
  run.kill("SIGKILL");
  await run.end;
  const { status, running, cost_usd, messages } = await view.record();
  deepEqual([status, running, cost_usd, messages.length], ["cut_off", false, 0.5, 3]);
  for (const { pid } of await box.processes()) Deno.kill(pid, "SIGKILL");
});

/** The run that goes on in the workdir. */
async function liveRun(
  { workdir }: Sandbox,
): Promise<{ runId: string; workdir: string; trajectory: undefined; log: string }> {
  const folder = join(workdir, ".miniswe/data/runs");
  let name: string | undefined;
  await until("it has a log", async () => {
    name = (await Array.fromAsync(Deno.readDir(folder)).catch(() => []))[0]?.name;
    return name !== undefined;
  });
  return { runId: name!.replace(".jsonl", ""), workdir, trajectory: undefined, log: join(folder, name!) };
}

Deno.test("a run in a workdir is told by its log while it goes on, and by its trajectory afterwards", async () => {
  await using box = await Sandbox.create();
  const args = ["mini", "--headless", `--task=${TASK}`, ...await box.script([REPLIES[0]!, WAITS])];
  const running = await box.start(args, { cwd: box.workdir });
  await running.event("a second reply", ({ type, data }) => type === "step" && data.step === 1);
  const run = await liveRun(box);
  const place = { id: run.runId, form: "workdir", run } as const;
  await using view = await openMiniView(place, options);
  let record: MiniRecord | undefined;
  await until("its second reply is in the log", async () => (record = await view.record()).calls === 2);
  const { status, task, workdir, cost_usd, has_events, seq } = miniRecord.parse(record);
  deepEqual([status, task, workdir, cost_usd, has_events, seq], ["running", TASK, box.workdir, 0.5, false, -1]);
  deepEqual(shown(record!), [COMMANDS.user, COMMANDS.look, COMMANDS.looked, COMMANDS.wait]);
  equal(view.streams, undefined);
  await rejects(view.trajectory(), refusal(404, /no trajectory yet/));

  await view.stop();
  equal((await running.end).code, 130);
  await rejects(view.record(), refusal(404, /Nothing of this run is left/));
  const trajectory = join(box.workdir, ".miniswe/data/last_run.traj.json");
  await using later = await openMiniView({ ...place, run: { ...run, trajectory } }, options);
  const ended = miniRecord.parse(await later.record());
  deepEqual([ended.status, ended.trajectory_path, ended.calls], ["interrupted", trajectory, 2]);
  equal(JSON.parse(new TextDecoder().decode(await later.trajectory())).info.run_id, run.runId);
  await rejects(later.stop(), refusal(409, /has ended already/));

  // Of another run, the next one in this workdir.
  const other = { ...run, runId: "another", log: undefined, trajectory };
  await using replaced = await openMiniView({ id: "another", form: "workdir", run: other }, options);
  await rejects(replaced.record(), refusal(404, /Nothing of this run is left/));
  await rejects(replaced.trajectory(), refusal(404, /no trajectory/));
});

Deno.test("no file can make somebody end another process than the run's", async () => {
  const victim = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  try {
    await inTempDir(async (dir) => {
      const { start_ticks: _, ...own } = ownIdentity();
      const ticks = readProcess(victim.pid)!.startTicks;
      const owners = [
        { ...own, pid: victim.pid },
        { ...own, pid: victim.pid, start_ticks: ticks, pid_namespace: "pid:[1]" },
        { ...own, pid: victim.pid, start_ticks: ticks - 1 },
        { ...own, pid: victim.pid, start_ticks: ticks, boot_id: "another" },
        { pid: -victim.pid, start_ticks: ticks },
        { pid: 1, start_ticks: readProcess(1)?.startTicks },
        { pid: String(victim.pid), start_ticks: ticks },
      ];
      for (const [index, owner] of owners.entries()) {
        const log = join(dir, `${index}.jsonl`);
        await Deno.writeTextFile(log, JSON.stringify({ kind: "run", info: {}, owner }) + "\n");
        const run = { runId: "x", workdir: dir, trajectory: undefined, log };
        await using view = await openMiniView({ id: "x", form: "workdir", run }, options);
        await rejects(view.stop(), refusal(409, /ended already|Nobody can tell/), JSON.stringify(owner));
      }
    });
    equal(readProcess(victim.pid)?.isZombie, false);
  } finally {
    victim.kill("SIGKILL");
    await victim.status;
  }
});

Deno.test("a trajectory behind a link, one of a strange shape, and one that is too large are not shown", async () => {
  await inTempDir(async (dir) => {
    const workdir = join(dir, "work");
    const trajectory = join(workdir, ".miniswe/data/last_run.traj.json");
    const viewOf = () => {
      const run = { runId: "x", workdir, trajectory, log: undefined };
      return openMiniView({ id: "x", form: "workdir", run }, options);
    };
    await Deno.mkdir(join(workdir, ".miniswe"), { recursive: true });
    await Deno.mkdir(join(dir, "elsewhere"));
    await Deno.writeTextFile(join(dir, "elsewhere/last_run.traj.json"), '{"info":{"task":"stolen"}}');
    await Deno.symlink(join(dir, "elsewhere"), join(workdir, ".miniswe/data"));
    {
      await using view = await viewOf();
      await rejects(view.record(), refusal(404, /no file/));
      await rejects(view.trajectory(), refusal(404, /no file/));
    }
    await Deno.remove(join(workdir, ".miniswe/data"));
    await Deno.mkdir(join(workdir, ".miniswe/data"));
    for (const content of ["{", "null", "[]"]) {
      await Deno.writeTextFile(trajectory, content);
      await using view = await viewOf();
      await rejects(view.record(), refusal(404, /is no trajectory/));
    }
    await Deno.writeFile(trajectory, new Uint8Array(33 * 1024 * 1024));
    await using view = await viewOf();
    await rejects(view.record(), refusal(413, /larger than 32 MiB/));
    // Of mini-swe-agent itself, which knows no run ids.
    await Deno.writeTextFile(
      trajectory,
      JSON.stringify({
        info: { exit_status: "Submitted", submission: "a patch", model_stats: { instance_cost: 1, api_calls: 1 } },
        messages: [{ role: "user", content: "Do it" }, { role: "assistant", content: "Done", extra: { cost: 1 } }],
      }),
    );
    const { task, status, result, cost_usd, calls } = miniRecord.parse(await view.record());
    deepEqual([task, status, result, cost_usd, calls], ["Do it", "success", "a patch", 1, 1]);
  });
});

Deno.test("of a folder whose run has not begun nothing is known but what its starter has told", async () => {
  await inTempDir(async (dir) => {
    await describeProcess(dir, { pid: 2 ** 22 + 1, start_ticks: 1 });
    await using view = await openMiniView({ id: "mini-1", form: "started", folder: dir }, options);
    const { task, model, workdir, status, calls, cost_usd, seq } = miniRecord.parse(await view.record());
    deepEqual([task, model, workdir, status, calls, cost_usd, seq], ["told", "told", "/told", "cut_off", 0, 0, -1]);
  });
});
