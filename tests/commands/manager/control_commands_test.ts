/** `gocore send`, `stop` and `attach` against runs that are carried out, and that are not. */
import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { attachTo } from "../../../src/commands/manager/attach.ts";
import { sendToRun, stopRun } from "../../../src/commands/manager/control_commands.ts";
import { type RunControlsOptions, watchRunControls } from "../../../src/commands/manager/controls.ts";
import { openRunLog, readRun } from "../../../src/commands/manager/run_folder.ts";
import { openTmuxSession } from "../../../src/process/tmux_view.ts";
import { findProgram } from "../../../src/process/find_program.ts";
import { endAllCommands } from "../../../src/process/spawn.ts";
import { endAllWorkers, newWorkerMark, startWorkerProcess } from "../../../src/process/worker_process.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { Failure, Interrupt } from "../../../src/failure.ts";
import type { Message } from "../../../src/manager/supervise.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { withScratch } from "../../git/scratch_repository.ts";
import { testsInOwnProcess } from "../../process/own_process.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { fakeIo, finished, launched, phase, running, started, worker, writeRun } from "./runs.ts";

const PATH = Deno.env.get("PATH")!;
const hasTmux = findProgram("tmux", PATH, "/") !== undefined;
const register = testsInOwnProcess(import.meta.url);
const test = (name: string, fn: () => Promise<void>, more: { ignore?: boolean } = {}) =>
  register({ name, ignore: Deno.build.os !== "linux" || more.ignore, fn });

interface Carried extends Disposable {
  readonly sent: Message[];
  readonly stops: string[];
}

