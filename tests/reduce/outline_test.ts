import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { grammarFor } from "../../src/reduce/grammars.ts";
import { leavesOf, type Node, nodesOf } from "../../src/reduce/outline.ts";
import { countErrors, outlineOf } from "../../src/reduce/syntax_outline.ts";

/** A small text without errors in each language. */
const SOURCES: Record<string, string> = {
  "a.py": "def f(x):\n    return x + 1\n",
  "a.js": "function f(x) { return x + 1; }\n",
  "a.jsx": "const a = <b c={1}>x</b>;\n",
  "a.ts": "const a: number[] = [1];\n",
  "a.tsx": "const a = (x: string) => <b>{x}</b>;\n",
  "a.c": "int f(int x) { return x + 1; }\n",
  "a.cpp": "template <class T> T f(T x) { return x; }\n",
  "A.java": "class A { int f(int x) { return x; } }\n",
  "a.rs": "fn f(x: i32) -> i32 { x + 1 }\n",
  "a.go": "package a\n\nfunc f(x int) int { return x }\n",
  "a.json": '{"a": [1, {"b": null}]}\n',
  "a.html": "<p class=x>Hi <b>you</b></p>\n",
  "a.css": "a > b { color: red; }\n",
  "a.xml": "<a x='1'><b/>text</a>\n",
  "a.php": "<?php echo f($x, 1); ?>\n",
  "a.yaml": "a:\n  - b: 1\n",
};

async function outline(name: string, text: string): Promise<Node> {
  return outlineOf(text, (await grammarFor(name))?.parser);
}

/** The members of each node, as text. */
function shape(text: string, node: Node): unknown {
  const { members } = node;
  return members.length === 0 ? text.slice(node.from, node.to) : members.map((member) => shape(text, member));
}

Deno.test("grammarFor() knows each language by the end of the file's name, and its grammar reads it", async () => {
  for (const [name, text] of Object.entries(SOURCES)) {
    const grammar = await grammarFor(`some/folder.x/${name.toUpperCase()}`);
    equal(countErrors(grammar!.parser.parse(text)), 0, name);
  }
  equal(await grammarFor("notes.txt"), undefined);
  equal(await grammarFor("py"), undefined);
});

Deno.test("outlineOf() covers everything that is no blank, in order and once, whatever the text is", async () => {
  const pieces = [
    ...Object.values(SOURCES).flatMap((text) => text.match(/\w+|\s+|./gu)!),
    "é",
    "😀",
    "\r\n",
    "\t",
    "#if x\n",
    "#endif\n",
    '"""',
  ];
  const anyText = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.keys(SOURCES), "a.txt"), anyText, async (name, text) => {
      const root = await outline(name, text);
      let end = 0;
      for (const leaf of leavesOf(root)) {
        if (leaf === root) break;
        equal(text.slice(end, leaf.from).trim(), "", `${name}: ${JSON.stringify(text)}`);
        ok(leaf.from >= end && leaf.to > leaf.from);
        end = leaf.to;
      }
      if (root.children.length > 0) equal(text.slice(end).trim(), "");
      for (const node of nodesOf(root)) {
        for (const child of node.children) ok(node.from <= child.from && child.to <= node.to);
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("outlineOf() joins brackets, tags and conditions with what is between them", async () => {
  const c = "#if A\nint a[3];\n#endif\nint b;\n";
  deepEqual(shape(c, await outline("a.c", c)), [[["int", ["a", ["3"]]]], ["int", "b"]]);
  const html = "<p><b>x</b>y</p>";
  const [paragraph] = (await outline("a.html", html)).children;
  deepEqual(shape(html, paragraph!), [["x"], "y"]);
  equal(html.slice(paragraph!.inner!.from, paragraph!.inner!.to), "<b>x</b>y");
});

Deno.test("outlineOf() leaves brackets without a partner alone", async () => {
  for (const name of ["a.js", "a.txt"]) {
    const text = "f(]{x) y";
    const leaves = [...leavesOf(await outline(name, text))].map(({ from, to }) => text.slice(from, to));
    deepEqual(leaves, ["f", "(", "]", "{", "x", ")", "y"], name);
  }
});

Deno.test("outlineOf() finds blocks, paragraphs and items where there is no grammar", async () => {
  const text = "head one\n  a(1, {2\n  3}, 4)\n  b\n\nlast\nline\n";
  const [paragraph, last] = shape(text, await outline("a.txt", text)) as unknown[][];
  const call = [["1"], [[[["2"], ["3"]]]], ["4"]];
  deepEqual(paragraph, [[["head", "one"], ["a", call], ["b"]]]);
  deepEqual(last, [["last"], ["line"]]);
});

Deno.test("outlineOf() sees the words of a string or a comment without its quotes", async () => {
  const text = "f(\"one (two) three\", '''x y''')";
  const strings = [...nodesOf(await outline("a.py", text))].filter(({ kind }) => kind === "String");
  deepEqual(strings.map((node) => shape(text, node)), [["one", ["two"], "three"], ["x", "y"]]);
});
