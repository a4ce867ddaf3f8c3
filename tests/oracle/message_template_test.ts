import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { messageTemplate, quotedValues, templatesMatch } from "../../src/oracle/message_template.ts";

Deno.test("messageTemplate() replaces what varies from run to run and from machine to machine", () => {
  const templates = {
    "'NoneType' object has no attribute 'foo'": "… object has no attribute …",
    "operands could not be broadcast together with shapes (3,) (4,)":
      "operands could not be broadcast together with shapes (…) (…)",
    "operands could not be broadcast together with shapes (3,4) (2, 2)":
      "operands could not be broadcast together with shapes (…) (…)",
    "index 10 is out of bounds for axis 0 with size -3": "index … is out of bounds for axis … with size …",
    "can't open '/a/b c/x'": "can't open …",
    "[Errno 2] No such file or directory: /tmp/tmp8x/y.py:3": "[Errno …] No such file or directory: …",
    "cannot read acme/core.py": "cannot read …",
    "C:\\Users\\me\\x.py is missing": "… is missing",
    "float64 is not int32": "float64 is not int32",
    "expected 3.14 got 1e-9 at 0x7fff5694": "expected … got … at …",
    "don't do it at 2024-01-02T03:04:05.678Z": "don't do it at …",
    "Cannot read properties of undefined (reading 'x')": "Cannot read properties of undefined (reading …)",
    "called `Option::unwrap()` on a `None` value": "called … on a … value",
    "commit a1b2c3d4e5f not found": "commit … not found",
    "no row 123e4567-e89b-12d3-a456-426614174000": "no row …",
    "[1 2 3] is not [1 2]": "[…] is not […]",
    "GET http://x.example/z?a=1 failed": "GET … failed",
    "and/or deadbeef effaced": "and/or deadbeef effaced",
    "two\n  lines .": "two lines",
    "maximum recursion depth exceeded while calling a Python object": "maximum recursion depth exceeded",
    "": "",
  };
  deepEqual(Object.keys(templates).map(messageTemplate), Object.values(templates));
});

const hostile = fc.array(fc.constantFrom(..."'\"`‘’“”…/.\\:x0123abcf,()[]{} -+_eZT\n"), { maxLength: 40 }).map((
  chars,
) => chars.join(""));

Deno.test("messageTemplate() is idempotent", () => {
  fc.assert(
    fc.property(fc.oneof(hostile, fc.string({ unit: "grapheme" })), (text) => {
      const template = messageTemplate(text);
      equal(messageTemplate(template), template);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("messageTemplate() is the same for other numbers and other quoted values", () => {
  const word = fc.stringMatching(/^[a-z]{3,8}$/);
  fc.assert(fc.property(word, fc.nat(), fc.nat(), word, word, (text, a, b, c, d) => {
    equal(
      messageTemplate(`${text} ${a} of '${c}' at 0x${a.toString(16)}`),
      messageTemplate(`${text} ${b} of '${d}' at 0x${b.toString(16)}`),
    );
  }));
});

Deno.test("messageTemplate() reads long hostile messages at once", () => {
  for (const part of ["'", "a/", "1", "…,", "a.", "0x", "abcdef", "`x", "1-", "::/", " ."]) {
    ok(messageTemplate(part.repeat(100_000)).length < 5000);
  }
  // A run is judged by thousands of templates.
  for (const message of ["‘".repeat(4096), "“".repeat(4096), `1${" ".repeat(4000)}x`, `${" .".repeat(2000)}x`]) {
    for (let i = 0; i < 1000; i++) ok(!templatesMatch(message, "y"));
  }
});

Deno.test("templatesMatch() allows a first line and a cut end, and no other message", () => {
  const rows: [string, string, boolean][] = [
    ["v cannot be empty", "v cannot be empty", true],
    ["v cannot be empty.", "v  cannot be empty", true],
    ["v cannot be empty", "v cannot be empty\nbecause", true],
    ["v cannot be empty\nwhy", "v cannot be empty\nbecause", false],
    ["a cannot be empty", "v cannot be empty", false],
    ["v cannot be", "v cannot be empty", false],
    ["v cannot be ...", "v cannot be empty", true],
    ["v cannot be… ", "v cannot be empty", true],
    ["v ...", "v cannot be empty", false],
    ["...", "anything", false],
    ["", "anything", false],
  ];
  deepEqual(rows.map(([a, b]) => [a, b, templatesMatch(a, b)]), rows);
});

Deno.test("quotedValues() gives what is in quotes, and no apostrophes", () => {
  deepEqual(quotedValues("can't import name 'x' from \"y.z\" or `w`"), ["x", "y.z", "w"]);
});
