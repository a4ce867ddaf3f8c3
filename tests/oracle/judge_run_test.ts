import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { ExpectedFailure, RunJudgement, RunPlace } from "../../src/oracle/expected.ts";
import type { Frame, ProgramEnd, WitnessedFailure } from "../../src/oracle/failure.ts";
import { findFailures } from "../../src/oracle/find_failures.ts";
import { judgeRun } from "../../src/oracle/judge_run.ts";
import { programEnd, readSample, sampleNames } from "./read_sample.ts";

const PROJECT = "/home/dev/project";
const at = (reproFile: string, project = PROJECT): RunPlace => ({ reproFile, project });
const py = at("/home/dev/repro/repro.py");
const js = at("/home/dev/repro/repro.js");
const c = at("/home/dev/repro/repro.c");
const java = at("/home/dev/repro/Repro.java");
const go = at(`${PROJECT}/golib/cmd/repro/main.go`);
const goTest = at(`${PROJECT}/golib/repro_test.go`, `${PROJECT}/golib`);
const rust = at(`${PROJECT}/rustlib/examples/repro.rs`, `${PROJECT}/rustlib`);
const rustTest = at(`${PROJECT}/rustlib/tests/repro.rs`, `${PROJECT}/rustlib`);
const test = at("/home/dev/repro/test_repro.py");

function expecting(more: Partial<ExpectedFailure>): ExpectedFailure {
  return {
    type: null,
    message: null,
    pattern: null,
    exitCode: null,
    signal: null,
    frames: [],
    runtime: null,
    shows: "failure",
    ...more,
  };
}

const valueError = expecting({ type: "ValueError", message: "v cannot be empty" });
const wrongResult = expecting({ shows: "wrong_result" });

const core = (line = 10, name = "convolve"): Frame => ({ function: name, file: `${PROJECT}/acme/core.py`, line });
const own = (line = 3): Frame => ({ function: "<module>", file: py.reproFile, line });
const stdlib: Frame = { function: "loads", file: "/usr/lib/python3.12/json/__init__.py", line: 9 };

function told(more: Partial<WitnessedFailure> = {}): WitnessedFailure {
  return {
    runtime: "python",
    pid: 7,
    type: "ValueError",
    bases: ["Exception", "BaseException"],
    message: "v cannot be empty",
    frames: [core(), own()],
    causes: [],
    projectCalls: 1,
    ...more,
  };
}

const witnessed = (more: Partial<WitnessedFailure>, end: Partial<ProgramEnd> = {}) =>
  programEnd({ hasWitness: true, witnessed: [told(more)], ...end });
const sample = readSample;
/** As an issue would have it, from somebody else's machine. */
const issueFrames: readonly Frame[] = [
  { function: "convolve", file: "/opt/venv/lib/python3.9/site-packages/acme/core.py", line: 77 },
  { function: "<module>", file: "/home/user/test.py", line: 2 },
];

type Case = readonly [
  claim: string,
  end: ProgramEnd,
  expected: readonly ExpectedFailure[] | ExpectedFailure,
  place: RunPlace,
];

