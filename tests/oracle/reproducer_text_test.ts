import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { RunPlace } from "../../src/oracle/expected.ts";
import type { ObservedFailure, ProgramEnd } from "../../src/oracle/failure.ts";
import { dependsOnProject, ownEnd } from "../../src/oracle/reproducer_text.ts";
import { programEnd } from "./read_sample.ts";

const FILES = new Set(["pkg/__init__.py", "pkg/core.py", "lib/index.js", "tool.c"]);
const place = (extension: string): RunPlace => ({
  project: "/p",
  reproFile: `/p/repro_candidate.${extension}`,
  files: FILES,
});

function failure(more: Partial<ObservedFailure> = {}): ObservedFailure {
  return {
    runtime: "generic",
    kind: "exit",
    type: null,
    bases: [],
    message: null,
    frames: [],
    causes: [],
    exitCode: 3,
    signal: null,
    source: "status",
    projectCalls: null,
    trouble: null,
    ...more,
  };
}

const end = (script: string, command: string): ProgramEnd =>
  programEnd({ exitCode: 3, script, command, watched: ["python", "node"] });
const exit = failure();
const crash = failure({ runtime: "native", kind: "signal", type: "SIGSEGV", signal: "SIGSEGV", exitCode: 139 });
const hang = failure({ kind: "timeout", type: "timeout" });
const panic = failure({
  runtime: "go",
  kind: "panic",
  source: "output",
  frames: [{ function: "pkg.f", file: "/p/pkg/f.go", line: 3 }],
});
const report = failure({ runtime: "sanitizer", kind: "sanitizer", type: "heap-use-after-free", source: "output" });

const SH = "sh '/p/repro_candidate.sh'";
/** Extension, command, script, failure; and what of it may be the reproducer's own, or null. */
const ENDS: readonly (readonly [string, string, string, ObservedFailure, string | null])[] = [
  ["sh", SH, "./tool bad\n", exit, null],
  ["sh", SH, "cd build\nFOO=1 exec ./tool bad\n", exit, null],
  ["sh", SH, "make -s tool\nout/tool bad; exit $?\n", exit, null],
  ["sh", SH, '. ./lib.sh\ncheck "$1"\n', exit, null],
  ["sh", SH, "go run ./cmd/tool -1\n", exit, null],
  ["sh", SH, "./tool bad\nexit 3\n", exit, "exit 3"],
  ["sh", SH, "./tool bad || return 3\n", exit, "return 3"],
  ["sh", SH, "./tool bad\nawk 'BEGIN { exit 3 }'\n", exit, "exit 3"],
  ["sh", SH, "./tool good\ngrep -q x y\n", exit, "grep -q x y"],
  ["sh", SH, "./tool & kill -SEGV $!\nwait $!\n", crash, "kill -SEGV $!"],
  ["sh", "sh '/p/repro_candidate.sh' || exit 3", "./tool bad\n", exit, "exit 3"],
  ["txt", "./tool '/p/repro_candidate.txt'", "exit 3\n", exit, null],
  ["txt", "cat '/p/repro_candidate.txt'; false", "x\n", exit, "false"],
  ["py", "python '/p/repro_candidate.py'", "import pkg\n", exit, "Nothing tells"],
  ["c", "gcc x.c && ./a.out", "int main(void) { return tool(); }\n", exit, null],
  ["c", "gcc x.c && ./a.out", "int main(void) { return 3; }\n", exit, "return 3"],
  ["c", "gcc x.c && ./a.out", "int main(void) { tool(0); }\n", crash, "-fsanitize=address"],
  ["sh", SH, "./tool 0\n", crash, null],
  ["py", "python '/p/repro_candidate.py'", "import pkg\npkg.f()\n", hang, null],
  ["py", "python '/p/repro_candidate.py'", "import pkg, time\ntime.sleep(9)\n", hang, "sleep("],
  ["js", "node '/p/repro_candidate.js'", "for (;;) {}\n", hang, "for (;"],
  ["go", "go run '/p/repro_candidate.go'", "func main() { pkg.F() }\n", panic, null],
  ["go", "go run '/p/repro_candidate.go'", 'println("goroutine 1 [running]:")\n', panic, "goroutine 1"],
  ["sh", SH, "cat log >&2\n./tool 0\n", report, "cat log >&2"],
  ["sh", SH, "echo x > in.txt\ncat a b > c\ncat in.txt | ./tool\n", report, null],
  ["c", "gcc x.c && ./a.out", '#line 3 "tool.c"\nint main(void) { f(); }\n', report, "#line 3"],
  ["c", "gcc x.c && ./a.out", "int main(void) { if (!f()) return 1; }\n", report, null],
];

for (const [extension, command, script, observed, own] of ENDS) {
  Deno.test(`ownEnd() of ${JSON.stringify(script)} by ${command}, ${observed.type ?? observed.kind}`, () => {
    const said = ownEnd(observed, end(script, command), place(extension));
    if (own === null) equal(said, null);
    else deepEqual([said?.includes(own), said], [true, said]);
  });
}

