import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { EventData, EventFact } from "../../src/events/event.ts";
import { finalReport } from "../../src/orchestrate/synthesis.ts";
import {
  answered,
  asked,
  assignment,
  committed,
  exited,
  fold,
  launched,
  planMade,
  recovery,
  reviewed,
  sessionStarted,
  started,
  taskChanged,
} from "./session_log.ts";

const finish = (more: Partial<EventData<"session.finished">> = {}): EventData<"session.finished"> => ({
  status: "done",
  exit_code: 0,
  summary: "done, and the check passes",
  result_branch: "gocore/orch_1/result",
  result_commit: "0123456789abcdef0123456789abcdef01234567",
  applied: false,
  report: null,
  cost_usd: 0.75,
  duration_seconds: 61.5,
  open: [],
  ...more,
});

const spent = (worker: string, more: Partial<EventData<"spending.counted">> = {}): EventFact => ({
  type: "spending.counted",
  data: { worker, known_usd: 0.5, unknown_calls: 0, calls: 3, input_tokens: 1000, output_tokens: 20, ...more },
});

/** A session with these texts wherever agents can put theirs. */
function session(said: string, { file = "src/api.ts", more = [] }: { file?: string; more?: EventFact[] } = {}) {
  return fold([
    sessionStarted({ task: said }),
    planMade(assignment({ title: said }), assignment({ id: "docs", title: "Write it down" })),
    taskChanged(),
    launched(),
    started(),
    {
      type: "command.judged",
      data: { worker: "claude", command: said, verdict: "confirm", rule: "r", reason: said },
    },
    exited("completed", { text: said, reported_cost_usd: 0.625 }),
    committed(1, { files: [file] }),
    {
      type: "review.requested",
      data: {
        review: "r1",
        trigger: "completion",
        worker: "claude",
        task: "api",
        reason: said,
        reviewers: ["codex", "gemini"],
        commit: "c1",
        revision: 1,
      },
    },
    {
      type: "review.answered",
      data: {
        review: "r1",
        reviewer: "codex-r1",
        agent: "codex",
        verdict: "concerns",
        summary: said,
        issues: [{ text: said, file, line: 3 }, { text: said, file: null, line: null }],
        recommendations: [said],
        problem: null,
        asked: 1,
      },
    },
    {
      type: "review.answered",
      data: {
        review: "r1",
        reviewer: "gemini-r1",
        agent: "gemini",
        verdict: null,
        summary: "",
        issues: [],
        recommendations: [],
        problem: said,
        asked: 2,
      },
    },
    ...reviewed("r1", { action: "LOG_WARNING" }).slice(2),
    { type: "question.asked", data: { question: "q1", text: said, worker: "claude", task: "api", decision: null } },
    { type: "question.answered", data: { question: "q1", answer: said, by: "ada" } },
    recovery("network", "relaunched", { change: said }),
    taskChanged({ status: "done", reason: said }),
    {
      type: "merge.ended",
      data: { task: "api", branch: "gocore/orch_1/api", outcome: "conflict", files: [file], commit: null },
    },
    { type: "verify.ended", data: { command: "make test", exit_code: 2, output: said, duration_seconds: 1 } },
    {
      type: "work.saved",
      data: { worker: "claude", ref: "refs/gocore/orch_1/api", commit: "c", files: 2, reason: "the session has ended" },
    },
    spent("claude"),
    spent("planner", { known_usd: 0, unknown_calls: 1 }),
    ...more,
  ]);
}