/** Carries out the run in this process, as far as its controls go. */
async function carryOut(
  folder: string,
  { running = [], onStop = () => [] }: { running?: readonly string[]; onStop?: () => EventFact[] } = {},
): Promise<Carried> {
  const log = await openRunLog(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
  const sent: Message[] = [];
  const stops: string[] = [];
  const options: RunControlsOptions = {
    state: log.state,
    publish: log.publish,
    supervisor: {
      running: () => running,
      send(message) {
        sent.push(message);
        return `${message.worker} is told`;
      },
    },
    stop(reason) {
      stops.push(reason);
      onStop().forEach(log.publish);
      queueMicrotask(dispose);
    },
  };
  const controls = watchRunControls(folder, options);
  const dispose = () => {
    controls[Symbol.dispose]();
    log[Symbol.dispose]();
  };
  return { sent, stops, [Symbol.dispose]: dispose };
}

/** Controls are taken in the order of their times. */
let nowMs = 0;
const env = { PATH: "/nowhere", USER: "ivg" };

async function send(dir: string, name: string, text: string) {
  const { io, stdout, stderr } = fakeIo(dir, { env, nowMs: nowMs++ });
  const code = await sendToRun({ runId: "r1", worker: name, text }, io);
  equal(stdout(), "");
  return { code, stderr: stderr() };
}

async function stop(dir: string, more: Record<string, string> = {}, signal?: AbortSignal) {
  const { io, stderr } = fakeIo(dir, { env: { ...env, ...more }, nowMs: nowMs++, ...(signal && { signal }) });
  const code = await stopRun({ runId: "r1" }, io);
  return { code, stderr: stderr() };
}

const facts = [started(), phase("reproduce", "started"), worker("w1", "running"), worker("w2", "finished")];
const runIn = (dir: string, more: EventFact[] = []) => writeRun(join(dir, "runs"), "r1", [...facts, ...more]);

test("a text reaches the worker, and its sender learns what became of it", () =>
  inTempDir(async (dir) => {
    const folder = await runIn(dir);
    using run = await carryOut(folder, { running: ["w1"] });
    deepEqual(await send(dir, "w1", "Try \x1b[2J 3.13"), { code: 0, stderr: "w1 is told\n" });
    deepEqual(await send(dir, "manager", "hurry"), { code: 0, stderr: "w1 is told\n" });
    deepEqual(await send(dir, "manager", " status\n"), {
      code: 0,
      stderr: "running, reproduce; w1 running; w2 finished\n",
    });
    deepEqual(run.sent.map(({ control: _, ...message }) => message), [
      { worker: "w1", text: "Try \x1b[2J 3.13", by: "ivg" },
      { worker: "w1", text: "hurry", by: "ivg" },
    ]);
    deepEqual(namesIn(join(folder, "control")), []);
  }));

test("what a killed process had told already is not told again", () =>
  inTempDir(async (dir) => {
    const nudged: EventFact = {
      type: "worker.nudged",
      data: { worker: "w1", action: "nudged", reason: "told by ivg", text: "x", control: "1-a" },
    };
    const folder = await runIn(dir, [nudged]);
    await Deno.mkdir(join(folder, "control"));
    const control = { id: "1-a", command: "send", worker: "w1", text: "x", by: "ivg" };
    await Deno.writeTextFile(join(folder, "control", "1-a.json"), JSON.stringify(control));
    await Deno.writeTextFile(join(folder, "control", "2-b.json"), JSON.stringify({ ...control, id: "2-b", worker: 7 }));
    using run = await carryOut(folder, { running: ["w1"] });
    deepEqual([run.sent, namesIn(join(folder, "control"))], [[], ["2-b.json.bad"]]);
  }));

test("nobody who carries out the run, an unknown worker and an empty text are told as such", () =>
  inTempDir(async (dir) => {
    const folder = await runIn(dir);
    deepEqual(await send(dir, "w1", "x"), { code: 1, stderr: "Nobody carries out r1 now: it was cut off\n" });
    const refusal = async (name: string, text: string) => {
      const error = await send(dir, name, text).then(() => undefined, (error) => error);
      ok(error instanceof Failure && error.kind === "usage");
      return [error.message, ...error.hints];
    };
    deepEqual(await refusal("w3", "x"), ['Cannot find the worker "w3"', "Did you mean w1?"]);
    deepEqual(await refusal("zoe", "x"), ['Cannot find the worker "zoe"', "There are manager, w1, w2"]);
    match(
      (await refusal("w1", " "))[0]!,
      /^Cannot use --text: need something to tell, found an empty text$/,
    );
    deepEqual(namesIn(folder).filter((name) => name === "control"), []);
    await runIn(dir, [finished("ok")]);
    deepEqual(await send(dir, "w1", "x"), { code: 1, stderr: "r1 has ended already: ok\n" });
  }));

test("a run that is carried out is stopped by itself, and may be stopped again", () =>
  inTempDir(async (dir) => {
    const folder = await runIn(dir);
    using run = await carryOut(folder, { onStop: () => [finished("stopped")] });
    deepEqual(await stop(dir), { code: 0, stderr: "r1 is stopped\n" });
    deepEqual(run.stops, ["stopped by ivg"]);
    deepEqual(await stop(dir), { code: 0, stderr: "r1 has ended already: stopped\n" });
    const { run_id, status, completed_at: _, ...files } = JSON.parse(
      await Deno.readTextFile(join(folder, "run_done.json")),
    );
    deepEqual([run_id, status], ["r1", "stopped"]);
    deepEqual(files, { decision_json: join(folder, "decision.json"), final_md: join(folder, "final.md") });
  }));

test("what a killed run has left is ended, saved and told", () =>
  withScratch(async ({ dir, root, repository, git, env: own }) => {
    const { commit } = await repository.head();
    const worktree = join(dir, "tmp", "mminions-r1-w1");
    await Deno.mkdir(join(dir, "tmp", "mminions-r1-places"), { recursive: true });
    await repository.addDetached({ path: worktree, commit });
    await Deno.writeTextFile(join(worktree, "found.txt"), "it\n");
    const mark = newWorkerMark();
    const process = await startWorkerProcess({
      argv: ["sh", "-c", "setsid sleep 7202.5 & sleep 7202.5"],
      cwd: worktree,
      env: { PATH },
      stdoutPath: join(dir, "out"),
      stderrPath: join(dir, "err"),
      exitPath: join(dir, "exit"),
      sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
      limits: { cpuPercent: 0, memoryMb: 0, timeSeconds: 0 },
      backend: "process",
      mark,
    });
    const { pid, startTicks, startedMs } = process.handle;
    const folder = await writeRun(join(dir, "runs"), "r1", [
      started({ repo_path: root, commit, pid: 2 ** 22 + 1 }),
      worker("w1", "running"),
      launched("w1", { workdir: worktree, mark }),
      running("w1", { pid, startTicks, startedMs }),
      worker("w2", "running"),
      launched("w2", { workdir: join(dir, "tmp", "mminions-r1-w2") }),
      worker("w3", "finished"),
    ]);
    deepEqual(await stop(dir, { ...own, TMPDIR: join(dir, "tmp") }), { code: 0, stderr: "r1 is stopped\n" });
    await process.ended;
    deepEqual(sleepers("7202.5"), []);
    deepEqual(namesIn(join(dir, "tmp")), []);
    equal(await git("show", "refs/gocore/saved/r1/w1:found.txt"), "it");
    equal((await git("worktree", "list")).split("\n").length, 1);
    const { state } = await readRun(folder);
    deepEqual([...state.workers.values()].map(({ name, status, exit }) => [name, status, exit?.outcome]), [
      ["w1", "stopped", "stopped"],
      ["w2", "stopped", "stopped"],
      ["w3", "finished", undefined],
    ]);
    deepEqual([state.status, state.finish?.rationale], ["stopped", "stopped by ivg"]);
    equal(JSON.parse(await Deno.readTextFile(join(folder, "decision.json"))).status, "stopped");
    equal(JSON.parse(await Deno.readTextFile(join(folder, "run_done.json"))).status, "stopped");
    await endAllWorkers();
    await endAllCommands();
  }));

test("a signal ends the waiting for a run that does not react", () =>
  inTempDir(async (dir) => {
    const folder = await runIn(dir);
    using _ = await openRunLog(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
    const interrupt = new AbortController();
    const stopping = stop(dir, {}, interrupt.signal);
    while (!namesIn(folder).includes("control")) await new Promise((resolve) => setTimeout(resolve, 5));
    interrupt.abort(new Interrupt("SIGINT"));
    await rejects(stopping, Interrupt);
  }));

function sleepers(seconds: string): string[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`) === `sleep\0${seconds}\0`;
    } catch {
      return false;
    }
  }).map(({ name }) => name);
}

async function attach(dir: string, name: string, more: Record<string, string>, isTerminal = false) {
  const { io, stdout } = fakeIo(dir, { env: { ...env, ...more } });
  const calls: unknown[] = [];
  const code = await attachTo({ runId: "r1", worker: name }, io, {
    isTerminal: () => isTerminal,
    run(argv, options) {
      calls.push([argv, options]);
      return Promise.resolve(7);
    },
  });
  return { code, stdout: stdout(), calls };
}

test("attach gives the terminal to tmux, or tells the command where there is none", () =>
  inTempDir(async (dir) => {
    await runIn(dir);
    const tmux = { PATH, TMUX_TMPDIR: dir };
    const sleeping = new Deno.Command("sleep", { args: ["7203.5"] }).spawn();
    try {
      await openTmuxSession({ pid: sleeping.pid }, { name: "codorch-r1-w1", files: ["/dev/null"], env: tmux });
      deepEqual(await attach(dir, "w1", tmux), {
        code: 0,
        stdout: "tmux attach-session -t =codorch-r1-w1\n",
        calls: [],
      });
      deepEqual(await attach(dir, "w1", { ...tmux, TMUX: "/elsewhere,1,0" }, true), {
        code: 7,
        stdout: "",
        calls: [[["tmux", "attach-session", "-t", "=codorch-r1-w1"], { cwd: dir, env: { ...env, ...tmux } }]],
      });
    } finally {
      sleeping.kill();
      await sleeping.status;
    }
    const refused = attach(dir, "manager", tmux);
    await rejects(refused, { message: 'Cannot attach to manager: there is no session "codorch-r1-manager" any more' });
    await refused.catch(({ hints }) =>
      deepEqual(hints, [`Read what it has written: \`less ${dir}/runs/r1/manager.log\``])
    );
    await rejects(attach(dir, "w1", {}), { message: "Cannot attach to w1: tmux is not installed" });
    await rejects(attach(dir, "w9", tmux), { message: 'Cannot find the worker "w9"' });
    await endAllCommands();
    // The session ends by itself, and the server with it.
    const names = async () => (await new Deno.Command("tmux", { args: ["ls"], env: tmux }).output()).stdout.length;
    while (await names() > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }), { ignore: !hasTmux });
