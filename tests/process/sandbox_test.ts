import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { Failure } from "../../src/failure.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { openSandbox, planSandbox, type SandboxPlace } from "../../src/process/sandbox.ts";
import type { SandboxRequest } from "../../src/process/sandbox.ts";
import { endAllWorkers, startWorkerProcess } from "../../src/process/worker_process.ts";
import { inTempDir } from "../support/temp_dir.ts";
import { testsInOwnProcess } from "./own_process.ts";

const PATH = Deno.env.get("PATH")!;
const nothing: SandboxRequest = {
  mode: "require",
  writable: [],
  readable: [],
  protected: [],
  network: true,
  hideHome: undefined,
};
const BASE = ["--unshare-pid", "--unshare-ipc", "--die-with-parent"];
const ROOT = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"];

/** A machine with these folders, and links. */
function place(cwd: string, paths: readonly string[], links: Readonly<Record<string, string>> = {}): SandboxPlace {
  const there = new Set(["/tmp", "/run", cwd, ...paths]);
  return {
    cwd,
    isRoot: false,
    realPath: (path) => links[path] ?? (there.has(path) || path === "/" ? path : undefined),
  };
}

/** The arguments for mounts, without those that are always there. */
function mountsOf(request: Partial<SandboxRequest>, machine: SandboxPlace): string[] {
  const words = planSandbox({ ...nothing, ...request }, machine).arguments;
  const start = words.indexOf("/proc") + 1;
  return words.slice(start, words.indexOf("--chdir")).join(" ").split(/ (?=--)/)
    .filter((mount) => mount !== "--tmpfs /tmp" && mount !== "--tmpfs /run");
}

Deno.test("a sandbox is read-only, with a fresh /tmp and /run and a PID namespace", () => {
  const plan = planSandbox(nothing, place("/work", []));
  deepEqual(plan.notes, []);
  deepEqual(plan.arguments, [...BASE, ...ROOT, "--tmpfs", "/tmp", "--tmpfs", "/run", "--chdir", "/work", "--"]);
  ok(planSandbox({ ...nothing, network: false }, place("/work", [])).arguments.includes("--unshare-net"));
  const rootPlan = planSandbox(nothing, { ...place("/work", []), isRoot: true });
  ok(!rootPlan.arguments.includes("CAP_SYS_ADMIN"));
  deepEqual(rootPlan.arguments.slice(BASE.length, BASE.length + 2), ["--cap-drop", "ALL"]);
});

Deno.test("what is protected stays readable in what is hidden, also where nobody could write to it", () => {
  const machine = place("/tmp/session/tree", ["/tmp/session", "/tmp/session/home"]);
  const request = { readable: ["/tmp/session"], protected: ["/tmp/session"] };
  deepEqual(mountsOf(request, machine), [
    "--ro-bind /tmp/session /tmp/session",
    "--ro-bind /tmp/session/tree /tmp/session/tree",
  ]);
  deepEqual(mountsOf({ ...request, writable: ["/tmp/session/home"] }, machine), [
    "--ro-bind /tmp/session /tmp/session",
    "--ro-bind /tmp/session/tree /tmp/session/tree",
    "--bind /tmp/session/home /tmp/session/home",
  ]);
});

Deno.test("the deeper of two paths decides, and what is readable anyway is not mounted", () => {
  const machine = place("/home/me/tree", [
    "/home/me",
    "/home/me/tree/.git",
    "/home/me/tree/.git/hooks",
    "/home/me/bin",
    "/usr/lib",
    "/tmp/x",
  ]);
  const request = {
    hideHome: "/home/me",
    writable: ["/home/me/tree", "/tmp/x"],
    readable: ["/home/me/bin", "/usr/lib", "/home/me/tree/.git"],
    protected: ["/home/me/tree/.git/hooks", "/usr/lib"],
  };
  deepEqual(mountsOf(request, machine), [
    "--tmpfs /home/me",
    "--bind /tmp/x /tmp/x",
    "--ro-bind /home/me/bin /home/me/bin",
    "--bind /home/me/tree /home/me/tree",
    "--bind /home/me/tree/.git /home/me/tree/.git",
    "--ro-bind /home/me/tree/.git/hooks /home/me/tree/.git/hooks",
  ]);
  const plan = planSandbox({ ...nothing, ...request }, machine);
  equal(plan.hiddenBy("/home/me/secret"), "/home/me");
  equal(plan.hiddenBy("/home/me/bin/claude"), undefined);
  equal(plan.hiddenBy("/home/you"), undefined);
});

