/** Runs that happen at the same time do not disturb each other. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { listing, readTrajectory, Sandbox, submit } from "../support/gocore.ts";

Deno.test("eight runs in eight workdirs each do their own work", async () => {
  await using box = await Sandbox.create();
  const runs = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const workdir = await box.repository(`work-${i}`);
    const replies = [
      ...Array.from({ length: 5 }, (_, n) => ({ commands: [`echo ${i}.${n} >> log`], cost: i })),
      { ...submit(`I am ${i}`), cost: 0 },
    ];
    return await box.mini([...await box.script(replies), "-t", `Task ${i}`, "-w", workdir, "-l", "0"]);
  }));
  for (const [i, run] of runs.entries()) {
    equal(run.code, 0);
    equal(run.start.task, `Task ${i}`);
    equal(run.finish.result.trim(), `I am ${i}`);
    equal(run.cost.total, 5 * i);
    equal(run.trajectory.info.submission.trim(), `I am ${i}`);
    equal(
      await Deno.readTextFile(`${box.root}/work-${i}/log`),
      Array.from({ length: 5 }, (_, n) => `${i}.${n}\n`).join(""),
    );
  }
  equal(new Set(runs.map(({ start }) => start.run_id)).size, 8, "run ids are unique");
});

Deno.test("runs that start at once in one fresh workdir do not corrupt each other's files", async () => {
  await using box = await Sandbox.create();
  const runs = await Promise.all(Array.from({ length: 4 }, async (_, i) => {
    const replies = [{ commands: [`printf '%0${20_000 + i}d' ${i}`], repeat: 10 }, submit(`I am ${i}`)];
    const output = i < 2 ? [] : ["--output", `${box.root}/run-${i}.json`];
    // The shared path is whole after each run, but whose it is only the last writer knows.
    const end = await box.run(["mini", "--headless", ...await box.script(replies), "-t", `Task ${i}`, ...output]);
    return { i, end };
  }));
  for (const { i, end } of runs) {
    equal(end.code, 0, end.stderr);
    equal(end.events[0]?.type, "start");
    const finish = end.events.at(-2)!;
    ok(finish.type === "finish" && finish.data.result.trim() === `I am ${i}`);
    const trajectory = await readTrajectory(finish.data.trajectory_path!);
    if (i >= 2) equal(trajectory.info.submission.trim(), `I am ${i}`);
    else ok(["I am 0", "I am 1"].includes(trajectory.info.submission.trim()));
    equal(trajectory.messages.length, 2 + 2 * 11 + 1, "one run's messages, and all of them");
  }
  const made = await listing(`${box.workdir}/.miniswe`);
  deepEqual(made.filter((path) => /tmp|claimed|\.jsonl$/.test(path)), [], "nothing is left half-made");
  ok(made.includes("configs/live.yaml"));
  equal(made.filter((path) => path.startsWith("configs/")).length, 2, made.join(" "));
});
