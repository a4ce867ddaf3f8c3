import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { Failure } from "../../src/failure.ts";
import { readProcess } from "../../src/process/process_tree.ts";
import { endAllCommands, runCommand } from "../../src/process/spawn.ts";
import {
  adoptWorkerProcess,
  endAllWorkers,
  findWorkerProcess,
  killAllWorkersNow,
  newWorkerMark,
  readExit,
  startWorkerProcess,
  type WorkerProcess,
  type WorkerProcessEnd,
  type WorkerProcessHandle,
  type WorkerProcessSpec,
} from "../../src/process/worker_process.ts";
import { WorkerFamily } from "../../src/process/worker_family.ts";
import { testsInOwnProcess } from "./own_process.ts";

const isLinux = Deno.build.os === "linux";
const PATH = Deno.env.get("PATH")!;
/** Long enough for any machine: a test that reaches it has failed. */
const PATIENCE_MS = 60_000;
const PATIENT = { graceMs: PATIENCE_MS };

type Argv = readonly [string, ...string[]];
type Start = (argv: Argv, more?: Partial<WorkerProcessSpec>) => Promise<WorkerProcess>;

interface Place {
  readonly folder: string;
  /** A number of seconds that nobody else sleeps: tells the processes of this test, also without an environment. */
  readonly seconds: string;
  specOf(argv: Argv, more?: Partial<WorkerProcessSpec>): WorkerProcessSpec;
  readonly start: Start;
  readonly out: () => string;
}

const sh = (script: string, ...args: string[]): Argv => ["sh", "-c", script, "worker", ...args];

async function waitFor(claim: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The processes, zombies aside, that have this word in their arguments or their environment. */
function processesWith(word: string): number[] {
  const has = (file: string) => {
    try {
      return new TextDecoder().decode(Deno.readFileSync(file)).includes(word);
    } catch {
      return false;
    }
  };
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name))
    .filter((pid) => pid > 0 && pid !== Deno.pid && (has(`/proc/${pid}/cmdline`) || has(`/proc/${pid}/environ`)));
}

const cmdlines = () =>
  [...Deno.readDirSync("/proc")].map(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0").join(" ").trim();
    } catch {
      return "";
    }
  });

const register = testsInOwnProcess(import.meta.url);

/** A test with a folder, after which no process of it may be left. */
function test(name: string, fn: (place: Place) => Promise<void>) {
  register({
    name,
    ignore: !isLinux,
    fn: async () => {
      const folder = await Deno.realPath(await Deno.makeTempDir());
      const seconds = `6000.${crypto.getRandomValues(new Uint32Array(1))[0]}1`;
      const specOf: Place["specOf"] = (argv, more) => ({
        argv,
        cwd: folder,
        env: { PATH, PLACE: folder },
        stdoutPath: join(folder, "out"),
        stderrPath: join(folder, "err"),
        exitPath: join(folder, "exit"),
        sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
        limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
        backend: "process",
        ...more,
      });
      try {
        await fn({
          folder,
          seconds,
          specOf,
          start: (argv, more) => startWorkerProcess(specOf(argv, more)),
          out: () => Deno.readTextFileSync(join(folder, "out")),
        });
      } finally {
        await endAllWorkers();
        const left = [...processesWith(seconds), ...processesWith(folder)];
        await Deno.remove(folder, { recursive: true });
        deepEqual(left, [], "the test left processes behind");
      }
    },
  });
}

/** All of an end but its duration. */
function facts({ durationMs, ...rest }: WorkerProcessEnd) {
  ok(durationMs >= 0);
  return rest;
}

const end = (more: Partial<WorkerProcessEnd> = {}) => ({
  exitCode: 0,
  signal: null,
  endedBy: "itself",
  exceeded: undefined,
  leftBehind: 0,
  ...more,
});

test("a worker gets its arguments as they are, an empty stdin, its folder, its environment and a mark", async (place) => {
  const { folder, start, out } = place;
  const args = ["a b", "$(echo no)", "'", '"', "", "*", "\\", "ü\n"];
  const worker = await start(sh('printf "<%s>" "$@"; cat; pwd -P; echo "$GOCORE_COMMAND"; echo oops >&2', ...args));
  deepEqual(facts(await worker.ended), end());
  equal(out(), args.map((arg) => `<${arg}>`).join("") + `${folder}\n${worker.handle.mark}\n`);
  equal(await Deno.readTextFile(join(folder, "err")), "oops\n");
  deepEqual(worker.sandbox, { enforced: false, detail: "switched off" });
  equal(worker.attach, undefined);
});