Deno.test("the working folder is readable although the home is hidden", () => {
  const machine = place("/home/me/tree", ["/home/me"]);
  deepEqual(mountsOf({ hideHome: "/home/me" }, machine), [
    "--tmpfs /home/me",
    "--ro-bind /home/me/tree /home/me/tree",
  ]);
});

Deno.test("links are resolved, and what cannot be done is noted", () => {
  const machine = place("/data/tree", ["/data", "/data/tree", "/data/tree/.git"], {
    "/link": "/data/tree",
    "/data/tree/.git/hooks": "/usr/hooks",
  });
  const request = {
    hideHome: "/nonexistent",
    writable: ["/link", "/gone"],
    protected: ["/data/tree/.git/hooks", "/data/tree/.git/config"],
  };
  deepEqual(mountsOf(request, machine), ["--bind /data/tree /data/tree"]);
  deepEqual(planSandbox({ ...nothing, ...request }, machine).notes, [
    "no home to hide: /nonexistent",
    "not found: /gone",
    "protected only where its link leads: /data/tree/.git/hooks",
    "not there to be protected: /data/tree/.git/config",
  ]);
  deepEqual(planSandbox({ ...nothing, hideHome: "/" }, machine).notes, ["cannot be hidden: /"]);
});

Deno.test("without bubblewrap, prefer goes on and says so, and require fails", async () => {
  await inTempDir(async (dir) => {
    const options = { cwd: dir, path: dir, program: "/bin/sh" };
    const { wrap, ...facts } = await openSandbox({ ...nothing, mode: "prefer" }, options);
    deepEqual(facts, { enforced: false, detail: "bubblewrap is not installed" });
    deepEqual(wrap(["true"]), ["true"]);
    await rejects(openSandbox(nothing, options), (error: Error) => {
      ok(error instanceof Failure);
      deepEqual([error.kind, error.message], [
        "environment",
        "Cannot confine the worker: it needs bubblewrap, and bubblewrap is not installed",
      ]);
      equal(error.hints[0], "Install it: `apt-get install bubblewrap`");
      return true;
    });
  });
});

Deno.test({
  name: "a bubblewrap that does not work is as good as none, and its reason is told",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.writeTextFile(join(dir, "bwrap"), "#!/bin/sh\necho 'bwrap: no permission' >&2; exit 1\n", {
        mode: 0o755,
      });
      const { detail, enforced } = await openSandbox({ ...nothing, mode: "prefer" }, {
        cwd: dir,
        path: dir,
        program: "/bin/sh",
      });
      deepEqual([enforced, detail], [false, "bubblewrap does not work here (bwrap: no permission)"]);
      await rejects(openSandbox(nothing, { cwd: dir, path: dir, program: "/bin/sh" }), Failure);
    }),
});

/** Whether bubblewrap works on this machine: CI may have it and not be allowed to use it. */
const works = Deno.build.os === "linux" && findProgram("bwrap", PATH, "/") !== undefined &&
  (await openSandbox({ ...nothing, mode: "prefer" }, { cwd: "/", path: PATH, program: "/bin/sh" })).enforced;

interface Confined {
  /** Folders: a home to hide, a tree to write. */
  readonly home: string;
  readonly tree: string;
  /** Runs a script in the sandbox, and gives what it printed (both streams) and its exit code. */
  run(
    script: string,
    request?: Partial<SandboxRequest>,
    cwd?: string,
  ): Promise<{ output: string; exitCode: number | null }>;
}

const register = testsInOwnProcess(import.meta.url);

