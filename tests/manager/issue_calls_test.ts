import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { callsIn, isBareType } from "../../src/manager/issue_calls.ts";
import type { ExpectedFailure } from "../../src/oracle/expected.ts";

const FILES = ["src/pkg/__init__.py", "src/pkg/core.py", "README.md", "tests/__init__.py"];

Deno.test("callsIn() finds what is called of the project, and nothing else", () => {
  const text = `Call \`pkg.core.parse(x)\`, or:

\`\`\`python
from pkg import Table, join
import pkg.core as core
print(len(Table([1]).rows(3)))
other.thing(4)
core.read("x")
join(a, b)
\`\`\`
Then \`mine(1)\` is called.
`;
  deepEqual(callsIn(text, FILES), ["parse", "Table", "rows", "read", "join"]);
  deepEqual(callsIn("`parse(x)` fails", FILES), []);
  deepEqual(callsIn("pkg.f(".repeat(1000), []), []);
});

Deno.test("isBareType() is true of a type that nothing goes with", () => {
  const bare: ExpectedFailure = {
    ...{ type: "ValueError", message: null, pattern: null, exitCode: null, signal: null, frames: [], runtime: null },
    shows: "failure",
  };
  equal(isBareType(bare), true);
  const more: Partial<ExpectedFailure>[] = [
    { type: null },
    { type: "timeout" },
    { message: "no" },
    { exitCode: 1 },
    { frames: [{ function: "f", file: "f.py", line: 1 }] },
    { shows: "wrong_result" },
  ];
  for (const one of more) equal(isBareType({ ...bare, ...one }), false);
});
