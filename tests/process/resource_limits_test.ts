import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { type Exceeded, type Limiter, openLimiter, type ResourceLimits } from "../../src/process/resource_limits.ts";
import { killFamily } from "../../src/process/process_tree.ts";
import { runCommand } from "../../src/process/spawn.ts";
import { type Tree, waitFor, withTree } from "../support/shell_tree.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const isLinux = Deno.build.os === "linux";
const none: ResourceLimits = { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 };
const DENO = Deno.execPath();

const test = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, ignore: !isLinux || ignore, fn });

/** A limiter that watches, also where a cgroup could be made. */
async function watcher(limits: Partial<ResourceLimits>, cpuWindowMs?: number): Promise<Limiter> {
  const cgroupRoot = await Deno.makeTempDir();
  try {
    return await openLimiter({ ...none, ...limits }, { name: "test", cgroupRoot, cpuWindowMs });
  } finally {
    await Deno.remove(cgroupRoot);
  }
}

/** Watches the tree until it has exceeded a limit, then ends it. */
async function untilExceeded(limiter: Limiter, tree: Tree): Promise<Exceeded> {
  const exceeded = Promise.withResolvers<Exceeded>();
  using _watch = limiter.watch(tree.members, exceeded.resolve);
  const what = await exceeded.promise;
  deepEqual(limiter.exceeded(), what);
  killFamily(tree.members);
  return what;
}

/** Watches the tree until it has been looked at this often. */
async function duringLooks(limiter: Limiter, tree: Tree, looks: number): Promise<Exceeded[]> {
  const found: Exceeded[] = [];
  let left = looks;
  const members = () => {
    left--;
    return tree.members();
  };
  using _watch = limiter.watch(members, (what) => found.push(what));
  await waitFor(() => left <= 0 || found.length > 0);
  return found;
}

const run = (argv: readonly [string, ...string[]]) =>
  runCommand(argv, {
    cwd: "/",
    env: { PATH: Deno.env.get("PATH")! },
    timeoutMs: Infinity,
    signal: AbortSignal.any([]),
  });

const allocate = (megabytes: number) =>
  `${DENO} eval 'const a = new Uint8Array(${megabytes}e6).fill(1); console.log(a[5]); setTimeout(() => a, 1e9)'`;

test("watching ends a worker whose grandchild takes too much memory", () =>
  withTree(`sh -c "${allocate(300)}; :" & cat`, async (tree) => {
    const limiter = await watcher({ memoryMb: 150 });
    const { found, ...what } = await untilExceeded(limiter, tree);
    deepEqual(what, { limit: "memory", allowed: 150 });
    ok(found > 150 && found < 1000, `${found} MB`);
  }));

test("watching adds up what the processes of a worker take", () =>
  withTree(`${allocate(150)} & ${allocate(150)} & cat`, async (tree) => {
    const limiter = await watcher({ memoryMb: 300 });
    equal((await untilExceeded(limiter, tree)).limit, "memory");
  }));

test("watching leaves a worker alone whose processes share what looks like too much memory", () => {
  const fork = "( cat <&3; : ) & ( cat <&3; : ) & ( cat <&3; : ) &";
  return withTree(`x=$(head -c 60000000 /dev/zero | tr '\\0' x); ${fork} echo ready; cat`, async (tree) => {
    equal(await tree.line(), "ready");
    await waitFor(() => tree.members().length === 8);
    deepEqual(await duringLooks(await watcher({ memoryMb: 220 }), tree, 3), []);
  });
});

test("watching ends a worker whose grandchildren spin", () =>
  withTree(`for i in 1 2; do sh -c 'sh -c "while :; do :; done"; :' & done; cat`, async (tree) => {
    const { found, ...what } = await untilExceeded(await watcher({ cpuPercent: 1 }, 500), tree);
    deepEqual(what, { limit: "cpu", allowed: 1 });
    ok(found > 1 && found <= 100, `${found} %`);
  }));

test("watching ends a worker that spins in processes which live shorter than the time between two looks", () =>
  withTree(`while :; do sh -c 'i=0; while [ $((i += 1)) -lt 20000 ]; do :; done'; done`, async (tree) => {
    equal((await untilExceeded(await watcher({ cpuPercent: 1 }, 500), tree)).limit, "cpu");
  }));

test(
  "watching leaves a worker alone that keeps one processor busy where it may have more",
  () =>
    withTree("while :; do :; done", async (tree) => {
      const limiter = await watcher({ cpuPercent: 90, memoryMb: 100, timeSeconds: 3600 }, 500);
      deepEqual(await duringLooks(limiter, tree, 4), []);
      equal(limiter.exceeded(), undefined);
    }),
  navigator.hardwareConcurrency < 2,
);