const matches: readonly Case[] = [
  ["the project raises what the issue says", sample("python_project_raises"), valueError, py],
  ["told by the witness", witnessed({}), valueError, py],
  ["a qualified type", witnessed({ type: "acme.core.ValueError" }), valueError, py],
  [
    "numbers, paths and quoted values may differ",
    witnessed({ message: "bad 'x' at 17 in /a/b.py" }),
    expecting({ type: "ValueError", message: "bad 'y' at 4 in /q/r.py" }),
    py,
  ],
  ["the same frame elsewhere", witnessed({}), { ...valueError, frames: issueFrames }, py],
  [
    "a checkout with src/",
    witnessed({ frames: [{ function: "convolve", file: `${PROJECT}/src/acme/core.py`, line: 1 }, own()] }),
    { ...valueError, frames: issueFrames },
    py,
  ],
  [
    "an installed copy, when the issue names its file",
    witnessed({
      frames: [{ function: "convolve", file: "/venv/lib/python3.12/site-packages/acme/core.py", line: 1 }, own()],
    }),
    { ...valueError, frames: issueFrames },
    py,
  ],
  ["the message's first line", witnessed({ message: "v cannot be empty\nmore of it" }), valueError, py],
  [
    "a message that the issue cuts off",
    witnessed({ message: "operands could not be broadcast together with shapes (3,) (4,)" }),
    expecting({ type: "ValueError", message: "operands could not be broadcast ..." }),
    py,
  ],
  [
    "a subclass, with the message that the issue quotes",
    witnessed({ type: "acme.core.FrobError", bases: ["ValueError", "Exception"] }),
    valueError,
    py,
  ],
  ["one of several", witnessed({}), [expecting({ type: "KeyError" }), valueError], py],
  ["a pattern", witnessed({}), expecting({ pattern: "^ValueError: v .*empty$" }), py],
  ["a message alone", witnessed({}), expecting({ message: "v cannot be empty" }), py],
  ["with its exit code", witnessed({}), { ...valueError, exitCode: 1 }, py],
  ["Python 2's text", sample("python_old_2_7"), valueError, at("/elsewhere/x.py", "/home/dev/repro")],
  ["merged output", sample("python_shell_merge"), valueError, py],
  [
    "a child's uncaught exception",
    witnessed({}, {
      witnessed: [told(), told({ type: "subprocess.CalledProcessError", message: "x", frames: [stdlib, own()] })],
    }),
    valueError,
    py,
  ],
  ["pytest", sample("pytest_project_raises"), valueError, test],
  [
    "pytest, a chained exception",
    sample("pytest_chain"),
    expecting({ type: "FrobError", message: "bad frob 18" }),
    test,
  ],
  ["unittest", sample("python_unittest"), valueError, py],
  [
    "an assertion of the project",
    sample("python_check"),
    expecting({ type: "AssertionError", message: "x must be positive, not -1" }),
    py,
  ],
  [
    "an OSError under its old name",
    witnessed({ type: "OSError", message: "bad handle" }),
    expecting({ type: "IOError", message: "bad handle" }),
    py,
  ],
  [
    "KeyError in the issue's frame, another key",
    witnessed({ type: "KeyError", message: "'b'" }),
    expecting({ type: "KeyError", message: "'a'", frames: issueFrames }),
    py,
  ],
  [
    "an ImportError of the project",
    witnessed({
      type: "ImportError",
      message: "cannot import name 'x' from 'acme' (/p)",
      frames: [core(1, "<module>"), own()],
    }),
    expecting({ type: "ImportError", message: "cannot import name 'x' from 'acme' (/q)" }),
    py,
  ],
  [
    "a name that the project does not export",
    witnessed({ type: "ImportError", message: "cannot import name 'x' from 'acme' (/p)", frames: [own()] }),
    expecting({ type: "ImportError", message: "cannot import name 'x' from 'acme' (/q)" }),
    py,
  ],
  [
    "a submodule that the project lacks",
    witnessed({
      type: "ModuleNotFoundError",
      message: "No module named 'acme.sub'",
      bases: ["ImportError"],
      frames: [own()],
    }),
    expecting({ type: "ModuleNotFoundError", message: "No module named 'acme.sub'" }),
    py,
  ],
  [
    "a SyntaxError in a file of the project",
    sample("python_syntax_in_project"),
    expecting({ type: "SyntaxError" }),
    py,
  ],
  ["Node throws", sample("node_project_throws"), expecting({ type: "FrobError", message: "cannot frob null" }), js],
  ["Node rejects", sample("node_rejection"), expecting({ type: "FrobError" }), js],
  [
    "Node's TypeError of the same property",
    sample("node_type_error"),
    expecting({ type: "TypeError", message: "Cannot read properties of undefined (reading 'length')" }),
    js,
  ],
  [
    "Node's complaint of an empty text",
    sample("node_json_empty"),
    expecting({
      type: "SyntaxError",
      message: "Unexpected end of JSON input",
      frames: [{ function: "parse", file: "/x/node_modules/jslib/index.js", line: 1 }],
    }),
    js,
  ],
  [
    "jest",
    sample("jest_two"),
    expecting({ type: "FrobError", message: "cannot frob null" }),
    at("/home/dev/repro/repro.test.js"),
  ],
  ["node --test", sample("node_node_test_tap"), expecting({ type: "FrobError" }), at("/home/dev/repro/repro.test.js")],
  [
    "Deno",
    sample("deno_project_throws"),
    expecting({ type: "TypeError", message: "cannot frob null" }),
    at("/home/dev/repro/repro.ts"),
  ],
  [
    "Go",
    sample("go_index"),
    expecting({ type: "panic", message: "runtime error: index out of range [3] with length 3" }),
    go,
  ],
  [
    "go test",
    sample("go_test_nil"),
    expecting({ type: "panic", message: "runtime error: invalid memory address or nil pointer dereference" }),
    goTest,
  ],
  [
    "Go's deadlock",
    sample("go_deadlock"),
    expecting({ type: "fatal error", message: "all goroutines are asleep - deadlock!" }),
    go,
  ],
  [
    "Rust",
    sample("rust_unwrap"),
    expecting({ type: "panic", message: "called `Option::unwrap()` on a `None` value" }),
    rust,
  ],
  [
    "Rust with a backtrace",
    sample("rust_index_backtrace"),
    expecting({ type: "panic", message: "index out of bounds: the len is 9 but the index is 12" }),
    rust,
  ],
  [
    "cargo test",
    sample("rust_cargo_test"),
    expecting({ message: "called `Option::unwrap()` on a `None` value" }),
    rustTest,
  ],
  ["Java", sample("java_null"), expecting({ type: "NullPointerException" }), java],
  [
    "Java, by its frame",
    sample("java_caused_by"),
    expecting({
      type: "com.acme.Frob$FrobException",
      runtime: "java",
      frames: [{ function: "com.acme.Frob.parse", file: "Frob.java", line: 1 }],
    }),
    java,
  ],
  [
    "AddressSanitizer",
    sample("asan_use_after_free"),
    expecting({
      type: "heap-use-after-free",
      frames: [{ function: "use_after_free", file: "/src/clib/frob.c", line: 1 }],
    }),
    c,
  ],
  ["a SEGV that AddressSanitizer caught", sample("asan_null"), expecting({ signal: "SIGSEGV" }), c],
  [
    "UndefinedBehaviorSanitizer",
    sample("ubsan_add_trace"),
    expecting({
      type: "runtime error",
      message: "signed integer overflow: 1 + 2147483647 cannot be represented in type 'int'",
    }),
    c,
  ],
  ["an assertion of C", sample("c_assert"), expecting({ type: "assert", message: 'x > 0 && "x must be positive"' }), c],
  ["a signal", sample("c_null"), expecting({ signal: "SIGSEGV" }), c],
  ["a signal that a shell tells of", sample("c_null_shell"), expecting({ signal: "SIGSEGV" }), c],
  [
    "the allocator's complaint",
    sample("c_double_free"),
    expecting({ message: "free(): double free detected in tcache 2" }),
    c,
  ],
  [
    "an uncaught exception of C++",
    sample("cpp_throw"),
    expecting({ type: "std::runtime_error", message: "bad frob 3" }),
    c,
  ],
  ["an exit code", sample("c_exit_3"), expecting({ exitCode: 3 }), c],
  [
    "what a tool says before it exits",
    sample("c_exit_3"),
    expecting({ message: "frob: fatal error: no frob", exitCode: 3 }),
    c,
  ],
  [
    "what a compiler says",
    programEnd({ stderr: "x.c:3:7: internal compiler error: in convolve, at acme.c:77\n" }),
    expecting({ message: "internal compiler error: in convolve, at acme.c:12" }),
    c,
  ],
  [
    "a test of pytest that misses an exception",
    witnessed({
      type: "Failed",
      message: "DID NOT RAISE",
      frames: [{ function: "fail", file: "/venv/lib/python3.12/site-packages/_pytest/outcomes.py", line: 3 }, own()],
    }),
    wrongResult,
    py,
  ],
  ["a checkout elsewhere, through another module of it", witnessed({}), {
    ...valueError,
    frames: [{ function: "convolve", file: "/home/you/src/acme/core.py", line: 4 }, {
      function: "run",
      file: "/home/you/src/acme/cli.py",
      line: 4,
    }, issueFrames[1]!],
  }, py],
  [
    "another package's frames within the issue's stack",
    witnessed({
      frames: [{ function: "f", file: "/venv/lib/python3.12/site-packages/other/x.py", line: 1 }, core(), own()],
    }),
    {
      ...valueError,
      frames: [{ function: "g", file: "/opt/venv/lib/python3.9/site-packages/other/y.py", line: 1 }, ...issueFrames],
    },
    py,
  ],
  [
    "a function that the issue calls",
    witnessed({}),
    expecting({ type: "ValueError", calls: ["correlate", "convolve"] }),
    { ...py, files: new Set(["acme/core.py"]) },
  ],
  [
    "the file that is missing in the issue, elsewhere",
    witnessed({ type: "FileNotFoundError", message: "[Errno 2] No such file or directory: '/q/table.txt'" }),
    expecting({ type: "FileNotFoundError", message: "[Errno 2] No such file or directory: '/p/table.txt'" }),
    py,
  ],
  [
    "an exit that the project has asked for",
    witnessed({}, { exitCode: 3, witnessed: [told({ type: "SystemExit", message: "3", frames: [core(), own()] })] }),
    expecting({ exitCode: 3 }),
    py,
  ],
  [
    "a crash in the project, told by a witness",
    witnessed({}, {
      exitCode: 139,
      signal: "SIGSEGV",
      witnessed: [told({ type: "SIGSEGV", message: "", frames: [stdlib, core(), own()] })],
    }),
    expecting({ signal: "SIGSEGV" }),
    py,
  ],
  [
    "an assertion of C that a shell tells of, too",
    sample("c_assert", { stderr: `${sample("c_assert").stderr}Aborted (core dumped)\n` }),
    expecting({ type: "assert", message: 'x > 0 && "x must be positive"' }),
    c,
  ],
  ["a hang", programEnd({ timedOut: true, exitCode: null }), expecting({ type: "timeout" }), py],
  [
    "PHP",
    sample("php_throw"),
    expecting({ type: "InvalidArgumentException", message: "cannot frob null" }),
    at("/home/dev/repro/repro.php"),
  ],
  [
    "Ruby",
    sample("ruby_raise"),
    expecting({ type: "Frob::Error", message: "cannot frob nil" }),
    at("/home/dev/repro/repro.rb"),
  ],
  [
    "a wrong result, by an assertion after a call",
    witnessed({ type: "AssertionError", message: "0", frames: [own()] }),
    wrongResult,
    py,
  ],
  ["a wrong result, by an exit after a call", programEnd({ hasWitness: true, projectCalls: 2 }), wrongResult, py],
  [
    "a wrong result, by numpy's way of asserting",
    witnessed({
      type: "AssertionError",
      message: "x",
      frames: [{ function: "assert_equal", file: `${PROJECT}/acme/testing/_private/utils.py`, line: 3 }, own()],
    }),
    wrongResult,
    py,
  ],
  ["a wrong result in go test", sample("go_test_fail"), wrongResult, goTest],
  ["a wrong result in cargo test", sample("rust_cargo_test"), wrongResult, rustTest],
  ["without a reproducer there is nobody to blame", sample("python_own_raise"), valueError, at("", "/home/dev/repro")],
  ["nor trouble", sample("gcc_error"), expecting({ exitCode: 1 }), at("", "/home/dev/repro")],
];

