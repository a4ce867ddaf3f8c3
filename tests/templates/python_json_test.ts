import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { pythonJson } from "../../src/templates/python_json.ts";

Deno.test("pythonJson() separates, sorts and escapes as Jinja2's tojson", () => {
  equal(
    pythonJson({ b: [1, 2.5, true, null], a: "é<&>'\"" }),
    '{"a": "\\u00e9\\u003c\\u0026\\u003e\\u0027\\"", "b": [1, 2.5, true, null]}',
  );
  equal(pythonJson("😀\x7f\x00\u2028"), '"\\ud83d\\ude00\\u007f\\u0000\\u2028"');
  equal(pythonJson(new Map<unknown, unknown>([["z", []], [1, {}]])), '{"1": {}, "z": []}');
});

Deno.test("pythonJson() indents as json.dumps does", () => {
  equal(
    pythonJson({ a: [1, { b: [] }], c: {} }, 2),
    '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": {}\n}',
  );
});

Deno.test("pythonJson() sorts keys by code point, not by UTF-16 unit", () => {
  equal(pythonJson({ "\u{1f600}": 1, "\uffee": 2 }), '{"\\uffee": 2, "\\ud83d\\ude00": 1}');
});

Deno.test("pythonJson() keeps a lone surrogate as an escape", () => {
  equal(pythonJson("a\ud800"), '"a\\ud800"');
});

Deno.test("pythonJson() refuses what is not data", () => {
  throws(() => pythonJson(() => 1), TypeError);
});

Deno.test("pythonJson() writes ASCII that JSON.parse reads back", () => {
  fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
    const text = pythonJson(value);
    equal(/^[\x20-\x7e]*$/.test(text), true);
    // JSON has no -0, neither here nor in JSON.stringify.
    deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
  }));
});
