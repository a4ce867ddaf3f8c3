/** Streams of `gocore serve` under load: many readers, some of which take nothing, a fast writer, and a server that dies. */
import { ok, strictEqual as equal } from "node:assert/strict";
import { type Load, LoadedRun } from "./loaded_run.ts";
import { Served } from "./served.ts";

Deno.test("readers have each event once and in order, while others take nothing and cost no memory", async () => {
  await using served = await Served.start();
  const load = { kind: "session", readers: 16, silent: 8, events: 20_000, rate: 10_000, bytes: 1500 } as const;
  await using run = await LoadedRun.start(served, load);
  await run.read(2000);
  const before = await served.memoryMb();
  const sizes: number[] = [];
  const watch = setInterval(async () => sizes.push(await served.memoryMb()), 100);
  try {
    await run.read(load.events);
  } finally {
    clearInterval(watch);
  }
  await run.isWhole();
  equal(Math.max(...run.readers.map(({ connections }) => connections)), 1);
  const most = Math.max(...sizes);
  // The log times those that take nothing would be 250 MB.
  ok(most - before < 100, `${before} MB have become ${most} MB`);
});

for (const kind of ["session", "manager", "mini"] as const) {
  Deno.test(`readers of a ${kind} go on without a gap or a double when the server is killed and started again`, async () => {
    await using served = await Served.start();
    const load: Load = { kind, readers: 5, silent: 2, events: 12_000, rate: 4000, bytes: 200 };
    await using run = await LoadedRun.start(served, load);
    for (const share of [0.25, 0.6]) {
      await run.read(share * load.events);
      await served.killAndStartAgain();
    }
    await run.isWhole();
    ok(run.readers.every(({ connections }) => connections >= 3));
  });
}
