import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { parseYamlSource, parseYamlValue } from "../../src/config/yaml_source.ts";
import { Failure } from "../../src/failure.ts";

Deno.test("values are what PyYAML's safe loader makes of them", () => {
  const text = `
bools: [yes, No, on, OFF, true]
letters: [y, n, Y, N]
numbers: [3., 0., 017, 0x10, 1_000, 12:30, -1.5e+3, .5]
strings: [1e3, 0o17, 2024-01-01, "off", 'no', 08:70]
nothing: [~, null, "null"]
block: |
  a
    b
folded: >-
  a
  b
base: &base {a: 1, b: 1}
merged: {<<: *base, b: 2}
twice: 1
twice: 2
7: number as key
`;
  deepEqual(parseYamlSource(text, "f").value, {
    bools: [true, false, true, false, true],
    letters: ["y", "n", "Y", "N"],
    numbers: [3, 0, 15, 16, 1000, 750, -1500, 0.5],
    strings: ["1e3", "0o17", "2024-01-01", "off", "no", "08:70"],
    nothing: [null, null, "null"],
    block: "a\n  b\n",
    folded: "a b",
    base: { a: 1, b: 1 },
    merged: { a: 1, b: 2 },
    twice: 2,
    "7": "number as key",
  });
  for (const empty of ["", "\n", "# only a comment\n", "---\n", "{}", "~"]) {
    deepEqual(parseYamlSource(empty, "f").value, {});
  }
});

Deno.test("locate() finds each value, its key when the value is a block, and else its nearest parent", () => {
  const source = parseYamlSource(
    `a: 1
b:
  c: [x, {d: 'y'}]
  e: |
    text
  f:
    - 1
    - g: 1.10
  h:
  i: &anchor z
  j: *anchor
"k l": {}
a: 2
`.replaceAll("\n", "\r\n"),
    "f",
  );
  const at = (path: string) => Object.values(source.locate(path.split("."))).join(":");
  deepEqual(
    Object.fromEntries(
      ["a", "b", "b.c", "b.c.1.d", "b.e", "b.f", "b.f.1.g", "b.h", "b.i", "b.j", "k l", "b.nope", "nope"].map((
        path,
      ) => [path, at(path)]),
    ),
    {
      a: "13:4",
      b: "2:1",
      "b.c": "3:6",
      "b.c.1.d": "3:14",
      "b.e": "4:3",
      "b.f": "6:3",
      "b.f.1.g": "8:10",
      "b.h": "9:3",
      "b.i": "10:14",
      "b.j": "11:6",
      "k l": "12:8",
      "b.nope": "2:1",
      nope: "1:1",
    },
  );
  equal(source.textAt(["b", "f", "1", "g"]), "1.10");
});

