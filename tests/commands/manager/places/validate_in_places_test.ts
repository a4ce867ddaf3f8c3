import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Candidate, IssueSpec } from "../../../../src/manager/ports.ts";
import { validate } from "../../../../src/manager/validate.ts";
import type { ExpectedFailure } from "../../../../src/oracle/expected.ts";
import { candidate, never, withPlaces } from "./scratch_places.ts";

const FILES = {
  "pkg/__init__.py": "",
  "pkg/core.py": `def convolve(a, v):
    if len(v) > len(a):
        a, v = v, a
    if len(v) == 0:
        raise ValueError("v cannot be empty")
    return [x * y for x in a for y in v]


def first(names):
    return list(names)[0] + 1


def read(path):
    return open(path).read()
`,
  "lib.js": 'exports.parse = (text) => { if (text === "") throw new TypeError("text is empty"); return text; };\n',
  "lib.h": "static int at(int *all, int index) { return all[index]; }\n",
};
const TRACEBACK = `Traceback (most recent call last):
  File "/usr/lib/python3/pkg/core.py", line 5, in convolve
    raise ValueError("v cannot be empty")
ValueError: v cannot be empty
`;

const OVERFLOW = '#include <stdlib.h>\n#include "lib.h"\nint main(void) { return at(malloc(4), 1); }\n';

const failure = (parts: Partial<ExpectedFailure>): ExpectedFailure => ({
  type: null,
  message: null,
  pattern: null,
  exitCode: null,
  signal: null,
  frames: [],
  runtime: null,
  shows: "failure",
  ...parts,
});
const EMPTY = failure({ type: "ValueError", message: "v cannot be empty" });

interface Trial {
  readonly claim: string;
  readonly script: string;
  readonly parts?: Partial<Candidate>;
  readonly expected?: ExpectedFailure;
  readonly verdict: string;
}

const python = (claim: string, script: string, verdict = "not_reproduced", more: Partial<Trial> = {}): Trial => ({
  claim,
  script,
  verdict,
  ...more,
});

const TRIALS: readonly Trial[] = [
  python("a real failure of the project", "from pkg.core import convolve\nconvolve([], [1, 2])\n", "reproduced"),
  python("the exception raised by the script itself", "import pkg.core\nraise ValueError('v cannot be empty')\n"),
  python("a traceback that is only printed", `print(${JSON.stringify(TRACEBACK)})\n`),
  python(
    "a traceback that is printed to stderr with a failing status",
    `import sys\nsys.stderr.write(${JSON.stringify(TRACEBACK)})\nsys.exit(1)\n`,
  ),
  python(
    "another exception whose message quotes it",
    `raise RuntimeError(${JSON.stringify(TRACEBACK)})\n`,
  ),
  python(
    "the right exception that is caught",
    "from pkg.core import *\ntry: convolve([], [1])\nexcept ValueError as e: print(e)\n",
  ),
  python("another exception", "from pkg.core import *\nfirst([])\n"),
  python("no Python at all", "from pkg.core import (\nconvolve([], [1])\n", "unusable"),
  python(
    "a package that is missing",
    "import numpy_that_is_missing\nfrom pkg.core import convolve\nconvolve([], [1])\n",
    "unusable",
  ),
  python(
    "one run in two",
    "from pkg.core import convolve\nconvolve([], [1, 2]) if len(open('{weather}').read()) % 2 else None\n",
    "flaky",
  ),
  python(
    "what an earlier run would have to leave behind",
    "import os\nfrom pkg.core import convolve\nif not os.path.exists('mark'): open('mark', 'w')\nelse: convolve([], [1, 2])\n",
  ),
  python(
    "what only the worker's own folder has",
    "import worker_module\nworker_module.convolve([], [1, 2])\n",
    "unusable",
  ),
  python(
    "a network that is not there",
    "import urllib.request\nfrom pkg.core import convolve\nurllib.request.urlopen('http://192.0.2.1/', timeout=5)\nconvolve([], [1])\n",
    "environment_error",
  ),
  {
    claim: "an error of a Node library",
    script: 'require("./lib.js").parse("");\n',
    parts: { oracle_command: "node {repro_file}", file_extension: "js" },
    expected: failure({ type: "TypeError", message: "text is empty" }),
    verdict: "reproduced",
  },
  {
    claim: "a wrong access of a C library, in a sanitizer's words",
    script: OVERFLOW,
    parts: { oracle_command: "gcc -g -fsanitize=address -o prog {repro_file} && ./prog", file_extension: "c" },
    expected: failure({ type: "heap-buffer-overflow" }),
    verdict: "reproduced",
  },
  {
    claim: "a crash that is nobody's as far as can be told",
    script: '#include "lib.h"\nint main(void) { return at((int *)8, 1); }\n',
    parts: { oracle_command: "gcc -g -o prog {repro_file} && ./prog", file_extension: "c" },
    expected: failure({ signal: "SIGSEGV" }),
    verdict: "not_reproduced",
  },
  {
    claim: "a C program that does not compile",
    script: '#include "lib.h"\nint main(void) { return at(; }\n',
    parts: { oracle_command: "gcc -g -o prog {repro_file} && ./prog", file_extension: "c" },
    expected: failure({ signal: "SIGSEGV" }),
    verdict: "unusable",
  },
];

Deno.test("candidates are judged by what they do in a clean place", async (t) => {
  // Changes from run to run; not hidden, as temporary folders are.
  const weather = await Deno.makeTempFile({ dir: "/var/tmp" });
  await withPlaces(FILES, { settings: { allowNetwork: false } }, async ({ ready, write, root, dir }) => {
    // Not in the commit.
    await write({ "worker_module.py": "from pkg.core import convolve\n" }, root);
    await write({ "worker_module.py": "from pkg.core import convolve\n" }, join(dir, "worker"));
    for (const { claim, script, parts, expected, verdict } of TRIALS) {
      await t.step(`${claim}: ${verdict}`, async () => {
        const oracle = { oracle_command: "python {repro_file}", file_extension: "py" };
        const whole = {
          ...candidate({ ...oracle, ...parts }),
          worker_id: "w1",
          script: script.replace("{weather}", weather),
          claimed_failure_signature: "ValueError: v cannot be empty",
        };
        const place = await ready(whole);
        const spec = { expected_failure_signals: [{ expected: expected ?? EMPTY }] } as unknown as IssueSpec;
        const validation = await validate(whole, place, {
          spec,
          settings: { validationRuns: 5 },
          stage: "validate",
          publish: () => Deno.writeTextFile(weather, "x", { append: true }),
          signal: never,
        });
        await place.close();
        deepEqual(
          [validation.verdict, validation.passed],
          [verdict, verdict === "reproduced"],
          JSON.stringify(validation, null, 1),
        );
      });
    }
  }).finally(() => Deno.remove(weather));
});