function confinedTest(name: string, fn: (place: Confined) => Promise<void>) {
  register({
    name,
    ignore: !works,
    fn: () =>
      inTempDir(async (temp) => {
        const dir = await Deno.realPath(temp);
        const [home, tree, logs] = ["home", "home/tree", "logs"].map((part) => join(dir, part)) as [
          string,
          string,
          string,
        ];
        for (const folder of [home, tree, logs]) await Deno.mkdir(folder);
        let count = 0;
        try {
          await fn({
            home,
            tree,
            async run(script, request = {}, cwd = tree) {
              const file = join(logs, `${count++}`);
              const worker = await startWorkerProcess({
                argv: ["/bin/sh", "-c", `exec 2>&1; ${script}`],
                cwd,
                env: { PATH, HOME: home, GIT_CONFIG_GLOBAL: "/dev/null", LC_ALL: "C" },
                stdoutPath: file,
                stderrPath: `${file}.err`,
                exitPath: `${file}.exit`,
                sandbox: { ...nothing, writable: [tree], hideHome: home, ...request },
                limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
                backend: "process",
              });
              const { exitCode } = await worker.ended;
              return { output: await Deno.readTextFile(file) + await Deno.readTextFile(`${file}.err`), exitCode };
            },
          });
        } finally {
          await endAllWorkers();
        }
      }),
  });
}

confinedTest("a sandboxed worker writes where it may, and nowhere else", async ({ home, tree, run }) => {
  const outside = await Deno.makeTempDir({ dir: "/var/tmp" });
  try {
    await Deno.writeTextFile(join(home, "secret"), "secret\n");
    const { output, exitCode } = await run(`
      echo in > ${tree}/file && cat ${tree}/file
      echo x > ${outside}/file; echo x > /usr/gocore-test; echo x > /etc/gocore-test
      cat ${home}/secret; ls -A ${home}; ls -A /tmp; ls -A /run | grep -v resolv
      echo mine > /tmp/mine && cat /tmp/mine
      for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/mm/ksm/run
      do test -w $f && echo could write $f; done
      mount -o remount,rw / 2>/dev/null && echo remounted
      mount -o remount,bind,rw / 2>/dev/null && echo remounted
      exit 4`);
    const lines = output.trim().split("\n").map((line) => line.replace(/^.*?: \d+: /, ""));
    deepEqual(lines, [
      "in",
      `cannot create ${outside}/file: Read-only file system`,
      "cannot create /usr/gocore-test: Read-only file system",
      "cannot create /etc/gocore-test: Read-only file system",
      `cat: ${home}/secret: No such file or directory`,
      "tree",
      tree.split("/")[2],
      "mine",
    ]);
    equal(exitCode, 4);
    equal(await Deno.readTextFile(join(tree, "file")), "in\n");
    deepEqual([...Deno.readDirSync(outside)], []);
  } finally {
    await Deno.remove(outside, { recursive: true });
  }
});

confinedTest("a sandboxed worker sees no processes but its own, and none outlives it", async ({ run }) => {
  const seconds = `7000.${crypto.getRandomValues(new Uint32Array(1))[0]}1`;
  const { output } = await run(
    `setsid sleep ${seconds} & (setsid sleep ${seconds} &); ls /proc | grep -c '^[0-9]'; kill -0 ${Deno.pid}`,
  );
  const [count, kill] = output.split("\n");
  ok(Number(count) <= 8, output);
  ok(kill!.includes("No such process"), output);
  const left = [...Deno.readDirSync("/proc")].filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(seconds);
    } catch {
      return false;
    }
  });
  deepEqual(left, []);
});

confinedTest("a sandbox has a network when it may, and none otherwise", async ({ run }) => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("hello"));
  try {
    const script =
      `${Deno.execPath()} eval 'console.log(await (await fetch("http://127.0.0.1:${server.addr.port}")).text())'`;
    const more = { readable: [Deno.execPath()], writable: [] };
    equal((await run(`unset HOME; export DENO_DIR=/tmp/deno NO_COLOR=1; ${script}`, more)).output, "hello\n");
    const { exitCode } = await run(`unset HOME; export DENO_DIR=/tmp/deno; ${script}`, { ...more, network: false });
    equal(exitCode, 1);
  } finally {
    await server.shutdown();
  }
});

