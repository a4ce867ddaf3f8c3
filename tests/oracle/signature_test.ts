import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { FailureSignature } from "../../src/oracle/expected.ts";
import { judgeRun } from "../../src/oracle/judge_run.ts";
import { readFailures } from "../../src/oracle/read_failures.ts";
import { describeSignature, parseExpectation, sameSignature, signatureOf } from "../../src/oracle/signature.ts";
import { programEnd, readSample } from "./read_sample.ts";

const place = { project: "/home/dev/project", reproFile: "/home/dev/repro/repro.py" };
const signature = (name: string, change = (text: string) => text) => {
  const end = readSample(name);
  return signatureOf(readFailures({ ...end, stderr: change(end.stderr) })[0]!, place);
};

Deno.test("signatureOf() keeps type, template and the innermost frame of the project", () => {
  deepEqual(signature("python_check"), {
    runtime: "python",
    kind: "assertion",
    type: "AssertionError",
    template: "x must be positive, not …",
    frame: { file: "acme/core.py", function: "check" },
    exitCode: 1,
    signal: null,
  });
  deepEqual(signature("c_null"), {
    runtime: "native",
    kind: "signal",
    type: "SIGSEGV",
    template: null,
    frame: null,
    exitCode: null,
    signal: "SIGSEGV",
  });
});

Deno.test("sameSignature() allows other lines and values, and nothing else", () => {
  const start = signature("python_check");
  ok(
    sameSignature(
      start,
      signature("python_check", (text) => text.replaceAll(/line \d+/g, "line 7").replace("-3", "-12")),
    ),
  );
  const others: Partial<FailureSignature>[] = [
    { runtime: "node" },
    { kind: "exception" },
    { type: "ValueError" },
    { template: "x must be" },
    { template: null },
    { frame: null },
    { frame: { file: "acme/other.py", function: "check" } },
    { frame: { file: "acme/core.py", function: "other" } },
    { frame: { file: "acme/core.py", function: null } },
    { exitCode: 2 },
    { signal: "SIGABRT" },
  ];
  deepEqual(
    others.filter((other) =>
      sameSignature(start, { ...start, ...other }) || sameSignature({ ...start, ...other }, start)
    ),
    [],
  );
});

Deno.test("signatureOf() names a function the same in each of its builds", () => {
  equal(signature("rust_index_backtrace_full").frame?.function, "pick");
  equal(signature("go_nil").frame?.function, "Frob");
  equal(signature("node_await_esm").frame?.function, "frob");
});

Deno.test("describeSignature() is one line for people", () => {
  deepEqual(
    ["python_project_raises", "c_null", "c_exit_3_silent", "asan_null", "rust_unwrap"].map((name) =>
      describeSignature(signature(name))
    ),
    [
      "ValueError: v cannot be empty in acme/core.py (convolve)",
      "SIGSEGV",
      "exit 3",
      "SEGV in clib/frob.c (null_read)",
      "panic: called … on a … value in src/lib.rs",
    ],
  );
});

const nothing = {
  type: null,
  message: null,
  pattern: null,
  exitCode: null,
  signal: null,
  frames: [],
  runtime: null,
  shows: "failure",
};

Deno.test("parseExpectation() reads what people expect", () => {
  const readings: Record<string, unknown> = {
    "ValueError: v cannot be empty": { type: "ValueError", message: "v cannot be empty" },
    "ValueError": { type: "ValueError" },
    "numpy.linalg.LinAlgError: Singular matrix": { type: "numpy.linalg.LinAlgError", message: "Singular matrix" },
    "std::out_of_range": { type: "std::out_of_range" },
    "TypeError [ERR_X]: bad": { type: "TypeError", message: "bad" },
    "heap-use-after-free": { type: "heap-use-after-free" },
    "panic: bad: thing": { type: "panic", message: "bad: thing" },
    "exit 3": { exitCode: 3 },
    "exit code 139": { exitCode: 139 },
    "exits with 2": { exitCode: 2 },
    "SIGSEGV": { signal: "SIGSEGV" },
    "signal 6": { signal: "SIGABRT" },
    "Segmentation fault (core dumped)": { signal: "SIGSEGV" },
    "/empty$/": { pattern: "empty$" },
    "/a/b/": { pattern: "a/b" },
    "timeout": { type: "timeout" },
    "internal compiler error": { message: "internal compiler error" },
  };
  deepEqual(
    Object.keys(readings).map((text) => [text, parseExpectation(text)]),
    Object.entries(readings).map(([text, reading]) => [text, { ...nothing, ...reading as object }]),
  );
});

Deno.test("parseExpectation() says why it cannot read something", () => {
  deepEqual(["", "exit 0", "exit 256", "exit x", "/(/", "//", "/a/gi", "SIGNOTHING", "11"].map(parseExpectation), [
    "it is empty",
    "an exit code of 0 is no failure",
    'an exit code is a number from 1 to 255, not "256"',
    'an exit code is a number from 1 to 255, not "x"',
    "the pattern is no regular expression (Invalid regular expression: /(/: Unterminated group)",
    "the pattern is empty",
    'a pattern takes no flags, not "gi"',
    '"SIGNOTHING" is no signal that ends programs',
    '"11" may be an exit code or a signal: write `exit 11` or SIGSEGV',
  ]);
});

Deno.test("parseExpectation() expects what judgeRun() then finds", () => {
  const rows: [string, string][] = [
    ["ValueError: v cannot be empty", "python_project_raises"],
    ["SIGSEGV", "c_null"],
    ["exit 3", "c_exit_3"],
    ["/no frob/", "c_exit_3"],
    ["/undeclared/", "gcc_error"],
    ["std::runtime_error: bad frob 1", "cpp_throw"],
    ["heap-use-after-free", "asan_use_after_free"],
    ["panic", "go_index"],
    ["NullPointerException", "java_null"],
  ];
  // As minimizing has it: the file itself is the project.
  const minimized = { project: "/home/dev/repro", reproFile: "" };
  for (const [text, name] of rows) {
    const expected = parseExpectation(text);
    ok(typeof expected !== "string");
    equal(judgeRun(readSample(name), [expected], minimized).outcome, "match", text);
    equal(
      judgeRun(programEnd({ ...readSample(name), exitCode: 0, signal: null }), [expected], minimized).outcome,
      "no_failure",
    );
  }
});

Deno.test("parseExpectation() never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const read = parseExpectation(text);
    return typeof read === "string" || read.shows === "failure";
  }));
});
