/** Signals at any moment: the run ends, says so, saves, and leaves nothing behind. */
import { deepStrictEqual as deepEqual, match, notStrictEqual, ok, strictEqual as equal } from "node:assert/strict";
import {
  checkMini,
  exists,
  type GocoreEnd,
  listing,
  readTrajectory,
  Sandbox,
  submit,
  until,
} from "../support/gocore.ts";

const CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = Object.keys(CODES) as (keyof typeof CODES)[];

/** The word for a run's end that `exit_status` begins with. */
const INTERRUPTED = /^Interrupt/;

async function checkInterrupted(end: GocoreEnd, signal: keyof typeof CODES) {
  const finish = end.events.find(({ type }) => type === "finish")?.data as { trajectory_path?: string | null };
  const run = await checkMini(end, { noTrajectory: finish?.trajectory_path === null });
  equal(run.code, CODES[signal]);
  equal(run.finish.status, "interrupted");
  match(run.finish.exit_status, INTERRUPTED);
  equal(run.error, undefined);
  return run;
}

for (const signal of SIGNALS) {
  Deno.test(`${signal} during the start ends the run with its whole stream`, async () => {
    await using box = await Sandbox.create();
    const script = await box.script([{ commands: ["true"], delay_ms: 1_000_000 }]);
    const run = await box.start(["mini", "--headless", ...script, "-t", "x"]);
    // Its first trace outside the process. Before it listens to signals there is nothing that could tell of them.
    await until("the program makes the agent's home", () => exists(`${box.workdir}/.miniswe`));
    run.kill(signal);
    await checkInterrupted(await run.end, signal);
  });

  Deno.test(`${signal} during a model call ends the run`, async () => {
    await using box = await Sandbox.create();
    const script = await box.script([{ commands: ["echo first"] }, { commands: ["true"], delay_ms: 1_000_000 }]);
    const end = await box.run(["mini", "--headless", ...script, "-t", "x"], {
      signalAfter: { event: ({ type }) => type === "step", signal },
    });
    const run = await checkInterrupted(end, signal);
    equal(run.steps.length, 1);
    equal(run.trajectory.messages.at(-1).role, "exit");
  });

  Deno.test(`${signal} during a command kills everything that it started`, async () => {
    await using box = await Sandbox.create();
    const command = `setsid sleep 100000 & (setsid sleep 100001 & ); (trap '' INT TERM HUP; sleep 100002) & ` +
      `sleep 0.1; touch ready; sleep 100003`;
    const run = await box.start(["mini", "--headless", ...await box.script([{ commands: [command] }]), "-t", "x"]);
    await until("the command runs", () => exists(`${box.workdir}/ready`));
    run.kill(signal);
    const { trajectory } = await checkInterrupted(await run.end, signal);
    equal(trajectory.messages.at(-1).role, "exit");
    await box.noProcessLeft();
  });
}

Deno.test("a signal during the wait before a retry ends the run", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([{ error: { status: 429, message: "slow down", retry_after: 200 } }, submit()]);
  const end = await box.run(["mini", "--headless", ...script, "-t", "x"], {
    signalAfter: { event: ({ type, data }) => type === "log" && "attempt" in data, signal: "SIGTERM" },
  });
  const run = await checkInterrupted(end, "SIGTERM");
  equal(run.cost.calls, 0);
  equal(run.logs.length, 1);
  equal(run.logs[0]!.wait_seconds, 200);
});

Deno.test("a signal at any moment gives a whole stream, or none when the program had not begun", async () => {
  await using box = await Sandbox.create();
  const replies = [{ commands: ["sleep 0.05 & sleep 0.02", "echo two"], delay_ms: 20, repeat: 10_000 }];
  const script = await box.script(replies);
  await Promise.all([0, 15, 40, 70, 100, 150, 220, 320, 450, 700].map(async (delayMs, index) => {
    const cwd = await box.repository(`at-${index}`);
    const run = await box.start(["mini", "--headless", ...script, "-t", "x", "-l", "0"], { cwd });
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    run.kill("SIGTERM");
    const end = await run.end;
    if (end.signal === null) await checkInterrupted(end, "SIGTERM");
    else deepEqual([end.signal, end.stdout], ["SIGTERM", ""]);
  }));
  await box.noProcessLeft();
});

