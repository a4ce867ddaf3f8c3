import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { ObservedFailure, ProgramEnd, WitnessedFailure } from "../../src/oracle/failure.ts";
import { projectFrame } from "../../src/oracle/frame_owner.ts";
import { readFailures } from "../../src/oracle/read_failures.ts";
import { programEnd, readSample, sampleNames } from "./read_sample.ts";

const EXTENSIONS: Partial<Record<string, string>> = { python: "py", node: "js", java: "java" };

/** Runtime, kind, type and first line of the message, innermost frame of the project, trouble. */
function summary(failure: ObservedFailure): string {
  const { runtime, kind, type, message, trouble } = failure;
  const reproFile = `/home/dev/repro/${runtime === "java" ? "Repro" : "repro"}.${EXTENSIONS[runtime] ?? "x"}`;
  const found = projectFrame(failure, { project: "/home/dev/project", reproFile });
  const said = message === null ? "" : `: ${message.split("\n")[0]!.slice(0, 60)}`;
  const frame = found === null ? "-" : `${found.path} ${found.frame.function ?? "-"}`;
  return [runtime, kind, `${type ?? "-"}${said}`, frame, trouble ?? "-"].join(" | ");
}

/** What the programs really did, per sample. */
const EXPECTED: Record<string, readonly string[]> = {
  asan_abort: ["sanitizer | sanitizer | heap-use-after-free: READ of size 4 | clib/frob.c use_after_free | -"],
  asan_colour: ["sanitizer | sanitizer | heap-use-after-free: READ of size 4 | clib/frob.c use_after_free | -"],
  asan_deep: ["sanitizer | sanitizer | stack-overflow | clib/frob.c deep | -"],
  asan_double_free: ["sanitizer | sanitizer | double-free | clib/frob.c twice | -"],
  asan_leak: ["sanitizer | sanitizer | detected memory leaks | clib/frob.c leak | -"],
  asan_null: ["sanitizer | sanitizer | SEGV | clib/frob.c null_read | -"],
  asan_overflow: ["sanitizer | sanitizer | heap-buffer-overflow: WRITE of size 9 | clib/frob.c overflow | -"],
  asan_own: ["sanitizer | sanitizer | heap-use-after-free: READ of size 4 | - | -"],
  asan_stack_overflow_buffer: [
    "sanitizer | sanitizer | stack-buffer-overflow: WRITE of size 9 | clib/frob.c stack_overflow | -",
  ],
  asan_use_after_free: ["sanitizer | sanitizer | heap-use-after-free: READ of size 4 | clib/frob.c use_after_free | -"],
  c_assert: ['native | assertion | assert: x > 0 && "x must be positive" | clib/frob.c check | -'],
  c_bad_free: ["native | signal | SIGABRT: free(): invalid pointer | - | -"],
  c_deep: ["native | signal | SIGSEGV | - | -"],
  c_divide: ["native | signal | SIGFPE | - | -"],
  c_double_free: ["native | signal | SIGABRT: free(): double free detected in tcache 2 | - | -"],
  c_exit_3: ["generic | exit | -: fatal error: no frob | - | -"],
  c_exit_3_silent: ["generic | exit | - | - | -"],
  c_null: ["native | signal | SIGSEGV | - | -"],
  c_null_shell: ["native | signal | SIGSEGV | - | -"],
  c_null_shell_script: ["generic | exit | - | - | -"],
  c_own_assert: ["native | assertion | assert: argc > 5 | - | -"],
  c_smash: ["native | signal | SIGABRT: stack smashing detected | - | -"],
  cpp_asan_vector: ["sanitizer | sanitizer | heap-buffer-overflow: READ of size 4 | - | -"],
  cpp_glibcxx_assert: ["native | assertion | assert: __n < this->size() | - | -"],
  cpp_out_of_range: [
    "native | exception | std::out_of_range: vector::_M_range_check: __n (which is 5) >= this->size() (wh | - | -",
  ],
  cpp_terminate: ["native | exception | std::terminate | - | -"],
  cpp_throw: ["native | exception | std::runtime_error: bad frob 17 | - | -"],
  cpp_throw_int: ["native | exception | int | - | -"],
  deno_cause: ["node | exception | Error: outer | - | -"],
  deno_colour: ["node | exception | TypeError: cannot frob null | jslib/mod.ts frob | -"],
  deno_missing: ['node | exception | TypeError: Module not found "file:///home/dev/repro/nothing.ts". | - | import'],
  deno_project_throws: ["node | exception | TypeError: cannot frob null | jslib/mod.ts frob | -"],
  deno_syntax: ["node | exception | SyntaxError: Expression expected | - | syntax"],
  deno_test: ["node | exception | TypeError: cannot frob null | jslib/mod.ts frob | -"],
  gcc_error: ["generic | exit | -: error: ‘x’ undeclared (first use in this function) | - | syntax"],
  go_compile_error: ["generic | exit | - | - | syntax"],
  go_concurrent_map: ["go | panic | fatal error: concurrent map writes | golib/cmd/repro/main.go main.main.func1 | -"],
  go_custom_panic: ["go | panic | panic: (struct { a int }) 0x4bcaf8 | golib/cmd/repro/main.go main.main | -"],
  go_deadlock: [
    "go | panic | fatal error: all goroutines are asleep - deadlock! | golib/lib.go example.com/golib.Dead | -",
  ],
  go_exit: ["generic | exit | - | - | -"],
  go_goroutine: ["go | panic | panic: bad frob 17 | golib/lib.go example.com/golib.Boom | -"],
  go_index: [
    "go | panic | panic: runtime error: index out of range [5] with length 3 | golib/lib.go example.com/golib.Pick | -",
  ],
  go_log_fatal: ["generic | exit | - | - | -"],
  go_map: ["go | panic | panic: assignment to entry in nil map | golib/lib.go example.com/golib.Maps | -"],
  go_nil: [
    "go | panic | panic: runtime error: invalid memory address or nil pointer derefer | golib/lib.go example.com/golib.(*T).Frob | -",
  ],
  go_own_panic: ["go | panic | panic: bad frob text | golib/cmd/repro/main.go main.main | -"],
  go_panic_error: ["go | panic | panic: bad frob 17 | golib/lib.go example.com/golib.Boom | -"],
  go_panic_text: ["go | panic | panic: bad frob text | golib/lib.go example.com/golib.BoomText | -"],
  go_repanic: ["go | panic | panic: again: bad frob 17 | golib/lib.go example.com/golib.Repanic.func1 | -"],
  go_run_exit: ["generic | exit | - | - | -"],
  go_run_panic: ["go | panic | panic: bad frob 17 | golib/lib.go example.com/golib.Boom | -"],
  go_stack_overflow: ["go | panic | fatal error: stack overflow | golib/cmd/repro/main.go main.main.func1 | -"],
  go_test_compile: ["generic | exit | - | - | syntax"],
  go_test_fail: ["go | assertion | FAIL: Add(2, 2) = 0, want 4 | repro_test.go TestAdd | -"],
  go_test_nil: [
    "go | panic | panic: runtime error: invalid memory address or nil pointer derefer | golib/lib.go example.com/golib.(*T).Frob | -",
  ],
  go_test_panic: ["go | panic | panic: bad frob 17 | golib/lib.go example.com/golib.Boom | -"],
  go_test_sub: ["go | assertion | FAIL: Add(2, 2) = 0, | repro_test.go TestAdd | -"],
  go_test_timeout: ["go | timeout | timeout: test timed out after 1s | - | -"],
  java_assert: ["java | assertion | java.lang.AssertionError: sum | - | -"],
  java_caused_by: [
    "java | exception | com.acme.Frob$FrobException: cannot parse | com/acme/Frob.java com.acme.Frob.parse | -",
  ],
  java_class_missing: ["generic | exit | -: Error: Could not find or load main class Nothing | - | import"],
  java_compile_error: ["generic | exit | -: error: cannot find symbol | - | syntax"],
  java_exit: ["generic | exit | - | - | -"],
  java_index: [
    "java | exception | java.lang.ArrayIndexOutOfBoundsException: Index 5 out of bounds for length 3 | com/acme/Frob.java com.acme.Frob.pick | -",
  ],
  java_lambda: [
    'java | exception | java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null | com/acme/Frob.java com.acme.Frob.length | -',
  ],
  java_memory: ["java | exception | java.lang.OutOfMemoryError: Java heap space | - | resources"],
  java_no_message: ["java | exception | java.lang.IllegalStateException | - | -"],
  java_null: [
    'java | exception | java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null | com/acme/Frob.java com.acme.Frob.length | -',
  ],
  java_own_throw: ["java | exception | java.lang.IllegalStateException: own | - | -"],
  java_printed: ["generic | exit | - | - | -"],
  java_suppressed: [
    'java | exception | java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null | com/acme/Frob.java com.acme.Frob.length | -',
  ],
  java_thread: [],
  jest_two: [
    "node | assertion | AssertionError: expect(received).toBe(expected) // Object.is equality | repro.test.js Object.toBe | -",
    "node | exception | FrobError: cannot frob null | jslib/index.js frob | -",
  ],
  make_error: ["generic | exit | - | - | -"],
  mocha_two: [
    "node | assertion | AssertionError: Expected values to be strictly equal: | repro.spec.js Context.<anonymous> | -",
    "node | exception | FrobError: cannot frob null | jslib/index.js frob | -",
  ],
  node_abort: ["native | signal | SIGABRT | - | -"],
  node_aggregate: ["node | exception | AggregateError: several | jslib/index.js many | -"],
  node_assert: ["node | assertion | AssertionError: Expected values to be strictly equal: | - | -"],
  node_assert_deep: ["node | assertion | AssertionError: Expected values to be strictly deep-equal: | - | -"],
  node_assert_eq_legacy: ["node | assertion | AssertionError: The expression evaluated to a falsy value: | - | -"],
  node_assert_plain: ["node | assertion | AssertionError: sum | - | -"],
  node_await_esm: ["node | exception | FrobError: cannot frob null | jslib/index.js frob | -"],
  node_callback_in_repro: ["node | exception | RangeError: from the callback | jslib/index.js - | -"],
  node_cause: ["node | exception | TypeError: wrapping 17 | jslib/index.js wrap | -"],
  node_code: ['node | exception | TypeError: The "size" argument must be of type number. Received type st | - | -'],
  node_dns: ["node | exception | Error: getaddrinfo ENOTFOUND no-such-host.invalid | - | network"],
  node_esm_module_missing: [
    "node | exception | Error: Cannot find package 'no-such-module-at-all' imported from /h | - | import",
  ],
  node_esm_no_export: [
    "node | exception | SyntaxError: Named export 'nothing' not found. The requested module '/hom | - | syntax",
  ],
  node_eval: ["node | exception | FrobError: cannot frob null | jslib/index.js frob | -"],
  node_event_error: ["node | exception | Error: ev | - | -"],
  node_file_missing: [
    "node | exception | Error: ENOENT: no such file or directory, open '/home/dev/no/such' | - | missing_file",
  ],
  node_forged_uncaught_exit_3: ["generic | exit | -: Error: forged | - | -"],
  node_heap: [
    "node | exception | FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out o | - | resources",
  ],
  node_json_empty: ["node | exception | SyntaxError: Unexpected end of JSON input | jslib/index.js parse | -"],
  node_module_missing: ["node | exception | Error: Cannot find module 'no-such-module-at-all' | - | import"],
  node_multi_line: ["node | exception | Error: first | - | -"],
  node_node_test_spec: [
    "node | assertion | AssertionError: Expected values to be strictly equal: | - | -",
    "node | exception | FrobError: cannot frob null | jslib/index.js frob | -",
  ],
  node_node_test_tap: [
    "node | assertion | AssertionError: Expected values to be strictly equal: | - | -",
    "node | exception | FrobError: cannot frob null | jslib/index.js frob | -",
  ],
  node_own_exit: ["generic | exit | - | - | -"],
  node_own_reject_string: [
    "node | exception | UnhandledPromiseRejection: This error originated either by throwing inside of an async  | - | -",
  ],
  node_own_throw: ["node | exception | Error: cannot frob null | - | -"],
  node_own_throw_string: ["node | exception | -: just text | - | -"],
  node_printed_exit_0: [],
  node_printed_exit_1: ["generic | exit | - | - | -"],
  node_printed_stack_exit_1: ["generic | exit | - | - | -"],
  node_project_throws: ["node | exception | FrobError: cannot frob null | jslib/index.js frob | -"],
  node_reference: ["node | exception | ReferenceError: nothingHere is not defined | - | -"],
  node_refused: ["node | exception | Error: connect ECONNREFUSED 127.0.0.1:9 | - | network"],
  node_rejection: ["node | exception | FrobError: cannot frob null | jslib/index.js frob | -"],
  node_script_missing: ["node | exception | Error: Cannot find module '/home/dev/repro/nothing.js' | - | import"],
  node_stack_overflow: ["node | exception | RangeError: Maximum call stack size exceeded | - | -"],
  node_syntax: ["node | exception | SyntaxError: Unexpected token ';' | - | syntax"],
  node_type_error: [
    "node | exception | TypeError: Cannot read properties of undefined (reading 'length') | jslib/index.js frob | -",
  ],
  perl_die: ["generic | exit | - | - | -"],
  perl_missing: ["generic | exit | - | - | import"],
  perl_syntax: ["generic | exit | - | - | syntax"],
  php_error: ["generic | exception | Error: Call to undefined function nothing() | - | -"],
  php_parse: ["generic | exit | - | - | syntax"],
  php_throw: ["generic | exception | InvalidArgumentException: cannot frob null | frob.php frob | -"],
  pytest_assert: ["python | assertion | AssertionError: assert 0 == 4 | test_repro.py test_add | -"],
  pytest_chain: ["python | exception | acme.core.FrobError: bad frob 17 | acme/core.py chain | -"],
  pytest_collect_import: [
    "python | exception | ModuleNotFoundError: No module named 'no_such_module_at_all' | test_repro.py <module> | import",
  ],
  pytest_collect_syntax: ["python | exception | SyntaxError: invalid syntax | - | syntax"],
  pytest_colour: [
    "python | assertion | AssertionError: assert 0 == 4 | test_repro.py test_add | -",
    "python | assertion | AssertionError: x must be positive, not -1 | acme/core.py check | -",
  ],
  pytest_did_not_raise: ["python | assertion | Failed: DID NOT RAISE <class 'ValueError'> | test_repro.py test_x | -"],
  pytest_fixture: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  pytest_line: ["generic | exit | - | - | -"],
  pytest_missing: ["generic | exit | -: ERROR: file or directory not found: test_nope.py | - | missing_file"],
  pytest_native: [
    "python | assertion | AssertionError: assert 0 == 4 | - | -",
    "python | assertion | AssertionError: x must be positive, not -1 | acme/core.py check | -",
  ],
  pytest_nothing: ["generic | exit | - | - | -"],
  pytest_project_raises: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  pytest_short: [
    "python | assertion | AssertionError: assert 0 == 4 | test_repro.py test_add | -",
    "python | assertion | AssertionError: x must be positive, not -1 | acme/core.py check | -",
  ],
  pytest_two: [
    "python | assertion | AssertionError: assert 0 == 4 | test_repro.py test_add | -",
    "python | assertion | AssertionError: x must be positive, not -1 | acme/core.py check | -",
  ],
  python_abort: ["native | signal | SIGABRT | - | -"],
  python_asyncio: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_chain: ["generic | exit | - | - | -"],
  python_check: ["python | assertion | AssertionError: x must be positive, not -3 | acme/core.py check | -"],
  python_context: [
    "python | exception | AttributeError: 'NoneType' object has no attribute 'missing' | acme/core.py context | -",
  ],
  python_dash_c: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_exec_string: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_faulthandler: ["python | signal | SIGSEGV: Segmentation fault | - | -"],
  python_file_missing: [
    "python | exception | FileNotFoundError: [Errno 2] No such file or directory: '/home/dev/no/such/file | - | missing_file",
  ],
  python_group: ["python | exception | ExceptionGroup: several (2 sub-exceptions) | acme/core.py group | -"],
  python_ignored: ["generic | exit | - | - | -"],
  python_import_name: [
    "python | exception | ImportError: cannot import name 'no_such_name' from 'acme.core' (/home/de | - | import",
  ],
  python_indentation: [
    "python | exception | IndentationError: expected an indented block after function definition on line | - | syntax",
  ],
  python_keyboard: ["python | exception | KeyboardInterrupt | - | -"],
  python_logged: ["generic | exit | -: ERROR:root:it failed | - | -"],
  python_memory: ["python | exception | MemoryError | - | resources"],
  python_module_missing: [
    "python | exception | ModuleNotFoundError: No module named 'no_such_module_at_all' | - | import",
  ],
  python_module_missing_m: ["generic | exit | - | - | import"],
  python_multi_line: ["generic | exit | - | - | -"],
  python_no_message: ["python | exception | RuntimeError | - | -"],
  python_no_network: [
    "python | exception | urllib.error.URLError: <urlopen error [Errno -2] Name or service not known> | - | network",
  ],
  python_notes: ["generic | exit | - | - | -"],
  python_old_2_7: ["python | exception | ValueError: v cannot be empty | - | -"],
  python_own_assert: ["python | assertion | AssertionError: 0 | - | -"],
  python_own_bare_assert: ["python | assertion | AssertionError | - | -"],
  python_own_exit: ["generic | exit | - | - | -"],
  python_own_exit_text: ["generic | exit | -: fatal: no frob | - | -"],
  python_own_raise: ["python | exception | ValueError: v cannot be empty | - | -"],
  python_printed_exit_0: [],
  python_printed_exit_3: ["generic | exit | - | - | -"],
  python_printed_then_other: ["generic | exit | - | - | -"],
  python_printed_to_stdout_exit_1: ["generic | exit | - | - | -"],
  python_project_raises: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_project_raises_3_13: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_project_raises_3_13_colour: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_project_raises_3_8: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_qualified: [
    "python | exception | json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 co | - | -",
  ],
  python_recursion: ["python | exception | RecursionError: maximum recursion depth exceeded | acme/core.py deep | -"],
  python_recursion_repeats: ["python | exception | RecursionError: maximum recursion depth exceeded | - | -"],
  python_refused: ["python | exception | ConnectionRefusedError: [Errno 111] Connection refused | - | network"],
  python_script_missing: ["generic | exit | - | - | missing_file"],
  python_segfault: ["native | signal | SIGSEGV | - | -"],
  python_shell_merge: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  python_subprocess_check: ["generic | exit | - | - | -"],
  python_syntax: ["python | exception | SyntaxError: invalid syntax | - | syntax"],
  python_syntax_in_project: ["python | exception | SyntaxError: invalid syntax | acme/broken.py - | syntax"],
  python_thread: [],
  python_thread_then_exit: ["generic | exit | - | - | -"],
  python_unittest: [
    "python | exception | ValueError: v cannot be empty | acme/core.py convolve | -",
    "python | assertion | AssertionError: 0 != 4 | - | -",
  ],
  python_unittest_3_13: [
    "python | exception | ValueError: v cannot be empty | acme/core.py convolve | -",
    "python | assertion | AssertionError: 0 != 4 | - | -",
  ],
  python_warnings_after: ["python | exception | ValueError: v cannot be empty | acme/core.py convolve | -"],
  ruby_load: ["generic | exception | LoadError: cannot load such file -- nothing_at_all | repro.rb <main> | import"],
  ruby_no_method: ["generic | exception | NoMethodError: undefined method `length' for 3:Integer | frob.rb frob | -"],
  ruby_raise: ["generic | exception | Frob::Error: cannot frob nil | frob.rb frob | -"],
  ruby_syntax: ["generic | exit | - | - | syntax"],
  rust_assert_eq: [
    "rust | assertion | panic: assertion `left == right` failed: a is 5 | src/lib.rs rustlib::check | -",
  ],
  rust_cargo_run: ["rust | panic | panic: called `Option::unwrap()` on a `None` value | src/lib.rs rustlib::must | -"],
  rust_cargo_test: [
    "rust | assertion | panic: assertion `left == right` failed | tests/repro.rs repro::adds | -",
    "rust | panic | panic: called `Option::unwrap()` on a `None` value | src/lib.rs rustlib::must | -",
  ],
  rust_cargo_test_plain: [
    "rust | assertion | panic: assertion `left == right` failed | tests/repro.rs repro::adds | -",
    "rust | panic | panic: called `Option::unwrap()` on a `None` value | src/lib.rs rustlib::must | -",
  ],
  rust_compile_error: ['generic | exit | -: error: could not compile `rustlib` (example "repro") due to  | - | syntax'],
  rust_divide: ["rust | panic | panic: attempt to divide by zero | src/lib.rs - | -"],
  rust_double_panic: ["rust | panic | panic: panic in a destructor during cleanup | - | -"],
  rust_exit: ["generic | exit | - | - | -"],
  rust_expect: ['rust | panic | panic: bad frob: "why" | src/lib.rs rustlib::expect | -'],
  rust_index_backtrace: [
    "rust | panic | panic: index out of bounds: the len is 3 but the index is 5 | src/lib.rs rustlib::pick | -",
  ],
  rust_index_backtrace_full: [
    "rust | panic | panic: index out of bounds: the len is 3 but the index is 5 | rustlib/src/lib.rs rustlib::pick::hd83dad22b5a9e117 | -",
  ],
  rust_main_err: ['generic | exit | -: Error: "bad frob" | - | -'],
  rust_own_assert: ["rust | assertion | panic: assertion `left == right` failed | examples/repro.rs - | -"],
  rust_own_assert_message: ["rust | panic | panic: sum is 0 | examples/repro.rs repro::main | -"],
  rust_own_panic: ["rust | panic | panic: bad frob | examples/repro.rs repro::main | -"],
  rust_thread: [],
  rust_thread_then_exit: ["generic | exit | - | - | -"],
  rust_unwrap: ["rust | panic | panic: called `Option::unwrap()` on a `None` value | src/lib.rs - | -"],
  shell_no_file: ["generic | exit | - | - | missing_file"],
  shell_not_executable: ["generic | exit | - | - | permission"],
  shell_not_found: ["generic | exit | - | - | missing_program"],
  shell_permission: ["generic | exit | - | - | missing_file"],
  tsan_race: ["sanitizer | sanitizer | data race: Read of size 4 | - | -"],
  ubsan_add_trace: [
    "sanitizer | sanitizer | runtime error: signed integer overflow: 2147483647 + 1 cannot be represente | clib/frob.c add_int | -",
  ],
  ubsan_shift: [
    "sanitizer | sanitizer | runtime error: shift exponent 40 is too large for 32-bit type 'int' | clib/frob.c - | -",
  ],
  ubsan_shift_recovers: [],
  ubsan_then_exit_3: ["generic | exit | - | - | -"],
  vitest_two: [
    "node | assertion | AssertionError: expected +0 to be 4 // Object.is equality | repro.vt.test.mjs - | -",
    "node | exception | FrobError: cannot frob null | jslib/index.js Object.frob | -",
  ],
};