test("a program with the name of a shell builtin is a program", async ({ folder, start, out }) => {
  await Deno.writeTextFile(join(folder, "eval"), '#!/bin/sh\necho "program: $*"\n', { mode: 0o755 });
  const worker = await start(["eval", "echo shell"], { env: { PATH: `${folder}:${PATH}` } });
  deepEqual(facts(await worker.ended), end());
  equal(out(), "program: echo shell\n");
});

test("the streams of a worker are appended to", async ({ start, out }) => {
  await (await start(sh("echo one"))).ended;
  await (await start(sh("echo two"))).ended;
  equal(out(), "one\ntwo\n");
});

test("exit codes and signals are told, and noted", async ({ folder, start }) => {
  const exit = join(folder, "exit");
  equal(await readExit(exit), undefined);
  for (
    const [script, expected] of [
      ["exit 3", { exitCode: 3, signal: null }],
      ["exit 255", { exitCode: 255, signal: null }],
      ["kill -KILL $$", { exitCode: 137, signal: "SIGKILL" }],
      ["kill -TERM $$", { exitCode: 143, signal: "SIGTERM" }],
      ["kill -INT $$", { exitCode: 130, signal: "SIGINT" }],
    ] as const
  ) {
    deepEqual(facts(await (await start(sh(script))).ended), end(expected));
    const { endedMs, ...recorded } = (await readExit(exit))!;
    deepEqual(recorded, expected);
    ok(endedMs > 0);
  }
  await Deno.writeTextFile(exit, "12");
  equal(await readExit(exit), undefined, "a part of a status is none");
});

test("what cannot be started is a failure, and leaves nothing running", async ({ folder, start }) => {
  const isFailure = (message: string) => (error: Error) => {
    ok(error instanceof Failure);
    equal(error.kind, "environment");
    equal(error.message, message);
    return true;
  };
  await rejects(
    start(["no-such-program"]),
    isFailure('Cannot start "no-such-program": no such program, or it is not executable'),
  );
  const missing = join(folder, "missing");
  await rejects(
    start(["true"], { cwd: missing }),
    isFailure(`Cannot start "true": there is no folder "${missing}" to start it in`),
  );
  await rejects(start(["true"], { exitPath: join(missing, "exit") }), Failure);
  await rejects(start(["true", "x".repeat(4_000_000)]), (error: Error) => {
    ok(error instanceof Failure);
    ok(error.message.startsWith("Cannot run the command: it has 4000004 bytes"), error.message);
    return true;
  });
});

test("stop() asks the agent alone by INT, and its children by nothing", async ({ folder, seconds, start, out }) => {
  const script = `
    sh -c 'trap "echo child >> $PLACE/told; exit" INT TERM; echo ready; while :; do sleep 0.05; done' &
    trap 'echo agent; exit 7' INT
    wait`;
  const worker = await start(sh(`${script}; : ${seconds}`));
  await waitFor("it is ready", () => out() === "ready\n");
  const ended = await worker.stop(PATIENT);
  deepEqual(facts(ended), end({ exitCode: 7, endedBy: "stop", leftBehind: ended.leftBehind }));
  equal(out(), "ready\nagent\n");
  // The child was left behind, and ended by TERM.
  ok(ended.leftBehind >= 1);
  equal(await Deno.readTextFile(join(folder, "told")), "child\n");
});

test("stop() takes another signal when it is told so", async ({ start, out }) => {
  const worker = await start(
    sh('trap "echo int" INT; trap "echo term; exit 5" TERM; echo ready; while :; do sleep 0.05; done'),
  );
  await waitFor("it is ready", () => out() === "ready\n");
  deepEqual(facts(await worker.stop({ ...PATIENT, signal: "SIGTERM" })), end({ exitCode: 5, endedBy: "stop" }));
  equal(out(), "ready\nterm\n");
});

