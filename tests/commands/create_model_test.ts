import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { wrapCommand } from "../../src/commands/create_model.ts";
import { textProtocol } from "../../src/mini/protocol.ts";

Deno.test("wrapCommand() writes a command so that the pattern of any known configuration finds it", () => {
  const patterns = [
    "```bash\\s*\\n(.*?)\\n```",
    "```mswea_bash_command\\s*\\n(.*?)\\n```",
    "<bash_code>(.*?)</bash_code>",
    "<run>\\s*(?<command>.*?)\\s*</run>",
    "ACTION: (.+)",
  ];
  for (const pattern of patterns) {
    const content = `I think.\n\n${wrapCommand("echo a\necho $b", pattern)}`;
    const parsed = textProtocol(pattern).parse({
      content,
      toolCalls: [],
      reasoning: "",
      finishReason: "stop",
      usage: undefined,
      cost: { usd: 0, source: "provider" },
      raw: null,
    });
    deepEqual(parsed, { kind: "actions", actions: [{ command: "echo a\necho $b" }] }, pattern);
  }
});

Deno.test("wrapCommand() falls back to a bash block for a pattern it cannot turn around", () => {
  equal(wrapCommand("ls", "<(a|b)>([^<]*)"), "```bash\nls\n```");
});
