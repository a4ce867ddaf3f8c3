import { deepStrictEqual as deepEqual, ok, rejects, throws } from "node:assert/strict";
import { parseEvalCases, readEvalFile } from "../../../src/commands/eval/eval_file.ts";
import { compare } from "../../../src/commands/eval/run_evals.ts";
import { Failure } from "../../../src/failure.ts";

const WHOLE = `
# what is known
- issue_file: issues/12.md
  repo_path: repos/calc
  ref: 1.10
  expect: {verdict: reproduced, status: ok, file: src/calc.py, line: 12, max_size: 200}
- name: not a bug
  issue_url: https://github.com/o/r/issues/3
  repo_path: /repos/other
  expect:
    verdict: none
`;

Deno.test("a file names issues with paths relative to its folder, and versions as they are written", () => {
  deepEqual(parseEvalCases(WHOLE, "/evals/all.yaml"), [
    {
      name: "issues/12.md",
      issue: { kind: "file", path: "/evals/issues/12.md" },
      repoPath: "/evals/repos/calc",
      ref: "1.10",
      expect: { verdict: "reproduced", status: "ok", file: "src/calc.py", line: 12, max_size: 200 },
    },
    {
      name: "not a bug",
      issue: { kind: "url", url: "https://github.com/o/r/issues/3" },
      repoPath: "/repos/other",
      ref: undefined,
      expect: { verdict: "none" },
    },
  ]);
});

const ROW = "- issue_file: a.md\n  repo_path: .\n";
const EXPECT = "  expect: {status: ok}\n";
const WRONG: readonly (readonly [text: string, finding: string, hint?: string])[] = [
  ["", "f.yaml:1:1: need at least one issue, found none"],
  ["issues: []", "f.yaml:1:1: expected a list, found a mapping"],
  ["- 1", "f.yaml:1:3: need a mapping"],
  [ROW, "f.yaml:1:15: expect: need a mapping"],
  [`${ROW}  exepct: {status: ok}\n`, 'f.yaml:3:11: there is no key "exepct"', "Did you mean `expect`?"],
  [`${ROW}${EXPECT}  reff: x\n`, 'f.yaml:4:9: there is no key "reff"', "Did you mean `ref`?"],
  [`${ROW}  expect: {stauts: ok}\n`, 'f.yaml:3:20: there is no key "stauts"', "Did you mean `status`?"],
  [
    `${ROW}  expect: {status: good}\n`,
    "f.yaml:3:20: expect.status: need one of ok, already-fixed, needs-human, failed, stopped",
  ],
  [`${ROW}  expect: {}\n`, "f.yaml:3:11: expect: need one of verdict, status, file, line, max_size"],
  [`${ROW}  expect: {file: a, line: 0}\n`, "f.yaml:3:27: expect.line: need a number above 0"],
  [`${ROW}  expect: {line: 3}\n`, "f.yaml:3:11: expect: need `file` beside `line`"],
  [`${ROW}${EXPECT}  issue_url: u\n`, "f.yaml:1:15: need issue_file or issue_url"],
  [`- repo_path: .\n${EXPECT}`, "f.yaml:1:14: need issue_file or issue_url"],
  [`- issue_file: 3\n  repo_path: .\n${EXPECT}`, "f.yaml:1:15: issue_file: need a text"],
  [`${ROW}${EXPECT}${ROW}${EXPECT}`, 'f.yaml:4:15: the issue "a.md" is there already, as number 1'],
];

Deno.test("what is wrong with a file is told with line and key", async () => {
  for (const [text, finding, hint] of WRONG) {
    throws(() => parseEvalCases(text, "f.yaml"), (error) => {
      ok(error instanceof Failure);
      const found = error.message.replace(/^Cannot read the (?:issues|configuration): /, "");
      deepEqual([error.kind, found], ["usage", finding]);
      if (hint !== undefined) deepEqual(error.hints, [hint]);
      return true;
    });
  }
  await rejects(readEvalFile("/nowhere/f.yaml"), /^Failure: Cannot read the issues: "\/nowhere\/f.yaml": /);
});

Deno.test("an outcome is compared with all that is known of it", () => {
  const found = { status: "ok", verdict: "reproduced", target: "src/a:b.py:12", size: 100 };
  const expect = { status: "ok", verdict: "reproduced", file: "src/a:b.py", line: 12, max_size: 100 } as const;
  deepEqual(compare(expect, found), []);
  deepEqual(compare({}, found), []);
  deepEqual(compare(expect, { status: "failed", verdict: "none", target: undefined, size: null }), [
    "verdict is none, not reproduced",
    "status is failed, not ok",
    "the file to mend is missing, not src/a:b.py",
    "the line to mend is missing, not 12",
    "the reproducer has no bytes, not at most 100",
  ]);
  deepEqual(compare({ verdict: "none", max_size: 99, line: 13 }, found), [
    "verdict is reproduced, not none",
    "the line to mend is 12, not 13",
    "the reproducer has 100 bytes, not at most 99",
  ]);
});