test("stop() ends by TERM what ignores INT, and by KILL what ignores both", async ({ seconds, start, out }) => {
  const script = "trap '' INT; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
  let said = "";
  // Again with more time where the machine was too slow to end.
  for (let graceMs = 200;; graceMs *= 4) {
    const first = await start(sh(script));
    said += "ready\n";
    await waitFor("it is ready", () => out() === said);
    const ended = await first.stop({ graceMs });
    said = out();
    if (ended.signal === "SIGKILL" && graceMs < PATIENCE_MS) continue;
    deepEqual(facts(ended), end({ exitCode: 9, endedBy: "stop", leftBehind: ended.leftBehind }));
    ok(said.endsWith("ready\nterm\n"));
    break;
  }

  const second = await start(sh(`trap '' INT TERM HUP; echo ready; while :; do sleep ${seconds}; done`));
  await waitFor("it is ready", () => out() === `${said}ready\n`);
  deepEqual(
    facts(await second.stop({ graceMs: 50 })),
    end({ exitCode: 137, signal: "SIGKILL", endedBy: "stop" }),
  );
});

test("a second stop() can shorten the grace of the first", async ({ seconds, start, out }) => {
  const worker = await start(sh(`trap '' INT TERM; echo ready; while :; do sleep ${seconds}; done`));
  await waitFor("it is ready", () => out() === "ready\n");
  const first = worker.stop(PATIENT);
  const second = worker.stop({ graceMs: 0 });
  equal(await first, await second);
});

test("stop() right after the start ends it as well", async ({ folder, seconds, start }) => {
  const ends = await Promise.all([0, 1, 2, 3].map(async (n) => {
    const worker = await start(["sleep", seconds], { exitPath: join(folder, `exit${n}`) });
    return await worker.stop({ graceMs: n % 2 === 0 ? 0 : PATIENCE_MS });
  }));
  deepEqual(ends.map(({ endedBy }) => endedBy), ["stop", "stop", "stop", "stop"]);
});

test("grandchildren in own sessions and daemons that forked twice are ended with it", async ({ seconds, start, out }) => {
  const script = `
    setsid sh -c "trap '' INT TERM; sleep ${seconds}; :" &
    (setsid sh -c "sleep ${seconds} & exit") &
    env -i setsid sh -c "sleep ${seconds}; :" &
    sleep 0.7; (env -i /usr/bin/setsid /bin/sh -c "/bin/sleep ${seconds} & exit" &)
    echo ready
    wait`;
  const worker = await start(sh(script));
  await waitFor("it is ready", () => out() === "ready\n");
  await waitFor("all are there", () => processesWith(seconds).length >= 7);
  ok(worker.hasChildren());
  const ended = await worker.stop({ graceMs: 100 });
  equal(ended.endedBy, "stop");
  deepEqual(processesWith(seconds), []);
});

test("what a program leaves behind is ended and counted", async ({ seconds, start }) => {
  const worker = await start(
    sh(`setsid sleep ${seconds} & (sleep ${seconds} &) ; (trap '' TERM; sleep ${seconds}) & exit 4`),
  );
  deepEqual(facts(await worker.ended), end({ exitCode: 4, leftBehind: 3 }));
  deepEqual(processesWith(seconds), []);
});

test("no zombie stays of the orphans of workers", async ({ folder, seconds, start }) => {
  const worker = await start(
    sh(
      `(setsid sleep ${seconds} & echo $! > pids); (true & echo $! >> pids); pid=$(tail -n 1 pids)
      until [ ! -e /proc/$pid ] || grep -q "^State:.Z" /proc/$pid/status; do sleep 0.01; done`,
    ),
  );
  equal((await worker.ended).leftBehind, 1);
  const pids = (await Deno.readTextFile(join(folder, "pids"))).trim().split("\n").map(Number);
  equal(pids.length, 2);
  deepEqual(pids.filter((pid) => readProcess(pid) !== undefined), []);
});

const cpuTicks = (pids: readonly number[]) => pids.map((pid) => readProcess(pid)!.cpuTicks);