test("a worker that sleeps past its time is ended", () =>
  withTree("sleep 1000", async (tree) => {
    const { found, ...what } = await untilExceeded(await watcher({ timeSeconds: 1 }), tree);
    deepEqual(what, { limit: "time", allowed: 1 });
    ok(found >= 1);
  }));

test("a worker that is taken over has used up a part of its time", () =>
  withTree("sleep 1000", async (tree) => {
    const limiter = await openLimiter({ ...none, timeSeconds: 3600 }, { name: "test", elapsedMs: 3_600_000 });
    const { found, ...what } = await untilExceeded(limiter, tree);
    deepEqual(what, { limit: "time", allowed: 3600 });
    ok(found >= 3600);
  }));

test("time does not count while the worker is paused", () =>
  withTree("sleep 1000", async (tree) => {
    const paused = await watcher({ timeSeconds: 0.2 });
    paused.pause();
    paused.pause();
    let isEnded = false;
    using _watch = paused.watch(tree.members, () => isEnded = true);
    const other = Promise.withResolvers<Exceeded>();
    using _other = (await watcher({ timeSeconds: 0.7 })).watch(tree.members, other.resolve);
    await other.promise;
    equal(isEnded, false);
    paused.resume();
    await waitFor(() => isEnded);
  }));

test("a watch that was disposed of calls nobody", () =>
  withTree("sleep 1000", async (tree) => {
    const limiter = await watcher({ timeSeconds: 0.1 });
    let isCalled = false;
    limiter.watch(tree.members, () => isCalled = true)[Symbol.dispose]();
    await untilExceeded(limiter, tree);
    equal(isCalled, false);
  }));

test("onExceeded is not called before watch() has returned, also when time is over already", () =>
  withTree("sleep 1000", async (tree) => {
    const limiter = await openLimiter({ ...none, timeSeconds: 1 }, { name: "test", elapsedMs: 2000 });
    const order: string[] = [];
    const called = Promise.withResolvers<void>();
    using _watch = limiter.watch(tree.members, () => {
      order.push("called");
      called.resolve();
    });
    order.push("returned");
    await called.promise;
    deepEqual(order, ["returned", "called"]);
  }));

test("a worker whose processes take long to find is looked at less often", async () => {
  let slowLooks = 0;
  let quickLooks = 0;
  const slow = () => {
    slowLooks++;
    for (const start = performance.now(); performance.now() - start < 100;);
    return [];
  };
  const quick = () => {
    quickLooks++;
    return [];
  };
  using _slow = (await watcher({ memoryMb: 100 })).watch(slow, () => {});
  using _quick = (await watcher({ memoryMb: 100 })).watch(quick, () => {});
  await waitFor(() => quickLooks >= 4);
  ok(slowLooks >= 1 && slowLooks < quickLooks, `${slowLooks} looks against ${quickLooks}`);
});

test("the limiter says what enforces the limits, and why nothing better does", async () => {
  const all = await watcher({ cpuPercent: 50, memoryMb: 2048, timeSeconds: 3600 });
  equal(all.enforced_by, "watching /proc");
  match(
    all.detail,
    /^50 % of \d+ processors, 2048 MB of memory, 3600 s; looked at every 500 ms, because .+No such file/,
  );
  const facts = async (limits: Partial<ResourceLimits>) => {
    const { enforced_by, detail } = await watcher(limits);
    return { enforced_by, detail };
  };
  deepEqual(await facts({ timeSeconds: 60 }), { enforced_by: "clock", detail: "60 s" });
  deepEqual(await facts({}), { enforced_by: "none", detail: "No limit is set" });
  // All of the machine is no limit.
  deepEqual(await facts({ cpuPercent: 100 }), { enforced_by: "none", detail: "No limit is set" });
});

test("a limit that is no number of at least 0 is refused", async () => {
  await rejects(openLimiter({ ...none, memoryMb: -1 }, { name: "test" }), RangeError);
  await rejects(openLimiter({ ...none, cpuPercent: NaN }, { name: "test" }), RangeError);
});

