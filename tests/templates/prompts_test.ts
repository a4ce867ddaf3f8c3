import { match, ok, strictEqual as equal } from "node:assert/strict";
import { DEFAULT_ACTION_REGEX, DEFAULT_PROMPTS } from "../../src/templates/prompts.ts";
import { loadRenderer } from "../../src/templates/render.ts";

const renderer = await loadRenderer();
const PROTOCOLS = ["toolcall", "text"] as const;
const FINISH = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";

const INSTANCE_VARIABLES = {
  task: "Make {{ the }} tests pass",
  cwd: "/srv/project",
  timeout: 30,
  system: "Linux",
  release: "6.1.0",
  machine: "x86_64",
};

function observation(output: Record<string, unknown>): string {
  const complete = { output: "", returncode: 0, exception_info: "", elided_bytes: 0, duration_seconds: 0.1, ...output };
  return renderer.render("observation", DEFAULT_PROMPTS.toolcall.observation, { output: complete });
}

function commandsIn(text: string): string[] {
  return Array.from(text.matchAll(new RegExp(DEFAULT_ACTION_REGEX, "gs")), (found) => found[1]!);
}

for (const protocol of PROTOCOLS) {
  const prompts = DEFAULT_PROMPTS[protocol];

  Deno.test(`the ${protocol} prompts need no variable but the documented ones`, () => {
    ok(renderer.render("system", prompts.system, {}).length > 0);
    const instance = renderer.render("instance", prompts.instance, INSTANCE_VARIABLES);
    for (const value of Object.values(INSTANCE_VARIABLES)) ok(instance.includes(String(value)), String(value));
    ok(!/\{\{ (?!the \}\})|\{%/.test(instance), "markup of the template is left in the text");
    ok(renderer.render("format_error", prompts.formatError, { error: "no block" }).includes("no block"));
  });

  Deno.test(`the ${protocol} instance prompt gives the hint about sed on macOS only`, () => {
    const linux = renderer.render("instance", prompts.instance, INSTANCE_VARIABLES);
    const mac = renderer.render("instance", prompts.instance, { ...INSTANCE_VARIABLES, system: "Darwin" });
    ok(!linux.includes("sed -i ''"));
    ok(mac.includes("sed -i ''"));
  });

  Deno.test(`the ${protocol} prompts tell how to finish, on a line of its own`, () => {
    match(renderer.render("instance", prompts.instance, INSTANCE_VARIABLES), new RegExp(`^${FINISH}$`, "m"));
    ok(renderer.render("format_error", prompts.formatError, { error: "x" }).includes(FINISH));
  });

  Deno.test(`the ${protocol} format error tells a reply that was cut off from one of the wrong form`, () => {
    const render = (variables: Record<string, unknown>) =>
      renderer.render("format_error", prompts.formatError, { error: "the problem", actions: ["a", "b"], ...variables });
    const cutOff = render({ finish_reason: "length", has_tool_calls: false });
    ok(cutOff.includes("token limit") && !cutOff.includes("the problem"));
    for (const variables of [{}, { finish_reason: "stop" }, { finish_reason: undefined }]) {
      const wrongForm = render(variables);
      ok(wrongForm.includes("the problem") && !wrongForm.includes("token limit"));
    }
  });
}

Deno.test("the text prompts show examples that the action pattern takes", () => {
  const { system, instance, formatError } = DEFAULT_PROMPTS.text;
  equal(commandsIn(renderer.render("system", system, {})).length, 1);
  equal(commandsIn(renderer.render("format_error", formatError, { error: "x" })).length, 1);
  const commands = commandsIn(renderer.render("instance", instance, INSTANCE_VARIABLES));
  equal(commands.length, 2);
  ok(commands[1]!.includes(FINISH));
});

Deno.test("the toolcall prompts show no fenced block, which would not be executed", () => {
  const { system, instance, formatError } = DEFAULT_PROMPTS.toolcall;
  for (const prompt of [system, instance, formatError]) ok(!prompt.includes("```"));
});

Deno.test("an observation shows the return code and the output as it is", () => {
  equal(
    observation({ output: "{{ x }}\n<b>\n", returncode: 2 }),
    "<returncode>2</returncode>\n<output>\n{{ x }}\n<b>\n\n</output>",
  );
});

Deno.test("an observation of up to 10000 characters is whole, a longer one loses its middle, counted in characters", () => {
  const fits = "😀".repeat(10_000);
  ok(observation({ output: fits }).includes(fits));
  const long = `${"a".repeat(5_000)}${"😀".repeat(7)}${"z".repeat(5_000)}`;
  const shown = observation({ output: long });
  match(shown, /<output_head>\na{5000}\n<\/output_head>/);
  match(shown, /<left_out>7 characters\./);
  match(shown, /<output_tail>\nz{5000}\n<\/output_tail>/);
  ok(!shown.includes("😀"));
  match(observation({ output: long, elided_bytes: 12_345 }), /7 characters, and 12345 bytes/);
});

Deno.test("an observation of a timeout says that the command was killed and what to do", () => {
  const shown = observation({
    returncode: -1,
    exception_info: "The command timed out after 30 seconds and was killed",
    output: "partial",
  });
  ok(shown.startsWith("<exception>The command timed out after 30 seconds and was killed</exception>\n<hint>"));
  ok(shown.endsWith("<returncode>-1</returncode>\n<output>\npartial\n</output>"));
  ok(!observation({ returncode: -1, exception_info: "No such program" }).includes("<hint>"));
});
