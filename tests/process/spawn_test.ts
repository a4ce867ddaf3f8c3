import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import {
  type CommandEnd,
  type CommandOptions,
  endAllCommands,
  killAllNow,
  runCommand,
} from "../../src/process/spawn.ts";
import { readProcess } from "../../src/process/process_tree.ts";
import { testsInOwnProcess } from "./own_process.ts";

const isLinux = Deno.build.os === "linux";
const PATH = Deno.env.get("PATH")!;
const never = new AbortController().signal;
/** Long enough for any machine: a test that reaches it has failed. */
const PATIENCE_MS = 300_000;

type Argv = readonly [string, ...string[]];

const sh = (script: string): Argv => ["sh", "-c", script];

function run(argv: Argv, options: Partial<CommandOptions> = {}): Promise<CommandEnd> {
  return runCommand(argv, { cwd: "/", env: { PATH }, timeoutMs: PATIENCE_MS, signal: never, ...options });
}

/** All of a result but its duration. */
function facts({ durationMs, ...rest }: CommandEnd) {
  ok(durationMs >= 0);
  return rest;
}

const ended = (output: string, exitCode = 0, signalName: string | null = null) => ({
  output,
  elidedBytes: 0,
  totalBytes: new TextEncoder().encode(output).length,
  endedBy: "exit",
  exitCode,
  signalName,
});

