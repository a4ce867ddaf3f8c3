/** The command line of `gocore orchestrate`: from arguments to flags and to its commands. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { define } from "../../src/commands/orchestrate.ts";
import { Failure } from "../../src/failure.ts";
import { inTempDir } from "../support/temp_dir.ts";
import { asked, fakeIo, finished, started, writeSession } from "./orchestrate/sessions.ts";

/** As app.ts makes it. */
function commandOf(cwd: string) {
  const told = fakeIo(cwd);
  const codes: number[] = [];
  const program = new Command("gocore").exitOverride().configureOutput({ writeErr() {}, outputError() {} });
  const command = program.command("orchestrate");
  define(command as unknown as Command, told.io, (code) => codes.push(code));
  return {
    program,
    command,
    codes,
    ...told,
    run: (...args: string[]) => program.parseAsync(["orchestrate", ...args], { from: "user" }),
  };
}

/** What the action gets; the session itself is not started. */
async function flagsOf(...args: string[]): Promise<Record<string, unknown>> {
  const { command, run } = commandOf("/nowhere");
  command.action(() => {});
  await run(...args);
  return { ...command.opts(), args: command.args };
}

async function refusalOf(...args: string[]): Promise<string> {
  let text = "";
  await rejects(commandOf("/nowhere").run(...args), (error) => {
    if (error instanceof Failure) text = [error.kind, error.message, ...error.hints].join("\n");
    else if (error instanceof CommanderError) text = error.message;
    return text !== "";
  });
  return text;
}

Deno.test("without flags nothing is given", async () => {
  deepEqual(await flagsOf("Do it"), { args: ["Do it"] });
});

Deno.test("every flag reaches the options", async () => {
  const args = [
    ...["--task", "list", "--target", "t", "--workspace", "w", "--resume", "last", "--agents", "gemini,claude=2"],
    ...["--model", "claude=opus", "--model", "codex=gpt-5", "--plan", "auto", "--budget", "2.50"],
    ...["--agent-budget", "claude=1", "--agent-budget", "codex=.5", "--verify", "npm test", "--shared", "--no-apply"],
    ...["--no-reviews", "--reviewers", "3", "--revisions", "0", "--worker-cpu-percent", "12.5"],
    ...["--worker-memory-mb", "512", "--worker-timeout-sec", "60", "--sandbox", "off", "--backend", "tmux"],
    ...["--answer-timeout-sec", "5", "--no-dashboard", "--host", "::1", "--port", "0", "--config", "c.toml"],
    ...["--gateway-config", "g.toml", "--ledger", "l.db", "--script", "s.yaml", "-v", "--json"],
  ];
  const flags = {
    task: "list",
    target: "t",
    workspace: "w",
    resume: "last",
    agents: "gemini,claude=2",
    model: ["claude=opus", "codex=gpt-5"],
    plan: "auto",
    budget: 2.5,
    agentBudget: ["claude=1", "codex=.5"],
    verify: "npm test",
    shared: true,
    apply: false,
    reviews: false,
    reviewers: 3,
    revisions: 0,
    workerCpuPercent: 12.5,
    workerMemoryMb: 512,
    workerTimeoutSec: 60,
    sandbox: "off",
    backend: "tmux",
    answerTimeoutSec: 5,
    dashboard: false,
    host: "::1",
    port: 0,
    config: "c.toml",
    gatewayConfig: "g.toml",
    ledger: "l.db",
    script: "s.yaml",
    verbose: true,
    json: true,
    args: [],
  };
  deepEqual(await flagsOf(...args), flags);
  deepEqual(await flagsOf("--record", "d"), { record: "d", args: [] });
  deepEqual(await flagsOf("--replay", "d"), { replay: "d", args: [] });
});

Deno.test("what a session was started with can be undone when it is resumed", async () => {
  deepEqual(await flagsOf("--resume", "x", "--apply", "--reviews", "--dashboard", "--no-shared"), {
    resume: "x",
    apply: true,
    reviews: true,
    dashboard: true,
    shared: false,
    args: [],
  });
});