Deno.test("ownEnd() says nothing of what a witness told, or of a script that nobody knows", () => {
  equal(ownEnd(failure({ source: "witness" }), end("exit 3", SH), place("sh")), null);
  equal(ownEnd(exit, programEnd({ exitCode: 3 }), place("sh")), null);
});

/** Extension, script with a mark at the line in the stack, whether it depends on the project. */
const ASSERTIONS: readonly (readonly [string, string, boolean])[] = [
  ["py", "import pkg\nassert pkg.f() == 1 #!\n", true],
  ["py", "from pkg.core import f as g\nassert g(\n  1,\n) == 1 #!\n", true],
  ["py", "import pkg\nx = pkg.f()\ny = x + 1\nassert y == 1 #!\n", true],
  ["py", "import pkg\nfor x in pkg.f():\n  assert x == 1 #!\n", true],
  ["py", "import pkg\nfound = []\nfound.append(pkg.f())\nassert found == [1] #!\n", true],
  ["py", "import pkg\ntry:\n  pkg.f()\nexcept ValueError:\n  pass\nelse:\n  raise AssertionError() #!\n", true],
  ["py", "import pkg\ntry:\n  pkg.f()\n  assert False #!\nexcept ValueError:\n  pass\n", true],
  ["py", "import pkg, pytest\nwith pytest.raises(ValueError): #!\n  pkg.f()\n", true],
  ["py", "import pkg\nif pkg.f() != 1:\n  print('x')\n  exit(1) #!\n", true],
  ["py", "import pkg\ndef check(x):\n  assert x == 1\ncheck(pkg.f()) #!\n", true],
  ["py", "import pkg\ndef get():\n  return pkg.f()\nassert get() == 1 #!\n", true],
  ["py", "import subprocess\nout = subprocess.check_output(['python', '-m', 'pkg'])\nassert out == b'' #!\n", true],
  ["py", "import pkg\nif (n := pkg.f()) > 3: pass\nassert n < 3 #!\n", true],
  ["py", "import pkg\npkg.f()\nassert 1 == 2 #!\n", false],
  ["py", "import pkg\nx = 3\npkg.f()\nassert x == 2, 'wrong' #!\n", false],
  ["py", "import pkg\npkg.f()\nexit(1) #!\n", false],
  ["py", "import pkg\nif 1 > 0:\n  exit(1) #!\n", false],
  ["js", 'const { f } = require("./lib");\nassert(f() === 1); //!\n', true],
  ["mjs", 'import f from "./lib/index.js";\nconst x = f();\nassert(x === 1); //!\n', true],
  ["js", 'const lib = require("./lib");\nconst x = lib.f();\nif (x !== 1) {\n  throw new Error("no"); //!\n}\n', true],
  ["js", 'require("./lib").f() === 1 || process.exit(1) //!', true],
  ["js", 'const lib = require("./lib");\nlib.f();\nassert(1 === 2); //!\n', false],
  ["js", 'const lib = require("./lib");\nlib.f();\nthrow new Error("no"); //!\n', false],
  ["go", "package x\n\nfunc T(t) {\n\tif F(1) != 2 {\n\t\tt.Fatal(1) //!\n\t}\n}\n", true],
  ["go", "package x\n\nfunc T(t) {\n\tgot, err := F(1)\n\tif got != 2 {\n\t\tt.Fatal(1) //!\n\t}\n}\n", true],
  ["go", 'package x_test\n\nimport "a.org/x/v2"\n\nfunc T(t) {\n\tt.Fatal(x.F()) //!\n}\n', true],
  ["go", "package x\n\nfunc T(t) {\n\tF(1)\n\tt.Fatal(1) //!\n}\n", false],
  ["go", "package x\n\nfunc T(t) {\n\tF(1)\n\tgot := len(s)\n\tif got != 2 {\n\t\tt.Fatal(1) //!\n\t}\n}\n", false],
  ["rs", "panic!() //!\n", true],
];

for (const [extension, script, depends] of ASSERTIONS) {
  Deno.test(`dependsOnProject() is ${depends} of ${JSON.stringify(script)}`, () => {
    const line = script.split("\n").findIndex((text) => /[#/]!$/.test(text)) + 1;
    equal(dependsOnProject(script, [line], place(extension)), depends);
  });
}

const word = fc.constantFrom(
  "pkg",
  "x",
  "=",
  "(",
  ")",
  "if",
  ":",
  "\n",
  "  ",
  '"""',
  "'",
  "def f",
  "import",
  "for",
  "in",
  "#",
  "\\",
);

Deno.test("neither throws, whatever the text is", () => {
  fc.assert(fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 60 }), fc.nat(30), (parts, line) => {
    const script = parts.join(" ");
    equal(typeof dependsOnProject(script, [line], place("py")), "boolean");
    ownEnd(exit, end(script, script), place("sh"));
  }));
});
