import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import { runShow, type ShowFlags } from "../../../src/commands/orchestrate/show.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { summaryRecord } from "../../../src/http/session_records.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { asked, fakeIo, finished, launched, MINUTE, START_MS, started, status, writeSession } from "./sessions.ts";

const NOW_MS = START_MS + 90 * MINUTE;

async function show(cwd: string, flags: Partial<ShowFlags> = {}): Promise<string> {
  const { io, stdout, stderr } = fakeIo(cwd, { nowMs: NOW_MS });
  equal(await runShow({ session: "last", ...flags }, io), 0);
  equal(stderr(), "");
  return stdout().replaceAll(cwd, "{cwd}");
}

const task = (id: string, title: string) => ({
  id,
  title,
  role: "implementer",
  agent: "claude",
  prompt: "…",
  depends_on: [],
  writes: true,
  load: 0.5,
});

const FACTS: EventFact[] = [
  started({ task: "Add a\n--json flag \x1b]0;owned\x07", budget_usd: 5 }),
  {
    type: "preflight.checked",
    data: { agents: [], tier: 4, tier_name: "degraded", reason: "claude and codex; gemini: not found" },
  },
  {
    type: "plan.made",
    data: {
      breakdown: {
        task: "Add a flag",
        source: "default",
        assignments: [task("implementation", "Implement the task"), task("problem_solving", "Find problems")],
      },
      cost_cap_usd: 5,
      cost_estimate_usd: 0.12,
      note: "",
    },
  },
  {
    type: "task.changed",
    data: {
      task: "implementation",
      status: "running",
      worker: "claude",
      agent: "claude",
      reason: "given to claude",
      commit: null,
      attempt: 0,
      files: [],
    },
  },
  launched("claude"),
  {
    type: "worker.event",
    data: {
      worker: "claude",
      offset: 10,
      event: { type: "progress", agent: "claude", timestamp: "", payload: { text: "Half\nway", progress: 50 } },
    },
  },
  { type: "worker.liveness", data: { worker: "claude", verdict: "waiting_model", proof: "", idle_seconds: 1 } },
  {
    type: "review.requested",
    data: {
      review: "r1",
      trigger: "milestone",
      worker: "claude",
      task: "implementation",
      reason: "",
      reviewers: ["codex"],
      commit: null,
      revision: 0,
    },
  },
  {
    type: "review.answered",
    data: {
      review: "r1",
      reviewer: "codex",
      agent: "codex",
      verdict: "concerns",
      summary: "The flag is\nnot documented",
      issues: [{ text: "No test", file: "src/a.ts", line: 12 }, { text: "Vague", file: null, line: null }],
      recommendations: ["Add a test"],
      problem: null,
      asked: 1,
    },
  },
  {
    type: "review.answered",
    data: {
      review: "r1",
      reviewer: "mini",
      agent: "mini",
      verdict: null,
      summary: "",
      issues: [],
      recommendations: [],
      problem: "its answer was no JSON",
      asked: 2,
    },
  },
  {
    type: "decision.made",
    data: {
      decision: "d1",
      review: "r1",
      action: "PAUSE_AND_CLARIFY",
      rule: "2",
      reason: "concerns of codex",
      worker: "claude",
      task: "implementation",
    },
  },
  {
    type: "recovery.attempted",
    data: {
      worker: "claude",
      cause: "rate_limit",
      attempt: 1,
      change: "waits",
      outcome: "relaunched",
      suggestions: ["Ask for more"],
      wait_seconds: 5,
    },
  },
  asked("q1", "Which format?\nJSON or \u202eCSV?"),
  asked("q2", "Which name?"),
  { type: "question.answered", data: { question: "q2", answer: "--json", by: "ivg" } },
  {
    type: "spending.counted",
    data: { worker: "claude", known_usd: 0.5, unknown_calls: 0, calls: 3, input_tokens: 2000, output_tokens: 100 },
  },
  status("needs_input", "Which format?"),
];

const PAGE_OF_WORK = [
  "Tasks",
  "  implementation   running  claude  Implement the task; given to claude",
  "  problem_solving  pending  -       Find problems",
  "",
];
const PAGE_OF_REVIEWS = [
  "Reviews",
  "  r1: claude, milestone: PAUSE_AND_CLARIFY",
  "    codex: concerns: The flag is not documented",
  "      - src/a.ts:12 No test",
  "      - Vague",
  "      > Add a test",
  "    mini: no verdict: its answer was no JSON",
  "",
  "Decisions",
  "  d1  claude  PAUSE_AND_CLARIFY  rule 2  concerns of codex",
  "",
  "Recovery",
  "  claude: rate_limit, relaunched: waits",
  "    Ask for more",
  "",
  "Cost",
  "  worker  calls  input  output  USD     USD, as it says",
  "  claude  3      2000   100     0.5000  -",
  "",
];