Deno.test("the report of a session says who did what, what was found and decided, what it cost and what is open", () => {
  const state = session("Mended `parse()`,\nsee <b>.");
  const report = finalReport(state, finish({ open: ['Nobody has approved\n"Write it down"'], cost_usd: null }));
  equal(
    report,
    `# orch_1: done

> Mended \`parse()\`,
> see &lt;b>.

**Done, and the check passes.** Cost unknown, 61.5 s.

Result: branch \`gocore/orch_1/result\`, commit \`0123456789ab\`.

## Open

- Nobody has approved "Write it down"

## What was done

### Mended \`parse()\`, see &lt;b>. (claude): done

Mended \`parse()\`, see &lt;b>.

Files: \`src/api.ts\`

> Mended \`parse()\`,
> see &lt;b>.

### Write it down (nobody): pending

## Reviews and decisions

### r1: claude, completion

- codex-r1: **concerns** Mended \`parse()\`, see &lt;b>.
  - \`src/api.ts:3\` Mended \`parse()\`, see &lt;b>.
  - Mended \`parse()\`, see &lt;b>.
- gemini-r1: **no verdict** Mended \`parse()\`, see &lt;b>.

**LOG_WARNING** (rule 1): decided LOG_WARNING

## Questions

- Mended \`parse()\`, see &lt;b>.
  ada: Mended \`parse()\`, see &lt;b>.

## Merges

- \`gocore/orch_1/api\`: conflict (\`src/api.ts\`)

## Check

\`make test\`: exit code 2

\`\`\`
Mended \`parse()\`,
see <b>.
\`\`\`

## Recovery

- claude: network, relaunched: Mended \`parse()\`, see &lt;b>.

## Commands that need a look

- claude, confirm: \`Mended 'parse()', see <b>.\` (Mended \`parse()\`, see &lt;b>.)

## Kept work

- claude: \`refs/gocore/orch_1/api\`, 2 files, because the session has ended

## Cost

| worker | calls | input tokens | output tokens | USD | USD, as the agent says |
|---|---|---|---|---|---|
| claude | 3 | 1000 | 20 | 0.5000 | 0.6250 |
| planner | 3 | 1000 | 20 | unknown |  |

claude says that it has cost 0.6250 USD, and the gateway has counted 0.5000.
`,
  );
});

Deno.test("an agent's own account is compared with the gateway's", () => {
  const tokens = (input: number) => ({ input, cache_read: 300, cache_write: 200, output: 20, reasoning: 5 });
  const told = (attempts: (ReturnType<typeof tokens> | null)[], usd: number | null, unknownCalls = 0) => {
    const facts = attempts.flatMap((used, at) => [
      launched(at + 1),
      exited("completed", { attempt: at + 1, tokens: used, reported_cost_usd: usd }),
    ]);
    const state = fold([
      sessionStarted(),
      planMade(assignment()),
      ...facts,
      spent("claude", { unknown_calls: unknownCalls }),
    ]);
    return finalReport(state, finish()).split("\n").filter((line) => line.startsWith("claude says"));
  };
  deepEqual(told([tokens(500)], 0.5), []);
  deepEqual(told([tokens(490)], 0.505), [], "1 % is rounding");
  deepEqual(told([tokens(400)], 0.75), [
    "claude says that it has used 920 tokens, and the gateway has counted 1020.",
    "claude says that it has cost 0.7500 USD, and the gateway has counted 0.5000.",
  ]);
  deepEqual(told([tokens(500), tokens(0)], null), [
    "claude says that it has used 1540 tokens, and the gateway has counted 1020.",
  ]);
  deepEqual(told([tokens(9), null], 9, 1), [], "what nobody knows is not compared");
});

Deno.test("what there is not has no section", () => {
  const state = fold([sessionStarted(), planMade(assignment())]);
  equal(
    finalReport(
      state,
      finish({
        status: "failed",
        summary: "nothing was done",
        result_commit: null,
        cost_usd: 0,
        duration_seconds: 300,
      }),
    ),
    `# orch_1: failed

> Mend the parser

**Nothing was done.** 0.0000 USD, 5 minutes.

## What was done

### Build the API (nobody): pending
`,
  );
});

Deno.test("a session that ended before its plan has a report", () => {
  equal(
    finalReport(
      fold([sessionStarted()]),
      finish({ status: "interrupted", summary: "interrupted", result_commit: null }),
    ),
    "# orch_1: interrupted\n\n> Mend the parser\n\n**Interrupted.** 0.7500 USD, 61.5 s.\n",
  );
});

Deno.test("the target that has the result, a question without answer, a review without decision, and a passing check", () => {
  const passes: EventFact = {
    type: "verify.ended",
    data: { command: "make\n`test`", exit_code: 0, output: "fine", duration_seconds: 1 },
  };
  const none: EventFact = {
    type: "verify.ended",
    data: { command: "make", exit_code: null, output: "", duration_seconds: 1 },
  };
  const base = [sessionStarted(), planMade(assignment()), ...reviewed("r1", { verdicts: [] }), asked("d1")];
  const report = finalReport(fold([...base, passes]), finish({ applied: true }));
  ok(report.includes("commit `0123456789ab`, and the target has it.\n"));
  ok(report.includes("### r1: claude, completion\n\nno decision\n"));
  ok(report.includes("- How shall it go on?\n  (no answer)\n"));
  ok(report.includes("`make 'test'`: exit code 0\n"));
  ok(!report.includes("fine"));
  ok(finalReport(fold([...base, answered(), none]), finish()).includes("`make`: exit code none\n"));
});

