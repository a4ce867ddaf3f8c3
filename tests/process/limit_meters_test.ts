import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { Cgroup } from "../../src/process/cgroup.ts";
import { CpuJudge, FamilyMeter, GroupMeter } from "../../src/process/limit_meters.ts";
import { inTempDir } from "../support/temp_dir.ts";

const WINDOW_MS = 10_000;
const LOOK_MS = 500;
const nobody = () => [];

/** What is judged at the end of `windows` windows of looks at a worker that keeps `busy(ms)` processors busy. */
function judgeOf(allowed: number, processors: number, busy: (atMs: number) => number, windows = 3) {
  const judge = new CpuJudge(allowed, processors, WINDOW_MS);
  let usedMs = 0;
  for (let atMs = 0; atMs <= windows * WINDOW_MS; atMs += LOOK_MS) {
    const found = judge.judge(atMs, usedMs);
    if (found !== undefined) return { atMs, ...found };
    usedMs += busy(atMs) * LOOK_MS;
  }
  return undefined;
}

Deno.test("CpuJudge ends one that spins both of two processors where one is allowed, after a window", () => {
  deepEqual(judgeOf(50, 2, () => 2), { atMs: WINDOW_MS, limit: "cpu", allowed: 50, found: 100 });
});

Deno.test("CpuJudge lets one spin the processor that it may have, and a little more", () => {
  equal(judgeOf(50, 2, () => 1.09), undefined);
  deepEqual(judgeOf(50, 2, () => 1.12), { atMs: WINDOW_MS, limit: "cpu", allowed: 50, found: 56 });
});

Deno.test("CpuJudge lets a burst pass that the window makes up for", () => {
  equal(judgeOf(50, 4, (atMs) => atMs % WINDOW_MS < 5000 ? 4 : 0), undefined);
});

Deno.test("CpuJudge never ends who stays within the limit, and always who uses everything", () => {
  const shares = fc.integer({ min: 1, max: 99 });
  const machines = fc.integer({ min: 1, max: 256 });
  fc.assert(fc.property(shares, machines, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 61 }), (
    allowed,
    processors,
    uses,
  ) => {
    equal(judgeOf(allowed, processors, (atMs) => uses[atMs / LOOK_MS]! * allowed / 100 * processors), undefined);
    equal(judgeOf(allowed, processors, () => processors)?.atMs, WINDOW_MS);
  }));
});

Deno.test("FamilyMeter believes no more than the processors can have done since the last look", async () => {
  const meter = new FamilyMeter(0, new CpuJudge(50, 4, WINDOW_MS));
  const worker = { pid: 2 ** 22 + 1, parent: 1, session: 1, startTicks: 1, isZombie: false, waitedCpuTicks: 0 };
  for (let atMs = 0; atMs <= 3 * WINDOW_MS; atMs += LOOK_MS) {
    // The time of a child that ended during a look is seen twice.
    const cpuTicks = atMs < WINDOW_MS ? 0 : 100_000;
    equal(await meter.look(() => [{ ...worker, cpuTicks }], atMs), undefined);
  }
});

/** Looks at a group whose processes want `wanted` processors, get `given` of them and are held back in `share` periods. */
async function lookAtGroup(wanted: number, given: number, share: number, windows = 2) {
  let found: { atMs: number } | undefined;
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/cgroup.subtree_control`, "cpu memory");
    const group = await Cgroup.open(dir, "a", { memoryBytes: 0, processors: 2 });
    const meter = new GroupMeter(group, 0, new CpuJudge(50, 4, WINDOW_MS));
    for (let atMs = 0; atMs <= windows * WINDOW_MS && found === undefined; atMs += LOOK_MS) {
      const stat = {
        usage_usec: given * atMs * 1000,
        nr_periods: atMs / 100,
        nr_throttled: Math.floor(share * atMs / 100),
        throttled_usec: (wanted - given) * atMs * 1000,
      };
      const text = Object.entries(stat).map(([name, value]) => `${name} ${value}\n`).join("");
      await Deno.writeTextFile(`${group.path}/cpu.stat`, text);
      const exceeded = await meter.look(nobody, atMs);
      if (exceeded !== undefined) found = { atMs, ...exceeded };
    }
  });
  return found;
}

Deno.test("GroupMeter ends who is held back in nearly every period of a window", async () => {
  deepEqual(await lookAtGroup(4, 2, 1), { atMs: WINDOW_MS, limit: "cpu", allowed: 50, found: 100 });
  deepEqual(await lookAtGroup(3, 2, 0.95), { atMs: WINDOW_MS, limit: "cpu", allowed: 50, found: 75 });
});

Deno.test("GroupMeter lets go on who is held back for a part of the window, or hardly", async () => {
  equal(await lookAtGroup(4, 2, 0.8), undefined);
  equal(await lookAtGroup(2.1, 2, 1), undefined);
});
