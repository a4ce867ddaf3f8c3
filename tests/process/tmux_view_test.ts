import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { Failure } from "../../src/failure.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { readProcess } from "../../src/process/process_tree.ts";
import { endAllWorkers, startWorkerProcess, type WorkerProcessSpec } from "../../src/process/worker_process.ts";
import { inTempDir } from "../support/temp_dir.ts";
import { testsInOwnProcess } from "./own_process.ts";

const PATH = Deno.env.get("PATH")!;
const ignore = Deno.build.os !== "linux" || findProgram("tmux", PATH, "/") === undefined;
const name = `test-${crypto.randomUUID().slice(0, 8)}`;

async function tmux(dir: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("tmux", {
    args: ["-L", `gocore-${name}`, ...args],
    clearEnv: true,
    env: { PATH, TMUX_TMPDIR: dir },
  }).output();
  return new TextDecoder().decode(stdout);
}

async function waitFor(claim: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const specOf = (dir: string, script: string, more: Partial<WorkerProcessSpec> = {}): WorkerProcessSpec => ({
  argv: ["sh", "-c", script],
  cwd: dir,
  env: { PATH, TMUX_TMPDIR: dir },
  stdoutPath: join(dir, "out"),
  stderrPath: join(dir, "err"),
  exitPath: join(dir, "exit"),
  sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
  limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
  backend: "tmux",
  tmuxName: name,
  ...more,
});

const register = testsInOwnProcess(import.meta.url);

function tmuxTest(claim: string, fn: (dir: string) => Promise<void>) {
  register({
    name: claim,
    ignore,
    fn: () =>
      inTempDir(async (dir) => {
        const before = zombies();
        try {
          await fn(dir);
        } finally {
          await endAllWorkers();
        }
        const sockets = [...Deno.readDirSync(dir)].filter(({ isDirectory }) => isDirectory)
          .flatMap((folder) => [...Deno.readDirSync(join(dir, folder.name))].map((socket) => socket.name));
        deepEqual(sockets, [], "tmux left a socket");
        deepEqual(tmuxServers(), [], "a tmux server was left");
        deepEqual(zombies().filter((pid) => !before.includes(pid)), [], "a zombie was left");
      }),
  });
}

const zombies = () =>
  Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/children`).split(" ").map(Number)
    .filter((pid) => readProcess(pid)?.isZombie);

const tmuxServers = () =>
  [...Deno.readDirSync("/proc")].filter((entry) => {
    try {
      return Deno.readTextFileSync(`/proc/${entry.name}/cmdline`).includes(`gocore-${name}`);
    } catch {
      return false;
    }
  });

tmuxTest("a tmux session shows what the worker writes, and ends with it", async (dir) => {
  const script =
    "printf 'a line\\n'; printf 'ti\\033]0;evil\\007tle\\n' >&2; while [ ! -e go ]; do sleep 0.05; done; exit 3";
  const worker = await startWorkerProcess(specOf(dir, script));
  equal(worker.attach, `tmux -L gocore-${name} attach`);
  await waitFor("the pane shows both streams", async () => {
    const screen = await tmux(dir, "capture-pane", "-p");
    return screen.includes("a line") && screen.includes("ti]0;eviltle");
  });
  await Deno.writeTextFile(join(dir, "go"), "");
  const { exitCode, leftBehind } = await worker.ended;
  deepEqual([exitCode, leftBehind], [3, 0]);
  equal(await tmux(dir, "list-sessions"), "");
});

tmuxTest("the end of the tmux server is not the end of the worker", async (dir) => {
  const worker = await startWorkerProcess(specOf(dir, "while [ ! -e go ]; do sleep 0.05; done; echo done"));
  ok((await tmux(dir, "list-sessions")).startsWith(`gocore-${name}: 1 windows`));
  await tmux(dir, "kill-server");
  await Deno.writeTextFile(join(dir, "go"), "");
  deepEqual((await worker.ended).exitCode, 0);
  equal(await Deno.readTextFile(join(dir, "out")), "done\n");
});

tmuxTest("a name that is taken, or no tmux, is a failure that leaves nothing running", async (dir) => {
  await startWorkerProcess(specOf(dir, "sleep 7001.25"));
  await rejects(startWorkerProcess(specOf(dir, "sleep 7001.25", { exitPath: join(dir, "exit2") })), (error: Error) => {
    ok(error instanceof Failure);
    equal(error.message, `Cannot show the worker in tmux: duplicate session: gocore-${name}`);
    return true;
  });
  await rejects(startWorkerProcess(specOf(dir, "true", { argv: ["/bin/sh"], env: { PATH: dir } })), (error: Error) => {
    ok(error instanceof Failure);
    equal(error.message, "Cannot show the worker: it needs tmux, which is not installed");
    return true;
  });
  await endAllWorkers();
});