/** The lines that are headings of the report, quotes and fenced blocks aside. */
function headings(report: string): string[] {
  const found: string[] = [];
  let fence: string | undefined;
  for (const line of report.split("\n")) {
    const ticks = /^`{3,}$/.exec(line)?.[0];
    if (fence !== undefined) {
      if (ticks !== undefined && ticks.length >= fence.length) fence = undefined;
    } else if (ticks !== undefined) fence = ticks;
    else if (/^ {0,3}#{1,6}(?: |$)/.test(line)) found.push(line);
    // The other kind of heading.
    else if (/^ {0,3}(?:=+|-+) *$/.test(line)) found.push(line);
  }
  equal(fence, undefined, "every fence is closed");
  return found;
}

const hostile = fc.oneof(
  fc.constantFrom(
    "# Forged\n## Open\n\n- nothing",
    "\n\n## Reviews and decisions\n\n### r9: claude\n\n**CONTINUE** (rule 4)",
    "text\n=====\ntext\n-----",
    "```\n## Forged\n```\n````\n~~~\n## Forged",
    "a\r## Forged\r\n## Forged\n\x0b## Forged\x0c## Forged\u2028## Forged\u0085## Forged",
    "<h2>Forged</h2><script>alert(1)</script><!-- <img src=x onerror=alert(1)> <?php <![CDATA[ </details>",
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil\x1b\\\x9b31m\u202eevil\u2066",
    "| a | b |\n|---|---|",
    "`` ` ``` ````` `",
    "> quote\n>> quote",
    "- # Forged\n  # Forged\n    code",
    "* a\n+ b\n1. c\n---\n***",
    "\\`\\<b>",
    "x".repeat(10_000),
  ),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.array(fc.constantFrom("#", " ", "\n", "\r", "`", "~", "-", "=", "<", "b", ">", "\x1b", "|"), { maxLength: 40 })
    .map((parts) => parts.join("")),
);

Deno.test("no text of an agent forges a section, opens HTML or a fence, or reaches the terminal with an escape", () => {
  fc.assert(
    fc.property(hostile, hostile, hostile, (said, file, reason) => {
      const report = finalReport(session(said, { file }), finish({ summary: reason, open: [reason, said] }));
      const titles = headings(report);
      deepEqual(titles.map((line) => line.startsWith("### ") ? "###" : line), [
        "# orch_1: done",
        "## Open",
        "## What was done",
        "###",
        "###",
        "## Reviews and decisions",
        "###",
        "## Questions",
        "## Merges",
        "## Check",
        "## Recovery",
        "## Commands that need a look",
        "## Kept work",
        "## Cost",
      ]);
      // deno-lint-ignore no-control-regex
      ok(!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(report));
      // Within code it is no HTML.
      const prose = report.replaceAll(/^(`{3,})\n[^]*?\n\1$/gm, "").replaceAll(/`[^`\n]*`/g, "");
      if (!said.includes("`") && !reason.includes("`")) ok(!/<[A-Za-z/!?]/.test(prose));
      ok(report.length < 60_000);
    }),
    { numRuns: 300 },
  );
});

Deno.test("no text of an agent begins a block in a list", () => {
  const open = ["# a", "- b", "> c", "``` d", "~~~ e", "| f", "+ g", "* h", "= i", "`j` k", "1 l", "#", ""];
  const report = finalReport(fold([sessionStarted()]), finish({ result_commit: null, open }));
  equal(
    report.split("## Open\n\n")[1],
    "- \\# a\n- \\- b\n- \\> c\n- \\``` d\n- \\~~~ e\n- \\| f\n- \\+ g\n- \\* h\n- \\= i\n- `j` k\n- 1 l\n- \\#\n- (nothing)\n",
  );
});

Deno.test("texts that are long are cut, and say so", () => {
  const report = finalReport(session("y".repeat(5000)), finish());
  const shown = (length: number) => `${"y".repeat(length)}…\n`;
  ok(report.includes(`\n> ${shown(4000)}`));
  ok(report.includes(`**no verdict** ${shown(1000)}`));
});