test("wrap() keeps every argument, and bounds what the kernel can bound without harm", async () => {
  const limiter = await watcher({ timeSeconds: 60 });
  const script = 'ulimit -c; ulimit -t; ulimit -v; cat /proc/self/oom_score_adj; printf "<%s>" "$@"';
  const { output, exitCode } = await run(limiter.wrap(["sh", "-c", script, "x", "a b", "", "$HOME", "'\"\n"]));
  const cpuSeconds = 60 * navigator.hardwareConcurrency + 10;
  const before = await run(["sh", "-c", "ulimit -v"]);
  deepEqual({ output, exitCode }, {
    output: `0\n${cpuSeconds}\n${before.output}500\n<a b><><$HOME><'"\n>`,
    exitCode: 0,
  });
  deepEqual((await watcher({})).wrap(["a", "b"]), ["a", "b"]);
});

/** A cgroup as the kernel shows it, with controllers on. */
const inFakeCgroup = (work: (dir: string) => Promise<void>) =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/cgroup.controllers`, "cpu memory pids\n");
    await Deno.writeTextFile(`${dir}/cgroup.subtree_control`, "cpu memory pids\n");
    await work(dir);
  });

test("in a cgroup, the worker enters it and the kernel's kill is its reason", () =>
  inFakeCgroup((dir) =>
    withTree("cat", async (tree) => {
      const limits = { cpuPercent: 50, memoryMb: 100, timeSeconds: 60 };
      const limiter = await openLimiter(limits, { name: "a/../b c", cgroupRoot: dir });
      const { enforced_by, detail } = limiter;
      const group = `${dir}/gocore-a-..-b-c`;
      deepEqual({ enforced_by, detail }, {
        enforced_by: "cgroup v2",
        detail:
          `50 % of ${navigator.hardwareConcurrency} processors, 100 MB of memory, 60 s; by the kernel, in ${group}`,
      });
      const { output } = await run(limiter.wrap(["sh", "-c", "echo $$"]));
      equal(Deno.readTextFileSync(`${group}/cgroup.procs`), output);
      equal(Deno.readTextFileSync(`${group}/memory.max`), String(100 * 1024 * 1024));

      equal(limiter.exceeded(), undefined);
      await Deno.writeTextFile(`${group}/memory.events`, "max 9\noom 1\noom_kill 3\noom_group_kill 1\n");
      const what = { limit: "memory", allowed: 100, found: 100 };
      deepEqual(limiter.exceeded(), what);
      deepEqual(await untilExceeded(limiter, tree), what);
      for (const name of namesIn(group)) await Deno.remove(`${group}/${name}`);
      await limiter.close();
      deepEqual(namesIn(dir), ["cgroup.controllers", "cgroup.subtree_control"]);
    })
  ));

test("a worker that cannot enter its cgroup does not run without it", () =>
  inFakeCgroup(async (dir) => {
    const limiter = await openLimiter({ ...none, memoryMb: 100 }, { name: "a", cgroupRoot: dir });
    await Deno.remove(`${dir}/gocore-a`, { recursive: true });
    const { exitCode, output } = await run(limiter.wrap(["echo", "unlimited"]));
    equal(exitCode, 126);
    ok(!output.includes("unlimited"));
  }));

test("a cgroup that no process may be moved into is not used, and goes away", () =>
  inFakeCgroup(async (dir) => {
    const group = `${dir}/gocore-a`;
    // A folder cannot be written to, whoever we are.
    await Deno.mkdir(`${group}/cgroup.procs`, { recursive: true });
    await Deno.writeTextFile(`${group}/cgroup.kill`, "");
    const opening = openLimiter({ ...none, memoryMb: 100 }, { name: "a", cgroupRoot: dir });
    await waitFor(() => Deno.readTextFileSync(`${group}/cgroup.kill`) === "1");
    await Deno.remove(group, { recursive: true });
    const { enforced_by, detail } = await opening;
    equal(enforced_by, "watching /proc");
    ok(detail.endsWith(`because no cgroup v2 can be used: ${dir}: No process may be moved into it`));
    deepEqual(namesIn(dir), ["cgroup.controllers", "cgroup.subtree_control"]);
  }));

const real = await openLimiter({ ...none, cpuPercent: 50, memoryMb: 150 }, { name: `test-${Deno.pid}` });
await real.close();

test("in a real cgroup, the kernel ends a worker that takes too much memory", () =>
  withTree("read _", async (tree) => {
    const limiter = await openLimiter({ ...none, memoryMb: 150 }, { name: `test-${Deno.pid}` });
    const { exitCode } = await run(limiter.wrap(["sh", "-c", `${allocate(300)}; :`]));
    equal(exitCode, 137);
    deepEqual(await untilExceeded(limiter, tree), { limit: "memory", allowed: 150, found: 150 });
    await limiter.close();
  }), real.enforced_by !== "cgroup v2");