Deno.test("readFailures() reads off each real output how the program failed, where, and whose trouble it is", () => {
  const found = Object.fromEntries(sampleNames.map((name) => [name, readFailures(readSample(name)).map(summary)]));
  deepEqual(found, EXPECTED);
  ok(sampleNames.length >= 200);
});

Deno.test("readFailures() finds the same in output with colours, CRLF, and lines of wrappers behind it", () => {
  const same = (name: string, change: (end: ProgramEnd) => Partial<ProgramEnd>) => {
    const end = readSample(name);
    deepEqual(readFailures({ ...end, ...change(end) }).map(summary), EXPECTED[name], name);
  };
  for (
    const name of [
      "python_project_raises",
      "node_project_throws",
      "go_index",
      "rust_unwrap",
      "java_caused_by",
      "asan_null",
    ]
  ) {
    same(name, (end) => ({ stderr: end.stderr.replaceAll("\n", "\r\n") }));
    same(name, (end) => ({ stderr: end.stderr.replace(/^\S.*$/gm, "\x1b[31m$&\x1b[0m") }));
    same(name, (end) => ({ stderr: `progress 100%\r${end.stderr}\nmake: *** [Makefile:3: all] Error 1\n` }));
    same(name, (end) => ({ stderr: "[… 1234 bytes elided …]\n" + end.stderr }));
  }
});