test("pause() holds every process of it, resume() lets them go on", async ({ folder, start }) => {
  const spin = "while :; do :; done";
  const worker = await start(sh(`echo $$ > pids; setsid sh -c 'echo $$ >> pids; ${spin}' & ${spin}`));
  const pids = () => Deno.readTextFileSync(join(folder, "pids")).trim().split("\n").map(Number);
  await waitFor(
    "both are there",
    async () => await Deno.stat(join(folder, "pids")).then(() => pids().length === 2, () => false),
  );
  const before = cpuTicks(pids());
  await waitFor("both use the processor", () => cpuTicks(pids()).every((ticks, n) => ticks > before[n]! + 2));
  const used = worker.cpuMs();
  ok(used > 0);
  await waitFor("it is seen", () => worker.cpuMs() > used);

  worker.pause();
  // A signal takes a moment to be obeyed on another processor.
  const isStopped = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/stat`).includes(") T ");
  await waitFor("both are stopped", () => pids().every(isStopped));
  const held = cpuTicks(pids());
  for (let n = 0; n < 20; n++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    deepEqual(cpuTicks(pids()), held);
  }
  worker.resume();
  await waitFor("both go on", () => cpuTicks(pids()).every((ticks, n) => ticks > held[n]! + 2));

  worker.pause();
  const ended = await worker.stop(PATIENT);
  deepEqual([ended.endedBy, ended.signal], ["stop", "SIGINT"]);
});

test("hasChildren() tells a running command from the agent alone", async ({ seconds, start }) => {
  const agent = await start(["sleep", seconds]);
  await waitFor("the program has begun", () => cmdlines().includes(`sleep ${seconds}`));
  await waitFor("it is alone", () => !agent.hasChildren());
  await agent.stop({ graceMs: 0 });
  const busy = await start(sh(`sleep ${seconds}; :`));
  await waitFor("the command is there", () => busy.hasChildren());
});

/** Starts the worker from another process, which is killed as soon as it has told the handle. */
async function startAndLose(spec: WorkerProcessSpec, ...more: string[]): Promise<WorkerProcessHandle> {
  const supervisor = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("worker_supervisor.ts", import.meta.url).pathname,
      JSON.stringify(spec),
      ...more,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = supervisor.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The supervisor said ${text}`);
    text += value;
  }
  supervisor.kill("SIGKILL");
  await supervisor.status;
  await reader.cancel();
  return JSON.parse(text);
}

test("an adopted worker is read on, told how it ended, and counted", async ({ folder, seconds, specOf, out }) => {
  const spec = specOf(
    sh(`setsid sleep ${seconds} & echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 6`),
  );
  const handle = await startAndLose(spec);
  await waitFor("it writes", () => out() === "one\n");
  const worker = (await adoptWorkerProcess(handle, spec))!;
  deepEqual(worker.handle, handle);
  deepEqual(worker.sandbox, { enforced: false, detail: "none, as it was started" });
  await Deno.writeTextFile(join(folder, "go"), "");
  deepEqual(facts(await worker.ended), end({ exitCode: 6, leftBehind: 1 }));
  equal(out(), "one\ntwo\n");
  equal((await readExit(spec.exitPath))?.exitCode, 6);
});

test("an adopted worker is paused, resumed and stopped like any other", async ({ seconds, specOf, out }) => {
  const spec = specOf(
    sh(`setsid sleep ${seconds} & trap 'echo bye; exit 8' INT; echo one; while :; do sleep 0.05; done`),
  );
  const handle = await startAndLose(spec, "pause");
  const worker = (await adoptWorkerProcess(handle, spec))!;
  worker.resume();
  await waitFor("it writes", () => out() === "one\n");
  worker.pause();
  deepEqual(facts(await worker.stop(PATIENT)), end({ exitCode: 8, endedBy: "stop", leftBehind: 1 }));
  equal(out(), "one\nbye\n");
});

/** As far as the machine allows it. */
const confined = (folder: string): WorkerProcessSpec["sandbox"] => ({
  mode: "prefer",
  writable: [folder],
  readable: [],
  protected: [],
  network: false,
  hideHome: undefined,
});

test("in a sandbox, stop() asks the agent alone, and what ignores it is killed with its daemons", async (place) => {
  const { folder, seconds, start, out } = place;
  const sandbox = confined(folder);
  const polite = await start(sh("trap 'echo bye; exit 8' INT; echo one; while :; do sleep 0.05; done"), { sandbox });
  await waitFor("it is ready", () => out() === "one\n");
  deepEqual(facts(await polite.stop(PATIENT)), end({ exitCode: 8, endedBy: "stop" }));

  const script = `trap '' INT TERM; (env -i setsid sleep ${seconds} &); echo two; while :; do sleep ${seconds}; done`;
  const stubborn = await start(sh(script), { sandbox });
  await waitFor("it is ready", () => out() === "one\nbye\ntwo\n" && stubborn.hasChildren());
  const { leftBehind, ...ended } = facts(await stubborn.stop({ graceMs: 50 }));
  deepEqual({ ...ended, leftBehind: 0 }, end({ exitCode: 137, signal: "SIGKILL", endedBy: "stop" }));
  ok(leftBehind === 0 || !stubborn.sandbox.enforced);
  deepEqual(processesWith(seconds), []);
});