Deno.test("wrong values of flags are refused", async () => {
  const cases: [string[], string][] = [
    [["--budget", "1e3"], "Expected USD as a decimal number, 0 or more."],
    [["--budget", "-1"], "Expected USD as a decimal number, 0 or more."],
    [["--worker-memory-mb", ""], "Expected MB as a decimal number, 0 or more."],
    [["--reviewers", "1.5"], "Expected a whole number."],
    [["--port", "65536"], "Expected 0 to 65535."],
    [["--sandbox", "on"], "Allowed choices are require, prefer, off."],
    [["--backend", "screen"], "Allowed choices are process, tmux."],
    [["--record", "a", "--script", "b"], "cannot be used with option"],
    [["--bugdet", "1"], "Did you mean --budget?"],
  ];
  for (const [args, expected] of cases) {
    const text = await refusalOf(...args, "Do it");
    ok(text.includes(expected), `${args}: ${text}`);
  }
});

Deno.test("what is not one task is refused with the command line that was meant", async () => {
  equal(
    await refusalOf("lsit"),
    'usage\nUnknown command "orchestrate lsit"\nDid you mean `gocore orchestrate list`?\n' +
      "If it is the task: `--task lsit`",
  );
  equal(
    await refusalOf("fix", "the", "bug"),
    'usage\nCannot read the task: need one text, found several words\nPut it in quotes: `gocore orchestrate "fix the bug"`',
  );
  equal(
    await refusalOf("--task", "a", "b"),
    "usage\nWhich task? One was given with --task, and another one as argument\nLeave one of them out",
  );
  equal(
    await refusalOf("answer", "use", "UTC", "everywhere"),
    "usage\nCannot read the answer: need one text, found several words\n" +
      'Put it in quotes: `gocore orchestrate answer "use UTC everywhere"`',
  );
  equal(
    await refusalOf("--worker-cpu-percent", "5", "list"),
    "usage\nCannot use --worker-cpu-percent before a command: it is a flag of a session's start\n" +
      "Put the flags of the command after it; see `gocore orchestrate --help`",
  );
});

Deno.test("commands find sessions by flags before and after them, the newest by default", async () => {
  await inTempDir(async (cwd) => {
    await writeSession(`${cwd}/w`, "orch_1", [started()]);
    await writeSession(`${cwd}/w`, "orch_2", [started(), asked("q1", "Which?"), finished("needs_input")]);
    const lineOf = async (...args: string[]) => {
      const { run, codes, stdout, stderr } = commandOf(cwd);
      await run(...args);
      return [codes, (stdout() || stderr()).split("\n")[0]!];
    };
    deepEqual(await lineOf("--workspace", "w", "show"), [[0], "session  orch_2"]);
    deepEqual(await lineOf("show", "orch_1", "--workspace", "w"), [[0], "session  orch_1"]);
    deepEqual(await lineOf("list", "--workspace", "w", "--json"), [[0], "["]);
    const resuming = "Nobody supervises orch_2 now. It will take this when it is resumed: " +
      `gocore orchestrate --resume orch_2 --workspace ${cwd}/w`;
    deepEqual(await lineOf("answer", "This", "--workspace", "w"), [[0], resuming]);
    deepEqual(await lineOf("answer", "orch_2", "That", "--question", "q1", "--workspace", "w"), [[0], resuming]);
    deepEqual(await lineOf("pause", "orch_2", "--reason", "lunch", "--workspace", "w"), [[1], resuming]);
    const controls = [];
    for await (const { name } of Deno.readDir(`${cwd}/w/orch_2/control`)) {
      const { command, text, question } = JSON.parse(await Deno.readTextFile(`${cwd}/w/orch_2/control/${name}`));
      controls.push(`${command} ${text} ${question}`);
    }
    deepEqual(controls.sort(), ["answer That q1", "answer This q1", "pause lunch null"]);
  });
});