Deno.test("readFailures() takes the status that make and go run tell of for the program's own", () => {
  const end = readSample("rust_unwrap");
  deepEqual(
    readFailures({ ...end, exitCode: 2, stderr: `${end.stderr}make: *** [Makefile:2: all] Error 101\n` }).map(summary),
    EXPECTED.rust_unwrap,
  );
});

Deno.test("readFailures() reads a report whose middle was left out", () => {
  const cut = (name: string, from: number, to: number) => {
    const end = readSample(name);
    const lines = end.stderr.split("\n");
    lines.splice(from, to - from, "[… 70000 bytes left out …]", lines[to]!.slice(9));
    return readFailures({ ...end, stderr: lines.join("\n") }).map(summary);
  };
  deepEqual(cut("python_recursion", 4, 8), EXPECTED.python_recursion);
  deepEqual(cut("go_concurrent_map", 12, 30), EXPECTED.go_concurrent_map);
});

function told(more: Partial<WitnessedFailure> = {}): WitnessedFailure {
  return {
    runtime: "python",
    pid: 7,
    type: "ValueError",
    bases: ["Exception", "BaseException"],
    message: "v cannot be empty",
    frames: [{ function: "convolve", file: "/home/dev/project/acme/core.py", line: 10 }],
    causes: [],
    projectCalls: 1,
    ...more,
  };
}

