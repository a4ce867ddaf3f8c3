import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { Cgroup, groupParents } from "../../src/process/cgroup.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
const ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw";

/** A folder as a cgroup looks whose controllers are not on yet. */
async function inFakeCgroup(controllers: string, work: (dir: string) => Promise<void>) {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/cgroup.controllers`, `${controllers}\n`);
    await Deno.writeTextFile(`${dir}/cgroup.subtree_control`, "\n");
    await work(dir);
  });
}

const contents = (dir: string) =>
  Object.fromEntries(namesIn(dir).map((name) => [name, Deno.readTextFileSync(`${dir}/${name}`)]));

/** Does once what the kernel does with the group: its files go when all in it are killed. */
async function killWhenTold(group: Cgroup): Promise<void> {
  while ((await Deno.readTextFile(`${group.path}/cgroup.kill`)) !== "1") await new Promise((go) => setTimeout(go, 5));
  for (const name of namesIn(group.path)) await Deno.remove(`${group.path}/${name}`);
}

Deno.test("groupParents() gives our own group, then the one around it", () => {
  deepEqual(groupParents(`${ROOT}\n${V2}\n`, "0::/user.slice/app.slice/a.scope\n"), [
    "/sys/fs/cgroup/user.slice/app.slice/a.scope",
    "/sys/fs/cgroup/user.slice/app.slice",
  ]);
});

Deno.test("groupParents() never leaves the mount", () => {
  deepEqual(groupParents(V2, "0::/\n"), ["/sys/fs/cgroup"]);
  const inContainer = V2.replace(" / /sys", " /docker/abc /sys");
  deepEqual(groupParents(inContainer, "0::/docker/abc\n"), ["/sys/fs/cgroup"]);
  deepEqual(groupParents(inContainer, "0::/docker/abc/x\n"), ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]);
  deepEqual(groupParents(inContainer, "0::/docker/abcd\n"), []);
  deepEqual(groupParents(V2, "0::/../other\n"), []);
});

Deno.test("groupParents() finds the second version beside the first, also where a name has a blank", () => {
  const mounts = [
    "33 32 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "42 32 0:38 / /sys/fs/cgroup/my\\040own rw,relatime - cgroup2 cgroup2 rw",
  ].join("\n");
  deepEqual(groupParents(mounts, "4:memory:/x\n0::/a\n"), ["/sys/fs/cgroup/my own/a", "/sys/fs/cgroup/my own"]);
  deepEqual(groupParents(mounts, "4:memory:/x\n"), []);
  deepEqual(groupParents(ROOT, "0::/a\n"), []);
});

Deno.test("Cgroup.open() turns the controllers on that it needs and writes the limits", () =>
  inFakeCgroup("cpuset cpu io memory pids", async (dir) => {
    const both = await Cgroup.open(dir, "both", { memoryBytes: 1000, processors: 1.5 });
    equal(both.path, `${dir}/both`);
    equal(Deno.readTextFileSync(`${dir}/cgroup.subtree_control`), "+memory +cpu");
    deepEqual(contents(both.path), {
      "cpu.max": "150000 100000",
      "memory.max": "1000",
      "memory.oom.group": "1",
      "memory.swap.max": "0",
    });
    await Deno.writeTextFile(`${dir}/cgroup.subtree_control`, "memory pids\n");
    const one = await Cgroup.open(dir, "one", { memoryBytes: 0, processors: 0.25 });
    equal(Deno.readTextFileSync(`${dir}/cgroup.subtree_control`), "+cpu");
    deepEqual(contents(one.path), { "cpu.max": "25000 100000" });
  }));

Deno.test("Cgroup.open() says which controller is missing, and makes nothing", () =>
  inFakeCgroup("hugetlb cpu", async (dir) => {
    await rejects(Cgroup.open(dir, "a", { memoryBytes: 1, processors: 1 }), { message: "It has no memory controller" });
    deepEqual(namesIn(dir), ["cgroup.controllers", "cgroup.subtree_control"]);
  }));

Deno.test("Cgroup tells a kill for its own limit from one for want of memory in the whole machine", () =>
  inFakeCgroup("memory", async (dir) => {
    const group = await Cgroup.open(dir, "a", { memoryBytes: 1, processors: 0 });
    const events = (oom: number, oomKill: number) =>
      Deno.writeTextFileSync(
        `${group.path}/memory.events`,
        `low 0\nhigh 0\nmax 812\noom ${oom}\noom_kill ${oomKill}\noom_group_kill 0\n`,
      );
    equal(group.hasRunOutOfMemory(), false);
    events(0, 0);
    equal(group.hasRunOutOfMemory(), false);
    events(0, 2);
    equal(group.hasRunOutOfMemory(), false);
    events(1, 2);
    equal(group.hasRunOutOfMemory(), true);
  }));

Deno.test("Cgroup adds to the CPU that was used what was held back", () =>
  inFakeCgroup("cpu", async (dir) => {
    const group = await Cgroup.open(dir, "a", { memoryBytes: 0, processors: 1 });
    await Deno.writeTextFile(
      `${group.path}/cpu.stat`,
      "usage_usec 1500000\nuser_usec 1400000\nsystem_usec 100000\nnr_periods 20\nnr_throttled 15\nthrottled_usec 2500000\n",
    );
    deepEqual(group.cpu(), { demandMs: 4000, throttledPeriods: 15 });
  }));

Deno.test("Cgroup.close() kills what is in it and removes it with the groups in it", () =>
  inFakeCgroup("memory", async (dir) => {
    const group = await Cgroup.open(dir, "a", { memoryBytes: 1, processors: 0 });
    await Deno.mkdir(`${group.path}/inner/most`, { recursive: true });
    for (const name of namesIn(group.path)) if (name !== "inner") await Deno.remove(`${group.path}/${name}`);
    await group.close();
    deepEqual(namesIn(dir), ["cgroup.controllers", "cgroup.subtree_control"]);

    const busy = await Cgroup.open(dir, "b", { memoryBytes: 1, processors: 0 });
    await Deno.writeTextFile(`${busy.path}/cgroup.kill`, "");
    await Promise.all([busy.close(), killWhenTold(busy)]);
    deepEqual(namesIn(dir), ["cgroup.controllers", "cgroup.subtree_control"]);
    await busy.close();
  }));

/** The real one, where it may be written to; without controllers, which may belong to the first version. */
const realParent = await (async () => {
  try {
    const read = Deno.readTextFile;
    const [parent] = groupParents(await read("/proc/self/mountinfo"), await read("/proc/self/cgroup")).slice(-1);
    const group = await Cgroup.open(parent!, `gocore-test-${Deno.pid}`, { memoryBytes: 0, processors: 0 });
    await Deno.writeTextFile(`${group.path}/cgroup.procs`, "", { create: false }).finally(() => group.close());
    return parent;
  } catch {
    return undefined;
  }
})();

Deno.test({
  name: "Cgroup.close() ends for real what is in the group",
  ignore: realParent === undefined,
  fn: async () => {
    const group = await Cgroup.open(realParent!, `gocore-test-${Deno.pid}`, { memoryBytes: 0, processors: 0 });
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        'echo $$ > "$0/cgroup.procs"; sleep 1000 & mkdir "$0/inner"; echo $! > "$0/inner/cgroup.procs"; wait',
        group.path,
      ],
      stdin: "null",
    }).spawn();
    try {
      const isIn = (path: string) => {
        try {
          return Deno.readTextFileSync(`${path}/cgroup.procs`) !== "";
        } catch {
          return false;
        }
      };
      while (!isIn(`${group.path}/inner`)) await new Promise((resolve) => setTimeout(resolve, 5));
    } finally {
      await group.close();
    }
    equal((await child.status).signal, "SIGKILL");
    await rejects(Deno.stat(group.path), Deno.errors.NotFound);
  },
});
