/** Each pass on an example that it alone, or it first, makes smaller. */
import { ok, strictEqual as equal } from "node:assert/strict";
import type { Part } from "../../src/reduce/contract.ts";
import { grammarFor } from "../../src/reduce/grammars.ts";
import { reduce } from "../../src/reduce/reduce.ts";
import { countErrors } from "../../src/reduce/syntax_outline.ts";

const textOf = (part: Part | undefined) => (part as { text: string }).text;

/** The result for a text whose candidates must parse and satisfy `holds`, and what each pass removed. */
async function reduceSource(name: string, text: string, holds: (text: string) => boolean) {
  const grammar = await grammarFor(name);
  const asked: string[] = [];
  const { parts, passes } = await reduce([{ kind: "text", name, text }], {
    isInteresting: ([part]) => {
      asked.push(textOf(part));
      const isValid = grammar === undefined || countErrors(grammar.parser.parse(textOf(part))) === 0;
      return Promise.resolve(isValid && holds(textOf(part)));
    },
    parallel: 1,
    keep: [],
    signal: new AbortController().signal,
  });
  return { text: textOf(parts[0]), removed: new Map(passes.map(({ pass, removed }) => [pass, removed])), asked };
}

Deno.test("blocks: a body that nobody needs leaves a valid statement in Python", async () => {
  const source = "def keep():\n    a = 1\n    return a\n\ndef other():\n    pass\n";
  const { text, asked } = await reduceSource("a.py", source, (text) => /^def /m.test(text));
  equal(text, "def a():0");
  ok(asked.includes("def keep():\n    0\n"));
});

Deno.test("nodes: an argument goes with its comma, the first as well as the last", async () => {
  const { text } = await reduceSource("a.js", "f(alpha, beta, gamma, delta);\n", (text) => /f\(.*beta/.test(text));
  equal(text, "f(beta)");
});

Deno.test("unwrap: a block, a call and brackets are replaced by what is in them", async () => {
  const source = "if (a) {\n  for (;;) {\n    g(h((x + y)));\n  }\n}\n";
  const { text, removed } = await reduceSource("a.js", source, (text) => text.includes("x + y"));
  equal(text, "x + y");
  ok(removed.get("unwrap")! > 0);
});

Deno.test("unwrap: lines that leave a Python block lose its indentation", async () => {
  const source = "def f():\n    if x:\n        y = z\n        z = y\n";
  const { text, asked } = await reduceSource(
    "a.py",
    source,
    (text) => /y = z\s+z = y/.test(text),
  );
  ok(asked.some((text) => /^y = z\nz = y\n?$/.test(text)));
  equal(text, "y = z\nz = y");
});

Deno.test("substitutes: an expression becomes 0, and types become the shortest at the same time", async () => {
  const js = await reduceSource("a.js", "f(compute(a, b), key);\n", (text) => /^f\(.+, *key\)/.test(text));
  equal(js.text, "f(0,key)");
  const source = "unsigned char *p;\nunsigned char *q = p;\n";
  const c = await reduceSource("a.c", source, (text) => {
    const types = [...text.matchAll(/(unsigned char|int) *\*\w/g)].map(([, type]) => type);
    return types.length === 2 && new Set(types).size === 1;
  });
  equal(c.text, "int*p;int*q;");
});

Deno.test("names: a name changes everywhere at once, and the case it stands for stays the same", async () => {
  const source = "let counter = 1;\nuse(counter);\n";
  const { text } = await reduceSource("a.js", source, (text) => {
    const name = /let (\w+)/.exec(text)?.[1];
    return name !== undefined && text.includes(`use(${name})`);
  });
  equal(text, "let a;use(a)");
});

Deno.test("names: numbers become 0, or 1 where that is none", async () => {
  const { text } = await reduceSource("a.js", "f(12345, 67890)", (text) => /^f\(\d+, *[1-9]\d*\)/.test(text));
  equal(text, "f(0,1)");
});

Deno.test("names: blanks go, but the line of a directive stays one", async () => {
  const source = "#include <a.h>\n\nint   main ( void ) {\n\n  return  0 ;\n}\n";
  const { text } = await reduceSource(
    "a.c",
    source,
    (text) => /^#include *<a.h>\n\s*int +main *\([^]*return +0/.test(text),
  );
  equal(text, "#include<a.h>\nint main(){return 0;}");
});

Deno.test("names: an indentation becomes one blank for each level", async () => {
  const source = "class A:\n\n        def f(self):\n                a = 1\n                b = 2\n";
  const { text } = await reduceSource(
    "a.py",
    source,
    (text) => /^class .*\n+( +)def .*\n(\1 +).*1\n\2.*2/.test(text),
  );
  equal(text, "class A:\n def f():\n  1\n  2");
});

Deno.test("joins: the only statement of a block stands behind its colon", async () => {
  const { text, removed } = await reduceSource(
    "a.py",
    "while x:\n    y(3)\n",
    (text) => /while x:\s*y\(3\)/.test(text),
  );
  equal(text, "while x:y(3)");
  equal(removed.get("joins"), 2);
});

Deno.test("probe: where the syntax does not matter, single tokens go without it", async () => {
  const { parts } = await reduce([{ kind: "text", name: "a.js", text: "if (a) { throw new Problem(b); }\n" }], {
    isInteresting: ([part]) => Promise.resolve(textOf(part).includes("new Problem(")),
    parallel: 1,
    keep: [],
    signal: new AbortController().signal,
  });
  equal(textOf(parts[0]), "new Problem(");
});

Deno.test("swap: two lines in another order need no line end between them", async () => {
  const { text } = await reduceSource("a.txt", "word\n16. \n", (text) => text.includes("word") && /^16\. /m.test(text));
  equal(text, "16. word");
});

Deno.test("proof: a long result is minimal by tokens", async () => {
  const source = Array.from({ length: 700 }, (_, i) => `w${i}`).join(" ");
  const { parts, minimalBy } = await reduce([{ kind: "text", name: "a.txt", text: source }], {
    isInteresting: ([part]) => Promise.resolve(textOf(part).split(/\s+/).length >= 650),
    parallel: 1,
    keep: [],
    signal: new AbortController().signal,
  });
  equal(minimalBy, "token");
  equal(textOf(parts[0]).split(/\s+/).length, 650);
});