Deno.test("readFailures() believes the witness, whole, and not what is printed beside it", () => {
  const { stderr } = readSample("python_own_raise");
  deepEqual(readFailures(programEnd({ stderr, hasWitness: true, witnessed: [told()] })), [{
    runtime: "python",
    kind: "exception",
    type: "ValueError",
    bases: ["Exception", "BaseException"],
    message: "v cannot be empty",
    frames: [{ function: "convolve", file: "/home/dev/project/acme/core.py", line: 10 }],
    causes: [],
    exitCode: 1,
    signal: null,
    source: "witness",
    projectCalls: 1,
    trouble: null,
  }]);
});

Deno.test("readFailures() takes a traceback for a print when a witness was there and told nothing", () => {
  const all = (name: string) => readFailures(readSample(name, { hasWitness: true })).map(summary);
  deepEqual(all("python_project_raises"), ["generic | exit | - | - | -"]);
  deepEqual(all("node_project_throws"), ["generic | exit | - | - | -"]);
  deepEqual(all("pytest_project_raises"), ["generic | exit | - | - | -"]);
  deepEqual(all("asan_null"), EXPECTED.asan_null);
});

Deno.test("readFailures() reads a runner's section beside a silent witness only for the runner's own command", () => {
  const all = (command: string) => readFailures(readSample("jest_two", { hasWitness: true, command })).map(summary);
  deepEqual(all("npx jest repro.test.js"), EXPECTED.jest_two);
  deepEqual(all("node repro.test.js"), ["generic | exit | - | - | -"]);
  deepEqual(all("node repro.js --like-jest.js"), ["generic | exit | - | - | -"]);
});