Deno.test("a file that cannot be used is a usage failure with file, line, column and the line's text", () => {
  const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 40; i++) bomb.push(`a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`).join(", ")}]`);
  const cases: [string, RegExp][] = [
    ["a:\n  b: 1\n c: 2\n", /\/f\.yaml:3:2: .* in "c: 2"/],
    ["a: [1, 2\nb: 3\n", /\/f\.yaml:2:\d+: .* in "b: 3"/],
    ["a:\n\tb: 1\n", /\/f\.yaml:2:1: tab/],
    ["a: b: c\n", /\/f\.yaml:1:\d+: .* in "a: b: c"/],
    ["a:\n  b: {{task}}\n", /\/f\.yaml:2:7: a mapping or list as a key .* needs quotes\) in "b: \{\{task\}\}"/],
    ["a: 1\n[b]: 1\n", /\/f\.yaml:2:1: a mapping or list as a key/],
    ["a: *nobody\n", /\/f\.yaml:1:\d+: unidentified alias "nobody"/],
    ["a: !!python/object/apply:os.system [id]\n", /\/f\.yaml:1:4: unknown .*python/],
    ["a: 1\n---\nb: 1\n", /\/f\.yaml:3:1: expected one document, found several/],
    ["- a\n", /expected a mapping of keys, found a list/],
    ["just text", /expected a mapping of keys, found "just text"/],
    ["a: \u0000", /null byte/],
    ["[".repeat(100_000), /nesting/],
    ["a: &a [*a]\n", /aliases repeat/],
    [bomb.join("\n"), /aliases repeat/],
  ];
  for (const [text, message] of cases) {
    throws(() => parseYamlSource(text, "/d/f.yaml"), (error: unknown) => {
      ok(error instanceof Failure, String(error));
      equal(error.kind, "usage");
      match(error.message, message);
      ok(error.message.length < 400, error.message);
      return true;
    });
  }
});

Deno.test("the failure of a file does not show a line that names a secret", () => {
  for (const line of ["api_key: hidden-value: x", "env: {GITHUB_TOKEN: hidden-value: x", "X-Api-Key: 'hidden-value"]) {
    throws(() => parseYamlSource(line, "bad.yaml"), (error: unknown) => {
      ok(error instanceof Failure);
      match(error.message, /bad\.yaml:\d+:\d+: /);
      equal(error.message.includes("hidden-value"), false);
      equal(error.cause, undefined, "the parser's own error quotes the line");
      return true;
    });
  }
});

Deno.test("a key that plain objects inherit is only a key", () => {
  const { value } = parseYamlSource("__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\n", "f");
  equal(Object.getPrototypeOf(value), Object.prototype);
  equal(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("parseYamlSource() ends with a mapping or a failure, whatever the text", () => {
  const token = fc.constantFrom(
    ..."a b : - ? [ ] { } , & * ! | > ' \" # % @ ` \n \t".split(" "),
    "  ",
    "\n  ",
    ": ",
    "- ",
    "<<: ",
    "---\n",
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "grapheme" }), fc.array(token).map((parts) => parts.join(""))), (text) => {
      try {
        const source = parseYamlSource(text, "f");
        equal(typeof source.value, "object");
        for (const key of Object.keys(source.value)) ok(source.locate([key]).line >= 1);
      } catch (error) {
        ok(error instanceof Failure, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseYamlValue() reads scalars and flow collections, and takes anything else as text", () => {
  const values: [string, unknown][] = [
    ["5", 5],
    ["3.", 3],
    ["1e3", 1000],
    ["off", false],
    ["y", "y"],
    ["null", null],
    ["~", null],
    ["", ""],
    ["  7 ", 7],
    ["[1, a, {b: c}]", [1, "a", { b: "c" }]],
    ['{"a": [true]}', { a: [true] }],
    ["{a: {b: 1}}", { a: { b: 1 } }],
    ["'5'", "5"],
    ['"a\\nb"', "a\nb"],
    ["anthropic/claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514"],
  ];
  for (const [text, value] of values) deepEqual(parseYamlValue(text), value, text);
  const literal = [
    "{{task}}",
    "Do this: that",
    "a # b",
    "```bash\\s*\\n(.*?)\\n```",
    "<x>(.*?)</x>",
    "*a",
    "&a b",
    "!!int 3",
    "| x",
    "- x",
    "[1",
    "{",
    "'a' 'b'",
    "[a] [b]",
    "%x",
    "two\nlines",
    "---",
  ];
  for (const text of literal) equal(parseYamlValue(text), text);
});

Deno.test("the hint is about what is wrong with the file", () => {
  const cases: [string, RegExp][] = [
    ["a:\n\tb: 1\n", /^Indent with spaces/],
    ["a: *nobody\n", /`&name`/],
    ["- a\n", /sections, such as `agent:`/],
    ["a: 1\n---\nb: 1\n", /sections, such as `agent:`/],
    ["a: 'open\nb: 1\n", /close each quote/],
    ["a: b: c\n", /need quotes$/],
  ];
  for (const [text, hint] of cases) {
    throws(() => parseYamlSource(text, "f"), (error: unknown) => {
      ok(error instanceof Failure, String(error));
      match(error.hints.join("\n"), hint);
      return true;
    });
  }
});
