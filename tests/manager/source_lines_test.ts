import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { extensionOf, readSourceLines } from "../../src/manager/source_lines.ts";

const PYTHON = `"""What
it is."""
import os

@decorator
def area(a,
         b):
    """The area."""
    # of a rectangle
    if a and \\
            b:
        return g(
            a,
            b)
    elif b:
        raise ValueError(
            "no a")
    else:
        x = 1; y = 2
    return [z
            for z in x]


class Shape:
    sides = 4

    async def draw(self):
        await self
`;

/** `first-last` for each line, `.` for none. */
async function ranges(path: string, text: string, which: "statementAt" | "functionAt"): Promise<string[]> {
  const lines = (await readSourceLines(path, text))!;
  return text.trimEnd().split("\n").map((_, i) => {
    const found = lines[which](i + 1);
    return found === undefined ? "." : `${found.first}-${found.last}`;
  });
}

Deno.test("statementAt() knows what runs of Python, over all its lines", async () => {
  deepEqual(await ranges("a.py", PYTHON, "statementAt"), [
    ...[".", ".", "3-3", ".", ".", ".", ".", ".", "."],
    ...["10-11", "10-11", "12-14", "12-14", "12-14", "."],
    ...["16-17", "16-17", ".", "19-19", "20-21", "20-21", ".", ".", "."],
    ...["25-25", ".", ".", "28-28"],
  ]);
});

Deno.test("functionAt() is the innermost function with a name", async () => {
  deepEqual(await ranges("a.py", PYTHON, "functionAt"), [
    ...[".", ".", ".", ".", "."],
    ...Array(16).fill("6-21"),
    ...[".", ".", ".", ".", "."],
    ...["27-28", "27-28"],
  ]);
});

const SOURCES: readonly (readonly [path: string, text: string, functions: string])[] = [
  [
    "a.js",
    "// one\nfunction f(a) {\n  if (a)\n    return 1;\n  return 2;\n}\nclass A {\n  m() {\n    f();\n  }\n}\n",
    "2-6",
  ],
  ["a.ts", "export class A<T> {\n  m(a: T): void {\n    a;\n  }\n}\n", "2-4"],
  ["a.tsx", "function A() {\n  return <b>{1}</b>;\n}\n", "1-3"],
  ["a.go", "package a\nfunc (s *S) f() int {\n\treturn 1\n}\n", "2-4"],
  ["a.rs", "mod a {\n  fn f() -> i32 {\n    1\n  }\n}\n", "2-4"],
  ["A.java", "class A {\n  int f() {\n    return 1;\n  }\n}\n", "2-4"],
  ["a.c", "#include <a.h>\nint f(int a)\n{\n  return a;\n}\n", "2-5"],
  ["a.php", "<?php\nfunction f() {\n  return 1;\n}\n", "2-4"],
];

Deno.test("functionAt() reads the languages whose grammars are here", async () => {
  for (const [path, text, functions] of SOURCES) {
    const found = await ranges(path, text, "functionAt");
    equal(found.find((one) => one !== "."), functions, path);
  }
});

Deno.test("statementAt() tells the condition of a branch from what it guards", async () => {
  deepEqual(await ranges("a.js", SOURCES[0]![1], "statementAt"), [
    ...[".", ".", "3-3", "4-4", "5-5", ".", ".", ".", "9-9", ".", "."],
  ]);
});

Deno.test("readSourceLines() knows nothing of other languages, and of enormous files", async () => {
  deepEqual([await readSourceLines("a.txt", "x"), await readSourceLines("Makefile", "x")], [undefined, undefined]);
  equal(await readSourceLines("a.py", "x = 1\n".repeat(200_000)), undefined);
  deepEqual(["a/b.PY", "a.b/c", "c.", ".gitignore", "x.toolongtobeone"].map(extensionOf), ["py", "", "", "", ""]);
});

Deno.test("readSourceLines() takes any text", () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom("a.py", "a.ts", "a.c", "a.rs", "a.php"),
      fc.string({ unit: fc.constantFrom("def f():", "\n", "  ", "{", "}", "(", '"""', "if x:", "\u0000", "é") }),
      async (path, text) => {
        const lines = (await readSourceLines(path, text))!;
        const count = text.split("\n").length;
        for (let line = 1; line <= count; line++) {
          for (const found of [lines.functionAt(line), lines.statementAt(line)]) {
            if (found !== undefined) equal(found.first <= line && line <= found.last && found.last <= count, true);
          }
        }
      },
    ),
  ));