test("in a sandbox, a worker survives its supervisor, is held and goes on, and tells its exit code", async (place) => {
  const { folder, specOf, out } = place;
  const script = "i=0; while [ ! -e go ]; do i=$((i+1)); done; echo two; exit 6";
  const spec = specOf(sh(`echo one; ${script}`), { sandbox: confined(folder) });
  const handle = await startAndLose(spec);
  await waitFor("it writes", () => out() === "one\n");
  const worker = (await adoptWorkerProcess(handle, spec))!;
  const before = worker.cpuMs();
  await waitFor("it is seen to work", () => worker.cpuMs() > before);
  worker.pause();
  // What was under way when it was held is counted a moment later.
  let held = -1;
  await waitFor("its time stands still", async () => {
    const last = held;
    await new Promise((resolve) => setTimeout(resolve, 300));
    held = worker.cpuMs();
    return held === last;
  });
  worker.resume();
  await waitFor("it goes on", () => worker.cpuMs() > held);
  await Deno.writeTextFile(join(folder, "go"), "");
  deepEqual(facts(await worker.ended), end({ exitCode: 6 }));
  equal(out(), "one\ntwo\n");
});

test("a worker that ended unwatched is gone, and what it left behind is ended", async ({ seconds, specOf }) => {
  const spec = specOf(sh(`setsid sleep ${seconds} & sleep 0.2; exit 5`));
  const handle = await startAndLose(spec);
  await waitFor("it has ended", async () => (await readExit(spec.exitPath)) !== undefined);
  await waitFor("only what it left is there", () => processesWith(seconds).length === 1);
  equal(await adoptWorkerProcess(handle, spec), undefined);
  equal((await readExit(spec.exitPath))?.exitCode, 5);
  deepEqual(processesWith(seconds), []);
});

test("a worker is found by its mark alone", async ({ specOf, seconds, out }) => {
  const mark = newWorkerMark();
  equal(findWorkerProcess(mark), undefined);
  const spec = specOf(sh(`trap 'exit 8' INT; setsid sleep ${seconds} & echo one; while :; do sleep 0.05; done`), {
    mark,
  });
  const { startedMs, ...handle } = await startAndLose(spec);
  await waitFor("it writes", () => out() === "one\n");
  const { startedMs: about, ...found } = findWorkerProcess(mark)!;
  deepEqual(found, handle);
  ok(Math.abs(about - startedMs) < 60_000);
  const worker = (await adoptWorkerProcess({ ...found, startedMs: about }, spec))!;
  deepEqual(facts(await worker.stop(PATIENT)), end({ exitCode: 8, endedBy: "stop", leftBehind: 1 }));
  equal(findWorkerProcess(mark), undefined);
  await rejects(startWorkerProcess(specOf(["true"], { mark: "1.2" })), TypeError);
});

test("a handle with a strange mark finds nobody", async ({ seconds, start, specOf }) => {
  const worker = await start(["sleep", seconds]);
  equal(await adoptWorkerProcess({ ...worker.handle, mark: `${Deno.pid}.1` }, specOf(["true"])), undefined);
  equal(await adoptWorkerProcess({ ...worker.handle, mark: "" }, specOf(["true"])), undefined);
  ok(readProcess(worker.handle.pid));
});

test("a worker whose shell was killed is lost, and ended whole", async ({ seconds, start, out }) => {
  const worker = await start(sh(`echo ready; sleep ${seconds}; :`));
  await waitFor("it is ready", () => out() === "ready\n");
  Deno.kill(worker.handle.pid, "SIGKILL");
  const ended = await worker.ended;
  deepEqual(facts(ended), end({ exitCode: null, signal: "SIGKILL", endedBy: "lost", leftBehind: ended.leftBehind }));
  deepEqual(processesWith(seconds), []);
});

