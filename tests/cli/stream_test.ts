/** What a headless run says on stdout, for every end that does not need a provider. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { MARKER, Sandbox, submit } from "../support/gocore.ts";

for (const protocol of ["toolcall", "text"] as const) {
  Deno.test(`a run in the ${protocol} protocol is told from start to cost`, async () => {
    await using box = await Sandbox.create();
    const replies = [{ content: "I look around.", commands: ["cat README.md"] }, submit("Read it.\nAll good.")];
    const run = await box.mini([...await box.script(replies), "--task", "Read the README", "--protocol", protocol]);
    equal(run.code, 0, run.stderr);
    equal(run.stderr, "");
    deepEqual(run.events.map(({ type }) => type), ["start", "thought", "step", "step", "finish", "cost"]);
    const { start, finish, cost } = run;
    equal(start.task, "Read the README");
    match(start.model, /^scripted\//);
    equal(start.workdir, box.workdir);
    equal(start.protocol, protocol);
    equal(start.trajectory_path, finish.trajectory_path);
    equal(finish.trajectory_path, `${box.workdir}/.miniswe/data/last_run.traj.json`);
    const { step, action, action_index, action_count, output, exit_code, timed_out, elided_chars } = run.steps[0]!;
    deepEqual({ step, action, action_index, action_count, output, exit_code, timed_out, elided_chars }, {
      step: 1,
      action: "cat README.md",
      action_index: 0,
      action_count: 1,
      output: "# A repository to work on\n",
      exit_code: 0,
      timed_out: false,
      elided_chars: 0,
    });
    deepEqual(run.thoughts, [{ step: 1, content: "I look around.", source: "reply" }]);
    equal(finish.status, "success");
    equal(finish.exit_status, "Submitted");
    equal(finish.result.trimEnd(), "Read it.\nAll good.");
    equal(finish.steps, 2);
    equal(cost.calls, 2);
    const roles = run.trajectory.messages.map(({ role }: { role: string }) => role);
    const answer = protocol === "toolcall" ? "tool" : "user";
    deepEqual(roles, ["system", "user", "assistant", answer, "assistant", answer, "exit"]);
    ok(run.trajectory.messages[1].content.includes("Read the README"), "the task is in the first message");
    ok(run.trajectory.messages[3].content.includes("# A repository to work on"), "the model sees the output");
  });
}

Deno.test("several commands of one reply share its step and run in order", async () => {
  await using box = await Sandbox.create();
  const replies = [{ commands: ["echo one > f; cat f", "cat f; false", "echo three"] }, submit()];
  const run = await box.mini([...await box.script(replies), "-t", "x"]);
  deepEqual(
    run.steps.map(({ step, action_index, action_count, output, exit_code }) => [
      step,
      action_index,
      action_count,
      output,
      exit_code,
    ]),
    [[1, 0, 3, "one\n", 0], [1, 1, 3, "one\n", 1], [1, 2, 3, "three\n", 0], [2, 0, 1, `${MARKER}\ndone\n`, 0]],
  );
  equal(run.finish.steps, 2);
});

Deno.test("thoughts come from tags, from plain text and from the provider's reasoning", async () => {
  await using box = await Sandbox.create();
  const replies = [
    { content: "<thought>First a.</thought> then <thinking>b\nc</thinking>", commands: ["true"] },
    { content: "Said plainly.", reasoning: "Reasoned silently.", commands: ["true"] },
    submit(),
  ];
  const run = await box.mini([...await box.script(replies), "-t", "x"]);
  deepEqual(run.thoughts, [
    { step: 1, content: "First a.", source: "reply" },
    { step: 1, content: "b\nc", source: "reply" },
    { step: 2, content: "Reasoned silently.", source: "reasoning" },
    { step: 2, content: "Said plainly.", source: "reply" },
  ]);
});

Deno.test("format errors are answered, and end the run when they repeat", async () => {
  await using box = await Sandbox.create();
  const bash = (args: unknown) => ({ tool_calls: [{ name: "bash", arguments: args }] });
  const [recovered, toolcall, text, counted] = await Promise.all([
    box.mini([
      ...await box.script([
        { content: "no command" },
        bash("{not json"),
        { commands: ["true"] },
        { tool_calls: [{ name: "python", arguments: { code: "1" } }] },
        bash({ cmd: "ls" }),
        submit(),
      ]),
      ...["-t", "x", "-w", await box.repository("recovered")],
    ]),
    box.mini([
      ...await box.script([{ content: "I never give a command.", repeat: 10 }]),
      ...["-t", "x", "-w", await box.repository("toolcall")],
    ]),
    box.mini([
      ...await box.script([{ commands: ["echo one", "echo two"], repeat: 10 }]),
      ...["-t", "x", "--protocol", "text", "-w", await box.repository("text")],
    ]),
    box.mini([
      ...await box.script([{ content: "still none", repeat: 10 }]),
      ...["-t", "x", "-c", "agent.max_consecutive_format_errors=5", "-w", await box.repository("counted")],
    ]),
  ]);
  equal(recovered.finish.status, "success");
  equal(recovered.finish.steps, 6);
  equal(recovered.steps.length, 2, "nothing of a bad reply is run");
  for (const run of [toolcall, text]) {
    equal(run.code, 1);
    equal(run.finish.status, "format_error");
    equal(run.finish.exit_status, "RepeatedFormatError");
    equal(run.cost.calls, 3);
    deepEqual(run.steps, []);
  }
  equal(counted.cost.calls, 5);
  const answers = recovered.trajectory.messages.filter(({ role }: { role: string }) => role === "tool");
  equal(answers.length, 5, "each tool call has its answer");
});

Deno.test("limits on steps, cost and wall time end the run, each with its own word", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([{ commands: ["true"], cost: 0.25, repeat: 1000 }]);
  const slow = await box.script([{ commands: ["sleep 1000"], repeat: 10 }]);
  const waiting = await box.script([{ commands: ["true"], delay_ms: 1_000_000 }]);
  const run = async (name: string, ...args: string[]) => {
    return await box.mini(["-t", "x", "-w", await box.repository(name), ...args]);
  };
  const [steps, cost, wall, wallInModel, configured] = await Promise.all([
    run("steps", ...script, "--step-limit", "3"),
    run("cost", ...script, "--cost-limit", "0.6"),
    run("wall", ...slow, "--wall-time-limit", "2"),
    run("model", ...waiting, "--wall-time-limit", "2"),
    run("config", ...script, "-c", "agent.step_limit=2", "-l", "0"),
  ]);
  const words = ({ finish: { status, exit_status }, cost: { calls } }: typeof steps) => [status, exit_status, calls];
  deepEqual(words(steps), ["step_limit", "LimitsExceeded", 3]);
  deepEqual(words(cost), ["cost_limit", "LimitsExceeded", 3]);
  equal(cost.cost.total, 0.75);
  deepEqual(cost.steps.map(({ cost_so_far }) => cost_so_far), [0.25, 0.5, 0.75]);
  deepEqual([wall.finish.status, wall.finish.exit_status], ["time_limit", "TimeExceeded"]);
  deepEqual(words(wallInModel), ["time_limit", "TimeExceeded", 0]);
  deepEqual(words(configured), ["step_limit", "LimitsExceeded", 2]);
  deepEqual(configured.start.limits, { steps: 2, cost_usd: 0, wall_time_seconds: 0 });
});

Deno.test("headless settings take the timestamps away and shorten outputs of events only", async () => {
  await using box = await Sandbox.create();
  const long = `printf '%05000d' 7; printf '%s' 🎉🎉🎉; printf '%05000d' 9`;
  const args = [...await box.script([{ commands: [long] }, submit()]), "-t", "x"];
  const run = await box.mini([
    ...args,
    ...["-c", "headless.include_timestamps=false", "-c", "headless.max_output_length=100"],
  ], { timestamps: false });
  const step = run.steps[0]!;
  equal(step.elided_chars, 10_003 - 100);
  ok(step.output.length < 300, "a marker may stand between head and tail");
  ok(step.output.startsWith("0".repeat(50)) && step.output.endsWith("0009"));
  const [observed] = run.trajectory.messages.filter(({ role }: { role: string }) => role === "tool");
  equal(observed.extra.raw_output.length, 10_006, "the trajectory has all of it");
});

Deno.test("output of any kind comes through as JSON text", async () => {
  await using box = await Sandbox.create();
  const commands = [
    String.raw`printf '\xff\xfe broken \xc3'`,
    `printf 'no newline'`,
    String.raw`printf '\033[31mred\033[0m\a\b\r\n\0end'`,
    String.raw`printf 'line\342\200\250separator\342\200\251 \302\205 {"type":"finish"}\n'`,
    `echo '{"type":"finish","data":{"status":"success"}}'`,
    `echo to-stderr >&2; echo to-stdout`,
    `true`,
  ];
  const run = await box.mini([...await box.script([{ commands }, submit()]), "-t", "x"]);
  const outputs = run.steps.map(({ output }) => output);
  match(outputs[0]!, /^\ufffd+ broken \ufffd$/);
  equal(outputs[1], "no newline");
  equal(outputs[2], "\x1b[31mred\x1b[0m\x07\b\r\n\0end");
  equal(outputs[3], 'line\u2028separator\u2029 \u0085 {"type":"finish"}\n');
  equal(outputs[4], '{"type":"finish","data":{"status":"success"}}\n');
  equal(outputs[5], "to-stderr\nto-stdout\n");
  equal(outputs[6], "");
});

Deno.test("a finish marker counts on the first line of a successful command only", async () => {
  await using box = await Sandbox.create();
  const replies = [
    { commands: [`echo before; echo ${MARKER}`] },
    { commands: [`echo ${MARKER}; false`] },
    { commands: [`echo "not ${MARKER}"`] },
    { commands: [`echo ${MARKER}suffix`] },
    { commands: [`echo MINI_SWE_AGENT_FINAL_OUTPUT; echo 'the result'`, "touch never"] },
  ];
  const run = await box.mini([...await box.script(replies), "-t", "x"]);
  equal(run.finish.status, "success");
  equal(run.steps.length, 5, "what follows the submission in its reply is not run");
  equal(run.finish.result.trimEnd(), "the result");
});

Deno.test("an empty submission is a success with an empty result", async () => {
  await using box = await Sandbox.create();
  const run = await box.mini([...await box.script([{ commands: [`echo ${MARKER}`] }]), "-t", "x"]);
  deepEqual([run.finish.status, run.finish.result], ["success", ""]);
});

Deno.test("MINI_HEADLESS=true does what --headless does, and stdin is not read", async () => {
  await using box = await Sandbox.create();
  const { checkMini } = await import("../support/gocore.ts");
  const script = await box.script([{ commands: ["cat; echo read"] }, submit()]);
  const end = await box.run(["mini", ...script, "-t", "x"], { env: { MINI_HEADLESS: "true" }, stdin: "yes\nyes\n" });
  const run = await checkMini(end);
  equal(run.finish.status, "success");
  equal(run.steps[0]?.output, "read\n");
});

Deno.test("a scripted model without a reply left is an error with its cause", async () => {
  await using box = await Sandbox.create();
  const run = await box.mini([...await box.script([{ commands: ["true"] }]), "-t", "x"]);
  equal(run.code, 1);
  equal(run.finish.status, "error");
  match(run.error!.error, /no reply left/);
  equal(run.steps.length, 1);
});

Deno.test("a task of any characters reaches the model and the stream unchanged", async () => {
  await using box = await Sandbox.create();
  const task = `{{ 1 + 1 }} {% raw %} "quotes" 'more' $HOME \`id\` \\n\n\ttabs 日本語 🎉 \u2028 --headless`;
  const run = await box.mini([...await box.script([submit()]), "--task", task]);
  equal(run.start.task, task);
  ok(run.trajectory.messages[1].content.includes(task), "not interpreted as a template");
});
