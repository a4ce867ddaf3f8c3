import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import type { MiniSettings } from "../../src/config/mini_settings.ts";
import { LocalEnvironment } from "../../src/mini/local_environment.ts";
import type { CommandResult } from "../../src/mini/environment.ts";
import { endAllCommands, runCommand } from "../../src/process/spawn.ts";

const PATH = Deno.env.get("PATH")!;
const signal = new AbortController().signal;
const uname = { system: "Linux", node: "host", release: "6.1", version: "#1 SMP", machine: "x86_64" };

function local(settings: Partial<MiniSettings["environment"]> = {}, raw: Record<string, unknown> = {}) {
  return new LocalEnvironment({
    settings: {
      cwd: "/",
      env: {},
      forwardEnv: [],
      timeoutSeconds: 120,
      interpreter: ["bash", "-c"],
      commandPolicy: "off",
      commandRules: [],
      ...settings,
    },
    raw,
    env: { PATH, HOME: "/home/ada", LANG: "C.UTF-8", SECRET_PLAN: "no" },
    uname,
    run: runCommand,
  });
}

function facts({ durationMs, ...rest }: CommandResult) {
  ok(durationMs >= 0);
  return rest;
}

const result = (output: string, exitCode = 0) => ({
  output,
  elidedBytes: 0,
  exitCode,
  exceptionInfo: "",
  timedOut: false,
});

Deno.test("LocalEnvironment runs a command with the interpreter, in the folder, with the environment of the settings", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const environment = local({ cwd: folder, env: { PAGER: "cat", LANG: "de_DE" } });
    const command = 'pwd; echo "$PAGER $LANG $HOME ${BASH_VERSION:+bash}"; echo oops >&2; exit 4';
    const expected = `${folder}\ncat de_DE /home/ada bash\noops\n`;
    deepEqual(facts(await environment.execute(command, { signal })), result(expected, 4));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("LocalEnvironment reports a timeout with the output so far", async () => {
  // Again with more time where the machine was too slow to begin.
  for (let timeoutSeconds = 2;; timeoutSeconds *= 4) {
    const end = await local({ timeoutSeconds }).execute("echo begun; sleep 5000", { signal });
    if (end.output === "" && timeoutSeconds < 120) continue;
    deepEqual(facts(end), {
      ...result("begun\n", -1),
      exceptionInfo: `The command timed out after ${timeoutSeconds} seconds and was killed`,
      timedOut: true,
    });
    break;
  }
  equal(await endAllCommands(), 0);
});

Deno.test("LocalEnvironment throws the reason of the signal when it is told to stop", async () => {
  const reason = new Error("enough");
  const abort = new AbortController();
  const folder = await Deno.makeTempDir();
  try {
    const end = local({ cwd: folder }).execute("echo 1 > begun; sleep 5000", { signal: abort.signal });
    const claim = rejects(end, reason);
    while (!(await Deno.readTextFile(`${folder}/begun`).catch(() => ""))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    abort.abort(reason);
    await claim;
    await rejects(local().execute("true", { signal: abort.signal }), reason);
    equal(await endAllCommands(), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("LocalEnvironment answers a command that cannot be started with a result", async () => {
  const failed = (exceptionInfo: string) => ({ ...result("", -1), exceptionInfo });
  deepEqual(
    facts(await local().execute("echo \0", { signal })),
    failed("Cannot run the command: it has a NUL character at position 5"),
  );
  deepEqual(
    facts(await local({ interpreter: ["no-such-shell", "-c"] }).execute("true", { signal })),
    failed('Cannot run "no-such-shell": no such program, or it is not executable'),
  );
  const folder = await Deno.makeTempDir();
  const environment = local({ cwd: folder });
  deepEqual(facts(await environment.execute('rmdir "$PWD"; echo bye', { signal })), result("bye\n"));
  deepEqual(
    facts(await environment.execute("true", { signal })),
    failed(`Cannot run a command in "${folder}": the folder does not exist`),
  );
});

Deno.test("LocalEnvironment runs a command that is too long for one argument as any other", async () => {
  const text = "ä€😀".repeat(60_000);
  for (const interpreter of [["bash", "-c"], ["sh", "-c"], ["/usr/bin/env", "bash", "-ec"]] as const) {
    const command = `cat <<'EOF'\n${text}\nEOF\necho "$0 $#"; f() { echo "in f: $1"; }; f x; exit 5`;
    const end = await local({ interpreter }).execute(command, { signal });
    const shell = interpreter.at(-2);
    deepEqual(facts(end), result(`${text}\n${shell} 0\nin f: x\n`, 5));
  }
});

Deno.test("LocalEnvironment says so when a command is too long for a program that is no shell", async () => {
  const end = await local({ interpreter: ["printf", "%s"] }).execute("x".repeat(200_000), { signal });
  deepEqual(facts(end), {
    ...result("", -1),
    exceptionInfo: "Cannot run the command: it has 200008 bytes, more than the system takes as arguments of a program",
  });
});

Deno.test("LocalEnvironment gives templates its settings, uname and a few harmless variables", () => {
  const environment = local({ cwd: "/src", env: { PAGER: "cat", HOME: "/h" }, timeoutSeconds: 30 }, {
    cwd: "",
    timeout: 99,
    release: "mine",
    extra: [1],
  });
  deepEqual(environment.templateVariables(), {
    ...uname,
    HOME: "/h",
    LANG: "C.UTF-8",
    PATH,
    release: "mine",
    extra: [1],
    cwd: "/src",
    timeout: 30,
    env: { PAGER: "cat", HOME: "/h" },
  });
});
