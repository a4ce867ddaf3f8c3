import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { keepsAnswer, valuesIn, withoutLines } from "../../src/manager/stated_values.ts";

Deno.test("valuesIn() finds numbers and texts, not parts of names or of versions", () => {
  deepEqual([...valuesIn(`f2(2.5, 1e-3, 'a b') == "x" # v1.2.3, 2.5`)], [
    ["2.5", 2],
    ["1e-3", 1],
    ["a b", 1],
    ["x", 1],
  ]);
});

const START = `import sys
from stats import half_even
print(sys.version, 7)
assert half_even(2.5) == 2, half_even(2.5)
`;
const ISSUE = "half_even(2.5) returns 3 instead of 2";

Deno.test("keepsAnswer() lets lines go, and no value of the issue", () => {
  const keeps = keepsAnswer(START, ISSUE);
  const assertion = "assert half_even(2.5) == 2, half_even(2.5)";
  const cases: readonly (readonly [script: string, isKept: boolean])[] = [
    [START, true],
    [START.trimEnd(), true],
    [`from stats import half_even\n${assertion}`, true],
    ["from stats import half_even\nassert half_even(5)==2,2", false],
    ["from stats import half_even\nassert half_even(2.5)==2", false],
    ["import sys\nfrom stats import half_even\nprint(sys.version, 7)", false],
    [`${assertion}\nfrom stats import half_even`, false],
    ["", false],
  ];
  for (const [script, isKept] of cases) equal(keeps(script), isKept, script);
});

Deno.test("withoutLines() leaves no single line that it could do without", async () => {
  const has = (script: string, line: string) => script.split("\n").includes(line);
  const isEnough = (script: string) => Promise.resolve(has(script, "a") && has(script, "b") === has(script, "c"));
  const needs = (script: string) =>
    Promise.resolve(has(script, "a") && (!has(script, "c") || has(script, "needed by c")));
  equal(await withoutLines("x\na\nb\ny\nc\n", isEnough), "a\nb\nc");
  equal(await withoutLines("needed by c\nc\na", needs), "a");
  equal(await withoutLines("a", () => Promise.resolve(true)), "a");
});