type Refusal = readonly [RunJudgement["outcome"], ...Case];

const FILES: ReadonlySet<string> = new Set(["acme/core.py", "acme/testing.py"]);
const known: RunPlace = { ...py, files: FILES };

const traps: readonly Refusal[] = [
  // Somebody has put something in the place of the project.
  [
    "own_failure",
    "the project was meddled with",
    witnessed({}, { meddling: "It has changed acme/core.py" }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "a file that lies in the project and is not its own",
    witnessed({ frames: [{ function: "convolve", file: `${PROJECT}/acme/fake.py`, line: 1 }, own()] }),
    valueError,
    known,
  ],
  [
    "other_failure",
    "an installed copy that is not the project's",
    witnessed({
      frames: [{ function: "convolve", file: "/venv/lib/python3.12/site-packages/acme/core.py", line: 1 }, own()],
    }),
    { ...valueError, frames: issueFrames },
    known,
  ],
  [
    "other_failure",
    "a traceback where a witness would have told of it",
    sample("python_project_raises", { watched: ["python", "node"] }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "a stack of Node that Node says was thrown elsewhere",
    sample("node_own_throw", {
      watched: ["node"],
      hasWitness: true,
      witnessed: [told({
        runtime: "node",
        type: "Error",
        message: /Error: (.*)/.exec(sample("node_own_throw").stderr)?.[1] ?? "",
        frames: [{ function: "frob", file: `${PROJECT}/jslib/index.js`, line: 3 }],
      })],
    }),
    expecting({ type: "Error" }),
    js,
  ],
  [
    "other_failure",
    "none of the functions that the issue calls",
    witnessed({}),
    expecting({ type: "ValueError", calls: ["correlate"] }),
    known,
  ],
  [
    "broken",
    "another file is missing",
    witnessed({ type: "FileNotFoundError", message: "[Errno 2] No such file or directory: '/q/other.txt'" }),
    expecting({ type: "FileNotFoundError", message: "[Errno 2] No such file or directory: '/p/table.txt'" }),
    known,
  ],
  [
    "own_failure",
    "another exit than the one that was asked for",
    witnessed({}, { exitCode: 3, witnessed: [told({ type: "SystemExit", message: "3", frames: [own()] })] }),
    expecting({ exitCode: 3 }),
    py,
  ],
  [
    "own_failure",
    "a crash of the reproducer's own",
    witnessed({}, {
      exitCode: 139,
      signal: "SIGSEGV",
      witnessed: [told({ type: "SIGSEGV", message: "", frames: [stdlib, own()] })],
    }),
    expecting({ signal: "SIGSEGV" }),
    py,
  ],
  // Ends well, whatever it prints.
  ["no_failure", "a traceback is printed, exit 0", sample("python_printed_exit_0"), valueError, py],
  ["no_failure", "a stack is printed, exit 0", sample("node_printed_exit_0"), expecting({ type: "FrobError" }), js],
  ["no_failure", "a thread died, exit 0", sample("python_thread"), valueError, py],
  [
    "no_failure",
    "a Java thread died, exit 0",
    sample("java_thread"),
    expecting({ type: "NullPointerException" }),
    java,
  ],
  ["no_failure", "a Rust thread panicked, exit 0", sample("rust_thread"), expecting({ type: "panic" }), rust],
  [
    "no_failure",
    "UBSan complains and goes on, exit 0",
    sample("ubsan_shift_recovers"),
    expecting({ type: "runtime error" }),
    c,
  ],
  ["no_failure", "the witness told of a thread, exit 0", witnessed({}, { exitCode: 0 }), valueError, py],
  // Prints it and fails otherwise.
  ["other_failure", "the witness told of a thread, exit 3", witnessed({}, { exitCode: 3 }), valueError, py],
  [
    "other_failure",
    "the witness told of a child, then a crash",
    witnessed({}, { exitCode: null, signal: "SIGSEGV" }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "a traceback that the reproducer catches, beside its own exit",
    witnessed({ type: "SystemExit", message: "1", frames: [own()] }, {
      stderr: sample("python_project_raises").stderr,
    }),
    valueError,
    py,
  ],
  ["other_failure", "printed, exit 3", sample("python_printed_exit_3"), valueError, py],
  ["other_failure", "printed, then another failure", sample("python_printed_then_other"), valueError, py],
  ["other_failure", "printed to stdout, exit 1", sample("python_printed_to_stdout_exit_1"), valueError, py],
  ["other_failure", "logged, exit 1", sample("python_logged"), valueError, py],
  ["other_failure", "ignored in a destructor, exit 1", sample("python_ignored"), valueError, py],
  ["other_failure", "died in a thread, exit 1", sample("python_thread_then_exit"), valueError, py],
  [
    "other_failure",
    "a message that quotes a traceback",
    sample("python_multi_line"),
    expecting({ type: "TypeError", message: "forged" }),
    py,
  ],
  ["other_failure", "printed by Node, exit 1", sample("node_printed_exit_1"), expecting({ type: "FrobError" }), js],
  [
    "other_failure",
    "its stack printed by Node",
    sample("node_printed_stack_exit_1"),
    expecting({ type: "FrobError" }),
    js,
  ],
  [
    "other_failure",
    "Node's own words forged, exit 3",
    sample("node_forged_uncaught_exit_3"),
    expecting({ type: "Error", message: "forged" }),
    js,
  ],
  [
    "own_failure",
    "frames in a message of Node",
    sample("node_multi_line"),
    expecting({ type: "Error", message: "first" }),
    js,
  ],
  [
    "other_failure",
    "Java's printStackTrace, exit 1",
    sample("java_printed"),
    expecting({ type: "NullPointerException" }),
    java,
  ],
  [
    "other_failure",
    "a Rust thread panicked, exit 1",
    sample("rust_thread_then_exit"),
    expecting({ type: "panic" }),
    rust,
  ],
  [
    "other_failure",
    "UBSan complains, then exit 3",
    sample("ubsan_then_exit_3"),
    expecting({ type: "runtime error" }),
    c,
  ],
  [
    "other_failure",
    "a script that prints more after a crash and exits 139",
    sample("c_null_shell_script"),
    expecting({ signal: "SIGSEGV" }),
    c,
  ],
  ["other_failure", "exit 139 without a signal", programEnd({ exitCode: 139 }), expecting({ signal: "SIGSEGV" }), c],
  [
    "other_failure",
    "a report of ASan in a file that is shown, exit 3",
    sample("asan_null", { exitCode: 3 }),
    expecting({ signal: "SIGSEGV" }),
    c,
  ],
  [
    "other_failure",
    "a panic of Go with Python's status",
    sample("go_index", { exitCode: 1 }),
    expecting({ type: "panic" }),
    go,
  ],
  [
    "other_failure",
    "a panic of Rust with another status",
    sample("rust_unwrap", { exitCode: 1 }),
    expecting({ type: "panic" }),
    rust,
  ],
  [
    "other_failure",
    "an assertion of C with exit 1",
    sample("c_assert", { exitCode: 1, signal: null }),
    expecting({ type: "assert" }),
    c,
  ],
  [
    "other_failure",
    "a traceback before other words",
    sample("python_project_raises", { stderr: sample("python_project_raises").stderr + "and so on\n" }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "an indented traceback",
    sample("python_project_raises", { stderr: sample("python_project_raises").stderr.replace(/^/gm, "    ") }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a traceback in Markdown",
    sample("python_project_raises", { stderr: sample("python_project_raises").stderr.replace(/^/gm, "> ") }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a traceback behind log prefixes",
    sample("python_project_raises", {
      stderr: sample("python_project_raises").stderr.replace(/^/gm, "2024-01-01 ERROR "),
    }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a traceback in a JSON line",
    sample("python_project_raises", { stderr: JSON.stringify({ error: sample("python_project_raises").stderr }) }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a traceback whose end is cut off",
    sample("python_project_raises", {
      stderr: sample("python_project_raises").stderr.split("\n").slice(0, -2).join("\n"),
    }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a traceback on stdout beside words on stderr",
    programEnd({ stdout: sample("python_project_raises").stderr, stderr: "giving up\n" }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a whole forged traceback beside a witness that told nothing",
    sample("python_project_raises", { hasWitness: true }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a forged section of pytest beside a silent witness",
    sample("pytest_project_raises", { hasWitness: true }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "a forged traceback beside the witness' word",
    sample("python_project_raises", { hasWitness: true, witnessed: [told({ frames: [own()] })] }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "pytest's section without its summary",
    sample("pytest_project_raises", { stdout: sample("pytest_project_raises").stdout.split("=== short")[0]! }),
    valueError,
    test,
  ],
  [
    "own_failure",
    "what a test of pytest prints",
    sample("pytest_two"),
    expecting({ type: "TypeError", message: "forged" }),
    test,
  ],
  [
    "other_failure",
    "a traceback after a lot of output",
    programEnd({ stderr: sample("python_project_raises").stderr + "x\n".repeat(600_000) }),
    valueError,
    py,
  ],
  // The reproducer does it itself.
  ["own_failure", "raise ValueError", sample("python_own_raise"), valueError, py],
  ["own_failure", "raise ValueError, told by the witness", witnessed({ frames: [own()] }), valueError, py],
  [
    "own_failure",
    "raised in a callback that the project calls",
    witnessed({ frames: [own(), core(), own()] }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "raised by code made at run time",
    witnessed({ frames: [{ function: "<module>", file: "<string>", line: 1 }, own()] }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "raised by code made at run time, below the project",
    witnessed({ frames: [{ function: "<module>", file: "<string>", line: 1 }, own(), core(), own()] }),
    valueError,
    py,
  ],
  ["own_failure", "the standard library, called straight", witnessed({ frames: [stdlib, own()] }), valueError, py],
  [
    "own_failure",
    "another package, called straight",
    witnessed({ frames: [{ function: "f", file: "/venv/lib/python3.12/site-packages/other/x.py", line: 1 }, own()] }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "a package in the project's own virtual environment",
    witnessed({
      frames: [{ function: "f", file: `${PROJECT}/.venv/lib/python3.12/site-packages/other/x.py`, line: 1 }, own()],
    }),
    valueError,
    py,
  ],
  [
    "own_failure",
    "the reproducer lies in the project",
    witnessed({ frames: [{ ...own(), file: `${PROJECT}/repro.py` }] }),
    valueError,
    at(`${PROJECT}/repro.py`),
  ],
  [
    "own_failure",
    "assert in the reproducer, for a failure",
    sample("python_own_assert"),
    expecting({ type: "AssertionError" }),
    py,
  ],
  [
    "own_failure",
    "throw in the reproducer",
    sample("node_own_throw"),
    expecting({ type: "Error", message: "cannot frob null" }),
    js,
  ],
  ["own_failure", "a thrown text", sample("node_own_throw_string"), expecting({ message: "just text" }), js],
  [
    "own_failure",
    "thrown in a callback that the project calls",
    sample("node_callback_in_repro"),
    expecting({ type: "RangeError", message: "from the callback" }),
    js,
  ],
  [
    "own_failure",
    "a name that the reproducer forgot",
    sample("node_reference"),
    expecting({ type: "ReferenceError" }),
    js,
  ],
  [
    "own_failure",
    "panic in main of Go",
    sample("go_own_panic"),
    expecting({ type: "panic", message: "bad frob text" }),
    go,
  ],
  [
    "own_failure",
    "panic in main of Rust",
    sample("rust_own_panic"),
    expecting({ type: "panic", message: "bad frob" }),
    rust,
  ],
  [
    "own_failure",
    "thrown in main of Java",
    sample("java_own_throw"),
    expecting({ type: "IllegalStateException" }),
    java,
  ],
  [
    "own_failure",
    "a use after free of the reproducer itself",
    sample("asan_own"),
    expecting({ type: "heap-use-after-free" }),
    c,
  ],
  ["own_failure", "an assertion in main of C", sample("c_own_assert"), expecting({ type: "assert" }), c],
  [
    "own_failure",
    "an exit that the reproducer asked for",
    witnessed({ type: "SystemExit", message: "3", frames: [own()] }, { exitCode: 3 }),
    expecting({ exitCode: 3 }),
    py,
  ],
  [
    "own_failure",
    "an exit that nobody told of, beside a witness",
    programEnd({ exitCode: 3, hasWitness: true }),
    expecting({ exitCode: 3 }),
    py,
  ],
  [
    "own_failure",
    "a forged signal: an exit with 139",
    witnessed({ type: "SystemExit", message: "139", frames: [own()] }, { exitCode: 139, signal: "SIGSEGV" }),
    expecting({ exitCode: 139 }),
    py,
  ],
  // Another failure.
  ["other_failure", "another type", witnessed({ type: "TypeError" }), valueError, py],
  ["other_failure", "another message", witnessed({ message: "a cannot be empty" }), valueError, py],
  ["other_failure", "another place", witnessed({ frames: [core(3, "other"), own()] }), {
    ...valueError,
    frames: issueFrames,
  }, py],
  [
    "other_failure",
    "another file",
    witnessed({ frames: [{ function: "convolve", file: `${PROJECT}/acme/fft.py`, line: 1 }, own()] }),
    { ...valueError, frames: issueFrames },
    py,
  ],
  [
    "other_failure",
    "deeper in the project than the issue says",
    witnessed({ frames: [core(3, "inner"), core(), own()] }),
    { ...valueError, frames: issueFrames },
    py,
  ],
  ["other_failure", "less deep in the project than the issue says", witnessed({}), {
    ...valueError,
    frames: [{ function: "inner", file: "/x/site-packages/acme/deep.py", line: 1 }, ...issueFrames],
  }, py],
  [
    "other_failure",
    "the builtin one for that of a package",
    witnessed({}),
    expecting({ type: "acme.ValueError", message: "v cannot be empty" }),
    py,
  ],
  [
    "other_failure",
    "a subclass with another message",
    witnessed({ type: "acme.FrobError", bases: ["ValueError"], message: "frob" }),
    valueError,
    py,
  ],
  [
    "other_failure",
    "a subclass where no message is expected",
    witnessed({ type: "acme.FrobError", bases: ["ValueError"] }),
    expecting({ type: "ValueError" }),
    py,
  ],
  [
    "other_failure",
    "the expected one is only the cause",
    sample("pytest_chain"),
    expecting({ type: "KeyError", message: "'key'" }),
    test,
  ],
  [
    "other_failure",
    "another key",
    witnessed({ type: "KeyError", message: "'b'" }),
    expecting({ type: "KeyError", message: "'a'" }),
    py,
  ],
  [
    "other_failure",
    "another attribute",
    witnessed({ type: "AttributeError", message: "'list' object has no attribute 'b'" }),
    expecting({ type: "AttributeError", message: "'NoneType' object has no attribute 'a'" }),
    py,
  ],
  [
    "other_failure",
    "another property in Node",
    sample("node_type_error"),
    expecting({ type: "TypeError", message: "Cannot read properties of undefined (reading 'map')" }),
    js,
  ],
  [
    "other_failure",
    "another runtime",
    sample("node_type_error"),
    expecting({ type: "TypeError", runtime: "python" }),
    js,
  ],
  ["other_failure", "another signal", sample("c_divide"), expecting({ signal: "SIGSEGV" }), c],
  ["other_failure", "another exit code", sample("c_exit_3"), expecting({ exitCode: 4 }), c],
  ["other_failure", "an exit where a signal is expected", sample("c_exit_3"), expecting({ signal: "SIGABRT" }), c],
  ["other_failure", "another report of ASan", sample("asan_overflow"), expecting({ type: "heap-use-after-free" }), c],
  [
    "other_failure",
    "a crash without a stack where a stack is expected",
    sample("c_null"),
    expecting({ signal: "SIGSEGV", frames: [{ function: "frob", file: "frob.c", line: 2 }] }),
    c,
  ],
  ["other_failure", "nothing is expected", witnessed({}), [], py],
  ["other_failure", "an expectation that says nothing", witnessed({}), expecting({}), py],
  ["other_failure", "a pattern that is none", witnessed({}), expecting({ pattern: "(" }), py],
  ["other_failure", "a pattern that does not fit", witnessed({}), expecting({ pattern: "^KeyError" }), py],
  ["other_failure", "a failure where a hang is expected", witnessed({}), expecting({ type: "timeout" }), py],
  [
    "timeout",
    "a hang where a failure is expected",
    programEnd({ timedOut: true, exitCode: null, stderr: sample("python_project_raises").stderr }),
    valueError,
    py,
  ],
  // The reproducer is broken.
  ["broken", "does not parse", sample("python_syntax"), expecting({ exitCode: 1 }), py],
  [
    "broken",
    "does not parse, and a SyntaxError is expected",
    sample("python_syntax"),
    expecting({ type: "SyntaxError" }),
    py,
  ],
  ["broken", "wrong indentation", sample("python_indentation"), valueError, py],
  ["broken", "a module is missing", sample("python_module_missing"), expecting({ exitCode: 1 }), py],
  [
    "broken",
    "a module is missing, and an ImportError is expected",
    sample("python_module_missing"),
    expecting({ type: "ModuleNotFoundError" }),
    py,
  ],
  [
    "broken",
    "the project is not installed",
    witnessed({ type: "ModuleNotFoundError", message: "No module named 'acme'", frames: [own()] }),
    expecting({ type: "ModuleNotFoundError", message: "No module named 'acme'" }),
    py,
  ],
  [
    "broken",
    "another name is missing",
    sample("python_import_name"),
    expecting({ type: "ImportError", message: "cannot import name 'x' from 'acme.core' (/y)" }),
    py,
  ],
  ["broken", "a file is missing", sample("python_file_missing"), expecting({ exitCode: 1 }), py],
  ["broken", "the script is missing", sample("python_script_missing"), expecting({ exitCode: 2 }), py],
  ["broken", "a test cannot be collected", sample("pytest_collect_syntax"), expecting({ exitCode: 2 }), test],
  ["broken", "Node cannot parse it", sample("node_syntax"), expecting({ exitCode: 1 }), js],
  ["broken", "Node misses a module", sample("node_module_missing"), expecting({ type: "Error" }), js],
  ["broken", "gcc cannot compile it", sample("gcc_error"), expecting({ exitCode: 1 }), c],
  ["broken", "go cannot compile it", sample("go_compile_error"), expecting({ exitCode: 2 }), go],
  ["broken", "go test cannot compile it", sample("go_test_compile"), expecting({ exitCode: 2 }), goTest],
  ["broken", "rustc cannot compile it", sample("rust_compile_error"), expecting({ exitCode: 101 }), rust],
  ["broken", "javac cannot compile it", sample("java_compile_error"), expecting({ exitCode: 1 }), java],
  ["broken", "a file that a shell cannot find", sample("shell_no_file"), expecting({ exitCode: 1 }), c],
  // The surroundings are.
  ["environment", "no network", sample("python_no_network"), expecting({ type: "URLError" }), py],
  ["environment", "refused", sample("python_refused"), expecting({ exitCode: 1 }), py],
  ["environment", "Node finds no host", sample("node_dns"), expecting({ type: "Error" }), js],
  ["environment", "no memory", sample("python_memory"), expecting({ type: "MemoryError" }), py],
  ["environment", "Node has no memory", sample("node_heap"), expecting({ signal: "SIGABRT" }), js],
  ["environment", "Java has no memory", sample("java_memory"), expecting({ type: "OutOfMemoryError" }), java],
  ["environment", "no such program", sample("shell_not_found"), expecting({ exitCode: 127 }), c],
  ["environment", "not executable", sample("shell_not_executable"), expecting({ exitCode: 126 }), c],
  ["environment", "killed", programEnd({ exitCode: null, signal: "SIGKILL" }), expecting({ signal: "SIGKILL" }), c],
  [
    "environment",
    "killed, as a shell tells it",
    programEnd({ exitCode: 137, stderr: "Killed\n" }),
    expecting({ exitCode: 137 }),
    c,
  ],
  [
    "environment",
    "pip fails",
    programEnd({
      stderr:
        "ERROR: Could not find a version that satisfies the requirement x\nERROR: No matching distribution found for x\n",
    }),
    expecting({ exitCode: 1 }),
    py,
  ],
  // A wrong result that nothing shows.
  [
    "own_failure",
    "an assertion without a call of the project",
    witnessed({ type: "AssertionError", message: "0", frames: [own()], projectCalls: 0 }),
    wrongResult,
    py,
  ],
  ["own_failure", "an assertion, and nobody counted calls", sample("python_own_assert"), wrongResult, py],
  ["own_failure", "an exit without a call", programEnd({ hasWitness: true, projectCalls: 0 }), wrongResult, py],
  ["own_failure", "an exit of a shell script", programEnd({}), wrongResult, at("/home/dev/repro/repro.sh")],
  [
    "own_failure",
    "a mistake of the reproducer after a call",
    witnessed({ type: "NameError", message: "name 'x' is not defined", frames: [own()] }),
    wrongResult,
    py,
  ],
  [
    "own_failure",
    "an index that the reproducer has wrong",
    witnessed({ type: "IndexError", message: "x", frames: [own()] }),
    wrongResult,
    py,
  ],
  ["other_failure", "an exception of the project", witnessed({}), wrongResult, py],
  [
    "other_failure",
    "an assertion of the project about its arguments",
    witnessed({ type: "AssertionError", message: "x must be positive", frames: [core(), own()] }),
    wrongResult,
    py,
  ],
  ["other_failure", "a crash", sample("c_null"), wrongResult, c],
];

function outcomes(cases: readonly Case[]): [string, string, number | null][] {
  return cases.map(([claim, end, expected, place]) => {
    const { outcome, matched, reason } = judgeRun(end, [expected].flat(), place);
    return [claim, outcome === "match" ? outcome : `${outcome}: ${reason}`, matched];
  });
}

Deno.test("judgeRun() finds the expected failure in the outputs of every family", () => {
  deepEqual(outcomes(matches).filter(([, outcome]) => outcome !== "match"), []);
});

Deno.test("judgeRun() falls for none of the traps, and says what each is", () => {
  const wrong = outcomes(traps.map(([, ...rest]) => rest)).flatMap(([claim, outcome, matched], i) =>
    outcome.split(":")[0] === traps[i]![0] && matched === null ? [] : [[claim, traps[i]![0], outcome]]
  );
  deepEqual(wrong, []);
  ok(traps.length >= 100);
});

Deno.test("judgeRun() gives the index, a sentence and the failure", () => {
  const end = sample("python_project_raises");
  const judged = judgeRun(end, [expecting({ type: "KeyError" }), valueError], py);
  deepEqual({ ...judged, failure: judged.failure?.frames.length }, {
    outcome: "match",
    matched: 1,
    reason: "It failed as expected with ValueError in acme/core.py (convolve)",
    failure: 2,
  });
  equal(
    judgeRun(end, [{ ...valueError, frames: [{ ...issueFrames[0]!, function: "correlate" }] }], py).reason,
    "ValueError comes from acme/core.py (convolve), not from acme/core.py (correlate)",
  );
});

Deno.test("judgeRun() matches what findFailures() reads in an issue that quotes the same output", () => {
  const quoted: readonly (readonly [string, RunPlace])[] = [
    ["python_project_raises", py],
    ["python_context", py],
    ["python_check", py],
    ["pytest_project_raises", test],
    ["pytest_chain", test],
    ["node_project_throws", js],
    ["node_type_error", js],
    ["jest_two", at("/home/dev/repro/repro.test.js")],
    ["deno_project_throws", at("/home/dev/repro/repro.ts")],
    ["go_nil", go],
    ["go_test_panic", goTest],
    ["rust_unwrap", rust],
    ["rust_index_backtrace", rust],
    ["java_caused_by", java],
    ["asan_use_after_free", c],
    ["asan_leak", c],
    ["ubsan_add_trace", c],
    ["c_assert", c],
    ["cpp_throw", c],
    ["php_throw", at("/home/dev/repro/repro.php")],
    ["ruby_raise", at("/home/dev/repro/repro.rb")],
  ];
  const missed = quoted.flatMap(([name, place]) => {
    const end = sample(name);
    const issue = `# It fails\n\nI ran it:\n\n\`\`\`\n${end.stdout}${end.stderr}\`\`\`\n\nPlease fix.\n`;
    const found = findFailures(issue).filter(({ strength }) => strength === "traceback").map(({ expected }) =>
      expected
    );
    const { outcome, reason } = judgeRun(end, found, place);
    return outcome === "match" ? [] : [[name, outcome, reason]];
  });
  deepEqual(missed, []);
});

const anyEnd = fc.record({
  name: fc.constantFrom(...sampleNames),
  exitCode: fc.constantFrom(0, 1, 2, 3, 101, 134, 139, null),
  cut: fc.nat(3000),
  noise: fc.string({ maxLength: 40 }),
  hasWitness: fc.boolean(),
});
const anyExpected = fc.record({
  type: fc.constantFrom(null, "ValueError", "Error", "panic", "timeout", "a.b", ""),
  message: fc.constantFrom(null, "v cannot be empty", "'x'", "…", ""),
  pattern: fc.constantFrom(null, "(", "x"),
  exitCode: fc.constantFrom(null, 1, 3),
  signal: fc.constantFrom(null, "SIGSEGV"),
  frames: fc.constantFrom<readonly Frame[]>([], issueFrames, [{ function: null, file: null, line: null }]),
  runtime: fc.constantFrom(null, "python" as const, "java" as const),
  shows: fc.constantFrom("failure" as const, "wrong_result" as const),
});

Deno.test("judgeRun() never throws, and never matches a program that ended well", () => {
  fc.assert(
    fc.property(anyEnd, anyExpected, ({ name, exitCode, cut, noise, hasWitness }, expected) => {
      const end = sample(name);
      const { stderr, stdout } = end;
      const signal = exitCode === null ? "SIGABRT" : null;
      const changed = {
        ...end,
        exitCode,
        signal,
        hasWitness,
        stderr: noise + stderr.slice(0, cut) + noise,
        stdout: stdout.slice(cut),
      };
      const { outcome, matched } = judgeRun(changed, [expected], py);
      return (outcome === "match") === (matched === 0) && (exitCode !== 0 || outcome === "no_failure");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("judgeRun() never takes a traceback with text around it for the end of the program", () => {
  const words = fc.stringMatching(/^[a-z][a-z ,.]{0,40}$/);
  const around = fc.record({
    before: words,
    behind: words,
    indent: fc.constantFrom("  ", "> ", "| ", "# "),
    exitCode: fc.constantFrom(1, 2, 3),
  });
  fc.assert(
    fc.property(around, ({ before, behind, indent, exitCode }) => {
      const { stderr } = sample("python_project_raises");
      const texts = [
        `${before}\n${stderr}${behind}\n`,
        stderr.replace(/^/gm, indent),
        `${before} ${stderr.replaceAll("\n", " ")}`,
      ];
      return texts.every((text) =>
        judgeRun(programEnd({ stderr: text, exitCode }), [valueError], py).outcome !== "match" &&
        judgeRun(programEnd({ stdout: text, exitCode }), [valueError], py).outcome !== "match"
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("what a limit of the surroundings has ended shows nothing, whatever is expected", () => {
  const limit = "memory (4 GiB)";
  const end = programEnd({ signal: "SIGKILL", exitCode: null, limit, stderr: "Killed\n" });
  const wanted = [
    expecting({ signal: "SIGKILL" }),
    expecting({ type: "MemoryError" }),
    expecting({ exitCode: 137 }),
    expecting({ type: "timeout" }),
    wrongResult,
  ];
  const { outcome, matched, reason, failure } = judgeRun(end, wanted, py);
  deepEqual([outcome, matched, reason], ["environment", null, "It was ended by its limit of memory (4 GiB)"]);
  deepEqual([failure?.signal, failure?.trouble], ["SIGKILL", "resources"]);
  const own = witnessed({ type: "MemoryError", message: "" }, { exitCode: 1 });
  equal(judgeRun(own, [expecting({ type: "MemoryError" })], py).outcome, "match");
  equal(judgeRun(own, [valueError], py).outcome, "environment");
});
