import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { submissionIn, textProtocol, toolcallProtocol } from "../../src/mini/protocol.ts";
import type { ChatReply, ToolCall } from "../../src/models/chat_model.ts";

const FENCE = "```bash\\s*\\n(.*?)\\n```";

function reply(content: string, toolCalls: ToolCall[] = []): ChatReply {
  return {
    content,
    toolCalls,
    reasoning: "",
    finishReason: "stop",
    usage: undefined,
    cost: { usd: 0, source: "provider" },
    raw: {},
  };
}

const call = (name: string, args: string, id = "c1"): ToolCall => ({ id, name, arguments: args });

Deno.test("textProtocol() takes the one fenced block, several lines of it", () => {
  deepEqual(textProtocol(FENCE).parse(reply("I look.\n```bash\nls\n\necho é\n```\nDone.")), {
    kind: "actions",
    actions: [{ command: "ls\n\necho é" }],
  });
});

Deno.test("textProtocol() refuses no block and two blocks, and counts them", () => {
  for (const [content, found] of [["nothing", []], ["```bash\na\n```\n```bash\nb\n```", ["a", "b"]]] as const) {
    const parsed = textProtocol(FENCE).parse(reply(content));
    ok(parsed.kind === "format_error");
    deepEqual(parsed.found, found);
    match(parsed.error, new RegExp(`found ${found.length}`));
  }
});

Deno.test("textProtocol() takes the whole match of a pattern without a group", () => {
  deepEqual(textProtocol("RUN .*?$").parse(reply("RUN ls")), { kind: "actions", actions: [{ command: "RUN ls" }] });
});

Deno.test("textProtocol() finds what the pattern finds, whatever the pattern ends with", () => {
  const patterns = [FENCE, "`(.*?)`", "\\\\n`", "a\\w`", "`a|b\\n`", "`(?=.*b)(.*?)`", "(?i:`A(.*?)`)", "a(.*?)$"];
  const words = fc.constantFrom("```", "`", "bash", "a", "b", "\n", "\\n", " ");
  const texts = fc.array(words).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.constantFrom(...patterns), texts, (pattern, text) => {
    const all = Array.from(text.matchAll(new RegExp(pattern, "gsu")), (found) => (found[1] ?? found[0]).trim());
    const parsed = textProtocol(pattern).parse(reply(text));
    deepEqual(parsed.kind === "actions" ? parsed.actions.map(({ command }) => command) : parsed.found, all);
  }));
});

Deno.test("textProtocol() takes linear time for fences that are never closed", () => {
  for (const content of ["```bash\nx".repeat(500_000), "```bash" + "\n".repeat(2_000_000)]) {
    equal(textProtocol(FENCE).parse(reply(content)).kind, "format_error");
    equal(textProtocol(FENCE).parse(reply(`${content}\n\`\`\``)).kind, "actions");
  }
});

Deno.test("textProtocol() keeps no state between replies", () => {
  const protocol = textProtocol(FENCE);
  const same = reply("```bash\nls\n```");
  deepEqual(protocol.parse(same), protocol.parse(same));
});

Deno.test("toolcallProtocol takes several calls in their order", () => {
  deepEqual(
    toolcallProtocol.parse(reply("", [call("bash", '{"command":"a"}'), call("bash", '{"command":"b","x":1}', "c2")])),
    { kind: "actions", actions: [{ command: "a", toolCallId: "c1" }, { command: "b", toolCallId: "c2" }] },
  );
});

Deno.test("toolcallProtocol answers unusable calls with what was wrong", () => {
  const cases: [ToolCall[], RegExp][] = [
    [[], /no tool call/],
    [[call("python", "{}")], /Unknown tool "python"/],
    [[call("bash", '{"command":')], /not valid JSON/],
    [[call("bash", "{}")], /need "command"/],
    [[call("bash", '{"command":3}')], /need "command"/],
    [[call("bash", "null")], /need "command"/],
    [[call("bash", '{"command":"ok"}'), call("edit", "{}", "c2")], /Unknown tool "edit"/],
  ];
  for (const [calls, expected] of cases) {
    const parsed = toolcallProtocol.parse(reply("text", calls));
    ok(parsed.kind === "format_error");
    match(parsed.error, expected);
  }
});

Deno.test("submissionIn() finds either marker on the first line only", () => {
  equal(submissionIn("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\nall\ndone\n"), "all\ndone\n");
  equal(submissionIn("\n  MINI_SWE_AGENT_FINAL_OUTPUT  \r\nx"), "x");
  equal(submissionIn("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"), "");
  equal(submissionIn("ls\nCOMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"), undefined);
  equal(submissionIn("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT!"), undefined);
  equal(submissionIn(""), undefined);
});