Deno.test("show tells all of a session that runs, with the command that answers its question", async () => {
  await inTempDir(async (cwd) => {
    const folder = await writeSession(`${cwd}/.gocore/workspace`, "orch_1", FACTS);
    using _ = await SessionLog.open(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
    deepEqual((await show(cwd)).split("\n"), [
      "session  orch_1",
      "task     Add a --json flag \\x1b]0;owned\\x07",
      "status   needs input: Which format?",
      `process  ${Deno.pid}`,
      "tier     4 (degraded): claude and codex; gemini: not found",
      "target   /project",
      "time     1h",
      "cost     0.5000 USD of 5.0000, 0.1200 estimated",
      "",
      "Questions",
      "  q1, 1h ago:",
      "    Which format?",
      "    JSON or \\u202eCSV?",
      '    Answer it: gocore orchestrate answer orch_1 "…" --question q1',
      "  q2, 1h ago: Which name?",
      "    ivg: --json",
      "",
      ...PAGE_OF_WORK,
      "Workers",
      "  worker  status   done  state          task            last",
      "  claude  running  50 %  waiting_model  implementation  Half way",
      "",
      ...PAGE_OF_REVIEWS,
    ]);
  });
});

Deno.test("a session that was cut off is not shown as running, and how it is resumed is told", async () => {
  await inTempDir(async (cwd) => {
    await writeSession(`${cwd}/w`, "orch_1", [...FACTS.slice(0, -1), status("running")]);
    const lines = (await show(cwd, { workspace: "w", session: "orch_1" })).split("\n");
    deepEqual(lines.slice(2, 4), [
      "status   cut off",
      "resume   gocore orchestrate --resume orch_1 --workspace {cwd}/w",
    ]);
    equal(
      lines.find((line) => line.includes("Answer it")),
      '    Answer it: gocore orchestrate answer orch_1 "…" --question q1 --workspace {cwd}/w',
    );
    equal(
      lines[lines.indexOf("Workers") + 2],
      "  claude  unknown  50 %  waiting_model  implementation  Half way",
    );
  });
});

Deno.test("show tells the result of a session that has ended", async () => {
  await inTempDir(async (cwd) => {
    await writeSession(`${cwd}/.gocore/workspace`, "orch_1", [
      started(),
      {
        type: "merge.ended",
        data: { task: "api", branch: "gocore/orch_1/api", outcome: "conflict", files: ["a", "b"], commit: null },
      },
      { type: "verify.ended", data: { command: "npm test", exit_code: 1, output: "…", duration_seconds: 1 } },
      {
        type: "work.saved",
        data: { worker: "claude", ref: "refs/gocore/orch_1/api", commit: "c", files: 2, reason: "" },
      },
      finished("failed", ["The check fails: npm test"]),
    ]);
    deepEqual((await show(cwd)).split("\n"), [
      "session  orch_1",
      "task     Add a flag",
      "status   failed: it is failed",
      "resume   gocore orchestrate --resume orch_1",
      "target   /project",
      "time     4m",
      "cost     0.0000 USD",
      "",
      "Result",
      "  gocore/orch_1/api: conflict in a, b",
      "  npm test: exit code 1",
      "  failed: it is failed",
      "  - The check fails: npm test",
      "  branch gocore/orch_1/result",
      "  report /project/final.md",
      "  kept work of claude: refs/gocore/orch_1/api, 2 files",
      "",
    ]);
  });
});

Deno.test("show --json is the summary of the dashboard, with what is known of the supervisor now", async () => {
  await inTempDir(async (cwd) => {
    const folder = await writeSession(`${cwd}/.gocore/workspace`, "orch_1", FACTS);
    const found = JSON.parse(await show(cwd, { json: true }));
    using log = await SessionLog.open(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
    const summary = JSON.parse(JSON.stringify(summaryRecord(log.state, NOW_MS)));
    deepEqual(found, { ...summary, session: { ...summary.session, status: "cut_off", pid: null } });
    const supervised = JSON.parse(await show(cwd, { json: true }));
    deepEqual(supervised, { ...summary, session: { ...summary.session, pid: Deno.pid } });
  });
});
