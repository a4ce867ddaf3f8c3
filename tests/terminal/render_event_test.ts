import { ok, strictEqual as equal } from "node:assert/strict";
import { renderEvent } from "../../src/terminal/render_event.ts";

const step = (output: string, more: Record<string, unknown> = {}) => ({
  type: "step" as const,
  data: {
    step: 1,
    action: "printf x\nls",
    action_index: 0,
    action_count: 1,
    output,
    exit_code: 0,
    timed_out: false,
    exception_info: "",
    elided_bytes: 0,
    elided_chars: 0,
    duration_seconds: 0,
    cost_so_far: 0,
    ...more,
  },
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
