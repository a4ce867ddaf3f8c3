import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { statedIn } from "../../src/manager/stated_literals.ts";

Deno.test("values are read as they are written, what should come first, and arguments of calls are none", () => {
  const text = `# \`shop.split_evenly\` loses cents

\`split_evenly(10, 3)\` returns \`[3, 3, 3]\` instead of \`[4, 3, 3]\`.
It should be {"a": (1, -2.5e3), b: None}, v1.2.3 (or so), see [there](https://example.org).
`;
  deepEqual(statedIn(text), {
    functions: ["split_evenly"],
    values: [
      { list: [{ number: "4" }, { number: "3" }, { number: "3" }] },
      {
        pairs: [
          [{ text: "a" }, { tuple: [{ number: "1" }, { number: "-2.5e3" }] }],
          [{ text: "b" }, { constant: "null" }],
        ],
      },
      { list: [{ number: "3" }, { number: "3" }, { number: "3" }] },
      { text: "shop.split_evenly" },
    ],
    wanted: 2,
    calls: [{ name: "split_evenly", arguments: [{ number: "10" }, { number: "3" }] }],
  });
});

Deno.test("words in ticks, lines of output and errors are values too", () => {
  const text = "`slug('A B')` gives `a b`, and should give `a-b` or raise a ValueError.\n\n```\na b\n```\n";
  const { functions, values, wanted } = statedIn(text);
  deepEqual([functions, values, wanted], [["slug"], [{ text: "a-b" }, { raises: "ValueError" }, { text: "a b" }], 2]);
});

Deno.test("no text makes it throw, or write a value of more than was there", () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."[]{}()'\",:.01ae-` \nf") }), (text) => {
    const { values, calls, functions, wanted } = statedIn(text);
    ok(values.length <= 40 && calls.length <= 40 && functions.length <= 40 && wanted <= values.length + 40);
    JSON.stringify(values);
  }));
});