Deno.test("a second SIGINT exits at once and still leaves no process", async () => {
  await using box = await Sandbox.create();
  const stubborn = `trap '' INT TERM; touch ready; while :; do sleep 1000; done`;
  const script = await box.script([{ commands: [stubborn] }]);
  const run = await box.start(["mini", "--headless", ...script, "-t", "x"]);
  await until("the command runs", () => exists(`${box.workdir}/ready`));
  run.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 50)); // Two at the same moment would be one.
  run.kill("SIGINT");
  const end = await run.end;
  deepEqual([end.code, end.signal], [130, null]);
  await box.noProcessLeft();
});

Deno.test("the next run in a workdir assembles the trajectory of one that was killed", async () => {
  await using box = await Sandbox.create();
  const killed = await box.start([
    ...["mini", "--headless", "-t", "The killed one"],
    ...await box.script([{ commands: ["echo before the end"], cost: 0.5 }, {
      commands: ["true"],
      delay_ms: 1_000_000,
    }]),
  ]);
  const { data } = await killed.event("a start", ({ type }) => type === "start");
  const runId = (data as { run_id: string }).run_id;
  await killed.event("a step", ({ type }) => type === "step");
  killed.kill("SIGKILL");
  equal((await killed.end).signal, "SIGKILL");

  const next = await box.mini([...await box.script([submit()]), "-t", "The next one"]);
  equal(next.finish.status, "success");
  equal(next.trajectory.messages[1].content.includes("The next one"), true);

  const kept = (await listing(`${box.workdir}/.miniswe/data`)).filter((path) => path.includes(runId));
  equal(kept.length, 1, kept.join(" "));
  const trajectory = await readTrajectory(`${box.workdir}/.miniswe/data/${kept[0]}`);
  notStrictEqual(trajectory.info.exit_status, "Submitted");
  deepEqual(trajectory.info.model_stats, { instance_cost: 0.5, api_calls: 1 });
  const roles = trajectory.messages.map(({ role }: { role: string }) => role);
  deepEqual(roles.slice(0, 4), ["system", "user", "assistant", "tool"]);
  ok(trajectory.messages[3].content.includes("before the end"));
  ok(next.logs.some(({ content }) => content.includes(runId)), "the run says what it found");
});

Deno.test("the trajectory of a killed run is whole before the next run ends, also when that one fails", async () => {
  await using box = await Sandbox.create();
  const owner = { pid: 4_000_000, boot_id: "of another start of the machine" };
  const entry = JSON.stringify({ kind: "message", message: { role: "user", content: "x".repeat(100_000) } });
  const log = [JSON.stringify({ kind: "run", info: {}, owner }), ...Array<string>(200).fill(entry), ""].join("\n");
  await box.file("work/.miniswe/data/runs/20200101T000000Z-4000000-abcd.jsonl", log);
  const run = await box.mini(["-t", "x", "-m", "scripted/missing.yaml"]);
  equal(run.finish.status, "error");
  deepEqual(await listing(`${box.workdir}/.miniswe/data/runs`), ["20200101T000000Z-4000000-abcd.traj.json"]);
});

Deno.test("the next run in a workdir ends the commands of one that was killed", async () => {
  await using box = await Sandbox.create();
  const command = "setsid sleep 100000 & (setsid sleep 100001 &); touch ready; sleep 100002";
  const killed = await box.start(["mini", "--headless", ...await box.script([{ commands: [command] }]), "-t", "x"]);
  await until("the command runs", () => exists(`${box.workdir}/ready`));
  killed.kill("SIGKILL");
  await killed.end;
  ok((await box.processes()).length > 0, "nobody could end them");
  const next = await box.mini([...await box.script([submit()]), "-t", "The next one"]);
  ok(next.logs.some(({ content }) => /\d+ processes of its commands/.test(content)), JSON.stringify(next.logs));
  await box.noProcessLeft();
});
