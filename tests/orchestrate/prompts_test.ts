import { ok, strictEqual as equal } from "node:assert/strict";
import {
  conflictPrompt,
  feedbackPrompt,
  limitPrompt,
  nudgePrompt,
  type TaskPrompt,
  taskPrompt,
  verifyPrompt,
} from "../../src/orchestrate/prompts.ts";
import { assignment } from "./session_log.ts";

/** One argument of a program on Linux. */
const MAX_ARGUMENT_BYTES = 128 * 1024;
const bytesIn = (text: string) => new TextEncoder().encode(text).length;

const prompt = (more: Partial<TaskPrompt> = {}) =>
  taskPrompt({
    task: "Mend the parser",
    assignment: assignment({ prompt: "You are the implementer." }),
    results: [],
    former: undefined,
    isShared: false,
    ...more,
  });

Deno.test("a worker is told its part, the task, the results that it needs, and how to tell how it goes", () => {
  const results = [
    { title: "Design", agent: "gemini", text: "Change parse()", missing: false },
    { title: "Docs", agent: "codex", text: "it\nfailed", missing: true },
  ];
  equal(
    prompt({ results }),
    `You are the implementer.

===== the whole task =====
Mend the parser
===== end of the whole task =====

===== result of "Design" by gemini =====
Change parse()
===== end of result of "Design" by gemini =====

===== why "Docs" by codex is missing; do without it =====
it failed
===== end of why "Docs" by codex is missing; do without it =====

You work in a copy of the repository of your own. Leave your changes in it; they are committed and merged for you. Do not push, and do not switch branches.

Nobody can answer questions while you work: decide, and say what you decided. End with a short message that says what you did and what is open.

While you work you can tell how it goes, each in a line of its own in a message: {"type": "progress", "payload": {"text": "…", "progress": 40}}. Types: status, progress (0 to 100), finding, milestone (a part is finished and worth a review), blocker (you cannot go on), request_review, error.`,
  );
});

Deno.test("who shares the folder is told so, and not of a copy", () => {
  const shared = prompt({ isShared: true });
  ok(shared.includes("Others work in the same folder at the same time"));
  ok(!shared.includes("copy of the repository"));
});

Deno.test("who goes on with a former attempt is told what it left", () => {
  const former = { reason: "a resource\nlimit", files: ["a.ts", "b\nc.ts"], said: "Half done" };
  ok(
    prompt({ former }).includes(
      `A former attempt at this was cut off (a resource limit). Its work is in the current folder: look at it with git, go on from there, and do not begin again.

===== files that it changed =====
a.ts
b c.ts
===== end of files that it changed =====

===== what it said last =====
Half done
===== end of what it said last =====
`,
    ),
  );
  const nothing = prompt({ former: { reason: "x", files: [], said: "" } });
  ok(nothing.includes("\n\nIt changed no file.\n\n"));
  ok(!nothing.includes("what it said last"));
});

Deno.test("an author gets what reviewers found and what a person says, and its task when it does not know it", () => {
  const review = [{ reviewer: "codex-r1", text: "concerns: odd\n- src/a.ts:3 odd" }];
  equal(
    feedbackPrompt({ review, answer: "Do it", isResumed: true, task: "Mend the parser" }),
    `Your work was reviewed. Mend what is right in the following, with the smallest change; where a reviewer is wrong, say why and leave it.

===== review by codex-r1 =====
concerns: odd
- src/a.ts:3 odd
===== end of review by codex-r1 =====

===== a person's answer, which counts =====
Do it
===== end of a person's answer, which counts =====

The current folder has your work. End with a short message that says what you changed.`,
  );
  equal(
    feedbackPrompt({ review: [], answer: undefined, isResumed: false, task: "Mend the parser" }),
    `===== your task, which you have worked on before =====
Mend the parser
===== end of your task, which you have worked on before =====

The current folder has your work. End with a short message that says what you changed.`,
  );
});

Deno.test("who was stopped is told why", () => {
  equal(
    nudgePrompt("no output\nfor 300 s"),
    "You were stopped because nothing moved any more: no output for 300 s. Your work so far is in the current folder. " +
      "Take another way, or end with a message that says what is done and what is open.",
  );
  equal(
    limitPrompt("memory", { allowed: 2048, found: 3000, unit: "MB" }),
    "You were stopped because what you ran used more memory than is allowed: 3000 MB, at most 2048 MB. Your work so far " +
      "is in the current folder. Go on with less: fewer parallel jobs, smaller parts.",
  );
});

Deno.test("who helps with the result gets the files or the check, and the task", () => {
  ok(
    conflictPrompt({ task: "T", files: ["a\n===== b"], branch: "gocore/x/api" }).startsWith(
      `Two agents have worked on parts of a task, and merging the branch gocore/x/api has conflicts.

====== files with conflicts ======
a ===== b
====== end of files with conflicts ======

===== task =====
T
===== end of task =====
`,
    ),
  );
  ok(
    verifyPrompt({ task: "T", command: "make test", output: "x".repeat(9000) + "the end" }).includes(
      `The check: make test

===== the end of its output =====
${"x".repeat(7993)}the end
===== end of the end of its output =====
`,
    ),
  );
});

Deno.test("no prompt is too long for an argument, whatever the texts are", () => {
  const huge = "€=\0\n".repeat(50_000);
  const equals = "=".repeat(200_000);
  const files = Array(300).fill("€=\n".repeat(800));
  for (const text of [huge, equals, `${"=".repeat(1000)} ${"x".repeat(200_000)}`]) {
    const results = Array.from(
      { length: 15 },
      (_, n) => ({ title: text.slice(0, 200), agent: "a", text, missing: n % 2 === 0 }),
    );
    const prompts = [
      prompt({
        task: text,
        // As much as a plan may have.
        assignment: assignment({ prompt: "x".repeat(20_000) }),
        results,
        former: { reason: text, files, said: text },
      }),
      feedbackPrompt({
        review: Array.from({ length: 8 }, () => ({ reviewer: "r", text })),
        answer: text,
        isResumed: false,
        task: text,
      }),
      conflictPrompt({ task: text, files, branch: "b" }),
      verifyPrompt({ task: text, command: "make", output: text }),
      nudgePrompt(text),
    ];
    for (const [index, prompt] of prompts.entries()) {
      ok(bytesIn(prompt) < MAX_ARGUMENT_BYTES, `${index}: ${bytesIn(prompt)}`);
      ok(!prompt.includes("\0"));
    }
  }
});
