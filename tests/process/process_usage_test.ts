import { ok, strictEqual as equal } from "node:assert/strict";
import { readProcess } from "../../src/process/process_tree.ts";
import { FamilyCpu, memoryOf } from "../../src/process/process_usage.ts";
import { waitFor, withTree } from "../support/shell_tree.ts";
import { inTempDir } from "../support/temp_dir.ts";

const isLinux = Deno.build.os === "linux";
const MIB = 1024 * 1024;

const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: !isLinux, fn });

const allTicks = (pid: number) => {
  const { cpuTicks, waitedCpuTicks } = readProcess(pid)!;
  return cpuTicks + waitedCpuTicks;
};

test("FamilyCpu counts a process that began and ended between two looks", async () => {
  const spin = "i=0; while [ $((i += 1)) -lt 300000 ]; do :; done";
  await withTree(`read _; sh -c '${spin}'; echo done; cat`, async ({ pid, members, line, tell }) => {
    const cpu = new FamilyCpu();
    equal(cpu.msSinceLastLook(members()), 0);
    const before = allTicks(pid);
    await tell("go");
    equal(await line(), "done");
    const found = cpu.msSinceLastLook(members());
    ok(found > 0);
    equal(found, (allTicks(pid) - before) * 10);
  });
});

test("FamilyCpu counts a process once that was seen before its parent waited for it", async () => {
  await inTempDir((dir) =>
    withTree(`read _; sh -c 'while [ -e "$0/go" ]; do :; done' ${dir}; echo done; cat`, async (tree) => {
      const { pid, members } = tree;
      await Deno.writeTextFile(`${dir}/go`, "");
      const cpu = new FamilyCpu();
      cpu.msSinceLastLook(members());
      const before = allTicks(pid);
      await tree.tell("go");
      await waitFor(() => members().some((entry) => entry.pid !== pid && entry.cpuTicks >= 10));
      const alive = cpu.msSinceLastLook(members());
      ok(alive >= 100);
      await Deno.remove(`${dir}/go`);
      equal(await tree.line(), "done");
      equal(alive + cpu.msSinceLastLook(members()), (allTicks(pid) - before) * 10);
    })
  );
});

test("FamilyCpu keeps the time of a process that nobody has waited for", async () => {
  // cat does not know that it has a child.
  await withTree(`sh -c 'echo $$; while :; do :; done' & exec cat <&3`, async ({ members, line }) => {
    const spinner = Number(await line());
    const cpu = new FamilyCpu();
    cpu.msSinceLastLook(members());
    const before = readProcess(spinner)!.cpuTicks;
    await waitFor(() => readProcess(spinner)!.cpuTicks > before + 10);
    let found = cpu.msSinceLastLook(members());
    Deno.kill(spinner, "SIGKILL");
    await waitFor(() => readProcess(spinner)!.isZombie);
    for (let look = 0; look < 3; look++) found += cpu.msSinceLastLook(members());
    // The first look came before `before`.
    const ticks = found / 10;
    ok(ticks >= readProcess(spinner)!.cpuTicks - before, `${ticks} of ${readProcess(spinner)!.cpuTicks - before}`);
  });
});

test("memoryOf() counts pages once that several processes share", async () => {
  const fork = "( cat <&3; : ) & ( cat <&3; : ) & ( cat <&3; : ) &";
  const script = `x=$(head -c 60000000 /dev/zero | tr '\\0' x); ${fork} echo $\{#x}; cat`;
  await withTree(script, async ({ members, line }) => {
    equal(await line(), "60000000");
    await waitFor(() => members().length === 8);
    const all = members();
    const exact = await memoryOf(all, 0);
    const bound = await memoryOf(all, Infinity);
    ok(exact >= 60_000_000, `${exact / MIB} MiB`);
    ok(bound >= 3 * exact, `${bound / MIB} MiB against ${exact / MIB}`);
    // What is enough to know ends the search.
    const enough = await memoryOf(all, bound - 1);
    ok(enough < bound && enough > exact);
  });
});

test("memoryOf() takes a process that has ended for nothing", async () => {
  const gone = { ...readProcess("self")!, pid: 2 ** 22 + 1 };
  equal(await memoryOf([gone], 0), 0);
});
