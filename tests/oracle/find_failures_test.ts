import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { findFailures, type FoundFailure } from "../../src/oracle/find_failures.ts";
import { readSample } from "./read_sample.ts";

/** Strength, what it shows, and the innermost frame; `should` when it is wanted. */
function summary({ expected, strength, isExpectedBehaviour }: FoundFailure): string {
  const { type, message, exitCode, signal, frames, shows } = expected;
  const name = type ?? signal ?? (exitCode === null ? "-" : `exit ${exitCode}`);
  const frame = frames[0] === undefined ? "" : ` @ ${frames[0].file} ${frames[0].function ?? "-"}`;
  const wanted = isExpectedBehaviour ? "should " : "";
  return `${strength} ${wanted}${shows === "failure" ? "" : "wrong "}${name}${
    message === null ? "" : `: ${message}`
  }${frame}`;
}

const all = (text: string) => findFailures(text).map(summary);

const TRACEBACK = `Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
  File "/usr/lib/python3/dist-packages/numpy/core/numeric.py", line 854, in convolve
    raise ValueError('v cannot be empty')
ValueError: v cannot be empty`;
const FOUND = "traceback ValueError: v cannot be empty @ /usr/lib/python3/dist-packages/numpy/core/numeric.py convolve";

Deno.test("findFailures() finds a traceback however it is quoted", () => {
  const quotes: Record<string, string> = {
    bare: TRACEBACK,
    fence: "```\n" + TRACEBACK + "\n```",
    "named fence": "~~~pytb\n" + TRACEBACK + "\n~~~",
    "fence in a list": "1. run it\n\n   ```\n" + TRACEBACK.replace(/^/gm, "   ") + "\n   ```\n",
    indented: "I get\n\n" + TRACEBACK.replace(/^/gm, "    ") + "\n\nand so on",
    "block quote": TRACEBACK.replace(/^/gm, "> "),
    "nested block quote": TRACEBACK.replace(/^/gm, "> > "),
    CRLF: TRACEBACK.replaceAll("\n", "\r\n") + "\r\n",
    colours: TRACEBACK.replace(/^\S.*$/gm, "\x1b[31m$&\x1b[0m"),
    prompts: ">>> import numpy\n>>> numpy.convolve([], [1])\n" + TRACEBACK + "\n>>> exit()",
    "without its header": TRACEBACK.split("\n").slice(1).join("\n"),
    "without its indentation": TRACEBACK.replace(/^ +/gm, ""),
    "with frames left out": TRACEBACK.replace('\n  File "/usr', '\n...\n  File "/usr'),
    log: "```\n" + TRACEBACK.split("\n").map((line, i) => `2024-05-01 10:00:0${i},233 ERROR [w-3] ${line}`).join("\n") +
      "\n2024-05-01 10:00:09,111 INFO  [w-3] exiting\n```",
    "log of a container": TRACEBACK.replace(/^/gm, "web_1  | "),
    "never closed": "```\n" + TRACEBACK,
    template: "### What happened?\n\n" + TRACEBACK + "\n\n### Expected behavior\n\nIt works.",
    details: "<details>\n\n```\n" + TRACEBACK + "\n```\n</details>",
  };
  deepEqual(
    Object.keys(quotes).map((name) => [name, all(quotes[name]!)]),
    Object.keys(quotes).map((name) => [name, [FOUND]]),
  );
});

Deno.test("findFailures() gives what it found as an expectation, with its place in the text", () => {
  const text = "Look:\n\n```\n" + TRACEBACK + "\n```\n";
  const start = text.indexOf("Traceback");
  deepEqual(findFailures(text), [{
    expected: {
      type: "ValueError",
      message: "v cannot be empty",
      pattern: null,
      exitCode: null,
      signal: null,
      frames: [
        { function: "convolve", file: "/usr/lib/python3/dist-packages/numpy/core/numeric.py", line: 854 },
        { function: "<module>", file: "<stdin>", line: 1 },
      ],
      runtime: "python",
      shows: "failure",
    },
    span: { start, end: start + TRACEBACK.length },
    strength: "traceback",
    isExpectedBehaviour: false,
  }]);
});

