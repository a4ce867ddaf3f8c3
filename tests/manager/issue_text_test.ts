/** The text of an issue, taken apart: code, prose, constraints; nothing that deceives the eye. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { constraintsIn, neutralText, textParts } from "../../src/manager/issue_text.ts";

Deno.test("code blocks have their language, and are no prose", () => {
  const text = `It fails:
\`\`\`python title="x"
import pkg
# comment
\`\`\`
<!-- Please
write --> here <!-- a --> too
> ~~~
> quoted
> ~~~
    not indented code, it goes on

Then:

    indented = 1

    more

- item

    belongs to the item
\`\`\`\`
\`\`\`
<!-- stays -->
\`\`\`\`
    
\`\`\`Go
never closed`;
  deepEqual(textParts(text), {
    codeBlocks: [
      { language: "python", text: "import pkg\n# comment" },
      { language: null, text: "> quoted" },
      { language: null, text: "indented = 1\n\nmore" },
      { language: null, text: "```\n<!-- stays -->" },
      { language: "go", text: "never closed" },
    ],
    prose: [
      "It fails:",
      "",
      "",
      "",
      "",
      "",
      " here  too",
      "",
      "",
      "",
      "    not indented code, it goes on",
      "",
      "Then:",
      "",
      "",
      "",
      "",
      "",
      "- item",
      "",
      "    belongs to the item",
      "",
      "",
      "",
      "",
      "    ",
      "",
      "",
    ],
  });
});

Deno.test("what stands in <pre>, as old templates of Go ask for it, is code", () => {
  const text =
    "What I did:\n\n<details><pre>\n$ go env\n\nA=1\n</pre></details>\nand <PRE class=x>f()</PRE>\n<pre>\nnever closed";
  deepEqual(textParts(text), {
    codeBlocks: [
      { language: null, text: "$ go env\n\nA=1" },
      { language: null, text: "f()" },
      { language: null, text: "never closed" },
    ],
    prose: ["What I did:", "", "<details>", "", "", "", "", "and ", "", ""],
  });
});

Deno.test("what hides or turns text is made visible, or goes", () => {
  equal(neutralText("a\r\nb\rc\td"), "a\nb\nc\td");
  equal(neutralText("x\u202ey\x1b[31m\0\u2066z"), "x\\u202ey\\x1b[31m\\x00\\u2066z");
  equal(neutralText("a\u{e0041}\u{e007f}b\u200bc\ufeff 👩‍💻"), "abc 👩‍💻");
});

Deno.test("what binds a reproducer is kept word for word", () => {
  const { prose } = textParts(`## It must not be a heading
- [x] I must have read the rules
It fails. It only happens with \`order="F"\`! The array must be larger than 4 GB.
- This cannot be reproduced on Windows.
We worked in 1.2 offices. Fine.
\`\`\`
must(code)
\`\`\`
The array must be larger than 4 GB.`);
  deepEqual(constraintsIn(prose), [
    'It only happens with `order="F"`!',
    "The array must be larger than 4 GB.",
    "This cannot be reproduced on Windows.",
    "We worked in 1.2 offices.",
  ]);
});

Deno.test("text of any size and shape is taken apart in time that grows with its size", () => {
  for (const piece of ["`", "> ", "<!--", "    ", "a.", "\n\n    x", "- ", "~~~\n", "must. ", "\u202e"]) {
    const { codeBlocks, prose } = textParts(neutralText(piece.repeat(100_000)));
    ok(codeBlocks.length <= 40 && constraintsIn(prose).length <= 20);
  }
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("`", "~", ">", " ", "\n", "a", "<!--", "-->"), maxLength: 200 }),
      (text) => {
        equal(textParts(text).prose.length, text.split("\n").length);
      },
    ),
  );
});
