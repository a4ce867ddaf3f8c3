import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { endAllCommands, runCommand } from "../../src/process/spawn.ts";
import { testsInOwnProcess } from "./own_process.ts";

const PATH = Deno.env.get("PATH")!;
const never = new AbortController().signal;
const test = testsInOwnProcess(import.meta.url);
const ignore = Deno.build.os !== "linux";

/** The commands of living processes that have this word in their environment. */
function processesWith(word: string): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      if (!Deno.readTextFileSync(`/proc/${name}/environ`).includes(word)) return [];
      return [Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim()].filter((line) =>
        line !== ""
      );
    } catch {
      return [];
    }
  });
}

function run(script: string, mark: string, background: "keep" | "end", stderr: "merge" | "separate" = "merge") {
  return runCommand(["sh", "-c", script], {
    cwd: "/",
    env: { PATH, MARK: mark },
    timeoutMs: 300_000,
    signal: never,
    background,
    stderr,
  });
}

test({
  name: "runCommand() ends what a command leaves running, wherever it went, when it is asked to",
  ignore,
  fn: async () => {
    const mark = crypto.randomUUID();
    const script = "sleep 100000 & (setsid sleep 100001 >/dev/null 2>&1 </dev/null &); echo out; echo err >&2";
    for (const stderr of ["merge", "separate"] as const) {
      const { endedBy, exitCode, output } = await run(script, mark, "end", stderr);
      deepEqual([endedBy, exitCode, output], ["exit", 0, stderr === "merge" ? "out\nerr\n" : "out\n"]);
      deepEqual(processesWith(mark), []);
    }
    await run(script, mark, "keep");
    equal(processesWith(mark).length, 2, "the check above can fail");
    await endAllCommands();
    deepEqual(processesWith(mark), []);
  },
});

test({
  name: "runCommand() does not end what another command does or has left running",
  ignore,
  fn: async () => {
    const [mark, other] = [crypto.randomUUID(), crypto.randomUUID()];
    await run("(setsid sleep 100002 >/dev/null 2>&1 </dev/null &)", other, "keep");
    const busy = run("sleep 100004", other, "end");
    for (let count = 0; count < 5; count++) {
      await run("(setsid sleep 100003 >/dev/null 2>&1 </dev/null &)", mark, "end");
      deepEqual([processesWith(mark), processesWith(other).filter((line) => line.startsWith("sleep")).sort()], [[], [
        "sleep 100002",
        "sleep 100004",
      ]]);
    }
    await endAllCommands();
    await busy;
  },
});