Deno.test("findFailures() reads real output of every family out of an issue", () => {
  const found = (name: string) => {
    const { stdout, stderr } = readSample(name);
    return all(`It fails:\n\n\`\`\`\n${stdout}${stderr}\`\`\`\n`);
  };
  const expected: Record<string, readonly string[]> = {
    python_context: [
      "traceback AttributeError: 'NoneType' object has no attribute 'missing' @ /home/dev/project/acme/core.py context",
    ],
    python_group: ["traceback ExceptionGroup: several (2 sub-exceptions) @ /home/dev/project/acme/core.py group"],
    python_own_bare_assert: ["traceback wrong -"],
    python_faulthandler: ["traceback SIGSEGV: Segmentation fault @ /usr/lib/python3.11/ctypes/__init__.py string_at"],
    pytest_two: [
      "traceback wrong -: assert 0 == 4",
      "traceback AssertionError: x must be positive, not -1 @ ../project/acme/core.py check",
      "traceback TypeError: forged @ x.py f",
    ],
    node_project_throws: ["traceback FrobError: cannot frob null @ /home/dev/project/jslib/index.js frob"],
    node_cause: ["traceback TypeError: wrapping 17 @ /home/dev/project/jslib/index.js wrap"],
    deno_project_throws: ["traceback TypeError: cannot frob null @ file:///home/dev/project/jslib/mod.ts frob"],
    go_map: ["traceback panic: assignment to entry in nil map @ /home/dev/project/golib/lib.go example.com/golib.Maps"],
    go_test_fail: ["traceback wrong -: Add(2, 2) = 0, want 4"],
    rust_unwrap: ["traceback panic: called `Option::unwrap()` on a `None` value @ src/lib.rs -"],
    java_caused_by: ["traceback com.acme.Frob$FrobException: cannot parse @ Frob.java com.acme.Frob.parse"],
    java_printed: [
      'traceback java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null @ Frob.java com.acme.Frob.length',
    ],
    asan_leak: [
      "traceback detected memory leaks @ ../../../../src/libsanitizer/asan/asan_malloc_linux.cpp __interceptor_malloc",
    ],
    ubsan_shift: [
      "traceback runtime error: shift exponent 40 is too large for 32-bit type 'int' @ /home/dev/project/clib/frob.c -",
    ],
    tsan_race: ["traceback data race: Read of size 4 @ /home/dev/repro/repro.c main"],
    c_assert: ['traceback assert: x > 0 && "x must be positive" @ /home/dev/project/clib/frob.c check'],
    cpp_throw: ["traceback std::runtime_error: bad frob 17"],
    c_null_shell: ["code SIGSEGV"],
    c_smash: ["code SIGABRT: stack smashing detected"],
    php_throw: ["traceback InvalidArgumentException: cannot frob null @ /home/dev/project/frob.php frob"],
    ruby_raise: ["traceback Frob::Error: cannot frob nil @ /home/dev/project/frob.rb frob"],
  };
  deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, found(name)])), expected);
});

Deno.test("findFailures() reads notebooks, debuggers and old formats that only issues have", () => {
  const ipython = `ValueError                                Traceback (most recent call last)
Cell In[1], line 3
      1 import numpy as np
----> 3 np.convolve([], [1])

File ~/.venv/lib/python3.11/site-packages/numpy/core/numeric.py:854, in convolve(a, v, mode)
    852     a, v = v, a
--> 854     raise ValueError('v cannot be empty')

ValueError: v cannot be empty`;
  const oldIpython = `---------------------------------------------------------------------------
KeyError                                  Traceback (most recent call last)
<ipython-input-3-5f2> in <module>
----> 1 df["x"]

~/anaconda3/lib/python3.7/site-packages/pandas/core/frame.py in __getitem__(self, key)
   2925             if self.columns.nlevels > 1:
-> 2927             indexer = self.columns.get_loc(key)

KeyError: 'x'`;
  const gdb = `Program received signal SIGSEGV, Segmentation fault.
0x00005555 in frob (x=0x0) at frob.c:12
(gdb) bt
#0  0x00007ffff7a in frob (x=0x0) at src/frob.c:12
#1  0x000055 in main () at main.c:3`;
  const rust =
    "thread 'main' panicked at 'index out of bounds: the len is 3 but the index is 5', src/lib.rs:2:5\nnote: run with `RUST_BACKTRACE=1`";
  const pytest = `    def convolve(a, v):
>       raise ValueError("v cannot be empty")
E       ValueError: v cannot be empty

numpy/core/numeric.py:854: ValueError`;
  const go = `panic: no frob

goroutine 1 [running]:
main.main()
        /home/you/frob.go:25 +0x330
exit status 2`;
  const stripped = `thread 'main' panicked at /home/you/.cargo/registry/src/index-1/frob-1.8.0/src/lib.rs:9:3:
no frob
stack backtrace:
   0:     0x5626d7ea93a8 - <unknown>`;
  deepEqual([ipython, oldIpython, gdb, rust, pytest, go, stripped].map((text) => all("```\n" + text + "\n```")), [
    ["traceback ValueError: v cannot be empty @ ~/.venv/lib/python3.11/site-packages/numpy/core/numeric.py convolve"],
    ["traceback KeyError: 'x' @ ~/anaconda3/lib/python3.7/site-packages/pandas/core/frame.py __getitem__"],
    ["traceback SIGSEGV @ src/frob.c frob"],
    ["traceback panic: index out of bounds: the len is 3 but the index is 5 @ src/lib.rs -"],
    ["traceback ValueError: v cannot be empty @ numpy/core/numeric.py convolve"],
    ["traceback panic: no frob @ /home/you/frob.go main.main"],
    ["traceback panic: no frob @ /home/you/.cargo/registry/src/index-1/frob-1.8.0/src/lib.rs -"],
  ]);
});

