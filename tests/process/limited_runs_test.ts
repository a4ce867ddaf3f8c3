import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { LimitedRuns, runLimits } from "../../src/process/limited_runs.ts";
import { runCommand } from "../../src/process/spawn.ts";

const isLinux = Deno.build.os === "linux";
const never = new AbortController().signal;
const options = { cwd: "/", env: { PATH: Deno.env.get("PATH")! }, timeoutMs: Infinity, signal: never, graceMs: 0 };
const DENO = Deno.execPath();
const GREEDY = "const all = []; for (;;) all.push(new Uint8Array(4e6).fill(1));";

Deno.test({
  name: "a run is ended by the memory that it takes, and the next one is not",
  ignore: !isLinux,
  fn: async () => {
    const runs = new LimitedRuns({ memoryMb: 300, processes: 100 });
    const { output: _, elidedBytes, totalBytes, durationMs, ...end } = await runs.run(
      [DENO, "eval", GREEDY],
      options,
    );
    ok(elidedBytes >= 0 && totalBytes >= 0 && durationMs > 0);
    deepEqual(end, { endedBy: "limit", exitCode: null, signalName: "SIGKILL", limit: "memory (0.3 GiB)" });
    const next = await runs.run(["/bin/sh", "-c", "echo well"], options);
    deepEqual([next.endedBy, next.exitCode, next.output, next.limit], ["exit", 0, "well\n", undefined]);
    await runs.close();
  },
});

Deno.test({
  name: "a run is ended by the processes that it starts",
  ignore: !isLinux,
  fn: async () => {
    const runs = new LimitedRuns({ memoryMb: 4000, processes: 20 });
    const script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 1000 & done; wait";
    const end = await runs.run(["/bin/sh", "-c", script], options);
    deepEqual([end.endedBy, end.limit], ["limit", "processes (20)"]);
    await runs.close();
  },
});

Deno.test("an abort and a timeout stay what they are", async () => {
  const runs = new LimitedRuns(runLimits(1));
  const controller = new AbortController();
  const aborted = runs.run(["sleep", "1000"], {
    ...options,
    signal: controller.signal,
    onStart: () => controller.abort(),
  });
  equal((await aborted).endedBy, "abort");
  equal((await runs.run(["sleep", "1000"], { ...options, timeoutMs: 50 })).endedBy, "timeout");
  equal((await runs.run(["true"], { ...options, signal: controller.signal })).endedBy, "abort");
  await runs.close();
});

Deno.test("limits are generous, and said in words", async () => {
  for (const lanes of [1, 4, 1000]) {
    const { memoryMb, processes } = runLimits(lanes);
    ok(memoryMb >= 1024 && memoryMb <= 4096 && processes === 512);
  }
  const runs = new LimitedRuns({ memoryMb: 2048, processes: 512 }, runCommand);
  match(await runs.describe(), /^at most 2 GiB of memory and 512 processes \(/);
  await runs.close();
});
