import { ok, strictEqual as equal } from "node:assert/strict";
import { renderEvent } from "../../src/terminal/render_event.ts";
import { stepData } from "../support/step_data.ts";

const step = (output: string, more: Parameters<typeof stepData>[0] = {}) => ({
  type: "step" as const,
  data: stepData({ action: "printf x\nls", output, ...more }),
});

Deno.test("renderEvent() shows a command, its output and how it ended", () => {
  equal(renderEvent(step("a\nb\n"), { colour: false }), "\n$ printf x\n  ls\n  a\n  b\n");
  equal(renderEvent(step("", { exit_code: 3 }), { colour: false }), "\n$ printf x\n  ls\n  exit code 3\n");
  equal(
    renderEvent(step("", { exit_code: -1, exception_info: "No such shell" }), { colour: false }),
    "\n$ printf x\n  ls\n  No such shell\n",
  );
  equal(
    renderEvent(step("1\n2\n3", {}), { colour: false, maxOutputLines: 2 }),
    "\n$ printf x\n  ls\n  1\n  2\n  … 1 more lines\n",
  );
});

Deno.test("renderEvent() lets no escape sequence of a command or a model through", () => {
  for (
    const event of [step("\x1b[2J\x1b]0;title\x07"), {
      type: "thought" as const,
      data: { step: 1, content: "\x1b[31m", source: "reply" as const },
    }]
  ) {
    ok(!renderEvent(event, { colour: false }).includes("\x1b"));
  }
});
