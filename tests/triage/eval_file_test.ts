/** `gocore eval FILE`: manager runs on issues whose outcome is known. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { git } from "../support/fake_agents.ts";
import { Sandbox } from "../support/gocore.ts";
import { namesIn } from "../support/temp_dir.ts";

const STATS = `def mean(numbers):
    return divide(sum(numbers), len(numbers))


def divide(a, b):
    return a / b
`;
const ISSUE = `# mean([]) fails

\`\`\`
Traceback (most recent call last):
  File "x.py", line 2, in <module>
    mean([])
  File "stats.py", line 2, in mean
    return divide(sum(numbers), len(numbers))
  File "stats.py", line 6, in divide
    return a / b
ZeroDivisionError: division by zero
\`\`\`
`;
const CANDIDATE = {
  candidate_id: "c1",
  script: "from stats import mean\nprint('about to fail')\nmean([])\n",
  setup_commands: [],
  oracle_command: "python {repro_file}",
  claimed_failure_signature: "ZeroDivisionError: division by zero",
  file_extension: "py",
};
const HYPOTHESES = {
  hypotheses: [{
    hypothesis_id: "h1",
    mechanism: "mean divides by the number of numbers without a guard for none",
    evidence: [{ file: "stats.py", line: 6, snippet: "return a / b" }],
    confidence: 0.9,
    disconfirming_checks: [],
  }],
};

/** A codex that gives the answer of its role. */
const codex = (answers: string) =>
  `#!/bin/sh
[ "$1" = --version ] && { echo "codex-cli 0.0.1"; exit; }
for prompt; do :; done
case $prompt in *"You are a TRIAGER"*) role=triager ;; *) role=builder ;; esac
mkdir -p .gocore-task && cp "${answers}/$role.json" .gocore-task/answer.json 2>/dev/null
printf '{"type":"thread.started","thread_id":"t"}\\n{"type":"turn.started"}\\n'
cat "${answers}/$role.message"
printf '{"type":"turn.completed","usage":{"input_tokens":3,"output_tokens":4}}\\n'
`;

async function withProject(work: (sandbox: Sandbox, env: Record<string, string>) => Promise<void>): Promise<void> {
  await using sandbox = await Sandbox.create();
  const project = await sandbox.repository("project");
  await sandbox.file("project/stats.py", STATS);
  await git(project, "add", "-A");
  await git(project, "commit", "--quiet", "-m", "Stats");
  await sandbox.file("evals/issue.md", ISSUE);
  await sandbox.file("evals/vague.md", "# It does not work\n\nPlease help.\n");
  const answers = join(sandbox.root, "bin");
  for (const [role, answer] of Object.entries({ builder: CANDIDATE, triager: HYPOTHESES })) {
    const text = JSON.stringify(answer);
    await sandbox.file(`bin/${role}.json`, text);
    const message = { type: "item.completed", item: { id: "i1", type: "agent_message", text } };
    await sandbox.file(`bin/${role}.message`, JSON.stringify(message) + "\n");
  }
  await Deno.chmod(await sandbox.file("bin/codex", codex(answers)), 0o755);
  const env = {
    PATH: `${answers}:${Deno.env.get("PATH")}`,
    TMUX_TMPDIR: sandbox.tmp,
    OPENAI_API_KEY: "sk-nobody-is-asked-with-this",
  };
  await work(sandbox, env);
  await sandbox.noProcessLeft();
}

const FLAGS = ["--agent", "codex", "--workers", "1", "--validation-python-version", "3", "--backend", "process"];

Deno.test("an evaluation compares each run with what is expected, and tells all in a table and in JSON", () =>
  withProject(async (sandbox, env) => {
    const file = await sandbox.file(
      "evals/all.yaml",
      `- name: division
  issue_file: issue.md
  repo_path: ../project
  expect: {verdict: reproduced, status: ok, file: stats.py, line: 6, max_size: 60}
- name: vague
  issue_file: vague.md
  repo_path: ../project
  expect: {verdict: none, status: needs-human}
- name: wrongly expected
  issue_file: issue.md
  repo_path: ../project
  expect: {verdict: not_reproduced, line: 2, file: stats.py}
`,
    );
    const runs = join(sandbox.root, "runs");
    const end = await sandbox.run(["eval", file, ...FLAGS, "--runs-root", runs], { env, timeoutMs: 600_000 });
    equal(end.code, 1, end.stdout + end.stderr);
    const folder = join(runs, namesIn(runs)[0]!);
    const summary = JSON.parse(await Deno.readTextFile(join(folder, "summary.json")));
    const { results, ...totals } = summary;
    deepEqual(
      // deno-lint-ignore no-explicit-any -- JSON
      results.map((one: any) => [one.name, one.status, one.verdict, one.false_verdict, one.problems]),
      [
        ["division", "ok", "reproduced", false, []],
        ["vague", "needs-human", "none", false, []],
        ["wrongly expected", "ok", "reproduced", true, [
          "verdict is reproduced, not not_reproduced",
          "the line to mend is 6, not 2",
        ]],
      ],
    );
    deepEqual([totals.issues, totals.done, totals.reproduced, totals.false_verdicts, totals.unexpected], [
      3,
      3,
      2,
      1,
      1,
    ]);
    match(end.stdout, /^division +ok +reproduced +\d+ +\d+ +\d+ +\S+ +[\d.]+ s +yes$/m);
    match(end.stdout, /^wrongly expected +ok +reproduced +FALSE .* NO$/m);
    match(end.stdout, /^2 of 3 reproduced, 1 false verdicts, 1 not as expected; /m);
  }));

Deno.test("an evaluation ends when the manager refuses a flag, or the file comes last", () =>
  withProject(async (sandbox, env) => {
    const row = "- {issue_file: issue.md, repo_path: ../project, expect: {status: ok}}\n";
    const file = await sandbox.file("evals/one.yaml", row);
    const refused = await sandbox.run(["eval", file, "--wrokers", "2"], { env });
    equal(refused.code, 2);
    match(refused.stderr, /^Error: Cannot evaluate "issue.md": `gocore manager` refused it: .*--wrokers/s);
    const late = await sandbox.run(["eval", "--workers", "2", file], { env });
    deepEqual([late.code, late.stderr.split("\n")[0]], [2, 'Error: Which issues? Found "--workers" before it']);
  }));
