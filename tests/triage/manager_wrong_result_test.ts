/** A wrong result: only an assertion shows it, and any assertion can fail. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { builder, ManagedIssue, triager } from "../support/managed_issue.ts";

const PROJECT = {
  files: { "stats.py": "def half_even(value):\n    return int(value + 0.5)\n" },
  issue: `# half_even(2.5) returns 3 instead of 2

\`\`\`python
from stats import half_even
half_even(2.5)  # 3, should be 2
\`\`\`
`,
};
const FLAGS = ["--workers", "1", "--rounds", "1", "--no-bisect", "--repro-validation-runs", "3"];

Deno.test("what is left of an honest assertion still asks for what the issue says", async () => {
  await using issue = await ManagedIssue.create(PROJECT);
  const script = `import sys

from stats import half_even

print(sys.version, 7)
value = 2.5
print("value", value)
assert half_even(value) == 2, half_even(value)
`;
  const end = await issue.run(
    { w1: builder(script), w2: triager(2, "return int(value + 0.5)", "", "stats.py") },
    FLAGS,
  );
  equal(end.code, 0, end.stdout + end.stderr);
  equal(
    await issue.read("repro/minimal_repro.py"),
    "from stats import half_even\nvalue = 2.5\nassert half_even(value) == 2, half_even(value)",
  );
  match(
    await issue.read("final.md"),
    /no single line can be left out[^]*what it asks for is right is what the issue says/,
  );
});

Deno.test("an assertion about other values than the issue's is no reproduction", async () => {
  await using issue = await ManagedIssue.create(PROJECT);
  const end = await issue.run({ w1: builder("from stats import half_even\nassert half_even(1.2) == 7\n") }, FLAGS);
  equal(end.code, 1, end.stdout + end.stderr);
  const { status, candidates } = await issue.decision();
  deepEqual([status, candidates[0]!.verdict], ["needs-human", "not_reproduced"]);
});