async function waitFor(claim: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Keeps this thread busy: what is due meanwhile comes late. */
function spin(ms: number): void {
  for (const startedAt = performance.now(); performance.now() - startedAt < ms;);
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

interface Place {
  readonly folder: string;
  /** A number of seconds that nobody else sleeps: tells the processes of this test, also without an environment. */
  readonly seconds: string;
  readonly env: Record<string, string>;
}

const register = testsInOwnProcess(import.meta.url);

/** A test with a folder, after which no process of it may be left. */
function test(name: string, fn: (place: Place) => Promise<void>) {
  register({
    name,
    ignore: !isLinux,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      const seconds = `5000.${crypto.getRandomValues(new Uint32Array(1))[0]}1`;
      const env = { PATH, PLACE: folder };
      try {
        await fn({ folder, seconds, env });
      } finally {
        await endAllCommands();
        const left = [...processesWith(seconds), ...processesWith(folder)];
        await Deno.remove(folder, { recursive: true });
        deepEqual(left, [], "the test left processes behind");
      }
    },
  });
}

async function hasLine(file: string): Promise<boolean> {
  return (await Deno.readTextFile(file).catch(() => "")).endsWith("\n");
}

test("runCommand() keeps the order of stdout and stderr", async () => {
  const script = 'i=0; while [ $i -lt 50 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done; exit 3';
  const lines = Array.from({ length: 50 }, (_, index) => `out ${index}\nerr ${index}\n`);
  deepEqual(facts(await run(sh(script))), ended(lines.join(""), 3));
});

test("runCommand() gives an empty stdin, the environment it was told and the folder it was told", async ({ folder }) => {
  const script = 'cat; pwd -P; env | grep -v -e "^PWD=" -e "^_=" -e "^SHLVL=" -e "^OLDPWD=" | sort';
  const { output } = await run(["sh", "-c", script], { cwd: folder, env: { PATH, B: "two\nlines" } });
  const expected = `${await Deno.realPath(folder)}\nB=two\nGOCORE_COMMAND=M\nPATH=${PATH}\nlines\n`;
  equal(output.replace(/(?<=GOCORE_COMMAND=).*/, "M"), expected);
});

test("runCommand() passes arguments as they are", async () => {
  const args = ["a b", "$(echo no)", "'", '"', "", "*", "\\", "ü\n"];
  deepEqual(facts(await run(["printf", "<%s>", ...args])), ended(args.map((arg) => `<${arg}>`).join("")));
});

test("runCommand() takes output without a newline, with escape sequences, zeros and bytes that are not UTF-8", async () => {
  const { output, totalBytes } = await run(["printf", "\\033[31mred\\033[0m\\000\\377\\r\\303\\251 end"]);
  equal(output, "\x1b[31mred\x1b[0m\0\uFFFD\ré end");
  equal(totalBytes, 21);
});

test("runCommand() tells the signal that ended a program", async () => {
  deepEqual(facts(await run(sh("echo before; kill -KILL $$"))), ended("before\n", 137, "SIGKILL"));
  deepEqual(facts(await run(sh("kill -TERM $$"))), ended("", 143, "SIGTERM"));
});

test("runCommand() says what could not be started", async ({ folder }) => {
  await Deno.writeTextFile(`${folder}/plain`, "");
  const failed = (failure: string) => ({
    ...ended("", 0),
    endedBy: "spawn_failed",
    exitCode: null,
    failure,
  });
  const missing = 'Cannot run "no-such-program": no such program, or it is not executable';
  deepEqual(facts(await run(["no-such-program", "x"])), failed(missing));
  const plain = `Cannot run "${folder}/plain": no such program, or it is not executable`;
  deepEqual(facts(await run([`${folder}/plain`])), failed(plain));
  const gone = `Cannot run a command in "${folder}/gone": the folder does not exist`;
  deepEqual(facts(await run(sh("true"), { cwd: `${folder}/gone` })), failed(gone));
  const file = `Cannot run a command in "${folder}/plain": it is not a folder`;
  deepEqual(facts(await run(sh("true"), { cwd: `${folder}/plain` })), failed(file));
  const nul = "Cannot run the command: it has a NUL character at position 7";
  deepEqual(facts(await run(sh("echo 12\x003"))), failed(nul));
  const huge = await run(["echo", "x".repeat(200_000)]);
  equal(huge.endedBy, "spawn_failed");
  match(huge.failure!, /^Cannot run the command: it has 200004 bytes, more than/);
  // A program that ends with the same code as a shell that finds nothing is not mistaken for one that never ran.
  deepEqual(facts(await run(sh("echo said; exit 127"))), ended("said\n", 127));
});

test("runCommand() starts nothing once its signal has aborted", async ({ folder, env }) => {
  const end = await run(sh('touch "$PLACE/started"'), { env, signal: AbortSignal.abort() });
  deepEqual(facts(end), { ...ended(""), endedBy: "abort", exitCode: null });
  equal([...Deno.readDirSync(folder)].length, 0);
});

test("runCommand() bounds a huge output in memory", async () => {
  // In a process of its own: the memory of this one belongs to all tests that run at the same time.
  const script = `
    import { runCommand } from ${JSON.stringify(import.meta.resolve("../../src/process/spawn.ts"))};
    const run = (script) => runCommand(["sh", "-c", script], {
      cwd: "/", env: { PATH: Deno.env.get("PATH") }, timeoutMs: Infinity, signal: AbortSignal.timeout(${PATIENCE_MS}),
    });
    await run("true");
    const before = Deno.memoryUsage().rss;
    const { output, ...facts } = await run("yes | head -c 500000000");
    const grownBytes = Deno.memoryUsage().rss - before;
    console.log(JSON.stringify({ ...facts, grownBytes, start: output.slice(0, 4), length: output.length }));
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", script] }).output();
  const { durationMs: _, grownBytes, ...rest } = JSON.parse(new TextDecoder().decode(stdout));
  const kept = 1024 * 1024;
  const elidedBytes = 500_000_000 - kept;
  deepEqual(rest, {
    elidedBytes,
    totalBytes: 500_000_000,
    endedBy: "exit",
    exitCode: 0,
    signalName: null,
    start: "y\ny\n",
    length: kept + `[… ${elidedBytes} bytes left out …]\n`.length,
  });
  ok(grownBytes < 100_000_000, `memory grew by ${grownBytes} bytes`);
});

/** Leaves processes that escape in every known way, all of them sleeping. */
const escape = (seconds: string) =>
  [
    `setsid sleep ${seconds} &`,
    // Twice forked: its parent is gone.
    `(setsid sh -c 'sleep ${seconds} & sleep ${seconds} & exit' &)`,
    // Without the mark in its environment, and holding no pipe.
    `(env -i setsid sleep ${seconds} >/dev/null 2>&1 &)`,
    `nohup sleep ${seconds} >/dev/null 2>&1 &`,
    `(trap '' TERM INT HUP; sleep ${seconds}; :) &`,
    `echo started; echo $$ > "$PLACE/ready"`,
  ].join("\n");

test("runCommand() kills everything on a timeout, daemons included", async ({ seconds, folder, env }) => {
  // Again with more time where the machine was too slow to begin.
  for (let timeoutMs = 2000;; timeoutMs *= 4) {
    const end = await run(sh(`${escape(seconds)}; wait; sleep ${seconds}`), { env, timeoutMs });
    deepEqual(processesWith(seconds), []);
    if (!await hasLine(`${folder}/ready`) && timeoutMs < PATIENCE_MS) continue;
    deepEqual(facts(end), {
      ...ended("started\n"),
      endedBy: "timeout",
      exitCode: null,
      signalName: "SIGKILL",
    });
    break;
  }
});

test("runCommand() kills a command that starts processes without end", async ({ seconds, env }) => {
  const script = `while :; do setsid sleep ${seconds} & sleep 0.01; done`;
  equal((await run(sh(script), { env, timeoutMs: 1000 })).endedBy, "timeout");
  deepEqual(processesWith(seconds), []);
});

test("runCommand() lets a command clean up when it is aborted, then kills what is left", async ({ seconds, folder, env }) => {
  const abort = new AbortController();
  const script = `trap 'echo cleaned > "$PLACE/cleaned"; exit 0' TERM
    ${escape(seconds)}
    while :; do sleep 0.1; done`;
  const end = run(sh(script), { env, signal: abort.signal, graceMs: PATIENCE_MS });
  await waitFor("the command runs", () => hasLine(`${folder}/ready`));
  abort.abort();
  await waitFor("the command has cleaned up", () => hasLine(`${folder}/cleaned`));
  // The grace is long, and one of them ignores SIGTERM: only this can end it in time.
  killAllNow();
  const { endedBy, output } = await end;
  equal(endedBy, "abort");
  ok(output.startsWith("started\n"));
  deepEqual(processesWith(seconds), []);
});

test("runCommand() kills an aborted command that ignores SIGTERM", async ({ seconds, folder, env }) => {
  const abort = new AbortController();
  const script = `trap '' TERM; echo ready > "$PLACE/ready"; sleep ${seconds}`;
  const end = run(sh(script), { env, signal: abort.signal, graceMs: 50 });
  await waitFor("the command runs", () => hasLine(`${folder}/ready`));
  abort.abort();
  const { endedBy, signalName } = await end;
  deepEqual([endedBy, signalName], ["abort", "SIGKILL"]);
  deepEqual(processesWith(seconds), []);
});

test("a background process outlives its command, may write, and dies at the end of the run", async ({ folder, env }) => {
  // More than a pipe holds: a server whose log nobody reads would stop.
  const server = `while [ ! -e "$PLACE/go" ]; do sleep 0.02; done
    head -c 300000 /dev/zero || exit 1; echo alive > "$PLACE/alive"; sleep 5000`;
  const end = await run(sh(`(${server}) & echo started`), { env });
  deepEqual(facts(end), ended("started\n"));
  await Deno.writeTextFile(`${folder}/go`, "");
  await waitFor("the server has written its log", () => hasLine(`${folder}/alive`));
  deepEqual(facts(await run(sh('cat "$PLACE/alive"'), { env })), ended("alive\n"));
  ok(await endAllCommands() >= 1);
  deepEqual(processesWith(folder), []);
  equal(await endAllCommands(), 0);
});

test("runCommand() returns all that the shell wrote, also when a background process holds the pipe", async ({ seconds, env }) => {
  const { output, totalBytes } = await run(sh(`sleep ${seconds} & head -c 60000 /dev/zero`), { env });
  deepEqual([output.length, totalBytes], [60000, 60000]);
});

test("no output of many commands is lost on a busy machine, whether or not they leave something running", async ({ seconds }) => {
  const timers = [1, 3, 7].map((ms) => setInterval(() => spin(4), ms));
  try {
    const outputs = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
      const { output } = await run(sh(`echo line ${index}; ${index % 4 === 0 ? `sleep ${seconds} &` : "exit 3"}`));
      spin(4);
      return output;
    }));
    deepEqual(outputs, Array.from({ length: 200 }, (_, index) => `line ${index}\n`));
  } finally {
    timers.forEach(clearInterval);
  }
});

test("runCommand() does not wait for a background process that floods the pipe", async ({ env }) => {
  const { endedBy, exitCode, output } = await run(sh("echo first; yes & sleep 0.1"), { env, maxOutputBytes: 1000 });
  deepEqual([endedBy, exitCode], ["exit", 0]);
  ok(output.startsWith("first\n"));
});

test("the timeout of one command leaves the background processes of others alone", async ({ seconds, folder, env }) => {
  const server = await run(sh(`setsid sleep ${seconds} >/dev/null 2>&1 & echo $!`), { env });
  equal((await run(sh(`sleep ${seconds}5`), { env, timeoutMs: 100 })).endedBy, "timeout");
  const left = processesWith(folder);
  ok(left.includes(Number(server.output)) || left.length > 0, "the server is gone");
});

test("eight commands at once do not disturb each other", async ({ seconds, folder, env }) => {
  const abort = new AbortController();
  const commands = Array.from({ length: 8 }, (_, index) => {
    if (index === 6) return run(sh(`echo 6; setsid sleep ${seconds}; :`), { env, timeoutMs: 500 });
    if (index === 7) {
      const script = `echo 7; echo 7 > "$PLACE/seven"; setsid sleep ${seconds}; :`;
      return run(sh(script), { env, signal: abort.signal });
    }
    return run(sh(`seq 1 20000; sleep 0.7; echo ${index}`), { env });
  });
  await waitFor("the last one runs", () => hasLine(`${folder}/seven`));
  abort.abort();
  const ends = await Promise.all(commands);
  deepEqual(ends.map(({ endedBy }) => endedBy), [...Array(6).fill("exit"), "timeout", "abort"]);
  const numbers = Array.from({ length: 20000 }, (_, index) => `${index + 1}\n`).join("");
  for (const index of [0, 1, 2, 3, 4, 5]) equal(ends[index]!.output, `${numbers}${index}\n`);
  equal(ends[7]!.output, "7\n");
});

test("a mark keeps the marks of the commands around it", async () => {
  const { output } = await run(["printenv", "GOCORE_COMMAND"], { env: { PATH, GOCORE_COMMAND: "1.outer.1" } });
  match(output, new RegExp(`^1\\.outer\\.1/${Deno.pid}\\.[0-9a-f]{8}\\.\\d+\n$`));
});

test("no zombies stay of the daemons that commands leave", async ({ seconds, env }) => {
  await run(sh(`(setsid sleep ${seconds} >/dev/null 2>&1 &) ; (setsid sleep ${seconds} >/dev/null 2>&1 &)`), { env });
  await waitFor("both daemons run", () => processesWith(seconds).length === 2);
  const daemons = processesWith(seconds);
  equal(await endAllCommands(), 2);
  const exists = (pid: number) => {
    try {
      return Deno.statSync(`/proc/${pid}`).isDirectory;
    } catch {
      return false;
    }
  };
  deepEqual(daemons.filter(exists), []);
});

test("no zombies stay of background processes that end before their command does", async ({ env }) => {
  const orphan = `until [ "$(cut -d" " -f4 /proc/$$/stat)" = ${Deno.pid} ]; do :; done`;
  const leave = `(sh -c '${orphan}' & echo $! >> "$PLACE/pids")`;
  const ended = '[ ! -e /proc/$pid ] || grep -q "^State:.Z" /proc/$pid/status';
  const wait = `for pid in $(cat "$PLACE/pids"); do until ${ended}; do sleep 0.01; done; done`;
  await run(sh(`${leave}; ${leave}; ${wait}`), { env });
  const pids = (await Deno.readTextFile(`${env.PLACE}/pids`)).trim().split("\n").map(Number);
  equal(pids.length, 2);
  deepEqual(pids.filter((pid) => readProcess(pid) !== undefined), []);
});
