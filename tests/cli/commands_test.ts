/** What the agent's commands can do to the run, and what is left of them. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { checkMini, readTrajectory, Sandbox, submit } from "../support/gocore.ts";

const TASK = ["-t", "x"];
/** Keeps the run alive while the test looks at it. */
const WAITS = { commands: ["true"], delay_ms: 1_000_000 };

Deno.test("a command that times out leaves no process, not even one in a session of its own", async () => {
  await using box = await Sandbox.create();
  const command = "echo begun; setsid sleep 100000 & (setsid sleep 100001 &); sleep 0.2; sleep 100002";
  const run = await box.start([
    ...["mini", "--headless", ...TASK, "-c", "environment.timeout=5"],
    ...await box.script([{ commands: [command] }, WAITS]),
  ]);
  const step = await run.event("a step", ({ type }) => type === "step");
  deepEqual((await box.processes()).filter(({ command }) => command.startsWith("sleep")), []);
  run.kill("SIGTERM");
  const { trajectory } = await checkMini(await run.end);
  ok(step.type === "step");
  deepEqual([step.data.timed_out, step.data.exit_code, step.data.output], [true, -1, "begun\n"]);
  match(trajectory.messages[3].content, /timed out/i);
  match(trajectory.messages[3].content, /begun/);
});

Deno.test("a server started by one command serves the next, and dies with the run", async () => {
  await using box = await Sandbox.create();
  const replies = [
    { commands: ["sleep 100000 >/dev/null 2>&1 & echo $! > pid"] },
    { commands: ["setsid sleep 100001 & echo kept the pipe"] },
    { commands: ["kill -0 $(cat pid) && echo alive"] },
    submit(),
  ];
  const run = await box.mini([...await box.script(replies), ...TASK]);
  deepEqual(run.steps.slice(0, 3).map(({ output }) => output), ["", "kept the pipe\n", "alive\n"]);
  await box.noProcessLeft();
});

Deno.test("200 MB of output cost little memory", async () => {
  await using box = await Sandbox.create();
  const replies = [{ commands: ["echo small"] }, { commands: ["yes 0123456789 | head -c 200000000"] }, WAITS];
  const run = await box.start(["mini", "--headless", ...TASK, ...await box.script(replies)]);
  const peakMb = async () => {
    const status = await Deno.readTextFile(`/proc/${run.pid}/status`);
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)![1]) / 1024;
  };
  await run.event("the first step", ({ type }) => type === "step");
  const before = await peakMb();
  const step = await run.event("the second step", ({ type, data }) => type === "step" && data.step === 2);
  const after = await peakMb();
  run.kill("SIGTERM");
  await checkMini(await run.end);
  ok(step.type === "step");
  ok(after - before < 250, `${before} MB, then ${after} MB`);
  equal(step.data.exit_code, 0);
  ok(step.data.elided_bytes > 190_000_000);
  ok(step.data.output.length < 2_000_000);
});

Deno.test("a command longer than an argument may be is run", async () => {
  await using box = await Sandbox.create();
  const command = `cat > big <<'EOF'\n${"0123456789abcde\n".repeat(40_000)}EOF\nwc -c < big`;
  const run = await box.mini([...await box.script([{ commands: [command] }, submit()]), ...TASK]);
  equal(run.steps[0]!.output.trim(), "640000");
  equal(run.steps[0]!.action, command);
});

Deno.test("each command has a fresh shell in the working directory of the settings", async () => {
  await using box = await Sandbox.create();
  await Deno.mkdir(`${box.workdir}/sub dir`);
  const script = await box.script([{ commands: ["cd /; X=1; pwd", 'pwd; echo "[$X]"'] }, submit()]);
  const [plain, sub] = await Promise.all([
    box.mini([...script, ...TASK], { cwd: await box.repository("plain") }),
    box.mini([...script, ...TASK, "-c", `environment.cwd=${box.workdir}/sub dir`]),
  ]);
  deepEqual(plain.steps.slice(0, 2).map(({ output }) => output), ["/\n", `${box.root}/plain\n[]\n`]);
  equal(sub.steps[1]!.output, `${box.workdir}/sub dir\n[]\n`);
});

Deno.test("commands that fail, are not found, die of a signal or hold a NUL are results", async () => {
  await using box = await Sandbox.create();
  const commands = ["exit 7", "no-such-program-anywhere", "kill -SEGV $$", "kill -9 $$", "echo a\0b", "echo 'unclosed"];
  const run = await box.mini([...await box.script([{ commands }, submit()]), ...TASK]);
  equal(run.finish.status, "success");
  const codes = run.steps.map(({ exit_code }) => exit_code);
  deepEqual(codes.slice(0, 4), [7, 127, 139, 137]);
  ok(codes[4] !== 0 || run.steps[4]!.output.length > 0, "a NUL is answered somehow");
  ok(codes[5]! > 0);
});