Deno.test("readFailures() drops what the witness told when a program that fails so ends with another status", () => {
  const kinds = (end: Partial<ProgramEnd>) =>
    readFailures(programEnd({ hasWitness: true, witnessed: [told()], ...end })).map(({ kind, source }) =>
      `${kind} ${source}`
    );
  deepEqual(kinds({ exitCode: 3 }), ["exit status"]);
  deepEqual(kinds({ exitCode: null, signal: "SIGSEGV" }), ["signal status"]);
  deepEqual(kinds({ witnessed: [told(), told({ type: "SystemExit", message: "1", frames: [] })] }), [
    "exception witness",
    "exit witness",
  ]);
  deepEqual(kinds({ exitCode: 0 }), []);
  deepEqual(kinds({ exitCode: null, timedOut: true }), ["timeout status"]);
});

Deno.test("readFailures() drops frames that a message pretends, also of Node's witness", () => {
  const message = "first\n    at forged (/home/dev/project/jslib/index.js:9:1)";
  const frames = [
    { function: "forged", file: "/home/dev/project/jslib/index.js", line: 9 },
    { function: "Object.<anonymous>", file: "/home/dev/repro/repro.js", line: 2 },
  ];
  const witnessed = [told({ runtime: "node", type: "Error", message, frames })];
  deepEqual(readFailures(programEnd({ hasWitness: true, witnessed }))[0]?.frames, frames.slice(1));
});

