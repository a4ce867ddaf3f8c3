import { ok, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { finalReport } from "../../src/manager/final_report.ts";
import { codeBlock, codeSpan, plainLine } from "../../src/manager/plain_markdown.ts";
import type { RunResult } from "../../src/manager/run_result.ts";
import { candidate, COMMIT, FakeRun, GOOD_SCRIPT, hypothesis } from "./fake_run.ts";

/** Lines that are neither in a block of code nor in a span of it. */
function prose(markdown: string): string {
  const lines: string[] = [];
  let fence: string | undefined;
  for (const line of markdown.split("\n")) {
    const mark = /^ *(`{3,})/.exec(line)?.[1];
    if (fence === undefined && mark !== undefined) fence = mark;
    else if (fence !== undefined && mark === line.trim() && mark.length >= fence.length) fence = undefined;
    else if (fence === undefined) lines.push(line);
  }
  equal(fence, undefined, "every block is closed");
  return lines.join("\n").replaceAll(/(?<!`)(`+)(?!`)([^]*?[^`])\1(?!`)/g, "CODE");
}

const HOSTILE =
  "@ann <img src=x onerror=alert(1)> [x](javascript:1) #12 o/p#3 GH-9 https://evil.example www.evil.example ``` ~~~ <!-- --> \x1b[2J \u202e | a | ![x](http://y)";

Deno.test("hostile text in a report pings nobody, links nowhere, and has no markup", async () => {
  const run = new FakeRun({
    issue: { title: HOSTILE },
    answers: {
      w1: candidate(`${GOOD_SCRIPT}# \`\`\`\n# ${"`".repeat(9)} @bob <b>\n`),
      w3: hypothesis(7, "return total / len(values)", HOSTILE, 0.9),
    },
    settings: { minimize: false },
  });
  await run.go();
  const text = run.files.get("final.md")!;
  const shown = prose(text);
  ok(shown.includes("ann"), shown);
  ok(!/@\w/.test(shown), shown);
  ok(!/(?<!\\)<\w/.test(shown), shown);
  ok(!/(?<!\\)\]\((?!https:\/\/github\.com\/o\/pkg\/(?:blob|commit)\/)/.test(shown), shown);
  ok(!/#\d/.test(shown), shown);
  ok(!/GH-\d/i.test(shown), shown);
  ok(!/https?:\/\/(?!github\.com\/o\/pkg\/)/.test(shown), shown);
  ok(!/www\.evil/.test(shown), shown);
  ok(!/[\x00-\x08\x0b-\x1f\u202e]/.test(text), "no control characters");
});

Deno.test("evidence and commit link to the repository on the web", async () => {
  const run = new FakeRun();
  await run.go();
  const text = run.files.get("final.md")!;
  ok(text.includes(`[\`pkg/core.py:7\`](https://github.com/o/pkg/blob/${COMMIT}/pkg/core.py#L7)`), text);
  ok(text.includes(`[\`${COMMIT.slice(0, 12)}\`](https://github.com/o/pkg/commit/${COMMIT})`), text);
});

Deno.test("a report without anything found says what is missing", () => {
  const result: RunResult = {
    status: "needs-human",
    rationale: "The issue names no failure",
    verdict: null,
    spec: null,
    commit: COMMIT,
    chosen: null,
    tried: [],
    elsewhere: [],
    firstFixed: null,
    hypotheses: [],
    culprit: null,
    missing: ["The whole error text"],
  };
  equal(
    finalReport(result, { runId: "r1", version: "0.1.0", signature: null, diagnostics: [] }),
    `**Needs somebody**

The issue names no failure

### What is missing

- The whole error text

---

gocore 0.1.0, run \`r1\`, commit \`cccccccccccc\`. Nothing here is believed without a run: a reproducer counts when it failed in the same way every time in a clean copy of that commit.
`,
  );
});

Deno.test("no text ends its block of code, its span of code or its line", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.array(fc.constantFrom("`", "```", "\n", "@a", "#1", "<b>", "\\", " ", "[", "](", "*", "_", "|", "a")).map((
      parts,
    ) => parts.join("")),
  );
  fc.assert(fc.property(text, (any) => {
    const block = codeBlock(any).split("\n");
    const fence = block[0]!;
    ok(block.slice(1, -1).every((line) => !line.trim().startsWith(fence)), JSON.stringify(any));
    equal(block.at(-1), fence);
    const span = codeSpan(any);
    const ticks = /^`+/.exec(span)![0];
    ok(!new RegExp(`(?<!\`)${ticks}(?!\`)`).test(span.slice(ticks.length, -ticks.length)), span);
    const line = plainLine(any);
    ok(!line.includes("\n") && !/@\w|#\d/.test(line) && !/(?<!\\)(?:\\\\)*<\w/.test(line), line);
  }));
});

Deno.test("a report says when nobody knows the cause, and when the issue names no more than a type", async () => {
  const run = new FakeRun({
    issue: { body: "`mean([])` raises ZeroDivisionError" },
    answers: { w1: candidate(GOOD_SCRIPT) },
  });
  await run.go();
  const text = run.files.get("final.md")!;
  ok(text.includes("### What causes it\n\nNobody knows yet: no hypothesis has evidence that is there."), text);
  ok(text.includes("The issue names no more than the type of the failure"), text);
  const named = new FakeRun();
  await named.go();
  ok(!named.files.get("final.md")!.includes("no more than the type"));
});