Deno.test("a run whose command cleans the repository, its own home included, keeps its trajectory", async () => {
  await using box = await Sandbox.create();
  const replies = [
    { commands: ["echo before", "git clean -ffdxq; rm -rf .miniswe"] },
    { commands: ["ls -A"] },
    submit(),
  ];
  const run = await box.mini([...await box.script(replies), ...TASK]);
  equal(run.finish.status, "success");
  equal(run.steps.length, 4);
  const trajectory = await readTrajectory(run.finish.trajectory_path!);
  ok(trajectory.messages.some(({ content }: { content: string }) => content.includes("before")));
});

Deno.test("a working directory that disappears is a result that the model can read", async () => {
  await using box = await Sandbox.create();
  await Deno.mkdir(`${box.workdir}/sub`);
  const replies = [{ commands: ["cd .. && rmdir sub", "echo hello"] }, { commands: [`mkdir ../work/sub`] }];
  const run = await box.mini([
    ...await box.script([...replies, submit()]),
    ...TASK,
    ...["-c", `environment.cwd=${box.workdir}/sub`, "--step-limit", "3"],
  ]);
  equal(run.finish.status, "step_limit");
  equal(run.steps[1]!.exit_code === 0, false);
  match(JSON.stringify(run.trajectory.messages), /sub/);
});

Deno.test("a command that makes the home a link out of the workdir gets no trajectory written there", async () => {
  await using box = await Sandbox.create();
  const outside = `${box.root}/outside`;
  await Deno.mkdir(outside);
  const script = await box.script([
    { commands: [`mv .miniswe/data data && ln -s ${outside} .miniswe/data`] },
    submit(),
  ]);
  const run = await box.mini([...script, "-t", "x"], { noTrajectory: true });
  equal(run.finish.status, "success");
  ok(run.logs.some(({ level, content }) => level === "error" && content.includes("a link to")));
  deepEqual(await Array.fromAsync(Deno.readDir(outside)), []);
});

Deno.test("a dangerous command is refused, text about one is not, and the run goes on", async () => {
  await using box = await Sandbox.create();
  const outside = await box.mini([
    ...["-c", `environment.env.TMPDIR=${box.workdir}`, "-c", "environment.env.HOME=/nowhere"],
    ...await box.script([
      { commands: ["rm -rf /nowhere/*", 'echo "rm -rf /"', "bash -c 'rm -rf \"$HOME\"'"] },
      { commands: ["mkdir build && rm -rf build && cat <<'END'\nrm -rf /\nEND"] },
      submit(),
    ]),
    ...TASK,
  ]);
  deepEqual(outside.steps.slice(0, 4).map(({ exit_code, output }) => [exit_code, output]), [
    [-1, ""],
    [0, "rm -rf /\n"],
    [-1, ""],
    [0, "rm -rf /\n"],
  ]);
  match(outside.steps[0]!.exception_info, /^The command was not run, the command policy forbids it: Deletes "/);
  deepEqual(outside.logs.map(({ level, verdict }) => [level, verdict]), [["warning", "block"], ["warning", "block"]]);
  equal(outside.finish.status, "success");
  match(outside.trajectory.messages[3].content, /not run/);
});

Deno.test("command_policy and command_rules decide what is refused", async () => {
  await using box = await Sandbox.create();
  const commands = ["touch a", "touch b", "git push"];
  const rules = "environment.command_rules=[{match: touch a, verdict: block, reason: Not a}]";
  const run = async (...config: string[]) => {
    const { steps, logs } = await box.mini([...config, ...await box.script([{ commands }, submit()]), ...TASK]);
    return [steps.slice(0, 2).map(({ exit_code }) => exit_code), logs.map(({ content }) => content)];
  };
  const push = "A command runs: Publishes commits: `git push`";
  deepEqual(await run("-c", rules), [[-1, 0], ["A command was not run: Not a", push]]);
  deepEqual(await run("-c", rules, "-c", "environment.command_policy=warn"), [
    [0, 0],
    ["A command runs although the command policy forbids it: Not a", push],
  ]);
  deepEqual(await run("-c", rules, "-c", "environment.command_policy=off"), [[0, 0], []]);
});