const anyLine = fc.oneof(
  fc.constantFrom(
    "Traceback (most recent call last):",
    '  File "/home/dev/project/acme/core.py", line 10, in convolve',
    "    raise ValueError('v cannot be empty')",
    "ValueError: v cannot be empty",
    "/home/dev/project/jslib/index.js:10",
    "    ^",
    "FrobError: cannot frob null",
    "    at frob (/home/dev/project/jslib/index.js:10:25)",
    "  [cause]: Error: x {",
    "}",
    "panic: bad frob 17",
    "goroutine 1 [running]:",
    "example.com/golib.Boom(...)",
    "\t/home/dev/project/golib/lib.go:14",
    "thread 'main' panicked at src/lib.rs:5:7:",
    "thread 'main' panicked at 'x",
    "stack backtrace:",
    "==1==ERROR: AddressSanitizer: SEGV on unknown address 0x0",
    "    #0 0x1 in f /home/dev/project/clib/frob.c:9",
    'Exception in thread "main" java.lang.Error: x',
    "\tat com.acme.Frob.parse(Frob.java:12)",
    "Caused by: x",
    "=================================== FAILURES ===================================",
    "_______ test_x ______",
    "E   ValueError: x",
    "1 failed in 0.1s",
    "FAILED (failures=1)",
    "======================================================================",
    "ERROR: test_x (t.T)",
    "  1 failing",
    "  1) x",
    "# fail 1",
    "not ok 1 - x",
    "  ---",
    "terminate called after throwing an instance of 'X'",
    "Segmentation fault (core dumped)",
    "exit status 2",
    "",
  ),
  fc.string({ maxLength: 30 }),
);
const anyText = fc.array(anyLine, { maxLength: 40 }).map((lines) => lines.join("\n"));

