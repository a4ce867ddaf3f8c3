/** Files of the repository that an issue names, however it names them. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { fileFinder, pathsIn } from "../../src/manager/issue_paths.ts";

const FILES = [
  "README.md",
  "src/pkg/core.py",
  "src/pkg/__init__.py",
  "src/other/__init__.py",
  "src/pkg/io/json/decoder.py",
  "lib/index.js",
  "cmd/main.go",
  "tests/test_core.py",
  "a b.txt",
];

Deno.test("a file is found by its path here, in a traceback, in a package, in a link", () => {
  const find = fileFinder(FILES, "thing");
  const cases: [string, string | undefined][] = [
    ["src/pkg/core.py", "src/pkg/core.py"],
    ["./src/pkg/core.py", "src/pkg/core.py"],
    ["pkg/core.py", "src/pkg/core.py"],
    ["core.py", "src/pkg/core.py"],
    ["src\\pkg\\core.py", "src/pkg/core.py"],
    ["C:\\Users\\me\\repo\\src\\pkg\\core.py", "src/pkg/core.py"],
    ["/home/me/repo/src/pkg/core.py", "src/pkg/core.py"],
    ["/venv/lib/python3.12/site-packages/pkg/core.py", "src/pkg/core.py"],
    ["/app/node_modules/thing/lib/index.js", "lib/index.js"],
    ["/app/node_modules/@scope/thing/lib/index.js", "lib/index.js"],
    ["/app/node_modules/other/lib/index.js", undefined],
    ["/root/go/pkg/mod/github.com/o/thing@v1.2.3/cmd/main.go", "cmd/main.go"],
    ["/root/go/pkg/mod/github.com/o/other@v1.2.3/cmd/main.go", undefined],
    ["/c/registry/src/index.crates.io-6f/thing-0.1.2/src/pkg/core.py", "src/pkg/core.py"],
    ["index.js", "lib/index.js"],
    // Others have files of these names, too.
    ["/venv/lib/python3.12/site-packages/else/core.py", undefined],
    ["/venv/lib/python3.12/site-packages/core.py", undefined],
    ["/usr/lib/python3.12/json/decoder.py", undefined],
    ["json/decoder.py", "src/pkg/io/json/decoder.py"],
    ["/somewhere/else/core.py", undefined],
    ["__init__.py", undefined],
    ["pkg/__init__.py", "src/pkg/__init__.py"],
    ["/x/__init__.py", undefined],
    ["../src/pkg/core.py", undefined],
    ["src/../src/pkg/core.py", undefined],
    ["/etc/passwd", undefined],
    ["node:internal/core.py", undefined],
    ["", undefined],
    ["/", undefined],
  ];
  deepEqual(cases.map(([name]) => [name, find(name)]), cases);
});

Deno.test("paths are read out of prose, code, tracebacks and links, in their order", () => {
  const text = `See https://github.com/o/r/blob/main/cmd/main.go#L10-L20, and \`tests/test_core.py:12\`.
  File "/w/site-packages/pkg/core.py", line 3, in f
at Object.<anonymous> (/w/repo/lib/index.js:5:11)
Also src/pkg/core.py and README.md. But not ../README.md or "x.py".`;
  deepEqual(pathsIn(text, fileFinder(FILES, "thing")), [
    "cmd/main.go",
    "tests/test_core.py",
    "src/pkg/core.py",
    "lib/index.js",
    "README.md",
  ]);
});

Deno.test("whatever is named, only files of the repository come out", () => {
  const find = fileFinder(FILES, "thing");
  const name = fc.array(fc.constantFrom("..", ".", "/", "\\", "src", "pkg", "core.py", "site-packages", "C:", " "))
    .map((parts) => parts.join("/"));
  fc.assert(fc.property(name, (text) => {
    const found = find(text);
    ok(found === undefined || FILES.includes(found));
    for (const path of pathsIn(text, find)) ok(FILES.includes(path));
  }));
  equal(pathsIn("a.".repeat(200_000), find).length, 0);
  equal(pathsIn("a.b ".repeat(200_000), find).length, 0);
});
