import { match, strictEqual as equal } from "node:assert/strict";
import type { ProgramEnd } from "../../src/oracle/failure.ts";
import { judgeScript } from "../../src/manager/judge_script.ts";
import { issue } from "./fake_run.ts";
import { issueSpec } from "../../src/manager/issue_spec.ts";
import { findFailures } from "../../src/oracle/find_failures.ts";

const WRONG = {
  ...issue,
  title: "half_even(2.5) returns 3 instead of 2",
  body: "```python\nfrom stats import half_even\nhalf_even(2.5)  # 3, should be 2\n```\n",
};
const spec = await issueSpec(WRONG, { files: [], hasRef: () => Promise.resolve(false), findFailures });
const PROJECT = "/clean";

function endOf(script: string): ProgramEnd {
  const frames = [{ function: "<module>", file: `${PROJECT}/repro_candidate.py`, line: script.split("\n").length }];
  return {
    exitCode: 1,
    signal: null,
    timedOut: false,
    stdout: "",
    stderr: "",
    hasWitness: true,
    script,
    witnessed: [{
      runtime: "python",
      pid: 1,
      type: "AssertionError",
      bases: ["Exception"],
      message: "",
      frames,
      causes: [],
      projectCalls: 1,
    }],
  };
}

Deno.test("an assertion about other values than the issue's shows something else", () => {
  const judge = (assertion: string) => {
    const script = `from stats import half_even\nassert ${assertion}`;
    const run = { end: endOf(script), place: { project: PROJECT, reproFile: `${PROJECT}/repro_candidate.py` } };
    return judgeScript(run as never, spec).judgement;
  };
  equal(judge("half_even(2.5) == 2").outcome, "match");
  const other = judge("half_even(1.2) == 7");
  equal(other.outcome, "own_failure");
  match(other.reason, /^Nothing of what the issue says of the result is in the reproducer: 2\.5, 3, 2$/);
});