Deno.test("findFailures() takes of a notebook's chain the failure that came out of it", () => {
  const cell = `---> 1 df["rank"]

File /v/lib/python3.12/site-packages/pandas/core/frame.py:4102, in DataFrame.__getitem__(self, key)
-> 4102 indexer = self.columns.get_loc(key)`;
  const header = "KeyError                                  Traceback (most recent call last)";
  const chain = `${header}
File /v/lib/python3.12/site-packages/pandas/core/indexes/base.py:3805, in Index.get_loc(self, key)
-> 3805     return self._engine.get_loc(casted_key)

KeyError: 'rank'

The above exception was the direct cause of the following exception:

${header}
Cell In[3], line 1
${cell}

KeyError: 'rank'`;
  deepEqual(all("```\n" + chain + "\n```"), [
    "traceback KeyError: 'rank' @ /v/lib/python3.12/site-packages/pandas/core/frame.py DataFrame.__getitem__",
  ]);
});

Deno.test("findFailures() reads single lines of code, spans and sentences", () => {
  const rows: [string, string[]][] = [
    ["```\n$ ./frob\nRuntimeError: no frob\n```", ["code RuntimeError: no frob"]],
    ["```\npanic: no frob\n```", ["code panic: no frob"]],
    ["```\nProcess finished with exit code 139\n```", ["code exit 139"]],
    ["```\nProcess finished with exit code -11\n```", ["code SIGSEGV"]],
    ["I get `ValueError: v cannot be empty` there", ["code ValueError: v cannot be empty"]],
    ["It raises `KeyError` for me", ["prose KeyError"]],
    ["It fails with numpy.linalg.LinAlgError", ["prose numpy.linalg.LinAlgError"]],
    ['It throws TypeError("bad frob")', ["prose TypeError: bad frob"]],
    ["It exits with code 3.", ["prose exit 3"]],
    ["exit status 2 is returned", ["prose exit 2"]],
    ["It exits with code 0.", []],
    ["Crashes with a segfault", ["prose SIGSEGV"]],
    ["Segmentation fault (core dumped)", ["prose SIGSEGV"]],
    ["It panics", ["prose panic"]],
    ["# ValueError: shape (1, 266) is wrong", ["prose ValueError: shape (1, 266) is wrong"]],
    ["[Bug] KeyError: 'x' when calling f", ["prose KeyError"]],
    ["# thread 'main' panicked at 'no frob'", ["prose panic: no frob"]],
    ["```\nfrob: error: no such frob here\n```", ["code -: error: no such frob here"]],
    ["It gets SIGABRT", ["prose SIGABRT"]],
    ["The call hangs forever", ["prose timeout"]],
    ["It ends in an infinite loop", ["prose timeout"]],
    ["`f(2)` returns 5 instead of 4", ["prose wrong -: returns 5 instead of 4"]],
    ["Expected 4, got 5", ["prose wrong -: Expected 4, got 5"]],
    ["Expected: 4\nActual: 5", ["prose wrong -: Actual: 5"]],
    ["It gives a wrong result", ["prose wrong -: wrong result"]],
    ["```python\nassert add(2, 2) == 4\n```", ["code wrong -: assert add(2, 2) == 4"]],
    ["```python\n>>> add(2, 2)\n5  # should be 4\n```", ["code wrong -: 5  # should be 4"]],
    ["```js\nexpect(add(2, 2)).toBe(4);\n```", ["code wrong -: expect(add(2, 2)).toBe(4);"]],
  ];
  deepEqual(rows.map(([text]) => [text, all(text)]), rows);
});