Deno.test("readFailures() never throws, and finds something exactly when the program did not end well", () => {
  fc.assert(
    fc.property(
      anyText,
      anyText,
      fc.constantFrom(0, 1, 2, 101, 139, null),
      fc.boolean(),
      (stdout, stderr, exitCode, hasWitness) => {
        const end = programEnd({ stdout, stderr, exitCode, signal: exitCode === null ? "SIGABRT" : null, hasWitness });
        return (readFailures(end).length > 0) === (exitCode !== 0);
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("readFailures() reads megabytes of hostile lines in time that grows with their length only", () => {
  const lines = [
    "a.".repeat(2000),
    "Traceback (most recent call last):",
    "    ^",
    "    at " + "x (".repeat(1000),
    "E   " + "x".repeat(4000),
    "panic: x",
    "thread 'main' panicked at '" + "'".repeat(4000),
    "==1==ERROR: AddressSanitizer: " + " ".repeat(4000),
    "    #0 " + " ".repeat(4000) + ":1",
    "x: ".repeat(1300) + "Assertion `x' failed",
    " ".repeat(4000) + "x",
    "error: " + "a:1:".repeat(1000),
    'Exception in thread "main" ' + "a.".repeat(2000),
    "\tat " + "a.".repeat(2000) + "(x)",
    "in `".repeat(1000) + " (X)",
    "PHP Fatal error:  Uncaught X: " + " in ".repeat(1000),
    "\x1b]".repeat(2000),
    "",
  ];
  // Each alone and often: what is quadratic takes minutes.
  for (const line of lines) {
    const stderr = `${line}\n`.repeat(Math.ceil(1_000_000 / (line.length + 1)));
    ok(readFailures(programEnd({ stderr, stdout: stderr })).length > 0);
  }
});

Deno.test("readFailures() reads a megabyte of reports that never come to an end in time that grows with its length only", () => {
  const reports: readonly (readonly [report: string, end: string])[] = [
    ["--- FAIL: a (0s)\n", "FAIL\n"],
    ["/a:1\n x\n ^\nno name\n    at f (x:1:2) {\n", ""],
    ["+ Exception Group Traceback (most recent call last):\n", ""],
  ];
  for (const [report, end] of reports) {
    const stderr = report.repeat(Math.ceil(1_000_000 / report.length)) + end;
    ok(readFailures(programEnd({ stderr })).length > 0);
  }
});