test("the end of all commands is not the end of workers, nor their orphans'", async ({ seconds, start }) => {
  const worker = await start(sh(`(env -i setsid sleep ${seconds} &) ; sleep ${seconds}; :`));
  await waitFor("both sleep", () => cmdlines().filter((line) => line === `sleep ${seconds}`).length === 2);
  const before = processesWith(seconds);
  equal(before.length, 4);
  const signal = AbortSignal.timeout(50);
  await runCommand(["sleep", "1000"], { cwd: "/", env: { PATH }, timeoutMs: PATIENCE_MS, signal });
  await endAllCommands();
  deepEqual(processesWith(seconds), before);
  await worker.stop({ graceMs: 0 });
  deepEqual(processesWith(seconds), []);
});

test("the end of a worker is not the end of what a running command has started", async ({ folder, seconds, start }) => {
  const there = (name: string) => Deno.stat(join(folder, name)).then(() => true, () => false);
  const worker = await start(["sleep", seconds]);
  const unmarked = `: > there; while [ ! -e over ]; do sleep 0.01; done; : > lived`;
  const command = runCommand(
    sh(`(env -i setsid sh -c '${unmarked}' &); while [ ! -e over ]; do sleep 0.01; done`),
    { cwd: folder, env: { PATH }, timeoutMs: PATIENCE_MS, signal: new AbortController().signal },
  );
  await waitFor("it has begun", () => there("there"));
  await worker.stop({ graceMs: 0 });
  await Deno.writeTextFile(join(folder, "over"), "");
  equal((await command).exitCode, 0);
  await waitFor("it has ended by itself", () => there("lived"));
});

test("a command that is just starting is nobody's orphan", async ({ folder }) => {
  // A worker's, of which nothing runs.
  const family = new WorkerFamily({ pid: 0, startTicks: 1, mark: newWorkerMark() }, {
    isFormer: false,
    isRootAlive: () => false,
  });
  family.join();
  try {
    for (let n = 0; n < 50; n++) {
      const { signal } = new AbortController();
      const end = runCommand(["true"], { cwd: folder, env: { PATH }, timeoutMs: PATIENCE_MS, signal });
      deepEqual(family.find(), []);
      deepEqual(family.find(), []);
      equal((await end).exitCode, 0);
    }
  } finally {
    family.leave();
  }
});

test("endAllWorkers() and killAllWorkersNow() end them", async ({ seconds, start }) => {
  const script = sh(`trap '' INT TERM; setsid sleep ${seconds} & sleep ${seconds}; :`);
  const first = await start(script);
  await waitFor("it is there", () => processesWith(seconds).length >= 3);
  equal(await endAllWorkers(), 1);
  deepEqual(processesWith(seconds), []);
  equal((await first.ended).endedBy, "stop");
  const second = await start(script);
  await waitFor("it is there", () => processesWith(seconds).length >= 3);
  killAllWorkersNow();
  deepEqual(facts(await second.ended), end({ exitCode: 137, signal: "SIGKILL", endedBy: "stop" }));
});

test("a worker that exceeds its time is ended with all that it started, and the reason is told", async (place) => {
  const { seconds, start } = place;
  const worker = await start(sh(`trap '' TERM; setsid sleep ${seconds} & sleep ${seconds}; :`), {
    limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 1 },
  });
  const ended = await worker.ended;
  equal(ended.endedBy, "time");
  equal(ended.exceeded?.allowed, 1);
  ok(ended.exceeded!.found >= 1);
  deepEqual(processesWith(seconds), []);
});

test("time in which a worker is held does not count against its limit", async ({ start }) => {
  const worker = await start(sh("trap '' TERM; while :; do sleep 0.05; done"), {
    limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 1 },
  });
  worker.pause();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  worker.resume();
  const { endedBy, durationMs } = await worker.ended;
  equal(endedBy, "time");
  ok(durationMs >= 2000, `${durationMs}`);
});

test("a flood of output goes to the file, not through our memory", async ({ folder, start }) => {
  const before = Deno.memoryUsage().rss;
  const worker = await start(sh("head -c 200000000 /dev/zero"));
  let most = 0;
  const timer = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss), 10);
  deepEqual(facts(await worker.ended), end());
  clearInterval(timer);
  equal((await Deno.stat(join(folder, "out"))).size, 200_000_000);
  ok(most - before < 50_000_000, `grew by ${most - before} bytes`);
});