Deno.test("findFailures() takes no word for a failure that only looks like one", () => {
  const harmless = [
    "We need better Error handling in onError, see ErrorBoundary and errors/ValueError.py",
    "class FooError(Exception) should be exported",
    "Please add a `FooError` class",
    "ValueError handling is documented",
    "from acme import FrobError",
    "except KeyError works",
    "See https://example.com/ValueError and /docs/KeyError",
    "```python\nclass FooError(Exception):\n    pass\ntry:\n    f()\nexcept FooError:\n    raise ValueError(1)\n```",
    '```python\ndef f(x):\n    """Does.\n\n    Raises:\n        ValueError: If x is bad\n    """\n```',
    "Version 3.2 on exit, code 5 is fine; the segment faultline moved",
    "It hangs on to its memory",
    "",
  ];
  deepEqual(harmless.filter((text) => all(text).length > 0), []);
});

Deno.test("findFailures() tells what should happen from what happens", () => {
  const rows: [string, string[]][] = [
    ["It should raise TypeError instead of ValueError.", ["prose should TypeError", "prose ValueError"]],
    ["It raises ValueError instead of KeyError", ["prose ValueError", "prose should KeyError"]],
    ["I expected KeyError but got ValueError", ["prose should KeyError", "prose ValueError"]],
    ["It should not raise ValueError", ["prose ValueError"]],
    ["It does not raise ValueError", ["prose should ValueError"]],
    ["It fails to raise ValueError", ["prose should ValueError"]],
    ["A TypeError is expected, really", ["prose should TypeError"]],
    ["It must exit with code 3", ["prose should exit 3"]],
    ["### Expected behavior\n\nA `ValueError: no`\n\n### Actual behavior\n\n`KeyError: 'x'`", [
      "code should ValueError: no",
      "code KeyError: 'x'",
    ]],
    ["**Expected**\n\n```\nTypeError: no\n```\n\n**Actual**\n\n```\nKeyError: 'x'\n```", [
      "code should TypeError: no",
      "code KeyError: 'x'",
    ]],
    ["It should print:\n\n```\nTypeError: no\n```\n\nbut prints:\n\n```\nKeyError: 'x'\n```", [
      "code should TypeError: no",
      "code KeyError: 'x'",
    ]],
    ["Unexpectedly a ValueError comes", ["prose ValueError"]],
  ];
  deepEqual(rows.map(([text]) => [text, all(text)]), rows);
});

Deno.test("findFailures() never throws, and its spans lie in the text, in order, apart", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      TRACEBACK,
      "```",
      "~~~",
      "> ",
      "    ",
      "### Expected",
      "ValueError: x",
      "`KeyError: y`",
      "exit code 3",
      "hangs",
      "expected 4, got 5",
      "\n",
      "\r\n",
      "E   ValueError: x",
      "panic: x\n\ngoroutine 1 [running]:",
      ">>> ",
      "\tat a.B.c(B.java:1)",
      "    at f (x.js:1:2)",
    ),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom("\n", " ", ""), (pieces, glue) => {
      const text = pieces.join(glue);
      const spans = findFailures(text).map(({ span }) => span);
      return spans.every(({ start, end }, i) => start >= (spans[i - 1]?.end ?? 0) && start < end && end <= text.length);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("findFailures() reads long hostile issues in time that grows with their length only", () => {
  for (
    const line of [
      "`".repeat(4000),
      "> ".repeat(2000),
      "A".repeat(4000),
      "a.".repeat(2000),
      "AError ".repeat(500),
      "returns 'x' ",
      "expected x ",
      "exit ",
      "should ".repeat(500) + "ValueError",
      "**a",
      "E   x",
      "    x",
      '  File "x", line 1, in f',
      "```",
      "assert ",
      "# should",
      "In [1]",
      "AError   Traceback (most recent call last)",
      "",
    ]
  ) {
    ok(findFailures(`${line}\n`.repeat(Math.ceil(400_000 / (line.length + 1)))).length <= 200);
  }
  for (
    const [report, end] of [
      ["__ a __\n", "E  x\n"],
      ['  File "a", line 1, in b\nXError\n', ""],
      ["/a:1\n x\n ^\nno name\n    at f (x:1:2) {\n", ""],
    ] as const
  ) {
    ok(findFailures(report.repeat(Math.ceil(400_000 / report.length)) + end).length <= 200);
  }
});