confinedTest(
  "a commit in a git worktree works, while hooks and configuration cannot be changed",
  async ({ home, run }) => {
    const [main, tree] = [join(home, "main"), join(home, "worktree")];
    const git = async (...args: string[]) => {
      const { success, stderr } = await new Deno.Command("git", {
        args: ["-c", "user.name=A", "-c", "user.email=a@b", ...args],
        clearEnv: true,
        env: { PATH, GIT_CONFIG_GLOBAL: "/dev/null" },
      }).output();
      ok(success, new TextDecoder().decode(stderr));
    };
    await git("init", "-q", main);
    await git("-C", main, "commit", "-q", "--allow-empty", "-m", "first");
    await git("-C", main, "worktree", "add", "-q", "-b", "work", tree);
    const before = await Deno.readTextFile(join(main, ".git/config"));
    await Deno.mkdir(join(main, ".git/hooks"), { recursive: true });

    const { output } = await run(
      `
    echo new > file; git add file && git -c user.name=B -c user.email=b@b commit -q -m second && echo committed
    echo x > ${main}/.git/hooks/pre-commit || echo no hook
    git config core.hooksPath /tmp 2>/dev/null || echo no config
    mv ${main}/.git/hooks ${main}/.git/old 2>/dev/null || echo no move
    mv ${main}/.git ${main}/old 2>/dev/null || echo no move of all
    echo x > .git || echo no change of the link
    echo x 2>/dev/null > ${main}/file; cat ${main}/file`,
      {
        writable: [tree, join(main, ".git")],
        protected: [join(main, ".git/hooks"), join(main, ".git/config"), join(tree, ".git")],
      },
      tree,
    );
    const said = output.split("\n").filter((line) => !line.includes(":"));
    deepEqual(said, [
      "committed",
      "no hook",
      "no config",
      "no move",
      "no move of all",
      "no change of the link",
      "x",
      "",
    ]);
    equal(await Deno.readTextFile(join(main, ".git/config")), before);
    deepEqual([...Deno.readDirSync(main)].map(({ name }) => name), [".git"]);
    await git("-C", main, "rev-parse", "--verify", "-q", "work:file");
  },
);

confinedTest("a folder around something protected cannot be moved away with it", async ({ tree, run }) => {
  await Deno.mkdir(join(tree, "a/b"), { recursive: true });
  await Deno.writeTextFile(join(tree, "a/b/kept"), "kept\n");
  const { output } = await run(
    "mv a c 2>/dev/null || echo stays; echo x > a/b/kept; echo ok > a/b/new && cat a/b/new",
    {
      protected: [join(tree, "a/b/kept")],
    },
  );
  deepEqual(output.split("\n").filter((line) => !line.includes(":")), ["stays", "ok", ""]);
  equal(await Deno.readTextFile(join(tree, "a/b/kept")), "kept\n");
});

confinedTest(
  "the worker's own streams and exit status are out of its reach, also in a writable folder",
  async ({ tree }) => {
    const worker = await startWorkerProcess({
      argv: ["/bin/sh", "-c", "echo said; echo 0 > exit; echo forged > out; rm -f out exit; exit 3"],
      cwd: tree,
      env: { PATH },
      stdoutPath: join(tree, "out"),
      stderrPath: join(tree, "err"),
      exitPath: join(tree, "exit"),
      sandbox: { ...nothing, writable: [tree] },
      limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
      backend: "process",
    });
    equal((await worker.ended).exitCode, 3);
    equal(await Deno.readTextFile(join(tree, "out")), "said\n");
  },
);

confinedTest("a program in the hidden home is refused before the start", async ({ home, tree }) => {
  const program = join(home, "agent");
  await Deno.writeTextFile(program, "#!/bin/sh\n", { mode: 0o755 });
  const options = { cwd: tree, path: PATH, program };
  await rejects(openSandbox({ ...nothing, hideHome: home }, options), (error: Error) => {
    ok(error instanceof Failure);
    equal(error.message, `Cannot start "${program}" in the sandbox: it lies in "${home}", which is hidden`);
    deepEqual(error.hints, [`Make its folder readable for the worker: ${home}`]);
    return true;
  });
  ok((await openSandbox({ ...nothing, hideHome: home, readable: [program] }, options)).enforced);
});
